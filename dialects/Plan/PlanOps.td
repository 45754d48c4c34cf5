//===- PlanOps.td - Functions, launches, choices -----------*- tablegen -*-===//
#ifndef PLAN_OPS
#define PLAN_OPS

include "dialects/Plan/PlanKernelOps.td"
include "dialects/Plan/PlanMemoryOps.td"
include "dialects/Plan/PlanOpBase.td"

def Plan_FuncOp : Plan_Op<"func", [FunctionOpInterface, IsolatedFromAbove]> {
  let summary = "a sequence of launches";
  let description = [{
    A public function is a program of the package; its arguments are named by
    `plan.name`, and those with `plan.output` are written by it. Inputs named
    `ids`, `positions`, `slots`, `starts`, `ends`, `logit_rows` and `page_table`
    are filled by the runtime, everything else by the caller. A private function
    is a part that others call.

    C1: arguments are plan tensors or, in a private function, scalars; there are
        no results.
    C2: the body has one block, the region's own constraint.
    C3: arguments of a public function have names, all different.
    C4: a public function has at least one output.

    ```mlir
    plan.func @step(%ids: !plan.tensor<tokens x i32> {plan.name = "ids"},
                    %logits: !plan.tensor<rows x 129280 x f32>
                        {plan.name = "logits", plan.output}) {
      ...
      plan.return
    }
    ```
  }];
  let arguments = (ins
    SymbolNameAttr:$sym_name,
    TypeAttrOf<FunctionType>:$function_type,
    OptionalAttr<StrAttr>:$sym_visibility,
    OptionalAttr<DictArrayAttr>:$arg_attrs,
    OptionalAttr<DictArrayAttr>:$res_attrs);
  let regions = (region SizedRegion<1>:$body);
  let hasCustomAssemblyFormat = 1;
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    //===------------------------------------------------------------------===//
    // FunctionOpInterface
    //===------------------------------------------------------------------===//
    ::mlir::Region *getCallableRegion() { return &getBody(); }
    ::llvm::ArrayRef<::mlir::Type> getArgumentTypes() {
      return getFunctionType().getInputs();
    }
    ::llvm::ArrayRef<::mlir::Type> getResultTypes() {
      return getFunctionType().getResults();
    }

    /// Attributes of arguments.
    static constexpr ::llvm::StringLiteral kName = "plan.name";
    static constexpr ::llvm::StringLiteral kOutput = "plan.output";

    /// The name of an argument; empty if it has none.
    ::llvm::StringRef getArgumentName(unsigned index);
    bool isOutput(unsigned index);
  }];
}

def Plan_ReturnOp : Plan_Op<"return", [
    HasParent<"FuncOp">, Pure, ReturnLike, Terminator]> {
  let summary = "the end of a function";
  let assemblyFormat = "attr-dict";
}

def Plan_CallOp : Plan_Op<"call", [
    DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "the launches of another function, here";
  let description = [{
    C1: the function is there.
    C2: the arguments have the types of the function's.

    `plan.call @layers.0.attn(%x, %y) : !plan.tensor<...>, !plan.tensor<...>`
  }];
  let arguments = (ins FlatSymbolRefAttr:$callee,
                       Variadic<Plan_Argument>:$arguments);
  let assemblyFormat = [{
    $callee `(` $arguments `)` attr-dict (`:` type($arguments)^)?
  }];
}

def Plan_LaunchOp : Plan_Op<"launch", [
    DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "run a kernel once";
  let description = [{
    Runs a kernel: a `tile.func`, or what became of it. Its grid follows from the arguments; an empty one
    launches nothing. The location's name is what a profile shows.

    C1: the kernel is there.
    C2: there is one argument per argument of the kernel.
    C3: a view gets a tensor of its element type and rank; where the view has a
        constant size or stride, the tensor has the same.
    C4: strides that the view takes at run time are linear in the sizes.
    C5: a scalar gets a scalar of its type.

    ```mlir
    plan.launch @rms_norm_4096(%x, %weight, %y, %eps)
        : !plan.tensor<tokens x 4096 x bf16>, !plan.tensor<4096 x f32>,
          !plan.tensor<tokens x 4096 x bf16>, f32
    ```
  }];
  let arguments = (ins FlatSymbolRefAttr:$kernel,
                       Variadic<Plan_Argument>:$arguments);
  let assemblyFormat = [{
    $kernel `(` $arguments `)` attr-dict (`:` type($arguments)^)?
  }];
}

def Plan_WhenOp : Plan_Op<"when", [
    NoRegionArguments, NoTerminator, RecursiveMemoryEffects, SingleBlock]> {
  let summary = "launches for some sizes only";
  let description = [{
    Executes its body if `low <= value <= high`; without `high` there is no
    upper bound. Strategies for small and large steps are a series of such ops
    whose intervals are disjoint and together hold every positive number.

    C1: `low` is not negative, `high` not less than `low`.
    C2: the value is not a constant.

    ```mlir
    plan.when tokens in [1, 32] {
      plan.launch @small(%x, %y) : ...
    }
    plan.when tokens in [33, inf] {
      plan.launch @large(%x, %y) : ...
    }
    ```
  }];
  let arguments = (ins Plan_LinearAttr:$value,
                       ConfinedAttr<I64Attr, [IntNonNegative]>:$low,
                       OptionalAttr<I64Attr>:$high);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = [{
    custom<Linear>($value) `in` ` ` `[` $low `,` custom<High>($high) `]`
    attr-dict-with-keyword $body
  }];
  let hasVerifier = 1;
}

#endif // PLAN_OPS
