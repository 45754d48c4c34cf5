//===- PlanReader.cpp - From FlatBuffers to a plan ------------------------===//

#include "runtime/Package/PlanReader.h"
#include "runtime/Error.h"
#include "varve/Package/Format.h"
#include "varve/Package/plan_generated.h"
#include <cstring>

namespace varve::runtime {

namespace fb = varve::package;

namespace {

/// Elements of a vector that may be absent.
template <typename Vector> size_t sizeOf(const Vector *vector) {
  return vector ? vector->size() : 0;
}

std::string textOf(const flatbuffers::String *string) {
  return string ? string->str() : std::string();
}

class Decoder {
public:
  Decoder(const std::string &place, const fb::Plan &source)
      : place(place), source(source) {}

  Plan decode() {
    if (source.version() != fb::kPlanVersion)
      fail("{}: the plan has version {}, but this runtime reads version {}; "
           "compile the model with the Varve that this runtime belongs to",
           place, source.version(), fb::kPlanVersion);
    Plan plan;
    plan.target = textOf(source.target());
    plan.computeCapability = source.compute_capability();
    plan.architectureSpecific = source.architecture_specific();
    plan.cpuLevel = textOf(source.cpu_level());
    plan.model = decodeModel(*source.model());
    for (const fb::Linear *linear : *alignedOf(source.sizes()))
      plan.sizes.push_back(decodeLinear(*linear));
    sizes = plan.sizes;
    for (size_t i = 0; i < sizeOf(source.weights()); ++i)
      plan.weights.push_back(decodeWeight(*source.weights()->Get(i)));
    for (size_t i = 0; i < sizeOf(source.pools()); ++i)
      plan.pools.push_back(decodePool(*source.pools()->Get(i)));
    for (const fb::KernelFile *file : *source.files())
      plan.files.push_back(
          {textOf(file->member()),
           enumOf<FileFormat>(file->format(), fb::KernelFormat::MAX,
                              "format of a kernel file")});
    for (const fb::Kernel *kernel : *source.kernels())
      plan.kernels.push_back(decodeKernel(*kernel));
    for (const fb::Program *program : *source.programs())
      plan.programs.push_back(decodeProgram(*program));
    return plan;
  }

private:
  template <typename To, typename From>
  To enumOf(From value, From most, const char *what) {
    if (static_cast<unsigned>(value) > static_cast<unsigned>(most))
      fail("{}: the plan has an unknown {}, {}; compile the model again", place,
           what, static_cast<unsigned>(value));
    return static_cast<To>(value);
  }

  /// A vector of structs, which FlatBuffers' verifier lets begin anywhere.
  template <typename Struct>
  const flatbuffers::Vector<const Struct *> *
  alignedOf(const flatbuffers::Vector<const Struct *> *vector) {
    if (vector && vector->size() &&
        reinterpret_cast<uintptr_t>(vector->Data()) % alignof(Struct) != 0)
      fail("{}: the plan is damaged: its structs are not aligned; compile or "
           "copy the package again",
           place);
    return vector;
  }

  Element elementOf(fb::ElementType type) {
    return enumOf<Element>(type, fb::ElementType::MAX, "element type");
  }

  static Linear decodeLinear(const fb::Linear &linear) {
    return {linear.constant(),
            {linear.tokens(), linear.rows(), linear.slots(), linear.pages(),
             linear.sequence_pages(), linear.max_tokens()}};
  }

  const Linear &sizeAt(int64_t index, const std::string &what) {
    if (index < 0 || static_cast<uint64_t>(index) >= sizes.size())
      fail("{}: {} refers to size {}, but the plan has {}; compile the model "
           "again",
           place, what, index, sizes.size());
    return sizes[index];
  }

  static ModelInfo decodeModel(const fb::Model &model) {
    return {
        textOf(model.name()), textOf(model.layers()), textOf(model.precision()),
        model.vocab(),        model.max_positions(),  model.bos(),
        model.eos()};
  }

  Weight decodeWeight(const fb::Weight &weight) {
    Weight result{textOf(weight.name()), elementOf(weight.element()), {}};
    result.shape.assign(weight.shape()->begin(), weight.shape()->end());
    return result;
  }

  Pool decodePool(const fb::Pool &pool) {
    Pool result;
    result.name = textOf(pool.name());
    result.kind = enumOf<PoolKind>(pool.kind(), fb::PoolKind::MAX, "pool kind");
    std::string what = "pool " + inQuotes(result.name);
    auto damaged = [&](const char *why) {
      fail("{}: {}: expected {}; compile the model again", place, what, why);
    };
    Linear rows;
    if (result.kind == PoolKind::Entries) {
      if (pool.ratio() <= 0 || pool.page() <= 0 ||
          pool.page() % pool.ratio() != 0 || pool.size() != 0)
        damaged("a ratio that divides the page, and no size");
      result.rowsEach = pool.page() / pool.ratio();
      result.page = pool.page();
      rows = Linear::ofSymbol(Symbol::Pages, result.rowsEach);
    } else {
      if (pool.size() <= 0 || pool.ratio() != 0 || pool.page() != 0)
        damaged("a size, and neither ratio nor page");
      result.rowsEach = pool.size();
      rows = Linear::ofSymbol(Symbol::Slots, result.rowsEach);
      if (result.kind == PoolKind::Window)
        rows = *rows.plus(Linear::ofSymbol(Symbol::MaxTokens));
    }
    const Linear &stored = sizeAt(pool.rows(), what);
    if (stored != rows)
      fail("{}: {}: expected {} rows, got {}; compile the model again", place,
           what, rows.str(), stored.str());
    result.rowBytes = pool.row_bytes();
    std::optional<Linear> bytes =
        result.rowBytes > 0 ? rows.times(result.rowBytes) : std::nullopt;
    if (!bytes)
      damaged("rows of a positive number of bytes whose sum fits 64 bits");
    result.bytes = *bytes;
    result.format = textOf(pool.format());
    return result;
  }

  Kernel decodeKernel(const fb::Kernel &kernel) {
    Kernel result;
    result.name = textOf(kernel.name());
    result.symbol = textOf(kernel.symbol());
    result.file = kernel.file();
    result.numWords = kernel.num_words();
    result.numGridSizes = kernel.num_grid_sizes();
    for (const fb::GridExtent *extent : *kernel.grid()) {
      std::vector<GridOp> &ops = result.grid.emplace_back();
      for (const fb::GridOp *op : *alignedOf(extent->program()))
        ops.push_back({enumOf<GridOp::Code>(op->opcode(), fb::GridOpcode::MAX,
                                            "operation of a grid"),
                       op->value()});
    }
    for (size_t i = 0; i < sizeOf(kernel.tensor_maps()); ++i) {
      const fb::TensorMap &map = *kernel.tensor_maps()->Get(i);
      TensorMap &added = result.tensorMaps.emplace_back();
      added.element = elementOf(map.element());
      added.box.assign(map.box()->begin(), map.box()->end());
      added.swizzle = map.swizzle();
    }
    result.threads = kernel.threads();
    result.sharedBytes = kernel.shared_bytes();
    result.blocksPerProcessor = kernel.blocks_per_multiprocessor();
    result.dependentLaunch = kernel.dependent_launch();
    result.registers = kernel.registers();
    result.spillBytes = kernel.spill_bytes();
    result.scratchBytes = kernel.scratch_bytes();
    if (const auto *writes = kernel.writes())
      result.writes.emplace(writes->begin(), writes->end());
    return result;
  }

  Word decodeWord(const fb::Word &word) {
    return {enumOf<Word::Kind>(word.kind(), fb::WordKind::MAX, "kind of word"),
            word.index(), word.value()};
  }

  std::vector<Word>
  decodeWords(const flatbuffers::Vector<const fb::Word *> *words) {
    std::vector<Word> result;
    alignedOf(words);
    result.reserve(sizeOf(words));
    for (size_t i = 0; i < sizeOf(words); ++i)
      result.push_back(decodeWord(*words->Get(i)));
    return result;
  }

  Program decodeProgram(const fb::Program &program) {
    Program result;
    result.name = textOf(program.name());
    for (const fb::Port *port : *program.ports()) {
      Port &added = result.ports.emplace_back();
      added.name = textOf(port->name());
      added.type.element = elementOf(port->element());
      for (uint32_t size : *port->shape())
        added.type.shape.push_back(sizeAt(size, "port " + inQuotes(added.name) +
                                                    " of program " +
                                                    inQuotes(result.name)));
      added.isOutput = port->output();
    }
    for (size_t i = 0; i < sizeOf(program.storages()); ++i)
      result.storages.push_back(
          decodeStorage(*program.storages()->Get(i), result.name));
    for (size_t i = 0; i < sizeOf(program.conditions()); ++i) {
      auto &intervals = result.conditions.emplace_back();
      for (const fb::Interval *interval :
           *alignedOf(program.conditions()->Get(i)->intervals()))
        intervals.push_back(
            {interval->value(), interval->low(), interval->high()});
    }
    result.launches.reserve(program.launches()->size());
    for (const fb::Launch *launch : *program.launches())
      result.launches.push_back(decodeLaunch(*launch));
    return result;
  }

  Storage decodeStorage(const fb::Storage &storage,
                        const std::string &program) {
    Storage result;
    for (const fb::StorageTerm *term : *storage.terms()) {
      Storage::Term &added = result.terms.emplace_back();
      added.bytes =
          sizeAt(term->bytes(), "scratch of program " + inQuotes(program));
      alignedOf(term->limits());
      for (size_t i = 0; i < sizeOf(term->limits()); ++i) {
        const fb::Limit &limit = *term->limits()->Get(i);
        added.limits.push_back({enumOf<Symbol>(limit.symbol(), fb::Symbol::MAX,
                                               "symbol of a size"),
                                limit.most()});
      }
    }
    if (storage.group() >= 0)
      result.group = storage.group();
    return result;
  }

  Launch decodeLaunch(const fb::Launch &launch) {
    Launch result;
    result.kernel = launch.kernel();
    result.condition = launch.condition();
    result.name = textOf(launch.name());
    result.words = decodeWords(launch.words());
    result.gridSizes = decodeWords(launch.grid_sizes());
    for (size_t i = 0; i < sizeOf(launch.maps()); ++i) {
      const fb::MappedView &view = *launch.maps()->Get(i);
      result.maps.push_back({decodeWord(*view.address()),
                             decodeWords(view.sizes()),
                             decodeWords(view.strides())});
    }
    return result;
  }

  const std::string &place;
  const fb::Plan &source;
  std::vector<Linear> sizes;
};

} // namespace

Plan readPlan(const std::string &place, Bytes bytes) {
  // FlatBuffers reads numbers where they lie. A package that another tool
  // packed again may have its plan anywhere.
  std::vector<uint64_t> aligned;
  if (reinterpret_cast<uintptr_t>(bytes.data()) % sizeof(uint64_t) != 0) {
    aligned.resize(bytes.size() / sizeof(uint64_t) + 1);
    std::memcpy(aligned.data(), bytes.data(), bytes.size());
    bytes = {reinterpret_cast<const uint8_t *>(aligned.data()), bytes.size()};
  }
  flatbuffers::Verifier verifier(bytes.data(), bytes.size());
  if (bytes.size() < 8 || !fb::PlanBufferHasIdentifier(bytes.data()))
    fail("{}: expected a plan (FlatBuffers with identifier '{}'); compile the "
         "model again",
         place, fb::PlanIdentifier());
  if (!fb::VerifyPlanBuffer(verifier))
    fail("{}: the plan is damaged: its FlatBuffers refer beyond their end; "
         "compile or copy the package again",
         place);
  return Decoder(place, *fb::GetPlan(bytes.data())).decode();
}

} // namespace varve::runtime
