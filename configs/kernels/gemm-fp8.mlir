// C = A B^T with scales: A [M, K] and B [N, K] f8E4M3FN, C [M, N] bf16. A has a
// scale per 128 elements of a row, stored [K / 128, M]; B one per 128 x 128 block,
// stored [N / 128, K / 128]; both f32. Each block of K is summed exactly as codes and
// then added, scaled, in f32.
//
// Persistent blocks walk over tiles of 128 x 128, sixteen tiles of rows at a time.
// The two warpgroups hide each other's scaling; scales are fetched a step ahead.
!a = !tile.buffer<128x128xf8E4M3FN, #tile.shared<swizzle = 128>>
!b = !tile.buffer<128x128xf8E4M3FN, #tile.shared<swizzle = 128>>
!scales = tensor<128x1xf32, #tile.wgmma<n = 128, warpgroups = [2, 1]>>
!ring = !tile.ring<6, !a, !b>
tile.func @gemm_fp8(%a: !tile.view<?x$K$xf8E4M3FN>, %b: !tile.view<$N$x$K$xf8E4M3FN>,
                    %as: !tile.view<$KB$x?xf32>, %bs: !tile.view<$NB$x$KB$xf32>,
                    %c: !tile.view<?x$N$xbf16>)
    grid affine_map<()[s0] -> (s0)> [resident] warps 12
    strategy #tile.strategy<dot = wgmma, staged_store = true> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c16 = arith.constant 16 : index
  %c128 = arith.constant 128 : index
  %blocks = arith.constant $KB$ : index
  %column_tiles = arith.constant $NB$ : index
  %rows = tile.dim %a, 0 : !tile.view<?x$K$xf8E4M3FN>
  %row_tiles = arith.ceildivui %rows, %c128 : index
  %tiles = arith.muli %row_tiles, %column_tiles : index
  %group_tiles = arith.muli %column_tiles, %c16 : index
  %first = tile.program_id 0
  %step = tile.num_programs 0
  %zero = arith.constant dense<0.0> : tensor<128x128xf32>
  tile.pipeline [#tile.role<"load", warps = 4, registers = 40>,
                 #tile.role<"math", warps = 8, registers = 232>] {
    %ring = tile.ring : !ring
    scf.for %t = %first to %tiles step %step {
      %group = arith.divui %t, %group_tiles : index
      %group_row = arith.muli %group, %c16 : index
      %left = arith.subi %row_tiles, %group_row : index
      %group_rows = arith.minui %left, %c16 : index
      %in_group = arith.remui %t, %group_tiles : index
      %r = arith.remui %in_group, %group_rows : index
      %row_tile = arith.addi %group_row, %r : index
      %column_tile = arith.divui %in_group, %group_rows : index
      %m = arith.muli %row_tile, %c128 : index
      %n = arith.muli %column_tile, %c128 : index
      %as0, %bs0 = tile.on "math" -> !scales, tensor<1x1xf32> {
        %x = tile.load %as[%c0, %m] dims [1, 0]
            : !tile.view<$KB$x?xf32> -> !scales
        %w = tile.load %bs[%column_tile, %c0]
            : !tile.view<$NB$x$KB$xf32> -> tensor<1x1xf32>
        tile.yield %x, %w : !scales, tensor<1x1xf32>
      }
      %sum, %asl, %bsl = scf.for %kb = %c0 to %blocks step %c1
          iter_args(%acc = %zero, %asi = %as0, %bsi = %bs0)
          -> (tensor<128x128xf32>, !scales, tensor<1x1xf32>) {
        %k = arith.muli %kb, %c128 : index
        tile.on "load" {
          %s, %x, %w = tile.acquire %ring : !ring
          tile.copy %a[%m, %k] to %x : !tile.view<?x$K$xf8E4M3FN> to !a
          tile.copy %b[%n, %k] to %w : !tile.view<$N$x$K$xf8E4M3FN> to !b
          tile.commit %ring, %s : !ring
        }
        %kb1 = arith.addi %kb, %c1 : index
        %next, %asn, %bsn = tile.on "math"
            -> tensor<128x128xf32>, !scales, tensor<1x1xf32> {
          %xs = tile.load %as[%kb1, %m] dims [1, 0]
              : !tile.view<$KB$x?xf32> -> !scales
          %ws = tile.load %bs[%column_tile, %kb1]
              : !tile.view<$NB$x$KB$xf32> -> tensor<1x1xf32>
          %s, %x, %w = tile.receive %ring : !ring
          %d = tile.dot %x scaled %asi, %w transposed scaled %bsi, %acc
              : !a scaled !scales, !b scaled tensor<1x1xf32>
              -> tensor<128x128xf32>
          tile.release %ring, %s : !ring
          tile.yield %d, %xs, %ws
              : tensor<128x128xf32>, !scales, tensor<1x1xf32>
        }
        scf.yield %next, %asn, %bsn
            : tensor<128x128xf32>, !scales, tensor<1x1xf32>
      }
      tile.on "math" {
        %o = arith.truncf %sum : tensor<128x128xf32> to tensor<128x128xbf16>
        tile.store %o, %c[%m, %n] : tensor<128x128xbf16> -> !tile.view<?x$N$xbf16>
      }
    }
  }
  tile.return
}
