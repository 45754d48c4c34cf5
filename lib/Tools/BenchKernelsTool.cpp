//===- BenchKernelsTool.cpp - varve bench kernels -------------------------===//

#include "lib/Tools/BenchKernelsTool.h"
#include "lib/Bench/CompileKernels.h"
#include "lib/Tools/Tool.h"
#include "varve/Support/DiagnosedError.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/Path.h"

using namespace varve;
using llvm::createStringError;
using llvm::Error;
using llvm::Expected;
using llvm::StringRef;

namespace {

struct Row {
  StringRef kind, shape;
  double bytes, flops;
  BenchFloor floor;
  unsigned registers, sharedBytes, spillBytes;
};

} // namespace

//===----------------------------------------------------------------------===//
// The command line
//===----------------------------------------------------------------------===//

static Expected<const TargetModel *> findTarget(StringRef name) {
  Expected<const TargetModel *> target = TargetModel::lookup(name);
  if (!target)
    return createStringError("--target: " + llvm::toString(target.takeError()));
  if (!(*target)->isGpu())
    return createStringError("--target: expected the target of a GPU, for the "
                             "benchmark kernels are written for one; got '" +
                             name + "'");
  return target;
}

static Expected<std::vector<BenchKernel>>
chooseKernels(const TargetModel &target, StringRef only) {
  std::vector<BenchKernel> kernels = getBenchKernels(target);
  std::string names = llvm::join(
      llvm::map_range(kernels, [](const auto &kernel) { return kernel.name; }),
      ", ");
  llvm::erase_if(kernels, [&](const BenchKernel &kernel) {
    return !StringRef(kernel.name).contains(only);
  });
  if (kernels.empty())
    return createStringError("--only: no kernel's name contains '" + only +
                             "'; there are " + names);
  return kernels;
}

static Expected<PtxasTool> findAssembler() {
  Expected<PtxasTool> tool = PtxasTool::find();
  if (tool)
    return tool;
  return createStringError("benchmark kernels need NVIDIA's assembler; install "
                           "ptxas of a CUDA toolkit, or set VARVE_PTXAS to "
                           "its path: " +
                           llvm::toString(tool.takeError()));
}

static Error makeFolder(StringRef folder) {
  std::error_code code = llvm::sys::fs::create_directories(folder);
  // An existing file counts as created.
  if (!code && !llvm::sys::fs::is_directory(folder))
    code = std::make_error_code(std::errc::not_a_directory);
  if (!code)
    code = llvm::sys::fs::access(folder, llvm::sys::fs::AccessMode::Write);
  if (!code)
    return Error::success();
  return createStringError("output '" + folder + "': " + code.message());
}

//===----------------------------------------------------------------------===//
// Compiling
//===----------------------------------------------------------------------===//

static Row describe(const BenchKernel &kernel,
                    const CompiledBenchKernel &compiled,
                    const DeviceModel &device) {
  const KernelReport &report = compiled.binary.kernels.front();
  auto [kind, shape] = StringRef(kernel.name).split(' ');
  unsigned dynamicBytes =
      compiled.launch.getInteger("shared_bytes").value_or(0);
  return {kind,
          shape,
          kernel.bytes,
          kernel.flops,
          kernel.getFloor(device),
          report.registers,
          dynamicBytes + report.sharedBytes,
          report.spillStoreBytes + report.spillLoadBytes};
}

static Error writeIn(StringRef folder, const llvm::Twine &name,
                     StringRef text) {
  llvm::SmallString<256> path(folder);
  llvm::sys::path::append(path, name);
  return writeOutput(path, [&](llvm::raw_ostream &os) { os << text; });
}

/// Writes cubins and PTX, then kernels.json, so that a folder with one is
/// whole.
static Expected<std::vector<Row>>
compileKernels(llvm::ArrayRef<BenchKernel> kernels, const TargetModel &target,
               const PtxasTool &assembler, StringRef folder) {
  ToolContext context;
  NvidiaOptions options;
  options.assembler = assembler;
  // Spills are warned of and in the table; a kernel with some can be measured.
  options.strict = false;
  std::vector<Row> rows;
  llvm::json::Array entries;
  for (const BenchKernel &kernel : kernels) {
    auto compiled = compileBenchKernel(kernel, target, options, *context);
    if (failed(compiled))
      return llvm::make_error<DiagnosedError>(
          "kernel '" + kernel.name + "' does not compile for " +
          target.getName().str() + "; --only=TEXT chooses others");
    if (Error error = writeIn(folder, kernel.getFileName() + ".cubin",
                              compiled->binary.cubin))
      return std::move(error);
    if (Error error = writeIn(folder, kernel.getFileName() + ".ptx",
                              compiled->binary.ptx))
      return std::move(error);
    entries.push_back(describeBenchKernel(kernel, *compiled));
    rows.push_back(describe(kernel, *compiled, target.getDevices().front()));
  }
  llvm::json::Value catalog = llvm::json::Object{
      {"target", target.getName()}, {"kernels", std::move(entries)}};
  if (Error error = writeIn(folder, "kernels.json",
                            llvm::formatv("{0:2}\n", catalog).str()))
    return std::move(error);
  return rows;
}

//===----------------------------------------------------------------------===//
// The table
//===----------------------------------------------------------------------===//

static void printMarkdown(llvm::ArrayRef<Row> rows, StringRef device) {
  llvm::outs() << "| kernel | shape | bytes | FLOPs | floor on " << device
               << ", µs | bound by | registers | shared bytes | spilled bytes "
                  "|\n|---|---|---:|---:|---:|---|---:|---:|---:|\n";
  for (const Row &row : rows)
    llvm::outs() << llvm::formatv(
        "| {0} | {1} | {2} | {3} | {4:f1} | {5}, {6:f0} {7} | {8} | {9} | {10} "
        "|\n",
        row.kind, row.shape, withCommas(row.bytes), withCommas(row.flops),
        row.floor.microseconds, row.floor.bound, row.floor.ceiling,
        row.floor.bound == "memory" ? "GB/s" : "TFLOPS", row.registers,
        withCommas(row.sharedBytes), row.spillBytes);
}

static void printCsv(llvm::ArrayRef<Row> rows, StringRef device) {
  llvm::outs() << "kernel,shape,bytes,flops,device,floor_microseconds,bound,"
                  "ceiling,registers,shared_bytes,spill_bytes\n";
  for (const Row &row : rows)
    llvm::outs() << llvm::formatv(
        "{0},{1},{2:f0},{3:f0},{4},{5:f3},{6},{7},{8},{9},{10}\n", row.kind,
        row.shape, row.bytes, row.flops, device, row.floor.microseconds,
        row.floor.bound, row.floor.ceiling, row.registers, row.sharedBytes,
        row.spillBytes);
}

static void printJson(llvm::ArrayRef<Row> rows, StringRef device) {
  llvm::json::Array kernels;
  for (const Row &row : rows)
    kernels.push_back(
        llvm::json::Object{{"kernel", row.kind},
                           {"shape", row.shape},
                           {"bytes", row.bytes},
                           {"flops", row.flops},
                           {"floor_microseconds", row.floor.microseconds},
                           {"bound", row.floor.bound},
                           {"ceiling", row.floor.ceiling},
                           {"registers", row.registers},
                           {"shared_bytes", row.sharedBytes},
                           {"spill_bytes", row.spillBytes}});
  llvm::json::Value table =
      llvm::json::Object{{"device", device}, {"kernels", std::move(kernels)}};
  llvm::outs() << llvm::formatv("{0:2}\n", table);
}

Expected<int> varve::benchKernels(const BenchKernelsOptions &options) {
  if (options.folder.empty())
    return llvm::make_error<UsageError>("expected a folder: -o=FOLDER");
  if (!llvm::is_contained({"md", "csv", "json"}, options.format))
    return llvm::make_error<UsageError>(
        "--format: expected md, csv or json, got '" + options.format + "'");
  Expected<const TargetModel *> target = findTarget(options.target);
  if (!target)
    return target.takeError();
  Expected<std::vector<BenchKernel>> kernels =
      chooseKernels(**target, options.only);
  if (!kernels)
    return kernels.takeError();
  Expected<PtxasTool> assembler = findAssembler();
  if (!assembler)
    return assembler.takeError();
  if (Error error = makeFolder(options.folder))
    return std::move(error);
  Expected<std::vector<Row>> rows =
      compileKernels(*kernels, **target, *assembler, options.folder);
  if (!rows)
    return rows.takeError();
  StringRef device = (*target)->getDevices().front().name;
  if (options.format == "json")
    printJson(*rows, device);
  else if (options.format == "csv")
    printCsv(*rows, device);
  else
    printMarkdown(*rows, device);
  llvm::outs().flush();
  llvm::errs() << llvm::formatv(
      "{0}: {1} for {2}, by ptxas {3}; to time them beside torch, on a device "
      "of this target: python3 tools/scripts/bench_rivals.py {0}\n",
      options.folder,
      rows->size() == 1 ? "1 kernel"
                        : std::to_string(rows->size()) + " kernels",
      (*target)->getName(), assembler->version);
  return kExitOk;
}
