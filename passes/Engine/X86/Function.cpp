//===- Function.cpp - The shell of a lowered function ---------------------===//
//
// The signature of Abi.h, the loop over blocks, and the dispatch of ops.
//
//===----------------------------------------------------------------------===//

#include "mlir/Dialect/Math/IR/Math.h"
#include "passes/Engine/X86/Abi.h"
#include "passes/Engine/X86/Lowering.h"
#include "passes/Tile/Passes.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/SaveAndRestore.h"

using namespace mlir;
using namespace mlir::varve::tile;
using namespace mlir::varve::x86;

SmallVector<int64_t>
mlir::varve::x86::getDenseStrides(ArrayRef<int64_t> shape) {
  SmallVector<int64_t> strides(shape.size(), 1);
  for (size_t i = shape.size() - 1; i-- > 0;)
    strides[i] = strides[i + 1] * shape[i + 1];
  return strides;
}

FailureOr<func::FuncOp> Lowering::run() {
  if (failed(checkPipelines(source)))
    return failure();
  MLIRContext *context = source.getContext();
  code.loc = source.getLoc();
  code.builder.setInsertionPoint(source);
  Type pointer = LLVM::LLVMPointerType::get(context);
  Type i64 = code.builder.getI64Type();
  function = code.create<func::FuncOp>(
      source.getSymName(),
      code.builder.getFunctionType({pointer, pointer, i64, i64, pointer}, {}));
  if (std::optional<StringRef> visibility = source.getSymVisibility())
    function.setSymVisibility(*visibility);
  Block *entry = function.addEntryBlock();
  // The caller's arguments, grid and scratch area are distinct.
  function.setArgAttr(4, LLVM::LLVMDialect::getNoAliasAttrName(),
                      code.builder.getUnitAttr());
  code.builder.setInsertionPointToStart(entry);
  scratch = entry->getArgument(4);
  readArguments(entry->getArgument(0));
  enterGrid(entry->getArgument(1), entry->getArgument(2),
            entry->getArgument(3));
  if (failed(lowerBlock(source.getBody().front()))) {
    function.erase();
    return failure();
  }
  code.builder.setInsertionPointToEnd(entry);
  code.create<func::ReturnOp>();
  function->setAttr(::varve::x86::kScratchBytesAttrName,
                    code.builder.getI64IntegerAttr(scratchBytes));
  return function;
}

//===----------------------------------------------------------------------===//
// Arguments and grid
//===----------------------------------------------------------------------===//

void Lowering::readArguments(Value words) {
  int64_t next = 0;
  Type i64 = code.builder.getI64Type();
  auto readWord = [&]() -> Value {
    Value address = code.offsetPointer(words, code.index(next++), i64);
    return code.create<LLVM::LoadOp>(i64, address);
  };
  auto readPart = [&](int64_t known) {
    return ShapedType::isDynamic(known) ? code.toIndex(readWord())
                                        : code.index(known);
  };
  for (BlockArgument argument : source.getArguments()) {
    Type type = argument.getType();
    Value word = readWord();
    if (auto viewType = dyn_cast<ViewType>(type)) {
      View view;
      view.element = viewType.getElementType();
      view.base = code.create<LLVM::IntToPtrOp>(
          LLVM::LLVMPointerType::get(source.getContext()), word);
      for (int64_t size : viewType.getShape())
        view.sizes.push_back(readPart(size));
      for (int64_t stride : viewType.getStrides())
        view.strides.push_back(readPart(stride));
      if (viewType.isDense()) {
        view.strides.assign(viewType.getRank(), code.index(1));
        for (int64_t dim = viewType.getRank() - 1; dim-- > 0;)
          view.strides[dim] =
              code.mul(view.strides[dim + 1], view.sizes[dim + 1]);
      }
      views[argument] = std::move(view);
      continue;
    }
    scalars.map(argument,
                engine::readScalar(code.builder, code.loc, type, word));
  }
}

void Lowering::enterGrid(Value grid, Value begin, Value end) {
  Type i64 = code.builder.getI64Type();
  for (unsigned axis = 0; axis < source.getGrid().getNumResults(); ++axis) {
    Value address = code.offsetPointer(grid, code.index(axis), i64);
    numPrograms.push_back(
        code.toIndex(code.create<LLVM::LoadOp>(i64, address)));
  }
  auto loop = code.create<scf::ForOp>(code.toIndex(begin), code.toIndex(end),
                                      code.index(1));
  code.builder.setInsertionPointToStart(loop.getBody());
  Value rest = loop.getInductionVar();
  for (auto [axis, extent] : llvm::enumerate(numPrograms)) {
    bool isLast = axis + 1 == numPrograms.size();
    programIds.push_back(isLast ? rest : code.rem(rest, extent));
    if (!isLast)
      rest = code.div(rest, extent);
  }
}

//===----------------------------------------------------------------------===//
// Scratch memory
//===----------------------------------------------------------------------===//

Value Lowering::allocateBytes(int64_t bytes) {
  int64_t begin = llvm::alignTo(scratchTop, ::varve::x86::kScratchAlignment);
  scratchTop = begin + bytes;
  scratchBytes = std::max(scratchBytes, scratchTop);
  return code.offsetPointer(scratch, code.index(begin),
                            code.builder.getI8Type());
}

Array Lowering::allocate(ArrayRef<int64_t> shape, Type element) {
  Array array;
  array.base =
      allocateBytes(llvm::product_of(shape) * getStorageBytes(element));
  array.strides = getDenseStrides(shape);
  array.element = element;
  array.isOwned = true;
  return array;
}

//===----------------------------------------------------------------------===//
// Dispatch
//===----------------------------------------------------------------------===//

LogicalResult Lowering::lowerBlock(Block &block) {
  llvm::SaveAndRestore current(currentBlock, &block);
  return engine::Dispatch::block(*this, block);
}

void Lowering::lowerScalarOp(Operation *op) {
  code.builder.clone(*op, scalars);
}

LogicalResult Lowering::lowerTileOp(Operation *op) {
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
        scalars.map(op.getResult(), views[op.getView()].sizes[op.getDim()]);
        return success();
      })
      // Kernels do not overlap, copies are complete when they return.
      .Case<WaitPredecessorOp, ReleaseSuccessorOp, WaitOp, CommitOp, ReleaseOp>(
          [](Operation *) { return success(); })
      .Case([&](LoadOp op) { return lowerLoad(op), success(); })
      .Case([&](StoreOp op) { return lowerStore(op), success(); })
      .Case([&](LoadScalarOp op) { return lowerLoadScalar(op), success(); })
      .Case([&](SubviewOp op) { return lowerSubview(op), success(); })
      .Case([&](GatherOp op) {
        Array target =
            allocate(op.getType().getShape(), op.getType().getElementType());
        lowerGather(op, op.getFill(), target, op.getType().getShape());
        arrays[op.getResult()] = target;
        return success();
      })
      .Case([&](GatherCopyOp op) {
        lowerGather(op, Value(), buffers[op.getBuffer()],
                    op.getBuffer().getType().getShape());
        return success();
      })
      .Case([&](ScatterOp op) { return lowerScatter(op), success(); })
      .Case([&](AtomicOp op) { return lowerAtomic(op), success(); })
      .Case([&](CopyOp op) { return lowerCopy(op), success(); })
      .Case([&](AllocOp op) {
        buffers[op.getResult()] =
            allocate(op.getType().getShape(), op.getType().getElementType());
        return success();
      })
      .Case([&](SubbufferOp op) {
        Array part = buffers[op.getBuffer()];
        for (auto [offset, stride] :
             llvm::zip_equal(op.getOffsets(), part.strides))
          part.offset += offset * stride;
        buffers[op.getResult()] = part;
        return success();
      })
      .Case([&](ReadOp op) { return lowerRead(op), success(); })
      .Case([&](WriteOp op) {
        writeTo(op.getValue(), buffers[op.getBuffer()]);
        return success();
      })
      .Case([&](DotOp op) { return lowerDot(op), success(); })
      .Case([&](ReduceOp op) { return lowerReduce(op), success(); })
      .Case([&](ScanOp op) { return lowerScan(op), success(); })
      .Case([&](SelectTopkOp op) { return lowerSelectTopk(op), success(); })
      .Case([&](PipelineOp op) {
        Scope scope(*this);
        return lowerBlock(op.getBody().front());
      })
      .Case([&](OnOp op) { return lowerOn(op); })
      .Case([&](RingOp op) { return lowerRing(op), success(); })
      .Case([&](AcquireOp op) {
        takeStage(op.getRing(), op.getBuffers(), 0);
        return success();
      })
      .Case([&](ReceiveOp op) {
        StringRef role = op->getParentOfType<OnOp>().getRole();
        const Ring &ring = rings.find(op.getRing())->second;
        takeStage(op.getRing(), op.getBuffers(),
                  1 + (llvm::find(ring.readers, role) - ring.readers.begin()));
        return success();
      })
      .Case<IotaOp, SplatOp, ExtractOp, BroadcastOp, ReshapeOp, TransposeOp,
            SliceOp, ConcatOp, ConvertLayoutOp>(
          [&](Operation *op) { return lowerShapeOp(op); })
      .Default([&](Operation *op) {
        return refuse(op, "the engine does not know this op");
      });
}
