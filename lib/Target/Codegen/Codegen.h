//===- Codegen.h - LLVM IR to assembly or object code ----------*- C++ -*-===//
//
// What the NVIDIA and the x86 driver share: the optimisation pipeline and the
// code generator, run so that nothing that LLVM does with a bad module ends
// the process. No MLIR.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_TARGET_CODEGEN_CODEGEN_H
#define VARVE_TARGET_CODEGEN_CODEGEN_H

#include "lib/Target/Model/TargetModel.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"
#include "llvm/Support/Error.h"
#include "llvm/Target/TargetMachine.h"
#include <memory>

namespace varve {

/// A module with the context that owns its types.
struct LlvmModule {
  // Declared first: destroyed last.
  std::unique_ptr<llvm::LLVMContext> context;
  std::unique_ptr<llvm::Module> module;
};

/// A code generator for `target`. With `hostFeatures`, an x86 target is tuned
/// to the processor of this process and may use everything it has.
llvm::Expected<std::unique_ptr<llvm::TargetMachine>>
createTargetMachine(const TargetModel &target, bool hostFeatures = false);

/// Makes inline assembly convergent, and the functions that hold it. MLIR
/// cannot say so; without it LLVM moves warp-wide instructions across branches
/// on the thread's number, which is wrong code.
void markInlineAsmConvergent(llvm::Module &module);

/// Sets triple and data layout, and optimises at O3. The module must verify.
llvm::Error optimize(LlvmModule &module, llvm::TargetMachine &machine);

/// Optimises and generates. Where LLVM gives up (an instruction that the
/// architecture lacks, a broken module) the error carries LLVM's own reason;
/// the memory of that module is then lost, not the process.
llvm::Expected<llvm::SmallVector<char, 0>>
generateCode(LlvmModule module, std::unique_ptr<llvm::TargetMachine> machine,
             llvm::CodeGenFileType type);

} // namespace varve

#endif // VARVE_TARGET_CODEGEN_CODEGEN_H
