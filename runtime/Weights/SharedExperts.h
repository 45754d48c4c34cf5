//===- SharedExperts.h - Few layers' experts for all layers ----*- C++ -*-===//
//
// Routed experts are nearly all of a model's weights. To measure a model of
// full depth on a device that is too small for it, the experts of some layers
// can serve the others too. The results are those of a model whose layers have
// these weights; the times are those of the model itself as long as what lies
// between two uses of an expert exceeds the caches.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_RUNTIME_WEIGHTS_SHAREDEXPERTS_H
#define VARVE_RUNTIME_WEIGHTS_SHAREDEXPERTS_H

#include "runtime/Package/Plan.h"

namespace varve::runtime {

/// By weight: the index of the weight whose bytes it uses, its own where it has
/// bytes of its own. With `sets` of 0 all have. Otherwise the i-th of the
/// layers with routed experts, counted from 0, uses those of layer number i
/// modulo `sets`. Throws if these have other types or shapes.
std::vector<size_t> weightOwners(std::span<const Weight> weights, int64_t sets);

/// Layers that have routed experts.
int64_t countExpertLayers(std::span<const Weight> weights);

} // namespace varve::runtime

#endif // VARVE_RUNTIME_WEIGHTS_SHAREDEXPERTS_H
