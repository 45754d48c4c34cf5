//===- KernelTableTest.cpp - The table of compiled kernels ----------------===//

#include "PackageHarness.h"
#include "lib/Binary/CompileKernel.h"
#include "lib/Package/Package.h"
#include "llvm/Support/JSON.h"
#include "gmock/gmock.h"

using namespace varve;
using ::testing::HasSubstr;

namespace {

constexpr char kProgram[] = R"mlir(
module attributes {varve.model = #varve.model<name = "toy", layers = "S",
                                              vocab = 8, max_positions = 64>} {
  module @host attributes {varve.target = "x86-64"} {
    tile.func private @nothing() grid affine_map<() -> (1)> [] warps 1 { tile.return }
    plan.func @step(%y: !plan.tensor<tokens x 8 x f32> {plan.name = "out", plan.output}) {
      plan.launch @nothing()
      plan.launch @nothing()
      plan.return
    }
  }
}
)mlir";

std::string writeTable(ReportFormat format) {
  test::CompiledProgram program(kProgram);
  std::string text;
  llvm::raw_string_ostream os(text);
  writeKernelTable(*program.module, format, os);
  return text;
}

TEST(KernelTable, MarkdownHasARowPerKernel) {
  std::string text = writeTable(ReportFormat::Markdown);
  EXPECT_THAT(text, HasSubstr("## x86-64\n"));
  EXPECT_THAT(text, HasSubstr("| `nothing` | object | "));
  EXPECT_THAT(text, HasSubstr(" | 2 |\n"));
}

TEST(KernelTable, JsonHasAnObjectPerKernel) {
  llvm::Expected<llvm::json::Value> table =
      llvm::json::parse(writeTable(ReportFormat::Json));
  ASSERT_TRUE(static_cast<bool>(table));
  const llvm::json::Object *target = (*table->getAsArray())[0].getAsObject();
  EXPECT_EQ(target->getString("target"), "x86-64");
  const llvm::json::Object *kernel =
      (*target->getArray("kernels"))[0].getAsObject();
  EXPECT_EQ(kernel->getString("name"), "nothing");
  EXPECT_EQ(kernel->getInteger("launches"), 2);
}

TEST(MatrixInstructions, AreCountedInPtx) {
  EXPECT_EQ(countMatrixInstructions(
                "\tmma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {};\n"
                "\t@%p1 wgmma.mma_async.sync.aligned.m64n8k16.f32.bf16.bf16\n"
                "\twgmma.commit_group.sync.aligned;\n"
                "\t// mma.sync\n"
                "tcgen05.mma.cta_group::1.kind::f16\n"),
            3u);
}

} // namespace
