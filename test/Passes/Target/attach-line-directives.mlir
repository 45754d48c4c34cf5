// RUN: varve-opt %s --varve-attach-line-directives --mlir-print-debuginfo --mlir-print-local-scope | FileCheck %s
// RUN: varve-opt %s --varve-attach-line-directives | varve-opt --varve-attach-line-directives | FileCheck %s --check-prefix=ONCE

// CHECK-LABEL: llvm.func @named_parts
// CHECK: llvm.store {{.*}} loc(fused<#llvm.di_lexical_block_file<scope = {{.*}}file = <"layers.3.ffn.gate" in "">{{.*}}>["layers.3.ffn.gate":7:5])
// Ops without a name take the function's.
// CHECK: llvm.return loc(fused<#llvm.di_subprogram<{{.*}}emissionKind = DebugDirectivesOnly{{.*}}>["layers.3.ffn":1:1])
// ONCE: llvm.func @named_parts
llvm.func @named_parts(%p: !llvm.ptr, %x: f32) {
  llvm.store %x, %p : f32, !llvm.ptr loc("layers.3.ffn.gate"("model.mlir":7:5))
  llvm.return loc("model.mlir":8:1)
} loc("layers.3.ffn")

// The first name of fused locations counts.
// CHECK-LABEL: llvm.func @fused_parts
// CHECK: llvm.store {{.*}} loc(fused<{{.*}}>["norm":1:1])
llvm.func @fused_parts(%p: !llvm.ptr, %x: f32) {
  llvm.store %x, %p : f32, !llvm.ptr loc(fused["m.mlir":1:1, "norm", "quantise"])
  llvm.return
} loc("layers.4")

// CHECK-LABEL: llvm.func @no_names
// CHECK-NOT: di_
// CHECK: llvm.return
llvm.func @no_names(%p: !llvm.ptr, %x: f32) {
  llvm.store %x, %p : f32, !llvm.ptr loc("m.mlir":3:3)
  llvm.return loc("m.mlir":4:3)
} loc("m.mlir":2:1)
