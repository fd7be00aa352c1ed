// The core's interface: what the addon, the fuzzers and the native harness call.
//
// One Engine per instruction set implements it (engine_portable.cpp, engine_adx.cpp, …: the same headers compiled for
// different targets). Nothing here depends on Node.
//
// Encoding at this boundary, everywhere: integers are 32 bytes little-endian, canonical (below the modulus), not in
// Montgomery form. A G1 point is x‖y (64 bytes), a G2 point x.c0‖x.c1‖y.c0‖y.c1 (128 bytes), infinity is all zeros.
// A proof is A‖B‖C (256 bytes). A verifying key is α‖β‖γ‖δ‖IC₀…IC_n (64 + 3·128 + 64·(n+1) bytes).
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace anchorproof {

// Stable; the addon hands the name to JavaScript as the error's code.
enum class Code {
  InputInvalid,
  KeyMalformed,
  WitnessInvalid,
  ProofMalformed,
  ProveFailed,
  Aborted,
  OutOfMemory,
  Io,
  KeyForgeable,
  CircuitMalformed,
  PtauInvalid,
  ContributionInvalid,
  CudaUnavailable,
  CudaFailed
};

// The only exception that leaves an Engine.
struct Failure : std::runtime_error {
  Failure(Code code_, const std::string& message) : std::runtime_error(message), code(code_) {}
  Code code;
};

struct Bytes {
  const uint8_t* data = nullptr;
  size_t size = 0;
};

struct Phase {
  // "witness", "quotient", "msm", "assemble"; on a card "witness", "card", "assemble". onPhase also tells "load" of a key
  std::string name;
  double ms = 0;
};

// A phase on a card, by its own clock: bytes through its memory, multiplications in the fields.
struct CardTime {
  std::string name;
  double ms = 0;
  uint64_t bytes = 0, operations = 0;
};

struct Control {
  unsigned threads = 1;
  // Polled between steps of some milliseconds; non-zero makes the call fail with Code::Aborted.
  const std::atomic<int32_t>* abort = nullptr;
  // Where long calls that say so tell how far they are, from 0 to 1000.
  std::atomic<int32_t>* progress = nullptr;
  // Of proofs on a card: tell the times of its phases, too.
  bool timed = false;
  // Called on the calling thread when a phase begins.
  std::function<void(const char* phase)> onPhase;
};

struct Proof {
  uint8_t bytes[256];
  std::vector<uint8_t> publics;  // 32 bytes a signal, as in the witness
  std::vector<Phase> phases;
  std::vector<CardTime> cardTimes;  // of a key on a card, when Control::timed asks for them
};

// For tests only: the prover's blinding, 32 bytes each. A proof with known blinding gives the witness away.
struct Blinding {
  uint8_t r[32], s[32];
};

struct KeyInfo {
  uint32_t variables = 0;  // wires, the constant one included
  uint32_t publics = 0;    // public signals, without the constant
  uint32_t domain = 0;     // size of the evaluation domain, a power of two
  uint64_t coefficients = 0;
  uint64_t memoryBytes = 0;  // held for the key's lifetime
  bool prepared = false;     // loaded from a prepared key
  double loadMs = 0;
};

// GPUs, by a library that is opened at run time (card.h); cards.h opens it.
class Cards;

// How a key is kept on a card; zeros leave the choice to the library.
struct CardSettings {
  int device = 0;
  uint64_t memoryLimit = 0;
  unsigned multiples = 0, window = 0, coordinates = 0;
};

// A proving key in memory. Immutable and safe to share between threads.
class ProvingKey {
 public:
  virtual ~ProvingKey() = default;
  virtual const KeyInfo& info() const = 0;
  // wtns: a whole .wtns file. blinding: nullptr draws it from the OS.
  virtual Proof prove(Bytes wtns, const Control& control, const Blinding* blinding) const = 0;
};

// A verifying key with its pairings precomputed. Immutable and safe to share between threads.
class VerifyingKey {
 public:
  virtual ~VerifyingKey() = default;
  virtual size_t publics() const = 0;
  // publics: 32 bytes a signal. Throws InputInvalid (count, range), ProofMalformed (range, curve, subgroup, infinity).
  virtual bool verify(Bytes publics, Bytes proof) const = 0;
  // n proofs of this key; publics are n·publics()·32 bytes, proofs n·256. One random linear combination, whose
  // coefficients come from a hash of the whole transcript and OS randomness; when it fails, bisection. verdicts[i] is 1 for a valid proof,
  // 0 for one that does not verify or is malformed. Throws InputInvalid for wrong lengths.
  virtual void verifyBatch(Bytes publics, Bytes proofs, size_t n, unsigned threads, uint8_t* verdicts) const = 0;
};

// The secret factor of δ that a contributor to a key draws, or of a beacon. It is wiped with the object.
class DeltaSecret {
 public:
  virtual ~DeltaSecret() = default;
  // s·G1 for a random s, and that times the secret: 128 bytes.
  virtual void publicKey(uint8_t* out) const = 0;
  // The secret times a point of group 1 or 2. Throws InputInvalid.
  virtual void multiply(int group, Bytes point, uint8_t* out) const = 0;
  // Writes the key at `from` with δ times the secret, C and H over it, and section 10 as given, to `to`, which must not
  // exist. Throws KeyMalformed, Io.
  virtual void apply(const std::string& from, const std::string& to, Bytes transcript, const Control& control) const = 0;
};

struct PtauInfo {
  uint32_t power = 0, ceremonyPower = 0;
  bool prepared = false;
};

// How the numbers of a content become unsigned keys in the same order: as they are, two's complement with the top bit
// flipped, or IEEE bits with the top bit flipped and with a sign all of them.
enum class Packing : uint8_t { Unsigned, Signed, Float };

// Of one permutation of sixteen inputs: for each of its 204 S-boxes, in order of evaluation (lane 0 first), the second,
// fourth and fifth power of what goes into it; then the hash. 32 bytes each.
constexpr size_t POSEIDON_TRACE_BYTES = (3 * 204 + 1) * 32;

enum class FieldOp { Mul, Square, Add, Sub, Neg, Inverse };

struct Engine {
  virtual ~Engine() = default;
  virtual const char* name() const = 0;  // "portable", "adx", "ifma"

  // Reads a snarkjs .zkey (Groth16, BN254). prepared: a directory for prepared keys, or empty for none.
  virtual std::unique_ptr<ProvingKey> openProvingKey(const std::string& path, const std::string& prepared,
                                                     const Control& control) const = 0;
  // The same key on a GPU: nothing of it stays in the host's memory. Throws CudaUnavailable, CudaFailed, OutOfMemory besides.
  virtual std::unique_ptr<ProvingKey> openCardKey(std::shared_ptr<const Cards> cards, const CardSettings& settings,
                                                  const std::string& path, const Control& control) const = 0;
  virtual std::unique_ptr<VerifyingKey> openVerifyingKey(Bytes key) const = 0;

  // Poseidon with circomlib's parameters, t = arity + 1, arity 1–16. inputs: n·arity·32 bytes; capacities: one for
  // all (32 bytes) or n of them; out: n·32 bytes. Throws InputInvalid for values outside the field.
  virtual void poseidon(unsigned arity, Bytes capacities, Bytes inputs, size_t n, unsigned threads,
                        uint8_t* out) const = 0;

  // Chains h ← Poseidon(capacity; h, 15 elements). starts: one for all or n of them; blocks: 15·32 bytes a step, chain after
  // chain; steps: n; out: n·32 bytes, the start where there are no steps. Throws InputInvalid for values outside the field.
  virtual void poseidonChains(Bytes capacity, Bytes starts, Bytes blocks, const uint32_t* steps, size_t n,
                              const Control& control, uint8_t* out) const = 0;
  // The same over contents: content i is data[offsets[i], offsets[i + 1]), numbers of 1, 2, 4 or 8 bytes little-endian,
  // ⌊31/size⌋ an element, first highest. packings: two bytes a content, size and Packing; floats have at least 2 bytes.
  // Throws InputInvalid for those, for offsets out of order or of the data, and for parts of numbers.
  virtual void contentDigests(Bytes capacity, Bytes start, Bytes data, const uint64_t* offsets, Bytes packings, size_t n,
                              const Control& control, uint8_t* out) const = 0;
  // Traces (POSEIDON_TRACE_BYTES each) of n permutations, inputs n·16·32 bytes, and of the steps of one chain.
  virtual void poseidonTraces(Bytes capacity, Bytes inputs, size_t n, const Control& control, uint8_t* out) const = 0;
  virtual void chainTraces(Bytes capacity, Bytes start, Bytes blocks, size_t steps, const Control& control,
                           uint8_t* out) const = 0;

  // The setup (setup.h, ptau.h). Paths written to must not exist. All of them tell their progress.
  // Makes a development key: the trapdoor is drawn from the OS and wiped. stamp: content of the section that marks it.
  virtual void setupDevelopment(const std::string& r1cs, const std::string& zkey, Bytes stamp, const Control& control) const = 0;
  // Development powers of tau, prepared for phase 2 or not.
  virtual void newPtau(unsigned power, bool prepared, const std::string& path, Bytes stamp, const Control& control) const = 0;
  // Header only, or with every point checked. Throws PtauInvalid, KeyForgeable.
  virtual PtauInfo checkPtau(const std::string& path, bool points, const Control& control) const = 0;
  // What keys of 2^power rows are made from; cut: as from a file that ends at this power. Throws PtauInvalid.
  virtual void makeBasis(const std::string& ptau, unsigned power, bool cut, const std::string& path, const Control& control) const = 0;
  // The initial key of a circuit; hash: 64 bytes. Throws CircuitMalformed, PtauInvalid.
  virtual void newPhase2(const std::string& r1cs, const std::string& basis, const std::string& zkey, Bytes tail, uint8_t* hash,
                         const Control& control) const = 0;
  // Draws a secret, or takes a public one (secret of 32 bytes, point of 64).
  virtual std::unique_ptr<DeltaSecret> drawSecret(Bytes entropy) const = 0;
  virtual std::unique_ptr<DeltaSecret> publicSecret(Bytes secret, Bytes point) const = 0;
  // Checks a key, or with an empty path for it a verifying key's α, β, γ and IC, against circuit and powers. Throws
  // KeyMalformed, CircuitMalformed, PtauInvalid.
  virtual void verifyPhase2(const std::string& r1cs, const std::string& ptau, const std::string& zkey, Bytes verifyingKey,
                            const Control& control) const = 0;
  // Throws ContributionInvalid with a message that begins with the fault and ": ", KeyMalformed.
  virtual void verifyPhase2Step(const std::string& previous, const std::string& next, const Control& control) const = 0;

  // For tests, and the executable's conversions. base: true for Fq, false for Fr. Throws InputInvalid for values outside the field.
  virtual void field(bool base, FieldOp op, Bytes a, Bytes b, size_t n, uint8_t* out) const = 0;
  // Nanoseconds a Montgomery multiplication: dependent chain, independent stream.
  virtual void fieldTimings(double* latencyNs, double* throughputNs) const = 0;
  // group 1 or 2; out: one point. Points are checked to be on the curve.
  virtual void msm(int group, Bytes points, Bytes scalars, size_t n, const Control& control, uint8_t* out) const = 0;
  // In place, natural order in and out; size a power of two up to 2^28. shift: evaluates on the coset g·H where g is
  // the generator of the domain of twice the size (snarkjs' coset).
  virtual void ntt(uint8_t* data, size_t n, bool inverse, bool coset, const Control& control) const = 0;
  // The same on a card, by the same encodings. repeat, phases: see card.h; phases may be null.
  virtual void cardMsm(const Cards& cards, const CardSettings& settings, int group, Bytes points, Bytes scalars, size_t n,
                       unsigned repeat, const Control& control, uint8_t* out, std::vector<CardTime>* phases) const = 0;
  virtual void cardNtt(const Cards& cards, const CardSettings& settings, uint8_t* data, size_t n, bool inverse, bool coset,
                       unsigned repeat, const Control& control, std::vector<CardTime>* phases) const = 0;
  // The prover's quotient: from the values of a and b on the domain to those of (a·b − c) on the coset; out replaces a.
  virtual void quotient(uint8_t* a, const uint8_t* b, size_t n, const Control& control) const = 0;
};

// The best engine for this CPU, or the one that the environment variable ANCHORPROOF_NATIVE names.
// Throws InputInvalid when it names one that this CPU or build does not have.
const Engine& engine();
// By name; nullptr when this CPU or build does not have it.
const Engine* engineByName(const std::string& name);
std::vector<std::string> engineNames();

}  // namespace anchorproof
