//===- NvidiaCompilerTest.cpp - Kernels to PTX and cubin -------*- C++ -*-===//
#include "lib/Target/NVPTX/NvidiaCompiler.h"
#include "TargetTestUtils.h"
#include "lib/Target/Codegen/Codegen.h"
#include "llvm/AsmParser/Parser.h"
#include "llvm/Support/SourceMgr.h"
#include "gmock/gmock.h"

using namespace varve;
using testing::HasSubstr;
using testing::Not;

namespace {
/// A kernel in the shape of a Hopper matrix product: one producer thread and
/// two consumer warpgroups, one stage, one k step, tiles by the tensor memory
/// accelerator. Layer names are on the parts.
constexpr const char *kWarpSpecialised = R"(
!desc = !llvm.ptr
!acc = !llvm.struct<(f32, f32, f32, f32)>
llvm.mlir.global external @smem() {addr_space = 3 : i32, alignment = 1024 : i64} : !llvm.array<0 x i8>
llvm.func @product(%a: !desc {llvm.byval = !llvm.array<128 x i8>, llvm.align = 64 : i64, nvvm.grid_constant},
                   %out: !llvm.ptr<1>)
    attributes {nvvm.kernel, nvvm.maxntid = array<i32: 384>,
                nvvm.minctasm = 1 : i32} {
  %smem = llvm.mlir.addressof @smem : !llvm.ptr<3>
  %bar = llvm.getelementptr %smem[16384] : (!llvm.ptr<3>) -> !llvm.ptr<3>, i8
  %tid = nvvm.read.ptx.sreg.tid.x : i32
  %c0 = arith.constant 0 : i32
  %c1 = arith.constant 1 : i32
  %c7 = arith.constant 7 : i32
  %c2 = arith.constant 2 : i32
  %c256 = arith.constant 256 : i32
  %bytes = arith.constant 16384 : i32
  %ticks = arith.constant 10000000 : i32
  %first = arith.cmpi eq, %tid, %c0 : i32
  scf.if %first {
    nvvm.mbarrier.init %bar, %c1 : !llvm.ptr<3>, i32
    nvvm.fence.mbarrier.init
  }
  nvvm.barrier0
  %own = arith.shrui %tid, %c7 : i32
  %all = arith.constant -1 : i32
  %c31 = arith.constant 31 : i32
  %group = nvvm.shfl.sync idx %all, %own, %c0, %c31 : i32 -> i32
  %producer = arith.cmpi eq, %group, %c2 : i32
  scf.if %producer {
    nvvm.setmaxregister decrease 40
    %leader = arith.cmpi eq, %tid, %c256 : i32
    scf.if %leader {
      nvvm.mbarrier.arrive.expect_tx %bar, %bytes : !llvm.ptr<3>, i32
      nvvm.cp.async.bulk.tensor.shared.cluster.global %smem, %a, %bar, box [%c0, %c0] {isCTAOnly = true} : !llvm.ptr<3>, !llvm.ptr loc(#load)
    }
  } else {
    nvvm.setmaxregister increase 232
    nvvm.mbarrier.try_wait.parity %bar, %c0, %ticks : !llvm.ptr<3>, i32, i32 loc(#multiply)
    %base = llvm.ptrtoint %smem : !llvm.ptr<3> to i32
    %c4 = arith.constant 4 : i32
    %addr = arith.shrui %base, %c4 : i32
    %addr64 = arith.extui %addr : i32 to i64
    %form = arith.constant 4611686293305360384 : i64
    %d = arith.ori %addr64, %form : i64
    %zero = llvm.mlir.zero : !acc
    nvvm.wgmma.fence.aligned loc(#multiply)
    %r = nvvm.wgmma.mma_async %d, %d, %zero, #nvvm.shape<m = 64, n = 8, k = 16>,
        D [#nvvm.wgmma_type<f32>, #nvvm.wgmma_scale_out<zero>],
        A [#nvvm.wgmma_type<bf16>, #nvvm.wgmma_scale_in<one>, #nvvm.mma_layout<row>],
        B [#nvvm.wgmma_type<bf16>, #nvvm.wgmma_scale_in<one>, #nvvm.mma_layout<col>]
        : !acc -> !acc loc(#multiply)
    nvvm.wgmma.commit.group.sync.aligned loc(#multiply)
    nvvm.wgmma.wait.group.sync.aligned 0 loc(#multiply)
    %x = llvm.extractvalue %r[0] : !acc
    %p = llvm.getelementptr %out[%tid] : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>, f32
    llvm.store %x, %p : f32, !llvm.ptr<1>
  }
  llvm.return
} loc(#home)
#home = loc("layers.17.attn.wq_a"("model.mlir":12:3))
#load = loc("layers.17.attn.wq_a.load"("model.mlir":13:5))
#multiply = loc("layers.17.attn.wq_a.multiply"("model.mlir":14:5))
)";

/// How often `part` is in `text`.
size_t occurrences(llvm::StringRef text, llvm::StringRef part) {
  return text.count(part);
}

class NvidiaTest : public TargetTest {
protected:
  std::optional<NvidiaBinary> compile(llvm::StringRef text,
                                      llvm::StringRef target,
                                      const NvidiaOptions &options = {}) {
    auto module = parse(text);
    if (!module)
      return std::nullopt;
    auto binary = compileForNvidia(*module, getTarget(target), options);
    if (mlir::failed(binary))
      return std::nullopt;
    return std::move(*binary);
  }

  /// Options with the assembler of this machine, which may have none.
  static std::optional<NvidiaOptions> withAssembler() {
    llvm::Expected<PtxasTool> tool = PtxasTool::find();
    if (!tool) {
      llvm::consumeError(tool.takeError());
      return std::nullopt;
    }
    NvidiaOptions options;
    options.assembler = *tool;
    return options;
  }
};

#define SKIP_WITHOUT_PTXAS(options)                                            \
  auto options = withAssembler();                                              \
  if (!options)                                                                \
  GTEST_SKIP() << "no ptxas on this machine"

TEST_F(NvidiaTest, warpSpecialisedProductBecomesHopperInstructions) {
  auto binary = compile(kWarpSpecialised, "sm_90a");
  ASSERT_TRUE(binary) << diagnostics;
  llvm::StringRef ptx = binary->ptx;
  EXPECT_THAT(ptx.str(), HasSubstr(".version 8.6\n.target sm_90a\n"));
  EXPECT_EQ(occurrences(ptx, "wgmma.mma_async.sync.aligned.m64n8k16"), 1u);
  EXPECT_EQ(occurrences(ptx, "setmaxnreg.dec.sync.aligned.u32"), 1u);
  EXPECT_EQ(occurrences(ptx, "setmaxnreg.inc.sync.aligned.u32"), 1u);
  EXPECT_EQ(occurrences(ptx, "cp.async.bulk.tensor.2d.shared::cta.global"), 1u);
  EXPECT_THAT(ptx.str(), HasSubstr("mbarrier.init.shared.b64"));
  EXPECT_THAT(ptx.str(), HasSubstr("mbarrier.try_wait.parity"));
  EXPECT_THAT(ptx.str(), HasSubstr(".maxntid 384"));
  // Without an assembler the caller is told.
  EXPECT_THAT(diagnostics, HasSubstr("remark: no ptxas"));
  EXPECT_TRUE(binary->cubin.empty());
}

TEST_F(NvidiaTest, layerNamesBecomeLineDirectives) {
  auto binary = compile(kWarpSpecialised, "sm_90a");
  ASSERT_TRUE(binary) << diagnostics;
  llvm::StringRef ptx = binary->ptx;
  // Each directive exactly as a profiler reads it.
  for (llvm::StringRef name :
       {"\"layers.17.attn.wq_a\"", "\"layers.17.attn.wq_a.load\"",
        "\"layers.17.attn.wq_a.multiply\""})
    EXPECT_EQ(occurrences(ptx, name), 1u) << name.str() << "\n" << ptx.str();
  // The instruction stands under its layer's file, at the line beneath.
  size_t product = ptx.find("wgmma.mma_async");
  llvm::StringRef before = ptx.take_front(product);
  llvm::StringRef loc = before.drop_front(before.rfind(".loc"));
  llvm::StringRef number = loc.split('\t').second.split(' ').first;
  EXPECT_THAT(
      ptx.str(),
      HasSubstr(
          (".file\t" + number + " \"layers.17.attn.wq_a.multiply\"").str()));
  EXPECT_TRUE(loc.split('\t').second.split(' ').second.starts_with("14 "))
      << loc.str();
  // `.target sm_90a, debug` would switch the assembler's optimiser off.
  EXPECT_THAT(ptx.str(), Not(HasSubstr(", debug")));
  EXPECT_THAT(ptx.str(), Not(HasSubstr(".debug_info")));
}

TEST_F(NvidiaTest, cubinComesWithAReportForEachKernel) {
  SKIP_WITHOUT_PTXAS(options);
  auto binary = compile(kWarpSpecialised, "sm_90a", *options);
  ASSERT_TRUE(binary) << diagnostics;
  EXPECT_EQ(binary->cubin.substr(1, 3), "ELF");
  ASSERT_EQ(binary->kernels.size(), 1u);
  const KernelReport &kernel = binary->kernels[0];
  EXPECT_EQ(kernel.name, "product");
  // setmaxnreg starts from an equal share: 65536 registers among 384 threads,
  // rounded down to a multiple of 8.
  EXPECT_EQ(kernel.registers, 168u);
  EXPECT_EQ(kernel.barriers, 1u);
  EXPECT_EQ(kernel.spillStoreBytes + kernel.spillLoadBytes, 0u);
  EXPECT_THAT(binary->assembler, HasSubstr("ptxas "));
}

TEST_F(NvidiaTest, resultsAreReproducible) {
  auto first = compile(kWarpSpecialised, "sm_90a");
  ASSERT_TRUE(first) << diagnostics;
  EXPECT_EQ(first->ptx, compile(kWarpSpecialised, "sm_90a")->ptx);
  SKIP_WITHOUT_PTXAS(options);
  auto cubin = compile(kWarpSpecialised, "sm_90a", *options);
  ASSERT_TRUE(cubin) << diagnostics;
  EXPECT_EQ(cubin->cubin, compile(kWarpSpecialised, "sm_90a", *options)->cubin);
}

// Two arms of a branch on the thread's number end in the same warp-wide
// instruction. LLVM would hoist it above the branch, where all warps meet at
// it, if inline assembly were not convergent.
constexpr const char *kDivergentBarriers = R"(
llvm.func @k(%o: !llvm.ptr<1>, %x: i32, %y: i32) attributes {nvvm.kernel} {
  %t = nvvm.read.ptx.sreg.tid.x : i32
  %c = llvm.mlir.constant(128 : i32) : i32
  %p = llvm.icmp "ult" %t, %c : i32
  llvm.cond_br %p, ^a, ^b
^a:
  llvm.inline_asm has_side_effects asm_dialect = att "bar.sync 1;", "" : () -> ()
  llvm.store %x, %o : i32, !llvm.ptr<1>
  llvm.br ^e
^b:
  llvm.inline_asm has_side_effects asm_dialect = att "bar.sync 1;", "" : () -> ()
  llvm.store %y, %o : i32, !llvm.ptr<1>
  llvm.br ^e
^e:
  llvm.return
})";

TEST_F(NvidiaTest, warpWideAssemblyStaysInItsBranch) {
  auto binary = compile(kDivergentBarriers, "sm_80");
  ASSERT_TRUE(binary) << diagnostics;
  EXPECT_EQ(occurrences(binary->ptx, "bar.sync"), 2u) << binary->ptx;

  // The hazard is real: the same module, unmarked, is merged.
  auto module = parse(kDivergentBarriers);
  auto lowered = lowerToLLVMIR(*module, getTarget("sm_80"));
  ASSERT_TRUE(mlir::succeeded(lowered));
  auto code =
      generateCode(std::move(*lowered),
                   llvm::cantFail(createTargetMachine(getTarget("sm_80"))),
                   llvm::CodeGenFileType::AssemblyFile);
  ASSERT_TRUE(static_cast<bool>(code));
  EXPECT_EQ(
      occurrences(llvm::StringRef(code->data(), code->size()), "bar.sync"), 1u)
      << "LLVM no longer merges these; the marking may have become needless";
}

// The same through a function: its callers must not be merged either.
TEST_F(NvidiaTest, functionsWithWarpWideAssemblyStayInTheirBranch) {
  auto binary = compile(R"(
llvm.func @meet() attributes {no_inline} {
  llvm.inline_asm has_side_effects asm_dialect = att "bar.sync 1;", "" : () -> ()
  llvm.return
}
llvm.func @k(%o: !llvm.ptr<1>, %x: i32, %y: i32) attributes {nvvm.kernel} {
  %t = nvvm.read.ptx.sreg.tid.x : i32
  %c = llvm.mlir.constant(128 : i32) : i32
  %p = llvm.icmp "ult" %t, %c : i32
  llvm.cond_br %p, ^a, ^b
^a:
  llvm.call @meet() : () -> ()
  llvm.store %x, %o : i32, !llvm.ptr<1>
  llvm.br ^e
^b:
  llvm.call @meet() : () -> ()
  llvm.store %y, %o : i32, !llvm.ptr<1>
  llvm.br ^e
^e:
  llvm.return
})",
                        "sm_80");
  ASSERT_TRUE(binary) << diagnostics;
  EXPECT_EQ(occurrences(binary->ptx, "call.uni"), 2u) << binary->ptx;
}

/// A kernel that keeps `n` loaded values alive across a barrier, with at most
/// 32 registers.
std::string spillingKernel(int n, llvm::StringRef attributes) {
  std::string text = "llvm.func @spiller(%p: !llvm.ptr<1>) attributes "
                     "{nvvm.kernel, nvvm.maxntid = array<i32: 128>, "
                     "nvvm.maxnreg = 32 : i32" +
                     attributes.str() + "} {\n";
  auto line = [&](const llvm::Twine &t) { text += (t + "\n").str(); };
  for (int i = 0; i < n; ++i) {
    line("%a" + llvm::Twine(i) + " = llvm.getelementptr %p[" + llvm::Twine(i) +
         "] : (!llvm.ptr<1>) -> !llvm.ptr<1>, f32");
    line("%x" + llvm::Twine(i) + " = llvm.load volatile %a" + llvm::Twine(i) +
         " : !llvm.ptr<1> -> f32");
  }
  line("nvvm.barrier0");
  for (int i = 0; i < n; ++i)
    line("llvm.store volatile %x" + llvm::Twine(i) + ", %a" +
         llvm::Twine(n - 1 - i) + " : f32, !llvm.ptr<1>");
  return text + "llvm.return\n}";
}

TEST_F(NvidiaTest, spillsAreErrorsUnlessAllowed) {
  SKIP_WITHOUT_PTXAS(options);
  EXPECT_FALSE(compile(spillingKernel(64, ""), "sm_90a", *options));
  EXPECT_THAT(diagnostics,
              HasSubstr("error: kernel 'spiller' spills registers: "));
  EXPECT_THAT(diagnostics, HasSubstr("note: choose a smaller tile"));

  diagnostics.clear();
  auto allowed =
      compile(spillingKernel(64, ", varve.allowed_spill_bytes = 4096 : i64"),
              "sm_90a", *options);
  ASSERT_TRUE(allowed) << diagnostics;
  EXPECT_GT(allowed->kernels[0].spillStoreBytes, 0u);

  diagnostics.clear();
  options->strict = false;
  EXPECT_TRUE(compile(spillingKernel(64, ""), "sm_90a", *options));
  EXPECT_THAT(diagnostics, HasSubstr("warning: kernel 'spiller' spills"));
}

TEST_F(NvidiaTest, assemblerErrorsShowTheLineTheKernelAndTheLayer) {
  SKIP_WITHOUT_PTXAS(options);
  EXPECT_FALSE(compile(R"(
llvm.func @broken(%p: !llvm.ptr<1>) attributes {nvvm.kernel} {
  llvm.inline_asm has_side_effects asm_dialect = att "frobnicate.u32 5;", "" : () -> () loc("layers.3.ffn.gate")
  llvm.return
})",
                       "sm_80", *options));
  EXPECT_THAT(diagnostics, HasSubstr("rejects the PTX for sm_80"));
  EXPECT_THAT(diagnostics, HasSubstr("`frobnicate.u32 5;` in kernel broken at "
                                     "layers.3.ffn.gate"));
}

TEST_F(NvidiaTest, slowAssemblersAreStopped) {
  SKIP_WITHOUT_PTXAS(options);
  options->limits.memoryMiB = 8; // not enough to load it
  EXPECT_FALSE(compile(kDivergentBarriers, "sm_80", *options));
  EXPECT_THAT(diagnostics, HasSubstr("error: "));
  EXPECT_THAT(diagnostics, HasSubstr("the command was: "));
}

/// The error of generating code for an intrinsic without an instruction.
std::string generateUnselectable() {
  LlvmModule module;
  module.context = std::make_unique<llvm::LLVMContext>();
  llvm::SMDiagnostic problem;
  module.module = llvm::parseAssemblyString(R"(
define ptx_kernel void @k(ptr %p) {
  %x = load float, ptr %p
  %y = call float @llvm.exp.f32(float %x)
  store float %y, ptr %p
  ret void
}
declare float @llvm.exp.f32(float))",
                                            problem, *module.context);
  auto code =
      generateCode(std::move(module),
                   llvm::cantFail(createTargetMachine(getTarget("sm_80"))),
                   llvm::CodeGenFileType::AssemblyFile);
  return code ? "no error" : llvm::toString(code.takeError());
}

// In a process of its own: the memory of the abandoned module is lost.
TEST_F(NvidiaTest, whatLLVMCannotSelectIsAnErrorNotAnAbort) {
  auto body = [&] {
    std::fprintf(stderr, "%s\n", generateUnselectable().c_str());
    // And the process compiles on.
    bool works = compile(kDivergentBarriers, "sm_80").has_value();
    std::_Exit(works ? 0 : 1);
  };
  EXPECT_EXIT(body(), testing::ExitedWithCode(0),
              "LLVM gave up on target sm_80: Cannot select");
}

TEST_F(NvidiaTest, leftOverOpsAreNamed) {
  context.allowUnregisteredDialects();
  EXPECT_FALSE(compile(R"(
func.func @f(%m: memref<?xf32>) {
  %c0 = arith.constant 0 : index
  %t = "test.unknown"(%m, %c0) : (memref<?xf32>, index) -> f32
  return
})",
                       "sm_80"));
  EXPECT_THAT(diagnostics, HasSubstr("test.unknown"));
}

//===----------------------------------------------------------------------===//
// The cache
//===----------------------------------------------------------------------===//

class CachedNvidiaTest : public NvidiaTest {
protected:
  CachedNvidiaTest() : directory(llvm::cantFail(TemporaryDirectory::create())) {
    KernelCacheOptions cacheOptions;
    cacheOptions.directory = directory.file("cache");
    cache.emplace(cacheOptions,
                  [this](llvm::StringRef w) { diagnostics += w.str() + "\n"; });
    options.cache = &*cache;
  }

  /// A kernel of one op, which layer `name` wrote at `line`.
  static std::string layer(llvm::StringRef name, int line,
                           llvm::StringRef constant = "1.0") {
    return ("llvm.func @k(%p: !llvm.ptr<1>) attributes {nvvm.kernel} {\n"
            "%c = llvm.mlir.constant(" +
            constant +
            " : f32) : f32\n"
            "llvm.store %c, %p : f32, !llvm.ptr<1> loc(#l)\n"
            "llvm.return loc(#l)\n} loc(#l)\n#l = loc(\"" +
            name + "\"(\"m.mlir\":" + llvm::Twine(line) + ":1))")
        .str();
  }

  TemporaryDirectory directory;
  std::optional<KernelCache> cache;
  NvidiaOptions options;
};

TEST_F(CachedNvidiaTest, hitsReturnTheSameBinary) {
  if (auto found = withAssembler())
    options.assembler = found->assembler;
  auto first = compile(kWarpSpecialised, "sm_90a", options);
  ASSERT_TRUE(first) << diagnostics;
  auto second = compile(kWarpSpecialised, "sm_90a", options);
  ASSERT_TRUE(second) << diagnostics;
  EXPECT_EQ(cache->getHits(), 1u);
  EXPECT_EQ(first->ptx, second->ptx);
  EXPECT_EQ(first->cubin, second->cubin);
  EXPECT_EQ(first->assembler, second->assembler);
  ASSERT_EQ(first->kernels.size(), second->kernels.size());
  for (size_t i = 0; i < first->kernels.size(); ++i) {
    EXPECT_EQ(first->kernels[i].name, second->kernels[i].name);
    EXPECT_EQ(first->kernels[i].registers, second->kernels[i].registers);
    EXPECT_EQ(first->kernels[i].barriers, second->kernels[i].barriers);
  }
}

TEST_F(CachedNvidiaTest, otherTargetsAndOtherCodeMiss) {
  ASSERT_TRUE(compile(layer("a", 1), "sm_80", options)) << diagnostics;
  ASSERT_TRUE(compile(layer("a", 1), "sm_86", options)) << diagnostics;
  ASSERT_TRUE(compile(layer("a", 1, "2.0"), "sm_80", options)) << diagnostics;
  EXPECT_EQ(cache->getHits(), 0u);
}

TEST_F(CachedNvidiaTest, namesCountOnlyWhereTheResultHasThem) {
  auto a = compile(layer("layers.1", 1), "sm_80", options);
  auto b = compile(layer("layers.2", 2), "sm_80", options);
  ASSERT_TRUE(a && b) << diagnostics;
  EXPECT_EQ(cache->getHits(), 0u);
  EXPECT_THAT(b->ptx, HasSubstr("\"layers.2\""));

  options.lineDirectives = false;
  a = compile(layer("layers.1", 1), "sm_80", options);
  b = compile(layer("layers.2", 2), "sm_80", options);
  ASSERT_TRUE(a && b) << diagnostics;
  EXPECT_EQ(cache->getHits(), 1u);
  EXPECT_EQ(a->ptx, b->ptx);
  EXPECT_THAT(a->ptx, Not(HasSubstr(".loc")));
}

//===----------------------------------------------------------------------===//
// Math functions and narrow floats on GPUs
//===----------------------------------------------------------------------===//

std::string unary(llvm::StringRef op, llvm::StringRef type = "f32",
                  llvm::StringRef flags = "") {
  return ("llvm.func @k(%p: !llvm.ptr<1>) attributes {nvvm.kernel} {\n"
          "  %x = llvm.load %p : !llvm.ptr<1> -> " +
          type + "\n  %y = " + op + " %x " + flags + " : " + type +
          "\n  llvm.store %y, %p : " + type +
          ", !llvm.ptr<1>\n  llvm.return\n}")
      .str();
}

TEST_F(NvidiaTest, everyMathFunctionCompilesWithoutALibrary) {
  for (llvm::StringRef name :
       {"acos",  "acosh",     "asin",  "asinh", "atan", "atanh",
        "cbrt",  "ceil",      "cos",   "cosh",  "erf",  "erfc",
        "exp",   "exp2",      "expm1", "floor", "log",  "log10",
        "log1p", "log2",      "round", "rsqrt", "sin",  "sinh",
        "sqrt",  "roundeven", "tan",   "tanh",  "trunc"})
    for (llvm::StringRef type : {"f32", "bf16", "f16", "vector<4xf32>"})
      for (llvm::StringRef flags : {"", "fastmath<afn>", "fastmath<fast>"}) {
        diagnostics.clear();
        auto binary =
            compile(unary(("math." + name).str(), type, flags), "sm_80");
        EXPECT_TRUE(binary)
            << name.str() << type.str() << flags.str() << diagnostics;
        if (binary) {
          EXPECT_THAT(binary->ptx, Not(HasSubstr("call"))) << name.str();
        }
      }
}

TEST_F(NvidiaTest, approximationIsOneInstructionOnlyWhereAllowed) {
  auto fast = compile(unary("math.exp", "f32", "fastmath<afn>"), "sm_80");
  ASSERT_TRUE(fast) << diagnostics;
  EXPECT_EQ(occurrences(fast->ptx, "ex2.approx"), 1u);
  EXPECT_EQ(occurrences(fast->ptx, "fma.rn"), 0u);
  auto accurate = compile(unary("math.exp"), "sm_80");
  ASSERT_TRUE(accurate) << diagnostics;
  EXPECT_EQ(occurrences(accurate->ptx, "ex2.approx"), 1u);
  EXPECT_EQ(occurrences(accurate->ptx, "fma.rn"), 3u);
  auto log = compile(unary("math.log", "f32", "fastmath<fast>"), "sm_80");
  ASSERT_TRUE(log) << diagnostics;
  EXPECT_EQ(occurrences(log->ptx, "lg2.approx"), 1u);
}

TEST_F(NvidiaTest, doubleFunctionsAreRefusedWithTheWayOut) {
  EXPECT_FALSE(compile(unary("math.exp", "f64"), "sm_80"));
  EXPECT_THAT(diagnostics, HasSubstr("'math.exp' op has no lowering for NVIDIA "
                                     "GPUs on 'f64': use f32, f16 or bf16"));
}

constexpr const char *kQuantise = R"(
llvm.func @k(%p: !llvm.ptr<1>, %q: !llvm.ptr<1>) attributes {nvvm.kernel} {
  %x = llvm.load %p : !llvm.ptr<1> -> vector<4xf32>
  %y = arith.truncf %x : vector<4xf32> to vector<4xf8E4M3FN>
  %b = arith.bitcast %y : vector<4xf8E4M3FN> to vector<4xi8>
  llvm.store %b, %q : vector<4xi8>, !llvm.ptr<1>
  %z = arith.extf %y : vector<4xf8E4M3FN> to vector<4xf32>
  llvm.store %z, %p : vector<4xf32>, !llvm.ptr<1>
  llvm.return
})";

TEST_F(NvidiaTest, narrowFloatsUseInstructionsWhereThereAreAny) {
  auto ada = compile(kQuantise, "sm_89");
  ASSERT_TRUE(ada) << diagnostics;
  EXPECT_EQ(occurrences(ada->ptx, "cvt.rn.satfinite.e4m3x2.f32"), 2u)
      << ada->ptx;
  EXPECT_EQ(occurrences(ada->ptx, "cvt.rn.f16x2.e4m3x2"), 2u);
  auto ampere = compile(kQuantise, "sm_80");
  ASSERT_TRUE(ampere) << diagnostics;
  EXPECT_THAT(ampere->ptx, Not(HasSubstr("e4m3")));
  EXPECT_THAT(ampere->ptx, Not(HasSubstr("call")));
}
} // namespace
