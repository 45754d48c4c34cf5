//===- Interpreter.h - The reference interpreter ---------------*- C++ -*-===//
//
// Executes functions of a `varve` module op by op. Slow and obvious on
// purpose: it settles every argument about what an op means, and shares no
// code with the kernels. Results are the same on every machine and for any
// number of threads.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_INTERPRET_INTERPRETER_H
#define VARVE_INTERPRET_INTERPRETER_H

#include "lib/Interpret/HostTensor.h"
#include "lib/Interpret/PoolStore.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include <functional>

namespace varve {

/// Attaches the interpreter to the dialect's ops when it is loaded.
void registerInterpretModels(mlir::DialectRegistry &registry);

class Interpreter {
public:
  /// Sees every result of every op after it was computed, by the name of the
  /// op's location ("layers.2.attn.wq_a") and the result's number, and may
  /// replace it.
  using ValueHook = std::function<void(llvm::StringRef name, unsigned result,
                                       HostTensor &value)>;

  /// `module` and `weights` outlive the interpreter. The module's context has
  /// the models of registerInterpretModels.
  Interpreter(mlir::ModuleOp module, const WeightSource &weights);

  /// Calls a function. Arguments must fit its type; that is a precondition.
  /// Errors: an op without reference semantics, a weight that the source does
  /// not have, operands of different numbers of rows, a function that calls
  /// itself, data that an op refuses. Diagnostics carry the op's location.
  mlir::FailureOr<std::vector<HostTensor>>
  call(llvm::StringRef function, llvm::ArrayRef<HostTensor> arguments);

  void setHook(ValueHook newHook) { hook = std::move(newHook); }

  PoolStore &getPools() { return pools; }
  mlir::ModuleOp getModule() const { return module; }

private:
  mlir::LogicalResult interpret(mlir::Operation &op,
                                mlir::varve::InterpretFrame &frame);
  mlir::LogicalResult interpretCall(mlir::func::CallOp call,
                                    mlir::varve::InterpretFrame &frame);
  mlir::FailureOr<std::vector<HostTensor>>
  execute(mlir::func::FuncOp function, llvm::ArrayRef<HostTensor> arguments);
  mlir::FailureOr<HostTensor> openWeight(mlir::varve::WeightOp op);
  void finish(mlir::Operation &op, mlir::varve::InterpretFrame &frame);

  mlir::ModuleOp module;
  const WeightSource &weights;
  PoolStore pools;
  ValueHook hook;
  /// Functions being executed, outermost first.
  llvm::SmallVector<mlir::func::FuncOp, 4> active;
  llvm::StringMap<HostTensor> openWeights;
  /// Elements decoded to memory so far; weights beyond the budget are decoded
  /// row by row on every use.
  int64_t decodedElements = 0;
};

} // namespace varve

#endif // VARVE_INTERPRET_INTERPRETER_H
