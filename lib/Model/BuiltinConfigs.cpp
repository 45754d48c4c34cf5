//===- BuiltinConfigs.cpp - Configurations that Varve carries -------------===//

#include "lib/Model/BuiltinConfigs.h"
#include "lib/Model/HfConfig.h"
#include "varve/Support/NearestName.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"

using namespace llvm;

namespace varve {

// Written by EmbedConfigs.cmake: one raw string literal per file of configs/.
#include "lib/Model/EmbeddedConfigs.inc"

static constexpr BuiltinConfig table[] = {
    {"deepseek-v4-flash",
     "DeepSeek-V4-Flash: 43 layers, 284B parameters, 13B active",
     deepseekV4FlashJson},
    {"deepseek-v4-pro",
     "DeepSeek-V4-Pro: 61 layers, 1.6T parameters, 49B active",
     deepseekV4ProJson},
    {"tiny",
     "Varve's own: 6 layers of every kind, 9M parameters, for trying things "
     "out",
     tinyJson},
};

ArrayRef<BuiltinConfig> builtinConfigs() { return table; }

Expected<ModelConfig> loadBuiltinConfig(StringRef name) {
  const BuiltinConfig *found =
      find_if(table, [&](const BuiltinConfig &c) { return c.name == name; });
  if (found != std::end(table))
    return parseHfConfig(found->json, name);
  SmallVector<StringRef> names;
  for (const BuiltinConfig &config : table)
    names.push_back(config.name);
  return createStringError("built-in model '" + name + "': expected one of " +
                           join(names, ", ") + didYouMean(name, names));
}

} // namespace varve
