//===- Elementwise.cpp - One op per register ------------------------------===//

#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "passes/Engine/Nvidia/Lowering.h"

using namespace mlir;
using namespace mlir::varve::tile;
using namespace mlir::varve::nvidia;

void Lowering::lowerScalarOp(Operation *op) {
  code.builder.clone(*op, scalars);
}

static bool isNarrowFloat(Type type) {
  return isa<FloatType>(type) && type.getIntOrFloatBitWidth() <= 16;
}

/// Conversions from and to narrow floats have instructions for pairs.
static bool convertsInPairs(Operation *op) {
  if (!isa<arith::ExtFOp, arith::TruncFOp>(op))
    return false;
  return isNarrowFloat(getElementTypeOrSelf(op->getResult(0).getType())) ||
         isNarrowFloat(getElementTypeOrSelf(op->getOperand(0).getType()));
}

/// Two f32 as a pair of bf16, in one instruction also where only one of them is
/// used as such: LLVM would convert each alone, at an eighth of the rate.
static Value roundToBF16(Code &code, Value first, Value second) {
  return code.create<NVVM::ConvertF32x2ToBF16x2Op>(
      VectorType::get(2, code.builder.getBF16Type()), second, first,
      /*random_bits=*/Value(), NVVM::FPRoundingMode::RN);
}

LogicalResult Lowering::lowerElementwise(Operation *op) {
  auto type = dyn_cast<RankedTensorType>(op->getResult(0).getType());
  if (!type)
    return refuse(op, "on tiles, only element-wise ops are known");
  for (Value operand : op->getOperands()) {
    auto other = dyn_cast<RankedTensorType>(operand.getType());
    if (other && other.getEncoding() != type.getEncoding())
      return refuse(op, "operands and result have different layouts");
  }
  Type element = type.getElementType();
  size_t count = getMap(type).getNumRegisters();
  SmallVector<Value> registers;
  auto emit = [&](ValueRange operands, Type result) {
    return code.builder
        .create(code.loc, op->getName().getIdentifier(), operands,
                TypeRange(result), op->getAttrs())
        ->getResult(0);
  };
  if (convertsInPairs(op) && count % 2 == 0) {
    ArrayRef<Value> source = getTile(op->getOperand(0)).registers;
    Type from = source.front().getType();
    for (size_t i = 0; i < count; i += 2) {
      if (source[i] == source[i + 1]) {
        registers.append(2, emit(source[i], element));
        continue;
      }
      Value result;
      if (from.isF32() && element.isBF16()) {
        result = roundToBF16(code, source[i], source[i + 1]);
      } else {
        Value pair = code.create<vector::FromElementsOp>(
            VectorType::get(2, from), ValueRange{source[i], source[i + 1]});
        result = emit(pair, VectorType::get(2, element));
      }
      for (int64_t lane = 0; lane < 2; ++lane)
        registers.push_back(
            code.create<vector::ExtractOp>(result, ArrayRef<int64_t>{lane}));
    }
    setTile(op->getResult(0), std::move(registers));
    return success();
  }
  // Registers that hold one value (of splats) are computed once.
  SmallVector<Value> last;
  for (size_t i = 0; i < count; ++i) {
    SmallVector<Value> operands;
    for (Value operand : op->getOperands())
      operands.push_back(isa<RankedTensorType>(operand.getType())
                             ? getTile(operand).registers[i]
                             : scalar(operand));
    registers.push_back(operands == last ? registers.back()
                                         : emit(operands, element));
    last = std::move(operands);
  }
  setTile(op->getResult(0), std::move(registers));
  return success();
}

LogicalResult Lowering::lowerConstant(arith::ConstantOp op) {
  auto elements = dyn_cast<DenseElementsAttr>(op.getValue());
  if (!elements)
    return refuse(op, "only dense constants are known");
  auto type = cast<RankedTensorType>(op.getType());
  const LayoutMap &map = getMap(type);
  Type element = type.getElementType();
  if (elements.isSplat()) {
    Value scalar = code.create<arith::ConstantOp>(
        cast<TypedAttr>(elements.getSplatValue<Attribute>()));
    setTile(op.getResult(), SmallVector<Value>(map.getNumRegisters(), scalar));
    return success();
  }
  // Others are an array of the module, read by every lane.
  Value array = getConstantArray(
      engine::getConstantBytes(elements, getStorageBytes(element)),
      /*alignment=*/16);
  SmallVector<Value> base = getBase(map), registers;
  for (int64_t reg = 0; reg < map.getNumRegisters(); ++reg) {
    Value number = code.i32(0);
    for (int64_t dim = 0; dim < map.getRank(); ++dim)
      number = code.add(code.mul(number, map.getShape()[dim]),
                        getCoordinate(map, base, reg, dim));
    Value address =
        code.offset(array, code.mul(number, getStorageBytes(element)));
    registers.push_back(code.fromStorage(
        code.load(address, getStorageType(element), 1).front(), element));
  }
  setTile(op.getResult(), std::move(registers));
  return success();
}
