//===- InspectCommand.cpp - What is in a package --------------------------===//

#include "runtime/Session/Dependencies.h"
#include "runtime/Session/Traffic.h"
#include "runtime/Tool/Common.h"
#include <nlohmann/json.hpp>

namespace varve::runtime {

namespace {

struct TargetFacts {
  Plan plan;
  int64_t codeBytes = 0, weightBytes = 0, launches = 0;
  uint32_t registers = 0, sharedBytes = 0, spillBytes = 0;
  Capacity capacity;
  MemoryLayout layout;
  /// Steps of one token and of as many as there is room for, if the package has
  /// whole models.
  struct StepFacts {
    int64_t tokens, launches, chain;
    Traffic traffic;
  };
  std::vector<StepFacts> steps;
};

TargetFacts factsOf(const Package &package, const std::string &target,
                    const InspectOptions &options) {
  TargetFacts facts;
  facts.plan = package.loadPlan(target);
  for (Bytes file : package.getFiles(facts.plan))
    facts.codeBytes += file.size();
  for (const Weight &weight : facts.plan.weights)
    facts.weightBytes += weight.getBytes();
  for (const Program &program : facts.plan.programs)
    facts.launches += program.launches.size();
  for (const Kernel &kernel : facts.plan.kernels) {
    facts.registers = std::max(facts.registers, kernel.registers);
    facts.sharedBytes = std::max(facts.sharedBytes, kernel.sharedBytes);
    facts.spillBytes += kernel.spillBytes;
  }
  facts.capacity =
      resolve({options.maxSequences, options.context, options.maxTokens,
               options.maxRows, options.pages, options.expertSets},
              facts.plan);
  // No weight is mapped, so any source will do.
  auto source = openWeights("random", facts.plan.weights);
  facts.layout = layoutMemory(facts.plan, facts.capacity, *source,
                              /*mapsWeights=*/false,
                              /*overlaps=*/!facts.plan.isCpu());
  const Program *step = facts.plan.find("step");
  for (int64_t tokens : {int64_t(1), facts.capacity.maxTokens}) {
    if (!step || (!facts.steps.empty() && tokens == 1))
      break;
    Sizes sizes = largestSizes(facts.capacity, facts.plan);
    sizes[Symbol::Tokens] = tokens;
    sizes[Symbol::Rows] = 1;
    auto launches =
        static_cast<int64_t>(step->launchesFor(facts.plan, sizes).size());
    facts.steps.push_back({tokens, launches,
                           longestChain(facts.plan, *step, sizes),
                           trafficOf(facts.plan, *step, sizes)});
  }
  return facts;
}

std::string describe(const TargetFacts &facts) {
  const Plan &plan = facts.plan;
  std::vector<std::string> programs;
  for (const Program &program : plan.programs)
    programs.push_back(program.name);
  std::string kernels =
      plan.isCpu() ? fmt::format("needs {}", plan.cpuLevel)
                   : fmt::format("at most {} registers a thread and {} of "
                                 "shared memory, {} bytes spilled",
                                 facts.registers, bytesText(facts.sharedBytes),
                                 facts.spillBytes);
  const Capacity &room = facts.capacity;
  std::string steps;
  for (const TargetFacts::StepFacts &step : facts.steps)
    steps += fmt::format("  step of   {} tokens: {} launches, {} of them in a "
                         "chain, reads {:.3f} GB of "
                         "weights{}, {:.3f} GFLOP of products with them\n",
                         step.tokens, step.launches, step.chain,
                         1e-9 * step.traffic.weightBytes,
                         step.traffic.expertsUnknown ? " without experts" : "",
                         1e-9 * step.traffic.operations);
  return fmt::format(
             "target {}\n"
             "  kernels   {} in {}, {}\n"
             "  programs  {} ({} launches)\n"
             "  weights   {} tensors, {}\n"
             "  memory    {} sequences of {} tokens, {} tokens a step:\n"
             "            {}\n",
             plan.target, plan.kernels.size(), bytesText(facts.codeBytes),
             kernels, fmt::join(programs, ", "), facts.launches,
             plan.weights.size(), bytesText(facts.weightBytes),
             room.maxSequences, room.context, room.maxTokens,
             facts.layout.describe()) +
         steps;
}

nlohmann::json toJson(const TargetFacts &facts) {
  nlohmann::json kernels = nlohmann::json::array();
  for (const Kernel &kernel : facts.plan.kernels)
    kernels.push_back({{"name", kernel.name},
                       {"threads", kernel.threads},
                       {"shared_bytes", kernel.sharedBytes},
                       {"registers", kernel.registers},
                       {"spill_bytes", kernel.spillBytes},
                       {"scratch_bytes", kernel.scratchBytes}});
  nlohmann::json steps = nlohmann::json::array();
  for (const TargetFacts::StepFacts &step : facts.steps)
    steps.push_back({{"tokens", step.tokens},
                     {"launches", step.launches},
                     {"chain", step.chain},
                     {"weight_bytes", step.traffic.weightBytes},
                     {"operations", step.traffic.operations},
                     {"experts_unknown", step.traffic.expertsUnknown}});
  const MemoryLayout &layout = facts.layout;
  return {{"target", facts.plan.target},
          {"kernels", kernels},
          {"steps", steps},
          {"launches", facts.launches},
          {"code_bytes", facts.codeBytes},
          {"weight_bytes", facts.weightBytes},
          {"memory",
           {{"sequences", facts.capacity.maxSequences},
            {"context", facts.capacity.context},
            {"tokens", facts.capacity.maxTokens},
            {"weights", layout.weightBytes},
            {"pools", layout.poolBytes},
            {"scratch", layout.scratchBytes},
            {"ports", layout.portBytes},
            {"total", layout.getTotal()}}}};
}

int inspect(const InspectOptions &options) {
  std::shared_ptr<const Package> package = openPackage(options);
  nlohmann::json targets = nlohmann::json::array();
  std::string text;
  ModelInfo model;
  for (const std::string &target : package->getTargets()) {
    TargetFacts facts = factsOf(*package, target, options);
    model = facts.plan.model;
    text += describe(facts);
    targets.push_back(toJson(facts));
  }
  if (options.json) {
    print(nlohmann::json{{"package", package->getPath()},
                         {"bytes", package->getBytes()},
                         {"model", model.name},
                         {"layers", model.layers},
                         {"precision", model.precision},
                         {"vocabulary", model.vocab},
                         {"positions", model.maxPositions},
                         {"targets", targets}}
              .dump(2) +
          "\n");
    return 0;
  }
  print(fmt::format("{}: {}, layers {}, precision {}, {} token ids, {} "
                    "positions; {}\n",
                    package->getPath(), model.name, model.layers,
                    model.precision, withCommas(model.vocab),
                    withCommas(model.maxPositions),
                    bytesText(package->getBytes())) +
        text);
  return 0;
}

} // namespace

int inspectCommand(const InspectOptions &options) noexcept {
  return guardedCommand([&] { return inspect(options); });
}

} // namespace varve::runtime
