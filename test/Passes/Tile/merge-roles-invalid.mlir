// RUN: varve-opt %s --pass-pipeline="builtin.module(tile.func(tile-merge-roles))" --split-input-file --verify-diagnostics

!stage = !tile.buffer<64x64xbf16>
!ring2 = !tile.ring<2, !stage>

tile.func @readers_in_different_branches(%x: !tile.view<?x64xbf16>, %n: index, %p: i1)
    grid affine_map<() -> (1)> [] warps 9 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  tile.pipeline [#tile.role<"load", warps = 1>, #tile.role<"left", warps = 4>,
                 #tile.role<"right", warps = 4>] {
    // expected-error @below {{'tile.ring' op cannot be merged: roles "left" and "right" read it in different control flow; let both receive and release in the same block}}
    %ring = tile.ring : !ring2
    scf.for %k = %c0 to %n step %c1 {
      tile.on "load" {
        %s, %b = tile.acquire %ring : !ring2
        tile.copy %x[%k, %c0] to %b : !tile.view<?x64xbf16> to !stage
        tile.commit %ring, %s : !ring2
      }
      tile.on "left" {
        %s, %b = tile.receive %ring : !ring2
        tile.release %ring, %s : !ring2
      }
      scf.if %p {
        tile.on "right" {
          %s, %b = tile.receive %ring : !ring2
          tile.release %ring, %s : !ring2
        }
      } else {
        tile.on "right" {
          %s, %b = tile.receive %ring : !ring2
          tile.release %ring, %s : !ring2
        }
      }
    }
  }
  tile.return
}
