//===- KernelRecord.h - Compiled kernels by their source -------*- C++ -*-===//
//
// The compilers of NVPTX and x86 remember machine code by the LLVM module that
// it was made from. Lowering kernels to such modules is most of the time of a
// compilation that finds everything there, so a kernel is also remembered by
// the tile function that all of it was made from.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_BINARY_KERNELRECORD_H
#define VARVE_BINARY_KERNELRECORD_H

#include "dialects/Plan/Plan.h"
#include "lib/Cache/KernelCache.h"
#include "lib/Target/Model/TargetModel.h"
#include "lib/Target/NVPTX/Ptxas.h"
#include <memory>

namespace varve {

/// On kernels between the passes that look for records and that compile: the
/// key to store the compiled kernel under. No artefact has it.
inline constexpr llvm::StringLiteral kRecordKeyAttrName = "varve.record_key";

/// The user's cache, unless it is turned off.
std::unique_ptr<KernelCache> openKernelCache();

/// The key of a kernel that has not been lowered. `assembler` is null where PTX
/// stays PTX. `strict` decides whether a kernel is accepted at all.
std::string makeRecordKey(mlir::varve::plan::KernelOp kernel,
                          const TargetModel &target, const PtxasTool *assembler,
                          bool strict);

/// A compiled kernel as an entry of the cache: its code, and its attributes as
/// text.
CacheEntry toRecord(mlir::varve::plan::BinaryOp binary);

/// Replaces a kernel by what a record says. Fails, with the kernel left, if the
/// record does not describe this kernel.
mlir::FailureOr<mlir::varve::plan::BinaryOp>
replaceByRecord(mlir::varve::plan::KernelOp kernel, const TargetModel &target,
                const CacheEntry &record);

/// Bytes as an attribute that prints as one block of hexadecimal digits.
mlir::ElementsAttr makeCodeAttr(llvm::StringRef kernel,
                                const TargetModel &target,
                                llvm::StringRef bytes,
                                mlir::MLIRContext *context);

} // namespace varve

#endif // VARVE_BINARY_KERNELRECORD_H
