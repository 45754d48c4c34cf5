//===- CompileKernels.cpp - Benchmark kernels for a target ----------------===//

#include "lib/Bench/CompileKernels.h"

#include "dialects/Tile/Tile.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "passes/Engine/Nvidia/Abi.h"
#include "passes/Engine/Nvidia/Passes.h"
#include "passes/Tile/Passes.h"
#include "varve/Support/Assert.h"

using namespace mlir;

namespace varve {

static int64_t getNumber(Operation *op, StringRef name) {
  return op->getAttrOfType<IntegerAttr>(name).getInt();
}

static llvm::json::Array getArray(ArrayRef<int64_t> values) {
  llvm::json::Array array;
  for (int64_t value : values)
    array.push_back(value);
  return array;
}

/// The blocks along each axis, or null for one per place on the device.
static llvm::json::Value getGrid(const BenchKernel &kernel,
                                 LLVM::LLVMFuncOp function) {
  auto map = function->getAttrOfType<AffineMapAttr>(nvidia::kGridAttrName);
  auto sizes = function->getAttrOfType<ArrayAttr>(nvidia::kSizesAttrName);
  Builder builder(function.getContext());
  SmallVector<Attribute> values, grid;
  for (auto size : sizes.getAsRange<mlir::varve::tile::SizeAttr>()) {
    if (size.getKind() != mlir::varve::tile::SizeKind::Dim)
      return nullptr;
    values.push_back(builder.getI64IntegerAttr(
        kernel.arguments[size.getArgument()].sizes[size.getDim()]));
  }
  [[maybe_unused]] LogicalResult folded =
      map.getValue().constantFold(values, grid);
  VARVE_ASSERT(succeeded(folded), "a grid of numbers is numbers");
  llvm::json::Array result;
  for (Attribute blocks : grid)
    result.push_back(cast<IntegerAttr>(blocks).getInt());
  return result;
}

static llvm::json::Object describeLaunch(const BenchKernel &kernel,
                                         LLVM::LLVMFuncOp function) {
  llvm::json::Object launch;
  launch["function"] = kernel.function;
  launch["grid"] = getGrid(kernel, function);
  launch["threads"] = getNumber(function, nvidia::kThreadsAttrName);
  launch["shared_bytes"] = getNumber(function, nvidia::kSharedBytesAttrName);
  launch["blocks_per_multiprocessor"] =
      getNumber(function, nvidia::kBlocksPerMultiprocessorAttrName);
  llvm::json::Array arguments, maps;
  for (const BenchArgument &argument : kernel.arguments) {
    llvm::json::Object entry;
    entry["name"] = argument.name;
    entry["element"] = argument.element;
    entry["kind"] = argument.sizes.empty() ? "scalar" : "view";
    entry["sizes"] = getArray(argument.sizes);
    entry["dynamic"] = getArray(argument.dynamic);
    arguments.push_back(std::move(entry));
  }
  if (auto attr =
          function->getAttrOfType<ArrayAttr>(nvidia::kTensorMapsAttrName))
    for (auto map : attr.getAsRange<DictionaryAttr>()) {
      llvm::json::Object entry;
      int64_t argument = map.getAs<IntegerAttr>("argument").getInt();
      entry["argument"] = argument;
      entry["element"] = kernel.arguments[argument].element;
      entry["box"] = getArray(map.getAs<DenseI64ArrayAttr>("box"));
      entry["swizzle"] = map.getAs<IntegerAttr>("swizzle").getInt();
      maps.push_back(std::move(entry));
    }
  launch["arguments"] = std::move(arguments);
  launch["tensor_maps"] = std::move(maps);
  return launch;
}

FailureOr<CompiledBenchKernel> compileBenchKernel(const BenchKernel &kernel,
                                                  const TargetModel &target,
                                                  const NvidiaOptions &options,
                                                  MLIRContext &context) {
  OwningOpRef<ModuleOp> module =
      parseSourceString<ModuleOp>(kernel.text, &context, kernel.name);
  if (!module)
    return failure();
  PassManager pm(&context);
  mlir::varve::buildTileToNvidiaPipeline(pm, target);
  if (failed(pm.run(*module)))
    return failure();
  auto function = module->lookupSymbol<LLVM::LLVMFuncOp>(kernel.function);
  if (kernel.allowedSpillBytes != 0)
    function->setAttr(
        kAllowedSpillBytesAttrName,
        Builder(&context).getI64IntegerAttr(kernel.allowedSpillBytes));
  CompiledBenchKernel result;
  result.launch = describeLaunch(kernel, function);
  FailureOr<NvidiaBinary> binary = compileForNvidia(*module, target, options);
  if (failed(binary))
    return failure();
  result.binary = std::move(*binary);
  return result;
}

llvm::json::Object describeBenchKernel(const BenchKernel &kernel,
                                       const CompiledBenchKernel &compiled) {
  llvm::json::Object entry = compiled.launch;
  entry["name"] = kernel.name;
  entry["kind"] = kernel.kind;
  entry["file"] = kernel.getFileName() + ".cubin";
  entry["ptx"] = kernel.getFileName() + ".ptx";
  entry["flops"] = kernel.flops;
  entry["bytes"] = kernel.bytes;
  llvm::json::Object sizes;
  for (const auto &[name, size] : kernel.sizes)
    sizes[name] = size;
  entry["sizes"] = std::move(sizes);
  return entry;
}

} // namespace varve
