// BN254's fields in 32-bit limbs: Fq, Fr and Fq2 = Fq[u]/(u² + 1), in Montgomery form with R = 2^256, always reduced.
//
// Eight limbs in memory are the four 64-bit limbs of native/src/field.h, so that elements cross between host and card as they
// are (lanes of one; the form of the eight-lane engine differs by a factor).
#pragma once

#include "platform.h"

namespace anchorproof {
namespace cuda {

struct BaseModulus {
  static constexpr uint32_t P[8] = {0xd87cfd47, 0x3c208c16, 0x6871ca8d, 0x97816a91, 0x8181585d, 0xb85045b6, 0xe131a029, 0x30644e72};
};
struct ScalarModulus {
  static constexpr uint32_t P[8] = {0xf0000001, 0x43e1f593, 0x79b97091, 0x2833e848, 0x8181585d, 0xb85045b6, 0xe131a029, 0x30644e72};
};

struct Limbs {
  uint32_t l[8];
};

constexpr Limbs doubled(Limbs a, const uint32_t (&p)[8]) {
  Limbs t{}, s{};
  uint64_t carry = 0, borrow = 0;
  for (int i = 0; i < 8; i++) {
    uint64_t v = 2 * (uint64_t)a.l[i] + carry;
    t.l[i] = (uint32_t)v;
    carry = v >> 32;
  }
  for (int i = 0; i < 8; i++) {
    uint64_t v = (uint64_t)t.l[i] - p[i] - borrow;
    s.l[i] = (uint32_t)v;
    borrow = v >> 63;
  }
  return borrow ? t : s;
}
constexpr Limbs powerOfTwo(int k, const uint32_t (&p)[8]) {
  Limbs t{{1, 0, 0, 0, 0, 0, 0, 0}};
  for (int i = 0; i < k; i++) t = doubled(t, p);
  return t;
}
constexpr uint32_t negativeInverse(uint32_t p) {
  uint32_t x = 1;
  for (int i = 0; i < 5; i++) x *= 2 - p * x;
  return 0 - x;
}

template <class Modulus>
struct alignas(16) Fp {
  uint32_t l[8];

  static constexpr uint32_t INV = negativeInverse(Modulus::P[0]);
  static constexpr Limbs R1 = powerOfTwo(256, Modulus::P);
  static constexpr Limbs R2 = powerOfTwo(512, Modulus::P);

  static AP_HD Fp of(const Limbs& a) { return {{a.l[0], a.l[1], a.l[2], a.l[3], a.l[4], a.l[5], a.l[6], a.l[7]}}; }
  static AP_HD Fp zero() { return {{0, 0, 0, 0, 0, 0, 0, 0}}; }
  static AP_HD Fp one() {
    constexpr Limbs r = R1;
    return of(r);
  }
  AP_HD bool isZero() const { return (l[0] | l[1] | l[2] | l[3] | l[4] | l[5] | l[6] | l[7]) == 0; }
  AP_HD friend bool operator==(const Fp& a, const Fp& b) {
    uint32_t any = 0;
    for (int i = 0; i < 8; i++) any |= a.l[i] ^ b.l[i];
    return any == 0;
  }
  AP_HD friend bool operator!=(const Fp& a, const Fp& b) { return !(a == b); }

  // Whether the limbs, as an integer, are below p.
  AP_HD bool isReduced() const {
    uint64_t borrow = 0;
    for (int i = 0; i < 8; i++) borrow = ((uint64_t)l[i] - p(i) - borrow) >> 63;
    return borrow != 0;
  }

  AP_HD friend Fp operator+(const Fp& a, const Fp& b) {
    Fp t, s;
    uint64_t carry = 0, borrow = 0;
    for (int i = 0; i < 8; i++) {
      uint64_t v = (uint64_t)a.l[i] + b.l[i] + carry;
      t.l[i] = (uint32_t)v;
      carry = v >> 32;
    }
    for (int i = 0; i < 8; i++) {
      uint64_t v = (uint64_t)t.l[i] - p(i) - borrow;
      s.l[i] = (uint32_t)v;
      borrow = v >> 63;
    }
    return borrow ? t : s;
  }
  AP_HD friend Fp operator-(const Fp& a, const Fp& b) {
    Fp t;
    uint64_t carry = 0, borrow = 0;
    for (int i = 0; i < 8; i++) {
      uint64_t v = (uint64_t)a.l[i] - b.l[i] - borrow;
      t.l[i] = (uint32_t)v;
      borrow = v >> 63;
    }
    uint32_t mask = 0 - (uint32_t)borrow;
    for (int i = 0; i < 8; i++) {
      uint64_t v = (uint64_t)t.l[i] + (p(i) & mask) + carry;
      t.l[i] = (uint32_t)v;
      carry = v >> 32;
    }
    return t;
  }
  AP_HD friend Fp operator-(const Fp& a) { return zero() - a; }
  AP_HD Fp dbl() const { return *this + *this; }

  AP_HD friend Fp operator*(const Fp& a, const Fp& b) {
    uint32_t t[9] = {0, 0, 0, 0, 0, 0, 0, 0, 0};
    for (int i = 0; i < 8; i++) {
      uint64_t carry = 0;
      for (int j = 0; j < 8; j++) {
        uint64_t v = (uint64_t)a.l[j] * b.l[i] + t[j] + carry;
        t[j] = (uint32_t)v;
        carry = v >> 32;
      }
      t[8] = (uint32_t)carry;
      uint32_t m = t[0] * INV;
      carry = ((uint64_t)m * p(0) + t[0]) >> 32;
      for (int j = 1; j < 8; j++) {
        uint64_t v = (uint64_t)m * p(j) + t[j] + carry;
        t[j - 1] = (uint32_t)v;
        carry = v >> 32;
      }
      t[7] = t[8] + (uint32_t)carry;
    }
    Fp out, s;
    uint64_t borrow = 0;
    for (int i = 0; i < 8; i++) {
      out.l[i] = t[i];
      uint64_t v = (uint64_t)t[i] - p(i) - borrow;
      s.l[i] = (uint32_t)v;
      borrow = v >> 63;
    }
    return borrow ? out : s;
  }
  AP_HD Fp sqr() const { return *this * *this; }

  AP_HD Fp& operator+=(const Fp& b) { return *this = *this + b; }
  AP_HD Fp& operator-=(const Fp& b) { return *this = *this - b; }
  AP_HD Fp& operator*=(const Fp& b) { return *this = *this * b; }

  AP_HD Fp toMontgomery() const {
    constexpr Limbs r = R2;
    return *this * of(r);
  }
  AP_HD Fp fromMontgomery() const { return *this * Fp{{1, 0, 0, 0, 0, 0, 0, 0}}; }

  // 0 for 0
  AP_CALL Fp inverse() const {
    Fp out = one();
    for (int i = 253; i >= 0; i--) {
      out = out.sqr();
      uint32_t word = Modulus::P[i / 32];
      if (i < 32) word -= 2;  // no borrow: the lowest words are above one
      if (word >> (i % 32) & 1) out = out * *this;
    }
    return out;
  }

 private:
  static AP_HD uint32_t p(int i) {
    constexpr Limbs q = {{Modulus::P[0], Modulus::P[1], Modulus::P[2], Modulus::P[3], Modulus::P[4], Modulus::P[5], Modulus::P[6], Modulus::P[7]}};
    return q.l[i];
  }
};

using Fq = Fp<BaseModulus>;
using Fr = Fp<ScalarModulus>;

struct Fq2 {
  Fq c0, c1;

  static AP_HD Fq2 zero() { return {Fq::zero(), Fq::zero()}; }
  static AP_HD Fq2 one() { return {Fq::one(), Fq::zero()}; }
  AP_HD bool isZero() const { return c0.isZero() && c1.isZero(); }
  AP_HD Fq2 dbl() const { return {c0.dbl(), c1.dbl()}; }
  AP_HD Fq2 sqr() const {
    Fq product = c0 * c1;
    return {(c0 + c1) * (c0 - c1), product.dbl()};
  }
  AP_CALL Fq2 inverse() const {
    Fq norm = (c0.sqr() + c1.sqr()).inverse();
    return {c0 * norm, -(c1 * norm)};
  }
};
AP_HD bool operator==(const Fq2& a, const Fq2& b) { return a.c0 == b.c0 && a.c1 == b.c1; }
AP_HD bool operator!=(const Fq2& a, const Fq2& b) { return !(a == b); }
AP_HD Fq2 operator+(const Fq2& a, const Fq2& b) { return {a.c0 + b.c0, a.c1 + b.c1}; }
AP_HD Fq2 operator-(const Fq2& a, const Fq2& b) { return {a.c0 - b.c0, a.c1 - b.c1}; }
AP_HD Fq2 operator-(const Fq2& a) { return {-a.c0, -a.c1}; }
AP_HD Fq2 operator*(const Fq2& a, const Fq2& b) {
  Fq v0 = a.c0 * b.c0, v1 = a.c1 * b.c1;
  return {v0 - v1, (a.c0 + a.c1) * (b.c0 + b.c1) - v0 - v1};
}

}  // namespace cuda
}  // namespace anchorproof
