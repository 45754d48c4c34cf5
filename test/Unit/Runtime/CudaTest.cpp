//===- CudaTest.cpp - The CUDA device on a fake driver --------------------===//

#include "runtime/Error.h"
#include "runtime/Session/Session.h"
#include "test/Unit/Runtime/PackageBuilder.h"
#include <cstdlib>
#include <dlfcn.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

using namespace varve::runtime;
using namespace varve::runtime::testing;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

namespace {

/// A counter of the fake driver.
int counter(const char *name) {
  void *library = ::dlopen("libcuda.so.1", RTLD_NOW | RTLD_NOLOAD);
  auto *function = reinterpret_cast<int (*)()>(::dlsym(library, name));
  int value = function ? function() : -1;
  ::dlclose(library);
  return value;
}

/// Sets a variable for a scope.
class Variable {
public:
  Variable(const char *name, const char *value) : name(name) {
    ::setenv(name, value, 1);
  }
  ~Variable() { ::unsetenv(name); }

private:
  const char *name;
};

PlannedModel planToy(const Capacity &capacity = {4, 48, 40, 40, 0},
                     const std::string &weights = writeCheckpoint()) {
  std::shared_ptr<const Package> package = PackageBuilder::forGpu().open();
  std::shared_ptr<Device> device = makeCudaDevice(0);
  return PlannedModel(package, choosePlan(*package, *device), device, weights,
                      capacity);
}

TEST(Cuda, StepsGiveTheLogitsOfPlainLoops) {
  {
    Session session(std::make_shared<Model>(planToy()));
    EXPECT_EQ(session.getModel().getDevice().describe(),
              "cuda:0 Fake (sm_90, 1.00 GiB)");
    std::vector<std::vector<int64_t>> sequences(3);
    std::vector<float> logits;
    for (size_t i = 0; i < sequences.size(); ++i)
      session.add();
    // Steps of 1 to 40 tokens, of one or several sequences, padded or not.
    int64_t next = 0;
    for (int tokens : {1, 2, 3, 5, 8, 13, 1, 1, 2, 2, 3, 3, 40}) {
      std::vector<StepToken> step;
      std::vector<float> expected;
      for (int i = 0; i < tokens; ++i, ++next) {
        auto slot = static_cast<int32_t>(next % 3);
        int64_t id = next * 5 % kVocab;
        sequences[slot].push_back(id);
        bool wanted = i % 2 == 0;
        step.push_back({slot, id, wanted});
        if (!wanted)
          continue;
        std::vector<float> row = expectedLogits(sequences[slot]);
        expected.insert(expected.end(), row.begin(), row.end());
      }
      session.step(step, logits);
      EXPECT_EQ(logits, expected) << tokens << " tokens";
    }
  }
  EXPECT_EQ(counter("fake_cuda_live"), 0);
}

TEST(Cuda, SmallStepsAreReplayed) {
  Session session(std::make_shared<Model>(planToy()));
  session.add();
  session.add();
  std::vector<float> logits;
  int before = counter("fake_cuda_graph_launches");
  for (int i = 0; i < 10; ++i)
    session.step(std::vector<StepToken>{{0, 1}}, logits);
  EXPECT_EQ(counter("fake_cuda_graph_launches"), before + 10);
  // The graph is of four launches; nothing else was launched.
  int launches = counter("fake_cuda_launches");
  session.step(std::vector<StepToken>{{0, 1}}, logits);
  EXPECT_EQ(counter("fake_cuda_launches"), launches + 4);
}

TEST(Cuda, ForksCopyOnTheDevice) {
  Session session(std::make_shared<Model>(planToy()));
  int32_t slot = session.add();
  std::vector<int64_t> ids;
  std::vector<float> logits;
  for (int i = 0; i < 11; ++i) {
    ids.push_back(i % kVocab);
    session.step(std::vector<StepToken>{{slot, ids.back()}}, logits);
  }
  int32_t copy = session.fork(slot);
  std::vector<int64_t> other = ids;
  for (int i = 0; i < 9; ++i) {
    ids.push_back(1);
    other.push_back(3);
    session.step(std::vector<StepToken>{{copy, 3}, {slot, 1}}, logits);
    std::vector<float> expected = expectedLogits(other);
    std::vector<float> second = expectedLogits(ids);
    expected.insert(expected.end(), second.begin(), second.end());
    EXPECT_EQ(logits, expected);
  }
}

TEST(Cuda, AllocatesWhatWasComputed) {
  PlannedModel planned = planToy();
  Device &device = planned.getDevice();
  int64_t need = planned.getLayout().getTotal();
  // Weights are uploaded, never used where the file is mapped.
  EXPECT_EQ(planned.getLayout().mappedBytes, 0);
  EXPECT_EQ(device.getAllocated(), 0);
  Model model(std::move(planned));
  EXPECT_EQ(device.getAllocated(), need);
}

TEST(Cuda, ProfilesWithEvents) {
  Session session(std::make_shared<Model>(planToy()));
  int32_t slot = session.add();
  auto times = session.profile(std::vector<StepToken>{{slot, 1}});
  ASSERT_EQ(times.size(), 4u);
  EXPECT_DOUBLE_EQ(times[0].second, 0.5e-3);
}

TEST(Cuda, FailuresLeaveNothingBehind) {
  {
    Variable memory("FAKE_CUDA_MEMORY", "1000");
    EXPECT_THAT([] { Model model(planToy()); },
                ThrowsMessage<Error>(AllOf(
                    HasSubstr("cuda:0 Fake (sm_90, 1000 bytes) has too little "
                              "memory: needed are weights"),
                    HasSubstr("free are 1000 bytes (1,000 bytes)"))));
  }
  {
    Variable assembler("FAKE_CUDA_JIT", "ptxas fatal: unknown opcode");
    EXPECT_THAT([] { Model model(planToy()); },
                ThrowsMessage<Error>(AllOf(
                    HasSubstr("'sm_90a/kernels.ptx' of the package is refused "
                              "by the driver (CUDA 12.4) for Fake"),
                    HasSubstr("(CUDA_ERROR_INVALID_PTX)"),
                    HasSubstr("ptxas fatal: unknown opcode"))));
  }
  EXPECT_THAT([] { planToy({}, "/no/such"); },
              ThrowsMessage<Error>(HasSubstr("/no/such")));
  {
    Session session(std::make_shared<Model>(planToy()));
    int32_t slot = session.add();
    std::vector<float> logits;
    Variable launch("FAKE_CUDA_LAUNCH", "719");
    // Once while a graph is captured, once without.
    EXPECT_THAT(
        [&] { session.step(std::vector<StepToken>{{slot, 1}}, logits); },
        ThrowsMessage<Error>(
            HasSubstr("kernel 'stage' of [1] blocks cannot be launched: the "
                      "fake driver says so (CUDA_ERROR_FAKE)")));
    EXPECT_THROW(session.profile(std::vector<StepToken>{{slot, 1}}), Error);
    EXPECT_EQ(session.getLength(slot), 0);
  }
  EXPECT_EQ(counter("fake_cuda_live"), 0);
}

TEST(Cuda, PlansForOtherGpusAreRefused) {
  auto rate = [](auto change) {
    PackageBuilder builder = PackageBuilder::forGpu();
    change(builder.plan);
    std::shared_ptr<Device> device = makeCudaDevice(0);
    std::string why;
    int rating = device->rate(builder.open()->loadPlan("sm_90a"), why);
    return rating < 0 ? why : std::to_string(rating);
  };
  using varve::package::PlanT;
  EXPECT_EQ(rate([](PlanT &) {}), "181");
  EXPECT_EQ(rate([](PlanT &plan) { plan.compute_capability = 100; }),
            "it needs compute capability 10.0 exactly");
  EXPECT_EQ(rate([](PlanT &plan) { plan.compute_capability = 80; }),
            "it needs compute capability 8.0 exactly");
  // PTX of an older architecture is assembled for the newer one.
  EXPECT_EQ(rate([](PlanT &plan) {
              plan.compute_capability = 80;
              plan.architecture_specific = false;
            }),
            "160");
  EXPECT_EQ(rate([](PlanT &plan) {
              plan.compute_capability = 120;
              plan.architecture_specific = false;
            }),
            "it needs compute capability 12.0 or later");
}

TEST(Cuda, IsTheBestDeviceForPackagesThatHaveCodeForIt) {
  std::string why;
  auto gpu = PackageBuilder::forGpu().open(), cpu = PackageBuilder().open();
  EXPECT_FALSE(openDevice("best", gpu.get(), 1, &why)->isHost());
  EXPECT_TRUE(openDevice("best", cpu.get(), 1, &why)->isHost());
  EXPECT_EQ(why, "the package has no code for cuda:0 Fake (sm_90, 1.00 GiB)");
  EXPECT_THAT([] { makeCudaDevice(3); },
              ThrowsMessage<Error>(
                  HasSubstr("there is no GPU number 3: the driver sees 1")));
}

} // namespace
