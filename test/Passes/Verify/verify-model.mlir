// RUN: varve-opt %s --split-input-file --verify-diagnostics --varve-verify-model -o %t
// RUN: varve compile tiny --to=import | varve-opt --varve-verify-model -o %t

// What the phases behind the import rely on, M1 to M6: of each a violation, and
// near it what is no violation.

// A model.
module attributes {varve.model = #varve.model<name = "m", layers = "S", vocab = 4, max_positions = 8>} {
  varve.pool @window window size 4 : <4 x f32>
  func.func @step(%ids: tensor<?xi32>, %positions: tensor<?xi32>,
                  %slots: tensor<?xi32>, %rows: tensor<?xi32>)
      -> tensor<?x4xf32> {
    %table = varve.weight "embed.weight" : tensor<4x4xf32> loc("embed")
    %x = varve.embed %ids, %table
        : (tensor<?xi32>, tensor<4x4xf32>) -> tensor<?x4xf32> loc("embed")
    varve.append %x to @window at(%positions, %slots)
        : tensor<?x4xf32>, tensor<?xi32>, tensor<?xi32> loc("append")
    %q = varve.stream_expand %x
        : (tensor<?x4xf32>) -> tensor<?x1x4xf32> loc("expand")
    %o = varve.sparse_attention %q window @window scale 1.0
        at(%positions, %slots)
        : (tensor<?x1x4xf32>, tensor<?xi32>, tensor<?xi32>)
        -> tensor<?x1x4xf32> loc("core")
    %y = varve.take %x, %rows
        : (tensor<?x4xf32>, tensor<?xi32>) -> tensor<?x4xf32> loc("take")
    return %y : tensor<?x4xf32>
  }
}

// -----

// M1: no attribute.
// expected-error @below {{expected the attribute 'varve.model' (M1)}}
module {}

// -----

// M1: no step.
// expected-error @below {{expected a function @step (M1)}}
module attributes {varve.model = #varve.model<name = "m", layers = "S", vocab = 4, max_positions = 8>} {
  func.func @steps() { return }
}

// -----

// M1: logits of another vocabulary.
module attributes {varve.model = #varve.model<name = "m", layers = "S", vocab = 4, max_positions = 8>} {
  // expected-error @below {{expected the type '(tensor<?xi32>, tensor<?xi32>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x4xf32>' of (ids, positions, slots, rows) to logits (M1) but got '(tensor<?xi32>) -> tensor<?x5xf32>'}}
  func.func private @step(tensor<?xi32>) -> tensor<?x5xf32>
}

// -----

// M2: no name.
module attributes {varve.model = #varve.model<name = "m", layers = "S", vocab = 4, max_positions = 8>} {
  func.func @step(%ids: tensor<?xi32>, %positions: tensor<?xi32>,
                  %slots: tensor<?xi32>, %rows: tensor<?xi32>)
      -> tensor<?x4xf32> {
    %table = varve.weight "embed.weight" : tensor<4x4xf32> loc("embed")
    %x = varve.embed %ids, %table
        : (tensor<?xi32>, tensor<4x4xf32>) -> tensor<?x4xf32> loc("embed")
    // expected-error @below {{expected a name location, like loc("layers.0.attn.wq_a") (M2)}}
    %z = varve.hadamard %x : tensor<?x4xf32>
    %y = varve.take %x, %rows
        : (tensor<?x4xf32>, tensor<?xi32>) -> tensor<?x4xf32> loc("take")
    return %y : tensor<?x4xf32>
  }
}

// -----

// M2: a name twice. Weights may share their product's.
module attributes {varve.model = #varve.model<name = "m", layers = "S", vocab = 4, max_positions = 8>} {
  func.func @step(%ids: tensor<?xi32>, %positions: tensor<?xi32>,
                  %slots: tensor<?xi32>, %rows: tensor<?xi32>)
      -> tensor<?x4xf32> {
    %table = varve.weight "embed.weight" : tensor<4x4xf32> loc("embed")
    %x = varve.embed %ids, %table
        : (tensor<?xi32>, tensor<4x4xf32>) -> tensor<?x4xf32> loc("embed")
    // expected-error @unknown {{expected a name of its own (M2) but another op is called "twice"}}
    // expected-note @unknown {{the other op}}
    %z = varve.hadamard %x : tensor<?x4xf32> loc("twice")
    %zz = varve.hadamard %x : tensor<?x4xf32> loc("twice")
    %y = varve.take %x, %rows
        : (tensor<?x4xf32>, tensor<?xi32>) -> tensor<?x4xf32> loc("take")
    return %y : tensor<?x4xf32>
  }
}

// -----

// Ops of other dialects need no names.
module attributes {varve.model = #varve.model<name = "m", layers = "S", vocab = 4, max_positions = 8>} {
  func.func @step(%ids: tensor<?xi32>, %positions: tensor<?xi32>,
                  %slots: tensor<?xi32>, %rows: tensor<?xi32>)
      -> tensor<?x4xf32> {
    %table = varve.weight "embed.weight" : tensor<4x4xf32> loc("embed")
    %x = varve.embed %ids, %table
        : (tensor<?xi32>, tensor<4x4xf32>) -> tensor<?x4xf32> loc("embed")
    %z = tensor.cast %x : tensor<?x4xf32> to tensor<2x4xf32>
    %y = varve.take %x, %rows
        : (tensor<?x4xf32>, tensor<?xi32>) -> tensor<?x4xf32> loc("take")
    return %y : tensor<?x4xf32>
  }
}

// -----

// M3: no writer.
module attributes {varve.model = #varve.model<name = "m", layers = "S", vocab = 4, max_positions = 8>} {
  // expected-error @below {{expected one op that writes the pool (M3) but got 0}}
  varve.pool @window window size 4 : <4 x f32>
  func.func @step(%ids: tensor<?xi32>, %positions: tensor<?xi32>,
                  %slots: tensor<?xi32>, %rows: tensor<?xi32>)
      -> tensor<?x4xf32> {
    %table = varve.weight "embed.weight" : tensor<4x4xf32> loc("embed")
    %x = varve.embed %ids, %table
        : (tensor<?xi32>, tensor<4x4xf32>) -> tensor<?x4xf32> loc("embed")
    %q = varve.stream_expand %x
        : (tensor<?x4xf32>) -> tensor<?x1x4xf32> loc("expand")
    %o = varve.sparse_attention %q window @window scale 1.0
        at(%positions, %slots)
        : (tensor<?x1x4xf32>, tensor<?xi32>, tensor<?xi32>)
        -> tensor<?x1x4xf32> loc("core")
    %y = varve.take %x, %rows
        : (tensor<?x4xf32>, tensor<?xi32>) -> tensor<?x4xf32> loc("take")
    return %y : tensor<?x4xf32>
  }
}

// -----

// M3: two writers.
module attributes {varve.model = #varve.model<name = "m", layers = "S", vocab = 4, max_positions = 8>} {
  // expected-error @below {{expected one op that writes the pool (M3) but got 2}}
  varve.pool @window window size 4 : <4 x f32>
  func.func @step(%ids: tensor<?xi32>, %positions: tensor<?xi32>,
                  %slots: tensor<?xi32>, %rows: tensor<?xi32>)
      -> tensor<?x4xf32> {
    %table = varve.weight "embed.weight" : tensor<4x4xf32> loc("embed")
    %x = varve.embed %ids, %table
        : (tensor<?xi32>, tensor<4x4xf32>) -> tensor<?x4xf32> loc("embed")
    varve.append %x to @window at(%positions, %slots)
        : tensor<?x4xf32>, tensor<?xi32>, tensor<?xi32> loc("append")
    varve.append %x to @window at(%positions, %slots)
        : tensor<?x4xf32>, tensor<?xi32>, tensor<?xi32> loc("append again")
    %q = varve.stream_expand %x
        : (tensor<?x4xf32>) -> tensor<?x1x4xf32> loc("expand")
    %o = varve.sparse_attention %q window @window scale 1.0
        at(%positions, %slots)
        : (tensor<?x1x4xf32>, tensor<?xi32>, tensor<?xi32>)
        -> tensor<?x1x4xf32> loc("core")
    %y = varve.take %x, %rows
        : (tensor<?x4xf32>, tensor<?xi32>) -> tensor<?x4xf32> loc("take")
    return %y : tensor<?x4xf32>
  }
}

// -----

// M3: no reader.
module attributes {varve.model = #varve.model<name = "m", layers = "S", vocab = 4, max_positions = 8>} {
  // expected-error @below {{expected an op that reads the pool (M3) but got none}}
  varve.pool @window window size 4 : <4 x f32>
  func.func @step(%ids: tensor<?xi32>, %positions: tensor<?xi32>,
                  %slots: tensor<?xi32>, %rows: tensor<?xi32>)
      -> tensor<?x4xf32> {
    %table = varve.weight "embed.weight" : tensor<4x4xf32> loc("embed")
    %x = varve.embed %ids, %table
        : (tensor<?xi32>, tensor<4x4xf32>) -> tensor<?x4xf32> loc("embed")
    varve.append %x to @window at(%positions, %slots)
        : tensor<?x4xf32>, tensor<?xi32>, tensor<?xi32> loc("append")
    %y = varve.take %x, %rows
        : (tensor<?x4xf32>, tensor<?xi32>) -> tensor<?x4xf32> loc("take")
    return %y : tensor<?x4xf32>
  }
}

// -----

// A compressor both writes and reads its state.
module attributes {varve.model = #varve.model<name = "m", layers = "S", vocab = 4, max_positions = 8>} {
  varve.pool @state state size 4 : <8 x f32>
  varve.pool @entries entries ratio 4 page 64 : <4 x f32>
  func.func @step(%ids: tensor<?xi32>, %positions: tensor<?xi32>,
                  %slots: tensor<?xi32>, %rows: tensor<?xi32>)
      -> tensor<?x4xf32> {
    %table = varve.weight "embed.weight" : tensor<4x4xf32> loc("embed")
    %x = varve.embed %ids, %table
        : (tensor<?xi32>, tensor<4x4xf32>) -> tensor<?x4xf32> loc("embed")
    %bias = varve.weight "ape" : tensor<4x4xf32> loc("compress")
    %e, %starts, %eslots = varve.compress %x, %x, %bias in @state ratio 4
        at(%positions, %slots)
        : (tensor<?x4xf32>, tensor<?x4xf32>, tensor<4x4xf32>, tensor<?xi32>,
           tensor<?xi32>)
        -> (tensor<?x4xf32>, tensor<?xi32>, tensor<?xi32>) loc("compress")
    %n = varve.rms_norm %e eps 1.0e-6
        : (tensor<?x4xf32>) -> tensor<?x4xf32> loc("norm")
    varve.append %n to @entries at(%starts, %eslots)
        : tensor<?x4xf32>, tensor<?xi32>, tensor<?xi32> loc("append")
    %q = varve.stream_expand %x
        : (tensor<?x4xf32>) -> tensor<?x1x4xf32> loc("expand")
    %o = varve.sparse_attention %q entries @entries scale 1.0
        at(%positions, %slots)
        : (tensor<?x1x4xf32>, tensor<?xi32>, tensor<?xi32>)
        -> tensor<?x1x4xf32> loc("core")
    %y = varve.take %x, %rows
        : (tensor<?x4xf32>, tensor<?xi32>) -> tensor<?x4xf32> loc("take")
    return %y : tensor<?x4xf32>
  }
}

// -----

// M4: entries of 4 tokens in a pool of ratio 2, through a norm.
module attributes {varve.model = #varve.model<name = "m", layers = "S", vocab = 4, max_positions = 8>} {
  varve.pool @state state size 4 : <8 x f32>
  // expected-note @below {{the pool}}
  varve.pool @entries entries ratio 2 page 64 : <4 x f32>
  func.func @step(%ids: tensor<?xi32>, %positions: tensor<?xi32>,
                  %slots: tensor<?xi32>, %rows: tensor<?xi32>)
      -> tensor<?x4xf32> {
    %table = varve.weight "embed.weight" : tensor<4x4xf32> loc("embed")
    %x = varve.embed %ids, %table
        : (tensor<?xi32>, tensor<4x4xf32>) -> tensor<?x4xf32> loc("embed")
    // expected-error @unknown {{expected an entry pool of ratio 4 for the compressor's entries (M4) but got entries of ratio 2}}
    // expected-note @unknown {{the compressor}}
    %bias = varve.weight "ape" : tensor<4x4xf32> loc("compress")
    %e, %starts, %eslots = varve.compress %x, %x, %bias in @state ratio 4
        at(%positions, %slots)
        : (tensor<?x4xf32>, tensor<?x4xf32>, tensor<4x4xf32>, tensor<?xi32>,
           tensor<?xi32>)
        -> (tensor<?x4xf32>, tensor<?xi32>, tensor<?xi32>) loc("compress")
    %n = varve.rms_norm %e eps 1.0e-6
        : (tensor<?x4xf32>) -> tensor<?x4xf32> loc("norm")
    varve.append %n to @entries at(%starts, %eslots)
        : tensor<?x4xf32>, tensor<?xi32>, tensor<?xi32> loc("append")
    %q = varve.stream_expand %x
        : (tensor<?x4xf32>) -> tensor<?x1x4xf32> loc("expand")
    %o = varve.sparse_attention %q entries @entries scale 1.0
        at(%positions, %slots)
        : (tensor<?x1x4xf32>, tensor<?xi32>, tensor<?xi32>)
        -> tensor<?x1x4xf32> loc("core")
    %y = varve.take %x, %rows
        : (tensor<?x4xf32>, tensor<?xi32>) -> tensor<?x4xf32> loc("take")
    return %y : tensor<?x4xf32>
  }
}

// -----

// Indices of the attention's own entries.
module attributes {varve.model = #varve.model<name = "m", layers = "S", vocab = 4, max_positions = 8>} {
  varve.pool @keys entries ratio 4 page 64 : <4 x f32>
  varve.pool @entries entries ratio 4 page 64 : <4 x f32>
  func.func @step(%ids: tensor<?xi32>, %positions: tensor<?xi32>,
                  %slots: tensor<?xi32>, %rows: tensor<?xi32>)
      -> tensor<?x4xf32> {
    %table = varve.weight "embed.weight" : tensor<4x4xf32> loc("embed")
    %x = varve.embed %ids, %table
        : (tensor<?xi32>, tensor<4x4xf32>) -> tensor<?x4xf32> loc("embed")
    varve.append %x to @keys at(%positions, %slots)
        : tensor<?x4xf32>, tensor<?xi32>, tensor<?xi32> loc("keys.append")
    varve.append %x to @entries at(%positions, %slots)
        : tensor<?x4xf32>, tensor<?xi32>, tensor<?xi32> loc("append")
    %q = varve.stream_expand %x
        : (tensor<?x4xf32>) -> tensor<?x1x4xf32> loc("expand")
    %sum = varve.weight "sum" : tensor<1x4xf32> loc("weights")
    %weights = varve.linear %x, %sum
        : (tensor<?x4xf32>, tensor<1x4xf32>) -> tensor<?x1xf32> loc("weights")
    %s = varve.index_score %q, %weights keys @keys scale 1.0
        at(%positions, %slots)
        : (tensor<?x1x4xf32>, tensor<?x1xf32>, tensor<?xi32>, tensor<?xi32>)
        -> tensor<?x?xf32> loc("score")
    %k = varve.index_topk %s k 2 : tensor<?x?xf32> loc("topk")
    %o = varve.sparse_attention %q entries @entries indices %k scale 1.0
        at(%positions, %slots)
        : (tensor<?x1x4xf32>, tensor<?x2xi32>, tensor<?xi32>, tensor<?xi32>)
        -> tensor<?x1x4xf32> loc("core")
    %y = varve.take %x, %rows
        : (tensor<?x4xf32>, tensor<?xi32>) -> tensor<?x4xf32> loc("take")
    return %y : tensor<?x4xf32>
  }
}

// -----

// M5: indices count entries of 2 tokens, the attention's are of 4.
module attributes {varve.model = #varve.model<name = "m", layers = "S", vocab = 4, max_positions = 8>} {
  varve.pool @keys entries ratio 2 page 64 : <4 x f32>
  varve.pool @entries entries ratio 4 page 64 : <4 x f32>
  func.func @step(%ids: tensor<?xi32>, %positions: tensor<?xi32>,
                  %slots: tensor<?xi32>, %rows: tensor<?xi32>)
      -> tensor<?x4xf32> {
    %table = varve.weight "embed.weight" : tensor<4x4xf32> loc("embed")
    %x = varve.embed %ids, %table
        : (tensor<?xi32>, tensor<4x4xf32>) -> tensor<?x4xf32> loc("embed")
    // expected-error @unknown {{expected indices of entries of ratio 4 (M5) but they count keys of ratio 2}}
    // expected-note @unknown {{scored here}}
    varve.append %x to @keys at(%positions, %slots)
        : tensor<?x4xf32>, tensor<?xi32>, tensor<?xi32> loc("keys.append")
    varve.append %x to @entries at(%positions, %slots)
        : tensor<?x4xf32>, tensor<?xi32>, tensor<?xi32> loc("append")
    %q = varve.stream_expand %x
        : (tensor<?x4xf32>) -> tensor<?x1x4xf32> loc("expand")
    %sum = varve.weight "sum" : tensor<1x4xf32> loc("weights")
    %weights = varve.linear %x, %sum
        : (tensor<?x4xf32>, tensor<1x4xf32>) -> tensor<?x1xf32> loc("weights")
    %s = varve.index_score %q, %weights keys @keys scale 1.0
        at(%positions, %slots)
        : (tensor<?x1x4xf32>, tensor<?x1xf32>, tensor<?xi32>, tensor<?xi32>)
        -> tensor<?x?xf32> loc("score")
    %k = varve.index_topk %s k 2 : tensor<?x?xf32> loc("topk")
    %o = varve.sparse_attention %q entries @entries indices %k scale 1.0
        at(%positions, %slots)
        : (tensor<?x1x4xf32>, tensor<?x2xi32>, tensor<?xi32>, tensor<?xi32>)
        -> tensor<?x1x4xf32> loc("core")
    %y = varve.take %x, %rows
        : (tensor<?x4xf32>, tensor<?xi32>) -> tensor<?x4xf32> loc("take")
    return %y : tensor<?x4xf32>
  }
}

// -----

// A mix by a Sinkhorn matrix.
module attributes {varve.model = #varve.model<name = "m", layers = "S", vocab = 4, max_positions = 8>} {
  func.func @step(%ids: tensor<?xi32>, %positions: tensor<?xi32>,
                  %slots: tensor<?xi32>, %rows: tensor<?xi32>)
      -> tensor<?x4xf32> {
    %table = varve.weight "embed.weight" : tensor<4x4xf32> loc("embed")
    %x = varve.embed %ids, %table
        : (tensor<?xi32>, tensor<4x4xf32>) -> tensor<?x4xf32> loc("embed")
    %X = varve.stream_expand %x
        : (tensor<?x4xf32>) -> tensor<?x1x4xf32> loc("expand")
    %fn = varve.weight "fn" : tensor<3x4xf32> loc("project")
    %base = varve.weight "base" : tensor<3xf32> loc("project")
    %scale = varve.weight "scale" : tensor<3xf32> loc("project")
    %pre, %post, %logits = varve.stream_project %X, %fn, %base, %scale
        norm_eps 1.0e-6 eps 1.0e-6
        : (tensor<?x1x4xf32>, tensor<3x4xf32>, tensor<3xf32>, tensor<3xf32>)
        -> (tensor<?x1xf32>, tensor<?x1xf32>, tensor<?x1x1xf32>) loc("project")
    %C = varve.sinkhorn %logits iterations 2 eps 1.0e-6
        : tensor<?x1x1xf32> loc("sinkhorn")
    %Y = varve.stream_mix %x, %X, %post, %C
        : (tensor<?x4xf32>, tensor<?x1x4xf32>, tensor<?x1xf32>,
           tensor<?x1x1xf32>) -> tensor<?x1x4xf32> loc("mix")
    %y = varve.take %x, %rows
        : (tensor<?x4xf32>, tensor<?xi32>) -> tensor<?x4xf32> loc("take")
    return %y : tensor<?x4xf32>
  }
}

// -----

// M6: a mix by the logits themselves.
module attributes {varve.model = #varve.model<name = "m", layers = "S", vocab = 4, max_positions = 8>} {
  func.func @step(%ids: tensor<?xi32>, %positions: tensor<?xi32>,
                  %slots: tensor<?xi32>, %rows: tensor<?xi32>)
      -> tensor<?x4xf32> {
    %table = varve.weight "embed.weight" : tensor<4x4xf32> loc("embed")
    %x = varve.embed %ids, %table
        : (tensor<?xi32>, tensor<4x4xf32>) -> tensor<?x4xf32> loc("embed")
    // expected-error @unknown {{expected the mixing matrix to come from 'varve.sinkhorn' (M6)}}
    %X = varve.stream_expand %x
        : (tensor<?x4xf32>) -> tensor<?x1x4xf32> loc("expand")
    %fn = varve.weight "fn" : tensor<3x4xf32> loc("project")
    %base = varve.weight "base" : tensor<3xf32> loc("project")
    %scale = varve.weight "scale" : tensor<3xf32> loc("project")
    %pre, %post, %logits = varve.stream_project %X, %fn, %base, %scale
        norm_eps 1.0e-6 eps 1.0e-6
        : (tensor<?x1x4xf32>, tensor<3x4xf32>, tensor<3xf32>, tensor<3xf32>)
        -> (tensor<?x1xf32>, tensor<?x1xf32>, tensor<?x1x1xf32>) loc("project")
    %C = varve.sinkhorn %logits iterations 2 eps 1.0e-6
        : tensor<?x1x1xf32> loc("sinkhorn")
    %Y = varve.stream_mix %x, %X, %post, %logits
        : (tensor<?x4xf32>, tensor<?x1x4xf32>, tensor<?x1xf32>,
           tensor<?x1x1xf32>) -> tensor<?x1x4xf32> loc("mix")
    %y = varve.take %x, %rows
        : (tensor<?x4xf32>, tensor<?xi32>) -> tensor<?x4xf32> loc("take")
    return %y : tensor<?x4xf32>
  }
}

// -----

// M7: what stands for costs alone is not to be run.
module attributes {varve.model = #varve.model<name = "m", layers = "S", vocab = 4, max_positions = 8>} {
  // expected-error @below {{expected a pool that keeps all rows (M7): 'select' is for costs, nothing that runs selects}}
  varve.pool @w window size 4 select <keep = 2, score = position> : <4 x f32>
  // expected-error @below {{expected every layer to be written out (M7) but 'varve.repeat' stands for several: such a module is for costs}}
  func.func @layer(%x: tensor<?x1x4xf32>, %n: tensor<?xi32>) -> tensor<?x1x4xf32> attributes {varve.repeat = 2 : i64} {
    %fn = varve.weight "fn" : tensor<4x4xf32> loc("w")
    %rows = varve.linear %x, %fn : (tensor<?x1x4xf32>, tensor<4x4xf32>) -> tensor<?x4xf32> loc("rows")
    varve.append %rows to @w at(%n, %n) : tensor<?x4xf32>, tensor<?xi32>, tensor<?xi32> loc("append")
    %y = varve.sparse_attention %x window @w scale 1.0 at (%n, %n)
        : (tensor<?x1x4xf32>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x1x4xf32> loc("attention")
    return %y : tensor<?x1x4xf32>
  }
  func.func @step(%ids: tensor<?xi32>, %positions: tensor<?xi32>,
                  %slots: tensor<?xi32>, %rows: tensor<?xi32>)
      -> tensor<?x4xf32> {
    %table = varve.weight "embed.weight" : tensor<4x4xf32> loc("embed")
    %x = varve.embed %ids, %table
        : (tensor<?xi32>, tensor<4x4xf32>) -> tensor<?x4xf32> loc("embed")
    return %x : tensor<?x4xf32>
  }
}

// -----

// Ten violations are reported, of the others the number.
// expected-error @below {{and 3 more violations}}
module attributes {varve.model = #varve.model<name = "m", layers = "S", vocab = 4, max_positions = 8>} {
  func.func @step(%ids: tensor<?xi32>, %positions: tensor<?xi32>,
                  %slots: tensor<?xi32>, %rows: tensor<?xi32>)
      -> tensor<?x4xf32> {
    %table = varve.weight "embed.weight" : tensor<4x4xf32> loc("embed")
    %x = varve.embed %ids, %table
        : (tensor<?xi32>, tensor<4x4xf32>) -> tensor<?x4xf32> loc("embed")
    // expected-error @below {{expected a name location}}
    %z0 = varve.hadamard %x : tensor<?x4xf32>
    // expected-error @below {{expected a name location}}
    %z1 = varve.hadamard %x : tensor<?x4xf32>
    // expected-error @below {{expected a name location}}
    %z2 = varve.hadamard %x : tensor<?x4xf32>
    // expected-error @below {{expected a name location}}
    %z3 = varve.hadamard %x : tensor<?x4xf32>
    // expected-error @below {{expected a name location}}
    %z4 = varve.hadamard %x : tensor<?x4xf32>
    // expected-error @below {{expected a name location}}
    %z5 = varve.hadamard %x : tensor<?x4xf32>
    // expected-error @below {{expected a name location}}
    %z6 = varve.hadamard %x : tensor<?x4xf32>
    // expected-error @below {{expected a name location}}
    %z7 = varve.hadamard %x : tensor<?x4xf32>
    // expected-error @below {{expected a name location}}
    %z8 = varve.hadamard %x : tensor<?x4xf32>
    // expected-error @below {{expected a name location}}
    %z9 = varve.hadamard %x : tensor<?x4xf32>
    %z10 = varve.hadamard %x : tensor<?x4xf32>
    %z11 = varve.hadamard %x : tensor<?x4xf32>
    %z12 = varve.hadamard %x : tensor<?x4xf32>
    %y = varve.take %x, %rows
        : (tensor<?x4xf32>, tensor<?xi32>) -> tensor<?x4xf32> loc("take")
    return %y : tensor<?x4xf32>
  }
}
