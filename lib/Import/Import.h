//===- Import.h - From a model description to the varve dialect *- C++ -*-===//
//
// Phase 1. The module holds the model's mathematics: activations and pools are
// f32, weights have the element types in which they are stored, and no
// rounding is stated yet. Precision is the next phase's business.
//
// Layout of the module:
//
//   pools                    @layers.N.attn.window, .entries, ...
//   @embed(ids) -> X         X is tensor<?xnxD>, the residual streams
//   @layers.N(X, ids, positions, slots) -> X
//   @head(X, rows) -> logits
//   @step(ids, positions, slots, rows) -> logits
//
// Every op has a name location below the function's file location
// ("layers.2.attn.indexer.topk"): profiles, remarks, errors and `varve check`
// refer to ops by these names.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_IMPORT_IMPORT_H
#define VARVE_IMPORT_IMPORT_H

#include "lib/Model/ModelConfig.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/OwningOpRef.h"
#include "llvm/ADT/STLFunctionalExtras.h"

namespace varve {

/// Stored element type of the tensor with an official name. `implied` is what
/// the configuration says; a checkpoint may store something else.
using StoredTypeFn =
    llvm::function_ref<WeightType(llvm::StringRef name, WeightType implied)>;

/// Builds the module of a valid configuration. `source` names the file that
/// the description came from, for locations. Loads the dialects it needs into
/// `context`.
mlir::OwningOpRef<mlir::ModuleOp> importModel(mlir::MLIRContext &context,
                                              const ModelConfig &config,
                                              llvm::StringRef source,
                                              StoredTypeFn storedType);

/// The same with the types that the configuration implies.
mlir::OwningOpRef<mlir::ModuleOp> importModel(mlir::MLIRContext &context,
                                              const ModelConfig &config,
                                              llvm::StringRef source);

} // namespace varve

#endif // VARVE_IMPORT_IMPORT_H
