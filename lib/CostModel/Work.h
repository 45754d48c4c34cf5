//===- Work.h - What the functions of a model cost -------------*- C++ -*-===//
//
// Collects the ops of a module, function by function, and asks each for its
// cost in a step. A function with the attribute `varve.repeat` stands for that
// many layers, each with pools and weights of its own.
//
// Level E0: nothing is compiled. An op that multiplies by a weight, reads a
// pool other than its own state, or pools windows needs values of other blocks
// or other tokens and counts as a launch (an anchor); row-wise ops ride on the
// anchor before them.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_COSTMODEL_WORK_H
#define VARVE_COSTMODEL_WORK_H

#include "dialects/Varve/VarveCost.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/StringMap.h"
#include <string>
#include <vector>

namespace varve {

/// The part of a model that an op belongs to, for sums.
enum class Mechanism {
  Products,  ///< linear, grouped_linear, and the router's products
  Experts,   ///< routed experts
  Attention, ///< the softmax over keys
  Indexer,   ///< scores and choice of entries
  Compressor,
  Streams, ///< residual streams
  Rowwise, ///< norms, rotations, quantisation, appends
};
inline constexpr unsigned kNumMechanisms = 7;

/// "products", "experts", ...
llvm::StringRef getMechanismName(Mechanism mechanism);

/// One op of a function.
struct OpWork {
  mlir::Operation *op = nullptr;
  std::string name;     ///< without the function's scope: "attn.wq_b"
  llvm::StringRef kind; ///< "linear"
  Mechanism mechanism = Mechanism::Rowwise;
  bool anchor = false;
};

/// A pool, and what it holds.
struct PoolWork {
  std::string name; ///< without the function's scope
  llvm::StringRef kind;
  int64_t rowTokens = 0; ///< tokens a row stands for; 0 where it is bounded
  int64_t rowBytes = 0;
  mlir::Operation *op = nullptr;

  /// Bytes that a sequence of `context` tokens has in it.
  int64_t getBytes(int64_t context) const;
  /// Bytes that an executor allocates for the sequences of a step, so that it
  /// can run: whole pages, and in a window room for the step's own rows behind
  /// the rings.
  int64_t getAllocatedBytes(const mlir::varve::StepShape &step) const;
  /// Bytes by which it grows per token, in the long run.
  double getGrowth() const;
  bool grows() const { return rowTokens != 0; }
};

/// A function of a module, and the pools that its ops use.
struct FunctionWork {
  std::string name;
  int64_t repeat = 1;
  std::vector<OpWork> ops;
  std::vector<PoolWork> pools;
  /// Bytes of the weights that it names, each once.
  int64_t weightBytes = 0;
  mlir::Operation *function = nullptr;

  bool isLayer() const { return llvm::StringRef(name).starts_with("layers"); }
  /// Sum of the ops' costs, of one instance.
  mlir::varve::OpCost getCost(const mlir::varve::StepShape &step) const;
  /// Largest number of bytes of values that are alive at once, its arguments
  /// included: what an executor that reuses memory needs at least.
  int64_t getScratchBytes(const mlir::varve::StepShape &step) const;
  /// Keys that a token's query reads in this function, on average over the
  /// step's tokens.
  double getAttendedKeys(const mlir::varve::StepShape &step) const;
};

/// The functions of `module` that hold ops of the model, without those that
/// only call others. The module must outlive the result.
std::vector<FunctionWork> collectWork(mlir::ModuleOp module);

} // namespace varve

#endif // VARVE_COSTMODEL_WORK_H
