// What the GPU library (native/cuda, built by `npm run build:cuda`) and the core have between them: a table of C functions,
// found by dlopen. The library knows no files and no JavaScript: the core reads keys, hands their arrays over once, and puts the
// sums that come back together (card_key.h). No exception crosses; every call tells its outcome in a CardStatus.
//
// Encoding: field elements are 32 bytes little-endian. Elements of points are in Montgomery form (R = 2^256), reduced; infinity
// has ones in all bits of its first coordinate('s first part), and zeros. Sums are extended Jacobian coordinates X‖Y‖ZZ‖ZZZ in
// Montgomery form, infinity has ZZ = 0: curve.h's Point of the engines with one lane.
//
// All functions may be called from any thread. A key may prove for several threads at once; each proof takes a working
// space of its own on the card, made when there is none free.
#pragma once

#include <stddef.h>
#include <stdint.h>

extern "C" {

// Raised when something here changes.
constexpr uint32_t CARD_VERSION = 1;

enum CardCode : int32_t {
  CARD_OK = 0,
  CARD_UNAVAILABLE = 1,      // no driver, one that is too old, no such card, or one that the library was not built for
  CARD_OUT_OF_MEMORY = 2,    // of the card
  CARD_FAILED = 3,           // anything else that CUDA reports. After some of them the process has lost the card: `lost`
  CARD_ABORTED = 4,
  CARD_INPUT_INVALID = 5,
  CARD_WITNESS_INVALID = 6,  // a value is not below the field's order
};

struct CardStatus {
  int32_t code;
  int32_t lost;       // the card serves this process no more
  char message[240];  // one line
};

struct CardDescription {
  char name[128];
  uint64_t memoryBytes;
  uint32_t major, minor;  // compute capability
  uint32_t multiprocessors, clockKhz, memoryClockKhz, memoryBusBits;
  uint64_t cacheBytes;  // L2
  int32_t driver, runtime;  // CUDA versions, 13000 for 13.0
};

// Points of a multiplication, and where their scalars are.
struct CardPoints {
  const void* points;
  const uint32_t* wires;  // of the first wireCount points; those behind them take the quotient's values in order
  uint64_t count, wireCount;
};

// A sparse matrix by rows; entries are pairs (wire, value's index). Value 0 is one, value 1 is minus one.
struct CardRows {
  const uint32_t* starts;  // domain + 1
  const uint32_t* entries;
  uint64_t entryCount;
  const void* values;  // Montgomery form
  uint64_t valueCount;
};

struct CardKeyView {
  uint32_t variables, domain;
  CardPoints a, b1, ch;  // G1
  CardPoints b2;         // G2
  CardRows rows[2];
};

struct CardOptions {
  uint64_t memoryLimit;  // bytes of the card that a key and its multiples may take; 0: what is free, less what proofs need
  uint32_t multiples;    // 0: as memory allows; 1: none; else at most so many of each point
  uint32_t window;       // bits of a window; 0: the cheapest
  uint32_t coordinates;  // buckets are summed in 1: extended, 2: affine coordinates with shared inversions; 0: what proved faster
};

struct CardKeyFacts {
  uint64_t keyBytes;    // held on the card for the key's lifetime, multiples included
  uint64_t proofBytes;  // a working space
  uint32_t windows[4], levels[4], sets[4];  // of a, b1, ch, b2: bits of a window, multiples of a point, sets of buckets
};

// How a long call runs.
struct CardControl {
  const int32_t* abort;  // polled; not zero stops the call. May be null
  int32_t timed;         // fill in the phases' times on the card
};

// Times by device events. Bytes are those that must move through the card's memory, operations the multiplications in Fq and Fr: a
// product of two different factors is one, a square or a difference of two products what it takes of that. Both are of the work that
// there was: a multiplication of points counts the digits of its scalars that are not zero, and does no less than what is told here.
struct CardPhase {
  char name[24];
  float ms;
  uint64_t bytes, operations;
};
constexpr uint32_t CARD_MAX_PHASES = 24, CARD_MAX_SETS = 64;

struct CardPhases {
  uint32_t count;
  CardPhase at[CARD_MAX_PHASES];
};

// Σ over sets of 2^(shift·set)·sums[set].
struct CardSum1 {
  uint32_t sets, shift;
  uint8_t sums[CARD_MAX_SETS][128];
};
struct CardSum2 {
  uint32_t sets, shift;
  uint8_t sums[CARD_MAX_SETS][256];
};

struct CardProof {
  CardSum1 a, b1, ch;
  CardSum2 b2;
  CardPhases phases;
};

// What a card can do, for the fractions in tables.
struct CardLimits {
  double copyBytesPerSecond;      // device to device, bytes read plus bytes written
  double uploadBytesPerSecond;    // from pinned memory
  double multiplicationsPerSecond;  // in Fq, of two different factors, independent ones in registers
};

typedef struct CardKey CardKey;

enum CardField : int32_t { CARD_FQ = 0, CARD_FR = 1, CARD_FQ2 = 2 };
enum CardFieldOp : int32_t { CARD_MUL = 0, CARD_SQUARE = 1, CARD_ADD = 2, CARD_SUB = 3, CARD_NEG = 4, CARD_INVERSE = 5 };

struct CardApi {
  uint32_t version;
  const char* build;  // digest of the sources, and the architectures
  int32_t emulated;   // the host plays the card: for tests

  // How many cards there are; 0 with CARD_UNAVAILABLE and the reason.
  int32_t (*devices)(CardStatus* status);
  // Takes nothing on the card.
  void (*describe)(int32_t device, CardDescription* out, CardStatus* status);
  // Bytes; like all that follows, this makes the process's context on the card, which takes some hundred MiB of it.
  uint64_t (*freeMemory)(int32_t device, CardStatus* status);
  void (*limits)(int32_t device, CardLimits* out, CardStatus* status);

  // Null when it fails. The view's arrays are not needed afterwards.
  CardKey* (*openKey)(int32_t device, const CardKeyView* key, const CardOptions* options, const int32_t* abort,
                      CardKeyFacts* facts, CardStatus* status);
  void (*closeKey)(CardKey* key);
  // witness: variables × 32 bytes, canonical integers, the first of them one.
  void (*prove)(CardKey* key, const uint8_t* witness, const CardControl* control, CardProof* out, CardStatus* status);

  // One multiplication by itself: points as above, scalars canonical integers. repeat: runs on the same points on the card, the
  // phases' times are the medians. options may be null.
  void (*msm1)(int32_t device, const void* points, const uint8_t* scalars, uint64_t n, const CardOptions* options, uint32_t repeat,
               const CardControl* control, CardSum1* out, CardPhases* phases, CardStatus* status);
  void (*msm2)(int32_t device, const void* points, const uint8_t* scalars, uint64_t n, const CardOptions* options, uint32_t repeat,
               const CardControl* control, CardSum2* out, CardPhases* phases, CardStatus* status);
  // In place, natural order in and out, on n = 2^k canonical integers; coset as Engine::ntt. k up to 28.
  void (*ntt)(int32_t device, uint8_t* data, uint64_t n, int32_t inverse, int32_t coset, uint32_t repeat, const CardControl* control,
              CardPhases* phases, CardStatus* status);
  // From the values of a and b on the domain to h = a·b − c on the coset, canonical integers, natural order: h replaces a.
  void (*quotient)(int32_t device, uint8_t* a, const uint8_t* b, uint64_t n, uint32_t repeat, const CardControl* control,
                   CardPhases* phases, CardStatus* status);
  // Element by element, canonical integers of 32 bytes (64 in Fq2); b is null for operations of one operand. For tests.
  void (*field)(int32_t device, int32_t field, int32_t op, const uint8_t* a, const uint8_t* b, uint64_t n, uint8_t* out,
                CardStatus* status);
};

// The library's one export.
const CardApi* anchorproof_cards(void);
}
