//===- Tile.h - The kernel dialect -----------------------------*- C++ -*-===//
//
// Types, attributes and ops of the `tile` dialect. Their meaning is written in
// the .td files; Rationale.md says why they are what they are.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_DIALECTS_TILE_TILE_H
#define VARVE_DIALECTS_TILE_TILE_H

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/IR/TensorEncoding.h"
#include "mlir/Interfaces/ControlFlowInterfaces.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

namespace mlir::varve::tile {

/// Global memory, shared memory, and the order of events between blocks and
/// between roles, as resources of memory effects.
class GlobalMemory : public SideEffects::Resource::Base<GlobalMemory> {
public:
  StringRef getName() final { return "TileGlobalMemory"; }
};
class SharedMemory : public SideEffects::Resource::Base<SharedMemory> {
public:
  StringRef getName() final { return "TileSharedMemory"; }
};
class Schedule : public SideEffects::Resource::Base<Schedule> {
public:
  StringRef getName() final { return "TileSchedule"; }
};

/// Lanes of a warp, everywhere.
inline constexpr int64_t kWarpLanes = 32;

/// Whether a type is that of a block-level value: a ranked tensor of static
/// shape with 1 to 4 dimensions of positive size and a tile layout or none.
bool isTileType(Type type);

/// Whether memory may hold elements of this type (ViewType, C3).
bool isMemoryElementType(Type type);

/// The type of a mask for a tile: i1, same shape and layout.
RankedTensorType getMaskType(Type tile);

/// Whether two types among tiles and buffers agree in shape and element type.
bool haveSameShape(Type a, Type b);

} // namespace mlir::varve::tile

#include "dialects/Tile/TileDialect.h.inc"
#include "dialects/Tile/TileEnums.h.inc"

#include "dialects/Tile/TileAttrInterfaces.h.inc"

#define GET_ATTRDEF_CLASSES
#include "dialects/Tile/TileAttrs.h.inc"

#define GET_TYPEDEF_CLASSES
#include "dialects/Tile/TileTypes.h.inc"

#include "dialects/Tile/TileInterfaces.h.inc"

#define GET_OP_CLASSES
#include "dialects/Tile/TileOps.h.inc"

#endif // VARVE_DIALECTS_TILE_TILE_H
