//===- CompileCases.cpp - Cases of kernel tests for a GPU -----------------===//
//
// compile-cases --target=sm_90a FOLDER: compiles kernel.mlir of every case that
// the engine's tests wrote (test/Unit/Engine/CaseWriter.h) and leaves
// kernel.ptx, kernel.cubin where there is a ptxas, and kernel.json with what a
// launch needs. Prints a line per kernel: registers, spills, shared memory. The
// exit status is 1 when a kernel failed to compile.
//
//===----------------------------------------------------------------------===//

#include "dialects/Tile/Tile.h"
#include "lib/Target/Codegen/LowerToLLVM.h"
#include "lib/Target/NVPTX/NvidiaCompiler.h"
#include "passes/Engine/Nvidia/Abi.h"
#include "passes/Engine/Nvidia/Passes.h"
#include "passes/Tile/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/Passes.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/DynamicLibrary.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/InitLLVM.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"

#include <map>
#include <set>

using namespace llvm;
namespace tile = mlir::varve::tile;
namespace abi = varve::nvidia;

static cl::opt<std::string> folderName(cl::Positional, cl::Required,
                                       cl::desc("FOLDER"));
static cl::opt<std::string> targetName("target", cl::Required,
                                       cl::desc("target model"));
static cl::opt<bool> ptxOnly("ptx", cl::desc("do not assemble"));

namespace {

/// What stays the same for cases with one kernel.
struct Compiled {
  std::string ptx, cubin, json;
};

/// The parts of a view's type that the launch of a tensor map needs.
json::Object describe(tile::ViewType type) {
  std::string element;
  raw_string_ostream(element) << type.getElementType();
  return json::Object{
      {"element", element},
      {"shape", json::Array(type.getShape())},
      {"strides", json::Array(type.getStrides())},
  };
}

class Compiler {
public:
  explicit Compiler(const varve::TargetModel &target) : target(target) {
    mlir::DialectRegistry registry;
    varve::registerTargetDialects(registry);
    registry.insert<tile::TileDialect>();
    context.appendDialectRegistry(registry);
    context.loadAllAvailableDialects();
    if (ptxOnly)
      return;
    if (auto found = varve::PtxasTool::find())
      options.assembler = std::move(*found);
    else
      consumeError(found.takeError());
  }

  const Compiled *compile(const std::string &text, StringRef name) {
    auto [it, isNew] = known.try_emplace(text);
    if (isNew && failed(compileText(text, name, it->second)))
      it->second.ptx.clear();
    return it->second.ptx.empty() ? nullptr : &it->second;
  }

private:
  mlir::LogicalResult compileText(const std::string &text, StringRef name,
                                  Compiled &result) {
    auto module = mlir::parseSourceString<mlir::ModuleOp>(text, &context);
    if (!module)
      return mlir::failure();
    json::Array views;
    tile::FuncOp source = *module->getOps<tile::FuncOp>().begin();
    std::string kernel = source.getSymName().str();
    for (mlir::Type type : source.getArgumentTypes()) {
      if (auto view = mlir::dyn_cast<tile::ViewType>(type))
        views.push_back(describe(view));
      else
        views.push_back(nullptr);
    }
    mlir::PassManager passes(&context);
    // Roles stay apart where warpgroups multiply.
    if (!target.supports(varve::Feature::Wgmma))
      passes.addNestedPass<tile::FuncOp>(mlir::varve::createMergeRolesPass());
    mlir::varve::AssignLayoutsPassOptions layouts;
    layouts.target = target.getName().str();
    passes.addNestedPass<tile::FuncOp>(
        mlir::varve::createAssignLayoutsPass(layouts));
    mlir::varve::TileToNvidiaPassOptions engine;
    engine.target = target.getName().str();
    passes.addPass(mlir::varve::createTileToNvidiaPass(engine));
    passes.addPass(mlir::createCSEPass());
    if (failed(passes.run(*module)))
      return mlir::failure();
    auto function = module->lookupSymbol<mlir::LLVM::LLVMFuncOp>(kernel);
    auto getNumber = [&](StringRef attribute) {
      return function->getAttrOfType<mlir::IntegerAttr>(attribute).getInt();
    };
    json::Array maps;
    if (auto attributes =
            function->getAttrOfType<mlir::ArrayAttr>(abi::kTensorMapsAttrName))
      for (auto map : attributes.getAsRange<mlir::DictionaryAttr>())
        maps.push_back(json::Object{
            {"argument",
             mlir::cast<mlir::IntegerAttr>(map.get("argument")).getInt()},
            {"box",
             json::Array(mlir::cast<mlir::DenseI64ArrayAttr>(map.get("box"))
                             .asArrayRef())},
            {"swizzle",
             mlir::cast<mlir::IntegerAttr>(map.get("swizzle")).getInt()}});
    json::Value meta =
        json::Object{{"kernel", kernel},
                     {"threads", getNumber(abi::kThreadsAttrName)},
                     {"shared_bytes", getNumber(abi::kSharedBytesAttrName)},
                     {"tensor_maps", std::move(maps)},
                     {"views", std::move(views)}};
    result.json = formatv("{0:2}\n", meta).str();
    auto binary = varve::compileForNvidia(*module, target, options);
    if (failed(binary))
      return mlir::failure();
    result.ptx = binary->ptx;
    result.cubin = binary->cubin;
    outs() << name << ": " << kernel;
    for (const varve::KernelReport &report : binary->kernels)
      outs() << " registers " << report.registers << " spills "
             << report.spillStoreBytes + report.spillLoadBytes;
    outs() << " shared " << getNumber(abi::kSharedBytesAttrName) << "\n";
    return mlir::success();
  }

  const varve::TargetModel &target;
  mlir::MLIRContext context;
  varve::NvidiaOptions options;
  std::map<std::string, Compiled> known;
};

} // namespace

static void write(const std::string &path, StringRef bytes) {
  std::error_code error;
  raw_fd_ostream out(path, error);
  if (error)
    report_fatal_error(Twine(path) + ": " + error.message());
  out << bytes;
}

/// The target of the first device of this machine.
static Expected<const varve::TargetModel *> lookupDevice() {
  std::string error;
  sys::DynamicLibrary driver =
      sys::DynamicLibrary::getPermanentLibrary("libcuda.so.1", &error);
  if (!driver.isValid())
    return createStringError(error);
  auto get = [&](const char *name) { return driver.getAddressOfSymbol(name); };
  auto *init = reinterpret_cast<int (*)(unsigned)>(get("cuInit"));
  auto *getAttribute =
      reinterpret_cast<int (*)(int *, int, int)>(get("cuDeviceGetAttribute"));
  constexpr int majorAttribute = 75, minorAttribute = 76;
  int major = 0, minor = 0;
  if (init(0) != 0 || getAttribute(&major, majorAttribute, 0) != 0 ||
      getAttribute(&minor, minorAttribute, 0) != 0)
    return createStringError("no CUDA device");
  return varve::TargetModel::forComputeCapability(major, minor);
}

int main(int argc, char **argv) {
  InitLLVM init(argc, argv);
  cl::ParseCommandLineOptions(argc, argv, "compile cases for a GPU\n");
  auto model = targetName == "native" ? lookupDevice()
                                      : varve::TargetModel::lookup(targetName);
  if (!model) {
    errs() << toString(model.takeError()) << "\n";
    return 2;
  }
  Compiler compiler(**model);
  std::set<std::string> folders;
  std::error_code error;
  for (sys::fs::directory_iterator it(folderName, error), end;
       it != end && !error; it.increment(error))
    folders.insert(it->path());
  int failures = 0;
  for (const std::string &folder : folders) {
    auto text = MemoryBuffer::getFile(folder + "/kernel.mlir");
    if (!text)
      continue;
    StringRef name = sys::path::filename(folder);
    const Compiled *result = compiler.compile((*text)->getBuffer().str(), name);
    if (!result) {
      errs() << name << ": failed to compile\n";
      ++failures;
      continue;
    }
    write(folder + "/kernel.ptx", result->ptx);
    if (!result->cubin.empty())
      write(folder + "/kernel.cubin", result->cubin);
    write(folder + "/kernel.json", result->json);
  }
  outs() << folders.size() - failures << " cases compiled, " << failures
         << " failed\n";
  return failures != 0;
}
