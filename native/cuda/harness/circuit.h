// A circuit, its witness and its key, made here; and what proofs are compared by.
#pragma once

#include "card.h"

namespace anchorproof {
namespace ENGINE_NS {
namespace {

// A circuit of 2^power rows that is made here, and looks like real ones to a prover. Every row has a wire of its own. Of eight rows
//   four are bits, b·(b − 1) = 0, so that half of the witness is zeros and ones;
//   two are squares, x² = y − i, a chain;
//   one is a product of sums of three, with small coefficients;
//   one is a product of a sum of eight with full coefficients, as of a hash's matrix;
// and every 1024th is the sum of up to 300 bits, times powers of two. A and B have 4.3 entries a row. About a quarter of the wires
// are outside of A, more outside of B.
class Circuit {
 public:
  Circuit(unsigned power, const std::string& folder)
      : power_(power), folder_(folder), rows_(((uint32_t)1 << power) - PUBLICS - 1), wires_(1 + PUBLICS + rows_) {}

  static constexpr uint32_t PUBLICS = 1;
  unsigned power() const { return power_; }
  uint32_t wires() const { return wires_; }
  std::string zkey() const { return folder_ + text("/circuit%u.zkey", power_); }

  // Makes the key where it is not there yet. Milliseconds, 0 for none.
  double makeKey(const Control& control) const {
    if (std::filesystem::exists(zkey())) return 0;
    const auto start = Clock::now();
    const std::string r1cs = folder_ + text("/circuit%u.r1cs", power_);
    writeR1cs(r1cs);
    static const char stamp[] = "anchorproof-cards";
    engine().setupDevelopment(r1cs, zkey(), {reinterpret_cast<const uint8_t*>(stamp), sizeof stamp - 1}, control);
    std::filesystem::remove(r1cs);
    return secondsSince(start) * 1e3;
  }

  // A .wtns file. The values are those that fulfil the rows.
  Buffer witness(u64 seed) const {
    std::vector<Fr> w(wires_);
    w[0] = Fr::one();
    w[1] = integerAt(seed, ~(size_t)0).toMontgomery();
    Row row;
    for (uint32_t i = 0; i < rows_; i++) {
      Fr& own = w[FIRST + i];
      rowOf(i, row);
      if (isBit(i)) {
        own = Random(mixed(seed) + i).below(2) ? Fr::one() : Fr::zero();
        continue;
      }
      // C is the wire itself, with factor one, and what is known.
      const Fr product = evaluate(row.matrix[0], w) * evaluate(row.matrix[1], w);
      own = Fr::zero();
      own = product - evaluate(row.matrix[2], w);
    }
    Buffer out;
    put(out, "wtns", 4);
    put32(out, 2);
    put32(out, 2);
    section(out, 1, 40);
    put32(out, 32);
    put(out, Fr::P, 32);
    put32(out, wires_);
    section(out, 2, (u64)wires_ * 32);
    const size_t at = out.size();
    out.resize(at + (size_t)wires_ * 32);
    for (uint32_t i = 0; i < wires_; i++) w[i].write(out.data() + at + (size_t)i * 32);
    return out;
  }

  // Where a wire's value is in such a file.
  static constexpr size_t valueAt(uint32_t wire) { return 12 + 12 + 40 + 12 + (size_t)wire * 32; }

 private:
  static constexpr uint32_t FIRST = 1 + PUBLICS, LONG_ROW = 300;
  struct Entry {
    uint32_t wire;
    Fr value;  // an integer
  };
  struct Row {
    std::vector<Entry> matrix[3];
  };

  unsigned power_;
  std::string folder_;
  uint32_t rows_, wires_;

  static bool isLong(uint32_t i) { return i % 1024 == 1023; }
  static bool isBit(uint32_t i) { return i % 2 == 0; }
  // The wires of the rows before that are no bits; the public signal, where there are too few.
  static uint32_t value(uint32_t i, uint32_t back) {
    const uint32_t distance = (i % 2 == 1 ? 2 : 1) + 2 * back;
    return distance > i ? 1 : FIRST + i - distance;
  }
  static uint32_t bit(uint32_t i, uint32_t back) {
    const uint32_t distance = (i % 2 == 1 ? 1 : 2) + 2 * back;
    return distance > i ? 0 : FIRST + i - distance;
  }

  static void rowOf(uint32_t i, Row& row) {
    auto& [a, b, c] = row.matrix;
    a.clear(), b.clear(), c.clear();
    const uint32_t own = FIRST + i;
    const Fr one = integerOf(1);
    if (isBit(i)) {
      a.push_back({own, one});
      b.push_back({own, one});
      b.push_back({0, minus(one)});
      return;
    }
    c.push_back({own, one});
    if (isLong(i)) {
      // Horner's powers of two; far down they are full integers of 254 bits.
      Fr factor = one;
      for (uint32_t k = 0; k < LONG_ROW; k++, factor = factor + factor) a.push_back({bit(i, k), factor});
      b.push_back({0, one});
    } else if (i % 8 == 1 || i % 8 == 5) {
      a.push_back({value(i, 0), one});
      b.push_back({value(i, 0), one});
      c.push_back({0, minus(integerOf(i))});
    } else if (i % 8 == 3) {
      a.push_back({value(i, 0), integerOf(3)});
      a.push_back({bit(i, 0), one});
      a.push_back({bit(i, 1), minus(one)});
      b.push_back({value(i, 1), one});
      b.push_back({value(i, 2), minus(one)});
      b.push_back({0, integerOf(5)});
    } else {
      // 32 distinct coefficients in all
      for (uint32_t k = 0; k < 8; k++) a.push_back({k % 2 ? bit(i, k) : value(i, k), integerAt(0x5b0c, (i / 8 + k) % 32)});
      b.push_back({value(i, 0), one});
    }
    // No wire twice in a row, as the format asks: small circuits name the public signal again and again.
    for (std::vector<Entry>& entries : row.matrix) merge(entries);
  }

  static void merge(std::vector<Entry>& entries) {
    std::stable_sort(entries.begin(), entries.end(), [](const Entry& x, const Entry& y) { return x.wire < y.wire; });
    size_t kept = 0;
    for (const Entry& entry : entries) {
      if (kept > 0 && entries[kept - 1].wire == entry.wire) {
        entries[kept - 1].value += entry.value;
      } else {
        entries[kept++] = entry;
      }
    }
    entries.resize(kept);
  }

  static Fr evaluate(const std::vector<Entry>& entries, const std::vector<Fr>& w) {
    Fr sum = Fr::zero();
    for (const Entry& entry : entries) sum += entry.value.toMontgomery() * w[entry.wire];
    return sum;
  }

  static void put(Buffer& out, const void* data, size_t size) {
    const size_t at = out.size();
    out.resize(at + size);
    memcpy(out.data() + at, data, size);
  }
  static void put32(Buffer& out, uint32_t value) { put(out, &value, 4); }
  static void section(Buffer& out, uint32_t type, u64 size) {
    put32(out, type);
    put(out, &size, 8);
  }

  // iden3's format, see r1cs.h.
  void writeR1cs(const std::string& path) const {
    Buffer header, content;
    put32(header, 32);
    put(header, Fr::P, 32);
    for (uint32_t word : {wires_, 0u, PUBLICS, 0u}) put32(header, word);  // public outputs, public inputs, private inputs
    const u64 labels = wires_;
    put(header, &labels, 8);
    put32(header, rows_);
    Row row;
    for (uint32_t i = 0; i < rows_; i++) {
      rowOf(i, row);
      for (const std::vector<Entry>& entries : row.matrix) {
        put32(content, (uint32_t)entries.size());
        for (const Entry& entry : entries) {
          put32(content, entry.wire);
          put(content, entry.value.l, 32);
        }
      }
    }
    std::vector<u64> names(wires_);
    for (uint32_t i = 0; i < wires_; i++) names[i] = i;
    OutputFile file(path, "r1cs", 1, 3);
    file.section(1, header.data(), header.size());
    file.section(2, content.data(), content.size());
    file.section(3, names.data(), names.size() * 8);
    file.finish();
  }
};

// The verifying key within a proving key: sections 2 (after its numbers α₁ β₁ β₂ γ₂ δ₁ δ₂) and 3, in Montgomery form.
std::unique_ptr<VerifyingKey> verifyingKeyOf(const std::string& zkey) {
  constexpr size_t numbers = 4 + 32 + 4 + 32 + 3 * 4;
  const InputFile file(zkey);
  auto read = [&](u64 at, void* out, size_t size) { file.read(at, out, size, Code::KeyMalformed); };
  const auto sections = readSections(file.size(), "zkey", 1, Code::KeyMalformed, read);
  const u64 at = sectionOf(sections, 2, Code::KeyMalformed).offset + numbers;
  const Section ic = sectionOf(sections, 3, Code::KeyMalformed);
  Buffer key(64 + 3 * 128 + ic.size);
  read(at, key.data(), 64);
  read(at + 128, key.data() + 64, 256);
  read(at + 448, key.data() + 320, 128);
  read(ic.offset, key.data() + 448, ic.size);
  for (size_t i = 0; i < key.size(); i += 32) {
    Fq value;
    memcpy(value.l, key.data() + i, 32);
    value.write(key.data() + i);
  }
  return engine().openVerifyingKey(view(key));
}

Blinding blindingOf(u64 seed) {
  Blinding out;
  memcpy(out.r, integerAt(seed, 1).l, 32);
  memcpy(out.s, integerAt(seed, 2).l, 32);
  return out;
}

bool verifies(const VerifyingKey& key, const Proof& proof) {
  try {
    return key.verify(view(proof.publics), {proof.bytes, sizeof proof.bytes});
  } catch (const Failure& failure) {
    if (failure.code == Code::ProofMalformed) return false;
    throw;
  }
}

void compare(const Proof& got, const Proof& wanted, const std::string& what) {
  const char* parts[] = {"A", "B", "B", "C"};
  for (int i = 0; i < 4; i++) {
    if (memcmp(got.bytes + i * 64, wanted.bytes + i * 64, 64) != 0) throw Mismatch(what + ": the proof's " + parts[i] + " is not the core's");
  }
  if (got.publics != wanted.publics) throw Mismatch(what + ": the public signals are not the core's");
}

// A folder for keys: the given one, or one that ends with the process.
class Folder {
 public:
  explicit Folder(const std::string& given) : path_(given), given_(!given.empty()) {
    if (given_) {
      std::filesystem::create_directories(path_);
      return;
    }
    std::string pattern = (std::filesystem::temp_directory_path() / "anchorproof-cards-XXXXXX").string();
    if (!mkdtemp(pattern.data())) throw Failure(Code::Io, pattern + " cannot be made: " + strerror(errno));
    path_ = pattern;
  }
  Folder(const Folder&) = delete;
  ~Folder() {
    std::error_code ignored;
    if (!given_) std::filesystem::remove_all(path_, ignored);
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
  bool given_;
};

}  // namespace
}  // namespace ENGINE_NS
}  // namespace anchorproof
