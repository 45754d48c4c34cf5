//===- Package.h - Writing packages ----------------------------*- C++ -*-===//
#ifndef VARVE_PACKAGE_PACKAGE_H
#define VARVE_PACKAGE_PACKAGE_H

#include "mlir/IR/BuiltinOps.h"
#include "llvm/Support/raw_ostream.h"
#include <string>

namespace varve {

/// The bytes of the package of a program whose kernels are compiled: a module
/// per target with pools, public functions and `plan.binary` ops. x86 kernels
/// are linked here. The same program gives the same bytes. Errors are
/// diagnostics.
mlir::FailureOr<std::string> writePackage(mlir::ModuleOp program);

/// How the table of kernels is written.
enum class ReportFormat { Markdown, Json };

/// A table of all kernels of a compiled program: registers, shared memory,
/// spills, matrix instructions, launches, by target.
void writeKernelTable(mlir::ModuleOp program, ReportFormat format,
                      llvm::raw_ostream &os);

} // namespace varve

#endif // VARVE_PACKAGE_PACKAGE_H
