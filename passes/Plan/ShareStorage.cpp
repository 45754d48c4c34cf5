//===- ShareStorage.cpp - Which scratch tensors share memory --------------===//
//
// Colours intervals, largest tensors first. With that order the sum of the
// storages is within a few percent of the peak of live bytes for the plans that
// occur, and no choice depends on anything but the text.
//
//===----------------------------------------------------------------------===//

#include "passes/Plan/Conditions.h"
#include "passes/Plan/MemoryRange.h"
#include "passes/Plan/Passes.h"
#include "llvm/ADT/MapVector.h"

namespace mlir::varve {
#define GEN_PASS_DEF_PLANSHARESTORAGEPASS
#include "passes/Plan/Passes.h.inc"
} // namespace mlir::varve

using namespace mlir;
using namespace mlir::varve;

namespace {

/// A scratch tensor and when it is needed.
struct Life {
  plan::AllocOp alloc;
  plan::Condition condition;
  int64_t bytes = 0;
  /// Positions in the text: of the alloc, of the first use and the last.
  int64_t declared = 0, first = 0, last = 0;

  bool overlaps(const Life &other) const {
    return first <= other.last && other.first <= last &&
           !plan::areExclusive(condition, other.condition);
  }
};

/// Bytes in a step of many tokens, or of the most that the alloc's conditions
/// admit: what sizes are compared by.
int64_t getTypicalBytes(plan::AllocOp alloc, const plan::Condition &condition) {
  // tokens, rows, slots, pages, sequence_pages, max_tokens
  int64_t sizes[plan::LinearAttr::kNumSymbols] = {8192, 64, 64, 4096, 64, 8192};
  for (const plan::SizeInterval &interval : condition)
    if (std::optional<plan::Symbol> symbol = interval.value.getSymbol()) {
      int64_t &size = sizes[static_cast<unsigned>(*symbol)];
      size = std::min(size, interval.high);
    }
  return alloc.getType().getSizeInBytes().evaluate(sizes);
}

/// The lives of all allocs that are used, in the order of the text.
SmallVector<Life> collectLives(plan::FuncOp func) {
  llvm::MapVector<Operation *, Life> lives;
  int64_t position = 0;
  func.walk<WalkOrder::PreOrder>([&](Operation *op) {
    ++position;
    if (auto alloc = dyn_cast<plan::AllocOp>(op)) {
      plan::Condition condition = plan::getCondition(op);
      int64_t bytes = getTypicalBytes(alloc, condition);
      lives[op] = {alloc, condition, bytes, position, position, position};
      return;
    }
    if (isa<plan::ViewOp>(op))
      return;
    for (Value operand : op->getOperands())
      if (isa<plan::DeviceTensorType>(operand.getType()))
        if (plan::AllocOp alloc = plan::getAlloc(operand)) {
          Life &life = lives[alloc];
          if (life.first == life.declared)
            life.first = position;
          life.last = position;
        }
  });
  return llvm::map_to_vector(lives, [](auto &entry) { return entry.second; });
}

struct PlanShareStorage
    : public varve::impl::PlanShareStoragePassBase<PlanShareStorage> {
  void runOnOperation() override {
    plan::FuncOp func = getOperation();
    bool hasCalls =
        func.walk([](plan::CallOp) { return WalkResult::interrupt(); })
            .wasInterrupted();
    if (hasCalls)
      return;
    SmallVector<Life> lives = collectLives(func);
    llvm::sort(lives, [](const Life &a, const Life &b) {
      return std::pair(-a.bytes, a.declared) < std::pair(-b.bytes, b.declared);
    });
    SmallVector<SmallVector<Life>> storages;

    for (Life &life : lives) {
      auto *free = llvm::find_if(storages, [&](ArrayRef<Life> storage) {
        return llvm::none_of(
            storage, [&](const Life &other) { return life.overlaps(other); });
      });
      if (free == storages.end()) {
        storages.emplace_back();
        free = &storages.back();
      }
      free->push_back(life);
      life.alloc.setStorage(free - storages.begin());
    }
  }
};

} // namespace
