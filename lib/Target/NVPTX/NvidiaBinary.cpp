//===- NvidiaBinary.cpp - Compiled kernels as cache entries ----*- C++ -*-===//
#include "lib/Target/NVPTX/NvidiaCompiler.h"
#include "llvm/Support/JSON.h"

using namespace llvm;
using namespace varve;

namespace {
/// The fields of a report, by their names in JSON.
constexpr std::pair<StringLiteral, uint32_t KernelReport::*> kFields[] = {
    {"registers", &KernelReport::registers},
    {"barriers", &KernelReport::barriers},
    {"shared_bytes", &KernelReport::sharedBytes},
    {"constant_bytes", &KernelReport::constantBytes},
    {"stack_bytes", &KernelReport::stackBytes},
    {"spill_store_bytes", &KernelReport::spillStoreBytes},
    {"spill_load_bytes", &KernelReport::spillLoadBytes}};
} // namespace

CacheEntry NvidiaBinary::toCacheEntry() const {
  json::Array reports;
  for (const KernelReport &kernel : kernels) {
    json::Object report{{"name", kernel.name}};
    for (auto [name, field] : kFields)
      report[name] = kernel.*field;
    reports.push_back(std::move(report));
  }
  std::string text;
  raw_string_ostream(text) << json::Value(std::move(reports));
  return {{"ptx", ptx},
          {"cubin", cubin},
          {"assembler", assembler},
          {"kernels", text}};
}

std::optional<NvidiaBinary>
NvidiaBinary::fromCacheEntry(const CacheEntry &entry) {
  for (const char *part : {"ptx", "cubin", "assembler", "kernels"})
    if (!entry.count(part))
      return std::nullopt;
  NvidiaBinary binary;
  binary.ptx = entry.at("ptx");
  binary.cubin = entry.at("cubin");
  binary.assembler = entry.at("assembler");
  Expected<json::Value> reports = json::parse(entry.at("kernels"));
  if (!reports) {
    consumeError(reports.takeError());
    return std::nullopt;
  }
  const json::Array *list = reports->getAsArray();
  for (const json::Value &value : list ? *list : json::Array()) {
    const json::Object *report = value.getAsObject();
    if (!report)
      return std::nullopt;
    KernelReport &kernel = binary.kernels.emplace_back();
    kernel.name = report->getString("name").value_or("").str();
    for (auto [name, field] : kFields)
      kernel.*field =
          static_cast<uint32_t>(report->getInteger(name).value_or(0));
  }
  return binary;
}
