//===- JsonScanner.h - JSON of a known structure, front to back -*- C++ -*-===//
//
// Checkpoint headers are JSON written by strangers, up to 100 MB of it.
// llvm::json keeps the last of two equal keys, and recurses once a bracket, so
// a hostile file could overflow the stack. This scanner visits the text once,
// recurses to a fixed depth only, keeps no tree, and reports where the text
// stops being what was expected.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_CHECKPOINT_JSONSCANNER_H
#define VARVE_CHECKPOINT_JSONSCANNER_H

#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/ADT/Twine.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/StringSaver.h"
#include <cstdint>

namespace varve {

/// Strings that it returns live as long as `text` and `saver`.
class JsonScanner {
public:
  JsonScanner(llvm::StringRef text, llvm::StringSaver &saver)
      : text(text), saver(saver) {}

  /// An object; `member` runs with the scanner at each member's value, which
  /// it must read. Equal keys are the caller's concern.
  llvm::Error
  readObject(llvm::function_ref<llvm::Error(llvm::StringRef)> member);

  /// An array; `element` runs with the scanner at each element, which it must
  /// read.
  llvm::Error readArray(llvm::function_ref<llvm::Error()> element);

  llvm::Expected<llvm::StringRef> readString();

  /// A number without sign, fraction or exponent, at most `max`.
  llvm::Expected<uint64_t> readUnsigned(uint64_t max = INT64_MAX);

  /// Any value nested at most `maxDepth` deep, without looking at it.
  llvm::Error skipValue(unsigned maxDepth = 64);

  /// Nothing but white space may follow.
  llvm::Error expectEnd();

  /// "`message` at byte N", N being the current position in the text.
  llvm::Error error(const llvm::Twine &message) const;

private:
  void skipSpace();
  bool consumeIf(char c);
  llvm::Error readSequence(char open, char close,
                           llvm::function_ref<llvm::Error()> item);
  llvm::Expected<llvm::StringRef> unescape(size_t begin);
  llvm::Expected<uint32_t> readHex4();
  llvm::Error skipScalar();

  llvm::StringRef text;
  llvm::StringSaver &saver;
  size_t position = 0;
};

} // namespace varve

#endif // VARVE_CHECKPOINT_JSONSCANNER_H
