//===- ExpertsArrange.cpp - Rows as streamed products take them -----------===//
//
// A program of its own brings rows into quad order (QuadOrder.h) before blocks
// copy them, many blocks the same. Rows of many tokens are sorted by expert as
// well: a tile's rows then lie side by side, and the copy engine moves them.
//
//===----------------------------------------------------------------------===//

#include "passes/Lower/Programs/ExpertsProgram.h"

#include "dialects/Tile/QuadOrder.h"
#include "llvm/Support/MathExtras.h"
#include <numeric>

using namespace mlir;
using namespace mlir::varve;
using namespace mlir::varve::tile;

int64_t mlir::varve::getArrangedColumns(const ExpertsShape &shape) {
  return llvm::alignTo(shape.K, kQuadBlock);
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
  Type bf16 = BFloat16Type::get(context);
  result.x = strategy.codes ? shape.x : bf16;
  result.xScale = !strategy.codes            ? Type()
                  : strategy.hasSortedRows() ? bf16
                                             : Float32Type::get(context);
  result.xBlock = strategy.codes ? kQuadBlock : 0;
  return result;
}

Quads mlir::varve::getQuads(const ExpertsStrategy &strategy) {
  return strategy.codes.value_or(Quads::Quarters);
}

/// [rows, groups], each `count` times.
static Value repeatGroups(TileProgram &p, Value groups, int64_t count) {
  ArrayRef<int64_t> shape = p.getShape(groups);
  return p.reshape(p.broadcast(groups, {shape[0], shape[1], count}, {0, 1}),
                   {shape[0], shape[1] * count});
}

//===----------------------------------------------------------------------===//
// In their own order
//===----------------------------------------------------------------------===//

/// Blocks [n, 128] in quad order, by tiles of four dimensions at most.
static Value toQuads(TileProgram &p, Value blocks, Quads quads) {
  int64_t count = TileProgram::getShape(blocks)[0];
  unsigned bits = TileProgram::getElement(blocks).getIntOrFloatBitWidth();
  auto [a, b, c, d] = QuadOrder::get(quads, bits).shape;
  Value tile;
  if (quads == Quads::Words) {
    tile = p.reshape(blocks, {count * a, b * c, d});
    tile = p.transpose(tile, {0, 2, 1});
  } else {
    // Words before quarters, then places before both quarters and halves.
    tile = p.reshape(blocks, {count, a, b, c * d});
    tile = p.transpose(tile, {0, 2, 1, 3});
    tile = p.reshape(tile, {count * b, a, c, d});
    tile = p.transpose(tile, {0, 3, 1, 2});
  }
  return p.reshape(tile, {count, kQuadBlock});
}

void mlir::varve::buildArrangeRows(TileProgram &p, const ExpertsShape &shape,
                                   const ExpertsStrategy &strategy) {
  VARVE_ASSERT(!strategy.hasSortedRows(), "rows that are arranged as they are");
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
    Value factors =
        p.convert(p.load(scales, {row, p.div(column, p.index(shape.xBlock))},
                         {rows, columns / shape.xBlock}),
                  p.f32());
    if (strategy.codes)
      p.store(repeatGroups(p, factors, shape.xBlock / kQuadBlock),
              p.addRows({getArrangedColumns(shape) / kQuadBlock}, p.f32()),
              {row, p.div(column, p.index(kQuadBlock))});
    else
      numbers = p.convert(p.mul(p.convert(numbers, p.f32()),
                                repeatGroups(p, factors, shape.xBlock)),
                          arranged.x);
  }
  numbers =
      toQuads(p, p.reshape(numbers, {rows * columns / kQuadBlock, kQuadBlock}),
              getQuads(strategy));
  p.store(p.reshape(numbers, {rows, columns}), result, {row, column});
  p.finish({p.getConstant(llvm::divideCeil(shape.K, columns)),
            p.getSize(x, 0).ceilDiv(rows)});
}

//===----------------------------------------------------------------------===//
// Sorted
//===----------------------------------------------------------------------===//

void mlir::varve::buildSortRows(TileProgram &p, const ExpertsShape &shape,
                                const ExpertsStrategy &strategy) {
  // Four codes stay together, so that they move as a word.
  constexpr QuadOrder order = QuadOrder::get(Quads::Quarters, 8);
  constexpr int64_t kWord = order.shape[3], kQuarters = order.shape[0];
  static_assert(kWord * 8 == 32 && order.order[2] == 0 && order.order[3] == 3,
                "quarters come last but for the codes of a word");
  int64_t rows = 16, columns = llvm::alignTo(512, shape.xBlock);
  columns = std::min<int64_t>(columns, llvm::alignTo(shape.K, shape.xBlock));
  int64_t groups = columns / shape.xBlock, blocks = columns / kQuadBlock;
  Value x = p.addRows({shape.K / kWord}, p.i32());
  Value scales =
      p.addRows({static_cast<int64_t>(llvm::divideCeil(shape.K, shape.xBlock))},
                shape.xScale);
  Value pairs = p.addRows({}, p.i32());
  Value result = p.addRows({getArrangedColumns(shape) / kWord}, p.i32());
  Type scale = getArrangedShape(shape, strategy).xScale;
  Value resultScales = p.addView(
      {getArrangedColumns(shape) / kQuadBlock, ShapedType::kDynamic}, scale);

  // Behind the last pair that has an expert, `order` is anything; what comes of
  // it is in no tile.
  Value row = p.mul(p.programId(1), p.index(rows)), block = p.programId(0);
  Value from = p.load(pairs, row, {rows}, {}, {}, p.integer(-1));
  if (!shape.hasRowPerExpert)
    from = p.select(p.atLeast(from, p.integer(0)),
                    p.div(from, p.integer(shape.active)), p.integer(-1));
  Value word = p.mul(block, p.index(columns / kWord));
  Value words = p.gather(x, from, word, {rows, columns / kWord});
  words = p.reshape(words,
                    {rows * blocks, kQuarters, kQuadBlock / kWord / kQuarters});
  words = p.transpose(words, {0, 2, 1});
  p.store(p.reshape(words, {rows, columns / kWord}), result, {row, word});

  Value factors = p.convert(
      p.gather(scales, from, p.mul(block, p.index(groups)), {rows, groups}),
      p.f32());
  factors = p.mul(factors, p.number(std::ldexp(1.0, -kQuartersExponent)));
  factors = repeatGroups(p, factors, shape.xBlock / kQuadBlock);
  p.store(p.transpose(p.convert(factors, scale)), resultScales,
          {p.mul(block, p.index(blocks)), row});
  p.finish({p.getConstant(llvm::divideCeil(shape.K, columns)),
            p.getSize(pairs, 0).ceilDiv(rows)});
}
