//===- Target.h - What executes a model ------------------------*- C++ -*-===//
#ifndef VARVE_TOOLS_TARGET_H
#define VARVE_TOOLS_TARGET_H

#include "llvm/Support/CommandLine.h"
#include "llvm/Support/Error.h"
#include <string>

namespace varve {

/// Whether `name` is "native" (the best device of this machine), "cpu", or a
/// target's name.
llvm::Error checkTarget(llvm::StringRef name);

/// `--target`: the reference interpreter, or a target that the model is
/// compiled for and run on.
class TargetOption {
public:
  /// `byDefault` is what a command takes that does not name one.
  TargetOption(llvm::cl::SubCommand &command,
               llvm::cl::OptionCategory &category,
               llvm::StringRef byDefault = "reference")
      : description(("what executes the model: reference (the interpreter), "
                     "native (the best device of this machine), cpu, or a "
                     "target such as sm_90a (default " +
                     byDefault + ")")
                        .str()),
        target("target", llvm::cl::value_desc("name"),
               llvm::cl::init(byDefault.str()), llvm::cl::desc(description),
               llvm::cl::sub(command), llvm::cl::cat(category)) {}

  const std::string &getName() const { return target.getValue(); }
  bool isReference() const { return target == "reference"; }

  /// Errors name the nearest target.
  llvm::Error check() const {
    return isReference() ? llvm::Error::success() : checkTarget(target);
  }

private:
  /// The option refers to it.
  std::string description;
  llvm::cl::opt<std::string> target;
};

} // namespace varve

#endif // VARVE_TOOLS_TARGET_H
