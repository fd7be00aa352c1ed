// A proving key in memory, and the reader of snarkjs' .zkey files.
//
// In snarkjs' keys points are in Montgomery form, coefficients of A and B in double Montgomery form (v·R²).
#pragma once

#include "hash.h"
#include "msm.h"
#include "ntt.h"
#include "pointio.h"
#include "values.h"
#include "zkey.h"

namespace anchorproof {
namespace ENGINE_NS {

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

struct KeyMaterial {
  KeyInfo info;
  G1 alpha1, beta1, delta1;
  G2 beta2, delta2;
  // A, B in G1, B in G2; C of the private wires followed by H, whose points all stay.
  KeyPoints<Fq> a, b1, ch;
  KeyPoints<Fq2> b2;
  SparseRows rows[2];

  uint64_t memoryBytes() const {
    auto points = [](const auto& k) { return k.points.size() * sizeof(k.points[0]) + k.wires.size() * sizeof(uint32_t); };
    uint64_t bytes = points(a) + points(b1) + points(b2) + points(ch);
    for (const SparseRows& r : rows) {
      bytes += r.starts.size() * sizeof(uint32_t) + r.entries.size() * sizeof(SparseRows::Entry) + r.values.size() * sizeof(Fr);
    }
    return bytes;
  }
};

// A .zkey on disk: its header, checked, and where its sections are.
class ZkeyFile {
 public:
  // Reads and checks everything but the large sections.
  explicit ZkeyFile(const std::string& path) : file_(path) { readHeader(); }

  const KeyInfo& info() const { return info_; }
  G1 alpha1, beta1, delta1;
  G2 beta2, gamma2, delta2;

  // SHA-256 of the verifying key's sections: a name, which does not vouch for the rest of the file.
  Sha256::Digest name() const {
    Sha256 hash;
    for (uint32_t type : {2u, 3u}) {
      std::vector<uint8_t> bytes = content(section(type));
      hash.update(bytes.data(), bytes.size());
    }
    return hash.finish();
  }

  const InputFile& file() const { return file_; }
  Section section(uint32_t type) const { return sectionOf(sections_, type, Code::KeyMalformed); }
  const std::map<uint32_t, Section>& sections() const { return sections_; }

  std::vector<uint8_t> content(const Section& section) const {
    std::vector<uint8_t> bytes(section.size);
    file_.read(section.offset, bytes.data(), bytes.size(), Code::KeyMalformed);
    return bytes;
  }

  // SHA-256 of the whole file.
  Sha256::Digest digest(const Control& control) const {
    Sha256 hash;
    std::vector<uint8_t> buffer((size_t)1 << 20);
    for (uint64_t at = 0; at < file_.size(); at += buffer.size()) {
      throwIfAborted(control);
      size_t take = (size_t)std::min<uint64_t>(buffer.size(), file_.size() - at);
      file_.read(at, buffer.data(), take, Code::KeyMalformed);
      hash.update(buffer.data(), take);
    }
    return hash.finish();
  }

 protected:
  InputFile file_;
  KeyInfo info_;

  [[noreturn]] static void fail(const char* reason) { throw Failure(Code::KeyMalformed, std::string("the .zkey is malformed: ") + reason); }

 private:
  std::map<uint32_t, Section> sections_;

  // Coordinates in field.h's Montgomery form, as the file has them.
  template <class F>
  static Point<F> keyPoint(const uint8_t* bytes) {
    F x, y;
    memcpy(&x, bytes, sizeof(F));
    memcpy(&y, bytes + sizeof(F), sizeof(F));
    if (!areReduced(x) || !areReduced(y) || !isOnCurve(x, y)) fail("a point of the header is not on the curve");
    return Point<F>::fromCoordinates(x, y);
  }

  void readHeader() {
    auto read = [&](uint64_t at, void* out, size_t size) { file_.read(at, out, size, Code::KeyMalformed); };
    sections_ = readSections(file_.size(), "zkey", 1, Code::KeyMalformed, read);
    Section protocol = section(1);
    uint32_t kind = 0;
    if (protocol.size != 4) fail("the protocol section");
    read(protocol.offset, &kind, 4);
    if (kind != 1) fail("it is not a Groth16 key");
    Section header = section(2);
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
    alpha1 = keyPoint<Fq>(at);
    beta1 = keyPoint<Fq>(at += 64);
    beta2 = keyPoint<Fq2>(at += 64);
    gamma2 = keyPoint<Fq2>(at += 128);
    delta1 = keyPoint<Fq>(at += 128);
    delta2 = keyPoint<Fq2>(at += 64);
    // IC: not used to prove, but it names the key.
    checkSize(3, info_.publics + 1, 64);
    checkSize(5, info_.variables, 64);
    checkSize(6, info_.variables, 64);
    checkSize(7, info_.variables, 128);
    checkSize(8, info_.variables - info_.publics - 1, 64);
    checkSize(9, info_.domain, 64);
    Section coefficients = section(4);
    uint32_t count = 0;
    if (coefficients.size < 4) fail("the coefficients");
    read(coefficients.offset, &count, 4);
    if (coefficients.size != 4 + (uint64_t)count * COEFFICIENT_BYTES) fail("the number of coefficients");
    info_.coefficients = count;
  }

  void checkSize(uint32_t type, uint64_t count, uint64_t size) const {
    if (section(type).size != count * size) fail("a section of points has the wrong length");
  }
};

// How coordinates of points are kept in memory: in the lanes' stored form (lanes.h), or in field.h's, as the file has them.
enum class PointForm { Stored, Plain };

class KeyReader : public ZkeyFile {
 public:
  explicit KeyReader(const std::string& path) : ZkeyFile(path) {
    key_.info = info_;
    key_.alpha1 = alpha1;
    key_.beta1 = beta1;
    key_.beta2 = beta2;
    key_.delta1 = delta1;
    key_.delta2 = delta2;
  }

  // Numbers and points of the header; arrays are empty.
  const KeyMaterial& header() const { return key_; }

  const InputFile::Identity& identity() const { return file_.identity(); }
  bool isUnchanged() const { return file_.isUnchanged(); }

  // The whole key; once.
  KeyMaterial load(const Control& control, PointForm form = PointForm::Stored) {
    form_ = form;
    parallel(control, 2, [&](size_t task, size_t) {
      Control single;
      single.abort = control.abort;
      loadRows((uint32_t)task, single);
    });
    uint32_t wires = key_.info.variables, fixed = key_.info.publics + 1;
    loadPoints<Fq2>(7, wires, 0, key_.b2, control);
    loadPoints<Fq>(5, wires, 0, key_.a, control);
    loadPoints<Fq>(6, wires, 0, key_.b1, control);
    loadPoints<Fq>(8, wires - fixed, fixed, key_.ch, control, key_.info.domain);
    return std::move(key_);
  }

 private:
  static constexpr size_t PIECE = 8192;

  KeyMaterial key_;
  PointForm form_ = PointForm::Stored;

  // Reads a section of points in pieces; infinity is all zeros. extra: how many points of section 9 (H), which keeps
  // its points at infinity, to put behind them.
  template <class F>
  void loadPoints(uint32_t type, size_t n, uint32_t firstWire, KeyPoints<F>& out, const Control& control,
                  size_t extra = 0) {
    constexpr size_t size = 2 * sizeof(F);
    uint64_t offset = section(type).offset;
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
      for (size_t i = 0; i < count; i++) kept += !allZero(buffers[worker].data() + i * size, size);
      starts[piece + 1] = kept;
    });
    for (size_t i = 0; i < pieces; i++) starts[i + 1] += starts[i];
    out.points.resize(starts[pieces] + extra);
    out.wires.resize(starts[pieces]);
    parallel(control, pieces, [&](size_t piece, size_t worker) {
      size_t count = readPiece(offset, n, piece, worker), at = starts[piece], end = starts[piece + 1];
      for (size_t i = 0; i < count; i++) {
        const uint8_t* bytes = buffers[worker].data() + i * size;
        if (allZero(bytes, size)) continue;
        // The file may have changed between the passes.
        if (at == end) fail("the file changed while it was read");
        out.wires[at] = firstWire + (uint32_t)(piece * PIECE + i);
        out.points[at++] = keyAffine<F>(bytes);
      }
      if (at != end) fail("the file changed while it was read");
      convert(out.points.data() + starts[piece], end - starts[piece]);
    });
    if (extra == 0) return;
    uint64_t base = section(9).offset;
    size_t behind = starts[pieces];
    parallel(control, (extra + PIECE - 1) / PIECE, [&](size_t piece, size_t worker) {
      size_t count = readPiece(base, extra, piece, worker);
      Affine<F>* to = out.points.data() + behind + piece * PIECE;
      for (size_t i = 0; i < count; i++) {
        const uint8_t* bytes = buffers[worker].data() + i * size;
        to[i] = allZero(bytes, size) ? Affine<F>::infinity() : keyAffine<F>(bytes);
      }
      convert(to, count);
    });
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

  // To the form that is wanted, in place.
  template <class F>
  void convert(Affine<F>* points, size_t n) const {
    if (LANES == 1 || form_ == PointForm::Plain) return;
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
    SparseRows& rows = key_.rows[matrix];
    uint64_t base = section(4).offset + 4;
    constexpr size_t CHUNK = 1 << 14;
    std::vector<uint8_t> buffer(CHUNK * COEFFICIENT_BYTES);
    auto forEach = [&](auto visit) {
      for (uint64_t from = 0; from < key_.info.coefficients; from += CHUNK) {
        throwIfAborted(control);
        size_t count = (size_t)std::min<uint64_t>(CHUNK, key_.info.coefficients - from);
        file_.read(base + from * COEFFICIENT_BYTES, buffer.data(), count * COEFFICIENT_BYTES, Code::KeyMalformed);
        for (size_t i = 0; i < count; i++) {
          uint32_t words[3];
          memcpy(words, buffer.data() + i * COEFFICIENT_BYTES, sizeof words);
          if (words[0] > 1) fail("a coefficient of an unknown matrix");
          if (words[0] == matrix) visit(words[1], words[2], buffer.data() + i * COEFFICIENT_BYTES + 12);
        }
      }
    };
    rows.starts.assign((size_t)key_.info.domain + 1, 0);
    forEach([&](uint32_t row, uint32_t wire, const uint8_t*) {
      if (row >= key_.info.domain || wire >= key_.info.variables) fail("a coefficient outside the matrix");
      rows.starts[row + 1]++;
    });
    for (size_t i = 0; i < key_.info.domain; i++) rows.starts[i + 1] += rows.starts[i];
    rows.entries.resize(rows.starts[key_.info.domain]);
    std::vector<uint32_t> next(rows.starts.begin(), rows.starts.end() - 1);

    ValueTable values({Fr::fromLimbs(Fr::R2), -Fr::fromLimbs(Fr::R2)});  // as in the file: ±1
    forEach([&](uint32_t row, uint32_t wire, const uint8_t* bytes) {
      Fr value;
      memcpy(value.l, bytes, 32);
      if (!value.isReduced()) fail("a coefficient is outside the field");
      if (row >= key_.info.domain || wire >= key_.info.variables || next[row] >= rows.starts[row + 1]) {
        fail("the file changed while it was read");
      }
      rows.entries[next[row]++] = {wire, values.indexOf(value)};
    });
    for (size_t i = 0; i < key_.info.domain; i++) {
      if (next[i] != rows.starts[i + 1]) fail("the file changed while it was read");
    }
    rows.values.clear();
    rows.values.reserve(values.all().size());
    for (const Fr& value : values.all()) rows.values.push_back(value.fromMontgomery());
  }
};

}  // namespace ENGINE_NS
}  // namespace anchorproof
