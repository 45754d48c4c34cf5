//===- VarveVerifiers.cpp - Constraints of model ops ----------------------===//
//
// One function an op, checking its numbered constraints in order and stopping
// at the first violation. Messages say what was expected, which constraint,
// and what was found.
//
//===----------------------------------------------------------------------===//

#include "dialects/Varve/Varve.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/MathExtras.h"
#include <limits>

using namespace mlir;
using namespace mlir::varve;

//===----------------------------------------------------------------------===//
// Shapes
//===----------------------------------------------------------------------===//

static constexpr int64_t kDynamic = ShapedType::kDynamic;

static RankedTensorType tensorType(Value value) {
  return cast<RankedTensorType>(value.getType());
}

static bool compatible(int64_t a, int64_t b) {
  return a == b || ShapedType::isDynamic(a) || ShapedType::isDynamic(b);
}

static std::string shapeText(ArrayRef<int64_t> shape) {
  std::string text;
  llvm::raw_string_ostream os(text);
  llvm::interleave(
      shape, os,
      [&](int64_t size) {
        if (ShapedType::isDynamic(size))
          os << '?';
        else
          os << size;
      },
      "x");
  return text;
}

/// Reports unless `value` has the shape `expected`. `letters` names the
/// dimensions and the constraint, as in "T x D, C1".
static LogicalResult expectShape(Operation *op, StringRef name, Value value,
                                 ArrayRef<int64_t> expected,
                                 StringRef letters) {
  ArrayRef<int64_t> actual = tensorType(value).getShape();
  bool matches = actual.size() == expected.size();
  for (size_t i = 0; matches && i < actual.size(); ++i)
    matches = compatible(actual[i], expected[i]);
  if (matches)
    return success();
  return op->emitOpError() << "expected " << name << " of shape "
                           << shapeText(expected) << " (" << letters
                           << ") but got " << shapeText(actual);
}

static LogicalResult expectRank(Operation *op, StringRef name, Value value,
                                int64_t rank, StringRef letters) {
  int64_t actual = tensorType(value).getRank();
  if (actual == rank)
    return success();
  return op->emitOpError() << "expected " << name << " of rank " << rank << " ("
                           << letters << ") but got rank " << actual;
}

static LogicalResult expectElementType(Operation *op, StringRef name,
                                       Value value, Type expected,
                                       StringRef label) {
  Type actual = tensorType(value).getElementType();
  if (actual == expected)
    return success();
  return op->emitOpError() << "expected " << name << " of element type "
                           << expected << " (" << label << ") but got "
                           << actual;
}

/// One number per row of `rows`.
static LogicalResult expectOnePerRow(Operation *op, StringRef name,
                                     Value numbers, Value rows,
                                     StringRef label) {
  int64_t expected = tensorType(rows).getDimSize(0);
  int64_t actual = tensorType(numbers).getDimSize(0);
  if (compatible(expected, actual))
    return success();
  return op->emitOpError() << "expected one of " << name << " for each of "
                           << expected << " rows (" << label << ") but got "
                           << actual;
}

static LogicalResult expectTokens(Operation *op, Value rows, Value positions,
                                  Value slots, StringRef label) {
  if (failed(expectOnePerRow(op, "positions", positions, rows, label)))
    return failure();
  return expectOnePerRow(op, "slots", slots, rows, label);
}

/// Ops along the last dimension need it apart from the rows' dimension.
static LogicalResult expectRows(Operation *op, StringRef name, Value value,
                                StringRef label) {
  int64_t rank = tensorType(value).getRank();
  if (rank >= 2)
    return success();
  return op->emitOpError() << "expected " << name << " of rank 2 or more ("
                           << label << ") but got rank " << rank;
}

/// Product of the dimensions after the first.
static int64_t flattenedWidth(Value value) {
  return llvm::product_of(tensorType(value).getShape().drop_front());
}

static int64_t ceilDivide(int64_t size, int64_t block) {
  return llvm::divideCeil(size, block);
}

/// `shape` with its last dimension counted in blocks.
static SmallVector<int64_t> blockedShape(ArrayRef<int64_t> shape,
                                         int64_t block) {
  SmallVector<int64_t> blocked(shape);
  blocked.back() = ceilDivide(blocked.back(), block);
  return blocked;
}

//===----------------------------------------------------------------------===//
// Scales
//===----------------------------------------------------------------------===//

static bool hasCodes(Value value) {
  return isa<Float8E4M3FNType, Float4E2M1FNType>(
      tensorType(value).getElementType());
}

/// C2 of the matrix products: scales and a block belong to codes.
static LogicalResult verifyScalePresence(Operation *op, StringRef name,
                                         Value operand, Value scale,
                                         bool hasBlock) {
  if (hasCodes(operand) != static_cast<bool>(scale)) {
    return op->emitOpError() << "expected scales for " << name
                             << " exactly when its element type is "
                             << "f8E4M3FN or f4E2M1FN (C2) but got "
                             << tensorType(operand).getElementType()
                             << (scale ? " with" : " without") << " scales";
  }
  if (static_cast<bool>(scale) != hasBlock)
    return op->emitOpError() << "expected a block for " << name
                             << " exactly when it has scales (C2)";
  return success();
}

/// The attributes shared by `linear`, `grouped_linear` and `experts`.
template <typename OpT> static LogicalResult verifyScales(OpT op) {
  if (failed(verifyScalePresence(op, "x", op.getX(), op.getXScale(),
                                 op.getXBlock().has_value())) ||
      failed(verifyScalePresence(op, "weight", op.getWeight(),
                                 op.getWeightScale(),
                                 op.getWeightBlock().has_value())))
    return failure();
  if (std::optional<ArrayRef<int64_t>> block = op.getWeightBlock())
    if (block->size() != 2 || llvm::any_of(*block, [](int64_t size) {
          return size < 1 || size > std::numeric_limits<int32_t>::max();
        }))
      return op.emitOpError()
             << "expected a weight block of two positive i32 numbers, rows and "
                "columns (C2) but got ["
             << *block << "]";
  if (!hasCodes(op.getX()))
    return success();
  if (!hasCodes(op.getWeight()))
    return op.emitOpError()
           << "expected weight codes for codes of x (C4) but got "
           << tensorType(op.getWeight()).getElementType();
  int64_t a = *op.getXBlock(), b = (*op.getWeightBlock())[1];
  if (std::max(a, b) % std::min(a, b))
    return op.emitOpError()
           << "expected one block to divide the other (C4) but got " << a
           << " and " << b << " columns";
  return success();
}

//===----------------------------------------------------------------------===//
// Pools
//===----------------------------------------------------------------------===//

/// The pool whose name is closest to a misspelt one, if any is close.
static PoolOp nearestPool(Operation *user, StringRef name) {
  PoolOp nearest;
  unsigned best = std::max<size_t>(2, name.size() / 4) + 1;
  Operation *table = SymbolTable::getNearestSymbolTable(user);
  if (!table)
    return nearest;
  for (PoolOp pool : table->getRegion(0).getOps<PoolOp>()) {
    unsigned distance = name.edit_distance(pool.getSymName(), true, best);
    if (distance >= best)
      continue;
    best = distance;
    nearest = pool;
  }
  return nearest;
}

/// The pool `symbol` of one of the expected kinds, or a diagnostic.
static FailureOr<PoolOp> expectPool(Operation *op,
                                    SymbolTableCollection &tables,
                                    FlatSymbolRefAttr symbol,
                                    ArrayRef<PoolKind> kinds, StringRef label) {
  auto pool = tables.lookupNearestSymbolFrom<PoolOp>(op, symbol);
  if (!pool) {
    InFlightDiagnostic diagnostic =
        op->emitOpError() << "expected " << symbol << " to name a 'varve.pool'";
    if (PoolOp nearest = nearestPool(op, symbol.getValue()))
      diagnostic.attachNote(nearest.getLoc())
          << "did you mean @" << nearest.getSymName() << "?";
    return diagnostic;
  }
  if (llvm::is_contained(kinds, pool.getKind()))
    return pool;
  InFlightDiagnostic diagnostic = op->emitOpError()
                                  << "expected " << symbol << " to be ";
  llvm::interleave(
      kinds,
      [&](PoolKind kind) {
        diagnostic << "of kind " << stringifyPoolKind(kind);
      },
      [&] { diagnostic << " or "; });
  diagnostic << " (" << label << ") but it is of kind "
             << stringifyPoolKind(pool.getKind());
  diagnostic.attachNote(pool.getLoc()) << "declared here";
  return failure();
}

static LogicalResult expectPoolWidth(Operation *op, PoolOp pool,
                                     int64_t expected, StringRef label) {
  int64_t actual = pool.getFormat().getWidth();
  if (compatible(expected, actual))
    return success();
  InFlightDiagnostic diagnostic = op->emitOpError()
                                  << "expected rows of " << expected
                                  << " elements in @" << pool.getSymName()
                                  << " (" << label << ") but got " << actual;
  diagnostic.attachNote(pool.getLoc()) << "declared here";
  return failure();
}

LogicalResult PoolOp::verify() {
  bool isEntries = getKind() == PoolKind::Entries;
  if (getSize().has_value() == isEntries)
    return emitOpError()
           << "expected 'size' exactly for window and state pools (C1)";
  if (getRatio().has_value() != isEntries || getPage().has_value() != isEntries)
    return emitOpError()
           << "expected 'ratio' and 'page' exactly for entry pools (C1)";
  if (isEntries && *getPage() % *getRatio())
    return emitOpError() << "expected a ratio that divides the page of "
                         << *getPage() << " tokens (C2) but got "
                         << *getRatio();
  if (getSelect() && getKind() == PoolKind::State)
    return emitOpError()
           << "expected no 'select' on a state pool (C3): a compressor needs "
              "all of its rows";
  return success();
}

LogicalResult WeightOp::verify() {
  if (getName().empty())
    return emitOpError() << "expected a name (C1) but got an empty string";
  if (getName().count('*') > 1)
    return emitOpError()
           << "expected at most one '*' in the name (C1) but got \""
           << getName() << "\"";
  if (isStacked() && tensorType(getResult()).getRank() < 2)
    return emitOpError()
           << "expected a stacked weight of rank 2 or more (C2) but got "
           << getType();
  return success();
}

LogicalResult AppendOp::verify() {
  if (failed(expectRank(*this, "rows", getRows(), 2, "C1")))
    return failure();
  return expectTokens(*this, getRows(), getPositions(), getSlots(), "C2");
}

LogicalResult AppendOp::verifySymbolUses(SymbolTableCollection &tables) {
  auto pool = expectPool(*this, tables, getPoolAttr(),
                         {PoolKind::Window, PoolKind::Entries}, "C3");
  if (failed(pool))
    return failure();
  return expectPoolWidth(*this, *pool, tensorType(getRows()).getDimSize(1),
                         "C1");
}

//===----------------------------------------------------------------------===//
// Streams
//===----------------------------------------------------------------------===//

LogicalResult EmbedOp::verify() {
  if (failed(expectRank(*this, "table", getTable(), 2, "V x D, C1")))
    return failure();
  if (failed(expectShape(*this, "result", getResult(),
                         {kDynamic, tensorType(getTable()).getDimSize(1)},
                         "T x D, C1")))
    return failure();
  return expectOnePerRow(*this, "ids", getIds(), getResult(), "C2");
}

LogicalResult StreamExpandOp::verify() {
  if (failed(expectRank(*this, "x", getX(), 2, "T x D, C1")))
    return failure();
  RankedTensorType x = tensorType(getX());
  if (failed(expectShape(*this, "result", getResult(),
                         {x.getDimSize(0), kDynamic, x.getDimSize(1)},
                         "T x n x D, C1")))
    return failure();
  return expectElementType(*this, "result", getResult(), x.getElementType(),
                           "C1");
}

LogicalResult StreamProjectOp::verify() {
  if (failed(expectRank(*this, "X", getStreams(), 3, "T x n x D, C1")))
    return failure();
  RankedTensorType streams = tensorType(getStreams());
  int64_t T = streams.getDimSize(0), n = streams.getDimSize(1);
  if (failed(expectRank(*this, "fn", getFn(), 2, "C2")))
    return failure();
  bool isHead = tensorType(getFn()).getDimSize(0) == n;
  int64_t rows = isHead ? n : n * (2 + n);
  StringRef form = isHead ? "head form, C2" : "C2";
  if (failed(expectShape(*this, "fn", getFn(),
                         {rows, flattenedWidth(getStreams())}, form)) ||
      failed(expectShape(*this, "base", getBase(), {rows}, form)) ||
      failed(expectShape(*this, "scale", getScale(), {isHead ? 1 : 3}, form)))
    return failure();
  if (static_cast<bool>(getPost()) == isHead ||
      static_cast<bool>(getLogits()) == isHead)
    return emitOpError() << "expected " << (isHead ? "1 result" : "3 results")
                         << " for " << rows << " rows of fn (C3)";
  if (failed(expectShape(*this, "pre", getPre(), {T, n}, "T x n, C3")))
    return failure();
  if (isHead)
    return success();
  if (failed(expectShape(*this, "post", getPost(), {T, n}, "T x n, C3")))
    return failure();
  return expectShape(*this, "logits", getLogits(), {T, n, n}, "T x n x n, C3");
}

LogicalResult SinkhornOp::verify() {
  RankedTensorType type = tensorType(getLogits());
  int64_t rank = type.getRank();
  if (rank < 2 || type.getDimSize(rank - 2) != type.getDimSize(rank - 1))
    return emitOpError() << "expected equal last two dimensions (C1) but got "
                         << shapeText(type.getShape());
  return success();
}

LogicalResult StreamCollapseOp::verify() {
  if (failed(expectRank(*this, "X", getStreams(), 3, "T x n x D, C1")))
    return failure();
  ArrayRef<int64_t> shape = tensorType(getStreams()).getShape();
  if (failed(expectShape(*this, "pre", getPre(), {shape[0], shape[1]},
                         "T x n, C1")))
    return failure();
  return expectShape(*this, "result", getResult(), {shape[0], shape[2]},
                     "T x D, C1");
}

LogicalResult StreamMixOp::verify() {
  if (failed(expectRank(*this, "X", getStreams(), 3, "T x n x D, C1")))
    return failure();
  ArrayRef<int64_t> shape = tensorType(getStreams()).getShape();
  int64_t T = shape[0], n = shape[1], D = shape[2];
  if (failed(expectShape(*this, "y", getY(), {T, D}, "T x D, C1")) ||
      failed(expectShape(*this, "post", getPost(), {T, n}, "T x n, C1")) ||
      failed(expectShape(*this, "comb", getComb(), {T, n, n}, "T x n x n, C1")))
    return failure();
  return expectShape(*this, "result", getResult(), shape, "T x n x D, C1");
}

LogicalResult TakeOp::verify() {
  RankedTensorType x = tensorType(getX());
  SmallVector<int64_t> shape(x.getShape());
  shape[0] = tensorType(getRows()).getDimSize(0);
  if (failed(expectShape(*this, "result", getResult(), shape, "C1")))
    return failure();
  return expectElementType(*this, "result", getResult(), x.getElementType(),
                           "C1");
}

//===----------------------------------------------------------------------===//
// Norms, matrices, rotations
//===----------------------------------------------------------------------===//

LogicalResult RmsNormOp::verify() {
  ArrayRef<int64_t> shape = tensorType(getX()).getShape();
  if (failed(expectRows(*this, "x", getX(), "C1")) ||
      failed(expectShape(*this, "result", getResult(), shape, "C1")))
    return failure();
  if (getWeight() &&
      failed(expectShape(*this, "weight", getWeight(), {shape.back()}, "C2")))
    return failure();
  if (getWeight() && getRounding() == Rounding::EachStep)
    return emitOpError() << "expected no weight with 'round each_step' (C3)";
  return success();
}

LogicalResult LinearOp::verify() {
  int64_t K = flattenedWidth(getX()), N = flattenedWidth(getResult());
  if (failed(expectShape(*this, "weight", getWeight(), {N, K}, "N x K, C1")))
    return failure();
  if (failed(expectOnePerRow(*this, "result", getResult(), getX(), "C1")) ||
      failed(verifyScales(*this)))
    return failure();
  int64_t T = tensorType(getX()).getDimSize(0);
  if (getXScale() &&
      failed(expectShape(*this, "x_scale", getXScale(),
                         {T, ceilDivide(K, *getXBlock())}, "C3")))
    return failure();
  if (!getWeightScale())
    return success();
  ArrayRef<int64_t> block = *getWeightBlock();
  return expectShape(*this, "weight_scale", getWeightScale(),
                     {ceilDivide(N, block[0]), ceilDivide(K, block[1])}, "C3");
}

LogicalResult GroupedLinearOp::verify() {
  int64_t K = flattenedWidth(getX()), N = flattenedWidth(getResult());
  int64_t groups = getGroups();
  if (K % groups || N % groups)
    return emitOpError() << "expected " << groups
                         << " groups to divide N and K (C1) but got N = " << N
                         << " and K = " << K;
  int64_t groupK = K / groups;
  if (failed(expectShape(*this, "weight", getWeight(), {N, groupK},
                         "N x K / groups, C1")))
    return failure();
  if (failed(expectOnePerRow(*this, "result", getResult(), getX(), "C1")) ||
      failed(verifyScales(*this)))
    return failure();
  int64_t T = tensorType(getX()).getDimSize(0);
  if (getXScale() &&
      failed(expectShape(*this, "x_scale", getXScale(),
                         {T, groups * ceilDivide(groupK, *getXBlock())}, "C3")))
    return failure();
  if (!getWeightScale())
    return success();
  ArrayRef<int64_t> block = *getWeightBlock();
  return expectShape(*this, "weight_scale", getWeightScale(),
                     {ceilDivide(N, block[0]), ceilDivide(groupK, block[1])},
                     "C3");
}

LogicalResult RopeOp::verify() {
  RankedTensorType x = tensorType(getX());
  if (x.getRank() < 2 || x.getShape().back() < getTable().getDim())
    return emitOpError() << "expected a last dimension of at least "
                         << getTable().getDim()
                         << " rotary elements (C1) but got "
                         << shapeText(x.getShape());
  return expectOnePerRow(*this, "positions", getPositions(), getX(), "C2");
}

LogicalResult HadamardOp::verify() {
  ArrayRef<int64_t> shape = tensorType(getX()).getShape();
  if (failed(expectRows(*this, "x", getX(), "C1")))
    return failure();
  if (!llvm::isPowerOf2_64(shape.back()))
    return emitOpError()
           << "expected a power of two as last dimension (C1) but got "
           << shapeText(shape);
  return success();
}

LogicalResult QuantizeOp::verify() {
  ArrayRef<int64_t> shape = tensorType(getX()).getShape();
  if (failed(expectRows(*this, "x", getX(), "C1")) ||
      failed(expectShape(*this, "codes", getCodes(), shape, "C1")))
    return failure();
  return expectShape(*this, "scales", getScales(),
                     blockedShape(shape, getBlock()), "C2");
}

LogicalResult DequantizeOp::verify() {
  ArrayRef<int64_t> shape = tensorType(getCodes()).getShape();
  if (failed(expectRows(*this, "codes", getCodes(), "C1")) ||
      failed(expectShape(*this, "result", getResult(), shape, "C1")))
    return failure();
  return expectShape(*this, "scales", getScales(),
                     blockedShape(shape, getBlock()), "C2");
}

//===----------------------------------------------------------------------===//
// Compression, index, attention
//===----------------------------------------------------------------------===//

LogicalResult CompressOp::verify() {
  if (failed(expectRank(*this, "kv", getKv(), 2, "T x c dc, C1")))
    return failure();
  ArrayRef<int64_t> shape = tensorType(getKv()).getShape();
  int64_t halves = getHalves(), width = shape[1];
  if (width % halves)
    return emitOpError() << "expected a width of " << halves
                         << " equal halves (C1) but got " << width;
  if (failed(expectShape(*this, "gate", getGate(), shape, "T x c dc, C1")) ||
      failed(expectShape(*this, "bias", getBias(),
                         {static_cast<int64_t>(getRatio()), width},
                         "m x c dc, C1")) ||
      failed(expectShape(*this, "entries", getEntries(),
                         {kDynamic, width / halves}, "E x dc, C2")) ||
      failed(expectTokens(*this, getEntries(), getStarts(), getEntrySlots(),
                          "C2")))
    return failure();
  return expectTokens(*this, getKv(), getPositions(), getSlots(), "C4");
}

LogicalResult CompressOp::verifySymbolUses(SymbolTableCollection &tables) {
  auto pool =
      expectPool(*this, tables, getStateAttr(), {PoolKind::State}, "C3");
  if (failed(pool))
    return failure();
  int64_t rows = getHalves() * getRatio();
  if (static_cast<int64_t>(*pool->getSize()) < rows)
    return emitOpError() << "expected at least " << rows << " rows in @"
                         << getState() << " (c m, C3) but got "
                         << *pool->getSize();
  for (SegmentAttr segment : pool->getFormat().getSegments()) {
    if (segment.getElementType().isF32())
      continue;
    InFlightDiagnostic diagnostic =
        emitOpError() << "expected rows of f32 in @" << getState()
                      << " (C3) but got " << segment.getElementType();
    diagnostic.attachNote(pool->getLoc()) << "declared here";
    return diagnostic;
  }
  return expectPoolWidth(*this, *pool, 2 * tensorType(getKv()).getDimSize(1),
                         "2 c dc, C3");
}

LogicalResult IndexScoreOp::verify() {
  if (failed(expectRank(*this, "q", getQ(), 3, "T x Hi x di, C1")))
    return failure();
  ArrayRef<int64_t> shape = tensorType(getQ()).getShape();
  if (failed(expectShape(*this, "weights", getWeights(), {shape[0], shape[1]},
                         "T x Hi, C1")) ||
      failed(expectShape(*this, "scores", getScores(), {shape[0], kDynamic},
                         "T x S, C1")) ||
      failed(verifyScalePresence(*this, "q", getQ(), getQScale(),
                                 getQBlock().has_value())))
    return failure();
  if (getQScale() &&
      failed(expectShape(*this, "q_scale", getQScale(),
                         blockedShape(shape, *getQBlock()), "C2")))
    return failure();
  return expectTokens(*this, getQ(), getPositions(), getSlots(), "C4");
}

LogicalResult IndexScoreOp::verifySymbolUses(SymbolTableCollection &tables) {
  auto pool =
      expectPool(*this, tables, getKeysAttr(), {PoolKind::Entries}, "C3");
  if (failed(pool))
    return failure();
  return expectPoolWidth(*this, *pool, tensorType(getQ()).getDimSize(2),
                         "di, C3");
}

LogicalResult SparseAttentionOp::verify() {
  if (!getWindow() && !getEntries())
    return emitOpError()
           << "expected a window pool, an entry pool, or both (C1)";
  if (getIndices() && !getEntries())
    return emitOpError()
           << "expected 'entries' for the indices to refer to (C1)";
  if ((getWindowValues() && !getWindow()) ||
      (getEntryValues() && !getEntries()))
    return emitOpError() << "expected a key pool for the value pool (C1)";
  bool windowSplit = getWindowValues().has_value(),
       entrySplit = getEntryValues().has_value();
  if (getWindow() && getEntries() && windowSplit != entrySplit)
    return emitOpError()
           << "expected value pools for both sources or neither (C1)";
  if (failed(expectRank(*this, "q", getQ(), 3, "T x H x d, C2")))
    return failure();
  ArrayRef<int64_t> shape = tensorType(getQ()).getShape();
  int64_t H = shape[1], d = shape[2];
  if (H % static_cast<int64_t>(getKvHeads()))
    return emitOpError() << "expected kv_heads to divide " << H
                         << " heads (C2) but got " << getKvHeads();
  if (failed(expectShape(*this, "result", getResult(), {shape[0], H, kDynamic},
                         "T x H x dv, C3")))
    return failure();
  int64_t dv = tensorType(getResult()).getDimSize(2);
  if (!windowSplit && !entrySplit && dv > d)
    return emitOpError() << "expected values of at most " << d
                         << " elements without value pools (C3) but got " << dv;
  if (getSink() && failed(expectShape(*this, "sink", getSink(), {H}, "H, C4")))
    return failure();
  if (getIndices() && failed(expectShape(*this, "indices", getIndices(),
                                         {shape[0], kDynamic}, "T x k, C4")))
    return failure();
  return expectTokens(*this, getQ(), getPositions(), getSlots(), "C4");
}

/// A source's key pool and, where it has one, its value pool.
static LogicalResult verifySource(SparseAttentionOp op,
                                  SymbolTableCollection &tables,
                                  FlatSymbolRefAttr keys,
                                  FlatSymbolRefAttr values, PoolKind kind) {
  if (!keys)
    return success();
  int64_t heads = op.getKvHeads();
  auto keyPool = expectPool(op, tables, keys, {kind}, "C5");
  if (failed(keyPool) ||
      failed(expectPoolWidth(op, *keyPool,
                             heads * tensorType(op.getQ()).getDimSize(2),
                             "kv_heads d, C2")))
    return failure();
  if (!values)
    return success();
  auto valuePool = expectPool(op, tables, values, {kind}, "C5");
  if (failed(valuePool) ||
      failed(expectPoolWidth(op, *valuePool,
                             heads * tensorType(op.getResult()).getDimSize(2),
                             "kv_heads dv, C3")))
    return failure();
  if (keyPool->getSize() == valuePool->getSize() &&
      keyPool->getRatio() == valuePool->getRatio())
    return success();
  InFlightDiagnostic diagnostic = op.emitOpError()
                                  << "expected " << values << " to agree with "
                                  << keys << " in size and ratio (C5)";
  diagnostic.attachNote(valuePool->getLoc()) << "declared here";
  return failure();
}

LogicalResult
SparseAttentionOp::verifySymbolUses(SymbolTableCollection &tables) {
  if (failed(verifySource(*this, tables, getWindowAttr(), getWindowValuesAttr(),
                          PoolKind::Window)))
    return failure();
  return verifySource(*this, tables, getEntriesAttr(), getEntryValuesAttr(),
                      PoolKind::Entries);
}

//===----------------------------------------------------------------------===//
// Routing, experts, sampling
//===----------------------------------------------------------------------===//

/// A token's experts are different ones.
static LogicalResult expectActive(Operation *op, int64_t active,
                                  int64_t experts, StringRef label) {
  if (active <= experts)
    return success();
  return op->emitOpError() << "expected at most " << experts
                           << " active experts (" << label << ") but got "
                           << active;
}

LogicalResult RouteTopkOp::verify() {
  int64_t X = tensorType(getLogits()).getDimSize(1);
  if (getBias() && failed(expectShape(*this, "bias", getBias(), {X}, "X, C1")))
    return failure();
  return expectActive(*this, getActive(), X, "C2");
}

LogicalResult RouteHashOp::verify() {
  if (failed(expectOnePerRow(*this, "token_ids", getTokenIds(), getLogits(),
                             "C1")))
    return failure();
  return expectActive(*this, tensorType(getTable()).getDimSize(1),
                      tensorType(getLogits()).getDimSize(1), "C2");
}

LogicalResult ExpertsOp::verify() {
  if (failed(expectRank(*this, "ids", getIds(), 2, "T x A, C1")) ||
      failed(expectRank(*this, "weight", getWeight(), 3, "X x N x K, C1")))
    return failure();
  RankedTensorType x = tensorType(getX());
  int64_t T = tensorType(getIds()).getDimSize(0),
          A = tensorType(getIds()).getDimSize(1);
  ArrayRef<int64_t> weight = tensorType(getWeight()).getShape();
  int64_t X = weight[0], N = weight[1], K = weight[2];
  if (failed(x.getRank() == 3
                 ? expectShape(*this, "x", getX(), {T, A, K}, "T x A x K, C1")
                 : expectShape(*this, "x", getX(), {T, K}, "T x K, C1")) ||
      failed(expectShape(*this, "result", getResult(), {T, A, N},
                         "T x A x N, C1")) ||
      failed(expectActive(*this, A, X, "C1")) || failed(verifyScales(*this)))
    return failure();
  if (getXScale() &&
      failed(expectShape(*this, "x_scale", getXScale(),
                         blockedShape(x.getShape(), *getXBlock()), "C3")))
    return failure();
  if (!getWeightScale())
    return success();
  ArrayRef<int64_t> block = *getWeightBlock();
  return expectShape(*this, "weight_scale", getWeightScale(),
                     {X, ceilDivide(N, block[0]), ceilDivide(K, block[1])},
                     "C3");
}

LogicalResult SwigluOp::verify() {
  ArrayRef<int64_t> shape = tensorType(getGate()).getShape();
  if (failed(expectRows(*this, "gate", getGate(), "C1")) ||
      failed(expectShape(*this, "up", getUp(), shape, "C1")) ||
      failed(expectShape(*this, "result", getResult(), shape, "C1")))
    return failure();
  if (getWeights() && failed(expectShape(*this, "weights", getWeights(),
                                         shape.drop_back(), "C2")))
    return failure();
  if (!(getLimit().convertToDouble() >= 0.0))
    return emitOpError()
           << "expected a limit that is not negative (C3) but got "
           << getLimit().convertToDouble();
  return success();
}

LogicalResult CombineOp::verify() {
  if (failed(expectRank(*this, "x", getX(), 3, "T x A x D, C1")))
    return failure();
  ArrayRef<int64_t> shape = tensorType(getX()).getShape();
  if (failed(expectShape(*this, "ids", getIds(), {shape[0], shape[1]},
                         "T x A, C1")) ||
      (getShared() && failed(expectShape(*this, "shared", getShared(),
                                         {shape[0], shape[2]}, "T x D, C1"))))
    return failure();
  return expectShape(*this, "result", getResult(), {shape[0], shape[2]},
                     "T x D, C1");
}

LogicalResult SampleOp::verify() {
  double temperature = getTemperature().convertToDouble();
  double topP = getTopP().convertToDouble();
  if (!(temperature >= 0.0))
    return emitOpError()
           << "expected a temperature that is not negative (C2) but got "
           << temperature;
  if (static_cast<bool>(getUniform()) != (temperature > 0.0))
    return emitOpError()
           << "expected 'uniform' exactly when the temperature is "
              "positive (C1)";
  if (getUniform() &&
      failed(expectShape(*this, "uniform", getUniform(),
                         {tensorType(getLogits()).getDimSize(0)}, "R, C1")))
    return failure();
  if (!(topP > 0.0 && topP <= 1.0))
    return emitOpError() << "expected top_p above 0 and at most 1 (C2) but got "
                         << topP;
  return success();
}
