//===- WeightBinding.cpp - A model's tensors found in a checkpoint --------===//

#include "lib/Checkpoint/WeightBinding.h"
#include "lib/Checkpoint/Messages.h"
#include "lib/Checkpoint/TensorNames.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSwitch.h"

namespace varve {

namespace {

/// The stored tensors that have one official name, `*` for the expert.
struct Group {
  struct Member {
    CheckpointTensor tensor;
    int64_t expert;
    TensorLayout layout;
    /// The second of the two tensors of a StackedPair.
    bool second;
  };
  std::string pattern;
  llvm::SmallVector<Member, 1> members;
  bool used = false;
};

/// One tensor of a group: a stored one, or an expert's slice of it.
struct Piece {
  CheckpointTensor tensor;
  const uint8_t *data = nullptr;
  llvm::ArrayRef<int64_t> shape; ///< as stored, without the experts
  int64_t divisor = 1;           ///< of the rows: 2 for half of a pair
};

std::string describe(const CheckpointTensor &tensor) {
  return (quotedName(tensor.getName()) + " in " +
          quotedName(tensor.file->getPath()));
}

std::string typed(SafetensorsType type, llvm::ArrayRef<int64_t> shape) {
  return (stringifySafetensorsType(type) + " " + shapeString(shape)).str();
}

/// What a stored type is for a role; none when it cannot be used. `scaled` is
/// the type of the weight that a scale belongs to.
std::optional<WeightType> weightTypeOf(SafetensorsType type, WeightRole role,
                                       WeightType scaled) {
  bool isScale =
      role == WeightRole::LinearScale || role == WeightRole::ExpertScale;
  bool isMatrix = role == WeightRole::Linear || role == WeightRole::Expert;
  bool isPlain = role == WeightRole::Dense || isMatrix;
  auto allowed = [](bool ok, WeightType result) {
    return ok ? std::optional(result) : std::nullopt;
  };
  switch (type) {
  case SafetensorsType::F32:
    return allowed(isPlain || (isScale && scaled == WeightType::F8E4M3),
                   WeightType::F32);
  case SafetensorsType::BF16:
    return allowed(isPlain, WeightType::BF16);
  case SafetensorsType::F16:
    return allowed(isPlain, WeightType::F16);
  case SafetensorsType::F8E4M3:
    return allowed(isMatrix, WeightType::F8E4M3);
  case SafetensorsType::I8:
  case SafetensorsType::U8:
    return allowed(role == WeightRole::Expert, WeightType::F4E2M1);
  case SafetensorsType::F8E8M0:
    return allowed(isScale, WeightType::F8E8M0);
  case SafetensorsType::I64:
    return allowed(role == WeightRole::RoutingTable, WeightType::I64);
  case SafetensorsType::I32:
    return allowed(role == WeightRole::RoutingTable, WeightType::I32);
  default:
    return std::nullopt;
  }
}

llvm::StringRef acceptedTypes(WeightRole role, WeightType scaled) {
  switch (role) {
  case WeightRole::Dense:
    return "F32, BF16 or F16";
  case WeightRole::Linear:
    return "F32, BF16, F16 or F8_E4M3";
  case WeightRole::Expert:
    return "F32, BF16, F16, F8_E4M3 or I8 (packed FP4)";
  case WeightRole::LinearScale:
  case WeightRole::ExpertScale:
    return scaled == WeightType::F8E4M3 ? "F8_E8M0 or F32" : "F8_E8M0";
  case WeightRole::RoutingTable:
    return "I64 or I32";
  }
  llvm_unreachable("unknown role");
}

/// Copies of the model's embedding and head that some draft blocks carry.
bool isDraftCopy(llvm::StringRef name) {
  name.consume_front("model.");
  if (!name.consume_front("mtp."))
    return false;
  llvm::StringRef module = name.split('.').second.split('.').first;
  return llvm::StringSwitch<bool>(module)
      .Cases({"embed", "embed_tokens", "emb", "head", "lm_head", "shared_head"},
             true)
      .Default(false);
}

bool isDraftName(llvm::StringRef name) {
  name.consume_front("model.");
  return name.starts_with("mtp.");
}

/// The layer that a tensor of the backbone belongs to; -1 for others.
int64_t layerOf(llvm::StringRef pattern) {
  int64_t layer;
  if (!pattern.consume_front("layers.") || pattern.consumeInteger(10, layer))
    return -1;
  return layer;
}

class Binder {
public:
  Binder(const Checkpoint &checkpoint, const WeightInventory &inventory,
         const StorageConfig &storage)
      : checkpoint(checkpoint), inventory(inventory), storage(storage) {}

  llvm::Expected<WeightBindings> run();

private:
  void groupTensors();
  Group &groupOf(llvm::StringRef pattern);
  Group *findGroup(llvm::StringRef pattern);
  void bindSpec(const WeightSpec &spec);
  bool bindGroup(Group &group, const WeightSpec &spec, WeightType scaled);
  void bindScale(const WeightSpec &weight, WeightType type);
  bool findPieces(Group &group, const WeightSpec &spec,
                  std::vector<Piece> &pieces);
  bool splitStack(const Group::Member &member, const WeightSpec &spec,
                  std::vector<Piece> &pieces);
  bool checkPiece(const Piece &piece, const WeightSpec &spec, WeightType scaled,
                  WeightType &type);
  void checkExpertTypes(const WeightSpec &spec, WeightType type);
  void compareLayers();
  void reportMissing();
  void reportSurplus();

  const Checkpoint &checkpoint;
  const WeightInventory &inventory;
  const StorageConfig &storage;
  std::vector<Group> groups;
  llvm::StringMap<uint32_t> groupOfPattern;
  /// Names that no scheme explains.
  std::vector<CheckpointTensor> unknown;
  std::vector<const WeightSpec *> missing;
  /// Layers of the model and of the checkpoint.
  int64_t modelLayers = 0;
  int64_t storedLayers = 0;
  /// By prefix of a layer: the first of its expert tensors.
  llvm::StringMap<std::pair<std::string, WeightType>> expertTypes;
  ProblemList problems;
  WeightBindings result;
};

Group &Binder::groupOf(llvm::StringRef pattern) {
  auto [it, isNew] = groupOfPattern.try_emplace(pattern, groups.size());
  if (isNew)
    groups.emplace_back().pattern = pattern.str();
  return groups[it->second];
}

Group *Binder::findGroup(llvm::StringRef pattern) {
  auto it = groupOfPattern.find(pattern);
  return it == groupOfPattern.end() ? nullptr : &groups[it->second];
}

void Binder::groupTensors() {
  for (const CheckpointTensor &tensor : checkpoint.getTensors()) {
    std::optional<TensorName> name = parseTensorName(tensor.getName());
    if (!name || tensor.getName().contains('*')) {
      unknown.push_back(tensor);
      continue;
    }
    groupOf(name->pattern)
        .members.push_back({tensor, name->expert, name->layout, false});
    if (name->layout != TensorLayout::StackedPair)
      continue;
    auto [before, after] = llvm::StringRef(name->pattern).split(".w1.");
    groupOf((before + ".w3." + after).str())
        .members.push_back({tensor, name->expert, name->layout, true});
  }
}

llvm::Expected<WeightBindings> Binder::run() {
  groupTensors();
  result.hasDraft =
      llvm::any_of(inventory.getSpecs(), [&](const WeightSpec &spec) {
        return spec.draft && findGroup(spec.name);
      });
  for (const WeightSpec &spec : inventory.getSpecs()) {
    // Scales follow from the stored types, not from the configured ones.
    if (spec.role == WeightRole::LinearScale ||
        spec.role == WeightRole::ExpertScale)
      continue;
    if (!spec.draft || result.hasDraft)
      bindSpec(spec);
  }
  ProblemList mismatches = std::exchange(problems, ProblemList());
  compareLayers();
  reportMissing();
  problems.append(std::move(mismatches));
  reportSurplus();
  if (llvm::Error e =
          problems.take(checkpoint.getPath(),
                        "the tensors do not match the model's configuration"))
    return e;
  for (const auto &[i, binding] : llvm::enumerate(result.all))
    result.indexOfName[binding.name] = i;
  return std::move(result);
}

void Binder::bindSpec(const WeightSpec &spec) {
  Group *group = findGroup(spec.name);
  if (!group)
    missing.push_back(&spec);
  bool bound = group && bindGroup(*group, spec, spec.type);
  if (spec.role != WeightRole::Linear && spec.role != WeightRole::Expert)
    return;
  if (!bound) {
    // Its type is in doubt, and so is whether it needs a scale.
    if (Group *scale = findGroup(scaleNameOf(spec.name)))
      scale->used = true;
    return;
  }
  WeightType type = result.all.back().type;
  if (spec.role == WeightRole::Expert)
    checkExpertTypes(spec, type);
  bindScale(spec, type);
}

/// Binds one group to `spec`; false after reporting why not.
bool Binder::bindGroup(Group &group, const WeightSpec &spec,
                       WeightType scaled) {
  group.used = true;
  std::vector<Piece> pieces;
  if (!findPieces(group, spec, pieces))
    return false;
  WeightBinding binding;
  binding.name = spec.name;
  binding.shape = spec.shape;
  binding.role = spec.role;
  for (const auto &[i, piece] : llvm::enumerate(pieces)) {
    WeightType type;
    if (!checkPiece(piece, spec, scaled, type))
      return false;
    if (i == 0)
      binding.type = type;
    if (type != binding.type) {
      problems.add([&, &piece = piece] {
        return "expected the experts of a layer to have one type but " +
               describe(piece.tensor) + " is " +
               stringifySafetensorsType(piece.tensor.info->type).str() +
               " and " + quotedName(pieces.front().tensor.getName()) + " is " +
               stringifySafetensorsType(pieces.front().tensor.info->type).str();
      });
      return false;
    }
    binding.parts.push_back({piece.data, piece.tensor});
  }
  result.all.push_back(std::move(binding));
  return true;
}

void Binder::bindScale(const WeightSpec &weight, WeightType type) {
  std::string name = scaleNameOf(weight.name);
  Group *group = findGroup(name);
  if (type != WeightType::F8E4M3 && type != WeightType::F4E2M1) {
    if (!group)
      return;
    group->used = true;
    problems.add([&] {
      return describe(group->members.front().tensor) +
             " is the scale of a weight that is " +
             stringifyWeightType(type).str() + " and needs none";
    });
    return;
  }
  if (!group) {
    problems.add([&] {
      return "missing " + quotedName(name) + ": " +
             describe(result.all.back().parts.front().tensor) + " is " +
             (type == WeightType::F4E2M1 ? "FP4" : "FP8") +
             " and needs a scale";
    });
    return;
  }
  WeightSpec scale;
  scale.name = name;
  scale.shape = scaleShapeOf(weight.shape, type, storage);
  scale.count = weight.count;
  scale.role = weight.role == WeightRole::Expert ? WeightRole::ExpertScale
                                                 : WeightRole::LinearScale;
  const Group::Member &first = group->members.front();
  if (type == WeightType::F8E4M3 && first.layout == TensorLayout::StackedPair &&
      weight.shape[0] % storage.scaleBlockRows) {
    group->used = true;
    problems.add([&] {
      return describe(first.tensor) +
             " holds scales that span w1 and w3, "
             "whose " +
             llvm::itostr(weight.shape[0]) +
             " rows are no multiple of a block's " +
             llvm::itostr(storage.scaleBlockRows);
    });
    return;
  }
  bindGroup(*group, scale, type);
}

/// The pieces of all experts of `spec`, or its only one.
bool Binder::findPieces(Group &group, const WeightSpec &spec,
                        std::vector<Piece> &pieces) {
  for (const Group::Member &member : group.members)
    if (member.layout != TensorLayout::Single) {
      if (group.members.size() == 1)
        return splitStack(member, spec, pieces);
      const Group::Member &other =
          group.members[&member == &group.members.front() ? 1 : 0];
      problems.add([&] {
        return describe(member.tensor) + " and " + describe(other.tensor) +
               " both hold " + quotedName(spec.name);
      });
      return false;
    }
  bool good = true;
  pieces.resize(spec.count);
  for (const Group::Member &member : group.members) {
    int64_t index = std::max<int64_t>(member.expert, 0);
    if (index >= spec.count) {
      problems.add([&] {
        return describe(member.tensor) + " belongs to expert " +
               llvm::itostr(index) + " but the model has " +
               llvm::itostr(spec.count) + " experts";
      });
      good = false;
      continue;
    }
    Piece &piece = pieces[index];
    if (piece.data || piece.tensor.file) {
      problems.add([&] {
        return describe(member.tensor) + " and " + describe(piece.tensor) +
               " are the same tensor under two names";
      });
      good = false;
      continue;
    }
    piece = {member.tensor, member.tensor.getData().data(),
             member.tensor.info->shape};
  }
  for (const auto &[i, piece] : llvm::enumerate(pieces))
    if (!piece.tensor.file) {
      problems.add([&, i = i] {
        return "missing " + quotedName(expertName(spec.name, i));
      });
      good = false;
    }
  return good;
}

/// Cuts a stack of all experts, or of w1 and w3 of all experts.
bool Binder::splitStack(const Group::Member &member, const WeightSpec &spec,
                        std::vector<Piece> &pieces) {
  const SafetensorsTensor &info = *member.tensor.info;
  bool isPair = member.layout == TensorLayout::StackedPair;
  if (info.shape.size() != 3 || info.shape[0] != spec.count ||
      (isPair && info.shape[1] % 2)) {
    // Report it once, not for either of a pair.
    if (!member.second)
      problems.add([&] {
        return describe(member.tensor) + " is " + typed(info.type, info.shape) +
               " but expected a stack of " + llvm::itostr(spec.count) +
               " experts" + (isPair ? ", w1 and w3 in each" : "");
      });
    return false;
  }
  llvm::ArrayRef<uint8_t> data = member.tensor.getData();
  int64_t perExpert = data.size() / spec.count;
  for (int64_t i = 0; i < spec.count; ++i)
    pieces.push_back(
        {member.tensor,
         data.data() + i * perExpert + (member.second ? perExpert / 2 : 0),
         llvm::ArrayRef(info.shape).drop_front(), isPair ? 2 : 1});
  return true;
}

/// Type and shape of one tensor.
bool Binder::checkPiece(const Piece &piece, const WeightSpec &spec,
                        WeightType scaled, WeightType &type) {
  SafetensorsType stored = piece.tensor.info->type;
  std::optional<WeightType> known = weightTypeOf(stored, spec.role, scaled);
  if (!known) {
    problems.add([&] {
      return describe(piece.tensor) + " is " +
             stringifySafetensorsType(stored).str() + " but expected " +
             acceptedTypes(spec.role, scaled).str();
    });
    return false;
  }
  type = *known;
  llvm::SmallVector<int64_t, 3> expected(spec.shape.begin(), spec.shape.end());
  if (type == WeightType::F4E2M1) {
    if (expected.back() % 2) {
      problems.add([&] {
        return describe(piece.tensor) +
               " is packed FP4, which needs an even number of columns, but "
               "the weight has " +
               llvm::itostr(expected.back());
      });
      return false;
    }
    expected.back() /= 2;
  }
  expected.front() *= piece.divisor;
  if (llvm::ArrayRef<int64_t>(expected) == piece.shape)
    return true;
  problems.add([&] {
    return describe(piece.tensor) + " is " + typed(stored, piece.shape) +
           " but expected " + shapeString(expected);
  });
  return false;
}

/// w1, w3 and w2 of a layer must agree.
void Binder::checkExpertTypes(const WeightSpec &spec, WeightType type) {
  llvm::StringRef layer = llvm::StringRef(spec.name).split(".ffn.").first;
  auto [it, isFirst] =
      expertTypes.try_emplace(layer, std::pair(spec.name, type));
  if (isFirst || it->second.second == type)
    return;
  problems.add([&] {
    return "expected the experts of a layer to have one type but " +
           quotedName(spec.name) + " is " + stringifyWeightType(type).str() +
           " and " + quotedName(it->second.first) + " is " +
           stringifyWeightType(it->second.second).str();
  });
}

/// A wrong number of layers is one problem, not one a tensor.
void Binder::compareLayers() {
  for (const WeightSpec &spec : inventory.getSpecs())
    modelLayers = std::max(modelLayers, layerOf(spec.name) + 1);
  for (const Group &group : groups)
    storedLayers = std::max(storedLayers, layerOf(group.pattern) + 1);
  if (storedLayers && storedLayers != modelLayers)
    problems.add([&] {
      return "the checkpoint has " + llvm::itostr(storedLayers) +
             " layers but the model has " + llvm::itostr(modelLayers);
    });
}

void Binder::reportMissing() {
  std::vector<llvm::StringRef> candidates;
  for (const CheckpointTensor &tensor : unknown)
    if (!isDraftCopy(tensor.getName()))
      candidates.push_back(tensor.getName());
  for (const WeightSpec *spec : missing) {
    if (storedLayers && layerOf(spec->name) >= storedLayers)
      continue;
    problems.add([&] {
      std::string text = "missing " + quotedName(spec->name);
      if (spec->count > 1)
        text += ", " + llvm::itostr(spec->count) + " tensors";
      return text + nearestNameHint(spec->name, candidates);
    });
  }
}

void Binder::reportSurplus() {
  bool declaresDraft = llvm::any_of(
      inventory.getSpecs(), [](const WeightSpec &spec) { return spec.draft; });
  auto ignored = [&](llvm::StringRef name) {
    return isDraftName(name) && (!declaresDraft || isDraftCopy(name));
  };
  for (const CheckpointTensor &tensor : unknown)
    if (!ignored(tensor.getName()))
      problems.add([&] {
        return describe(tensor) + " has a name that Varve does not know";
      });
  for (const Group &group : groups)
    if (!group.used && !ignored(group.pattern) &&
        layerOf(group.pattern) < modelLayers)
      problems.add([&] {
        std::string text = describe(group.members.front().tensor) +
                           " is not part of the configured model";
        if (group.members.size() > 1)
          text += ", nor are " + llvm::utostr(group.members.size() - 1) +
                  " other experts' tensors " + quotedName(group.pattern);
        return text;
      });
}

} // namespace

llvm::Expected<WeightBindings> bindWeights(const Checkpoint &checkpoint,
                                           const WeightInventory &inventory,
                                           const StorageConfig &storage) {
  return Binder(checkpoint, inventory, storage).run();
}

} // namespace varve
