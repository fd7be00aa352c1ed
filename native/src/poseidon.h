// Poseidon over BN254's scalar field with circomlib's parameters: arity 1–16, t = arity + 1, x^5, 8 full rounds.
//
// The constants are drawn from the Grain LFSR as the paper prescribes (Grassi et al., "Poseidon", USENIX Security 2021,
// appendix F) and the partial rounds rewritten with sparse matrices (appendix B), once an arity and process, in
// milliseconds. Hashes run LANES at a time, one a lane.
//
// Two things save most of the work. Sums of products are reduced once, not product by product. And as a sparse round
// only adds multiples of lane 0's S-box output x to the other lanes, these are brought up to date once a block of
// rounds; lane 0's inner product makes up for it with a few products by the x of the block.
//
// Bounds with eight lanes, where nothing is reduced before the end. A sum of n products of values below A·p with
// constants below p, started from a value below S·p, comes out below (S + 1 + 0.0119·n·A)·p; the accumulators take
// 9·(n + 1) + 1 < 2^11 limbs each. So:
//   after a full layer     n = 17, A = 2, and a constant: below 2.5p
//   other lanes            from 2.5p, at most 18 blocks of four rounds that add 1 + 0.0119·4·3 each: below 24p
//   lane 0 in between      16 products with A = 24, 4 with A = 3: below 5.8p
//   the S-box              for x below 25p: x² below 8.5p, x⁴ below 2p, x⁵ below 2p, with a constant below 3p
// and all stays below the 84p that a factor may have (lanes.h).
//
// A chain's steps follow one another, so a hash by itself would leave seven of eight lanes idle. SinglePoseidon spreads
// one state over the lanes instead, which takes a quarter of the time that eight hashes at once take.
//
// The work does not depend on values, but for the check of the inputs' range.
#pragma once

#include "lanes.h"
#include "threads.h"

namespace anchorproof {
namespace ENGINE_NS {

#ifdef LANES_IFMA

// An element in stored form, split in limbs, that stands for itself in all lanes.
using LaneConstant = Limbs52;

inline LaneConstant laneConstant(const Fr& a) { return multiple52(VecFr::toStored(a).l, 1); }

AP_INLINE VecFr broadcast(const LaneConstant& a) {
  VecFr out;
  for (int i = 0; i < 5; i++) out.l[i] = _mm512_set1_epi64((long long)a.l[i]);
  return out;
}

// Ten accumulators of products, with a value in the upper five: what is there comes out of the reduction as it is.
struct ProductSum {
  __m512i t[10];

  explicit AP_INLINE ProductSum(const VecFr& start) {
    for (int i = 0; i < 5; i++) {
      t[i] = _mm512_setzero_si512();
      t[i + 5] = start.l[i];
    }
  }
  AP_INLINE void add(const VecFr& a, const VecFr& b) {
#pragma GCC unroll 5
    for (int i = 0; i < 5; i++) {
#pragma GCC unroll 5
      for (int j = 0; j < 5; j++) {
        t[i + j] = _mm512_madd52lo_epu64(t[i + j], a.l[i], b.l[j]);
        t[i + j + 1] = _mm512_madd52hi_epu64(t[i + j + 1], a.l[i], b.l[j]);
      }
    }
  }
};

// start + Σ a[i]·b[i]
AP_INLINE VecFr innerProduct(const VecFr& start, const VecFr* a, const LaneConstant* b, size_t n) {
  ProductSum sum(start);
  for (size_t i = 0; i < n; i++) sum.add(a[i], broadcast(b[i]));
  return VecFr::montgomeryReduce(sum.t);
}

// a·b + c
AP_INLINE VecFr multiplyAdd(const VecFr& a, const VecFr& b, const LaneConstant& c) {
  ProductSum sum(broadcast(c));
  sum.add(a, b);
  return VecFr::montgomeryReduce(sum.t);
}

#else

using LaneConstant = Fr;

inline LaneConstant laneConstant(const Fr& a) { return a; }
AP_INLINE VecFr broadcast(const LaneConstant& a) { return VecFr::broadcast(a); }

// Column K of 64 bits of Σ a[i]·b[i], with the carry of the columns before; returns the carry.
template <int K>
AP_INLINE u128 productColumn(u128 carry, const VecFr* a, const LaneConstant* b, size_t n, u64& out) {
#ifdef FIELD_ADX
  u64 t0 = (u64)carry, t1 = (u64)(carry >> 64), t2 = 0;
  for (size_t k = 0; k < n; k++) {
#pragma GCC unroll 4
    for (int i = K < 4 ? 0 : K - 3; i <= (K < 4 ? K : 3); i++) {
      u64 low, high;
      __asm__("mulxq %[b], %[low], %[high]\n\taddq %[low], %[t0]\n\tadcq %[high], %[t1]\n\tadcq $0, %[t2]"
              : [t0] "+&r"(t0), [t1] "+&r"(t1), [t2] "+&r"(t2), [low] "=&r"(low), [high] "=&r"(high)
              : "d"(a[k].v.l[i]), [b] "m"(b[k].l[K - i])
              : "cc");
    }
  }
  out = t0;
  return (u128)t2 << 64 | t1;
#else
  u128 low = carry, high = 0;
  for (size_t k = 0; k < n; k++) {
#pragma GCC unroll 4
    for (int i = K < 4 ? 0 : K - 3; i <= (K < 4 ? K : 3); i++) {
      u128 product = (u128)a[k].v.l[i] * b[k].l[K - i];
      low += (u64)product;
      high += (u64)(product >> 64);
    }
  }
  out = (u64)low;
  return (low >> 64) + high;
#endif
}

// start + Σ a[i]·b[i] for n ≤ 20: the sum is below 20·p² + 2^256·p < 2^512 and the Montgomery quotient below 6p.
inline VecFr innerProduct(const VecFr& start, const VecFr* a, const LaneConstant* b, size_t n) {
  constexpr const u64(&P)[4] = ScalarModulus::P;
  u64 t[9];
  u128 carry = productColumn<0>(0, a, b, n, t[0]);
  carry = productColumn<1>(carry, a, b, n, t[1]);
  carry = productColumn<2>(carry, a, b, n, t[2]);
  carry = productColumn<3>(carry, a, b, n, t[3]);
  carry = productColumn<4>(carry, a, b, n, t[4]);
  carry = productColumn<5>(carry, a, b, n, t[5]);
  carry = productColumn<6>(carry, a, b, n, t[6]);
  t[7] = (u64)carry;
  u64 c = 0;
  for (int i = 0; i < 4; i++) t[i + 4] = adc(t[i + 4], start.v.l[i], c);
  // Montgomery: row i clears word i; its carry waits in `top` for the next row.
  u64 top = 0;
#pragma GCC unroll 4
  for (int i = 0; i < 4; i++) {
    u64 m = t[i] * Fr::INV;
    c = 0;
    for (int j = 0; j < 4; j++) t[i + j] = mac(t[i + j], m, P[j], c);
    t[i + 4] = adc(t[i + 4], c, top);
  }
  t[8] = top;
  // 4p, 2p, p
#pragma GCC unroll 3
  for (int shift = 2; shift >= 0; shift--) {
    u64 s[5], borrow = 0;
    for (int i = 0; i < 4; i++) {
      s[i] = sbb(t[i + 4], shift == 0 ? P[i] : (P[i] << shift) | (i ? P[i - 1] >> (64 - shift) : 0), borrow);
    }
    s[4] = sbb(t[8], 0, borrow);
    u64 keep = 0 - borrow;
    for (int i = 0; i < 5; i++) t[i + 4] = s[i] ^ ((s[i] ^ t[i + 4]) & keep);
  }
  return {Fr{{t[4], t[5], t[6], t[7]}}};
}

AP_INLINE VecFr multiplyAdd(const VecFr& a, const VecFr& b, const LaneConstant& c) { return {a.v * b.v + c}; }

#endif

// The constants of an arity: drawn as published, and rewritten with sparse matrices (appendix B).
class PoseidonForm {
 public:
  using Vector = std::vector<Fr>;
  using Matrix = std::vector<Vector>;

  static constexpr unsigned MAX_ARITY = 16;
  static constexpr size_t HALF = 4;  // full rounds before the partial ones, and after them

  size_t t, partialRounds;
  Matrix head;           // constants of the first full rounds and of the first partial one
  Vector lane0;          // lane 0's, behind the S-box of each partial round
  Matrix rows, columns;  // of each partial round's matrix the first row and column, both without their first entry
  Matrix tail;           // constants of the last full rounds
  Matrix mds, dense;     // of full rounds, and of the one before the partial rounds

  explicit PoseidonForm(unsigned arity) : t(arity + 1) {
    constexpr uint8_t PARTIAL_ROUNDS[MAX_ARITY] = {56, 57, 56, 60, 60, 63, 64, 63, 60, 66, 60, 65, 70, 60, 64, 68};
    partialRounds = PARTIAL_ROUNDS[arity - 1];
    Matrix published(2 * HALF + partialRounds, Vector(t));
    mds = Matrix(t, Vector(t));
    generate(published, mds);

    // Constants: all but lane 0's commute with the S-box of a partial round, so they travel through the inverse of the
    // linear layer to the round before; lane 0's stays behind that round's S-box.
    const Matrix inverse = invert(mds);
    lane0 = Vector(partialRounds, Fr::zero());
    for (size_t round = HALF + partialRounds - 1; round > HALF; round--) {
      Vector pulled = multiply(inverse, published[round]);
      lane0[round - HALF - 1] = pulled[0];
      for (size_t i = 1; i < t; i++) published[round - 1][i] += pulled[i];
    }
    // Matrices: M = S·diag(1, M̂) with S sparse, and diag(1, M̂) commutes with the partial S-box, so that every round
    // keeps S and hands diag(1, M̂) to the round before.
    Matrix hat(t - 1, Vector(t - 1));
    Vector row(t - 1), column(t - 1);
    for (size_t i = 0; i < t - 1; i++) {
      row[i] = mds[0][i + 1];
      column[i] = mds[i + 1][0];
      for (size_t j = 0; j < t - 1; j++) hat[i][j] = mds[i + 1][j + 1];
    }
    const Matrix hatInverse = transpose(invert(hat));
    rows.resize(partialRounds);
    columns.resize(partialRounds);
    for (size_t round = partialRounds; round-- > 0;) {
      row = rows[round] = multiply(hatInverse, row);
      columns[round] = column;
      column = multiply(hat, column);
    }
    // diag(1, M̂^rounds), which the last full round before and its constants pass
    Matrix block(t, Vector(t, Fr::zero()));
    const Matrix hatPower = power(hat, partialRounds);
    block[0][0] = Fr::one();
    for (size_t i = 1; i < t; i++) std::copy(hatPower[i - 1].begin(), hatPower[i - 1].end(), block[i].begin() + 1);

    head.assign(published.begin(), published.begin() + HALF);
    head.push_back(multiply(block, published[HALF]));
    tail.assign(published.end() - HALF, published.end());
    dense = multiply(block, mds);
  }

  // Of sixteen inputs, of which there are two instances: made once.
  static const PoseidonForm& widest() {
    static const PoseidonForm* const form = new PoseidonForm(MAX_ARITY);
    return *form;
  }

  static Fr dot(const Vector& a, const Vector& b) {
    Fr sum = Fr::zero();
    for (size_t i = 0; i < a.size(); i++) sum += a[i] * b[i];
    return sum;
  }

 private:
  // The Grain LFSR of appendix F: 80 bits, self-shrinking. Cell i of the register is bit i.
  class Grain {
   public:
    Grain(size_t t, size_t partialRounds) {
      push(1, 2);     // prime field
      push(0, 4);     // S-box x^alpha
      push(254, 12);  // bits of r
      push(t, 12);
      push(2 * HALF, 10);
      push(partialRounds, 10);
      push(0x3fffffff, 30);
      for (int i = 0; i < 10; i++) step();
    }

    // A uniform integer of 254 bits, the first bit its highest.
    Fr integer() {
      Fr out;
      for (int i = 3; i >= 0; i--) out.l[i] = bits(i == 3 ? 62 : 64);
      return out;
    }

   private:
    u128 state = 0;
    int pushed = 0, left = 0;
    unsigned fresh = 0;

    void push(u64 value, int bits) {
      for (int i = bits - 1; i >= 0; i--) state |= (u128)(value >> i & 1) << pushed++;
    }
    // Sixteen steps at once: the highest tap, 62, sees no bit younger than that.
    unsigned step() {
      unsigned out = (state ^ state >> 13 ^ state >> 23 ^ state >> 38 ^ state >> 51 ^ state >> 62) & 0xffff;
      state = state >> 16 | (u128)out << 64;
      return out;
    }
    // Bits come in pairs; the first says whether the second counts. Without branches, which nothing could predict.
    u64 bits(int n) {
      u64 out = 0;
      while (n > 0) {
        if (left == 0) {
          fresh = step();
          left = 8;
        }
        const unsigned keep = fresh & 1;
        out = out << keep | (fresh >> 1 & keep);
        n -= (int)keep;
        fresh >>= 2;
        left--;
      }
      return out;
    }
  };

  void generate(Matrix& published, Matrix& m) const {
    Grain grain(t, partialRounds);
    for (Vector& round : published) {
      for (Fr& value : round) {
        do value = grain.integer();
        while (!value.isReduced());
        value = value.toMontgomery();
      }
    }
    // Cauchy matrix. The reference reduces here where it rejects above; toMontgomery does, being a product.
    Vector xs(t), ys(t), prefix;
    for (Fr& x : xs) x = grain.integer().toMontgomery();
    for (Fr& y : ys) y = grain.integer().toMontgomery();
    Fr product = Fr::one();
    for (const Fr& x : xs) {
      for (const Fr& y : ys) {
        prefix.push_back(product);
        product *= x + y;
      }
    }
    Fr inverse = product.inverse();
    for (size_t i = t * t; i-- > 0;) {
      m[i / t][i % t] = inverse * prefix[i];
      inverse *= xs[i / t] + ys[i % t];
    }
  }

  static Vector multiply(const Matrix& a, const Vector& b) {
    Vector out;
    for (const Vector& row : a) out.push_back(dot(row, b));
    return out;
  }
  static Matrix transpose(const Matrix& a) {
    Matrix out(a.size(), Vector(a.size()));
    for (size_t i = 0; i < a.size(); i++) {
      for (size_t j = 0; j < a.size(); j++) out[j][i] = a[i][j];
    }
    return out;
  }
  static Matrix multiply(const Matrix& a, const Matrix& b) {
    const Matrix columns = transpose(b);
    Matrix out;
    for (const Vector& row : a) out.push_back(multiply(columns, row));
    return out;
  }
  static Matrix power(const Matrix& a, size_t exponent) {
    if (exponent == 1) return a;
    Matrix half = power(a, exponent / 2), square = multiply(half, half);
    return exponent % 2 ? multiply(square, a) : square;
  }
  // Gauss–Jordan. The matrices here are Cauchy, all of whose minors are non-zero: no pivot is 0.
  static Matrix invert(Matrix a) {
    size_t n = a.size();
    for (size_t k = 0; k < n; k++) {
      Fr scale = a[k][k].inverse();
      a[k][k] = Fr::one();
      for (Fr& value : a[k]) value *= scale;
      for (size_t i = 0; i < n; i++) {
        if (i == k) continue;
        Fr factor = a[i][k];
        a[i][k] = Fr::zero();
        for (size_t j = 0; j < n; j++) a[i][j] -= factor * a[k][j];
      }
    }
    return a;
  }
};

// Sees the powers that S-boxes compute on their way. This one does not look.
struct NoTap {
  AP_INLINE void operator()(size_t, const VecFr&, const VecFr&, const VecFr&) const {}
  AP_INLINE void one(size_t, const VecFr&, const VecFr&, const VecFr&) const {}
  AP_INLINE void eight(size_t, const VecFr&, const VecFr&, const VecFr&) const {}
};

// One instance: the constants of an arity in the order of their use. Lane 0 stands last, so that the state and the
// S-box outputs of a block form one array.
class Poseidon {
 public:
  static constexpr unsigned MAX_ARITY = PoseidonForm::MAX_ARITY;

  // Made on first use, and kept for the life of the process.
  static const Poseidon& forArity(unsigned arity) {
    static std::mutex mutex;
    static const Poseidon* instances[MAX_ARITY];
    std::lock_guard<std::mutex> lock(mutex);
    const Poseidon*& instance = instances[arity - 1];
    if (!instance) instance = new Poseidon(arity == MAX_ARITY ? PoseidonForm::widest() : PoseidonForm(arity));
    return *instance;
  }

  // What a thread computes in. It holds secrets when the inputs are secret.
  struct Scratch {
    VecFr state[MAX_ARITY + 4], next[MAX_ARITY + 1];
  };

  VecFr hash(Scratch& scratch) const {
    NoTap none;
    return hash(scratch, none);
  }

  // state: the inputs, then the capacity, all below 2p. Gives the hash, below 2p. tap: called with the number of each
  // S-box, in the order of the plain form (lane 0 first), and the second, fourth and fifth power of what goes into it.
  template <class Tap>
  VecFr hash(Scratch& scratch, Tap& tap) const {
    VecFr* state = scratch.state;
    const LaneConstant* c = constants.data();
    size_t box = 0;
    auto full = [&]() __attribute__((always_inline)) {
      for (size_t i = 0; i < t; i++) state[i] = sbox(state[i], zero, box + (i + 1) % t, tap);
      box += t;
    };
    for (size_t i = 0; i < t; i++) state[i] = state[i] + broadcast(*c++);
    for (size_t round = 0; round < HALF; round++) {
      full();
      c = mix(scratch, c, round == HALF - 1 ? dense : mds);
    }
    VecFr lane0 = state[t - 1];
    for (size_t done = 0; done < partialRounds; done += BLOCK) {
      size_t rounds = std::min(BLOCK, partialRounds - done);
      for (size_t round = 0; round < rounds; round++) {
        state[t - 1 + round] = sbox(lane0, *c++, box++, tap);
        lane0 = innerProduct(VecFr::zero(), state, c, t + round);
        c += t + round;
      }
      for (size_t i = 0; i < t - 1; i++) {
        state[i] = innerProduct(state[i], state + t - 1, c, rounds);
        c += rounds;
      }
    }
    state[t - 1] = lane0;
    for (size_t i = 0; i < t; i++) state[i] = state[i] + broadcast(*c++);
    for (size_t round = 0; round < HALF - 1; round++) {
      full();
      c = mix(scratch, c, mds);
    }
    full();
    return innerProduct(VecFr::zero(), state, mds.data() + (t - 1) * t, t);
  }

 private:
  static constexpr size_t HALF = PoseidonForm::HALF;
  static constexpr size_t BLOCK = 4;

  size_t t, partialRounds;
  LaneConstant zero;
  std::vector<LaneConstant> mds, dense;  // rows
  std::vector<LaneConstant> constants;   // all else

  // x⁵ + c
  template <class Tap>
  static AP_INLINE VecFr sbox(const VecFr& x, const LaneConstant& c, size_t box, Tap& tap) {
    const VecFr square = x.sqr(), fourth = square.sqr();
    if constexpr (std::is_same_v<Tap, NoTap>) {
      return multiplyAdd(fourth, x, c);
    } else {
      const VecFr fifth = fourth * x;
      tap(box, square, fourth, fifth);
      return fifth + broadcast(c);
    }
  }

  // Linear layer, with the constants of the next round.
  const LaneConstant* mix(Scratch& scratch, const LaneConstant* c, const std::vector<LaneConstant>& matrix) const {
    for (size_t i = 0; i < t; i++) {
      scratch.next[i] = innerProduct(broadcast(c[i]), scratch.state, matrix.data() + i * t, t);
    }
    for (size_t i = 0; i < t; i++) scratch.state[i] = scratch.next[i];
    return c + t;
  }

  explicit Poseidon(const PoseidonForm& form)
      : t(form.t), partialRounds(form.partialRounds), zero(laneConstant(Fr::zero())) {
    for (const auto& round : form.head) addState(round);
    for (size_t done = 0; done < partialRounds; done += BLOCK) {
      size_t rounds = std::min(BLOCK, partialRounds - done);
      for (size_t round = done; round < done + rounds; round++) {
        add(form.lane0[round]);
        for (const Fr& value : form.rows[round]) add(value);
        // Rounds of this block that the other lanes do not know yet.
        for (size_t before = done; before < round; before++) add(PoseidonForm::dot(form.rows[round], form.columns[before]));
        add(form.mds[0][0]);
      }
      for (size_t i = 0; i < t - 1; i++) {
        for (size_t round = done; round < done + rounds; round++) add(form.columns[round][i]);
      }
    }
    for (const auto& round : form.tail) addState(round);
    mds = flatten(form.mds);
    dense = flatten(form.dense);
  }

  void add(const Fr& value) { constants.push_back(laneConstant(value)); }
  void addState(const PoseidonForm::Vector& values) {
    for (size_t i = 1; i <= t; i++) add(values[i % t]);
  }
  std::vector<LaneConstant> flatten(const PoseidonForm::Matrix& matrix) const {
    std::vector<LaneConstant> out;
    for (size_t i = 1; i <= t; i++) {
      for (size_t j = 1; j <= t; j++) out.push_back(laneConstant(matrix[i % t][j % t]));
    }
    return out;
  }
};

#ifdef LANES_IFMA

// Sixteen inputs, one hash at a time: lanes 1–8 of the state in the lanes of one vector, 9–16 in a second, and lane 0 in
// all lanes of a third.
//
// Of a partial round only lane 0's S-box has to wait for the round before: the next lane 0 is x⁴·(m₀₀·x) + (the others'
// part), and the others are brought up to date beside it.
//
// Bounds. Lane 0 comes out of a sum over eight lanes. After a full layer these are below 1.1p each, lane 0 below 10p and the
// others below 2.5p. Every partial round adds up to 1.04p to the others: below 73p after all of them, and 72p where the last
// one reads them, so that the eight partial sums are below 2.72p each and lane 0, with two products and a constant, below 24p;
// with the next constant below 25p, as an S-box wants it. The others are multiplied by 1 then.
class SinglePoseidon {
 public:
  static const SinglePoseidon& instance() {
    static const SinglePoseidon* const made = new SinglePoseidon(PoseidonForm::widest());
    return *made;
  }

  struct State {
    VecFr low, high, zero;
  };

  // Inputs and capacity below 10p; gives the hash in all lanes, below 10p. tap.eight(box, …) is called for the S-boxes from
  // `box` on, one a lane; tap.one(box, …) for one, which is in all lanes.
  template <class Tap>
  VecFr hash(State s, Tap& tap) const {
    size_t box = 0;
    auto full = [&]() __attribute__((always_inline)) {
      const VecFr zero2 = s.zero.sqr(), low2 = s.low.sqr(), high2 = s.high.sqr();
      const VecFr zero4 = zero2.sqr(), low4 = low2.sqr(), high4 = high2.sqr();
      s = {low4 * s.low, high4 * s.high, zero4 * s.zero};
      tap.one(box, zero2, zero4, s.zero);
      tap.eight(box + 1, low2, low4, s.low);
      tap.eight(box + 9, high2, high4, s.high);
      box += T;
    };
    s.low = s.low + load(head[0].low);
    s.high = s.high + load(head[0].high);
    s.zero = s.zero + broadcast(head[0].zero);
    for (size_t round = 0; round < HALF; round++) {
      full();
      mix(s, round == HALF - 1 ? dense : mds, head[round + 1]);
    }
    for (const Partial& round : partial) {
      const VecFr x = s.zero, square = x.sqr(), fourth = square.sqr();
      ProductSum others(VecFr::zero());
      others.add(s.low, load(round.rowLow));
      others.add(s.high, load(round.rowHigh));
      ProductSum next(sumOfLanes(VecFr::montgomeryReduce(others.t), round.scaled));
      next.add(fourth, x * broadcast(corner));
      s.zero = VecFr::montgomeryReduce(next.t);
      VecFr y;
      if constexpr (std::is_same_v<Tap, NoTap>) {
        y = multiplyAdd(fourth, x, round.lane0);
      } else {
        const VecFr fifth = fourth * x;
        tap.one(box++, square, fourth, fifth);
        y = fifth + broadcast(round.lane0);
      }
      ProductSum low(s.low), high(s.high);
      low.add(y, load(round.columnLow));
      high.add(y, load(round.columnHigh));
      s.low = VecFr::montgomeryReduce(low.t);
      s.high = VecFr::montgomeryReduce(high.t);
    }
    ProductSum low(load(tail[0].low)), high(load(tail[0].high));
    low.add(s.low, broadcast(one));
    high.add(s.high, broadcast(one));
    s.low = VecFr::montgomeryReduce(low.t);
    s.high = VecFr::montgomeryReduce(high.t);
    s.zero = s.zero + broadcast(tail[0].zero);
    for (size_t round = 1; round < HALF; round++) {
      full();
      mix(s, mds, tail[round]);
    }
    full();
    return lane0Of(s, mds, zero);
  }

 private:
  static constexpr size_t T = 17, HALF = PoseidonForm::HALF;

  // Eight elements in stored form, one a lane.
  struct alignas(64) Eight {
    u64 l[5][8];
  };
  struct Constants {
    Eight low, high;
    LaneConstant zero;
  };
  struct Matrix {
    Eight low[T], high[T];  // columns; lane 0's last
    Eight rowLow, rowHigh, rowZero;
  };
  struct Partial {
    Eight rowLow, rowHigh, columnLow, columnHigh;
    LaneConstant lane0, scaled;  // behind the S-box; times m₀₀
  };

  LaneConstant zero, one, corner;
  std::vector<Constants> head, tail;
  std::vector<Partial> partial;
  Matrix mds, dense;

  static AP_INLINE VecFr load(const Eight& a) {
    VecFr out;
    for (int i = 0; i < 5; i++) out.l[i] = _mm512_load_si512(a.l[i]);
    return out;
  }

  // In all lanes: the sum of a's lanes, and c.
  static AP_INLINE VecFr sumOfLanes(const VecFr& a, const LaneConstant& c) {
    VecFr out;
    for (int i = 0; i < 5; i++) {
      __m512i sum = _mm512_add_epi64(a.l[i], _mm512_shuffle_i64x2(a.l[i], a.l[i], 0x4e));
      sum = _mm512_add_epi64(sum, _mm512_shuffle_i64x2(sum, sum, 0xb1));
      sum = _mm512_add_epi64(sum, _mm512_permutex_epi64(sum, 0xb1));
      out.l[i] = _mm512_add_epi64(sum, _mm512_set1_epi64((long long)c.l[i]));
    }
    return out.carry();
  }

  static AP_INLINE VecFr lane0Of(const State& s, const Matrix& m, const LaneConstant& c) {
    ProductSum sum(VecFr::zero());
    sum.add(s.low, load(m.rowLow));
    sum.add(s.high, load(m.rowHigh));
    sum.add(s.zero, load(m.rowZero));
    return sumOfLanes(VecFr::montgomeryReduce(sum.t), c);
  }

  static AP_NOINLINE void mix(State& s, const Matrix& m, const Constants& next) {
    // Through memory: a lane is then broadcast by the load that reads it.
    Eight x[2];
    for (int i = 0; i < 5; i++) {
      _mm512_store_si512(x[0].l[i], s.low.l[i]);
      _mm512_store_si512(x[1].l[i], s.high.l[i]);
    }
    ProductSum low(load(next.low)), high(load(next.high));
    low.add(s.zero, load(m.low[T - 1]));
    high.add(s.zero, load(m.high[T - 1]));
    for (size_t j = 0; j < T - 1; j++) {
      VecFr value;
      for (int i = 0; i < 5; i++) value.l[i] = _mm512_set1_epi64((long long)x[j / 8].l[i][j % 8]);
      low.add(value, load(m.low[j]));
      high.add(value, load(m.high[j]));
    }
    s.zero = lane0Of(s, m, next.zero);
    s.low = VecFr::montgomeryReduce(low.t);
    s.high = VecFr::montgomeryReduce(high.t);
    wipe(x, sizeof x);
  }

  template <class At>
  static Eight eight(At at) {
    Eight out;
    for (size_t lane = 0; lane < 8; lane++) {
      const LaneConstant value = laneConstant(at(lane));
      for (int i = 0; i < 5; i++) out.l[i][lane] = value.l[i];
    }
    return out;
  }
  static Constants constantsOf(const PoseidonForm::Vector& v) {
    return {eight([&](size_t lane) { return v[1 + lane]; }), eight([&](size_t lane) { return v[9 + lane]; }),
            laneConstant(v[0])};
  }
  static void fill(Matrix& out, const PoseidonForm::Matrix& m) {
    for (size_t j = 0; j < T; j++) {
      out.low[j] = eight([&](size_t lane) { return m[1 + lane][(j + 1) % T]; });
      out.high[j] = eight([&](size_t lane) { return m[9 + lane][(j + 1) % T]; });
    }
    out.rowLow = eight([&](size_t lane) { return m[0][1 + lane]; });
    out.rowHigh = eight([&](size_t lane) { return m[0][9 + lane]; });
    // Lane 0 is in all lanes, but counts once.
    out.rowZero = eight([&](size_t lane) { return lane == 0 ? m[0][0] : Fr::zero(); });
  }

  explicit SinglePoseidon(const PoseidonForm& form)
      : zero(laneConstant(Fr::zero())), one(laneConstant(Fr::one())), corner(laneConstant(form.mds[0][0])) {
    for (const auto& round : form.head) head.push_back(constantsOf(round));
    for (const auto& round : form.tail) tail.push_back(constantsOf(round));
    for (size_t round = 0; round < form.partialRounds; round++) {
      const auto &row = form.rows[round], &column = form.columns[round];
      partial.push_back({eight([&](size_t lane) { return row[lane]; }), eight([&](size_t lane) { return row[8 + lane]; }),
                         eight([&](size_t lane) { return column[lane]; }),
                         eight([&](size_t lane) { return column[8 + lane]; }), laneConstant(form.lane0[round]),
                         laneConstant(form.mds[0][0] * form.lane0[round])});
    }
    fill(mds, form.mds);
    fill(dense, form.dense);
  }
};

#endif

// Integers to the Montgomery form of the lanes (times R²), and back.
AP_INLINE VecFr entering() {
  constexpr Limbs square = powerOfTwo(LANES == 1 ? 512 : 520, ScalarModulus::P);
  return VecFr::broadcast(Fr::fromLimbs(square));
}
AP_INLINE VecFr leaving() { return VecFr::broadcast(Fr{{1, 0, 0, 0}}); }

// Engine::poseidon (api.h).
inline void poseidonHash(unsigned arity, Bytes capacities, Bytes inputs, size_t n, unsigned threads, uint8_t* out) {
  // Some milliseconds a task on the slowest engine.
  constexpr size_t TASK = 16;
  if (arity < 1 || arity > Poseidon::MAX_ARITY) throw Failure(Code::InputInvalid, "Poseidon takes 1 to 16 inputs");
  const size_t row = arity * size_t{32};
  if (inputs.size % row != 0 || inputs.size / row != n) {
    throw Failure(Code::InputInvalid, "Poseidon's inputs are not 32 bytes each");
  }
  if (capacities.size != 32 && (capacities.size % 32 != 0 || capacities.size / 32 != n)) {
    throw Failure(Code::InputInvalid, "Poseidon takes one capacity, or one a hash");
  }
  if (n == 0) return;
  const size_t capacityStep = capacities.size == 32 ? 0 : 32;
  const Poseidon& instance = Poseidon::forArity(arity);
  Control control;
  control.threads = threads;
  parallel(control, (n + TASK - 1) / TASK, [&](size_t task, size_t) {
    struct Workspace : Poseidon::Scratch {
      Fr words[LANES];
      ~Workspace() { wipe(this, sizeof *this); }
    } space;
    const VecFr enter = entering(), leave = leaving();
    const size_t end = std::min(n, (task + 1) * TASK);
    for (size_t first = task * TASK; first < end; first += LANES) {
      for (unsigned input = 0; input <= arity; input++) {
        for (size_t lane = 0; lane < LANES; lane++) {
          // Lanes past the end repeat the last hash.
          const size_t hash = std::min(first + lane, end - 1);
          Fr& value = space.words[lane];
          memcpy(value.l, input == arity ? capacities.data + hash * capacityStep : inputs.data + hash * row + input * 32,
                 32);
          if (!value.isReduced()) throw Failure(Code::InputInvalid, "an input of Poseidon is not below r");
        }
        space.state[input] = VecFr::load(space.words) * enter;
      }
      (instance.hash(space) * leave).template reduced<2>().store(space.words);
      memcpy(out + first * 32, space.words, std::min<size_t>(LANES, end - first) * 32);
    }
  });
}

}  // namespace ENGINE_NS
}  // namespace anchorproof
