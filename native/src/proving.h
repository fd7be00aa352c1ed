// What a Groth16 prover does on the processor, wherever its large sums are made: reading the witness, the blinding, and
// putting a proof together.
#pragma once

#include "provingkey.h"

namespace anchorproof {
namespace ENGINE_NS {

// Tells the phases of a proof as they begin, and notes how long each took.
class PhaseClock {
 public:
  PhaseClock(const Control& control, Proof& proof) : control_(control), proof_(proof) {}

  // nullptr ends the last one.
  void operator()(const char* name) {
    throwIfAborted(control_);
    if (running_) proof_.phases.push_back({running_, since(start_)});
    start_ = std::chrono::steady_clock::now();
    running_ = name;
    if (name && control_.onPhase) control_.onPhase(name);
  }

 private:
  const Control& control_;
  Proof& proof_;
  const char* running_ = nullptr;
  std::chrono::steady_clock::time_point start_;
};

[[noreturn]] inline void wrongWitness(const char* reason) {
  throw Failure(Code::WitnessInvalid, std::string("the witness: ") + reason);
}

// Where a .wtns of the key has its values, 32 bytes each, and its public signals. Whether the values are below the field's
// order is left to who reads them.
inline const uint8_t* witnessValues(Bytes wtns, const KeyInfo& info, std::vector<uint8_t>& publics) {
  auto read = [&](uint64_t at, void* out, size_t size) { memcpy(out, wtns.data + at, size); };
  auto sections = readSections(wtns.size, "wtns", 2, Code::WitnessInvalid, read);
  Section header = sectionOf(sections, 1, Code::WitnessInvalid), values = sectionOf(sections, 2, Code::WitnessInvalid);
  uint32_t size, count;
  if (header.size != 40) wrongWitness("its header has the wrong length");
  const uint8_t* at = wtns.data + header.offset;
  memcpy(&size, at, 4);
  memcpy(&count, at + 36, 4);
  if (size != 32 || memcmp(at + 4, Fr::P, 32) != 0) wrongWitness("it is not over BN254's scalar field");
  if (count != info.variables) wrongWitness("its number of wires is not the key's");
  if (values.size != (uint64_t)count * 32) wrongWitness("its values have the wrong length");
  const uint8_t* data = wtns.data + values.offset;
  static constexpr u64 ONE[4] = {1, 0, 0, 0};
  if (memcmp(data, ONE, sizeof ONE) != 0) wrongWitness("its first value is not one");
  publics.assign(data + 32, data + 32 + (size_t)info.publics * 32);
  return data;
}

// r, s and r·s as integers.
inline void drawBlinding(const Blinding* given, u64 (&r)[4], u64 (&s)[4], u64 (&rs)[4]) {
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

// The four sums of a proof. They depend on the witness and are not blinded yet.
struct ProofSums {
  G1 a, b1, ch;
  G2 b2;
  ~ProofSums() { wipe(this, sizeof *this); }
};

inline void assemble(const KeyMaterial& key, const ProofSums& sums, const Blinding* blinding, Proof& proof) {
  SecretVector<std::array<u64, 4>> blind(3);
  auto& [r, s, rs] = *reinterpret_cast<u64(*)[3][4]>(blind.data());
  drawBlinding(blinding, r, s, rs);
  G1 proofA = sums.a + key.alpha1 + key.delta1.times(r);
  G2 proofB = sums.b2 + key.beta2 + key.delta2.times(s);
  G1 b1Sum = sums.b1 + key.beta1 + key.delta1.times(s);
  G1 proofC = sums.ch + proofA.times(s) + b1Sum.times(r) + key.delta1.times(rs).negated();
  writePoint(proofA, proof.bytes);
  writePoint(proofB, proof.bytes + 64);
  writePoint(proofC, proof.bytes + 192);
  wipe(&b1Sum, sizeof b1Sum);
}

}  // namespace ENGINE_NS
}  // namespace anchorproof
