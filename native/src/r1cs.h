// circom's constraint systems: iden3's "R1CS binary format", version 1. Read in bounded pieces, several times over where
// needed: a system of 2^20 rows takes hundreds of megabytes.
#pragma once

#include "threads.h"
#include "values.h"
#include "zkey.h"

namespace anchorproof {
namespace ENGINE_NS {

class R1csFile {
 public:
  uint32_t wires = 0, publics = 0, rows = 0;

  explicit R1csFile(const std::string& path) : file_(path) {
    auto read = [&](uint64_t at, void* out, size_t size) { file_.read(at, out, size, CODE); };
    auto sections = readSections(file_.size(), "r1cs", 1, CODE, read);
    Section header = sectionOf(sections, 1, CODE), labels = sectionOf(sections, 3, CODE);
    rows_ = sectionOf(sections, 2, CODE);
    // Nothing in a Groth16 key would bind what a custom template computes: a prover could set it at will.
    if (sections.count(4) || sections.count(5)) fail("it has custom templates, which Groth16 does not enforce");
    uint8_t bytes[64];
    if (header.size != sizeof bytes) fail("its header has the wrong length");
    read(header.offset, bytes, sizeof bytes);
    uint32_t words[4], size;
    memcpy(&size, bytes, 4);
    memcpy(words, bytes + 36, sizeof words);  // wires, public outputs, public inputs, private inputs
    memcpy(&rows, bytes + 60, 4);
    if (size != 32 || memcmp(bytes + 4, Fr::P, 32) != 0) fail("its field is not BN254's");
    if (words[0] == 0 || words[0] >= 1u << 28) fail("the number of wires");
    wires = words[0];
    if (words[1] >= wires || words[2] >= wires - words[1]) fail("it has too few wires");
    publics = words[1] + words[2];
    // Counts that the file cannot hold must not be believed, since arrays are made from them.
    if (labels.size != 8 * (uint64_t)wires) fail("it has other wires than labels");
    if (rows >= 1u << 28 || rows_.size < 12 * (uint64_t)rows) fail("it is truncated");
  }

  // log2 of the evaluation domain: a row for each constraint, each public signal and the constant wire.
  unsigned power() const {
    unsigned out = 1;
    while (((uint64_t)1 << out) < (uint64_t)rows + publics + 1) out++;
    return out;
  }

  uint64_t bytes() const { return rows_.size; }

  // Calls visit(matrix, row, wire, value) for all entries in the file's order: row by row, A, B, C (0, 1, 2). value: a
  // canonical integer in an Fr's words.
  template <class Visit>
  void forEach(const Control& control, const Visit& visit) const {
    Reader reader(file_, rows_, control);
    for (uint32_t row = 0; row < rows; row++) {
      for (uint32_t matrix = 0; matrix < 3; matrix++) {
        uint32_t entries = reader.word();
        for (uint32_t i = 0; i < entries; i++) {
          const uint8_t* bytes = reader.take(36);
          uint32_t wire;
          Fr value;
          memcpy(&wire, bytes, 4);
          memcpy(value.l, bytes + 4, 32);
          if (wire >= wires) fail("a row names a wire that it does not have");
          if (!value.isReduced()) fail("a coefficient is not reduced");
          visit(matrix, row, wire, value);
        }
      }
    }
    if (reader.left() != 0) fail("bytes are left over");
  }

 private:
  static constexpr Code CODE = Code::CircuitMalformed;
  InputFile file_;
  Section rows_;

  [[noreturn]] static void fail(const char* reason) {
    throw Failure(CODE, std::string("the constraint system cannot be read: ") + reason);
  }

  class Reader {
   public:
    Reader(const InputFile& file, Section section, const Control& control)
        : file_(file), control_(control), at_(section.offset), left_(section.size), buffer_(1 << 20) {}

    // The next bytes, which stay until the next call. size is far below the buffer's.
    const uint8_t* take(size_t size) {
      if (filled_ - used_ < size) refill(size);
      used_ += size;
      return buffer_.data() + used_ - size;
    }
    uint32_t word() {
      uint32_t value;
      memcpy(&value, take(4), 4);
      return value;
    }
    uint64_t left() const { return left_ + (filled_ - used_); }

   private:
    const InputFile& file_;
    const Control& control_;
    uint64_t at_, left_;
    std::vector<uint8_t> buffer_;
    size_t filled_ = 0, used_ = 0;

    void refill(size_t size) {
      throwIfAborted(control_);
      memmove(buffer_.data(), buffer_.data() + used_, filled_ - used_);
      filled_ -= used_;
      used_ = 0;
      size_t take = (size_t)std::min<uint64_t>(buffer_.size() - filled_, left_);
      file_.read(at_, buffer_.data() + filled_, take, CODE);
      at_ += take;
      left_ -= take;
      filled_ += take;
      if (filled_ < size) fail("it is truncated");
    }
  };
};

// Section 4 of a .zkey: the entries of A and B as (matrix, row, wire, value·R²), row by row, and then a row of A for the
// constant wire and each public signal, which keeps their columns independent (snarkjs has them as well): without it, a
// public input that no row uses would not be bound by a proof.
// Calls sink(bytes, size) with that section's content, in pieces; the count that comes first is counted beforehand.
template <class Sink>
void forCoefficients(const R1csFile& r1cs, const Control& control, const Sink& sink) {
  std::vector<uint8_t> buffer;
  buffer.reserve(1 << 20);
  const Fr one = Fr::fromLimbs(Fr::R2), cube = Fr::fromLimbs(Fr::R3);
  auto put = [&](uint32_t matrix, uint32_t row, uint32_t wire, const Fr& value) {
    size_t at = buffer.size();
    buffer.resize(at + COEFFICIENT_BYTES);
    memcpy(buffer.data() + at, &matrix, 4);
    memcpy(buffer.data() + at + 4, &row, 4);
    memcpy(buffer.data() + at + 8, &wire, 4);
    memcpy(buffer.data() + at + 12, value.l, 32);
    if (buffer.size() + COEFFICIENT_BYTES > ((size_t)1 << 20)) {
      sink(buffer.data(), buffer.size());
      buffer.clear();
    }
  };
  r1cs.forEach(control, [&](uint32_t matrix, uint32_t row, uint32_t wire, const Fr& value) {
    if (matrix < 2) put(matrix, row, wire, value * cube);
  });
  for (uint32_t s = 0; s <= r1cs.publics; s++) put(0, r1cs.rows + s, s, one);
  sink(buffer.data(), buffer.size());
}

inline uint64_t countCoefficients(const R1csFile& r1cs, const Control& control) {
  uint64_t count = (uint64_t)r1cs.publics + 1;
  r1cs.forEach(control, [&](uint32_t matrix, uint32_t, uint32_t, const Fr&) { count += matrix < 2; });
  if (count > UINT32_MAX) throw Failure(Code::InputInvalid, "the constraint system has too many entries for a .zkey");
  return count;
}

}  // namespace ENGINE_NS
}  // namespace anchorproof
