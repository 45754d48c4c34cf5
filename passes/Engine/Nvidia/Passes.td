//===- Passes.td - The NVIDIA engine -----------------------*- tablegen -*-===//
#ifndef VARVE_PASSES_ENGINE_NVIDIA_PASSES
#define VARVE_PASSES_ENGINE_NVIDIA_PASSES

include "mlir/Pass/PassBase.td"

def TileToNvidiaPass : Pass<"tile-to-nvidia", "::mlir::ModuleOp"> {
  let summary = "Lower tile functions to kernels for NVIDIA GPUs";
  let description = [{
    Replaces every `tile.func` by an `llvm.func` of the same name that is a
    kernel (`nvvm.kernel`; Abi.h says how it is launched). The result consists
    of `scf`, `arith`, `math`, `llvm` and `nvvm` ops, and is what
    `lib/Target/NVPTX` compiles.

    Every tile has a layout (`tile-assign-layouts`). A lane keeps its elements
    in one SSA value each; control flow carries them one by one. Matrix
    products, copies and pipelines go to the implementation that the layouts and
    the target model ask for.

    N1: every tile of the function has a layout of at most as many warps as run
        the op.
    N2: the function's threads and its shared memory are within the target's
        limits.
    N3: on tiles there are `tile` ops, constants, and element-wise ops with one
        result.

    Reductions combine the elements of a lane in register order, then lanes by
    exchange with partners at distance 1, 2, ... 16, then warps in ascending
    order: a function of the layout alone.
  }];
  let options = [
    Option<"target", "target", "std::string", /*default=*/"\"\"",
           "The target model to lower for (sm_90a, ...)">
  ];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::LLVM::LLVMDialect",
    "::mlir::math::MathDialect", "::mlir::NVVM::NVVMDialect",
    "::mlir::scf::SCFDialect", "::mlir::vector::VectorDialect"
  ];
}

#endif // VARVE_PASSES_ENGINE_NVIDIA_PASSES
