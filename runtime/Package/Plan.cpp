//===- Plan.cpp - What the host does, decoded -----------------------------===//

#include "runtime/Package/Plan.h"
#include "runtime/Error.h"
#include <algorithm>

namespace varve::runtime {

//===----------------------------------------------------------------------===//
// Sizes
//===----------------------------------------------------------------------===//

std::string_view symbolName(Symbol symbol) {
  constexpr std::string_view names[kNumSymbols] = {
      "tokens", "rows", "slots", "pages", "sequence_pages", "max_tokens"};
  return names[static_cast<size_t>(symbol)];
}

std::optional<int64_t> Linear::tryEvaluate(const Sizes &sizes) const {
  int64_t sum = constant;
  for (size_t i = 0; i < kNumSymbols; ++i) {
    int64_t product;
    if (__builtin_mul_overflow(factors[i], sizes.values[i], &product) ||
        __builtin_add_overflow(sum, product, &sum))
      return std::nullopt;
  }
  return sum;
}

int64_t Linear::evaluate(const Sizes &sizes) const {
  std::optional<int64_t> value = tryEvaluate(sizes);
  if (!value)
    fail("a size of the plan, {}, overflows 64 bits; choose a smaller context, "
         "fewer sequences or fewer tokens a step",
         str());
  return *value;
}

std::optional<Linear> Linear::plus(const Linear &other) const {
  Linear sum;
  if (__builtin_add_overflow(constant, other.constant, &sum.constant))
    return std::nullopt;
  for (size_t i = 0; i < kNumSymbols; ++i)
    if (__builtin_add_overflow(factors[i], other.factors[i], &sum.factors[i]))
      return std::nullopt;
  return sum;
}

std::optional<Linear> Linear::times(int64_t factor) const {
  Linear product;
  if (__builtin_mul_overflow(constant, factor, &product.constant))
    return std::nullopt;
  for (size_t i = 0; i < kNumSymbols; ++i)
    if (__builtin_mul_overflow(factors[i], factor, &product.factors[i]))
      return std::nullopt;
  return product;
}

bool Linear::isAtMost(const Linear &other) const {
  std::optional<Linear> negative = times(-1);
  std::optional<Linear> rest = negative ? other.plus(*negative) : std::nullopt;
  if (!rest)
    return false;
  // The least that tokens and rows can add is a negative factor times
  // max_tokens.
  int64_t &most = rest->factors[static_cast<size_t>(Symbol::MaxTokens)];
  for (Symbol symbol : {Symbol::Tokens, Symbol::Rows}) {
    int64_t &factor = rest->factors[static_cast<size_t>(symbol)];
    if (factor < 0 && __builtin_add_overflow(most, factor, &most))
      return false;
    // There is at least one token.
    if (symbol == Symbol::Tokens && factor > 0 &&
        __builtin_add_overflow(rest->constant, factor, &rest->constant))
      return false;
    factor = 0;
  }
  // Every other size is at least 1 where it occurs.
  for (int64_t factor : rest->factors)
    if (factor < 0 ||
        __builtin_add_overflow(rest->constant, factor, &rest->constant))
      return false;
  return rest->constant >= 0;
}

std::string Linear::str() const {
  std::string text;
  auto add = [&](int64_t value, std::string_view symbol) {
    if (value == 0)
      return;
    // Unsigned, for the least number has no opposite.
    uint64_t magnitude = value < 0 ? -static_cast<uint64_t>(value) : value;
    text += text.empty() ? (value < 0 ? "-" : "") : (value < 0 ? " - " : " + ");
    if (symbol.empty())
      text += std::to_string(magnitude);
    else if (magnitude == 1)
      text += symbol;
    else
      text += fmt::format("{} {}", magnitude, symbol);
  };
  for (size_t i = 0; i < kNumSymbols; ++i)
    add(factors[i], symbolName(static_cast<Symbol>(i)));
  add(constant, "");
  return text.empty() ? "0" : text;
}

//===----------------------------------------------------------------------===//
// Tensors
//===----------------------------------------------------------------------===//

namespace {
struct ElementRow {
  std::string_view name;
  unsigned bits;
};
/// By Element.
constexpr ElementRow elementRows[kNumElements] = {
    {"i8", 8},       {"i16", 16},   {"i32", 32},      {"i64", 64},
    {"bf16", 16},    {"f16", 16},   {"f32", 32},      {"f64", 64},
    {"f8E4M3FN", 8}, {"f8E5M2", 8}, {"f8E8M0FNU", 8}, {"f4E2M1FN", 4},
};
} // namespace

std::string_view elementName(Element element) {
  return elementRows[static_cast<size_t>(element)].name;
}

unsigned bitsOf(Element element) {
  return elementRows[static_cast<size_t>(element)].bits;
}

std::optional<Linear> TensorType::getBytes() const {
  Linear bytes = Linear::ofConstant(1);
  auto multiply = [&](const Linear &size) {
    std::optional<Linear> product;
    if (size.isConstant())
      product = bytes.times(size.constant);
    else if (bytes.isConstant())
      product = size.times(bytes.constant);
    if (product)
      bytes = *product;
    return product.has_value();
  };
  for (const Linear &size : shape)
    if (!multiply(size))
      return std::nullopt;
  unsigned bits = bitsOf(element);
  if (bits >= 8)
    return bytes.times(bits / 8);
  // Two elements a byte: the last size is even.
  bytes.constant /= 2;
  for (int64_t &factor : bytes.factors)
    factor /= 2;
  return bytes;
}

std::vector<int64_t> TensorType::evaluate(const Sizes &sizes) const {
  std::vector<int64_t> extents;
  for (const Linear &size : shape)
    extents.push_back(size.evaluate(sizes));
  return extents;
}

std::string TensorType::str() const {
  std::string text;
  for (const Linear &size : shape) {
    std::string part = size.str();
    text += part.find(' ') == std::string::npos ? part : "[" + part + "]";
    text += " x ";
  }
  text += elementName(element);
  return text;
}

//===----------------------------------------------------------------------===//
// The rest
//===----------------------------------------------------------------------===//

int64_t Weight::getBytes() const {
  int64_t elements = 1;
  for (int64_t extent : shape)
    elements *= extent;
  return elements * bitsOf(element) / 8;
}

int64_t Storage::evaluate(const Sizes &most) const {
  int64_t bytes = 0;
  for (const Term &term : terms) {
    Sizes sizes = most;
    for (const Limit &limit : term.limits)
      sizes[limit.symbol] = std::min(sizes[limit.symbol], limit.most);
    bytes = std::max(bytes, term.bytes.evaluate(sizes));
  }
  return bytes;
}

int64_t Storage::evaluateStep(const Sizes &sizes) const {
  int64_t bytes = 0;
  for (const Term &term : terms) {
    bool exists = std::all_of(
        term.limits.begin(), term.limits.end(),
        [&](const Limit &limit) { return sizes[limit.symbol] <= limit.most; });
    if (exists)
      bytes = std::max(bytes, term.bytes.evaluate(sizes));
  }
  return bytes;
}

std::vector<size_t> Program::launchesFor(const Plan &plan,
                                         const Sizes &sizes) const {
  std::vector<bool> holds = {true};
  for (const std::vector<Interval> &condition : conditions)
    holds.push_back(std::all_of(
        condition.begin(), condition.end(), [&](const Interval &interval) {
          int64_t value = plan.sizes[interval.value].evaluate(sizes);
          return interval.low <= value && value <= interval.high;
        }));
  std::vector<size_t> result;
  for (size_t i = 0; i < launches.size(); ++i)
    if (holds[launches[i].condition])
      result.push_back(i);
  return result;
}

int Program::findPort(std::string_view name) const {
  for (size_t i = 0; i < ports.size(); ++i)
    if (ports[i].name == name)
      return static_cast<int>(i);
  return -1;
}

const Program *Plan::find(std::string_view name) const {
  for (const Program &program : programs)
    if (program.name == name)
      return &program;
  return nullptr;
}

} // namespace varve::runtime
