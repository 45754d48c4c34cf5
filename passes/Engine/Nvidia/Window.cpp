//===- Window.cpp - The part of a view that a tile covers -----------------===//

#include "passes/Engine/Nvidia/Window.h"

#include "mlir/IR/Matchers.h"
#include "passes/Tile/Divisibility.h"
#include <numeric>

using namespace mlir;
using namespace mlir::varve::nvidia;

static std::optional<int64_t> getConstant(Value value) {
  APInt constant;
  if (matchPattern(value, m_ConstantInt(&constant)))
    return constant.getSExtValue();
  return std::nullopt;
}

Window::Window(Lowering &lowering, const View &view, ValueRange offsets,
               ArrayRef<int64_t> dims, RankedTensorType tile, Operation *user)
    : map(lowering.getMap(tile)), lowering(lowering), code(lowering.code),
      view(view), base(lowering.getBase(map)), dims(dims) {
  for (Value offset : offsets) {
    ranges.push_back(getRange(offset, user));
    starts.push_back(code.toI64(lowering.scalar(offset)));
    divisors.push_back(tile::getDivisor(offset));
  }
  enter();
}

Window::Window(Lowering &lowering, const View &view,
               llvm::DenseMap<int64_t, Row> rows, Value column,
               RankedTensorType tile)
    : map(lowering.getMap(tile)), lowering(lowering), code(lowering.code),
      view(view), base(lowering.getBase(map)), dims({0}), rows(std::move(rows)),
      starts({code.i64(0)}), divisors({1}) {
  if (column) {
    dims.push_back(1);
    starts.push_back(code.toI64(lowering.scalar(column)));
    divisors.push_back(tile::getDivisor(column));
  }
  enter();
}

void Window::enter() {
  Value position = code.i64(0);
  for (auto [dim, start] : llvm::enumerate(starts)) {
    if (!llvm::is_contained(dims, static_cast<int64_t>(dim)))
      common = both(common, isWithin(start, dim));
    position = code.add(position, code.mul(start, view.strides[dim]));
  }
  for (auto [i, dim] : llvm::enumerate(dims))
    if (!map.wraps(i) && !isNumbered(i))
      position = code.add(
          position, code.mul(code.extendToI64(base[i]), view.strides[dim]));
  origin = position;
  threadOwns = lowering.getThreadOwnership(map);
  width = chooseWidth();
}

int64_t Window::chooseWidth() {
  int64_t last = dims.back();
  int64_t bits = view.element.getIntOrFloatBitWidth();
  std::optional<int64_t> size = getConstant(view.sizes[last]);
  if (isNumbered(last) ||
      last + 1 != static_cast<int64_t>(view.strides.size()) || !size ||
      getConstant(view.strides[last]) != 1)
    return 1;
  // What divides the position of every vector and both ends of the view.
  int64_t known = std::gcd(divisors[last], *size);
  for (int64_t dim = 0; dim < last; ++dim)
    known = std::gcd(known, view.strideDivisors[dim]);
  known = std::gcd(known, view.alignment * 8 / bits);
  int64_t result = 1, limit = 128 / bits;
  while (2 * result <= limit && known % (2 * result) == 0)
    result *= 2;
  return map.getVectorWidth(result);
}

//===----------------------------------------------------------------------===//
// Conditions
//===----------------------------------------------------------------------===//

/// 0 <= index < size.
Value Window::isWithin(Value index, int64_t dim) {
  // One unsigned comparison: sizes are not negative, and a negative index is a
  // large number.
  return code.cmp(arith::CmpIPredicate::ult, index, view.sizes[dim]);
}

Value Window::both(Value a, Value b) {
  if (!a || !b)
    return a ? a : b;
  Value &known = conjunctions[{a, b}];
  if (!known)
    known = code.both(a, b);
  return known;
}

/// Whether the tile lies within a dimension of known size.
bool Window::isAlwaysInside(int64_t i) {
  std::optional<int64_t> size = getConstant(view.sizes[dims[i]]);
  if (!size || ranges.empty())
    return false;
  const IntegerRange &range = ranges[dims[i]];
  return range.low && *range.low >= 0 && range.high &&
         *range.high + map.getShape()[i] <= *size;
}

Value Window::isInside(int64_t reg) {
  Value inside = common;
  for (auto [i, dim] : llvm::enumerate(dims)) {
    if (isNumbered(i)) {
      inside = both(inside, rows->lookup(map.getOffset(reg)[0]).exists);
      continue;
    }
    if (isAlwaysInside(i))
      continue;
    Value &known = checks[{i, map.getOffset(reg)[i]}];
    if (!known)
      known = isWithin(
          code.add(starts[dim],
                   code.extendToI64(lowering.getCoordinate(map, base, reg, i))),
          dim);
    inside = both(inside, known);
  }
  return inside;
}

Value Window::mayStore(int64_t reg) {
  if (!map.isInside(reg))
    return code.boolean(false);
  Value condition = both(threadOwns, isInside(reg));
  for (int64_t dim = 0; dim < map.getRank(); ++dim) {
    if (!map.wraps(dim))
      continue;
    int64_t offset = map.getOffset(reg)[dim];
    Value &known = ownerships[{dim, offset}];
    if (!known)
      known = code.cmp(arith::CmpIPredicate::ult, code.add(base[dim], offset),
                       map.getShape()[dim]);
    condition = both(condition, known);
  }
  return condition;
}

//===----------------------------------------------------------------------===//
// Accesses
//===----------------------------------------------------------------------===//

Value Window::getPosition(int64_t reg) {
  Value position = origin;
  for (auto [i, dim] : llvm::enumerate(dims)) {
    if (isNumbered(i)) {
      position =
          code.add(position, rows->lookup(map.getOffset(reg)[0]).position);
      continue;
    }
    Value coordinate =
        map.wraps(i)
            ? code.extendToI64(lowering.getCoordinate(map, base, reg, i))
            : code.i64(map.getOffset(reg)[i]);
    position = code.add(position, code.mul(coordinate, view.strides[dim]));
  }
  return position;
}

Value Window::getAddress(Value position) {
  int64_t bits = view.element.getIntOrFloatBitWidth();
  return code.offset(view.base, bits < 8 ? code.shiftRight(position, 1)
                                         : code.mul(position, bits / 8));
}

SmallVector<Value> Window::load(int64_t reg, Value condition) {
  Value position = getPosition(reg);
  Value address = getAddress(position);
  if (condition)
    address = code.select(condition, address, lowering.getZeros());
  IntegerType storage = getStorageType(view.element);
  if (!view.isPacked() || width > 1)
    return code.unpack(
        code.load(address, storage, view.isPacked() ? width / 2 : width),
        view.element);
  Value odd = code.cmp(arith::CmpIPredicate::ne, code.bitAnd(position, 1), 0);
  return {code.unpackOne(code.load(address, storage, 1).front(), odd,
                         view.element)};
}

void Window::store(int64_t reg, ValueRange elements) {
  Value position = getPosition(reg);
  if (view.isPacked() && elements.size() == 1)
    return storeNibble(elements.front(), position);
  code.store(code.pack(elements), getAddress(position));
}

/// Half of a byte, of which another lane may write the other half: two atomic
/// updates of the word around it.
void Window::storeNibble(Value element, Value position) {
  Type i32 = code.builder.getI32Type();
  Value address = code.create<LLVM::PtrToIntOp>(code.builder.getI64Type(),
                                                getAddress(position));
  Value inWord = code.create<arith::TruncIOp>(i32, code.bitAnd(address, 3));
  Value odd = code.create<arith::TruncIOp>(i32, code.bitAnd(position, 1));
  Value shift = code.add(code.mul(inWord, 8), code.mul(odd, 4));
  Value word = code.create<LLVM::IntToPtrOp>(code.getPointerType(kGlobalSpace),
                                             code.bitAnd(address, ~3));
  Value bits = code.create<arith::ExtUIOp>(i32, code.toStorage(element));
  Value hole = code.create<arith::ShLIOp>(code.i32(15), shift);
  auto update = [&](LLVM::AtomicBinOp kind, Value value) {
    code.create<LLVM::AtomicRMWOp>(kind, word, value,
                                   LLVM::AtomicOrdering::monotonic);
  };
  update(LLVM::AtomicBinOp::_and, code.bitXor(hole, code.i32(-1)));
  update(LLVM::AtomicBinOp::_or, code.create<arith::ShLIOp>(bits, shift));
}
