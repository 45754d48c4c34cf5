//===- PlanReader.h - From FlatBuffers to a plan ---------------*- C++ -*-===//
#ifndef VARVE_RUNTIME_PACKAGE_PLANREADER_H
#define VARVE_RUNTIME_PACKAGE_PLANREADER_H

#include "runtime/MappedFile.h"
#include "runtime/Package/Plan.h"

namespace varve::runtime {

/// Decodes a plan (plan.fbs). Throws unless the bytes are a well-formed buffer
/// of the version that this runtime reads, with known enumerators. `place` is
/// for messages.
Plan readPlan(const std::string &place, Bytes bytes);

/// Checks every rule of plan.fbs, so that executing the plan cannot go out of
/// bounds on the host's side: indices, sizes, alignments, overflows, offsets
/// within their memory, expressions of grids, conditions without gaps. The
/// message names the part of the plan, what was expected, and what is there.
void verifyPlan(const std::string &place, const Plan &plan);

} // namespace varve::runtime

#endif // VARVE_RUNTIME_PACKAGE_PLANREADER_H
