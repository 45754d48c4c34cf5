//===- PlanEncoder.cpp - A module of plan ops as a FlatBuffer -------------===//

#include "lib/Package/PlanEncoder.h"
#include "lib/Package/LaunchEncoder.h"
#include "lib/Target/X86/X86Compiler.h"
#include "varve/Package/Format.h"

using namespace mlir;
using namespace ::varve::package;
namespace plan = mlir::varve::plan;
using flatbuffers::Offset;
using ::varve::KernelMember;
using ::varve::LaunchEncoder;
using ::varve::ModelFacts;
using ::varve::PlanTables;
using ::varve::TargetModel;

/// The file that all x86 kernels share.
static constexpr llvm::StringLiteral kSharedObjectName = "kernels.so";

namespace varve {
FailureOr<std::vector<KernelMember>>
collectKernelMembers(ModuleOp module, const TargetModel &target) {
  std::vector<KernelMember> members;
  std::vector<std::string> objects;
  for (auto kernel : module.getOps<plan::BinaryOp>()) {
    std::string bytes = kernel.getBytes().str();
    if (bytes.empty())
      return kernel.emitOpError() << "expected code in the resources of the "
                                     "module, but there is none";
    if (!target.isGpu()) {
      objects.push_back(std::move(bytes));
      continue;
    }
    bool isPtx = kernel.getFormat() == plan::CodeFormat::Ptx;
    // The driver reads PTX up to a zero byte.
    if (isPtx)
      bytes.push_back('\0');
    members.push_back(
        {(kernel.getSymName() + (isPtx ? ".ptx" : ".cubin")).str(),
         std::move(bytes)});
  }
  if (objects.empty())
    return members;
  llvm::Expected<std::string> library = linkSharedObject(objects);
  if (!library)
    return module.emitError()
           << "kernels for " << target.getName()
           << " could not be linked: " << llvm::toString(library.takeError());
  members.push_back({kSharedObjectName.str(), std::move(*library)});
  return members;
}
} // namespace varve

namespace {

class PlanEncoder {
public:
  PlanEncoder(ModuleOp module, const TargetModel &target,
              const ModelFacts &facts, ArrayRef<KernelMember> members)
      : module(module), target(target), facts(facts), members(members) {}

  FailureOr<std::string> run();

private:
  LogicalResult collectWeights();
  std::vector<Offset<Weight>> encodeWeights();
  std::vector<Offset<Pool>> encodePools();
  std::vector<Offset<KernelFile>> encodeFiles();
  std::vector<Offset<Kernel>> encodeKernels();
  Offset<Kernel> encodeKernel(plan::BinaryOp kernel, uint32_t file);
  Offset<Model> encodeModel();

  Offset<flatbuffers::String> toString(StringRef text) {
    return builder.CreateString(text.data(), text.size());
  }

  ModuleOp module;
  const TargetModel &target;
  const ModelFacts &facts;
  ArrayRef<KernelMember> members;
  flatbuffers::FlatBufferBuilder builder;
  PlanTables tables;
};

/// Numbers the weights of all programs by name.
LogicalResult PlanEncoder::collectWeights() {
  WalkResult result = module.walk([&](plan::WeightOp weight) {
    auto [entry, isNew] =
        tables.weights.try_emplace(weight.getNameAttr(), weight);
    if (isNew || entry->second.getType() == weight.getType())
      return WalkResult::advance();
    InFlightDiagnostic diagnostic =
        weight.emitOpError()
        << "expected weights of one name to have one type, but '"
        << weight.getName() << "' is " << weight.getType() << " and "
        << entry->second.getType();
    return WalkResult::interrupt();
  });
  return failure(result.wasInterrupted());
}

std::vector<Offset<Weight>> PlanEncoder::encodeWeights() {
  std::vector<Offset<Weight>> weights;
  for (auto &[name, weight] : tables.weights) {
    plan::DeviceTensorType type = weight.getType();
    std::vector<int64_t> shape;
    for (plan::LinearAttr size : type.getShape())
      shape.push_back(size.getConstant());
    auto nameString = toString(name);
    auto shapeVector = builder.CreateVector(shape);
    weights.push_back(CreateWeight(
        builder, nameString, ::varve::encodeElementType(type.getElementType()),
        shapeVector));
  }
  return weights;
}

std::vector<Offset<Pool>> PlanEncoder::encodePools() {
  std::vector<Offset<Pool>> pools;
  for (auto pool : module.getOps<plan::PoolOp>()) {
    auto type = cast<plan::DeviceTensorType>(pool.getType());
    tables.pools[pool.getSymNameAttr()] = pools.size();
    // Dense, so the first stride is a row.
    int64_t rowBytes = type.getStride(0).getConstant() *
                       type.getElementType().getIntOrFloatBitWidth() / 8;
    auto name = toString(pool.getSymName());
    auto format = toString(pool.getFormat().value_or(""));
    pools.push_back(
        CreatePool(builder, name, static_cast<PoolKind>(pool.getKind()),
                   pool.getSize().value_or(0), pool.getRatio().value_or(0),
                   pool.getPage().value_or(0),
                   tables.getSize(type.getShape().front()), rowBytes, format));
  }
  return pools;
}

std::vector<Offset<KernelFile>> PlanEncoder::encodeFiles() {
  std::vector<Offset<KernelFile>> files;
  for (const KernelMember &member : members) {
    KernelFormat format =
        StringRef(member.name).ends_with(".cubin") ? KernelFormat::Cubin
        : StringRef(member.name).ends_with(".ptx") ? KernelFormat::Ptx
                                                   : KernelFormat::SharedObject;
    auto name = toString((target.getName() + "/" + member.name).str());
    files.push_back(CreateKernelFile(builder, name, format));
  }
  return files;
}

/// Appends the postfix program of an expression over the symbols of a grid.
void encodeExpression(AffineExpr expression, std::vector<GridOp> &program) {
  if (auto constant = dyn_cast<AffineConstantExpr>(expression)) {
    program.emplace_back(constant.getValue(), GridOpcode::Constant);
    return;
  }
  if (auto symbol = dyn_cast<AffineSymbolExpr>(expression)) {
    program.emplace_back(symbol.getPosition(), GridOpcode::Size);
    return;
  }
  auto binary = cast<AffineBinaryOpExpr>(expression);
  encodeExpression(binary.getLHS(), program);
  encodeExpression(binary.getRHS(), program);
  GridOpcode opcode = GridOpcode::Add;
  switch (binary.getKind()) {
  case AffineExprKind::Mul:
    opcode = GridOpcode::Mul;
    break;
  case AffineExprKind::FloorDiv:
    opcode = GridOpcode::FloorDiv;
    break;
  case AffineExprKind::CeilDiv:
    opcode = GridOpcode::CeilDiv;
    break;
  case AffineExprKind::Mod:
    opcode = GridOpcode::Mod;
    break;
  default:
    break;
  }
  program.emplace_back(0, opcode);
}

/// The positions of the words that are addresses of the arguments that a kernel
/// writes.
static std::vector<uint32_t> getWrittenWords(plan::BinaryOp kernel) {
  std::vector<uint32_t> words;
  uint32_t word = 0;
  ArrayRef<int64_t> writes = *kernel.getWrites();
  for (auto [index, type] :
       llvm::enumerate(cast<FunctionType>(kernel.getSignature()).getInputs())) {
    if (llvm::is_contained(writes, static_cast<int64_t>(index)))
      words.push_back(word);
    word += plan::countWords(type);
  }
  return words;
}

Offset<Kernel> PlanEncoder::encodeKernel(plan::BinaryOp kernel, uint32_t file) {
  std::vector<Offset<GridExtent>> grid;
  for (AffineExpr extent : kernel.getGrid().getResults()) {
    std::vector<GridOp> program;
    encodeExpression(extent, program);
    grid.push_back(
        CreateGridExtent(builder, builder.CreateVectorOfStructs(program)));
  }
  std::vector<Offset<TensorMap>> maps;
  if (kernel.getTensorMaps())
    for (auto map : kernel.getTensorMaps()->getAsRange<plan::TensorMapAttr>()) {
      Type element = cast<mlir::varve::tile::ViewType>(
                         cast<FunctionType>(kernel.getSignature())
                             .getInput(map.getArgument()))
                         .getElementType();
      std::vector<int64_t> box(map.getBox().begin(), map.getBox().end());
      bool isPacked = element.getIntOrFloatBitWidth() < 8;
      if (isPacked)
        box.back() /= 2;
      auto boxVector = builder.CreateVector(box);
      maps.push_back(CreateTensorMap(
          builder,
          isPacked ? ElementType::I8 : ::varve::encodeElementType(element),
          boxVector, static_cast<uint8_t>(map.getSwizzle())));
    }
  auto name = toString(kernel.getSymName());
  auto gridVector = builder.CreateVector(grid);
  auto mapVector = builder.CreateVector(maps);
  Offset<flatbuffers::Vector<uint32_t>> writes;
  if (kernel.getWrites())
    writes = builder.CreateVector(getWrittenWords(kernel));
  return CreateKernel(
      builder, name, file, name, kernel.getNumWords(), gridVector,
      kernel.getSizes().size(), kernel.getThreads(), kernel.getSharedBytes(),
      kernel.getBlocksPerMultiprocessor(), kernel.getScratchBytes(), mapVector,
      kernel.getDependentLaunch(), kernel.getRegisters(),
      kernel.getSpillBytes(), writes);
}

std::vector<Offset<Kernel>> PlanEncoder::encodeKernels() {
  std::vector<Offset<Kernel>> kernels;
  for (auto kernel : module.getOps<plan::BinaryOp>()) {
    uint32_t number = kernels.size();
    tables.kernels[kernel.getSymNameAttr()] = number;
    kernels.push_back(encodeKernel(kernel, target.isGpu() ? number : 0));
  }
  return kernels;
}

Offset<Model> PlanEncoder::encodeModel() {
  auto name = toString(facts.model.getName());
  auto layers = toString(facts.model.getLayers());
  auto precision = toString(facts.precision);
  return CreateModel(builder, name, layers, precision, facts.model.getVocab(),
                     facts.model.getMaxPositions(), facts.model.getBos(),
                     facts.model.getEos());
}

FailureOr<std::string> PlanEncoder::run() {
  if (failed(collectWeights()))
    return failure();
  std::vector<Offset<Weight>> weights = encodeWeights();
  std::vector<Offset<Pool>> pools = encodePools();
  std::vector<Offset<KernelFile>> files = encodeFiles();
  std::vector<Offset<Kernel>> kernels = encodeKernels();
  std::vector<Offset<Program>> programs;
  for (auto func : module.getOps<plan::FuncOp>()) {
    FailureOr<Offset<Program>> program =
        LaunchEncoder(builder, tables, func).run();
    if (failed(program))
      return failure();
    programs.push_back(*program);
  }
  std::vector<Linear> sizes;
  for (plan::LinearAttr size : tables.sizes) {
    ArrayRef<int64_t> n = size.getCoefficients();
    sizes.emplace_back(n[0], n[1], n[2], n[3], n[4], n[5], n[6]);
  }
  Offset<Model> model = encodeModel();
  auto targetName = toString(target.getName());
  Offset<flatbuffers::String> cpuLevel;
  if (!target.isGpu())
    cpuLevel = toString(target.getLlvmCpu());
  auto [major, minor] = target.getComputeCapability();
  auto sizeVector = builder.CreateVectorOfStructs(sizes);
  auto weightVector = builder.CreateVector(weights);
  auto poolVector = builder.CreateVector(pools);
  auto fileVector = builder.CreateVector(files);
  auto kernelVector = builder.CreateVector(kernels);
  auto programVector = builder.CreateVector(programs);
  FinishPlanBuffer(
      builder, CreatePlan(builder, kPlanVersion, targetName, major * 10 + minor,
                          target.isArchSpecific(), cpuLevel, model, sizeVector,
                          weightVector, poolVector, fileVector, kernelVector,
                          programVector));
  return std::string(reinterpret_cast<const char *>(builder.GetBufferPointer()),
                     builder.GetSize());
}

} // namespace

namespace varve {
FailureOr<std::string> encodePlan(ModuleOp module, const TargetModel &target,
                                  const ModelFacts &facts,
                                  ArrayRef<KernelMember> members) {
  return PlanEncoder(module, target, facts, members).run();
}
} // namespace varve
