//===- EndToEnd.cpp - Whole sequences, step by step -----------------------===//

#include "lib/Check/EndToEnd.h"
#include <algorithm>
#include <string>

using namespace varve;

namespace {

/// One run of a sequence of the reference.
struct Job {
  int64_t batch;
  int64_t startStep;
  int32_t slot;
  int64_t done = 0;
  std::vector<float> logits; ///< [done, vocabulary]
};

/// Tokens that a job contributes to the next step: a chunk of its prompt, then
/// one token a step.
int64_t nextTokens(const Job &job, const EndToEndReference &reference,
                   int64_t chunk) {
  int64_t prompt = reference.prompt;
  if (job.done < prompt)
    return chunk ? std::min(chunk, prompt - job.done) : prompt - job.done;
  return job.done < prompt + reference.decode ? 1 : 0;
}

/// Runs the jobs to their ends, all that have started together in every step.
bool runJobs(SequenceRunner &runner, const EndToEndReference &reference,
             int64_t chunk, std::vector<Job> &jobs) {
  std::vector<float> logits;
  for (int64_t step = 0;; ++step) {
    std::vector<FedToken> tokens;
    std::vector<std::pair<Job *, int64_t>> shares;
    bool waiting = false;
    for (Job &job : jobs) {
      waiting |= job.startStep > step;
      int64_t count =
          job.startStep > step ? 0 : nextTokens(job, reference, chunk);
      for (int64_t id : reference.ids[job.batch].subspan(job.done, count))
        tokens.push_back({job.slot, id});
      if (count)
        shares.emplace_back(&job, count);
    }
    if (tokens.empty() && !waiting)
      return true;
    if (tokens.empty())
      continue;
    if (!runner.step(tokens, logits))
      return false;
    std::span<const float> rest = logits;
    for (auto [job, count] : shares) {
      std::span<const float> own = rest.first(count * reference.vocab);
      rest = rest.subspan(own.size());
      job->logits.insert(job->logits.end(), own.begin(), own.end());
      job->done += count;
    }
  }
}

std::vector<Job> makeJobs(const EndToEndReference &reference,
                          const Schedule &schedule) {
  std::vector<Job> jobs;
  // A copy that starts when the first is in the middle of its prompt still
  // prefills while the first decodes.
  int64_t chunk = schedule.chunk ? schedule.chunk : reference.prompt;
  int64_t middle = (reference.prompt + chunk - 1) / chunk / 2 + 1;
  for (int64_t copy = 0; copy < (schedule.mixed ? 2 : 1); ++copy)
    for (int64_t b = 0; b < reference.batch; ++b)
      jobs.push_back({b, copy * middle + (schedule.mixed ? b : 0), -1, 0, {}});
  return jobs;
}

/// The row of the worst single decode step.
CheckRow worstStep(const std::string &what, std::span<const float> actual,
                   std::span<const float> expected, int64_t steps,
                   int64_t vocab, const Limits &bounds) {
  std::optional<CheckRow> worst;
  int64_t worstIndex = 0;
  for (int64_t i = 0; i < steps; ++i) {
    Statistics statistics = compare(actual.subspan(i * vocab, vocab),
                                    expected.subspan(i * vocab, vocab), vocab);
    if (worst && worst->statistics.relativeRms >= statistics.relativeRms)
      continue;
    worst = makeRow("", statistics, bounds);
    worstIndex = i;
  }
  worst->what = what + ", step " + std::to_string(worstIndex) + " (the worst)";
  return *worst;
}

} // namespace

int64_t varve::sequencesOf(const EndToEndReference &reference,
                           const Schedule &schedule) {
  return reference.batch * (schedule.mixed ? 2 : 1);
}

int64_t varve::mostTokensOf(const EndToEndReference &reference,
                            const Schedule &schedule) {
  int64_t chunk = schedule.chunk ? std::min(schedule.chunk, reference.prompt)
                                 : reference.prompt;
  return chunk * sequencesOf(reference, schedule);
}

std::optional<std::vector<CheckRow>>
varve::runEndToEnd(SequenceRunner &runner, const EndToEndReference &reference,
                   const Schedule &schedule, const CheckLimits &limits) {
  int64_t P = reference.prompt, N = reference.decode, V = reference.vocab;
  std::vector<Job> jobs = makeJobs(reference, schedule);
  for (Job &job : jobs)
    job.slot = runner.add();
  if (!runJobs(runner, reference, schedule.chunk, jobs))
    return std::nullopt;
  std::vector<CheckRow> rows;
  for (const Job &job : jobs) {
    std::string name = "sequence " + std::to_string(job.batch);
    if (job.startStep)
      name += " (from step " + std::to_string(job.startStep) + ")";
    std::span<const float> logits = job.logits;
    rows.push_back(makeRow(
        name + ": prefill",
        compare(logits.first(P * V),
                reference.prefillLogits.subspan(job.batch * P * V, P * V), V),
        limits.prefill));
    runner.drop(job.slot);
    if (!N)
      continue;
    std::span<const float> expected =
        reference.decodeLogits.subspan(job.batch * N * V, N * V);
    logits = logits.subspan(P * V);
    rows.push_back(makeRow(name + ": decode", compare(logits, expected, V),
                           limits.decode));
    // Single steps are held against bounds that mean something for one row.
    Limits single;
    single.relativeRms = limits.decode.relativeRms;
    single.maxDifference = limits.decode.maxDifference;
    rows.push_back(
        worstStep(name + ": decode", logits, expected, N, V, single));
  }
  return rows;
}
