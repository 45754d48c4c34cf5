//===- VarveStateOps.td - Weights and pools ----------------*- tablegen -*-===//
#ifndef VARVE_STATE_OPS
#define VARVE_STATE_OPS

include "dialects/Varve/VarveOpBase.td"

def Varve_AppendOp : Varve_PoolUserOp<"append"> {
  let summary = "store rows in a pool";
  let description = [{
    Rounds each row to the pool's format and stores it at
    `(slots[i], positions[i] div m)`, where m is the pool's ratio (1 for a
    window pool). Rows whose slot is -1 are not stored. A later row of the same
    step replaces an earlier one at the same place.

    * C1: `rows` has rank 2 and its width equals the pool's.
    * C2: one position and one slot per row.
    * C3: the pool is a window or an entry pool.

    ```mlir
    varve.append %kv to @layers.0.attn.window at(%positions, %slots)
        : tensor<?x512xbf16>, tensor<?xi32>, tensor<?xi32>
    ```
  }];
  let arguments = (ins Varve_Activation:$rows, FlatSymbolRefAttr:$pool,
                       Varve_TokenNumbers:$positions, Varve_TokenNumbers:$slots);
  let assemblyFormat = [{
    $rows `to` $pool `at` `(` $positions `,` $slots `)` attr-dict
    `:` type($rows) `,` type($positions) `,` type($slots)
  }];
  let hasVerifier = 1;
}

def Varve_PoolOp : Varve_Op<"pool", [Symbol]> {
  let summary = "declare state that lives across steps";
  let description = [{
    State of one mechanism of one layer, for every sequence slot.

    * `window size W`: row p is what the token at position p left. Readers see
      the last W positions. An executor keeps at least W - 1 rows before the
      first position of a step, plus the step's own.
    * `entries ratio m`: row w stands for the tokens m*w ... m*w + m - 1. Rows
      are immutable once their last token has been processed. A page covers
      `page` tokens. Ratio 1 is an ordinary per-token cache.
    * `state size R`: row p mod R holds what a compressor must remember of the
      token at position p. Rows of positions that no token of the sequence has
      written are absent.

    When a sequence is added to a slot, all its rows are absent. With `select`
    the pool keeps only some of a sequence's rows, which is for costs.

    * C1: `size` is present exactly for window and state pools, `ratio` and
        `page` exactly for entry pools; all are positive.
    * C2: `ratio` divides `page`.
    * C3: a state pool has no `select`: a compressor needs all of its rows.

    ```mlir
    varve.pool @layers.2.attn.entries entries ratio 4 page 256
        : <448 x f8E4M3FN scaled 64 x f8E8M0FNU, 64 x bf16>
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, Varve_PoolKind:$kind,
                       OptionalAttr<Varve_Positive>:$size,
                       OptionalAttr<Varve_Positive>:$ratio,
                       OptionalAttr<Varve_Positive>:$page,
                       OptionalAttr<Varve_SelectAttr>:$select,
                       Varve_FormatAttr:$format);
  let assemblyFormat = [{
    $sym_name $kind (`size` $size^)? (`ratio` $ratio^)? (`page` $page^)?
    (`select` $select^)? attr-dict `:` custom<BareFormat>($format)
  }];
  let extraClassDeclaration = [{
    /// Tokens a row stands for.
    int64_t getRowTokens() { return getRatio().value_or(1); }
    /// The most rows of a sequence that are kept; the largest number without
    /// `select`.
    int64_t getKeptRows();
    /// Rows that a sequence of `context` tokens occupies.
    int64_t getRowsOf(int64_t context);
    /// Bytes of the rows of a sequence of `context` tokens and of their scores,
    /// page padding excluded.
    int64_t getBytesOf(int64_t context);
  }];
  let hasVerifier = 1;
}

def Varve_WeightOp : Varve_Op<"weight", [
    Pure, DeclareOpInterfaceMethods<Varve_CostOpInterface>,
    DeclareOpInterfaceMethods<OpAsmOpInterface, ["getAsmResultNames"]>]> {
  let summary = "a tensor of the checkpoint, by name";
  let description = [{
    The tensor with the given official name, with the element type and shape in
    which it is stored. Weights never enter the IR: the name is resolved when
    the model is executed.

    A `*` in the name stands for an expert number and stacks the experts'
    tensors into a leading dimension.

    * C1: the name is not empty and has at most one `*`.
    * C2: the type is static; a stacked weight has rank 2 or more.

    ```mlir
    %w1 = varve.weight "layers.3.ffn.experts.*.w1.weight"
        : tensor<256x2048x4096xf4E2M1FN>
    ```
  }];
  let arguments = (ins StrAttr:$name);
  let results = (outs Varve_StoredTensor:$result);
  let assemblyFormat = "$name attr-dict `:` type($result)";
  let extraClassDeclaration = [{
    /// Whether the name stacks the tensors of all experts.
    bool isStacked() { return getName().contains('*'); }
  }];
  let hasVerifier = 1;
}

#endif // VARVE_STATE_OPS
