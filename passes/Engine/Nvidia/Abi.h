//===- Abi.h - How kernels of the NVIDIA engine are launched ---*- C++ -*-===//
//
// A lowered `tile.func` is a kernel whose parameters are, in this order,
//
//   the words that passes/Engine/X86/Abi.h describes, each an i64 of its own:
//     for each argument of the `tile.func` in order: of a view its address, its
//     run-time sizes, its run-time strides (in elements); of a scalar its bits
//     in the low end of the word;
//   a CUtensorMap (128 bytes, aligned to 64, passed by value) for each entry of
//     `kTensorMapsAttrName`.
//
// The grid of the launch is what `FuncOp::evaluateGrid` gives; a grid with no
// blocks is not launched. Attributes of the lowered function:
//
//   kThreadsAttrName            i64, threads of a block (one dimension)
//   kSharedBytesAttrName        i64, bytes of dynamic shared memory
//   kBlocksPerMultiprocessor... i64, what registers were bounded for
//   kGridAttrName               the grid's affine map
//   kSizesAttrName              array of #tile.size: the symbols of the grid
//   kTensorMapsAttrName         array of dictionaries {argument: i64, index of
//   a
//                               view argument; box: array<i64>, elements per
//                               dimension of the view, outermost first;
//                               swizzle: i64, 0/32/64/128 bytes}. A map covers
//                               the whole view with its run-time sizes and
//                               strides; reads outside give zero. Absent
//                               without maps.
//   kDependentLaunchAttrName    unit: may be launched as a programmatic
//                               dependent; the kernel waits by itself
//
// The address of a view argument is a multiple of `kViewAlignment` bytes, or of
// the argument attribute `kAlignmentAttrName` (i64, bytes) where there is one.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_PASSES_ENGINE_NVIDIA_ABI_H
#define VARVE_PASSES_ENGINE_NVIDIA_ABI_H

#include <cstdint>

namespace varve::nvidia {

inline constexpr char kThreadsAttrName[] = "varve.threads";
inline constexpr char kSharedBytesAttrName[] = "varve.shared_bytes";
inline constexpr char kBlocksPerMultiprocessorAttrName[] =
    "varve.blocks_per_multiprocessor";
inline constexpr char kGridAttrName[] = "varve.grid";
inline constexpr char kSizesAttrName[] = "varve.sizes";
inline constexpr char kTensorMapsAttrName[] = "varve.tensor_maps";
inline constexpr char kDependentLaunchAttrName[] = "varve.dependent_launch";

inline constexpr char kAlignmentAttrName[] = "tile.alignment";
inline constexpr int64_t kViewAlignment = 16;

} // namespace varve::nvidia

#endif // VARVE_PASSES_ENGINE_NVIDIA_ABI_H
