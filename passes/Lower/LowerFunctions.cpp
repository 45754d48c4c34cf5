//===- LowerFunctions.cpp - Model functions as plans ----------------------===//

#include "passes/Lower/FunctionLowering.h"
#include "varve/Support/Assert.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::varve;
using plan::DeviceTensorType;

namespace {

class FunctionLowering {
public:
  FunctionLowering(func::FuncOp source,
                   const llvm::StringMap<KernelSignature> &kernels)
      : source(source), kernels(kernels), builder(source.getContext()) {}

  LogicalResult run();

private:
  LogicalResult makeFunction();
  void nameArguments();
  LogicalResult lower(Operation &op);
  /// Memory for a result: the function's output if it returns the value.
  Value getDestination(Value result, DeviceTensorType type);
  Value getInput(StepInput input) {
    return target.getBody().front().getArgument(source.getNumArguments() +
                                                static_cast<unsigned>(input));
  }
  void lowerLaunch(LaunchOp launch);
  void lowerCall(func::CallOp call);

  func::FuncOp source;
  plan::FuncOp target;
  const llvm::StringMap<KernelSignature> &kernels;
  OpBuilder builder;
  DenseMap<Value, Value> memories;
  DenseMap<Value, Value> outputs;
};

} // namespace

static plan::DeviceTensorType getArgumentPlanType(func::FuncOp function,
                                                  unsigned i) {
  return getPlanType(cast<RankedTensorType>(function.getArgumentTypes()[i]),
                     function.getArgAttr(i, kLogitRowsAttrName) != nullptr);
}

static plan::DeviceTensorType getResultPlanType(func::FuncOp function,
                                                unsigned i) {
  return getPlanType(cast<RankedTensorType>(function.getResultTypes()[i]),
                     function.getResultAttr(i, kLogitRowsAttrName) != nullptr);
}

LogicalResult FunctionLowering::makeFunction() {
  SmallVector<Type> types;
  for (unsigned i = 0; i < source.getNumArguments(); ++i)
    types.push_back(getArgumentPlanType(source, i));
  for (unsigned i = 0; i < kNumStepInputs; ++i)
    types.push_back(
        getStepInputType(source.getContext(), static_cast<StepInput>(i)));
  for (unsigned i = 0; i < source.getNumResults(); ++i)
    types.push_back(getResultPlanType(source, i));

  builder.setInsertionPoint(source);
  bool isPublic = source.isPublic();
  target = plan::FuncOp::create(
      builder, source.getLoc(), source.getSymNameAttr(),
      TypeAttr::get(builder.getFunctionType(types, {})),
      isPublic ? StringAttr() : builder.getStringAttr("private"), ArrayAttr(),
      ArrayAttr());
  Block &body = target.getBody().emplaceBlock();
  for (Type type : types)
    body.addArgument(type, source.getLoc());
  if (isPublic)
    nameArguments();

  for (BlockArgument argument : source.getArguments())
    memories[argument] = body.getArgument(argument.getArgNumber());
  Operation *end = source.getBody().front().getTerminator();
  for (auto [i, value] : llvm::enumerate(end->getOperands())) {
    Value output =
        body.getArgument(source.getNumArguments() + kNumStepInputs + i);
    if (isa<BlockArgument>(value) || !outputs.try_emplace(value, output).second)
      return end->emitOpError()
             << "expected to return different computed values, but result " << i
             << " is an argument or returned before";
  }
  builder.setInsertionPointToEnd(&body);
  return success();
}

void FunctionLowering::nameArguments() {
  static constexpr StringLiteral stepNames[] = {"ids", "positions", "slots",
                                                "logit_rows"};
  bool isStep = source.getSymName() == "step" && source.getNumArguments() == 4;
  auto name = [&](unsigned i, const Twine &text) {
    target.setArgAttr(i, plan::FuncOp::kName, builder.getStringAttr(text));
  };
  unsigned next = 0;
  for (BlockArgument argument : source.getArguments()) {
    auto loc = dyn_cast<NameLoc>(argument.getLoc());
    if (isStep)
      name(next, stepNames[next]);
    else if (loc)
      name(next, loc.getName().getValue());
    else
      name(next, "arg" + Twine(next));
    ++next;
  }
  for (unsigned i = 0; i < kNumStepInputs; ++i)
    name(next++, getStepInputName(static_cast<StepInput>(i)));
  for (unsigned i = 0; i < source.getNumResults(); ++i) {
    if (auto given = source.getResultAttrOfType<StringAttr>(i, kPortAttrName))
      name(next, given.getValue());
    else
      name(next, isStep ? Twine("logits") : "out" + Twine(i));
    target.setArgAttr(next++, plan::FuncOp::kOutput, builder.getUnitAttr());
  }
}

Value FunctionLowering::getDestination(Value result, DeviceTensorType type) {
  Value memory = outputs.lookup(result);
  if (!memory)
    memory = plan::AllocOp::create(builder, result.getLoc(), type,
                                   /*storage=*/IntegerAttr());
  memories[result] = memory;
  return memory;
}

void FunctionLowering::lowerLaunch(LaunchOp launch) {
  auto it = kernels.find(launch.getKernel());
  VARVE_ASSERT(it != kernels.end(), "launches were verified");
  const KernelSignature &signature = it->second;
  plan::FuncOp kernel = signature.function;
  SmallVector<Value> arguments;
  for (Value operand : launch.getOperands())
    arguments.push_back(memories.lookup(operand));
  for (Value result : launch.getResults())
    arguments.push_back(getDestination(
        result,
        cast<DeviceTensorType>(kernel.getArgumentTypes()[arguments.size()])));
  for (const KernelExtra &extra : signature.extras) {
    if (extra.input) {
      arguments.push_back(getInput(*extra.input));
      continue;
    }
    auto pool = cast<FlatSymbolRefAttr>(launch.getPools()[extra.pool]);
    arguments.push_back(plan::PoolMemoryOp::create(
        builder, launch.getLoc(), extra.type, pool,
        extra.offset ? plan::LinearAttr::get(builder.getContext(), extra.offset)
                     : plan::LinearAttr()));
  }
  plan::CallOp::create(builder, launch.getLoc(),
                       FlatSymbolRefAttr::get(kernel.getSymNameAttr()),
                       arguments);
}

void FunctionLowering::lowerCall(func::CallOp call) {
  // Not by the symbol table: plans of the same names are there by now.
  auto functions = source->getParentOfType<ModuleOp>().getOps<func::FuncOp>();
  func::FuncOp callee = *llvm::find_if(functions, [&](func::FuncOp function) {
    return function.getSymName() == call.getCallee();
  });
  SmallVector<Value> arguments;
  for (Value operand : call.getOperands())
    arguments.push_back(memories.lookup(operand));
  for (unsigned i = 0; i < kNumStepInputs; ++i)
    arguments.push_back(getInput(static_cast<StepInput>(i)));
  for (OpResult result : call.getResults())
    arguments.push_back(getDestination(
        result, getResultPlanType(callee, result.getResultNumber())));
  plan::CallOp::create(builder, call.getLoc(), call.getCalleeAttr(), arguments);
}

LogicalResult FunctionLowering::lower(Operation &op) {
  return llvm::TypeSwitch<Operation *, LogicalResult>(&op)
      .Case([&](WeightOp op) {
        memories[op.getResult()] = plan::WeightOp::create(
            builder, op.getLoc(),
            getPlanType(cast<RankedTensorType>(op.getType()), false),
            op.getNameAttr());
        return success();
      })
      .Case([&](LaunchOp op) { return lowerLaunch(op), success(); })
      .Case([&](func::CallOp op) { return lowerCall(op), success(); })
      .Default([](Operation *op) {
        return op->emitOpError(
            "expected weights, launches and calls in a scheduled function");
      });
}

LogicalResult FunctionLowering::run() {
  if (failed(makeFunction()))
    return failure();
  for (Operation &op : source.getBody().front().without_terminator())
    if (failed(lower(op)))
      return failure();
  plan::ReturnOp::create(builder, source.getLoc());
  return success();
}

LogicalResult
mlir::varve::lowerFunction(func::FuncOp function,
                           const llvm::StringMap<KernelSignature> &kernels) {
  return FunctionLowering(function, kernels).run();
}
