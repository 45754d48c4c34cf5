//===- StreamSemantics.cpp - Embedding and residual streams ---------------===//

#include "lib/Interpret/InterpretFrame.h"
#include "lib/Interpret/Reference/Streams.h"
#include "llvm/Support/Parallel.h"

using namespace mlir;
using namespace mlir::varve;
using ::varve::HostTensor;
namespace reference = ::varve::reference;

namespace {

struct EmbedSemantics
    : InterpretOpInterface::ExternalModel<EmbedSemantics, EmbedOp> {
  LogicalResult interpret(Operation *operation, InterpretFrame &frame) const {
    auto op = cast<EmbedOp>(operation);
    const HostTensor &ids = frame.get(op.getIds()),
                     &table = frame.get(op.getTable());
    int64_t T = ids.getNumRows(), V = table.getDim(0), D = table.getDim(1);
    HostTensor y = frame.create(op.getResult(), {T, D});
    std::vector<float> scratch;
    for (int64_t t = 0; t < T; ++t) {
      int64_t id = ids.numbers()[t];
      if (id < 0 || id >= V)
        return op.emitOpError()
               << "expected token ids below the vocabulary of " << V
               << " but got " << id << " (token " << t << ")";
      llvm::copy(table.innerRow(id, scratch), y.row(t).begin());
    }
    return success();
  }
};

struct StreamExpandSemantics
    : InterpretOpInterface::ExternalModel<StreamExpandSemantics,
                                          StreamExpandOp> {
  LogicalResult interpret(Operation *operation, InterpretFrame &frame) const {
    auto op = cast<StreamExpandOp>(operation);
    const HostTensor &x = frame.get(op.getX());
    int64_t T = x.getDim(0), D = x.getDim(1);
    int64_t n = cast<RankedTensorType>(op.getType()).getDimSize(1);
    HostTensor X = frame.create(op.getResult(), {T, n, D});
    for (int64_t t = 0; t < T; ++t)
      for (int64_t j = 0; j < n; ++j)
        llvm::copy(x.row(t), X.row(t).slice(j * D, D).begin());
    return success();
  }
};

struct StreamProjectSemantics
    : InterpretOpInterface::ExternalModel<StreamProjectSemantics,
                                          StreamProjectOp> {
  LogicalResult interpret(Operation *operation, InterpretFrame &frame) const {
    auto op = cast<StreamProjectOp>(operation);
    const HostTensor &X = frame.get(op.getStreams());
    int64_t T = X.getDim(0), n = X.getDim(1);
    std::vector<float> fn = frame.get(op.getFn()).allFloats();
    std::vector<float> base = frame.get(op.getBase()).allFloats();
    std::vector<float> scale = frame.get(op.getScale()).allFloats();
    float normEps = op.getNormEps().convertToDouble(),
          eps = op.getEps().convertToDouble();
    HostTensor pre = frame.create(op.getPre(), {T, n}), post, logits;
    if (op.getPost())
      post = frame.create(op.getPost(), {T, n});
    if (op.getLogits())
      logits = frame.create(op.getLogits(), {T, n, n});
    llvm::parallelFor(0, T, [&](size_t t) {
      reference::StreamCoefficients result;
      result.pre = pre.row(t);
      if (op.getPost()) {
        result.post = post.row(t);
        result.logits = logits.row(t);
      }
      reference::streamProject(X.row(t), {fn, base, scale}, normEps, eps,
                               result);
    });
    return success();
  }
};

struct SinkhornSemantics
    : InterpretOpInterface::ExternalModel<SinkhornSemantics, SinkhornOp> {
  LogicalResult interpret(Operation *operation, InterpretFrame &frame) const {
    auto op = cast<SinkhornOp>(operation);
    const HostTensor &logits = frame.get(op.getLogits());
    int64_t n = logits.getShape().back();
    HostTensor C = frame.create(op.getResult(), logits.getShape());
    llvm::copy(logits.floats(), C.floats().begin());
    for (int64_t i = 0, count = C.getNumElements() / (n * n); i < count; ++i)
      reference::sinkhorn(C.floats().slice(i * n * n, n * n), n,
                          op.getIterations(), op.getEps().convertToDouble());
    return success();
  }
};

struct StreamCollapseSemantics
    : InterpretOpInterface::ExternalModel<StreamCollapseSemantics,
                                          StreamCollapseOp> {
  LogicalResult interpret(Operation *operation, InterpretFrame &frame) const {
    auto op = cast<StreamCollapseOp>(operation);
    const HostTensor &X = frame.get(op.getStreams()),
                     &pre = frame.get(op.getPre());
    HostTensor x = frame.create(op.getResult(), {X.getDim(0), X.getDim(2)});
    for (int64_t t = 0; t < X.getNumRows(); ++t)
      reference::streamCollapse(pre.row(t), X.row(t), x.row(t));
    return success();
  }
};

struct StreamMixSemantics
    : InterpretOpInterface::ExternalModel<StreamMixSemantics, StreamMixOp> {
  LogicalResult interpret(Operation *operation, InterpretFrame &frame) const {
    auto op = cast<StreamMixOp>(operation);
    const HostTensor &y = frame.get(op.getY()), &X = frame.get(op.getStreams());
    const HostTensor &post = frame.get(op.getPost()),
                     &comb = frame.get(op.getComb());
    HostTensor result = frame.create(op.getResult(), X.getShape());
    for (int64_t t = 0; t < X.getNumRows(); ++t)
      reference::streamMix(y.row(t), X.row(t), post.row(t), comb.row(t),
                           result.row(t));
    return success();
  }
};

struct TakeSemantics
    : InterpretOpInterface::ExternalModel<TakeSemantics, TakeOp> {
  LogicalResult interpret(Operation *operation, InterpretFrame &frame) const {
    auto op = cast<TakeOp>(operation);
    const HostTensor &x = frame.get(op.getX()), &rows = frame.get(op.getRows());
    SmallVector<int64_t> shape(x.getShape());
    shape[0] = rows.getNumRows();
    HostTensor y = frame.create(op.getResult(), shape);
    for (int64_t i = 0; i < shape[0]; ++i) {
      int64_t row = rows.numbers()[i];
      if (row < 0 || row >= x.getNumRows())
        return op.emitOpError() << "expected row numbers below "
                                << x.getNumRows() << " but got " << row;
      llvm::copy(x.row(row), y.row(i).begin());
    }
    return success();
  }
};

} // namespace

void ::varve::registerStreamSemantics(MLIRContext &context) {
  EmbedOp::attachInterface<EmbedSemantics>(context);
  StreamExpandOp::attachInterface<StreamExpandSemantics>(context);
  StreamProjectOp::attachInterface<StreamProjectSemantics>(context);
  SinkhornOp::attachInterface<SinkhornSemantics>(context);
  StreamCollapseOp::attachInterface<StreamCollapseSemantics>(context);
  StreamMixOp::attachInterface<StreamMixSemantics>(context);
  TakeOp::attachInterface<TakeSemantics>(context);
}
