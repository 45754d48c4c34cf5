//===- Verify.cpp - What holds between the ops of a plan ------------------===//
//
// One walk in the order of the text, which is the order of execution. Memory is
// followed as a whole: a tensor counts as written when any part of it is.
//
//===----------------------------------------------------------------------===//

#include "passes/Plan/Conditions.h"
#include "passes/Plan/MemoryRange.h"
#include "passes/Plan/Passes.h"
#include "llvm/ADT/DenseMap.h"

namespace mlir::varve {
#define GEN_PASS_DEF_PLANVERIFYPASS
#include "passes/Plan/Passes.h.inc"
} // namespace mlir::varve

using namespace mlir;
using namespace mlir::varve;
using plan::Condition;
using plan::MemoryRange;
using plan::SizeInterval;

namespace {

constexpr unsigned kMaxReports = 10;

class PlanVerifier {
public:
  explicit PlanVerifier(ModuleOp module) : module(module), symbols(module) {}

  LogicalResult run();

private:
  template <typename Message>
  void report(Operation *op, const Message &message) {
    if (++violations <= kMaxReports)
      message(op->emitOpError());
  }

  void verifyFunction(plan::FuncOp func);
  void verifyChoices(Block &block);
  void verifyLaunch(plan::LaunchOp launch);
  void verifyRead(plan::LaunchOp launch, unsigned index);
  void verifyWrite(plan::LaunchOp launch, unsigned index);
  void verifyOverlap(plan::LaunchOp launch, unsigned written);
  void verifyOutputs(plan::FuncOp func);
  ArrayRef<plan::ArgumentAccess> getAccesses(tile::FuncOp kernel);

  ModuleOp module;
  SymbolTable symbols;
  llvm::DenseMap<Operation *, SmallVector<plan::ArgumentAccess>> accesses;
  /// Under which conditions memory of the current function has been written.
  llvm::DenseMap<Value, SmallVector<Condition>> writes;
  unsigned violations = 0;
};

/// Whether memory has contents when the function starts.
bool isInput(Value memory) {
  auto argument = dyn_cast<BlockArgument>(memory);
  if (!argument)
    return false;
  auto func = cast<plan::FuncOp>(argument.getOwner()->getParentOp());
  return !func.isPublic() || !func.isOutput(argument.getArgNumber());
}

LogicalResult PlanVerifier::run() {
  for (auto func : module.getOps<plan::FuncOp>())
    verifyFunction(func);
  if (violations > kMaxReports)
    module.emitError() << "and " << violations - kMaxReports
                       << " more violations";
  return success(violations == 0);
}

void PlanVerifier::verifyFunction(plan::FuncOp func) {
  writes.clear();
  verifyChoices(func.getBody().front());
  bool hasCalls = false;
  func.walk<WalkOrder::PreOrder>([&](Operation *op) {
    if (auto when = dyn_cast<plan::WhenOp>(op))
      verifyChoices(when.getBody().front());
    else if (auto launch = dyn_cast<plan::LaunchOp>(op))
      verifyLaunch(launch);
    else
      hasCalls |= isa<plan::CallOp>(op);
  });
  // What a call writes is known once it is inlined.
  if (func.isPublic() && !hasCalls)
    verifyOutputs(func);
}

// P1
void PlanVerifier::verifyChoices(Block &block) {
  // The cases of the choice that the walk is in.
  SmallVector<plan::WhenOp> cases;
  auto isComplete = [&] {
    Condition any;
    any.push_back({cases.front().getValue(), 1});
    SmallVector<Condition> intervals;
    for (plan::WhenOp when : cases)
      intervals.push_back({SizeInterval::get(when)});
    return plan::isCovered(any, intervals);
  };
  auto finish = [&] {
    if (!cases.empty() && !isComplete())
      report(cases.front(), [&](InFlightDiagnostic diagnostic) {
        diagnostic << "expected this and the cases behind it to hold every "
                      "number from 1 on (P1)";
      });
    cases.clear();
  };
  for (Operation &op : block) {
    auto when = dyn_cast<plan::WhenOp>(op);
    if (!when) {
      // Memory and scalars may be declared between the cases.
      if (isa<plan::LaunchOp, plan::CallOp>(op))
        finish();
      continue;
    }
    if (!cases.empty() &&
        (cases.front().getValue() != when.getValue() || isComplete()))
      finish();
    SizeInterval interval = SizeInterval::get(when);
    for (plan::WhenOp other : cases) {
      SizeInterval taken = SizeInterval::get(other);
      if (interval.low <= taken.high && taken.low <= interval.high)
        report(when, [&](InFlightDiagnostic diagnostic) {
          diagnostic << "expected cases of one choice to be disjoint (P1)";
          diagnostic.attachNote(other.getLoc()) << "the other case is here";
        });
    }
    cases.push_back(when);
  }
  finish();
}

ArrayRef<plan::ArgumentAccess> PlanVerifier::getAccesses(tile::FuncOp kernel) {
  auto [entry, isNew] = accesses.try_emplace(kernel);
  if (isNew)
    entry->second = plan::getAccesses(kernel);
  return entry->second;
}

void PlanVerifier::verifyLaunch(plan::LaunchOp launch) {
  auto kernel = symbols.lookup<tile::FuncOp>(launch.getKernel());
  if (!kernel)
    return;
  ArrayRef<plan::ArgumentAccess> used = getAccesses(kernel);
  for (auto [i, access] : llvm::enumerate(used))
    if (access.reads)
      verifyRead(launch, i);
  for (auto [i, access] : llvm::enumerate(used))
    if (access.writes) {
      verifyOverlap(launch, i);
      verifyWrite(launch, i);
    }
}

// P2
void PlanVerifier::verifyRead(plan::LaunchOp launch, unsigned index) {
  MemoryRange range = plan::getMemoryRange(launch.getArguments()[index]);
  auto memory = dyn_cast<Value>(range.memory);
  // Weights and pools have contents.
  if (!memory || isInput(memory) ||
      plan::isCovered(plan::getCondition(launch), writes[memory]))
    return;
  report(launch, [&](InFlightDiagnostic diagnostic) {
    diagnostic << "reads argument " << index << ", which nothing has written"
               << (writes[memory].empty() ? "" : " in this case") << " (P2)";
    if (Operation *source = memory.getDefiningOp())
      diagnostic.attachNote(source->getLoc()) << "its memory is from here";
  });
}

// P3
void PlanVerifier::verifyWrite(plan::LaunchOp launch, unsigned index) {
  Value argument = launch.getArguments()[index];
  MemoryRange range = plan::getMemoryRange(argument);
  if (auto memory = dyn_cast<Value>(range.memory)) {
    auto input = dyn_cast<BlockArgument>(memory);
    auto func = launch->getParentOfType<plan::FuncOp>();
    if (input && func.isPublic() && isInput(memory))
      report(launch, [&](InFlightDiagnostic diagnostic) {
        diagnostic << "writes argument " << index << ", which is the input '"
                   << func.getArgumentName(input.getArgNumber()) << "' (P3)";
      });
    writes[memory].push_back(plan::getCondition(launch));
    return;
  }
  if (auto weight = dyn_cast<StringAttr>(cast<Attribute>(range.memory)))
    report(launch, [&](InFlightDiagnostic diagnostic) {
      diagnostic << "writes argument " << index << ", which is the weight '"
                 << weight.getValue() << "' (P3)";
    });
}

// P4
void PlanVerifier::verifyOutputs(plan::FuncOp func) {
  for (BlockArgument argument : func.getArguments())
    if (func.isOutput(argument.getArgNumber()) &&
        !plan::isCovered({}, writes[argument]))
      report(func, [&](InFlightDiagnostic diagnostic) {
        diagnostic << "expected output '"
                   << func.getArgumentName(argument.getArgNumber())
                   << "' to be written in every case (P4)";
      });
}

// P5
void PlanVerifier::verifyOverlap(plan::LaunchOp launch, unsigned written) {
  MemoryRange range = plan::getMemoryRange(launch.getArguments()[written]);
  for (auto [i, argument] : llvm::enumerate(launch.getArguments())) {
    if (i == written || !isa<plan::DeviceTensorType>(argument.getType()) ||
        plan::areDisjoint(range, plan::getMemoryRange(argument)))
      continue;
    // Of two written arguments one report is enough.
    if (i < written &&
        getAccesses(symbols.lookup<tile::FuncOp>(launch.getKernel()))[i].writes)
      continue;
    report(launch, [&](InFlightDiagnostic diagnostic) {
      diagnostic << "writes argument " << written
                 << ", which overlaps with argument " << i << " (P5)";
    });
  }
}

struct PlanVerify : public varve::impl::PlanVerifyPassBase<PlanVerify> {
  void runOnOperation() override {
    if (failed(PlanVerifier(getOperation()).run()))
      signalPassFailure();
  }
};

} // namespace
