//===- Devices.h - The devices that costs are computed for -----*- C++ -*-===//
#ifndef VARVE_COSTMODEL_DEVICES_H
#define VARVE_COSTMODEL_DEVICES_H

#include "lib/Target/Model/TargetModel.h"

namespace varve {

/// A product and its architecture; both live as long as the program.
struct Device {
  const TargetModel *target = nullptr;
  const DeviceModel *model = nullptr;
};

/// All devices of all target models, in the order of the target files.
std::vector<Device> getDevices();

/// The name without the maker's: "H200", "RTX 5090".
llvm::StringRef getShortName(const DeviceModel &device);

/// The device that `name` means: "h200", "rtx-5090", "NVIDIA H200", or a target
/// ("sm_90a") for that target's first device. Case, spaces, '-' and '_' do not
/// count, and of several devices ("h100") the first is meant. The error names
/// the nearest device and lists all.
llvm::Expected<Device> findDevice(llvm::StringRef name);

} // namespace varve

#endif // VARVE_COSTMODEL_DEVICES_H
