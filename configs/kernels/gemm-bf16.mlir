// C = A B^T: A [M, K], B [N, K], C [M, N], all bf16, sums in f32.
//
// Persistent blocks walk over tiles of 128 x 256, sixteen tiles of rows at a
// time, so that what runs at once shares rows and columns in the L2 cache. One
// group of warps copies, two warpgroups multiply.
!a = !tile.buffer<128x64xbf16, #tile.shared<swizzle = 128>>
!b = !tile.buffer<256x64xbf16, #tile.shared<swizzle = 128>>
!ring = !tile.ring<4, !a, !b>
tile.func @gemm_bf16(%a: !tile.view<?x$K$xbf16>, %b: !tile.view<$N$x$K$xbf16>,
                     %c: !tile.view<?x$N$xbf16>)
    grid affine_map<()[s0] -> (s0)> [resident] warps 12
    strategy #tile.strategy<dot = wgmma, in_flight = 1, staged_store = true> {
  %c0 = arith.constant 0 : index
  %c16 = arith.constant 16 : index
  %c64 = arith.constant 64 : index
  %c128 = arith.constant 128 : index
  %c256 = arith.constant 256 : index
  %columns = arith.constant $N$ : index
  %depth = arith.constant $K$ : index
  %rows = tile.dim %a, 0 : !tile.view<?x$K$xbf16>
  %row_tiles = arith.ceildivui %rows, %c128 : index
  %column_tiles = arith.ceildivui %columns, %c256 : index
  %tiles = arith.muli %row_tiles, %column_tiles : index
  %group_tiles = arith.muli %column_tiles, %c16 : index
  %first = tile.program_id 0
  %step = tile.num_programs 0
  %zero = arith.constant dense<0.0> : tensor<128x256xf32>
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
      %n = arith.muli %column_tile, %c256 : index
      %sum = scf.for %k = %c0 to %depth step %c64 iter_args(%acc = %zero)
          -> (tensor<128x256xf32>) {
        tile.on "load" {
          %s, %x, %w = tile.acquire %ring : !ring
          tile.copy %a[%m, %k] to %x : !tile.view<?x$K$xbf16> to !a
          tile.copy %b[%n, %k] to %w : !tile.view<$N$x$K$xbf16> to !b
          tile.commit %ring, %s : !ring
        }
        %next = tile.on "math" -> tensor<128x256xf32> {
          %s, %x, %w = tile.receive %ring : !ring
          %d = tile.dot %x, %w transposed, %acc : !a, !b -> tensor<128x256xf32>
          tile.release %ring, %s : !ring
          tile.yield %d : tensor<128x256xf32>
        }
        scf.yield %next : tensor<128x256xf32>
      }
      tile.on "math" {
        %o = arith.truncf %sum : tensor<128x256xf32> to tensor<128x256xbf16>
        tile.store %o, %c[%m, %n] : tensor<128x256xbf16> -> !tile.view<?x$N$xbf16>
      }
    }
  }
  tile.return
}
