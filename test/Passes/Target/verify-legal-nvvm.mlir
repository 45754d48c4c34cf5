// RUN: varve-opt %s --split-input-file --varve-verify-legal-nvvm=target=sm_80 --verify-diagnostics
// RUN: not varve-opt %s --varve-verify-legal-nvvm=target=sm_81 2>&1 | FileCheck %s --check-prefix=UNKNOWN

// UNKNOWN: unknown target 'sm_81'; did you mean 'sm_80'?

llvm.func @ampere_copies_asynchronously(%s: !llvm.ptr<3>, %g: !llvm.ptr<1>) attributes {nvvm.kernel} {
  nvvm.cp.async.shared.global %s, %g, 16, cache = cg : !llvm.ptr<3>, !llvm.ptr<1>
  nvvm.cp.async.commit.group
  nvvm.cp.async.wait.group 0
  llvm.return
}

// -----

llvm.func @registers_cannot_move() attributes {nvvm.kernel, nvvm.maxntid = array<i32: 384>, nvvm.minctasm = 1 : i32} {
  // expected-error @below {{'nvvm.setmaxregister' op cannot run on sm_80: it needs moving registers between warpgroups (setmaxnreg)}}
  // expected-note @below {{targets that have it: sm_90a, sm_100a, sm_120a, sm_121a}}
  // expected-note @below {{on sm_80 use instead: one register budget for all warps (drop the op)}}
  nvvm.setmaxregister increase 232
  llvm.return
}

// -----

llvm.func @prefetch_is_not_selected(%p: !llvm.ptr<1>) attributes {nvvm.kernel} {
  // expected-error @below {{cannot run on sm_80: it needs prefetch to the second-level cache as an operation}}
  // expected-note @below {{targets that have it}}
  // expected-note @below {{nvvm.inline_ptx with prefetch.global.L2 or .L1}}
  nvvm.prefetch level = L2, %p : !llvm.ptr<1>
  llvm.return
}

// -----

llvm.func @narrow_conversion_is_software(%a: f32, %o: !llvm.ptr) attributes {nvvm.kernel} {
  // expected-error @below {{cannot run on sm_80: it needs conversion to and from e4m3 and e5m2}}
  // expected-note @below {{targets that have it: sm_89, sm_90a, sm_100a, sm_120a, sm_121a}}
  // expected-note @below {{arith.truncf and varve-expand-narrow-floats}}
  %r = nvvm.convert.f32x2.to.f8x2 %a, %a {rnd = #nvvm.fp_rnd_mode<rn>, sat = #nvvm.sat_mode<satfinite>} : i16 (f8E4M3FN)
  llvm.store %r, %o : i16, !llvm.ptr
  llvm.return
}

// -----

func.func @math_is_lowered_first(%x: f32) -> f32 {
  // expected-error @below {{'math.log' op has no instruction on NVIDIA GPUs}}
  // expected-note @below {{write it as a math op and run varve-lower-math-to-nvvm first}}
  %y = math.log %x fastmath<fast> : f32
  return %y : f32
}

// -----

func.func @narrow_floats_are_expanded_first(%x: f8E4M3FN) -> f32 {
  // expected-error @below {{'arith.extf' op on 'f8E4M3FN' has no lowering to LLVM: run varve-expand-narrow-floats first}}
  %y = arith.extf %x : f8E4M3FN to f32
  return %y : f32
}

// -----

llvm.func @newer_ptx_is_needed() attributes {nvvm.kernel} {
  // expected-error @below {{'nvvm.fence.proxy' op needs PTX 7.5 but sm_80 emits PTX 7.4}}
  nvvm.fence.proxy {kind = #nvvm.proxy_kind<alias>}
  llvm.return
}
