// RUN: varve-opt %s --pass-pipeline="builtin.module(tile.func(tile-check-pipelines))" --split-input-file | FileCheck %s

!stage = !tile.buffer<64x64xbf16>
!ring1 = !tile.ring<1, !stage>
!ring2 = !tile.ring<2, !stage>

// CHECK-LABEL: tile.func @one_stage_is_enough_without_overlap
tile.func @one_stage_is_enough_without_overlap(%x: !tile.view<?x64xbf16>, %n: index)
    grid affine_map<() -> (1)> [] warps 8 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %zero = arith.constant dense<0.0> : tensor<64x64xf32>
  tile.pipeline [#tile.role<"load", warps = 4>, #tile.role<"math", warps = 4>] {
    %ring = tile.ring : !ring1
    // Persistent: tiles of the grid around the steps along K.
    scf.for %t = %c0 to %n step %c1 {
      %sum = scf.for %k = %c0 to %n step %c1 iter_args(%acc = %zero) -> (tensor<64x64xf32>) {
        tile.on "load" {
          %s, %b = tile.acquire %ring : !ring1
          tile.copy %x[%k, %c0] to %b : !tile.view<?x64xbf16> to !stage
          tile.commit %ring, %s : !ring1
        }
        %next = tile.on "math" -> tensor<64x64xf32> {
          %s, %b = tile.receive %ring : !ring1
          %d = tile.dot %b, %b transposed, %acc : !stage, !stage -> tensor<64x64xf32>
          tile.release %ring, %s : !ring1
          tile.yield %d : tensor<64x64xf32>
        }
        scf.yield %next : tensor<64x64xf32>
      }
    }
  }
  tile.return
}

// -----

!stage = !tile.buffer<64x64xbf16>
!ring2 = !tile.ring<2, !stage>

// A product still under way holds its stage until the next one is issued.
// CHECK-LABEL: tile.func @two_stages_are_enough_for_one_product_in_flight
tile.func @two_stages_are_enough_for_one_product_in_flight(%x: !tile.view<?x64xbf16>, %n: index)
    grid affine_map<() -> (1)> [] warps 8 strategy #tile.strategy<in_flight = 1> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %zero = arith.constant dense<0.0> : tensor<64x64xf32>
  tile.pipeline [#tile.role<"load", warps = 4>, #tile.role<"math", warps = 4>] {
    %ring = tile.ring : !ring2
    scf.for %t = %c0 to %n step %c1 {
      %sum = scf.for %k = %c0 to %n step %c1 iter_args(%acc = %zero) -> (tensor<64x64xf32>) {
        tile.on "load" {
          %s, %b = tile.acquire %ring : !ring2
          tile.copy %x[%k, %c0] to %b : !tile.view<?x64xbf16> to !stage
          tile.commit %ring, %s : !ring2
        }
        %next = tile.on "math" -> tensor<64x64xf32> {
          %s, %b = tile.receive %ring : !ring2
          %d = tile.dot %b, %b transposed, %acc : !stage, !stage -> tensor<64x64xf32>
          tile.release %ring, %s : !ring2
          tile.yield %d : tensor<64x64xf32>
        }
        scf.yield %next : tensor<64x64xf32>
      }
    }
  }
  tile.return
}

// -----

!stage = !tile.buffer<64x64xbf16>
!ring3 = !tile.ring<3, !stage>

// The reader holds a stage while it takes the next: slots travel through the
// loop, and the text fills one stage ahead.
// CHECK-LABEL: tile.func @slots_are_carried
tile.func @slots_are_carried(%x: !tile.view<?x64xbf16>, %n: index)
    grid affine_map<() -> (1)> [] warps 8 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  tile.pipeline [#tile.role<"load", warps = 4>, #tile.role<"math", warps = 4>] {
    %ring = tile.ring : !ring3
    tile.on "load" {
      %s, %b = tile.acquire %ring : !ring3
      tile.copy %x[%c0, %c0] to %b : !tile.view<?x64xbf16> to !stage
      tile.commit %ring, %s : !ring3
    }
    %first = tile.on "math" -> !tile.slot {
      %s, %b = tile.receive %ring : !ring3
      tile.yield %s : !tile.slot
    }
    %last = scf.for %k = %c1 to %n step %c1 iter_args(%held = %first) -> (!tile.slot) {
      tile.on "load" {
        %s, %b = tile.acquire %ring : !ring3
        tile.copy %x[%k, %c0] to %b : !tile.view<?x64xbf16> to !stage
        tile.commit %ring, %s : !ring3
      }
      %next = tile.on "math" -> !tile.slot {
        %s, %b = tile.receive %ring : !ring3
        tile.release %ring, %held : !ring3
        tile.yield %s : !tile.slot
      }
      scf.yield %next : !tile.slot
    }
    tile.on "math" {
      tile.release %ring, %last : !ring3
    }
  }
  tile.return
}

// -----

!kv = !tile.buffer<64x512xbf16>
!p = !tile.buffer<64x64xbf16>
!kvs = !tile.ring<2, !kv>
!ps = !tile.ring<1, !p>

// Two readers of one ring, which also exchange tiles with each other in both
// directions.
// CHECK-LABEL: tile.func @two_readers_exchange_tiles
tile.func @two_readers_exchange_tiles(%x: !tile.view<?x512xbf16>, %rows: !tile.view<?xi32>, %n: index)
    grid affine_map<() -> (1)> [] warps 12 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %t = arith.constant dense<0.0> : tensor<64x64xbf16>
  tile.pipeline [#tile.role<"load", warps = 4>, #tile.role<"even", warps = 4>,
                 #tile.role<"odd", warps = 4>] {
    %kv = tile.ring : !kvs
    %forth = tile.ring : !ps
    %back = tile.ring : !ps
    scf.for %k = %c0 to %n step %c1 {
      tile.on "load" {
        %i = tile.load %rows[%k] : !tile.view<?xi32> -> tensor<64xi32>
        %s0, %b0 = tile.acquire %kv : !kvs
        tile.gather_copy %x[%i] at %c0 to %b0 : !tile.view<?x512xbf16>, tensor<64xi32> to !kv
        tile.commit %kv, %s0 : !kvs
        %s1, %b1 = tile.acquire %kv : !kvs
        tile.gather_copy %x[%i] at %c0 to %b1 : !tile.view<?x512xbf16>, tensor<64xi32> to !kv
        tile.commit %kv, %s1 : !kvs
      }
      %e = tile.on "even" -> !tile.slot {
        %s0, %b0 = tile.receive %kv : !kvs
        %w, %wb = tile.acquire %forth : !ps
        tile.write %t, %wb : tensor<64x64xbf16> -> !p
        tile.commit %forth, %w : !ps
        tile.yield %s0 : !tile.slot
      }
      tile.on "odd" {
        %s0, %b0 = tile.receive %kv : !kvs
        %s1, %b1 = tile.receive %kv : !kvs
        %r, %rb = tile.receive %forth : !ps
        tile.release %forth, %r : !ps
        tile.release %kv, %s0 : !kvs
        %w, %wb = tile.acquire %back : !ps
        tile.write %t, %wb : tensor<64x64xbf16> -> !p
        tile.commit %back, %w : !ps
        tile.release %kv, %s1 : !kvs
      }
      tile.on "even" {
        %s1, %b1 = tile.receive %kv : !kvs
        tile.release %kv, %e : !kvs
        %r, %rb = tile.receive %back : !ps
        tile.release %back, %r : !ps
        tile.release %kv, %s1 : !kvs
      }
    }
  }
  tile.return
}

// -----

!stage = !tile.buffer<64xf32>
!ring = !tile.ring<2, !stage>

// CHECK-LABEL: tile.func @branches_agree
tile.func @branches_agree(%x: !tile.view<?xf32>, %n: index, %p: i1)
    grid affine_map<() -> (1)> [] warps 8 {
  %c0 = arith.constant 0 : index
  tile.pipeline [#tile.role<"load", warps = 4>, #tile.role<"math", warps = 4>] {
    %ring = tile.ring : !ring
    scf.if %p {
      tile.on "load" {
        %s, %b = tile.acquire %ring : !ring
        tile.copy %x[%c0] to %b : !tile.view<?xf32> to !stage
        tile.commit %ring, %s : !ring
      }
    } else {
      tile.on "load" {
        %s, %b = tile.acquire %ring : !ring
        %z = arith.constant dense<0.0> : tensor<64xf32>
        tile.write %z, %b : tensor<64xf32> -> !stage
        tile.commit %ring, %s : !ring
      }
    }
    tile.on "math" {
      %s, %b = tile.receive %ring : !ring
      tile.release %ring, %s : !ring
    }
  }
  tile.return
}
