// RUN: varve-opt %s --varve-verify-targets --split-input-file --verify-diagnostics

module {
  module @a attributes {varve.target = "sm_90a"} {
    plan.pool @state state size 8 : !plan.tensor<[8 slots] x 16 x i8>
    plan.kernel @k () -> () grid affine_map<() -> (1)> [] {
      builtin.module {
        llvm.func @k() { llvm.return }
      }
    }
    plan.func @step(%y: !plan.tensor<4 x f32> {plan.name = "y", plan.output}) {
      %a = plan.alloc storage 0 : !plan.tensor<4 x f32>
      plan.return
    }
  }
  module @b attributes {varve.target = "x86-64"} {
  }
}

// -----

// expected-error @below {{expected a module per target (L1)}}
module @no_target {
  plan.pool @state state size 8 : !plan.tensor<[8 slots] x 16 x i8>
}

// -----

module {
  // expected-error @below {{expected to be in a module with attribute varve.target}}
  module @unnamed_target {
  }
}

// -----

module {
  // expected-error @below {{'sm_91'}}
  module @unknown_target attributes {varve.target = "sm_91"} {
  }
}

// -----

module {
  module @a attributes {varve.target = "sm_90a"} {
  }
  // expected-error @below {{expected one module per target (L1)}}
  module @same_target attributes {varve.target = "sm_90a"} {
  }
}

// -----

module {
  module @a attributes {varve.target = "sm_90a"} {
    // expected-error @below {{'func.func' op expected pools, functions and kernels of a plan only (L2)}}
    func.func @left_over() { return }
  }
}

// -----

module {
  module @a attributes {varve.target = "sm_90a"} {
    // expected-error @below {{'plan.func' op expected public functions only (L2)}}
    plan.func private @private_function() { plan.return }
  }
}

// -----

module {
  module @a attributes {varve.target = "sm_90a"} {
    plan.func @step(%y: !plan.tensor<4 x f32> {plan.name = "y", plan.output}) {
      // expected-error @below {{'plan.alloc' op expected a storage (L2)}}
      %a = plan.alloc : !plan.tensor<4 x f32>
      plan.return
    }
  }
}

// -----

module {
  module @a attributes {varve.target = "sm_90a"} {
    plan.func @step(%y: !plan.tensor<4 x f32> {plan.name = "y", plan.output}) {
      // expected-error @below {{'plan.call' op expected no calls (L2)}}
      plan.call @other(%y) : !plan.tensor<4 x f32>
      plan.return
    }
    plan.func @other(%y: !plan.tensor<4 x f32> {plan.name = "y", plan.output}) {
      plan.return
    }
  }
}

// -----

module {
  module @a attributes {varve.target = "sm_90a"} {
    // expected-error @below {{'plan.kernel' op expected a function of the same name inside (L3)}}
    plan.kernel @k () -> () grid affine_map<() -> (1)> [] {
      builtin.module {
      }
    }
  }
}

// -----

module {
  module @a attributes {varve.target = "sm_90a"} {
    plan.kernel @k () -> () grid affine_map<() -> (1)> [] {
      builtin.module {
        // expected-error @below {{'tile.func' op expected no op of the tile dialect (L3)}}
        tile.func @k() grid affine_map<() -> (1)> [] warps 1 { tile.return }
      }
    }
  }
}
