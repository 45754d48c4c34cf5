//===- Common.cpp - What the commands share -------------------------------===//

#include "runtime/Tool/Common.h"
#include <unistd.h>

namespace varve::runtime {

void print(const std::string &text) {
  std::fputs(text.c_str(), stdout);
  std::fflush(stdout);
}

std::shared_ptr<const Package> openPackage(const RunTarget &options) {
  if (!options.bytes.empty())
    return Package::ofBytes(options.path, options.bytes);
  return Package::open(options.path);
}

namespace {

/// A line that is drawn over, at most a hundred times.
class ProgressBar {
public:
  void update(int64_t done, int64_t total) {
    if (!terminal || total == 0)
      return;
    int percent = static_cast<int>(100.0 * done / total);
    if (percent == drawn)
      return;
    drawn = percent;
    constexpr int width = 40;
    std::string bar(percent * width / 100, '#');
    bar.resize(width, '.');
    std::fprintf(stderr, "\rweights [%s] %3d %% of %s", bar.c_str(), percent,
                 bytesText(total).c_str());
    if (done >= total)
      std::fputs("\n", stderr);
  }

private:
  bool terminal = ::isatty(STDERR_FILENO);
  int drawn = -1;
};

int64_t chosen(int64_t given, int64_t otherwise) {
  return given ? given : otherwise;
}

} // namespace

Code::Use smallStepsOf(const RunTarget &options) {
  if (!options.graphs)
    return Code::Use::Once;
  return options.inOrder ? Code::Use::Ordered : Code::Use::Overlapped;
}

LoadedPackage loadPackage(const RunTarget &options, const Capacity &capacity) {
  LoadedPackage loaded;
  Stopwatch whole;
  std::shared_ptr<const Package> package = openPackage(options);
  std::string why;
  std::shared_ptr<Device> device =
      openDevice(options.device, package.get(), options.threads, &why);
  Plan plan = choosePlan(*package, *device, options.target);
  note("{}: target {} on {}{}", package->getPath(), plan.target,
       device->describe(), why.empty() ? "" : " (" + why + ")");
  if (options.weights.empty())
    fail(ErrorCode::Usage,
         "{} has no weights; add --weights=random or the "
         "folder of a checkpoint",
         inQuotes(package->getPath()));
  Capacity wanted{chosen(options.maxSequences, capacity.maxSequences),
                  chosen(options.context, capacity.context),
                  chosen(options.maxTokens, capacity.maxTokens),
                  chosen(options.maxRows, capacity.maxRows),
                  chosen(options.pages, capacity.pages),
                  options.expertSets};
  double beforeWeights = whole.seconds();
  PlannedModel planned(package, std::move(plan), device, options.weights,
                       wanted);
  const Capacity &room = planned.getCapacity();
  note("memory for {} sequences of {} tokens, {} tokens a step: {}",
       room.maxSequences, room.context, room.maxTokens,
       planned.getLayout().describe());
  loaded.freeBefore = device->getFreeMemory();
  ProgressBar bar;
  double firstWeight = -1;
  loaded.model = std::make_shared<Model>(std::move(planned),
                                         [&](int64_t done, int64_t total) {
                                           if (firstWeight < 0)
                                             firstWeight = whole.seconds();
                                           bar.update(done, total);
                                         });
  loaded.weightSeconds = whole.seconds() - firstWeight;
  loaded.packageSeconds = beforeWeights;
  return loaded;
}

} // namespace varve::runtime
