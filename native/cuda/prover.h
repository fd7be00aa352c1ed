// A proving key on a card, and the proofs that it makes.
//
// What a key keeps on the card for its lifetime: the points of the four multiplications with as many multiples as memory allows,
// the two matrices and the domain's tables. What a proof needs besides is a working space: one allocation, two streams, pinned
// memory. A working space serves one proof at a time and is kept for the next.
//
//   main   witness ──┬── A ── B in G1 ───────────────────────────┬── C and H ──┬── sums ── wipe
//   side             └── A·w ── B·w ── a·b − c on the coset ──┴── B in G2 ───┘
//
// The multiplications by the witness and the quotient depend on nothing but the witness, so they share the card; the streams'
// kernels fill each other's tails. A multiplication ends in a chain of additions that wait for one another, in G2 the longest.
//
// Secrets. The whole working space is overwritten with zeros after every proof, also after one that failed or was stopped, and
// so is the pinned memory; prove() returns when that has happened. Two exceptions. When a proof is stopped, what was enqueued
// cannot be taken back: the zeros are enqueued behind it, and prove() does not wait for them. A card that the process has lost
// takes no more orders; its memory goes when the driver ends the context.
#pragma once

#include <condition_variable>
#include <cstring>
#include <exception>
#include <functional>
#include <limits>
#include <mutex>
#include <thread>

#include "device.h"
#include "msm.h"
#include "ntt.h"
#include "sparse.h"

namespace anchorproof {
namespace cuda {

// --- The witness ----------------------------------------------------------------------------------------------------

constexpr unsigned CONVERT_THREADS = 256;

// Canonical integers, in the scalars' place, to signed scalars there and, if `elements` is not null, to Montgomery form. A value
// that is not below r sets the flag and counts as zero: no kernel meets what its bounds do not allow.
AP_KERNEL(CONVERT_THREADS, 1)
convertKernel(SignedScalar* scalars, Fr* elements, uint64_t n, uint32_t* flag) {
  const uint64_t i = static_cast<uint64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= n) return;
  const SignedScalar raw = scalars[i];
  Fr value = {{raw.w[0], raw.w[1], raw.w[2], raw.w[3], raw.w[4], raw.w[5], raw.w[6], raw.w[7]}};
  if (!value.isReduced()) {
    atomicOr(flag, 1u);
    value = Fr::zero();
  }
  scalars[i] = toSigned(value);
  if (elements) elements[i] = value.toMontgomery();
}

// One conversion behind all copies, although those that came first could begin: a kernel between two copies waits for room on the
// card, which another proof may fill for long, and the copies behind it would wait too.
inline void uploadScalars(cudaStream_t stream, Upload& upload, const uint8_t* values, uint64_t n, SignedScalar* scalars, Fr* elements,
                          uint32_t* flag, const int32_t* abort) {
  static_assert(sizeof(SignedScalar) == 32 && sizeof(Fr) == 32, "integers of 32 bytes");
  upload.copy(stream, scalars, values, n * 32, abort);
  if (n == 0) return;
  AP_LAUNCH(convertKernel, blocksFor(n, CONVERT_THREADS), CONVERT_THREADS, 0, stream, scalars, elements, n, flag);
  checkLaunch("conversion of scalars");
}

// --- Plans ----------------------------------------------------------------------------------------------------------

// What a multiplication with this plan takes on the card: while it runs, and while its points are made.
template <class F>
uint64_t workBytes(const MsmPlan& plan, uint32_t multiprocessors) {
  return plan.count == 0 ? 0 : Msm<F>::workBytes(plan, multiprocessors);
}
template <class F>
uint64_t constructionBytes(const MsmPlan& plan) {
  return plan.count == 0 ? 0 : ResidentPoints<F>::constructionBytes(plan);
}

// One of a key's multiplications, with every number of multiples that it could have.
struct Choices {
  struct Choice {
    MsmPlan plan;
    uint64_t bytes;
    double cost;
  };
  std::vector<Choice> all;  // first: without multiples
  size_t chosen = 0;

  const MsmPlan& plan() const { return all[chosen].plan; }
  uint64_t bytes() const { return all[chosen].bytes; }

  template <class F>
  static Choices of(const CardPoints& points, const CardOptions& options) {
    Choices out;
    const uint32_t most = options.multiples == 0 ? CARD_MAX_SETS : std::min(options.multiples, CARD_MAX_SETS);
    for (uint32_t multiples = 1; multiples <= most; multiples++) {
      CardOptions limited = options;
      limited.multiples = multiples;
      const MsmPlan plan = planMsm<F>(points.count, limited, std::numeric_limits<uint64_t>::max());
      const Choice choice = {plan, ResidentPoints<F>::bytes(points, plan), planCost<F>(plan)};
      // Only what is better for more memory.
      if (out.all.empty() || (choice.bytes > out.all.back().bytes && choice.cost < out.all.back().cost)) out.all.push_back(choice);
    }
    return out;
  }
};

// Multiples for all multiplications within `budget` bytes beyond what they take without. Each step takes the choice that saves
// most for its bytes, anywhere; the four share what there is by what it does for the proof, not in equal parts.
inline void chooseMultiples(Choices* choices, size_t count, uint64_t budget) {
  for (size_t m = 0; m < count; m++) choices[m].chosen = 0;
  for (;;) {
    Choices* best = nullptr;
    size_t choice = 0;
    double most = 0;
    for (size_t m = 0; m < count; m++) {
      Choices& of = choices[m];
      for (size_t i = of.chosen + 1; i < of.all.size(); i++) {
        const uint64_t bytes = of.all[i].bytes - of.bytes();
        const double saved = (of.all[of.chosen].cost - of.all[i].cost) / static_cast<double>(bytes);
        if (bytes <= budget && saved > most) {
          most = saved;
          best = &of;
          choice = i;
        }
      }
    }
    if (!best) return;
    budget -= best->all[choice].bytes - best->bytes();
    best->chosen = choice;
  }
}

// --- Keys and working spaces ----------------------------------------------------------------------------------------

class ResidentKey;

// One proof's.
class WorkingSpace {
 public:
  explicit WorkingSpace(const ResidentKey& key);
  WorkingSpace(const WorkingSpace&) = delete;
  ~WorkingSpace();

  // Bytes of the card that it takes with these plans of a, b1, ch and b2.
  static uint64_t bytes(const ResidentKey& key, const MsmPlan (&plans)[4], uint32_t multiprocessors);

  void prove(const uint8_t* witness, const CardControl& control, CardProof& out);
  // Whether another proof can have it. Not after an error whose wiping failed too.
  bool isSound() const { return sound_; }
  // Whether nothing is left to do of a proof that was stopped.
  bool isIdle() const;

 private:
  // At the space's beginning, so that they reach the host in one piece.
  struct Results {
    Point<Fq> a[CARD_MAX_SETS], b1[CARD_MAX_SETS], ch[CARD_MAX_SETS];
    Point<Fq2> b2[CARD_MAX_SETS];
    uint32_t flag;  // a value of the witness is outside the field
  };
  struct Layout {
    Results* results;
    Fr *witness, *a, *b, *c;
    SignedScalar *scalars, *quotients;  // quotients: where a was
    size_t matrices, multiplications;  // from where on the matrices and the multiplications take theirs
  };

  const ResidentKey& key_;
  DeviceArray<uint8_t> memory_;
  Layout at_;
  std::unique_ptr<Msm<Fq>> a_, b1_, ch_;
  std::unique_ptr<Msm<Fq2>> b2_;
  PinnedArray<Results> results_;
  Upload upload_;
  EventMeter meter_;
  Stream main_, side_;
  Event witnessReady_, quotientReady_, b2Ready_, summed_, sideDone_, wiped_;
  bool sound_ = true;

  static Layout layout(const ResidentKey& key, Arena& arena);
  void enqueue(const uint8_t* witness, const CardControl& control);
  void enqueueWipe();
  void read(CardProof& out) const;
};

// What CUDA itself takes of a card once kernels run, and gives back to nobody: local memory for the stacks of all threads that the
// card holds at a time, and code, which is loaded when it is first called. A small card is asked for no more than a share.
constexpr uint32_t LARGEST_STACK = 768;  // bytes, of kernels.json; build.mjs --check compares
inline uint64_t reserveOf(uint64_t total) {
  int device = 0, threads = 0;
  check(cudaGetDevice(&device), "asking for the card");
  check(cudaDeviceGetAttribute(&threads, cudaDevAttrMaxThreadsPerMultiProcessor, device), "asking about the card");
  const uint64_t stacks = uint64_t{LARGEST_STACK} * static_cast<uint32_t>(threads) * multiprocessors();
  return std::min(total / 64, stacks + (uint64_t{64} << 20));
}

// Bytes of the card that is current, for keys and working spaces.
inline uint64_t availableMemory() {
  size_t available = 0, total = 0;
  check(cudaMemGetInfo(&available, &total), "asking for the card's memory");
  const uint64_t reserve = reserveOf(total);
  return available > reserve ? available - reserve : 0;
}

// The working spaces of all keys of a device. Who finds none free makes one; where the card has no room for it, those that lie
// idle are given up, also of other keys, and otherwise one waits until a proof ends.
//
// Whoever takes memory measures first what is free. So a key is opened, or a space made, one at a time. A proof that is under way
// already has its space, and goes on meanwhile.
class Spaces {
 public:
  static Spaces& of(int device) {
    static Spaces* const spaces = new Spaces[MAX_DEVICES];  // for good: threads may be in here when the process ends
    return spaces[device];
  }

  std::unique_ptr<WorkingSpace> take(ResidentKey& key, const int32_t* abort);
  // Null: it was not worth keeping.
  void giveBack(ResidentKey& key, std::unique_ptr<WorkingSpace> space);
  // Waits for the key's proofs, and frees its spaces.
  void remove(ResidentKey& key);

  // While a key is opened.
  class Opening {
   public:
    Opening(Spaces& spaces, const int32_t* abort) : spaces_(spaces), abort_(abort), lock_(spaces.alone_, std::defer_lock) {
      while (!lock_.try_lock_for(std::chrono::milliseconds(2))) throwIfAborted(abort);
    }
    ~Opening() {
      const std::lock_guard<std::mutex> lock(spaces_.mutex_);
      spaces_.withheld_ = false;
      spaces_.returned_.notify_all();
    }
    // Runs `attempt`. When it finds too little memory, spaces that lie idle are given up, or else the next that a proof returns,
    // and it is run again. Meanwhile no proof begins, so that this ends: what fails on a card without proofs under way fails.
    template <class Attempt>
    void insist(Attempt&& attempt);
    // Most bytes that a proof takes of a key that has no space at the moment.
    uint64_t largestWithout() const;
    // With its first space. The lock is held to the end of the opening.
    void add(ResidentKey& key, std::unique_ptr<WorkingSpace> space);

   private:
    Spaces& spaces_;
    const int32_t* abort_;
    std::unique_lock<std::timed_mutex> lock_;

    bool makeRoom(uint64_t returnsBefore);
  };

 private:
  std::timed_mutex alone_;  // who opens a key or makes a space; waited for only by those who do not hold mutex_
  std::mutex mutex_;
  std::condition_variable returned_;
  std::vector<ResidentKey*> keys_;
  uint64_t out_ = 0, returns_ = 0;  // spaces that proofs have; how often one came back
  bool withheld_ = false;  // no proof begins

  // Frees what lies idle. Whether there was anything.
  bool freeIdle();
  static std::unique_ptr<WorkingSpace> make(const ResidentKey& key, bool first);
};

class ResidentKey {
 public:
  // The view is checked here: an index that leaves its array would cost the process the card.
  ResidentKey(int device, const CardKeyView& view, const CardOptions& options, const int32_t* abort);
  ResidentKey(const ResidentKey&) = delete;
  ~ResidentKey() { Spaces::of(device_).remove(*this); }

  int device() const { return device_; }
  const CardKeyFacts& facts() const { return facts_; }

  void prove(const uint8_t* witness, const CardControl& control, CardProof& out) {
    uint64_t one[4] = {1, 0, 0, 0};
    if (memcmp(witness, one, sizeof one) != 0) throw CardError(CARD_WITNESS_INVALID, "the witness: its first value is not one");
    throwIfAborted(control.abort);
    Spaces& spaces = Spaces::of(device_);
    std::unique_ptr<WorkingSpace> space = spaces.take(*this, control.abort);
    try {
      space->prove(witness, control, out);
    } catch (...) {
      if (!space->isSound()) space.reset();
      spaces.giveBack(*this, std::move(space));
      throw;
    }
    spaces.giveBack(*this, std::move(space));
  }

 private:
  friend class WorkingSpace;
  friend class Spaces;

  const int device_;
  const uint32_t variables_, domainSize_;
  std::unique_ptr<CardDomain> domain_;
  std::unique_ptr<CardMatrix> rows_[2];
  std::unique_ptr<ResidentPoints<Fq>> a_, b1_, ch_;
  std::unique_ptr<ResidentPoints<Fq2>> b2_;
  CardKeyFacts facts_ = {};
  // In Spaces' care.
  std::vector<std::unique_ptr<WorkingSpace>> free_;
  uint32_t spaces_ = 0, running_ = 0;  // spaces that there are, free or not; proofs that have one or wait for one

  static void checkView(const CardKeyView& view);
  void dropPoints();
  void loadMatrices(const CardKeyView& view, const int32_t* abort);
  void planPoints(const CardKeyView& view, const CardOptions& options, const Spaces::Opening& opening, MsmPlan (&plans)[4]);
  void loadPoints(const CardKeyView& view, const MsmPlan (&plans)[4], const int32_t* abort);
};

// --- A proof --------------------------------------------------------------------------------------------------------

inline WorkingSpace::Layout WorkingSpace::layout(const ResidentKey& key, Arena& arena) {
  Layout at;
  at.results = arena.take<Results>(1);
  at.witness = arena.take<Fr>(key.variables_);
  at.scalars = arena.take<SignedScalar>(key.variables_);
  at.a = arena.take<Fr>(key.domainSize_);
  at.b = arena.take<Fr>(key.domainSize_);
  // The matrices' space is free again when the quotient begins.
  at.matrices = arena.used();
  at.c = arena.take<Fr>(key.domainSize_);
  at.quotients = reinterpret_cast<SignedScalar*>(at.a);
  const size_t quotient = arena.used();
  arena.rewind(at.matrices);
  arena.take<uint8_t>(std::max(key.rows_[0]->workBytes(), key.rows_[1]->workBytes()));
  arena.rewind(at.multiplications = std::max(quotient, arena.used()));
  return at;
}

inline uint64_t WorkingSpace::bytes(const ResidentKey& key, const MsmPlan (&plans)[4], uint32_t multiprocessors) {
  Arena arena;
  const uint64_t from = layout(key, arena).multiplications;
  // Those in G1 follow one another on one stream, and take the same space.
  return from + std::max({workBytes<Fq>(plans[0], multiprocessors), workBytes<Fq>(plans[1], multiprocessors),
                          workBytes<Fq>(plans[2], multiprocessors)}) + workBytes<Fq2>(plans[3], multiprocessors);
}

inline WorkingSpace::WorkingSpace(const ResidentKey& key)
    : key_(key), memory_(key.facts_.proofBytes), results_(1), upload_(size_t{key.variables_} * 32) {
  Arena arena(memory_.get(), memory_.size());
  at_ = layout(key, arena);
  auto make = [&](size_t at, auto& msm, const auto& points) {
    using Of = typename std::decay_t<decltype(msm)>::element_type;
    if (!points) return;
    arena.rewind(at);
    msm = std::make_unique<Of>(*points, arena);
  };
  make(at_.multiplications, a_, key.a_);
  make(at_.multiplications, b1_, key.b1_);
  make(at_.multiplications, ch_, key.ch_);
  make(arena.peak(), b2_, key.b2_);
  memset(static_cast<void*>(results_.get()), 0, sizeof(Results));
}

inline WorkingSpace::~WorkingSpace() {
  main_.drain();
  side_.drain();
  if (!sound_) {
    // Not wiped in its time: now that both streams are still, it needs nothing but this one call.
    ignore(cudaMemsetAsync(memory_.get(), 0, memory_.bytes(), main_));
    main_.drain();
  }
  wipe(results_.get(), sizeof(Results));
}

inline bool WorkingSpace::isIdle() const {
  const cudaError_t state = cudaEventQuery(wiped_);  // of an event that was never recorded: success
  ignore(state);
  return state != cudaErrorNotReady;
}

inline void WorkingSpace::enqueue(const uint8_t* witness, const CardControl& control) {
  meter_.reset();
  meter_.prefix("");
  EventMeter* const meter = control.timed ? &meter_ : nullptr;
  const uint64_t variables = key_.variables_;
  Results* const results = at_.results;

  check(cudaMemsetAsync(results, 0, sizeof(Results), main_), "clearing the results");
  // 32 bytes come, are read, and make 64; a product for Montgomery form.
  if (meter) meter->begin(main_, "witness", variables * 128, variables);
  uploadScalars(main_, upload_, witness, variables, at_.scalars, at_.witness, &results->flag, control.abort);
  if (meter) meter->end(main_);
  witnessReady_.record(main_);

  witnessReady_.holdUp(side_);
  for (int i = 0; i < 2; i++) {
    Arena arena(memory_.get() + at_.matrices, at_.multiplications - at_.matrices);
    meter_.prefix(i == 0 ? "A: " : "B: ");
    key_.rows_[i]->multiply(side_, at_.witness, i == 0 ? at_.a : at_.b, arena, meter);
  }
  meter_.prefix("");
  key_.domain_->quotient(side_, at_.a, at_.b, at_.c, at_.quotients, meter);
  quotientReady_.record(side_);

  auto run = [&](cudaStream_t stream, const char* prefix, const auto& msm, const SignedScalar* quotients, auto* sums) {
    throwIfAborted(control.abort);
    meter_.prefix(prefix);
    if (msm) msm->enqueue(stream, at_.scalars, quotients, sums, meter);
  };
  run(side_, "b2: ", b2_, nullptr, results->b2);
  b2Ready_.record(side_);
  run(main_, "a: ", a_, nullptr, results->a);
  run(main_, "b1: ", b1_, nullptr, results->b1);
  quotientReady_.holdUp(main_);
  run(main_, "ch: ", ch_, at_.quotients, results->ch);
  b2Ready_.holdUp(main_);

  check(cudaMemcpyAsync(results_.get(), results, sizeof(Results), cudaMemcpyDeviceToHost, main_), "copying the sums");
  summed_.record(main_);
}

// Zeros over everything that depends on the witness, behind what is enqueued: first the card's memory, then from there the
// pinned memory.
inline void WorkingSpace::enqueueWipe() {
  sideDone_.record(side_);
  sideDone_.holdUp(main_);
  check(cudaMemsetAsync(memory_.get(), 0, memory_.bytes(), main_), "wiping");
  check(cudaMemcpyAsync(results_.get(), memory_.get(), sizeof(Results), cudaMemcpyDeviceToHost, main_), "wiping");
  upload_.wipeBehind(main_, memory_.get());
  meter_.wipeBehind(main_, memory_.get());
  wiped_.record(main_);
}

inline void WorkingSpace::read(CardProof& out) const {
  auto copy = [](auto& to, const auto& msm, const auto& sums, const MsmPlan* plan) {
    to.sets = msm ? plan->sums : 0;
    to.shift = msm ? plan->shift : 0;
    memcpy(to.sums, sums, to.sets * sizeof sums[0]);
  };
  const Results& results = *results_.get();
  static_assert(sizeof results.a == sizeof out.a.sums && sizeof results.b2 == sizeof out.b2.sums, "points as card.h has them");
  copy(out.a, a_, results.a, key_.a_ ? &key_.a_->plan() : nullptr);
  copy(out.b1, b1_, results.b1, key_.b1_ ? &key_.b1_->plan() : nullptr);
  copy(out.ch, ch_, results.ch, key_.ch_ ? &key_.ch_->plan() : nullptr);
  copy(out.b2, b2_, results.b2, key_.b2_ ? &key_.b2_->plan() : nullptr);
}

inline void WorkingSpace::prove(const uint8_t* witness, const CardControl& control, CardProof& out) {
  // After what went wrong. The first error is the one to tell.
  auto recover = [&](bool sound, bool wait) {
    sound_ = sound;
    try {
      enqueueWipe();
      if (wait) waitFor(wiped_, nullptr);
    } catch (const CardError&) {
      sound_ = false;
    }
  };
  try {
    enqueue(witness, control);
    waitFor(summed_, control.abort);
    if (results_.get()->flag != 0) throw CardError(CARD_WITNESS_INVALID, "the witness: a value is outside the field");
    read(out);
    out.phases.count = 0;
    if (control.timed) meter_.read(out.phases);
    enqueueWipe();
    waitFor(wiped_, nullptr);
  } catch (const CardError& error) {
    recover(error.code == CARD_ABORTED || error.code == CARD_WITNESS_INVALID, error.code != CARD_ABORTED);
    throw;
  } catch (...) {
    recover(false, true);
    throw;
  }
}

// --- Working spaces of a device -------------------------------------------------------------------------------------

// Null: there is no room. The key's first is made however little it leaves, since without it no proof ends.
inline std::unique_ptr<WorkingSpace> Spaces::make(const ResidentKey& key, bool first) {
  if (!first && availableMemory() < key.facts_.proofBytes) return nullptr;
  try {
    return std::make_unique<WorkingSpace>(key);
  } catch (const CardError& error) {
    if (error.code != CARD_OUT_OF_MEMORY) throw;
    return nullptr;
  }
}

inline std::unique_ptr<WorkingSpace> Spaces::take(ResidentKey& key, const int32_t* abort) {
  std::unique_lock<std::mutex> lock(mutex_);
  key.running_++;
  try {
    for (uint64_t tried = std::numeric_limits<uint64_t>::max();;) {
      throwIfAborted(abort);
      if (!key.free_.empty() && !withheld_) {
        // Rather one that has nothing left to do.
        auto chosen = std::find_if(key.free_.begin(), key.free_.end(), [](const auto& space) { return space->isIdle(); });
        if (chosen == key.free_.end()) chosen = key.free_.begin();
        std::unique_ptr<WorkingSpace> space = std::move(*chosen);
        key.free_.erase(chosen);
        out_++;
        return space;
      }
      // After one that failed, not before something has come back.
      std::unique_lock<std::timed_mutex> alone(alone_, std::defer_lock);
      if (tried != returns_ && alone.try_lock()) {
        tried = returns_;
        key.free_.reserve(key.spaces_ + 1);  // so that giving back takes no memory
        const bool first = key.spaces_ == 0;
        lock.unlock();
        std::unique_ptr<WorkingSpace> space = make(key, first);
        const bool freed = !space && freeIdle();
        lock.lock();
        if (space) {
          key.spaces_++;
          out_++;
          return space;
        }
        if (freed) {
          tried = std::numeric_limits<uint64_t>::max();
          continue;
        }
        if (tried != returns_) continue;
        if (out_ == 0) {
          throw CardError(CARD_OUT_OF_MEMORY, "a proof needs " + mebibytes(key.facts_.proofBytes) + " of the card, more than is free");
        }
        alone.unlock();
      }
      returned_.wait_for(lock, std::chrono::milliseconds(2));
    }
  } catch (...) {
    if (!lock.owns_lock()) lock.lock();
    key.running_--;
    returned_.notify_all();
    throw;
  }
}

inline void Spaces::giveBack(ResidentKey& key, std::unique_ptr<WorkingSpace> space) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (space) {
    key.free_.push_back(std::move(space));
  } else {
    key.spaces_--;
  }
  key.running_--;
  out_--;
  returns_++;
  returned_.notify_all();
}

inline void Spaces::remove(ResidentKey& key) {
  std::vector<std::unique_ptr<WorkingSpace>> spaces;  // freed without the lock
  std::unique_lock<std::mutex> lock(mutex_);
  returned_.wait(lock, [&] { return key.running_ == 0; });
  keys_.erase(std::find(keys_.begin(), keys_.end(), &key));
  spaces.swap(key.free_);
  lock.unlock();
}

inline bool Spaces::freeIdle() {
  std::vector<std::unique_ptr<WorkingSpace>> spaces;  // freed without the lock
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    size_t count = 0;
    for (const ResidentKey* key : keys_) count += key->free_.size();
    spaces.reserve(count);  // before anything moves: it may throw
    for (ResidentKey* key : keys_) {
      key->spaces_ -= static_cast<uint32_t>(key->free_.size());
      for (auto& space : key->free_) spaces.push_back(std::move(space));
      key->free_.clear();
    }
  }
  return !spaces.empty();
}

template <class Attempt>
void Spaces::Opening::insist(Attempt&& attempt) {
  for (;;) {
    uint64_t returns;
    {
      const std::lock_guard<std::mutex> lock(spaces_.mutex_);
      returns = spaces_.returns_;
    }
    try {
      return attempt();
    } catch (const TooLarge&) {
      throw;
    } catch (const CardError& error) {
      if (error.code != CARD_OUT_OF_MEMORY || !makeRoom(returns)) throw;
    }
  }
}

// False: no proof is under way, and none was since; there is no more.
inline bool Spaces::Opening::makeRoom(uint64_t returnsBefore) {
  std::unique_lock<std::mutex> lock(spaces_.mutex_);
  spaces_.withheld_ = true;
  for (;;) {
    throwIfAborted(abort_);
    const bool returned = spaces_.returns_ != returnsBefore, out = spaces_.out_ > 0;
    lock.unlock();
    if (spaces_.freeIdle() || returned) return true;
    if (!out) return false;
    lock.lock();
    spaces_.returned_.wait_for(lock, std::chrono::milliseconds(2));
  }
}

inline uint64_t Spaces::Opening::largestWithout() const {
  const std::lock_guard<std::mutex> lock(spaces_.mutex_);
  uint64_t most = 0;
  for (const ResidentKey* key : spaces_.keys_) {
    if (key->spaces_ == 0) most = std::max(most, key->facts_.proofBytes);
  }
  return most;
}

inline void Spaces::Opening::add(ResidentKey& key, std::unique_ptr<WorkingSpace> space) {
  const std::lock_guard<std::mutex> lock(spaces_.mutex_);
  spaces_.keys_.reserve(spaces_.keys_.size() + 1);
  key.free_.push_back(std::move(space));
  key.spaces_ = 1;
  spaces_.keys_.push_back(&key);
}

// --- A key ----------------------------------------------------------------------------------------------------------

inline void ResidentKey::checkView(const CardKeyView& view) {
  auto require = [](bool condition, const char* message) {
    if (!condition) throw CardError(CARD_INPUT_INVALID, std::string("the key: ") + message);
  };
  require(view.variables > 0 && view.variables < 1u << 29, "the number of wires");
  require(view.domain >= 2 && view.domain <= 1u << 28 && (view.domain & (view.domain - 1)) == 0, "the domain");
  const CardPoints* const points[4] = {&view.a, &view.b1, &view.ch, &view.b2};
  for (const CardPoints* p : points) {
    require(p->wireCount <= p->count && p->wireCount <= view.variables, "the number of points");
    require(p->count - p->wireCount <= (p == &view.ch ? view.domain : 0), "the number of points");
    require(p->count == 0 || p->points, "points are missing");
    for (uint64_t i = 0; p->wires && i < p->wireCount; i++) require(p->wires[i] < view.variables, "a point of a wire that is none");
  }
  for (const CardRows& rows : view.rows) {
    // What is in them is CardMatrix's to check.
    require(rows.starts && (rows.entryCount == 0 || rows.entries) && (rows.valueCount == 0 || rows.values), "a matrix is missing");
  }
}

// Splits what is free, but for the reserve, into points, working spaces and what making the multiples takes. Two working spaces, if
// that leaves room for the points: the card computes one proof while another's witness arrives. Besides, what another key's proof
// takes whose space was given up for this key; or else the two take it in turns.
inline void ResidentKey::planPoints(const CardKeyView& view, const CardOptions& options, const Spaces::Opening& opening,
                                    MsmPlan (&plans)[4]) {
  Choices choices[4] = {Choices::of<Fq>(view.a, options), Choices::of<Fq>(view.b1, options), Choices::of<Fq>(view.ch, options),
                        Choices::of<Fq2>(view.b2, options)};
  auto choose = [&](uint64_t budget) {
    chooseMultiples(choices, 4, budget);
    for (int i = 0; i < 4; i++) plans[i] = choices[i].plan();
    return choices[0].bytes() + choices[1].bytes() + choices[2].bytes() + choices[3].bytes();
  };
  const uint32_t processors = multiprocessors();
  const uint64_t others = opening.largestWithout();
  // What is needed besides the points: first for making the multiples of all four at once, then for proofs.
  enum Proofs { IN_TURNS, ONE, TWO };
  auto besides = [&](Proofs proofs) {
    const uint64_t one = facts_.proofBytes = WorkingSpace::bytes(*this, plans, processors);
    const uint64_t construction = constructionBytes<Fq>(plans[0]) + constructionBytes<Fq>(plans[1]) + constructionBytes<Fq>(plans[2]) +
                                  constructionBytes<Fq2>(plans[3]);
    return std::max(construction, proofs == IN_TURNS ? std::max(one, others) : proofs * one + others);
  };
  const uint64_t held = facts_.keyBytes, least = choose(0), needed = besides(IN_TURNS);
  const uint64_t limit = options.memoryLimit ? options.memoryLimit : std::numeric_limits<uint64_t>::max();
  if (held + least > limit) {
    throw TooLarge("the key needs " + mebibytes(held + least) + " of the card, more than the limit of " + mebibytes(limit));
  }
  const uint64_t free = availableMemory();
  if (least + needed > free) {
    throw CardError(CARD_OUT_OF_MEMORY, "the key needs " + mebibytes(held + least) + " of the card and its proofs " + mebibytes(needed) +
                                            ", and " + mebibytes(held + free) + " are free");
  }
  Proofs proofs = TWO;
  while (proofs != IN_TURNS && least + besides(proofs) > free) proofs = proofs == TWO ? ONE : IN_TURNS;
  uint64_t budget = std::min(limit - held, free - besides(proofs)) - least;
  // Other plans need other working spaces: where they turn out larger, once more with less than was spent. Without anything to
  // spend the plans are those that fit.
  for (;;) {
    const uint64_t points = choose(budget), all = points + besides(proofs);
    if (all <= free) return;
    budget = points - least - std::min(points - least, all - free);
  }
}

// The four at the same time: the host's copies into pinned memory, the transfers and the kernels that make multiples overlap.
inline void ResidentKey::loadPoints(const CardKeyView& view, const MsmPlan (&plans)[4], const int32_t* abort) {
  std::exception_ptr errors[4];
  auto load = [&](int i, auto& points, const CardPoints& from) {
    using Of = typename std::decay_t<decltype(points)>::element_type;
    if (from.count == 0) return;
    try {
      OnDevice on(device_);
      Stream stream;
      points = std::make_unique<Of>(from, plans[i], stream, abort);
      finish(stream);
    } catch (...) {
      errors[i] = std::current_exception();
    }
  };
  {
    std::vector<std::thread> threads;
    auto join = [&] {
      for (std::thread& thread : threads) thread.join();
    };
    try {
      threads.emplace_back([&] { load(0, a_, view.a); });
      threads.emplace_back([&] { load(1, b1_, view.b1); });
      threads.emplace_back([&] { load(2, ch_, view.ch); });
    } catch (...) {
      join();
      throw;
    }
    load(3, b2_, view.b2);
    join();
  }
  for (const std::exception_ptr& error : errors) {
    if (error) std::rethrow_exception(error);
  }
}

inline void ResidentKey::loadMatrices(const CardKeyView& view, const int32_t* abort) {
  facts_ = {};
  for (auto& rows : rows_) rows.reset();
  domain_.reset();
  Stream stream;
  unsigned log = 0;
  while (uint32_t{1} << log < domainSize_) log++;
  domain_ = std::make_unique<CardDomain>(log, stream);
  facts_.keyBytes = domain_->bytes();
  for (int i = 0; i < 2; i++) {
    rows_[i] = std::make_unique<CardMatrix>(view.rows[i], domainSize_, variables_, stream, abort);
    facts_.keyBytes += rows_[i]->bytes();
  }
  finish(stream, abort);
}

inline void ResidentKey::dropPoints() {
  a_.reset();
  b1_.reset();
  ch_.reset();
  b2_.reset();
}

inline ResidentKey::ResidentKey(int device, const CardKeyView& view, const CardOptions& options, const int32_t* abort)
    : device_(device), variables_(view.variables), domainSize_(view.domain) {
  checkView(view);
  Spaces::Opening opening(Spaces::of(device_), abort);
  opening.insist([&] { loadMatrices(view, abort); });
  MsmPlan plans[4];
  std::unique_ptr<WorkingSpace> space;
  const CardKeyFacts before = facts_;
  opening.insist([&] {
    facts_ = before;
    try {
      planPoints(view, options, opening, plans);
      loadPoints(view, plans, abort);
      // The first proof's, so that a card that is too small shows now.
      space = std::make_unique<WorkingSpace>(*this);
    } catch (...) {
      dropPoints();
      throw;
    }
  });
  const CardPoints* const points[4] = {&view.a, &view.b1, &view.ch, &view.b2};
  for (int i = 0; i < 4; i++) {
    if (points[i]->count == 0) continue;
    facts_.keyBytes += i < 3 ? ResidentPoints<Fq>::bytes(*points[i], plans[i]) : ResidentPoints<Fq2>::bytes(*points[i], plans[i]);
    facts_.windows[i] = plans[i].window;
    facts_.levels[i] = plans[i].levels;
    facts_.sets[i] = plans[i].sets;
  }
  throwIfAborted(abort);
  opening.add(*this, std::move(space));
}

}  // namespace cuda
}  // namespace anchorproof

struct CardKey : anchorproof::cuda::ResidentKey {
  using ResidentKey::ResidentKey;
};
