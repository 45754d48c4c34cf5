//===- QueryFile.cpp - Mixes from a JSON file -----------------------------===//

#include "lib/Explore/Query.h"
#include "lib/Support/JsonFields.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/MemoryBuffer.h"

using namespace llvm;

namespace varve {

namespace {
class QueryReader {
public:
  QueryReader(const json::Object &root, StringRef source, Query &query)
      : root(root), errors(source), query(query) {}

  Error read();

private:
  void readLists(const JsonFields &fields);
  void readSettings(const json::Value &value, StringRef path,
                    std::vector<Axis> &axes);
  void readMixes(const json::Value &value);
  std::string readLayers(const json::Value &value, StringRef path);
  std::string readScalar(const json::Value &value, StringRef path);
  /// The elements of an array, or the value alone.
  SmallVector<const json::Value *> elements(const json::Value &value);

  const json::Object &root;
  FirstError errors;
  Query &query;
};
} // namespace

std::string QueryReader::readScalar(const json::Value &value, StringRef path) {
  if (std::optional<StringRef> text = value.getAsString())
    return text->str();
  if (std::optional<int64_t> number = exactInteger(value))
    return itostr(*number);
  if (std::optional<double> number = value.getAsNumber())
    return shortestDecimal(*number);
  if (std::optional<bool> flag = value.getAsBoolean())
    return *flag ? "true" : "false";
  errors.report(path, "expected a string, a number or a boolean, got " +
                          describeJson(value));
  return "";
}

SmallVector<const json::Value *>
QueryReader::elements(const json::Value &value) {
  SmallVector<const json::Value *> result;
  if (const json::Array *array = value.getAsArray())
    for (const json::Value &element : *array)
      result.push_back(&element);
  else
    result.push_back(&value);
  return result;
}

/// A pattern, or one element a layer: "S", "C", "H", or with a ratio "C@8".
std::string QueryReader::readLayers(const json::Value &value, StringRef path) {
  const json::Array *array = value.getAsArray();
  if (!array)
    return readScalar(value, path);
  std::string text = utostr(array->size()) + "|";
  for (auto [index, element] : enumerate(*array))
    text +=
        (index ? "+" : "") + utostr(index) + ":" + readScalar(element, path);
  return text;
}

void QueryReader::readSettings(const json::Value &value, StringRef path,
                               std::vector<Axis> &axes) {
  const json::Object *object = value.getAsObject();
  if (!object)
    return errors.report(path,
                         "expected an object, got " + describeJson(value));
  for (const auto &[name, values] : *object) {
    Axis axis{name.str(), {}};
    for (const json::Value *element : elements(values))
      axis.values.push_back(
          readScalar(*element, (path + "." + StringRef(name)).str()));
    if (axis.values.empty())
      errors.report((path + "." + StringRef(name)).str(),
                    "expected at least one value, got none");
    axes.push_back(std::move(axis));
  }
  // The order of an object's fields is not that of the file.
  llvm::sort(axes,
             [](const Axis &a, const Axis &b) { return a.name < b.name; });
}

void QueryReader::readMixes(const json::Value &value) {
  for (auto [index, element] : enumerate(elements(value))) {
    std::string path = ("mixes[" + Twine(index) + "]").str();
    const json::Object *object = element->getAsObject();
    if (!object)
      return errors.report(path,
                           "expected an object, got " + describeJson(*element));
    JsonFields fields(*object, path + ".", errors);
    fields.refuseUnknown({"model", "layers", "set"});
    Mix mix;
    mix.model = fields.requiredString("model").str();
    if (const json::Value *layers = object->get("layers"))
      mix.layers = readLayers(*layers, path + ".layers");
    if (const json::Value *set = object->get("set")) {
      std::vector<Axis> axes;
      readSettings(*set, path + ".set", axes);
      for (const Axis &axis : axes) {
        if (axis.values.size() != 1)
          return errors.report(path + ".set." + axis.name,
                               "expected one value, got " +
                                   Twine(axis.values.size()));
        mix.settings.push_back({axis.name, axis.values.front()});
      }
    }
    query.mixes.push_back(std::move(mix));
  }
}

void QueryReader::readLists(const JsonFields &fields) {
  auto readCounts = [&](StringRef name, std::vector<int64_t> &counts) {
    const json::Value *value = root.get(name);
    if (!value)
      return;
    counts.clear();
    for (const json::Value *element : elements(*value)) {
      Expected<std::vector<int64_t>> parsed =
          parseCounts(readScalar(*element, name));
      if (!parsed)
        return errors.report(name, toString(parsed.takeError()));
      llvm::append_range(counts, *parsed);
    }
  };
  auto readNames = [&](StringRef name, std::vector<std::string> &names) {
    const json::Value *value = root.get(name);
    if (!value)
      return;
    names.clear();
    for (const json::Value *element : elements(*value))
      names.push_back(readScalar(*element, name));
  };
  readNames("models", query.models);
  readNames("target", query.targets);
  readCounts("context", query.contexts);
  readCounts("batch", query.batches);
  if (std::optional<int64_t> tokens = fields.integer("tokens"))
    query.tokens = *tokens;
  if (std::optional<StringRef> precision = fields.string("precision"))
    query.precision = precision->str();
  if (const json::Value *layers = root.get("layers")) {
    query.layers.clear();
    for (const json::Value *element : elements(*layers))
      query.layers.push_back(readLayers(*element, "layers"));
  }
}

Error QueryReader::read() {
  JsonFields fields(root, "", errors);
  fields.refuseUnknown({"models", "layers", "set", "mixes", "context", "batch",
                        "tokens", "target", "precision"});
  readLists(fields);
  if (const json::Value *set = root.get("set"))
    readSettings(*set, "set", query.axes);
  if (const json::Value *mixes = root.get("mixes"))
    readMixes(*mixes);
  return errors.take();
}

Error parseQuery(StringRef text, StringRef source, Query &query) {
  Expected<json::Object> root = parseJsonObject(text, source);
  if (!root)
    return root.takeError();
  return QueryReader(*root, source, query).read();
}

Error readQueryFile(StringRef path, Query &query) {
  auto buffer = MemoryBuffer::getFile(path);
  if (!buffer)
    return createStringError(path + ": " + buffer.getError().message());
  return parseQuery((*buffer)->getBuffer(), path, query);
}

} // namespace varve
