//===- TilePipelineOps.td - Roles and rings ----------------*- tablegen -*-===//
#ifndef TILE_PIPELINE_OPS
#define TILE_PIPELINE_OPS

include "dialects/Tile/TileOpBase.td"
include "mlir/IR/RegionKindInterface.td"

def Tile_PipelineOp : Tile_Op<"pipeline", [
    NoTerminator, RecursiveMemoryEffects, SingleBlock]> {
  let summary = "a program for several groups of warps";
  let description = [{
    The body is one text. A `tile.on` belongs to a role; control flow and scalar
    arithmetic around it belong to all. Each role runs its own `tile.on` regions
    in textual order, under the same control flow, without waiting for the
    others except at rings. Running the whole text in order is one such
    execution, and the one that defines the result.

    On a target with warp specialisation every role becomes a group of warps
    with its own registers. Elsewhere the roles run merged, copies as far ahead
    as the rings have stages; on the CPU the text runs as it stands.

    C1: there is at least one role; names are distinct.
    C2: outside `tile.on` there are only `scf` ops, rings, and ops that compute
        scalars or views without touching memory, `load_scalar` excepted.
    C3: the pipeline is not inside another.
    C4: the roles' warps add up to the function's.

    ```mlir
    tile.pipeline [#tile.role<"load", warps = 4, registers = 40>,
                   #tile.role<"math", warps = 8, registers = 232>] {
      %ring = tile.ring : !tile.ring<4, !tile.buffer<128x64xbf16>,
                                        !tile.buffer<256x64xbf16>>
      %sum = scf.for %k = %c0 to %K step %c64 iter_args(%acc = %zero)
          -> (tensor<128x256xf32>) {
        tile.on "load" {
          %s, %a, %b = tile.acquire %ring : ...
          tile.copy %A[%m, %k] to %a : ...
          tile.copy %B[%n, %k] to %b : ...
          tile.commit %ring, %s : ...
        }
        %next = tile.on "math" -> tensor<128x256xf32> {
          %s, %a, %b = tile.receive %ring : ...
          %d = tile.dot %a, %b transposed, %acc : ...
          tile.release %ring, %s : ...
          tile.yield %d : tensor<128x256xf32>
        }
        scf.yield %next : tensor<128x256xf32>
      }
      tile.on "math" { ... }
    }
    ```
  }];
  let arguments = (ins
    TypedArrayAttrBase<Tile_RoleAttr, "roles">:$roles);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "$roles $body attr-dict";
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// The role of this name; null when there is none.
    RoleAttr lookupRole(::llvm::StringRef name);
  }];
}

def Tile_OnOp : Tile_Op<"on", [
    RecursiveMemoryEffects, SingleBlockImplicitTerminator<"YieldOp">]> {
  let summary = "the part of one role";
  let description = [{
    Runs where it stands, by the warps of `role`. Its results are the role's:
    only its own `tile.on` regions may use tiles and slots among them, directly
    or carried by `scf` ops.

    C1: `role` is a role of the enclosing pipeline.
    C2: it is not inside another `tile.on`.
    C3: results are tiles, slots, buffers or tokens: a scalar that only one
        role knows cannot steer the others.
  }];
  let arguments = (ins StrAttr:$role);
  let results = (outs Variadic<AnyTypeOf<[Tile_AnyTile, Tile_Slot, Tile_Buffer, Tile_Token]>>:$results);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "$role (`->` type($results)^)? $body attr-dict";
  let hasVerifier = 1;
}

def Tile_YieldOp : Tile_Op<"yield", [
    HasParent<"OnOp">, Pure, ReturnLike, Terminator]> {
  let summary = "the results of a role's part";
  let description = [{
    C1: the operands have the types of the results of the `tile.on`.
  }];
  let arguments = (ins Variadic<AnyType>:$operands);
  let builders = [OpBuilder<(ins), [{ /* no results */ }]>];
  let assemblyFormat = "attr-dict ($operands^ `:` type($operands))?";
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Rings
//===----------------------------------------------------------------------===//

def Tile_RingOp : Tile_Op<"ring"> {
  let summary = "stages of shared buffers that roles pass on";
  let description = [{
    All stages are empty at first. The writer acquires them in turn, fills and
    commits them; every reader receives them in the order of the acquires and
    releases them. A stage is empty again when all readers have released it.

    The writer is the one role that acquires, the readers are the roles that
    receive; a role may be both in different rings.

    C1: a ring is made in the body of a pipeline, outside loops and branches.
    C2: its users are `acquire`, `commit`, `receive` and `release`.
  }];
  let results = (outs Res<Tile_Ring, "", [MemAlloc<Tile_Shared>]>:$result);
  let assemblyFormat = "attr-dict `:` qualified(type($result))";
  let hasVerifier = 1;
}

class Tile_TakeOp<string mnemonic> : Tile_Op<mnemonic, [
    DeclareOpInterfaceMethods<InferTypeOpInterface>,
    Tile_RingUserOpInterface,
    MemoryEffects<[MemRead<Tile_Schedule>, MemWrite<Tile_Schedule>]>]> {
  let arguments = (ins
    Arg<Tile_Ring, "", [MemRead<Tile_Shared>, MemWrite<Tile_Shared>]>:$ring);
  let results = (outs Tile_Slot:$slot, Variadic<Tile_Buffer>:$buffers);
  let assemblyFormat = "$ring attr-dict `:` qualified(type($ring))";
  let hasVerifier = 1;
}

def Tile_AcquireOp : Tile_TakeOp<"acquire"> {
  let summary = "wait for the next empty stage";
  let description = [{
    C1: it is inside a `tile.on`.

    `%s, %a, %b = tile.acquire %ring : !tile.ring<4, ...>`
  }];
}

def Tile_ReceiveOp : Tile_TakeOp<"receive"> {
  let summary = "wait for the next filled stage";
  let description = [{
    Its buffers may be read until the `tile.release`, and not written.

    C1: it is inside a `tile.on`.

    `%s, %a, %b = tile.receive %ring : !tile.ring<4, ...>`
  }];
}

class Tile_GiveOp<string mnemonic> : Tile_Op<mnemonic, [
    Tile_RingUserOpInterface,
    MemoryEffects<[MemRead<Tile_Schedule>, MemWrite<Tile_Schedule>]>]> {
  let arguments = (ins
    Arg<Tile_Ring, "", [MemRead<Tile_Shared>, MemWrite<Tile_Shared>]>:$ring,
    Tile_Slot:$slot);
  let assemblyFormat = "$ring `,` $slot attr-dict `:` qualified(type($ring))";
  let hasVerifier = 1;
}

def Tile_CommitOp : Tile_GiveOp<"commit"> {
  let summary = "hand a filled stage to the readers";
  let description = [{
    Takes effect when the writes, and the copies begun, since the stage was
    acquired are complete.

    C1: it is inside a `tile.on`.
  }];
}

def Tile_ReleaseOp : Tile_GiveOp<"release"> {
  let summary = "hand a stage back to the writer";
  let description = [{
    Takes effect when the role's reads of the stage are complete, those of
    asynchronous products included.

    C1: it is inside a `tile.on`.
  }];
}

#endif // TILE_PIPELINE_OPS
