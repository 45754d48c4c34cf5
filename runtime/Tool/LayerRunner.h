//===- LayerRunner.h - Layers on a reference's prompts ----------*- C++ -*-===//
#ifndef VARVE_RUNTIME_TOOL_LAYERRUNNER_H
#define VARVE_RUNTIME_TOOL_LAYERRUNNER_H

#include "runtime/Session/Session.h"
#include "runtime/Tool/ReferenceFile.h"
#include <map>

namespace varve::runtime {

/// Runs programs whose inputs and outputs have a row for every token, from the
/// state that the reference begins with.
class LayerRunner {
public:
  /// `repeat`: every sequence that often, side by side, the whole set again and
  /// again. `chunk`: most tokens of a sequence in one run; 0: all. Both outlive
  /// the runner.
  LayerRunner(Session &session, const ReferenceFile &reference, int64_t repeat,
              int64_t chunk)
      : session(session), reference(reference), repeat(repeat), chunk(chunk) {}
  ~LayerRunner() { drop(); }
  LayerRunner(const LayerRunner &) = delete;
  LayerRunner &operator=(const LayerRunner &) = delete;

  /// Dense elements of ports, by name: [sequences, prompt, ...].
  using Ports = std::map<std::string, std::vector<uint8_t>, std::less<>>;

  /// Runs a program on all prompts and returns its outputs. An input "rows" of
  /// numbers of tokens is filled in: all of them. Throws if another input is
  /// missing. Sequences are there until the next run.
  Ports run(const Program &program, const Ports &inputs);
  /// Makes room for other sequences.
  void drop();

  /// A pool of windows that is looked at after every run of tokens. Throws if
  /// there is no such pool.
  void watch(std::string pool) { watched = std::move(pool); }
  /// What was appended to it, [sequences, prompt, width].
  const std::vector<float> &getAppended() const { return appended; }

  int64_t getNumSequences() const {
    return reference.getSequences().batch * repeat;
  }
  int32_t getSlot(int64_t sequence) const { return slots[sequence]; }
  Session &getSession() { return session; }
  /// Bytes of a token's row of a port. Throws if it has no row for each.
  int64_t getRowBytes(const Port &port) const;
  /// Elements of a token's row: the sizes behind the tokens.
  std::vector<int64_t> getRowShape(const Port &port) const;

private:
  void add();
  void runPart(const Program &program, const Ports &inputs, Ports &outputs,
               int64_t begin, int64_t end);

  Session &session;
  const ReferenceFile &reference;
  int64_t repeat, chunk;
  std::vector<int32_t> slots;
  std::string watched;
  std::vector<float> appended;
};

} // namespace varve::runtime

#endif // VARVE_RUNTIME_TOOL_LAYERRUNNER_H
