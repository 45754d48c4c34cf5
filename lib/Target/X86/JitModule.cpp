//===- JitModule.cpp - Kernels run in this process -------------*- C++ -*-===//
#include "lib/Target/X86/JitModule.h"
#include "lib/Target/Codegen/Codegen.h"
#include "llvm/ExecutionEngine/Orc/ExecutionUtils.h"
#include "llvm/ExecutionEngine/Orc/LLJIT.h"
#include "llvm/Support/MemoryBuffer.h"

using namespace llvm;
using namespace varve;

JitModule::JitModule(std::unique_ptr<orc::LLJIT> jit) : jit(std::move(jit)) {}
JitModule::~JitModule() = default;

Expected<std::unique_ptr<JitModule>> JitModule::create(mlir::ModuleOp module,
                                                       X86Options options) {
  Expected<const TargetModel *> host = TargetModel::forHost();
  if (!host)
    return host.takeError();
  mlir::FailureOr<std::string> object = compileForX86(module, **host, options);
  if (mlir::failed(object))
    return createStringError("the module does not compile for " +
                             (*host)->getName());
  return load(*object);
}

Expected<std::unique_ptr<JitModule>>
JitModule::load(ArrayRef<std::string> objects) {
  // Registers the x86 back end, which the loader asks for the host's triple.
  Expected<const TargetModel *> host = TargetModel::forHost();
  if (!host)
    return host.takeError();
  auto machine = createTargetMachine(**host);
  if (!machine)
    return machine.takeError();
  Expected<std::unique_ptr<orc::LLJIT>> jit = orc::LLJITBuilder().create();
  if (!jit)
    return jit.takeError();
  auto process = orc::DynamicLibrarySearchGenerator::GetForCurrentProcess(
      (*jit)->getDataLayout().getGlobalPrefix());
  if (!process)
    return process.takeError();
  (*jit)->getMainJITDylib().addGenerator(std::move(*process));
  for (const std::string &object : objects)
    if (Error error = (*jit)->addObjectFile(
            MemoryBuffer::getMemBufferCopy(object, "kernel object")))
      return error;
  return std::unique_ptr<JitModule>(new JitModule(std::move(*jit)));
}

Expected<void *> JitModule::lookup(StringRef symbol) const {
  Expected<orc::ExecutorAddr> address = jit->lookup(symbol);
  if (!address)
    return address.takeError();
  return address->toPtr<void *>();
}
