//===- ExposeLayers.cpp - A public function for every layer ---------------===//

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "passes/Schedule/Passes.h"
#include "varve/Support/Assert.h"

namespace mlir::varve {
#define GEN_PASS_DEF_EXPOSELAYERSPASS
#include "passes/Schedule/Passes.h.inc"
} // namespace mlir::varve

using namespace mlir;

/// Whether the importer made this function for one layer, or for what follows
/// the last one.
static bool isPart(func::FuncOp function) {
  if (function.isPrivate() && function.getSymName() == "head")
    return true;
  StringRef number = function.getSymName();
  uint64_t layer;
  return function.isPrivate() && number.consume_front("layers.") &&
         !number.getAsInteger(10, layer);
}

/// Renames the function and puts a public one of its name in front that calls
/// it. Names of arguments are their locations.
static void expose(func::FuncOp function, SymbolTable &symbols) {
  OpBuilder builder(function);
  auto outer =
      func::FuncOp::create(builder, function.getLoc(), function.getSymName(),
                           function.getFunctionType());
  auto inner = builder.getStringAttr(function.getSymName() + ".body");
  ModuleOp module = function->getParentOfType<ModuleOp>();
  bool replaced =
      succeeded(SymbolTable::replaceAllSymbolUses(function, inner, module));
  VARVE_ASSERT(replaced, "calls are the only uses of functions");
  symbols.setSymbolName(function, inner);
  Block *body = outer.addEntryBlock();
  for (auto [argument, old] :
       llvm::zip_equal(body->getArguments(), function.getArguments()))
    argument.setLoc(old.getLoc());
  builder.setInsertionPointToEnd(body);
  auto call = func::CallOp::create(builder, function.getLoc(), function,
                                   body->getArguments());
  func::ReturnOp::create(builder, function.getLoc(), call.getResults());
}

namespace {
struct ExposeLayers : mlir::varve::impl::ExposeLayersPassBase<ExposeLayers> {
  void runOnOperation() override {
    SymbolTable symbols(getOperation());
    for (func::FuncOp function :
         llvm::to_vector(getOperation().getOps<func::FuncOp>()))
      if (isPart(function))
        expose(function, symbols);
  }
};
} // namespace
