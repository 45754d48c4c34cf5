//===- Inputs.h - Inputs that any program can repeat -----------*- C++ -*-===//
//
// Numbers that other programs computed from the same inputs are quoted in the
// tests of this folder. The inputs come from `wave`, in Python:
//
//   ((torch.arange(n) * a + b) % 64 - 32).float() / 16
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_TEST_UNIT_INTERPRET_INPUTS_H
#define VARVE_TEST_UNIT_INTERPRET_INPUTS_H

#include <cstdint>
#include <random>
#include <vector>

namespace varve::reference {

/// ((i * a + b) mod 64 - 32) / 16 for i < n: multiples of 1/16 in [-2, 2),
/// exact in BF16.
inline std::vector<float> wave(int n, int a, int b) {
  std::vector<float> values;
  for (int i = 0; i < n; ++i)
    values.push_back(static_cast<float>((i * a + b) % 64 - 32) / 16);
  return values;
}

/// `n` numbers in [-1, 1).
inline std::vector<float> randomRow(int n, std::mt19937 &generator) {
  std::vector<float> values;
  for (int i = 0; i < n; ++i)
    values.push_back(static_cast<float>(static_cast<int32_t>(generator())) /
                     0x1p31f);
  return values;
}

} // namespace varve::reference

#endif // VARVE_TEST_UNIT_INTERPRET_INPUTS_H
