//===- TileDialect.cpp - Registration of the kernel dialect ---------------===//

#include "dialects/Tile/Tile.h"

#include "mlir/IR/DialectImplementation.h"

using namespace mlir;
using namespace mlir::varve::tile;

#include "dialects/Tile/TileDialect.cpp.inc"
#include "dialects/Tile/TileInterfaces.cpp.inc"

#define GET_OP_CLASSES
#include "dialects/Tile/TileOps.cpp.inc"

void TileDialect::initialize() {
  registerAttributes();
  registerTypes();
  addOperations<
#define GET_OP_LIST
#include "dialects/Tile/TileOps.cpp.inc"
      >();
}

Operation *TileDialect::materializeConstant(OpBuilder &builder, Attribute value,
                                            Type type, Location loc) {
  return arith::ConstantOp::materialize(builder, value, type, loc);
}

bool varve::tile::isTileType(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  if (!tensor || !tensor.hasStaticShape() || tensor.getRank() < 1 ||
      tensor.getRank() > 4 || llvm::is_contained(tensor.getShape(), 0))
    return false;
  return !tensor.getEncoding() ||
         isa<LayoutAttrInterface>(tensor.getEncoding());
}

bool varve::tile::isMemoryElementType(Type type) {
  if (isa<BFloat16Type, Float16Type, Float32Type, Float64Type, Float8E4M3FNType,
          Float8E5M2Type, Float8E8M0FNUType, Float4E2M1FNType>(type))
    return true;
  auto integer = dyn_cast<IntegerType>(type);
  return integer && integer.isSignless() &&
         llvm::is_contained({8u, 16u, 32u, 64u}, integer.getWidth());
}

RankedTensorType varve::tile::getMaskType(Type tile) {
  auto tensor = cast<RankedTensorType>(tile);
  return tensor.clone(IntegerType::get(tile.getContext(), 1));
}

bool varve::tile::haveSameShape(Type a, Type b) {
  auto describe = [](Type type) -> std::pair<ArrayRef<int64_t>, Type> {
    if (auto buffer = dyn_cast<BufferType>(type))
      return {buffer.getShape(), buffer.getElementType()};
    if (auto tensor = dyn_cast<RankedTensorType>(type))
      return {tensor.getShape(), tensor.getElementType()};
    return {{}, type};
  };
  return describe(a) == describe(b);
}
