//===- HfFields.h - The names that a config.json may contain ----*- C++ -*-===//
//
// The vocabulary of the configuration reader: every name it accepts. A name
// outside these lists is an error, because ignoring a field that changes the
// model gives wrong answers.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_MODEL_HFFIELDS_H
#define VARVE_MODEL_HFFIELDS_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"

namespace varve {

/// Names at the top level: those the reader uses and those that say nothing
/// about what the model computes (training, generation, bookkeeping).
llvm::ArrayRef<llvm::StringRef> knownTopLevelFields();

/// Names in one rope description.
llvm::ArrayRef<llvm::StringRef> knownRopeFields();

/// Names in `quantization_config`.
llvm::ArrayRef<llvm::StringRef> knownQuantizationFields();

} // namespace varve

#endif // VARVE_MODEL_HFFIELDS_H
