// The fields, points and signed scalars: every operation by a kernel and by the host, on values at all borders; where the engines'
// headers compile (not under nvcc), against them too.
#if !defined(__CUDACC__)
#define ENGINE_NS reference
#include "../../src/engine_std.h"
#include "../../src/msm.h"
#endif

#include <vector>

#include "../curve.h"
#include "../device.h"
#include "../scalar.h"
#include "check.h"

namespace {

using namespace anchorproof::cuda;
using anchorproof::test::Random;

cudaStream_t stream() {
  static const Stream one;
  return one;
}

template <class T>
DeviceArray<T> uploaded(const std::vector<T>& values) {
  DeviceArray<T> out(values.size());
  CHECK_CUDA(cudaMemcpyAsync(out.get(), values.data(), out.bytes(), cudaMemcpyHostToDevice, stream()));
  return out;
}
template <class T>
std::vector<T> downloaded(const DeviceArray<T>& values) {
  std::vector<T> out(values.size());
  CHECK_CUDA(cudaMemcpyAsync(out.data(), values.get(), values.bytes(), cudaMemcpyDeviceToHost, stream()));
  CHECK_CUDA(cudaStreamSynchronize(stream()));
  return out;
}

// The values on which borrows, carries and reductions turn, and some at random. Limbs below p, as they lie in memory.
template <class Modulus>
std::vector<Fp<Modulus>> bordersOf(int random) {
  using F = Fp<Modulus>;
  constexpr Limbs p = F::PRIME, r1 = F::R1, r2 = F::R2;
  std::vector<F> out;
  auto take = [&](F v) {
    if (!v.isReduced()) return;
    for (const F& other : out) {
      if (other == v) return;
    }
    out.push_back(v);
  };
  // v − k and k − v as integers
  auto less = [](F v, F k) {
    F t;
    row::difference(t.l, v.l, k.l);
    return t;
  };
  const F prime = F::of(p), small[4] = {F::zero(), {{1, 0, 0, 0, 0, 0, 0, 0}}, {{2, 0, 0, 0, 0, 0, 0, 0}}, {{3, 0, 0, 0, 0, 0, 0, 0}}};
  F half = prime;
  for (int i = 0; i < 8; i++) half.l[i] = p.l[i] >> 1 | (i < 7 ? p.l[i + 1] << 31 : 0);
  for (const F& k : small) {
    take(k);
    take(less(prime, k));
    take(less(half, k));
    take(half.plusUnreduced(k));
    for (const Limbs& r : {r1, r2}) {
      take(less(F::of(r), k));
      take(F::of(r).plusUnreduced(k));
      take(less(prime, F::of(r)).plusUnreduced(k));
    }
  }
  for (int bit : {1, 15, 31, 32, 33, 63, 64, 95, 96, 127, 128, 159, 160, 191, 192, 223, 224, 252, 253}) {
    F v = F::zero();
    v.l[bit / 32] = 1u << (bit % 32);
    take(v);
    take(less(v, small[1]));
    take(less(prime, v));
  }
  for (int i = 0; i < 8; i++) {
    F alone = F::zero(), without = less(prime, small[1]), with = without;
    alone.l[i] = i < 7 ? ~0u : p.l[7] - 1;
    without.l[i] = 0;
    with.l[i] = ~0u;
    with.l[7] = std::min(with.l[7], p.l[7] - 1);
    take(alone);
    take(without);
    take(with);
  }
  F ones = F::zero();  // …ffff below p
  for (int i = 0; i < 7; i++) ones.l[i] = ~0u;
  ones.l[7] = p.l[7] - 1;
  take(ones);
  Random source(Modulus::P[0]);
  for (size_t size = out.size() + random; out.size() < size;) {
    static constexpr uint32_t WORDS[] = {0, 1, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff};
    F v;
    const bool borders = source.oneIn(2);
    for (uint32_t& word : v.l) word = borders && !source.oneIn(4) ? WORDS[source.below(6)] : source.word();
    v.l[7] &= 0x3fffffff;
    take(v);
  }
  return out;
}

// What is tested of one pair: computed here and there.
template <class F>
struct Results {
  F product, square, sum, difference, negative, twice, chosen;
  uint32_t flags[4];
};

template <class F>
AP_HD Results<F> resultsOf(const F& a, const F& b) {
  Results<F> out;
  out.product = a * b;
  out.square = a.sqr();
  out.sum = a + b;
  out.difference = a - b;
  out.negative = -a;
  out.twice = a.dbl();
  out.chosen = F::differenceOfProducts(a.negatedIf(b.isZero()), b, b, F::selected(a == b, b, a));
  out.flags[0] = a.isZero();
  out.flags[1] = a == b;
  out.flags[2] = a != b;
  out.flags[3] = 0;
  return out;
}

// Operands that are not reduced, as far as the bounds go; and what is for one field only.
template <class F>
struct MoreResults {
  F ofSums, ofDifferences, twoProducts, fourProducts, from, to;
  SignedScalar scalar;
  uint32_t flags[4];
};

template <class F>
AP_HD MoreResults<F> moreResultsOf(const F& a, const F& b) {
  MoreResults<F> out;
  const F sum = a.plusUnreduced(b), difference = a.minusUnreduced(b), na = a.negatedUnreduced(), nb = b.negatedUnreduced();
  out.ofSums = sum * sum;
  out.ofDifferences = sum * difference;
  out.twoProducts = F::sumOfProducts(a, b, na, nb);
  out.fourProducts = F::sumOfProducts(na, na, a, b, nb, na, nb, nb);
  out.from = a.fromMontgomery();
  out.to = a.toMontgomery();
  Fr integer;
  for (int i = 0; i < 8; i++) integer.l[i] = a.l[i];
  out.scalar = toSigned(integer);
  out.flags[0] = a.isReduced();
  out.flags[1] = sum.isReduced();
  out.flags[2] = na.isReduced();
  out.flags[3] = 0;
  return out;
}

template <class F>
AP_KERNEL(128, 1) resultsKernel(const F* a, const F* b, Results<F>* out, uint64_t n) {
  const uint64_t i = (uint64_t)blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) out[i] = resultsOf(readOnly(a + i), readOnly(b + i));
}
template <class F>
AP_KERNEL(128, 1) moreResultsKernel(const F* a, const F* b, MoreResults<F>* out, uint64_t n) {
  const uint64_t i = (uint64_t)blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) out[i] = moreResultsOf(a[i], b[i]);
}
template <class F>
AP_KERNEL(128, 1) inverseKernel(const F* a, F* out, uint64_t n) {
  const uint64_t i = (uint64_t)blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) out[i] = a[i].inverse();
}

template <class T>
void compare(const std::vector<T>& card, const std::vector<T>& host) {
  for (size_t i = 0; i < host.size(); i++) {
    const auto *a = reinterpret_cast<const uint32_t*>(&card[i]), *b = reinterpret_cast<const uint32_t*>(&host[i]);
    for (size_t k = 0; k < sizeof(T) / 4; k++) CHECK(a[k] == b[k], "element %zu, word %zu", i, k);
  }
}

template <class F>
void onBoth(const std::vector<F>& a, const std::vector<F>& b, std::vector<Results<F>>& host) {
  const uint64_t n = a.size();
  DeviceArray<F> da = uploaded(a), db = uploaded(b);
  DeviceArray<Results<F>> out(n);
  const F *pa = da.get(), *pb = db.get();
  Results<F>* po = out.get();
  AP_LAUNCH(resultsKernel<F>, blocksFor(n, 128), 128, 0, stream(), pa, pb, po, n);
  checkLaunch("resultsKernel");
  host.resize(n);
  for (uint64_t i = 0; i < n; i++) host[i] = resultsOf(a[i], b[i]);
  compare(downloaded(out), host);
}
template <class F>
void moreOnBoth(const std::vector<F>& a, const std::vector<F>& b, std::vector<MoreResults<F>>& host) {
  const uint64_t n = a.size();
  DeviceArray<F> da = uploaded(a), db = uploaded(b);
  DeviceArray<MoreResults<F>> out(n);
  const F *pa = da.get(), *pb = db.get();
  MoreResults<F>* po = out.get();
  AP_LAUNCH(moreResultsKernel<F>, blocksFor(n, 128), 128, 0, stream(), pa, pb, po, n);
  checkLaunch("moreResultsKernel");
  host.resize(n);
  for (uint64_t i = 0; i < n; i++) host[i] = moreResultsOf(a[i], b[i]);
  compare(downloaded(out), host);
}
template <class F>
std::vector<F> inversesOnBoth(const std::vector<F>& a) {
  const uint64_t n = a.size();
  DeviceArray<F> da = uploaded(a), out(n);
  const F* pa = da.get();
  F* po = out.get();
  AP_LAUNCH(inverseKernel<F>, blocksFor(n, 128), 128, 0, stream(), pa, po, n);
  checkLaunch("inverseKernel");
  std::vector<F> host(n);
  for (uint64_t i = 0; i < n; i++) {
    host[i] = a[i].inverse();
    CHECK(a[i].isZero() ? host[i].isZero() : a[i] * host[i] == F::one(), "%llu", (unsigned long long)i);
  }
  compare(downloaded(out), host);
  return host;
}

#if !defined(__CUDACC__)
namespace reference = anchorproof::reference;
template <class F>
struct EngineOf;
template <>
struct EngineOf<Fq> {
  using type = reference::Fq;
};
template <>
struct EngineOf<Fr> {
  using type = reference::Fr;
};
template <>
struct EngineOf<Fq2> {
  using type = reference::Fq2;
};
template <class F>
typename EngineOf<F>::type engine(const F& a) {
  typename EngineOf<F>::type out;
  static_assert(sizeof out == sizeof a, "one lane");
  memcpy(static_cast<void*>(&out), &a, sizeof out);
  return out;
}
template <class F>
bool same(const F& a, const typename EngineOf<F>::type& b) {
  return memcmp(&a, &b, sizeof a) == 0;
}
#endif

template <class Modulus>
void primeField() {
  using F = Fp<Modulus>;
  const std::vector<F> values = bordersOf<Modulus>(40);
  std::vector<F> a, b;
  for (const F& x : values) {
    for (const F& y : values) {
      a.push_back(x);
      b.push_back(y);
    }
  }
  std::vector<Results<F>> results;
  std::vector<MoreResults<F>> more;
  onBoth(a, b, results);
  moreOnBoth(a, b, more);
  // A cofactor below −p, which takes p twice, comes with one operand of three hundred.
  const std::vector<F> many = bordersOf<Modulus>(2000), inverses = inversesOnBoth(many);
  for (size_t i = 0; i < a.size(); i++) {
    const F &x = a[i], &y = b[i];
    const Results<F>& r = results[i];
    const MoreResults<F>& m = more[i];
    const int at = (int)i;
    CHECK(r.product.isReduced() && r.square.isReduced() && r.sum.isReduced() && r.difference.isReduced() && r.negative.isReduced(), "%d", at);
    CHECK(m.flags[0] && m.from.isReduced() && m.to.isReduced() && m.ofSums.isReduced() && m.fourProducts.isReduced(), "%d", at);
    CHECK((m.flags[1] != 0) == (r.sum == x.plusUnreduced(y)), "%d", at);
    CHECK((m.flags[2] != 0) == !x.isZero(), "%d", at);
    CHECK((r.flags[0] != 0) == (i / values.size() == 0) && r.flags[1] == (x == y) && r.flags[2] != r.flags[1], "%d", at);
    CHECK(r.product == y * x && r.sum == y + x && r.difference == -(y - x) && r.twice == r.sum + r.difference, "%d", at);
    CHECK(x.isZero() ? r.negative.isZero() : r.negative == x.negatedUnreduced(), "%d", at);
    CHECK(r.square == x * x && m.ofSums == r.square + r.product.dbl() + y.sqr() && m.ofDifferences == r.square - y.sqr(), "%d", at);
    CHECK(m.twoProducts == r.product.dbl() && m.fourProducts == m.ofSums, "%d", at);
    CHECK(r.chosen == (x == y ? y.isZero() ? F::zero() : r.product - y * y : y.isZero() ? F::zero() : r.product - y * x), "%d", at);
    CHECK(m.from.toMontgomery() == x && m.to.fromMontgomery() == x && m.from == x * (F{{1, 0, 0, 0, 0, 0, 0, 0}}), "%d", at);
    const F& z = values[(i * 7 + 3) % values.size()];
    CHECK((x + y) * z == x * z + y * z && (x * y) * z == x * (y * z) && (x + y) + z == x + (y + z), "%d", at);
#if !defined(__CUDACC__)
    const auto ex = engine(x), ey = engine(y);
    CHECK(same(r.product, ex * ey), "%d", at);
    CHECK(same(r.square, ex.sqr()), "%d", at);
    CHECK(same(r.sum, ex + ey), "%d", at);
    CHECK(same(r.difference, ex - ey), "%d", at);
    CHECK(same(r.negative, -ex), "%d", at);
    CHECK(same(m.from, ex.fromMontgomery()), "%d", at);
    CHECK(same(m.to, ex.toMontgomery()), "%d", at);
    if (i < many.size()) CHECK(same(inverses[i], engine(many[i]).inverse()), "%d", at);
#endif
  }
#if !defined(__CUDACC__)
  CHECK(same(F::one(), EngineOf<F>::type::one()));
  CHECK(same(F::of(F::R2), EngineOf<F>::type::fromLimbs(EngineOf<F>::type::R2)));
#endif
  // Around the modulus itself, which no operation gives back.
  F border = F::of(F::PRIME);
  CHECK(!border.isReduced());
  border.l[0]--;
  CHECK(border.isReduced() && border == -(F{{1, 0, 0, 0, 0, 0, 0, 0}}));
  border.l[0] += 2;
  CHECK(!border.isReduced());
  for (uint32_t& word : border.l) word = ~0u;
  CHECK(!border.isReduced());
}

void extension() {
  const std::vector<Fq> values = bordersOf<BaseModulus>(10);
  Random source(3);
  std::vector<Fq2> a, b;
  auto any = [&] { return values[source.below(values.size())]; };
  auto extreme = [&] { return values[source.below(4)]; };  // 0, p − 1, (p − 1) / 2, (p − 1) / 2
  for (int i = 0; i < 20000; i++) {
    const bool borders = source.oneIn(3);
    a.push_back(borders ? Fq2{extreme(), extreme()} : Fq2{any(), any()});
    b.push_back(source.oneIn(16) ? a.back() : borders ? Fq2{extreme(), extreme()} : Fq2{any(), any()});
  }
  a.push_back(Fq2::zero());
  b.push_back(Fq2::zero());
  std::vector<Results<Fq2>> results;
  onBoth(a, b, results);
  std::vector<Fq2> some(a.end() - 200, a.end());
  const std::vector<Fq2> inverses = inversesOnBoth(some);
  for (size_t i = 0; i < a.size(); i++) {
    const Fq2 &x = a[i], &y = b[i];
    const Results<Fq2>& r = results[i];
    const int at = (int)i;
    // by the definition, with the prime field's operations
    CHECK(r.product.c0 == x.c0 * y.c0 - x.c1 * y.c1 && r.product.c1 == x.c0 * y.c1 + x.c1 * y.c0, "%d", at);
    CHECK(r.square == x * x && r.difference + y == x && r.sum - x == y && (r.negative + x).isZero() && r.twice == x + x, "%d", at);
    CHECK(r.chosen == (y.isZero() ? Fq2::zero() : r.product - y * (x == y ? y : x)), "%d", at);
    CHECK(Fq2::differenceOfProducts(x, y, r.sum, r.negative) == r.product - r.sum * r.negative, "%d", at);
#if !defined(__CUDACC__)
    CHECK(same(r.product, engine(x) * engine(y)), "%d", at);
    CHECK(same(r.square, engine(x).sqr()), "%d", at);
#endif
  }
#if !defined(__CUDACC__)
  for (size_t i = 0; i < some.size(); i++) CHECK(same(inverses[i], engine(some[i]).inverse()), "%zu", i);
#endif
}

void signedScalars() {
  std::vector<Fr> values = bordersOf<ScalarModulus>(500);
  for (const Fr& s : values) {
    const SignedScalar out = toSigned(s);
    Fr magnitude;
    memcpy(magnitude.l, out.w, 32);
    magnitude.l[7] &= ~SIGN_BIT;
    const bool negative = (out.w[7] & SIGN_BIT) != 0;
    CHECK(magnitude.isReduced() && s == (negative ? -magnitude : magnitude));
    CHECK(magnitude.plusUnreduced(magnitude).isReduced());  // |s| ≤ (r − 1) / 2
    CHECK(!(negative && magnitude.isZero()));
#if !defined(__CUDACC__)
    const reference::SignedScalar expected = reference::toSigned(engine(s).l);
    CHECK(memcmp(&out, &expected, 32) == 0);
#endif
  }
}

template <class F>
struct Sums {
  Point<F> both, mixed, mixedNegative, twice, negated, lifted;
  Affine<F> affine;
};
constexpr unsigned SUMS = 7;
template <class F>
AP_HD void sumOf(unsigned which, const Point<F>& a, const Point<F>& b, const Affine<F>& c, Sums<F>& out) {
  switch (which) {
    case 0:
      out.both = a + b;
      break;
    case 1:
    case 2:
      (which == 1 ? out.mixed : out.mixedNegative) = a.plus(c, which == 2);
      break;
    case 3:
      out.twice = a.dbl();
      break;
    case 4:
      out.negated = a.negated();
      break;
    case 5:
      out.lifted = Point<F>::fromAffine(c);
      break;
    default:
      out.affine = a.toAffine();
  }
}
template <class F>
AP_KERNEL(64, 1) sumsKernel(const Point<F>* a, const Point<F>* b, const Affine<F>* c, Sums<F>* out, uint64_t n) {
  const uint64_t i = ((uint64_t)blockIdx.x * blockDim.x + threadIdx.x) / SUMS;
  if (i < n) sumOf((blockIdx.x * blockDim.x + threadIdx.x) % SUMS, readOnly(a + i), readOnly(b + i), readOnly(c + i), out[i]);
}

template <class F>
bool equal(const Point<F>& a, const Affine<F>& b) {
  if (a.isInfinity() || b.isInfinity()) return a.isInfinity() && b.isInfinity();
  return a.x == b.x * a.zz && a.y == b.y * a.zzz && a.zz * a.zz * a.zz == a.zzz * a.zzz;
}
template <class F>
bool equal(const Affine<F>& a, const Affine<F>& b) {
  return memcmp(&a, &b, sizeof a) == 0;
}

#if !defined(__CUDACC__)
template <class F>
std::vector<Affine<F>> multiplesOf(const Affine<F>& p, int n) {
  std::vector<Affine<F>> out;
  reference::Point<typename EngineOf<F>::type> point = {engine(p.x), engine(p.y), EngineOf<F>::type::one(), EngineOf<F>::type::one()}, sum = point.infinity();
  for (int i = 0; i < n; i++, sum += point) {
    Affine<F> affine = Affine<F>::infinity();
    typename EngineOf<F>::type x, y;
    if (sum.toCoordinates(x, y)) {
      memcpy(static_cast<void*>(&affine.x), &x, sizeof x);
      memcpy(static_cast<void*>(&affine.y), &y, sizeof y);
    }
    out.push_back(affine);
  }
  return out;
}
#else
template <class F>
std::vector<Affine<F>> multiplesOf(const Affine<F>& p, int n) {
  std::vector<Affine<F>> out;
  Point<F> sum = Point<F>::infinity();
  for (int i = 0; i < n; i++, sum = sum.plus(p)) out.push_back(sum.toAffine());
  return out;
}
#endif

inline Fq anyOf(Random& source, const Fq&) {
  Fq v;
  do {
    source.fill(v.l, 32);
    v.l[7] &= 0x3fffffff;
  } while (!v.isReduced());
  return v;
}
inline Fq2 anyOf(Random& source, const Fq2&) { return {anyOf(source, Fq()), anyOf(source, Fq())}; }

// The formulas know no b, so any (x, y) will do, on a curve of its own; multiples −N … N of it are added to each other, in
// coordinates with a factor at random. On every fourth curve y = 0: a point of order two.
template <class F>
void curve() {
  constexpr int N = 4, CURVES = 8;
  Random source(sizeof(F));
  std::vector<Point<F>> a, b;
  std::vector<Affine<F>> c, sums, differences, doubles;
  for (int k = 0; k < CURVES; k++) {
    Affine<F> p = {anyOf(source, F()), k % 4 == 3 ? F::zero() : anyOf(source, F())};
    const std::vector<Affine<F>> multiples = multiplesOf(p, 2 * N + 1);
    auto times = [&](int i) {
      Affine<F> out = multiples[i < 0 ? -i : i];
      if (i < 0 && !out.isInfinity()) out.y = -out.y;
      return out;
    };
    auto spread = [&](const Affine<F>& q) {
      const F z = anyOf(source, F()), zz = z.sqr(), zzz = zz * z;
      if (!q.isInfinity()) return source.oneIn(4) ? Point<F>::fromAffine(q) : Point<F>{q.x * zz, q.y * zzz, zz, zzz};
      // whatever else it carries
      return source.oneIn(2) ? Point<F>::infinity() : Point<F>{z, zz, F::zero(), F::zero()};
    };
    for (int i = -N; i <= N; i++) {
      for (int j = -N; j <= N; j++) {
        a.push_back(spread(times(i)));
        b.push_back(spread(times(j)));
        c.push_back(times(j));
        sums.push_back(times(i + j));
        differences.push_back(times(i - j));
        doubles.push_back(times(2 * i));
      }
    }
  }
  const uint64_t n = a.size();
  std::vector<Sums<F>> host(n);
  for (uint64_t i = 0; i < n * SUMS; i++) sumOf(i % SUMS, a[i / SUMS], b[i / SUMS], c[i / SUMS], host[i / SUMS]);
  DeviceArray<Point<F>> da = uploaded(a), db = uploaded(b);
  DeviceArray<Affine<F>> dc = uploaded(c);
  DeviceArray<Sums<F>> out(n);
  const Point<F>*pa = da.get(), *pb = db.get();
  const Affine<F>* pc = dc.get();
  Sums<F>* po = out.get();
  AP_LAUNCH(sumsKernel<F>, blocksFor(n * SUMS, 64), 64, 0, stream(), pa, pb, pc, po, n);
  checkLaunch("sumsKernel");
  compare(downloaded(out), host);
  for (uint64_t i = 0; i < n; i++) {
    const int at = (int)i, column = at % (2 * N + 1);
    CHECK(equal(host[i].both, sums[i]), "%d", at);
    CHECK(equal(host[i].mixed, sums[i]), "%d", at);
    CHECK(equal(host[i].mixedNegative, differences[i]), "%d", at);
    CHECK(equal(host[i].twice, doubles[i]), "%d", at);
    CHECK(equal(host[i].lifted, c[i]), "%d", at);
    CHECK(equal(host[i].affine, sums[i - column + N]), "%d", at);  // + 0
    CHECK(equal(host[i].negated + b[i], differences[i].isInfinity() ? differences[i] : Affine<F>{differences[i].x, -differences[i].y}), "%d", at);
  }
}

}  // namespace

int main(int argc, char** argv) {
  return anchorproof::test::run(argc, argv,
                                {{"fq", primeField<BaseModulus>},
                                 {"fr", primeField<ScalarModulus>},
                                 {"fq2", extension},
                                 {"scalars", signedScalars},
                                 {"g1", curve<Fq>},
                                 {"g2", curve<Fq2>}});
}
