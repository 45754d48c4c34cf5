//===- ExpertsProgram.h - Parts of experts' programs -----------*- C++ -*-===//
#ifndef VARVE_PASSES_LOWER_PROGRAMS_EXPERTSPROGRAM_H
#define VARVE_PASSES_LOWER_PROGRAMS_EXPERTSPROGRAM_H

#include "passes/Lower/Programs/Experts.h"
#include "varve/Support/Assert.h"

namespace mlir::varve {

/// Elements of a tile that has one for every expert.
int64_t getExpertRoom(const ExpertsShape &shape);

/// The exponent of products of codes in quarters, whose scales they take: those
/// of trained models' weights are from 2^-15 to 2^-5. Scales of rows bring the
/// rest.
inline constexpr int64_t kQuartersExponent = 10;

/// The order of arranged rows' columns.
tile::Quads getQuads(const ExpertsStrategy &strategy);

/// What programs of experts share: arguments, and what follows the products.
class ExpertsProgram {
public:
  ExpertsProgram(TileProgram &p, const ExpertsShape &shape,
                 const ExpertsStrategy &strategy);

  void addInputs();
  void addWeights();
  void addResults();
  /// Codes or numbers [BN, BK] of a weight, in its element type.
  Value loadWeight(unsigned i, Value expert, Value k);
  /// Their scales [rows, BK / columns], in f32: one row for all of the tile's
  /// columns where they lie in one block.
  Value loadWeightScales(unsigned i, Value expert, Value k);
  /// [rows, G] as [BN, groups], repeated along both.
  Value expandScales(Value scales, int64_t rows, int64_t groups);
  /// Products [rows, BN] of all weights to the result, f32, rounded.
  Value finish(ArrayRef<Value> products, Value routing);
  void store(Value tile,
             function_ref<void(Value tile, Value view, Value column)> write);

  TileProgram &p;
  const ExpertsShape &shape;
  const ExpertsStrategy &strategy;
  int64_t BN, BK;
  Value x, xScales, routing, result, resultScales;
  SmallVector<Value> weights, weightScales;
  /// The first column of this block's tile of the result.
  Value column;
};

} // namespace mlir::varve

#endif // VARVE_PASSES_LOWER_PROGRAMS_EXPERTSPROGRAM_H
