// RUN: split-file %s %t
// RUN: not varve-opt %t/layout.mlir --tile-to-nvidia=target=sm_90a 2>&1 | FileCheck %s --check-prefix=LAYOUT
// RUN: not varve-opt %t/layout.mlir --tile-to-nvidia=target=x86-64 2>&1 | FileCheck %s --check-prefix=X86
// RUN: not varve-opt %t/layout.mlir --tile-to-nvidia=target=sm_91 2>&1 | FileCheck %s --check-prefix=UNKNOWN
// RUN: not varve-opt %t/shared.mlir --tile-to-nvidia=target=sm_86 2>&1 | FileCheck %s --check-prefix=SHARED
// RUN: varve-opt %t/shared.mlir --tile-to-nvidia=target=sm_90a | FileCheck %s --check-prefix=FITS
// RUN: not varve-opt %t/op.mlir --tile-to-nvidia=target=sm_90a 2>&1 | FileCheck %s --check-prefix=OP

// LAYOUT: error: 'tile.load' op cannot be lowered for sm_90a: a tile has no layout; run tile-assign-layouts
// X86: error: expected the target to be an NVIDIA GPU but got x86-64
// UNKNOWN: error: unknown target 'sm_91'

//--- layout.mlir
tile.func @f(%x: !tile.view<64xf32>) grid affine_map<() -> (1)> [] warps 1 {
  %c0 = arith.constant 0 : index
  %t = tile.load %x[%c0] : !tile.view<64xf32> -> tensor<64xf32>
  tile.store %t, %x[%c0] : tensor<64xf32> -> !tile.view<64xf32>
  tile.return
}

// SHARED: error: 'tile.func' op cannot be lowered for sm_86: a block has at most 101376 bytes of shared memory but this one needs 131072
// FITS: varve.shared_bytes = 131072 : i64

//--- shared.mlir
tile.func @f(%x: !tile.view<32768xf32>) grid affine_map<() -> (1)> [] warps 1 {
  %c0 = arith.constant 0 : index
  %b = tile.alloc : !tile.buffer<32768xf32>
  tile.return
}

// OP: error: 'scf.execute_region' op cannot be lowered for sm_90a: a tile function holds tile, arith and math ops, scf.for, scf.if and scf.while

//--- op.mlir
tile.func @f() grid affine_map<() -> (1)> [] warps 1 {
  scf.execute_region {
    scf.yield
  }
  tile.return
}
