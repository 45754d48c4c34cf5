//===- QueryTest.cpp - Mixes and conditions from text ---------------------===//

#include "lib/Explore/Query.h"
#include "gmock/gmock.h"

using namespace varve;
using testing::ElementsAre;
using testing::HasSubstr;

namespace {

template <typename T> std::string errorOf(llvm::Expected<T> value) {
  return value ? "none" : llvm::toString(value.takeError());
}

std::vector<std::string> labels(const Query &query) {
  std::vector<std::string> result;
  llvm::cantFail(query.forEachMix([&](Mix mix) -> llvm::Error {
    result.push_back(mix.getLabel());
    return llvm::Error::success();
  }));
  return result;
}

TEST(Query, CountsHaveUnitsAndRanges) {
  EXPECT_THAT(llvm::cantFail(parseCounts("4k,1m,5")),
              ElementsAre(5, 4096, 1048576));
  EXPECT_THAT(llvm::cantFail(parseCounts("4k..32k")),
              ElementsAre(4096, 8192, 16384, 32768));
  EXPECT_THAT(llvm::cantFail(parseCounts("3..8")), ElementsAre(3, 6, 8));
  EXPECT_THAT(llvm::cantFail(parseCounts("8,8")), ElementsAre(8));
}

TEST(Query, CountsAreChecked) {
  for (llvm::StringRef text : {"", "0", "-1", "4x", "4096m", "1,", "k"})
    EXPECT_THAT(errorOf(parseCounts(text)), HasSubstr("positive i32 number"))
        << text.str();
  EXPECT_THAT(errorOf(parseCounts("8..4")), HasSubstr("smaller to a larger"));
}

TEST(Query, TheProductTurnsTheLastAxisFastest) {
  Query query;
  query.models = {"a", "b"};
  query.layers = {"S", "C"};
  query.axes = {{"x", {"1", "2"}}, {"y", {"3", "4"}}};
  query.mixes = {{"c", "", {}}};
  std::vector<std::string> all = labels(query);
  EXPECT_EQ(static_cast<int64_t>(all.size()), query.countMixes());
  EXPECT_EQ(all.size(), 17u);
  EXPECT_EQ(all[0], "a S x=1 y=3");
  EXPECT_EQ(all[1], "a S x=1 y=4");
  EXPECT_EQ(all[4], "a C x=1 y=3");
  EXPECT_EQ(all.back(), "c");
}

TEST(Query, AxesAreParsed) {
  Axis axis = llvm::cantFail(parseAxis("ratio.csa=4,8"));
  EXPECT_EQ(axis.name, "ratio.csa");
  EXPECT_THAT(axis.values, ElementsAre("4", "8"));
  for (llvm::StringRef text : {"x", "=1", "x=", "x=1,,2"})
    EXPECT_THAT(errorOf(parseAxis(text)), HasSubstr("--set: expected"));
}

TEST(Query, LevelsHaveNames) {
  for (Level level :
       {Level::ClosedForm, Level::Kernels, Level::Compiled, Level::Measured})
    EXPECT_EQ(llvm::cantFail(parseLevel(getLevelName(level))), level);
  EXPECT_EQ(errorOf(parseLevel("e4")),
            "--level: expected e0, e1, e2 or e3, got 'e4'");
}

TEST(Query, FilesSayTheSame) {
  Query query;
  ASSERT_FALSE(parseQuery(R"({
    "models": ["tiny"], "layers": ["S*", ["C", "H@64"]],
    "set": {"window": [64, "128"], "index_topk": 16},
    "context": ["4k..8k", 100], "batch": 2, "tokens": 1,
    "target": ["h200"], "precision": "native",
    "mixes": [{"model": "tiny", "layers": ["S"], "set": {"window": 32}}]
  })",
                          "q.json", query));
  EXPECT_THAT(query.layers, ElementsAre("S*", "2|0:C+1:H@64"));
  EXPECT_THAT(query.contexts, ElementsAre(4096, 8192, 100));
  EXPECT_THAT(query.batches, ElementsAre(2));
  EXPECT_EQ(query.precision, "native");
  std::vector<std::string> all = labels(query);
  EXPECT_EQ(all.size(), 5u);
  EXPECT_EQ(all[0], "tiny S* index_topk=16 window=64");
  EXPECT_EQ(all[4], "tiny 1|0:S window=32");
}

TEST(Query, MistakesInFilesNameTheField) {
  auto problem = [](llvm::StringRef text) {
    Query query;
    return llvm::toString(parseQuery(text, "q.json", query));
  };
  EXPECT_THAT(problem(R"({"model": 1})"), HasSubstr("q.json: field 'model': "));
  EXPECT_THAT(problem(R"({"set": 3})"), HasSubstr("field 'set': expected an "
                                                  "object, got 3"));
  EXPECT_THAT(problem(R"({"set": {"x": []}})"),
              HasSubstr("field 'set.x': expected at least one value"));
  EXPECT_THAT(problem(R"({"mixes": [{"layers": "S"}]})"),
              HasSubstr("field 'mixes[0].model'"));
  EXPECT_THAT(problem(R"({"mixes": [{"model": "a", "set": {"x": [1, 2]}}]})"),
              HasSubstr("expected one value, got 2"));
  EXPECT_THAT(problem(R"({"context": "x"})"), HasSubstr("positive i32 number"));
}

} // namespace
