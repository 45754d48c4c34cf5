//===- KernelKey.h - What a kernel's code depends on -----------*- C++ -*-===//
#ifndef VARVE_CACHE_KERNELKEY_H
#define VARVE_CACHE_KERNELKEY_H

#include "mlir/IR/Operation.h"
#include <string>

namespace varve {

/// The text of `op` that two kernels share if and only if they are the same
/// code: generic form, values numbered, no locations. With `names`, the names
/// and lines of locations too, for results that contain them. Symbols stay,
/// since they are in the result.
std::string getCanonicalText(mlir::Operation *op, bool names);

} // namespace varve

#endif // VARVE_CACHE_KERNELKEY_H
