//===- LowerToLLVM.h - From upstream dialects to LLVM IR -------*- C++ -*-===//
//
// The last part of the way that all targets share: a module of `scf`, `cf`,
// `arith`, `math`, `vector`, `memref`, `func`, `nvvm` and `llvm` ops becomes an
// LLVM module.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_TARGET_CODEGEN_LOWERTOLLVM_H
#define VARVE_TARGET_CODEGEN_LOWERTOLLVM_H

#include "lib/Target/Codegen/Codegen.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/PassManager.h"

namespace varve {

/// Dialects that the drivers read, and their translations to LLVM IR.
void registerTargetDialects(mlir::DialectRegistry &registry);

/// Adds the passes that lower a module for `target` to the LLVM dialect: math
/// functions, narrow floats and control flow, then the conversions. For
/// processors `nativeBF16` keeps bf16 conversions for the code generator.
void buildLowerToLLVMPipeline(mlir::OpPassManager &pm,
                              const TargetModel &target,
                              bool nativeBF16 = false);

/// Runs the pipeline on `module`, checks that nothing but the LLVM and NVVM
/// dialects is left, and translates. Errors are diagnostics.
///
/// The module's context must not be in use by another thread; compile in
/// parallel with one context for each.
mlir::FailureOr<LlvmModule> lowerToLLVMIR(mlir::ModuleOp module,
                                          const TargetModel &target,
                                          bool nativeBF16 = false);

} // namespace varve

#endif // VARVE_TARGET_CODEGEN_LOWERTOLLVM_H
