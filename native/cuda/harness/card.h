// The card under test, with the results of its calls.
#pragma once

#include "arguments.h"
#include "inputs.h"

namespace anchorproof {
namespace ENGINE_NS {
namespace {

class Card {
 public:
  Card(const Arguments& arguments) : cards(Cards::open(arguments.library)), device(arguments.device), api(cards->api()) {
    control.threads = arguments.threads;
    description = cards->describe(device);
  }

  // Throws what a status says.
  void expect(const CardStatus& status) const {
    if (status.code == CARD_OK) return;
    if (status.lost) throw Stop(std::string("the card is lost: ") + status.message);
    throwCardStatus(status);
  }

  void print() const {
    const CardDescription& d = description;
    printf("card %d of %d: %s, compute capability %u.%u, %.1f GiB, %u multiprocessors at %u MHz, L2 %.0f MiB\n", device,
           cards->devices(), d.name, d.major, d.minor, (double)d.memoryBytes / (1 << 30), d.multiprocessors,
           d.clockKhz / 1000, (double)d.cacheBytes / (1 << 20));
    printf("CUDA: driver %d.%d, runtime %d.%d; library %s; core %s, %u threads\n", d.driver / 1000, d.driver % 1000 / 10, d.runtime / 1000,
           d.runtime % 1000 / 10, api.build, engine().name(), control.threads);
    if (cards->emulated()) printf("emulated: times mean nothing\n");
    fflush(stdout);
  }

  uint64_t freeBytes() const {
    CardStatus status = {};
    const uint64_t bytes = api.freeMemory(device, &status);
    expect(status);
    return bytes;
  }

  std::shared_ptr<const Cards> cards;
  int device;
  const CardApi& api;
  CardDescription description;
  Control control;
};

template <class F>
struct SumOf;
template <>
struct SumOf<Fq> {
  using type = CardSum1;
  static constexpr auto call = &CardApi::msm1;
  static constexpr int group = 1;
  static constexpr const char* name = "G1";
};
template <>
struct SumOf<Fq2> {
  using type = CardSum2;
  static constexpr auto call = &CardApi::msm2;
  static constexpr int group = 2;
  static constexpr const char* name = "G2";
};

// Whether a multiplication failed because the card is small. Narrow windows in affine coordinates take most, some five KiB a point in
// G2; what fits three times over has no excuse.
template <class F>
bool isTooMuch(const Card& card, size_t n, const Failure& failure) {
  return failure.code == Code::OutOfMemory && n * 128 * sizeof(Affine<F>) >= card.description.memoryBytes;
}

template <class F>
Point<F> cardMsm(const Card& card, const Affine<F>* points, const Fr* scalars, size_t n, const CardOptions* options, unsigned repeat,
                 CardPhases* phases) {
  auto sum = std::make_unique<typename SumOf<F>::type>();
  memset(static_cast<void*>(sum.get()), 0xa5, sizeof *sum);
  CardStatus status = {};
  const CardControl how = {nullptr, phases != nullptr};
  (card.api.*SumOf<F>::call)(card.device, points, reinterpret_cast<const uint8_t*>(scalars), n, options, repeat, &how, sum.get(), phases,
                             &status);
  card.expect(status);
  if (sum->sets > CARD_MAX_SETS || sum->shift > 254) throw Mismatch("the sum has an impossible number of sets");
  Point<F> out = Point<F>::infinity();
  for (uint32_t set = sum->sets; set-- > 0;) {
    for (uint32_t i = 0; i < sum->shift; i++) out = out.dbl();
    Point<F> part;
    static_assert(sizeof part == sizeof sum->sums[0], "the memory of a sum");
    memcpy(static_cast<void*>(&part), sum->sums[set], sizeof part);
    for (const F* coordinate : {&part.x, &part.y, &part.zz, &part.zzz}) {
      if (!areReduced(*coordinate)) throw Mismatch("a sum's coordinate is not reduced");
    }
    out += part;
  }
  return out;
}

std::vector<CardTime> timesOf(const CardPhases& phases) {
  std::vector<CardTime> out;
  for (uint32_t i = 0; i < std::min(phases.count, CARD_MAX_PHASES); i++) {
    const CardPhase& p = phases.at[i];
    out.push_back({std::string(p.name, strnlen(p.name, sizeof p.name)), p.ms, p.bytes, p.operations});
  }
  return out;
}

}  // namespace
}  // namespace ENGINE_NS
}  // namespace anchorproof
