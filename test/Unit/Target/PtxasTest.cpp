//===- PtxasTest.cpp - Reading the assembler's output ----------*- C++ -*-===//
//
// The logs are what ptxas 12 and 13 print, with the numbers changed.
//
//===----------------------------------------------------------------------===//
#include "lib/Target/NVPTX/Ptxas.h"
#include "llvm/Support/FileSystem.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include <chrono>
#include <cstdlib>

using namespace varve;
using testing::HasSubstr;

namespace {
constexpr const char *kLog = R"(ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function 'first' for 'sm_90a'
ptxas info    : Function properties for first
    16 bytes stack frame, 212 bytes spill stores, 340 bytes spill loads
ptxas info    : Used 168 registers, used 16 barriers, 16 bytes cumulative stack size, 229440 bytes smem, 912 bytes cmem[0], 8 bytes cmem[2]
ptxas info    : Compile time = 131.250 ms
ptxas info    : Compiling entry function 'second' for 'sm_90a'
ptxas info    : Function properties for second
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 32 registers, used 0 barriers, 352 bytes cmem[0]
ptxas info    : (C7510) Potential Performance Loss: wgmma.mma_async instructions are serialized due to insufficient register resources for the wgmma pipeline in the function 'first'
ptxas info    : (C7508) Potential Performance Loss: 'setmaxnreg' ignored; unable to determine register count at entry.
)";

TEST(PtxasLogTest, kernelsKeepTheirNumbers) {
  PtxasLog log = parsePtxasLog(kLog);
  ASSERT_EQ(log.kernels.size(), 2u);
  const KernelReport &first = log.kernels[0];
  EXPECT_EQ(first.name, "first");
  EXPECT_EQ(first.registers, 168u);
  EXPECT_EQ(first.barriers, 16u);
  EXPECT_EQ(first.stackBytes, 16u);
  EXPECT_EQ(first.spillStoreBytes, 212u);
  EXPECT_EQ(first.spillLoadBytes, 340u);
  EXPECT_EQ(first.sharedBytes, 229440u);
  EXPECT_EQ(first.constantBytes, 912u);
  EXPECT_EQ(log.kernels[1].registers, 32u);
  EXPECT_EQ(log.kernels[1].sharedBytes, 0u);
}

TEST(PtxasLogTest, performanceWarningsAreProblemsWithRemedies) {
  PtxasLog log = parsePtxasLog(kLog);
  ASSERT_EQ(log.warnings.size(), 2u);
  EXPECT_EQ(log.warnings[0].code, "C7510");
  EXPECT_EQ(log.warnings[0].kernel, "first");
  EXPECT_EQ(log.warnings[1].kernel, "");
  auto none = [](llvm::StringRef) -> uint64_t { return 0; };
  auto problems = findPerformanceProblems(log, none);
  ASSERT_EQ(problems.size(), 3u);
  EXPECT_THAT(problems[0].message, HasSubstr("ptxas C7510: Potential"));
  EXPECT_THAT(problems[0].remedy, HasSubstr("lower the tile size"));
  EXPECT_THAT(problems[1].remedy, HasSubstr("nvvm.maxntid"));
  EXPECT_EQ(problems[2].kernel, "first");
  EXPECT_THAT(problems[2].message,
              HasSubstr("212 bytes stored, 340 bytes loaded per thread with "
                        "168 registers"));
}

TEST(PtxasLogTest, spillsUpToTheAllowanceAreNoProblem) {
  PtxasLog log = parsePtxasLog(kLog);
  log.warnings.clear();
  auto allow = [](uint64_t bytes) {
    return [bytes](llvm::StringRef kernel) -> uint64_t {
      return kernel == "first" ? bytes : 0;
    };
  };
  EXPECT_EQ(findPerformanceProblems(log, allow(551)).size(), 1u);
  EXPECT_EQ(findPerformanceProblems(log, allow(552)).size(), 0u);
}

TEST(PtxasLogTest, strangeOutputIsSkipped) {
  EXPECT_TRUE(parsePtxasLog("").kernels.empty());
  PtxasLog log = parsePtxasLog("Used 99999999999999999999 registers\n"
                               "bytes stack frame\n\xff\xfe\n"
                               "Compiling entry function '' for\n"
                               "Compiling entry function 'k' for 'sm_80'\n"
                               "Used 99999999999999999999 registers\n"
                               " bytes stack frame, x bytes spill stores");
  ASSERT_EQ(log.kernels.size(), 1u);
  EXPECT_EQ(log.kernels[0].registers, 0u);
  EXPECT_EQ(log.kernels[0].spillStoreBytes, 0u);
}

/// Sets an environment variable for the length of a test.
struct ScopedEnvironment {
  ScopedEnvironment(const char *name, const char *value) : name(name) {
    if (const char *old = std::getenv(name))
      previous = old;
    setenv(name, value, 1);
  }
  ~ScopedEnvironment() {
    if (previous)
      setenv(name, previous->c_str(), 1);
    else
      unsetenv(name);
  }
  const char *name;
  std::optional<std::string> previous;
};

TEST(PtxasToolTest, absenceListsThePlaces) {
  if (llvm::sys::fs::exists("/usr/local/cuda/bin/ptxas"))
    GTEST_SKIP() << "/usr/local/cuda has one, which is always tried";
  ScopedEnvironment path("PATH", "/nonexistent");
  ScopedEnvironment home("CUDA_HOME", "/nowhere");
  auto tool = PtxasTool::find();
  ASSERT_FALSE(static_cast<bool>(tool));
  EXPECT_THAT(llvm::toString(tool.takeError()),
              HasSubstr("no ptxas found in PATH, CUDA_HOME (/nowhere), "
                        "CUDA_PATH and /usr/local/cuda"));
}

TEST(PtxasToolTest, wrongProgramsAreRefused) {
  {
    ScopedEnvironment variable("VARVE_PTXAS", "/nonexistent/ptxas");
    auto tool = PtxasTool::find();
    ASSERT_FALSE(static_cast<bool>(tool));
    EXPECT_EQ(llvm::toString(tool.takeError()),
              "VARVE_PTXAS is '/nonexistent/ptxas', which is not an executable "
              "file");
  }
  ScopedEnvironment variable("VARVE_PTXAS", "/bin/true");
  auto tool = PtxasTool::find();
  ASSERT_FALSE(static_cast<bool>(tool));
  EXPECT_THAT(llvm::toString(tool.takeError()),
              HasSubstr("/bin/true is no ptxas"));
}

TEST(ExternalToolTest, outputAndExitCodeComeBack) {
  auto result = runTool("/bin/sh", {"-c", "echo out; echo err >&2; exit 3"},
                        {/*seconds=*/10});
  ASSERT_TRUE(static_cast<bool>(result)) << llvm::toString(result.takeError());
  EXPECT_EQ(result->exitCode, 3);
  EXPECT_EQ(result->standardOutput, "out\n");
  EXPECT_EQ(result->standardError, "err\n");
}

TEST(ExternalToolTest, timeLimitStopsTheProgram) {
  auto start = std::chrono::steady_clock::now();
  auto result = runTool("/bin/sh", {"-c", "exec sleep 60"}, {/*seconds=*/1});
  auto taken = std::chrono::steady_clock::now() - start;
  ASSERT_FALSE(static_cast<bool>(result));
  EXPECT_THAT(llvm::toString(result.takeError()),
              HasSubstr("/bin/sh took more than 1 s and was stopped; the "
                        "command was: /bin/sh -c \"exec sleep 60\""));
  EXPECT_LT(taken, std::chrono::seconds(20));
}

TEST(ExternalToolTest, missingAndKilledProgramsAreErrors) {
  auto missing = runTool("/nonexistent/tool", {}, {});
  ASSERT_FALSE(static_cast<bool>(missing));
  EXPECT_THAT(llvm::toString(missing.takeError()),
              HasSubstr("/nonexistent/tool"));
  auto killed = runTool("/bin/sh", {"-c", "kill -9 $$"}, {/*seconds=*/10});
  ASSERT_FALSE(static_cast<bool>(killed));
  EXPECT_THAT(llvm::toString(killed.takeError()), HasSubstr("was killed"));
}

TEST(ExternalToolTest, temporaryDirectoriesVanish) {
  std::string path;
  {
    TemporaryDirectory directory = llvm::cantFail(TemporaryDirectory::create());
    path = directory.file("x");
    llvm::cantFail(writeWholeFile(path, "content"));
    EXPECT_EQ(llvm::cantFail(readWholeFile(path)), "content");
  }
  EXPECT_FALSE(llvm::sys::fs::exists(path));
}
} // namespace
