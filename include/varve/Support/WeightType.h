//===- WeightType.h - Element types of stored weights ----------*- C++ -*-===//
//
// Standard library only: the compiler and the runtime share this file.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_SUPPORT_WEIGHTTYPE_H
#define VARVE_SUPPORT_WEIGHTTYPE_H

#include "varve/Support/Assert.h"
#include <string_view>

namespace varve {

/// Element type of stored weights.
enum class WeightType { F32, BF16, F16, F8E4M3, F8E8M0, F4E2M1, I64, I32 };

/// "bf16", "f4E2M1", …
constexpr std::string_view weightTypeName(WeightType type) {
  switch (type) {
  case WeightType::F32:
    return "f32";
  case WeightType::BF16:
    return "bf16";
  case WeightType::F16:
    return "f16";
  case WeightType::F8E4M3:
    return "f8E4M3";
  case WeightType::F8E8M0:
    return "f8E8M0";
  case WeightType::F4E2M1:
    return "f4E2M1";
  case WeightType::I64:
    return "i64";
  case WeightType::I32:
    return "i32";
  }
  VARVE_ASSERT(false, "every type has a name");
  return "";
}

/// Bits of an element as stored.
constexpr unsigned bitsOf(WeightType type) {
  switch (type) {
  case WeightType::I64:
    return 64;
  case WeightType::F32:
  case WeightType::I32:
    return 32;
  case WeightType::BF16:
  case WeightType::F16:
    return 16;
  case WeightType::F8E4M3:
  case WeightType::F8E8M0:
    return 8;
  case WeightType::F4E2M1:
    return 4;
  }
  VARVE_ASSERT(false, "every type has a size");
  return 0;
}

} // namespace varve

#endif // VARVE_SUPPORT_WEIGHTTYPE_H
