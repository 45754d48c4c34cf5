//===- LayerChecks.h - Layers and their insides, alone ---------*- C++ -*-===//
#ifndef VARVE_RUNTIME_TOOL_LAYERCHECKS_H
#define VARVE_RUNTIME_TOOL_LAYERCHECKS_H

#include "runtime/Session/Session.h"
#include "runtime/Tool/Commands.h"
#include "runtime/Tool/ReferenceFile.h"

namespace varve::runtime {

/// Rows of logits that the comparison needs at once with such a plan, for
/// `tokens` prompt tokens in a run; 0: none.
int64_t logitRowsOf(const Plan &plan, const ReferenceFile &reference,
                    int64_t tokens);

/// Compares every layer that the reference has input and output of, what
/// follows the last one, and, where the package has programs for it, every
/// value inside layers that the reference stores. Says on standard error what
/// was left out.
std::vector<CheckRow> checkLayers(Session &session,
                                  const ReferenceFile &reference,
                                  const CheckOptions &options,
                                  const CheckLimits &limits);

} // namespace varve::runtime

#endif // VARVE_RUNTIME_TOOL_LAYERCHECKS_H
