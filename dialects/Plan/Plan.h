//===- Plan.h - What the host launches -------------------------*- C++ -*-===//
//
// Types, attributes and ops of the `plan` dialect. Their meaning is written in
// the .td files; Rationale.md says why they are what they are.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_DIALECTS_PLAN_PLAN_H
#define VARVE_DIALECTS_PLAN_PLAN_H

#include "dialects/Tile/Tile.h"
#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/ControlFlowInterfaces.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include <optional>

#include "dialects/Plan/PlanDialect.h.inc"
#include "dialects/Plan/PlanEnums.h.inc"

#define GET_ATTRDEF_CLASSES
#include "dialects/Plan/PlanAttrs.h.inc"

#define GET_TYPEDEF_CLASSES
#include "dialects/Plan/PlanTypes.h.inc"

#include "dialects/Plan/PlanInterfaces.h.inc"

#define GET_OP_CLASSES
#include "dialects/Plan/PlanOps.h.inc"

namespace mlir::varve::plan {

/// A size as it is written in types and ops: `4096`, `tokens`,
/// `[128 slots + max_tokens]`.
ParseResult parseLinear(AsmParser &parser, LinearAttr &linear);
void printLinear(AsmPrinter &printer, LinearAttr linear);

/// Parses a size if there is one.
OptionalParseResult parseOptionalLinear(AsmParser &parser, LinearAttr &linear);

/// 64-bit words of an argument of a kernel: a view's address, its run-time
/// sizes and strides, or a scalar.
int64_t countWords(Type type);

} // namespace mlir::varve::plan

#endif // VARVE_DIALECTS_PLAN_PLAN_H
