//===- BlockWorkTest.cpp - What a block of a tile program does ------------===//

#include "lib/CostModel/BlockWork.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Parser/Parser.h"
#include "gtest/gtest.h"

using namespace varve;
using namespace mlir::varve;

namespace {

class BlockWorkFixture : public testing::Test {
protected:
  BlockWorkFixture() {
    context.loadDialect<mlir::arith::ArithDialect, mlir::scf::SCFDialect,
                        tile::TileDialect>();
    step.tokens = 4;
    step.sequences = 2;
    step.context = 1000;
  }

  /// Walks a block of the only function of `text`.
  BlockWork walk(const char *text, std::vector<ProgramArgument> arguments,
                 std::vector<int64_t> block = {0},
                 std::vector<int64_t> grid = {1}) {
    module = mlir::parseSourceString<mlir::ModuleOp>(text, &context);
    EXPECT_TRUE(module);
    auto program = *module->getOps<tile::FuncOp>().begin();
    auto target = TargetModel::lookup("sm_90a");
    return walkBlock(program, arguments, step, block, grid, **target);
  }

  static ProgramArgument view(std::vector<int64_t> sizes, bool isCold = false,
                              StepInput input = StepInput::None) {
    ProgramArgument argument;
    argument.sizes.assign(sizes.begin(), sizes.end());
    argument.isCold = isCold;
    argument.input = input;
    return argument;
  }

  mlir::MLIRContext context;
  mlir::OwningOpRef<mlir::ModuleOp> module;
  StepShape step;
};

constexpr const char *kProduct = R"(
tile.func @product(%x: !tile.view<?x256xbf16>, %w: !tile.view<64x256xbf16>,
                   %y: !tile.view<?x64xf32>)
    grid affine_map<()[s0] -> (s0 ceildiv 16)> [dim(%x, 0)] warps 4 {
  %i = tile.program_id 0
  %c16 = arith.constant 16 : index
  %row = arith.muli %i, %c16 : index
  %c0 = arith.constant 0 : index
  %c64 = arith.constant 64 : index
  %c256 = arith.constant 256 : index
  %zero = arith.constant dense<0.0> : tensor<16x64xf32>
  %sum = scf.for %k = %c0 to %c256 step %c64 iter_args(%acc = %zero)
      -> (tensor<16x64xf32>) {
    %a = tile.load %x[%row, %k] : !tile.view<?x256xbf16> -> tensor<16x64xbf16>
    %b = tile.load %w[%c0, %k] : !tile.view<64x256xbf16> -> tensor<64x64xbf16>
    %d = tile.dot %a, %b transposed, %acc
        : tensor<16x64xbf16>, tensor<64x64xbf16> -> tensor<16x64xf32>
    scf.yield %d : tensor<16x64xf32>
  }
  tile.store %sum, %y[%row, %c0] : tensor<16x64xf32> -> !tile.view<?x64xf32>
  tile.return
}
)";

TEST_F(BlockWorkFixture, ProductsCountPaddingAndLoadsDoNot) {
  BlockWork work =
      walk(kProduct, {view({4, 256}), view({64, 256}, true), view({4, 64})});
  ASSERT_EQ(work.roles.size(), 1u);
  const RoleWork &role = work.roles[0];
  ASSERT_EQ(role.products.size(), 1u);
  EXPECT_EQ(role.products[0].kind, tile::DotKind::MmaSync);
  EXPECT_EQ(role.products[0].type, NumericType::BF16);
  // 16 rows are multiplied, 4 are there.
  EXPECT_EQ(role.products[0].flops, 2.0 * 16 * 64 * 256);
  EXPECT_EQ(work.bytesRead, 2 * (4 * 256 + 64 * 256));
  EXPECT_EQ(work.coldBytesRead, 2 * 64 * 256);
  EXPECT_EQ(work.bytesWritten, 4 * 4 * 64);
  // Both loads of a trip wait together, trips one after another.
  EXPECT_EQ(role.coldWaits, 4);
  EXPECT_EQ(role.cachedWaits, 0);
  EXPECT_EQ(work.numUnknown, 0u);
}

TEST_F(BlockWorkFixture, BlocksBehindTheEndLoadWeightsOnly) {
  BlockWork work =
      walk(kProduct, {view({20, 256}), view({64, 256}, true), view({20, 64})},
           {1}, {2});
  EXPECT_EQ(work.bytesRead, 2 * (4 * 256 + 64 * 256));
}

TEST_F(BlockWorkFixture, TripsFollowFromPositions) {
  constexpr const char *text = R"(
tile.func @scan(%positions: !tile.view<?xi32>, %pool: !tile.view<?x64xf32>,
                %y: !tile.view<?x64xf32>)
    grid affine_map<()[s0] -> (s0)> [dim(%positions, 0)] warps 4 {
  %t = tile.program_id 0
  %p = tile.load_scalar %positions[%t] : !tile.view<?xi32>
  %c4 = arith.constant 4 : i32
  %entries = arith.divui %p, %c4 : i32
  %end = arith.index_cast %entries : i32 to index
  %c0 = arith.constant 0 : index
  %c8 = arith.constant 8 : index
  %zero = arith.constant dense<0.0> : tensor<8x64xf32>
  %sum = scf.for %i = %c0 to %end step %c8 iter_args(%acc = %zero)
      -> (tensor<8x64xf32>) {
    %a = tile.load %pool[%i, %c0] : !tile.view<?x64xf32> -> tensor<8x64xf32>
    %d = arith.addf %acc, %a : tensor<8x64xf32>
    scf.yield %d : tensor<8x64xf32>
  }
  tile.store %sum, %y[%t, %c0] : tensor<8x64xf32> -> !tile.view<?x64xf32>
  tile.return
}
)";
  std::vector<ProgramArgument> arguments = {
      view({4}, false, StepInput::Positions), view({100000, 64}, true),
      view({4, 64})};
  // Tokens 0 and 1 are at positions 998 and 999 of their sequence.
  BlockWork work = walk(text, arguments, {0}, {4});
  EXPECT_EQ(work.coldBytesRead, 32 * 8 * 64 * 4);
  EXPECT_EQ(work.roles[0].coldWaits, 32);
  EXPECT_EQ(work.numUnknown, 0u);
  // Without positions the loop is not known, and runs once.
  arguments[0].input = StepInput::None;
  work = walk(text, arguments, {0}, {4});
  EXPECT_EQ(work.numUnknown, 1u);
  EXPECT_EQ(work.coldBytesRead, 8 * 64 * 4);
}

TEST_F(BlockWorkFixture, TheLastOfSeveralTokensDecides) {
  constexpr const char *text = R"(
tile.func @rows(%positions: !tile.view<?xi32>, %y: !tile.view<?x64xf32>)
    grid affine_map<()[s0] -> (s0 ceildiv 8)> [dim(%positions, 0)] warps 4 {
  %i = tile.program_id 0
  %c8 = arith.constant 8 : index
  %row = arith.muli %i, %c8 : index
  %p = tile.load %positions[%row] : !tile.view<?xi32> -> tensor<8xi32>
  %one = arith.constant dense<1> : tensor<8xi32>
  %n = arith.addi %p, %one : tensor<8xi32>
  %most = tile.reduce max %n along 0 : tensor<8xi32>
  %end = arith.index_cast %most : i32 to index
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c100 = arith.constant 100 : index
  %zero = arith.constant dense<0.0> : tensor<1x64xf32>
  scf.for %k = %c0 to %end step %c100 {
    tile.store %zero, %y[%c0, %c0] : tensor<1x64xf32> -> !tile.view<?x64xf32>
  }
  tile.return
}
)";
  // Four tokens of two sequences of 1000: the last one is at position 999.
  BlockWork work =
      walk(text, {view({4}, false, StepInput::Positions), view({4, 64})});
  EXPECT_EQ(work.numUnknown, 0u);
  EXPECT_EQ(work.bytesWritten, 10 * 64 * 4);
}

TEST_F(BlockWorkFixture, TripsOfShortLoopsAreWalkedOneByOne) {
  BlockWork work = walk(R"(
tile.func @twice(%y: !tile.view<?x64xf32>)
    grid affine_map<()[s0] -> (s0)> [dim(%y, 0)] warps 4 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %zero = arith.constant dense<0.0> : tensor<1x64xf32>
  scf.for %k = %c0 to %c2 step %c1 {
    %first = arith.cmpi eq, %k, %c0 : index
    scf.if %first {
      tile.store %zero, %y[%c0, %c0] : tensor<1x64xf32> -> !tile.view<?x64xf32>
    }
  }
  tile.return
}
)",
                        {view({4, 64})});
  EXPECT_EQ(work.bytesWritten, 64 * 4);
}

TEST_F(BlockWorkFixture, RegistersFollowFromTilesThatAreAlive) {
  walk(kProduct, {view({4, 256}), view({64, 256}, true), view({4, 64})});
  auto target = TargetModel::lookup("sm_90a");
  auto program = *module->getOps<tile::FuncOp>().begin();
  // Accumulator and operands of the product: 4096 + 2048 + 8192 bytes.
  EXPECT_EQ(estimateRegisters(program, **target),
            40 + (4096 + 2048 + 8192) / 4 / 128);
}

TEST_F(BlockWorkFixture, RolesRunSideBySideAndRingsHideWaits) {
  BlockWork work =
      walk(R"(
tile.func @ring(%x: !tile.view<?x4096xbf16>, %w: !tile.view<128x4096xbf16>,
                %y: !tile.view<?x128xf32>)
    grid affine_map<()[s0] -> (s0 ceildiv 128)> [dim(%x, 0)] warps 8 {
  %c0 = arith.constant 0 : index
  %c64 = arith.constant 64 : index
  %c4096 = arith.constant 4096 : index
  %zero = arith.constant dense<0.0> : tensor<128x128xf32>
  tile.pipeline [#tile.role<"load", warps = 4>, #tile.role<"math", warps = 4>] {
    %ring = tile.ring : !tile.ring<4,
        !tile.buffer<128x64xbf16, #tile.shared<swizzle = 128>>,
        !tile.buffer<128x64xbf16, #tile.shared<swizzle = 128>>>
    %sum = scf.for %k = %c0 to %c4096 step %c64 iter_args(%acc = %zero)
        -> (tensor<128x128xf32>) {
      tile.on "load" {
        %s, %b:2 = tile.acquire %ring : !tile.ring<4,
            !tile.buffer<128x64xbf16, #tile.shared<swizzle = 128>>,
            !tile.buffer<128x64xbf16, #tile.shared<swizzle = 128>>>
        %t0 = tile.copy %x[%c0, %k] to %b#0 : !tile.view<?x4096xbf16>
            to !tile.buffer<128x64xbf16, #tile.shared<swizzle = 128>>
        %t1 = tile.copy %w[%c0, %k] to %b#1 : !tile.view<128x4096xbf16>
            to !tile.buffer<128x64xbf16, #tile.shared<swizzle = 128>>
        tile.commit %ring, %s : !tile.ring<4,
            !tile.buffer<128x64xbf16, #tile.shared<swizzle = 128>>,
            !tile.buffer<128x64xbf16, #tile.shared<swizzle = 128>>>
      }
      %next = tile.on "math" -> tensor<128x128xf32> {
        %s, %b:2 = tile.receive %ring : !tile.ring<4,
            !tile.buffer<128x64xbf16, #tile.shared<swizzle = 128>>,
            !tile.buffer<128x64xbf16, #tile.shared<swizzle = 128>>>
        %d = tile.dot %b#0, %b#1 transposed, %acc
            : !tile.buffer<128x64xbf16, #tile.shared<swizzle = 128>>,
              !tile.buffer<128x64xbf16, #tile.shared<swizzle = 128>>
            -> tensor<128x128xf32>
        tile.release %ring, %s : !tile.ring<4,
            !tile.buffer<128x64xbf16, #tile.shared<swizzle = 128>>,
            !tile.buffer<128x64xbf16, #tile.shared<swizzle = 128>>>
        tile.yield %d : tensor<128x128xf32>
      }
      scf.yield %next : tensor<128x128xf32>
    }
    tile.on "math" {
      tile.store %sum, %y[%c0, %c0] : tensor<128x128xf32> -> !tile.view<?x128xf32>
    }
  }
  tile.return
}
)",
           {view({128, 4096}), view({128, 4096}, true), view({128, 128})});
  ASSERT_EQ(work.roles.size(), 2u);
  EXPECT_EQ(work.roles[0].coldWaits, 64 / 4);
  EXPECT_TRUE(work.roles[0].products.empty());
  EXPECT_EQ(work.roles[1].coldWaits, 0);
  ASSERT_EQ(work.roles[1].products.size(), 1u);
  EXPECT_EQ(work.roles[1].products[0].kind, tile::DotKind::Wgmma);
  EXPECT_EQ(work.roles[1].products[0].flops, 2.0 * 128 * 128 * 4096);
  auto program = *module->getOps<tile::FuncOp>().begin();
  EXPECT_EQ(getSharedBytes(program), 4 * 2 * 128 * 64 * 2);
  // Roles share out the registers of a multiprocessor, 255 to a lane at most.
  EXPECT_EQ(estimateRegisters(program, **TargetModel::lookup("sm_90a")), 255);
}

} // namespace
