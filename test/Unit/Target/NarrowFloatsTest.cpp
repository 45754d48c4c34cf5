//===- NarrowFloatsTest.cpp - Conversions, bit by bit ----------*- C++ -*-===//
//
// Every code of every format, and a million floats, through compiled code;
// compared with LLVM's APFloat where it defines the result and with the
// project's number formats everywhere.
//
//===----------------------------------------------------------------------===//
#include "TargetTestUtils.h"
#include "lib/Target/X86/JitModule.h"
#include "varve/Support/Floats.h"
#include "llvm/ADT/APFloat.h"
#include "llvm/Support/FormatVariadic.h"
#include <bit>
#include <cmath>
#include <random>
#include <vector>

using namespace varve;
using llvm::APFloat;

namespace {
struct Format {
  const char *type;
  int width;
  const llvm::fltSemantics &semantics;
  float (*widen)(uint32_t code);
};

const Format kFormats[] = {
    {"bf16", 16, APFloat::BFloat(), [](uint32_t c) { return bf16ToFloat(c); }},
    {"f8E4M3FN", 8, APFloat::Float8E4M3FN(),
     [](uint32_t c) { return e4m3ToFloat(c); }},
    {"f8E5M2", 8, APFloat::Float8E5M2(),
     [](uint32_t c) { return e5m2ToFloat(c); }},
    {"f4E2M1FN", 4, APFloat::Float4E2M1FN(),
     [](uint32_t c) { return e2m1ToFloat(c); }},
    {"f8E8M0FNU", 8, APFloat::Float8E8M0FNU(),
     [](uint32_t c) { return e8m0ToFloat(c); }}};

/// Loops over n numbers, 16 at a time, plus one scalar version of each.
std::string conversionModule(const Format &f) {
  // Codes travel as whole integers; the narrow type appears only as a value.
  return llvm::formatv(R"(
func.func @widen(%in: !llvm.ptr, %out: !llvm.ptr, %n: i64) {{
  %c0 = arith.constant 0 : i64
  %c16 = arith.constant 16 : i64
  scf.for %i = %c0 to %n step %c16 : i64 {{
    %p = llvm.getelementptr %in[%i] : (!llvm.ptr, i64) -> !llvm.ptr, i32
    %q = llvm.getelementptr %out[%i] : (!llvm.ptr, i64) -> !llvm.ptr, f32
    %w = llvm.load %p {{alignment = 4 : i64} : !llvm.ptr -> vector<16xi32>
    %c = arith.trunci %w : vector<16xi32> to vector<16xi{0}>
    %x = arith.bitcast %c : vector<16xi{0}> to vector<16x{1}>
    %y = arith.extf %x : vector<16x{1}> to vector<16xf32>
    llvm.store %y, %q {{alignment = 4 : i64} : vector<16xf32>, !llvm.ptr
  }
  return
}
func.func @narrow(%in: !llvm.ptr, %out: !llvm.ptr, %n: i64) {{
  %c0 = arith.constant 0 : i64
  %c16 = arith.constant 16 : i64
  scf.for %i = %c0 to %n step %c16 : i64 {{
    %p = llvm.getelementptr %in[%i] : (!llvm.ptr, i64) -> !llvm.ptr, f32
    %q = llvm.getelementptr %out[%i] : (!llvm.ptr, i64) -> !llvm.ptr, i32
    %x = llvm.load %p {{alignment = 4 : i64} : !llvm.ptr -> vector<16xf32>
    %y = arith.truncf %x : vector<16xf32> to vector<16x{1}>
    %c = arith.bitcast %y : vector<16x{1}> to vector<16xi{0}>
    %w = arith.extui %c : vector<16xi{0}> to vector<16xi32>
    llvm.store %w, %q {{alignment = 4 : i64} : vector<16xi32>, !llvm.ptr
  }
  return
}
func.func @widen_one(%code: i32) -> f32 {{
  %c = arith.trunci %code : i32 to i{0}
  %x = arith.bitcast %c : i{0} to {1}
  %y = arith.extf %x : {1} to f32
  return %y : f32
}
func.func @narrow_one(%x: f32) -> i32 {{
  %y = arith.truncf %x : f32 to {1}
  %c = arith.bitcast %y : {1} to i{0}
  %w = arith.extui %c : i{0} to i32
  return %w : i32
})",
                       f.width, f.type);
}

/// What the pass promises for narrowing `x`.
uint32_t expectedCode(const Format &f, float x) {
  llvm::StringRef type = f.type;
  if (type == "bf16")
    return floatToBf16(x);
  if (type == "f8E4M3FN")
    return floatToE4m3(x);
  if (type == "f8E5M2")
    return floatToE5m2(x);
  if (type == "f4E2M1FN")
    return floatToE2m1(x);
  // f8E8M0FNU: negative numbers have no code; -0 is as good as 0.
  if (std::isnan(x) || x < 0)
    return 0xFF;
  bool lossy;
  APFloat value(std::fabs(x));
  value.convert(f.semantics, APFloat::rmNearestTiesToEven, &lossy);
  return value.bitcastToAPInt().getZExtValue();
}

/// What APFloat says, if its result is one that the formats agree on: finite
/// and within range.
std::optional<uint32_t> apfloatCode(const Format &f, float x) {
  if (!std::isfinite(x) || (f.width == 8 && std::string(f.type) == "f8E8M0FNU"))
    return std::nullopt;
  bool lossy;
  APFloat value(x);
  APFloat::opStatus status =
      value.convert(f.semantics, APFloat::rmNearestTiesToEven, &lossy);
  if (status & APFloat::opOverflow)
    return std::nullopt;
  return value.bitcastToAPInt().getZExtValue();
}

/// A million bit patterns, and every float near a boundary of an 8-bit format:
/// all values whose upper 12 bits occur with a few endings.
std::vector<float> interestingFloats() {
  std::vector<float> result;
  std::mt19937 random(7);
  for (int i = 0; i < 1 << 20; ++i)
    result.push_back(std::bit_cast<float>(static_cast<uint32_t>(random())));
  for (uint32_t upper = 0; upper < 1 << 13; ++upper)
    for (uint32_t ending : {0u, 1u, 0x3FFFFu, 0x40000u, 0x40001u, 0x7FFFFu})
      result.push_back(std::bit_cast<float>((upper << 19) | ending));
  while (result.size() % 16)
    result.push_back(0);
  return result;
}

class NarrowFloatsTest : public TargetTest,
                         public testing::WithParamInterface<int> {
protected:
  void SetUp() override {
    if (llvm::Error error = TargetModel::forHost().takeError())
      GTEST_SKIP() << llvm::toString(std::move(error));
    auto module = parse(conversionModule(format()));
    // The target's level, not the host's instructions: the expansion runs.
    auto compiled = JitModule::create(*module, {/*hostFeatures=*/false});
    ASSERT_TRUE(static_cast<bool>(compiled))
        << llvm::toString(compiled.takeError()) << diagnostics;
    jit = std::move(*compiled);
  }
  const Format &format() { return kFormats[GetParam()]; }
  template <typename Fn> Fn *get(const char *name) {
    return llvm::cantFail(jit->lookupAs<Fn>(name));
  }

  std::unique_ptr<JitModule> jit;
};

TEST_P(NarrowFloatsTest, everyCodeWidensExactly) {
  const Format &f = format();
  std::vector<uint32_t> codes(1 << f.width);
  for (uint32_t i = 0; i < codes.size(); ++i)
    codes[i] = i;
  std::vector<float> out(codes.size());
  get<void(uint32_t *, float *, int64_t)>("widen")(codes.data(), out.data(),
                                                   codes.size());
  auto *one = get<float(uint32_t)>("widen_one");
  for (uint32_t code : codes) {
    float expected = f.widen(code), scalar = one(code);
    if (std::isnan(expected)) {
      EXPECT_TRUE(std::isnan(out[code]) && std::isnan(scalar)) << code;
      continue;
    }
    EXPECT_EQ(std::bit_cast<uint32_t>(out[code]),
              std::bit_cast<uint32_t>(expected))
        << code;
    EXPECT_EQ(std::bit_cast<uint32_t>(scalar),
              std::bit_cast<uint32_t>(expected))
        << code;
    APFloat outside(f.semantics, llvm::APInt(f.width, code));
    EXPECT_EQ(outside.convertToFloat(), out[code]) << code;
  }
}

TEST_P(NarrowFloatsTest, floatsNarrowAsTheFormatsSay) {
  const Format &f = format();
  std::vector<float> in = interestingFloats();
  std::vector<uint32_t> out(in.size());
  get<void(float *, uint32_t *, int64_t)>("narrow")(in.data(), out.data(),
                                                    in.size());
  auto *one = get<uint32_t(float)>("narrow_one");
  size_t compared = 0;
  for (size_t i = 0; i < in.size(); ++i) {
    ASSERT_EQ(out[i], expectedCode(f, in[i]))
        << llvm::formatv("{0:x} as {1}", std::bit_cast<uint32_t>(in[i]), f.type)
               .str();
    if (std::optional<uint32_t> code = apfloatCode(f, in[i])) {
      ++compared;
      ASSERT_EQ(out[i], *code) << in[i];
    }
    if (i % 97 == 0) {
      ASSERT_EQ(one(in[i]), out[i]) << in[i];
    }
  }
  if (std::string(f.type) != "f8E8M0FNU") {
    EXPECT_GT(compared, in.size() / 3);
  }
}

INSTANTIATE_TEST_SUITE_P(Formats, NarrowFloatsTest, testing::Range(0, 5),
                         [](const testing::TestParamInfo<int> &info) {
                           return std::string(kFormats[info.param].type);
                         });

class NarrowPairsTest : public TargetTest {};

// From one narrow format to another, and to f16, without a step in f32 that
// anyone sees.
TEST_F(NarrowPairsTest, narrowFormatsConvertToEachOther) {
  auto module = parse(R"(
func.func @e4m3_to_bf16(%code: i8) -> i16 {
  %x = arith.bitcast %code : i8 to f8E4M3FN
  %y = arith.extf %x : f8E4M3FN to bf16
  %b = arith.bitcast %y : bf16 to i16
  return %b : i16
}
func.func @bf16_to_e2m1(%code: i16) -> i8 {
  %x = arith.bitcast %code : i16 to bf16
  %y = arith.truncf %x : bf16 to f4E2M1FN
  %b = arith.bitcast %y : f4E2M1FN to i4
  %w = arith.extui %b : i4 to i8
  return %w : i8
}
func.func @add_e4m3(%a: i8, %b: i8) -> i8 {
  %x = arith.bitcast %a : i8 to f8E4M3FN
  %y = arith.bitcast %b : i8 to f8E4M3FN
  %s = arith.addf %x, %y : f8E4M3FN
  %c = arith.bitcast %s : f8E4M3FN to i8
  return %c : i8
})");
  auto jit = JitModule::create(*module, {/*hostFeatures=*/false});
  ASSERT_TRUE(static_cast<bool>(jit))
      << llvm::toString(jit.takeError()) << diagnostics;
  auto *toBf16 =
      llvm::cantFail((*jit)->lookupAs<uint16_t(uint8_t)>("e4m3_to_bf16"));
  auto *toE2m1 =
      llvm::cantFail((*jit)->lookupAs<uint8_t(uint16_t)>("bf16_to_e2m1"));
  auto *add =
      llvm::cantFail((*jit)->lookupAs<uint8_t(uint8_t, uint8_t)>("add_e4m3"));
  for (uint32_t code = 0; code < 256; ++code) {
    if ((code & 0x7F) != 0x7F) {
      EXPECT_EQ(toBf16(code), floatToBf16(e4m3ToFloat(code))) << code;
    }
    for (uint32_t other = 0; other < 256; ++other)
      ASSERT_EQ(add(code, other),
                floatToE4m3(e4m3ToFloat(code) + e4m3ToFloat(other)))
          << code << " + " << other;
  }
  for (uint32_t code = 0; code < 65536; ++code)
    ASSERT_EQ(toE2m1(code), floatToE2m1(bf16ToFloat(code))) << code;
}
} // namespace
