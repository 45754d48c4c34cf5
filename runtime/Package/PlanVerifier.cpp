//===- PlanVerifier.cpp - Whether a plan can be executed ------------------===//
//
// The rules of plan.fbs, in the order of its tables. Whoever executes a plan
// that passed needs no checks of its own.
//
//===----------------------------------------------------------------------===//

#include "runtime/Error.h"
#include "runtime/Package/PlanReader.h"
#include "varve/Package/Format.h"
#include <algorithm>
#include <set>

namespace varve::runtime {

namespace {

constexpr size_t maxRank = 8;
/// Of a weight: the bits of so many elements fit 64 bits.
constexpr int64_t maxElements = int64_t(1) << 56;
/// A thread block of any GPU so far has less.
constexpr uint32_t maxThreads = 1024;
constexpr uint32_t maxSharedBytes = 512 << 10;
/// A thread's scratch on a CPU, against plans that would eat all memory.
constexpr uint64_t maxScratchBytes = uint64_t(1) << 32;

/// The type that a port has which the runtime fills.
std::optional<TensorType> runtimePort(std::string_view name) {
  Linear tokens = Linear::ofSymbol(Symbol::Tokens);
  for (std::string_view perToken :
       {"ids", "positions", "slots", "starts", "ends"})
    if (name == perToken)
      return TensorType{Element::I32, {tokens}};
  if (name == "logit_rows")
    return TensorType{Element::I32, {Linear::ofSymbol(Symbol::Rows)}};
  if (name == "page_table")
    return TensorType{Element::I32,
                      {Linear::ofSymbol(Symbol::Slots),
                       Linear::ofSymbol(Symbol::SequencePages)}};
  return std::nullopt;
}

class Verifier {
public:
  Verifier(const std::string &place, const Plan &plan)
      : place(place), plan(plan) {}

  void verify() {
    verifyTarget();
    verifyWeights();
    verifyPools();
    verifyFiles();
    for (const Kernel &kernel : plan.kernels)
      verifyKernel(kernel);
    if (plan.programs.empty())
      damaged("the plan", "at least one program", "none");
    std::set<std::string> names;
    for (const Program &program : plan.programs) {
      if (!names.insert(program.name).second)
        damaged("program " + inQuotes(program.name), "one of that name", "two");
      verifyProgram(program);
    }
  }

private:
  [[noreturn]] void damaged(const std::string &what,
                            const std::string &expected,
                            const std::string &got) const {
    fail("{}: {}: expected {}, got {}; the package is damaged or was made by a "
         "faulty compiler: compile the model again",
         place, what, expected, got);
  }

  void require(bool good, const std::string &what, const std::string &expected,
               int64_t got) const {
    if (!good)
      damaged(what, expected, std::to_string(got));
  }

  void requireIndex(uint64_t index, size_t count, const std::string &what,
                    const char *of) const {
    if (index >= count)
      damaged(what, fmt::format("one of {} {}", count, of),
              fmt::format("number {}", index));
  }

  //===--------------------------------------------------------------------===//
  // Memory
  //===--------------------------------------------------------------------===//

  void verifyTarget() const {
    if (plan.target.empty())
      damaged("the plan", "a target", "none");
    if (plan.isCpu() == (plan.computeCapability != 0))
      damaged("target " + inQuotes(plan.target),
              "either a compute capability or a CPU level",
              plan.isCpu() ? "both" : "neither");
    const ModelInfo &model = plan.model;
    require(model.vocab > 0 && model.vocab <= INT32_MAX, "the model",
            "a vocabulary of 1 to 2^31 - 1 ids", model.vocab);
    require(model.maxPositions > 0 && model.maxPositions <= INT32_MAX,
            "the model", "1 to 2^31 - 1 positions", model.maxPositions);
    for (int64_t id : {model.bos, model.eos})
      require(id >= -1 && id < model.vocab, "the model",
              "special tokens in the vocabulary", id);
  }

  void verifyWeights() const {
    std::set<std::pair<std::string, Element>> seen;
    for (const Weight &weight : plan.weights) {
      std::string what = "weight " + inQuotes(weight.name);
      auto stars = std::count(weight.name.begin(), weight.name.end(), '*');
      if (weight.name.empty() || stars > 1)
        damaged(what, "a name with at most one '*'",
                fmt::format("{} of them", stars));
      if (!seen.insert({weight.name, weight.element}).second)
        damaged(what, "it once", "it twice");
      int64_t elements = 1;
      bool positive = !weight.shape.empty() && weight.shape.size() <= maxRank;
      for (int64_t extent : weight.shape)
        positive = positive && extent > 0 &&
                   !__builtin_mul_overflow(elements, extent, &elements);
      if (!positive || elements > maxElements ||
          (stars && weight.shape.size() < 2))
        damaged(what, stars ? "2 to 8 positive sizes" : "1 to 8 positive sizes",
                shapeText(weight.shape));
      if (bitsOf(weight.element) < 8 && weight.shape.back() % 2)
        damaged(what, "an even last size", shapeText(weight.shape));
    }
  }

  void verifyPools() const {
    int64_t page = 0;
    std::set<std::string> names;
    for (const Pool &pool : plan.pools) {
      std::string what = "pool " + inQuotes(pool.name);
      if (!names.insert(pool.name).second)
        damaged(what, "one of that name", "two");
      if (pool.kind != PoolKind::Entries)
        continue;
      require(pool.page <= INT32_MAX, what, "pages of at most 2^31 - 1 tokens",
              pool.page);
      if (page && pool.page != page)
        damaged(what, fmt::format("pages of {} tokens as in other pools", page),
                std::to_string(pool.page));
      page = pool.page;
    }
  }

  void verifyFiles() const {
    for (const KernelFile &file : plan.files)
      if (plan.isCpu() != (file.format == FileFormat::SharedObject))
        damaged("kernel file " + inQuotes(file.member),
                plan.isCpu() ? "a shared object" : "a cubin or PTX",
                "code for another kind of device");
  }

  /// Whether memory `word` lies within `bytes` bytes.
  void verifyOffset(const Word &word, const Linear &bytes,
                    const std::string &what, const std::string &memory) const {
    const Linear &offset = sizeAt(word.value, what);
    if (!offset.isNonNegative() || !offset.isAtMost(bytes))
      damaged(
          what,
          fmt::format("an offset within {} of {} bytes", memory, bytes.str()),
          offset.str());
  }

  const Linear &sizeAt(int64_t index, const std::string &what) const {
    if (index < 0 || static_cast<uint64_t>(index) >= plan.sizes.size())
      damaged(what, fmt::format("one of {} sizes", plan.sizes.size()),
              fmt::format("number {}", index));
    return plan.sizes[index];
  }

  //===--------------------------------------------------------------------===//
  // Kernels
  //===--------------------------------------------------------------------===//

  void verifyKernel(const Kernel &kernel) const {
    std::string what = "kernel " + inQuotes(kernel.name);
    requireIndex(kernel.file, plan.files.size(), what, "files");
    if (kernel.symbol.empty())
      damaged(what, "a symbol", "none");
    require(kernel.grid.size() >= 1 && kernel.grid.size() <= 3, what,
            "a grid of 1 to 3 dimensions", kernel.grid.size());
    for (const std::vector<GridOp> &ops : kernel.grid)
      verifyGrid(ops, kernel.numGridSizes, what);
    if (kernel.writes)
      for (size_t i = 0; i < kernel.writes->size(); ++i) {
        uint32_t word = (*kernel.writes)[i];
        requireIndex(word, kernel.numWords, what, "words");
        if (i > 0 && word <= (*kernel.writes)[i - 1])
          damaged(what, "written words in ascending order", "another");
      }
    if (plan.isCpu()) {
      require(kernel.scratchBytes <= maxScratchBytes, what,
              "at most 4 GiB of scratch", kernel.scratchBytes);
      require(kernel.tensorMaps.empty(), what, "no tensor maps on a CPU",
              kernel.tensorMaps.size());
      return;
    }
    require(kernel.threads >= 1 && kernel.threads <= maxThreads, what,
            "1 to 1024 threads", kernel.threads);
    require(kernel.sharedBytes <= maxSharedBytes, what,
            "at most 512 KiB of shared memory", kernel.sharedBytes);
    for (const TensorMap &map : kernel.tensorMaps) {
      require(map.box.size() >= 1 && map.box.size() <= 5, what,
              "tensor maps of 1 to 5 dimensions", map.box.size());
      for (int64_t extent : map.box)
        require(extent >= 1 && extent <= 256, what,
                "boxes of 1 to 256 elements", extent);
      if (bitsOf(map.element) < 8)
        require(map.box.back() % 2 == 0, what, "an even box of 4-bit elements",
                map.box.back());
      require(map.swizzle == 0 || map.swizzle == 32 || map.swizzle == 64 ||
                  map.swizzle == 128,
              what, "a swizzle of 0, 32, 64 or 128 bytes", map.swizzle);
    }
  }

  void verifyGrid(const std::vector<GridOp> &ops, uint32_t numSizes,
                  const std::string &what) const {
    size_t depth = 0;
    for (const GridOp &op : ops) {
      if (op.code == GridOp::Code::Constant || op.code == GridOp::Code::Size) {
        if (op.code == GridOp::Code::Size)
          requireIndex(static_cast<uint64_t>(op.value), numSizes,
                       what + ": its grid", "sizes");
        ++depth;
        continue;
      }
      if (depth < 2)
        damaged(what + ": its grid", "two numbers for an operation",
                std::to_string(depth));
      --depth;
    }
    require(depth == 1, what + ": its grid", "one number in the end", depth);
  }

  //===--------------------------------------------------------------------===//
  // Programs
  //===--------------------------------------------------------------------===//

  void verifyProgram(const Program &program) const {
    std::string what = "program " + inQuotes(program.name);
    std::set<std::string> names;
    bool hasOutput = false;
    for (const Port &port : program.ports) {
      std::string where = what + ", port " + inQuotes(port.name);
      if (port.name.empty() || !names.insert(port.name).second)
        damaged(where, "names, all different", "another one");
      verifyPort(port, where);
      hasOutput |= port.isOutput;
    }
    if (!hasOutput)
      damaged(what, "an output", "none");
    for (const Storage &storage : program.storages)
      for (const Storage::Term &term : storage.terms) {
        if (!term.bytes.isNonNegative())
          damaged(what + ", scratch", "sizes that are not negative",
                  term.bytes.str());
        for (const Storage::Limit &limit : term.limits)
          require(limit.most >= 0, what + ", scratch", "limits of at least 0",
                  limit.most);
      }
    for (const std::vector<Interval> &condition : program.conditions)
      for (const Interval &interval : condition) {
        sizeAt(interval.value, what + ", a condition");
        if (interval.low < 0 || interval.high < interval.low)
          damaged(what + ", a condition", "an interval",
                  fmt::format("[{}, {}]", interval.low, interval.high));
      }
    verifyCoverage(program, what);
    for (size_t i = 0; i < program.launches.size(); ++i)
      verifyLaunch(program, program.launches[i],
                   fmt::format("{}, launch {} ({})", what, i,
                               inQuotes(program.launches[i].name)));
  }

  void verifyPort(const Port &port, const std::string &what) const {
    if (port.type.shape.empty() || port.type.shape.size() > maxRank)
      damaged(what, "1 to 8 dimensions", port.type.str());
    for (const Linear &size : port.type.shape)
      if (!size.isNonNegative())
        damaged(what, "sizes that are not negative", port.type.str());
    // The page table, whose type is known, is a product of two sizes.
    if (!port.type.getBytes() && (port.isOutput || port.name != "page_table"))
      damaged(what, "a size that is linear and fits 64 bits", port.type.str());
    if (bitsOf(port.type.element) < 8 &&
        (!port.type.shape.back().isConstant() ||
         port.type.shape.back().constant % 2))
      damaged(what, "an even, constant last size", port.type.str());
    std::optional<TensorType> filled = runtimePort(port.name);
    if (filled && !port.isOutput &&
        (filled->element != port.type.element ||
         filled->shape != port.type.shape))
      damaged(what, filled->str(), port.type.str());
  }

  /// Strategies by size leave no size out: the intervals that conditions hold
  /// one value against cover everything from 1 on.
  void verifyCoverage(const Program &program, const std::string &what) const {
    std::set<uint32_t> values;
    for (const auto &condition : program.conditions)
      for (const Interval &interval : condition)
        values.insert(interval.value);
    for (uint32_t value : values) {
      std::vector<std::pair<int64_t, int64_t>> intervals;
      for (const auto &condition : program.conditions)
        for (const Interval &interval : condition)
          if (interval.value == value)
            intervals.emplace_back(interval.low, interval.high);
      std::sort(intervals.begin(), intervals.end());
      int64_t next = 1;
      for (auto [low, high] : intervals) {
        if (low > next)
          break;
        if (high >= next)
          next = high == INT64_MAX ? INT64_MAX : high + 1;
      }
      if (next != INT64_MAX)
        damaged(what, "strategies for every size of " + plan.sizes[value].str(),
                fmt::format("none for {}", next));
    }
  }

  void verifyWord(const Program &program, const Word &word,
                  const std::string &what) const {
    switch (word.kind) {
    case Word::Kind::Constant:
    case Word::Kind::Resident:
      return;
    case Word::Kind::Size:
      sizeAt(word.value, what);
      return;
    case Word::Kind::Port:
      requireIndex(word.index, program.ports.size(), what, "ports");
      verifyOffset(word,
                   program.ports[word.index].type.getBytes().value_or(Linear()),
                   what, "port " + inQuotes(program.ports[word.index].name));
      return;
    case Word::Kind::Weight:
      requireIndex(word.index, plan.weights.size(), what, "weights");
      verifyOffset(word,
                   Linear::ofConstant(plan.weights[word.index].getBytes()),
                   what, "weight " + inQuotes(plan.weights[word.index].name));
      return;
    case Word::Kind::Pool:
      requireIndex(word.index, plan.pools.size(), what, "pools");
      verifyOffset(word, plan.pools[word.index].bytes, what,
                   "pool " + inQuotes(plan.pools[word.index].name));
      return;
    case Word::Kind::Scratch:
      requireIndex(word.index, program.storages.size(), what,
                   "pieces of scratch");
      verifyScratch(word, program.storages[word.index], what);
      return;
    }
  }

  void verifyScratch(const Word &word, const Storage &storage,
                     const std::string &what) const {
    const Linear &offset = sizeAt(word.value, what);
    bool inside = std::any_of(
        storage.terms.begin(), storage.terms.end(),
        [&](const Storage::Term &term) { return offset.isAtMost(term.bytes); });
    if (!offset.isNonNegative() || !inside)
      damaged(what,
              fmt::format("an offset within piece {} of scratch", word.index),
              offset.str());
  }

  void verifyLaunch(const Program &program, const Launch &launch,
                    const std::string &what) const {
    requireIndex(launch.kernel, plan.kernels.size(), what, "kernels");
    const Kernel &kernel = plan.kernels[launch.kernel];
    if (launch.condition > program.conditions.size())
      damaged(what,
              fmt::format("one of {} conditions", program.conditions.size()),
              fmt::format("number {}", launch.condition));
    require(launch.words.size() == kernel.numWords, what,
            fmt::format("{} words", kernel.numWords), launch.words.size());
    require(launch.gridSizes.size() == kernel.numGridSizes, what,
            fmt::format("{} sizes of its grid", kernel.numGridSizes),
            launch.gridSizes.size());
    require(launch.maps.size() == kernel.tensorMaps.size(), what,
            fmt::format("{} tensor maps", kernel.tensorMaps.size()),
            launch.maps.size());
    for (const Word &word : launch.words) {
      if (word.kind == Word::Kind::Resident)
        damaged(what, "the number of resident blocks in a grid only",
                "an argument");
      verifyWord(program, word, what);
    }
    if (kernel.writes)
      for (uint32_t word : *kernel.writes)
        if (!launch.words[word].isAddress() ||
            launch.words[word].kind == Word::Kind::Weight)
          damaged(what, "the addresses of memory that may be written",
                  fmt::format("word {}", word));
    for (const Word &word : launch.gridSizes) {
      if (word.isAddress())
        damaged(what, "numbers for the grid", "an address");
      verifyWord(program, word, what);
    }
    for (size_t i = 0; i < launch.maps.size(); ++i)
      verifyMap(program, launch.maps[i], kernel.tensorMaps[i], what);
  }

  void verifyMap(const Program &program, const MappedView &view,
                 const TensorMap &map, const std::string &what) const {
    if (!view.address.isAddress())
      damaged(what, "an address for a tensor map", "a number");
    verifyWord(program, view.address, what);
    require(view.sizes.size() == map.box.size() &&
                view.strides.size() == map.box.size(),
            what,
            fmt::format("{} sizes and strides of a tensor map", map.box.size()),
            view.sizes.size());
    for (const std::vector<Word> *words : {&view.sizes, &view.strides})
      for (const Word &word : *words) {
        if (word.isAddress() || word.kind == Word::Kind::Resident)
          damaged(what, "numbers for a tensor map", "something else");
        verifyWord(program, word, what);
      }
  }

  const std::string &place;
  const Plan &plan;
};

} // namespace

void verifyPlan(const std::string &place, const Plan &plan) {
  Verifier(place, plan).verify();
}

} // namespace varve::runtime
