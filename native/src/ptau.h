// Powers of tau: snarkjs' .ptau files, their checks, and the basis that a circuit's key is made from.
//
// A file of power p holds τ^i·G1 for i < 2^(p+1) − 1, and τ^i·G2, ατ^i·G1, βτ^i·G1 for i < 2^p, and β·G2. A prepared one
// holds their Lagrange forms as well: level q is the inverse transform of the first 2^q powers.
#pragma once

#include "hash.h"
#include "multiples.h"
#include "ntt.h"
#include "pointio.h"

namespace anchorproof {
namespace ENGINE_NS {

template <class F>
Point<F> generator();
template <>
inline G1 generator<Fq>() {
  return G1::fromCoordinates(Fq::one(), Fq::fromInteger(2));
}
template <>
inline G2 generator<Fq2>() {
  // EIP-197
  auto part = [](const u64(&words)[4]) {
    Fq out;
    memcpy(out.l, words, sizeof words);
    return out.toMontgomery();
  };
  static constexpr u64 X0[4] = {0x46debd5cd992f6ed, 0x674322d4f75edadd, 0x426a00665e5c4479, 0x1800deef121f1e76};
  static constexpr u64 X1[4] = {0x97e485b7aef312c2, 0xf1aa493335a9e712, 0x7260bfb731fb5d25, 0x198e9393920d483a};
  static constexpr u64 Y0[4] = {0x4ce6cc0166fa7daa, 0xe3d1e7690c43d37b, 0x4aab71808dcb408f, 0x12c85ea5db8c6deb};
  static constexpr u64 Y1[4] = {0x55acdadcd122975b, 0xbc4b313370b38ef3, 0xec9e99ad690c3395, 0x090689d0585ff075};
  return G2::fromCoordinates({part(X0), part(X1)}, {part(Y0), part(Y1)});
}

template <class F>
bool samePoint(const Point<F>& a, const Point<F>& b) {
  return (a + b.negated()).isInfinity();
}

// e(a₁, b₁)·…·e(aₙ, bₙ) = 1. Every b must be a point of G2 other than infinity, or the answer is no.
inline bool pairingsCancel(const std::vector<std::pair<G1, G2>>& terms) {
  std::vector<std::unique_ptr<Lines<Fq2>>> lines;
  std::vector<MillerPoint<Fq2>> pairs;
  for (const auto& [a, b] : terms) {
    Fq2 qx, qy;
    if (!b.toCoordinates(qx, qy)) return false;
    lines.push_back(std::make_unique<Lines<Fq2>>());
    ateLinesOf(qx, qy, *lines.back());
    if (!inG2(*lines.back())) return false;
    Fq x, y;
    if (!a.toCoordinates(x, y)) continue;  // e(0, ·) = 1
    pairs.push_back({x, y, Fq::one(), lines.back().get()});
  }
  if (pairs.empty()) return true;
  return finalExponentiation(millerLoop<Fq2>(pairs.data(), pairs.size(), nullptr, 0)) == finalExponentiation(Gt::one());
}

// e(a, b) = e(c, d), as above.
inline bool pairingsAgree(const G1& a, const G2& b, const G1& c, const G2& d) { return pairingsCancel({{a, b}, {c.negated(), d}}); }

template <class F>
Point<F> sumOf(const Affine<F>* points, const SignedScalar* scalars, size_t n, const Control& control) {
  Msm<F> msm(points, {{scalars, nullptr, n}}, control.threads);
  runAll(control, msm);
  return msm.result();
}

// n coefficients of 128 bits, from number `from` on (a multiple of 4).
inline void drawCoefficients(const RandomCoefficients& random, uint64_t from, SignedScalar* out, size_t n) {
  for (size_t i = 0; i < n; i += 4) {
    u64 words[8];
    random.block(from / 4 + i / 4, words);
    for (size_t k = 0; k < 4 && i + k < n; k++) out[i + k] = {{words[2 * k], words[2 * k + 1], 0, 0}};
  }
}

class PtauFile {
 public:
  uint32_t power = 0, ceremonyPower = 0;
  bool prepared = false;

  explicit PtauFile(const std::string& path) : file_(path) {
    auto read = [&](uint64_t at, void* out, size_t size) { file_.read(at, out, size, CODE); };
    sections_ = readSections(file_.size(), "ptau", 1, CODE, read);
    Section header = section(1);
    uint8_t bytes[44];
    if (header.size != sizeof bytes) fail("its header has the wrong length");
    read(header.offset, bytes, sizeof bytes);
    uint32_t size;
    memcpy(&size, bytes, 4);
    if (size != 32 || memcmp(bytes + 4, Fq::P, 32) != 0) fail("it is not over BN254");
    memcpy(&power, bytes + 36, 4);
    memcpy(&ceremonyPower, bytes + 40, 4);
    if (power < 1 || power > 28 || ceremonyPower < power || ceremonyPower > 28) fail("its power");
    const uint64_t n = (uint64_t)1 << power;
    check(2, 2 * n - 1, 64);
    check(3, n, 128);
    check(4, n, 64);
    check(5, n, 64);
    check(6, 1, 128);
    section(7);
    size_t lagrange = 0;
    for (uint32_t type = 12; type <= 15; type++) lagrange += sections_.count(type);
    prepared = lagrange == 4;
    if (lagrange != 0 && !prepared) fail("some of its Lagrange sections are missing");
    if (!prepared) return;
    check(12, 4 * n - 1, 64);
    check(13, 2 * n - 1, 128);
    check(14, 2 * n - 1, 64);
    check(15, 2 * n - 1, 64);
  }

  const InputFile& file() const { return file_; }
  Section section(uint32_t type) const { return sectionOf(sections_, type, CODE); }

  template <class F>
  void read(uint32_t type, uint64_t from, size_t n, Affine<F>* out, const Control& control) const {
    static const std::map<uint32_t, const char*> names = {
        {2, "tauG1"},          {3, "tauG2"},          {4, "alphaTauG1"},          {5, "betaTauG1"},         {6, "betaG2"},
        {12, "Lagrange tauG1"}, {13, "Lagrange tauG2"}, {14, "Lagrange alphaTauG1"}, {15, "Lagrange betaTauG1"}};
    readPoints(file_, section(type).offset + from * POINT_BYTES<F>, n, out, CODE, names.at(type), control);
  }
  template <class F>
  Point<F> point(uint32_t type, uint64_t index) const {
    Affine<F> out;
    read(type, index, 1, &out, Control());
    return Point<F>::fromAffine(out);
  }

  [[noreturn]] static void fail(const std::string& reason) {
    throw Failure(CODE, "the powers of tau are refused: " + reason);
  }

 private:
  static constexpr Code CODE = Code::PtauInvalid;
  InputFile file_;
  std::map<uint32_t, Section> sections_;

  void check(uint32_t type, uint64_t count, uint64_t size) const {
    if (section(type).size != count * size) fail("section " + std::to_string(type) + " has the wrong length");
  }
};

// Checks a file completely but for its contributions' record: every point on its curve, the generators in front, and
// all powers of one τ, one α and one β, by random linear combinations (an error passes with probability 2^-128; a part
// of a point of G2 outside the group with 1/10069² or less, and it would spoil proofs, not their soundness).
inline void checkPtau(const PtauFile& ptau, const Control& control) {
  constexpr size_t CHUNK = (size_t)1 << 18;
  const uint64_t n = (uint64_t)1 << ptau.power;
  // A point of G2 costs as much as three of G1.
  Progress progress(control, (double)(2 * n + 3 * n + n + n));
  const RandomCoefficients random;
  uint64_t drawn = 0;
  G1 low1 = G1::infinity(), high1 = low1;
  G2 low2 = G2::infinity(), high2 = low2;
  // Adds Σ rᵢPᵢ for all but the last point to low, for all but the first to high. Chunks overlap by a point.
  auto ratios = [&](auto tag, uint32_t type, uint64_t total, auto& low, auto& high) {
    using F = decltype(tag);
    PageVector<Affine<F>> points(std::min<uint64_t>(CHUNK, total));
    std::vector<SignedScalar> scalars(points.size());
    for (uint64_t from = 0; from + 1 < total; from += CHUNK - 1) {
      size_t count = (size_t)std::min<uint64_t>(CHUNK, total - from);
      ptau.read(type, from, count, points.data(), control);
      for (size_t i = 0; i < count; i++) {
        if (points[i].isInfinity()) PtauFile::fail("a power is the point at infinity");
      }
      drawCoefficients(random, drawn, scalars.data(), count - 1);
      drawn += CHUNK;
      low += sumOf(points.data(), scalars.data(), count - 1, control);
      high += sumOf(points.data() + 1, scalars.data(), count - 1, control);
      progress.add((double)count * (sizeof(F) == sizeof(Fq) ? 1 : 3));
    }
  };
  if (!samePoint(ptau.point<Fq>(2, 0), generator<Fq>()) || !samePoint(ptau.point<Fq2>(3, 0), generator<Fq2>())) {
    PtauFile::fail("they do not begin with the generators");
  }
  const G1 tau1 = ptau.point<Fq>(2, 1), alpha1 = ptau.point<Fq>(4, 0), beta1 = ptau.point<Fq>(5, 0);
  const G2 tau2 = ptau.point<Fq2>(3, 1), beta2 = ptau.point<Fq2>(6, 0);
  // What everybody knows is no secret: with τ = ±1, say, anybody forges.
  for (const G1& point : {tau1, alpha1, beta1}) {
    if (samePoint(point, generator<Fq>()) || samePoint(point, generator<Fq>().negated())) {
      throw Failure(Code::KeyForgeable, "tau, alpha or beta is 1 or -1: these powers have no contribution, and anybody can forge proofs for a key made from them");
    }
  }
  if (samePoint(alpha1, beta1) || samePoint(alpha1, tau1) || samePoint(beta1, tau1)) PtauFile::fail("tau, alpha and beta are not independent");
  if (!pairingsAgree(tau1, generator<Fq2>(), generator<Fq>(), tau2)) PtauFile::fail("tau differs between G1 and G2");
  if (!pairingsAgree(beta1, generator<Fq2>(), generator<Fq>(), beta2)) PtauFile::fail("beta differs between G1 and G2");
  auto sameTau1 = [&](const char* what) {
    if (!pairingsAgree(high1, generator<Fq2>(), low1, tau2)) PtauFile::fail(std::string(what) + " are not powers of one tau");
    low1 = high1 = G1::infinity();
  };
  ratios(Fq{}, 2, 2 * n - 1, low1, high1);
  sameTau1("tauG1");
  ratios(Fq{}, 4, n, low1, high1);
  sameTau1("alphaTauG1");
  ratios(Fq{}, 5, n, low1, high1);
  sameTau1("betaTauG1");
  for (int round = 0; round < 2; round++) {
    low2 = high2 = G2::infinity();
    ratios(Fq2{}, 3, n, low2, high2);
    if (!pairingsAgree(tau1, low2, generator<Fq>(), high2)) PtauFile::fail("tauG2 are not powers of one tau");
  }
}

// Inverse transform of points, in place, natural order in and out: out[j] = Σ ω^(−jk)·in[k], over n if `scaled`.
// Transforms of points cost a multiplication a butterfly, so those are what is batched.
template <class F>
void inverseTransform(Affine<F>* points, unsigned log, bool scaled, const Control& control, Progress& progress) {
  const size_t n = (size_t)1 << log, half = n / 2;
  for (size_t i = 0, j = 0; i < n; i++) {
    if (i < j) std::swap(points[i], points[j]);
    size_t bit = half;
    for (; bit && (j & bit); bit >>= 1) j ^= bit;
    j |= bit;
  }
  // ω^(−k), and for the last layer over n
  std::vector<SignedScalar> twiddles(half);
  Fr scale = Fr::one();
  auto fill = [&] {
    const Fr root = Domain::rootOfUnity(log).inverse();
    constexpr size_t PIECE = 4096;
    parallel(control, (half + PIECE - 1) / PIECE, [&](size_t piece, size_t) {
      u64 start[1] = {piece * PIECE};
      Fr w = root.pow(start, 1) * scale;
      for (size_t k = piece * PIECE, to = std::min(half, k + PIECE); k < to; k++, w *= root) {
        twiddles[k] = toSigned(w.fromMontgomery().l);
      }
    });
  };
  fill();
  constexpr size_t BLOCK = LinearCombiner<F>::MAX_SUMS / 2;
  struct Scratch {
    LinearCombiner<F> combiner;
    BatchScratch<F> batch;
    std::vector<PointRef> a, b, minusB;
    SecretVector<Affine<F>> sums, differences;
  };
  std::vector<Scratch> scratch(std::max(1u, control.threads));
  for (unsigned layer = 0; layer < log; layer++) {
    const size_t h = (size_t)1 << layer, stride = half / h;
    const bool last = scaled && layer + 1 == log;
    if (last) {
      scale = Fr::fromInteger(n).inverse();
      fill();
    }
    parallel(control, (half + BLOCK - 1) / BLOCK, [&](size_t task, size_t worker) {
      Scratch& s = scratch[worker];
      const size_t from = task * BLOCK, count = std::min(half, from + BLOCK) - from, padded = (count + LANES - 1) / LANES * LANES;
      auto first = [&](size_t t) { return points + (t / h * 2 * h + t % h); };
      for (size_t t = from; t < from + count; t++) {
        size_t column = t % h;
        if (column != 0 || last) {
          s.combiner.add(first(t) + h, twiddles[column * stride]);
          s.combiner.close(first(t) + h);
        }
        if (last) {
          s.combiner.add(first(t), twiddles[0]);
          s.combiner.close(first(t));
        }
      }
      s.combiner.run();
      const Affine<F> nowhere = Affine<F>::infinity();
      s.a.assign(padded, refTo(&nowhere, 0));
      s.b.assign(padded, refTo(&nowhere, 0));
      s.minusB.assign(padded, refTo(&nowhere, 0));
      s.sums.resize(padded);
      s.differences.resize(padded);
      for (size_t i = 0; i < count; i++) {
        s.a[i] = refTo(first(from + i), 0);
        s.b[i] = refTo(first(from + i) + h, 0);
        s.minusB[i] = s.b[i] | 1;
      }
      addPairs(s.a.data(), s.b.data(), s.sums.data(), padded, s.batch);
      addPairs(s.a.data(), s.minusB.data(), s.differences.data(), padded, s.batch);
      for (size_t i = 0; i < count; i++) {
        *first(from + i) = s.sums[i];
        *(first(from + i) + h) = s.differences[i];
      }
      progress.add((double)count * (layer == 0 ? 0.05 : last ? 2 : 1) * (sizeof(F) == sizeof(Fq) ? 1 : 3.3));
    });
  }
}

// The basis of keys of up to 2^power rows: a file of its own format, with snarkjs' encodings, in this order:
//   1: power; whether the last power of the double domain is in H
//   2: α·G1, β·G1; 3: β·G2
//   12, 13, 14, 15: Lagrange form of τ^i·G1, τ^i·G2, ατ^i·G1, βτ^i·G1 over the 2^power-th roots of unity
//   9: H: the odd points of the Lagrange form of τ^i·G1 over the roots of twice that order
//   16: (τ^(i+n) − τ^i)·G1, which snarkjs hashes into a circuit's name
constexpr const char* BASIS_MAGIC = "anpb";

// cut: as from a file that ends at this power. From one that does, H is without its last power, also where a Lagrange form
// that was cut with the file has it.
inline void makeBasis(const std::string& ptauPath, unsigned power, bool cut, const std::string& out, const Control& control) {
  const PtauFile ptau(ptauPath);
  if (power < 1 || power > ptau.power || power > 27) {
    PtauFile::fail("they end at 2^" + std::to_string(ptau.power) + " rows, and the circuit needs 2^" + std::to_string(power));
  }
  const size_t n = (size_t)1 << power;
  const bool continued = power < ptau.power, complete = continued && !cut;  // τ^(2n−1) is there, and is to be used
  // The digest that a basis is kept under ends before it.
  if (complete && !pairingsAgree(ptau.point<Fq>(2, 2 * n - 1), generator<Fq2>(), ptau.point<Fq>(2, n), ptau.point<Fq2>(3, n - 1))) {
    PtauFile::fail("tauG1 are not powers of one tau");
  }
  OutputFile file(out, BASIS_MAGIC, 1, 9);
  const uint32_t header[2] = {power, complete};
  file.section(1, header, sizeof header);
  auto copy = [&](auto tag, uint32_t from, uint64_t index, uint32_t type, size_t count) {
    using F = decltype(tag);
    PageVector<Affine<F>> points(count);
    ptau.read(from, index, count, points.data(), control);
    writePoints(file, file.section(type, count * POINT_BYTES<F>), points.data(), count, control);
  };
  {
    uint8_t bytes[128];
    Affine<Fq> points[2];
    ptau.read(4, 0, 1, points, control);
    ptau.read(5, 0, 1, points + 1, control);
    toFile(points[0], bytes);
    toFile(points[1], bytes + 64);
    file.section(2, bytes, sizeof bytes);
    copy(Fq2{}, 6, 0, 3, 1);
  }
  const RandomCoefficients random;
  uint64_t drawn = 0;
  Progress progress(control, (ptau.prepared ? 2 : 0.5 * (power + 1) * 1.1) * (double)n * 7.3);

  // The Lagrange form of one section. A prepared file's is taken when Σ sⱼ·Lⱼ is what the powers give.
  auto lagrange = [&](auto tag, uint32_t from, uint32_t type) {
    using F = decltype(tag);
    PageVector<Affine<F>> points(n);
    ptau.read(from, 0, n, points.data(), control);
    if (ptau.prepared) {
      std::vector<SignedScalar> scalars(n);
      std::vector<Fr> values(n);
      drawCoefficients(random, drawn, scalars.data(), n);
      drawn += n;
      memcpy(static_cast<void*>(values.data()), scalars.data(), n * sizeof(Fr));
      transform(reinterpret_cast<uint8_t*>(values.data()), n, true, false, control);
      PageVector<Affine<F>> given(n);
      ptau.read(type, n - 1, n, given.data(), control);
      const Point<F> ofGiven = sumOf(given.data(), scalars.data(), n, control);
      for (size_t i = 0; i < n; i++) scalars[i] = toSigned(values[i].l);
      if (!samePoint(ofGiven, sumOf(points.data(), scalars.data(), n, control))) {
        PtauFile::fail("a Lagrange section does not belong to the powers");
      }
      points.swap(given);
      progress.add(2.0 * (double)n * (sizeof(F) == sizeof(Fq) ? 1 : 3.3));
    } else {
      inverseTransform(points.data(), power, true, control, progress);
    }
    writePoints(file, file.section(type, n * POINT_BYTES<F>), points.data(), n, control);
  };
  lagrange(Fq{}, 2, 12);
  lagrange(Fq2{}, 3, 13);
  lagrange(Fq{}, 4, 14);
  lagrange(Fq{}, 5, 15);

  // H. Over the roots of order 2n, L₂ⱼ₊₁ = (1/2n) Σ_{k<2n} ω₂ₙ^(−(2j+1)k)·τ^k = (1/2n) Σ_{k<n} ω^(−jk)·ω₂ₙ^(−k)·(τ^k − τ^(k+n)).
  PageVector<Affine<Fq>> powers(2 * n), differences(n);
  ptau.read(2, 0, 2 * n - !complete, powers.data(), control);
  if (!complete) powers[2 * n - 1] = Affine<Fq>::infinity();
  const Fr shiftInverse = Domain::rootOfUnity(power + 1).inverse(), half = Fr::fromInteger(2 * n).inverse();
  constexpr size_t BLOCK = LinearCombiner<Fq>::MAX_SUMS;
  struct Scratch {
    LinearCombiner<Fq> combiner;
    BatchScratch<Fq> batch;
    std::vector<PointRef> a, b;
    SecretVector<Affine<Fq>> out;
  };
  std::vector<Scratch> scratch(std::max(1u, control.threads));
  parallel(control, (n + BLOCK - 1) / BLOCK, [&](size_t task, size_t worker) {
    Scratch& s = scratch[worker];
    const size_t from = task * BLOCK, count = std::min(n, from + BLOCK) - from, padded = (count + LANES - 1) / LANES * LANES;
    const Affine<Fq> nowhere = Affine<Fq>::infinity();
    s.a.assign(padded, refTo(&nowhere, 0));
    s.b.assign(padded, refTo(&nowhere, 0));
    s.out.resize(padded);
    for (size_t i = 0; i < count; i++) {
      s.a[i] = refTo(&powers[n + from + i], 0);
      s.b[i] = refTo(&powers[from + i], 1);
    }
    addPairs(s.a.data(), s.b.data(), s.out.data(), padded, s.batch);
    for (size_t i = 0; i < count; i++) differences[from + i] = s.out[i];
    if (ptau.prepared) return;
    u64 exponent[1] = {from};
    Fr factor = -(shiftInverse.pow(exponent, 1) * half);  // differences have the other sign
    for (size_t i = 0; i < count; i++, factor *= shiftInverse) {
      s.combiner.add(&differences[from + i], toSigned(factor.fromMontgomery().l));
      s.combiner.close(&powers[from + i]);
    }
    s.combiner.run();
    progress.add((double)count);
  });
  // snarkjs hashes one point too many from 2^15 rows on; where the file ends before it, whoever calls says what was read.
  if (!complete) differences[n - 1] = Affine<Fq>::infinity();
  if (ptau.prepared) {
    PageVector<Affine<Fq>> both(2 * n);
    ptau.read(12, 2 * n - 1, 2 * n, both.data(), control);
    std::vector<SignedScalar> scalars(n);
    std::vector<Fr> values(n);
    drawCoefficients(random, drawn, scalars.data(), n);
    memcpy(static_cast<void*>(values.data()), scalars.data(), n * sizeof(Fr));
    // Σ sⱼ·Hⱼ = Σ_k cₖ·(τ^k − τ^(k+n)) with c the interpolation of s from the coset, over 2
    transform(reinterpret_cast<uint8_t*>(values.data()), n, true, true, control);
    for (size_t j = 0; j < n; j++) powers[j] = both[2 * j + 1];
    // τ^(2n−1) is in them where the file goes on, and also where it was cut: snarkjs cuts the Lagrange forms as they are.
    // Then it is τ^(n−1) less what no proof uses, Σ 2·ω₂ₙ^((2j+1)(n−1))·Hⱼ.
    G1 past = G1::infinity();
    if (continued) {
      past = ptau.point<Fq>(2, 2 * n - 1);
    } else {
      std::vector<Fr> weights(n, Fr::zero());
      weights[n - 1].l[0] = 2;
      transform(reinterpret_cast<uint8_t*>(weights.data()), n, false, true, control);
      std::vector<SignedScalar> w(n);
      for (size_t j = 0; j < n; j++) w[j] = toSigned(weights[j].l);
      past = ptau.point<Fq>(2, n - 1) + sumOf(powers.data(), w.data(), n, control).negated();
    }
    if (!complete && !past.isInfinity()) {
      // Without it: less (ω₂ₙ^(2j+1)/2n)·τ^(2n−1).
      const FixedBase<Fq> last(past, n);
      const Fr root = Domain::rootOfUnity(power), minusHalf = -half;
      std::vector<FixedBase<Fq>::Scratch> fixed(std::max(1u, control.threads));
      constexpr size_t STEP = FixedBase<Fq>::BLOCK;
      parallel(control, (n + STEP - 1) / STEP, [&](size_t task, size_t worker) {
        const size_t from = task * STEP, count = std::min(n, from + STEP) - from, padded = (count + LANES - 1) / LANES * LANES;
        const u64 exponent[1] = {from};
        Fr factor = root.pow(exponent, 1) * Domain::rootOfUnity(power + 1) * minusHalf;
        std::vector<SignedScalar> scalars(count);
        for (size_t i = 0; i < count; i++, factor *= root) scalars[i] = toSigned(factor.fromMontgomery().l);
        SecretVector<Affine<Fq>> terms(padded);
        last.multiply(scalars.data(), count, terms.data(), fixed[worker]);
        const Affine<Fq> nowhere = Affine<Fq>::infinity();
        std::vector<PointRef> a(padded, refTo(&nowhere, 0)), b(padded, refTo(&nowhere, 0));
        for (size_t i = 0; i < count; i++) {
          a[i] = refTo(&powers[from + i], 0);
          b[i] = refTo(&terms[i], 0);
        }
        addPairs(a.data(), b.data(), terms.data(), padded, fixed[worker].batch);
        std::copy_n(terms.data(), count, powers.data() + from);
      });
    }
    const G1 ofGiven = sumOf(powers.data(), scalars.data(), n, control);
    const Fr factor = -Fr::fromInteger(2).inverse();
    // The last difference as it was used, without its missing power.
    std::vector<Affine<Fq>> lastOnes(1);
    for (size_t k = 0; k < n; k++) scalars[k] = toSigned((values[k] * factor).l);
    if (!complete) {
      ptau.read(2, n - 1, 1, lastOnes.data(), control);
      lastOnes[0] = (Point<Fq>::fromAffine(lastOnes[0]).negated()).toAffine();
      std::swap(differences[n - 1], lastOnes[0]);
    }
    const G1 ofPowers = sumOf(differences.data(), scalars.data(), n, control);
    if (!complete) std::swap(differences[n - 1], lastOnes[0]);
    if (!samePoint(ofGiven, ofPowers)) PtauFile::fail("a Lagrange section does not belong to the powers");
  } else {
    inverseTransform(powers.data(), power, false, control, progress);
  }
  writePoints(file, file.section(9, n * 64), powers.data(), n, control);
  writePoints(file, file.section(16, n * 64), differences.data(), n, control);
  file.finish();
}

// Development powers: τ, α and β are drawn here. Whoever runs this could keep them, and forge proofs for every key made
// from the file, which is stamped and has no contribution. lagrange: prepare them as well.
constexpr uint32_t STAMP_SECTION = 0x70616e61;  // "anap"

inline void newPtau(unsigned power, bool lagrange, const std::string& out, Bytes stamp, const Control& control) {
  if (power < 1 || power > 24) throw Failure(Code::InputInvalid, "development powers of tau are made up to 2^24");
  const size_t n = (size_t)1 << power;
  SecretVector<Fr> secrets(3);
  Fr &tau = secrets[0], &alpha = secrets[1], &beta = secrets[2];
  for (Fr& secret : secrets) secret = randomScalar();
  Progress progress(control, (double)n * (lagrange ? 21 : 7));
  const FixedBase<Fq> base1(generator<Fq>(), 8 * n);
  const FixedBase<Fq2> base2(generator<Fq2>(), 3 * n);
  OutputFile file(out, "ptau", 1, lagrange ? 12 : 8);
  uint8_t header[44];
  const uint32_t size = 32, p32 = power;
  memcpy(header, &size, 4);
  memcpy(header + 4, Fq::P, 32);
  memcpy(header + 36, &p32, 4);
  memcpy(header + 40, &p32, 4);
  file.section(1, header, sizeof header);
  // value(i) is the discrete logarithm of point i, computed from `from` on by step().
  auto series = [&](auto tag, const auto& base, uint64_t offset, size_t count, const auto& valuesOf) {
    using F = decltype(tag);
    using Base = FixedBase<F>;
    std::vector<typename Base::Scratch> scratch(std::max(1u, control.threads));
    parallel(control, (count + Base::BLOCK - 1) / Base::BLOCK, [&](size_t task, size_t worker) {
      const size_t from = task * Base::BLOCK, m = std::min(count, from + Base::BLOCK) - from;
      SecretVector<Fr> values(m);
      SecretVector<SignedScalar> scalars(m);
      valuesOf(from, m, values.data());
      for (size_t i = 0; i < m; i++) scalars[i] = toSigned(values[i].fromMontgomery().l);
      SecretVector<Affine<F>> points((m + LANES - 1) / LANES * LANES);
      base.multiply(scalars.data(), m, points.data(), scratch[worker]);
      std::vector<uint8_t> bytes(m * POINT_BYTES<F>);
      for (size_t i = 0; i < m; i++) toFile(points[i], bytes.data() + i * POINT_BYTES<F>);
      file.write(offset + from * POINT_BYTES<F>, bytes.data(), bytes.size());
      progress.add((double)m * (sizeof(F) == sizeof(Fq) ? 1 : 2.5));
    });
  };
  auto powersOf = [&](const Fr& factor) {
    return [&tau, factor](size_t from, size_t m, Fr* values) {
      u64 exponent[1] = {from};
      Fr v = tau.pow(exponent, 1) * factor;
      for (size_t i = 0; i < m; i++, v *= tau) values[i] = v;
    };
  };
  const Fr one = Fr::one();
  series(Fq{}, base1, file.section(2, (2 * n - 1) * 64), 2 * n - 1, powersOf(one));
  series(Fq2{}, base2, file.section(3, n * 128), n, powersOf(one));
  series(Fq{}, base1, file.section(4, n * 64), n, powersOf(alpha));
  series(Fq{}, base1, file.section(5, n * 64), n, powersOf(beta));
  series(Fq2{}, base2, file.section(6, 128), 1, powersOf(beta));
  const uint32_t none = 0;
  file.section(7, &none, 4);
  // L_j(τ)·m = ω^j·(τ^m − 1)/(τ − ω^j), where the top level of section 12 lacks its last power τ^(m−1)·ω^(−j(m−1)).
  auto level = [&](auto tag, const auto& base, uint64_t offset, unsigned q, const Fr& factor, bool cut) {
    const size_t m = (size_t)1 << q;
    const Fr root = Domain::rootOfUnity(q);
    u64 order[1] = {m};
    const Fr top = tau.pow(order, 1), over = Fr::fromInteger(m).inverse() * factor, last = top * tau.inverse();
    series(tag, base, offset, m, [&](size_t from, size_t count, Fr* values) {
      u64 exponent[1] = {from};
      Fr w = root.pow(exponent, 1);
      SecretVector<Fr> inverses(count);
      Fr x = w;
      for (size_t i = 0; i < count; i++, x *= root) inverses[i] = tau - x;
      invertAll(inverses.data(), count);
      x = w;
      for (size_t i = 0; i < count; i++, x *= root) {
        Fr sum = (top - one) * inverses[i] * x;
        if (cut) sum -= last * x;  // ω^(−j(m−1)) = ω^j
        values[i] = sum * over;
      }
    });
  };
  if (lagrange) {
    // Levels of one point are τ^0 and its like.
    auto levels = [&](auto tag, const auto& base, uint32_t type, const Fr& factor) {
      using F = decltype(tag);
      const unsigned top = type == 12 ? power + 1 : power;
      uint64_t offset = file.section(type, (((uint64_t)2 << top) - 1) * POINT_BYTES<F>);
      for (unsigned q = 0; q <= top; q++) {
        if (q == 0) {
          series(tag, base, offset, 1, powersOf(factor));
        } else {
          level(tag, base, offset, q, factor, q > power);
        }
        offset += POINT_BYTES<F> << q;
      }
    };
    levels(Fq{}, base1, 12, one);
    levels(Fq2{}, base2, 13, one);
    levels(Fq{}, base1, 14, alpha);
    levels(Fq{}, base1, 15, beta);
  }
  file.section(STAMP_SECTION, stamp.data, stamp.size);
  file.finish();
}

}  // namespace ENGINE_NS
}  // namespace anchorproof
