//===- PrecisionPlan.h - What a policy says about a module -----*- C++ -*-===//
//
// Between a policy, which speaks of kinds and names, and a module. The plan is
// all that the pass that applies a policy and the one that verifies its result
// know of the rules.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_PASSES_QUANTIZE_PRECISIONPLAN_H
#define VARVE_PASSES_QUANTIZE_PRECISIONPLAN_H

#include "dialects/Varve/Varve.h"
#include "mlir/IR/BuiltinOps.h"
#include "passes/Quantize/PrecisionPolicy.h"
#include "llvm/ADT/MapVector.h"

namespace mlir::varve {

/// Reports violations of one pass: the first ten, and how many more.
class ViolationReporter {
public:
  explicit ViolationReporter(ModuleOp module) : module(module) {}

  /// An error on `op`, to be written to; beyond the tenth, one that says
  /// nothing.
  InFlightDiagnostic report(Operation *op) {
    return ++count > kMaxReports ? InFlightDiagnostic() : op->emitOpError();
  }

  /// The same with a note at `noteLoc`.
  void report(Operation *op, const Twine &message, Location noteLoc,
              const Twine &note) {
    if (++count <= kMaxReports)
      (op->emitOpError() << message).attachNote(noteLoc) << note;
  }

  bool empty() const { return count == 0; }

  /// Success when nothing was reported.
  LogicalResult finish();

private:
  static constexpr unsigned kMaxReports = 10;
  ModuleOp module;
  unsigned count = 0;
};

/// A setting and the rule that made it.
template <typename T> struct Setting {
  std::optional<T> value;
  const PrecisionRule *rule = nullptr;

  explicit operator bool() const { return value.has_value(); }
  const T &operator*() const { return *value; }
  const T *operator->() const { return &*value; }
};

/// What the policy says about one op or pool. Ops only have the settings of
/// their kind; pools have `format` and `hadamard`.
struct Settings {
  Setting<NumberType> result, probabilities;
  Setting<bool> eachStep, hadamard, shortSums;
  Setting<BlockFormat> quantize;
  Setting<int64_t> block;
  Setting<std::vector<SegmentRule>> format;

  /// Whether the input is to be quantised, or transformed by `hadamard`.
  bool quantizes() const { return quantize && quantize->block; }
  bool transforms() const { return hadamard && *hadamard; }
};

class PrecisionPlan {
public:
  /// Selects. Reports the rules that select nothing although they must, or
  /// whose settings none of what they select has. The policy outlives the
  /// plan.
  PrecisionPlan(ModuleOp module, const PrecisionPolicy &policy,
                ViolationReporter &reporter);

  /// The settings of an op or a pool; none for others.
  const Settings &lookup(Operation *op) const;

  /// Ops and pools with settings, in program order.
  const llvm::MapVector<Operation *, Settings> &getAll() const {
    return settings;
  }

  /// The op that appends rows to the pool; null when none does.
  AppendOp getAppend(PoolOp pool) const {
    return appends.lookup(pool.getSymNameAttr());
  }

  /// The format that the rules give a pool. Reports what contradicts its rows,
  /// and fails.
  FailureOr<FormatAttr> makeFormat(PoolOp pool,
                                   ViolationReporter &reporter) const;

private:
  struct Use;
  void apply(const PrecisionRule &rule, Operation *op, Use &use);
  void reportIdle(ArrayRef<Use> uses, ViolationReporter &reporter) const;
  std::string nearestName(const PrecisionRule &rule) const;

  ModuleOp module;
  const PrecisionPolicy &policy;
  llvm::MapVector<Operation *, Settings> settings;
  llvm::DenseMap<StringAttr, AppendOp> appends;
};

/// Reports the contradictions between a plan and the module that it is to be
/// applied to: on the op, with the rule and what to do about it.
void checkPlan(ModuleOp module, const PrecisionPlan &plan,
               ViolationReporter &reporter);

/// The name of an op, from its location; empty when it has none.
StringRef nameOfOp(Operation *op);

/// The element type of a tensor.
inline Type elementTypeOf(Value value) {
  return cast<ShapedType>(value.getType()).getElementType();
}

/// f8E4M3FN or f4E2M1FN, which mean nothing without scales.
inline bool isCodeType(Type type) {
  return isa<Float8E4M3FNType, Float4E2M1FNType>(type);
}

/// The element type that a policy names.
Type getNumberType(MLIRContext *context, NumberType type);

/// The input of a kind that has the setting `quantize` with its scales and
/// block, and its weight with those, as far as the kind has them.
struct QuantizableInput {
  Value x, scale, weight, weightScale;
  std::optional<int64_t> block;
  std::optional<int64_t> weightColumns;
};

/// Nothing for other kinds.
std::optional<QuantizableInput> getQuantizableInput(Operation *op);

} // namespace mlir::varve

#endif // VARVE_PASSES_QUANTIZE_PRECISIONPLAN_H
