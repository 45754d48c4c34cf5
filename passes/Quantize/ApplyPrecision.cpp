//===- ApplyPrecision.cpp - Make a precision policy part of the model -----===//
//
// 1. Plan: what the rules say about every op and pool, and what contradicts
//    the model. Nothing is changed if anything does.
// 2. Types: functions in the order of their calls; arguments and results of
//    functions follow what flows through them.
// 3. Attributes, pool formats, transforms and quantised inputs.
//
//===----------------------------------------------------------------------===//

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "passes/Quantize/Passes.h"
#include "passes/Quantize/PrecisionPlan.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/MathExtras.h"
#include <map>

namespace mlir::varve {
#define GEN_PASS_DEF_APPLYPRECISIONPASS
#include "passes/Quantize/Passes.h.inc"
} // namespace mlir::varve

using namespace mlir;
using namespace mlir::varve;

//===----------------------------------------------------------------------===//
// Types
//===----------------------------------------------------------------------===//

static Type withElementType(Type type, Type element) {
  return cast<RankedTensorType>(type).clone(element);
}

namespace {

/// Gives results their element types. Every function is visited once, with the
/// argument types of its calls.
class Retyper {
public:
  Retyper(ModuleOp module, const PrecisionPlan &plan,
          ViolationReporter &reporter)
      : module(module), plan(plan), reporter(reporter) {}

  void run() {
    llvm::SmallPtrSet<Operation *, 32> called;
    module.walk([&](func::CallOp call) { called.insert(calleeOf(call)); });
    for (auto function : module.getOps<func::FuncOp>())
      if (!called.contains(function))
        visit(function);
    for (auto function : module.getOps<func::FuncOp>())
      if (!function.isExternal() && !visited.contains(function))
        reporter.report(function)
            << "expected functions that do not call themselves";
  }

private:
  func::FuncOp calleeOf(func::CallOp call) {
    return module.lookupSymbol<func::FuncOp>(call.getCallee());
  }

  void visit(func::FuncOp function);
  void visitCall(func::CallOp call);
  void visitOp(Operation *op);
  void setType(Value value, Type type);
  void requireF32(Operation *user, Value operand);
  void requireUnchanged(Operation *op);

  ModuleOp module;
  const PrecisionPlan &plan;
  ViolationReporter &reporter;
  llvm::SmallPtrSet<Operation *, 32> visited;
  /// Values whose type is not what it was.
  llvm::DenseSet<Value> changed;
};

} // namespace

void Retyper::setType(Value value, Type type) {
  if (value.getType() == type)
    return;
  value.setType(type);
  changed.insert(value);
}

/// Whether the op's result has the element type of its first operand.
static bool followsOperand(Operation *op) {
  return isa<RopeOp, HadamardOp, TakeOp, StreamExpandOp>(op);
}

/// The operands that an op takes as f32 only and that an op with a settable
/// result may produce.
static SmallVector<Value, 2> f32OperandsOf(Operation *op) {
  if (auto compress = dyn_cast<CompressOp>(op))
    return {compress.getKv(), compress.getGate()};
  if (isa<RouteTopkOp, RouteHashOp, SinkhornOp, SampleOp>(op))
    return {op->getOperand(0)};
  if (auto mix = dyn_cast<StreamMixOp>(op))
    return {mix.getPost(), mix.getComb()};
  if (auto collapse = dyn_cast<StreamCollapseOp>(op))
    return {collapse.getPre()};
  if (auto swiglu = dyn_cast<SwigluOp>(op))
    if (Value weights = swiglu.getWeights())
      return {weights};
  return {};
}

void Retyper::requireF32(Operation *user, Value operand) {
  Type element = elementTypeOf(operand);
  if (element.isF32())
    return;
  Operation *producer = operand.getDefiningOp();
  const PrecisionRule *rule =
      producer ? plan.lookup(producer).result.rule : nullptr;
  if (!rule) {
    reporter.report(user) << "expected an f32 operand but got " << element;
    return;
  }
  std::string needs = ("'" + user->getName().getStringRef() + "'").str();
  if (StringRef name = nameOfOp(user); !name.empty())
    needs += (" (" + name + ")").str();
  reporter.report(producer)
      << rule->title << ": expected an f32 result, which " << needs
      << " needs, but got " << element << "; add a later rule {\"names\": \""
      << nameOfOp(producer) << "\", \"result\": \"f32\"}";
}

/// Ops of other dialects know nothing of policies.
void Retyper::requireUnchanged(Operation *op) {
  for (Value operand : op->getOperands())
    if (changed.contains(operand)) {
      reporter.report(op) << "expected only 'varve' ops and calls on values "
                             "whose element type a policy changes";
      return;
    }
}

void Retyper::visitOp(Operation *op) {
  if (!isa_and_nonnull<VarveDialect>(op->getDialect()))
    return requireUnchanged(op);
  for (Value operand : f32OperandsOf(op))
    requireF32(op, operand);
  if (followsOperand(op)) {
    Value result = op->getResult(0);
    setType(result, withElementType(result.getType(),
                                    elementTypeOf(op->getOperand(0))));
    return;
  }
  const Setting<NumberType> &setting = plan.lookup(op).result;
  if (!setting)
    return;
  Type element = getNumberType(module.getContext(), *setting);
  for (OpResult result : op->getResults())
    if (isa<FloatType>(elementTypeOf(result)))
      setType(result, withElementType(result.getType(), element));
}

void Retyper::visitCall(func::CallOp call) {
  func::FuncOp callee = calleeOf(call);
  if (!callee || callee.isExternal())
    return requireUnchanged(call);
  bool isFirst = !visited.contains(callee);
  for (auto [argument, operand] :
       llvm::zip_equal(callee.getArguments(), call.getOperands())) {
    if (isFirst) {
      setType(argument, operand.getType());
    } else if (argument.getType() != operand.getType()) {
      reporter.report(call) << "expected the argument type of an earlier call "
                               "of @"
                            << call.getCallee() << ", " << argument.getType()
                            << ", but got " << operand.getType();
      return;
    }
  }
  if (isFirst)
    visit(callee);
  for (auto [result, type] : llvm::zip_equal(
           call.getResults(), callee.getFunctionType().getResults()))
    setType(result, type);
}

void Retyper::visit(func::FuncOp function) {
  visited.insert(function);
  if (function.isExternal())
    return;
  if (!function.getBody().hasOneBlock()) {
    reporter.report(function) << "expected a body of one block";
    return;
  }
  Block &body = function.getBody().front();
  for (Operation &op : body.without_terminator()) {
    if (auto call = dyn_cast<func::CallOp>(op))
      visitCall(call);
    else
      visitOp(&op);
  }
  auto type = FunctionType::get(module.getContext(), body.getArgumentTypes(),
                                body.getTerminator()->getOperandTypes());
  // What runs a model relies on the type of @step (M1).
  if (function.getSymName() == "step")
    for (Value result : body.getTerminator()->getOperands())
      if (auto tensor = dyn_cast<ShapedType>(result.getType());
          tensor && isa<FloatType>(tensor.getElementType()))
        requireF32(body.getTerminator(), result);
  function.setType(type);
}

//===----------------------------------------------------------------------===//
// Insertions
//===----------------------------------------------------------------------===//

namespace {

/// Sets attributes and formats, and inserts the ops that round and transform.
class Applier {
public:
  Applier(ModuleOp module, const PrecisionPlan &plan,
          ViolationReporter &reporter)
      : module(module), plan(plan), reporter(reporter), b(&*module) {
    module.walk([&](Operation *op) { names.insert(nameOfOp(op)); });
  }

  void run() {
    for (const auto &[op, settings] : plan.getAll()) {
      if (auto pool = dyn_cast<PoolOp>(op))
        applyToPool(pool, settings);
      else
        applyToOp(op, settings);
    }
  }

private:
  void applyToPool(PoolOp pool, const Settings &settings);
  void applyToOp(Operation *op, const Settings &settings);
  Value transform(Value value);
  QuantizeOp quantize(Value value, const BlockFormat &format);
  Location locate(Value value, StringRef suffix);

  ModuleOp module;
  const PrecisionPlan &plan;
  ViolationReporter &reporter;
  OpBuilder b;
  /// Names of all ops, which are unique (M2).
  llvm::StringSet<> names;
  /// What was inserted already, for the other users of the same value.
  llvm::DenseMap<Value, Value> transformed;
  std::map<std::tuple<void *, NumberType, NumberType, int64_t>, QuantizeOp>
      quantized;
};

} // namespace

/// The name of the op or argument that a value comes from.
static std::string nameOfValue(Value value) {
  if (Operation *op = value.getDefiningOp())
    return nameOfOp(op).str();
  auto argument = cast<BlockArgument>(value);
  auto function = cast<func::FuncOp>(argument.getOwner()->getParentOp());
  std::string name = "argument" + std::to_string(argument.getArgNumber());
  if (auto loc = dyn_cast<NameLoc>(argument.getLoc()))
    name = loc.getName().str();
  return (function.getSymName() + "." + name).str();
}

/// A name location below that of the value's origin: "<origin>.<suffix>", with
/// a number if that is taken.
Location Applier::locate(Value value, StringRef suffix) {
  std::string stem = nameOfValue(value);
  Location child = value.getLoc();
  if (stem.empty())
    return child;
  if (auto named = dyn_cast<NameLoc>(child))
    child = named.getChildLoc();
  std::string name = stem + "." + suffix.str();
  for (unsigned i = 2; !names.insert(name).second; ++i)
    name = stem + "." + suffix.str() + std::to_string(i);
  return NameLoc::get(b.getStringAttr(name), child);
}

Value Applier::transform(Value value) {
  Value &result = transformed[value];
  if (!result) {
    b.setInsertionPointAfterValue(value);
    result = HadamardOp::create(b, locate(value, "hadamard"), value.getType(),
                                value);
  }
  return result;
}

QuantizeOp Applier::quantize(Value value, const BlockFormat &format) {
  QuantizeOp &result = quantized[{value.getAsOpaquePointer(), format.type,
                                  format.scale, format.block}];
  if (result)
    return result;
  auto type = cast<RankedTensorType>(value.getType());
  SmallVector<int64_t> scaleShape(type.getShape());
  scaleShape.back() = llvm::divideCeil(scaleShape.back(), format.block);
  MLIRContext *context = module.getContext();
  b.setInsertionPointAfterValue(value);
  return result = QuantizeOp::create(
             b, locate(value, "quantize"),
             type.clone(getNumberType(context, format.type)),
             RankedTensorType::get(scaleShape,
                                   getNumberType(context, format.scale)),
             value, b.getI64IntegerAttr(format.block));
}

/// Gives the quantisable input of `op` its codes and scales.
static void setInput(Operation *op, QuantizeOp codes, int64_t block) {
  auto setProduct = [&](auto product) {
    product.getXMutable().assign(codes.getCodes());
    product.getXScaleMutable().assign(codes.getScales());
    product.setXBlock(block);
  };
  if (auto linear = dyn_cast<LinearOp>(op))
    return setProduct(linear);
  if (auto grouped = dyn_cast<GroupedLinearOp>(op))
    return setProduct(grouped);
  if (auto experts = dyn_cast<ExpertsOp>(op))
    return setProduct(experts);
  auto score = cast<IndexScoreOp>(op);
  score.getQMutable().assign(codes.getCodes());
  score.getQScaleMutable().assign(codes.getScales());
  score.setQBlock(block);
}

void Applier::applyToOp(Operation *op, const Settings &settings) {
  if (settings.eachStep) {
    Rounding rounding =
        *settings.eachStep ? Rounding::EachStep : Rounding::Once;
    if (auto norm = dyn_cast<RmsNormOp>(op))
      norm.setRounding(rounding);
    else
      cast<IndexScoreOp>(op).setRounding(rounding);
  }
  if (auto attention = dyn_cast<SparseAttentionOp>(op)) {
    if (settings.block)
      attention.setBlockAttr(*settings.block
                                 ? b.getI64IntegerAttr(*settings.block)
                                 : IntegerAttr());
    if (settings.probabilities)
      attention.setProbabilities(
          getNumberType(module.getContext(), *settings.probabilities));
  }
  if (settings.shortSums)
    llvm::TypeSwitch<Operation *>(op)
        .Case<LinearOp, GroupedLinearOp, ExpertsOp>(
            [&](auto product) { product.setShortSums(*settings.shortSums); });
  if (settings.transforms()) {
    auto score = cast<IndexScoreOp>(op);
    score.getQMutable().assign(transform(score.getQ()));
  }
  if (settings.quantizes())
    setInput(op, quantize(getQuantizableInput(op)->x, *settings.quantize),
             settings.quantize->block);
}

void Applier::applyToPool(PoolOp pool, const Settings &settings) {
  if (settings.format)
    if (FailureOr<FormatAttr> format = plan.makeFormat(pool, reporter);
        succeeded(format))
      pool.setFormatAttr(*format);
  AppendOp append = plan.getAppend(pool);
  if (settings.transforms() && append)
    append.getRowsMutable().assign(transform(append.getRows()));
}

//===----------------------------------------------------------------------===//
// The pass
//===----------------------------------------------------------------------===//

namespace {

struct ApplyPrecisionPass
    : varve::impl::ApplyPrecisionPassBase<ApplyPrecisionPass> {
  using ApplyPrecisionPassBase::ApplyPrecisionPassBase;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    llvm::Expected<PrecisionPolicy> loaded = loadPrecisionPolicy(policy);
    if (!loaded) {
      module.emitError() << llvm::toString(loaded.takeError());
      return signalPassFailure();
    }
    if (auto present = module->getAttr(kPrecisionAttrName)) {
      auto identity = StringAttr::get(&getContext(), loaded->identity);
      if (present == identity)
        return markAllAnalysesPreserved();
      module.emitError() << "expected a module without a precision, or with "
                         << identity << ", but it has " << present
                         << "; apply policies to the result of the import";
      return signalPassFailure();
    }
    if (failed(apply(*loaded)))
      return signalPassFailure();
    module->setAttr(kPrecisionAttrName,
                    StringAttr::get(&getContext(), loaded->identity));
  }

private:
  LogicalResult apply(const PrecisionPolicy &loaded) {
    ModuleOp module = getOperation();
    ViolationReporter reporter(module);
    PrecisionPlan plan(module, loaded, reporter);
    checkPlan(module, plan, reporter);
    if (reporter.empty())
      Retyper(module, plan, reporter).run();
    if (reporter.empty())
      Applier(module, plan, reporter).run();
    return reporter.finish();
  }
};

} // namespace
