//===- VarveCost.cpp - Exact work of model ops ----------------------------===//
//
// Formulas of `CostOpInterface`. Dynamic dimensions follow from the step's
// shape and from where a value comes from; matrix products and attention count
// their multiplications, everything else one operation per element and
// primitive of its formula.
//
//===----------------------------------------------------------------------===//

#include "dialects/Varve/Varve.h"
#include "llvm/Support/MathExtras.h"
#include <algorithm>
#include <cmath>

using namespace mlir;
using namespace mlir::varve;

//===----------------------------------------------------------------------===//
// Sums over the tokens of a step
//===----------------------------------------------------------------------===//

/// sum of floor(i / m) for i = 1 ... N.
static int64_t sumOfQuotients(int64_t N, int64_t m) {
  int64_t full = (N + 1) / m; // quotients 0 ... full - 1 occur m times each
  return m * full * (full - 1) / 2 + full * ((N + 1) - full * m);
}

int64_t StepShape::visibleEntries(int64_t m) const {
  int64_t before = context - tokensPerSequence();
  return sequences * (sumOfQuotients(context, m) - sumOfQuotients(before, m));
}

int64_t StepShape::windowKeys(int64_t W) const {
  auto sum = [&](int64_t N) { // of min(i, W) for i = 1 ... N
    int64_t ramp = std::min(N, W);
    return ramp * (ramp + 1) / 2 + (N - ramp) * W;
  };
  return sequences * (sum(context) - sum(context - tokensPerSequence()));
}

int64_t StepShape::completedEntries(int64_t m) const {
  return sequences * (context / m - (context - tokensPerSequence()) / m);
}

OpCost &OpCost::operator+=(const OpCost &other) {
  flopsF32 += other.flopsF32;
  flopsBF16 += other.flopsBF16;
  flopsF8 += other.flopsF8;
  flopsF4 += other.flopsF4;
  weightBytes += other.weightBytes;
  activationBytesRead += other.activationBytesRead;
  activationBytesWritten += other.activationBytesWritten;
  poolBytesRead += other.poolBytesRead;
  poolBytesWritten += other.poolBytesWritten;
  return *this;
}

//===----------------------------------------------------------------------===//
// Sizes of values
//===----------------------------------------------------------------------===//

/// The leading dimension of `value`: entries behind a compressor, logit rows
/// behind `take`, tokens elsewhere.
static int64_t leadingSize(Value value, const StepShape &step) {
  auto type = cast<RankedTensorType>(value.getType());
  if (type.getRank() == 0)
    return 1;
  if (!type.isDynamicDim(0))
    return type.getDimSize(0);
  Operation *producer = value.getDefiningOp();
  if (auto compress = dyn_cast_or_null<CompressOp>(producer))
    return step.completedEntries(compress.getRatio());
  if (isa_and_nonnull<TakeOp>(producer))
    return step.logitRows;
  if (!producer || producer->getNumOperands() == 0)
    return step.tokens;
  return leadingSize(producer->getOperand(0), step);
}

static int64_t elements(Value value, const StepShape &step) {
  auto type = cast<RankedTensorType>(value.getType());
  int64_t count = leadingSize(value, step);
  for (int64_t size :
       type.getShape().drop_front(std::min<int64_t>(1, type.getRank())))
    // The only other dynamic dimension is that of index scores.
    count *=
        ShapedType::isDynamic(size) ? std::max<int64_t>(step.context, 1) : size;
  return count;
}

static int64_t bytesOf(int64_t count, Type elementType) {
  return llvm::divideCeil(count * elementType.getIntOrFloatBitWidth(), 8);
}

static int64_t bytes(Value value, const StepShape &step) {
  return bytesOf(elements(value, step),
                 cast<RankedTensorType>(value.getType()).getElementType());
}

static bool isWeight(Value value) {
  return isa_and_nonnull<WeightOp>(value.getDefiningOp());
}

/// Bytes of operands and results; whole weights, unless the op reads parts.
static OpCost traffic(Operation *op, const StepShape &step) {
  OpCost cost;
  for (Value operand : op->getOperands())
    (isWeight(operand) ? cost.weightBytes : cost.activationBytesRead) +=
        bytes(operand, step);
  for (Value result : op->getResults())
    cost.activationBytesWritten += bytes(result, step);
  return cost;
}

/// Adds arithmetic at the precision of `type`.
static void addFlops(OpCost &cost, Type type, int64_t flops) {
  if (isa<Float4E2M1FNType>(type))
    cost.flopsF4 += flops;
  else if (isa<Float8E4M3FNType>(type))
    cost.flopsF8 += flops;
  else if (isa<BFloat16Type, Float16Type>(type))
    cost.flopsBF16 += flops;
  else
    cost.flopsF32 += flops;
}

static Type elementType(Value value) {
  return cast<RankedTensorType>(value.getType()).getElementType();
}

/// `perElement` f32 operations for each element of `value`.
static OpCost elementwise(Operation *op, Value value, int64_t perElement,
                          const StepShape &step) {
  OpCost cost = traffic(op, step);
  cost.flopsF32 += perElement * elements(value, step);
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
  int64_t rows = cast<RankedTensorType>(getFn().getType()).getDimSize(0);
  cost.flopsF32 += 2 * width * rows + 2 * width;
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
  int64_t n = cast<RankedTensorType>(getStreams().getType()).getDimSize(1);
  return elementwise(*this, getStreams(), 2 * n + 2, step);
}

OpCost TakeOp::getCost(const StepShape &step) {
  OpCost cost;
  cost.activationBytesWritten = bytes(getResult(), step);
  cost.activationBytesRead =
      cost.activationBytesWritten + bytes(getRows(), step);
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
  int64_t K = cast<RankedTensorType>(getWeight().getType()).getDimSize(1);
  addFlops(cost, elementType(getX()), 2 * K * elements(getResult(), step));
  return cost;
}

OpCost GroupedLinearOp::getCost(const StepShape &step) {
  OpCost cost = traffic(*this, step);
  int64_t K = cast<RankedTensorType>(getWeight().getType()).getDimSize(1);
  addFlops(cost, elementType(getX()), 2 * K * elements(getResult(), step));
  return cost;
}

OpCost RopeOp::getCost(const StepShape &step) {
  OpCost cost = traffic(*this, step);
  auto type = cast<RankedTensorType>(getX().getType());
  int64_t rows = elements(getX(), step) / type.getShape().back();
  cost.flopsF32 += 3 * rows * getTable().getDim();
  return cost;
}

OpCost HadamardOp::getCost(const StepShape &step) {
  int64_t d = cast<RankedTensorType>(getX().getType()).getShape().back();
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

OpCost AppendOp::getCost(const StepShape &step) {
  OpCost cost = traffic(*this, step);
  if (PoolOp pool = lookupPool(*this, getPoolAttr()))
    cost.poolBytesWritten =
        leadingSize(getRows(), step) * pool.getFormat().getRowBytes();
  return cost;
}

OpCost CompressOp::getCost(const StepShape &step) {
  OpCost cost = traffic(*this, step);
  int64_t rows = getHalves() * getRatio();
  int64_t entries = step.completedEntries(getRatio());
  int64_t width = cast<RankedTensorType>(getEntries().getType()).getDimSize(1);
  // Bias add, then exponential, two sums and a product per pooled element.
  cost.flopsF32 += elements(getKv(), step) + 5 * entries * rows * width;
  if (PoolOp pool = lookupPool(*this, getStateAttr())) {
    int64_t rowBytes = pool.getFormat().getRowBytes();
    cost.poolBytesWritten = step.tokens * rowBytes;
    // Rows of the step's own tokens need not be read back.
    int64_t before =
        std::max<int64_t>(0, std::min(entries * rows, step.sequences * rows) -
                                 std::min(step.tokens, step.sequences * rows));
    cost.poolBytesRead = before * rowBytes;
  }
  return cost;
}

OpCost IndexScoreOp::getCost(const StepShape &step) {
  OpCost cost;
  PoolOp pool = lookupPool(*this, getKeysAttr());
  if (!pool)
    return cost;
  auto q = cast<RankedTensorType>(getQ().getType());
  int64_t heads = q.getDimSize(1), width = q.getDimSize(2),
          m = pool.getRowTokens();
  int64_t pairs = step.visibleEntries(m);
  // Products as in specification 9.4, then the head's rectifier and weight.
  addFlops(cost, q.getElementType(), 2 * heads * width * pairs);
  cost.flopsF32 += 3 * heads * pairs;
  cost.poolBytesRead =
      step.sequences * (step.context / m) * pool.getFormat().getRowBytes();
  cost.activationBytesRead = bytes(getQ(), step) + bytes(getWeights(), step) +
                             (getQScale() ? bytes(getQScale(), step) : 0);
  cost.activationBytesWritten = bytesOf(pairs, elementType(getScores()));
  return cost;
}

OpCost IndexTopkOp::getCost(const StepShape &step) {
  OpCost cost;
  int64_t m = 1;
  if (auto score = getScores().getDefiningOp<IndexScoreOp>())
    if (PoolOp pool = lookupPool(score, score.getKeysAttr()))
      m = pool.getRowTokens();
  int64_t candidates = step.visibleEntries(m);
  cost.flopsF32 = candidates;
  cost.activationBytesRead = bytesOf(candidates, elementType(getScores()));
  cost.activationBytesWritten = bytes(getIndices(), step);
  return cost;
}

/// Keys that a step's queries attend to in the entry pool, and the rows of it
/// that the step must read.
static std::pair<int64_t, int64_t> entryKeys(SparseAttentionOp op, PoolOp pool,
                                             const StepShape &step) {
  int64_t m = pool.getRowTokens();
  int64_t visible = step.visibleEntries(m);
  int64_t stored = step.sequences * (step.context / m);
  if (!op.getIndices())
    return {visible, stored};
  // min(visible, k) summed over tokens: the window's sum with W = k, counted
  // in entries.
  int64_t k = cast<RankedTensorType>(op.getIndices().getType()).getDimSize(1);
  int64_t keys = 0;
  int64_t first = step.context - step.tokensPerSequence() + 1;
  int64_t saturated = k * m; // from this context on every query has k entries
  int64_t ramp =
      std::clamp<int64_t>(saturated - first, 0, step.tokensPerSequence());
  for (int64_t i = 0; i < ramp; ++i)
    keys += std::min((first + i) / m, k);
  keys = step.sequences * (keys + (step.tokensPerSequence() - ramp) * k);
  return {keys, std::min(stored, keys)};
}

OpCost SparseAttentionOp::getCost(const StepShape &step) {
  OpCost cost = traffic(*this, step);
  auto q = cast<RankedTensorType>(getQ().getType());
  int64_t heads = q.getDimSize(1), d = q.getDimSize(2);
  int64_t dv = cast<RankedTensorType>(getResult().getType()).getDimSize(2);
  auto rowBytes = [&](FlatSymbolRefAttr symbol) -> int64_t {
    PoolOp pool = symbol ? lookupPool(*this, symbol) : PoolOp();
    return pool ? pool.getFormat().getRowBytes() : 0;
  };
  int64_t keys = 0;
  if (PoolOp pool =
          getWindowAttr() ? lookupPool(*this, getWindowAttr()) : PoolOp()) {
    int64_t W = pool.getSize().value_or(1);
    keys += step.windowKeys(W);
    int64_t rows = step.sequences *
                   std::min(step.context, W - 1 + step.tokensPerSequence());
    cost.poolBytesRead +=
        rows * (rowBytes(getWindowAttr()) + rowBytes(getWindowValuesAttr()));
  }
  if (PoolOp pool =
          getEntriesAttr() ? lookupPool(*this, getEntriesAttr()) : PoolOp()) {
    auto [entries, rows] = entryKeys(*this, pool, step);
    keys += entries;
    cost.poolBytesRead +=
        rows * (rowBytes(getEntriesAttr()) + rowBytes(getEntryValuesAttr()));
  }
  addFlops(cost, q.getElementType(), 2 * heads * (d + dv) * keys);
  cost.flopsF32 += 4 * heads * keys;
  return cost;
}

//===----------------------------------------------------------------------===//
// Routing, experts, sampling
//===----------------------------------------------------------------------===//

OpCost RouteTopkOp::getCost(const StepShape &step) {
  return elementwise(*this, getLogits(), 4, step);
}

OpCost RouteHashOp::getCost(const StepShape &step) {
  OpCost cost = traffic(*this, step);
  cost.weightBytes = bytesOf(elements(getIds(), step), elementType(getTable()));
  cost.flopsF32 += 4 * elements(getIds(), step);
  return cost;
}

OpCost ExpertsOp::getCost(const StepShape &step) {
  OpCost cost = traffic(*this, step);
  ArrayRef<int64_t> weight =
      cast<RankedTensorType>(getWeight().getType()).getShape();
  int64_t A = cast<RankedTensorType>(getIds().getType()).getDimSize(1);
  int64_t rows = elements(getIds(), step); // T A
  addFlops(cost, elementType(getX()), 2 * rows * weight[1] * weight[2]);
  // Experts that at least one token chose, expected under uniform routing.
  double untouched =
      std::pow(1.0 - static_cast<double>(A) / weight[0], rows / A);
  double share = rows <= A
                     ? std::min(1.0, static_cast<double>(rows) / weight[0])
                     : 1.0 - untouched;
  int64_t whole = cost.weightBytes;
  cost.weightBytes = std::llround(whole * share);
  return cost;
}

OpCost SwigluOp::getCost(const StepShape &step) {
  return elementwise(*this, getResult(), getWeights() ? 6 : 5, step);
}

OpCost CombineOp::getCost(const StepShape &step) {
  return elementwise(*this, getX(), 1, step);
}

OpCost SampleOp::getCost(const StepShape &step) {
  return elementwise(*this, getLogits(), getUniform() ? 4 : 1, step);
}
