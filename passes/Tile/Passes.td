//===- Passes.td - Passes on tile programs -----------------*- tablegen -*-===//
#ifndef VARVE_PASSES_TILE_PASSES
#define VARVE_PASSES_TILE_PASSES

include "mlir/Pass/PassBase.td"

def CheckPipelinesPass
    : Pass<"tile-check-pipelines", "::mlir::varve::tile::FuncOp"> {
  let summary = "Refuse pipelines that would hang, race, or read an empty stage";
  let description = [{
    Executes the text of every `tile.pipeline` symbolically. The state is, per
    ring, what each stage is doing (empty, being filled, filled and for which
    reader still waiting, held or done) and who holds which slot. Only the
    position relative to the next acquire counts, so one walk over a loop body
    that ends in the state in which it began stands for every trip count. The
    rules:

    P1: a ring is acquired by one role and received by at least one.
    P2: an `acquire` finds its stage empty, a `receive` finds its stage filled.
        Otherwise the op would wait forever: by the text all that could end the
        wait comes later.
    P3: slots are committed or released once, by the role that got them, on
        their own ring, and buffers are used only in between; received buffers
        are not written.
    P4: a loop leaves every ring as it found it, up to rotation; the branches of
        a condition leave every ring in the same state.
    P5: at the end of the pipeline all stages are empty.
    P6: tiles, slots, tokens and buffers are used by the role that made them;
        tiles from outside the pipeline are constants or computed from scalars.
    P7: a buffer that is no ring's is not written by one role and used by
        another, a view not written by one and read by another. (Two roles may
        write a view: that the elements differ is not checked.)

    Since roles meet only at rings, a text that passes cannot hang in any
    interleaving (dialects/Tile/Rationale.md). With `in_flight = n` in the
    function's strategy, the release of a stage that a `tile.dot` reads takes
    effect n releases later, or at the end of the loop; P2 takes that into
    account.

    It changes nothing.
  }];
}

def MergeRolesPass
    : Pass<"tile-merge-roles", "::mlir::varve::tile::FuncOp"> {
  let summary = "Make one program of the roles of a pipeline";
  let description = [{
    For targets without warp specialisation. Afterwards a pipeline has one role,
    `all`, that runs the whole text; rings are still rings, so the result means
    the same and `tile-check-pipelines` accepts it.

    Copies run ahead: where the body of an `scf.for` acquires, fills and commits
    stages in a role that never receives, that part of iteration k runs in
    iteration k - d, right behind the first `tile.receive`. d is what the rings
    have stages for: with s stages, h of them held at the loop's start, and n
    passed on by an iteration, (s - h) / n - 1, the smallest over the rings. What
    the part needs (scalars, the role's own tiles, carried values) is computed a
    second time, ahead. Copies of iterations that do not exist are skipped, but
    their stages are committed, so that stages count iterations.

    The part stays where it is when d is 0, when it stands in a branch or an
    inner loop of the body, when slots of it are carried, or when it does
    anything but read global memory and copy.

    The function gets the warps of the roles that do not run ahead (of all roles
    if there is no other), rounded down to a power of two; `in_flight` becomes 0.
    A role's registers are dropped. Two readers of a ring must receive and
    release in the same blocks; they become one.

    Ops on rings get `tile.pending_stages`, `tile.landed` and `tile.vacant`, by
    which an engine saves waits and barriers (passes/Tile/MergeRoles.h).
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect",
                           "::mlir::scf::SCFDialect"];
}

def AssignLayoutsPass
    : Pass<"tile-assign-layouts", "::mlir::varve::tile::FuncOp"> {
  let summary = "Give every tile a layout";
  let description = [{
    Says where the elements of every tile live on a target, as encodings, and
    inserts `tile.convert_layout` where an op needs an operand elsewhere than it
    is. Values do not change. Tiles that have a layout keep it.

    Tiles that element-wise ops and control flow tie together share a layout
    (initial values of loops may have another). It is chosen by

    L1: a matrix product, whose accumulator lies as its instructions demand; the
        family of instructions follows from the target's engines and the
        function's strategy;
    L2: loads, gathers and reads of shared memory, for which a warp covers whole
        stretches of the last dimension, each lane as many neighbours as one
        access takes;
    L3: stores, likewise;
    L4: without any of them, the layout of L2 for its shape.

    A layout that was chosen decides those of related tiles that have none: what
    a reduction leaves of its source, what a broadcast repeats, the row numbers
    of a gather or scatter, transposed and split tiles.

    Tiles of equal or counted elements are made where they are used, and what
    roles compute from scalars outside of `tile.on` is repeated inside.

    Every static shape has a layout. Sizes that are no multiple of what lanes and
    warps cover make some of them hold copies of elements.
  }];
  let options = [
    Option<"target", "target", "std::string", /*default=*/"\"\"",
           "The target model to assign for (sm_90a, ...)">
  ];
  let dependentDialects = ["::mlir::varve::tile::TileDialect"];
}

def SplitRolesPass
    : Pass<"tile-split-roles", "::mlir::varve::tile::FuncOp"> {
  let summary = "Give each role of a pipeline a text of its own";
  let description = [{
    Rewrites the body of every `tile.pipeline` into its rings and one `tile.on`
    per role that holds all that the role runs: its parts, under the loops and
    branches around them. What only other roles carry through loops is left out.

    The result is meant for targets that run the roles at the same time. It no
    longer is a text that can run from top to bottom, so the rules of
    `tile-check-pipelines` are to be checked before.
  }];
  let dependentDialects = ["::mlir::scf::SCFDialect"];
}

#endif // VARVE_PASSES_TILE_PASSES
