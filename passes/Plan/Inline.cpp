//===- Inline.cpp - Dissolve functions into the programs that call them ---===//
//
// Callees first, so that every body is copied when it holds launches only.
//
//===----------------------------------------------------------------------===//

#include "mlir/IR/IRMapping.h"
#include "passes/Plan/Passes.h"
#include "llvm/ADT/DenseMap.h"

namespace mlir::varve {
#define GEN_PASS_DEF_PLANINLINEPASS
#include "passes/Plan/Passes.h.inc"
} // namespace mlir::varve

using namespace mlir;
using namespace mlir::varve;

namespace {

class Inliner {
public:
  explicit Inliner(ModuleOp module) : symbols(module) {}

  /// Dissolves all calls in `func`.
  LogicalResult run(plan::FuncOp func);

private:
  void dissolve(plan::CallOp call, plan::FuncOp callee);

  enum class State { Running, Done };
  SymbolTable symbols;
  llvm::DenseMap<Operation *, State> states;
};

LogicalResult Inliner::run(plan::FuncOp func) {
  auto [state, isNew] = states.try_emplace(func, State::Running);
  if (!isNew)
    return success(state->second == State::Done);
  SmallVector<plan::CallOp> calls;
  func.walk([&](plan::CallOp call) { calls.push_back(call); });
  for (plan::CallOp call : calls) {
    auto callee = symbols.lookup<plan::FuncOp>(call.getCallee());
    if (failed(run(callee)))
      return call.emitOpError()
             << "expected functions that do not call themselves, but "
             << call.getCalleeAttr() << " does";
    dissolve(call, callee);
  }
  states[func] = State::Done;
  return success();
}

void Inliner::dissolve(plan::CallOp call, plan::FuncOp callee) {
  OpBuilder builder(call);
  IRMapping mapping;
  mapping.map(callee.getArguments(), call.getArguments());
  for (Operation &op : callee.getBody().front().without_terminator()) {
    Operation *copy = builder.clone(op, mapping);
    copy->walk([&](Operation *inner) {
      inner->setLoc(CallSiteLoc::get(inner->getLoc(), call.getLoc()));
    });
  }
  call.erase();
}

struct PlanInline : public varve::impl::PlanInlinePassBase<PlanInline> {
  void runOnOperation() override {
    Inliner inliner(getOperation());
    auto functions = getOperation().getOps<plan::FuncOp>();
    for (plan::FuncOp func : functions)
      if (failed(inliner.run(func)))
        return signalPassFailure();
    for (plan::FuncOp func : llvm::make_early_inc_range(functions))
      if (!func.isPublic())
        func.erase();
  }
};

} // namespace
