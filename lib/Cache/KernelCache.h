//===- KernelCache.h - Compiled kernels on disk ----------------*- C++ -*-===//
//
// Content-addressed: the key is a digest of everything that the result depends
// on, so entries never become stale and any number of processes may share a
// directory. A cache never fails a compilation: what goes wrong is said once
// and the kernel is compiled. No MLIR.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_CACHE_KERNELCACHE_H
#define VARVE_CACHE_KERNELCACHE_H

#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/BLAKE3.h"
#include "llvm/Support/Error.h"
#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <string>

namespace varve {

/// Builds a key from labelled parts. The parts' lengths are part of the digest,
/// so no two lists of parts have the same bytes.
class CacheKeyBuilder {
public:
  CacheKeyBuilder &add(llvm::StringRef label, llvm::StringRef value);
  /// 64 hexadecimal digits.
  std::string finish();

private:
  llvm::BLAKE3 hasher;
};

/// Identifies the code that compiles: the build IDs of this program and of the
/// LLVM and MLIR libraries that it runs with, or digests of their files where
/// they have none. Computed once.
llvm::StringRef getCompilerBuildId();

/// What is stored under a key: named byte strings ("ptx", "cubin").
using CacheEntry = std::map<std::string, std::string>;

struct KernelCacheOptions {
  /// Where the entries are. Created when needed.
  std::string directory;
  /// Least recently used entries beyond this are removed by prune().
  uint64_t maxBytes = uint64_t(4) << 30;
  /// prune() does nothing if another one ran less than this ago.
  std::chrono::seconds pruneInterval = std::chrono::hours(1);
};

/// Safe to use from several threads.
class KernelCache {
public:
  /// VARVE_CACHE_DIR, else `varve` in the user's cache directory. Nothing if
  /// the variable is set but empty, which turns caching off, or if there is no
  /// such directory.
  static std::optional<std::string> getDefaultDirectory();

  /// `warn` gets one line of text, without a line end, for each kind of
  /// trouble, and may be called from any thread that uses the cache.
  KernelCache(KernelCacheOptions options,
              std::function<void(llvm::StringRef)> warn);

  /// The entry, or nothing if there is none or it is damaged; damaged ones are
  /// removed.
  std::optional<CacheEntry> lookup(llvm::StringRef key);

  /// Stores an entry; a reader sees all of it or nothing. Gives up, with one
  /// warning for the life of this object, if the directory cannot be written.
  void store(llvm::StringRef key, const CacheEntry &entry);

  /// Removes the least recently used entries beyond the size limit.
  void prune();

  uint64_t getHits() const { return hits; }
  uint64_t getMisses() const { return misses; }

private:
  std::string getPath(llvm::StringRef key) const;
  void giveUpWriting(const llvm::Twine &why);

  KernelCacheOptions options;
  std::function<void(llvm::StringRef)> warn;
  std::atomic<bool> writable{true};
  std::atomic<uint64_t> hits{0}, misses{0};
};

/// The bytes of an entry on disk, and back. The error says what is wrong with
/// the bytes.
std::string encodeCacheEntry(const CacheEntry &entry);
llvm::Expected<CacheEntry> decodeCacheEntry(llvm::StringRef bytes);

} // namespace varve

#endif // VARVE_CACHE_KERNELCACHE_H
