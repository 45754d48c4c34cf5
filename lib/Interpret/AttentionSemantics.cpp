//===- AttentionSemantics.cpp - Pools, compression, index, attention ------===//

#include "lib/Interpret/InterpretFrame.h"
#include "lib/Interpret/Reference/Attention.h"
#include "lib/Interpret/Reference/Compress.h"
#include "lib/Interpret/Reference/Quantize.h"
#include "lib/Interpret/Reference/Select.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/Parallel.h"

using namespace mlir;
using namespace mlir::varve;
using ::varve::HostTensor;
using ::varve::PoolStore;
namespace reference = ::varve::reference;

static reference::Rounding roundingTo(Type type) {
  if (type.isBF16())
    return reference::Rounding::BF16;
  return type.isF16() ? reference::Rounding::F16 : reference::Rounding::None;
}

namespace {

struct AppendSemantics
    : InterpretOpInterface::ExternalModel<AppendSemantics, AppendOp> {
  LogicalResult interpret(Operation *operation, InterpretFrame &frame) const {
    auto op = cast<AppendOp>(operation);
    const HostTensor &rows = frame.get(op.getRows());
    ArrayRef<int32_t> positions = frame.get(op.getPositions()).numbers();
    ArrayRef<int32_t> slots = frame.get(op.getSlots()).numbers();
    PoolOp pool = lookupPool(op, op.getPoolAttr());
    for (int64_t i = 0; i < rows.getNumRows(); ++i) {
      if (slots[i] < 0)
        continue;
      if (positions[i] < 0)
        return op.emitOpError()
               << "expected positions from 0 but got " << positions[i];
      frame.getPools().append(pool, slots[i],
                              positions[i] / pool.getRowTokens(), rows.row(i));
    }
    return success();
  }
};

/// What a compressor's state pool holds of the token at a position; scores of
/// -inf where it holds nothing.
class StateReader {
public:
  StateReader(const PoolStore &pools, StringRef pool, int32_t slot,
              int64_t width)
      : pools(pools), pool(pool), slot(slot), width(width), zeros(width),
        absent(width, -std::numeric_limits<float>::infinity()) {}

  reference::CompressorRow at(int64_t position) const {
    ArrayRef<float> row = pools.read(pool, slot, position);
    if (row.empty())
      return {zeros, absent};
    return {row.take_front(width), row.drop_front(width)};
  }

  SmallVector<reference::CompressorRow> window(int64_t begin,
                                               int64_t count) const {
    SmallVector<reference::CompressorRow> rows;
    for (int64_t position = begin; position < begin + count; ++position)
      rows.push_back(at(position));
    return rows;
  }

private:
  const PoolStore &pools;
  StringRef pool;
  int32_t slot;
  int64_t width;
  std::vector<float> zeros, absent;
};

struct CompressSemantics
    : InterpretOpInterface::ExternalModel<CompressSemantics, CompressOp> {
  LogicalResult interpret(Operation *operation, InterpretFrame &frame) const {
    auto op = cast<CompressOp>(operation);
    const HostTensor &kv = frame.get(op.getKv()),
                     &gate = frame.get(op.getGate());
    std::vector<float> bias = frame.get(op.getBias()).allFloats();
    ArrayRef<int32_t> positions = frame.get(op.getPositions()).numbers();
    ArrayRef<int32_t> slots = frame.get(op.getSlots()).numbers();
    int64_t T = kv.getDim(0), width = kv.getDim(1), m = op.getRatio();
    int64_t dc = width / op.getHalves();
    PoolOp pool = lookupPool(op, op.getStateAttr());

    std::vector<float> row(2 * width);
    for (int64_t t = 0; t < T; ++t) {
      if (slots[t] < 0)
        continue;
      if (positions[t] < 0)
        return op.emitOpError()
               << "expected positions from 0 but got " << positions[t];
      llvm::copy(kv.row(t), row.begin());
      ArrayRef<float> b =
          ArrayRef<float>(bias).slice(positions[t] % m * width, width);
      for (int64_t c = 0; c < width; ++c)
        row[width + c] = gate.row(t)[c] + b[c];
      frame.getPools().append(pool, slots[t], positions[t], row);
    }

    std::vector<float> entries;
    std::vector<int32_t> starts, entrySlots;
    for (int64_t t = 0; t < T; ++t) {
      if (slots[t] < 0 || !reference::completesEntry(positions[t], m))
        continue;
      int64_t start = positions[t] + 1 - m;
      StateReader state(frame.getPools(), pool.getSymName(), slots[t], width);
      entries.resize(entries.size() + dc);
      MutableArrayRef<float> entry =
          MutableArrayRef<float>(entries).take_back(dc);
      if (op.getOverlap())
        reference::compressPoolOverlapping(state.window(start - m, m),
                                           state.window(start, m), entry);
      else
        reference::compressPool(state.window(start, m), entry);
      starts.push_back(start);
      entrySlots.push_back(slots[t]);
    }
    int64_t E = starts.size();
    llvm::copy(entries,
               frame.create(op.getEntries(), {E, dc}).floats().begin());
    frame.createNumbers(op.getStarts(), {E}, std::move(starts));
    frame.createNumbers(op.getEntrySlots(), {E}, std::move(entrySlots));
    return success();
  }
};

struct IndexScoreSemantics
    : InterpretOpInterface::ExternalModel<IndexScoreSemantics, IndexScoreOp> {
  LogicalResult interpret(Operation *operation, InterpretFrame &frame) const {
    auto op = cast<IndexScoreOp>(operation);
    HostTensor q = frame.get(op.getQ());
    if (op.getQScale())
      q = dequantized(q, frame.get(op.getQScale()), *op.getQBlock());
    const HostTensor &weights = frame.get(op.getWeights());
    ArrayRef<int32_t> positions = frame.get(op.getPositions()).numbers();
    ArrayRef<int32_t> slots = frame.get(op.getSlots()).numbers();
    int64_t T = q.getDim(0), S = 0,
            m = lookupPool(op, op.getKeysAttr()).getRowTokens();
    for (int32_t position : positions)
      S = std::max(S, reference::visibleEntries(position, m));
    auto type = cast<RankedTensorType>(op.getScores().getType());
    if (!type.isDynamicDim(1)) {
      if (S > type.getDimSize(1))
        return op.emitOpError() << "expected at most " << type.getDimSize(1)
                                << " visible entries but got " << S;
      S = type.getDimSize(1);
    }
    HostTensor scores = frame.create(op.getScores(), {T, S});
    llvm::fill(scores.floats(), -std::numeric_limits<float>::infinity());
    reference::Rounding rounding = op.getRounding() == Rounding::Once
                                       ? reference::Rounding::None
                                       : roundingTo(scores.getElementType());
    llvm::parallelFor(0, T, [&](size_t t) {
      for (int64_t s = 0; s < reference::visibleEntries(positions[t], m); ++s) {
        ArrayRef<float> key = frame.getPools().read(op.getKeys(), slots[t], s);
        if (!key.empty())
          scores.row(t)[s] =
              reference::indexScore(q.row(t), key, weights.row(t),
                                    op.getScale().convertToDouble(), rounding);
      }
    });
    return success();
  }

  static HostTensor dequantized(const HostTensor &codes,
                                const HostTensor &scales, int64_t block) {
    HostTensor x =
        HostTensor::ofFloats(codes.getElementType(), codes.getShape());
    int64_t width = codes.getShape().back(), groups = scales.getShape().back();
    for (int64_t row = 0, rows = codes.getNumElements() / width; row < rows;
         ++row)
      reference::dequantize(codes.floats().slice(row * width, width),
                            scales.floats().slice(row * groups, groups), block,
                            x.floats().slice(row * width, width));
    return x;
  }
};

struct IndexTopkSemantics
    : InterpretOpInterface::ExternalModel<IndexTopkSemantics, IndexTopkOp> {
  LogicalResult interpret(Operation *operation, InterpretFrame &frame) const {
    auto op = cast<IndexTopkOp>(operation);
    const HostTensor &scores = frame.get(op.getScores());
    int64_t T = scores.getDim(0), k = op.getK();
    HostTensor indices = frame.createNumbers(op.getIndices(), {T, k},
                                             std::vector<int32_t>(T * k));
    for (int64_t t = 0; t < T; ++t)
      reference::topk(scores.row(t), indices.numbers().slice(t * k, k));
    return success();
  }
};

/// Keys and values of one query, as rows of all KV heads, in the op's order.
/// Places without a row are empty.
struct KeyList {
  SmallVector<ArrayRef<float>> keys, values;
};

class KeyGatherer {
public:
  KeyGatherer(SparseAttentionOp op, InterpretFrame &frame)
      : op(op), pools(frame.getPools()) {
    if (op.getWindow())
      window = lookupPool(op, op.getWindowAttr()).getSize().value_or(0);
    if (op.getEntries())
      ratio = lookupPool(op, op.getEntriesAttr()).getRowTokens();
    if (op.getIndices())
      indices = frame.get(op.getIndices());
  }

  KeyList gather(int64_t t, int64_t position, int32_t slot) {
    KeyList list;
    if (op.getWindow())
      addWindow(list, position, slot);
    if (!op.getEntries())
      return list;
    int64_t visible = reference::visibleEntries(position, ratio);
    if (!op.getIndices()) {
      for (int64_t s = 0; s < visible; ++s)
        add(list, *op.getEntries(), op.getEntryValues(), slot, s);
      return list;
    }
    int64_t k = indices.getDim(1);
    for (int32_t s : indices.numbers().slice(t * k, k))
      add(list, *op.getEntries(), op.getEntryValues(), slot, s);
    return list;
  }

private:
  /// Places before the first token are empty. They matter to the borders of
  /// blocks only, so blocks of nothing else are left out: a window may be far
  /// larger than a sequence.
  void addWindow(KeyList &list, int64_t position, int32_t slot) {
    int64_t begin = std::max<int64_t>(0, position - window + 1);
    for (int64_t p = begin; p <= position; ++p)
      add(list, *op.getWindow(), op.getWindowValues(), slot, p);
    if (!op.getBlock())
      return;
    int64_t block = *op.getBlock(), present = position - begin + 1;
    int64_t empty = window - present;
    int64_t untilBorder = llvm::alignTo(present, block) - present;
    if (empty > untilBorder)
      empty = untilBorder + (empty - untilBorder) % block;
    list.keys.resize(list.keys.size() + empty);
    list.values.resize(list.values.size() + empty);
  }

  void add(KeyList &list, StringRef keys, std::optional<StringRef> values,
           int32_t slot, int64_t index) const {
    list.keys.push_back(pools.read(keys, slot, index));
    list.values.push_back(values ? pools.read(*values, slot, index)
                                 : list.keys.back());
  }

  SparseAttentionOp op;
  const PoolStore &pools;
  int64_t window = 0, ratio = 1;
  HostTensor indices;
};

/// The part of each row that belongs to KV head `head` of `heads`.
static SmallVector<ArrayRef<float>> headRows(ArrayRef<ArrayRef<float>> rows,
                                             int64_t head, int64_t heads) {
  SmallVector<ArrayRef<float>> parts;
  for (ArrayRef<float> row : rows) {
    size_t width = row.size() / heads;
    parts.push_back(row.slice(head * width, width));
  }
  return parts;
}

struct SparseAttentionSemantics
    : InterpretOpInterface::ExternalModel<SparseAttentionSemantics,
                                          SparseAttentionOp> {
  LogicalResult interpret(Operation *operation, InterpretFrame &frame) const {
    auto op = cast<SparseAttentionOp>(operation);
    const HostTensor &q = frame.get(op.getQ());
    ArrayRef<int32_t> positions = frame.get(op.getPositions()).numbers();
    ArrayRef<int32_t> slots = frame.get(op.getSlots()).numbers();
    int64_t T = q.getDim(0), H = q.getDim(1), d = q.getDim(2);
    int64_t dv = cast<RankedTensorType>(op.getType()).getDimSize(2);
    int64_t kvHeads = op.getKvHeads();
    std::vector<float> sink;
    if (op.getSink())
      sink = frame.get(op.getSink()).allFloats();
    reference::AttentionOptions options;
    options.scale = op.getScale().convertToDouble();
    options.block = op.getBlock().value_or(0);
    if (op.getProbabilities())
      options.probabilities = roundingTo(*op.getProbabilities());
    KeyGatherer gatherer(op, frame);
    HostTensor o = frame.create(op.getResult(), {T, H, dv});
    llvm::parallelFor(0, T, [&](size_t t) {
      KeyList list = gatherer.gather(t, positions[t], slots[t]);
      for (int64_t kvHead = 0; kvHead < kvHeads; ++kvHead) {
        auto keys = headRows(list.keys, kvHead, kvHeads);
        auto values = headRows(list.values, kvHead, kvHeads);
        for (int64_t h = kvHead * H / kvHeads; h < (kvHead + 1) * H / kvHeads;
             ++h)
          reference::sparseAttention(
              q.row(t).slice(h * d, d), keys, values,
              sink.empty() ? std::nullopt : std::optional<float>(sink[h]),
              options, o.row(t).slice(h * dv, dv));
      }
    });
    return success();
  }
};

} // namespace

void ::varve::registerAttentionSemantics(MLIRContext &context) {
  AppendOp::attachInterface<AppendSemantics>(context);
  CompressOp::attachInterface<CompressSemantics>(context);
  IndexScoreOp::attachInterface<IndexScoreSemantics>(context);
  IndexTopkOp::attachInterface<IndexTopkSemantics>(context);
  SparseAttentionOp::attachInterface<SparseAttentionSemantics>(context);
}
