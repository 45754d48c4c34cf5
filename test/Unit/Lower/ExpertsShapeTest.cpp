//===- ExpertsShapeTest.cpp - What a kernel of experts may do -------------===//

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Parser/Parser.h"
#include "passes/Lower/Programs/Experts.h"
#include "llvm/Support/FormatVariadic.h"
#include "gtest/gtest.h"

using namespace mlir::varve;

namespace {

/// A gated pair; `{0}` and `{1}` are the settings of the gate and of the up.
constexpr char kPair[] = R"mlir(
func.func private @f(%x: tensor<?x64xf8E4M3FN>, %xs: tensor<?x2xf8E8M0FNU>, %ids: tensor<?x2xi32>,
    %w1: tensor<4x8x64xf4E2M1FN>, %w3: tensor<4x8x64xf4E2M1FN>, %s: tensor<4x8x2xf8E8M0FNU>) {{
  %u = varve.experts %x scaled %xs by 32, %ids, %w3 scaled %s by [1, 32] {1}
      : (tensor<?x64xf8E4M3FN>, tensor<?x2xf8E8M0FNU>, tensor<?x2xi32>,
         tensor<4x8x64xf4E2M1FN>, tensor<4x8x2xf8E8M0FNU>) -> tensor<?x2x8xbf16>
  %g = varve.experts %x scaled %xs by 32, %ids, %w1 scaled %s by [1, 32] {0}
      : (tensor<?x64xf8E4M3FN>, tensor<?x2xf8E8M0FNU>, tensor<?x2xi32>,
         tensor<4x8x64xf4E2M1FN>, tensor<4x8x2xf8E8M0FNU>) -> tensor<?x2x8xbf16>
  %v = varve.swiglu %g, %u limit 10.0
      : (tensor<?x2x8xbf16>, tensor<?x2x8xbf16>) -> tensor<?x2x8xbf16>
  return
})mlir";

struct Shapes {
  ExpertsShape gate, up, pair;
};

Shapes shapesOf(llvm::StringRef gate, llvm::StringRef up) {
  mlir::MLIRContext context;
  context.loadDialect<VarveDialect, mlir::func::FuncDialect>();
  std::string text = llvm::formatv(kPair, gate, up);
  auto module = mlir::parseSourceString<mlir::ModuleOp>(text, &context);
  Shapes shapes;
  if (!module) {
    ADD_FAILURE() << text;
    return shapes;
  }
  module->walk([&](SwigluOp swiglu) {
    auto product = swiglu.getGate().getDefiningOp<ExpertsOp>();
    shapes.gate = ExpertsShape::of(product);
    shapes.up = ExpertsShape::of(swiglu.getUp().getDefiningOp<ExpertsOp>());
    shapes.pair = ExpertsShape::of(product, swiglu);
  });
  return shapes;
}

TEST(ExpertsShape, APairHasShortSumsIfBothProductsMay) {
  for (bool gate : {false, true})
    for (bool up : {false, true}) {
      Shapes shapes =
          shapesOf(gate ? "short_sums" : "", up ? "short_sums" : "");
      EXPECT_EQ(shapes.gate.hasShortSums, gate);
      EXPECT_EQ(shapes.up.hasShortSums, up);
      EXPECT_EQ(shapes.pair.hasShortSums, gate && up) << gate << up;
      EXPECT_TRUE(shapes.pair.isGated);
    }
}

} // namespace
