//===- Variants.cpp - Pools as a mix wants them ---------------------------===//

#include "lib/Explore/Variants.h"
#include "dialects/Varve/Varve.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
using namespace mlir::varve;
using llvm::createStringError;
using llvm::Error;
using llvm::Expected;

namespace varve {

namespace {
enum class Target { Window, Entries, Keys };

/// A parsed `select.` value.
struct Selection {
  int64_t keep = 0, every = 1;
  SelectScore score = SelectScore::Position;
};
} // namespace

static Error badSetting(const Setting &setting, const llvm::Twine &expected) {
  return createStringError("set '" + setting.name + "=" + setting.value +
                           "': expected " + expected);
}

static std::optional<Target> parseTarget(StringRef name) {
  return llvm::StringSwitch<std::optional<Target>>(name)
      .Case("window", Target::Window)
      .Case("entries", Target::Entries)
      .Case("keys", Target::Keys)
      .Default(std::nullopt);
}

bool isVariantSetting(StringRef name) {
  return name.starts_with("pool.") || name.starts_with("select.");
}

static Expected<Selection> parseSelection(const Setting &setting) {
  auto [keep, rest] = StringRef(setting.value).split(':');
  auto [score, every] = rest.split(':');
  Selection selection;
  bool bad = keep.getAsInteger(10, selection.keep);
  if (!score.empty()) {
    std::optional<SelectScore> parsed = symbolizeSelectScore(score);
    bad |= !parsed;
    selection.score = parsed.value_or(SelectScore::Position);
  }
  if (!every.empty())
    bad |= every.getAsInteger(10, selection.every);
  auto isCount = [](int64_t n) { return n >= 1 && llvm::isUInt<31>(n); };
  if (bad || !isCount(selection.keep) || !isCount(selection.every))
    return badSetting(setting, "KEEP[:SCORE[:EVERY]] with positive numbers and "
                               "a score of position, attention or key, like "
                               "4096:attention or 2048:key:128");
  return selection;
}

Error checkVariantSetting(const Setting &setting) {
  auto [family, target] = StringRef(setting.name).split('.');
  if (!parseTarget(target))
    return createStringError("set '" + setting.name + "': expected " + family +
                             ".window, " + family + ".entries or " + family +
                             ".keys");
  if (family == "select")
    return parseSelection(setting).takeError();
  if (!llvm::is_contained({"f32", "bf16", "fp8", "fp4"}, setting.value))
    return badSetting(setting, "f32, bf16, fp8 or fp4");
  return Error::success();
}

//===----------------------------------------------------------------------===//
// Formats
//===----------------------------------------------------------------------===//

/// Rotary dimensions at the end of the rows of `pool`, from what is appended.
static int64_t getRotary(ModuleOp module, PoolOp pool, int64_t width) {
  int64_t rotary = 0;
  module.walk([&](AppendOp append) {
    if (append.getPool() != pool.getSymName())
      return;
    SmallVector<Value> values = {append.getRows()};
    // Rows may be put together from a rotated and an unrotated part.
    while (!values.empty()) {
      Operation *op = values.pop_back_val().getDefiningOp();
      if (auto rope = dyn_cast_or_null<RopeOp>(op))
        rotary = std::max<int64_t>(rotary, rope.getTable().getDim());
      else if (op && !isa<LinearOp, CompressOp>(op))
        llvm::append_range(values, op->getOperands());
    }
  });
  return std::min(rotary, width);
}

/// The largest power of two up to `most` that divides `size`.
static int64_t blockOf(int64_t size, int64_t most) {
  int64_t block = 1;
  while (block * 2 <= most && size % (block * 2) == 0)
    block *= 2;
  return block;
}

static FormatAttr makeFormat(MLIRContext *context, StringRef kind, bool keys,
                             int64_t width, int64_t rotary) {
  Builder b(context);
  if (kind == "f32")
    return FormatAttr::getPlain(b.getF32Type(), width);
  if (kind == "bf16")
    return FormatAttr::getPlain(b.getBF16Type(), width);
  Type e8m0 = Float8E8M0FNUType::get(context);
  auto error = [&] { return mlir::emitError(b.getUnknownLoc()); };
  auto segment = [&](int64_t size, Type type, int64_t block, Type scale) {
    return SegmentAttr::getChecked(error, context, size, type, block, scale);
  };
  SmallVector<SegmentAttr> segments;
  // Rows that are rotated as a whole have no part to keep apart.
  if (keys || rotary == width)
    rotary = 0;
  if (kind == "fp8") {
    Type e4m3 = Float8E4M3FNType::get(context);
    segments.push_back(keys ? segment(width, e4m3, width, b.getF32Type())
                            : segment(width - rotary, e4m3,
                                      blockOf(width - rotary, 64), e8m0));
  } else {
    segments.push_back(segment(width - rotary, Float4E2M1FNType::get(context),
                               blockOf(width - rotary, 32), e8m0));
  }
  if (rotary)
    segments.push_back(segment(rotary, b.getBF16Type(), 0, Type()));
  if (llvm::is_contained(segments, SegmentAttr()) ||
      failed(FormatAttr::verify(error, segments)))
    return {};
  return FormatAttr::get(context, segments);
}

//===----------------------------------------------------------------------===//
// Application
//===----------------------------------------------------------------------===//

static std::optional<Refusal> applyFormat(ModuleOp module, PoolOp pool,
                                          bool keys, const Setting &setting) {
  int64_t width = pool.getFormat().getWidth();
  std::string message;
  FormatAttr format;
  {
    ScopedDiagnosticHandler handler(module.getContext(), [&](Diagnostic &d) {
      message = d.str();
      return success();
    });
    format = makeFormat(module.getContext(), setting.value, keys, width,
                        getRotary(module, pool, width));
  }
  if (!format)
    return Refusal{(pool.getSymName() + " (varve.pool)").str(), message,
                   "take another " + setting.name +
                       ", or rows of a width that blocks divide"};
  pool.setFormatAttr(format);
  return std::nullopt;
}

std::optional<Refusal> applyVariants(ModuleOp module,
                                     llvm::ArrayRef<Setting> settings) {
  llvm::DenseSet<StringAttr> keyPools;
  module.walk(
      [&](IndexScoreOp op) { keyPools.insert(op.getKeysAttr().getAttr()); });
  for (const Setting &setting : settings) {
    if (!isVariantSetting(setting.name))
      continue;
    auto [family, name] = StringRef(setting.name).split('.');
    Target target = *parseTarget(name);
    for (PoolOp pool : module.getOps<PoolOp>()) {
      bool keys = keyPools.contains(pool.getSymNameAttr());
      bool wanted = target == Target::Window
                        ? pool.getKind() == PoolKind::Window
                        : pool.getKind() == PoolKind::Entries &&
                              keys == (target == Target::Keys);
      if (!wanted)
        continue;
      if (family == "pool") {
        if (auto refusal = applyFormat(module, pool, keys, setting))
          return refusal;
        continue;
      }
      Selection selection = llvm::cantFail(parseSelection(setting));
      pool.setSelectAttr(SelectAttr::get(module.getContext(), selection.keep,
                                         selection.score, selection.every));
    }
  }
  return std::nullopt;
}

} // namespace varve
