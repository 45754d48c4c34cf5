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
