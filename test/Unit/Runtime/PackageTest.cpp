//===- PackageTest.cpp - What damaged packages are answered with ----------===//

#include "runtime/Package/Package.h"
#include "runtime/Device/Device.h"
#include "runtime/Error.h"
#include "runtime/Session/Model.h"
#include "test/Unit/Runtime/PackageBuilder.h"
#include <functional>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

using namespace varve::runtime;
using namespace varve::runtime::testing;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

namespace fb = varve::package;

namespace {

auto opens(std::vector<uint8_t> bytes) {
  return [bytes = std::move(bytes)] {
    Package::ofBytes("p.varve", bytes)->loadPlan("x86-64");
  };
}

/// Loading the plan of the toy after a change.
auto loads(const std::function<void(fb::PlanT &)> &change) {
  PackageBuilder builder;
  change(builder.plan);
  return [package = builder.open()] { package->loadPlan("x86-64"); };
}

TEST(Package, OpensAndDecodes) {
  PackageBuilder builder;
  std::shared_ptr<const Package> package = builder.open();
  EXPECT_EQ(package->getTargets(), std::vector<std::string>{"x86-64"});
  Plan plan = package->loadPlan("x86-64");
  EXPECT_EQ(plan.model.name, "toy");
  EXPECT_EQ(plan.weights.size(), 1u);
  EXPECT_EQ(plan.pools[1].rowsEach, kPage / kRatio);
  EXPECT_EQ(plan.pools[0].bytes.str(), "20 slots + 4 max_tokens");
  EXPECT_EQ(plan.programs[0].ports.back().type.str(), "rows x 7 x f32");
  EXPECT_EQ(package->getFiles(plan)[0].size(),
            builder.members.begin()->second.size());
}

TEST(Package, NoTruncationIsAccepted) {
  std::vector<uint8_t> whole = PackageBuilder().write();
  for (size_t size = 0; size < whole.size();
       size += size < 256 || size + 256 > whole.size() ? 1 : 97) {
    std::vector<uint8_t> cut(whole.begin(), whole.begin() + size);
    EXPECT_THROW(Package::ofBytes("p.varve", cut), Error) << size;
  }
  EXPECT_THAT(opens({whole.begin(), whole.end() - 1}),
              ThrowsMessage<Error>(HasSubstr("the package is damaged")));
}

TEST(Package, NoFlippedBitIsAccepted) {
  std::vector<uint8_t> bytes = PackageBuilder().write();
  for (size_t i = 0; i < bytes.size(); i += i < 512 ? 1 : 53) {
    bytes[i] ^= 1 << (i % 8);
    EXPECT_THROW(Package::ofBytes("p.varve", bytes), Error) << i;
    bytes[i] ^= 1 << (i % 8);
  }
  bytes[bytes.size() / 2] ^= 4;
  EXPECT_THAT(opens(bytes),
              ThrowsMessage<Error>(HasSubstr(
                  "'p.varve': the package is damaged: expected the digest")));
}

TEST(Package, WhatIsBehindTheDigestIsCheckedToo) {
  // Whoever makes the digest right may still not crash the reader.
  std::vector<uint8_t> bytes = PackageBuilder().write();
  for (size_t i = 0; i + 100 < bytes.size(); i += i < 512 ? 1 : 31) {
    for (uint8_t change : {0x01, 0x80, 0xFF}) {
      bytes[i] ^= change;
      try {
        auto package = Package::ofBytes("p.varve", bytes, DigestCheck::Skip);
        package->loadPlan(package->getTargets().front());
      } catch (const Error &) {
      }
      bytes[i] ^= change;
    }
  }
}

TEST(Package, AnotherVersionIsNamed) {
  EXPECT_THAT(
      opens(writeZip({{"x86-64/plan", ""}}, "varve package 2 xxh3-128 ")),
      ThrowsMessage<Error>(HasSubstr(
          "'p.varve': the package has format version 2, but this runtime reads "
          "version 1; compile the model")));
  EXPECT_THAT(loads([](fb::PlanT &plan) { plan.version = 7; }),
              ThrowsMessage<Error>(HasSubstr(
                  "target 'x86-64': the plan has version 7, but this runtime "
                  "reads version 1")));
}

TEST(Package, OtherFilesAreRefused) {
  EXPECT_THAT(opens({}), ThrowsMessage<Error>(HasSubstr("0 bytes")));
  EXPECT_THAT(opens(std::vector<uint8_t>(1000, 'x')),
              ThrowsMessage<Error>(HasSubstr("expected a package")));
  EXPECT_THAT(
      [] { Package::open("/no/such.varve"); },
      ThrowsMessage<Error>(HasSubstr("'/no/such.varve': No such file")));
  EXPECT_THAT([] { Package::open("/tmp"); },
              ThrowsMessage<Error>(HasSubstr("expected a file")));
  EXPECT_THAT(opens(writeZip({{"manifest.json", "{}"}})),
              ThrowsMessage<Error>(HasSubstr("a plan for no target")));
  EXPECT_THAT(opens(writeZip({{"x86-64/plan", "0123456789"}})),
              ThrowsMessage<Error>(HasSubstr("expected a plan")));
  EXPECT_THAT(opens(writeZip({{"x86-64/plan", "1"}, {"x86-64/plan", "2"}})),
              ThrowsMessage<Error>(HasSubstr("is there twice")));
}

TEST(Package, KernelFilesAreWhatTheySay) {
  PackageBuilder builder;
  builder.members.begin()->second = "no library";
  EXPECT_THAT(opens(builder.write()),
              ThrowsMessage<Error>(
                  HasSubstr("kernel file 'x86-64/kernels.so': expected a "
                            "shared object for x86-64")));
  builder.members.clear();
  EXPECT_THAT(
      opens(builder.write()),
      ThrowsMessage<Error>(HasSubstr("has no member 'x86-64/kernels.so'")));
}

TEST(Package, PlansAreVerified) {
  auto expect = [](const std::function<void(fb::PlanT &)> &change,
                   const char *message) {
    EXPECT_THAT(loads(change), ThrowsMessage<Error>(HasSubstr(message)));
  };
  auto step = [](fb::PlanT &plan) -> fb::ProgramT & {
    return *plan.programs[0];
  };
  expect([](fb::PlanT &plan) { plan.target = "sm_90a"; }, "no member");
  expect([](fb::PlanT &plan) { plan.cpu_level = ""; },
         "a compute capability or a CPU level, got neither");
  expect([](fb::PlanT &plan) { plan.model->vocab = 0; }, "a vocabulary");
  expect([](fb::PlanT &plan) { plan.model->eos = 7; }, "special tokens");
  // Weights.
  expect([](fb::PlanT &plan) { plan.weights[0]->shape = {}; },
         "weight 'embed.weight': expected 1 to 8 positive sizes, got []");
  expect(
      [](fb::PlanT &plan) {
        plan.weights[0]->shape = {int64_t(1) << 40, int64_t(1) << 40};
      },
      "positive sizes");
  // The bits of its elements would not fit 64 bits.
  expect(
      [](fb::PlanT &plan) {
        plan.weights[0]->shape = {int64_t(1) << 29, int64_t(1) << 30};
      },
      "positive sizes, got [536870912, 1073741824]");
  expect([](fb::PlanT &plan) { plan.weights[0]->name = "*.*"; },
         "a name with at most one '*'");
  // What kernels write: words that are there, in order, and addresses of memory
  // that is not a weight's. The first kernel, stage, has ids, slots, embed,
  // values and staging.
  expect([](fb::PlanT &plan) { plan.kernels[0]->writes = {5}; },
         "kernel 'stage'");
  expect([](fb::PlanT &plan) { plan.kernels[0]->writes = {4, 3}; },
         "written words in ascending order");
  expect([](fb::PlanT &plan) { plan.kernels[0]->writes = {3, 3}; },
         "written words in ascending order");
  expect([](fb::PlanT &plan) { plan.kernels[0]->writes = {2}; },
         "the addresses of memory that may be written, got word 2");
  // Pools.
  expect([](fb::PlanT &plan) { plan.pools[0]->size = 6; },
         "expected 6 slots + max_tokens rows, got 5 slots + max_tokens");
  expect([](fb::PlanT &plan) { plan.pools[1]->ratio = 3; },
         "a ratio that divides the page");
  expect(
      [](fb::PlanT &plan) {
        plan.pools[1]->ratio = INT64_MAX / kPage;
        plan.pools[1]->page = plan.pools[1]->ratio * (kPage / kRatio);
      },
      "pages of at most 2^31 - 1 tokens");
  expect([](fb::PlanT &plan) { plan.pools[0]->row_bytes = INT64_MAX; },
         "whose sum fits 64 bits");
  expect([](fb::PlanT &plan) { plan.pools[0]->rows = 99; },
         "refers to size 99");
  // Kernels.
  expect([](fb::PlanT &plan) { plan.kernels[0]->file = 1; },
         "kernel 'stage': expected one of 1 files, got number 1");
  expect([](fb::PlanT &plan) { plan.kernels[0]->grid.clear(); },
         "a grid of 1 to 3 dimensions, got 0");
  expect(
      [](fb::PlanT &plan) {
        plan.kernels[0]->grid[0]->program = {
            fb::GridOp(1, fb::GridOpcode::Size)};
      },
      "its grid: expected one of 1 sizes");
  expect(
      [](fb::PlanT &plan) {
        plan.kernels[0]->grid[0]->program.emplace_back(0, fb::GridOpcode::Add);
      },
      "two numbers for an operation, got 1");
  expect(
      [](fb::PlanT &plan) {
        plan.kernels[0]->grid[0]->program.emplace_back(
            0, fb::GridOpcode::Constant);
      },
      "one number in the end, got 2");
  expect([](fb::PlanT &plan) { plan.kernels[0]->scratch_bytes = 1ull << 40; },
         "at most 4 GiB of scratch");
  // Launches.
  expect([&](fb::PlanT &plan) { step(plan).launches[0]->kernel = 9; },
         "launch 0 ('layers.0.stage'): expected one of 5 kernels");
  expect([&](fb::PlanT &plan) { step(plan).launches[0]->condition = 3; },
         "one of 2 conditions");
  expect([&](fb::PlanT &plan) { step(plan).launches[0]->words.pop_back(); },
         "expected 5 words, got 4");
  expect([&](fb::PlanT &plan) { step(plan).launches[0]->grid_sizes.clear(); },
         "expected 1 sizes of its grid, got 0");
  auto word = [&](fb::PlanT &plan) -> fb::Word & {
    return step(plan).launches[0]->words[0];
  };
  expect(
      [&](fb::PlanT &plan) { word(plan) = fb::Word(0, 8, fb::WordKind::Port); },
      "one of 8 ports, got number 8");
  expect(
      [&](fb::PlanT &plan) {
        word(plan) = fb::Word(0, 1, fb::WordKind::WeightData);
      },
      "one of 1 weights");
  expect(
      [&](fb::PlanT &plan) {
        word(plan) = fb::Word(0, 3, fb::WordKind::PoolData);
      },
      "one of 3 pools");
  expect(
      [&](fb::PlanT &plan) {
        word(plan) = fb::Word(0, 1, fb::WordKind::Scratch);
      },
      "one of 1 pieces of scratch");
  expect(
      [&](fb::PlanT &plan) {
        word(plan) = fb::Word(99, 0, fb::WordKind::Size);
      },
      "sizes, got number 99");
  expect(
      [&](fb::PlanT &plan) {
        word(plan) = fb::Word(0, 0, fb::WordKind::Resident);
      },
      "in a grid only");
  auto offset = [&](int64_t constant, fb::WordKind kind) {
    return [=](fb::PlanT &plan) {
      plan.sizes.emplace_back(constant, 0, 0, 0, 0, 0, 0);
      plan.programs[0]->launches[0]->words[0] =
          fb::Word(plan.sizes.size() - 1, 0, kind);
    };
  };
  expect(offset(57, fb::WordKind::WeightData),
         "an offset within weight 'embed.weight' of 56 bytes, got 57");
  expect(offset(-4, fb::WordKind::PoolData),
         "an offset within pool 'layers.0.window'");
  expect(offset(5, fb::WordKind::Scratch), "an offset within piece 0");
  expect(offset(5, fb::WordKind::Port), "an offset within port 'ids'");
  // Ports and conditions.
  expect(
      [&](fb::PlanT &plan) {
        step(plan).ports[0]->element = fb::ElementType::I64;
      },
      "port 'ids': expected tokens x i32, got tokens x i64");
  expect([&](fb::PlanT &plan) { step(plan).ports[0]->name = "slots"; },
         "names, all different");
  expect([&](fb::PlanT &plan) { step(plan).ports[7]->output = false; },
         "program 'step': expected an output, got none");
  expect(
      [&](fb::PlanT &plan) {
        step(plan).conditions[1]->intervals[0] = fb::Interval(5, INT64_MAX, 1);
      },
      "strategies for every size of tokens, got none for 4");
  expect(
      [&](fb::PlanT &plan) {
        step(plan).conditions[1]->intervals[0] = fb::Interval(4, 1000, 1);
      },
      "none for 1001");
  expect([](fb::PlanT &plan) { plan.programs.clear(); },
         "at least one program");
  EXPECT_NO_THROW(loads([](fb::PlanT &) {})());
}

TEST(Package, CodeForAnotherDeviceIsNamed) {
  PackageBuilder builder = PackageBuilder::forGpu();
  std::shared_ptr<const Package> package = builder.open();
  std::unique_ptr<Device> cpu = makeCpuDevice(1);
  EXPECT_THAT([&] { choosePlan(*package, *cpu); },
              ThrowsMessage<Error>(::testing::AllOf(
                  HasSubstr("'toy.varve': the package has no code for CPU"),
                  HasSubstr("sm_90a: it is code for a GPU"))));
  EXPECT_THAT([&] { choosePlan(*package, *cpu, "x86-64"); },
              ThrowsMessage<Error>(HasSubstr(
                  "the package has no target 'x86-64'; it has sm_90a")));
}

TEST(Package, NeedsTheProcessorItWasCompiledFor) {
  PackageBuilder builder;
  builder.plan.cpu_level = "x86-64-v9";
  std::shared_ptr<const Package> package = builder.open();
  std::unique_ptr<Device> cpu = makeCpuDevice(1);
  EXPECT_THAT([&] { choosePlan(*package, *cpu); },
              ThrowsMessage<Error>(HasSubstr(
                  "x86-64: it needs a processor of level x86-64-v9")));
}

TEST(Package, MissingKernelsLeaveNothingBehind) {
  PackageBuilder builder;
  builder.plan.kernels[0]->symbol = "nobody";
  std::shared_ptr<const Package> package = builder.open();
  std::shared_ptr<Device> cpu = makeCpuDevice(1);
  PlannedModel planned(package, choosePlan(*package, *cpu), cpu, "random", {});
  EXPECT_THAT([&] { Model model(std::move(planned)); },
              ThrowsMessage<Error>(
                  HasSubstr("'x86-64/kernels.so' of the package has no kernel "
                            "'nobody'")));
  EXPECT_EQ(cpu->getAllocated(), 0);
}

TEST(Device, NamesAreChecked) {
  EXPECT_THAT([] { openDevice("gpu", nullptr, 1); },
              ThrowsMessage<Error>(HasSubstr(
                  "--device: expected best, cpu, cuda or cuda:N, got 'gpu'")));
  EXPECT_THAT([] { openDevice("cuda:x", nullptr, 1); },
              ThrowsMessage<Error>(HasSubstr("got 'cuda:x'")));
  std::string why;
  std::shared_ptr<Device> device = openDevice("best", nullptr, 1, &why);
  // Either a GPU, or the reason why there is none.
  EXPECT_NE(device->isHost(), why.empty());
}

} // namespace
