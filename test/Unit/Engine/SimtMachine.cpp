//===- SimtMachine.cpp - NVIDIA kernels on this processor -----------------===//

#include "SimtMachine.h"

#include "SimtMatrix.h"

#include "passes/Engine/Nvidia/Abi.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "varve/Support/Floats.h"
#include "llvm/ADT/TypeSwitch.h"
#include "gtest/gtest.h"

#include <cstring>
#include <ucontext.h>
#include <vector>

using namespace mlir;
using namespace varve::test;

//===----------------------------------------------------------------------===//
// The machine
//===----------------------------------------------------------------------===//

namespace {

constexpr int kLanes = 32;
constexpr size_t kStackBytes = 256 << 10, kSharedBytes = 256 << 10;

/// Where a number of threads meet, again and again.
struct Meeting {
  int arrived = 0;
  uint64_t generation = 0;
};

struct Fiber {
  ucontext_t context;
  std::vector<char> stack;
  bool isDone = false;
};

struct Machine {
  alignas(1024) char shared[kSharedBytes];
  std::vector<Fiber> fibers;
  std::vector<Meeting> warps;
  Meeting barriers[16];
  /// Per warp, values of two generations.
  std::vector<std::array<std::array<uint32_t, kLanes>, 2>> values;
  ucontext_t scheduler;
  int current = 0, numThreads = 0;
  uint64_t progress = 0;
  int64_t block[3], grid[3];
  void (*entry)(const uint64_t *);
  const uint64_t *words;
};

Machine machine;

void pause() {
  swapcontext(&machine.fibers[machine.current].context, &machine.scheduler);
}

void meet(Meeting &meeting, int count) {
  ++machine.progress;
  uint64_t mine = meeting.generation;
  if (++meeting.arrived == count) {
    meeting.arrived = 0;
    ++meeting.generation;
    return;
  }
  while (meeting.generation == mine)
    pause();
}

/// Leaves a value for the warp, and returns all that its lanes left.
const std::array<uint32_t, kLanes> &exchange(uint32_t value) {
  int warp = machine.current / kLanes;
  Meeting &meeting = machine.warps[warp];
  auto &values = machine.values[warp][meeting.generation % 2];
  values[machine.current % kLanes] = value;
  meet(meeting, kLanes);
  return values;
}

void runFiber() {
  machine.entry(machine.words);
  machine.fibers[machine.current].isDone = true;
  ++machine.progress;
  pause();
}

} // namespace

const WarpWords &varve::test::exchangeWord(uint32_t value) {
  return exchange(value);
}
uint32_t varve::test::getSimtThread() { return machine.current; }
char *varve::test::getSimtShared() { return machine.shared; }

//===----------------------------------------------------------------------===//
// What kernels call
//===----------------------------------------------------------------------===//

static uint32_t getThread() { return machine.current; }
static uint32_t getBlock(uint32_t axis) { return machine.block[axis]; }
static uint32_t getGrid(uint32_t axis) { return machine.grid[axis]; }

static void waitAtBarrier(uint32_t id, uint32_t count) {
  meet(machine.barriers[id], count ? count : machine.numThreads);
}

static void waitForWarp() { exchange(0); }

static uint32_t shuffle(uint32_t kind, uint32_t value, uint32_t offset) {
  int lane = machine.current % kLanes;
  const auto &values = exchange(value);
  int from = lane;
  switch (static_cast<NVVM::ShflKind>(kind)) {
  case NVVM::ShflKind::bfly:
    from = lane ^ offset;
    break;
  case NVVM::ShflKind::up:
    from = lane - static_cast<int>(offset);
    break;
  case NVVM::ShflKind::down:
    from = lane + offset;
    break;
  case NVVM::ShflKind::idx:
    from = offset % kLanes;
    break;
  }
  return values[from < 0 || from >= kLanes ? lane : from];
}

static uint32_t sumOverWarp(uint32_t value) {
  uint32_t sum = 0;
  for (uint32_t v : exchange(value))
    sum += v;
  return sum;
}

/// Two f32 as bf16, the second in the upper half.
static uint32_t roundPair(uint32_t low, uint32_t high) {
  return ::varve::floatToBf16(std::bit_cast<float>(low)) |
         static_cast<uint32_t>(::varve::floatToBf16(std::bit_cast<float>(high)))
             << 16;
}

//===----------------------------------------------------------------------===//
// Compilation
//===----------------------------------------------------------------------===//

namespace {

class Translator {
public:
  explicit Translator(ModuleOp module)
      : module(module), builder(module.getContext()) {}

  LogicalResult run() {
    SmallVector<Operation *> ops;
    module.walk([&](Operation *op) { ops.push_back(op); });
    for (Operation *op : ops)
      if (failed(translate(op)))
        return failure();
    return success();
  }

private:
  Value constant(int64_t value) {
    return LLVM::ConstantOp::create(builder, loc, builder.getI32Type(),
                                    builder.getI32IntegerAttr(value));
  }

  /// Calls a function of this process.
  Value call(const void *function, Type result, ValueRange operands) {
    Value bits = LLVM::ConstantOp::create(
        builder, loc, builder.getI64Type(),
        builder.getI64IntegerAttr(reinterpret_cast<int64_t>(function)));
    Value pointer = LLVM::IntToPtrOp::create(
        builder, loc, LLVM::LLVMPointerType::get(builder.getContext()), bits);
    SmallVector<Value> all = {pointer};
    llvm::append_range(all, operands);
    Type returned =
        result ? result : LLVM::LLVMVoidType::get(builder.getContext());
    auto type = LLVM::LLVMFunctionType::get(
        returned, SmallVector<Type>(operands.getTypes()));
    auto op = LLVM::CallOp::create(builder, loc, type, all);
    return result ? op.getResult() : Value();
  }

  void replace(Operation *op, Value value) {
    if (op->getNumResults() != 0)
      op->getResult(0).replaceAllUsesWith(value);
    op->erase();
  }

  LogicalResult translate(Operation *op) {
    loc = op->getLoc();
    builder.setInsertionPoint(op);
    if (std::optional<LogicalResult> done = translateMatrixOp(
            op, builder,
            [&](const void *function, Type type, ValueRange operands) {
              return call(function, type, operands);
            }))
      return *done;
    Type i32 = builder.getI32Type();
    auto fn = [](auto *function) {
      return reinterpret_cast<const void *>(function);
    };
    auto number = [&](auto *function, int64_t axis) {
      replace(op, call(fn(function), i32, constant(axis)));
      return success();
    };
    return llvm::TypeSwitch<Operation *, LogicalResult>(op)
        .Case([&](NVVM::ThreadIdXOp) {
          replace(op, call(fn(&getThread), i32, {}));
          return success();
        })
        .Case([&](NVVM::BlockIdXOp) { return number(&getBlock, 0); })
        .Case([&](NVVM::BlockIdYOp) { return number(&getBlock, 1); })
        .Case([&](NVVM::BlockIdZOp) { return number(&getBlock, 2); })
        .Case([&](NVVM::GridDimXOp) { return number(&getGrid, 0); })
        .Case([&](NVVM::GridDimYOp) { return number(&getGrid, 1); })
        .Case([&](NVVM::GridDimZOp) { return number(&getGrid, 2); })
        .Case([&](NVVM::Barrier0Op) {
          call(fn(&waitAtBarrier), {}, {constant(0), constant(0)});
          op->erase();
          return success();
        })
        .Case([&](NVVM::BarrierOp barrier) {
          Value id = barrier.getBarrierId(),
                count = barrier.getNumberOfThreads();
          call(fn(&waitAtBarrier), {},
               {id ? id : constant(0), count ? count : constant(0)});
          op->erase();
          return success();
        })
        .Case([&](NVVM::SyncWarpOp) {
          call(fn(&waitForWarp), {}, {});
          op->erase();
          return success();
        })
        .Case([&](NVVM::ShflOp shfl) {
          Type type = shfl.getVal().getType();
          Value value = shfl.getVal();
          if (type != i32)
            value = LLVM::BitcastOp::create(builder, loc, i32, value);
          Value result = call(fn(&shuffle), i32,
                              {constant(static_cast<int64_t>(shfl.getKind())),
                               value, shfl.getOffset()});
          if (type != i32)
            result = LLVM::BitcastOp::create(builder, loc, type, result);
          replace(op, result);
          return success();
        })
        .Case([&](NVVM::ReduxOp redux) -> LogicalResult {
          if (redux.getKind() != NVVM::ReduxKind::ADD)
            return op->emitOpError("is not simulated");
          replace(op, call(fn(&sumOverWarp), i32, redux.getVal()));
          return success();
        })
        .Case([&](NVVM::ConvertF32x2ToBF16x2Op convert) {
          Value pair = call(
              fn(&roundPair), i32,
              {LLVM::BitcastOp::create(builder, loc, i32, convert.getSrcLo()),
               LLVM::BitcastOp::create(builder, loc, i32, convert.getSrcHi())});
          replace(op, LLVM::BitcastOp::create(
                          builder, loc, convert.getDst().getType(), pair));
          return success();
        })
        .Case([&](NVVM::GriddepcontrolOp) {
          op->erase();
          return success();
        })
        .Case([&](LLVM::AddressOfOp address) {
          auto global =
              module.lookupSymbol<LLVM::GlobalOp>(address.getGlobalName());
          if (!global)
            return success();
          Value value;
          if (address.getType().getAddressSpace() == 3) {
            Value bits = LLVM::ConstantOp::create(
                builder, loc, builder.getI64Type(),
                builder.getI64IntegerAttr(
                    reinterpret_cast<int64_t>(machine.shared)));
            value =
                LLVM::IntToPtrOp::create(builder, loc, address.getType(), bits);
          } else {
            value = LLVM::AddrSpaceCastOp::create(
                builder, loc, address.getType(),
                LLVM::AddressOfOp::create(
                    builder, loc, LLVM::LLVMPointerType::get(op->getContext()),
                    address.getGlobalName()));
          }
          replace(op, value);
          return success();
        })
        .Case([&](LLVM::GlobalOp global) {
          if (global.getAddrSpace() == 3)
            sharedGlobals.push_back(global);
          global.setAddrSpace(0);
          return success();
        })
        .Case([&](LLVM::LLVMFuncOp function) {
          SmallVector<StringAttr> names;
          for (NamedAttribute attribute : function->getDiscardableAttrs())
            names.push_back(attribute.getName());
          for (StringAttr name : names)
            function->removeDiscardableAttr(name);
          return success();
        })
        .Default([&](Operation *op) -> LogicalResult {
          if (isa<NVVM::NVVMDialect>(op->getDialect()))
            return op->emitOpError("is not simulated");
          return success();
        });
  }

  ModuleOp module;
  OpBuilder builder;
  Location loc = module.getLoc();

public:
  SmallVector<LLVM::GlobalOp> sharedGlobals;
};

/// A function that takes the kernel's parameters from an array.
void addEntry(ModuleOp module, LLVM::LLVMFuncOp kernel) {
  OpBuilder builder = OpBuilder::atBlockEnd(module.getBody());
  Location loc = kernel.getLoc();
  MLIRContext *context = module.getContext();
  Type pointer = LLVM::LLVMPointerType::get(context);
  auto entry = LLVM::LLVMFuncOp::create(
      builder, loc, "simt_entry",
      LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(context), pointer));
  Block *block = entry.addEntryBlock(builder);
  builder.setInsertionPointToStart(block);
  SmallVector<Value> words;
  for (unsigned i = 0; i < kernel.getNumArguments(); ++i)
    words.push_back(LLVM::LoadOp::create(
        builder, loc, builder.getI64Type(),
        LLVM::GEPOp::create(builder, loc, pointer, builder.getI64Type(),
                            block->getArgument(0),
                            ArrayRef<LLVM::GEPArg>{int32_t(i)})));
  LLVM::CallOp::create(builder, loc, kernel, words);
  LLVM::ReturnOp::create(builder, loc, ValueRange());
}

} // namespace

std::unique_ptr<SimtKernel> SimtKernel::compile(ModuleOp module,
                                                const std::string &name) {
  auto kernel = module.lookupSymbol<LLVM::LLVMFuncOp>(name);
  std::unique_ptr<SimtKernel> result(new SimtKernel());
  auto getNumber = [&](StringRef attribute) {
    return kernel->getAttrOfType<IntegerAttr>(attribute).getInt();
  };
  result->threads = getNumber(nvidia::kThreadsAttrName);
  result->sharedBytes = getNumber(nvidia::kSharedBytesAttrName);
  if (kernel->hasAttr(nvidia::kTensorMapsAttrName)) {
    ADD_FAILURE() << "tensor copies are not simulated";
    return nullptr;
  }
  Translator translator(module);
  if (failed(translator.run())) {
    ADD_FAILURE() << "the kernel cannot be simulated";
    return nullptr;
  }
  for (LLVM::GlobalOp global : translator.sharedGlobals)
    global.erase();
  addEntry(module, kernel);
  auto jit = JitModule::create(module);
  if (!jit) {
    ADD_FAILURE() << llvm::toString(jit.takeError());
    return nullptr;
  }
  result->jit = std::move(*jit);
  result->entry = llvm::cantFail(
      result->jit->lookupAs<void(const uint64_t *)>("simt_entry"));
  return result;
}

//===----------------------------------------------------------------------===//
// Execution
//===----------------------------------------------------------------------===//

void SimtKernel::run(llvm::ArrayRef<uint64_t> words,
                     llvm::ArrayRef<int64_t> grid, bool inReverse) {
  ASSERT_LE(sharedBytes, static_cast<int64_t>(kSharedBytes));
  machine.numThreads = threads;
  machine.entry = entry;
  machine.words = words.data();
  int64_t blocks = 1;
  for (int axis = 0; axis < 3; ++axis) {
    machine.grid[axis] = axis < static_cast<int>(grid.size()) ? grid[axis] : 1;
    blocks *= machine.grid[axis];
  }
  machine.fibers.resize(threads);
  for (Fiber &fiber : machine.fibers)
    fiber.stack.resize(kStackBytes);
  for (int64_t i = 0; i < blocks; ++i) {
    int64_t rest = inReverse ? blocks - 1 - i : i;
    for (int axis = 0; axis < 3; ++axis) {
      machine.block[axis] = rest % machine.grid[axis];
      rest /= machine.grid[axis];
    }
    // What a block finds in shared memory is anything.
    std::memset(machine.shared, 0xC3, sharedBytes);
    machine.warps.assign(threads / kLanes, {});
    machine.values.assign(threads / kLanes, {});
    resetCopies(threads);
    for (Meeting &barrier : machine.barriers)
      barrier = {};
    for (Fiber &fiber : machine.fibers) {
      fiber.isDone = false;
      getcontext(&fiber.context);
      fiber.context.uc_stack.ss_sp = fiber.stack.data();
      fiber.context.uc_stack.ss_size = fiber.stack.size();
      fiber.context.uc_link = nullptr;
      makecontext(&fiber.context, &runFiber, 0);
    }
    bool isDone = false;
    while (!isDone) {
      uint64_t before = machine.progress;
      isDone = true;
      for (int64_t t = 0; t < threads; ++t) {
        machine.current = inReverse ? threads - 1 - t : t;
        Fiber &fiber = machine.fibers[machine.current];
        if (fiber.isDone)
          continue;
        swapcontext(&machine.scheduler, &fiber.context);
        isDone &= fiber.isDone;
      }
      if (!isDone && machine.progress == before) {
        ADD_FAILURE() << "threads of block " << i << " wait for ever";
        return;
      }
    }
  }
}
