//===- StreamsTest.cpp - Mixing of the residual streams -------------------===//

#include "lib/Interpret/Reference/Streams.h"
#include "test/Unit/Interpret/Inputs.h"
#include "gtest/gtest.h"
#include <cmath>

using namespace varve::reference;
using std::vector;

namespace {

struct Mixing {
  explicit Mixing(size_t n) : pre(n), post(n), comb(n * n) {}
  StreamCoefficients coefficients() { return {pre, post, comb}; }
  vector<float> pre, post, comb;
};

const vector<float> published = {.3f,  -.2f, .1f,  .5f, -.4f, .2f,  0,    .7f,
                                 .9f,  -.3f, .2f,  .1f, 0,    .8f,  -.5f, .4f,
                                 -.2f, .1f,  1.1f, .3f, .6f,  -.7f, .2f,  .5f};
const vector<float> publishedScale = {.5f, 1.5f, 2};

vector<float> publishedBase() {
  vector<float> base;
  for (int i = 0; i < 24; ++i)
    base.push_back(0.1f * static_cast<float>(i % 5 - 2));
  return base;
}

// Specification A.5, computed there in FP64: seven digits.
void expectPublished(const Mixing &mixing) {
  const double pre[] = {0.4875036, 0.4501670, 0.5124984, 0.5866186};
  const double post[] = {0.8026247, 1.0499584, 0.9500416, 1.4815498};
  const double comb[] = {0.6067004, 0.1151703, 0.1287416, 0.1493868,
                         0.0684917, 0.7098604, 0.0357478, 0.1858991,
                         0.0340374, 0.1297761, 0.6501498, 0.1860357,
                         0.2907695, 0.0451922, 0.1853598, 0.4786774};
  for (int j = 0; j < 4; ++j) {
    EXPECT_NEAR(mixing.pre[j], pre[j], 1.5e-7) << j;
    EXPECT_NEAR(mixing.post[j], post[j], 1.5e-7) << j;
  }
  for (int i = 0; i < 16; ++i)
    EXPECT_NEAR(mixing.comb[i], comb[i], 2e-7) << i;
  for (int j = 0; j < 4; ++j) {
    double row = 0, column = 0;
    for (int k = 0; k < 4; ++k) {
      row += mixing.comb[4 * j + k];
      column += mixing.comb[4 * k + j];
    }
    EXPECT_NEAR(row, 0.999999, 3e-7) << j;
    EXPECT_NEAR(column, 0.999999, 3e-7) << j;
  }
}

TEST(StreamsTest, PublishedVector) {
  Mixing mixing(4);
  streamCoefficients(published, publishedBase(), publishedScale, 1e-6f,
                     mixing.coefficients());
  sinkhorn(mixing.comb, 4, 20, 1e-6f);
  expectPublished(mixing);
}

/// The same vector through the projection: streams with mean square 1 and
/// weights that pick one channel give M = fn.
TEST(StreamsTest, ProjectionGivesThePublishedVector) {
  constexpr int D = 6, K = 4 * D;
  vector<float> X(K), fn(24 * K, 0.0f);
  for (int k = 0; k < K; ++k)
    X[k] = k % 2 ? -1.0f : 1.0f;
  for (int i = 0; i < 24; ++i)
    fn[i * K + (5 * i) % K] = published[i] * X[(5 * i) % K];
  Mixing mixing(4);
  streamProject(X, {fn, publishedBase(), publishedScale}, /*normEps=*/0.0f,
                1e-6f, mixing.coefficients());
  sinkhorn(mixing.comb, 4, 20, 1e-6f);
  expectPublished(mixing);
}

TEST(StreamsTest, ProjectionIsInvariantToTheScaleOfTheStreams) {
  vector<float> X = wave(32, 13, 4), fn = wave(24 * 32, 11, 9), scaled = X;
  for (float &value : scaled)
    value *= 64;
  Mixing a(4), b(4);
  streamProject(X, {fn, publishedBase(), publishedScale}, 0.0f, 1e-6f,
                a.coefficients());
  streamProject(scaled, {fn, publishedBase(), publishedScale}, 0.0f, 1e-6f,
                b.coefficients());
  EXPECT_EQ(a.pre, b.pre);
  EXPECT_EQ(a.post, b.post);
  EXPECT_EQ(a.comb, b.comb);
}

TEST(StreamsTest, NormEpsilonIsInsideTheRoot) {
  // mean(X^2) = 1e-6, doubled by the epsilon.
  vector<float> X(8, 1e-3f), fn(2 * 8, 0.0f), base(2, 0.0f), scale = {1.0f};
  fn[0] = 1000.0f;
  vector<float> pre(2);
  streamProject(X, {fn, base, scale}, 1e-6f, 0.0f, {pre, {}, {}});
  EXPECT_NEAR(pre[0], 1 / (1 + std::exp(-1000.0 / std::sqrt(2.0))), 1e-6);
  fn[0] = 1.0f;
  streamProject(X, {fn, base, scale}, 1e-6f, 0.0f, {pre, {}, {}});
  EXPECT_NEAR(pre[0], 1 / (1 + std::exp(-std::sqrt(0.5))), 1e-6);
}

// Section 3.5: `pre` is the only output, with the formula of the full form.
TEST(StreamsTest, HeadForm) {
  vector<float> M(published.begin(), published.begin() + 4);
  vector<float> base = publishedBase(), scale = {.5f}, pre(4);
  base.resize(4);
  streamCoefficients(M, base, scale, 1e-6f, {pre, {}, {}});
  Mixing full(4);
  streamCoefficients(published, publishedBase(), publishedScale, 1e-6f,
                     full.coefficients());
  EXPECT_EQ(pre, full.pre);
}

TEST(StreamsTest, SinkhornOfAnySize) {
  std::mt19937 generator(3);
  for (int n : {1, 2, 3, 4, 8}) {
    vector<float> C = randomRow(n * n, generator);
    sinkhorn(C, n, 50, 1e-6f);
    for (int j = 0; j < n; ++j) {
      double row = 0, column = 0;
      for (int k = 0; k < n; ++k) {
        row += C[j * n + k];
        column += C[k * n + j];
      }
      EXPECT_NEAR(row, 0.999999, 4e-7);
      EXPECT_NEAR(column, 0.999999, 4e-7);
    }
  }
}

TEST(StreamsTest, SinkhornEndsWithAColumnStep) {
  // One iteration is a softmax of the rows, which is (0.880797, 0.119203) and
  // (0.5, 0.5) here, and one column step.
  vector<float> C = {2, 0, 0, 0};
  sinkhorn(C, 2, 1, 1e-6f);
  EXPECT_NEAR(C[0], 0.880798 / 1.380800, 1e-6);
  EXPECT_NEAR(C[1], 0.119204 / 0.619206, 1e-6);
  EXPECT_NEAR(C[0] + C[2], 1, 2e-6);
  EXPECT_NEAR(C[1] + C[3], 1, 2e-6);
  EXPECT_GT(std::fabs(C[0] + C[1] - 1), 0.1);
}

// PyTorch 2.11 in float64, before convergence hides the number of passes.
TEST(StreamsTest, SinkhornPassByPass) {
  const vector<float> logits = {2, 0, 1, 0, -1, 3, 0.5, 1, 0};
  const double expected[3][9] = {
      {0.6528037823619829, 0.14671180112435372, 0.1789879561482008,
       0.04574207754688792, 0.027945030774807603, 0.6847388756293976,
       0.3014531587883465, 0.8253415385413857, 0.13627243685173598},
      {0.6905366242729304, 0.1784462151778823, 0.15324394122299967,
       0.06242650333398404, 0.04385266113568774, 0.7563687162693399,
       0.24703583732980947, 0.7776999335270133, 0.09038650474239736},
      {0.6968298829875058, 0.18916714788552122, 0.1353280062863232,
       0.07464877329134668, 0.055086850648024994, 0.7915011403901953,
       0.22852031217721522, 0.755744917823892, 0.07316995060559006}};
  for (int iterations : {1, 2, 3}) {
    vector<float> C = logits;
    sinkhorn(C, 3, iterations, 1e-6f);
    for (int i = 0; i < 9; ++i)
      EXPECT_NEAR(C[i], expected[iterations - 1][i], 2e-7)
          << iterations << " " << i;
  }
}

TEST(StreamsTest, SinkhornSurvivesLargeLogits) {
  vector<float> C = {1000, -1000, -1000, 1000};
  sinkhorn(C, 2, 20, 1e-6f);
  EXPECT_NEAR(C[0], 1, 1e-5);
  EXPECT_NEAR(C[1], 0, 1e-5);
}

TEST(StreamsTest, Collapse) {
  const vector<float> X = {1, 2, 10, 20, 100, 200}, pre = {1, 0.5, 0.25};
  vector<float> x(2);
  streamCollapse(pre, X, x);
  EXPECT_EQ(x, (vector<float>{31, 62}));
}

TEST(StreamsTest, MixSumsOverTheFirstIndexOfComb) {
  const vector<float> X = {1, 2, 10, 20}, y = {1000, 2000};
  const vector<float> post = {1, 2};
  const vector<float> comb = {1, 2,  // comb[0, :]: stream 0 to both
                              4, 8}; // comb[1, :]: stream 1 to both
  vector<float> result(4);
  streamMix(y, X, post, comb, result);
  EXPECT_EQ(result, (vector<float>{1000 + 1 + 40, 2000 + 2 + 80, 2000 + 2 + 80,
                                   4000 + 4 + 160}));
}

} // namespace
