//===- KernelGroups.cpp - Ops on their way to kernels ---------------------===//

#include "passes/Fusion/KernelGroups.h"
#include "mlir/IR/Builders.h"
#include "varve/Support/Assert.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::varve;

StringRef mlir::varve::stringifyKernelKind(KernelKind kind) {
  switch (kind) {
  case KernelKind::Rows:
    return "rows";
  case KernelKind::Linear:
    return "linear";
  case KernelKind::Experts:
    return "experts";
  case KernelKind::Attention:
    return "attention";
  case KernelKind::Index:
    return "index";
  case KernelKind::Compress:
    return "compress";
  case KernelKind::Streams:
    return "streams";
  case KernelKind::Commit:
    return "commit";
  case KernelKind::Take:
    return "take";
  case KernelKind::Sample:
    return "sample";
  }
  return "";
}

KernelKind mlir::varve::getKernelKind(Operation *op) {
  return llvm::TypeSwitch<Operation *, KernelKind>(op)
      .Case<LinearOp, GroupedLinearOp>([](auto) { return KernelKind::Linear; })
      .Case([](ExpertsOp) { return KernelKind::Experts; })
      .Case([](SparseAttentionOp) { return KernelKind::Attention; })
      .Case<IndexScoreOp, IndexTopkOp>([](auto) { return KernelKind::Index; })
      .Case([](CompressOp) { return KernelKind::Compress; })
      .Case([](StreamProjectOp) { return KernelKind::Streams; })
      .Case([](CommitOp) { return KernelKind::Commit; })
      .Case([](TakeOp) { return KernelKind::Take; })
      .Case([](SampleOp) { return KernelKind::Sample; })
      .Default([](Operation *) { return KernelKind::Rows; });
}

bool mlir::varve::isComputeOp(Operation *op) {
  return isa<VarveDialect>(op->getDialect()) &&
         !isa<WeightOp, PoolOp, KernelOp, YieldOp, KernelFuncOp, LaunchOp>(op);
}

/// The pools that an op touches, and whether it writes them.
static SmallVector<std::pair<Attribute, bool>> getPools(Operation *op) {
  SmallVector<std::pair<Attribute, bool>> pools;
  auto user = dyn_cast<PoolUserOpInterface>(op);
  if (!user)
    return pools;
  SmallVector<FlatSymbolRefAttr> names;
  user.getReadPools(names);
  for (FlatSymbolRefAttr name : names)
    pools.emplace_back(name, false);
  names.clear();
  user.getWrittenPools(names);
  for (FlatSymbolRefAttr name : names)
    pools.emplace_back(name, true);
  return pools;
}

static bool conflict(Operation *a, Operation *b) {
  for (auto [poolA, writesA] : getPools(a))
    for (auto [poolB, writesB] : getPools(b))
      if (poolA == poolB && (writesA || writesB))
        return true;
  return false;
}

KernelGroups::KernelGroups(Block &block) : block(block) {
  for (Operation &op : block)
    if (isComputeOp(&op)) {
      numbers[&op] = ops.size();
      groups[&op] = ops.size();
      kinds.push_back(getKernelKind(&op));
      members.push_back({&op});
      ops.push_back(&op);
    }
  dependencies.resize(ops.size());
  for (auto [i, op] : llvm::enumerate(ops)) {
    llvm::SmallSetVector<unsigned, 8> before;
    for (Value operand : op->getOperands())
      if (Operation *producer = operand.getDefiningOp())
        if (auto it = numbers.find(producer); it != numbers.end())
          before.insert(it->second);
    for (unsigned j = 0; j < i; ++j)
      if (conflict(ops[j], op))
        before.insert(j);
    dependencies[i] = before.takeVector();
  }
}

Operation *KernelGroups::findBetween(Group a, Group b) const {
  // From the ops that the two need outside themselves, everything that those
  // need; if one of the two is among it, its user there is in between.
  SmallVector<unsigned> stack;
  llvm::BitVector seen(ops.size());
  auto isInside = [&](unsigned i) {
    Group group = groups.lookup(ops[i]);
    return group == a || group == b;
  };
  auto visitGroup = [&](Group group) {
    for (Operation *op : members[group])
      for (unsigned before : dependencies[numbers.lookup(op)])
        if (!isInside(before) && !seen.test(before)) {
          seen.set(before);
          stack.push_back(before);
        }
  };
  visitGroup(a);
  visitGroup(b);
  while (!stack.empty()) {
    unsigned i = stack.pop_back_val();
    // A whole group runs together.
    for (Operation *op : members[groups.lookup(ops[i])])
      for (unsigned before : dependencies[numbers.lookup(op)]) {
        if (isInside(before))
          return ops[i];
        if (!seen.test(before)) {
          seen.set(before);
          stack.push_back(before);
        }
      }
  }
  return nullptr;
}

void KernelGroups::join(Group a, Group b, KernelKind kind) {
  for (Operation *op : members[b])
    groups[op] = a;
  llvm::append_range(members[a], members[b]);
  members[b].clear();
  llvm::sort(members[a], [&](Operation *x, Operation *y) {
    return numbers.lookup(x) < numbers.lookup(y);
  });
  kinds[a] = kind;
}

void KernelGroups::formKernels() {
  Operation *end = block.getTerminator();
  OpBuilder builder(end);
  llvm::BitVector done(ops.size());
  auto isReady = [&](Group group) {
    for (Operation *op : members[group])
      for (unsigned before : dependencies[numbers.lookup(op)])
        if (!done.test(before) && groups.lookup(ops[before]) != group)
          return false;
    return true;
  };
  SmallVector<Group> order;
  for (unsigned i = 0; i < members.size(); ++i)
    if (!members[i].empty())
      order.push_back(i);
  llvm::sort(order, [&](Group x, Group y) {
    return numbers.lookup(members[x].front()) <
           numbers.lookup(members[y].front());
  });
  while (!order.empty()) {
    auto *next = llvm::find_if(order, isReady);
    VARVE_ASSERT(next != order.end(), "groups depend on each other in a cycle");
    Group group = *next;
    order.erase(next);
    SmallVector<Value> results;
    for (Operation *op : members[group]) {
      done.set(numbers.lookup(op));
      for (Value result : op->getResults())
        if (llvm::any_of(result.getUsers(), [&](Operation *user) {
              auto it = groups.find(user);
              return it == groups.end() || it->second != group;
            }))
          results.push_back(result);
    }
    Operation *anchor = members[group].front();
    for (Operation *op : members[group])
      if (getKernelKind(op) == kinds[group]) {
        anchor = op;
        break;
      }
    auto kernel = KernelOp::create(builder, anchor->getLoc(),
                                   TypeRange(ValueRange(results)),
                                   stringifyKernelKind(kinds[group]));
    Block *body = &kernel.getBody().emplaceBlock();
    for (Operation *op : members[group])
      op->moveBefore(body, body->end());
    for (auto [result, outer] : llvm::zip_equal(results, kernel.getResults()))
      result.replaceUsesWithIf(outer, [&](OpOperand &use) {
        return use.getOwner()->getBlock() != body;
      });
    OpBuilder inner = OpBuilder::atBlockEnd(body);
    YieldOp::create(inner, anchor->getLoc(), results);
  }
}
