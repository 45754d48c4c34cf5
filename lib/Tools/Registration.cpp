//===- Registration.cpp - Dialects and passes of all tools ----------------===//

#include "lib/Tools/Registration.h"
#include "dialects/Plan/Plan.h"
#include "dialects/Tile/Tile.h"
#include "dialects/Varve/Varve.h"
#include "lib/Binary/Passes.h"
#include "lib/Interpret/Interpreter.h"
#include "lib/Pipelines/Phases.h"
#include "mlir/InitAllDialects.h"
#include "mlir/InitAllExtensions.h"
#include "mlir/InitAllPasses.h"
#include "passes/Engine/Nvidia/Passes.h"
#include "passes/Engine/Passes.h"
#include "passes/Engine/X86/Passes.h"
#include "passes/Fusion/Passes.h"
#include "passes/Lower/Passes.h"
#include "passes/Plan/Passes.h"
#include "passes/Quantize/Passes.h"
#include "passes/Schedule/Passes.h"
#include "passes/Target/Passes.h"
#include "passes/Tile/Passes.h"
#include "passes/Verify/Passes.h"

void varve::registerDialects(mlir::DialectRegistry &registry) {
  mlir::registerAllDialects(registry);
  mlir::registerAllExtensions(registry);
  registry.insert<mlir::varve::VarveDialect, mlir::varve::plan::PlanDialect,
                  mlir::varve::tile::TileDialect>();
  registerInterpretModels(registry);
}

void varve::registerPasses() {
  mlir::registerAllPasses();
  mlir::varve::registerBinaryPasses();
  mlir::varve::registerEnginePasses();
  mlir::varve::registerPlanPasses();
  mlir::varve::registerFusionPasses();
  mlir::varve::registerLowerPasses();
  mlir::varve::registerNvidiaPasses();
  mlir::varve::registerQuantizePasses();
  mlir::varve::registerSchedulePasses();
  mlir::varve::registerTargetPasses();
  mlir::varve::registerTilePasses();
  mlir::varve::registerX86Passes();
  mlir::varve::registerVerifyPasses();
  registerPhasePipelines();
}
