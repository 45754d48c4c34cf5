//===- Traffic.h - What a step reads at least ------------------*- C++ -*-===//
//
// From the plan alone: bytes of weights, bytes of the sequences' memory, and
// operations of the products with weights. What measurements are held against.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_RUNTIME_SESSION_TRAFFIC_H
#define VARVE_RUNTIME_SESSION_TRAFFIC_H

#include "runtime/Package/Plan.h"

namespace varve::runtime {

struct Traffic {
  /// Weights that the launches name, once each; of stacks of experts the part
  /// that evenly distributed choices of the tokens reach; of tables by token
  /// the rows of the tokens.
  double weightBytes = 0;
  /// Multiply-adds of products with weights, twice; each token's own experts
  /// only. Attention, the indexer and what is element by element come on top.
  double operations = 0;
  /// The model has experts, but nothing in the plan says how many of them a
  /// token takes (no layer routes by token id): their part is left out.
  bool expertsUnknown = false;
};

/// Of one step of `program` with these sizes.
Traffic trafficOf(const Plan &plan, const Program &program, const Sizes &sizes);

/// Bytes that the pools remember of a sequence of `length` tokens: what a step
/// can read of it at most.
double rememberedBytes(const Plan &plan, int64_t length);

} // namespace varve::runtime

#endif // VARVE_RUNTIME_SESSION_TRAFFIC_H
