//===- LaunchTimeTest.cpp - How long a launch takes on a device -----------===//

#include "lib/CostModel/LaunchTime.h"
#include "gtest/gtest.h"

using namespace varve;

namespace {

const Roofline &h200() {
  static const Roofline device(llvm::cantFail(findDevice("h200")));
  return device;
}

/// `blocks` blocks of four warps that wait for memory so often.
LaunchWork makeLaunch(int64_t blocks, double waits) {
  LaunchWork launch;
  launch.blocks = blocks;
  launch.threads = 128;
  BlockWork &work = launch.samples.emplace_back();
  RoleWork &role = work.roles.emplace_back();
  role.warps = 4;
  role.coldWaits = waits;
  return launch;
}

TEST(LaunchTime, BlocksThatFitTogetherWaitTogether) {
  LaunchTime one = getLaunchTime(makeLaunch(1, 10), 1, h200());
  LaunchTime full = getLaunchTime(makeLaunch(132 * 16, 10), 1, h200());
  EXPECT_EQ(one.getBound(), Bound::Waits);
  EXPECT_EQ(one.residentBlocks, 16u); // 64 warps
  EXPECT_DOUBLE_EQ(one.getTotal(), full.getTotal());
  EXPECT_DOUBLE_EQ(full.occupancy, 1);
  // One more is another wave.
  LaunchTime more = getLaunchTime(makeLaunch(132 * 16 + 1, 10), 1, h200());
  EXPECT_DOUBLE_EQ(more.waves, 2);
  EXPECT_DOUBLE_EQ(more.getTotal(), 2 * full.getTotal());
}

TEST(LaunchTime, SharedMemoryAndRegistersLimitWaves) {
  LaunchWork launch = makeLaunch(132 * 4, 10);
  launch.sharedBytes = 100 * 1024;
  EXPECT_DOUBLE_EQ(getLaunchTime(launch, 1, h200()).waves, 2);
  launch.sharedBytes = 0;
  EXPECT_DOUBLE_EQ(getLaunchTime(launch, 1, h200()).waves, 1);
  launch.registers = 255;
  LaunchTime time = getLaunchTime(launch, 1, h200());
  EXPECT_EQ(time.residentBlocks, 2u);
  EXPECT_DOUBLE_EQ(time.waves, 2);
}

TEST(LaunchTime, FullMultiprocessorsAreBoundByTheirUnits) {
  LaunchWork launch = makeLaunch(132 * 160, 0);
  RoleWork &role = launch.samples[0].roles[0];
  role.products.push_back(
      {mlir::varve::tile::DotKind::Wgmma, NumericType::BF16, 1e9});
  LaunchTime time = getLaunchTime(launch, 1, h200());
  EXPECT_EQ(time.getBound(), Bound::Products);
  EXPECT_NEAR(time.getTotal(), 132 * 160 * 1e9 / h200().getRate(Bound::BF16),
              1e-9);
  // Warp-level products of a device with warpgroup products are slower.
  role.products[0].kind = mlir::varve::tile::DotKind::MmaSync;
  EXPECT_GT(getLaunchTime(launch, 1, h200()).getTotal(), 1.5 * time.getTotal());
  role.products.clear();
  role.laneOps = 1e6;
  EXPECT_EQ(getLaunchTime(launch, 1, h200()).getBound(), Bound::Lanes);
  role.laneOps = 0;
  launch.samples[0].bytesRead = 1e6;
  EXPECT_EQ(getLaunchTime(launch, 1, h200()).getBound(), Bound::Cache);
}

TEST(LaunchTime, BlocksThatDataTurnsAwayDoNothing) {
  LaunchWork launch = makeLaunch(1000, 1);
  launch.samples[0].coldBytesRead = 1e6;
  mlir::varve::OpCost cost;
  cost.weightBytes = 100'000'000;
  // What depends on no data happens.
  EXPECT_EQ(getActiveShare(launch, cost), 1);
  launch.samples[0].numUnknown = 1;
  EXPECT_DOUBLE_EQ(getActiveShare(launch, cost), 0.1);
  cost.weightBytes = 0; // no weights to tell by
  EXPECT_EQ(getActiveShare(launch, cost), 1);
}

TEST(LaunchTime, AnEmptyGridTakesNoTime) {
  EXPECT_EQ(getLaunchTime(makeLaunch(0, 5), 1, h200()).getTotal(), 0);
}

} // namespace
