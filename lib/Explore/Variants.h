//===- Variants.h - Pools as a mix wants them ------------------*- C++ -*-===//
//
// Settings of a mix that change pools after its precision was applied:
//
//   pool.window, pool.entries, pool.keys = f32 | bf16 | fp8 | fp4
//       The format of rows: plain numbers; E4M3 codes with an E8M0 scale per
//       64 and a bf16 rotary part (keys: one f32 scale a row); E2M1 codes with
//       an E8M0 scale per 32 and a bf16 rotary part (keys: all codes).
//   select.window, select.entries, select.keys = KEEP[:SCORE[:EVERY]]
//       Keep the KEEP best rows of a sequence, by SCORE position, attention or
//       key, computed every EVERY tokens (#varve.select).
//
// Keys are the pools that an indexer reads; entries all other entry pools,
// values included. The arithmetic stays what the precision says.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_EXPLORE_VARIANTS_H
#define VARVE_EXPLORE_VARIANTS_H

#include "lib/Explore/Query.h"
#include "lib/Explore/Rules.h"
#include "mlir/IR/BuiltinOps.h"

namespace varve {

/// Whether `name` is one of the settings above.
bool isVariantSetting(llvm::StringRef name);

/// Fails if the value of such a setting is malformed: "set 'pool.keys=x':
/// expected ...".
llvm::Error checkVariantSetting(const Setting &setting);

/// Applies them to the pools of `module`. What a pool cannot be is refused; a
/// setting for a pool that the module lacks changes nothing.
std::optional<Refusal> applyVariants(mlir::ModuleOp module,
                                     llvm::ArrayRef<Setting> settings);

} // namespace varve

#endif // VARVE_EXPLORE_VARIANTS_H
