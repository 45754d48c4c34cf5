//===- Attention.cpp - Programs of sparse attention -----------------------===//

#include "passes/Lower/Programs/Attention.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::varve;
using Values = TileProgram::Values;

//===----------------------------------------------------------------------===//
// Shapes
//===----------------------------------------------------------------------===//

AttentionShape AttentionShape::of(SparseAttentionOp op) {
  AttentionShape shape;
  auto q = cast<RankedTensorType>(op.getQ().getType());
  auto result = cast<RankedTensorType>(op.getType());
  shape.heads = q.getDimSize(1);
  shape.size = q.getDimSize(2);
  shape.valueSize = result.getDimSize(2);
  shape.kvHeads = op.getKvHeads();
  shape.query = q.getElementType();
  shape.result = result.getElementType();
  if (op.getIndices())
    shape.numIndices =
        cast<RankedTensorType>(op.getIndices().getType()).getDimSize(1);
  if (op.getSink())
    shape.sink = getElementTypeOrSelf(op.getSink().getType());
  auto get =
      [&](std::optional<FlatSymbolRefAttr> symbol) -> std::optional<PoolShape> {
    if (!symbol || !*symbol)
      return std::nullopt;
    return PoolShape::of(lookupPool(op, *symbol));
  };
  shape.window = get(op.getWindowAttr());
  shape.windowValues = get(op.getWindowValuesAttr());
  shape.entries = get(op.getEntriesAttr());
  shape.entryValues = get(op.getEntryValuesAttr());
  shape.scale = op.getScale().convertToDouble();
  shape.block = op.getBlock().value_or(0);
  if (op.getProbabilities() && !op.getProbabilities()->isF32())
    shape.probabilities = *op.getProbabilities();
  return shape;
}

static SmallVector<PoolShape> getPools(const AttentionShape &shape) {
  SmallVector<PoolShape> pools;
  for (const auto &pool :
       {shape.window, shape.windowValues, shape.entries, shape.entryValues})
    if (pool)
      pools.push_back(*pool);
  return pools;
}

LogicalResult
mlir::varve::verifyAttention(const AttentionShape &shape,
                             function_ref<InFlightDiagnostic()> emitError) {
  for (const PoolShape &pool : getPools(shape)) {
    if (failed(verifyPoolParts(pool.format, emitError)))
      return failure();
    if (shape.kvHeads == 1)
      continue;
    SegmentAttr segment = pool.format.getSegments().front();
    int64_t head = pool.format.getWidth() / shape.kvHeads;
    if (pool.format.getSegments().size() > 1 ||
        (segment.getBlock() && head % segment.getBlock() != 0))
      return emitError()
             << "rows of " << shape.kvHeads
             << " key heads need a pool format of one segment whose blocks "
                "divide a head, but it is "
             << pool.format;
  }
  if (shape.probabilities && !shape.block)
    return emitError() << "rounded probabilities need a block: they round "
                          "relative to the running maximum of their block";
  return success();
}

/// Whether all numbers that are multiplied are bf16 numbers.
static bool isNarrow(const AttentionShape &shape) {
  if (!shape.query.isBF16() ||
      (shape.probabilities && !shape.probabilities.isBF16()))
    return false;
  return llvm::all_of(getPools(shape), [](const PoolShape &pool) {
    return llvm::all_of(pool.format.getSegments(), [](SegmentAttr segment) {
      return segment.getBlock() || segment.getElementType().isBF16();
    });
  });
}

//===----------------------------------------------------------------------===//
// The program
//===----------------------------------------------------------------------===//

namespace {

/// Running maximum, sum and weighted values of a block's heads; or the maximum
/// alone.
struct Softmax {
  Value largest, sum, values;
  Values all() const {
    return sum ? Values{largest, sum, values} : Values{largest};
  }
  static Softmax of(ValueRange carried) {
    if (carried.size() == 1)
      return {carried[0], Value(), Value()};
    return {carried[0], carried[1], carried[2]};
  }
};

class AttentionProgram {
public:
  AttentionProgram(TileProgram &p, const AttentionShape &shape,
                   const AttentionStrategy &strategy,
                   AttentionFollower follower, bool onlyMaxima = false)
      : shape(shape), strategy(strategy), follower(follower),
        onlyMaxima(onlyMaxima), p(p) {}
  void build();

private:
  /// Where the keys of a tile are: rows of the window, of the entries, or, in a
  /// tile that holds both, either.
  struct Keys {
    Value window, entries;
    Value isThere;
  };

  void addArguments();
  void enterBlock();
  void allocateTile();
  RowNumbers getEntries(Value rows);
  Keys getWindowKeys(Value first);
  Keys getEntryKeys(Value first);
  Keys getMixedKeys(Value first);
  void readRows(const Keys &keys, const PoolRows &windowPool,
                const PoolRows &entryPool, int64_t width, Value buffer);
  Value getLogits(const Keys &keys);
  Softmax addTile(const Keys &keys, const Softmax &state);
  Softmax getStart();
  Softmax addTiles(Value begin, Value end, const Softmax &state,
                   function_ref<Keys(Value)> getKeys, bool mayBeEmpty);
  Softmax attend();
  void storeResult(const Softmax &state);
  void storeParts(const Softmax &state);
  Value getHeadMask(ArrayRef<int64_t> shape);

  AttentionShape shape;
  AttentionStrategy strategy;
  AttentionFollower follower;
  bool onlyMaxima;
  TileProgram &p;

  Value q, positions, slots, starts, indices, sink, staging, table, result;
  Value before, maxima, sums, parts;
  PoolRows windowKeys, windowValues, entryKeys, entryValues;

  /// Of this block.
  int64_t M, B, headsPerKey, groups;
  Type compute;
  Value token, position, slot, start, keyHead, firstHead, endHead, visible;
  Value queries, keyBuffer, valueBuffer;
};

} // namespace

void AttentionProgram::addArguments() {
  q = p.addRows({shape.heads, shape.size}, shape.query);
  positions = p.addRows({}, p.i32());
  slots = p.addRows({}, p.i32());
  starts = p.addRows({}, p.i32());
  if (shape.numIndices)
    indices = p.addRows({shape.numIndices}, p.i32());
  if (shape.sink)
    sink = p.addView({shape.heads}, shape.sink);
  if (shape.window) {
    windowKeys = windowValues = PoolRows::addTo(p, shape.window->format);
    if (shape.windowValues)
      windowValues = PoolRows::addTo(p, shape.windowValues->format);
    staging = p.addArgument(p.i32());
  }
  if (shape.entries) {
    entryKeys = entryValues = PoolRows::addTo(p, shape.entries->format);
    if (shape.entryValues)
      entryValues = PoolRows::addTo(p, shape.entryValues->format);
    table = p.addView({ShapedType::kDynamic, ShapedType::kDynamic}, p.i32());
  }
  if (strategy.splits == 1) {
    if (!follower)
      result = p.addRows({shape.heads, shape.valueSize}, shape.result);
    return;
  }
  if (shape.probabilities && !onlyMaxima)
    before = p.addRows({strategy.splits, shape.heads}, p.f32());
  maxima = p.addRows({strategy.splits, shape.heads}, p.f32());
  if (onlyMaxima)
    return;
  sums = p.addRows({strategy.splits, shape.heads}, p.f32());
  parts = p.addRows({strategy.splits, shape.heads, shape.valueSize}, p.f32());
}

void AttentionProgram::enterBlock() {
  headsPerKey = shape.heads / shape.kvHeads;
  M = strategy.headRows;
  B = shape.block ? shape.block : strategy.keys;
  groups = llvm::divideCeil(headsPerKey, M);
  compute = strategy.narrow && isNarrow(shape) ? Type(p.builder.getBF16Type())
                                               : p.f32();
  token = p.programId(0);
  Value block = p.programId(1);
  keyHead = p.div(block, p.index(groups));
  endHead = p.mul(p.add(keyHead, p.index(1)), p.index(headsPerKey));
  firstHead = p.add(p.mul(keyHead, p.index(headsPerKey)),
                    p.mul(p.rem(block, p.index(groups)), p.index(M)));
  position = p.loadScalar(positions, token);
  slot = p.loadScalar(slots, token);
  start = p.loadScalar(starts, token);
  if (shape.entries)
    visible = p.select(
        p.atLeast(slot, p.integer(0)),
        p.div(p.add(position, p.integer(1)), p.integer(shape.entries->ratio)),
        p.integer(0));

  queries = p.alloc({M, shape.size}, compute, shape.size);
  p.write(p.convert(p.load(q, {token, firstHead, p.index(0)}, {M, shape.size},
                           {1, 2}, getHeadMask({M, shape.size})),
                    compute),
          queries);
}

/// Inside the loop over tiles, so that what follows it may use the memory.
void AttentionProgram::allocateTile() {
  keyBuffer = p.alloc({B, shape.size}, compute, strategy.columns);
  if (shape.windowValues || shape.entryValues)
    valueBuffer = p.alloc({B, shape.valueSize}, compute, strategy.columns);
}

/// Which rows are heads of this block's key head; null when all are, or lie
/// beyond the last head.
Value AttentionProgram::getHeadMask(ArrayRef<int64_t> shape_) {
  if (shape.kvHeads == 1 || headsPerKey % M == 0)
    return {};
  Value head = p.add(p.iota(shape_, 0), p.toInteger(firstHead));
  return p.less(head, p.toInteger(endHead));
}

//===----------------------------------------------------------------------===//
// Keys
//===----------------------------------------------------------------------===//

RowNumbers AttentionProgram::getEntries(Value rows) {
  return {rows, table, p.splat({B}, slot), shape.entries->getRowsPerPage()};
}

/// Places `first ... first + B - 1` of the window, oldest first; those behind
/// the token's own are empty.
AttentionProgram::Keys AttentionProgram::getWindowKeys(Value first) {
  Value W = p.integer(shape.window->size), none = p.integer(-1);
  Value oldest = p.max(p.integer(0), p.add(p.sub(position, W), p.integer(1)));
  Value place = p.add(p.iota({B}, 0), first);
  Value key = p.add(place, oldest);
  Value isThere =
      p.both(p.less(place, W), p.less(key, p.add(position, p.integer(1))));
  // A padding token has no slot and no keys: its row is not stored either.
  isThere = p.both(isThere, p.atLeast(slot, p.integer(0)));
  Value inStep =
      p.add(key, p.sub(p.add(staging, p.toInteger(token)), position));
  Value inRing = p.add(p.rem(key, W), p.mul(slot, W));
  Value row = p.select(p.atLeast(key, start), inStep, inRing);
  return {p.select(isThere, row, none), Value(), isThere};
}

/// Places of the list of entries, or of all visible ones.
AttentionProgram::Keys AttentionProgram::getEntryKeys(Value first) {
  Value none = p.integer(-1), rows;
  if (indices) {
    // A place before the list's begin, in a mixed tile, is outside the view.
    rows = p.load(indices, {token, p.toIndex(first)}, {B}, {1}, Value(), none);
    rows = p.select(p.atLeast(slot, p.integer(0)), rows, none);
  } else {
    Value place = p.add(p.iota({B}, 0), first);
    Value isThere =
        p.both(p.less(place, visible), p.atLeast(place, p.integer(0)));
    rows = p.select(isThere, place, none);
  }
  return {Value(), rows, p.atLeast(rows, p.integer(0))};
}

/// Places of the window's W and then of the entries.
AttentionProgram::Keys AttentionProgram::getMixedKeys(Value first) {
  Keys window = getWindowKeys(first);
  Keys entries = getEntryKeys(p.sub(first, p.integer(shape.window->size)));
  return {window.window, entries.entries,
          p.either(window.isThere, entries.isThere)};
}

/// Reads `width` columns of this block's key head of a tile's rows.
void AttentionProgram::readRows(const Keys &keys, const PoolRows &windowPool,
                                const PoolRows &entryPool, int64_t width,
                                Value buffer) {
  const PoolRows &pool = keys.window ? windowPool : entryPool;
  int64_t head = pool.getFormat().getWidth() / shape.kvHeads;
  Value shift;
  if (shape.kvHeads > 1)
    shift = p.mul(keyHead, p.index(head));
  auto readRun = [&](ColumnRun run) {
    Value rows;
    if (keys.window)
      rows = windowPool.gather(p, {keys.window, Value()}, run, compute, shift);
    if (keys.entries) {
      Value entries =
          entryPool.gather(p, getEntries(keys.entries), run, compute, shift);
      if (!rows)
        return entries;
      Value isWindow = p.broadcast(p.atLeast(keys.window, p.integer(0)),
                                   {B, run.width}, {0});
      rows = p.select(isWindow, rows, entries);
    }
    return rows;
  };
  SmallVector<ColumnRun> runs = pool.getRuns(0, width, strategy.columns);
  if (keys.window && keys.entries &&
      windowPool.getFormat() != entryPool.getFormat()) {
    // Runs that both formats can read.
    runs.clear();
    for (ColumnRun run : windowPool.getRuns(0, width, strategy.columns))
      llvm::append_range(runs,
                         entryPool.getRuns(run.begin, run.width, run.width));
  }
  int64_t bytes = compute.getIntOrFloatBitWidth() / 8;
  auto type = cast<tile::BufferType>(buffer.getType());
  int64_t panel = type.getLayout() ? type.getLayout().getSwizzle() : 32;
  bool fillPanels = llvm::all_of(runs, [&](ColumnRun run) {
    return run.begin * bytes % panel == 0 && run.width * bytes % panel == 0;
  });
  if (fillPanels) {
    for (ColumnRun run : runs)
      p.write(readRun(run),
              p.subbuffer(buffer, {0, run.begin}, {B, run.width}));
    return;
  }
  p.write(p.concat(llvm::map_to_vector(runs, readRun), 1), buffer);
}

//===----------------------------------------------------------------------===//
// Softmax
//===----------------------------------------------------------------------===//

/// The logits [M, B] of a tile, -inf where there is no key. Leaves the keys in
/// their buffer.
Value AttentionProgram::getLogits(const Keys &keys) {
  readRows(keys, windowKeys, entryKeys, shape.size, keyBuffer);
  Value products = p.dot(queries, keyBuffer, p.zeros({M, B}), true);
  Value logits = p.mul(products, p.number(shape.scale));
  return p.select(p.broadcast(keys.isThere, {M, B}, {1}), logits,
                  p.lowest({M, B}));
}

Softmax AttentionProgram::addTile(const Keys &keys, const Softmax &state) {
  Value logits = getLogits(keys);
  Value largest = p.max(state.largest, p.largest(logits, 1));
  if (onlyMaxima)
    return {largest, Value(), Value()};
  if (valueBuffer)
    readRows(keys, windowValues, entryValues, shape.valueSize, valueBuffer);
  Value values = valueBuffer
                     ? valueBuffer
                     : p.subbuffer(keyBuffer, {0, 0}, {B, shape.valueSize});
  // Without any key so far the maximum is -inf; no exponent may be NaN.
  Value base =
      p.select(p.greater(largest, p.lowest({M})), largest, p.zeros({M}));
  Value weights = p.exp(p.sub(logits, p.broadcast(base, {M, B}, {0})));
  Value factor = p.exp(p.sub(state.largest, base));
  Value sum = p.add(p.mul(state.sum, factor), p.sum(weights, 1));
  int64_t dv = shape.valueSize;
  Value result = p.mul(state.values, p.broadcast(factor, {M, dv}, {0}));
  if (shape.probabilities)
    weights = p.roundTo(weights, shape.probabilities);
  Value rounded = p.convert(weights, compute);
  result = p.dot(rounded, values, result, false);
  // What a bf16 operand loses of a weight that is not to be rounded.
  if (compute.isBF16() && !shape.probabilities)
    result =
        p.dot(p.convert(p.sub(weights, p.convert(rounded, p.f32())), compute),
              values, result, false);
  return {largest, sum, result};
}

/// Tiles `begin ... end - 1` (i32).
Softmax AttentionProgram::addTiles(Value begin, Value end, const Softmax &state,
                                   function_ref<Keys(Value)> getKeys,
                                   bool mayBeEmpty) {
  auto body = [&](Value tile, ValueRange carried) -> Values {
    allocateTile();
    Softmax current = Softmax::of(carried);
    Keys keys = getKeys(p.mul(p.toInteger(tile), p.integer(B)));
    if (!mayBeEmpty)
      return addTile(keys, current).all();
    Value last = p.largest(p.convert(keys.isThere, p.i32()), 0);
    return p.ifElse(
        p.greater(last, p.integer(0)),
        [&] { return addTile(keys, current).all(); },
        [&] { return current.all(); });
  };
  return Softmax::of(
      p.loop(p.toIndex(begin), p.toIndex(end), 1, state.all(), body));
}

/// Nothing yet; or, where weights round relative to the maximum so far, the
/// maximum of the splits before.
Softmax AttentionProgram::getStart() {
  Value largest = p.lowest({M});
  if (before)
    largest = p.loop(p.index(0), p.programId(2), 1, largest,
                     [&](Value split, ValueRange carried) -> Values {
                       Value part =
                           p.load(before, {token, split, firstHead}, {M}, {2});
                       return {p.max(carried[0], part)};
                     })[0];
  if (onlyMaxima)
    return {largest, Value(), Value()};
  return {largest, p.zeros({M}), p.zeros({M, shape.valueSize})};
}

Softmax AttentionProgram::attend() {
  Softmax state = getStart();
  Value zero = p.integer(0), entryPlaces, windowPlaces = zero;
  if (shape.entries)
    entryPlaces = indices ? p.integer(shape.numIndices) : visible;
  bool isMixed = shape.window && shape.entries && shape.block &&
                 shape.window->size % shape.block != 0;
  if (isMixed)
    windowPlaces = p.add(p.integer(shape.window->size), entryPlaces);
  else if (shape.window)
    windowPlaces =
        p.min(p.integer(shape.window->size), p.add(position, p.integer(1)));
  Value windowTiles = p.ceilDiv(windowPlaces, B), entryTiles = zero;
  if (shape.entries && !isMixed)
    entryTiles = p.ceilDiv(entryPlaces, B);

  // This split's share of the tiles, window first.
  Value begin = zero, end = p.add(windowTiles, entryTiles);
  if (strategy.splits > 1) {
    Value share = p.ceilDiv(end, strategy.splits);
    begin = p.mul(p.toInteger(p.programId(2)), share);
    end = p.min(end, p.add(begin, share));
  }
  if (shape.window)
    state = addTiles(
        p.min(begin, windowTiles), p.min(end, windowTiles), state,
        [&](Value first) {
          return isMixed ? getMixedKeys(first) : getWindowKeys(first);
        },
        /*mayBeEmpty=*/isMixed);
  if (shape.entries && !isMixed)
    state = addTiles(
        p.max(p.sub(begin, windowTiles), zero), p.sub(end, windowTiles), state,
        [&](Value first) { return getEntryKeys(first); },
        /*mayBeEmpty=*/bool(indices));
  return state;
}

//===----------------------------------------------------------------------===//
// Results
//===----------------------------------------------------------------------===//

/// `values / (sum + e^(sink - largest))`, zero without any key; `sinks` may be
/// null.
static Value finishSoftmax(TileProgram &p, const Softmax &state, Value sinks) {
  ArrayRef<int64_t> shape = p.getShape(state.values);
  SmallVector<int64_t> rows = {shape[0]};
  Value has = p.greater(state.largest, p.lowest(rows));
  Value divisor = state.sum;
  if (sinks) {
    Value base = p.select(has, state.largest, p.zeros(rows));
    divisor = p.add(divisor, p.exp(p.sub(p.convert(sinks, p.f32()), base)));
  }
  divisor = p.select(has, divisor, p.splat(rows, p.f32(), 1.0));
  return p.div(state.values, p.broadcast(divisor, shape, {0}));
}

void AttentionProgram::storeResult(const Softmax &state) {
  Value sinks;
  if (sink)
    sinks = p.load(sink, firstHead, {M});
  Value values = p.convert(finishSoftmax(p, state, sinks), shape.result);
  if (follower)
    return follower(values, token, firstHead);
  p.store(values, result, {token, firstHead, p.index(0)}, {1, 2},
          getHeadMask({M, shape.valueSize}));
}

void AttentionProgram::storeParts(const Softmax &state) {
  Value split = p.programId(2);
  p.store(state.largest, maxima, {token, split, firstHead}, {2},
          getHeadMask({M}));
  if (onlyMaxima)
    return;
  p.store(state.sum, sums, {token, split, firstHead}, {2}, getHeadMask({M}));
  p.store(state.values, parts, {token, split, firstHead, p.index(0)}, {2, 3},
          getHeadMask({M, shape.valueSize}));
}

void AttentionProgram::build() {
  addArguments();
  enterBlock();
  Softmax state = attend();
  AffineExpr tokens = p.getSize(q, 0);
  AffineExpr blocks = p.getConstant(groups * shape.kvHeads);
  if (strategy.splits == 1) {
    storeResult(state);
    return p.finish({tokens, blocks});
  }
  storeParts(state);
  p.finish({tokens, blocks, p.getConstant(strategy.splits)});
}

void mlir::varve::buildAttention(TileProgram &p, const AttentionShape &shape,
                                 const AttentionStrategy &strategy,
                                 AttentionFollower follower) {
  AttentionProgram(p, shape, strategy, follower).build();
}

void mlir::varve::buildAttentionMaxima(TileProgram &p,
                                       const AttentionShape &shape,
                                       const AttentionStrategy &strategy) {
  AttentionProgram(p, shape, strategy, nullptr, /*onlyMaxima=*/true).build();
}

void mlir::varve::combineAttention(TileProgram &p, const AttentionShape &shape,
                                   const AttentionStrategy &strategy,
                                   AttentionFollower follower) {
  int64_t M = strategy.headRows, H = shape.heads, dv = shape.valueSize;
  Value maxima = p.addRows({strategy.splits, H}, p.f32());
  Value sums = p.addRows({strategy.splits, H}, p.f32());
  Value parts = p.addRows({strategy.splits, H, dv}, p.f32());
  Value sink, sinks;
  if (shape.sink)
    sink = p.addView({H}, shape.sink);
  Value result;
  if (!follower)
    result = p.addRows({H, dv}, shape.result);

  Value token = p.programId(0), head = p.mul(p.programId(1), p.index(M));
  Values init = {p.lowest({M}), p.zeros({M}), p.zeros({M, dv})};
  Values state = p.loop(
      p.index(0), p.index(strategy.splits), 1, init,
      [&](Value split, ValueRange carried) -> Values {
        Softmax old = Softmax::of(carried);
        Value part = p.load(maxima, {token, split, head}, {M}, {2});
        Value largest = p.max(old.largest, part);
        Value base =
            p.select(p.greater(largest, p.lowest({M})), largest, p.zeros({M}));
        Value oldFactor = p.exp(p.sub(old.largest, base));
        Value factor = p.exp(p.sub(part, base));
        Value sum =
            p.add(p.mul(old.sum, oldFactor),
                  p.mul(p.load(sums, {token, split, head}, {M}, {2}), factor));
        Value values =
            p.load(parts, {token, split, head, p.index(0)}, {M, dv}, {2, 3});
        values = p.add(p.mul(old.values, p.broadcast(oldFactor, {M, dv}, {0})),
                       p.mul(values, p.broadcast(factor, {M, dv}, {0})));
        return {largest, sum, values};
      });
  if (sink)
    sinks = p.load(sink, head, {M});
  Value values =
      p.convert(finishSoftmax(p, Softmax::of(state), sinks), shape.result);
  if (follower)
    follower(values, token, head);
  else
    p.store(values, result, {token, head, p.index(0)}, {1, 2});
  p.finish({p.getSize(maxima, 0), p.getConstant(llvm::divideCeil(H, M))});
}
