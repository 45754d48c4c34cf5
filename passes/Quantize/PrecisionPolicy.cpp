//===- PrecisionPolicy.cpp - Reads policies -------------------------------===//

#include "passes/Quantize/PrecisionPolicy.h"
#include "lib/Support/JsonFields.h"
#include "varve/Support/NearestName.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/xxhash.h"
#include <array>

#include "passes/Quantize/EmbeddedPolicies.inc"

using namespace mlir::varve;
namespace json = llvm::json;
using llvm::ArrayRef;
using llvm::createStringError;
using llvm::Error;
using llvm::Expected;
using llvm::formatv;
using llvm::StringRef;
using llvm::Twine;
using ::varve::describeJson;
using ::varve::didYouMean;
using ::varve::FirstError;
using ::varve::JsonFields;

//===----------------------------------------------------------------------===//
// Vocabulary
//===----------------------------------------------------------------------===//

namespace {

struct NamedType {
  StringRef name;
  NumberType type;
};

constexpr NamedType kTypes[] = {
    {"f32", NumberType::F32},           {"bf16", NumberType::BF16},
    {"f16", NumberType::F16},           {"f8E4M3FN", NumberType::F8E4M3FN},
    {"f4E2M1FN", NumberType::F4E2M1FN}, {"f8E8M0FNU", NumberType::F8E8M0FNU},
};

/// Types that a value between ops, a code, or a scale may have.
constexpr NumberType kPlainTypes[] = {NumberType::F32, NumberType::BF16,
                                      NumberType::F16};
constexpr NumberType kCodeTypes[] = {NumberType::F8E4M3FN,
                                     NumberType::F4E2M1FN};
constexpr NumberType kValueTypes[] = {NumberType::F32, NumberType::BF16,
                                      NumberType::F16, NumberType::F8E4M3FN,
                                      NumberType::F4E2M1FN};
constexpr NumberType kScaleTypes[] = {NumberType::F8E8M0FNU, NumberType::F32};

/// Why an op kind has no settings.
constexpr StringRef kFollows = "its result has its operand's element type";
constexpr StringRef kFixed = "its results have fixed types";
constexpr StringRef kRoundsToPool = "a rule of 'pools' says how it rounds";

struct OpKind {
  StringRef name;
  unsigned settings;
  StringRef whyNone = "";
};

constexpr OpKind kOpKinds[] = {
    {"append", 0, kRoundsToPool},
    {"combine", kSetsResult},
    {"compress", kSetsResult},
    {"dequantize", kSetsResult},
    {"embed", kSetsResult},
    {"experts", kSetsResult | kSetsQuantize | kSetsSums},
    {"grouped_linear", kSetsResult | kSetsQuantize | kSetsSums},
    {"hadamard", 0, kFollows},
    {"index_score",
     kSetsResult | kSetsQuantize | kSetsHadamard | kSetsRounding},
    {"index_topk", 0, kFixed},
    {"linear", kSetsResult | kSetsQuantize | kSetsSums},
    {"quantize", 0, kFixed},
    {"rms_norm", kSetsResult | kSetsRounding},
    {"rope", 0, kFollows},
    {"route_hash", 0, kFixed},
    {"route_topk", 0, kFixed},
    {"sample", 0, kFixed},
    {"sinkhorn", 0, kFixed},
    {"sparse_attention", kSetsResult | kSetsAttention},
    {"stream_collapse", kSetsResult},
    {"stream_expand", 0, kFollows},
    {"stream_mix", kSetsResult},
    {"stream_project", 0, kFixed},
    {"swiglu", kSetsResult},
    {"take", 0, kFollows},
};

const OpKind *findKind(StringRef name) {
  const OpKind *kind =
      llvm::find_if(kOpKinds, [&](const OpKind &k) { return k.name == name; });
  return kind == std::end(kOpKinds) ? nullptr : kind;
}

struct SettingField {
  StringRef name;
  unsigned setting;
};

constexpr SettingField kSettingFields[] = {
    {"result", kSetsResult},     {"quantize", kSetsQuantize},
    {"hadamard", kSetsHadamard}, {"round_each_step", kSetsRounding},
    {"block", kSetsAttention},   {"probabilities", kSetsAttention},
    {"short_sums", kSetsSums},
};

/// The largest block or element count: beyond any model, far from overflow.
constexpr int64_t kMaxElements = int64_t(1) << 24;

} // namespace

StringRef mlir::varve::stringifyNumberType(NumberType type) {
  for (const NamedType &known : kTypes)
    if (known.type == type)
      return known.name;
  llvm_unreachable("every number type has a name");
}

unsigned mlir::varve::settingsOfKind(StringRef op) {
  const OpKind *kind = findKind(op);
  return kind ? kind->settings : 0;
}

unsigned PrecisionRule::getOpSettings() const {
  return (result ? kSetsResult : 0) | (quantize ? kSetsQuantize : 0) |
         (hadamard ? kSetsHadamard : 0) | (eachStep ? kSetsRounding : 0) |
         (block || probabilities ? kSetsAttention : 0) |
         (shortSums ? kSetsSums : 0);
}

//===----------------------------------------------------------------------===//
// One rule
//===----------------------------------------------------------------------===//

namespace {

/// Reads one rule; mistakes go to `errors`.
class RuleReader {
public:
  RuleReader(const json::Object &object, FirstError &errors)
      : object(object), fields(object, "", errors), errors(errors) {}

  PrecisionRule read() {
    fields.refuseUnknown({"comment", "ops", "names", "pools",
                          "only_coded_weights", "optional", "result",
                          "round_each_step", "quantize", "hadamard", "block",
                          "probabilities", "short_sums", "format"});
    fields.string("comment");
    readSelection();
    readSettings();
    if (!errors)
      checkSettings();
    return std::move(rule);
  }

private:
  void readSelection();
  void readSettings();
  void checkSettings();
  std::vector<std::string> texts(StringRef field);
  std::vector<NameGlob> globs(StringRef field);
  std::optional<NumberType> type(const JsonFields &in, StringRef field,
                                 ArrayRef<NumberType> allowed);
  std::optional<int64_t> count(const JsonFields &in, StringRef field);
  BlockFormat blockFormat(const JsonFields &in, ArrayRef<NumberType> types);
  SegmentRule segment(const json::Value &value, const Twine &path);
  std::vector<SegmentRule> format(const json::Value &value);

  const json::Object &object;
  JsonFields fields;
  FirstError &errors;
  PrecisionRule rule;
};

/// A string or a list of at least one.
std::vector<std::string> RuleReader::texts(StringRef field) {
  const json::Value *value = object.get(field);
  if (!value)
    return {};
  if (std::optional<StringRef> single = value->getAsString())
    return {single->str()};
  std::vector<std::string> result;
  const json::Array *array = value->getAsArray();
  for (size_t i = 0; array && i < array->size(); ++i) {
    std::optional<StringRef> text = (*array)[i].getAsString();
    if (!text) {
      fields.mismatch(formatv("{0}[{1}]", field, i).str(), "a string",
                      describeJson((*array)[i]));
      return {};
    }
    result.push_back(text->str());
  }
  if (result.empty())
    fields.mismatch(field, "a string or a list of strings");
  return result;
}

std::vector<NameGlob> RuleReader::globs(StringRef field) {
  std::vector<NameGlob> patterns;
  for (std::string &element : texts(field)) {
    auto text = std::make_shared<const std::string>(std::move(element));
    // No more alternatives in braces than a model has names.
    Expected<llvm::GlobPattern> pattern =
        llvm::GlobPattern::create(*text, /*MaxSubPatterns=*/1024);
    if (!pattern) {
      std::string reason = llvm::toString(pattern.takeError());
      fields.mismatch(field, "a name with '*', '?' and '[...]'",
                      "'" + *text + "': " + reason);
      return {};
    }
    patterns.push_back({std::move(text), std::move(*pattern)});
  }
  return patterns;
}

void RuleReader::readSelection() {
  rule.ops = texts("ops");
  rule.names = globs("names");
  rule.pools = globs("pools");
  rule.onlyCodedWeights = fields.boolean("only_coded_weights").value_or(false);
  rule.optional = fields.boolean("optional").value_or(false);
  if (errors)
    return;
  for (StringRef op : rule.ops) {
    if (op == "*" || findKind(op))
      continue;
    llvm::SmallVector<StringRef> known;
    for (const OpKind &kind : kOpKinds)
      known.push_back(kind.name);
    fields.mismatch("ops", "a kind of op",
                    "'" + op + "'" + didYouMean(op, known));
  }
  bool selectsOps = !rule.ops.empty() || !rule.names.empty();
  if (!selectsOps && !rule.selectsPools())
    fields.mismatch("ops", "a selection by 'ops', 'names' or 'pools'");
  else if (selectsOps && rule.selectsPools())
    fields.mismatch("pools", "no selection of pools in a rule of ops",
                    "both; make it two rules");
  else if (rule.selectsPools() && rule.onlyCodedWeights)
    fields.mismatch("only_coded_weights", "a rule of ops", "one of pools");
}

std::optional<NumberType> RuleReader::type(const JsonFields &in,
                                           StringRef field,
                                           ArrayRef<NumberType> allowed) {
  std::optional<StringRef> text = in.string(field);
  if (!text)
    return std::nullopt;
  llvm::SmallVector<StringRef> names;
  for (NumberType type : allowed) {
    names.push_back(stringifyNumberType(type));
    if (*text == names.back())
      return type;
  }
  in.mismatch(field, "one of " + llvm::join(names, ", "),
              "'" + *text + "'" + didYouMean(*text, names));
  return std::nullopt;
}

std::optional<int64_t> RuleReader::count(const JsonFields &in,
                                         StringRef field) {
  std::optional<int64_t> number = in.integer(field);
  if (number && (*number < 1 || *number > kMaxElements)) {
    in.mismatch(field, formatv("a number from 1 to {0}", kMaxElements).str());
    return std::nullopt;
  }
  return number;
}

/// `type`, and for codes `block` and `scale`.
BlockFormat RuleReader::blockFormat(const JsonFields &in,
                                    ArrayRef<NumberType> types) {
  BlockFormat result;
  in.requiredString("type");
  result.type = type(in, "type", types).value_or(NumberType::F32);
  std::optional<int64_t> block = count(in, "block");
  std::optional<NumberType> scale = type(in, "scale", kScaleTypes);
  if (errors)
    return result;
  StringRef name = stringifyNumberType(result.type);
  if (isCodeType(result.type)) {
    if (!block)
      in.mismatch("block",
                  "how many elements of type " + name + " share a scale");
    result.block = block.value_or(1);
    result.scale = scale.value_or(NumberType::F8E8M0FNU);
  } else if (block || scale) {
    in.mismatch(block ? "block" : "scale",
                "no scales for elements of type " + name);
  }
  return result;
}

SegmentRule RuleReader::segment(const json::Value &value, const Twine &path) {
  SegmentRule result;
  const json::Object *element = value.getAsObject();
  if (!element) {
    fields.mismatch(path.str(), "a segment of the rows, an object",
                    describeJson(value));
    return result;
  }
  JsonFields in(*element, (path + ".").str(), errors);
  in.refuseUnknown({"elements", "type", "block", "scale"});
  const json::Value *elements = element->get("elements");
  std::optional<StringRef> word =
      elements ? elements->getAsString() : std::nullopt;
  if (word && *word == "rest")
    result.elements = SegmentRule::Elements::Rest;
  else if (word && *word == "rotary")
    result.elements = SegmentRule::Elements::Rotary;
  else if (elements && !word) {
    result.elements = SegmentRule::Elements::Count;
    result.count = count(in, "elements").value_or(1);
  } else {
    in.mismatch("elements", "\"rest\", \"rotary\" or a number");
  }
  result.format = blockFormat(in, kValueTypes);
  return result;
}

std::vector<SegmentRule> RuleReader::format(const json::Value &value) {
  const json::Array *array = value.getAsArray();
  if (!array || array->empty()) {
    fields.mismatch("format", "a list of segments");
    return {};
  }
  std::vector<SegmentRule> segments;
  unsigned rests = 0;
  for (auto [i, element] : llvm::enumerate(*array)) {
    segments.push_back(segment(element, "format[" + Twine(i) + "]"));
    rests += segments.back().elements == SegmentRule::Elements::Rest;
  }
  if (rests > 1)
    fields.mismatch("format", "at most one segment of \"rest\"", Twine(rests));
  return segments;
}

void RuleReader::readSettings() {
  rule.result = type(fields, "result", kPlainTypes);
  rule.probabilities = type(fields, "probabilities", kPlainTypes);
  rule.eachStep = fields.boolean("round_each_step");
  rule.hadamard = fields.boolean("hadamard");
  rule.shortSums = fields.boolean("short_sums");
  auto isNone = [&](StringRef field) {
    const json::Value *value = object.get(field);
    return value && value->getAsString() == StringRef("none");
  };
  if (isNone("block"))
    rule.block = 0;
  else
    rule.block = count(fields, "block");
  if (isNone("quantize")) {
    rule.quantize = BlockFormat();
  } else if (std::optional<JsonFields> in = fields.nested("quantize")) {
    in->refuseUnknown({"type", "block", "scale"});
    rule.quantize = blockFormat(*in, kCodeTypes);
  }
  if (const json::Value *value = object.get("format"))
    rule.format = format(*value);
}

/// The rule sets something, and only what its selection has.
void RuleReader::checkSettings() {
  if (rule.selectsPools()) {
    for (const SettingField &field : kSettingFields)
      if (field.setting != kSetsHadamard && fields.has(field.name))
        return fields.mismatch(
            field.name, "only 'format' and 'hadamard' in a rule of 'pools'");
    if (!rule.format && !rule.hadamard)
      fields.mismatch("format", "a setting of pools: 'format' or 'hadamard'");
    return;
  }
  if (rule.format)
    return fields.mismatch("format", "a rule of 'pools'", "one of ops");
  if (!rule.getOpSettings())
    return fields.mismatch(
        "result", "a setting of ops: 'result', 'quantize', 'hadamard', "
                  "'round_each_step', 'block', 'probabilities' or "
                  "'short_sums'");
  for (StringRef op : rule.ops) {
    const OpKind *kind = findKind(op);
    for (const SettingField &field : kSettingFields) {
      if (!kind || !fields.has(field.name) || (kind->settings & field.setting))
        continue;
      llvm::SmallVector<StringRef> having;
      for (const OpKind &other : kOpKinds)
        if (other.settings & field.setting)
          having.push_back(other.name);
      return fields.mismatch(
          field.name,
          "ops that have this setting (" + llvm::join(having, ", ") + ")",
          "'" + op + "'" +
              (kind->whyNone.empty()
                   ? ""
                   : ", of which nothing can be set: " + kind->whyNone));
    }
  }
}

//===----------------------------------------------------------------------===//
// Policies
//===----------------------------------------------------------------------===//

struct BuiltinPolicy {
  StringRef name, text;
};

constexpr BuiltinPolicy kBuiltins[] = {{"f32", f32Json},
                                       {"bf16", bf16Json},
                                       {"native", nativeJson},
                                       {"native-fast", nativeFastJson}};

constexpr std::array<StringRef, 4> kBuiltinNames = {"f32", "bf16", "native",
                                                    "native-fast"};

const BuiltinPolicy *findBuiltin(StringRef name) {
  const BuiltinPolicy *found = llvm::find_if(
      kBuiltins, [&](const BuiltinPolicy &b) { return b.name == name; });
  return found == std::end(kBuiltins) ? nullptr : found;
}

Error readRules(const json::Object &object, PrecisionPolicy &policy) {
  FirstError errors(policy.source);
  JsonFields fields(object, "", errors);
  const json::Array *rules = object.getArray("rules");
  if (!rules) {
    fields.mismatch("rules", "a list of rules");
    return errors.take();
  }
  for (auto [i, element] : llvm::enumerate(*rules)) {
    std::string title = formatv("rule {0} of {1}", i + 1, policy.source);
    FirstError ruleErrors(title);
    const json::Object *rule = element.getAsObject();
    if (!rule)
      return createStringError(title + ": expected an object, got " +
                               describeJson(element));
    policy.rules.push_back(RuleReader(*rule, ruleErrors).read());
    policy.rules.back().title = title;
    if (ruleErrors)
      return ruleErrors.take();
  }
  return Error::success();
}

/// Reads the text of a built-in policy or of a user's file.
Expected<PrecisionPolicy> readPolicy(StringRef text, StringRef source,
                                     bool isBuiltin) {
  Expected<json::Object> object = ::varve::parseJsonObject(text, source);
  if (!object)
    return object.takeError();
  FirstError errors(source);
  JsonFields fields(*object, "", errors);
  fields.refuseUnknown({"name", "comment", "extends", "rules"});
  fields.string("comment");
  StringRef name = fields.requiredString("name");
  std::optional<StringRef> base = fields.string("extends");
  if (!errors && name.empty())
    fields.mismatch("name", "a name");
  if (!errors && !isBuiltin && findBuiltin(name))
    fields.mismatch("name", "a name that no built-in policy has");
  if (!errors && base && !findBuiltin(*base))
    fields.mismatch("extends", "one of " + llvm::join(kBuiltinNames, ", "),
                    "'" + *base + "'" + didYouMean(*base, kBuiltinNames));
  if (errors)
    return errors.take();

  PrecisionPolicy policy;
  policy.identity = name.str();
  if (base) {
    Expected<PrecisionPolicy> loaded = loadPrecisionPolicy(*base);
    if (!loaded)
      return loaded;
    policy.rules = std::move(loaded->rules);
  }
  if (!isBuiltin) {
    // Of the content, whatever the layout: fields are written in order.
    std::string content = formatv("{0}", json::Value(json::Object(*object)));
    auto digest = static_cast<uint32_t>(llvm::xxh3_64bits(content));
    policy.identity += "@" + llvm::utohexstr(digest, /*LowerCase=*/true, 8);
  }
  policy.source = source.str();
  if (Error error = readRules(*object, policy))
    return std::move(error);
  return policy;
}

} // namespace

ArrayRef<StringRef> mlir::varve::builtinPolicyNames() { return kBuiltinNames; }

Expected<PrecisionPolicy> mlir::varve::parsePrecisionPolicy(StringRef text,
                                                            StringRef source) {
  return readPolicy(text, source, /*isBuiltin=*/false);
}

Expected<PrecisionPolicy> mlir::varve::loadPrecisionPolicy(StringRef name) {
  if (const BuiltinPolicy *builtin = findBuiltin(name))
    return readPolicy(builtin->text, ("policy '" + name + "'").str(),
                      /*isBuiltin=*/true);
  if (!name.ends_with(".json"))
    return createStringError("precision policy '" + name + "': expected " +
                             llvm::join(kBuiltinNames, ", ") +
                             " or a .json file of rules" +
                             didYouMean(name, kBuiltinNames));
  auto buffer = llvm::MemoryBuffer::getFile(name, /*IsText=*/true);
  if (!buffer)
    return createStringError("'" + name + "': " + buffer.getError().message());
  return parsePrecisionPolicy((*buffer)->getBuffer(), ("'" + name + "'").str());
}
