//===- FormatTest.cpp - Bytes of pool rows --------------------------------===//
//
// Expected numbers are those of the model's specification, sections 5.5, 9.1
// and 9.3, unless a test derives them itself.
//
//===----------------------------------------------------------------------===//

#include "test/Unit/Dialects/ParsedModule.h"

using namespace mlir;
using namespace mlir::varve;

namespace {

PoolOp pool(ParsedModule &module) { return module.last<PoolOp>(); }

FormatAttr format(ParsedModule &module) { return pool(module).getFormat(); }

TEST(Format, CompressedEntryTakes584Bytes) {
  ParsedModule module("varve.pool @p entries ratio 4 page 256 : "
                      "<448 x f8E4M3FN scaled 64 x f8E8M0FNU, 64 x bf16>");
  EXPECT_EQ(format(module).getWidth(), 512);
  EXPECT_EQ(format(module).getCodeBytes(), 448 + 128);
  EXPECT_EQ(format(module).getScaleBytes(), 8); // 7 scales, padded
  EXPECT_EQ(format(module).getRowBytes(), 584);
}

TEST(Format, IndexerKeyTakes68BytesInFp4And132InFp8) {
  ParsedModule fp4("varve.pool @p entries ratio 4 page 256 : "
                   "<128 x f4E2M1FN scaled 32 x f8E8M0FNU>");
  EXPECT_EQ(format(fp4).getWidth(), 128);
  EXPECT_EQ(format(fp4).getRowBytes(), 68);
  ParsedModule fp8("varve.pool @p entries ratio 4 page 256 : "
                   "<128 x f8E4M3FN scaled 128 x f32>");
  EXPECT_EQ(format(fp8).getRowBytes(), 132);
}

TEST(Format, UnscaledRowsHaveNoScaleBytes) {
  ParsedModule bf16("varve.pool @p entries ratio 4 page 256 : <512 x bf16>");
  EXPECT_EQ(format(bf16).getScaleBytes(), 0);
  EXPECT_EQ(format(bf16).getRowBytes(), 1024);
  ParsedModule keys("varve.pool @p entries ratio 4 page 256 : <128 x bf16>");
  EXPECT_EQ(format(keys).getRowBytes(), 256);
  // The per-token rows of the predecessor: 512 codes with 4 f32 scales, then
  // 64 bf16.
  ParsedModule mla("varve.pool @p entries ratio 1 page 64 : "
                   "<512 x f8E4M3FN scaled 128 x f32, 64 x bf16>");
  EXPECT_EQ(format(mla).getRowBytes(), 656);
}

TEST(Format, ScalesOfAllSegmentsArePaddedTogether) {
  // 2 + 3 scales of one byte: 5, padded to 8.
  ParsedModule module("varve.pool @p window size 4 : "
                      "<4 x f8E4M3FN scaled 2 x f8E8M0FNU, 2 x f32, "
                      "6 x f4E2M1FN scaled 2 x f8E8M0FNU>");
  EXPECT_EQ(format(module).getWidth(), 12);
  EXPECT_EQ(format(module).getCodeBytes(), 4 + 8 + 3);
  EXPECT_EQ(format(module).getScaleBytes(), 8);
}

TEST(Format, PlainFormatIsOneUnscaledSegment) {
  MLIRContext context;
  context.loadDialect<VarveDialect>();
  FormatAttr plain = FormatAttr::getPlain(Float32Type::get(&context), 6);
  ASSERT_EQ(plain.getSegments().size(), 1u);
  EXPECT_EQ(plain.getWidth(), 6);
  EXPECT_EQ(plain.getRowBytes(), 24);
  EXPECT_EQ(plain.getSegments()[0].getNumScales(), 0);
}

TEST(Pool, RowsOfASequenceByKind) {
  ParsedModule entries("varve.pool @p entries ratio 4 page 256 : <8 x bf16>");
  EXPECT_EQ(pool(entries).getRowTokens(), 4);
  EXPECT_EQ(pool(entries).getRowsOf(3), 0);
  EXPECT_EQ(pool(entries).getRowsOf(4), 1);
  EXPECT_EQ(pool(entries).getRowsOf(1023), 255);
  EXPECT_EQ(pool(entries).getBytesOf(1023), 255 * 16);
  ParsedModule window("varve.pool @p window size 128 : <8 x bf16>");
  EXPECT_EQ(pool(window).getRowTokens(), 1);
  EXPECT_EQ(pool(window).getRowsOf(5), 5);
  EXPECT_EQ(pool(window).getRowsOf(129), 128);
  ParsedModule state("varve.pool @p state size 8 : <8 x f32>");
  EXPECT_EQ(pool(state).getRowsOf(1), 8);
}

TEST(Pool, CompressorStatesTakeThePublishedBytes) {
  // c m rows of 2 c dc f32: ratio 4 with overlap, its indexer's, ratio 128.
  ParsedModule main("varve.pool @p state size 8 : <2048 x f32>");
  EXPECT_EQ(pool(main).getBytesOf(1 << 20), 65536);
  ParsedModule indexer("varve.pool @p state size 8 : <512 x f32>");
  EXPECT_EQ(pool(indexer).getBytesOf(1 << 20), 16384);
  ParsedModule heavy("varve.pool @p state size 128 : <1024 x f32>");
  EXPECT_EQ(pool(heavy).getBytesOf(1 << 20), 524288);
}

TEST(Pool, CacheOfAMillionTokensTakesThePublishedBytes) {
  constexpr int64_t T = 1 << 20;
  ParsedModule light("varve.pool @p entries ratio 4 page 256 : "
                     "<448 x f8E4M3FN scaled 64 x f8E8M0FNU, 64 x bf16>");
  ParsedModule keys("varve.pool @p entries ratio 4 page 256 : "
                    "<128 x f4E2M1FN scaled 32 x f8E8M0FNU>");
  ParsedModule heavy("varve.pool @p entries ratio 128 page 256 : "
                     "<448 x f8E4M3FN scaled 64 x f8E8M0FNU, 64 x bf16>");
  int64_t lightBytes = pool(light).getBytesOf(T) + pool(keys).getBytesOf(T);
  int64_t heavyBytes = pool(heavy).getBytesOf(T);
  EXPECT_EQ(lightBytes, 163 * T);
  EXPECT_EQ(heavyBytes * 10000, 45625 * T); // 4.5625 bytes a token
  EXPECT_NEAR((21 * lightBytes + 20 * heavyBytes) / 1e9, 3.685, 5e-4);
  EXPECT_NEAR((30 * lightBytes + 31 * heavyBytes) / 1e9, 5.276, 5e-4);
  // V3.2: 61 layers of one latent row and one FP8 indexer key per token.
  ParsedModule latent("varve.pool @p entries ratio 1 page 64 : "
                      "<512 x f8E4M3FN scaled 128 x f32, 64 x bf16>");
  ParsedModule key("varve.pool @p entries ratio 1 page 64 : "
                   "<128 x f8E4M3FN scaled 128 x f32>");
  EXPECT_NEAR(61 * (pool(latent).getBytesOf(T) + pool(key).getBytesOf(T)) / 1e9,
              50.40, 5e-3);
}

} // namespace
