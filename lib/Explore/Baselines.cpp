//===- Baselines.cpp - Modules that Varve carries for comparison ----------===//

#include "lib/Explore/Base.h"

namespace varve {

// Written by EmbedText.cmake: one raw string literal per file.
#include "lib/Explore/EmbeddedBaselines.inc"

static constexpr Baseline table[] = {
    {"deepseek-v3.2",
     "DeepSeek-V3.2: latent attention over the 2048 best of all tokens, an "
     "indexer that scores every token; FP8 cache",
     deepseekV32Mlir},
    {"gqa-8",
     "a model of the same size with grouped-query attention: 8 key heads of "
     "128, bf16 cache",
     gqa8Mlir},
};

llvm::ArrayRef<Baseline> getBaselines() { return table; }

} // namespace varve
