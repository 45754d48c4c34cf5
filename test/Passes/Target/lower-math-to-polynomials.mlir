// RUN: varve-opt %s --varve-lower-math-to-polynomials | FileCheck %s

// CHECK-LABEL: @vectors_stay_vectors
// CHECK-NOT: math.{{exp|log|sin|tanh}}
// CHECK: vector<16xf32>
// CHECK-NOT: vector.extract
// CHECK: return
func.func @vectors_stay_vectors(%x: vector<16xf32>) -> vector<16xf32> {
  %a = math.exp %x : vector<16xf32>
  %b = math.log %a : vector<16xf32>
  %c = math.sin %b : vector<16xf32>
  %d = math.tanh %c : vector<16xf32>
  return %d : vector<16xf32>
}

// CHECK-LABEL: @instructions_stay
// CHECK: math.sqrt
func.func @instructions_stay(%x: f32) -> f32 {
  %y = math.sqrt %x : f32
  return %y : f32
}
