//===- ApplyPrecision.cpp - Make a precision policy part of the model -----===//
//
// 1. Resolve, for every op and pool, what the policy's rules set, later rules
//    over earlier ones.
// 2. Walk the functions in the order of their calls, starting at @step, and
//    give results their types; arguments and results of functions follow.
// 3. Give pools their formats and insert the quantisations.
//
//===----------------------------------------------------------------------===//

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "passes/Quantize/Passes.h"
#include "passes/Quantize/PrecisionPolicy.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/Support/MathExtras.h"
#include <map>

namespace mlir::varve {
#define GEN_PASS_DEF_APPLYPRECISIONPASS
#include "passes/Quantize/Passes.h.inc"
} // namespace mlir::varve

using namespace mlir;
using namespace mlir::varve;

//===----------------------------------------------------------------------===//
// What a policy says about one op or pool
//===----------------------------------------------------------------------===//

namespace {

/// The settings of one op or pool, each with the rule that made it.
struct Settings {
  template <typename T> struct Setting {
    std::optional<T> value;
    const PrecisionRule *rule = nullptr;
    explicit operator bool() const { return value.has_value(); }
    const T &operator*() const { return *value; }
  };
  Setting<NumberType> result, probabilities;
  Setting<bool> eachStep, hadamard;
  Setting<BlockFormat> quantize;
  Setting<int64_t> block;
  Setting<std::vector<SegmentRule>> format;

  void apply(const PrecisionRule &rule) {
    auto set = [&](auto &setting, const auto &value) {
      if (value) {
        setting.value = value;
        setting.rule = &rule;
      }
    };
    set(result, rule.result);
    set(probabilities, rule.probabilities);
    set(eachStep, rule.eachStep);
    set(hadamard, rule.hadamard);
    set(quantize, rule.quantize);
    set(block, rule.block);
    set(format, rule.format);
  }
};

StringRef nameOf(Operation *op) {
  if (auto loc = dyn_cast<NameLoc>(op->getLoc()))
    return loc.getName();
  return "";
}

bool matchesAny(ArrayRef<NameGlob> globs, StringRef text) {
  return llvm::any_of(globs,
                      [&](const NameGlob &glob) { return glob.match(text); });
}

Type elementTypeOf(Value value) {
  return cast<ShapedType>(value.getType()).getElementType();
}

bool isCoded(Value value) {
  return isa<Float8E4M3FNType, Float4E2M1FNType>(elementTypeOf(value));
}

/// The weight operand of a matrix product; null for other ops.
Value weightOf(Operation *op) {
  if (auto linear = dyn_cast<LinearOp>(op))
    return linear.getWeight();
  if (auto linear = dyn_cast<GroupedLinearOp>(op))
    return linear.getWeight();
  if (auto experts = dyn_cast<ExpertsOp>(op))
    return experts.getWeight();
  return {};
}

bool selects(const PrecisionRule &rule, Operation *op) {
  if (rule.selectsPools())
    return false;
  StringRef kind = op->getName().stripDialect();
  if (!rule.ops.empty() && llvm::none_of(rule.ops, [&](StringRef name) {
        return name == "*" || name == kind;
      }))
    return false;
  if (!rule.names.empty() && !matchesAny(rule.names, nameOf(op)))
    return false;
  if (!rule.onlyCodedWeights)
    return true;
  Value weight = weightOf(op);
  return weight && isCoded(weight);
}

Type numberType(MLIRContext *context, NumberType type) {
  switch (type) {
  case NumberType::F32:
    return Float32Type::get(context);
  case NumberType::BF16:
    return BFloat16Type::get(context);
  case NumberType::F16:
    return Float16Type::get(context);
  case NumberType::F8E4M3FN:
    return Float8E4M3FNType::get(context);
  case NumberType::F4E2M1FN:
    return Float4E2M1FNType::get(context);
  case NumberType::F8E8M0FNU:
    return Float8E8M0FNUType::get(context);
  }
  llvm_unreachable("every number type has an element type");
}

//===----------------------------------------------------------------------===//
// Application
//===----------------------------------------------------------------------===//

class PrecisionApplier {
public:
  PrecisionApplier(ModuleOp module, const PrecisionPolicy &policy)
      : module(module), policy(policy), b(module.getContext()) {}

  LogicalResult run() {
    if (failed(resolve()))
      return failure();
    for (auto function : module.getOps<func::FuncOp>())
      if (function.isPublic() && failed(retype(function)))
        return failure();
    for (auto &[op, setting] : settings)
      if (failed(applyTo(op, setting)))
        return failure();
    return success();
  }

private:
  LogicalResult resolve();
  LogicalResult retype(func::FuncOp function);
  LogicalResult retypeResults(Operation *op);
  LogicalResult retypeCall(func::CallOp call);
  LogicalResult applyTo(Operation *op, const Settings &setting);
  LogicalResult applyToPool(PoolOp pool, const Settings &setting);
  LogicalResult quantizeOperand(Operation *op, const Settings &setting);
  FailureOr<FormatAttr>
  makeFormat(PoolOp pool, AppendOp append,
             const Settings::Setting<std::vector<SegmentRule>> &);

  InFlightDiagnostic emitError(Operation *op, const PrecisionRule *rule) {
    return op->emitOpError()
           << "rule " << rule->number << " of " << policy.source << ": ";
  }

  /// An op inserted by this pass carries the name of what it works on.
  Location locate(Operation *op, StringRef name, const Twine &suffix) {
    Location child = op->getLoc();
    if (auto named = dyn_cast<NameLoc>(child))
      child = named.getChildLoc();
    return NameLoc::get(b.getStringAttr(name + suffix), child);
  }

  ModuleOp module;
  const PrecisionPolicy &policy;
  OpBuilder b;
  llvm::MapVector<Operation *, Settings> settings;
  llvm::SmallPtrSet<Operation *, 32> retyped;
  /// Quantisations that exist already, by value, format and transform.
  std::map<std::tuple<void *, int, int64_t, bool>, QuantizeOp> quantized;
};

LogicalResult PrecisionApplier::resolve() {
  SmallVector<unsigned> uses(policy.rules.size());
  module.walk([&](Operation *op) {
    if (op->getName().getDialectNamespace() !=
            VarveDialect::getDialectNamespace() ||
        isa<WeightOp>(op))
      return;
    for (auto [i, rule] : llvm::enumerate(policy.rules)) {
      auto pool = dyn_cast<PoolOp>(op);
      if (pool ? !matchesAny(rule.pools, pool.getSymName())
               : !selects(rule, op))
        continue;
      ++uses[i];
      settings[op].apply(rule);
    }
  });
  for (auto [rule, count] : llvm::zip_equal(policy.rules, uses))
    if (!count && !rule.optional)
      return module.emitError() << policy.source << ": rule " << rule.number
                                << ": expected it to select something in this "
                                   "model, or to be marked "
                                   "'optional'";
  return success();
}

//===----------------------------------------------------------------------===//
// Types
//===----------------------------------------------------------------------===//

static Type withElementType(Type type, Type element) {
  return cast<RankedTensorType>(type).clone(element);
}

/// Ops whose result has the element type of their first operand.
static bool followsOperand(Operation *op) {
  return isa<RopeOp, HadamardOp, TakeOp, StreamExpandOp>(op);
}

/// Results whose element type an op fixes.
static bool hasFixedResults(Operation *op) {
  return isa<StreamProjectOp, SinkhornOp, RouteTopkOp, RouteHashOp, QuantizeOp>(
      op);
}

LogicalResult PrecisionApplier::retypeResults(Operation *op) {
  if (followsOperand(op)) {
    op->getResult(0).setType(withElementType(op->getResult(0).getType(),
                                             elementTypeOf(op->getOperand(0))));
    return success();
  }
  auto found = settings.find(op);
  if (found == settings.end() || !found->second.result)
    return success();
  Type element = numberType(module.getContext(), *found->second.result);
  for (OpResult result : op->getResults()) {
    if (!isa<FloatType>(elementTypeOf(result)))
      continue;
    if (hasFixedResults(op)) {
      if (elementTypeOf(result) != element)
        return emitError(op, found->second.result.rule)
               << "expected the result to stay " << elementTypeOf(result)
               << ", which the op fixes, but got " << element;
      continue;
    }
    result.setType(withElementType(result.getType(), element));
  }
  return success();
}

LogicalResult PrecisionApplier::retypeCall(func::CallOp call) {
  auto callee = module.lookupSymbol<func::FuncOp>(call.getCallee());
  if (!callee || callee.isExternal())
    return call.emitOpError() << "expected a callee with a body";
  for (auto [argument, operand] :
       llvm::zip_equal(callee.getArguments(), call.getOperands())) {
    if (retyped.contains(callee) && argument.getType() != operand.getType())
      return call.emitOpError()
             << "expected the types of another call of @" << call.getCallee()
             << ", " << argument.getType() << ", but got " << operand.getType();
    argument.setType(operand.getType());
  }
  if (failed(retype(callee)))
    return failure();
  for (auto [result, type] : llvm::zip_equal(
           call.getResults(), callee.getFunctionType().getResults()))
    result.setType(type);
  return success();
}

LogicalResult PrecisionApplier::retype(func::FuncOp function) {
  if (!retyped.insert(function).second)
    return success();
  if (!function.getBody().hasOneBlock())
    return function.emitOpError() << "expected a body of one block";
  Block &body = function.getBody().front();
  for (Operation &op : body.without_terminator()) {
    auto call = dyn_cast<func::CallOp>(op);
    if (failed(call ? retypeCall(call) : retypeResults(&op)))
      return failure();
  }
  function.setType(b.getFunctionType(body.getArgumentTypes(),
                                     body.getTerminator()->getOperandTypes()));
  return success();
}

//===----------------------------------------------------------------------===//
// Quantised operands
//===----------------------------------------------------------------------===//

/// The name of a value: that of its op, or of its argument in its function.
static std::string nameOfValue(Value value) {
  if (Operation *op = value.getDefiningOp())
    return nameOf(op).str();
  auto argument = cast<BlockArgument>(value);
  auto function = cast<func::FuncOp>(argument.getOwner()->getParentOp());
  return (function.getSymName() + ".arg" + Twine(argument.getArgNumber()))
      .str();
}

LogicalResult PrecisionApplier::quantizeOperand(Operation *op,
                                                const Settings &setting) {
  const BlockFormat &format = *setting.quantize;
  Value x = op->getOperand(0);
  bool isIndex = isa<IndexScoreOp>(op),
       transform = isIndex && setting.hadamard && *setting.hadamard;
  auto type = cast<RankedTensorType>(x.getType());
  if (!isIndex && !isCoded(weightOf(op)))
    return emitError(op, setting.quantize.rule)
           << "expected a weight stored as codes for a quantised input but got "
           << elementTypeOf(weightOf(op))
           << "; add \"only_coded_weights\": true to the rule";
  if (isa<LinearOp>(op) && type.getRank() != 2)
    return emitError(op, setting.quantize.rule)
           << "expected an input of rank 2 to quantise but got " << type;
  QuantizeOp &known =
      quantized[{x.getAsOpaquePointer(), static_cast<int>(format.type),
                 format.block, transform}];
  if (!known) {
    b.setInsertionPointAfterValue(x);
    std::string name = nameOfValue(x);
    Value input = x;
    if (transform)
      input =
          HadamardOp::create(b, locate(op, name, ".hadamard"), x.getType(), x);
    SmallVector<int64_t> scaleShape(type.getShape());
    scaleShape.back() = llvm::divideCeil(scaleShape.back(), format.block);
    known = QuantizeOp::create(
        b, locate(op, name, ".quantize"),
        type.clone(numberType(module.getContext(), format.type)),
        RankedTensorType::get(scaleShape,
                              numberType(module.getContext(), format.scale)),
        input, b.getI64IntegerAttr(format.block));
  }
  auto attach = [&](auto typed, auto xOperand, auto setBlock) {
    xOperand(typed).assign(known.getCodes());
    typed.getXScaleMutable().assign(known.getScales());
    setBlock(typed);
  };
  auto withBlock = [&](auto typed) { typed.setXBlock(format.block); };
  if (auto linear = dyn_cast<LinearOp>(op)) {
    attach(
        linear, [](LinearOp o) -> OpOperand & { return o.getXMutable(); },
        withBlock);
  } else if (auto experts = dyn_cast<ExpertsOp>(op)) {
    attach(
        experts, [](ExpertsOp o) -> OpOperand & { return o.getXMutable(); },
        withBlock);
  } else if (auto grouped = dyn_cast<GroupedLinearOp>(op)) {
    return emitError(op, setting.quantize.rule)
           << "expected an input that is not quantised: grouped inputs are not "
              "supported";
  } else if (auto score = dyn_cast<IndexScoreOp>(op)) {
    score.getQMutable().assign(known.getCodes());
    score.getQScaleMutable().assign(known.getScales());
    score.setQBlock(format.block);
  } else {
    return emitError(op, setting.quantize.rule)
           << "expected 'quantize' for linear, experts or index_score";
  }
  return success();
}

LogicalResult PrecisionApplier::applyTo(Operation *op,
                                        const Settings &setting) {
  if (auto pool = dyn_cast<PoolOp>(op))
    return applyToPool(pool, setting);
  if (setting.eachStep) {
    auto rounding = *setting.eachStep ? Rounding::EachStep : Rounding::Once;
    if (auto norm = dyn_cast<RmsNormOp>(op))
      norm.setRounding(rounding);
    else if (auto score = dyn_cast<IndexScoreOp>(op))
      score.setRounding(rounding);
    else
      return emitError(op, setting.eachStep.rule)
             << "expected 'round_each_step' for rms_norm or index_score";
  }
  if (setting.block || setting.probabilities) {
    auto attention = dyn_cast<SparseAttentionOp>(op);
    if (!attention)
      return emitError(op, setting.block ? setting.block.rule
                                         : setting.probabilities.rule)
             << "expected 'block' and 'probabilities' for sparse_attention";
    if (setting.block)
      attention.setBlock(*setting.block);
    if (setting.probabilities)
      attention.setProbabilities(
          numberType(module.getContext(), *setting.probabilities));
  }
  if (setting.hadamard && *setting.hadamard && !isa<IndexScoreOp>(op))
    return emitError(op, setting.hadamard.rule)
           << "expected 'hadamard' for index_score, or for a pool of index "
              "keys";
  if (setting.quantize)
    return quantizeOperand(op, setting);
  if (setting.hadamard && *setting.hadamard)
    return emitError(op, setting.hadamard.rule)
           << "expected 'quantize' with 'hadamard': without rounding the "
              "transform "
              "changes nothing";
  return success();
}

//===----------------------------------------------------------------------===//
// Pools
//===----------------------------------------------------------------------===//

/// Rotary dimensions of the rows that `append` stores; 0 when they are not
/// rotated.
static int64_t rotaryElements(AppendOp append) {
  Value value = append.getRows();
  while (Operation *op = value.getDefiningOp()) {
    if (auto rope = dyn_cast<RopeOp>(op))
      return rope.getTable().getDim();
    if (!isa<HadamardOp, RmsNormOp>(op))
      return 0;
    value = op->getOperand(0);
  }
  return 0;
}

FailureOr<FormatAttr> PrecisionApplier::makeFormat(
    PoolOp pool, AppendOp append,
    const Settings::Setting<std::vector<SegmentRule>> &setting) {
  int64_t width = pool.getFormat().getWidth(), rotary = rotaryElements(append);
  int64_t fixed = 0;
  for (const SegmentRule &segment : *setting)
    fixed += segment.elements == SegmentRule::Elements::Count    ? segment.count
             : segment.elements == SegmentRule::Elements::Rotary ? rotary
                                                                 : 0;
  bool hasRest = llvm::any_of(*setting, [](const SegmentRule &segment) {
    return segment.elements == SegmentRule::Elements::Rest;
  });
  if (fixed > width || (!hasRest && fixed != width)) {
    emitError(pool, setting.rule) << "expected segments that make up " << width
                                  << " elements but got " << fixed;
    return failure();
  }
  MLIRContext *context = module.getContext();
  SmallVector<SegmentAttr> segments;
  for (const SegmentRule &segment : *setting) {
    int64_t size =
        segment.elements == SegmentRule::Elements::Count    ? segment.count
        : segment.elements == SegmentRule::Elements::Rotary ? rotary
                                                            : width - fixed;
    if (!size)
      continue;
    Type scale = segment.format.block
                     ? numberType(context, segment.format.scale)
                     : Type();
    Type element = numberType(context, segment.format.type);
    if (failed(
            SegmentAttr::verify([&] { return emitError(pool, setting.rule); },
                                size, element, segment.format.block, scale)))
      return failure();
    segments.push_back(
        SegmentAttr::get(context, size, element, segment.format.block, scale));
  }
  if (failed(FormatAttr::verify([&] { return emitError(pool, setting.rule); },
                                segments)))
    return failure();
  return FormatAttr::get(context, segments);
}

LogicalResult PrecisionApplier::applyToPool(PoolOp pool,
                                            const Settings &setting) {
  AppendOp append;
  module.walk([&](AppendOp op) {
    if (op.getPool() == pool.getSymName())
      append = op;
  });
  if (!append)
    return emitError(pool, setting.format ? setting.format.rule
                                          : setting.hadamard.rule)
           << "expected a pool that rows are appended to: the state of a "
              "compressor "
              "stays f32";
  if (setting.format) {
    FailureOr<FormatAttr> format = makeFormat(pool, append, setting.format);
    if (failed(format))
      return failure();
    pool.setFormatAttr(*format);
  }
  if (setting.hadamard && *setting.hadamard) {
    b.setInsertionPoint(append);
    Value rows = append.getRows();
    int64_t width = cast<RankedTensorType>(rows.getType()).getDimSize(1);
    if (!llvm::isPowerOf2_64(width))
      return emitError(pool, setting.hadamard.rule)
             << "expected rows of a power of two of elements to transform but "
                "got "
             << width;
    append.getRowsMutable().assign(
        HadamardOp::create(b, locate(append, pool.getSymName(), ".hadamard"),
                           rows.getType(), rows));
  }
  return success();
}

//===----------------------------------------------------------------------===//
// The pass
//===----------------------------------------------------------------------===//

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
    if (auto present = module->getAttrOfType<StringAttr>(kPrecisionAttrName)) {
      if (present.getValue() == loaded->name)
        return markAllAnalysesPreserved();
      module.emitError()
          << "expected a module without a precision, or of precision '"
          << loaded->name << "', but got one of precision " << present;
      return signalPassFailure();
    }
    if (failed(PrecisionApplier(module, *loaded).run()))
      return signalPassFailure();
    module->setAttr(kPrecisionAttrName,
                    StringAttr::get(&getContext(), loaded->name));
  }
};

} // namespace
