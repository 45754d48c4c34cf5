//===- RooflineTest.cpp - Times from rates --------------------------------===//
//
// The rates are those of the target files: an H200 reads 4.6 TB/s (measured)
// and multiplies bf16 at 790 and f8 at 1463 TFLOPS (measured), f32 at 66.9; a
// boundary of a graph costs 1.9 us.
//
//===----------------------------------------------------------------------===//

#include "lib/CostModel/Roofline.h"
#include "gtest/gtest.h"

using namespace varve;
using mlir::varve::OpCost;

namespace {

Roofline rooflineOf(llvm::StringRef name) {
  llvm::Expected<Device> device = findDevice(name);
  EXPECT_TRUE(bool(device)) << llvm::toString(device.takeError());
  return Roofline(*device);
}

TEST(Roofline, WeightsAreReadAtTheMeasuredBandwidth) {
  OpCost cost;
  cost.weightBytes = 46'000'000;
  cost.flopsBF16 = 1000;
  OpTime time = rooflineOf("h200").getTime(cost, /*launches=*/true);
  EXPECT_DOUBLE_EQ(time.memory, 1e-5);
  EXPECT_DOUBLE_EQ(time.launch, 1.9e-6);
  EXPECT_DOUBLE_EQ(time.getTotal(), 1.19e-5);
  EXPECT_EQ(time.bound, Bound::Weights);
}

TEST(Roofline, ProductsRunAtTheCeilingOfTheirPrecision) {
  OpCost cost;
  cost.flopsBF16 = 790'000'000'000;
  cost.flopsF8 = 1'463'000'000'000 * 2;
  OpTime time = rooflineOf("h200").getTime(cost, false);
  EXPECT_NEAR(time.compute, 3e-3, 1e-9);
  EXPECT_EQ(time.bound, Bound::F8);
  EXPECT_EQ(time.launch, 0);
}

TEST(Roofline, F32UnitsRunBesideProducts) {
  OpCost cost;
  cost.flopsBF16 = 790'000'000'000;
  cost.flopsF32 = 66'900'000'000 * 2;
  OpTime time = rooflineOf("h200").getTime(cost, false);
  EXPECT_NEAR(time.compute, 2e-3, 1e-9);
  EXPECT_EQ(time.bound, Bound::F32);
}

TEST(Roofline, ATypeWithoutARateTakesTheNextWider) {
  // Hopper has no f4 products, Ampere no f8 ones.
  EXPECT_EQ(rooflineOf("h200").getRate(Bound::F4), 1463e12);
  EXPECT_EQ(rooflineOf("a100").getRate(Bound::F8), 312e12);
  EXPECT_EQ(rooflineOf("b200").getRate(Bound::F4), 9000e12);
  // Nothing is published for GB10 between f4 and f32.
  EXPECT_EQ(rooflineOf("gb10").getRate(Bound::BF16), 31e12);
}

TEST(Roofline, SmallValuesStayInTheCache) {
  OpCost cost;
  cost.activationBytesRead = 30 << 20; // half of 60 MiB
  EXPECT_EQ(rooflineOf("h200").getTime(cost, false).memory, 0);
  cost.activationBytesWritten = 1;
  OpTime time = rooflineOf("h200").getTime(cost, false);
  EXPECT_GT(time.memory, 6e-6);
  EXPECT_EQ(time.bound, Bound::Activations);
}

TEST(Roofline, ALaunchBoundsWhatIsShorter) {
  OpCost cost;
  cost.poolBytesRead = 4600; // 1 ns
  EXPECT_EQ(rooflineOf("h200").getTime(cost, true).bound, Bound::Launch);
  EXPECT_EQ(rooflineOf("h200").getTime(cost, false).bound, Bound::Pools);
}

} // namespace
