//===- PackageTest.cpp - What a package says of a plan --------------------===//
//
// Packages are read back with the runtime's reader, which checks the FlatBuffer
// and every rule of plan.fbs.
//
//===----------------------------------------------------------------------===//

#include "lib/Package/Package.h"
#include "PackageHarness.h"
#include "runtime/Package/Package.h"
#include "llvm/Support/JSON.h"
#include "gmock/gmock.h"

using namespace varve;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

namespace {

/// One kernel of every kind of argument, launched in two programs.
constexpr char kProgram[] = R"mlir(
module attributes {varve.model = #varve.model<name = "toy", layers = "SC",
                                              vocab = 8, max_positions = 64, eos = 3>,
                   varve.precision = "f32"} {
  module @host attributes {varve.target = "x86-64"} {
    plan.pool @window window size 5 format "8 x f32"
        : !plan.tensor<[5 slots + max_tokens] x 8 x f32>
    plan.pool @entries entries ratio 4 page 8 : !plan.tensor<[2 pages] x 16 x i8>
    tile.func private @copy(%x: !tile.view<?x8xf32>, %y: !tile.view<?x8xf32>)
        grid affine_map<()[s0] -> ((s0 + 3) floordiv 4, 1)> [dim(%x, 0)] warps 1 {
      %c0 = arith.constant 0 : index
      %c4 = arith.constant 4 : index
      %b = tile.program_id 0
      %r = arith.muli %b, %c4 : index
      %t = tile.load %x[%r, %c0] : !tile.view<?x8xf32> -> tensor<4x8xf32>
      tile.store %t, %y[%r, %c0] : tensor<4x8xf32> -> !tile.view<?x8xf32>
      tile.return
    }
    tile.func private @mixed(%x: !tile.view<?x8xf32, strides = [?, 1]>,
                             %table: !tile.view<?x?xi32>, %n: i32, %f: f32,
                             %y: !tile.view<?x8xf32>)
        grid affine_map<()[s0, s1] -> (s0 * 2 + s1)> [%n, resident] warps 1 {
      %c0 = arith.constant 0 : index
      %t = tile.load %x[%c0, %c0] : !tile.view<?x8xf32, strides = [?, 1]> -> tensor<4x8xf32>
      tile.store %t, %y[%c0, %c0] : tensor<4x8xf32> -> !tile.view<?x8xf32>
      tile.return
    }
    plan.func private @twice(%x: !plan.tensor<tokens x 8 x f32>, %y: !plan.tensor<tokens x 8 x f32>) {
      %t = plan.alloc : !plan.tensor<tokens x 8 x f32>
      plan.launch @copy(%x, %t) : !plan.tensor<tokens x 8 x f32>, !plan.tensor<tokens x 8 x f32> loc("layers.0.copy")
      plan.launch @copy(%t, %y) : !plan.tensor<tokens x 8 x f32>, !plan.tensor<tokens x 8 x f32> loc("layers.0.copy")
      plan.return
    }
    plan.func @step(%ids: !plan.tensor<tokens x i32> {plan.name = "ids"},
                    %table: !plan.tensor<slots x sequence_pages x i32> {plan.name = "page_table"},
                    %y: !plan.tensor<tokens x 8 x f32> {plan.name = "out", plan.output}) {
      %w = plan.weight "norm.*.weight" : !plan.tensor<4 x 8 x f32>
      %x = plan.alloc : !plan.tensor<tokens x 8 x f32>
      plan.when tokens in [1, 32] {
        %n = plan.size [2 tokens + 1] : i32
        %f = arith.constant -1.0 : f32
        %rows = plan.pool_memory @window offset [32 max_tokens] : !plan.tensor<[5 slots] x 8 x f32, strides = [8, 1]>
        plan.launch @mixed(%rows, %table, %n, %f, %x)
            : !plan.tensor<[5 slots] x 8 x f32, strides = [8, 1]>,
              !plan.tensor<slots x sequence_pages x i32>, i32, f32, !plan.tensor<tokens x 8 x f32>
      }
      plan.when tokens in [33, inf] {
        plan.launch @copy(%w, %x) : !plan.tensor<4 x 8 x f32>, !plan.tensor<tokens x 8 x f32>
      }
      plan.call @twice(%x, %y) : !plan.tensor<tokens x 8 x f32>, !plan.tensor<tokens x 8 x f32> loc("layers.1.copy")
      plan.return
    }
  }
}
)mlir";

runtime::Plan readPlan(const std::string &bytes) {
  auto package = runtime::Package::ofBytes(
      "test", std::vector<uint8_t>(bytes.begin(), bytes.end()));
  EXPECT_THAT(package->getTargets(), ElementsAre("x86-64"));
  return package->loadPlan("x86-64");
}

class PackageTest : public ::testing::Test {
protected:
  PackageTest() : program(kProgram) {
    auto bytes = writePackage(*program.module);
    EXPECT_TRUE(succeeded(bytes)) << program.messages;
    if (succeeded(bytes))
      package = *bytes;
  }

  test::CompiledProgram program;
  std::string package;
};

TEST_F(PackageTest, KeepsWhatACallerMustKnowOfTheModel) {
  runtime::Plan plan = readPlan(package);
  EXPECT_EQ(plan.model.name, "toy");
  EXPECT_EQ(plan.model.layers, "SC");
  EXPECT_EQ(plan.model.precision, "f32");
  EXPECT_EQ(plan.model.vocab, 8);
  EXPECT_EQ(plan.model.maxPositions, 64);
  EXPECT_EQ(plan.model.bos, -1);
  EXPECT_EQ(plan.model.eos, 3);
}

TEST_F(PackageTest, DeclaresMemory) {
  runtime::Plan plan = readPlan(package);
  ASSERT_EQ(plan.pools.size(), 2u);
  EXPECT_EQ(plan.pools[0].name, "window");
  EXPECT_EQ(plan.pools[0].kind, runtime::PoolKind::Window);
  EXPECT_EQ(plan.pools[0].rowBytes, 32);
  EXPECT_EQ(plan.pools[0].format, "8 x f32");
  EXPECT_EQ(plan.pools[1].page, 8);
  EXPECT_EQ(plan.pools[1].rowsEach, 2);
  ASSERT_EQ(plan.weights.size(), 1u);
  EXPECT_EQ(plan.weights[0].name, "norm.*.weight");
  EXPECT_THAT(plan.weights[0].shape, ElementsAre(4, 8));
}

TEST_F(PackageTest, ProgramsAreStraightListsOfLaunches) {
  runtime::Plan plan = readPlan(package);
  ASSERT_EQ(plan.programs.size(), 1u);
  const runtime::Program &step = plan.programs[0];
  EXPECT_EQ(step.name, "step");
  ASSERT_EQ(step.ports.size(), 3u);
  EXPECT_EQ(step.ports[1].name, "page_table");
  EXPECT_FALSE(step.ports[1].isOutput);
  EXPECT_TRUE(step.ports[2].isOutput);
  ASSERT_EQ(step.launches.size(), 4u);
  // Two tensors live at the same time, never three.
  EXPECT_EQ(step.storages.size(), 2u);
}

TEST_F(PackageTest, LayersThatShareAFunctionKeepTheirNames) {
  runtime::Plan plan = readPlan(package);
  EXPECT_EQ(plan.programs[0].launches[2].name, "layers.1.copy");
}

TEST_F(PackageTest, ConditionsOfCases) {
  runtime::Plan plan = readPlan(package);
  const runtime::Program &step = plan.programs[0];
  EXPECT_EQ(step.launches[0].condition, 1u);
  EXPECT_EQ(step.launches[1].condition, 2u);
  EXPECT_EQ(step.launches[2].condition, 0u);
  ASSERT_EQ(step.conditions.size(), 2u);
  EXPECT_EQ(step.conditions[0].at(0).low, 1);
  EXPECT_EQ(step.conditions[0].at(0).high, 32);
  EXPECT_EQ(step.conditions[1].at(0).low, 33);
  EXPECT_EQ(step.conditions[1].at(0).high, INT64_MAX);
}

TEST_F(PackageTest, WordsAreAddressesSizesStridesAndScalars) {
  runtime::Plan plan = readPlan(package);
  const runtime::Launch &mixed = plan.programs[0].launches[0];
  using Kind = runtime::Word::Kind;
  std::vector<Kind> kinds;
  for (const runtime::Word &word : mixed.words)
    kinds.push_back(word.kind);
  EXPECT_THAT(kinds, ElementsAre(
                         // x: address, rows, stride
                         Kind::Pool, Kind::Size, Kind::Constant,
                         // table: address, rows, columns
                         Kind::Port, Kind::Size, Kind::Size,
                         // n, f
                         Kind::Size, Kind::Constant,
                         // y: address, rows
                         Kind::Scratch, Kind::Size));
  EXPECT_EQ(plan.sizes[mixed.words[0].value].str(), "32 max_tokens");
  EXPECT_EQ(plan.sizes[mixed.words[1].value].str(), "5 slots");
  EXPECT_EQ(mixed.words[2].value, 8);
  EXPECT_EQ(mixed.words[3].index, 1u);
  EXPECT_EQ(plan.sizes[mixed.words[6].value].str(), "2 tokens + 1");
  EXPECT_EQ(mixed.words[7].value, 0xbf800000);
  ASSERT_EQ(mixed.gridSizes.size(), 2u);
  EXPECT_EQ(mixed.gridSizes[0].kind, Kind::Size);
  EXPECT_EQ(mixed.gridSizes[1].kind, Kind::Resident);
}

TEST_F(PackageTest, GridsArePostfixPrograms) {
  runtime::Plan plan = readPlan(package);
  auto copy = std::find_if(plan.kernels.begin(), plan.kernels.end(),
                           [](auto &kernel) { return kernel.name == "copy"; });
  ASSERT_NE(copy, plan.kernels.end());
  EXPECT_GT(copy->scratchBytes, 0u);
  EXPECT_EQ(copy->numWords, 4u);
  ASSERT_EQ(copy->grid.size(), 2u);
  using Code = runtime::GridOp::Code;
  std::vector<Code> codes;
  for (const runtime::GridOp &op : copy->grid[0])
    codes.push_back(op.code);
  EXPECT_THAT(codes, ElementsAre(Code::Size, Code::Constant, Code::Add,
                                 Code::Constant, Code::FloorDivide));
}

TEST_F(PackageTest, ManifestListsMembersWithDigests) {
  auto opened = runtime::Package::ofBytes(
      "test", std::vector<uint8_t>(package.begin(), package.end()));
  runtime::Bytes bytes = opened->getArchive().get("manifest.json");
  llvm::Expected<llvm::json::Value> manifest =
      llvm::json::parse(llvm::StringRef(
          reinterpret_cast<const char *>(bytes.data()), bytes.size()));
  ASSERT_TRUE(static_cast<bool>(manifest));
  const llvm::json::Object *root = manifest->getAsObject();
  EXPECT_EQ(root->getInteger("format"), 1);
  EXPECT_EQ(root->getObject("model")->getString("name"), "toy");
  const llvm::json::Array *members = root->getArray("members");
  ASSERT_EQ(members->size(), 2u);
  EXPECT_EQ((*members)[0].getAsObject()->getString("name"), "x86-64/plan");
  EXPECT_EQ((*members)[1].getAsObject()->getString("name"),
            "x86-64/kernels.so");
  EXPECT_EQ((*members)[1].getAsObject()->getString("xxh3_128")->size(), 32u);
}

TEST_F(PackageTest, IsTheSameOnEveryRun) {
  test::CompiledProgram again(kProgram);
  auto bytes = writePackage(*again.module);
  ASSERT_TRUE(succeeded(bytes));
  EXPECT_TRUE(*bytes == package);
}

TEST_F(PackageTest, EveryChangedBitIsNoticed) {
  std::vector<uint8_t> bytes(package.begin(), package.end());
  // A prime step, so that every part of the file is met.
  for (size_t i = 0; i < bytes.size(); i += 997) {
    bytes[i] ^= 4;
    EXPECT_ANY_THROW(runtime::Package::ofBytes("test", bytes)) << i;
    bytes[i] ^= 4;
  }
}

TEST_F(PackageTest, ModelIsRequired) {
  (*program.module)->removeAttr("varve.model");
  EXPECT_TRUE(failed(writePackage(*program.module)));
  EXPECT_THAT(program.messages,
              HasSubstr("expected a module with attribute varve.model"));
}

TEST_F(PackageTest, WithoutLinkerTheErrorSaysSo) {
  setenv("VARVE_LD", "/nowhere/ld", 1);
  EXPECT_TRUE(failed(writePackage(*program.module)));
  unsetenv("VARVE_LD");
  EXPECT_THAT(program.messages,
              HasSubstr("kernels for x86-64 could not be linked: VARVE_LD is "
                        "'/nowhere/ld', which is not an executable file"));
}

TEST(Package, WeightsOfOneNameHaveOneType) {
  test::CompiledProgram program(R"mlir(
module attributes {varve.model = #varve.model<name = "toy", layers = "S",
                                              vocab = 8, max_positions = 64>} {
  module @host attributes {varve.target = "x86-64"} {
    plan.func @step(%y: !plan.tensor<tokens x 8 x f32> {plan.name = "out", plan.output}) {
      %a = plan.weight "w" : !plan.tensor<4 x 8 x f32>
      %b = plan.weight "w" : !plan.tensor<4 x 8 x bf16>
      plan.return
    }
  }
}
)mlir");
  EXPECT_TRUE(failed(writePackage(*program.module)));
  EXPECT_THAT(program.messages,
              HasSubstr("expected weights of one name to have one type, but "
                        "'w' is "));
}

} // namespace
