//===- JsonFields.cpp - Checked access to the fields of a JSON object -----===//

#include "lib/Support/JsonFields.h"
#include "varve/Support/NearestName.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/FormatVariadic.h"
#include <cmath>

using namespace llvm;

namespace varve {

/// Deeper than any real configuration (4), shallow enough for llvm::json,
/// which descends one stack frame a level.
static constexpr unsigned maxNesting = 32;

namespace {
/// Walks the structure of JSON text without recursion. On text that is not
/// valid JSON it still terminates, and what it finds does not matter because
/// the parser refuses the text.
class StructureScanner {
public:
  explicit StructureScanner(StringRef text) : rest(text) {}

  /// The first field name that occurs twice in one object, as a path, or
  /// nothing. Sets `tooDeep` instead when the nesting exceeds the limit.
  std::optional<std::string> findDuplicate(bool &tooDeep);

private:
  struct Level {
    bool isObject;
    StringSet<> names;
    std::string currentName;
  };

  /// Consumes a string token, `rest` behind its opening quote.
  StringRef takeString();
  std::string pathTo(StringRef name) const;

  StringRef rest;
  std::vector<Level> levels;
};
} // namespace

StringRef StructureScanner::takeString() {
  size_t end = 0;
  while (end < rest.size() && rest[end] != '"')
    end += rest[end] == '\\' ? 2 : 1;
  end = std::min(end, rest.size());
  StringRef body = rest.take_front(end);
  rest = rest.drop_front(std::min(end + 1, rest.size()));
  return body;
}

std::string StructureScanner::pathTo(StringRef name) const {
  std::string path;
  for (const Level &level : ArrayRef(levels).drop_back())
    if (level.isObject)
      path += level.currentName + ".";
  return path + name.str();
}

/// The name that the string token `body` spells.
static std::string decodeName(StringRef body) {
  if (!body.contains('\\'))
    return body.str();
  Expected<json::Value> value = json::parse(("\"" + body + "\"").str());
  if (value)
    if (std::optional<StringRef> name = value->getAsString())
      return name->str();
  if (!value)
    consumeError(value.takeError());
  return body.str();
}

std::optional<std::string> StructureScanner::findDuplicate(bool &tooDeep) {
  tooDeep = false;
  while (!rest.empty()) {
    char c = rest.front();
    rest = rest.drop_front();
    if (c == '{' || c == '[') {
      levels.push_back({c == '{', {}, {}});
      if (levels.size() > maxNesting) {
        tooDeep = true;
        return std::nullopt;
      }
    } else if ((c == '}' || c == ']') && !levels.empty()) {
      levels.pop_back();
    } else if (c == '"') {
      StringRef body = takeString();
      // A string followed by a colon is a name.
      if (!rest.ltrim(" \t\r\n").starts_with(":") || levels.empty())
        continue;
      std::string name = decodeName(body);
      if (!levels.back().names.insert(name).second)
        return pathTo(name);
      levels.back().currentName = std::move(name);
    }
  }
  return std::nullopt;
}

Expected<json::Object> parseJsonObject(StringRef text, StringRef fileName) {
  bool tooDeep;
  std::optional<std::string> duplicate =
      StructureScanner(text).findDuplicate(tooDeep);
  if (tooDeep)
    return createStringError(
        formatv("{0}: expected JSON nested at most {1} deep", fileName,
                maxNesting)
            .str());
  Expected<json::Value> value = json::parse(text);
  if (!value)
    return createStringError(formatv("{0}: expected JSON: {1}", fileName,
                                     toString(value.takeError()))
                                 .str());
  if (duplicate)
    return createStringError(
        formatv("{0}: field '{1}': expected one value, got two; remove one",
                fileName, *duplicate)
            .str());
  json::Object *object = value->getAsObject();
  if (!object)
    return createStringError(formatv("{0}: expected a JSON object, got {1}",
                                     fileName, describeJson(*value))
                                 .str());
  return std::move(*object);
}

std::string quoted(StringRef text) {
  std::string shown = "\"";
  raw_string_ostream os(shown);
  printEscapedString(text.take_front(40), os);
  os << (text.size() > 40 ? "...\"" : "\"");
  return shown;
}

std::string describeJson(const json::Value &value) {
  if (const json::Array *array = value.getAsArray())
    return formatv("an array of {0}", array->size());
  if (value.getAsObject())
    return "an object";
  if (std::optional<StringRef> text = value.getAsString())
    return quoted(*text);
  if (std::optional<double> number = value.getAsNumber();
      number && !value.getAsInteger())
    return shortestDecimal(*number);
  return formatv("{0}", value);
}

std::string shortestDecimal(double number) {
  if (std::fabs(number) < 1e15 && std::trunc(number) == number)
    return formatv("{0}", static_cast<int64_t>(number));
  for (int digits = 1; digits < 17; ++digits) {
    SmallString<32> text;
    raw_svector_ostream(text) << format("%.*g", digits, number);
    double back;
    if (!StringRef(text).getAsDouble(back) && back == number)
      return text.str().str();
  }
  std::string text;
  raw_string_ostream(text) << format("%.17g", number);
  return text;
}

std::optional<int64_t> exactInteger(const json::Value &value) {
  // getAsInteger converts doubles near 2^63 out of range: look first.
  std::optional<double> number = value.getAsNumber();
  if (!number || !(std::fabs(*number) <= 9007199254740992.0))
    return std::nullopt;
  return value.getAsInteger();
}

void FirstError::report(StringRef path, const Twine &text) {
  if (message.empty())
    message = formatv("{0}: field '{1}': {2}", fileName, path.take_front(120),
                      text.str());
}

Error FirstError::take() const {
  return message.empty() ? Error::success() : createStringError(message);
}

const json::Value *JsonFields::find(StringRef name) const {
  const json::Value *value = object->get(name);
  return value && value->kind() != json::Value::Null ? value : nullptr;
}

bool JsonFields::has(StringRef name) const { return find(name); }

void JsonFields::mismatch(StringRef name, const Twine &expected) const {
  const json::Value *value = object->get(name);
  mismatch(name, expected, value ? describeJson(*value) : "nothing");
}

void JsonFields::mismatch(StringRef name, const Twine &expected,
                          const Twine &got) const {
  errors->report(pathOf(name), "expected " + expected + ", got " + got);
}

void JsonFields::missing(StringRef name, StringRef what) const {
  if (object->get(name))
    mismatch(name, what);
  else
    errors->report(pathOf(name), "required, but missing: expected " + what);
}

std::optional<int64_t> JsonFields::integer(StringRef name) const {
  const json::Value *value = find(name);
  if (!value)
    return std::nullopt;
  std::optional<int64_t> result = exactInteger(*value);
  if (!result)
    mismatch(name, "an integer");
  return result;
}

std::optional<double> JsonFields::number(StringRef name) const {
  const json::Value *value = find(name);
  if (!value)
    return std::nullopt;
  std::optional<double> result = value->getAsNumber();
  if (!result || !std::isfinite(*result)) {
    mismatch(name, "a finite number");
    return std::nullopt;
  }
  return result;
}

std::optional<bool> JsonFields::boolean(StringRef name) const {
  const json::Value *value = find(name);
  if (!value)
    return std::nullopt;
  std::optional<bool> result = value->getAsBoolean();
  if (!result)
    mismatch(name, "true or false");
  return result;
}

std::optional<StringRef> JsonFields::string(StringRef name) const {
  const json::Value *value = find(name);
  if (!value)
    return std::nullopt;
  std::optional<StringRef> result = value->getAsString();
  if (!result)
    mismatch(name, "a string");
  return result;
}

std::optional<std::vector<int64_t>> JsonFields::integers(StringRef name) const {
  const json::Value *value = find(name);
  if (!value)
    return std::nullopt;
  const json::Array *array = value->getAsArray();
  if (!array) {
    mismatch(name, "an array of integers");
    return std::nullopt;
  }
  std::vector<int64_t> result;
  for (auto [index, element] : enumerate(*array)) {
    std::optional<int64_t> number = exactInteger(element);
    if (!number) {
      mismatch(formatv("{0}[{1}]", name, index).str(), "an integer",
               describeJson(element));
      return std::nullopt;
    }
    result.push_back(*number);
  }
  return result;
}

std::optional<std::vector<StringRef>>
JsonFields::strings(StringRef name) const {
  const json::Value *value = find(name);
  if (!value)
    return std::nullopt;
  const json::Array *array = value->getAsArray();
  if (!array) {
    mismatch(name, "an array of strings");
    return std::nullopt;
  }
  std::vector<StringRef> result;
  for (auto [index, element] : enumerate(*array)) {
    std::optional<StringRef> text = element.getAsString();
    if (!text) {
      mismatch(formatv("{0}[{1}]", name, index).str(), "a string",
               describeJson(element));
      return std::nullopt;
    }
    result.push_back(*text);
  }
  return result;
}

std::optional<JsonFields> JsonFields::nested(StringRef name) const {
  const json::Value *value = find(name);
  if (!value)
    return std::nullopt;
  const json::Object *inner = value->getAsObject();
  if (!inner) {
    mismatch(name, "an object");
    return std::nullopt;
  }
  return JsonFields(*inner, pathOf(name + "."), *errors);
}

int64_t JsonFields::requiredInteger(StringRef name) const {
  if (!has(name))
    missing(name, "an integer");
  return integer(name).value_or(0);
}

double JsonFields::requiredNumber(StringRef name) const {
  if (!has(name))
    missing(name, "a finite number");
  return number(name).value_or(0);
}

StringRef JsonFields::requiredString(StringRef name) const {
  if (!has(name))
    missing(name, "a string");
  return string(name).value_or("");
}

void JsonFields::refuseUnknown(ArrayRef<StringRef> known) const {
  // Objects are hash tables: sort, so that the same file gives the same text.
  std::vector<StringRef> names;
  for (const auto &field : *object)
    names.push_back(field.first);
  llvm::sort(names);
  for (StringRef name : names)
    if (!name.starts_with("_") && !is_contained(known, name))
      errors->report(pathOf(name), "unknown field" + didYouMean(name, known));
}

} // namespace varve
