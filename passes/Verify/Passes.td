//===- Passes.td - Contracts at phase boundaries -----------*- tablegen -*-===//
#ifndef VARVE_PASSES_VERIFY_PASSES
#define VARVE_PASSES_VERIFY_PASSES

include "mlir/Pass/PassBase.td"

def VerifyModelPass : Pass<"varve-verify-model", "::mlir::ModuleOp"> {
  let summary = "Check what the phases behind the import rely on";
  let description = [{
    Op verifiers see one op and the pools it names. This pass checks what holds
    between ops of a whole model, and reports every violation (the first ten)
    before it fails:

    M1: the module has a `varve.model` attribute and a function `@step` of
        (ids, positions, slots, rows) to f32 logits of the model's vocabulary.
    M2: every `varve` op inside a function has a name location, and no two ops
        have the same name.
    M3: every pool is written by exactly one op and read by at least one (a
        compressor does both).
    M4: an entry pool that a compressor's entries are appended to has the
        compressor's ratio.
    M5: the indices of an attention count entries of its own ratio: they come
        from scores over keys of a pool with the ratio of its entry pool.
    M6: the mixing matrix of a `stream_mix` comes from a `sinkhorn`.
    M7: nothing that only costs know: no pool has a `select`, no function the
        attribute `varve.repeat`.

    It changes nothing.
  }];
}

#endif // VARVE_PASSES_VERIFY_PASSES
