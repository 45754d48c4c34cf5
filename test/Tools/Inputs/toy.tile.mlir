// A model whose logits are the row of `embed.weight` that belongs to the token,
// as the lower phase would write it.
module attributes {varve.model = #varve.model<name = "toy", layers = "S", vocab = 16, max_positions = 64>,
                   varve.precision = "f32"} {
  module @host attributes {varve.target = "x86-64"} {
    tile.func private @rows(%ids: !tile.view<?xi32>, %rows: !tile.view<?xi32>,
                            %x: !tile.view<16x16xf32>, %y: !tile.view<?x16xf32>)
        grid affine_map<()[s0] -> (s0)> [dim(%rows, 0)] warps 1 {
      %c0 = arith.constant 0 : index
      %r = tile.program_id 0
      %t = tile.load_scalar %rows[%r] : !tile.view<?xi32>
      %token = arith.index_cast %t : i32 to index
      %i = tile.load_scalar %ids[%token] : !tile.view<?xi32>
      %id = arith.index_cast %i : i32 to index
      %row = tile.load %x[%id, %c0] : !tile.view<16x16xf32> -> tensor<1x16xf32>
      tile.store %row, %y[%r, %c0] : tensor<1x16xf32> -> !tile.view<?x16xf32>
      tile.return
    }
    tile.func private @copy(%x: !tile.view<?x16xf32>, %y: !tile.view<?x16xf32>)
        grid affine_map<()[s0] -> (s0 ceildiv 4)> [dim(%x, 0)] warps 1 {
      %c0 = arith.constant 0 : index
      %c4 = arith.constant 4 : index
      %b = tile.program_id 0
      %r = arith.muli %b, %c4 : index
      %t = tile.load %x[%r, %c0] : !tile.view<?x16xf32> -> tensor<4x16xf32>
      tile.store %t, %y[%r, %c0] : tensor<4x16xf32> -> !tile.view<?x16xf32>
      tile.return
    }
    plan.func private @head(%x: !plan.tensor<rows x 16 x f32>, %y: !plan.tensor<rows x 16 x f32>) {
      plan.launch @copy(%x, %y) : !plan.tensor<rows x 16 x f32>, !plan.tensor<rows x 16 x f32> loc("head.copy")
      plan.return
    }
    plan.func @step(%ids: !plan.tensor<tokens x i32> {plan.name = "ids"},
                    %rows: !plan.tensor<rows x i32> {plan.name = "logit_rows"},
                    %logits: !plan.tensor<rows x 16 x f32> {plan.name = "logits", plan.output}) {
      %embed = plan.weight "embed.weight" : !plan.tensor<16 x 16 x f32>
      %x = plan.alloc : !plan.tensor<rows x 16 x f32>
      plan.launch @rows(%ids, %rows, %embed, %x)
          : !plan.tensor<tokens x i32>, !plan.tensor<rows x i32>,
            !plan.tensor<16 x 16 x f32>, !plan.tensor<rows x 16 x f32> loc("embed")
      plan.call @head(%x, %logits) : !plan.tensor<rows x 16 x f32>, !plan.tensor<rows x 16 x f32> loc("head")
      plan.return
    }
  }
}
