//===- PrecisionPolicy.cpp - Reads policies -------------------------------===//

#include "passes/Quantize/PrecisionPolicy.h"
#include "varve/Support/NearestName.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/MemoryBuffer.h"
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

/// Ops that a rule may select.
constexpr StringRef kOps[] = {"*",
                              "append",
                              "combine",
                              "compress",
                              "embed",
                              "experts",
                              "grouped_linear",
                              "index_score",
                              "index_topk",
                              "linear",
                              "rms_norm",
                              "rope",
                              "route_hash",
                              "route_topk",
                              "sinkhorn",
                              "stream_expand",
                              "stream_collapse",
                              "stream_mix",
                              "stream_project",
                              "swiglu",
                              "sparse_attention",
                              "take"};

std::string describe(const json::Value &value) {
  return formatv("{0}", value).str();
}

/// Reads the fields of one JSON object; remembers the path for messages.
class ObjectReader {
public:
  ObjectReader(const json::Object &object, std::string where)
      : object(object), where(std::move(where)) {}

  Error error(const llvm::Twine &message) const {
    return createStringError(where + ": " + message);
  }

  Error expectFields(ArrayRef<StringRef> known) const {
    for (const auto &field : object) {
      StringRef name = field.first;
      if (!llvm::is_contained(known, name))
        return error("unknown field '" + name + "'" +
                     ::varve::didYouMean(name, known));
    }
    return Error::success();
  }

  const json::Value *get(StringRef field) const { return object.get(field); }

  Expected<std::optional<bool>> boolean(StringRef field) const {
    const json::Value *value = get(field);
    if (!value)
      return std::nullopt;
    if (std::optional<bool> flag = value->getAsBoolean())
      return flag;
    return error("field '" + field + "': expected true or false, got " +
                 describe(*value));
  }

  Expected<std::optional<int64_t>> positive(StringRef field) const {
    const json::Value *value = get(field);
    if (!value)
      return std::nullopt;
    std::optional<int64_t> number = value->getAsInteger();
    if (number && *number > 0 && *number <= (1 << 24))
      return number;
    return error("field '" + field +
                 "': expected a number from 1 to 16777216, got " +
                 describe(*value));
  }

  Expected<std::optional<NumberType>> type(StringRef field) const {
    const json::Value *value = get(field);
    if (!value)
      return std::nullopt;
    llvm::SmallVector<StringRef> names;
    std::optional<StringRef> text = value->getAsString();
    for (const NamedType &known : kTypes) {
      if (text && *text == known.name)
        return known.type;
      names.push_back(known.name);
    }
    return error("field '" + field + "': expected one of " +
                 llvm::join(names, ", ") + ", got " + describe(*value) +
                 (text ? ::varve::didYouMean(*text, names) : ""));
  }

  Expected<std::vector<std::string>> strings(StringRef field) const {
    std::vector<std::string> result;
    const json::Value *value = get(field);
    if (!value)
      return result;
    if (std::optional<StringRef> single = value->getAsString())
      return std::vector<std::string>{single->str()};
    const json::Array *array = value->getAsArray();
    for (const json::Value &element : array ? *array : json::Array()) {
      std::optional<StringRef> text = element.getAsString();
      if (!text)
        return error("field '" + field + "': expected strings, got " +
                     describe(element));
      result.push_back(text->str());
    }
    if (result.empty())
      return error("field '" + field +
                   "': expected a string or a list of strings, got " +
                   describe(*value));
    return result;
  }

  Expected<std::vector<NameGlob>> globs(StringRef field) const {
    Expected<std::vector<std::string>> texts = strings(field);
    if (!texts)
      return texts.takeError();
    std::vector<NameGlob> patterns;
    for (std::string &element : *texts) {
      auto text = std::make_shared<const std::string>(std::move(element));
      Expected<llvm::GlobPattern> pattern = llvm::GlobPattern::create(*text);
      if (!pattern)
        return error("field '" + field + "': '" + *text +
                     "': " + llvm::toString(pattern.takeError()));
      patterns.push_back({std::move(text), std::move(*pattern)});
    }
    return patterns;
  }

  /// The object in `field` as a reader of its own.
  Expected<std::optional<ObjectReader>> object_(StringRef field) const {
    const json::Value *value = get(field);
    if (!value)
      return std::nullopt;
    if (const json::Object *nested = value->getAsObject())
      return ObjectReader(*nested, where + ": field '" + field.str() + "'");
    return error("field '" + field + "': expected an object, got " +
                 describe(*value));
  }

  StringRef getWhere() const { return where; }

private:
  const json::Object &object;
  std::string where;
};

/// Stores the value of an Expected, or returns its error from the function.
#define READ(target, expression)                                               \
  if (auto value = (expression))                                               \
    target = std::move(*value);                                                \
  else                                                                         \
    return value.takeError()

Expected<BlockFormat> readBlockFormat(const ObjectReader &reader) {
  BlockFormat format;
  std::optional<NumberType> type, scale;
  std::optional<int64_t> block;
  READ(type, reader.type("type"));
  READ(scale, reader.type("scale"));
  READ(block, reader.positive("block"));
  if (!type || *type == NumberType::F8E8M0FNU)
    return reader.error("expected a 'type' that holds values");
  format.type = *type;
  if (isCodeType(*type) != block.has_value())
    return reader.error("expected a 'block' exactly for f8E4M3FN and f4E2M1FN");
  if (scale && *scale != NumberType::F8E8M0FNU && *scale != NumberType::F32)
    return reader.error("expected a 'scale' of type f8E8M0FNU or f32");
  if (scale && !block)
    return reader.error("expected no 'scale' without a 'block'");
  format.scale = scale.value_or(NumberType::F8E8M0FNU);
  format.block = block.value_or(0);
  return format;
}

Expected<SegmentRule> readSegment(const ObjectReader &reader) {
  if (Error error = reader.expectFields({"elements", "type", "scale", "block"}))
    return std::move(error);
  SegmentRule segment;
  const json::Value *elements = reader.get("elements");
  std::optional<StringRef> word =
      elements ? elements->getAsString() : std::nullopt;
  std::optional<int64_t> count =
      elements ? elements->getAsInteger() : std::nullopt;
  if (word && *word == "rest")
    segment.elements = SegmentRule::Elements::Rest;
  else if (word && *word == "rotary")
    segment.elements = SegmentRule::Elements::Rotary;
  else if (count && *count > 0) {
    segment.elements = SegmentRule::Elements::Count;
    segment.count = *count;
  } else {
    return reader.error(
        "field 'elements': expected \"rest\", \"rotary\" or a count, got " +
        (elements ? describe(*elements) : std::string("nothing")));
  }
  READ(segment.format, readBlockFormat(reader));
  return segment;
}

Expected<std::optional<std::vector<SegmentRule>>>
readFormat(const ObjectReader &reader) {
  const json::Value *value = reader.get("format");
  if (!value)
    return std::nullopt;
  const json::Array *array = value->getAsArray();
  if (!array || array->empty())
    return reader.error("field 'format': expected a list of segments, got " +
                        describe(*value));
  std::vector<SegmentRule> segments;
  unsigned rests = 0;
  for (auto [i, element] : llvm::enumerate(*array)) {
    std::string where =
        (reader.getWhere() + ": field 'format', segment " + llvm::Twine(i + 1))
            .str();
    const json::Object *object = element.getAsObject();
    if (!object)
      return createStringError(where + ": expected an object, got " +
                               describe(element));
    Expected<SegmentRule> segment = readSegment(ObjectReader(*object, where));
    if (!segment)
      return segment.takeError();
    rests += segment->elements == SegmentRule::Elements::Rest;
    segments.push_back(*segment);
  }
  if (rests > 1)
    return reader.error(
        "field 'format': expected one segment for the rest, got " +
        llvm::Twine(rests));
  return segments;
}

Error readSelection(const ObjectReader &reader, PrecisionRule &rule) {
  READ(rule.ops, reader.strings("ops"));
  READ(rule.names, reader.globs("names"));
  READ(rule.pools, reader.globs("pools"));
  for (const std::string &op : rule.ops)
    if (!llvm::is_contained(kOps, StringRef(op)))
      return reader.error("field 'ops': unknown op '" + op + "'" +
                          ::varve::didYouMean(op, kOps));
  bool selectsOps = !rule.ops.empty() || !rule.names.empty();
  if (selectsOps == rule.selectsPools())
    return reader.error("expected either 'ops' or 'names', or 'pools'");
  std::optional<bool> coded, optional;
  READ(coded, reader.boolean("only_coded_weights"));
  READ(optional, reader.boolean("optional"));
  rule.onlyCodedWeights = coded.value_or(false);
  rule.optional = optional.value_or(false);
  return Error::success();
}

Error readSettings(const ObjectReader &reader, PrecisionRule &rule) {
  READ(rule.result, reader.type("result"));
  if (rule.result && *rule.result > NumberType::F16)
    return reader.error(
        "field 'result': expected f32, bf16 or f16; codes come from "
        "'quantize'");
  READ(rule.eachStep, reader.boolean("round_each_step"));
  READ(rule.hadamard, reader.boolean("hadamard"));
  READ(rule.block, reader.positive("block"));
  READ(rule.probabilities, reader.type("probabilities"));
  if (rule.probabilities && *rule.probabilities > NumberType::F16)
    return reader.error("field 'probabilities': expected f32, bf16 or f16");
  READ(rule.format, readFormat(reader));
  std::optional<ObjectReader> quantize;
  if (auto nested = reader.object_("quantize"); !nested)
    return nested.takeError();
  else if (nested->has_value()) {
    if (Error error = (*nested)->expectFields({"type", "scale", "block"}))
      return error;
    READ(rule.quantize, readBlockFormat(**nested));
    if (!rule.quantize->block)
      return (*nested)->error("expected f8E4M3FN or f4E2M1FN");
  }
  if (rule.format && !rule.selectsPools())
    return reader.error("field 'format' belongs to a rule of 'pools'");
  if (rule.selectsPools() && (rule.result || rule.eachStep || rule.quantize ||
                              rule.block || rule.probabilities))
    return reader.error(
        "expected only 'format' and 'hadamard' in a rule of 'pools'");
  return Error::success();
}

Expected<PrecisionRule> readRule(const json::Value &value, unsigned number,
                                 StringRef source) {
  std::string where = formatv("{0}: rule {1}", source, number).str();
  const json::Object *object = value.getAsObject();
  if (!object)
    return createStringError(where + ": expected an object, got " +
                             describe(value));
  ObjectReader reader(*object, where);
  if (Error error = reader.expectFields(
          {"comment", "ops", "names", "pools", "only_coded_weights", "optional",
           "result", "round_each_step", "quantize", "hadamard", "block",
           "probabilities", "format"}))
    return std::move(error);
  PrecisionRule rule;
  rule.number = number;
  if (Error error = readSelection(reader, rule))
    return std::move(error);
  if (Error error = readSettings(reader, rule))
    return std::move(error);
  return rule;
}

#undef READ

struct BuiltinPolicy {
  StringRef name, text;
};

constexpr BuiltinPolicy kBuiltins[] = {
    {"f32", f32Json}, {"bf16", bf16Json}, {"native", nativeJson}};

constexpr std::array<StringRef, 3> kBuiltinNames = {"f32", "bf16", "native"};

} // namespace

ArrayRef<StringRef> mlir::varve::builtinPolicyNames() { return kBuiltinNames; }

Expected<PrecisionPolicy> mlir::varve::parsePrecisionPolicy(StringRef text,
                                                            StringRef source) {
  Expected<json::Value> value = json::parse(text);
  if (!value)
    return createStringError(source + ": " + llvm::toString(value.takeError()));
  const json::Object *object = value->getAsObject();
  if (!object)
    return createStringError(source + ": expected an object, got " +
                             describe(*value));
  ObjectReader reader(*object, source.str());
  if (Error error = reader.expectFields({"name", "comment", "rules"}))
    return std::move(error);
  PrecisionPolicy policy;
  policy.source = source.str();
  std::optional<StringRef> name = object->getString("name");
  if (!name || name->empty())
    return reader.error("expected a field 'name' that is a string");
  policy.name = name->str();
  const json::Array *rules = object->getArray("rules");
  if (!rules)
    return reader.error("expected a field 'rules' that is a list");
  for (auto [i, element] : llvm::enumerate(*rules)) {
    Expected<PrecisionRule> rule = readRule(element, i + 1, source);
    if (!rule)
      return rule.takeError();
    policy.rules.push_back(std::move(*rule));
  }
  return policy;
}

Expected<PrecisionPolicy> mlir::varve::loadPrecisionPolicy(StringRef name) {
  for (const BuiltinPolicy &builtin : kBuiltins)
    if (name == builtin.name)
      return parsePrecisionPolicy(builtin.text,
                                  ("built-in policy '" + name + "'").str());
  if (!name.ends_with(".json"))
    return createStringError("precision policy '" + name + "': expected " +
                             llvm::join(kBuiltinNames, ", ") +
                             " or a .json file of rules" +
                             ::varve::didYouMean(name, kBuiltinNames));
  auto buffer = llvm::MemoryBuffer::getFile(name, /*IsText=*/true);
  if (!buffer)
    return createStringError("'" + name + "': " + buffer.getError().message());
  return parsePrecisionPolicy((*buffer)->getBuffer(), ("'" + name + "'").str());
}
