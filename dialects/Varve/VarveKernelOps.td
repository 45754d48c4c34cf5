//===- VarveKernelOps.td - Kernels: ops that run together --*- tablegen -*-===//
#ifndef VARVE_KERNEL_OPS
#define VARVE_KERNEL_OPS

include "dialects/Varve/VarveOpBase.td"
include "mlir/Interfaces/CallInterfaces.td"
include "mlir/Interfaces/ControlFlowInterfaces.td"
include "mlir/Interfaces/FunctionInterfaces.td"

def Varve_KernelOp : Varve_Op<"kernel", [
    RecursiveMemoryEffects, SingleBlockImplicitTerminator<"YieldOp">]> {
  let summary = "ops that run as one launch, or a fixed few";
  let description = [{
    Formed by fusion. The region holds compute ops and uses values from outside
    freely; results are what is needed outside. `kind` names the lowering: the
    mechanism that decides how the kernel works, or `rows` where every op treats
    rows one by one.

    * C1: the ops of the region are compute ops of the dialect, at least one;
        weights are outside.
    * C2: the region yields the results.

    ```mlir
    %y = varve.kernel "rows" -> tensor<?x64x512xbf16> {
      %n = varve.rms_norm %x eps 1.0e-6 : ...
      %r = varve.rope %n at %positions table <...> : ...
      varve.yield %r : tensor<?x64x512xbf16>
    }
    ```
  }];
  let arguments = (ins StrAttr:$kind);
  let results = (outs Variadic<AnyRankedTensor>:$results);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "$kind (`->` type($results)^)? $body attr-dict";
  let hasVerifier = 1;
}

def Varve_YieldOp : Varve_Op<"yield", [
    ParentOneOf<["KernelOp", "KernelFuncOp"]>, Pure, ReturnLike, Terminator]> {
  let summary = "the results of a kernel";
  let arguments = (ins Variadic<AnyRankedTensor>:$operands);
  let builders = [OpBuilder<(ins), [{ /* no results */ }]>];
  let assemblyFormat = "attr-dict ($operands^ `:` type($operands))?";
}

def Varve_KernelFuncOp : Varve_Op<"kernel_func", [
    FunctionOpInterface, IsolatedFromAbove, RecursiveMemoryEffects]> {
  let summary = "a kernel that several launches share";
  let description = [{
    Formed by scheduling: the body of a `varve.kernel` with everything that it
    uses as arguments. `pools` are the pools that the body names; a launch
    passes others in their place. Arguments whose rows are rows of logits, not
    tokens, are marked `varve.logit_rows`.

    `strategies` say how the kernel is lowered, one for each range of T.

    * C1: as for `varve.kernel`.
    * C2: the ranges of the strategies are disjoint, ascending, and cover every
        T from 1 on.
    * C3: the pools are distinct.

    ```mlir
    varve.kernel_func @norm_rope(%x: tensor<?x64x512xbf16>, %p: tensor<?xi32>)
        -> tensor<?x64x512xbf16> kind "rows" pools [] {
      ...
      varve.yield %r : tensor<?x64x512xbf16>
    }
    ```
  }];
  let arguments = (ins
    SymbolNameAttr:$sym_name,
    TypeAttrOf<FunctionType>:$function_type,
    StrAttr:$kind,
    TypedArrayAttrBase<FlatSymbolRefAttr, "pools">:$pools,
    OptionalAttr<TypedArrayAttrBase<Varve_StrategyAttr, "strategies">>:$strategies,
    OptionalAttr<StrAttr>:$sym_visibility,
    OptionalAttr<DictArrayAttr>:$arg_attrs,
    OptionalAttr<DictArrayAttr>:$res_attrs);
  let regions = (region SizedRegion<1>:$body);
  let hasCustomAssemblyFormat = 1;
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    ::mlir::Region *getCallableRegion() { return &getBody(); }
    ::llvm::ArrayRef<::mlir::Type> getArgumentTypes() {
      return getFunctionType().getInputs();
    }
    ::llvm::ArrayRef<::mlir::Type> getResultTypes() {
      return getFunctionType().getResults();
    }
    /// Whether the rows of argument `i` are rows of logits.
    bool hasLogitRows(unsigned i) {
      return getArgAttr(i, ::mlir::varve::kLogitRowsAttrName) != nullptr;
    }
    /// The `varve.yield`.
    ::mlir::Operation *getYield() {
      return getBody().front().getTerminator();
    }
  }];
}

def Varve_LaunchOp : Varve_Op<"launch", [
    DeclareOpInterfaceMethods<SymbolUserOpInterface>,
    DeclareOpInterfaceMethods<MemoryEffectsOpInterface>]> {
  let summary = "run a kernel";
  let description = [{
    * C1: `kernel` is a `varve.kernel_func`, whose type is that of the operands
        and results.
    * C2: there are as many `pools` as the kernel has, of the same kind, size,
        ratio, page and format.

    ```mlir
    %y = varve.launch @attention(%q, %positions, %slots) pools [@layers.4.window]
        : (tensor<?x64x512xbf16>, tensor<?xi32>, tensor<?xi32>)
        -> tensor<?x64x512xbf16>
    ```
  }];
  let arguments = (ins FlatSymbolRefAttr:$kernel,
    Variadic<AnyRankedTensor>:$operands,
    TypedArrayAttrBase<FlatSymbolRefAttr, "pools">:$pools);
  let results = (outs Variadic<AnyRankedTensor>:$results);
  let assemblyFormat = [{
    $kernel `(` $operands `)` `pools` $pools attr-dict
    `:` functional-type($operands, $results)
  }];
}

def Varve_CommitOp : Varve_PoolUserOp<"commit"> {
  let summary = "keep a step's rows for the steps to come";
  let description = [{
    Executors append a step's rows where its readers find them and keep what
    later steps need apart. This op is that second part: behind the last reader
    of a window pool it stores the rows that the step appended, and behind a
    `varve.compress`, with that op's operands, what the compressor remembers. It
    changes no result of the step.

    * C1: without values the pool is a window pool, with values a state pool.
    * C2: the values are the first three operands of a `varve.compress`.
    * C3: one position and one slot per token.

    ```mlir
    varve.commit @layers.2.attn.window at(%positions, %slots)
        : tensor<?xi32>, tensor<?xi32>
    varve.commit @layers.2.attn.state of(%kv, %gate, %bias
          : tensor<?x512xf32>, tensor<?x512xf32>, tensor<4x512xf32>)
        at(%positions, %slots) : tensor<?xi32>, tensor<?xi32>
    ```
  }];
  let arguments = (ins FlatSymbolRefAttr:$pool, Variadic<AnyRankedTensor>:$values,
                       Varve_TokenNumbers:$positions, Varve_TokenNumbers:$slots);
  let assemblyFormat = [{
    $pool (`of` `(` $values^ `:` type($values) `)`)?
    `at` `(` $positions `,` $slots `)` attr-dict
    `:` type($positions) `,` type($slots)
  }];
  let hasVerifier = 1;
}

#endif // VARVE_KERNEL_OPS
