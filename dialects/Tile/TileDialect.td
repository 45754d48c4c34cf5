//===- TileDialect.td - The kernel dialect -----------------*- tablegen -*-===//
#ifndef TILE_DIALECT
#define TILE_DIALECT

include "mlir/IR/OpBase.td"

def Tile_Dialect : Dialect {
  let name = "tile";
  let cppNamespace = "::mlir::varve::tile";
  let summary = "What one thread block computes, on tiles";
  let description = [{
    A `tile.func` is the program of one thread block; the grid is part of it.
    The same program is lowered to PTX for every GPU generation and to x86, so
    it says what is computed, in which order memory is touched and, where speed
    needs it, what is asynchronous and which warps do it; it never says how a
    machine does it.

    **Values** are tiles: builtin ranked tensors of static shape, immutable,
    held by the whole block. `arith` and `math` ops apply to them element by
    element, `scf` carries them through loops and branches. Where the elements
    live is an encoding (`#tile.blocked`, `#tile.mma`, ...), absent until a pass
    assigns it; it never changes a value. Scalars are uniform: every thread of
    the block holds the same one.

    **Memory** is explicit. A `!tile.view` is a typed window of global memory
    with run-time sizes and strides; a `!tile.buffer` is shared memory. Accesses
    to a view outside its bounds read a fill value and store nothing, so ragged
    edges need no code.

    **Order is textual.** A program means what its ops do one after another, and
    that is how the CPU runs it. Barriers between a write and a read of shared
    memory are the lowering's business. `tile.pipeline` distributes the same
    text over *roles* (groups of warps) that meet only at *rings*; a role runs
    its own part of the text in order and ahead of the others as far as the
    rings let it. `tile-check-pipelines` proves that this can neither hang nor
    read a stage before it is filled.

    **Packed elements.** `f4E2M1FN` elements of a view are two to a byte, the
    one with the even index in the low half. Rows of such a view start at whole
    bytes. Blocks that run at once must not store to the same byte.

    Equal scores select the lower index, everywhere. No result depends on
    scheduling: reductions combine in an order that only the op, its layout and
    the target decide.
  }];
  let useDefaultAttributePrinterParser = 1;
  let useDefaultTypePrinterParser = 1;
  let hasConstantMaterializer = 1;
  let dependentDialects = ["::mlir::arith::ArithDialect"];
  let extraClassDeclaration = [{
    /// Add the attributes and types, which are defined in their own files.
    void registerAttributes();
    void registerTypes();
  }];
}

#endif // TILE_DIALECT
