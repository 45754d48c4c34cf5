//===- Gather.cpp - Rows of views by number -------------------------------===//

#include "passes/Engine/Nvidia/Window.h"

using namespace mlir;
using namespace mlir::varve::tile;
using namespace mlir::varve::nvidia;

/// The layout of a tile's row numbers.
static RankedTensorType getRowsType(RankedTensorType tile, Type element) {
  Attribute layout = tile.getEncoding();
  if (tile.getRank() == 2)
    layout = SliceLayoutAttr::get(tile.getContext(), 1, layout);
  return RankedTensorType::get(tile.getShape().take_front(), element, layout);
}

namespace {

/// Where the rows of an op are in its view.
template <typename OpTy> class RowNumbers {
public:
  RowNumbers(Lowering &lowering, OpTy op)
      : lowering(lowering), code(lowering.code), op(op),
        view(lowering.views[op.getView()]) {}

  Window::Row get(Value number, Value sequence) {
    Window::Row row;
    row.exists = code.cmp(arith::CmpIPredicate::sge, number, 0);
    Value position = code.toI64(number);
    if (op.getTable()) {
      int64_t size = *op.getPageSize();
      // A negative number must not be divided as an unsigned one. Numbers of 32
      // bits are divided as such.
      Value clamped = code.max(number, code.constant(number.getType(), 0));
      Value page =
          getPage(code.toI64(code.div(clamped, size)), sequence, row.exists);
      row.exists =
          code.both(row.exists, code.cmp(arith::CmpIPredicate::sge, page, 0));
      position =
          code.add(code.mul(page, size), code.toI64(code.rem(clamped, size)));
    }
    row.exists = code.both(row.exists, code.cmp(arith::CmpIPredicate::ult,
                                                position, view.sizes[0]));
    row.position = code.mul(position, view.strides[0]);
    return row;
  }

private:
  /// An entry of the page table; `exists` loses rows that have none.
  Value getPage(Value page, Value sequence, Value &exists) {
    const View &table = lowering.views[op.getTable()];
    int64_t pageDim = table.sizes.size() - 1;
    Value position = code.mul(page, table.strides[pageDim]);
    auto require = [&](Value index, int64_t dim) {
      exists = code.both(
          exists, code.cmp(arith::CmpIPredicate::ult, index, table.sizes[dim]));
    };
    require(page, pageDim);
    if (sequence) {
      sequence = code.toI64(sequence);
      require(sequence, 0);
      position = code.add(position, code.mul(sequence, table.strides[0]));
    }
    Value address = code.offset(
        table.base, code.mul(position, getStorageBytes(table.element)));
    address = code.select(exists, address, lowering.getZeros());
    return code.toI64(
        code.load(address, getStorageType(table.element), 1).front());
  }

  Lowering &lowering;
  Code &code;
  OpTy op;
  const View &view;
};

} // namespace

SmallVector<Lowering::RowsKey> Lowering::hoistRowNumbers(scf::ForOp loop) {
  SmallVector<RowsKey> added;
  loop.walk([&](GatherCopyOp op) {
    for (Value tile : {Value(op.getRows()), Value(op.getSequences())}) {
      // Those of other roles are not known here.
      auto known = tile ? tiles.find(tile) : tiles.end();
      if (known == tiles.end() || !loop.isDefinedOutsideOfLoop(tile))
        continue;
      RankedTensorType type =
          getRowsType(getMovedType(op.getBuffer().getType()),
                      known->second.type.getElementType());
      RowsKey key = {tile, type};
      if (rowNumbers.contains(key))
        continue;
      added.push_back(key);
      RegisterTile numbers = known->second;
      rowNumbers[key] = convert(numbers, type);
    }
  });
  return added;
}

template <typename OpTy>
Window Lowering::makeWindow(OpTy op, RankedTensorType type) {
  auto convertRows = [&](Value tile) {
    auto source = cast<RankedTensorType>(tile.getType());
    RankedTensorType wanted = getRowsType(type, source.getElementType());
    auto known = rowNumbers.find({tile, wanted});
    return known != rowNumbers.end() ? known->second
                                     : convert(getTile(tile), wanted);
  };
  RegisterTile numbers = convertRows(op.getRows());
  std::optional<RegisterTile> sequences;
  if (Value tile = op.getSequences())
    sequences = convertRows(tile);
  RowNumbers<OpTy> rowNumbers(*this, op);
  const LayoutMap &map = getMap(numbers.type);
  llvm::DenseMap<int64_t, Window::Row> rows;
  for (int64_t reg = 0; reg < map.getNumRegisters(); ++reg)
    rows[map.getOffset(reg)[0]] =
        rowNumbers.get(numbers.registers[reg],
                       sequences ? sequences->registers[reg] : Value());
  return Window(*this, views[op.getView()], std::move(rows), op.getColumn(),
                type);
}

template <typename OpTy>
RegisterTile Lowering::gatherRows(OpTy op, RankedTensorType type, Value fill) {
  Window window = makeWindow(op, type);
  return loadTile(window, type, nullptr, fill);
}

template RegisterTile Lowering::gatherRows(GatherOp, RankedTensorType, Value);
template RegisterTile Lowering::gatherRows(GatherCopyOp, RankedTensorType,
                                           Value);
template Window Lowering::makeWindow(GatherCopyOp, RankedTensorType);

void Lowering::lowerScatter(ScatterOp op) {
  const RegisterTile &tile = getTile(op.getValue());
  Window window = makeWindow(op, tile.type);
  storeTile(tile, nullptr, window);
}
