//===- Linker.cpp - Objects to one shared object ---------------*- C++ -*-===//
#include "lib/Target/X86/X86Compiler.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Object/ELFObjectFile.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Process.h"
#include "llvm/Support/Program.h"

using namespace llvm;
using namespace varve;

static Expected<std::string> findLinker() {
  if (std::optional<std::string> path = sys::Process::GetEnv("VARVE_LD")) {
    if (sys::fs::can_execute(*path))
      return *path;
    return createStringError("VARVE_LD is '" + *path +
                             "', which is not an executable file");
  }
  for (StringRef name : {"ld.lld-22", "ld.lld", "ld"})
    if (ErrorOr<std::string> path = sys::findProgramByName(name))
      return *path;
  return createStringError(
      "no linker found in PATH (tried ld.lld-22, ld.lld and ld), which x86 "
      "packages need; install lld or binutils, or set VARVE_LD");
}

/// Adds the global symbols of `object` to `defined` or `undefined`.
static Error collectSymbols(StringRef object, StringSet<> &defined,
                            StringSet<> &undefined) {
  Expected<std::unique_ptr<object::ObjectFile>> file =
      object::ObjectFile::createELFObjectFile(
          MemoryBufferRef(object, "kernel object"));
  if (!file)
    return file.takeError();
  for (const object::SymbolRef &symbol : (*file)->symbols()) {
    Expected<uint32_t> flags = symbol.getFlags();
    Expected<StringRef> name = symbol.getName();
    if (!flags)
      return joinErrors(flags.takeError(),
                        name ? Error::success() : name.takeError());
    if (!name)
      return name.takeError();
    if (*flags & object::SymbolRef::SF_Undefined) {
      if (!name->empty())
        undefined.insert(*name);
    } else if (*flags & object::SymbolRef::SF_Global) {
      if (!defined.insert(*name).second)
        return createStringError("symbol '" + *name +
                                 "' is defined by two objects");
    }
  }
  return Error::success();
}

/// A kernel must not depend on libraries that the machine it is sent to may
/// not have.
static Error checkSymbols(ArrayRef<std::string> objects) {
  StringSet<> defined, undefined;
  for (const std::string &object : objects)
    if (Error error = collectSymbols(object, defined, undefined))
      return error;
  for (StringRef name : {"memcpy", "memmove", "memset", "memcmp"})
    defined.insert(name);
  for (const auto &entry : undefined)
    if (!defined.contains(entry.getKey()))
      return createStringError(
          "the objects need symbol '" + entry.getKey() +
          "', which none of them defines; a math function or conversion "
          "was left to a library: lower it to arithmetic");
  return Error::success();
}

Expected<std::string> varve::linkSharedObject(ArrayRef<std::string> objects,
                                              const ToolLimits &limits) {
  if (objects.empty())
    return createStringError("no objects to link");
  if (Error error = checkSymbols(objects))
    return error;
  Expected<std::string> linker = findLinker();
  if (!linker)
    return linker.takeError();
  Expected<TemporaryDirectory> directory = TemporaryDirectory::create();
  if (!directory)
    return directory.takeError();
  std::string output = directory->file("kernels.so");
  // No build id: the bytes follow from the objects alone.
  std::vector<std::string> arguments = {
      "-shared", "--build-id=none", "-soname", "kernels.so",
      "-z",      "noexecstack",     "-o",      output};
  for (size_t i = 0; i < objects.size(); ++i) {
    std::string path = directory->file("kernel" + std::to_string(i) + ".o");
    if (Error error = writeWholeFile(path, objects[i]))
      return error;
    arguments.push_back(path);
  }
  Expected<ToolResult> result = runTool(*linker, arguments, limits);
  if (!result)
    return result.takeError();
  if (result->exitCode != 0)
    return createStringError(
        "linking failed: " + result->standardError +
        "; the command was: " + formatCommand(*linker, arguments));
  return readWholeFile(output);
}
