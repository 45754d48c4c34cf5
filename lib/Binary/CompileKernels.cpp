//===- CompileKernels.cpp - Compile the kernels of all targets ------------===//
//
// Kernels leave this module as bytecode, are compiled on a pool of threads, and
// come back as bytes. What the threads reported is said here, in the order of
// the module, so that output is the same on every run.
//
//===----------------------------------------------------------------------===//

#include "lib/Binary/CompileKernel.h"
#include "lib/Binary/KernelRecord.h"
#include "lib/Binary/Passes.h"
#include "lib/Support/ProgressLine.h"
#include "mlir/Bytecode/BytecodeWriter.h"
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
using ::varve::kRecordKeyAttrName;

namespace {

struct Job {
  plan::KernelOp kernel;
  KernelSource source;
  /// Null if nobody looked for a record.
  StringAttr recordKey;
  CompiledKernel result;
};

std::string toBytecode(ModuleOp module) {
  std::string bytes;
  llvm::raw_string_ostream os(bytes);
  // Cannot fail without a version to write for.
  (void)writeBytecodeToFile(module, os);
  return bytes;
}

plan::BinaryOp replaceByBinary(Job &job) {
  plan::KernelOp kernel = job.kernel;
  OpBuilder builder(kernel);
  const CompiledKernel &result = job.result;
  ElementsAttr code =
      ::varve::makeCodeAttr(kernel.getSymName(), *job.source.target,
                            result.code, builder.getContext());
  auto number = [&](uint64_t value) {
    return builder.getI64IntegerAttr(value);
  };
  auto binary = plan::BinaryOp::create(
      builder, kernel.getLoc(), kernel.getSymNameAttr(),
      kernel.getSignatureAttr(), kernel.getGridAttr(), kernel.getSizesAttr(),
      kernel.getThreadsAttr(), kernel.getSharedBytesAttr(),
      kernel.getBlocksPerMultiprocessorAttr(), kernel.getScratchBytesAttr(),
      kernel.getTensorMapsAttr(), kernel.getWritesAttr(),
      kernel.getDependentLaunchAttr(),
      plan::CodeFormatAttr::get(builder.getContext(), result.format), code,
      number(result.report.registers), number(result.report.sharedBytes),
      number(result.report.stackBytes),
      number(result.report.spillStoreBytes + result.report.spillLoadBytes),
      number(result.matrixInstructions),
      result.assembler.empty() ? StringAttr()
                               : builder.getStringAttr(result.assembler));
  kernel.erase();
  return binary;
}

/// Remembers a kernel whose record was looked for in vain; not if there is
/// something to be said about it each time. Remarks hold for all kernels alike.
void remember(plan::BinaryOp binary, const Job &job, KernelCache *cache) {
  auto isRemark = [](const KernelMessage &message) {
    return message.severity == DiagnosticSeverity::Remark;
  };
  if (cache && job.recordKey && llvm::all_of(job.result.messages, isRemark))
    cache->store(job.recordKey, ::varve::toRecord(binary));
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
         kernel->getAttrOfType<StringAttr>(kRecordKeyAttrName),
         {}});
    return WalkResult::skip();
  });
  if (result.wasInterrupted())
    return failure();
  return jobs;
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

bool isForGpu(ModuleOp module) {
  FailureOr<const ::varve::TargetModel *> target = getTargetOf(module);
  return succeeded(target) && (*target)->isGpu();
}

struct CompileKernels
    : public mlir::varve::impl::CompileKernelsPassBase<CompileKernels> {
  using CompileKernelsPassBase::CompileKernelsPassBase;

  void runOnOperation() override;
  void findAssembler(CompileSettings &settings);
};

/// Without one, and with `ptx`, NVIDIA kernels stay PTX.
void CompileKernels::findAssembler(CompileSettings &settings) {
  if (ptx || llvm::none_of(getOperation().getOps<ModuleOp>(), isForGpu))
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
  findAssembler(settings);
  std::unique_ptr<KernelCache> cache = ::varve::openKernelCache();
  settings.cache = cache.get();
  {
    ::varve::ProgressLine progress;
    std::atomic<size_t> done{0};
    llvm::DefaultThreadPool pool(llvm::hardware_concurrency(threads));
    for (Job &job : *jobs)
      pool.async([&] {
        // One entry is enough for a kernel.
        CompileSettings its = settings;
        if (job.recordKey)
          its.cache = nullptr;
        job.result = compileKernel(job.source, its);
        progress.show("binary: " + llvm::Twine(++done) + " of " +
                      llvm::Twine(jobs->size()) + " kernels");
      });
    pool.wait();
  }
  if (cache)
    cache->prune();
  if (failed(report(getOperation(), *jobs)))
    return signalPassFailure();
  for (Job &job : *jobs) {
    remember(replaceByBinary(job), job, cache.get());
  }
}

} // namespace
