//===- Report.h - Rows for people and programs -----------------*- C++ -*-===//
#ifndef VARVE_EXPLORE_REPORT_H
#define VARVE_EXPLORE_REPORT_H

#include "lib/Explore/Explorer.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/raw_ostream.h"

namespace varve {

/// What every report is made of. `rows` are those to show, of `result`.
struct Report {
  const ExploreResult &result;
  std::vector<Row> rows;
  std::string build;              ///< of the compiler
  std::vector<Metric> objectives; ///< of a search
};

/// The command that computes a row again.
std::string getReplayCommand(const ExploreResult &result, const Row &row);

/// A table for a terminal; at most `maxRows` rows, then how many more.
void writeTable(const Report &report, llvm::raw_ostream &os, size_t maxRows);

/// Mixes that were refused, each with op, rule and remedy; at most `maxMixes`.
void writeRefusals(const ExploreResult &result, llvm::raw_ostream &os,
                   size_t maxMixes);

/// One JSON object a line: rows with mix, options, build, replay command and
/// figures, then refused mixes with op, rule and remedy.
void writeJsonLines(const Report &report, llvm::raw_ostream &os);

/// One row as in writeJsonLines.
llvm::json::Object makeJsonRow(const Report &report, const Row &row);

/// Comma-separated values with a header line. Refused mixes have no lines.
void writeCsv(const Report &report, llvm::raw_ostream &os);

/// One page that needs nothing else: no network, no other file. `details` has
/// the ops' costs (`keepOps`) of some mixes of the report: its i-th mix is the
/// report's mix number `detailed[i]`.
void writeHtml(const Report &report, const ExploreResult &details,
               llvm::ArrayRef<unsigned> detailed, llvm::raw_ostream &os);

/// Bytes as "3.69 GB", in powers of ten.
std::string formatBytes(double bytes);

} // namespace varve

#endif // VARVE_EXPLORE_REPORT_H
