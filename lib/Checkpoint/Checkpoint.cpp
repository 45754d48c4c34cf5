//===- Checkpoint.cpp - The tensors of a model's folder -------------------===//

#include "lib/Checkpoint/Checkpoint.h"
#include "lib/Checkpoint/JsonScanner.h"
#include "lib/Checkpoint/Messages.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/Path.h"

namespace varve {

namespace path = llvm::sys::path;
namespace fs = llvm::sys::fs;

namespace {

constexpr llvm::StringLiteral singleName = "model.safetensors";
constexpr llvm::StringLiteral indexName = "model.safetensors.index.json";
constexpr llvm::StringLiteral referenceName = "reference.safetensors";

/// What an index says. The names live as long as its text and allocator.
struct ShardIndex {
  std::unique_ptr<llvm::MemoryBuffer> text;
  llvm::BumpPtrAllocator allocator;
  /// Shards in the order of their first mention, with their tensors.
  llvm::MapVector<llvm::StringRef, std::vector<llvm::StringRef>> shards;
  llvm::DenseMap<llvm::StringRef, llvm::StringRef> shardOf;
};

/// A shard lies beside its index. (It may be a symbolic link, as in download
/// caches.)
bool isPlainFileName(llvm::StringRef name) {
  return !name.empty() && name != "." && name != ".." &&
         name.find_first_of(llvm::StringRef("/\\\0", 3)) ==
             llvm::StringRef::npos;
}

llvm::Error readWeightMap(JsonScanner &scanner, ShardIndex &index) {
  return scanner.readObject([&](llvm::StringRef tensor) -> llvm::Error {
    llvm::Expected<llvm::StringRef> shard = scanner.readString();
    if (!shard)
      return shard.takeError();
    if (!isPlainFileName(*shard))
      return scanner.error("tensor " + quotedName(tensor) +
                           ": expected the name of a file beside the index "
                           "but got " +
                           quotedName(*shard));
    if (!index.shardOf.try_emplace(tensor, *shard).second)
      return scanner.error("tensor " + quotedName(tensor) + " appears twice");
    index.shards[*shard].push_back(tensor);
    return llvm::Error::success();
  });
}

llvm::Error parseIndex(ShardIndex &index) {
  llvm::StringRef text = index.text->getBuffer();
  size_t badByte = 0;
  if (!llvm::json::isUTF8(text, &badByte))
    return llvm::createStringError("not UTF-8 at byte " + llvm::Twine(badByte));
  llvm::StringSaver saver(index.allocator);
  JsonScanner scanner(text, saver);
  bool hasMap = false;
  llvm::Error e = scanner.readObject([&](llvm::StringRef key) -> llvm::Error {
    // `metadata` holds totals that some writers get wrong.
    if (key != "weight_map")
      return scanner.skipValue();
    if (std::exchange(hasMap, true))
      return scanner.error("'weight_map' appears twice");
    return readWeightMap(scanner, index);
  });
  if (!e)
    e = scanner.expectEnd();
  if (e)
    return e;
  if (!hasMap)
    return llvm::createStringError("expected a member 'weight_map'");
  return llvm::Error::success();
}

llvm::Error readIndex(llvm::StringRef file, ShardIndex &index) {
  constexpr uint64_t maxBytes = 100'000'000;
  fs::file_status status;
  if (std::error_code e = fs::status(file, status))
    return makeError(file, e.message());
  if (!fs::is_regular_file(status))
    return makeError(file, "expected a file");
  if (status.getSize() > maxBytes)
    return makeError(file, "expected an index of at most " +
                               llvm::Twine(maxBytes) + " bytes but it has " +
                               llvm::Twine(status.getSize()));
  auto text = llvm::MemoryBuffer::getFile(file, /*IsText=*/false,
                                          /*RequiresNullTerminator=*/false);
  if (!text)
    return makeError(file, text.getError().message());
  index.text = std::move(*text);
  if (llvm::Error e = parseIndex(index))
    return makeError(file, llvm::toString(std::move(e)));
  return llvm::Error::success();
}

/// Index and shard must list the same tensors.
void compareShard(const ShardIndex &index, llvm::StringRef shard,
                  llvm::ArrayRef<llvm::StringRef> listed,
                  const SafetensorsFile &file, ProblemList &problems) {
  for (llvm::StringRef tensor : listed)
    if (!file.find(tensor))
      problems.add([&] {
        return "tensor " + quotedName(tensor) + " should be in " +
               quotedName(shard) + " but is not";
      });
  for (const SafetensorsTensor &tensor : file.getTensors()) {
    auto it = index.shardOf.find(tensor.name);
    if (it == index.shardOf.end())
      problems.add([&] {
        return "tensor " + quotedName(tensor.name) + " is in " +
               quotedName(shard) + " but not in the index";
      });
    else if (it->second != shard)
      problems.add([&] {
        return "tensor " + quotedName(tensor.name) + " is in " +
               quotedName(shard) + " but should be in " +
               quotedName(it->second);
      });
  }
}

} // namespace

llvm::Expected<std::unique_ptr<Checkpoint>>
Checkpoint::open(llvm::StringRef path) {
  std::unique_ptr<Checkpoint> checkpoint(new Checkpoint(path));
  fs::file_status status;
  if (std::error_code e = fs::status(path, status))
    return makeError(path, e.message());
  llvm::Error e = fs::is_directory(status) ? checkpoint->openFolder()
                                           : checkpoint->openFile(path);
  if (e)
    return e;
  checkpoint->collectTensors();
  return checkpoint;
}

std::unique_ptr<Checkpoint>
Checkpoint::create(llvm::StringRef path,
                   std::vector<std::unique_ptr<SafetensorsFile>> files) {
  std::unique_ptr<Checkpoint> checkpoint(new Checkpoint(path));
  checkpoint->files = std::move(files);
  checkpoint->collectTensors();
  return checkpoint;
}

void Checkpoint::collectTensors() {
  for (const auto &file : files)
    for (const SafetensorsTensor &tensor : file->getTensors())
      tensors.push_back({file.get(), &tensor});
}

uint64_t Checkpoint::getBytes() const {
  uint64_t bytes = 0;
  for (const CheckpointTensor &tensor : tensors)
    bytes += tensor.info->end - tensor.info->begin;
  return bytes;
}

llvm::Error Checkpoint::openFile(llvm::StringRef file) {
  llvm::Expected<std::unique_ptr<SafetensorsFile>> opened =
      SafetensorsFile::open(file);
  if (!opened)
    return opened.takeError();
  files.push_back(std::move(*opened));
  return llvm::Error::success();
}

llvm::Error Checkpoint::openFolder() {
  llvm::SmallString<128> file(path);
  path::append(file, singleName);
  if (fs::exists(file))
    return openFile(file);
  file = path;
  path::append(file, indexName);
  if (fs::exists(file))
    return openShards(file);

  std::vector<std::string> candidates;
  std::error_code e;
  for (fs::directory_iterator it(path, e), end; it != end && !e;
       it.increment(e))
    if (path::extension(it->path()) == ".safetensors" &&
        path::filename(it->path()) != referenceName)
      candidates.push_back(it->path());
  if (e)
    return makeError(path, e.message());
  if (candidates.size() == 1)
    return openFile(candidates.front());
  if (candidates.empty())
    return makeError(path, llvm::Twine("expected a checkpoint: '") +
                               singleName + "' or '" + indexName + "'");
  llvm::sort(candidates);
  return makeError(path, "expected '" + indexName + "' beside the " +
                             llvm::Twine(candidates.size()) +
                             " files such as " +
                             quotedName(path::filename(candidates.front())) +
                             ", to say which of them make up the checkpoint");
}

llvm::Error Checkpoint::openShards(llvm::StringRef indexFile) {
  ShardIndex index;
  if (llvm::Error e = readIndex(indexFile, index))
    return e;
  ProblemList missing, problems;
  for (const auto &[shard, tensors] : index.shards) {
    llvm::SmallString<128> file(path);
    path::append(file, shard);
    if (!fs::exists(file)) {
      missing.add([&, shard = shard, count = tensors.size()] {
        return quotedName(shard) + ", for " + llvm::utostr(count) + " tensors";
      });
      continue;
    }
    if (llvm::Error e = openFile(file))
      return e;
    compareShard(index, shard, tensors, *files.back(), problems);
  }
  if (llvm::Error e =
          missing.take(indexFile, "files that the index names are missing; "
                                  "was the download complete?")) {
    llvm::consumeError(problems.take(indexFile, ""));
    return e;
  }
  return problems.take(indexFile, "the index does not match the files");
}

} // namespace varve
