//===- Package.h - A compiled model in one file ----------------*- C++ -*-===//
//
// Opening a package maps the file and checks that it is whole: version, digest
// of all bytes, directory. A plan is decoded and verified when it is asked for.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_RUNTIME_PACKAGE_PACKAGE_H
#define VARVE_RUNTIME_PACKAGE_PACKAGE_H

#include "runtime/Package/Plan.h"
#include "runtime/Package/Zip.h"
#include <memory>
#include <vector>

namespace varve::runtime {

enum class DigestCheck {
  Verify,
  Skip, ///< for fuzzers, which could not get past it
};

class Package {
public:
  static std::shared_ptr<const Package> open(const std::string &path);
  /// A package in memory; `name` takes the path's place in messages.
  static std::shared_ptr<const Package>
  ofBytes(std::string name, std::vector<uint8_t> bytes,
          DigestCheck check = DigestCheck::Verify);

  const std::string &getPath() const { return file.getPath(); }
  int64_t getBytes() const { return file.getBytes().size(); }

  /// "sm_90a", "x86-64", …: at least one.
  const std::vector<std::string> &getTargets() const { return targets; }

  /// Decodes and verifies the plan of a target of this package.
  Plan loadPlan(const std::string &target) const;

  /// Contents of the files of a plan of this package.
  std::vector<Bytes> getFiles(const Plan &plan) const;

  const ZipArchive &getArchive() const { return archive; }

private:
  Package(MappedFile file, DigestCheck check);

  MappedFile file;
  ZipArchive archive;
  std::vector<std::string> targets;
};

} // namespace varve::runtime

#endif // VARVE_RUNTIME_PACKAGE_PACKAGE_H
