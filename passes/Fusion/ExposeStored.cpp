//===- ExposeStored.cpp - Programs that show the values inside layers -----===//
//
// A copy of a layer begins at a value that a reference stores and returns the
// ones that follow from it. Ops are found by the names that the importer gives
// them.
//
//===----------------------------------------------------------------------===//

#include "dialects/Varve/Varve.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/SymbolTable.h"
#include "passes/Fusion/Passes.h"
#include "llvm/ADT/StringMap.h"

namespace mlir::varve {
#define GEN_PASS_DEF_EXPOSESTOREDPASS
#include "passes/Fusion/Passes.h.inc"
} // namespace mlir::varve

using namespace mlir;
using namespace mlir::varve;

/// Whether the importer made this function for one layer.
static bool isLayer(func::FuncOp function) {
  StringRef number = function.getSymName();
  uint64_t layer;
  return function.isPrivate() && !function.isExternal() &&
         number.consume_front("layers.") && !number.getAsInteger(10, layer);
}

/// The index of a layer; null if it has none.
static IndexScoreOp findIndex(func::FuncOp layer) {
  IndexScoreOp score;
  layer.walk([&](IndexScoreOp op) { score = op; });
  return score;
}

/// Entries of a layer's index that `positions` positions can have; 0 if it has
/// no index.
static int64_t countEntries(func::FuncOp layer, int64_t positions) {
  IndexScoreOp score = findIndex(layer);
  PoolOp pool = score ? lookupPool(score, score.getKeysAttr()) : PoolOp();
  return pool ? positions / static_cast<int64_t>(*pool.getRatio()) : 0;
}

/// The type of scores with a known number of columns.
static RankedTensorType withColumns(Value scores, int64_t columns) {
  auto type = cast<RankedTensorType>(scores.getType());
  return RankedTensorType::get({type.getDimSize(0), columns},
                               type.getElementType());
}

namespace {

/// A result of a layer's op, and the port that shows it.
struct Shown {
  StringRef port, op;
  unsigned result = 0;
};

constexpr Shown shownOfAttention[] = {{"attn.q_latent", "attn.q_norm"},
                                      {"attn.q", "attn.q_rope"},
                                      {"attn.o", "attn.core"},
                                      {"attn.output", "attn.wo_b"},
                                      {"indexer.topk", "attn.indexer.topk"}};
constexpr Shown shownOfExperts[] = {{"router.logits", "ffn.gate"},
                                    {"router.indices", "ffn.route", 0},
                                    {"router.weights", "ffn.route", 1},
                                    {"moe.output", "ffn.combine"}};

/// A copy of a layer.
class StoredProgram {
public:
  StoredProgram(func::FuncOp layer, StringRef suffix);

  /// Null if the layer has no op of that name.
  Operation *find(StringRef name) { return ops.lookup(name); }
  /// Replaces what an op makes by an argument.
  void beginAt(Operation *op, StringRef port);
  void show(Value value, StringRef port);
  void show(ArrayRef<Shown> values);
  /// What the index scores, and the scores where their columns are known.
  void showIndex(int64_t columns);
  bool isEmpty() const { return values.empty(); }
  /// Sets the function's type and results.
  void finish(SymbolTable &symbols, func::FuncOp layer);
  void erase() { function->erase(); }

private:
  func::FuncOp function;
  llvm::StringMap<Operation *> ops;
  SmallVector<std::pair<Value, std::string>> values;
};

} // namespace

StoredProgram::StoredProgram(func::FuncOp layer, StringRef suffix)
    : function(layer.clone()) {
  std::string scope = (layer.getSymName() + ".").str();
  function.setSymName((layer.getSymName() + ".stored." + suffix).str());
  function.setPublic();
  for (Operation &op : function.getBody().front()) {
    auto loc = dyn_cast<NameLoc>(op.getLoc());
    StringRef name = loc ? loc.getName().getValue() : StringRef();
    // Weights have names too, of tensors.
    if (name.consume_front(scope) && !isa<WeightOp>(op))
      ops.try_emplace(name, &op);
  }
}

void StoredProgram::beginAt(Operation *op, StringRef port) {
  Value old = op->getResult(0);
  auto loc =
      NameLoc::get(StringAttr::get(function.getContext(), port), op->getLoc());
  Value argument = function.getBody().front().addArgument(old.getType(), loc);
  old.replaceAllUsesWith(argument);
  op->erase();
}

void StoredProgram::show(Value value, StringRef port) {
  values.emplace_back(value, port.str());
}

void StoredProgram::show(ArrayRef<Shown> shown) {
  for (const Shown &each : shown)
    if (Operation *op = find(each.op))
      show(op->getResult(each.result), each.port);
}

void StoredProgram::showIndex(int64_t columns) {
  auto score = dyn_cast_or_null<IndexScoreOp>(find("attn.indexer.score"));
  if (!score)
    return;
  if (score.getQ().getDefiningOp())
    show(score.getQ(), "indexer.q");
  if (score.getQScale() && score.getQScale().getDefiningOp())
    show(score.getQScale(), "indexer.q_scale");
  if (columns < 1)
    return;
  score.getScores().setType(withColumns(score.getScores(), columns));
  show(score.getScores(), "indexer.scores");
}

void StoredProgram::finish(SymbolTable &symbols, func::FuncOp layer) {
  Block &body = function.getBody().front();
  Operation *end = body.getTerminator();
  SmallVector<Value> results(end->getOperands());
  unsigned first = results.size();
  for (auto &[value, port] : values)
    results.push_back(value);
  end->setOperands(results);
  function.setFunctionType(FunctionType::get(
      function.getContext(), body.getArgumentTypes(), ValueRange(results)));
  for (auto [i, shown] : llvm::enumerate(values))
    function.setResultAttr(
        first + i, kPortAttrName,
        StringAttr::get(function.getContext(), shown.second));
  symbols.insert(function, std::next(layer->getIterator()));
}

namespace {

struct ExposeStoredPass
    : mlir::varve::impl::ExposeStoredPassBase<ExposeStoredPass> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    SymbolTable symbols(module);
    auto model = module->getAttrOfType<ModelAttr>(kModelAttrName);
    int64_t positions = model ? model.getMaxPositions() : 0;
    for (func::FuncOp layer : llvm::to_vector(module.getOps<func::FuncOp>()))
      if (isLayer(layer)) {
        showChoice(layer, positions, symbols);
        showExperts(layer, symbols);
        showAttention(layer, positions, symbols);
      }
  }

private:
  void showAttention(func::FuncOp layer, int64_t positions,
                     SymbolTable &symbols) {
    StoredProgram program(layer, "attn");
    Operation *norm = program.find("attn_norm");
    if (norm) {
      program.beginAt(norm, "attn.input");
      program.show(shownOfAttention);
      program.showIndex(countEntries(layer, positions));
    }
    finish(program, layer, symbols);
  }

  void showExperts(func::FuncOp layer, SymbolTable &symbols) {
    StoredProgram program(layer, "moe");
    if (Operation *norm = program.find("ffn_norm")) {
      program.beginAt(norm, "moe.input");
      program.show(shownOfExperts);
    }
    finish(program, layer, symbols);
  }

  void finish(StoredProgram &program, func::FuncOp layer,
              SymbolTable &symbols) {
    if (program.isEmpty())
      return program.erase();
    program.finish(symbols, layer);
  }

  void showChoice(func::FuncOp layer, int64_t positions, SymbolTable &symbols);
};

} // namespace

/// A function of the choice from given scores alone.
void ExposeStoredPass::showChoice(func::FuncOp layer, int64_t positions,
                                  SymbolTable &symbols) {
  IndexScoreOp score = findIndex(layer);
  int64_t columns = countEntries(layer, positions);
  if (columns < 1 || !score.getScores().hasOneUse())
    return;
  auto topk = dyn_cast<IndexTopkOp>(*score.getScores().getUsers().begin());
  if (!topk)
    return;
  OpBuilder builder(layer.getContext());
  RankedTensorType scores = withColumns(topk.getScores(), columns);
  auto function = func::FuncOp::create(
      builder, layer.getLoc(), (layer.getSymName() + ".stored.topk").str(),
      builder.getFunctionType(scores, topk.getIndices().getType()));
  Block &body = function.getBody().emplaceBlock();
  Value given = body.addArgument(
      scores,
      NameLoc::get(builder.getStringAttr("indexer.scores"), topk.getLoc()));
  builder.setInsertionPointToEnd(&body);
  auto copy = cast<IndexTopkOp>(builder.clone(*topk));
  copy.getScoresMutable().assign(given);
  func::ReturnOp::create(builder, topk.getLoc(), copy.getIndices());
  function.setResultAttr(0, kPortAttrName,
                         builder.getStringAttr("indexer.topk"));
  symbols.insert(function, std::next(layer->getIterator()));
}
