//===- CpuFeatures.cpp - What this processor has --------------------------===//

#include "runtime/Device/Device.h"

namespace varve::runtime {

bool cpuSupports(std::string_view level) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  bool v2 = __builtin_cpu_supports("sse4.2") &&
            __builtin_cpu_supports("popcnt") && __builtin_cpu_supports("ssse3");
  bool v3 = v2 && __builtin_cpu_supports("avx2") &&
            __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") &&
            __builtin_cpu_supports("bmi2");
  bool v4 = v3 && __builtin_cpu_supports("avx512f") &&
            __builtin_cpu_supports("avx512bw") &&
            __builtin_cpu_supports("avx512cd") &&
            __builtin_cpu_supports("avx512dq") &&
            __builtin_cpu_supports("avx512vl");
  if (level == "x86-64")
    return true;
  if (level == "x86-64-v2")
    return v2;
  if (level == "x86-64-v3")
    return v3;
  if (level == "x86-64-v4")
    return v4;
#endif
  return false;
}

} // namespace varve::runtime
