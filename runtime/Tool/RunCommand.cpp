//===- RunCommand.cpp - Generate tokens -----------------------------------===//

#include "runtime/Tool/Common.h"
#include "varve/Support/Sampling.h"
#include <algorithm>
#include <charconv>
#include <cmath>

namespace varve::runtime {

namespace {

struct Generation {
  std::vector<int64_t> ids;
  double promptSeconds = 0, decodeSeconds = 0;
  bool ended = false;
};

std::vector<int64_t> parsePrompt(const RunOptions &options,
                                 const ModelInfo &model) {
  if (options.promptIds.empty())
    return {std::max<int64_t>(model.bos, 0)};
  std::vector<int64_t> ids;
  std::string_view rest = options.promptIds;
  while (true) {
    std::string_view part = rest.substr(0, rest.find(','));
    rest.remove_prefix(std::min(part.size() + 1, rest.size()));
    std::string_view number = part;
    while (number.starts_with(' '))
      number.remove_prefix(1);
    while (number.ends_with(' '))
      number.remove_suffix(1);
    int64_t id;
    auto [end, error] =
        std::from_chars(number.data(), number.data() + number.size(), id);
    if (error != std::errc() || end != number.data() + number.size())
      fail("--prompt-ids: expected token ids separated by commas, got {}",
           inQuotes(part));
    if (id < 0 || id >= model.vocab)
      fail("--prompt-ids: expected ids below the vocabulary of {}, got {}",
           model.vocab, id);
    ids.push_back(id);
    if (rest.empty())
      return ids;
  }
}

/// Whether prompt and answer fit the model. The last token that is generated is
/// not processed.
void checkLength(const RunOptions &options, int64_t prompt, int64_t maximum) {
  if (prompt > maximum)
    fail("--prompt-ids: expected at most {} ids, the maximum of positions, got "
         "{}",
         maximum, prompt);
  if (options.maxNew < 0 || options.maxNew > maximum - prompt + 1)
    fail("--max-new: expected at most {}, for there are {} positions and the "
         "prompt takes {}, got {}",
         maximum - prompt + 1, maximum, prompt, options.maxNew);
  if (!(options.temperature >= 0) || !std::isfinite(options.temperature))
    fail("--temperature: expected a finite number that is not negative");
  if (!(options.topP > 0 && options.topP <= 1))
    fail("--top-p: expected a number above 0 and at most 1");
}

int32_t chooseToken(std::span<const float> logits, uint64_t index,
                    const RunOptions &options) {
  if (std::any_of(logits.begin(), logits.end(),
                  [](float x) { return std::isnan(x); }))
    fail("the logits of generated token {} are not numbers; 'varve inspect "
         "--verify' looks for such weights",
         index);
  if (options.temperature == 0)
    return sampleGreedy(logits);
  return sampleTopP(logits, options.temperature, options.topP,
                    uniformSample(options.seed, index));
}

Generation generate(Session &session, std::span<const int64_t> prompt,
                    const RunOptions &options) {
  Generation result;
  int32_t slot = session.add();
  std::vector<float> logits;
  size_t most = session.getModel().getCapacity().maxTokens;
  if (options.chunk > 0)
    most = std::min<size_t>(most, options.chunk);
  Stopwatch promptTime;
  for (size_t done = 0; done < prompt.size();) {
    size_t count = std::min(most, prompt.size() - done);
    std::vector<StepToken> tokens;
    for (size_t i = 0; i < count; ++i)
      tokens.push_back({slot, prompt[done + i], done + i + 1 == prompt.size()});
    session.step(tokens, logits);
    done += count;
  }
  result.promptSeconds = promptTime.seconds();
  Stopwatch decodeTime;
  while (static_cast<int64_t>(result.ids.size()) < options.maxNew) {
    int32_t id = chooseToken(logits, result.ids.size(), options);
    result.ids.push_back(id);
    result.ended = id == session.getModel().getPlan().model.eos;
    if (result.ended ||
        static_cast<int64_t>(result.ids.size()) == options.maxNew)
      break;
    session.step(std::vector<StepToken>{{slot, id, true}}, logits);
  }
  result.decodeSeconds = decodeTime.seconds();
  return result;
}

int run(const RunOptions &options) {
  // The prompt decides how much room is needed.
  auto ids = static_cast<int64_t>(
      std::count(options.promptIds.begin(), options.promptIds.end(), ',') + 1);
  Capacity capacity;
  capacity.maxSequences = 1;
  capacity.maxRows = 1;
  std::shared_ptr<const Package> package = openPackage(options);
  const ModelInfo model =
      package->loadPlan(package->getTargets().front()).model;
  int64_t positions = options.context ? options.context : model.maxPositions;
  std::vector<int64_t> prompt = parsePrompt(options, model);
  checkLength(options, prompt.size(), positions);
  capacity.context =
      std::min(positions, std::max<int64_t>(ids + options.maxNew, 1));
  capacity.maxTokens = std::min<int64_t>(ids, 512);
  LoadedPackage loaded = loadPackage(options, capacity);
  Session session(loaded.model, smallStepsOf(options));
  Generation result = generate(session, prompt, options);
  print(fmt::format("{}\n", fmt::join(result.ids, ",")));
  std::string speed;
  if (result.ids.size() > 1)
    speed = fmt::format(", {:.1f} tokens/s",
                        (result.ids.size() - 1) / result.decodeSeconds);
  note("{}: {}, precision {}; loaded in {:.3f} s and the weights in {:.3f} s; "
       "prompt of {} tokens in {:.3f} s, {} tokens generated{}{}",
       model.name, loaded.model->getDevice().describe(), model.precision,
       loaded.packageSeconds, loaded.weightSeconds, prompt.size(),
       result.promptSeconds, result.ids.size(),
       result.ended ? " up to the end of the text" : "", speed);
  return 0;
}

} // namespace

int runCommand(const RunOptions &options) noexcept {
  return guardedCommand([&] { return run(options); });
}

} // namespace varve::runtime
