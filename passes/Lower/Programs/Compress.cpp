//===- Compress.cpp - Programs of compressors -----------------------------===//

#include "passes/Lower/Programs/Compress.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::varve;
using Values = TileProgram::Values;

CompressShape CompressShape::of(CompressOp op) {
  auto bias = cast<RankedTensorType>(op.getBias().getType());
  auto entries = cast<RankedTensorType>(op.getEntries().getType());
  PoolOp state = lookupPool(op, op.getStateAttr());
  return {static_cast<int64_t>(op.getRatio()),
          entries.getDimSize(1),
          op.getOverlap(),
          bias.getElementType(),
          entries.getElementType(),
          static_cast<int64_t>(*state.getSize())};
}

namespace {

/// What both programs read.
struct StepArguments {
  Value kv, gate, bias, positions, slots;

  static StepArguments addTo(TileProgram &p, const CompressShape &shape) {
    int64_t width = shape.getWidth();
    return {p.addRows({width}, p.f32()), p.addRows({width}, p.f32()),
            p.addView({shape.ratio, width}, shape.bias), p.addRows({}, p.i32()),
            p.addRows({}, p.i32())};
  }
};

class CompressProgram {
public:
  CompressProgram(TileProgram &p, const CompressShape &shape,
                  const CompressStrategy &strategy)
      : shape(shape), p(p), C(std::min(strategy.channels, shape.channels)),
        B(std::min(strategy.tokens, shape.ratio)) {}

  void build(CompressFollower follower, bool onlyEntries);

private:
  Values addTokens(Value windowStart, Value first, int64_t half,
                   ValueRange state);
  Value pool();

  CompressShape shape;
  TileProgram &p;
  int64_t C, B; ///< channels of a block, tokens of a piece
  StepArguments step;
  Value state;
  Value token, channel, position, slot, start;
};

} // namespace

/// Adds tokens `windowStart + first ...` (i32, index), whose `half` counts.
Values CompressProgram::addTokens(Value windowStart, Value first, int64_t half,
                                  ValueRange carried) {
  Value place = p.add(p.iota({B}, 0), p.toInteger(first));
  Value key = p.add(place, windowStart);
  Value none = p.integer(-1), zero = p.integer(0);
  Value isThere =
      p.both(p.less(place, p.integer(shape.ratio)), p.atLeast(key, zero));
  Value inStep = p.both(isThere, p.atLeast(key, start));
  Value stepRow =
      p.select(inStep, p.add(key, p.sub(p.toInteger(token), position)), none);
  Value R = p.integer(shape.stateRows);
  Value stateRow = p.select(p.both(isThere, p.less(key, start)),
                            p.add(p.mul(slot, R), p.rem(key, R)), none);
  Value column = p.add(channel, p.index(half * shape.channels));
  Value stateScore = p.add(column, p.index(shape.getWidth()));
  Value bias = p.convert(p.load(step.bias, {first, column}, {B, C}), p.f32());
  Value isFromStep = p.broadcast(inStep, {B, C}, {0});
  Value kv = p.select(isFromStep, p.gather(step.kv, stepRow, column, {B, C}),
                      p.gather(state, stateRow, column, {B, C}));
  Value score = p.select(
      isFromStep, p.add(p.gather(step.gate, stepRow, column, {B, C}), bias),
      p.gather(state, stateRow, stateScore, {B, C}));
  score = p.select(p.broadcast(isThere, {B, C}, {0}), score, p.lowest({B, C}));

  // Softmax over the tokens so far, channel by channel.
  Value largest = p.max(carried[0], p.largest(score, 0));
  Value base =
      p.select(p.greater(largest, p.lowest({C})), largest, p.zeros({C}));
  Value weight = p.exp(p.sub(score, p.broadcast(base, {B, C}, {1})));
  Value factor = p.exp(p.sub(carried[0], base));
  Value mass = p.add(p.mul(carried[1], factor), p.sum(weight, 0));
  Value sum = p.add(p.mul(carried[2], factor), p.sum(p.mul(weight, kv), 0));
  return {largest, mass, sum};
}

/// The entry of the window that ends at this block's token.
Value CompressProgram::pool() {
  Value ratio = p.integer(shape.ratio);
  Value windowStart = p.sub(p.add(position, p.integer(1)), ratio);
  Values carried = {p.lowest({C}), p.zeros({C}), p.zeros({C})};
  for (int64_t half = 0; half < shape.getHalves(); ++half) {
    // First halves are those of the window before.
    bool isPrevious = half + 1 < shape.getHalves();
    Value begin = isPrevious ? p.sub(windowStart, ratio) : windowStart;
    carried = p.loop(p.index(0), p.index(shape.ratio), B, carried,
                     [&](Value first, ValueRange carried) {
                       return addTokens(begin, first, half, carried);
                     });
  }
  Value hasAny = p.greater(carried[1], p.zeros({C}));
  Value mass = p.select(hasAny, carried[1], p.splat({C}, p.f32(), 1.0));
  return p.div(carried[2], mass);
}

void CompressProgram::build(CompressFollower follower, bool onlyEntries) {
  step = StepArguments::addTo(p, shape);
  Value starts = p.addRows({}, p.i32());
  state = p.addRows({2 * shape.getWidth()}, p.f32());
  Value entries, entryStarts, entrySlots;
  if (!follower) {
    entries = p.addRows({shape.channels}, shape.entries);
    entryStarts = p.addRows({}, p.i32());
    entrySlots = p.addRows({}, p.i32());
  }

  token = p.programId(0);
  channel = follower ? p.index(0) : p.mul(p.programId(1), p.index(C));
  position = p.loadScalar(step.positions, token);
  slot = p.loadScalar(step.slots, token);
  start = p.loadScalar(starts, token);
  Value ratio = p.integer(shape.ratio), zero = p.integer(0);
  Value next = p.add(position, p.integer(1));
  Value isComplete =
      p.both(p.equal(p.rem(next, ratio), zero), p.atLeast(slot, zero));
  Value entryStart =
      p.splat({1}, p.select(isComplete, p.sub(next, ratio), zero));
  Value owner = p.splat({1}, p.select(isComplete, slot, p.integer(-1)));
  AffineExpr tokens = p.getSize(step.kv, 0);
  auto follow = [&](Value entry) {
    follower(token, p.convert(p.reshape(entry, {1, C}), shape.entries),
             entryStart, owner);
  };
  if (onlyEntries) {
    p.ifThen(isComplete, [&] { follow(pool()); });
    return p.finish(tokens);
  }
  Value entry = p.ifElse(
      isComplete, [&] { return Values{pool()}; },
      [&] { return Values{p.zeros({C})}; })[0];
  if (follower) {
    follow(entry);
    return p.finish(tokens);
  }
  // Channels beyond the last one are outside the view.
  p.store(p.convert(entry, shape.entries), entries, {token, channel}, {1});
  p.ifThen(p.equal(p.programId(1), p.index(0)), [&] {
    p.store(entryStart, entryStarts, token);
    p.store(owner, entrySlots, token);
  });
  p.finish({tokens, p.getConstant(llvm::divideCeil(shape.channels, C))});
}

void mlir::varve::buildCompress(TileProgram &p, const CompressShape &shape,
                                const CompressStrategy &strategy,
                                CompressFollower follower, bool onlyEntries) {
  CompressStrategy own = strategy;
  if (follower)
    own.channels = shape.channels;
  CompressProgram(p, shape, own).build(follower, onlyEntries);
}

void mlir::varve::buildCommitState(TileProgram &p, const CompressShape &shape,
                                   const CompressStrategy &strategy) {
  int64_t width = shape.getWidth(), C = std::min(strategy.channels, width),
          N = strategy.tokens;
  StepArguments step = StepArguments::addTo(p, shape);
  Value ends = p.addRows({}, p.i32());
  Value state = p.addRows({2 * width}, p.f32());

  Value first = p.mul(p.programId(0), p.index(N));
  Value column = p.mul(p.programId(1), p.index(C));
  Value position = p.load(step.positions, first, {N});
  Value slot = p.load(step.slots, first, {N}, {}, {}, p.integer(-1));
  Value end = p.load(ends, first, {N});
  Value R = p.integer(shape.stateRows);
  Value isKept =
      p.both(p.atLeast(slot, p.integer(0)), p.greater(position, p.sub(end, R)));
  Value row = p.select(isKept, p.add(p.mul(slot, R), p.rem(position, R)),
                       p.integer(-1));
  Value biasRow = p.rem(position, p.integer(shape.ratio));
  Value bias = p.convert(p.gather(step.bias, biasRow, column, {N, C}), p.f32());
  Value kv = p.load(step.kv, {first, column}, {N, C});
  Value score = p.add(p.load(step.gate, {first, column}, {N, C}), bias);
  // The last block of columns stops at the width: what lies behind is the
  // scores' part of the row.
  int64_t tail = width % C;
  auto write = [&](int64_t count) {
    p.scatter(p.slice(kv, {0, 0}, {N, count}), state, row, column);
    p.scatter(p.slice(score, {0, 0}, {N, count}), state, row,
              p.add(column, p.index(width)));
  };
  int64_t blocks = llvm::divideCeil(width, C);
  if (tail == 0) {
    write(C);
  } else {
    Value isLast = p.equal(p.programId(1), p.index(blocks - 1));
    p.ifElse(
        isLast,
        [&] {
          write(tail);
          return Values();
        },
        [&] {
          write(C);
          return Values();
        });
  }
  p.finish({p.getSize(step.kv, 0).ceilDiv(N), p.getConstant(blocks)});
}
