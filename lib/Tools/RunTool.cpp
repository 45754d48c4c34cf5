//===- RunTool.cpp - varve run --------------------------------------------===//

#include "lib/Interpret/Reference/Select.h"
#include "lib/Interpret/Session.h"
#include "lib/Tools/CompiledTarget.h"
#include "lib/Tools/ModelLoader.h"
#include "lib/Tools/Tool.h"
#include "varve/Support/Sampling.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/Parallel.h"
#include <chrono>
#include <cmath>

using namespace varve;
namespace cl = llvm::cl;
using llvm::createStringError;
using llvm::Error;
using llvm::Expected;
using llvm::StringRef;

namespace {

cl::SubCommand command("run", "Generate tokens");
ModelOptions modelOptions(command, toolCategory());
TargetOption targetOption(command, toolCategory(), "native");
cl::opt<std::string>
    promptIds("prompt-ids", cl::value_desc("id,id,..."),
              cl::desc("the prompt's token ids (default: the model's "
                       "first token id)"),
              cl::sub(command), cl::cat(toolCategory()));
cl::opt<unsigned>
    maxNew("max-new", cl::value_desc("N"), cl::init(16),
           cl::desc("tokens to generate (default 16); an end-of-text "
                    "token ends earlier"),
           cl::sub(command), cl::cat(toolCategory()));
cl::opt<unsigned>
    chunk("chunk", cl::value_desc("N"), cl::init(0),
          cl::desc("process the prompt in steps of N tokens (default: "
                   "one step)"),
          cl::sub(command), cl::cat(toolCategory()));
cl::opt<double> temperature("temperature", cl::init(0.0),
                            cl::desc("0 (default) takes the likeliest token"),
                            cl::sub(command), cl::cat(toolCategory()));
cl::opt<double> topP("top-p", cl::init(1.0),
                     cl::desc("sample from the likeliest tokens of this mass"),
                     cl::sub(command), cl::cat(toolCategory()));
cl::opt<uint64_t> seed("seed", cl::init(0), cl::desc("of the samples"),
                       cl::sub(command), cl::cat(toolCategory()));

using Clock = std::chrono::steady_clock;

double secondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

struct Generation {
  std::vector<int64_t> ids;
  size_t promptTokens = 0;
  double promptSeconds = 0, decodeSeconds = 0;
  bool ended = false;
};

} // namespace

static Expected<std::vector<int64_t>>
parsePrompt(mlir::varve::ModelAttr model) {
  std::vector<int64_t> ids;
  if (!promptIds.getNumOccurrences()) {
    ids.push_back(std::max<int64_t>(model.getBos(), 0));
    return ids;
  }
  llvm::SmallVector<StringRef> parts;
  StringRef(promptIds).split(parts, ',');
  for (StringRef part : parts) {
    int64_t id;
    if (part.trim().getAsInteger(10, id))
      return createStringError(
          "--prompt-ids: expected token ids separated by commas, "
          "got '" +
          part + "'");
    if (id < 0 || id >= model.getVocab())
      return createStringError(
          llvm::formatv("--prompt-ids: expected ids below the vocabulary of "
                        "{0}, got {1}",
                        model.getVocab(), id)
              .str());
    ids.push_back(id);
  }
  return ids;
}

/// Whether prompt and answer fit the model. The last token that is generated
/// is not processed.
static Error checkLength(mlir::varve::ModelAttr model, int64_t promptTokens) {
  int64_t maximum = model.getMaxPositions();
  if (promptTokens > maximum)
    return createStringError(
        llvm::formatv("--prompt-ids: expected at most {0} ids, the model's "
                      "maximum of positions, got {1}",
                      maximum, promptTokens)
            .str());
  int64_t room = maximum - promptTokens + 1;
  if (static_cast<int64_t>(maxNew) > room)
    return createStringError(
        llvm::formatv("--max-new: expected at most {0}, for the model has {1} "
                      "positions and the prompt takes {2}, got {3}",
                      room, maximum, promptTokens, maxNew.getValue())
            .str());
  return Error::success();
}

static Error checkSampling() {
  if (!(temperature >= 0.0) || !std::isfinite(temperature))
    return createStringError(
        "--temperature: expected a finite number that is not negative");
  if (!(topP > 0.0 && topP <= 1.0))
    return createStringError(
        "--top-p: expected a number above 0 and at most 1");
  return Error::success();
}

/// Errors if the logits are no numbers, which no choice could make sense of.
static Expected<int32_t> chooseToken(llvm::ArrayRef<float> logits,
                                     uint64_t index) {
  if (llvm::any_of(logits, [](float x) { return std::isnan(x); }))
    return createStringError(
        "the logits of generated token " + std::to_string(index) +
        " are not numbers; 'varve inspect --verify' looks for such weights");
  if (temperature == 0.0)
    return reference::sampleGreedy(logits);
  return reference::sampleTopP(logits, temperature, topP,
                               uniformSample(seed, index));
}

/// Processes `ids` in steps of `--chunk` tokens; returns the last one's logits.
static Expected<HostTensor> processPrompt(Session &session, int32_t slot,
                                          llvm::ArrayRef<int64_t> ids) {
  size_t stepSize = chunk ? static_cast<size_t>(chunk) : ids.size();
  while (true) {
    llvm::ArrayRef<int64_t> part = ids.take_front(stepSize);
    ids = ids.drop_front(part.size());
    std::vector<StepToken> tokens;
    for (int64_t id : part)
      tokens.push_back(
          {slot, id, ids.empty() && tokens.size() + 1 == part.size()});
    Expected<HostTensor> logits = session.step(tokens);
    if (!logits || ids.empty())
      return logits;
  }
}

static Expected<Generation> generate(Session &session,
                                     llvm::ArrayRef<int64_t> prompt) {
  Generation result;
  result.promptTokens = prompt.size();
  int32_t slot = session.addSequence();
  Clock::time_point start = Clock::now();
  Expected<HostTensor> logits = processPrompt(session, slot, prompt);
  result.promptSeconds = secondsSince(start);
  start = Clock::now();
  while (logits && result.ids.size() < maxNew) {
    Expected<int32_t> id = chooseToken(logits->row(0), result.ids.size());
    if (!id)
      return id.takeError();
    result.ids.push_back(*id);
    result.ended = *id == session.getModel().getEos();
    if (result.ended || result.ids.size() == maxNew)
      break;
    logits = session.step(StepToken{slot, *id, true});
  }
  if (!logits)
    return logits.takeError();
  result.decodeSeconds = secondsSince(start);
  return result;
}

static void report(const Generation &result, const LoadedModel &model,
                   StringRef precision, size_t threads) {
  llvm::outs() << llvm::join(llvm::map_range(
                                 result.ids,
                                 [](int64_t id) { return std::to_string(id); }),
                             ",")
               << '\n';
  llvm::outs().flush();
  size_t decoded = result.ids.empty() ? 0 : result.ids.size() - 1;
  llvm::errs() << llvm::formatv(
      "{0}: reference interpreter, precision {1}, {2} threads; prompt of {3} "
      "tokens in "
      "{4:f3} s, {5} tokens generated{6}",
      model.config ? model.config->name : model.source, precision, threads,
      result.promptTokens, result.promptSeconds, result.ids.size(),
      result.ended ? " up to the end of the text" : "");
  if (decoded)
    llvm::errs() << llvm::formatv(", {0:f1} tokens/s",
                                  decoded / result.decodeSeconds);
  llvm::errs() << '\n';
}

/// Compiles for a device and generates there.
static Expected<int> runCompiled(LoadedModel &model) {
  runtime::RunOptions options;
  if (Error error = compileForRuntime(modelOptions, model,
                                      targetOption.getName(), options))
    return std::move(error);
  options.promptIds = promptIds;
  options.maxNew = maxNew;
  options.chunk = chunk;
  options.temperature = temperature;
  options.topP = topP;
  options.seed = seed;
  return runtime::runCommand(options);
}

static Expected<int> runRun() {
  if (Error error = targetOption.check())
    return std::move(error);
  if (Error error = checkSampling())
    return std::move(error);
  Expected<LoadedModel> model = loadModel(modelOptions);
  if (!model)
    return model.takeError();
  if (!targetOption.isReference())
    return runCompiled(*model);
  ToolContext context;
  auto module = loadExecutable(*context, modelOptions, *model);
  if (!module)
    return module.takeError();
  if (!model->weights)
    return createStringError(
        "'" + modelOptions.model +
        "' has no weights; add --weights=random or the folder of a "
        "checkpoint");
  Interpreter interpreter(**module, *model->weights);
  Expected<Session> session = Session::create(interpreter);
  if (!session)
    return session.takeError();
  Expected<std::vector<int64_t>> prompt = parsePrompt(session->getModel());
  if (!prompt)
    return prompt.takeError();
  if (Error error = checkLength(session->getModel(), prompt->size()))
    return std::move(error);
  Expected<Generation> result = generate(*session, *prompt);
  if (!result)
    return result.takeError();
  report(*result, *model, resolvePrecision(modelOptions, **module),
         llvm::parallel::strategy.compute_thread_count());
  return kExitOk;
}

Command varve::runCommand() { return {&command, runRun}; }
