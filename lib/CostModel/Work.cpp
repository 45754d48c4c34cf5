//===- Work.cpp - What the functions of a model cost ----------------------===//

#include "lib/CostModel/Work.h"
#include "dialects/Varve/Varve.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "varve/Support/Assert.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::varve;

namespace varve {

llvm::StringRef getMechanismName(Mechanism mechanism) {
  static constexpr llvm::StringRef names[kNumMechanisms] = {
      "products",   "experts", "attention", "indexer",
      "compressor", "streams", "rowwise"};
  return names[static_cast<unsigned>(mechanism)];
}

static Mechanism getMechanism(Operation *op) {
  return llvm::TypeSwitch<Operation *, Mechanism>(op)
      .Case<LinearOp, GroupedLinearOp>([](auto) { return Mechanism::Products; })
      .Case<ExpertsOp>([](auto) { return Mechanism::Experts; })
      .Case<SparseAttentionOp>([](auto) { return Mechanism::Attention; })
      .Case<IndexScoreOp, IndexTopkOp>([](auto) { return Mechanism::Indexer; })
      .Case<CompressOp>([](auto) { return Mechanism::Compressor; })
      .Case<StreamExpandOp, StreamProjectOp, SinkhornOp, StreamCollapseOp,
            StreamMixOp>([](auto) { return Mechanism::Streams; })
      .Default([](auto) { return Mechanism::Rowwise; });
}

/// The choice of entries runs along with their scores.
static bool isAnchor(Operation *op) {
  return isa<LinearOp, GroupedLinearOp, ExpertsOp, SparseAttentionOp,
             IndexScoreOp, CompressOp, StreamProjectOp, EmbedOp, SampleOp>(op);
}

//===----------------------------------------------------------------------===//
// Pools and functions
//===----------------------------------------------------------------------===//

int64_t PoolWork::getBytes(int64_t context) const {
  return cast<PoolOp>(op).getBytesOf(context);
}

int64_t PoolWork::getAllocatedBytes(const StepShape &step) const {
  auto pool = cast<PoolOp>(op);
  int64_t kept = pool.getKeptRows(), rows = 0;
  if (pool.getKind() == PoolKind::Entries) {
    int64_t page = *pool.getPage();
    int64_t whole =
        llvm::divideCeil(step.context, page) * (page / pool.getRowTokens());
    rows = step.sequences * std::min(whole, kept);
  } else {
    int64_t size = pool.getSize().value_or(0);
    rows = step.sequences * std::min(size, kept);
    if (pool.getKind() == PoolKind::Window)
      rows += step.tokens;
  }
  int64_t score = pool.getSelect() ? pool.getSelect()->getScoreBytes() : 0;
  return rows * (rowBytes + score);
}

double PoolWork::getGrowth() const {
  return grows() ? static_cast<double>(rowBytes) / rowTokens : 0;
}

OpCost FunctionWork::getCost(const StepShape &step) const {
  OpCost cost;
  for (const OpWork &work : ops)
    cost += cast<CostOpInterface>(work.op).getCost(step);
  return cost;
}

int64_t FunctionWork::getScratchBytes(const StepShape &step) const {
  auto &body = cast<func::FuncOp>(function).getBody().front();
  auto isStored = [](Value value) {
    return isa<RankedTensorType>(value.getType()) &&
           !isa_and_nonnull<WeightOp>(value.getDefiningOp());
  };
  int64_t alive = 0, most = 0;
  llvm::DenseMap<Value, Operation *> lastUse;
  for (BlockArgument argument : body.getArguments())
    if (isStored(argument))
      alive += getValueBytes(argument, step);
  for (Operation &op : body)
    for (Value operand : op.getOperands())
      lastUse[operand] = &op;
  for (Operation &op : body) {
    for (Value result : op.getResults())
      if (isStored(result))
        alive += getValueBytes(result, step);
    most = std::max(most, alive);
    for (Value operand :
         llvm::SmallSetVector<Value, 8>(op.operand_begin(), op.operand_end()))
      if (isStored(operand) && lastUse.lookup(operand) == &op)
        alive -= getValueBytes(operand, step);
    for (Value result : op.getResults())
      if (isStored(result) && result.use_empty())
        alive -= getValueBytes(result, step);
  }
  return most;
}

double FunctionWork::getAttendedKeys(const StepShape &step) const {
  double keys = 0;
  for (const OpWork &work : ops) {
    auto attention = dyn_cast<SparseAttentionOp>(work.op);
    if (!attention)
      continue;
    auto q = cast<RankedTensorType>(attention.getQ().getType());
    auto o = cast<RankedTensorType>(attention.getResult().getType());
    double perKey = 2.0 * q.getDimSize(1) * (q.getDimSize(2) + o.getDimSize(2));
    keys += attention.getCost(step).productFlops / perKey / step.tokens;
  }
  return keys;
}

//===----------------------------------------------------------------------===//
// Collection
//===----------------------------------------------------------------------===//

/// "attn.wq_b" of "layers.3.attn.wq_b" in the function "layers.3".
static std::string localName(llvm::StringRef name, llvm::StringRef function) {
  if (name.consume_front(function))
    name.consume_front(".");
  return name.str();
}

static PoolWork makePool(PoolOp pool, llvm::StringRef function) {
  PoolWork work;
  work.name = localName(pool.getSymName(), function);
  work.kind = stringifyPoolKind(pool.getKind());
  bool grows = pool.getKind() == PoolKind::Entries && !pool.getSelect();
  work.rowTokens = grows ? pool.getRowTokens() : 0;
  work.rowBytes = pool.getFormat().getRowBytes();
  work.op = pool;
  return work;
}

static FunctionWork collectFunction(func::FuncOp function) {
  FunctionWork work;
  work.name = function.getSymName();
  work.function = function;
  if (auto repeat = function->getAttrOfType<IntegerAttr>(kRepeatAttrName))
    work.repeat = repeat.getInt();
  llvm::StringSet<> weights;
  llvm::SmallSetVector<Operation *, 8> pools;
  function.walk([&](Operation *op) {
    if (auto weight = dyn_cast<WeightOp>(op)) {
      if (weights.insert(weight.getName()).second)
        work.weightBytes += getValueBytes(weight.getResult(), StepShape());
      return;
    }
    if (!isa<CostOpInterface>(op))
      return;
    OpWork item;
    item.op = op;
    if (auto name = dyn_cast<NameLoc>(op->getLoc()))
      item.name = localName(name.getName().getValue(), work.name);
    item.kind = op->getName().stripDialect();
    item.mechanism = getMechanism(op);
    item.anchor = isAnchor(op);
    work.ops.push_back(std::move(item));
    if (auto user = dyn_cast<PoolUserOpInterface>(op)) {
      llvm::SmallVector<FlatSymbolRefAttr> symbols;
      user.getReadPools(symbols);
      user.getWrittenPools(symbols);
      for (FlatSymbolRefAttr symbol : symbols)
        if (PoolOp pool = lookupPool(op, symbol))
          pools.insert(pool);
    }
  });
  for (Operation *pool : pools)
    work.pools.push_back(makePool(cast<PoolOp>(pool), work.name));
  return work;
}

std::vector<FunctionWork> collectWork(ModuleOp module) {
  std::vector<FunctionWork> functions;
  for (auto function : module.getOps<func::FuncOp>()) {
    if (function.isExternal())
      continue;
    FunctionWork work = collectFunction(function);
    if (!work.ops.empty())
      functions.push_back(std::move(work));
  }
  return functions;
}

} // namespace varve
