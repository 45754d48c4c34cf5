//===- Ptxas.cpp - NVIDIA's assembler as a separate program ----*- C++ -*-===//
#include "lib/Target/NVPTX/Ptxas.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Process.h"
#include "llvm/Support/Program.h"
#include "llvm/Support/Regex.h"

using namespace llvm;
using namespace varve;

//===----------------------------------------------------------------------===//
// Finding
//===----------------------------------------------------------------------===//

/// Asks a candidate for its version.
static Expected<PtxasTool> identify(std::string path) {
  Expected<ToolResult> result = runTool(path, {"--version"}, {/*seconds=*/30});
  if (!result)
    return result.takeError();
  SmallVector<StringRef, 2> match;
  if (result->exitCode != 0 || !Regex("V([0-9]+\\.[0-9]+\\.[0-9]+)")
                                    .match(result->standardOutput, &match))
    return createStringError(path + " is no ptxas: `--version` exits with " +
                             Twine(result->exitCode) +
                             " and does not print a version");
  return PtxasTool{std::move(path), match[1].str()};
}

Expected<PtxasTool> PtxasTool::find() {
  if (std::optional<std::string> path = sys::Process::GetEnv("VARVE_PTXAS")) {
    if (sys::fs::can_execute(*path))
      return identify(*path);
    return createStringError("VARVE_PTXAS is '" + *path +
                             "', which is not an executable file");
  }
  if (ErrorOr<std::string> path = sys::findProgramByName("ptxas"))
    return identify(*path);
  std::string looked = "PATH";
  SmallVector<std::string> roots;
  for (StringRef variable : {"CUDA_HOME", "CUDA_PATH"}) {
    std::optional<std::string> root = sys::Process::GetEnv(variable);
    looked += (", " + variable + (root ? " (" + *root + ")" : "")).str();
    if (root)
      roots.push_back(*root);
  }
  roots.push_back("/usr/local/cuda");
  for (const std::string &root : roots) {
    SmallString<128> path(root);
    sys::path::append(path, "bin", "ptxas");
    if (sys::fs::can_execute(path))
      return identify(path.str().str());
  }
  return createStringError("no ptxas found in " + looked +
                           " and /usr/local/cuda; install a CUDA toolkit or "
                           "set VARVE_PTXAS, or let the driver assemble the "
                           "PTX when the package is loaded");
}

//===----------------------------------------------------------------------===//
// Reading its output
//===----------------------------------------------------------------------===//

/// The number before `unit` in `line` ("168" in "Used 168 registers, ...").
static uint32_t numberBefore(StringRef line, StringRef unit) {
  size_t end = line.find(unit);
  if (end == StringRef::npos)
    return 0;
  StringRef digits = line.take_front(end).rtrim();
  digits = digits.take_back(digits.size() -
                            (digits.find_last_not_of("0123456789") + 1));
  uint32_t value = 0;
  return digits.getAsInteger(10, value) ? 0 : value;
}

/// The number after `word` ("1" in "used 1 barriers").
static uint32_t numberAfter(StringRef line, StringRef word) {
  size_t begin = line.find(word);
  if (begin == StringRef::npos)
    return 0;
  uint32_t value = 0;
  StringRef rest = line.drop_front(begin + word.size()).ltrim();
  return rest.consumeInteger(10, value) ? 0 : value;
}

PtxasLog varve::parsePtxasLog(StringRef text) {
  PtxasLog log;
  Regex entry("Compiling entry function '([^']+)'");
  Regex warning("\\((C75[0-9][0-9])\\) *(.*)");
  Regex function("function '([^']+)'");
  for (StringRef line : split(text, '\n')) {
    SmallVector<StringRef, 3> match;
    if (warning.match(line, &match)) {
      PerformanceWarning &w = log.warnings.emplace_back();
      w.code = match[1].str();
      w.text = match[2].rtrim().str();
      SmallVector<StringRef, 2> name;
      if (function.match(w.text, &name))
        w.kernel = name[1].str();
      continue;
    }
    if (entry.match(line, &match)) {
      log.kernels.emplace_back().name = match[1].str();
      continue;
    }
    if (log.kernels.empty())
      continue;
    KernelReport &kernel = log.kernels.back();
    if (line.contains("bytes stack frame")) {
      // Functions that the kernel calls report theirs too: the sum is what a
      // thread may touch.
      kernel.stackBytes += numberBefore(line, "bytes stack frame");
      kernel.spillStoreBytes += numberBefore(line, "bytes spill stores");
      kernel.spillLoadBytes += numberBefore(line, "bytes spill loads");
    } else if (line.contains("Used ") && line.contains(" registers")) {
      kernel.registers = numberAfter(line, "Used ");
      kernel.barriers = numberBefore(line, "barriers");
      kernel.sharedBytes = numberBefore(line, "bytes smem");
      kernel.constantBytes = numberBefore(line, "bytes cmem[0]");
    }
  }
  return log;
}

/// What to do about a warning, by what it is about.
static StringRef getRemedy(const PerformanceWarning &warning) {
  StringRef text = warning.text;
  if (text.contains("setmaxnreg"))
    return "state nvvm.maxntid and nvvm.minctasm (or nvvm.maxnreg) on the "
           "kernel "
           "and keep the budgets of all warpgroups within the register file";
  if (text.contains("register resources"))
    return "lower the tile size or give the consumers more registers "
           "(setmaxregister)";
  if (text.contains("warpgroup.arrive"))
    return "set the accumulators before wgmma.fence, or start with "
           "scale_out<zero> instead of zeros";
  if (text.contains("wgmma") || text.contains("serialized"))
    return "issue the products of one group without touching their "
           "accumulators in between, and wait for the group on every path "
           "before the next use";
  return "see the assembler's message; varve-opt can show the kernel that it "
         "was given";
}

std::vector<PerformanceProblem> varve::findPerformanceProblems(
    const PtxasLog &log, function_ref<uint64_t(StringRef)> allowedSpillBytes) {
  std::vector<PerformanceProblem> problems;
  for (const PerformanceWarning &warning : log.warnings)
    problems.push_back({warning.kernel,
                        "ptxas " + warning.code + ": " + warning.text,
                        getRemedy(warning).str()});
  for (const KernelReport &kernel : log.kernels) {
    uint64_t spilled = uint64_t(kernel.spillStoreBytes) + kernel.spillLoadBytes;
    if (spilled <= allowedSpillBytes(kernel.name))
      continue;
    problems.push_back(
        {kernel.name,
         ("spills registers: " + Twine(kernel.spillStoreBytes) +
          " bytes stored, " + Twine(kernel.spillLoadBytes) +
          " bytes loaded per thread with " + Twine(kernel.registers) +
          " registers")
             .str(),
         "choose a smaller tile, fewer blocks per multiprocessor, or allow it "
         "with the kernel attribute varve.allowed_spill_bytes"});
  }
  return problems;
}

//===----------------------------------------------------------------------===//
// Running
//===----------------------------------------------------------------------===//

/// Line `number` of the PTX with the kernel and the layer around it.
static std::string describeLine(StringRef ptx, unsigned number) {
  SmallVector<StringRef> lines;
  ptx.split(lines, '\n');
  if (number == 0 || number > lines.size())
    return {};
  Regex entry("\\.entry +([A-Za-z0-9_$]+)");
  Regex loc("^[ \t]*\\.loc[ \t]+([0-9]+)");
  std::string kernel, fileNumber;
  for (StringRef line : ArrayRef(lines).take_front(number)) {
    SmallVector<StringRef, 2> match;
    if (entry.match(line, &match))
      kernel = match[1].str(), fileNumber.clear();
    else if (loc.match(line, &match))
      fileNumber = match[1].str();
  }
  std::string text = "`" + lines[number - 1].trim().str() + "`";
  if (!kernel.empty())
    text += " in kernel " + kernel;
  // `.file` directives may stand anywhere.
  if (!fileNumber.empty()) {
    Regex file("\\.file[ \t]+" + fileNumber + "[ \t]+\"([^\"]*)\"");
    SmallVector<StringRef, 2> match;
    if (file.match(ptx, &match))
      text += " at " + match[1].str();
  }
  return text;
}

/// What the assembler complained about, with PTX lines shown.
static Error describeFailure(const PtxasTool &tool, const ToolResult &result,
                             StringRef ptx, const TargetModel &target,
                             StringRef command) {
  std::string message = "ptxas " + tool.version + " rejects the PTX for " +
                        target.getName().str();
  Regex line(", line ([0-9]+); *(.*)");
  Regex version("Unsupported \\.version");
  bool tooOld = false;
  std::string output = result.standardError + result.standardOutput;
  for (StringRef text : split(output, '\n')) {
    SmallVector<StringRef, 3> match;
    if (line.match(text, &match)) {
      unsigned number = 0;
      (void)match[1].getAsInteger(10, number);
      message += "; " + match[2].str();
      std::string where = describeLine(ptx, number);
      if (!where.empty())
        message += ": " + where;
    } else if (text.contains("fatal") || text.contains("error")) {
      message += "; " + text.trim().str();
    }
    tooOld |= version.match(text) || text.contains("is not defined for option");
  }
  if (tooOld)
    message += "; this assembler is older than the target: install a newer "
               "CUDA toolkit, or none at all, so that the driver assembles";
  return createStringError(message + "; the command was: " + command);
}

Expected<AssembledCubin> varve::assemble(const PtxasTool &tool, StringRef ptx,
                                         const TargetModel &target,
                                         const ToolLimits &limits) {
  Expected<TemporaryDirectory> directory = TemporaryDirectory::create();
  if (!directory)
    return directory.takeError();
  std::string input = directory->file("kernel.ptx");
  std::string output = directory->file("kernel.cubin");
  if (Error error = writeWholeFile(input, ptx))
    return error;
  std::vector<std::string> arguments = {"-arch=" + target.getLlvmCpu().str(),
                                        "-O3",
                                        "-v",
                                        "-lineinfo",
                                        input,
                                        "-o",
                                        output};
  Expected<ToolResult> result = runTool(tool.path, arguments, limits);
  if (!result)
    return result.takeError();
  if (result->exitCode != 0)
    return describeFailure(tool, *result, ptx, target,
                           formatCommand(tool.path, arguments));
  Expected<std::string> cubin = readWholeFile(output);
  if (!cubin)
    return cubin.takeError();
  return AssembledCubin{
      std::move(*cubin),
      parsePtxasLog(result->standardError + result->standardOutput)};
}
