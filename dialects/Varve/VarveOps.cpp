//===- VarveOps.cpp - Syntax, inference and folds of model ops ------------===//

#include "dialects/Varve/Varve.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Interfaces/FunctionImplementation.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include <limits>

using namespace mlir;
using namespace mlir::varve;

//===----------------------------------------------------------------------===//
// Types
//===----------------------------------------------------------------------===//

bool varve::hasStaticRows(RankedTensorType type) {
  constexpr int64_t kMaxSize = std::numeric_limits<int32_t>::max();
  constexpr int64_t kMaxElements = int64_t(1) << 40;
  if (type.getRank() == 0)
    return false;
  int64_t elements = 1;
  for (auto [i, size] : llvm::enumerate(type.getShape())) {
    if (i == 0 && (ShapedType::isDynamic(size) || size == 0))
      continue;
    // Below 2^31 * 2^40 the product cannot overflow.
    if (ShapedType::isDynamic(size) || size < 1 || size > kMaxSize ||
        (elements *= size) > kMaxElements)
      return false;
  }
  return true;
}

//===----------------------------------------------------------------------===//
// Syntax
//===----------------------------------------------------------------------===//

/// A pool's format, without the attribute's mnemonic.
static ParseResult parseBareFormat(OpAsmParser &parser, FormatAttr &format) {
  format = dyn_cast_or_null<FormatAttr>(FormatAttr::parse(parser, Type()));
  return success(format != nullptr);
}

static void printBareFormat(OpAsmPrinter &printer, Operation *,
                            FormatAttr format) {
  format.print(printer);
}

/// `(X, fn, base, scale) -> pre` or `-> (pre, post, logits)`.
static ParseResult parseProjectTypes(OpAsmParser &parser, Type &streams,
                                     Type &fn, Type &base, Type &scale,
                                     Type &pre, Type &post, Type &logits) {
  FunctionType type;
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseType(type))
    return failure();
  if (type.getNumInputs() != 4)
    return parser.emitError(loc, "expected 4 operand types but got ")
           << type.getNumInputs();
  if (type.getNumResults() != 1 && type.getNumResults() != 3)
    return parser.emitError(loc, "expected 1 or 3 result types but got ")
           << type.getNumResults();
  streams = type.getInput(0);
  fn = type.getInput(1);
  base = type.getInput(2);
  scale = type.getInput(3);
  pre = type.getResult(0);
  if (type.getNumResults() == 3) {
    post = type.getResult(1);
    logits = type.getResult(2);
  }
  return success();
}

static void printProjectTypes(OpAsmPrinter &printer, Operation *op, Type, Type,
                              Type, Type, Type, Type, Type) {
  printer.printFunctionalType(op);
}

#define GET_OP_CLASSES
#include "dialects/Varve/VarveOps.cpp.inc"

/// "layers.3.attn.wq_a.weight" is printed as %attn.wq_a: short, and legal in an
/// SSA name.
void WeightOp::getAsmResultNames(OpAsmSetValueNameFn setNameFn) {
  StringRef name = getName();
  name.consume_back(".weight");
  if (name.consume_front("layers."))
    name = name.split('.').second;
  std::string legal;
  for (char c : name)
    if (llvm::isAlnum(c) || c == '_' || c == '.')
      legal.push_back(c);
    else if (c == '*')
      legal.push_back('x');
  setNameFn(getResult(),
            legal.empty() || llvm::isDigit(legal[0]) ? "w" + legal : legal);
}

//===----------------------------------------------------------------------===//
// Pools
//===----------------------------------------------------------------------===//

PoolOp varve::lookupPool(Operation *user, FlatSymbolRefAttr symbol) {
  return SymbolTable::lookupNearestSymbolFrom<PoolOp>(user, symbol);
}

int64_t PoolOp::getKeptRows() {
  std::optional<SelectAttr> select = getSelect();
  return select ? select->getKeep() : std::numeric_limits<int32_t>::max();
}

int64_t PoolOp::getRowsOf(int64_t context) {
  if (getKind() == PoolKind::Entries)
    return std::min(context / getRowTokens(), getKeptRows());
  if (getKind() == PoolKind::Window)
    return std::min(
        {context, static_cast<int64_t>(getSize().value_or(0)), getKeptRows()});
  return getSize().value_or(0);
}

int64_t PoolOp::getBytesOf(int64_t context) {
  int64_t score = getSelect() ? getSelect()->getScoreBytes() : 0;
  return getRowsOf(context) * (getFormat().getRowBytes() + score);
}

//===----------------------------------------------------------------------===//
// Type inference
//===----------------------------------------------------------------------===//

/// Reports an operand that is not a ranked tensor of rank `rank`: inference
/// runs before the verifier has seen the operands.
static FailureOr<RankedTensorType> operandOfRank(std::optional<Location> loc,
                                                 StringRef op, StringRef name,
                                                 Value operand, int64_t rank) {
  auto type = dyn_cast<RankedTensorType>(operand.getType());
  if (type && type.getRank() == rank)
    return type;
  return emitOptionalError(loc, "'", op, "' op expected ", name, " of rank ",
                           rank, " but got ", operand.getType());
}

/// Reports a count that is not a dimension: attributes too are unverified here.
static FailureOr<int64_t> positiveCount(std::optional<Location> loc,
                                        StringRef op, StringRef name,
                                        uint64_t count) {
  if (count > 0 && count <= std::numeric_limits<int32_t>::max())
    return static_cast<int64_t>(count);
  return emitOptionalError(loc, "'", op,
                           "' op expected a positive i32 number as ", name,
                           " but got ", static_cast<int64_t>(count));
}

LogicalResult IndexTopkOp::inferReturnTypes(MLIRContext *context,
                                            std::optional<Location> loc,
                                            Adaptor adaptor,
                                            SmallVectorImpl<Type> &types) {
  auto scores =
      operandOfRank(loc, getOperationName(), "scores", adaptor.getScores(), 2);
  if (failed(scores))
    return failure();
  auto k = positiveCount(loc, getOperationName(), "k", adaptor.getK());
  if (failed(k))
    return failure();
  types.push_back(RankedTensorType::get({scores->getDimSize(0), *k},
                                        IntegerType::get(context, 32)));
  return success();
}

/// ids and weights of `active` experts a row.
static void pushRouteTypes(MLIRContext *context, int64_t rows, int64_t active,
                           SmallVectorImpl<Type> &types) {
  types.push_back(
      RankedTensorType::get({rows, active}, IntegerType::get(context, 32)));
  types.push_back(
      RankedTensorType::get({rows, active}, Float32Type::get(context)));
}

LogicalResult RouteTopkOp::inferReturnTypes(MLIRContext *context,
                                            std::optional<Location> loc,
                                            Adaptor adaptor,
                                            SmallVectorImpl<Type> &types) {
  auto logits =
      operandOfRank(loc, getOperationName(), "logits", adaptor.getLogits(), 2);
  if (failed(logits))
    return failure();
  auto active =
      positiveCount(loc, getOperationName(), "active", adaptor.getActive());
  if (failed(active))
    return failure();
  pushRouteTypes(context, logits->getDimSize(0), *active, types);
  return success();
}

LogicalResult RouteHashOp::inferReturnTypes(MLIRContext *context,
                                            std::optional<Location> loc,
                                            Adaptor adaptor,
                                            SmallVectorImpl<Type> &types) {
  auto logits =
      operandOfRank(loc, getOperationName(), "logits", adaptor.getLogits(), 2);
  if (failed(logits))
    return failure();
  auto table =
      operandOfRank(loc, getOperationName(), "table", adaptor.getTable(), 2);
  if (failed(table))
    return failure();
  pushRouteTypes(context, logits->getDimSize(0), table->getDimSize(1), types);
  return success();
}

LogicalResult SampleOp::inferReturnTypes(MLIRContext *context,
                                         std::optional<Location> loc,
                                         Adaptor adaptor,
                                         SmallVectorImpl<Type> &types) {
  auto logits =
      operandOfRank(loc, getOperationName(), "logits", adaptor.getLogits(), 2);
  if (failed(logits))
    return failure();
  types.push_back(RankedTensorType::get({logits->getDimSize(0)},
                                        IntegerType::get(context, 32)));
  return success();
}

//===----------------------------------------------------------------------===//
// Canonicalisation
//===----------------------------------------------------------------------===//

/// An f32 result needs no intermediate rounding: `each_step` says the same as
/// `once`.
template <typename OpT>
static LogicalResult dropVacuousRounding(OpT op, PatternRewriter &rewriter) {
  if (op.getRounding() == Rounding::Once)
    return rewriter.notifyMatchFailure(op, "rounds once already");
  if (!cast<ShapedType>(op->getResult(0).getType()).getElementType().isF32())
    return rewriter.notifyMatchFailure(op,
                                       "intermediate rounding is observable");
  rewriter.modifyOpInPlace(op, [&] { op.setRounding(Rounding::Once); });
  return success();
}

LogicalResult RmsNormOp::canonicalize(RmsNormOp op, PatternRewriter &rewriter) {
  return dropVacuousRounding(op, rewriter);
}

LogicalResult IndexScoreOp::canonicalize(IndexScoreOp op,
                                         PatternRewriter &rewriter) {
  return dropVacuousRounding(op, rewriter);
}

/// Probabilities are f32 unless said otherwise.
LogicalResult SparseAttentionOp::canonicalize(SparseAttentionOp op,
                                              PatternRewriter &rewriter) {
  if (!op.getProbabilities() || !op.getProbabilities()->isF32())
    return rewriter.notifyMatchFailure(op, "no f32 probabilities to drop");
  rewriter.modifyOpInPlace(op, [&] { op.removeProbabilitiesAttr(); });
  return success();
}

/// grouped_linear groups 1 -> linear.
LogicalResult GroupedLinearOp::canonicalize(GroupedLinearOp op,
                                            PatternRewriter &rewriter) {
  if (op.getGroups() != 1)
    return rewriter.notifyMatchFailure(op, "several groups");
  SmallVector<NamedAttribute> attached(op->getDiscardableAttrs());
  auto linear = rewriter.replaceOpWithNewOp<LinearOp>(
      op, op.getType(), op.getX(), op.getXScale(), op.getWeight(),
      op.getWeightScale(), op.getXBlockAttr(), op.getWeightBlockAttr());
  linear->setDiscardableAttrs(attached);
  return success();
}
