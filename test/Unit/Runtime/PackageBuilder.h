//===- PackageBuilder.h - Packages made by hand ----------------*- C++ -*-===//
//
// The package of the model in kernels.c, as objects that tests change before
// they write it. The writer is a second one, made from Format.h alone.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_TEST_UNIT_RUNTIME_PACKAGEBUILDER_H
#define VARVE_TEST_UNIT_RUNTIME_PACKAGEBUILDER_H

#include "runtime/Package/Package.h"
#include "varve/Package/plan_generated.h"
#include <map>
#include <string>
#include <vector>

namespace varve::runtime::testing {

/// The sizes in kernels.c.
inline constexpr int64_t kVocab = 7, kWindow = 5, kRatio = 4, kPage = 8,
                         kState = 4, kMaxPositions = 64;

struct PackageBuilder {
  package::PlanT plan;
  /// Members besides the plan.
  std::map<std::string, std::string> members;

  /// The model of kernels.c for this machine's kind of processor.
  PackageBuilder();
  /// The same for the fake GPU, whose "PTX" is a shared object.
  static PackageBuilder forGpu();

  std::vector<uint8_t> writePlan() const;
  /// The file.
  std::vector<uint8_t> write() const;
  /// The file, opened.
  std::shared_ptr<const Package> open() const;

  /// Position of a size, added if it is new.
  uint32_t size(const package::Linear &linear);
  package::KernelT &kernel(const std::string &name);
  package::ProgramT &program(const std::string &name);
};

/// Stored members in the order given, and the comment with version and digest.
std::vector<uint8_t>
writeZip(const std::vector<std::pair<std::string, std::string>> &members,
         std::string_view commentPrefix = "varve package 1 xxh3-128 ");

/// Puts the digest right after a change.
void sealDigest(std::vector<uint8_t> &bytes);

/// A safetensors file with one tensor after another.
struct TensorSpec {
  std::string name, type;
  std::vector<int64_t> shape;
  std::string bytes;
};
std::string writeSafetensors(const std::vector<TensorSpec> &tensors);

/// A folder of its own for this test, emptied.
std::string freshFolder(const std::string &name);
void writeFile(const std::string &path, const std::string &bytes);

/// A checkpoint for kernels.c in `folder`: value of token i is i + 1.
void writeCheckpoint(const std::string &folder);
/// The same in a folder of its own, which is returned.
std::string writeCheckpoint();

/// What the model of kernels.c answers to a sequence of ids: the logits of its
/// last token, computed by plain loops.
std::vector<float> expectedLogits(const std::vector<int64_t> &ids);

/// A reference.safetensors for kernels.c: sequences, and the streams around
/// layer 0.
void writeReference(const std::string &folder);

} // namespace varve::runtime::testing

#endif // VARVE_TEST_UNIT_RUNTIME_PACKAGEBUILDER_H
