//===- ReferenceFile.h - What another implementation computed --*- C++ -*-===//
#ifndef VARVE_RUNTIME_TOOL_REFERENCEFILE_H
#define VARVE_RUNTIME_TOOL_REFERENCEFILE_H

#include "lib/Check/EndToEnd.h"
#include "runtime/Package/Plan.h"
#include "runtime/Weights/Safetensors.h"
#include <set>

namespace varve::runtime {

/// A folder's reference.safetensors; docs/testing.md describes its tensors.
class ReferenceFile {
public:
  /// Checks that the tensors that every reference has are there and fit each
  /// other and the model.
  ReferenceFile(const std::string &folder, const ModelInfo &model);

  /// Sequences and logits; refers to this object.
  const EndToEndReference &getSequences() const { return sequences; }

  /// Tokens that every sequence has before the first one of the reference,
  /// with the state that SeededState.h makes of the seed; 0: none.
  int64_t getContext() const { return context; }
  uint64_t getStateSeed() const { return stateSeed; }

  bool has(const std::string &name) const { return file->find(name); }
  /// A tensor of floating-point numbers whose leading sizes are `leading`.
  /// `shape`, if given, receives its shape.
  std::vector<float> read(const std::string &name,
                          std::span<const int64_t> leading,
                          std::vector<int64_t> *shape = nullptr) const;
  /// The same for a tensor of integers.
  std::vector<int64_t> readChoices(const std::string &name,
                                   std::span<const int64_t> leading,
                                   std::vector<int64_t> *shape = nullptr) const;
  /// Names that were never read.
  std::vector<std::string> getUnread() const;

private:
  const StoredTensor &find(const std::string &name) const;
  const StoredTensor &find(const std::string &name,
                           std::span<const int64_t> leading,
                           std::vector<int64_t> *shape) const;
  int64_t readNumber(const std::string &name) const;
  void readContext(const ModelInfo &model, int64_t length);

  std::unique_ptr<SafetensorsFile> file;
  std::vector<int64_t> ids;
  std::vector<float> prefill, decode;
  EndToEndReference sequences;
  int64_t context = 0;
  uint64_t stateSeed = 0;
  mutable std::set<std::string> readNames;
};

} // namespace varve::runtime

#endif // VARVE_RUNTIME_TOOL_REFERENCEFILE_H
