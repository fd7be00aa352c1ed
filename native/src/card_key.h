// A proving key on a GPU, and the calls of one kernel by itself. The card makes the sums of a proof (card.h); what is left,
// some hundred additions, is done here.
#pragma once

#include "cards.h"
#include "proving.h"

namespace anchorproof {
namespace ENGINE_NS {

static_assert(std::atomic<int32_t>::is_always_lock_free && sizeof(std::atomic<int32_t>) == sizeof(int32_t),
              "the library polls the abort flag as a plain integer");

inline const int32_t* abortFlag(const Control& control) { return reinterpret_cast<const int32_t*>(control.abort); }

inline CardControl cardControl(const Control& control) { return {abortFlag(control), control.timed}; }

inline CardOptions cardOptions(const CardSettings& settings) {
  return {settings.memoryLimit, settings.multiples, settings.window, settings.coordinates};
}

inline std::vector<CardTime> cardTimes(const CardPhases& phases) {
  std::vector<CardTime> times;
  for (uint32_t i = 0; i < std::min(phases.count, CARD_MAX_PHASES); i++) {
    const CardPhase& phase = phases.at[i];
    times.push_back({std::string(phase.name, strnlen(phase.name, sizeof phase.name)), phase.ms, phase.bytes, phase.operations});
  }
  return times;
}

// Puts the sums of a multiplication's bucket sets together. What a card sends is not trusted to be reduced, which the
// arithmetic's bounds hang on. Whether it is on the curve shows when the proof is verified.
template <class F, class Sum>
Point<F> sumOfSets(const Sum& sum) {
  static_assert(sizeof(Point<F>) == sizeof sum.sums[0], "extended Jacobian coordinates");
  auto nonsense = [] { throw Failure(Code::ProveFailed, "the card returned a sum that is none"); };
  if (sum.sets > CARD_MAX_SETS || sum.shift > 254) nonsense();
  Point<F> out = Point<F>::infinity(), one;
  for (uint32_t set = sum.sets; set-- > 0;) {
    memcpy(static_cast<void*>(&one), sum.sums[set], sizeof one);
    if (!areReduced(one.x) || !areReduced(one.y) || !areReduced(one.zz) || !areReduced(one.zzz)) nonsense();
    for (uint32_t i = 0; i < sum.shift; i++) out = out.dbl();
    out += one;
  }
  wipe(&one, sizeof one);  // without blinding it would tell about the witness
  return out;
}

class Groth16CardKey : public ProvingKey {
 public:
  Groth16CardKey(std::shared_ptr<const Cards> cards, const CardSettings& settings, const std::string& path,
                 const Control& control)
      : cards_(std::move(cards)) {
    auto start = std::chrono::steady_clock::now();
    cards_->check(settings.device);
    if (control.onPhase) control.onPhase("load");
    Control quiet = control;
    quiet.onPhase = nullptr;
    KeyReader reader(path);
    key_ = reader.header();
    info_ = key_.info;
    {
      const KeyMaterial whole = reader.load(quiet, PointForm::Plain);
      CardKeyView view = {};
      view.variables = info_.variables;
      view.domain = info_.domain;
      view.a = pointsOf(whole.a);
      view.b1 = pointsOf(whole.b1);
      view.ch = pointsOf(whole.ch);
      view.b2 = pointsOf(whole.b2);
      for (int i = 0; i < 2; i++) view.rows[i] = rowsOf(whole.rows[i]);
      const CardOptions options = cardOptions(settings);
      CardKeyFacts facts = {};
      CardStatus status = {};
      handle_ = cards_->api().openKey(settings.device, &view, &options, abortFlag(control), &facts, &status);
      if (!handle_) throwCardStatus(status.code == CARD_OK ? CardStatus{CARD_FAILED, 0, "the card made no key"} : status);
      info_.memoryBytes = facts.keyBytes;
    }
    info_.loadMs = since(start);
  }
  Groth16CardKey(const Groth16CardKey&) = delete;
  ~Groth16CardKey() override { cards_->api().closeKey(handle_); }

  const KeyInfo& info() const override { return info_; }

  Proof prove(Bytes wtns, const Control& control, const Blinding* blinding) const override {
    Proof proof;
    PhaseClock phase(control, proof);

    phase("witness");
    const uint8_t* values = witnessValues(wtns, info_, proof.publics);

    phase("card");
    ProofSums sums;
    {
      SecretVector<CardProof> made(1);
      const CardControl how = cardControl(control);
      CardStatus status = {};
      cards_->api().prove(handle_, values, &how, made.data(), &status);
      throwCardStatus(status);
      if (control.timed) proof.cardTimes = cardTimes(made[0].phases);

      phase("assemble");
      sums.a = sumOfSets<Fq>(made[0].a);
      sums.b1 = sumOfSets<Fq>(made[0].b1);
      sums.ch = sumOfSets<Fq>(made[0].ch);
      sums.b2 = sumOfSets<Fq2>(made[0].b2);
    }
    assemble(key_, sums, blinding, proof);
    phase(nullptr);
    return proof;
  }

 private:
  std::shared_ptr<const Cards> cards_;
  ::CardKey* handle_ = nullptr;
  KeyMaterial key_;  // the header's numbers and points
  KeyInfo info_;

  template <class F>
  static CardPoints pointsOf(const KeyPoints<F>& k) {
    return {k.points.data(), k.wires.data(), k.points.size(), k.wires.size()};
  }

  static CardRows rowsOf(const SparseRows& rows) {
    static_assert(sizeof(SparseRows::Entry) == 2 * sizeof(uint32_t), "pairs of wire and value");
    return {rows.starts.data(), reinterpret_cast<const uint32_t*>(rows.entries.data()), rows.entries.size(), rows.values.data(),
            rows.values.size()};
  }
};

}  // namespace ENGINE_NS
}  // namespace anchorproof
