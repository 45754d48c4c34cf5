//===- VerifyQuantized.cpp - What the phases behind quantize rely on ------===//
//
// Checks Q1 to Q5 (Passes.td) and reports all violations.
//
//===----------------------------------------------------------------------===//

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "passes/Quantize/Passes.h"
#include "passes/Quantize/PrecisionPlan.h"
#include "llvm/ADT/TypeSwitch.h"

namespace mlir::varve {
#define GEN_PASS_DEF_VERIFYQUANTIZEDPASS
#include "passes/Quantize/Passes.h.inc"
} // namespace mlir::varve

using namespace mlir;
using namespace mlir::varve;

namespace {

class QuantizedVerifier {
public:
  QuantizedVerifier(ModuleOp module, ViolationReporter &reporter)
      : module(module), reporter(reporter) {}

  void verifyStructure() {
    for (auto function : module.getOps<func::FuncOp>())
      verifyBoundary(function);
    module.walk([&](Operation *op) { verifyScales(op); });
    module.walk([&](IndexScoreOp op) { verifyTransforms(op); });
  }

  void verifyPolicy(const PrecisionPlan &plan) {
    for (const auto &[op, settings] : plan.getAll())
      verifySettings(op, settings, plan);
  }

private:
  void verifyBoundary(func::FuncOp function);
  void verifyScales(Operation *op);
  void verifyPair(Operation *op, StringRef operand, Value codes, Value scales,
                  std::optional<int64_t> block);
  void verifyTransforms(IndexScoreOp op);
  void verifySettings(Operation *op, const Settings &settings,
                      const PrecisionPlan &plan);
  void verifyInput(Operation *op, const Setting<BlockFormat> &setting);
  template <typename T>
  void expect(Operation *op, const PrecisionRule *rule, StringRef what,
              const T &expected, const T &actual) {
    if (expected != actual)
      reporter.report(op) << "expected " << what << " " << expected << " (Q5, "
                          << rule->title << ") but got " << actual;
  }

  ModuleOp module;
  ViolationReporter &reporter;
};

} // namespace

//===----------------------------------------------------------------------===//
// Codes and scales
//===----------------------------------------------------------------------===//

// Q2
void QuantizedVerifier::verifyBoundary(func::FuncOp function) {
  FunctionType type = function.getFunctionType();
  for (Type crossing :
       llvm::concat<const Type>(type.getInputs(), type.getResults())) {
    auto shaped = dyn_cast<ShapedType>(crossing);
    if (!shaped || !isCodeType(shaped.getElementType()))
      continue;
    reporter.report(function) << "expected no codes as arguments or results, "
                                 "where their scales are lost (Q2), but got "
                              << crossing;
    return;
  }
}

// Q3
void QuantizedVerifier::verifyPair(Operation *op, StringRef operand,
                                   Value codes, Value scales,
                                   std::optional<int64_t> block) {
  auto weight = codes.getDefiningOp<WeightOp>();
  auto scale = scales.getDefiningOp<WeightOp>();
  if (weight && scale) {
    StringRef name = weight.getName(), scaleName = scale.getName();
    if (name.consume_back(".weight") && scaleName.consume_back(".scale") &&
        name == scaleName)
      return;
    reporter.report(op) << "expected codes and scales of one stored tensor as "
                        << operand << " (Q3) but got \"" << weight.getName()
                        << "\" and \"" << scale.getName() << "\"";
    return;
  }
  auto quantize = codes.getDefiningOp<QuantizeOp>();
  if (!quantize || scales != quantize.getScales()) {
    reporter.report(op) << "expected codes and scales of one 'varve.quantize' "
                           "or of one stored tensor as "
                        << operand << " (Q3)";
    return;
  }
  int64_t made = quantize.getBlock();
  if (block && *block != made)
    reporter.report(op,
                    "expected the block of the scales of " + operand + ", " +
                        Twine(made) + " (Q3), but got " + Twine(*block),
                    quantize.getLoc(), "quantised here");
}

void QuantizedVerifier::verifyScales(Operation *op) {
  if (auto dequantize = dyn_cast<DequantizeOp>(op))
    return verifyPair(op, "operand", dequantize.getCodes(),
                      dequantize.getScales(), dequantize.getBlock());
  std::optional<QuantizableInput> input = getQuantizableInput(op);
  if (!input)
    return;
  if (input->scale)
    verifyPair(op, isa<IndexScoreOp>(op) ? "q" : "x", input->x, input->scale,
               input->block);
  if (input->weightScale)
    verifyPair(op, "weight", input->weight, input->weightScale, std::nullopt);
}

// Q4
void QuantizedVerifier::verifyTransforms(IndexScoreOp op) {
  Value q = op.getQ();
  if (auto quantize = q.getDefiningOp<QuantizeOp>())
    q = quantize.getX();
  bool queries = q.getDefiningOp<HadamardOp>() != nullptr;
  module.walk([&](AppendOp append) {
    if (append.getPoolAttr() != op.getKeysAttr())
      return;
    bool keys = append.getRows().getDefiningOp<HadamardOp>() != nullptr;
    if (keys != queries)
      reporter.report(
          op,
          "expected 'varve.hadamard' on queries and keys, or on neither (Q4), "
          "but got it on the " +
              Twine(keys ? "keys" : "queries") + " alone",
          append.getLoc(), "the keys");
  });
}

//===----------------------------------------------------------------------===//
// The policy
//===----------------------------------------------------------------------===//

void QuantizedVerifier::verifyInput(Operation *op,
                                    const Setting<BlockFormat> &setting) {
  QuantizableInput input = *getQuantizableInput(op);
  MLIRContext *context = op->getContext();
  if (!setting->block) {
    if (input.scale)
      reporter.report(op) << "expected an input that is not quantised (Q5, "
                          << setting.rule->title << ")";
    return;
  }
  expect(op, setting.rule, "an input of type",
         getNumberType(context, setting->type), elementTypeOf(input.x));
  if (!input.scale)
    return;
  expect(op, setting.rule, "scales of type",
         getNumberType(context, setting->scale), elementTypeOf(input.scale));
  expect(op, setting.rule, "a block of", setting->block,
         input.block.value_or(0));
}

// Q5
void QuantizedVerifier::verifySettings(Operation *op, const Settings &settings,
                                       const PrecisionPlan &plan) {
  MLIRContext *context = op->getContext();
  if (settings.result)
    for (OpResult result : op->getResults())
      if (isa<FloatType>(elementTypeOf(result)))
        expect(op, settings.result.rule, "a result of type",
               getNumberType(context, *settings.result), elementTypeOf(result));
  if (settings.quantize)
    verifyInput(op, settings.quantize);
  if (auto pool = dyn_cast<PoolOp>(op); pool && settings.format)
    if (FailureOr<FormatAttr> format = plan.makeFormat(pool, reporter);
        succeeded(format))
      expect<Attribute>(op, settings.format.rule, "the format", *format,
                        pool.getFormat());
  if (auto attention = dyn_cast<SparseAttentionOp>(op)) {
    if (settings.block)
      expect<int64_t>(op, settings.block.rule, "blocks of", *settings.block,
                      attention.getBlock().value_or(0));
    if (settings.probabilities)
      expect<Type>(
          op, settings.probabilities.rule, "probabilities of type",
          getNumberType(context, *settings.probabilities),
          attention.getProbabilities().value_or(Float32Type::get(context)));
  }
  if (settings.shortSums) {
    bool isShort = llvm::TypeSwitch<Operation *, bool>(op)
                       .Case<LinearOp, GroupedLinearOp, ExpertsOp>(
                           [](auto product) { return product.getShortSums(); });
    if (isShort != *settings.shortSums)
      reporter.report(op) << "expected sums "
                          << (isShort ? "in f32" : "that may be short")
                          << " (Q5, " << settings.shortSums.rule->title << ")";
  }
  if (!settings.eachStep)
    return;
  auto norm = dyn_cast<RmsNormOp>(op);
  // An f32 result makes the two the same; canonicalisation says 'once'.
  bool isF32 = elementTypeOf(op->getResult(0)).isF32();
  bool eachStep =
      (norm ? norm.getRounding() : cast<IndexScoreOp>(op).getRounding()) ==
      Rounding::EachStep;
  if (!isF32 && eachStep != *settings.eachStep)
    reporter.report(op) << "expected to round "
                        << (*settings.eachStep ? "each step" : "once")
                        << " (Q5, " << settings.eachStep.rule->title << ")";
}

//===----------------------------------------------------------------------===//
// The pass
//===----------------------------------------------------------------------===//

namespace {

struct VerifyQuantizedPass
    : varve::impl::VerifyQuantizedPassBase<VerifyQuantizedPass> {
  using VerifyQuantizedPassBase::VerifyQuantizedPassBase;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    ViolationReporter reporter(module);
    QuantizedVerifier verifier(module, reporter);
    std::optional<PrecisionPolicy> applied;
    if (failed(findPolicy(reporter, applied)))
      return signalPassFailure();
    verifier.verifyStructure();
    if (applied)
      verifier.verifyPolicy(PrecisionPlan(module, *applied, reporter));
    if (failed(reporter.finish()))
      return signalPassFailure();
    markAllAnalysesPreserved();
  }

private:
  /// Q1. The policy to hold the module against, if it can be known.
  LogicalResult findPolicy(ViolationReporter &reporter,
                           std::optional<PrecisionPolicy> &applied) {
    ModuleOp module = getOperation();
    auto present = module->getAttrOfType<StringAttr>(kPrecisionAttrName);
    if (!present) {
      reporter.report(module)
          << "expected the attribute '" << kPrecisionAttrName << "' (Q1)";
      return success();
    }
    std::string name = policy;
    if (name.empty() && llvm::is_contained(builtinPolicyNames(), present))
      name = present.str();
    if (name.empty())
      return success();
    llvm::Expected<PrecisionPolicy> loaded = loadPrecisionPolicy(name);
    if (!loaded)
      return module.emitError() << llvm::toString(loaded.takeError());
    if (present.getValue() != loaded->identity)
      reporter.report(module) << "expected the precision \"" << loaded->identity
                              << "\" (Q1) but got " << present;
    else
      applied = std::move(*loaded);
    return success();
  }
};

} // namespace
