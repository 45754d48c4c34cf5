//===- X86Compiler.cpp - Kernels to object files ---------------*- C++ -*-===//
#include "lib/Target/X86/X86Compiler.h"
#include "lib/Target/Codegen/Codegen.h"
#include "lib/Target/Codegen/LowerToLLVM.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/TargetParser/Host.h"

using namespace mlir;
using namespace ::varve;

namespace varve {

FailureOr<std::string> compileForX86(ModuleOp module, const TargetModel &target,
                                     const X86Options &options) {
  if (target.getKind() != TargetKind::X86)
    return emitError(module.getLoc())
           << "target " << target.getName() << " is not an x86 processor";
  bool nativeBF16 = options.hostFeatures &&
                    llvm::sys::getHostCPUFeatures().lookup("avx512bf16");
  OwningOpRef<ModuleOp> copy = module.clone();
  FailureOr<LlvmModule> lowered = lowerToLLVMIR(*copy, target, nativeBF16);
  if (failed(lowered))
    return failure();
  auto machine = createTargetMachine(target, options.hostFeatures);
  if (!machine)
    return emitError(module.getLoc(), llvm::toString(machine.takeError()));
  auto code = generateCode(std::move(*lowered), std::move(*machine),
                           llvm::CodeGenFileType::ObjectFile);
  if (!code)
    return emitError(module.getLoc(), llvm::toString(code.takeError()));
  return std::string(code->begin(), code->end());
}

} // namespace varve
