//===- PolicyReaderTest.cpp - Reading precision policies ------------------===//

#include "passes/Quantize/PrecisionPolicy.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

using namespace mlir::varve;
using testing::HasSubstr;
using testing::StartsWith;

namespace {

/// A policy with one rule.
std::string withRule(const std::string &rule) {
  return R"({"name": "mine", "rules": [)" + rule + "]}";
}

std::string messageOf(const std::string &text) {
  auto policy = parsePrecisionPolicy(text, "'mine.json'");
  return policy ? "read without a message" : llvm::toString(policy.takeError());
}

PrecisionPolicy read(const std::string &text) {
  auto policy = parsePrecisionPolicy(text, "'mine.json'");
  if (policy)
    return std::move(*policy);
  ADD_FAILURE() << llvm::toString(policy.takeError());
  return {};
}

//===----------------------------------------------------------------------===//
// What is read
//===----------------------------------------------------------------------===//

TEST(PolicyReader, ReadsSelectionAndSettingsOfOps) {
  PrecisionPolicy policy = read(withRule(R"({
    "comment": "why", "ops": ["linear", "experts"], "names": "layers.*.w?",
    "only_coded_weights": true, "optional": true, "result": "f16",
    "quantize": {"type": "f4E2M1FN", "scale": "f32", "block": 32}})"));
  ASSERT_EQ(policy.rules.size(), 1u);
  const PrecisionRule &rule = policy.rules[0];
  EXPECT_EQ(rule.title, "rule 1 of 'mine.json'");
  EXPECT_EQ(rule.ops, (std::vector<std::string>{"linear", "experts"}));
  ASSERT_EQ(rule.names.size(), 1u);
  EXPECT_TRUE(rule.names[0].match("layers.12.ffn.w1"));
  EXPECT_FALSE(rule.names[0].match("layers.12.ffn.w10"));
  EXPECT_TRUE(rule.onlyCodedWeights);
  EXPECT_TRUE(rule.optional);
  EXPECT_EQ(rule.result, NumberType::F16);
  EXPECT_EQ(rule.quantize,
            (BlockFormat{NumberType::F4E2M1FN, NumberType::F32, 32}));
  EXPECT_EQ(rule.getOpSettings(), kSetsResult | kSetsQuantize);
}

TEST(PolicyReader, ReadsSettingsOfAttentionAndIndex) {
  PrecisionPolicy policy = read(R"({"name": "mine", "rules": [
    {"ops": "sparse_attention", "block": 64, "probabilities": "bf16"},
    {"ops": "index_score", "hadamard": true, "round_each_step": true}]})");
  ASSERT_EQ(policy.rules.size(), 2u);
  EXPECT_EQ(policy.rules[0].block, 64);
  EXPECT_EQ(policy.rules[0].probabilities, NumberType::BF16);
  EXPECT_EQ(policy.rules[1].hadamard, true);
  EXPECT_EQ(policy.rules[1].eachStep, true);
}

TEST(PolicyReader, ReadsShortSumsOfEveryProduct) {
  PrecisionPolicy policy = read(withRule(R"({
    "ops": ["linear", "grouped_linear", "experts"], "short_sums": true})"));
  ASSERT_EQ(policy.rules.size(), 1u);
  EXPECT_EQ(policy.rules[0].shortSums, true);
  EXPECT_EQ(policy.rules[0].getOpSettings(), kSetsSums);
  for (const std::string &op : policy.rules[0].ops)
    EXPECT_TRUE(settingsOfKind(op) & kSetsSums) << op;
}

TEST(PolicyReader, NoneTakesAnEarlierSettingBack) {
  PrecisionPolicy policy = read(R"({"name": "mine", "rules": [
    {"ops": "linear", "quantize": "none"},
    {"ops": "sparse_attention", "block": "none"}]})");
  ASSERT_EQ(policy.rules.size(), 2u);
  EXPECT_EQ(policy.rules[0].quantize, BlockFormat());
  EXPECT_EQ(policy.rules[1].block, 0);
}

TEST(PolicyReader, ReadsFormatsOfPools) {
  PrecisionPolicy policy = read(withRule(R"({"pools": "*.window", "format": [
    {"elements": 32, "type": "f16"},
    {"elements": "rest", "type": "f8E4M3FN", "block": 64},
    {"elements": "rotary", "type": "bf16"}]})"));
  ASSERT_EQ(policy.rules.size(), 1u);
  const std::vector<SegmentRule> &format = *policy.rules[0].format;
  ASSERT_EQ(format.size(), 3u);
  EXPECT_EQ(format[0].elements, SegmentRule::Elements::Count);
  EXPECT_EQ(format[0].count, 32);
  EXPECT_EQ(format[1].elements, SegmentRule::Elements::Rest);
  EXPECT_EQ(format[1].format,
            (BlockFormat{NumberType::F8E4M3FN, NumberType::F8E8M0FNU, 64}));
  EXPECT_EQ(format[2].elements, SegmentRule::Elements::Rotary);
  EXPECT_EQ(format[2].format, (BlockFormat{NumberType::BF16}));
}

TEST(PolicyReader, RulesOfTheExtendedPolicyComeFirst) {
  auto native = loadPrecisionPolicy("native");
  ASSERT_TRUE(bool(native));
  PrecisionPolicy policy = read(R"({"name": "mine", "extends": "native",
    "rules": [{"ops": "*", "result": "f32"}]})");
  ASSERT_EQ(policy.rules.size(), native->rules.size() + 1);
  EXPECT_EQ(policy.rules.front().title, "rule 1 of policy 'native'");
  EXPECT_EQ(policy.rules.back().title, "rule 1 of 'mine.json'");
}

TEST(PolicyReader, IdentityTellsContentsApartAndLayoutsNot) {
  std::string a = read(withRule(R"({"ops": "*", "result": "bf16"})")).identity;
  std::string b = read(withRule(R"({"ops": "*", "result": "f16"})")).identity;
  std::string c =
      read(withRule("{\n\"result\":\"bf16\",\n\"ops\":\"*\"}")).identity;
  EXPECT_THAT(a, StartsWith("mine@"));
  EXPECT_NE(a, b);
  EXPECT_EQ(a, c);
}

TEST(PolicyReader, BuiltinPoliciesAreTheirNames) {
  EXPECT_THAT(builtinPolicyNames(),
              testing::ElementsAre("f32", "bf16", "native", "native-fast"));
  for (llvm::StringRef name : builtinPolicyNames()) {
    auto policy = loadPrecisionPolicy(name);
    ASSERT_TRUE(bool(policy)) << llvm::toString(policy.takeError());
    EXPECT_EQ(policy->identity, name);
  }
}

//===----------------------------------------------------------------------===//
// What is refused
//===----------------------------------------------------------------------===//

struct Refusal {
  std::string text, message;
};

class RefusedRule : public testing::TestWithParam<Refusal> {};

TEST_P(RefusedRule, IsReportedWithFileRuleAndField) {
  EXPECT_EQ(messageOf(withRule(GetParam().text)),
            "rule 1 of 'mine.json'" + GetParam().message);
}

const Refusal kRules[] = {
    {"7", ": expected an object, got 7"},
    {R"({"ops": "linear", "reslut": "bf16"})",
     ": field 'reslut': unknown field; did you mean 'result'?"},
    {R"({"result": "bf16"})",
     ": field 'ops': expected a selection by 'ops', 'names' or 'pools', got "
     "nothing"},
    {R"({"ops": "linear", "pools": "*", "result": "bf16"})",
     ": field 'pools': expected no selection of pools in a rule of ops, got "
     "both; make it two rules"},
    {R"({"ops": "liner", "result": "bf16"})",
     ": field 'ops': expected a kind of op, got 'liner'; did you mean "
     "'linear'?"},
    {R"({"ops": 3, "result": "bf16"})",
     ": field 'ops': expected a string or a list of strings, got 3"},
    {R"({"ops": [], "result": "bf16"})",
     ": field 'ops': expected a string or a list of strings, got an array of "
     "0"},
    {R"({"ops": ["linear", 3], "result": "bf16"})",
     ": field 'ops[1]': expected a string, got 3"},
    {R"({"names": "layers.[", "result": "bf16"})",
     ": field 'names': expected a name with '*', '?' and '[...]', got "
     "'layers.[': invalid glob pattern, unmatched '['"},
    {R"({"ops": "linear"})",
     ": field 'result': expected a setting of ops: 'result', 'quantize', "
     "'hadamard', 'round_each_step', 'block', 'probabilities' or "
     "'short_sums', got nothing"},
    {R"({"ops": "swiglu", "short_sums": true})",
     ": field 'short_sums': expected ops that have this setting (experts, "
     "grouped_linear, linear), got 'swiglu'"},
    {R"({"ops": "linear", "result": "bf61"})",
     ": field 'result': expected one of f32, bf16, f16, got 'bf61'; did you "
     "mean 'bf16'?"},
    {R"({"ops": "linear", "result": "f8E4M3FN"})",
     ": field 'result': expected one of f32, bf16, f16, got 'f8E4M3FN'"},
    {R"({"ops": "linear", "result": 16})",
     ": field 'result': expected a string, got 16"},
    {R"({"ops": "rope", "result": "bf16"})",
     ": field 'result': expected ops that have this setting (combine, "
     "compress, dequantize, embed, experts, grouped_linear, index_score, "
     "linear, rms_norm, sparse_attention, stream_collapse, stream_mix, "
     "swiglu), got 'rope', of which nothing can be set: its result has its "
     "operand's element type"},
    {R"({"ops": "sinkhorn", "result": "f32"})",
     ": field 'result': expected ops that have this setting (combine, "
     "compress, dequantize, embed, experts, grouped_linear, index_score, "
     "linear, rms_norm, sparse_attention, stream_collapse, stream_mix, "
     "swiglu), got 'sinkhorn', of which nothing can be set: its results have "
     "fixed types"},
    {R"({"ops": "linear", "hadamard": true})",
     ": field 'hadamard': expected ops that have this setting (index_score), "
     "got 'linear'"},
    {R"({"ops": ["rms_norm", "linear"], "round_each_step": true})",
     ": field 'round_each_step': expected ops that have this setting "
     "(index_score, rms_norm), got 'linear'"},
    {R"({"ops": "linear", "block": 64})",
     ": field 'block': expected ops that have this setting "
     "(sparse_attention), got 'linear'"},
    {R"({"ops": "sparse_attention", "block": 0})",
     ": field 'block': expected a number from 1 to 16777216, got 0"},
    {R"({"ops": "sparse_attention", "block": "all"})",
     ": field 'block': expected an integer, got \"all\""},
    {R"({"ops": "sparse_attention", "probabilities": "f8E4M3FN"})",
     ": field 'probabilities': expected one of f32, bf16, f16, got "
     "'f8E4M3FN'"},
    {R"({"ops": "linear", "optional": "yes", "result": "bf16"})",
     ": field 'optional': expected true or false, got \"yes\""},
    {R"({"ops": "linear", "quantize": "fp8"})",
     ": field 'quantize': expected an object, got \"fp8\""},
    {R"({"ops": "linear", "quantize": {"block": 128}})",
     ": field 'quantize.type': required, but missing: expected a string"},
    {R"({"ops": "linear", "quantize": {"type": "f8E4M3", "block": 128}})",
     ": field 'quantize.type': expected one of f8E4M3FN, f4E2M1FN, got "
     "'f8E4M3'; did you mean 'f8E4M3FN'?"},
    {R"({"ops": "linear", "quantize": {"type": "f8E4M3FN"}})",
     ": field 'quantize.block': expected how many elements of type f8E4M3FN "
     "share a scale, got nothing"},
    {R"({"ops": "linear", "quantize": {"type": "f8E4M3FN", "block": -1}})",
     ": field 'quantize.block': expected a number from 1 to 16777216, got -1"},
    {R"({"ops": "linear", "quantize":
         {"type": "f8E4M3FN", "block": 128, "scale": "bf16"}})",
     ": field 'quantize.scale': expected one of f8E8M0FNU, f32, got 'bf16'"},
    {R"({"ops": "linear", "quantize":
         {"type": "f8E4M3FN", "blocks": 128}})",
     ": field 'quantize.blocks': unknown field; did you mean 'block'?"},
    {R"({"ops": "linear", "format": [{"elements": "rest", "type": "bf16"}]})",
     ": field 'format': expected a rule of 'pools', got one of ops"},
    {R"({"pools": "*", "optional": true})",
     ": field 'format': expected a setting of pools: 'format' or 'hadamard', "
     "got nothing"},
    {R"({"pools": "*", "result": "bf16"})",
     ": field 'result': expected only 'format' and 'hadamard' in a rule of "
     "'pools', got \"bf16\""},
    {R"({"pools": "*", "only_coded_weights": true, "hadamard": true})",
     ": field 'only_coded_weights': expected a rule of ops, got one of pools"},
    {R"({"pools": "*", "format": "bf16"})",
     ": field 'format': expected a list of segments, got \"bf16\""},
    {R"({"pools": "*", "format": []})",
     ": field 'format': expected a list of segments, got an array of 0"},
    {R"({"pools": "*", "format": ["bf16"]})",
     ": field 'format[0]': expected a segment of the rows, an object, got "
     "\"bf16\""},
    {R"({"pools": "*", "format": [{"elements": "all", "type": "bf16"}]})",
     ": field 'format[0].elements': expected \"rest\", \"rotary\" or a "
     "number, got \"all\""},
    {R"({"pools": "*", "format": [{"type": "bf16"}]})",
     ": field 'format[0].elements': expected \"rest\", \"rotary\" or a "
     "number, got nothing"},
    {R"({"pools": "*", "format": [{"elements": 1.5, "type": "bf16"}]})",
     ": field 'format[0].elements': expected an integer, got 1.5"},
    {R"({"pools": "*", "format": [{"elements": 64, "type": "bf16"},
         {"elements": 64, "type": "f4E2M1FN"}]})",
     ": field 'format[1].block': expected how many elements of type f4E2M1FN "
     "share a scale, got nothing"},
    {R"({"pools": "*", "format":
         [{"elements": 64, "type": "bf16", "block": 32}]})",
     ": field 'format[0].block': expected no scales for elements of type "
     "bf16, got 32"},
    {R"({"pools": "*", "format": [{"elements": "rest", "type": "bf16"},
         {"elements": "rest", "type": "f16"}]})",
     ": field 'format': expected at most one segment of \"rest\", got 2"},
};
INSTANTIATE_TEST_SUITE_P(PolicyReader, RefusedRule, testing::ValuesIn(kRules));

class RefusedPolicy : public testing::TestWithParam<Refusal> {};

TEST_P(RefusedPolicy, IsReportedWithFileAndField) {
  EXPECT_THAT(messageOf(GetParam().text), StartsWith(GetParam().message));
}

const Refusal kPolicies[] = {
    {"{", "'mine.json': expected JSON: "},
    {"[]", "'mine.json': expected a JSON object, got an array of 0"},
    {"", "'mine.json': expected JSON: "},
    {std::string(100000, '['), "'mine.json': expected JSON nested at most "},
    {R"({"name": "mine", "name": "yours", "rules": []})",
     "'mine.json': field 'name': expected one value, got two; remove one"},
    {R"({"rules": []})",
     "'mine.json': field 'name': required, but missing: expected a string"},
    {R"({"name": "", "rules": []})",
     "'mine.json': field 'name': expected a name, got \"\""},
    {R"({"name": "native", "rules": []})",
     "'mine.json': field 'name': expected a name that no built-in policy has, "
     "got \"native\""},
    {R"({"name": "mine"})",
     "'mine.json': field 'rules': expected a list of rules, got nothing"},
    {R"({"name": "mine", "rules": {}})",
     "'mine.json': field 'rules': expected a list of rules, got an object"},
    {R"({"name": "mine", "extends": "natve", "rules": []})",
     "'mine.json': field 'extends': expected one of f32, bf16, native, "
     "native-fast, got "
     "'natve'; did you mean 'native'?"},
    {R"({"name": "mine", "extend": "native", "rules": []})",
     "'mine.json': field 'extend': unknown field; did you mean 'extends'?"},
    {R"({"name": "mine", "rules": [{"ops": "*", "result": "f16"}, {}]})",
     "rule 2 of 'mine.json': field 'ops': expected a selection"},
};
INSTANTIATE_TEST_SUITE_P(PolicyReader, RefusedPolicy,
                         testing::ValuesIn(kPolicies));

TEST(PolicyReader, UnknownNamesOfferTheNearest) {
  auto policy = loadPrecisionPolicy("natve");
  ASSERT_FALSE(bool(policy));
  EXPECT_EQ(llvm::toString(policy.takeError()),
            "precision policy 'natve': expected f32, bf16, native, native-fast "
            "or a .json "
            "file of rules; did you mean 'native'?");
}

TEST(PolicyReader, MissingFilesAreNamed) {
  auto policy = loadPrecisionPolicy("no/such/policy.json");
  ASSERT_FALSE(bool(policy));
  EXPECT_EQ(llvm::toString(policy.takeError()),
            "'no/such/policy.json': No such file or directory");
}

} // namespace
