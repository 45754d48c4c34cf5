//===- RowEmitter.cpp - Ops that treat rows one by one --------------------===//

#include "passes/Lower/RowEmitter.h"
#include "varve/Support/Assert.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::varve;
using plan::DeviceTensorType;

int64_t mlir::varve::roundUpToPowerOfTwo(int64_t n) {
  return static_cast<int64_t>(llvm::PowerOf2Ceil(n));
}

static RankedTensorType typeOf(Value value) {
  return cast<RankedTensorType>(value.getType());
}

LogicalResult RowEmitter::emit(Operation *op) {
  b.setLoc(op->getLoc());
  return llvm::TypeSwitch<Operation *, LogicalResult>(op)
      .Case<RmsNormOp, RopeOp, SwigluOp, CombineOp, EmbedOp, StreamExpandOp,
            StreamCollapseOp, StreamMixOp, SinkhornOp, RouteTopkOp, RouteHashOp,
            QuantizeOp, DequantizeOp, HadamardOp, AppendOp>(
          [&](auto typed) { return emitRow(*this, typed); })
      .Default([](Operation *other) {
        return other->emitOpError("cannot be lowered row by row");
      });
}

//===----------------------------------------------------------------------===//
// Columns
//===----------------------------------------------------------------------===//

int64_t RowEmitter::getWidth(Value value) const {
  ArrayRef<int64_t> shape = typeOf(value).getShape();
  if (window.form != RowForm::Flat)
    return shape.back();
  int64_t width = 1;
  for (int64_t size : shape.drop_front())
    width *= size;
  return width;
}

int64_t RowEmitter::getColumns(int64_t width) const {
  if (width == window.width)
    return window.columns;
  // Scales of blocks of the width.
  if (window.width > width && window.width % width == 0 &&
      window.columns % (window.width / width) == 0)
    return window.columns / (window.width / width);
  return roundUpToPowerOfTwo(width);
}

Value RowEmitter::getFirstColumn(int64_t width) {
  if (!window.firstColumn)
    return b.index(0);
  if (width == window.width)
    return window.firstColumn;
  VARVE_ASSERT(window.width % width == 0, "blocks divide the width");
  return b.div(window.firstColumn, window.width / width);
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

Value RowEmitter::getView(Value memory, RankedTensorType type) {
  KernelBuilder &builder = kernel.getKernel();
  if (window.form == RowForm::Flat)
    return kernel.view(builder.flatten(memory));
  if (window.form == RowForm::Tokens || type.getRank() == 1)
    return kernel.view(memory);
  // [T, H, d] as [T H, d], [T, H] as [T H].
  auto planType = cast<DeviceTensorType>(memory.getType());
  SmallVector<plan::LinearAttr> shape = {
      planType.getShape().front().times(type.getDimSize(1))};
  if (type.getRank() == 3)
    shape.push_back(planType.getShape().back());
  return kernel.view(builder.reshape(memory, shape));
}

Value RowEmitter::getTokens() {
  Value rows = b.numbersFrom(window.firstRow, window.rows);
  if (window.heads == 1)
    return rows;
  return arith::DivUIOp::create(b, rows, b.likeInt(rows, window.heads));
}

RowEmitter::Parts RowEmitter::getWide(Value value) {
  if (auto it = wide.find(value); it != wide.end())
    return it->second;
  RankedTensorType type = typeOf(value);
  Value view = getView(kernel.getKernel().getMemory(value), type);
  int64_t width = getWidth(value);
  SmallVector<int64_t> shape = {window.rows, getColumns(width)};
  Value column = getFirstColumn(width);
  Parts parts;
  if (window.form == RowForm::Tokens && type.getRank() == 3) {
    for (int64_t i = 0; i < type.getDimSize(1); ++i)
      parts.push_back(b.load(view, {window.firstRow, b.index(i), column}, shape,
                             /*dims=*/{0, 2}));
  } else {
    parts.push_back(b.load(view, {window.firstRow, column}, shape));
  }
  return wide[value] = parts;
}

RowEmitter::Parts RowEmitter::getNarrow(Value value) {
  if (auto it = narrow.find(value); it != narrow.end())
    return it->second;
  RankedTensorType type = typeOf(value);
  Value view = getView(kernel.getKernel().getMemory(value), type);
  Parts parts;
  if (type.getRank() == 1) {
    if (window.heads == 1)
      parts.push_back(b.load(view, {window.firstRow}, {window.rows}));
    else
      parts.push_back(b.gather(view, getTokens(), /*columns=*/0));
  } else if (window.form == RowForm::Heads) {
    parts.push_back(b.load(view, {window.firstRow}, {window.rows}));
  } else {
    // Every place of the dimensions behind the first.
    int64_t inner = type.getRank() == 3 ? type.getDimSize(2) : 1;
    for (int64_t i = 0; i < type.getDimSize(1); ++i)
      for (int64_t j = 0; j < inner; ++j) {
        SmallVector<Value> offsets = {window.firstRow, b.index(i)};
        if (type.getRank() == 3)
          offsets.push_back(b.index(j));
        parts.push_back(b.load(view, offsets, {window.rows}, /*dims=*/{0}));
      }
  }
  return narrow[value] = parts;
}

Value RowEmitter::getF32(Value value) {
  Parts parts = getWide(value);
  VARVE_ASSERT(parts.size() == 1, "a value of one part");
  return b.toF32(parts.front());
}

Value RowEmitter::getColumnWeight(Value weight) {
  int64_t width = typeOf(weight).getDimSize(0);
  Value view = kernel.view(kernel.getKernel().getMemory(weight));
  return b.toF32(b.load(view, {getFirstColumn(width)}, {getColumns(width)}));
}

void RowEmitter::setRounded(Value value, Value tile) {
  setWide(value, {b.round(tile, typeOf(value).getElementType())});
}

/// Where a result goes: to what the kernel yields, and to its memory if ops
/// outside of this emitter use it.
SmallVector<Value> RowEmitter::getStores(Value result) {
  KernelBuilder &builder = kernel.getKernel();
  if (builder.isYielded(result) || !builder.hasMemory(result))
    return builder.getOutputs(result);
  return {builder.getMemory(result)};
}

void RowEmitter::store(Operation *op) {
  b.setLoc(op->getLoc());
  for (Value result : op->getResults()) {
    RankedTensorType type = typeOf(result);
    for (Value memory : getStores(result)) {
      Value view = getView(memory, type);
      if (auto it = wide.find(result); it != wide.end()) {
        Value column = getFirstColumn(getWidth(result));
        bool hasParts = window.form == RowForm::Tokens && type.getRank() == 3;
        for (auto [i, part] : llvm::enumerate(it->second)) {
          if (hasParts)
            b.store(part, view, {window.firstRow, b.index(i), column},
                    /*dims=*/{0, 2});
          else
            b.store(part, view, {window.firstRow, column});
        }
        continue;
      }
      const Parts &parts = narrow.find(result)->second;
      int64_t inner = type.getRank() == 3 ? type.getDimSize(2) : 1;
      for (auto [i, part] : llvm::enumerate(parts)) {
        SmallVector<Value> offsets = {window.firstRow};
        if (type.getRank() > 1 && window.form != RowForm::Heads) {
          offsets.push_back(b.index(i / inner));
          if (type.getRank() == 3)
            offsets.push_back(b.index(i % inner));
        }
        b.store(part, view, offsets, /*dims=*/{0});
      }
    }
  }
}
