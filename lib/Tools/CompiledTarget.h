//===- CompiledTarget.h - Compile here, run here ---------------*- C++ -*-===//
//
// The commands that execute a model on a device compile it to a package in
// memory and hand that to the runtime, which `varve-run` does with a file.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_TOOLS_COMPILEDTARGET_H
#define VARVE_TOOLS_COMPILEDTARGET_H

#include "lib/Tools/ModelLoader.h"
#include "lib/Tools/Target.h"
#include "runtime/Tool/Commands.h"

namespace varve {

/// A target model and the device that runs its code.
struct RunnableTarget {
  std::string target;
  std::string device;
  /// Why it is this one, for people; may be empty.
  std::string why;
};

/// The target that `name` means: "native", "cpu" or a target's name.
llvm::Expected<RunnableTarget> findRunnableTarget(llvm::StringRef name);

/// Fills `run` with the package of the model for a target, the device that it
/// is for, and where its weights come from. `target` is "native", "cpu" or a
/// target's name. Says on standard error how long compiling took.
/// `layerPrograms`: with programs for every layer, and for what is inside.
llvm::Error compileForRuntime(const ModelOptions &options, LoadedModel &model,
                              llvm::StringRef target, runtime::RunTarget &run,
                              bool layerPrograms = false);

} // namespace varve

#endif // VARVE_TOOLS_COMPILEDTARGET_H
