// Field arithmetic on N elements at once. The kernels (point addition, butterflies, Poseidon) are written once against
// this interface; LANES_IFMA gives eight lanes of 52-bit limbs (AVX-512 IFMA), otherwise there is one lane of 64-bit
// limbs (field.h).
//
// Stored form. In memory an element is four 64-bit words, reduced to [0, p), in the Montgomery form of the lanes:
// R = 2^260 with eight lanes, 2^256 with one. toStored/fromStored convert from and to field.h's form.
//
// Bounds with eight lanes. Limbs are normalised (52 bits) unless a name says raw; a value may be any representative
// below 2^260 ≈ 84 p. The product of a < A·p and b < B·p is below (1 + 0.0119·A·B)·p: for A·B ≤ 80 it is below 2p.
// With one lane every value is reduced, and the bounds mean nothing.
#pragma once

#include "field.h"

namespace anchorproof {
namespace ENGINE_NS {

#ifdef LANES_IFMA

using Mask = __mmask8;
constexpr int LANES = 8;

constexpr u64 LIMB_MASK = (1ull << 52) - 1;

// k·p in limbs of 52 bits
struct Limbs52 {
  u64 l[5];
};

constexpr Limbs52 multiple52(const u64 (&p)[4], u64 k) {
  u64 w[5] = {0, 0, 0, 0, 0};
  u64 carry = 0;
  for (int i = 0; i < 4; i++) w[i] = mac(0, p[i], k, carry);
  w[4] = carry;
  return Limbs52{{w[0] & LIMB_MASK, ((w[0] >> 52) | (w[1] << 12)) & LIMB_MASK,
                  ((w[1] >> 40) | (w[2] << 24)) & LIMB_MASK, ((w[2] >> 28) | (w[3] << 36)) & LIMB_MASK,
                  (w[3] >> 16) | (w[4] << 48)}};
}

template <class Modulus>
struct Vec {
  __m512i l[5];

  using Scalar = Fp<Modulus>;
  static constexpr u64 INV52 = negativeInverse(Modulus::P[0]) & LIMB_MASK;
  template <int K>
  static constexpr Limbs52 KP = multiple52(Modulus::P, K);

  static Scalar toStored(const Scalar& a) { return a * Scalar::fromLimbs(powerOfTwo(256 + 4, Modulus::P)); }
  static Scalar fromStored(const Scalar& a) { return a * Scalar::fromLimbs(powerOfTwo(256 - 4, Modulus::P)); }

  static AP_INLINE __m512i low() { return _mm512_set1_epi64((long long)LIMB_MASK); }

  static AP_INLINE Vec zero() {
    Vec out;
    for (int i = 0; i < 5; i++) out.l[i] = _mm512_setzero_si512();
    return out;
  }

  // One element, in stored form, in all lanes.
  static AP_INLINE Vec broadcast(const Scalar& a) {
    __m512i w[4];
    for (int i = 0; i < 4; i++) w[i] = _mm512_set1_epi64((long long)a.l[i]);
    return unpack(w);
  }

  static AP_INLINE Vec one() { return broadcast(toStored(Scalar::one())); }

  // Words of eight elements, word i of all lanes in w[i], to limbs.
  static AP_INLINE Vec unpack(const __m512i* w) {
    Vec out;
    __m512i m = low();
    out.l[0] = _mm512_and_si512(w[0], m);
    out.l[1] = _mm512_and_si512(_mm512_or_si512(_mm512_srli_epi64(w[0], 52), _mm512_slli_epi64(w[1], 12)), m);
    out.l[2] = _mm512_and_si512(_mm512_or_si512(_mm512_srli_epi64(w[1], 40), _mm512_slli_epi64(w[2], 24)), m);
    out.l[3] = _mm512_and_si512(_mm512_or_si512(_mm512_srli_epi64(w[2], 28), _mm512_slli_epi64(w[3], 36)), m);
    out.l[4] = _mm512_srli_epi64(w[3], 16);
    return out;
  }

  // The reverse; needs a normalised value below 2^256.
  AP_INLINE void pack(__m512i* w) const {
    w[0] = _mm512_or_si512(l[0], _mm512_slli_epi64(l[1], 52));
    w[1] = _mm512_or_si512(_mm512_srli_epi64(l[1], 12), _mm512_slli_epi64(l[2], 40));
    w[2] = _mm512_or_si512(_mm512_srli_epi64(l[2], 24), _mm512_slli_epi64(l[3], 28));
    w[3] = _mm512_or_si512(_mm512_srli_epi64(l[3], 36), _mm512_slli_epi64(l[4], 16));
  }

  // Eight consecutive elements in stored form.
  static AP_INLINE Vec load(const Scalar* a) {
    const __m512i* in = reinterpret_cast<const __m512i*>(a);
    // Element i is half a row: a 4×8 transposition by two-source permutations.
    __m512i r0 = _mm512_loadu_si512(in), r1 = _mm512_loadu_si512(in + 1), r2 = _mm512_loadu_si512(in + 2),
            r3 = _mm512_loadu_si512(in + 3);
    __m512i w[4];
    const __m512i even = _mm512_setr_epi64(0, 4, 8, 12, 1, 5, 9, 13);
    const __m512i odd = _mm512_setr_epi64(2, 6, 10, 14, 3, 7, 11, 15);
    __m512i a0 = _mm512_permutex2var_epi64(r0, even, r1), a1 = _mm512_permutex2var_epi64(r2, even, r3);
    __m512i b0 = _mm512_permutex2var_epi64(r0, odd, r1), b1 = _mm512_permutex2var_epi64(r2, odd, r3);
    w[0] = _mm512_shuffle_i64x2(a0, a1, 0x44);
    w[1] = _mm512_shuffle_i64x2(a0, a1, 0xee);
    w[2] = _mm512_shuffle_i64x2(b0, b1, 0x44);
    w[3] = _mm512_shuffle_i64x2(b0, b1, 0xee);
    return unpack(w);
  }

  // Needs reduced values.
  AP_INLINE void store(Scalar* a) const {
    __m512i w[4];
    pack(w);
    __m512i a0 = _mm512_shuffle_i64x2(w[0], w[1], 0x44), a1 = _mm512_shuffle_i64x2(w[0], w[1], 0xee);
    __m512i b0 = _mm512_shuffle_i64x2(w[2], w[3], 0x44), b1 = _mm512_shuffle_i64x2(w[2], w[3], 0xee);
    const __m512i first = _mm512_setr_epi64(0, 4, 8, 12, 1, 5, 9, 13);
    const __m512i second = _mm512_setr_epi64(2, 6, 10, 14, 3, 7, 11, 15);
    __m512i* out = reinterpret_cast<__m512i*>(a);
    _mm512_storeu_si512(out, _mm512_permutex2var_epi64(a0, first, b0));
    _mm512_storeu_si512(out + 1, _mm512_permutex2var_epi64(a0, second, b0));
    _mm512_storeu_si512(out + 2, _mm512_permutex2var_epi64(a1, first, b1));
    _mm512_storeu_si512(out + 3, _mm512_permutex2var_epi64(a1, second, b1));
  }

  friend AP_INLINE Vec operator*(const Vec& a, const Vec& b) {
    __m512i t[10];
    const __m512i z = _mm512_setzero_si512();
    for (int i = 0; i < 10; i++) t[i] = z;
#pragma GCC unroll 5
    for (int i = 0; i < 5; i++) {
#pragma GCC unroll 5
      for (int j = 0; j < 5; j++) {
        t[i + j] = _mm512_madd52lo_epu64(t[i + j], a.l[i], b.l[j]);
        t[i + j + 1] = _mm512_madd52hi_epu64(t[i + j + 1], a.l[i], b.l[j]);
      }
    }
    return montgomeryReduce(t);
  }

  AP_INLINE Vec sqr() const {
    __m512i t[10];
    const __m512i z = _mm512_setzero_si512();
    for (int i = 0; i < 10; i++) t[i] = z;
#pragma GCC unroll 5
    for (int i = 0; i < 5; i++) {
#pragma GCC unroll 5
      for (int j = i + 1; j < 5; j++) {
        t[i + j] = _mm512_madd52lo_epu64(t[i + j], l[i], l[j]);
        t[i + j + 1] = _mm512_madd52hi_epu64(t[i + j + 1], l[i], l[j]);
      }
    }
#pragma GCC unroll 10
    for (int i = 1; i < 9; i++) t[i] = _mm512_add_epi64(t[i], t[i]);
#pragma GCC unroll 5
    for (int i = 0; i < 5; i++) {
      t[2 * i] = _mm512_madd52lo_epu64(t[2 * i], l[i], l[i]);
      t[2 * i + 1] = _mm512_madd52hi_epu64(t[2 * i + 1], l[i], l[i]);
    }
    return montgomeryReduce(t);
  }

  // t: ten accumulators, each a sum of less than 2^11 limbs. They may also hold several products.
  static AP_INLINE Vec montgomeryReduce(__m512i* t) {
    const __m512i z = _mm512_setzero_si512();
    const __m512i inv = _mm512_set1_epi64((long long)INV52);
#pragma GCC unroll 5
    for (int i = 0; i < 5; i++) {
      __m512i m = _mm512_madd52lo_epu64(z, t[i], inv);
#pragma GCC unroll 5
      for (int j = 0; j < 5; j++) {
        __m512i p = _mm512_set1_epi64((long long)KP<1>.l[j]);
        t[i + j] = _mm512_madd52lo_epu64(t[i + j], m, p);
        t[i + j + 1] = _mm512_madd52hi_epu64(t[i + j + 1], m, p);
      }
      t[i + 1] = _mm512_add_epi64(t[i + 1], _mm512_srli_epi64(t[i], 52));
    }
    Vec out;
    for (int i = 0; i < 5; i++) out.l[i] = t[i + 5];
    return out.carry();
  }

  // Raw: limbs may leave the 52-bit range either way; carry() brings them back. The value must not be negative then.
  friend AP_INLINE Vec rawAdd(const Vec& a, const Vec& b) {
    Vec out;
    for (int i = 0; i < 5; i++) out.l[i] = _mm512_add_epi64(a.l[i], b.l[i]);
    return out;
  }
  friend AP_INLINE Vec rawSub(const Vec& a, const Vec& b) {
    Vec out;
    for (int i = 0; i < 5; i++) out.l[i] = _mm512_sub_epi64(a.l[i], b.l[i]);
    return out;
  }
  template <int K>
  AP_INLINE Vec rawPlus() const {
    Vec out;
    for (int i = 0; i < 5; i++) out.l[i] = _mm512_add_epi64(l[i], _mm512_set1_epi64((long long)KP<K>.l[i]));
    return out;
  }
  AP_INLINE Vec carry() const {
    Vec out;
    __m512i m = low(), c = l[0];
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
      out.l[i] = _mm512_and_si512(c, m);
      c = _mm512_add_epi64(l[i + 1], _mm512_srai_epi64(c, 52));
    }
    out.l[4] = c;
    return out;
  }

  // a + b, not reduced
  friend AP_INLINE Vec operator+(const Vec& a, const Vec& b) { return rawAdd(a, b).carry(); }
  // *this − b + K·p; b must be at most K·p
  template <int K>
  AP_INLINE Vec minus(const Vec& b) const {
    return rawSub(*this, b).template rawPlus<K>().carry();
  }

  // From below 2·K·p to below K·p
  template <int K>
  AP_INLINE Vec reduceOnce() const {
    Vec t;
    for (int i = 0; i < 5; i++) t.l[i] = _mm512_sub_epi64(l[i], _mm512_set1_epi64((long long)KP<K>.l[i]));
    t = t.carry();
    return select(_mm512_movepi64_mask(t.l[4]), t, *this);
  }
  // From below K·p (K = 2, 4, 8 or 16) to [0, p)
  template <int K>
  AP_INLINE Vec reduced() const {
    Vec t = *this;
    if constexpr (K > 8) t = t.template reduceOnce<8>();
    if constexpr (K > 4) t = t.template reduceOnce<4>();
    if constexpr (K > 2) t = t.template reduceOnce<2>();
    return t.template reduceOnce<1>();
  }

  // Lanes that are zero, of normalised limbs; the multiple p of zero does not count, so reduce first or subtract raw.
  AP_INLINE Mask zeroMask() const {
    __m512i any = _mm512_or_si512(_mm512_or_si512(_mm512_or_si512(l[0], l[1]), _mm512_or_si512(l[2], l[3])), l[4]);
    return _mm512_testn_epi64_mask(any, any);
  }

  // mask ? b : a
  friend AP_INLINE Vec select(Mask mask, const Vec& a, const Vec& b) {
    Vec out;
    for (int i = 0; i < 5; i++) out.l[i] = _mm512_mask_blend_epi64(mask, a.l[i], b.l[i]);
    return out;
  }
};

// Rows of eight words to columns.
AP_INLINE void transpose8(const __m512i* r, __m512i* w) {
  __m512i t[8], s[8];
#pragma GCC unroll 4
  for (int i = 0; i < 4; i++) {
    t[2 * i] = _mm512_unpacklo_epi64(r[2 * i], r[2 * i + 1]);
    t[2 * i + 1] = _mm512_unpackhi_epi64(r[2 * i], r[2 * i + 1]);
  }
#pragma GCC unroll 2
  for (int i = 0; i < 2; i++) {
    s[4 * i + 0] = _mm512_shuffle_i64x2(t[4 * i + 0], t[4 * i + 2], 0x88);
    s[4 * i + 1] = _mm512_shuffle_i64x2(t[4 * i + 1], t[4 * i + 3], 0x88);
    s[4 * i + 2] = _mm512_shuffle_i64x2(t[4 * i + 0], t[4 * i + 2], 0xdd);
    s[4 * i + 3] = _mm512_shuffle_i64x2(t[4 * i + 1], t[4 * i + 3], 0xdd);
  }
  // s[k] (k = 0..3) holds columns {k, k+4} of rows 0–3, s[4+k] those of rows 4–7
#pragma GCC unroll 4
  for (int k = 0; k < 4; k++) {
    w[k] = _mm512_shuffle_i64x2(s[k], s[4 + k], 0x88);
    w[k + 4] = _mm512_shuffle_i64x2(s[k], s[4 + k], 0xdd);
  }
}

#else

using Mask = unsigned;
constexpr int LANES = 1;

template <class Modulus>
struct Vec {
  Fp<Modulus> v;

  using Scalar = Fp<Modulus>;
  static AP_INLINE Scalar toStored(const Scalar& a) { return a; }
  static AP_INLINE Scalar fromStored(const Scalar& a) { return a; }
  static AP_INLINE Vec zero() { return {Scalar::zero()}; }
  static AP_INLINE Vec one() { return {Scalar::one()}; }
  static AP_INLINE Vec broadcast(const Scalar& a) { return {a}; }
  static AP_INLINE Vec load(const Scalar* a) { return {*a}; }
  AP_INLINE void store(Scalar* a) const { *a = v; }
  friend AP_INLINE Vec operator*(const Vec& a, const Vec& b) { return {a.v * b.v}; }
  AP_INLINE Vec sqr() const { return {v.sqr()}; }
  friend AP_INLINE Vec rawAdd(const Vec& a, const Vec& b) { return {a.v + b.v}; }
  friend AP_INLINE Vec rawSub(const Vec& a, const Vec& b) { return {a.v - b.v}; }
  template <int K>
  AP_INLINE Vec rawPlus() const {
    return *this;
  }
  AP_INLINE Vec carry() const { return *this; }
  friend AP_INLINE Vec operator+(const Vec& a, const Vec& b) { return {a.v + b.v}; }
  template <int K>
  AP_INLINE Vec minus(const Vec& b) const {
    return {v - b.v};
  }
  template <int K>
  AP_INLINE Vec reduceOnce() const {
    return *this;
  }
  template <int K>
  AP_INLINE Vec reduced() const {
    return *this;
  }
  AP_INLINE Mask zeroMask() const { return v.isZero(); }
  friend AP_INLINE Vec select(Mask mask, const Vec& a, const Vec& b) { return mask ? b : a; }
};

#endif

using VecFq = Vec<BaseModulus>;
using VecFr = Vec<ScalarModulus>;

// Lanes of Fq². Inputs of mul and sqr are below 6p, their results too.
struct VecFq2 {
  VecFq c0, c1;

  using Scalar = Fq2;
  static Fq2 toStored(const Fq2& a) { return {VecFq::toStored(a.c0), VecFq::toStored(a.c1)}; }
  static Fq2 fromStored(const Fq2& a) { return {VecFq::fromStored(a.c0), VecFq::fromStored(a.c1)}; }
  static AP_INLINE VecFq2 one() { return {VecFq::one(), VecFq::zero()}; }
  AP_INLINE VecFq2 sqr() const {
    VecFq product = c0 * c1;
    return {(c0 + c1) * c0.minus<6>(c1), product + product};
  }
  template <int K>
  AP_INLINE VecFq2 rawPlus() const {
    return {c0.template rawPlus<K>(), c1.template rawPlus<K>()};
  }
  AP_INLINE VecFq2 carry() const { return {c0.carry(), c1.carry()}; }
  template <int K>
  AP_INLINE VecFq2 minus(const VecFq2& b) const {
    return {c0.template minus<K>(b.c0), c1.template minus<K>(b.c1)};
  }
  template <int K>
  AP_INLINE VecFq2 reduced() const {
    return {c0.template reduced<K>(), c1.template reduced<K>()};
  }
  template <int K>
  AP_INLINE VecFq2 reduceOnce() const {
    return {c0.template reduceOnce<K>(), c1.template reduceOnce<K>()};
  }
  AP_INLINE Mask zeroMask() const { return c0.zeroMask() & c1.zeroMask(); }
};

AP_INLINE VecFq2 operator*(const VecFq2& a, const VecFq2& b) {
  VecFq v0 = a.c0 * b.c0, v1 = a.c1 * b.c1;  // below 1.43p
  VecFq s = (a.c0 + a.c1) * (b.c0 + b.c1);   // below 2.72p
  return {v0.minus<2>(v1), rawSub(rawSub(s, v0), v1).template rawPlus<3>().carry()};
}
AP_INLINE VecFq2 rawAdd(const VecFq2& a, const VecFq2& b) { return {rawAdd(a.c0, b.c0), rawAdd(a.c1, b.c1)}; }
AP_INLINE VecFq2 rawSub(const VecFq2& a, const VecFq2& b) { return {rawSub(a.c0, b.c0), rawSub(a.c1, b.c1)}; }
AP_INLINE VecFq2 select(Mask mask, const VecFq2& a, const VecFq2& b) {
  return {select(mask, a.c0, b.c0), select(mask, a.c1, b.c1)};
}

}  // namespace ENGINE_NS
}  // namespace anchorproof
