// The Groth16 prover (J. Groth, "On the Size of Pairing-based Non-interactive Arguments", EUROCRYPT 2016, section 3.2)
// over snarkjs' proving keys.
//
// In snarkjs' keys the quotient is given by its values: H's points are in the Lagrange basis of the odd coset, so that
// Σ hᵢ·Hᵢ with hᵢ = (a·b − c)(g·ωⁱ) needs no last inverse transform.
#pragma once

#include "prepared.h"

namespace anchorproof {
namespace ENGINE_NS {

class Groth16Key : public ProvingKey {
 public:
  // prepared: a folder for prepared keys, or empty.
  Groth16Key(const std::string& path, const std::string& prepared, const Control& control) {
    auto start = std::chrono::steady_clock::now();
    if (control.onPhase) control.onPhase("load");
    KeyReader reader(path);
    bool found = false;
    Control quiet = control;
    quiet.onPhase = nullptr;
    domain_ = std::make_unique<Domain>(reader.header().info.domain, quiet);
    if (prepared.empty()) {
      key_ = reader.load(quiet);
    } else {
      PreparedFile file(prepared, reader);
      found = file.load(key_, quiet);
      if (!found) {
        key_ = reader.load(quiet);
        addTables(key_, quiet);
        file.save(key_, quiet);
      }
    }
    info_ = key_.info;
    info_.prepared = found;
    info_.memoryBytes = key_.memoryBytes() + domain_->memoryBytes();
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
      multiply(key_.rows[0], witness, values, control);
      multiply(key_.rows[1], witness, b, control);
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
    auto ofWires = [&](const auto& k) { return ScalarSource{scalars.data(), k.wires.data(), k.wires.size()}; };
    auto make = [&](auto& msm, const auto& k, std::vector<ScalarSource> sources) {
      using Of = typename std::decay_t<decltype(msm)>::element_type;
      msm = std::make_unique<Of>(k.points.data(), std::move(sources), control.threads, k.table);
    };
    parallel(control, 4, [&](size_t task, size_t) {
      if (task == 0) make(ch, key_.ch, {ofWires(key_.ch), {quotients, nullptr, info_.domain}});
      if (task == 1) make(b2, key_.b2, {ofWires(key_.b2)});
      if (task == 2) make(a, key_.a, {ofWires(key_.a)});
      if (task == 3) make(b1, key_.b1, {ofWires(key_.b1)});
    });
    // All tasks of all multiplications in one list, the dearest first, so that no thread waits for another's last one.
    {
      size_t counts[4] = {b2->tasks(), ch->tasks(), a->tasks(), b1->tasks()};
      std::vector<Msm<Fq>::Scratch> scratch1(std::max(1u, control.threads));
      std::vector<Msm<Fq2>::Scratch> scratch2(std::max(1u, control.threads));
      parallel(control, counts[0] + counts[1] + counts[2] + counts[3], [&](size_t task, size_t worker) {
        if (task < counts[0]) return b2->run(task, scratch2[worker], control);
        task -= counts[0];
        if (task < counts[1]) return ch->run(task, scratch1[worker], control);
        task -= counts[1];
        if (task < counts[2]) return a->run(task, scratch1[worker], control);
        b1->run(task - counts[2], scratch1[worker], control);
      });
    }

    phase("assemble");
    SecretVector<std::array<u64, 4>> blind(3);
    auto& [r, s, rs] = *reinterpret_cast<u64(*)[3][4]>(blind.data());
    drawBlinding(blinding, r, s, rs);
    G1 proofA = a->result() + key_.alpha1 + key_.delta1.times(r);
    G2 proofB = b2->result() + key_.beta2 + key_.delta2.times(s);
    G1 b1Sum = b1->result() + key_.beta1 + key_.delta1.times(s);
    G1 proofC = ch->result() + proofA.times(s) + b1Sum.times(r) + key_.delta1.times(rs).negated();
    writePoint(proofA, proof.bytes);
    writePoint(proofB, proof.bytes + 64);
    writePoint(proofC, proof.bytes + 192);
    wipe(&b1Sum, sizeof b1Sum);
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

  KeyMaterial key_;
  KeyInfo info_;
  std::unique_ptr<Domain> domain_;

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
