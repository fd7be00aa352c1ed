// Points of BN254's G1 (over Fq) and G2 (over Fq²): y² = x³ + b.
//
// Affine points lie in arrays, in the lanes' stored form (lanes.h), 64-byte aligned so that a G1 point is one register
// of eight words. Point is the working form for the few additions that do not come in batches: extended Jacobian
// coordinates (X/ZZ, Y/ZZZ), "XYZZ" of the Explicit-Formulas Database (add-2008-s, madd-2008-s, dbl-2008-s-1).
#pragma once

#include "lanes.h"

namespace anchorproof {
namespace ENGINE_NS {

template <class F>
struct LanesOf;
template <>
struct LanesOf<Fq> {
  using type = VecFq;
};
template <>
struct LanesOf<Fq2> {
  using type = VecFq2;
};

inline Fq& lastPart(Fq& a) { return a; }
inline const Fq& lastPart(const Fq& a) { return a; }
inline Fq& lastPart(Fq2& a) { return a.c0; }
inline const Fq& lastPart(const Fq2& a) { return a.c0; }

template <class F>
struct CurveB;
template <>
struct CurveB<Fq> {
  static Fq get() { return Fq::fromInteger(3); }
};
template <>
struct CurveB<Fq2> {
  // 3 / (9 + u)
  static Fq2 get() {
    static const Fq2 b = Fq2{Fq::fromInteger(3), Fq::zero()} * Fq2{Fq::fromInteger(9), Fq::one()}.inverse();
    return b;
  }
};

template <class F>
struct alignas(64) Affine {
  F x, y;

  // Infinity is marked by an x that no reduced value equals: all words of its (first) coordinate are ones.
  static Affine infinity() {
    Affine p;
    memset(static_cast<void*>(&p), 0, sizeof p);
    memset(lastPart(p.x).l, 0xff, sizeof lastPart(p.x).l);
    return p;
  }
  AP_INLINE bool isInfinity() const { return lastPart(x).l[3] == ~(u64)0; }
};

template <class F>
struct Point {
  F x, y, zz, zzz;

  static Point infinity() { return {F::zero(), F::zero(), F::zero(), F::zero()}; }
  bool isInfinity() const { return zz.isZero(); }

  // From coordinates in field.h's form.
  static Point fromCoordinates(const F& x, const F& y) { return {x, y, F::one(), F::one()}; }

  static Point fromAffine(const Affine<F>& a) {
    if (a.isInfinity()) return infinity();
    using V = typename LanesOf<F>::type;
    return fromCoordinates(V::fromStored(a.x), V::fromStored(a.y));
  }

  // False for infinity.
  bool toCoordinates(F& outX, F& outY) const {
    if (isInfinity()) return false;
    F zInverse3 = zzz.inverse();
    F zInverse = zInverse3 * zz;
    outX = x * zInverse.sqr();
    outY = y * zInverse3;
    return true;
  }

  Affine<F> toAffine() const {
    using V = typename LanesOf<F>::type;
    Affine<F> out;
    if (!toCoordinates(out.x, out.y)) return Affine<F>::infinity();
    out.x = V::toStored(out.x);
    out.y = V::toStored(out.y);
    return out;
  }

  AP_NOINLINE Point dbl() const {
    if (isInfinity()) return *this;
    F u = y.dbl(), v = u.sqr(), w = u * v, s = x * v;
    F xx = x.sqr(), m = xx + xx.dbl();
    F x3 = m.sqr() - s.dbl();
    return {x3, m * (s - x3) - w * y, v * zz, w * zzz};
  }

  AP_NOINLINE Point operator+(const Point& b) const {
    const Point& a = *this;
    if (a.isInfinity()) return b;
    if (b.isInfinity()) return a;
    F u1 = a.x * b.zz, u2 = b.x * a.zz, s1 = a.y * b.zzz, s2 = b.y * a.zzz;
    F p = u2 - u1, r = s2 - s1;
    if (p.isZero()) return r.isZero() ? a.dbl() : infinity();
    F pp = p.sqr(), ppp = p * pp, q = u1 * pp;
    F x3 = r.sqr() - ppp - q.dbl();
    return {x3, r * (q - x3) - s1 * ppp, a.zz * b.zz * pp, a.zzz * b.zzz * ppp};
  }
  Point& operator+=(const Point& b) { return *this = *this + b; }
  Point negated() const { return {x, -y, zz, zzz}; }

  // scalar: an integer of four words. Always the same sequence of doublings and additions; lookups are not hidden.
  Point times(const u64 (&scalar)[4]) const {
    Point table[16];
    table[0] = infinity();
    for (int i = 1; i < 16; i++) table[i] = table[i - 1] + *this;
    Point out = infinity();
    for (int i = 63; i >= 0; i--) {
      out = out.dbl().dbl().dbl().dbl();
      out += table[scalar[i / 16] >> (4 * (i % 16)) & 15];
    }
    return out;
  }
};

using G1Affine = Affine<Fq>;
using G2Affine = Affine<Fq2>;
using G1 = Point<Fq>;
using G2 = Point<Fq2>;
static_assert(sizeof(G1Affine) == 64 && sizeof(G2Affine) == 128, "points are whole registers");

// Coordinates in field.h's form.
template <class F>
bool isOnCurve(const F& x, const F& y) {
  return y.sqr() == x.sqr() * x + CurveB<F>::get();
}

// The encoding of api.h. Throws InputInvalid for coordinates outside the field or off the curve.
template <class F>
Point<F> readPoint(const uint8_t* bytes, Code code, const char* what) {
  constexpr size_t size = sizeof(F);
  bool zero = true;
  for (size_t i = 0; i < 2 * size && zero; i++) zero = bytes[i] == 0;
  if (zero) return Point<F>::infinity();
  F x, y;
  if (!F::read(bytes, x) || !F::read(bytes + size, y)) {
    throw Failure(code, std::string(what) + " has a coordinate outside the field");
  }
  if (!isOnCurve(x, y)) throw Failure(code, std::string(what) + " is not on the curve");
  return Point<F>::fromCoordinates(x, y);
}

template <class F>
void writePoint(const Point<F>& point, uint8_t* bytes) {
  F x, y;
  if (!point.toCoordinates(x, y)) {
    memset(bytes, 0, 2 * sizeof(F));
    return;
  }
  x.write(bytes);
  y.write(bytes + sizeof(F));
}

}  // namespace ENGINE_NS
}  // namespace anchorproof
