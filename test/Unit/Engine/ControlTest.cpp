//===- ControlTest.cpp - Loops and branches that carry tiles, on x86 ------===//
//
// What is carried lives in arrays that iterations overwrite; these programs
// make the orders in which that could go wrong.
//
//===----------------------------------------------------------------------===//

#include "KernelHarness.h"

using namespace varve;
using namespace varve::test;

namespace {

/// Runs a kernel of (x: 24 floats, n: index, y: 24 floats).
std::vector<float> runOn(const std::string &body, std::vector<float> x,
                         int64_t n) {
  auto kernel = Kernel::compile(R"mlir(
tile.func @f(%xv: !tile.view<24xf32>, %n: index, %yv: !tile.view<24xf32>)
    grid affine_map<() -> (1)> [] warps 1 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %x = tile.load %xv[%c0] : !tile.view<24xf32> -> tensor<24xf32>
  %one = arith.constant dense<1.0> : tensor<24xf32>
)mlir" + body + R"mlir(
  tile.store %y, %yv[%c0] : tensor<24xf32> -> !tile.view<24xf32>
  tile.return
})mlir");
  std::vector<float> y(24, -1.0f);
  if (kernel)
    kernel->run({view(x, {24}), scalar(n), view(y, {24})});
  return y;
}

std::vector<float> iota() {
  std::vector<float> x(24);
  for (int i = 0; i < 24; ++i)
    x[i] = static_cast<float>(i);
  return x;
}

template <typename Fn> std::vector<float> map(Fn fn) {
  std::vector<float> y;
  for (float x : iota())
    y.push_back(fn(x));
  return y;
}

TEST(ControlTest, SwappedTiles) {
  const char *body = R"mlir(
  %z = arith.mulf %x, %x : tensor<24xf32>
  %y, %w = scf.for %i = %c0 to %n step %c1 iter_args(%a = %x, %b = %z)
      -> (tensor<24xf32>, tensor<24xf32>) {
    scf.yield %b, %a : tensor<24xf32>, tensor<24xf32>
  })mlir";
  EXPECT_EQ(runOn(body, iota(), 0), iota());
  EXPECT_EQ(runOn(body, iota(), 3), map([](float x) { return x * x; }));
}

TEST(ControlTest, NextValuesDependOnBothOldOnes) {
  // (a, b) -> (a + b, a): Fibonacci, which needs the old a twice.
  const char *body = R"mlir(
  %zero = arith.constant dense<0.0> : tensor<24xf32>
  %y, %w = scf.for %i = %c0 to %n step %c1 iter_args(%a = %x, %b = %zero)
      -> (tensor<24xf32>, tensor<24xf32>) {
    %s = arith.addf %a, %b : tensor<24xf32>
    scf.yield %s, %a : tensor<24xf32>, tensor<24xf32>
  })mlir";
  EXPECT_EQ(runOn(body, iota(), 6), map([](float x) { return 13 * x; }));
}

TEST(ControlTest, InitialValueIsUsedAgain) {
  // The loop must not write over %x, which is used behind it.
  const char *body = R"mlir(
  %s = scf.for %i = %c0 to %n step %c1 iter_args(%a = %x) -> (tensor<24xf32>) {
    %t = arith.addf %a, %one : tensor<24xf32>
    scf.yield %t : tensor<24xf32>
  }
  %y = arith.subf %s, %x : tensor<24xf32>)mlir";
  EXPECT_EQ(runOn(body, iota(), 5), std::vector<float>(24, 5.0f));
}

TEST(ControlTest, NestedLoopsReadWhatTheOuterCarries) {
  // The inner loop reads %a each time; nothing may change it before the end.
  const char *body = R"mlir(
  %y = scf.for %i = %c0 to %n step %c1 iter_args(%a = %x) -> (tensor<24xf32>) {
    %s = scf.for %j = %c0 to %n step %c1 iter_args(%b = %one) -> (tensor<24xf32>) {
      %t = arith.addf %a, %b : tensor<24xf32>
      scf.yield %t : tensor<24xf32>
    }
    scf.yield %s : tensor<24xf32>
  })mlir";
  // a -> 1 + 2 a, twice.
  EXPECT_EQ(runOn(body, iota(), 2), map([](float x) { return 3 + 4 * x; }));
}

TEST(ControlTest, PartsOfCarriedTiles) {
  // A rotation by 8 elements: the parts read what the result replaces.
  const char *body = R"mlir(
  %y = scf.for %i = %c0 to %n step %c1 iter_args(%a = %x) -> (tensor<24xf32>) {
    %h = tile.slice %a[0] : tensor<24xf32> -> tensor<8xf32>
    %t = tile.slice %a[8] : tensor<24xf32> -> tensor<16xf32>
    %r = tile.concat %t, %h along 0 : tensor<16xf32>, tensor<8xf32> -> tensor<24xf32>
    scf.yield %r : tensor<24xf32>
  })mlir";
  EXPECT_EQ(runOn(body, iota(), 2), map([](float x) {
              return static_cast<float>((static_cast<int>(x) + 16) % 24);
            }));
}

TEST(ControlTest, YieldedShapesLookAtCarriedTiles) {
  // Both yields are views of the same carried tile.
  const char *body = R"mlir(
  %m = tile.reshape %x : tensor<24xf32> -> tensor<4x6xf32>
  %p, %q = scf.for %i = %c0 to %n step %c1 iter_args(%a = %m, %b = %x)
      -> (tensor<4x6xf32>, tensor<24xf32>) {
    %r = tile.reshape %b : tensor<24xf32> -> tensor<6x4xf32>
    %t = tile.transpose %r [1, 0] : tensor<6x4xf32> -> tensor<4x6xf32>
    %f = tile.reshape %a : tensor<4x6xf32> -> tensor<24xf32>
    scf.yield %t, %f : tensor<4x6xf32>, tensor<24xf32>
  }
  %y = tile.reshape %p : tensor<4x6xf32> -> tensor<24xf32>)mlir";
  EXPECT_EQ(runOn(body, iota(), 1), map([](float x) {
              int i = static_cast<int>(x);
              return static_cast<float>(i % 6 * 4 + i / 6);
            }));
}

TEST(ControlTest, BranchesGiveTilesAndScalars) {
  const char *body = R"mlir(
  %c3 = arith.constant 3 : index
  %f2 = arith.constant 2.0 : f32
  %f5 = arith.constant 5.0 : f32
  %p = arith.cmpi slt, %n, %c3 : index
  %t, %s = scf.if %p -> (tensor<24xf32>, f32) {
    %a = arith.addf %x, %one : tensor<24xf32>
    scf.yield %a, %f2 : tensor<24xf32>, f32
  } else {
    scf.yield %x, %f5 : tensor<24xf32>, f32
  }
  %sb = tile.splat %s : tensor<24xf32>
  %y = arith.mulf %t, %sb : tensor<24xf32>)mlir";
  EXPECT_EQ(runOn(body, iota(), 1), map([](float x) { return 2 * (x + 1); }));
  EXPECT_EQ(runOn(body, iota(), 3), map([](float x) { return 5 * x; }));
}

TEST(ControlTest, BranchWithoutElse) {
  const char *body = R"mlir(
  %b = tile.alloc : !tile.buffer<24xf32>
  tile.write %x, %b : tensor<24xf32> -> !tile.buffer<24xf32>
  %p = arith.cmpi sgt, %n, %c0 : index
  scf.if %p {
    tile.write %one, %b : tensor<24xf32> -> !tile.buffer<24xf32>
  }
  %y = tile.read %b : !tile.buffer<24xf32> -> tensor<24xf32>)mlir";
  EXPECT_EQ(runOn(body, iota(), 0), iota());
  EXPECT_EQ(runOn(body, iota(), 1), std::vector<float>(24, 1.0f));
}

TEST(ControlTest, WhileCarriesTiles) {
  // Doubles while the sum is below n.
  const char *body = R"mlir(
  %ni = arith.index_cast %n : index to i32
  %nf = arith.sitofp %ni : i32 to f32
  %y, %count = scf.while (%a = %x, %k = %c0) : (tensor<24xf32>, index) -> (tensor<24xf32>, index) {
    %s = tile.reduce sum %a along 0 : tensor<24xf32>
    %p = arith.cmpf olt, %s, %nf : f32
    scf.condition(%p) %a, %k : tensor<24xf32>, index
  } do {
  ^bb0(%b: tensor<24xf32>, %k: index):
    %d = arith.addf %b, %b : tensor<24xf32>
    %k1 = arith.addi %k, %c1 : index
    scf.yield %d, %k1 : tensor<24xf32>, index
  })mlir";
  // The sum is 276.
  EXPECT_EQ(runOn(body, iota(), 100), iota());
  EXPECT_EQ(runOn(body, iota(), 1000), map([](float x) { return 4 * x; }));
}

TEST(ControlTest, BuffersTravelThroughLoops) {
  const char *body = R"mlir(
  %p = tile.alloc : !tile.buffer<24xf32>
  %q = tile.alloc : !tile.buffer<24xf32>
  tile.write %x, %p : tensor<24xf32> -> !tile.buffer<24xf32>
  tile.write %one, %q : tensor<24xf32> -> !tile.buffer<24xf32>
  %a, %b = scf.for %i = %c0 to %n step %c1 iter_args(%s = %p, %t = %q)
      -> (!tile.buffer<24xf32>, !tile.buffer<24xf32>) {
    scf.yield %t, %s : !tile.buffer<24xf32>, !tile.buffer<24xf32>
  }
  %y = tile.read %a : !tile.buffer<24xf32> -> tensor<24xf32>)mlir";
  EXPECT_EQ(runOn(body, iota(), 2), iota());
  EXPECT_EQ(runOn(body, iota(), 3), std::vector<float>(24, 1.0f));
}

TEST(ControlTest, BackwardLoopsOfNarrowIntegers) {
  const char *body = R"mlir(
  %ni = arith.index_cast %n : index to i32
  %i0 = arith.constant 0 : i32
  %i2 = arith.constant 2 : i32
  %y = scf.for %i = %i0 to %ni step %i2 iter_args(%a = %x) -> (tensor<24xf32>) : i32 {
    %t = arith.addf %a, %one : tensor<24xf32>
    scf.yield %t : tensor<24xf32>
  })mlir";
  EXPECT_EQ(runOn(body, iota(), 5), map([](float x) { return x + 3; }));
}

} // namespace
