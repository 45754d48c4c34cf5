//===- TileTypes.cpp - Views, buffers, rings ------------------------------===//

#include "dialects/Tile/Tile.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::varve::tile;

/// The buffers of a stage, each with its full type.
static ParseResult parseBuffers(AsmParser &parser,
                                SmallVectorImpl<BufferType> &buffers) {
  return parser.parseCommaSeparatedList(
      [&] { return parser.parseType(buffers.emplace_back()); });
}

static void printBuffers(AsmPrinter &printer, ArrayRef<BufferType> buffers) {
  llvm::interleaveComma(buffers, printer,
                        [&](BufferType buffer) { printer << Type(buffer); });
}

#define GET_TYPEDEF_CLASSES
#include "dialects/Tile/TileTypes.cpp.inc"

void TileDialect::registerTypes() {
  addTypes<
#define GET_TYPEDEF_LIST
#include "dialects/Tile/TileTypes.cpp.inc"
      >();
}

/// `?x4096x` and the like.
static void printShape(AsmPrinter &printer, ArrayRef<int64_t> shape) {
  for (int64_t size : shape) {
    if (ShapedType::isDynamic(size))
      printer << '?';
    else
      printer << size;
    printer << 'x';
  }
}

static LogicalResult
verifyElementType(function_ref<InFlightDiagnostic()> emitError, Type type,
                  StringRef label) {
  if (isMemoryElementType(type))
    return success();
  return emitError() << "expected an element type that memory can hold (i8 to "
                        "i64, bf16, f16, f32, f64, 8- and 4-bit floats, "
                     << label << ") but got " << type;
}

//===----------------------------------------------------------------------===//
// ViewType
//===----------------------------------------------------------------------===//

Type ViewType::parse(AsmParser &parser) {
  SmallVector<int64_t> shape, strides;
  Type elementType;
  if (parser.parseLess() || parser.parseDimensionList(shape) ||
      parser.parseType(elementType))
    return {};
  if (succeeded(parser.parseOptionalComma())) {
    auto parseStride = [&]() -> ParseResult {
      if (succeeded(parser.parseOptionalQuestion())) {
        strides.push_back(ShapedType::kDynamic);
        return success();
      }
      return parser.parseInteger(strides.emplace_back());
    };
    if (parser.parseKeyword("strides") || parser.parseEqual() ||
        parser.parseCommaSeparatedList(AsmParser::Delimiter::Square,
                                       parseStride))
      return {};
  }
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseGreater())
    return {};
  return getChecked([&] { return parser.emitError(loc); }, parser.getContext(),
                    shape, elementType, strides);
}

void ViewType::print(AsmPrinter &printer) const {
  printer << '<';
  printShape(printer, getShape());
  printer << getElementType();
  if (!isDense()) {
    printer << ", strides = [";
    llvm::interleaveComma(getStrides(), printer, [&](int64_t stride) {
      if (ShapedType::isDynamic(stride))
        printer << '?';
      else
        printer << stride;
    });
    printer << ']';
  }
  printer << '>';
}

/// C4 for 4-bit elements.
static LogicalResult
verifyPackedView(function_ref<InFlightDiagnostic()> emitError,
                 ArrayRef<int64_t> shape, ArrayRef<int64_t> strides) {
  if (strides.empty()) {
    if (shape.size() > 1 && !ShapedType::isDynamic(shape.back()) &&
        shape.back() % 2 != 0)
      return emitError() << "expected the last size of a dense view of 4-bit "
                            "elements to be even (C4) but got "
                         << shape.back();
    return success();
  }
  if (strides.back() != 1)
    return emitError()
           << "expected stride 1 in the last dimension of a view of "
              "4-bit elements (C4)";
  for (int64_t stride : strides.drop_back())
    if (!ShapedType::isDynamic(stride) && stride % 2 != 0)
      return emitError() << "expected even strides in a view of 4-bit elements "
                            "(C4) but got "
                         << stride;
  return success();
}

LogicalResult ViewType::verify(function_ref<InFlightDiagnostic()> emitError,
                               ArrayRef<int64_t> shape, Type elementType,
                               ArrayRef<int64_t> strides) {
  if (shape.empty() || shape.size() > 6)
    return emitError() << "expected a view of rank 1 to 6 (C1) but got rank "
                       << shape.size();
  for (int64_t size : shape)
    if (!ShapedType::isDynamic(size) && size < 0)
      return emitError() << "expected sizes that are not negative (C1) but got "
                         << size;
  if (!strides.empty() && strides.size() != shape.size())
    return emitError() << "expected one stride per dimension (" << shape.size()
                       << ", C2) but got " << strides.size();
  for (int64_t stride : strides)
    if (!ShapedType::isDynamic(stride) && stride < 0)
      return emitError() << "expected strides that are not negative (C2) but "
                            "got "
                         << stride;
  if (failed(verifyElementType(emitError, elementType, "C3")))
    return failure();
  if (elementType.getIntOrFloatBitWidth() < 8)
    return verifyPackedView(emitError, shape, strides);
  return success();
}

int64_t ViewType::getNumDynamicSizes() const {
  return llvm::count(getShape(), ShapedType::kDynamic);
}

int64_t ViewType::getNumDynamicStrides() const {
  return llvm::count(getStrides(), ShapedType::kDynamic);
}

//===----------------------------------------------------------------------===//
// BufferType
//===----------------------------------------------------------------------===//

Type BufferType::parse(AsmParser &parser) {
  SmallVector<int64_t> shape;
  Type elementType;
  SharedLayoutAttr layout;
  if (parser.parseLess() ||
      parser.parseDimensionList(shape, /*allowDynamic=*/false) ||
      parser.parseType(elementType))
    return {};
  if (succeeded(parser.parseOptionalComma()) && parser.parseAttribute(layout))
    return {};
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseGreater())
    return {};
  return getChecked([&] { return parser.emitError(loc); }, parser.getContext(),
                    shape, elementType, layout);
}

void BufferType::print(AsmPrinter &printer) const {
  printer << '<';
  printShape(printer, getShape());
  printer << getElementType();
  if (getLayout())
    printer << ", " << getLayout();
  printer << '>';
}

LogicalResult BufferType::verify(function_ref<InFlightDiagnostic()> emitError,
                                 ArrayRef<int64_t> shape, Type elementType,
                                 SharedLayoutAttr layout) {
  if (shape.empty() || shape.size() > 4)
    return emitError() << "expected a buffer of rank 1 to 4 (C1) but got rank "
                       << shape.size();
  for (int64_t size : shape)
    if (size < 1)
      return emitError() << "expected positive static sizes (C1)";
  if (failed(verifyElementType(emitError, elementType, "C2")))
    return failure();
  if (!layout)
    return success();
  return layout.verifyShape(shape, elementType.getIntOrFloatBitWidth(),
                            emitError);
}

int64_t BufferType::getSizeInBytes() const {
  return llvm::divideCeil(llvm::product_of(getShape()) *
                              getElementType().getIntOrFloatBitWidth(),
                          8);
}

//===----------------------------------------------------------------------===//
// RingType
//===----------------------------------------------------------------------===//

LogicalResult RingType::verify(function_ref<InFlightDiagnostic()> emitError,
                               int64_t stages, ArrayRef<BufferType> buffers) {
  if (stages < 1 || stages > 64)
    return emitError() << "expected 1 to 64 stages (C1) but got " << stages;
  if (buffers.empty())
    return emitError() << "expected at least one buffer (C2)";
  return success();
}

int64_t RingType::getStageSizeInBytes() const {
  int64_t bytes = 0;
  for (BufferType buffer : getBuffers())
    bytes += buffer.getSizeInBytes();
  return bytes;
}
