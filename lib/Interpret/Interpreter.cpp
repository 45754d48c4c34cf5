//===- Interpreter.cpp - The reference interpreter ------------------------===//

#include "lib/Interpret/Interpreter.h"
#include "lib/Interpret/InterpretFrame.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::varve;
using ::varve::HostTensor;
using ::varve::Interpreter;

/// Decoding a small model's weights once makes it quick enough to generate
/// text; a large model's would not fit.
static constexpr int64_t kDecodedElementBudget = int64_t(1) << 28; // 1 GiB

void ::varve::registerInterpretModels(DialectRegistry &registry) {
  registry.addExtension(+[](MLIRContext *context, VarveDialect *) {
    registerStreamSemantics(*context);
    registerLinearSemantics(*context);
    registerAttentionSemantics(*context);
    registerExpertSemantics(*context);
  });
}

Interpreter::Interpreter(ModuleOp module, const WeightSource &weights)
    : module(module), weights(weights) {}

static ::varve::WeightType weightTypeOf(Type type) {
  using ::varve::WeightType;
  return llvm::TypeSwitch<Type, WeightType>(type)
      .Case<Float32Type>([](Type) { return WeightType::F32; })
      .Case<BFloat16Type>([](Type) { return WeightType::BF16; })
      .Case<Float16Type>([](Type) { return WeightType::F16; })
      .Case<Float8E4M3FNType>([](Type) { return WeightType::F8E4M3; })
      .Case<Float8E8M0FNUType>([](Type) { return WeightType::F8E8M0; })
      .Case<Float4E2M1FNType>([](Type) { return WeightType::F4E2M1; })
      .Default([](Type t) {
        return t.isInteger(64) ? WeightType::I64 : WeightType::I32;
      });
}

FailureOr<HostTensor> Interpreter::openWeight(WeightOp op) {
  auto known = openWeights.find(op.getName());
  if (known != openWeights.end())
    return known->second;
  auto type = cast<RankedTensorType>(op.getType());
  auto weight = weights.open(op.getName(), weightTypeOf(type.getElementType()),
                             type.getShape());
  if (!weight) {
    op.emitError() << llvm::toString(weight.takeError());
    return failure();
  }
  HostTensor tensor = HostTensor::ofWeight(type.getElementType(),
                                           type.getShape(), std::move(*weight));
  int64_t elements = tensor.getNumElements();
  if (isa<FloatType>(type.getElementType()) &&
      decodedElements + elements <= kDecodedElementBudget) {
    tensor = tensor.decoded();
    decodedElements += elements;
  }
  return openWeights[op.getName()] = tensor;
}

/// The name that the import gave to an op; empty for others.
static StringRef nameOf(Operation &op) {
  if (auto loc = dyn_cast<NameLoc>(op.getLoc()))
    return loc.getName();
  return "";
}

void Interpreter::finish(Operation &op, InterpretFrame &frame) {
  for (OpResult result : op.getResults()) {
    HostTensor value = frame.get(result);
    roundToElementType(value);
    if (!hook)
      continue;
    hook(nameOf(op), result.getResultNumber(), value);
    frame.set(result, value);
  }
}

/// Whether the operand is a weight, whose rows do not stand for tokens.
static bool isWeight(Operation &op, Value value) {
  auto isOneOf = [&](auto... weights) { return ((value == weights) || ...); };
  return llvm::TypeSwitch<Operation *, bool>(&op)
      .Case<LinearOp, GroupedLinearOp, ExpertsOp>(
          [&](auto o) { return isOneOf(o.getWeight(), o.getWeightScale()); })
      .Case<StreamProjectOp>(
          [&](auto o) { return isOneOf(o.getFn(), o.getBase(), o.getScale()); })
      .Case<EmbedOp, RouteHashOp>([&](auto o) { return isOneOf(o.getTable()); })
      .Case<CompressOp, RouteTopkOp>(
          [&](auto o) { return isOneOf(o.getBias()); })
      .Case<RmsNormOp>([&](auto o) { return isOneOf(o.getWeight()); })
      .Case<SparseAttentionOp>([&](auto o) { return isOneOf(o.getSink()); })
      .Default(false);
}

/// Types need not say how many rows operands have, so it is checked here that
/// they have equally many; in a module from the import they do.
static LogicalResult checkRows(Operation &op, const InterpretFrame &frame) {
  // Its two operands are a table and the rows to take from it.
  if (isa<TakeOp>(op))
    return success();
  std::optional<std::pair<unsigned, int64_t>> first;
  for (OpOperand &operand : op.getOpOperands()) {
    if (isWeight(op, operand.get()))
      continue;
    int64_t rows = frame.get(operand.get()).getNumRows();
    unsigned number = operand.getOperandNumber();
    if (!first)
      first = {number, rows};
    else if (rows != first->second)
      return op.emitOpError()
             << "expected operands of equally many rows but got "
             << first->second << " (operand " << first->first << ") and "
             << rows << " (operand " << number << ")";
  }
  return success();
}

LogicalResult Interpreter::interpretCall(func::CallOp call,
                                         InterpretFrame &frame) {
  std::vector<HostTensor> arguments;
  for (Value operand : call.getOperands())
    arguments.push_back(frame.get(operand));
  auto results = this->call(call.getCallee(), arguments);
  if (failed(results))
    return failure();
  for (auto [result, value] : llvm::zip_equal(call.getResults(), *results))
    frame.set(result, value);
  return success();
}

LogicalResult Interpreter::interpret(Operation &op, InterpretFrame &frame) {
  if (auto call = dyn_cast<func::CallOp>(op))
    return interpretCall(call, frame);
  if (auto weight = dyn_cast<WeightOp>(op)) {
    FailureOr<HostTensor> tensor = openWeight(weight);
    if (failed(tensor))
      return failure();
    frame.set(weight, *tensor);
    return success();
  }
  auto model = dyn_cast<InterpretOpInterface>(op);
  if (!model)
    return op.emitOpError() << "has no reference semantics";
  if (failed(checkRows(op, frame)))
    return failure();
  if (failed(model.interpret(frame)))
    return failure();
  finish(op, frame);
  return success();
}

FailureOr<std::vector<HostTensor>>
Interpreter::call(StringRef name, ArrayRef<HostTensor> arguments) {
  auto function = module.lookupSymbol<func::FuncOp>(name);
  if (!function || function.isExternal()) {
    module.emitError() << "expected a function @" << name << " with a body";
    return failure();
  }
  if (!function.getBody().hasOneBlock()) {
    function.emitError()
        << "expected a body of one block, without control flow";
    return failure();
  }
  VARVE_ASSERT(function.getNumArguments() == arguments.size(),
               "a call passes as many arguments as the function takes");
  // Without control flow it would never return.
  if (llvm::is_contained(active, function)) {
    function.emitError() << "expected @" << name << " not to call itself";
    return failure();
  }
  active.push_back(function);
  auto results = execute(function, arguments);
  active.pop_back();
  return results;
}

FailureOr<std::vector<HostTensor>>
Interpreter::execute(func::FuncOp function, ArrayRef<HostTensor> arguments) {
  InterpretFrame frame(pools);
  for (auto [argument, value] :
       llvm::zip_equal(function.getArguments(), arguments))
    frame.set(argument, value);
  Block &body = function.getBody().front();
  for (Operation &op : body.without_terminator())
    if (failed(interpret(op, frame)))
      return failure();
  std::vector<HostTensor> results;
  for (Value operand : body.getTerminator()->getOperands())
    results.push_back(frame.get(operand));
  return results;
}
