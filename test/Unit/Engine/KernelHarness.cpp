//===- KernelHarness.cpp - Run tile programs and compare ------------------===//

#include "KernelHarness.h"

#include "CaseWriter.h"
#include "SimtMachine.h"

#include "dialects/Tile/Tile.h"
#include "passes/Engine/Nvidia/Passes.h"
#include "passes/Engine/X86/Abi.h"
#include "passes/Engine/X86/Passes.h"
#include "passes/Tile/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"

#include <cmath>
#include <cstdlib>

using namespace varve;
using namespace varve::test;
using mlir::varve::tile::FuncOp;
using mlir::varve::tile::SizeAttr;
using mlir::varve::tile::SizeKind;

Argument test::scalar(int64_t value) {
  return {{static_cast<uint64_t>(value)}, {value}, nullptr, 0};
}

Argument test::scalar(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return {{bits}, {}, nullptr, 0};
}

static std::unique_ptr<mlir::MLIRContext> makeContext() {
  auto context = std::make_unique<mlir::MLIRContext>(
      mlir::MLIRContext::Threading::DISABLED);
  context->loadDialect<mlir::varve::tile::TileDialect, mlir::scf::SCFDialect,
                       mlir::arith::ArithDialect, mlir::math::MathDialect,
                       mlir::func::FuncDialect>();
  return context;
}

static mlir::LogicalResult lower(mlir::ModuleOp module, int64_t vectorBits) {
  mlir::PassManager passes(module->getContext());
  mlir::varve::TileToX86PassOptions options;
  options.vectorBits = vectorBits;
  passes.addPass(mlir::varve::createTileToX86Pass(options));
  return passes.run(module);
}

/// Lowers for an NVIDIA target, up to what lib/Target/NVPTX takes.
static mlir::LogicalResult lowerForNvidia(mlir::ModuleOp module,
                                          const std::string &target) {
  mlir::PassManager passes(module->getContext());
  passes.addNestedPass<FuncOp>(mlir::varve::createMergeRolesPass());
  mlir::varve::AssignLayoutsPassOptions layouts;
  layouts.target = target;
  passes.addNestedPass<FuncOp>(mlir::varve::createAssignLayoutsPass(layouts));
  mlir::varve::TileToNvidiaPassOptions engine;
  engine.target = target;
  passes.addPass(mlir::varve::createTileToNvidiaPass(engine));
  return passes.run(module);
}

Kernel::Kernel() = default;
Kernel::~Kernel() = default;

std::unique_ptr<Kernel> Kernel::compile(const std::string &text,
                                        int64_t vectorBits, bool hostFeatures,
                                        bool mergeRoles) {
  std::unique_ptr<Kernel> kernel(new Kernel());
  kernel->text = text;
  kernel->context = makeContext();
  kernel->source =
      mlir::parseSourceString<mlir::ModuleOp>(text, kernel->context.get());
  if (!kernel->source) {
    ADD_FAILURE() << "the kernel does not parse";
    return nullptr;
  }
  FuncOp function = *kernel->source->getOps<FuncOp>().begin();
  kernel->name = function.getSymName().str();
  if (mergeRoles && (mlir::failed(mlir::varve::mergeRoles(function)) ||
                     mlir::failed(mlir::varve::checkPipelines(function)))) {
    ADD_FAILURE() << "the kernel's roles do not merge";
    return nullptr;
  }
  mlir::OwningOpRef<mlir::ModuleOp> lowered = kernel->source->clone();
  if (const char *target = std::getenv("VARVE_ENGINE")) {
    if (mlir::failed(lowerForNvidia(*lowered, target))) {
      ADD_FAILURE() << "the kernel does not lower";
      return nullptr;
    }
    kernel->simt = SimtKernel::compile(*lowered, kernel->name);
    return kernel->simt ? std::move(kernel) : nullptr;
  }
  if (mlir::failed(lower(*lowered, vectorBits))) {
    ADD_FAILURE() << "the kernel does not lower";
    return nullptr;
  }
  kernel->scratchBytes =
      lowered->lookupSymbol<mlir::func::FuncOp>(kernel->name)
          ->getAttrOfType<mlir::IntegerAttr>(x86::kScratchBytesAttrName)
          .getInt();
  X86Options options;
  options.hostFeatures = hostFeatures;
  auto jit = JitModule::create(*lowered, options);
  if (!jit) {
    ADD_FAILURE() << llvm::toString(jit.takeError());
    return nullptr;
  }
  kernel->jit = std::move(*jit);
  return kernel;
}

void Kernel::run(const std::vector<Argument> &arguments, bool inReverse) {
  FuncOp function = *source->getOps<FuncOp>().begin();
  ASSERT_EQ(function.getNumArguments(), arguments.size());
  std::vector<uint64_t> words;
  for (const Argument &argument : arguments)
    words.insert(words.end(), argument.words.begin(), argument.words.end());
  std::vector<int64_t> sizes;
  for (SizeAttr size : function.getSizes().getAsRange<SizeAttr>()) {
    if (size.getKind() == SizeKind::Resident)
      sizes.push_back(3);
    else
      sizes.push_back(arguments[size.getArgument()].sizes[size.getDim()]);
  }
  auto grid = function.evaluateGrid(sizes);
  ASSERT_TRUE(mlir::succeeded(grid));
  int64_t blocks = 1;
  for (int64_t extent : *grid)
    blocks *= extent;

  if (simt)
    return simt->run(words, *grid, inReverse);
  int64_t alignment = x86::kScratchAlignment;
  size_t bytes = (scratchBytes + alignment) / alignment * alignment;
  std::unique_ptr<void, decltype(&std::free)> scratch(
      std::aligned_alloc(alignment, bytes), &std::free);
  std::memset(scratch.get(), 0xC3, bytes);
  auto *entry = llvm::cantFail(jit->lookupAs<x86::KernelFn>(name));
  CaseWriter writer(text, arguments, *grid);
  if (!inReverse)
    entry(words.data(), grid->data(), 0, blocks, scratch.get());
  for (int64_t block = inReverse ? blocks : 0; block-- > 0;)
    entry(words.data(), grid->data(), block, block + 1, scratch.get());
  writer.finish();
}

std::string test::getLoweringError(const std::string &text) {
  std::unique_ptr<mlir::MLIRContext> context = makeContext();
  std::string errors;
  mlir::ScopedDiagnosticHandler handler(
      context.get(),
      [&](mlir::Diagnostic &diagnostic) { errors += diagnostic.str() + "\n"; });
  auto module = mlir::parseSourceString<mlir::ModuleOp>(text, context.get());
  EXPECT_TRUE(module) << errors;
  if (module)
    EXPECT_TRUE(mlir::failed(lower(*module, 512)));
  return errors;
}

std::string test::substitute(
    std::string text,
    const std::vector<std::pair<std::string, std::string>> &replacements) {
  for (const auto &[from, to] : replacements)
    for (size_t at; (at = text.find("$" + from + "$")) != std::string::npos;)
      text.replace(at, from.size() + 2, to);
  return text;
}

float Numbers::next(float scale) {
  return (static_cast<float>(generator() >> 8) / (1 << 23) - 1.0f) * scale;
}

int64_t Numbers::nextBelow(int64_t end) { return generator() % end; }

std::vector<float> Numbers::floats(size_t count, float scale) {
  std::vector<float> result(count);
  for (float &value : result)
    value = next(scale);
  return result;
}

std::vector<uint16_t> Numbers::bf16(size_t count, float scale) {
  std::vector<uint16_t> result(count);
  for (uint16_t &value : result)
    value = floatToBf16(next(scale));
  return result;
}

std::vector<uint8_t> Numbers::e4m3(size_t count, float scale) {
  std::vector<uint8_t> result(count);
  for (uint8_t &value : result)
    value = floatToE4m3(next(scale));
  return result;
}

void test::expectNear(const std::function<double(size_t)> &actual,
                      const std::function<double(size_t)> &expected,
                      size_t count, double absolute, double relative) {
  size_t failures = 0;
  for (size_t i = 0; i < count; ++i) {
    double a = actual(i), e = expected(i);
    if (std::abs(a - e) <= absolute + relative * std::abs(e))
      continue;
    if (++failures <= 5)
      ADD_FAILURE() << "element " << i << ": expected " << e << " but got "
                    << a;
  }
  EXPECT_EQ(failures, 0u) << "of " << count << " elements";
}
