//===- RecordTool.cpp - varve record --------------------------------------===//

#include "lib/Check/Recorder.h"
#include "lib/Tools/ModelLoader.h"
#include "lib/Tools/Tool.h"

using namespace varve;
namespace cl = llvm::cl;
using llvm::createStringError;
using llvm::Error;
using llvm::Expected;

namespace {

cl::SubCommand
    command("record",
            "Run the reference interpreter and keep what each layer computes");
ModelOptions modelOptions(command, toolCategory());
cl::opt<std::string> output("o", cl::value_desc("folder"),
                            cl::desc("where reference.safetensors is written"),
                            cl::sub(command), cl::cat(toolCategory()));
cl::opt<int64_t> batch("batch", cl::init(1), cl::desc("sequences (default 1)"),
                       cl::sub(command), cl::cat(toolCategory()));
cl::opt<int64_t> prompt("prompt", cl::init(16),
                        cl::desc("tokens of each sequence (default 16)"),
                        cl::sub(command), cl::cat(toolCategory()));
cl::opt<int64_t>
    context("context", cl::init(0),
            cl::desc("tokens that each sequence has before, with random "
                     "contents of its caches (default 0)"),
            cl::sub(command), cl::cat(toolCategory()));
cl::opt<uint64_t> seed("seed", cl::init(0),
                       cl::desc("of token ids and caches (default 0)"),
                       cl::sub(command), cl::cat(toolCategory()));

} // namespace

static Error requireAtLeast(const cl::opt<int64_t> &option, int64_t least) {
  if (option >= least)
    return Error::success();
  return createStringError("--" + option.ArgStr + ": expected at least " +
                           llvm::Twine(least) + ", got " +
                           llvm::Twine(option.getValue()));
}

static Error checkNumbers() {
  if (Error error = requireAtLeast(batch, 1))
    return error;
  if (Error error = requireAtLeast(prompt, 1))
    return error;
  return requireAtLeast(context, 0);
}

static Expected<int> runRecord() {
  if (output.empty())
    return llvm::make_error<UsageError>("expected a folder: -o=FOLDER");
  if (Error error = checkNumbers())
    return std::move(error);
  Expected<LoadedModel> model = loadModel(modelOptions);
  if (!model)
    return model.takeError();
  ToolContext toolContext;
  auto module = loadExecutable(*toolContext, modelOptions, *model);
  if (!module)
    return module.takeError();
  if (!model->weights)
    return createStringError(
        "'" + modelOptions.model +
        "' has no weights; add --weights=random or the folder of a "
        "checkpoint");
  Interpreter interpreter(**module, *model->weights);
  if (Error error =
          recordReference(interpreter, {batch, prompt, context, seed}, output))
    return std::move(error);
  llvm::errs() << output << "/reference.safetensors: " << batch << " x "
               << prompt << " tokens behind " << context << ", precision "
               << resolvePrecision(modelOptions, **module) << '\n';
  return kExitOk;
}

Command varve::recordCommand() { return {&command, runRecord}; }
