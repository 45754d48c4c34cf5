//===- Safetensors.cpp - One safetensors file, mapped ---------------------===//

#include "lib/Checkpoint/Safetensors.h"
#include "lib/Checkpoint/JsonScanner.h"
#include "lib/Checkpoint/Messages.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/CheckedArithmetic.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/JSON.h"

namespace varve {

namespace {

struct TypeRow {
  llvm::StringLiteral name;
  unsigned bits;
};

/// By SafetensorsType.
constexpr TypeRow typeRows[] = {
    {"BOOL", 8},    {"F4", 4},          {"F6_E2M3", 6},     {"F6_E3M2", 6},
    {"U8", 8},      {"I8", 8},          {"F8_E5M2", 8},     {"F8_E4M3", 8},
    {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8}, {"I16", 16},
    {"U16", 16},    {"F16", 16},        {"BF16", 16},       {"I32", 32},
    {"U32", 32},    {"F32", 32},        {"C64", 64},        {"F64", 64},
    {"I64", 64},    {"U64", 64},
};
static_assert(std::size(typeRows) ==
              static_cast<size_t>(SafetensorsType::U64) + 1);

constexpr uint64_t lengthBytes = 8;
constexpr unsigned maxRank = 32;

/// The members of one tensor's object.
struct EntryReader {
  JsonScanner &scanner;
  SafetensorsTensor &tensor;
  bool hasType = false, hasShape = false, hasOffsets = false;

  llvm::Error readMember(llvm::StringRef key) {
    bool *seen = llvm::StringSwitch<bool *>(key)
                     .Case("dtype", &hasType)
                     .Case("shape", &hasShape)
                     .Case("data_offsets", &hasOffsets)
                     .Default(nullptr);
    if (!seen)
      return scanner.error("unknown member " + quotedName(key));
    if (std::exchange(*seen, true))
      return scanner.error("member " + quotedName(key) + " appears twice");
    if (seen == &hasType)
      return readType();
    return seen == &hasShape ? readShape() : readOffsets();
  }

  llvm::Error readType() {
    llvm::Expected<llvm::StringRef> name = scanner.readString();
    if (!name)
      return name.takeError();
    std::optional<SafetensorsType> type = parseSafetensorsType(*name);
    if (!type)
      return scanner.error("unknown dtype " + quotedName(*name));
    tensor.type = *type;
    return llvm::Error::success();
  }

  llvm::Error readShape() {
    return scanner.readArray([&]() -> llvm::Error {
      if (tensor.shape.size() == maxRank)
        return scanner.error("expected at most " + llvm::Twine(maxRank) +
                             " dimensions");
      llvm::Expected<uint64_t> extent = scanner.readUnsigned();
      if (!extent)
        return extent.takeError();
      tensor.shape.push_back(*extent);
      return llvm::Error::success();
    });
  }

  llvm::Error readOffsets() {
    unsigned count = 0;
    llvm::Error e = scanner.readArray([&]() -> llvm::Error {
      if (count == 2)
        return scanner.error("expected two data_offsets");
      llvm::Expected<uint64_t> offset = scanner.readUnsigned();
      if (!offset)
        return offset.takeError();
      (count++ ? tensor.end : tensor.begin) = *offset;
      return llvm::Error::success();
    });
    if (e)
      return e;
    if (count != 2)
      return scanner.error("expected two data_offsets");
    return llvm::Error::success();
  }

  llvm::Error checkComplete() const {
    llvm::StringRef missing = !hasType    ? "dtype"
                              : !hasShape ? "shape"
                                          : "data_offsets";
    if (!hasType || !hasShape || !hasOffsets)
      return scanner.error("missing member '" + missing + "'");
    return llvm::Error::success();
  }
};

} // namespace

llvm::StringRef stringifySafetensorsType(SafetensorsType type) {
  return typeRows[static_cast<size_t>(type)].name;
}

std::optional<SafetensorsType> parseSafetensorsType(llvm::StringRef name) {
  for (const auto &[i, row] : llvm::enumerate(typeRows))
    if (row.name == name)
      return static_cast<SafetensorsType>(i);
  return std::nullopt;
}

unsigned bitsOf(SafetensorsType type) {
  return typeRows[static_cast<size_t>(type)].bits;
}

llvm::Error SafetensorsFile::error(const llvm::Twine &message) const {
  return makeError(getPath(), message);
}

llvm::Expected<std::unique_ptr<SafetensorsFile>>
SafetensorsFile::open(llvm::StringRef path) {
  // Opening a pipe would wait for its other end.
  llvm::sys::fs::file_status status;
  if (std::error_code e = llvm::sys::fs::status(path, status))
    return makeError(path, e.message());
  if (!llvm::sys::fs::is_regular_file(status))
    return makeError(path, "expected a file");
  auto buffer = llvm::MemoryBuffer::getFile(path, /*IsText=*/false,
                                            /*RequiresNullTerminator=*/false);
  if (!buffer)
    return makeError(path, buffer.getError().message());
  return parse(std::move(*buffer));
}

llvm::Expected<std::unique_ptr<SafetensorsFile>>
SafetensorsFile::parse(std::unique_ptr<llvm::MemoryBuffer> buffer) {
  std::unique_ptr<SafetensorsFile> file(new SafetensorsFile(std::move(buffer)));
  if (llvm::Error e = file->readHeader())
    return e;
  return file;
}

const SafetensorsTensor *SafetensorsFile::find(llvm::StringRef name) const {
  auto it = indexOfName.find(name);
  return it == indexOfName.end() ? nullptr : &tensors[it->second];
}

llvm::Error SafetensorsFile::readHeader() {
  llvm::StringRef bytes = buffer->getBuffer();
  if (bytes.size() < lengthBytes)
    return error("expected the header's length in the first 8 bytes but the "
                 "file has " +
                 llvm::Twine(bytes.size()));
  uint64_t length = llvm::support::endian::read64le(bytes.data());
  if (length > maxHeaderBytes)
    return error("expected a header of at most " + llvm::Twine(maxHeaderBytes) +
                 " bytes but its length is given as " + llvm::Twine(length) +
                 "; this is not a safetensors file");
  if (length > bytes.size() - lengthBytes)
    return error("expected a header of " + llvm::Twine(length) +
                 " bytes but the file ends after " +
                 llvm::Twine(bytes.size() - lengthBytes) +
                 " of them; it was cut short");
  llvm::StringRef header = bytes.substr(lengthBytes, length);
  data =
      llvm::arrayRefFromStringRef<uint8_t>(bytes.substr(lengthBytes + length));

  size_t badByte = 0;
  if (!llvm::json::isUTF8(header, &badByte))
    return error("the header is not UTF-8 at byte " + llvm::Twine(badByte));
  if (llvm::Error e = readEntries(header))
    return error("in the header: " + llvm::toString(std::move(e)));
  for (const SafetensorsTensor &tensor : tensors)
    if (llvm::Error e = checkSize(tensor))
      return e;
  return checkCoverage();
}

llvm::Error SafetensorsFile::readEntries(llvm::StringRef header) {
  llvm::StringSaver saver(allocator);
  JsonScanner scanner(header, saver);
  bool hasMetadata = false;
  auto readMetadata = [&](llvm::StringRef) {
    return scanner.readString().takeError();
  };
  auto readEntry = [&](llvm::StringRef name) -> llvm::Error {
    if (name == "__metadata__") {
      if (std::exchange(hasMetadata, true))
        return scanner.error("'__metadata__' appears twice");
      return scanner.readObject(readMetadata);
    }
    if (!indexOfName.try_emplace(name, tensors.size()).second)
      return scanner.error("tensor " + quotedName(name) + " appears twice");
    SafetensorsTensor &tensor = tensors.emplace_back();
    tensor.name = name;
    EntryReader entry{scanner, tensor};
    llvm::Error e = scanner.readObject(
        [&](llvm::StringRef key) { return entry.readMember(key); });
    if (!e)
      e = entry.checkComplete();
    if (e)
      return llvm::createStringError("tensor " + quotedName(name) + ": " +
                                     llvm::toString(std::move(e)));
    return llvm::Error::success();
  };
  if (llvm::Error e = scanner.readObject(readEntry))
    return e;
  return scanner.expectEnd();
}

/// Offsets in range and in order, and as far apart as type and shape say.
llvm::Error SafetensorsFile::checkSize(const SafetensorsTensor &tensor) const {
  auto fail = [&](const llvm::Twine &message) {
    return error("tensor " + quotedName(tensor.name) + ": " + message);
  };
  if (tensor.begin > tensor.end)
    return fail("expected data_offsets in order but got [" +
                llvm::Twine(tensor.begin) + ", " + llvm::Twine(tensor.end) +
                "]");
  if (tensor.end > data.size())
    return fail("its data ends at byte " + llvm::Twine(tensor.end) +
                " but the file holds " + llvm::Twine(data.size()) +
                " bytes of data; it was cut short");
  std::optional<uint64_t> bits = bitsOf(tensor.type);
  // A zero anywhere makes the tensor empty, however large its other extents.
  if (llvm::is_contained(tensor.shape, 0))
    bits = 0;
  for (int64_t extent : tensor.shape)
    bits =
        bits ? llvm::checkedMulUnsigned<uint64_t>(*bits, extent) : std::nullopt;
  std::string what =
      (stringifySafetensorsType(tensor.type) + " " + shapeString(tensor.shape))
          .str();
  if (!bits)
    return fail("the size of " + what + " overflows");
  if (*bits % 8 != 0)
    return fail(what + " does not fill whole bytes");
  if (*bits / 8 != tensor.end - tensor.begin)
    return fail("expected " + llvm::Twine(*bits / 8) + " bytes for " + what +
                " but data_offsets [" + llvm::Twine(tensor.begin) + ", " +
                llvm::Twine(tensor.end) + "] span " +
                llvm::Twine(tensor.end - tensor.begin));
  return llvm::Error::success();
}

/// The tensors, in the order of their data, follow each other without gap.
llvm::Error SafetensorsFile::checkCoverage() const {
  std::vector<const SafetensorsTensor *> order;
  order.reserve(tensors.size());
  for (const SafetensorsTensor &tensor : tensors)
    order.push_back(&tensor);
  llvm::sort(order, [](const auto *a, const auto *b) {
    return std::tie(a->begin, a->end, a->name) <
           std::tie(b->begin, b->end, b->name);
  });
  uint64_t end = 0;
  const SafetensorsTensor *previous = nullptr;
  for (const SafetensorsTensor *tensor : order) {
    if (tensor->begin < end)
      return error("tensor " + quotedName(tensor->name) + " at bytes [" +
                   llvm::Twine(tensor->begin) + ", " +
                   llvm::Twine(tensor->end) + ") of the data overlaps " +
                   quotedName(previous->name) + " at [" +
                   llvm::Twine(previous->begin) + ", " +
                   llvm::Twine(previous->end) + ")");
    if (tensor->begin > end)
      return error("no tensor covers bytes [" + llvm::Twine(end) + ", " +
                   llvm::Twine(tensor->begin) + ") of the data, before " +
                   quotedName(tensor->name));
    end = tensor->end;
    previous = tensor;
  }
  if (end != data.size())
    return error("the tensors end at byte " + llvm::Twine(end) +
                 " of the data but the file holds " + llvm::Twine(data.size()));
  return llvm::Error::success();
}

} // namespace varve
