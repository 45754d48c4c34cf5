//===- Validate.h - What every model configuration must satisfy -*- C++ -*-===//
//
// The one place that says which configurations Varve takes. Readers, overrides
// and layer patterns all end here, so nothing behind them checks sizes again.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_MODEL_VALIDATE_H
#define VARVE_MODEL_VALIDATE_H

#include "lib/Model/ModelConfig.h"

namespace varve {

/// Largest accepted sizes. Together they bound every product of sizes that
/// occurs (the largest is the bytes of all experts: 4 * 3 * layers * experts *
/// inner size * hidden size < 2^62), so int64_t never overflows.
namespace limits {
inline constexpr int64_t layers = 1 << 10;
inline constexpr int64_t vocab = 1 << 24;
inline constexpr int64_t width = 1 << 17; ///< hidden, ranks, expert inner size
inline constexpr int64_t heads = 1 << 12; ///< of attention and of the indexer
inline constexpr int64_t headDim = 1 << 13;
inline constexpr int64_t window = 1 << 20;
inline constexpr int64_t ratio = 1 << 20;
inline constexpr int64_t topk = 1 << 20;
inline constexpr int64_t experts = 1 << 14;
inline constexpr int64_t streams = 1 << 6;
inline constexpr int64_t iterations = 1 << 10;
inline constexpr int64_t positions = int64_t(1) << 32;
inline constexpr int64_t draftBlocks = 1 << 4;
} // namespace limits

/// Checks every field and every relation between fields. The message is
/// "field '<official JSON name>': expected <what>, got <value>"; callers put
/// the file or the option in front.
llvm::Error validate(const ModelConfig &config);

/// As validate, with "`where`: " in front of the message.
llvm::Error validate(const ModelConfig &config, llvm::StringRef where);

} // namespace varve

#endif // VARVE_MODEL_VALIDATE_H
