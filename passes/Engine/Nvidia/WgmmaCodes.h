//===- WgmmaCodes.h - Warpgroup products of FP4 codes ----------*- C++ -*-===//
//
// Products whose left operand's codes lanes unpack into registers, a function
// for each kind (`CodeProduct`).
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_PASSES_ENGINE_NVIDIA_WGMMACODES_H
#define VARVE_PASSES_ENGINE_NVIDIA_WGMMACODES_H

#include "passes/Engine/Nvidia/WgmmaPlan.h"

namespace mlir::varve::nvidia {

/// CodeProduct::Folded, into `registers`, whose last group of instructions is
/// under way in the end. Codes are unpacked for a part of K while the products
/// of the part before run: two parts' words are alive at a time.
void multiplyFolded(Lowering &lowering, tile::DotOp op, WgmmaPlan &plan,
                    MutableArrayRef<Value> registers,
                    std::optional<Value> accumulate);

/// CodeProduct::SumsOfWords, complete. Products of one instruction along K have
/// sums of their own. Those of a block are under way while codes of the next
/// one are unpacked.
void multiplyWords(Lowering &lowering, tile::DotOp op, WgmmaPlan &plan);

/// CodeProduct::Shifted: sums of 128 products. Codes are unpacked while the
/// block before is under way, that of the product before too: registers of one
/// block are read while those of the next are made, but only one has sums of
/// its own. The last block's are added when somebody needs them
/// (`finishLater`).
void multiplyShifted(Lowering &lowering, tile::DotOp op, WgmmaPlan &plan);

} // namespace mlir::varve::nvidia

#endif // VARVE_PASSES_ENGINE_NVIDIA_WGMMACODES_H
