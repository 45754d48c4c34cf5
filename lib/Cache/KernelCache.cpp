//===- KernelCache.cpp - Compiled kernels on disk --------------*- C++ -*-===//
//
// An entry is one file: magic, digest of what follows, then the parts, each as
// two lengths with name and bytes, all little-endian. It is written under a
// temporary name and renamed.
//
//===----------------------------------------------------------------------===//
#include "lib/Cache/KernelCache.h"
#include "varve/Support/Assert.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/CachePruning.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Process.h"
#include "llvm/Support/raw_ostream.h"

using namespace llvm;
using namespace varve;

static constexpr StringLiteral kMagic = "varve-kernel-1\n";
static constexpr size_t kDigestSize = 32;
/// llvm::pruneCache removes files of this prefix only.
static constexpr StringLiteral kPrefix = "llvmcache-varve-";
static constexpr StringLiteral kTemporaryPrefix = "varve-new-";

static void appendLength(std::string &bytes, uint64_t length) {
  char buffer[8];
  support::endian::write64le(buffer, length);
  bytes.append(buffer, sizeof(buffer));
}

CacheKeyBuilder &CacheKeyBuilder::add(StringRef label, StringRef value) {
  for (StringRef part : {label, value}) {
    std::string length;
    appendLength(length, part.size());
    hasher.update(length);
    hasher.update(part);
  }
  return *this;
}

std::string CacheKeyBuilder::finish() {
  auto digest = hasher.final();
  return toHex(digest, /*LowerCase=*/true);
}

//===----------------------------------------------------------------------===//
// Entries
//===----------------------------------------------------------------------===//

std::string varve::encodeCacheEntry(const CacheEntry &entry) {
  std::string body;
  for (auto &[name, value] : entry) {
    appendLength(body, name.size());
    appendLength(body, value.size());
    body += name;
    body += value;
  }
  auto digest = BLAKE3::hash<kDigestSize>(arrayRefFromStringRef(body));
  return kMagic.str() + toStringRef(digest).str() + body;
}

Expected<CacheEntry> varve::decodeCacheEntry(StringRef bytes) {
  if (!bytes.consume_front(kMagic) || bytes.size() < kDigestSize)
    return createStringError("not a cache entry of this version");
  StringRef stored = bytes.take_front(kDigestSize);
  bytes = bytes.drop_front(kDigestSize);
  auto digest = BLAKE3::hash<kDigestSize>(arrayRefFromStringRef(bytes));
  if (stored != toStringRef(digest))
    return createStringError("its digest does not match its contents");
  CacheEntry entry;
  while (!bytes.empty()) {
    if (bytes.size() < 16)
      return createStringError("it ends within a length");
    uint64_t nameSize = support::endian::read64le(bytes.data());
    uint64_t valueSize = support::endian::read64le(bytes.data() + 8);
    bytes = bytes.drop_front(16);
    if (nameSize > bytes.size() || valueSize > bytes.size() - nameSize)
      return createStringError("it ends within a part");
    entry[bytes.take_front(nameSize).str()] =
        bytes.substr(nameSize, valueSize).str();
    bytes = bytes.drop_front(nameSize + valueSize);
  }
  return entry;
}

//===----------------------------------------------------------------------===//
// The directory
//===----------------------------------------------------------------------===//

std::optional<std::string> KernelCache::getDefaultDirectory() {
  if (std::optional<std::string> dir = sys::Process::GetEnv("VARVE_CACHE_DIR"))
    return dir->empty() ? std::nullopt : dir;
  SmallString<128> path;
  if (!sys::path::cache_directory(path))
    return std::nullopt;
  sys::path::append(path, "varve", "kernels");
  return path.str().str();
}

KernelCache::KernelCache(KernelCacheOptions options,
                         std::function<void(StringRef)> warn)
    : options(std::move(options)), warn(std::move(warn)) {
  VARVE_ASSERT(!this->options.directory.empty(), "a cache needs a directory");
}

std::string KernelCache::getPath(StringRef key) const {
  SmallString<128> path(options.directory);
  sys::path::append(path, kPrefix + key);
  return path.str().str();
}

/// Marks a file as used now, for prune(). Failure costs only precision. (Not
/// in append mode, which would create the file if another process has just
/// removed it.)
static void touch(StringRef path) {
  int fd = -1;
  if (sys::fs::openFileForWrite(path, fd, sys::fs::CD_OpenExisting,
                                sys::fs::OF_None))
    return;
  (void)sys::fs::setLastAccessAndModificationTime(
      fd, std::chrono::time_point_cast<std::chrono::nanoseconds>(
              std::chrono::system_clock::now()));
  (void)sys::Process::SafelyCloseFileDescriptor(fd);
}

std::optional<CacheEntry> KernelCache::lookup(StringRef key) {
  std::string path = getPath(key);
  auto buffer = MemoryBuffer::getFile(path, /*IsText=*/false,
                                      /*RequiresNullTerminator=*/false,
                                      /*IsVolatile=*/true);
  if (!buffer) {
    ++misses;
    return std::nullopt;
  }
  Expected<CacheEntry> entry = decodeCacheEntry((*buffer)->getBuffer());
  if (!entry) {
    ++misses;
    warn(("ignoring and removing the damaged cache entry " + path + ": " +
          toString(entry.takeError()))
             .c_str());
    sys::fs::remove(path);
    return std::nullopt;
  }
  ++hits;
  touch(path);
  return std::move(*entry);
}

void KernelCache::giveUpWriting(const Twine &why) {
  if (writable.exchange(false))
    warn(("kernels are compiled but not cached: " + why +
          "; set VARVE_CACHE_DIR to a directory that can be written, or to "
          "nothing to turn caching off")
             .str());
}

void KernelCache::store(StringRef key, const CacheEntry &entry) {
  if (!writable)
    return;
  std::string path = getPath(key);
  if (std::error_code error = sys::fs::create_directories(options.directory))
    return giveUpWriting("cannot create " + options.directory + ": " +
                         error.message());
  // Not an entry's name: another process that prunes must not take it.
  SmallString<128> temporary(options.directory);
  sys::path::append(temporary, kTemporaryPrefix + "%%%%%%%%%%%%");
  Expected<sys::fs::TempFile> file = sys::fs::TempFile::create(temporary);
  if (!file)
    return giveUpWriting("cannot write to " + options.directory + ": " +
                         toString(file.takeError()));
  raw_fd_ostream os(file->FD, /*shouldClose=*/false);
  os << encodeCacheEntry(entry);
  os.flush();
  if (os.has_error()) {
    std::string message = os.error().message();
    os.clear_error();
    consumeError(file->discard());
    return giveUpWriting("cannot write to " + options.directory + ": " +
                         message);
  }
  if (Error error = file->keep(path))
    giveUpWriting("cannot rename in " + options.directory + ": " +
                  toString(std::move(error)));
}

/// Removes what processes that were killed left behind.
static void removeOldTemporaries(StringRef directory) {
  auto now = std::chrono::system_clock::now();
  std::error_code error;
  for (sys::fs::directory_iterator it(directory, error), end;
       it != end && !error; it.increment(error)) {
    if (!sys::path::filename(it->path()).starts_with(kTemporaryPrefix))
      continue;
    ErrorOr<sys::fs::basic_file_status> status = it->status();
    if (status &&
        now - status->getLastModificationTime() > std::chrono::hours(1))
      sys::fs::remove(it->path());
  }
}

void KernelCache::prune() {
  CachePruningPolicy policy;
  policy.Interval = options.pruneInterval;
  policy.Expiration = std::chrono::hours(24 * 90);
  policy.MaxSizeBytes = options.maxBytes;
  // No rule on free space: a full disk is not ours to watch.
  policy.MaxSizePercentageOfAvailableSpace = 0;
  policy.MaxSizeFiles = 0;
  if (pruneCache(options.directory, policy))
    removeOldTemporaries(options.directory);
}
