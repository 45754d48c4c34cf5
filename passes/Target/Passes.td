//===- Passes.td - Passes on code for one target -----------*- tablegen -*-===//
//
// What happens to a kernel between the target's builders and LLVM: everything
// here works on upstream dialects alone.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_PASSES_TARGET_PASSES
#define VARVE_PASSES_TARGET_PASSES

include "mlir/Pass/PassBase.td"

def ExpandNarrowFloatsPass : Pass<"varve-expand-narrow-floats"> {
  let summary = "Expand conversions of 4-, 8- and 16-bit floats to integer "
                "arithmetic";
  let description = [{
    Rewrites `arith.extf` and `arith.truncf` from and to the listed types, on
    scalars and vectors, so that no library call and no instruction of a later
    architecture is needed. Results are those of `varve/Support/Floats.h`, bit
    by bit: round to nearest even, and saturation to the largest finite number
    for `f8E4M3FN`, `f8E5M2` and `f4E2M1FN`, as NVIDIA's `satfinite`
    conversions do (NaN becomes 0x7F, in `f4E2M1FN` +6). `f8E8M0FNU` rounds to
    the nearest power of two, ties up; negative numbers become NaN.

    No step relies on subnormal numbers, so flushing them does not change a
    result beyond the conversions whose operand or result is one itself
    (`f8E8M0FNU` code 0).

    Other types on the far side (`f16`, `f64`) go through `f32`. Narrowing from
    `f64` would round twice and is left alone.

    With `target`, conversions that the architecture has as instructions
    (`f32` and `f16` from and to `f8E4M3FN` and `f8E5M2`) become those; the
    results are the same.
  }];
  let options = [
    ListOption<"types", "types", "std::string",
               "Types to expand: bf16, f8E4M3FN, f8E5M2, f4E2M1FN, f8E8M0FNU "
               "(default: all)">,
    Option<"target", "target", "std::string", /*default=*/"\"\"",
           "Use the conversion instructions of this target">
  ];
  let dependentDialects = ["::mlir::arith::ArithDialect",
                           "::mlir::LLVM::LLVMDialect",
                           "::mlir::NVVM::NVVMDialect"];
}

def LowerMathToNVVMPass : Pass<"varve-lower-math-to-nvvm"> {
  let summary = "Lower math functions to what a GPU computes without a library";
  let description = [{
    The code generator for NVIDIA GPUs selects few functions and gives up on
    the rest. Afterwards only those it selects are left.

    With the fast-math flag `afn` (per op): `exp`, `expm1`, `log`, `log2`,
    `log10`, `log1p` and `powf` become one `ex2.approx` or `lg2.approx` with a
    multiplication; `sin`, `cos` and `tanh` keep their approximate
    instructions. Error of `exp`: 2^-22 + |x| 2^-24, relative.

    Without it, in units in the last place over all arguments: `exp`, `exp2`,
    `log` and `log2` 4 (measured on an H100: 2.7, 2.4, 2.0, 3.0), `log1p` and
    `expm1` 4 (3.1, 4.0), `tanh` 5 (4.9); `sin` and `cos` 2e-7 absolute for
    arguments up to 2^22, NaN beyond. The inverse functions, `erf` and `erfc`
    are the math dialect's polynomials; `powf` is exp(y log x), whose error
    grows with |y log x|.

    Types: `f32`; `f16` and `bf16` through `f32`; scalars and vectors of one
    dimension. `f64` functions are an error.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect",
                           "::mlir::LLVM::LLVMDialect",
                           "::mlir::math::MathDialect",
                           "::mlir::vector::VectorDialect"];
}

def LowerMathToPolynomialsPass : Pass<"varve-lower-math-to-polynomials"> {
  let summary = "Lower math functions to arithmetic";
  let description = [{
    For processors: no library is called and vectors stay vectors. Bounds as
    for varve-lower-math-to-nvvm without `afn`, subnormal results and overflow
    of `exp` and `exp2` included. Functions of `f16` and `bf16` are computed in
    `f32`. `afn` allows cheaper forms.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect",
                           "::mlir::math::MathDialect",
                           "::mlir::vector::VectorDialect"];
}

def VerifyLegalNVVMPass
    : Pass<"varve-verify-legal-nvvm", "::mlir::ModuleOp"> {
  let summary = "Reject operations that the target's code generator cannot "
                "select";
  let description = [{
    LLVM aborts the process on an instruction that an architecture lacks. This
    pass knows what each NVVM op, intrinsic and inline instruction needs,
    compares it with the target model, and reports the op, the target, what is
    missing, which targets have it, and what to use instead.
  }];
  let options = [
    Option<"target", "target", "std::string", /*default=*/"\"\"",
           "The target to check for">
  ];
}

def AttachLineDirectivesPass
    : Pass<"varve-attach-line-directives", "::mlir::ModuleOp"> {
  let summary = "Turn name locations into line directives of the object code";
  let description = [{
    A profiler shows the file and line of an instruction. Here the "file" of an
    op is the name of its location (`layers.17.attn.index_topk`) and the line
    that of the location beneath, 1 if there is none. Only directives are
    emitted, so the assembler still optimises.

    Runs on functions of the LLVM dialect, last before translation. Ops without
    a name take their function's; functions in which no location has a name
    are left alone.
  }];
  let dependentDialects = ["::mlir::LLVM::LLVMDialect"];
}

#endif // VARVE_PASSES_TARGET_PASSES
