//===- ReportText.cpp - Tables, JSON lines, CSV ---------------------------===//

#include "lib/Explore/Measurements.h"
#include "lib/Explore/Report.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/FormatVariadic.h"
#include <cmath>

using namespace llvm;

namespace varve {

std::string formatBytes(double bytes) {
  static constexpr StringRef units[] = {"B", "kB", "MB", "GB", "TB"};
  size_t unit = 0;
  while (bytes >= 1000 && unit + 1 < std::size(units)) {
    bytes /= 1000;
    ++unit;
  }
  return formatv(unit && bytes < 100 ? "{0:f2} {1}" : "{0:f0} {1}", bytes,
                 units[unit])
      .str();
}

/// 1048576 -> "1M", 4096 -> "4K".
static std::string formatCount(int64_t count) {
  if (count % (1 << 20) == 0)
    return itostr(count >> 20) + "M";
  if (count % (1 << 10) == 0)
    return itostr(count >> 10) + "K";
  return itostr(count);
}

static StringRef deviceName(const ExploreResult &result, const Row &row) {
  return getShortName(*result.conditions.devices[row.device].getDevice().model);
}

/// Text that a shell takes as one word.
static std::string quoteForShell(StringRef text) {
  bool plain = !text.empty() && all_of(text, [](char c) {
    return isAlnum(c) || StringRef("-_./=:,@+").contains(c);
  });
  if (plain)
    return text.str();
  std::string quoted = "'";
  for (char c : text)
    quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

std::string getReplayCommand(const ExploreResult &result, const Row &row) {
  const MixResult &mix = result.mixes[row.mix];
  std::string command = "varve explore " + quoteForShell(mix.mix.model);
  if (!mix.mix.layers.empty())
    command += " --layers=" + quoteForShell(mix.mix.layers);
  for (const Setting &setting : mix.mix.settings)
    command += " --set=" + quoteForShell(setting.name + "=" + setting.value);
  if (!mix.precision.empty())
    command += " --precision=" + quoteForShell(mix.precision);
  command += formatv(" --context={0} --batch={1}", row.context, row.batch);
  if (result.tokens != 1)
    command += formatv(" --tokens={0}", result.tokens);
  command += " --target=" + quoteForShell(deviceName(result, row).lower()) +
             " --level=" + getLevelName(result.level).str();
  return command;
}

//===----------------------------------------------------------------------===//
// Terminal
//===----------------------------------------------------------------------===//

namespace {
/// Columns as wide as their widest cell; the first ones left-aligned.
class TextTable {
public:
  explicit TextTable(size_t leftAligned) : leftAligned(leftAligned) {}
  void add(std::vector<std::string> row) { rows.push_back(std::move(row)); }
  void print(raw_ostream &os) const;

private:
  size_t leftAligned;
  std::vector<std::vector<std::string>> rows;
};
} // namespace

void TextTable::print(raw_ostream &os) const {
  std::vector<size_t> widths;
  for (const auto &row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (auto [index, cell] : enumerate(row))
      widths[index] = std::max(widths[index], cell.size());
  }
  for (const auto &row : rows) {
    std::string line;
    for (auto [index, cell] : enumerate(row)) {
      std::string space(widths[index] - cell.size(), ' ');
      line += (index ? "  " : "");
      line += index < leftAligned ? cell + space : space + cell;
    }
    os << StringRef(line).rtrim() << '\n';
  }
}

/// What tells the rows of a mix apart from those of others.
static std::string describeMix(const MixResult &mix) {
  std::string text = mix.mix.model + " " + mix.cost.layers;
  if (text.size() > 60)
    text = text.substr(0, 57) + "...";
  for (const Setting &setting : mix.mix.settings)
    text += " " + setting.name + "=" + setting.value;
  return text;
}

/// How well predictions rank what was measured, over all rows.
static void writeAgreement(const Report &report, raw_ostream &os) {
  std::vector<std::pair<double, double>> pairs;
  for (const Row &row : report.rows)
    if (row.figures[Metric::PredictedMs])
      pairs.emplace_back(row.figures[Metric::PredictedMs],
                         row.figures[Metric::StepMs]);
  double correlation = getRankCorrelation(pairs);
  if (std::isfinite(correlation))
    os << formatv("\nrank correlation of predicted and measured time over {0} "
                  "rows: {1:f3}\n",
                  pairs.size(), correlation);
}

void writeTable(const Report &report, raw_ostream &os, size_t maxRows) {
  const ExploreResult &result = report.result;
  StringSet<> devices;
  for (const Row &row : report.rows)
    devices.insert(deviceName(result, row));
  bool manyDevices = devices.size() > 1;
  if (devices.size() == 1)
    os << "on one " << devices.begin()->getKey() << ", level "
       << getLevelName(result.level) << " ("
       << getLevelDescription(result.level) << "), "
       << (result.tokens == 1
               ? std::string("one token of each sequence a step")
               : itostr(result.tokens) + " tokens of each sequence a step")
       << "\n\n";
  if (!result.measuredOn.empty())
    os << "measured on " << result.measuredOn << "\n\n";
  TextTable table(/*leftAligned=*/1);
  std::vector<std::string> header = {"mix"};
  if (manyDevices)
    header.push_back("device");
  bool isMeasured = result.level == Level::Measured;
  for (StringRef name :
       {"batch", "context", result.tokens == 1 ? "decode ms" : "step ms",
        isMeasured ? "predicted" : "of it launches", "bound by", "tokens/s",
        "B/token", "cache/seq", "GFLOP/token", "memory", "GPUs"})
    header.push_back(name.str());
  table.add(std::move(header));
  for (const Row &row : ArrayRef(report.rows).take_front(maxRows)) {
    const Figures &f = row.figures;
    std::vector<std::string> cells = {describeMix(result.mixes[row.mix])};
    if (manyDevices)
      cells.push_back(deviceName(result, row).str());
    llvm::append_range(
        cells,
        std::initializer_list<std::string>{
            itostr(row.batch), formatCount(row.context),
            formatv("{0:f2}", f[Metric::StepMs]).str(),
            formatv("{0:f2}",
                    f[isMeasured ? Metric::PredictedMs : Metric::LaunchMs])
                .str(),
            getBoundName(row.bound).str(),
            formatv("{0:f0}", f[Metric::TokensPerSecond]).str(),
            formatv("{0:f0}", f[Metric::KvPerToken]).str(),
            formatBytes(f[Metric::CacheBytes]),
            formatv("{0:f1}", f[Metric::FlopsToken] / 1e9).str(),
            formatBytes(f[Metric::MemoryBytes]),
            formatv("{0:f0}", f[Metric::Devices]).str()});
    table.add(std::move(cells));
  }
  table.print(os);
  if (isMeasured)
    writeAgreement(report, os);
  if (report.rows.size() > maxRows)
    os << "... and " << report.rows.size() - maxRows
       << " more rows; --format=jsonl and --format=csv have all\n";
}

void writeRefusals(const ExploreResult &result, raw_ostream &os,
                   size_t maxMixes) {
  size_t count = 0;
  for (const MixResult &mix : result.mixes) {
    if (!mix.refusal || ++count > maxMixes)
      continue;
    os << "refused " << mix.mix.getLabel() << "\n  ";
    if (!mix.refusal->op.empty())
      os << mix.refusal->op << ": ";
    os << mix.refusal->rule << "\n  remedy: " << mix.refusal->remedy << '\n';
  }
  if (count > maxMixes)
    os << "... and " << count - maxMixes << " more refused mixes\n";
}

//===----------------------------------------------------------------------===//
// JSON and CSV
//===----------------------------------------------------------------------===//

static json::Object makeJsonMix(const Mix &mix) {
  json::Array settings;
  for (const Setting &setting : mix.settings)
    settings.push_back(setting.name + "=" + setting.value);
  return json::Object{{"model", mix.model},
                      {"layers", mix.layers},
                      {"set", std::move(settings)}};
}

/// Whole numbers as integers, so that they read as what they are.
static json::Value makeNumber(double number) {
  if (number >= 0 && number < 9007199254740992.0 &&
      number == static_cast<double>(static_cast<int64_t>(number)))
    return static_cast<int64_t>(number);
  return number;
}

json::Object makeJsonRow(const Report &report, const Row &row) {
  const ExploreResult &result = report.result;
  const MixResult &mix = result.mixes[row.mix];
  json::Object figures;
  for (const MetricInfo &info : getMetrics())
    figures[info.name] = makeNumber(row.figures[info.metric]);
  json::Array kinds;
  for (const KindCount &entry : mix.cost.layerKinds)
    kinds.push_back(
        json::Object{{"kind", entry.kind->title}, {"count", entry.count}});
  json::Object object{
      {"mix", makeJsonMix(mix.mix)},
      {"layers", mix.cost.layers},
      {"kinds", std::move(kinds)},
      {"options", json::Object{{"precision", mix.precision},
                               {"context", row.context},
                               {"batch", row.batch},
                               {"tokens", result.tokens},
                               {"target", deviceName(result, row).lower()},
                               {"level", getLevelName(result.level)}}},
      {"build", report.build},
      {"replay", getReplayCommand(result, row)},
      {"bound", getBoundName(row.bound)},
      {"figures", std::move(figures)},
  };
  if (!result.measuredOn.empty())
    object["measured_on"] = result.measuredOn;
  return object;
}

void writeJsonLines(const Report &report, raw_ostream &os) {
  for (const Row &row : report.rows)
    os << json::Value(makeJsonRow(report, row)) << '\n';
  for (const MixResult &mix : report.result.mixes)
    if (mix.refusal)
      os << json::Value(json::Object{
                {"mix", makeJsonMix(mix.mix)},
                {"refused", json::Object{{"op", mix.refusal->op},
                                         {"rule", mix.refusal->rule},
                                         {"remedy", mix.refusal->remedy}}},
                {"build", report.build}})
         << '\n';
}

/// A field of CSV, quoted where it must be.
static std::string quoteForCsv(StringRef text) {
  if (text.find_first_of(",\"\n") == StringRef::npos)
    return text.str();
  std::string quoted = "\"";
  for (char c : text)
    quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

void writeCsv(const Report &report, raw_ostream &os) {
  os << "model,layers,set,precision,context,batch,tokens,target,level,bound";
  for (const MetricInfo &info : getMetrics())
    os << ',' << info.name;
  os << ",build,replay\n";
  for (const Row &row : report.rows) {
    const MixResult &mix = report.result.mixes[row.mix];
    std::string settings;
    for (const Setting &setting : mix.mix.settings)
      settings +=
          (settings.empty() ? "" : " ") + setting.name + "=" + setting.value;
    os << quoteForCsv(mix.mix.model) << ',' << quoteForCsv(mix.cost.layers)
       << ',' << quoteForCsv(settings) << ',' << quoteForCsv(mix.precision)
       << ',' << row.context << ',' << row.batch << ',' << report.result.tokens
       << ',' << quoteForCsv(deviceName(report.result, row)) << ','
       << getLevelName(report.result.level) << ',' << getBoundName(row.bound);
    for (const MetricInfo &info : getMetrics())
      os << ',' << json::Value(makeNumber(row.figures[info.metric]));
    os << ',' << report.build << ','
       << quoteForCsv(getReplayCommand(report.result, row)) << '\n';
  }
}

} // namespace varve
