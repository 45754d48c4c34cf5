//===- SimtMatrix.cpp - Matrix instructions and copies, simulated ---------===//

#include "SimtMatrix.h"

#include "varve/Support/Floats.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "llvm/ADT/TypeSwitch.h"

#include <cstring>
#include <deque>
#include <vector>

using namespace mlir;
using namespace varve;
using namespace varve::test;

//===----------------------------------------------------------------------===//
// What kernels call
//===----------------------------------------------------------------------===//

namespace {

struct Copy {
  char *target;
  const char *source;
  uint32_t bytes, size;
};

/// A thread's copies, and the words that its last instruction gave.
struct Lane {
  std::vector<Copy> open;
  std::deque<std::vector<Copy>> groups;
  std::array<uint32_t, 4> words;
};

std::vector<Lane> lanes;

Lane &getLane() { return lanes[getSimtThread()]; }

void startCopy(char *target, const char *source, uint32_t bytes,
               uint32_t size) {
  getLane().open.push_back({target, source, bytes, size});
}

void commitCopies() {
  getLane().groups.push_back(std::move(getLane().open));
  getLane().open.clear();
}

void waitForCopies(uint32_t pending) {
  Lane &lane = getLane();
  for (; lane.groups.size() > pending; lane.groups.pop_front())
    for (const Copy &copy : lane.groups.front()) {
      std::memset(copy.target, 0, copy.bytes);
      std::memcpy(copy.target, copy.source, copy.size);
    }
}

uint32_t getWord(uint32_t number) { return getLane().words[number]; }

void loadMatrices(char *address, uint32_t count, uint32_t transposed) {
  WarpWords rows = exchangeWord(address - getSimtShared());
  int l = getSimtThread() % 32;
  for (uint32_t i = 0; i < count; ++i) {
    auto element = [&](int row, int column) {
      uint16_t bits;
      std::memcpy(&bits, getSimtShared() + rows[8 * i + row] + 2 * column, 2);
      return static_cast<uint32_t>(bits);
    };
    int a = l / 4, b = 2 * (l % 4);
    getLane().words[i] = transposed ? element(b, a) | element(b + 1, a) << 16
                                    : element(a, b) | element(a, b + 1) << 16;
  }
}

float decode(uint32_t kind, uint32_t word, int position) {
  switch (kind) {
  case 0:
    return bf16ToFloat(word >> 16 * position & 0xFFFF);
  case 1:
    return f16ToFloat(word >> 16 * position & 0xFFFF);
  case 2:
    return e4m3ToFloat(word >> 8 * position & 0xFF);
  default:
    return e5m2ToFloat(word >> 8 * position & 0xFF);
  }
}

/// m16n8k16 of 16-bit (kinds 0, 1) or m16n8k32 of 8-bit elements (2, 3).
void multiply(uint32_t leftKind, uint32_t rightKind, uint32_t a0, uint32_t a1,
              uint32_t a2, uint32_t a3, uint32_t b0, uint32_t b1, float c0,
              float c1, float c2, float c3) {
  WarpWords a[4], b[2];
  uint32_t as[] = {a0, a1, a2, a3}, bs[] = {b0, b1};
  for (int i = 0; i < 4; ++i)
    a[i] = exchangeWord(as[i]);
  for (int i = 0; i < 2; ++i)
    b[i] = exchangeWord(bs[i]);
  int perWord = leftKind < 2 ? 2 : 4, l = getSimtThread() % 32;
  float c[] = {c0, c1, c2, c3};
  for (int i = 0; i < 4; ++i) {
    int row = l / 4, half = i / 2, column = 2 * (l % 4) + i % 2;
    double sum = c[i];
    for (int quad = 0; quad < 4; ++quad)
      for (int high = 0; high < 2; ++high)
        for (int at = 0; at < perWord; ++at)
          sum += static_cast<double>(
                     decode(leftKind, a[2 * high + half][4 * row + quad], at)) *
                 decode(rightKind, b[high][4 * column + quad], at);
    float rounded = static_cast<float>(sum);
    std::memcpy(&getLane().words[i], &rounded, 4);
  }
}

uint32_t permuteBytes(uint32_t low, uint32_t high, uint32_t selector) {
  uint64_t bytes = static_cast<uint64_t>(high) << 32 | low;
  uint32_t result = 0;
  for (int i = 0; i < 4; ++i) {
    uint32_t nibble = selector >> 4 * i & 15;
    uint32_t byte = bytes >> 8 * (nibble & 7) & 0xFF;
    if (nibble & 8)
      byte = byte & 0x80 ? 0xFF : 0;
    result |= byte << 8 * i;
  }
  return result;
}

uint32_t widenToF16(uint32_t pair, uint32_t isE5M2) {
  uint32_t result = 0;
  for (int i = 0; i < 2; ++i) {
    uint8_t code = pair >> 8 * i;
    float value = isE5M2 ? e5m2ToFloat(code) : e4m3ToFloat(code);
    result |= static_cast<uint32_t>(floatToF16(value)) << 16 * i;
  }
  return result;
}

} // namespace

void test::resetCopies(int64_t numThreads) { lanes.assign(numThreads, {}); }

//===----------------------------------------------------------------------===//
// Translation
//===----------------------------------------------------------------------===//

namespace {

template <typename Fn> const void *fn(Fn *function) {
  return reinterpret_cast<const void *>(function);
}

class MatrixTranslator {
public:
  MatrixTranslator(Operation *op, OpBuilder &builder, CallFn call)
      : op(op), builder(builder), call(call), i32(builder.getI32Type()) {}

  std::optional<LogicalResult> run();

private:
  Value constant(int64_t value) {
    return LLVM::ConstantOp::create(builder, op->getLoc(), i32,
                                    builder.getI32IntegerAttr(value));
  }
  Value cast(Value value, Type type) {
    if (value.getType() == type)
      return value;
    return LLVM::BitcastOp::create(builder, op->getLoc(), type, value);
  }
  /// A pointer of any address space as a plain one.
  Value toPointer(Value value) {
    return LLVM::AddrSpaceCastOp::create(
        builder, op->getLoc(), LLVM::LLVMPointerType::get(op->getContext()),
        value);
  }
  LogicalResult erase() {
    op->erase();
    return success();
  }
  /// The words of the lane become the op's struct, or its one value.
  LogicalResult replaceByWords(Type element);
  LogicalResult translateCopy(NVVM::CpAsyncOp copy);
  LogicalResult translateCall(LLVM::CallIntrinsicOp intrinsic);

  Operation *op;
  OpBuilder &builder;
  CallFn call;
  Type i32;
};

LogicalResult MatrixTranslator::replaceByWords(Type element) {
  Type type = op->getResult(0).getType();
  auto structure = dyn_cast<LLVM::LLVMStructType>(type);
  Value result;
  if (!structure) {
    result = call(fn(&getWord), i32, constant(0));
  } else {
    result = LLVM::UndefOp::create(builder, op->getLoc(), type);
    for (size_t i = 0; i < structure.getBody().size(); ++i) {
      Value word = call(fn(&getWord), i32, constant(i));
      result = LLVM::InsertValueOp::create(builder, op->getLoc(), result,
                                           cast(word, element), i);
    }
  }
  op->getResult(0).replaceAllUsesWith(result);
  return erase();
}

LogicalResult MatrixTranslator::translateCopy(NVVM::CpAsyncOp copy) {
  Value bytes = constant(copy.getSize());
  Value size = copy.getCpSize() ? copy.getCpSize() : bytes;
  call(fn(&startCopy), {},
       {toPointer(copy.getDst()), toPointer(copy.getSrc()), bytes, size});
  return erase();
}

LogicalResult MatrixTranslator::translateCall(LLVM::CallIntrinsicOp intrinsic) {
  StringRef name = intrinsic.getIntrin();
  SmallVector<Value> operands(intrinsic.getArgs());
  if (name == "llvm.nvvm.prmt") {
    op->getResult(0).replaceAllUsesWith(call(fn(&permuteBytes), i32, operands));
    return erase();
  }
  if (!name.consume_front("llvm.nvvm.mma.m16n8k"))
    return op->emitOpError("is not simulated");
  int64_t left = 0, right = 0;
  if (name == "16.row.col.f32.f32") {
    left = right = 1;
  } else if (name != "16.row.col.bf16") {
    if (!name.consume_front("32.row.col.f32.") || !name.consume_back(".f32"))
      return op->emitOpError("is not simulated");
    auto getKind = [](StringRef type) { return type == "e4m3" ? 2 : 3; };
    left = getKind(name.split('.').first);
    right = getKind(name.split('.').second);
  }
  SmallVector<Value> all = {constant(left), constant(right)};
  for (auto [i, operand] : llvm::enumerate(operands))
    all.push_back(i < 6 ? cast(operand, i32) : operand);
  call(fn(&multiply), {}, all);
  return replaceByWords(builder.getF32Type());
}

std::optional<LogicalResult> MatrixTranslator::run() {
  using Result = std::optional<LogicalResult>;
  return llvm::TypeSwitch<Operation *, Result>(op)
      .Case([&](NVVM::CpAsyncOp copy) -> Result { return translateCopy(copy); })
      .Case([&](NVVM::CpAsyncCommitGroupOp) -> Result {
        call(fn(&commitCopies), {}, {});
        return erase();
      })
      .Case([&](NVVM::CpAsyncWaitGroupOp wait) -> Result {
        call(fn(&waitForCopies), {}, constant(wait.getN()));
        return erase();
      })
      .Case([&](NVVM::LdMatrixOp load) -> Result {
        call(fn(&loadMatrices), {},
             {toPointer(load.getPtr()), constant(load.getNum()),
              constant(load.getLayout() == NVVM::MMALayout::col)});
        return replaceByWords(i32);
      })
      .Case([&](NVVM::ConvertF8x2ToF16x2Op convert) -> Result {
        Value pair =
            LLVM::ZExtOp::create(builder, op->getLoc(), i32,
                                 cast(convert.getSrc(), builder.getI16Type()));
        Value wide =
            call(fn(&widenToF16), i32,
                 {pair, constant(isa<Float8E5M2Type>(convert.getSrcType()))});
        op->getResult(0).replaceAllUsesWith(
            cast(wide, op->getResult(0).getType()));
        return erase();
      })
      .Case([&](LLVM::CallIntrinsicOp intrinsic) -> Result {
        if (!intrinsic.getIntrin().starts_with("llvm.nvvm."))
          return std::nullopt;
        return translateCall(intrinsic);
      })
      .Default([](Operation *) -> Result { return std::nullopt; });
}

} // namespace

std::optional<LogicalResult>
test::translateMatrixOp(Operation *op, OpBuilder &builder, CallFn call) {
  return MatrixTranslator(op, builder, call).run();
}
