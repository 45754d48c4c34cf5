//===- AsyncBarrier.cpp - Barriers in shared memory -----------------------===//

#include "passes/Engine/Nvidia/AsyncBarrier.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"

using namespace mlir;
using namespace mlir::varve;

/// How long the hardware may suspend a waiting thread before it looks again, in
/// nanoseconds.
static constexpr int64_t kWaitTicks = 10000000;

static Value constantI32(OpBuilder &builder, Location loc, int64_t value) {
  return arith::ConstantOp::create(builder, loc,
                                   builder.getI32IntegerAttr(value));
}

void nvidia::initBarrier(OpBuilder &builder, Location loc, Value barrier,
                         int64_t arrivals) {
  NVVM::MBarrierInitOp::create(builder, loc, barrier,
                               constantI32(builder, loc, arrivals),
                               /*predicate=*/Value());
}

void nvidia::fenceBarrierInit(OpBuilder &builder, Location loc) {
  NVVM::FenceMbarrierInitOp::create(builder, loc);
  NVVM::FenceProxyOp::create(builder, loc, NVVM::ProxyKind::async,
                             NVVM::SharedSpaceAttr());
}

void nvidia::arriveAtBarrier(OpBuilder &builder, Location loc, Value barrier) {
  NVVM::MBarrierArriveOp::create(builder, loc, /*res=*/Type(), barrier,
                                 /*count=*/Value());
}

void nvidia::expectBytes(OpBuilder &builder, Location loc, Value barrier,
                         int64_t bytes) {
  NVVM::MBarrierExpectTxOp::create(builder, loc, barrier,
                                   constantI32(builder, loc, bytes));
}

void nvidia::arriveAndExpectBytes(OpBuilder &builder, Location loc,
                                  Value barrier, int64_t bytes) {
  NVVM::MBarrierArriveExpectTxOp::create(
      builder, loc, /*res=*/Type(), barrier, constantI32(builder, loc, bytes),
      NVVM::MemScopeKind::CTA, /*relaxed=*/false, /*predicate=*/Value());
}

void nvidia::arriveAfterCopies(OpBuilder &builder, Location loc,
                               Value barrier) {
  NVVM::CpAsyncMBarrierArriveOp::create(builder, loc, barrier, /*noinc=*/true);
}

void nvidia::waitBarrier(OpBuilder &builder, Location loc, Value barrier,
                         Value parity) {
  NVVM::MBarrierTryWaitParityOp::create(builder, loc, barrier, parity,
                                        constantI32(builder, loc, kWaitTicks));
}

void nvidia::fenceAsyncProxy(OpBuilder &builder, Location loc) {
  NVVM::FenceProxyOp::create(
      builder, loc, NVVM::ProxyKind::async_shared,
      NVVM::SharedSpaceAttr::get(builder.getContext(),
                                 NVVM::SharedSpace::shared_cta));
}
