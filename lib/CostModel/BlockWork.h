//===- BlockWork.h - What a block of a tile program does -------*- C++ -*-===//
//
// A tile program is short: its loops and sizes say what a block loads,
// multiplies and waits for. A walk over it counts that for one block, without
// machine code. Scalars are computed as far as they follow from the sizes of
// the step and from the numbers that the runtime fills in (positions, slots,
// ...).
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_COSTMODEL_BLOCKWORK_H
#define VARVE_COSTMODEL_BLOCKWORK_H

#include "dialects/Tile/Tile.h"
#include "dialects/Varve/VarveCost.h"
#include "lib/Target/Model/TargetModel.h"

namespace varve {

/// What the runtime fills in.
enum class StepInput : uint8_t {
  None,
  Ids,
  Positions,
  Slots,
  Starts,
  Ends,
  LogitRows,
  PageTable
};

/// The input of this name in a plan's programs ("positions").
StepInput getStepInput(llvm::StringRef name);

/// What is known of an argument of a tile program.
struct ProgramArgument {
  llvm::SmallVector<int64_t, 4> sizes; ///< of a view
  StepInput input = StepInput::None;
  /// In the device's memory rather than its cache: a weight or a pool.
  bool isCold = false;
  std::optional<int64_t> scalar;
};

/// Operations of matrix products, of one family of instructions and precision.
struct ProductWork {
  mlir::varve::tile::DotKind kind;
  NumericType type; ///< F32, BF16 or F8E4M3FN
  double flops = 0;
};

/// What a role of a block does, or a block without roles.
struct RoleWork {
  int64_t warps = 0;
  /// Waits for memory and for the cache, one after another.
  double coldWaits = 0, cachedWaits = 0;
  double barriers = 0;
  /// Cycles from the first instruction of each op to its first result: what ops
  /// on tiles of few elements take, one after another.
  double latency = 0;
  /// Instructions times lanes.
  double laneOps = 0;
  llvm::SmallVector<ProductWork, 2> products;
};

struct BlockWork {
  llvm::SmallVector<RoleWork, 2> roles;
  /// Bytes of global memory that are read and written, each time they are.
  double bytesRead = 0, bytesWritten = 0;
  /// Of these, bytes of weights and pools.
  double coldBytesRead = 0;
  /// Conditions and trip counts that depend on data: conditions are taken as
  /// true, unknown loops as running once.
  unsigned numUnknown = 0;
};

/// Walks block `block` of a grid. Arguments are those of the function.
BlockWork walkBlock(mlir::varve::tile::FuncOp program,
                    llvm::ArrayRef<ProgramArgument> arguments,
                    const mlir::varve::StepShape &step,
                    llvm::ArrayRef<int64_t> block, llvm::ArrayRef<int64_t> grid,
                    const TargetModel &target);

/// Shared memory that the program's buffers and rings take, in bytes; what the
/// engine needs for exchanges comes on top.
int64_t getSharedBytes(mlir::varve::tile::FuncOp program);

/// Registers of a thread that the program's tiles take where most of them are
/// alive, with what addresses and counters need: an estimate, for programs that
/// are not compiled.
int64_t estimateRegisters(mlir::varve::tile::FuncOp program,
                          const TargetModel &target);

} // namespace varve

#endif // VARVE_COSTMODEL_BLOCKWORK_H
