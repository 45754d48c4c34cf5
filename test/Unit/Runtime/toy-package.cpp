//===- toy-package.cpp - Writes the model of kernels.c --------------------===//
//
// toy-package FOLDER: toy.varve, a checkpoint and a reference, for the tests of
// varve-run.
//
//===----------------------------------------------------------------------===//

#include "test/Unit/Runtime/PackageBuilder.h"

using namespace varve::runtime::testing;

int main(int argc, char **argv) {
  if (argc != 2)
    return 2;
  std::string folder = argv[1];
  std::vector<uint8_t> bytes = PackageBuilder().write();
  writeFile(folder + "/toy.varve", std::string(bytes.begin(), bytes.end()));
  writeCheckpoint(folder);
  writeReference(folder);
  return 0;
}
