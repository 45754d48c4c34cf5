//===- WeightsTest.cpp - Weights from files and seeds ---------------------===//

#include "lib/Checkpoint/RandomRows.h"
#include "runtime/Error.h"
#include "runtime/Weights/Safetensors.h"
#include "runtime/Weights/WeightSource.h"
#include "test/Unit/Runtime/PackageBuilder.h"
#include "varve/Support/Floats.h"
#include <cmath>
#include <cstring>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

using namespace varve::runtime;
using namespace varve::runtime::testing;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

namespace {

std::string text(size_t size, char first) {
  std::string bytes(size, 0);
  for (size_t i = 0; i < size; ++i)
    bytes[i] = static_cast<char>(first + i);
  return bytes;
}

std::string readAll(const WeightSource &source, const Weight &weight) {
  std::string bytes(weight.getBytes(), 0);
  source.read(weight, 0,
              {reinterpret_cast<uint8_t *>(bytes.data()), bytes.size()});
  // Piece by piece is the same.
  std::string pieces(bytes.size(), 0);
  int64_t granule = granuleOf(weight);
  for (int64_t begin = 0; begin < weight.getBytes(); begin += granule)
    source.read(weight, begin,
                {reinterpret_cast<uint8_t *>(pieces.data()) + begin,
                 static_cast<size_t>(granule)});
  EXPECT_EQ(pieces, bytes);
  return bytes;
}

TEST(Safetensors, ReadsWhatWasWritten) {
  std::string file = writeSafetensors(
      {{"a", "F32", {2, 2}, text(16, 1)}, {"b", "BF16", {3}, text(6, 40)}});
  auto opened = SafetensorsFile::parse(
      MappedFile::ofBytes("x", std::vector<uint8_t>(file.begin(), file.end())));
  EXPECT_EQ(opened->getTensors().size(), 2u);
  EXPECT_EQ(opened->find("b")->describe(), "BF16 [3]");
  EXPECT_EQ(opened->find("b")->bytes[0], 40);
  EXPECT_EQ(opened->find("c"), nullptr);
}

TEST(Safetensors, DamageIsNamed) {
  auto parses = [](std::string header, size_t dataBytes = 16) {
    std::string file(8, '\0');
    file[0] = static_cast<char>(header.size());
    file[1] = static_cast<char>(header.size() >> 8);
    file += header + std::string(dataBytes, 'd');
    return [file] {
      SafetensorsFile::parse(MappedFile::ofBytes(
          "x", std::vector<uint8_t>(file.begin(), file.end())));
    };
  };
  auto entry = [](const char *type, const char *shape, const char *offsets) {
    return std::string("{\"t\":{\"dtype\":\"") + type +
           "\",\"shape\":" + shape + ",\"data_offsets\":" + offsets + "}}";
  };
  auto expect = [](auto call, const char *message) {
    EXPECT_THAT(call, ThrowsMessage<Error>(HasSubstr(message)));
  };
  EXPECT_NO_THROW(parses(entry("F32", "[2,2]", "[0,16]"))());
  expect(parses("[]"), "expected a JSON object");
  expect(parses("{"), "expected a JSON object");
  expect(parses("{\"t\":1}"), "expected a dtype");
  expect(parses(entry("F33", "[1]", "[0,4]")), "unknown dtype 'F33'");
  expect(parses(entry("F32", "[2,2]", "[0,12]")), "F32 [2, 2] does not take");
  expect(parses(entry("F32", "[2,2]", "[8,24]")), "it was cut short");
  expect(parses(entry("F32", "[-1]", "[0,4]")), "not negative");
  expect(parses(entry("F32", "[9223372036854775807,4]", "[0,16]")),
         "does not take");
  expect(parses("{\"a\":{},\"a\":{}}"), "'a' appears twice");
  expect(parses("{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]}"
                ",\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[1,3]}"
                "}"),
         "tensors overlap at byte 1");
  EXPECT_THAT([] { SafetensorsFile::parse(MappedFile::ofBytes("x", {1, 2})); },
              ThrowsMessage<Error>(HasSubstr("got 2 bytes")));
}

TEST(Checkpoint, KnowsTensorsByAllTheirNames) {
  std::string folder = freshFolder("names");
  // Two experts, w1 and w3 in one tensor, w2 stacked; the rest in two shards.
  writeFile(folder + "/a.safetensors",
            writeSafetensors({{"model.layers.0.mlp.experts.gate_up_proj",
                               "BF16",
                               {2, 4, 2},
                               text(32, 0)},
                              {"model.layers.0.mlp.experts.down_proj",
                               "BF16",
                               {2, 2, 2},
                               text(16, 50)}}));
  writeFile(folder + "/b.safetensors",
            writeSafetensors(
                {{"layers.1.ffn.experts.0.w1.weight", "I8", {2, 2}, "abcd"},
                 {"layers.1.ffn.experts.1.w1.weight", "I8", {2, 2}, "efgh"},
                 {"lm_head.weight", "F32", {1, 1}, "0123"}}));
  writeFile(folder + "/model.safetensors.index.json",
            R"({"weight_map": {
              "model.layers.0.mlp.experts.gate_up_proj": "a.safetensors",
              "model.layers.0.mlp.experts.down_proj": "a.safetensors",
              "layers.1.ffn.experts.0.w1.weight": "b.safetensors",
              "layers.1.ffn.experts.1.w1.weight": "b.safetensors",
              "lm_head.weight": "b.safetensors"}})");
  auto source = openWeights(folder, {});
  Weight w1{"layers.0.ffn.experts.*.w1.weight", Element::BF16, {2, 2, 2}},
      w3{"layers.0.ffn.experts.*.w3.weight", Element::BF16, {2, 2, 2}},
      w2{"layers.0.ffn.experts.*.w2.weight", Element::BF16, {2, 2, 2}},
      packed{"layers.1.ffn.experts.*.w1.weight", Element::F4E2M1, {2, 2, 4}},
      head{"head.weight", Element::F32, {1, 1}};
  std::vector<Weight> all = {w1, w3, w2, packed, head};
  EXPECT_NO_THROW(source->check(all));
  EXPECT_EQ(readAll(*source, w1), text(8, 0) + text(8, 16));
  EXPECT_EQ(readAll(*source, w3), text(8, 8) + text(8, 24));
  EXPECT_EQ(readAll(*source, w2), text(16, 50));
  EXPECT_EQ(readAll(*source, packed), "abcdefgh");
  EXPECT_EQ(readAll(*source, head), "0123");
  // In one piece are the stack and the single tensor only.
  EXPECT_TRUE(source->map(w2));
  EXPECT_TRUE(source->map(head));
  EXPECT_FALSE(source->map(w1));
  EXPECT_FALSE(source->map(packed));
}

TEST(Checkpoint, MismatchesAreOneError) {
  auto source = openWeights(writeCheckpoint(), {});
  std::vector<Weight> wanted = {
      {"embed.weight", Element::F32, {kVocab, 2}},
      {"embed.weight", Element::BF16, {kVocab, 2}},
      {"embed.weight", Element::F32, {kVocab, 3}},
      {"norm.weight", Element::F32, {2}},
  };
  EXPECT_THAT(
      [&] { source->check(wanted); },
      ThrowsMessage<Error>(::testing::AllOf(
          HasSubstr("the tensors do not match what the package was compiled "
                    "for"),
          HasSubstr("\n  'model.embed_tokens.weight' is F32 [7, 2], expected "
                    "BF16 [7, 2]"),
          HasSubstr("\n  'model.embed_tokens.weight' is F32 [7, 2], expected "
                    "F32 [7, 3]"),
          HasSubstr("\n  missing 'norm.weight'"))));
}

TEST(Scales, AreNumbers) {
  Weight codes{"layers.1.ffn.experts.*.w1.scale", Element::F8E8M0, {2, 3, 4}};
  std::vector<uint8_t> bytes(24, 0xFE);
  EXPECT_NO_THROW(checkScales(codes, 0, bytes));
  bytes[12 + 4 + 2] = 0xFF;
  EXPECT_NO_THROW(checkScales(codes, 0, Bytes(bytes).first(12)));
  // A piece that begins at the second expert's first row, and the whole.
  for (size_t begin : {size_t(12), size_t(0)})
    EXPECT_THAT([&] { checkScales(codes, begin, Bytes(bytes).subspan(begin)); },
                ThrowsMessage<Error>(HasSubstr(
                    "tensor 'layers.1.ffn.experts.1.w1.scale' has a NaN "
                    "scale (code 255) in row 1, column 2")));
  // The byte is a number elsewhere.
  EXPECT_NO_THROW(checkScales(
      {"layers.1.ffn.experts.*.w1.weight", Element::F4E2M1, {2, 3, 8}}, 0,
      bytes));

  Weight numbers{"layers.0.attn.wq_a.scale", Element::F32, {2, 3}};
  for (float bad : {NAN, INFINITY, -1.0f}) {
    std::vector<float> scales(6, 0.5f);
    Bytes raw(reinterpret_cast<const uint8_t *>(scales.data()), 24);
    EXPECT_NO_THROW(checkScales(numbers, 0, raw));
    scales[4] = bad;
    EXPECT_THAT([&] { checkScales(numbers, 12, raw.subspan(12)); },
                ThrowsMessage<Error>(HasSubstr(
                    "tensor 'layers.0.attn.wq_a.scale' has a scale that is "
                    "negative or not finite in row 1, column 1")));
    // Streams have scales of another kind.
    EXPECT_NO_THROW(
        checkScales({"layers.0.hc_attn_scale", Element::F32, {6}}, 0, raw));
  }
}

TEST(Checkpoint, MissingFilesAreNamed) {
  std::string folder = freshFolder("missing");
  EXPECT_THAT([&] { openWeights(folder, {}); },
              ThrowsMessage<Error>(HasSubstr("expected a checkpoint")));
  writeFile(folder + "/model.safetensors.index.json",
            R"({"weight_map": {"x": "gone.safetensors"}})");
  EXPECT_THAT([&] { openWeights(folder, {}); },
              ThrowsMessage<Error>(
                  HasSubstr("'gone.safetensors', with 1 tensors, is missing")));
  writeFile(folder + "/model.safetensors.index.json",
            R"({"weight_map": {"x": "../up.safetensors"}})");
  EXPECT_THAT([&] { openWeights(folder, {}); },
              ThrowsMessage<Error>(HasSubstr("a file beside the index")));
  EXPECT_THAT([&] { openWeights("random:x", {}); },
              ThrowsMessage<Error>(HasSubstr("expected a seed")));
}

TEST(RandomWeights, AreThoseOfTheInterpreter) {
  // FP8 with scales of 3 blocks, FP4 with scales of 16 columns, a table.
  std::vector<Weight> weights = {
      {"layers.0.attn.wq_a.weight", Element::F8E4M3, {4, 300}},
      {"layers.0.attn.wq_a.scale", Element::F8E8M0, {1, 3}},
      {"layers.0.ffn.experts.*.w1.weight", Element::F4E2M1, {6, 2, 32}},
      {"layers.0.ffn.experts.*.w1.scale", Element::F8E8M0, {6, 2, 2}},
      {"layers.0.ffn.gate.tid2eid", Element::I64, {5, 3}},
      {"norm.weight", Element::BF16, {8}},
      {"embed.weight", Element::F32, {5, 8}},
  };
  varve::RandomWeightsOptions options;
  options.seed = 11;
  options.numExperts = 6;
  options.scaleBlockColumns = 128;
  options.expertScaleBlock = 16;
  auto source = openWeights("random:11", weights);
  source->check(weights);
  auto rowsOf = [&](const Weight &weight, varve::WeightType type) {
    std::string problem;
    auto rows = varve::makeRandomRows(weight.name, type, weight.shape, options,
                                      problem);
    EXPECT_EQ(problem, "");
    return rows;
  };
  std::string bytes = readAll(*source, weights[0]);
  std::vector<float> row(300);
  auto fp8 = rowsOf(weights[0], varve::WeightType::F8E4M3);
  for (int r = 0; r < 4; ++r) {
    fp8->readRow(r, row);
    for (int i = 0; i < 300; ++i)
      EXPECT_EQ(varve::e4m3ToFloat(bytes[r * 300 + i]), row[i]);
  }
  bytes = readAll(*source, weights[2]);
  auto fp4 = rowsOf(weights[2], varve::WeightType::F4E2M1);
  row.resize(32);
  for (int r = 0; r < 12; ++r) {
    fp4->readRow(r, row);
    for (int i = 0; i < 32; ++i)
      EXPECT_EQ(varve::e2m1ToFloat(
                    static_cast<uint8_t>(bytes[r * 16 + i / 2]) >> (i % 2 * 4)),
                row[i]);
  }
  bytes = readAll(*source, weights[3]);
  auto scales = rowsOf(weights[3], varve::WeightType::F8E8M0);
  row.resize(2);
  for (int r = 0; r < 12; ++r) {
    scales->readRow(r, row);
    for (int i = 0; i < 2; ++i)
      EXPECT_EQ(varve::e8m0ToFloat(bytes[r * 2 + i]), row[i]);
  }
  bytes = readAll(*source, weights[4]);
  auto table = rowsOf(weights[4], varve::WeightType::I64);
  std::vector<int64_t> ids(3), stored(3);
  for (int r = 0; r < 5; ++r) {
    table->readRow(r, ids);
    std::memcpy(stored.data(), bytes.data() + r * 24, 24);
    EXPECT_EQ(stored, ids);
  }
  bytes = readAll(*source, weights[5]);
  auto norm = rowsOf(weights[5], varve::WeightType::BF16);
  row.resize(8);
  norm->readRow(0, row);
  for (int i = 0; i < 8; ++i) {
    uint16_t code;
    std::memcpy(&code, bytes.data() + 2 * i, 2);
    EXPECT_EQ(varve::bf16ToFloat(code), row[i]);
  }
}

} // namespace
