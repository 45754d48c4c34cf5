//===- VarveAttrs.cpp - Attributes of the model dialect -------------------===//

#include "dialects/Varve/Varve.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/MathExtras.h"
#include <limits>

using namespace mlir;
using namespace mlir::varve;

#include "dialects/Varve/VarveEnums.cpp.inc"

#define GET_ATTRDEF_CLASSES
#include "dialects/Varve/VarveAttrs.cpp.inc"

void VarveDialect::registerAttributes() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "dialects/Varve/VarveAttrs.cpp.inc"
      >();
}

using EmitError = function_ref<InFlightDiagnostic()>;

//===----------------------------------------------------------------------===//
// Segments and formats
//===----------------------------------------------------------------------===//

/// Far beyond any row, and small enough that bytes of a row and of a pool are
/// exact in 64 bits.
static constexpr int64_t kMaxSegment = 1 << 24;
static constexpr size_t kMaxSegments = 16;

static bool isCode(Type type) {
  return isa<Float8E4M3FNType, Float4E2M1FNType>(type);
}

/// `448 x f8E4M3FN scaled 64 x f8E8M0FNU`
static ParseResult parseBareSegment(AsmParser &parser, SegmentAttr &segment) {
  int64_t size = 0, block = 0;
  Type elementType, scaleType;
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseInteger(size) || parser.parseKeyword("x") ||
      parser.parseType(elementType))
    return failure();
  if (succeeded(parser.parseOptionalKeyword("scaled")) &&
      (parser.parseInteger(block) || parser.parseKeyword("x") ||
       parser.parseType(scaleType)))
    return failure();
  segment = SegmentAttr::getChecked([&] { return parser.emitError(loc); },
                                    parser.getContext(), size, elementType,
                                    block, scaleType);
  return success(segment != nullptr);
}

static void printBareSegment(AsmPrinter &printer, SegmentAttr segment) {
  printer << segment.getSize() << " x " << segment.getElementType();
  if (segment.getBlock())
    printer << " scaled " << segment.getBlock() << " x "
            << segment.getScaleType();
}

Attribute SegmentAttr::parse(AsmParser &parser, Type) {
  SegmentAttr segment;
  if (parser.parseLess() || parseBareSegment(parser, segment) ||
      parser.parseGreater())
    return {};
  return segment;
}

void SegmentAttr::print(AsmPrinter &printer) const {
  printer << '<';
  printBareSegment(printer, *this);
  printer << '>';
}

LogicalResult SegmentAttr::verify(EmitError emitError, int64_t size,
                                  Type elementType, int64_t block,
                                  Type scaleType) {
  if (size <= 0 || size > kMaxSegment)
    return emitError() << "expected between 1 and " << kMaxSegment
                       << " elements (C1) but got " << size;
  if (!isa<Float32Type, BFloat16Type, Float16Type, Float8E4M3FNType,
           Float4E2M1FNType>(elementType))
    return emitError()
           << "expected elements of type f32, bf16, f16, f8E4M3FN or "
              "f4E2M1FN (C2) but got "
           << elementType;
  if (!isCode(elementType)) {
    if (block || scaleType)
      return emitError() << "expected no scales for elements of type "
                         << elementType << " (C2)";
    return success();
  }
  if (block <= 0 || !scaleType)
    return emitError() << "expected scales for elements of type " << elementType
                       << " (C2): write 'scaled <elements> x <type>'";
  if (!isa<Float8E8M0FNUType, Float32Type>(scaleType))
    return emitError()
           << "expected scales of type f8E8M0FNU or f32 (C2) but got "
           << scaleType;
  if (size % block)
    return emitError() << "expected a block that divides " << size
                       << " elements (C3) but got " << block;
  return success();
}

int64_t SegmentAttr::getCodeBits() const {
  return getSize() * getElementType().getIntOrFloatBitWidth();
}

static ParseResult parseBareFormat(AsmParser &parser, FormatAttr &format) {
  SmallVector<SegmentAttr> segments;
  SMLoc loc = parser.getCurrentLocation();
  // Not Delimiter::LessGreater, which goes on after a missing '<'.
  if (parser.parseLess())
    return failure();
  if (failed(parser.parseOptionalGreater()) &&
      (parser.parseCommaSeparatedList(
           [&] { return parseBareSegment(parser, segments.emplace_back()); }) ||
       parser.parseGreater()))
    return failure();
  format = FormatAttr::getChecked([&] { return parser.emitError(loc); },
                                  parser.getContext(), segments);
  return success(format != nullptr);
}

Attribute FormatAttr::parse(AsmParser &parser, Type) {
  FormatAttr format;
  if (parseBareFormat(parser, format))
    return {};
  return format;
}

void FormatAttr::print(AsmPrinter &printer) const {
  printer << '<';
  llvm::interleaveComma(getSegments(), printer, [&](SegmentAttr segment) {
    printBareSegment(printer, segment);
  });
  printer << '>';
}

LogicalResult FormatAttr::verify(EmitError emitError,
                                 ArrayRef<SegmentAttr> segments) {
  if (segments.empty())
    return emitError() << "expected at least one segment (C1)";
  if (segments.size() > kMaxSegments)
    return emitError() << "expected at most " << kMaxSegments
                       << " segments (C1) but got " << segments.size();
  for (SegmentAttr segment : segments)
    if (segment.getCodeBits() % 8)
      return emitError() << "expected the " << segment.getSize()
                         << " elements of type " << segment.getElementType()
                         << " to fill whole bytes (C2)";
  return success();
}

int64_t FormatAttr::getWidth() const {
  int64_t width = 0;
  for (SegmentAttr segment : getSegments())
    width += segment.getSize();
  return width;
}

int64_t FormatAttr::getCodeBytes() const {
  int64_t bits = 0;
  for (SegmentAttr segment : getSegments())
    bits += segment.getCodeBits();
  return bits / 8;
}

int64_t FormatAttr::getScaleBytes() const {
  int64_t bytes = 0;
  for (SegmentAttr segment : getSegments())
    if (segment.getBlock())
      bytes += segment.getNumScales() *
               segment.getScaleType().getIntOrFloatBitWidth() / 8;
  return llvm::alignTo(bytes, 4);
}

FormatAttr FormatAttr::getPlain(Type elementType, int64_t width) {
  MLIRContext *context = elementType.getContext();
  return FormatAttr::get(
      context, SegmentAttr::get(context, width, elementType, 0, Type()));
}

//===----------------------------------------------------------------------===//
// Rotary tables and the model
//===----------------------------------------------------------------------===//

/// Ids and positions are i32 values at run time.
static constexpr int64_t kMaxNumber = std::numeric_limits<int32_t>::max();

LogicalResult SelectAttr::verify(EmitError emitError, int64_t keep, SelectScore,
                                 int64_t every) {
  for (auto [field, number] :
       {std::pair("keep", keep), std::pair("every", every)})
    if (number < 1 || number > kMaxNumber)
      return emitError() << "expected a positive i32 number as '" << field
                         << "' (C1) but got " << number;
  return success();
}

LogicalResult YarnAttr::verify(EmitError emitError, FloatAttr factor,
                               FloatAttr betaFast, FloatAttr betaSlow,
                               int64_t original) {
  if (!(factor.getValueAsDouble() >= 1.0) || !factor.getValue().isFinite())
    return emitError() << "expected a finite factor of at least 1 (C1) but got "
                       << factor;
  if (!(betaSlow.getValueAsDouble() > 0.0) ||
      !(betaFast.getValueAsDouble() >= betaSlow.getValueAsDouble()) ||
      !betaFast.getValue().isFinite())
    return emitError()
           << "expected finite beta_fast >= beta_slow > 0 (C1) but got "
           << betaFast << " and " << betaSlow;
  if (original < 1 || original > kMaxNumber)
    return emitError()
           << "expected a positive i32 number as original length (C1) "
              "but got "
           << original;
  return success();
}

LogicalResult RopeAttr::verify(EmitError emitError, FloatAttr theta,
                               int64_t dim, YarnAttr yarn) {
  if (!(theta.getValueAsDouble() > 1.0) || !theta.getValue().isFinite())
    return emitError() << "expected a finite theta above 1 (C1) but got "
                       << theta;
  if (dim <= 0 || dim % 2)
    return emitError()
           << "expected an even, positive number of rotary dimensions "
              "(C1) but got "
           << dim;
  return success();
}

LogicalResult ModelAttr::verify(EmitError emitError, StringRef name,
                                StringRef layers, int64_t vocab,
                                int64_t maxPositions, int64_t bos,
                                int64_t eos) {
  if (vocab < 1 || vocab > kMaxNumber)
    return emitError()
           << "expected a positive i32 number as vocabulary (C1) but got "
           << vocab;
  if (maxPositions < 1 || maxPositions > kMaxNumber)
    return emitError()
           << "expected a positive i32 number of positions (C1) but got "
           << maxPositions;
  for (auto [field, id] : {std::pair("bos", bos), std::pair("eos", eos)})
    if (id < -1 || id >= vocab)
      return emitError() << "expected " << field << " below the vocabulary of "
                         << vocab << " (C1) but got " << id;
  return success();
}

//===----------------------------------------------------------------------===//
// Strategies
//===----------------------------------------------------------------------===//

LogicalResult StrategyAttr::verify(EmitError emitError, int64_t min,
                                   int64_t max, int64_t rows, int64_t columns,
                                   int64_t depth, int64_t split, int64_t stages,
                                   int64_t warps, Attribute engine) {
  for (auto [name, value] :
       {std::pair("min", min), std::pair("rows", rows),
        std::pair("columns", columns), std::pair("depth", depth),
        std::pair("split", split), std::pair("stages", stages)})
    if (value < 1)
      return emitError() << "expected a positive " << name << " (C1) but got "
                         << value;
  if (max != 0 && max < min)
    return emitError() << "expected a max of 0 or at least " << min
                       << " (C1) but got " << max;
  if (warps < 1 || warps > 32 || !llvm::isPowerOf2_64(warps))
    return emitError() << "expected a power of two up to 32 as warps (C1) but "
                          "got "
                       << warps;
  return success();
}
