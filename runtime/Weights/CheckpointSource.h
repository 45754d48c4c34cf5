//===- CheckpointSource.h - Weights from a checkpoint's files --*- C++ -*-===//
#ifndef VARVE_RUNTIME_WEIGHTS_CHECKPOINTSOURCE_H
#define VARVE_RUNTIME_WEIGHTS_CHECKPOINTSOURCE_H

#include "lib/Checkpoint/TensorNames.h"
#include "runtime/Weights/Safetensors.h"
#include "runtime/Weights/WeightSource.h"
#include <map>

namespace varve::runtime {

/// Tensors by official name, whichever of the spellings that
/// lib/Checkpoint/TensorNames.h knows the files use.
class CheckpointSource final : public WeightSource {
public:
  CheckpointSource(std::string path,
                   std::vector<std::unique_ptr<SafetensorsFile>> files);

  void check(std::span<const Weight> weights) const override;
  std::optional<Bytes> map(const Weight &weight) const override;
  void read(const Weight &weight, int64_t begin,
            std::span<uint8_t> out) const override;
  std::string describe() const override { return path; }

private:
  /// A stored tensor as what an official name stands for.
  struct Slice {
    const StoredTensor *tensor;
    TensorLayout layout;
    bool second; ///< w3 of a pair
  };
  std::vector<Bytes> find(const Weight &weight, std::string &problem) const;
  std::vector<Bytes> get(const Weight &weight) const;

  std::string path;
  std::vector<std::unique_ptr<SafetensorsFile>> files;
  /// By pattern, then by expert (-1: none).
  std::map<std::string, std::map<int64_t, Slice>, std::less<>> slices;
  std::vector<std::string> unknown;
};

} // namespace varve::runtime

#endif // VARVE_RUNTIME_WEIGHTS_CHECKPOINTSOURCE_H
