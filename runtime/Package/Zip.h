//===- Zip.h - Reader of stored zip archives -------------------*- C++ -*-===//
//
// A package is a zip archive whose members are stored, not compressed, so that
// they can be used where they lie in the mapped file. Everything that the
// format says twice (in the central directory and in front of the member) must
// agree, and members may not overlap.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_RUNTIME_PACKAGE_ZIP_H
#define VARVE_RUNTIME_PACKAGE_ZIP_H

#include "runtime/MappedFile.h"
#include <map>
#include <string>
#include <string_view>

namespace varve::runtime {

class ZipArchive {
public:
  /// Reads the directory of `bytes`, which must outlive the archive. Checks
  /// bounds, not contents. `path` is for messages.
  static ZipArchive read(const std::string &path, Bytes bytes);

  /// The bytes of a member; throws if there is none of that name.
  Bytes get(std::string_view name) const;
  bool has(std::string_view name) const { return members.count(name) != 0; }

  const std::map<std::string, Bytes, std::less<>> &getMembers() const {
    return members;
  }

private:
  std::string path;
  std::map<std::string, Bytes, std::less<>> members;
};

} // namespace varve::runtime

#endif // VARVE_RUNTIME_PACKAGE_ZIP_H
