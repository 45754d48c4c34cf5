//===- Query.cpp - What the explorer is asked -----------------------------===//

#include "lib/Explore/Query.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/MathExtras.h"
#include <limits>

using namespace llvm;

namespace varve {

StringRef getLevelName(Level level) {
  static constexpr StringRef names[] = {"e0", "e1", "e2", "e3"};
  return names[static_cast<unsigned>(level)];
}

StringRef getLevelDescription(Level level) {
  static constexpr StringRef names[] = {"closed form", "kernels formed",
                                        "kernels compiled", "measured"};
  return names[static_cast<unsigned>(level)];
}

Expected<Level> parseLevel(StringRef name) {
  constexpr std::pair<StringRef, Level> levels[] = {
      {"e0", Level::ClosedForm},
      {"e1", Level::Kernels},
      {"e2", Level::Compiled},
      {"e3", Level::Measured},
  };
  for (auto [known, level] : levels)
    if (known == name)
      return level;
  return createStringError("--level: expected e0, e1, e2 or e3, got '" + name +
                           "'");
}

std::string Mix::getLabel() const {
  std::string label = model;
  if (!layers.empty())
    label += " " + layers;
  for (const Setting &setting : settings)
    label += " " + setting.name + "=" + setting.value;
  return label;
}

//===----------------------------------------------------------------------===//
// The product
//===----------------------------------------------------------------------===//

int64_t Query::countMixes() const {
  int64_t count = models.size();
  auto times = [&](int64_t factor) {
    if (MulOverflow(count, factor, count))
      count = std::numeric_limits<int64_t>::max() / 2;
  };
  times(std::max<size_t>(layers.size(), 1));
  for (const Axis &axis : axes)
    times(axis.values.size());
  return count + static_cast<int64_t>(mixes.size());
}

Error Query::forEachMix(function_ref<Error(Mix)> use) const {
  std::vector<std::string> patterns = layers;
  if (patterns.empty())
    patterns.push_back("");
  for (const std::string &model : models)
    for (const std::string &pattern : patterns) {
      // An odometer whose last axis turns fastest.
      std::vector<size_t> digits(axes.size(), 0);
      while (true) {
        Mix mix{model, pattern, {}};
        for (auto [axis, digit] : zip(axes, digits))
          mix.settings.push_back({axis.name, axis.values[digit]});
        if (Error error = use(std::move(mix)))
          return error;
        size_t place = axes.size();
        while (place > 0 &&
               ++digits[place - 1] == axes[place - 1].values.size())
          digits[--place] = 0;
        if (place == 0)
          break;
      }
    }
  for (const Mix &mix : mixes)
    if (Error error = use(mix))
      return error;
  return Error::success();
}

//===----------------------------------------------------------------------===//
// Numbers and settings
//===----------------------------------------------------------------------===//

static Expected<int64_t> parseCount(StringRef text) {
  StringRef digits = text;
  int64_t unit = digits.consume_back_insensitive("k")   ? int64_t(1) << 10
                 : digits.consume_back_insensitive("m") ? int64_t(1) << 20
                                                        : 1;
  int64_t number;
  if (digits.getAsInteger(10, number) || number < 1 ||
      number > std::numeric_limits<int32_t>::max() / unit)
    return createStringError("expected a positive i32 number like 4096, 4k or "
                             "1m, got '" +
                             text + "'");
  return number * unit;
}

Expected<std::vector<int64_t>> parseCounts(StringRef text) {
  std::vector<int64_t> counts;
  SmallVector<StringRef> parts;
  text.split(parts, ',');
  for (StringRef part : parts) {
    auto [first, last] = part.split("..");
    Expected<int64_t> from = parseCount(first.trim());
    if (!from)
      return from.takeError();
    int64_t to = *from;
    if (part.contains("..")) {
      Expected<int64_t> end = parseCount(last.trim());
      if (!end)
        return end.takeError();
      to = *end;
      if (to < *from)
        return createStringError("expected a range from a smaller to a larger "
                                 "number, got '" +
                                 part + "'");
    }
    for (int64_t count = *from; count < to; count *= 2)
      counts.push_back(count);
    counts.push_back(to);
  }
  llvm::sort(counts);
  counts.erase(llvm::unique(counts), counts.end());
  return counts;
}

Expected<Axis> parseAxis(StringRef text) {
  auto [name, values] = text.split('=');
  if (name.empty() || values.empty())
    return createStringError("--set: expected name=value or name=a,b,c, got '" +
                             text + "'");
  Axis axis{name.str(), {}};
  SmallVector<StringRef> parts;
  values.split(parts, ',');
  for (StringRef part : parts) {
    if (part.trim().empty())
      return createStringError("--set: expected a value between the commas of "
                               "'" +
                               text + "'");
    axis.values.push_back(part.trim().str());
  }
  return axis;
}

} // namespace varve
