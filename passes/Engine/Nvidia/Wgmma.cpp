//===- Wgmma.cpp - Matrix products of warpgroups --------------------------===//

#include "passes/Engine/Nvidia/Wgmma.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "varve/Support/Assert.h"

using namespace mlir;
using namespace mlir::varve::nvidia;

//===----------------------------------------------------------------------===//
// Inline assembly
//===----------------------------------------------------------------------===//

/// Side-effecting assembly with results of one type each, unpacked.
static SmallVector<Value> emitAsm(OpBuilder &builder, Location loc,
                                  TypeRange results, ValueRange operands,
                                  StringRef text, StringRef constraints) {
  Type type;
  if (results.size() == 1)
    type = results[0];
  else if (results.size() > 1)
    type = LLVM::LLVMStructType::getLiteral(builder.getContext(),
                                            llvm::to_vector(results));
  auto op = LLVM::InlineAsmOp::create(
      builder, loc, type ? TypeRange(type) : TypeRange(), operands, text,
      constraints, /*has_side_effects=*/true, /*is_align_stack=*/false,
      LLVM::tailcallkind::TailCallKind::None,
      LLVM::AsmDialectAttr::get(builder.getContext(), LLVM::AsmDialect::AD_ATT),
      /*operand_attrs=*/ArrayAttr());
  if (results.size() <= 1)
    return op->getResults();
  SmallVector<Value> unpacked;
  for (size_t i = 0; i < results.size(); ++i)
    unpacked.push_back(LLVM::ExtractValueOp::create(
        builder, loc, op->getResult(0), static_cast<int64_t>(i)));
  return unpacked;
}

//===----------------------------------------------------------------------===//
// Descriptors
//===----------------------------------------------------------------------===//

int64_t WgmmaOperandShape::getOffset(int64_t mn, int64_t k) const {
  int64_t row = isMNMajor ? k : mn, column = isMNMajor ? mn : k;
  int64_t bytes = column * elementBits / 8;
  return bytes / swizzle * getPanelBytes() + row * swizzle + bytes % swizzle;
}

int64_t WgmmaOperandShape::getDescriptorBits() const {
  // Sizes in units of 16 bytes. The stride is from one group of 8 rows to the
  // next; the leading offset from one panel to the next, which only an MN-major
  // operand has inside an instruction.
  int64_t leading = isMNMajor ? getPanelBytes() / 16 : 1;
  int64_t stride = 8 * swizzle / 16;
  int64_t mode = swizzle == 128 ? 1 : swizzle == 64 ? 2 : 3;
  VARVE_ASSERT(leading < (1 << 14) && stride < (1 << 14),
               "an operand beyond what a descriptor can say");
  return static_cast<int64_t>(static_cast<uint64_t>(leading) << 16 |
                              static_cast<uint64_t>(stride) << 32 |
                              static_cast<uint64_t>(mode) << 62);
}

Value mlir::varve::nvidia::makeWgmmaDescriptor(OpBuilder &builder, Location loc,
                                               Value address,
                                               const WgmmaOperandShape &shape) {
  Type i32 = builder.getI32Type(), i64 = builder.getI64Type();
  auto constant = [&](Type type, int64_t value) -> Value {
    return arith::ConstantOp::create(builder, loc,
                                     builder.getIntegerAttr(type, value));
  };
  Value bits = LLVM::PtrToIntOp::create(builder, loc, i32, address);
  bits = arith::ShRUIOp::create(builder, loc, bits, constant(i32, 4));
  Value wide = arith::ExtUIOp::create(builder, loc, i64, bits);
  wide = arith::OrIOp::create(builder, loc, wide,
                              constant(i64, shape.getDescriptorBits()));
  return emitAsm(builder, loc, i64, wide, "mov.b64 $0, $1;", "=l,l").front();
}

Value mlir::varve::nvidia::makeOpaque(OpBuilder &builder, Location loc,
                                      Value value) {
  return emitAsm(builder, loc, builder.getI32Type(), value, "mov.b32 $0, $1;",
                 "=r,r")
      .front();
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

static StringRef getTypeName(Type type) {
  if (type.isBF16())
    return "bf16";
  if (type.isF16())
    return "f16";
  if (isa<Float8E4M3FNType>(type))
    return "e4m3";
  return "e5m2";
}

bool mlir::varve::nvidia::isWgmmaType(Type type) {
  return isa<BFloat16Type, Float16Type, Float8E4M3FNType, Float8E5M2Type>(type);
}

SmallVector<Value> mlir::varve::nvidia::startWgmma(
    OpBuilder &builder, Location loc, const WgmmaInstruction &instruction,
    ValueRange d, ValueRange a, Value b, Value accumulate) {
  VARVE_ASSERT(static_cast<int64_t>(d.size()) == instruction.n / 2 &&
                   (a.size() == 1 || a.size() == 4),
               "a warpgroup product with the wrong number of registers");
  std::string text, constraints;
  llvm::raw_string_ostream asmText(text), asmConstraints(constraints);
  unsigned next = 2 * d.size();
  unsigned aFirst = next, bFirst = aFirst + a.size(), flag = bFirst + 1;

  if (accumulate)
    asmText << "{\n.reg .pred p;\nsetp.ne.b32 p, $" << flag << ", 0;\n";
  asmText << "wgmma.mma_async.sync.aligned.m64n" << instruction.n << "k"
          << instruction.getK() << ".f32." << getTypeName(instruction.aType)
          << "." << getTypeName(instruction.bType) << " {";
  for (unsigned i = 0; i < d.size(); ++i)
    asmText << (i ? ", $" : "$") << i;
  asmText << "}, ";
  if (a.size() == 1)
    asmText << "$" << aFirst;
  else
    asmText << "{$" << aFirst << ", $" << aFirst + 1 << ", $" << aFirst + 2
            << ", $" << aFirst + 3 << "}";
  asmText << ", $" << bFirst << ", " << (accumulate ? "p" : "1") << ", 1, 1";
  // Only elements of 16 bits can be transposed.
  if (instruction.aType.getIntOrFloatBitWidth() == 16) {
    if (a.size() == 1)
      asmText << ", " << (instruction.aMNMajor ? 1 : 0);
    asmText << ", " << (instruction.bMNMajor ? 1 : 0);
  }
  asmText << ";" << (accumulate ? "\n}" : "");

  for (unsigned i = 0; i < d.size(); ++i)
    asmConstraints << "=f,";
  for (unsigned i = 0; i < d.size(); ++i)
    asmConstraints << i << ",";
  asmConstraints << (a.size() == 1 ? "l,l" : "r,r,r,r,l")
                 << (accumulate ? ",r" : "");

  SmallVector<Value> operands(d);
  llvm::append_range(operands, a);
  operands.push_back(b);
  if (accumulate)
    operands.push_back(
        arith::ExtUIOp::create(builder, loc, builder.getI32Type(), accumulate));
  SmallVector<Type> types(d.size(), builder.getF32Type());
  return emitAsm(builder, loc, types, operands, text, constraints);
}

void mlir::varve::nvidia::fenceWgmma(OpBuilder &builder, Location loc) {
  NVVM::WgmmaFenceAlignedOp::create(builder, loc);
}

void mlir::varve::nvidia::commitWgmma(OpBuilder &builder, Location loc) {
  NVVM::WgmmaGroupSyncAlignedOp::create(builder, loc);
}

SmallVector<Value> mlir::varve::nvidia::waitWgmma(OpBuilder &builder,
                                                  Location loc, int64_t pending,
                                                  ValueRange registers) {
  if (registers.empty()) {
    NVVM::WgmmaWaitGroupSyncOp::create(builder, loc, pending);
    return {};
  }
  std::string text =
      "wgmma.wait_group.sync.aligned " + std::to_string(pending) + ";";
  std::string constraints;
  for (size_t i = 0; i < registers.size(); ++i)
    constraints += "=f,";
  for (size_t i = 0; i < registers.size(); ++i)
    constraints += (i ? "," : "") + std::to_string(i);
  SmallVector<Type> types(registers.size(), builder.getF32Type());
  return emitAsm(builder, loc, types, registers, text, constraints);
}
