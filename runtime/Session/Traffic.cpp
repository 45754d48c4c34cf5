//===- Traffic.cpp - What a step reads at least ---------------------------===//

#include "runtime/Session/Traffic.h"
#include <algorithm>
#include <cmath>
#include <set>

namespace varve::runtime {

namespace {

bool isExpertStack(const Weight &weight) {
  return weight.name.find(".experts.*.") != std::string::npos;
}

bool isRoutingTable(const Weight &weight) {
  return weight.name.ends_with("tid2eid");
}

/// Whether tokens are multiplied by it: neither a scale nor added to something.
bool isMatrix(const Weight &weight) {
  return weight.shape.size() >= 2 && !weight.name.ends_with(".scale") &&
         !weight.name.ends_with("ape") && !isRoutingTable(weight);
}

/// Experts that a token takes; 0 if no table says it.
int64_t expertsPerToken(const Plan &plan) {
  for (const Weight &weight : plan.weights)
    if (isRoutingTable(weight))
      return weight.shape.back();
  return 0;
}

double elementsOf(const Weight &weight) {
  double elements = 1;
  for (int64_t extent : weight.shape)
    elements *= static_cast<double>(extent);
  return elements;
}

} // namespace

Traffic trafficOf(const Plan &plan, const Program &program,
                  const Sizes &sizes) {
  Traffic traffic;
  std::set<uint32_t> used;
  for (size_t index : program.launchesFor(plan, sizes)) {
    const Launch &launch = program.launches[index];
    for (const Word &word : launch.words)
      if (word.kind == Word::Kind::Weight)
        used.insert(word.index);
    for (const MappedView &map : launch.maps)
      if (map.address.kind == Word::Kind::Weight)
        used.insert(map.address.index);
  }
  auto tokens = static_cast<double>(sizes[Symbol::Tokens]);
  auto rows = static_cast<double>(sizes[Symbol::Rows]);
  auto taken = static_cast<double>(expertsPerToken(plan));
  for (uint32_t index : used) {
    const Weight &weight = plan.weights[index];
    auto bytes = static_cast<double>(weight.getBytes());
    auto first = static_cast<double>(weight.shape.front());
    if (isExpertStack(weight)) {
      traffic.expertsUnknown |= taken == 0;
      double reached = 1 - std::pow(1 - taken / first, tokens);
      traffic.weightBytes += bytes * reached;
      if (isMatrix(weight))
        traffic.operations += 2 * tokens * elementsOf(weight) * taken / first;
      continue;
    }
    if (isRoutingTable(weight) || weight.name == "embed.weight") {
      traffic.weightBytes += bytes * std::min(1.0, tokens / first);
      continue;
    }
    traffic.weightBytes += bytes;
    if (isMatrix(weight))
      traffic.operations += 2 *
                            (weight.name.starts_with("head") ? rows : tokens) *
                            elementsOf(weight);
  }
  return traffic;
}

double rememberedBytes(const Plan &plan, int64_t length) {
  double bytes = 0;
  for (const Pool &pool : plan.pools) {
    int64_t rows = pool.kind == PoolKind::Entries
                       ? length / (pool.page / pool.rowsEach)
                       : std::min(length, pool.rowsEach);
    bytes += static_cast<double>(rows) * static_cast<double>(pool.rowBytes);
  }
  return bytes;
}

} // namespace varve::runtime
