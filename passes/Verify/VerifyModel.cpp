//===- VerifyModel.cpp - What the phases behind the import rely on --------===//
//
// Collects violations of M1 to M7 (Passes.td) in one walk, so that a user who
// wrote a model by hand sees all of them at once.
//
//===----------------------------------------------------------------------===//

#include "dialects/Varve/Varve.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "passes/Verify/Passes.h"

namespace mlir::varve {
#define GEN_PASS_DEF_VERIFYMODELPASS
#include "passes/Verify/Passes.h.inc"
} // namespace mlir::varve

using namespace mlir;
using namespace mlir::varve;

namespace {

constexpr unsigned kMaxReports = 10;

class ModelVerifier {
public:
  explicit ModelVerifier(ModuleOp module) : module(module) {}

  LogicalResult run() {
    verifyStep();
    module.walk([&](Operation *op) { verifyOp(op); });
    for (PoolOp pool : module.getOps<PoolOp>())
      verifyPool(pool);
    for (auto function : module.getOps<func::FuncOp>())
      verifyRepeat(function);
    if (violations > kMaxReports)
      module.emitError() << "and " << violations - kMaxReports
                         << " more violations";
    return success(violations == 0);
  }

private:
  template <typename Message>
  void report(Operation *op, const Message &message) {
    if (++violations <= kMaxReports)
      message(op->emitOpError());
  }

  void verifyStep();
  void verifyOp(Operation *op);
  void verifyName(Operation *op);
  void verifyPool(PoolOp pool);
  void verifyEntryRatio(AppendOp op);
  void verifyIndices(SparseAttentionOp op);
  void verifyMix(StreamMixOp op);
  void verifyRepeat(func::FuncOp function);

  ModuleOp module;
  unsigned violations = 0;
  llvm::DenseMap<StringAttr, Operation *> names;
  llvm::DenseMap<StringAttr, unsigned> writers, readers;
};

// M1
void ModelVerifier::verifyStep() {
  auto model = module->getAttrOfType<ModelAttr>(kModelAttrName);
  if (!model)
    return report(module, [](InFlightDiagnostic diagnostic) {
      diagnostic << "expected the attribute '" << kModelAttrName << "' (M1)";
    });
  auto step = module.lookupSymbol<func::FuncOp>("step");
  if (!step)
    return report(module, [](InFlightDiagnostic diagnostic) {
      diagnostic << "expected a function @step (M1)";
    });
  Builder b(module.getContext());
  Type numbers = RankedTensorType::get({ShapedType::kDynamic}, b.getI32Type());
  Type logits = RankedTensorType::get({ShapedType::kDynamic, model.getVocab()},
                                      b.getF32Type());
  FunctionType expected =
      b.getFunctionType({numbers, numbers, numbers, numbers}, {logits});
  if (step.getFunctionType() != expected)
    report(step, [&](InFlightDiagnostic diagnostic) {
      diagnostic << "expected the type " << expected
                 << " of (ids, positions, slots, rows) to logits (M1) but got "
                 << step.getFunctionType();
    });
}

// M2
void ModelVerifier::verifyName(Operation *op) {
  auto name = dyn_cast<NameLoc>(op->getLoc());
  if (!name)
    return report(op, [](InFlightDiagnostic diagnostic) {
      diagnostic
          << "expected a name location, like loc(\"layers.0.attn.wq_a\") (M2)";
    });
  // A weight shares its product's name, or is used by several.
  if (isa<WeightOp>(op))
    return;
  auto [known, isNew] = names.try_emplace(name.getName(), op);
  if (!isNew)
    report(op, [&, first = known->second](InFlightDiagnostic diagnostic) {
      diagnostic << "expected a name of its own (M2) but another op is called "
                 << name.getName();
      diagnostic.attachNote(first->getLoc()) << "the other op";
    });
}

void ModelVerifier::verifyOp(Operation *op) {
  if (op->getDialect() !=
          module.getContext()->getLoadedDialect<VarveDialect>() ||
      isa<PoolOp>(op))
    return;
  verifyName(op);
  if (auto user = dyn_cast<PoolUserOpInterface>(op)) {
    SmallVector<FlatSymbolRefAttr> pools;
    user.getReadPools(pools);
    for (FlatSymbolRefAttr pool : pools)
      ++readers[pool.getAttr()];
    pools.clear();
    user.getWrittenPools(pools);
    for (FlatSymbolRefAttr pool : pools)
      ++writers[pool.getAttr()];
  }
  if (auto append = dyn_cast<AppendOp>(op))
    verifyEntryRatio(append);
  if (auto attention = dyn_cast<SparseAttentionOp>(op))
    verifyIndices(attention);
  if (auto mix = dyn_cast<StreamMixOp>(op))
    verifyMix(mix);
}

// M7
void ModelVerifier::verifyRepeat(func::FuncOp function) {
  if (function->hasAttr(kRepeatAttrName))
    report(function, [](InFlightDiagnostic diagnostic) {
      diagnostic << "expected every layer to be written out (M7) but '"
                 << kRepeatAttrName
                 << "' stands for several: such a module is for costs";
    });
}

// M3 and M7
void ModelVerifier::verifyPool(PoolOp pool) {
  if (pool.getSelect())
    report(pool, [](InFlightDiagnostic diagnostic) {
      diagnostic << "expected a pool that keeps all rows (M7): 'select' is for "
                    "costs, nothing that runs selects";
    });
  unsigned writes = writers.lookup(pool.getSymNameAttr());
  if (writes != 1)
    report(pool, [&](InFlightDiagnostic diagnostic) {
      diagnostic << "expected one op that writes the pool (M3) but got "
                 << writes;
    });
  if (!readers.lookup(pool.getSymNameAttr()))
    report(pool, [](InFlightDiagnostic diagnostic) {
      diagnostic << "expected an op that reads the pool (M3) but got none";
    });
}

/// The op of type OpT that `value` comes from through ops with one result and
/// the value as first operand (norms, rotations, quantisation).
template <typename OpT> OpT originOf(Value value) {
  while (Operation *op = value.getDefiningOp()) {
    if (auto found = dyn_cast<OpT>(op))
      return found;
    if (!isa<RmsNormOp, RopeOp, HadamardOp, QuantizeOp, DequantizeOp>(op))
      return {};
    value = op->getOperand(0);
  }
  return {};
}

// M4
void ModelVerifier::verifyEntryRatio(AppendOp op) {
  auto compress = originOf<CompressOp>(op.getRows());
  PoolOp pool = lookupPool(op, op.getPoolAttr());
  if (!compress || !pool)
    return;
  if (pool.getKind() == PoolKind::Entries &&
      pool.getRowTokens() == static_cast<int64_t>(compress.getRatio()))
    return;
  report(op, [&](InFlightDiagnostic diagnostic) {
    diagnostic << "expected an entry pool of ratio " << compress.getRatio()
               << " for the compressor's entries (M4) but got "
               << stringifyPoolKind(pool.getKind()) << " of ratio "
               << pool.getRowTokens();
    diagnostic.attachNote(compress.getLoc()) << "the compressor";
    diagnostic.attachNote(pool.getLoc()) << "the pool";
  });
}

// M5
void ModelVerifier::verifyIndices(SparseAttentionOp op) {
  auto topk =
      op.getIndices() ? op.getIndices().getDefiningOp<IndexTopkOp>() : nullptr;
  auto score = topk ? topk.getScores().getDefiningOp<IndexScoreOp>() : nullptr;
  if (!score)
    return;
  PoolOp keys = lookupPool(score, score.getKeysAttr());
  PoolOp entries = lookupPool(op, op.getEntriesAttr());
  if (!keys || !entries || keys.getRowTokens() == entries.getRowTokens())
    return;
  report(op, [&](InFlightDiagnostic diagnostic) {
    diagnostic << "expected indices of entries of ratio "
               << entries.getRowTokens()
               << " (M5) but they count keys of ratio " << keys.getRowTokens();
    diagnostic.attachNote(score.getLoc()) << "scored here";
  });
}

// M6
void ModelVerifier::verifyMix(StreamMixOp op) {
  if (!op.getComb().getDefiningOp<SinkhornOp>())
    report(op, [](InFlightDiagnostic diagnostic) {
      diagnostic
          << "expected the mixing matrix to come from 'varve.sinkhorn' (M6)";
    });
}

struct VerifyModelPass : varve::impl::VerifyModelPassBase<VerifyModelPass> {
  void runOnOperation() override {
    if (failed(ModelVerifier(getOperation()).run()))
      return signalPassFailure();
    markAllAnalysesPreserved();
  }
};

} // namespace
