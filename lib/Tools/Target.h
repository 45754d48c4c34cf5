//===- Target.h - What executes a model ------------------------*- C++ -*-===//
#ifndef VARVE_TOOLS_TARGET_H
#define VARVE_TOOLS_TARGET_H

#include "varve/Support/NearestName.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/Error.h"
#include <array>

namespace varve {

/// `--target`. There is one executor so far: the reference interpreter.
class TargetOption {
public:
  TargetOption(llvm::cl::SubCommand &command,
               llvm::cl::OptionCategory &category)
      : target("target", llvm::cl::value_desc("name"),
               llvm::cl::init("reference"),
               llvm::cl::desc(
                   "what executes the model: reference (the interpreter)"),
               llvm::cl::sub(command), llvm::cl::cat(category)) {}

  llvm::Error check() const {
    constexpr std::array<llvm::StringRef, 1> known = {"reference"};
    if (llvm::is_contained(known, target))
      return llvm::Error::success();
    return llvm::createStringError("--target: expected reference, got '" +
                                   target + "'" +
                                   didYouMean(target.getValue(), known));
  }

private:
  llvm::cl::opt<std::string> target;
};

} // namespace varve

#endif // VARVE_TOOLS_TARGET_H
