//===- Lowering.h - One tile function to one kernel ------------*- C++ -*-===//
//
// The state of the lowering of one function, shared by the files that lower the
// kinds of ops and by the implementations of Engines.h.
//
// A tile is a list of SSA values, one per register of the lane in the order of
// its layout. Scalars are uniform over the block and are mapped one to one.
// Views and buffers are their parts. Slots and tokens are whatever words the
// implementation of pipelines and copies made of them.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_PASSES_ENGINE_NVIDIA_LOWERING_H
#define VARVE_PASSES_ENGINE_NVIDIA_LOWERING_H

#include "dialects/Tile/Tile.h"
#include "lib/Target/Model/TargetModel.h"
#include "mlir/IR/IRMapping.h"
#include "passes/Engine/Common/Dispatch.h"
#include "passes/Engine/Common/Emit.h"
#include "passes/Engine/Nvidia/AsyncProducts.h"
#include "passes/Engine/Nvidia/Code.h"
#include "passes/Engine/Nvidia/Engines.h"
#include "passes/Engine/Nvidia/LayoutMap.h"
#include "passes/Engine/Nvidia/SharedArena.h"
#include <map>
#include <optional>

namespace mlir::varve::nvidia {

class StagedStore;

/// A tile in registers.
struct RegisterTile {
  /// With its layout as encoding.
  RankedTensorType type;
  SmallVector<Value> registers;
};

/// A shared buffer, or a part of one.
struct SharedBuffer {
  /// Element 0 of the whole buffer, !llvm.ptr<3>.
  Value base;
  /// Decides the placement.
  tile::BufferType whole;
  /// Of this part within the whole, in elements.
  SmallVector<int64_t> offsets, shape;
  /// The bytes of the block's shared memory that it may lie in.
  SharedRange range;
  /// Without a layout: words (a power of two) of a row that are exchanged by
  /// the number of the eight rows that it is in; 1 for none.
  int64_t exchangedWords = 1;
};

/// The alignment in shared memory of a buffer of this type.
int64_t getBufferAlignment(tile::BufferType type);
/// The bytes from one stage of a ring to the next. Buffers lie one after
/// another, each at its alignment.
int64_t getStageBytes(tile::RingType type);

/// A window of global memory.
struct View {
  /// !llvm.ptr<1>.
  Value base;
  /// i64; strides in elements. Static ones are constants.
  SmallVector<Value> sizes, strides;
  Type element;
  /// The function's argument whose memory it is, if it is all of it.
  std::optional<unsigned> argument;
  /// What is known to divide the address (bytes) and the strides (elements).
  int64_t alignment = 1;
  SmallVector<int64_t> strideDivisors;

  bool isPacked() const { return element.getIntOrFloatBitWidth() == 4; }
};

/// The threads that run the current op together: the block, or a role.
struct Threads {
  /// i32: number of the thread in the group, of its lane, of its warp in the
  /// group.
  Value thread, lane, warp;
  int64_t numWarps = 0;
  /// The first warp of the group in the block.
  int64_t firstWarp = 0;
  /// The hardware barrier of the group; 0 is that of the whole block.
  int64_t barrier = 0;
};

/// From coordinates of a result to those of a source, as numbers and as code.
using MapFn = llvm::function_ref<Coordinates(ArrayRef<int64_t>)>;
using MapValuesFn = llvm::function_ref<SmallVector<Value>(ValueRange)>;

class Window;

class Lowering {
public:
  Lowering(tile::FuncOp source, const ::varve::TargetModel &target)
      : source(source), target(target), code(source.getContext()) {}

  /// Emits the kernel before the source function and returns it.
  FailureOr<LLVM::LLVMFuncOp> run();

  //===--------------------------------------------------------------------===//
  // Function.cpp: dispatch
  //===--------------------------------------------------------------------===//
  LogicalResult lowerBlock(Block &block);
  LogicalResult refuse(Operation *op, const Twine &what) {
    return op->emitOpError()
           << "cannot be lowered for " << target.getName() << ": " << what;
  }
  /// A kernel parameter that is a tensor map of a view argument.
  Value addTensorMap(unsigned argument, ArrayRef<int64_t> box, int64_t swizzle);
  /// The address of a constant array of the module, in global memory.
  Value getConstantArray(StringRef bytes, int64_t alignment);

  //===--------------------------------------------------------------------===//
  // Threads.cpp: places and positions
  //===--------------------------------------------------------------------===//
  /// Threads of the block from `firstWarp` on; emits their numbers.
  Threads makeThreads(int64_t firstWarp, int64_t numWarps, int64_t barrier);
  /// The map of a tile type's layout.
  const LayoutMap &getMap(RankedTensorType type);
  /// This thread's part of the unwrapped position, i32 per dimension.
  SmallVector<Value> getBase(const LayoutMap &map);
  /// The wrapped coordinate of a register, i32.
  Value getCoordinate(const LayoutMap &map, ValueRange base, int64_t reg,
                      int64_t dim);
  SmallVector<Value> getCoordinates(const LayoutMap &map, ValueRange base,
                                    int64_t reg);
  /// Whether this thread owns the element of a register; null when all do.
  Value getOwnership(const LayoutMap &map, ValueRange base, int64_t reg);
  /// The part of it that is the same for all registers.
  Value getThreadOwnership(const LayoutMap &map);

  //===--------------------------------------------------------------------===//
  // Shared.cpp: shared memory and barriers
  //===--------------------------------------------------------------------===//
  SharedArena shared;
  /// A pointer into the block's dynamic shared memory.
  Value getSharedPointer(int64_t offset);
  /// The barrier of the current threads.
  void barrier();
  /// Before an access: waits for those of other threads that it must follow,
  /// and remembers it.
  void beforeRead(SharedRange range);
  void beforeWrite(SharedRange range);
  /// Space for one op to exchange elements: used up to the next call.
  SharedRange getExchange(int64_t bytes);
  SharedBuffer allocateBuffer(tile::BufferType type);
  SharedBuffer getBuffer(Value source) { return buffers.find(source)->second; }
  /// The address of an element; i32 coordinates within the part.
  Value getElementAddress(const SharedBuffer &buffer, ValueRange coordinates);
  /// The greatest number of neighbours along the last dimension that lie side
  /// by side, aligned to their bytes, wherever they start at a multiple.
  int64_t getContiguousElements(const SharedBuffer &buffer);
  /// Between buffers and registers, with barriers.
  void writeBuffer(const RegisterTile &tile, const SharedBuffer &buffer);
  /// Without the barrier; of 4-bit elements the lanes must hold pairs.
  void writeElements(const RegisterTile &tile, const SharedBuffer &buffer);
  RegisterTile readBuffer(const SharedBuffer &buffer, RankedTensorType type);
  /// A tile of this buffer's shape in a layout for moving it to or from memory,
  /// over the current threads.
  RankedTensorType getMovedType(tile::BufferType buffer);

  //===--------------------------------------------------------------------===//
  // ConvertLayout.cpp
  //===--------------------------------------------------------------------===//
  /// The tile in the layout of `type`.
  RegisterTile convert(const RegisterTile &tile, RankedTensorType type);
  RegisterTile convertThroughShared(const RegisterTile &tile,
                                    RankedTensorType type);
  /// The type with a layout in which a lane holds pairs along the last
  /// dimension; for tiles of 4-bit elements, which memory packs.
  RankedTensorType getPackableType(RankedTensorType type);

  //===--------------------------------------------------------------------===//
  // Exchange.cpp: elements from other places
  //===--------------------------------------------------------------------===//
  /// A buffer for one op, in the space of getExchange; the elements are the
  /// integers of the storage of `element`.
  SharedBuffer makeExchangeBuffer(ArrayRef<int64_t> shape, Type element);
  RegisterTile toStorageTile(const RegisterTile &tile);
  /// As writeBuffer, for tiles whose copies of an element may differ: only the
  /// owners write.
  void writeOwned(const RegisterTile &tile, const SharedBuffer &buffer);
  /// The element at c of the result is the buffer's at remap(c).
  RegisterTile readMapped(const SharedBuffer &buffer, RankedTensorType type,
                          MapValuesFn remap);
  /// The element at c of the result is the tile's at remap(c); both functions
  /// say the same.
  RegisterTile remapTile(const RegisterTile &tile, RankedTensorType type,
                         MapFn remap, MapValuesFn remapValues,
                         bool isTransposed = false);
  /// The same, when every lane has what it needs.
  std::optional<SmallVector<Value>> permuteRegisters(const RegisterTile &tile,
                                                     RankedTensorType type,
                                                     MapFn remap);

  //===--------------------------------------------------------------------===//
  // Shape.cpp
  //===--------------------------------------------------------------------===//
  LogicalResult lowerShapeOp(Operation *op);
  void lowerIota(tile::IotaOp op);
  void lowerBroadcast(tile::BroadcastOp op);
  void lowerExtract(tile::ExtractOp op);
  void lowerReshape(tile::ReshapeOp op);
  void lowerTranspose(tile::TransposeOp op);
  void lowerSlice(tile::SliceOp op);
  void lowerConcat(tile::ConcatOp op);

  //===--------------------------------------------------------------------===//
  // Reduce.cpp, Select.cpp
  //===--------------------------------------------------------------------===//
  Value combine(tile::ReduceKind kind, Value a, Value b) {
    return engine::combine(code.builder, code.loc, kind, a, b);
  }
  Value combineAll(tile::ReduceKind kind, SmallVector<Value> values);
  Value getNeutral(tile::ReduceKind kind, Type type);
  /// In the layout that is left of the tile's; without a type when that is a
  /// scalar.
  RegisterTile reduceTile(const RegisterTile &tile, tile::ReduceKind kind,
                          int64_t dim);
  void lowerReduce(tile::ReduceOp op);
  void lowerScan(tile::ScanOp op);
  void lowerSelectTopk(tile::SelectTopkOp op);

  //===--------------------------------------------------------------------===//
  // Control.cpp
  //===--------------------------------------------------------------------===//
  bool hasFewRegisters(scf::ForOp op);
  void forgetThreads();
  LogicalResult lowerFor(scf::ForOp op);
  LogicalResult lowerIf(scf::IfOp op);
  LogicalResult lowerWhile(scf::WhileOp op);
  /// The SSA values that stand for source values, one after another.
  FailureOr<SmallVector<Value>> flatten(Operation *op, ValueRange values);
  /// Binds values of the structure of `likes` to lowered values, which it takes
  /// from the front of `news`.
  void bind(ValueRange olds, ValueRange likes, ArrayRef<Value> &news);
  /// How many SSA values stand for a source value.
  size_t countWords(Value value);

  //===--------------------------------------------------------------------===//
  // Elementwise.cpp
  //===--------------------------------------------------------------------===//
  LogicalResult lowerElementwise(Operation *op);
  void lowerScalarOp(Operation *op);
  LogicalResult lowerConstant(arith::ConstantOp op);

  //===--------------------------------------------------------------------===//
  // Memory.cpp: views
  //===--------------------------------------------------------------------===//
  void lowerLoad(tile::LoadOp op);
  void lowerStore(tile::StoreOp op);
  void lowerLoadScalar(tile::LoadScalarOp op);
  void lowerSubview(tile::SubviewOp op);
  /// Reads a tile; `fill` (zero bits when null) outside and where `mask` is 0.
  RegisterTile loadTile(Window &window, RankedTensorType type,
                        const RegisterTile *mask, Value fill);
  /// Writes what this lane owns of a tile.
  void storeTile(const RegisterTile &tile, const RegisterTile *mask,
                 Window &window);
  /// 16 bytes of global memory that are zero.
  Value getZeros();

  //===--------------------------------------------------------------------===//
  // Gather.cpp: rows by number
  //===--------------------------------------------------------------------===//
  /// The rows that a gather, gather_copy or scatter names, as a tile of `type`.
  template <typename OpTy>
  RegisterTile gatherRows(OpTy op, RankedTensorType type, Value fill);
  template <typename OpTy> Window makeWindow(OpTy op, RankedTensorType type);
  /// Moves row numbers that a loop does not change to the lanes that gather by
  /// them in the loop: it takes an exchange through shared memory.
  using RowsKey = std::pair<Value, Type>;
  SmallVector<RowsKey> hoistRowNumbers(scf::ForOp loop);
  void lowerScatter(tile::ScatterOp op);

  //===--------------------------------------------------------------------===//
  // Atomic.cpp
  //===--------------------------------------------------------------------===//
  void lowerAtomic(tile::AtomicOp op);

  //===--------------------------------------------------------------------===//
  // Values
  //===--------------------------------------------------------------------===//
  Value scalar(Value old) { return scalars.lookup(old); }
  SmallVector<Value> scalarRange(ValueRange olds) {
    return llvm::map_to_vector(olds, [&](Value v) { return scalar(v); });
  }
  /// The tile of a source value.
  const RegisterTile &getTile(Value old) {
    if (products)
      products->settle(old);
    return tiles.find(old)->second;
  }
  void setTile(Value old, SmallVector<Value> registers) {
    tiles[old] = {cast<RankedTensorType>(old.getType()), std::move(registers)};
  }

  tile::FuncOp source;
  const ::varve::TargetModel &target;
  Code code;
  LLVM::LLVMFuncOp function;
  /// Of the block, and of what runs now.
  Threads block, threads;

  IRMapping scalars;
  llvm::DenseMap<Value, RegisterTile> tiles;
  /// What `hoistRowNumbers` has moved for the loops around.
  llvm::DenseMap<std::pair<Value, Type>, RegisterTile> rowNumbers;
  llvm::DenseMap<Value, SharedBuffer> buffers;
  llvm::DenseMap<Value, View> views;
  /// Words of slots and tokens.
  llvm::DenseMap<Value, SmallVector<Value>> handles;
  /// Values that loops and branches carry along besides those of the source
  /// (stage counters of rings): read and replaced in textual order.
  SmallVector<Value> flow;
  /// Words of column scales that products have loaded, by the scales' tile, the
  /// accumulator's layout and the offset there of their first column.
  llvm::DenseMap<std::tuple<Value, const LayoutMap *, int64_t>, Value>
      scaleWords;

  /// The implementations that this function uses.
  std::unique_ptr<CopyLowering> copies;
  std::unique_ptr<PipelineLowering> pipelines;
  /// Warpgroup products under way; null in functions without any.
  std::unique_ptr<AsyncProducts> products;
  /// Stores of the current role that go through shared memory; may be null.
  StagedStore *stagedStore = nullptr;
  /// Takes hardware barriers for groups of threads, and gives the first's
  /// number.
  int64_t takeBarriers(int64_t count);
  /// Null when there is none for the layout.
  DotLowering *getDotLowering(Attribute accumulatorLayout);

private:
  friend engine::Dispatch;

  LogicalResult checkFunction();
  void createFunction();
  void readArguments();
  LogicalResult finishFunction();
  LogicalResult lowerTileOp(Operation *op);
  LogicalResult lowerBranch(Region &region, SmallVector<Value> &results);
  Value addBits(ArrayRef<Coordinates> weights, Value number, int64_t dim,
                Value sum);
  std::optional<SmallVector<Value>> concatRegisters(tile::ConcatOp op);
  void combineWarps(RegisterTile &tile, tile::ReduceKind kind,
                    ArrayRef<int64_t> warpBits);

  int64_t nextBarrier = 1;
  std::map<std::string, std::unique_ptr<DotLowering>> dots;
  llvm::DenseMap<Type, std::unique_ptr<LayoutMap>> maps;
  SmallVector<Value> programIds, numPrograms;
  SmallVector<Attribute> tensorMaps;
};

} // namespace mlir::varve::nvidia

#endif // VARVE_PASSES_ENGINE_NVIDIA_LOWERING_H
