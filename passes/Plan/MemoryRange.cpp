//===- MemoryRange.cpp - Which memory a plan tensor is --------------------===//

#include "passes/Plan/MemoryRange.h"

using namespace mlir;
using namespace mlir::varve;
using namespace mlir::varve::plan;

MemoryRange plan::getMemoryRange(Value tensor) {
  MLIRContext *context = tensor.getContext();
  MemoryRange range{tensor, LinearAttr::get(context, 0),
                    cast<DeviceTensorType>(tensor.getType())};
  auto addOffset = [&](LinearAttr offset) {
    if (offset && range.offset)
      range.offset = range.offset.plus(offset);
  };
  while (auto view = tensor.getDefiningOp<ViewOp>()) {
    addOffset(view.getOffsetAttr());
    tensor = view.getSource();
  }
  range.memory = tensor;
  if (auto pool = tensor.getDefiningOp<PoolMemoryOp>()) {
    addOffset(pool.getOffsetAttr());
    range.memory = Attribute(pool.getPoolAttr());
  } else if (auto weight = tensor.getDefiningOp<WeightOp>()) {
    range.memory = Attribute(weight.getNameAttr());
  }
  return range;
}

AllocOp plan::getAlloc(Value tensor) {
  while (auto view = tensor.getDefiningOp<ViewOp>())
    tensor = view.getSource();
  return tensor.getDefiningOp<AllocOp>();
}

/// The distance in bytes between rows of a tensor, and the bytes of a row, if
/// both are constants.
static std::optional<std::pair<int64_t, int64_t>>
getRows(DeviceTensorType type) {
  int64_t bits = type.getElementType().getIntOrFloatBitWidth();
  LinearAttr stride = type.getStride(0);
  if (type.getRank() < 2 || !stride || !stride.isConstant() ||
      stride.getConstant() * bits % 8 != 0)
    return std::nullopt;
  SmallVector<int64_t> strides;
  for (int64_t dim = 1; dim < type.getRank(); ++dim) {
    LinearAttr inner = type.getStride(dim);
    if (!inner || !inner.isConstant())
      return std::nullopt;
    strides.push_back(inner.getConstant());
  }
  auto row = DeviceTensorType::get(type.getShape().drop_front(),
                                   type.getElementType(), strides);
  LinearAttr bytes = row.getSizeInBytes();
  if (!bytes || !bytes.isConstant())
    return std::nullopt;
  return std::pair(stride.getConstant() * bits / 8, bytes.getConstant());
}

/// Whether both tensors are columns of one array of rows, and different ones.
static bool areDifferentColumns(const MemoryRange &a, const MemoryRange &b) {
  auto rowsOfA = getRows(a.type), rowsOfB = getRows(b.type);
  if (!rowsOfA || !rowsOfB || rowsOfA->first != rowsOfB->first ||
      rowsOfA->first <= 0)
    return false;
  int64_t pitch = rowsOfA->first;
  // Offsets within a row: the parts that depend on sizes must be whole rows.
  auto getColumn = [&](LinearAttr offset) -> std::optional<int64_t> {
    for (int64_t factor : offset.getCoefficients().drop_front())
      if (factor % pitch != 0)
        return std::nullopt;
    return offset.getConstant() % pitch;
  };
  std::optional<int64_t> columnOfA = getColumn(a.offset),
                         columnOfB = getColumn(b.offset);
  if (!columnOfA || !columnOfB)
    return false;
  int64_t endOfA = *columnOfA + rowsOfA->second,
          endOfB = *columnOfB + rowsOfB->second;
  return endOfA <= pitch && endOfB <= pitch &&
         (endOfA <= *columnOfB || endOfB <= *columnOfA);
}

bool plan::areDisjoint(const MemoryRange &a, const MemoryRange &b) {
  if (a.memory != b.memory)
    return true;
  LinearAttr sizeOfA = a.type.getSizeInBytes(),
             sizeOfB = b.type.getSizeInBytes();
  if (!a.offset || !b.offset || !sizeOfA || !sizeOfB)
    return false;
  LinearAttr endOfA = a.offset.plus(sizeOfA), endOfB = b.offset.plus(sizeOfB);
  return (endOfA && endOfA.isAtMost(b.offset)) ||
         (endOfB && endOfB.isAtMost(a.offset)) || areDifferentColumns(a, b);
}

/// Adds what happens to `view` and to its subviews.
static void addAccesses(Value view, ArgumentAccess &access) {
  for (Operation *user : view.getUsers()) {
    if (auto subview = dyn_cast<tile::SubviewOp>(user)) {
      addAccesses(subview.getResult(), access);
      continue;
    }
    if (isMemoryEffectFree(user))
      continue;
    auto interface = dyn_cast<MemoryEffectOpInterface>(user);
    SmallVector<MemoryEffects::EffectInstance> effects;
    if (interface)
      interface.getEffectsOnValue(view, effects);
    else
      access.reads = true;
    for (const MemoryEffects::EffectInstance &effect : effects) {
      access.reads |= isa<MemoryEffects::Read>(effect.getEffect());
      access.writes |= isa<MemoryEffects::Write>(effect.getEffect());
    }
  }
}

SmallVector<ArgumentAccess> plan::getAccesses(tile::FuncOp kernel) {
  SmallVector<ArgumentAccess> accesses(kernel.getNumArguments());
  for (BlockArgument argument : kernel.getArguments())
    if (isa<tile::ViewType>(argument.getType()))
      addAccesses(argument, accesses[argument.getArgNumber()]);
  return accesses;
}
