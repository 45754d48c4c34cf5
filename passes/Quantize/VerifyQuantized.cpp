//===- VerifyQuantized.cpp - What the phases behind quantize rely on ------===//
//
// Checks Q1 to Q4 (Passes.td) and reports all violations.
//
//===----------------------------------------------------------------------===//

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "passes/Quantize/Passes.h"

namespace mlir::varve {
#define GEN_PASS_DEF_VERIFYQUANTIZEDPASS
#include "passes/Quantize/Passes.h.inc"
} // namespace mlir::varve

using namespace mlir;
using namespace mlir::varve;

namespace {

constexpr unsigned kMaxReports = 10;

bool isCoded(Type type) {
  auto shaped = dyn_cast<ShapedType>(type);
  return shaped &&
         isa<Float8E4M3FNType, Float4E2M1FNType>(shaped.getElementType());
}

class QuantizedVerifier {
public:
  explicit QuantizedVerifier(ModuleOp module) : module(module) {}

  LogicalResult run() {
    if (!module->hasAttr(kPrecisionAttrName))
      report(module, [](InFlightDiagnostic &diagnostic) {
        diagnostic << "expected the attribute '" << kPrecisionAttrName
                   << "' (Q1)";
      });
    for (auto function : module.getOps<func::FuncOp>())
      verifyBoundary(function);
    module.walk([&](Operation *op) { verifyScales(op); });
    module.walk([&](IndexScoreOp op) { verifyTransforms(op); });
    if (violations > kMaxReports)
      module.emitError() << "and " << violations - kMaxReports
                         << " more violations";
    return success(violations == 0);
  }

private:
  template <typename Message>
  void report(Operation *op, const Message &message) {
    if (++violations > kMaxReports)
      return;
    InFlightDiagnostic diagnostic = op->emitOpError();
    message(diagnostic);
  }

  // Q2
  void verifyBoundary(func::FuncOp function) {
    FunctionType type = function.getFunctionType();
    for (Type crossing :
         llvm::concat<const Type>(type.getInputs(), type.getResults()))
      if (isCoded(crossing))
        return report(function, [&](InFlightDiagnostic &diagnostic) {
          diagnostic << "expected no codes as arguments or results, where "
                        "their scales "
                        "are lost (Q2), but got "
                     << crossing;
        });
  }

  // Q3
  void verifyScales(Operation *op) {
    auto check = [&](Value codes, Value scales) {
      if (!codes || !scales || belongTogether(codes, scales))
        return;
      report(op, [&](InFlightDiagnostic &diagnostic) {
        diagnostic
            << "expected codes and scales of one 'varve.quantize' or of one "
               "stored tensor (Q3)";
        diagnostic.attachNote(codes.getLoc()) << "the codes";
        diagnostic.attachNote(scales.getLoc()) << "the scales";
      });
    };
    auto checkProduct = [&](auto product) {
      check(product.getX(), product.getXScale());
      check(product.getWeight(), product.getWeightScale());
    };
    if (auto linear = dyn_cast<LinearOp>(op))
      checkProduct(linear);
    else if (auto grouped = dyn_cast<GroupedLinearOp>(op))
      checkProduct(grouped);
    else if (auto experts = dyn_cast<ExpertsOp>(op))
      checkProduct(experts);
    else if (auto score = dyn_cast<IndexScoreOp>(op))
      check(score.getQ(), score.getQScale());
    else if (auto dequantize = dyn_cast<DequantizeOp>(op))
      check(dequantize.getCodes(), dequantize.getScales());
  }

  static bool belongTogether(Value codes, Value scales) {
    auto weight = codes.getDefiningOp<WeightOp>();
    auto scale = scales.getDefiningOp<WeightOp>();
    if (weight && scale) {
      StringRef name = weight.getName(), scaleName = scale.getName();
      return name.consume_back(".weight") && scaleName.consume_back(".scale") &&
             name == scaleName;
    }
    auto quantize = codes.getDefiningOp<QuantizeOp>();
    return quantize && scales.getDefiningOp() == quantize.getOperation();
  }

  // Q4
  void verifyTransforms(IndexScoreOp op) {
    Value q = op.getQ();
    if (auto quantize = q.getDefiningOp<QuantizeOp>())
      q = quantize.getX();
    bool queries = q.getDefiningOp<HadamardOp>() != nullptr;
    module.walk([&](AppendOp append) {
      if (append.getPoolAttr() != op.getKeysAttr())
        return;
      bool keys = append.getRows().getDefiningOp<HadamardOp>() != nullptr;
      if (keys != queries)
        report(op, [&](InFlightDiagnostic &diagnostic) {
          diagnostic
              << "expected 'varve.hadamard' on queries and keys, or on neither "
                 "(Q4), but got it on "
              << (keys ? "the keys" : "the queries") << " alone";
          diagnostic.attachNote(append.getLoc()) << "the keys";
        });
    });
  }

  ModuleOp module;
  unsigned violations = 0;
};

struct VerifyQuantizedPass
    : varve::impl::VerifyQuantizedPassBase<VerifyQuantizedPass> {
  void runOnOperation() override {
    if (failed(QuantizedVerifier(getOperation()).run()))
      return signalPassFailure();
    markAllAnalysesPreserved();
  }
};

} // namespace
