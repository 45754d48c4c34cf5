//===- SearchTest.cpp - Limits and fronts ---------------------------------===//

#include "lib/Explore/Search.h"
#include "gmock/gmock.h"

using namespace varve;
using testing::ElementsAre;
using testing::HasSubstr;

namespace {

Row makeRow(unsigned mix, double time, double bytes, int64_t context = 1) {
  Row row;
  row.mix = mix;
  row.context = context;
  row.batch = 1;
  row.figures[Metric::StepMs] = time;
  row.figures[Metric::KvPerToken] = bytes;
  row.figures[Metric::AttendedKeys] = bytes;
  return row;
}

std::vector<unsigned> front(std::vector<Row> rows,
                            std::vector<Metric> objectives,
                            std::vector<Limit> limits = {}) {
  std::vector<unsigned> mixes;
  for (const Row &row : findFront(rows, objectives, limits))
    mixes.push_back(row.mix);
  return mixes;
}

constexpr Metric kTime = Metric::StepMs, kBytes = Metric::KvPerToken;

TEST(Search, OneObjectiveHasOneBest) {
  EXPECT_THAT(front({makeRow(0, 2, 1), makeRow(1, 1, 9)}, {kTime}),
              ElementsAre(1));
}

TEST(Search, TheFrontIsWhatNoOtherBeats) {
  EXPECT_THAT(front({makeRow(0, 3, 1), makeRow(1, 1, 3), makeRow(2, 2, 2),
                     makeRow(3, 3, 3), makeRow(4, 2, 3)},
                    {kTime, kBytes}),
              ElementsAre(1, 2, 0));
}

TEST(Search, OfEqualRowsTheFirstStays) {
  EXPECT_THAT(front({makeRow(5, 1, 1), makeRow(6, 1, 1)}, {kTime, kBytes}),
              ElementsAre(5));
}

TEST(Search, EachConditionHasAFront) {
  EXPECT_THAT(front({makeRow(0, 2, 1, 8), makeRow(1, 1, 1, 4)}, {kTime}),
              ElementsAre(1, 0));
}

TEST(Search, MoreAttendedKeysAreBetter) {
  EXPECT_THAT(front({makeRow(0, 1, 1), makeRow(1, 2, 5), makeRow(2, 3, 4)},
                    {kTime, Metric::AttendedKeys}),
              ElementsAre(0, 1));
}

TEST(Search, LimitsKeepOthersOut) {
  Limit limit = llvm::cantFail(parseLimit("kv_per_token=2"));
  EXPECT_THAT(front({makeRow(0, 3, 1), makeRow(1, 1, 3)}, {kTime}, {limit}),
              ElementsAre(0));
  limit = llvm::cantFail(parseLimit("kv_per_token>=2"));
  EXPECT_THAT(front({makeRow(0, 3, 1), makeRow(1, 1, 3)}, {}, {limit}),
              ElementsAre(1));
}

TEST(Search, LimitsAreParsed) {
  Limit limit = llvm::cantFail(parseLimit("cache_bytes<=2g"));
  EXPECT_EQ(limit.metric, Metric::CacheBytes);
  EXPECT_EQ(limit.value, 2147483648.0);
  EXPECT_EQ(llvm::cantFail(parseLimit("decode_ms=1.5")).metric, kTime);
  auto errorOf = [](llvm::StringRef text) {
    auto limit = parseLimit(text);
    return limit ? "none" : llvm::toString(limit.takeError());
  };
  EXPECT_THAT(errorOf("kv_per_token"), HasSubstr("expected metric=number"));
  EXPECT_THAT(errorOf("kv_per_tokens=1"),
              HasSubstr("did you mean 'kv_per_token'?"));
  EXPECT_THAT(errorOf("kv_per_token=few"), HasSubstr("expected a number"));
}

} // namespace
