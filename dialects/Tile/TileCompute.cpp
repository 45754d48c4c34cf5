//===- TileCompute.cpp - Products, reductions, selection ------------------===//

#include "dialects/Tile/QuadOrder.h"
#include "dialects/Tile/Tile.h"

#include "mlir/IR/Builders.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace mlir::varve::tile;

//===----------------------------------------------------------------------===//
// DotOp
//===----------------------------------------------------------------------===//

static ArrayRef<int64_t> getShapeOf(Type type) {
  if (auto buffer = dyn_cast<BufferType>(type))
    return buffer.getShape();
  return cast<RankedTensorType>(type).getShape();
}

static Type getElementTypeOf(Type type) {
  if (auto buffer = dyn_cast<BufferType>(type))
    return buffer.getElementType();
  return cast<RankedTensorType>(type).getElementType();
}

int64_t DotOp::getK() {
  return getShapeOf(getA().getType())[getATransposed() ? 0 : 1];
}

/// The columns of K that share a scale; K without scales.
static int64_t getScaleColumns(Value scale, int64_t k) {
  return scale ? k / getShapeOf(scale.getType())[1] : k;
}

int64_t DotOp::getScaleBlock() {
  return std::min(getScaleColumns(getAScale(), getK()),
                  getScaleColumns(getBScale(), getK()));
}

static LogicalResult verifyDotShapes(DotOp op) {
  Type a = op.getA().getType(), b = op.getB().getType();
  if (getShapeOf(a).size() != 2 || getShapeOf(b).size() != 2 ||
      op.getType().getRank() != 2)
    return op.emitOpError()
           << "expected operands and accumulator of rank 2 (C1)"
              " but got ranks "
           << getShapeOf(a).size() << ", " << getShapeOf(b).size() << " and "
           << op.getType().getRank();
  int64_t m = getShapeOf(a)[op.getATransposed() ? 1 : 0];
  int64_t n = getShapeOf(b)[op.getBTransposed() ? 0 : 1];
  int64_t k = getShapeOf(b)[op.getBTransposed() ? 1 : 0];
  if (k != op.getK())
    return op.emitOpError() << "expected operands of the same K (C1) but got "
                            << op.getK() << " and " << k;
  if (op.getM() != m || op.getN() != n)
    return op.emitOpError()
           << "expected an accumulator of " << m << " x " << n
           << " (C1) but got " << op.getM() << " x " << op.getN();
  return success();
}

/// C2.
static LogicalResult verifyDotElements(DotOp op) {
  Type a = getElementTypeOf(op.getA().getType());
  Type b = getElementTypeOf(op.getB().getType());
  for (Type type : {a, b})
    if (!isa<Float32Type, BFloat16Type, Float16Type, Float8E4M3FNType,
             Float8E5M2Type, Float4E2M1FNType>(type))
      return op.emitOpError()
             << "expected operands of f32, bf16, f16, f8E4M3FN, f8E5M2 or "
                "f4E2M1FN (C2) but got "
             << type;
  if (a != b && a.getIntOrFloatBitWidth() > 8 && b.getIntOrFloatBitWidth() > 8)
    return op.emitOpError()
           << "expected operands of equal element type or one of at"
              " most 8 bits (C2) but got "
           << a << " and " << b;
  return success();
}

/// C3 for one operand of `rows` x K.
static LogicalResult verifyDotScale(DotOp op, Value scale, int64_t rows,
                                    StringRef name) {
  if (!scale)
    return success();
  ArrayRef<int64_t> shape = getShapeOf(scale.getType());
  if (shape.size() != 2 || rows % shape[0] != 0 || op.getK() % shape[1] != 0)
    return op.emitOpError() << "expected the scale of " << name
                            << " to have a shape that divides " << rows << " x "
                            << op.getK() << " (C3) but got " << scale.getType();
  return success();
}

/// C4.
static LogicalResult verifyDotQuads(DotOp op) {
  if (!op.getQuads())
    return success();
  if (!op.getBTransposed())
    return op.emitOpError() << "expected b in quads to be transposed (C4)";
  Type element = getElementTypeOf(op.getB().getType());
  unsigned bits = element.getIntOrFloatBitWidth();
  bool isWide = bits == 16 && *op.getQuads() == Quads::Quarters;
  if (bits != 8 && !isWide)
    return op.emitOpError()
           << "expected b in quads to have elements of 8 bits, or of 16 in "
              "quarters (C4) but got "
           << element << " in " << stringifyQuads(*op.getQuads());
  if (op.getK() % kQuadBlock != 0)
    return op.emitOpError() << "expected K beside quads to be a multiple of "
                            << kQuadBlock << " (C4) but got " << op.getK();
  return success();
}

/// C5.
static LogicalResult verifyDotExponent(DotOp op) {
  if (op.getExponent() == 0)
    return success();
  if (!op.getAScale())
    return op.emitOpError() << "expected a scale of a beside an exponent (C5)";
  Type element = getElementTypeOf(op.getB().getType());
  std::optional<Quads> quads = op.getQuads();
  if (quads == Quads::Quarters && element.getIntOrFloatBitWidth() == 8)
    return success();
  return op.emitOpError()
         << "expected b in quarters of elements of 8 bits beside an exponent "
            "(C5) but got "
         << element << " in "
         << (quads ? stringifyQuads(*quads) : "the order of K");
}

LogicalResult DotOp::verify() {
  if (failed(verifyDotShapes(*this)) || failed(verifyDotElements(*this)) ||
      failed(verifyDotQuads(*this)) || failed(verifyDotExponent(*this)) ||
      failed(verifyDotScale(*this, getAScale(), getM(), "a")) ||
      failed(verifyDotScale(*this, getBScale(), getN(), "b")))
    return failure();
  int64_t a = getScaleColumns(getAScale(), getK());
  int64_t b = getScaleColumns(getBScale(), getK());
  if (a % b != 0 && b % a != 0)
    return emitOpError()
           << "expected one of the scale blocks along K to divide "
              "the other (C3) but got "
           << a << " and " << b;
  return success();
}

void DotOp::getEffects(
    SmallVectorImpl<SideEffects::EffectInstance<MemoryEffects::Effect>>
        &effects) {
  for (OpOperand *operand : {&getAMutable(), &getBMutable()})
    if (isa<BufferType>(operand->get().getType()))
      effects.emplace_back(MemoryEffects::Read::get(), operand,
                           SharedMemory::get());
}

//===----------------------------------------------------------------------===//
// ReduceOp, ScanOp
//===----------------------------------------------------------------------===//

LogicalResult
ReduceOp::inferReturnTypes(MLIRContext *, std::optional<Location> location,
                           ValueRange operands, DictionaryAttr attributes,
                           OpaqueProperties properties, RegionRange regions,
                           SmallVectorImpl<Type> &inferredReturnTypes) {
  Adaptor adaptor(operands, attributes, properties, regions);
  auto source = dyn_cast<RankedTensorType>(adaptor.getSource().getType());
  int64_t dim = adaptor.getDim();
  if (!source || dim < 0 || dim >= source.getRank())
    return emitOptionalError(
        location,
        "'tile.reduce' op expected dim to be a dimension of the "
        "source, 0 to ",
        source ? source.getRank() - 1 : 0, " (C1), but got ", dim);
  if (source.getRank() == 1) {
    inferredReturnTypes.push_back(source.getElementType());
    return success();
  }
  SmallVector<int64_t> shape(source.getShape());
  shape.erase(shape.begin() + dim);
  Attribute encoding;
  if (source.getEncoding())
    encoding =
        SliceLayoutAttr::get(source.getContext(), dim, source.getEncoding());
  inferredReturnTypes.push_back(
      RankedTensorType::get(shape, source.getElementType(), encoding));
  return success();
}

LogicalResult ScanOp::verify() {
  if (static_cast<int64_t>(getDim()) >= getType().getRank())
    return emitOpError()
           << "expected dim to be a dimension of the source, 0 to "
           << getType().getRank() - 1 << " (C1), but got " << getDim();
  return success();
}

//===----------------------------------------------------------------------===//
// SelectTopkOp
//===----------------------------------------------------------------------===//

LogicalResult SelectTopkOp::verify() {
  RankedTensorType source = getSource().getType();
  RankedTensorType values = getValues().getType();
  RankedTensorType indices = getIndices().getType();
  if (source.getRank() > 2)
    return emitOpError()
           << "expected a source of rank 1 or 2 (C1) but got rank "
           << source.getRank();
  if (values.getShape() != indices.getShape() ||
      values.getRank() != source.getRank() ||
      values.getShape().drop_back() != source.getShape().drop_back() ||
      values.getShape().back() > source.getShape().back())
    return emitOpError() << "expected results of the source's shape but for a "
                            "last size from 1 to "
                         << source.getShape().back() << " (C1) but got "
                         << values << " and " << indices;
  if (values.getElementType() != source.getElementType())
    return emitOpError() << "expected values of " << source.getElementType()
                         << " (C2) but got " << values.getElementType();
  if (getIds() && getIds().getType().getShape() != source.getShape())
    return emitOpError() << "expected ids of the source's shape (C3) but got "
                         << getIds().getType();
  return success();
}
