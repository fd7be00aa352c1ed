// The Groth16 prover (J. Groth, "On the Size of Pairing-based Non-interactive Arguments", EUROCRYPT 2016, section 3.2)
// over snarkjs' proving keys.
//
// In snarkjs' keys the quotient is given by its values: H's points are in the Lagrange basis of the odd coset, so that
// Σ hᵢ·Hᵢ with hᵢ = (a·b − c)(g·ωⁱ) needs no last inverse transform.
#pragma once

#include "prepared.h"
#include "proving.h"

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
    PhaseClock phase(control, proof);

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
    assemble(key_, {a->result(), b1->result(), ch->result(), b2->result()}, blinding, proof);
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
    const uint8_t* data = witnessValues(wtns, info_, publics);
    const size_t count = info_.variables;
    parallel(control, (count + PIECE - 1) / PIECE, [&](size_t piece, size_t) {
      size_t to = std::min<size_t>(count, (piece + 1) * PIECE);
      for (size_t i = piece * PIECE; i < to; i++) {
        Fr value;
        memcpy(value.l, data + i * 32, 32);
        if (!value.isReduced()) wrongWitness("a value is outside the field");
        scalars[i] = toSigned(value.l);
        witness[i] = value.toMontgomery();
      }
    });
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
};

}  // namespace ENGINE_NS
}  // namespace anchorproof
