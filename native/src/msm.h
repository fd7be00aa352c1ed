// Multi-scalar multiplication Σ sᵢ·Pᵢ by buckets (Pippenger), with all additions of affine points in batches that
// share one inversion (Montgomery's trick): six multiplications an addition, on all lanes at once.
//
// Scalars become |s| ≤ r/2 and a sign, so that small negative values stay small. Zeros and points at infinity are
// left out, ±1 (most of a bit-heavy witness) are summed without buckets, values below half a window take part in the
// first window only. Digits are signed: a window of c bits has 2^(c−1) buckets.
//
// The points of one window are sorted by bucket; the points of a bucket are then added in pairs, the sums in pairs
// again, and so on: every pair of a round is independent, whatever the distribution of the scalars, so no bucket is
// ever in conflict and one that holds everything costs no more than others.
//
// Not constant time: memory access and work depend on the scalars.
#pragma once

#include "curve.h"
#include "threads.h"

namespace anchorproof {
namespace ENGINE_NS {

// A point in an array and, in the lowest bit, whether to negate it.
using PointRef = u64;

template <class F>
AP_INLINE PointRef refTo(const Affine<F>* point, u64 negative) {
  return reinterpret_cast<u64>(point) | negative;
}
template <class F>
AP_INLINE const Affine<F>* pointOf(PointRef ref) {
  return reinterpret_cast<const Affine<F>*>(ref & ~(u64)1);
}

#ifdef LANES_IFMA

AP_INLINE Mask infinityMask(const VecFq& x) {
  return _mm512_cmpge_epu64_mask(x.l[4], _mm512_set1_epi64((long long)1 << 47));
}
AP_INLINE Mask infinityMask(const VecFq2& x) { return infinityMask(x.c0); }

AP_INLINE Mask signs(const PointRef* refs) {
  return _mm512_test_epi64_mask(_mm512_loadu_si512(refs), _mm512_set1_epi64(1));
}

AP_INLINE void loadPoints(const PointRef* refs, VecFq& x, VecFq& y) {
  __m512i r[8], w[8];
#pragma GCC unroll 8
  for (int i = 0; i < 8; i++) r[i] = _mm512_load_si512(pointOf<Fq>(refs[i]));
  transpose8(r, w);
  x = VecFq::unpack(w);
  y = VecFq::unpack(w + 4);
}

AP_INLINE void loadHalf(const PointRef* refs, size_t offset, VecFq2& out) {
  __m512i r[8], w[8];
#pragma GCC unroll 8
  for (int i = 0; i < 8; i++) {
    r[i] = _mm512_load_si512(reinterpret_cast<const uint8_t*>(pointOf<Fq2>(refs[i])) + offset);
  }
  transpose8(r, w);
  out.c0 = VecFq::unpack(w);
  out.c1 = VecFq::unpack(w + 4);
}

AP_INLINE void loadPoints(const PointRef* refs, VecFq2& x, VecFq2& y) {
  loadHalf(refs, 0, x);
  loadHalf(refs, 64, y);
}

AP_INLINE void loadX(const PointRef* refs, VecFq& x) {
  VecFq y;
  loadPoints(refs, x, y);
}
AP_INLINE void loadX(const PointRef* refs, VecFq2& x) { loadHalf(refs, 0, x); }

AP_INLINE void storePoints(G1Affine* out, const VecFq& x, const VecFq& y) {
  __m512i w[8], r[8];
  x.pack(w);
  y.pack(w + 4);
  transpose8(w, r);
#pragma GCC unroll 8
  for (int i = 0; i < 8; i++) _mm512_store_si512(out + i, r[i]);
}

AP_INLINE void storePoints(G2Affine* out, const VecFq2& x, const VecFq2& y) {
  __m512i w[8], r[8];
  x.c0.pack(w);
  x.c1.pack(w + 4);
  transpose8(w, r);
#pragma GCC unroll 8
  for (int i = 0; i < 8; i++) _mm512_store_si512(reinterpret_cast<__m512i*>(out + i), r[i]);
  y.c0.pack(w);
  y.c1.pack(w + 4);
  transpose8(w, r);
#pragma GCC unroll 8
  for (int i = 0; i < 8; i++) _mm512_store_si512(reinterpret_cast<__m512i*>(out + i) + 1, r[i]);
}

inline void storeLanes(const VecFq& v, Fq* out) { v.reduced<4>().store(out); }
inline void storeLanes(const VecFq2& v, Fq2* out) {
  Fq c0[LANES], c1[LANES];
  v.c0.reduced<8>().store(c0);
  v.c1.reduced<8>().store(c1);
  for (int i = 0; i < LANES; i++) out[i] = {c0[i], c1[i]};
}
inline void loadLanes(const Fq* in, VecFq& v) { v = VecFq::load(in); }
inline void loadLanes(const Fq2* in, VecFq2& v) {
  Fq c0[LANES], c1[LANES];
  for (int i = 0; i < LANES; i++) {
    c0[i] = in[i].c0;
    c1[i] = in[i].c1;
  }
  v = {VecFq::load(c0), VecFq::load(c1)};
}

#else

AP_INLINE Mask infinityMask(const VecFq& x) { return x.v.l[3] == ~(u64)0; }
AP_INLINE Mask infinityMask(const VecFq2& x) { return infinityMask(x.c0); }
AP_INLINE Mask signs(const PointRef* refs) { return refs[0] & 1; }
AP_INLINE void loadPoints(const PointRef* refs, VecFq& x, VecFq& y) {
  const G1Affine* p = pointOf<Fq>(refs[0]);
  x.v = p->x;
  y.v = p->y;
}
AP_INLINE void loadPoints(const PointRef* refs, VecFq2& x, VecFq2& y) {
  const G2Affine* p = pointOf<Fq2>(refs[0]);
  x = {{p->x.c0}, {p->x.c1}};
  y = {{p->y.c0}, {p->y.c1}};
}
AP_INLINE void loadX(const PointRef* refs, VecFq& x) { x.v = pointOf<Fq>(refs[0])->x; }
AP_INLINE void loadX(const PointRef* refs, VecFq2& x) {
  const Fq2& p = pointOf<Fq2>(refs[0])->x;
  x = {{p.c0}, {p.c1}};
}
AP_INLINE void storePoints(G1Affine* out, const VecFq& x, const VecFq& y) { *out = {x.v, y.v}; }
AP_INLINE void storePoints(G2Affine* out, const VecFq2& x, const VecFq2& y) {
  *out = {{x.c0.v, x.c1.v}, {y.c0.v, y.c1.v}};
}
inline void storeLanes(const VecFq& v, Fq* out) { *out = v.v; }
inline void storeLanes(const VecFq2& v, Fq2* out) { *out = {v.c0.v, v.c1.v}; }
inline void loadLanes(const Fq* in, VecFq& v) { v.v = *in; }
inline void loadLanes(const Fq2* in, VecFq2& v) { v = {{in->c0}, {in->c1}}; }

#endif

template <class F>
Affine<F> applySign(PointRef ref) {
  using V = typename LanesOf<F>::type;
  Affine<F> p = *pointOf<F>(ref);
  if ((ref & 1) && !p.isInfinity()) p.y = V::toStored(-V::fromStored(p.y));
  return p;
}

// Inverses of 2·LANES values, in place; all non-zero.
template <class V>
void invertLanes(V& a, V& b) {
  using F = typename V::Scalar;
  constexpr int N = 2 * LANES;
  F v[N], prefix[N];
  storeLanes(a, v);
  storeLanes(b, v + LANES);
  F running = F::one();
  for (int i = 0; i < N; i++) {
    v[i] = V::fromStored(v[i]);
    prefix[i] = running;
    running *= v[i];
  }
  running = running.inverse();
  for (int i = N - 1; i >= 0; i--) {
    F inverse = running * prefix[i];
    running *= v[i];
    v[i] = V::toStored(inverse);
  }
  loadLanes(v, a);
  loadLanes(v + LANES, b);
}

// Room for the batches of one thread.
template <class F>
struct BatchScratch {
  struct alignas(64) Slot {
    typename LanesOf<F>::type v;
  };
  SecretVector<Slot> prefix;

  void reserve(size_t pairs) {
    size_t groups = (pairs + LANES - 1) / LANES;
    if (groups > prefix.size()) prefix.resize(groups);
  }
};

// out[i] = a[i] + b[i] for i < n, completely (equal, opposite and infinite points included). a, b and out have room
// for n rounded up to LANES, and a and b are filled there with references to infinity. out may be what a or b refer
// to at the same i.
template <class F>
void addPairs(const PointRef* a, const PointRef* b, Affine<F>* out, size_t n, BatchScratch<F>& scratch) {
  using V = typename LanesOf<F>::type;
  // Below which multiple of p results are: see lanes.h.
  constexpr int K = sizeof(F) == sizeof(Fq) ? 4 : 8;
  size_t groups = (n + LANES - 1) / LANES;
  scratch.reserve(n);
  auto* prefix = scratch.prefix.data();
  const V one = V::one();
  // Two chains, so that one product's latency hides behind the other's.
  V running[2] = {one, one};
  auto forward = [&](size_t g, V& run) __attribute__((always_inline)) {
    const PointRef *ra = a + g * LANES, *rb = b + g * LANES;
    // The lists are contiguous: far enough ahead to hide a miss in memory, and within the arrays' groups.
    if (g + 2 < groups) {
      for (int i = 0; i < LANES; i++) {
        const char* pa = reinterpret_cast<const char*>(pointOf<F>(ra[2 * LANES + i]));
        const char* pb = reinterpret_cast<const char*>(pointOf<F>(rb[2 * LANES + i]));
        __builtin_prefetch(pa);
        __builtin_prefetch(pb);
        if (sizeof(F) > sizeof(Fq)) {
          __builtin_prefetch(pa + 64);
          __builtin_prefetch(pb + 64);
        }
      }
    }
    V xa, xb;
    loadX(ra, xa);
    loadX(rb, xb);
    V raw = rawSub(xb, xa);
    Mask skip = raw.zeroMask() | infinityMask(xa) | infinityMask(xb);
    V d = select(skip, raw.template rawPlus<1>().carry(), one);
    prefix[g].v = run;
    run = run * d;
  };
  size_t g = 0;
  for (; g + 1 < groups; g += 2) {
    forward(g, running[0]);
    forward(g + 1, running[1]);
  }
  if (g < groups) forward(g, running[0]);
  invertLanes(running[0], running[1]);
  auto backward = [&](size_t g, V& run) __attribute__((always_inline)) {
    const PointRef *ra = a + g * LANES, *rb = b + g * LANES;
    V xa, ya, xb, yb;
    loadPoints(ra, xa, ya);
    loadPoints(rb, xb, yb);
    V raw = rawSub(xb, xa);
    Mask infA = infinityMask(xa), infB = infinityMask(xb);
    Mask equal = raw.zeroMask() & ~(infA | infB);
    V d = select(equal | infA | infB, raw.template rawPlus<1>().carry(), one);
    V inverse = run * prefix[g].v;
    run = run * d;
    const V none = rawSub(xa, xa);
    ya = select(signs(ra), ya, none.template minus<1>(ya));
    yb = select(signs(rb), yb, none.template minus<1>(yb));
    V lambda = yb.template minus<1>(ya) * inverse;
    V x = rawSub(rawSub(lambda.sqr(), xa), xb).template rawPlus<2>().carry().template reduced<K>();
    V y = (lambda * xa.template minus<1>(x)).template minus<1>(ya).template reduced<K>();
    x = select(infA, select(infB, x, xa), xb);
    y = select(infA, select(infB, y, ya), yb);
    // A sum with infinity may carry y = p (the negative of a padding point's zero); nothing reads it.
    if (__builtin_expect(equal != 0, 0)) {
      Affine<F> fixed[LANES];
      for (int i = 0; i < LANES; i++) {
        if (!(equal >> i & 1)) continue;
        fixed[i] = (Point<F>::fromAffine(applySign<F>(ra[i])) + Point<F>::fromAffine(applySign<F>(rb[i]))).toAffine();
      }
      storePoints(out + g * LANES, x, y);
      for (int i = 0; i < LANES; i++) {
        if (equal >> i & 1) out[g * LANES + i] = fixed[i];
      }
      return;
    }
    storePoints(out + g * LANES, x, y);
  };
  if (groups & 1) backward(groups - 1, running[0]);
  for (g = groups & ~(size_t)1; g > 0; g -= 2) {
    backward(g - 2, running[0]);
    backward(g - 1, running[1]);
  }
}

// points[i] ← 2·points[i] for i < n, n a multiple of LANES; infinity stays.
template <class F>
void doublePoints(Affine<F>* points, size_t n, BatchScratch<F>& scratch) {
  using V = typename LanesOf<F>::type;
  constexpr int K = sizeof(F) == sizeof(Fq) ? 4 : 8;
  size_t groups = n / LANES;
  scratch.reserve(n);
  auto* prefix = scratch.prefix.data();
  const V one = V::one();
  V running[2] = {one, one};
  PointRef refs[LANES];
  // No point of the curve has y = 0; one of a damaged key must not spoil its neighbours' inverses.
  auto load = [&](size_t g, V& x, V& y) __attribute__((always_inline)) {
    for (int i = 0; i < LANES; i++) refs[i] = refTo(points + g * LANES + i, 0);
    loadPoints(refs, x, y);
    return infinityMask(x) | y.zeroMask();
  };
  for (size_t g = 0; g < groups; g++) {
    V x, y;
    Mask infinite = load(g, x, y);
    prefix[g].v = running[g & 1];
    running[g & 1] = running[g & 1] * select(infinite, rawAdd(y, y).carry(), one);
  }
  invertLanes(running[0], running[1]);
  for (size_t g = groups; g-- > 0;) {
    V x, y;
    Mask infinite = load(g, x, y);
    V& run = running[g & 1];
    V inverse = run * prefix[g].v;
    run = run * select(infinite, rawAdd(y, y).carry(), one);
    V square = x.sqr();  // below 2.04p in each part, so three of them are below 8p
    V lambda = rawAdd(rawAdd(square, square), square).carry().template reduceOnce<4>() * inverse;
    V x3 = rawSub(rawSub(lambda.sqr(), x), x).template rawPlus<2>().carry().template reduced<K>();
    V y3 = (lambda * x.template minus<1>(x3)).template minus<1>(y).template reduced<K>();
    storePoints(points + g * LANES, select(infinite, x3, x), select(infinite, y3, y));
  }
}

// Sums of groups of points: the points of a group are added in pairs, the sums in pairs again, and so on. Every pair of a
// round is independent, however the points are spread over the groups.
template <class F>
class GroupAdder {
 public:
  // capacity: the most points between two calls of run()
  void reserve(size_t capacity) {
    if (refs_.size() >= capacity + LANES + 1) return;
    refs_.resize(capacity + LANES + 1);
    next_.resize(capacity + LANES + 1);
    a_.resize(capacity / 2 + 2 * LANES);
    b_.resize(capacity / 2 + 2 * LANES);
    // All rounds together add fewer pairs than there are points, and each is rounded up.
    arena_.resize(capacity + 32 * LANES);
  }

  size_t size() const { return used_; }
  // Whether the group has points yet.
  bool isOpen() const { return used_ != begun_; }
  // One more point of the open group.
  AP_INLINE void add(PointRef ref) { refs_[used_++] = ref; }
  // Ends the group: its sum goes to *out, which may be one of its points. A group without points leaves *out alone.
  AP_INLINE void close(Affine<F>* out) {
    if (used_ == begun_) return;
    active_.push_back({out, (uint32_t)(used_ - begun_)});
    begun_ = used_;
  }

  void run(BatchScratch<F>& scratch) {
    const Affine<F> nowhere = Affine<F>::infinity();
    const PointRef padding = refTo(&nowhere, 0);
    size_t arena = 0;
    for (;;) {
      // Groups with one point left are done.
      size_t read = 0, write = 0, kept = 0, pairs = 0;
      for (size_t i = 0; i < active_.size(); i++) {
        Group group = active_[i];
        const PointRef* refs = refs_.data() + read;
        read += group.count;
        if (group.count == 1) {
          if (refs[0] != refTo(group.out, 0)) *group.out = applySign<F>(refs[0]);
          continue;
        }
        size_t half = group.count / 2;
        for (size_t j = 0; j < half; j++) {
          a_[pairs] = refs[2 * j];
          b_[pairs] = refs[2 * j + 1];
          next_[write++] = refTo(&arena_[arena + pairs], 0);
          pairs++;
        }
        if (group.count & 1) next_[write++] = refs[group.count - 1];
        group.count = (uint32_t)(group.count - half);
        active_[kept++] = group;
      }
      active_.resize(kept);
      if (pairs == 0) break;
      size_t padded = (pairs + LANES - 1) / LANES * LANES;
      for (size_t i = pairs; i < padded; i++) a_[i] = b_[i] = padding;
      addPairs(a_.data(), b_.data(), arena_.data() + arena, pairs, scratch);
      arena += padded;
      refs_.swap(next_);
    }
    used_ = begun_ = 0;
  }

 private:
  struct Group {
    Affine<F>* out;
    uint32_t count;
  };
  SecretVector<PointRef> refs_, next_, a_, b_;
  SecretVector<Affine<F>> arena_;
  SecretVector<Group> active_;
  size_t used_ = 0, begun_ = 0;
};

// |s| ≤ r/2 as four words; the top bit tells that s was negative.
struct SignedScalar {
  u64 w[4];
};
constexpr u64 SIGN_BIT = (u64)1 << 63;

// From an integer below r.
inline SignedScalar toSigned(const u64* s) {
  u64 borrow = 0, greater = 0, t[4];
  for (int i = 0; i < 4; i++) t[i] = sbb(Fr::P[i], s[i], borrow);
  borrow = 0;
  for (int i = 0; i < 4; i++) sbb(t[i], s[i], borrow);
  greater = borrow;  // r − s < s
  SignedScalar out;
  u64 mask = 0 - greater;
  for (int i = 0; i < 4; i++) out.w[i] = s[i] ^ ((s[i] ^ t[i]) & mask);
  out.w[3] |= greater << 63;
  return out;
}

// The signed digit of a window: bucket number (1 … 2^(c−1)) and sign; 0 for digit zero.
// Adding 2^(c−1) at every window but the last turns signed digits into plain ones that are off by this constant.
struct Recoding {
  u64 offset[4] = {0, 0, 0, 0};
  unsigned c, shift, word;
  bool last;
  Recoding(unsigned c_, size_t w, size_t windows) : c(c_) {
    for (size_t i = 0; i + 1 < windows; i++) {
      size_t bit = i * c_ + c_ - 1;
      offset[bit / 64] |= (u64)1 << (bit % 64);
    }
    shift = (unsigned)(w * c_) % 64;
    word = (unsigned)(w * c_) / 64;
    last = w + 1 == windows;
  }
  AP_INLINE uint32_t digit(const SignedScalar& s) const {
    u64 carry = 0, t[5];
    t[0] = adc(s.w[0], offset[0], carry);
    t[1] = adc(s.w[1], offset[1], carry);
    t[2] = adc(s.w[2], offset[2], carry);
    t[3] = adc(s.w[3] & ~SIGN_BIT, offset[3], carry);
    t[4] = 0;
    u64 value = t[word] >> shift;
    if (shift + c > 64) value |= t[word + 1] << (64 - shift);
    int64_t d = (int64_t)(value & (((u64)1 << c) - 1));
    if (!last) d -= (int64_t)1 << (c - 1);
    uint32_t negative = (uint32_t)(s.w[3] >> 63) ^ (uint32_t)(d < 0);
    uint32_t size = (uint32_t)(d < 0 ? -d : d);
    return size ? size | negative << 31 : 0;
  }
};

// Windows of c bits that a signed scalar has.
constexpr size_t windowsOf(unsigned c) { return (254 + c - 1) / c; }

// Points with their scalars: scalar of point i is scalars[wires ? wires[i] : i].
struct ScalarSource {
  const SignedScalar* scalars;
  const uint32_t* wires;
  size_t n;
};

// Points with their multiples 2^(c·w) for every window w < levels, so that all windows share one set of buckets: level
// after level in one array. levels is 1 without multiples.
struct WindowTable {
  unsigned c = 0, levels = 1;
};

// One multi-scalar multiplication, cut into tasks that any thread may run in any order.
template <class F>
class Msm {
 public:
  static constexpr unsigned MIN_WINDOW = 4, MAX_WINDOW = 20;  // bits

  // points: those of all sources, one after the other; fewer than 2^31, multiples included. They outlive this object.
  Msm(const Affine<F>* points, std::vector<ScalarSource> sources, unsigned threads, WindowTable table = {})
      : points_(points), sources_(std::move(sources)) {
    for (const ScalarSource& source : sources_) total_ += source.n;
    sort();
    choose(std::max(1u, threads), table);
  }
  Msm(const Msm&) = delete;

  size_t tasks() const { return windows_ * chunks_ + oneTasks_; }

  // Work space of one thread, shared by all of its tasks.
  struct Scratch {
    BatchScratch<F> batch;
    GroupAdder<F> adder;
    SecretVector<PointRef> a, b;
    SecretVector<uint32_t> digits, sorted, starts, nextStart;
    SecretVector<Affine<F>> out, buckets, sums;
  };

  void run(size_t task, Scratch& scratch, const Control& control) {
    if (task < oneTasks_) {
      results_[task] = sumOnes(task, scratch, control);
    } else {
      size_t t = task - oneTasks_;
      results_[task] = window(t / chunks_, t % chunks_, scratch, control);
    }
  }

  Point<F> result() const {
    Point<F> out = Point<F>::infinity();
    for (size_t w = windows_; w-- > 0;) {
      for (unsigned i = 0; i < c_; i++) out = out.dbl();
      for (size_t k = 0; k < chunks_; k++) out += results_[oneTasks_ + w * chunks_ + k];
    }
    for (size_t i = 0; i < oneTasks_; i++) out += results_[i];
    return out;
  }

 private:
  static constexpr size_t BLOCK = sizeof(F) == sizeof(Fq) ? 8192 : 4096;
  static constexpr size_t ONES = 1 << 15;  // a task's share of the ±1
  static constexpr uint32_t NEGATIVE = 1u << 31;

  const Affine<F>* points_;
  std::vector<ScalarSource> sources_;
  // Indices of points by the kind of their scalar; the top bit of ones_ and small_ is the sign.
  SecretVector<uint32_t> big_, small_, ones_;
  unsigned c_ = 0;
  // levels_: windows that share a bucket set, all of them with a table of multiples
  size_t total_ = 0, windows_ = 0, levels_ = 1, chunks_ = 1, oneTasks_ = 0;
  SecretVector<Point<F>> results_;

  const SignedScalar& scalarOf(uint32_t id) const {
    size_t i = id;
    for (const ScalarSource& source : sources_) {
      if (i < source.n) return source.scalars[source.wires ? source.wires[i] : i];
      i -= source.n;
    }
    __builtin_unreachable();
  }

  void sort() {
    big_.reserve(total_);
    uint32_t id = 0;
    for (const ScalarSource& source : sources_) {
      for (size_t i = 0; i < source.n; i++, id++) {
        const SignedScalar& s = source.scalars[source.wires ? source.wires[i] : i];
        u64 top = s.w[3] & ~SIGN_BIT;
        if ((s.w[1] | s.w[2] | top) != 0 || s.w[0] > SMALL) {
          big_.push_back(id);
        } else if (s.w[0] == 1) {
          ones_.push_back(id | (s.w[3] ? NEGATIVE : 0));
        } else if (s.w[0] != 0) {
          small_.push_back(id | (s.w[3] ? NEGATIVE : 0));
        }
      }
    }
    oneTasks_ = (ones_.size() + ONES - 1) / ONES;
  }

  // Scalars up to this never leave the first window, whatever its width.

  static constexpr u64 SMALL = 1 << (MIN_WINDOW - 1);

  void choose(unsigned threads, WindowTable table) {
    size_t n = big_.size();
    if (n == 0) {
      c_ = MIN_WINDOW;
      windows_ = small_.empty() ? 0 : 1;
    } else if (table.levels > 1) {
      c_ = table.c;
      levels_ = table.levels;
      windows_ = 1;
      // Every chunk has buckets of its own to reduce, so only as many as keep the threads busy.
      chunks_ = std::min<size_t>(threads, n * levels_ / BLOCK + 1);
    } else {
      c_ = bestWindow(n, false);
      windows_ = windowsOf(c_);
      size_t wanted = threads > 1 ? 2 * threads : 1;
      if (windows_ < wanted) chunks_ = std::min((wanted + windows_ - 1) / windows_, n / BLOCK + 1);
    }
    results_.assign(tasks(), Point<F>::infinity());
  }

 public:
  // The width of a window with the least work for n points with dense scalars.
  static unsigned bestWindow(size_t n, bool table) {
    // In additions: every point once a window, a bucket twice (running and total sum), and the inversions that the
    // reduction's steps and the rounds of halving share.
    unsigned found = MIN_WINDOW;
    double best = 0;
    for (unsigned c = MIN_WINDOW; c <= MAX_WINDOW; c++) {
      double windows = (double)windowsOf(c), sets = table ? 1 : windows, entries = (double)n * windows / sets;
      double buckets = (double)((size_t)1 << (c - 1)), rounds = 1;
      while ((double)((size_t)1 << (size_t)rounds) < entries / buckets) rounds++;
      double steps = buckets / (double)segmentsOf((size_t)1 << (c - 1));
      double blocks = (entries + BLOCK - 1) / BLOCK;
      double cost = sets * (entries + 2.2 * buckets + INVERSION * (steps + rounds * blocks));
      if (c == MIN_WINDOW || cost < best) {
        best = cost;
        found = c;
      }
    }
    return found;
  }

 private:
  // One inversion of a batch, in additions.
  static constexpr double INVERSION = LANES == 8 ? 50 : 12;

  static size_t segmentsOf(size_t buckets) {
    size_t segments = 1024;
    while (segments > LANES && segments * 8 > buckets) segments /= 2;
    return std::min(segments, buckets);
  }

  Point<F> sumOnes(size_t task, Scratch& s, const Control& control) {
    size_t from = task * ONES, to = std::min(ones_.size(), from + ONES);
    s.buckets.assign(1, Affine<F>::infinity());
    s.sorted.resize(to - from);
    for (size_t i = from; i < to; i++) s.sorted[i - from] = ones_[i];
    s.starts.assign({0, (uint32_t)(to - from)});
    accumulate(1, s, control);
    return Point<F>::fromAffine(s.buckets[0]);
  }

  Point<F> window(size_t w, size_t chunk, Scratch& s, const Control& control) {
    size_t buckets = (size_t)1 << (c_ - 1);
    size_t from = big_.size() * chunk / chunks_, to = big_.size() * (chunk + 1) / chunks_;
    const SecretVector<uint32_t>* extra = w == 0 && chunk == 0 ? &small_ : nullptr;
    size_t entries = (to - from) * levels_ + (extra ? extra->size() : 0);
    s.digits.resize(entries);
    s.starts.assign(buckets + 2, 0);
    s.sorted.resize(entries);
    uint32_t* counts = s.starts.data() + 1;  // counts[d]: entries with digit size d, after the loop
    size_t k = 0;
    for (size_t level = 0; level < levels_; level++) {
      Recoding recoding(c_, w + level, windows_ * levels_);
      size_t base = 0, i = from;
      // Sources are in the order of the indices.
      for (const ScalarSource& source : sources_) {
        for (; i < to && big_[i] < base + source.n; i++, k++) {
          size_t local = big_[i] - base;
          uint32_t d = recoding.digit(source.scalars[source.wires ? source.wires[local] : local]);
          s.digits[k] = d;
          counts[d & ~NEGATIVE]++;
        }
        base += source.n;
      }
    }
    if (extra) {
      for (uint32_t id : *extra) {
        uint32_t d = (uint32_t)scalarOf(id & ~NEGATIVE).w[0] | (id & NEGATIVE);
        s.digits[k++] = d;
        counts[d & ~NEGATIVE]++;
      }
    }
    // starts[d] … starts[d+1]: the entries of bucket d, zero digits first (and then skipped).
    for (size_t d = 0; d <= buckets; d++) s.starts[d + 1] += s.starts[d];
    SecretVector<uint32_t>& next = s.nextStart;
    next.assign(s.starts.begin(), s.starts.end() - 1);
    auto put = [&](uint32_t d, uint32_t id) { s.sorted[next[d & ~NEGATIVE]++] = id | (d & NEGATIVE); };
    k = 0;
    for (size_t level = 0; level < levels_; level++) {
      for (size_t i = from; i < to; i++) put(s.digits[k++], big_[i] + (uint32_t)(level * total_));
    }
    if (extra) {
      for (uint32_t id : *extra) put(s.digits[k++], id & ~NEGATIVE);
    }
    // Bucket d−1 of the reduction is digit size d.
    s.starts.erase(s.starts.begin());
    s.buckets.resize(buckets);
    for (auto& bucket : s.buckets) bucket = Affine<F>::infinity();
    accumulate(buckets, s, control);
    return reduce(buckets, s);
  }

  // buckets[i] = sum of the points sorted[starts[i] … starts[i+1]).
  void accumulate(size_t buckets, Scratch& s, const Control& control) {
    s.adder.reserve(BLOCK + 1);
    size_t bucket = 0, position = s.starts[0];
    while (bucket < buckets) {
      throwIfAborted(control);
      // A block: whole buckets while they fit, a part of one that is larger.
      while (bucket < buckets && s.adder.size() < BLOCK) {
        size_t end = s.starts[bucket + 1];
        size_t take = std::min(end - position, BLOCK - s.adder.size());
        if (take > 0) {
          // What earlier parts of this bucket came to.
          if (!s.buckets[bucket].isInfinity()) s.adder.add(refTo(&s.buckets[bucket], 0));
          for (size_t i = 0; i < take; i++) {
            uint32_t id = s.sorted[position + i];
            s.adder.add(refTo(points_ + (id & ~NEGATIVE), id >> 31));
          }
          position += take;
          s.adder.close(&s.buckets[bucket]);
        }
        if (position == end) bucket++;
      }
      s.adder.run(s.batch);
    }
  }

  // Σ (i+1)·buckets[i]: segments of equal length side by side, each with a running sum from its top, then the
  // segments' sums once more, by plain additions.
  Point<F> reduce(size_t buckets, Scratch& s) {
    size_t segments = segmentsOf(buckets), length = buckets / segments;
    size_t padded = (segments + LANES - 1) / LANES * LANES;
    // sums: total | running | running of the step before
    s.sums.resize(3 * padded);
    for (auto& sum : s.sums) sum = Affine<F>::infinity();
    s.a.resize(std::max(s.a.size(), 2 * padded));
    s.b.resize(std::max(s.b.size(), 2 * padded));
    Affine<F>* total = s.sums.data();
    Affine<F>* running[2] = {total + padded, total + 2 * padded};
    const Affine<F> nowhere = Affine<F>::infinity();
    // Step t adds bucket length−1−t to the running sums, and the running sums of the step before to the totals.
    // Both are one batch: out is total and one of the running arrays, which must then follow it.
    SecretVector<Affine<F>>& out = s.out;
    if (out.size() < 2 * padded) out.resize(2 * padded);
    for (size_t t = 0; t <= length; t++) {
      bool more = t < length;
      size_t pairs = more ? 2 * padded : padded;
      Affine<F>* previous = running[t & 1];
      for (size_t i = 0; i < padded; i++) {
        s.a[i] = refTo(total + i, 0);
        s.b[i] = refTo(previous + i, 0);
        if (!more) continue;
        s.a[padded + i] = refTo(previous + i, 0);
        s.b[padded + i] = refTo(i < segments ? &s.buckets[i * length + length - 1 - t] : &nowhere, 0);
      }
      addPairs(s.a.data(), s.b.data(), out.data(), pairs, s.batch);
      std::copy(out.begin(), out.begin() + (ptrdiff_t)padded, total);
      if (more) std::copy(out.begin() + (ptrdiff_t)padded, out.begin() + (ptrdiff_t)(2 * padded), running[(t + 1) & 1]);
    }
    // total[i] = Σ (j+1)·bucket of the segment, sum[i] = their plain sum: segment i lies i·length higher.
    Affine<F>* sum = running[length & 1];
    Point<F> result = Point<F>::infinity(), step = Point<F>::infinity(), higher = Point<F>::infinity();
    for (size_t i = segments; i-- > 0;) {
      result += Point<F>::fromAffine(total[i]);
      // higher = Σ i·sum[i], from the top
      higher += step;
      step += Point<F>::fromAffine(sum[i]);
    }
    for (size_t l = 1; l < length; l *= 2) higher = higher.dbl();
    return result + higher;
  }
};

// Runs the tasks of several multiplications together.
template <class F>
void runAll(const Control& control, Msm<F>& msm) {
  std::vector<typename Msm<F>::Scratch> scratch(std::max(1u, control.threads));
  parallel(control, msm.tasks(), [&](size_t task, size_t worker) { msm.run(task, scratch[worker], control); });
}

}  // namespace ENGINE_NS
}  // namespace anchorproof
