//===- SafetensorsWriter.cpp - Tensors to a safetensors file --------------===//

#include "lib/Check/SafetensorsWriter.h"
#include "varve/Support/Assert.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/FileOutputBuffer.h"
#include "llvm/Support/JSON.h"

using namespace varve;
using llvm::ArrayRef;
using llvm::StringRef;

// Numbers are written as they lie in memory.
static_assert(llvm::endianness::native == llvm::endianness::little);

void SafetensorsWriter::add(StringRef name, StringRef type,
                            ArrayRef<int64_t> shape, ArrayRef<char> bytes) {
  size_t begin = data.size();
  data.append(bytes.begin(), bytes.end());
  entries.push_back({name.str(), type.str(),
                     llvm::SmallVector<int64_t, 4>(shape), begin, data.size()});
}

template <typename Number>
static ArrayRef<char> bytesOf(ArrayRef<int64_t> shape,
                              ArrayRef<Number> numbers) {
  VARVE_ASSERT(llvm::product_of(shape) == static_cast<int64_t>(numbers.size()),
               "a tensor has as many numbers as its shape says");
  return {reinterpret_cast<const char *>(numbers.data()),
          numbers.size() * sizeof(Number)};
}

void SafetensorsWriter::add(StringRef name, ArrayRef<int64_t> shape,
                            ArrayRef<float> numbers) {
  add(name, "F32", shape, bytesOf(shape, numbers));
}

void SafetensorsWriter::add(StringRef name, ArrayRef<int64_t> shape,
                            ArrayRef<int64_t> numbers) {
  add(name, "I64", shape, bytesOf(shape, numbers));
}

llvm::Error SafetensorsWriter::write(StringRef path) const {
  llvm::json::Object header;
  for (const Entry &entry : entries)
    header[entry.name] = llvm::json::Object{
        {"dtype", entry.type},
        {"shape", llvm::json::Array(entry.shape)},
        {"data_offsets", llvm::json::Array{static_cast<int64_t>(entry.begin),
                                           static_cast<int64_t>(entry.end)}}};
  std::string text;
  llvm::raw_string_ostream(text) << llvm::json::Value(std::move(header));
  text.resize(llvm::alignTo(text.size(), 8), ' ');
  size_t size = 8 + text.size() + data.size();
  auto buffer = llvm::FileOutputBuffer::create(path, size);
  if (!buffer)
    return llvm::createStringError("'" + path +
                                   "': " + llvm::toString(buffer.takeError()));
  uint8_t *out = (*buffer)->getBufferStart();
  llvm::support::endian::write64le(out, text.size());
  out = std::copy(text.begin(), text.end(), out + 8);
  std::copy(data.begin(), data.end(), out);
  return (*buffer)->commit();
}
