//===- Lowering.h - One tile function to vector loops ----------*- C++ -*-===//
//
// The state of the lowering of one function, shared by the files that lower the
// kinds of ops.
//
// A tile is either *stored*, an array somewhere, or *deferred*: nothing has
// been emitted, and whoever needs elements of it calls `evaluate`, which emits
// the computation of one vector of them. Deferred are constants, splats, iotas,
// broadcasts, and element-wise ops with a single user nearby. A deferred tile
// depends only on arrays that do not change while it may be asked for.
//
// Arrays live in the scratch area. Their offsets are decided while lowering:
// an array lives until the end of the region in which it is made.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_PASSES_ENGINE_X86_LOWERING_H
#define VARVE_PASSES_ENGINE_X86_LOWERING_H

#include "dialects/Tile/Tile.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/IRMapping.h"
#include "passes/Engine/Common/Dispatch.h"
#include "passes/Engine/Common/Emit.h"
#include "passes/Engine/X86/Code.h"

namespace mlir::varve::x86 {

/// An array, or a part or other view of one.
struct Array {
  Value base;
  /// In elements.
  int64_t offset = 0;
  SmallVector<int64_t> strides;
  /// Of the dialect's type (f8E4M3FN, i1), not of what is stored.
  Type element;
  /// Whether a tile is all of the array and nothing else looks at it: the op
  /// that uses the tile last may write its result there.
  bool isOwned = false;
};

/// A view of global memory, by its run-time parts.
struct View {
  Value base;
  SmallVector<Value> sizes, strides;
  Type element;
  bool isPacked() const { return element.getIntOrFloatBitWidth() == 4; }
};

/// The stages of a ring: one after another from `base`.
struct Ring {
  Value base;
  tile::RingType type;
  int64_t stageBytes;
  /// Where the numbers of the next stages are kept: by the writer at 0, by
  /// readers behind it.
  Value counters;
  SmallVector<StringRef> readers;
};

/// Elements of a tile: `width` neighbours along its last dimension from
/// `position`; or, when `isFlat`, from the one element number in `position`.
struct Point {
  SmallVector<Value> position;
  int64_t width = 1;
  bool isFlat = false;
};

class Lowering {
public:
  Lowering(tile::FuncOp source, int64_t vectorBits)
      : source(source), vectorBits(vectorBits), code(source.getContext()) {}

  /// Emits the lowered function before the source function and returns it.
  FailureOr<func::FuncOp> run();

private:
  friend engine::Dispatch;

  //===--------------------------------------------------------------------===//
  // Function.cpp
  //===--------------------------------------------------------------------===//
  void readArguments(Value words);
  void enterGrid(Value grid, Value begin, Value end);
  LogicalResult lowerBlock(Block &block);
  LogicalResult lowerTileOp(Operation *op);
  void lowerScalarOp(Operation *op);

  //===--------------------------------------------------------------------===//
  // Scratch memory
  //===--------------------------------------------------------------------===//
  /// Frees, at its end, what was allocated since its beginning.
  class Scope {
  public:
    explicit Scope(Lowering &lowering)
        : lowering(lowering), top(lowering.scratchTop) {}
    ~Scope() { lowering.scratchTop = top; }

  private:
    Lowering &lowering;
    int64_t top;
  };
  Value allocateBytes(int64_t bytes);
  Array allocate(ArrayRef<int64_t> shape, Type element);

  //===--------------------------------------------------------------------===//
  // Tiles.cpp: deferred and stored tiles
  //===--------------------------------------------------------------------===//
  Value evaluate(Value tile, const Point &point);
  Value evaluateOp(Operation *op, Value tile, const Point &point);
  Value evaluateArray(const Array &array, ArrayRef<int64_t> shape,
                      const Point &point);
  /// The element of a tile at a position, as a scalar.
  Value evaluateScalar(Value tile, ValueRange position);
  bool isFlat(Value tile);
  /// The block that `block` runs as a part of, exactly once: a `tile.on` is no
  /// control flow here.
  static Block *getRunBlock(Block *block);
  bool isCheap(Value tile);
  bool canDefer(Operation *op);
  bool isStored(Value tile) const { return arrays.contains(tile); }
  void writeElements(ArrayRef<int64_t> shape, bool flat,
                     function_ref<Value(const Point &)> get,
                     const Array &target);
  /// Writes a tile to an array of its shape.
  void writeTo(Value tile, const Array &target);
  void copy(const Array &from, ArrayRef<int64_t> shape, const Array &target);
  Array remember(Value tile, const Array &array);
  /// The array of a tile, made if need be.
  Array store(Value tile);
  /// As `store`, with the elements in row-major order without gaps.
  Array storeDense(Value tile);
  /// An array that `op` may write a result of `type` to: of those of the
  /// operands, one that nobody else uses, or a new one.
  Array getTarget(Operation *op, RankedTensorType type, OperandRange operands);
  std::optional<Array> findReusable(OperandRange operands,
                                    RankedTensorType type, Block *block);
  void lowerElementwise(Operation *op);
  void lowerConstant(arith::ConstantOp op);
  LogicalResult lowerShapeOp(Operation *op);
  void lowerConcat(tile::ConcatOp op);

  //===--------------------------------------------------------------------===//
  // Memory.cpp: views and shared buffers
  //===--------------------------------------------------------------------===//
  using MaskFn = function_ref<Value(Value position, int64_t width)>;
  /// What part of a row of a view a transfer touches.
  struct Row {
    /// Whether the row exists, and its first element's number.
    Value isValid, offset;
    /// The dimension along which it runs; none for single elements.
    std::optional<int64_t> dim;
    Value start;
    int64_t count;
  };
  /// Elements as arrays keep them.
  Value loadView(const View &view, Value position, int64_t width);
  void storeView(const View &view, Value stored, Value position);
  Value isWhole(const View &view, const Row &row);
  void readRow(const View &view, const Row &row, Value base, Value target,
               Value fill, MaskFn mask);
  void writeRow(const View &view, const Row &row, MaskFn value, MaskFn mask);
  using RowFn = function_ref<void(const Row &row, ValueRange outer)>;
  void forRows(const View &view, ValueRange offsets, ArrayRef<int64_t> dims,
               ArrayRef<int64_t> shape, RowFn body);
  template <typename OpTy>
  void forNumberedRows(OpTy op, ArrayRef<int64_t> shape, RowFn body);
  Value getTablePage(tile::ViewType type, const View &table, Value sequence,
                     Value page, Value &isValid);

  Value getFill(Value fill, Type element);
  void readWindow(const View &view, ValueRange offsets, ArrayRef<int64_t> dims,
                  ArrayRef<int64_t> shape, Value fill, Value mask,
                  const Array &target);
  void lowerLoad(tile::LoadOp op);
  void lowerStore(tile::StoreOp op);
  void lowerLoadScalar(tile::LoadScalarOp op);
  void lowerSubview(tile::SubviewOp op);
  template <typename OpTy>
  void lowerGather(OpTy op, Value fill, const Array &target,
                   ArrayRef<int64_t> shape);
  void lowerScatter(tile::ScatterOp op);
  void lowerAtomic(tile::AtomicOp op);
  void lowerCopy(tile::CopyOp op);
  void lowerRead(tile::ReadOp op);

  //===--------------------------------------------------------------------===//
  // Control.cpp: loops, branches, roles, rings
  //===--------------------------------------------------------------------===//
  LogicalResult lowerFor(scf::ForOp op);
  LogicalResult lowerIf(scf::IfOp op);
  LogicalResult lowerWhile(scf::WhileOp op);
  LogicalResult lowerBranch(Region &region, ArrayRef<Array> targets,
                            bool hasDirect);
  LogicalResult lowerOn(tile::OnOp op);
  void lowerRing(tile::RingOp op);
  void takeStage(Value ring, ValueRange buffers, int64_t counter);
  LogicalResult checkDirect(Operation *op, ValueRange values);
  SmallVector<Value> getDirect(ValueRange values);
  SmallVector<Type> getDirectTypes(TypeRange types);
  void bindDirect(ValueRange olds, ValueRange news);
  SmallVector<Array> allocateCarried(TypeRange types);
  SmallVector<Array> enterCarried(ValueRange inits);
  void bindCarried(ValueRange values, ArrayRef<Array> targets);
  void passOn(ValueRange values, ArrayRef<Array> targets);

  //===--------------------------------------------------------------------===//
  // Dot.cpp
  //===--------------------------------------------------------------------===//
  /// What the loops of a product need to know.
  struct DotPlan {
    Value accumulator;
    int64_t m, n, k;
    /// f32 elements of `a`; strides of m and k.
    Array a;
    /// Panels of `panel` columns, one after another; in each, the rows k.
    Value b;
    int64_t panel, rows;
    int64_t scaleBlock;
    /// [K / scaleBlock, M] and [K / scaleBlock, N].
    std::optional<Array> aScale, bScale;
    Array target;
  };
  Array getOperandArray(Value operand);
  Array toF32(const Array &source, ArrayRef<int64_t> shape);
  Array getLeft(tile::DotOp op, Array array);
  Value getRight(tile::DotOp op, Array array, int64_t panel);
  void packRows(const Array &source, int64_t n, int64_t k, int64_t panel,
                Value target);
  void packQuads(tile::Quads quads, const Array &source, int64_t n, int64_t k,
                 int64_t panel, Value target);
  void packColumns(const Array &source, int64_t n, int64_t k, int64_t panel,
                   Value target);
  std::optional<Array> getScales(Value scale, int64_t rows, int64_t k,
                                 int64_t block, int64_t exponent = 0);
  SmallVector<Value> accumulate(const DotPlan &plan, Value m, Value n,
                                int64_t rows, ArrayRef<int64_t> widths,
                                Value begin, Value end, ValueRange sums);
  void emitDotBlock(const DotPlan &plan, Value m, Value n, int64_t rows,
                    ArrayRef<int64_t> widths);
  void emitDotColumns(const DotPlan &plan, Value n, ArrayRef<int64_t> widths);
  void lowerDot(tile::DotOp op);

  //===--------------------------------------------------------------------===//
  // Reduce.cpp, Select.cpp
  //===--------------------------------------------------------------------===//
  Value combine(tile::ReduceKind kind, Value a, Value b) {
    return engine::combine(code.builder, code.loc, kind, a, b);
  }
  /// A reduction on its way: vectors. Sums of f32 have a second one, what
  /// rounding took from the first.
  struct Partial {
    Value total, rest;
  };
  Partial beginPartial(tile::ReduceOp op, Value elements);
  Partial combine(tile::ReduceKind kind, const Partial &a, const Partial &b);
  Value finishPartial(const Partial &partial);
  Partial foldVector(tile::ReduceKind kind, Partial partial);
  Partial reduceLoop(tile::ReduceOp op, const Partial &first, int64_t begin,
                     int64_t end, int64_t step,
                     llvm::function_ref<Value(Value)> read);
  Value reduceRow(tile::ReduceOp op, ValueRange outer);
  void lowerReduce(tile::ReduceOp op);
  void lowerScan(tile::ScanOp op);
  Value getSortKeys(Value scores);
  void sortStep(ArrayRef<Value> from, ArrayRef<Value> to, Value counts,
                int64_t count, int64_t shift);
  void lowerSelectTopk(tile::SelectTopkOp op);

  //===--------------------------------------------------------------------===//
  // Types and values
  //===--------------------------------------------------------------------===//
  static ArrayRef<int64_t> getShape(Value tile) {
    return cast<RankedTensorType>(tile.getType()).getShape();
  }
  Value scalar(Value old) { return scalars.lookup(old); }
  SmallVector<Value> scalarRange(ValueRange olds) {
    return llvm::map_to_vector(olds, [&](Value v) { return scalar(v); });
  }
  LogicalResult refuse(Operation *op, const Twine &what) {
    return op->emitOpError() << "cannot be lowered for x86: " << what;
  }

  tile::FuncOp source;
  int64_t vectorBits;
  Code code;

  func::FuncOp function;
  /// The source's block being lowered.
  Block *currentBlock = nullptr;
  Value scratch;
  int64_t scratchTop = 0, scratchBytes = 0;

  IRMapping scalars;
  llvm::DenseMap<Value, Array> arrays;
  llvm::DenseMap<Value, Array> buffers;
  llvm::DenseMap<Value, View> views;
  llvm::DenseMap<Value, Ring> rings;
  SmallVector<Value> programIds, numPrograms;
};

/// Strides of an array without gaps, in row-major order.
SmallVector<int64_t> getDenseStrides(ArrayRef<int64_t> shape);

} // namespace mlir::varve::x86

#endif // VARVE_PASSES_ENGINE_X86_LOWERING_H
