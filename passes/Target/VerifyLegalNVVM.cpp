//===- VerifyLegalNVVM.cpp - What each op needs of its target --*- C++ -*-===//
//
// varve-verify-legal-nvvm. The code generator ends the process when an
// architecture lacks an instruction, so the question is answered here, from a
// table, while there is still an op to point at. Every op of the NVVM dialect
// has a row; one without is rejected rather than guessed.
//
//===----------------------------------------------------------------------===//
#include "lib/Target/Model/TargetModel.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "passes/Target/InstructionNeeds.h"
#include "passes/Target/Passes.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/FormatVariadic.h"

namespace mlir::varve {
#define GEN_PASS_DEF_VERIFYLEGALNVVMPASS
#include "passes/Target/Passes.h.inc"
} // namespace mlir::varve

using namespace mlir;
using ::varve::Feature;
using ::varve::TargetModel;

namespace {
/// What one op needs.
struct Needs {
  SmallVector<Feature, 2> features;
  /// PTX version, times ten, beyond the features' own.
  unsigned ptxVersion = 0;
  /// What to use where it is missing.
  StringRef instead;

  void add(Feature feature) { features.push_back(feature); }
};

using Rule = void (*)(Operation *, Needs &);

/// Anything that every supported GPU executes.
void base(Operation *, Needs &) {}

template <Feature feature> void one(Operation *, Needs &needs) {
  needs.add(feature);
}

//===----------------------------------------------------------------------===//
// Rules that depend on more than the op's name
//===----------------------------------------------------------------------===//

void tensorLoad(Operation *op, Needs &needs) {
  auto load = cast<NVVM::CpAsyncBulkTensorGlobalToSharedClusterOp>(op);
  needs.add(Feature::Tma);
  if (load.getIsCTAOnly())
    needs.add(Feature::BulkCopyToCta);
  if (load.getGroup())
    needs.add(Feature::Tcgen05);
  switch (load.getMode()) {
  case NVVM::TMALoadMode::TILE_GATHER4:
    needs.add(Feature::TmaGather4);
    needs.instead = "four loads of one row each";
    break;
  case NVVM::TMALoadMode::IM2COL_W:
  case NVVM::TMALoadMode::IM2COL_W_128:
    needs.add(Feature::TmaIm2colW);
    break;
  default:
    needs.instead = "nvvm.cp.async.shared.global by every thread";
  }
}

void tensorStore(Operation *op, Needs &needs) {
  needs.add(Feature::Tma);
  if (auto store = dyn_cast<NVVM::CpAsyncBulkTensorSharedCTAToGlobalOp>(op))
    if (store.getMode() == NVVM::TMAStoreMode::TILE_SCATTER4)
      needs.add(Feature::TmaGather4);
  needs.instead = "stores from registers";
}

void tensorPrefetch(Operation *op, Needs &needs) {
  auto prefetch = cast<NVVM::CpAsyncBulkTensorPrefetchOp>(op);
  needs.add(Feature::Tma);
  if (prefetch.getMode() == NVVM::TMALoadMode::TILE_GATHER4)
    needs.add(Feature::TmaGather4);
  if (prefetch.getMode() == NVVM::TMALoadMode::IM2COL_W ||
      prefetch.getMode() == NVVM::TMALoadMode::IM2COL_W_128)
    needs.add(Feature::TmaIm2colW);
}

void bulkLoad(Operation *op, Needs &needs) {
  auto load = cast<NVVM::CpAsyncBulkGlobalToSharedClusterOp>(op);
  needs.add(Feature::BulkCopy);
  auto pointer = cast<LLVM::LLVMPointerType>(load.getDstMem().getType());
  if (pointer.getAddressSpace() ==
      static_cast<unsigned>(NVVM::NVVMMemorySpace::Shared))
    needs.add(Feature::BulkCopyToCta);
  needs.instead = "nvvm.cp.async.shared.global by every thread";
}

void prefetch(Operation *op, Needs &needs) {
  auto prefetch = cast<NVVM::PrefetchOp>(op);
  needs.add(prefetch.getTensormap() ? Feature::Tma : Feature::PrefetchL2);
  needs.instead = "nvvm.inline_ptx with prefetch.global.L2 or .L1";
}

void redux(Operation *op, Needs &needs) {
  bool isFloat = op->getResult(0).getType().isF32();
  needs.add(isFloat ? Feature::ReduxF32 : Feature::ReduxI32);
  needs.instead = "five nvvm.shfl.sync bfly steps";
}

void ldMatrix(Operation *op, Needs &needs) {
  auto shape = cast<NVVM::LdMatrixOp>(op).getShape();
  bool b16 = shape.getM() == 8 && shape.getN() == 8;
  needs.add(b16 ? Feature::LdMatrix : Feature::LdMatrixB8);
}

void stMatrix(Operation *op, Needs &needs) {
  auto shape = cast<NVVM::StMatrixOp>(op).getShape();
  bool b16 = shape.getM() == 8 && shape.getN() == 8;
  needs.add(b16 ? Feature::StMatrix : Feature::StMatrixB8);
  needs.instead = "stores from registers";
}

/// Arrivals and waits: scope and ordering beyond the first generation's.
template <typename Op> void barrierAccess(Operation *op, Needs &needs) {
  auto access = cast<Op>(op);
  auto pointer = cast<LLVM::LLVMPointerType>(access.getAddr().getType());
  bool remote = pointer.getAddressSpace() ==
                static_cast<unsigned>(NVVM::NVVMMemorySpace::SharedCluster);
  if (remote)
    needs.add(Feature::Cluster);
  if (remote || access.getRelaxed() ||
      access.getScope() != NVVM::MemScopeKind::CTA)
    needs.add(Feature::MBarrierRelaxed);
  needs.add(Feature::MBarrier);
}

template <typename Op> void barrierTransaction(Operation *op, Needs &needs) {
  needs.add(Feature::MBarrierTx);
  needs.instead = "nvvm.cp.async.wait.group with nvvm.barrier0";
}

void memoryBarrier(Operation *op, Needs &needs) {
  if (cast<NVVM::MembarOp>(op).getScope() == NVVM::MemScopeKind::CLUSTER)
    needs.add(Feature::Cluster);
}

void fenceProxy(Operation *op, Needs &needs) {
  if (cast<NVVM::FenceProxyOp>(op).getKind() == NVVM::ProxyKind::alias)
    needs.ptxVersion = 75;
  else
    needs.add(Feature::AsyncProxyFence);
}

void fenceTensormap(Operation *, Needs &needs) {
  needs.add(Feature::AsyncProxyFence);
  needs.ptxVersion = 83;
}

void aggregateShared(Operation *, Needs &needs) {
  needs.add(Feature::Cluster);
  needs.ptxVersion = 81;
}

/// Conversions to 8 bits: the powers of two came later than e4m3 and e5m2.
template <typename Op> void toF8(Operation *op, Needs &needs) {
  bool scale = isa<Float8E8M0FNUType>(cast<Op>(op).getDstTy());
  needs.add(scale ? Feature::CvtFp4 : Feature::CvtFp8);
  needs.instead = "arith.truncf and varve-expand-narrow-floats";
}

template <Feature feature> void convert(Operation *, Needs &needs) {
  needs.add(feature);
  needs.instead = "arith.extf or arith.truncf and varve-expand-narrow-floats";
}

/// f32 pairs to f16 or bf16 pairs.
template <typename Op> void toHalf(Operation *op, Needs &needs) {
  auto cvt = cast<Op>(op);
  needs.add(cvt.getRnd() == NVVM::FPRoundingMode::RS ? Feature::CvtStochastic
                                                     : Feature::CvtBF16);
  if (cvt.getSat() != NVVM::SaturationMode::NONE)
    needs.ptxVersion = 81;
  needs.instead = "rounding to nearest even";
}

void toTF32(Operation *op, Needs &needs) {
  auto cvt = cast<NVVM::ConvertFloatToTF32Op>(op);
  needs.add(Feature::MmaSync);
  // Rounding to nearest even and towards zero came with sm_90.
  if (cvt.getRnd() != NVVM::FPRoundingMode::RNA)
    needs.add(Feature::StMatrix);
  if (cvt.getSat() != NVVM::SaturationMode::NONE)
    needs.ptxVersion = 86;
  needs.instead = "rounding mode rna";
}

void setMaxRegister(Operation *op, Needs &needs) {
  needs.add(Feature::SetMaxNReg);
  needs.instead = "one register budget for all warps (drop the op)";
}

/// The table. Families of ops that share a prefix are in kFamilies.
const llvm::StringMap<Rule> &getRules() {
  static const llvm::StringMap<Rule> rules = {
      {"bar.warp.sync", base},
      {"barrier", base},
      {"barrier.arrive", base},
      {"barrier0", base},
      {"breakpoint", base},
      {"cluster.arrive", one<Feature::Cluster>},
      {"cluster.arrive.relaxed", one<Feature::Cluster>},
      {"cluster.wait", one<Feature::Cluster>},
      {"clusterlaunchcontrol.query.cancel", one<Feature::ClusterLaunchControl>},
      {"clusterlaunchcontrol.try.cancel", one<Feature::ClusterLaunchControl>},
      {"convert.bf16x2.to.f8x2", toF8<NVVM::ConvertBF16x2ToF8x2Op>},
      {"convert.f16x2.to.f8x2", toF8<NVVM::ConvertF16x2ToF8x2Op>},
      {"convert.f32x2.to.bf16x2", toHalf<NVVM::ConvertF32x2ToBF16x2Op>},
      {"convert.f32x2.to.f16x2", toHalf<NVVM::ConvertF32x2ToF16x2Op>},
      {"convert.f32x2.to.f4x2", convert<Feature::CvtFp4>},
      {"convert.f32x2.to.f6x2", convert<Feature::CvtFp4>},
      {"convert.f32x2.to.f8x2", toF8<NVVM::ConvertF32x2ToF8x2Op>},
      {"convert.f32x4.to.f4x4", one<Feature::CvtStochastic>},
      {"convert.f32x4.to.f6x4", one<Feature::CvtStochastic>},
      {"convert.f32x4.to.f8x4", one<Feature::CvtStochastic>},
      {"convert.f4x2.to.f16x2", convert<Feature::CvtFp4>},
      {"convert.f6x2.to.f16x2", convert<Feature::CvtFp4>},
      {"convert.f8x2.to.bf16x2", convert<Feature::CvtFp4>},
      {"convert.f8x2.to.f16x2", convert<Feature::CvtFp8>},
      {"convert.float.to.tf32", toTF32},
      {"cp.async.bulk.commit.group", one<Feature::BulkCopy>},
      {"cp.async.bulk.global.shared.cta", one<Feature::BulkCopy>},
      {"cp.async.bulk.prefetch", one<Feature::BulkCopy>},
      {"cp.async.bulk.shared.cluster.global", bulkLoad},
      {"cp.async.bulk.shared.cluster.shared.cta", one<Feature::BulkCopy>},
      {"cp.async.bulk.tensor.global.shared.cta", tensorStore},
      {"cp.async.bulk.tensor.prefetch", tensorPrefetch},
      {"cp.async.bulk.tensor.reduce", tensorStore},
      {"cp.async.bulk.tensor.shared.cluster.global", tensorLoad},
      {"cp.async.bulk.wait_group", one<Feature::BulkCopy>},
      {"cp.async.commit.group", one<Feature::CpAsync>},
      {"cp.async.mbarrier.arrive", one<Feature::MBarrier>},
      {"cp.async.shared.global", one<Feature::CpAsync>},
      {"cp.async.wait.group", one<Feature::CpAsync>},
      {"dot.accumulate.2way", base},
      {"dot.accumulate.4way", base},
      {"elect.sync", one<Feature::ElectSync>},
      {"exit", base},
      {"fence.mbarrier.init", one<Feature::Cluster>},
      {"fence.proxy", fenceProxy},
      {"fence.proxy.acquire", fenceTensormap},
      {"fence.proxy.release", fenceTensormap},
      {"fence.proxy.sync_restrict", one<Feature::SyncRestrictFence>},
      {"fence.sc.cluster", one<Feature::Cluster>},
      {"fence.sync_restrict", one<Feature::SyncRestrictFence>},
      {"griddepcontrol", one<Feature::DependentLaunch>},
      {"inline_ptx", base}, // its text is checked
      {"ldmatrix", ldMatrix},
      {"mapa", one<Feature::Cluster>},
      {"match.sync", base},
      {"mbarrier.arrive", barrierAccess<NVVM::MBarrierArriveOp>},
      {"mbarrier.arrive.expect_tx",
       barrierTransaction<NVVM::MBarrierArriveExpectTxOp>},
      {"mbarrier.arrive.nocomplete", one<Feature::MBarrier>},
      {"mbarrier.arrive_drop", barrierAccess<NVVM::MBarrierArriveDropOp>},
      {"mbarrier.arrive_drop.expect_tx",
       barrierTransaction<NVVM::MBarrierArriveDropExpectTxOp>},
      {"mbarrier.arrive_drop.nocomplete", one<Feature::MBarrier>},
      {"mbarrier.complete_tx", barrierTransaction<NVVM::MBarrierCompleteTxOp>},
      {"mbarrier.expect_tx", barrierTransaction<NVVM::MBarrierExpectTxOp>},
      {"mbarrier.init", one<Feature::MBarrier>},
      {"mbarrier.inval", one<Feature::MBarrier>},
      {"mbarrier.test.wait", barrierAccess<NVVM::MBarrierTestWaitOp>},
      {"mbarrier.try_wait", barrierTransaction<NVVM::MBarrierTryWaitOp>},
      {"mbarrier.try_wait.parity",
       barrierTransaction<NVVM::MBarrierTryWaitParityOp>},
      {"memory.barrier", memoryBarrier},
      {"mma.block_scale", one<Feature::MmaBlockScale>},
      {"mma.sp.block_scale", one<Feature::MmaBlockScale>},
      {"mma.sp.sync", one<Feature::MmaSync>},
      {"mma.sync", one<Feature::MmaSync>},
      {"nanosleep", base},
      {"pmevent", base},
      {"prefetch", prefetch},
      {"prmt", base},
      {"rcp.approx.ftz.f", base},
      {"read.ptx.sreg.aggr.smem.size", aggregateShared},
      {"redux.sync", redux},
      {"setmaxregister", setMaxRegister},
      {"shfl.sync", base},
      {"st.bulk", one<Feature::BulkStore>},
      {"stmatrix", stMatrix},
      {"vote.sync", base},
      {"wmma.load", one<Feature::MmaSync>},
      {"wmma.mma", one<Feature::MmaSync>},
      {"wmma.store", one<Feature::MmaSync>},
  };
  return rules;
}

/// Prefixes under which all ops need the same.
constexpr std::pair<StringLiteral, Rule> kFamilies[] = {
    {"wgmma.", one<Feature::Wgmma>},
    {"tcgen05.", one<Feature::Tcgen05>},
    {"read.ptx.sreg.cluster", one<Feature::Cluster>},
    {"read.ptx.sreg.ncluster", one<Feature::Cluster>},
    {"read.ptx.sreg.", base},
};

Rule findRule(StringRef opName) {
  if (!opName.consume_front("nvvm."))
    return nullptr;
  if (Rule rule = getRules().lookup(opName))
    return rule;
  for (auto [prefix, rule] : kFamilies)
    if (opName.starts_with(prefix))
      return rule;
  return nullptr;
}

//===----------------------------------------------------------------------===//
// The walk
//===----------------------------------------------------------------------===//

std::string ptxVersionName(unsigned version) {
  return llvm::formatv("{0}.{1}", version / 10, version % 10);
}

class LegalityChecker {
public:
  explicit LegalityChecker(const TargetModel &target) : target(target) {}

  void check(Operation *op) {
    StringRef name = op->getName().getStringRef();
    if (isa_and_present<NVVM::NVVMDialect>(op->getDialect()))
      checkNVVM(op);
    if (auto ptx = dyn_cast<NVVM::InlinePtxOp>(op))
      checkAssembly(op, ptx.getPtxCode());
    else if (auto assembly = dyn_cast<LLVM::InlineAsmOp>(op))
      checkAssembly(op, assembly.getAsmString());
    else if (auto call = dyn_cast<LLVM::CallIntrinsicOp>(op))
      checkIntrinsic(op, call.getIntrin());
    else if (name.starts_with("math.") || name.starts_with("llvm.intr."))
      checkMath(op);
    else if (isa<arith::ExtFOp, arith::TruncFOp>(op))
      checkConversion(op);
    else if (auto function = dyn_cast<LLVM::LLVMFuncOp>(op))
      checkKernel(function);
  }

  bool failed() const { return anyError; }

private:
  void checkNVVM(Operation *op) {
    Rule rule = findRule(op->getName().getStringRef());
    if (!rule) {
      anyError = true;
      op->emitOpError("has no entry in the legality table of NVIDIA targets: "
                      "add one to passes/Target/VerifyLegalNVVM.cpp");
      return;
    }
    Needs needs;
    rule(op, needs);
    require(op, needs, "");
  }

  void checkAssembly(Operation *op, StringRef assembly) {
    mlir::varve::forEachOpcode(assembly, [&](StringRef opcode) {
      if (std::optional<Feature> need = mlir::varve::getOpcodeNeed(opcode)) {
        Needs needs;
        needs.add(*need);
        require(op, needs, opcode);
      }
    });
  }

  void checkIntrinsic(Operation *op, StringRef name) {
    Needs needs;
    if (std::optional<Feature> need = mlir::varve::getIntrinsicNeed(name)) {
      needs.add(*need);
      require(op, needs, name);
    }
  }

  /// Reports the first feature of `needs` that the target lacks. `part` names
  /// the instruction or intrinsic inside the op, if there is one.
  void require(Operation *op, const Needs &needs, StringRef part) {
    std::string inside = part.empty() ? "" : (" ('" + part + "')").str();
    for (Feature feature : needs.features) {
      if (target.supports(feature))
        continue;
      anyError = true;
      auto diagnostic = op->emitOpError()
                        << "cannot run on " << target.getName() << inside
                        << ": it needs " << getFeatureDescription(feature);
      std::string having = ::varve::listTargetsWith(feature);
      diagnostic.attachNote() << "targets that have it: " << having;
      if (!needs.instead.empty())
        diagnostic.attachNote()
            << "on " << target.getName() << " use instead: " << needs.instead;
      return;
    }
    if (needs.ptxVersion > target.getPtxVersion()) {
      anyError = true;
      op->emitOpError() << "needs PTX " << ptxVersionName(needs.ptxVersion)
                        << " but " << target.getName() << " emits PTX "
                        << ptxVersionName(target.getPtxVersion());
    }
  }

  /// Functions that the code generator cannot select.
  void checkMath(Operation *op) {
    static const llvm::StringMap<bool> functions = {
        // True: selected in f32 with `afn`.
        {"acos", false}, {"acosh", false},  {"asin", false},  {"asinh", false},
        {"atan", false}, {"atan2", false},  {"atanh", false}, {"cbrt", false},
        {"cos", true},   {"cosh", false},   {"erf", false},   {"erfc", false},
        {"exp", false},  {"exp10", false},  {"expm1", false}, {"fpowi", false},
        {"log", false},  {"log10", false},  {"log1p", false}, {"log2", false},
        {"pow", false},  {"powf", false},   {"powi", false},  {"sin", true},
        {"sinh", false}, {"sincos", false}, {"tan", false},   {"tanh", true}};
    StringRef name = op->getName().getStringRef();
    if (!name.consume_front("math."))
      name.consume_front("llvm.intr.");
    auto found = functions.find(name);
    // exp2 is selected as it is, except in f64.
    bool isExp2 = name == "exp2";
    if (found == functions.end() && !isExp2)
      return;
    Type element = getElementTypeOrSelf(op->getResult(0).getType());
    bool isDouble = element.isF64();
    if (!isDouble && (isExp2 || (found->second && hasAfn(op))))
      return;
    anyError = true;
    auto diagnostic = op->emitOpError() << "has no instruction on NVIDIA GPUs";
    if (isDouble)
      diagnostic << " in f64: compute in f32";
    else
      diagnostic.attachNote()
          << "write it as a math op and run varve-lower-math-to-nvvm first";
  }

  static bool hasAfn(Operation *op) {
    if (auto fast = dyn_cast<arith::ArithFastMathInterface>(op))
      return arith::bitEnumContainsAll(fast.getFastMathFlagsAttr().getValue(),
                                       arith::FastMathFlags::afn);
    if (auto fast = dyn_cast<LLVM::FastmathFlagsInterface>(op))
      return LLVM::bitEnumContainsAll(
          cast<LLVM::FastmathFlagsAttr>(fast.getFastmathAttr()).getValue(),
          LLVM::FastmathFlags::afn);
    return false;
  }

  void checkConversion(Operation *op) {
    for (Type type :
         {op->getOperand(0).getType(), op->getResult(0).getType()}) {
      Type element = getElementTypeOrSelf(type);
      if (element.getIntOrFloatBitWidth() >= 16)
        continue;
      anyError = true;
      op->emitOpError() << "on " << element
                        << " has no lowering to LLVM: run "
                           "varve-expand-narrow-floats first";
      return;
    }
  }

  void checkKernel(LLVM::LLVMFuncOp function) {
    const ::varve::TargetLimits &limits = target.getLimits();
    auto threads = function->getAttrOfType<DenseI32ArrayAttr>(
        NVVM::NVVMDialect::getMaxntidAttrName());
    auto exact = function->getAttrOfType<DenseI32ArrayAttr>(
        NVVM::NVVMDialect::getReqntidAttrName());
    for (DenseI32ArrayAttr attr : {threads, exact}) {
      int64_t product = 1;
      for (int32_t n : attr ? attr.asArrayRef() : ArrayRef<int32_t>())
        product *= n;
      if (product <= int64_t(limits.threadsPerBlock))
        continue;
      anyError = true;
      function.emitOpError()
          << "asks for " << product << " threads per block; "
          << target.getName() << " allows " << limits.threadsPerBlock;
    }
    if (function->hasAttr(NVVM::NVVMDialect::getClusterDimAttrName())) {
      Needs needs;
      needs.add(Feature::Cluster);
      require(function, needs, "nvvm.cluster_dim");
    }
    checkRegisterBudget(function, threads || exact);
  }

  /// The assembler drops setmaxnreg (C7508) unless it can tell how many
  /// registers a thread has at entry.
  void checkRegisterBudget(LLVM::LLVMFuncOp function, bool knowsThreads) {
    bool known = function->hasAttr(NVVM::NVVMDialect::getMaxnregAttrName()) ||
                 (knowsThreads &&
                  function->hasAttr(NVVM::NVVMDialect::getMinctasmAttrName()));
    if (known)
      return;
    function.walk([&](NVVM::SetMaxRegisterOp op) {
      anyError = true;
      op.emitOpError("would be ignored by the assembler: the kernel must state "
                     "nvvm.maxntid and nvvm.minctasm, or nvvm.maxnreg");
      return WalkResult::interrupt();
    });
  }

  const TargetModel &target;
  bool anyError = false;
};

struct VerifyLegalNVVM
    : mlir::varve::impl::VerifyLegalNVVMPassBase<VerifyLegalNVVM> {
  using Base::Base;

  void runOnOperation() override {
    auto model = TargetModel::lookup(target);
    if (!model) {
      emitError(UnknownLoc::get(&getContext()))
          << "varve-verify-legal-nvvm: " << llvm::toString(model.takeError());
      return signalPassFailure();
    }
    if (failed(mlir::varve::verifyLegalOnTarget(getOperation(), **model)))
      signalPassFailure();
    markAllAnalysesPreserved();
  }
};
} // namespace

LogicalResult
mlir::varve::verifyLegalOnTarget(ModuleOp module,
                                 const ::varve::TargetModel &target) {
  if (!target.isGpu())
    return emitError(module.getLoc())
           << target.getName() << " is not an NVIDIA target";
  LegalityChecker checker(target);
  module.walk([&](Operation *op) { checker.check(op); });
  return failure(checker.failed());
}

bool mlir::varve::hasLegalityRule(StringRef opName) {
  return findRule(opName) != nullptr;
}
