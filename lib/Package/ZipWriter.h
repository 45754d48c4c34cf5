//===- ZipWriter.h - The package container ---------------------*- C++ -*-===//
//
// Writes what varve/Package/Format.h describes. The bytes follow from the
// members alone.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_PACKAGE_ZIPWRITER_H
#define VARVE_PACKAGE_ZIPWRITER_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <string>
#include <vector>

namespace varve::package {

/// XXH3-128 as 32 lower-case hexadecimal digits, high half first.
std::string getDigest(llvm::StringRef bytes);

class ZipWriter {
public:
  /// Adds a member, whose data will start at a multiple of `alignment`, a power
  /// of two of at most 32768. The error says that the name is taken or not one
  /// of a member (empty, absolute, with a backslash or a part that is empty,
  /// "." or ".."), or that the file grows beyond 4 GiB.
  llvm::Error add(llvm::StringRef name, llvm::StringRef bytes,
                  size_t alignment);

  /// The file: members, directory, digest.
  llvm::Expected<std::string> finish() &&;

private:
  struct Member {
    std::string name;
    uint32_t crc = 0;
    uint32_t size = 0;
    uint32_t offset = 0;
  };
  void appendSharedFields(const Member &member, uint16_t extraSize);

  std::string file;
  std::vector<Member> members;
};

} // namespace varve::package

#endif // VARVE_PACKAGE_ZIPWRITER_H
