//===- VarveCost.cpp - Exact work of model ops ----------------------------===//
//
// Formulas of `CostOpInterface`. Dynamic dimensions follow from the step's
// shape and from where a value comes from; matrix products and attention count
// their multiplications, everything else one operation per element and
// primitive of its formula.
//
//===----------------------------------------------------------------------===//

#include "dialects/Varve/Varve.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/MathExtras.h"
#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <limits>

using namespace mlir;
using namespace mlir::varve;

//===----------------------------------------------------------------------===//
// Counting without overflow
//===----------------------------------------------------------------------===//

static constexpr int64_t kMaxCount = std::numeric_limits<int64_t>::max();

/// Product of counts, at most kMaxCount.
static int64_t product(std::initializer_list<int64_t> factors) {
  if (llvm::is_contained(factors, 0))
    return 0;
  int64_t result = 1;
  for (int64_t factor : factors)
    if (llvm::MulOverflow(result, factor, result))
      return kMaxCount;
  return result;
}

/// Adds a count to a total that stays at kMaxCount once there.
static void add(int64_t &total, int64_t count) {
  if (llvm::AddOverflow(total, count, total))
    total = kMaxCount;
}

static int64_t sum(std::initializer_list<int64_t> counts) {
  int64_t total = 0;
  for (int64_t count : counts)
    add(total, count);
  return total;
}

int64_t OpCost::flops() const {
  return sum({flopsF32, flopsBF16, flopsF8, flopsF4});
}

int64_t OpCost::bytes() const {
  return sum({weightBytes, activationBytesRead, activationBytesWritten,
              poolBytesRead, poolBytesWritten});
}

OpCost &OpCost::operator+=(const OpCost &other) {
  for (auto field : {&OpCost::flopsF32, &OpCost::flopsBF16, &OpCost::flopsF8,
                     &OpCost::flopsF4, &OpCost::productFlops,
                     &OpCost::weightBytes, &OpCost::activationBytesRead,
                     &OpCost::activationBytesWritten, &OpCost::poolBytesRead,
                     &OpCost::windowBytesRead, &OpCost::poolBytesWritten})
    add(this->*field, other.*field);
  return *this;
}

//===----------------------------------------------------------------------===//
// Sums over the tokens of a step
//===----------------------------------------------------------------------===//

llvm::Error StepShape::check() const {
  constexpr int64_t kMaxNumber = std::numeric_limits<int32_t>::max();
  for (auto [name, number] :
       {std::pair("tokens", tokens), std::pair("sequences", sequences),
        std::pair("context", context)})
    if (number < 1 || number > kMaxNumber)
      return llvm::createStringError(
          "expected a positive i32 number as the step's %s but got %lld", name,
          static_cast<long long>(number));
  if (tokens % sequences)
    return llvm::createStringError("expected sequences of equally many tokens "
                                   "in a step but got %lld tokens of "
                                   "%lld sequences",
                                   static_cast<long long>(tokens),
                                   static_cast<long long>(sequences));
  if (context < tokensPerSequence())
    return llvm::createStringError("expected a context of at least the %lld "
                                   "tokens that the step adds to a "
                                   "sequence but got %lld",
                                   static_cast<long long>(tokensPerSequence()),
                                   static_cast<long long>(context));
  if (logitRows < 0 || logitRows > tokens)
    return llvm::createStringError(
        "expected logits for at most the %lld tokens of a step but got %lld",
        static_cast<long long>(tokens), static_cast<long long>(logitRows));
  return llvm::Error::success();
}

// With i32 positions the sums below stay under 2^63 for one sequence.

/// sum of floor(i / m) for i = 1 ... N.
static int64_t sumOfQuotients(int64_t N, int64_t m) {
  int64_t full = (N + 1) / m; // quotients 0 ... full - 1 occur m times each
  return m * full * (full - 1) / 2 + full * ((N + 1) - full * m);
}

/// sum of min(floor(i / m), k) for i = 1 ... N.
static int64_t sumOfCappedQuotients(int64_t N, int64_t m, int64_t k) {
  int64_t below = std::min(N, m * k - 1); // the last i with a quotient below k
  return sumOfQuotients(below, m) + (N - below) * k;
}

int64_t StepShape::visibleEntries(int64_t m) const {
  return product({sequences, sumOfQuotients(context, m) -
                                 sumOfQuotients(tokensBefore(), m)});
}

int64_t StepShape::selectedEntries(int64_t m, int64_t k) const {
  return product({sequences, sumOfCappedQuotients(context, m, k) -
                                 sumOfCappedQuotients(tokensBefore(), m, k)});
}

int64_t StepShape::windowKeys(int64_t W) const { return selectedEntries(1, W); }

int64_t StepShape::completedEntries(int64_t m) const {
  return sequences * (context / m - tokensBefore() / m);
}

//===----------------------------------------------------------------------===//
// Sizes of values
//===----------------------------------------------------------------------===//

static RankedTensorType tensorType(Value value) {
  return cast<RankedTensorType>(value.getType());
}

static Type elementType(Value value) {
  return tensorType(value).getElementType();
}

/// The leading dimension of `value`: entries behind a compressor, logit rows
/// behind `take`, tokens elsewhere. Follows first operands, which carry the
/// rows of every op.
static int64_t leadingSize(Value value, const StepShape &step) {
  while (true) {
    RankedTensorType type = tensorType(value);
    if (!type.isDynamicDim(0))
      return type.getDimSize(0);
    Operation *producer = value.getDefiningOp();
    if (auto compress = dyn_cast_or_null<CompressOp>(producer))
      return step.completedEntries(compress.getRatio());
    if (isa_and_nonnull<TakeOp>(producer))
      return step.logitRows;
    if (!producer || producer->getNumOperands() == 0 ||
        !isa<RankedTensorType>(producer->getOperand(0).getType()))
      return step.tokens;
    Value first = producer->getOperand(0);
    if (tensorType(first).getRank() == 0)
      return step.tokens;
    value = first;
  }
}

static int64_t elements(Value value, const StepShape &step) {
  ArrayRef<int64_t> row = tensorType(value).getShape().drop_front();
  return product({leadingSize(value, step), llvm::product_of(row)});
}

static int64_t bytesOf(int64_t count, Type elementType) {
  int64_t bits = product({count, elementType.getIntOrFloatBitWidth()});
  return bits == kMaxCount ? kMaxCount : llvm::divideCeil(bits, 8);
}

static int64_t bytes(Value value, const StepShape &step) {
  return bytesOf(elements(value, step), elementType(value));
}

int64_t mlir::varve::getValueBytes(Value value, const StepShape &step) {
  if (auto score = value.getDefiningOp<IndexScoreOp>())
    return score.getCost(step).activationBytesWritten;
  return bytes(value, step);
}

static bool isWeight(Value value) {
  return isa_and_nonnull<WeightOp>(value.getDefiningOp());
}

/// Bytes of the operands; weights as a whole.
static OpCost inputTraffic(Operation *op, const StepShape &step) {
  OpCost cost;
  for (Value operand : op->getOperands())
    add(isWeight(operand) ? cost.weightBytes : cost.activationBytesRead,
        bytes(operand, step));
  return cost;
}

/// Bytes of the operands and results.
static OpCost traffic(Operation *op, const StepShape &step) {
  OpCost cost = inputTraffic(op, step);
  for (Value result : op->getResults())
    add(cost.activationBytesWritten, bytes(result, step));
  return cost;
}

/// Adds multiplications of a product of operands of `type`.
static void addFlops(OpCost &cost, Type type, int64_t flops) {
  add(cost.productFlops, flops);
  if (isa<Float4E2M1FNType>(type))
    add(cost.flopsF4, flops);
  else if (isa<Float8E4M3FNType>(type))
    add(cost.flopsF8, flops);
  else if (isa<BFloat16Type, Float16Type>(type))
    add(cost.flopsBF16, flops);
  else
    add(cost.flopsF32, flops);
}

/// `perElement` f32 operations for each element of `value`.
static OpCost elementwise(Operation *op, Value value, int64_t perElement,
                          const StepShape &step) {
  OpCost cost = traffic(op, step);
  add(cost.flopsF32, product({perElement, elements(value, step)}));
  return cost;
}

//===----------------------------------------------------------------------===//
// Weights and streams
//===----------------------------------------------------------------------===//

// A weight costs where it is read.
OpCost WeightOp::getCost(const StepShape &) { return {}; }

OpCost EmbedOp::getCost(const StepShape &step) {
  OpCost cost;
  int64_t count = elements(getResult(), step);
  cost.weightBytes = bytesOf(count, elementType(getTable()));
  cost.activationBytesRead = bytes(getIds(), step);
  cost.activationBytesWritten = bytes(getResult(), step);
  return cost;
}

OpCost StreamExpandOp::getCost(const StepShape &step) {
  return traffic(*this, step);
}

OpCost StreamProjectOp::getCost(const StepShape &step) {
  OpCost cost = traffic(*this, step);
  int64_t width = elements(getStreams(), step); // T n D
  int64_t rows = tensorType(getFn()).getDimSize(0);
  // The matrix, and the mean square of the norm.
  add(cost.flopsF32, product({2, width, rows + 1}));
  add(cost.productFlops, product({2, width, rows}));
  return cost;
}

OpCost SinkhornOp::getCost(const StepShape &step) {
  // Each pass sums and divides; the softmax counts as the first row pass.
  return elementwise(*this, getResult(), 4 * getIterations(), step);
}

OpCost StreamCollapseOp::getCost(const StepShape &step) {
  return elementwise(*this, getStreams(), 2, step);
}

OpCost StreamMixOp::getCost(const StepShape &step) {
  int64_t n = tensorType(getStreams()).getDimSize(1);
  return elementwise(*this, getStreams(), 2 * n + 2, step);
}

OpCost TakeOp::getCost(const StepShape &step) {
  OpCost cost;
  cost.activationBytesWritten = bytes(getResult(), step);
  int64_t rows = leadingSize(getResult(), step);
  cost.activationBytesRead =
      sum({cost.activationBytesWritten, bytesOf(rows, elementType(getRows()))});
  return cost;
}

//===----------------------------------------------------------------------===//
// Norms, matrices, rotations
//===----------------------------------------------------------------------===//

OpCost RmsNormOp::getCost(const StepShape &step) {
  return elementwise(*this, getX(), getWeight() ? 4 : 3, step);
}

OpCost LinearOp::getCost(const StepShape &step) {
  OpCost cost = traffic(*this, step);
  int64_t K = tensorType(getWeight()).getDimSize(1);
  addFlops(cost, elementType(getX()),
           product({2, K, elements(getResult(), step)}));
  return cost;
}

OpCost GroupedLinearOp::getCost(const StepShape &step) {
  OpCost cost = traffic(*this, step);
  int64_t K = tensorType(getWeight()).getDimSize(1);
  addFlops(cost, elementType(getX()),
           product({2, K, elements(getResult(), step)}));
  return cost;
}

OpCost RopeOp::getCost(const StepShape &step) {
  OpCost cost = traffic(*this, step);
  ArrayRef<int64_t> shape = tensorType(getX()).getShape();
  int64_t heads = llvm::product_of(shape.drop_front().drop_back());
  // A pair takes four products and two sums.
  add(cost.flopsF32,
      product({3, leadingSize(getX(), step), heads, getTable().getDim()}));
  return cost;
}

OpCost HadamardOp::getCost(const StepShape &step) {
  int64_t d = tensorType(getX()).getShape().back();
  return elementwise(*this, getX(), llvm::Log2_64(d) + 1, step);
}

OpCost QuantizeOp::getCost(const StepShape &step) {
  return elementwise(*this, getX(), 3, step);
}

OpCost DequantizeOp::getCost(const StepShape &step) {
  return elementwise(*this, getCodes(), 1, step);
}

//===----------------------------------------------------------------------===//
// Pools, index, attention
//===----------------------------------------------------------------------===//

/// Sum over the step's tokens of the rows of an entry pool that are visible
/// and kept.
static int64_t visibleRows(PoolOp pool, const StepShape &step) {
  int64_t m = pool.getRowTokens();
  return pool.getSelect() ? step.selectedEntries(m, pool.getKeptRows())
                          : step.visibleEntries(m);
}

OpCost AppendOp::getCost(const StepShape &step) {
  OpCost cost = traffic(*this, step);
  if (PoolOp pool = lookupPool(*this, getPoolAttr()))
    cost.poolBytesWritten =
        product({leadingSize(getRows(), step), pool.getFormat().getRowBytes()});
  return cost;
}

OpCost CompressOp::getCost(const StepShape &step) {
  OpCost cost = traffic(*this, step);
  int64_t m = getRatio(), before = step.tokensBefore();
  int64_t entries = step.completedEntries(m);
  int64_t pooledRows = product({entries, getHalves() * m});
  // Entry 0 has no previous window.
  if (getOverlap() && before < m && step.context >= m)
    pooledRows -= step.sequences * m;
  // Bias add, then exponential, two sums and a product per pooled element.
  add(cost.flopsF32, elements(getKv(), step));
  add(cost.flopsF32,
      product({5, pooledRows, tensorType(getEntries()).getDimSize(1)}));
  PoolOp pool = lookupPool(*this, getStateAttr());
  if (!pool)
    return cost;
  // Rows of the step's own tokens need not be read back, and only the ring's
  // worth of the last ones need be stored.
  int64_t rowBytes = pool.getFormat().getRowBytes();
  int64_t firstWindow =
      std::max<int64_t>(0, (before / m + 1 - getHalves()) * m);
  int64_t readRows = entries ? before - firstWindow : 0;
  int64_t writtenRows =
      std::min<int64_t>(step.tokensPerSequence(), pool.getSize().value_or(0));
  cost.poolBytesRead = product({step.sequences, readRows, rowBytes});
  cost.poolBytesWritten = product({step.sequences, writtenRows, rowBytes});
  return cost;
}

/// Adds what keeping only the best rows of `pool` costs its reader, whose
/// `heads` queries meet `keys` of them: probabilities summed up by row, or all
/// kept rows scored now and then (the average over many steps).
static void addSelection(OpCost &cost, PoolOp pool, int64_t heads, int64_t keys,
                         const StepShape &step) {
  std::optional<SelectAttr> select = pool.getSelect();
  if (!select || select->getScore() == SelectScore::Position)
    return;
  int64_t rows = pool.getRowsOf(step.context);
  int64_t scoreBytes = product({step.sequences, rows, select->getScoreBytes()});
  if (select->getScore() == SelectScore::Attention) {
    add(cost.flopsF32, product({heads, keys}));
    add(cost.poolBytesRead, scoreBytes);
    add(cost.poolBytesWritten, scoreBytes);
    return;
  }
  auto perStep = [&](int64_t count) {
    return llvm::divideCeil(product({step.tokensPerSequence(), count}),
                            select->getEvery());
  };
  add(cost.flopsF32,
      perStep(product({2, step.sequences, rows, pool.getFormat().getWidth()})));
  add(cost.poolBytesRead,
      perStep(product({step.sequences, rows, pool.getFormat().getRowBytes()})));
  add(cost.poolBytesWritten, perStep(scoreBytes));
}

OpCost IndexScoreOp::getCost(const StepShape &step) {
  OpCost cost = inputTraffic(*this, step);
  PoolOp pool = lookupPool(*this, getKeysAttr());
  if (!pool)
    return cost;
  RankedTensorType q = tensorType(getQ());
  int64_t heads = q.getDimSize(1), width = q.getDimSize(2);
  int64_t pairs = visibleRows(pool, step);
  // Products as in specification 9.4, then the head's rectifier and weight.
  addFlops(cost, q.getElementType(), product({2, heads, width, pairs}));
  add(cost.flopsF32, product({3, heads, pairs}));
  cost.poolBytesRead = product({step.sequences, pool.getRowsOf(step.context),
                                pool.getFormat().getRowBytes()});
  addSelection(cost, pool, heads, pairs, step);
  cost.activationBytesWritten = bytesOf(pairs, elementType(getScores()));
  return cost;
}

OpCost IndexTopkOp::getCost(const StepShape &step) {
  OpCost cost;
  int64_t candidates = step.visibleEntries(1);
  if (auto score = getScores().getDefiningOp<IndexScoreOp>())
    if (PoolOp pool = lookupPool(score, score.getKeysAttr()))
      candidates = visibleRows(pool, step);
  cost.flopsF32 = candidates;
  cost.activationBytesRead = bytesOf(candidates, elementType(getScores()));
  cost.activationBytesWritten = bytes(getIndices(), step);
  return cost;
}

/// Keys that a step's queries attend to in the entry pool, and the rows of it
/// that the step must read: of a selection at most as many as it has places,
/// since queries may agree.
static std::pair<int64_t, int64_t> entryKeys(SparseAttentionOp op, PoolOp pool,
                                             const StepShape &step) {
  int64_t stored = product({step.sequences, pool.getRowsOf(step.context)});
  if (!op.getIndices())
    return {visibleRows(pool, step), stored};
  int64_t k = tensorType(op.getIndices()).getDimSize(1);
  int64_t keys = step.selectedEntries(pool.getRowTokens(),
                                      std::min(k, pool.getKeptRows()));
  return {keys, std::min(stored, keys)};
}

OpCost SparseAttentionOp::getCost(const StepShape &step) {
  OpCost cost = traffic(*this, step);
  RankedTensorType q = tensorType(getQ());
  int64_t heads = q.getDimSize(1), d = q.getDimSize(2);
  int64_t dv = tensorType(getResult()).getDimSize(2);
  auto lookup = [&](FlatSymbolRefAttr symbol) {
    return symbol ? lookupPool(*this, symbol) : PoolOp();
  };
  auto rowBytes = [&](FlatSymbolRefAttr symbol) -> int64_t {
    PoolOp pool = lookup(symbol);
    return pool ? pool.getFormat().getRowBytes() : 0;
  };
  int64_t keys = 0;
  if (PoolOp pool = lookup(getWindowAttr())) {
    int64_t W =
        std::min<int64_t>(pool.getSize().value_or(1), pool.getKeptRows());
    int64_t attended = step.windowKeys(W);
    add(keys, attended);
    addSelection(cost, pool, heads, attended, step);
    int64_t rows = std::min(step.context, W - 1 + step.tokensPerSequence());
    cost.windowBytesRead =
        product({step.sequences, rows,
                 rowBytes(getWindowAttr()) + rowBytes(getWindowValuesAttr())});
    add(cost.poolBytesRead, cost.windowBytesRead);
  }
  if (PoolOp pool = lookup(getEntriesAttr())) {
    auto [attended, rows] = entryKeys(*this, pool, step);
    add(keys, attended);
    addSelection(cost, pool, heads, attended, step);
    add(cost.poolBytesRead,
        product({rows,
                 rowBytes(getEntriesAttr()) + rowBytes(getEntryValuesAttr())}));
  }
  addFlops(cost, q.getElementType(), product({2, heads, d + dv, keys}));
  add(cost.flopsF32, product({4, heads, keys}));
  return cost;
}

//===----------------------------------------------------------------------===//
// Routing, experts, sampling
//===----------------------------------------------------------------------===//

OpCost RouteTopkOp::getCost(const StepShape &step) {
  return elementwise(*this, getLogits(), 4, step);
}

OpCost RouteHashOp::getCost(const StepShape &step) {
  OpCost cost;
  int64_t count = elements(getIds(), step); // T A, as read from the table
  cost.weightBytes = bytesOf(count, elementType(getTable()));
  cost.activationBytesRead =
      sum({bytes(getLogits(), step), bytes(getTokenIds(), step)});
  cost.activationBytesWritten =
      sum({bytes(getIds(), step), bytes(getWeights(), step)});
  cost.flopsF32 = product({4, count});
  return cost;
}

OpCost ExpertsOp::getCost(const StepShape &step) {
  OpCost cost = traffic(*this, step);
  ArrayRef<int64_t> weight = tensorType(getWeight()).getShape();
  int64_t T = leadingSize(getIds(), step),
          A = tensorType(getIds()).getDimSize(1);
  addFlops(cost, elementType(getX()), product({2, T, A, weight[1], weight[2]}));
  // The share of experts that at least one token chose, expected under uniform
  // routing; exact for one token.
  double share =
      T == 1 ? static_cast<double>(A) / weight[0]
             : 1.0 - std::pow(1.0 - static_cast<double>(A) / weight[0], T);
  cost.weightBytes = std::llround(cost.weightBytes * share);
  return cost;
}

OpCost SwigluOp::getCost(const StepShape &step) {
  return elementwise(*this, getResult(), getWeights() ? 6 : 5, step);
}

OpCost CombineOp::getCost(const StepShape &step) {
  return elementwise(*this, getX(), 1, step);
}

OpCost SampleOp::getCost(const StepShape &step) {
  OpCost cost;
  int64_t rows = leadingSize(getLogits(), step);
  cost.activationBytesRead =
      sum({bytes(getLogits(), step),
           getUniform() ? bytesOf(rows, elementType(getUniform())) : 0});
  cost.activationBytesWritten = bytesOf(rows, elementType(getIds()));
  cost.flopsF32 = product({getUniform() ? 4 : 1, elements(getLogits(), step)});
  return cost;
}
