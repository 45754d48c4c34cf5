//===- KernelTable.cpp - A table of all compiled kernels ------------------===//

#include "dialects/Plan/Plan.h"
#include "lib/Package/Package.h"
#include "passes/Engine/Passes.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/JSON.h"

using namespace mlir;
namespace plan = mlir::varve::plan;

namespace {
struct Row {
  plan::BinaryOp kernel;
  unsigned launches = 0;
};
} // namespace

/// Kernels in the order of the module, with the number of launches that name
/// them.
static std::vector<Row> collectRows(ModuleOp module) {
  llvm::DenseMap<StringAttr, unsigned> launches;
  module.walk([&](plan::LaunchOp launch) {
    ++launches[launch.getKernelAttr().getAttr()];
  });
  std::vector<Row> rows;
  for (auto kernel : module.getOps<plan::BinaryOp>())
    rows.push_back({kernel, launches.lookup(kernel.getSymNameAttr())});
  return rows;
}

static StringRef getTargetName(ModuleOp module) {
  auto name = module->getAttrOfType<StringAttr>(mlir::varve::kTargetAttrName);
  return name ? name.getValue() : "";
}

static int64_t getSharedBytes(plan::BinaryOp kernel) {
  return kernel.getSharedBytes() + kernel.getStaticSharedBytes();
}

static void writeMarkdown(ModuleOp module, llvm::raw_ostream &os) {
  std::vector<Row> rows = collectRows(module);
  os << "## " << getTargetName(module) << "\n\n"
     << "| kernel | code | bytes | threads | registers | spilled | shared "
        "bytes "
        "| matrix instructions | launches |\n"
     << "|---|---|--:|--:|--:|--:|--:|--:|--:|\n";
  for (auto &[kernel, launches] : rows)
    os << "| `" << kernel.getSymName() << "` | "
       << plan::stringifyCodeFormat(kernel.getFormat()) << " | "
       << kernel.getBytes().size() << " | " << kernel.getThreads() << " | "
       << kernel.getRegisters() << " | " << kernel.getSpillBytes() << " | "
       << getSharedBytes(kernel) << " | " << kernel.getMatrixInstructions()
       << " | " << launches << " |\n";
  os << '\n';
}

static void writeJson(ModuleOp module, llvm::json::OStream &json) {
  json.object([&] {
    json.attribute("target", getTargetName(module));
    json.attributeArray("kernels", [&] {
      for (auto &[kernel, launches] : collectRows(module))
        json.object([&, kernel = kernel, launches = launches]() mutable {
          json.attribute("name", kernel.getSymName());
          json.attribute("code", plan::stringifyCodeFormat(kernel.getFormat()));
          json.attribute("bytes", kernel.getBytes().size());
          json.attribute("threads", kernel.getThreads());
          json.attribute("registers", kernel.getRegisters());
          json.attribute("spill_bytes", kernel.getSpillBytes());
          json.attribute("stack_bytes", kernel.getStackBytes());
          json.attribute("shared_bytes", getSharedBytes(kernel));
          json.attribute("scratch_bytes", kernel.getScratchBytes());
          json.attribute("matrix_instructions", kernel.getMatrixInstructions());
          json.attribute("launches", launches);
        });
    });
  });
}

namespace varve {
void writeKernelTable(ModuleOp program, ReportFormat format,
                      llvm::raw_ostream &os) {
  if (format == ReportFormat::Markdown) {
    for (auto module : program.getOps<ModuleOp>())
      writeMarkdown(module, os);
    return;
  }
  llvm::json::OStream json(os, /*IndentSize=*/2);
  json.array([&] {
    for (auto module : program.getOps<ModuleOp>())
      writeJson(module, json);
  });
  os << '\n';
}
} // namespace varve
