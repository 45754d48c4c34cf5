//===- ShareFunctions.cpp - Equal tile functions are one ------------------===//
//
// Strategies of a kernel often differ in one of its launches only. The others
// are built again for each, and are equal.
//
//===----------------------------------------------------------------------===//

#include "passes/Lower/FunctionLowering.h"

using namespace mlir;
using namespace mlir::varve;

/// The text of a function without its name and locations.
static std::string getText(tile::FuncOp function) {
  tile::FuncOp copy = function.clone();
  copy.setSymName("f");
  std::string text;
  llvm::raw_string_ostream os(text);
  copy->print(os, OpPrintingFlags().useLocalScope());
  copy->erase();
  return text;
}

void mlir::varve::shareEqualFunctions(ModuleOp module) {
  llvm::StringMap<tile::FuncOp> known;
  DenseMap<StringAttr, StringAttr> replacements;
  for (auto function :
       llvm::make_early_inc_range(module.getOps<tile::FuncOp>())) {
    auto [it, isNew] = known.try_emplace(getText(function), function);
    if (isNew)
      continue;
    replacements[function.getSymNameAttr()] = it->second.getSymNameAttr();
    function->erase();
  }
  module.walk([&](plan::LaunchOp launch) {
    if (StringAttr name = replacements.lookup(launch.getKernelAttr().getAttr()))
      launch.setKernelAttr(FlatSymbolRefAttr::get(name));
  });
}
