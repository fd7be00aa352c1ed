// Scalars of multiplications as native/src/msm.h has them: s in (−r/2, r/2], |s| in 255 bits, the top bit tells that it is negative.
#pragma once

#include "field.h"

namespace anchorproof {
namespace cuda {

struct alignas(16) SignedScalar {
  uint32_t w[8];
  AP_ELEMENT(SignedScalar)
};
constexpr uint32_t SIGN_BIT = 1u << 31;

// From an integer below r.
AP_HD SignedScalar toSigned(const Fr& s) {
  uint32_t t[8];
  uint64_t borrow = 0, less = 0;
  constexpr Limbs p = {{ScalarModulus::P[0], ScalarModulus::P[1], ScalarModulus::P[2], ScalarModulus::P[3], ScalarModulus::P[4],
                        ScalarModulus::P[5], ScalarModulus::P[6], ScalarModulus::P[7]}};
  for (int i = 0; i < 8; i++) {
    uint64_t v = (uint64_t)p.l[i] - s.l[i] - borrow;
    t[i] = (uint32_t)v;
    borrow = v >> 63;
  }
  for (int i = 0; i < 8; i++) less = ((uint64_t)t[i] - s.l[i] - less) >> 63;  // r − s < s
  SignedScalar out;
  for (int i = 0; i < 8; i++) out.w[i] = less ? t[i] : s.l[i];
  if (less) out.w[7] |= SIGN_BIT;
  return out;
}

}  // namespace cuda
}  // namespace anchorproof
