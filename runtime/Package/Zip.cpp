//===- Zip.cpp - Reader of stored zip archives ----------------------------===//

#include "runtime/Package/Zip.h"
#include "runtime/Error.h"
#include <algorithm>
#include <vector>

namespace varve::runtime {

namespace {

constexpr uint32_t endSignature = 0x06054b50;
constexpr uint32_t directorySignature = 0x02014b50;
constexpr uint32_t localSignature = 0x04034b50;
constexpr size_t endSize = 22, directorySize = 46, localSize = 30;
constexpr uint16_t encryptedFlag = 1;

uint16_t read16(const uint8_t *p) { return p[0] | p[1] << 8; }
uint32_t read32(const uint8_t *p) {
  return read16(p) | static_cast<uint32_t>(read16(p + 2)) << 16;
}

/// A member as the central directory describes it.
struct Entry {
  std::string name;
  uint32_t size;
  uint32_t offset;
};

class Reader {
public:
  Reader(const std::string &path, Bytes bytes) : path(path), bytes(bytes) {}

  std::map<std::string, Bytes, std::less<>> readMembers() {
    const uint8_t *end = findEnd();
    uint16_t count = read16(end + 10);
    size_t size = read32(end + 12), offset = read32(end + 16);
    size_t endOffset = end - bytes.data();
    if (read16(end + 4) || read16(end + 6) || read16(end + 8) != count)
      damaged("it spans several disks");
    if (offset > endOffset || size != endOffset - offset)
      damaged(fmt::format("its directory should be bytes [{}, {}) but must end "
                          "at {}",
                          offset, offset + size, endOffset));
    std::vector<Entry> entries =
        readDirectory(bytes.subspan(offset, size), count);
    std::map<std::string, Bytes, std::less<>> members;
    std::vector<std::pair<size_t, size_t>> ranges;
    for (const Entry &entry : entries) {
      size_t begin = dataOf(entry, offset);
      ranges.emplace_back(entry.offset, begin + entry.size);
      if (!members.try_emplace(entry.name, bytes.subspan(begin, entry.size))
               .second)
        damaged(fmt::format("member {} is there twice", inQuotes(entry.name)));
    }
    std::sort(ranges.begin(), ranges.end());
    for (size_t i = 1; i < ranges.size(); ++i)
      if (ranges[i].first < ranges[i - 1].second)
        damaged("its members overlap");
    return members;
  }

private:
  [[noreturn]] void damaged(const std::string &why) const {
    fail("{}: the package is damaged: {}; compile or copy it again",
         inQuotes(path), why);
  }

  /// The last record of an archive; only a comment may follow.
  const uint8_t *findEnd() const {
    if (bytes.size() < 4 || (read32(bytes.data()) != localSignature &&
                             read32(bytes.data()) != endSignature))
      fail("{}: expected a package (a zip archive), got {}", inQuotes(path),
           bytes.empty() ? "an empty file"
                         : "a file that begins with other bytes");
    if (bytes.size() >= endSize)
      for (size_t comment = 0;
           comment <= 0xFFFF && comment + endSize <= bytes.size(); ++comment) {
        const uint8_t *end = bytes.data() + bytes.size() - endSize - comment;
        if (read32(end) == endSignature && read16(end + 20) == comment)
          return end;
      }
    fail("{}: the package is cut short: it has {} bytes and no directory at "
         "its end; copy it again",
         inQuotes(path), bytes.size());
  }

  std::vector<Entry> readDirectory(Bytes directory, size_t count) const {
    std::vector<Entry> entries;
    for (size_t i = 0; i < count; ++i) {
      const uint8_t *p = directory.data();
      if (directory.size() < directorySize || read32(p) != directorySignature)
        damaged(fmt::format("entry {} of its directory is none", i));
      size_t nameSize = read16(p + 28);
      size_t whole = directorySize + nameSize + read16(p + 30) + read16(p + 32);
      if (directory.size() < whole)
        damaged(fmt::format("entry {} of its directory is cut short", i));
      Entry entry;
      entry.name.assign(reinterpret_cast<const char *>(p) + directorySize,
                        nameSize);
      if (read16(p + 8) & encryptedFlag)
        damaged(fmt::format("member {} is encrypted", inQuotes(entry.name)));
      if (read16(p + 10) != 0 || read32(p + 20) != read32(p + 24))
        damaged(fmt::format("member {} is compressed, which packages are not",
                            inQuotes(entry.name)));
      entry.size = read32(p + 24);
      entry.offset = read32(p + 42);
      entries.push_back(std::move(entry));
      directory = directory.subspan(whole);
    }
    if (!directory.empty())
      damaged(fmt::format("{} bytes follow the last entry of its directory",
                          directory.size()));
    return entries;
  }

  /// Where the data of a member begins; members lie in front of `limit`.
  size_t dataOf(const Entry &entry, size_t limit) const {
    size_t offset = entry.offset;
    auto outside = [&] {
      damaged(fmt::format("member {} of {} bytes at byte {} reaches beyond the "
                          "members' end at {}",
                          inQuotes(entry.name), entry.size, offset, limit));
    };
    if (offset > limit || limit - offset < localSize)
      outside();
    const uint8_t *p = bytes.data() + offset;
    if (read32(p) != localSignature)
      damaged(fmt::format("member {} does not begin at byte {}",
                          inQuotes(entry.name), offset));
    size_t nameSize = read16(p + 26);
    size_t begin = offset + localSize + nameSize + read16(p + 28);
    if (begin > limit || limit - begin < entry.size)
      outside();
    std::string_view name(reinterpret_cast<const char *>(p) + localSize,
                          nameSize);
    if (name != entry.name || read16(p + 8) != 0 ||
        read32(p + 18) != entry.size || read32(p + 22) != entry.size)
      damaged(fmt::format("member {} and its directory entry disagree",
                          inQuotes(entry.name)));
    return begin;
  }

  const std::string &path;
  Bytes bytes;
};

} // namespace

ZipArchive ZipArchive::read(const std::string &path, Bytes bytes) {
  ZipArchive archive;
  archive.path = path;
  archive.members = Reader(path, bytes).readMembers();
  return archive;
}

Bytes ZipArchive::get(std::string_view name) const {
  auto it = members.find(name);
  if (it == members.end())
    fail("{}: the package has no member {}; compile it again", inQuotes(path),
         inQuotes(name));
  return it->second;
}

} // namespace varve::runtime
