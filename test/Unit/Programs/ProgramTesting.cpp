//===- ProgramTesting.cpp - Run programs that builders write --------------===//

#include "ProgramTesting.h"

#include "lib/Interpret/Reference/Quantize.h"
#include "mlir/AsmParser/AsmParser.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/Verifier.h"

using namespace varve;
using namespace varve::test;
using namespace mlir::varve;

mlir::MLIRContext &test::getContext() {
  static mlir::MLIRContext *context = [] {
    auto *created =
        new mlir::MLIRContext(mlir::MLIRContext::Threading::DISABLED);
    created->loadDialect<tile::TileDialect, VarveDialect, mlir::scf::SCFDialect,
                         mlir::arith::ArithDialect, mlir::math::MathDialect>();
    return created;
  }();
  return *context;
}

std::unique_ptr<Kernel> test::compileProgram(BuildFn build, int64_t warps) {
  mlir::Location loc = mlir::UnknownLoc::get(&getContext());
  mlir::OwningOpRef<mlir::ModuleOp> module = mlir::ModuleOp::create(loc);
  mlir::OpBuilder builder(module->getBodyRegion());
  TileProgram program(builder, loc, "program", warps);
  build(program);
  if (mlir::failed(mlir::verify(*module))) {
    module->dump();
    ADD_FAILURE() << "the program does not verify";
    return nullptr;
  }
  std::string text;
  llvm::raw_string_ostream stream(text);
  module->print(stream);
  auto kernel = Kernel::compile(text);
  if (!kernel)
    llvm::errs() << text;
  return kernel;
}

FormatAttr test::parseFormat(const std::string &text) {
  return mlir::cast<FormatAttr>(
      mlir::parseAttribute("#varve.format" + text, &getContext()));
}

mlir::Type test::parseType(const std::string &text) {
  return mlir::parseType(text, &getContext());
}

//===----------------------------------------------------------------------===//
// Arrays
//===----------------------------------------------------------------------===//

static int64_t getBits(mlir::Type element) {
  return element.getIntOrFloatBitWidth();
}

static float decode(mlir::Type element, const uint8_t *bytes, size_t i) {
  uint16_t half;
  std::memcpy(&half, bytes + (getBits(element) == 16 ? 2 * i : 0), 2);
  if (element.isBF16())
    return bf16ToFloat(half);
  if (element.isF16())
    return f16ToFloat(half);
  if (mlir::isa<mlir::Float8E4M3FNType>(element))
    return e4m3ToFloat(bytes[i]);
  if (mlir::isa<mlir::Float8E8M0FNUType>(element))
    return e8m0ToFloat(bytes[i]);
  if (mlir::isa<mlir::Float4E2M1FNType>(element))
    return e2m1ToFloat(i % 2 ? bytes[i / 2] >> 4 : bytes[i / 2] & 15);
  float value;
  std::memcpy(&value, bytes + 4 * i, 4);
  return value;
}

static void encode(mlir::Type element, uint8_t *bytes, size_t i, float value) {
  auto put = [&](auto code) {
    std::memcpy(bytes + sizeof(code) * i, &code, sizeof code);
  };
  if (element.isBF16())
    return put(floatToBf16(value));
  if (element.isF16())
    return put(floatToF16(value));
  if (mlir::isa<mlir::Float8E4M3FNType>(element))
    return put(floatToE4m3(value));
  if (mlir::isa<mlir::Float8E8M0FNUType>(element))
    return put(e8m0FromPowerOfTwo(value));
  if (mlir::isa<mlir::Float4E2M1FNType>(element)) {
    uint8_t code = floatToE2m1(value), &byte = bytes[i / 2];
    byte = i % 2 ? (byte & 15) | code << 4 : (byte & 0xF0) | code;
    return;
  }
  put(value);
}

HostArray::HostArray(mlir::Type element, std::vector<int64_t> shape)
    : element(element), shape(std::move(shape)) {
  // A garbage value shows what was not written.
  bytes.assign((size() * getBits(element) + 7) / 8 + 4, 0xC3);
}

HostArray HostArray::of(mlir::Type element, std::vector<int64_t> shape,
                        const std::vector<float> &values) {
  HostArray array(element, std::move(shape));
  for (size_t i = 0; i < values.size(); ++i)
    array.set(i, values[i]);
  return array;
}

size_t HostArray::size() const {
  size_t count = 1;
  for (int64_t extent : shape)
    count *= extent;
  return count;
}

float HostArray::get(size_t i) const {
  return decode(element, bytes.data(), i);
}

void HostArray::set(size_t i, float value) {
  encode(element, bytes.data(), i, value);
}

std::vector<float> HostArray::floats() const {
  std::vector<float> values(size());
  for (size_t i = 0; i < values.size(); ++i)
    values[i] = get(i);
  return values;
}

Argument HostArray::view(size_t dynamic) {
  return test::view(bytes, shape, {shape.begin(), shape.begin() + dynamic});
}

//===----------------------------------------------------------------------===//
// Pools
//===----------------------------------------------------------------------===//

HostPool::HostPool(FormatAttr format, int64_t rows)
    : format(format), rows(rows) {
  const PoolPart raw = getRawPart(format);
  bytes.assign(rows * raw.width * getBits(raw.element) / 8, 0xC3);
}

std::vector<Argument> HostPool::views() {
  std::vector<Argument> arguments;
  for (const PoolPart &part : getPoolParts(format)) {
    Argument argument = test::view(bytes, {rows, part.width}, {rows});
    argument.words[0] += part.byteOffset;
    arguments.push_back(argument);
  }
  return arguments;
}

Argument HostPool::rawView() {
  return test::view(bytes, {rows, getRawPart(format).width}, {rows});
}

std::vector<float> HostPool::read(int64_t row) const {
  std::vector<float> values;
  auto parts = getPoolParts(format);
  const PoolPart *next = parts.begin();
  for (SegmentAttr segment : format.getSegments()) {
    const PoolPart &codes = *next++;
    const PoolPart *scales = segment.getBlock() ? next++ : nullptr;
    for (int64_t i = 0; i < segment.getSize(); ++i) {
      float value = decode(codes.element, bytes.data() + codes.byteOffset,
                           row * codes.rowStride + i);
      if (scales)
        value *= decode(scales->element, bytes.data() + scales->byteOffset,
                        row * scales->rowStride + i / segment.getBlock());
      values.push_back(value);
    }
  }
  return values;
}

void HostPool::write(int64_t row, std::vector<float> values) {
  auto parts = getPoolParts(format);
  const PoolPart *next = parts.begin();
  int64_t begin = 0;
  for (SegmentAttr segment : format.getSegments()) {
    llvm::ArrayRef<float> codes =
        llvm::ArrayRef(values).slice(begin, segment.getSize());
    begin += segment.getSize();
    std::vector<float> rounded(codes), scales;
    if (int64_t block = segment.getBlock()) {
      scales.resize(segment.getNumScales());
      reference::quantize(
          codes, block,
          mlir::isa<mlir::Float4E2M1FNType>(segment.getElementType())
              ? reference::CodeType::E2M1
              : reference::CodeType::E4M3,
          rounded, scales);
    }
    auto put = [&](llvm::ArrayRef<float> numbers) {
      const PoolPart &part = *next++;
      for (size_t i = 0; i < numbers.size(); ++i)
        encode(part.element, bytes.data() + part.byteOffset,
               row * part.rowStride + i, numbers[i]);
    };
    put(rounded);
    if (!scales.empty())
      put(scales);
  }
}

//===----------------------------------------------------------------------===//
// Steps
//===----------------------------------------------------------------------===//

Tokens::Tokens(std::vector<Sequence> sequences) {
  for (const Sequence &sequence : sequences)
    for (int64_t i = 0; i < sequence.count; ++i) {
      bool isPadding = sequence.slot < 0;
      slots.push_back(sequence.slot);
      positions.push_back(isPadding ? 0 : sequence.begin + i);
      starts.push_back(isPadding ? 0 : sequence.begin);
      ends.push_back(isPadding ? 0 : sequence.begin + sequence.count - 1);
    }
}

PageTable::PageTable(int64_t slots, int64_t pages)
    : slots(slots), pages(pages), table(slots * pages) {
  for (size_t i = 0; i < table.size(); ++i)
    table[i] = static_cast<int32_t>(table.size() - 1 - i);
}

int64_t PageTable::getRow(int64_t slot, int64_t entry,
                          int64_t rowsPerPage) const {
  return table[slot * pages + entry / rowsPerPage] * rowsPerPage +
         entry % rowsPerPage;
}
