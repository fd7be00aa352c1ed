// The emulated card sees every access: what compute-sanitizer's racecheck, initcheck and memcheck do on a card, and between
// streams.
//
// Drawing orders finds a race when an order makes a difference. This finds it when it is one, whatever the order: two accesses to
// the same bytes, one of them a write and not both atomic, with nothing that puts one before the other. What does:
//
//   in a block    __syncthreads, between all its threads; __syncwarp, between the lanes that it names; no other operation of a warp
//   in a launch   nothing between blocks
//   between works the order of a stream, events, and the host's waits; also for the host's own accesses to pinned memory
//
// Kernels may touch their own stack, the block's shared memory and the card's memory, all within their bounds; they may read
// what was written before, and constants of the program.
//
// To be compiled with -fsanitize=thread, which puts a call before each access, and linked without it: the calls come here, not to
// ThreadSanitizer. memcpy and its like are seen with -Wl,--wrap=memcpy,--wrap=memmove,--wrap=memset, and -fno-builtin-memset -fno-builtin-memcpy
// for those that gcc would write out in code. Some ten times slower than without, and a hundred bytes for each word of memory that is
// touched. Of those who used a word as many are remembered as Users says; of plain writes to parts of a word, the last.
#pragma once

#include <dlfcn.h>

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <map>
#include <string>
#include <vector>

extern "C" __attribute__((visibility("hidden"))) const char __ehdr_start[];
extern "C" __attribute__((visibility("hidden"))) const char _end[];

namespace anchorproof {
namespace emulator {

#define AP_UNSEEN __attribute__((no_sanitize("thread")))

[[noreturn]] __attribute__((format(printf, 1, 2))) void misuse(const char* format, ...);

// How much of each stream is known to have been done: its works are numbered.
using Knowledge = std::vector<uint32_t>;
AP_UNSEEN inline void learn(Knowledge& to, const Knowledge& from) {
  if (to.size() < from.size()) to.resize(from.size());
  for (size_t i = 0; i < from.size(); i++) {
    if (to[i] < from[i]) to[i] = from[i];
  }
}
AP_UNSEEN inline bool knows(const Knowledge& k, uint32_t stream, uint32_t number) { return stream < k.size() && k[stream] >= number; }

// Most accesses are of no interest, and known by their place: the stack of the kernel's thread that runs, and of the host's all
// that is not between the first and the last piece of pinned memory.
inline uintptr_t stackBegin = 0, stackEnd = 0, pinnedBegin = 0, pinnedEnd = 0;

class Watch {
 public:
  // Where and when of an access. Epochs are numbered through: each block has a new one, and another after each barrier.
  struct Stamp {
    uint32_t epoch = 0;  // 0: none
    uint32_t thread : 10, bytes : 4, atomic : 1, clock : 17;
    uint32_t code;
  };
  // Those whose accesses of one kind may still be in a race with what comes. Who comes before another for certain need not be kept
  // beside it: what races with the first does with the second. So two threads of the latest block are enough, between two of its
  // barriers (of those that only barriers of a warp order, the first and the last), and one more block of the launch; of other
  // streams, besides, as long as no more than three use the same word and none waited for another.
  struct Users {
    Stamp latest[2], others[2];
  };
  struct Cell {
    Stamp write;  // not atomic: there is one at a time
    Users atomics, reads;
    uint8_t known;          // bytes that were written
    uint32_t knownInBlock;  // in shared memory: by the block whose first epoch this is
  };
  struct Region {
    uintptr_t begin = 0, end = 0;  // of what may be touched
    Cell* cells = nullptr;
    size_t span = 0;
    AP_UNSEEN Cell* at(uintptr_t address) const { return cells + ((address >> 2) - (begin >> 2)); }
  };

  AP_UNSEEN static Watch& get() {
    alignas(Watch) static char storage[sizeof(Watch)];
    static Watch* const watch = new (storage) Watch;
    return *watch;
  }

  // Whether this host's thread is in a kernel's code. Set by calls: a fiber may come back on another thread.
  AP_UNSEEN __attribute__((noinline)) static void inKernel(bool on) { flag() = on; }
  AP_UNSEEN __attribute__((noinline)) static bool isInKernel() { return flag(); }
  AP_UNSEEN static int& inside() {
    static thread_local int depth = 0;
    return depth;
  }

  // Memory of cards and pinned memory comes and goes.
  AP_UNSEEN void add(void* at, size_t size, bool pinned) {
    const auto begin = reinterpret_cast<uintptr_t>(at);
    if (pinned) {
      pinned_[begin].end = begin + size;
      pinnedBegin = pinned_.begin()->first;
      pinnedEnd = pinned_.rbegin()->second.end;
    } else {
      regions_[begin] = region(begin, size);
    }
    last_ = nullptr;
  }
  AP_UNSEEN void remove(void* at) {
    const auto begin = reinterpret_cast<uintptr_t>(at);
    pinned_.erase(begin);
    const auto found = regions_.find(begin);
    if (found != regions_.end()) {
      munmap(found->second.cells, found->second.span);
      regions_.erase(found);
    }
    last_ = nullptr;
  }

  // Work

  struct Origin {
    const char* name;
    uint32_t stream, number, block;
  };
  AP_UNSEEN void beginWork(const char* name, uint32_t stream, uint32_t number, const Knowledge& known) {
    name_ = name;
    stream_ = stream;
    number_ = number;
    known_ = known;
    newEpoch(~0u);
  }
  AP_UNSEEN void beginBlock(unsigned block, void* shared, size_t size, unsigned threads) {
    newEpoch(block);
    firstOfBlock_ = epoch_;
    const auto begin = reinterpret_cast<uintptr_t>(shared);
    if (shared_.begin != begin || shared_.end != begin + size) {
      if (shared_.cells) munmap(shared_.cells, shared_.span);
      shared_ = region(begin, size);
    }
    for (unsigned t = 0; t < threads; t++) {
      for (uint32_t& c : clocks_[t]) c = 0;
      clocks_[t][t & 31] = 1;
    }
  }
  AP_UNSEEN void barrier() { newEpoch(origins_[epoch_].block); }
  // The lanes of the mask of the warp that begins with this thread have met.
  AP_UNSEEN void meet(unsigned first, unsigned mask) {
    uint32_t latest[32] = {};
    for (unsigned i = 0; i < 32; i++) {
      for (unsigned k = 0; k < 32 && mask >> i & 1; k++) latest[k] = std::max(latest[k], clocks_[first + i][k]);
    }
    for (unsigned i = 0; i < 32; i++) {
      if ((mask >> i & 1) == 0) continue;
      memcpy(clocks_[first + i], latest, sizeof latest);
      clocks_[first + i][i]++;
    }
  }
  AP_UNSEEN void stack(const char* bottom, size_t size) {
    stackBegin = reinterpret_cast<uintptr_t>(bottom);
    stackEnd = stackBegin + size;
  }
  AP_UNSEEN void arguments(const void* at, size_t size) {
    argumentsBegin_ = reinterpret_cast<uintptr_t>(at);
    argumentsEnd_ = argumentsBegin_ + size;
  }

  // Accesses

  AP_UNSEEN void kernel(const void* p, size_t size, bool write, bool atomic, const void* code) {
    const auto at = reinterpret_cast<uintptr_t>(p);
    if (at - shared_.begin < shared_.end - shared_.begin) {
      if (size > shared_.end - at) fault(p, size, write, code, "runs over the end of the block's shared memory");
      access(shared_, at, size, write, atomic, code, threadIdx.x);
      return;
    }
    if (const Region* r = find(at)) {
      if (size > r->end - at) fault(p, size, write, code, "runs over the end of an allocation");
      access(*r, at, size, write, atomic, code, threadIdx.x);
      return;
    }
    const bool image = at >= reinterpret_cast<uintptr_t>(__ehdr_start) && at < reinterpret_cast<uintptr_t>(_end);
    if (!write && (image || at - argumentsBegin_ < argumentsEnd_ - argumentsBegin_)) return;
    fault(p, size, write, code, "is not the card's memory");
  }
  // A copy or memset between known places.
  AP_UNSEEN void bulk(const void* p, size_t size, bool write) {
    const auto at = reinterpret_cast<uintptr_t>(p);
    if (const Region* r = find(at)) access(*r, at, size, write, false, nullptr, 0);
  }
  AP_UNSEEN void copy(const void* to, const void* from, size_t size) {
    bulk(from, size, false);
    bulk(to, size, true);
  }
  // A copy in a stream will use the host's memory.
  AP_UNSEEN void use(const void* p, size_t size, bool write, uint32_t stream, uint32_t number) {
    Pinned* pinned = findPinned(reinterpret_cast<uintptr_t>(p));
    if (!pinned) return;
    const auto at = reinterpret_cast<uintptr_t>(p);
    pinned->uses.push_back({at, at + size, write, stream, number});
  }
  // The host itself touches memory.
  AP_UNSEEN void host(const void* p, size_t size, bool write, const Knowledge& known, const void* code) {
    const auto at = reinterpret_cast<uintptr_t>(p);
    Pinned* pinned = findPinned(at);
    if (!pinned) return;
    size_t kept = 0;
    for (const Use& u : pinned->uses) {
      if (knows(known, u.stream, u.number)) continue;
      pinned->uses[kept++] = u;
      if (at >= u.end || at + size <= u.begin || !(write || u.write)) continue;
      misuse("the host %s pinned memory at %s that a copy %s, and has not waited for it", write ? "writes" : "reads", place(offset(code)).c_str(),
             u.write ? "brings" : "reads");
    }
    pinned->uses.resize(kept);
  }

 private:
  struct Use {
    uintptr_t begin, end;
    bool write;
    uint32_t stream, number;
  };
  struct Pinned {
    uintptr_t end = 0;
    std::vector<Use> uses;
  };

  Watch() : origins_(1) {}
  AP_UNSEEN static bool& flag() {
    static thread_local bool on = false;
    return on;
  }
  AP_UNSEEN static Region region(uintptr_t begin, size_t size) {
    Region r;
    r.begin = begin;
    r.end = begin + size;
    r.span = (size / 4 + 2) * sizeof(Cell);
    void* cells = mmap(nullptr, r.span, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (cells == MAP_FAILED) misuse("no memory to watch %zu bytes", size);
    r.cells = static_cast<Cell*>(cells);
    return r;
  }
  AP_UNSEEN void newEpoch(uint32_t block) {
    epoch_ = static_cast<uint32_t>(origins_.size());
    origins_.push_back({name_, stream_, number_, block});
  }
  AP_UNSEEN const Region* find(uintptr_t at) {
    if (last_ && at - last_->begin < last_->end - last_->begin) return last_;
    auto next = regions_.upper_bound(at);
    if (next == regions_.begin()) return nullptr;
    const Region& r = std::prev(next)->second;
    return at < r.end ? last_ = &r : nullptr;
  }
  AP_UNSEEN Pinned* findPinned(uintptr_t at) {
    auto next = pinned_.upper_bound(at);
    if (next == pinned_.begin()) return nullptr;
    Pinned& p = std::prev(next)->second;
    return at < p.end ? &p : nullptr;
  }
  AP_UNSEEN static uint32_t offset(const void* code) {
    return code ? static_cast<uint32_t>(static_cast<const char*>(code) - __ehdr_start) : 0;
  }

  AP_UNSEEN void access(const Region& r, uintptr_t at, size_t size, bool write, bool atomic, const void* code, unsigned thread) {
    Stamp me;
    me.epoch = epoch_;
    me.thread = thread;
    me.atomic = atomic;
    me.clock = clocks_[thread][thread & 31] & 0x1ffff;
    me.code = offset(code);
    for (uintptr_t word = at & ~uintptr_t{3}; word < at + size; word += 4) {
      unsigned bytes = 15;
      if (word < at) bytes &= 15u << (at - word);
      if (word + 4 > at + size) bytes &= 15u >> (word + 4 - at - size);
      me.bytes = bytes & 15;
      Cell& cell = *r.at(word);
      const bool shared = &r == &shared_;
      if (shared && cell.knownInBlock != firstOfBlock_) {
        cell = Cell();
        cell.knownInBlock = firstOfBlock_;
      }
      if (!ordered(cell.write, me)) race(cell.write, true, me, write, at, r);
      check(cell.atomics, true, me, write, at, r);
      if (write) check(cell.reads, false, me, true, at, r);
      if ((!write || atomic) && (cell.known & me.bytes) != me.bytes) {
        fault(reinterpret_cast<const void*>(at), size, false, code, shared ? "in shared memory was not written by this block" : "was never written");
      }
      if (write) {
        if (atomic) {
          note(cell.atomics, me);
        } else {
          cell.write = me;
        }
        cell.known = static_cast<uint8_t>(cell.known | me.bytes);
      } else {
        note(cell.reads, me);
      }
    }
  }
  AP_UNSEEN void check(const Users& users, bool wrote, const Stamp& me, bool write, uintptr_t at, const Region& r) const {
    for (const Stamp* then : {&users.latest[0], &users.latest[1], &users.others[0], &users.others[1]}) {
      if (!ordered(*then, me)) race(*then, wrote, me, write, at, r);
    }
  }
  AP_UNSEEN void note(Users& users, const Stamp& me) const {
    Stamp &last = users.latest[0], &second = users.latest[1];
    if (last.epoch == me.epoch) {
      (last.thread == me.thread && (last.bytes & ~me.bytes) == 0 ? last : second) = me;
      return;
    }
    if (isBefore(last, me)) {
      second = (last.bytes & ~me.bytes) != 0 ? last : Stamp();
    } else {
      Stamp& place = users.others[isSpare(users.others[0], last, me) ? 0 : 1];
      if (!isSpare(place, last, me)) users.others[0] = place;  // the older one is forgotten
      place = last;
      second = Stamp();
    }
    last = me;
  }
  // Comes before one of the two, or is one more block beside them.
  AP_UNSEEN bool isSpare(const Stamp& other, const Stamp& last, const Stamp& now) const {
    return isBefore(other, now) || origins_[other.epoch].stream == origins_[last.epoch].stream;
  }
  // Of two epochs: between barriers, or between blocks, or between works.
  AP_UNSEEN bool isBefore(const Stamp& then, const Stamp& now) const {
    if (then.epoch == 0) return true;
    const Origin &a = origins_[then.epoch], &b = origins_[now.epoch];
    return a.stream == b.stream && a.number == b.number ? a.block == b.block : knows(known_, a.stream, a.number);
  }
  // Whether what was stamped comes before what this thread does now, or does not matter to it.
  AP_UNSEEN bool ordered(const Stamp& then, const Stamp& now) const {
    if (then.epoch == 0 || (then.bytes & now.bytes) == 0 || (then.atomic && now.atomic)) return true;
    if (then.epoch == now.epoch) {
      if (then.thread == now.thread) return true;
      return then.thread / 32 == now.thread / 32 && clocks_[now.thread][then.thread & 31] >= then.clock;
    }
    return isBefore(then, now);
  }

  AP_UNSEEN std::string who(const Stamp& s) const {
    const Origin& o = origins_[s.epoch];
    std::string text = o.name;
    if (o.block != ~0u) text += " (block " + std::to_string(o.block) + ", thread " + std::to_string(s.thread) + ", " + place(s.code) + ")";
    return text;
  }
  AP_UNSEEN [[noreturn]] void race(const Stamp& then, bool wrote, const Stamp& now, bool writes, uintptr_t at, const Region& r) const {
    inKernel(false);
    const Origin &a = origins_[then.epoch], &b = origins_[now.epoch];
    const bool sameWork = a.stream == b.stream && a.number == b.number;
    misuse("race at byte %zu of %zu of %s: %s by %s, %s by %s, and %s", static_cast<size_t>(at - r.begin), static_cast<size_t>(r.end - r.begin),
           &r == &shared_ ? "shared memory" : "an allocation", wrote ? "written" : "read", who(then).c_str(), writes ? "written" : "read",
           who(now).c_str(), sameWork ? "no barrier between them" : "nothing makes one stream wait for the other");
  }
  AP_UNSEEN [[noreturn]] void fault(const void* at, size_t size, bool write, const void* code, const char* what) const {
    inKernel(false);
    const uint32_t offsetOfCode = offset(code);
    misuse("%s of %zu bytes at %p%s%s: %s", write ? "write" : "read", size, at, code ? ", by " : " by a copy", code ? place(offsetOfCode).c_str() : "",
           what);
  }
  // Source and line, if addr2line is there.
  AP_UNSEEN static std::string place(uint32_t code) {
    Dl_info info;
    char text[64];
    snprintf(text, sizeof text, "code at %#x", code);
    std::string out = text;
    if (code == 0 || !dladdr(__ehdr_start, &info) || !info.dli_fname) return out;
    // The return address is behind the call.
    const std::string file = access_(info.dli_fname) ? info.dli_fname : "/proc/self/exe";
    snprintf(text, sizeof text, " %#x 2>/dev/null", code - 1);
    if (FILE* pipe = popen(("addr2line -s -e '" + file + "'" + text).c_str(), "r")) {
      char line[256] = "";
      if (fgets(line, sizeof line, pipe) && line[0] != '?') {
        line[strcspn(line, " \n")] = 0;
        out = line;
      }
      pclose(pipe);
    }
    return out;
  }
  AP_UNSEEN static bool access_(const char* path) { return ::access(path, R_OK) == 0; }

  std::map<uintptr_t, Region> regions_;
  std::map<uintptr_t, Pinned> pinned_;
  Region shared_;
  const Region* last_ = nullptr;
  uintptr_t argumentsBegin_ = 0, argumentsEnd_ = 0;
  uint32_t clocks_[1024][32] = {};
  std::vector<Origin> origins_;
  const char* name_ = "";
  uint32_t stream_ = 0, number_ = 0, epoch_ = 0, firstOfBlock_ = 0;
  Knowledge known_;
};

// While one lives, what the thread does is the emulator's doing.
class Unseen {
 public:
  AP_UNSEEN Unseen() : was_(Watch::isInKernel()) {
    Watch::inKernel(false);
    Watch::inside()++;
  }
  AP_UNSEEN ~Unseen() {
    Watch::inside()--;
    Watch::inKernel(was_);
  }

 private:
  const bool was_;
};

void hostTouches(const void* at, size_t size, bool write, const void* code);

AP_UNSEEN inline void seen(const void* at, size_t size, bool write, bool atomic, const void* code) {
  const auto place = reinterpret_cast<uintptr_t>(at);
  if (place - stackBegin < stackEnd - stackBegin) return;
  if (Watch::isInKernel()) {
    const Unseen unseen;
    Watch::get().kernel(at, size, write, atomic, code);
  } else if (place - pinnedBegin < pinnedEnd - pinnedBegin && Watch::inside() == 0) {
    const Unseen unseen;
    hostTouches(at, size, write, code);
  }
}

// The compiler (gcc 12) makes no call for what a function returns in memory when that is stored at once, as in `nodes[i] = a * b`:
// elements are assigned by this.
AP_UNSEEN inline void assign(void* to, const void* from, size_t size) {
  seen(from, size, false, false, __builtin_return_address(0));
  seen(to, size, true, false, __builtin_return_address(0));
  const Unseen unseen;
  memmove(to, from, size);
}

}  // namespace emulator
}  // namespace anchorproof

// What the compiler calls

#define AP_HOOK extern "C" __attribute__((weak, visibility("hidden"), no_sanitize("thread")))
#define AP_SEEN(at, size, write) ::anchorproof::emulator::seen(at, size, write, false, __builtin_return_address(0))

AP_HOOK void __tsan_init() {}
AP_HOOK void __tsan_func_entry(void*) {}
AP_HOOK void __tsan_func_exit() {}
AP_HOOK void __tsan_vptr_update(void**, void*) {}
AP_HOOK void __tsan_vptr_read(void**) {}
AP_HOOK void __tsan_read_range(void* at, unsigned long size) { AP_SEEN(at, size, false); }
AP_HOOK void __tsan_write_range(void* at, unsigned long size) { AP_SEEN(at, size, true); }
#define AP_HOOKS(size)                                                           \
  AP_HOOK void __tsan_read##size(void* at) { AP_SEEN(at, size, false); }           \
  AP_HOOK void __tsan_write##size(void* at) { AP_SEEN(at, size, true); }           \
  AP_HOOK void __tsan_unaligned_read##size(void* at) { AP_SEEN(at, size, false); } \
  AP_HOOK void __tsan_unaligned_write##size(void* at) { AP_SEEN(at, size, true); }
AP_HOOKS(1)
AP_HOOKS(2)
AP_HOOKS(4)
AP_HOOKS(8)
AP_HOOKS(16)

// Atomics of the host's side are left as they are.
#define AP_ATOMIC_RMW(bits, T, name, builtin) \
  AP_HOOK T __tsan_atomic##bits##_##name(volatile T* at, T value, int) { return builtin(at, value, __ATOMIC_SEQ_CST); }
#define AP_ATOMICS(bits, T)                                                                                     \
  AP_HOOK T __tsan_atomic##bits##_load(const volatile T* at, int) { return __atomic_load_n(at, __ATOMIC_SEQ_CST); } \
  AP_HOOK void __tsan_atomic##bits##_store(volatile T* at, T value, int) { __atomic_store_n(at, value, __ATOMIC_SEQ_CST); } \
  AP_ATOMIC_RMW(bits, T, exchange, __atomic_exchange_n)                                                         \
  AP_ATOMIC_RMW(bits, T, fetch_add, __atomic_fetch_add)                                                         \
  AP_ATOMIC_RMW(bits, T, fetch_sub, __atomic_fetch_sub)                                                         \
  AP_ATOMIC_RMW(bits, T, fetch_and, __atomic_fetch_and)                                                         \
  AP_ATOMIC_RMW(bits, T, fetch_or, __atomic_fetch_or)                                                           \
  AP_ATOMIC_RMW(bits, T, fetch_xor, __atomic_fetch_xor)                                                         \
  AP_HOOK int __tsan_atomic##bits##_compare_exchange_strong(volatile T* at, T* expected, T value, int, int) {   \
    return __atomic_compare_exchange_n(at, expected, value, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);         \
  }                                                                                                             \
  AP_HOOK int __tsan_atomic##bits##_compare_exchange_weak(volatile T* at, T* expected, T value, int, int) {     \
    return __atomic_compare_exchange_n(at, expected, value, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);         \
  }
AP_ATOMICS(8, unsigned char)
AP_ATOMICS(16, unsigned short)
AP_ATOMICS(32, unsigned)
AP_ATOMICS(64, unsigned long)
AP_HOOK void __tsan_atomic_thread_fence(int) { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
AP_HOOK void __tsan_atomic_signal_fence(int) {}

extern "C" void* __real_memcpy(void*, const void*, size_t) __attribute__((weak));
extern "C" void* __real_memmove(void*, const void*, size_t) __attribute__((weak));
extern "C" void* __real_memset(void*, int, size_t) __attribute__((weak));
AP_HOOK void* __wrap_memcpy(void* to, const void* from, size_t size) {
  if (size > 0) AP_SEEN(from, size, false), AP_SEEN(to, size, true);
  return __real_memcpy(to, from, size);
}
AP_HOOK void* __wrap_memmove(void* to, const void* from, size_t size) {
  if (size > 0) AP_SEEN(from, size, false), AP_SEEN(to, size, true);
  return __real_memmove(to, from, size);
}
AP_HOOK void* __wrap_memset(void* at, int value, size_t size) {
  if (size > 0) AP_SEEN(at, size, true);
  return __real_memset(at, value, size);
}
