//===- ParsedModule.h - Small modules for tests of the dialect -*- C++ -*-===//
#ifndef VARVE_TEST_UNIT_DIALECTS_PARSEDMODULE_H
#define VARVE_TEST_UNIT_DIALECTS_PARSEDMODULE_H

#include "dialects/Varve/Varve.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/OwningOpRef.h"
#include "mlir/Parser/Parser.h"
#include "gtest/gtest.h"
#include <string>

/// A verified module, from text: pools, then a function with the given
/// arguments and ops.
class ParsedModule {
public:
  ParsedModule(llvm::StringRef pools, llvm::StringRef arguments = "",
               llvm::StringRef ops = "") {
    context.loadDialect<mlir::varve::VarveDialect, mlir::func::FuncDialect>();
    std::string text = (pools + "\nfunc.func @f(" + arguments + ") {\n" + ops +
                        "\n  return\n}\n")
                           .str();
    module = mlir::parseSourceString<mlir::ModuleOp>(text, &context);
    if (!module)
      ADD_FAILURE() << "does not parse:\n" << text;
  }

  explicit operator bool() const { return static_cast<bool>(module); }

  /// The last op of type `OpT` anywhere in the module.
  template <typename OpT> OpT last() {
    OpT found;
    if (module)
      module->walk([&](OpT op) { found = op; });
    EXPECT_TRUE(found) << "the module has no such op";
    return found;
  }

  /// Cost of the last op of type `OpT`.
  template <typename OpT>
  mlir::varve::OpCost cost(const mlir::varve::StepShape &step) {
    EXPECT_FALSE(static_cast<bool>(step.check()));
    OpT op = last<OpT>();
    return op ? op.getCost(step) : mlir::varve::OpCost();
  }

private:
  mlir::MLIRContext context;
  mlir::OwningOpRef<mlir::ModuleOp> module;
};

#endif // VARVE_TEST_UNIT_DIALECTS_PARSEDMODULE_H
