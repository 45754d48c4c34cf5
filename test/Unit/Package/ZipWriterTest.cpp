//===- ZipWriterTest.cpp - The package container --------------------------===//
//
// Files are read back with the runtime's reader, which was written from
// Format.h and shares no code with the writer.
//
//===----------------------------------------------------------------------===//

#include "lib/Package/ZipWriter.h"
#include "runtime/Package/Zip.h"
#include "varve/Package/Format.h"
#include "llvm/Support/MemoryBuffer.h"
#include "gmock/gmock.h"

using namespace varve;
using namespace varve::package;
using ::testing::HasSubstr;

namespace {

runtime::Bytes toBytes(const std::string &text) {
  return {reinterpret_cast<const uint8_t *>(text.data()), text.size()};
}

std::string toText(runtime::Bytes bytes) {
  return {reinterpret_cast<const char *>(bytes.data()), bytes.size()};
}

std::string write(ZipWriter writer) {
  llvm::Expected<std::string> file = std::move(writer).finish();
  EXPECT_TRUE(static_cast<bool>(file));
  return file ? *file : "";
}

void add(ZipWriter &writer, llvm::StringRef name, llvm::StringRef bytes,
         size_t alignment) {
  llvm::Error error = writer.add(name, bytes, alignment);
  EXPECT_FALSE(static_cast<bool>(error));
  llvm::consumeError(std::move(error));
}

std::string addingFails(ZipWriter &writer, llvm::StringRef name) {
  llvm::Error error = writer.add(name, "", 64);
  return llvm::toString(std::move(error));
}

TEST(Digest, IsTheOneThatOtherProgramsPrint) {
  // What `xxhsum -H2` prints for these inputs.
  EXPECT_EQ(getDigest(""), "99aa06d3014798d86001c324468d497f");
  EXPECT_EQ(getDigest("abc"), "06b05ab6733a618578af5f94892f3950");
}

TEST(ZipWriter, ReaderFindsWhatWasWritten) {
  ZipWriter writer;
  add(writer, "manifest.json", "{}\n", 64);
  add(writer, "x86-64/plan", std::string(100, 'p'), 64);
  add(writer, "x86-64/kernels.so", std::string(5000, 'k'), 4096);
  add(writer, "empty", "", 64);
  std::string file = write(std::move(writer));
  auto archive = runtime::ZipArchive::read("test", toBytes(file));
  EXPECT_EQ(archive.getMembers().size(), 4u);
  EXPECT_EQ(toText(archive.get("manifest.json")), "{}\n");
  EXPECT_EQ(toText(archive.get("x86-64/plan")), std::string(100, 'p'));
  EXPECT_EQ(toText(archive.get("x86-64/kernels.so")), std::string(5000, 'k'));
  EXPECT_EQ(toText(archive.get("empty")), "");
}

TEST(ZipWriter, DataIsAlignedWhateverTheNamesAre) {
  // Every length of name shifts the data; some leave fewer bytes than an extra
  // field needs.
  ZipWriter writer;
  for (size_t length = 1; length <= 70; ++length)
    add(writer, std::string(length, 'n'), "data", 64);
  add(writer, "large", "data", 4096);
  std::string file = write(std::move(writer));
  auto archive = runtime::ZipArchive::read("test", toBytes(file));
  const auto *start = reinterpret_cast<const uint8_t *>(file.data());
  for (const auto &[name, bytes] : archive.getMembers())
    EXPECT_EQ((bytes.data() - start) % (name == "large" ? 4096 : 64), 0)
        << name;
}

TEST(ZipWriter, FileEndsWithVersionAndDigestOfAllBefore) {
  ZipWriter writer;
  add(writer, "a", "b", 64);
  std::string file = write(std::move(writer));
  llvm::StringRef end = llvm::StringRef(file).take_back(kCommentSize);
  EXPECT_TRUE(end.starts_with("varve package 1 xxh3-128 "));
  llvm::StringRef body = llvm::StringRef(file).drop_back(kDigestDigits);
  EXPECT_EQ(end.take_back(kDigestDigits), getDigest(body));
}

TEST(ZipWriter, SameMembersGiveSameBytes) {
  std::string files[2];
  for (std::string &file : files) {
    ZipWriter writer;
    add(writer, "a", "b", 64);
    add(writer, "c/d", "e", 4096);
    file = write(std::move(writer));
  }
  EXPECT_EQ(files[0], files[1]);
}

TEST(ZipWriter, RefusesNamesThatLeaveTheFolder) {
  ZipWriter writer;
  for (const char *name : {"", "/a", "a//b", "../a", "a/..", "./a", "a\\b"})
    EXPECT_THAT(addingFails(writer, name),
                HasSubstr("cannot name a package member"))
        << name;
  EXPECT_THAT(addingFails(writer, std::string(65536, 'n')),
              HasSubstr("cannot name a package member"));
}

TEST(ZipWriter, RefusesTheSameNameTwice) {
  ZipWriter writer;
  add(writer, "a", "", 64);
  EXPECT_EQ(addingFails(writer, "a"), "two package members are named 'a'");
}

} // namespace
