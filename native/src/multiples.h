// Many multiples of points at once, with every addition and doubling in batches of affine points (msm.h): multiples of
// one fixed point by a table, and sums Σ sᵢ·Pᵢ of a few terms each, for many sums side by side.
//
// Not constant time: memory access and work depend on the scalars.
#pragma once

#include "msm.h"
#include "pairing.h"

namespace anchorproof {
namespace ENGINE_NS {

// (x, y) ↦ (β·x, y) multiplies points by λ = 36u³ + 18u² + 6u + 1, a cube root of unity mod r. R. Gallant, R. Lambert,
// S. Vanstone, "Faster Point Multiplication on Elliptic Curves with Efficient Endomorphisms" (CRYPTO 2001).
template <class F>
Fq endomorphism();
template <>
inline Fq endomorphism<Fq>() {
  return frobenius().gamma2[4];
}
template <>
inline Fq endomorphism<Fq2>() {
  return frobenius().gamma2[4].sqr();
}

// One half of a scalar: below 2^128.
struct HalfScalar {
  u64 w[2];
  bool negative;
};

// s = half[0] + half[1]·λ mod r. The lattice of (a, b) with a + bλ = 0 mod r has the basis (A, U), (U, −B), where
// U = 2u + 1, A = 6u² + 4u + 1, B = 6u² + 2u, and determinant −r. With c₁ = ⌊s·B/r⌋ and c₂ = ⌊s·U/r⌋, each at most one
// too small here, the halves s − c₁A − c₂U and c₂B − c₁U lie in [0, 2A + 2U) and (−2B, 2U).
inline void splitScalar(const SignedScalar& s, HalfScalar (&half)[2]) {
  static constexpr u64 A[2] = {0x0be4e1541221250b, 0x6f4d8248eeb859fd}, B[2] = {0x8211bbeb7d4f1128, 0x6f4d8248eeb859fc};
  static constexpr u64 U = 0x89d3256894d213e3;
  // ⌊2^256·B/r⌋, ⌊2^256·U/r⌋
  static constexpr u64 G1[3] = {0x7a7bd9d4391eb18d, 0x4ccef014a773d2cf, 2}, G2[2] = {0xd91d232ec7e0b3d7, 2};
  bool negative = s.w[3] >> 63;
  const u64 k[4] = {s.w[0], s.w[1], s.w[2], s.w[3] & ~SIGN_BIT};
  if ((k[3] | k[2] | k[1] >> 63) == 0) {
    half[0] = {{k[0], k[1]}, negative};
    half[1] = {{0, 0}, false};
    return;
  }
  u64 c1[3] = {0, 0, 0}, c2[2] = {0, 0};
  {
    u64 product[7] = {0, 0, 0, 0, 0, 0, 0};
    for (int j = 0; j < 3; j++) {
      u64 carry = 0;
      for (int i = 0; i < 4; i++) product[i + j] = mac(product[i + j], k[i], G1[j], carry);
      product[4 + j] = carry;
    }
    for (int i = 0; i < 3; i++) c1[i] = product[4 + i];
  }
  {
    u64 product[6] = {0, 0, 0, 0, 0, 0};
    for (int j = 0; j < 2; j++) {
      u64 carry = 0;
      for (int i = 0; i < 4; i++) product[i + j] = mac(product[i + j], k[i], G2[j], carry);
      product[4 + j] = carry;
    }
    for (int i = 0; i < 2; i++) c2[i] = product[4 + i];
  }
  // x ← x ± a·b mod 2^192, which holds both halves with their signs
  auto accumulate = [](u64 (&x)[3], const u64* a, int n, const u64* b, int m, bool subtract) {
    u64 product[3] = {0, 0, 0};
    for (int i = 0; i < n; i++) {
      u64 carry = 0;
      for (int j = 0; j < m && i + j < 3; j++) product[i + j] = mac(product[i + j], a[i], b[j], carry);
      if (i + m < 3) product[i + m] = carry;
    }
    u64 carry = 0;
    for (int i = 0; i < 3; i++) x[i] = subtract ? sbb(x[i], product[i], carry) : adc(x[i], product[i], carry);
  };
  u64 first[3] = {k[0], k[1], k[2]}, second[3] = {0, 0, 0};
  accumulate(first, c1, 2, A, 2, true);
  accumulate(first, c2, 2, &U, 1, true);
  accumulate(second, c2, 2, B, 2, false);
  accumulate(second, c1, 2, &U, 1, true);
  half[0] = {{first[0], first[1]}, negative};
  bool below = second[2] >> 63;
  if (below) {
    u64 borrow = 0;
    for (u64& word : second) word = sbb(0, word, borrow);
  }
  half[1] = {{second[0], second[1]}, negative != below};
}

// Sums Σ sᵢ·Pᵢ, many side by side: all sums share the doublings' batches (Straus' method). Scalars are split in halves
// and written in non-adjacent form with odd digits up to ±15; points whose digits are not all ±1 get a table of their
// odd multiples. So a sum costs 128 doublings or fewer and a term some 52 additions, or one where its scalar is ±2^k.
template <class F>
class LinearCombiner {
 public:
  // How much fits between two calls of run().
  static constexpr size_t MAX_TERMS = sizeof(F) == sizeof(Fq) ? 8192 : 4096, MAX_SUMS = MAX_TERMS / 2;

  // A term of the open sum. The point must stay where it is until run() has ended.
  AP_INLINE void add(const Affine<F>* point, const SignedScalar& scalar) { terms_.push_back({point, scalar}); }
  // Ends the sum; *out may be one of the points.
  AP_INLINE void close(Affine<F>* out) {
    sums_.push_back({out, (uint32_t)terms_.size()});
  }
  size_t terms() const { return terms_.size(); }
  size_t sums() const { return sums_.size(); }

  void run() {
    if (sums_.empty()) return;
    collectDigits();
    makeTables();
    sortDigits();
    addUp();
    terms_.clear();
    sums_.clear();
  }

 private:
  static constexpr int WIDTH = 5, MULTIPLES = 1 << (WIDTH - 2), BITS = 130;
  static constexpr uint32_t NONE = UINT32_MAX;

  struct Term {
    const Affine<F>* point;
    SignedScalar scalar;
  };
  struct Sum {
    Affine<F>* out;
    uint32_t end;  // of its terms
  };
  struct Digit {
    uint32_t sum, term;
    uint8_t bit, multiple, half, negative;  // (2·multiple + 1)·2^bit
  };
  struct Step {
    uint32_t sum;
    PointRef ref;
  };

  SecretVector<Term> terms_;
  SecretVector<Sum> sums_;
  SecretVector<Digit> digits_;
  SecretVector<uint32_t> slots_, index_;  // of terms; hash table of points
  SecretVector<uint32_t> owners_;         // of slots: a term with the point
  SecretVector<Affine<F>> table_, acc_;
  SecretVector<Step> steps_;
  SecretVector<PointRef> a_, b_;
  size_t starts_[BITS + 1], slotCount_ = 0, padded_ = 0;
  BatchScratch<F> scratch_;
  GroupAdder<F> adder_;

  void collectDigits() {
    digits_.clear();
    slots_.assign(terms_.size(), NONE);
    owners_.clear();
    size_t buckets = 16;
    while (buckets < 2 * terms_.size()) buckets *= 2;
    index_.assign(buckets, NONE);
    uint32_t term = 0;
    for (uint32_t sum = 0; sum < sums_.size(); sum++) {
      for (; term < sums_[sum].end; term++) {
        if (terms_[term].point->isInfinity()) continue;
        HalfScalar half[2];
        splitScalar(terms_[term].scalar, half);
        bool table = false;
        for (uint8_t h = 0; h < 2; h++) table |= expand(sum, term, h, half[h]) || (h == 1 && (half[1].w[0] | half[1].w[1]));
        if (table) slots_[term] = slotOf(term);
      }
    }
    slotCount_ = owners_.size();
  }

  // Returns whether a digit is not ±1.
  bool expand(uint32_t sum, uint32_t term, uint8_t half, const HalfScalar& scalar) {
    u64 low = scalar.w[0], high = scalar.w[1], top = 0;
    bool large = false;
    uint8_t bit = 0;
    while (low | high | top) {
      if ((low & 1) == 0) {
        int zeros = low ? __builtin_ctzll(low) : 63;
        low = low >> zeros | high << (64 - zeros);
        high = high >> zeros | top << (64 - zeros);
        top >>= zeros;
        bit = (uint8_t)(bit + zeros);
        continue;
      }
      int digit = (int)(low & ((1 << WIDTH) - 1));
      bool minus = digit >= 1 << (WIDTH - 1);
      u64 carry = 0;
      if (minus) {
        digit = (1 << WIDTH) - digit;
        low = adc(low, (u64)digit, carry);
        high = adc(high, 0, carry);
        top += carry;
      } else {
        low -= (u64)digit;
      }
      large |= digit > 1;
      digits_.push_back({sum, term, bit, (uint8_t)(digit / 2), half, (uint8_t)(minus != scalar.negative)});
    }
    return large;
  }

  uint32_t slotOf(uint32_t term) {
    const Affine<F>* point = terms_[term].point;
    size_t mask = index_.size() - 1;
    size_t at = (size_t)(((reinterpret_cast<u64>(point) >> 6) * 0x9e3779b97f4a7c15) >> 32) & mask;
    for (; index_[at] != NONE; at = (at + 1) & mask) {
      if (terms_[owners_[index_[at]]].point == point) return index_[at];
    }
    index_[at] = (uint32_t)owners_.size();
    owners_.push_back(term);
    return index_[at];
  }

  Affine<F>* tableOf(int half, int multiple) { return table_.data() + (size_t)(half * MULTIPLES + multiple) * padded_; }

  void makeTables() {
    padded_ = (slotCount_ + LANES - 1) / LANES * LANES;
    if (slotCount_ == 0) return;
    // One array more for the doubles.
    if (table_.size() < (2 * MULTIPLES + 1) * padded_) table_.resize((2 * MULTIPLES + 1) * padded_);
    Affine<F>*odd = tableOf(0, 0), *twice = tableOf(2, 0);
    for (size_t i = 0; i < padded_; i++) twice[i] = odd[i] = i < slotCount_ ? *terms_[owners_[i]].point : Affine<F>::infinity();
    doublePoints(twice, padded_, scratch_);
    a_.resize(padded_);
    b_.resize(padded_);
    for (int m = 1; m < MULTIPLES; m++) {
      for (size_t i = 0; i < padded_; i++) {
        a_[i] = refTo(tableOf(0, m - 1) + i, 0);
        b_[i] = refTo(twice + i, 0);
      }
      addPairs(a_.data(), b_.data(), tableOf(0, m), padded_, scratch_);
    }
    // A scalar factor in field.h's form leaves the lanes' form as it is.
    const Fq beta = endomorphism<F>();
    for (int m = 0; m < MULTIPLES; m++) {
      for (size_t i = 0; i < slotCount_; i++) {
        Affine<F> p = tableOf(0, m)[i];
        if (!p.isInfinity()) p.x = p.x * beta;
        tableOf(1, m)[i] = p;
      }
    }
  }

  void sortDigits() {
    size_t counts[BITS] = {};
    for (const Digit& d : digits_) counts[d.bit]++;
    starts_[0] = 0;
    for (int i = 0; i < BITS; i++) starts_[i + 1] = starts_[i] + counts[i];
    steps_.resize(digits_.size());
    size_t next[BITS];
    for (int i = 0; i < BITS; i++) next[i] = starts_[i];
    for (const Digit& d : digits_) {
      uint32_t slot = slots_[d.term];
      const Affine<F>* point = slot == NONE ? terms_[d.term].point : tableOf(d.half, d.multiple) + slot;
      steps_[next[d.bit]++] = {d.sum, refTo(point, d.negative)};
    }
  }

  void addUp() {
    size_t padded = (sums_.size() + LANES - 1) / LANES * LANES;
    acc_.assign(padded, Affine<F>::infinity());
    bool begun = false;
    for (int bit = BITS - 1; bit >= 0; bit--) {
      if (begun) doublePoints(acc_.data(), padded, scratch_);
      size_t from = starts_[bit], to = starts_[bit + 1];
      if (from == to) continue;
      begun = true;
      adder_.reserve(to - from + sums_.size());
      for (size_t i = from; i < to;) {
        uint32_t sum = steps_[i].sum;
        Affine<F>* acc = acc_.data() + sum;
        if (!acc->isInfinity()) adder_.add(refTo(acc, 0));
        for (; i < to && steps_[i].sum == sum; i++) adder_.add(steps_[i].ref);
        adder_.close(acc);
      }
      adder_.run(scratch_);
    }
    for (size_t i = 0; i < sums_.size(); i++) *sums_[i].out = acc_[i];
  }
};

// Multiples of one point, by a table of its multiples d·2^(c·w) for every window w of c bits and digit d up to 2^(c−1).
template <class F>
class FixedBase {
 public:
  static constexpr size_t BLOCK = sizeof(F) == sizeof(Fq) ? 4096 : 2048;

  // n: how many multiples will be asked for
  FixedBase(const Point<F>& base, size_t n)
      : c_(n < 256 ? 6 : n < (1 << 14) ? 9 : 12), windows_(windowsOf(c_)), digits_((size_t)1 << (c_ - 1)) {
    std::vector<Point<F>> all;
    all.reserve(windows_ * digits_);
    Point<F> first = base;
    for (size_t w = 0; w < windows_; w++) {
      Point<F> multiple = first;
      for (size_t d = 0; d < digits_; d++, multiple += first) all.push_back(multiple);
      for (unsigned i = 0; i < c_; i++) first = first.dbl();
    }
    // No multiple is infinite: the base has the large prime order r.
    std::vector<F> inverse(all.size());
    for (size_t i = 0; i < all.size(); i++) inverse[i] = all[i].zzz;
    invertAll(inverse.data(), inverse.size());
    table_.resize(all.size());
    using V = typename LanesOf<F>::type;
    for (size_t i = 0; i < all.size(); i++) {
      F x = all[i].x * (inverse[i] * all[i].zz).sqr(), y = all[i].y * inverse[i];
      table_[i] = {V::toStored(x), V::toStored(y)};
    }
  }

  struct Scratch {
    SecretVector<PointRef> a, b;
    BatchScratch<F> batch;
  };

  // out[i] = scalars[i]·base for i < n ≤ BLOCK; out has room for n rounded up to LANES.
  void multiply(const SignedScalar* scalars, size_t n, Affine<F>* out, Scratch& s) const {
    size_t padded = (n + LANES - 1) / LANES * LANES;
    s.a.resize(padded);
    s.b.resize(padded);
    const Affine<F> nowhere = Affine<F>::infinity();
    for (size_t i = 0; i < padded; i++) {
      out[i] = nowhere;
      s.a[i] = refTo(out + i, 0);
      s.b[i] = refTo(&nowhere, 0);
    }
    for (size_t w = 0; w < windows_; w++) {
      const Recoding recoding(c_, w, windows_);
      const Affine<F>* row = table_.data() + w * digits_;
      for (size_t i = 0; i < n; i++) {
        uint32_t digit = recoding.digit(scalars[i]), size = digit & ~(1u << 31);
        s.b[i] = size == 0 ? refTo(&nowhere, 0) : refTo(row + size - 1, digit >> 31);
      }
      addPairs(s.a.data(), s.b.data(), out, padded, s.batch);
    }
  }

 private:
  unsigned c_;
  size_t windows_, digits_;
  PageVector<Affine<F>> table_;
};

}  // namespace ENGINE_NS
}  // namespace anchorproof
