//===- GenerationBench.cpp - A prompt and an answer, measured -------------===//

#include "runtime/Tool/GenerationBench.h"
#include "runtime/Session/Traffic.h"
#include "varve/Support/Sampling.h"
#include <algorithm>
#include <cmath>
#include <set>

namespace varve::runtime {

namespace {

/// One pass: what came out, and how long it took.
struct Pass {
  std::vector<int32_t> ids;
  /// Of the bits of all logits.
  uint64_t checksum = 0xCBF29CE484222325;
  double lowest = INFINITY, highest = -INFINITY;
  double prefillSeconds = 0, decodeSeconds = 0;

  bool operator==(const Pass &other) const {
    return ids == other.ids && checksum == other.checksum;
  }
};

/// Outside of what is timed.
void inspectLogits(std::span<const float> logits, size_t step, Pass &pass) {
  for (float logit : logits) {
    if (!std::isfinite(logit))
      fail("the logits of token {} are not finite", step);
    pass.lowest = std::min(pass.lowest, double(logit));
    pass.highest = std::max(pass.highest, double(logit));
    // FNV-1a, a number at a time.
    pass.checksum =
        (pass.checksum ^ std::bit_cast<uint32_t>(logit)) * 0x100000001B3;
  }
}

class Generation {
public:
  Generation(Session &session, int64_t prompt, int64_t generated)
      : session(session), prompt(prompt), generated(generated),
        most(session.getModel().getCapacity().maxTokens) {}

  /// The tokens of the prompt from `begin` on that make a step.
  std::vector<StepToken> chunk(int32_t slot, int64_t begin) const {
    std::vector<StepToken> tokens;
    int64_t vocab = session.getVocabSize();
    for (int64_t i = begin; i < std::min(prompt, begin + most); ++i)
      tokens.push_back({slot, (7919 * i + 13) % vocab, i + 1 == prompt});
    return tokens;
  }

  Pass run() {
    Pass pass;
    std::vector<float> logits;
    int32_t slot = session.add();
    for (int64_t done = 0; done < prompt;) {
      std::vector<StepToken> tokens = chunk(slot, done);
      Stopwatch time;
      session.step(tokens, logits);
      pass.prefillSeconds += time.seconds();
      done += tokens.size();
    }
    inspectLogits(logits, 0, pass);
    pass.ids.push_back(sampleGreedy(logits));
    for (int64_t i = 0; i < generated; ++i) {
      StepToken token{slot, pass.ids.back(), true};
      Stopwatch time;
      session.step({&token, 1}, logits);
      int32_t id = sampleGreedy(logits);
      pass.decodeSeconds += time.seconds();
      pass.ids.push_back(id);
      inspectLogits(logits, i + 1, pass);
    }
    session.drop(slot);
    return pass;
  }

  /// Seconds of the launches of a decode step behind the prompt.
  double deviceSeconds() {
    int32_t slot = session.add();
    session.pretendLength(slot, prompt);
    StepToken token{slot, 13 % session.getVocabSize(), true};
    constexpr int64_t repetitions = 20;
    double seconds = session.timeLaunches({&token, 1}, repetitions);
    session.drop(slot);
    return seconds;
  }

private:
  Session &session;
  int64_t prompt, generated, most;
};

/// Adds what a step with these tokens behind `length` others reads.
void addStep(Model &model, int64_t tokens, int64_t rows, int64_t length,
             PhaseRow &row, bool &expertsUnknown) {
  const Plan &plan = model.getPlan();
  Traffic traffic =
      trafficOf(plan, *plan.find("step"), model.sizesOf(tokens, rows));
  row.weightBytes += traffic.weightBytes;
  row.operations += traffic.operations;
  row.cacheBytes += rememberedBytes(plan, length);
  expertsUnknown |= traffic.expertsUnknown;
  ++row.steps;
  row.tokens += tokens;
}

} // namespace

GenerationReport measureGeneration(const LoadedPackage &loaded, int64_t prompt,
                                   int64_t generated, int64_t repetitions,
                                   Code::Use small) {
  Model &model = *loaded.model;
  GenerationReport report;
  Session session(loaded.model, small);
  Generation generation(session, prompt, generated);
  Pass best = generation.run();
  report.repeats = true;
  for (int64_t i = 0; i < repetitions; ++i) {
    Pass pass = generation.run();
    report.repeats &= pass == best;
    if (i > 0) {
      pass.prefillSeconds = std::min(pass.prefillSeconds, best.prefillSeconds);
      pass.decodeSeconds = std::min(pass.decodeSeconds, best.decodeSeconds);
    }
    best = pass;
  }
  Session unrecorded(loaded.model, Code::Use::Once);
  report.sameWithoutGraphs =
      Generation(unrecorded, prompt, generated).run() == best;
  report.distinctTokens =
      std::set<int32_t>(best.ids.begin(), best.ids.end()).size();
  report.lowest = best.lowest;
  report.highest = best.highest;

  PhaseRow load{"load", 0, 0, loaded.weightSeconds};
  load.weightBytes = static_cast<double>(model.getLayout().weightBytes);
  PhaseRow prefill{"prefill", 0, 0, best.prefillSeconds};
  int64_t most = model.getCapacity().maxTokens;
  for (int64_t done = 0; done < prompt; done += most)
    addStep(model, std::min(most, prompt - done), done + most >= prompt, done,
            prefill, report.expertsUnknown);
  PhaseRow decode{"decode", 0, 0, best.decodeSeconds};
  for (int64_t i = 0; i < generated; ++i)
    addStep(model, 1, 1, prompt + i, decode, report.expertsUnknown);
  PhaseRow alone{"decode, device alone", 0, 0, generation.deviceSeconds()};
  addStep(model, 1, 1, prompt, alone, report.expertsUnknown);
  report.phases = {load, prefill, decode, alone};
  return report;
}

std::string generationTable(const GenerationReport &report, bool csv) {
  std::string text =
      csv ? "\nphase,tokens,steps,milliseconds,milliseconds_per_step,"
            "tokens_per_second,weight_gb,cache_gb,gb_per_second,tflops\n"
          : "\n| phase | tokens | steps | ms | ms/step | tokens/s | weights GB "
            "| cache GB | GB/s | TFLOP/s |\n"
            "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n";
  for (const PhaseRow &row : report.phases) {
    double bytes = row.weightBytes + row.cacheBytes;
    text += fmt::format(
        fmt::runtime(csv ? "\"{}\",{},{},{:.3f},{:.4f},{:.1f},{:.3f},{:.4f},"
                           "{:.1f},{:.2f}\n"
                         : "| {} | {} | {} | {:.3f} | {:.4f} | {:.1f} | {:.3f} "
                           "| {:.4f} | {:.1f} | {:.2f} |\n"),
        row.phase, row.tokens, row.steps, 1e3 * row.seconds,
        1e3 * row.seconds /
            static_cast<double>(std::max<int64_t>(row.steps, 1)),
        static_cast<double>(row.tokens) / row.seconds, 1e-9 * row.weightBytes,
        1e-9 * row.cacheBytes, 1e-9 * bytes / row.seconds,
        1e-12 * row.operations / row.seconds);
  }
  return text;
}

} // namespace varve::runtime
