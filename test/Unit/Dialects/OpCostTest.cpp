//===- OpCostTest.cpp - Work of single ops --------------------------------===//
//
// Each op's cost against a count made by walking the loops of its formula, one
// multiplication and one addition at a time, and the bytes of its tensors
// spelled out.
//
//===----------------------------------------------------------------------===//

#include "test/Unit/Dialects/ParsedModule.h"
#include "gmock/gmock.h"
#include <algorithm>
#include <limits>
#include <set>
#include <utility>
#include <vector>

using namespace mlir;
using namespace mlir::varve;

namespace {

constexpr int64_t kMaxCount = std::numeric_limits<int64_t>::max();

StepShape shape(int64_t tokens, int64_t sequences, int64_t context,
                int64_t logitRows = 1) {
  StepShape step;
  step.tokens = tokens;
  step.sequences = sequences;
  step.context = context;
  step.logitRows = logitRows;
  return step;
}

/// Decode, prefill, chunks at different offsets from the windows, batches.
std::vector<StepShape> shapes() {
  return {shape(1, 1, 1),  shape(1, 1, 4),    shape(1, 1, 100),  shape(4, 4, 8),
          shape(9, 3, 11), shape(37, 1, 37),  shape(2, 1, 9),    shape(3, 1, 8),
          shape(10, 2, 6), shape(64, 2, 100), shape(200, 1, 777)};
}

/// Calls `visit(sequence, position)` for every token of the step.
template <typename Visit>
void forEachToken(const StepShape &step, Visit visit) {
  int64_t perSequence = step.tokens / step.sequences;
  for (int64_t sequence = 0; sequence < step.sequences; ++sequence)
    for (int64_t i = 0; i < perSequence; ++i)
      visit(sequence, step.context - perSequence + i);
}

//===----------------------------------------------------------------------===//
// Matrix products
//===----------------------------------------------------------------------===//

TEST(OpCost, LinearMultipliesEveryRowWithEveryColumn) {
  ParsedModule module("", "%x: tensor<?x2x6xbf16>", R"(
  %w = varve.weight "w" : tensor<5x12xbf16>
  %0 = varve.linear %x, %w : (tensor<?x2x6xbf16>, tensor<5x12xbf16>)
    -> tensor<?x5xf32>)");
  ASSERT_TRUE(module);
  for (const StepShape &step : shapes()) {
    int64_t flops = 0;
    for (int64_t t = 0; t < step.tokens; ++t)
      for (int o = 0; o < 5; ++o)
        for (int k = 0; k < 12; ++k)
          flops += 2;
    OpCost cost = module.cost<LinearOp>(step);
    EXPECT_EQ(cost.flopsBF16, flops);
    EXPECT_EQ(cost.flops(), flops);
    EXPECT_EQ(cost.weightBytes, 5 * 12 * 2);
    EXPECT_EQ(cost.activationBytesRead, step.tokens * 12 * 2);
    EXPECT_EQ(cost.activationBytesWritten, step.tokens * 5 * 4);
    EXPECT_EQ(cost.poolBytesRead + cost.poolBytesWritten, 0);
  }
}

TEST(OpCost, LinearOfCodesReadsScalesAndPackedWeights) {
  ParsedModule module(
      "", "%x: tensor<?x64xf8E4M3FN>, %xs: tensor<?x2xf8E8M0FNU>", R"(
  %w = varve.weight "w" : tensor<6x64xf4E2M1FN>
  %ws = varve.weight "ws" : tensor<6x2xf8E8M0FNU>
  %0 = varve.linear %x scaled %xs by 32, %w scaled %ws by [1, 32]
    : (tensor<?x64xf8E4M3FN>, tensor<?x2xf8E8M0FNU>, tensor<6x64xf4E2M1FN>,
       tensor<6x2xf8E8M0FNU>) -> tensor<?x6xbf16>)");
  ASSERT_TRUE(module);
  OpCost cost = module.cost<LinearOp>(shape(3, 1, 3));
  EXPECT_EQ(cost.flopsF8, 2 * 3 * 6 * 64);
  EXPECT_EQ(cost.flops(), cost.flopsF8);
  EXPECT_EQ(cost.weightBytes, 6 * 64 / 2 + 6 * 2);
  EXPECT_EQ(cost.activationBytesRead, 3 * 64 + 3 * 2);
  EXPECT_EQ(cost.activationBytesWritten, 3 * 6 * 2);
}

TEST(OpCost, GroupedLinearMultipliesWithinGroupsOnly) {
  ParsedModule module("", "%x: tensor<?x12xf32>", R"(
  %w = varve.weight "w" : tensor<6x4xf32>
  %0 = varve.grouped_linear %x, %w groups 3 : (tensor<?x12xf32>, tensor<6x4xf32>)
    -> tensor<?x6xf32>)");
  ASSERT_TRUE(module);
  for (const StepShape &step : shapes()) {
    int64_t flops = 0;
    for (int64_t t = 0; t < step.tokens; ++t)
      for (int g = 0; g < 3; ++g)
        for (int o = 0; o < 2; ++o)
          for (int k = 0; k < 4; ++k)
            flops += 2;
    OpCost cost = module.cost<GroupedLinearOp>(step);
    EXPECT_EQ(cost.flopsF32, flops);
    EXPECT_EQ(cost.weightBytes, 6 * 4 * 4);
  }
}

/// Experts of X, A of them for each of T tokens, with FP4 weights.
TEST(OpCost, ExpertsMultiplyEachTokenWithItsExperts) {
  ParsedModule module(
      "",
      "%x: tensor<?x32xf8E4M3FN>, %xs: tensor<?x1xf32>, %ids: tensor<?x2xi32>",
      R"(
  %w = varve.weight "experts.*.w" : tensor<4x6x32xf4E2M1FN>
  %ws = varve.weight "experts.*.s" : tensor<4x6x1xf8E8M0FNU>
  %0 = varve.experts %x scaled %xs by 32, %ids, %w scaled %ws by [1, 32]
    : (tensor<?x32xf8E4M3FN>, tensor<?x1xf32>, tensor<?x2xi32>,
       tensor<4x6x32xf4E2M1FN>, tensor<4x6x1xf8E8M0FNU>) -> tensor<?x2x6xbf16>)");
  ASSERT_TRUE(module);
  constexpr int64_t kExpertBytes = 6 * 32 / 2 + 6;
  // One token reads its two experts, whichever they are.
  OpCost one = module.cost<ExpertsOp>(shape(1, 1, 9));
  EXPECT_EQ(one.flopsF8, 2 * 2 * 6 * 32);
  EXPECT_EQ(one.weightBytes, 2 * kExpertBytes);
  EXPECT_EQ(one.activationBytesRead, 32 + 4 + 2 * 4);
  EXPECT_EQ(one.activationBytesWritten, 2 * 6 * 2);
  // Two tokens: the mean size of the union of two pairs, over all pairs.
  int64_t unions = 0, choices = 0;
  for (int a = 0; a < 16; ++a)
    for (int b = 0; b < 16; ++b) {
      if (__builtin_popcount(a) != 2 || __builtin_popcount(b) != 2)
        continue;
      unions += __builtin_popcount(a | b);
      ++choices;
    }
  OpCost two = module.cost<ExpertsOp>(shape(2, 1, 9));
  EXPECT_EQ(two.flopsF8, 2 * one.flopsF8);
  EXPECT_EQ(two.weightBytes * choices, unions * kExpertBytes);
  // Many tokens read every expert once.
  EXPECT_EQ(module.cost<ExpertsOp>(shape(4096, 1, 4096)).weightBytes,
            4 * kExpertBytes);
}

//===----------------------------------------------------------------------===//
// Embedding, streams, rows
//===----------------------------------------------------------------------===//

TEST(OpCost, EmbedReadsOneTableRowPerToken) {
  ParsedModule module("", "%ids: tensor<?xi32>", R"(
  %table = varve.weight "embed.weight" : tensor<512x16xbf16>
  %0 = varve.embed %ids, %table : (tensor<?xi32>, tensor<512x16xbf16>)
    -> tensor<?x16xf32>)");
  ASSERT_TRUE(module);
  OpCost cost = module.cost<EmbedOp>(shape(6, 2, 3));
  EXPECT_EQ(cost.weightBytes, 6 * 16 * 2);
  EXPECT_EQ(cost.activationBytesRead, 6 * 4);
  EXPECT_EQ(cost.activationBytesWritten, 6 * 16 * 4);
  EXPECT_EQ(cost.flops(), 0);
}

TEST(OpCost, WeightCostsWhereItIsRead) {
  ParsedModule module("", "", R"(  %0 = varve.weight "w" : tensor<4x4xf32>)");
  ASSERT_TRUE(module);
  OpCost cost = module.cost<WeightOp>(shape(3, 1, 3));
  EXPECT_EQ(cost.flops(), 0);
  EXPECT_EQ(cost.bytes(), 0);
}

constexpr char kStreamArguments[] =
    "%x: tensor<?x8xbf16>, %X: tensor<?x2x8xbf16>, %pre: tensor<?x2xf32>, "
    "%comb: tensor<?x2x2xf32>";

TEST(OpCost, StreamExpandCopies) {
  ParsedModule module("", kStreamArguments, R"(
  %0 = varve.stream_expand %x : (tensor<?x8xbf16>) -> tensor<?x3x8xbf16>)");
  ASSERT_TRUE(module);
  OpCost cost = module.cost<StreamExpandOp>(shape(5, 1, 5));
  EXPECT_EQ(cost.flops(), 0);
  EXPECT_EQ(cost.activationBytesRead, 5 * 8 * 2);
  EXPECT_EQ(cost.activationBytesWritten, 5 * 3 * 8 * 2);
}

TEST(OpCost, StreamProjectIsAMatrixProductAndANorm) {
  ParsedModule module("", kStreamArguments, R"(
  %fn = varve.weight "fn" : tensor<8x16xf32>
  %base = varve.weight "base" : tensor<8xf32>
  %scale = varve.weight "scale" : tensor<3xf32>
  %0:3 = varve.stream_project %X, %fn, %base, %scale norm_eps 1.0e-6 eps 1.0e-6
    : (tensor<?x2x8xbf16>, tensor<8x16xf32>, tensor<8xf32>, tensor<3xf32>)
    -> (tensor<?x2xf32>, tensor<?x2xf32>, tensor<?x2x2xf32>))");
  ASSERT_TRUE(module);
  for (const StepShape &step : shapes()) {
    int64_t flops = 0;
    for (int64_t t = 0; t < step.tokens; ++t)
      for (int k = 0; k < 16; ++k) {
        flops += 2; // u[k]^2, added to the mean
        for (int i = 0; i < 8; ++i)
          flops += 2; // u[k] fn[i, k], added to M[i]
      }
    OpCost cost = module.cost<StreamProjectOp>(step);
    EXPECT_EQ(cost.flopsF32, flops);
    EXPECT_EQ(cost.weightBytes, (8 * 16 + 8 + 3) * 4);
    EXPECT_EQ(cost.activationBytesRead, step.tokens * 16 * 2);
    EXPECT_EQ(cost.activationBytesWritten, step.tokens * (2 + 2 + 4) * 4);
  }
}

TEST(OpCost, SinkhornSumsAndDividesTwiceAnIteration) {
  ParsedModule module("", kStreamArguments, R"(
  %0 = varve.sinkhorn %comb iterations 20 eps 1.0e-6 : tensor<?x2x2xf32>)");
  ASSERT_TRUE(module);
  int64_t flops = 0;
  for (int t = 0; t < 5; ++t)
    for (int iteration = 0; iteration < 20; ++iteration)
      for (int pass = 0; pass < 2; ++pass) // rows, then columns
        for (int element = 0; element < 4; ++element)
          flops += 2;
  EXPECT_EQ(module.cost<SinkhornOp>(shape(5, 1, 5)).flopsF32, flops);
}

TEST(OpCost, StreamCollapseAndMixSumOverStreams) {
  ParsedModule module("", kStreamArguments, R"(
  %0 = varve.stream_collapse %X, %pre : (tensor<?x2x8xbf16>, tensor<?x2xf32>)
    -> tensor<?x8xbf16>
  %1 = varve.stream_mix %x, %X, %pre, %comb
    : (tensor<?x8xbf16>, tensor<?x2x8xbf16>, tensor<?x2xf32>, tensor<?x2x2xf32>)
    -> tensor<?x2x8xbf16>)");
  ASSERT_TRUE(module);
  int64_t collapse = 0, mix = 0;
  for (int t = 0; t < 5; ++t)
    for (int c = 0; c < 8; ++c)
      for (int j = 0; j < 2; ++j) {
        collapse += 2; // pre[j] X[j, c]
        mix += 2;      // post[j] y[c]
        for (int k = 0; k < 2; ++k)
          mix += 2; // comb[k, j] X[k, c]
      }
  EXPECT_EQ(module.cost<StreamCollapseOp>(shape(5, 1, 5)).flopsF32, collapse);
  OpCost cost = module.cost<StreamMixOp>(shape(5, 1, 5));
  EXPECT_EQ(cost.flopsF32, mix);
  EXPECT_EQ(cost.activationBytesRead, 5 * (8 * 2 + 16 * 2 + 2 * 4 + 4 * 4));
  EXPECT_EQ(cost.activationBytesWritten, 5 * 16 * 2);
}

// Rows behind `take` are rows of logits, including the numbers that choose
// them and those that are drawn for them.
TEST(OpCost, OpsBehindTakeWorkOnLogitRows) {
  ParsedModule module(
      "", "%x: tensor<?x8xf32>, %rows: tensor<?xi32>, %u: tensor<?xf32>", R"(
  %w = varve.weight "head.weight" : tensor<512x8xf32>
  %last = varve.take %x, %rows : (tensor<?x8xf32>, tensor<?xi32>)
    -> tensor<?x8xf32>
  %logits = varve.linear %last, %w : (tensor<?x8xf32>, tensor<512x8xf32>)
    -> tensor<?x512xf32>
  %ids = varve.sample %logits uniform %u temperature 1.0
    : tensor<?x512xf32>, tensor<?xf32>)");
  ASSERT_TRUE(module);
  StepShape step = shape(300, 3, 100, /*logitRows=*/3);
  OpCost take = module.cost<TakeOp>(step);
  EXPECT_EQ(take.activationBytesRead, 3 * 8 * 4 + 3 * 4);
  EXPECT_EQ(take.activationBytesWritten, 3 * 8 * 4);
  EXPECT_EQ(module.cost<LinearOp>(step).flopsF32, 2 * 3 * 512 * 8);
  OpCost sample = module.cost<SampleOp>(step);
  EXPECT_EQ(sample.flopsF32, 4 * 3 * 512);
  EXPECT_EQ(sample.activationBytesRead, 3 * 512 * 4 + 3 * 4);
  EXPECT_EQ(sample.activationBytesWritten, 3 * 4);
}

TEST(OpCost, GreedySampleComparesOnce) {
  ParsedModule module("", "%x: tensor<4x512xf32>",
                      "  %0 = varve.sample %x temperature 0.0 : "
                      "tensor<4x512xf32>");
  ASSERT_TRUE(module);
  OpCost cost = module.cost<SampleOp>(shape(9, 1, 9));
  EXPECT_EQ(cost.flopsF32, 4 * 512);
  EXPECT_EQ(cost.activationBytesRead, 4 * 512 * 4);
}

//===----------------------------------------------------------------------===//
// Elementwise
//===----------------------------------------------------------------------===//

TEST(OpCost, ElementwiseOpsCountTheirPrimitives) {
  ParsedModule module("",
                      "%x: tensor<?x4x16xbf16>, %n: tensor<?xi32>, "
                      "%g: tensor<?x4xf32>, %ids: tensor<?x4xi32>",
                      R"(
  %w = varve.weight "norm.weight" : tensor<16xf32>
  %0 = varve.rms_norm %x weight %w eps 1.0e-6
    : (tensor<?x4x16xbf16>, tensor<16xf32>) -> tensor<?x4x16xbf16>
  %1 = varve.rope %x at %n table <theta = 1.0e4 : f64, dim = 8>
    : tensor<?x4x16xbf16>, tensor<?xi32>
  %2 = varve.hadamard %x : tensor<?x4x16xbf16>
  %c, %s = varve.quantize %x block 8
    : tensor<?x4x16xbf16> -> tensor<?x4x16xf8E4M3FN>, tensor<?x4x2xf8E8M0FNU>
  %3 = varve.dequantize %c scaled %s block 8
    : (tensor<?x4x16xf8E4M3FN>, tensor<?x4x2xf8E8M0FNU>) -> tensor<?x4x16xbf16>
  %4 = varve.swiglu %x, %x weights %g limit 1.0
    : (tensor<?x4x16xbf16>, tensor<?x4x16xbf16>, tensor<?x4xf32>)
    -> tensor<?x4x16xbf16>
  %5 = varve.combine %x, %ids : (tensor<?x4x16xbf16>, tensor<?x4xi32>)
    -> tensor<?x16xbf16>)");
  ASSERT_TRUE(module);
  for (const StepShape &step : shapes()) {
    int64_t T = step.tokens, norm = 0, rope = 0, hadamard = 0, swiglu = 0;
    int64_t combine = 0;
    for (int64_t t = 0; t < T; ++t)
      for (int h = 0; h < 4; ++h)
        for (int i = 0; i < 16; ++i) {
          norm += 4; // square, sum, factor, weight
          if (i >= 8 && i % 2 == 0)
            rope += 4 + 2;   // a cos - b sin, a sin + b cos
          hadamard += 4 + 1; // four butterflies, one scaling
          swiglu += 5 + 1;   // two clamps, silu in two, product; weight
          combine += 1;
        }
    EXPECT_EQ(module.cost<RmsNormOp>(step).flopsF32, norm);
    EXPECT_EQ(module.cost<RopeOp>(step).flopsF32, rope);
    EXPECT_EQ(module.cost<HadamardOp>(step).flopsF32, hadamard);
    EXPECT_EQ(module.cost<SwigluOp>(step).flopsF32, swiglu);
    EXPECT_EQ(module.cost<CombineOp>(step).flopsF32, combine);
    OpCost quantize = module.cost<QuantizeOp>(step);
    EXPECT_EQ(quantize.flopsF32, 3 * T * 64);
    EXPECT_EQ(quantize.activationBytesRead, T * 64 * 2);
    EXPECT_EQ(quantize.activationBytesWritten, T * 64 + T * 4 * 2);
    OpCost dequantize = module.cost<DequantizeOp>(step);
    EXPECT_EQ(dequantize.flopsF32, T * 64);
    EXPECT_EQ(dequantize.activationBytesRead, T * 64 + T * 4 * 2);
    EXPECT_EQ(dequantize.activationBytesWritten, T * 64 * 2);
    EXPECT_EQ(module.cost<RmsNormOp>(step).weightBytes, 16 * 4);
  }
}

TEST(OpCost, RoutersScoreLogitsAndHashRoutersOnlyTheirExperts) {
  ParsedModule module("", "%l: tensor<?x16xf32>, %ids: tensor<?xi32>", R"(
  %b = varve.weight "gate.bias" : tensor<16xf32>
  %t = varve.weight "gate.tid2eid" : tensor<512x6xi64>
  %0:2 = varve.route_topk %l bias %b active 6 scoring sigmoid scale 1.0
    : tensor<?x16xf32>, tensor<16xf32>
  %1:2 = varve.route_hash %l, %ids, %t scoring sigmoid scale 1.0
    : tensor<?x16xf32>, tensor<?xi32>, tensor<512x6xi64>)");
  ASSERT_TRUE(module);
  OpCost topk = module.cost<RouteTopkOp>(shape(5, 1, 5));
  EXPECT_EQ(topk.flopsF32, 4 * 5 * 16);
  EXPECT_EQ(topk.weightBytes, 16 * 4);
  EXPECT_EQ(topk.activationBytesRead, 5 * 16 * 4);
  EXPECT_EQ(topk.activationBytesWritten, 5 * 6 * (4 + 4));
  OpCost hash = module.cost<RouteHashOp>(shape(5, 1, 5));
  EXPECT_EQ(hash.flopsF32, 4 * 5 * 6);
  EXPECT_EQ(hash.weightBytes, 5 * 6 * 8); // rows of the table, not the table
  EXPECT_EQ(hash.activationBytesRead, 5 * 16 * 4 + 5 * 4);
  EXPECT_EQ(hash.activationBytesWritten, 5 * 6 * (4 + 4));
}

//===----------------------------------------------------------------------===//
// Pools
//===----------------------------------------------------------------------===//

TEST(OpCost, AppendStoresARowPerToken) {
  ParsedModule module("varve.pool @w window size 4 : "
                      "<448 x f8E4M3FN scaled 64 x f8E8M0FNU, 64 x bf16>",
                      "%x: tensor<?x512xbf16>, %n: tensor<?xi32>",
                      "varve.append %x to @w at (%n, %n) : "
                      "tensor<?x512xbf16>, tensor<?xi32>, tensor<?xi32>");
  ASSERT_TRUE(module);
  OpCost cost = module.cost<AppendOp>(shape(6, 2, 30));
  EXPECT_EQ(cost.poolBytesWritten, 6 * 584);
  EXPECT_EQ(cost.activationBytesRead, 6 * (512 * 2 + 4 + 4));
  EXPECT_EQ(cost.flops(), 0);
}

/// Walks a compressor over a step: which rows of the ring it must fetch and
/// leave, and how many of each entry's rows exist.
struct CompressorWalk {
  int64_t pooledRows = 0, entries = 0;
  std::set<std::pair<int64_t, int64_t>> fetched, left;

  CompressorWalk(const StepShape &step, int64_t m, int64_t halves,
                 int64_t ring) {
    int64_t before = step.context - step.tokens / step.sequences;
    forEachToken(step, [&](int64_t sequence, int64_t position) {
      left.insert({sequence, position % ring});
      if ((position + 1) % m)
        return;
      ++entries;
      for (int64_t p = position; p > position - halves * m && p >= 0; --p) {
        ++pooledRows;
        if (p < before)
          fetched.insert({sequence, p});
      }
    });
  }
};

TEST(OpCost, CompressReadsOnlyRowsOfEarlierStepsThatItPools) {
  for (bool overlap : {false, true}) {
    constexpr int64_t m = 4, kWidth = 3, kRing = 8;
    int64_t halves = overlap ? 2 : 1, columns = halves * kWidth;
    std::string kv = "tensor<?x" + std::to_string(columns) + "xf32>";
    std::string bias = "tensor<4x" + std::to_string(columns) + "xf32>";
    ParsedModule module(
        "varve.pool @s state size 8 : <" + std::to_string(2 * columns) +
            " x f32>",
        "%x: " + kv + ", %n: tensor<?xi32>",
        "%b = varve.weight \"ape\" : " + bias +
            "\n  %0:3 = varve.compress %x, %x, %b in @s ratio 4 " +
            (overlap ? "overlap" : "") + " at (%n, %n) : (" + kv + ", " + kv +
            ", " + bias +
            ", tensor<?xi32>, tensor<?xi32>) -> (tensor<?x3xbf16>, "
            "tensor<?xi32>, tensor<?xi32>)");
    ASSERT_TRUE(module);
    for (const StepShape &step : shapes()) {
      CompressorWalk walk(step, m, halves, kRing);
      OpCost cost = module.cost<CompressOp>(step);
      int64_t T = step.tokens, E = walk.entries, rowBytes = 2 * columns * 4;
      EXPECT_EQ(cost.flopsF32, T * columns + 5 * walk.pooledRows * kWidth)
          << T << " tokens, context " << step.context;
      EXPECT_EQ(cost.poolBytesRead,
                static_cast<int64_t>(walk.fetched.size()) * rowBytes)
          << T << " tokens, context " << step.context << ", overlap "
          << overlap;
      EXPECT_EQ(cost.poolBytesWritten,
                static_cast<int64_t>(walk.left.size()) * rowBytes)
          << T << " tokens, context " << step.context;
      EXPECT_EQ(cost.weightBytes, m * columns * 4);
      EXPECT_EQ(cost.activationBytesRead, T * (2 * columns * 4 + 4 + 4));
      EXPECT_EQ(cost.activationBytesWritten, E * (kWidth * 2 + 4 + 4));
    }
  }
}

// What follows a compressor works on entries, not on tokens.
TEST(OpCost, OpsBehindCompressWorkOnEntries) {
  ParsedModule module(
      "varve.pool @s state size 4 : <16 x f32>\n"
      "varve.pool @e entries ratio 4 page 8 : <8 x bf16>",
      "%x: tensor<?x8xf32>, %b: tensor<4x8xf32>, %n: tensor<?xi32>", R"(
  %e, %starts, %slots = varve.compress %x, %x, %b in @s ratio 4 at (%n, %n)
    : (tensor<?x8xf32>, tensor<?x8xf32>, tensor<4x8xf32>, tensor<?xi32>,
       tensor<?xi32>) -> (tensor<?x8xf32>, tensor<?xi32>, tensor<?xi32>)
  %0 = varve.rms_norm %e eps 1.0e-6 : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %1 = varve.rope %0 at %starts table <theta = 1.0e4 : f64, dim = 8>
    : tensor<?x8xf32>, tensor<?xi32>
  varve.append %1 to @e at (%starts, %slots)
    : tensor<?x8xf32>, tensor<?xi32>, tensor<?xi32>)");
  ASSERT_TRUE(module);
  for (const StepShape &step : shapes()) {
    int64_t entries = 0;
    forEachToken(step,
                 [&](int64_t, int64_t p) { entries += (p + 1) % 4 == 0; });
    EXPECT_EQ(module.cost<RmsNormOp>(step).flopsF32, entries * 8 * 3);
    EXPECT_EQ(module.cost<RopeOp>(step).flopsF32, entries * 4 * 6);
    OpCost append = module.cost<AppendOp>(step);
    EXPECT_EQ(append.poolBytesWritten, entries * 16);
    EXPECT_EQ(append.activationBytesRead, entries * (32 + 4 + 4));
  }
}

TEST(OpCost, IndexScoresEveryVisibleEntry) {
  ParsedModule module(
      "varve.pool @keys entries ratio 4 page 8 : "
      "<32 x f4E2M1FN scaled 32 x f8E8M0FNU>",
      "%q: tensor<?x2x32xf4E2M1FN>, %qs: tensor<?x2x1xf8E8M0FNU>, "
      "%w: tensor<?x2xbf16>, %n: tensor<?xi32>",
      R"(
  %0 = varve.index_score %q scaled %qs by 32, %w keys @keys scale 1.0 at (%n, %n)
    : (tensor<?x2x32xf4E2M1FN>, tensor<?x2x1xf8E8M0FNU>, tensor<?x2xbf16>,
       tensor<?xi32>, tensor<?xi32>) -> tensor<?x?xbf16>
  %1 = varve.index_topk %0 k 3 : tensor<?x?xbf16>)");
  ASSERT_TRUE(module);
  for (const StepShape &step : shapes()) {
    int64_t pairs = 0, products = 0, heads = 0;
    std::set<std::pair<int64_t, int64_t>> rows;
    forEachToken(step, [&](int64_t sequence, int64_t p) {
      for (int64_t s = 0; (s + 1) * 4 - 1 <= p; ++s) {
        ++pairs;
        rows.insert({sequence, s});
        for (int h = 0; h < 2; ++h) {
          heads += 3; // max(0, .), weight, sum
          for (int i = 0; i < 32; ++i)
            products += 2;
        }
      }
    });
    OpCost score = module.cost<IndexScoreOp>(step);
    EXPECT_EQ(score.flopsF4, products);
    EXPECT_EQ(score.flopsF32, heads);
    EXPECT_EQ(score.poolBytesRead,
              static_cast<int64_t>(rows.size()) * (16 + 4)); // padded scale
    EXPECT_EQ(score.activationBytesRead,
              step.tokens * (2 * 16 + 2 * 1 + 2 * 2 + 4 + 4));
    EXPECT_EQ(score.activationBytesWritten, pairs * 2);
    OpCost topk = module.cost<IndexTopkOp>(step);
    EXPECT_EQ(topk.flopsF32, pairs);
    EXPECT_EQ(topk.activationBytesRead, pairs * 2);
    EXPECT_EQ(topk.activationBytesWritten, step.tokens * 3 * 4);
  }
}

//===----------------------------------------------------------------------===//
// Attention
//===----------------------------------------------------------------------===//

/// Walks the keys of a step's queries.
struct AttentionWalk {
  int64_t keys = 0;
  std::set<std::pair<int64_t, int64_t>> windowRows, entryRows;
  int64_t places = 0; ///< filled places of a selection

  /// W or m 0: no such source. k 0: all visible entries.
  AttentionWalk(const StepShape &step, int64_t W, int64_t m, int64_t k) {
    forEachToken(step, [&](int64_t sequence, int64_t p) {
      for (int64_t u = p; W && u > p - W && u >= 0; --u) {
        ++keys;
        windowRows.insert({sequence, u});
      }
      int64_t taken = 0;
      for (int64_t s = 0; m && (s + 1) * m - 1 <= p; ++s) {
        entryRows.insert({sequence, s});
        if (!k || taken < k) {
          ++taken;
          ++keys;
        }
      }
      places += taken;
    });
  }
};

constexpr char kAttentionPools[] = R"(
varve.pool @w window size 5 : <8 x bf16>
varve.pool @wv window size 5 : <12 x bf16>
varve.pool @e entries ratio 3 page 6 : <8 x f32>
varve.pool @ev entries ratio 3 page 6 : <12 x f32>
)";

TEST(OpCost, SlidingAttentionCountsWindowKeys) {
  ParsedModule module(kAttentionPools,
                      "%q: tensor<?x4x8xbf16>, %n: tensor<?xi32>", R"(
  %0 = varve.sparse_attention %q window @w scale 1.0 at (%n, %n)
    : (tensor<?x4x8xbf16>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x4x8xbf16>)");
  ASSERT_TRUE(module);
  for (const StepShape &step : shapes()) {
    AttentionWalk walk(step, 5, 0, 0);
    OpCost cost = module.cost<SparseAttentionOp>(step);
    EXPECT_EQ(cost.flopsBF16, walk.keys * 4 * 2 * (8 + 8));
    EXPECT_EQ(cost.flopsF32, walk.keys * 4 * 4);
    EXPECT_EQ(cost.poolBytesRead,
              static_cast<int64_t>(walk.windowRows.size()) * 16)
        << step.tokens << " tokens, context " << step.context;
    EXPECT_EQ(cost.activationBytesRead, step.tokens * (4 * 8 * 2 + 4 + 4));
    EXPECT_EQ(cost.activationBytesWritten, step.tokens * 4 * 8 * 2);
    EXPECT_EQ(cost.weightBytes, 0);
  }
}

TEST(OpCost, DenseAttentionCountsWindowAndVisibleEntries) {
  ParsedModule module(kAttentionPools,
                      "%q: tensor<?x4x8xbf16>, %n: tensor<?xi32>", R"(
  %sink = varve.weight "sink" : tensor<4xf32>
  %0 = varve.sparse_attention %q window @w entries @e sink %sink scale 1.0
    at (%n, %n) : (tensor<?x4x8xbf16>, tensor<4xf32>, tensor<?xi32>,
                   tensor<?xi32>) -> tensor<?x4x6xbf16>)");
  ASSERT_TRUE(module);
  for (const StepShape &step : shapes()) {
    AttentionWalk walk(step, 5, 3, 0);
    OpCost cost = module.cost<SparseAttentionOp>(step);
    EXPECT_EQ(cost.flopsBF16, walk.keys * 4 * 2 * (8 + 6));
    EXPECT_EQ(cost.poolBytesRead,
              static_cast<int64_t>(walk.windowRows.size() * 16 +
                                   walk.entryRows.size() * 32));
    EXPECT_EQ(cost.weightBytes, 4 * 4);
  }
}

TEST(OpCost, SelectedAttentionCountsAtMostKEntries) {
  ParsedModule module(
      kAttentionPools,
      "%q: tensor<?x4x8xbf16>, %i: tensor<?x7xi32>, %n: tensor<?xi32>", R"(
  %0 = varve.sparse_attention %q window @w values @wv entries @e values @ev
    indices %i scale 1.0 at (%n, %n)
    : (tensor<?x4x8xbf16>, tensor<?x7xi32>, tensor<?xi32>, tensor<?xi32>)
    -> tensor<?x4x12xbf16>)");
  ASSERT_TRUE(module);
  for (const StepShape &step : shapes()) {
    AttentionWalk walk(step, 5, 3, 7);
    OpCost cost = module.cost<SparseAttentionOp>(step);
    EXPECT_EQ(cost.flopsBF16, walk.keys * 4 * 2 * (8 + 12));
    // Queries may agree, so no more rows than there are, nor than are chosen.
    int64_t rows = std::min<int64_t>(walk.entryRows.size(), walk.places);
    EXPECT_EQ(cost.poolBytesRead,
              static_cast<int64_t>(walk.windowRows.size()) * (16 + 24) +
                  rows * (32 + 48));
    EXPECT_EQ(cost.activationBytesRead,
              step.tokens * (4 * 8 * 2 + 7 * 4 + 4 + 4));
  }
}

/// Attention of 4 heads of 8 over entries of ratio 2, of which 10 are kept, at
/// a context of 100: 50 entries.
OpCost selectedAttention(llvm::StringRef score, int64_t &bytes) {
  ParsedModule module(("varve.pool @e entries ratio 2 page 64 select <keep = "
                       "10, score = " +
                       score + "> : <8 x bf16>")
                          .str(),
                      "%q: tensor<?x4x8xbf16>, %n: tensor<?xi32>", R"(
  %0 = varve.sparse_attention %q entries @e scale 1.0 at (%n, %n)
    : (tensor<?x4x8xbf16>, tensor<?xi32>, tensor<?xi32>)
    -> tensor<?x4x8xbf16>)");
  StepShape step;
  step.context = 100;
  bytes = module.last<PoolOp>().getBytesOf(100);
  return module.cost<SparseAttentionOp>(step);
}

TEST(OpCost, SelectedPoolIsReadAsFarAsItIsKept) {
  int64_t bytes;
  OpCost cost = selectedAttention("position", bytes);
  EXPECT_EQ(bytes, 10 * 16);
  EXPECT_EQ(cost.productFlops, 2 * 4 * 16 * 10);
  EXPECT_EQ(cost.poolBytesRead, 10 * 16);
  EXPECT_EQ(cost.poolBytesWritten, 0);
}

TEST(OpCost, ScoresOfAttentionAreReadAndWritten) {
  int64_t bytes;
  OpCost plain = selectedAttention("position", bytes);
  OpCost cost = selectedAttention("attention", bytes);
  EXPECT_EQ(bytes, 10 * (16 + 4));
  EXPECT_EQ(cost.poolBytesRead, plain.poolBytesRead + 10 * 4);
  EXPECT_EQ(cost.poolBytesWritten, 10 * 4);
  EXPECT_EQ(cost.flopsF32, plain.flopsF32 + 4 * 10);
}

TEST(OpCost, ScoresOfKeysAreComputedEverySoManyTokens) {
  int64_t bytes;
  OpCost plain = selectedAttention("position", bytes);
  OpCost cost = selectedAttention("key, every = 5", bytes);
  EXPECT_EQ(bytes, 10 * (16 + 4));
  EXPECT_EQ(cost.poolBytesRead, plain.poolBytesRead + 10 * 16 / 5);
  EXPECT_EQ(cost.poolBytesWritten, 10 * 4 / 5);
  EXPECT_EQ(cost.flopsF32, plain.flopsF32 + 2 * 10 * 8 / 5);
}

TEST(OpCost, ProductsAreCountedApart) {
  int64_t bytes;
  OpCost cost = selectedAttention("position", bytes);
  EXPECT_EQ(cost.flopsBF16, cost.productFlops);
  EXPECT_EQ(cost.flops() - cost.productFlops, 4 * 4 * 10); // the softmax
}

TEST(OpCost, WorkThatDoesNotFitSaturates) {
  ParsedModule module("varve.pool @e entries ratio 1 page 64 : <131072 x bf16>",
                      "%q: tensor<?x128x131072xbf16>, %n: tensor<?xi32>", R"(
  %0 = varve.sparse_attention %q entries @e scale 1.0 at (%n, %n)
    : (tensor<?x128x131072xbf16>, tensor<?xi32>, tensor<?xi32>)
    -> tensor<?x128x131072xbf16>)");
  ASSERT_TRUE(module);
  constexpr int64_t kMany = std::numeric_limits<int32_t>::max();
  OpCost cost = module.cost<SparseAttentionOp>(shape(kMany, 1, kMany));
  EXPECT_EQ(cost.flopsBF16, kMaxCount);
  EXPECT_EQ(cost.flops(), kMaxCount);
  // 2^31 rows of 2^18 bytes still fit.
  EXPECT_EQ(cost.poolBytesRead, kMany << 18);
}

} // namespace
