//===- KernelCacheTest.cpp - Entries, damage, many processes ---*- C++ -*-===//
#include "lib/Cache/KernelCache.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include <cstdlib>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

using namespace varve;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

namespace {
class KernelCacheTest : public testing::Test {
protected:
  void SetUp() override {
    llvm::SmallString<128> path;
    ASSERT_FALSE(llvm::sys::fs::createUniqueDirectory("varve-cache", path));
    directory = path.str().str();
  }
  void TearDown() override {
    llvm::sys::fs::set_current_path("/");
    llvm::sys::fs::setPermissions(directory, llvm::sys::fs::all_all);
    llvm::sys::fs::remove_directories(directory);
  }

  KernelCacheOptions options() {
    KernelCacheOptions result;
    result.directory = directory;
    result.pruneInterval = std::chrono::seconds(0);
    return result;
  }
  KernelCache open() {
    return KernelCache(options(), [this](llvm::StringRef w) { warn(w); });
  }
  void warn(llvm::StringRef warning) { warnings.push_back(warning.str()); }

  /// Full paths of the entries, or of files with another prefix.
  std::vector<std::string> files(llvm::StringRef prefix = "llvmcache-varve-") {
    std::vector<std::string> result;
    std::error_code error;
    for (llvm::sys::fs::directory_iterator it(directory, error), end;
         it != end && !error; it.increment(error))
      if (llvm::sys::path::filename(it->path()).starts_with(prefix))
        result.push_back(it->path());
    return result;
  }
  static std::string read(const std::string &path) {
    return (*llvm::MemoryBuffer::getFile(path, false, false))
        ->getBuffer()
        .str();
  }
  static void write(const std::string &path, llvm::StringRef text) {
    std::error_code error;
    llvm::raw_fd_ostream(path, error) << text;
    ASSERT_FALSE(error);
  }

  std::string directory;
  std::vector<std::string> warnings;
};

std::string key(llvm::StringRef text) {
  return CacheKeyBuilder().add("module", text).finish();
}

TEST(CacheKeyTest, keysDependOnEveryPartAndItsBorders) {
  auto of = [](std::initializer_list<std::pair<const char *, const char *>> l) {
    CacheKeyBuilder builder;
    for (auto [label, value] : l)
      builder.add(label, value);
    return builder.finish();
  };
  EXPECT_EQ(of({{"a", "b"}}), of({{"a", "b"}}));
  EXPECT_THAT(of({{"a", "b"}}), SizeIs(64));
  EXPECT_NE(of({{"a", "b"}}), of({{"a", "c"}}));
  EXPECT_NE(of({{"a", "bc"}}), of({{"ab", "c"}}));
  EXPECT_NE(of({{"a", "b"}, {"c", "d"}}), of({{"a", "bcd"}}));
  EXPECT_NE(of({}), of({{"", ""}}));
}

// The first of BLAKE3's published test vectors.
TEST(CacheKeyTest, emptyKeyIsTheDigestOfNothing) {
  EXPECT_EQ(CacheKeyBuilder().finish(),
            "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262");
}

TEST(CacheKeyTest, theCompilerHasAnIdentity) {
  EXPECT_THAT(getCompilerBuildId(), SizeIs(64));
  EXPECT_EQ(getCompilerBuildId(), getCompilerBuildId());
}

TEST_F(KernelCacheTest, whatIsStoredIsFound) {
  KernelCache cache = open();
  EXPECT_FALSE(cache.lookup(key("k")));
  CacheEntry entry{{"ptx", "text"}, {"cubin", std::string("\0\x7f\n", 3)}};
  cache.store(key("k"), entry);
  EXPECT_EQ(cache.lookup(key("k")), entry);
  EXPECT_FALSE(cache.lookup(key("other")));
  // Another process finds it, too.
  EXPECT_EQ(open().lookup(key("k")), entry);
  EXPECT_EQ(cache.getHits(), 1u);
  EXPECT_EQ(cache.getMisses(), 2u);
  EXPECT_THAT(warnings, IsEmpty());
}

TEST_F(KernelCacheTest, laterEntriesReplaceEarlierOnes) {
  KernelCache cache = open();
  cache.store(key("k"), {{"a", "1"}});
  cache.store(key("k"), {{"a", "2"}});
  EXPECT_EQ(cache.lookup(key("k")), (CacheEntry{{"a", "2"}}));
  EXPECT_THAT(files(), SizeIs(1));
}

TEST(CacheEntryTest, entriesSurviveTheRoundTrip) {
  for (const CacheEntry &entry :
       {CacheEntry(), CacheEntry{{"", ""}},
        CacheEntry{{"a", std::string(100000, 'x')}, {"b", ""}}})
    EXPECT_EQ(llvm::cantFail(decodeCacheEntry(encodeCacheEntry(entry))), entry);
}

TEST(CacheEntryTest, everyDamagedByteIsNoticed) {
  std::string bytes = encodeCacheEntry({{"ptx", "some text"}, {"cubin", "x"}});
  for (size_t i = 0; i < bytes.size(); ++i) {
    std::string damaged = bytes;
    damaged[i] ^= 0x40;
    auto entry = decodeCacheEntry(damaged);
    EXPECT_FALSE(static_cast<bool>(entry)) << i;
    llvm::consumeError(entry.takeError());
    auto cut = decodeCacheEntry(llvm::StringRef(bytes).take_front(i));
    EXPECT_FALSE(static_cast<bool>(cut)) << i;
    llvm::consumeError(cut.takeError());
  }
}

// A digest that fits does not make lengths true.
TEST(CacheEntryTest, lengthsBeyondTheEntryAreRefused) {
  for (llvm::StringRef body :
       {llvm::StringRef("\x01\0\0\0\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff"
                        "a",
                        17),
        llvm::StringRef("\xff\xff\xff\xff\xff\xff\xff\xff\x01\0\0\0\0\0\0\0"
                        "a",
                        17),
        llvm::StringRef("\x01\0\0", 3)}) {
    auto digest = llvm::BLAKE3::hash<32>(llvm::arrayRefFromStringRef(body));
    std::string bytes =
        "varve-kernel-1\n" + llvm::toStringRef(digest).str() + body.str();
    auto entry = decodeCacheEntry(bytes);
    ASSERT_FALSE(static_cast<bool>(entry));
    EXPECT_THAT(llvm::toString(entry.takeError()), HasSubstr("ends within"));
  }
}

TEST_F(KernelCacheTest, damagedEntriesAreIgnoredRemovedAndReplaced) {
  KernelCache cache = open();
  cache.store(key("k"), {{"ptx", "text"}});
  ASSERT_THAT(files(), SizeIs(1));
  std::string path = files()[0];
  std::string bytes = read(path);
  bytes.back() ^= 1;
  write(path, bytes);
  EXPECT_FALSE(cache.lookup(key("k")));
  ASSERT_THAT(warnings, SizeIs(1));
  EXPECT_THAT(warnings[0], HasSubstr("damaged cache entry " + path));
  EXPECT_THAT(warnings[0], HasSubstr("digest does not match"));
  EXPECT_THAT(files(), IsEmpty());
  cache.store(key("k"), {{"ptx", "text"}});
  EXPECT_TRUE(cache.lookup(key("k")));
}

TEST_F(KernelCacheTest, unwritableDirectoriesAreMentionedOnce) {
  // A file where the directory should be: fails for every user.
  std::string blocked = directory + "/file";
  write(blocked, "");
  KernelCacheOptions o = options();
  o.directory = blocked + "/cache";
  KernelCache cache(o, [this](llvm::StringRef w) { warn(w); });
  cache.store(key("a"), {{"x", "1"}});
  cache.store(key("b"), {{"x", "1"}});
  EXPECT_FALSE(cache.lookup(key("a")));
  ASSERT_THAT(warnings, SizeIs(1));
  EXPECT_THAT(warnings[0], HasSubstr("kernels are compiled but not cached: "
                                     "cannot create " +
                                     o.directory));
  EXPECT_THAT(warnings[0], HasSubstr("VARVE_CACHE_DIR"));
  cache.prune(); // nothing to do, nothing said
  EXPECT_THAT(warnings, SizeIs(1));
}

TEST_F(KernelCacheTest, readOnlyDirectoriesStillServe) {
  if (geteuid() == 0)
    GTEST_SKIP() << "permissions do not bind the superuser";
  open().store(key("k"), {{"x", "1"}});
  llvm::sys::fs::setPermissions(directory, llvm::sys::fs::all_read |
                                               llvm::sys::fs::all_exe);
  KernelCache cache = open();
  EXPECT_TRUE(cache.lookup(key("k")));
  cache.store(key("l"), {{"x", "1"}});
  EXPECT_THAT(warnings, SizeIs(1));
}

TEST_F(KernelCacheTest, pruningKeepsWhatWasUsedLast) {
  KernelCacheOptions o = options();
  o.maxBytes = 35000;
  KernelCache cache(o, [this](llvm::StringRef w) { warn(w); });
  std::string big(10000, 'x');
  for (const char *name : {"a", "b", "c", "d", "e"})
    cache.store(key(name), {{"x", big}});
  // Older than any other, then used.
  auto hoursAgo = [](int hours) {
    return std::chrono::time_point_cast<std::chrono::nanoseconds>(
        std::chrono::system_clock::now() - std::chrono::hours(hours));
  };
  int age = 1;
  for (const char *name : {"e", "d", "c", "b", "a"}) {
    std::string path = directory + "/llvmcache-varve-" + key(name);
    int fd = -1;
    ASSERT_FALSE(llvm::sys::fs::openFileForReadWrite(
        path, fd, llvm::sys::fs::CD_OpenExisting, llvm::sys::fs::OF_None));
    ASSERT_FALSE(
        llvm::sys::fs::setLastAccessAndModificationTime(fd, hoursAgo(age++)));
    close(fd);
  }
  EXPECT_TRUE(cache.lookup(key("a")));
  // A file of someone else's is left alone.
  write(directory + "/notes.txt", std::string(50000, 'n'));
  cache.prune();
  EXPECT_THAT(files(), SizeIs(3));
  EXPECT_TRUE(llvm::sys::fs::exists(directory + "/notes.txt"));
  EXPECT_TRUE(cache.lookup(key("a")));
  EXPECT_TRUE(cache.lookup(key("e")));
  EXPECT_TRUE(cache.lookup(key("d")));
  EXPECT_FALSE(cache.lookup(key("b")));
  EXPECT_FALSE(cache.lookup(key("c")));
}

// A process that was killed while it wrote leaves a file; a process that is
// writing has one, too.
TEST_F(KernelCacheTest, pruningRemovesAbandonedFilesOnly) {
  std::string abandoned = directory + "/varve-new-0123456789ab";
  write(abandoned, "half an ent");
  write(directory + "/varve-new-ba9876543210", "just begun");
  int fd = -1;
  ASSERT_FALSE(llvm::sys::fs::openFileForReadWrite(
      abandoned, fd, llvm::sys::fs::CD_OpenExisting, llvm::sys::fs::OF_None));
  ASSERT_FALSE(llvm::sys::fs::setLastAccessAndModificationTime(
      fd, std::chrono::time_point_cast<std::chrono::nanoseconds>(
              std::chrono::system_clock::now() - std::chrono::hours(2))));
  close(fd);
  open().prune();
  EXPECT_THAT(files("varve-new-"), SizeIs(1));
  EXPECT_FALSE(llvm::sys::fs::exists(abandoned));
}

// Several processes write, read and prune the same keys at once. Every entry
// that is read must be one that was written for its key.
TEST_F(KernelCacheTest, processesShareADirectory) {
  constexpr int kProcesses = 6, kRounds = 150, kKeys = 7;
  std::vector<pid_t> children;
  for (int process = 0; process < kProcesses; ++process) {
    pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      KernelCacheOptions o = options();
      o.maxBytes = 100000;
      int damaged = 0;
      KernelCache cache(o, [&](llvm::StringRef w) {
        llvm::errs() << w << "\n";
        ++damaged;
      });
      for (int round = 0; round < kRounds; ++round) {
        std::string name = std::to_string((round * 5 + process) % kKeys);
        std::string value = name + std::string(20000, 'v');
        cache.store(key(name), {{"value", value}});
        std::string other = std::to_string((round * 3 + process) % kKeys);
        if (auto entry = cache.lookup(key(other)))
          if ((*entry)["value"] != other + std::string(20000, 'v'))
            _exit(2);
        if (round % 10 == 0)
          cache.prune();
      }
      _exit(damaged ? 1 : 0);
    }
    children.push_back(child);
  }
  for (pid_t child : children) {
    int status = -1;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 0)
        << "1: an entry was damaged; 2: an entry was another key's";
  }
  EXPECT_THAT(files("varve-new-"), IsEmpty());
}

TEST_F(KernelCacheTest, threadsShareACache) {
  KernelCache cache = open();
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 100; ++i) {
        std::string name = std::to_string(i % 5);
        cache.store(key(name), {{"value", name}});
        auto entry = cache.lookup(key(name));
        if (!entry || (*entry)["value"] != name)
          ++wrong;
      }
    });
  for (std::thread &thread : threads)
    thread.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(cache.getHits(), 400u);
}

TEST(CacheDirectoryTest, theVariableDecides) {
  setenv("VARVE_CACHE_DIR", "/some/where", 1);
  EXPECT_EQ(KernelCache::getDefaultDirectory(), "/some/where");
  setenv("VARVE_CACHE_DIR", "", 1);
  EXPECT_EQ(KernelCache::getDefaultDirectory(), std::nullopt);
  unsetenv("VARVE_CACHE_DIR");
  setenv("XDG_CACHE_HOME", "/home/someone/.cache", 1);
  EXPECT_EQ(KernelCache::getDefaultDirectory(),
            "/home/someone/.cache/varve/kernels");
  unsetenv("XDG_CACHE_HOME");
}
} // namespace
