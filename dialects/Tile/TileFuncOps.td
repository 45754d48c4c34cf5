//===- TileFuncOps.td - Functions and the grid -------------*- tablegen -*-===//
#ifndef TILE_FUNC_OPS
#define TILE_FUNC_OPS

include "dialects/Tile/TileOpBase.td"

def Tile_FuncOp : Tile_Op<"func", [
    AutomaticAllocationScope, FunctionOpInterface, IsolatedFromAbove]> {
  let summary = "the program of a thread block";
  let description = [{
    Every block of the grid runs the body once. `grid` gives the number of
    blocks per dimension as an affine function of run-time sizes, so that a host
    without a compiler can evaluate it: `dim(%x, d)` is a dimension of a view
    argument, `%n` the value of an `index` or integer argument, `resident` the
    number of blocks that the device holds at once. A result that is not
    positive means an empty grid. Blocks run in any order, also at once.

    `warps` is the number of warps of a block. Arguments are views and scalars.

    C1: `grid` has 1 to 3 results, no dimensions, and one symbol per size.
    C2: a `dim` names a dimension of a view argument, a scalar size an argument
        of type index, i32 or i64.
    C3: `warps` is a power of two from 1 to 32, or, with a pipeline, the sum of
        its roles' warps (up to 32).
    C4: arguments are views or scalars, there are no results, the body has one
        block.

    ```mlir
    tile.func @scale(%x: !tile.view<?x4096xbf16>, %y: !tile.view<?x4096xbf16>,
                     %f: f32)
        grid affine_map<()[s0] -> (s0 ceildiv 16, 4)> [dim(%x, 0)] warps 4 {
      ...
      tile.return
    }
    ```
  }];
  let arguments = (ins
    SymbolNameAttr:$sym_name,
    TypeAttrOf<FunctionType>:$function_type,
    AffineMapAttr:$grid,
    TypedArrayAttrBase<Tile_SizeAttr, "run-time sizes of the grid">:$sizes,
    ConfinedAttr<I64Attr, [IntPositive, IntMaxValue<32>]>:$warps,
    OptionalAttr<Tile_StrategyAttr>:$strategy,
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

    /// The number of blocks per dimension when the sizes have these values, in
    /// the order of `sizes`; all zero for an empty grid. Fails when the
    /// number of values is wrong or a division by zero comes up.
    ::mlir::FailureOr<::llvm::SmallVector<int64_t>>
    evaluateGrid(::llvm::ArrayRef<int64_t> sizes);
  }];
}

def Tile_ReturnOp : Tile_Op<"return", [
    HasParent<"FuncOp">, Pure, ReturnLike, Terminator]> {
  let summary = "the end of a block's program";
  let assemblyFormat = "attr-dict";
}

def Tile_DimOp : Tile_Op<"dim", [Pure]> {
  let summary = "a size of a view";
  let description = [{
    C1: `dim` is a dimension of the view.

    `%rows = tile.dim %x, 0 : !tile.view<?x4096xbf16>`
  }];
  let arguments = (ins Tile_View:$view, Tile_Axis:$dim);
  let results = (outs Index:$result);
  let assemblyFormat = "$view `,` $dim attr-dict `:` qualified(type($view))";
  let hasFolder = 1;
  let hasVerifier = 1;
}

class Tile_GridOp<string mnemonic> : Tile_Op<mnemonic, [Pure]> {
  let arguments = (ins ConfinedAttr<I64Attr, [IntNonNegative, IntMaxValue<2>]>:$axis);
  let results = (outs Index:$result);
  let assemblyFormat = "$axis attr-dict";
  let hasVerifier = 1;
}

def Tile_ProgramIdOp : Tile_GridOp<"program_id"> {
  let summary = "this block's coordinate in the grid";
  let description = [{
    C1: `axis` is a dimension of the function's grid.
  }];
}

def Tile_NumProgramsOp : Tile_GridOp<"num_programs"> {
  let summary = "the number of blocks along a dimension of the grid";
  let description = [{
    C1: `axis` is a dimension of the function's grid.
  }];
}

def Tile_WaitPredecessorOp : Tile_Op<"wait_predecessor", [
    MemoryEffects<[MemRead<Tile_Global>, MemWrite<Tile_Global>, MemWrite<Tile_Schedule>]>]> {
  let summary = "wait until the kernel before has finished";
  let description = [{
    What the kernel before wrote may be read only after this op. Ops before it
    run while that kernel is still busy. A function without it waits at its
    start. On the CPU kernels do not overlap and the op does nothing.
  }];
  let assemblyFormat = "attr-dict";
}

def Tile_ReleaseSuccessorOp : Tile_Op<"release_successor", [
    MemoryEffects<[MemWrite<Tile_Schedule>]>]> {
  let summary = "let the kernel after start";
  let description = [{
    The kernel after may start once every block has run this op or ended. It
    still sees this kernel's stores only past its own `wait_predecessor`. On the
    CPU the op does nothing.
  }];
  let assemblyFormat = "attr-dict";
}

#endif // TILE_FUNC_OPS
