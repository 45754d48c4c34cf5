//===- JitModule.h - Kernels run in this process ---------------*- C++ -*-===//
//
// The object that a package would carry, loaded into this process: for tests
// and for running without a package.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_TARGET_X86_JITMODULE_H
#define VARVE_TARGET_X86_JITMODULE_H

#include "lib/Target/X86/X86Compiler.h"
#include <memory>

namespace llvm::orc {
class LLJIT;
} // namespace llvm::orc

namespace varve {

class JitModule {
public:
  /// Compiles `module` for the processor of this process, with all that it
  /// has unless `options` say otherwise, and loads it. Errors in the module
  /// are diagnostics; the returned error then says only that there were any.
  static llvm::Expected<std::unique_ptr<JitModule>>
  create(mlir::ModuleOp module, X86Options options = {/*hostFeatures=*/true});

  /// Loads objects that were compiled before.
  static llvm::Expected<std::unique_ptr<JitModule>>
  load(llvm::ArrayRef<std::string> objects);

  ~JitModule();

  /// The address of a function. It stays valid as long as this object.
  llvm::Expected<void *> lookup(llvm::StringRef symbol) const;

  template <typename Fn>
  llvm::Expected<Fn *> lookupAs(llvm::StringRef symbol) const {
    llvm::Expected<void *> address = lookup(symbol);
    if (!address)
      return address.takeError();
    return reinterpret_cast<Fn *>(*address);
  }

private:
  explicit JitModule(std::unique_ptr<llvm::orc::LLJIT> jit);
  std::unique_ptr<llvm::orc::LLJIT> jit;
};

} // namespace varve

#endif // VARVE_TARGET_X86_JITMODULE_H
