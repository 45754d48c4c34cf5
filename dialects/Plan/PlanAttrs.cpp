//===- PlanAttrs.cpp - Linear expressions over sizes ----------------------===//

#include "dialects/Plan/Plan.h"

#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::varve::plan;

#include "dialects/Plan/PlanEnums.cpp.inc"

#define GET_ATTRDEF_CLASSES
#include "dialects/Plan/PlanAttrs.cpp.inc"

void PlanDialect::registerAttributes() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "dialects/Plan/PlanAttrs.cpp.inc"
      >();
}

//===----------------------------------------------------------------------===//
// Syntax
//===----------------------------------------------------------------------===//

static SmallVector<StringRef> getSymbolNames() {
  SmallVector<StringRef> names;
  for (unsigned i = 0; i < LinearAttr::kNumSymbols; ++i)
    names.push_back(stringifySymbol(static_cast<Symbol>(i)));
  return names;
}

/// A symbol's name, if one comes next.
static std::optional<Symbol> parseOptionalSymbol(AsmParser &parser) {
  StringRef keyword;
  if (failed(parser.parseOptionalKeyword(&keyword, getSymbolNames())))
    return std::nullopt;
  return symbolizeSymbol(keyword);
}

/// `128 slots`, `slots` or `128`, added to `coefficients` with `sign`.
static ParseResult parseTerm(AsmParser &parser, int64_t sign,
                             MutableArrayRef<int64_t> coefficients) {
  SMLoc loc = parser.getCurrentLocation();
  int64_t factor = 1;
  OptionalParseResult number = parser.parseOptionalInteger(factor);
  if (number.has_value() && failed(*number))
    return failure();
  std::optional<Symbol> symbol = parseOptionalSymbol(parser);
  if (!number.has_value() && !symbol)
    return parser.emitError(loc)
           << "expected a number or one of the sizes tokens, rows, slots, "
              "pages, sequence_pages, max_tokens";
  int64_t &coefficient =
      coefficients[symbol ? 1 + static_cast<unsigned>(*symbol) : 0];
  if (llvm::MulOverflow(factor, sign, factor) ||
      llvm::AddOverflow(coefficient, factor, coefficient))
    return parser.emitError(loc) << "number does not fit 64 bits";
  return success();
}

/// The inside of brackets and what closes them.
static ParseResult parseSum(AsmParser &parser, LinearAttr &linear) {
  int64_t coefficients[LinearAttr::kNumCoefficients] = {};
  // The lexer takes a minus and a number apart.
  int64_t sign = succeeded(parser.parseOptionalMinus()) ? -1 : 1;
  while (true) {
    if (parseTerm(parser, sign, coefficients))
      return failure();
    if (succeeded(parser.parseOptionalPlus()))
      sign = 1;
    else if (succeeded(parser.parseOptionalMinus()))
      sign = -1;
    else
      break;
  }
  linear =
      LinearAttr::get(parser.getContext(), ArrayRef<int64_t>(coefficients));
  return parser.parseRSquare();
}

OptionalParseResult varve::plan::parseOptionalLinear(AsmParser &parser,
                                                     LinearAttr &linear) {
  int64_t constant;
  OptionalParseResult number = parser.parseOptionalInteger(constant);
  if (number.has_value()) {
    if (succeeded(*number))
      linear = LinearAttr::get(parser.getContext(), constant);
    return number;
  }
  if (std::optional<Symbol> symbol = parseOptionalSymbol(parser)) {
    linear = LinearAttr::get(parser.getContext(), *symbol);
    return success();
  }
  if (succeeded(parser.parseOptionalLSquare()))
    return parseSum(parser, linear);
  return std::nullopt;
}

ParseResult varve::plan::parseLinear(AsmParser &parser, LinearAttr &linear) {
  OptionalParseResult result = parseOptionalLinear(parser, linear);
  if (result.has_value())
    return *result;
  return parser.emitError(parser.getCurrentLocation())
         << "expected a size: a number, a name, or a sum in brackets";
}

/// One term of a sum, with the sign that joins it to those before.
static void printTerm(raw_ostream &os, bool first, int64_t factor,
                      StringRef symbol) {
  if (first)
    os << (factor < 0 ? "-" : "");
  else
    os << (factor < 0 ? " - " : " + ");
  // Of the least number, too.
  uint64_t magnitude = factor < 0 ? -static_cast<uint64_t>(factor)
                                  : static_cast<uint64_t>(factor);
  if (symbol.empty())
    os << magnitude;
  else if (magnitude == 1)
    os << symbol;
  else
    os << magnitude << ' ' << symbol;
}

void varve::plan::printLinear(AsmPrinter &printer, LinearAttr linear) {
  raw_ostream &os = printer.getStream();
  if (linear.isConstant()) {
    os << linear.getConstant();
    return;
  }
  if (std::optional<Symbol> symbol = linear.getSymbol()) {
    os << stringifySymbol(*symbol);
    return;
  }
  os << '[';
  bool first = true;
  for (auto [i, name] : llvm::enumerate(getSymbolNames()))
    if (int64_t factor = linear.getCoefficients()[1 + i]) {
      printTerm(os, first, factor, name);
      first = false;
    }
  if (int64_t constant = linear.getConstant())
    printTerm(os, first, constant, "");
  os << ']';
}

Attribute LinearAttr::parse(AsmParser &parser, Type) {
  LinearAttr linear;
  if (parser.parseLess() || parseLinear(parser, linear) ||
      parser.parseGreater())
    return {};
  return linear;
}

void LinearAttr::print(AsmPrinter &printer) const {
  printer << '<';
  printLinear(printer, *this);
  printer << '>';
}

//===----------------------------------------------------------------------===//
// Arithmetic
//===----------------------------------------------------------------------===//

LogicalResult LinearAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                                 ArrayRef<int64_t> coefficients) {
  if (coefficients.size() == kNumCoefficients)
    return success();
  return emitError() << "expected " << kNumCoefficients
                     << " coefficients but got " << coefficients.size();
}

bool LinearAttr::isConstant() const {
  return llvm::all_of(getCoefficients().drop_front(),
                      [](int64_t factor) { return factor == 0; });
}

std::optional<Symbol> LinearAttr::getSymbol() const {
  for (unsigned i = 0; i < kNumSymbols; ++i) {
    auto symbol = static_cast<Symbol>(i);
    if (*this == LinearAttr::get(getContext(), symbol))
      return symbol;
  }
  return std::nullopt;
}

LinearAttr LinearAttr::plus(LinearAttr other) const {
  int64_t sum[kNumCoefficients];
  for (auto [result, a, b] :
       llvm::zip(sum, getCoefficients(), other.getCoefficients()))
    if (llvm::AddOverflow(a, b, result))
      return {};
  return get(getContext(), ArrayRef<int64_t>(sum));
}

LinearAttr LinearAttr::times(int64_t factor) const {
  int64_t product[kNumCoefficients];
  for (auto [result, a] : llvm::zip(product, getCoefficients()))
    if (llvm::MulOverflow(a, factor, result))
      return {};
  return get(getContext(), ArrayRef<int64_t>(product));
}

bool LinearAttr::isAtMost(LinearAttr other) const {
  LinearAttr negated = times(-1);
  LinearAttr difference = negated ? other.plus(negated) : negated;
  if (!difference)
    return false;
  // The least difference is where each symbol that makes it smaller is as large
  // as can be: tokens and rows have a bound, the others have none.
  SmallVector<int64_t> coefficients(difference.getCoefficients());
  int64_t &most = coefficients[1 + static_cast<unsigned>(Symbol::MaxTokens)];
  for (Symbol bounded : {Symbol::Tokens, Symbol::Rows}) {
    int64_t &factor = coefficients[1 + static_cast<unsigned>(bounded)];
    if (factor < 0 && llvm::AddOverflow(most, factor, most))
      return false;
    factor = std::max<int64_t>(factor, 0);
  }
  return llvm::all_of(coefficients, [](int64_t value) { return value >= 0; });
}

int64_t LinearAttr::evaluate(ArrayRef<int64_t> symbols) const {
  int64_t value = getConstant();
  for (auto [factor, symbol] :
       llvm::zip_equal(getCoefficients().drop_front(), symbols))
    value += factor * symbol;
  return value;
}
