//===- PlanFunc.cpp - Functions and calls ---------------------------------===//

#include "dialects/Plan/Plan.h"

#include "mlir/IR/Builders.h"
#include "mlir/Interfaces/FunctionImplementation.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace mlir::varve::plan;

ParseResult FuncOp::parse(OpAsmParser &parser, OperationState &result) {
  auto buildType = [](Builder &builder, ArrayRef<Type> arguments,
                      ArrayRef<Type> results,
                      function_interface_impl::VariadicFlag, std::string &) {
    return builder.getFunctionType(arguments, results);
  };
  return function_interface_impl::parseFunctionOp(
      parser, result, /*allowVariadic=*/false,
      getFunctionTypeAttrName(result.name), buildType,
      getArgAttrsAttrName(result.name), getResAttrsAttrName(result.name));
}

void FuncOp::print(OpAsmPrinter &p) {
  function_interface_impl::printFunctionOp(
      p, *this, /*isVariadic=*/false, getFunctionTypeAttrName(),
      getArgAttrsAttrName(), getResAttrsAttrName());
}

StringRef FuncOp::getArgumentName(unsigned index) {
  auto name = getArgAttrOfType<StringAttr>(index, kName);
  return name ? name.getValue() : StringRef();
}

bool FuncOp::isOutput(unsigned index) {
  return static_cast<bool>(getArgAttr(index, kOutput));
}

/// C1, C3 and C4 of public functions.
static LogicalResult verifyProgram(FuncOp func) {
  llvm::StringSet<> names;
  bool hasOutput = false;
  for (auto [i, type] : llvm::enumerate(func.getArgumentTypes())) {
    if (!isa<DeviceTensorType>(type))
      return func.emitOpError() << "expected argument " << i
                                << " of a public function to be a plan tensor "
                                   "(C1) but got "
                                << type;
    StringRef name = func.getArgumentName(i);
    if (name.empty())
      return func.emitOpError()
             << "expected argument " << i << " of a public function to have a "
             << FuncOp::kName << " (C3)";
    if (!names.insert(name).second)
      return func.emitOpError()
             << "expected arguments with different names (C3) but two are '"
             << name << "'";
    hasOutput |= func.isOutput(i);
  }
  if (!hasOutput)
    return func.emitOpError() << "expected a public function to have an "
                                 "argument with "
                              << FuncOp::kOutput << " (C4)";
  return success();
}

LogicalResult FuncOp::verify() {
  if (!getResultTypes().empty())
    return emitOpError() << "expected no results (C1) but got "
                         << getResultTypes().size();
  for (auto [i, type] : llvm::enumerate(getArgumentTypes()))
    if (!isa<DeviceTensorType, IntegerType, FloatType, IndexType>(type))
      return emitOpError() << "expected argument " << i
                           << " to be a plan tensor or a scalar (C1) but got "
                           << type;
  return isPublic() ? verifyProgram(*this) : success();
}

LogicalResult CallOp::verifySymbolUses(SymbolTableCollection &symbolTable) {
  auto callee =
      symbolTable.lookupNearestSymbolFrom<FuncOp>(*this, getCalleeAttr());
  if (!callee)
    return emitOpError() << "expected " << getCalleeAttr()
                         << " to be a plan.func (C1)";
  if (getArguments().getTypes() == callee.getArgumentTypes())
    return success();
  InFlightDiagnostic diagnostic =
      emitOpError() << "expected arguments of types ("
                    << callee.getArgumentTypes() << ") (C2) but got ("
                    << getArguments().getTypes() << ")";
  diagnostic.attachNote(callee.getLoc()) << "the function is here";
  return diagnostic;
}
