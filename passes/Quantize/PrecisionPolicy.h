//===- PrecisionPolicy.h - A policy as read from its file ------*- C++ -*-===//
//
// Rules in order; later ones win, setting by setting. A rule selects ops by
// kind (`ops`), by name (`names`, globs over "layers.2.attn.wq_a") or by both,
// or pools by symbol (`pools`), and says how what it selected rounds. A policy
// may extend a built-in one, whose rules then come first. docs/precision.md is
// the manual.
//
// Invariants of a policy that was read: every rule selects something of one
// sort and sets something; every setting of a rule is one that each op kind it
// names has.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_PASSES_QUANTIZE_PRECISIONPOLICY_H
#define VARVE_PASSES_QUANTIZE_PRECISIONPOLICY_H

#include "llvm/ADT/ArrayRef.h"
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

/// The name as MLIR spells the type.
llvm::StringRef stringifyNumberType(NumberType type);

inline bool isCodeType(NumberType type) {
  return type == NumberType::F8E4M3FN || type == NumberType::F4E2M1FN;
}

/// Settings of ops, as bits.
enum OpSetting : unsigned {
  kSetsResult = 1,
  kSetsQuantize = 2,
  kSetsHadamard = 4,
  kSetsRounding = 8,
  kSetsAttention = 16, ///< `block` and `probabilities`
  kSetsSums = 32,      ///< `short_sums`
};

/// The settings that ops of the kind `op` (without dialect) have; 0 for kinds
/// whose types are given by their operands or by their definition, and for
/// unknown ones.
unsigned settingsOfKind(llvm::StringRef op);

/// Codes with a shared scale per block.
struct BlockFormat {
  NumberType type = NumberType::F32;
  NumberType scale = NumberType::F8E8M0FNU;
  int64_t block = 0; ///< 0: plain numbers

  bool operator==(const BlockFormat &) const = default;
};

/// A part of a pool's rows.
struct SegmentRule {
  enum class Elements {
    Rest,   ///< what the other segments leave over
    Rotary, ///< the rotary dimensions of the rows
    Count,  ///< `count`
  };
  Elements elements = Elements::Rest;
  int64_t count = 0;
  BlockFormat format;
};

/// A pattern and the text that it points into.
struct NameGlob {
  std::shared_ptr<const std::string> text;
  llvm::GlobPattern pattern;

  bool match(llvm::StringRef name) const { return pattern.match(name); }
};

struct PrecisionRule {
  /// "rule 3 of 'mine.json'": for messages.
  std::string title;

  // What it selects.
  std::vector<std::string> ops; ///< "*": every kind
  std::vector<NameGlob> names, pools;
  bool onlyCodedWeights = false;
  bool optional = false; ///< may select nothing

  // What it sets. A quantisation or block of 0 takes back an earlier rule's.
  std::optional<NumberType> result, probabilities;
  std::optional<bool> eachStep, hadamard, shortSums;
  std::optional<BlockFormat> quantize;
  std::optional<int64_t> block;
  std::optional<std::vector<SegmentRule>> format;

  bool selectsPools() const { return !pools.empty(); }
  /// The settings of ops that this rule makes, as OpSetting bits.
  unsigned getOpSettings() const;
};

struct PrecisionPolicy {
  /// What `varve.precision` holds: the name, and for a policy from a file a
  /// digest of what it says, as in "mine@1f0c22d9".
  std::string identity;
  std::string source; ///< for messages: a file in quotes, or "policy 'native'"
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
