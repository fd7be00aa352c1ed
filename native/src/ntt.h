// Number-theoretic transforms over Fr, and the step of the Groth16 prover that is made of them.
//
// With eight lanes a transform of size n is eight transforms of size N = n/8 side by side, one a lane, plus a pass of
// eight-point transforms at the edge, where eight consecutive elements become one lane of eight blocks (four-step
// method). So the inner transforms never cross lanes, and all lanes use the same twiddles. With one lane N = n and the
// edge is a copy.
//
// Both directions use the butterfly (x + w·y, x − w·y). A product is below 2p, so bounds grow by 2p a layer and no
// layer reduces:
//   down: natural order to bit-reversed. All butterflies of a block share one twiddle, w^(−bitrev(block)), and every
//         layer reads a prefix of the same table.
//   up:   bit-reversed order to natural, evaluating on a coset: the twiddles are s^(N/2h)·w^(N/2h·j) for layer h, with
//         the shift s merged in. Each layer has its own run of the table.
#pragma once

#include "lanes.h"
#include "threads.h"

namespace anchorproof {
namespace ENGINE_NS {

// Memory for n elements, aligned for lanes, not initialised, wiped at the end. Large blocks ask for huge pages: the
// passes stride by powers of two, and faulting small pages in takes as long as a transform.
template <class T>
class Scratch {
 public:
  explicit Scratch(size_t n)
      : size_(n * sizeof(T)),
        align_(std::align_val_t(size_ >= 2 * HUGE_PAGE ? HUGE_PAGE : 64)),
        data_(static_cast<T*>(::operator new(size_, align_))) {
#ifdef MADV_HUGEPAGE
    if (size_ >= 2 * HUGE_PAGE) madvise(static_cast<void*>(data_), size_, MADV_HUGEPAGE);
#endif
  }
  ~Scratch() {
    wipe(static_cast<void*>(data_), size_);
    ::operator delete(data_, align_);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  T* get() const { return data_; }
  size_t bytes() const { return size_; }

 private:
  static constexpr size_t HUGE_PAGE = size_t(1) << 21;
  size_t size_;
  std::align_val_t align_;
  T* data_;
};

// An element that all lanes use.
struct Twiddle {
#ifdef LANES_IFMA
  u64 l[5];

  static Twiddle from(const Fr& a) {
    Limbs52 w = split52(VecFr::toStored(a));
    return Twiddle{{w.l[0], w.l[1], w.l[2], w.l[3], w.l[4]}};
  }
  AP_INLINE VecFr vec() const {
    VecFr out;
    for (int i = 0; i < 5; i++) out.l[i] = _mm512_set1_epi64((long long)l[i]);
    return out;
  }

 private:
  static Limbs52 split52(const Fr& a) { return multiple52(a.l, 1); }
#else
  Fr v;

  static Twiddle from(const Fr& a) { return {a}; }
  AP_INLINE VecFr vec() const { return {v}; }
#endif
};

// The subgroup H of size n = 2^k, and the twiddles of transforms over it: 64n bytes with eight lanes, 48n with one.
// Immutable, safe to share between threads.
class Domain {
 public:
  static constexpr unsigned MAX_LOG = 28;

  // n: a power of two up to 2^28, otherwise InputInvalid. Takes about two multiplications an element.
  Domain(size_t n, const Control& control)
      : n_(checked(n)),
        inner_(isSmall() ? 0 : n / LANES),
        down_(inner_ / 2 > 4 ? inner_ / 2 : 4),
        up_(inner_),
        edgeDown_(LANES > 1 ? inner_ * 7 : 0),
        edgeUp_(LANES > 1 ? inner_ * 7 : 0) {
    unsigned log = logOf(n);
    root_ = rootOfUnity(log);
    rootInverse_ = root_.inverse();
    // The generator of the domain of twice the size; the largest domain has none, and snarkjs takes 5² there.
    shift_ = log < MAX_LOG ? rootOfUnity(log + 1) : Fr::fromInteger(25);
    sizeInverse_ = Fr::fromInteger(n).inverse();
    if (isSmall()) return;

    fillDown(control);
    fillUp(control);
    if (LANES > 1) {
      fillEdge(edgeDown_.get(), Fr::one(), rootInverse_, control);
      fillEdge(edgeUp_.get(), shift_, root_, control);
    }
  }

  size_t size() const { return n_; }
  const Fr& root() const { return root_; }
  const Fr& rootInverse() const { return rootInverse_; }
  const Fr& shift() const { return shift_; }
  const Fr& sizeInverse() const { return sizeInverse_; }
  size_t memoryBytes() const { return down_.bytes() + up_.bytes() + edgeDown_.bytes() + edgeUp_.bytes(); }

  // Too small for full lanes; the callers evaluate directly.
  bool isSmall() const { return n_ < LANES * LANES; }

  // Number of working blocks of a transform.
  size_t inner() const { return inner_; }

  // Inverse transform without the factor 1/n. source(i) gives elements i…i+LANES−1, below 2p, in natural order. The
  // result is in the order of position(). Any form of element goes: the transform is linear.
  template <class Source>
  void down(VecFr* w, const Source& source, const Control& control) const {
    enter(w, source, control);
    size_t m = inner_, blocks = 1;
    for (; descends(m, blocks, control); m /= 8, blocks *= 8) {
      columns(m, blocks, control, [&](size_t block, size_t from, size_t to) {
        VecFr* x = w + block * m;
        if (blocks == 1)
          passDownFirst(x, m / 8, from, to);
        else
          passDown(x, m / 8, from, to, block);
      });
    }
    parallel(control, blocks, [&](size_t block, size_t) { blockDown(w + block * m, m, block); });
  }

  // From the result of down() to n times the evaluations on the coset shift·H. sink(i, v) gets elements i…i+LANES−1,
  // below 80p and normalised.
  template <class Sink>
  void up(VecFr* w, const Sink& sink, const Control& control) const {
    size_t m = inner_, blocks = 1;
    for (; descends(m, blocks, control); m /= 8, blocks *= 8) {
    }
    parallel(control, blocks, [&](size_t block, size_t) { blockUp(w + block * m, m); });
    while (blocks > 1) {
      m *= 8;
      blocks /= 8;
      columns(m, blocks, control,
              [&](size_t block, size_t from, size_t to) { passUp(w + block * m, m / 8, from, to); });
    }
    leave(w, sink, control);
  }

  // A generator of the subgroup of order 2^log: snarkjs' choice, from the non-residue 5.
  static Fr rootOfUnity(unsigned log) {
    u64 odd[4];
    for (int i = 0; i < 4; i++) odd[i] = (Fr::P[i] >> 28) | (i < 3 ? Fr::P[i + 1] << 36 : 0);
    Fr w = Fr::fromInteger(5).pow(odd, 4);
    for (unsigned i = MAX_LOG; i > log; i--) w = w.sqr();
    return w;
  }

  // The index of the coefficient in lane `lane` of block `block` after down().
  size_t position(size_t block, unsigned lane) const {
    size_t out = 0;
    for (size_t bit = inner_ >> 1; bit; bit >>= 1, block >>= 1) out |= (block & 1) ? bit : 0;
    return out * LANES + (LANES > 1 ? reverse3(lane) : 0);
  }

  // Σ values[i]·x^i
  static Fr evaluate(const Fr* values, size_t n, const Fr& x) {
    Fr out = Fr::zero();
    for (size_t i = n; i-- > 0;) out = out * x + values[i];
    return out;
  }

 private:
  size_t n_, inner_;
  Fr root_, rootInverse_, shift_, sizeInverse_;
  // down_[b]: w^(−bitrev(b)). up_[h + j]: column j of layer h.
  Scratch<Twiddle> down_, up_;
  // For each group of eight columns, rows 1–7 of eight elements, in stored form.
  Scratch<Fr> edgeDown_, edgeUp_;

  static size_t checked(size_t n) {
    if (n == 0 || (n & (n - 1)) != 0 || n > (size_t(1) << MAX_LOG))
      throw Failure(Code::InputInvalid, "the domain size must be a power of two up to 2^28");
    return n;
  }

  static unsigned logOf(size_t n) {
    unsigned log = 0;
    while ((size_t(1) << log) < n) log++;
    return log;
  }

  static constexpr unsigned reverse3(unsigned i) { return ((i & 1) << 2) | (i & 2) | (i >> 2); }

  // 5 is the smallest quadratic nonresidue; r − 1 = 2^28 · odd.
  static Fr power(const Fr& base, u64 exponent) { return base.pow(&exponent, 1); }

  static constexpr size_t CHUNK = 4096;

  static size_t chunks(size_t n, size_t chunk) { return (n + chunk - 1) / chunk; }

  void fillDown(const Control& control) {
    size_t size = down_.bytes() / sizeof(Twiddle);
    Scratch<Fr> scratch(size);
    Fr* values = scratch.get();
    // Bit s of b stands for a root of order 2^(s+2).
    values[0] = Fr::one();
    down_.get()[0] = Twiddle::from(values[0]);
    unsigned log = 2;
    for (size_t s = 1; s < size; s *= 2, log++) {
      Fr step = rootOfUnity(log).inverse();
      parallel(control, chunks(s, CHUNK), [&](size_t task, size_t) {
        for (size_t b = task * CHUNK; b < s && b < (task + 1) * CHUNK; b++) {
          values[s + b] = values[b] * step;
          down_.get()[s + b] = Twiddle::from(values[s + b]);
        }
      });
    }
  }

  void fillUp(const Control& control) {
    Fr start = power(shift_, LANES), step = power(root_, LANES);
    for (size_t h = inner_ / 2; h > 0; h /= 2) {
      parallel(control, chunks(h, CHUNK), [&](size_t task, size_t) {
        Fr value = start * power(step, task * CHUNK);
        for (size_t j = task * CHUNK; j < h && j < (task + 1) * CHUNK; j++, value *= step)
          up_.get()[h + j] = Twiddle::from(value);
      });
      start = start.sqr();
      step = step.sqr();
    }
  }

  // (start·step^j)^rev(t) for columns j, rows t
  void fillEdge(Fr* out, const Fr& start, const Fr& step, const Control& control) {
    size_t groups = inner_ / LANES;
    parallel(control, chunks(groups, CHUNK / 8), [&](size_t task, size_t) {
      size_t first = task * (CHUNK / 8);
      VecFr value[7], stride[7];
      Fr base = start * power(step, first * LANES);
      for (unsigned t = 1; t < 8; t++) {
        Fr lanes[LANES], e = power(base, reverse3(t)), s = power(step, reverse3(t));
        for (Fr& lane : lanes) {
          lane = VecFr::toStored(e);
          e *= s;
        }
        value[t - 1] = VecFr::load(lanes);
        stride[t - 1] = VecFr::broadcast(VecFr::toStored(power(s, LANES)));
      }
      for (size_t g = first; g < groups && g < first + CHUNK / 8; g++) {
        for (int t = 0; t < 7; t++) {
          value[t].template reduced<2>().store(out + (g * 7 + t) * LANES);
          value[t] = value[t] * stride[t];
        }
      }
    });
  }

  // Whether to go down one level with all threads on each pass: until there is enough work for all of them, in steps
  // of milliseconds.
  static bool descends(size_t m, size_t blocks, const Control& control) {
    return m >= 64 && (m > 16384 || blocks < 4 * size_t(control.threads));
  }

  // Calls body(block, from, to) for ranges of columns of all blocks of size m.
  template <class Body>
  static void columns(size_t m, size_t blocks, const Control& control, const Body& body) {
    size_t q = m / 8, chunk = q < 128 ? q : 128, each = q / chunk;
    parallel(control, blocks * each, [&](size_t task, size_t) {
      size_t from = task % each * chunk;
      body(task / each, from, from + chunk);
    });
  }

  // (x + y, x − y), limbs raw; y is at most K·p.
  template <int K>
  static AP_INLINE void cross(VecFr& x, VecFr& y) {
    VecFr sum = rawAdd(x, y);
    y = rawSub(x, y).template rawPlus<K>();
    x = sum;
  }

  static AP_INLINE void cross(VecFr& x, VecFr& y, const VecFr& w) {
    y = y.carry() * w;
    cross<2>(x, y);
  }

  // Eight-point transform, natural to bit-reversed; from below 2p to raw below 16p.
  AP_INLINE void eightDown(VecFr* x) const {
    VecFr i = down_.get()[1].vec();
    for (int t = 0; t < 4; t++) cross<2>(x[t], x[t + 4]);
    cross<4>(x[0], x[2]);
    cross<4>(x[1], x[3]);
    cross(x[4], x[6], i);
    cross(x[5], x[7], i);
    cross<8>(x[0], x[1]);
    cross(x[2], x[3], i);
    cross(x[4], x[5], down_.get()[2].vec());
    cross(x[6], x[7], down_.get()[3].vec());
  }

  void passDownFirst(VecFr* w, size_t q, size_t from, size_t to) const {
    VecFr x[8];
    for (size_t j = from; j < to; j++) {
      for (int t = 0; t < 8; t++) x[t] = w[j + q * t];
      eightDown(x);
      for (int t = 0; t < 8; t++) w[j + q * t] = x[t].carry();
    }
  }

  void passDown(VecFr* w, size_t q, size_t from, size_t to, size_t block) const {
    VecFr x[8];
    const Twiddle* t1 = down_.get() + block;
    const Twiddle* t2 = down_.get() + 2 * block;
    const Twiddle* t4 = down_.get() + 4 * block;
    for (size_t j = from; j < to; j++) {
      for (int t = 0; t < 8; t++) x[t] = w[j + q * t];
#pragma GCC unroll 4
      for (int t = 0; t < 4; t++) cross(x[t], x[t + 4], t1->vec());
#pragma GCC unroll 4
      for (int t = 0; t < 4; t++) cross(x[t + (t & 2)], x[t + (t & 2) + 2], t2[t >> 1].vec());
#pragma GCC unroll 4
      for (int t = 0; t < 4; t++) cross(x[2 * t], x[2 * t + 1], t4[t].vec());
      for (int t = 0; t < 8; t++) w[j + q * t] = x[t].carry();
    }
  }

  void blockDown(VecFr* x, size_t m, size_t block) const {
    if (m >= 8) {
      size_t q = m / 8;
      passDown(x, q, 0, q, block);
      if (q > 1)
        for (size_t t = 0; t < 8; t++) blockDown(x + q * t, q, 8 * block + t);
    } else if (m >= 2) {
      VecFr w = down_.get()[block].vec();
      size_t h = m / 2;
      for (size_t t = 0; t < h; t++) cross(x[t], x[t + h], w);
      for (size_t t = 0; t < m; t++) x[t] = x[t].carry();
      if (h == 2) {
        blockDown(x, 2, 2 * block);
        blockDown(x + 2, 2, 2 * block + 1);
      }
    }
  }

  void passUp(VecFr* w, size_t q, size_t from, size_t to) const {
    VecFr x[8];
    for (size_t j = from; j < to; j++) {
      for (int t = 0; t < 8; t++) x[t] = w[j + q * t];
      const Twiddle* t1 = up_.get() + q + j;
      const Twiddle* t2 = up_.get() + 2 * q + j;
      const Twiddle* t4 = up_.get() + 4 * q + j;
#pragma GCC unroll 4
      for (int t = 0; t < 4; t++) cross(x[2 * t], x[2 * t + 1], t1->vec());
#pragma GCC unroll 4
      for (int t = 0; t < 4; t++) cross(x[t + (t & 2)], x[t + (t & 2) + 2], t2[(t & 1) * q].vec());
#pragma GCC unroll 4
      for (int t = 0; t < 4; t++) cross(x[t], x[t + 4], t4[t * q].vec());
      for (int t = 0; t < 8; t++) w[j + q * t] = x[t].carry();
    }
  }

  // Element 0 of a leaf is the one that no butterfly of the leaf multiplies: it comes in below 64p, and all that follow
  // get its bound. Below 16p, plus 2p for each of at most 25 layers, stays below 66p.
  void blockUp(VecFr* x, size_t m) const {
    if (m > 8) {
      size_t q = m / 8;
      for (size_t t = 0; t < 8; t++) blockUp(x + q * t, q);
      passUp(x, q, 0, q);
      return;
    }
    x[0] = x[0].template reduceOnce<32>().template reduceOnce<16>();
    if (m == 8) {
      passUp(x, 1, 0, 1);
      return;
    }
    for (size_t h = 1; h < m; h *= 2)
      for (size_t j = 0; j < m; j++)
        if (!(j & h)) {
          cross(x[j], x[j + h], up_.get()[h + (j & (h - 1))].vec());
          x[j] = x[j].carry();
          x[j + h] = x[j + h].carry();
        }
  }

#ifdef LANES_IFMA
  // Rows of eight columns to eight blocks, or back.
  static AP_INLINE void transpose(const VecFr* x, VecFr* out) {
#pragma GCC unroll 5
    for (int i = 0; i < 5; i++) {
      __m512i in[8], columns[8];
      for (int t = 0; t < 8; t++) in[t] = x[t].l[i];
      transpose8(in, columns);
      for (int t = 0; t < 8; t++) out[t].l[i] = columns[t];
    }
  }

  static constexpr size_t GROUPS = 64;  // of eight columns, in one task

  template <class Source>
  void enter(VecFr* w, const Source& source, const Control& control) const {
    size_t groups = inner_ / LANES;
    parallel(control, chunks(groups, GROUPS), [&](size_t task, size_t) {
      VecFr x[8];
      for (size_t g = task * GROUPS; g < groups && g < (task + 1) * GROUPS; g++) {
        for (size_t t = 0; t < 8; t++) x[t] = source(g * 8 + inner_ * t);
        eightDown(x);
        x[0] = x[0].carry().template reduceOnce<8>().template reduceOnce<4>().template reduceOnce<2>();
        const Fr* twiddles = edgeDown_.get() + g * 7 * LANES;
#pragma GCC unroll 1
        for (int t = 1; t < 8; t++) x[t] = x[t].carry() * VecFr::load(twiddles + (t - 1) * LANES);
        transpose(x, w + g * 8);
      }
    });
  }

  template <class Sink>
  void leave(VecFr* w, const Sink& sink, const Control& control) const {
    size_t groups = inner_ / LANES;
    VecFr w1 = VecFr::broadcast(VecFr::toStored(rootOfUnity(3)));
    VecFr w2 = VecFr::broadcast(VecFr::toStored(rootOfUnity(2)));
    VecFr w3 = VecFr::broadcast(VecFr::toStored(rootOfUnity(3) * rootOfUnity(2)));
    parallel(control, chunks(groups, GROUPS), [&](size_t task, size_t) {
      VecFr x[8];
      for (size_t g = task * GROUPS; g < groups && g < (task + 1) * GROUPS; g++) {
        transpose(w + g * 8, x);
        const Fr* twiddles = edgeUp_.get() + g * 7 * LANES;
#pragma GCC unroll 1
        for (int t = 1; t < 8; t++) x[t] = x[t] * VecFr::load(twiddles + (t - 1) * LANES);
        // Row 0 is below 66p, the others below 2p; the outputs are below 80p.
        for (int t = 0; t < 8; t += 2) cross<2>(x[t], x[t + 1]);
        for (int t = 0; t < 8; t += 4) {
          cross<4>(x[t], x[t + 2]);
          cross(x[t + 1], x[t + 3], w2);
        }
        cross<8>(x[0], x[4]);
        cross(x[1], x[5], w1);
        cross(x[2], x[6], w2);
        cross(x[3], x[7], w3);
        for (size_t t = 0; t < 8; t++) sink(g * 8 + inner_ * t, x[t].carry());
      }
    });
  }
#else
  template <class Source>
  void enter(VecFr* w, const Source& source, const Control& control) const {
    parallel(control, chunks(n_, CHUNK), [&](size_t task, size_t) {
      for (size_t j = task * CHUNK; j < n_ && j < (task + 1) * CHUNK; j++) w[j] = source(j);
    });
  }

  template <class Sink>
  void leave(VecFr* w, const Sink& sink, const Control& control) const {
    parallel(control, chunks(n_, CHUNK), [&](size_t task, size_t) {
      for (size_t j = task * CHUNK; j < n_ && j < (task + 1) * CHUNK; j++) sink(j, w[j]);
    });
  }
#endif
};

// From the evaluations of a and b on H, in Montgomery form (field.h), to h = a·b − c on the coset shift·H, where c has
// the values a·b on H. All in natural order, domain.size() elements. h replaces a, as canonical integers, not in
// Montgomery form. b is only read. Needs 72 bytes an element more, wiped at the end.
inline void quotient(const Domain& domain, Fr* a, const Fr* b, const Control& control) {
  size_t n = domain.size();
  if (domain.isSmall()) {
    Scratch<Fr> scratch(5 * n);
    Fr *c = scratch.get(), *coefficients = c + n;
    for (size_t i = 0; i < n; i++) c[i] = a[i] * b[i];
    const Fr* values[3] = {a, b, c};
    Fr x = Fr::one();
    for (size_t i = 0; i < n; i++, x *= domain.rootInverse())
      for (int p = 0; p < 3; p++)
        coefficients[p * n + i] = Domain::evaluate(values[p], n, x) * domain.sizeInverse();
    x = domain.shift();
    for (size_t i = 0; i < n; i++, x *= domain.root()) {
      Fr at[3];
      for (int p = 0; p < 3; p++) at[p] = Domain::evaluate(coefficients + p * n, n, x);
      a[i] = (at[0] * at[1] - at[2]).fromMontgomery();
    }
    return;
  }

  // The transforms work on the elements as they are, in the form R = 2^256, though a product of lanes divides by the
  // lanes' R. Two constants put that right, take out the factors n, and leave Montgomery form, all at once.
  Fr ratio = VecFr::toStored(Fr::one());  // the lanes' R over 2^256
  Fr scale = ratio * ratio * domain.sizeInverse();
  VecFr scaleA = VecFr::broadcast((scale * domain.sizeInverse()).fromMontgomery());
  VecFr scaleC = VecFr::broadcast((-scale).fromMontgomery());

  Scratch<VecFr> scratch(domain.inner());
  Scratch<Fr> minusC(n);
  VecFr* w = scratch.get();
  domain.down(w, [&](size_t i) { return VecFr::load(a + i) * VecFr::load(b + i); }, control);
  domain.up(w, [&](size_t i, const VecFr& v) { (v * scaleC).store(minusC.get() + i); }, control);
  domain.down(w, [&](size_t i) { return VecFr::load(a + i); }, control);
  domain.up(w, [&](size_t i, const VecFr& v) { (v * scaleA).store(a + i); }, control);
  domain.down(w, [&](size_t i) { return VecFr::load(b + i); }, control);
  domain.up(
      w,
      [&](size_t i, const VecFr& v) {
        // below 2p · 80p gives 2.91p, plus 2p
        VecFr h = VecFr::load(a + i) * v + VecFr::load(minusC.get() + i);
        h.template reduced<8>().store(a + i);
      },
      control);
}

// In place, natural order in and out, on n canonical integers of 32 bytes, little-endian. coset: forward evaluates on
// shift·H, inverse interpolates from it. Throws InputInvalid for a size or a value out of range.
inline void transform(uint8_t* data, size_t n, bool inverse, bool coset, const Control& control) {
  Domain domain(n, control);
  Scratch<Fr> scratch(n);
  Fr* values = scratch.get();
  memcpy(static_cast<void*>(values), data, n * sizeof(Fr));
  for (size_t i = 0; i < n; i++)
    if (!values[i].isReduced()) throw Failure(Code::InputInvalid, "a value is not below the field's order");
  auto scaleByPowers = [&](Fr factor, const Fr& step) {
    for (size_t i = 0; i < n; i++, factor *= step) values[i] *= factor;
  };
  if (coset && !inverse) scaleByPowers(Fr::one(), domain.shift());

  // down() gives Σ x_j·w^(−ij); the forward transform is the same at index −i.
  auto index = [&](size_t i) { return inverse ? i : (n - i) & (n - 1); };
  if (domain.isSmall()) {
    Scratch<Fr> copy(n);
    memcpy(static_cast<void*>(copy.get()), values, n * sizeof(Fr));
    Fr x = Fr::one();
    for (size_t i = 0; i < n; i++, x *= domain.rootInverse()) values[index(i)] = Domain::evaluate(copy.get(), n, x);
  } else {
    Scratch<VecFr> work(domain.inner());
    VecFr* w = work.get();
    domain.down(w, [&](size_t i) { return VecFr::load(values + i); }, control);
    for (size_t block = 0; block < domain.inner(); block++) {
      Fr lanes[LANES];
      (w[block] * VecFr::one()).template reduced<2>().store(lanes);
      for (int lane = 0; lane < LANES; lane++) values[index(domain.position(block, lane))] = lanes[lane];
    }
  }
  if (inverse) scaleByPowers(domain.sizeInverse(), coset ? domain.shift().inverse() : Fr::one());
  memcpy(data, static_cast<const void*>(values), n * sizeof(Fr));
}

// Milliseconds of one transform of size n, from n elements in memory to lanes; the domain is ready.
inline double timeTransform(size_t n, const Control& control) {
  Domain domain(n, control);
  Scratch<Fr> scratch(n);
  Scratch<VecFr> work(domain.isSmall() ? 1 : domain.inner());
  Fr* values = scratch.get();
  Fr x = Fr::fromInteger(3);
  for (size_t i = 0; i < n; i++, x = x.sqr()) values[i] = x;
  auto start = std::chrono::steady_clock::now();
  if (domain.isSmall()) {
    for (size_t i = 0; i < n; i++, x *= domain.rootInverse()) values[i] = Domain::evaluate(values, n, x);
  } else {
    domain.down(work.get(), [&](size_t i) { return VecFr::load(values + i); }, control);
  }
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace ENGINE_NS
}  // namespace anchorproof
