//===- ExpertsTest.cpp - FP4 experts with strained scales -----------------===//
//
// The experts of a layer in native precision, from codes of rows to the second
// product, lowered as a whole and held against the interpreter.
//
//===----------------------------------------------------------------------===//

#include "LowerTesting.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Parser/Parser.h"
#include "gtest/gtest.h"

#include <cmath>

using namespace varve;
using namespace varve::test;

namespace {

constexpr int64_t kExperts = 9, kActive = 3, kHidden = 256, kInner = 256;
/// Columns of a scale of rows, and of one of weights.
constexpr int64_t kGroup = 128, kBlock = 32;

constexpr char kText[] = R"mlir(
func.func @f(%x: tensor<?x256xf8E4M3FN> loc("x"), %xs: tensor<?x2xf8E8M0FNU> loc("xs"),
             %ids: tensor<?x3xi32> loc("ids"), %g: tensor<?x3xf32> loc("g"),
             %w1: tensor<9x256x256xf4E2M1FN> loc("w1"), %s1: tensor<9x256x8xf8E8M0FNU> loc("s1"),
             %w3: tensor<9x256x256xf4E2M1FN> loc("w3"), %s3: tensor<9x256x8xf8E8M0FNU> loc("s3"),
             %w2: tensor<9x256x256xf4E2M1FN> loc("w2"), %s2: tensor<9x256x8xf8E8M0FNU> loc("s2"))
    -> tensor<?x3x256xbf16> {
  %u = varve.experts %x scaled %xs by 128, %ids, %w1 scaled %s1 by [1, 32]
      : (tensor<?x256xf8E4M3FN>, tensor<?x2xf8E8M0FNU>, tensor<?x3xi32>,
         tensor<9x256x256xf4E2M1FN>, tensor<9x256x8xf8E8M0FNU>) -> tensor<?x3x256xbf16>
  %v = varve.experts %x scaled %xs by 128, %ids, %w3 scaled %s3 by [1, 32]
      : (tensor<?x256xf8E4M3FN>, tensor<?x2xf8E8M0FNU>, tensor<?x3xi32>,
         tensor<9x256x256xf4E2M1FN>, tensor<9x256x8xf8E8M0FNU>) -> tensor<?x3x256xbf16>
  %a = varve.swiglu %u, %v weights %g limit 10.0
      : (tensor<?x3x256xbf16>, tensor<?x3x256xbf16>, tensor<?x3xf32>) -> tensor<?x3x256xbf16>
  %c, %cs = varve.quantize %a block 128
      : tensor<?x3x256xbf16> -> tensor<?x3x256xf8E4M3FN>, tensor<?x3x2xf8E8M0FNU>
  %y = varve.experts %c scaled %cs by 128, %ids, %w2 scaled %s2 by [1, 32]
      : (tensor<?x3x256xf8E4M3FN>, tensor<?x3x2xf8E8M0FNU>, tensor<?x3xi32>,
         tensor<9x256x256xf4E2M1FN>, tensor<9x256x8xf8E8M0FNU>) -> tensor<?x3x256xbf16>
  return %y : tensor<?x3x256xbf16>
})mlir";

/// Numbers of a step and of the weights, by the names of the arguments.
using Data = std::map<std::string, std::vector<float>>;

class Draw {
public:
  explicit Draw(unsigned seed) : generator(seed) {}
  /// low <= number < high.
  int below(int low, int high) {
    return low + static_cast<int>(generator() % (high - low));
  }
  bool oneIn(int n) { return below(0, n) == 0; }
  float sign() { return oneIn(2) ? -1.0f : 1.0f; }

private:
  std::mt19937 generator;
};

/// Rows of about 1 and weights for which the activation's inputs are some 4,
/// and at times beyond the limit.
Data makePlain(int64_t tokens, Draw &draw) {
  static constexpr float magnitudes[] = {0, 0.5, 1, 1.5, 2, 3, 4, 6};
  Data data;
  for (int64_t i = 0; i < tokens * kHidden; ++i)
    data["x"].push_back(draw.sign() *
                        std::ldexp(8 + draw.below(0, 8), draw.below(-5, -2)));
  for (int64_t i = 0; i < tokens * kHidden / kGroup; ++i)
    data["xs"].push_back(std::ldexp(1.0f, draw.below(-1, 1)));
  for (int64_t i = 0; i < tokens * kActive; ++i)
    data["g"].push_back(0.05f + draw.below(0, 512) / 1024.0f);
  for (const char *name : {"1", "3", "2"}) {
    int64_t elements = kExperts * kInner * kHidden;
    for (int64_t i = 0; i < elements; ++i)
      data[std::string("w") + name].push_back(draw.sign() *
                                              magnitudes[draw.below(0, 8)]);
    for (int64_t i = 0; i < elements / kBlock; ++i)
      data[std::string("s") + name].push_back(
          std::ldexp(1.0f, draw.below(-5, -2)));
  }
  return data;
}

/// Changes the scale and the codes of every block of a weight.
void changeBlocks(
    Data &data, llvm::ArrayRef<const char *> names,
    llvm::function_ref<void(int64_t row, int64_t block, float &scale,
                            llvm::MutableArrayRef<float> codes)>
        change) {
  int64_t blocks = kHidden / kBlock;
  for (std::string name : names) {
    std::vector<float> &scales = data["s" + name];
    llvm::MutableArrayRef<float> codes = data["w" + name];
    for (size_t i = 0; i < scales.size(); ++i)
      change(i / blocks % kInner, i % blocks, scales[i],
             codes.slice(i * kBlock, kBlock));
  }
}

/// Scales of x that differ by up to 2^40, codes of a group by up to 2^13, and
/// weights that make up for it: all columns count alike. So do the groups of
/// the hidden rows.
void match(Data &data, Draw &draw) {
  static constexpr int groups[] = {0, -40}, rows[] = {0, -5};
  int codes[kHidden / kBlock];
  for (int &exponent : codes)
    exponent = draw.below(-6, 7);
  std::vector<float> &x = data["x"], &scales = data["xs"];
  for (size_t i = 0; i < x.size(); ++i)
    x[i] = draw.sign() *
           std::ldexp(8 + draw.below(0, 8), codes[i % kHidden / kBlock] - 3);
  for (size_t i = 0; i < scales.size(); ++i)
    scales[i] = std::ldexp(1.0f, groups[i % 2] + draw.below(-2, 2));
  changeBlocks(data, {"1", "3"},
               [&](int64_t row, int64_t block, float &scale, auto) {
                 scale = std::ldexp(scale, rows[row / kGroup] -
                                               groups[block * kBlock / kGroup] -
                                               codes[block]);
               });
  changeBlocks(data, {"2"}, [&](int64_t, int64_t block, float &scale, auto) {
    scale = std::ldexp(scale, -2 * rows[block * kBlock / kGroup]);
  });
}

/// Groups of zero codes under the smallest and under large scales; rows of
/// zeros.
void addZeros(Data &data, Draw &draw) {
  for (size_t i = 0; i < data["xs"].size(); ++i)
    if (draw.oneIn(4) || i % 10 < 2) {
      data["xs"][i] = std::ldexp(1.0f, -127);
      std::fill_n(&data["x"][i * kGroup], kGroup, 0.0f);
    }
  changeBlocks(data, {"1", "3", "2"},
               [&](int64_t, int64_t, float &scale, auto codes) {
                 if (!draw.oneIn(3))
                   return;
                 scale = std::ldexp(1.0f, draw.oneIn(2) ? -127 : 123);
                 for (float &code : codes)
                   code = std::copysign(0.0f, code);
               });
}

/// Scales so small that their blocks add nothing.
void addTiny(Data &data, Draw &draw) {
  changeBlocks(data, {"1", "3", "2"},
               [&](int64_t, int64_t, float &scale, auto) {
                 if (draw.oneIn(3))
                   scale = std::ldexp(1.0f, draw.below(-127, -122));
               });
}

/// Scale codes above that of 1, where x is zero.
void addLarge(Data &data, Draw &draw) {
  for (size_t i = 0; i < data["x"].size(); ++i)
    if (i % kHidden < kGroup)
      data["x"][i] = 0.0f;
  changeBlocks(data, {"1", "3"},
               [&](int64_t, int64_t block, float &scale, auto) {
                 if (block * kBlock < kGroup)
                   scale = std::ldexp(1.0f, draw.below(1, 124));
               });
}

class ExpertsTest : public testing::Test {
protected:
  void SetUp() override {
    mlir::DialectRegistry registry;
    registerTestDialects(registry);
    context.appendDialectRegistry(registry);
    context.disableMultithreading();
    source = mlir::parseSourceString<mlir::ModuleOp>(kText, &context);
    ASSERT_TRUE(source);
    lowered = source->clone();
    ASSERT_TRUE(mlir::succeeded(lower(*lowered)));
    interpreter.emplace(*source, weights);
    machine = PlanMachine::create(*lowered->getOps<mlir::ModuleOp>().begin(),
                                  weights);
    ASSERT_TRUE(machine);
  }

  /// Distinct experts for every token; the last expert is everybody's if the
  /// step is `crowded`, else some are nobody's.
  static std::vector<int32_t> drawIds(int64_t tokens, bool crowded,
                                      Draw &draw) {
    std::vector<int32_t> ids;
    for (int64_t t = 0; t < tokens; ++t) {
      llvm::SmallVector<int32_t, kActive> mine;
      if (crowded)
        mine.push_back(kExperts - 1);
      while (mine.size() < kActive)
        if (int32_t id = draw.below(0, kExperts);
            id != 4 && !llvm::is_contained(mine, id))
          mine.push_back(id);
      std::swap(mine[0], mine[draw.below(0, kActive)]);
      llvm::append_range(ids, mine);
    }
    return ids;
  }

  void step(int64_t tokens, bool crowded,
            llvm::function_ref<void(Data &, Draw &)> strain) {
    Draw draw(tokens);
    Data data = makePlain(tokens, draw);
    strain(data, draw);
    PlanSizes sizes;
    sizes.tokens = tokens;
    std::vector<HostTensor> arguments;
    std::map<std::string, Bytes> memories;
    memories["starts"] = memories["ends"] =
        bytesOfNumbers(std::vector<int32_t>(tokens));
    memories["page_table"] = makePageTable(sizes);
    auto function = source->lookupSymbol<mlir::func::FuncOp>("f");
    for (mlir::BlockArgument argument : function.getArguments()) {
      auto type = mlir::cast<mlir::RankedTensorType>(argument.getType());
      std::vector<int64_t> shape(type.getShape());
      if (type.isDynamicDim(0))
        shape[0] = tokens;
      std::string name =
          mlir::cast<mlir::NameLoc>(argument.getLoc()).getName().str();
      arguments.push_back(
          name == "ids" ? HostTensor::ofNumbers(type.getElementType(), shape,
                                                drawIds(tokens, crowded, draw))
                        : HostTensor::ofFloats(type.getElementType(), shape,
                                               data.at(name)));
      memories[name] = encode(arguments.back());
    }
    auto expected = interpreter->call("f", arguments);
    ASSERT_TRUE(mlir::succeeded(expected));
    machine->run("f", sizes, memories);
    const HostTensor &result = expected->front();
    expectClose(
        decode(memories["out0"], result.getElementType(), result.getShape()),
        result, {5e-3, 3e-2},
        std::to_string(tokens) + (crowded ? " tokens, crowded" : " tokens"));
  }

  /// All strategies, and tiles that are not full.
  void run(llvm::function_ref<void(Data &, Draw &)> strain) {
    for (auto [tokens, crowded] :
         {std::pair(1, false), {3, true}, {8, false}, {33, true}, {129, false}})
      step(tokens, crowded, strain);
  }

  mlir::MLIRContext context;
  RandomWeights weights{RandomWeightsOptions()};
  mlir::OwningOpRef<mlir::ModuleOp> source, lowered;
  std::optional<Interpreter> interpreter;
  std::unique_ptr<PlanMachine> machine;
};

TEST_F(ExpertsTest, PlainScales) {
  run([](Data &, Draw &) {});
}

TEST_F(ExpertsTest, ScalesThatMakeUpForEachOther) { run(match); }

TEST_F(ExpertsTest, ZerosUnderAnyScale) { run(addZeros); }

TEST_F(ExpertsTest, TinyScales) { run(addTiny); }

TEST_F(ExpertsTest, LargeScalesWhereRowsAreZero) { run(addLarge); }

} // namespace
