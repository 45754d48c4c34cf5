//===- CApiTest.cpp - Runs the C program ----------------------------------===//

#include "test/Unit/Runtime/PackageBuilder.h"
#include <gtest/gtest.h>

using namespace varve::runtime::testing;

extern "C" int exercise_c_api(const char *path, const char *weights);

TEST(CApi, DoesWhatTheHeaderSays) {
  std::string path = freshFolder("c") + "/toy.varve";
  std::vector<uint8_t> bytes = PackageBuilder().write();
  writeFile(path, std::string(bytes.begin(), bytes.end()));
  EXPECT_EQ(exercise_c_api(path.c_str(), writeCheckpoint().c_str()), 0)
      << "the line of c_api.c whose expectation does not hold";
}
