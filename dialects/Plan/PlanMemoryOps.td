//===- PlanMemoryOps.td - Where memory comes from ----------*- tablegen -*-===//
#ifndef PLAN_MEMORY_OPS
#define PLAN_MEMORY_OPS

include "dialects/Plan/PlanOpBase.td"

def Plan_PoolOp : Plan_Op<"pool", [Symbol]> {
  let summary = "memory that lives across steps";
  let description = [{
    What the runtime allocates once, for all sequences. `format` is how the
    model stores a row, for people who read the plan; the bytes are those of the
    type.

    * `window size W`: row `slot * W + q mod W` is the token at position q; the
      `max_tokens` rows behind all rings are the step's own, row t for its token
      t.
    * `entries ratio m page p`: a page holds p / m rows. Row w of a sequence is
      row `table[slot, w div (p/m)] * (p/m) + w mod (p/m)`.
    * `state size R`: row `slot * R + q mod R` is what a compressor remembers of
      the token at position q.

    C1: `size` is present exactly for window and state pools, `ratio` and `page`
        exactly for entry pools; all are positive.
    C2: `ratio` divides `page`.
    C3: the type is dense, its first size is `[W slots + max_tokens]`,
        `[p/m pages]` or `[R slots]`, and the others are constants.

    ```mlir
    plan.pool @layers.2.attn.entries entries ratio 4 page 256
        format "448 x f8E4M3FN scaled 64 x f8E8M0FNU, 64 x bf16"
        : !plan.tensor<[64 pages] x 584 x i8>
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, Plan_PoolKind:$kind,
                       OptionalAttr<Plan_Positive>:$size,
                       OptionalAttr<Plan_Positive>:$ratio,
                       OptionalAttr<Plan_Positive>:$page,
                       OptionalAttr<StrAttr>:$format,
                       TypeAttrOf<Plan_Tensor>:$type);
  let assemblyFormat = [{
    $sym_name $kind (`size` $size^)? (`ratio` $ratio^)? (`page` $page^)?
    (`format` $format^)? attr-dict `:` $type
  }];
  let hasVerifier = 1;
}

def Plan_PoolMemoryOp : Plan_Op<"pool_memory", [
    Pure, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "a pool's memory as a tensor";
  let description = [{
    The bytes of the pool from `offset` (0 if absent) on, under the result's
    type, whatever the pool's own: how the codes and the scales of rows are
    reached.

    C1: the pool is there.
    C2: the tensor ends within the pool, whatever the sizes are.

    ```mlir
    %scales = plan.pool_memory @layers.2.attn.entries offset 576
        : !plan.tensor<[64 pages] x 8 x f8E8M0FNU, strides = [584, 1]>
    ```
  }];
  let arguments = (ins FlatSymbolRefAttr:$pool,
                       OptionalAttr<Plan_LinearAttr>:$offset);
  let results = (outs Plan_Tensor:$result);
  let assemblyFormat = [{
    $pool (`offset` custom<Linear>($offset)^)? attr-dict `:` qualified(type($result))
  }];
}

def Plan_WeightOp : Plan_Op<"weight", [Pure]> {
  let summary = "a tensor of the checkpoint, by name";
  let description = [{
    The tensor with the given official name, in the element type and shape in
    which it is stored. A `*` in the name is an expert's number and stacks the
    experts' tensors in front.

    C1: the name is not empty and has at most one `*`.
    C2: all sizes are constants, and the tensor is dense; a stacked one has rank
        2 or more.

    ```mlir
    %w = plan.weight "layers.3.ffn.experts.*.w1.weight"
        : !plan.tensor<256 x 2048 x 4096 x f4E2M1FN>
    ```
  }];
  let arguments = (ins StrAttr:$name);
  let results = (outs Plan_Tensor:$result);
  let assemblyFormat = "$name attr-dict `:` qualified(type($result))";
  let extraClassDeclaration = [{
    bool isStacked() { return getName().contains('*'); }
  }];
  let hasVerifier = 1;
}

def Plan_AllocOp : Plan_Op<"alloc"> {
  let summary = "scratch memory";
  let description = [{
    Memory for the rest of the function, or of the `plan.when` that it is in;
    its contents are undefined until they are written. `storage` is the number of
    the piece of the scratch arena that it occupies: allocations with the same
    number share it. `plan-share-storage` sets it.

    C1: the tensor is dense and its bytes are linear in the sizes.

    ```mlir
    %q = plan.alloc : !plan.tensor<tokens x 64 x 512 x bf16>
    %s = plan.alloc storage 3 : !plan.tensor<tokens x 8 x i32>
    ```
  }];
  let arguments = (ins
    OptionalAttr<ConfinedAttr<I64Attr, [IntNonNegative]>>:$storage);
  let results = (outs Res<Plan_Tensor, "", [MemAlloc]>:$result);
  let assemblyFormat = "(`storage` $storage^)? attr-dict `:` qualified(type($result))";
  let hasVerifier = 1;
}

def Plan_ViewOp : Plan_Op<"view", [Pure]> {
  let summary = "the same memory under another type";
  let description = [{
    The bytes of `source` from `offset` (0 if absent) on, under the result's
    type.

    C1: the tensor ends within `source`, whatever the sizes are.

    ```mlir
    %flat = plan.view %q : !plan.tensor<tokens x 64 x 512 x bf16>
        to !plan.tensor<tokens x 32768 x bf16>
    ```
  }];
  let arguments = (ins Plan_Tensor:$source,
                       OptionalAttr<Plan_LinearAttr>:$offset);
  let results = (outs Plan_Tensor:$result);
  let assemblyFormat = [{
    $source (`offset` custom<Linear>($offset)^)? attr-dict
    `:` qualified(type($source)) `to` qualified(type($result))
  }];
  let hasFolder = 1;
  let hasVerifier = 1;
}

def Plan_SizeOp : Plan_Op<"size", [Pure]> {
  let summary = "a size as a scalar";
  let description = [{
    The value of a linear expression, as an argument of a kernel.

    `%n = plan.size [4 tokens + 1] : i32`
  }];
  let arguments = (ins Plan_LinearAttr:$value);
  let results = (outs Plan_SizeValue:$result);
  let assemblyFormat = "custom<Linear>($value) attr-dict `:` qualified(type($result))";
}

#endif // PLAN_MEMORY_OPS
