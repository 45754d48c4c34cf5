//===- InstructionNeeds.cpp - What PTX and intrinsics require ---*- C++ -*-===//
#include "passes/Target/InstructionNeeds.h"
#include "llvm/ADT/StringExtras.h"

using namespace llvm;
using ::varve::Feature;

namespace {
/// Matches names that begin with `prefix` and contain `part`. The first row
/// that matches decides, so special cases come before their family.
struct Row {
  StringLiteral prefix;
  StringLiteral part;
  Feature feature;
};

constexpr Row kOpcodes[] = {
    {"wgmma.", "", Feature::Wgmma},
    {"tcgen05.", "", Feature::Tcgen05},
    {"setmaxnreg.", "", Feature::SetMaxNReg},
    {"mma.", "block_scale", Feature::MmaBlockScale},
    {"mma.", "kind::f8f6f4", Feature::MmaSyncF8F6F4},
    {"mma.", ".e4m3", Feature::MmaSyncFp8},
    {"mma.", ".e5m2", Feature::MmaSyncFp8},
    {"mma.", "", Feature::MmaSync},
    {"ldmatrix.", ".m16n16", Feature::LdMatrixB8},
    {"ldmatrix.", ".m8n16", Feature::LdMatrixB8},
    {"ldmatrix.", "", Feature::LdMatrix},
    {"stmatrix.", ".m16n8", Feature::StMatrixB8},
    {"stmatrix.", "", Feature::StMatrix},
    {"cp.async.bulk.", "gather4", Feature::TmaGather4},
    {"cp.async.bulk.", "scatter4", Feature::TmaGather4},
    {"cp.async.bulk.", "im2col::w", Feature::TmaIm2colW},
    {"cp.async.bulk.prefetch.tensor", "", Feature::Tma},
    {"cp.async.bulk.tensor.", "shared::cta.global", Feature::BulkCopyToCta},
    {"cp.async.bulk.tensor.", "", Feature::Tma},
    {"cp.reduce.async.bulk.tensor.", "", Feature::Tma},
    {"cp.async.bulk.", "shared::cta.global", Feature::BulkCopyToCta},
    {"cp.async.bulk.", "", Feature::BulkCopy},
    {"cp.reduce.async.bulk.", "", Feature::BulkCopy},
    {"cp.async.mbarrier.", "", Feature::MBarrier},
    {"cp.async.", "", Feature::CpAsync},
    {"mbarrier.", "try_wait", Feature::MBarrierTx},
    {"mbarrier.", "_tx", Feature::MBarrierTx},
    {"mbarrier.", ".relaxed", Feature::MBarrierRelaxed},
    {"mbarrier.", ".cluster", Feature::MBarrierRelaxed},
    {"mbarrier.", "", Feature::MBarrier},
    {"fence.", "sync_restrict", Feature::SyncRestrictFence},
    {"fence.proxy.async", "", Feature::AsyncProxyFence},
    {"fence.proxy.tensormap", "", Feature::AsyncProxyFence},
    {"fence.", ".cluster", Feature::Cluster},
    {"barrier.cluster.", "", Feature::Cluster},
    {"mapa", "", Feature::Cluster},
    {"getctarank", "", Feature::Cluster},
    {"elect.sync", "", Feature::ElectSync},
    {"griddepcontrol.", "", Feature::DependentLaunch},
    {"clusterlaunchcontrol.", "", Feature::ClusterLaunchControl},
    {"st.bulk", "", Feature::BulkStore},
    {"redux.", ".f32", Feature::ReduxF32},
    {"redux.", "", Feature::ReduxI32},
    {"cvt.rs", "", Feature::CvtStochastic},
    {"cvt.", "e2m1", Feature::CvtFp4},
    {"cvt.", "e2m3", Feature::CvtFp4},
    {"cvt.", "e3m2", Feature::CvtFp4},
    {"cvt.", "ue8m0", Feature::CvtFp4},
    {"cvt.", "e4m3", Feature::CvtFp8},
    {"cvt.", "e5m2", Feature::CvtFp8},
    {"cvt.", "bf16", Feature::CvtBF16},
    {"add.", ".f32x2", Feature::PackedF32x2},
    {"sub.", ".f32x2", Feature::PackedF32x2},
    {"mul.", ".f32x2", Feature::PackedF32x2},
    {"fma.", ".f32x2", Feature::PackedF32x2},
    {"ld.global.", ".v8.", Feature::Load256},
    {"st.global.", ".v8.", Feature::Load256},
    {"ld.global.", ".v4.b64", Feature::Load256},
    {"st.global.", ".v4.b64", Feature::Load256},
};

constexpr Row kIntrinsics[] = {
    {"wgmma.", "", Feature::Wgmma},
    {"tcgen05.", "", Feature::Tcgen05},
    {"setmaxnreg.", "", Feature::SetMaxNReg},
    {"mma.", "block.scale", Feature::MmaBlockScale},
    {"mma.", "kind.f8f6f4", Feature::MmaSyncF8F6F4},
    {"mma.", ".e4m3", Feature::MmaSyncFp8},
    {"mma.", ".e5m2", Feature::MmaSyncFp8},
    {"mma.", "", Feature::MmaSync},
    {"ldmatrix.", ".m16n16", Feature::LdMatrixB8},
    {"ldmatrix.", ".m8n16", Feature::LdMatrixB8},
    {"ldmatrix.", "", Feature::LdMatrix},
    {"stmatrix.", ".m16n8", Feature::StMatrixB8},
    {"stmatrix.", "", Feature::StMatrix},
    {"cp.async.bulk.tensor.", "gather4", Feature::TmaGather4},
    {"cp.async.bulk.tensor.", "scatter4", Feature::TmaGather4},
    {"cp.async.bulk.tensor.", "im2col.w", Feature::TmaIm2colW},
    {"cp.async.bulk.tensor.g2s.cta", "", Feature::BulkCopyToCta},
    {"cp.async.bulk.tensor.", "", Feature::Tma},
    {"cp.async.bulk.global.to.shared.cta", "", Feature::BulkCopyToCta},
    {"cp.async.bulk.", "", Feature::BulkCopy},
    {"cp.async.mbarrier.", "", Feature::MBarrier},
    {"cp.async.", "", Feature::CpAsync},
    {"mbarrier.", "try.wait", Feature::MBarrierTx},
    {"mbarrier.", ".tx", Feature::MBarrierTx},
    {"mbarrier.", ".scope.", Feature::MBarrierRelaxed},
    {"mbarrier.", ".relaxed", Feature::MBarrierRelaxed},
    {"mbarrier.", "", Feature::MBarrier},
    {"fence.", "sync_restrict", Feature::SyncRestrictFence},
    {"fence.proxy.async", "", Feature::AsyncProxyFence},
    {"fence.proxy.tensormap", "", Feature::AsyncProxyFence},
    {"fence.mbarrier_init", "", Feature::Cluster},
    {"fence.sc.cluster", "", Feature::Cluster},
    {"barrier.cluster.", "", Feature::Cluster},
    {"mapa", "", Feature::Cluster},
    {"getctarank", "", Feature::Cluster},
    {"is_explicit_cluster", "", Feature::Cluster},
    {"read.ptx.sreg.cluster", "", Feature::Cluster},
    {"read.ptx.sreg.ncluster", "", Feature::Cluster},
    {"elect.sync", "", Feature::ElectSync},
    {"griddepcontrol.", "", Feature::DependentLaunch},
    {"clusterlaunchcontrol.", "", Feature::ClusterLaunchControl},
    {"st.bulk", "", Feature::BulkStore},
    {"prefetch.", "", Feature::PrefetchL2},
    {"redux.sync.f", "", Feature::ReduxF32},
    {"redux.sync.", "", Feature::ReduxI32},
    {"ff", "e2m1", Feature::CvtFp4},
    {"ff", "e2m3", Feature::CvtFp4},
    {"ff", "e3m2", Feature::CvtFp4},
    {"ff", "ue8m0", Feature::CvtFp4},
    {"bf16x2.to.ue8m0", "", Feature::CvtFp4},
    {"ff", "e4m3", Feature::CvtFp8},
    {"ff", "e5m2", Feature::CvtFp8},
    {"f16x2.to.e", "", Feature::CvtFp8},
    {"e4m3x2.", "", Feature::CvtFp8},
    {"e5m2x2.", "", Feature::CvtFp8},
    {"e2m1x2.", "", Feature::CvtFp4},
    {"e2m3x2.", "", Feature::CvtFp4},
    {"e3m2x2.", "", Feature::CvtFp4},
    {"ue8m0x2.", "", Feature::CvtFp4},
};

std::optional<Feature> findNeed(ArrayRef<Row> rows, StringRef name) {
  for (const Row &row : rows)
    if (name.starts_with(row.prefix) && name.contains(row.part))
      return row.feature;
  return std::nullopt;
}
} // namespace

std::optional<Feature> mlir::varve::getOpcodeNeed(StringRef opcode) {
  return findNeed(kOpcodes, opcode);
}

std::optional<Feature> mlir::varve::getIntrinsicNeed(StringRef name) {
  if (!name.consume_front("llvm.nvvm."))
    return std::nullopt;
  return findNeed(kIntrinsics, name);
}

/// Replaces `//` comments to the end of the line and `/* */` ones by spaces.
static std::string dropComments(StringRef text) {
  std::string result;
  while (!text.empty()) {
    if (text.consume_front("//"))
      text = text.drop_until([](char c) { return c == '\n'; });
    else if (text.consume_front("/*"))
      text = text.substr(std::min(text.find("*/"), text.size() - 2) + 2);
    else {
      result.push_back(text.front());
      text = text.drop_front();
      continue;
    }
    result.push_back(' ');
  }
  return result;
}

void mlir::varve::forEachOpcode(StringRef assembly,
                                function_ref<void(StringRef)> visit) {
  std::string plain = dropComments(assembly);
  for (StringRef statement : split(plain, ';')) {
    // Braces open scopes, labels end with a colon, a predicate begins with @.
    while (true) {
      statement = statement.ltrim(" \t\r\n{}");
      if (statement.starts_with("@")) {
        statement = statement.drop_until(isSpace);
        continue;
      }
      StringRef word = statement.take_until(isSpace);
      size_t colon = word.find(':');
      // `::` is part of a modifier.
      if (colon == StringRef::npos || word.substr(colon).starts_with("::"))
        break;
      statement = statement.drop_front(colon + 1);
    }
    StringRef opcode = statement.take_until(isSpace);
    if (!opcode.empty() && !opcode.starts_with("."))
      visit(opcode);
  }
}
