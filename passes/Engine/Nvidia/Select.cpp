//===- Select.cpp - The k best of each row --------------------------------===//
//
// Scores become 32-bit keys in ascending order of rank, NaN last. An element's
// place in the result is the number of elements that precede it: those with a
// lower key, and those with the same key at a lower position. Short rows count
// that directly. Of long rows, the key and position of the last element that
// belongs to the result are searched bit by bit first, and counting is left to
// the elements up to there.
//
//===----------------------------------------------------------------------===//

#include "passes/Engine/Nvidia/Lowering.h"
#include "passes/Tile/Layouts.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::varve::tile;
using namespace mlir::varve::nvidia;

namespace {

/// Keys that one step of counting reads.
constexpr int64_t kKeysPerStep = 4;
/// No score's key: fills rows up to whole steps. NaN has the key before it.
constexpr int64_t kNoKey = -1, kNanKey = -2;

class TopK {
public:
  TopK(Lowering &lowering, SelectTopkOp op)
      : lowering(lowering), code(lowering.code), op(op),
        type(op.getSource().getType()),
        rows(type.getRank() == 2 ? type.getShape()[0] : 1),
        count(type.getShape().back()),
        best(op.getValues().getType().getShape().back()),
        threads(lowering.threads.numWarps * kWarpLanes) {}

  void lower();

private:
  Value getKey(Value score);
  Value precedes(Value key, Value position, Value otherKey,
                 Value otherPosition);
  void rankAll();
  void searchLast();
  void finish();
  Value loadWord(Value base, Value index);
  void storeWord(Value word, Value base, Value index);

  Lowering &lowering;
  Code &code;
  SelectTopkOp op;
  RankedTensorType type;
  int64_t rows, count, best, threads;
  /// The results, [rows, best], as storage and i32.
  SharedBuffer values, indices;
  int64_t bytes = 0;
};

} // namespace

/// A buffer [rows, columns] behind `bytes`, to be moved to the exchange area.
static SharedBuffer makeBuffer(ArrayRef<int64_t> shape, IntegerType storage,
                               int64_t &bytes) {
  SharedBuffer buffer;
  buffer.whole = BufferType::get(shape, storage);
  buffer.shape.assign(shape.begin(), shape.end());
  buffer.offsets.assign(shape.size(), 0);
  int64_t begin = llvm::alignTo(bytes, kVectorBytes);
  bytes = begin + buffer.whole.getSizeInBytes();
  buffer.range = {begin, bytes};
  return buffer;
}

/// Ascending keys of descending scores.
Value TopK::getKey(Value score) {
  Type i32 = code.builder.getI32Type(), f32 = code.builder.getF32Type();
  if (score.getType() != f32)
    score = code.create<arith::ExtFOp>(f32, score);
  // -0 + 0 is 0.
  Value sum = code.create<arith::AddFOp>(score, code.zero(f32));
  Value bits = code.create<arith::BitcastOp>(i32, sum);
  Value isNegative = code.cmp(arith::CmpIPredicate::slt, bits, 0);
  Value key =
      code.select(isNegative, bits, code.bitXor(bits, code.i32(0x7fffffff)));
  Value isNan =
      code.create<arith::CmpFOp>(arith::CmpFPredicate::UNO, score, score);
  return code.select(isNan, code.i32(kNanKey), key);
}

/// 1 where the other element comes first.
Value TopK::precedes(Value key, Value position, Value otherKey,
                     Value otherPosition) {
  // An equal key precedes at lower positions: compare with the next key there.
  Value isBefore = code.cmp(arith::CmpIPredicate::slt, otherPosition, position);
  Value bound = code.add(
      key, code.create<arith::ExtUIOp>(code.builder.getI32Type(), isBefore));
  Value precedes = code.cmp(arith::CmpIPredicate::ult, otherKey, bound);
  return code.create<arith::ExtUIOp>(code.builder.getI32Type(), precedes);
}

Value TopK::loadWord(Value base, Value index) {
  return code
      .load(code.offset(base, code.mul(index, 4)), code.builder.getI32Type(), 1)
      .front();
}

void TopK::storeWord(Value word, Value base, Value index) {
  code.store(word, code.offset(base, code.mul(index, 4)));
}

void TopK::lower() {
  // In cycles of a thread, roughly: a comparison takes 3, a step of the search
  // a barrier besides.
  constexpr int64_t compare = 3, barrier = 100;
  int64_t direct = rows * llvm::divideCeil(count * count, threads) * compare;
  int64_t steps = 32 + llvm::Log2_64_Ceil(count);
  int64_t search =
      rows * (steps * (barrier + llvm::divideCeil(count, threads) * compare) +
              llvm::divideCeil(best * best, threads) * compare);
  if (direct <= search)
    rankAll();
  else
    searchLast();
}

/// Every lane ranks the elements that it holds.
void TopK::rankAll() {
  const RegisterTile source = lowering.getTile(op.getSource());
  std::optional<RegisterTile> ids;
  if (op.getIds())
    ids = lowering.convert(
        lowering.getTile(op.getIds()),
        op.getIds().getType().cloneWithEncoding(type.getEncoding()));
  IntegerType i32 = code.builder.getI32Type();
  IntegerType storage = getStorageType(type.getElementType());
  int64_t padded = llvm::alignTo(count, kKeysPerStep);
  SharedBuffer keys = makeBuffer({rows, padded}, i32, bytes);
  values = makeBuffer({rows, best}, storage, bytes);
  indices = makeBuffer({rows, best}, i32, bytes);
  SharedRange range = lowering.getExchange(bytes);
  for (SharedBuffer *buffer : {&keys, &values, &indices}) {
    buffer->base = lowering.getSharedPointer(range.begin + buffer->range.begin);
    buffer->range = {range.begin + buffer->range.begin,
                     range.begin + buffer->range.end};
  }

  const LayoutMap &map = lowering.getMap(type);
  SmallVector<Value> base = lowering.getBase(map);
  int64_t last = map.getRank() - 1;
  auto getRow = [&](int64_t reg) {
    return last == 0 ? code.i32(0) : lowering.getCoordinate(map, base, reg, 0);
  };
  lowering.beforeWrite(range);
  SmallVector<Value> keyOf, positionOf;
  for (int64_t reg = 0; reg < map.getNumRegisters(); ++reg) {
    keyOf.push_back(getKey(source.registers[reg]));
    positionOf.push_back(lowering.getCoordinate(map, base, reg, last));
    code.store(keyOf.back(), lowering.getElementAddress(
                                 keys, {getRow(reg), positionOf[reg]}));
  }
  if (padded != count) {
    // A thread per row and missing key.
    int64_t missing = padded - count;
    for (int64_t first = 0; first < rows * missing; first += threads) {
      Value number = code.add(lowering.threads.thread, first);
      Value row = code.div(number, missing);
      Value column = code.add(code.rem(number, missing), count);
      code.ifThen(code.cmp(arith::CmpIPredicate::ult, number, rows * missing),
                  [&] {
                    code.store(code.i32(kNoKey),
                               lowering.getElementAddress(keys, {row, column}));
                  });
    }
  }
  lowering.beforeRead(keys.range);

  // Registers of one row share the keys that they are compared with.
  std::map<int64_t, SmallVector<int64_t>> byRow;
  for (int64_t reg = 0; reg < map.getNumRegisters(); ++reg)
    byRow[last == 0 ? 0 : map.getOffset(reg)[0]].push_back(reg);
  SmallVector<Value> ranks(map.getNumRegisters());
  for (auto &[offset, registers] : byRow) {
    Value row = getRow(registers.front());
    SmallVector<Value> zeros(registers.size(), code.i32(0));
    SmallVector<Value> counts = code.loop(
        code.i32(0), code.i32(padded), kKeysPerStep, zeros,
        [&](Value at, ValueRange carried) {
          SmallVector<Value> next(carried);
          SmallVector<Value> others = code.load(
              lowering.getElementAddress(keys, {row, at}), i32, kKeysPerStep);
          for (auto [j, other] : llvm::enumerate(others))
            for (auto [i, reg] : llvm::enumerate(registers))
              next[i] = code.add(next[i], precedes(keyOf[reg], positionOf[reg],
                                                   other, code.add(at, j)));
          return next;
        });
    for (auto [reg, rank] : llvm::zip_equal(registers, counts))
      ranks[reg] = rank;
  }
  for (int64_t reg = 0; reg < map.getNumRegisters(); ++reg) {
    if (!map.isInside(reg))
      continue;
    // Copies of an element have its rank and write the same.
    Value isBest = code.cmp(arith::CmpIPredicate::ult, ranks[reg], best);
    code.ifThen(isBest, [&] {
      Value row = getRow(reg);
      code.store(code.toStorage(source.registers[reg]),
                 lowering.getElementAddress(values, {row, ranks[reg]}));
      code.store(ids ? ids->registers[reg] : positionOf[reg],
                 lowering.getElementAddress(indices, {row, ranks[reg]}));
    });
  }
  lowering.shared.noteWrite(range);
  finish();
}

/// Row after row: the last element of the result, then the ranks of those up to
/// it.
void TopK::searchLast() {
  IntegerType i32 = code.builder.getI32Type();
  Type element = type.getElementType();
  IntegerType storage = getStorageType(element);
  int64_t numWarps = lowering.threads.numWarps;
  SharedBuffer scores = makeBuffer({rows, count}, storage, bytes);
  std::optional<SharedBuffer> ids;
  if (op.getIds())
    ids = makeBuffer({rows, count}, i32, bytes);
  values = makeBuffer({rows, best}, storage, bytes);
  indices = makeBuffer({rows, best}, i32, bytes);
  // Winners: keys and positions; the counts of two steps, one per warp; how
  // many winners there are so far.
  int64_t winnerCount = llvm::alignTo(best, kKeysPerStep);
  SharedBuffer winnerKeys = makeBuffer({winnerCount}, i32, bytes);
  SharedBuffer winnerPositions = makeBuffer({winnerCount}, i32, bytes);
  SharedBuffer counts = makeBuffer({2, numWarps}, i32, bytes);
  SharedBuffer total = makeBuffer({1}, i32, bytes);
  SharedRange range = lowering.getExchange(bytes);
  auto settle = [&](SharedBuffer &buffer) {
    buffer.base = lowering.getSharedPointer(range.begin + buffer.range.begin);
    buffer.range = {range.begin + buffer.range.begin,
                    range.begin + buffer.range.end};
  };
  for (SharedBuffer *buffer : {&scores, &values, &indices, &winnerKeys,
                               &winnerPositions, &counts, &total})
    settle(*buffer);
  lowering.beforeWrite(range);
  // Rank-1 tiles are one row.
  auto asTile = [&](SharedBuffer buffer) {
    if (type.getRank() == 1) {
      buffer.whole = BufferType::get({count}, buffer.whole.getElementType());
      buffer.shape = {count};
      buffer.offsets = {0};
    }
    return buffer;
  };
  lowering.writeElements(
      lowering.toStorageTile(lowering.getTile(op.getSource())), asTile(scores));
  if (ids) {
    settle(*ids);
    lowering.writeElements(lowering.getTile(op.getIds()), asTile(*ids));
  }
  lowering.barrier();

  const Threads &t = lowering.threads;
  int64_t perThread = llvm::divideCeil(count, threads);
  int64_t positionBits = llvm::Log2_64_Ceil(count);
  auto countOf = [&](Value flags) {
    return code.create<NVVM::ReduxOp>(i32, flags, NVVM::ReduxKind::ADD,
                                      code.i32(-1));
  };
  auto selectRow = [&](Value row) {
    // This thread's elements: key in the high half, position in the low one.
    SmallVector<Value> elements, positions;
    for (int64_t i = 0; i < perThread; ++i) {
      Value position = code.add(t.thread, i * threads);
      Value isThere = code.cmp(arith::CmpIPredicate::ult, position, count);
      Value safe = code.select(isThere, position, code.i32(0));
      Value score = code.fromStorage(
          code.load(lowering.getElementAddress(scores, {row, safe}), storage, 1)
              .front(),
          element);
      Value key = code.select(isThere, getKey(score), code.i32(kNoKey));
      positions.push_back(position);
      elements.push_back(code.bitOr(code.shiftLeft(code.extendToI64(key), 32),
                                    code.extendToI64(position)));
    }
    // The greatest number that has fewer than `best` elements below it.
    int64_t steps = 32 + positionBits;
    Value found = code.loop(
        code.i32(0), code.i32(steps), 1, code.i64(0),
        [&](Value step, ValueRange carried) {
          Value isKey = code.cmp(arith::CmpIPredicate::ult, step, 32);
          Value bit =
              code.select(isKey, code.sub(code.i32(63), step),
                          code.sub(code.i32(32 + positionBits - 1), step));
          Value candidate = code.bitOr(
              carried[0],
              code.create<arith::ShLIOp>(code.i64(1), code.extendToI64(bit)));
          Value below = code.i32(0);
          for (Value value : elements)
            below = code.add(below, code.create<arith::ExtUIOp>(
                                        i32, code.cmp(arith::CmpIPredicate::ult,
                                                      value, candidate)));
          below = countOf(below);
          Value parity = code.bitAnd(step, 1);
          code.ifThen(code.cmp(arith::CmpIPredicate::eq, t.lane, 0), [&] {
            code.store(below,
                       lowering.getElementAddress(counts, {parity, t.warp}));
          });
          // Of two steps' counts one is written while the other is read.
          lowering.barrier();
          Value sum = code.i32(0);
          for (int64_t warp = 0; warp < numWarps; ++warp)
            sum = code.add(sum, code.load(lowering.getElementAddress(
                                              counts, {parity, code.i32(warp)}),
                                          i32, 1)
                                    .front());
          Value isFewer = code.cmp(arith::CmpIPredicate::ult, sum, best);
          return SmallVector<Value>{
              code.select(isFewer, candidate, carried[0])};
        })[0];

    // Winners, in any order.
    Value isFirst = code.cmp(arith::CmpIPredicate::eq, t.thread, 0);
    code.ifThen(isFirst, [&] { code.store(code.i32(0), total.base); });
    for (int64_t i = best; i < winnerCount; ++i)
      code.ifThen(isFirst, [&] {
        storeWord(code.i32(kNoKey), winnerKeys.base, code.i32(i));
      });
    lowering.barrier();
    for (auto [value, position] : llvm::zip_equal(elements, positions)) {
      Value wins = code.cmp(arith::CmpIPredicate::ule, value, found);
      code.ifThen(wins, [&] {
        Value place = code.create<LLVM::AtomicRMWOp>(
            LLVM::AtomicBinOp::add, total.base, code.i32(1),
            LLVM::AtomicOrdering::monotonic, StringRef("block"));
        Value key =
            code.create<arith::TruncIOp>(i32, code.shiftRight(value, 32));
        storeWord(key, winnerKeys.base, place);
        storeWord(position, winnerPositions.base, place);
      });
    }
    lowering.barrier();

    for (int64_t first = 0; first < best; first += threads) {
      Value number = code.add(t.thread, first);
      code.ifThen(code.cmp(arith::CmpIPredicate::ult, number, best), [&] {
        Value key = loadWord(winnerKeys.base, number);
        Value position = loadWord(winnerPositions.base, number);
        Value rank =
            code.loop(code.i32(0), code.i32(winnerCount), kKeysPerStep,
                      code.i32(0), [&](Value at, ValueRange carried) {
                        Value sum = carried[0];
                        auto read = [&](Value base) {
                          return code.load(code.offset(base, code.mul(at, 4)),
                                           i32, kKeysPerStep);
                        };
                        SmallVector<Value> keys = read(winnerKeys.base);
                        SmallVector<Value> others = read(winnerPositions.base);
                        for (int64_t j = 0; j < kKeysPerStep; ++j)
                          sum = code.add(
                              sum, precedes(key, position, keys[j], others[j]));
                        return SmallVector<Value>{sum};
                      })[0];
        Value score =
            code.load(lowering.getElementAddress(scores, {row, position}),
                      storage, 1)
                .front();
        code.store(score, lowering.getElementAddress(values, {row, rank}));
        Value index = position;
        if (ids)
          index = code.load(lowering.getElementAddress(*ids, {row, position}),
                            i32, 1)
                      .front();
        code.store(index, lowering.getElementAddress(indices, {row, rank}));
      });
    }
    lowering.barrier();
  };
  if (rows == 1)
    selectRow(code.i32(0));
  else
    code.loop(code.i32(0), code.i32(rows), 1, {}, [&](Value row, ValueRange) {
      selectRow(row);
      return SmallVector<Value>();
    });
  lowering.shared.noteWrite(range);
  finish();
}

void TopK::finish() {
  auto read = [&](SharedBuffer buffer, Value result) {
    auto resultType = cast<RankedTensorType>(result.getType());
    bool isRow = resultType.getRank() == 1;
    lowering.tiles[result] =
        lowering.readMapped(buffer, resultType, [&](ValueRange coordinates) {
          SmallVector<Value> at(coordinates);
          if (isRow)
            at.insert(at.begin(), code.i32(0));
          return at;
        });
  };
  read(values, op.getValues());
  read(indices, op.getIndices());
}

void Lowering::lowerSelectTopk(SelectTopkOp op) { TopK(*this, op).lower(); }
