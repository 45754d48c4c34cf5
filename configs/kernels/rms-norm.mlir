// Y = X / sqrt(mean(X^2) + epsilon) * W: X and Y [rows, $C$], W [$C$], all bf16.
//
// Persistent blocks, a row at a time: the next row is on its way while this one
// is summed and stored.
tile.func @rms_norm(%x: !tile.view<?x$C$xbf16>, %w: !tile.view<$C$xbf16>,
                    %y: !tile.view<?x$C$xbf16>, %epsilon: f32)
    grid affine_map<()[s0] -> (s0)> [resident] warps $WARPS$
    strategy #tile.strategy<blocks_per_multiprocessor = $BLOCKS$> {
  %c0 = arith.constant 0 : index
  %count = arith.constant $C$.0 : f32
  %rows = tile.dim %x, 0 : !tile.view<?x$C$xbf16>
  %first = tile.program_id 0
  %step = tile.num_programs 0
  %weight = tile.load %w[%c0] : !tile.view<$C$xbf16> -> tensor<$C$xbf16>
  %start = tile.load %x[%first, %c0] cache streaming
      : !tile.view<?x$C$xbf16> -> tensor<$C$xbf16>
  scf.for %row = %first to %rows step %step iter_args(%current = %start)
      -> (tensor<$C$xbf16>) {
    %next_row = arith.addi %row, %step : index
    %next = tile.load %x[%next_row, %c0] cache streaming
        : !tile.view<?x$C$xbf16> -> tensor<$C$xbf16>
    %f = arith.extf %current : tensor<$C$xbf16> to tensor<$C$xf32>
    %squares = arith.mulf %f, %f : tensor<$C$xf32>
    %sum = tile.reduce sum %squares along 0 : tensor<$C$xf32>
    %mean = arith.divf %sum, %count : f32
    %shifted = arith.addf %mean, %epsilon : f32
    %inverse = math.rsqrt %shifted : f32
    %factors = tile.splat %inverse : tensor<$C$xf32>
    %wf = arith.extf %weight : tensor<$C$xbf16> to tensor<$C$xf32>
    %scaled = arith.mulf %f, %factors : tensor<$C$xf32>
    %result = arith.mulf %scaled, %wf : tensor<$C$xf32>
    %o = arith.truncf %result : tensor<$C$xf32> to tensor<$C$xbf16>
    tile.store %o, %y[%row, %c0] cache streaming
        : tensor<$C$xbf16> -> !tile.view<?x$C$xbf16>
    scf.yield %next : tensor<$C$xbf16>
  }
  tile.return
}
