//===- OutlineKernels.cpp - Share equal kernels ---------------------------===//

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/AttrTypeSubElements.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/IRMapping.h"
#include "passes/Schedule/LogitRows.h"
#include "passes/Schedule/Passes.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/StringMap.h"

namespace mlir::varve {
#define GEN_PASS_DEF_OUTLINEKERNELSPASS
#include "passes/Schedule/Passes.h.inc"
} // namespace mlir::varve

using namespace mlir;
using namespace mlir::varve;

/// "linear_1024x4096_f8E4M3FN_quantize": the ops in order, repetitions left
/// out, the first with its sizes.
static std::string makeName(KernelFuncOp kernel) {
  std::string name;
  StringRef last;
  for (Operation &op : kernel.getBody().front().without_terminator()) {
    StringRef mnemonic = op.getName().stripDialect();
    if (mnemonic == last)
      continue;
    last = mnemonic;
    if (!name.empty())
      name += '_';
    name += mnemonic;
    if (name.size() != mnemonic.size())
      continue;
    // Of a product the matrix tells most, of other ops the result.
    Type type;
    if (isa<LinearOp, GroupedLinearOp, ExpertsOp>(op)) {
      for (Value operand : op.getOperands())
        if (auto tensor = dyn_cast<RankedTensorType>(operand.getType()))
          if (!type && tensor.hasStaticShape())
            type = tensor;
    } else {
      type = op.getNumResults() ? op.getResult(0).getType()
                                : op.getOperand(0).getType();
    }
    auto tensor = dyn_cast_or_null<RankedTensorType>(type);
    if (!tensor)
      continue;
    char separator = '_';
    for (int64_t size : tensor.getShape()) {
      if (ShapedType::isDynamic(size))
        continue;
      name += separator + std::to_string(size);
      separator = 'x';
    }
    llvm::raw_string_ostream(name) << '_' << tensor.getElementType();
  }
  return name;
}

namespace {

class Outliner {
public:
  explicit Outliner(ModuleOp module)
      : module(module), symbols(module), logitRows(module) {}

  void run() {
    SmallVector<KernelOp> kernels;
    module.walk([&](KernelOp kernel) { kernels.push_back(kernel); });
    markFunctions();
    for (KernelOp kernel : kernels)
      outline(kernel);
  }

private:
  void markFunctions();
  void outline(KernelOp kernel);
  KernelFuncOp build(KernelOp kernel, ArrayRef<Value> operands,
                     ArrayRef<Attribute> pools);
  std::string getKey(KernelFuncOp function, ArrayRef<Attribute> pools);

  ModuleOp module;
  SymbolTable symbols;
  LogitRows logitRows;
  llvm::StringMap<KernelFuncOp> functions;
};

} // namespace

void Outliner::markFunctions() {
  auto mark = UnitAttr::get(module.getContext());
  for (auto function : module.getOps<func::FuncOp>()) {
    if (function.isExternal())
      continue;
    for (BlockArgument argument : function.getArguments())
      if (logitRows.contains(argument))
        function.setArgAttr(argument.getArgNumber(), kLogitRowsAttrName, mark);
    Operation *end = function.getBody().front().getTerminator();
    for (auto [i, operand] : llvm::enumerate(end->getOperands()))
      if (logitRows.contains(operand))
        function.setResultAttr(i, kLogitRowsAttrName, mark);
  }
}

KernelFuncOp Outliner::build(KernelOp kernel, ArrayRef<Value> operands,
                             ArrayRef<Attribute> pools) {
  OpBuilder builder(module.getContext());
  auto type = builder.getFunctionType(
      llvm::map_to_vector(operands, [](Value v) { return v.getType(); }),
      kernel.getResultTypes());
  auto function = KernelFuncOp::create(
      builder, kernel.getLoc(), builder.getStringAttr("kernel"),
      TypeAttr::get(type), kernel.getKindAttr(), builder.getArrayAttr(pools),
      /*strategies=*/ArrayAttr(),
      /*sym_visibility=*/StringAttr(), /*arg_attrs=*/ArrayAttr(),
      /*res_attrs=*/ArrayAttr());
  Block &body = function.getBody().emplaceBlock();
  IRMapping mapping;
  for (auto [i, operand] : llvm::enumerate(operands)) {
    mapping.map(operand, body.addArgument(operand.getType(), operand.getLoc()));
    if (logitRows.contains(operand))
      function.setArgAttr(i, kLogitRowsAttrName, builder.getUnitAttr());
  }
  builder.setInsertionPointToEnd(&body);
  for (Operation &op : kernel.getBody().front())
    builder.clone(op, mapping);
  for (auto [i, result] : llvm::enumerate(kernel.getResults()))
    if (logitRows.contains(result))
      function.setResultAttr(i, kLogitRowsAttrName, builder.getUnitAttr());
  return function;
}

/// The function's text with pools numbered, and what the pools are.
std::string Outliner::getKey(KernelFuncOp function, ArrayRef<Attribute> pools) {
  auto copy = function.clone();
  AttrTypeReplacer replacer;
  replacer.addReplacement([&](FlatSymbolRefAttr symbol) -> Attribute {
    const Attribute *it = llvm::find(pools, Attribute(symbol));
    return FlatSymbolRefAttr::get(module.getContext(),
                                  "pool" + std::to_string(it - pools.begin()));
  });
  replacer.recursivelyReplaceElementsIn(copy);
  std::string key;
  llvm::raw_string_ostream os(key);
  copy->print(os, OpPrintingFlags().useLocalScope().printGenericOpForm());
  copy->erase();
  for (Attribute symbol : pools)
    if (auto pool =
            symbols.lookup<PoolOp>(cast<FlatSymbolRefAttr>(symbol).getAttr())) {
      os << stringifyPoolKind(pool.getKind()) << ' '
         << pool.getSize().value_or(0) << ' ' << pool.getRatio().value_or(0)
         << ' ' << pool.getPage().value_or(0) << ' ' << pool.getFormat();
    }
  return key;
}

void Outliner::outline(KernelOp kernel) {
  Block *body = &kernel.getBody().front();
  llvm::SetVector<Value> operands;
  llvm::SetVector<Attribute> pools;
  for (Operation &op : *body) {
    for (Value operand : op.getOperands())
      if (operand.getParentBlock() != body)
        operands.insert(operand);
    if (auto user = dyn_cast<PoolUserOpInterface>(op)) {
      SmallVector<FlatSymbolRefAttr> named;
      user.getReadPools(named);
      user.getWrittenPools(named);
      pools.insert(named.begin(), named.end());
    }
  }
  KernelFuncOp function =
      build(kernel, operands.getArrayRef(), pools.getArrayRef());
  auto [known, isNew] =
      functions.try_emplace(getKey(function, pools.getArrayRef()), function);
  if (isNew) {
    function.setSymName(makeName(function));
    function.setPrivate();
    symbols.insert(function, module.getBody()->end());
  } else {
    function->erase();
  }
  OpBuilder builder(kernel);
  auto launch = LaunchOp::create(
      builder, kernel.getLoc(), kernel.getResultTypes(),
      FlatSymbolRefAttr::get(known->second.getSymNameAttr()),
      operands.getArrayRef(), builder.getArrayAttr(pools.getArrayRef()));
  for (auto [from, to] :
       llvm::zip_equal(kernel.getResults(), launch.getResults()))
    logitRows.transfer(from, to);
  kernel.replaceAllUsesWith(launch.getResults());
  kernel->erase();
}

namespace {

struct OutlineKernelsPass
    : varve::impl::OutlineKernelsPassBase<OutlineKernelsPass> {
  void runOnOperation() override { Outliner(getOperation()).run(); }
};

} // namespace
