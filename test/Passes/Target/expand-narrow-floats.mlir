// RUN: varve-opt %s --varve-expand-narrow-floats | FileCheck %s
// RUN: varve-opt %s --varve-expand-narrow-floats=types=f8E4M3FN | FileCheck %s --check-prefix=ONE
// RUN: varve-opt %s --varve-expand-narrow-floats=target=sm_89 | FileCheck %s --check-prefix=ADA
// RUN: varve-opt %s --varve-expand-narrow-floats=target=sm_80 | FileCheck %s --check-prefix=AMPERE
// RUN: not varve-opt %s --varve-expand-narrow-floats=types=f8e4m3 2>&1 | FileCheck %s --check-prefix=TYPE
// RUN: not varve-opt %s --varve-expand-narrow-floats=target=sm_88 2>&1 | FileCheck %s --check-prefix=TARGET

// TYPE: unknown type 'f8e4m3' (known: bf16, f8E4M3FN, f8E5M2, f4E2M1FN, f8E8M0FNU)
// TARGET: unknown target 'sm_88'; did you mean 'sm_80'?

// Values are compared bit by bit in the unit tests; here is what is left.

// CHECK-LABEL: @widens_by_integers
// CHECK-NOT: arith.extf
// CHECK: arith.bitcast %{{.*}} : vector<8xi32> to vector<8xf32>
// ADA-LABEL: @widens_by_integers
// ADA-COUNT-4: nvvm.convert.f8x2.to.f16x2
// ADA: arith.extf %{{.*}} : vector<8xf16> to vector<8xf32>
// AMPERE-LABEL: @widens_by_integers
// AMPERE-NOT: nvvm.convert
func.func @widens_by_integers(%x: vector<8xf8E4M3FN>) -> vector<8xf32> {
  %y = arith.extf %x : vector<8xf8E4M3FN> to vector<8xf32>
  return %y : vector<8xf32>
}

// CHECK-LABEL: @narrows_by_integers
// CHECK-NOT: arith.truncf
// CHECK: arith.trunci %{{.*}} : vector<8xi32> to vector<8xi8>
// ADA-LABEL: @narrows_by_integers
// ADA-COUNT-4: nvvm.convert.f32x2.to.f8x2 {{.*}}satfinite{{.*}}(f8E4M3FN)
func.func @narrows_by_integers(%x: vector<8xf32>) -> vector<8xf8E4M3FN> {
  %y = arith.truncf %x : vector<8xf32> to vector<8xf8E4M3FN>
  return %y : vector<8xf8E4M3FN>
}

// CHECK-LABEL: @leaves_other_types_alone
// CHECK: arith.extf %{{.*}} : f16 to f32
// CHECK: arith.truncf %{{.*}} : f32 to f16
func.func @leaves_other_types_alone(%x: f16) -> f16 {
  %y = arith.extf %x : f16 to f32
  %z = arith.truncf %y : f32 to f16
  return %z : f16
}

// ONE-LABEL: @expands_listed_types_only
// ONE: arith.extf %{{.*}} : bf16 to f32
// CHECK-LABEL: @expands_listed_types_only
// CHECK-NOT: arith.extf
func.func @expands_listed_types_only(%x: bf16) -> f32 {
  %y = arith.extf %x : bf16 to f32
  return %y : f32
}

// Rounding to f32 and then again could give a neighbour.
// CHECK-LABEL: @does_not_round_twice
// CHECK: arith.truncf %{{.*}} : f64 to f8E5M2
func.func @does_not_round_twice(%x: f64) -> f8E5M2 {
  %y = arith.truncf %x : f64 to f8E5M2
  return %y : f8E5M2
}

// CHECK-LABEL: @keeps_other_rounding_modes
// CHECK: arith.truncf %{{.*}} toward_zero : f32 to bf16
func.func @keeps_other_rounding_modes(%x: f32) -> bf16 {
  %y = arith.truncf %x toward_zero : f32 to bf16
  return %y : bf16
}

// An odd vector has no pairs; a scalar is paired with itself.
// ADA-LABEL: @instructions_need_pairs
// ADA-NOT: nvvm.convert
// ADA-LABEL: @scalars_are_paired_with_themselves
// ADA: nvvm.convert.f32x2.to.f8x2 %[[X:.*]], %[[X]]
func.func @instructions_need_pairs(%x: vector<3xf32>) -> vector<3xf8E4M3FN> {
  %y = arith.truncf %x : vector<3xf32> to vector<3xf8E4M3FN>
  return %y : vector<3xf8E4M3FN>
}
func.func @scalars_are_paired_with_themselves(%x: f32) -> f8E5M2 {
  %y = arith.truncf %x : f32 to f8E5M2
  return %y : f8E5M2
}
