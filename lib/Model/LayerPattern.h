//===- LayerPattern.h - Layer mixes as short strings ------------*- C++ -*-===//
//
// The notation of `--layers` and of reports for which layer attends to what:
//
//   pattern := element+
//   element := atom count?
//   atom    := 'S' | 'C' | 'H' | '(' pattern ')'
//   count   := number | '{' number '}' | '*'
//
// S is a sliding-window layer, C compressed sparse attention, H heavily
// compressed attention. A number repeats the atom in front of it; one '*'
// repeats as often, also zero times, as the number of layers asks for.
// DeepSeek-V4-Flash is "SS(CH)20C", or "SS(CH)*C" of 43 layers.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_MODEL_LAYERPATTERN_H
#define VARVE_MODEL_LAYERPATTERN_H

#include "lib/Model/ModelConfig.h"

namespace varve {

using LayerKinds = std::vector<AttentionKind>;

/// The layers that `pattern` stands for. `layerCount` resolves a '*' and must
/// agree with a pattern that has none; without it, a '*' is an error. At most
/// `limits::layers` layers. Errors read
/// "layer pattern '<pattern>': expected <what>, got <what>".
llvm::Expected<LayerKinds>
expandLayerPattern(llvm::StringRef pattern,
                   std::optional<int64_t> layerCount = std::nullopt);

/// A shortest pattern without '*' of `layers`, among those whose groups expand
/// to at most 64 layers. Equal layers always give the same string.
std::string layerString(llvm::ArrayRef<AttentionKind> layers);
std::string layerString(const ModelConfig &config);

/// Gives `config` the layers of `pattern`. A '*' fills up to `layerCount`, or
/// to the present number of layers without it. Ratios of C and H layers are
/// those of the present first C and H layer (4 and 128 where there is none);
/// routing stays with the layer's position, and is top-k behind the last
/// present layer. A DSpark draft head that reads a layer which no longer
/// exists is dropped. The result satisfies `validate`; on error `config` is
/// unchanged.
llvm::Error applyLayerPattern(ModelConfig &config, llvm::StringRef pattern,
                              std::optional<int64_t> layerCount = std::nullopt);

/// As applyLayerPattern, for callers that change more before they validate.
llvm::Error replaceLayers(ModelConfig &config, llvm::StringRef pattern,
                          std::optional<int64_t> layerCount = std::nullopt);

} // namespace varve

#endif // VARVE_MODEL_LAYERPATTERN_H
