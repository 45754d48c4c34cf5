// C = A B^T: A [M, K], B [N, K], C [M, N], all bf16, sums in f32.
//
// For targets whose warps multiply by mma.sync: a block has one tile of
// 128 x 128, four warps, and three stages, so that two blocks share a
// multiprocessor. Blocks are numbered eight tiles of rows at a time, so that
// those that run at once share rows and columns in the L2 cache.
!a = !tile.buffer<128x64xbf16, #tile.shared<swizzle = 128>>
!b = !tile.buffer<128x64xbf16, #tile.shared<swizzle = 128>>
!ring = !tile.ring<3, !a, !b>
tile.func @gemm_bf16_mma(%a: !tile.view<?x$K$xbf16>, %b: !tile.view<$N$x$K$xbf16>,
                         %c: !tile.view<?x$N$xbf16>)
    grid affine_map<()[s0] -> ((s0 ceildiv 1024) * (8 * ($N$ ceildiv 128)))> [dim(%a, 0)] warps 8
    strategy #tile.strategy<dot = mma_sync, blocks_per_multiprocessor = 2,
                            staged_store = true> {
  %c0 = arith.constant 0 : index
  %c8 = arith.constant 8 : index
  %c64 = arith.constant 64 : index
  %c128 = arith.constant 128 : index
  %depth = arith.constant $K$ : index
  %columns = arith.constant $N$ : index
  %column_tiles = arith.ceildivui %columns, %c128 : index
  %t = tile.program_id 0
  %in_group = arith.remui %t, %c8 : index
  %rest = arith.divui %t, %c8 : index
  %column_tile = arith.remui %rest, %column_tiles : index
  %group = arith.divui %rest, %column_tiles : index
  %group_row = arith.muli %group, %c8 : index
  %row_tile = arith.addi %group_row, %in_group : index
  %m = arith.muli %row_tile, %c128 : index
  %n = arith.muli %column_tile, %c128 : index
  // The last group may be incomplete: its blocks beyond the end do nothing.
  %rows = tile.dim %a, 0 : !tile.view<?x$K$xbf16>
  %exists = arith.cmpi slt, %m, %rows : index
  %end = arith.select %exists, %depth, %c0 : index
  %zero = arith.constant dense<0.0> : tensor<128x128xf32>
  tile.pipeline [#tile.role<"load", warps = 4>, #tile.role<"math", warps = 4>] {
    %ring = tile.ring : !ring
    %sum = scf.for %k = %c0 to %end step %c64 iter_args(%acc = %zero)
        -> (tensor<128x128xf32>) {
      tile.on "load" {
        %s, %x, %w = tile.acquire %ring : !ring
        tile.copy %a[%m, %k] to %x : !tile.view<?x$K$xbf16> to !a
        tile.copy %b[%n, %k] to %w : !tile.view<$N$x$K$xbf16> to !b
        tile.commit %ring, %s : !ring
      }
      %next = tile.on "math" -> tensor<128x128xf32> {
        %s, %x, %w = tile.receive %ring : !ring
        %d = tile.dot %x, %w transposed, %acc : !a, !b -> tensor<128x128xf32>
        tile.release %ring, %s : !ring
        tile.yield %d : tensor<128x128xf32>
      }
      scf.yield %next : tensor<128x128xf32>
    }
    tile.on "math" {
      %o = arith.truncf %sum : tensor<128x128xf32> to tensor<128x128xbf16>
      tile.store %o, %c[%m, %n] : tensor<128x128xbf16> -> !tile.view<?x$N$xbf16>
    }
  }
  tile.return
}
