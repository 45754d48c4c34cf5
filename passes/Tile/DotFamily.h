//===- DotFamily.h - What matrix instructions want of layouts --*- C++ -*-===//
//
// Each family of matrix instructions says which products it can compute and how
// accumulators and register operands lie. tile-assign-layouts asks the families
// in the order of the target model's engines; the NVIDIA engine then knows the
// family by the layout of the accumulator.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_PASSES_TILE_DOTFAMILY_H
#define VARVE_PASSES_TILE_DOTFAMILY_H

#include "dialects/Tile/Tile.h"
#include "lib/Target/Model/TargetModel.h"

namespace mlir::varve::tile {

/// Where a product stands.
struct DotContext {
  const ::varve::TargetModel &target;
  /// Of the role or function that runs it.
  int64_t numWarps;
  /// Of the function; null without one.
  StrategyAttr strategy;
};

/// Layouts of a product's tiles. Null operand layouts leave the choice to
/// others; the accumulator's is never null.
struct DotLayouts {
  Attribute accumulator;
  Attribute a, b, aScale, bScale;
};

class DotFamily {
public:
  virtual ~DotFamily() = default;
  virtual DotKind getKind() const = 0;
  /// Whether the target has the instructions and they compute this product, as
  /// documented, with these operands, element types, sizes and warps.
  virtual bool accepts(DotOp op, const DotContext &context) const = 0;
  virtual DotLayouts getLayouts(DotOp op, const DotContext &context) const = 0;
};

/// Warpgroup products (DotFamilyWgmma.cpp).
const DotFamily &getWgmmaFamily();
/// Multiply-add; accepts everything (DotFamilyFma.cpp).
const DotFamily &getFmaFamily();
/// mma.sync (DotFamilyMma.cpp).
const DotFamily &getMmaFamily();

/// How a warpgroup product takes f4E2M1FN codes of a left operand in shared
/// memory, with powers of two as scales, from registers.
enum class CodeProduct {
  /// Beside bf16: times the scales of 32 or more columns of a row. bf16 has
  /// their range, so that this is exact.
  Folded,
  /// Beside scaled f8E4M3FN in words: as f8E4M3FN. A scale is that of an
  /// instruction's 32 columns, whose sum is multiplied by it. Such sums keep 13
  /// bits behind the leading one of their largest product, and a product has
  /// six bits: those above 2^-7 of the largest are added as they are.
  SumsOfWords,
  /// Beside scaled f8E4M3FN in quarters: times their scales, as f8E5M2, which
  /// has their range but for scales that are multiplied apart. Sums of 128
  /// products, and short ones.
  Shifted
};

/// How the product takes codes from registers; none if it does not.
std::optional<CodeProduct> getCodeProduct(DotOp op);

/// The family for a product: the one that the strategy asks for, if it accepts
/// the product, else the first that does.
const DotFamily &selectDotFamily(DotOp op, const DotContext &context);

} // namespace mlir::varve::tile

#endif // VARVE_PASSES_TILE_DOTFAMILY_H
