//===- CaseWriter.h - A run of a kernel as files ---------------*- C++ -*-===//
#ifndef VARVE_TEST_UNIT_ENGINE_CASEWRITER_H
#define VARVE_TEST_UNIT_ENGINE_CASEWRITER_H

#include "KernelHarness.h"

namespace varve::test {

/// Writes what goes into a run when made and what came out of it in `finish`,
/// to a folder of its own below VARVE_CASES. Without that variable, or for runs
/// beyond the first few of a test, it does nothing.
///
/// The folder holds kernel.mlir; before.N and after.N for the memory of the
/// N-th view; and case.json: the grid, and for each argument its words
/// {"words": [hexadecimal ...]} and for views {"buffer": N, "offset": bytes of
/// the address in the buffer, "unordered": whether the order of the blocks
/// decides where its elements are}.
class CaseWriter {
public:
  CaseWriter(const std::string &text, const std::vector<Argument> &arguments,
             llvm::ArrayRef<int64_t> grid);
  void finish();

private:
  struct Buffer {
    void *data;
    size_t bytes;
  };
  std::string folder;
  std::vector<Buffer> buffers;
};

} // namespace varve::test

#endif // VARVE_TEST_UNIT_ENGINE_CASEWRITER_H
