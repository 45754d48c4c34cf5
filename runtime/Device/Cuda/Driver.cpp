//===- Driver.cpp - NVIDIA's driver, loaded at run time -------------------===//

#include "runtime/Device/Cuda/Driver.h"
#include "runtime/Error.h"
#include <dlfcn.h>

namespace varve::runtime::cuda {

/// The first driver with tensor maps and extensible launches.
static constexpr int kOldestVersion = 12000;

std::string Driver::load() {
  // The library stays loaded until the process ends: it starts threads.
  void *library = ::dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  if (!library)
    return "there is no NVIDIA driver (libcuda.so.1 cannot be loaded); install "
           "one, or use --device=cpu";
  auto find = [&](auto *&function, const char *symbol) {
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(
        ::dlsym(library, symbol));
    return function != nullptr;
  };
  if (!find(init, "cuInit") || !find(driverVersion, "cuDriverGetVersion") ||
      !find(errorName, "cuGetErrorName") ||
      !find(errorString, "cuGetErrorString"))
    return "libcuda.so.1 is no NVIDIA driver; install one, or use "
           "--device=cpu";
  if (Result result = init(0); result != kSuccess)
    return fmt::format("the NVIDIA driver does not start: {}; check "
                       "'nvidia-smi', or use --device=cpu",
                       describe(result));
  driverVersion(&version);
  if (version < kOldestVersion)
    return fmt::format("the NVIDIA driver is too old: expected CUDA 12.0 or "
                       "later, got {}.{}; update it, or use --device=cpu",
                       version / 1000, version % 1000 / 10);
#define VARVE_CUDA_FIND(name, symbol, parameters)                              \
  if (!find(name, symbol))                                                     \
    return "the NVIDIA driver has no " symbol                                  \
           "; update it, or use --device=cpu";
  VARVE_CUDA_FUNCTIONS(VARVE_CUDA_FIND)
#undef VARVE_CUDA_FIND
  int count = 0;
  if (Result result = deviceCount(&count); result != kSuccess || count == 0)
    return "the NVIDIA driver sees no GPU; check 'nvidia-smi' and "
           "CUDA_VISIBLE_DEVICES, or use --device=cpu";
  return "";
}

const Driver *Driver::find(std::string &why) {
  static Driver driver;
  static const std::string reason = driver.load();
  why = reason;
  return reason.empty() ? &driver : nullptr;
}

std::string Driver::describe(Result result) const {
  const char *name = nullptr, *text = nullptr;
  errorName(result, &name);
  errorString(result, &text);
  return fmt::format("{} ({})", text ? text : "unknown error",
                     name ? name : std::to_string(result).c_str());
}

void Driver::check(Result result, const char *what) const {
  if (result != kSuccess)
    fail(ErrorCode::Device, "the GPU failed: {}: {}", what, describe(result));
}

} // namespace varve::runtime::cuda
