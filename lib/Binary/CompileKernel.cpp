//===- CompileKernel.cpp - One kernel to machine code ---------------------===//

#include "lib/Binary/CompileKernel.h"
#include "dialects/Tile/Tile.h"
#include "lib/Target/Codegen/LowerToLLVM.h"
#include "lib/Target/NVPTX/NvidiaCompiler.h"
#include "lib/Target/X86/X86Compiler.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Parser/Parser.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/MemoryBuffer.h"

using namespace mlir;
using namespace ::varve;
using mlir::varve::plan::CodeFormat;

namespace varve {

uint64_t countMatrixInstructions(llvm::StringRef ptx) {
  uint64_t count = 0;
  while (!ptx.empty()) {
    auto [line, rest] = ptx.split('\n');
    ptx = rest;
    line = line.ltrim();
    // A predicate comes first: "@%p1 mma.sync...".
    if (line.starts_with("@"))
      line = line.split(' ').second.ltrim();
    count += line.starts_with("mma.sync") ||
             line.starts_with("wgmma.mma_async") ||
             line.starts_with("tcgen05.mma");
  }
  return count;
}

} // namespace varve

namespace {
/// Collects what is said in a context.
class MessageCollector {
public:
  MessageCollector(MLIRContext &context, std::vector<KernelMessage> &messages)
      : handler(&context, [&](Diagnostic &diagnostic) {
          messages.push_back({diagnostic.getSeverity(), toText(diagnostic)});
          for (const Diagnostic &note : diagnostic.getNotes())
            messages.push_back({note.getSeverity(), toText(note)});
          return success();
        }) {}

private:
  static std::string toText(const Diagnostic &diagnostic) {
    // The kernel's own place is known to who reports this.
    return diagnostic.str();
  }

  ScopedDiagnosticHandler handler;
};
} // namespace

/// The report of the one kernel that a module has.
static KernelReport findReport(const NvidiaBinary &binary,
                               llvm::StringRef name) {
  for (const KernelReport &report : binary.kernels)
    if (report.name == name)
      return report;
  return {};
}

static LogicalResult compileNvidia(ModuleOp module, const KernelSource &source,
                                   const CompileSettings &settings,
                                   CompiledKernel &result) {
  NvidiaOptions options;
  options.assembler = settings.assembler;
  options.strict = settings.strict;
  options.cache = settings.cache;
  FailureOr<NvidiaBinary> binary =
      compileForNvidia(module, *source.target, options);
  if (failed(binary))
    return failure();
  result.matrixInstructions = countMatrixInstructions(binary->ptx);
  result.report = findReport(*binary, source.name);
  result.assembler = binary->assembler;
  if (binary->cubin.empty()) {
    result.format = CodeFormat::Ptx;
    result.code = std::move(binary->ptx);
  } else {
    result.format = CodeFormat::Cubin;
    result.code = std::move(binary->cubin);
  }
  return success();
}

static LogicalResult compileX86(ModuleOp module, const KernelSource &source,
                                const CompileSettings &settings,
                                CompiledKernel &result) {
  X86Options options;
  options.cache = settings.cache;
  FailureOr<std::string> object =
      compileForX86(module, *source.target, options);
  if (failed(object))
    return failure();
  result.format = CodeFormat::Object;
  result.code = std::move(*object);
  return success();
}

namespace varve {

CompiledKernel compileKernel(const KernelSource &source,
                             const CompileSettings &settings) {
  DialectRegistry registry;
  registerTargetDialects(registry);
  // Functions keep sizes of their grids as attributes.
  registry.insert<mlir::varve::tile::TileDialect>();
  // Kernels run side by side; one alone needs no threads of its own.
  MLIRContext context(registry, MLIRContext::Threading::DISABLED);
  CompiledKernel result;
  MessageCollector collector(context, result.messages);
  OwningOpRef<ModuleOp> module = parseSourceString<ModuleOp>(
      source.bytecode, ParserConfig(&context), source.name);
  if (!module)
    return result;
  LogicalResult compiled =
      source.target->isGpu() ? compileNvidia(*module, source, settings, result)
                             : compileX86(*module, source, settings, result);
  if (failed(compiled))
    result.code.clear();
  return result;
}

} // namespace varve
