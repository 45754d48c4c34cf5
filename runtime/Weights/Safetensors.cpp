//===- Safetensors.cpp - One safetensors file, mapped ---------------------===//

#include "runtime/Weights/Safetensors.h"
#include "runtime/Error.h"
#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

namespace varve::runtime {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

constexpr uint64_t maxHeaderBytes = 100'000'000;
constexpr size_t maxRank = 32;

/// Bits of an element; 0 for a type that nobody knows.
unsigned bitsOfType(const std::string &type) {
  static const std::map<std::string, unsigned> bits = {
      {"BOOL", 8},        {"F4", 4},         {"F6_E2M3", 6}, {"F6_E3M2", 6},
      {"U8", 8},          {"I8", 8},         {"F8_E5M2", 8}, {"F8_E4M3", 8},
      {"F8_E8M0", 8},     {"I16", 16},       {"U16", 16},    {"F16", 16},
      {"BF16", 16},       {"I32", 32},       {"U32", 32},    {"F32", 32},
      {"C64", 64},        {"F64", 64},       {"I64", 64},    {"U64", 64},
      {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8}};
  auto it = bits.find(type);
  return it == bits.end() ? 0 : it->second;
}

uint64_t read64(const uint8_t *bytes) {
  uint64_t value = 0;
  for (int i = 7; i >= 0; --i)
    value = value << 8 | bytes[i];
  return value;
}

/// JSON without exceptions of the parser's own; objects may not have a key
/// twice, of which a parser would keep the last.
json parseObject(const std::string &path, Bytes text) {
  std::vector<std::set<std::string>> keys;
  std::string twice;
  json::parser_callback_t callback = [&](int, json::parse_event_t event,
                                         json &parsed) {
    if (event == json::parse_event_t::object_start)
      keys.emplace_back();
    else if (event == json::parse_event_t::object_end)
      keys.pop_back();
    else if (event == json::parse_event_t::key &&
             !keys.back().insert(parsed.get<std::string>()).second)
      twice = parsed.get<std::string>();
    return true;
  };
  json value = json::parse(text.begin(), text.end(), callback,
                           /*allow_exceptions=*/false);
  if (!value.is_object())
    fail("{}: expected a JSON object in its header; it is damaged or no "
         "safetensors file",
         inQuotes(path));
  if (!twice.empty())
    fail("{}: {} appears twice", inQuotes(path), inQuotes(twice));
  return value;
}

} // namespace

std::string StoredTensor::describe() const {
  return type + " " + shapeText(shape);
}

std::unique_ptr<SafetensorsFile>
SafetensorsFile::open(const std::string &path) {
  return parse(MappedFile::open(path));
}

std::unique_ptr<SafetensorsFile> SafetensorsFile::parse(MappedFile mapped) {
  std::unique_ptr<SafetensorsFile> file(new SafetensorsFile(std::move(mapped)));
  file->readHeader();
  return file;
}

const StoredTensor *SafetensorsFile::find(const std::string &name) const {
  auto it = tensors.find(name);
  return it == tensors.end() ? nullptr : &it->second;
}

void SafetensorsFile::readHeader() {
  Bytes bytes = file.getBytes();
  std::string path = inQuotes(getPath());
  if (bytes.size() < 8)
    fail("{}: expected a safetensors file, got {} bytes", path, bytes.size());
  uint64_t length = read64(bytes.data());
  if (length > maxHeaderBytes || length > bytes.size() - 8)
    fail("{}: expected a header of {} bytes, got a file of {}; it was cut "
         "short or is no safetensors file",
         path, length, bytes.size());
  json header = parseObject(getPath(), bytes.subspan(8, length));
  Bytes data = bytes.subspan(8 + length);
  std::vector<std::pair<uint64_t, uint64_t>> ranges;
  for (const auto &[name, entry] : header.items()) {
    if (name == "__metadata__")
      continue;
    auto damaged = [&, &name = name](const std::string &why) {
      fail("{}: tensor {}: {}", path, inQuotes(name), why);
    };
    const json none;
    auto member = [&, &entry = entry](const char *key) -> const json & {
      return entry.is_object() && entry.contains(key) ? entry[key] : none;
    };
    const json &type = member("dtype"), &shape = member("shape"),
               &offsets = member("data_offsets");
    if (!type.is_string() || !shape.is_array() || !offsets.is_array() ||
        shape.size() > maxRank || offsets.size() != 2 ||
        !offsets[0].is_number_unsigned() || !offsets[1].is_number_unsigned())
      damaged("expected a dtype, a shape and two data_offsets");
    StoredTensor tensor;
    tensor.name = name;
    tensor.type = type.get<std::string>();
    uint64_t size = bitsOfType(tensor.type);
    if (!size)
      damaged("unknown dtype " + inQuotes(tensor.type));
    bool fits = true;
    for (const json &extent : shape) {
      if (!extent.is_number_unsigned() ||
          extent.get<uint64_t>() > static_cast<uint64_t>(INT64_MAX))
        damaged("expected sizes that are not negative");
      tensor.shape.push_back(extent.get<int64_t>());
      fits =
          fits && !__builtin_mul_overflow(size, extent.get<uint64_t>(), &size);
    }
    auto begin = offsets[0].get<uint64_t>(), end = offsets[1].get<uint64_t>();
    if (begin > end || end > data.size())
      damaged(fmt::format("its data is bytes [{}, {}), but the file has {}; it "
                          "was cut short",
                          begin, end, data.size()));
    if (!fits || size % 8 || size / 8 != end - begin)
      damaged(fmt::format("{} does not take the {} bytes that it has",
                          tensor.describe(), end - begin));
    tensor.bytes = data.subspan(begin, end - begin);
    if (begin < end)
      ranges.emplace_back(begin, end);
    tensors.emplace(name, std::move(tensor));
  }
  std::sort(ranges.begin(), ranges.end());
  for (size_t i = 1; i < ranges.size(); ++i)
    if (ranges[i].first < ranges[i - 1].second)
      fail("{}: tensors overlap at byte {} of the data", path, ranges[i].first);
}

//===----------------------------------------------------------------------===//
// Checkpoints
//===----------------------------------------------------------------------===//

/// The shards that an index names, and that each tensor is where it says.
static std::vector<std::unique_ptr<SafetensorsFile>>
openShards(const fs::path &folder, const fs::path &indexPath) {
  MappedFile index = MappedFile::open(indexPath.string());
  if (index.getBytes().size() > maxHeaderBytes)
    fail("{}: expected an index of at most {} bytes, got {}",
         inQuotes(index.getPath()), maxHeaderBytes, index.getBytes().size());
  json content = parseObject(index.getPath(), index.getBytes());
  auto map = content.find("weight_map");
  if (map == content.end() || !map->is_object())
    fail("{}: expected a member 'weight_map'", inQuotes(index.getPath()));
  std::map<std::string, std::vector<std::string>> tensorsOf;
  for (const auto &[tensor, shard] : map->items()) {
    std::string name = shard.is_string() ? shard.get<std::string>() : "";
    if (name.empty() || name == "." || name == ".." ||
        name.find_first_of(std::string_view("/\\\0", 3)) != std::string::npos)
      fail("{}: tensor {}: expected the name of a file beside the index",
           inQuotes(index.getPath()), inQuotes(tensor));
    tensorsOf[name].push_back(tensor);
  }
  std::vector<std::unique_ptr<SafetensorsFile>> files;
  for (const auto &[name, tensors] : tensorsOf) {
    fs::path path = folder / name;
    if (!fs::exists(path))
      fail("{}: {}, with {} tensors, is missing; was the download complete?",
           inQuotes(index.getPath()), inQuotes(name), tensors.size());
    files.push_back(SafetensorsFile::open(path.string()));
    for (const std::string &tensor : tensors)
      if (!files.back()->find(tensor))
        fail("{}: tensor {} should be in {} but is not",
             inQuotes(index.getPath()), inQuotes(tensor), inQuotes(name));
  }
  return files;
}

std::vector<std::unique_ptr<SafetensorsFile>>
openCheckpoint(const std::string &path) {
  std::vector<std::unique_ptr<SafetensorsFile>> files;
  std::error_code error;
  if (!fs::is_directory(path, error)) {
    files.push_back(SafetensorsFile::open(path));
    return files;
  }
  fs::path folder = path;
  if (fs::path file = folder / "model.safetensors"; fs::exists(file)) {
    files.push_back(SafetensorsFile::open(file.string()));
    return files;
  }
  if (fs::path index = folder / "model.safetensors.index.json";
      fs::exists(index))
    return openShards(folder, index);
  std::vector<std::string> candidates;
  for (const fs::directory_entry &entry : fs::directory_iterator(folder, error))
    if (entry.path().extension() == ".safetensors" &&
        entry.path().filename() != "reference.safetensors")
      candidates.push_back(entry.path().string());
  if (candidates.size() != 1)
    fail("{}: expected a checkpoint: 'model.safetensors' or "
         "'model.safetensors.index.json', got {} other safetensors files",
         inQuotes(path), candidates.size());
  files.push_back(SafetensorsFile::open(candidates.front()));
  return files;
}

} // namespace varve::runtime
