//===- IndexTopk.cpp - Programs that select entries -----------------------===//

#include "passes/Lower/Programs/IndexTopk.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::varve;
using Values = TileProgram::Values;

IndexShape IndexShape::of(IndexScoreOp score, IndexTopkOp topk) {
  IndexShape shape;
  auto scores = cast<RankedTensorType>(topk.getScores().getType());
  shape.scores = scores.getElementType();
  if (!scores.isDynamicDim(1))
    shape.columns = scores.getDimSize(1);
  shape.k = topk.getK();
  if (!score) {
    shape.stored = Stored::Given;
    return shape;
  }
  if (!score.getScores().hasOneUse())
    shape.stored = Stored::Result;
  auto q = cast<RankedTensorType>(score.getQ().getType());
  shape.heads = q.getDimSize(1);
  shape.size = q.getDimSize(2);
  shape.query = q.getElementType();
  if (score.getQScale()) {
    shape.queryScale = getElementTypeOrSelf(score.getQScale().getType());
    shape.queryBlock = *score.getQBlock();
  }
  shape.weights = getElementTypeOrSelf(score.getWeights().getType());
  shape.keys = PoolShape::of(lookupPool(score, score.getKeysAttr()));
  shape.scale = score.getScale().convertToDouble();
  shape.roundsEachStep = score.getRounding() == Rounding::EachStep;
  return shape;
}

LogicalResult
mlir::varve::verifyIndex(const IndexShape &shape,
                         function_ref<InFlightDiagnostic()> emitError) {
  if (shape.stored == IndexShape::Stored::Given)
    return success();
  return verifyPoolParts(shape.keys.format, emitError);
}

int64_t IndexStrategy::getKept(const IndexShape &shape) const {
  return std::max<int64_t>(llvm::PowerOf2Ceil(shape.k), entries);
}

static bool isNarrow(const IndexShape &shape) {
  return (shape.query.isBF16() || shape.queryScale) &&
         llvm::all_of(shape.keys.format.getSegments(), [](SegmentAttr s) {
           return s.getBlock() || s.getElementType().isBF16();
         });
}

namespace {

/// The best entries so far, best first: scores of -inf and numbers of -1 where
/// there are fewer.
struct Selection {
  Value scores, numbers;
};

class IndexProgram {
public:
  IndexProgram(TileProgram &p, const IndexShape &shape,
               const IndexStrategy &strategy)
      : shape(shape), strategy(strategy), p(p) {}
  void build();

private:
  /// A token of the block.
  struct Token {
    Value number, slot, visible;
    Value query;   ///< buffer [heads, size]
    Value weights; ///< f32 tile [heads]
  };

  bool isGiven() const { return shape.stored == IndexShape::Stored::Given; }
  bool isResult() const { return shape.stored == IndexShape::Stored::Result; }
  void addArguments();
  void addInputs();
  Token enterToken(Value number);
  void readQuery(const Token &token);
  Value readKeys(Value slot, Value first);
  Value score(const Token &token, Value keys, Value first, Value visible);
  Value readScores(const Token &token, Value first);
  void storeScores(const Token &token, Value scores, Value first,
                   Value visible);
  Values addEntries(Value slot, Value first, Value last,
                    ArrayRef<Value> visible, ValueRange carried);
  Values addSequence(Value slot, ValueRange carried);
  Selection add(const Selection &best, Value scores, Value first);
  void storeSelection(const Token &token, const Selection &best);

  IndexShape shape;
  IndexStrategy strategy;
  TileProgram &p;
  Value q, queryScales, weights, positions, slots, table;
  Value storedScores; ///< [T, columns], if there are
  Value indices, partScores, partNumbers;
  PoolRows keyRows;
  /// Padded heads, entries of a product, kept and new ones of a selection.
  int64_t H, B, kept, chunk;
  Type compute;
  SmallVector<Token> tokens;
  Value keyBuffer;
};

} // namespace

void IndexProgram::addInputs() {
  q = p.addRows({shape.heads, shape.size}, shape.query);
  if (shape.queryScale)
    queryScales = p.addRows({shape.heads, static_cast<int64_t>(llvm::divideCeil(
                                              shape.size, shape.queryBlock))},
                            shape.queryScale);
  weights = p.addRows({shape.heads}, shape.weights);
  positions = p.addRows({}, p.i32());
  slots = p.addRows({}, p.i32());
  keyRows = PoolRows::addTo(p, shape.keys.format);
  table = p.addView({ShapedType::kDynamic, ShapedType::kDynamic}, p.i32());
}

void IndexProgram::addArguments() {
  if (!isGiven())
    addInputs();
  if (isGiven() || isResult())
    storedScores = p.addRows({shape.columns}, shape.scores);
  if (strategy.splits == 1) {
    indices = p.addRows({shape.k}, p.i32());
    return;
  }
  partScores = p.addRows({strategy.splits, kept}, p.f32());
  partNumbers = p.addRows({strategy.splits, kept}, p.i32());
}

/// Rounds to the scores' type where every step does.
static Value roundStep(TileProgram &p, const IndexShape &shape, Value value) {
  return shape.roundsEachStep ? p.roundTo(value, shape.scores) : value;
}

IndexProgram::Token IndexProgram::enterToken(Value number) {
  Token token;
  token.number = number;
  if (isGiven()) {
    token.slot = p.integer(0);
    token.visible = p.integer(shape.columns);
    return token;
  }
  token.slot = p.loadScalar(slots, number);
  Value next = p.add(p.loadScalar(positions, number), p.integer(1));
  token.visible =
      p.select(p.atLeast(token.slot, p.integer(0)),
               p.div(next, p.integer(shape.keys.ratio)), p.integer(0));
  Value w = p.load(weights, {number, p.index(0)}, {H}, {1});
  token.weights =
      roundStep(p, shape, p.mul(p.convert(w, p.f32()), p.number(shape.scale)));
  token.query = p.alloc({H, shape.size}, compute,
                        shape.queryScale ? shape.queryBlock : shape.size);
  readQuery(token);
  return token;
}

void IndexProgram::readQuery(const Token &token) {
  auto load = [&](Value view, int64_t column, int64_t width) {
    return p.load(view, {token.number, p.index(0), p.index(column)}, {H, width},
                  {1, 2});
  };
  if (!shape.queryScale)
    return p.write(p.convert(load(q, 0, shape.size), compute), token.query);
  SmallVector<Value> runs;
  for (int64_t begin = 0; begin < shape.size; begin += shape.queryBlock) {
    int64_t width = std::min(shape.queryBlock, shape.size - begin);
    Value scale =
        p.reshape(load(queryScales, begin / shape.queryBlock, 1), {H});
    Value factor = p.broadcast(p.convert(scale, p.f32()), {H, width}, {0});
    Value codes = p.convert(load(q, begin, width), p.f32());
    runs.push_back(p.convert(p.mul(codes, factor), compute));
  }
  p.write(p.concat(runs, 1), token.query);
}

/// Rows `first ...` (i32) of the sequence of `slot`, in the key buffer.
Value IndexProgram::readKeys(Value slot, Value first) {
  RowNumbers numbers = {p.add(p.iota({B}, 0), first), table, p.splat({B}, slot),
                        shape.keys.getRowsPerPage()};
  SmallVector<ColumnRun> runs =
      keyRows.getRuns(0, shape.size, strategy.columns);
  SmallVector<Value> tiles = llvm::map_to_vector(runs, [&](ColumnRun run) {
    return keyRows.gather(p, numbers, run, compute);
  });
  p.write(p.concat(tiles, 1), keyBuffer);
  return keyBuffer;
}

/// The scores [B] of a token for the entries whose keys are in the buffer.
Value IndexProgram::score(const Token &token, Value keys, Value first,
                          Value visible) {
  Value products = p.dot(keys, token.query, p.zeros({B, H}), true);
  products = roundStep(p, shape, products);
  Value weighted = p.mul(p.broadcast(token.weights, {B, H}, {1}),
                         p.max(products, p.zeros({B, H})));
  Value scores =
      p.roundTo(p.sum(roundStep(p, shape, weighted), 1), shape.scores);
  Value number = p.add(p.iota({B}, 0), first);
  return p.select(p.less(number, visible), scores, p.lowest({B}));
}

/// Given scores [B] of a token.
Value IndexProgram::readScores(const Token &token, Value first) {
  Value scores =
      p.load(storedScores, {token.number, p.toIndex(first)}, {B}, {1});
  Value number = p.add(p.iota({B}, 0), first);
  return p.select(p.less(number, p.integer(shape.columns)),
                  p.convert(scores, p.f32()), p.lowest({B}));
}

/// Stores scores of a token of the sequence at hand; others see nothing of it.
void IndexProgram::storeScores(const Token &token, Value scores, Value first,
                               Value visible) {
  p.ifThen(p.less(first, visible), [&] {
    p.store(p.convert(scores, shape.scores), storedScores,
            {token.number, p.toIndex(first)}, {1});
  });
}

Selection IndexProgram::add(const Selection &best, Value scores, Value first) {
  Value numbers = p.add(p.iota({chunk}, 0), first);
  // Only better scores change the selection: of equal ones the lower entry
  // wins, and those are in it already.
  Value worst = p.slice(best.scores, {kept - 1}, {1});
  Value isBetter = p.greater(p.largest(scores, 0), p.largest(worst, 0));
  Values next = p.ifElse(
      isBetter,
      [&]() -> Values {
        auto [values, ids] =
            p.selectTopk(p.concat({best.scores, scores}, 0),
                         p.concat({best.numbers, numbers}, 0), kept);
        return {values, ids};
      },
      [&]() -> Values { return {best.scores, best.numbers}; });
  return {next[0], next[1]};
}

/// Entries `first ... first + chunk - 1` below `last`, for all tokens.
Values IndexProgram::addEntries(Value slot, Value first, Value last,
                                ArrayRef<Value> visible, ValueRange carried) {
  SmallVector<SmallVector<Value>> scores(tokens.size());
  for (int64_t begin = 0; begin < chunk; begin += B) {
    Value from = p.add(first, p.integer(begin));
    Values some = p.ifElse(
        p.less(from, last),
        [&] {
          Values results;
          Value keys = isGiven() ? Value() : readKeys(slot, from);
          for (auto [token, limit] : llvm::zip_equal(tokens, visible)) {
            results.push_back(isGiven() ? readScores(token, from)
                                        : score(token, keys, from, limit));
            if (isResult())
              storeScores(token, results.back(), from, limit);
          }
          return results;
        },
        [&] { return Values(tokens.size(), p.lowest({B})); });
    for (auto [all, part] : llvm::zip_equal(scores, some))
      all.push_back(part);
  }
  Values next;
  for (auto [i, all] : llvm::enumerate(scores)) {
    Selection best =
        add({carried[2 * i], carried[2 * i + 1]}, p.concat(all, 0), first);
    llvm::append_values(next, best.scores, best.numbers);
  }
  return next;
}

/// This split's share of the entries of the sequence of `slot`, for the tokens
/// that belong to it.
Values IndexProgram::addSequence(Value slot, ValueRange carried) {
  Value last = p.integer(0);
  SmallVector<Value> visible;
  for (const Token &token : tokens) {
    visible.push_back(
        p.select(p.equal(token.slot, slot), token.visible, p.integer(0)));
    last = p.max(last, visible.back());
  }
  Value begin = p.integer(0), end = p.ceilDiv(last, chunk);
  if (strategy.splits > 1) {
    Value share = p.ceilDiv(end, strategy.splits);
    begin = p.mul(p.toInteger(p.programId(1)), share);
    end = p.min(end, p.add(begin, share));
  }
  return p.loop(p.toIndex(begin), p.toIndex(end), 1, carried,
                [&](Value step, ValueRange carried) {
                  Value first = p.mul(p.toInteger(step), p.integer(chunk));
                  return addEntries(slot, first, last, visible, carried);
                });
}

static Value markUnused(TileProgram &p, const Selection &best) {
  Value isUsed = p.greater(best.scores, p.lowest(p.getShape(best.scores)));
  return p.select(isUsed, best.numbers, p.integer(-1));
}

void IndexProgram::storeSelection(const Token &token, const Selection &best) {
  if (strategy.splits == 1)
    return p.store(markUnused(p, best), indices, {token.number, p.index(0)},
                   {1});
  Value split = p.programId(1);
  p.store(best.scores, partScores, {token.number, split, p.index(0)}, {2});
  p.store(best.numbers, partNumbers, {token.number, split, p.index(0)}, {2});
}

void IndexProgram::build() {
  H = llvm::alignTo(shape.heads, strategy.headStep);
  B = strategy.entries;
  kept = strategy.getKept(shape);
  chunk = std::min<int64_t>(kept, llvm::alignTo(strategy.selection, B));
  compute = strategy.narrow && !isGiven() && isNarrow(shape)
                ? Type(p.builder.getBF16Type())
                : p.f32();
  addArguments();
  Value first = p.mul(p.programId(0), p.index(strategy.tokens));
  for (int64_t i = 0; i < strategy.tokens; ++i)
    tokens.push_back(enterToken(p.add(first, p.index(i))));
  if (!isGiven())
    keyBuffer = p.alloc({B, shape.size}, compute, shape.size);

  Values best;
  for (int64_t i = 0; i < strategy.tokens; ++i)
    llvm::append_values(best, p.lowest({kept}), p.splat({kept}, p.i32(), -1));
  if (strategy.tokens == 1 || isGiven()) {
    best = addSequence(tokens.front().slot, best);
  } else {
    // Once per sequence: at the first token of each.
    best = p.loop(p.index(0), p.index(strategy.tokens), 1, best,
                  [&](Value i, ValueRange carried) {
                    Value number = p.add(first, i), zero = p.index(0);
                    Value slot = p.loadScalar(slots, number);
                    Value before =
                        p.loadScalar(slots, p.sub(number, p.index(1)));
                    Value begins =
                        p.either(p.equal(i, zero), p.notEqual(slot, before));
                    // Tokens behind the last read as tokens of slot 0, which
                    // may have had its turn.
                    begins = p.both(begins, p.less(number, p.dim(slots, 0)));
                    return p.ifElse(
                        begins, [&] { return addSequence(slot, carried); },
                        [&] { return Values(carried); });
                  });
  }
  for (auto [i, token] : llvm::enumerate(tokens))
    storeSelection(token, {best[2 * i], best[2 * i + 1]});
  AffineExpr blocks =
      p.getSize(isGiven() ? storedScores : q, 0).ceilDiv(strategy.tokens);
  if (strategy.splits == 1)
    return p.finish(blocks);
  p.finish({blocks, p.getConstant(strategy.splits)});
}

void mlir::varve::buildIndexTopk(TileProgram &p, const IndexShape &shape,
                                 const IndexStrategy &strategy) {
  IndexProgram(p, shape, strategy).build();
}

void mlir::varve::fillScores(TileProgram &p, const IndexShape &shape) {
  constexpr int64_t kColumns = 512;
  Value scores = p.addRows({shape.columns}, shape.scores);
  p.store(p.convert(p.lowest({kColumns}), shape.scores), scores,
          {p.programId(0), p.mul(p.programId(1), p.index(kColumns))}, {1});
  p.finish({p.getSize(scores, 0),
            p.getConstant(llvm::divideCeil(shape.columns, kColumns))});
}

void mlir::varve::mergeIndices(TileProgram &p, const IndexShape &shape,
                               const IndexStrategy &strategy) {
  int64_t kept = strategy.getKept(shape);
  Value scores = p.addRows({strategy.splits, kept}, p.f32());
  Value numbers = p.addRows({strategy.splits, kept}, p.i32());
  Value indices = p.addRows({shape.k}, p.i32());
  Value token = p.programId(0);
  // Splits hold ascending ranges of entries, so that of equal scores the lower
  // entry comes first here as well. A selection from many takes little longer
  // than one from few.
  int64_t atOnce =
      std::clamp<int64_t>(strategy.merged / kept, 2, strategy.splits);
  Values best;
  for (int64_t split = 0; split < strategy.splits;) {
    int64_t count =
        std::min(strategy.splits - split, atOnce - (best.empty() ? 0 : 1));
    auto load = [&](Value view) {
      Value parts = p.load(view, {token, p.index(split), p.index(0)},
                           {count, kept}, {1, 2});
      return p.reshape(parts, {count * kept});
    };
    Value all = load(scores), ids = load(numbers);
    if (!best.empty()) {
      all = p.concat({best[0], all}, 0);
      ids = p.concat({best[1], ids}, 0);
    }
    auto [values, selected] = p.selectTopk(all, ids, kept);
    best = {values, selected};
    split += count;
  }
  p.store(markUnused(p, {best[0], best[1]}), indices, {token, p.index(0)}, {1});
  p.finish(p.getSize(indices, 0));
}
