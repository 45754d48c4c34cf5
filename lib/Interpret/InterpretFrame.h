//===- InterpretFrame.h - What an op sees while it is executed -*- C++ -*-===//
//
// Private to lib/Interpret. One frame is one call of a function of the module.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_INTERPRET_INTERPRETFRAME_H
#define VARVE_INTERPRET_INTERPRETFRAME_H

#include "lib/Interpret/HostTensor.h"
#include "lib/Interpret/PoolStore.h"
#include "mlir/IR/Value.h"
#include "llvm/ADT/DenseMap.h"

namespace mlir::varve {

class InterpretFrame {
public:
  using HostTensor = ::varve::HostTensor;
  using PoolStore = ::varve::PoolStore;

  explicit InterpretFrame(PoolStore &pools) : pools(pools) {}

  /// The value, sharing its elements.
  HostTensor get(Value value) const {
    auto it = values.find(value);
    VARVE_ASSERT(it != values.end(),
                 "operands are computed before their users");
    return it->second;
  }

  void set(Value value, HostTensor tensor) {
    values[value] = std::move(tensor);
  }

  /// A new float tensor for `result`, to be filled through the returned handle.
  /// The interpreter rounds it to its element type after the op.
  HostTensor create(Value result, ArrayRef<int64_t> shape) {
    Type element = cast<ShapedType>(result.getType()).getElementType();
    return values[result] = HostTensor::ofFloats(element, shape);
  }

  /// The same for integers.
  HostTensor createNumbers(Value result, ArrayRef<int64_t> shape,
                           std::vector<int32_t> elements) {
    Type element = cast<ShapedType>(result.getType()).getElementType();
    return values[result] =
               HostTensor::ofNumbers(element, shape, std::move(elements));
  }

  PoolStore &getPools() { return pools; }

private:
  PoolStore &pools;
  llvm::DenseMap<Value, HostTensor> values;
};

} // namespace mlir::varve

namespace varve {

/// Attach the meaning of each group of ops to the dialect.
void registerStreamSemantics(mlir::MLIRContext &context);
void registerLinearSemantics(mlir::MLIRContext &context);
void registerAttentionSemantics(mlir::MLIRContext &context);
void registerExpertSemantics(mlir::MLIRContext &context);

} // namespace varve

#endif // VARVE_INTERPRET_INTERPRETFRAME_H
