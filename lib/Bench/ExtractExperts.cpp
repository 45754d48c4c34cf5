//===- ExtractExperts.cpp - The experts of one layer alone ----------------===//

#include "lib/Bench/ExtractExperts.h"

#include "dialects/Varve/Varve.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/MapVector.h"

using namespace mlir;
using namespace mlir::varve;
using ::varve::ExpertsSizes;
using ::varve::ExtractedExperts;

namespace {

/// The kernels of one layer's experts and the ops in them.
struct ExpertsKernels {
  SmallVector<KernelOp> kernels;
  SmallVector<ExpertsOp> products;
  SwigluOp swiglu;
};

} // namespace

/// Those of one function.
static ExpertsKernels collect(func::FuncOp layer) {
  ExpertsKernels found;
  layer.walk([&](KernelOp kernel) {
    auto products = kernel.getBody().getOps<ExpertsOp>();
    if (products.empty())
      return;
    found.kernels.push_back(kernel);
    llvm::append_range(found.products, products);
  });
  // Shared experts have an activation, too.
  for (ExpertsOp product : found.products)
    for (Operation *user : product.getResult().getUsers())
      if (auto swiglu = dyn_cast<SwigluOp>(user))
        found.swiglu = swiglu;
  return found;
}

/// What comes from outside of the kernels, in the order of first use.
static llvm::MapVector<Value, StringRef> findInputs(ExpertsKernels &found) {
  llvm::MapVector<Value, StringRef> inputs;
  auto isOutside = [&](Value value) {
    Operation *source = value.getDefiningOp();
    return !isa_and_nonnull<WeightOp>(source) &&
           llvm::none_of(found.kernels, [&](KernelOp kernel) {
             return source &&
                    (source == kernel || kernel->isProperAncestor(source));
           });
  };
  auto add = [&](Value value, StringRef name) {
    if (value && isOutside(value))
      inputs.insert({value, name});
  };
  for (ExpertsOp product : found.products) {
    add(product.getX(), "x");
    add(product.getXScale(), "x_scale");
    add(product.getIds(), "ids");
  }
  add(found.swiglu.getWeights(), "weights");
  return inputs;
}

static int64_t getBytes(Value tensor) {
  auto type = tensor ? cast<RankedTensorType>(tensor.getType()) : nullptr;
  return type ? type.getNumElements() *
                    type.getElementType().getIntOrFloatBitWidth() / 8
              : 0;
}

static ExpertsSizes measure(ExpertsKernels &found) {
  ExpertsSizes sizes;
  auto shape = cast<RankedTensorType>(found.swiglu.getGate()
                                          .getDefiningOp<ExpertsOp>()
                                          .getWeight()
                                          .getType())
                   .getShape();
  sizes.experts = shape[0], sizes.inner = shape[1], sizes.hidden = shape[2];
  ExpertsOp first = found.products.front();
  sizes.active = cast<RankedTensorType>(first.getIds().getType()).getDimSize(1);
  sizes.limit = found.swiglu.getLimit().convertToDouble();
  for (ExpertsOp product : found.products)
    sizes.expertBytes +=
        (getBytes(product.getWeight()) + getBytes(product.getWeightScale())) /
        sizes.experts;
  return sizes;
}

namespace varve {
FailureOr<ExtractedExperts> extractExperts(ModuleOp model) {
  ExpertsKernels found;
  for (auto layer : model.getOps<func::FuncOp>()) {
    found = collect(layer);
    if (!found.kernels.empty())
      break;
  }
  if (found.products.size() != 3 || !found.swiglu)
    return model.emitError("expected a layer with two products of experts, the "
                           "activation of their results, and a third product");
  OpBuilder builder(model.getContext());
  ExtractedExperts result;
  result.sizes = measure(found);
  result.module = ModuleOp::create(model.getLoc());
  (*result.module)->setAttrs(model->getAttrDictionary());
  builder.setInsertionPointToEnd(result.module->getBody());

  llvm::MapVector<Value, StringRef> inputs = findInputs(found);
  Value last = found.kernels.back().getResult(0);
  SmallVector<Type> types;
  for (auto [value, name] : inputs)
    types.push_back(value.getType());
  auto function = func::FuncOp::create(
      builder, found.kernels.front().getLoc(), kExpertsFunctionName,
      builder.getFunctionType(types, last.getType()));
  builder.setInsertionPointToEnd(function.addEntryBlock());
  IRMapping mapping;
  for (auto [input, argument] :
       llvm::zip_equal(inputs, function.getArguments())) {
    argument.setLoc(NameLoc::get(builder.getStringAttr(input.second)));
    mapping.map(input.first, argument);
  }
  for (KernelOp kernel : found.kernels) {
    kernel.walk([&](Operation *op) {
      for (Value operand : op->getOperands())
        if (auto weight = operand.getDefiningOp<WeightOp>();
            weight && !mapping.contains(operand))
          builder.clone(*weight, mapping);
    });
    builder.clone(*kernel, mapping);
  }
  func::ReturnOp::create(builder, function.getLoc(), mapping.lookup(last));
  return result;
}
} // namespace varve
