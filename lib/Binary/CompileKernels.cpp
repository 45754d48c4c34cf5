//===- CompileKernels.cpp - Compile the kernels of all targets ------------===//
//
// Kernels leave this module as bytecode, are compiled on a pool of threads, and
// come back as bytes. What the threads reported is said here, in the order of
// the module, so that output is the same on every run.
//
//===----------------------------------------------------------------------===//

#include "lib/Binary/CompileKernel.h"
#include "lib/Binary/Passes.h"
#include "lib/Support/ProgressLine.h"
#include "mlir/Bytecode/BytecodeWriter.h"
#include "mlir/IR/AsmState.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "passes/Engine/Passes.h"
#include "llvm/Support/ThreadPool.h"

namespace mlir::varve {
#define GEN_PASS_DEF_COMPILEKERNELSPASS
#include "lib/Binary/Passes.h.inc"
} // namespace mlir::varve

using namespace mlir;
using namespace mlir::varve;
using ::varve::CompiledKernel;
using ::varve::CompileSettings;
using ::varve::KernelCache;
using ::varve::KernelMessage;
using ::varve::KernelSource;

namespace {

struct Job {
  plan::KernelOp kernel;
  KernelSource source;
  CompiledKernel result;
};

std::string toBytecode(ModuleOp module) {
  std::string bytes;
  llvm::raw_string_ostream os(bytes);
  // Cannot fail without a version to write for.
  (void)writeBytecodeToFile(module, os);
  return bytes;
}

/// Bytes as an attribute that prints as one block of hexadecimal digits.
ElementsAttr makeResource(StringRef name, StringRef bytes,
                          MLIRContext *context) {
  auto type = RankedTensorType::get({static_cast<int64_t>(bytes.size())},
                                    IntegerType::get(context, 8));
  AsmResourceBlob blob = HeapAsmResourceBlob::allocateAndCopyInferAlign(
      ArrayRef<char>(bytes.data(), bytes.size()));
  return DenseResourceElementsAttr::get(type, name, std::move(blob));
}

void replaceByBinary(Job &job) {
  plan::KernelOp kernel = job.kernel;
  OpBuilder builder(kernel);
  const CompiledKernel &result = job.result;
  ElementsAttr code = makeResource(
      (job.source.target->getName() + "." + kernel.getSymName()).str(),
      result.code, builder.getContext());
  auto number = [&](uint64_t value) {
    return builder.getI64IntegerAttr(value);
  };
  plan::BinaryOp::create(
      builder, kernel.getLoc(), kernel.getSymNameAttr(),
      kernel.getSignatureAttr(), kernel.getGridAttr(), kernel.getSizesAttr(),
      kernel.getThreadsAttr(), kernel.getSharedBytesAttr(),
      kernel.getBlocksPerMultiprocessorAttr(), kernel.getScratchBytesAttr(),
      kernel.getTensorMapsAttr(), kernel.getDependentLaunchAttr(),
      plan::CodeFormatAttr::get(builder.getContext(), result.format), code,
      number(result.report.registers), number(result.report.sharedBytes),
      number(result.report.stackBytes),
      number(result.report.spillStoreBytes + result.report.spillLoadBytes),
      number(result.matrixInstructions),
      result.assembler.empty() ? StringAttr()
                               : builder.getStringAttr(result.assembler));
  kernel.erase();
}

/// The kernels of all targets; fails if one has no target.
FailureOr<std::vector<Job>> collectJobs(ModuleOp program) {
  std::vector<Job> jobs;
  WalkResult result = program.walk([&](plan::KernelOp kernel) {
    auto target = getTargetOf(kernel);
    if (failed(target))
      return WalkResult::interrupt();
    jobs.push_back(
        {kernel,
         {kernel.getSymName().str(), *target, toBytecode(kernel.getModule())},
         {}});
    return WalkResult::skip();
  });
  if (result.wasInterrupted())
    return failure();
  return jobs;
}

/// The user's cache, unless it is turned off.
std::unique_ptr<KernelCache> openCache() {
  std::optional<std::string> directory = KernelCache::getDefaultDirectory();
  if (!directory)
    return nullptr;
  // Called from any thread; what it says belongs to no kernel.
  auto warn = [](StringRef warning) {
    llvm::errs() << "warning: " << warning << '\n';
  };
  return std::make_unique<KernelCache>(::varve::KernelCacheOptions{*directory},
                                       warn);
}

/// Says what compilers said, but for remarks, which hold for all kernels alike.
LogicalResult report(ModuleOp program, std::vector<Job> &jobs) {
  bool ok = true;
  for (Job &job : jobs) {
    for (const KernelMessage &message : job.result.messages) {
      if (message.severity == DiagnosticSeverity::Error)
        job.kernel.emitError() << message.text;
      else if (message.severity == DiagnosticSeverity::Warning)
        job.kernel.emitWarning() << message.text;
      else if (message.severity == DiagnosticSeverity::Note)
        program.getContext()->getDiagEngine().emit(job.kernel.getLoc(),
                                                   DiagnosticSeverity::Note)
            << message.text;
    }
    if (!job.result.code.empty())
      continue;
    // What is wrong was the compiler's to say.
    program.getContext()->getDiagEngine().emit(job.kernel.getLoc(),
                                               job.result.messages.empty()
                                                   ? DiagnosticSeverity::Error
                                                   : DiagnosticSeverity::Note)
        << "kernel '" << job.source.name << "' could not be compiled for "
        << job.source.target->getName();
    ok = false;
  }
  return success(ok);
}

struct CompileKernels
    : public mlir::varve::impl::CompileKernelsPassBase<CompileKernels> {
  using CompileKernelsPassBase::CompileKernelsPassBase;

  void runOnOperation() override;
  void findAssembler(CompileSettings &settings);
};

/// Without one, and with `ptx`, NVIDIA kernels stay PTX.
void CompileKernels::findAssembler(CompileSettings &settings) {
  if (ptx)
    return;
  llvm::Expected<::varve::PtxasTool> tool = ::varve::PtxasTool::find();
  if (tool) {
    settings.assembler = *tool;
    return;
  }
  emitRemark(UnknownLoc::get(&getContext()))
      << "kernels stay PTX, which the driver assembles when the package is "
         "loaded; registers and spills are unknown: "
      << llvm::toString(tool.takeError());
}

void CompileKernels::runOnOperation() {
  FailureOr<std::vector<Job>> jobs = collectJobs(getOperation());
  if (failed(jobs))
    return signalPassFailure();
  CompileSettings settings;
  settings.strict = strict;
  if (llvm::any_of(*jobs,
                   [](const Job &job) { return job.source.target->isGpu(); }))
    findAssembler(settings);
  std::unique_ptr<KernelCache> cache = openCache();
  settings.cache = cache.get();
  {
    ::varve::ProgressLine progress;
    std::atomic<size_t> done{0};
    llvm::DefaultThreadPool pool(llvm::hardware_concurrency(threads));
    for (Job &job : *jobs)
      pool.async([&] {
        job.result = compileKernel(job.source, settings);
        progress.show("binary: " + llvm::Twine(++done) + " of " +
                      llvm::Twine(jobs->size()) + " kernels");
      });
    pool.wait();
  }
  if (cache)
    cache->prune();
  if (failed(report(getOperation(), *jobs)))
    return signalPassFailure();
  for (Job &job : *jobs)
    replaceByBinary(job);
}

} // namespace
