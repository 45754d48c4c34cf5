//===- Numbers.h - Elements of tensors as numbers --------------*- C++ -*-===//
#ifndef VARVE_RUNTIME_SESSION_NUMBERS_H
#define VARVE_RUNTIME_SESSION_NUMBERS_H

#include "runtime/Package/Plan.h"
#include <span>

namespace varve::runtime {

/// Whether the elements are floating-point numbers, codes and scales included.
bool isNumber(Element element);

/// What `bytes`, dense elements, stand for: a number for each of `out`. Of two
/// elements in a byte the first is in the low bits.
void decodeNumbers(Element element, std::span<const uint8_t> bytes,
                   std::span<float> out);

} // namespace varve::runtime

#endif // VARVE_RUNTIME_SESSION_NUMBERS_H
