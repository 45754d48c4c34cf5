//===- BlockWork.cpp - What a block of a tile program does ----------------===//

#include "lib/CostModel/BlockWork.h"
#include "mlir/Analysis/Liveness.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/Matchers.h"
#include "passes/Tile/DotFamily.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::varve::tile;
using mlir::varve::StepShape;

namespace varve {

StepInput getStepInput(llvm::StringRef name) {
  return llvm::StringSwitch<StepInput>(name)
      .Case("ids", StepInput::Ids)
      .Case("positions", StepInput::Positions)
      .Case("slots", StepInput::Slots)
      .Case("starts", StepInput::Starts)
      .Case("ends", StepInput::Ends)
      .Case("logit_rows", StepInput::LogitRows)
      .Case("page_table", StepInput::PageTable)
      .Default(StepInput::None);
}

/// The element at `index` of an input of a step whose sequences have equal
/// lengths; nothing where it does not follow from the step.
static std::optional<int64_t> getInputValue(StepInput input, int64_t index,
                                            const StepShape &step) {
  if (index < 0 || index >= step.tokens)
    return 0;
  int64_t each = step.tokensPerSequence();
  switch (input) {
  case StepInput::Positions:
    return step.tokensBefore() + index % each;
  case StepInput::Slots:
    return index / each;
  case StepInput::Starts:
    return step.tokensBefore();
  case StepInput::Ends:
    return step.context - 1;
  default:
    return std::nullopt;
  }
}

//===----------------------------------------------------------------------===//
// Costs of ops on tiles
//===----------------------------------------------------------------------===//

static int64_t getElements(Type type) {
  if (auto tile = dyn_cast<RankedTensorType>(type))
    return tile.getNumElements();
  if (auto buffer = dyn_cast<BufferType>(type)) {
    int64_t count = 1;
    for (int64_t size : buffer.getShape())
      count *= size;
    return count;
  }
  return 1;
}

static int64_t getElementBits(Type type) {
  if (auto buffer = dyn_cast<BufferType>(type))
    return buffer.getElementType().getIntOrFloatBitWidth();
  Type element = getElementTypeOrSelf(type);
  return element.isIntOrFloat() ? element.getIntOrFloatBitWidth() : 64;
}

/// Instructions for an element of an elementwise op, in those that a lane
/// begins every cycle: the special function units take a quarter of the lanes,
/// division and the trigonometric functions are sequences.
static double getInstructions(Operation *op) {
  return llvm::TypeSwitch<Operation *, double>(op)
      .Case<math::ExpOp, math::Exp2Op, math::SqrtOp, math::RsqrtOp, math::LogOp,
            math::TanhOp>([](auto) { return 6; })
      .Case<arith::DivFOp, arith::DivUIOp, arith::DivSIOp, arith::RemUIOp,
            arith::RemSIOp>([](auto) { return 10; })
      .Case<math::SinOp, math::CosOp>([](auto) { return 24; })
      .Case<arith::ExtFOp, arith::TruncFOp>([](Operation *op) {
        int64_t narrow = std::min(getElementBits(op->getOperand(0).getType()),
                                  getElementBits(op->getResult(0).getType()));
        return narrow >= 16 ? 1 : 2;
      })
      .Default([](auto) { return 1; });
}

/// Cycles of a thread in which the NVIDIA engine finds the k best of a row: it
/// counts who comes before whom, or searches the last of them bit by bit, as it
/// reckons is shorter.
static double getSelectCycles(SelectTopkOp op, int64_t threads) {
  RankedTensorType type = op.getSource().getType();
  double rows = type.getRank() == 2 ? type.getShape()[0] : 1;
  double count = type.getShape().back();
  double best = op.getValues().getType().getShape().back();
  double steps = 32 + llvm::Log2_64_Ceil(static_cast<uint64_t>(count));
  double pairs = std::ceil(count * count / threads),
         elements = std::ceil(count / threads),
         ranks = std::ceil(best * best / threads);
  constexpr double barrier = 100, test = 3;
  // Who precedes is six instructions, of which the engine reckons three.
  constexpr double precedes = 6;
  double search = steps * (barrier + elements * test);
  bool isDirect = pairs * test <= search + ranks * test;
  return rows * (isDirect ? pairs * precedes : search + ranks * precedes);
}

/// What multiplies operands of these element types.
static NumericType getProductType(DotOp op) {
  int64_t bits = std::max(getElementBits(op.getA().getType()),
                          getElementBits(op.getB().getType()));
  return bits <= 8    ? NumericType::F8E4M3FN
         : bits <= 16 ? NumericType::BF16
                      : NumericType::F32;
}

//===----------------------------------------------------------------------===//
// The walk
//===----------------------------------------------------------------------===//

namespace {

/// Waits that precede a value, of each kind.
struct Waits {
  double cold = 0, cached = 0;
  double total() const { return 2 * cold + cached; }
  bool operator<(const Waits &other) const { return total() < other.total(); }
};

class BlockWalker {
public:
  BlockWalker(FuncOp program, ArrayRef<ProgramArgument> arguments,
              const StepShape &step, ArrayRef<int64_t> block,
              ArrayRef<int64_t> grid, const TargetModel &target)
      : program(program), arguments(arguments), step(step), block(block),
        grid(grid), target(target) {}

  BlockWork run();

private:
  void walk(Block &body, double times);
  void visit(Operation &op, double times, Waits &longest);
  void visitFor(scf::ForOp loop, double times);
  void visitIf(scf::IfOp op, double times);
  void visitDot(DotOp op, double times);
  void addFragments(DotOp op, DotKind kind, double times);
  void visitElementwise(Operation &op, double times);
  bool visitMemory(Operation &op, double times, Waits &longest);
  void move(Value view, double bytes, double times, bool isRead);
  Waits getOperandWaits(Operation &op) const;
  double getClippedElements(Value view, ValueRange offsets, Type tile,
                            ArrayRef<int64_t> dims) const;
  void evaluate(Operation &op);
  std::optional<int64_t> get(Value value) const;
  void set(Value value, std::optional<int64_t> number) {
    if (number)
      known[value] = *number;
    else
      known.erase(value);
  }
  const ProgramArgument *getArgument(Value view) const;
  RoleWork &role() { return work.roles[current]; }

  FuncOp program;
  ArrayRef<ProgramArgument> arguments;
  const StepShape &step;
  ArrayRef<int64_t> block, grid;
  const TargetModel &target;
  llvm::DenseMap<Value, int64_t> known;
  llvm::DenseMap<Value, Waits> waits;
  /// Stages of the ring that buffers belong to.
  llvm::DenseMap<Value, int64_t> stages;
  BlockWork work;
  size_t current = 0;
};

} // namespace

std::optional<int64_t> BlockWalker::get(Value value) const {
  auto found = known.find(value);
  if (found != known.end())
    return found->second;
  APInt constant;
  if (matchPattern(value, m_ConstantInt(&constant)) &&
      constant.getBitWidth() <= 64)
    return constant.getSExtValue();
  DenseIntElementsAttr tile;
  if (matchPattern(value, m_Constant(&tile)) && tile.isSplat())
    return tile.getSplatValue<APInt>().getSExtValue();
  return std::nullopt;
}

const ProgramArgument *BlockWalker::getArgument(Value view) const {
  while (auto subview = view.getDefiningOp<SubviewOp>())
    view = subview.getView();
  auto argument = dyn_cast<BlockArgument>(view);
  if (!argument || !isa<FuncOp>(argument.getOwner()->getParentOp()))
    return nullptr;
  return &arguments[argument.getArgNumber()];
}

/// Arithmetic on integers by the ops' own folders. A tile of integers has the
/// value of one of its elements, the last that is there: a loop that goes as
/// far as one of several tokens needs goes as far as the last of them does.
void BlockWalker::evaluate(Operation &op) {
  if (op.getNumResults() != 1 || op.getNumRegions() != 0 ||
      !getElementTypeOrSelf(op.getResult(0).getType()).isIntOrIndex())
    return;
  if (isa<ReduceOp, SplatOp, BroadcastOp, ReshapeOp, ExtractOp>(op))
    return set(op.getResult(0), get(op.getOperand(0)));
  if (auto select = dyn_cast<arith::SelectOp>(op)) {
    if (std::optional<int64_t> condition = get(select.getCondition()))
      set(op.getResult(0),
          get(*condition ? select.getTrueValue() : select.getFalseValue()));
    return;
  }
  SmallVector<Attribute> operands;
  Builder builder(op.getContext());
  for (Value operand : op.getOperands()) {
    std::optional<int64_t> number = get(operand);
    if (!number)
      return;
    operands.push_back(builder.getIntegerAttr(
        getElementTypeOrSelf(operand.getType()), *number));
  }
  SmallVector<OpFoldResult> results;
  if (failed(op.fold(operands, results)) || results.size() != 1)
    return;
  if (auto attribute = dyn_cast<Attribute>(results[0])) {
    if (auto integer = dyn_cast<IntegerAttr>(attribute))
      set(op.getResult(0), integer.getType().isIndex()
                               ? integer.getInt()
                               : integer.getValue().getSExtValue());
    return;
  }
  set(op.getResult(0), get(cast<Value>(results[0])));
}

Waits BlockWalker::getOperandWaits(Operation &op) const {
  Waits most;
  for (Value operand : op.getOperands())
    most = std::max(most, waits.lookup(operand));
  return most;
}

/// Elements of a tile that lie inside a view.
double BlockWalker::getClippedElements(Value view, ValueRange offsets,
                                       Type tile,
                                       ArrayRef<int64_t> dims) const {
  const ProgramArgument *argument = getArgument(view);
  SmallVector<int64_t> shape;
  if (auto tensor = dyn_cast<RankedTensorType>(tile))
    llvm::append_range(shape, tensor.getShape());
  else
    llvm::append_range(shape, cast<BufferType>(tile).getShape());
  bool isWhole = isa<BlockArgument>(view) && argument;
  double elements = 1;
  for (auto [size, dim] : llvm::zip_equal(shape, dims)) {
    int64_t inside = size;
    if (isWhole) {
      int64_t left = argument->sizes[dim];
      if (std::optional<int64_t> offset = get(offsets[dim]))
        left -= std::max<int64_t>(*offset, 0);
      inside = std::clamp<int64_t>(left, 0, size);
    }
    elements *= inside;
  }
  return elements;
}

void BlockWalker::move(Value view, double bytes, double times, bool isRead) {
  const ProgramArgument *argument = getArgument(view);
  (isRead ? work.bytesRead : work.bytesWritten) += bytes * times;
  if (isRead && argument && argument->isCold)
    work.coldBytesRead += bytes * times;
  // Addresses and moves of 16 bytes at best.
  constexpr double instructions = 6, vectorBytes = 16;
  role().laneOps += std::ceil(bytes / vectorBytes) * instructions * times;
}

/// Loads, stores and copies; false for other ops.
bool BlockWalker::visitMemory(Operation &op, double times, Waits &longest) {
  double stagesAhead = 1;
  auto read = [&](Value view, double elements, int64_t bits) {
    move(view, elements * bits / 8, times, /*isRead=*/true);
    Waits before = getOperandWaits(op);
    const ProgramArgument *argument = getArgument(view);
    (argument && argument->isCold ? before.cold : before.cached) +=
        1 / stagesAhead;
    for (Value result : op.getResults())
      waits[result] = before;
    longest = std::max(longest, before);
  };
  if (auto load = dyn_cast<LoadScalarOp>(op)) {
    read(load.getView(), 1, getElementBits(load.getResult().getType()));
    const ProgramArgument *argument = getArgument(load.getView());
    std::optional<int64_t> index;
    if (load.getOffsets().size() == 1)
      index = get(load.getOffsets()[0]);
    if (argument && index)
      set(load.getResult(), getInputValue(argument->input, *index, step));
    return true;
  }
  if (auto load = dyn_cast<LoadOp>(op)) {
    Type type = load.getResult().getType();
    read(load.getView(),
         getClippedElements(load.getView(), load.getOffsets(), type,
                            load.getTileDims()),
         getElementBits(type));
    const ProgramArgument *argument = getArgument(load.getView());
    if (argument && load.getOffsets().size() == 1)
      if (std::optional<int64_t> offset = get(load.getOffsets()[0])) {
        int64_t last =
            std::min(*offset + getElements(type), argument->sizes[0]) - 1;
        set(load.getResult(), getInputValue(argument->input, last, step));
      }
    return true;
  }
  if (auto gather = dyn_cast<GatherOp>(op)) {
    Type type = gather.getResult().getType();
    read(gather.getView(), getElements(type), getElementBits(type));
    return true;
  }
  auto getStages = [&](Value buffer) {
    while (auto part = buffer.getDefiningOp<SubbufferOp>())
      buffer = part.getBuffer();
    return std::max<int64_t>(stages.lookup(buffer), 1);
  };
  if (auto copy = dyn_cast<CopyOp>(op)) {
    Type type = copy.getBuffer().getType();
    stagesAhead = getStages(copy.getBuffer());
    read(copy.getView(),
         getClippedElements(copy.getView(), copy.getOffsets(), type,
                            copy.getTileDims()),
         getElementBits(type));
    return true;
  }
  if (auto copy = dyn_cast<GatherCopyOp>(op)) {
    Type type = copy.getBuffer().getType();
    stagesAhead = getStages(copy.getBuffer());
    read(copy.getView(), getElements(type), getElementBits(type));
    return true;
  }
  if (auto store = dyn_cast<StoreOp>(op)) {
    Type type = store.getValue().getType();
    move(store.getView(),
         getClippedElements(store.getView(), store.getOffsets(), type,
                            store.getTileDims()) *
             getElementBits(type) / 8,
         times, /*isRead=*/false);
    return true;
  }
  if (auto scatter = dyn_cast<ScatterOp>(op)) {
    Type type = scatter.getValue().getType();
    move(scatter.getView(),
         static_cast<double>(getElements(type)) * getElementBits(type) / 8,
         times, /*isRead=*/false);
    return true;
  }
  return false;
}

/// Warp-level products take operands from registers: every warp loads what it
/// multiplies from shared memory, and unpacks elements of 4 bits.
void BlockWalker::addFragments(DotOp op, DotKind kind, double times) {
  if (kind != DotKind::MmaSync && kind != DotKind::BlockMma)
    return;
  constexpr int64_t rows = 16;
  double along = std::clamp<double>(llvm::divideCeil(op.getM(), rows), 1,
                                    static_cast<double>(role().warps));
  double across = role().warps / along;
  auto add = [&](Value operand, double elements) {
    int64_t bits = getElementBits(operand.getType());
    role().laneOps += times * elements * (bits / 128.0 * 2 + (bits < 8));
  };
  add(op.getA(), static_cast<double>(op.getM()) * op.getK() * across);
  add(op.getB(), static_cast<double>(op.getN()) * op.getK() * along);
}

void BlockWalker::visitDot(DotOp op, double times) {
  DotContext context{target, role().warps, program.getStrategyAttr()};
  DotKind kind = selectDotFamily(op, context).getKind();
  NumericType type = getProductType(op);
  double flops = 2.0 * op.getM() * op.getN() * op.getK() * times;
  auto *found = llvm::find_if(role().products, [&](const ProductWork &known) {
    return known.kind == kind && known.type == type;
  });
  if (found == role().products.end())
    role().products.push_back({kind, type, flops});
  else
    found->flops += flops;
  constexpr double cyclesPerProduct = 35, productK = 16;
  role().latency += times * cyclesPerProduct * op.getK() / productK;
  addFragments(op, kind, times);
  // Operands that come from registers go through shared memory.
  for (Value operand : {op.getA(), op.getB()})
    if (isa<RankedTensorType>(operand.getType())) {
      role().barriers += times;
      role().laneOps += times * getElements(operand.getType()) *
                        getElementBits(operand.getType()) / 128 * 4;
    }
  if (op.getAScale() || op.getBScale()) {
    // Two scales and a sum per element and block; warpgroup products take one
    // product of scales for many elements.
    double blocks = static_cast<double>(op.getK()) / op.getScaleBlock();
    double each = kind == DotKind::Wgmma ? 1 : 3;
    role().laneOps += times * each * op.getM() * op.getN() * blocks;
  }
}

void BlockWalker::visitElementwise(Operation &op, double times) {
  if (op.getNumResults() == 0)
    return;
  if (auto select = dyn_cast<SelectTopkOp>(op)) {
    int64_t threads = role().warps * kWarpLanes;
    role().laneOps += times * getSelectCycles(select, threads) * threads;
    role().barriers += 4 * times;
    return;
  }
  if (isa<ReduceOp, ScanOp>(op)) {
    // Shuffles, then through shared memory to other warps and back to all.
    constexpr double cycles = 300, exchanges = 2;
    role().laneOps += times * 2 * getElements(op.getOperand(0).getType());
    role().latency += times * cycles;
    role().barriers += times * exchanges;
    return;
  }
  if (isa<RankedTensorType>(op.getResult(0).getType()) &&
      OpTrait::hasElementwiseMappableTraits(&op))
    role().laneOps +=
        times * getInstructions(&op) * getElements(op.getResult(0).getType());
}

void BlockWalker::visitFor(scf::ForOp loop, double times) {
  std::optional<int64_t> low = get(loop.getLowerBound()),
                         high = get(loop.getUpperBound()),
                         stride = get(loop.getStep());
  int64_t trips = 1;
  if (low && high && stride && *stride > 0)
    trips = std::max<int64_t>(llvm::divideCeilSigned(*high - *low, *stride), 0);
  else
    ++work.numUnknown;
  if (trips == 0)
    return;
  auto walkTrip = [&](std::optional<int64_t> trip, double count) {
    set(loop.getInductionVar(), trip);
    for (Value argument : loop.getRegionIterArgs())
      set(argument, std::nullopt);
    walk(*loop.getBody(), times * count);
  };
  if (!low || !stride)
    return walkTrip(std::nullopt, trips);
  // Trips of short loops are often for different things; those of long ones
  // are like the one in the middle.
  constexpr int64_t few = 2;
  if (trips > few)
    return walkTrip(*low + trips / 2 * *stride, trips);
  for (int64_t trip = 0; trip < trips; ++trip)
    walkTrip(*low + trip * *stride, 1);
}

void BlockWalker::visitIf(scf::IfOp op, double times) {
  std::optional<int64_t> condition = get(op.getCondition());
  if (!condition)
    ++work.numUnknown;
  Block *taken = !condition || *condition ? op.thenBlock() : op.elseBlock();
  if (!taken)
    return;
  walk(*taken, times);
  for (auto [result, value] :
       llvm::zip(op.getResults(), taken->getTerminator()->getOperands()))
    if (condition && result.getType().isIntOrIndex())
      set(result, get(value));
}

void BlockWalker::visit(Operation &op, double times, Waits &longest) {
  if (auto id = dyn_cast<ProgramIdOp>(op))
    return set(id.getResult(), block[id.getAxis()]);
  if (auto count = dyn_cast<NumProgramsOp>(op))
    return set(count.getResult(), grid[count.getAxis()]);
  if (auto dim = dyn_cast<DimOp>(op)) {
    const ProgramArgument *argument = getArgument(dim.getView());
    if (argument && isa<BlockArgument>(dim.getView()))
      set(dim.getResult(), argument->sizes[dim.getDim()]);
    return;
  }
  if (auto loop = dyn_cast<scf::ForOp>(op))
    return visitFor(loop, times);
  if (auto condition = dyn_cast<scf::IfOp>(op))
    return visitIf(condition, times);
  if (auto pipeline = dyn_cast<PipelineOp>(op))
    return walk(pipeline.getBody().front(), times);
  if (auto on = dyn_cast<OnOp>(op)) {
    auto pipeline = op.getParentOfType<PipelineOp>();
    size_t before = current;
    for (auto [index, attribute] : llvm::enumerate(pipeline.getRoles()))
      if (cast<RoleAttr>(attribute).getName() == on.getRole())
        current = index;
    walk(on.getBody().front(), times);
    current = before;
    return;
  }
  if (auto acquire = dyn_cast<AcquireOp>(op)) {
    for (Value buffer : acquire.getBuffers())
      stages[buffer] = acquire.getRing().getType().getStages();
    return;
  }
  if (visitMemory(op, times, longest))
    return;
  Waits before = getOperandWaits(op);
  for (Value result : op.getResults())
    waits[result] = before;
  if (auto dot = dyn_cast<DotOp>(op))
    return visitDot(dot, times);
  if (auto write = dyn_cast<WriteOp>(op)) {
    role().barriers += times;
    role().laneOps += times * getElements(write.getValue().getType()) *
                      getElementBits(write.getValue().getType()) / 128 * 4;
    return;
  }
  evaluate(op);
  visitElementwise(op, times);
}

/// A body's loads wait together but where one's address needs another.
void BlockWalker::walk(Block &body, double times) {
  Waits longest;
  for (Operation &op : body)
    visit(op, times, longest);
  role().coldWaits += times * longest.cold;
  role().cachedWaits += times * longest.cached;
}

BlockWork BlockWalker::run() {
  PipelineOp pipeline;
  program.walk([&](PipelineOp op) { pipeline = op; });
  if (pipeline)
    for (auto attribute : pipeline.getRoles().getAsRange<RoleAttr>())
      work.roles.emplace_back().warps = attribute.getWarps();
  else
    work.roles.emplace_back().warps = program.getWarps();
  for (auto [index, value] :
       llvm::enumerate(program.getBody().front().getArguments()))
    if (arguments[index].scalar)
      set(value, arguments[index].scalar);
  walk(program.getBody().front(), 1);
  return std::move(work);
}

BlockWork walkBlock(FuncOp program, ArrayRef<ProgramArgument> arguments,
                    const StepShape &step, ArrayRef<int64_t> block,
                    ArrayRef<int64_t> grid, const TargetModel &target) {
  return BlockWalker(program, arguments, step, block, grid, target).run();
}

int64_t estimateRegisters(FuncOp program, const TargetModel &target) {
  const TargetLimits &limits = target.getLimits();
  PipelineOp pipeline;
  program.walk([&](PipelineOp op) { pipeline = op; });
  int64_t threads = program.getWarps() * kWarpLanes;
  // Roles share out all registers.
  if (pipeline && target.supports(Feature::SetMaxNReg))
    return std::min<int64_t>(limits.maxRegistersPerThread,
                             limits.registersPerSM / threads / 8 * 8);
  Liveness liveness(program);
  int64_t most = 0;
  program.walk([&](Operation *op) {
    if (op == program || (op->getNumRegions() == 0 && !isa<DotOp>(op)))
      return;
    int64_t bits = 0;
    const LivenessBlockInfo *block = liveness.getLiveness(op->getBlock());
    for (Value value : block->currentlyLiveValues(op))
      if (isa<RankedTensorType>(value.getType()) &&
          value.getDefiningOp() != op && // in its accumulator's place
          !isa_and_nonnull<SplatOp, BroadcastOp, IotaOp, arith::ConstantOp>(
              value.getDefiningOp()))
        bits += getElements(value.getType()) * getElementBits(value.getType());
    // A product with scales has its sum of a block beside the accumulator.
    if (auto dot = dyn_cast<DotOp>(op);
        dot && (dot.getAScale() || dot.getBScale()))
      bits += 32 * getElements(dot.getResult().getType());
    most = std::max(most, bits);
  });
  constexpr int64_t others = 40;
  return std::clamp<int64_t>(others + most / 32 / threads, others,
                             limits.maxRegistersPerThread);
}

int64_t getSharedBytes(FuncOp program) {
  int64_t bytes = 0;
  program.walk([&](Operation *op) {
    if (auto alloc = dyn_cast<AllocOp>(op))
      bytes += alloc.getResult().getType().getSizeInBytes();
    if (auto ring = dyn_cast<RingOp>(op))
      for (Type buffer : ring.getResult().getType().getBuffers())
        bytes += ring.getResult().getType().getStages() *
                 cast<BufferType>(buffer).getSizeInBytes();
  });
  return bytes;
}

} // namespace varve
