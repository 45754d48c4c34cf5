//===- QuantiserTest.cpp - Codes, bit for bit -----------------------------===//
//
// Quantisers, dequantisers, pool rows and the Hadamard transform as kernels and
// in the interpreter, against exact arithmetic: all codes, all bf16 numbers,
// and a million random groups of each size that the models use. Engines that
// are simulated, and cases for a GPU, see a sample;
// test/Gpu/check_quantisers.py runs all of it on a GPU.
//
//===----------------------------------------------------------------------===//

#include "ExactCodes.h"
#include "Executors.h"
#include "test/Unit/Engine/KernelHarness.h"
#include "gtest/gtest.h"

#include <cmath>
#include <cstring>

using namespace varve;
using namespace varve::test;

namespace {

//===----------------------------------------------------------------------===//
// varve.quantize
//===----------------------------------------------------------------------===//

struct Quantiser {
  const char *name;
  const ExactFormat &format;
  const char *type;
  int64_t block;
};

class QuantiserTest : public testing::TestWithParam<Quantiser> {
protected:
  static constexpr int64_t kGroups = 8; ///< of a row

  int64_t getBlock() const { return GetParam().block; }
  int64_t getRowSize() const { return kGroups * getBlock(); }

  Executors makeExecutors(const std::string &input) {
    return Executors(substitute(
        R"mlir(
func.func @f(%x: tensor<?x$D$x$X$>)
    -> (tensor<?x$D$x$C$>, tensor<?x$G$xf8E8M0FNU>) {
  %c, %s = varve.quantize %x block $B$
      : tensor<?x$D$x$X$> -> tensor<?x$D$x$C$>, tensor<?x$G$xf8E8M0FNU>
  return %c, %s : tensor<?x$D$x$C$>, tensor<?x$G$xf8E8M0FNU>
})mlir",
        {{"D", std::to_string(getRowSize())},
         {"G", std::to_string(kGroups)},
         {"B", std::to_string(getBlock())},
         {"C", GetParam().type},
         {"X", input}}));
  }

  /// What the elements' codes and the groups' scales must be.
  std::pair<Bytes, Bytes> getExpected(const std::vector<float> &x) {
    const ExactFormat &format = GetParam().format;
    int64_t block = getBlock();
    Bytes codes(x.size() * (format.getBits() == 4 ? 1 : 2) / 2, 0), scales;
    for (size_t begin = 0; begin < x.size(); begin += block) {
      std::span<const float> group(&x[begin], block);
      uint8_t scale = format.scaleOf(group);
      scales.push_back(scale);
      for (int64_t i = 0; scale != 255 && i < block; ++i) {
        uint8_t code = format.codeOf(group[i], scale);
        if (format.getBits() == 4)
          codes[(begin + i) / 2] |= code << (begin + i) % 2 * 4;
        else
          codes[begin + i] = code;
      }
    }
    return {codes, scales};
  }

  /// Codes of groups that are no numbers are of no interest.
  void clearNaNs(Bytes &codes, const Bytes &scales) {
    size_t bytes = getBlock() * GetParam().format.getBits() / 8;
    for (size_t group = 0; group < scales.size(); ++group)
      if (scales[group] == 255)
        std::fill_n(codes.begin() + group * bytes, bytes, uint8_t(0));
  }

  void check(Executors &executors, const Bytes &input,
             const std::vector<float> &x, const std::string &what) {
    auto [codes, scales] = getExpected(x);
    Executors::Results results =
        executors.run(static_cast<int64_t>(x.size()) / getRowSize(), {input});
    for (auto *actual : {&results.interpreted, &results.executed}) {
      std::string who = actual == &results.executed ? "kernel" : "interpreter";
      ASSERT_EQ(actual->size(), 2u);
      clearNaNs((*actual)[0], scales);
      expectBytes((*actual)[1], scales, what + ", scales, " + who);
      expectBytes((*actual)[0], codes, what + ", codes, " + who);
    }
  }

  void check(Executors &executors, const std::vector<uint16_t> &bf16,
             const std::string &what) {
    std::vector<float> x(bf16.size());
    for (size_t i = 0; i < x.size(); ++i)
      x[i] = widen(bf16[i]);
    check(executors, bytesOf(bf16), x, what);
  }
};

INSTANTIATE_TEST_SUITE_P(
    Sizes, QuantiserTest,
    testing::Values(Quantiser{"Fp8By128", ExactFormat::e4m3(), "f8E4M3FN", 128},
                    Quantiser{"Fp8By64", ExactFormat::e4m3(), "f8E4M3FN", 64},
                    Quantiser{"Fp8By32", ExactFormat::e4m3(), "f8E4M3FN", 32},
                    Quantiser{"Fp4By32", ExactFormat::e2m1(), "f4E2M1FN", 32},
                    Quantiser{"Fp4By16", ExactFormat::e2m1(), "f4E2M1FN", 16}),
    [](const auto &info) { return info.param.name; });

/// A group's largest number makes the scale of its own elements and no others.
TEST_P(QuantiserTest, UnitVectorsOfEveryGroup) {
  Executors executors = makeExecutors("bf16");
  int64_t size = getRowSize();
  // One large number a row, at each place, among numbers that survive in other
  // groups only.
  bool isFp4 = GetParam().format.getBits() == 4;
  uint16_t small = isFp4 ? 0x3E00 : 0x3980; // 2^-3, 2^-12
  uint16_t large = isFp4 ? 0xC0C0 : 0x43E0; // -6, 448
  std::vector<uint16_t> x(size * size, small);
  for (int64_t i = 0; i < size; ++i)
    x[i * size + i] = large;
  check(executors, x, "unit vectors");
}

/// Every bf16 number, NaNs and infinities among them, as a group's largest.
TEST_P(QuantiserTest, EveryNumberAsTheLargest) {
  Executors executors = makeExecutors("bf16");
  int64_t step = isSample() ? 37 : 1, block = getBlock();
  std::vector<uint16_t> x;
  for (int64_t number = 0; number < 65536; number += step) {
    size_t begin = x.size();
    x.resize(begin + block);
    x[begin + number % block] = static_cast<uint16_t>(number);
  }
  x.resize((x.size() + getRowSize() - 1) / getRowSize() * getRowSize());
  check(executors, x, "largest");
}

/// Every bf16 number below a group's largest, whose scale is 2^-20 ... 2^20.
TEST_P(QuantiserTest, EveryNumberBesideTheLargest) {
  Executors executors = makeExecutors("bf16");
  int64_t block = getBlock();
  for (int power : {-20, -1, 0, 20}) {
    double largest = std::ldexp(GetParam().format.getLargest(), power);
    std::vector<uint16_t> x;
    for (int64_t number = 0; number < 65536; number += isSample() ? 41 : 1) {
      float value = widen(static_cast<uint16_t>(number));
      if (!(std::fabs(value) <= largest))
        continue;
      if (x.size() % block == 0)
        x.push_back(toBf16Bits(largest));
      x.push_back(static_cast<uint16_t>(number));
    }
    x.resize((x.size() + getRowSize() - 1) / getRowSize() * getRowSize());
    check(executors, x, "beside the largest times 2^" + std::to_string(power));
  }
}

/// A million groups of all magnitudes, each of numbers over 16 powers of two,
/// with zeros and subnormal numbers among them.
TEST_P(QuantiserTest, AMillionRandomGroups) {
  Executors executors = makeExecutors("bf16");
  int64_t groups = isSample() ? 1 << 9 : 1 << 20,
          perRun = isSample() ? 1 << 9 : 1 << 16;
  Random random(GetParam().block * 977 + GetParam().format.getBits());
  std::vector<uint16_t> x(perRun * getBlock());
  for (int64_t done = 0; done < groups; done += perRun) {
    for (int64_t group = 0; group < perRun; ++group) {
      int exponent = static_cast<int>(random.next() % 255);
      for (int64_t i = 0; i < getBlock(); ++i) {
        uint64_t bits = random.next();
        int own = std::max(exponent - static_cast<int>(bits >> 8 & 15), 0);
        bool isZero = (bits >> 16 & 31) == 0;
        x[group * getBlock() + i] = static_cast<uint16_t>(
            (bits & 1) << 15 | (isZero ? 0 : own << 7 | (bits >> 24 & 127)));
      }
    }
    check(executors, x, "random groups from " + std::to_string(done));
    if (HasFailure())
      return;
  }
}

/// f32 numbers on both sides of every boundary between two codes.
TEST_P(QuantiserTest, TiesAndTheirNeighbours) {
  Executors executors = makeExecutors("f32");
  const ExactFormat &format = GetParam().format;
  int numCodes = format.getBits() == 4 ? 8 : 127;
  std::vector<float> x;
  auto add = [&](float value, float largest) {
    if (x.size() % getBlock() == 0)
      x.push_back(largest);
    x.push_back(value);
  };
  for (int power : {-24, 0, 9}) {
    auto largest = static_cast<float>(std::ldexp(format.getLargest(), power));
    while (x.size() % getBlock() != 0)
      x.push_back(0.0f);
    for (int code = 0; code + 1 < numCodes; ++code) {
      double tie = (format.valueOf(code) + format.valueOf(code + 1)) / 2;
      auto value = static_cast<float>(std::ldexp(tie, power));
      for (float sign : {1.0f, -1.0f}) {
        add(sign * value, largest);
        add(sign * std::nextafter(value, 0.0f), largest);
        add(sign * std::nextafter(value, INFINITY), largest);
      }
    }
  }
  x.resize((x.size() + getRowSize() - 1) / getRowSize() * getRowSize());
  check(executors, bytesOf(x), x, "ties");
}

/// Around the numbers at which a scale changes, and around its floor.
TEST_P(QuantiserTest, ScalesOfNeighbouringNumbers) {
  Executors executors = makeExecutors("f32");
  double largest = GetParam().format.getLargest();
  std::vector<float> x;
  auto add = [&](double number) {
    auto value = static_cast<float>(number);
    for (float near : {value, std::nextafter(value, 0.0f),
                       std::nextafter(value, INFINITY)}) {
      x.push_back(near);
      x.resize(x.size() + getBlock() - 1);
    }
  };
  for (int power = -30; power < 100; ++power)
    add(std::ldexp(largest, power));
  for (double number : {0.0, 1e-4, 6 * 0x1p-126, 0x1p-126, 0x1p-149, 3.4e38})
    add(number);
  x.resize((x.size() + getRowSize() - 1) / getRowSize() * getRowSize());
  check(executors, bytesOf(x), x, "neighbouring scales");
}

//===----------------------------------------------------------------------===//
// varve.dequantize
//===----------------------------------------------------------------------===//

/// All codes times all scales.
void checkProducts(const ExactFormat &format, const std::string &type,
                   const std::string &result) {
  SCOPED_TRACE(type + " to " + result);
  Executors executors(substitute(
      R"mlir(
func.func @f(%c: tensor<?x256x$C$>, %s: tensor<?x2xf8E8M0FNU>)
    -> tensor<?x256x$R$> {
  %y = varve.dequantize %c scaled %s block 128
      : (tensor<?x256x$C$>, tensor<?x2xf8E8M0FNU>) -> tensor<?x256x$R$>
  return %y : tensor<?x256x$R$>
})mlir",
      {{"C", type}, {"R", result}}));
  Bytes codes, scales;
  std::vector<uint32_t> f32;
  std::vector<uint16_t> bf16;
  for (int scale = 0; scale < 256; ++scale) {
    scales.insert(scales.end(), 2, static_cast<uint8_t>(scale));
    for (int i = 0; i < 256; ++i) {
      uint8_t code = i % (1 << format.getBits());
      if (format.getBits() == 8)
        codes.push_back(code);
      else if (i % 2 == 0)
        codes.push_back(code | (code + 1) << 4);
      double exact =
          format.valueOf(code) * scaleValue(static_cast<uint8_t>(scale));
      f32.push_back(toF32Bits(exact));
      bf16.push_back(toBf16Bits(exact));
    }
  }
  bool isF32 = result == "f32";
  Executors::Results results = executors.run(256, {codes, scales});
  for (auto *actual : {&results.interpreted, &results.executed}) {
    ASSERT_EQ(actual->size(), 1u);
    Bytes &bytes = actual->front();
    // All NaNs are alike.
    for (size_t i = 0; i < f32.size(); ++i) {
      float value = 0;
      std::memcpy(reinterpret_cast<char *>(&value) + (isF32 ? 0 : 2),
                  &bytes[i * (isF32 ? 4 : 2)], isF32 ? 4 : 2);
      if (!std::isnan(value))
        continue;
      uint32_t nan = isF32 ? 0x7FC00000u : 0x7FC0u;
      std::memcpy(&bytes[i * (isF32 ? 4 : 2)], &nan, isF32 ? 4 : 2);
    }
    expectBytes(bytes, isF32 ? bytesOf(f32) : bytesOf(bf16),
                actual == &results.executed ? "kernel" : "interpreter");
  }
}

TEST(DequantiserTest, AllCodesTimesAllScales) {
  for (std::string result : {"f32", "bf16"}) {
    checkProducts(ExactFormat::e4m3(), "f8E4M3FN", result);
    checkProducts(ExactFormat::e2m1(), "f4E2M1FN", result);
  }
}

} // namespace
