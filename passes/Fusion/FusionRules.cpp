//===- FusionRules.cpp - Which kernels are joined -------------------------===//
//
// A rule looks at an op and one of the kernels that it takes values from, and
// says what the two would be together. The driver asks for every op in textual
// order and checks that nothing lies between.
//
//===----------------------------------------------------------------------===//

#include "passes/Fusion/FusionRules.h"

using namespace mlir;
using namespace mlir::varve;

namespace {

class RuleSet {
public:
  RuleSet(KernelGroups &groups, bool remarks)
      : groups(groups), remarks(remarks) {}

  void run() {
    applyToProducers("selection", &RuleSet::isSelection);
    applyGated();
    applyToProducers("epilogue", &RuleSet::isEpilogue);
    applyToProducers("followers", &RuleSet::isFollower);
    applyToProducers("rows", &RuleSet::isRowPair);
  }

private:
  using Rule = bool (RuleSet::*)(Operation *op, Operation *from);

  /// Joins every op with the producers of its operands that the rule accepts.
  void applyToProducers(StringRef name, Rule rule);
  void applyGated();
  bool join(StringRef name, Operation *into, Operation *op);

  bool isSelection(Operation *op, Operation *from) {
    return isa<IndexTopkOp>(op) && isa<IndexScoreOp>(from);
  }
  bool isEpilogue(Operation *op, Operation *from);
  bool isFollower(Operation *op, Operation *from);
  bool isRowPair(Operation *op, Operation *from);

  KernelGroups &groups;
  bool remarks;
};

} // namespace

static StringRef nameOf(Operation *op) {
  if (auto name = dyn_cast<NameLoc>(op->getLoc()))
    return name.getName();
  return op->getName().getStringRef();
}

/// The number of rows that a row op treats per token: 1 for whole tokens, H
/// for the heads of [T, H, d].
static int64_t getRowsPerToken(Operation *op) {
  if (!isa<RmsNormOp, RopeOp, HadamardOp, QuantizeOp, DequantizeOp, SwigluOp>(
          op))
    return 1;
  auto type = cast<RankedTensorType>(op->getResult(0).getType());
  return type.getRank() == 2 ? 1 : type.getDimSize(1);
}

/// Joins the kernels of two ops, unless another one lies between.
bool RuleSet::join(StringRef name, Operation *into, Operation *op) {
  unsigned a = groups.getGroup(into), b = groups.getGroup(op);
  if (a == b)
    return true;
  if (Operation *between = groups.findBetween(a, b)) {
    if (remarks)
      op->emitRemark() << name << ": not joined with " << nameOf(into)
                       << ", since " << nameOf(between) << " lies between";
    return false;
  }
  KernelKind kind = groups.getKind(a) == KernelKind::Rows ? groups.getKind(b)
                                                          : groups.getKind(a);
  groups.join(a, b, kind);
  if (remarks)
    op->emitRemark() << name << ": joined with " << nameOf(into);
  return true;
}

void RuleSet::applyToProducers(StringRef name, Rule rule) {
  for (Operation *op : groups.getOps())
    for (Value operand : op->getOperands())
      if (Operation *from = operand.getDefiningOp())
        if (isComputeOp(from) && groups.getGroup(from) != groups.getGroup(op) &&
            (this->*rule)(op, from))
          join(name, from, op);
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

/// Whether two products multiply the same rows in the same way.
static bool multiplySameRows(Operation *a, Operation *b) {
  if (a->getName() != b->getName() || !isa<LinearOp, ExpertsOp>(a) ||
      a->getAttrs() != b->getAttrs() ||
      a->getNumOperands() != b->getNumOperands())
    return false;
  auto isWeight = [](Value value) {
    return isa_and_nonnull<WeightOp>(value.getDefiningOp());
  };
  for (auto [x, y] : llvm::zip_equal(a->getOperands(), b->getOperands()))
    if (x.getType() != y.getType() || (x != y && !(isWeight(x) && isWeight(y))))
      return false;
  return true;
}

void RuleSet::applyGated() {
  for (Operation *op : groups.getOps()) {
    auto swiglu = dyn_cast<SwigluOp>(op);
    if (!swiglu)
      continue;
    Operation *gate = swiglu.getGate().getDefiningOp();
    Operation *up = swiglu.getUp().getDefiningOp();
    if (!gate || !up || gate == up || !multiplySameRows(gate, up) ||
        !swiglu.getGate().hasOneUse() || !swiglu.getUp().hasOneUse() ||
        !groups.isAlone(gate) || !groups.isAlone(up))
      continue;
    if (join("gated", gate, up))
      join("gated", gate, swiglu);
  }
}

bool RuleSet::isEpilogue(Operation *op, Operation *from) {
  auto quantize = dyn_cast<QuantizeOp>(op);
  KernelKind kind = groups.getKind(groups.getGroup(from));
  if (!quantize || (kind != KernelKind::Linear && kind != KernelKind::Experts))
    return false;
  if (!quantize.getX().hasOneUse()) {
    if (remarks)
      op->emitRemark() << "epilogue: not joined with " << nameOf(from)
                       << ", whose result has other users";
    return false;
  }
  // A tile holds whole blocks where blocks straddle neither rows nor groups.
  int64_t width =
      cast<RankedTensorType>(quantize.getX().getType()).getShape().back();
  if (auto grouped = quantize.getX().getDefiningOp<GroupedLinearOp>())
    width /= static_cast<int64_t>(grouped.getGroups());
  int64_t block = static_cast<int64_t>(quantize.getBlock());
  if (width % block == 0)
    return true;
  if (remarks)
    op->emitRemark() << "epilogue: not joined with " << nameOf(from)
                     << ", whose rows of " << width
                     << " elements are not made of blocks of " << block;
  return false;
}

//===----------------------------------------------------------------------===//
// Rows
//===----------------------------------------------------------------------===//

/// Whether a kernel of this kind has the rows of `op` at hand.
static bool takesFollower(KernelKind kind, Operation *op) {
  switch (kind) {
  case KernelKind::Attention:
    return isa<RopeOp>(op);
  case KernelKind::Compress:
    return isa<RmsNormOp, RopeOp, HadamardOp, AppendOp>(op);
  case KernelKind::Streams:
    return isa<SinkhornOp, StreamCollapseOp, RmsNormOp, QuantizeOp>(op);
  default:
    return false;
  }
}

bool RuleSet::isFollower(Operation *op, Operation *from) {
  KernelKind kind = groups.getKind(groups.getGroup(from));
  if (!groups.isAlone(op) || getKernelKind(op) != KernelKind::Rows)
    return false;
  if (takesFollower(kind, op))
    return true;
  if (remarks && isa<QuantizeOp>(op) &&
      (kind == KernelKind::Attention || kind == KernelKind::Compress))
    op->emitRemark() << "followers: not joined with " << nameOf(from)
                     << ", since kernels of kind '" << stringifyKernelKind(kind)
                     << "' make no codes";
  return false;
}

bool RuleSet::isRowPair(Operation *op, Operation *from) {
  if (groups.getKind(groups.getGroup(op)) != KernelKind::Rows ||
      groups.getKind(groups.getGroup(from)) != KernelKind::Rows)
    return false;
  if (getRowsPerToken(op) == getRowsPerToken(from))
    return true;
  if (remarks)
    op->emitRemark() << "rows: not joined with " << nameOf(from)
                     << ", which treats other rows";
  return false;
}

void varve::applyFusionRules(KernelGroups &groups, bool remarks) {
  RuleSet(groups, remarks).run();
}
