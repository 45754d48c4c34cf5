//===- PlanTypes.cpp - Memory as the host sees it -------------------------===//

#include "dialects/Plan/Plan.h"
#include "dialects/Tile/Tile.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::varve::plan;

#define GET_TYPEDEF_CLASSES
#include "dialects/Plan/PlanTypes.cpp.inc"

void PlanDialect::registerTypes() {
  addTypes<
#define GET_TYPEDEF_LIST
#include "dialects/Plan/PlanTypes.cpp.inc"
      >();
}

Type DeviceTensorType::parse(AsmParser &parser) {
  SmallVector<LinearAttr> shape;
  SmallVector<int64_t> strides;
  Type elementType;
  if (parser.parseLess())
    return {};
  while (true) {
    LinearAttr size;
    OptionalParseResult result = parseOptionalLinear(parser, size);
    if (!result.has_value())
      break;
    if (failed(*result) || parser.parseKeyword("x", " behind a size"))
      return {};
    shape.push_back(size);
  }
  if (parser.parseType(elementType))
    return {};
  if (succeeded(parser.parseOptionalComma()))
    if (parser.parseKeyword("strides") || parser.parseEqual() ||
        parser.parseCommaSeparatedList(AsmParser::Delimiter::Square, [&] {
          return parser.parseInteger(strides.emplace_back());
        }))
      return {};
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseGreater())
    return {};
  return getChecked([&] { return parser.emitError(loc); }, parser.getContext(),
                    shape, elementType, strides);
}

void DeviceTensorType::print(AsmPrinter &printer) const {
  printer << '<';
  for (LinearAttr size : getShape()) {
    printLinear(printer, size);
    printer << " x ";
  }
  printer << getElementType();
  if (!isDense()) {
    printer << ", strides = [";
    llvm::interleaveComma(getStrides(), printer);
    printer << ']';
  }
  printer << '>';
}

/// C5 for 4-bit elements.
static LogicalResult
verifyPackedTensor(function_ref<InFlightDiagnostic()> emitError,
                   ArrayRef<LinearAttr> shape, ArrayRef<int64_t> strides) {
  if (!shape.back().isConstant() || shape.back().getConstant() % 2 != 0)
    return emitError() << "expected the last size of a tensor of 4-bit "
                          "elements to be constant and even (C5)";
  if (strides.empty())
    return success();
  if (strides.back() != 1)
    return emitError() << "expected stride 1 in the last dimension of a tensor "
                          "of 4-bit elements (C5) but got "
                       << strides.back();
  for (int64_t stride : strides.drop_back())
    if (stride % 2 != 0)
      return emitError() << "expected even strides in a tensor of 4-bit "
                            "elements (C5) but got "
                         << stride;
  return success();
}

LogicalResult
DeviceTensorType::verify(function_ref<InFlightDiagnostic()> emitError,
                         ArrayRef<LinearAttr> shape, Type elementType,
                         ArrayRef<int64_t> strides) {
  if (shape.empty() || shape.size() > 6)
    return emitError() << "expected a tensor of rank 1 to 6 (C1) but got rank "
                       << shape.size();
  for (auto [i, size] : llvm::enumerate(shape))
    for (int64_t coefficient : size.getCoefficients())
      if (coefficient < 0)
        return emitError() << "expected no negative number in size " << i
                           << " (C2) but got " << coefficient;
  if (!varve::tile::isMemoryElementType(elementType))
    return emitError() << "expected an element type that memory can hold (i8 "
                          "to i64, bf16, f16, f32, f64, 8- and 4-bit floats, "
                          "C3) but got "
                       << elementType;
  if (!strides.empty() && strides.size() != shape.size())
    return emitError() << "expected one stride per dimension (" << shape.size()
                       << ", C4) but got " << strides.size();
  for (int64_t stride : strides)
    if (stride < 0)
      return emitError() << "expected strides that are not negative (C4) but "
                            "got "
                         << stride;
  if (elementType.getIntOrFloatBitWidth() < 8)
    return verifyPackedTensor(emitError, shape, strides);
  return success();
}

bool DeviceTensorType::hasStaticShape() const {
  return llvm::all_of(getShape(),
                      [](LinearAttr size) { return size.isConstant(); });
}

/// The product of sizes; null if it is not linear or too large.
static LinearAttr multiply(MLIRContext *context, ArrayRef<LinearAttr> sizes) {
  LinearAttr product = LinearAttr::get(context, 1);
  for (LinearAttr size : sizes) {
    if (!product)
      return {};
    if (size.isConstant())
      product = product.times(size.getConstant());
    else if (product.isConstant())
      product = size.times(product.getConstant());
    else
      return {};
  }
  return product;
}

LinearAttr DeviceTensorType::getStride(unsigned dim) const {
  if (!isDense())
    return LinearAttr::get(getContext(), getStrides()[dim]);
  return multiply(getContext(), getShape().drop_front(dim + 1));
}

LinearAttr DeviceTensorType::getSizeInBytes() const {
  // The bits behind the last element.
  int64_t width = getElementType().getIntOrFloatBitWidth();
  LinearAttr extent;
  if (isDense()) {
    extent = multiply(getContext(), getShape());
  } else {
    LinearAttr minusOne = LinearAttr::get(getContext(), -1);
    extent = LinearAttr::get(getContext(), 1);
    for (auto [size, stride] : llvm::zip(getShape(), getStrides())) {
      LinearAttr last = size.plus(minusOne);
      LinearAttr distance = last ? last.times(stride) : last;
      extent = extent && distance ? extent.plus(distance) : LinearAttr();
    }
  }
  if (!extent)
    return {};
  if (width >= 8)
    return extent.times(width / 8);
  // Rows of packed elements fill whole bytes (C5), so every coefficient is
  // even, and the last element of a strided tensor is the second of its byte.
  SmallVector<int64_t> bytes;
  for (int64_t coefficient : extent.getCoefficients())
    bytes.push_back(coefficient / (8 / width));
  return LinearAttr::get(getContext(), bytes);
}
