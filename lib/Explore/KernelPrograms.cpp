//===- KernelPrograms.cpp - Kernels, as the compiler makes them -----------===//

#include "lib/Explore/KernelPrograms.h"
#include "dialects/Varve/Varve.h"
#include "lib/Pipelines/Phases.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Pass/PassManager.h"
#include "varve/Support/Assert.h"

using namespace mlir;
using namespace mlir::varve;

namespace varve {

//===----------------------------------------------------------------------===//
// Phases
//===----------------------------------------------------------------------===//

/// Runs a phase without its checks: its callers made the module.
static LogicalResult runPhase(ModuleOp module, llvm::StringRef name,
                              const PhaseOptions &options = {}) {
  const Phase *phase = llvm::cantFail(findPhase(name));
  PassManager pm(module.getContext(), ModuleOp::getOperationName());
  phase->build(pm, options);
  return pm.run(module);
}

static llvm::StringRef nameOf(Operation *op) {
  auto name = dyn_cast<NameLoc>(op->getLoc());
  return name ? name.getName().getValue() : llvm::StringRef();
}

LogicalResult
KernelPrograms::formKernels(ModuleOp source,
                            llvm::ArrayRef<FunctionWork> functions) {
  module = OwningOpRef<ModuleOp>(source.clone());
  if (failed(runPhase(*module, "fuse")))
    return failure();
  for (const FunctionWork &work : functions) {
    // Names are unique, and of the ops of one name (fusion may split one) the
    // kind decides.
    llvm::StringMap<unsigned> numbers;
    for (auto [index, item] : llvm::enumerate(work.ops))
      numbers[(nameOf(item.op) + " " + item.kind).str()] = index;
    std::vector<KernelWork> &list = kernels[work.name];
    auto function = module->lookupSymbol<func::FuncOp>(work.name);
    function.walk([&](KernelOp kernel) {
      KernelWork &entry = list.emplace_back();
      entry.kind = kernel.getKind().str();
      kernel.walk([&](Operation *op) {
        auto found = numbers.find(
            (nameOf(op) + " " + op->getName().stripDialect()).str());
        if (found != numbers.end())
          entry.ops.push_back(found->second);
      });
    });
  }
  return success();
}

LogicalResult
KernelPrograms::lower(llvm::ArrayRef<const TargetModel *> targets) {
  PhaseOptions options;
  for (const TargetModel *target : targets)
    options.targets.push_back(target->getName().str());
  return success(succeeded(runPhase(*module, "schedule", options)) &&
                 succeeded(runPhase(*module, "lower", options)));
}

/// The programs stay as they are; a copy becomes machine code.
LogicalResult KernelPrograms::compileKernels() {
  OwningOpRef<ModuleOp> copy(module->clone());
  PhaseOptions options;
  options.recallKernels = true;
  if (failed(runPhase(*copy, "target", options)) ||
      failed(runPhase(*copy, "binary", options)))
    return failure();
  for (auto target : copy->getOps<ModuleOp>())
    for (auto binary : target.getOps<plan::BinaryOp>())
      resources[(*target.getSymName() + "/" + binary.getSymName()).str()] = {
          static_cast<int64_t>(binary.getRegisters()),
          static_cast<int64_t>(binary.getSharedBytes() +
                               binary.getStaticSharedBytes()),
          static_cast<int64_t>(binary.getSpillBytes())};
  return success();
}

FailureOr<KernelPrograms>
KernelPrograms::make(ModuleOp module, llvm::ArrayRef<FunctionWork> functions,
                     llvm::ArrayRef<const TargetModel *> targets,
                     bool compile) {
  KernelPrograms programs;
  if (failed(programs.formKernels(module, functions)) ||
      failed(programs.lower(targets)) ||
      (compile && failed(programs.compileKernels())))
    return failure();
  return programs;
}

llvm::ArrayRef<KernelWork>
KernelPrograms::getKernels(llvm::StringRef function) const {
  auto found = kernels.find(function);
  return found == kernels.end() ? llvm::ArrayRef<KernelWork>()
                                : llvm::ArrayRef<KernelWork>(found->second);
}

ModuleOp KernelPrograms::getTargetModule(const TargetModel &target) const {
  for (auto nested : module.get().getOps<ModuleOp>())
    if (nested.getSymName() == target.getName())
      return nested;
  return {};
}

//===----------------------------------------------------------------------===//
// Launches
//===----------------------------------------------------------------------===//

/// The sizes of a step, in the order of plan::Symbol.
static llvm::SmallVector<int64_t> getSymbols(const StepShape &step) {
  // Pages of all entry pools; programs depend on their number no further.
  constexpr int64_t page = 256;
  int64_t pages = llvm::divideCeil(step.context, page);
  return {step.tokens,    std::max<int64_t>(step.logitRows, 1),
          step.sequences, step.sequences * pages,
          pages,          step.tokens};
}

namespace {
/// Follows the arguments of a launch to where they come from.
class ArgumentReader {
public:
  ArgumentReader(plan::CallOp call, llvm::ArrayRef<int64_t> symbols)
      : call(call), symbols(symbols) {}

  ProgramArgument read(Value value) const {
    ProgramArgument argument;
    if (auto tensor = dyn_cast<plan::DeviceTensorType>(value.getType()))
      for (plan::LinearAttr size : tensor.getShape())
        argument.sizes.push_back(size.evaluate(symbols));
    Value source = findSource(value, call);
    if (auto size = source.getDefiningOp<plan::SizeOp>())
      argument.scalar = size.getValue().evaluate(symbols);
    APInt constant;
    if (matchPattern(source, m_ConstantInt(&constant)))
      argument.scalar = constant.getSExtValue();
    argument.isCold = isa_and_nonnull<plan::WeightOp, plan::PoolMemoryOp>(
        source.getDefiningOp());
    if (auto input = dyn_cast<BlockArgument>(source)) {
      auto program = cast<plan::FuncOp>(input.getOwner()->getParentOp());
      argument.input =
          getStepInput(program.getArgumentName(input.getArgNumber()));
    }
    return argument;
  }

private:
  /// Through views and callers; `inner` is the call whose callee has `value`.
  static Value findSource(Value value, plan::CallOp inner) {
    while (true) {
      if (auto view = value.getDefiningOp<plan::ViewOp>()) {
        value = view.getSource();
        continue;
      }
      auto argument = dyn_cast<BlockArgument>(value);
      if (!argument || !inner)
        return value;
      value = inner.getArguments()[argument.getArgNumber()];
      inner = findCaller(inner->getParentOfType<plan::FuncOp>());
    }
  }

  /// A call of a function; null if it is a program.
  static plan::CallOp findCaller(plan::FuncOp callee) {
    plan::CallOp found;
    callee->getParentOfType<ModuleOp>().walk([&](plan::CallOp call) {
      if (call.getCallee() != callee.getSymName())
        return WalkResult::advance();
      found = call;
      return WalkResult::interrupt();
    });
    return found;
  }

  plan::CallOp call;
  llvm::ArrayRef<int64_t> symbols;
};
} // namespace

/// Up to three places along a dimension of a grid: most of a grid's blocks are
/// like those in its middle, and its last may have less to do.
static llvm::SmallVector<int64_t> samplePlaces(int64_t extent) {
  llvm::SmallVector<int64_t> places = {0};
  if (extent > 2)
    places.push_back(extent / 2);
  if (extent > 1)
    places.push_back(extent - 1);
  return places;
}

static llvm::SmallVector<llvm::SmallVector<int64_t>>
sampleGrid(llvm::ArrayRef<int64_t> grid) {
  llvm::SmallVector<llvm::SmallVector<int64_t>> blocks = {{}};
  for (int64_t extent : grid) {
    llvm::SmallVector<llvm::SmallVector<int64_t>> longer;
    for (const auto &block : blocks)
      for (int64_t place : samplePlaces(extent)) {
        longer.push_back(block);
        longer.back().push_back(place);
      }
    blocks = std::move(longer);
  }
  return blocks;
}

/// The values of the sizes that a grid depends on. A persistent grid has a
/// block for each multiprocessor.
static llvm::SmallVector<int64_t>
getGridSizes(tile::FuncOp program, llvm::ArrayRef<ProgramArgument> arguments,
             const TargetModel &target) {
  llvm::SmallVector<int64_t> sizes;
  for (auto size : program.getSizes().getAsRange<tile::SizeAttr>()) {
    const ProgramArgument &argument = arguments[size.getArgument()];
    if (size.getKind() == tile::SizeKind::Dim)
      sizes.push_back(argument.sizes[size.getDim()]);
    else if (size.getKind() == tile::SizeKind::Scalar)
      sizes.push_back(argument.scalar.value_or(1));
    else
      sizes.push_back(target.getDevices().empty()
                          ? 1
                          : target.getDevices().front().multiprocessors);
  }
  return sizes;
}

static tile::FuncOp getProgram(plan::LaunchOp launch) {
  return cast<tile::FuncOp>(
      SymbolTable::lookupNearestSymbolFrom(launch, launch.getKernelAttr()));
}

static LaunchWork makeLaunch(plan::LaunchOp launch, plan::CallOp call,
                             const StepShape &step, const TargetModel &target) {
  tile::FuncOp program = getProgram(launch);
  llvm::SmallVector<int64_t> symbols = getSymbols(step);
  ArgumentReader reader(call, symbols);
  std::vector<ProgramArgument> arguments;
  for (Value value : launch.getArguments())
    arguments.push_back(reader.read(value));
  LaunchWork work;
  work.kernel = launch.getKernel().str();
  work.threads = program.getWarps() * tile::kWarpLanes;
  work.sharedBytes = getSharedBytes(program);
  FailureOr<llvm::SmallVector<int64_t>> grid =
      program.evaluateGrid(getGridSizes(program, arguments, target));
  if (failed(grid))
    return work;
  work.blocks = 1;
  for (int64_t extent : *grid)
    work.blocks *= extent;
  if (work.blocks)
    for (const auto &block : sampleGrid(*grid))
      work.samples.push_back(
          walkBlock(program, arguments, step, block, *grid, target));
  return work;
}

/// Calls `use` with the launches that a step executes.
static void forEachLaunch(Block &body, llvm::ArrayRef<int64_t> symbols,
                          llvm::function_ref<void(plan::LaunchOp)> use) {
  for (Operation &op : body) {
    if (auto launch = dyn_cast<plan::LaunchOp>(op))
      use(launch);
    auto when = dyn_cast<plan::WhenOp>(op);
    if (!when)
      continue;
    int64_t value = when.getValue().evaluate(symbols);
    if (value >= static_cast<int64_t>(when.getLow()) &&
        (!when.getHigh() || value <= static_cast<int64_t>(*when.getHigh())))
      forEachLaunch(when.getBody().front(), symbols, use);
  }
}

std::vector<LaunchWork>
KernelPrograms::getLaunches(const TargetModel &target, llvm::StringRef function,
                            size_t kernel, const StepShape &step) const {
  ModuleOp targetModule = getTargetModule(target);
  VARVE_ASSERT(targetModule, "programs were lowered for the target");
  auto caller = targetModule.lookupSymbol<plan::FuncOp>(function);
  llvm::SmallVector<plan::CallOp> calls(
      caller.getBody().front().getOps<plan::CallOp>());
  VARVE_ASSERT(calls.size() == getKernels(function).size(),
               "every kernel is a call");
  plan::CallOp call = calls[kernel];
  auto callee = targetModule.lookupSymbol<plan::FuncOp>(call.getCallee());
  std::vector<LaunchWork> launches;
  forEachLaunch(
      callee.getBody().front(), getSymbols(step), [&](plan::LaunchOp launch) {
        launches.push_back(makeLaunch(launch, call, step, target));
        LaunchWork &work = launches.back();
        std::string name = (target.getName() + "/" + launch.getKernel()).str();
        auto found = resources.find(name);
        if (found != resources.end()) {
          work.registers = found->second.registers;
          work.sharedBytes = found->second.sharedBytes;
          work.spillBytes = found->second.spillBytes;
          return;
        }
        auto [estimate, isNew] = estimates.try_emplace(name, 0);
        if (isNew)
          estimate->second = estimateRegisters(getProgram(launch), target);
        work.registers = estimate->second;
      });
  return launches;
}

} // namespace varve
