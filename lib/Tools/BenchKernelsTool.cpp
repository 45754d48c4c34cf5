//===- BenchKernelsTool.cpp - varve bench kernels -------------------------===//

#include "lib/Tools/BenchKernelsTool.h"
#include "lib/Bench/BenchExperts.h"
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
  std::string kind, shape;
  double bytes, flops;
  BenchFloor floor;
  unsigned registers, sharedBytes, spillBytes;
};

/// What was chosen.
struct Choice {
  std::vector<BenchKernel> kernels;
  std::optional<ExpertsBenchmark> experts;
};

} // namespace

//===----------------------------------------------------------------------===//
// The command line
//===----------------------------------------------------------------------===//

static Expected<const TargetModel *> findTarget(StringRef name) {
  Expected<const TargetModel *> target = TargetModel::lookup(name);
  if (!target)
    return createStringError("--target: " + llvm::toString(target.takeError()));
  return target;
}

/// Single kernels are written for GPUs, programs compile for any target.
static Expected<Choice> choose(const BenchKernelsOptions &options,
                               const TargetModel &target) {
  Choice choice;
  std::vector<std::string> names;
  auto isChosen = [&](const std::string &name) {
    names.push_back(name);
    return StringRef(name).contains(options.only);
  };
  if (target.isGpu())
    for (BenchKernel &kernel : getBenchKernels(target))
      if (isChosen(kernel.name))
        choice.kernels.push_back(std::move(kernel));
  Expected<ExpertsBenchmark> experts = makeExpertsBenchmark(options.overrides);
  if (!experts)
    return experts.takeError();
  if (isChosen(experts->name))
    choice.experts = std::move(*experts);
  if (choice.kernels.empty() && !choice.experts)
    return createStringError("--only: no kernel's name contains '" +
                             options.only + "'; there are " +
                             llvm::join(names, ", "));
  return choice;
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
  return {kind.str(),
          shape.str(),
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

static Error compileKernels(llvm::ArrayRef<BenchKernel> kernels,
                            const TargetModel &target,
                            const PtxasTool *assembler, StringRef folder,
                            llvm::json::Array &entries,
                            std::vector<Row> &rows) {
  ToolContext context;
  NvidiaOptions options;
  if (assembler)
    options.assembler = *assembler;
  // Spills are warned of and in the table; a kernel with some can be measured.
  options.strict = false;
  for (const BenchKernel &kernel : kernels) {
    auto compiled = compileBenchKernel(kernel, target, options, *context);
    if (failed(compiled))
      return llvm::make_error<DiagnosedError>(
          "kernel '" + kernel.name + "' does not compile for " +
          target.getName().str() + "; --only=TEXT chooses others");
    if (Error error = writeIn(folder, kernel.getFileName() + ".cubin",
                              compiled->binary.cubin))
      return error;
    if (Error error = writeIn(folder, kernel.getFileName() + ".ptx",
                              compiled->binary.ptx))
      return error;
    entries.push_back(describeBenchKernel(kernel, *compiled));
    rows.push_back(describe(kernel, *compiled, target.getDevices().front()));
  }
  return Error::success();
}

static Error compileExpertsTo(const ExpertsBenchmark &benchmark,
                              const TargetModel &target, StringRef precision,
                              StringRef folder, llvm::json::Array &entries,
                              std::vector<Row> &rows) {
  ToolContext context;
  Expected<CompiledExperts> compiled =
      compileExperts(*context, benchmark, target, precision);
  if (!compiled)
    return compiled.takeError();
  for (const KernelMember &file : compiled->files)
    if (Error error = writeIn(folder, file.name, file.bytes))
      return error;
  entries.push_back(std::move(compiled->entry));
  auto [kind, shape] = StringRef(benchmark.name).split(' ');
  // Processors have no floors.
  if (target.getDevices().empty())
    return Error::success();
  for (const ExpertsStep &step : compiled->steps)
    rows.push_back({kind.str(), llvm::formatv("{0} T={1}", shape, step.tokens),
                    step.bytes, step.flops,
                    step.getFloor(target.getDevices().front()), step.registers,
                    step.sharedBytes, step.spillBytes});
  return Error::success();
}

/// Writes code, then kernels.json, so that a folder with one is whole.
static Expected<std::vector<Row>>
compileTo(StringRef folder, const Choice &choice, const TargetModel &target,
          const PtxasTool *assembler, StringRef precision) {
  std::vector<Row> rows;
  llvm::json::Array kernels, programs;
  if (Error error = compileKernels(choice.kernels, target, assembler, folder,
                                   kernels, rows))
    return std::move(error);
  if (choice.experts)
    if (Error error = compileExpertsTo(*choice.experts, target, precision,
                                       folder, programs, rows))
      return std::move(error);
  llvm::json::Value catalog =
      llvm::json::Object{{"target", target.getName()},
                         {"kernels", std::move(kernels)},
                         {"programs", std::move(programs)}};
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

static void print(llvm::ArrayRef<Row> rows, StringRef device,
                  StringRef format) {
  if (format == "json")
    printJson(rows, device);
  else if (format == "csv")
    printCsv(rows, device);
  else
    printMarkdown(rows, device);
  llvm::outs().flush();
}

/// Says what is in the folder and what to do with it.
static void describeResult(const Choice &choice, const TargetModel &target,
                           StringRef folder, const PtxasTool *assembler) {
  size_t count = choice.kernels.size() + (choice.experts ? 1 : 0);
  llvm::errs() << llvm::formatv(
      "{0}: {1} {2} for {3}{4}; to time them beside torch, on a device of this "
      "target: python3 tools/scripts/{5} {0}\n",
      folder, count, count == 1 ? "kernel" : "kernels", target.getName(),
      assembler ? ", by ptxas " + assembler->version : std::string(),
      choice.kernels.empty() ? "bench_experts.py" : "bench_rivals.py");
  if (!choice.kernels.empty() && choice.experts)
    llvm::errs() << llvm::formatv(
        "{0}: the experts: python3 tools/scripts/bench_experts.py {0}\n",
        folder);
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
  Expected<Choice> choice = choose(options, **target);
  if (!choice)
    return choice.takeError();
  std::optional<PtxasTool> assembler;
  if ((*target)->isGpu()) {
    Expected<PtxasTool> found = findAssembler();
    if (!found)
      return found.takeError();
    assembler = std::move(*found);
  }
  if (Error error = makeFolder(options.folder))
    return std::move(error);
  Expected<std::vector<Row>> rows =
      compileTo(options.folder, *choice, **target,
                assembler ? &*assembler : nullptr, options.precision);
  if (!rows)
    return rows.takeError();
  if (!(*target)->getDevices().empty())
    print(*rows, (*target)->getDevices().front().name, options.format);
  describeResult(*choice, **target, options.folder,
                 assembler ? &*assembler : nullptr);
  return kExitOk;
}
