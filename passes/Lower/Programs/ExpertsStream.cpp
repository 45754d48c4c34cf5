//===- ExpertsStream.cpp - Experts' products behind rings -----------------===//
//
// Columns of the result are the rows of the matrix products, and the rows of an
// expert's tile their columns: few rows then make small instructions, and codes
// of a weight are what lanes hold in registers. A role of its own copies codes,
// scales and rows ahead, also while the other finishes and stores a tile:
// blocks stay, and take tiles in turn.
//
//===----------------------------------------------------------------------===//

#include "passes/Lower/Programs/ExpertsProgram.h"

#include "dialects/Tile/QuadOrder.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::varve;
using namespace mlir::varve::tile;
using Values = TileProgram::Values;

bool mlir::varve::canStreamExperts(const ExpertsShape &shape) {
  // Rows are bf16 in the end: codes times powers of two are.
  bool areRowsExact =
      shape.x.isBF16() || (isa_and_present<Float8E8M0FNUType>(shape.xScale) &&
                           shape.x.getIntOrFloatBitWidth() <= 8);
  return areRowsExact && isa<Float4E2M1FNType>(shape.weight) &&
         isa_and_present<Float8E8M0FNUType>(shape.weightScale) &&
         shape.blockRows == 1 && shape.blockColumns % 32 == 0 &&
         shape.K % shape.blockColumns == 0;
}

namespace {

class ExpertsStream : ExpertsProgram {
public:
  using ExpertsProgram::ExpertsProgram;
  void build();

private:
  void addArguments();
  int64_t getBlockColumns() const { return shape.isGated ? BN : parts * BN; }
  int64_t getColumnBlocks() const {
    return llvm::divideCeil(shape.N, getBlockColumns());
  }
  void findPair();
  void findTile(Value product);
  Value loadPairs();
  Value loadRows();
  RingType getRingType();
  Values on(StringRef role, TypeRange types, function_ref<Values()> body);
  void copyTo(Value buffer, Value view, ValueRange offsets,
              ArrayRef<int64_t> dims);
  void fillStage(Value ring, Value k, Value rows);
  void copyRows(ValueRange buffers, Value k);
  void gatherRows(ValueRange buffers, Value k, Value rows);
  Values multiplyStage(Value ring, ValueRange sums);
  Values loadTargets();
  void storeSums(ValueRange sums, ValueRange targets);
  void storeRows(ValueRange sums, ValueRange targets, int64_t row,
                 int64_t count);
  Value hasRow(int64_t row);
  void multiplyTile(Value ring, Value zeros);
  void multiplyInTurn(Value ring, ArrayRef<int64_t> sizes,
                      ArrayRef<Value> zeros);
  /// Columns of a stage that a product takes: where it waits for the one
  /// before, those that share the scale of a row, so that scales lie side by
  /// side.
  int64_t getProductColumns() const {
    return strategy.hasSortedRows() ? kQuadBlock : BK;
  }
  /// The weight of a part, and its part of the result's columns from `column`.
  unsigned getWeight(int64_t part) const { return shape.isGated ? part : 0; }
  Value getColumn(int64_t part) {
    return shape.isGated ? column : p.add(column, p.index(part * BN));
  }

  /// Products of a block: the pair's, or several tiles of columns.
  int64_t parts = 1;
  /// Of the tile whose products are being written.
  int64_t tileRows = 0;
  Value ids, ends, tileEnds, tiles, order;
  /// i32: the tile's number. index: its expert.
  Value tile, expert;
  /// i32, of sorted pairs: the tile's first, and behind the expert's last.
  Value first, end;
  /// What is summed: K, or nothing where there is no such pair.
  Value depth;
};

} // namespace

void ExpertsStream::addArguments() {
  parts = shape.isGated ? 2 : strategy.parts;
  x = p.addRows({getArrangedColumns(shape)}, shape.x);
  if (strategy.hasSortedRows())
    xScales = p.addRows({}, shape.xScale);
  else if (shape.xScale)
    xScales =
        p.addRows({getArrangedColumns(shape) / shape.xBlock}, shape.xScale);
  if (strategy.isSorted) {
    ends = p.addView({shape.experts}, p.i32());
    tileEnds = p.addView({shape.experts}, p.i32());
    tiles = p.addRows({}, p.i32());
    order = p.addRows({}, p.i32());
  } else {
    ids = p.addRows({}, p.i32());
  }
  addWeights();
  addResults();
}

/// The pair that the block multiplies.
void ExpertsStream::findPair() {
  column = p.mul(p.programId(0), p.index(getBlockColumns()));
  tile = p.toInteger(p.programId(1));
  Value number = p.loadScalar(ids, p.programId(1));
  expert = p.toIndex(number);
  depth =
      p.select(p.atLeast(number, p.integer(0)), p.index(shape.K), p.index(0));
}

/// The tile, and the columns of the result, of one of the products.
void ExpertsStream::findTile(Value product) {
  Value blocks = p.index(getColumnBlocks());
  column = p.mul(p.rem(product, blocks), p.index(getBlockColumns()));
  Value number = p.div(product, blocks);
  tile = p.toInteger(number);
  expert = p.toIndex(p.loadScalar(tiles, number));
  // Outside the views, before the first expert, there is a zero.
  Value before = p.sub(expert, p.index(1));
  first = p.add(p.loadScalar(ends, before),
                p.mul(p.sub(tile, p.loadScalar(tileEnds, before)),
                      p.integer(strategy.rows)));
  end = p.loadScalar(ends, expert);
  depth = p.index(shape.K);
}

/// The pairs of the tile's rows, i32; -1 where there is none.
Value ExpertsStream::loadPairs() {
  int64_t count = tileRows;
  Value number = p.iota({count}, 0);
  Value none = p.integer(-1);
  if (!strategy.isSorted)
    return p.select(p.equal(number, p.integer(0)), p.splat({count}, tile),
                    none);
  Value pairs = p.load(order, p.toIndex(first), {count}, {}, {}, none);
  return p.select(p.less(p.add(number, first), end), pairs, none);
}

/// The rows of x that belong to the tile's pairs.
Value ExpertsStream::loadRows() {
  Value pairs = loadPairs();
  if (shape.hasRowPerExpert)
    return pairs;
  Value isThere = p.atLeast(pairs, p.integer(0));
  return p.select(isThere, p.div(pairs, p.integer(shape.active)),
                  p.integer(-1));
}

RingType ExpertsStream::getRingType() {
  MLIRContext *context = p.builder.getContext();
  auto makeBuffer = [&](ArrayRef<int64_t> shape, Type element, int64_t widest) {
    int64_t bytes = shape[1] * element.getIntOrFloatBitWidth() / 8;
    for (int64_t swizzle : {128, 64, 32})
      if (swizzle <= widest && bytes % swizzle == 0)
        return BufferType::get(shape, element,
                               SharedLayoutAttr::get(context, swizzle));
    return BufferType::get(shape, element);
  };
  SmallVector<BufferType> buffers;
  for (int64_t part = 0; part < parts; ++part) {
    // Panels of a block of quads: lanes read all banks at once.
    buffers.push_back(makeBuffer({BN, BK}, shape.weight, kQuadBlock / 2));
    buffers.push_back(
        BufferType::get({BN, BK / shape.blockColumns}, shape.weightScale));
  }
  buffers.push_back(makeBuffer({strategy.rows, BK}, shape.x, 128));
  if (strategy.hasSortedRows())
    buffers.append(BK / kQuadBlock,
                   BufferType::get({strategy.rows}, shape.xScale));
  else if (shape.xScale)
    buffers.push_back(
        BufferType::get({strategy.rows, BK / shape.xBlock}, shape.xScale));
  return RingType::get(context, strategy.stages, buffers);
}

Values ExpertsStream::on(StringRef role, TypeRange types,
                         function_ref<Values()> body) {
  auto op = OnOp::create(p.builder, p.loc, types, role);
  OpBuilder::InsertionGuard guard(p.builder);
  p.builder.setInsertionPointToStart(&op.getBody().emplaceBlock());
  tile::YieldOp::create(p.builder, p.loc, body());
  return op.getResults();
}

void ExpertsStream::copyTo(Value buffer, Value view, ValueRange offsets,
                           ArrayRef<int64_t> dims) {
  CopyOp::create(p.builder, p.loc, view, offsets, buffer,
                 p.builder.getDenseI64ArrayAttr(dims), CacheHint::Normal);
}

void ExpertsStream::fillStage(Value ring, Value k, Value rows) {
  auto stage = AcquireOp::create(p.builder, p.loc, ring);
  ValueRange buffers = stage.getBuffers();
  for (int64_t part = 0; part < parts; ++part) {
    unsigned weight = getWeight(part);
    Value column = getColumn(part);
    copyTo(buffers[2 * part], weights[weight], {expert, column, k}, {1, 2});
    copyTo(buffers[2 * part + 1], weightScales[weight],
           {expert, column, p.div(k, p.index(shape.blockColumns))}, {1, 2});
  }
  strategy.hasSortedRows() ? copyRows(buffers.drop_front(2 * parts), k)
                           : gatherRows(buffers.drop_front(2 * parts), k, rows);
  tile::CommitOp::create(p.builder, p.loc, ring, stage.getSlot());
}

/// What lies behind the expert's last row is multiplied, and not stored.
void ExpertsStream::copyRows(ValueRange buffers, Value k) {
  Value row = p.toIndex(first);
  copyTo(p.subbuffer(buffers[0], {0, 0}, {tileRows, BK}), x, {row, k}, {0, 1});
  for (auto [i, buffer] : llvm::enumerate(buffers.drop_front())) {
    Value block = p.add(p.div(k, p.index(kQuadBlock)), p.index(i));
    copyTo(p.subbuffer(buffer, {0}, {tileRows}), xScales,
           p.add(p.mul(block, p.dim(order, 0)), row), {0});
  }
}

void ExpertsStream::gatherRows(ValueRange buffers, Value k, Value rows) {
  auto gather = [&](Value view, Value column, Value buffer) {
    GatherCopyOp::create(p.builder, p.loc, view, rows, column,
                         /*table=*/Value(), /*sequences=*/Value(), buffer,
                         IntegerAttr(), CacheHint::Normal);
  };
  gather(x, k, buffers[0]);
  if (xScales)
    gather(xScales, p.div(k, p.index(shape.xBlock)), buffers[1]);
}

Values ExpertsStream::multiplyStage(Value ring, ValueRange sums) {
  auto stage = ReceiveOp::create(p.builder, p.loc, ring);
  ValueRange buffers = stage.getBuffers();
  Values next(sums);
  int64_t columns = getProductColumns(), perScale = shape.blockColumns;
  for (int64_t k = 0; k < BK; k += columns) {
    auto getPart = [&](Value buffer, int64_t rows, int64_t perElement) {
      return p.subbuffer(buffer, {0, k / perElement},
                         {rows, columns / perElement});
    };
    Value rows = getPart(buffers[2 * parts], tileRows, 1), scales;
    if (xScales) {
      scales = buffers[2 * parts + 1 + k / columns];
      if (strategy.hasSortedRows())
        scales = p.subbuffer(scales, {0}, {tileRows});
      scales = p.reshape(p.read(scales), {tileRows, columns / shape.xBlock});
    }
    for (int64_t part = 0; part < parts; ++part)
      next[part] =
          p.scaledDot(getPart(buffers[2 * part], BN, 1),
                      p.read(getPart(buffers[2 * part + 1], BN, perScale)),
                      rows, scales, next[part], getQuads(strategy),
                      strategy.hasSortedRows() ? kQuartersExponent : 0);
  }
  ReleaseOp::create(p.builder, p.loc, ring, stage.getSlot());
  return next;
}

/// Which rows of the result the tile's are, and what they are multiplied by.
/// Loaded before the products: behind them nothing would hide two loads of
/// which one needs the other.
Values ExpertsStream::loadTargets() {
  Values targets = {loadPairs()};
  if (shape.isWeighted)
    targets.push_back(p.gather(routing, targets.front(), Value(), {tileRows}));
  return targets;
}

void ExpertsStream::storeSums(ValueRange sums, ValueRange targets) {
  for (int64_t row = 0; row < tileRows; row += kExpertsStoredRows)
    p.ifThen(hasRow(row), [&] {
      storeRows(sums, targets, row,
                std::min(kExpertsStoredRows, tileRows - row));
    });
}

/// Whether the tile has the row `row`.
Value ExpertsStream::hasRow(int64_t row) {
  return strategy.isSorted ? p.less(p.add(first, p.integer(row)), end)
                           : p.less(p.index(0), depth);
}

void ExpertsStream::storeRows(ValueRange sums, ValueRange targets, int64_t row,
                              int64_t count) {
  Value block = column, factors;
  Value pairs = p.slice(targets[0], {row}, {count});
  if (shape.isWeighted)
    factors =
        p.broadcast(p.slice(targets[1], {row}, {count}), {BN, count}, {1});
  auto getRows = [&](Value tile) {
    return p.slice(tile, {0, row}, {BN, count});
  };
  for (int64_t part = 0; part < (shape.isGated ? 1 : parts); ++part) {
    SmallVector<Value> products = {getRows(sums[part])};
    if (shape.isGated)
      products.push_back(getRows(sums[1]));
    // Rounded before the transposition: half of it to move.
    Value tile = p.convert(finish(products, factors), shape.getResult());
    column = getColumn(part);
    store(p.convert(p.transpose(tile), p.f32()),
          [&](Value tile, Value view, Value column) {
            p.scatter(tile, view, pairs, column);
          });
    column = block;
  }
}

/// One tile's products, from the first copy to the last store.
void ExpertsStream::multiplyTile(Value ring, Value zeros) {
  Value rows;
  if (!strategy.hasSortedRows())
    rows = on("load", p.tileType({tileRows}, p.i32()),
              [&]() -> Values { return {loadRows()}; })[0];
  SmallVector<Type> types = {p.tileType({tileRows}, p.i32())};
  if (shape.isWeighted)
    types.push_back(p.tileType({tileRows}, p.f32()));
  Values targets = on("math", types, [&] { return loadTargets(); });
  Values sums = p.loop(p.index(0), depth, BK, Values(parts, zeros),
                       [&](Value k, ValueRange carried) -> Values {
                         on("load", {}, [&]() -> Values {
                           fillStage(ring, k, rows);
                           return {};
                         });
                         return on("math", carried.getTypes(), [&] {
                           return multiplyStage(ring, carried);
                         });
                       });
  on("math", {}, [&]() -> Values {
    storeSums(sums, targets);
    return {};
  });
}

/// Tiles of sorted pairs, every `blocks`th of them. One of few rows takes the
/// smallest of `sizes` that holds it.
void ExpertsStream::multiplyInTurn(Value ring, ArrayRef<int64_t> sizes,
                                   ArrayRef<Value> zeros) {
  std::function<void(size_t)> multiply = [&](size_t i) {
    auto multiplyThis = [&]() -> Values {
      tileRows = sizes[i];
      multiplyTile(ring, zeros[i]);
      return {};
    };
    if (i + 1 == sizes.size()) {
      multiplyThis();
      return;
    }
    Value fits = p.less(p.sub(end, first), p.integer(sizes[i] + 1));
    p.ifElse(fits, multiplyThis, [&]() -> Values {
      multiply(i + 1);
      return {};
    });
  };
  Value products =
      p.mul(p.toIndex(p.loadScalar(tileEnds, p.index(shape.experts - 1))),
            p.index(getColumnBlocks()));
  p.loop(p.programId(0), products, strategy.blocks, [&](Value product) {
    findTile(product);
    multiply(0);
  });
}

void ExpertsStream::build() {
  addArguments();
  MLIRContext *context = p.builder.getContext();
  // Of a lane of each of 12 warps, 168 if all had the same. Who gathers rows
  // keeps their addresses; who multiplies has 216 or 232.
  constexpr int64_t kRegisters = 2016;
  int64_t loads = strategy.hasSortedRows() ? 40 : 72;
  if (!strategy.isSorted)
    findPair();
  SmallVector<int64_t> sizes = strategy.fewerRows;
  sizes.push_back(strategy.rows);
  SmallVector<Value> zeros = llvm::map_to_vector(
      sizes, [&](int64_t rows) { return p.zeros({BN, rows}); });
  auto pipeline = PipelineOp::create(
      p.builder, p.loc,
      p.builder.getArrayAttr(
          {RoleAttr::get(context, "load", kExpertsLoadWarps, loads),
           RoleAttr::get(context, "math", strategy.warps,
                         (kRegisters - loads * kExpertsLoadWarps) /
                             strategy.warps)}));
  OpBuilder::InsertPoint behind = p.builder.saveInsertionPoint();
  p.builder.setInsertionPointToStart(&pipeline.getBody().emplaceBlock());
  Value ring = RingOp::create(p.builder, p.loc, getRingType());
  if (strategy.isSorted) {
    multiplyInTurn(ring, sizes, zeros);
  } else {
    tileRows = strategy.rows;
    multiplyTile(ring, zeros.front());
  }
  p.builder.restoreInsertionPoint(behind);
  if (strategy.isSorted)
    p.finish({p.getConstant(strategy.blocks)});
  else
    p.finish({p.getConstant(getColumnBlocks()), p.getSize(ids, 0)});
}

void mlir::varve::buildStreamedExperts(TileProgram &program,
                                       const ExpertsShape &shape,
                                       const ExpertsStrategy &strategy) {
  ExpertsStream(program, shape, strategy).build();
}
