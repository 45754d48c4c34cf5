//===- Resources.h - What the driver gives out, released in time -*- C++-*-===//
#ifndef VARVE_RUNTIME_DEVICE_CUDA_RESOURCES_H
#define VARVE_RUNTIME_DEVICE_CUDA_RESOURCES_H

#include "runtime/Device/Cuda/Driver.h"
#include <utility>

namespace varve::runtime::cuda {

/// A handle that a function of the driver releases. The context must be
/// current when it is destroyed.
template <typename Handle, Result (*Driver::*release)(Handle)> class Owned {
public:
  Owned() = default;
  Owned(const Driver &driver, Handle handle)
      : driver(&driver), handle(handle) {}
  Owned(Owned &&other) noexcept { *this = std::move(other); }
  Owned &operator=(Owned &&other) noexcept {
    std::swap(driver, other.driver);
    std::swap(handle, other.handle);
    return *this;
  }
  ~Owned() {
    // What fails here failed before, and was reported then.
    if (handle)
      static_cast<void>((driver->*release)(handle));
  }
  Handle get() const { return handle; }

private:
  const Driver *driver = nullptr;
  Handle handle = {};
};

using OwnedStream = Owned<Stream, &Driver::streamDestroy>;
using OwnedEvent = Owned<Event, &Driver::eventDestroy>;
using OwnedModule = Owned<Module, &Driver::moduleUnload>;
using OwnedGraph = Owned<Graph, &Driver::graphDestroy>;
using OwnedGraphExec = Owned<GraphExec, &Driver::graphExecDestroy>;
using OwnedHostMemory = Owned<void *, &Driver::hostFree>;

inline OwnedEvent makeEvent(const Driver &driver) {
  Event event = nullptr;
  driver.check(driver.eventCreate(&event, 0), "cuEventCreate");
  return {driver, event};
}

} // namespace varve::runtime::cuda

#endif // VARVE_RUNTIME_DEVICE_CUDA_RESOURCES_H
