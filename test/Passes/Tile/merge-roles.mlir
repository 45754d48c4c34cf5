// RUN: varve-opt %s --pass-pipeline="builtin.module(tile.func(tile-merge-roles,tile-check-pipelines))" --split-input-file | FileCheck %s

!stage = !tile.buffer<64x64xbf16>
!ring3 = !tile.ring<3, !stage>

// Three stages: copies run two iterations ahead; what they need is computed for
// that iteration. The block gets the warps of the computing role.
// CHECK-LABEL: tile.func @copies_run_ahead_as_far_as_there_are_stages
// CHECK-SAME:    warps 8 strategy #tile.strategy<dot = mma_sync>
// CHECK:         tile.pipeline [#tile.role<"all", warps = 8>]
// CHECK-NEXT:    %[[RING:.+]] = tile.ring
// CHECK-NEXT:    tile.on "all" {
// CHECK:           tile.acquire %[[RING]] {tile.vacant}
// CHECK-NEXT:      scf.if
// CHECK-NEXT:        tile.copy
// CHECK:           tile.commit
// CHECK:           tile.acquire %[[RING]] {tile.vacant}
// CHECK:           tile.commit
// CHECK-NOT:       tile.acquire
// CHECK:           scf.for %[[K:.+]] = %{{.+}} to %[[N:.+]] step %{{.+}} iter_args(%[[ACC:.+]] = %{{.+}})
// CHECK-NEXT:        %[[SLOT:.+]], %[[B:.+]] = tile.receive %[[RING]] {tile.pending_stages = 1 : i64}
// CHECK-NEXT:        %[[LATER:.+]] = arith.addi %[[K]], %{{.+}}
// CHECK-NEXT:        %[[MORE:.+]] = arith.cmpi slt, %[[LATER]], %[[N]]
// CHECK-NEXT:        %[[ROW:.+]] = arith.muli %[[LATER]], %{{.+}}
// CHECK-NEXT:        %[[NEXT:.+]], %[[BUFFER:.+]] = tile.acquire %[[RING]] {tile.vacant}
// CHECK-NEXT:        scf.if %[[MORE]] {
// CHECK-NEXT:          tile.copy %{{.+}}[%[[ROW]], %{{.+}}] to %[[BUFFER]]
// CHECK-NEXT:        }
// CHECK-NEXT:        tile.commit %[[RING]], %[[NEXT]]
// CHECK-NEXT:        tile.dot %[[B]], %[[B]] transposed, %[[ACC]]
// CHECK-NEXT:        tile.release %[[RING]], %[[SLOT]]
// CHECK:           tile.receive %[[RING]] {tile.landed}
// CHECK-NEXT:      tile.release
// CHECK:           tile.receive %[[RING]] {tile.landed}
// CHECK-NEXT:      tile.release
// CHECK-NOT:       tile.receive
tile.func @copies_run_ahead_as_far_as_there_are_stages(%x: !tile.view<?x64xbf16>, %n: index)
    grid affine_map<() -> (1)> [] warps 12
    strategy #tile.strategy<dot = mma_sync, in_flight = 1> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c64 = arith.constant 64 : index
  %zero = arith.constant dense<0.0> : tensor<64x64xf32>
  tile.pipeline [#tile.role<"load", warps = 4>, #tile.role<"math", warps = 8>] {
    %ring = tile.ring : !ring3
    %sum = scf.for %k = %c0 to %n step %c1 iter_args(%acc = %zero) -> (tensor<64x64xf32>) {
      %row = arith.muli %k, %c64 : index
      tile.on "load" {
        %s, %b = tile.acquire %ring : !ring3
        tile.copy %x[%row, %c0] to %b : !tile.view<?x64xbf16> to !stage
        tile.commit %ring, %s : !ring3
      }
      %next = tile.on "math" -> tensor<64x64xf32> {
        %s, %b = tile.receive %ring : !ring3
        %d = tile.dot %b, %b transposed, %acc : !stage, !stage -> tensor<64x64xf32>
        tile.release %ring, %s : !ring3
        tile.yield %d : tensor<64x64xf32>
      }
      scf.yield %next : tensor<64x64xf32>
    }
  }
  tile.return
}

// -----

!stage = !tile.buffer<64x64xbf16>
!ring1 = !tile.ring<1, !stage>

// CHECK-LABEL: tile.func @one_stage_leaves_the_text_in_order
// CHECK:         scf.for
// CHECK-NEXT:      tile.acquire %{{.+}} : !tile.ring
// CHECK-NEXT:      tile.copy
// CHECK-NEXT:      tile.commit
// CHECK-NEXT:      tile.receive %{{.+}} : !tile.ring
// CHECK-NEXT:      tile.release
// CHECK-NEXT:    }
tile.func @one_stage_leaves_the_text_in_order(%x: !tile.view<?x64xbf16>, %n: index)
    grid affine_map<() -> (1)> [] warps 8 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  tile.pipeline [#tile.role<"load", warps = 4>, #tile.role<"math", warps = 4>] {
    %ring = tile.ring : !ring1
    scf.for %k = %c0 to %n step %c1 {
      tile.on "load" {
        %s, %b = tile.acquire %ring : !ring1
        tile.copy %x[%k, %c0] to %b : !tile.view<?x64xbf16> to !stage
        tile.commit %ring, %s : !ring1
      }
      tile.on "math" {
        %s, %b = tile.receive %ring : !ring1
        tile.release %ring, %s : !ring1
      }
    }
  }
  tile.return
}

// -----

!stage = !tile.buffer<64x64xbf16>
!ring4 = !tile.ring<4, !stage>

// The text itself fills a stage ahead: 3 are left, so copies run two iterations
// earlier than there. Carried values of the copying role are carried ahead.
// CHECK-LABEL: tile.func @filled_stages_and_carried_rows
// CHECK:         %[[LOOP:.+]]:2 = scf.for
// CHECK-SAME:      iter_args(%[[SUM:.+]] = %{{.+}}, %[[ROWS:.+]] = %{{.+}})
// CHECK-NEXT:      tile.receive %{{.+}} {tile.pending_stages = 1 : i64}
// CHECK:           %[[NEXT:.+]] = arith.addi %[[ROWS]], %{{.+}} : tensor<64xi32>
// CHECK:           scf.if
// CHECK-NEXT:        tile.gather_copy %{{.+}}[%[[ROWS]]]
// CHECK:           scf.yield %{{.+}}, %[[NEXT]]
tile.func @filled_stages_and_carried_rows(%x: !tile.view<?x64xbf16>, %y: !tile.view<64x64xf32>, %n: index)
    grid affine_map<() -> (1)> [] warps 8 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %one = arith.constant dense<1> : tensor<64xi32>
  %zero = arith.constant dense<0.0> : tensor<64x64xf32>
  tile.pipeline [#tile.role<"load", warps = 4>, #tile.role<"math", warps = 4>] {
    %ring = tile.ring : !ring4
    %first = tile.on "load" -> tensor<64xi32> {
      %s, %b = tile.acquire %ring : !ring4
      tile.copy %x[%c0, %c0] to %b : !tile.view<?x64xbf16> to !stage
      tile.commit %ring, %s : !ring4
      %rows = tile.iota 0 : tensor<64xi32>
      tile.yield %rows : tensor<64xi32>
    }
    %sum:2 = scf.for %k = %c0 to %n step %c1 iter_args(%acc = %zero, %rows = %first)
        -> (tensor<64x64xf32>, tensor<64xi32>) {
      %later = tile.on "load" -> tensor<64xi32> {
        %s, %b = tile.acquire %ring : !ring4
        %next = arith.addi %rows, %one : tensor<64xi32>
        tile.gather_copy %x[%rows] at %c0 to %b : !tile.view<?x64xbf16>, tensor<64xi32> to !stage
        tile.commit %ring, %s : !ring4
        tile.yield %next : tensor<64xi32>
      }
      %total = tile.on "math" -> tensor<64x64xf32> {
        %s, %b = tile.receive %ring : !ring4
        %d = tile.dot %b, %b transposed, %acc : !stage, !stage -> tensor<64x64xf32>
        tile.release %ring, %s : !ring4
        tile.yield %d : tensor<64x64xf32>
      }
      scf.yield %total, %later : tensor<64x64xf32>, tensor<64xi32>
    }
    tile.on "math" {
      %s, %b = tile.receive %ring : !ring4
      %d = tile.dot %b, %b transposed, %sum#0 : !stage, !stage -> tensor<64x64xf32>
      tile.release %ring, %s : !ring4
      tile.store %d, %y[%c0, %c0] : tensor<64x64xf32> -> !tile.view<64x64xf32>
    }
  }
  tile.return
}

// -----

!stage = !tile.buffer<64x64xbf16>
!ring2 = !tile.ring<2, !stage>

// CHECK-LABEL: tile.func @two_readers_become_one
// CHECK:         scf.for
// CHECK-NEXT:      %[[SLOT:.+]], %[[B:.+]] = tile.receive
// CHECK-NOT:       tile.receive
// CHECK:           tile.read %[[B]]
// CHECK:           tile.read %[[B]]
// CHECK:           tile.release %{{.+}}, %[[SLOT]]
// CHECK-NEXT:      tile.store
// CHECK-NEXT:    }
tile.func @two_readers_become_one(%x: !tile.view<?x64xbf16>, %y: !tile.view<64x64xbf16>,
                                  %z: !tile.view<64x64xbf16>, %n: index)
    grid affine_map<() -> (1)> [] warps 9 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  tile.pipeline [#tile.role<"load", warps = 1>, #tile.role<"left", warps = 4>,
                 #tile.role<"right", warps = 4>] {
    %ring = tile.ring : !ring2
    scf.for %k = %c0 to %n step %c1 {
      tile.on "load" {
        %s, %b = tile.acquire %ring : !ring2
        tile.copy %x[%k, %c0] to %b : !tile.view<?x64xbf16> to !stage
        tile.commit %ring, %s : !ring2
      }
      tile.on "left" {
        %s, %b = tile.receive %ring : !ring2
        %t = tile.read %b : !stage -> tensor<64x64xbf16>
        tile.release %ring, %s : !ring2
        tile.store %t, %y[%c0, %c0] : tensor<64x64xbf16> -> !tile.view<64x64xbf16>
      }
      tile.on "right" {
        %s, %b = tile.receive %ring : !ring2
        %t = tile.read %b : !stage -> tensor<64x64xbf16>
        tile.release %ring, %s : !ring2
        tile.store %t, %z[%c0, %c0] : tensor<64x64xbf16> -> !tile.view<64x64xbf16>
      }
    }
  }
  tile.return
}
