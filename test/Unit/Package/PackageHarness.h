//===- PackageHarness.h - From the text of a plan to a package -*- C++ -*-===//
#ifndef VARVE_TEST_UNIT_PACKAGE_PACKAGEHARNESS_H
#define VARVE_TEST_UNIT_PACKAGE_PACKAGEHARNESS_H

#include "dialects/Plan/Plan.h"
#include "dialects/Tile/Tile.h"
#include "dialects/Varve/Varve.h"
#include "lib/Binary/Passes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "passes/Engine/Passes.h"
#include "passes/Plan/Passes.h"
#include "gtest/gtest.h"
#include <string>

namespace varve::test {

/// A program, compiled to `plan.binary` ops without a cache.
class CompiledProgram {
public:
  /// Null module, with a test failure, if a phase fails.
  explicit CompiledProgram(llvm::StringRef text)
      : handler(&context, [&](mlir::Diagnostic &diagnostic) {
          messages += diagnostic.str() + "\n";
          return mlir::success();
        }) {
    setenv("VARVE_CACHE_DIR", "", /*overwrite=*/1);
    mlir::DialectRegistry registry;
    registry.insert<mlir::arith::ArithDialect, mlir::varve::VarveDialect,
                    mlir::varve::plan::PlanDialect,
                    mlir::varve::tile::TileDialect>();
    context.appendDialectRegistry(registry);
    module = mlir::parseSourceString<mlir::ModuleOp>(
        text, mlir::ParserConfig(&context));
    EXPECT_TRUE(module) << messages;
    if (!module)
      return;
    mlir::PassManager pm(&context);
    mlir::OpPassManager &target = pm.nest<mlir::ModuleOp>();
    target.addPass(mlir::varve::createPlanInlinePass());
    target.addNestedPass<mlir::varve::plan::FuncOp>(
        mlir::varve::createPlanShareStoragePass());
    target.addPass(mlir::varve::createPlanOutlineKernelsPass());
    target.addNestedPass<mlir::varve::plan::KernelOp>(
        mlir::varve::createLowerKernelPass());
    pm.addPass(mlir::varve::createVerifyTargetsPass());
    pm.addPass(mlir::varve::createCompileKernelsPass());
    EXPECT_TRUE(mlir::succeeded(pm.run(*module))) << messages;
  }

  mlir::MLIRContext context;
  /// What was said so far.
  std::string messages;
  mlir::ScopedDiagnosticHandler handler;
  mlir::OwningOpRef<mlir::ModuleOp> module;
};

} // namespace varve::test

#endif // VARVE_TEST_UNIT_PACKAGE_PACKAGEHARNESS_H
