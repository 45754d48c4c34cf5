//===- InstructionNeeds.h - What PTX and intrinsics require ----*- C++ -*-===//
//
// The part of the legality table that works on text: instructions inside
// inline assembly and names of LLVM intrinsics.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_PASSES_TARGET_INSTRUCTIONNEEDS_H
#define VARVE_PASSES_TARGET_INSTRUCTIONNEEDS_H

#include "lib/Target/Model/TargetModel.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/StringRef.h"
#include <optional>

namespace mlir::varve {

/// The feature that one PTX instruction needs, given its opcode with all
/// modifiers ("mma.sync.aligned.m16n8k32.row.col.f32.e4m3.e4m3.f32"). Nothing
/// for those that every target has or that the table does not know.
std::optional<::varve::Feature> getOpcodeNeed(llvm::StringRef opcode);

/// The same for an LLVM intrinsic ("llvm.nvvm.wgmma.fence.sync.aligned").
std::optional<::varve::Feature> getIntrinsicNeed(llvm::StringRef name);

/// Calls `visit` with the opcode of each instruction in `assembly`, which may
/// hold several, with labels, predicates, braces and comments.
void forEachOpcode(llvm::StringRef assembly,
                   llvm::function_ref<void(llvm::StringRef)> visit);

} // namespace mlir::varve

#endif // VARVE_PASSES_TARGET_INSTRUCTIONNEEDS_H
