//===- SafetensorsTest.cpp - Reading one file, right or wrong -------------===//

#include "lib/Checkpoint/Safetensors.h"
#include "test/Unit/Checkpoint/CheckpointTestUtils.h"
#include "llvm/ADT/StringExtras.h"
#include "gmock/gmock.h"
#include <sys/stat.h>

using namespace varve;
using namespace varve::test;

namespace {

llvm::Expected<std::unique_ptr<SafetensorsFile>>
parseBytes(llvm::StringRef bytes) {
  return SafetensorsFile::parse(
      llvm::MemoryBuffer::getMemBufferCopy(bytes, "f.safetensors"));
}

std::string errorOf(llvm::StringRef bytes) {
  auto file = parseBytes(bytes);
  return file ? "no error" : llvm::toString(file.takeError());
}

std::string headerError(llvm::StringRef header, llvm::StringRef data = "") {
  return errorOf(fileBytes(header, data));
}

TEST(Safetensors, ReadsTensorsInHeaderOrderWithTheirData) {
  auto file = parseBytes(fileBytes(
      R"({"__metadata__":{"format":"pt"},
          "b":{"dtype":"U8","shape":[3],"data_offsets":[4,7]},
          "a":{"shape":[2,1],"data_offsets":[0,4],"dtype":"BF16"}}   )",
      "abcdxyz"));
  ASSERT_TRUE(static_cast<bool>(file)) << llvm::toString(file.takeError());
  ASSERT_EQ((*file)->getTensors().size(), 2u);
  EXPECT_EQ((*file)->getTensors()[0].name, "b");
  const SafetensorsTensor *a = (*file)->find("a");
  ASSERT_TRUE(a);
  EXPECT_EQ(a->type, SafetensorsType::BF16);
  EXPECT_EQ(llvm::ArrayRef(a->shape), llvm::ArrayRef<int64_t>({2, 1}));
  EXPECT_EQ(llvm::toStringRef((*file)->getData(*a)), "abcd");
  EXPECT_EQ(llvm::toStringRef((*file)->getData(*(*file)->find("b"))), "xyz");
  EXPECT_FALSE((*file)->find("__metadata__"));
}

TEST(Safetensors, AcceptsEmptyTensorsScalarsAndEscapedNames) {
  auto file = parseBytes(fileBytes(
      R"({"a\u0062\ud83d\ude00\n":{"dtype":"F32","shape":[],"data_offsets":[0,4]},
          "empty":{"dtype":"F32","shape":[0,9223372036854775807],"data_offsets":[4,4]}})",
      "abcd"));
  ASSERT_TRUE(static_cast<bool>(file)) << llvm::toString(file.takeError());
  EXPECT_TRUE((*file)->find("ab\xF0\x9F\x98\x80\n"));
  EXPECT_TRUE((*file)->find("empty"));
}

TEST(Safetensors, AcceptsAFileWithoutTensors) {
  auto file = parseBytes(fileBytes("{}", ""));
  ASSERT_TRUE(static_cast<bool>(file)) << llvm::toString(file.takeError());
  EXPECT_TRUE((*file)->getTensors().empty());
}

// The names and widths that the format's own library (0.8) lists.
TEST(Safetensors, KnowsAllTypes) {
  const std::pair<llvm::StringRef, unsigned> types[] = {
      {"BOOL", 8},    {"F4", 4},          {"F6_E2M3", 6},     {"F6_E3M2", 6},
      {"U8", 8},      {"I8", 8},          {"F8_E5M2", 8},     {"F8_E4M3", 8},
      {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8}, {"I16", 16},
      {"U16", 16},    {"F16", 16},        {"BF16", 16},       {"I32", 32},
      {"U32", 32},    {"F32", 32},        {"C64", 64},        {"F64", 64},
      {"I64", 64},    {"U64", 64}};
  for (const auto &[name, bits] : types) {
    std::optional<SafetensorsType> type = parseSafetensorsType(name);
    ASSERT_TRUE(type) << name.str();
    EXPECT_EQ(bitsOf(*type), bits) << name.str();
    EXPECT_EQ(stringifySafetensorsType(*type), name);
  }
  EXPECT_FALSE(parseSafetensorsType("F128"));
}

TEST(Safetensors, RefusesBrokenFraming) {
  EXPECT_EQ(errorOf("1234567"),
            "f.safetensors: expected the header's length in the first 8 bytes "
            "but the file has 7");
  EXPECT_EQ(errorOf(std::string("\x05\0\0\0\0\0\0\0{}", 10)),
            "f.safetensors: expected a header of 5 bytes but the file ends "
            "after 2 of them; it was cut short");
  EXPECT_EQ(errorOf("<!DOCTYPE html>"),
            "f.safetensors: expected a header of at most 100000000 bytes but "
            "its length is given as 5789751444030890300; this is not a "
            "safetensors file");
}

TEST(Safetensors, RefusesBrokenJson) {
  EXPECT_EQ(headerError(""),
            "f.safetensors: in the header: expected '{' at byte 0");
  EXPECT_EQ(headerError("{"),
            "f.safetensors: in the header: expected a string at byte 1");
  EXPECT_EQ(headerError("{} x"),
            "f.safetensors: in the header: expected the end of the text at "
            "byte 3");
  EXPECT_EQ(headerError("{\"\xFF\":{}}"),
            "f.safetensors: the header is not UTF-8 at byte 2");
  EXPECT_EQ(headerError("{\"a"),
            "f.safetensors: in the header: unterminated string at byte 3");
  EXPECT_EQ(headerError("{\"a\n\":{}}"),
            "f.safetensors: in the header: unescaped control character in a "
            "string at byte 3");
  EXPECT_EQ(headerError(R"({"\x":{}})"),
            "f.safetensors: in the header: unknown escape in a string at byte "
            "4");
  EXPECT_EQ(headerError(R"({"\ud800":{}})"),
            "f.safetensors: in the header: lone surrogate in a string at byte "
            "8");
  EXPECT_EQ(headerError(R"({"\ud800\u0041":{}})"),
            "f.safetensors: in the header: lone surrogate in a string at byte "
            "14");
  EXPECT_EQ(headerError(R"({"\u12g4":{}})"),
            "f.safetensors: in the header: expected four hexadecimal digits "
            "at byte 4");
  EXPECT_EQ(headerError(R"({"a" {}})"),
            "f.safetensors: in the header: expected ':' at byte 5");
  EXPECT_EQ(headerError(R"({"__metadata__":{"a":1}})"),
            "f.safetensors: in the header: expected a string at byte 21");
  EXPECT_EQ(headerError(R"({"__metadata__":{},"__metadata__":{}})"),
            "f.safetensors: in the header: '__metadata__' appears twice at "
            "byte 34");
}

// A header of nothing but brackets must not exhaust the stack.
TEST(Safetensors, RefusesDeepNesting) {
  EXPECT_EQ(headerError(std::string(10'000'000, '[')),
            "f.safetensors: in the header: expected '{' at byte 0");
  std::string nested = "{\"a\":" + std::string(10'000'000, '{');
  EXPECT_EQ(headerError(nested), "f.safetensors: in the header: tensor 'a': "
                                 "expected a string at byte 6");
}

TEST(Safetensors, RefusesWrongMembers) {
  auto entryError = [](llvm::StringRef entry) {
    std::string text = headerError(("{\"t\":" + entry + "}").str(), "abcd");
    llvm::StringRef rest = text;
    EXPECT_TRUE(
        rest.consume_front("f.safetensors: in the header: tensor 't': "))
        << text;
    return rest.str();
  };
  EXPECT_EQ(entryError("7"), "expected '{' at byte 5");
  EXPECT_EQ(entryError("{}"), "missing member 'dtype' at byte 7");
  EXPECT_EQ(entryError(R"({"dtype":"F32"})"),
            "missing member 'shape' at byte 20");
  EXPECT_EQ(entryError(R"({"dtype":"F32","shape":[1]})"),
            "missing member 'data_offsets' at byte 32");
  EXPECT_EQ(entryError(R"({"dtype":"F31"})"), "unknown dtype 'F31' at byte 19");
  EXPECT_EQ(entryError(R"({"dtype":32})"), "expected a string at byte 14");
  EXPECT_EQ(entryError(R"({"dtype":"F32","dtype":"F32"})"),
            "member 'dtype' appears twice at byte 28");
  EXPECT_EQ(entryError(R"({"strides":[1]})"),
            "unknown member 'strides' at byte 16");
  EXPECT_EQ(entryError(R"({"shape":[-1]})"),
            "expected an integer that is not negative at byte 15");
  EXPECT_EQ(entryError(R"({"shape":[1.5]})"),
            "expected an integer that is not negative at byte 15");
  EXPECT_EQ(entryError(R"({"shape":[01]})"),
            "expected a number without leading zeros at byte 15");
  EXPECT_EQ(entryError(R"({"shape":[9223372036854775808]})"),
            "expected a number of at most 9223372036854775807 at byte 15");
  EXPECT_EQ(entryError(R"({"shape":[99999999999999999999999]})"),
            "expected a number of at most 9223372036854775807 at byte 15");
  EXPECT_EQ(entryError(R"({"shape":"2"})"), "expected '[' at byte 14");
  EXPECT_EQ(entryError(R"({"shape":[1 2]})"), "expected ',' or ']' at byte 17");
  EXPECT_EQ(entryError(R"({"data_offsets":[0]})"),
            "expected two data_offsets at byte 24");
  EXPECT_EQ(entryError(R"({"data_offsets":[0,1,2]})"),
            "expected two data_offsets at byte 26");
  std::string shape = "1";
  for (int i = 0; i < 32; ++i)
    shape += ",1";
  EXPECT_EQ(entryError("{\"shape\":[" + shape + "]}"),
            "expected at most 32 dimensions at byte 79");
}

TEST(Safetensors, RefusesDuplicateNames) {
  EXPECT_EQ(headerError(
                R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
                R"("\u0061":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})",
                "xy"),
            "f.safetensors: in the header: tensor 'a' appears twice at byte "
            "62");
}

TEST(Safetensors, RefusesSizesThatDisagree) {
  auto sizeError = [](llvm::StringRef type, llvm::StringRef shape,
                      llvm::StringRef offsets, llvm::StringRef data) {
    return headerError(("{\"t\":{\"dtype\":\"" + type + "\",\"shape\":" +
                        shape + ",\"data_offsets\":" + offsets + "}}")
                           .str(),
                       data);
  };
  EXPECT_EQ(sizeError("F32", "[2]", "[0,4]", "abcd"),
            "f.safetensors: tensor 't': expected 8 bytes for F32 [2] but "
            "data_offsets [0, 4] span 4");
  EXPECT_EQ(sizeError("F32", "[1]", "[4,0]", "abcd"),
            "f.safetensors: tensor 't': expected data_offsets in order but "
            "got [4, 0]");
  EXPECT_EQ(sizeError("F32", "[2]", "[0,8]", "abcd"),
            "f.safetensors: tensor 't': its data ends at byte 8 but the file "
            "holds 4 bytes of data; it was cut short");
  EXPECT_EQ(sizeError("U8", "[4294967296,4294967296]", "[0,4]", "abcd"),
            "f.safetensors: tensor 't': the size of U8 [4294967296, "
            "4294967296] overflows");
  // The product wraps to 4 in 64 bits.
  EXPECT_EQ(sizeError("U8", "[4611686018427387905,4]", "[0,4]", "abcd"),
            "f.safetensors: tensor 't': the size of U8 [4611686018427387905, "
            "4] overflows");
  EXPECT_EQ(sizeError("F4", "[3]", "[0,1]", "a"),
            "f.safetensors: tensor 't': F4 [3] does not fill whole bytes");
  EXPECT_EQ(sizeError("U8", "[1]", "[0,9223372036854775807]", "a"),
            "f.safetensors: tensor 't': its data ends at byte "
            "9223372036854775807 but the file holds 1 bytes of data; it was "
            "cut short");
}

TEST(Safetensors, RefusesOverlapsAndHoles) {
  auto two = [](llvm::StringRef a, llvm::StringRef b) {
    return headerError(("{\"a\":{\"dtype\":\"U8\",\"shape\":[2],"
                        "\"data_offsets\":" +
                        a +
                        "},\"b\":{\"dtype\":\"U8\",\"shape\":[2],"
                        "\"data_offsets\":" +
                        b + "}}")
                           .str(),
                       "vwxyz");
  };
  EXPECT_EQ(two("[1,3]", "[0,2]"),
            "f.safetensors: tensor 'a' at bytes [1, 3) of the data overlaps "
            "'b' at [0, 2)");
  EXPECT_EQ(two("[0,2]", "[0,2]"),
            "f.safetensors: tensor 'b' at bytes [0, 2) of the data overlaps "
            "'a' at [0, 2)");
  EXPECT_EQ(two("[0,2]", "[3,5]"),
            "f.safetensors: no tensor covers bytes [2, 3) of the data, before "
            "'b'");
  EXPECT_EQ(two("[0,2]", "[2,4]"),
            "f.safetensors: the tensors end at byte 4 of the data but the "
            "file holds 5");
}

TEST(Safetensors, QuotesHostileNames) {
  std::string name = R"({"\u001b[31m)" + std::string(300, 'x') + R"(":7})";
  EXPECT_EQ(headerError(name),
            "f.safetensors: in the header: tensor '\\1B[31m" +
                std::string(195, 'x') + "...': expected '{' at byte 314");
}

TEST(Safetensors, RefusesWhatIsNoFile) {
  TestFolder folder;
  auto openError = [&](llvm::StringRef name) {
    auto file = SafetensorsFile::open(folder.path(name));
    EXPECT_FALSE(file);
    return errorText(file.takeError(), folder);
  };
  EXPECT_EQ(openError("none"), "none: No such file or directory");
  ASSERT_FALSE(llvm::sys::fs::create_directory(folder.path("sub")));
  EXPECT_EQ(openError("sub"), "sub: expected a file");
  ASSERT_EQ(mkfifo(folder.path("pipe").c_str(), 0600), 0);
  EXPECT_EQ(openError("pipe"), "pipe: expected a file");
}

// A hole of a terabyte: reading any of the data would be noticed.
TEST(Safetensors, OpensLargeFilesWithoutReadingThem) {
  TestFolder folder;
  int64_t bytes = int64_t(1) << 40;
  folder.write("big",
               fileBytes("{\"t\":{\"dtype\":\"U8\",\"shape\":[" +
                             std::to_string(bytes) + "],\"data_offsets\":[0," +
                             std::to_string(bytes) + "]}}",
                         "x"));
  uint64_t header = 0;
  ASSERT_FALSE(llvm::sys::fs::file_size(folder.path("big"), header));
  int fd;
  ASSERT_FALSE(llvm::sys::fs::openFileForWrite(folder.path("big"), fd,
                                               llvm::sys::fs::CD_OpenExisting));
  std::error_code e = llvm::sys::fs::resize_file(fd, header - 1 + bytes);
  llvm::sys::fs::file_t file = fd;
  llvm::sys::fs::closeFile(file);
  if (e)
    GTEST_SKIP() << "no sparse files here: " << e.message();
  auto opened = SafetensorsFile::open(folder.path("big"));
  ASSERT_TRUE(static_cast<bool>(opened)) << llvm::toString(opened.takeError());
  EXPECT_EQ((*opened)->getData((*opened)->getTensors()[0])[bytes - 1], 0);
}

TEST(Safetensors, ReadsWhatTransformersWrote) {
  auto file =
      SafetensorsFile::open(VARVE_TEST_DATA "/flash-tiny/model.safetensors");
  ASSERT_TRUE(static_cast<bool>(file)) << llvm::toString(file.takeError());
  EXPECT_EQ((*file)->getTensors().size(), 304u);
  const SafetensorsTensor *table =
      (*file)->find("model.layers.0.ffn.gate.tid2eid");
  ASSERT_TRUE(table);
  EXPECT_EQ(table->type, SafetensorsType::I64);
  EXPECT_EQ(llvm::ArrayRef(table->shape), llvm::ArrayRef<int64_t>({256, 2}));
}

} // namespace
