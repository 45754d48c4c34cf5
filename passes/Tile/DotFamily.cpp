//===- DotFamily.cpp - Which matrix instructions multiply -----------------===//

#include "passes/Tile/DotFamily.h"

using namespace mlir;
using namespace mlir::varve::tile;

/// All families, the fastest first.
static ArrayRef<const DotFamily *> getFamilies() {
  static const DotFamily *const families[] = {&getWgmmaFamily(),
                                              &getMmaFamily(), &getFmaFamily()};
  return families;
}

const DotFamily &mlir::varve::tile::selectDotFamily(DotOp op,
                                                    const DotContext &context) {
  DotKind wanted = context.strategy ? context.strategy.getDot() : DotKind::Auto;
  for (const DotFamily *family : getFamilies())
    if (family->getKind() == wanted && family->accepts(op, context))
      return *family;
  for (const DotFamily *family : getFamilies())
    if (family->accepts(op, context))
      return *family;
  return getFmaFamily();
}
