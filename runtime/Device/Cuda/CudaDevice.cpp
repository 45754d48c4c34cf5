//===- CudaDevice.cpp - Memory and order of an NVIDIA GPU -----------------===//

#include "runtime/Device/Cuda/CudaCode.h"
#include "runtime/Device/Probe.h"
#include "runtime/Error.h"
#include <algorithm>
#include <cstring>
#include <vector>

namespace varve::runtime {

using namespace cuda;

namespace {

/// Page-locked memory through which everything passes; two pieces, so that one
/// is filled while the other is on its way.
constexpr int64_t kStageBytes = 32 << 20;
constexpr size_t kNumStages = 2;

/// Keeps the primary context of a GPU alive.
class PrimaryContext {
public:
  PrimaryContext(const Driver &driver, DeviceHandle device)
      : driver(driver), device(device) {
    driver.check(driver.contextRetain(&context, device),
                 "cuDevicePrimaryCtxRetain");
  }
  PrimaryContext(const PrimaryContext &) = delete;
  ~PrimaryContext() { static_cast<void>(driver.contextRelease(device)); }
  Context get() const { return context; }

private:
  const Driver &driver;
  DeviceHandle device;
  Context context = nullptr;
};

DeviceHandle handleOf(const Driver &driver, int ordinal) {
  int count = 0;
  driver.check(driver.deviceCount(&count), "cuDeviceGetCount");
  if (ordinal < 0 || ordinal >= count)
    fail(ErrorCode::Device, "there is no GPU number {}: the driver sees {}",
         ordinal, count);
  DeviceHandle device = 0;
  driver.check(driver.deviceGet(&device, ordinal), "cuDeviceGet");
  return device;
}

int attributeOf(const Driver &driver, DeviceHandle device, int attribute) {
  int value = 0;
  driver.check(driver.deviceAttribute(&value, attribute, device),
               "cuDeviceGetAttribute");
  return value;
}

int capabilityOf(const Driver &driver, DeviceHandle device) {
  return 10 * attributeOf(driver, device, kCapabilityMajor) +
         attributeOf(driver, device, kCapabilityMinor);
}

class CudaDevice final : public Device {
public:
  CudaDevice(const Driver &driver, int ordinal)
      : driver(driver), ordinal(ordinal), handle(handleOf(driver, ordinal)),
        primary(driver, handle), capability(capabilityOf(driver, handle)) {
    context.driver = &driver;
    context.context = primary.get();
    context.multiprocessors = attributeOf(driver, handle, kMultiprocessors);
    context.sharedBytes = attributeOf(driver, handle, kSharedBytesOptIn);
    char name[256] = "";
    driver.check(driver.deviceName(name, sizeof(name) - 1, handle),
                 "cuDeviceGetName");
    context.name = name;
    size_t bytes = 0;
    driver.check(driver.deviceMemory(&bytes, handle), "cuDeviceTotalMem");
    memory = static_cast<int64_t>(bytes);
    context.makeCurrent();
    cuda::Stream created = nullptr;
    driver.check(driver.streamCreate(&created, kStreamNonBlocking),
                 "cuStreamCreate");
    stream = OwnedStream(driver, created);
    context.stream = created;
    for (Stage &stage : stages) {
      void *host = nullptr;
      driver.check(driver.hostAllocate(&host, kStageBytes, 0),
                   "allocating page-locked memory");
      stage.memory = OwnedHostMemory(driver, host);
      stage.sent = makeEvent(driver);
    }
  }

  ~CudaDevice() override {
    static_cast<void>(driver.contextSetCurrent(context.context));
    static_cast<void>(driver.streamSynchronize(context.stream));
  }

  std::string describe() const override {
    return fmt::format("cuda:{} {} (sm_{}, {})", ordinal, context.name,
                       capability, bytesText(memory));
  }

  int rate(const Plan &plan, std::string &why) const override {
    if (plan.isCpu()) {
      why = "it is code for a CPU";
      return -1;
    }
    int wanted = static_cast<int>(plan.computeCapability);
    bool assembled =
        std::any_of(plan.files.begin(), plan.files.end(), [](auto &file) {
          return file.format == FileFormat::Cubin;
        });
    if (wanted == capability)
      return wanted * 2 + 1;
    if (plan.architectureSpecific || assembled || wanted > capability) {
      why = fmt::format(
          "it needs compute capability {}.{}{}", wanted / 10, wanted % 10,
          plan.architectureSpecific || assembled ? " exactly" : " or later");
      return -1;
    }
    return wanted * 2;
  }

  bool isHost() const override { return false; }
  bool wantsFewShapes() const override { return true; }

  int64_t getFreeMemory() override {
    context.makeCurrent();
    size_t free = 0, total = 0;
    driver.check(driver.memoryInfo(&free, &total), "cuMemGetInfo");
    return static_cast<int64_t>(free);
  }

  double measureCopyBandwidth() override {
    constexpr int64_t bytes = 1 << 30;
    constexpr int repetitions = 5;
    int64_t size = std::min(bytes, getFreeMemory() / 4);
    Buffer from(*this, size), to(*this, size);
    OwnedEvent start = makeEvent(driver), end = makeEvent(driver);
    copy(to.getAddress(), from.getAddress(), size);
    driver.check(driver.eventRecord(start.get(), context.stream),
                 "cuEventRecord");
    for (int i = 0; i < repetitions; ++i)
      copy(to.getAddress(), from.getAddress(), size);
    driver.check(driver.eventRecord(end.get(), context.stream),
                 "cuEventRecord");
    synchronize();
    float milliseconds = 0;
    driver.check(driver.eventElapsed(&milliseconds, start.get(), end.get()),
                 "cuEventElapsedTime");
    return 2.0 * size * repetitions / (milliseconds * 1e-3);
  }

  uint64_t allocate(int64_t bytes) override {
    context.makeCurrent();
    Address address = 0;
    Result result = driver.memoryAllocate(&address, bytes);
    if (result == kOutOfMemory)
      fail(ErrorCode::Device,
           "{} has too little memory: {} cannot be allocated, {} are free; "
           "lower --context, --max-sequences or --max-tokens",
           describe(), bytesText(bytes), bytesText(getFreeMemory()));
    driver.check(result, "cuMemAlloc");
    allocated += bytes;
    return address;
  }

  void release(uint64_t address, int64_t bytes) noexcept override {
    // Kernels that use it may still be queued.
    static_cast<void>(driver.contextSetCurrent(context.context));
    static_cast<void>(driver.streamSynchronize(context.stream));
    static_cast<void>(driver.memoryFree(address));
    allocated -= bytes;
  }

  void upload(uint64_t to, Bytes from) override {
    upload(to, from.size(), /*granule=*/1,
           [&](int64_t begin, std::span<uint8_t> out) {
             std::memcpy(out.data(), from.data() + begin, out.size());
           });
  }

  void upload(uint64_t to, int64_t bytes, int64_t granule,
              const Fill &fill) override {
    context.makeCurrent();
    if (granule > kStageBytes) {
      // A row that is larger than a stage is made as a whole.
      std::vector<uint8_t> row(granule);
      for (int64_t begin = 0; begin < bytes; begin += granule) {
        std::span<uint8_t> piece =
            std::span(row).first(std::min(granule, bytes - begin));
        fill(begin, piece);
        upload(to + begin, piece);
      }
      return;
    }
    int64_t most = kStageBytes / granule * granule;
    for (int64_t begin = 0; begin < bytes; begin += most) {
      Stage &stage = stages[nextStage++ % kNumStages];
      driver.check(driver.eventSynchronize(stage.sent.get()),
                   "waiting for a copy");
      int64_t count = std::min(most, bytes - begin);
      fill(begin, {static_cast<uint8_t *>(stage.memory.get()),
                   static_cast<size_t>(count)});
      driver.check(driver.copyToDevice(to + begin, stage.memory.get(), count,
                                       context.stream),
                   "copying to the GPU");
      driver.check(driver.eventRecord(stage.sent.get(), context.stream),
                   "cuEventRecord");
    }
  }

  void download(std::span<uint8_t> to, uint64_t from) override {
    context.makeCurrent();
    while (!to.empty()) {
      Stage &stage = stages[nextStage++ % kNumStages];
      size_t count = std::min<size_t>(to.size(), kStageBytes);
      driver.check(
          driver.copyToHost(stage.memory.get(), from, count, context.stream),
          "copying from the GPU");
      synchronize();
      std::memcpy(to.data(), stage.memory.get(), count);
      to = to.subspan(count);
      from += count;
    }
  }

  void copy(uint64_t to, uint64_t from, int64_t bytes) override {
    context.makeCurrent();
    driver.check(driver.copyOnDevice(to, from, bytes, context.stream),
                 "copying on the GPU");
  }

  void clear(uint64_t address, int64_t bytes) override {
    context.makeCurrent();
    driver.check(driver.fill(address, 0, bytes, context.stream),
                 "clearing memory");
  }

  void synchronize() override {
    context.makeCurrent();
    driver.check(driver.streamSynchronize(context.stream),
                 "waiting for kernels");
  }

  std::unique_ptr<Code> load(const Plan &plan,
                             std::vector<Bytes> files) override {
    return std::make_unique<CudaCode>(context, plan, files);
  }

private:
  struct Stage {
    OwnedHostMemory memory;
    OwnedEvent sent;
  };

  const Driver &driver;
  int ordinal;
  DeviceHandle handle;
  // In front of everything that lives in it.
  PrimaryContext primary;
  int capability;
  int64_t memory = 0;
  CudaContext context;
  OwnedStream stream;
  Stage stages[kNumStages];
  size_t nextStage = 0;
};

} // namespace

std::unique_ptr<Device> makeCudaDevice(int ordinal) {
  std::string why;
  const Driver *driver = Driver::find(why);
  if (!driver)
    fail(ErrorCode::Device, "{}", why);
  return std::make_unique<CudaDevice>(*driver, ordinal);
}

std::optional<int> probeCuda(int ordinal, std::string &why) {
  const Driver *driver = Driver::find(why);
  if (!driver)
    return std::nullopt;
  int count = 0;
  DeviceHandle device = 0;
  if (driver->deviceCount(&count) != kSuccess || ordinal >= count ||
      driver->deviceGet(&device, ordinal) != kSuccess) {
    why = fmt::format("the driver sees no GPU number {}", ordinal);
    return std::nullopt;
  }
  return capabilityOf(*driver, device);
}

int probeCudaCapability(int ordinal, std::string &why) noexcept {
  try {
    return probeCuda(ordinal, why).value_or(-1);
  } catch (const std::exception &error) {
    why = error.what();
    return -1;
  }
}

} // namespace varve::runtime
