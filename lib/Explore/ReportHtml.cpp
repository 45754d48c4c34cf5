//===- ReportHtml.cpp - One page with drawings ----------------------------===//
//
// The page is a template with style, script and data put in: data as JSON, from
// which the script draws. It refers to nothing outside itself.
//
//===----------------------------------------------------------------------===//

#include "lib/Explore/Report.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include <cmath>

using namespace llvm;
using mlir::varve::OpCost;

namespace varve {

// Written by EmbedText.cmake: one raw string literal per file.
#include "lib/Explore/EmbeddedHtml.inc"

namespace {
class PageWriter {
public:
  PageWriter(const Report &report, const ExploreResult &details,
             ArrayRef<unsigned> detailed)
      : report(report), result(report.result), details(details),
        detailed(detailed) {}

  void write(raw_ostream &os);

private:
  json::Value makeData();
  json::Array makeMixes();
  json::Array makeRows();
  json::Array makeDevices();
  json::Array makeKinds(ArrayRef<KindCount> kinds);
  json::Array makeOps(const KindCost &kind);

  const Report &report;
  const ExploreResult &result;
  const ExploreResult &details;
  ArrayRef<unsigned> detailed;
};
} // namespace

static std::string makeLabel(const MixResult &mix) {
  Mix shown = mix.mix;
  if (shown.layers.size() > 40)
    shown.layers = shown.layers.substr(0, 37) + "...";
  return shown.getLabel();
}

/// Bytes that an op's memory time is made of.
static int64_t getMemoryBytes(const OpCost &cost) {
  return cost.weightBytes + cost.poolBytesRead + cost.poolBytesWritten;
}

/// Whole numbers are a third of the text.
static int64_t inPicoseconds(double seconds) {
  return std::llround(seconds * 1e12);
}

json::Array PageWriter::makeOps(const KindCost &kind) {
  json::Array ops;
  for (const OpDetail &op : kind.opDetails) {
    json::Array flops, bytes, times;
    for (const OpCost &cost : op.costs) {
      flops.push_back(cost.flops());
      bytes.push_back(getMemoryBytes(cost));
    }
    for (const OpTime &time : op.times)
      times.push_back(json::Array{
          inPicoseconds(time.memory), inPicoseconds(time.compute),
          inPicoseconds(time.launch), static_cast<int64_t>(time.bound),
          inPicoseconds(time.program)});
    json::Object object{
        {"name", op.name},           {"kind", op.kind},
        {"mechanism", op.mechanism}, {"anchor", op.anchor},
        {"flops", std::move(flops)}, {"bytes", std::move(bytes)},
        {"times", std::move(times)}};
    json::Array launches;
    for (const LaunchDetail &launch : op.launches)
      launches.push_back(json::Array{
          launch.kernel, launch.launches, launch.blocks, launch.time.waves,
          std::round(launch.time.occupancy * 1000) / 1000, launch.registers,
          launch.spillBytes});
    if (!launches.empty())
      object["launches"] = std::move(launches);
    ops.push_back(std::move(object));
  }
  return ops;
}

json::Array PageWriter::makeKinds(ArrayRef<KindCount> kinds) {
  json::Array array;
  for (const KindCount &entry : kinds) {
    const KindCost &kind = *entry.kind;
    json::Array steps;
    for (const StepCost &step : kind.steps) {
      json::Array devices;
      for (const DeviceCost &device : step.devices)
        devices.push_back(json::Object{{"kernels", device.kernels},
                                       {"launch", device.launch}});
      steps.push_back(json::Object{{"cache", step.cacheBytes},
                                   {"devices", std::move(devices)}});
    }
    array.push_back(json::Object{{"title", kind.title},
                                 {"letter", std::string(1, kind.letter)},
                                 {"count", entry.count},
                                 {"ratio", kind.ratio},
                                 {"window", kind.window},
                                 {"topk", kind.topk},
                                 {"steps", std::move(steps)},
                                 {"ops", makeOps(kind)}});
  }
  return array;
}

json::Array PageWriter::makeMixes() {
  json::Array mixes;
  for (auto [index, mix] : enumerate(result.mixes)) {
    json::Object object{{"label", makeLabel(mix)}};
    if (const unsigned *place = find(detailed, index);
        place != detailed.end()) {
      const ModelCost &cost = details.mixes[place - detailed.begin()].cost;
      object["strip"] = json::Array(cost.strip);
      object["kinds"] = makeKinds(cost.layerKinds);
      object["ends"] = makeKinds(cost.ends);
    }
    mixes.push_back(std::move(object));
  }
  return mixes;
}

json::Array PageWriter::makeRows() {
  json::Array rows;
  for (const Row &row : report.rows) {
    json::Array figures;
    for (const MetricInfo &info : getMetrics())
      figures.push_back(row.figures[info.metric]);
    rows.push_back(json::Object{{"mix", row.mix},
                                {"step", result.getStep(row)},
                                {"device", row.device},
                                {"bound", getBoundName(row.bound)},
                                {"replay", getReplayCommand(result, row)},
                                {"figures", std::move(figures)}});
  }
  return rows;
}

json::Array PageWriter::makeDevices() {
  json::Array devices;
  for (const Roofline &roofline : result.conditions.devices) {
    json::Object rates;
    for (Bound precision : {Bound::F32, Bound::BF16, Bound::F8, Bound::F4})
      rates[getBoundName(precision)] = roofline.getRate(precision);
    devices.push_back(
        json::Object{{"name", getShortName(*roofline.getDevice().model)},
                     {"bandwidth", roofline.getBandwidth()},
                     {"rates", std::move(rates)}});
  }
  return devices;
}

json::Value PageWriter::makeData() {
  json::Array steps, metrics, bounds, objectives, refused;
  for (const auto &step : result.conditions.steps)
    steps.push_back(
        json::Object{{"context", step.context}, {"batch", step.sequences}});
  for (const MetricInfo &info : getMetrics())
    metrics.push_back(json::Object{{"name", info.name}, {"text", info.text}});
  for (unsigned bound = 0; bound < kNumBounds; ++bound)
    bounds.push_back(getBoundName(static_cast<Bound>(bound)));
  for (Metric metric : report.objectives)
    objectives.push_back(getMetricName(metric));
  for (const MixResult &mix : result.mixes)
    if (mix.refusal)
      refused.push_back(json::Object{{"label", makeLabel(mix)},
                                     {"op", mix.refusal->op},
                                     {"rule", mix.refusal->rule},
                                     {"remedy", mix.refusal->remedy}});
  return json::Object{{"build", report.build},
                      {"level", getLevelName(result.level)},
                      {"measuredOn", result.measuredOn},
                      {"tokens", result.tokens},
                      {"steps", std::move(steps)},
                      {"metrics", std::move(metrics)},
                      {"bounds", std::move(bounds)},
                      {"objectives", std::move(objectives)},
                      {"devices", makeDevices()},
                      {"mixes", makeMixes()},
                      {"rows", makeRows()},
                      {"refused", std::move(refused)}};
}

void PageWriter::write(raw_ostream &os) {
  std::string data;
  raw_string_ostream(data) << makeData();
  // "</script>" in a name would end the element that holds the data.
  std::string safe;
  for (char c : data)
    safe += c == '<' ? std::string("\\u003c") : std::string(1, c);
  StringRef rest = reportHtml;
  while (!rest.empty()) {
    auto [text, tail] = rest.split('@');
    os << text;
    if (tail.empty())
      break;
    auto [name, behind] = tail.split('@');
    os << (name == "STYLE"    ? StringRef(reportCss)
           : name == "DATA"   ? StringRef(safe)
           : name == "PLOTS"  ? StringRef(plotsJs)
           : name == "SCRIPT" ? StringRef(reportJs)
                              : name);
    rest = behind;
  }
}

void writeHtml(const Report &report, const ExploreResult &details,
               ArrayRef<unsigned> detailed, raw_ostream &os) {
  PageWriter(report, details, detailed).write(os);
}

} // namespace varve
