//===- ReferenceFile.cpp - What another implementation computed -----------===//

#include "runtime/Tool/ReferenceFile.h"
#include "runtime/Error.h"
#include "varve/Support/Floats.h"
#include <algorithm>
#include <cstring>
#include <filesystem>

namespace varve::runtime {

template <typename Number> static Number load(const uint8_t *bytes) {
  Number number;
  std::memcpy(&number, bytes, sizeof(Number));
  return number;
}

const StoredTensor &ReferenceFile::find(const std::string &name) const {
  readNames.insert(name);
  const StoredTensor *tensor = file->find(name);
  if (!tensor)
    fail("{}: expected a tensor {}", inQuotes(file->getPath()), inQuotes(name));
  return *tensor;
}

const StoredTensor &ReferenceFile::find(const std::string &name,
                                        std::span<const int64_t> leading,
                                        std::vector<int64_t> *shape) const {
  const StoredTensor &tensor = find(name);
  if (tensor.shape.size() < leading.size() ||
      !std::equal(leading.begin(), leading.end(), tensor.shape.begin()))
    fail("{}: tensor {}: expected a shape that begins with {}, got {}",
         inQuotes(file->getPath()), inQuotes(name), shapeText(leading),
         shapeText(tensor.shape));
  if (shape)
    *shape = tensor.shape;
  return tensor;
}

std::vector<int64_t>
ReferenceFile::readChoices(const std::string &name,
                           std::span<const int64_t> leading,
                           std::vector<int64_t> *shape) const {
  const StoredTensor &tensor = find(name, leading, shape);
  bool isWide = tensor.type == "I64";
  if (!isWide && tensor.type != "I32")
    fail("{}: tensor {}: expected I64 or I32, got {}",
         inQuotes(file->getPath()), inQuotes(name), tensor.type);
  std::vector<int64_t> numbers;
  for (size_t i = 0; i < tensor.bytes.size(); i += isWide ? 8 : 4) {
    const uint8_t *bytes = tensor.bytes.data() + i;
    numbers.push_back(isWide ? load<int64_t>(bytes) : load<int32_t>(bytes));
  }
  return numbers;
}

std::vector<float> ReferenceFile::read(const std::string &name,
                                       std::span<const int64_t> leading,
                                       std::vector<int64_t> *shape) const {
  const StoredTensor &tensor = find(name, leading, shape);
  std::vector<float> numbers;
  const uint8_t *bytes = tensor.bytes.data();
  size_t size = tensor.bytes.size();
  if (tensor.type == "F32")
    for (size_t i = 0; i < size; i += 4)
      numbers.push_back(load<float>(bytes + i));
  else if (tensor.type == "BF16")
    for (size_t i = 0; i < size; i += 2)
      numbers.push_back(bf16ToFloat(load<uint16_t>(bytes + i)));
  else if (tensor.type == "F16")
    for (size_t i = 0; i < size; i += 2)
      numbers.push_back(f16ToFloat(load<uint16_t>(bytes + i)));
  else
    fail("{}: tensor {}: expected F32, BF16 or F16, got {}",
         inQuotes(file->getPath()), inQuotes(name), tensor.type);
  return numbers;
}

int64_t ReferenceFile::readNumber(const std::string &name) const {
  const StoredTensor &tensor = find(name);
  if (tensor.type != "I64" || tensor.bytes.size() != 8)
    fail("{}: tensor {}: expected one I64 number, got {}",
         inQuotes(file->getPath()), inQuotes(name), tensor.describe());
  return load<int64_t>(tensor.bytes.data());
}

void ReferenceFile::readContext(const ModelInfo &model, int64_t length) {
  if (!file->find("context"))
    return;
  context = readNumber("context");
  stateSeed = static_cast<uint64_t>(readNumber("state_seed"));
  if (context < 0 || context > model.maxPositions - length)
    fail("{}: tensor 'context': expected 0 to {}, so that the {} tokens behind "
         "it are within the model's maximum of positions, got {}",
         inQuotes(file->getPath()), model.maxPositions - length, length,
         context);
}

ReferenceFile::ReferenceFile(const std::string &folder,
                             const ModelInfo &model) {
  std::string path =
      (std::filesystem::path(folder) / "reference.safetensors").string();
  if (!std::filesystem::exists(path))
    fail("{}: no such file; it holds what another program computed, as "
         "docs/testing.md describes",
         inQuotes(path));
  file = SafetensorsFile::open(path);
  const StoredTensor &stored = find("input_ids");
  bool wide = stored.type == "I64";
  if ((!wide && stored.type != "I32") || stored.shape.size() != 2 ||
      stored.bytes.empty())
    fail("{}: tensor 'input_ids': expected I64 or I32 of two dimensions, got "
         "{}",
         inQuotes(path), stored.describe());
  for (size_t i = 0; i < stored.bytes.size(); i += wide ? 8 : 4) {
    const uint8_t *bytes = stored.bytes.data() + i;
    ids.push_back(wide ? load<int64_t>(bytes) : load<int32_t>(bytes));
    if (ids.back() < 0 || ids.back() >= model.vocab)
      fail("{}: tensor 'input_ids': expected ids below the vocabulary of {}, "
           "got {}",
           inQuotes(path), model.vocab, ids.back());
  }
  int64_t batch = stored.shape[0], length = stored.shape[1];
  if (length > model.maxPositions)
    fail("{}: tensor 'input_ids': expected sequences of at most {} ids, the "
         "model's maximum of positions, got {}",
         inQuotes(path), model.maxPositions, length);
  readContext(model, length);
  std::vector<int64_t> shape;
  prefill = read("prefill_logits", std::vector<int64_t>{batch}, &shape);
  if (shape.size() != 3 || shape[1] < 1 || shape[1] > length ||
      shape[2] != model.vocab)
    fail("{}: tensor 'prefill_logits': expected [{}, 1 to {}, {}], got {}",
         inQuotes(path), batch, length, model.vocab, shapeText(shape));
  int64_t prompt = shape[1];
  if (prompt < length)
    decode = read("decode_logits",
                  std::vector<int64_t>{batch, length - prompt, model.vocab});
  sequences = {batch, prompt,  length - prompt, model.vocab,
               {},    prefill, decode};
  for (int64_t b = 0; b < batch; ++b)
    sequences.ids.push_back(
        std::span<const int64_t>(ids).subspan(b * length, length));
}

std::vector<std::string> ReferenceFile::getUnread() const {
  std::vector<std::string> names;
  for (const auto &[name, tensor] : file->getTensors())
    if (!readNames.count(name))
      names.push_back(name);
  return names;
}

} // namespace varve::runtime
