//===- Plan.h - What the host does, decoded --------------------*- C++ -*-===//
//
// The plan of one target of a package in the form that the runtime works with.
// PlanReader makes it from a package's FlatBuffers; PlanVerifier says whether
// it can be executed. Sizes, memories and launches mean what the plan dialect
// of the compiler says (dialects/Plan).
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_RUNTIME_PACKAGE_PLAN_H
#define VARVE_RUNTIME_PACKAGE_PLAN_H

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace varve::runtime {

//===----------------------------------------------------------------------===//
// Sizes
//===----------------------------------------------------------------------===//

/// The sizes that a plan's expressions are made of.
enum class Symbol : uint8_t {
  Tokens,        ///< of this step
  Rows,          ///< of logits, of this step
  Slots,         ///< sequences that there is room for
  Pages,         ///< pages that there is room for
  SequencePages, ///< most pages of one sequence
  MaxTokens,     ///< most tokens, and most rows, of a step
};
inline constexpr size_t kNumSymbols = 6;
std::string_view symbolName(Symbol symbol);

/// Their values.
struct Sizes {
  std::array<int64_t, kNumSymbols> values = {};

  int64_t &operator[](Symbol symbol) {
    return values[static_cast<size_t>(symbol)];
  }
  int64_t operator[](Symbol symbol) const {
    return values[static_cast<size_t>(symbol)];
  }
};

/// constant + sum of factor * symbol.
struct Linear {
  int64_t constant = 0;
  std::array<int64_t, kNumSymbols> factors = {};

  static Linear ofConstant(int64_t value) { return {value, {}}; }
  static Linear ofSymbol(Symbol symbol, int64_t factor = 1) {
    Linear linear;
    linear.factors[static_cast<size_t>(symbol)] = factor;
    return linear;
  }
  bool isConstant() const { return factors == decltype(factors){}; }
  bool operator==(const Linear &) const = default;

  /// No value on overflow.
  std::optional<int64_t> tryEvaluate(const Sizes &sizes) const;
  /// Throws on overflow.
  int64_t evaluate(const Sizes &sizes) const;
  /// No value on overflow.
  std::optional<Linear> plus(const Linear &other) const;
  std::optional<Linear> times(int64_t factor) const;
  /// Whether the value is at most that of `other` for all sizes that there can
  /// be: rows are not negative, all others at least 1, tokens and rows at most
  /// max_tokens.
  bool isAtMost(const Linear &other) const;
  bool isNonNegative() const { return Linear().isAtMost(*this); }
  /// "128 slots + max_tokens".
  std::string str() const;
};

//===----------------------------------------------------------------------===//
// Tensors
//===----------------------------------------------------------------------===//

/// In the order of plan.fbs.
enum class Element : uint8_t {
  I8,
  I16,
  I32,
  I64,
  BF16,
  F16,
  F32,
  F64,
  F8E4M3,
  F8E5M2,
  F8E8M0,
  F4E2M1,
};
inline constexpr size_t kNumElements = 12;
std::string_view elementName(Element element);
unsigned bitsOf(Element element);

/// A dense, row-major tensor.
struct TensorType {
  Element element = Element::F32;
  std::vector<Linear> shape;

  /// No value if that is not linear in the sizes, or overflows.
  std::optional<Linear> getBytes() const;
  /// The shape with numbers.
  std::vector<int64_t> evaluate(const Sizes &sizes) const;
  /// "tokens x 4096 x bf16".
  std::string str() const;
};

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

enum class PoolKind : uint8_t { Window, Entries, State };

struct Pool {
  std::string name;
  PoolKind kind = PoolKind::Window;
  /// Rows of a sequence in windows and states; rows of a page of entries.
  int64_t rowsEach = 0;
  /// Tokens of a page, for entries.
  int64_t page = 0;
  int64_t rowBytes = 0;
  Linear bytes;
  std::string format;
};

struct Weight {
  /// Official name, `*` for the expert.
  std::string name;
  Element element = Element::F32;
  std::vector<int64_t> shape;

  int64_t getBytes() const;
};

/// A piece of the scratch arena: as large as the largest of its terms. Pieces
/// of one group may lie in the same place if launches run in their order.
struct Storage {
  struct Limit {
    Symbol symbol;
    int64_t most;
  };
  struct Term {
    Linear bytes;
    /// The term counts only in steps with these sizes.
    std::vector<Limit> limits;
  };
  std::vector<Term> terms;
  /// No value: a group of its own.
  std::optional<uint32_t> group;

  /// Bytes for steps up to these sizes.
  int64_t evaluate(const Sizes &most) const;
  /// Bytes in a step of exactly these sizes: none for terms beyond their
  /// limits.
  int64_t evaluateStep(const Sizes &sizes) const;
};

//===----------------------------------------------------------------------===//
// Kernels
//===----------------------------------------------------------------------===//

enum class FileFormat : uint8_t { Cubin, Ptx, SharedObject };

struct KernelFile {
  std::string member;
  FileFormat format = FileFormat::SharedObject;
};

/// One step of an expression in postfix order.
struct GridOp {
  enum class Code : uint8_t {
    Constant, ///< push `value`
    Size,     ///< push Launch::gridSizes[value]
    Add,
    Multiply,
    FloorDivide,
    CeilDivide,
    Modulo,
  };
  Code code = Code::Constant;
  int64_t value = 0;
};

/// How a kernel wants a view as a tensor map.
struct TensorMap {
  Element element = Element::F32;
  std::vector<int64_t> box; ///< elements, outermost dimension first
  uint32_t swizzle = 0;     ///< bytes: 0, 32, 64 or 128
};

struct Kernel {
  std::string name;
  std::string symbol;
  uint32_t file = 0;
  uint32_t numWords = 0;
  uint32_t numGridSizes = 0;
  /// One expression per dimension.
  std::vector<std::vector<GridOp>> grid;
  std::vector<TensorMap> tensorMaps;
  uint32_t threads = 0;            ///< NVIDIA
  uint32_t sharedBytes = 0;        ///< NVIDIA, dynamic
  uint32_t blocksPerProcessor = 0; ///< NVIDIA, that it was compiled for
  bool dependentLaunch = false;    ///< NVIDIA
  uint32_t registers = 0;          ///< NVIDIA, as reported
  uint32_t spillBytes = 0;         ///< NVIDIA, as reported
  uint64_t scratchBytes = 0;       ///< x86, per thread
  /// Words that are addresses of what it writes; no value: any of them may be.
  std::optional<std::vector<uint32_t>> writes;
};

//===----------------------------------------------------------------------===//
// Programs
//===----------------------------------------------------------------------===//

/// A number of a launch. Addresses are Plan::sizes[value] bytes behind the
/// start of the memory number `index`.
struct Word {
  enum class Kind : uint8_t {
    Constant, ///< `value`
    Size,     ///< Plan::sizes[value]
    Resident, ///< blocks of the kernel that the device runs at once
    Port,
    Weight,
    Pool,
    Scratch,
  };
  Kind kind = Kind::Constant;
  uint32_t index = 0;
  int64_t value = 0;

  bool isAddress() const { return kind >= Kind::Port; }
};

/// The view behind a tensor map: sizes in elements and strides in bytes,
/// outermost dimension first.
struct MappedView {
  Word address;
  std::vector<Word> sizes, strides;
};

struct Launch {
  uint32_t kernel = 0;
  /// 0: always; n: Program::conditions[n - 1].
  uint32_t condition = 0;
  /// What a profile shows.
  std::string name;
  std::vector<Word> words;
  std::vector<Word> gridSizes;
  std::vector<MappedView> maps;
};

/// low <= Plan::sizes[value] <= high.
struct Interval {
  uint32_t value = 0;
  int64_t low = 0;
  int64_t high = INT64_MAX;
};

struct Port {
  std::string name;
  TensorType type;
  bool isOutput = false;
};

struct Plan;

struct Program {
  std::string name;
  std::vector<Port> ports;
  std::vector<Storage> storages;
  /// A condition holds if all of its intervals do.
  std::vector<std::vector<Interval>> conditions;
  std::vector<Launch> launches;

  /// The launches whose conditions hold in a step of these sizes, by position.
  std::vector<size_t> launchesFor(const Plan &plan, const Sizes &sizes) const;

  /// Position of a port; -1 if there is none of that name.
  int findPort(std::string_view name) const;
};

//===----------------------------------------------------------------------===//
// Plan
//===----------------------------------------------------------------------===//

/// What a caller must know of the model.
struct ModelInfo {
  std::string name, layers, precision;
  int64_t vocab = 0, maxPositions = 0;
  int64_t bos = -1, eos = -1;
};

struct Plan {
  std::string target;
  /// Ten times major plus minor; 0 on x86.
  uint32_t computeCapability = 0;
  bool architectureSpecific = false;
  /// "x86-64-v3"; empty on GPUs.
  std::string cpuLevel;
  ModelInfo model;
  std::vector<Linear> sizes;
  std::vector<Weight> weights;
  std::vector<Pool> pools;
  std::vector<KernelFile> files;
  std::vector<Kernel> kernels;
  std::vector<Program> programs;

  bool isCpu() const { return !cpuLevel.empty(); }
  const Program *find(std::string_view name) const;
};

} // namespace varve::runtime

#endif // VARVE_RUNTIME_PACKAGE_PLAN_H
