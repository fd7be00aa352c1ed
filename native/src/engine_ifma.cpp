// x86-64 with AVX-512 IFMA (Ice Lake, Zen 4 and later): eight lanes of 52-bit limbs, and ADX assembly for single values.
#if defined(__x86_64__)
#define ENGINE_NS ifma
#define FIELD_ADX
#define LANES_IFMA
// Named by functions too that are compiled at this file's end, where the pragmas no longer hold.
#define AP_TARGET __attribute__((target("avx512f,avx512dq,avx512bw,avx512vl,avx512ifma")))
#include "engine_std.h"
// g++ 12 takes the operands that its own intrinsics leave undefined for a mistake of ours.
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512dq,avx512bw,avx512vl,avx512ifma"))), apply_to = function)
#else
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC push_options
#pragma GCC target("avx512f,avx512dq,avx512bw,avx512vl,avx512ifma")
#endif
#include "engine.inc.h"
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

namespace anchorproof {
const Engine* ifmaEngine() {
  static const ifma::EngineOfTarget engine("ifma");
  return &engine;
}
}  // namespace anchorproof
#endif
