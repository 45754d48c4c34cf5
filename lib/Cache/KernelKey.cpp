//===- KernelKey.cpp - What a kernel's code depends on ---------*- C++ -*-===//
#include "lib/Cache/KernelKey.h"
#include "mlir/IR/AsmState.h"
#include "llvm/Support/raw_ostream.h"

std::string varve::getCanonicalText(mlir::Operation *op, bool names) {
  std::string text;
  llvm::raw_string_ostream os(text);
  mlir::OpPrintingFlags flags;
  flags.useLocalScope().printGenericOpForm().assumeVerified();
  flags.enableDebugInfo(names, /*prettyForm=*/false);
  op->print(os, flags);
  return text;
}
