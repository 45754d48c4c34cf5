// Y = X W^T for a few rows: X [M, K], W [N, K] and Y [M, N] in bf16, sums in f32.
//
// What takes time is reading W: a block has 32 of its rows, so that there are as
// many blocks as rows allow, and copies run seven stages of 8 KiB ahead.
!x = !tile.buffer<16x128xbf16, #tile.shared<swizzle = 128>>
!w = !tile.buffer<32x128xbf16, #tile.shared<swizzle = 128>>
!ring = !tile.ring<8, !x, !w>
!viewx = !tile.view<?x$K$xbf16>
!vieww = !tile.view<$N$x$K$xbf16>
tile.func @gemm_bf16_few(%x: !viewx, %w: !vieww, %y: !tile.view<?x$N$xbf16>)
    grid affine_map<()[s0] -> ($N$ ceildiv 32, s0 ceildiv 16)> [dim(%x, 0)] warps 8
    strategy #tile.strategy<dot = mma_sync> {
  %c0 = arith.constant 0 : index
  %c16 = arith.constant 16 : index
  %c32 = arith.constant 32 : index
  %c128 = arith.constant 128 : index
  %depth = arith.constant $K$ : index
  %i = tile.program_id 0
  %j = tile.program_id 1
  %n = arith.muli %i, %c32 : index
  %m = arith.muli %j, %c16 : index
  %zero = arith.constant dense<0.0> : tensor<16x32xf32>
  tile.pipeline [#tile.role<"load", warps = 4>, #tile.role<"math", warps = 4>] {
    %ring = tile.ring : !ring
    %sum = scf.for %k = %c0 to %depth step %c128 iter_args(%acc = %zero)
        -> (tensor<16x32xf32>) {
      tile.on "load" {
        %s, %bx, %bw = tile.acquire %ring : !ring
        tile.copy %w[%n, %k] to %bw cache streaming : !vieww to !w
        tile.copy %x[%m, %k] to %bx : !viewx to !x
        tile.commit %ring, %s : !ring
      }
      %next = tile.on "math" -> tensor<16x32xf32> {
        %s, %bx, %bw = tile.receive %ring : !ring
        %d = tile.dot %bx, %bw transposed, %acc : !x, !w -> tensor<16x32xf32>
        tile.release %ring, %s : !ring
        tile.yield %d : tensor<16x32xf32>
      }
      scf.yield %next : tensor<16x32xf32>
    }
    tile.on "math" {
      %o = arith.truncf %sum : tensor<16x32xf32> to tensor<16x32xbf16>
      tile.store %o, %y[%m, %n] : tensor<16x32xbf16> -> !tile.view<?x$N$xbf16>
    }
  }
  tile.return
}
