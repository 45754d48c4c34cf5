//===- PageTableTest.cpp - Which pages a sequence has ---------------------===//

#include "runtime/Session/PageTable.h"
#include <gtest/gtest.h>

using varve::runtime::PageTable;

namespace {

TEST(PageTable, GrowsAndReleases) {
  PageTable table(2, 3, 4, 8);
  EXPECT_TRUE(table.takeChanged());
  EXPECT_FALSE(table.takeChanged());
  EXPECT_EQ(table.missing(0, 17), 3);
  table.grow(0, 17);
  table.grow(1, 1);
  EXPECT_EQ(table.getFree(), 0);
  EXPECT_EQ(
      std::vector<int32_t>(table.getTable().begin(), table.getTable().end()),
      (std::vector<int32_t>{0, 1, 2, 3, 0, 0}));
  table.grow(0, 24);
  EXPECT_TRUE(table.takeChanged());
  table.release(0);
  EXPECT_EQ(table.getFree(), 3);
  EXPECT_EQ(table.missing(0, 8), 1);
}

TEST(PageTable, ForksShareFullPages) {
  PageTable table(3, 4, 8, 8);
  table.grow(0, 20);
  auto copies = table.fork(0, 1, 20);
  ASSERT_EQ(copies.size(), 1u);
  EXPECT_EQ(copies[0].from, 2);
  EXPECT_EQ(copies[0].to, 3);
  EXPECT_TRUE(table.fork(0, 2, 16).empty());
  EXPECT_EQ(table.getFree(), 4);
  table.release(0);
  // Its two full pages belong to others.
  EXPECT_EQ(table.getFree(), 5);
  table.release(2);
  EXPECT_EQ(table.getFree(), 5);
  table.release(1);
  EXPECT_EQ(table.getFree(), 8);
}

TEST(PageTable, ModelsWithoutEntriesNeedNone) {
  PageTable table(2, 0, 0, 0);
  table.grow(0, 1000);
  EXPECT_EQ(table.missing(0, 1000), 0);
  EXPECT_EQ(table.neededToFork(5), 0);
  EXPECT_TRUE(table.fork(0, 1, 1000).empty());
  EXPECT_TRUE(table.getTable().empty());
}

} // namespace
