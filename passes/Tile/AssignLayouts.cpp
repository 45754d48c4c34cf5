//===- AssignLayouts.cpp - Where the elements of every tile live ----------===//

#include "dialects/Tile/Tile.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "passes/Tile/DotFamily.h"
#include "passes/Tile/LayoutClasses.h"
#include "passes/Tile/LayoutRelations.h"
#include "passes/Tile/Layouts.h"
#include "passes/Tile/Passes.h"
#include "llvm/ADT/TypeSwitch.h"

namespace mlir::varve {
#define GEN_PASS_DEF_ASSIGNLAYOUTSPASS
#include "passes/Tile/Passes.h.inc"
} // namespace mlir::varve

using namespace mlir;
using namespace mlir::varve::tile;

namespace {

//===----------------------------------------------------------------------===//
// Constants
//===----------------------------------------------------------------------===//

/// Whether an op makes tiles from nothing but scalars and such tiles, so that
/// it may be repeated in another layout or by another role.
static bool isFreeOfTiles(Operation *op) {
  return op && isa<arith::ConstantOp, SplatOp, IotaOp>(op);
}

/// Whether tiles may be made in front of `op`: around the parts of roles a
/// pipeline has none.
static bool mayPrecede(Operation *op) {
  return op->getParentOfType<OnOp>() || !op->getParentOfType<PipelineOp>();
}

/// Gives every use of a tile of equal or counted elements its own op, in front
/// of the user where that is possible: each may then have the layout of where
/// it is used.
static void splitConstants(FuncOp function) {
  SmallVector<Operation *> ops;
  function.walk([&](Operation *op) {
    if (isFreeOfTiles(op) && isTile(op->getResult(0)))
      ops.push_back(op);
  });
  for (Operation *op : ops) {
    SmallVector<OpOperand *> uses =
        llvm::map_to_vector(op->getUses(), [](OpOperand &use) { return &use; });
    if (uses.empty()) {
      op->erase();
      continue;
    }
    for (OpOperand *use : llvm::drop_begin(uses)) {
      OpBuilder builder(mayPrecede(use->getOwner()) ? use->getOwner() : op);
      use->set(builder.clone(*op)->getResult(0));
    }
    if (mayPrecede(uses.front()->getOwner()))
      op->moveBefore(uses.front()->getOwner());
  }
}

/// Repeats, inside of roles, what is computed outside from scalars.
static void enterRoles(FuncOp function) {
  function.walk([&](OnOp on) {
    std::function<Value(Value, OpBuilder &)> repeat =
        [&](Value value, OpBuilder &builder) -> Value {
      Operation *op = value.getDefiningOp();
      if (!op || !isTile(value) || on->isProperAncestor(op) || isa<OnOp>(op) ||
          op->getNumRegions() != 0 || !isMemoryEffectFree(op))
        return value;
      IRMapping mapping;
      for (Value operand : op->getOperands())
        mapping.map(operand, repeat(operand, builder));
      return builder.clone(*op, mapping)
          ->getResult(cast<OpResult>(value).getResultNumber());
    };
    on.getBody().walk([&](Operation *op) {
      OpBuilder builder(op);
      for (OpOperand &operand : op->getOpOperands())
        operand.set(repeat(operand.get(), builder));
    });
  });
}

//===----------------------------------------------------------------------===//
// Assignment
//===----------------------------------------------------------------------===//

class Assignment {
public:
  Assignment(FuncOp function, const ::varve::TargetModel &target)
      : function(function), target(target), classes(function),
        layouts(classes.size()) {}

  LogicalResult run();

private:
  void give(int64_t number, Attribute layout);
  void give(Value tile, Attribute layout) {
    give(classes.lookup(tile), layout);
  }
  Attribute getLayout(Value tile) const {
    return layouts[classes.lookup(tile)];
  }
  void giveProducts();
  void giveMemory();
  Attribute getMemoryLayoutOf(int64_t number);
  void setTypes();
  void convertOperands();
  void convertTo(OpOperand &operand, Attribute layout);
  DotContext getContext(DotOp op) {
    return {target, getWarpsOf(op), function.getStrategyAttr()};
  }

  FuncOp function;
  const ::varve::TargetModel &target;
  LayoutClasses classes;
  /// By class.
  SmallVector<Attribute> layouts;
};

/// Gives a class a layout, and those related to it that have none theirs.
void Assignment::give(int64_t first, Attribute layout) {
  SmallVector<std::pair<int64_t, Attribute>> work = {{first, layout}};
  while (!work.empty()) {
    auto [number, given] = work.pop_back_val();
    if (layouts[number])
      continue;
    layouts[number] = given;
    for (Value tile : classes.getMembers(number))
      forRelatedTiles(tile, given, [&](Value other, Attribute otherLayout) {
        int64_t related = classes.lookup(other);
        if (classes.getNumWarps(related) == classes.getNumWarps(number))
          work.push_back({related, otherLayout});
      });
  }
}

void Assignment::giveProducts() {
  function.walk([&](DotOp op) {
    DotContext context = getContext(op);
    give(op.getResult(),
         selectDotFamily(op, context).getLayouts(op, context).accumulator);
  });
  // Scales are read where they are used; they are few. So are right operands
  // that are computed from what is read.
  function.walk([&](DotOp op) {
    DotContext context = getContext(op);
    DotLayouts wanted = selectDotFamily(op, context).getLayouts(op, context);
    const std::pair<Value, Attribute> operands[] = {
        {op.getAScale(), wanted.aScale},
        {op.getBScale(), wanted.bScale},
        {op.getB(), wanted.b}};
    for (auto [tile, layout] : operands)
      if (tile && layout)
        give(tile, layout);
  });
}

/// A layout for the accesses of a class's tiles to memory: vectors as wide as
/// the narrowest elements make them, in which the widest ones take two sectors
/// at most.
Attribute Assignment::getMemoryLayoutOf(int64_t number) {
  constexpr int64_t kRunBits = 256;
  RankedTensorType type = classes.getType(number);
  int64_t vector = 0, narrowest = 64, widest = 1;
  for (Value tile : classes.getMembers(number)) {
    int64_t width = getAccessWidth(tile);
    if (width == 0)
      continue;
    int64_t bits = getElementBits(tile);
    vector = std::max(vector, width);
    narrowest = std::min(narrowest, bits);
    widest = std::max(widest, bits);
  }
  if (vector == 0) {
    narrowest = getElementBits(classes.getMembers(number).front());
    vector = std::max<int64_t>(1, 128 / std::max<int64_t>(narrowest, 32));
  }
  vector = std::min(vector, std::max<int64_t>(1, kRunBits / widest));
  return getMemoryLayout(function.getContext(), type.getShape(), narrowest,
                         vector, classes.getNumWarps(number));
}

void Assignment::giveMemory() {
  // Loads, gathers and reads come first, so that stores take what they find.
  auto giveIf = [&](auto isWanted) {
    for (int64_t number = 0; number < classes.size(); ++number)
      if (!layouts[number] &&
          llvm::any_of(classes.getMembers(number), isWanted))
        give(number, getMemoryLayoutOf(number));
  };
  giveIf([](Value tile) {
    return isa_and_present<LoadOp, GatherOp, ReadOp>(tile.getDefiningOp());
  });
  giveIf([](Value tile) { return getAccessWidth(tile) != 0; });
  giveIf([](Value) { return true; });
}

void Assignment::setTypes() {
  for (int64_t number = 0; number < classes.size(); ++number)
    for (Value tile : classes.getMembers(number)) {
      auto type = cast<RankedTensorType>(tile.getType());
      tile.setType(type.cloneWithEncoding(layouts[number]));
      auto constant = tile.getDefiningOp<arith::ConstantOp>();
      if (!constant)
        continue;
      if (auto elements = dyn_cast<DenseElementsAttr>(constant.getValue()))
        constant.setValueAttr(
            elements.reshape(cast<RankedTensorType>(tile.getType())));
    }
}

void Assignment::convertTo(OpOperand &operand, Attribute layout) {
  auto type = dyn_cast<RankedTensorType>(operand.get().getType());
  if (!type || !layout || type.getEncoding() == layout)
    return;
  OpBuilder builder(operand.getOwner());
  operand.set(ConvertLayoutOp::create(builder, operand.getOwner()->getLoc(),
                                      type.cloneWithEncoding(layout),
                                      operand.get()));
}

/// Where an op wants an operand otherwise than its class has it.
void Assignment::convertOperands() {
  function.walk([&](Operation *op) {
    auto convertRange = [&](MutableArrayRef<OpOperand> operands,
                            ValueRange likes) {
      for (auto [operand, like] : llvm::zip_equal(operands, likes))
        if (isTile(like))
          convertTo(operand,
                    cast<RankedTensorType>(like.getType()).getEncoding());
    };
    llvm::TypeSwitch<Operation *>(op)
        .Case([&](scf::ForOp op) {
          convertRange(op.getInitArgsMutable(), op.getRegionIterArgs());
        })
        .Case([&](scf::WhileOp op) {
          convertRange(op.getInitsMutable(), op.getBeforeArguments());
        })
        .Case([&](DotOp op) {
          DotContext context = getContext(op);
          DotLayouts wanted =
              selectDotFamily(op, context).getLayouts(op, context);
          convertTo(op.getAMutable(), wanted.a);
          convertTo(op.getBMutable(), wanted.b);
          if (op.getAScale())
            convertTo(*op.getAScaleMutable().begin(), wanted.aScale);
          if (op.getBScale())
            convertTo(*op.getBScaleMutable().begin(), wanted.bScale);
        })
        .Case([&](BroadcastOp op) {
          convertTo(op.getSourceMutable(), getBroadcastSourceLayout(op));
        })
        .Case([&](ReduceOp op) {
          auto type = dyn_cast<RankedTensorType>(op.getResult().getType());
          if (!type)
            return;
          Attribute natural =
              SliceLayoutAttr::get(op.getContext(), op.getDim(),
                                   op.getSource().getType().getEncoding());
          if (type.getEncoding() == natural)
            return;
          // The result is what the source leaves; its users see the class's.
          op.getResult().setType(type.cloneWithEncoding(natural));
          OpBuilder builder(op->getContext());
          builder.setInsertionPointAfter(op);
          auto converted = ConvertLayoutOp::create(builder, op.getLoc(), type,
                                                   op.getResult());
          op.getResult().replaceAllUsesExcept(converted, converted);
        });
  });
}

LogicalResult Assignment::run() {
  // What has a layout keeps it.
  for (int64_t number = 0; number < classes.size(); ++number)
    for (Value tile : classes.getMembers(number))
      if (Attribute layout =
              cast<RankedTensorType>(tile.getType()).getEncoding())
        give(number, layout);
  giveProducts();
  giveMemory();
  setTypes();
  convertOperands();
  return success();
}

//===----------------------------------------------------------------------===//
// Pass
//===----------------------------------------------------------------------===//

struct AssignLayouts
    : public mlir::varve::impl::AssignLayoutsPassBase<AssignLayouts> {
  using AssignLayoutsPassBase::AssignLayoutsPassBase;

  void runOnOperation() override {
    llvm::Expected<const ::varve::TargetModel *> model =
        ::varve::TargetModel::lookup(target);
    if (!model) {
      getOperation().emitError() << llvm::toString(model.takeError());
      return signalPassFailure();
    }
    FuncOp function = getOperation();
    enterRoles(function);
    splitConstants(function);
    if (failed(Assignment(function, **model).run()))
      signalPassFailure();
  }
};

} // namespace
