//===- SharedExperts.cpp - Few layers' experts for all layers -------------===//

#include "runtime/Weights/SharedExperts.h"
#include "runtime/Error.h"
#include <charconv>
#include <map>
#include <numeric>

namespace varve::runtime {

namespace {

/// "layers.3.ffn.experts.*.w1.scale": layer 3, "w1.scale".
struct ExpertName {
  int64_t layer;
  std::string_view tensor;
};

std::optional<ExpertName> parseExpert(std::string_view name) {
  constexpr std::string_view front = "layers.", middle = ".ffn.experts.*.";
  if (!name.starts_with(front))
    return std::nullopt;
  name.remove_prefix(front.size());
  ExpertName result{};
  auto [end, error] =
      std::from_chars(name.data(), name.data() + name.size(), result.layer);
  name.remove_prefix(end - name.data());
  if (error != std::errc() || !name.starts_with(middle))
    return std::nullopt;
  result.tensor = name.substr(middle.size());
  return result;
}

/// By layer, by tensor: the weight's index.
using ExpertLayers = std::map<int64_t, std::map<std::string_view, size_t>>;

ExpertLayers expertLayersOf(std::span<const Weight> weights) {
  ExpertLayers layers;
  for (size_t i = 0; i < weights.size(); ++i)
    if (std::optional<ExpertName> expert = parseExpert(weights[i].name))
      layers[expert->layer][expert->tensor] = i;
  return layers;
}

} // namespace

int64_t countExpertLayers(std::span<const Weight> weights) {
  return static_cast<int64_t>(expertLayersOf(weights).size());
}

std::vector<size_t> weightOwners(std::span<const Weight> weights,
                                 int64_t sets) {
  std::vector<size_t> owners(weights.size());
  std::iota(owners.begin(), owners.end(), 0);
  if (sets == 0)
    return owners;
  std::vector<std::map<std::string_view, size_t>> kept;
  int64_t number = 0;
  for (auto &[layer, tensors] : expertLayersOf(weights)) {
    if (number++ < sets) {
      kept.push_back(tensors);
      continue;
    }
    const auto &from = kept[(number - 1) % sets];
    for (auto [tensor, index] : tensors) {
      const Weight &weight = weights[index];
      auto owner = from.find(tensor);
      if (owner == from.end() ||
          weights[owner->second].element != weight.element ||
          weights[owner->second].shape != weight.shape)
        fail("--share-experts: {} {} {} cannot use the bytes of {}",
             inQuotes(weight.name), elementName(weight.element),
             shapeText(weight.shape),
             owner == from.end()
                 ? std::string("a layer that has no such tensor")
                 : fmt::format("{} {} {}",
                               inQuotes(weights[owner->second].name),
                               elementName(weights[owner->second].element),
                               shapeText(weights[owner->second].shape)));
      owners[index] = owner->second;
    }
  }
  return owners;
}

} // namespace varve::runtime
