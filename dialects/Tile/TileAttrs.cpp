//===- TileAttrs.cpp - Layouts and other attributes -----------------------===//
//
// A layout is a function from (warp, lane, register) to an element. The
// fragment layouts follow the tables of the PTX instruction descriptions of
// `mma.sync` and `wgmma`.
//
//===----------------------------------------------------------------------===//

#include "dialects/Tile/Tile.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::varve::tile;

#include "dialects/Tile/TileAttrInterfaces.cpp.inc"
#include "dialects/Tile/TileEnums.cpp.inc"

#define GET_ATTRDEF_CLASSES
#include "dialects/Tile/TileAttrs.cpp.inc"

void TileDialect::registerAttributes() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "dialects/Tile/TileAttrs.cpp.inc"
      >();
}

//===----------------------------------------------------------------------===//
// Shared pieces
//===----------------------------------------------------------------------===//

using EmitError = function_ref<InFlightDiagnostic()>;

static bool arePowersOfTwo(ArrayRef<int64_t> values) {
  return llvm::all_of(
      values, [](int64_t v) { return v > 0 && llvm::isPowerOf2_64(v); });
}

/// Position `index` of a grid of these extents, the dimensions of `order`
/// varying fastest first.
static SmallVector<int64_t>
delinearize(int64_t index, ArrayRef<int64_t> extents, ArrayRef<int64_t> order) {
  SmallVector<int64_t> result(extents.size());
  for (int64_t dim : order) {
    result[dim] = index % extents[dim];
    index /= extents[dim];
  }
  return result;
}

/// How often a block of `extents` repeats to cover `shape`.
static SmallVector<int64_t> getRepeats(ArrayRef<int64_t> shape,
                                       ArrayRef<int64_t> extents) {
  SmallVector<int64_t> repeats;
  for (auto [size, extent] : llvm::zip_equal(shape, extents))
    repeats.push_back(llvm::divideCeil(size, extent));
  return repeats;
}

static LogicalResult verifyRank(ArrayRef<int64_t> shape, int64_t rank,
                                EmitError emitError) {
  if (static_cast<int64_t>(shape.size()) == rank)
    return success();
  return emitError() << "expected a tile of rank " << rank
                     << " for its layout but got rank " << shape.size();
}

//===----------------------------------------------------------------------===//
// BlockedLayoutAttr
//===----------------------------------------------------------------------===//

LogicalResult BlockedLayoutAttr::verify(EmitError emitError,
                                        ArrayRef<int64_t> perLane,
                                        ArrayRef<int64_t> lanes,
                                        ArrayRef<int64_t> warps,
                                        ArrayRef<int64_t> order) {
  size_t rank = perLane.size();
  if (rank == 0 || lanes.size() != rank || warps.size() != rank ||
      order.size() != rank)
    return emitError() << "expected as many lanes, warps and order entries as "
                          "per_lane entries ("
                       << rank << ", C1) but got " << lanes.size() << ", "
                       << warps.size() << " and " << order.size();
  if (!arePowersOfTwo(perLane) || !arePowersOfTwo(lanes) ||
      !arePowersOfTwo(warps))
    return emitError() << "expected sizes that are powers of two (C2)";
  if (llvm::product_of(lanes) != kWarpLanes)
    return emitError() << "expected lanes that multiply to " << kWarpLanes
                       << " (C2) but got " << llvm::product_of(lanes);
  SmallVector<int64_t> sorted(order);
  llvm::sort(sorted);
  for (auto [i, dim] : llvm::enumerate(sorted))
    if (dim != static_cast<int64_t>(i))
      return emitError() << "expected order to be a permutation of 0 to "
                         << rank - 1 << " (C3)";
  return success();
}

int64_t BlockedLayoutAttr::getNumWarps() const {
  return llvm::product_of(getWarps());
}

int64_t BlockedLayoutAttr::getLayoutRank() const { return getPerLane().size(); }

SmallVector<int64_t> BlockedLayoutAttr::getExtents() const {
  SmallVector<int64_t> extents;
  for (auto [a, b, c] : llvm::zip_equal(getPerLane(), getLanes(), getWarps()))
    extents.push_back(a * b * c);
  return extents;
}

int64_t BlockedLayoutAttr::getRegistersPerLane(ArrayRef<int64_t> shape) const {
  return llvm::product_of(getRepeats(shape, getExtents())) *
         llvm::product_of(getPerLane());
}

SmallVector<int64_t> BlockedLayoutAttr::getCoordinates(ArrayRef<int64_t> shape,
                                                       int64_t warp,
                                                       int64_t lane,
                                                       int64_t reg) const {
  SmallVector<int64_t> extents = getExtents();
  int64_t perBlock = llvm::product_of(getPerLane());
  auto inLane = delinearize(reg % perBlock, getPerLane(), getOrder());
  auto repeat =
      delinearize(reg / perBlock, getRepeats(shape, extents), getOrder());
  auto lanes = delinearize(lane, getLanes(), getOrder());
  auto warps = delinearize(warp, getWarps(), getOrder());
  SmallVector<int64_t> result;
  for (size_t d = 0; d < shape.size(); ++d)
    result.push_back(
        (((repeat[d] * getWarps()[d] + warps[d]) * getLanes()[d] + lanes[d]) *
             getPerLane()[d] +
         inLane[d]) %
        shape[d]);
  return result;
}

LogicalResult BlockedLayoutAttr::verifyShape(ArrayRef<int64_t> shape,
                                             EmitError emitError) const {
  return verifyRank(shape, getLayoutRank(), emitError);
}

//===----------------------------------------------------------------------===//
// MmaLayoutAttr, WgmmaLayoutAttr
//===----------------------------------------------------------------------===//

static LogicalResult verifyPair(EmitError emitError, ArrayRef<int64_t> counts,
                                StringRef name, StringRef label) {
  if (counts.size() == 2 && arePowersOfTwo(counts))
    return success();
  return emitError() << "expected " << name << " to be two powers of two ("
                     << label << ")";
}

/// Row and column, in a 16-row fragment with two elements per 32 bits, of
/// register `reg` of a lane.
static std::pair<int64_t, int64_t> getAccumulatorElement(int64_t lane,
                                                         int64_t reg) {
  return {lane / 4 + 8 * (reg / 2 % 2),
          2 * (lane % 4) + reg % 2 + 8 * (reg / 4)};
}

LogicalResult MmaLayoutAttr::verify(EmitError emitError,
                                    ArrayRef<int64_t> warps) {
  return verifyPair(emitError, warps, "warps", "C1");
}

int64_t MmaLayoutAttr::getNumWarps() const {
  return llvm::product_of(getWarps());
}

int64_t MmaLayoutAttr::getLayoutRank() const { return 2; }

SmallVector<int64_t> MmaLayoutAttr::getExtents() const {
  return {16 * getWarps()[0], 8 * getWarps()[1]};
}

int64_t MmaLayoutAttr::getRegistersPerLane(ArrayRef<int64_t> shape) const {
  return 4 * llvm::product_of(getRepeats(shape, getExtents()));
}

SmallVector<int64_t> MmaLayoutAttr::getCoordinates(ArrayRef<int64_t> shape,
                                                   int64_t warp, int64_t lane,
                                                   int64_t reg) const {
  SmallVector<int64_t> extents = getExtents();
  auto repeat = delinearize(reg / 4, getRepeats(shape, extents), {1, 0});
  auto warps = delinearize(warp, getWarps(), {1, 0});
  auto [row, column] = getAccumulatorElement(lane, reg % 4);
  return {(repeat[0] * extents[0] + warps[0] * 16 + row) % shape[0],
          (repeat[1] * extents[1] + warps[1] * 8 + column) % shape[1]};
}

LogicalResult MmaLayoutAttr::verifyShape(ArrayRef<int64_t> shape,
                                         EmitError emitError) const {
  return verifyRank(shape, 2, emitError);
}

LogicalResult WgmmaLayoutAttr::verify(EmitError emitError, int64_t n,
                                      ArrayRef<int64_t> warpgroups) {
  if (n < 8 || n > 256 || n % 8 != 0)
    return emitError() << "expected n to be a multiple of 8 from 8 to 256 (C1) "
                          "but got "
                       << n;
  return verifyPair(emitError, warpgroups, "warpgroups", "C2");
}

int64_t WgmmaLayoutAttr::getNumWarps() const {
  return 4 * llvm::product_of(getWarpgroups());
}

int64_t WgmmaLayoutAttr::getLayoutRank() const { return 2; }

SmallVector<int64_t> WgmmaLayoutAttr::getExtents() const {
  return {64 * getWarpgroups()[0], getN() * getWarpgroups()[1]};
}

int64_t WgmmaLayoutAttr::getRegistersPerLane(ArrayRef<int64_t> shape) const {
  return getN() / 2 * llvm::product_of(getRepeats(shape, getExtents()));
}

SmallVector<int64_t> WgmmaLayoutAttr::getCoordinates(ArrayRef<int64_t> shape,
                                                     int64_t warp, int64_t lane,
                                                     int64_t reg) const {
  SmallVector<int64_t> extents = getExtents();
  int64_t perTile = getN() / 2;
  auto repeat = delinearize(reg / perTile, getRepeats(shape, extents), {1, 0});
  auto groups = delinearize(warp / 4, getWarpgroups(), {1, 0});
  auto [row, column] = getAccumulatorElement(lane, reg % perTile);
  return {(repeat[0] * extents[0] + groups[0] * 64 + warp % 4 * 16 + row) %
              shape[0],
          (repeat[1] * extents[1] + groups[1] * getN() + column) % shape[1]};
}

LogicalResult WgmmaLayoutAttr::verifyShape(ArrayRef<int64_t> shape,
                                           EmitError emitError) const {
  return verifyRank(shape, 2, emitError);
}

//===----------------------------------------------------------------------===//
// OperandLayoutAttr
//===----------------------------------------------------------------------===//

LogicalResult OperandLayoutAttr::verify(EmitError emitError, int64_t index,
                                        Attribute parent, int64_t bits) {
  if (index != 0 && index != 1)
    return emitError() << "expected operand index 0 or 1 but got " << index;
  if (!isa<MmaLayoutAttr>(parent) &&
      !(isa<WgmmaLayoutAttr>(parent) && index == 0))
    return emitError() << "expected parent to be #tile.mma or, for operand 0, "
                          "#tile.wgmma (C1) but got "
                       << parent;
  if (bits != 8 && bits != 16)
    return emitError() << "expected bits to be 8 or 16 (C2) but got " << bits;
  return success();
}

/// The elements that the warps of a block cover at once: along the operand's
/// outer dimension all warps of that dimension, along K one instruction.
SmallVector<int64_t> OperandLayoutAttr::getExtents() const {
  int64_t k = 256 / getBits();
  if (auto wgmma = dyn_cast<WgmmaLayoutAttr>(getParent()))
    return {64 * wgmma.getWarpgroups()[0], k};
  auto mma = cast<MmaLayoutAttr>(getParent());
  if (getIndex() == 0)
    return {16 * mma.getWarps()[0], k};
  return {k, 8 * mma.getWarps()[1]};
}

int64_t OperandLayoutAttr::getNumWarps() const {
  return cast<LayoutAttrInterface>(getParent()).getNumWarps();
}

int64_t OperandLayoutAttr::getLayoutRank() const { return 2; }

/// Elements of one lane per instruction: a 16 x K or K x 8 fragment.
static int64_t getOperandRegisters(OperandLayoutAttr layout) {
  return (layout.getIndex() == 0 ? 128 : 64) / layout.getBits();
}

int64_t OperandLayoutAttr::getRegistersPerLane(ArrayRef<int64_t> shape) const {
  return getOperandRegisters(*this) *
         llvm::product_of(getRepeats(shape, getExtents()));
}

SmallVector<int64_t> OperandLayoutAttr::getCoordinates(ArrayRef<int64_t> shape,
                                                       int64_t warp,
                                                       int64_t lane,
                                                       int64_t reg) const {
  SmallVector<int64_t> extents = getExtents();
  int64_t perWord = 32 / getBits(), perTile = getOperandRegisters(*this);
  auto repeat = delinearize(reg / perTile, getRepeats(shape, extents), {1, 0});
  int64_t word = reg % perTile / perWord;
  int64_t inWord = perWord * (lane % 4) + reg % perWord;
  int64_t row, column;
  if (getIndex() == 1) {
    auto mma = cast<MmaLayoutAttr>(getParent());
    row = inWord + 4 * perWord * word;
    column = delinearize(warp, mma.getWarps(), {1, 0})[1] * 8 + lane / 4;
  } else {
    if (auto wgmma = dyn_cast<WgmmaLayoutAttr>(getParent()))
      row = delinearize(warp / 4, wgmma.getWarpgroups(), {1, 0})[0] * 64 +
            warp % 4 * 16;
    else
      row = delinearize(warp, cast<MmaLayoutAttr>(getParent()).getWarps(),
                        {1, 0})[0] *
            16;
    row += lane / 4 + 8 * (word % 2);
    column = inWord + 4 * perWord * (word / 2);
  }
  return {(repeat[0] * extents[0] + row) % shape[0],
          (repeat[1] * extents[1] + column) % shape[1]};
}

LogicalResult OperandLayoutAttr::verifyShape(ArrayRef<int64_t> shape,
                                             EmitError emitError) const {
  return verifyRank(shape, 2, emitError);
}

//===----------------------------------------------------------------------===//
// SliceLayoutAttr
//===----------------------------------------------------------------------===//

LogicalResult SliceLayoutAttr::verify(EmitError emitError, int64_t dim,
                                      Attribute parent) {
  auto layout = dyn_cast<LayoutAttrInterface>(parent);
  if (!layout || layout.getLayoutRank() < 2)
    return emitError() << "expected parent to be a tile layout of rank 2 or "
                          "more (C1) but got "
                       << parent;
  if (dim < 0 || dim >= layout.getLayoutRank())
    return emitError() << "expected dim to be a dimension of the parent, 0 to "
                       << layout.getLayoutRank() - 1 << " (C1), but got "
                       << dim;
  return success();
}

static LayoutAttrInterface getParentLayout(SliceLayoutAttr layout) {
  return cast<LayoutAttrInterface>(layout.getParent());
}

/// The parent's tile, enlarged to whole multiples of the layout's extents: in
/// it only what the parent does not distribute at all is held twice.
static SmallVector<int64_t> getParentShape(SliceLayoutAttr layout,
                                           ArrayRef<int64_t> shape) {
  SmallVector<int64_t> result;
  for (auto [size, extent] : llvm::zip_equal(shape, layout.getExtents()))
    result.push_back(llvm::alignTo(size, extent));
  result.insert(result.begin() + layout.getDim(), 1);
  return result;
}

int64_t SliceLayoutAttr::getNumWarps() const {
  return getParentLayout(*this).getNumWarps();
}

int64_t SliceLayoutAttr::getLayoutRank() const {
  return getParentLayout(*this).getLayoutRank() - 1;
}

SmallVector<int64_t> SliceLayoutAttr::getExtents() const {
  SmallVector<int64_t> extents = getParentLayout(*this).getExtents();
  extents.erase(extents.begin() + getDim());
  return extents;
}

/// The distinct elements of a lane, in the order of the parent's registers and
/// before they wrap around.
static SmallVector<SmallVector<int64_t>>
getSliceElements(SliceLayoutAttr layout, ArrayRef<int64_t> shape, int64_t warp,
                 int64_t lane) {
  SmallVector<int64_t> parentShape = getParentShape(layout, shape);
  LayoutAttrInterface parent = getParentLayout(layout);
  SmallVector<SmallVector<int64_t>> elements;
  for (int64_t reg = 0, e = parent.getRegistersPerLane(parentShape); reg < e;
       ++reg) {
    auto element = parent.getCoordinates(parentShape, warp, lane, reg);
    element.erase(element.begin() + layout.getDim());
    if (!llvm::is_contained(elements, element))
      elements.push_back(element);
  }
  return elements;
}

int64_t SliceLayoutAttr::getRegistersPerLane(ArrayRef<int64_t> shape) const {
  return getSliceElements(*this, shape, 0, 0).size();
}

SmallVector<int64_t> SliceLayoutAttr::getCoordinates(ArrayRef<int64_t> shape,
                                                     int64_t warp, int64_t lane,
                                                     int64_t reg) const {
  SmallVector<int64_t> element =
      getSliceElements(*this, shape, warp, lane)[reg];
  for (auto [c, size] : llvm::zip_equal(element, shape))
    c %= size;
  return element;
}

LogicalResult SliceLayoutAttr::verifyShape(ArrayRef<int64_t> shape,
                                           EmitError emitError) const {
  return verifyRank(shape, getLayoutRank(), emitError);
}

//===----------------------------------------------------------------------===//
// SharedLayoutAttr
//===----------------------------------------------------------------------===//

LogicalResult SharedLayoutAttr::verify(EmitError emitError, int64_t swizzle) {
  if (!llvm::is_contained({0, 32, 64, 128}, swizzle))
    return emitError()
           << "expected swizzle to be 0, 32, 64 or 128 (C1) but got "
           << swizzle;
  return success();
}

LogicalResult SharedLayoutAttr::verifyShape(ArrayRef<int64_t> shape,
                                            int64_t elementBits,
                                            EmitError emitError) const {
  if (getSwizzle() != 0 && shape.back() * elementBits % (8 * getSwizzle()) != 0)
    return emitError() << "expected the last dimension of the buffer to fill "
                          "panels of "
                       << getSwizzle() << " bytes but got " << shape.back()
                       << " elements of " << elementBits << " bits";
  return success();
}

int64_t SharedLayoutAttr::getBitOffset(ArrayRef<int64_t> shape,
                                       int64_t elementBits,
                                       ArrayRef<int64_t> coordinates) const {
  int64_t row = 0, rows = 1;
  for (auto [size, c] :
       llvm::zip_equal(shape.drop_back(), coordinates.drop_back())) {
    row = row * size + c;
    rows *= size;
  }
  int64_t inRow = coordinates.back() * elementBits;
  if (getSwizzle() == 0)
    return row * shape.back() * elementBits + inRow;
  constexpr int64_t chunkBits = 128, lineBits = 1024;
  int64_t panelBits = 8 * getSwizzle();
  int64_t panel = inRow / panelBits;
  int64_t chunk = inRow % panelBits / chunkBits;
  chunk ^= row * panelBits / lineBits % (panelBits / chunkBits);
  return (panel * rows + row) * panelBits + chunk * chunkBits +
         inRow % chunkBits;
}

//===----------------------------------------------------------------------===//
// RoleAttr, StrategyAttr
//===----------------------------------------------------------------------===//

LogicalResult RoleAttr::verify(EmitError emitError, StringRef name,
                               int64_t warps, int64_t registers) {
  if (name.empty())
    return emitError() << "expected a name that is not empty (C1)";
  if (warps < 1)
    return emitError() << "expected a positive number of warps (C1) but got "
                       << warps;
  if (registers != 0 &&
      (registers < 24 || registers > 256 || registers % 8 != 0))
    return emitError() << "expected registers to be 0 or a multiple of 8 from "
                          "24 to 256 (C2) but got "
                       << registers;
  return success();
}

LogicalResult StrategyAttr::verify(EmitError emitError, DotKind dot,
                                   int64_t inFlight,
                                   int64_t blocksPerMultiprocessor,
                                   bool stagedStore, bool shortSums) {
  if (inFlight < 0 || inFlight > 7)
    return emitError() << "expected in_flight to be from 0 to 7 (C1) but got "
                       << inFlight;
  if (blocksPerMultiprocessor < 1 || blocksPerMultiprocessor > 32)
    return emitError() << "expected blocks_per_multiprocessor to be from 1 to "
                          "32 (C2) but got "
                       << blocksPerMultiprocessor;
  return success();
}
