//===- KernelRecord.cpp - Compiled kernels by their source ----------------===//

#include "lib/Binary/KernelRecord.h"
#include "lib/Cache/KernelKey.h"
#include "mlir/AsmParser/AsmParser.h"
#include "mlir/IR/AsmState.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace ::varve;
namespace plan = mlir::varve::plan;

/// Names in an entry.
static constexpr llvm::StringLiteral kCode = "code";
static constexpr llvm::StringLiteral kAttributes = "attributes";

namespace varve {

std::unique_ptr<KernelCache> openKernelCache() {
  std::optional<std::string> directory = KernelCache::getDefaultDirectory();
  if (!directory)
    return nullptr;
  // Called from any thread; what it says belongs to no kernel.
  auto warn = [](llvm::StringRef warning) {
    llvm::errs() << "warning: " << warning << '\n';
  };
  return std::make_unique<KernelCache>(KernelCacheOptions{*directory}, warn);
}

std::string makeRecordKey(plan::KernelOp kernel, const TargetModel &target,
                          const PtxasTool *assembler, bool strict) {
  // With names: line tables say of which layer's ops the code was made, and
  // packages are the same whatever other models the cache knows.
  return CacheKeyBuilder()
      .add("compiler", getCompilerBuildId())
      .add("kind", "kernel")
      .add("target", target.getName())
      .add("assembler", assembler ? assembler->version : std::string())
      .add("strict", strict ? "1" : "0")
      .add("kernel", getCanonicalText(kernel, /*names=*/true))
      .finish();
}

CacheEntry toRecord(plan::BinaryOp binary) {
  NamedAttrList attributes(binary->getAttrDictionary());
  attributes.erase(binary.getCodeAttrName());
  std::string text;
  llvm::raw_string_ostream os(text);
  attributes.getDictionary(binary.getContext()).print(os);
  return {{kCode.str(), binary.getBytes().str()}, {kAttributes.str(), text}};
}

FailureOr<plan::BinaryOp> replaceByRecord(plan::KernelOp kernel,
                                          const TargetModel &target,
                                          const CacheEntry &record) {
  auto code = record.find(kCode.str());
  auto text = record.find(kAttributes.str());
  if (code == record.end() || text == record.end())
    return failure();
  auto attributes = dyn_cast_or_null<DictionaryAttr>(
      parseAttribute(text->second, kernel.getContext()));
  if (!attributes ||
      attributes.get(kernel.getSymNameAttrName()) != kernel.getSymNameAttr())
    return failure();
  OpBuilder builder(kernel);
  OperationState state(kernel.getLoc(), plan::BinaryOp::getOperationName());
  state.addAttributes(attributes.getValue());
  state.addAttribute(plan::BinaryOp::getCodeAttrName(state.name),
                     makeCodeAttr(kernel.getSymName(), target, code->second,
                                  builder.getContext()));
  auto binary = cast<plan::BinaryOp>(builder.create(state));
  kernel.erase();
  return binary;
}

ElementsAttr makeCodeAttr(llvm::StringRef kernel, const TargetModel &target,
                          llvm::StringRef bytes, MLIRContext *context) {
  auto type = RankedTensorType::get({static_cast<int64_t>(bytes.size())},
                                    IntegerType::get(context, 8));
  AsmResourceBlob blob = HeapAsmResourceBlob::allocateAndCopyInferAlign(
      ArrayRef<char>(bytes.data(), bytes.size()));
  return DenseResourceElementsAttr::get(
      type, (target.getName() + "." + kernel).str(), std::move(blob));
}

} // namespace varve
