//===- PlanMemory.cpp - Where memory comes from ---------------------------===//

#include "dialects/Plan/Plan.h"

using namespace mlir;
using namespace mlir::varve::plan;

/// Checks that a tensor at `offset` ends within `bytes` of memory.
static LogicalResult verifyEnd(Operation *op, DeviceTensorType tensor,
                               LinearAttr offset, LinearAttr bytes,
                               StringRef memory, StringRef label) {
  MLIRContext *context = op->getContext();
  if (!offset)
    offset = LinearAttr::get(context, 0);
  LinearAttr size = tensor.getSizeInBytes();
  LinearAttr end = size ? offset.plus(size) : LinearAttr();
  if (!LinearAttr::get(context, 0).isAtMost(offset))
    return op->emitOpError() << "expected an offset that is never negative ("
                             << label << ") but got " << offset;
  if (end && bytes && end.isAtMost(bytes))
    return success();
  InFlightDiagnostic diagnostic = op->emitOpError()
                                  << "expected " << tensor << " to end within "
                                  << memory << " (" << label << ")";
  if (end && bytes)
    diagnostic << ", which has " << bytes << " bytes, but it ends at " << end;
  return diagnostic;
}

//===----------------------------------------------------------------------===//
// PoolOp, PoolMemoryOp
//===----------------------------------------------------------------------===//

/// C1 and C2: the numbers that a kind of pool has.
static LogicalResult verifyPoolNumbers(PoolOp pool) {
  StringRef kind = stringifyPoolKind(pool.getKind());
  bool paged = pool.getKind() == PoolKind::Entries;
  if (pool.getSize().has_value() == paged)
    return pool.emitOpError()
           << (paged ? "expected no size in an entries pool (C1)"
                     : ("expected a size in a " + kind + " pool (C1)").str());
  if (pool.getRatio().has_value() != paged ||
      pool.getPage().has_value() != paged)
    return pool.emitOpError()
           << (paged ? "expected ratio and page in an entries pool (C1)"
                     : ("expected no ratio and no page in a " + kind +
                        " pool (C1)")
                           .str());
  if (paged && *pool.getPage() % *pool.getRatio() != 0)
    return pool.emitOpError() << "expected ratio to divide page (C2) but got "
                              << *pool.getRatio() << " and " << *pool.getPage();
  return success();
}

LogicalResult PoolOp::verify() {
  if (failed(verifyPoolNumbers(*this)))
    return failure();
  LinearAttr rows;
  switch (getKind()) {
  case PoolKind::Window:
    rows = LinearAttr::get(getContext(), Symbol::Slots, *getSize())
               .plus(LinearAttr::get(getContext(), Symbol::MaxTokens));
    break;
  case PoolKind::Entries:
    rows =
        LinearAttr::get(getContext(), Symbol::Pages, *getPage() / *getRatio());
    break;
  case PoolKind::State:
    rows = LinearAttr::get(getContext(), Symbol::Slots, *getSize());
    break;
  }
  auto type = cast<DeviceTensorType>(getType());
  if (!type.isDense() || type.getShape().front() != rows)
    return emitOpError() << "expected a dense tensor whose first size is "
                         << rows << " (C3) but got " << type;
  for (LinearAttr size : type.getShape().drop_front())
    if (!size.isConstant())
      return emitOpError() << "expected rows of constant size (C3) but got "
                           << type;
  return success();
}

LogicalResult
PoolMemoryOp::verifySymbolUses(SymbolTableCollection &symbolTable) {
  auto pool = symbolTable.lookupNearestSymbolFrom<PoolOp>(*this, getPoolAttr());
  if (!pool)
    return emitOpError() << "expected " << getPoolAttr()
                         << " to be a plan.pool (C1)";
  return verifyEnd(*this, getResult().getType(), getOffsetAttr(),
                   cast<DeviceTensorType>(pool.getType()).getSizeInBytes(),
                   "the pool", "C2");
}

//===----------------------------------------------------------------------===//
// WeightOp, AllocOp, ViewOp
//===----------------------------------------------------------------------===//

LogicalResult WeightOp::verify() {
  if (getName().empty() || getName().count('*') > 1)
    return emitOpError()
           << "expected a name that is not empty and has at most one '*' (C1) "
              "but got '"
           << getName() << "'";
  DeviceTensorType type = getResult().getType();
  if (!type.isDense() || !type.hasStaticShape())
    return emitOpError() << "expected a dense tensor of constant sizes (C2) "
                            "but got "
                         << type;
  if (isStacked() && type.getRank() < 2)
    return emitOpError() << "expected a stacked weight to have rank 2 or more "
                            "(C2) but got "
                         << type;
  return success();
}

LogicalResult AllocOp::verify() {
  DeviceTensorType type = getResult().getType();
  if (type.isDense() && type.getSizeInBytes())
    return success();
  return emitOpError() << "expected a dense tensor whose bytes are linear in "
                          "the sizes (C1) but got "
                       << type;
}

LogicalResult ViewOp::verify() {
  return verifyEnd(*this, getResult().getType(), getOffsetAttr(),
                   getSource().getType().getSizeInBytes(), "its source", "C1");
}

OpFoldResult ViewOp::fold(FoldAdaptor) {
  bool atStart =
      !getOffsetAttr() || getOffsetAttr() == LinearAttr::get(getContext(), 0);
  if (atStart && getSource().getType() == getResult().getType())
    return getSource();
  return {};
}
