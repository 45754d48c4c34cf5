// RUN: varve-opt %s | varve-opt | FileCheck %s
// RUN: varve-opt %s --mlir-print-op-generic | varve-opt | FileCheck %s

// CHECK: plan.pool @window window size 128 : !plan.tensor<[128 slots + max_tokens] x 512 x f32>
plan.pool @window window size 128
    : !plan.tensor<[128 slots + max_tokens] x 512 x f32>
// CHECK: plan.pool @entries entries ratio 4 page 256 format "448 x f8E4M3FN" : !plan.tensor<[64 pages] x 584 x i8>
plan.pool @entries entries ratio 4 page 256 format "448 x f8E4M3FN"
    : !plan.tensor<[64 pages] x 584 x i8>
// CHECK: plan.pool @state state size 8 : !plan.tensor<[8 slots] x 4 x 64 x f32>
plan.pool @state state size 8 : !plan.tensor<[8 slots] x 4 x 64 x f32>

tile.func private @kernel(
    %x: !tile.view<?x4096xbf16>, %codes: !tile.view<?x448xf8E4M3FN, strides = [?, 1]>,
    %table: !tile.view<?x?xi32>, %n: i32, %eps: f32)
    grid affine_map<()[s0] -> (s0)> [dim(%x, 0)] warps 4 {
  tile.return
}

// CHECK-LABEL: plan.func private @part(
// CHECK-SAME:    %{{.*}}: !plan.tensor<tokens x 4096 x bf16>, %{{.*}}: i32)
plan.func private @part(%x: !plan.tensor<tokens x 4096 x bf16>, %n: i32) {
  plan.return
}

// CHECK-LABEL: plan.func @program(
// CHECK-SAME:    %[[IDS:.*]]: !plan.tensor<tokens x i32> {plan.name = "ids"}
// CHECK-SAME:    %[[TABLE:.*]]: !plan.tensor<slots x sequence_pages x i32> {plan.name = "page_table"}
// CHECK-SAME:    %{{.*}}: !plan.tensor<rows x 129280 x f32> {plan.name = "logits", plan.output}
plan.func @program(
    %ids: !plan.tensor<tokens x i32> {plan.name = "ids"},
    %table: !plan.tensor<slots x sequence_pages x i32> {plan.name = "page_table"},
    %logits: !plan.tensor<rows x 129280 x f32> {plan.name = "logits", plan.output}) {
  // CHECK: plan.weight "layers.0.ffn.experts.*.w1.weight" : !plan.tensor<256 x 2048 x 4096 x f4E2M1FN>
  %w = plan.weight "layers.0.ffn.experts.*.w1.weight"
      : !plan.tensor<256 x 2048 x 4096 x f4E2M1FN>
  // CHECK: %[[X:.*]] = plan.alloc : !plan.tensor<tokens x 64 x 64 x bf16>
  %x = plan.alloc : !plan.tensor<tokens x 64 x 64 x bf16>
  // CHECK: plan.alloc storage 3 : !plan.tensor<[2 tokens + 1] x i32>
  %s = plan.alloc storage 3 : !plan.tensor<[2 tokens + 1] x i32>
  // CHECK: %[[FLAT:.*]] = plan.view %[[X]] : !plan.tensor<tokens x 64 x 64 x bf16> to !plan.tensor<tokens x 4096 x bf16>
  %flat = plan.view %x : !plan.tensor<tokens x 64 x 64 x bf16>
      to !plan.tensor<tokens x 4096 x bf16>
  // CHECK: plan.view %{{.*}} offset [4 tokens] : !plan.tensor<[2 tokens + 1] x i32> to !plan.tensor<tokens x i32>
  %half = plan.view %s offset [4 tokens] : !plan.tensor<[2 tokens + 1] x i32>
      to !plan.tensor<tokens x i32>
  // CHECK: plan.pool_memory @entries : !plan.tensor<[64 pages] x 448 x f8E4M3FN, strides = [584, 1]>
  %codes = plan.pool_memory @entries
      : !plan.tensor<[64 pages] x 448 x f8E4M3FN, strides = [584, 1]>
  // CHECK: plan.pool_memory @entries offset 576 : !plan.tensor<[64 pages] x 8 x f8E8M0FNU, strides = [584, 1]>
  %scales = plan.pool_memory @entries offset 576
      : !plan.tensor<[64 pages] x 8 x f8E8M0FNU, strides = [584, 1]>
  // CHECK: plan.pool_memory @window offset [262144 slots] : !plan.tensor<tokens x 512 x f32>
  %staging = plan.pool_memory @window offset [262144 slots]
      : !plan.tensor<tokens x 512 x f32>
  // CHECK: plan.size [4 tokens - 1] : i32
  %n = plan.size [4 tokens - 1] : i32
  // CHECK: plan.size max_tokens : index
  %m = plan.size max_tokens : index
  %eps = arith.constant 1.0e-6 : f32
  // CHECK: plan.call @part(%[[FLAT]], %{{.*}}) : !plan.tensor<tokens x 4096 x bf16>, i32
  plan.call @part(%flat, %n) : !plan.tensor<tokens x 4096 x bf16>, i32
  // CHECK: plan.when tokens in [1, 32] {
  // CHECK-NEXT: plan.launch @kernel(%[[FLAT]], %{{.*}}, %[[TABLE]], %{{.*}}, %{{.*}}) :
  plan.when tokens in [1, 32] {
    plan.launch @kernel(%flat, %codes, %table, %n, %eps)
        : !plan.tensor<tokens x 4096 x bf16>,
          !plan.tensor<[64 pages] x 448 x f8E4M3FN, strides = [584, 1]>,
          !plan.tensor<slots x sequence_pages x i32>, i32, f32
  }
  // CHECK: plan.when [tokens + 2 rows] in [33, inf] attributes {tag} {
  plan.when [tokens + 2 rows] in [33, inf] attributes {tag} {
  }
  plan.return
}

// CHECK-LABEL: plan.func private @linear_expressions
// CHECK-SAME:    attributes {
plan.func private @linear_expressions() attributes {
  // CHECK-SAME: a = #plan.linear<0>
  a = #plan.linear<0>,
  // CHECK-SAME: b = #plan.linear<[-tokens - 5]>
  b = #plan.linear<[-tokens - 5]>,
  // CHECK-SAME: c = #plan.linear<[tokens + 3 sequence_pages]>
  c = #plan.linear<[sequence_pages + tokens + 2 sequence_pages]>,
  // CHECK-SAME: d = #plan.linear<slots>
  d = #plan.linear<[slots + 3 - 3]>
} {
  plan.return
}

// CHECK-LABEL: plan.kernel @lowered (!tile.view<?x64xbf16>, i32) -> () grid
// CHECK-SAME:    [#tile.size<dim>, #tile.size<scalar of argument 1>]
// CHECK-SAME:    attributes {blocks_per_multiprocessor = 1 : i64, dependent_launch, shared_bytes = 1024 : i64,
// CHECK-SAME:    tensor_maps = [#plan.tensor_map<argument = 0, box = [64, 64], swizzle = 128>], threads = 128 : i64} {
// CHECK-NEXT:    builtin.module {
plan.kernel @lowered (!tile.view<?x64xbf16>, i32) -> ()
    grid affine_map<()[s0, s1] -> (s0, s1)> [#tile.size<dim>, #tile.size<scalar of argument 1>]
    attributes {threads = 128 : i64, shared_bytes = 1024 : i64, blocks_per_multiprocessor = 1 : i64,
                tensor_maps = [#plan.tensor_map<argument = 0, box = [64, 64], swizzle = 128>],
                dependent_launch} {
  builtin.module {
    llvm.func @lowered() { llvm.return }
  }
}

// CHECK-LABEL: plan.binary @compiled () -> () grid
// CHECK-SAME:    cubin dense_resource<code> : tensor<4xi8> attributes {assembler = "ptxas 13.0", registers = 32 : i64}
plan.binary @compiled () -> () grid affine_map<() -> (1)> []
    cubin dense_resource<code> : tensor<4xi8>
    attributes {registers = 32 : i64, assembler = "ptxas 13.0"}

// CHECK-LABEL: plan.func private @launches_what_a_kernel_became
plan.func private @launches_what_a_kernel_became(%x: !plan.tensor<tokens x 64 x bf16>, %n: i32) {
  plan.launch @lowered(%x, %n) : !plan.tensor<tokens x 64 x bf16>, i32
  plan.launch @compiled()
  plan.return
}

{-#
  dialect_resources: {
    builtin: {
      // CHECK: code: "0x0100000041424344"
      code: "0x0100000041424344"
    }
  }
#-}
