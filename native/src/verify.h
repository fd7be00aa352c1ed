// Groth16 verification: one proof, or many of one key by a random linear combination. All of it is public data.
//
// The equation, with X = IC₀ + Σ xᵢ·ICᵢ: e(A, B) · e(X, −γ) · e(C, −δ) = e(α, β).
#pragma once

#include "hash.h"
#include "pairing.h"
#include "threads.h"

namespace anchorproof {
namespace ENGINE_NS {

// Multiples of a few fixed points of G1, for Σ scalarᵢ·pointᵢ with 60 doublings: scalars are cut into four parts of 64
// bits, parts into 16 signed digits of four bits.
class FixedPoints {
 public:
  explicit FixedPoints(const std::vector<G1>& points) : n(points.size()), table(n * PARTS * MULTIPLES) {
    std::vector<G1> all;
    all.reserve(table.size());
    for (G1 base : points) {
      for (int part = 0; part < PARTS; part++) {
        G1 multiple = base;
        for (int i = 0; i < MULTIPLES; i++, multiple += base) all.push_back(multiple);
        for (int i = 0; i < 64 && part + 1 < PARTS; i++) base = base.dbl();
      }
    }
    std::vector<Fq> inverse(all.size());
    for (size_t i = 0; i < all.size(); i++) inverse[i] = all[i].zzz;
    invertAll(inverse.data(), inverse.size());
    for (size_t i = 0; i < all.size(); i++) {
      table[i] = {all[i].x * (inverse[i] * all[i].zz).sqr(), all[i].y * inverse[i]};
    }
  }

  // scalars: n integers below 2^255, in words
  G1 combine(const Limbs* scalars) const {
    std::vector<int8_t> digits(n * PARTS * 16);
    for (size_t i = 0; i < n; i++) {
      int carry = 0;
      for (int k = 0; k < PARTS * 16; k++) {
        int digit = (int)(scalars[i].l[k / 16] >> (4 * (k % 16)) & 15) + carry;
        carry = digit > MULTIPLES;
        digits[i * PARTS * 16 + k] = (int8_t)(digit - 16 * carry);
      }
    }
    G1 sum = G1::infinity();
    for (int at = 15; at >= 0; at--) {
      for (int i = 0; i < 4 && at < 15; i++) sum = sum.dbl();
      for (size_t row = 0; row < n * PARTS; row++) {
        int digit = digits[row * 16 + at];
        if (digit == 0) continue;
        const Coordinates& p = table[row * MULTIPLES + (digit > 0 ? digit : -digit) - 1];
        sum = plus(sum, p.x, digit > 0 ? p.y : -p.y);
      }
    }
    return sum;
  }

 private:
  static constexpr int PARTS = 4, MULTIPLES = 8;
  struct Coordinates {
    Fq x, y;
  };
  size_t n;
  std::vector<Coordinates> table;

  // madd-2008-s of the Explicit-Formulas Database
  static G1 plus(const G1& a, const Fq& x, const Fq& y) {
    if (a.isInfinity()) return G1::fromCoordinates(x, y);
    Fq p = x * a.zz - a.x, r = y * a.zzz - a.y;
    if (p.isZero()) return r.isZero() ? a.dbl() : G1::infinity();
    Fq pp = p.sqr(), ppp = p * pp, q = a.x * pp;
    Fq x3 = r.sqr() - ppp - q.dbl();
    return {x3, r * (q - x3) - a.y * ppp, a.zz * pp, a.zzz * ppp};
  }
};

// The coefficients of a batch: Σ uᵢ·2^i for i < 64, where each uᵢ is one of ±1, ±λ. λ is the cube root of unity in Fr
// that the endomorphism (x, y) ↦ (βx, y) of G1 acts as. So a multiplication takes 63 doublings and as many additions of
// points that cost nothing to make, and all 2^128 choices give different coefficients, none of them zero:
// - In Z[λ] two sums with the same value have the same u₀, by which the rest agrees by induction. For 1 and λ differ
//   modulo 2; and if u₀ = −u₀', then their rests, a and b, differ by a unit ±1 or ±λ that is u₀. But a and b are 1 or λ
//   modulo 2, so that they differ by 0 or 1 + λ there, which is neither 1 nor λ. And no sum is 0 modulo 2.
// - Modulo r nothing new meets: a nonzero c + dλ = 0 mod r needs c² − cd + d² ≥ r, and here |c|, |d| < 2^65.
// For the same reasons the incomplete additions below meet no equal or opposite points: twice a sum is 0 modulo 2.
struct Coefficient {
  u64 sign, turn;  // bit i: uᵢ is negative; uᵢ is ±λ

  Fr value() const {
    Fr lambda = cubeRoot(), out = Fr::zero();
    for (int i = 63; i >= 0; i--) {
      Fr unit = turn >> i & 1 ? lambda : Fr::one();
      out = sign >> i & 1 ? out.dbl() - unit : out.dbl() + unit;
    }
    return out;
  }

  // λ = 36x³ + 18x² + 6x + 1
  static Fr cubeRoot() {
    Fr x = Fr::fromInteger(CURVE_X);
    return ((Fr::fromInteger(36) * x + Fr::fromInteger(18)) * x + Fr::fromInteger(6)) * x + Fr::one();
  }
  static Fq beta() { return frobenius().gamma2[4]; }
};

// LANES points of G1 in Jacobian coordinates.
struct LanePoints {
  LaneFq x, y, z;

  // dbl-2009-l
  LanePoints dbl() const {
    LaneFq a = x.sqr(), b = y.sqr(), c = b.sqr();
    LaneFq d = ((x + b).sqr() - a - c).dbl(), e = a.dbl() + a;
    LaneFq x3 = e.sqr() - d.dbl();
    return {x3, e * (d - x3) - c.dbl().dbl().dbl(), (y * z).dbl()};
  }
  // madd-2007-bl; the points must not be equal or opposite
  LanePoints plus(const LaneFq& bx, const LaneFq& by) const {
    LaneFq zz = z.sqr(), h = bx * zz - x, hh = h.sqr(), i = hh.dbl().dbl(), j = h * i;
    LaneFq r = (by * z * zz - y).dbl(), v = x * i;
    LaneFq x3 = r.sqr() - j - v.dbl();
    return {x3, r * (v - x3) - (y * j).dbl(), (z + h).sqr() - zz - hh};
  }

  // coefficient[k] times the affine point of lane k
  static LanePoints times(const LaneFq& x, const LaneFq& y, const Coefficient (&coefficient)[LANES]) {
    const LaneFq turned = x * LaneFq::lift(Coefficient::beta()), minusY = -y;
    LanePoints out;
    for (int i = 63; i >= 0; i--) {
      unsigned sign = 0, turn = 0;
      for (int k = 0; k < LANES; k++) {
        sign |= (unsigned)(coefficient[k].sign >> i & 1) << k;
        turn |= (unsigned)(coefficient[k].turn >> i & 1) << k;
      }
      LaneFq px = select((Mask)turn, x, turned), py = select((Mask)sign, y, minusY);
      out = i == 63 ? LanePoints{px, py, LaneFq::lift(Fq::one())} : out.dbl().plus(px, py);
    }
    return out;
  }
};

inline LaneFq loadLanes(const Fq* a) {
  Fq stored[LANES];
  for (int k = 0; k < LANES; k++) stored[k] = VecFq::toStored(a[k]);
  return {VecFq::load(stored)};
}

inline void storeLanes(const LaneFq& a, Fq* out) {
  a.v.template reduced<4>().store(out);
  for (int k = 0; k < LANES; k++) out[k] = VecFq::fromStored(out[k]);
}

class Groth16Verifier final : public VerifyingKey {
 public:
  explicit Groth16Verifier(Bytes key)
      : publics_(countPublics(key)),
        alpha_({point<Fq>(key.data, Code::KeyMalformed, "alpha")}),
        beta_(fixedLines(key.data + 64, "beta", false)),
        gamma_(fixedLines(key.data + 192, "gamma", true)),
        delta_(fixedLines(key.data + 320, "delta", true)),
        ic_(inputPoints(key, publics_)),
        digest_(Sha256().update(key.data, key.size).finish()) {
    UnitMillerPoint pair = unitPoint(point<Fq>(key.data, Code::KeyMalformed, "alpha"), beta_);
    alphaBeta_ = finalExponentiation(millerLoop<Fq2>(nullptr, 0, &pair, 1));
  }

  size_t publics() const override { return publics_; }

  bool verify(Bytes publics, Bytes proof) const override {
    checkLength(publics.size, publics_ * 32, "public signals");
    checkLength(proof.size, 256, "a proof");
    std::vector<Limbs> scalars(publics_ + 1);
    scalars[0] = {{1, 0, 0, 0}};
    for (size_t i = 0; i < publics_; i++) {
      if (!signal(publics.data + 32 * i, scalars[i + 1])) {
        throw Failure(Code::InputInvalid, "public signal " + std::to_string(i) + " is outside the field");
      }
    }
    const ProofPoints points(proof.data);
    auto lines = std::make_unique<Lines<Fq2>>();
    ateLinesOf(points.bx, points.by, *lines);
    if (!inG2(*lines)) throw Failure(Code::ProofMalformed, "B is not in the group of order r");
    MillerPoint<Fq2> a{points.ax, points.ay, Fq::one(), lines.get()};
    G1 fixed[2] = {ic_.combine(scalars.data()), G1::fromCoordinates(points.cx, points.cy)};
    const std::vector<UnitLine>* fixedLines[2] = {&gamma_, &delta_};
    UnitMillerPoint unit[2];
    size_t count = unitPoints(fixed, fixedLines, 2, unit);
    return finalExponentiation(millerLoop(&a, 1, unit, count)) == alphaBeta_;
  }

  void verifyBatch(Bytes publics, Bytes proofs, size_t n, unsigned threads, uint8_t* verdicts) const override {
    checkLength(proofs.size / 256, n, "proofs");
    checkLength(proofs.size, n * 256, "proofs");
    checkLength(publics.size, n * publics_ * 32, "public signals");
    if (n == 1) {
      verdicts[0] = verifiesAlone(publics, proofs);
      return;
    }
    Control control;
    control.threads = threads;
    // Bounds the memory that a batch takes.
    constexpr size_t CHUNK = 4096;
    for (size_t at = 0; at < n; at += CHUNK) {
      size_t count = n - at < CHUNK ? n - at : CHUNK;
      const size_t signals = publics_ * 32;
      Batch batch(*this, {publics.data + at * signals, count * signals}, {proofs.data + at * 256, count * 256}, count,
                  verdicts + at);
      batch.run(control);
    }
  }

 private:
  bool verifiesAlone(Bytes publics, Bytes proof) const {
    try {
      return verify(publics, proof);
    } catch (const Failure&) {
      return false;
    }
  }

  // Affine coordinates, checked, but B's subgroup.
  struct ProofPoints {
    Fq ax, ay, cx, cy;
    Fq2 bx, by;

    explicit ProofPoints(const uint8_t* bytes) {
      G1 a = point<Fq>(bytes, Code::ProofMalformed, "A"), c = point<Fq>(bytes + 192, Code::ProofMalformed, "C");
      G2 b = point<Fq2>(bytes + 64, Code::ProofMalformed, "B");
      ax = a.x, ay = a.y, bx = b.x, by = b.y, cx = c.x, cy = c.y;
    }
  };

  // Proofs of one combination: Π e(ρᵢAᵢ, Bᵢ) · e(Σ ρᵢXᵢ, −γ) · e(Σ ρᵢCᵢ, −δ) · e(−Σ ρᵢ·α, β) = 1.
  class Batch {
   public:
    Batch(const Groth16Verifier& key_, Bytes publics_, Bytes proofs_, size_t n_, uint8_t* verdicts_)
        : key(key_), publics(publics_), proofs(proofs_), n(n_), verdicts(verdicts_), terms(n), wellFormed(n) {}

    void run(const Control& control) {
      drawSeed();
      parallel(control, (n + LANES - 1) / LANES, [&](size_t group, size_t) { makeTerms(group * LANES); });
      memset(verdicts, 0, n);
      for (size_t i = 0; i < n; i++) {
        if (wellFormed[i]) members.push_back(i);
      }
      if (members.empty()) return;
      if (holds(0, members.size())) {
        accept(0, members.size());
      } else {
        search(0, members.size());
      }
    }

   private:
    // What proof i adds to the combination.
    struct Term {
      Gt miller;  // of (ρA, B)
      G1 c;       // ρC
      Fr rho;
    };

    const Groth16Verifier& key;
    Bytes publics, proofs;
    size_t n;
    uint8_t* verdicts;
    std::vector<Term> terms;
    std::vector<uint8_t> wellFormed;
    std::vector<size_t> members;  // the well-formed proofs
    Sha256::Digest seed;

    // Whoever makes the proofs can neither foresee the coefficients (fresh randomness) nor, were that to fail, choose
    // proofs for given ones (the whole transcript is hashed).
    void drawSeed() {
      static constexpr char TAG[] = "anchorproof/groth16-batch/1";
      uint8_t fresh[32], count[8];
      osRandom(fresh, sizeof fresh);
      for (int i = 0; i < 8; i++) count[i] = (uint8_t)((uint64_t)n >> (8 * i));
      Sha256 hash;
      hash.update(reinterpret_cast<const uint8_t*>(TAG), sizeof TAG).update(fresh, 32);
      hash.update(key.digest_.data(), 32).update(count, 8);
      seed = hash.update(publics.data, publics.size).update(proofs.data, proofs.size).finish();
    }

    Coefficient coefficient(size_t i) const {
      uint8_t index[8];
      for (int k = 0; k < 8; k++) index[k] = (uint8_t)((uint64_t)i >> (8 * k));
      Sha256::Digest digest = Sha256().update(seed.data(), 32).update(index, 8).finish();
      Coefficient out;
      memcpy(&out.sign, digest.data(), 8);
      memcpy(&out.turn, digest.data() + 8, 8);
      return out;
    }

    bool readMember(size_t i, Fq (&in)[8][LANES], int lane) const {
      Limbs scalar;
      for (size_t k = 0; k < key.publics_; k++) {
        if (!signal(publics.data + 32 * (i * key.publics_ + k), scalar)) return false;
      }
      try {
        const ProofPoints p(proofs.data + 256 * i);
        const Fq parts[8] = {p.ax, p.ay, p.bx.c0, p.bx.c1, p.by.c0, p.by.c1, p.cx, p.cy};
        for (int k = 0; k < 8; k++) in[k][lane] = parts[k];
      } catch (const Failure&) {
        return false;
      }
      return true;
    }

    // For the proofs first…first + LANES − 1. A lane without a well-formed proof computes on zeros, for nothing.
    void makeTerms(size_t first) {
      Fq in[8][LANES] = {};
      Coefficient rho[LANES];
      bool any = false;
      for (int k = 0; k < LANES; k++) {
        size_t i = first + k;
        rho[k] = coefficient(i);
        if (i < n) any |= wellFormed[i] = readMember(i, in, k);
      }
      if (!any) return;
      LaneFq lanes[8];
      for (int k = 0; k < 8; k++) lanes[k] = loadLanes(in[k]);
      auto lines = std::make_unique<Lines<LaneFq2>>();
      ateLinesOf(LaneFq2{lanes[2], lanes[3]}, LaneFq2{lanes[4], lanes[5]}, *lines);
      const Mask inside = lines->dx.zeroMask() & lines->dy.zeroMask() & (Mask)~lines->z.zeroMask();

      LanePoints a = LanePoints::times(lanes[0], lanes[1], rho), c = LanePoints::times(lanes[6], lanes[7], rho);
      MillerPoint<LaneFq2> pair{a.x * a.z, a.y, a.z.sqr() * a.z, lines.get()};
      Fq12<LaneFq2> f = millerLoop(&pair, 1);
      const LaneFq2* parts[6] = {&f.c0.c0, &f.c0.c1, &f.c0.c2, &f.c1.c0, &f.c1.c1, &f.c1.c2};
      Fq out[16][LANES];
      for (int k = 0; k < 6; k++) {
        storeLanes(parts[k]->c0, out[2 * k]);
        storeLanes(parts[k]->c1, out[2 * k + 1]);
      }
      LaneFq zz = c.z.sqr();
      const LaneFq point[4] = {c.x, c.y, zz, zz * c.z};
      for (int k = 0; k < 4; k++) storeLanes(point[k], out[12 + k]);
      for (int k = 0; k < LANES && first + k < n; k++) {
        if (!(inside >> k & 1)) wellFormed[first + k] = 0;
        if (!wellFormed[first + k]) continue;
        auto part = [&](int j) { return Fq2{out[2 * j][k], out[2 * j + 1][k]}; };
        terms[first + k] = {{{part(0), part(1), part(2)}, {part(3), part(4), part(5)}},
                            {out[12][k], out[13][k], out[14][k], out[15][k]},
                            rho[k].value()};
      }
    }

    // Whether the combination of members from…to − 1 holds.
    bool holds(size_t from, size_t to) const {
      Gt product = Gt::one();
      G1 c = G1::infinity();
      Fr rhos = Fr::zero();
      std::vector<Fr> sums(key.publics_ + 1, Fr::zero());
      for (size_t m = from; m < to; m++) {
        const Term& term = terms[members[m]];
        product = m == from ? term.miller : product * term.miller;
        c += term.c;
        rhos += term.rho;
        for (size_t k = 0; k < key.publics_; k++) {
          Fr value;
          Fr::read(publics.data + 32 * (members[m] * key.publics_ + k), value);
          sums[k + 1] += term.rho * value;
        }
      }
      sums[0] = rhos;
      std::vector<Limbs> scalars(sums.size());
      for (size_t k = 0; k < sums.size(); k++) scalars[k] = integer(sums[k]);
      Limbs minus = integer(-rhos);
      G1 points[3] = {key.ic_.combine(scalars.data()), c, key.alpha_.combine(&minus)};
      const std::vector<UnitLine>* lines[3] = {&key.gamma_, &key.delta_, &key.beta_};
      UnitMillerPoint unit[3];
      size_t count = unitPoints(points, lines, 3, unit);
      return finalExponentiation(product * millerLoop<Fq2>(nullptr, 0, unit, count)) == Gt::one();
    }

    void accept(size_t from, size_t to) {
      for (size_t m = from; m < to; m++) verdicts[members[m]] = 1;
    }

    // The combination of from…to − 1 does not hold: finds the members that do not. Halves are checked on the terms that
    // were made once; a half whose sibling holds must itself fail.
    void search(size_t from, size_t to) {
      if (to - from == 1) return;
      size_t middle = from + (to - from) / 2;
      bool left = holds(from, middle);
      if (left) {
        accept(from, middle);
      } else {
        search(from, middle);
      }
      if (!left && holds(middle, to)) {
        accept(middle, to);
      } else {
        search(middle, to);
      }
    }
  };

  size_t publics_;
  FixedPoints alpha_;
  std::vector<UnitLine> beta_, gamma_, delta_;  // of β, −γ, −δ
  FixedPoints ic_;
  Sha256::Digest digest_;
  Gt alphaBeta_;  // e(α, β)

  static void checkLength(size_t got, size_t wanted, const char* what) {
    if (got != wanted) throw Failure(Code::InputInvalid, std::string("wrong number of bytes for ") + what);
  }

  static size_t countPublics(Bytes key) {
    constexpr size_t fixed = 64 + 3 * 128 + 64;
    if (key.size < fixed || (key.size - fixed) % 64 != 0) {
      throw Failure(Code::KeyMalformed, "the verifying key has a wrong length");
    }
    return (key.size - fixed) / 64;
  }

  // A point that is canonical, on the curve and not at infinity. G1 has prime order: there nothing is left to check.
  template <class F>
  static Point<F> point(const uint8_t* bytes, Code code, const char* what) {
    Point<F> p = readPoint<F>(bytes, code, what);
    if (p.isInfinity()) throw Failure(code, std::string(what) + " is the point at infinity");
    return p;
  }

  static std::vector<UnitLine> fixedLines(const uint8_t* bytes, const char* what, bool negate) {
    G2 q = point<Fq2>(bytes, Code::KeyMalformed, what);
    auto lines = std::make_unique<Lines<Fq2>>();
    ateLinesOf(q.x, negate ? -q.y : q.y, *lines);
    if (!inG2(*lines)) throw Failure(Code::KeyMalformed, std::string(what) + " is not in the group of order r");
    return unitLines(*lines);
  }

  static std::vector<G1> inputPoints(Bytes key, size_t publics) {
    std::vector<G1> out;
    for (size_t i = 0; i <= publics; i++) out.push_back(point<Fq>(key.data + 448 + 64 * i, Code::KeyMalformed, "IC"));
    return out;
  }

  static bool signal(const uint8_t* bytes, Limbs& out) {
    memcpy(out.l, bytes, 32);
    return Fr::fromLimbs(out).isReduced();
  }

  static Limbs integer(const Fr& a) {
    Fr value = a.fromMontgomery();
    return {{value.l[0], value.l[1], value.l[2], value.l[3]}};
  }

  static UnitMillerPoint unitPoint(const G1& p, const std::vector<UnitLine>& lines) {
    UnitMillerPoint out;
    const std::vector<UnitLine>* all = &lines;
    unitPoints(&p, &all, 1, &out);
    return out;
  }

  // Of those of n ≤ 3 points that are not at infinity (their pairing is 1); returns how many.
  static size_t unitPoints(const G1* points, const std::vector<UnitLine>* const* lines, size_t n,
                           UnitMillerPoint* out) {
    Fq inverse[6];
    size_t count = 0;
    // x/y = X·ZZZ/(Y·ZZ), 1/y = ZZZ/Y
    for (size_t i = 0; i < n; i++) {
      if (points[i].isInfinity()) continue;
      inverse[count++] = points[i].y * points[i].zz;
    }
    invertAll(inverse, count);
    count = 0;
    for (size_t i = 0; i < n; i++) {
      const G1& p = points[i];
      if (p.isInfinity()) continue;
      Fq scale = inverse[count] * p.zzz;
      out[count++] = {p.x * scale, scale * p.zz, lines[i]->data()};
    }
    return count;
  }
};

}  // namespace ENGINE_NS
}  // namespace anchorproof
