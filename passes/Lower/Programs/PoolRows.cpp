//===- PoolRows.cpp - Rows of pools in tile programs ----------------------===//

#include "passes/Lower/Programs/PoolRows.h"

#include "varve/Support/Assert.h"
#include "varve/Support/Floats.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::varve;

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

/// Whether rows of a format are a matrix of one element type.
static bool isPlain(FormatAttr format) {
  return format.getSegments().size() == 1 &&
         !format.getSegments()[0].getBlock();
}

static int64_t getBits(Type element) { return element.getIntOrFloatBitWidth(); }

SmallVector<PoolPart> mlir::varve::getPoolParts(FormatAttr format) {
  if (isPlain(format)) {
    SegmentAttr segment = format.getSegments()[0];
    return {
        {0, segment.getElementType(), segment.getSize(), segment.getSize()}};
  }
  SmallVector<PoolPart> parts;
  int64_t rowBits = 8 * format.getRowBytes();
  int64_t codes = 0, scales = format.getCodeBytes();
  for (SegmentAttr segment : format.getSegments()) {
    Type element = segment.getElementType();
    parts.push_back(
        {codes, element, segment.getSize(), rowBits / getBits(element)});
    codes += segment.getCodeBits() / 8;
    if (!segment.getBlock())
      continue;
    Type scale = segment.getScaleType();
    parts.push_back(
        {scales, scale, segment.getNumScales(), rowBits / getBits(scale)});
    scales += segment.getNumScales() * getBits(scale) / 8;
  }
  return parts;
}

PoolPart mlir::varve::getRawPart(FormatAttr format) {
  if (isPlain(format))
    return getPoolParts(format).front();
  int64_t bytes = format.getRowBytes(), word = bytes & -bytes & 7;
  word = word == 0 || word > 4 ? 4 : word;
  return {0, IntegerType::get(format.getContext(), 8 * word), bytes / word,
          bytes / word};
}

LogicalResult
mlir::varve::verifyPoolParts(FormatAttr format,
                             function_ref<InFlightDiagnostic()> emitError) {
  int64_t rowBits = 8 * format.getRowBytes();
  for (const PoolPart &part : getPoolParts(format)) {
    int64_t bits = std::max<int64_t>(getBits(part.element), 8);
    if (8 * part.byteOffset % bits != 0 || rowBits % bits != 0)
      return emitError() << "a pool row of " << format.getRowBytes()
                         << " bytes has " << part.element
                         << " elements at byte " << part.byteOffset
                         << "; expected a multiple of their size: order the "
                            "segments by element size or pad them";
  }
  return success();
}

PoolShape PoolShape::of(PoolOp pool) {
  return {pool.getFormat(), pool.getKind(),
          static_cast<int64_t>(pool.getSize().value_or(0)),
          static_cast<int64_t>(pool.getRatio().value_or(1)),
          static_cast<int64_t>(pool.getPage().value_or(0))};
}

PoolRows::PoolRows(FormatAttr format, ArrayRef<Value> views)
    : format(format), views(views) {
  auto next = this->views.begin();
  int64_t begin = 0;
  for (SegmentAttr attr : format.getSegments()) {
    Segment segment = {attr, begin, *next++, Value()};
    if (attr.getBlock())
      segment.scales = *next++;
    segments.push_back(segment);
    begin += attr.getSize();
  }
}

PoolRows PoolRows::addTo(TileProgram &program, FormatAttr format) {
  SmallVector<Value> views;
  for (const PoolPart &part : getPoolParts(format))
    views.push_back(
        program.addRows({part.width}, part.element, part.rowStride));
  return PoolRows(format, views);
}

const PoolRows::Segment &PoolRows::getSegment(int64_t column) const {
  for (const Segment &segment : segments)
    if (column < segment.begin + segment.attr.getSize())
      return segment;
  llvm_unreachable("a column of the row");
}

//===----------------------------------------------------------------------===//
// Reading
//===----------------------------------------------------------------------===//

SmallVector<ColumnRun> PoolRows::getRuns(int64_t begin, int64_t width,
                                         int64_t limit) const {
  SmallVector<ColumnRun> runs;
  for (int64_t end = begin + width; begin < end;) {
    const Segment &segment = getSegment(begin);
    int64_t stop = std::min(end, segment.begin + segment.attr.getSize());
    if (int64_t block = segment.attr.getBlock())
      stop = std::min(stop, begin + block - (begin - segment.begin) % block);
    int64_t count = std::min(stop - begin, limit);
    runs.push_back({begin, count});
    begin += count;
  }
  return runs;
}

Value PoolRows::gather(TileProgram &p, const RowNumbers &numbers, ColumnRun run,
                       Type element, Value shift) const {
  const Segment &segment = getSegment(run.begin);
  int64_t first = run.begin - segment.begin, N = p.getShape(numbers.rows)[0];
  Value column = p.index(first);
  if (shift)
    column = p.add(column, shift);
  auto read = [&](Value view, Value column, int64_t width) {
    return p.gather(view, numbers.rows, column, {N, width}, numbers.table,
                    numbers.sequences, numbers.pageSize);
  };
  Value codes = read(segment.codes, column, run.width);
  int64_t block = segment.attr.getBlock();
  if (!block)
    return p.convert(codes, element);
  Value scale =
      p.reshape(read(segment.scales, p.div(column, p.index(block)), 1), {N});
  Value factor = p.broadcast(p.convert(scale, p.f32()), {N, run.width}, {0});
  return p.convert(p.mul(p.convert(codes, p.f32()), factor), element);
}

//===----------------------------------------------------------------------===//
// Writing
//===----------------------------------------------------------------------===//

std::pair<Value, Value> mlir::varve::emitQuantize(TileProgram &p, Value values,
                                                  int64_t block, Type code) {
  ArrayRef<int64_t> shape = p.getShape(values);
  VARVE_ASSERT(shape.size() == 2 && shape[1] % block == 0,
               "whole blocks of a row");
  int64_t N = shape[0], W = shape[1], groups = W / block;
  bool isFp4 = isa<Float4E2M1FNType>(code);
  double largest = isFp4 ? ::varve::e2m1Max : ::varve::e4m3Max;
  // The f32 neighbours of 1 / 6 and 1 / 448.
  float reciprocal = std::bit_cast<float>(isFp4 ? 0x3E2AAAABu : 0x3B124925u);
  float floor = isFp4 ? 6 * 0x1p-126f : 1e-4f;

  Value x = p.reshape(values, {N, groups, block});
  // Magnitudes compare as their bits do, and NaN is the largest of all: a group
  // with one must not pass for numbers.
  Value magnitude =
      p.largest(p.both(p.bitcast(x, p.i32()), p.integer(0x7FFFFFFF)), 2);
  magnitude = p.max(magnitude, p.integer(std::bit_cast<int32_t>(floor)));
  Value y = p.mul(p.bitcast(magnitude, p.f32()), p.number(reciprocal));
  // The power of two that is not below: any mantissa bit carries into the
  // exponent. What is no number becomes infinity, whose E8M0 code is NaN.
  Value bits = p.min(p.bitcast(y, p.i32()), p.integer(0x7F800000));
  bits = p.add(bits, p.integer(0x007FFFFF));
  Value scaleBits = p.both(bits, p.integer(0x7F800000));
  Value scale = p.bitcast(scaleBits, p.f32());
  // A product with the inverse power, which is a normal number too, is the
  // quotient.
  Value inverse = p.bitcast(p.sub(p.integer(0x7F000000), scaleBits), p.f32());
  Value quotient = p.mul(x, p.broadcast(inverse, {N, groups, block}, {0, 1}));
  Value clamped = p.max(p.min(quotient, p.number(largest)), p.number(-largest));
  return {p.reshape(p.convert(clamped, code), {N, W}), scale};
}

void PoolRows::scatter(TileProgram &p, const RowNumbers &numbers,
                       Value values) const {
  int64_t N = p.getShape(values)[0];
  auto write = [&](Value tile, Value view) {
    p.scatter(tile, view, numbers.rows, p.index(0), numbers.table,
              numbers.sequences, numbers.pageSize);
  };
  for (const Segment &segment : segments) {
    Type element = segment.attr.getElementType();
    Value part =
        p.slice(values, {0, segment.begin}, {N, segment.attr.getSize()});
    if (!segment.scales) {
      write(p.convert(part, element), segment.codes);
      continue;
    }
    auto [codes, scales] =
        emitQuantize(p, part, segment.attr.getBlock(), element);
    write(codes, segment.codes);
    write(p.convert(scales, segment.attr.getScaleType()), segment.scales);
  }
}
