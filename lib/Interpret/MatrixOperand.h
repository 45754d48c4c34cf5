//===- MatrixOperand.h - Operands of matrix products, by row ---*- C++ -*-===//
//
// Private to lib/Interpret: pairs an operand with its scales, so that the
// products are written once for plain numbers and codes.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_INTERPRET_MATRIXOPERAND_H
#define VARVE_INTERPRET_MATRIXOPERAND_H

#include "lib/Interpret/InterpretFrame.h"
#include "lib/Interpret/Reference/Linear.h"
#include "lib/Interpret/Reference/Quantize.h"

namespace varve {

/// The left operand: rows of activations, all dimensions after the first
/// flattened.
class RowOperand {
public:
  RowOperand(const mlir::varve::InterpretFrame &frame, mlir::Value x,
             mlir::Value scale, std::optional<uint64_t> block)
      : x(frame.get(x)), block(block.value_or(0)) {
    if (scale)
      scales = frame.get(scale);
  }

  int64_t getNumRows() const { return x.getNumRows(); }

  /// Whether the rows are codes with scales.
  bool hasCodes() const { return block != 0; }

  reference::ScaledRow row(int64_t t) const { return groupRow(t, 0, 1); }

  /// Group `group` of `groups` equal parts of row t.
  reference::ScaledRow groupRow(int64_t t, int64_t group,
                                int64_t groups) const {
    reference::ScaledRow result;
    int64_t width = x.getRowSize() / groups;
    result.codes = x.row(t).slice(group * width, width);
    if (block) {
      int64_t count = scales.getRowSize() / groups;
      result.scales = scales.row(t).slice(group * count, count);
      result.block = block;
    }
    return result;
  }

private:
  HostTensor x, scales;
  int64_t block;
};

/// The right operand: a weight of rank 2, or one of rank 3 that stacks as many
/// matrices.
class MatrixOperand {
public:
  MatrixOperand(const mlir::varve::InterpretFrame &frame, mlir::Value weight,
                mlir::Value scale, std::optional<llvm::ArrayRef<int64_t>> block)
      : weight(frame.get(weight)) {
    if (!scale)
      return;
    scales = frame.get(scale).allFloats();
    scaleShape = llvm::to_vector(frame.get(scale).getShape());
    blockRows = (*block)[0];
    blockColumns = (*block)[1];
  }

  /// Rows of one matrix.
  int64_t getNumRows() const { return weight.getShape().drop_back().back(); }

  /// Row n of matrix `index`, decoded into `scratch` if need be: codes with
  /// their scales for a product with the codes of `x`, numbers otherwise.
  reference::ScaledRow rowFor(const RowOperand &x, int64_t n,
                              std::vector<float> &scratch,
                              int64_t index = 0) const {
    reference::ScaledRow result;
    result.codes = weight.innerRow(index * getNumRows() + n, scratch);
    if (!blockColumns)
      return result;
    int64_t columns = scaleShape.back(),
            rows = scaleShape[scaleShape.size() - 2];
    llvm::ArrayRef<float> rowScales = llvm::ArrayRef<float>(scales).slice(
        (index * rows + n / blockRows) * columns, columns);
    if (x.hasCodes()) {
      result.scales = rowScales;
      result.block = blockColumns;
      return result;
    }
    std::vector<float> numbers(result.codes.size());
    reference::dequantize(result.codes, rowScales, blockColumns, numbers);
    scratch = std::move(numbers);
    result.codes = scratch;
    return result;
  }

private:
  HostTensor weight;
  std::vector<float> scales;
  llvm::SmallVector<int64_t> scaleShape;
  int64_t blockRows = 0, blockColumns = 0;
};

} // namespace varve

#endif // VARVE_INTERPRET_MATRIXOPERAND_H
