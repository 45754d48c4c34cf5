//===- LegalityTest.cpp - What each target accepts -------------*- C++ -*-===//
//
// The table is checked against the code generator and the assembler: what it
// accepts must compile on that target, for every snippet and every target.
//
//===----------------------------------------------------------------------===//
#include "TargetTestUtils.h"
#include "lib/Target/NVPTX/NvidiaCompiler.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "passes/Target/InstructionNeeds.h"
#include "passes/Target/Passes.h"
#include "llvm/ADT/StringExtras.h"
#include "gmock/gmock.h"

using namespace varve;
using llvm::StringRef;
using testing::ElementsAre;
using testing::HasSubstr;

namespace {
struct Snippet {
  /// Names the case.
  const char *name;
  /// Targets that must accept it, comma-separated: each generation's manual.
  const char *targets;
  /// Parameters of the kernel, then ops. Results go to `sink`.
  const char *parameters;
  const char *body;
  /// Part of the PTX that must be there.
  const char *ptx;
};

#define ALL "sm_80,sm_86,sm_89,sm_90a,sm_100a,sm_120a,sm_121a"
#define FROM_89 "sm_89,sm_90a,sm_100a,sm_120a,sm_121a"
#define FROM_90 "sm_90a,sm_100a,sm_120a,sm_121a"
#define FROM_100 "sm_100a,sm_120a,sm_121a"
#define GEFORCE "sm_120a,sm_121a"
#define SHARED "!llvm.ptr<3>"
#define F4 "!llvm.struct<(f32, f32, f32, f32)>"

const Snippet kSnippets[] = {
    // Matrix engines.
    {"wgmma", "sm_90a", "%d: i64, %o: !llvm.ptr",
     "%z = llvm.mlir.zero : " F4
     " %r = nvvm.wgmma.mma_async %d, %d, %z, #nvvm.shape<m = 64, n = 8, k = "
     "32>, D [#nvvm.wgmma_type<f32>, #nvvm.wgmma_scale_out<zero>], A "
     "[#nvvm.wgmma_type<e4m3>, #nvvm.wgmma_scale_in<one>, "
     "#nvvm.mma_layout<row>], B [#nvvm.wgmma_type<e4m3>, "
     "#nvvm.wgmma_scale_in<one>, #nvvm.mma_layout<col>] : " F4 " -> " F4
     " llvm.store %r, %o : " F4 ", !llvm.ptr",
     "wgmma.mma_async.sync.aligned.m64n8k32.f32.e4m3.e4m3"},
    {"wgmma groups", "sm_90a", "",
     "nvvm.wgmma.fence.aligned nvvm.wgmma.commit.group.sync.aligned "
     "nvvm.wgmma.wait.group.sync.aligned 1",
     "wgmma.wait_group.sync.aligned"},
    {"wgmma in assembly", "sm_90a", "",
     "llvm.inline_asm has_side_effects asm_dialect = att "
     "\"wgmma.wait_group.sync.aligned 0;\", \"\" : () -> ()",
     "wgmma.wait_group"},
    {"tcgen05", "sm_100a", "%s: " SHARED ", %n: i32",
     "nvvm.tcgen05.alloc %s, %n : " SHARED ", i32", "tcgen05.alloc"},
    {"mma.sync bf16", ALL, "%a: i32, %f: f32, %o: !llvm.ptr",
     "%r = nvvm.mma.sync A[%a, %a, %a, %a] B[%a, %a] C[%f, %f, %f, %f] "
     "{layoutA = #nvvm.mma_layout<row>, layoutB = #nvvm.mma_layout<col>, "
     "shape = #nvvm.shape<m = 16, n = 8, k = 16>, multiplicandAPtxType = "
     "#nvvm.mma_type<bf16>, multiplicandBPtxType = #nvvm.mma_type<bf16>} : "
     "(i32, i32, f32) -> " F4 " llvm.store %r, %o : " F4 ", !llvm.ptr",
     "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32"},
    {"mma.sync e4m3", FROM_89, "%a: i32, %f: f32, %o: !llvm.ptr",
     "%r = llvm.call_intrinsic "
     "\"llvm.nvvm.mma.m16n8k32.row.col.f32.e4m3.e4m3.f32\"(%a, %a, %a, %a, "
     "%a, %a, %f, %f, %f, %f) : (i32, i32, i32, i32, i32, i32, f32, f32, f32, "
     "f32) -> " F4 " llvm.store %r, %o : " F4 ", !llvm.ptr",
     "mma.sync.aligned.m16n8k32.row.col.f32.e4m3.e4m3.f32"},
    {"mma.sync f8f6f4", GEFORCE, "%a: i32, %f: f32, %o: !llvm.ptr",
     "%r = llvm.call_intrinsic "
     "\"llvm.nvvm.mma.m16n8k32.row.col.kind.f8f6f4.f32.e2m1.e2m1.f32\"(%a, "
     "%a, %a, %a, %a, %a, %f, %f, %f, %f) : (i32, i32, i32, i32, i32, i32, "
     "f32, f32, f32, f32) -> " F4 " llvm.store %r, %o : " F4 ", !llvm.ptr",
     "kind::f8f6f4"},
    {"mma block scale", GEFORCE, "%a: i32, %h: i16, %f: f32, %o: !llvm.ptr",
     "%r = nvvm.mma.block_scale A[%a, %a, %a, %a] B[%a, %a] C[%f, %f, %f, "
     "%f] scaleA[%a, %h, %h] scaleB[%a, %h, %h] {shape = #nvvm.shape<m = 16, "
     "n = 8, k = 64>, multiplicandAPtxType = #nvvm.mma_type<e2m1>, "
     "multiplicandBPtxType = #nvvm.mma_type<e2m1>, scaleVecSize = "
     "#nvvm.scale_vec_size<x2>, blockScaleFormat = "
     "#nvvm.block_scale_format<ue8m0>, kind = #nvvm.block_scale_kind<mxf4>} "
     ": (i32, i32, f32) -> " F4 " llvm.store %r, %o : " F4 ", !llvm.ptr",
     "kind::mxf4"},
    // Moving data.
    {"ldmatrix", ALL, "%s: " SHARED ", %o: !llvm.ptr",
     "%r = nvvm.ldmatrix %s {num = 4 : i32, layout = #nvvm.mma_layout<row>, "
     "shape = #nvvm.ld_st_matrix_shape<m = 8, n = 8>, eltType = "
     "#nvvm.ld_st_matrix_elt_type<b16>} : (" SHARED
     ") -> !llvm.struct<(i32, i32, i32, i32)> llvm.store %r, %o : "
     "!llvm.struct<(i32, i32, i32, i32)>, !llvm.ptr",
     "ldmatrix"},
    {"ldmatrix b8", FROM_100, "%s: " SHARED ", %o: !llvm.ptr",
     "%r = nvvm.ldmatrix %s {num = 1 : i32, layout = #nvvm.mma_layout<col>, "
     "shape = #nvvm.ld_st_matrix_shape<m = 16, n = 16>, eltType = "
     "#nvvm.ld_st_matrix_elt_type<b8>} : (" SHARED
     ") -> !llvm.struct<(i32, i32)> llvm.store %r, %o : !llvm.struct<(i32, "
     "i32)>, !llvm.ptr",
     "ldmatrix.sync.aligned.m16n16"},
    {"stmatrix", FROM_90, "%s: " SHARED ", %a: i32",
     "nvvm.stmatrix %s, %a, %a, %a, %a {layout = #nvvm.mma_layout<row>, shape "
     "= #nvvm.ld_st_matrix_shape<m = 8, n = 8>, eltType = "
     "#nvvm.ld_st_matrix_elt_type<b16>} : " SHARED ", i32, i32, i32, i32",
     "stmatrix"},
    {"stmatrix b8", FROM_100, "%s: " SHARED ", %a: i32",
     "nvvm.stmatrix %s, %a {layout = #nvvm.mma_layout<col>, shape = "
     "#nvvm.ld_st_matrix_shape<m = 16, n = 8>, eltType = "
     "#nvvm.ld_st_matrix_elt_type<b8>} : " SHARED ", i32",
     "stmatrix.sync.aligned.m16n8"},
    {"cp.async", ALL, "%s: " SHARED ", %g: !llvm.ptr<1>",
     "nvvm.cp.async.shared.global %s, %g, 16, cache = cg : " SHARED
     ", !llvm.ptr<1> nvvm.cp.async.commit.group nvvm.cp.async.wait.group 1",
     "cp.async.cg.shared.global"},
    {"cp.async arrival", ALL, "%s: " SHARED,
     "nvvm.cp.async.mbarrier.arrive %s {noinc = true} : " SHARED,
     "cp.async.mbarrier.arrive.noinc"},
    {"tensor load", FROM_90,
     "%s: !llvm.ptr<7>, %t: !llvm.ptr, %m: " SHARED ", %c: i32, %k: i16",
     "nvvm.cp.async.bulk.tensor.shared.cluster.global %s, %t, %m, box [%c, "
     "%c] multicast_mask = %k : !llvm.ptr<7>, !llvm.ptr",
     "cp.async.bulk.tensor.2d.shared::cluster.global"},
    {"tensor load to block", FROM_90,
     "%s: " SHARED ", %t: !llvm.ptr, %m: " SHARED ", %c: i32",
     "nvvm.cp.async.bulk.tensor.shared.cluster.global %s, %t, %m, box [%c, "
     "%c] {isCTAOnly = true} : " SHARED ", !llvm.ptr",
     "shared::cta.global"},
    {"tensor gather", "sm_100a",
     "%s: !llvm.ptr<7>, %t: !llvm.ptr, %m: " SHARED ", %c: i32",
     "nvvm.cp.async.bulk.tensor.shared.cluster.global %s, %t, %m, box [%c, "
     "%c, %c, %c, %c] {mode = #nvvm.tma_load_mode<tile_gather4>} : "
     "!llvm.ptr<7>, !llvm.ptr",
     "tile::gather4"},
    {"tensor store", FROM_90, "%s: " SHARED ", %t: !llvm.ptr, %c: i32",
     "nvvm.cp.async.bulk.tensor.global.shared.cta %t, %s, box [%c, %c] : "
     "!llvm.ptr, " SHARED
     " nvvm.cp.async.bulk.commit.group nvvm.cp.async.bulk.wait_group 0",
     "cp.async.bulk.tensor.2d.global.shared::cta"},
    {"tensor scatter", "sm_100a", "%s: " SHARED ", %t: !llvm.ptr, %c: i32",
     "nvvm.cp.async.bulk.tensor.global.shared.cta %t, %s, box [%c, %c, %c, "
     "%c, %c] {mode = #nvvm.tma_store_mode<tile_scatter4>} : "
     "!llvm.ptr, " SHARED,
     "tile::scatter4"},
    {"tensor reduction", FROM_90, "%s: " SHARED ", %t: !llvm.ptr, %c: i32",
     "nvvm.cp.async.bulk.tensor.reduce %t, %s, box [%c, %c] {redKind = "
     "#nvvm.tma_redux_kind<add>} : !llvm.ptr, " SHARED,
     "cp.reduce.async.bulk.tensor"},
    {"tensor prefetch", FROM_90, "%t: !llvm.ptr, %c: i32",
     "nvvm.cp.async.bulk.tensor.prefetch %t, box [%c, %c] : !llvm.ptr",
     "cp.async.bulk.prefetch.tensor"},
    {"descriptor prefetch", FROM_90, "%p: !llvm.ptr",
     "nvvm.prefetch tensormap, %p : !llvm.ptr", "prefetch.tensormap"},
    {"bulk copy", FROM_90,
     "%s: !llvm.ptr<7>, %g: !llvm.ptr<1>, %m: " SHARED ", %n: i32",
     "nvvm.cp.async.bulk.shared.cluster.global %s, %g, %m, %n : "
     "!llvm.ptr<7>, !llvm.ptr<1>",
     "cp.async.bulk.shared::cluster.global"},
    {"bulk copy to block", FROM_90,
     "%s: " SHARED ", %g: !llvm.ptr<1>, %m: " SHARED ", %n: i32",
     "nvvm.cp.async.bulk.shared.cluster.global %s, %g, %m, %n : " SHARED
     ", !llvm.ptr<1>",
     "cp.async.bulk.shared::cta.global"},
    {"prefetch", FROM_90, "%p: !llvm.ptr<1>",
     "nvvm.prefetch level = L2, %p : !llvm.ptr<1>", "prefetch.global.L2"},
    {"prefetch in assembly", ALL, "%p: !llvm.ptr<1>",
     "nvvm.inline_ptx \"prefetch.global.L2 [{$r0}];\" ro(%p : !llvm.ptr<1>)",
     "prefetch.global.L2"},
    {"bulk store", FROM_100, "%s: " SHARED ", %n: i64",
     "nvvm.st.bulk %s, size = %n : " SHARED, "st.bulk"},
    // Synchronisation.
    {"mbarrier", ALL, "%m: " SHARED ", %n: i32",
     "nvvm.mbarrier.init %m, %n : " SHARED
     ", i32 %s = nvvm.mbarrier.arrive %m : " SHARED
     " -> i64 nvvm.mbarrier.inval %m : " SHARED,
     "mbarrier.arrive"},
    {"mbarrier transaction", FROM_90, "%m: " SHARED ", %n: i32",
     "nvvm.mbarrier.arrive.expect_tx %m, %n : " SHARED ", i32",
     "mbarrier.arrive.expect_tx"},
    {"mbarrier wait", FROM_90, "%m: " SHARED ", %n: i32",
     "nvvm.mbarrier.try_wait.parity %m, %n, %n : " SHARED ", i32, i32",
     "mbarrier.try_wait.parity"},
    {"mbarrier remote", FROM_90, "%m: " SHARED ", %n: i32",
     "%r = nvvm.mapa %m, %n : " SHARED
     " -> !llvm.ptr<7> nvvm.mbarrier.arrive %r {scope = "
     "#nvvm.mem_scope<cluster>, relaxed = true} : !llvm.ptr<7>",
     "mbarrier.arrive.relaxed.cluster"},
    {"fence", FROM_90, "",
     "nvvm.fence.proxy {kind = #nvvm.proxy_kind<async.shared>, space = "
     "#nvvm.shared_space<cta>} nvvm.fence.mbarrier.init",
     "fence.proxy.async.shared::cta"},
    {"tensormap fence", FROM_90, "%p: !llvm.ptr",
     "%n = llvm.mlir.constant(128 : i32) : i32 nvvm.fence.proxy.acquire "
     "#nvvm.mem_scope<gpu> %p, %n",
     "fence.proxy.tensormap"},
    {"restricted fence", FROM_90, "",
     "nvvm.fence.sync_restrict {order = #nvvm.mem_order<acquire>}",
     "sync_restrict"},
    {"barriers", ALL, "%a: i32, %n: i32",
     "nvvm.barrier0 nvvm.barrier id = %a number_of_threads = %n "
     "nvvm.barrier.arrive id = %a number_of_threads = %n",
     "bar"},
    {"cluster", FROM_90, "",
     "nvvm.cluster.arrive {aligned} nvvm.cluster.wait {aligned}",
     "barrier.cluster.wait"},
    {"cluster launch control", FROM_100, "%a: " SHARED ", %m: " SHARED,
     "nvvm.clusterlaunchcontrol.try.cancel %a, %m", "clusterlaunchcontrol"},
    {"election", FROM_90, "%o: !llvm.ptr",
     "%r = nvvm.elect.sync -> i1 %x = llvm.zext %r : i1 to i32 llvm.store %x, "
     "%o : i32, !llvm.ptr",
     "elect.sync"},
    {"dependent launch", FROM_90, "",
     "nvvm.griddepcontrol wait nvvm.griddepcontrol launch_dependents",
     "griddepcontrol.wait"},
    {"register budget", FROM_90, "", "nvvm.setmaxregister increase 232",
     "setmaxnreg.inc"},
    {"shuffle and vote", ALL, "%a: i32, %p: i1, %o: !llvm.ptr",
     "%r = nvvm.shfl.sync bfly %a, %a, %a, %a : i32 -> i32 %v = "
     "nvvm.vote.sync ballot %r, %p -> i32 llvm.store %v, %o : i32, !llvm.ptr",
     "vote.sync.ballot"},
    // Arithmetic and conversions.
    {"integer reduction", ALL, "%a: i32, %o: !llvm.ptr",
     "%r = nvvm.redux.sync add %a, %a : i32 -> i32 llvm.store %r, %o : i32, "
     "!llvm.ptr",
     "redux.sync.add"},
    {"float reduction", "sm_100a", "%a: f32, %m: i32, %o: !llvm.ptr",
     "%r = nvvm.redux.sync fmax %a, %m : f32 -> f32 llvm.store %r, %o : f32, "
     "!llvm.ptr",
     "redux.sync.max"},
    {"to e4m3", FROM_89, "%a: f32, %o: !llvm.ptr",
     "%r = nvvm.convert.f32x2.to.f8x2 %a, %a {rnd = #nvvm.fp_rnd_mode<rn>, "
     "sat = #nvvm.sat_mode<satfinite>} : i16 (f8E4M3FN) llvm.store %r, %o : "
     "i16, !llvm.ptr",
     "cvt.rn.satfinite.e4m3x2.f32"},
    {"to ue8m0", FROM_100, "%a: f32, %o: !llvm.ptr",
     "%r = nvvm.convert.f32x2.to.f8x2 %a, %a {rnd = #nvvm.fp_rnd_mode<rp>, "
     "sat = #nvvm.sat_mode<satfinite>} : i16 (f8E8M0FNU) llvm.store %r, %o : "
     "i16, !llvm.ptr",
     "ue8m0x2"},
    {"from e4m3", FROM_89, "%a: vector<2xi8>, %o: !llvm.ptr",
     "%r = nvvm.convert.f8x2.to.f16x2 %a : vector<2xi8> (f8E4M3FN) -> "
     "vector<2xf16> llvm.store %r, %o : vector<2xf16>, !llvm.ptr",
     "cvt.rn.f16x2.e4m3x2"},
    {"from ue8m0", FROM_100, "%a: vector<2xi8>, %o: !llvm.ptr",
     "%r = nvvm.convert.f8x2.to.bf16x2 %a : vector<2xi8> (f8E8M0FNU) -> "
     "vector<2xbf16> llvm.store %r, %o : vector<2xbf16>, !llvm.ptr",
     "cvt.rn.bf16x2.ue8m0x2"},
    {"from e2m1", FROM_100, "%a: i8, %o: !llvm.ptr",
     "%r = nvvm.convert.f4x2.to.f16x2 %a : i8 (f4E2M1FN) -> vector<2xf16> "
     "llvm.store %r, %o : vector<2xf16>, !llvm.ptr",
     "cvt.rn.f16x2.e2m1x2"},
    {"to bf16", ALL, "%a: f32, %o: !llvm.ptr",
     "%r = nvvm.convert.f32x2.to.bf16x2 %a, %a {rnd = #nvvm.fp_rnd_mode<rn>} "
     ": vector<2xbf16> llvm.store %r, %o : vector<2xbf16>, !llvm.ptr",
     "cvt.rn.bf16x2.f32"},
    {"to tf32", ALL, "%a: f32, %o: !llvm.ptr",
     "%r = nvvm.convert.float.to.tf32 %a {rnd = #nvvm.fp_rnd_mode<rna>} "
     "llvm.store %r, %o : i32, !llvm.ptr",
     "cvt.rna.tf32.f32"},
    {"to tf32, nearest even", FROM_90, "%a: f32, %o: !llvm.ptr",
     "%r = nvvm.convert.float.to.tf32 %a {rnd = #nvvm.fp_rnd_mode<rn>} "
     "llvm.store %r, %o : i32, !llvm.ptr",
     "cvt.rn.tf32.f32"},
    {"bf16 arithmetic", ALL, "%a: bf16, %o: !llvm.ptr",
     "%r = arith.mulf %a, %a : bf16 llvm.store %r, %o : bf16, !llvm.ptr",
     "bf16"},
    {"atomics", ALL, "%a: f32, %o: !llvm.ptr<1>",
     "%r = llvm.atomicrmw fadd %o, %a monotonic : !llvm.ptr<1>, f32", "atom"},
};

class LegalityTest : public TargetTest,
                     public testing::WithParamInterface<size_t> {
protected:
  std::string kernel(const Snippet &snippet) {
    return ("llvm.func @k(" + StringRef(snippet.parameters) +
            ") attributes {nvvm.kernel, nvvm.maxntid = array<i32: 128>, "
            "nvvm.minctasm = 1 : i32} {\n" +
            snippet.body + "\nllvm.return\n}")
        .str();
  }
};

TEST_P(LegalityTest, acceptedExactlyWhereItCompiles) {
  const Snippet &snippet = kSnippets[GetParam()];
  llvm::SmallVector<StringRef> accepted;
  StringRef(snippet.targets).split(accepted, ',');
  auto assembler = PtxasTool::find();
  NvidiaOptions options;
  options.strict = false;
  if (assembler)
    options.assembler = *assembler;
  else
    llvm::consumeError(assembler.takeError());

  for (const TargetModel &target : TargetModel::getAll()) {
    if (!target.isGpu())
      continue;
    SCOPED_TRACE(target.getName().str());
    diagnostics.clear();
    auto module = parse(kernel(snippet));
    ASSERT_TRUE(module);
    bool legal =
        mlir::succeeded(mlir::varve::verifyLegalOnTarget(*module, target));
    EXPECT_EQ(legal, llvm::is_contained(accepted, target.getName()))
        << diagnostics;
    if (!legal) {
      EXPECT_THAT(diagnostics,
                  HasSubstr("cannot run on " + target.getName().str()));
      EXPECT_THAT(diagnostics, HasSubstr("targets that have it: "));
      continue;
    }
    auto binary = compileForNvidia(*module, target, options);
    ASSERT_TRUE(mlir::succeeded(binary)) << diagnostics;
    EXPECT_THAT(binary->ptx, HasSubstr(snippet.ptx));
  }
}

INSTANTIATE_TEST_SUITE_P(Snippets, LegalityTest,
                         testing::Range(size_t(0), std::size(kSnippets)),
                         [](const testing::TestParamInfo<size_t> &info) {
                           std::string name = kSnippets[info.param].name;
                           for (char &c : name)
                             if (!llvm::isAlnum(c))
                               c = '_';
                           return name;
                         });

class LegalityMessageTest : public TargetTest {
protected:
  bool accepts(StringRef text, StringRef target) {
    auto module = parse(text);
    return mlir::succeeded(
        mlir::varve::verifyLegalOnTarget(*module, getTarget(target)));
  }
};

TEST_F(LegalityMessageTest, everyNVVMOpHasARule) {
  unsigned ops = 0;
  for (mlir::RegisteredOperationName name : context.getRegisteredOperations()) {
    if (name.getDialectNamespace() != "nvvm")
      continue;
    ++ops;
    EXPECT_TRUE(mlir::varve::hasLegalityRule(name.getStringRef()))
        << name.getStringRef().str();
  }
  EXPECT_GT(ops, 100u);
  EXPECT_FALSE(mlir::varve::hasLegalityRule("nvvm.no_such_op"));
  EXPECT_FALSE(mlir::varve::hasLegalityRule("llvm.add"));
}

TEST_F(LegalityMessageTest, messagesSayWhatWhereAndWhatInstead) {
  EXPECT_FALSE(accepts(R"(
llvm.func @k() attributes {nvvm.kernel, nvvm.maxntid = array<i32: 384>} {
  nvvm.setmaxregister increase 232
  llvm.return
})",
                       "sm_80"));
  EXPECT_THAT(
      diagnostics,
      HasSubstr("error: 'nvvm.setmaxregister' op cannot run on sm_80: it needs "
                "moving registers between warpgroups (setmaxnreg)\nnote: "));
  EXPECT_THAT(diagnostics,
              HasSubstr("note: targets that have it: sm_90a, sm_100a, sm_120a, "
                        "sm_121a\nnote: on sm_80 use instead: one register "
                        "budget for all warps (drop the op)\n"));
}

TEST_F(LegalityMessageTest, assemblyIsNamedByItsOpcode) {
  EXPECT_FALSE(accepts(R"(
llvm.func @k() attributes {nvvm.kernel} {
  llvm.inline_asm has_side_effects asm_dialect = att "{ .reg .pred p; @p wgmma.fence.sync.aligned; }", "" : () -> ()
  llvm.return
})",
                       "sm_100a"));
  EXPECT_THAT(diagnostics,
              HasSubstr("cannot run on sm_100a ('wgmma.fence.sync.aligned'): "
                        "it needs warpgroup matrix multiply (wgmma)"));
}

TEST_F(LegalityMessageTest, mathFunctionsPointToTheirPass) {
  EXPECT_FALSE(accepts(R"(
llvm.func @k(%x: f32, %o: !llvm.ptr) attributes {nvvm.kernel} {
  %y = llvm.intr.exp(%x) : (f32) -> f32
  llvm.store %y, %o : f32, !llvm.ptr
  llvm.return
})",
                       "sm_90a"));
  EXPECT_THAT(
      diagnostics,
      HasSubstr("'llvm.intr.exp' op has no instruction on NVIDIA GPUs"));
  EXPECT_THAT(diagnostics, HasSubstr("run varve-lower-math-to-nvvm first"));
  EXPECT_TRUE(accepts(R"(
llvm.func @k(%x: f32, %o: !llvm.ptr) attributes {nvvm.kernel} {
  %y = llvm.intr.sin(%x) {fastmathFlags = #llvm.fastmath<afn>} : (f32) -> f32
  %z = llvm.intr.exp2(%y) : (f32) -> f32
  llvm.store %z, %o : f32, !llvm.ptr
  llvm.return
})",
                      "sm_90a"));
}

TEST_F(LegalityMessageTest, kernelsStayWithinTheBlock) {
  EXPECT_FALSE(accepts("llvm.func @k() attributes {nvvm.kernel, nvvm.maxntid = "
                       "array<i32: 512, 4, 1>} { llvm.return }",
                       "sm_90a"));
  EXPECT_THAT(diagnostics, HasSubstr("asks for 2048 threads per block; sm_90a "
                                     "allows 1024"));
  diagnostics.clear();
  EXPECT_FALSE(
      accepts("llvm.func @k() attributes {nvvm.kernel, "
              "nvvm.cluster_dim = array<i32: 2, 1, 1>} { llvm.return }",
              "sm_89"));
  EXPECT_THAT(diagnostics, HasSubstr("('nvvm.cluster_dim'): it needs clusters "
                                     "of thread blocks"));
}

TEST_F(LegalityMessageTest, registerBudgetsNeedAKnownStart) {
  auto kernel = [](StringRef attributes) {
    return ("llvm.func @k() attributes {nvvm.kernel" + attributes +
            "} { nvvm.setmaxregister increase 232 llvm.return }")
        .str();
  };
  EXPECT_FALSE(accepts(kernel(", nvvm.maxntid = array<i32: 384>"), "sm_90a"));
  EXPECT_THAT(diagnostics, HasSubstr("would be ignored by the assembler"));
  EXPECT_TRUE(accepts(kernel(", nvvm.maxntid = array<i32: 384>, nvvm.minctasm "
                             "= 1 : i32"),
                      "sm_90a"));
  EXPECT_TRUE(accepts(kernel(", nvvm.maxnreg = 168 : i32"), "sm_90a"));
}

TEST_F(LegalityMessageTest, otherMachinesAreNoNvidiaTargets) {
  EXPECT_FALSE(accepts("llvm.func @f() { llvm.return }", "x86-64"));
  EXPECT_EQ(diagnostics, "error: x86-64 is not an NVIDIA target\n");
}

std::vector<std::string> opcodes(StringRef assembly) {
  std::vector<std::string> result;
  mlir::varve::forEachOpcode(
      assembly, [&](StringRef opcode) { result.push_back(opcode.str()); });
  return result;
}

TEST(OpcodeTest, statementsAreTakenApart) {
  EXPECT_THAT(opcodes("mov.b32 $0, $1;"), ElementsAre("mov.b32"));
  EXPECT_THAT(opcodes("{\n.reg .pred p;\nsetp.ne.b32 p, 1, 0; // c; d\n"
                      "@!p bra.uni DONE;\nLOOP: add.u32 a, b, c; DONE:\n}"),
              ElementsAre("setp.ne.b32", "bra.uni", "add.u32"));
  EXPECT_THAT(opcodes("cp.async.bulk.tensor.2d.shared::cta.global [a], [b];"),
              ElementsAre("cp.async.bulk.tensor.2d.shared::cta.global"));
  EXPECT_THAT(opcodes("/* wgmma.x; */ nop.y; /* open"), ElementsAre("nop.y"));
  EXPECT_THAT(opcodes(""), ElementsAre());
  EXPECT_THAT(opcodes(";;@p;:;{}"), ElementsAre());
}

TEST(OpcodeTest, specialCasesComeBeforeTheirFamily) {
  using mlir::varve::getIntrinsicNeed;
  using mlir::varve::getOpcodeNeed;
  EXPECT_EQ(
      getOpcodeNeed("mma.sync.aligned.m16n8k32.row.col.f32.e4m3.e4m3.f32"),
      Feature::MmaSyncFp8);
  EXPECT_EQ(
      getOpcodeNeed("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32"),
      Feature::MmaSync);
  EXPECT_EQ(getOpcodeNeed("redux.sync.max.abs.NaN.f32"), Feature::ReduxF32);
  EXPECT_EQ(getOpcodeNeed("redux.sync.add.s32"), Feature::ReduxI32);
  EXPECT_EQ(getOpcodeNeed("bar.sync"), std::nullopt);
  EXPECT_EQ(getIntrinsicNeed("llvm.nvvm.ff.to.e4m3x2.rn"), Feature::CvtFp8);
  EXPECT_EQ(getIntrinsicNeed("llvm.nvvm.redux.sync.fmax"), Feature::ReduxF32);
  EXPECT_EQ(getIntrinsicNeed("llvm.fabs.f32"), std::nullopt);
}
} // namespace
