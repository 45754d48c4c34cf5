//===- TargetTestUtils.h - Parsing kernels in tests ------------*- C++ -*-===//
#ifndef VARVE_TEST_UNIT_TARGET_TARGETTESTUTILS_H
#define VARVE_TEST_UNIT_TARGET_TARGETTESTUTILS_H

#include "lib/Target/Codegen/LowerToLLVM.h"
#include "lib/Target/Model/TargetModel.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Parser/Parser.h"
#include "llvm/ADT/StringRef.h"
#include "gtest/gtest.h"
#include <string>

namespace varve {

inline const TargetModel &getTarget(llvm::StringRef name) {
  return *llvm::cantFail(TargetModel::lookup(name));
}

/// A context with the drivers' dialects, and everything reported in it.
class TargetTest : public testing::Test {
protected:
  TargetTest() : context(makeRegistry(), Threading::DISABLED) {
    context.loadAllAvailableDialects();
    context.getDiagEngine().registerHandler([&](mlir::Diagnostic &d) {
      diagnostics += render(d);
      for (mlir::Diagnostic &note : d.getNotes())
        diagnostics += render(note);
      return mlir::success();
    });
  }

  /// The module that `text` spells; a test fails if it does not parse.
  mlir::OwningOpRef<mlir::ModuleOp> parse(llvm::StringRef text) {
    auto module = mlir::parseSourceString<mlir::ModuleOp>(
        text, mlir::ParserConfig(&context), "test.mlir");
    EXPECT_TRUE(module) << diagnostics << text.str();
    return module;
  }

  using Threading = mlir::MLIRContext::Threading;
  mlir::MLIRContext context;
  /// "error: message\nnote: message\n".
  std::string diagnostics;

private:
  static mlir::DialectRegistry makeRegistry() {
    mlir::DialectRegistry registry;
    registerTargetDialects(registry);
    return registry;
  }
  static std::string render(mlir::Diagnostic &d) {
    static constexpr const char *names[] = {
        "note: ", "warning: ", "error: ", "remark: "};
    return names[static_cast<int>(d.getSeverity())] + d.str() + "\n";
  }
};

} // namespace varve

#endif // VARVE_TEST_UNIT_TARGET_TARGETTESTUTILS_H
