// Modules that no policy can be applied to.
// RUN: varve-opt %s --split-input-file --verify-diagnostics --varve-apply-precision=policy=%S/Inputs/bf16-results.json

func.func @calls_agree(%x: tensor<?x8xf32>, %y: tensor<?x8xf32>) {
  %a = varve.rms_norm %x eps 1.0e-06 : (tensor<?x8xf32>) -> tensor<?x8xf32>
  func.call @callee(%a) : (tensor<?x8xf32>) -> ()
  // expected-error @+1 {{expected the argument type of an earlier call of @callee, 'tensor<?x8xbf16>', but got 'tensor<?x8xf32>'}}
  func.call @callee(%y) : (tensor<?x8xf32>) -> ()
  return
}
func.func private @callee(%x: tensor<?x8xf32>) {
  return
}

// -----

// expected-error @+1 {{expected functions that do not call themselves}}
func.func private @recursive(%x: tensor<?x8xf32>) {
  %a = varve.rms_norm %x eps 1.0e-06 : (tensor<?x8xf32>) -> tensor<?x8xf32>
  func.call @recursive(%a) : (tensor<?x8xf32>) -> ()
  return
}

// -----

func.func @other_dialects(%x: tensor<?x8xf32>) {
  %a = varve.rms_norm %x eps 1.0e-06 : (tensor<?x8xf32>) -> tensor<?x8xf32>
  // expected-error @+1 {{expected only 'varve' ops and calls on values whose element type a policy changes}}
  %b = arith.negf %a : tensor<?x8xf32>
  return
}

// -----

func.func @declared_elsewhere(%x: tensor<?x8xf32>) {
  %a = varve.rms_norm %x eps 1.0e-06 : (tensor<?x8xf32>) -> tensor<?x8xf32>
  // expected-error @+1 {{expected only 'varve' ops and calls on values whose element type a policy changes}}
  func.call @declaration(%a) : (tensor<?x8xf32>) -> ()
  return
}
func.func private @declaration(tensor<?x8xf32>)

// -----

// expected-error @+1 {{expected a body of one block}}
func.func @branches(%x: tensor<?x8xf32>) {
  %a = varve.rms_norm %x eps 1.0e-06 : (tensor<?x8xf32>) -> tensor<?x8xf32>
  cf.br ^end
^end:
  return
}

// -----

// expected-error-re @below {{expected a module without a precision, or with "results@{{[0-9a-f]+}}", but it has "native"; apply policies to the result of the import}}
module attributes {varve.precision = "native"} {
}
