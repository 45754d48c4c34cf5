//===- Emit.cpp - What engines emit alike ---------------------------------===//

#include "passes/Engine/Common/Emit.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace mlir::varve;
using namespace mlir::varve::tile;

Value engine::combine(OpBuilder &builder, Location loc, ReduceKind kind,
                      Value a, Value b) {
  bool isFloat = isa<FloatType>(getElementTypeOrSelf(a.getType()));
  switch (kind) {
  case ReduceKind::Sum:
    return isFloat ? arith::AddFOp::create(builder, loc, a, b).getResult()
                   : arith::AddIOp::create(builder, loc, a, b).getResult();
  case ReduceKind::Max:
    return isFloat ? arith::MaxNumFOp::create(builder, loc, a, b).getResult()
                   : arith::MaxSIOp::create(builder, loc, a, b).getResult();
  case ReduceKind::Min:
    return isFloat ? arith::MinNumFOp::create(builder, loc, a, b).getResult()
                   : arith::MinSIOp::create(builder, loc, a, b).getResult();
  }
  llvm_unreachable("all kinds are listed");
}

LLVM::AtomicBinOp engine::getAtomicOperation(AtomicKind kind) {
  switch (kind) {
  case AtomicKind::Add:
    return LLVM::AtomicBinOp::add;
  case AtomicKind::Max:
    return LLVM::AtomicBinOp::max;
  case AtomicKind::Min:
    return LLVM::AtomicBinOp::min;
  case AtomicKind::And:
    return LLVM::AtomicBinOp::_and;
  case AtomicKind::Or:
    return LLVM::AtomicBinOp::_or;
  case AtomicKind::Xor:
    return LLVM::AtomicBinOp::_xor;
  }
  llvm_unreachable("all kinds are listed");
}

Value engine::readScalar(OpBuilder &builder, Location loc, Type type,
                         Value word) {
  if (type.isIndex())
    return builder.createOrFold<arith::IndexCastOp>(loc, type, word);
  unsigned bits = type.getIntOrFloatBitWidth();
  if (bits < 64)
    word = arith::TruncIOp::create(builder, loc, builder.getIntegerType(bits),
                                   word);
  if (isa<FloatType>(type))
    word = arith::BitcastOp::create(builder, loc, type, word);
  return word;
}

std::string engine::getConstantBytes(DenseElementsAttr elements,
                                     int64_t elementBytes) {
  std::string bytes;
  auto append = [&](uint64_t bits) {
    for (int64_t i = 0; i < elementBytes; ++i)
      bytes.push_back(static_cast<char>(bits >> (8 * i)));
  };
  if (isa<FloatType>(elements.getElementType()))
    for (APFloat value : elements.getValues<APFloat>())
      append(value.bitcastToAPInt().getZExtValue());
  else
    for (APInt value : elements.getValues<APInt>())
      append(value.getZExtValue());
  return bytes;
}
