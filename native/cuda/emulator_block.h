// Blocks of the emulated card: threads in random order with real barriers, operations of warps, shared memory.
//
// One block runs at a time, in the host's thread that waits for the card, and all of this under the card's lock: so what kernels
// read of the machine (threadIdx and the like) are plain variables.
//
// A thread runs until it waits. Which one goes next is drawn at random, so that what they show each other without a barrier in
// between comes out differently from one seed to the next. A runner is a stack on which threads of the block run one after the
// other; only one that waits keeps its stack, and the threads behind it get another: a kernel without barriers needs one in all.
#pragma once

#include <algorithm>
#include <cstdarg>
#include <cstring>
#include <memory>
#include <type_traits>
#include <vector>

#include "emulator_fiber.h"

struct uint3 {
  unsigned x, y, z;
};
struct dim3 {
  unsigned x, y, z;
};
inline uint3 threadIdx{0, 0, 0}, blockIdx{0, 0, 0};
inline dim3 blockDim{1, 1, 1}, gridDim{1, 1, 1};

// AP_WATCH(…): what is only done where every access is seen.
#if defined(__SANITIZE_THREAD__)
#include "emulator_watch.h"
#define AP_WATCH(...) __VA_ARGS__
#else
#define AP_WATCH(...)
#endif

namespace anchorproof {
namespace emulator {

// splitmix64: short, and good enough to draw orders and garbage.
class Random {
 public:
  explicit Random(uint64_t seed) : x_(seed) {}
  uint64_t next() {
    uint64_t z = x_ += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
  }
  // 0 … n − 1
  uint64_t below(uint64_t n) { return static_cast<uint64_t>((unsigned __int128)next() * n >> 64); }
  bool oneIn(uint64_t n) { return below(n) == 0; }
  // What nobody wrote: other values each time.
  void garbage(void* to, size_t size) {
    uint64_t value = next();
    const uint64_t step = next();
    auto* at = static_cast<char*>(to);
    for (; size >= 8; at += 8, size -= 8, value += step) memcpy(at, &value, 8);
    memcpy(at, &value, size);
  }

 private:
  uint64_t x_;
};

// 0 … n − 1 in one of about n² orders, without a table.
class Order {
 public:
  Order() = default;
  Order(uint64_t n, Random& random) : n_(n), left_(n), at_(random.below(n)) {
    do step_ = 1 + random.below(n);
    while (gcd(step_, n) != 1);
  }
  bool empty() const { return left_ == 0; }
  uint64_t take() {
    const uint64_t out = at_;
    at_ += step_;
    if (at_ >= n_) at_ -= n_;
    left_--;
    return out;
  }

 private:
  static uint64_t gcd(uint64_t a, uint64_t b) {
    while (b != 0) {
      const uint64_t r = a % b;
      a = b;
      b = r;
    }
    return a;
  }
  uint64_t n_ = 0, left_ = 0, at_ = 0, step_ = 1;
};

// The kernel that runs, for messages.
struct Launch {
  const char* name;
  unsigned blocks, threads;
  size_t shared;
};

class Executor;
Executor& executor();

// Programs that no card would run as they mean it end here.
[[noreturn]] __attribute__((format(printf, 1, 2))) void misuse(const char* format, ...);

class Executor {
 public:
  // Ever so many threads, each of which calls body.
  template <class Body>
  void run(const Launch& launch, Random& random, const Body& body) {
    launch_ = &launch;
    random_ = &random;
    body_ = [](const void* b) { (*static_cast<const Body*>(b))(); };
    bodyData_ = &body;
    blockDim = {launch.threads, 1, 1};
    gridDim = {launch.blocks, 1, 1};
    SharedMemory shared(*this, launch.shared);
    for (Order order(launch.blocks, random); !order.empty();) {
      blockIdx.x = static_cast<unsigned>(order.take());
      shared.renew(random);
      runBlock();
      shared.check();
    }
    launch_ = nullptr;
  }

  void* shared() const { return shared_; }
  const Launch* launch() const { return launch_; }
  Random& random() { return *random_; }

  void barrier(unsigned line) {
    AP_WATCH(const Unseen unseen;)
    Thread& me = threads_[threadIdx.x];
    me.state = AT_BARRIER;
    me.line = line;
    if (atBarrier_ > 0 && barrierLine_ != line) {
      misuse("divergent barrier: this thread waits at the __syncthreads of line %u, others wait at that of line %u", line, barrierLine_);
    }
    barrierLine_ = line;
    atBarrier_++;
    wait();
  }

  enum Operation : unsigned { SYNC, SHUFFLE, BALLOT };
  // Waits for the lanes of the mask at the same operation. `value` is what this lane shows; the answer is the value of `lane` to
  // a shuffle, the mask of those whose value is not zero to a ballot.
  uint64_t warp(Operation operation, unsigned mask, uint64_t value, unsigned lane, unsigned line) {
    AP_WATCH(const Unseen unseen;)
    const unsigned index = threadIdx.x, first = index & ~31u;
    Thread& me = threads_[index];
    if ((mask >> (index & 31) & 1) == 0) misuse("line %u: the mask %#x of a warp's operation does not name the lane itself", line, mask);
    me.state = AT_WARP;
    me.operation = operation;
    me.mask = mask;
    me.value = value;
    me.source = lane & 31;
    me.line = line;
    bool complete = true;
    for (unsigned i = 0; i < 32; i++) {
      if ((mask >> i & 1) == 0) continue;
      if (first + i >= launch_->threads) misuse("line %u: the mask %#x names lane %u, which the block does not have", line, mask, i);
      const Thread& other = threads_[first + i];
      if (other.state == ENDED) misuse("line %u: the mask %#x names lane %u, which has ended", line, mask, i);
      complete &= other.state == AT_WARP && other.operation == operation && other.mask == mask && other.line == line;
    }
    if (!complete) {
      atWarp_++;
      wait();
      return me.value;
    }
    AP_WATCH(if (operation == SYNC) Watch::get().meet(first, mask);)
    uint64_t values[32] = {}, votes = 0;
    for (unsigned i = 0; i < 32; i++) {
      if ((mask >> i & 1) == 0) continue;
      values[i] = threads_[first + i].value;
      votes |= static_cast<uint64_t>(values[i] != 0) << i;
    }
    for (unsigned i = 0; i < 32; i++) {
      if ((mask >> i & 1) == 0) continue;
      Thread& other = threads_[first + i];
      // What a lane outside of the mask shows is not defined.
      if (operation == SHUFFLE) other.value = mask >> other.source & 1 ? values[other.source] : random_->next();
      if (operation == BALLOT) other.value = votes;
      other.state = RUNNING;
      if (first + i == index) continue;
      atWarp_--;
      ready_.push_back(other.runner);
    }
    ready_.push_back(current_);  // it is not always the last to come that goes on first
    wait();
    return me.value;
  }

 private:
  enum State : uint8_t { NEW, RUNNING, AT_BARRIER, AT_WARP, ENDED };
  struct Runner {
    explicit Runner(void (*entry)()) : fiber(entry) {}
    Fiber fiber;
    unsigned thread = 0;
  };
  struct Thread {
    State state;
    Operation operation;
    unsigned mask, source, line;
    uint64_t value;
    Runner* runner;
  };
  static constexpr unsigned MAX_THREADS = 1024;

  // The block's, exactly as large as asked for.
  class SharedMemory {
   public:
    SharedMemory(Executor& owner, size_t size) : owner_(owner), size_(size), pages_((size + 2 * EDGE + 15) / 16 * 16) {
      owner.shared_ = pages_.data() + EDGE;
#if defined(AP_ADDRESS_SANITIZER)
      __asan_poison_memory_region(pages_.data(), EDGE);
      __asan_poison_memory_region(pages_.data() + EDGE + size, pages_.size() - EDGE - size);
#else
      memset(pages_.data(), CANARY, pages_.size());
#endif
    }
    ~SharedMemory() {
#if defined(AP_ADDRESS_SANITIZER)
      __asan_unpoison_memory_region(pages_.data(), pages_.size());
#endif
    }
    void renew(Random& random) { random.garbage(owner_.shared_, size_); }
    void check() const {
#if !defined(AP_ADDRESS_SANITIZER)
      bool whole = true;
      for (size_t i = 0; i < EDGE; i++) whole &= pages_[i] == CANARY;
      for (size_t i = EDGE + size_; i < pages_.size(); i++) whole &= pages_[i] == CANARY;
      if (!whole) misuse("written beside the block's %zu bytes of shared memory", size_);
#endif
    }

   private:
    static constexpr size_t EDGE = 1024;
    static constexpr char CANARY = 0x5c;
    Executor& owner_;
    size_t size_;
    std::vector<char> pages_;
  };

  void runBlock() {
    const unsigned n = launch_->threads;
    for (unsigned i = 0; i < n; i++) threads_[i].state = NEW;
    order_ = Order(n, *random_);
    ended_ = atBarrier_ = atWarp_ = 0;
    AP_WATCH(Watch::get().beginBlock(blockIdx.x, shared_, launch_->shared, n);)
    Runner* next = schedule();
    current_ = next;
    host_.switchTo(next->fiber);
    if (ended_ != n) stuck();
  }

  // Whose turn it is; null: nobody can go on.
  Runner* schedule() {
    for (;;) {
      const bool fresh = !order_.empty();
      if (!ready_.empty() && (!fresh || random_->oneIn(2))) {
        std::swap(ready_.back(), ready_[random_->below(ready_.size())]);
        Runner* next = ready_.back();
        ready_.pop_back();
        return next;
      }
      if (fresh) {
        if (idle_.empty()) {
          runners_.push_back(std::make_unique<Runner>(&Executor::enter));
          idle_.push_back(runners_.back().get());
        }
        Runner* next = idle_.back();
        idle_.pop_back();
        return next;
      }
      if (atBarrier_ == 0 || atBarrier_ + ended_ != launch_->threads) return nullptr;
      for (unsigned i = 0; i < launch_->threads; i++) {
        if (threads_[i].state != AT_BARRIER) continue;
        threads_[i].state = RUNNING;
        ready_.push_back(threads_[i].runner);
      }
      atBarrier_ = 0;
      AP_WATCH(Watch::get().barrier();)
    }
  }

  // The current thread lets others go on; returns when it is its turn.
  void wait() {
    Runner* self = current_;
    go(self, schedule());
    threadIdx.x = self->thread;
    AP_WATCH(Watch::get().stack(self->fiber.bottom(), Fiber::STACK);)
  }
  void go(Runner* self, Runner* next) {
    if (next == self) return;
    current_ = next;
    self->fiber.switchTo(next ? next->fiber : host_);
  }

  [[noreturn]] static void enter() {
    Executor& e = executor();
    e.current_->fiber.arrived();
    e.work();
  }
  [[noreturn]] void work() {
    Runner* self = current_;
    for (;;) {
      while (!order_.empty()) {
        self->thread = threadIdx.x = static_cast<unsigned>(order_.take());
        Thread& thread = threads_[self->thread];
        thread.state = RUNNING;
        thread.runner = self;
        AP_WATCH(Watch::get().stack(self->fiber.bottom(), Fiber::STACK);)
        body_(bodyData_);
        thread.state = ENDED;
        ended_++;
        if (atWarp_ > 0) checkNotMissed(self->thread);
        if (!ready_.empty() && random_->oneIn(2)) break;
      }
      idle_.push_back(self);
      go(self, schedule());
    }
  }

  // Whether a lane waits for this one, which has ended.
  void checkNotMissed(unsigned index) const {
    const unsigned first = index & ~31u;
    for (unsigned i = first; i < first + 32 && i < launch_->threads; i++) {
      const Thread& other = threads_[i];
      if (other.state == AT_WARP && other.mask >> (index & 31) & 1) {
        misuse("this thread ended while thread %u waits for it in line %u, at an operation of the warp's lanes %#x", i, other.line, other.mask);
      }
    }
  }
  // Nobody can go on: some wait for others that wait elsewhere.
  [[noreturn]] void stuck() const {
    char text[512] = "";
    size_t used = 0, shown = 0;
    unsigned last = ~0u;
    for (unsigned i = 0; i < launch_->threads && shown < 4; i++) {
      const Thread& t = threads_[i];
      if (t.state == ENDED || t.line == last) continue;
      last = t.line;
      shown++;
      threadIdx.x = i;
      used += static_cast<size_t>(snprintf(text + used, sizeof text - used, "%s thread %u at %s of line %u", shown > 1 ? "," : "", i,
                                           t.state == AT_BARRIER    ? "the __syncthreads"
                                           : t.operation == SHUFFLE ? "a shuffle"
                                           : t.operation == BALLOT  ? "a ballot"
                                                                    : "the __syncwarp",
                                           t.line));
    }
    misuse("divergent barriers, nobody can go on:%s", text);
  }

  const Launch* launch_ = nullptr;
  Random* random_ = nullptr;
  void (*body_)(const void*) = nullptr;
  const void* bodyData_ = nullptr;
  char* shared_ = nullptr;
  Order order_;
  unsigned ended_ = 0, atBarrier_ = 0, atWarp_ = 0, barrierLine_ = 0;
  Thread threads_[MAX_THREADS];
  Fiber host_;
  Runner* current_ = nullptr;
  std::vector<Runner*> idle_, ready_;
  std::vector<std::unique_ptr<Runner>> runners_;
};

// Never destroyed: who ends the process may do so in the middle of something.
inline Executor& executor() {
  alignas(Executor) static char storage[sizeof(Executor)];
  static Executor* const e = new (storage) Executor;
  return *e;
}

inline void misuse(const char* format, ...) {
  fprintf(stderr, "emulated card: ");
  if (const Launch* launch = executor().launch()) {
    fprintf(stderr, "kernel %s, block %u of %u, thread %u of %u: ", launch->name, blockIdx.x, launch->blocks, threadIdx.x, launch->threads);
  }
  va_list arguments;
  va_start(arguments, format);
  vfprintf(stderr, format, arguments);
  va_end(arguments);
  fprintf(stderr, "\n");
  fflush(stderr);
  abort();
}

inline void* sharedMemory() {
  AP_WATCH(const Unseen unseen;)
  return executor().shared();
}

// Values of 4 and 8 bytes that lanes show each other.
template <class T>
uint64_t toBits(T value) {
  static_assert(std::is_arithmetic<T>::value && (sizeof(T) == 4 || sizeof(T) == 8), "lanes show each other words and doubles of words");
  uint64_t bits = 0;
  memcpy(&bits, &value, sizeof value);
  return bits;
}
template <class T>
T shuffle(unsigned mask, T value, unsigned lane, unsigned line) {
  const uint64_t bits = executor().warp(Executor::SHUFFLE, mask, toBits(value), lane, line);
  memcpy(&value, &bits, sizeof value);
  return value;
}

template <class T>
struct Same {
  using type = T;
};
template <class T>
using SameType = typename Same<T>::type;  // of a parameter that takes no part in the deduction of T
template <class T>
constexpr bool isAtomicWord = std::is_same<T, int>::value || std::is_same<T, unsigned>::value || std::is_same<T, unsigned long long>::value;

}  // namespace emulator
}  // namespace anchorproof

// Of CUDA's functions for kernels, those that platform.h names and plain arithmetic. Barriers take the line they stand in: all
// threads must be at the same one.

inline void __syncthreads(unsigned line = __builtin_LINE()) { anchorproof::emulator::executor().barrier(line); }
inline void __syncwarp(unsigned mask = ~0u, unsigned line = __builtin_LINE()) {
  using anchorproof::emulator::Executor;
  anchorproof::emulator::executor().warp(Executor::SYNC, mask, 0, 0, line);
}
inline unsigned __ballot_sync(unsigned mask, int vote, unsigned line = __builtin_LINE()) {
  using anchorproof::emulator::Executor;
  return static_cast<unsigned>(anchorproof::emulator::executor().warp(Executor::BALLOT, mask, vote != 0, 0, line));
}
// Of widths, the whole warp only.
template <class T>
T __shfl_sync(unsigned mask, T value, int lane, int width = 32, unsigned line = __builtin_LINE()) {
  if (width != 32) anchorproof::emulator::misuse("line %u: a shuffle of width %d is not emulated", line, width);
  return anchorproof::emulator::shuffle(mask, value, static_cast<unsigned>(lane), line);
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned by, int width = 32, unsigned line = __builtin_LINE()) {
  const unsigned lane = threadIdx.x & 31;
  return __shfl_sync(mask, value, static_cast<int>(lane < by ? lane : lane - by), width, line);
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned by, int width = 32, unsigned line = __builtin_LINE()) {
  const unsigned lane = threadIdx.x & 31;
  return __shfl_sync(mask, value, static_cast<int>(lane + by > 31 ? lane : lane + by), width, line);
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int by, int width = 32, unsigned line = __builtin_LINE()) {
  return __shfl_sync(mask, value, static_cast<int>(threadIdx.x & 31) ^ by, width, line);
}

// Threads run one at a time, so that these are atomic as they stand. Words only, as CUDA has them: not uint64_t.
template <class T>
T atomicAdd(T* at, anchorproof::emulator::SameType<T> by) {
  static_assert(anchorproof::emulator::isAtomicWord<T>, "CUDA has no such atomic");
  AP_WATCH(anchorproof::emulator::seen(at, sizeof *at, true, true, __builtin_return_address(0)); const anchorproof::emulator::Unseen unseen;)
  const T old = *at;
  *at = static_cast<T>(old + by);
  return old;
}
template <class T>
T atomicMax(T* at, anchorproof::emulator::SameType<T> by) {
  static_assert(anchorproof::emulator::isAtomicWord<T>, "CUDA has no such atomic");
  AP_WATCH(anchorproof::emulator::seen(at, sizeof *at, true, true, __builtin_return_address(0)); const anchorproof::emulator::Unseen unseen;)
  const T old = *at;
  if (by > old) *at = by;
  return old;
}
template <class T>
T atomicMin(T* at, anchorproof::emulator::SameType<T> by) {
  static_assert(anchorproof::emulator::isAtomicWord<T>, "CUDA has no such atomic");
  AP_WATCH(anchorproof::emulator::seen(at, sizeof *at, true, true, __builtin_return_address(0)); const anchorproof::emulator::Unseen unseen;)
  const T old = *at;
  if (by < old) *at = by;
  return old;
}
template <class T>
T atomicOr(T* at, anchorproof::emulator::SameType<T> by) {
  static_assert(anchorproof::emulator::isAtomicWord<T>, "CUDA has no such atomic");
  AP_WATCH(anchorproof::emulator::seen(at, sizeof *at, true, true, __builtin_return_address(0)); const anchorproof::emulator::Unseen unseen;)
  const T old = *at;
  *at = old | by;
  return old;
}

template <class T>
T __ldg(const T* at) {
  return *at;
}
inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
inline int __clz(int x) { return x != 0 ? __builtin_clz(static_cast<unsigned>(x)) : 32; }
inline int __clzll(long long x) { return x != 0 ? __builtin_clzll(static_cast<unsigned long long>(x)) : 64; }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline unsigned __brev(unsigned x) {
  x = (x >> 1 & 0x55555555) | (x & 0x55555555) << 1;
  x = (x >> 2 & 0x33333333) | (x & 0x33333333) << 2;
  x = (x >> 4 & 0x0f0f0f0f) | (x & 0x0f0f0f0f) << 4;
  return __builtin_bswap32(x);
}
inline unsigned __umulhi(unsigned a, unsigned b) { return static_cast<unsigned>(static_cast<uint64_t>(a) * b >> 32); }

// Sixteen bytes in one access.
struct alignas(16) uint4 {
  unsigned x, y, z, w;
};
struct alignas(8) uint2 {
  unsigned x, y;
};
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }
inline uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }
