//===- Commands.h - What the tools do with a package -----------*- C++ -*-===//
//
// The bodies of `varve-run run|check|bench|inspect`, which `varve` uses too for
// packages that it just compiled. Results go to standard output, everything
// for people to standard error. No exception leaves these functions: `varve`
// is compiled without.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_RUNTIME_TOOL_COMMANDS_H
#define VARVE_RUNTIME_TOOL_COMMANDS_H

#include <cstdint>
#include <string>
#include <vector>

namespace varve::runtime {

/// A package and where to run it.
struct RunTarget {
  /// Of the package; with `bytes`, a name for messages.
  std::string path;
  /// The package itself, if it is in memory.
  std::vector<uint8_t> bytes;
  /// "best", "cpu", "cuda", "cuda:N".
  std::string device = "best";
  /// A target of the package; empty: the best for the device.
  std::string target;
  /// A checkpoint, "random" or "random:SEED".
  std::string weights;
  unsigned threads = 0;
  int64_t maxSequences = 0, context = 0, maxTokens = 0, maxRows = 0, pages = 0;
  /// Layers whose routed experts serve all layers; 0: each has its own.
  int64_t expertSets = 0;
  /// Small steps are recorded as graphs and replayed, where the device can;
  /// launches that do not depend on each other overlap then, unless `inOrder`.
  bool graphs = true;
  bool inOrder = false;
};

struct RunOptions : RunTarget {
  std::string promptIds; ///< "id,id,..."; empty: the model's first token
  int64_t maxNew = 16;
  int64_t chunk = 0; ///< prompt tokens a step; 0: as many as a step takes
  double temperature = 0.0;
  double topP = 1.0;
  uint64_t seed = 0;
};

struct CheckOptions : RunTarget {
  /// With reference.safetensors.
  std::string folder;
  int64_t chunk = 0;
  bool mixed = false;
  bool layersAlone = false;
  /// With layersAlone: how often every sequence runs, side by side.
  int64_t repeat = 1;
  double rms = -1.0, max = -1.0; ///< bounds; negative: the precision's
  bool json = false;
};

struct BenchOptions : RunTarget {
  /// Sequences of a decode step, tokens of a prefill step.
  std::vector<int64_t> decode = {1}, prefill = {512};
  /// Tokens that the sequences have before.
  std::vector<int64_t> contexts = {0};
  /// A prompt's tokens and tokens to generate behind it, of one sequence; the
  /// prompt 0: no such measurement.
  int64_t prompt = 0, generated = 64;
  int64_t repetitions = 20;
  bool kernels = false;
  std::string format = "md"; ///< md, csv, json
  std::string output;        ///< a file; empty: standard output
};

struct InspectOptions : RunTarget {
  bool json = false;
};

/// Exit codes: 0 success, 1 the user's input or a comparison beyond its limits,
/// 2 usage, 3 internal, 4 the device.
int runCommand(const RunOptions &options) noexcept;
int checkCommand(const CheckOptions &options) noexcept;
int benchCommand(const BenchOptions &options) noexcept;
int inspectCommand(const InspectOptions &options) noexcept;

} // namespace varve::runtime

#endif // VARVE_RUNTIME_TOOL_COMMANDS_H
