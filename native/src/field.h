// Scalar arithmetic of BN254's base field Fq and scalar field Fr: four 64-bit limbs, Montgomery form with R = 2^256,
// always reduced to [0, p).
//
// Both moduli have 254 bits, so an operand-scanning Montgomery product needs no fifth accumulator word (the "no-carry"
// condition: the top limb is below 2^63 − 1). FIELD_ADX selects mulx/adcx/adox assembly: two independent carry chains,
// one for low and one for high halves. The portable twin uses 128-bit integers.
#pragma once

#include "inverse.h"

namespace anchorproof {
namespace ENGINE_NS {

using u64 = uint64_t;
using u128 = unsigned __int128;

#ifndef AP_TARGET
#define AP_TARGET
#endif
#ifdef AP_CALLED
// Under the sanitizers (native/fuzz/run.mjs) a call: what they add to an access is compiled once, not wherever it is used.
#define AP_INLINE inline AP_TARGET
#else
#define AP_INLINE inline __attribute__((always_inline))
#endif
// For what is large and called from many places: it keeps the build short and costs a call.
#define AP_NOINLINE inline __attribute__((noinline))
#ifdef FIELD_ADX
#define AP_ARITHMETIC AP_INLINE
#else
#define AP_ARITHMETIC AP_NOINLINE
#endif

constexpr u64 mac(u64 a, u64 b, u64 c, u64& carry) {
  u128 t = (u128)b * c + a + carry;
  carry = (u64)(t >> 64);
  return (u64)t;
}

constexpr u64 adc(u64 a, u64 b, u64& carry) {
  u128 t = (u128)a + b + carry;
  carry = (u64)(t >> 64);
  return (u64)t;
}

constexpr u64 sbb(u64 a, u64 b, u64& borrow) {
  u128 t = (u128)a - b - borrow;
  borrow = (u64)(t >> 64) & 1;
  return (u64)t;
}

struct Limbs {
  u64 l[4];
};

constexpr Limbs doubled(Limbs a, const u64 (&p)[4]) {
  u64 carry = 0, borrow = 0;
  Limbs t{}, s{};
  for (int i = 0; i < 4; i++) t.l[i] = adc(a.l[i], a.l[i], carry);
  for (int i = 0; i < 4; i++) s.l[i] = sbb(t.l[i], p[i], borrow);
  return borrow ? t : s;
}

// 2^k mod p
constexpr Limbs powerOfTwo(int k, const u64 (&p)[4]) {
  Limbs t{{1, 0, 0, 0}};
  for (int i = 0; i < k; i++) t = doubled(t, p);
  return t;
}

// −p⁻¹ mod 2^64, by Newton's iteration
constexpr u64 negativeInverse(u64 p) {
  u64 x = 1;
  for (int i = 0; i < 6; i++) x *= 2 - p * x;
  return 0 - x;
}

struct BaseModulus {
  static constexpr u64 P[4] = {0x3c208c16d87cfd47, 0x97816a916871ca8d, 0xb85045b68181585d, 0x30644e72e131a029};
};

struct ScalarModulus {
  static constexpr u64 P[4] = {0x43e1f593f0000001, 0x2833e84879b97091, 0xb85045b68181585d, 0x30644e72e131a029};
};

template <class Modulus>
struct alignas(8) Fp {
  u64 l[4];

  static constexpr const u64 (&P)[4] = Modulus::P;
  static constexpr u64 INV = negativeInverse(Modulus::P[0]);
  static constexpr Limbs R1 = powerOfTwo(256, Modulus::P);
  static constexpr Limbs R2 = powerOfTwo(512, Modulus::P);
  static constexpr Limbs R3 = powerOfTwo(768, Modulus::P);

  static constexpr Fp fromLimbs(const Limbs& a) { return Fp{{a.l[0], a.l[1], a.l[2], a.l[3]}}; }
  static constexpr Fp zero() { return Fp{{0, 0, 0, 0}}; }
  static constexpr Fp one() { return fromLimbs(R1); }
  static Fp fromInteger(u64 a) { return Fp{{a, 0, 0, 0}}.toMontgomery(); }

  AP_INLINE bool isZero() const { return (l[0] | l[1] | l[2] | l[3]) == 0; }
  friend AP_INLINE bool operator==(const Fp& a, const Fp& b) {
    return ((a.l[0] ^ b.l[0]) | (a.l[1] ^ b.l[1]) | (a.l[2] ^ b.l[2]) | (a.l[3] ^ b.l[3])) == 0;
  }
  friend AP_INLINE bool operator!=(const Fp& a, const Fp& b) { return !(a == b); }

  // Whether the limbs, as an integer, are below p.
  AP_INLINE bool isReduced() const {
    u64 borrow = 0;
    for (int i = 0; i < 4; i++) sbb(l[i], P[i], borrow);
    return borrow != 0;
  }

  friend AP_ARITHMETIC Fp operator+(const Fp& a, const Fp& b) {
#ifdef FIELD_ADX
    u64 t0 = a.l[0], t1 = a.l[1], t2 = a.l[2], t3 = a.l[3], s0, s1, s2, s3;
    __asm__(
        "addq %[b0], %[t0]\n\tadcq %[b1], %[t1]\n\tadcq %[b2], %[t2]\n\tadcq %[b3], %[t3]\n\t"
        "movq %[t0], %[s0]\n\tmovq %[t1], %[s1]\n\tmovq %[t2], %[s2]\n\tmovq %[t3], %[s3]\n\t"
        "subq %[p0], %[s0]\n\tsbbq %[p1], %[s1]\n\tsbbq %[p2], %[s2]\n\tsbbq %[p3], %[s3]\n\t"
        "cmovncq %[s0], %[t0]\n\tcmovncq %[s1], %[t1]\n\tcmovncq %[s2], %[t2]\n\tcmovncq %[s3], %[t3]\n\t"
        : [t0] "+r"(t0), [t1] "+r"(t1), [t2] "+r"(t2), [t3] "+r"(t3), [s0] "=&r"(s0), [s1] "=&r"(s1), [s2] "=&r"(s2),
          [s3] "=&r"(s3)
        : [b0] "m"(b.l[0]), [b1] "m"(b.l[1]), [b2] "m"(b.l[2]), [b3] "m"(b.l[3]), [p0] "m"(Modulus::P[0]),
          [p1] "m"(Modulus::P[1]), [p2] "m"(Modulus::P[2]), [p3] "m"(Modulus::P[3])
        : "cc");
    return Fp{{t0, t1, t2, t3}};
#else
    u64 carry = 0, borrow = 0;
    u64 t0 = adc(a.l[0], b.l[0], carry), t1 = adc(a.l[1], b.l[1], carry);
    u64 t2 = adc(a.l[2], b.l[2], carry), t3 = adc(a.l[3], b.l[3], carry);
    u64 s0 = sbb(t0, P[0], borrow), s1 = sbb(t1, P[1], borrow), s2 = sbb(t2, P[2], borrow), s3 = sbb(t3, P[3], borrow);
    u64 keep = 0 - borrow;
    return Fp{{s0 ^ ((s0 ^ t0) & keep), s1 ^ ((s1 ^ t1) & keep), s2 ^ ((s2 ^ t2) & keep), s3 ^ ((s3 ^ t3) & keep)}};
#endif
  }

  friend AP_ARITHMETIC Fp operator-(const Fp& a, const Fp& b) {
#ifdef FIELD_ADX
    u64 t0 = a.l[0], t1 = a.l[1], t2 = a.l[2], t3 = a.l[3];
    u64 s0 = P[0], s1 = P[1], s2 = P[2], s3 = P[3], z = 0;
    __asm__(
        "subq %[b0], %[t0]\n\tsbbq %[b1], %[t1]\n\tsbbq %[b2], %[t2]\n\tsbbq %[b3], %[t3]\n\t"
        "cmovncq %[z], %[s0]\n\tcmovncq %[z], %[s1]\n\tcmovncq %[z], %[s2]\n\tcmovncq %[z], %[s3]\n\t"
        "addq %[s0], %[t0]\n\tadcq %[s1], %[t1]\n\tadcq %[s2], %[t2]\n\tadcq %[s3], %[t3]\n\t"
        : [t0] "+&r"(t0), [t1] "+&r"(t1), [t2] "+&r"(t2), [t3] "+&r"(t3), [s0] "+&r"(s0), [s1] "+&r"(s1),
          [s2] "+&r"(s2), [s3] "+&r"(s3)
        : [b0] "m"(b.l[0]), [b1] "m"(b.l[1]), [b2] "m"(b.l[2]), [b3] "m"(b.l[3]), [z] "r"(z)
        : "cc");
    return Fp{{t0, t1, t2, t3}};
#else
    u64 borrow = 0, carry = 0;
    u64 t0 = sbb(a.l[0], b.l[0], borrow), t1 = sbb(a.l[1], b.l[1], borrow);
    u64 t2 = sbb(a.l[2], b.l[2], borrow), t3 = sbb(a.l[3], b.l[3], borrow);
    u64 mask = 0 - borrow;
    u64 r0 = adc(t0, P[0] & mask, carry), r1 = adc(t1, P[1] & mask, carry);
    u64 r2 = adc(t2, P[2] & mask, carry), r3 = adc(t3, P[3] & mask, carry);
    return Fp{{r0, r1, r2, r3}};
#endif
  }

  friend AP_INLINE Fp operator-(const Fp& a) { return zero() - a; }
  AP_INLINE Fp dbl() const { return *this + *this; }

  friend AP_ARITHMETIC Fp operator*(const Fp& a, const Fp& b) {
#ifdef FIELD_ADX
    // clang-format off
    u64 t0, t1, t2, t3, t4, lo, s2, s3;
#define AP_ROUND(X)                                                                                  \
    "xorl %k[lo], %k[lo]\n\tmovq " X ", %%rdx\n\t"                                                  \
    "mulxq %[y0], %[lo], %[t4]\n\tadoxq %[lo], %[t0]\n\t"                                            \
    "adcxq %[t4], %[t1]\n\tmulxq %[y1], %[lo], %[t4]\n\tadoxq %[lo], %[t1]\n\t"                      \
    "adcxq %[t4], %[t2]\n\tmulxq %[y2], %[lo], %[t4]\n\tadoxq %[lo], %[t2]\n\t"                      \
    "adcxq %[t4], %[t3]\n\tmulxq %[y3], %[lo], %[t4]\n\tadoxq %[lo], %[t3]\n\t"                      \
    "movl $0, %k[lo]\n\tadcxq %[lo], %[t4]\n\tadoxq %[lo], %[t4]\n\t"
#define AP_REDUCE                                                                                    \
    "movq %[inv], %%rdx\n\timulq %[t0], %%rdx\n\txorl %k[lo], %k[lo]\n\t"                            \
    "mulxq %[p0], %[lo], %[s2]\n\tadcxq %[t0], %[lo]\n\tmovq %[s2], %[t0]\n\t"                       \
    "adcxq %[t1], %[t0]\n\tmulxq %[p1], %[lo], %[t1]\n\tadoxq %[lo], %[t0]\n\t"                      \
    "adcxq %[t2], %[t1]\n\tmulxq %[p2], %[lo], %[t2]\n\tadoxq %[lo], %[t1]\n\t"                      \
    "adcxq %[t3], %[t2]\n\tmulxq %[p3], %[lo], %[t3]\n\tadoxq %[lo], %[t2]\n\t"                      \
    "movl $0, %k[lo]\n\tadcxq %[lo], %[t3]\n\tadoxq %[t4], %[t3]\n\t"
    __asm__(
        "movq %[x0], %%rdx\n\t"
        "mulxq %[y0], %[t0], %[t1]\n\t"
        "mulxq %[y1], %[lo], %[t2]\n\taddq %[lo], %[t1]\n\t"
        "mulxq %[y2], %[lo], %[t3]\n\tadcq %[lo], %[t2]\n\t"
        "mulxq %[y3], %[lo], %[t4]\n\tadcq %[lo], %[t3]\n\tadcq $0, %[t4]\n\t"
        AP_REDUCE
        AP_ROUND("%[x1]") AP_REDUCE
        AP_ROUND("%[x2]") AP_REDUCE
        AP_ROUND("%[x3]") AP_REDUCE
        "movq %[t0], %[t4]\n\tmovq %[t1], %[lo]\n\tmovq %[t2], %[s2]\n\tmovq %[t3], %[s3]\n\t"
        "subq %[p0], %[t4]\n\tsbbq %[p1], %[lo]\n\tsbbq %[p2], %[s2]\n\tsbbq %[p3], %[s3]\n\t"
        "cmovncq %[t4], %[t0]\n\tcmovncq %[lo], %[t1]\n\tcmovncq %[s2], %[t2]\n\tcmovncq %[s3], %[t3]\n\t"
        : [t0] "=&r"(t0), [t1] "=&r"(t1), [t2] "=&r"(t2), [t3] "=&r"(t3), [t4] "=&r"(t4), [lo] "=&r"(lo),
          [s2] "=&r"(s2), [s3] "=&r"(s3)
        : [x0] "m"(a.l[0]), [x1] "m"(a.l[1]), [x2] "m"(a.l[2]), [x3] "m"(a.l[3]),
          [y0] "m"(b.l[0]), [y1] "m"(b.l[1]), [y2] "m"(b.l[2]), [y3] "m"(b.l[3]),
          [p0] "m"(Modulus::P[0]), [p1] "m"(Modulus::P[1]), [p2] "m"(Modulus::P[2]), [p3] "m"(Modulus::P[3]),
          [inv] "m"(inverseWord)
        : "rdx", "cc");
#undef AP_ROUND
#undef AP_REDUCE
    // clang-format on
    return Fp{{t0, t1, t2, t3}};
#else
    u64 t[4] = {0, 0, 0, 0};
    for (int i = 0; i < 4; i++) {
      u64 carry = 0, fold = 0;
      u64 x = a.l[i];
      t[0] = mac(t[0], x, b.l[0], carry);
      u64 m = t[0] * INV;
      mac(t[0], m, P[0], fold);
      for (int j = 1; j < 4; j++) {
        t[j] = mac(t[j], x, b.l[j], carry);
        t[j - 1] = mac(t[j], m, P[j], fold);
      }
      t[3] = carry + fold;
    }
    u64 borrow = 0;
    u64 s[4];
    for (int i = 0; i < 4; i++) s[i] = sbb(t[i], P[i], borrow);
    u64 keep = 0 - borrow;
    Fp out;
    for (int i = 0; i < 4; i++) out.l[i] = s[i] ^ ((s[i] ^ t[i]) & keep);
    return out;
#endif
  }

  AP_INLINE Fp sqr() const { return *this * *this; }

  Fp& operator+=(const Fp& b) { return *this = *this + b; }
  Fp& operator-=(const Fp& b) { return *this = *this - b; }
  Fp& operator*=(const Fp& b) { return *this = *this * b; }

  Fp toMontgomery() const { return *this * fromLimbs(R2); }
  Fp fromMontgomery() const { return *this * Fp{{1, 0, 0, 0}}; }

  // exponent: n words, little-endian. Time depends on n only.
  AP_NOINLINE Fp pow(const u64* exponent, int n) const {
    Fp table[16];
    table[0] = one();
    for (int i = 1; i < 16; i++) table[i] = table[i - 1] * *this;
    Fp out = one();
    for (int i = n * 16 - 1; i >= 0; i--) {
      out = out.sqr().sqr().sqr().sqr();
      unsigned digit = (exponent[i / 16] >> (4 * (i % 16))) & 15;
      Fp factor = table[0];
      for (unsigned k = 1; k < 16; k++) {
        u64 mask = 0 - (u64)(k == digit);
        for (int j = 0; j < 4; j++) factor.l[j] ^= (factor.l[j] ^ table[k].l[j]) & mask;
      }
      out *= factor;
    }
    return out;
  }

  // 0 for 0. Not constant time.
  AP_NOINLINE Fp inverse() const {
    if (isZero()) return zero();
    Fp out;
    // (a·R)⁻¹ = a⁻¹·R⁻¹, and the product with R³ divides by R once more
    DivisionSteps::invert(l, P, (0 - INV) & (~(u64)0 >> 2), out.l);
    return out * fromLimbs(R3);
  }

  // 32 bytes little-endian, an integer below p. Returns false otherwise.
  static bool read(const uint8_t* bytes, Fp& out) {
    Fp value;
    memcpy(value.l, bytes, 32);
    if (!value.isReduced()) return false;
    out = value.toMontgomery();
    return true;
  }

  void write(uint8_t* bytes) const {
    Fp value = fromMontgomery();
    memcpy(bytes, value.l, 32);
  }

 private:
  static constexpr u64 inverseWord = negativeInverse(Modulus::P[0]);
};

using Fq = Fp<BaseModulus>;
using Fr = Fp<ScalarModulus>;

// Fq² = Fq[u]/(u² + 1)
struct Fq2 {
  Fq c0, c1;

  static constexpr Fq2 zero() { return {Fq::zero(), Fq::zero()}; }
  static constexpr Fq2 one() { return {Fq::one(), Fq::zero()}; }
  AP_INLINE bool isZero() const { return c0.isZero() && c1.isZero(); }
  AP_INLINE Fq2 dbl() const { return {c0.dbl(), c1.dbl()}; }
  AP_INLINE Fq2 conjugate() const { return {c0, -c1}; }
  AP_NOINLINE Fq2 sqr() const {
    Fq product = c0 * c1;
    return {(c0 + c1) * (c0 - c1), product.dbl()};
  }
  Fq2 inverse() const {
    Fq norm = (c0.sqr() + c1.sqr()).inverse();
    return {c0 * norm, -(c1 * norm)};
  }
  static bool read(const uint8_t* bytes, Fq2& out) { return Fq::read(bytes, out.c0) && Fq::read(bytes + 32, out.c1); }
  void write(uint8_t* bytes) const {
    c0.write(bytes);
    c1.write(bytes + 32);
  }
};

// Outside of the class: g++ 12 forgets the target pragma for friends defined inside a class that is no template.
AP_INLINE bool operator==(const Fq2& a, const Fq2& b) { return a.c0 == b.c0 && a.c1 == b.c1; }
AP_INLINE bool operator!=(const Fq2& a, const Fq2& b) { return !(a == b); }
AP_INLINE Fq2 operator+(const Fq2& a, const Fq2& b) { return {a.c0 + b.c0, a.c1 + b.c1}; }
AP_INLINE Fq2 operator-(const Fq2& a, const Fq2& b) { return {a.c0 - b.c0, a.c1 - b.c1}; }
AP_INLINE Fq2 operator-(const Fq2& a) { return {-a.c0, -a.c1}; }
AP_NOINLINE Fq2 operator*(const Fq2& a, const Fq2& b) {
  Fq v0 = a.c0 * b.c0, v1 = a.c1 * b.c1;
  return {v0 - v1, (a.c0 + a.c1) * (b.c0 + b.c1) - v0 - v1};
}
AP_INLINE Fq2 operator*(const Fq2& a, const Fq& b) { return {a.c0 * b, a.c1 * b}; }
inline Fq2& operator+=(Fq2& a, const Fq2& b) { return a = a + b; }
inline Fq2& operator-=(Fq2& a, const Fq2& b) { return a = a - b; }
inline Fq2& operator*=(Fq2& a, const Fq2& b) { return a = a * b; }

// memset that the compiler may not drop
inline void wipe(void* data, size_t size) {
  if (size == 0) return;
  memset(data, 0, size);
  __asm__ __volatile__("" : : "r"(data) : "memory");
}

}  // namespace ENGINE_NS
}  // namespace anchorproof
