//===- TileBuilder.h - Writing tile programs in C++ ------------*- C++ -*-===//
//
// Shorthands for the ops that kernels are made of. Everything is created at the
// insertion point; tiles are tensors of static shape.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_PASSES_LOWER_TILEBUILDER_H
#define VARVE_PASSES_LOWER_TILEBUILDER_H

#include "dialects/Tile/Tile.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace mlir::varve {

class TileBuilder : public ImplicitLocOpBuilder {
public:
  using ImplicitLocOpBuilder::ImplicitLocOpBuilder;

  //===--------------------------------------------------------------------===//
  // Scalars of type index
  //===--------------------------------------------------------------------===//
  Value index(int64_t value);
  Value add(Value a, Value b);
  Value add(Value a, int64_t b) { return add(a, index(b)); }
  Value sub(Value a, Value b);
  Value mul(Value a, int64_t b);
  Value mul(Value a, Value b);
  /// Of numbers that are not negative.
  Value div(Value a, int64_t b);
  Value rem(Value a, int64_t b);
  Value programId(int64_t axis);
  Value dim(Value view, int64_t dim);

  //===--------------------------------------------------------------------===//
  // Tiles
  //===--------------------------------------------------------------------===//
  static ArrayRef<int64_t> getShape(Value tile);
  static Type getElement(Value tile);

  Value constant(ArrayRef<int64_t> shape, Type element, double value);
  Value zeros(ArrayRef<int64_t> shape, Type element);
  Value splat(Value scalar, ArrayRef<int64_t> shape);
  Value iota(ArrayRef<int64_t> shape, int64_t dim, Type element = {});
  /// `first + 0, 1, ...` as i32.
  Value numbersFrom(Value first, int64_t count);
  Value broadcast(Value tile, ArrayRef<int64_t> shape, ArrayRef<int64_t> dims);
  /// [R] or [C] repeated to [R, C].
  Value acrossColumns(Value column, int64_t columns);
  Value acrossRows(Value row, int64_t rows);
  /// Column `i` of a float tile [R, C] as [R].
  Value column(Value tile, int64_t i);
  Value reshape(Value tile, ArrayRef<int64_t> shape);
  Value slice(Value tile, ArrayRef<int64_t> offsets, ArrayRef<int64_t> shape);
  Value reduce(tile::ReduceKind kind, Value tile, int64_t dim);
  /// The sums of an f32 tile [R, C] of numbers that are not negative, [R],
  /// nearly rounded whatever order they are added in; three reductions.
  Value sumNearlyRounded(Value tile);

  //===--------------------------------------------------------------------===//
  // Arithmetic of tiles or scalars of one type
  //===--------------------------------------------------------------------===//
  Value addf(Value a, Value b);
  Value subf(Value a, Value b);
  Value mulf(Value a, Value b);
  Value divf(Value a, Value b);
  Value maxf(Value a, Value b);
  Value minf(Value a, Value b);
  Value negf(Value a);
  /// With a constant in the place of `b`.
  Value addf(Value a, double b) { return addf(a, like(a, b)); }
  Value mulf(Value a, double b) { return mulf(a, like(a, b)); }
  Value maxf(Value a, double b) { return maxf(a, like(a, b)); }
  Value minf(Value a, double b) { return minf(a, like(a, b)); }
  /// A constant of the type of `a`.
  Value like(Value a, double value);
  Value likeInt(Value a, int64_t value);
  Value addi(Value a, Value b);
  Value muli(Value a, Value b);
  Value compare(arith::CmpIPredicate predicate, Value a, Value b);
  Value compare(arith::CmpFPredicate predicate, Value a, Value b);
  Value select(Value condition, Value a, Value b);
  /// `1 / (1 + e^-z)` of f32 within 0.65 units in the last place on every
  /// target; at least e^-87.
  Value sigmoid(Value z);
  /// Within 0.51 units in the last place, for positive normal `x`.
  Value rsqrt(Value x);

  /// A float tile as f32, exactly.
  Value toF32(Value tile);
  /// An f32 tile rounded to `element`, to nearest, ties to even.
  Value round(Value tile, Type element);
  /// An f32 tile rounded to `element` and back.
  Value roundTrip(Value tile, Type element) {
    return toF32(round(tile, element));
  }
  /// i32 to f32.
  Value toFloat(Value numbers);

  //===--------------------------------------------------------------------===//
  // Memory
  //===--------------------------------------------------------------------===//
  Value load(Value view, ValueRange offsets, ArrayRef<int64_t> shape,
             ArrayRef<int64_t> dims = {}, Value mask = {}, Value fill = {});
  void store(Value tile, Value view, ValueRange offsets,
             ArrayRef<int64_t> dims = {}, Value mask = {});
  /// Rows by number; `column` null for a view of rank 1.
  Value gather(Value view, Value rows, int64_t columns, Value column = {});

private:
  /// `e^x` of f32, -87 <= x <= 87, as a number and what is to be added to it.
  std::pair<Value, Value> expParts(Value x);
};

} // namespace mlir::varve

#endif // VARVE_PASSES_LOWER_TILEBUILDER_H
