//===- Devices.cpp - The devices that costs are computed for --------------===//

#include "lib/CostModel/Devices.h"
#include "varve/Support/NearestName.h"
#include "llvm/ADT/StringExtras.h"

using namespace llvm;

namespace varve {

std::vector<Device> getDevices() {
  std::vector<Device> devices;
  for (const TargetModel &target : TargetModel::getAll())
    for (const DeviceModel &model : target.getDevices())
      devices.push_back({&target, &model});
  return devices;
}

StringRef getShortName(const DeviceModel &device) {
  StringRef name = device.name;
  name.consume_front("NVIDIA ");
  name.consume_front("GeForce ");
  return name;
}

/// Lower case, without what separates words.
static std::string squeeze(StringRef name) {
  std::string result;
  for (char c : name)
    if (isAlnum(c))
      result += toLower(c);
  return result;
}

/// Whether `wanted` (squeezed) is the beginning of `name`, whole words long,
/// or its last words ("5090").
static bool matches(StringRef name, StringRef wanted) {
  SmallVector<StringRef> words;
  SplitString(name, words, " -");
  for (size_t first = 0; first < words.size(); ++first) {
    std::string part;
    for (size_t last = first; last < words.size(); ++last) {
      part += squeeze(words[last]);
      if (part == wanted && (first == 0 || last + 1 == words.size()))
        return true;
    }
  }
  return false;
}

Expected<Device> findDevice(StringRef name) {
  std::string wanted = squeeze(name);
  std::vector<Device> devices = getDevices();
  for (const Device &device : devices)
    if (matches(device.model->name, wanted) ||
        matches(getShortName(*device.model), wanted))
      return device;
  for (const TargetModel &target : TargetModel::getAll()) {
    if (squeeze(target.getName()) != wanted)
      continue;
    if (!target.getDevices().empty())
      return Device{&target, &target.getDevices().front()};
    return createStringError("target '" + name +
                             "': expected a device with known rates, but the "
                             "target file describes none");
  }
  SmallVector<std::string> names;
  for (const Device &device : devices)
    names.push_back(getShortName(*device.model).lower());
  SmallVector<StringRef> references(names.begin(), names.end());
  return createStringError("device '" + name + "': expected one of " +
                           join(references, ", ") +
                           didYouMean(name.lower(), references));
}

} // namespace varve
