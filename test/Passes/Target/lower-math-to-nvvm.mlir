// RUN: varve-opt %s --varve-lower-math-to-nvvm --split-input-file --verify-diagnostics | FileCheck %s

// CHECK-LABEL: @approximates_exp_when_allowed
// CHECK: %[[T:.*]] = arith.mulf %{{.*}}, %{{.*}} fastmath<afn> : f32
// CHECK-NEXT: %[[Y:.*]] = llvm.call_intrinsic "llvm.nvvm.ex2.approx.f32"(%[[T]])
// CHECK-NEXT: return %[[Y]]
func.func @approximates_exp_when_allowed(%x: f32) -> f32 {
  %y = math.exp %x fastmath<afn> : f32
  return %y : f32
}

// CHECK-LABEL: @corrects_exp_otherwise
// CHECK: llvm.call_intrinsic "llvm.nvvm.ex2.approx.f32"
// CHECK-COUNT-3: math.fma
// CHECK: arith.select
func.func @corrects_exp_otherwise(%x: f32) -> f32 {
  %y = math.exp %x : f32
  return %y : f32
}

// CHECK-LABEL: @log_is_a_polynomial_unless_approximate
// CHECK-NOT: lg2.approx
// CHECK: math.fma
// CHECK: llvm.call_intrinsic "llvm.nvvm.lg2.approx.f"
func.func @log_is_a_polynomial_unless_approximate(%x: f32) -> (f32, f32) {
  %y = math.log %x : f32
  %z = math.log %x fastmath<fast> : f32
  return %y, %z : f32, f32
}

// CHECK-LABEL: @vectors_are_unrolled
// CHECK-COUNT-2: llvm.call_intrinsic "llvm.nvvm.ex2.approx.f32"
// CHECK: vector.from_elements
func.func @vectors_are_unrolled(%x: vector<2xf32>) -> vector<2xf32> {
  %y = math.exp2 %x : vector<2xf32>
  return %y : vector<2xf32>
}

// CHECK-LABEL: @narrow_types_go_through_single
// CHECK: arith.extf %{{.*}} : bf16 to f32
// CHECK: arith.truncf %{{.*}} : f32 to bf16
func.func @narrow_types_go_through_single(%x: bf16) -> bf16 {
  %y = math.exp2 %x : bf16
  return %y : bf16
}

// CHECK-LABEL: @instructions_stay
// CHECK: math.sqrt
// CHECK: math.floor
// CHECK: math.rsqrt
func.func @instructions_stay(%x: f32) -> f32 {
  %a = math.sqrt %x : f32
  %b = math.floor %a : f32
  %c = math.rsqrt %b : f32
  return %c : f32
}

// Two barriers in two arms stay two, although the blocks look alike.
// CHECK-LABEL: @does_not_merge_blocks
// CHECK-COUNT-2: nvvm.barrier0
func.func @does_not_merge_blocks(%c: i1, %x: f32, %y: f32) -> f32 {
  cf.cond_br %c, ^a, ^b
^a:
  nvvm.barrier0
  cf.br ^e(%x : f32)
^b:
  nvvm.barrier0
  cf.br ^e(%y : f32)
^e(%z: f32):
  return %z : f32
}

// -----

func.func @double_has_no_lowering(%x: f64) -> f64 {
  // expected-error @below {{'math.exp' op has no lowering for NVIDIA GPUs on 'f64': use f32, f16 or bf16, scalar or a vector of one dimension}}
  %y = math.exp %x : f64
  return %y : f64
}

// -----

func.func @matrices_have_no_lowering(%x: vector<2x2xf32>) -> vector<2x2xf32> {
  // expected-error @below {{'math.exp2' op has no lowering for NVIDIA GPUs on 'vector<2x2xf32>'}}
  %y = math.exp2 %x : vector<2x2xf32>
  return %y : vector<2x2xf32>
}
