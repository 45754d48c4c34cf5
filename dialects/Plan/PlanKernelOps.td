//===- PlanKernelOps.td - Lowered and compiled kernels -----*- tablegen -*-===//
#ifndef PLAN_KERNEL_OPS
#define PLAN_KERNEL_OPS

include "dialects/Plan/PlanInterfaces.td"
include "dialects/Plan/PlanOpBase.td"
include "dialects/Tile/TileAttrs.td"
include "mlir/IR/RegionKindInterface.td"

// What the host must know of a kernel to launch it. Numbers that a target does
// not have are 0.
class Plan_KernelOp_<string mnemonic, list<Trait> traits = []>
    : Plan_Op<mnemonic, traits # [
        Symbol, DeclareOpInterfaceMethods<Plan_KernelOpInterface, ["getNumWords"]>]> {
  dag launchFacts = (ins
    SymbolNameAttr:$sym_name,
    TypeAttrOf<FunctionType>:$signature,
    AffineMapAttr:$grid,
    TypedArrayAttrBase<Tile_SizeAttr, "run-time sizes of the grid">:$sizes,
    DefaultValuedAttr<I64Attr, "0">:$threads,
    DefaultValuedAttr<I64Attr, "0">:$shared_bytes,
    DefaultValuedAttr<I64Attr, "0">:$blocks_per_multiprocessor,
    DefaultValuedAttr<I64Attr, "0">:$scratch_bytes,
    OptionalAttr<TypedArrayAttrBase<Plan_TensorMapAttr, "tensor maps">>:$tensor_maps,
    OptionalAttr<DenseI64ArrayAttr>:$writes,
    UnitAttr:$dependent_launch);
  let hasVerifier = 1;
}

def Plan_KernelOp : Plan_KernelOp_<"kernel", [
    IsolatedFromAbove, NoRegionArguments, NoTerminator, SingleBlock]> {
  let summary = "a kernel on its way to machine code";
  let description = [{
    Replaces a `tile.func` whose arguments were `signature`. The body is a module
    of its own: first the `tile.func`, then what an engine made of it, with
    everything that it needs. So kernels are lowered and compiled one by one, at
    the same time.

    C1: `signature` has views and scalars and no results; `grid` and `sizes` are
        those of a `tile.func` with these arguments.
    C2: no number is negative.
    C3: a tensor map is of a view argument, whose rank its box has.
    C4: the body is one module.
    C5: `writes` are the arguments that the kernel writes, ascending and views
        all; without it the kernel may write any. Launches that have no memory
        in common that one of them writes may run in any order.
  }];
  let arguments = launchFacts;
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = [{
    $sym_name $signature `grid` $grid $sizes attr-dict-with-keyword $body
  }];
  let extraClassDeclaration = [{
    ::mlir::ModuleOp getModule();
  }];
}

def Plan_BinaryOp : Plan_KernelOp_<"binary"> {
  let summary = "a compiled kernel";
  let description = [{
    `code` holds a cubin or PTX with function `sym_name`, or an x86 object that
    defines it. The numbers behind are the assembler's report, 0 without one;
    `matrix_instructions` are counted in the PTX.

    C1 to C3, C5: those of `plan.kernel`.
    C4: `code` is a tensor of i8 with rank 1.
  }];
  let arguments = !con(launchFacts, (ins
    Plan_CodeFormat:$format,
    ElementsAttr:$code,
    DefaultValuedAttr<I64Attr, "0">:$registers,
    DefaultValuedAttr<I64Attr, "0">:$static_shared_bytes,
    DefaultValuedAttr<I64Attr, "0">:$stack_bytes,
    DefaultValuedAttr<I64Attr, "0">:$spill_bytes,
    DefaultValuedAttr<I64Attr, "0">:$matrix_instructions,
    OptionalAttr<StrAttr>:$assembler));
  let assemblyFormat = [{
    $sym_name $signature `grid` $grid $sizes $format $code
    attr-dict-with-keyword
  }];
  let extraClassDeclaration = [{
    /// The bytes of `code`.
    ::llvm::StringRef getBytes();
  }];
}

#endif // PLAN_KERNEL_OPS
