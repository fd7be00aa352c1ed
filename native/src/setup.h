// Keys: a development key from a trapdoor that is drawn and wiped here; a phase-2 key from powers of tau, contributions
// to it, and the check of a key against its circuit and powers. S. Bowe, A. Gabizon, I. Miers, "Scalable Multi-party
// Computation for zk-SNARK Parameters in the Random Beacon Model" (eprint 2017/1050), in snarkjs' formats.
//
// Column sums of the constraint system, with the rows' Lagrange polynomials at τ: Aᵢ(τ), Bᵢ(τ), Cᵢ(τ) for wire i, and
// Kᵢ = β·Aᵢ + α·Bᵢ + Cᵢ. A key holds A (G1), B (G1 and G2), K of the public wires ("IC", over γ = 1), K/δ of the others
// ("C"), and H/δ.
#pragma once

#include "ptau.h"
#include "provingkey.h"
#include "r1cs.h"

namespace anchorproof {
namespace ENGINE_NS {

struct KeyHeader {
  uint32_t wires, publics, domain;
  Affine<Fq> alpha1, beta1, delta1;
  Affine<Fq2> beta2, gamma2, delta2;
};

constexpr size_t HEADER_BYTES = 4 + 32 + 4 + 32 + 12 + 3 * 64 + 3 * 128;

// Sections 1 and 2 of a .zkey.
inline void writeHeader(OutputFile& file, const KeyHeader& key) {
  const uint32_t groth16 = 1, size = 32;
  file.section(1, &groth16, 4);
  uint8_t bytes[HEADER_BYTES], *at = bytes;
  auto put = [&](const void* from, size_t n) {
    memcpy(at, from, n);
    at += n;
  };
  put(&size, 4);
  put(Fq::P, 32);
  put(&size, 4);
  put(Fr::P, 32);
  put(&key.wires, 4);
  put(&key.publics, 4);
  put(&key.domain, 4);
  auto point = [&](const auto& p, size_t n) {
    toFile(p, at);
    at += n;
  };
  point(key.alpha1, 64);
  point(key.beta1, 64);
  point(key.beta2, 128);
  point(key.gamma2, 128);
  point(key.delta1, 64);
  point(key.delta2, 128);
  file.section(2, bytes, sizeof bytes);
}

inline void writeCoefficients(OutputFile& file, const R1csFile& r1cs, const Control& control) {
  const uint32_t count = (uint32_t)countCoefficients(r1cs, control);
  uint64_t at = file.section(4, 4 + (uint64_t)count * COEFFICIENT_BYTES);
  file.write(at, &count, 4);
  at += 4;
  forCoefficients(r1cs, control, [&](const uint8_t* bytes, size_t size) {
    file.write(at, bytes, size);
    at += size;
  });
}

// ---- development keys ----

// Discrete logarithms of a key, all secret.
struct KeyScalars {
  SecretVector<Fr> trapdoor;  // α, β, δ
  SecretVector<Fr> a, b, k, h;
};

inline KeyScalars evaluateAtSecret(const R1csFile& r1cs, const Control& control) {
  const unsigned power = r1cs.power();
  const size_t n = (size_t)1 << power;
  KeyScalars key;
  key.trapdoor.resize(3);
  SecretVector<Fr> secrets(4);  // τ; τ^n − 1 over n; τ^2n − 1 over 2n·δ; 1/δ
  auto& [tau, overN, over2N, deltaInverse] = *reinterpret_cast<Fr(*)[4]>(secrets.data());
  const u64 order[1] = {n};
  do {
    tau = randomScalar();
    overN = tau.pow(order, 1);
    over2N = overN.sqr();
    // Outside of both domains, so that no denominator below is zero.
  } while (over2N == Fr::one() || tau.isZero());
  for (Fr& value : key.trapdoor) {
    do value = randomScalar();
    while (value.isZero() || value == Fr::one() || value == -Fr::one());
  }
  const Fr &alpha = key.trapdoor[0], &beta = key.trapdoor[1];
  deltaInverse = key.trapdoor[2].inverse();
  overN = (overN - Fr::one()) * Fr::fromInteger(n).inverse();
  over2N = (over2N - Fr::one()) * Fr::fromInteger(2 * n).inverse() * deltaInverse;

  // L_j = ω^j·(τ^n − 1)/(n·(τ − ω^j)); H_j is the same over the roots of order 2n, at the odd ones, and over δ.
  SecretVector<Fr> lagrange(n);
  key.h.resize(n);
  const Fr root = Domain::rootOfUnity(power), shift = Domain::rootOfUnity(power + 1);
  constexpr size_t PIECE = 4096;
  parallel(control, (n + PIECE - 1) / PIECE, [&](size_t piece, size_t) {
    const size_t from = piece * PIECE, count = std::min(n, from + PIECE) - from;
    u64 exponent[1] = {from};
    const Fr start = root.pow(exponent, 1);
    SecretVector<Fr> inverses(count), before(count);
    for (int odd = 0; odd < 2; odd++) {
      Fr w = odd ? start * shift : start, product = Fr::one();
      for (size_t i = 0; i < count; i++, w *= root) {
        inverses[i] = tau - w;
        before[i] = product;
        product *= inverses[i];
      }
      product = product.inverse();
      w = odd ? start * shift : start;
      Fr* out = (odd ? key.h.data() : lagrange.data()) + from;
      for (size_t i = count; i-- > 0;) {
        out[i] = product * before[i];
        product *= inverses[i];
      }
      for (size_t i = 0; i < count; i++, w *= root) out[i] *= w * (odd ? over2N : overN);
      wipe(&product, sizeof product);
    }
  });

  key.a.resize(r1cs.wires);
  key.b.resize(r1cs.wires);
  key.k.resize(r1cs.wires);
  for (auto* values : {&key.a, &key.b, &key.k}) std::fill(values->begin(), values->end(), Fr::zero());
  const Fr one{{1, 0, 0, 0}};
  r1cs.forEach(control, [&](uint32_t matrix, uint32_t row, uint32_t wire, const Fr& value) {
    SecretVector<Fr>& sums = matrix == 0 ? key.a : matrix == 1 ? key.b : key.k;
    // value is not in Montgomery form: R² brings it there.
    sums[wire] += value == one ? lagrange[row] : value.toMontgomery() * lagrange[row];
  });
  for (uint32_t s = 0; s <= r1cs.publics; s++) key.a[s] += lagrange[r1cs.rows + s];
  parallel(control, (r1cs.wires + PIECE - 1) / PIECE, [&](size_t piece, size_t) {
    for (size_t i = piece * PIECE, to = std::min<size_t>(r1cs.wires, i + PIECE); i < to; i++) {
      key.k[i] += beta * key.a[i] + alpha * key.b[i];
      if (i > r1cs.publics) key.k[i] *= deltaInverse;
    }
  });
  return key;
}

// values[i]·base, written as points; zeros are points at infinity.
template <class F>
void writeMultiples(OutputFile& file, uint64_t offset, const FixedBase<F>& base, const Fr* values, size_t n,
                    const Control& control, Progress& progress) {
  using Base = FixedBase<F>;
  std::vector<typename Base::Scratch> scratch(std::max(1u, control.threads));
  parallel(control, (n + Base::BLOCK - 1) / Base::BLOCK, [&](size_t task, size_t worker) {
    const size_t from = task * Base::BLOCK, count = std::min(n, from + Base::BLOCK) - from;
    SecretVector<SignedScalar> scalars;
    scalars.reserve(count);
    for (size_t i = 0; i < count; i++) {
      if (!values[from + i].isZero()) scalars.push_back(toSigned(values[from + i].fromMontgomery().l));
    }
    SecretVector<Affine<F>> points((scalars.size() + LANES - 1) / LANES * LANES);
    base.multiply(scalars.data(), scalars.size(), points.data(), scratch[worker]);
    std::vector<uint8_t> bytes(count * POINT_BYTES<F>, 0);
    for (size_t i = 0, k = 0; i < count; i++) {
      if (!values[from + i].isZero()) toFile(points[k++], bytes.data() + i * POINT_BYTES<F>);
    }
    file.write(offset + from * POINT_BYTES<F>, bytes.data(), bytes.size());
    progress.add((double)count * (sizeof(F) == sizeof(Fq) ? 1 : 2.5));
  });
}

inline void setupDevelopment(const std::string& r1csPath, const std::string& out, Bytes stamp, const Control& control) {
  const R1csFile r1cs(r1csPath);
  if (r1cs.power() > 27) throw Failure(Code::InputInvalid, "the circuit has more than 2^27 rows");
  const size_t n = (size_t)1 << r1cs.power(), wires = r1cs.wires, fixed = r1cs.publics + 1;
  OutputFile file(out, "zkey", 1, 11);
  const KeyScalars key = evaluateAtSecret(r1cs, control);
  Progress progress(control, 5.5 * (double)wires + (double)n);
  const FixedBase<Fq> base1(generator<Fq>(), 3 * wires + n);
  const FixedBase<Fq2> base2(generator<Fq2>(), wires);

  KeyHeader header{r1cs.wires, r1cs.publics, (uint32_t)n, {}, {}, {}, {}, generator<Fq2>().toAffine(), {}};
  {
    SecretVector<SignedScalar> scalars;
    for (const Fr& value : key.trapdoor) scalars.push_back(toSigned(value.fromMontgomery().l));
    Affine<Fq> first[LANES > 3 ? LANES : 3];
    Affine<Fq2> second[LANES > 3 ? LANES : 3];
    FixedBase<Fq>::Scratch scratch1;
    FixedBase<Fq2>::Scratch scratch2;
    base1.multiply(scalars.data(), 3, first, scratch1);
    base2.multiply(scalars.data(), 3, second, scratch2);
    header.alpha1 = first[0], header.beta1 = first[1], header.delta1 = first[2];
    header.beta2 = second[1], header.delta2 = second[2];
  }
  writeHeader(file, header);
  writeCoefficients(file, r1cs, control);
  writeMultiples(file, file.section(3, fixed * 64), base1, key.k.data(), fixed, control, progress);
  writeMultiples(file, file.section(9, n * 64), base1, key.h.data(), n, control, progress);
  writeMultiples(file, file.section(8, (wires - fixed) * 64), base1, key.k.data() + fixed, wires - fixed, control, progress);
  writeMultiples(file, file.section(5, wires * 64), base1, key.a.data(), wires, control, progress);
  writeMultiples(file, file.section(6, wires * 64), base1, key.b.data(), wires, control, progress);
  writeMultiples(file, file.section(7, wires * 128), base2, key.b.data(), wires, control, progress);
  const uint8_t transcript[68] = {};
  file.section(10, transcript, sizeof transcript);
  file.section(STAMP_SECTION, stamp.data, stamp.size);
  file.finish();
}

// ---- phase 2 ----

// The constraint system by columns: entries of wire i in matrix m are starts[m][i] … starts[m][i + 1].
struct Columns {
  std::vector<uint32_t> starts[3];
  struct Entry {
    uint32_t row, value;
  };
  std::vector<Entry> entries[3];
  std::vector<SignedScalar> values;

  Columns(const R1csFile& r1cs, const Control& control) {
    for (auto& s : starts) s.assign((size_t)r1cs.wires + 1, 0);
    uint64_t counts[3] = {(uint64_t)r1cs.publics + 1, 0, 0};
    r1cs.forEach(control, [&](uint32_t matrix, uint32_t, uint32_t wire, const Fr&) {
      starts[matrix][wire + 1]++;
      counts[matrix]++;
    });
    for (uint64_t count : counts) {
      if (count >= UINT32_MAX) throw Failure(Code::InputInvalid, "the constraint system has too many entries");
    }
    for (uint32_t s = 0; s <= r1cs.publics; s++) starts[0][s + 1]++;
    std::vector<uint32_t> next[3];
    for (int m = 0; m < 3; m++) {
      for (size_t i = 0; i < r1cs.wires; i++) starts[m][i + 1] += starts[m][i];
      entries[m].resize(starts[m][r1cs.wires]);
      next[m].assign(starts[m].begin(), starts[m].end() - 1);
    }
    const Fr one{{1, 0, 0, 0}};
    ValueTable table({one});
    r1cs.forEach(control, [&](uint32_t matrix, uint32_t row, uint32_t wire, const Fr& value) {
      if (next[matrix][wire] >= starts[matrix][wire + 1]) throw Failure(Code::Io, "the constraint system changed while it was read");
      entries[matrix][next[matrix][wire]++] = {row, table.indexOf(value)};
    });
    for (uint32_t s = 0; s <= r1cs.publics; s++) {
      if (next[0][s] >= starts[0][s + 1]) throw Failure(Code::Io, "the constraint system changed while it was read");
      entries[0][next[0][s]++] = {r1cs.rows + s, 0};
    }
    values.reserve(table.all().size());
    for (const Fr& value : table.all()) values.push_back(toSigned(value.l));
  }
};

// A matrix and the points that its rows stand for.
template <class F>
struct ColumnTerm {
  int matrix;
  const Affine<F>* rows;
};

// out[i − from] = Σ over the terms of Σ value·rows[row], for wires from ≤ i < to. Sums of ±1 only, most of all, are plain
// additions. Others are sorted by the length of their coefficients, as each group of sums doubles as often as its longest.
template <class F>
void sumColumns(const Columns& columns, const std::vector<ColumnTerm<F>>& terms, size_t from, size_t to, Affine<F>* out,
                const Control& control, Progress& progress) {
  constexpr size_t WIRES = 8192, BLOCK = sizeof(F) == sizeof(Fq) ? 8192 : 4096;
  struct Scratch {
    LinearCombiner<F> combiner;
    GroupAdder<F> adder;
    BatchScratch<F> batch;
    std::vector<std::pair<unsigned, uint32_t>> order;
    std::vector<Affine<F>> parts;
    std::vector<PointRef> partRefs;
  };
  std::vector<Scratch> scratch(std::max(1u, control.threads));
  auto bits = [](const SignedScalar& s) -> unsigned {
    const u64 top = s.w[3] & ~SIGN_BIT;
    if (top | s.w[2]) return 128;
    return s.w[1] ? 128 - (unsigned)__builtin_clzll(s.w[1]) : s.w[0] ? 64 - (unsigned)__builtin_clzll(s.w[0]) : 0;
  };
  parallel(control, (to - from + WIRES - 1) / WIRES, [&](size_t task, size_t worker) {
    Scratch& s = scratch[worker];
    const size_t first = from + task * WIRES, end = std::min(to, first + WIRES);
    s.order.clear();
    s.adder.reserve(BLOCK + 1);
    auto forTerms = [&](size_t wire, auto visit) {
      for (const ColumnTerm<F>& term : terms) {
        const auto& starts = columns.starts[term.matrix];
        for (size_t i = starts[wire]; i < starts[wire + 1]; i++) {
          const auto& entry = columns.entries[term.matrix][i];
          visit(term.rows + entry.row, columns.values[entry.value]);
        }
      }
    };
    for (size_t wire = first; wire < end; wire++) {
      unsigned longest = 0;
      forTerms(wire, [&](const Affine<F>*, const SignedScalar& value) { longest = std::max(longest, bits(value)); });
      Affine<F>& target = out[wire - from];
      target = Affine<F>::infinity();
      if (longest > 1) {
        s.order.push_back({longest, (uint32_t)(wire - first)});
        continue;
      }
      forTerms(wire, [&](const Affine<F>* point, const SignedScalar& value) {
        if (longest == 0 || bits(value) == 0) return;
        if (s.adder.size() == BLOCK) {
          s.adder.close(&target);
          s.adder.run(s.batch);
        }
        // What came before goes on.
        if (!target.isInfinity() && s.adder.isOpen() == false) s.adder.add(refTo(&target, 0));
        s.adder.add(refTo(point, value.w[3] >> 63));
      });
      s.adder.close(&target);
      if (s.adder.size() + 64 > BLOCK) s.adder.run(s.batch);
    }
    s.adder.run(s.batch);
    throwIfAborted(control);

    // Short coefficients first; within a length the order of the wires, whose rows are neighbours.
    std::stable_sort(s.order.begin(), s.order.end(), [](const auto& a, const auto& b) { return a.first / 16 < b.first / 16; });
    for (size_t i = 0; i < s.order.size(); i++) {
      const size_t wire = first + s.order[i].second;
      Affine<F>* target = &out[wire - from];
      forTerms(wire, [&](const Affine<F>* point, const SignedScalar& value) {
        if (s.combiner.terms() == LinearCombiner<F>::MAX_TERMS) {
          // A long sum is cut in parts, which are added up one by one.
          Affine<F> part;
          s.combiner.close(&part);
          s.combiner.run();
          *target = (Point<F>::fromAffine(*target) + Point<F>::fromAffine(part)).toAffine();
          throwIfAborted(control);
        }
        s.combiner.add(point, value);
      });
      if (target->isInfinity()) {
        s.combiner.close(target);
      } else {
        Affine<F> part;
        s.combiner.close(&part);
        s.combiner.run();
        *target = (Point<F>::fromAffine(*target) + Point<F>::fromAffine(part)).toAffine();
      }
      const bool lengthEnds = i + 1 == s.order.size() || s.order[i].first / 16 != s.order[i + 1].first / 16;
      if (s.combiner.sums() == LinearCombiner<F>::MAX_SUMS || s.combiner.terms() + 64 > LinearCombiner<F>::MAX_TERMS ||
          (lengthEnds && s.order[i].first <= 64)) {
        s.combiner.run();
        throwIfAborted(control);
      }
    }
    s.combiner.run();
    progress.add((double)(end - first) * (sizeof(F) == sizeof(Fq) ? 1 : 3));
  });
}

class BasisFile {
 public:
  uint32_t power;
  bool complete;  // τ^(2n−1) is in H

  explicit BasisFile(const std::string& path) : file_(path) {
    auto read = [&](uint64_t at, void* out, size_t size) { file_.read(at, out, size, CODE); };
    sections_ = readSections(file_.size(), BASIS_MAGIC, 1, CODE, read);
    uint32_t header[2];
    if (section(1).size != sizeof header) PtauFile::fail("the basis has a damaged header");
    read(section(1).offset, header, sizeof header);
    power = header[0];
    complete = header[1] != 0;
    if (power < 1 || power > 27) PtauFile::fail("the basis has a damaged header");
    const uint64_t n = (uint64_t)1 << power;
    const uint64_t sizes[][2] = {{2, 128}, {3, 128}, {12, 64 * n}, {13, 128 * n}, {14, 64 * n}, {15, 64 * n}, {9, 64 * n}, {16, 64 * n}};
    for (const auto& [type, size] : sizes) {
      if (section((uint32_t)type).size != size) PtauFile::fail("the basis is damaged");
    }
  }

  template <class F>
  void read(uint32_t type, size_t from, size_t n, Affine<F>* out, const Control& control) const {
    readPoints(file_, section(type).offset + from * POINT_BYTES<F>, n, out, CODE, "the basis", control);
  }

 private:
  static constexpr Code CODE = Code::PtauInvalid;
  InputFile file_;
  std::map<uint32_t, Section> sections_;
  Section section(uint32_t type) const { return sectionOf(sections_, type, CODE); }
};

// The initial key of a circuit, γ = δ = 1: anybody can forge with it until somebody has contributed.
//
// hash: snarkjs' name of the circuit, BLAKE2b over the key's points. tail: from 2^15 rows on snarkjs also hashes
// τ^(2n−1) − τ^(n−1), and where the powers end before τ^(2n−1), what its arithmetic makes of the bytes that follow them in
// the file; 64 bytes then, or none where that is not known, and the hash is not snarkjs'.
inline void newPhase2(const std::string& r1csPath, const std::string& basisPath, const std::string& out, Bytes tail,
                      uint8_t (&hash)[64], const Control& control) {
  const R1csFile r1cs(r1csPath);
  const BasisFile basis(basisPath);
  if (basis.power != r1cs.power()) throw Failure(Code::InputInvalid, "the basis is for circuits of another size");
  const size_t n = (size_t)1 << basis.power, wires = r1cs.wires, fixed = r1cs.publics + 1;
  Progress progress(control, 6.0 * (double)wires + 0.3 * (double)n);
  OutputFile file(out, "zkey", 1, 10);
  KeyHeader header{r1cs.wires, r1cs.publics, (uint32_t)n, {}, {}, {}, {}, {}, {}};
  basis.read(2, 0, 1, &header.alpha1, control);
  basis.read(2, 1, 1, &header.beta1, control);
  basis.read(3, 0, 1, &header.beta2, control);
  header.delta1 = generator<Fq>().toAffine();
  header.gamma2 = header.delta2 = generator<Fq2>().toAffine();
  writeHeader(file, header);
  Blake2b hasher;
  auto hashPoints = [&](const auto* points, size_t count) {
    using F = std::decay_t<decltype(points->x)>;
    std::vector<uint8_t> bytes(IO_PIECE * POINT_BYTES<F>);
    for (size_t from = 0; from < count; from += IO_PIECE) {
      const size_t m = std::min(count, from + IO_PIECE) - from;
      parallel(control, (m + 1023) / 1024, [&](size_t piece, size_t) {
        for (size_t i = piece * 1024, to = std::min(m, i + 1024); i < to; i++) toHashInput(points[from + i], bytes.data() + i * POINT_BYTES<F>);
      });
      hasher.update(bytes.data(), m * POINT_BYTES<F>);
    }
  };
  auto hashCount = [&](size_t count) {
    const uint8_t bytes[4] = {(uint8_t)(count >> 24), (uint8_t)(count >> 16), (uint8_t)(count >> 8), (uint8_t)count};
    hasher.update(bytes, 4);
  };
  hashPoints(&header.alpha1, 1);
  hashPoints(&header.beta1, 1);
  hashPoints(&header.beta2, 1);
  hashPoints(&header.gamma2, 1);
  hashPoints(&header.delta1, 1);
  hashPoints(&header.delta2, 1);
  writeCoefficients(file, r1cs, control);
  const Columns columns(r1cs, control);
  PageVector<Affine<Fq>> tau(n);
  basis.read(12, 0, n, tau.data(), control);
  {
    PageVector<Affine<Fq>> alphaTau(n), betaTau(n), k(wires);
    basis.read(14, 0, n, alphaTau.data(), control);
    basis.read(15, 0, n, betaTau.data(), control);
    sumColumns<Fq>(columns, {{0, betaTau.data()}, {1, alphaTau.data()}, {2, tau.data()}}, 0, wires, k.data(), control, progress);
    writePoints(file, file.section(3, fixed * 64), k.data(), fixed, control);
    hashCount(fixed);
    hashPoints(k.data(), fixed);
    // H, as it is in the basis
    uint64_t at = file.section(9, n * 64);
    PageVector<Affine<Fq>>& h = alphaTau;
    basis.read(9, 0, n, h.data(), control);
    writePoints(file, at, h.data(), n, control);
    basis.read(16, 0, n, h.data(), control);
    hashCount(n - 1);
    hashPoints(h.data(), n - 1);
    if (n >= (size_t)1 << 15) {
      if (basis.complete) {
        hashPoints(h.data() + n - 1, 1);
      } else {
        hasher.update(tail.data, tail.size);
      }
    }
    writePoints(file, file.section(8, (wires - fixed) * 64), k.data() + fixed, wires - fixed, control);
    hashCount(wires - fixed);
    hashPoints(k.data() + fixed, wires - fixed);
  }
  auto whole = [&](auto tag, uint32_t type, int matrix, const auto& rows) {
    using F = decltype(tag);
    PageVector<Affine<F>> points(wires);
    sumColumns<F>(columns, {{matrix, rows.data()}}, 0, wires, points.data(), control, progress);
    writePoints(file, file.section(type, wires * POINT_BYTES<F>), points.data(), wires, control);
    hashCount(wires);
    hashPoints(points.data(), wires);
  };
  whole(Fq{}, 5, 0, tau);
  whole(Fq{}, 6, 1, tau);
  PageVector<Affine<Fq>>().swap(tau);
  PageVector<Affine<Fq2>> tau2(n);
  basis.read(13, 0, n, tau2.data(), control);
  whole(Fq2{}, 7, 1, tau2);
  const Blake2b::Digest digest = hasher.finish();
  memcpy(hash, digest.data(), 64);
  uint8_t transcript[68] = {};
  memcpy(transcript, hash, 64);
  file.section(10, transcript, sizeof transcript);
  file.finish();
}

[[noreturn]] inline void wrongKey(const char* reason) { throw Failure(Code::KeyMalformed, std::string("the key is refused: ") + reason); }

// Copies a section.
inline void copySection(const ZkeyFile& from, OutputFile& to, uint32_t type, const Control& control) {
  const Section section = from.section(type);
  uint64_t at = to.section(type, section.size);
  std::vector<uint8_t> buffer((size_t)1 << 20);
  for (uint64_t done = 0; done < section.size; done += buffer.size()) {
    throwIfAborted(control);
    size_t take = (size_t)std::min<uint64_t>(buffer.size(), section.size - done);
    from.file().read(section.offset + done, buffer.data(), take, Code::KeyMalformed);
    to.write(at + done, buffer.data(), take);
  }
}

// What a contributor knows: the factor of δ. It leaves this object only as points.
class Contributor : public DeltaSecret {
 public:
  // entropy: whatever the contributor adds to the operating system's randomness
  explicit Contributor(Bytes entropy) : secret_(1) {
    do {
      uint8_t fresh[64];
      osRandom(fresh, sizeof fresh);
      Blake2b hash;
      Blake2b::Digest digest = hash.update(fresh, sizeof fresh).update(entropy.data, entropy.size).finish();
      u64 wide[8];
      memcpy(wide, digest.data(), sizeof wide);
      secret_[0] = scalarFromWide(wide);
      wipe(wide, sizeof wide);
      wipe(fresh, sizeof fresh);
      wipe(&digest, sizeof digest);
      wipe(&hash, sizeof hash);
    } while (isTrivial());
    u64 words[4];
    randomScalar().write(reinterpret_cast<uint8_t*>(words));
    writePoint(generator<Fq>().times(words), point_);
  }
  // A public secret, such as a beacon's: 32 bytes, and a point of G1.
  Contributor(Bytes secret, Bytes point) : secret_(1) {
    if (secret.size != 32 || point.size != 64 || !Fr::read(secret.data, secret_[0]) || isTrivial()) {
      throw Failure(Code::InputInvalid, "the secret must be a scalar other than 0, 1 and -1, and its point one of G1");
    }
    if (readPoint<Fq>(point.data, Code::InputInvalid, "the point").isInfinity()) {
      throw Failure(Code::InputInvalid, "the point is the one at infinity");
    }
    memcpy(point_, point.data, sizeof point_);
  }

  void publicKey(uint8_t* out) const override {
    memcpy(out, point_, 64);
    multiply(1, {point_, 64}, out + 64);
  }

  void multiply(int group, Bytes point, uint8_t* out) const override {
    SecretVector<std::array<u64, 4>> words(1);
    secret_[0].write(reinterpret_cast<uint8_t*>(words.data()));
    const auto& scalar = *reinterpret_cast<const u64(*)[4]>(words.data());
    if (point.size != (group == 1 ? 64u : 128u)) throw Failure(Code::InputInvalid, "the point has the wrong length");
    if (group == 1) {
      writePoint(readPoint<Fq>(point.data, Code::InputInvalid, "the point").times(scalar), out);
    } else {
      writePoint(readPoint<Fq2>(point.data, Code::InputInvalid, "the point").times(scalar), out);
    }
  }

  void apply(const std::string& from, const std::string& to, Bytes transcript, const Control& control) const override {
    const ZkeyFile key(from);
    const KeyInfo& info = key.info();
    // Also that δ·G2 is of the group: multiples of a point outside of it would give away the secret modulo small primes.
    if (!pairingsAgree(key.delta1, generator<Fq2>(), generator<Fq>(), key.delta2)) wrongKey("delta differs between G1 and G2");
    Progress progress(control, (double)info.variables + info.domain);
    OutputFile file(to, "zkey", 1, 10);
    SecretVector<std::array<u64, 4>> words(1);
    secret_[0].write(reinterpret_cast<uint8_t*>(words.data()));
    const auto& scalar = *reinterpret_cast<const u64(*)[4]>(words.data());
    writeHeader(file, {info.variables, info.publics, info.domain, key.alpha1.toAffine(), key.beta1.toAffine(),
                       key.delta1.times(scalar).toAffine(), key.beta2.toAffine(), key.gamma2.toAffine(), key.delta2.times(scalar).toAffine()});
    for (uint32_t type : {3, 4, 5, 6, 7}) copySection(key, file, type, control);
    SecretVector<SignedScalar> inverse(1);
    {
      SecretVector<Fr> value(1);
      value[0] = secret_[0].inverse().fromMontgomery();
      inverse[0] = toSigned(value[0].l);
    }
    constexpr size_t BLOCK = LinearCombiner<Fq>::MAX_SUMS;
    std::vector<LinearCombiner<Fq>> combiners(std::max(1u, control.threads));
    for (uint32_t type : {8, 9}) {
      const Section section = key.section(type);
      const size_t n = section.size / 64;
      const uint64_t at = file.section(type, section.size);
      parallel(control, (n + BLOCK - 1) / BLOCK, [&](size_t task, size_t worker) {
        const size_t first = task * BLOCK, count = std::min(n, first + BLOCK) - first;
        std::vector<uint8_t> bytes(count * 64);
        std::vector<Affine<Fq>> points(count);
        key.file().read(section.offset + first * 64, bytes.data(), bytes.size(), Code::KeyMalformed);
        for (size_t i = 0; i < count; i++) {
          points[i] = filePoint<Fq>(bytes.data() + i * 64, Code::KeyMalformed, type == 8 ? "C" : "H");
          combiners[worker].add(&points[i], inverse[0]);
          combiners[worker].close(&points[i]);
        }
        combiners[worker].run();
        for (size_t i = 0; i < count; i++) toFile(points[i], bytes.data() + i * 64);
        file.write(at + first * 64, bytes.data(), bytes.size());
        progress.add((double)count);
      });
    }
    file.section(10, transcript.data, transcript.size);
    file.finish();
  }

 private:
  SecretVector<Fr> secret_;
  uint8_t point_[64];

  bool isTrivial() const { return secret_[0].isZero() || secret_[0] == Fr::one() || secret_[0] == -Fr::one(); }
};

// ---- checks ----

// Σ coefficientᵢ·pointᵢ over a section of a key, every point checked to be on its curve. scalars: as many as points.
template <class F>
Point<F> sumOfSection(const ZkeyFile& key, uint32_t type, const SignedScalar* scalars, const Control& control, Progress& progress) {
  constexpr size_t CHUNK = (size_t)1 << 18;
  static const std::map<uint32_t, const char*> names = {{3, "IC"}, {5, "A"}, {6, "B in G1"}, {7, "B in G2"}, {8, "C"}, {9, "H"}};
  const Section section = key.section(type);
  const size_t n = section.size / POINT_BYTES<F>;
  Point<F> sum = Point<F>::infinity();
  PageVector<Affine<F>> points(std::min(CHUNK, n));
  for (size_t from = 0; from < n; from += CHUNK) {
    const size_t count = std::min(n, from + CHUNK) - from;
    readPoints(key.file(), section.offset + from * POINT_BYTES<F>, count, points.data(), Code::KeyMalformed, names.at(type), control);
    sum += sumOf(points.data(), scalars + from, count, control);
    progress.add((double)count * (sizeof(F) == sizeof(Fq) ? 1 : 3));
  }
  return sum;
}

// What is to be checked: a proving key, or of a verifying key alone α·G1, β·G2 and IC, as in api.h.
inline void verifyPhase2(const std::string& r1csPath, const std::string& ptauPath, const std::string& zkeyPath, Bytes verifyingKey,
                         const Control& control) {
  const R1csFile r1cs(r1csPath);
  const PtauFile ptau(ptauPath);
  const unsigned power = r1cs.power();
  if (power > ptau.power || power > 27) {
    PtauFile::fail("they end at 2^" + std::to_string(ptau.power) + " rows, and the circuit needs 2^" + std::to_string(power));
  }
  const size_t n = (size_t)1 << power, wires = r1cs.wires, fixed = r1cs.publics + 1;
  const bool whole = !zkeyPath.empty();
  Progress progress(control, whole ? 9.0 * (double)n + 6.0 * (double)wires : 3.0 * (double)n);
  const RandomCoefficients random;
  uint64_t drawn = 0;
  auto draw = [&](size_t count) {
    std::vector<SignedScalar> out(count);
    drawCoefficients(random, drawn, out.data(), count);
    drawn += (count + 3) / 4 * 4;
    return out;
  };
  const G1 alpha1 = ptau.point<Fq>(4, 0), beta1 = ptau.point<Fq>(5, 0);
  const G2 beta2 = ptau.point<Fq2>(6, 0);

  // Interpolations of Σᵢ rᵢ·Mᵢ for the columns of one matrix, i from `from` on: n canonical scalars.
  auto combine = [&](uint32_t wanted, const std::vector<SignedScalar>& r, size_t from, size_t to) {
    std::vector<Fr> rows(n, Fr::zero()), factors(wires, Fr::zero());
    for (size_t i = from; i < to; i++) {
      Fr value;
      memcpy(value.l, r[i].w, 32);
      factors[i] = value.toMontgomery();
    }
    r1cs.forEach(control, [&](uint32_t matrix, uint32_t row, uint32_t wire, const Fr& value) {
      // canonical times Montgomery form is canonical
      if (matrix == wanted && wire >= from && wire < to) rows[row] += value * factors[wire];
    });
    if (wanted == 0) {
      for (size_t s = from; s < std::min(to, fixed); s++) rows[r1cs.rows + s] += factors[s].fromMontgomery();
    }
    transform(reinterpret_cast<uint8_t*>(rows.data()), n, true, false, control);
    std::vector<SignedScalar> out(n);
    for (size_t i = 0; i < n; i++) out[i] = toSigned(rows[i].l);
    return out;
  };
  // Σ over the first n powers of a section of the file.
  auto sumOfPowers = [&](auto tag, uint32_t type, const std::vector<SignedScalar>& scalars) {
    using F = decltype(tag);
    constexpr size_t CHUNK = (size_t)1 << 19;
    Point<F> sum = Point<F>::infinity();
    PageVector<Affine<F>> points(std::min(CHUNK, n));
    for (size_t from = 0; from < n; from += CHUNK) {
      const size_t count = std::min(n, from + CHUNK) - from;
      ptau.read(type, from, count, points.data(), control);
      sum += sumOf(points.data(), scalars.data() + from, count, control);
      progress.add((double)count * (sizeof(F) == sizeof(Fq) ? 1 : 3));
    }
    return sum;
  };
  auto sumOfK = [&](const std::vector<SignedScalar>& r, size_t from, size_t to) {
    return sumOfPowers(Fq{}, 5, combine(0, r, from, to)) + sumOfPowers(Fq{}, 4, combine(1, r, from, to)) +
           sumOfPowers(Fq{}, 2, combine(2, r, from, to));
  };

  if (!whole) {
    const size_t expected = 64 + 3 * 128 + 64 * fixed;
    if (verifyingKey.size != expected) wrongKey("its number of public signals is not the circuit's");
    const G1 alpha = readPoint<Fq>(verifyingKey.data, Code::KeyMalformed, "alpha");
    const G2 beta = readPoint<Fq2>(verifyingKey.data + 64, Code::KeyMalformed, "beta");
    const G2 gamma = readPoint<Fq2>(verifyingKey.data + 192, Code::KeyMalformed, "gamma");
    if (!samePoint(alpha, alpha1) || !samePoint(beta, beta2)) wrongKey("alpha or beta is not that of the powers of tau");
    if (!samePoint(gamma, generator<Fq2>())) wrongKey("gamma is not the generator");
    const std::vector<SignedScalar> r = draw(wires);
    std::vector<Affine<Fq>> ic(fixed);
    for (size_t i = 0; i < fixed; i++) {
      ic[i] = readPoint<Fq>(verifyingKey.data + 64 + 3 * 128 + 64 * i, Code::KeyMalformed, "a point of IC").toAffine();
    }
    if (!samePoint(sumOf(ic.data(), r.data(), fixed, control), sumOfK(r, 0, fixed))) {
      wrongKey("IC is not that of the circuit and the powers of tau");
    }
    return;
  }

  const ZkeyFile key(zkeyPath);
  const KeyInfo& info = key.info();
  if (info.variables != r1cs.wires || info.publics != r1cs.publics || info.domain != n) wrongKey("it is of another circuit: its numbers differ");
  if (!samePoint(key.alpha1, alpha1) || !samePoint(key.beta1, beta1) || !samePoint(key.beta2, beta2)) {
    wrongKey("alpha or beta is not that of the powers of tau");
  }
  if (!samePoint(key.gamma2, generator<Fq2>())) wrongKey("gamma is not the generator");
  if (!pairingsAgree(key.delta1, generator<Fq2>(), generator<Fq>(), key.delta2)) wrongKey("delta differs between G1 and G2");

  {
    const Section section = key.section(4);
    const uint64_t count = countCoefficients(r1cs, control);
    if (count != info.coefficients) wrongKey("its coefficients are of another circuit");
    uint64_t at = section.offset + 4;
    std::vector<uint8_t> theirs;
    forCoefficients(r1cs, control, [&](const uint8_t* bytes, size_t size) {
      theirs.resize(size);
      key.file().read(at, theirs.data(), size, Code::KeyMalformed);
      if (memcmp(bytes, theirs.data(), size) != 0) wrongKey("its coefficients are of another circuit");
      at += size;
    });
  }
  {
    const std::vector<SignedScalar> r = draw(wires);
    const std::vector<SignedScalar> powers = combine(0, r, 0, wires);
    if (!samePoint(sumOfSection<Fq>(key, 5, r.data(), control, progress), sumOfPowers(Fq{}, 2, powers))) wrongKey("A is not that of the circuit and the powers of tau");
  }
  {
    const std::vector<SignedScalar> r = draw(wires);
    const std::vector<SignedScalar> powers = combine(1, r, 0, wires);
    if (!samePoint(sumOfSection<Fq>(key, 6, r.data(), control, progress), sumOfPowers(Fq{}, 2, powers))) wrongKey("B in G1 is not that of the circuit and the powers of tau");
    if (!samePoint(sumOfSection<Fq2>(key, 7, r.data(), control, progress), sumOfPowers(Fq2{}, 3, powers))) wrongKey("B in G2 is not that of the circuit and the powers of tau");
  }
  {
    const std::vector<SignedScalar> r = draw(wires);
    if (!samePoint(sumOfSection<Fq>(key, 3, r.data(), control, progress), sumOfK(r, 0, fixed))) wrongKey("IC is not that of the circuit and the powers of tau");
    if (wires > fixed) {
      const G1 c = sumOfSection<Fq>(key, 8, r.data() + fixed, control, progress);
      if (!pairingsAgree(c, key.delta2, sumOfK(r, fixed, wires), generator<Fq2>())) wrongKey("C is not that of the circuit, the powers of tau and delta");
    }
  }
  {
    // Σ sₖ·(τ^k − τ^(k+n)) = δ·Σ hⱼ·Hⱼ with h the values of 2s on the coset. In place of τ^(2n−1), which no proof uses, may
    // stand nothing: the file that a key was made from may end before it. Any other point there was slipped in, so that an
    // honest contributor would divide it by δ: of IC and signals of one's choice, that is what forging takes.
    const std::vector<SignedScalar> s = draw(n);
    std::vector<Fr> values(n);
    for (size_t k = 0; k < n; k++) {
      Fr value;
      memcpy(value.l, s[k].w, 32);
      values[k] = value.dbl();
    }
    transform(reinterpret_cast<uint8_t*>(values.data()), n, false, true, control);
    std::vector<SignedScalar> h(n);
    for (size_t j = 0; j < n; j++) h[j] = toSigned(values[j].l);
    const G1 left = sumOfSection<Fq>(key, 9, h.data(), control, progress);
    const G1 low = sumOfPowers(Fq{}, 2, s);
    G1 high = G1::infinity();
    constexpr size_t CHUNK = (size_t)1 << 19;
    PageVector<Affine<Fq>> points(std::min(CHUNK, n));
    for (size_t from = 0; from < n - 1; from += CHUNK) {
      const size_t count = std::min(n - 1, from + CHUNK) - from;
      ptau.read(2, n + from, count, points.data(), control);
      high += sumOf(points.data(), s.data() + from, count, control);
      progress.add((double)count);
    }
    const G1 right = low + high.negated();
    if (!pairingsAgree(left, key.delta2, right, generator<Fq2>())) {
      // τ^(2n−1) = τ^n·τ^(n−1), which is no power of G1 in a file of this size
      const G1 next = ptau.point<Fq>(2, n).times({s[n - 1].w[0], s[n - 1].w[1], 0, 0});
      if (!pairingsCancel({{left, key.delta2}, {right.negated(), generator<Fq2>()}, {next, ptau.point<Fq2>(3, n - 1)}})) {
        wrongKey("H is not that of the powers of tau and delta");
      }
    }
  }
}

// That `next` is `previous` after one step: everything but δ, C, H and the transcript the same, byte by byte, and C and H
// over the new δ. Whether the step is a contribution is for the transcript to show.
inline void verifyPhase2Step(const std::string& previousPath, const std::string& nextPath, const Control& control) {
  const ZkeyFile previous(previousPath), next(nextPath);
  auto wrong = [](const char* fault, const std::string& reason) {
    throw Failure(Code::ContributionInvalid, std::string(fault) + ": the contribution is refused: " + reason);
  };
  for (uint32_t type : {3, 4, 5, 6, 7, 8, 9}) {
    if (previous.section(type).size != next.section(type).size) wrong("sections", "section " + std::to_string(type) + " has another length");
  }
  if (next.sections().size() != 10) wrong("sections", "it has sections that do not belong there");
  if (!samePoint(previous.alpha1, next.alpha1) || !samePoint(previous.beta1, next.beta1) || !samePoint(previous.beta2, next.beta2) ||
      !samePoint(previous.gamma2, next.gamma2) || previous.info().variables != next.info().variables ||
      previous.info().publics != next.info().publics || previous.info().domain != next.info().domain) {
    wrong("sections", "the header differs in more than delta");
  }
  if (!pairingsAgree(next.delta1, generator<Fq2>(), generator<Fq>(), next.delta2)) wrong("delta", "delta differs between G1 and G2");
  std::vector<uint8_t> ours((size_t)1 << 20), theirs((size_t)1 << 20);
  for (uint32_t type : {3, 4, 5, 6, 7}) {
    const Section a = previous.section(type), b = next.section(type);
    for (uint64_t done = 0; done < a.size; done += ours.size()) {
      throwIfAborted(control);
      const size_t take = (size_t)std::min<uint64_t>(ours.size(), a.size - done);
      previous.file().read(a.offset + done, ours.data(), take, Code::KeyMalformed);
      next.file().read(b.offset + done, theirs.data(), take, Code::KeyMalformed);
      if (memcmp(ours.data(), theirs.data(), take) != 0) wrong("sections", "section " + std::to_string(type) + " was changed");
    }
  }
  const RandomCoefficients random;
  Progress progress(control, 2.0 * ((double)previous.info().variables + previous.info().domain));
  for (uint32_t type : {8, 9}) {
    const size_t n = previous.section(type).size / 64;
    std::vector<SignedScalar> r(n);
    drawCoefficients(random, (uint64_t)type << 40, r.data(), n);
    const G1 before = sumOfSection<Fq>(previous, type, r.data(), control, progress);
    const G1 after = sumOfSection<Fq>(next, type, r.data(), control, progress);
    if (!pairingsAgree(after, next.delta2, before, previous.delta2)) wrong("scaling", type == 8 ? "C is not over the new delta" : "H is not over the new delta");
  }
}

}  // namespace ENGINE_NS
}  // namespace anchorproof
