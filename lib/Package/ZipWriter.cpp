//===- ZipWriter.cpp - The package container ------------------------------===//

#include "lib/Package/ZipWriter.h"
#include "varve/Package/Format.h"
#include "varve/Support/Assert.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/CRC.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/xxhash.h"
#include <limits>

using namespace varve::package;
using llvm::createStringError;
using llvm::Error;
using llvm::StringRef;

std::string varve::package::getDigest(StringRef bytes) {
  llvm::XXH128_hash_t hash =
      llvm::xxh3_128bits(llvm::arrayRefFromStringRef(bytes));
  return llvm::utohexstr(hash.high64, /*LowerCase=*/true, /*Width=*/16) +
         llvm::utohexstr(hash.low64, /*LowerCase=*/true, /*Width=*/16);
}

static void append16(std::string &file, uint16_t value) {
  file.push_back(static_cast<char>(value & 0xff));
  file.push_back(static_cast<char>(value >> 8));
}

static void append32(std::string &file, uint32_t value) {
  append16(file, static_cast<uint16_t>(value & 0xffff));
  append16(file, static_cast<uint16_t>(value >> 16));
}

/// The smallest zip reader of all, one that unpacks, must not be led outside of
/// its folder.
static bool isMemberName(StringRef name) {
  if (name.empty() || name.size() > std::numeric_limits<uint16_t>::max() ||
      name.contains('\\') || name.contains('\0'))
    return false;
  llvm::SmallVector<StringRef> parts;
  name.split(parts, '/');
  return llvm::none_of(parts, [](StringRef part) {
    return part.empty() || part == "." || part == "..";
  });
}

/// Version needed, flags, method, time, date, CRC, sizes, lengths: the same in
/// local headers and in the directory.
void ZipWriter::appendSharedFields(const Member &member, uint16_t extraSize) {
  append16(file, 20); // the version of the format that knows folders
  append16(file, kFlagUtf8);
  append16(file, 0); // stored
  append16(file, 0); // midnight
  append16(file, kDosDate);
  append32(file, member.crc);
  append32(file, member.size);
  append32(file, member.size);
  append16(file, static_cast<uint16_t>(member.name.size()));
  append16(file, extraSize);
}

Error ZipWriter::add(StringRef name, StringRef bytes, size_t alignment) {
  VARVE_ASSERT(llvm::isPowerOf2_64(alignment) && alignment <= 32768,
               "alignment is a power of two that an extra field can reach");
  if (!isMemberName(name))
    return createStringError("'" + name + "' cannot name a package member");
  if (llvm::any_of(members,
                   [&](const Member &other) { return other.name == name; }))
    return createStringError("two package members are named '" + name + "'");
  // What the directory will need is not much; a rough bound is enough.
  uint64_t end = file.size() + bytes.size() + 2 * (alignment + name.size()) +
                 (members.size() + 2) * 512;
  if (end > std::numeric_limits<uint32_t>::max())
    return createStringError("the package would have more than 4 GiB");

  Member member;
  member.name = name.str();
  member.crc = llvm::crc32(llvm::arrayRefFromStringRef(bytes));
  member.size = static_cast<uint32_t>(bytes.size());
  member.offset = static_cast<uint32_t>(file.size());
  size_t headerEnd = file.size() + kLocalHeaderSize + name.size();
  size_t padding = llvm::alignTo(headerEnd, alignment) - headerEnd;
  // A field has four bytes at least.
  if (padding > 0 && padding < 4)
    padding += std::max<size_t>(alignment, 4);
  append32(file, kLocalHeaderSignature);
  appendSharedFields(member, static_cast<uint16_t>(padding));
  file += name;
  if (padding > 0) {
    append16(file, kPaddingFieldId);
    append16(file, static_cast<uint16_t>(padding - 4));
    file.append(padding - 4, '\0');
  }
  file += bytes;
  members.push_back(std::move(member));
  return Error::success();
}

llvm::Expected<std::string> ZipWriter::finish() && {
  if (members.size() >= std::numeric_limits<uint16_t>::max())
    return createStringError("the package would have more than 65534 members");
  auto directory = static_cast<uint32_t>(file.size());
  for (const Member &member : members) {
    append32(file, kDirectoryEntrySignature);
    append16(file, 20); // made by: the same version, on no system in particular
    appendSharedFields(member, /*extraSize=*/0);
    append16(file, 0); // comment
    append16(file, 0); // disk
    append16(file, 0); // binary
    append32(file, 0); // no permissions
    append32(file, member.offset);
    file += member.name;
  }
  auto count = static_cast<uint16_t>(members.size());
  uint32_t size = static_cast<uint32_t>(file.size()) - directory;
  append32(file, kDirectoryEndSignature);
  append16(file, 0); // this disk
  append16(file, 0); // the directory's disk
  append16(file, count);
  append16(file, count);
  append32(file, size);
  append32(file, directory);
  append16(file, static_cast<uint16_t>(kCommentSize));
  file += kCommentPrefix;
  file += getDigest(file);
  return std::move(file);
}
