// Y = X W^T for a few rows: X [M, K] and W [N, K] in f8E4M3FN, one f32 scale per
// row and 128 columns of X and per 128 x 128 block of W; Y [M, N] in bf16.
//
// What takes time is reading W: a block has 32 of its rows, so that there are as
// many blocks as rows allow, and copies run six stages of 8 KiB ahead. Scales
// travel with the codes: loads of their own would be waited for.
!x = !tile.buffer<16x256xf8E4M3FN, #tile.shared<swizzle = 128>>
!w = !tile.buffer<32x256xf8E4M3FN, #tile.shared<swizzle = 128>>
!xs = !tile.buffer<16x2xf32>
!ws = !tile.buffer<1x2xf32>
!ring = !tile.ring<7, !x, !w, !xs, !ws>
!viewx = !tile.view<?x$K$xf8E4M3FN>
!vieww = !tile.view<$N$x$K$xf8E4M3FN>
!viewxs = !tile.view<?x$KB$xf32>
!viewws = !tile.view<$NB$x$KB$xf32>
tile.func @gemm_fp8_few(%x: !viewx, %xs: !viewxs, %w: !vieww, %ws: !viewws,
                        %y: !tile.view<?x$N$xbf16>)
    grid affine_map<()[s0] -> ($N$ ceildiv 32, s0 ceildiv 16)> [dim(%x, 0)] warps 8
    strategy #tile.strategy<dot = mma_sync> {
  %c0 = arith.constant 0 : index
  %c16 = arith.constant 16 : index
  %c32 = arith.constant 32 : index
  %c128 = arith.constant 128 : index
  %c256 = arith.constant 256 : index
  %depth = arith.constant $K$ : index
  %i = tile.program_id 0
  %j = tile.program_id 1
  %n = arith.muli %i, %c32 : index
  %m = arith.muli %j, %c16 : index
  %nb = arith.divui %n, %c128 : index
  %zero = arith.constant dense<0.0> : tensor<16x32xf32>
  tile.pipeline [#tile.role<"load", warps = 4>, #tile.role<"math", warps = 4>] {
    %ring = tile.ring : !ring
    %sum = scf.for %k = %c0 to %depth step %c256 iter_args(%acc = %zero)
        -> (tensor<16x32xf32>) {
      %kb = arith.divui %k, %c128 : index
      tile.on "load" {
        %s, %bx, %bw, %bxs, %bws = tile.acquire %ring : !ring
        tile.copy %w[%n, %k] to %bw cache streaming : !vieww to !w
        tile.copy %x[%m, %k] to %bx : !viewx to !x
        tile.copy %xs[%m, %kb] to %bxs : !viewxs to !xs
        tile.copy %ws[%nb, %kb] to %bws : !viewws to !ws
        tile.commit %ring, %s : !ring
      }
      %next = tile.on "math" -> tensor<16x32xf32> {
        %s, %bx, %bw, %bxs, %bws = tile.receive %ring : !ring
        %txs = tile.read %bxs : !xs -> tensor<16x2xf32>
        %tws = tile.read %bws : !ws -> tensor<1x2xf32>
        %d = tile.dot %bx scaled %txs, %bw transposed scaled %tws, %acc
            : !x scaled tensor<16x2xf32>, !w scaled tensor<1x2xf32>
            -> tensor<16x32xf32>
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
