// RUN: varve-opt %s "-varve-split-targets=targets=sm_90a,x86-64" -varve-choose-strategies -varve-verify-scheduled | FileCheck %s
// RUN: not varve-opt %s -varve-split-targets 2>&1 | FileCheck %s --check-prefix=NONE
// RUN: not varve-opt %s -varve-split-targets=targets=sm_90 2>&1 | FileCheck %s --check-prefix=UNKNOWN
// RUN: not varve-opt %s -varve-split-targets=targets=sm_80,sm_80 2>&1 | FileCheck %s --check-prefix=TWICE
// RUN: not varve-opt %s -varve-verify-scheduled 2>&1 | FileCheck %s --check-prefix=FLAT

// NONE: error: expected a target to compile for
// UNKNOWN: 'sm_90'
// TWICE: error: expected different targets but got sm_80 twice
// FLAT: 'varve.kernel_func' op expected to be in the module of a target (S1)
// FLAT: 'varve.kernel_func' op expected strategies (S3)

// A strategy that somebody attached stays.
// CHECK: module @sm_90a attributes {varve.target = "sm_90a"}
// CHECK: varve.kernel_func @norm{{.*}} strategies [#varve.strategy<{{.*}}>] {
// CHECK: varve.kernel_func @own{{.*}} strategies [#varve.strategy<rows = 2, columns = 64>] {
// CHECK: module @"x86-64" attributes {varve.target = "x86-64"}
// CHECK: varve.kernel_func @norm
varve.kernel_func @norm(%x: tensor<?x64xf32>) -> tensor<?x64xf32> kind "rows" pools [] {
  %n = varve.rms_norm %x eps 1.0e-6 : (tensor<?x64xf32>) -> tensor<?x64xf32>
  varve.yield %n : tensor<?x64xf32>
}
varve.kernel_func @own(%x: tensor<?x64xf32>) -> tensor<?x64xf32> kind "rows" pools []
    strategies [#varve.strategy<rows = 2, columns = 64>] {
  %n = varve.rms_norm %x eps 1.0e-6 : (tensor<?x64xf32>) -> tensor<?x64xf32>
  varve.yield %n : tensor<?x64xf32>
}
