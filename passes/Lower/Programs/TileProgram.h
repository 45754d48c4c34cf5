//===- TileProgram.h - Writing a tile function -----------------*- C++ -*-===//
//
// Makes one `tile.func`: arguments, grid, and a body that is written with short
// names. Arithmetic folds constants; `add`, `mul` and so on take scalars, tiles
// or index values and choose the float or integer op by element type.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_PASSES_LOWER_PROGRAMS_TILEPROGRAM_H
#define VARVE_PASSES_LOWER_PROGRAMS_TILEPROGRAM_H

#include "dialects/Tile/Tile.h"
#include "mlir/IR/Builders.h"

namespace mlir::varve {

/// Who makes the function that a program is the body of, and knows what its
/// arguments are. Programs add them in the order that their builders document.
class ProgramHost {
public:
  virtual ~ProgramHost() = default;
  virtual Value addArgument(Type type) = 0;
  /// The symbol of a run-time size.
  virtual AffineExpr getSize(Value view, int64_t dim) = 0;
  virtual void finish(ArrayRef<AffineExpr> grid) = 0;
};

class TileProgram {
public:
  using Values = SmallVector<Value>;

  /// Begins a function of `warps` warps at the builder's insertion point. The
  /// builder then stands in its body until `finish`.
  TileProgram(OpBuilder &builder, Location loc, StringRef name, int64_t warps);

  /// Writes part of a body that somebody else makes.
  TileProgram(OpBuilder &builder, Location loc) : builder(builder), loc(loc) {}

  /// Writes the body of the host's function.
  TileProgram(OpBuilder &builder, Location loc, ProgramHost &host)
      : builder(builder), loc(loc), host(&host) {}

  //===--------------------------------------------------------------------===//
  // The function
  //===--------------------------------------------------------------------===//
  Value addArgument(Type type);
  /// A view whose first size is known at run time only; dense unless
  /// `rowStride` (elements) is given, which needs rank 2.
  Value addRows(ArrayRef<int64_t> rowShape, Type element,
                std::optional<int64_t> rowStride = std::nullopt);
  Value addView(ArrayRef<int64_t> shape, Type element);

  /// A run-time size of the grid.
  AffineExpr getSize(Value view, int64_t dim);
  AffineExpr getConstant(int64_t value);
  /// Sets the grid, adds the return, and leaves the body.
  void finish(ArrayRef<AffineExpr> grid);

  //===--------------------------------------------------------------------===//
  // Constants and types
  //===--------------------------------------------------------------------===//
  Type f32() { return builder.getF32Type(); }
  Type i32() { return builder.getI32Type(); }
  RankedTensorType tileType(ArrayRef<int64_t> shape, Type element);
  Value index(int64_t value);
  Value integer(int64_t value); ///< i32
  Value number(double value);   ///< f32
  /// A tile of equal elements of any type; of f8E8M0FNU, of the nearest power.
  Value splat(ArrayRef<int64_t> shape, Type element, double value);
  Value splat(ArrayRef<int64_t> shape, Value scalar);
  Value zeros(ArrayRef<int64_t> shape) { return splat(shape, f32(), 0.0); }
  Value lowest(ArrayRef<int64_t> shape);            ///< f32, -inf
  Value iota(ArrayRef<int64_t> shape, int64_t dim); ///< i32

  static ArrayRef<int64_t> getShape(Value tile);
  static Type getElement(Value value);

  //===--------------------------------------------------------------------===//
  // Arithmetic: equal types, or a tile and a scalar that is made a tile
  //===--------------------------------------------------------------------===//
  Value add(Value a, Value b);
  Value sub(Value a, Value b);
  Value mul(Value a, Value b);
  Value div(Value a, Value b); ///< of integers: not negative ones, rounded down
  Value rem(Value a, Value b);
  Value ceilDiv(Value a, int64_t b);
  Value min(Value a, Value b);
  Value max(Value a, Value b);
  Value both(Value a, Value b);
  Value either(Value a, Value b);
  Value less(Value a, Value b); ///< floats: ordered
  Value atLeast(Value a, Value b) { return compare(Order::AtLeast, a, b); }
  Value greater(Value a, Value b) { return less(b, a); }
  Value equal(Value a, Value b) { return compare(Order::Equal, a, b); }
  Value notEqual(Value a, Value b) { return compare(Order::NotEqual, a, b); }
  Value select(Value condition, Value a, Value b);
  Value exp(Value x);
  /// x / (1 + exp(-x)) of f32. Where that is `approximate`, it is off by a few
  /// 2^-20 of itself: a correct quotient has a branch for each element.
  Value silu(Value x, bool approximate);
  Value abs(Value x);
  /// Rounds or extends floats, converts integers (signed), i1 to 0 or 1.
  Value convert(Value value, Type element);
  /// As convert to `element` and back: what rounding does to an f32 tile.
  Value roundTo(Value value, Type element);
  Value toIndex(Value integer);
  Value toInteger(Value index); ///< i32
  Value bitcast(Value value, Type element);

  //===--------------------------------------------------------------------===//
  // Tiles
  //===--------------------------------------------------------------------===//
  Value broadcast(Value tile, ArrayRef<int64_t> shape, ArrayRef<int64_t> dims);
  Value reshape(Value tile, ArrayRef<int64_t> shape);
  Value slice(Value tile, ArrayRef<int64_t> offsets, ArrayRef<int64_t> shape);
  Value concat(ArrayRef<Value> tiles, int64_t dim);
  /// Dimension i of the result is dimension order[i].
  Value transpose(Value tile, ArrayRef<int64_t> order = {1, 0});
  Value reduce(tile::ReduceKind kind, Value tile, int64_t dim);
  Value sum(Value tile, int64_t dim);
  Value largest(Value tile, int64_t dim);
  /// f32 product added to `accumulator`, `b` stored as [N, K] when transposed.
  Value dot(Value a, Value b, Value accumulator, bool transposed);
  /// A product of codes, with tiles of scales; `b` is stored as [N, K],
  /// its columns as they are or in quad order. Scales of `a` count 2^exponent
  /// times what they are.
  Value scaledDot(Value a, Value aScale, Value b, Value bScale,
                  Value accumulator, std::optional<tile::Quads> quads = {},
                  int64_t exponent = 0);
  Value scan(Value tile, int64_t dim); ///< running sums
  std::pair<Value, Value> selectTopk(Value scores, Value ids, int64_t k);

  //===--------------------------------------------------------------------===//
  // Memory
  //===--------------------------------------------------------------------===//
  Value load(Value view, ValueRange offsets, ArrayRef<int64_t> shape,
             ArrayRef<int64_t> dims = {}, Value mask = {}, Value fill = {});
  void store(Value tile, Value view, ValueRange offsets,
             ArrayRef<int64_t> dims = {}, Value mask = {});
  Value loadScalar(Value view, ValueRange offsets);
  Value dim(Value view, int64_t dim);
  /// Rows of a view by number, through a page table if `table` is given:
  /// `sequences` then has a slot per row.
  Value gather(Value view, Value rows, Value column, ArrayRef<int64_t> shape,
               Value table = {}, Value sequences = {}, int64_t pageSize = 0,
               Value fill = {});
  void scatter(Value tile, Value view, Value rows, Value column,
               Value table = {}, Value sequences = {}, int64_t pageSize = 0);
  /// A shared buffer that is written and read in runs of `run` columns, with
  /// the widest swizzle whose panels such runs fill.
  Value alloc(ArrayRef<int64_t> shape, Type element, int64_t run);
  Value subbuffer(Value buffer, ArrayRef<int64_t> offsets,
                  ArrayRef<int64_t> shape);
  Value read(Value buffer);
  void write(Value tile, Value buffer);

  //===--------------------------------------------------------------------===//
  // Control
  //===--------------------------------------------------------------------===//
  Value programId(int64_t axis);
  using LoopBody = function_ref<Values(Value, ValueRange)>;
  Values loop(Value begin, Value end, int64_t step, ValueRange carried,
              LoopBody body);
  void loop(Value begin, Value end, int64_t step,
            function_ref<void(Value)> body);
  void ifThen(Value condition, function_ref<void()> then);
  Values ifElse(Value condition, function_ref<Values()> then,
                function_ref<Values()> otherwise);

  OpBuilder &builder;
  Location loc;

private:
  enum class Order { Less, AtLeast, Equal, NotEqual };
  Value compare(Order order, Value a, Value b);
  /// Makes a scalar operand a tile where the other one is a tile.
  void unify(Value &a, Value &b);
  template <typename FloatOp, typename IntegerOp>
  Value arithmetic(Value a, Value b);

  ProgramHost *host = nullptr;
  /// Without a host.
  tile::FuncOp function;
  SmallVector<Attribute> sizes;
};

} // namespace mlir::varve

#endif // VARVE_PASSES_LOWER_PROGRAMS_TILEPROGRAM_H
