//===- toy-package.cpp - Writes the model of kernels.c --------------------===//
//
// toy-package FOLDER: toy.varve, toy-gpu.varve for the fake GPU, a checkpoint
// and a reference, for the tests of varve-run.
//
//===----------------------------------------------------------------------===//

#include "test/Unit/Runtime/PackageBuilder.h"

using namespace varve::runtime::testing;

int main(int argc, char **argv) {
  if (argc != 2)
    return 2;
  std::string folder = argv[1];
  auto write = [&](const char *name, const PackageBuilder &builder) {
    std::vector<uint8_t> bytes = builder.write();
    writeFile(folder + "/" + name, std::string(bytes.begin(), bytes.end()));
  };
  write("toy.varve", PackageBuilder());
  write("toy-gpu.varve", PackageBuilder::forGpu());
  writeCheckpoint(folder);
  writeReference(folder);
  return 0;
}
