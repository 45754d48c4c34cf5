//===- TileAttrInterfaces.td - What layouts can be asked ---*- tablegen -*-===//
#ifndef TILE_ATTR_INTERFACES
#define TILE_ATTR_INTERFACES

include "mlir/IR/OpBase.td"

def Tile_LayoutAttrInterface : AttrInterface<"LayoutAttrInterface"> {
  let cppNamespace = "::mlir::varve::tile";
  let description = [{
    The distribution of a tile over the lanes and registers of a block. It is a
    function from (warp, lane, register) to an element; several places may hold
    the same element, none may be missing.

    Every layout is a sum that wraps around: along each dimension the coordinate
    is (a number that depends on the warp's and the lane's bits, each bit adding
    its share) + (a number that depends on the register), modulo the size of the
    tile. Where the extents do not divide the tile, its first elements are thus
    held twice. All layouts serve all shapes of their rank.
  }];
  let methods = [
    InterfaceMethod<[{
        The number of warps that the layout spreads a tile over.
      }], "int64_t", "getNumWarps">,
    InterfaceMethod<[{
        The rank of the tiles that the layout describes.
      }], "int64_t", "getLayoutRank">,
    InterfaceMethod<[{
        How much of each dimension all warps cover before registers repeat.
      }], "::llvm::SmallVector<int64_t>", "getExtents">,
    InterfaceMethod<[{
        The number of elements of a tile of `shape` that one lane holds.
      }], "int64_t", "getRegistersPerLane", (ins "::llvm::ArrayRef<int64_t>":$shape)>,
    InterfaceMethod<[{
        The element of a tile of `shape` that register `reg` of `lane` of `warp`
        holds.
      }], "::llvm::SmallVector<int64_t>", "getCoordinates",
      (ins "::llvm::ArrayRef<int64_t>":$shape, "int64_t":$warp,
           "int64_t":$lane, "int64_t":$reg)>,
    InterfaceMethod<[{
        Whether a tile of `shape` can have this layout; says why not through
        `emitError`.
      }], "::llvm::LogicalResult", "verifyShape",
      (ins "::llvm::ArrayRef<int64_t>":$shape,
           "::llvm::function_ref<::mlir::InFlightDiagnostic()>":$emitError)>
  ];
}

#endif // TILE_ATTR_INTERFACES
