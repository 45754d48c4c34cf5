//===- RandomWeights.cpp - Weights from a seed ----------------------------===//

#include "lib/Checkpoint/RandomWeights.h"
#include "lib/Checkpoint/Messages.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"

namespace varve {

namespace {

class RandomTensor final : public WeightTensor {
public:
  RandomTensor(WeightType type, llvm::ArrayRef<int64_t> shape,
               std::unique_ptr<RandomRows> rows)
      : type(type), shape(shape), rows(std::move(rows)) {}

  WeightType getType() const override { return type; }
  llvm::ArrayRef<int64_t> getShape() const override { return shape; }
  void readRow(int64_t row, llvm::MutableArrayRef<float> out) const override {
    rows->readRow(row, std::span(out.data(), out.size()));
  }
  void readRow(int64_t row, llvm::MutableArrayRef<int64_t> out) const override {
    rows->readRow(row, std::span(out.data(), out.size()));
  }

private:
  WeightType type;
  llvm::SmallVector<int64_t, 3> shape;
  std::unique_ptr<RandomRows> rows;
};

} // namespace

llvm::Expected<std::unique_ptr<WeightTensor>>
RandomWeights::open(llvm::StringRef name, WeightType type,
                    llvm::ArrayRef<int64_t> shape) const {
  std::string problem;
  std::unique_ptr<RandomRows> rows =
      makeRandomRows(name, type, shape, options, problem);
  if (!rows)
    return makeError("random weights", problem);
  return std::make_unique<RandomTensor>(type, shape, std::move(rows));
}

llvm::Expected<WeightsOption> parseWeightsOption(llvm::StringRef text) {
  WeightsOption option;
  llvm::StringRef seed = text;
  if (text.empty())
    return llvm::createStringError(
        "expected weights: a checkpoint's folder, 'random' or 'random:SEED'");
  if (text == "random")
    return option;
  if (!seed.consume_front("random:")) {
    option.path = text.str();
    return option;
  }
  if (seed.empty() || !llvm::all_of(seed, llvm::isDigit) ||
      seed.getAsInteger(10, option.seed))
    return llvm::createStringError(
        "expected a seed from 0 to 18446744073709551615 after 'random:' but "
        "got " +
        quotedName(seed));
  return option;
}

} // namespace varve
