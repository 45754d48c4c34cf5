//===- Abi.h - How functions of the x86 engine are called ------*- C++ -*-===//
//
// A lowered `tile.func` is a C function of type `KernelFn`. It runs blocks
// `begin <= b < end` of the grid, one after another; ranges may run at the same
// time on several threads, each with its own scratch area.
//
// `arguments` is an array of 64-bit words, the same for every target: for each
// argument of the `tile.func`, in order,
//
//   view    its address, then its run-time sizes, then its run-time strides
//           (in elements), each in the order of the dimensions;
//   scalar  its bits in the low end of one word.
//
// `grid` holds the number of blocks per dimension, as `FuncOp::evaluateGrid`
// gives them. Block b has coordinate b mod grid[0] in dimension 0,
// (b div grid[0]) mod grid[1] in dimension 1, and so on.
//
// `scratch` is aligned to 64 bytes and has at least the bytes that attribute
// `kScratchBytesAttrName` of the lowered function says. Its contents need not
// be initialised.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_PASSES_ENGINE_X86_ABI_H
#define VARVE_PASSES_ENGINE_X86_ABI_H

#include <cstdint>

namespace varve::x86 {

using KernelFn = void(const uint64_t *arguments, const int64_t *grid,
                      int64_t begin, int64_t end, void *scratch);

inline constexpr char kScratchBytesAttrName[] = "varve.scratch_bytes";
inline constexpr int64_t kScratchAlignment = 64;

} // namespace varve::x86

#endif // VARVE_PASSES_ENGINE_X86_ABI_H
