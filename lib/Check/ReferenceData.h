//===- ReferenceData.h - What another implementation computed --*- C++ -*-===//
//
// A folder's reference.safetensors. The names of its tensors are described in
// docs/testing.md.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_CHECK_REFERENCEDATA_H
#define VARVE_CHECK_REFERENCEDATA_H

#include "lib/Checkpoint/Safetensors.h"
#include "llvm/ADT/StringSet.h"

namespace varve {

/// A stored tensor with its elements as numbers.
struct ReferenceTensor {
  llvm::SmallVector<int64_t, 4> shape;
  std::vector<float> elements;
  /// Filled instead for integer tensors.
  std::vector<int64_t> numbers;
};

class ReferenceData {
public:
  /// Opens `folder`/reference.safetensors and checks that the tensors that
  /// every reference has are there and fit each other and the model.
  static llvm::Expected<ReferenceData>
  open(llvm::StringRef folder, int64_t vocabSize, int64_t maxPositions);

  int64_t getBatch() const { return batch; }
  int64_t getPrompt() const { return prompt; } ///< tokens, prefill
  int64_t getDecode() const { return decode; } ///< tokens, one a step
  /// Tokens that every sequence has before the first one of the reference, with
  /// the state that SeededState.h makes of the seed; 0: none.
  int64_t getContext() const { return context; }
  uint64_t getStateSeed() const { return stateSeed; }
  /// Ids of sequence b: prompt and decode.
  llvm::ArrayRef<int64_t> getIds(int64_t b) const;

  bool has(llvm::StringRef name) const { return file->find(name) != nullptr; }

  /// A tensor of floating-point numbers by name. Errors: absent, another type,
  /// a rank or a dimension (-1: any) other than in `shape`.
  llvm::Expected<ReferenceTensor> read(llvm::StringRef name,
                                       llvm::ArrayRef<int64_t> shape) const;

  /// The same for integers.
  llvm::Expected<ReferenceTensor>
  readNumbers(llvm::StringRef name, llvm::ArrayRef<int64_t> shape) const;

  /// A tensor of either kind whose shape is [sequences, rows, ...].
  llvm::Expected<ReferenceTensor> readStored(llvm::StringRef name,
                                             bool integers) const;

  /// Names that read() was never asked for.
  std::vector<std::string> getUnread() const;

private:
  ReferenceData() = default;
  llvm::Expected<ReferenceTensor>
  readAs(bool integers, llvm::StringRef name,
         std::optional<llvm::ArrayRef<int64_t>> shape) const;
  llvm::Error readIds(int64_t vocabSize);
  llvm::Error readContext(int64_t maxPositions);

  std::shared_ptr<SafetensorsFile> file;
  int64_t batch = 0, prompt = 0, decode = 0;
  int64_t context = 0;
  uint64_t stateSeed = 0;
  ReferenceTensor ids;
  mutable llvm::StringSet<> readNames;
};

} // namespace varve

#endif // VARVE_CHECK_REFERENCEDATA_H
