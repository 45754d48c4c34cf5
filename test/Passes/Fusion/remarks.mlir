// RUN: varve-opt %s -split-input-file -varve-form-kernels=remarks -verify-diagnostics

func.func @joined(%x: tensor<?x64xf32>, %p: tensor<?xi32>) -> tensor<?x64xf32> {
  %n = varve.rms_norm %x eps 1.0e-6 : (tensor<?x64xf32>) -> tensor<?x64xf32> loc("norm")
  // expected-remark@+1 {{rows: joined with norm}}
  %r = varve.rope %n at %p table <theta = 1.0e4, dim = 32>
      : tensor<?x64xf32>, tensor<?xi32>
  return %r : tensor<?x64xf32>
}

// -----

func.func @other_users(%x: tensor<?x64xbf16>)
    -> (tensor<?x64xf8E4M3FN>, tensor<?x1xf8E8M0FNU>, tensor<?x64xbf16>) {
  %w = varve.weight "w" : tensor<64x64xbf16>
  %y = varve.linear %x, %w
      : (tensor<?x64xbf16>, tensor<64x64xbf16>) -> tensor<?x64xbf16> loc("product")
  // expected-remark@+1 {{epilogue: not joined with product, whose result has other users}}
  %c, %s = varve.quantize %y block 64
      : tensor<?x64xbf16> -> tensor<?x64xf8E4M3FN>, tensor<?x1xf8E8M0FNU>
  return %c, %s, %y : tensor<?x64xf8E4M3FN>, tensor<?x1xf8E8M0FNU>, tensor<?x64xbf16>
}

// -----

func.func @something_between(%x: tensor<?x64xf32>, %p: tensor<?xi32>) -> tensor<?x2x64xf32> {
  %w = varve.weight "w" : tensor<64x64xf32>
  %n = varve.rms_norm %x eps 1.0e-6 : (tensor<?x64xf32>) -> tensor<?x64xf32> loc("norm")
  %y = varve.linear %n, %w
      : (tensor<?x64xf32>, tensor<64x64xf32>) -> tensor<?x64xf32> loc("product")
  // expected-remark@+1 {{rows: not joined with norm, since product lies between}}
  %g = varve.swiglu %n, %y limit 1.0
      : (tensor<?x64xf32>, tensor<?x64xf32>) -> tensor<?x64xf32>
  // expected-remark@+1 {{rows: joined with varve.swiglu}}
  %e = varve.stream_expand %g : (tensor<?x64xf32>) -> tensor<?x2x64xf32>
  return %e : tensor<?x2x64xf32>
}
