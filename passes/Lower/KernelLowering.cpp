//===- KernelLowering.cpp - The lowerings by kind -------------------------===//

#include "passes/Lower/KernelLowering.h"
#include "llvm/ADT/StringSwitch.h"

using namespace mlir;
using namespace mlir::varve;

const KernelLowering *KernelLowering::lookup(StringRef kind) {
  return llvm::StringSwitch<const KernelLowering *>(kind)
      .Case("rows", &getRowsLowering())
      .Case("linear", &getLinearLowering())
      .Case("streams", &getStreamsLowering())
      .Case("take", &getTakeLowering())
      .Case("attention", &getAttentionLowering())
      .Case("index", &getIndexLowering())
      .Case("compress", &getCompressLowering())
      .Case("commit", &getCommitLowering())
      .Case("experts", &getExpertsLowering())
      .Default(nullptr);
}

StrategyAttr KernelLowering::makeStrategy(MLIRContext *context, int64_t rows,
                                          int64_t columns, int64_t warps) {
  return StrategyAttr::get(context, /*min=*/1, /*max=*/0, rows, columns,
                           /*depth=*/1, /*split=*/1, /*stages=*/1, warps,
                           /*engine=*/Attribute());
}
