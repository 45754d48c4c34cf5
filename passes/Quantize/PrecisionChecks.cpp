//===- PrecisionChecks.cpp - Policies that contradict the model -----------===//
//
// Everything that would make the quantised module invalid or change what the
// model computes is found before anything is changed, and reported on the op
// with the rule and a remedy.
//
//===----------------------------------------------------------------------===//

#include "passes/Quantize/PrecisionPlan.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::varve;

namespace {

class PlanChecker {
public:
  PlanChecker(ModuleOp module, const PrecisionPlan &plan,
              ViolationReporter &reporter)
      : module(module), plan(plan), reporter(reporter) {}

  void run() {
    for (const auto &[op, settings] : plan.getAll()) {
      if (settings.quantizes())
        checkQuantize(op, settings.quantize);
      if (settings.eachStep && *settings.eachStep)
        checkEachStep(op, settings.eachStep);
      if (auto pool = dyn_cast<PoolOp>(op))
        checkPool(pool, settings);
    }
    module.walk([&](IndexScoreOp op) { checkTransforms(op); });
  }

private:
  void checkQuantize(Operation *op, const Setting<BlockFormat> &setting);
  void checkProduct(Operation *op, const QuantizableInput &input,
                    const Setting<BlockFormat> &setting);
  void checkEachStep(Operation *op, const Setting<bool> &setting);
  void checkPool(PoolOp pool, const Settings &settings);
  void checkTransformed(Operation *op, Value value,
                        const Setting<bool> &setting);
  void checkTransforms(IndexScoreOp op);

  InFlightDiagnostic report(Operation *op, const PrecisionRule *rule) {
    return reporter.report(op) << rule->title << ": ";
  }

  ModuleOp module;
  const PrecisionPlan &plan;
  ViolationReporter &reporter;
};

} // namespace

//===----------------------------------------------------------------------===//
// Quantised inputs
//===----------------------------------------------------------------------===//

void PlanChecker::checkQuantize(Operation *op,
                                const Setting<BlockFormat> &setting) {
  QuantizableInput input = *getQuantizableInput(op);
  auto type = cast<RankedTensorType>(input.x.getType());
  if (isCodeType(type.getElementType())) {
    report(op, setting.rule) << "expected an input that is not quantised yet, "
                                "but got codes of type "
                             << type.getElementType();
    return;
  }
  int64_t width = type.getShape().back();
  if (setting->type == NumberType::F4E2M1FN && width % 2) {
    report(op, setting.rule)
        << "expected an even number of elements for f4E2M1FN, two of which "
           "share a byte, but got "
        << width << "; quantise to f8E4M3FN";
    return;
  }
  if (input.weight)
    checkProduct(op, input, setting);
}

void PlanChecker::checkProduct(Operation *op, const QuantizableInput &input,
                               const Setting<BlockFormat> &setting) {
  Type stored = elementTypeOf(input.weight);
  if (!isCodeType(stored)) {
    report(op, setting.rule)
        << "expected a weight stored as codes for a quantised input, but it "
           "is stored as "
        << stored << "; add \"only_coded_weights\": true to the rule";
    return;
  }
  auto type = cast<RankedTensorType>(input.x.getType());
  if (!isa<ExpertsOp>(op) && type.getRank() != 2) {
    report(op, setting.rule)
        << "expected an input of rank 2 to quantise, whose rows a scale can be "
           "counted along, but got "
        << type << "; exclude the op with a later rule {\"names\": \""
        << nameOfOp(op) << "\", \"quantize\": \"none\"}";
    return;
  }
  int64_t a = setting->block, b = input.weightColumns.value_or(a);
  if (std::max(a, b) % std::min(a, b)) {
    report(op, setting.rule)
        << "expected a block that divides, or is a multiple of, the " << b
        << " columns that share a scale of the weight, but got " << a;
    return;
  }
  auto grouped = dyn_cast<GroupedLinearOp>(op);
  if (!grouped)
    return;
  int64_t groupWidth =
      type.getDimSize(1) / static_cast<int64_t>(grouped.getGroups());
  if (groupWidth % a)
    report(op, setting.rule)
        << "expected a block that divides the " << groupWidth
        << " columns of a group, but got " << a;
}

//===----------------------------------------------------------------------===//
// Rounding
//===----------------------------------------------------------------------===//

void PlanChecker::checkEachStep(Operation *op, const Setting<bool> &setting) {
  auto norm = dyn_cast<RmsNormOp>(op);
  if (norm && norm.getWeight())
    report(op, setting.rule)
        << "expected a norm without weight for \"round_each_step\"; select "
           "norms by name, like \"*.attn.q_head_norm\"";
}

//===----------------------------------------------------------------------===//
// Pools and the Hadamard transform
//===----------------------------------------------------------------------===//

/// Users of the pool other than the op that appends to it.
static SmallVector<PoolUserOpInterface> readersOf(ModuleOp module,
                                                  PoolOp pool) {
  SmallVector<PoolUserOpInterface> readers;
  module.walk([&](PoolUserOpInterface user) {
    SmallVector<FlatSymbolRefAttr> pools;
    user.getReadPools(pools);
    if (llvm::any_of(pools, [&](FlatSymbolRefAttr read) {
          return read.getAttr() == pool.getSymNameAttr();
        }))
      readers.push_back(user);
  });
  return readers;
}

void PlanChecker::checkPool(PoolOp pool, const Settings &settings) {
  if (settings.format)
    (void)plan.makeFormat(pool, reporter);
  if (!settings.transforms())
    return;
  AppendOp append = plan.getAppend(pool);
  for (PoolUserOpInterface reader : readersOf(module, pool))
    if (!append || !isa<IndexScoreOp>(reader)) {
      report(pool, settings.hadamard.rule)
          << "expected 'hadamard' for a pool of index keys, whose queries are "
             "transformed too, but '"
          << reader->getName() << "' (" << nameOfOp(reader)
          << ") reads this one";
      return;
    }
  if (append)
    checkTransformed(pool, append.getRows(), settings.hadamard);
}

void PlanChecker::checkTransformed(Operation *op, Value value,
                                   const Setting<bool> &setting) {
  int64_t width = cast<RankedTensorType>(value.getType()).getShape().back();
  if (!llvm::isPowerOf2_64(width))
    report(op, setting.rule)
        << "expected rows of a power of two of elements for 'hadamard', but "
           "got "
        << width;
}

/// Queries and the keys that they meet are both transformed, or neither.
void PlanChecker::checkTransforms(IndexScoreOp op) {
  const Settings &settings = plan.lookup(op);
  PoolOp keys = lookupPool(op, op.getKeysAttr());
  if (!keys)
    return;
  const Settings &keySettings = plan.lookup(keys);
  if (settings.transforms())
    checkTransformed(op, op.getQ(), settings.hadamard);
  if (settings.transforms() == keySettings.transforms())
    return;
  const PrecisionRule *rule = settings.transforms() ? settings.hadamard.rule
                                                    : keySettings.hadamard.rule;
  report(op, rule) << "expected 'hadamard' for the queries and for their keys "
                      "in @"
                   << keys.getSymName() << ", or for neither, but only the "
                   << (settings.transforms() ? "queries" : "keys")
                   << " have it; add it to the rule of the "
                   << (settings.transforms() ? "pool" : "index_score");
}

void mlir::varve::checkPlan(ModuleOp module, const PrecisionPlan &plan,
                            ViolationReporter &reporter) {
  PlanChecker(module, plan, reporter).run();
}
