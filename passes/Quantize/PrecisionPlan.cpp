//===- PrecisionPlan.cpp - What a policy says about a module --------------===//

#include "passes/Quantize/PrecisionPlan.h"
#include "varve/Support/NearestName.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace mlir::varve;

LogicalResult ViolationReporter::finish() {
  if (count > kMaxReports)
    module.emitError() << "and " << count - kMaxReports << " more violations";
  return success(count == 0);
}

//===----------------------------------------------------------------------===//
// Ops
//===----------------------------------------------------------------------===//

StringRef mlir::varve::nameOfOp(Operation *op) {
  auto loc = dyn_cast<NameLoc>(op->getLoc());
  return loc ? loc.getName().getValue() : "";
}

Type mlir::varve::getNumberType(MLIRContext *context, NumberType type) {
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

template <typename OpT> static QuantizableInput inputOfProduct(OpT op) {
  QuantizableInput input = {op.getX(),           op.getXScale(), op.getWeight(),
                            op.getWeightScale(), op.getXBlock(), std::nullopt};
  if (std::optional<ArrayRef<int64_t>> block = op.getWeightBlock();
      block && block->size() == 2)
    input.weightColumns = (*block)[1];
  return input;
}

std::optional<QuantizableInput>
mlir::varve::getQuantizableInput(Operation *op) {
  if (auto linear = dyn_cast<LinearOp>(op))
    return inputOfProduct(linear);
  if (auto grouped = dyn_cast<GroupedLinearOp>(op))
    return inputOfProduct(grouped);
  if (auto experts = dyn_cast<ExpertsOp>(op))
    return inputOfProduct(experts);
  if (auto score = dyn_cast<IndexScoreOp>(op))
    return QuantizableInput{score.getQ(), score.getQScale(), Value(),
                            Value(),      score.getQBlock(), std::nullopt};
  return std::nullopt;
}

//===----------------------------------------------------------------------===//
// Selection
//===----------------------------------------------------------------------===//

/// What a rule has selected so far.
struct PrecisionPlan::Use {
  unsigned selected = 0;
  /// Selected but for `only_coded_weights`.
  unsigned plainWeights = 0;
  /// Settings that something selected has.
  unsigned effective = 0;
};

static bool matchesAny(ArrayRef<NameGlob> globs, StringRef name) {
  return llvm::any_of(globs,
                      [&](const NameGlob &glob) { return glob.match(name); });
}

/// By kind and name.
static bool selects(const PrecisionRule &rule, Operation *op) {
  if (auto pool = dyn_cast<PoolOp>(op))
    return matchesAny(rule.pools, pool.getSymName());
  if (rule.selectsPools())
    return false;
  StringRef kind = op->getName().stripDialect();
  bool kindFits =
      rule.ops.empty() || llvm::any_of(rule.ops, [&](StringRef name) {
        return name == "*" || name == kind;
      });
  return kindFits &&
         (rule.names.empty() || matchesAny(rule.names, nameOfOp(op)));
}

static bool hasCodedWeight(Operation *op) {
  std::optional<QuantizableInput> input = getQuantizableInput(op);
  return input && input->weight && isCodeType(elementTypeOf(input->weight));
}

PrecisionPlan::PrecisionPlan(ModuleOp module, const PrecisionPolicy &policy,
                             ViolationReporter &reporter)
    : module(module), policy(policy) {
  SmallVector<Use> uses(policy.rules.size());
  module.walk([&](Operation *op) {
    if (!isa_and_nonnull<VarveDialect>(op->getDialect()) || isa<WeightOp>(op))
      return;
    if (auto append = dyn_cast<AppendOp>(op))
      appends[append.getPoolAttr().getAttr()] = append;
    for (auto [rule, use] : llvm::zip_equal(policy.rules, uses))
      if (selects(rule, op))
        apply(rule, op, use);
  });
  reportIdle(uses, reporter);
}

void PrecisionPlan::apply(const PrecisionRule &rule, Operation *op, Use &use) {
  if (rule.onlyCodedWeights && !hasCodedWeight(op)) {
    ++use.plainWeights;
    return;
  }
  ++use.selected;
  bool isPool = isa<PoolOp>(op);
  unsigned has =
      isPool ? kSetsHadamard : settingsOfKind(op->getName().stripDialect());
  use.effective |= has & rule.getOpSettings();
  Settings &own = settings[op];
  auto set = [&](auto &setting, const auto &value, unsigned needed) {
    if (!value || (has & needed) != needed)
      return;
    setting.value = value;
    setting.rule = &rule;
  };
  set(own.result, rule.result, kSetsResult);
  set(own.probabilities, rule.probabilities, kSetsAttention);
  set(own.eachStep, rule.eachStep, kSetsRounding);
  set(own.hadamard, rule.hadamard, kSetsHadamard);
  set(own.shortSums, rule.shortSums, kSetsSums);
  set(own.quantize, rule.quantize, kSetsQuantize);
  set(own.block, rule.block, kSetsAttention);
  set(own.format, rule.format, 0);
}

const Settings &PrecisionPlan::lookup(Operation *op) const {
  static const Settings none;
  auto found = settings.find(op);
  return found == settings.end() ? none : found->second;
}

//===----------------------------------------------------------------------===//
// Rules without effect
//===----------------------------------------------------------------------===//

/// "layers.12.attn.wkv" -> "layers.*.attn.wkv", as patterns are written.
static std::string withoutNumbers(StringRef name) {
  SmallVector<StringRef> parts;
  name.split(parts, '.');
  for (StringRef &part : parts)
    if (!part.empty() && llvm::all_of(part, llvm::isDigit))
      part = "*";
  return llvm::join(parts, ".");
}

/// "; did you mean ...?" for the first pattern of a rule that selects nothing.
std::string PrecisionPlan::nearestName(const PrecisionRule &rule) const {
  ArrayRef<NameGlob> globs = rule.selectsPools() ? rule.pools : rule.names;
  if (globs.empty())
    return "";
  std::vector<std::string> names;
  llvm::StringSet<> known;
  auto add = [&](StringRef name) {
    for (std::string form : {name.str(), withoutNumbers(name)})
      if (known.insert(form).second)
        names.push_back(std::move(form));
  };
  ModuleOp(module).walk([&](Operation *op) {
    if (auto pool = dyn_cast<PoolOp>(op)) {
      if (rule.selectsPools())
        add(pool.getSymName());
    } else if (!rule.selectsPools() && !isa<WeightOp>(op) &&
               isa_and_nonnull<VarveDialect>(op->getDialect())) {
      add(nameOfOp(op));
    }
  });
  return ::varve::didYouMean(*globs.front().text, names);
}

void PrecisionPlan::reportIdle(ArrayRef<Use> uses,
                               ViolationReporter &reporter) const {
  for (auto [rule, use] : llvm::zip_equal(policy.rules, uses)) {
    if (rule.optional)
      continue;
    if (!use.selected) {
      std::string reason = nearestName(rule);
      if (use.plainWeights)
        reason = ": the weights of the " + std::to_string(use.plainWeights) +
                 " that fit are stored as plain numbers";
      reporter.report(module)
          << rule.title << ": expected to select "
          << (rule.selectsPools() ? "a pool" : "an op")
          << " of this model, but found none" << reason
          << "; \"optional\": true is for parts that not every model has";
    } else if (rule.getOpSettings() & ~use.effective) {
      reporter.report(module)
          << rule.title << ": expected settings that the ops it selects have, "
          << "but part of it has no effect on any of the " << use.selected;
    }
  }
}

//===----------------------------------------------------------------------===//
// Formats of pools
//===----------------------------------------------------------------------===//

/// Rotary dimensions of the rows that `append` stores; 0 when they are not
/// rotated.
static int64_t rotaryElements(AppendOp append) {
  Value value = append.getRows();
  while (Operation *op = value.getDefiningOp()) {
    if (auto rope = dyn_cast<RopeOp>(op))
      return rope.getTable().getDim();
    if (!isa<HadamardOp>(op))
      return 0;
    value = op->getOperand(0);
  }
  return 0;
}

FailureOr<FormatAttr>
PrecisionPlan::makeFormat(PoolOp pool, ViolationReporter &reporter) const {
  const Setting<std::vector<SegmentRule>> &format = lookup(pool).format;
  MLIRContext *context = pool.getContext();
  auto error = [&] {
    return reporter.report(pool) << format.rule->title << ": ";
  };
  AppendOp append = getAppend(pool);
  if (pool.getKind() == PoolKind::State)
    return error() << "expected a pool of keys or entries, but this is the "
                      "state of a compressor, which stays f32";
  if (!append)
    return error() << "expected a pool that rows are appended to";
  int64_t width = pool.getFormat().getWidth(), rotary = rotaryElements(append);
  int64_t fixed = 0;
  bool hasRest = false;
  for (const SegmentRule &segment : *format) {
    bool isRotary = segment.elements == SegmentRule::Elements::Rotary;
    if (isRotary && !rotary)
      return error() << "expected rows that come from 'varve.rope' for a "
                        "\"rotary\" segment; write \"rest\" or a number";
    fixed += isRotary ? rotary : segment.count;
    hasRest |= segment.elements == SegmentRule::Elements::Rest;
  }
  if (fixed > width || (!hasRest && fixed != width))
    return error() << "expected segments of " << width
                   << " elements in all, the width of the rows, but got "
                   << fixed;
  SmallVector<SegmentAttr> segments;
  for (const SegmentRule &segment : *format) {
    int64_t size = segment.count;
    if (segment.elements != SegmentRule::Elements::Count)
      size = segment.elements == SegmentRule::Elements::Rotary ? rotary
                                                               : width - fixed;
    if (!size)
      continue;
    const BlockFormat &as = segment.format;
    Type element = getNumberType(context, as.type);
    Type scale = as.block ? getNumberType(context, as.scale) : Type();
    if (failed(SegmentAttr::verify(error, size, element, as.block, scale)))
      return failure();
    segments.push_back(
        SegmentAttr::get(context, size, element, as.block, scale));
  }
  if (failed(FormatAttr::verify(error, segments)))
    return failure();
  return FormatAttr::get(context, segments);
}
