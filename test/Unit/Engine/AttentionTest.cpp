//===- AttentionTest.cpp - Attention over gathered rows, on x86 -----------===//
//
// One block per token. Keys, which are also the values, are rows of a paged
// pool; the token's list holds row numbers, -1 for none. Softmax runs online
// over tiles of 16 keys and has a sink per head in its denominator.
//
//===----------------------------------------------------------------------===//

#include "KernelHarness.h"

#include <cmath>

using namespace varve;
using namespace varve::test;

namespace {

constexpr int64_t kHeads = 4, kSize = 32, kKeys = 40, kPageSize = 4;
constexpr int64_t kPages = 64, kSequences = 3, kTablePages = 12;

const char *kAttention = R"mlir(
tile.func @attention(%q: !tile.view<?x4x32xbf16>, %pool: !tile.view<256x32xbf16>,
                     %table: !tile.view<3x12xi32>, %slots: !tile.view<?xi32>,
                     %list: !tile.view<?x40xi32>, %sink: !tile.view<4xf32>,
                     %out: !tile.view<?x4x32xbf16>)
    grid affine_map<()[s0] -> (s0)> [dim(%q, 0)] warps 4 {
  %c0 = arith.constant 0 : index
  %c16 = arith.constant 16 : index
  %c40 = arith.constant 40 : index
  %t = tile.program_id 0
  %qt = tile.load %q[%t, %c0, %c0] : !tile.view<?x4x32xbf16> -> tensor<4x32xbf16>
  %slot = tile.load_scalar %slots[%t] : !tile.view<?xi32>
  %seq = tile.splat %slot : tensor<16xi32>
  %none = arith.constant -1 : i32
  %ninf = arith.constant 0xFF800000 : f32
  %m0 = tile.splat %ninf : tensor<4xf32>
  %l0 = arith.constant dense<0.0> : tensor<4xf32>
  %o0 = arith.constant dense<0.0> : tensor<4x32xf32>
  %s0 = arith.constant dense<0.0> : tensor<4x16xf32>
  %i0 = arith.constant dense<0> : tensor<16xi32>
  %scale = arith.constant dense<0.17677669> : tensor<4x16xf32>
  %masked = arith.constant dense<0xFF800000> : tensor<4x16xf32>
  %m, %l, %o = scf.for %k = %c0 to %c40 step %c16
      iter_args(%mi = %m0, %li = %l0, %oi = %o0)
      -> (tensor<4xf32>, tensor<4xf32>, tensor<4x32xf32>) {
    %rows = tile.load %list[%t, %k] else %none : !tile.view<?x40xi32> -> tensor<16xi32>
    %kv = tile.gather %pool[%rows] at %c0 pages %table[%seq] of 4
        : !tile.view<256x32xbf16>, tensor<16xi32>, !tile.view<3x12xi32>,
          tensor<16xi32> -> tensor<16x32xbf16>
    %qk = tile.dot %qt, %kv transposed, %s0
        : tensor<4x32xbf16>, tensor<16x32xbf16> -> tensor<4x16xf32>
    %logit = arith.mulf %qk, %scale : tensor<4x16xf32>
    %there = arith.cmpi sge, %rows, %i0 : tensor<16xi32>
    %there2 = tile.broadcast %there dims [1] : tensor<16xi1> -> tensor<4x16xi1>
    %s = arith.select %there2, %logit, %masked : tensor<4x16xi1>, tensor<4x16xf32>
    %tile_max = tile.reduce max %s along 1 : tensor<4x16xf32>
    %mn = arith.maximumf %mi, %tile_max : tensor<4xf32>
    // Without any key the maximum is -inf; no exponent may be nan.
    %has = arith.cmpf ogt, %mn, %m0 : tensor<4xf32>
    %base = arith.select %has, %mn, %l0 : tensor<4xi1>, tensor<4xf32>
    %base2 = tile.broadcast %base dims [0] : tensor<4xf32> -> tensor<4x16xf32>
    %sd = arith.subf %s, %base2 : tensor<4x16xf32>
    %p = math.exp %sd : tensor<4x16xf32>
    %md = arith.subf %mi, %base : tensor<4xf32>
    %alpha = math.exp %md : tensor<4xf32>
    %sum = tile.reduce sum %p along 1 : tensor<4x16xf32>
    %la = arith.mulf %li, %alpha : tensor<4xf32>
    %ln = arith.addf %la, %sum : tensor<4xf32>
    %pb = arith.truncf %p : tensor<4x16xf32> to tensor<4x16xbf16>
    %alpha2 = tile.broadcast %alpha dims [0] : tensor<4xf32> -> tensor<4x32xf32>
    %oa = arith.mulf %oi, %alpha2 : tensor<4x32xf32>
    %on = tile.dot %pb, %kv, %oa
        : tensor<4x16xbf16>, tensor<16x32xbf16> -> tensor<4x32xf32>
    scf.yield %mn, %ln, %on : tensor<4xf32>, tensor<4xf32>, tensor<4x32xf32>
  }
  %has = arith.cmpf ogt, %m, %m0 : tensor<4xf32>
  %base = arith.select %has, %m, %l0 : tensor<4xi1>, tensor<4xf32>
  %sinks = tile.load %sink[%c0] : !tile.view<4xf32> -> tensor<4xf32>
  %sd = arith.subf %sinks, %base : tensor<4xf32>
  %se = math.exp %sd : tensor<4xf32>
  %den = arith.addf %l, %se : tensor<4xf32>
  %den2 = tile.broadcast %den dims [0] : tensor<4xf32> -> tensor<4x32xf32>
  %y = arith.divf %o, %den2 : tensor<4x32xf32>
  %yb = arith.truncf %y : tensor<4x32xf32> to tensor<4x32xbf16>
  tile.store %yb, %out[%t, %c0, %c0] : tensor<4x32xbf16> -> !tile.view<?x4x32xbf16>
  tile.return
})mlir";

/// The same computation by two groups of warps that split the keys between them
/// and exchange probabilities, as the fastest known schedule does: "even" and
/// "odd" each make the scores of every other tile, and each accumulates its own
/// half of the output over all tiles. What the two need of each other goes
/// through rings of one stage.
const char *kExchangingAttention = R"mlir(
!kv = !tile.buffer<16x32xbf16>
!half = !tile.buffer<16x16xbf16>
!kvs = !tile.ring<2, !kv>
!p = !tile.buffer<4x16xbf16>
!row = !tile.buffer<4xf32>
!ps = !tile.ring<1, !p, !row, !row, !row>
tile.func @attention(%q: !tile.view<?x4x32xbf16>, %pool: !tile.view<256x32xbf16>,
                     %table: !tile.view<3x12xi32>, %slots: !tile.view<?xi32>,
                     %list: !tile.view<?x40xi32>, %sink: !tile.view<4xf32>,
                     %out: !tile.view<?x4x32xbf16>)
    grid affine_map<()[s0] -> (s0)> [dim(%q, 0)] warps 12 {
  %c0 = arith.constant 0 : index
  %c16 = arith.constant 16 : index
  %c32 = arith.constant 32 : index
  %c48 = arith.constant 48 : index
  %t = tile.program_id 0
  %slot = tile.load_scalar %slots[%t] : !tile.view<?xi32>
  %seq = tile.splat %slot : tensor<16xi32>
  %none = arith.constant -1 : i32
  %ninf = arith.constant dense<0xFF800000> : tensor<4xf32>
  %l0 = arith.constant dense<0.0> : tensor<4xf32>
  %o0 = arith.constant dense<0.0> : tensor<4x16xf32>
  %i0 = arith.constant dense<0> : tensor<16xi32>
  %scale = arith.constant dense<0.17677669> : tensor<4x16xf32>
  %masked = arith.constant dense<0xFF800000> : tensor<4x16xf32>
  tile.pipeline [#tile.role<"load", warps = 4, registers = 56>,
                 #tile.role<"even", warps = 4, registers = 224>,
                 #tile.role<"odd", warps = 4, registers = 224>] {
    %kvring = tile.ring : !kvs
    %forth = tile.ring : !ps
    %back = tile.ring : !ps
    // Each role keeps maximum, sum and its half of the output.
    %em, %el, %eo, %om, %ol, %oo = scf.for %k = %c0 to %c48 step %c32
        iter_args(%em0 = %ninf, %el0 = %l0, %eo0 = %o0, %om0 = %ninf, %ol0 = %l0,
                  %oo0 = %o0)
        -> (tensor<4xf32>, tensor<4xf32>, tensor<4x16xf32>, tensor<4xf32>,
            tensor<4xf32>, tensor<4x16xf32>) {
      %k1 = arith.addi %k, %c16 : index
      tile.on "load" {
        %rows0 = tile.load %list[%t, %k] else %none : !tile.view<?x40xi32> -> tensor<16xi32>
        %s0, %b0 = tile.acquire %kvring : !kvs
        tile.gather_copy %pool[%rows0] at %c0 pages %table[%seq] of 4 to %b0
            : !tile.view<256x32xbf16>, tensor<16xi32>, !tile.view<3x12xi32>, tensor<16xi32> to !kv
        tile.commit %kvring, %s0 : !kvs
        %rows1 = tile.load %list[%t, %k1] else %none : !tile.view<?x40xi32> -> tensor<16xi32>
        %s1, %b1 = tile.acquire %kvring : !kvs
        tile.gather_copy %pool[%rows1] at %c0 pages %table[%seq] of 4 to %b1
            : !tile.view<256x32xbf16>, tensor<16xi32>, !tile.view<3x12xi32>, tensor<16xi32> to !kv
        tile.commit %kvring, %s1 : !kvs
      }
      // Tile 2j: scores and softmax here, the products of both halves on both
      // sides.
      %es, %em1, %el1, %eo1 = tile.on "even"
          -> !tile.slot, tensor<4xf32>, tensor<4xf32>, tensor<4x16xf32> {
        %s0, %b0 = tile.receive %kvring : !kvs
        %rows = tile.load %list[%t, %k] else %none : !tile.view<?x40xi32> -> tensor<16xi32>
        %qt = tile.load %q[%t, %c0, %c0] : !tile.view<?x4x32xbf16> -> tensor<4x32xbf16>
        %qk = tile.dot %qt, %b0 transposed, %o0 : tensor<4x32xbf16>, !kv -> tensor<4x16xf32>
        $SOFTMAX$
        %ln = arith.addf %la, %sum : tensor<4xf32>
        %w, %wp, %wa, %wm, %ws = tile.acquire %forth : !ps
        tile.write %pb, %wp : tensor<4x16xbf16> -> !p
        tile.write %alpha, %wa : tensor<4xf32> -> !row
        tile.write %mn, %wm : tensor<4xf32> -> !row
        tile.write %sum, %ws : tensor<4xf32> -> !row
        tile.commit %forth, %w : !ps
        %v = tile.subbuffer %b0[0, 0] : !kv -> !half
        %alpha2 = tile.broadcast %alpha dims [0] : tensor<4xf32> -> tensor<4x16xf32>
        %oa = arith.mulf $O$, %alpha2 : tensor<4x16xf32>
        %on = tile.dot %pb, %v, %oa : tensor<4x16xbf16>, !half -> tensor<4x16xf32>
        tile.yield %s0, %mn, %ln, %on : !tile.slot, tensor<4xf32>, tensor<4xf32>, tensor<4x16xf32>
      }
      %om2, %ol2, %oo2 = tile.on "odd" -> tensor<4xf32>, tensor<4xf32>, tensor<4x16xf32> {
        %s0, %b0 = tile.receive %kvring : !kvs
        %r, %rp, %ra, %rm, %rs = tile.receive %forth : !ps
        %pb0 = tile.read %rp : !p -> tensor<4x16xbf16>
        %alpha0 = tile.read %ra : !row -> tensor<4xf32>
        %m1 = tile.read %rm : !row -> tensor<4xf32>
        %sum0 = tile.read %rs : !row -> tensor<4xf32>
        tile.release %forth, %r : !ps
        %lb = arith.mulf %ol0, %alpha0 : tensor<4xf32>
        %l1 = arith.addf %lb, %sum0 : tensor<4xf32>
        %v0 = tile.subbuffer %b0[0, 16] : !kv -> !half
        %alpha02 = tile.broadcast %alpha0 dims [0] : tensor<4xf32> -> tensor<4x16xf32>
        %ob = arith.mulf %oo0, %alpha02 : tensor<4x16xf32>
        %o1 = tile.dot %pb0, %v0, %ob : tensor<4x16xbf16>, !half -> tensor<4x16xf32>
        tile.release %kvring, %s0 : !kvs
        // Tile 2j + 1 the other way round.
        %s1, %b1 = tile.receive %kvring : !kvs
        %rows = tile.load %list[%t, %k1] else %none : !tile.view<?x40xi32> -> tensor<16xi32>
        %qt = tile.load %q[%t, %c0, %c0] : !tile.view<?x4x32xbf16> -> tensor<4x32xbf16>
        %qk = tile.dot %qt, %b1 transposed, %o0 : tensor<4x32xbf16>, !kv -> tensor<4x16xf32>
        $ODDSOFTMAX$
        %ln = arith.addf %la, %sum : tensor<4xf32>
        %w, %wp, %wa, %wm, %ws = tile.acquire %back : !ps
        tile.write %pb, %wp : tensor<4x16xbf16> -> !p
        tile.write %alpha, %wa : tensor<4xf32> -> !row
        tile.write %mn, %wm : tensor<4xf32> -> !row
        tile.write %sum, %ws : tensor<4xf32> -> !row
        tile.commit %back, %w : !ps
        %v = tile.subbuffer %b1[0, 16] : !kv -> !half
        %alpha2 = tile.broadcast %alpha dims [0] : tensor<4xf32> -> tensor<4x16xf32>
        %oa = arith.mulf %o1, %alpha2 : tensor<4x16xf32>
        %on = tile.dot %pb, %v, %oa : tensor<4x16xbf16>, !half -> tensor<4x16xf32>
        tile.release %kvring, %s1 : !kvs
        tile.yield %mn, %ln, %on : tensor<4xf32>, tensor<4xf32>, tensor<4x16xf32>
      }
      %em2, %el2, %eo2 = tile.on "even" -> tensor<4xf32>, tensor<4xf32>, tensor<4x16xf32> {
        %s1, %b1 = tile.receive %kvring : !kvs
        tile.release %kvring, %es : !kvs
        %r, %rp, %ra, %rm, %rs = tile.receive %back : !ps
        %pb = tile.read %rp : !p -> tensor<4x16xbf16>
        %alpha = tile.read %ra : !row -> tensor<4xf32>
        %mn = tile.read %rm : !row -> tensor<4xf32>
        %sum = tile.read %rs : !row -> tensor<4xf32>
        tile.release %back, %r : !ps
        %la = arith.mulf %el1, %alpha : tensor<4xf32>
        %ln = arith.addf %la, %sum : tensor<4xf32>
        %v = tile.subbuffer %b1[0, 0] : !kv -> !half
        %alpha2 = tile.broadcast %alpha dims [0] : tensor<4xf32> -> tensor<4x16xf32>
        %oa = arith.mulf %eo1, %alpha2 : tensor<4x16xf32>
        %on = tile.dot %pb, %v, %oa : tensor<4x16xbf16>, !half -> tensor<4x16xf32>
        tile.release %kvring, %s1 : !kvs
        tile.yield %mn, %ln, %on : tensor<4xf32>, tensor<4xf32>, tensor<4x16xf32>
      }
      scf.yield %em2, %el2, %eo2, %om2, %ol2, %oo2
          : tensor<4xf32>, tensor<4xf32>, tensor<4x16xf32>, tensor<4xf32>,
            tensor<4xf32>, tensor<4x16xf32>
    }
    tile.on "even" {
      $FINISH$
      tile.store %yb, %out[%t, %c0, %c0] : tensor<4x16xbf16> -> !tile.view<?x4x32xbf16>
    }
    tile.on "odd" {
      $ODDFINISH$
      tile.store %yb, %out[%t, %c0, %c16] : tensor<4x16xbf16> -> !tile.view<?x4x32xbf16>
    }
  }
  tile.return
})mlir";

const char *kSoftmax = R"mlir(
        %logit = arith.mulf %qk, %scale : tensor<4x16xf32>
        %there = arith.cmpi sge, %rows, %i0 : tensor<16xi32>
        %there2 = tile.broadcast %there dims [1] : tensor<16xi1> -> tensor<4x16xi1>
        %s = arith.select %there2, %logit, %masked : tensor<4x16xi1>, tensor<4x16xf32>
        %tile_max = tile.reduce max %s along 1 : tensor<4x16xf32>
        %mn = arith.maximumf $M$, %tile_max : tensor<4xf32>
        %has = arith.cmpf ogt, %mn, %ninf : tensor<4xf32>
        %base = arith.select %has, %mn, %l0 : tensor<4xi1>, tensor<4xf32>
        %base2 = tile.broadcast %base dims [0] : tensor<4xf32> -> tensor<4x16xf32>
        %sd = arith.subf %s, %base2 : tensor<4x16xf32>
        %p = math.exp %sd : tensor<4x16xf32>
        %md = arith.subf $M$, %base : tensor<4xf32>
        %alpha = math.exp %md : tensor<4xf32>
        %sum = tile.reduce sum %p along 1 : tensor<4x16xf32>
        %la = arith.mulf $L$, %alpha : tensor<4xf32>
        %pb = arith.truncf %p : tensor<4x16xf32> to tensor<4x16xbf16>)mlir";

const char *kFinish = R"mlir(
      %has = arith.cmpf ogt, $M$, %ninf : tensor<4xf32>
      %base = arith.select %has, $M$, %l0 : tensor<4xi1>, tensor<4xf32>
      %sinks = tile.load %sink[%c0] : !tile.view<4xf32> -> tensor<4xf32>
      %sd = arith.subf %sinks, %base : tensor<4xf32>
      %se = math.exp %sd : tensor<4xf32>
      %den = arith.addf $L$, %se : tensor<4xf32>
      %den2 = tile.broadcast %den dims [0] : tensor<4xf32> -> tensor<4x16xf32>
      %y = arith.divf $O$, %den2 : tensor<4x16xf32>
      %yb = arith.truncf %y : tensor<4x16xf32> to tensor<4x16xbf16>)mlir";

std::string getExchangingAttention() {
  std::string even = substitute(kSoftmax, {{"M", "%em0"}, {"L", "%el0"}});
  std::string odd = substitute(kSoftmax, {{"M", "%m1"}, {"L", "%l1"}});
  return substitute(
      kExchangingAttention,
      {{"SOFTMAX", even},
       {"ODDSOFTMAX", odd},
       {"O", "%eo0"},
       {"FINISH",
        substitute(kFinish, {{"M", "%em"}, {"L", "%el"}, {"O", "%eo"}})},
       {"ODDFINISH",
        substitute(kFinish, {{"M", "%om"}, {"L", "%ol"}, {"O", "%oo"}})}});
}

struct AttentionData {
  explicit AttentionData(int64_t tokens) : tokens(tokens) {
    Numbers numbers(tokens);
    q = numbers.bf16(tokens * kHeads * kSize, 4.0f);
    pool = numbers.bf16(kPages * kPageSize * kSize);
    sink = numbers.floats(kHeads, 2.0f);
    // A page that is not there, and one beyond the pool.
    table.resize(kSequences * kTablePages);
    for (int32_t &page : table)
      page = numbers.nextBelow(kPages);
    table[1] = -1;
    table[5] = kPages;
    slots.resize(tokens);
    for (int32_t &slot : slots)
      slot = numbers.nextBelow(kSequences);
    list.resize(tokens * kKeys);
    for (int32_t &row : list)
      row = numbers.nextBelow(3) == 0
                ? -1
                : numbers.nextBelow(kTablePages * kPageSize);
    // A token without keys, and one that only has keys at the end.
    for (int64_t k = 0; k < kKeys; ++k)
      list[k] = -1;
    if (tokens > 1)
      for (int64_t k = 0; k < kKeys - 1; ++k)
        list[kKeys + k] = -1;
  }

  /// The key of an entry of the list; null when its page does not exist. Such
  /// an entry is a row of zeros that counts, unlike -1.
  const uint16_t *getKey(int64_t token, int32_t row) const {
    int32_t page = table[slots[token] * kTablePages + row / kPageSize];
    if (page < 0 || page >= kPages)
      return nullptr;
    return &pool[(page * kPageSize + row % kPageSize) * kSize];
  }

  std::vector<double> getExpected() const {
    std::vector<double> result(tokens * kHeads * kSize);
    for (int64_t t = 0; t < tokens; ++t)
      for (int64_t h = 0; h < kHeads; ++h) {
        double denominator = std::exp(static_cast<double>(sink[h]));
        std::vector<double> sum(kSize);
        for (int64_t k = 0; k < kKeys; ++k) {
          int32_t row = list[t * kKeys + k];
          if (row < 0)
            continue;
          const uint16_t *key = getKey(t, row);
          double logit = 0;
          for (int64_t c = 0; key && c < kSize; ++c)
            logit += static_cast<double>(
                         bf16ToFloat(q[(t * kHeads + h) * kSize + c])) *
                     bf16ToFloat(key[c]);
          double p = std::exp(logit * 0.17677669);
          denominator += p;
          for (int64_t c = 0; key && c < kSize; ++c)
            sum[c] += p * bf16ToFloat(key[c]);
        }
        for (int64_t c = 0; c < kSize; ++c)
          result[(t * kHeads + h) * kSize + c] = sum[c] / denominator;
      }
    return result;
  }

  std::vector<uint16_t> run(Kernel &kernel) {
    std::vector<uint16_t> out(q.size(), 0xFFFF);
    kernel.run({view(q, {tokens}, {tokens}), view(pool, {}), view(table, {}),
                view(slots, {}, {tokens}), view(list, {}, {tokens}),
                view(sink, {}), view(out, {}, {tokens})});
    return out;
  }

  int64_t tokens;
  std::vector<uint16_t> q, pool;
  std::vector<int32_t> table, slots, list;
  std::vector<float> sink;
};

void checkAttention(const std::string &text) {
  auto kernel = Kernel::compile(text);
  ASSERT_TRUE(kernel);
  for (int64_t tokens : {1, 3, 128, 129}) {
    SCOPED_TRACE(tokens);
    AttentionData data(tokens);
    std::vector<uint16_t> out = data.run(*kernel);
    std::vector<double> expected = data.getExpected();
    // Probabilities and results are rounded to bf16.
    expectNear([&](size_t i) { return bf16ToFloat(out[i]); },
               [&](size_t i) { return expected[i]; }, out.size(), 4e-3, 0x1p-7);
    // A query without keys gives zero.
    for (int64_t i = 0; i < kHeads * kSize; ++i)
      EXPECT_EQ(bf16ToFloat(out[i]), 0.0f);
  }
}

TEST(AttentionTest, GathersThroughAPageTable) { checkAttention(kAttention); }

TEST(AttentionTest, TwoRolesExchangeProbabilities) {
  checkAttention(getExchangingAttention());
}

TEST(AttentionTest, SchedulesAgreeBitByBit) {
  auto plain = Kernel::compile(kAttention);
  auto exchanging = Kernel::compile(getExchangingAttention());
  ASSERT_TRUE(plain && exchanging);
  AttentionData data(33);
  EXPECT_EQ(data.run(*plain), data.run(*exchanging));
}

} // namespace
