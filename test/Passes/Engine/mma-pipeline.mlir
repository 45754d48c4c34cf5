// RUN: sed -e 's/\$N\$/4096/g;s/\$K\$/4096/g' %source/configs/kernels/gemm-bf16-mma.mlir \
// RUN:   | varve-opt --pass-pipeline="builtin.module(tile.func(tile-merge-roles,tile-assign-layouts{target=sm_80}),tile-to-nvidia{target=sm_80},cse)" \
// RUN:   | FileCheck %s

// The bf16 GEMM on a target without warp specialisation: four warps, each with
// 64 x 64 of the sums; two stages ahead, 16 vectors of 16 bytes a lane and stage.
// The columns of B and K are known to be inside; the rows of A are not.

// CHECK-LABEL: llvm.func @gemm_bf16_mma
// CHECK-SAME:    nvvm.maxntid = array<i32: 128>
// CHECK-SAME:    nvvm.minctasm = 2
// CHECK-SAME:    varve.shared_bytes = 98304

// Two stages in front of the loop; none has been used before.
// CHECK-NOT:     nvvm.barrier0
// CHECK:         scf.if
// CHECK-COUNT-8: nvvm.cp.async.shared.global %{{.+}}, %{{.+}}, 16, cache = cg, %{{.+}} :
// CHECK-COUNT-8: nvvm.cp.async.shared.global %{{.+}}, %{{.+}}, 16, cache = cg :
// CHECK:         nvvm.cp.async.commit.group
// CHECK:         scf.if
// CHECK:         nvvm.cp.async.commit.group

// One wait and one barrier an iteration, then the copies of two iterations
// later, then the product: per 16 of K, 4 + 4 loads of four matrices.
// CHECK:         scf.for
// CHECK-NEXT:      nvvm.cp.async.wait.group 1
// CHECK-NEXT:      nvvm.barrier0
// CHECK:           scf.if
// CHECK-COUNT-16:    nvvm.cp.async.shared.global
// CHECK:           nvvm.cp.async.commit.group
// CHECK-NOT:       nvvm.barrier0
// CHECK-COUNT-8:   nvvm.ldmatrix %{{.+}} {{.*}}num = 4
// CHECK-COUNT-32:  llvm.call_intrinsic "llvm.nvvm.mma.m16n8k16.row.col.bf16"
// CHECK-COUNT-8:   nvvm.ldmatrix
// CHECK-COUNT-32:  llvm.call_intrinsic "llvm.nvvm.mma.m16n8k16.row.col.bf16"
// CHECK-COUNT-8:   nvvm.ldmatrix
// CHECK-COUNT-32:  llvm.call_intrinsic "llvm.nvvm.mma.m16n8k16.row.col.bf16"
// CHECK-COUNT-8:   nvvm.ldmatrix
// CHECK-COUNT-32:  llvm.call_intrinsic "llvm.nvvm.mma.m16n8k16.row.col.bf16"
// CHECK-NOT:       nvvm.ldmatrix
// CHECK-NOT:       nvvm.barrier0
// CHECK:           scf.yield
