//===- AsyncProducts.h - Matrix products under way -------------*- C++ -*-===//
//
// Warpgroup products run beside the program. This keeps, while a function is
// lowered, which tiles are still being written and which shared buffers read,
// and emits a wait where something depends on that, as late as possible. A wait
// leaves the groups of products that were started later unfinished.
//
// Loops: a tile that a loop carries and that its body ends with a product on
// stays under way across iterations, unless the product reads registers: the
// next iteration would write them, and nothing says that they are read behind
// the edge. All others are complete at every edge of control flow. What a
// product before an edge reads may still be read behind it.
//
// A loop that starts a sum from zero starts it from registers without a value:
// its first product ignores them.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_PASSES_ENGINE_NVIDIA_ASYNCPRODUCTS_H
#define VARVE_PASSES_ENGINE_NVIDIA_ASYNCPRODUCTS_H

#include "dialects/Tile/Tile.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "llvm/ADT/EquivalenceClasses.h"
#include "llvm/ADT/MapVector.h"

namespace mlir::varve::nvidia {

class Lowering;

/// Whether products with accumulators of this type are warpgroup products.
bool isWgmmaTile(Type type);

/// Whether a tile is zero everywhere.
bool isZeroTile(Value tile);

class AsyncProducts {
public:
  explicit AsyncProducts(Lowering &lowering) : lowering(lowering) {}

  /// Connects the slots and buffers of stages in a text, whichever loops carry
  /// them.
  void connectStages(Block &text);

  /// Whether whoever writes what products read asks here before
  /// (`waitForReads`); otherwise products are waited for at once.
  bool mayOverlap = false;

  //===--------------------------------------------------------------------===//
  // Products
  //===--------------------------------------------------------------------===//
  /// Before the instructions of a product onto `accumulator`.
  void beforeProduct(Value accumulator);
  /// Whether the first instruction adds to the registers: an i1, or null for
  /// always; nothing (false) when they have no value yet.
  std::optional<Value> getAccumulate(Value accumulator);
  /// After its group was committed: `result` is being written, `buffers` read.
  void afterProduct(tile::DotOp op, ValueRange buffers);
  /// A group was committed that is not the last of its product.
  void afterPart() { ++issued; }
  /// Instead: waits for the group at once, and returns the registers.
  SmallVector<Value> finishNow(ValueRange registers);
  /// Instead: later code reads `buffers` as well. When somebody needs the
  /// result, or before a stage that they lie in is handed back, `finish` waits
  /// until as many groups are unfinished as it is told, and returns the
  /// registers.
  using Finish = std::function<SmallVector<Value>(int64_t pending)>;
  void finishLater(tile::DotOp op, ValueRange buffers, Finish finish);

  //===--------------------------------------------------------------------===//
  // Waiting
  //===--------------------------------------------------------------------===//
  /// Makes the registers of a tile usable.
  void settle(Value tile);
  void settleAll();
  void settleAllBut(const llvm::SmallDenseSet<Value> &kept);
  /// Makes sure that no product reads the stage of `slot` any more.
  void waitForReads(Value slot);
  /// Waits until at most `count` groups are unfinished.
  void waitUntilPending(int64_t count);

  //===--------------------------------------------------------------------===//
  // Control flow
  //===--------------------------------------------------------------------===//
  /// Before the initial values of a loop are taken.
  void beginFor(scf::ForOp op);
  /// After: `inits` is what the loop is about to start from.
  void replaceInits(scf::ForOp op, MutableArrayRef<Value> inits);
  void beginBody(scf::ForOp op);
  /// Before what the body yields is taken.
  void endBody(scf::ForOp op);
  /// After the results are bound.
  void endFor(scf::ForOp op);
  /// At other edges.
  void crossEdge();

private:
  struct Pending {
    int64_t group;
    /// Whether it came over an edge: the assembler then serialises products
    /// that start before it is waited for.
    bool crossed;
  };
  struct Loop {
    SmallVector<bool> isUnderWay, startsFromZero;
    /// Positions in the lowering's flow of "has been added to", for those that
    /// start from zero.
    SmallVector<unsigned> flags;
  };
  bool endsWithProduct(scf::ForOp op, unsigned index);
  bool mayStartFromZero(scf::ForOp op, unsigned index);
  void *getClass(Value value);
  void forgetNumbers();

  Lowering &lowering;
  llvm::MapVector<Value, Pending> pending;
  struct Later {
    Finish finish;
    SmallVector<Value> buffers;
  };
  llvm::DenseMap<Value, Later> finishes;
  llvm::EquivalenceClasses<void *> stages;
  llvm::DenseMap<void *, int64_t> lastRead;
  /// Groups of products started so far, in the order of the text.
  int64_t issued = 0;
  /// All groups up to this one are complete.
  int64_t complete = -1;
  SmallVector<Loop> loops;
  /// Region arguments that hold no value until the flag at this position of the
  /// flow is true.
  llvm::DenseMap<Value, unsigned> flagOf;
};

} // namespace mlir::varve::nvidia

#endif // VARVE_PASSES_ENGINE_NVIDIA_ASYNCPRODUCTS_H
