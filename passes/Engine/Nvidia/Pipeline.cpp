//===- Pipeline.cpp - From tile programs to kernels -----------------------===//

#include "lib/Target/Model/TargetModel.h"
#include "mlir/Pass/PassManager.h"
#include "passes/Engine/Nvidia/Passes.h"
#include "passes/Tile/Passes.h"

using namespace mlir;
using namespace mlir::varve;

bool mlir::varve::hasWarpSpecialisation(const ::varve::TargetModel &target) {
  return target.supports(::varve::Feature::Wgmma) &&
         target.getAsyncCopyKind() == ::varve::AsyncCopyKind::Tma;
}

void mlir::varve::buildTileToNvidiaPipeline(
    OpPassManager &pm, const ::varve::TargetModel &target) {
  OpPassManager &functions = pm.nest<tile::FuncOp>();
  functions.addPass(createCheckPipelinesPass());
  if (hasWarpSpecialisation(target))
    functions.addPass(createSplitRolesPass());
  else
    functions.addPass(createMergeRolesPass());
  AssignLayoutsPassOptions layouts;
  layouts.target = target.getName().str();
  functions.addPass(createAssignLayoutsPass(layouts));
  TileToNvidiaPassOptions options;
  options.target = target.getName().str();
  pm.addPass(createTileToNvidiaPass(options));
}
