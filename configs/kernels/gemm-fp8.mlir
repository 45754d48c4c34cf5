// C = A B^T with scales: A [M, K] and B [N, K] f8E4M3FN, C [M, N] bf16. A has a
// scale per 128 elements of a row, stored [K / 128, M]; B one per 128 x 128 block,
// stored [N / 128, K / 128]; both f32. Each block of K is summed by 8-bit matrix
// instructions, in fewer bits than f32 has, and then added, scaled, in f32.
//
// Persistent blocks walk over tiles of 128 x 128, eight tiles of rows at a time.
// The two warpgroups hide each other's scaling. Scales of A come with the codes
// of their block of K, scales of B for four blocks at once: what warps load
// themselves they wait for, even a step ahead, because the number that is
// replaced is still in use. K is a multiple of 512.
!a = !tile.buffer<128x128xf8E4M3FN, #tile.shared<swizzle = 128>>
!b = !tile.buffer<128x128xf8E4M3FN, #tile.shared<swizzle = 128>>
!scales = tensor<128x1xf32, #tile.wgmma<n = 128, warpgroups = [2, 1]>>
!four = tensor<1x4xf32, #tile.blocked<per_lane = [1, 4], lanes = [32, 1],
                                      warps = [8, 1], order = [1, 0]>>
!one = tensor<1x1xf32, #tile.blocked<per_lane = [1, 1], lanes = [32, 1],
                                     warps = [8, 1], order = [1, 0]>>
!as = !tile.buffer<128x1xf32>
!bs = !tile.buffer<1x4xf32>
!ring = !tile.ring<6, !a, !b, !as>
!scale_ring = !tile.ring<2, !bs>
tile.func @gemm_fp8(%a: !tile.view<?x$K$xf8E4M3FN>, %b: !tile.view<$N$x$K$xf8E4M3FN>,
                    %as: !tile.view<$KB$x$M$xf32>, %bs: !tile.view<$NB$x$KB$xf32>,
                    %c: !tile.view<?x$N$xbf16>)
    grid affine_map<()[s0] -> (s0)> [resident] warps 12
    strategy #tile.strategy<dot = wgmma, staged_store = true, short_sums = true> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %c8 = arith.constant 8 : index
  %c128 = arith.constant 128 : index
  %blocks = arith.constant $KB$ : index
  %column_tiles = arith.constant $NB$ : index
  %rows = tile.dim %a, 0 : !tile.view<?x$K$xf8E4M3FN>
  %row_tiles = arith.ceildivui %rows, %c128 : index
  %tiles = arith.muli %row_tiles, %column_tiles : index
  %group_tiles = arith.muli %column_tiles, %c8 : index
  %first = tile.program_id 0
  %step = tile.num_programs 0
  %zero = arith.constant dense<0.0> : tensor<128x128xf32>
  tile.pipeline [#tile.role<"load", warps = 4, registers = 40>,
                 #tile.role<"math", warps = 8, registers = 232>] {
    %ring = tile.ring : !ring
    %scale_ring = tile.ring : !scale_ring
    scf.for %t = %first to %tiles step %step {
      %group = arith.divui %t, %group_tiles : index
      %group_row = arith.muli %group, %c8 : index
      %left = arith.subi %row_tiles, %group_row : index
      %group_rows = arith.minui %left, %c8 : index
      %in_group = arith.remui %t, %group_tiles : index
      %r = arith.remui %in_group, %group_rows : index
      %row_tile = arith.addi %group_row, %r : index
      %column_tile = arith.divui %in_group, %group_rows : index
      %m = arith.muli %row_tile, %c128 : index
      %n = arith.muli %column_tile, %c128 : index
      %sum = scf.for %kb = %c0 to %blocks step %c4 iter_args(%acc = %zero)
          -> (tensor<128x128xf32>) {
        %k = arith.muli %kb, %c128 : index
        tile.on "load" {
          %t4, %ws = tile.acquire %scale_ring : !scale_ring
          tile.copy %bs[%column_tile, %kb] to %ws
              : !tile.view<$NB$x$KB$xf32> to !bs
          tile.commit %scale_ring, %t4 : !scale_ring
          %s0, %x0, %w0, %xs0 = tile.acquire %ring : !ring
          tile.copy %a[%m, %k] to %x0 : !tile.view<?x$K$xf8E4M3FN> to !a
          tile.copy %b[%n, %k] to %w0 : !tile.view<$N$x$K$xf8E4M3FN> to !b
          tile.copy %as[%kb, %m] dims [1, 0] to %xs0
              : !tile.view<$KB$x$M$xf32> to !as
          tile.commit %ring, %s0 : !ring
          %k1 = arith.addi %k, %c128 : index
          %kb1 = arith.addi %kb, %c1 : index
          %s1, %x1, %w1, %xs1 = tile.acquire %ring : !ring
          tile.copy %a[%m, %k1] to %x1 : !tile.view<?x$K$xf8E4M3FN> to !a
          tile.copy %b[%n, %k1] to %w1 : !tile.view<$N$x$K$xf8E4M3FN> to !b
          tile.copy %as[%kb1, %m] dims [1, 0] to %xs1
              : !tile.view<$KB$x$M$xf32> to !as
          tile.commit %ring, %s1 : !ring
          %k2 = arith.addi %k1, %c128 : index
          %kb2 = arith.addi %kb1, %c1 : index
          %s2, %x2, %w2, %xs2 = tile.acquire %ring : !ring
          tile.copy %a[%m, %k2] to %x2 : !tile.view<?x$K$xf8E4M3FN> to !a
          tile.copy %b[%n, %k2] to %w2 : !tile.view<$N$x$K$xf8E4M3FN> to !b
          tile.copy %as[%kb2, %m] dims [1, 0] to %xs2
              : !tile.view<$KB$x$M$xf32> to !as
          tile.commit %ring, %s2 : !ring
          %k3 = arith.addi %k2, %c128 : index
          %kb3 = arith.addi %kb2, %c1 : index
          %s3, %x3, %w3, %xs3 = tile.acquire %ring : !ring
          tile.copy %a[%m, %k3] to %x3 : !tile.view<?x$K$xf8E4M3FN> to !a
          tile.copy %b[%n, %k3] to %w3 : !tile.view<$N$x$K$xf8E4M3FN> to !b
          tile.copy %as[%kb3, %m] dims [1, 0] to %xs3
              : !tile.view<$KB$x$M$xf32> to !as
          tile.commit %ring, %s3 : !ring
        }
        %next = tile.on "math" -> tensor<128x128xf32> {
          %t4, %bws = tile.receive %scale_ring : !scale_ring
          %ws = tile.read %bws : !bs -> !four
          tile.release %scale_ring, %t4 : !scale_ring
          %s0, %x0, %w0, %bxs0 = tile.receive %ring : !ring
          %xs0 = tile.read %bxs0 : !as -> !scales
          %ws0 = tile.slice %ws[0, 0] : !four -> !one
          %sum0 = tile.dot %x0 scaled %xs0, %w0 transposed scaled %ws0,
              %acc : !a scaled !scales, !b scaled !one -> tensor<128x128xf32>
          tile.release %ring, %s0 : !ring
          %s1, %x1, %w1, %bxs1 = tile.receive %ring : !ring
          %xs1 = tile.read %bxs1 : !as -> !scales
          %ws1 = tile.slice %ws[0, 1] : !four -> !one
          %sum1 = tile.dot %x1 scaled %xs1, %w1 transposed scaled %ws1,
              %sum0 : !a scaled !scales, !b scaled !one -> tensor<128x128xf32>
          tile.release %ring, %s1 : !ring
          %s2, %x2, %w2, %bxs2 = tile.receive %ring : !ring
          %xs2 = tile.read %bxs2 : !as -> !scales
          %ws2 = tile.slice %ws[0, 2] : !four -> !one
          %sum2 = tile.dot %x2 scaled %xs2, %w2 transposed scaled %ws2,
              %sum1 : !a scaled !scales, !b scaled !one -> tensor<128x128xf32>
          tile.release %ring, %s2 : !ring
          %s3, %x3, %w3, %bxs3 = tile.receive %ring : !ring
          %xs3 = tile.read %bxs3 : !as -> !scales
          %ws3 = tile.slice %ws[0, 3] : !four -> !one
          %sum3 = tile.dot %x3 scaled %xs3, %w3 transposed scaled %ws3,
              %sum2 : !a scaled !scales, !b scaled !one -> tensor<128x128xf32>
          tile.release %ring, %s3 : !ring
          tile.yield %sum3 : tensor<128x128xf32>
        }
        scf.yield %next : tensor<128x128xf32>
      }
      tile.on "math" {
        %o = arith.truncf %sum : tensor<128x128xf32> to tensor<128x128xbf16>
        tile.store %o, %c[%m, %n] : tensor<128x128xbf16> -> !tile.view<?x$N$xbf16>
      }
    }
  }
  tile.return
}
