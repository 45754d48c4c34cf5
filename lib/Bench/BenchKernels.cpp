//===- BenchKernels.cpp - Kernels that show what a target can do ----------===//

#include "lib/Bench/BenchKernels.h"

#include "llvm/ADT/StringExtras.h"
#include <algorithm>

#include "lib/Bench/EmbeddedKernels.inc"

using namespace varve;

BenchFloor BenchKernel::getFloor(const DeviceModel &device) const {
  double bandwidth = device.getCeilingGBps();
  BenchFloor memory = {bytes / bandwidth * 1e-3, "memory", bandwidth};
  std::optional<double> rate = device.getCeilingTflops(type);
  if (!rate || flops / *rate * 1e-6 <= memory.microseconds)
    return memory;
  return {flops / *rate * 1e-6, getNumericTypeName(type).str(), *rate};
}

std::string BenchKernel::getFileName() const {
  std::string result = name;
  std::replace(result.begin(), result.end(), ' ', '-');
  return result;
}

/// Replaces every $NAME$.
static std::string
substitute(llvm::StringRef text,
           const std::vector<std::pair<std::string, int64_t>> &values) {
  std::string result;
  while (true) {
    auto [before, rest] = text.split('$');
    result += before;
    if (rest.empty())
      return result;
    auto [name, after] = rest.split('$');
    for (const auto &[key, value] : values)
      if (key == name)
        result += std::to_string(value);
    text = after;
  }
}

static BenchKernel makeGemm(const TargetModel &target, int64_t m, int64_t n,
                            int64_t k) {
  bool hasWgmma = target.supports(Feature::Wgmma);
  BenchKernel kernel;
  kernel.name = "gemm-bf16 " + std::to_string(m) + "x" + std::to_string(n) +
                "x" + std::to_string(k);
  kernel.kind = "gemm-bf16";
  kernel.function = hasWgmma ? "gemm_bf16" : "gemm_bf16_mma";
  kernel.text = substitute(hasWgmma ? gemmBf16Json : gemmBf16MmaJson,
                           {{"N", n}, {"K", k}});
  kernel.sizes = {{"M", m}, {"N", n}, {"K", k}};
  kernel.arguments = {{"a", "bf16", {m, k}, {0}},
                      {"b", "bf16", {n, k}, {}},
                      {"c", "bf16", {m, n}, {0}}};
  kernel.flops = 2.0 * m * n * k;
  kernel.bytes = 2.0 * (m * k + n * k + m * n);
  return kernel;
}

static BenchKernel makeScaledGemm(int64_t m, int64_t n, int64_t k) {
  BenchKernel kernel;
  kernel.name = "gemm-fp8 " + std::to_string(m) + "x" + std::to_string(n) +
                "x" + std::to_string(k);
  kernel.kind = "gemm-fp8";
  kernel.function = "gemm_fp8";
  kernel.text = substitute(
      gemmFp8Json,
      {{"M", m}, {"N", n}, {"K", k}, {"NB", n / 128}, {"KB", k / 128}});
  kernel.sizes = {{"M", m}, {"N", n}, {"K", k}};
  kernel.arguments = {{"a", "f8E4M3FN", {m, k}, {0}},
                      {"b", "f8E4M3FN", {n, k}, {}},
                      {"a_scale", "f32", {k / 128, m}, {}},
                      {"b_scale", "f32", {n / 128, k / 128}, {}},
                      {"c", "bf16", {m, n}, {0}}};
  kernel.flops = 2.0 * m * n * k;
  kernel.bytes =
      1.0 * m * k + 1.0 * n * k + 2.0 * m * n + 4.0 * (k / 128) * (m + n / 128);
  kernel.type = NumericType::F8E4M3FN;
  return kernel;
}

static BenchKernel makeNorm(int64_t rows, int64_t columns, int64_t warps,
                            int64_t blocks) {
  BenchKernel kernel;
  kernel.name =
      "rms-norm " + std::to_string(rows) + "x" + std::to_string(columns);
  kernel.kind = "rms-norm";
  kernel.function = "rms_norm";
  kernel.text = substitute(
      rmsNormJson, {{"C", columns}, {"WARPS", warps}, {"BLOCKS", blocks}});
  kernel.sizes = {{"rows", rows}, {"C", columns}};
  kernel.arguments = {{"x", "bf16", {rows, columns}, {0}},
                      {"w", "bf16", {columns}, {}},
                      {"y", "bf16", {rows, columns}, {0}},
                      {"epsilon", "f32", {}, {}}};
  kernel.flops = 4.0 * rows * columns;
  kernel.bytes = 4.0 * rows * columns + 2.0 * columns;
  kernel.type = NumericType::F32;
  return kernel;
}

static BenchKernel makeAttention(int64_t queries, int64_t keys) {
  constexpr int64_t kHeads = 64, kWidth = 512, kRows = 32768;
  BenchKernel kernel;
  kernel.name =
      "attention-bf16 " + std::to_string(queries) + "x" + std::to_string(keys);
  kernel.kind = "attention-bf16";
  kernel.function = "attention_bf16";
  kernel.text =
      substitute(attentionBf16Json, {{"KEYS", keys}, {"LAST", keys - 128}});
  kernel.sizes = {{"queries", queries}, {"keys", keys}, {"rows", kRows}};
  kernel.arguments = {{"q", "bf16", {queries * kHeads, kWidth}, {0}},
                      {"pool", "bf16", {kRows, kWidth}, {0}},
                      {"list", "i32", {queries, keys}, {0}},
                      {"out", "bf16", {queries * kHeads, kWidth}, {0}},
                      {"scale", "f32", {}, {}}};
  kernel.flops = 4.0 * queries * kHeads * keys * kWidth;
  kernel.bytes = 4.0 * queries * kHeads * kWidth + 2.0 * kRows * kWidth +
                 4.0 * queries * keys;
  kernel.allowedSpillBytes = 256;
  return kernel;
}

std::vector<BenchKernel> varve::getBenchKernels(const TargetModel &target) {
  return {
      makeGemm(target, 4096, 4096, 4096), makeGemm(target, 8192, 8192, 8192),
      makeNorm(65536, 4096, 8, 2),        makeNorm(32768, 7168, 8, 2),
      makeAttention(2048, 512),           makeAttention(2048, 2048),
      makeScaledGemm(4096, 7168, 2048),   makeScaledGemm(4096, 4096, 7168)};
}
