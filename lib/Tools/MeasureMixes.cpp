//===- MeasureMixes.cpp - Packages of mixes, and what they take -----------===//

#include "lib/Tools/MeasureMixes.h"
#include "lib/Explore/MixPackage.h"
#include "lib/Tools/CompiledTarget.h"
#include "lib/Tools/Tool.h"
#include "llvm/ADT/ScopeExit.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"

using llvm::createStringError;
using llvm::Error;
using llvm::Expected;
using llvm::StringRef;

namespace varve {

/// Calls `use` with the package of every mix that was not refused.
static Error
forEachPackage(mlir::MLIRContext &context, ExploreResult &result,
               LoadBaseFn loadBase, StringRef target,
               llvm::function_ref<Error(MixResult &, std::string)> use) {
  for (auto [index, mix] : llvm::enumerate(result.mixes)) {
    if (mix.refusal)
      continue;
    Expected<BaseModel> base = loadBase(mix.mix.model);
    if (!base)
      return base.takeError();
    Expected<std::string> package = compileMix(context, *base, mix.mix, target);
    if (!package) {
      mix.refusal = Refusal{"", llvm::toString(package.takeError()),
                            "take --level=e1, which needs no package"};
      continue;
    }
    llvm::errs() << "package " << index + 1 << " of " << result.mixes.size()
                 << ": " << mix.mix.getLabel() << ", " << package->size()
                 << " bytes\n";
    if (Error error = use(mix, std::move(*package)))
      return error;
  }
  return Error::success();
}

static std::string inFolder(StringRef folder, const llvm::Twine &name) {
  llvm::SmallString<128> path = folder;
  llvm::sys::path::append(path, name);
  return std::string(path);
}

Error writePackages(mlir::MLIRContext &context, ExploreResult &result,
                    LoadBaseFn loadBase, StringRef target, StringRef folder) {
  Expected<MeasuredSteps> steps = getMeasuredSteps(result);
  if (!steps)
    return steps.takeError();
  if (std::error_code code = llvm::sys::fs::create_directories(folder))
    return createStringError("--packages: '" + folder + "': " + code.message());
  if (Error error = forEachPackage(
          context, result, loadBase, target,
          [&](MixResult &mix, std::string package) {
            return writeOutput(inFolder(folder, getPackageStem(mix) + ".varve"),
                               [&](llvm::raw_ostream &os) { os << package; });
          }))
    return error;
  std::string script = inFolder(folder, "measure.sh");
  if (Error error = writeOutput(script, [&](llvm::raw_ostream &os) {
        os << makeMeasureScript(*steps);
      }))
    return error;
  llvm::sys::fs::setPermissions(script, llvm::sys::fs::all_read |
                                            llvm::sys::fs::all_exe |
                                            llvm::sys::fs::owner_write);
  return Error::success();
}

Error measureHere(mlir::MLIRContext &context, ExploreResult &result,
                  LoadBaseFn loadBase, Measurements &measurements) {
  Expected<MeasuredSteps> steps = getMeasuredSteps(result);
  if (!steps)
    return steps.takeError();
  Expected<RunnableTarget> target = findRunnableTarget("native");
  if (!target)
    return target.takeError();
  llvm::SmallString<128> file;
  if (std::error_code code =
          llvm::sys::fs::createTemporaryFile("varve-explore", "json", file))
    return createStringError("temporary file: " + code.message());
  auto remove = llvm::make_scope_exit([&] { llvm::sys::fs::remove(file); });
  return forEachPackage(
      context, result, loadBase, target->target,
      [&](MixResult &mix, std::string package) -> Error {
        runtime::BenchOptions options;
        options.path = mix.mix.getLabel();
        options.bytes.assign(package.begin(), package.end());
        options.device = target->device;
        options.weights = "random:1";
        options.decode = steps->decode;
        options.prefill = steps->prefill;
        options.contexts = steps->contexts;
        options.format = "json";
        options.output = file.str();
        if (runtime::benchCommand(options) != 0)
          return Error::success(); // said on standard error
        auto buffer = llvm::MemoryBuffer::getFile(file, /*IsText=*/true);
        if (!buffer)
          return createStringError("'" + file +
                                   "': " + buffer.getError().message());
        return measurements.add(getPackageStem(mix), (*buffer)->getBuffer(),
                                options.path);
      });
}

} // namespace varve
