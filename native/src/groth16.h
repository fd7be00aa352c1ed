// The Groth16 prover (J. Groth, "On the Size of Pairing-based Non-interactive Arguments", EUROCRYPT 2016, section 3.2)
// over snarkjs' proving keys.
//
// In snarkjs' keys the quotient is given by its values: H's points are in the Lagrange basis of the odd coset, so that
// Σ hᵢ·Hᵢ with hᵢ = (a·b − c)(g·ωⁱ) needs no last inverse transform. Points are in Montgomery form, coefficients of A
// and B in double Montgomery form (v·R²).
#pragma once

#include "hash.h"
#include "msm.h"
#include "ntt.h"
#include "zkey.h"

namespace anchorproof {
namespace ENGINE_NS {

// From 64 random bytes, reduced; the bias is below 2^-256.
inline Fr scalarFromWide(const u64 (&wide)[8]) {
  Fr low{{wide[0], wide[1], wide[2], wide[3]}}, high{{wide[4], wide[5], wide[6], wide[7]}};
  // The products' second factors are below p, which is all that one final subtraction needs.
  return (low * Fr::fromLimbs(Fr::R2)) + (high * Fr::fromLimbs(Fr::R3));
}

inline double since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
}

// Points of one section without those at infinity, in stored form, with the multiples of a window table, if any, and the
// wires that the first of them belong to.
template <class F>
struct KeyPoints {
  PageVector<Affine<F>> points;
  PageVector<uint32_t> wires;
  WindowTable table;
};

// One matrix of the constraint system by rows; coefficients are indices of distinct values.
struct SparseRows {
  std::vector<uint32_t> starts;  // domain + 1
  struct Entry {
    uint32_t wire, value;
  };
  std::vector<Entry> entries;
  std::vector<Fr> values;  // 0: one, 1: minus one
};

class Groth16Key : public ProvingKey {
 public:
  Groth16Key(const std::string& path, const Control& control) : file_(path) {
    auto start = std::chrono::steady_clock::now();
    if (control.onPhase) control.onPhase("load");
    readHeader();
    load(control);
    info_.loadMs = since(start);
  }

  const KeyInfo& info() const override { return info_; }

  Proof prove(Bytes wtns, const Control& control, const Blinding* blinding) const override {
    Proof proof;
    auto start = std::chrono::steady_clock::now();
    const char* running = nullptr;
    auto phase = [&](const char* name) {
      throwIfAborted(control);
      if (running) proof.phases.push_back({running, since(start)});
      start = std::chrono::steady_clock::now();
      running = name;
      if (name && control.onPhase) control.onPhase(name);
    };

    phase("witness");
    Secret<Fr> witness(info_.variables);
    Secret<SignedScalar> scalars(info_.variables);
    readWitness(wtns, witness, scalars, control, proof.publics);

    phase("quotient");
    Secret<Fr> values(info_.domain);
    {
      Secret<Fr> b(info_.domain);
      multiply(rows_[0], witness, values, control);
      multiply(rows_[1], witness, b, control);
      witness.free();
      quotient(*domain_, values, b, control);
    }
    static_assert(sizeof(SignedScalar) == sizeof(Fr), "scalars take the quotient's place");
    SignedScalar* quotients = reinterpret_cast<SignedScalar*>(values.data());
    parallel(control, (info_.domain + PIECE - 1) / PIECE, [&](size_t piece, size_t) {
      size_t to = std::min<size_t>(info_.domain, (piece + 1) * PIECE);
      for (size_t i = piece * PIECE; i < to; i++) quotients[i] = toSigned(values[i].l);
    });

    phase("msm");
    std::unique_ptr<Msm<Fq>> a, b1, ch;
    std::unique_ptr<Msm<Fq2>> b2;
    parallel(control, 4, [&](size_t task, size_t) {
      unsigned t = control.threads;
      const SignedScalar* w = scalars.data();
      if (task == 0) {
        ch = std::make_unique<Msm<Fq>>(
            ch_.points.data(),
            std::vector<ScalarSource>{{w, ch_.wires.data(), ch_.wires.size()}, {quotients, nullptr, info_.domain}},
            t);
      } else if (task == 1) {
        b2 = std::make_unique<Msm<Fq2>>(b2_.points.data(),
                                        std::vector<ScalarSource>{{w, b2_.wires.data(), b2_.wires.size()}}, t);
      } else if (task == 2) {
        a = std::make_unique<Msm<Fq>>(a_.points.data(), std::vector<ScalarSource>{{w, a_.wires.data(), a_.wires.size()}},
                                      t);
      } else {
        b1 = std::make_unique<Msm<Fq>>(b1_.points.data(),
                                       std::vector<ScalarSource>{{w, b1_.wires.data(), b1_.wires.size()}}, t);
      }
    });
    // All tasks of all multiplications in one list, the dearest first, so that no thread waits for another's last one.
    {
      size_t counts[4] = {b2->tasks(), ch->tasks(), a->tasks(), b1->tasks()};
      std::vector<Msm<Fq>::Scratch> scratch1(std::max(1u, control.threads));
      std::vector<Msm<Fq2>::Scratch> scratch2(std::max(1u, control.threads));
      parallel(control, counts[0] + counts[1] + counts[2] + counts[3], [&](size_t task, size_t worker) {
        if (task < counts[0]) return b2->run(task, scratch2[worker]);
        task -= counts[0];
        if (task < counts[1]) return ch->run(task, scratch1[worker]);
        task -= counts[1];
        if (task < counts[2]) return a->run(task, scratch1[worker]);
        b1->run(task - counts[2], scratch1[worker]);
      });
    }

    phase("assemble");
    u64 r[4], s[4], rs[4];
    drawBlinding(blinding, r, s, rs);
    G1 proofA = a->result() + alpha1_ + delta1_.times(r);
    G2 proofB = b2->result() + beta2_ + delta2_.times(s);
    G1 b1Sum = b1->result() + beta1_ + delta1_.times(s);
    G1 proofC = ch->result() + proofA.times(s) + b1Sum.times(r) + delta1_.times(rs).negated();
    writePoint(proofA, proof.bytes);
    writePoint(proofB, proof.bytes + 64);
    writePoint(proofC, proof.bytes + 192);
    wipe(r, sizeof r);
    wipe(s, sizeof s);
    wipe(rs, sizeof rs);
    phase(nullptr);
    return proof;
  }

 private:
  static constexpr size_t PIECE = 8192;

  // Memory for witness-dependent values: wiped before it is given back.
  template <class T>
  class Secret {
   public:
    explicit Secret(size_t n) : data_(static_cast<T*>(malloc(std::max<size_t>(1, n) * sizeof(T)))), n_(n) {
      if (!data_) throw std::bad_alloc();
    }
    Secret(const Secret&) = delete;
    ~Secret() { free(); }
    void free() {
      if (!data_) return;
      wipe(data_, n_ * sizeof(T));
      ::free(data_);
      data_ = nullptr;
    }
    T* data() { return data_; }
    operator T*() { return data_; }

   private:
    T* data_;
    size_t n_;
  };

  InputFile file_;
  std::map<uint32_t, Section> sections_;
  KeyInfo info_;
  G1 alpha1_, beta1_, delta1_;
  G2 beta2_, delta2_;
  KeyPoints<Fq> a_, b1_, ch_;
  KeyPoints<Fq2> b2_;
  SparseRows rows_[2];
  std::unique_ptr<Domain> domain_;

  static void fail(const char* reason) { throw Failure(Code::KeyMalformed, std::string("the .zkey is malformed: ") + reason); }

  std::vector<uint8_t> content(const Section& section) const {
    std::vector<uint8_t> bytes(section.size);
    file_.read(section.offset, bytes.data(), bytes.size(), Code::KeyMalformed);
    return bytes;
  }

  // Coordinates in field.h's Montgomery form, as the file has them.
  template <class F>
  static Point<F> keyPoint(const uint8_t* bytes) {
    F x, y;
    memcpy(&x, bytes, sizeof(F));
    memcpy(&y, bytes + sizeof(F), sizeof(F));
    if (!areReduced(x) || !areReduced(y) || !isOnCurve(x, y)) fail("a point of the header is not on the curve");
    return Point<F>::fromCoordinates(x, y);
  }
  static bool areReduced(const Fq& x) { return x.isReduced(); }
  static bool areReduced(const Fq2& x) { return x.c0.isReduced() && x.c1.isReduced(); }

  void readHeader() {
    auto read = [&](uint64_t at, void* out, size_t size) { file_.read(at, out, size, Code::KeyMalformed); };
    sections_ = readSections(file_.size(), "zkey", 1, Code::KeyMalformed, read);
    Section protocol = sectionOf(sections_, 1, Code::KeyMalformed);
    uint32_t kind = 0;
    if (protocol.size != 4) fail("the protocol section");
    read(protocol.offset, &kind, 4);
    if (kind != 1) fail("it is not a Groth16 key");
    Section header = sectionOf(sections_, 2, Code::KeyMalformed);
    constexpr size_t expected = 4 + 32 + 4 + 32 + 12 + 3 * 64 + 3 * 128;
    if (header.size != expected) fail("the header has the wrong length (BN254 only)");
    std::vector<uint8_t> bytes = content(header);
    const uint8_t* at = bytes.data();
    auto word = [&] {
      uint32_t value;
      memcpy(&value, at, 4);
      at += 4;
      return value;
    };
    auto modulus = [&](const u64(&p)[4]) {
      if (word() != 32 || memcmp(at, p, 32) != 0) fail("it is not over BN254");
      at += 32;
    };
    modulus(Fq::P);
    modulus(Fr::P);
    info_.variables = word();
    info_.publics = word();
    info_.domain = word();
    if (info_.variables == 0 || info_.publics >= info_.variables) fail("the numbers of wires and public signals");
    if (info_.variables >= (1u << 29)) fail("it has too many wires");
    if (info_.domain < 2 || (info_.domain & (info_.domain - 1)) != 0 || info_.domain > (1u << 28)) fail("the domain");
    alpha1_ = keyPoint<Fq>(at);
    beta1_ = keyPoint<Fq>(at += 64);
    beta2_ = keyPoint<Fq2>(at += 64);
    at += 128;  // gamma
    delta1_ = keyPoint<Fq>(at += 128);
    delta2_ = keyPoint<Fq2>(at += 64);
    checkSize(5, info_.variables, 64);
    checkSize(6, info_.variables, 64);
    checkSize(7, info_.variables, 128);
    checkSize(8, info_.variables - info_.publics - 1, 64);
    checkSize(9, info_.domain, 64);
    Section coefficients = sectionOf(sections_, 4, Code::KeyMalformed);
    uint32_t count = 0;
    if (coefficients.size < 4) fail("the coefficients");
    read(coefficients.offset, &count, 4);
    if (coefficients.size != 4 + (uint64_t)count * ENTRY) fail("the number of coefficients");
    info_.coefficients = count;
  }

  void checkSize(uint32_t type, uint64_t count, uint64_t size) const {
    if (sectionOf(sections_, type, Code::KeyMalformed).size != count * size) fail("a section of points has the wrong length");
  }

  static constexpr size_t ENTRY = 4 + 4 + 4 + 32;

  void load(const Control& control) {
    uint64_t privateFrom = info_.publics + 1;
    // The tables of the transform and the matrices are built beside the points.
    parallel(control, 3, [&](size_t task, size_t) {
      Control single = control;
      single.threads = 1;
      single.onPhase = nullptr;
      if (task == 2) {
        domain_ = std::make_unique<Domain>(info_.domain, single);
      } else {
        loadRows((uint32_t)task, single);
      }
    });
    loadPoints<Fq2>(7, info_.variables, 0, b2_, control);
    loadPoints<Fq>(5, info_.variables, 0, a_, control);
    loadPoints<Fq>(6, info_.variables, 0, b1_, control);
    loadPoints<Fq>(8, info_.variables - info_.publics - 1, (uint32_t)privateFrom, ch_, control, info_.domain);
    auto bytes = [](const auto& k) {
      return k.points.capacity() * sizeof(k.points[0]) + k.wires.capacity() * sizeof(uint32_t);
    };
    info_.memoryBytes = bytes(a_) + bytes(b1_) + bytes(b2_) + bytes(ch_) + domain_->memoryBytes();
    for (const SparseRows& rows : rows_) {
      info_.memoryBytes += rows.starts.size() * 4 + rows.entries.size() * sizeof(SparseRows::Entry) + rows.values.size() * 32;
    }
  }

  // Reads a section of points in pieces; infinity is all zeros. extra: how many points of section 9 (H), which keeps
  // its points at infinity, to put behind them.
  template <class F>
  void loadPoints(uint32_t type, size_t n, uint32_t firstWire, KeyPoints<F>& out, const Control& control,
                  size_t extra = 0) {
    constexpr size_t size = 2 * sizeof(F);
    uint64_t offset = sectionOf(sections_, type, Code::KeyMalformed).offset;
    size_t pieces = (n + PIECE - 1) / PIECE;
    // The pieces go where the ones before them end, so their lengths come first.
    std::vector<size_t> starts(pieces + 1, 0);
    std::vector<std::vector<uint8_t>> buffers(std::max(1u, control.threads));
    auto readPiece = [&](uint64_t base, size_t total, size_t piece, size_t worker) {
      size_t from = piece * PIECE, count = std::min(total, from + PIECE) - from;
      buffers[worker].resize(PIECE * size);
      file_.read(base + (uint64_t)from * size, buffers[worker].data(), count * size, Code::KeyMalformed);
      return count;
    };
    parallel(control, pieces, [&](size_t piece, size_t worker) {
      size_t count = readPiece(offset, n, piece, worker), kept = 0;
      for (size_t i = 0; i < count; i++) kept += !isZero(buffers[worker].data() + i * size, size);
      starts[piece + 1] = kept;
    });
    for (size_t i = 0; i < pieces; i++) starts[i + 1] += starts[i];
    out.points.resize(starts[pieces] + extra);
    out.wires.resize(starts[pieces]);
    parallel(control, pieces, [&](size_t piece, size_t worker) {
      size_t count = readPiece(offset, n, piece, worker), at = starts[piece], end = starts[piece + 1];
      for (size_t i = 0; i < count; i++) {
        const uint8_t* bytes = buffers[worker].data() + i * size;
        if (isZero(bytes, size)) continue;
        // The file may have changed between the passes.
        if (at == end) fail("the file changed while it was read");
        out.wires[at] = firstWire + (uint32_t)(piece * PIECE + i);
        out.points[at++] = keyAffine<F>(bytes);
      }
      if (at != end) fail("the file changed while it was read");
      convert(out.points.data() + starts[piece], end - starts[piece]);
    });
    if (extra == 0) return;
    uint64_t base = sectionOf(sections_, 9, Code::KeyMalformed).offset;
    size_t behind = starts[pieces];
    parallel(control, (extra + PIECE - 1) / PIECE, [&](size_t piece, size_t worker) {
      size_t count = readPiece(base, extra, piece, worker);
      Affine<F>* to = out.points.data() + behind + piece * PIECE;
      for (size_t i = 0; i < count; i++) {
        const uint8_t* bytes = buffers[worker].data() + i * size;
        to[i] = isZero(bytes, size) ? Affine<F>::infinity() : keyAffine<F>(bytes);
      }
      convert(to, count);
    });
  }

  static bool isZero(const uint8_t* bytes, size_t size) {
    u64 any = 0, word;
    for (size_t i = 0; i < size; i += 8) {
      memcpy(&word, bytes + i, 8);
      any |= word;
    }
    return any == 0;
  }

  // Whether the point is on the curve is not checked here: a wrong point makes a wrong proof, which is verified
  // before it leaves; a coordinate outside the field would break the arithmetic's bounds.
  template <class F>
  static Affine<F> keyAffine(const uint8_t* bytes) {
    Affine<F> point;
    memcpy(static_cast<void*>(&point.x), bytes, sizeof(F));
    memcpy(static_cast<void*>(&point.y), bytes + sizeof(F), sizeof(F));
    if (!areReduced(point.x) || !areReduced(point.y)) fail("a coordinate is outside the field");
    return point;
  }

  // To stored form, in place.
  template <class F>
  static void convert(Affine<F>* points, size_t n) {
    if (LANES == 1) return;
    // A point is an array of coordinates. Infinity's mark is put back, as its product would be something else.
    constexpr size_t parts = sizeof(Affine<F>) / sizeof(Fq);
    std::vector<size_t> infinite;
    for (size_t i = 0; i < n; i++) {
      if (points[i].isInfinity()) infinite.push_back(i);
    }
    Fq* values = reinterpret_cast<Fq*>(points);
    size_t count = n * parts, i = 0;
    const VecFq factor = VecFq::broadcast(storedFactor());
    for (; i + LANES <= count; i += LANES) (VecFq::load(values + i) * factor).template reduced<2>().store(values + i);
    for (; i < count; i++) values[i] = VecFq::toStored(values[i]);
    for (size_t k : infinite) points[k] = Affine<F>::infinity();
  }

  // x·2^256 → x·2^260 by a product of the lanes, which divides by 2^260: 2^264.
  static Fq storedFactor() { return Fq::fromLimbs(powerOfTwo(264, BaseModulus::P)); }

  void loadRows(uint32_t matrix, const Control& control) {
    SparseRows& rows = rows_[matrix];
    uint64_t base = sectionOf(sections_, 4, Code::KeyMalformed).offset + 4;
    constexpr size_t CHUNK = 1 << 14;
    std::vector<uint8_t> buffer(CHUNK * ENTRY);
    auto forEach = [&](auto visit) {
      for (uint64_t from = 0; from < info_.coefficients; from += CHUNK) {
        throwIfAborted(control);
        size_t count = (size_t)std::min<uint64_t>(CHUNK, info_.coefficients - from);
        file_.read(base + from * ENTRY, buffer.data(), count * ENTRY, Code::KeyMalformed);
        for (size_t i = 0; i < count; i++) {
          uint32_t words[3];
          memcpy(words, buffer.data() + i * ENTRY, sizeof words);
          if (words[0] > 1) fail("a coefficient of an unknown matrix");
          if (words[0] == matrix) visit(words[1], words[2], buffer.data() + i * ENTRY + 12);
        }
      }
    };
    rows.starts.assign((size_t)info_.domain + 1, 0);
    forEach([&](uint32_t row, uint32_t wire, const uint8_t*) {
      if (row >= info_.domain || wire >= info_.variables) fail("a coefficient outside the matrix");
      rows.starts[row + 1]++;
    });
    for (size_t i = 0; i < info_.domain; i++) rows.starts[i + 1] += rows.starts[i];
    rows.entries.resize(rows.starts[info_.domain]);
    std::vector<uint32_t> next(rows.starts.begin(), rows.starts.end() - 1);

    // Circuits use few distinct coefficients: a table by value. Open addressing, doubled when half full.
    rows.values = {Fr::one(), -Fr::one()};
    std::vector<uint32_t> table(1 << 12, 0);
    auto hash = [](const Fr& v) {
      return (v.l[0] ^ (v.l[1] * 0x9e3779b97f4a7c15) ^ (v.l[2] << 7) ^ v.l[3]) * 0xff51afd7ed558ccd;
    };
    std::vector<Fr> raw = {Fr::fromLimbs(Fr::R2), -Fr::fromLimbs(Fr::R2)};  // as in the file
    auto place = [&](uint32_t index) {
      size_t mask = table.size() - 1, slot = (size_t)(hash(raw[index]) >> 20) & mask;
      while (table[slot] != 0) slot = (slot + 1) & mask;
      table[slot] = index + 1;
    };
    place(0);
    place(1);
    auto indexOf = [&](const Fr& value) {
      size_t mask = table.size() - 1, slot = (size_t)(hash(value) >> 20) & mask;
      for (; table[slot] != 0; slot = (slot + 1) & mask) {
        if (raw[table[slot] - 1] == value) return table[slot] - 1;
      }
      raw.push_back(value);
      rows.values.push_back(value.fromMontgomery());
      uint32_t index = (uint32_t)raw.size() - 1;
      if (raw.size() * 2 > table.size()) {
        table.assign(table.size() * 2, 0);
        for (uint32_t i = 0; i <= index; i++) place(i);
      } else {
        table[slot] = index + 1;
      }
      return index;
    };
    forEach([&](uint32_t row, uint32_t wire, const uint8_t* bytes) {
      Fr value;
      memcpy(value.l, bytes, 32);
      if (!value.isReduced()) fail("a coefficient is outside the field");
      if (row >= info_.domain || wire >= info_.variables || next[row] >= rows.starts[row + 1]) {
        fail("the file changed while it was read");
      }
      rows.entries[next[row]++] = {wire, indexOf(value)};
    });
    for (size_t i = 0; i < info_.domain; i++) {
      if (next[i] != rows.starts[i + 1]) fail("the file changed while it was read");
    }
  }

  void readWitness(Bytes wtns, Fr* witness, SignedScalar* scalars, const Control& control,
                   std::vector<uint8_t>& publics) const {
    auto wrong = [](const char* reason) { throw Failure(Code::WitnessInvalid, std::string("the witness: ") + reason); };
    auto read = [&](uint64_t at, void* out, size_t size) { memcpy(out, wtns.data + at, size); };
    auto sections = readSections(wtns.size, "wtns", 2, Code::WitnessInvalid, read);
    Section header = sectionOf(sections, 1, Code::WitnessInvalid), values = sectionOf(sections, 2, Code::WitnessInvalid);
    uint32_t size, count;
    if (header.size != 40) wrong("its header has the wrong length");
    const uint8_t* at = wtns.data + header.offset;
    memcpy(&size, at, 4);
    memcpy(&count, at + 36, 4);
    if (size != 32 || memcmp(at + 4, Fr::P, 32) != 0) wrong("it is not over BN254's scalar field");
    if (count != info_.variables) wrong("its number of wires is not the key's");
    if (values.size != (uint64_t)count * 32) wrong("its values have the wrong length");
    const uint8_t* data = wtns.data + values.offset;
    parallel(control, (count + PIECE - 1) / PIECE, [&](size_t piece, size_t) {
      size_t to = std::min<size_t>(count, (piece + 1) * PIECE);
      for (size_t i = piece * PIECE; i < to; i++) {
        Fr value;
        memcpy(value.l, data + i * 32, 32);
        if (!value.isReduced()) wrong("a value is outside the field");
        scalars[i] = toSigned(value.l);
        witness[i] = value.toMontgomery();
      }
    });
    if (witness[0] != Fr::one()) wrong("its first value is not one");
    publics.assign(data + 32, data + 32 + (size_t)info_.publics * 32);
  }

  void multiply(const SparseRows& rows, const Fr* witness, Fr* out, const Control& control) const {
    parallel(control, (info_.domain + PIECE - 1) / PIECE, [&](size_t piece, size_t) {
      size_t to = std::min<size_t>(info_.domain, (piece + 1) * PIECE);
      for (size_t row = piece * PIECE; row < to; row++) {
        Fr sum = Fr::zero();
        for (size_t i = rows.starts[row]; i < rows.starts[row + 1]; i++) {
          auto [wire, value] = rows.entries[i];
          if (value == 0) {
            sum += witness[wire];
          } else if (value == 1) {
            sum -= witness[wire];
          } else {
            sum += rows.values[value] * witness[wire];
          }
        }
        out[row] = sum;
      }
    });
  }

  static void drawBlinding(const Blinding* given, u64 (&r)[4], u64 (&s)[4], u64 (&rs)[4]) {
    Fr fr, fs;
    if (given) {
      if (!Fr::read(given->r, fr) || !Fr::read(given->s, fs)) {
        throw Failure(Code::InputInvalid, "the blinding is outside the field");
      }
    } else {
      u64 wide[2][8];
      osRandom(reinterpret_cast<uint8_t*>(wide), sizeof wide);
      fr = scalarFromWide(wide[0]);
      fs = scalarFromWide(wide[1]);
      wipe(wide, sizeof wide);
    }
    fr.write(reinterpret_cast<uint8_t*>(r));
    fs.write(reinterpret_cast<uint8_t*>(s));
    (fr * fs).write(reinterpret_cast<uint8_t*>(rs));
    wipe(&fr, sizeof fr);
    wipe(&fs, sizeof fs);
  }
};

}  // namespace ENGINE_NS
}  // namespace anchorproof
