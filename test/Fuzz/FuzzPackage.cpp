//===- FuzzPackage.cpp - Packages of any bytes ----------------------------===//
//
// Whatever the bytes are, reading them as a package ends with a verified plan
// or with one error. The digest is not looked at: no mutation would pass it.
//
//===----------------------------------------------------------------------===//

#include "runtime/Error.h"
#include "runtime/Package/Package.h"
#include "runtime/Session/Memory.h"

using namespace varve::runtime;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  try {
    auto package = Package::ofBytes(
        "fuzzed", std::vector<uint8_t>(data, data + size), DigestCheck::Skip);
    for (const std::string &target : package->getTargets()) {
      Plan plan = package->loadPlan(target);
      auto source = openWeights("random", plan.weights);
      layoutMemory(plan, resolve({}, plan), *source, /*mapsWeights=*/false,
                   /*overlaps=*/true);
    }
  } catch (const Error &) {
  }
  return 0;
}
