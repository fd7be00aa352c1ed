// Modular inversion by division steps (D. Bernstein, B.-Y. Yang, "Fast constant-time gcd computation and modular
// inversion", CHES 2019), in the variable-time form: 62 steps at a time on the low words give a 2×2 matrix, which is
// then applied to the full numbers. Some four times as fast as Fermat's exponentiation.
//
// Not constant time: it serves batch inversions of points and the final affine coordinates, never a key.
#pragma once

#include "engine_std.h"

namespace anchorproof {
namespace ENGINE_NS {

class DivisionSteps {
 public:
  // out = a⁻¹ mod p for 0 < a < p; p odd, below 2^256. inverse62 is p⁻¹ mod 2^62.
  static void invert(const uint64_t* a, const uint64_t* p, uint64_t inverse62, uint64_t* out) {
    const Number modulus = split(p);
    // Invariants: d·a ≡ f and e·a ≡ g (mod p), up to the powers of two that every batch takes out.
    Number f = modulus, g = split(a), d{}, e{};
    e.v[0] = 1;
    int64_t eta = -1;
    while (!isZero(g)) {
      Matrix t;
      eta = steps(eta, (uint64_t)f.v[0], (uint64_t)g.v[0], t);
      updateCofactors(d, e, t, modulus, inverse62);
      updateValues(f, g, t);
    }
    // f is 1 or −1, and d its cofactor in (−2p, p).
    finish(d, f.v[4] < 0, modulus, out);
  }

 private:
  // Σ v[i]·2^(62·i); all limbs but the top one lie in [0, 2^62), the top one carries the sign.
  struct Number {
    int64_t v[5];
  };
  // Twice 62 bits of quotients: entries stay within ±2^62.
  struct Matrix {
    int64_t u, v, q, r;
  };
  using Wide = __int128;
  static constexpr uint64_t MASK = ~(uint64_t)0 >> 2;

  static Number split(const uint64_t* w) {
    return {{(int64_t)(w[0] & MASK), (int64_t)((w[0] >> 62 | w[1] << 2) & MASK),
             (int64_t)((w[1] >> 60 | w[2] << 4) & MASK), (int64_t)((w[2] >> 58 | w[3] << 6) & MASK),
             (int64_t)(w[3] >> 56)}};
  }

  static bool isZero(const Number& a) { return (a.v[0] | a.v[1] | a.v[2] | a.v[3] | a.v[4]) == 0; }

  // eta is −δ of the paper. Runs of halvings are taken at once, and several bits of g are cleared by one multiple of f.
  static int64_t steps(int64_t eta, uint64_t f, uint64_t g, Matrix& t) {
    uint64_t u = 1, v = 0, q = 0, r = 1;
    int left = 62;
    for (;;) {
      int zeros = __builtin_ctzll(g | ~(uint64_t)0 << left);
      g >>= zeros;
      u <<= zeros;
      v <<= zeros;
      eta -= zeros;
      left -= zeros;
      if (left == 0) break;
      uint64_t factor;
      if (eta < 0) {
        eta = -eta;
        uint64_t old = f;
        f = g;
        g = 0 - old;
        old = u;
        u = q;
        q = 0 - old;
        old = v;
        v = r;
        r = 0 - old;
        // −g/f modulo 2^6: f·(2 − f²) is f⁻¹ modulo 2^6 up to the sign taken here.
        int bits = std::min<int64_t>({eta + 1, left, 6});
        factor = (f * g * (f * f - 2)) & (((uint64_t)1 << bits) - 1);
      } else {
        // The same modulo 2^4.
        int bits = std::min<int64_t>({eta + 1, left, 4});
        uint64_t inverse = f + (((f + 1) & 4) << 1);
        factor = (0 - inverse * g) & (((uint64_t)1 << bits) - 1);
      }
      g += f * factor;
      q += u * factor;
      r += v * factor;
    }
    t = {(int64_t)u, (int64_t)v, (int64_t)q, (int64_t)r};
    return eta;
  }

  // (f, g) ← t·(f, g) / 2^62, exactly.
  static void updateValues(Number& f, Number& g, const Matrix& t) {
    Wide cf = (Wide)t.u * f.v[0] + (Wide)t.v * g.v[0];
    Wide cg = (Wide)t.q * f.v[0] + (Wide)t.r * g.v[0];
    cf >>= 62;
    cg >>= 62;
    for (int i = 1; i < 5; i++) {
      cf += (Wide)t.u * f.v[i] + (Wide)t.v * g.v[i];
      cg += (Wide)t.q * f.v[i] + (Wide)t.r * g.v[i];
      f.v[i - 1] = (int64_t)((uint64_t)cf & MASK);
      g.v[i - 1] = (int64_t)((uint64_t)cg & MASK);
      cf >>= 62;
      cg >>= 62;
    }
    f.v[4] = (int64_t)cf;
    g.v[4] = (int64_t)cg;
  }

  // (d, e) ← t·(d, e) / 2^62 modulo p, kept in (−2p, p).
  static void updateCofactors(Number& d, Number& e, const Matrix& t, const Number& p, uint64_t inverse62) {
    // Multiples of p that bring negative inputs up, then those that clear the low 62 bits.
    int64_t signD = d.v[4] >> 63, signE = e.v[4] >> 63;
    int64_t md = (t.u & signD) + (t.v & signE), me = (t.q & signD) + (t.r & signE);
    Wide cd = (Wide)t.u * d.v[0] + (Wide)t.v * e.v[0];
    Wide ce = (Wide)t.q * d.v[0] + (Wide)t.r * e.v[0];
    md -= (int64_t)((inverse62 * (uint64_t)cd + (uint64_t)md) & MASK);
    me -= (int64_t)((inverse62 * (uint64_t)ce + (uint64_t)me) & MASK);
    cd += (Wide)p.v[0] * md;
    ce += (Wide)p.v[0] * me;
    cd >>= 62;
    ce >>= 62;
    for (int i = 1; i < 5; i++) {
      cd += (Wide)t.u * d.v[i] + (Wide)t.v * e.v[i] + (Wide)p.v[i] * md;
      ce += (Wide)t.q * d.v[i] + (Wide)t.r * e.v[i] + (Wide)p.v[i] * me;
      d.v[i - 1] = (int64_t)((uint64_t)cd & MASK);
      e.v[i - 1] = (int64_t)((uint64_t)ce & MASK);
      cd >>= 62;
      ce >>= 62;
    }
    d.v[4] = (int64_t)cd;
    e.v[4] = (int64_t)ce;
  }

  static void carry(Number& a) {
    for (int i = 0; i < 4; i++) {
      a.v[i + 1] += a.v[i] >> 62;
      a.v[i] = (int64_t)((uint64_t)a.v[i] & MASK);
    }
  }

  static void finish(Number d, bool negate, const Number& p, uint64_t* out) {
    auto add = [&](int64_t times) {
      for (int i = 0; i < 5; i++) d.v[i] += p.v[i] * times;
      carry(d);
    };
    if (d.v[4] < 0) add(1);  // (−p, p)
    if (negate) {
      for (int64_t& limb : d.v) limb = -limb;
      carry(d);
    }
    if (d.v[4] < 0) add(1);  // [0, p)
    out[0] = (uint64_t)d.v[0] | (uint64_t)d.v[1] << 62;
    out[1] = (uint64_t)d.v[1] >> 2 | (uint64_t)d.v[2] << 60;
    out[2] = (uint64_t)d.v[2] >> 4 | (uint64_t)d.v[3] << 58;
    out[3] = (uint64_t)d.v[3] >> 6 | (uint64_t)d.v[4] << 56;
  }
};

}  // namespace ENGINE_NS
}  // namespace anchorproof
