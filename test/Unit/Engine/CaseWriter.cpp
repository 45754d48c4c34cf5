//===- CaseWriter.cpp - A run of a kernel as files ------------------------===//

#include "CaseWriter.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/raw_ostream.h"

#include <cstdlib>
#include <map>

using namespace varve::test;

/// Runs of one test that are written, and bytes of one case.
static constexpr int kRuns = 6;
static constexpr size_t kBytes = 2 << 20;

static void writeFile(const std::string &path, llvm::StringRef bytes) {
  std::error_code error;
  llvm::raw_fd_ostream out(path, error);
  ASSERT_FALSE(error) << path << ": " << error.message();
  out << bytes;
}

CaseWriter::CaseWriter(const std::string &text,
                       const std::vector<Argument> &arguments,
                       llvm::ArrayRef<int64_t> grid) {
  const char *root = std::getenv("VARVE_CASES");
  if (!root)
    return;
  size_t bytes = 0;
  for (const Argument &argument : arguments)
    bytes += argument.bytes;
  const testing::TestInfo *test =
      testing::UnitTest::GetInstance()->current_test_info();
  std::string name = std::string(test->test_suite_name()) + "." + test->name();
  for (char &c : name)
    if (c == '/')
      c = '-';
  static std::map<std::string, int> runs;
  int run = runs[name]++;
  if (run >= kRuns || bytes > kBytes)
    return;
  folder = std::string(root) + "/" + name + "." + std::to_string(run);
  if (llvm::sys::fs::create_directories(folder)) {
    ADD_FAILURE() << "cannot make " << folder;
    folder.clear();
    return;
  }

  llvm::json::Array described;
  for (const Argument &argument : arguments) {
    llvm::json::Array words;
    for (uint64_t word : argument.words)
      words.push_back("0x" + llvm::utohexstr(word));
    llvm::json::Object object{{"words", std::move(words)}};
    if (argument.data) {
      // Views of one array share it.
      size_t number = 0;
      while (number < buffers.size() && buffers[number].data != argument.data)
        ++number;
      if (number == buffers.size())
        buffers.push_back({argument.data, argument.bytes});
      object["buffer"] = static_cast<int64_t>(number);
      object["unordered"] = argument.isUnordered;
      object["offset"] = static_cast<int64_t>(
          argument.words[0] - reinterpret_cast<uint64_t>(argument.data));
    }
    described.push_back(std::move(object));
  }
  for (size_t i = 0; i < buffers.size(); ++i)
    writeFile(folder + "/before." + std::to_string(i),
              {static_cast<const char *>(buffers[i].data), buffers[i].bytes});
  llvm::json::Value value = llvm::json::Object{
      {"grid", llvm::json::Array(grid)}, {"arguments", std::move(described)}};
  writeFile(folder + "/case.json", llvm::formatv("{0:2}\n", value).str());
  writeFile(folder + "/kernel.mlir", text);
}

void CaseWriter::finish() {
  if (folder.empty())
    return;
  for (size_t i = 0; i < buffers.size(); ++i)
    writeFile(folder + "/after." + std::to_string(i),
              {static_cast<const char *>(buffers[i].data), buffers[i].bytes});
}
