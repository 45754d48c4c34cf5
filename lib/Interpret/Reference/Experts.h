//===- Experts.h - The expert's activation and the experts' sum -*- C++ -*-===//
#ifndef VARVE_INTERPRET_REFERENCE_EXPERTS_H
#define VARVE_INTERPRET_REFERENCE_EXPERTS_H

#include "llvm/ADT/ArrayRef.h"
#include <cstdint>
#include <optional>

namespace varve::reference {

/// Specification section 8.2, steps 2 and 3, FP32 operations:
///
///   v = silu(min(u1, limit)) * clamp(u3, -limit, limit)  (* g),
///   silu(z) = z / (1 + e^-z)
///
/// `u1` (gate) is limited from above only. A limit of 0 does not clamp. `g` is
/// the routing weight; a shared expert has none.
void swiglu(llvm::ArrayRef<float> u1, llvm::ArrayRef<float> u3, float limit,
            std::optional<float> g, llvm::MutableArrayRef<float> v);

/// Section 8.3: y = sum_a x[a] + shared, accumulated in FP32 in ascending
/// expert number ids[a], the shared expert (empty: there is none) last. The
/// experts of a token are distinct.
void combine(llvm::ArrayRef<llvm::ArrayRef<float>> x,
             llvm::ArrayRef<int32_t> ids, llvm::ArrayRef<float> shared,
             llvm::MutableArrayRef<float> y);

} // namespace varve::reference

#endif // VARVE_INTERPRET_REFERENCE_EXPERTS_H
