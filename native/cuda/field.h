// BN254's fields in 32-bit limbs: Fq, Fr and Fq2 = Fq[u]/(u² + 1), in Montgomery form with R = 2^256, always reduced.
//
// Eight limbs in memory are the four 64-bit limbs of native/src/field.h, so that elements cross between host and card as they
// are (lanes of one; the form of the eight-lane engine differs by a factor).
//
// What bounds these operations on a card is the multiplier, which takes no more than half as many IMAD.WIDE a cycle as other units
// take additions: a way with fewer wide products wins even where it adds a little more. In machine instructions of sm_90:
//
//                    wide products   all                              wide products   all
//   a · b                 128        180      Fq2  a · b                   384        520
//   a²                    100        165           a²                      256        400
//   a · b − c · d         192        265           a · b − c · d           640        820
//   a ± b                   0         25
//
// Fq2's products by Karatsuba with two reductions would have 320 wide products, but more instructions, and three products of double
// width at once, for which points in G2 leave no registers.
#pragma once

#include "inverse.h"

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

// Rows and chains: the only part that is written twice, in PTX for the card and in C++ for the host.
//
// A word times every second word of a number is a row of 64-bit products side by side, and one carry runs through all of them:
// mad.lo.cc and madc.hi.cc of the same factors, which ptxas makes one IMAD.WIDE.U32 with carry in and out. Words 0, 2, 4, 6 of a
// factor go to one accumulator ("even") and words 1, 3, 5, 7 to another ("odd") that stands for 2^32 times as much. The carry
// flag does not outlive an asm statement, so every chain is one statement, together with all that reads its carry. Its results
// are written before its operands have been read, which "&" tells the compiler.
namespace row {

// acc = x·(v[0], v[2], v[4], v[6])
AP_HD void set(uint32_t* acc, const uint32_t* v, uint32_t x) {
  AP_UNROLL
  for (int i = 0; i < 8; i += 2) {
    uint64_t product = (uint64_t)v[i] * x;
    acc[i] = (uint32_t)product;
    acc[i + 1] = (uint32_t)(product >> 32);
  }
}

#if defined(__CUDA_ARCH__)

#define AP_WIDE(mad, low, high, word, factor)                                          \
  mad ".lo.cc.u32 %" #low ", %" #word ", %" #factor ", %" #low ";\n\tmadc.hi.cc.u32 %" \
      #high ", %" #word ", %" #factor ", %" #high ";\n\t"

// acc += x·(v[0], v[2], …), N products. The sum must fit.
template <int N>
AP_HD void add(uint32_t* acc, const uint32_t* v, uint32_t x) {
  if constexpr (N == 4) {
    asm(AP_WIDE("mad", 0, 1, 8, 12) AP_WIDE("madc", 2, 3, 9, 12) AP_WIDE("madc", 4, 5, 10, 12) AP_WIDE("madc", 6, 7, 11, 12)
        : "+&r"(acc[0]), "+&r"(acc[1]), "+&r"(acc[2]), "+&r"(acc[3]), "+&r"(acc[4]), "+&r"(acc[5]), "+&r"(acc[6]), "+&r"(acc[7])
        : "r"(v[0]), "r"(v[2]), "r"(v[4]), "r"(v[6]), "r"(x));
  } else if constexpr (N == 3) {
    asm(AP_WIDE("mad", 0, 1, 6, 9) AP_WIDE("madc", 2, 3, 7, 9) AP_WIDE("madc", 4, 5, 8, 9)
        : "+&r"(acc[0]), "+&r"(acc[1]), "+&r"(acc[2]), "+&r"(acc[3]), "+&r"(acc[4]), "+&r"(acc[5])
        : "r"(v[0]), "r"(v[2]), "r"(v[4]), "r"(x));
  } else if constexpr (N == 2) {
    asm(AP_WIDE("mad", 0, 1, 4, 6) AP_WIDE("madc", 2, 3, 5, 6)
        : "+&r"(acc[0]), "+&r"(acc[1]), "+&r"(acc[2]), "+&r"(acc[3])
        : "r"(v[0]), "r"(v[2]), "r"(x));
  } else if constexpr (N == 1) {
    asm(AP_WIDE("mad", 0, 1, 2, 3) : "+&r"(acc[0]), "+&r"(acc[1]) : "r"(v[0]), "r"(x));
  }
}

// The same, and top += its carry.
template <int N>
AP_HD void add(uint32_t* acc, const uint32_t* v, uint32_t x, uint32_t& top) {
  if constexpr (N == 4) {
    asm(AP_WIDE("mad", 0, 1, 9, 13) AP_WIDE("madc", 2, 3, 10, 13) AP_WIDE("madc", 4, 5, 11, 13) AP_WIDE("madc", 6, 7, 12, 13)
        "addc.u32 %8, %8, 0;"
        : "+&r"(acc[0]), "+&r"(acc[1]), "+&r"(acc[2]), "+&r"(acc[3]), "+&r"(acc[4]), "+&r"(acc[5]), "+&r"(acc[6]), "+&r"(acc[7]), "+&r"(top)
        : "r"(v[0]), "r"(v[2]), "r"(v[4]), "r"(v[6]), "r"(x));
  } else if constexpr (N == 3) {
    asm(AP_WIDE("mad", 0, 1, 7, 10) AP_WIDE("madc", 2, 3, 8, 10) AP_WIDE("madc", 4, 5, 9, 10) "addc.u32 %6, %6, 0;"
        : "+&r"(acc[0]), "+&r"(acc[1]), "+&r"(acc[2]), "+&r"(acc[3]), "+&r"(acc[4]), "+&r"(acc[5]), "+&r"(top)
        : "r"(v[0]), "r"(v[2]), "r"(v[4]), "r"(x));
  } else if constexpr (N == 2) {
    asm(AP_WIDE("mad", 0, 1, 5, 7) AP_WIDE("madc", 2, 3, 6, 7) "addc.u32 %4, %4, 0;"
        : "+&r"(acc[0]), "+&r"(acc[1]), "+&r"(acc[2]), "+&r"(acc[3]), "+&r"(top)
        : "r"(v[0]), "r"(v[2]), "r"(x));
  } else if constexpr (N == 1) {
    asm(AP_WIDE("mad", 0, 1, 3, 4) "addc.u32 %2, %2, 0;" : "+&r"(acc[0]), "+&r"(acc[1]), "+&r"(top) : "r"(v[0]), "r"(x));
  }
}

#undef AP_WIDE
#define AP_WIDE(low, high, word, factor, below, above) \
  "madc.lo.cc.u32 %" #low ", %" #word ", %" #factor ", " below ";\n\tmadc.hi.cc.u32 %" #high ", %" #word ", %" #factor ", " above ";\n\t"

// low += acc[1]; acc = (acc >> 64) + x·(v[0], v[2], v[4], v[6]) + that sum's carry
AP_HD void shift(uint32_t& low, uint32_t* acc, const uint32_t* v, uint32_t x) {
  asm("add.cc.u32 %8, %8, %1;\n\t"                  //
      AP_WIDE(0, 1, 9, 13, "%2", "%3")              //
      AP_WIDE(2, 3, 10, 13, "%4", "%5")             //
      AP_WIDE(4, 5, 11, 13, "%6", "%7")             //
      AP_WIDE(6, 7, 12, 13, "0", "0")
      : "+&r"(acc[0]), "+&r"(acc[1]), "+&r"(acc[2]), "+&r"(acc[3]), "+&r"(acc[4]), "+&r"(acc[5]), "+&r"(acc[6]), "+&r"(acc[7]), "+&r"(low)
      : "r"(v[0]), "r"(v[2]), "r"(v[4]), "r"(v[6]), "r"(x));
}

// The same where x = factor·low, of the new low; returns x.
AP_HD uint32_t fold(uint32_t& low, uint32_t* acc, const uint32_t* v, uint32_t factor) {
  uint32_t x;
  asm("add.cc.u32 %8, %8, %1;\n\tmul.lo.u32 %9, %8, %14;\n\t"  //
      AP_WIDE(0, 1, 10, 9, "%2", "%3")                         //
      AP_WIDE(2, 3, 11, 9, "%4", "%5")                         //
      AP_WIDE(4, 5, 12, 9, "%6", "%7")                         //
      AP_WIDE(6, 7, 13, 9, "0", "0")
      : "+&r"(acc[0]), "+&r"(acc[1]), "+&r"(acc[2]), "+&r"(acc[3]), "+&r"(acc[4]), "+&r"(acc[5]), "+&r"(acc[6]), "+&r"(acc[7]), "+&r"(low),
        "=&r"(x)
      : "r"(v[0]), "r"(v[2]), "r"(v[4]), "r"(v[6]), "r"(factor));
  return x;
}
#undef AP_WIDE

// out = a + b, which must fit
AP_HD void sum(uint32_t* out, const uint32_t* a, const uint32_t* b) {
  asm("add.cc.u32 %0, %8, %16;\n\taddc.cc.u32 %1, %9, %17;\n\taddc.cc.u32 %2, %10, %18;\n\taddc.cc.u32 %3, %11, %19;\n\t"
      "addc.cc.u32 %4, %12, %20;\n\taddc.cc.u32 %5, %13, %21;\n\taddc.cc.u32 %6, %14, %22;\n\taddc.u32 %7, %15, %23;"
      : "=&r"(out[0]), "=&r"(out[1]), "=&r"(out[2]), "=&r"(out[3]), "=&r"(out[4]), "=&r"(out[5]), "=&r"(out[6]), "=&r"(out[7])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(a[4]), "r"(a[5]), "r"(a[6]), "r"(a[7]),  //
        "r"(b[0]), "r"(b[1]), "r"(b[2]), "r"(b[3]), "r"(b[4]), "r"(b[5]), "r"(b[6]), "r"(b[7]));
}

// out = a − b mod 2^256. Returns all ones if b is above a, else zero.
AP_HD uint32_t difference(uint32_t* out, const uint32_t* a, const uint32_t* b) {
  uint32_t borrow;
  asm("sub.cc.u32 %0, %9, %17;\n\tsubc.cc.u32 %1, %10, %18;\n\tsubc.cc.u32 %2, %11, %19;\n\tsubc.cc.u32 %3, %12, %20;\n\t"
      "subc.cc.u32 %4, %13, %21;\n\tsubc.cc.u32 %5, %14, %22;\n\tsubc.cc.u32 %6, %15, %23;\n\tsubc.cc.u32 %7, %16, %24;\n\t"
      "subc.u32 %8, 0, 0;"
      : "=&r"(out[0]), "=&r"(out[1]), "=&r"(out[2]), "=&r"(out[3]), "=&r"(out[4]), "=&r"(out[5]), "=&r"(out[6]), "=&r"(out[7]), "=&r"(borrow)
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(a[4]), "r"(a[5]), "r"(a[6]), "r"(a[7]),  //
        "r"(b[0]), "r"(b[1]), "r"(b[2]), "r"(b[3]), "r"(b[4]), "r"(b[5]), "r"(b[6]), "r"(b[7]));
  return borrow;
}

#else

// Returns the carry.
template <int N>
AP_HD uint32_t chain(uint32_t* acc, const uint32_t* addend, const uint32_t* v, uint32_t x, uint32_t carry) {
  for (int i = 0; i < 2 * N; i += 2) {
    unsigned __int128 t = (unsigned __int128)v[i] * x + ((uint64_t)addend[i + 1] << 32 | addend[i]) + carry;
    acc[i] = (uint32_t)t;
    acc[i + 1] = (uint32_t)(t >> 32);
    carry = (uint32_t)(t >> 64);
  }
  return carry;
}

template <int N>
AP_HD void add(uint32_t* acc, const uint32_t* v, uint32_t x) {
  chain<N>(acc, acc, v, x, 0);
}

template <int N>
AP_HD void add(uint32_t* acc, const uint32_t* v, uint32_t x, uint32_t& top) {
  top += chain<N>(acc, acc, v, x, 0);
}

AP_HD void shift(uint32_t& low, uint32_t* acc, const uint32_t* v, uint32_t x) {
  low += acc[1];
  const uint32_t shifted[8] = {acc[2], acc[3], acc[4], acc[5], acc[6], acc[7], 0, 0}, carry = low < acc[1];
  chain<4>(acc, shifted, v, x, carry);
}

AP_HD uint32_t fold(uint32_t& low, uint32_t* acc, const uint32_t* v, uint32_t factor) {
  const uint32_t x = (low + acc[1]) * factor;
  shift(low, acc, v, x);
  return x;
}

AP_HD void sum(uint32_t* out, const uint32_t* a, const uint32_t* b) {
  uint64_t carry = 0;
  for (int i = 0; i < 8; i++) {
    carry += (uint64_t)a[i] + b[i];
    out[i] = (uint32_t)carry;
    carry >>= 32;
  }
}

AP_HD uint32_t difference(uint32_t* out, const uint32_t* a, const uint32_t* b) {
  uint64_t borrow = 0;
  for (int i = 0; i < 8; i++) {
    uint64_t v = (uint64_t)a[i] - b[i] - borrow;
    out[i] = (uint32_t)v;
    borrow = v >> 63;
  }
  return 0 - (uint32_t)borrow;
}

#endif

}  // namespace row

template <class Modulus>
struct alignas(16) Fp {
  uint32_t l[8];
  AP_ELEMENT(Fp)

  static constexpr uint32_t INV = negativeInverse(Modulus::P[0]);
  static constexpr Limbs R1 = powerOfTwo(256, Modulus::P);
  static constexpr Limbs R2 = powerOfTwo(512, Modulus::P);
  static constexpr Limbs R3 = powerOfTwo(768, Modulus::P);
  static constexpr Limbs PRIME = {{Modulus::P[0], Modulus::P[1], Modulus::P[2], Modulus::P[3], Modulus::P[4], Modulus::P[5],
                                   Modulus::P[6], Modulus::P[7]}};

  static AP_HD Fp of(const Limbs& a) { return {{a.l[0], a.l[1], a.l[2], a.l[3], a.l[4], a.l[5], a.l[6], a.l[7]}}; }
  static AP_HD Fp zero() { return {{0, 0, 0, 0, 0, 0, 0, 0}}; }
  static AP_HD Fp one() {
    constexpr Limbs r = R1;
    return of(r);
  }
  AP_HD bool isZero() const { return (l[0] | l[1] | l[2] | l[3] | l[4] | l[5] | l[6] | l[7]) == 0; }
  AP_HD friend bool operator==(const Fp& a, const Fp& b) {
    uint32_t any = 0;
    AP_UNROLL
    for (int i = 0; i < 8; i++) any |= a.l[i] ^ b.l[i];
    return any == 0;
  }
  AP_HD friend bool operator!=(const Fp& a, const Fp& b) { return !(a == b); }

  // Whether the limbs, as an integer, are below p.
  AP_HD bool isReduced() const {
    constexpr Limbs p = PRIME;
    uint32_t unused[8];
    return row::difference(unused, l, p.l) != 0;
  }

  AP_HD friend Fp operator+(const Fp& a, const Fp& b) { return a.plusUnreduced(b).reducedOnce(); }
  AP_HD friend Fp operator-(const Fp& a, const Fp& b) {
    constexpr Limbs p = PRIME;
    Fp t, back, out;
    const uint32_t below = row::difference(t.l, a.l, b.l);
    AP_UNROLL
    for (int i = 0; i < 8; i++) back.l[i] = p.l[i] & below;
    row::sum(out.l, t.l, back.l);  // drops the carry that undoes the borrow
    return out;
  }
  AP_HD friend Fp operator-(const Fp& a) { return a.negatedIf(true); }
  AP_HD Fp dbl() const { return *this + *this; }

  // −a or a, without a branch.
  AP_HD Fp negatedIf(bool negative) const {
    constexpr Limbs p = PRIME;
    Fp t;
    row::difference(t.l, p.l, l);
    return selected(negative && !isZero(), t, *this);
  }
  static AP_HD Fp selected(bool first, const Fp& a, const Fp& b) {
    const uint32_t mask = 0 - (uint32_t)first;
    Fp out;
    AP_UNROLL
    for (int i = 0; i < 8; i++) out.l[i] = b.l[i] ^ ((a.l[i] ^ b.l[i]) & mask);
    return out;
  }

  // Montgomery products by rows: to V = even + 2^32·odd comes a·b[i], then the multiple of p that makes its lowest word zero, and
  // that word is dropped: even and odd change places, and the old even one, less two words, becomes the new odd one; its word 1
  // is added to the new even one's word 0, its carry starting the next row.
  //
  // No word above the sixteen is ever needed, for 5p is below 2^256 by a twentieth. Let the factors whose words are not scanned be
  // A in sum, at most 4p (four of them at most p, or two that are sums up to 2p). Then V is at most A + p after a row, and within
  // a row below 2^32·(A + p) + A + p < 2^288. Hence odd, at most V / 2^32, stays below 2^256: its chains have no carry, and there
  // is room for the carry of even, which belongs to odd's word 7.
  //
  // The result is (T + m·p) / 2^256 with m < 2^256, so below 2p for any T < 2^256·p = 5.29·p²: one subtraction reduces a product of
  // two sums (2p · 2p), or four products together.
  AP_PRODUCT friend Fp operator*(const Fp& a, const Fp& b) {
    uint32_t w[2][8];
    AP_UNROLL
    for (int i = 0; i < 8; i++) {
      uint32_t *even = w[i % 2], *odd = w[1 - i % 2];
      multiplyRow(even, odd, a.l, b.l[i], i == 0);
      reduceRow(even, odd);
    }
    return merged(w[0], w[1]);
  }

  // a·b + c·d with one reduction, a·b + c·d ≤ 4·p²
  static AP_PRODUCT Fp sumOfProducts(const Fp& a, const Fp& b, const Fp& c, const Fp& d) {
    uint32_t w[2][8];
    AP_UNROLL
    for (int i = 0; i < 8; i++) {
      uint32_t *even = w[i % 2], *odd = w[1 - i % 2];
      multiplyRow(even, odd, a.l, b.l[i], i == 0);
      addRow(even, odd, c.l, d.l[i]);
      reduceRow(even, odd);
    }
    return merged(w[0], w[1]);
  }

  static AP_PRODUCT Fp sumOfProducts(const Fp& a, const Fp& b, const Fp& c, const Fp& d, const Fp& e, const Fp& f, const Fp& g, const Fp& h) {
    uint32_t w[2][8];
    AP_UNROLL
    for (int i = 0; i < 8; i++) {
      uint32_t *even = w[i % 2], *odd = w[1 - i % 2];
      multiplyRow(even, odd, a.l, b.l[i], i == 0);
      addRow(even, odd, c.l, d.l[i]);
      addRow(even, odd, e.l, f.l[i]);
      addRow(even, odd, g.l, h.l[i]);
      reduceRow(even, odd);
    }
    return merged(w[0], w[1]);
  }
  static AP_HD Fp differenceOfProducts(const Fp& a, const Fp& b, const Fp& c, const Fp& d) {
    return sumOfProducts(a, b, c.negatedUnreduced(), d);
  }

  // Row i has a[i]² and twice the products with higher words: those of 2a, but for the bit that a[i] gives to word i + 1. Products
  // with words below i are missing, so rows begin at word i of V, and the reduction, which for i > 0 needs word 0 only, goes first.
  AP_PRODUCT Fp sqr() const {
    uint32_t twice[8], w[2][8];
    twice[0] = 0;
    AP_UNROLL
    for (int i = 1; i < 8; i++) twice[i] = l[i] << 1 | l[i - 1] >> 31;
    squareRow<0>(w[0], w[1], twice);
    reduceRow(w[0], w[1]);
    foldRow(w[1], w[0]);
    squareRow<1>(w[1], w[0], twice);
    foldRow(w[0], w[1]);
    squareRow<2>(w[0], w[1], twice);
    foldRow(w[1], w[0]);
    squareRow<3>(w[1], w[0], twice);
    foldRow(w[0], w[1]);
    squareRow<4>(w[0], w[1], twice);
    foldRow(w[1], w[0]);
    squareRow<5>(w[1], w[0], twice);
    foldRow(w[0], w[1]);
    squareRow<6>(w[0], w[1], twice);
    foldRow(w[1], w[0]);
    squareRow<7>(w[1], w[0], twice);
    return merged(w[0], w[1]);
  }

  AP_HD Fp& operator+=(const Fp& b) { return *this = *this + b; }
  AP_HD Fp& operator-=(const Fp& b) { return *this = *this - b; }
  AP_HD Fp& operator*=(const Fp& b) { return *this = *this * b; }

  AP_HD Fp toMontgomery() const {
    constexpr Limbs r = R2;
    return *this * of(r);
  }
  // The reduction alone: 64 wide products.
  AP_PRODUCT Fp fromMontgomery() const {
    constexpr Limbs p = PRIME;
    uint32_t w[2][8];
    AP_UNROLL
    for (int i = 0; i < 8; i++) w[0][i] = l[i];
    const uint32_t m = w[0][0] * INV;
    row::set(w[1], p.l + 1, m);
    row::add<4>(w[0], p.l, m, w[1][7]);
    AP_UNROLL
    for (int i = 1; i < 8; i++) foldRow(w[i % 2], w[1 - i % 2]);
    return merged(w[0], w[1]);
  }

  // 0 for 0
  AP_CALL Fp inverse() const {
    constexpr Limbs p = PRIME, r3 = R3;
    Fp out;
    // (a·R)⁻¹ = a⁻¹·R⁻¹, and the product with R³ divides by R once more
    DivisionSteps::invert(l, p.l, (0 - INV) & (~uint32_t{0} >> 2), out.l);
    return out * of(r3);
  }

  // For operands of products only, see there: sums and differences up to 2p.
  AP_HD Fp plusUnreduced(const Fp& b) const {
    Fp t;
    row::sum(t.l, l, b.l);
    return t;
  }
  AP_HD Fp minusUnreduced(const Fp& b) const { return plusUnreduced(b.negatedUnreduced()); }
  AP_HD Fp negatedUnreduced() const {
    constexpr Limbs p = PRIME;
    Fp t;
    row::difference(t.l, p.l, l);
    return t;
  }

 private:
  // From [0, 2p).
  AP_HD Fp reducedOnce() const {
    constexpr Limbs p = PRIME;
    Fp s, out;
    const uint32_t below = row::difference(s.l, l, p.l);
    AP_UNROLL
    for (int i = 0; i < 8; i++) out.l[i] = s.l[i] ^ ((s.l[i] ^ l[i]) & below);
    return out;
  }

  static AP_HD void multiplyRow(uint32_t* even, uint32_t* odd, const uint32_t* a, uint32_t b, bool first) {
    if (first) {
      row::set(odd, a + 1, b);
      row::set(even, a, b);
    } else {
      row::shift(even[0], odd, a + 1, b);
      row::add<4>(even, a, b, odd[7]);
    }
  }
  static AP_HD void addRow(uint32_t* even, uint32_t* odd, const uint32_t* a, uint32_t b) {
    row::add<4>(odd, a + 1, b);
    row::add<4>(even, a, b, odd[7]);
  }
  static AP_HD void reduceRow(uint32_t* even, uint32_t* odd) {
    constexpr Limbs p = PRIME;
    addRow(even, odd, p.l, even[0] * INV);
  }
  static AP_HD void foldRow(uint32_t* even, uint32_t* odd) {
    constexpr Limbs p = PRIME;
    const uint32_t m = row::fold(even[0], odd, p.l + 1, INV);
    row::add<4>(even, p.l, m, odd[7]);
  }
  template <int I>
  AP_HD void squareRow(uint32_t* even, uint32_t* odd, const uint32_t* twice) const {
    uint32_t x[8];
    AP_UNROLL
    for (int i = 0; i < 8; i++) x[i] = i == I ? l[i] : i == I + 1 ? l[i] << 1 : twice[i];
    if constexpr (I == 0) {
      row::set(odd, x + 1, l[0]);
      row::set(even, x, l[0]);
    } else {
      constexpr int firstEven = (I + 1) / 2 * 2, firstOdd = I / 2 * 2;
      row::add<4 - firstOdd / 2>(odd + firstOdd, x + firstOdd + 1, l[I]);
      if constexpr (firstEven < 8) row::add<4 - firstEven / 2>(even + firstEven, x + firstEven, l[I], odd[7]);
    }
  }

  // After the eighth row, with odd's and even's parts as the next row would find them.
  static AP_HD Fp merged(const uint32_t* even, const uint32_t* odd) {
    const uint32_t above[8] = {odd[1], odd[2], odd[3], odd[4], odd[5], odd[6], odd[7], 0};
    Fp t;
    row::sum(t.l, even, above);
    return t.reducedOnce();
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
  AP_HD Fq2 negatedIf(bool negative) const { return {c0.negatedIf(negative), c1.negatedIf(negative)}; }
  static AP_HD Fq2 selected(bool first, const Fq2& a, const Fq2& b) {
    return {Fq::selected(first, a.c0, b.c0), Fq::selected(first, a.c1, b.c1)};
  }
  AP_HD Fq2 sqr() const;
  static AP_HD Fq2 differenceOfProducts(const Fq2& a, const Fq2& b, const Fq2& c, const Fq2& d);  // a·b − c·d
  AP_CALL Fq2 inverse() const {
    Fq norm = Fq::sumOfProducts(c0, c0, c1, c1).inverse();
    return {c0 * norm, -(c1 * norm)};
  }
};

// Calls: a point's operations have ten of them.
AP_CALL Fq2 squareOf(Fq2 a) {
  return {a.c0.plusUnreduced(a.c1) * a.c0.minusUnreduced(a.c1), a.c0.plusUnreduced(a.c0) * a.c1};
}
AP_CALL Fq2 productOf(Fq2 a, Fq2 b) {
  return {Fq::sumOfProducts(a.c0, b.c0, a.c1.negatedUnreduced(), b.c1), Fq::sumOfProducts(a.c0, b.c1, a.c1, b.c0)};
}
// a·b − c·d
AP_CALL Fq2 differenceOfProductsOf(Fq2 a, Fq2 b, Fq2 c, Fq2 d) {
  const Fq a1 = a.c1.negatedUnreduced(), e0 = c.c0.negatedUnreduced(), e1 = c.c1.negatedUnreduced();
  return {Fq::sumOfProducts(a.c0, b.c0, a1, b.c1, e0, d.c0, c.c1, d.c1),
          Fq::sumOfProducts(a.c0, b.c1, a.c1, b.c0, e0, d.c1, e1, d.c0)};
}

AP_HD Fq2 Fq2::differenceOfProducts(const Fq2& a, const Fq2& b, const Fq2& c, const Fq2& d) { return differenceOfProductsOf(a, b, c, d); }
AP_HD Fq2 Fq2::sqr() const { return squareOf(*this); }
AP_HD bool operator==(const Fq2& a, const Fq2& b) { return a.c0 == b.c0 && a.c1 == b.c1; }
AP_HD bool operator!=(const Fq2& a, const Fq2& b) { return !(a == b); }
AP_HD Fq2 operator+(const Fq2& a, const Fq2& b) { return {a.c0 + b.c0, a.c1 + b.c1}; }
AP_HD Fq2 operator-(const Fq2& a, const Fq2& b) { return {a.c0 - b.c0, a.c1 - b.c1}; }
AP_HD Fq2 operator-(const Fq2& a) { return {-a.c0, -a.c1}; }
AP_HD Fq2 operator*(const Fq2& a, const Fq2& b) { return productOf(a, b); }

}  // namespace cuda
}  // namespace anchorproof
