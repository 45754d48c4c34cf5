//===- VarveKernels.cpp - Kernels, their functions and launches -----------===//

#include "dialects/Varve/Varve.h"
#include "mlir/IR/Builders.h"
#include "mlir/Interfaces/FunctionImplementation.h"
#include "llvm/ADT/SmallPtrSet.h"

using namespace mlir;
using namespace mlir::varve;

/// C1 of both forms: compute ops of this dialect and the right terminator.
static LogicalResult verifyKernelBody(Operation *kernel, Block &body,
                                      TypeRange results) {
  if (body.without_terminator().empty())
    return kernel->emitOpError("expected an op in the kernel (C1)");
  for (Operation &op : body.without_terminator()) {
    if (op.getDialect() == kernel->getDialect() &&
        !isa<KernelOp, KernelFuncOp, LaunchOp, PoolOp, WeightOp>(op))
      continue;
    InFlightDiagnostic diagnostic = kernel->emitOpError()
                                    << "expected compute ops in the kernel "
                                       "(C1) but got '"
                                    << op.getName() << "'";
    diagnostic.attachNote(op.getLoc()) << "this op";
    return failure();
  }
  auto yield = dyn_cast<YieldOp>(body.getTerminator());
  if (!yield)
    return kernel->emitOpError("expected a 'varve.yield' at the end (C1)");
  if (yield.getOperandTypes() != results)
    return kernel->emitOpError()
           << "expected to yield values of the types " << results
           << " (C2) but got " << yield.getOperandTypes();
  return success();
}

LogicalResult KernelOp::verify() {
  return verifyKernelBody(*this, getBody().front(), getResultTypes());
}

//===----------------------------------------------------------------------===//
// Kernel functions
//===----------------------------------------------------------------------===//

ParseResult KernelFuncOp::parse(OpAsmParser &parser, OperationState &result) {
  Builder &builder = parser.getBuilder();
  StringAttr name, kind;
  SmallVector<OpAsmParser::Argument> arguments;
  SmallVector<Type> resultTypes, argumentTypes;
  SmallVector<DictionaryAttr> resultAttrs;
  bool isVariadic = false;
  ArrayAttr pools, strategies;
  (void)mlir::impl::parseOptionalVisibilityKeyword(parser, result.attributes);
  if (parser.parseSymbolName(name, getSymNameAttrName(result.name),
                             result.attributes) ||
      function_interface_impl::parseFunctionSignatureWithArguments(
          parser, /*allowVariadic=*/false, arguments, isVariadic, resultTypes,
          resultAttrs) ||
      parser.parseKeyword("kind") ||
      parser.parseAttribute(kind, getKindAttrName(result.name),
                            result.attributes) ||
      parser.parseKeyword("pools") ||
      parser.parseAttribute(pools, getPoolsAttrName(result.name),
                            result.attributes))
    return failure();
  if (succeeded(parser.parseOptionalKeyword("strategies")) &&
      parser.parseAttribute(strategies, getStrategiesAttrName(result.name),
                            result.attributes))
    return failure();
  for (const OpAsmParser::Argument &argument : arguments)
    argumentTypes.push_back(argument.type);
  result.addAttribute(
      getFunctionTypeAttrName(result.name),
      TypeAttr::get(builder.getFunctionType(argumentTypes, resultTypes)));
  if (parser.parseOptionalAttrDictWithKeyword(result.attributes))
    return failure();
  call_interface_impl::addArgAndResultAttrs(
      builder, result, arguments, resultAttrs, getArgAttrsAttrName(result.name),
      getResAttrsAttrName(result.name));
  return parser.parseRegion(*result.addRegion(), arguments);
}

void KernelFuncOp::print(OpAsmPrinter &p) {
  if (std::optional<StringRef> visibility = getSymVisibility())
    p << ' ' << *visibility;
  p << ' ';
  p.printSymbolName(getSymName());
  function_interface_impl::printFunctionSignature(
      p, *this, getArgumentTypes(), /*isVariadic=*/false, getResultTypes());
  p << " kind " << getKindAttr() << " pools " << getPoolsAttr();
  if (ArrayAttr strategies = getStrategiesAttr())
    p << " strategies " << strategies;
  p.printOptionalAttrDictWithKeyword(
      (*this)->getAttrs(),
      {getSymNameAttrName(), getFunctionTypeAttrName(), getKindAttrName(),
       getPoolsAttrName(), getStrategiesAttrName(), getSymVisibilityAttrName(),
       getArgAttrsAttrName(), getResAttrsAttrName()});
  p << ' ';
  p.printRegion(getBody(), /*printEntryBlockArgs=*/false);
}

/// C2: the ranges follow each other from 1 to infinity.
static LogicalResult verifyStrategies(KernelFuncOp kernel) {
  if (!kernel.getStrategies())
    return success();
  int64_t next = 1;
  for (auto strategy : kernel.getStrategies()->getAsRange<StrategyAttr>()) {
    if (next == 0)
      return kernel.emitOpError("expected no strategy behind one without an "
                                "upper bound (C2)");
    if (strategy.getMin() != next)
      return kernel.emitOpError() << "expected a strategy from T = " << next
                                  << " on (C2) but got " << strategy;
    next = strategy.getMax() == 0 ? 0 : strategy.getMax() + 1;
  }
  if (next != 0)
    return kernel.emitOpError()
           << "expected a strategy from T = " << next << " on (C2)";
  return success();
}

LogicalResult KernelFuncOp::verify() {
  if (getBody().empty())
    return emitOpError("expected a body (C1)");
  llvm::SmallPtrSet<Attribute, 4> pools;
  for (Attribute pool : getPools())
    if (!pools.insert(pool).second)
      return emitOpError() << "expected distinct pools (C3) but got " << pool
                           << " twice";
  if (failed(verifyStrategies(*this)))
    return failure();
  return verifyKernelBody(*this, getBody().front(), getResultTypes());
}

//===----------------------------------------------------------------------===//
// Launches
//===----------------------------------------------------------------------===//

/// C2
static LogicalResult verifyPools(LaunchOp launch, KernelFuncOp kernel,
                                 SymbolTableCollection &tables) {
  if (launch.getPools().size() != kernel.getPools().size())
    return launch.emitOpError()
           << "expected " << kernel.getPools().size() << " pools (C2) but got "
           << launch.getPools().size();
  for (auto [given, wanted] :
       llvm::zip_equal(launch.getPools().getAsRange<FlatSymbolRefAttr>(),
                       kernel.getPools().getAsRange<FlatSymbolRefAttr>())) {
    auto pool = tables.lookupNearestSymbolFrom<PoolOp>(launch, given);
    auto model = tables.lookupNearestSymbolFrom<PoolOp>(kernel, wanted);
    if (!pool || !model)
      return launch.emitOpError() << "expected a pool for " << given
                                  << " and for " << wanted << " (C2)";
    if (pool.getKind() != model.getKind() ||
        pool.getSize() != model.getSize() ||
        pool.getRatio() != model.getRatio() ||
        pool.getPage() != model.getPage() ||
        pool.getFormat() != model.getFormat()) {
      InFlightDiagnostic diagnostic = launch.emitOpError()
                                      << "expected a pool like " << wanted
                                      << " (C2) but got " << given;
      diagnostic.attachNote(model.getLoc()) << "the kernel's pool";
      diagnostic.attachNote(pool.getLoc()) << "the launch's pool";
      return failure();
    }
  }
  return success();
}

LogicalResult LaunchOp::verifySymbolUses(SymbolTableCollection &tables) {
  auto kernel =
      tables.lookupNearestSymbolFrom<KernelFuncOp>(*this, getKernelAttr());
  if (!kernel)
    return emitOpError() << "expected a 'varve.kernel_func' called "
                         << getKernelAttr() << " (C1)";
  auto type =
      FunctionType::get(getContext(), getOperandTypes(), getResultTypes());
  if (type != kernel.getFunctionType())
    return emitOpError() << "expected the type " << kernel.getFunctionType()
                         << " of the kernel (C1) but got " << type;
  return verifyPools(*this, kernel, tables);
}

/// A launch touches its pools as the kernel touches its own; which ones it
/// only reads is not worth a walk.
void LaunchOp::getEffects(
    SmallVectorImpl<MemoryEffects::EffectInstance> &effects) {
  for (auto pool : getPools().getAsRange<FlatSymbolRefAttr>()) {
    effects.emplace_back(MemoryEffects::Read::get(), pool, PoolResource::get());
    effects.emplace_back(MemoryEffects::Write::get(), pool,
                         PoolResource::get());
  }
}

//===----------------------------------------------------------------------===//
// Commits
//===----------------------------------------------------------------------===//

LogicalResult CommitOp::verify() {
  if (!getValues().empty() && getValues().size() != 3)
    return emitOpError() << "expected no values or the three of a compressor "
                            "(C2) but got "
                         << getValues().size();
  return success();
}

LogicalResult CommitOp::verifySymbolUses(SymbolTableCollection &tables) {
  auto pool = tables.lookupNearestSymbolFrom<PoolOp>(*this, getPoolAttr());
  PoolKind expected = getValues().empty() ? PoolKind::Window : PoolKind::State;
  if (!pool)
    return emitOpError() << "expected a pool called " << getPoolAttr()
                         << " (C1)";
  if (pool.getKind() != expected)
    return emitOpError() << "expected a " << stringifyPoolKind(expected)
                         << " pool (C1) but got one of kind "
                         << stringifyPoolKind(pool.getKind());
  return success();
}

void CommitOp::getReadPools(SmallVectorImpl<FlatSymbolRefAttr> &pools) {
  if (getValues().empty())
    pools.push_back(getPoolAttr());
}

void CommitOp::getWrittenPools(SmallVectorImpl<FlatSymbolRefAttr> &pools) {
  pools.push_back(getPoolAttr());
}

void CommitOp::getEffects(
    SmallVectorImpl<MemoryEffects::EffectInstance> &effects) {
  effects.emplace_back(MemoryEffects::Read::get(), getPoolAttr(),
                       PoolResource::get());
  effects.emplace_back(MemoryEffects::Write::get(), getPoolAttr(),
                       PoolResource::get());
}

/// What it moves is counted where it was appended or compressed.
OpCost CommitOp::getCost(const StepShape &) { return {}; }
