// Kernels are found by what they were made from, and only then.
//
// RUN: rm -rf %t && mkdir %t
// RUN: env VARVE_CACHE_DIR=%t/cache varve-opt %s -pass-pipeline='builtin.module(builtin.module(plan-recall-kernels,plan.kernel(plan-lower-kernel)),plan-compile-kernels)' -o %t/cold.mlir
// RUN: FileCheck %s --check-prefix=BINARY --input-file=%t/cold.mlir
// RUN: env VARVE_CACHE_DIR=%t/cache varve-opt %s -pass-pipeline='builtin.module(builtin.module(plan-recall-kernels))' -o %t/warm.mlir
// RUN: cmp %t/cold.mlir %t/warm.mlir
//
// Another tile program, another target, other wishes, no cache:
//
// RUN: sed 's/ceildiv 4/ceildiv 8/' %s | env VARVE_CACHE_DIR=%t/cache varve-opt -pass-pipeline='builtin.module(builtin.module(plan-recall-kernels))' | FileCheck %s --check-prefix=MISSED
// RUN: sed s/x86-64/sm_80/ %s | env VARVE_CACHE_DIR=%t/cache varve-opt -pass-pipeline='builtin.module(builtin.module(plan-recall-kernels))' | FileCheck %s --check-prefix=MISSED
// RUN: env VARVE_CACHE_DIR=%t/cache varve-opt %s -pass-pipeline='builtin.module(builtin.module(plan-recall-kernels{strict=false}))' | FileCheck %s --check-prefix=MISSED
// RUN: env VARVE_CACHE_DIR= varve-opt %s -pass-pipeline='builtin.module(builtin.module(plan-recall-kernels))' | FileCheck %s --check-prefix=OFF

// BINARY: plan.binary @copy {{.*}} object dense_resource<"x86-64.copy">
// BINARY-NOT: record_key
// MISSED: plan.kernel @copy
// MISSED-SAME: varve.record_key = "{{[0-9a-f]+}}"
// OFF: plan.kernel @copy
// OFF-NOT: record_key
module {
  module @x86 attributes {varve.target = "x86-64"} {
    plan.kernel @copy (!tile.view<?x16xf32>, !tile.view<?x16xf32>) -> ()
        grid affine_map<()[s0] -> (s0 ceildiv 4)> [#tile.size<dim of argument 0>] {
      builtin.module {
        tile.func @copy(%x: !tile.view<?x16xf32>, %y: !tile.view<?x16xf32>)
            grid affine_map<()[s0] -> (s0 ceildiv 4)> [dim(%x, 0)] warps 1 {
          %c0 = arith.constant 0 : index
          %c4 = arith.constant 4 : index
          %b = tile.program_id 0
          %r = arith.muli %b, %c4 : index
          %t = tile.load %x[%r, %c0] : !tile.view<?x16xf32> -> tensor<4x16xf32>
          tile.store %t, %y[%r, %c0] : tensor<4x16xf32> -> !tile.view<?x16xf32>
          tile.return
        }
      }
    }
  }
}
