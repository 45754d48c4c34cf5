// RUN: varve-opt %s --plan-inline --split-input-file --verify-diagnostics

plan.func private @a() {
  // expected-error @below {{'plan.call' op expected functions that do not call themselves, but @b does}}
  plan.call @b()
  plan.return
}
plan.func private @b() {
  // expected-error @below {{'plan.call' op expected functions that do not call themselves, but @a does}}
  plan.call @a()
  plan.return
}
