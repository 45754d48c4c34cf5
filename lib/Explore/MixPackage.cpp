//===- MixPackage.cpp - A mix as a package --------------------------------===//

#include "lib/Explore/MixPackage.h"
#include "lib/Explore/Variants.h"
#include "lib/Import/Import.h"
#include "lib/Pipelines/Phases.h"
#include "mlir/IR/OwningOpRef.h"
#include "mlir/Parser/Parser.h"

using namespace mlir;
using llvm::Error;
using llvm::Expected;

namespace varve {

static Error goOn(const Phase &) { return Error::success(); }

/// The module up to the quantize phase.
static Expected<OwningOpRef<ModuleOp>> makeModule(MLIRContext &context,
                                                  const BaseModel &base,
                                                  const Mix &mix,
                                                  const PhaseOptions &options) {
  if (!base.config) {
    auto module = parseSourceString<ModuleOp>(base.text, &context, base.source);
    if (!module)
      return llvm::createStringError("'" + base.source + "' could not be read");
    return module;
  }
  Expected<ModelConfig> config = makeConfig(base, mix);
  if (!config)
    return config.takeError();
  OwningOpRef<ModuleOp> module = importModel(context, *config, base.source);
  Expected<const Phase *> quantize = findPhase("quantize");
  if (!quantize)
    return quantize.takeError();
  if (Error error = runPhases(*module, nullptr, **quantize, options, goOn))
    return std::move(error);
  return module;
}

Expected<std::string> compileMix(MLIRContext &context, const BaseModel &base,
                                 const Mix &mix, llvm::StringRef target) {
  PhaseOptions options;
  options.precision = base.precision;
  options.targets = {target.str()};
  options.recallKernels = true;
  auto module = makeModule(context, base, mix, options);
  if (!module)
    return module.takeError();
  if (std::optional<Refusal> refusal = applyVariants(**module, mix.settings))
    return llvm::createStringError(refusal->rule);
  Expected<const Phase *> quantize = findPhase("quantize");
  if (!quantize)
    return quantize.takeError();
  const Phase &last = phases().back();
  if (Error error = runPhases(**module, *quantize, last, options, goOn))
    return std::move(error);
  std::string bytes;
  llvm::raw_string_ostream os(bytes);
  if (Error error = writeArtefact(**module, last, os))
    return std::move(error);
  return bytes;
}

} // namespace varve
