//===- RandomRows.cpp - Weights from a seed, row by row -------------------===//

#include "lib/Checkpoint/RandomRows.h"
#include "lib/Checkpoint/PhiloxBlocks.h"
#include "lib/Checkpoint/TensorNames.h"
#include "varve/Support/Assert.h"
#include "varve/Support/Floats.h"
#include "varve/Support/Philox.h"
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <map>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>
#define XXH_INLINE_ALL
#include <xxhash.h>

namespace varve {

static_assert(std::endian::native == std::endian::little,
              "stored rows are copied from words");

namespace {

int64_t divideCeil(int64_t a, int64_t b) { return (a + b - 1) / b; }

/// A sequence of blocks of four random words.
struct Stream {
  PhiloxKey key;
  uint64_t number;

  PhiloxCounter operator()(uint64_t block) const {
    return philox4x32(
        {static_cast<uint32_t>(block), static_cast<uint32_t>(block >> 32),
         static_cast<uint32_t>(number), static_cast<uint32_t>(number >> 32)},
        key);
  }

  /// The blocks [first, end), four words each.
  std::vector<uint32_t> blocks(uint64_t first, uint64_t end) const {
    std::vector<uint32_t> words(4 * (end - first));
    philoxBlocks(key, number, first, words);
    return words;
  }
};

template <typename Code>
void store(std::span<uint8_t> out, size_t index, Code code) {
  std::memcpy(out.data() + index * sizeof(Code), &code, sizeof(Code));
}

/// Mean square of an FP4 code when all sixteen are equally frequent: that of
/// 0, 0.5, 1, 1.5, 2, 3, 4, 6.
constexpr double codeMeanSquare = 68.5 / 8;

/// Scales for `columns` blocks in a row: 2^exponent, or twice that in `often`
/// of 2^32 cases, so that their mean square is 1 / (K * codeMeanSquare) when a
/// block stands for as many columns as an FP4 scale does.
struct ScaleRule {
  int exponent = 0;
  uint32_t often = 0;
  double meanSquare = 0;

  ScaleRule(int64_t columns, int64_t block) {
    meanSquare = 1 / (static_cast<double>(columns) *
                      static_cast<double>(block) * codeMeanSquare);
    double low = 1; // 4^exponent
    for (; low > meanSquare; low /= 4)
      --exponent;
    for (; low * 4 <= meanSquare; low *= 4)
      ++exponent;
    // p of the larger: low * (1 - p) + 4 * low * p = meanSquare.
    often = static_cast<uint32_t>((meanSquare / low - 1) / 3 * 0x1p32);
  }
};

/// Mean and deviation of a tensor by its name.
struct Distribution {
  double mean = 0;
  double deviation = 1;
};

Distribution distributionOf(std::string_view name, WeightType type,
                            int64_t columns,
                            const RandomWeightsOptions &options) {
  // FP8 codes leave to their scales what these have, whatever their K.
  if (type == WeightType::F8E4M3) {
    int64_t blocks = divideCeil(columns, options.scaleBlockColumns);
    return {0,
            std::sqrt(
                1 / (static_cast<double>(columns) *
                     ScaleRule(blocks, options.expertScaleBlock).meanSquare))};
  }
  if (name.ends_with("norm.weight"))
    return {1, 0.2};
  if (name.ends_with("_scale"))
    return {1, 0.3};
  if (name.ends_with(".bias"))
    return {0, 0.1};
  std::string_view last = name.substr(name.rfind('.') + 1);
  if (last == "ape" || last == "attn_sink" || last.ends_with("_base") ||
      name == "embed.weight")
    return {0, 1};
  return {0, 1 / std::sqrt(static_cast<double>(columns))};
}

/// Rows of one tensor, or of the stack of all experts'.
class RandomTensor : public RandomRows {
public:
  RandomTensor(WeightType type, std::span<const int64_t> shape,
               std::vector<Stream> streams)
      : type(type), shape(shape.begin(), shape.end()),
        streams(std::move(streams)) {
    for (int64_t extent : shape.first(shape.size() - 1))
      rows *= extent;
    rowsPerStream = rows / static_cast<int64_t>(this->streams.size());
  }

  void readRow(int64_t row, std::span<float> out) const override {
    VARVE_ASSERT(false, "integer tensors are read as integers");
  }
  void readRow(int64_t row, std::span<int64_t> out) const override {
    VARVE_ASSERT(false, "only integer tensors are read as integers");
  }

  void readStored(int64_t row, std::span<uint8_t> out) const override {
    if (type == WeightType::I64 || type == WeightType::I32) {
      std::vector<int64_t> numbers(columns());
      readRow(row, numbers);
      for (size_t i = 0; i < numbers.size(); ++i)
        if (type == WeightType::I64)
          store(out, i, numbers[i]);
        else
          store(out, i, static_cast<int32_t>(numbers[i]));
      return;
    }
    // Scales in F32; all other tensors of numbers know a shorter way.
    VARVE_ASSERT(type == WeightType::F32, "a row has a stored form");
    std::vector<float> numbers(columns());
    readRow(row, numbers);
    std::memcpy(out.data(), numbers.data(), out.size());
  }

protected:
  size_t columns() const { return static_cast<size_t>(shape.back()); }

  /// The stream of a row, and the row's number in its tensor.
  std::pair<const Stream &, uint64_t> locate(int64_t row,
                                             size_t outSize) const {
    VARVE_ASSERT(row >= 0 && row < rows, "row out of range");
    VARVE_ASSERT(outSize == static_cast<size_t>(shape.back()),
                 "a row is read whole");
    return {streams[row / rowsPerStream], row % rowsPerStream};
  }

  WeightType type;
  std::vector<int64_t> shape;

private:
  std::vector<Stream> streams;
  int64_t rows = 1;
  int64_t rowsPerStream = 1;
};

/// A normal number times 65536 or so: the sum of two words' halves, less its
/// mean.
int32_t sumOfHalves(uint32_t a, uint32_t b) {
  auto sum =
      static_cast<int32_t>((a & 0xFFFF) + (a >> 16) + (b & 0xFFFF) + (b >> 16));
  return sum - 2 * 65535;
}

/// What E4M3 stores of `mean + sum * factor`, by sum + 2 * 65535. Tables are
/// kept: a model has few.
using CodeTable = std::vector<uint8_t>;
std::shared_ptr<const CodeTable> codesOfSums(float mean, float factor) {
  static std::mutex mutex;
  static std::map<std::pair<float, float>, std::shared_ptr<const CodeTable>>
      tables;
  std::lock_guard<std::mutex> lock(mutex);
  std::shared_ptr<const CodeTable> &table = tables[{mean, factor}];
  if (!table) {
    auto codes = std::make_shared<CodeTable>(4 * 65535 + 1);
    for (int32_t i = 0; i <= 4 * 65535; ++i)
      (*codes)[i] =
          floatToE4m3(mean + static_cast<float>(i - 2 * 65535) * factor);
    table = codes;
  }
  return table;
}

/// Numbers of approximately normal distribution, rounded to the type. A block
/// of random words makes two: each the sum of four 16-bit numbers, whose mean
/// is 2 * 65535 and whose variance is (2^32 - 1) / 3.
class NormalTensor final : public RandomTensor {
public:
  NormalTensor(WeightType type, std::span<const int64_t> shape,
               std::vector<Stream> streams, Distribution distribution)
      : RandomTensor(type, shape, std::move(streams)),
        mean(static_cast<float>(distribution.mean)),
        factor(static_cast<float>(distribution.deviation /
                                  std::sqrt(4294967295.0 / 3))) {}

  using RandomTensor::readRow;
  void readRow(int64_t row, std::span<float> out) const override {
    auto [stream, number] = locate(row, out.size());
    uint64_t element = number * out.size();
    PhiloxCounter words{};
    for (size_t i = 0; i < out.size(); ++i) {
      uint64_t index = element + i;
      if (i == 0 || index % 2 == 0)
        words = stream(index / 2);
      out[i] = rounded(valueOf(words[index % 2 * 2], words[index % 2 * 2 + 1]));
    }
  }

  void readStored(int64_t row, std::span<uint8_t> out) const override {
    auto [stream, number] = locate(row, columns());
    uint64_t first = number * columns(), end = first + columns();
    std::vector<uint32_t> words = stream.blocks(first / 2, divideCeil(end, 2));
    const uint32_t *pair = words.data() + first % 2 * 2;
    if (type == WeightType::F8E4M3) {
      std::shared_ptr<const CodeTable> codes = codesOfSums(mean, factor);
      const uint8_t *middle = codes->data() + 2 * 65535;
      for (size_t i = 0; i < columns(); ++i, pair += 2)
        out[i] = middle[sumOfHalves(pair[0], pair[1])];
      return;
    }
    for (size_t i = 0; i < columns(); ++i, pair += 2) {
      float value = valueOf(pair[0], pair[1]);
      if (type == WeightType::BF16)
        store(out, i, floatToBf16(value));
      else if (type == WeightType::F16)
        store(out, i, floatToF16(value));
      else
        store(out, i, value);
    }
  }

private:
  float valueOf(uint32_t a, uint32_t b) const {
    return mean + static_cast<float>(sumOfHalves(a, b)) * factor;
  }

  float rounded(float value) const {
    switch (type) {
    case WeightType::BF16:
      return bf16ToFloat(floatToBf16(value));
    case WeightType::F16:
      return f16ToFloat(floatToF16(value));
    case WeightType::F8E4M3:
      return e4m3ToFloat(floatToE4m3(value));
    default:
      return value;
    }
  }

  float mean, factor;
};

/// FP4 codes, 32 in a block of random words.
class CodeTensor final : public RandomTensor {
public:
  using RandomTensor::RandomTensor;
  using RandomTensor::readRow;
  void readRow(int64_t row, std::span<float> out) const override {
    auto [stream, number] = locate(row, out.size());
    uint64_t element = number * out.size();
    PhiloxCounter words{};
    for (size_t i = 0; i < out.size(); ++i) {
      uint64_t index = element + i;
      if (i == 0 || index % 32 == 0)
        words = stream(index / 32);
      out[i] = e2m1ToFloat(words[index / 8 % 4] >> (index % 8 * 4) & 0xF);
    }
  }

  /// A row begins with a whole byte, for it has an even number of columns.
  void readStored(int64_t row, std::span<uint8_t> out) const override {
    auto [stream, number] = locate(row, columns());
    uint64_t first = number * columns(), end = first + columns();
    std::vector<uint32_t> words =
        stream.blocks(first / 32, divideCeil(end, 32));
    std::memcpy(out.data(),
                reinterpret_cast<const uint8_t *>(words.data()) +
                    first % 32 / 2,
                out.size());
  }
};

/// Scales of FP8 and FP4, as powers of two in E8M0 or in F32.
class ScaleTensor final : public RandomTensor {
public:
  ScaleTensor(WeightType type, std::span<const int64_t> shape,
              std::vector<Stream> streams, const ScaleRule &rule)
      : RandomTensor(type, shape, std::move(streams)), often(rule.often),
        low(e8m0ToFloat(static_cast<uint8_t>(127 + rule.exponent))) {}

  using RandomTensor::readRow;
  void readRow(int64_t row, std::span<float> out) const override {
    auto [stream, number] = locate(row, out.size());
    uint64_t element = number * out.size();
    PhiloxCounter words{};
    for (size_t i = 0; i < out.size(); ++i) {
      uint64_t index = element + i;
      if (i == 0 || index % 4 == 0)
        words = stream(index / 4);
      out[i] = words[index % 4] < often ? 2 * low : low;
    }
  }

  void readStored(int64_t row, std::span<uint8_t> out) const override {
    if (type != WeightType::F8E8M0)
      return RandomTensor::readStored(row, out);
    auto [stream, number] = locate(row, columns());
    uint64_t first = number * columns(), end = first + columns();
    std::vector<uint32_t> words = stream.blocks(first / 4, divideCeil(end, 4));
    uint8_t code = e8m0FromPowerOfTwo(low);
    for (size_t i = 0; i < columns(); ++i)
      out[i] = static_cast<uint8_t>(code + (words[first % 4 + i] < often));
  }

private:
  uint32_t often;
  float low;
};

/// Rows of distinct expert numbers (R. W. Floyd's sampling), in random order.
class RoutingTensor final : public RandomTensor {
public:
  RoutingTensor(WeightType type, std::span<const int64_t> shape,
                std::vector<Stream> streams, int64_t numExperts)
      : RandomTensor(type, shape, std::move(streams)), numExperts(numExperts) {}

  using RandomTensor::readRow;
  void readRow(int64_t row, std::span<int64_t> out) const override {
    auto [stream, number] = locate(row, out.size());
    uint64_t block = number * divideCeil(out.size(), 2);
    for (size_t i = 0; i < out.size(); ++i) {
      PhiloxCounter words = stream(block + i / 2);
      // Of the first `limit` experts, or else, if chosen already, the last.
      int64_t limit = numExperts - static_cast<int64_t>(out.size()) + i + 1;
      int64_t expert = below(words[i % 2 * 2], limit);
      if (std::find(out.begin(), out.begin() + i, expert) != out.begin() + i)
        expert = limit - 1;
      // A later choice is more often a large number: shuffle.
      size_t place = below(words[i % 2 * 2 + 1], i + 1);
      out[i] = out[place];
      out[place] = expert;
    }
  }

private:
  /// 0 to limit-1, equally often but for 2^-32.
  static int64_t below(uint32_t word, uint64_t limit) {
    return static_cast<int64_t>(word * limit >> 32);
  }

  int64_t numExperts;
};

/// What is wrong with a shape, before anything is computed from it; empty when
/// nothing is.
std::string checkShape(std::string_view name, WeightType type,
                       std::span<const int64_t> shape) {
  int64_t elements = 1;
  bool positive = !shape.empty();
  for (int64_t extent : shape)
    positive = positive && extent > 0 &&
               !__builtin_mul_overflow(elements, extent, &elements);
  if (!positive || elements > int64_t(1) << 60)
    return "expected positive extents, with a product of at most 2^60";
  if (type == WeightType::F4E2M1 && shape.back() % 2)
    return "FP4 needs an even number of columns";
  if (name.find('*') != std::string_view::npos && shape.size() < 2)
    return "expected the experts in a leading dimension";
  return "";
}

std::string shapeText(std::span<const int64_t> shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i)
    text += (i ? ", " : "") + std::to_string(shape[i]);
  return text + "]";
}

Stream streamOf(PhiloxKey key, std::string_view name) {
  return {key, XXH3_64bits(name.data(), name.size())};
}

} // namespace

std::unique_ptr<RandomRows> makeRandomRows(std::string_view name,
                                           WeightType type,
                                           std::span<const int64_t> shape,
                                           const RandomWeightsOptions &options,
                                           std::string &problem) {
  std::string quoted = "tensor '" + std::string(name) + "'";
  problem = checkShape(name, type, shape);
  if (!problem.empty()) {
    problem = quoted + " " + std::string(weightTypeName(type)) + " " +
              shapeText(shape) + ": " + problem;
    return nullptr;
  }
  PhiloxKey key = {static_cast<uint32_t>(options.seed),
                   static_cast<uint32_t>(options.seed >> 32)};
  std::vector<Stream> streams;
  if (name.find('*') != std::string_view::npos)
    for (int64_t i = 0; i < shape.front(); ++i)
      streams.push_back(streamOf(key, expertName(name, i)));
  else
    streams.push_back(streamOf(key, name));

  if (type == WeightType::I64 || type == WeightType::I32) {
    // Choices are made with 32-bit numbers.
    if (options.numExperts < shape.back() || options.numExperts > INT32_MAX) {
      problem = quoted + " sends a token to " + std::to_string(shape.back()) +
                " experts but the number of experts is given as " +
                std::to_string(options.numExperts);
      return nullptr;
    }
    return std::make_unique<RoutingTensor>(type, shape, std::move(streams),
                                           options.numExperts);
  }
  if (type == WeightType::F4E2M1)
    return std::make_unique<CodeTensor>(type, shape, std::move(streams));
  if (type == WeightType::F8E8M0 || name.ends_with(".scale"))
    return std::make_unique<ScaleTensor>(
        type, shape, std::move(streams),
        ScaleRule(shape.back(), options.expertScaleBlock));
  return std::make_unique<NormalTensor>(
      type, shape, std::move(streams),
      distributionOf(name, type, shape.back(), options));
}

} // namespace varve
