//===- JsonFields.h - Checked access to the fields of a JSON object -*-C++-*-=//
//
// What the readers of configurations and policies stand on: a parser that
// refuses what llvm::json lets pass (duplicate names, nesting that exhausts
// the stack), and typed access to fields in which every mistake becomes one
// message of the form
//
//   <file>: field '<path>': expected <what>, got <what>[; did you mean ...?]
//
// Invariant: after the first mistake the reader goes on with harmless values,
// and only that first mistake is reported.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_SUPPORT_JSONFIELDS_H
#define VARVE_SUPPORT_JSONFIELDS_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/ADT/Twine.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/JSON.h"
#include <optional>
#include <string>
#include <vector>

namespace varve {

/// Parses `text` to an object. `fileName` is for messages.
llvm::Expected<llvm::json::Object> parseJsonObject(llvm::StringRef text,
                                                   llvm::StringRef fileName);

/// `text` in double quotes, escaped, cut where it is long.
std::string quoted(llvm::StringRef text);

/// A short rendering of `value` for "got": scalars in full (long strings cut),
/// "an array of 3" and "an object" otherwise.
std::string describeJson(const llvm::json::Value &value);

/// The decimal with the fewest digits that reads back as `number`.
std::string shortestDecimal(double number);

/// Keeps the first mistake found in one file.
class FirstError {
public:
  explicit FirstError(llvm::StringRef fileName) : fileName(fileName) {}

  void report(llvm::StringRef path, const llvm::Twine &text);
  explicit operator bool() const { return !message.empty(); }
  /// Success when nothing was reported.
  llvm::Error take() const;

private:
  std::string fileName;
  std::string message;
};

/// The fields of one JSON object. Absent and null are the same to the optional
/// accessors, as they are to transformers; the required ones refuse both.
class JsonFields {
public:
  JsonFields(const llvm::json::Object &object, llvm::StringRef prefix,
             FirstError &errors)
      : object(&object), prefix(prefix), errors(&errors) {}

  /// Present and not null.
  bool has(llvm::StringRef name) const;

  std::optional<int64_t> integer(llvm::StringRef name) const;
  std::optional<double> number(llvm::StringRef name) const;
  std::optional<bool> boolean(llvm::StringRef name) const;
  std::optional<llvm::StringRef> string(llvm::StringRef name) const;
  std::optional<std::vector<int64_t>> integers(llvm::StringRef name) const;
  std::optional<std::vector<llvm::StringRef>>
  strings(llvm::StringRef name) const;
  std::optional<JsonFields> nested(llvm::StringRef name) const;

  /// As above; absence is a mistake, answered with 0 or "".
  int64_t requiredInteger(llvm::StringRef name) const;
  double requiredNumber(llvm::StringRef name) const;
  llvm::StringRef requiredString(llvm::StringRef name) const;

  /// Refuses names outside `known`. A leading underscore marks what a writer
  /// noted for itself; such fields never describe the model.
  void refuseUnknown(llvm::ArrayRef<llvm::StringRef> known) const;

  /// Reports "field 'name': expected <expected>, got <the field's value>".
  void mismatch(llvm::StringRef name, const llvm::Twine &expected) const;
  /// Reports "field 'name': expected <expected>, got <got>".
  void mismatch(llvm::StringRef name, const llvm::Twine &expected,
                const llvm::Twine &got) const;

  std::string pathOf(const llvm::Twine &name) const {
    return (prefix + name).str();
  }

private:
  const llvm::json::Value *find(llvm::StringRef name) const;
  void missing(llvm::StringRef name, llvm::StringRef what) const;

  const llvm::json::Object *object;
  std::string prefix;
  FirstError *errors;
};

/// `value` as an integer, when it is one and small enough (2^53) to be the
/// same number to every JSON reader.
std::optional<int64_t> exactInteger(const llvm::json::Value &value);

} // namespace varve

#endif // VARVE_SUPPORT_JSONFIELDS_H
