//===- Varve.h - The model dialect -----------------------------*- C++ -*-===//
//
// Ops, attributes and interfaces of the `varve` dialect. Their meaning is
// written in the .td files; Rationale.md says why they are what they are.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_DIALECTS_VARVE_VARVE_H
#define VARVE_DIALECTS_VARVE_VARVE_H

#include "dialects/Varve/VarveCost.h"

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/CallInterfaces.h"
#include "mlir/Interfaces/ControlFlowInterfaces.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

namespace mlir::varve {

/// Executor state that `InterpretOpInterface` works on; defined by the
/// reference interpreter.
class InterpretFrame;

/// The memory resource of all pools. Effects name the pool by its symbol.
class PoolResource : public SideEffects::Resource::Base<PoolResource> {
public:
  StringRef getName() final { return "VarvePool"; }
};

/// Whether `type` is made of rows of a known size: rank 1 or more, dimensions
/// after the first static and positive, every static dimension an i32 number
/// and their product at most 2^40 (which keeps all products of sizes in range).
bool hasStaticRows(RankedTensorType type);

/// Names of the module's attributes.
inline constexpr StringLiteral kModelAttrName = "varve.model";
inline constexpr StringLiteral kPrecisionAttrName = "varve.precision";
inline constexpr StringLiteral kTargetAttrName = "varve.target";

/// Marks an argument of a kernel whose rows are rows of logits.
inline constexpr StringLiteral kLogitRowsAttrName = "varve.logit_rows";
/// On a result of a public function: its name for the runtime.
inline constexpr StringLiteral kPortAttrName = "varve.port";
/// On a layer's function, for costs: how many such layers the model has.
inline constexpr StringLiteral kRepeatAttrName = "varve.repeat";

} // namespace mlir::varve

#include "dialects/Varve/VarveDialect.h.inc"
#include "dialects/Varve/VarveEnums.h.inc"
#include "dialects/Varve/VarveInterfaces.h.inc"

#define GET_ATTRDEF_CLASSES
#include "dialects/Varve/VarveAttrs.h.inc"

#define GET_OP_CLASSES
#include "dialects/Varve/VarveOps.h.inc"

namespace mlir::varve {

/// The pool that `user` refers to as `symbol`; null when there is none.
PoolOp lookupPool(Operation *user, FlatSymbolRefAttr symbol);

/// Bytes of a tensor in a step of the given shape. Scores count for the visible
/// entries, as `index_score` writes them.
int64_t getValueBytes(Value value, const StepShape &step);

} // namespace mlir::varve

#endif // VARVE_DIALECTS_VARVE_VARVE_H
