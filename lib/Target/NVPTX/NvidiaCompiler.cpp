//===- NvidiaCompiler.cpp - Kernels to PTX and cubin -----------*- C++ -*-===//
#include "lib/Target/NVPTX/NvidiaCompiler.h"
#include "lib/Cache/KernelKey.h"
#include "lib/Target/Codegen/Codegen.h"
#include "lib/Target/Codegen/LowerToLLVM.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
#include "mlir/Pass/PassManager.h"
#include "passes/Target/Passes.h"
#include "llvm/ADT/StringMap.h"

using namespace mlir;
using namespace ::varve;

namespace {
/// Where kernels come from and what they may spill, for messages about code
/// that knows only their names.
class KernelTable {
public:
  explicit KernelTable(ModuleOp module) : moduleLoc(module.getLoc()) {
    for (auto function : module.getOps<FunctionOpInterface>()) {
      Entry &entry = entries[function.getName()];
      entry.loc = function.getLoc();
      if (auto allowed =
              function->getAttrOfType<IntegerAttr>(kAllowedSpillBytesAttrName))
        entry.allowedSpillBytes = std::max<int64_t>(allowed.getInt(), 0);
    }
  }

  Location getLoc(StringRef kernel) const {
    auto found = entries.find(kernel);
    return found == entries.end() ? moduleLoc : *found->second.loc;
  }
  uint64_t getAllowedSpillBytes(StringRef kernel) const {
    auto found = entries.find(kernel);
    return found == entries.end() ? 0 : found->second.allowedSpillBytes;
  }

private:
  struct Entry {
    std::optional<Location> loc;
    uint64_t allowedSpillBytes = 0;
  };
  llvm::StringMap<Entry> entries;
  Location moduleLoc;
};

/// Diagnostics for everything that makes a kernel slow; true if there is any.
bool reportProblems(const PtxasLog &log, const KernelTable &kernels,
                    const NvidiaOptions &options) {
  std::vector<PerformanceProblem> problems =
      findPerformanceProblems(log, [&](StringRef kernel) {
        return kernels.getAllowedSpillBytes(kernel);
      });
  for (const PerformanceProblem &problem : problems) {
    Location loc = kernels.getLoc(problem.kernel);
    InFlightDiagnostic diagnostic =
        options.strict ? emitError(loc) : emitWarning(loc);
    if (!problem.kernel.empty())
      diagnostic << "kernel '" << problem.kernel << "' ";
    diagnostic << problem.message;
    diagnostic.attachNote() << problem.remedy;
  }
  return !problems.empty();
}

/// Everything that the result depends on.
std::string makeKey(ModuleOp module, const TargetModel &target,
                    const NvidiaOptions &options) {
  return CacheKeyBuilder()
      .add("compiler", getCompilerBuildId())
      .add("kind", "nvidia")
      .add("target", target.getName())
      .add("assembler",
           options.assembler ? options.assembler->version : std::string())
      .add("line directives", options.lineDirectives ? "1" : "0")
      .add("module", getCanonicalText(module, options.lineDirectives))
      .finish();
}

/// The legality table looks at the ops as written, before conversions turn
/// them into intrinsics; math functions are lowered first, since those that
/// remain are errors.
LogicalResult checkLegality(ModuleOp module, const TargetModel &target) {
  PassManager pm(module.getContext(), ModuleOp::getOperationName());
  pm.addPass(mlir::varve::createLowerMathToNVVMPass());
  mlir::varve::ExpandNarrowFloatsPassOptions expand;
  expand.types = {"f8E4M3FN", "f8E5M2", "f4E2M1FN", "f8E8M0FNU"};
  expand.target = target.getName().str();
  pm.addPass(mlir::varve::createExpandNarrowFloatsPass(expand));
  if (failed(pm.run(module)))
    return failure();
  return mlir::varve::verifyLegalOnTarget(module, target);
}

FailureOr<std::string> compileToPtx(ModuleOp module,
                                    const TargetModel &target) {
  if (failed(checkLegality(module, target)))
    return failure();
  FailureOr<LlvmModule> lowered = lowerToLLVMIR(module, target);
  if (failed(lowered))
    return failure();
  markInlineAsmConvergent(*lowered->module);
  auto machine = createTargetMachine(target);
  if (!machine)
    return emitError(module.getLoc(), llvm::toString(machine.takeError()));
  auto code = generateCode(std::move(*lowered), std::move(*machine),
                           llvm::CodeGenFileType::AssemblyFile);
  if (!code)
    return emitError(module.getLoc(), llvm::toString(code.takeError()));
  return std::string(code->begin(), code->end());
}
} // namespace

namespace varve {

FailureOr<NvidiaBinary> compileForNvidia(ModuleOp module,
                                         const TargetModel &target,
                                         const NvidiaOptions &options) {
  if (!target.isGpu())
    return emitError(module.getLoc())
           << "target " << target.getName() << " is not an NVIDIA GPU";
  std::string key;
  if (options.cache) {
    key = makeKey(module, target, options);
    if (std::optional<CacheEntry> entry = options.cache->lookup(key))
      if (auto binary = NvidiaBinary::fromCacheEntry(*entry))
        return std::move(*binary);
  }

  KernelTable kernels(module);
  OwningOpRef<ModuleOp> copy = module.clone();
  if (!options.lineDirectives)
    copy->walk([&](Operation *op) {
      op->setLoc(UnknownLoc::get(module.getContext()));
    });
  FailureOr<std::string> ptx = compileToPtx(*copy, target);
  if (failed(ptx))
    return failure();
  NvidiaBinary binary;
  binary.ptx = std::move(*ptx);
  bool hadProblems = false;
  if (!options.assembler) {
    emitRemark(module.getLoc(),
               "no ptxas: the result is PTX, which the driver assembles when "
               "it is loaded; registers and spills are unknown");
  } else {
    llvm::Expected<AssembledCubin> assembled =
        assemble(*options.assembler, binary.ptx, target, options.limits);
    if (!assembled)
      return emitError(module.getLoc(), llvm::toString(assembled.takeError()));
    hadProblems = reportProblems(assembled->log, kernels, options);
    if (hadProblems && options.strict)
      return failure();
    binary.cubin = std::move(assembled->cubin);
    binary.kernels = std::move(assembled->log.kernels);
    binary.assembler = "ptxas " + options.assembler->version;
  }
  // A result with warnings is made anew, so that they are given again.
  if (options.cache && !hadProblems)
    options.cache->store(key, binary.toCacheEntry());
  return binary;
}

} // namespace varve
