//===- BenchTool.cpp - varve bench ----------------------------------------===//

#include "lib/Tools/BenchKernelsTool.h"
#include "lib/Tools/CompiledTarget.h"
#include "lib/Tools/Tool.h"

using namespace varve;
namespace cl = llvm::cl;
using llvm::Error;
using llvm::Expected;

namespace {

cl::SubCommand command("bench",
                       "Compile a model and measure its steps; or, with "
                       "'kernels' for MODEL, compile the benchmark kernels");
ModelOptions modelOptions(command, toolCategory());
cl::opt<std::string> target(
    "target", cl::value_desc("name"), cl::init("native"),
    cl::desc(
        "what to compile for: native (default; the best device of this "
        "machine), cpu, or a target such as sm_90a (default of 'kernels')"),
    cl::sub(command), cl::cat(toolCategory()));
cl::list<unsigned> decode("decode", cl::value_desc("N,..."), cl::CommaSeparated,
                          cl::desc("sequences of a decode step (default 1)"),
                          cl::sub(command), cl::cat(toolCategory()));
cl::list<unsigned> prefill("prefill", cl::value_desc("N,..."),
                           cl::CommaSeparated,
                           cl::desc("tokens of a prefill step (default 512)"),
                           cl::sub(command), cl::cat(toolCategory()));
cl::list<unsigned>
    contexts("contexts", cl::value_desc("N,..."), cl::CommaSeparated,
             cl::desc("tokens that the sequences have before (default 0)"),
             cl::sub(command), cl::cat(toolCategory()));
cl::opt<unsigned> repeat("repeat", cl::value_desc("N"), cl::init(20),
                         cl::desc("measurements, of which the median is taken "
                                  "(default 20)"),
                         cl::sub(command), cl::cat(toolCategory()));
cl::opt<bool> kernels("kernels", cl::desc("the time of every kernel"),
                      cl::sub(command), cl::cat(toolCategory()));
cl::opt<std::string> format("format", cl::value_desc("md|csv|json"),
                            cl::init("md"), cl::desc("of the tables"),
                            cl::sub(command), cl::cat(toolCategory()));
cl::opt<std::string> only("only", cl::value_desc("text"),
                          cl::desc("of 'kernels', those whose names contain "
                                   "this"),
                          cl::sub(command), cl::cat(toolCategory()));
cl::opt<std::string> output("o", cl::value_desc("folder"),
                            cl::desc("where 'kernels' are written"),
                            cl::sub(command), cl::cat(toolCategory()));

/// In the place of a MODEL.
constexpr llvm::StringRef kKernelsName = "kernels";

} // namespace

static void copyIfGiven(const cl::list<unsigned> &from,
                        std::vector<int64_t> &to) {
  if (from.getNumOccurrences())
    to.assign(from.begin(), from.end());
}

static Expected<int> runBenchKernels() {
  BenchKernelsOptions options;
  if (target.getNumOccurrences())
    options.target = target;
  options.only = only;
  if (modelOptions.precision.getNumOccurrences())
    options.precision = modelOptions.precision;
  options.overrides.assign(modelOptions.overrides.begin(),
                           modelOptions.overrides.end());
  options.folder = output;
  options.format = format;
  return benchKernels(options);
}

static Expected<int> runBench() {
  if (modelOptions.model == kKernelsName)
    return runBenchKernels();
  if (only.getNumOccurrences() || output.getNumOccurrences())
    return llvm::make_error<UsageError>(
        "-o and --only are options of 'varve bench kernels'");
  if (Error error = checkTarget(target))
    return std::move(error);
  Expected<LoadedModel> model = loadModel(modelOptions);
  if (!model)
    return model.takeError();
  runtime::BenchOptions options;
  if (Error error = compileForRuntime(modelOptions, *model, target, options))
    return std::move(error);
  // Who asks for steps of one sort wants no others.
  if (decode.getNumOccurrences() || prefill.getNumOccurrences()) {
    options.decode.clear();
    options.prefill.clear();
  }
  copyIfGiven(decode, options.decode);
  copyIfGiven(prefill, options.prefill);
  copyIfGiven(contexts, options.contexts);
  options.repetitions = repeat;
  options.kernels = kernels;
  options.format = format;
  return runtime::benchCommand(options);
}

Command varve::benchCommand() { return {&command, runBench}; }
