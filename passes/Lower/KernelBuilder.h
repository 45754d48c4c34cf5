//===- KernelBuilder.h - A kernel as plan and tile functions ---*- C++ -*-===//
//
// What the lowering of a kernel works with. A `varve.kernel_func` becomes a
// private `plan.func` (`NAME.launches`), in destination style: its arguments
// are the kernel's, then its results, then what the kernel asks for besides
// (the step's hidden inputs, memory of its pools), in the order of first
// request. `KernelSignature` remembers those, so that a launch can pass them.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_PASSES_LOWER_KERNELBUILDER_H
#define VARVE_PASSES_LOWER_KERNELBUILDER_H

#include "dialects/Plan/Plan.h"
#include "dialects/Tile/Tile.h"
#include "dialects/Varve/Varve.h"
#include "lib/Target/Model/TargetModel.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/SymbolTable.h"

namespace mlir::varve {

/// What the runtime fills in for every step and no varve value stands for.
enum class StepInput {
  Starts,   ///< i32 [tokens]: first position of the token's sequence here
  Ends,     ///< i32 [tokens]: last position of the token's sequence here
  PageTable ///< i32 [slots, sequence_pages]
};
inline constexpr unsigned kNumStepInputs = 3;

/// The name of the input in a public function.
StringRef getStepInputName(StepInput input);
plan::DeviceTensorType getStepInputType(MLIRContext *context, StepInput input);

/// An argument behind a kernel's own: a step input, or memory of pool `pool`
/// (a number into the kernel's list) from byte `offset` on.
struct KernelExtra {
  std::optional<StepInput> input;
  unsigned pool = 0;
  int64_t offset = 0;
  plan::DeviceTensorType type;
};

struct KernelSignature {
  plan::FuncOp function;
  SmallVector<KernelExtra> extras;
};

/// The plan type of a model tensor: a run-time first size counts tokens or rows
/// of logits.
plan::DeviceTensorType getPlanType(RankedTensorType type, bool logitRows);

/// The rows of a pool: `[W slots + max_tokens]`, `[p/m pages]`, `[R slots]`.
plan::LinearAttr getPoolRows(PoolOp pool);
/// The type under which the runtime allocates a pool: rows of elements where
/// the format is one plain segment, of bytes otherwise.
plan::DeviceTensorType getPoolType(PoolOp pool);

class KernelBuilder {
public:
  KernelBuilder(KernelFuncOp kernel, const ::varve::TargetModel &target,
                SymbolTable &symbols);

  KernelFuncOp getKernel() { return kernel; }
  const ::varve::TargetModel &getTarget() const { return target; }
  MLIRContext *getContext() { return kernel.getContext(); }
  /// The strategy to follow, while a lowering runs.
  StrategyAttr getStrategy() { return strategy; }
  SymbolTable &getSymbols() { return symbols; }

  /// The compute ops, in order.
  auto getOps() { return kernel.getBody().front().without_terminator(); }
  /// The kernel's only op of a kind; null if there is none or several.
  template <typename OpT> OpT getOnly() {
    auto ops = llvm::to_vector(kernel.getBody().front().getOps<OpT>());
    return ops.size() == 1 ? ops.front() : OpT();
  }

  /// Lowers the kernel by all its strategies.
  FailureOr<KernelSignature> run();

  //===--------------------------------------------------------------------===//
  // Memory: plan tensors
  //===--------------------------------------------------------------------===//
  /// The memory of an argument, of a value that the kernel yields, or of one
  /// that was materialized. A value that is yielded twice lives in the first
  /// place and is stored to both.
  Value getMemory(Value value);
  /// Gives a value memory if it has none: scratch, through which a launch of
  /// this kernel passes it on to the next. Until the end of the strategy.
  Value materialize(Value value);
  bool hasMemory(Value value) { return memories.contains(value); }
  /// All memories of a value that the kernel yields; empty for others.
  SmallVector<Value> getOutputs(Value value);
  bool isYielded(Value value) { return !getOutputs(value).empty(); }
  Value getStepInput(StepInput input);
  /// Memory of one of the kernel's pools.
  Value getPool(FlatSymbolRefAttr pool, plan::DeviceTensorType type,
                int64_t offset = 0);
  PoolOp lookupPool(FlatSymbolRefAttr pool);
  /// The elements of segment `segment` of a pool's rows, [rows, size]: codes
  /// where the format has such. Strides are constant.
  Value getPoolSegment(FlatSymbolRefAttr pool, unsigned segment);
  /// The scales of a scaled segment, [rows, scales].
  Value getPoolScales(FlatSymbolRefAttr pool, unsigned segment);

  /// Scratch of the kernel, dense.
  Value allocate(ArrayRef<plan::LinearAttr> shape, Type element);
  /// The same bytes under another shape, dense; `tensor` itself where it has
  /// it already.
  Value reshape(Value tensor, ArrayRef<plan::LinearAttr> shape) {
    return reinterpret(
        tensor, shape,
        cast<plan::DeviceTensorType>(tensor.getType()).getElementType());
  }
  /// The same with another element type.
  Value reinterpret(Value tensor, ArrayRef<plan::LinearAttr> shape,
                    Type element);
  /// [T, a, b] as [T, a b]; constant tensors as [a, b c].
  Value flatten(Value tensor);

  /// What the rows of the kernel's values count: tokens, or rows of logits.
  plan::LinearAttr getCount() { return count; }
  plan::LinearAttr size(int64_t constant) {
    return plan::LinearAttr::get(getContext(), constant);
  }

  //===--------------------------------------------------------------------===//
  // Launches
  //===--------------------------------------------------------------------===//
  /// Where launches are emitted.
  OpBuilder &getPlanBuilder() { return builder; }
  /// Where tile functions are made, and the kernel's name for one of them.
  OpBuilder getFunctionBuilder();
  std::string getFunctionName(StringRef suffix);
  /// Launches a tile function that was made with these; gives it a name of its
  /// own if need be, and the strategy's engine.
  void launch(tile::FuncOp function, ValueRange operands);
  /// A size as a scalar operand.
  Value getSize(plan::LinearAttr size, Type type);

private:
  BlockArgument addExtra(const KernelExtra &extra);

  KernelFuncOp kernel;
  const ::varve::TargetModel &target;
  SymbolTable &symbols;
  OpBuilder builder;
  StrategyAttr strategy;
  plan::LinearAttr count;
  KernelSignature signature;
  DenseMap<Value, SmallVector<Value, 1>> memories;
  /// Materialized values of the strategy at hand.
  SmallVector<Value> scratch;
  unsigned numOwnArguments = 0;
};

} // namespace mlir::varve

#endif // VARVE_PASSES_LOWER_KERNELBUILDER_H
