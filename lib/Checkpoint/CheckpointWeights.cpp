//===- CheckpointWeights.cpp - A checkpoint as a source of weights --------===//

#include "lib/Checkpoint/CheckpointWeights.h"
#include "lib/Checkpoint/MappedTensor.h"
#include "lib/Checkpoint/Messages.h"
#include "lib/Checkpoint/TensorNames.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Endian.h"
#include <algorithm>

namespace varve {

namespace endian = llvm::support::endian;

namespace {

/// "bf16 [4, 8]".
std::string typed(WeightType type, llvm::ArrayRef<int64_t> shape) {
  return stringifyWeightType(type).str() + " " + shapeString(shape);
}

/// Index of the first of `count` codes that `isBad`, or `count`.
template <typename Code, Code (*read)(const void *), typename Predicate>
int64_t findCode(const uint8_t *bytes, int64_t count, Predicate isBad) {
  for (int64_t i = 0; i < count; ++i)
    if (isBad(read(bytes + i * sizeof(Code))))
      return i;
  return count;
}

uint8_t read8(const void *byte) { return *static_cast<const uint8_t *>(byte); }

/// First element that is not finite (of F32 scales, or negative).
int64_t findBadFloat(WeightType type, bool isScale, const uint8_t *bytes,
                     int64_t count) {
  switch (type) {
  case WeightType::F32:
    return findCode<uint32_t, endian::read32le>(
        bytes, count, [&](uint32_t code) {
          return (code & 0x7F800000) == 0x7F800000 ||
                 (isScale && code > 0x80000000);
        });
  case WeightType::BF16:
    return findCode<uint16_t, endian::read16le>(
        bytes, count, [](uint16_t code) { return (code & 0x7F80) == 0x7F80; });
  case WeightType::F16:
    return findCode<uint16_t, endian::read16le>(
        bytes, count, [](uint16_t code) { return (code & 0x7C00) == 0x7C00; });
  case WeightType::F8E4M3:
    return findCode<uint8_t, read8>(
        bytes, count, [](uint8_t code) { return (code & 0x7F) == 0x7F; });
  case WeightType::F8E8M0:
    return std::find(bytes, bytes + count, 0xFF) - bytes;
  case WeightType::F4E2M1:
  case WeightType::I64:
  case WeightType::I32:
    return count;
  }
  llvm_unreachable("unknown type");
}

bool isScale(WeightRole role) {
  return role == WeightRole::LinearScale || role == WeightRole::ExpertScale;
}

llvm::StringRef whatIsBad(WeightType type, bool isScale) {
  switch (type) {
  case WeightType::F8E4M3:
    return "a NaN code (0x7F or 0xFF)";
  case WeightType::F8E8M0:
    return "a NaN scale (code 255)";
  default:
    return isScale ? "a scale that is negative or not finite"
                   : "a value that is not finite";
  }
}

/// One row of a routing table: numbers of distinct experts.
std::string checkRoutingRow(llvm::ArrayRef<int64_t> row, int64_t numExperts) {
  for (const auto &[i, expert] : llvm::enumerate(row)) {
    if (expert < 0 || expert >= numExperts)
      return "expert " + llvm::itostr(expert) + ", but the model has " +
             llvm::itostr(numExperts) + " experts";
    if (llvm::is_contained(row.take_front(i), expert))
      return "expert " + llvm::itostr(expert) + " twice";
  }
  return "";
}

llvm::Error checkRoutingTable(const MappedTensor &table, int64_t numExperts,
                              const CheckpointTensor &tensor) {
  llvm::ArrayRef<int64_t> shape = table.getShape();
  llvm::SmallVector<int64_t> row(shape[1]);
  for (int64_t token = 0; token < shape[0]; ++token) {
    table.readRow(token, llvm::MutableArrayRef<int64_t>(row));
    std::string problem = checkRoutingRow(row, numExperts);
    if (!problem.empty())
      return makeError(tensor.file->getPath(),
                       "tensor " + quotedName(tensor.getName()) + ": token " +
                           llvm::Twine(token) + " is routed to " + problem);
  }
  return llvm::Error::success();
}

llvm::Error checkFloats(const WeightBinding &binding,
                        const WeightBinding::Part &part, int64_t expert) {
  int64_t count = 1;
  for (int64_t extent : binding.shape)
    count *= extent;
  int64_t bad =
      findBadFloat(binding.type, isScale(binding.role), part.data, count);
  if (bad == count)
    return llvm::Error::success();
  int64_t columns = binding.shape.back();
  return makeError(
      part.tensor.file->getPath(),
      "tensor " + quotedName(part.tensor.getName()) + " (" +
          quotedName(binding.isStacked() ? expertName(binding.name, expert)
                                         : binding.name) +
          ") has " + whatIsBad(binding.type, isScale(binding.role)) +
          " in row " + llvm::Twine(bad / columns) + ", column " +
          llvm::Twine(bad % columns));
}

std::vector<const uint8_t *> dataOf(llvm::ArrayRef<WeightBinding::Part> parts) {
  std::vector<const uint8_t *> data;
  data.reserve(parts.size());
  for (const WeightBinding::Part &part : parts)
    data.push_back(part.data);
  return data;
}

} // namespace

llvm::Expected<std::unique_ptr<CheckpointWeights>>
CheckpointWeights::open(llvm::StringRef path, const ModelConfig &config) {
  llvm::Expected<std::unique_ptr<Checkpoint>> checkpoint =
      Checkpoint::open(path);
  if (!checkpoint)
    return checkpoint.takeError();
  return create(std::move(*checkpoint), config);
}

llvm::Expected<std::unique_ptr<CheckpointWeights>>
CheckpointWeights::create(std::unique_ptr<Checkpoint> checkpoint,
                          const ModelConfig &config) {
  llvm::Expected<WeightInventory> inventory = WeightInventory::create(config);
  if (!inventory)
    return inventory.takeError();
  llvm::Expected<WeightBindings> bindings =
      bindWeights(*checkpoint, *inventory, config.storage);
  if (!bindings)
    return bindings.takeError();
  std::unique_ptr<CheckpointWeights> weights(new CheckpointWeights);
  weights->checkpoint = std::move(checkpoint);
  weights->bindings = std::move(*bindings);
  weights->numExperts = config.numExperts;
  return weights;
}

llvm::Expected<CheckpointWeights::Selection>
CheckpointWeights::select(llvm::StringRef name) const {
  // Other schemes' names are for files, not for the IR.
  std::optional<TensorName> parsed = parseTensorName(name);
  bool isOfficial = spellTensorName(name, NamingScheme::Official).has_value();
  auto it = isOfficial ? bindings.indexOfName.find(parsed->pattern)
                       : bindings.indexOfName.end();
  if (it == bindings.indexOfName.end()) {
    std::vector<llvm::StringRef> names(bindings.indexOfName.keys().begin(),
                                       bindings.indexOfName.keys().end());
    llvm::sort(names);
    return makeError(checkpoint->getPath(), "the checkpoint has no tensor " +
                                                quotedName(name) +
                                                nearestNameHint(name, names));
  }
  const WeightBinding &binding = bindings.all[it->second];
  Selection selection{&binding, binding.parts, {}, 0};
  if (parsed->expert >= static_cast<int64_t>(binding.parts.size()))
    return makeError(checkpoint->getPath(),
                     "the checkpoint has no tensor " + quotedName(name) +
                         ": the model has " +
                         llvm::Twine(binding.parts.size()) + " experts");
  if (parsed->expert >= 0) {
    selection.parts = selection.parts.slice(parsed->expert, 1);
    selection.first = parsed->expert;
  } else if (binding.isStacked()) {
    selection.shape.push_back(binding.parts.size());
  }
  llvm::append_range(selection.shape, binding.shape);
  return selection;
}

bool CheckpointWeights::contains(llvm::StringRef name) const {
  llvm::Expected<Selection> selection = select(name);
  bool found = static_cast<bool>(selection);
  llvm::consumeError(selection.takeError());
  return found;
}

llvm::Expected<TensorInfo>
CheckpointWeights::lookup(llvm::StringRef name) const {
  llvm::Expected<Selection> selection = select(name);
  if (!selection)
    return selection.takeError();
  const CheckpointTensor &tensor = selection->parts.front().tensor;
  return TensorInfo{selection->binding->type, selection->shape,
                    tensor.getName().str(),   tensor.info->type,
                    tensor.info->shape,       tensor.file->getPath().str()};
}

llvm::Expected<std::unique_ptr<WeightTensor>>
CheckpointWeights::open(llvm::StringRef name, WeightType type,
                        llvm::ArrayRef<int64_t> shape) const {
  llvm::Expected<Selection> selection = select(name);
  if (!selection)
    return selection.takeError();
  const WeightBinding &binding = *selection->binding;
  const CheckpointTensor &tensor = selection->parts.front().tensor;
  if (type != binding.type || shape != llvm::ArrayRef(selection->shape))
    return makeError(tensor.file->getPath(),
                     "tensor " + quotedName(name) + " is " +
                         typed(binding.type, selection->shape) +
                         " in the checkpoint but the module declares " +
                         typed(type, shape));
  auto opened =
      std::make_unique<MappedTensor>(type, shape, dataOf(selection->parts));
  if (binding.role == WeightRole::RoutingTable)
    if (llvm::Error e = checkRoutingTable(*opened, numExperts, tensor))
      return e;
  // Scales are few; a bad one spoils a whole block of numbers.
  if (isScale(binding.role))
    for (const auto &[i, part] : llvm::enumerate(selection->parts))
      if (llvm::Error e = checkFloats(binding, part, selection->first + i))
        return e;
  return opened;
}

llvm::Error CheckpointWeights::verifyValues(llvm::StringRef name) const {
  llvm::Expected<Selection> selection = select(name);
  if (!selection)
    return selection.takeError();
  const WeightBinding &binding = *selection->binding;
  if (binding.role == WeightRole::RoutingTable)
    return checkRoutingTable(
        MappedTensor(binding.type, binding.shape, dataOf(selection->parts)),
        numExperts, selection->parts.front().tensor);
  for (const auto &[i, part] : llvm::enumerate(selection->parts))
    if (llvm::Error e = checkFloats(binding, part, selection->first + i))
      return e;
  return llvm::Error::success();
}

llvm::Error CheckpointWeights::verifyValues() const {
  ProblemList problems;
  for (const WeightBinding &binding : bindings.all)
    if (llvm::Error e = verifyValues(binding.name)) {
      std::string text = llvm::toString(std::move(e));
      problems.add([&] { return text; });
    }
  return problems.take(checkpoint->getPath(),
                       "the checkpoint has values that no model can have");
}

} // namespace varve
