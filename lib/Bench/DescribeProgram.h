//===- DescribeProgram.h - A compiled program as JSON ----------*- C++ -*-===//
#ifndef VARVE_BENCH_DESCRIBEPROGRAM_H
#define VARVE_BENCH_DESCRIBEPROGRAM_H

#include "dialects/Plan/Plan.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/Support/JSON.h"

namespace varve {

/// What a program other than the runtime needs to make the launches of a public
/// function, whose module is at the end of the binary phase. An expression is a
/// number; "tokens" and the like; "resident", the blocks of the kernel that the
/// device holds at once; or [operator, left, right] with +, *, //, ceildiv or
/// %.
///
///   ports     name, element, shape (expressions), output
///   scratch   bytes (an expression): a piece of memory each
///   weights   name, element, shape
///   kernels   function, file, threads, shared_bytes, tensor_maps (element,
///             box, swizzle)
///   launches  kernel, name, when ([value, low, high or null], all of which
///             must hold), grid (expressions), words, maps (address, sizes and
///             strides in bytes, outermost first)
///
/// A word is {"value": expression}, or {"memory": "port", "scratch" or
/// "weight", "index", "offset": expression in bytes, "written"}.
///
/// `fileOf` names the file with a kernel's code.
mlir::FailureOr<llvm::json::Object> describeProgram(
    mlir::varve::plan::FuncOp program,
    llvm::function_ref<std::string(mlir::varve::plan::BinaryOp)> fileOf);

} // namespace varve

#endif // VARVE_BENCH_DESCRIBEPROGRAM_H
