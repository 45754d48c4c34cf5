//===- PackageBuilder.cpp - Packages made by hand -------------------------===//

#include "test/Unit/Runtime/PackageBuilder.h"
#include "varve/Package/Format.h"
#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <unistd.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

namespace varve::runtime::testing {

namespace fb = varve::package;

namespace {

std::string readFile(const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

fb::Linear linear(int64_t constant, int64_t tokens = 0, int64_t rows = 0,
                  int64_t slots = 0, int64_t pages = 0,
                  int64_t sequencePages = 0, int64_t maxTokens = 0) {
  return {constant, tokens, rows, slots, pages, sequencePages, maxTokens};
}

template <typename Vector> auto &add(Vector &vector) {
  using Object = typename Vector::value_type::element_type;
  vector.push_back(std::make_unique<Object>());
  return *vector.back();
}

} // namespace

uint32_t PackageBuilder::size(const fb::Linear &linear) {
  for (size_t i = 0; i < plan.sizes.size(); ++i)
    if (std::memcmp(&plan.sizes[i], &linear, sizeof(linear)) == 0)
      return i;
  plan.sizes.push_back(linear);
  return plan.sizes.size() - 1;
}

fb::KernelT &PackageBuilder::kernel(const std::string &name) {
  for (auto &kernel : plan.kernels)
    if (kernel->name == name)
      return *kernel;
  fb::KernelT &kernel = add(plan.kernels);
  kernel.name = kernel.symbol = name;
  kernel.num_grid_sizes = 1;
  add(kernel.grid).program = {fb::GridOp(0, fb::GridOpcode::Size)};
  return kernel;
}

fb::ProgramT &PackageBuilder::program(const std::string &name) {
  for (auto &program : plan.programs)
    if (program->name == name)
      return *program;
  fb::ProgramT &program = add(plan.programs);
  program.name = name;
  return program;
}

PackageBuilder::PackageBuilder() {
  members["x86-64/kernels.so"] = readFile(VARVE_TEST_KERNELS);
  plan.version = fb::kPlanVersion;
  plan.target = "x86-64";
  plan.cpu_level = "x86-64";
  plan.model = std::make_unique<fb::ModelT>();
  plan.model->name = "toy";
  plan.model->layers = "C";
  plan.model->precision = "f32";
  plan.model->vocab = kVocab;
  plan.model->max_positions = kMaxPositions;
  plan.model->eos = 6;
  auto &file = add(plan.files);
  file.member = "x86-64/kernels.so";
  file.format = fb::KernelFormat::SharedObject;

  uint32_t zero = size(linear(0)), tokens = size(linear(0, 1)),
           rows = size(linear(0, 0, 1)), two = size(linear(2)),
           vocab = size(linear(kVocab)), slots = size(linear(0, 0, 0, 1)),
           sequencePages = size(linear(0, 0, 0, 0, 0, 1)),
           windowSlots = size(linear(0, 0, 0, kWindow)),
           windowRows = size(linear(0, 0, 0, kWindow, 0, 0, 1)),
           stagingBytes = size(linear(0, 0, 0, 4 * kWindow)),
           entryRows = size(linear(0, 0, 0, 0, kPage / kRatio)),
           stateRows = size(linear(0, 0, 0, kState)),
           valueBytes = size(linear(0, 4));

  auto &weight = add(plan.weights);
  weight.name = "embed.weight";
  weight.element = fb::ElementType::F32;
  weight.shape = {kVocab, 2};

  auto pool = [&](const char *name, fb::PoolKind kind,
                  uint32_t count) -> auto & {
    auto &added = add(plan.pools);
    added.name = name;
    added.kind = kind;
    added.rows = count;
    added.row_bytes = 4;
    added.format = "1 x f32";
    return added;
  };
  pool("layers.0.window", fb::PoolKind::Window, windowRows).size = kWindow;
  auto &entries = pool("layers.0.entries", fb::PoolKind::Entries, entryRows);
  entries.ratio = kRatio;
  entries.page = kPage;
  pool("layers.0.state", fb::PoolKind::State, stateRows).size = kState;

  fb::ProgramT &step = program("step");
  auto port =
      [&](fb::ProgramT &program, const char *name, std::vector<uint32_t> shape,
          fb::ElementType element = fb::ElementType::I32, bool output = false) {
        auto &added = add(program.ports);
        added.name = name;
        added.element = element;
        added.shape = std::move(shape);
        added.output = output;
        return fb::Word(zero, program.ports.size() - 1, fb::WordKind::Port);
      };
  fb::Word ids = port(step, "ids", {tokens}),
           positions = port(step, "positions", {tokens}),
           slotOf = port(step, "slots", {tokens}),
           starts = port(step, "starts", {tokens}),
           ends = port(step, "ends", {tokens}),
           logitRows = port(step, "logit_rows", {rows}),
           table = port(step, "page_table", {slots, sequencePages}),
           logits =
               port(step, "logits", {rows, vocab}, fb::ElementType::F32, true);
  auto &storage = add(step.storages);
  add(storage.terms).bytes = valueBytes;
  fb::Word values(zero, 0, fb::WordKind::Scratch),
      embed(zero, 0, fb::WordKind::WeightData),
      window(zero, 0, fb::WordKind::PoolData),
      staging(stagingBytes, 0, fb::WordKind::PoolData),
      entryPool(zero, 1, fb::WordKind::PoolData),
      state(zero, 2, fb::WordKind::PoolData),
      pageCount(sequencePages, 0, fb::WordKind::Size);
  // Few and many tokens have kernels of their own.
  add(step.conditions).intervals = {fb::Interval(1, 3, tokens)};
  add(step.conditions).intervals = {fb::Interval(4, INT64_MAX, tokens)};
  auto launch = [&](fb::ProgramT &program, const char *name, uint32_t count,
                    std::vector<fb::Word> words, uint32_t condition = 0) {
    fb::KernelT &used = kernel(name);
    used.num_words = words.size();
    auto &added = add(program.launches);
    for (size_t i = 0; i < plan.kernels.size(); ++i)
      if (plan.kernels[i].get() == &used)
        added.kernel = i;
    added.condition = condition;
    added.name = std::string("layers.0.") + name;
    added.words = std::move(words);
    added.grid_sizes = {fb::Word(count, 0, fb::WordKind::Size)};
  };
  std::vector<fb::Word> stageWords = {ids, slotOf, embed, values, staging};
  launch(step, "stage", tokens, stageWords, 1);
  launch(step, "stage", tokens, stageWords, 2);
  launch(
      step, "compress", tokens,
      {values, positions, slotOf, starts, state, entryPool, table, pageCount});
  launch(step, "head", rows,
         {logitRows, positions, slotOf, starts, window,
          fb::Word(windowSlots, 0, fb::WordKind::Size), entryPool, table,
          pageCount, logits});
  kernel("head").scratch_bytes = 8;
  launch(step, "commit", tokens,
         {values, positions, slotOf, ends, window, state});

  fb::ProgramT &layer = program("layers.0");
  fb::Word streams =
      port(layer, "streams", {tokens, two}, fb::ElementType::F32);
  fb::Word layerPositions = port(layer, "positions", {tokens});
  fb::Word result =
      port(layer, "result", {tokens, two}, fb::ElementType::F32, true);
  launch(layer, "layer", tokens, {streams, layerPositions, result});
  kernel("stage").writes = {3, 4};
  kernel("compress").writes = {5};
  kernel("head").writes = {9};
  kernel("commit").writes = {4, 5};
  kernel("layer").writes = {2};
}

PackageBuilder PackageBuilder::forGpu() {
  PackageBuilder builder;
  fb::PlanT &plan = builder.plan;
  plan.target = "sm_90a";
  plan.cpu_level = "";
  plan.compute_capability = 90;
  plan.architecture_specific = true;
  plan.files[0]->member = "sm_90a/kernels.ptx";
  plan.files[0]->format = fb::KernelFormat::Ptx;
  for (auto &kernel : plan.kernels) {
    kernel->threads = 128;
    kernel->scratch_bytes = 0;
  }
  builder.members = {
      {"sm_90a/kernels.ptx", builder.members.begin()->second + '\0'}};
  return builder;
}

std::vector<uint8_t> PackageBuilder::writePlan() const {
  flatbuffers::FlatBufferBuilder builder;
  builder.Finish(fb::Plan::Pack(builder, &plan), fb::PlanIdentifier());
  return {builder.GetBufferPointer(),
          builder.GetBufferPointer() + builder.GetSize()};
}

std::vector<uint8_t> PackageBuilder::write() const {
  std::vector<uint8_t> bytes = writePlan();
  std::vector<std::pair<std::string, std::string>> all = {
      {"manifest.json", "{}"},
      {plan.target + "/plan", std::string(bytes.begin(), bytes.end())}};
  all.insert(all.end(), members.begin(), members.end());
  return writeZip(all);
}

std::shared_ptr<const Package> PackageBuilder::open() const {
  return Package::ofBytes("toy.varve", write());
}

//===----------------------------------------------------------------------===//
// Files
//===----------------------------------------------------------------------===//

static void put(std::string &out, uint64_t value, size_t bytes) {
  for (size_t i = 0; i < bytes; ++i, value >>= 8)
    out += static_cast<char>(value);
}

std::vector<uint8_t>
writeZip(const std::vector<std::pair<std::string, std::string>> &members,
         std::string_view commentPrefix) {
  std::string out, directory;
  for (const auto &[name, data] : members) {
    size_t offset = out.size();
    // Version, flags, method, time, date, checksum, sizes, lengths.
    auto header = [&](std::string &to, size_t extra) {
      put(to, 10, 2);
      put(to, fb::kFlagUtf8, 2);
      put(to, 0, 2);
      put(to, 0, 2);
      put(to, fb::kDosDate, 2);
      put(to, 0, 4);
      put(to, data.size(), 4);
      put(to, data.size(), 4);
      put(to, name.size(), 2);
      put(to, extra, 2);
    };
    size_t alignment = fb::kMemberAlignment;
    size_t unpadded = offset + fb::kLocalHeaderSize + name.size() + 4;
    size_t padding = (alignment - unpadded % alignment) % alignment;
    put(out, fb::kLocalHeaderSignature, 4);
    header(out, 4 + padding);
    out += name;
    put(out, fb::kPaddingFieldId, 2);
    put(out, padding, 2);
    out.append(padding, '\0');
    out += data;
    put(directory, fb::kDirectoryEntrySignature, 4);
    put(directory, 10, 2);
    header(directory, 0);
    put(directory, 0, 2 + 2 + 2 + 4);
    put(directory, offset, 4);
    directory += name;
  }
  size_t directoryOffset = out.size();
  out += directory;
  put(out, fb::kDirectoryEndSignature, 4);
  put(out, 0, 4);
  put(out, members.size(), 2);
  put(out, members.size(), 2);
  put(out, directory.size(), 4);
  put(out, directoryOffset, 4);
  put(out, commentPrefix.size() + fb::kDigestDigits, 2);
  out += commentPrefix;
  out.append(fb::kDigestDigits, '0');
  std::vector<uint8_t> bytes(out.begin(), out.end());
  sealDigest(bytes);
  return bytes;
}

void sealDigest(std::vector<uint8_t> &bytes) {
  size_t covered = bytes.size() - fb::kDigestDigits;
  XXH128_hash_t hash = XXH3_128bits(bytes.data(), covered);
  char digits[fb::kDigestDigits + 1];
  std::snprintf(digits, sizeof(digits), "%016llx%016llx",
                static_cast<unsigned long long>(hash.high64),
                static_cast<unsigned long long>(hash.low64));
  std::memcpy(bytes.data() + covered, digits, fb::kDigestDigits);
}

std::string writeSafetensors(const std::vector<TensorSpec> &tensors) {
  std::string header = "{", data;
  for (const TensorSpec &tensor : tensors) {
    std::string shape;
    for (int64_t extent : tensor.shape)
      shape += (shape.empty() ? "" : ",") + std::to_string(extent);
    header += (header.size() > 1 ? "," : "");
    header += "\"" + tensor.name + "\":{\"dtype\":\"" + tensor.type +
              "\",\"shape\":[" + shape + "],\"data_offsets\":[" +
              std::to_string(data.size()) + "," +
              std::to_string(data.size() + tensor.bytes.size()) + "]}";
    data += tensor.bytes;
  }
  header += "}";
  header.resize((header.size() + 7) / 8 * 8, ' ');
  std::string out;
  put(out, header.size(), 8);
  return out + header + data;
}

std::string freshFolder(const std::string &name) {
  std::filesystem::path path = std::filesystem::temp_directory_path() /
                               ("varve-" + std::to_string(::getpid())) / name;
  std::filesystem::remove_all(path);
  std::filesystem::create_directories(path);
  return path.string();
}

void writeFile(const std::string &path, const std::string &bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

template <typename Number>
static std::string bytesOf(const std::vector<Number> &numbers) {
  return std::string(reinterpret_cast<const char *>(numbers.data()),
                     numbers.size() * sizeof(Number));
}

void writeCheckpoint(const std::string &folder) {
  std::vector<float> embed;
  for (int i = 0; i < kVocab; ++i)
    embed.insert(embed.end(), {i + 1.0f, 0.0f});
  writeFile(
      folder + "/model.safetensors",
      writeSafetensors(
          {{"model.embed_tokens.weight", "F32", {kVocab, 2}, bytesOf(embed)}}));
}

std::string writeCheckpoint() {
  std::string folder = freshFolder("checkpoint");
  writeCheckpoint(folder);
  return folder;
}

std::vector<float> expectedLogits(const std::vector<int64_t> &ids) {
  auto value = [&](int64_t q) { return static_cast<float>(ids[q] + 1); };
  int64_t position = static_cast<int64_t>(ids.size()) - 1;
  float window = 0, entries = 0;
  for (int64_t q = std::max<int64_t>(0, position - kWindow + 1); q <= position;
       ++q)
    window += value(q);
  for (int64_t w = 0; w < (position + 1) / kRatio; ++w)
    for (int64_t q = w * kRatio; q < (w + 1) * kRatio; ++q)
      entries += static_cast<float>(w + 1) * value(q);
  std::vector<float> logits;
  for (int64_t v = 0; v < kVocab; ++v)
    logits.push_back((window + 1000 * entries) * static_cast<float>(v + 1));
  return logits;
}

void writeReference(const std::string &folder) {
  constexpr int64_t batch = 2, prompt = 13, decode = 9;
  std::vector<int64_t> ids;
  std::vector<float> prefillLogits, decodeLogits, before, after;
  for (int64_t b = 0; b < batch; ++b) {
    std::vector<int64_t> sequence;
    for (int64_t p = 0; p < prompt + decode; ++p) {
      sequence.push_back((3 * p + 5 * b) % kVocab);
      std::vector<float> logits = expectedLogits(sequence);
      std::vector<float> &all = p < prompt ? prefillLogits : decodeLogits;
      all.insert(all.end(), logits.begin(), logits.end());
      for (int i = 0; i < 2 && p < prompt; ++i) {
        before.push_back(static_cast<float>(p + 10 * i - b));
        after.push_back(2 * before.back() + static_cast<float>(p));
      }
    }
    ids.insert(ids.end(), sequence.begin(), sequence.end());
  }
  writeFile(folder + "/reference.safetensors",
            writeSafetensors(
                {{"input_ids", "I64", {batch, prompt + decode}, bytesOf(ids)},
                 {"prefill_logits",
                  "F32",
                  {batch, prompt, kVocab},
                  bytesOf(prefillLogits)},
                 {"decode_logits",
                  "F32",
                  {batch, decode, kVocab},
                  bytesOf(decodeLogits)},
                 {"hidden.0", "F32", {batch, prompt, 2}, bytesOf(before)},
                 {"hidden.1", "F32", {batch, prompt, 2}, bytesOf(after)}}));
}

} // namespace varve::runtime::testing
