//===- RopeTable.h - Rotary frequencies ------------------------*- C++ -*-===//
#ifndef VARVE_PASSES_LOWER_ROPETABLE_H
#define VARVE_PASSES_LOWER_ROPETABLE_H

#include "dialects/Varve/Varve.h"

namespace mlir::varve {

/// f_i of the table's pairs, in f32 and computed in f32 where the model's own
/// program does: angles are products with positions up to a million, so their
/// last bit is visible.
SmallVector<float> getRopeFrequencies(RopeAttr table);

} // namespace mlir::varve

#endif // VARVE_PASSES_LOWER_ROPETABLE_H
