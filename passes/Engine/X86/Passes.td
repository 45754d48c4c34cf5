//===- Passes.td - The x86 engine --------------------------*- tablegen -*-===//
#ifndef VARVE_PASSES_ENGINE_X86_PASSES
#define VARVE_PASSES_ENGINE_X86_PASSES

include "mlir/Pass/PassBase.td"

def TileToX86Pass : Pass<"tile-to-x86", "::mlir::ModuleOp"> {
  let summary = "Lower tile functions to loops over vectors";
  let description = [{
    Replaces every `tile.func` by a `func.func` of the same name that runs a
    range of the grid's blocks, one after another (Abi.h says how it is called).
    The result consists of `func`, `scf`, `arith`, `math`, `vector` and `llvm`
    ops.

    Tiles become row-major arrays in a scratch area that the caller provides;
    chains of element-wise ops become one loop over vectors of 16 elements that
    reads and writes such arrays. `tile.dot` becomes outer products in
    registers. Pipelines run as their text stands, after the rules of
    `tile-check-pipelines` have been checked. Layouts, swizzles, strategies and
    cache hints have no meaning here and are ignored.

    Sums are the same on every processor: `tile.reduce` along the last dimension
    keeps 16 partial sums, element i in sum i mod 16, and adds them by halves
    (0 + 8, 1 + 9, ...), then what is left of the row in pieces of 8, 4, 2, 1;
    along another dimension it adds in ascending order. `tile.dot` adds in
    ascending order of k with fused multiply-add.
  }];
  let options = [
    Option<"vectorBits", "vector-bits", "int64_t", /*default=*/"512",
           "Width of the vector registers, 256 or 512: decides the register "
           "blocks of products, never a result">
  ];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::func::FuncDialect",
    "::mlir::LLVM::LLVMDialect", "::mlir::math::MathDialect",
    "::mlir::scf::SCFDialect", "::mlir::vector::VectorDialect"
  ];
}

#endif // VARVE_PASSES_ENGINE_X86_PASSES
