//===- PrecisionPolicy.h - A policy as read from its file ------*- C++ -*-===//
//
// Rules in order; later ones win, field by field. A rule selects ops by kind
// (`ops`), by name (`names`, globs over "layers.2.attn.wq_a"), or both, or
// pools by symbol (`pools`), and sets how what it selected rounds.
// docs/precision.md is the manual.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_PASSES_QUANTIZE_PRECISIONPOLICY_H
#define VARVE_PASSES_QUANTIZE_PRECISIONPOLICY_H

#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/GlobPattern.h"
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace mlir::varve {

/// Element types that a policy can name.
enum class NumberType { F32, BF16, F16, F8E4M3FN, F4E2M1FN, F8E8M0FNU };

inline bool isCodeType(NumberType type) {
  return type == NumberType::F8E4M3FN || type == NumberType::F4E2M1FN;
}

/// Codes with a shared scale per block.
struct BlockFormat {
  NumberType type = NumberType::F32;
  NumberType scale = NumberType::F8E8M0FNU;
  int64_t block = 0; ///< 0: plain numbers
};

/// A part of a pool's rows.
struct SegmentRule {
  enum class Elements { Rest, Rotary, Count };
  Elements elements = Elements::Rest;
  int64_t count = 0; ///< for Elements::Count
  BlockFormat format;
};

/// A glob over names. The pattern refers to the text, so both stay together.
struct NameGlob {
  std::shared_ptr<const std::string> text;
  llvm::GlobPattern pattern;

  bool match(llvm::StringRef name) const { return pattern.match(name); }
};

struct PrecisionRule {
  unsigned number = 0; ///< from 1, for messages

  // What it selects.
  std::vector<std::string> ops;
  std::vector<NameGlob> names, pools;
  bool onlyCodedWeights = false;
  bool optional = false; ///< may select nothing

  // What it sets.
  std::optional<NumberType> result;
  std::optional<bool> eachStep;
  std::optional<BlockFormat> quantize;
  std::optional<bool> hadamard;
  std::optional<int64_t> block;
  std::optional<NumberType> probabilities;
  std::optional<std::vector<SegmentRule>> format;

  bool selectsPools() const { return !pools.empty(); }
};

struct PrecisionPolicy {
  std::string name;
  std::string source; ///< file, or "built-in policy 'native'"
  std::vector<PrecisionRule> rules;
};

/// The built-in policy `name`, or the policy in the file of that name. Errors
/// name the file, the rule and the field.
llvm::Expected<PrecisionPolicy> loadPrecisionPolicy(llvm::StringRef name);

/// Parses a policy; `source` is for messages.
llvm::Expected<PrecisionPolicy> parsePrecisionPolicy(llvm::StringRef text,
                                                     llvm::StringRef source);

/// Names of the built-in policies.
llvm::ArrayRef<llvm::StringRef> builtinPolicyNames();

} // namespace mlir::varve

#endif // VARVE_PASSES_QUANTIZE_PRECISIONPOLICY_H
