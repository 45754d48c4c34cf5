//===- Measurements.cpp - What steps of mixes took ------------------------===//

#include "lib/Explore/Measurements.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/xxhash.h"
#include <cmath>
#include <map>

using namespace llvm;
using mlir::varve::StepShape;

namespace varve {

std::string getPackageStem(const MixResult &mix) {
  std::string label = mix.mix.getLabel(), stem;
  for (char c : StringRef(label).take_front(60))
    stem += isAlnum(c) || c == '.' || c == '-' ? c : '_';
  return formatv("{0}-{1}", stem,
                 utohexstr(xxh3_64bits(label + "\n" + mix.precision),
                           /*LowerCase=*/true, /*Width=*/16)
                     .substr(0, 8))
      .str();
}

Expected<MeasuredSteps> getMeasuredSteps(const ExploreResult &result) {
  MeasuredSteps steps;
  auto addOnce = [](std::vector<int64_t> &values, int64_t value) {
    if (!is_contained(values, value))
      values.push_back(value);
  };
  for (const StepShape &step : result.conditions.steps) {
    if (result.tokens == 1)
      addOnce(steps.decode, step.sequences);
    else if (step.sequences == 1)
      addOnce(steps.prefill, step.tokens);
    else
      return createStringError(
          formatv("--level=e3: expected steps of one token of each sequence, "
                  "or of tokens of one sequence, got --tokens={0} --batch={1}",
                  result.tokens, step.sequences)
              .str());
    addOnce(steps.contexts, step.tokensBefore());
  }
  return steps;
}

static std::string joinCounts(ArrayRef<int64_t> counts) {
  return join(map_range(counts, [](int64_t count) { return itostr(count); }),
              ",");
}

std::string makeMeasureScript(const MeasuredSteps &steps) {
  std::string shape = steps.decode.empty()
                          ? "--prefill=" + joinCounts(steps.prefill)
                          : "--decode=" + joinCounts(steps.decode);
  return R"sh(#!/bin/sh
# Measures every package of this folder: measure.sh [VARVE-RUN [OPTION...]]
run=${1:-varve-run}
[ $# -gt 0 ] && shift
cd "$(dirname "$0")" || exit 1
for package in *.varve; do
  name=${package%.varve}
  "$run" bench "$package" --weights=random:1 )sh" +
         shape + " --contexts=" + joinCounts(steps.contexts) +
         R"sh( "$@" \
    --format=json -o "$name.part" && mv "$name.part" "$name.json"
done
)sh";
}

//===----------------------------------------------------------------------===//
// Files
//===----------------------------------------------------------------------===//

Error Measurements::add(StringRef stem, StringRef text, StringRef source) {
  auto fail = [&](const Twine &what) {
    return createStringError("'" + source + "': " + what);
  };
  Expected<json::Value> value = json::parse(text);
  if (!value)
    return fail(toString(value.takeError()));
  const json::Object *object = value->getAsObject();
  const json::Array *steps = object ? object->getArray("steps") : nullptr;
  std::optional<StringRef> name =
      object ? object->getString("device") : std::nullopt;
  if (!steps || !name)
    return fail("expected what varve-run bench --format=json writes: an object "
                "with 'device' and 'steps'");
  if (!device.empty() && device != *name)
    return fail("expected measurements of '" + device +
                "', as those before, "
                "got '" +
                *name + "'");
  device = name->str();
  for (auto [index, item] : enumerate(*steps)) {
    const json::Object *step = item.getAsObject();
    std::optional<StringRef> kind =
        step ? step->getString("step") : std::nullopt;
    std::optional<int64_t> tokens =
        step ? step->getInteger("tokens") : std::nullopt;
    std::optional<int64_t> context =
        step ? step->getInteger("context") : std::nullopt;
    std::optional<double> time =
        step ? step->getNumber("seconds") : std::nullopt;
    if (!kind || !tokens || !context || !time || *tokens < 1 || *time <= 0)
      return fail("steps[" + Twine(index) +
                  "]: expected an object with 'step', "
                  "'tokens', 'context' and positive 'seconds'");
    bool decode = *kind == "decode";
    int64_t each = decode ? 1 : *tokens;
    seconds[stem][{*tokens, decode ? *tokens : 1, *context + each}] = *time;
  }
  return Error::success();
}

Error Measurements::read(StringRef folder, const ExploreResult &result) {
  for (const MixResult &mix : result.mixes) {
    if (mix.refusal)
      continue;
    std::string stem = getPackageStem(mix);
    SmallString<128> path = folder;
    sys::path::append(path, stem + ".json");
    auto buffer = MemoryBuffer::getFile(path, /*IsText=*/true);
    if (!buffer)
      continue;
    if (Error error = add(stem, (*buffer)->getBuffer(), path))
      return error;
  }
  return Error::success();
}

std::optional<double> Measurements::find(StringRef stem,
                                         const StepShape &step) const {
  auto mix = seconds.find(stem);
  if (mix == seconds.end())
    return std::nullopt;
  auto found = mix->second.find({step.tokens, step.sequences, step.context});
  if (found == mix->second.end())
    return std::nullopt;
  return found->second;
}

//===----------------------------------------------------------------------===//
// Rows
//===----------------------------------------------------------------------===//

std::optional<Device> findMeasuredDevice(StringRef driverName) {
  std::optional<Device> found;
  for (const Device &device : getDevices())
    if (driverName.contains(device.model->name) &&
        (!found || device.model->name.size() > found->model->name.size()))
      found = device;
  return found;
}

void applyMeasurements(const Measurements &measurements, StringRef where,
                       ExploreResult &result) {
  std::vector<Row> measured;
  for (Row &row : result.rows) {
    MixResult &mix = result.mixes[row.mix];
    std::string stem = getPackageStem(mix);
    const StepShape &step = result.conditions.steps[result.getStep(row)];
    std::optional<double> seconds = measurements.find(stem, step);
    if (!seconds) {
      if (!mix.refusal)
        mix.refusal = Refusal{
            "",
            formatv("expected a measurement of {0} tokens of {1} sequences at "
                    "context {2} in {3}.json",
                    step.tokens, step.sequences, step.context, stem)
                .str(),
            where.str()};
      continue;
    }
    Figures &f = row.figures;
    // What is known of one device says nothing about another.
    const Roofline &device = result.conditions.devices[row.device];
    bool isSame =
        measurements.getDevice().contains(device.getDevice().model->name);
    f[Metric::PredictedMs] = isSame ? f[Metric::StepMs] : 0;
    f[Metric::StepMs] = *seconds * 1e3;
    f[Metric::TokensPerSecond] = step.tokens / *seconds;
    measured.push_back(row);
  }
  // All rows of a mix or none.
  erase_if(measured, [&](const Row &row) {
    return result.mixes[row.mix].refusal.has_value();
  });
  result.rows = std::move(measured);
}

/// Ranks of one side of the pairs, from 1.
static std::vector<double>
getRanks(ArrayRef<std::pair<double, double>> pairs,
         function_ref<double(const std::pair<double, double> &)> side) {
  std::vector<size_t> order(pairs.size());
  for (size_t i = 0; i < order.size(); ++i)
    order[i] = i;
  llvm::sort(order, [&](size_t a, size_t b) {
    return side(pairs[a]) < side(pairs[b]);
  });
  std::vector<double> ranks(pairs.size());
  for (size_t first = 0, last = 0; first < order.size(); first = last) {
    while (last < order.size() &&
           side(pairs[order[last]]) == side(pairs[order[first]]))
      ++last;
    for (size_t i = first; i < last; ++i)
      ranks[order[i]] = (first + 1 + last) / 2.0;
  }
  return ranks;
}

double getRankCorrelation(ArrayRef<std::pair<double, double>> pairs) {
  std::vector<double> a = getRanks(pairs, [](auto &p) { return p.first; }),
                      b = getRanks(pairs, [](auto &p) { return p.second; });
  double mean = (pairs.size() + 1) / 2.0, ab = 0, aa = 0, bb = 0;
  for (size_t i = 0; i < pairs.size(); ++i) {
    ab += (a[i] - mean) * (b[i] - mean);
    aa += (a[i] - mean) * (a[i] - mean);
    bb += (b[i] - mean) * (b[i] - mean);
  }
  return ab / std::sqrt(aa * bb);
}

} // namespace varve
