// RUN: varve-opt %s --split-input-file --verify-diagnostics --varve-verify-quantized

// expected-error @below {{expected the attribute 'varve.precision' (Q1)}}
module {
}

// -----

module attributes {varve.precision = "mine@00000000"} {
  // expected-error @below {{expected no codes as arguments or results, where their scales are lost (Q2), but got 'tensor<?x8xf8E4M3FN>'}}
  func.func private @codes_cross(%x: tensor<?x8xf8E4M3FN>) {
    return
  }
}

// -----

module attributes {varve.precision = "mine@00000000"} {
  func.func @scales_of_others(%x: tensor<?x64xf32>, %y: tensor<?x64xf32>) {
    %w = varve.weight "a.weight" : tensor<8x64xf8E4M3FN>
    %ws = varve.weight "b.scale" : tensor<1x2xf8E8M0FNU>
    %c, %cs = varve.quantize %x block 32 : tensor<?x64xf32> -> tensor<?x64xf8E4M3FN>, tensor<?x2xf8E8M0FNU>
    %d, %ds = varve.quantize %y block 32 : tensor<?x64xf32> -> tensor<?x64xf8E4M3FN>, tensor<?x2xf8E8M0FNU>
    // expected-error @below {{expected codes and scales of one 'varve.quantize' or of one stored tensor as x (Q3)}}
    // expected-error @below {{expected codes and scales of one stored tensor as weight (Q3) but got "a.weight" and "b.scale"}}
    %l = varve.linear %c scaled %ds by 32, %w scaled %ws by [128, 32]
        : (tensor<?x64xf8E4M3FN>, tensor<?x2xf8E8M0FNU>, tensor<8x64xf8E4M3FN>, tensor<1x2xf8E8M0FNU>) -> tensor<?x8xf32>
    return
  }
}

// -----

// The scales have the right shape by accident: one block covers the row.
module attributes {varve.precision = "mine@00000000"} {
  func.func @another_block(%x: tensor<?x64xf32>) {
    // expected-note @below {{quantised here}}
    %c, %cs = varve.quantize %x block 64 : tensor<?x64xf32> -> tensor<?x64xf8E4M3FN>, tensor<?x1xf8E8M0FNU>
    // expected-error @below {{expected the block of the scales of operand, 64 (Q3), but got 128}}
    %d = varve.dequantize %c scaled %cs block 128 : (tensor<?x64xf8E4M3FN>, tensor<?x1xf8E8M0FNU>) -> tensor<?x64xf32>
    return
  }
}

// -----

module attributes {varve.precision = "mine@00000000"} {
  varve.pool @keys entries ratio 4 page 256 : <64 x f32>
  func.func @one_sided(%k: tensor<?x64xf32>, %q: tensor<?x2x64xf32>, %w: tensor<?x2xf32>, %p: tensor<?xi32>, %s: tensor<?xi32>) {
    // expected-note @below {{the keys}}
    varve.append %k to @keys at (%p, %s) : tensor<?x64xf32>, tensor<?xi32>, tensor<?xi32>
    %h = varve.hadamard %q : tensor<?x2x64xf32>
    // expected-error @below {{expected 'varve.hadamard' on queries and keys, or on neither (Q4), but got it on the queries alone}}
    %i = varve.index_score %h, %w keys @keys scale 0.5 at (%p, %s)
        : (tensor<?x2x64xf32>, tensor<?x2xf32>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x?xf32>
    return
  }
}
