//===- reorder-launches.cpp - Dependencies of real models, tried out ------===//
//
// reorder-launches PACKAGE: runs steps of a model on the CPU, once with
// launches in the order of the plan and once in the order that is farthest from
// it among those that the dependencies admit, and compares all bits of the
// logits. What a kernel writes without saying so shows as a difference.
//
//===----------------------------------------------------------------------===//

#include "runtime/Session/Session.h"
#include <cstdio>
#include <cstring>

using namespace varve::runtime;

namespace {

/// Launches that were prepared, and how many of them moved.
int numLaunches = 0, numMoved = 0;

std::vector<PreparedLaunch> lastFirst(std::vector<PreparedLaunch> launches) {
  std::vector<PreparedLaunch> result;
  std::vector<bool> done(launches.size());
  while (result.size() < launches.size())
    for (size_t i = launches.size(); i-- > 0;) {
      bool ready = !done[i];
      for (uint32_t other : launches[i].after)
        ready = ready && done[other];
      if (!ready)
        continue;
      done[i] = true;
      ++numLaunches;
      numMoved += i != result.size();
      result.push_back(launches[i]);
      break;
    }
  return result;
}

class ReorderingCode final : public Code {
public:
  explicit ReorderingCode(std::unique_ptr<Code> code) : code(std::move(code)) {}
  int64_t getResidentBlocks(uint32_t kernel) override {
    return code->getResidentBlocks(kernel);
  }
  std::unique_ptr<Batch> prepare(std::vector<PreparedLaunch> launches,
                                 Use use) override {
    if (use == Use::Overlapped)
      launches = lastFirst(std::move(launches));
    return code->prepare(std::move(launches), use);
  }

private:
  std::unique_ptr<Code> code;
};

/// The CPU, as if it were a device whose launches overlap.
class ReorderingDevice final : public Device {
public:
  std::string describe() const override { return cpu->describe(); }
  int rate(const Plan &plan, std::string &why) const override {
    return cpu->rate(plan, why);
  }
  bool isHost() const override { return false; }
  bool wantsFewShapes() const override { return true; }
  int64_t getFreeMemory() override { return cpu->getFreeMemory(); }
  double measureCopyBandwidth() override { return 0; }
  uint64_t allocate(int64_t bytes) override {
    uint64_t address = cpu->allocate(bytes);
    allocated += bytes;
    return address;
  }
  void release(uint64_t address, int64_t bytes) noexcept override {
    cpu->release(address, bytes);
    allocated -= bytes;
  }
  void upload(uint64_t to, Bytes from) override { cpu->upload(to, from); }
  void upload(uint64_t to, int64_t bytes, int64_t granule,
              const Fill &fill) override {
    cpu->upload(to, bytes, granule, fill);
  }
  void download(std::span<uint8_t> to, uint64_t from) override {
    cpu->download(to, from);
  }
  void copy(uint64_t to, uint64_t from, int64_t bytes) override {
    cpu->copy(to, from, bytes);
  }
  void clear(uint64_t address, int64_t bytes) override {
    cpu->clear(address, bytes);
  }
  void synchronize() override { cpu->synchronize(); }
  std::unique_ptr<Code> load(const Plan &plan,
                             std::vector<Bytes> files) override {
    return std::make_unique<ReorderingCode>(cpu->load(plan, std::move(files)));
  }

private:
  std::unique_ptr<Device> cpu = makeCpuDevice();
};

/// Logits of steps of 1 to 20 tokens of two sequences.
std::vector<float> runSteps(std::shared_ptr<Model> model, Code::Use use) {
  Session session(std::move(model), use);
  int32_t slots[] = {session.add(), session.add()};
  std::vector<float> all, logits;
  int64_t id = 0;
  for (int count : {20, 1, 1, 7, 2, 1, 13, 1, 1, 2, 4, 1}) {
    std::vector<StepToken> step;
    for (int i = 0; i < count; ++i, ++id)
      step.push_back(
          {slots[i % 3 == 1], id * 37 % session.getVocabSize(), true});
    session.step(step, logits);
    all.insert(all.end(), logits.begin(), logits.end());
  }
  return all;
}

} // namespace

int main(int argc, char **argv) {
  if (argc != 2)
    return 2;
  try {
    std::shared_ptr<const Package> package = Package::open(argv[1]);
    auto device = std::make_shared<ReorderingDevice>();
    Capacity capacity;
    capacity.maxSequences = 2;
    capacity.context = 128;
    capacity.maxTokens = 32;
    capacity.maxRows = 32;
    auto model = std::make_shared<Model>(PlannedModel(
        package, choosePlan(*package, *device), device, "random:1", capacity));
    std::vector<float> ordered = runSteps(model, Code::Use::Ordered);
    std::vector<float> reordered = runSteps(model, Code::Use::Overlapped);
    bool same = ordered.size() == reordered.size() &&
                std::memcmp(ordered.data(), reordered.data(),
                            ordered.size() * sizeof(float)) == 0;
    std::printf("%d launches, %d of them in another place: %zu logits are %s\n",
                numLaunches, numMoved, ordered.size(),
                same ? "the same" : "DIFFERENT");
    return same ? 0 : 1;
  } catch (const std::exception &error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 3;
  }
}
