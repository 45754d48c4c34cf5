//===- MeasurementsTest.cpp - What steps of mixes took --------------------===//

#include "lib/Explore/Measurements.h"
#include "test/Unit/Explore/ExploreTesting.h"
#include "gmock/gmock.h"

using namespace varve;
using testing::HasSubstr;

namespace {

class MeasurementsFixture : public ExploreFixture {
protected:
  /// Adds a file of one step.
  static std::string add(Measurements &measurements, llvm::StringRef text) {
    llvm::Error error = measurements.add("stem", text, "file.json");
    return error ? llvm::toString(std::move(error)) : "";
  }
};

TEST_F(MeasurementsFixture, StepsAreFoundByWhatTheyProcess) {
  Measurements measurements;
  EXPECT_EQ(add(measurements, R"({"device": "cuda:0 NVIDIA H200", "steps": [
      {"step": "decode", "tokens": 32, "context": 99, "seconds": 0.5},
      {"step": "prefill", "tokens": 32, "context": 96, "seconds": 0.25}]})"),
            "");
  EXPECT_EQ(measurements.getDevice(), "cuda:0 NVIDIA H200");
  mlir::varve::StepShape step;
  step.tokens = 32;
  step.sequences = 32;
  step.context = 100;
  EXPECT_EQ(measurements.find("stem", step), 0.5);
  EXPECT_EQ(measurements.find("other", step), std::nullopt);
  step.sequences = 1;
  EXPECT_EQ(measurements.find("stem", step), std::nullopt);
  step.context = 128;
  EXPECT_EQ(measurements.find("stem", step), 0.25);
}

TEST_F(MeasurementsFixture, WrongFilesAreNamed) {
  Measurements measurements;
  EXPECT_THAT(add(measurements, "{"), HasSubstr("'file.json': "));
  EXPECT_THAT(add(measurements, "[]"), HasSubstr("expected what varve-run"));
  EXPECT_THAT(add(measurements, R"({"device": "a", "steps": [{}]})"),
              HasSubstr("steps[0]: expected an object with"));
  EXPECT_EQ(add(measurements, R"({"device": "a", "steps": []})"), "");
  EXPECT_EQ(add(measurements, R"({"device": "b", "steps": []})"),
            "'file.json': expected measurements of 'a', as those before, got "
            "'b'");
}

TEST_F(MeasurementsFixture, RowsAreReplacedAndMixesWithoutThemRefused) {
  Query query = ask({}, {1000});
  query.mixes = {{"tiny", "S", {}}, {"tiny", "SS", {}}};
  query.level = Level::Measured;
  ExploreResult result = run(query);
  ASSERT_EQ(result.rows.size(), 2u);
  double predicted = result.rows[0].figures[Metric::StepMs];
  Measurements measurements;
  ASSERT_FALSE(measurements.add(getPackageStem(result.mixes[0]),
                                R"({"device": "cuda:0 NVIDIA H200", "steps": [
          {"step": "decode", "tokens": 1, "context": 999, "seconds": 0.002}]})",
                                "file.json"));
  applyMeasurements(measurements, "measure it", result);
  ASSERT_EQ(result.rows.size(), 1u);
  const Figures &f = result.rows[0].figures;
  EXPECT_EQ(f[Metric::StepMs], 2);
  EXPECT_EQ(f[Metric::TokensPerSecond], 500);
  EXPECT_EQ(f[Metric::PredictedMs], predicted);
  ASSERT_TRUE(result.mixes[1].refusal);
  EXPECT_THAT(result.mixes[1].refusal->rule,
              HasSubstr("1 tokens of 1 sequences at context 1000 in tiny_SS-"));
  EXPECT_EQ(result.mixes[1].refusal->remedy, "measure it");
}

TEST_F(MeasurementsFixture, OtherDevicesArePredictedNothing) {
  Query query = ask({}, {1000});
  query.mixes = {{"tiny", "S", {}}};
  query.level = Level::Measured;
  ExploreResult result = run(query);
  Measurements measurements;
  ASSERT_FALSE(measurements.add(getPackageStem(result.mixes[0]),
                                R"({"device": "CPU", "steps": [
          {"step": "decode", "tokens": 1, "context": 999, "seconds": 0.002}]})",
                                "file.json"));
  applyMeasurements(measurements, "", result);
  ASSERT_EQ(result.rows.size(), 1u);
  EXPECT_EQ(result.rows[0].figures[Metric::PredictedMs], 0);
}

TEST_F(MeasurementsFixture, SeveralSequencesOfSeveralTokensAreNotMeasured) {
  Query query = ask({"tiny"}, {1000});
  query.tokens = 8;
  EXPECT_EQ(llvm::cantFail(getMeasuredSteps(run(query))).prefill,
            std::vector<int64_t>{8});
  query.batches = {2};
  auto steps = getMeasuredSteps(run(query));
  ASSERT_FALSE(steps);
  EXPECT_THAT(llvm::toString(steps.takeError()), HasSubstr("--level=e3"));
}

TEST_F(MeasurementsFixture, StemsTellMixesApart) {
  MixResult a, b;
  a.mix = {"m", "S", {{"ratio.csa", "4"}}};
  b.mix = a.mix;
  EXPECT_EQ(getPackageStem(a), getPackageStem(b));
  b.precision = "bf16";
  EXPECT_NE(getPackageStem(a), getPackageStem(b));
  b.mix.layers = std::string(200, 'S');
  EXPECT_LT(getPackageStem(b).size(), 80u);
}

TEST_F(MeasurementsFixture, DevicesAreFoundByTheirFullName) {
  EXPECT_EQ(
      findMeasuredDevice("cuda:0 NVIDIA H100 80GB HBM3 (sm_90)")->model->name,
      "NVIDIA H100 80GB HBM3");
  EXPECT_FALSE(findMeasuredDevice("CPU (2 threads, x86-64-v4)"));
}

TEST(RankCorrelation, IsThatOfTextbooks) {
  // Values with a tie: 0.8207826816681233 by scipy.stats.spearmanr.
  EXPECT_NEAR(getRankCorrelation({{1, 5}, {2, 6}, {3, 7}, {4, 8}, {5, 7}}),
              0.8207826816681233, 1e-12);
  EXPECT_EQ(getRankCorrelation({{1, 30}, {2, 20}, {3, 10}}), -1);
  EXPECT_TRUE(std::isnan(getRankCorrelation({{1, 2}})));
}

} // namespace
