//===- StoredComparison.cpp - Values inside layers ------------------------===//

#include "lib/Check/StoredComparison.h"
#include "varve/Support/Assert.h"
#include <algorithm>
#include <array>
#include <cmath>
#include <set>

using namespace varve;

/// Positions at the end of the prompt of which a `_tail` tensor tells.
static constexpr int64_t kTail = 8;

std::string varve::inputOf(Mechanism mechanism, int64_t layer) {
  return (mechanism == Mechanism::Attention ? "attn." : "moe.") +
         std::to_string(layer) + ".input";
}

int64_t LayerTensor::getWidth() const {
  int64_t width = 1;
  for (size_t i = 2; i < shape.size(); ++i)
    width *= shape[i];
  return width;
}

std::string StoredRule::nameIn(int64_t layer) const {
  return std::string(scope) + "." + std::to_string(layer) + "." +
         std::string(name);
}

std::span<const StoredRule> varve::rulesOf(Mechanism mechanism) {
  using enum StoredForm;
  static constexpr std::array<StoredRule, 10> attention = {{
      {"attn", "q_latent", "attn.q_latent", Tokens},
      {"attn", "q_tail", "attn.q", Tail},
      {"attn", "window_kv", "attn.window_kv", Pool},
      {"attn", "entries", "attn.entries", Pool},
      {"attn", "o_tail", "attn.o", Tail, kChoice},
      {"attn", "output", "attn.output", Tokens, kChoice},
      {"indexer", "q_tail", "indexer.q", Tail},
      {"indexer", "keys", "indexer.keys", Pool},
      {"indexer", "scores", kScores, Columns},
      {"indexer", "topk", kChoice, Set},
  }};
  static constexpr std::array<StoredRule, 4> experts = {{
      {"router", "logits", "router.logits", Tokens},
      {"router", "indices", "router.indices", InOrder},
      {"router", "weights", "router.weights", OwnWeights},
      {"moe", "output", "moe.output", Tokens, "router.indices"},
  }};
  if (mechanism == Mechanism::Attention)
    return attention;
  return experts;
}

//===----------------------------------------------------------------------===//
// Choices
//===----------------------------------------------------------------------===//

namespace {

/// What two implementations chose for every token.
struct Choices {
  int64_t wanted = 0, shared = 0;
  std::vector<bool> same; ///< by token: the same set
};

} // namespace

static Choices compareChoices(const LayerTensor &expected,
                              const LayerTensor &actual, bool inOrder) {
  int64_t places = expected.getWidth(), k = actual.getWidth();
  int64_t tokens = expected.shape[0] * expected.shape[1];
  Choices result;
  for (int64_t t = 0; t < tokens; ++t) {
    std::span<const int64_t> want =
        std::span(expected.choices).subspan(t * places, places);
    std::span<const int64_t> got = std::span(actual.choices).subspan(t * k, k);
    std::set<int64_t> wanted(want.begin(), want.end());
    std::set<int64_t> have(got.begin(), got.end());
    wanted.erase(-1);
    have.erase(-1);
    result.same.push_back(wanted == have);
    for (int64_t i = 0; i < places; ++i) {
      if (want[i] < 0)
        continue;
      ++result.wanted;
      result.shared +=
          inOrder ? i < k && got[i] == want[i] : have.count(want[i]) != 0;
    }
  }
  return result;
}

//===----------------------------------------------------------------------===//
// Numbers
//===----------------------------------------------------------------------===//

/// The rows of [B, P, from] that a stored tensor tells of, and of those the
/// first `width` columns.
static std::vector<float> takeRows(const LayerTensor &observed, int64_t rows,
                                   int64_t width) {
  int64_t P = observed.shape[1], from = observed.getWidth();
  std::vector<float> taken;
  for (int64_t b = 0; b < observed.shape[0]; ++b)
    for (int64_t p = P - rows; p < P; ++p) {
      auto row = observed.numbers.begin() + (b * P + p) * from;
      taken.insert(taken.end(), row, row + width);
    }
  return taken;
}

/// Leaves rows out; `rows` is a number of rows per sequence at the end of what
/// `same` tells of.
static void dropRows(std::vector<float> &numbers, const std::vector<bool> &same,
                     int64_t batch, int64_t rows, int64_t width) {
  int64_t P = static_cast<int64_t>(same.size()) / batch;
  std::vector<float> kept;
  for (int64_t b = 0; b < batch; ++b)
    for (int64_t i = 0; i < rows; ++i)
      if (same[b * P + P - rows + i]) {
        auto row = numbers.begin() + (b * rows + i) * width;
        kept.insert(kept.end(), row, row + width);
      }
  numbers = std::move(kept);
}

/// Elements that are more than one step of a code apart. The scale of a group
/// is below twice its largest magnitude by the largest code.
static int64_t countBeyondStep(const std::vector<float> &actual,
                               const std::vector<float> &expected,
                               int64_t width, CodeKind codes) {
  double relative = codes == CodeKind::E4M3   ? 0x1p-3
                    : codes == CodeKind::E2M1 ? 0x1p-1
                                              : 0x1p-7;
  double smallest = codes == CodeKind::E4M3   ? 2.0 / 448 * 0x1p-9
                    : codes == CodeKind::E2M1 ? 2.0 / 6 * 0.5
                                              : 0.0;
  int64_t count = 0;
  for (size_t row = 0; row < expected.size(); row += width) {
    double largest = 0;
    for (int64_t i = 0; i < width; ++i)
      largest = std::max<double>(largest, std::fabs(expected[row + i]));
    for (size_t i = row; i < row + width; ++i) {
      double most = std::max(std::fabs(actual[i]), std::fabs(expected[i]));
      double step = std::max(relative * most, smallest * largest);
      count += !(std::fabs(actual[i] - expected[i]) <= step);
    }
  }
  return count;
}

//===----------------------------------------------------------------------===//
// All tensors of a mechanism
//===----------------------------------------------------------------------===//

namespace {

class StoredComparison {
public:
  StoredComparison(int64_t layer, const LayerTensors &expected,
                   const LayerTensors &observed, const CheckLimits &limits)
      : layer(layer), expected(expected), observed(observed), limits(limits) {}

  void compare(const StoredRule &rule);
  void compareFromScores();

  std::vector<CheckRow> rows;
  std::vector<std::string> missing;
  std::string error;

private:
  const LayerTensor *find(const LayerTensors &tensors,
                          std::string_view name) const {
    auto it = tensors.find(name);
    return it == tensors.end() ? nullptr : &it->second;
  }
  bool checkShape(const StoredRule &rule, const LayerTensor &want,
                  const LayerTensor &got);
  void addNumbers(const StoredRule &rule, const LayerTensor &want,
                  const LayerTensor &got);
  void addChoices(std::string what, const LayerTensor &want,
                  const LayerTensor &got, bool inOrder, double share);

  int64_t layer;
  const LayerTensors &expected, &observed;
  const CheckLimits &limits;
};

} // namespace

static std::string shapeText(const std::vector<int64_t> &shape) {
  std::string text;
  for (int64_t size : shape)
    text += (text.empty() ? "[" : ", ") + std::to_string(size);
  return text + "]";
}

bool StoredComparison::checkShape(const StoredRule &rule,
                                  const LayerTensor &want,
                                  const LayerTensor &got) {
  std::vector<int64_t> shape = got.shape;
  if (rule.form == StoredForm::Tail)
    shape[1] = std::min(kTail, shape[1]);
  bool isCut = rule.form == StoredForm::Columns || rule.isChoices();
  bool fits = isCut ? want.shape.size() == 3 && want.shape[0] == shape[0] &&
                          want.shape[1] == shape[1]
                    : want.shape == shape;
  if (fits && rule.form == StoredForm::Columns)
    fits = want.shape[2] <= shape[2];
  if (!fits)
    error = "tensor '" + rule.nameIn(layer) + "': expected the shape " +
            shapeText(shape) + ", got " + shapeText(want.shape);
  return fits;
}

void StoredComparison::addNumbers(const StoredRule &rule,
                                  const LayerTensor &want,
                                  const LayerTensor &got) {
  int64_t width = want.getWidth(), count = want.shape[1];
  std::vector<float> actual = takeRows(got, count, width);
  std::vector<float> numbers = want.numbers;
  std::string what = rule.nameIn(layer);
  const LayerTensor *choices = find(expected, rule.behind);
  const LayerTensor *own = find(observed, rule.behind);
  if (choices && own) {
    Choices chosen = compareChoices(*choices, *own, /*inOrder=*/false);
    size_t before = actual.size();
    for (std::vector<float> *tensor : {&actual, &numbers})
      dropRows(*tensor, chosen.same, want.shape[0], count, width);
    if (actual.size() != before)
      what += " where " + std::string(rule.behind) + " agrees";
  }
  Limits bounds = limits.stored;
  if (rule.form == StoredForm::Pool)
    bounds = limits.codes;
  if (rule.form == StoredForm::OwnWeights) {
    bounds = {};
    bounds.worst = limits.routerWeights;
  }
  rows.push_back(makeRow(
      std::move(what), varve::compare(actual, numbers, width), bounds, layer));
  if (rule.form != StoredForm::Pool || !bounds.equalElements)
    return;
  if (int64_t beyond = countBeyondStep(actual, numbers, width, got.codes))
    rows.back().violations.push_back(std::to_string(beyond) +
                                     " elements off by more than one step");
}

void StoredComparison::addChoices(std::string what, const LayerTensor &want,
                                  const LayerTensor &got, bool inOrder,
                                  double share) {
  Choices chosen = compareChoices(want, got, inOrder);
  Statistics statistics;
  statistics.positions = static_cast<int64_t>(chosen.same.size());
  if (chosen.wanted)
    statistics.equalElements =
        static_cast<double>(chosen.shared) / static_cast<double>(chosen.wanted);
  Limits bounds;
  bounds.equalElements = share;
  rows.push_back(makeRow(std::move(what), statistics, bounds, layer));
}

void StoredComparison::compare(const StoredRule &rule) {
  const LayerTensor *want = find(expected, rule.observed);
  if (!want || !error.empty())
    return;
  const LayerTensor *got = find(observed, rule.observed);
  if (!got) {
    missing.push_back(rule.nameIn(layer));
    return;
  }
  if (!checkShape(rule, *want, *got))
    return;
  if (rule.isChoices())
    addChoices(rule.nameIn(layer), *want, *got,
               rule.form == StoredForm::InOrder,
               // The router has no excuse: its input was given.
               rule.form == StoredForm::InOrder ? 1.0 : limits.sharedEntries);
  else
    addNumbers(rule, *want, *got);
}

void StoredComparison::compareFromScores() {
  const LayerTensor *want = find(expected, kChoice);
  const LayerTensor *got = find(observed, kChoiceFromScores);
  if (!want || !got || !error.empty())
    return;
  std::string scope = "indexer." + std::to_string(layer);
  addChoices(scope + ".topk from " + scope + ".scores", *want, *got,
             /*inOrder=*/true, 1.0);
}

std::vector<CheckRow> varve::compareStored(Mechanism mechanism, int64_t layer,
                                           const LayerTensors &expected,
                                           const LayerTensors &observed,
                                           const CheckLimits &limits,
                                           std::vector<std::string> &missing,
                                           std::string &error) {
  StoredComparison comparison(layer, expected, observed, limits);
  for (const StoredRule &rule : rulesOf(mechanism))
    comparison.compare(rule);
  comparison.compareFromScores();
  missing.insert(missing.end(), comparison.missing.begin(),
                 comparison.missing.end());
  error = std::move(comparison.error);
  return std::move(comparison.rows);
}
