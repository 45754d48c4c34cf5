//===- Function.cpp - The shell of a kernel -------------------------------===//
//
// The signature of Abi.h, what the launch must know, and the dispatch of ops.
//
//===----------------------------------------------------------------------===//

#include "passes/Engine/Nvidia/Abi.h"
#include "passes/Engine/Nvidia/Lowering.h"
#include "passes/Engine/Nvidia/WarpSpecialised.h"
#include "passes/Engine/Nvidia/Window.h"
#include "passes/Tile/DotFamily.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::varve::tile;
using namespace mlir::varve::nvidia;

namespace abi = ::varve::nvidia;

static constexpr int64_t kHardwareBarriers = 16;

FailureOr<LLVM::LLVMFuncOp> Lowering::run() {
  if (failed(checkFunction()))
    return failure();
  copies = createCopyLowering(target);
  bool hasProducts = source
                         .walk([](DotOp dot) {
                           return isWgmmaTile(dot.getType())
                                      ? WalkResult::interrupt()
                                      : WalkResult::advance();
                         })
                         .wasInterrupted();
  if (hasProducts)
    products = std::make_unique<AsyncProducts>(*this);
  createFunction();
  readArguments();
  if (failed(lowerBlock(source.getBody().front())) ||
      failed(finishFunction())) {
    function.erase();
    return failure();
  }
  return function;
}

//===----------------------------------------------------------------------===//
// Signature
//===----------------------------------------------------------------------===//

LogicalResult Lowering::checkFunction() {
  int64_t threads = source.getWarps() * kWarpLanes;
  if (threads > int64_t(target.getLimits().threadsPerBlock))
    return refuse(source, "a block has at most " +
                              Twine(target.getLimits().threadsPerBlock) +
                              " threads but this one has " + Twine(threads));
  WalkResult result = source.walk([&](Operation *op) {
    auto check = [&](Type type) {
      auto tile = dyn_cast<RankedTensorType>(type);
      if (!tile || tile.getEncoding())
        return success();
      return refuse(op, "a tile has no layout; run tile-assign-layouts");
    };
    for (Type type : op->getResultTypes())
      if (failed(check(type)))
        return WalkResult::interrupt();
    return WalkResult::advance();
  });
  return failure(result.wasInterrupted());
}

void Lowering::createFunction() {
  code.loc = source.getLoc();
  code.builder.setInsertionPoint(source);
  SmallVector<Type> words;
  Type i64 = code.builder.getI64Type();
  for (Type type : source.getArgumentTypes()) {
    int64_t count = 1;
    if (auto view = dyn_cast<ViewType>(type))
      count += view.getNumDynamicSizes() + view.getNumDynamicStrides();
    words.append(count, i64);
  }
  function = code.create<LLVM::LLVMFuncOp>(
      source.getSymName(),
      LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(source.getContext()),
                                  words));
  code.builder.setInsertionPointToStart(function.addEntryBlock(code.builder));
  block = makeThreads(0, source.getWarps(), 0);
  threads = block;
  Type i32 = code.builder.getI32Type();
  auto read = [&](auto x, auto y, auto z, unsigned axis) -> Value {
    using X = std::remove_pointer_t<decltype(x)>;
    using Y = std::remove_pointer_t<decltype(y)>;
    using Z = std::remove_pointer_t<decltype(z)>;
    Value number = axis == 0   ? code.create<X>(i32).getResult()
                   : axis == 1 ? code.create<Y>(i32).getResult()
                               : code.create<Z>(i32).getResult();
    return code.toIndex(code.extendToI64(number));
  };
  for (unsigned axis = 0; axis < source.getGrid().getNumResults(); ++axis) {
    programIds.push_back(read((NVVM::BlockIdXOp *)nullptr,
                              (NVVM::BlockIdYOp *)nullptr,
                              (NVVM::BlockIdZOp *)nullptr, axis));
    numPrograms.push_back(read((NVVM::GridDimXOp *)nullptr,
                               (NVVM::GridDimYOp *)nullptr,
                               (NVVM::GridDimZOp *)nullptr, axis));
  }
}

void Lowering::readArguments() {
  auto next = function.getBody().front().getArguments().begin();
  auto readPart = [&](int64_t known) -> Value {
    return ShapedType::isDynamic(known) ? Value(*next++) : code.i64(known);
  };
  for (BlockArgument argument : source.getArguments()) {
    Type type = argument.getType();
    Value word = *next++;
    if (auto viewType = dyn_cast<ViewType>(type)) {
      View view;
      view.element = viewType.getElementType();
      view.argument = argument.getArgNumber();
      view.base = code.create<LLVM::IntToPtrOp>(
          code.getPointerType(kGlobalSpace), word);
      view.alignment = abi::kViewAlignment;
      if (auto alignment = source.getArgAttrOfType<IntegerAttr>(
              argument.getArgNumber(), abi::kAlignmentAttrName))
        view.alignment = alignment.getInt();
      for (int64_t size : viewType.getShape())
        view.sizes.push_back(readPart(size));
      for (int64_t stride : viewType.getStrides()) {
        view.strides.push_back(readPart(stride));
        view.strideDivisors.push_back(ShapedType::isDynamic(stride) ? 1
                                                                    : stride);
      }
      if (viewType.isDense()) {
        view.strides.assign(viewType.getRank(), code.i64(1));
        view.strideDivisors.assign(viewType.getRank(), 1);
        for (int64_t dim = viewType.getRank() - 1; dim-- > 0;) {
          view.strides[dim] =
              code.mul(view.strides[dim + 1], view.sizes[dim + 1]);
          int64_t size = viewType.getShape()[dim + 1];
          view.strideDivisors[dim] = view.strideDivisors[dim + 1] *
                                     (ShapedType::isDynamic(size) ? 1 : size);
        }
      }
      views[argument] = std::move(view);
      continue;
    }
    scalars.map(argument,
                engine::readScalar(code.builder, code.loc, type, word));
  }
}

Value Lowering::addTensorMap(unsigned argument, ArrayRef<int64_t> box,
                             int64_t swizzle) {
  Builder &builder = code.builder;
  Attribute map = builder.getDictionaryAttr(
      {builder.getNamedAttr("argument", builder.getI64IntegerAttr(argument)),
       builder.getNamedAttr("box", builder.getDenseI64ArrayAttr(box)),
       builder.getNamedAttr("swizzle", builder.getI64IntegerAttr(swizzle))});
  Block &entry = function.getBody().front();
  unsigned firstMap = entry.getNumArguments() - tensorMaps.size();
  auto *it = llvm::find(tensorMaps, map);
  if (it != tensorMaps.end())
    return entry.getArgument(firstMap + (it - tensorMaps.begin()));
  tensorMaps.push_back(map);
  return entry.addArgument(code.getPointerType(0), source.getLoc());
}

LogicalResult Lowering::finishFunction() {
  Builder &builder = code.builder;
  Block &entry = function.getBody().front();
  code.builder.setInsertionPointToEnd(&function.getBody().back());
  code.create<LLVM::ReturnOp>(ValueRange());
  function.setFunctionType(
      LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(source.getContext()),
                                  SmallVector<Type>(entry.getArgumentTypes())));
  unsigned firstMap = entry.getNumArguments() - tensorMaps.size();
  for (unsigned i = firstMap; i < entry.getNumArguments(); ++i) {
    function.setArgAttr(
        i, LLVM::LLVMDialect::getByValAttrName(),
        TypeAttr::get(LLVM::LLVMArrayType::get(builder.getI8Type(), 128)));
    function.setArgAttr(i, LLVM::LLVMDialect::getAlignAttrName(),
                        builder.getI64IntegerAttr(64));
    function.setArgAttr(i, NVVM::NVVMDialect::getGridConstantAttrName(),
                        builder.getUnitAttr());
  }
  if (shared.getBytes() > int64_t(target.getLimits().sharedBytesPerBlock))
    return refuse(source, "a block has at most " +
                              Twine(target.getLimits().sharedBytesPerBlock) +
                              " bytes of shared memory but this one needs " +
                              Twine(shared.getBytes()));

  if (nextBarrier > kHardwareBarriers)
    return refuse(source, "its roles need " + Twine(nextBarrier) +
                              " barriers but there are " +
                              Twine(kHardwareBarriers));

  int64_t numThreads = source.getWarps() * kWarpLanes;
  int64_t blocks = 1;
  if (StrategyAttr strategy = source.getStrategyAttr())
    blocks = strategy.getBlocksPerMultiprocessor();
  auto setNumber = [&](StringRef name, int64_t value) {
    function->setAttr(name, builder.getI64IntegerAttr(value));
  };
  function->setAttr(NVVM::NVVMDialect::getKernelFuncAttrName(),
                    builder.getUnitAttr());
  function->setAttr(
      NVVM::NVVMDialect::getMaxntidAttrName(),
      builder.getDenseI32ArrayAttr({static_cast<int32_t>(numThreads)}));
  function->setAttr(NVVM::NVVMDialect::getMinctasmAttrName(),
                    builder.getI32IntegerAttr(blocks));
  setNumber(abi::kThreadsAttrName, numThreads);
  setNumber(abi::kSharedBytesAttrName, shared.getBytes());
  setNumber(abi::kBlocksPerMultiprocessorAttrName, blocks);
  function->setAttr(abi::kGridAttrName, source.getGridAttr());
  function->setAttr(abi::kSizesAttrName, source.getSizesAttr());
  if (!tensorMaps.empty())
    function->setAttr(abi::kTensorMapsAttrName,
                      builder.getArrayAttr(tensorMaps));
  bool waits =
      source.walk([](WaitPredecessorOp) { return WalkResult::interrupt(); })
          .wasInterrupted();
  if (waits && target.supports(::varve::Feature::DependentLaunch))
    function->setAttr(abi::kDependentLaunchAttrName, builder.getUnitAttr());
  return success();
}

Value Lowering::getConstantArray(StringRef bytes, int64_t alignment) {
  auto module = source->getParentOfType<ModuleOp>();
  for (auto global : module.getOps<LLVM::GlobalOp>()) {
    auto value = dyn_cast_or_null<StringAttr>(global.getValueOrNull());
    if (value && value.getValue() == bytes && global.getConstant() &&
        global.getAddrSpace() == kGlobalSpace)
      return code.create<LLVM::AddressOfOp>(global);
  }
  LLVM::GlobalOp global;
  {
    OpBuilder::InsertionGuard guard(code.builder);
    code.builder.setInsertionPointToStart(module.getBody());
    std::string name;
    for (unsigned i = 0; name.empty() || module.lookupSymbol(name); ++i)
      name = ("varve_constant" + Twine(i)).str();
    global = code.create<LLVM::GlobalOp>(
        LLVM::LLVMArrayType::get(code.builder.getI8Type(), bytes.size()),
        /*isConstant=*/true, LLVM::Linkage::Private, name,
        code.builder.getStringAttr(bytes), alignment, kGlobalSpace);
  }
  return code.create<LLVM::AddressOfOp>(global);
}

int64_t Lowering::takeBarriers(int64_t count) {
  int64_t first = nextBarrier;
  nextBarrier += count;
  return first;
}

DotLowering *Lowering::getDotLowering(Attribute accumulatorLayout) {
  StringRef kind = accumulatorLayout.getAbstractAttribute().getName();
  std::unique_ptr<DotLowering> &dot = dots[kind.str()];
  if (!dot)
    dot = createDotLowering(accumulatorLayout);
  return dot.get();
}

//===----------------------------------------------------------------------===//
// Dispatch
//===----------------------------------------------------------------------===//

LogicalResult Lowering::lowerBlock(Block &block) {
  return engine::Dispatch::block(*this, block);
}

LogicalResult Lowering::lowerTileOp(Operation *op) {
  auto inPipeline = [&](auto lower) -> LogicalResult {
    if (!pipelines)
      pipelines = createPipelineLowering(target, source);
    if (!pipelines)
      return refuse(op, "the engine has no pipelines for this target");
    return lower(*pipelines);
  };
  return llvm::TypeSwitch<Operation *, LogicalResult>(op)
      .Case([&](ProgramIdOp op) {
        scalars.map(op.getResult(), programIds[op.getAxis()]);
        return success();
      })
      .Case([&](NumProgramsOp op) {
        scalars.map(op.getResult(), numPrograms[op.getAxis()]);
        return success();
      })
      .Case([&](DimOp op) {
        scalars.map(op.getResult(),
                    code.toIndex(views[op.getView()].sizes[op.getDim()]));
        return success();
      })
      .Case([&](WaitPredecessorOp) {
        if (target.supports(::varve::Feature::DependentLaunch))
          code.create<NVVM::GriddepcontrolOp>(NVVM::GridDepActionKind::wait);
        return success();
      })
      .Case([&](ReleaseSuccessorOp) {
        if (target.supports(::varve::Feature::DependentLaunch))
          code.create<NVVM::GriddepcontrolOp>(
              NVVM::GridDepActionKind::launch_dependents);
        return success();
      })
      .Case([&](LoadOp op) { return lowerLoad(op), success(); })
      .Case([&](StoreOp op) {
        if (!stagedStore || !stagedStore->lower(*this, op))
          lowerStore(op);
        return success();
      })
      .Case([&](GatherOp op) {
        Value fill = op.getFill() ? scalar(op.getFill()) : Value();
        tiles[op.getResult()] = gatherRows(op, op.getType(), fill);
        return success();
      })
      .Case([&](ScatterOp op) { return lowerScatter(op), success(); })
      .Case([&](LoadScalarOp op) { return lowerLoadScalar(op), success(); })
      .Case([&](SubviewOp op) { return lowerSubview(op), success(); })
      .Case([&](CopyOp op) { return copies->lowerCopy(*this, op); })
      .Case([&](GatherCopyOp op) { return copies->lowerGatherCopy(*this, op); })
      .Case([&](WaitOp op) { return copies->lowerWait(*this, op); })
      .Case([&](AllocOp op) {
        buffers[op.getResult()] = allocateBuffer(op.getType());
        return success();
      })
      .Case([&](SubbufferOp op) {
        SharedBuffer part = getBuffer(op.getBuffer());
        for (auto [offset, more] :
             llvm::zip_equal(part.offsets, op.getOffsets()))
          offset += more;
        part.shape.assign(op.getType().getShape().begin(),
                          op.getType().getShape().end());
        buffers[op.getResult()] = part;
        return success();
      })
      .Case([&](ReadOp op) {
        tiles[op.getResult()] =
            readBuffer(getBuffer(op.getBuffer()), op.getType());
        return success();
      })
      .Case([&](WriteOp op) {
        writeBuffer(getTile(op.getValue()), getBuffer(op.getBuffer()));
        return success();
      })
      .Case([&](AtomicOp op) { return lowerAtomic(op), success(); })
      .Case([&](ReduceOp op) { return lowerReduce(op), success(); })
      .Case([&](ScanOp op) { return lowerScan(op), success(); })
      .Case([&](SelectTopkOp op) { return lowerSelectTopk(op), success(); })
      .Case<IotaOp, SplatOp, ExtractOp, BroadcastOp, ReshapeOp, TransposeOp,
            SliceOp, ConcatOp, ConvertLayoutOp>(
          [&](Operation *op) { return lowerShapeOp(op); })
      .Case([&](DotOp op) -> LogicalResult {
        Attribute layout = op.getType().getEncoding();
        if (op.getQuads() &&
            !(isa_and_present<WgmmaLayoutAttr>(layout) && getCodeProduct(op)))
          return refuse(op, "only warpgroup products of 4-bit codes whose "
                            "scales are powers of two take columns in quad "
                            "order");
        if (DotLowering *dot = getDotLowering(layout))
          return dot->lower(*this, op);
        return op.emitOpError()
               << "cannot be lowered for " << target.getName()
               << ": no matrix product has accumulators of " << layout;
      })
      .Case([&](PipelineOp op) {
        return inPipeline([&](auto &p) { return p.lower(*this, op); });
      })
      .Case([&](OnOp op) {
        return inPipeline([&](auto &p) { return p.lowerOn(*this, op); });
      })
      .Case([&](RingOp op) {
        return inPipeline([&](auto &p) { return p.lowerRing(*this, op); });
      })
      .Case([&](AcquireOp op) {
        return inPipeline([&](auto &p) { return p.lowerAcquire(*this, op); });
      })
      .Case([&](CommitOp op) {
        return inPipeline([&](auto &p) { return p.lowerCommit(*this, op); });
      })
      .Case([&](ReceiveOp op) {
        return inPipeline([&](auto &p) { return p.lowerReceive(*this, op); });
      })
      .Case([&](ReleaseOp op) {
        return inPipeline([&](auto &p) { return p.lowerRelease(*this, op); });
      })
      .Default([&](Operation *op) {
        return refuse(op, "the engine does not know this op");
      });
}
