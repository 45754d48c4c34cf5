//===- BenchExperts.cpp - The experts of one layer, to be measured --------===//

#include "lib/Bench/BenchExperts.h"

#include "lib/Bench/DescribeProgram.h"
#include "lib/Import/Import.h"
#include "lib/Model/BuiltinConfigs.h"
#include "lib/Model/Overrides.h"
#include "lib/Pipelines/Phases.h"
#include "passes/Plan/Conditions.h"
#include "varve/Support/DiagnosedError.h"
#include "llvm/Support/FormatVariadic.h"
#include <cmath>

using llvm::Error;
using llvm::Expected;
using llvm::StringRef;
namespace json = llvm::json;
namespace plan = mlir::varve::plan;

namespace varve {

static constexpr llvm::StringLiteral kKind = "experts-fp4";
static constexpr llvm::StringLiteral kModel = "deepseek-v4-flash";
/// Steps of the table.
static constexpr int64_t kTokens[] = {1, 32, 128, 4096};

Expected<ExpertsBenchmark>
makeExpertsBenchmark(llvm::ArrayRef<std::string> overrides) {
  Expected<ModelConfig> config = loadBuiltinConfig(kModel);
  if (!config)
    return config.takeError();
  // One layer is enough; its attention is left out.
  if (Error error = applyOverrides(*config, overrides, StringRef("S")))
    return std::move(error);
  std::string name = llvm::formatv("{0} {1}x{2}x{3}", kKind, config->numExperts,
                                   config->hiddenSize, config->expertSize);
  return ExpertsBenchmark{std::move(name), std::move(*config)};
}

BenchFloor ExpertsStep::getFloor(const DeviceModel &device) const {
  BenchKernel whole;
  whole.flops = flops;
  whole.bytes = bytes;
  whole.type = NumericType::F8E4M3FN;
  return whole.getFloor(device);
}

//===----------------------------------------------------------------------===//
// Compiling
//===----------------------------------------------------------------------===//

static Error goOn(const Phase &) { return Error::success(); }

/// The module of the experts alone, compiled.
static Expected<ExtractedExperts>
compileModule(mlir::MLIRContext &context, const ExpertsBenchmark &benchmark,
              const PhaseOptions &options) {
  Expected<const Phase *> fuse = findPhase("fuse");
  if (!fuse)
    return fuse.takeError();
  Expected<const Phase *> binary = findPhase("binary");
  if (!binary)
    return binary.takeError();
  auto model = importModel(context, benchmark.config, kModel);
  if (Error error = runPhases(*model, nullptr, **fuse, options, goOn))
    return std::move(error);
  mlir::FailureOr<ExtractedExperts> experts = extractExperts(*model);
  if (failed(experts))
    return llvm::make_error<DiagnosedError>();
  if (Error error = runPhases(*experts->module, *fuse, **binary, options, goOn))
    return std::move(error);
  return std::move(*experts);
}

static bool isLaunched(plan::LaunchOp launch, int64_t tokens) {
  std::vector<int64_t> symbols(plan::LinearAttr::kNumSymbols, 0);
  symbols[static_cast<unsigned>(plan::Symbol::Tokens)] = tokens;
  return llvm::all_of(plan::getCondition(launch),
                      [&](const plan::SizeInterval &interval) {
                        int64_t value = interval.value.evaluate(symbols);
                        return interval.low <= value && value <= interval.high;
                      });
}

static ExpertsStep measure(plan::FuncOp program, const ExpertsSizes &sizes,
                           int64_t tokens) {
  ExpertsStep step = {tokens};
  auto module = program->getParentOfType<mlir::ModuleOp>();
  program.walk([&](plan::LaunchOp launch) {
    if (!isLaunched(launch, tokens))
      return;
    auto kernel = module.lookupSymbol<plan::BinaryOp>(launch.getKernel());
    step.registers = std::max<unsigned>(step.registers, kernel.getRegisters());
    step.sharedBytes =
        std::max<unsigned>(step.sharedBytes, kernel.getSharedBytes() +
                                                 kernel.getStaticSharedBytes());
    step.spillBytes += kernel.getSpillBytes();
  });
  double pairs = tokens * sizes.active, X = sizes.experts;
  double chosen = X * (1 - std::pow(1 - sizes.active / X, tokens));
  step.flops = pairs * 6 * sizes.hidden * sizes.inner;
  // Rows of a byte an element, results of two.
  step.bytes = chosen * sizes.expertBytes + tokens * sizes.hidden +
               pairs * sizes.hidden * 2;
  return step;
}

static json::Object describe(const ExpertsSizes &sizes) {
  return json::Object{
      {"experts", sizes.experts}, {"active", sizes.active},
      {"hidden", sizes.hidden},   {"inner", sizes.inner},
      {"limit", sizes.limit},     {"expert_bytes", sizes.expertBytes}};
}

Expected<CompiledExperts> compileExperts(mlir::MLIRContext &context,
                                         const ExpertsBenchmark &benchmark,
                                         const TargetModel &target,
                                         StringRef precision) {
  PhaseOptions options;
  options.precision = precision.str();
  options.targets = {target.getName().str()};
  options.recallKernels = true;
  Expected<ExtractedExperts> experts =
      compileModule(context, benchmark, options);
  if (!experts)
    return experts.takeError();
  auto module = *experts->module->getOps<mlir::ModuleOp>().begin();
  auto program = module.lookupSymbol<plan::FuncOp>(kExpertsFunctionName);
  mlir::FailureOr<std::vector<KernelMember>> files =
      collectKernelMembers(module, target);
  if (failed(files))
    return llvm::make_error<DiagnosedError>();
  CompiledExperts result;
  result.files = std::move(*files);
  std::string prefix = (kKind + "-").str();
  for (KernelMember &file : result.files)
    file.name = prefix + file.name;
  mlir::FailureOr<json::Object> described =
      describeProgram(program, [&](plan::BinaryOp kernel) {
        if (!target.isGpu())
          return result.files.front().name;
        bool isPtx = kernel.getFormat() == plan::CodeFormat::Ptx;
        return prefix + kernel.getSymName().str() + (isPtx ? ".ptx" : ".cubin");
      });
  if (failed(described))
    return llvm::make_error<DiagnosedError>();
  result.entry = std::move(*described);
  result.entry["name"] = benchmark.name;
  result.entry["kind"] = kKind;
  result.entry["model"] = kModel;
  result.entry["precision"] = precision.str();
  result.entry["target"] = target.getName();
  result.entry["sizes"] = describe(experts->sizes);
  for (int64_t tokens : kTokens)
    result.steps.push_back(measure(program, experts->sizes, tokens));
  return result;
}

} // namespace varve
