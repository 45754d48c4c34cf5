//===- ExpertSemantics.cpp - Routing, experts, sampling -------------------===//

#include "lib/Interpret/InterpretFrame.h"
#include "lib/Interpret/MatrixOperand.h"
#include "lib/Interpret/Reference/Experts.h"
#include "lib/Interpret/Reference/Select.h"
#include "llvm/Support/Parallel.h"
#include <map>

using namespace mlir;
using namespace mlir::varve;
using ::varve::HostTensor;
using ::varve::MatrixOperand;
using ::varve::RowOperand;
namespace reference = ::varve::reference;

static reference::Scoring scoringOf(Scoring scoring) {
  switch (scoring) {
  case Scoring::SqrtSoftplus:
    return reference::Scoring::SqrtSoftplus;
  case Scoring::Sigmoid:
    return reference::Scoring::Sigmoid;
  case Scoring::Softmax:
    return reference::Scoring::Softmax;
  }
  llvm_unreachable("every scoring has a reference");
}

namespace {

struct RouteTopkSemantics
    : InterpretOpInterface::ExternalModel<RouteTopkSemantics, RouteTopkOp> {
  LogicalResult interpret(Operation *operation, InterpretFrame &frame) const {
    auto op = cast<RouteTopkOp>(operation);
    const HostTensor &logits = frame.get(op.getLogits());
    int64_t T = logits.getDim(0), A = op.getActive();
    std::vector<float> bias;
    if (op.getBias())
      bias = frame.get(op.getBias()).allFloats();
    HostTensor ids =
        frame.createNumbers(op.getIds(), {T, A}, std::vector<int32_t>(T * A));
    HostTensor weights = frame.create(op.getWeights(), {T, A});
    reference::RouteOptions options = {
        op.getNormalize(), static_cast<float>(op.getScale().convertToDouble())};
    std::vector<float> a(logits.getDim(1));
    for (int64_t t = 0; t < T; ++t) {
      reference::routeScore(logits.row(t), scoringOf(op.getScoring()), a);
      reference::routeTopk(a, bias, options, ids.numbers().slice(t * A, A),
                           weights.row(t));
    }
    return success();
  }
};

struct RouteHashSemantics
    : InterpretOpInterface::ExternalModel<RouteHashSemantics, RouteHashOp> {
  LogicalResult interpret(Operation *operation, InterpretFrame &frame) const {
    auto op = cast<RouteHashOp>(operation);
    const HostTensor &logits = frame.get(op.getLogits());
    const HostTensor &tokens = frame.get(op.getTokenIds()),
                     &table = frame.get(op.getTable());
    int64_t T = logits.getDim(0), X = logits.getDim(1), A = table.getDim(1);
    HostTensor ids =
        frame.createNumbers(op.getIds(), {T, A}, std::vector<int32_t>(T * A));
    HostTensor weights = frame.create(op.getWeights(), {T, A});
    reference::RouteOptions options = {
        op.getNormalize(), static_cast<float>(op.getScale().convertToDouble())};
    std::vector<float> a(X);
    std::vector<int64_t> named(A);
    for (int64_t t = 0; t < T; ++t) {
      int64_t token = tokens.numbers()[t];
      if (token < 0 || token >= table.getDim(0))
        return op.emitOpError()
               << "expected token ids below " << table.getDim(0) << " but got "
               << token << " (token " << t << ")";
      table.readInnerRow(token, named);
      for (auto [i, expert] : llvm::enumerate(named)) {
        if (expert < 0 || expert >= X)
          return op.emitOpError() << "expected experts below " << X
                                  << " in the routing table but got " << expert
                                  << " (token id " << token << ")";
        ids.numbers()[t * A + i] = expert;
      }
      reference::routeScore(logits.row(t), scoringOf(op.getScoring()), a);
      reference::routeWeights(a, ids.numbers().slice(t * A, A), options,
                              weights.row(t));
    }
    return success();
  }
};

struct ExpertsSemantics
    : InterpretOpInterface::ExternalModel<ExpertsSemantics, ExpertsOp> {
  LogicalResult interpret(Operation *operation, InterpretFrame &frame) const {
    auto op = cast<ExpertsOp>(operation);
    RowOperand x(frame, op.getX(), op.getXScale(), op.getXBlock());
    MatrixOperand w(frame, op.getWeight(), op.getWeightScale(),
                    op.getWeightBlock());
    const HostTensor &ids = frame.get(op.getIds());
    int64_t T = ids.getDim(0), A = ids.getDim(1), N = w.getNumRows();
    bool perExpert = cast<RankedTensorType>(op.getX().getType()).getRank() == 3;
    HostTensor y = frame.create(op.getResult(), {T, A, N});
    // Each expert's rows are decoded once, whatever the number of its tokens.
    int64_t X = cast<RankedTensorType>(op.getWeight().getType()).getDimSize(0);
    std::map<int32_t, SmallVector<int64_t>> uses;
    for (int64_t i = 0; i < T * A; ++i) {
      int32_t expert = ids.numbers()[i];
      if (expert < 0 || expert >= X)
        return op.emitOpError() << "expected experts below " << X << " but got "
                                << expert << " (token " << i / A << ")";
      uses[expert].push_back(i);
    }
    for (const auto &use : uses) {
      int32_t expert = use.first;
      ArrayRef<int64_t> places = use.second;
      llvm::parallelFor(0, N, [&](size_t n) {
        std::vector<float> scratch;
        reference::ScaledRow row = w.rowFor(x, n, scratch, expert);
        for (int64_t place : places) {
          int64_t t = place / A, a = place % A;
          reference::ScaledRow xRow =
              perExpert ? x.groupRow(t, a, A) : x.row(t);
          y.floats()[place * N + n] = reference::dotScaled(xRow, row);
        }
      });
    }
    return success();
  }
};

struct SwigluSemantics
    : InterpretOpInterface::ExternalModel<SwigluSemantics, SwigluOp> {
  LogicalResult interpret(Operation *operation, InterpretFrame &frame) const {
    auto op = cast<SwigluOp>(operation);
    const HostTensor &gate = frame.get(op.getGate()),
                     &up = frame.get(op.getUp());
    HostTensor v = frame.create(op.getResult(), gate.getShape());
    int64_t width = gate.getShape().back();
    for (int64_t row = 0, rows = gate.getNumElements() / width; row < rows;
         ++row) {
      std::optional<float> weight;
      if (op.getWeights())
        weight = frame.get(op.getWeights()).floats()[row];
      reference::swiglu(gate.floats().slice(row * width, width),
                        up.floats().slice(row * width, width),
                        op.getLimit().convertToDouble(), weight,
                        v.floats().slice(row * width, width));
    }
    return success();
  }
};

struct CombineSemantics
    : InterpretOpInterface::ExternalModel<CombineSemantics, CombineOp> {
  LogicalResult interpret(Operation *operation, InterpretFrame &frame) const {
    auto op = cast<CombineOp>(operation);
    const HostTensor &x = frame.get(op.getX()), &ids = frame.get(op.getIds());
    int64_t T = x.getDim(0), A = x.getDim(1), D = x.getDim(2);
    HostTensor y = frame.create(op.getResult(), {T, D});
    for (int64_t t = 0; t < T; ++t) {
      SmallVector<ArrayRef<float>> experts;
      for (int64_t a = 0; a < A; ++a)
        experts.push_back(x.row(t).slice(a * D, D));
      ArrayRef<float> shared;
      if (op.getShared())
        shared = frame.get(op.getShared()).row(t);
      reference::combine(experts, ids.numbers().slice(t * A, A), shared,
                         y.row(t));
    }
    return success();
  }
};

struct SampleSemantics
    : InterpretOpInterface::ExternalModel<SampleSemantics, SampleOp> {
  LogicalResult interpret(Operation *operation, InterpretFrame &frame) const {
    auto op = cast<SampleOp>(operation);
    const HostTensor &logits = frame.get(op.getLogits());
    double temperature = op.getTemperature().convertToDouble();
    std::vector<int32_t> ids;
    for (int64_t i = 0; i < logits.getNumRows(); ++i)
      ids.push_back(
          temperature == 0.0
              ? reference::sampleGreedy(logits.row(i))
              : reference::sampleTopP(logits.row(i), temperature,
                                      op.getTopP().convertToDouble(),
                                      frame.get(op.getUniform()).floats()[i]));
    frame.createNumbers(op.getIds(), {logits.getNumRows()}, std::move(ids));
    return success();
  }
};

} // namespace

void ::varve::registerExpertSemantics(MLIRContext &context) {
  RouteTopkOp::attachInterface<RouteTopkSemantics>(context);
  RouteHashOp::attachInterface<RouteHashSemantics>(context);
  ExpertsOp::attachInterface<ExpertsSemantics>(context);
  SwigluOp::attachInterface<SwigluSemantics>(context);
  CombineOp::attachInterface<CombineSemantics>(context);
  SampleOp::attachInterface<SampleSemantics>(context);
}
