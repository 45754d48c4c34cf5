//===- Emit.h - What engines emit alike ------------------------*- C++ -*-===//
#ifndef VARVE_PASSES_ENGINE_COMMON_EMIT_H
#define VARVE_PASSES_ENGINE_COMMON_EMIT_H

#include "dialects/Tile/Tile.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

namespace mlir::varve::engine {

/// Two scalars or vectors of one type as one step of a reduction. The maximum
/// and the minimum of floats ignore NaN.
Value combine(OpBuilder &builder, Location loc, tile::ReduceKind kind, Value a,
              Value b);

LLVM::AtomicBinOp getAtomicOperation(tile::AtomicKind kind);

/// A scalar argument of `type`, an integer, a float or an index, from the
/// 64-bit word that it is passed in.
Value readScalar(OpBuilder &builder, Location loc, Type type, Value word);

/// The elements of a constant, `elementBytes` each, as memory holds them.
std::string getConstantBytes(DenseElementsAttr elements, int64_t elementBytes);

} // namespace mlir::varve::engine

#endif // VARVE_PASSES_ENGINE_COMMON_EMIT_H
