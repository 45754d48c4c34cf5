//===- MappedFile.cpp - A file's bytes ------------------------------------===//

#include "runtime/MappedFile.h"
#include "runtime/Error.h"
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace varve::runtime {

MappedFile MappedFile::open(const std::string &path) {
  // O_NONBLOCK: opening a pipe would wait for its other end.
  int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0)
    fail("{}: {}", inQuotes(path), std::strerror(errno));
  struct stat status;
  if (::fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode)) {
    ::close(descriptor);
    fail("{}: expected a file", inQuotes(path));
  }
  MappedFile file;
  file.path = path;
  if (status.st_size > 0) {
    void *address =
        ::mmap(nullptr, status.st_size, PROT_READ, MAP_PRIVATE, descriptor, 0);
    int error = errno;
    ::close(descriptor);
    if (address == MAP_FAILED)
      fail("{}: cannot be mapped: {}", inQuotes(path), std::strerror(error));
    file.bytes = {static_cast<const uint8_t *>(address),
                  static_cast<size_t>(status.st_size)};
    file.mapped = true;
  } else {
    ::close(descriptor);
  }
  return file;
}

MappedFile MappedFile::ofBytes(std::string name, std::vector<uint8_t> bytes) {
  MappedFile file;
  file.path = std::move(name);
  file.owned = std::move(bytes);
  file.bytes = file.owned;
  return file;
}

MappedFile::MappedFile(MappedFile &&other) noexcept {
  *this = std::move(other);
}

MappedFile &MappedFile::operator=(MappedFile &&other) noexcept {
  std::swap(path, other.path);
  std::swap(bytes, other.bytes);
  std::swap(mapped, other.mapped);
  // The buffer of a vector stays where it is.
  std::swap(owned, other.owned);
  return *this;
}

MappedFile::~MappedFile() {
  if (mapped)
    ::munmap(const_cast<uint8_t *>(bytes.data()), bytes.size());
}

} // namespace varve::runtime
