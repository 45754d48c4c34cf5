//===- Registration.h - Dialects and passes of all tools -------*- C++ -*-===//
#ifndef VARVE_TOOLS_REGISTRATION_H
#define VARVE_TOOLS_REGISTRATION_H

namespace mlir {
class DialectRegistry;
} // namespace mlir

namespace varve {

/// Adds every dialect that a Varve tool reads or writes, and the external
/// models attached to them.
void registerDialects(mlir::DialectRegistry &registry);

/// Registers Varve's own passes and pipelines and the upstream ones with the
/// command line of `varve-opt`.
void registerPasses();

} // namespace varve

#endif // VARVE_TOOLS_REGISTRATION_H
