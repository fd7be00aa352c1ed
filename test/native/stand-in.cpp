// A GPU library without kernels: what does the core make of cards that fail, lie, or are not there? Each of its cards does one
// thing; cards.test.ts knows which. The real library, on an emulated card, is tested there as well.
#include <string.h>
#include <time.h>

#include <atomic>

#include "card.h"

#ifndef VERSION
#define VERSION CARD_VERSION
#endif
#ifndef CARDS
#define CARDS 9
#endif
// Codes of all cards for a key and for a proof, in place of what they do else.
#ifndef OPEN
#define OPEN CARD_OK
#endif
// Keys that have room side by side, on all cards together.
#ifndef KEYS
#define KEYS 1000
#endif
#ifndef PROVE
#define PROVE CARD_OK
#endif

namespace {

enum Does { Serves, Unreduced, ManySets, WideShift, NoMemory, IsLost, NoKey, UnknownCode, WaitsForAbort };

const uint64_t kOne[4] = {0xd35d438dc58f0d9d, 0x0a78eb28f5c70b3d, 0x666ea36f7879462c, 0x0e0a77c19a07df2f};  // 2^256 mod q

// False when the card does not serve.
bool serves(int32_t device, const int32_t* abort, CardStatus* status) {
  switch (device) {
    case NoMemory:
      status->code = CARD_OUT_OF_MEMORY;
      strcpy(status->message, "the card has too little memory");
      return false;
    case IsLost:
      // As long as it can be, in two lines, and no end.
      status->code = CARD_FAILED;
      status->lost = 1;
      memset(status->message, 'x', sizeof status->message);
      status->message[50] = '\n';
      return false;
    case UnknownCode:
      status->code = 99;
      return false;
    case WaitsForAbort:
      for (int i = 0; abort && *(const volatile int32_t*)abort == 0 && i < 10000; i++) {
        const timespec moment = {0, 1000000};
        nanosleep(&moment, nullptr);
      }
      status->code = CARD_ABORTED;
      return false;
    default: return true;
  }
}

template <class Sum>
void spoil(int32_t device, Sum* sum) {
  if (device == Unreduced) {
    sum->sets = 2;
    memset(sum->sums[1], 0xff, sizeof sum->sums[1]);
  }
  if (device == ManySets) sum->sets = CARD_MAX_SETS + 1;
  if (device == WideShift) sum->shift = 255;
}

void tell(CardPhases* phases, const char* name, uint64_t bytes, uint64_t operations) {
  if (!phases) return;
  phases->count = 1;
  CardPhase& phase = phases->at[0];
  strncpy(phase.name, name, sizeof phase.name);  // a name that fills its field has no zero
  phase.ms = 1.5f;
  phase.bytes = bytes;
  phase.operations = operations;
}

uint64_t digest = 0;
std::atomic<int> keys{0};
void take(const void* data, uint64_t size) {
  for (uint64_t i = 0; i < size; i++) digest = (digest ^ ((const uint8_t*)data)[i]) * 0x100000001b3;
}
void takePoints(const CardPoints& points, uint64_t size) {
  take(&points.count, 8);
  take(points.points, points.count * size);
  take(points.wires, points.wireCount * 4);
}

int32_t devices(CardStatus* status) {
  if (CARDS == 0) {
    status->code = CARD_UNAVAILABLE;
    strcpy(status->message, "the driver is too old for CUDA 13.0: it serves 12.2");
  }
  return CARDS;
}

void describe(int32_t device, CardDescription* out, CardStatus*) {
  memset(out->name, 'N', sizeof out->name);  // no end either
  out->memoryBytes = 80ull << 30;
  out->major = 9;
  out->multiprocessors = 100 + (uint32_t)device;
  out->driver = 13000;
  out->runtime = 12080;
}

void limits(int32_t, CardLimits*, CardStatus*) {}

CardKey* openKey(int32_t device, const CardKeyView* key, const CardOptions*, const int32_t* abort, CardKeyFacts* facts,
                 CardStatus* status) {
  if (OPEN != CARD_OK) {
    status->code = OPEN;
    return nullptr;
  }
  if (device == NoKey || (device == NoMemory && !serves(device, abort, status))) return nullptr;
  if (++keys > KEYS) {
    keys--;
    status->code = CARD_OUT_OF_MEMORY;
    return nullptr;
  }
  digest = 0xcbf29ce484222325;
  takePoints(key->a, 64);
  takePoints(key->b1, 64);
  takePoints(key->ch, 64);
  takePoints(key->b2, 128);
  for (const CardRows& rows : key->rows) {
    take(rows.starts, ((uint64_t)key->domain + 1) * 4);
    take(rows.entries, rows.entryCount * 8);
    // The order of values is the host's own affair.
    for (uint64_t i = 0; i < rows.entryCount; i++) take((const uint8_t*)rows.values + rows.entries[2 * i + 1] * 32ull, 32);
  }
  facts->keyBytes = digest >> 12;
  return reinterpret_cast<CardKey*>(new int32_t(device));
}

void closeKey(CardKey* key) {
  keys--;
  delete reinterpret_cast<int32_t*>(key);
}

void prove(CardKey* key, const uint8_t* witness, const CardControl* control, CardProof* out, CardStatus* status) {
  const int32_t device = *reinterpret_cast<int32_t*>(key);
  if (PROVE != CARD_OK) {
    status->code = PROVE;
    return;
  }
  if (!serves(device, control->abort, status)) return;
  spoil(device, &out->b2);
  tell(&out->phases, "a name of 24 characters!", witness[0], witness[32]);
}

// Of the first two points, P + 8·Q.
template <class Sum>
void msm(int32_t device, const void* points, uint64_t n, const CardOptions* options, uint32_t repeat, const CardControl* control,
         Sum* out, CardPhases* phases, CardStatus* status) {
  if (!serves(device, control->abort, status)) return;
  const size_t size = sizeof out->sums[0] / 2;
  out->sets = n < 2 ? (uint32_t)n : 2;
  out->shift = 3;
  for (uint32_t i = 0; i < out->sets; i++) {
    memcpy(out->sums[i], (const uint8_t*)points + i * size, size);
    memcpy(out->sums[i] + size, kOne, 32);
    memcpy(out->sums[i] + size + size / 2, kOne, 32);
  }
  spoil(device, out);
  tell(phases, "msm", repeat, options->window);
}

void msm1(int32_t device, const void* points, const uint8_t*, uint64_t n, const CardOptions* options, uint32_t repeat,
          const CardControl* control, CardSum1* out, CardPhases* phases, CardStatus* status) {
  msm(device, points, n, options, repeat, control, out, phases, status);
}

void msm2(int32_t device, const void* points, const uint8_t*, uint64_t n, const CardOptions* options, uint32_t repeat,
          const CardControl* control, CardSum2* out, CardPhases* phases, CardStatus* status) {
  msm(device, points, n, options, repeat, control, out, phases, status);
}

void ntt(int32_t device, uint8_t* data, uint64_t n, int32_t inverse, int32_t coset, uint32_t repeat, const CardControl* control,
         CardPhases* phases, CardStatus* status) {
  if (!serves(device, control->abort, status)) return;
  data[0] = (uint8_t)(16 * (inverse != 0) + (coset != 0));
  tell(phases, "ntt", n, repeat);
  phases->count = 1000;  // more than there is room for
}

const CardApi kApi = {VERSION, "stand-in", 1, devices, describe, nullptr, limits, openKey, closeKey, prove, msm1, msm2, ntt, nullptr, nullptr};

}  // namespace

const CardApi* anchorproof_cards() { return &kApi; }
