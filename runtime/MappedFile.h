//===- MappedFile.h - A file's bytes ---------------------------*- C++ -*-===//
#ifndef VARVE_RUNTIME_MAPPEDFILE_H
#define VARVE_RUNTIME_MAPPEDFILE_H

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace varve::runtime {

using Bytes = std::span<const uint8_t>;

/// A file mapped for reading, or bytes in memory with a name. The file must not
/// shrink while it is mapped.
class MappedFile {
public:
  /// Throws if `path` is no regular file that can be read.
  static MappedFile open(const std::string &path);

  static MappedFile ofBytes(std::string name, std::vector<uint8_t> bytes);

  MappedFile(MappedFile &&other) noexcept;
  MappedFile &operator=(MappedFile &&other) noexcept;
  ~MappedFile();

  const std::string &getPath() const { return path; }
  Bytes getBytes() const { return bytes; }

private:
  MappedFile() = default;

  std::string path;
  Bytes bytes;
  bool mapped = false;
  std::vector<uint8_t> owned;
};

} // namespace varve::runtime

#endif // VARVE_RUNTIME_MAPPEDFILE_H
