//===- HfConfig.h - Reader of Hugging Face config.json ----------*- C++ -*-===//
//
// Reads a DeepSeek-V4-like `config.json`. Two dialects circulate, and mixtures
// of both:
//
//   official      `compress_ratios`, `num_hash_layers`, `rope_scaling`: what
//                 the released checkpoints carry (specification 1.1);
//   transformers  `layer_types`, `compress_rates`, `mlp_layer_types`,
//                 `rope_parameters`: what transformers 5 writes.
//
// A file with `layer_types` and without `compress_ratios` was written by
// transformers and means what transformers makes of it: absent scalars take
// its defaults, and fields that it ignores are ignored (docs of
// `parseHfConfig`). Everything else must say what it means. Fields are never
// guessed: an unknown field, a contradiction, or a value that Varve does not
// implement is an error.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_MODEL_HFCONFIG_H
#define VARVE_MODEL_HFCONFIG_H

#include "lib/Model/ModelConfig.h"

namespace varve {

/// Reads the file at `path`; the model is named after the file's folder.
/// The result satisfies `validate`. Errors read
/// "<path>: field '<field>': expected <what>, got <what>".
llvm::Expected<ModelConfig> readHfConfig(llvm::StringRef path);

/// Parses the text of a config.json. `displayName` names the model and stands
/// for the file in errors.
///
/// Where a file was written by transformers:
///  - `norm_topk_prob` and `n_shared_experts` have no effect, because its model
///    always normalises and always builds one shared expert;
///  - `num_nextn_predict_layers` is taken as 0, because it neither loads nor
///    saves draft blocks;
///  - the rope tables are those of the nested `rope_parameters`; `rope_theta`
///    and `compress_rope_theta` beside them may hold transformers' defaults;
///  - `swiglu_limit` may be infinite, and is refused when 0, which transformers
///    would apply as a clamp to 0 and DeepSeek's program as none.
llvm::Expected<ModelConfig> parseHfConfig(llvm::StringRef text,
                                          llvm::StringRef displayName);

} // namespace varve

#endif // VARVE_MODEL_HFCONFIG_H
