//===- Package.cpp - Writing packages -------------------------------------===//

#include "lib/Package/Package.h"
#include "lib/Package/Manifest.h"
#include "lib/Package/PlanEncoder.h"
#include "lib/Package/ZipWriter.h"
#include "passes/Engine/Passes.h"
#include "varve/Package/Format.h"

using namespace mlir;
using ::varve::KernelMember;
using ::varve::ManifestMember;
using ::varve::ModelFacts;
using ::varve::TargetModel;

namespace {
/// Collects members; the manifest comes first in the file, but lists the
/// others.
class PackageBuilder {
public:
  explicit PackageBuilder(ModuleOp program) : program(program) {}

  FailureOr<std::string> run();

private:
  struct File {
    std::string name;
    std::string bytes;
    size_t alignment;
  };
  LogicalResult readModel();
  LogicalResult addTarget(ModuleOp module);
  FailureOr<std::string> writeZip();

  ModuleOp program;
  ModelFacts facts;
  std::vector<std::string> targets;
  std::vector<File> files;
};
} // namespace

LogicalResult PackageBuilder::readModel() {
  facts.model = program->getAttrOfType<mlir::varve::ModelAttr>("varve.model");
  if (!facts.model)
    return program.emitError()
           << "expected a module with attribute varve.model";
  if (auto precision = program->getAttrOfType<StringAttr>("varve.precision"))
    facts.precision = precision.str();
  return success();
}

LogicalResult PackageBuilder::addTarget(ModuleOp module) {
  FailureOr<const TargetModel *> target = mlir::varve::getTargetOf(module);
  if (failed(target))
    return failure();
  FailureOr<std::vector<KernelMember>> members =
      ::varve::collectKernelMembers(module, **target);
  if (failed(members))
    return failure();
  FailureOr<std::string> plan =
      ::varve::encodePlan(module, **target, facts, *members);
  if (failed(plan))
    return failure();
  std::string folder = ((*target)->getName() + "/").str();
  targets.push_back((*target)->getName().str());
  files.push_back({folder + std::string(::varve::package::kPlanName),
                   std::move(*plan), ::varve::package::kMemberAlignment});
  for (KernelMember &member : *members)
    files.push_back({folder + member.name, std::move(member.bytes),
                     ::varve::package::kKernelAlignment});
  return success();
}

FailureOr<std::string> PackageBuilder::writeZip() {
  std::vector<ManifestMember> listed;
  for (const File &file : files)
    listed.push_back({file.name, file.bytes.size(),
                      ::varve::package::getDigest(file.bytes)});
  std::string manifest = ::varve::writeManifest(facts, targets, listed);
  ::varve::package::ZipWriter zip;
  auto add = [&](StringRef name, StringRef bytes,
                 size_t alignment) -> LogicalResult {
    if (llvm::Error error = zip.add(name, bytes, alignment))
      return program.emitError(llvm::toString(std::move(error)));
    return success();
  };
  if (failed(add(StringRef(::varve::package::kManifestName), manifest,
                 ::varve::package::kMemberAlignment)))
    return failure();
  for (const File &file : files)
    if (failed(add(file.name, file.bytes, file.alignment)))
      return failure();
  llvm::Expected<std::string> bytes = std::move(zip).finish();
  if (!bytes)
    return program.emitError(llvm::toString(bytes.takeError()));
  return std::move(*bytes);
}

FailureOr<std::string> PackageBuilder::run() {
  if (failed(readModel()))
    return failure();
  for (auto module : program.getOps<ModuleOp>())
    if (failed(addTarget(module)))
      return failure();
  return writeZip();
}

namespace varve {
FailureOr<std::string> writePackage(ModuleOp program) {
  return PackageBuilder(program).run();
}
} // namespace varve
