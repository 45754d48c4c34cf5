//===- Layers.h - Other layers for a model ---------------------*- C++ -*-===//
//
// What `--layers` takes: a pattern (lib/Model/LayerPattern.h), or ranges that
// change some layers of the model and leave the others:
//
//   ranges := (count '|')? range ('+' range)*
//   range  := first ('-' last)? ('/' step)? ':' kind+
//   kind   := ('S' | 'C' | 'H') ('@' ratio)?
//
// "0-60/3:C" makes every third layer from 0 to 60 compressed sparse,
// "2-41:CH" alternates, "10-19:C@8" gives ratio 8 to ten layers. With a count
// the model has that many layers, further ones sliding.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_EXPLORE_LAYERS_H
#define VARVE_EXPLORE_LAYERS_H

#include "lib/Model/ModelConfig.h"

namespace varve {

/// Gives `config` the layers of `text`, without validating the result. `count`
/// is what a '*' of a pattern fills up to. Errors read
/// "layers '<text>': expected <what>, got <what>".
llvm::Error applyLayers(ModelConfig &config, llvm::StringRef text,
                        std::optional<int64_t> count);

/// The layers of a configuration as text that `applyLayers` turns back into
/// them: a pattern if every kind has one ratio, else a list with ratios.
std::string describeLayers(const ModelConfig &config);

} // namespace varve

#endif // VARVE_EXPLORE_LAYERS_H
