//===- RandomSource.cpp - Weights from a seed -----------------------------===//
//
// The numbers are those of lib/Checkpoint/RandomRows, encoded as they would be
// stored. What a model's configuration says about scales and experts follows
// from the shapes of its weights.
//
//===----------------------------------------------------------------------===//

#include "lib/Checkpoint/RandomRows.h"
#include "lib/Checkpoint/TensorNames.h"
#include "runtime/Error.h"
#include "runtime/Weights/CheckpointSource.h"
#include "runtime/Weights/WeightSource.h"
#include <algorithm>
#include <charconv>
#include <map>
#include <mutex>

namespace varve::runtime {

namespace {

/// No value: a type that no weight has.
std::optional<WeightType> weightTypeOf(Element element) {
  switch (element) {
  case Element::F32:
    return WeightType::F32;
  case Element::BF16:
    return WeightType::BF16;
  case Element::F16:
    return WeightType::F16;
  case Element::F8E4M3:
    return WeightType::F8E4M3;
  case Element::F8E8M0:
    return WeightType::F8E8M0;
  case Element::F4E2M1:
    return WeightType::F4E2M1;
  case Element::I64:
    return WeightType::I64;
  case Element::I32:
    return WeightType::I32;
  default:
    return std::nullopt;
  }
}

class RandomSource final : public WeightSource {
public:
  RandomSource(uint64_t seed, std::span<const Weight> weights) : seed(seed) {
    for (const Weight &weight : weights)
      shapes[weight.name] = weight.shape;
    for (const Weight &weight : weights) {
      size_t at = weight.name.find(".ffn.experts.*.");
      if (at != std::string::npos)
        numExperts = std::max(numExperts, weight.shape.front());
      if (at != std::string::npos && weight.element == Element::F4E2M1)
        if (auto scale = shapes.find(scaleNameOf(weight.name));
            scale != shapes.end())
          expertScaleBlock = weight.shape.back() / scale->second.back();
    }
  }

  void check(std::span<const Weight> weights) const override {
    for (const Weight &weight : weights)
      static_cast<void>(rowsOf(weight));
  }

  std::optional<Bytes> map(const Weight &) const override {
    return std::nullopt;
  }

  void read(const Weight &weight, int64_t begin,
            std::span<uint8_t> out) const override {
    std::shared_ptr<RandomRows> rows = rowsOf(weight);
    int64_t granule = granuleOf(weight);
    for (int64_t row = begin / granule; !out.empty(); ++row) {
      rows->readStored(row, out.first(granule));
      out = out.subspan(granule);
    }
  }

  std::string describe() const override {
    return "random:" + std::to_string(seed);
  }

private:
  std::shared_ptr<RandomRows> rowsOf(const Weight &weight) const {
    std::lock_guard<std::mutex> lock(mutex);
    if (lastName == weight.name)
      return last;
    std::optional<WeightType> type = weightTypeOf(weight.element);
    if (!type)
      fail("random weights: tensor {} is {}, which no weight is",
           inQuotes(weight.name), elementName(weight.element));
    RandomWeightsOptions options;
    options.seed = seed;
    options.numExperts = numExperts;
    options.expertScaleBlock = expertScaleBlock;
    if (auto scale = shapes.find(scaleNameOf(weight.name));
        scale != shapes.end() && weight.element == Element::F8E4M3) {
      // Any width with as many blocks gives the same numbers.
      int64_t blocks = scale->second.back();
      options.scaleBlockColumns = (weight.shape.back() + blocks - 1) / blocks;
    }
    std::string problem;
    std::shared_ptr<RandomRows> rows =
        makeRandomRows(weight.name, *type, weight.shape, options, problem);
    if (!rows)
      fail("random weights: {}", problem);
    last = rows;
    lastName = weight.name;
    return rows;
  }

  uint64_t seed;
  std::map<std::string, std::vector<int64_t>> shapes;
  int64_t numExperts = 0;
  int64_t expertScaleBlock = 32;
  mutable std::mutex mutex;
  mutable std::string lastName;
  mutable std::shared_ptr<RandomRows> last;
};

} // namespace

int64_t granuleOf(const Weight &weight) {
  return weight.shape.back() * bitsOf(weight.element) / 8;
}

std::unique_ptr<WeightSource> openWeights(const std::string &text,
                                          std::span<const Weight> weights) {
  if (text.empty())
    fail("expected weights: a checkpoint's folder, 'random' or 'random:SEED'");
  if (text == "random")
    return std::make_unique<RandomSource>(0, weights);
  std::string_view rest = text;
  constexpr std::string_view prefix = "random:";
  if (!rest.starts_with(prefix))
    return std::make_unique<CheckpointSource>(text, openCheckpoint(text));
  rest.remove_prefix(prefix.size());
  uint64_t seed = 0;
  auto [end, error] =
      std::from_chars(rest.data(), rest.data() + rest.size(), seed);
  if (error != std::errc() || end != rest.data() + rest.size())
    fail("expected a seed from 0 to 18446744073709551615 after 'random:' but "
         "got {}",
         inQuotes(rest));
  return std::make_unique<RandomSource>(seed, weights);
}

} // namespace varve::runtime
