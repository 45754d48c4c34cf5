//===- X86Compiler.h - Kernels to object files and libraries ---*- C++ -*-===//
#ifndef VARVE_TARGET_X86_X86COMPILER_H
#define VARVE_TARGET_X86_X86COMPILER_H

#include "lib/Cache/KernelCache.h"
#include "lib/Target/Codegen/ExternalTool.h"
#include "lib/Target/Model/TargetModel.h"
#include "mlir/IR/BuiltinOps.h"
#include <string>
#include <vector>

namespace varve {

struct X86Options {
  /// Use every feature of the processor of this process instead of the
  /// target's level: for code that runs here and now.
  bool hostFeatures = false;
  /// Where results are looked up and stored; may be null.
  KernelCache *cache = nullptr;
};

/// Compiles `module` (`func`, `scf`, `cf`, `arith`, `math`, `vector`, `memref`
/// and `llvm` ops) to the bytes of an ELF object. The module itself stays as
/// it is. Errors are diagnostics.
mlir::FailureOr<std::string> compileForX86(mlir::ModuleOp module,
                                           const TargetModel &target,
                                           const X86Options &options = {});

/// Links objects to one shared object, whose bytes are returned. Takes the
/// program that VARVE_LD names, else ld.lld or ld. The objects may need
/// nothing but each other and the memory functions of the C library
/// (memcpy, memmove, memset, memcmp): the error names the symbol that is
/// missing, or what to install if there is no linker.
llvm::Expected<std::string>
linkSharedObject(llvm::ArrayRef<std::string> objects,
                 const ToolLimits &limits = {});

} // namespace varve

#endif // VARVE_TARGET_X86_X86COMPILER_H
