//===- Checker.h - The reference data of a folder, step by step -*- C++ -*-===//
//
// Runs what another implementation ran and compares: whole sequences end to
// end, each layer alone from the stored streams in front of it, and single
// mechanisms from the stored tensor in front of them.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_CHECK_CHECKER_H
#define VARVE_CHECK_CHECKER_H

#include "lib/Check/Comparison.h"
#include "lib/Check/EndToEnd.h"
#include "lib/Check/ReferenceData.h"
#include "lib/Check/StoredComparison.h"
#include "lib/Interpret/Session.h"

namespace varve {

class Checker {
public:
  /// All outlive the checker.
  Checker(Interpreter &interpreter, const ReferenceData &reference,
          const CheckLimits &limits)
      : interpreter(interpreter), reference(reference), limits(limits) {}

  /// Prefill and decode logits.
  llvm::Expected<std::vector<CheckRow>> checkEndToEnd(const Schedule &schedule);

  /// Every layer that the reference has the input and the output of.
  llvm::Expected<std::vector<CheckRow>> checkLayers();

  /// Every other tensor that is known.
  llvm::Expected<std::vector<CheckRow>> checkStored();

private:
  using Rows = std::vector<CheckRow>;
  /// Values seen by op name, and those to put in their place.
  struct Taps {
    llvm::StringMap<llvm::SmallVector<HostTensor, 2>> seen;
    llvm::StringMap<HostTensor> replace;
  };

  mlir::MLIRContext &getContext() {
    return *interpreter.getModule().getContext();
  }
  int64_t getNumLayers();
  std::vector<HostTensor> promptTokens();
  llvm::Expected<HostTensor> runLayer(int64_t layer, const HostTensor &streams,
                                      Taps *taps);
  llvm::Expected<HostTensor> runHead(const HostTensor &streams);
  llvm::Expected<HostTensor> readStreams(int64_t layer);
  llvm::Error checkLogits(const HostTensor &streams, const Limits &bounds,
                          Rows &rows);

  // StoredChecks.cpp
  llvm::Error checkMechanism(Mechanism mechanism, int64_t layer, Rows &rows);
  llvm::Expected<LayerTensors> readExpected(Mechanism mechanism, int64_t layer);
  llvm::Error chooseFromScores(int64_t layer, const HostTensor &streams,
                               const Taps &taps, LayerTensors &observed);
  LayerTensor observe(const HostTensor &value);
  void observeOps(Mechanism mechanism, int64_t layer, const Taps &taps,
                  LayerTensors &observed);
  llvm::Error observePool(llvm::StringRef name, llvm::StringRef pool,
                          const LayerTensors &expected, LayerTensors &observed);
  std::optional<HostTensor> indexQueries(int64_t layer, const Taps &taps);

  Interpreter &interpreter;
  const ReferenceData &reference;
  const CheckLimits &limits;
};

} // namespace varve

#endif // VARVE_CHECK_CHECKER_H
