// Modular inversion by division steps (D. Bernstein, B.-Y. Yang, "Fast constant-time gcd computation and modular inversion", CHES
// 2019; P. Wuille's variant that starts at δ = ½), 30 at a time on the low words, which give a matrix for the full numbers.
//
// Every step is the same few instructions without a branch, so the threads of a warp stay together; only the number of batches
// depends on the operand: 20 at most, for 590 steps are enough for 256 bits, and 18 or 19 as a rule. About 12000 instructions,
// as 65 products, where Fermat's exponentiation takes 380.
#pragma once

#include "platform.h"

namespace anchorproof {
namespace cuda {

class DivisionSteps {
 public:
  // out = a⁻¹ mod p, 0 for 0; a < p, p odd and below 2^256. inverse30 is p⁻¹ mod 2^30.
  static AP_HD void invert(const uint32_t* a, const uint32_t* p, uint32_t inverse30, uint32_t* out) {
    const Number modulus = split(p);
    // Invariants: d·a ≡ f and e·a ≡ g (mod p), up to the powers of two that every batch takes out; d and e in (−2p, p).
    Number f = modulus, g = split(a), d{}, e{};
    e.v[0] = 1;
    int32_t zeta = -1;  // −(δ + ½)
    while (!isZero(g)) {
      const Matrix t = steps(zeta, static_cast<uint32_t>(f.v[0]), static_cast<uint32_t>(g.v[0]));
      updateCofactors(d, e, t, modulus, inverse30);
      updateValues(f, g, t);
    }
    // f is 1 or −1 and d its cofactor; for a = 0 nothing has happened, and d is 0.
    finish(d, f.v[8] < 0, modulus, out);
  }

 private:
  static constexpr int LIMBS = 9;
  static constexpr uint32_t MASK = ~uint32_t{0} >> 2;

  // Σ v[i]·2^(30·i); all limbs but the top one lie in [0, 2^30), the top one carries the sign.
  struct Number {
    int32_t v[LIMBS];
  };
  // 2^30 times the steps' matrix: |u| + |v| and |q| + |r| are at most 2^30.
  struct Matrix {
    int32_t u, v, q, r;
  };

  static AP_HD Number split(const uint32_t* w) {
    Number out;
    AP_UNROLL
    for (int i = 0; i < LIMBS; i++) {
      const int word = 30 * i / 32, bit = 30 * i % 32;
      const uint64_t two = w[word] | static_cast<uint64_t>(word < 7 ? w[word + 1] : 0) << 32;
      out.v[i] = static_cast<int32_t>(static_cast<uint32_t>(two >> bit) & MASK);
    }
    return out;
  }

  static AP_HD bool isZero(const Number& a) {
    int32_t any = 0;
    AP_UNROLL
    for (int i = 0; i < LIMBS; i++) any |= a.v[i];
    return any == 0;
  }

  // δ > 0 and g odd: (f, g) ← (g, (g − f)/2); else (f, g) ← (f, (g + (g mod 2)·f)/2). Rows (u, v) and (q, r) follow f and g.
  static AP_HD Matrix steps(int32_t& zeta, uint32_t f, uint32_t g) {
    uint32_t u = 1, v = 0, q = 0, r = 1;
    AP_UNROLL
    for (int i = 0; i < 30; i++) {
      const uint32_t positive = static_cast<uint32_t>(zeta >> 31), odd = 0 - (g & 1), swap = positive & odd;
      g += ((f ^ positive) - positive) & odd;
      q += ((u ^ positive) - positive) & odd;
      r += ((v ^ positive) - positive) & odd;
      zeta = (zeta ^ static_cast<int32_t>(swap)) - 1;
      f += g & swap;
      u = (u + (q & swap)) << 1;
      v = (v + (r & swap)) << 1;
      g >>= 1;
    }
    return {static_cast<int32_t>(u), static_cast<int32_t>(v), static_cast<int32_t>(q), static_cast<int32_t>(r)};
  }

  static AP_HD int64_t product(int32_t a, int32_t b) { return static_cast<int64_t>(a) * b; }
  static AP_HD int32_t low(int64_t a) { return static_cast<int32_t>(static_cast<uint32_t>(a) & MASK); }

  // (f, g) ← t·(f, g) / 2^30, exactly.
  static AP_HD void updateValues(Number& f, Number& g, const Matrix& t) {
    int64_t cf = product(t.u, f.v[0]) + product(t.v, g.v[0]), cg = product(t.q, f.v[0]) + product(t.r, g.v[0]);
    AP_UNROLL
    for (int i = 1; i < LIMBS; i++) {
      cf = (cf >> 30) + product(t.u, f.v[i]) + product(t.v, g.v[i]);
      cg = (cg >> 30) + product(t.q, f.v[i]) + product(t.r, g.v[i]);
      f.v[i - 1] = low(cf);
      g.v[i - 1] = low(cg);
    }
    f.v[LIMBS - 1] = static_cast<int32_t>(cf >> 30);
    g.v[LIMBS - 1] = static_cast<int32_t>(cg >> 30);
  }

  // (d, e) ← t·(d, e) / 2^30 mod p. Negative numbers take p first, so that the results stay in (−2p, p); then as much of p as makes
  // the low limbs zero.
  static AP_HD void updateCofactors(Number& d, Number& e, const Matrix& t, const Number& p, uint32_t inverse30) {
    const int32_t signD = d.v[LIMBS - 1] >> 31, signE = e.v[LIMBS - 1] >> 31;
    int32_t md = (t.u & signD) + (t.v & signE), me = (t.q & signD) + (t.r & signE);
    int64_t cd = product(t.u, d.v[0]) + product(t.v, e.v[0]), ce = product(t.q, d.v[0]) + product(t.r, e.v[0]);
    md -= static_cast<int32_t>((inverse30 * static_cast<uint32_t>(cd) + static_cast<uint32_t>(md)) & MASK);
    me -= static_cast<int32_t>((inverse30 * static_cast<uint32_t>(ce) + static_cast<uint32_t>(me)) & MASK);
    cd += product(p.v[0], md);
    ce += product(p.v[0], me);
    AP_UNROLL
    for (int i = 1; i < LIMBS; i++) {
      cd = (cd >> 30) + product(t.u, d.v[i]) + product(t.v, e.v[i]) + product(p.v[i], md);
      ce = (ce >> 30) + product(t.q, d.v[i]) + product(t.r, e.v[i]) + product(p.v[i], me);
      d.v[i - 1] = low(cd);
      e.v[i - 1] = low(ce);
    }
    d.v[LIMBS - 1] = static_cast<int32_t>(cd >> 30);
    e.v[LIMBS - 1] = static_cast<int32_t>(ce >> 30);
  }

  static AP_HD void carry(Number& a) {
    AP_UNROLL
    for (int i = 0; i < LIMBS - 1; i++) {
      a.v[i + 1] += a.v[i] >> 30;
      a.v[i] = static_cast<int32_t>(static_cast<uint32_t>(a.v[i]) & MASK);
    }
  }
  static AP_HD void addIfNegative(Number& d, const Number& p) {
    const int32_t sign = d.v[LIMBS - 1] >> 31;
    AP_UNROLL
    for (int i = 0; i < LIMBS; i++) d.v[i] += p.v[i] & sign;
    carry(d);
  }

  static AP_HD void finish(Number d, bool negate, const Number& p, uint32_t* out) {
    addIfNegative(d, p);  // (−p, p)
    const int32_t sign = negate ? -1 : 0;
    AP_UNROLL
    for (int i = 0; i < LIMBS; i++) d.v[i] = (d.v[i] ^ sign) - sign;
    carry(d);
    addIfNegative(d, p);  // [0, p)
    AP_UNROLL
    for (int i = 0; i < 8; i++) {
      const int limb = 32 * i / 30, bit = 32 * i % 30;  // 14 at most: two limbs have the word's bits
      const uint64_t two = static_cast<uint32_t>(d.v[limb]) | static_cast<uint64_t>(static_cast<uint32_t>(d.v[limb + 1])) << 30;
      out[i] = static_cast<uint32_t>(two >> bit);
    }
  }
};

// A block's threads invert together (Montgomery's trick): products in a tree up to one for each lane of a warp, whose lanes each
// invert one at the same time, and the same way down. To be called by all threads of a block of THREADS, none with zero;
// nodes: 2·THREADS elements of shared memory, the block's to use again after its next barrier.
template <unsigned THREADS, class F>
AP_DEVICE F inverseInBlock(const F& value, F* nodes) {
  constexpr unsigned LANES = 32;
  static_assert(THREADS >= LANES && (THREADS & (THREADS - 1)) == 0, "a tree over whole warps");
  // Node i has the children 2i and 2i + 1.
  nodes[THREADS + threadIdx.x] = value;
  __syncthreads();
  for (unsigned width = THREADS / 2; width >= LANES; width /= 2) {
    const unsigned i = width + threadIdx.x;
    if (threadIdx.x < width) nodes[i] = nodes[2 * i] * nodes[2 * i + 1];
    __syncthreads();
  }
  if (threadIdx.x < LANES) nodes[LANES + threadIdx.x] = nodes[LANES + threadIdx.x].inverse();
  __syncthreads();
  for (unsigned width = LANES; width < THREADS; width *= 2) {
    const unsigned i = width + threadIdx.x;
    if (threadIdx.x < width) {
      const F inverse = nodes[i], left = nodes[2 * i];
      nodes[2 * i] = inverse * nodes[2 * i + 1];
      nodes[2 * i + 1] = inverse * left;
    }
    __syncthreads();
  }
  return nodes[THREADS + threadIdx.x];
}

}  // namespace cuda
}  // namespace anchorproof
