//===- kernels.c - A model small enough to be checked by hand -------------===//
//
// The kernels of the test package, called as the x86 engine's are. A token's
// value is the first column of its row of embed.weight; `logits` of a token are
// (window + 1000 * entries) * (v + 1) for v in the vocabulary, where
//
//   window   sum of the values of the last WINDOW tokens
//   entries  sum over the windows of RATIO tokens that are complete, each
//            weighted with its number plus 1
//
// so every way to mix up positions, slots or pages changes a logit.
//
//===----------------------------------------------------------------------===//

#include <stdint.h>

enum { VOCAB = 7, WINDOW = 5, RATIO = 4, PAGE = 8, STATE = 4 };

typedef const int32_t *Ints;

// For the fake GPU driver, whose launches do not say how many words there are.
const int stage_num_words = 5, compress_num_words = 8, head_num_words = 10,
          commit_num_words = 6, layer_num_words = 3;

static int32_t wrap(int32_t position, int32_t size) {
  return (position % size + size) % size;
}

// ids, slots, embed, values, staging rows of the window
void stage(const uint64_t *words, const int64_t *grid, int64_t begin,
           int64_t end, void *scratch) {
  Ints ids = (Ints)words[0], slots = (Ints)words[1];
  const float *embed = (const float *)words[2];
  float *values = (float *)words[3], *staging = (float *)words[4];
  for (int64_t t = begin; t < end; ++t) {
    values[t] = embed[2 * ids[t]];
    if (slots[t] >= 0)
      staging[t] = values[t];
  }
}

// values, positions, slots, starts, state, entries, table, sequence_pages
void compress(const uint64_t *words, const int64_t *grid, int64_t begin,
              int64_t end, void *scratch) {
  const float *values = (const float *)words[0];
  Ints positions = (Ints)words[1], slots = (Ints)words[2],
       starts = (Ints)words[3];
  const float *state = (const float *)words[4];
  float *entries = (float *)words[5];
  Ints table = (Ints)words[6];
  int64_t pages = (int64_t)words[7];
  for (int64_t t = begin; t < end; ++t) {
    int32_t position = positions[t];
    if (slots[t] < 0 || position % RATIO != RATIO - 1)
      continue;
    float sum = 0;
    for (int32_t q = position - RATIO + 1; q <= position; ++q)
      sum += q >= starts[t] ? values[t - (position - q)]
                            : state[slots[t] * STATE + wrap(q, STATE)];
    int32_t entry = position / RATIO, each = PAGE / RATIO;
    int32_t page = table[slots[t] * pages + entry / each];
    entries[page * each + entry % each] = sum;
  }
}

// rows, positions, slots, starts, window, slots * WINDOW, entries, table,
// sequence_pages, logits
void head(const uint64_t *words, const int64_t *grid, int64_t begin,
          int64_t end, void *scratch) {
  Ints rows = (Ints)words[0], positions = (Ints)words[1],
       slots = (Ints)words[2], starts = (Ints)words[3];
  const float *window = (const float *)words[4];
  int64_t staging = (int64_t)words[5];
  const float *entries = (const float *)words[6];
  Ints table = (Ints)words[7];
  int64_t pages = (int64_t)words[8];
  float *logits = (float *)words[9];
  float *sums = (float *)scratch;
  for (int64_t r = begin; r < end; ++r) {
    int32_t t = rows[r], slot = slots[t], position = positions[t];
    sums[0] = sums[1] = 0;
    for (int32_t q = position - WINDOW + 1; q <= position; ++q)
      if (q >= 0 && slot >= 0)
        sums[0] += q >= starts[t] ? window[staging + t - (position - q)]
                                  : window[slot * WINDOW + q % WINDOW];
    for (int32_t w = 0; w < (position + 1) / RATIO; ++w) {
      int32_t each = PAGE / RATIO;
      int32_t page = table[slot * pages + w / each];
      sums[1] += (float)(w + 1) * entries[page * each + w % each];
    }
    for (int v = 0; v < VOCAB; ++v)
      logits[r * VOCAB + v] = (sums[0] + 1000 * sums[1]) * (float)(v + 1);
  }
}

// values, positions, slots, ends, window, state
void commit(const uint64_t *words, const int64_t *grid, int64_t begin,
            int64_t end, void *scratch) {
  const float *values = (const float *)words[0];
  Ints positions = (Ints)words[1], slots = (Ints)words[2],
       ends = (Ints)words[3];
  float *window = (float *)words[4], *state = (float *)words[5];
  for (int64_t t = begin; t < end; ++t) {
    if (slots[t] < 0)
      continue;
    if (positions[t] > ends[t] - WINDOW)
      window[slots[t] * WINDOW + positions[t] % WINDOW] = values[t];
    if (positions[t] > ends[t] - STATE)
      state[slots[t] * STATE + positions[t] % STATE] = values[t];
  }
}

// streams [tokens, 2], positions, result [tokens, 2]
void layer(const uint64_t *words, const int64_t *grid, int64_t begin,
           int64_t end, void *scratch) {
  const float *streams = (const float *)words[0];
  Ints positions = (Ints)words[1];
  float *result = (float *)words[2];
  for (int64_t t = begin; t < end; ++t)
    for (int i = 0; i < 2; ++i)
      result[2 * t + i] = 2 * streams[2 * t + i] + (float)positions[t];
}
