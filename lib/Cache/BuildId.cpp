//===- BuildId.cpp - Which compiler is this? -------------------*- C++ -*-===//
//
// A version number does not change with every build, and time stamps change
// without one. Linkers write a digest of what they linked into a note of each
// program and library; the loader has it in memory, so reading it is free.
//
//===----------------------------------------------------------------------===//
#include "lib/Cache/KernelCache.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Config/llvm-config.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include <elf.h>
#include <link.h>

using namespace llvm;
using namespace varve;

/// The build ID in the notes of a loaded object; empty if it has none.
static StringRef findBuildId(const dl_phdr_info &info) {
  for (unsigned i = 0; i < info.dlpi_phnum; ++i) {
    const ElfW(Phdr) &segment = info.dlpi_phdr[i];
    if (segment.p_type != PT_NOTE)
      continue;
    StringRef notes(
        reinterpret_cast<const char *>(info.dlpi_addr + segment.p_vaddr),
        segment.p_memsz);
    while (notes.size() >= sizeof(ElfW(Nhdr))) {
      auto *note = reinterpret_cast<const ElfW(Nhdr) *>(notes.data());
      size_t name = sizeof(*note);
      size_t value = name + alignTo(note->n_namesz, 4);
      size_t end = value + alignTo(note->n_descsz, 4);
      if (end > notes.size())
        break;
      if (note->n_type == NT_GNU_BUILD_ID &&
          notes.substr(name, note->n_namesz) == StringRef("GNU\0", 4))
        return notes.substr(value, note->n_descsz);
      notes = notes.drop_front(end);
    }
  }
  return {};
}

/// A digest of the file that a loaded object came from.
static std::string digestFile(StringRef path) {
  auto buffer = MemoryBuffer::getFile(path, /*IsText=*/false,
                                      /*RequiresNullTerminator=*/false);
  if (!buffer)
    return "unknown";
  return toHex(BLAKE3::hash<16>(arrayRefFromStringRef((*buffer)->getBuffer())),
               true);
}

/// Adds the program and the libraries that generate code.
static int addObject(dl_phdr_info *info, size_t, void *data) {
  auto &key = *static_cast<CacheKeyBuilder *>(data);
  StringRef path = info->dlpi_name ? info->dlpi_name : "";
  StringRef name = sys::path::filename(path);
  if (!path.empty() && !name.contains("LLVM") && !name.contains("MLIR") &&
      !name.contains("varve"))
    return 0;
  StringRef id = findBuildId(*info);
  if (!id.empty())
    key.add("build id", id);
  else
    key.add("file", digestFile(path.empty() ? "/proc/self/exe" : path));
  return 0;
}

StringRef varve::getCompilerBuildId() {
  static const std::string id = [] {
    CacheKeyBuilder key;
    key.add("llvm", LLVM_VERSION_STRING);
    dl_iterate_phdr(addObject, &key);
    return key.finish();
  }();
  return id;
}
