//===- TileFunc.cpp - Functions and the grid ------------------------------===//

#include "dialects/Tile/Tile.h"

#include "mlir/IR/AffineMap.h"
#include "mlir/IR/Builders.h"
#include "mlir/Interfaces/FunctionImplementation.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace mlir::varve::tile;

//===----------------------------------------------------------------------===//
// FuncOp: syntax
//===----------------------------------------------------------------------===//

/// Parses `dim(%x, 0)`, `%n` or `resident`. `arguments` are the function's.
static ParseResult parseSize(OpAsmParser &parser,
                             ArrayRef<OpAsmParser::Argument> arguments,
                             SmallVectorImpl<Attribute> &sizes) {
  MLIRContext *context = parser.getContext();
  auto parseArgument = [&](int64_t &index) -> ParseResult {
    OpAsmParser::UnresolvedOperand operand;
    SMLoc loc = parser.getCurrentLocation();
    if (parser.parseOperand(operand))
      return failure();
    for (auto [i, argument] : llvm::enumerate(arguments))
      if (argument.ssaName.name == operand.name &&
          argument.ssaName.number == operand.number) {
        index = i;
        return success();
      }
    return parser.emitError(loc)
           << "expected an argument of the function but got " << operand.name;
  };
  int64_t argument = 0, dim = 0;
  if (succeeded(parser.parseOptionalKeyword("resident"))) {
    sizes.push_back(SizeAttr::get(context, SizeKind::Resident, 0, 0));
    return success();
  }
  if (succeeded(parser.parseOptionalKeyword("dim"))) {
    if (parser.parseLParen() || parseArgument(argument) ||
        parser.parseComma() || parser.parseInteger(dim) || parser.parseRParen())
      return failure();
    sizes.push_back(SizeAttr::get(context, SizeKind::Dim, argument, dim));
    return success();
  }
  if (parseArgument(argument))
    return failure();
  sizes.push_back(SizeAttr::get(context, SizeKind::Scalar, argument, 0));
  return success();
}

ParseResult FuncOp::parse(OpAsmParser &parser, OperationState &result) {
  Builder &builder = parser.getBuilder();
  StringAttr name;
  SmallVector<OpAsmParser::Argument> arguments;
  SmallVector<Type> resultTypes;
  SmallVector<DictionaryAttr> resultAttrs;
  bool isVariadic = false;
  (void)mlir::impl::parseOptionalVisibilityKeyword(parser, result.attributes);
  if (parser.parseSymbolName(name, getSymNameAttrName(result.name),
                             result.attributes) ||
      function_interface_impl::parseFunctionSignatureWithArguments(
          parser, /*allowVariadic=*/false, arguments, isVariadic, resultTypes,
          resultAttrs))
    return failure();
  SmallVector<Type> argumentTypes;
  for (const OpAsmParser::Argument &argument : arguments)
    argumentTypes.push_back(argument.type);
  result.addAttribute(
      getFunctionTypeAttrName(result.name),
      TypeAttr::get(builder.getFunctionType(argumentTypes, resultTypes)));

  AffineMapAttr grid;
  SmallVector<Attribute> sizes;
  int64_t warps;
  if (parser.parseKeyword("grid") || parser.parseAttribute(grid) ||
      parser.parseCommaSeparatedList(
          OpAsmParser::Delimiter::Square,
          [&] { return parseSize(parser, arguments, sizes); }) ||
      parser.parseKeyword("warps") || parser.parseInteger(warps))
    return failure();
  result.addAttribute(getGridAttrName(result.name), grid);
  result.addAttribute(getSizesAttrName(result.name),
                      builder.getArrayAttr(sizes));
  result.addAttribute(getWarpsAttrName(result.name),
                      builder.getI64IntegerAttr(warps));
  if (succeeded(parser.parseOptionalKeyword("strategy"))) {
    StrategyAttr strategy;
    if (parser.parseAttribute(strategy))
      return failure();
    result.addAttribute(getStrategyAttrName(result.name), strategy);
  }
  if (parser.parseOptionalAttrDictWithKeyword(result.attributes))
    return failure();
  call_interface_impl::addArgAndResultAttrs(
      builder, result, arguments, resultAttrs, getArgAttrsAttrName(result.name),
      getResAttrsAttrName(result.name));
  return parser.parseRegion(*result.addRegion(), arguments);
}

void FuncOp::print(OpAsmPrinter &p) {
  if (std::optional<StringRef> visibility = getSymVisibility())
    p << ' ' << *visibility;
  p << ' ';
  p.printSymbolName(getSymName());
  function_interface_impl::printFunctionSignature(
      p, *this, getArgumentTypes(), /*isVariadic=*/false, getResultTypes());
  // Written out: an alias would hide the grid from the reader.
  p << " grid affine_map<";
  getGrid().print(p.getStream());
  p << "> [";
  llvm::interleaveComma(
      getSizes().getAsRange<SizeAttr>(), p, [&](SizeAttr size) {
        switch (size.getKind()) {
        case SizeKind::Resident:
          p << "resident";
          return;
        case SizeKind::Scalar:
          p.printOperand(getBody().getArgument(size.getArgument()));
          return;
        case SizeKind::Dim:
          p << "dim(";
          p.printOperand(getBody().getArgument(size.getArgument()));
          p << ", " << size.getDim() << ')';
          return;
        }
      });
  p << "] warps " << getWarps();
  if (StrategyAttr strategy = getStrategyAttr())
    p << " strategy " << strategy;
  p.printOptionalAttrDictWithKeyword(
      (*this)->getAttrs(),
      {getSymNameAttrName(), getFunctionTypeAttrName(), getGridAttrName(),
       getSizesAttrName(), getWarpsAttrName(), getStrategyAttrName(),
       getSymVisibilityAttrName(), getArgAttrsAttrName(),
       getResAttrsAttrName()});
  p << ' ';
  p.printRegion(getBody(), /*printEntryBlockArgs=*/false);
}

//===----------------------------------------------------------------------===//
// FuncOp: verification and evaluation
//===----------------------------------------------------------------------===//

/// C2: what the grid depends on is there.
static LogicalResult verifySize(FuncOp func, SizeAttr size) {
  if (size.getKind() == SizeKind::Resident)
    return success();
  ArrayRef<Type> types = func.getArgumentTypes();
  int64_t index = size.getArgument();
  if (index < 0 || index >= static_cast<int64_t>(types.size()))
    return func.emitOpError()
           << "expected sizes to name one of " << types.size()
           << " arguments (C2) but got " << index;
  if (size.getKind() == SizeKind::Scalar) {
    if (types[index].isIndex() || types[index].isInteger(32) ||
        types[index].isInteger(64))
      return success();
    return func.emitOpError() << "expected a scalar size to be an argument of "
                                 "type index, i32 or i64 (C2) but got "
                              << types[index];
  }
  auto view = dyn_cast<ViewType>(types[index]);
  if (!view || size.getDim() < 0 || size.getDim() >= view.getRank())
    return func.emitOpError()
           << "expected dim(" << index << ", " << size.getDim()
           << ") to be a dimension of a view argument (C2)";
  return success();
}

/// C3: a pipeline splits the warps among its roles; otherwise they are 2^n.
static LogicalResult verifyWarps(FuncOp func) {
  bool hasPipeline = false;
  func.getBody().walk([&](PipelineOp) { hasPipeline = true; });
  if (hasPipeline || llvm::isPowerOf2_64(func.getWarps()))
    return success();
  return func.emitOpError()
         << "expected warps to be a power of two (C3) but got "
         << func.getWarps();
}

LogicalResult FuncOp::verify() {
  AffineMap grid = getGrid();
  if (grid.getNumDims() != 0 || grid.getNumSymbols() != getSizes().size() ||
      grid.getNumResults() < 1 || grid.getNumResults() > 3)
    return emitOpError() << "expected a grid of 1 to 3 results with "
                         << getSizes().size()
                         << " symbols and no dimensions (C1) but got "
                         << getGridAttr();
  if (!getResultTypes().empty())
    return emitOpError() << "expected no results (C4) but got "
                         << getResultTypes().size();
  for (auto [i, type] : llvm::enumerate(getArgumentTypes()))
    if (!isa<ViewType, FloatType, IntegerType, IndexType>(type))
      return emitOpError() << "expected argument " << i
                           << " to be a view or a scalar (C4) but got " << type;
  if (!getBody().hasOneBlock())
    return emitOpError() << "expected a body of one block (C4)";
  for (SizeAttr size : getSizes().getAsRange<SizeAttr>())
    if (failed(verifySize(*this, size)))
      return failure();
  return verifyWarps(*this);
}

FailureOr<SmallVector<int64_t>> FuncOp::evaluateGrid(ArrayRef<int64_t> sizes) {
  AffineMap grid = getGrid();
  if (sizes.size() != grid.getNumSymbols())
    return failure();
  Builder builder(getContext());
  SmallVector<Attribute> operands, results;
  for (int64_t size : sizes)
    operands.push_back(builder.getIndexAttr(size));
  if (failed(grid.constantFold(operands, results)))
    return failure();
  SmallVector<int64_t> extents;
  for (Attribute result : results)
    extents.push_back(cast<IntegerAttr>(result).getInt());
  if (llvm::any_of(extents, [](int64_t extent) { return extent < 1; }))
    extents.assign(extents.size(), 0);
  return extents;
}

//===----------------------------------------------------------------------===//
// DimOp, ProgramIdOp, NumProgramsOp
//===----------------------------------------------------------------------===//

LogicalResult DimOp::verify() {
  int64_t rank = getView().getType().getRank();
  if (static_cast<int64_t>(getDim()) >= rank)
    return emitOpError() << "expected dim to be a dimension of the view, 0 to "
                         << rank - 1 << " (C1), but got " << getDim();
  return success();
}

OpFoldResult DimOp::fold(FoldAdaptor) {
  ViewType view = getView().getType();
  if (view.isDynamicDim(getDim()))
    return {};
  return IntegerAttr::get(IndexType::get(getContext()),
                          view.getShape()[getDim()]);
}

static LogicalResult verifyAxis(Operation *op, int64_t axis) {
  auto func = op->getParentOfType<FuncOp>();
  if (!func)
    return op->emitOpError() << "expected to be inside a tile.func";
  int64_t rank = func.getGrid().getNumResults();
  if (axis >= rank)
    return op->emitOpError()
           << "expected axis to be a dimension of the grid, 0 "
              "to "
           << rank - 1 << " (C1), but got " << axis;
  return success();
}

LogicalResult ProgramIdOp::verify() { return verifyAxis(*this, getAxis()); }

LogicalResult NumProgramsOp::verify() { return verifyAxis(*this, getAxis()); }
