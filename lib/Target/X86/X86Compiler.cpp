//===- X86Compiler.cpp - Kernels to object files ---------------*- C++ -*-===//
#include "lib/Target/X86/X86Compiler.h"
#include "lib/Cache/KernelKey.h"
#include "lib/Target/Codegen/Codegen.h"
#include "lib/Target/Codegen/LowerToLLVM.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/TargetParser/Host.h"

using namespace mlir;
using namespace ::varve;

/// Everything that the result depends on.
static std::string makeKey(ModuleOp module, const TargetModel &target,
                           const llvm::TargetMachine &machine) {
  return CacheKeyBuilder()
      .add("compiler", getCompilerBuildId())
      .add("kind", "x86")
      .add("target", target.getName())
      .add("processor", machine.getTargetCPU())
      .add("features", machine.getTargetFeatureString())
      .add("module", getCanonicalText(module, /*names=*/true))
      .finish();
}

namespace varve {

FailureOr<std::string> compileForX86(ModuleOp module, const TargetModel &target,
                                     const X86Options &options) {
  if (target.getKind() != TargetKind::X86)
    return emitError(module.getLoc())
           << "target " << target.getName() << " is not an x86 processor";
  auto machine = createTargetMachine(target, options.hostFeatures);
  if (!machine)
    return emitError(module.getLoc(), llvm::toString(machine.takeError()));
  std::string key;
  if (options.cache) {
    key = makeKey(module, target, **machine);
    if (std::optional<CacheEntry> entry = options.cache->lookup(key))
      if (auto object = entry->find("object"); object != entry->end())
        return object->second;
  }

  bool nativeBF16 = options.hostFeatures &&
                    llvm::sys::getHostCPUFeatures().lookup("avx512bf16");
  OwningOpRef<ModuleOp> copy = module.clone();
  FailureOr<LlvmModule> lowered = lowerToLLVMIR(*copy, target, nativeBF16);
  if (failed(lowered))
    return failure();
  auto code = generateCode(std::move(*lowered), std::move(*machine),
                           llvm::CodeGenFileType::ObjectFile);
  if (!code)
    return emitError(module.getLoc(), llvm::toString(code.takeError()));
  std::string object(code->begin(), code->end());
  if (options.cache)
    options.cache->store(key, {{"object", object}});
  return object;
}

} // namespace varve
