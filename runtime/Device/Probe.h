//===- Probe.h - What GPU there is -----------------------------*- C++ -*-===//
//
// For programs that are built without exceptions.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_RUNTIME_DEVICE_PROBE_H
#define VARVE_RUNTIME_DEVICE_PROBE_H

#include <string>

namespace varve::runtime {

/// The compute capability of GPU `ordinal`, ten times major plus minor; -1,
/// with the reason in `why`, if there is none that can be used.
int probeCudaCapability(int ordinal, std::string &why) noexcept;

} // namespace varve::runtime

#endif // VARVE_RUNTIME_DEVICE_PROBE_H
