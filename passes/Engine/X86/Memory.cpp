//===- Memory.cpp - Views and shared buffers ------------------------------===//
//
// Every access is cut into rows: runs along one dimension of the view. A row
// that lies within the view moves by vectors, one that does not element by
// element, and one outside not at all.
//
//===----------------------------------------------------------------------===//

#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "passes/Engine/X86/Lowering.h"

using namespace mlir;
using namespace mlir::varve::tile;
using namespace mlir::varve::x86;

//===----------------------------------------------------------------------===//
// Elements of a view
//===----------------------------------------------------------------------===//

static bool isOne(Value value) { return getConstantIntValue(value) == 1; }

/// Reads neighbours along a dimension of stride 1. Of packed elements, a single
/// one may stand anywhere; several begin at a whole byte.
Value Lowering::loadView(const View &view, Value position, int64_t width) {
  if (!view.isPacked())
    return code.loadRaw(view.base, position, getStorageType(view.element),
                        width);
  Type i8 = code.builder.getI8Type();
  Value byte = code.div(position, code.index(2));
  Value bytes = code.load(view.base, byte, i8, std::max<int64_t>(width / 2, 1));
  auto constant = [&](int64_t value) {
    return code.splat(
        code.create<arith::ConstantOp>(code.builder.getI8IntegerAttr(value)),
        cast<VectorType>(bytes.getType()).getNumElements());
  };
  if (width == 1) {
    Value isOdd = code.cmp(arith::CmpIPredicate::ne,
                           code.rem(position, code.index(2)), code.index(0));
    Value high = code.create<arith::ShRUIOp>(bytes, constant(4));
    return code.create<arith::AndIOp>(
        code.create<arith::SelectOp>(isOdd, high, bytes), constant(15));
  }
  Value low = code.create<arith::AndIOp>(bytes, constant(15));
  Value high = code.create<arith::ShRUIOp>(bytes, constant(4));
  return code.create<vector::InterleaveOp>(low, high);
}

void Lowering::storeView(const View &view, Value stored, Value position) {
  if (!view.isPacked())
    return code.storeRaw(stored, view.base, position);
  Type i8 = code.builder.getI8Type();
  int64_t width = cast<VectorType>(stored.getType()).getNumElements();
  Value byte = code.div(position, code.index(2));
  auto constant = [&](int64_t value) {
    return code.splat(
        code.create<arith::ConstantOp>(code.builder.getI8IntegerAttr(value)),
        std::max<int64_t>(width / 2, 1));
  };
  if (width > 1) {
    auto halves = code.create<vector::DeinterleaveOp>(stored);
    Value high = code.create<arith::ShLIOp>(halves.getRes2(), constant(4));
    code.store(code.create<arith::OrIOp>(halves.getRes1(), high), view.base,
               byte);
    return;
  }
  Value old = code.load(view.base, byte, i8, 1);
  Value isOdd = code.cmp(arith::CmpIPredicate::ne,
                         code.rem(position, code.index(2)), code.index(0));
  Value asLow = code.create<arith::OrIOp>(
      code.create<arith::AndIOp>(old, constant(0xF0)), stored);
  Value asHigh = code.create<arith::OrIOp>(
      code.create<arith::AndIOp>(old, constant(0x0F)),
      code.create<arith::ShLIOp>(stored, constant(4)));
  code.store(code.create<arith::SelectOp>(isOdd, asHigh, asLow), view.base,
             byte);
}

/// Whether all of a row lies within the view and can move by vectors; null when
/// it never can.
Value Lowering::isWhole(const View &view, const Row &row) {
  if (!isOne(view.strides[*row.dim]) || (view.isPacked() && row.count % 2 != 0))
    return {};
  Value end = code.add(row.start, code.index(row.count));
  Value whole =
      code.both(code.cmp(arith::CmpIPredicate::sge, row.start, code.index(0)),
                code.cmp(arith::CmpIPredicate::sle, end, view.sizes[*row.dim]));
  if (!view.isPacked())
    return whole;
  Value first = code.add(row.offset, row.start);
  return code.both(whole,
                   code.cmp(arith::CmpIPredicate::eq,
                            code.rem(first, code.index(2)), code.index(0)));
}

//===----------------------------------------------------------------------===//
// Rows
//===----------------------------------------------------------------------===//

/// Reads a row to element `target` and following of the array at `base`.
void Lowering::readRow(const View &view, const Row &row, Value base,
                       Value target, Value filler, MaskFn mask) {
  Value fill = code.toStorage(filler);
  Type storage = fill.getType();
  auto fillRow = [&] {
    code.forVectors(row.count, [&](Value i, int64_t width) {
      code.storeRaw(code.splat(fill, width), base, code.add(target, i));
    });
  };
  auto readVectors = [&] {
    Value from = row.dim ? code.add(row.offset, row.start) : row.offset;
    code.forVectors(row.count, [&](Value i, int64_t width) {
      Value vector = loadView(view, code.add(from, i), width);
      if (mask)
        vector = code.create<arith::SelectOp>(mask(i, width), vector,
                                              code.splat(fill, width));
      code.storeRaw(vector, base, code.add(target, i));
    });
  };
  auto readSingly = [&] {
    code.loop(row.count, [&](Value i) {
      Value index = code.add(row.start, i);
      Value inside = code.isWithin(index, view.sizes[*row.dim]);
      if (mask)
        inside = code.both(inside, code.first(mask(i, 1)));
      Value from =
          code.add(row.offset, code.mul(index, view.strides[*row.dim]));
      Value vector = code.select(
          inside, VectorType::get(1, storage),
          [&] { return loadView(view, from, 1); },
          [&] { return code.splat(fill, 1); });
      code.storeRaw(vector, base, code.add(target, i));
    });
  };
  code.ifThenElse(
      row.isValid,
      [&] {
        if (!row.dim)
          return readVectors();
        if (Value whole = isWhole(view, row))
          code.ifThenElse(whole, readVectors, readSingly);
        else
          readSingly();
      },
      fillRow);
}

/// Writes a row whose elements `value` gives.
void Lowering::writeRow(const View &view, const Row &row, MaskFn value,
                        MaskFn mask) {
  auto writeSingly = [&] {
    code.loop(row.count, [&](Value i) {
      Value inside = row.isValid, position = row.offset;
      if (row.dim) {
        Value index = code.add(row.start, i);
        inside = code.isWithin(index, view.sizes[*row.dim]);
        position = code.add(position, code.mul(index, view.strides[*row.dim]));
      }
      if (mask)
        inside = code.both(inside, code.first(mask(i, 1)));
      code.ifThen(inside, [&] {
        storeView(view, code.toStorage(value(i, 1)), position);
      });
    });
  };
  auto writeVectors = [&] {
    Value to = code.add(row.offset, row.start);
    code.forVectors(row.count, [&](Value i, int64_t width) {
      Value vector = value(i, width);
      if (mask)
        code.maskedStore(vector, mask(i, width), view.base, code.add(to, i));
      else
        storeView(view, code.toStorage(vector), code.add(to, i));
    });
  };
  code.ifThen(row.isValid, [&] {
    Value whole = row.dim ? isWhole(view, row) : Value();
    if (whole && !(mask && view.isPacked()))
      code.ifThenElse(whole, writeVectors, writeSingly);
    else
      writeSingly();
  });
}

/// Calls `body` for the rows of a tile of `shape` at `offsets`, whose
/// dimensions are `dims` of the view.
void Lowering::forRows(const View &view, ValueRange offsets,
                       ArrayRef<int64_t> dims, ArrayRef<int64_t> shape,
                       RowFn body) {
  // Dimensions that the tile does not have.
  Value valid, base = code.index(0);
  auto require = [&](Value condition) {
    valid = valid ? code.both(valid, condition) : condition;
  };
  for (auto [dim, offset] : llvm::enumerate(offsets)) {
    if (llvm::is_contained(dims, static_cast<int64_t>(dim)))
      continue;
    require(code.isWithin(offset, view.sizes[dim]));
    base = code.add(base, code.mul(offset, view.strides[dim]));
  }
  Value outerValid = valid;
  code.forEach(shape.drop_back(), [&](ValueRange outer) {
    valid = outerValid;
    Value position = base;
    for (auto [i, dim] : llvm::zip(outer, dims)) {
      Value index = code.add(offsets[dim], i);
      require(code.isWithin(index, view.sizes[dim]));
      position = code.add(position, code.mul(index, view.strides[dim]));
    }
    if (!valid)
      valid = code.create<arith::ConstantOp>(code.builder.getBoolAttr(true));
    Row row{valid, position, static_cast<unsigned>(dims.back()),
            offsets[dims.back()], shape.back()};
    body(row, outer);
  });
}

/// The page of a table and whether it is there; a rank-1 table has no sequence.
Value Lowering::getTablePage(ViewType type, const View &table, Value sequence,
                             Value page, Value &isValid) {
  unsigned pageDim = type.getRank() - 1;
  Value position = code.mul(page, table.strides[pageDim]);
  isValid = code.both(isValid, code.isWithin(page, table.sizes[pageDim]));
  if (sequence) {
    isValid = code.both(isValid, code.isWithin(sequence, table.sizes[0]));
    position = code.add(position, code.mul(sequence, table.strides[0]));
  }
  return code.select(
      isValid, code.builder.getIndexType(),
      [&] {
        return code.toIndex(
            code.first(code.load(table.base, position, table.element, 1)));
      },
      [&] { return code.index(-1); });
}

/// Calls `body` for the rows that a gather or scatter names.
template <typename OpTy>
void Lowering::forNumberedRows(OpTy op, ArrayRef<int64_t> shape, RowFn body) {
  const View view = views[op.getView()];
  code.loop(shape[0], [&](Value i) {
    Value number = code.toIndex(evaluateScalar(op.getRows(), i));
    Value valid = code.cmp(arith::CmpIPredicate::sge, number, code.index(0));
    if (Value table = op.getTable()) {
      Value size = code.index(*op.getPageSize());
      // A negative number must not be divided as an unsigned one.
      Value clamped = code.max(number, code.index(0));
      Value sequence;
      if (Value sequences = op.getSequences())
        sequence = code.toIndex(evaluateScalar(sequences, i));
      Value page = getTablePage(cast<ViewType>(table.getType()), views[table],
                                sequence, code.div(clamped, size), valid);
      valid = code.both(
          valid, code.cmp(arith::CmpIPredicate::sge, page, code.index(0)));
      number = code.add(code.mul(page, size), code.rem(clamped, size));
    }
    valid = code.both(valid, code.isWithin(number, view.sizes[0]));
    Row row{valid, code.mul(number, view.strides[0]), std::nullopt, Value(), 1};
    if (shape.size() == 2) {
      row.dim = 1;
      row.start = scalar(op.getColumn());
      row.count = shape[1];
    }
    body(row, i);
  });
}

//===----------------------------------------------------------------------===//
// Ops
//===----------------------------------------------------------------------===//

Value Lowering::getFill(Value fill, Type element) {
  return fill ? scalar(fill) : code.zero(element);
}

/// The number of the first element of a row of an array.
static Value getRowStart(Code &code, const Array &array, ValueRange outer) {
  Value position = code.index(array.offset);
  for (auto [i, stride] : llvm::zip(outer, array.strides))
    position = code.add(position, code.mul(i, code.index(stride)));
  return position;
}

void Lowering::readWindow(const View &view, ValueRange offsets,
                          ArrayRef<int64_t> dims, ArrayRef<int64_t> shape,
                          Value fill, Value mask, const Array &target) {
  forRows(view, offsets, dims, shape, [&](const Row &row, ValueRange outer) {
    auto evaluateMask = [&](Value i, int64_t width) {
      Point point{SmallVector<Value>(outer), width};
      point.position.push_back(i);
      return evaluate(mask, point);
    };
    readRow(view, row, target.base, getRowStart(code, target, outer), fill,
            mask ? MaskFn(evaluateMask) : MaskFn());
  });
}

void Lowering::lowerLoad(LoadOp op) {
  ArrayRef<int64_t> shape = op.getType().getShape();
  Array target = allocate(shape, op.getType().getElementType());
  readWindow(views[op.getView()], scalarRange(op.getOffsets()),
             op.getTileDims(), shape, getFill(op.getFill(), target.element),
             op.getMask(), target);
  arrays[op.getResult()] = target;
}

void Lowering::lowerCopy(CopyOp op) {
  const Array target = buffers[op.getBuffer()];
  readWindow(views[op.getView()], scalarRange(op.getOffsets()),
             op.getTileDims(), op.getBuffer().getType().getShape(),
             code.zero(target.element), Value(), target);
}

void Lowering::lowerRead(ReadOp op) {
  ArrayRef<int64_t> shape = op.getType().getShape();
  Array target = allocate(shape, op.getType().getElementType());
  copy(buffers[op.getBuffer()], shape, target);
  arrays[op.getResult()] = target;
}

void Lowering::lowerStore(StoreOp op) {
  Value source = op.getValue();
  auto buffer = dyn_cast<BufferType>(source.getType());
  ArrayRef<int64_t> shape = buffer ? buffer.getShape() : getShape(source);
  const View view = views[op.getView()];
  forRows(view, scalarRange(op.getOffsets()), op.getTileDims(), shape,
          [&](const Row &row, ValueRange outer) {
            auto at = [&](Value i, int64_t width) {
              Point point{SmallVector<Value>(outer), width};
              point.position.push_back(i);
              return point;
            };
            auto value = [&](Value i, int64_t width) {
              return buffer
                         ? evaluateArray(buffers[source], shape, at(i, width))
                         : evaluate(source, at(i, width));
            };
            auto mask = [&](Value i, int64_t width) {
              return evaluate(op.getMask(), at(i, width));
            };
            writeRow(view, row, value, op.getMask() ? MaskFn(mask) : MaskFn());
          });
}

void Lowering::lowerLoadScalar(LoadScalarOp op) {
  const View view = views[op.getView()];
  Value valid, position = code.index(0);
  for (auto [dim, offset] : llvm::enumerate(scalarRange(op.getOffsets()))) {
    Value inside = code.isWithin(offset, view.sizes[dim]);
    valid = valid ? code.both(valid, inside) : inside;
    position = code.add(position, code.mul(offset, view.strides[dim]));
  }
  Value element = code.select(
      valid, getStorageType(view.element),
      [&] { return code.first(loadView(view, position, 1)); },
      [&] { return code.toStorage(code.zero(view.element)); });
  scalars.map(op.getResult(), code.fromStorage(element, view.element));
}

void Lowering::lowerSubview(SubviewOp op) {
  View part = views[op.getView()];
  Value position = code.index(0);
  unsigned nextSize = 0;
  for (int64_t dim = 0; dim < op.getType().getRank(); ++dim) {
    if (!op.getType().isDynamicDim(dim))
      continue;
    Value size = part.sizes[dim];
    Value offset =
        code.max(code.index(0), code.min(scalar(op.getOffsets()[dim]), size));
    Value asked = scalar(op.getSizes()[nextSize++]);
    part.sizes[dim] =
        code.max(code.index(0), code.min(asked, code.sub(size, offset)));
    position = code.add(position, code.mul(offset, part.strides[dim]));
  }
  part.base =
      code.offsetPointer(part.base, position, getStorageType(part.element));
  views[op.getResult()] = part;
}

template <typename OpTy>
void Lowering::lowerGather(OpTy op, Value fill, const Array &target,
                           ArrayRef<int64_t> shape) {
  const View view = views[op.getView()];
  Value filler = getFill(fill, view.element);
  forNumberedRows(op, shape, [&](const Row &row, ValueRange outer) {
    readRow(view, row, target.base, getRowStart(code, target, outer), filler,
            MaskFn());
  });
}

namespace mlir::varve::x86 {
template void Lowering::lowerGather(GatherOp, Value, const Array &,
                                    ArrayRef<int64_t>);
template void Lowering::lowerGather(GatherCopyOp, Value, const Array &,
                                    ArrayRef<int64_t>);
} // namespace mlir::varve::x86

void Lowering::lowerScatter(ScatterOp op) {
  const View view = views[op.getView()];
  forNumberedRows(op, getShape(op.getValue()),
                  [&](const Row &row, ValueRange outer) {
                    auto value = [&](Value i, int64_t width) {
                      Point point{SmallVector<Value>(outer), width};
                      if (row.dim)
                        point.position.push_back(i);
                      return evaluate(op.getValue(), point);
                    };
                    writeRow(view, row, value, MaskFn());
                  });
}

void Lowering::lowerAtomic(AtomicOp op) {
  const View view = views[op.getView()];
  ArrayRef<int64_t> shape = getShape(op.getValue());
  Array target = allocate(shape, view.element);
  SmallVector<int64_t> dims = op.getTileDims();
  forRows(view, scalarRange(op.getOffsets()), dims, shape,
          [&](const Row &row, ValueRange outer) {
            code.loop(row.count, [&](Value i) {
              SmallVector<Value> position(outer);
              position.push_back(i);
              Value index = code.add(row.start, i);
              Value inside = code.both(
                  row.isValid, code.isWithin(index, view.sizes[*row.dim]));
              if (op.getMask())
                inside =
                    code.both(inside, evaluateScalar(op.getMask(), position));
              Value old = code.select(
                  inside, view.element,
                  [&]() -> Value {
                    Value at = code.add(
                        row.offset, code.mul(index, view.strides[*row.dim]));
                    return code.create<LLVM::AtomicRMWOp>(
                        engine::getAtomicOperation(op.getKind()),
                        code.offsetPointer(view.base, at, view.element),
                        evaluateScalar(op.getValue(), position),
                        LLVM::AtomicOrdering::acq_rel);
                  },
                  [&] { return code.zero(view.element); });
              code.store(code.splat(old, 1), target.base,
                         code.add(getRowStart(code, target, outer), i));
            });
          });
  arrays[op.getOld()] = target;
}
