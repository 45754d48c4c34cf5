//===- BenchKernels.h - Kernels that show what a target can do -*- C++ -*-===//
//
// The tile programs of configs/kernels with sizes: the shapes at which a
// target's engine is held against other implementations and against the
// device's floor.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_BENCH_BENCHKERNELS_H
#define VARVE_BENCH_BENCHKERNELS_H

#include "lib/Target/Model/TargetModel.h"

namespace varve {

/// An argument of a kernel, for a program that launches it.
struct BenchArgument {
  std::string name;
  /// MLIR's name of the element type; of the scalar where there are no sizes.
  std::string element;
  std::vector<int64_t> sizes;
  /// The dimensions whose sizes are passed.
  std::vector<int64_t> dynamic;
};

/// The least time that a kernel is expected to take, and why.
struct BenchFloor {
  double microseconds = 0;
  /// "memory", or the type whose rate of operations decides ("bf16").
  std::string bound;
  /// The rate counted with: GB/s of memory, TFLOPS of a type.
  double ceiling = 0;
};

struct BenchKernel {
  /// "gemm-bf16 4096x4096x4096".
  std::string name;
  /// "gemm-bf16": what it computes.
  std::string kind;
  /// "gemm_bf16": the tile function.
  std::string function;
  /// The program, without parameters.
  std::string text;
  std::vector<std::pair<std::string, int64_t>> sizes;
  std::vector<BenchArgument> arguments;
  /// Operations, of which a multiply-add is two, in `type`; bytes that must
  /// come from or go to memory at least.
  double flops = 0, bytes = 0;
  NumericType type = NumericType::BF16;
  /// Bytes of spill stores and loads, together, that are known and accepted.
  int64_t allowedSpillBytes = 0;

  /// By the rates measured on the device where its model has them, else by the
  /// datasheet's, which nothing reaches. Measured rates are those of others'
  /// code: a kernel may beat them by a little.
  BenchFloor getFloor(const DeviceModel &device) const;
  /// A name for files.
  std::string getFileName() const;
};

/// All kernels; their programs suit the matrix instructions of the target.
std::vector<BenchKernel> getBenchKernels(const TargetModel &target);

} // namespace varve

#endif // VARVE_BENCH_BENCHKERNELS_H
