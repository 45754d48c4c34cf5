//===- LayoutRelations.cpp - How layouts of tiles depend ------------------===//

#include "passes/Tile/LayoutRelations.h"

#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/Matchers.h"
#include "passes/Tile/Divisibility.h"
#include "passes/Tile/Layouts.h"
#include "llvm/ADT/TypeSwitch.h"
#include <numeric>

using namespace mlir;
using namespace mlir::varve::tile;

//===----------------------------------------------------------------------===//
// Relations
//===----------------------------------------------------------------------===//

/// Drops the dimensions that are not in `dims`.
static Attribute dropDims(Attribute layout, int64_t rank,
                          ArrayRef<int64_t> dims) {
  for (int64_t dim = rank; dim-- > 0;)
    if (!llvm::is_contained(dims, dim))
      layout = SliceLayoutAttr::get(layout.getContext(), dim, layout);
  return layout;
}

Attribute mlir::varve::tile::getBroadcastSourceLayout(BroadcastOp op) {
  return dropDims(op.getType().getEncoding(), op.getType().getRank(),
                  op.getDims());
}

static Attribute getRowsLayout(RankedTensorType tile, Attribute layout) {
  if (tile.getRank() == 1)
    return layout;
  return SliceLayoutAttr::get(tile.getContext(), 1, layout);
}

/// The layout in which the transposed tile has each element in the place of the
/// source; null when there is none by that name.
static Attribute transposeLayout(Attribute layout,
                                 ArrayRef<int64_t> permutation) {
  auto blocked = dyn_cast<BlockedLayoutAttr>(layout);
  if (!blocked)
    return {};
  auto permute = [&](ArrayRef<int64_t> values) {
    return llvm::map_to_vector(permutation,
                               [&](int64_t dim) { return values[dim]; });
  };
  SmallVector<int64_t> inverse(permutation.size());
  for (auto [i, dim] : llvm::enumerate(permutation))
    inverse[dim] = i;
  SmallVector<int64_t> order;
  for (int64_t dim : blocked.getOrder())
    order.push_back(inverse[dim]);
  return BlockedLayoutAttr::get(
      layout.getContext(), permute(blocked.getPerLane()),
      permute(blocked.getLanes()), permute(blocked.getWarps()), order);
}

/// Of [.., n] as [.., n / k, k], both row-major in lanes: lanes that hold whole
/// groups of k neighbours keep them.
static Attribute splitLast(BlockedLayoutAttr layout, int64_t k) {
  if (layout.getPerLane().back() % k != 0 ||
      layout.getOrder().front() + 1 != layout.getLayoutRank())
    return {};
  SmallVector<int64_t> perLane(layout.getPerLane()), lanes(layout.getLanes()),
      warps(layout.getWarps()), order(layout.getOrder());
  perLane.back() /= k;
  perLane.push_back(k);
  lanes.push_back(1);
  warps.push_back(1);
  order.insert(order.begin(), layout.getLayoutRank());
  return BlockedLayoutAttr::get(layout.getContext(), perLane, lanes, warps,
                                order);
}

static Attribute joinLast(BlockedLayoutAttr layout, int64_t k) {
  int64_t last = layout.getLayoutRank() - 1;
  ArrayRef<int64_t> order = layout.getOrder();
  if (last == 0 || layout.getPerLane()[last] != k ||
      layout.getLanes()[last] != 1 || layout.getWarps()[last] != 1 ||
      order[0] != last || order[1] != last - 1)
    return {};
  SmallVector<int64_t> perLane(layout.getPerLane().drop_back());
  perLane.back() *= k;
  return BlockedLayoutAttr::get(
      layout.getContext(), perLane, layout.getLanes().drop_back(),
      layout.getWarps().drop_back(), order.drop_front());
}

/// The layout of a reshaped tile in which lanes keep their elements; null when
/// there is none by that name, or none was looked for.
static Attribute reshapeLayout(Attribute layout, ArrayRef<int64_t> from,
                               ArrayRef<int64_t> to) {
  auto blocked = dyn_cast<BlockedLayoutAttr>(layout);
  if (!blocked)
    return {};
  if (to.size() == from.size() + 1 && to.drop_back(2) == from.drop_back(1))
    return splitLast(blocked, to.back());
  if (from.size() == to.size() + 1 && from.drop_back(2) == to.drop_back(1))
    return joinLast(blocked, from.back());
  return {};
}

/// The layout of whole columns of a tile in which lanes keep their elements;
/// null when there is none by that name.
static Attribute sliceLayout(Attribute layout, SliceOp op) {
  auto wgmma = dyn_cast<WgmmaLayoutAttr>(layout);
  ArrayRef<int64_t> from = op.getSource().getType().getShape();
  ArrayRef<int64_t> to = op.getType().getShape();
  if (!wgmma || wgmma.getWarpgroups()[1] != 1 || to[0] != from[0] ||
      op.getOffsets()[1] % 8 != 0 || to[1] % 8 != 0 || to[1] > wgmma.getN())
    return {};
  return WgmmaLayoutAttr::get(layout.getContext(), to[1],
                              wgmma.getWarpgroups());
}

void mlir::varve::tile::forRelatedTiles(
    Value tile, Attribute layout, function_ref<void(Value, Attribute)> body) {
  auto suggest = [&](Value other, Attribute otherLayout) {
    if (otherLayout && isa<RankedTensorType>(other.getType()))
      body(other, otherLayout);
  };
  auto type = cast<RankedTensorType>(tile.getType());
  // What the tile is made of.
  if (Operation *op = tile.getDefiningOp())
    llvm::TypeSwitch<Operation *>(op)
        .Case([&](BroadcastOp op) {
          suggest(op.getSource(),
                  dropDims(layout, type.getRank(), op.getDims()));
        })
        .Case([&](GatherOp op) {
          suggest(op.getRows(), getRowsLayout(type, layout));
          if (op.getSequences())
            suggest(op.getSequences(), getRowsLayout(type, layout));
        })
        .Case([&](TransposeOp op) {
          SmallVector<int64_t> inverse(op.getPermutation().size());
          for (auto [i, dim] : llvm::enumerate(op.getPermutation()))
            inverse[dim] = i;
          suggest(op.getSource(), transposeLayout(layout, inverse));
        })
        .Case([&](ReshapeOp op) {
          suggest(op.getSource(),
                  reshapeLayout(layout, type.getShape(),
                                op.getSource().getType().getShape()));
        });
  // What is made of the tile.
  for (OpOperand &use : tile.getUses())
    llvm::TypeSwitch<Operation *>(use.getOwner())
        .Case([&](ReduceOp op) {
          suggest(op.getResult(),
                  SliceLayoutAttr::get(op.getContext(), op.getDim(), layout));
        })
        .Case([&](ScatterOp op) {
          if (op.getValue() != tile)
            return;
          suggest(op.getRows(), getRowsLayout(type, layout));
          if (op.getSequences())
            suggest(op.getSequences(), getRowsLayout(type, layout));
        })
        .Case([&](TransposeOp op) {
          suggest(op.getResult(), transposeLayout(layout, op.getPermutation()));
        })
        .Case([&](ReshapeOp op) {
          suggest(op.getResult(), reshapeLayout(layout, type.getShape(),
                                                op.getType().getShape()));
        })
        .Case([&](SliceOp op) {
          suggest(op.getResult(), sliceLayout(layout, op));
        })
        .Case([&](scf::ForOp op) {
          suggest(op.getTiedLoopRegionIterArg(&use), layout);
        });
  // An initial value serves the loop.
  if (auto argument = dyn_cast<BlockArgument>(tile))
    if (auto loop = dyn_cast<scf::ForOp>(argument.getOwner()->getParentOp()))
      if (OpOperand *init = loop.getTiedLoopInit(argument))
        suggest(init->get(), layout);
}

//===----------------------------------------------------------------------===//
// Accesses
//===----------------------------------------------------------------------===//

int64_t mlir::varve::tile::getElementBits(Value tile) {
  Type element = cast<RankedTensorType>(tile.getType()).getElementType();
  return element.isIndex() ? 64 : element.getIntOrFloatBitWidth();
}

/// For a part of a view that begins at `offset` along dimension `dim`.
static int64_t getViewWidth(ViewType view, int64_t dim, Value offset) {
  int64_t rank = view.getRank(),
          bits = view.getElementType().getIntOrFloatBitWidth();
  if (dim + 1 != rank || view.isDynamicDim(dim) ||
      (!view.isDense() && view.getStrides().back() != 1))
    return 1;
  int64_t known = view.getShape()[dim];
  if (offset)
    known = std::gcd(known, getDivisor(offset));
  if (!view.isDense())
    for (int64_t stride : view.getStrides().drop_back())
      known = std::gcd(known, ShapedType::isDynamic(stride) ? 1 : stride);
  int64_t limit = kVectorBytes * 8 / bits;
  return std::gcd(known & -known, limit);
}

static int64_t getWindowWidth(ViewType view, ArrayRef<int64_t> dims,
                              ValueRange offsets) {
  return getViewWidth(view, dims.back(), offsets[dims.back()]);
}

int64_t mlir::varve::tile::getAccessWidth(Value tile) {
  int64_t width = 0;
  auto note = [&](int64_t other) { width = std::max(width, other); };
  int64_t buffers =
      kVectorBytes * 8 / std::max<int64_t>(4, getElementBits(tile));
  if (Operation *op = tile.getDefiningOp())
    llvm::TypeSwitch<Operation *>(op)
        .Case([&](LoadOp op) {
          note(getWindowWidth(op.getView().getType(), op.getTileDims(),
                              op.getOffsets()));
        })
        .Case([&](GatherOp op) {
          note(getViewWidth(op.getView().getType(), op.getColumn() ? 1 : 0,
                            op.getColumn()));
        })
        .Case([&](ReadOp) { note(buffers); });
  for (OpOperand &use : tile.getUses())
    llvm::TypeSwitch<Operation *>(use.getOwner())
        .Case([&](StoreOp op) {
          if (op.getValue() == tile)
            note(getWindowWidth(op.getView().getType(), op.getTileDims(),
                                op.getOffsets()));
        })
        .Case([&](ScatterOp op) {
          if (op.getValue() == tile)
            note(getViewWidth(op.getView().getType(), op.getColumn() ? 1 : 0,
                              op.getColumn()));
        })
        .Case([&](WriteOp) { note(buffers); })
        .Case([&](AtomicOp) { note(1); });
  return width;
}
