//===- Wgmma.h - Matrix products of warpgroups -----------------*- C++ -*-===//
//
// The instructions of asynchronous warpgroup products (wgmma), and the
// descriptors by which they find operands in shared memory. Knows nothing of
// tiles.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_PASSES_ENGINE_NVIDIA_WGMMA_H
#define VARVE_PASSES_ENGINE_NVIDIA_WGMMA_H

#include "mlir/IR/Builders.h"

namespace mlir::varve::nvidia {

/// Rows of one instruction.
inline constexpr int64_t kWgmmaRows = 64;
/// Warps that multiply together, and whose registers are set together.
inline constexpr int64_t kGroupWarps = 4, kWarpgroupThreads = 128;

/// How an operand lies in shared memory: panels of `swizzle` bytes, one row of
/// each after another, `rows` rows in all (`#tile.shared`). In a K-major
/// operand a row is an M or N; in an MN-major one a row is a K.
struct WgmmaOperandShape {
  int64_t swizzle;
  int64_t rows;
  int64_t elementBits;
  bool isMNMajor;

  int64_t getPanelBytes() const { return rows * swizzle; }
  int64_t getPanelElements() const { return swizzle * 8 / elementBits; }
  /// The bytes from the operand's start to the element (mn, k), both at
  /// multiples of what one instruction reads.
  int64_t getOffset(int64_t mn, int64_t k) const;
  /// The constant part of its descriptors: strides and swizzle mode.
  int64_t getDescriptorBits() const;
};

/// The descriptor of an operand that starts `address`, a pointer to shared
/// memory at a multiple of 1024 bytes plus whole rows of 8. LLVM cannot see
/// through it: otherwise it computes the descriptors of a whole loop ahead, and
/// registers run out.
Value makeWgmmaDescriptor(OpBuilder &builder, Location loc, Value address,
                          const WgmmaOperandShape &shape);

/// What one instruction multiplies: 64 x k by k x n.
struct WgmmaInstruction {
  int64_t n;
  /// Of both operands: bf16, f16, f8E4M3FN or f8E5M2.
  Type aType, bType;
  bool aMNMajor = false, bMNMajor = false;

  int64_t getK() const { return 256 / aType.getIntOrFloatBitWidth(); }
};

/// The sizes n that an instruction may have, divided by 8, are 1 to 32.
inline bool isWgmmaSize(int64_t n) { return n >= 8 && n <= 256 && n % 8 == 0; }

/// Whether warpgroup products take elements of this type.
bool isWgmmaType(Type type);

/// `value` (i32), of which LLVM knows nothing: what is computed from it stays
/// where it is.
Value makeOpaque(OpBuilder &builder, Location loc, Value value);

/// Starts `d = a b + (accumulate ? d : 0)` and returns the registers of d,
/// which must not be touched before `waitWgmma`. `a` is a descriptor or four
/// 32-bit registers; `accumulate` is an i1, or null for true.
SmallVector<Value> startWgmma(OpBuilder &builder, Location loc,
                              const WgmmaInstruction &instruction, ValueRange d,
                              ValueRange a, Value b, Value accumulate);

/// Orders accesses of registers and shared memory before the products after.
void fenceWgmma(OpBuilder &builder, Location loc);
/// Closes a group of products.
void commitWgmma(OpBuilder &builder, Location loc);
/// Waits until at most `pending` groups are not complete. Returns `registers`,
/// tied to the wait: no use of what it returns can move before it.
SmallVector<Value> waitWgmma(OpBuilder &builder, Location loc, int64_t pending,
                             ValueRange registers);

} // namespace mlir::varve::nvidia

#endif // VARVE_PASSES_ENGINE_NVIDIA_WGMMA_H
