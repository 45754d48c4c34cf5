//===- Tiles.cpp - Deferred and stored tiles ------------------------------===//
//
// Emits element-wise work as late as possible, so that chains of ops become one
// loop over vectors. `evaluate` emits one vector of a tile; `store` makes an
// array of it.
//
//===----------------------------------------------------------------------===//

#include "mlir/IR/Matchers.h"
#include "passes/Engine/X86/Lowering.h"
#include "varve/Support/Assert.h"

using namespace mlir;
using namespace mlir::varve::tile;
using namespace mlir::varve::x86;

static bool isTile(Value value) {
  return isa<RankedTensorType>(value.getType());
}

static bool isDense(const Array &array, ArrayRef<int64_t> shape) {
  return ArrayRef<int64_t>(array.strides) ==
         ArrayRef<int64_t>(getDenseStrides(shape));
}

//===----------------------------------------------------------------------===//
// Evaluation
//===----------------------------------------------------------------------===//

Value Lowering::evaluate(Value tile, const Point &point) {
  auto it = arrays.find(tile);
  if (it != arrays.end())
    return evaluateArray(it->second, getShape(tile), point);
  Operation *op = tile.getDefiningOp();
  VARVE_ASSERT(op, "a tile that is no op's result is stored");
  return evaluateOp(op, tile, point);
}

Value Lowering::evaluateArray(const Array &array, ArrayRef<int64_t> shape,
                              const Point &point) {
  Value position = code.index(array.offset);
  if (point.isFlat) {
    position = code.add(position, point.position[0]);
  } else {
    for (auto [index, stride] : llvm::zip_equal(point.position, array.strides))
      position = code.add(position, code.mul(index, code.index(stride)));
  }
  if (point.isFlat || array.strides.back() == 1 || point.width == 1)
    return code.load(array.base, position, array.element, point.width);
  // Along another dimension: element by element.
  Type storage = getStorageType(array.element);
  Value vector = code.create<arith::ConstantOp>(cast<TypedAttr>(
      code.builder.getZeroAttr(VectorType::get(point.width, storage))));
  for (int64_t i = 0; i < point.width; ++i) {
    Value at = code.add(position, code.index(i * array.strides.back()));
    Value element = code.first(code.loadRaw(array.base, at, storage, 1));
    vector = code.create<vector::InsertOp>(element, vector, i);
  }
  return code.fromStorage(vector, array.element);
}

/// The constant attribute of a splat tile.
static TypedAttr getSplat(Operation *op) {
  SplatElementsAttr splat;
  if (!matchPattern(op, m_Constant(&splat)))
    return {};
  return cast<TypedAttr>(splat.getSplatValue<Attribute>());
}

Value Lowering::evaluateOp(Operation *op, Value tile, const Point &point) {
  auto type = cast<RankedTensorType>(tile.getType());
  VectorType vectorType = VectorType::get(point.width, type.getElementType());
  if (isa<arith::ConstantOp>(op)) {
    TypedAttr splat = getSplat(op);
    VARVE_ASSERT(splat, "constants that are no splats are stored");
    return code.create<arith::ConstantOp>(
        DenseElementsAttr::get(vectorType, ArrayRef<Attribute>(splat)));
  }
  if (auto splat = dyn_cast<SplatOp>(op))
    return code.splat(scalar(splat.getValue()), point.width);
  if (auto convert = dyn_cast<ConvertLayoutOp>(op))
    return evaluate(convert.getSource(), point);
  if (auto iota = dyn_cast<IotaOp>(op)) {
    Value position = point.position[iota.getDim()];
    if (!type.getElementType().isIndex())
      position = code.builder.createOrFold<arith::IndexCastOp>(
          code.loc, type.getElementType(), position);
    Value vector = code.splat(position, point.width);
    if (static_cast<int64_t>(iota.getDim()) != type.getRank() - 1)
      return vector;
    SmallVector<Attribute> steps;
    for (int64_t i = 0; i < point.width; ++i)
      steps.push_back(code.builder.getIntegerAttr(type.getElementType(), i));
    Value step = code.create<arith::ConstantOp>(
        DenseElementsAttr::get(vectorType, steps));
    return code.create<arith::AddIOp>(vector, step);
  }
  if (auto broadcast = dyn_cast<BroadcastOp>(op)) {
    Point from;
    for (int64_t dim : broadcast.getDims())
      from.position.push_back(point.position[dim]);
    if (broadcast.getDims().back() == type.getRank() - 1) {
      from.width = point.width;
      return evaluate(broadcast.getSource(), from);
    }
    return code.splat(code.first(evaluate(broadcast.getSource(), from)),
                      point.width);
  }
  // A choice only moves its operands.
  if (auto select = dyn_cast<arith::SelectOp>(op)) {
    Value condition = select.getCondition();
    condition =
        isTile(condition) ? evaluate(condition, point) : scalar(condition);
    Value bits = code.create<arith::SelectOp>(
        condition, code.asBits(evaluate(select.getTrueValue(), point)),
        code.asBits(evaluate(select.getFalseValue(), point)));
    return code.fromBits(bits, type.getElementType());
  }
  // Element-wise: the same op on vectors.
  OperationState state(op->getLoc(), op->getName());
  for (Value operand : op->getOperands())
    state.operands.push_back(isTile(operand) ? evaluate(operand, point)
                                             : scalar(operand));
  state.types.push_back(vectorType);
  state.addAttributes(op->getAttrs());
  return code.builder.create(state)->getResult(0);
}

Value Lowering::evaluateScalar(Value tile, ValueRange position) {
  return code.first(evaluate(tile, Point{SmallVector<Value>(position), 1}));
}

//===----------------------------------------------------------------------===//
// Policy
//===----------------------------------------------------------------------===//

/// Whether elements of a tile can be asked for by number: all it is made of
/// has its shape and no gaps.
bool Lowering::isFlat(Value tile) {
  auto it = arrays.find(tile);
  if (it != arrays.end())
    return isDense(it->second, getShape(tile));
  Operation *op = tile.getDefiningOp();
  if (isa<arith::ConstantOp, SplatOp>(op))
    return true;
  if (isa<IotaOp>(op))
    return getShape(tile).size() == 1;
  if (isa<BroadcastOp>(op))
    return false;
  return llvm::all_of(op->getOperands(), [&](Value operand) {
    return !isTile(operand) || isFlat(operand);
  });
}

/// Whether computing an element again costs no more than loading it.
bool Lowering::isCheap(Value tile) {
  if (isStored(tile))
    return true;
  Operation *op = tile.getDefiningOp();
  if (isa<arith::ConstantOp, SplatOp, IotaOp>(op))
    return true;
  if (isa<ConvertLayoutOp, BroadcastOp, arith::ExtFOp, arith::ExtUIOp,
          arith::ExtSIOp>(op))
    return isCheap(op->getOperand(0));
  return false;
}

Block *Lowering::getRunBlock(Block *block) {
  while (auto on = dyn_cast<OnOp>(block->getParentOp()))
    block = on->getBlock();
  return block;
}

/// Whether nothing need be emitted for an element-wise op now: it is cheap, or
/// its only user comes later in the same block and takes vectors.
bool Lowering::canDefer(Operation *op) {
  Value result = op->getResult(0);
  if (isCheap(result))
    return true;
  if (!result.hasOneUse())
    return false;
  Operation *user = *result.user_begin();
  if (getRunBlock(user->getBlock()) != getRunBlock(op->getBlock()))
    return false;
  // Every element of an accumulator is asked for once.
  if (auto dot = dyn_cast<DotOp>(user))
    return dot.getAccumulator() == result;
  return isa<StoreOp, WriteOp, ReduceOp, ConvertLayoutOp, ScatterOp>(user) ||
         (OpTrait::hasElementwiseMappableTraits(user) &&
          user->getNumResults() == 1);
}

//===----------------------------------------------------------------------===//
// Storing
//===----------------------------------------------------------------------===//

void Lowering::writeElements(ArrayRef<int64_t> shape, bool flat,
                             function_ref<Value(const Point &)> get,
                             const Array &target) {
  if (flat && isDense(target, shape)) {
    code.forVectors(llvm::product_of(shape), [&](Value i, int64_t width) {
      code.store(get(Point{{i}, width, /*isFlat=*/true}), target.base,
                 code.add(i, code.index(target.offset)));
    });
    return;
  }
  code.forEach(shape.drop_back(), [&](ValueRange outer) {
    Value row = code.index(target.offset);
    for (auto [i, stride] : llvm::zip(outer, target.strides))
      row = code.add(row, code.mul(i, code.index(stride)));
    code.forVectors(shape.back(), [&](Value column, int64_t width) {
      Point point{SmallVector<Value>(outer), width};
      point.position.push_back(column);
      code.store(get(point), target.base, code.add(row, column));
    });
  });
}

void Lowering::writeTo(Value tile, const Array &target) {
  writeElements(
      getShape(tile), isFlat(tile),
      [&](const Point &point) { return evaluate(tile, point); }, target);
}

void Lowering::copy(const Array &from, ArrayRef<int64_t> shape,
                    const Array &target) {
  writeElements(
      shape, isDense(from, shape),
      [&](const Point &point) { return evaluateArray(from, shape, point); },
      target);
}

/// Remembers the array of a tile where all later users of it are behind.
Array Lowering::remember(Value tile, const Array &array) {
  if (getRunBlock(tile.getParentBlock()) == getRunBlock(currentBlock))
    arrays[tile] = array;
  return array;
}

Array Lowering::store(Value tile) {
  auto it = arrays.find(tile);
  if (it != arrays.end())
    return it->second;
  auto type = cast<RankedTensorType>(tile.getType());
  Array target = allocate(type.getShape(), type.getElementType());
  writeTo(tile, target);
  return remember(tile, target);
}

Array Lowering::storeDense(Value tile) {
  Array array = store(tile);
  if (isDense(array, getShape(tile)))
    return array;
  Array target = allocate(getShape(tile), array.element);
  copy(array, getShape(tile), target);
  return remember(tile, target);
}

/// Looks, through element-wise ops that have one user, for an array that nobody
/// else needs.
std::optional<Array> Lowering::findReusable(OperandRange operands,
                                            RankedTensorType type,
                                            Block *block) {
  for (Value operand : operands) {
    if (!isTile(operand) || !operand.hasOneUse() ||
        getShape(operand) != type.getShape())
      continue;
    auto it = arrays.find(operand);
    if (it != arrays.end()) {
      const Array &array = it->second;
      if (array.isOwned && getRunBlock(operand.getParentBlock()) == block &&
          getStorageBytes(array.element) ==
              getStorageBytes(type.getElementType()))
        return array;
      continue;
    }
    Operation *def = operand.getDefiningOp();
    if (!OpTrait::hasElementwiseMappableTraits(def))
      continue;
    if (std::optional<Array> found =
            findReusable(def->getOperands(), type, block))
      return found;
  }
  return std::nullopt;
}

Array Lowering::getTarget(Operation *op, RankedTensorType type,
                          OperandRange operands) {
  std::optional<Array> target =
      findReusable(operands, type, getRunBlock(op->getBlock()));
  if (!target)
    return allocate(type.getShape(), type.getElementType());
  target->element = type.getElementType();
  return *target;
}

void Lowering::lowerElementwise(Operation *op) {
  if (canDefer(op))
    return;
  Value result = op->getResult(0);
  Array target = getTarget(op, cast<RankedTensorType>(result.getType()),
                           op->getOperands());
  writeTo(result, target);
  arrays[result] = target;
}

//===----------------------------------------------------------------------===//
// Constants and shapes
//===----------------------------------------------------------------------===//

/// A constant that is no splat becomes a global array.
void Lowering::lowerConstant(arith::ConstantOp op) {
  if (getSplat(op))
    return;
  auto elements = cast<DenseElementsAttr>(op.getValue());
  std::string bytes = engine::getConstantBytes(
      elements, getStorageBytes(elements.getElementType()));
  LLVM::GlobalOp global;
  {
    OpBuilder::InsertionGuard guard(code.builder);
    code.builder.setInsertionPoint(function);
    std::string name;
    auto module = function->getParentOfType<ModuleOp>();
    for (unsigned i = 0; name.empty() || module.lookupSymbol(name); ++i)
      name = (function.getSymName() + ".constant" + Twine(i)).str();
    global = code.create<LLVM::GlobalOp>(
        LLVM::LLVMArrayType::get(code.builder.getI8Type(), bytes.size()),
        /*isConstant=*/true, LLVM::Linkage::Private, name,
        code.builder.getStringAttr(bytes), /*alignment=*/64);
  }
  Array array;
  array.base = code.create<LLVM::AddressOfOp>(global);
  array.strides = getDenseStrides(elements.getType().getShape());
  array.element = elements.getElementType();
  arrays[op.getResult()] = array;
}

void Lowering::lowerConcat(ConcatOp op) {
  Array target =
      allocate(op.getType().getShape(), op.getType().getElementType());
  int64_t begin = 0, dim = op.getDim();
  for (Value source : op.getSources()) {
    Array part = target;
    part.offset += begin * target.strides[dim];
    writeTo(source, part);
    begin += getShape(source)[dim];
  }
  arrays[op.getResult()] = target;
}

LogicalResult Lowering::lowerShapeOp(Operation *op) {
  if (isa<IotaOp, SplatOp>(op))
    return success();
  if (auto concat = dyn_cast<ConcatOp>(op))
    return lowerConcat(concat), success();
  Value tile = op->getOperand(0);
  if (auto extract = dyn_cast<ExtractOp>(op)) {
    SmallVector<Value> position;
    for (int64_t i : extract.getPosition())
      position.push_back(code.index(i));
    scalars.map(extract.getResult(), evaluateScalar(tile, position));
    return success();
  }
  if (isa<BroadcastOp>(op)) {
    if (!isCheap(tile))
      store(tile);
    return success();
  }
  if (isa<ConvertLayoutOp>(op)) {
    if (!canDefer(op))
      store(tile);
    return success();
  }
  // The rest are other ways to look at an array.
  Array array = isa<ReshapeOp>(op) ? storeDense(tile) : store(tile);
  array.isOwned = false;
  if (isa<ReshapeOp>(op)) {
    array.strides = getDenseStrides(getShape(op->getResult(0)));
  } else if (auto transpose = dyn_cast<TransposeOp>(op)) {
    SmallVector<int64_t> strides;
    for (int64_t dim : transpose.getPermutation())
      strides.push_back(array.strides[dim]);
    array.strides = strides;
  } else {
    for (auto [offset, stride] :
         llvm::zip_equal(cast<SliceOp>(op).getOffsets(), array.strides))
      array.offset += offset * stride;
  }
  arrays[op->getResult(0)] = array;
  return success();
}
