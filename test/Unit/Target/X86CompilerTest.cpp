//===- X86CompilerTest.cpp - Objects, libraries, running -------*- C++ -*-===//
#include "TargetTestUtils.h"
#include "lib/Target/X86/JitModule.h"
#include "llvm/Object/ELFObjectFile.h"
#include "llvm/Support/Program.h"
#include "gmock/gmock.h"
#include <cmath>
#include <dlfcn.h>
#include <limits>
#include <vector>

#if defined(__clang__)
#if __has_feature(address_sanitizer)
#include <sanitizer/lsan_interface.h>
#define VARVE_HAS_LEAK_CHECKS
#endif
#endif

using namespace varve;
using testing::HasSubstr;

namespace {
class X86Test : public TargetTest {
protected:
  void SetUp() override {
    if (llvm::Error error = TargetModel::forHost().takeError())
      GTEST_SKIP() << llvm::toString(std::move(error));
  }

  std::unique_ptr<JitModule> compile(llvm::StringRef text) {
    auto module = parse(text);
    auto jit = JitModule::create(*module, {/*hostFeatures=*/false});
    if (jit)
      return std::move(*jit);
    ADD_FAILURE() << llvm::toString(jit.takeError()) << diagnostics;
    return nullptr;
  }

  std::string compileObject(llvm::StringRef text) {
    auto module = parse(text);
    auto object = compileForX86(*module, getTarget("x86-64"));
    EXPECT_TRUE(mlir::succeeded(object)) << diagnostics;
    return mlir::succeeded(object) ? *object : std::string();
  }
};

constexpr const char *kSum = R"(
func.func @sum(%in: !llvm.ptr, %n: i64) -> f32 {
  %c0 = arith.constant 0 : i64
  %c8 = arith.constant 8 : i64
  %zero = arith.constant dense<0.0> : vector<8xf32>
  %v = scf.for %i = %c0 to %n step %c8 iter_args(%acc = %zero)
      -> (vector<8xf32>) : i64 {
    %p = llvm.getelementptr %in[%i] : (!llvm.ptr, i64) -> !llvm.ptr, f32
    %x = llvm.load %p {alignment = 4 : i64} : !llvm.ptr -> vector<8xf32>
    %s = arith.addf %acc, %x : vector<8xf32>
    scf.yield %s : vector<8xf32>
  }
  %r = vector.reduction <add>, %v : vector<8xf32> into f32
  return %r : f32
})";

TEST_F(X86Test, runsInProcess) {
  auto jit = compile(kSum);
  ASSERT_TRUE(jit);
  auto *sum = llvm::cantFail(jit->lookupAs<float(float *, int64_t)>("sum"));
  std::vector<float> numbers(64);
  for (int i = 0; i < 64; ++i)
    numbers[i] = static_cast<float>(i);
  EXPECT_EQ(sum(numbers.data(), 64), 2016.0f);
  llvm::Expected<void *> missing = jit->lookup("no_such_function");
  ASSERT_FALSE(missing);
  EXPECT_THAT(llvm::toString(missing.takeError()),
              HasSubstr("no_such_function"));
}

TEST_F(X86Test, objectsAreReproducible) {
  std::string first = compileObject(kSum);
  EXPECT_EQ(first.substr(1, 3), "ELF");
  EXPECT_EQ(first, compileObject(kSum));
}

TEST_F(X86Test, objectsAreCached) {
  TemporaryDirectory directory = llvm::cantFail(TemporaryDirectory::create());
  KernelCacheOptions options;
  options.directory = directory.file("cache");
  KernelCache cache(options,
                    [](llvm::StringRef w) { ADD_FAILURE() << w.str(); });
  auto module = parse(kSum);
  std::vector<std::string> objects;
  for (bool host : {false, true, false})
    for (llvm::StringRef target : {"x86-64", "x86-64-v4"}) {
      auto object = compileForX86(*module, getTarget(target), {host, &cache});
      ASSERT_TRUE(mlir::succeeded(object)) << diagnostics;
      objects.push_back(*object);
    }
  // The last two are the first two again.
  EXPECT_EQ(cache.getHits(), 2u);
  EXPECT_EQ(objects[0], objects[4]);
  EXPECT_EQ(objects[1], objects[5]);
}

TEST_F(X86Test, levelsDifferInVectorWidth) {
  auto module = parse(R"(
func.func @twice(%p: !llvm.ptr) {
  %x = llvm.load %p : !llvm.ptr -> vector<16xf32>
  %y = arith.addf %x, %x : vector<16xf32>
  llvm.store %y, %p : vector<16xf32>, !llvm.ptr
  return
})");
  auto level3 = compileForX86(*module, getTarget("x86-64"));
  auto level4 = compileForX86(*module, getTarget("x86-64-v4"));
  ASSERT_TRUE(mlir::succeeded(level3) && mlir::succeeded(level4));
  EXPECT_NE(*level3, *level4);
}

TEST_F(X86Test, linksObjectsToOneLibrary) {
  if (!llvm::sys::findProgramByName("ld.lld") &&
      !llvm::sys::findProgramByName("ld"))
    GTEST_SKIP() << "no linker on this machine";
  std::string caller = compileObject(R"(
func.func private @callee(i32) -> i32
func.func @caller(%x: i32) -> i32 {
  %y = func.call @callee(%x) : (i32) -> i32
  return %y : i32
})");
  std::string callee = compileObject(R"(
func.func @callee(%x: i32) -> i32 {
  %c = arith.constant 3 : i32
  %y = arith.muli %x, %c : i32
  return %y : i32
})");
  auto library = linkSharedObject({caller, callee});
  ASSERT_TRUE(static_cast<bool>(library))
      << llvm::toString(library.takeError());
  // The order of symbol tables and the bytes do not depend on temporary names.
  EXPECT_EQ(*library, llvm::cantFail(linkSharedObject({caller, callee})));

  TemporaryDirectory directory = llvm::cantFail(TemporaryDirectory::create());
  std::string path = directory.file("kernels.so");
  llvm::cantFail(writeWholeFile(path, *library));
  void *handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  ASSERT_TRUE(handle) << dlerror();
  auto *fn = reinterpret_cast<int (*)(int)>(dlsym(handle, "caller"));
  ASSERT_TRUE(fn);
  EXPECT_EQ(fn(14), 42);
  dlclose(handle);
}

TEST_F(X86Test, refusesObjectsThatNeedALibrary) {
  std::string object = compileObject(R"(
llvm.func @expf(f32) -> f32
llvm.func @f(%x: f32) -> f32 {
  %y = llvm.call @expf(%x) : (f32) -> f32
  llvm.return %y : f32
})");
  auto library = linkSharedObject({object});
  ASSERT_FALSE(library);
  EXPECT_THAT(llvm::toString(library.takeError()),
              HasSubstr("need symbol 'expf'"));
  auto twice = linkSharedObject({compileObject(kSum), compileObject(kSum)});
  ASSERT_FALSE(twice);
  EXPECT_THAT(llvm::toString(twice.takeError()),
              HasSubstr("symbol 'sum' is defined by two objects"));
  auto garbage = linkSharedObject({"not an object"});
  ASSERT_FALSE(garbage);
  llvm::consumeError(garbage.takeError());
}

TEST_F(X86Test, opsWithoutLoweringAreNamed) {
#ifdef VARVE_HAS_LEAK_CHECKS
  // LLVM gives up here, and does not clear up what it was working on.
  __lsan::ScopedDisabler leaks;
#endif
  auto module = parse(R"(
func.func @f() -> i32 {
  %x = nvvm.read.ptx.sreg.tid.x : i32
  return %x : i32
})");
  EXPECT_TRUE(mlir::failed(compileForX86(*module, getTarget("x86-64"))));
  EXPECT_THAT(diagnostics, HasSubstr("nvvm.read.ptx.sreg.tid.x"));
  diagnostics.clear();
  auto wrong = parse("func.func @g() { return }");
  EXPECT_TRUE(mlir::failed(compileForX86(*wrong, getTarget("sm_80"))));
  EXPECT_EQ(diagnostics, "error: target sm_80 is not an x86 processor\n");
}

//===----------------------------------------------------------------------===//
// Math functions
//===----------------------------------------------------------------------===//

/// Units in the last place between `got` and the double `want`.
double ulps(float got, double want) {
  if (std::isnan(want))
    return std::isnan(got) ? 0 : 1e9;
  float rounded = static_cast<float>(want);
  if (std::isinf(rounded) || std::isinf(got))
    return rounded == got ? 0 : 1e9;
  float next = std::nextafter(std::fabs(rounded),
                              std::numeric_limits<float>::infinity());
  double unit = static_cast<double>(next) - std::fabs(rounded);
  return std::fabs(static_cast<double>(got) - want) / unit;
}

std::string unary(llvm::StringRef op, llvm::StringRef flags = "") {
  return ("func.func @f(%x: f32) -> f32 {\n  %y = math." + op + " %x " + flags +
          " : f32\n  return %y : f32\n}")
      .str();
}

class MathTest : public X86Test {
protected:
  /// The largest error of `op` over `points`, in units in the last place.
  double worst(llvm::StringRef op, double (*reference)(double),
               const std::vector<float> &points) {
    auto jit = compile(unary(op));
    if (!jit)
      return 1e9;
    auto *fn = llvm::cantFail(jit->lookupAs<float(float)>("f"));
    double result = 0;
    for (float x : points)
      result = std::max(result, ulps(fn(x), reference(x)));
    return result;
  }

  static std::vector<float> range(float from, float to, int n = 200001) {
    std::vector<float> points(n);
    for (int i = 0; i < n; ++i)
      points[i] = from + (to - from) * static_cast<float>(i) / (n - 1);
    return points;
  }
  static constexpr float inf = std::numeric_limits<float>::infinity();
};

TEST_F(MathTest, exponentialsStayWithinFourUnits) {
  EXPECT_LE(worst("exp", std::exp, range(-104, 90)), 4);
  EXPECT_LE(worst("exp2", std::exp2, range(-150, 130)), 4);
  EXPECT_LE(worst("exp", std::exp,
                  {0.0f, -0.0f, inf, -inf, NAN, 88.72f, 88.73f, -103.9f,
                   -104.1f, 1e-30f, 3e38f, -3e38f}),
            4);
}

TEST_F(MathTest, powersOfTwoAreExact) {
  auto jit = compile(unary("exp2"));
  ASSERT_TRUE(jit);
  auto *fn = llvm::cantFail(jit->lookupAs<float(float)>("f"));
  for (int n = -149; n <= 127; ++n)
    EXPECT_EQ(fn(static_cast<float>(n)), std::ldexp(1.0f, n)) << n;
  EXPECT_EQ(fn(128), inf);
  EXPECT_EQ(fn(-inf), 0);
  EXPECT_TRUE(std::isnan(fn(NAN)));
}

TEST_F(MathTest, anglesOfAMillionTokensKeepTheirPeriod) {
  for (auto [op, reference] :
       {std::pair("sin", static_cast<double (*)(double)>(std::sin)),
        std::pair("cos", static_cast<double (*)(double)>(std::cos))}) {
    auto jit = compile(unary(op));
    ASSERT_TRUE(jit);
    auto *fn = llvm::cantFail(jit->lookupAs<float(float)>("f"));
    for (float limit : {1.0f, 100.0f, 1048576.0f, 4194304.0f})
      for (float x : range(-limit, limit))
        ASSERT_NEAR(fn(x), reference(x), 2e-7) << op << " of " << x;
    EXPECT_TRUE(std::isnan(fn(4194305.0f)));
    EXPECT_TRUE(std::isnan(fn(inf)));
    EXPECT_TRUE(std::isnan(fn(NAN)));
  }
}

TEST_F(MathTest, otherFunctionsAreAccurate) {
  EXPECT_LE(worst("log", std::log, range(1e-3f, 1e3f)), 4);
  EXPECT_LE(worst("log2", std::log2, range(1e-3f, 1e3f)), 4);
  EXPECT_LE(worst("log10", std::log10, range(1e-3f, 1e3f)), 4);
  // Near 1, subnormal, and outside the domain.
  std::vector<float> points = range(0.9f, 1.1f);
  points.insert(points.end(), {1e-45f, 1e-40f, 1.17e-38f, 3.4e38f, 0.0f, -0.0f,
                               inf, -inf, NAN, -1.0f, -1e-45f, 0.70710678f});
  EXPECT_LE(worst("log", std::log, points), 4);
  EXPECT_LE(worst("log2", std::log2, points), 4);
  EXPECT_LE(worst("tanh", std::tanh, range(-9, 9)), 8);
  // A gate's softplus ends in log1p of something tiny.
  EXPECT_LE(worst("log1p", std::log1p, range(0, 1)), 8);
  EXPECT_LE(worst("log1p", std::log1p, {1e-10f, 1e-20f, 3e-39f}), 8);
}

TEST_F(MathTest, narrowTypesAndVectorsAreComputedInSingle) {
  auto jit = compile(R"(
func.func @f(%x: vector<4xf32>) -> vector<4xf32> {
  %b = arith.truncf %x : vector<4xf32> to vector<4xbf16>
  %e = math.exp %b : vector<4xbf16>
  %y = arith.extf %e : vector<4xbf16> to vector<4xf32>
  return %y : vector<4xf32>
}
func.func @g(%p: !llvm.ptr) {
  %x = llvm.load %p : !llvm.ptr -> vector<4xf32>
  %y = func.call @f(%x) : (vector<4xf32>) -> vector<4xf32>
  llvm.store %y, %p : vector<4xf32>, !llvm.ptr
  return
})");
  ASSERT_TRUE(jit);
  alignas(16) float lanes[4] = {0, 1, -2, 3.5f};
  llvm::cantFail(jit->lookupAs<void(float *)>("g"))(lanes);
  EXPECT_EQ(lanes[0], 1.0f);
  EXPECT_EQ(lanes[1], 2.71875f);      // e = 2.71828, steps of 2^-6
  EXPECT_EQ(lanes[2], 0.1357421875f); // e^-2 = 0.135335, steps of 2^-10
  EXPECT_EQ(lanes[3], 33.0f);         // e^3.5 = 33.115, steps of 2^-2
}
} // namespace
