// RUN: varve-opt %s --pass-pipeline="builtin.module(tile.func(tile-check-pipelines))" --split-input-file --verify-diagnostics

// P1.
!stage = !tile.buffer<64xf32>
!ring = !tile.ring<2, !stage>

tile.func @two_writers(%x: !tile.view<?xf32>, %n: index, %p: i1)
    grid affine_map<() -> (1)> [] warps 8 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  tile.pipeline [#tile.role<"load", warps = 4>, #tile.role<"math", warps = 4>] {
    %ring = tile.ring : !ring
    tile.on "load" {
      %s, %b = tile.acquire %ring : !ring
      tile.copy %x[%c0] to %b : !tile.view<?xf32> to !stage
      tile.commit %ring, %s : !ring
    }
    tile.on "math" {
      // expected-error @below {{'tile.acquire' op in role "math" on a ring that role "load" acquires: a ring has one writer (P1)}}
      %s, %b = tile.acquire %ring : !ring
      tile.commit %ring, %s : !ring
    }
  }
  tile.return
}

// -----

// P1.
!stage = !tile.buffer<64xf32>
!ring = !tile.ring<2, !stage>

tile.func @ring_without_reader(%x: !tile.view<?xf32>, %n: index, %p: i1)
    grid affine_map<() -> (1)> [] warps 8 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  tile.pipeline [#tile.role<"load", warps = 4>, #tile.role<"math", warps = 4>] {
    // expected-error @below {{'tile.ring' op is never received: it has no reader (P1)}}
    %ring = tile.ring : !ring
    tile.on "load" {
      %s, %b = tile.acquire %ring : !ring
      tile.copy %x[%c0] to %b : !tile.view<?xf32> to !stage
      tile.commit %ring, %s : !ring
    }
  }
  tile.return
}

// -----

// P2: all stages are filled before any is read.
!stage = !tile.buffer<64xf32>
!ring = !tile.ring<2, !stage>

tile.func @more_than_the_stages(%x: !tile.view<?xf32>, %n: index, %p: i1)
    grid affine_map<() -> (1)> [] warps 8 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  tile.pipeline [#tile.role<"load", warps = 4>, #tile.role<"math", warps = 4>] {
    // expected-note @below {{of the ring's stages, 2 filled and not received by math}}
    %ring = tile.ring : !ring
    tile.on "load" {
      %s, %b = tile.acquire %ring : !ring
      tile.copy %x[%c0] to %b : !tile.view<?xf32> to !stage
      tile.commit %ring, %s : !ring
    }
    tile.on "load" {
      %s, %b = tile.acquire %ring : !ring
      tile.copy %x[%c0] to %b : !tile.view<?xf32> to !stage
      tile.commit %ring, %s : !ring
    }
    tile.on "load" {
      // expected-error @below {{'tile.acquire' op would wait forever: the next of the ring's 2 stages is filled and not received by math (P2)}}
      %s, %b = tile.acquire %ring : !ring
      tile.commit %ring, %s : !ring
    }
    tile.on "math" {
      %s, %b = tile.receive %ring : !ring
      tile.release %ring, %s : !ring
    }
    tile.on "math" {
      %s, %b = tile.receive %ring : !ring
      tile.release %ring, %s : !ring
    }
    tile.on "math" {
      %s, %b = tile.receive %ring : !ring
      tile.release %ring, %s : !ring
    }
  }
  tile.return
}

// -----

// P2: the stage is read in the text before it is filled.
!stage = !tile.buffer<64xf32>
!ring = !tile.ring<2, !stage>

tile.func @receive_before_commit(%x: !tile.view<?xf32>, %n: index, %p: i1)
    grid affine_map<() -> (1)> [] warps 8 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  tile.pipeline [#tile.role<"load", warps = 4>, #tile.role<"math", warps = 4>] {
    // expected-note @below {{of the ring's stages, 2 empty}}
    %ring = tile.ring : !ring
    tile.on "math" {
      // expected-error @below {{'tile.receive' op would wait forever: the next stage for role "math" is empty (P2)}}
      %s, %b = tile.receive %ring : !ring
      tile.release %ring, %s : !ring
    }
    tile.on "load" {
      %s, %b = tile.acquire %ring : !ring
      tile.copy %x[%c0] to %b : !tile.view<?xf32> to !stage
      tile.commit %ring, %s : !ring
    }
  }
  tile.return
}

// -----

// P2: the reader keeps its stage until it has the next, and there is one stage.
!stage = !tile.buffer<64xf32>
!ring = !tile.ring<1, !stage>

tile.func @one_stage_held(%x: !tile.view<?xf32>, %n: index, %p: i1)
    grid affine_map<() -> (1)> [] warps 8 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  tile.pipeline [#tile.role<"load", warps = 4>, #tile.role<"math", warps = 4>] {
    // expected-note @below {{of the ring's stages, 1 held by math}}
    %ring = tile.ring : !ring
    tile.on "load" {
      %s, %b = tile.acquire %ring : !ring
      tile.copy %x[%c0] to %b : !tile.view<?xf32> to !stage
      tile.commit %ring, %s : !ring
    }
    %h = tile.on "math" -> !tile.slot {
      %s, %b = tile.receive %ring : !ring
      tile.yield %s : !tile.slot
    }
    %l = scf.for %i = %c0 to %n step %c1 iter_args(%held = %h) -> (!tile.slot) {
      tile.on "load" {
        // expected-error @below {{'tile.acquire' op would wait forever: the next of the ring's 1 stages is held by math (P2)}}
        %s, %b = tile.acquire %ring : !ring
        tile.commit %ring, %s : !ring
      }
      %next = tile.on "math" -> !tile.slot {
        %s, %b = tile.receive %ring : !ring
        tile.release %ring, %held : !ring
        tile.yield %s : !tile.slot
      }
      scf.yield %next : !tile.slot
    }
    tile.on "math" {
      tile.release %ring, %l : !ring
    }
  }
  tile.return
}

// -----

// P2: with a product in flight the only stage comes back too late.
!stage = !tile.buffer<64x64xbf16>
!ring = !tile.ring<1, !stage>

tile.func @one_stage_with_a_product_in_flight(%x: !tile.view<?x64xbf16>, %n: index)
    grid affine_map<() -> (1)> [] warps 8 strategy #tile.strategy<in_flight = 1> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %zero = arith.constant dense<0.0> : tensor<64x64xf32>
  tile.pipeline [#tile.role<"load", warps = 4>, #tile.role<"math", warps = 4>] {
    // expected-note @below {{of the ring's stages, 1 held by math}}
    %ring = tile.ring : !ring
    %sum = scf.for %k = %c0 to %n step %c1 iter_args(%acc = %zero) -> (tensor<64x64xf32>) {
      tile.on "load" {
        // expected-error @below {{'tile.acquire' op would wait forever: the next of the ring's 1 stages is held by math (P2)}}
        %s, %b = tile.acquire %ring : !ring
        tile.copy %x[%k, %c0] to %b : !tile.view<?x64xbf16> to !stage
        tile.commit %ring, %s : !ring
      }
      %next = tile.on "math" -> tensor<64x64xf32> {
        %s, %b = tile.receive %ring : !ring
        %d = tile.dot %b, %b transposed, %acc : !stage, !stage -> tensor<64x64xf32>
        tile.release %ring, %s : !ring
        tile.yield %d : tensor<64x64xf32>
      }
      scf.yield %next : tensor<64x64xf32>
    }
  }
  tile.return
}

// -----

// P3.
!stage = !tile.buffer<64xf32>
!ring = !tile.ring<2, !stage>

tile.func @committed_twice(%x: !tile.view<?xf32>, %n: index, %p: i1)
    grid affine_map<() -> (1)> [] warps 8 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  tile.pipeline [#tile.role<"load", warps = 4>, #tile.role<"math", warps = 4>] {
    %ring = tile.ring : !ring
    tile.on "load" {
      %s, %b = tile.acquire %ring : !ring
      tile.commit %ring, %s : !ring
      // expected-error @below {{'tile.commit' op on a slot that was given back before; a loop that gives back a slot has to carry it (P3)}}
      tile.commit %ring, %s : !ring
    }
    tile.on "math" {
      %s, %b = tile.receive %ring : !ring
      tile.release %ring, %s : !ring
    }
  }
  tile.return
}

// -----

// P3.
!stage = !tile.buffer<64xf32>
!ring = !tile.ring<2, !stage>

tile.func @released_what_was_acquired(%x: !tile.view<?xf32>, %n: index, %p: i1)
    grid affine_map<() -> (1)> [] warps 8 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  tile.pipeline [#tile.role<"load", warps = 4>, #tile.role<"math", warps = 4>] {
    %ring = tile.ring : !ring
    tile.on "load" {
      %s, %b = tile.acquire %ring : !ring
      // expected-error @below {{'tile.release' op expected a slot of tile.receive but got one of tile.acquire (P3)}}
      tile.release %ring, %s : !ring
    }
    tile.on "math" {
      %s, %b = tile.receive %ring : !ring
      tile.release %ring, %s : !ring
    }
  }
  tile.return
}

// -----

// P3.
!stage = !tile.buffer<64xf32>
!ring = !tile.ring<2, !stage>

tile.func @slot_of_another_ring(%x: !tile.view<?xf32>, %n: index, %p: i1)
    grid affine_map<() -> (1)> [] warps 8 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  tile.pipeline [#tile.role<"load", warps = 4>, #tile.role<"math", warps = 4>] {
    %ring = tile.ring : !ring
    %other = tile.ring : !ring
    tile.on "load" {
      %s, %b = tile.acquire %ring : !ring
      tile.copy %x[%c0] to %b : !tile.view<?xf32> to !stage
      tile.commit %ring, %s : !ring
    }
    tile.on "load" {
      %s, %b = tile.acquire %other : !ring
      tile.copy %x[%c0] to %b : !tile.view<?xf32> to !stage
      tile.commit %other, %s : !ring
    }
    tile.on "math" {
      %s, %b = tile.receive %ring : !ring
      // expected-error @below {{'tile.release' op on another ring than the one the slot is of (P3)}}
      tile.release %other, %s : !ring
    }
    tile.on "math" {
      %s, %b = tile.receive %other : !ring
      tile.release %other, %s : !ring
    }
  }
  tile.return
}

// -----

// P3.
!stage = !tile.buffer<64xf32>
!ring = !tile.ring<2, !stage>

tile.func @read_after_release(%x: !tile.view<?xf32>, %n: index, %p: i1)
    grid affine_map<() -> (1)> [] warps 8 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  tile.pipeline [#tile.role<"load", warps = 4>, #tile.role<"math", warps = 4>] {
    %ring = tile.ring : !ring
    tile.on "load" {
      %s, %b = tile.acquire %ring : !ring
      tile.copy %x[%c0] to %b : !tile.view<?xf32> to !stage
      tile.commit %ring, %s : !ring
    }
    tile.on "math" {
      %s, %b = tile.receive %ring : !ring
      tile.release %ring, %s : !ring
      // expected-error @below {{'tile.read' op uses a buffer of a stage that was released before (P3)}}
      %t = tile.read %b : !stage -> tensor<64xf32>
    }
  }
  tile.return
}

// -----

// P3.
!stage = !tile.buffer<64xf32>
!ring = !tile.ring<2, !stage>

tile.func @part_read_after_release(%x: !tile.view<?xf32>, %n: index, %p: i1)
    grid affine_map<() -> (1)> [] warps 8 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  tile.pipeline [#tile.role<"load", warps = 4>, #tile.role<"math", warps = 4>] {
    %ring = tile.ring : !ring
    tile.on "load" {
      %s, %b = tile.acquire %ring : !ring
      tile.copy %x[%c0] to %b : !tile.view<?xf32> to !stage
      tile.commit %ring, %s : !ring
    }
    tile.on "math" {
      %s, %b = tile.receive %ring : !ring
      %h = tile.subbuffer %b[32] : !stage -> !tile.buffer<32xf32>
      tile.release %ring, %s : !ring
      // expected-error @below {{'tile.read' op uses a buffer of a stage that was released before (P3)}}
      %t = tile.read %h : !tile.buffer<32xf32> -> tensor<32xf32>
    }
  }
  tile.return
}

// -----

// P3.
!stage = !tile.buffer<64xf32>
!ring = !tile.ring<2, !stage>

tile.func @reader_that_writes(%x: !tile.view<?xf32>, %n: index, %p: i1)
    grid affine_map<() -> (1)> [] warps 8 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  tile.pipeline [#tile.role<"load", warps = 4>, #tile.role<"math", warps = 4>] {
    %ring = tile.ring : !ring
    tile.on "load" {
      %s, %b = tile.acquire %ring : !ring
      tile.copy %x[%c0] to %b : !tile.view<?xf32> to !stage
      tile.commit %ring, %s : !ring
    }
    tile.on "math" {
      %s, %b = tile.receive %ring : !ring
      %z = arith.constant dense<0.0> : tensor<64xf32>
      // expected-error @below {{'tile.write' op writes a buffer of a received stage: other readers may be reading it (P3)}}
      tile.write %z, %b : tensor<64xf32> -> !stage
      tile.release %ring, %s : !ring
    }
  }
  tile.return
}

// -----

// P4.
!stage = !tile.buffer<64xf32>
!ring = !tile.ring<3, !stage>

tile.func @loop_that_fills_more_than_it_drains(%x: !tile.view<?xf32>, %n: index, %p: i1)
    grid affine_map<() -> (1)> [] warps 8 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  tile.pipeline [#tile.role<"load", warps = 4>, #tile.role<"math", warps = 4>] {
    // expected-note @below {{of its stages, an iteration finds 3 empty and leaves 2 empty, 1 filled and not received by math}}
    %ring = tile.ring : !ring
    // expected-error @below {{'scf.for' op changes the state of a ring from iteration to iteration (P4)}}
    scf.for %i = %c0 to %n step %c1 {
      tile.on "load" {
        %s, %b = tile.acquire %ring : !ring
        tile.copy %x[%c0] to %b : !tile.view<?xf32> to !stage
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

// -----

// P4.
!stage = !tile.buffer<64xf32>
!ring = !tile.ring<3, !stage>

tile.func @loop_that_gives_back_what_it_does_not_carry(%x: !tile.view<?xf32>, %n: index, %p: i1)
    grid affine_map<() -> (1)> [] warps 8 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  tile.pipeline [#tile.role<"load", warps = 4>, #tile.role<"math", warps = 4>] {
    %ring = tile.ring : !ring
    tile.on "load" {
      %s, %b = tile.acquire %ring : !ring
      tile.copy %x[%c0] to %b : !tile.view<?xf32> to !stage
      tile.commit %ring, %s : !ring
    }
    %h = tile.on "math" -> !tile.slot {
      %s, %b = tile.receive %ring : !ring
      tile.yield %s : !tile.slot
    }
    // expected-error @below {{'scf.for' op gives back, in an iteration, a slot that it does not carry (P4)}}
    %l = scf.for %i = %c0 to %n step %c1 iter_args(%unused = %c0) -> (index) {
      tile.on "load" {
        %s, %b = tile.acquire %ring : !ring
        tile.copy %x[%c0] to %b : !tile.view<?xf32> to !stage
        tile.commit %ring, %s : !ring
      }
      tile.on "math" {
        %s, %b = tile.receive %ring : !ring
        tile.release %ring, %h : !ring
      }
      scf.yield %unused : index
    }
  }
  tile.return
}

// -----

// P4.
!stage = !tile.buffer<64xf32>
!ring = !tile.ring<2, !stage>

tile.func @branches_that_disagree(%x: !tile.view<?xf32>, %n: index, %p: i1)
    grid affine_map<() -> (1)> [] warps 8 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  tile.pipeline [#tile.role<"load", warps = 4>, #tile.role<"math", warps = 4>] {
    // expected-note @below {{of its stages, the first branch leaves 1 empty, 1 filled and not received by math and the other 2 empty}}
    %ring = tile.ring : !ring
    // expected-error @below {{'scf.if' op leaves a ring in different states in its two branches (P4)}}
    scf.if %p {
      tile.on "load" {
        %s, %b = tile.acquire %ring : !ring
        tile.copy %x[%c0] to %b : !tile.view<?xf32> to !stage
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

// -----

// P5.
!stage = !tile.buffer<64xf32>
!ring = !tile.ring<2, !stage>

tile.func @stage_left_over(%x: !tile.view<?xf32>, %n: index, %p: i1)
    grid affine_map<() -> (1)> [] warps 8 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  tile.pipeline [#tile.role<"load", warps = 4>, #tile.role<"math", warps = 4>] {
    // expected-error @below {{'tile.ring' op is not empty at the end of the pipeline: of its stages, 1 empty, 1 filled and not received by math (P5)}}
    %ring = tile.ring : !ring
    tile.on "load" {
      %s, %b = tile.acquire %ring : !ring
      tile.copy %x[%c0] to %b : !tile.view<?xf32> to !stage
      tile.commit %ring, %s : !ring
    }
    tile.on "math" {
      %s, %b = tile.receive %ring : !ring
      tile.release %ring, %s : !ring
    }
    tile.on "load" {
      %s, %b = tile.acquire %ring : !ring
      tile.copy %x[%c0] to %b : !tile.view<?xf32> to !stage
      tile.commit %ring, %s : !ring
    }
  }
  tile.return
}

// -----

// P6.
!stage = !tile.buffer<64xf32>
!ring = !tile.ring<2, !stage>

tile.func @tile_of_another_role(%x: !tile.view<?xf32>, %n: index, %p: i1)
    grid affine_map<() -> (1)> [] warps 8 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  tile.pipeline [#tile.role<"load", warps = 4>, #tile.role<"math", warps = 4>] {
    // expected-note @below {{the value is made here}}
    %t = tile.on "load" -> tensor<64xf32> {
      %l = tile.load %x[%c0] : !tile.view<?xf32> -> tensor<64xf32>
      tile.yield %l : tensor<64xf32>
    }
    tile.on "math" {
      // expected-error @below {{'arith.addf' op in role "math" uses a value of role "load": roles exchange values through rings (P6)}}
      %u = arith.addf %t, %t : tensor<64xf32>
    }
  }
  tile.return
}

// -----

// P6: through a loop.
!stage = !tile.buffer<64xf32>
!ring = !tile.ring<2, !stage>

tile.func @carried_tile_of_another_role(%x: !tile.view<?xf32>, %n: index, %p: i1)
    grid affine_map<() -> (1)> [] warps 8 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %zero = arith.constant dense<0.0> : tensor<64xf32>
  tile.pipeline [#tile.role<"load", warps = 4>, #tile.role<"math", warps = 4>] {
    %z = scf.for %i = %c0 to %n step %c1 iter_args(%a = %zero) -> (tensor<64xf32>) {
      // expected-note @below {{the value is made here}}
      %t = tile.on "load" -> tensor<64xf32> {
        %l = arith.addf %a, %a : tensor<64xf32>
        tile.yield %l : tensor<64xf32>
      }
      scf.yield %t : tensor<64xf32>
    }
    tile.on "math" {
      // expected-error @below {{'arith.addf' op in role "math" uses a value of role "load": roles exchange values through rings (P6)}}
      %u = arith.addf %z, %z : tensor<64xf32>
    }
  }
  tile.return
}

// -----

// P6.
!stage = !tile.buffer<64xf32>
!ring = !tile.ring<2, !stage>

tile.func @tile_from_before_the_pipeline(%x: !tile.view<?xf32>, %n: index, %p: i1)
    grid affine_map<() -> (1)> [] warps 8 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  // expected-note @below {{the value is made here}}
  %t = tile.load %x[%c0] : !tile.view<?xf32> -> tensor<64xf32>
  tile.pipeline [#tile.role<"load", warps = 4>, #tile.role<"math", warps = 4>] {
    tile.on "math" {
      // expected-error @below {{'arith.addf' op uses a value that all warps computed before the pipeline: a role can recompute constants, splats and the like, and nothing else (P6)}}
      %u = arith.addf %t, %t : tensor<64xf32>
    }
  }
  tile.return
}

// -----

// P7.
!stage = !tile.buffer<64xf32>
!ring = !tile.ring<2, !stage>

tile.func @buffer_of_two_roles(%x: !tile.view<?xf32>, %n: index, %p: i1)
    grid affine_map<() -> (1)> [] warps 8 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %b = tile.alloc : !stage
  tile.pipeline [#tile.role<"load", warps = 4>, #tile.role<"math", warps = 4>] {
    tile.on "load" {
      // expected-note @below {{the other access is here}}
      %t = tile.copy %x[%c0] to %b : !tile.view<?xf32> to !stage
    }
    tile.on "math" {
      // expected-error @below {{'tile.read' op in role "math" and role "load" access the same buffer, and one of them writes: roles exchange data through rings (P7)}}
      %u = tile.read %b : !stage -> tensor<64xf32>
    }
  }
  tile.return
}

// -----

// P7.
!stage = !tile.buffer<64xf32>
!ring = !tile.ring<2, !stage>

tile.func @view_of_two_roles(%x: !tile.view<?xf32>, %n: index, %p: i1)
    grid affine_map<() -> (1)> [] warps 8 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  tile.pipeline [#tile.role<"load", warps = 4>, #tile.role<"math", warps = 4>] {
    tile.on "load" {
      // expected-note @below {{the other access is here}}
      %u = tile.load %x[%c0] : !tile.view<?xf32> -> tensor<64xf32>
    }
    tile.on "math" {
      %s = tile.subview %x[%c0] sizes [%n] : !tile.view<?xf32> -> !tile.view<?xf32>
      %z = arith.constant dense<0.0> : tensor<64xf32>
      // expected-error @below {{'tile.store' op in role "math" and role "load" access the same view, and one of them writes: roles exchange data through rings (P7)}}
      tile.store %z, %s[%c0] : tensor<64xf32> -> !tile.view<?xf32>
    }
  }
  tile.return
}
