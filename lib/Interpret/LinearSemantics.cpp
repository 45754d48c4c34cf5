//===- LinearSemantics.cpp - Norms, matrices, rotations -------------------===//

#include "lib/Interpret/InterpretFrame.h"
#include "lib/Interpret/MatrixOperand.h"
#include "lib/Interpret/Reference/Norm.h"
#include "lib/Interpret/Reference/Quantize.h"
#include "lib/Interpret/Reference/Rope.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/Parallel.h"

using namespace mlir;
using namespace mlir::varve;
using ::varve::HostTensor;
using ::varve::MatrixOperand;
using ::varve::RowOperand;
namespace reference = ::varve::reference;

static reference::Rounding stepRounding(Rounding rounding, Type elementType) {
  if (rounding == Rounding::Once)
    return reference::Rounding::None;
  if (elementType.isBF16())
    return reference::Rounding::BF16;
  return elementType.isF16() ? reference::Rounding::F16
                             : reference::Rounding::None;
}

namespace {

struct RmsNormSemantics
    : InterpretOpInterface::ExternalModel<RmsNormSemantics, RmsNormOp> {
  LogicalResult interpret(Operation *operation, InterpretFrame &frame) const {
    auto op = cast<RmsNormOp>(operation);
    const HostTensor &x = frame.get(op.getX());
    std::vector<float> weight;
    if (op.getWeight())
      weight = frame.get(op.getWeight()).allFloats();
    HostTensor y = frame.create(op.getResult(), x.getShape());
    reference::Rounding rounding =
        stepRounding(op.getRounding(), y.getElementType());
    int64_t width = x.getShape().back();
    for (int64_t begin = 0; begin < x.getNumElements(); begin += width)
      reference::rmsNorm(x.floats().slice(begin, width), weight,
                         op.getEps().convertToDouble(), rounding,
                         y.floats().slice(begin, width));
    return success();
  }
};

struct LinearSemantics
    : InterpretOpInterface::ExternalModel<LinearSemantics, LinearOp> {
  LogicalResult interpret(Operation *operation, InterpretFrame &frame) const {
    auto op = cast<LinearOp>(operation);
    RowOperand x(frame, op.getX(), op.getXScale(), op.getXBlock());
    MatrixOperand w(frame, op.getWeight(), op.getWeightScale(),
                    op.getWeightBlock());
    SmallVector<int64_t> shape(cast<RankedTensorType>(op.getType()).getShape());
    shape[0] = x.getNumRows();
    HostTensor y = frame.create(op.getResult(), shape);
    int64_t N = w.getNumRows();
    llvm::parallelFor(0, N, [&](size_t n) {
      std::vector<float> scratch;
      reference::ScaledRow row = w.rowFor(x, n, scratch);
      for (int64_t t = 0; t < x.getNumRows(); ++t)
        y.row(t)[n] = reference::dotScaled(x.row(t), row);
    });
    return success();
  }
};

struct GroupedLinearSemantics
    : InterpretOpInterface::ExternalModel<GroupedLinearSemantics,
                                          GroupedLinearOp> {
  LogicalResult interpret(Operation *operation, InterpretFrame &frame) const {
    auto op = cast<GroupedLinearOp>(operation);
    RowOperand x(frame, op.getX(), op.getXScale(), op.getXBlock());
    MatrixOperand w(frame, op.getWeight(), op.getWeightScale(),
                    op.getWeightBlock());
    SmallVector<int64_t> shape(cast<RankedTensorType>(op.getType()).getShape());
    shape[0] = x.getNumRows();
    HostTensor y = frame.create(op.getResult(), shape);
    int64_t N = w.getNumRows(), G = op.getGroups();
    llvm::parallelFor(0, N, [&](size_t n) {
      std::vector<float> scratch;
      reference::ScaledRow row = w.rowFor(x, n, scratch);
      for (int64_t t = 0; t < x.getNumRows(); ++t)
        y.row(t)[n] = reference::dotScaled(x.groupRow(t, n / (N / G), G), row);
    });
    return success();
  }
};

struct RopeSemantics
    : InterpretOpInterface::ExternalModel<RopeSemantics, RopeOp> {
  LogicalResult interpret(Operation *operation, InterpretFrame &frame) const {
    auto op = cast<RopeOp>(operation);
    const HostTensor &x = frame.get(op.getX()),
                     &positions = frame.get(op.getPositions());
    HostTensor y = frame.create(op.getResult(), x.getShape());
    llvm::copy(x.floats(), y.floats().begin());
    std::optional<reference::Yarn> yarn;
    if (YarnAttr attr = op.getTable().getYarn())
      yarn = {attr.getFactor().getValueAsDouble(),
              attr.getBetaFast().getValueAsDouble(),
              attr.getBetaSlow().getValueAsDouble(), attr.getOriginal()};
    reference::RopeTable table(op.getTable().getTheta().getValueAsDouble(),
                               op.getTable().getDim(), yarn);
    int64_t width = x.getShape().back();
    for (int64_t t = 0; t < x.getNumRows(); ++t)
      for (int64_t begin = 0; begin < x.getRowSize(); begin += width)
        table.rotate(y.row(t).slice(begin, width), positions.numbers()[t],
                     op.getInverse());
    return success();
  }
};

struct HadamardSemantics
    : InterpretOpInterface::ExternalModel<HadamardSemantics, HadamardOp> {
  LogicalResult interpret(Operation *operation, InterpretFrame &frame) const {
    auto op = cast<HadamardOp>(operation);
    const HostTensor &x = frame.get(op.getX());
    HostTensor y = frame.create(op.getResult(), x.getShape());
    llvm::copy(x.floats(), y.floats().begin());
    int64_t width = x.getShape().back();
    for (int64_t begin = 0; begin < x.getNumElements(); begin += width)
      reference::hadamard(y.floats().slice(begin, width));
    return success();
  }
};

struct QuantizeSemantics
    : InterpretOpInterface::ExternalModel<QuantizeSemantics, QuantizeOp> {
  LogicalResult interpret(Operation *operation, InterpretFrame &frame) const {
    auto op = cast<QuantizeOp>(operation);
    const HostTensor &x = frame.get(op.getX());
    int64_t width = x.getShape().back(), block = op.getBlock();
    int64_t groups = llvm::divideCeil(width, block);
    SmallVector<int64_t> scaleShape(x.getShape());
    scaleShape.back() = groups;
    HostTensor codes = frame.create(op.getCodes(), x.getShape());
    HostTensor scales = frame.create(op.getScales(), scaleShape);
    auto type = isa<Float4E2M1FNType>(codes.getElementType())
                    ? reference::CodeType::E2M1
                    : reference::CodeType::E4M3;
    for (int64_t row = 0, rows = x.getNumElements() / width; row < rows; ++row)
      reference::quantize(x.floats().slice(row * width, width), block, type,
                          codes.floats().slice(row * width, width),
                          scales.floats().slice(row * groups, groups));
    return success();
  }
};

struct DequantizeSemantics
    : InterpretOpInterface::ExternalModel<DequantizeSemantics, DequantizeOp> {
  LogicalResult interpret(Operation *operation, InterpretFrame &frame) const {
    auto op = cast<DequantizeOp>(operation);
    const HostTensor &codes = frame.get(op.getCodes()),
                     &scales = frame.get(op.getScales());
    int64_t width = codes.getShape().back(), groups = scales.getShape().back();
    HostTensor x = frame.create(op.getResult(), codes.getShape());
    for (int64_t row = 0, rows = x.getNumElements() / width; row < rows; ++row)
      reference::dequantize(codes.floats().slice(row * width, width),
                            scales.floats().slice(row * groups, groups),
                            op.getBlock(),
                            x.floats().slice(row * width, width));
    return success();
  }
};

} // namespace

void ::varve::registerLinearSemantics(MLIRContext &context) {
  RmsNormOp::attachInterface<RmsNormSemantics>(context);
  LinearOp::attachInterface<LinearSemantics>(context);
  GroupedLinearOp::attachInterface<GroupedLinearSemantics>(context);
  RopeOp::attachInterface<RopeSemantics>(context);
  HadamardOp::attachInterface<HadamardSemantics>(context);
  QuantizeOp::attachInterface<QuantizeSemantics>(context);
  DequantizeOp::attachInterface<DequantizeSemantics>(context);
}
