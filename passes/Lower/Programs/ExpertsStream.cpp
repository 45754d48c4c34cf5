//===- ExpertsStream.cpp - Experts' products behind rings -----------------===//
//
// Columns of the result are the rows of the matrix products, and the rows of an
// expert's tile their columns: few rows then make small instructions, and codes
// of a weight are what lanes hold in registers. A role of its own copies codes,
// scales and rows ahead.
//
//===----------------------------------------------------------------------===//

#include "passes/Lower/Programs/ExpertsProgram.h"

#include "dialects/Tile/QuadOrder.h"
#include "llvm/Support/MathExtras.h"
#include <numeric>

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

int64_t mlir::varve::getArrangedColumns(const ExpertsShape &shape) {
  return llvm::alignTo(shape.K, kQuadBlock);
}

static Quads getQuads(const ExpertsStrategy &strategy) {
  return strategy.codes.value_or(Quads::Quarters);
}

/// Blocks [n, 128] in quad order (QuadOrder.h), by tiles of four dimensions at
/// most.
static Value toQuads(TileProgram &p, Value blocks, Quads quads) {
  int64_t count = TileProgram::getShape(blocks)[0];
  unsigned bits = TileProgram::getElement(blocks).getIntOrFloatBitWidth();
  auto [a, b, c, d] = QuadOrder::get(quads, bits).shape;
  Value tile;
  if (quads == Quads::Words) {
    tile = p.reshape(blocks, {count * a, b * c, d});
    tile = p.transpose(tile, {0, 2, 1});
  } else if (bits == 8) {
    tile = p.reshape(blocks, {count, a, b * c, d});
    tile = p.transpose(tile, {0, 2, 1, 3});
  } else {
    // Words before quarters, then places before both quarters and halves.
    tile = p.reshape(blocks, {count, a, b, c * d});
    tile = p.transpose(tile, {0, 2, 1, 3});
    tile = p.reshape(tile, {count * b, a, c, d});
    tile = p.transpose(tile, {0, 3, 1, 2});
  }
  return p.reshape(tile, {count, kQuadBlock});
}

bool mlir::varve::canKeepCodes(const ExpertsShape &shape) {
  return isa<Float8E4M3FNType>(shape.x) &&
         isa_and_present<Float8E8M0FNUType>(shape.xScale) &&
         shape.xBlock % kQuadBlock == 0 && shape.blockColumns == 32;
}

ExpertsShape mlir::varve::getArrangedShape(const ExpertsShape &shape,
                                           const ExpertsStrategy &strategy) {
  ExpertsShape result = shape;
  MLIRContext *context = shape.x.getContext();
  result.x = strategy.codes ? shape.x : BFloat16Type::get(context);
  result.xScale = strategy.codes ? Float32Type::get(context) : Type();
  result.xBlock = strategy.codes ? kQuadBlock : 0;
  return result;
}

void mlir::varve::buildArrangeRows(TileProgram &p, const ExpertsShape &shape,
                                   const ExpertsStrategy &strategy) {
  ExpertsShape arranged = getArrangedShape(shape, strategy);
  int64_t unit = shape.xScale ? std::lcm(shape.xBlock, kQuadBlock) : kQuadBlock;
  int64_t rows = 8, columns = llvm::alignTo(512, unit);
  columns = std::min<int64_t>(columns, llvm::alignTo(shape.K, unit));
  Value x = p.addRows({shape.K}, shape.x), scales;
  if (shape.xScale)
    scales = p.addRows(
        {static_cast<int64_t>(llvm::divideCeil(shape.K, shape.xBlock))},
        shape.xScale);
  Value result = p.addRows({getArrangedColumns(shape)}, arranged.x);
  Value row = p.mul(p.programId(1), p.index(rows));
  Value column = p.mul(p.programId(0), p.index(columns));
  Value numbers = p.load(x, {row, column}, {rows, columns});
  if (scales) {
    int64_t groups = columns / shape.xBlock;
    Value factors =
        p.convert(p.load(scales, {row, p.div(column, p.index(shape.xBlock))},
                         {rows, groups}),
                  p.f32());
    auto repeat = [&](int64_t count) {
      return p.reshape(p.broadcast(factors, {rows, groups, count}, {0, 1}),
                       {rows, groups * count});
    };
    if (strategy.codes)
      p.store(repeat(shape.xBlock / kQuadBlock),
              p.addRows({getArrangedColumns(shape) / kQuadBlock}, p.f32()),
              {row, p.div(column, p.index(kQuadBlock))});
    else
      numbers = p.convert(
          p.mul(p.convert(numbers, p.f32()), repeat(shape.xBlock)), arranged.x);
  }
  numbers =
      toQuads(p, p.reshape(numbers, {rows * columns / kQuadBlock, kQuadBlock}),
              getQuads(strategy));
  p.store(p.reshape(numbers, {rows, columns}), result, {row, column});
  p.finish({p.getConstant(llvm::divideCeil(shape.K, columns)),
            p.getSize(x, 0).ceilDiv(rows)});
}

namespace {

class ExpertsStream : ExpertsProgram {
public:
  using ExpertsProgram::ExpertsProgram;
  void build();

private:
  void addArguments();
  void findTile();
  Value loadPairs(int64_t begin, int64_t count);
  RingType getRingType();
  Values on(StringRef role, TypeRange types, function_ref<Values()> body);
  void fillStage(Value ring, Value k, Value rows);
  Values multiplyStage(Value ring, ValueRange sums);
  void storeSums(ValueRange sums);
  void storeRows(ValueRange sums, int64_t row, int64_t count);
  Value hasRow(int64_t row);
  /// The weight of a part, and its part of the result's columns from `column`.
  unsigned getWeight(int64_t part) const { return shape.isGated ? part : 0; }
  Value getColumn(int64_t part) {
    return shape.isGated ? column : p.add(column, p.index(part * BN));
  }

  /// Products of a block: the pair's, or several tiles of columns.
  int64_t parts = 1;
  Value ids, ends, tileEnds, order;
  /// i32: the tile's number. index: its expert.
  Value tile, expert;
  /// i32, of sorted pairs: the tile's first, and behind the expert's last.
  Value first, end;
  /// What is summed: K, or nothing where there is no such tile.
  Value depth;
};

} // namespace

void ExpertsStream::addArguments() {
  parts = shape.isGated ? 2 : strategy.parts;
  x = p.addRows({getArrangedColumns(shape)}, shape.x);
  if (shape.xScale)
    xScales =
        p.addRows({getArrangedColumns(shape) / shape.xBlock}, shape.xScale);
  if (strategy.isSorted) {
    ends = p.addView({shape.experts}, p.i32());
    tileEnds = p.addView({shape.experts}, p.i32());
    order = p.addRows({}, p.i32());
  } else {
    ids = p.addRows({}, p.i32());
  }
  addWeights();
  addResults();
}

/// Which expert's rows the block multiplies.
void ExpertsStream::findTile() {
  int64_t columnsOfBlock = shape.isGated ? BN : parts * BN;
  column = p.mul(p.programId(0), p.index(columnsOfBlock));
  tile = p.toInteger(p.programId(1));
  depth = p.index(shape.K);
  if (!strategy.isSorted) {
    Value number = p.loadScalar(ids, p.programId(1));
    expert = p.toIndex(number);
    depth = p.select(p.atLeast(number, p.integer(0)), depth, p.index(0));
    return;
  }
  Value all = p.load(tileEnds, p.index(0), {getExpertRoom(shape)}, {}, {},
                     p.integer(std::numeric_limits<int32_t>::max()));
  Value isBefore = p.less(all, p.add(tile, p.integer(1)));
  Value number = p.sum(p.convert(isBefore, p.i32()), 0);
  expert = p.toIndex(number);
  // Outside the views, before the first expert, there is a zero.
  Value before = p.sub(expert, p.index(1));
  first = p.add(p.loadScalar(ends, before),
                p.mul(p.sub(tile, p.loadScalar(tileEnds, before)),
                      p.integer(strategy.rows)));
  end = p.loadScalar(ends, expert);
  depth = p.select(p.less(number, p.integer(shape.experts)), depth, p.index(0));
}

/// The pairs of `count` of the tile's rows, i32; -1 where there is none.
Value ExpertsStream::loadPairs(int64_t begin, int64_t count) {
  Value number = p.add(p.iota({count}, 0), p.integer(begin));
  Value none = p.integer(-1);
  if (!strategy.isSorted)
    return p.select(p.equal(number, p.integer(0)), p.splat({count}, tile),
                    none);
  Value at = p.add(first, p.integer(begin));
  Value pairs = p.load(order, p.toIndex(at), {count}, {}, {}, none);
  return p.select(p.less(p.add(number, first), end), pairs, none);
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
  if (shape.xScale)
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

void ExpertsStream::fillStage(Value ring, Value k, Value rows) {
  auto stage = AcquireOp::create(p.builder, p.loc, ring);
  DenseI64ArrayAttr dims = p.builder.getDenseI64ArrayAttr({1, 2});
  auto copy = [&](Value view, Value column, Value k, Value buffer) {
    CopyOp::create(p.builder, p.loc, view, ValueRange{expert, column, k},
                   buffer, dims, CacheHint::Normal);
  };
  for (int64_t part = 0; part < parts; ++part) {
    unsigned weight = getWeight(part);
    Value column = getColumn(part);
    copy(weights[weight], column, k, stage.getBuffers()[2 * part]);
    copy(weightScales[weight], column, p.div(k, p.index(shape.blockColumns)),
         stage.getBuffers()[2 * part + 1]);
  }
  auto gather = [&](Value view, Value column, Value buffer) {
    GatherCopyOp::create(p.builder, p.loc, view, rows, column,
                         /*table=*/Value(), /*sequences=*/Value(), buffer,
                         IntegerAttr(), CacheHint::Normal);
  };
  gather(x, k, stage.getBuffers()[2 * parts]);
  if (xScales)
    gather(xScales, p.div(k, p.index(shape.xBlock)), stage.getBuffers().back());
  tile::CommitOp::create(p.builder, p.loc, ring, stage.getSlot());
}

Values ExpertsStream::multiplyStage(Value ring, ValueRange sums) {
  auto stage = ReceiveOp::create(p.builder, p.loc, ring);
  Values next;
  Value scales = xScales ? p.read(stage.getBuffers().back()) : Value();
  for (int64_t part = 0; part < parts; ++part)
    next.push_back(p.scaledDot(
        stage.getBuffers()[2 * part], p.read(stage.getBuffers()[2 * part + 1]),
        stage.getBuffers()[2 * parts], scales, sums[part], getQuads(strategy)));
  ReleaseOp::create(p.builder, p.loc, ring, stage.getSlot());
  return next;
}

/// Rows that are stored at a time: registers are full of sums.
static constexpr int64_t kStoredRows = 32;

void ExpertsStream::storeSums(ValueRange sums) {
  int64_t count = std::gcd(strategy.rows, kStoredRows);
  for (int64_t row = 0; row < strategy.rows; row += count)
    p.ifThen(hasRow(row), [&] { storeRows(sums, row, count); });
}

/// Whether the tile has the row `row`.
Value ExpertsStream::hasRow(int64_t row) {
  if (!strategy.isSorted)
    return p.less(p.index(0), depth);
  Value isThere = p.less(p.add(first, p.integer(row)), end);
  return p.both(isThere, p.less(p.index(0), depth));
}

void ExpertsStream::storeRows(ValueRange sums, int64_t row, int64_t count) {
  Value block = column, pairs = loadPairs(row, count), factors;
  if (shape.isWeighted)
    factors = p.broadcast(p.gather(routing, pairs, Value(), {count}),
                          {BN, count}, {1});
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

void ExpertsStream::build() {
  addArguments();
  findTile();
  MLIRContext *context = p.builder.getContext();
  Values sums(parts, p.zeros({BN, strategy.rows}));
  Value zero = p.index(0);
  auto pipeline = PipelineOp::create(
      p.builder, p.loc,
      p.builder.getArrayAttr(
          {RoleAttr::get(context, "load", kExpertsLoadWarps, 72),
           RoleAttr::get(context, "math", strategy.warps, 216)}));
  OpBuilder::InsertPoint behind = p.builder.saveInsertionPoint();
  p.builder.setInsertionPointToStart(&pipeline.getBody().emplaceBlock());
  Value ring = RingOp::create(p.builder, p.loc, getRingType());
  Value rows =
      on("load", p.tileType({strategy.rows}, p.i32()), [&]() -> Values {
        Value pairs = loadPairs(0, strategy.rows);
        if (shape.hasRowPerExpert)
          return {pairs};
        Value isThere = p.atLeast(pairs, p.integer(0));
        return {p.select(isThere, p.div(pairs, p.integer(shape.active)),
                         p.integer(-1))};
      })[0];
  sums =
      p.loop(zero, depth, BK, sums, [&](Value k, ValueRange carried) -> Values {
        on("load", {}, [&]() -> Values {
          fillStage(ring, k, rows);
          return {};
        });
        return on("math", carried.getTypes(),
                  [&] { return multiplyStage(ring, carried); });
      });
  on("math", {}, [&]() -> Values {
    storeSums(sums);
    return {};
  });
  p.builder.restoreInsertionPoint(behind);
  int64_t columnsOfBlock = shape.isGated ? BN : parts * BN;
  // As many tiles as there may be.
  AffineExpr tiles = p.getSize(strategy.isSorted ? order : ids, 0);
  if (strategy.isSorted && !strategy.isSparse)
    tiles = tiles.ceilDiv(strategy.rows) + p.getConstant(shape.experts);
  p.finish({p.getConstant(llvm::divideCeil(shape.N, columnsOfBlock)), tiles});
}

void mlir::varve::buildStreamedExperts(TileProgram &program,
                                       const ExpertsShape &shape,
                                       const ExpertsStrategy &strategy) {
  ExpertsStream(program, shape, strategy).build();
}
