//===- TileInterfaces.td - What tile ops can be asked ------*- tablegen -*-===//
#ifndef TILE_INTERFACES
#define TILE_INTERFACES

include "mlir/IR/OpBase.td"

def Tile_RingUserOpInterface : OpInterface<"RingUserOpInterface"> {
  let cppNamespace = "::mlir::varve::tile";
  let description = [{
    An op that moves a stage of a ring from one state to the next: `acquire`,
    `commit`, `receive`, `release`.
  }];
  let methods = [
    InterfaceMethod<"The ring whose stage the op moves.",
                    "::mlir::TypedValue<::mlir::varve::tile::RingType>",
                    "getRing">,
    InterfaceMethod<"The stage, as operand or result.",
                    "::mlir::TypedValue<::mlir::varve::tile::SlotType>",
                    "getSlot">
  ];
}

#endif // TILE_INTERFACES
