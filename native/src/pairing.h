// The optimal ate pairing of BN254: e(P, Q) for P in G1 and Q in G2, with x = 4965661367192848881.
//
// F. Vercauteren, "Optimal pairings" (eprint 2008/096). Towers: Fq⁶ = Fq²[v]/(v³ − ξ), Fq¹² = Fq⁶[w]/(w² − v) with
// ξ = 9 + u. G2 is on the twist y² = x³ + 3/ξ; (x, y) ↦ (x·w², y·w³) brings a point to the curve over Fq¹².
//
// Everything is a template over Fq², so that the same code runs on one pairing (Fq2) or on one a lane (LaneFq2). All of
// it handles public data and takes variable time.
#pragma once

#include "curve.h"

namespace anchorproof {
namespace ENGINE_NS {

// Lanes of Fq with the operators of Fq. Values are below 3p. Operators that are not inlined must stand outside of their
// classes, templates included: g++ 12 compiles such friends for the baseline.
struct LaneFq {
  VecFq v;

  static AP_INLINE LaneFq lift(const Fq& a) { return {VecFq::broadcast(VecFq::toStored(a))}; }
  AP_INLINE LaneFq dbl() const { return {(v + v).reduceOnce<3>()}; }
  AP_INLINE LaneFq sqr() const { return {v.sqr()}; }
  AP_INLINE Mask zeroMask() const { return v.reduced<4>().zeroMask(); }
};

AP_INLINE LaneFq operator+(const LaneFq& a, const LaneFq& b) { return {(a.v + b.v).reduceOnce<3>()}; }
AP_INLINE LaneFq operator-(const LaneFq& a, const LaneFq& b) { return {a.v.minus<3>(b.v).reduceOnce<3>()}; }
AP_INLINE LaneFq operator-(const LaneFq& a) { return {VecFq::zero().minus<3>(a.v).reduceOnce<3>()}; }
AP_INLINE LaneFq operator*(const LaneFq& a, const LaneFq& b) { return {a.v * b.v}; }
AP_INLINE LaneFq select(Mask mask, const LaneFq& a, const LaneFq& b) { return {select(mask, a.v, b.v)}; }

struct LaneFq2 {
  LaneFq c0, c1;

  static LaneFq2 lift(const Fq2& a) { return {LaneFq::lift(a.c0), LaneFq::lift(a.c1)}; }
  AP_INLINE LaneFq2 dbl() const { return {c0.dbl(), c1.dbl()}; }
  AP_INLINE LaneFq2 conjugate() const { return {c0, -c1}; }
  AP_INLINE Mask zeroMask() const { return c0.zeroMask() & c1.zeroMask(); }
  inline LaneFq2 sqr() const {
    VecFq product = c0.v * c1.v;  // below 1.11p
    return {{(c0.v + c1.v) * c0.v.minus<3>(c1.v)}, {product + product}};
  }
};

AP_INLINE LaneFq2 operator+(const LaneFq2& a, const LaneFq2& b) { return {a.c0 + b.c0, a.c1 + b.c1}; }
AP_INLINE LaneFq2 operator-(const LaneFq2& a, const LaneFq2& b) { return {a.c0 - b.c0, a.c1 - b.c1}; }
AP_INLINE LaneFq2 operator-(const LaneFq2& a) { return {-a.c0, -a.c1}; }
AP_INLINE LaneFq2 operator*(const LaneFq2& a, const LaneFq& b) { return {a.c0 * b, a.c1 * b}; }
inline LaneFq2 operator*(const LaneFq2& a, const LaneFq2& b) {
  VecFq v0 = a.c0.v * b.c0.v, v1 = a.c1.v * b.c1.v;  // below 1.11p
  VecFq s = (a.c0.v + a.c1.v) * (b.c0.v + b.c1.v);   // below 1.43p
  return {{v0.minus<2>(v1).reduceOnce<3>()}, {rawSub(rawSub(s, v0), v1).rawPlus<3>().carry().reduceOnce<3>()}};
}

template <class F2>
inline F2 liftTo(const Fq2& a) {
  if constexpr (std::is_same_v<F2, Fq2>) {
    return a;
  } else {
    return F2::lift(a);
  }
}

// (9 + u)·a
template <class F2>
AP_INLINE F2 timesXi(const F2& a) {
  auto x = a.c0.dbl().dbl().dbl() + a.c0, y = a.c1.dbl().dbl().dbl() + a.c1;
  return {x - a.c1, y + a.c0};
}

// c0 + c1·v + c2·v²
template <class F2>
struct Fq6 {
  F2 c0, c1, c2;

  static Fq6 zero() { return {liftTo<F2>(Fq2::zero()), liftTo<F2>(Fq2::zero()), liftTo<F2>(Fq2::zero())}; }
  static Fq6 one() { return {liftTo<F2>(Fq2::one()), liftTo<F2>(Fq2::zero()), liftTo<F2>(Fq2::zero())}; }
  friend AP_INLINE bool operator==(const Fq6& a, const Fq6& b) { return a.c0 == b.c0 && a.c1 == b.c1 && a.c2 == b.c2; }
  friend AP_INLINE Fq6 operator+(const Fq6& a, const Fq6& b) { return {a.c0 + b.c0, a.c1 + b.c1, a.c2 + b.c2}; }
  friend AP_INLINE Fq6 operator-(const Fq6& a, const Fq6& b) { return {a.c0 - b.c0, a.c1 - b.c1, a.c2 - b.c2}; }
  friend AP_INLINE Fq6 operator-(const Fq6& a) { return {-a.c0, -a.c1, -a.c2}; }
  // (b0 + b1·v)·*this
  inline Fq6 timesSparse(const F2& b0, const F2& b1) const {
    F2 t0 = c0 * b0, t1 = c1 * b1;
    return {t0 + timesXi(c2 * b1), (c0 + c1) * (b0 + b1) - t0 - t1, t1 + c2 * b0};
  }
  friend AP_INLINE Fq6 operator*(const Fq6& a, const F2& b) { return {a.c0 * b, a.c1 * b, a.c2 * b}; }
  AP_INLINE Fq6 timesV() const { return {timesXi(c2), c0, c1}; }
  Fq6 inverse() const {
    F2 t0 = c0.sqr() - timesXi(c1 * c2), t1 = timesXi(c2.sqr()) - c0 * c1, t2 = c1.sqr() - c0 * c2;
    F2 norm = (c0 * t0 + timesXi(c2 * t1 + c1 * t2)).inverse();
    return {t0 * norm, t1 * norm, t2 * norm};
  }
};

template <class F2>
inline Fq6<F2> operator*(const Fq6<F2>& a, const Fq6<F2>& b) {
  F2 t0 = a.c0 * b.c0, t1 = a.c1 * b.c1, t2 = a.c2 * b.c2;
  F2 m12 = (a.c1 + a.c2) * (b.c1 + b.c2) - t1 - t2;
  F2 m01 = (a.c0 + a.c1) * (b.c0 + b.c1) - t0 - t1;
  F2 m02 = (a.c0 + a.c2) * (b.c0 + b.c2) - t0 - t2;
  return {t0 + timesXi(m12), m01 + timesXi(t2), m02 + t1};
}

// c0 + c1·w
template <class F2>
struct Fq12 {
  Fq6<F2> c0, c1;

  static Fq12 one() { return {Fq6<F2>::one(), Fq6<F2>::zero()}; }
  friend AP_INLINE bool operator==(const Fq12& a, const Fq12& b) { return a.c0 == b.c0 && a.c1 == b.c1; }
  friend AP_INLINE bool operator!=(const Fq12& a, const Fq12& b) { return !(a == b); }
  inline Fq12 sqr() const {
    Fq6<F2> t = c0 * c1;
    return {(c0 + c1) * (c0 + c1.timesV()) - t - t.timesV(), t + t};
  }
  // Also the inverse, for an element of the cyclotomic subgroup.
  Fq12 conjugate() const { return {c0, -c1}; }
  Fq12 inverse() const {
    Fq6<F2> norm = (c0 * c0 - (c1 * c1).timesV()).inverse();
    return {c0 * norm, -(c1 * norm)};
  }

  // (a + b·w + c·w³)·*this
  inline void timesLine(const F2& a, const F2& b, const F2& c) {
    Fq6<F2> t0 = c0 * a, t1 = c1.timesSparse(b, c);
    c1 = (c0 + c1).timesSparse(a + b, c) - t0 - t1;
    c0 = t0 + t1.timesV();
  }
  // (1 + b·w + c·w³)·*this
  inline void timesUnitLine(const F2& b, const F2& c) {
    Fq6<F2> t = c1.timesSparse(b, c);
    c1 = c1 + c0.timesSparse(b, c);
    c0 = c0 + t.timesV();
  }
  // Square of an element of the cyclotomic subgroup (order dividing q⁴ − q² + 1). R. Granger, M. Scott, "Faster
  // squaring in the cyclotomic subgroup of sixth degree extensions" (eprint 2009/565), section 3.2.
  inline Fq12 cyclotomicSqr() const {
    F2 s00 = c0.c0.sqr(), s11 = c1.c1.sqr(), m0 = (c0.c0 + c1.c1).sqr() - s00 - s11;
    F2 s02 = c0.c2.sqr(), s10 = c1.c0.sqr(), m1 = (c0.c2 + c1.c0).sqr() - s02 - s10;
    F2 s01 = c0.c1.sqr(), s12 = c1.c2.sqr(), m2 = timesXi((c0.c1 + c1.c2).sqr() - s01 - s12);
    auto even = [](const F2& square, const F2& a) { return (square - a).dbl() + square; };  // 3·square − 2·a
    auto odd = [](const F2& square, const F2& a) { return (square + a).dbl() + square; };
    return {{even(timesXi(s11) + s00, c0.c0), even(timesXi(s02) + s10, c0.c1), even(timesXi(s12) + s01, c0.c2)},
            {odd(m2, c1.c0), odd(m0, c1.c1), odd(m1, c1.c2)}};
  }
};

template <class F2>
inline Fq12<F2> operator*(const Fq12<F2>& a, const Fq12<F2>& b) {
  Fq6<F2> t0 = a.c0 * b.c0, t1 = a.c1 * b.c1;
  return {t0 + t1.timesV(), (a.c0 + a.c1) * (b.c0 + b.c1) - t0 - t1};
}

using Gt = Fq12<Fq2>;

// Non-adjacent form of width `width`, lowest digit first: digits are zero or odd, below 2^(width−1).
struct SignedDigits {
  int8_t digit[72];
  int count;
};

constexpr SignedDigits signedDigits(u128 value, int width) {
  SignedDigits out{};
  while (value != 0) {
    int digit = 0;
    if (value & 1) {
      digit = (int)(value & (((u128)1 << width) - 1));
      if (digit >= 1 << (width - 1)) digit -= 1 << width;
      value -= (u128)(__int128)digit;
    }
    out.digit[out.count++] = (int8_t)digit;
    value >>= 1;
  }
  return out;
}

constexpr u64 CURVE_X = 4965661367192848881;

// 6x + 2, where the leading 1, 0, −1 of the non-adjacent form is written 1, 1: one doubling less.
constexpr SignedDigits ateDigits() {
  SignedDigits out = signedDigits((u128)6 * CURVE_X + 2, 2);
  out.count--;
  out.digit[out.count - 1] = 1;
  out.digit[out.count - 2] = 1;
  return out;
}
constexpr SignedDigits ATE = ateDigits();
static_assert(ATE.count == 65, "the non-adjacent form of 6x + 2 starts with 1, 0, -1");

constexpr int ateLines() {
  int lines = 2;
  for (int i = ATE.count - 2; i >= 0; i--) lines += ATE.digit[i] != 0 ? 2 : 1;
  return lines;
}
constexpr int ATE_LINES = ateLines();

struct Frobenius {
  Fq2 gamma1[6];   // ξ^(k(q−1)/6): w^k to the power q is gamma1[k]·w^k
  Fq gamma2[6];    // the same for q²; these lie in Fq
  Fq2 gamma3[6];   // for q³

  Frobenius() {
    Fq2 xi{Fq::fromInteger(9), Fq::one()};
    // (q − 1)/6
    u64 exponent[4];
    u128 rest = 0;
    for (int i = 3; i >= 0; i--) {
      rest = rest << 64 | (Fq::P[i] - (i == 0));
      exponent[i] = (u64)(rest / 6);
      rest %= 6;
    }
    Fq2 root = Fq2::one();
    for (int i = 255; i >= 0; i--) {
      root = root.sqr();
      if (exponent[i / 64] >> (i % 64) & 1) root *= xi;
    }
    gamma1[0] = Fq2::one();
    for (int k = 1; k < 6; k++) gamma1[k] = gamma1[k - 1] * root;
    for (int k = 0; k < 6; k++) {
      gamma2[k] = (gamma1[k] * gamma1[k].conjugate()).c0;
      gamma3[k] = gamma1[k] * gamma2[k];
    }
  }
};

inline const Frobenius& frobenius() {
  static const Frobenius constants;
  return constants;
}

// a·yP + b·xP·w + c·w³ is the value at P of a line through points of the twist, up to a factor from a proper subfield,
// which the final exponentiation removes.
template <class F2>
struct Line {
  F2 a, b, c;
};

// The lines of a fixed Q scaled to a = 1.
struct UnitLine {
  Fq2 b, c;
};

template <class F2>
struct Lines {
  Line<F2> line[ATE_LINES];
  // Q is in G2 when dx and dy are zero and z is not.
  F2 dx, dy, z;
};

// Lines of the Miller loop for a point Q of the twist's curve other than infinity. Formulas: D. F. Aranha et al.,
// "Faster explicit formulas for computing pairings over ordinary curves" (eprint 2010/526), section 4, homogeneous
// coordinates, here without the halvings.
//
// Membership comes with it. The loop ends at T = [6x+2]Q + ψ(Q) − ψ²(Q), where ψ is the twisted Frobenius, and Q is in
// G2 exactly when T = −ψ³(Q):
// - ψ acts on G2 as q, and r divides 6x + 2 + q − q² + q³.
// - Let f = 6x + 2 + X − X² + X³ and χ = X² − tX + q, which ψ satisfies on the whole twist. f(ψ)Q = 0 gives
//   Res(f, χ)·Q = 0. Res(f, χ) = r·c with c prime to the twist's order r·h (and h is prime to r), so r·Q = 0. The test
//   "the resultant" computes both.
// - The formulas are incomplete where a sum meets T = ±Q; then z becomes 0 and stays 0, which is refused. A point of G2
//   meets no such case: the scalars on the way are below r and differ from ±1, ±q and ±q².
template <class F2>
void ateLinesOf(const F2& x, const F2& y, Lines<F2>& out) {
  const Frobenius& constants = frobenius();
  const F2 b = liftTo<F2>(CurveB<Fq2>::get());
  F2 X = x, Y = y, Z = liftTo<F2>(Fq2::one());
  Line<F2>* line = out.line;

  auto twice = [&] {
    F2 A = X * Y, B = Y.sqr(), C = Z.sqr(), J = X.sqr();
    F2 E = b * (C.dbl() + C), F = E.dbl() + E, G = B + F, H = (Y + Z).sqr() - B - C, E2 = E.sqr();
    *line++ = {-H, J.dbl() + J, E - B};
    X = (A * (B - F)).dbl();
    Y = G.sqr() - (E2.dbl() + E2).dbl().dbl();
    Z = (B * H).dbl().dbl();
  };
  auto plus = [&](const F2& qx, const F2& qy) {
    F2 theta = Y - qy * Z, lambda = X - qx * Z;
    F2 C = theta.sqr(), D = lambda.sqr(), E = lambda * D, F = Z * C, G = X * D, H = E + F - G.dbl();
    *line++ = {lambda, -theta, theta * qx - lambda * qy};
    X = lambda * H;
    Y = theta * (G - H) - E * Y;
    Z = Z * E;
  };

  const F2 minusY = -y;
  for (int i = ATE.count - 2; i >= 0; i--) {
    twice();
    if (ATE.digit[i] != 0) plus(x, ATE.digit[i] > 0 ? y : minusY);
  }
  auto psi = [&](F2& px, F2& py) {
    px = px.conjugate() * liftTo<F2>(constants.gamma1[2]);
    py = py.conjugate() * liftTo<F2>(constants.gamma1[3]);
  };
  F2 qx = x, qy = y;
  psi(qx, qy);
  plus(qx, qy);
  psi(qx, qy);
  plus(qx, -qy);
  psi(qx, qy);
  out.dx = X - qx * Z;
  out.dy = Y + qy * Z;
  out.z = Z;
}

inline bool inG2(const Lines<Fq2>& lines) { return lines.dx.isZero() && lines.dy.isZero() && !lines.z.isZero(); }

// A point (X/Z², Y/Z³) of G1 other than infinity, for lines that are not scaled: x = X·Z, y = Y, z = Z³.
template <class F2>
struct MillerPoint {
  decltype(F2::c0) x, y, z;
  const Lines<F2>* lines;
};

// The same for scaled lines: xOverY = x/y, inverseY = 1/y. y is never 0: G1 has odd order.
struct UnitMillerPoint {
  Fq xOverY, inverseY;
  const UnitLine* lines;
};

// Product of the Miller values of all pairs; e(P₁, Q₁)·…·e(Pₙ, Qₙ) is its final exponentiation.
template <class F2>
Fq12<F2> millerLoop(const MillerPoint<F2>* points, size_t n, const UnitMillerPoint* unit = nullptr, size_t m = 0) {
  Fq12<F2> f = Fq12<F2>::one();
  int at = 0;
  auto evaluate = [&] {
    for (size_t k = 0; k < n; k++) {
      const Line<F2>& line = points[k].lines->line[at];
      f.timesLine(line.a * points[k].y, line.b * points[k].x, line.c * points[k].z);
    }
    if constexpr (std::is_same_v<F2, Fq2>) {
      for (size_t k = 0; k < m; k++) {
        const UnitLine& line = unit[k].lines[at];
        f.timesUnitLine(line.b * unit[k].xOverY, line.c * unit[k].inverseY);
      }
    }
    at++;
  };
  for (int i = ATE.count - 2; i >= 0; i--) {
    if (at > 0) f = f.sqr();
    evaluate();
    if (ATE.digit[i] != 0) evaluate();
  }
  evaluate();
  evaluate();
  return f;
}

// In place: each a[i] ≠ 0 to its inverse. T: Fq or Fq2.
template <class T>
void invertAll(T* a, size_t n) {
  if (n == 0) return;
  std::vector<T> before(n);
  T product = a[0];
  for (size_t i = 1; i < n; i++) {
    before[i] = product;
    product *= a[i];
  }
  T inverse = product.inverse();
  for (size_t i = n - 1; i > 0; i--) {
    T next = inverse * a[i];
    a[i] = inverse * before[i];
    inverse = next;
  }
  a[0] = inverse;
}

// a is never 0: it is a multiple of the y or of a difference of x of points that are not at infinity.
inline std::vector<UnitLine> unitLines(const Lines<Fq2>& lines) {
  std::vector<Fq2> scale(ATE_LINES);
  for (int i = 0; i < ATE_LINES; i++) scale[i] = lines.line[i].a;
  invertAll(scale.data(), scale.size());
  std::vector<UnitLine> out(ATE_LINES);
  for (int i = 0; i < ATE_LINES; i++) out[i] = {lines.line[i].b * scale[i], lines.line[i].c * scale[i]};
  return out;
}

// f to the power q^power, power 1, 2 or 3
inline Gt frobeniusMap(const Gt& f, int power) {
  const Frobenius& constants = frobenius();
  auto map = [&](const Fq2& a, int k) {
    if (power == 2) return a * constants.gamma2[k];
    return a.conjugate() * (power == 1 ? constants.gamma1 : constants.gamma3)[k];
  };
  return {{map(f.c0.c0, 0), map(f.c0.c1, 2), map(f.c0.c2, 4)}, {map(f.c1.c0, 1), map(f.c1.c1, 3), map(f.c1.c2, 5)}};
}

// f^e for f in the cyclotomic subgroup, where inversion is free: signed windows of four bits.
inline Gt cyclotomicPower(const Gt& f, const SignedDigits& e) {
  Gt odd[4], square = f.cyclotomicSqr();
  odd[0] = f;
  for (int i = 1; i < 4; i++) odd[i] = odd[i - 1] * square;
  Gt out = odd[e.digit[e.count - 1] / 2];
  for (int i = e.count - 2; i >= 0; i--) {
    out = out.cyclotomicSqr();
    int digit = e.digit[i];
    if (digit > 0) out = out * odd[digit / 2];
    if (digit < 0) out = out * odd[-digit / 2].conjugate();
  }
  return out;
}

// f^((q¹² − 1)/r·k) for a fixed k prime to r. L. Fuentes-Castañeda, E. Knapp, F. Rodríguez-Henríquez, "Faster hashing
// to G2" (SAC 2011), section 5: the hard part's exponent (q⁴ − q² + 1)/r times 2x(6x² + 3x + 1) is
// 1 + 6x + 12x² + 12x³ + (4x + 6x² + 12x³)·q + (6x + 6x² + 12x³)·q² + (−1 + 4x + 6x² + 12x³)·q³.
inline Gt finalExponentiation(const Gt& f) {
  static constexpr SignedDigits x = signedDigits(CURVE_X, 4);
  Gt g = f.conjugate() * f.inverse();                     // ^(q⁶ − 1)
  g = frobeniusMap(g, 2) * g;                             // ^(q² + 1)
  Gt g2x = cyclotomicPower(g, x).cyclotomicSqr();         // 2x
  Gt g6x = g2x.cyclotomicSqr() * g2x;                     // 6x
  Gt g6x2 = cyclotomicPower(g6x, x);                      // 6x²
  Gt g12x3 = cyclotomicPower(g6x2.cyclotomicSqr(), x);    // 12x³
  Gt a = g12x3 * g6x2 * g6x;                              // 12x³ + 6x² + 6x
  Gt b = a * g2x.conjugate();                             // 12x³ + 6x² + 4x
  return a * g6x2 * g * frobeniusMap(b, 1) * frobeniusMap(a, 2) * frobeniusMap(b * g.conjugate(), 3);
}

}  // namespace ENGINE_NS
}  // namespace anchorproof
