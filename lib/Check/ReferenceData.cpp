//===- ReferenceData.cpp - What another implementation computed -----------===//

#include "lib/Check/ReferenceData.h"
#include "varve/Support/Floats.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/Path.h"

using namespace varve;
using llvm::createStringError;
using llvm::Error;
using llvm::Expected;
using llvm::StringRef;
namespace endian = llvm::support::endian;

static std::string shapeText(llvm::ArrayRef<int64_t> shape) {
  return "[" +
         llvm::join(llvm::map_range(shape,
                                    [](int64_t size) {
                                      return size < 0 ? std::string("any")
                                                      : std::to_string(size);
                                    }),
                    ", ") +
         "]";
}

static bool fits(llvm::ArrayRef<int64_t> actual,
                 llvm::ArrayRef<int64_t> expected) {
  if (actual.size() != expected.size())
    return false;
  for (auto [a, e] : llvm::zip_equal(actual, expected))
    if (e >= 0 && a != e)
      return false;
  return true;
}

/// Decodes `data` to `tensor`; false for a type that holds no numbers that a
/// reference uses.
static bool decodeElements(SafetensorsType type, llvm::ArrayRef<uint8_t> data,
                           ReferenceTensor &tensor) {
  auto forEach = [&](size_t bytes, auto &&store) {
    for (size_t i = 0; i < data.size(); i += bytes)
      store(data.data() + i);
    return true;
  };
  switch (type) {
  case SafetensorsType::F32:
    return forEach(4, [&](const uint8_t *p) {
      tensor.elements.push_back(llvm::bit_cast<float>(endian::read32le(p)));
    });
  case SafetensorsType::BF16:
    return forEach(2, [&](const uint8_t *p) {
      tensor.elements.push_back(bf16ToFloat(endian::read16le(p)));
    });
  case SafetensorsType::F16:
    return forEach(2, [&](const uint8_t *p) {
      tensor.elements.push_back(f16ToFloat(endian::read16le(p)));
    });
  case SafetensorsType::I64:
    return forEach(8, [&](const uint8_t *p) {
      tensor.numbers.push_back(static_cast<int64_t>(endian::read64le(p)));
    });
  case SafetensorsType::I32:
    return forEach(4, [&](const uint8_t *p) {
      tensor.numbers.push_back(static_cast<int32_t>(endian::read32le(p)));
    });
  default:
    return false;
  }
}

Expected<ReferenceTensor>
ReferenceData::read(StringRef name, llvm::ArrayRef<int64_t> shape) const {
  return readAs(/*integers=*/false, name, shape);
}

Expected<ReferenceTensor>
ReferenceData::readNumbers(StringRef name,
                           llvm::ArrayRef<int64_t> shape) const {
  return readAs(/*integers=*/true, name, shape);
}

Expected<ReferenceTensor> ReferenceData::readStored(StringRef name,
                                                    bool integers) const {
  return readAs(integers, name, std::nullopt);
}

Expected<ReferenceTensor>
ReferenceData::readAs(bool integers, StringRef name,
                      std::optional<llvm::ArrayRef<int64_t>> shape) const {
  readNames.insert(name);
  const SafetensorsTensor *info = file->find(name);
  if (!info)
    return createStringError(
        llvm::formatv("'{0}': expected a tensor '{1}'", file->getPath(), name)
            .str());
  bool isFit = shape ? fits(info->shape, *shape)
                     : info->shape.size() >= 3 && info->shape[0] == batch;
  if (!isFit)
    return createStringError(
        llvm::formatv("'{0}': tensor '{1}': expected the shape {2}, got {3}",
                      file->getPath(), name,
                      shape ? shapeText(*shape)
                            : "[" + std::to_string(batch) +
                                  ", rows, columns, ...]",
                      shapeText(info->shape))
            .str());
  ReferenceTensor tensor;
  tensor.shape.assign(info->shape.begin(), info->shape.end());
  bool isInteger =
      info->type == SafetensorsType::I64 || info->type == SafetensorsType::I32;
  if (isInteger != integers ||
      !decodeElements(info->type, file->getData(*info), tensor))
    return createStringError(
        llvm::formatv("'{0}': tensor '{1}': expected {2}, got {3}",
                      file->getPath(), name,
                      integers ? "I64 or I32" : "F32, BF16 or F16",
                      stringifySafetensorsType(info->type))
            .str());
  return tensor;
}

Error ReferenceData::readIds(int64_t vocabSize) {
  Expected<ReferenceTensor> read = readNumbers("input_ids", {-1, -1});
  if (!read)
    return read.takeError();
  ids = std::move(*read);
  if (ids.numbers.empty())
    return createStringError("'" + file->getPath() +
                             "': tensor 'input_ids': expected at least one id");
  for (int64_t id : ids.numbers)
    if (id < 0 || id >= vocabSize)
      return createStringError(
          llvm::formatv(
              "'{0}': tensor 'input_ids': expected ids below the vocabulary "
              "of {1}, got {2}",
              file->getPath(), vocabSize, id)
              .str());
  batch = ids.shape[0];
  return Error::success();
}

Error ReferenceData::readContext(int64_t maxPositions) {
  if (!has("context"))
    return Error::success();
  auto tokens = readNumbers("context", {1});
  if (!tokens)
    return tokens.takeError();
  auto seed = readNumbers("state_seed", {1});
  if (!seed)
    return seed.takeError();
  context = tokens->numbers.front();
  stateSeed = static_cast<uint64_t>(seed->numbers.front());
  int64_t most = maxPositions - ids.shape[1];
  if (context < 0 || context > most)
    return createStringError(
        llvm::formatv("'{0}': tensor 'context': expected 0 to {1}, so that the "
                      "{2} tokens behind it are within the model's maximum of "
                      "positions, got {3}",
                      file->getPath(), most, ids.shape[1], context)
            .str());
  return Error::success();
}

Expected<ReferenceData> ReferenceData::open(StringRef folder, int64_t vocabSize,
                                            int64_t maxPositions) {
  llvm::SmallString<256> path(folder);
  llvm::sys::path::append(path, "reference.safetensors");
  if (!llvm::sys::fs::exists(path))
    return createStringError("'" + path +
                             "': no such file; it holds what another program "
                             "computed, as docs/testing.md describes");
  ReferenceData data;
  auto file = SafetensorsFile::open(path);
  if (!file)
    return file.takeError();
  data.file = std::move(*file);
  if (Error error = data.readIds(vocabSize))
    return std::move(error);
  const SafetensorsTensor *prefill = data.file->find("prefill_logits");
  if (!prefill || prefill->shape.size() != 3)
    return createStringError("'" + path +
                             "': expected a tensor 'prefill_logits' of "
                             "shape [batch, prompt, vocabulary]");
  if (data.ids.shape[1] > maxPositions)
    return createStringError(
        llvm::formatv("'{0}': tensor 'input_ids': expected sequences of at "
                      "most {1} ids, the model's maximum of positions, got {2}",
                      path, maxPositions, data.ids.shape[1])
            .str());
  if (Error error = data.readContext(maxPositions))
    return std::move(error);
  data.prompt = prefill->shape[1];
  data.decode = data.ids.shape[1] - data.prompt;
  if (data.prompt < 1 || data.decode < 0)
    return createStringError(
        llvm::formatv(
            "'{0}': tensor 'prefill_logits': expected 1 to {1} positions, as "
            "'input_ids' has, got {2}",
            path, data.ids.shape[1], data.prompt)
            .str());
  return data;
}

llvm::ArrayRef<int64_t> ReferenceData::getIds(int64_t b) const {
  int64_t length = prompt + decode;
  return llvm::ArrayRef<int64_t>(ids.numbers).slice(b * length, length);
}

std::vector<std::string> ReferenceData::getUnread() const {
  std::vector<std::string> names;
  for (const SafetensorsTensor &tensor : file->getTensors())
    if (!readNames.contains(tensor.name))
      names.push_back(tensor.name.str());
  return names;
}
