// Points of G1 (over Fq) and G2 (over Fq2): y² = x³ + b. Affine points lie in arrays; sums are in extended Jacobian coordinates
// (X/ZZ, Y/ZZZ), "XYZZ" of the Explicit-Formulas Database: add-2008-s, madd-2008-s, dbl-2008-s-1, mdbl-2008-s-1. All cases are
// handled: infinity on either side, equal points, opposite points.
#pragma once

#include "field.h"

namespace anchorproof {
namespace cuda {

AP_HD Fq& firstPart(Fq& a) { return a; }
AP_HD const Fq& firstPart(const Fq& a) { return a; }
AP_HD Fq& firstPart(Fq2& a) { return a.c0; }
AP_HD const Fq& firstPart(const Fq2& a) { return a.c0; }

// 64 bytes in G1, 128 in G2. Infinity as native/src/curve.h marks it: all bits of the first coordinate (its first part) are ones,
// all others zero.
template <class F>
struct alignas(16) Affine {
  F x, y;

  static AP_HD Affine infinity() {
    Affine p{F::zero(), F::zero()};
    for (int i = 0; i < 8; i++) firstPart(p.x).l[i] = ~0u;
    return p;
  }
  AP_HD bool isInfinity() const { return firstPart(x).l[7] == ~0u; }
};

// The memory of native/src/curve.h's Point.
template <class F>
struct alignas(16) Point {
  F x, y, zz, zzz;

  static AP_HD Point infinity() { return {F::zero(), F::zero(), F::zero(), F::zero()}; }
  AP_HD bool isInfinity() const { return zz.isZero(); }
  AP_HD Point negated() const { return {x, -y, zz, zzz}; }

  static AP_HD Point fromAffine(const Affine<F>& a) {
    return a.isInfinity() ? infinity() : Point{a.x, a.y, F::one(), F::one()};
  }
  AP_HD Affine<F> toAffine() const {
    if (isInfinity()) return Affine<F>::infinity();
    F i3 = zzz.inverse(), i = i3 * zz;
    return {x * i.sqr(), y * i3};
  }

  AP_HD Point dbl() const {
    F u = y.dbl(), v = u.sqr(), w = u * v, s = x * v;
    F xx = x.sqr(), m = xx.dbl() + xx;
    F x3 = m.sqr() - s.dbl();
    return {x3, F::differenceOfProducts(m, s - x3, y, w), v * zz, w * zzz};
  }

  AP_HD Point operator+(const Point& b) const {
    if (isInfinity()) return b;
    if (b.isInfinity()) return *this;
    F u1 = x * b.zz, p = b.x * zz - u1, s1 = y * b.zzz, r = b.y * zzz - s1;
    if (p.isZero()) return r.isZero() ? doubleOf(*this) : infinity();
    F pp = p.sqr(), ppp = p * pp, q = u1 * pp;
    F x3 = r.sqr() - ppp - q.dbl();
    return {x3, F::differenceOfProducts(r, q - x3, s1, ppp), zz * b.zz * pp, zzz * b.zzz * ppp};
  }

  // With an affine point, or its negative.
  AP_HD Point plus(const Affine<F>& b, bool negative = false) const {
    if (b.isInfinity()) return *this;
    F by = b.y.negatedIf(negative);
    if (isInfinity()) return {b.x, by, F::one(), F::one()};
    F p = b.x * zz - x, r = by * zzz - y;
    if (p.isZero()) return r.isZero() ? doubleOf(b.x, by) : infinity();
    F pp = p.sqr(), ppp = p * pp, q = x * pp;
    F x3 = r.sqr() - ppp - q.dbl();
    return {x3, F::differenceOfProducts(r, q - x3, y, ppp), zz * pp, zzz * ppp};
  }

 private:
  // Sums of equal points are rare: calls, so that they take neither registers nor code where points are added.
  static AP_CALL Point doubleOf(Point a) { return a.dbl(); }
  static AP_CALL Point doubleOf(F x, F y) {
    F u = y.dbl(), v = u.sqr(), w = u * v, s = x * v;
    F xx = x.sqr(), m = xx.dbl() + xx;
    F x3 = m.sqr() - s.dbl();
    return {x3, F::differenceOfProducts(m, s - x3, y, w), v, w};
  }
};

// From memory that nothing writes while the kernel runs, 16 bytes at a time whatever is used of it first.
template <class T>
AP_HD T readOnly(const T* at) {
  static_assert(sizeof(T) % 16 == 0 && alignof(T) == 16, "16 bytes at a time");
#if defined(__CUDA_ARCH__)
  union {
    T value;
    uint4 parts[sizeof(T) / 16];
  } out;
  AP_UNROLL
  for (size_t i = 0; i < sizeof(T) / 16; i++) out.parts[i] = __ldg(reinterpret_cast<const uint4*>(at) + i);
  return out.value;
#else
  return *at;
#endif
}

static_assert(sizeof(Affine<Fq>) == 64 && sizeof(Affine<Fq2>) == 128 && sizeof(Point<Fq>) == 128, "as on the host");

}  // namespace cuda
}  // namespace anchorproof
