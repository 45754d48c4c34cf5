//===- DevicesTest.cpp - Devices by name ----------------------------------===//

#include "lib/CostModel/Devices.h"
#include "gmock/gmock.h"

using namespace varve;
using testing::HasSubstr;

namespace {

std::string nameOf(llvm::StringRef name) {
  llvm::Expected<Device> device = findDevice(name);
  if (!device)
    return llvm::toString(device.takeError());
  return device->model->name;
}

TEST(Devices, AreFoundByWhatPeopleCallThem) {
  EXPECT_EQ(nameOf("h200"), "NVIDIA H200");
  EXPECT_EQ(nameOf("NVIDIA H200"), "NVIDIA H200");
  EXPECT_EQ(nameOf("b200"), "NVIDIA B200");
  EXPECT_EQ(nameOf("GB10"), "NVIDIA GB10");
  EXPECT_EQ(nameOf("rtx-5090"), "NVIDIA GeForce RTX 5090");
  EXPECT_EQ(nameOf("5090"), "NVIDIA GeForce RTX 5090");
  EXPECT_EQ(nameOf("geforce rtx 5090"), "NVIDIA GeForce RTX 5090");
}

TEST(Devices, AnAmbiguousNameMeansTheFirst) {
  EXPECT_EQ(nameOf("h100"), "NVIDIA H100 80GB HBM3");
  EXPECT_EQ(nameOf("h100-pcie"), "NVIDIA H100 PCIe");
  EXPECT_EQ(nameOf("a100"), "NVIDIA A100-SXM4-80GB");
}

TEST(Devices, ATargetMeansItsFirstDevice) {
  EXPECT_EQ(nameOf("sm_90a"), "NVIDIA H200");
  EXPECT_EQ(nameOf("x86-64"),
            "target 'x86-64': expected a device with known rates, but the "
            "target file describes none");
}

TEST(Devices, UnknownNamesAreAnsweredWithTheNearest) {
  EXPECT_THAT(nameOf("h2000"), HasSubstr("device 'h2000': expected one of "));
  EXPECT_THAT(nameOf("h2000"), HasSubstr("; did you mean 'h200'?"));
  EXPECT_THAT(nameOf(""), HasSubstr("expected one of"));
}

TEST(Devices, AllNamesInTheListAreUnderstood) {
  for (const Device &device : getDevices())
    EXPECT_EQ(nameOf(getShortName(*device.model).lower()), device.model->name);
}

} // namespace
