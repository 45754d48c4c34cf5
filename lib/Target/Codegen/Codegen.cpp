//===- Codegen.cpp - LLVM IR to assembly or object code --------*- C++ -*-===//
#include "lib/Target/Codegen/Codegen.h"
#include "varve/Support/Assert.h"
#include "llvm/Analysis/CGSCCPassManager.h"
#include "llvm/Analysis/LoopAnalysisManager.h"
#include "llvm/IR/DiagnosticHandler.h"
#include "llvm/IR/DiagnosticInfo.h"
#include "llvm/IR/DiagnosticPrinter.h"
#include "llvm/IR/Instructions.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Verifier.h"
#include "llvm/MC/MCSubtargetInfo.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/CrashRecoveryContext.h"
#include "llvm/Support/ErrorHandling.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/TargetParser/Host.h"
#include "llvm/TargetParser/SubtargetFeature.h"
#include <mutex>

using namespace llvm;
using namespace varve;

//===----------------------------------------------------------------------===//
// Target machines
//===----------------------------------------------------------------------===//

/// The two back ends; initialising all of the library's would cost time.
static void initializeBackEnds() {
  static std::once_flag once;
  std::call_once(once, [] {
    LLVMInitializeNVPTXTargetInfo();
    LLVMInitializeNVPTXTarget();
    LLVMInitializeNVPTXTargetMC();
    LLVMInitializeNVPTXAsmPrinter();
    LLVMInitializeX86TargetInfo();
    LLVMInitializeX86Target();
    LLVMInitializeX86TargetMC();
    LLVMInitializeX86AsmPrinter();
    LLVMInitializeX86AsmParser();
  });
}

Expected<std::unique_ptr<TargetMachine>>
varve::createTargetMachine(const TargetModel &model, bool hostFeatures) {
  initializeBackEnds();
  std::string features, cpu = model.getLlvmCpu().str();
  Triple triple("nvptx64-nvidia-cuda");
  if (model.isGpu()) {
    features = model.getPtxFeature();
  } else {
    triple = Triple("x86_64-unknown-linux-gnu");
    if (hostFeatures) {
      cpu = sys::getHostCPUName().str();
      SubtargetFeatures host;
      for (auto &[name, enabled] : sys::getHostCPUFeatures())
        host.AddFeature(name, enabled);
      features = host.getString();
    }
  }
  std::string message;
  const Target *target = TargetRegistry::lookupTarget(triple, message);
  if (!target)
    return createStringError("this LLVM has no back end for " + triple.str() +
                             ": " + message);
  TargetOptions options;
  std::unique_ptr<TargetMachine> machine(target->createTargetMachine(
      triple, cpu, features, options, Reloc::PIC_, /*CM=*/std::nullopt,
      CodeGenOptLevel::Aggressive));
  // An unknown processor is only a warning to LLVM, which then generates for
  // its oldest one.
  if (!machine || !machine->getMCSubtargetInfo()->isCPUStringValid(cpu))
    return createStringError("this LLVM does not know the processor '" + cpu +
                             "' of target " + model.getName());
  return machine;
}

//===----------------------------------------------------------------------===//
// Guarding the process
//===----------------------------------------------------------------------===//

namespace {
/// Collects what LLVM reports through the context. Its default prints and, on
/// an error, exits.
struct DiagnosticCollector : DiagnosticHandler {
  explicit DiagnosticCollector(std::string &errors) : errors(errors) {}

  bool handleDiagnostics(const DiagnosticInfo &info) override {
    if (info.getSeverity() != DS_Error)
      return true;
    raw_string_ostream os(errors);
    if (!errors.empty())
      os << "; ";
    DiagnosticPrinterRawOStream printer(os);
    info.print(printer);
    return true;
  }

  std::string &errors;
};

/// Why LLVM gave up on this thread.
thread_local std::string fatalReason;

/// Leaves the guarded region instead of the process.
void onFatalError(void *, const char *reason, bool) {
  if (CrashRecoveryContext *guard = CrashRecoveryContext::GetCurrent()) {
    fatalReason = reason;
    guard->HandleExit(1);
  }
}

/// Runs `body`; false if LLVM gave up in it. Then nothing that `body` used may
/// be touched or destroyed.
bool runGuarded(function_ref<void()> body) {
  static std::once_flag once;
  std::call_once(once, [] {
    CrashRecoveryContext::Enable();
    install_fatal_error_handler(onFatalError);
  });
  fatalReason.clear();
  CrashRecoveryContext guard;
  return guard.RunSafely(body);
}
} // namespace

//===----------------------------------------------------------------------===//
// Optimisation and generation
//===----------------------------------------------------------------------===//

void varve::markInlineAsmConvergent(Module &module) {
  for (Function &function : module) {
    if (function.isIntrinsic())
      continue;
    bool any = function.isDeclaration();
    for (BasicBlock &block : function)
      for (Instruction &instruction : block)
        if (auto *call = dyn_cast<CallBase>(&instruction)) {
          if (call->isInlineAsm())
            call->setConvergent();
          // A callee may hold such an instruction, too.
          any |= call->isConvergent() || !call->getCalledFunction() ||
                 !call->getCalledFunction()->isIntrinsic();
        }
    if (any)
      function.setConvergent();
  }
}

/// The standard O3 pipeline.
static void runPipeline(Module &module, TargetMachine &machine) {
  LoopAnalysisManager loops;
  FunctionAnalysisManager functions;
  CGSCCAnalysisManager components;
  ModuleAnalysisManager modules;
  PassBuilder builder(&machine);
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(components);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, components, modules);
  builder.buildPerModuleDefaultPipeline(OptimizationLevel::O3)
      .run(module, modules);
}

Error varve::optimize(LlvmModule &module, TargetMachine &machine) {
  module.module->setTargetTriple(machine.getTargetTriple());
  module.module->setDataLayout(machine.createDataLayout());
  std::string broken;
  raw_string_ostream os(broken);
  if (verifyModule(*module.module, &os))
    return createStringError("the LLVM module does not verify: " + broken);
  runPipeline(*module.module, machine);
  return Error::success();
}

/// The code of `module`, or an empty string with `error` set.
static SmallVector<char, 0> generate(LlvmModule &module, TargetMachine &machine,
                                     CodeGenFileType type, std::string &error) {
  SmallVector<char, 0> code;
  if (Error failed = optimize(module, machine)) {
    error = toString(std::move(failed));
    return code;
  }
  raw_svector_ostream os(code);
  legacy::PassManager passes;
  if (machine.addPassesToEmitFile(passes, os, /*DwoOut=*/nullptr, type)) {
    error = "the back end cannot emit this kind of file";
    return code;
  }
  passes.run(*module.module);
  return code;
}

Expected<SmallVector<char, 0>>
varve::generateCode(LlvmModule module, std::unique_ptr<TargetMachine> machine,
                    CodeGenFileType type) {
  VARVE_ASSERT(module.module && machine, "nothing to generate code from");
  std::string target = machine->getTargetCPU().str();
  std::string reported, error;
  module.context->setDiagnosticHandler(
      std::make_unique<DiagnosticCollector>(reported));
  SmallVector<char, 0> code;
  bool survived =
      runGuarded([&] { code = generate(module, *machine, type, error); });
  if (!survived) {
    // The interrupted code may have left these in any state.
    (void)module.module.release();
    (void)module.context.release();
    (void)machine.release();
    error = "LLVM gave up on target " + target;
    if (!fatalReason.empty())
      error += ": " + fatalReason;
    if (!reported.empty())
      error += " (" + reported + ")";
  } else if (error.empty()) {
    error = reported;
  }
  if (!error.empty())
    return createStringError(error);
  return code;
}
