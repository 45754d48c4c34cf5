//===- CheckpointSource.cpp - Weights from the files of a checkpoint ------===//

#include "runtime/Weights/CheckpointSource.h"
#include "lib/Checkpoint/TensorNames.h"
#include "runtime/Error.h"
#include "varve/Support/Assert.h"
#include <algorithm>
#include <cstring>

namespace varve::runtime {

namespace {

/// Types under which files store an element type; packed FP4 has no type of
/// its own in older writers.
std::vector<std::string> storedTypes(Element element) {
  switch (element) {
  case Element::I8:
    return {"I8", "U8"};
  case Element::I16:
    return {"I16"};
  case Element::I32:
    return {"I32"};
  case Element::I64:
    return {"I64"};
  case Element::BF16:
    return {"BF16"};
  case Element::F16:
    return {"F16"};
  case Element::F32:
    return {"F32"};
  case Element::F64:
    return {"F64"};
  case Element::F8E4M3:
    return {"F8_E4M3"};
  case Element::F8E5M2:
    return {"F8_E5M2"};
  case Element::F8E8M0:
    return {"F8_E8M0"};
  case Element::F4E2M1:
    return {"I8", "U8", "F4"};
  }
  return {};
}

/// Shape of one tensor of a weight as a file of type `type` has it.
std::vector<int64_t> storedShape(const Weight &weight, bool stacked,
                                 const std::string &type) {
  std::vector<int64_t> shape(weight.shape.begin() + (stacked ? 1 : 0),
                             weight.shape.end());
  if (weight.element == Element::F4E2M1 && type != "F4")
    shape.back() /= 2;
  return shape;
}

} // namespace

CheckpointSource::CheckpointSource(
    std::string path, std::vector<std::unique_ptr<SafetensorsFile>> opened)
    : path(std::move(path)), files(std::move(opened)) {
  for (const auto &file : files)
    for (const auto &[name, tensor] : file->getTensors()) {
      std::optional<TensorName> parsed = parseTensorName(name);
      if (!parsed) {
        unknown.push_back(name);
        continue;
      }
      Slice slice{&tensor, parsed->layout, /*second=*/false};
      std::string key = parsed->pattern;
      slices[key].emplace(parsed->expert, slice);
      if (parsed->layout != TensorLayout::StackedPair)
        continue;
      size_t at = key.find(".w1.");
      VARVE_ASSERT(at != std::string::npos, "pairs are named after w1");
      slice.second = true;
      slices[key.replace(at, 4, ".w3.")].emplace(parsed->expert, slice);
    }
}

/// Finds the pieces of a weight; on failure none, with the reason in `problem`.
std::vector<Bytes> CheckpointSource::find(const Weight &weight,
                                          std::string &problem) const {
  auto found = slices.find(weight.name);
  if (found == slices.end()) {
    problem =
        "missing " + inQuotes(weight.name) + nearestName(weight.name, unknown);
    return {};
  }
  bool stacked = weight.name.find('*') != std::string::npos;
  const Slice &first = found->second.begin()->second;
  std::vector<Bytes> pieces;
  int64_t count = stacked ? weight.shape.front() : 1;
  auto mismatch = [&](const StoredTensor &tensor,
                      const std::vector<int64_t> &expected) {
    problem = fmt::format(
        "{} is {}, expected {} {}", inQuotes(tensor.name), tensor.describe(),
        storedTypes(weight.element).front(), shapeText(expected));
    return std::vector<Bytes>();
  };
  auto typeFits = [&](const StoredTensor &tensor) {
    std::vector<std::string> types = storedTypes(weight.element);
    return std::find(types.begin(), types.end(), tensor.type) != types.end();
  };
  if (stacked && first.layout != TensorLayout::Single) {
    // All experts in one tensor, perhaps w1 and w3 of each.
    const StoredTensor &tensor = *first.tensor;
    bool pair = first.layout == TensorLayout::StackedPair;
    std::vector<int64_t> shape = storedShape(weight, true, tensor.type);
    shape.front() *= pair ? 2 : 1;
    shape.insert(shape.begin(), count);
    if (!typeFits(tensor) || tensor.shape != shape)
      return mismatch(tensor, shape);
    if (!pair)
      return {tensor.bytes};
    size_t each = tensor.bytes.size() / count;
    for (int64_t i = 0; i < count; ++i)
      pieces.push_back(tensor.bytes.subspan(
          i * each + (first.second ? each / 2 : 0), each / 2));
    return pieces;
  }
  for (int64_t i = 0; i < count; ++i) {
    auto it = found->second.find(stacked ? i : -1);
    if (it == found->second.end()) {
      problem = "missing " +
                inQuotes(stacked ? expertName(weight.name, i) : weight.name);
      return {};
    }
    const StoredTensor &tensor = *it->second.tensor;
    std::vector<int64_t> shape = storedShape(weight, stacked, tensor.type);
    if (!typeFits(tensor) || tensor.shape != shape)
      return mismatch(tensor, shape);
    pieces.push_back(tensor.bytes);
  }
  return pieces;
}

void CheckpointSource::check(std::span<const Weight> weights) const {
  constexpr size_t mostShown = 10;
  size_t count = 0;
  std::string list;
  for (const Weight &weight : weights) {
    std::string problem;
    if (!find(weight, problem).empty())
      continue;
    if (++count <= mostShown)
      list += "\n  " + problem;
  }
  if (count > mostShown)
    list += fmt::format("\n  ... and {} more", count - mostShown);
  if (count)
    fail("{}: the tensors do not match what the package was compiled for; give "
         "--weights the folder of that model, or compile it again:{}",
         inQuotes(path), list);
}

std::vector<Bytes> CheckpointSource::get(const Weight &weight) const {
  std::string problem;
  std::vector<Bytes> pieces = find(weight, problem);
  if (pieces.empty())
    fail("{}: {}", inQuotes(path), problem);
  return pieces;
}

std::optional<Bytes> CheckpointSource::map(const Weight &weight) const {
  std::vector<Bytes> pieces = get(weight);
  if (pieces.size() == 1)
    return pieces.front();
  return std::nullopt;
}

void CheckpointSource::read(const Weight &weight, int64_t begin,
                            std::span<uint8_t> out) const {
  for (Bytes piece : get(weight)) {
    if (out.empty())
      return;
    auto size = static_cast<int64_t>(piece.size());
    if (begin >= size) {
      begin -= size;
      continue;
    }
    size_t count = std::min<size_t>(size - begin, out.size());
    std::memcpy(out.data(), piece.data() + begin, count);
    out = out.subspan(count);
    begin = 0;
  }
  VARVE_ASSERT(out.empty(), "a weight is read within its bytes");
}

} // namespace varve::runtime
