//===- Manifest.cpp - What a package says about itself to people ----------===//

#include "lib/Package/Manifest.h"
#include "lib/Cache/KernelCache.h"
#include "varve/Package/Format.h"
#include "llvm/Config/llvm-config.h"
#include "llvm/Support/JSON.h"

std::string varve::writeManifest(const ModelFacts &facts,
                                 llvm::ArrayRef<std::string> targets,
                                 llvm::ArrayRef<ManifestMember> members) {
  std::string text;
  llvm::raw_string_ostream os(text);
  llvm::json::OStream json(os, /*IndentSize=*/2);
  json.object([&] {
    json.attribute("format", package::kFormatVersion);
    json.attribute("plan", package::kPlanVersion);
    json.attributeObject("compiler", [&] {
      json.attribute("version", VARVE_VERSION);
      json.attribute("llvm", LLVM_VERSION_STRING);
      json.attribute("build", getCompilerBuildId());
    });
    json.attributeObject("model", [&] {
      json.attribute("name", facts.model.getName());
      json.attribute("layers", facts.model.getLayers());
      json.attribute("precision", facts.precision);
      json.attribute("vocab", facts.model.getVocab());
      json.attribute("max_positions", facts.model.getMaxPositions());
    });
    json.attributeArray("targets", [&] {
      for (const std::string &target : targets)
        json.value(target);
    });
    json.attributeArray("members", [&] {
      for (const ManifestMember &member : members)
        json.object([&] {
          json.attribute("name", member.name);
          json.attribute("bytes", static_cast<int64_t>(member.bytes));
          json.attribute("xxh3_128", member.digest);
        });
    });
  });
  os << '\n';
  return text;
}
