//===- PlanDialect.td - What the host launches -------------*- tablegen -*-===//
#ifndef PLAN_DIALECT
#define PLAN_DIALECT

include "mlir/IR/OpBase.td"

def Plan_Dialect : Dialect {
  let name = "plan";
  let cppNamespace = "::mlir::varve::plan";
  let summary = "What the host launches, with which memory";
  let description = [{
    A plan says which kernels a step launches, in which order, and which memory
    each of them gets. A runtime without a compiler executes it, so everything
    in it is data: sizes are linear expressions, grids are affine maps, choices
    are intervals of a size.

    **Sizes** are linear expressions over six symbols, all of them non-negative
    integers that the runtime knows:

    | symbol | is |
    |---|---|
    | `tokens` | tokens of this step, at most `max_tokens` |
    | `rows` | rows of logits that this step computes, at most `max_tokens` |
    | `slots` | sequences that the pools have room for |
    | `pages` | pages that the entry pools have room for |
    | `sequence_pages` | pages that one sequence can have, the page table's width |
    | `max_tokens` | the most tokens of a step |

    `tokens` and `rows` change from step to step, the others are fixed when
    memory is allocated.

    **Memory** is a `!plan.tensor`: an address with a type. It is an argument of
    the function (given by the caller), a weight, part of a pool, scratch, or
    another tensor under a different type. There are no results: what a function
    computes it writes to tensors that it was given.

    **Order is textual.** A launch sees everything that the launches before it
    wrote. What may overlap is the runtime's and the kernels' business.

    A module holds one plan for one target: pools, functions, and the kernels
    that they launch. Public functions are the package's programs; private ones
    are parts of them, which `plan-inline` dissolves.
  }];
  let useDefaultAttributePrinterParser = 1;
  let useDefaultTypePrinterParser = 1;
  let extraClassDeclaration = [{
    /// Add the attributes and types, which are defined in their own files.
    void registerAttributes();
    void registerTypes();
  }];
}

#endif // PLAN_DIALECT
