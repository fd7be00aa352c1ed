// A card made of the host's memory and one of its threads, built to find what is wrong with a program for a card. What the
// kernels and their host side use of CUDA, and no more; names and numbers are CUDA's.
//
// Nothing is done when it is asked for. A stream is a queue; when the host waits for something, the heads of the queues run in an
// order drawn at random, held back only by their own stream and by events, until what is waited for is done: at times nothing but
// that, at times other streams first. Now and then work runs early, as on a card that is quicker than its host. A wait that was
// forgotten shows as a wrong result in some of the orders.
//
//   kernels          emulator_block.h: real barriers, threads and blocks in random order, shared memory of the exact size
//   memory           of the card: exact sizes with edges that are watched, random contents, and not accessible while no work runs, so
//                    that a host that reads it through the card's pointer, or a kernel of another card, faults as with a real one
//   copies           from and to pinned memory happen when they run. Pageable memory is read at the call (CUDA stages it), and
//                    a copy to pageable memory waits for the stream
//   errors           returned as CUDA does, at the call or when the work runs; those that cost the context stay. What a card would
//                    not even report (divergent barriers, pinned memory given back while a copy waits for it) ends the process
//   every access     emulator_watch.h, compiled with -fsanitize=thread: races of threads, blocks and streams whatever the order, memory
//                    that was never written, pointers to what is not the card's
//
// What CUDA leaves open is decided against the program: the legacy stream is refused, blocking streams are not to be had, a launch
// for a stream of a card that is not current fails, cudaFreeHost does not wait.
//
//   AP_EMULATOR_SEED      of all orders and garbage; 1
//   AP_EMULATOR_DEVICES   how many cards; 1
//   AP_EMULATOR_MULTIPROCESSORS   that each says it has; 1 to 256, 2
//   AP_EMULATOR_MEMORY    of each, in bytes, or with K, M or G behind; 4G
//   AP_EMULATOR_OVERHEAD  what each kernel takes of a card's memory for good, when it is first launched there; 0
//   AP_EMULATOR_FAULT     what goes wrong, by commas. Read by cudaGetDeviceCount and cudaMemGetInfo, counted from when it changed
//       driver, old, none, unknown    there is no driver, one for CUDA 12.4, no card, or a driver that cannot say (its module is not loaded)
//       alloc:N           the Nth cudaMalloc finds no memory          pinned:N  the Nth cudaMallocHost
//       call:N            the Nth call of any function that can fail returns cudaErrorUnknown and does nothing
//       launch:N          the Nth kernel breaks the context when it runs: cudaErrorLaunchFailure from then on
//       copy:N            the Nth copy does: cudaErrorIllegalAddress from then on
//       flip:N            one bit of what the Nth copy brings to the host is wrong, in a byte that is not zero
//     N+ in place of N: that one and all that follow.
#pragma once

#include <signal.h>

#include <atomic>
#include <cinttypes>
#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <tuple>
#include <utility>

#include "emulator_block.h"

enum cudaError_t {
  cudaSuccess = 0,
  cudaErrorInvalidValue = 1,
  cudaErrorMemoryAllocation = 2,
  cudaErrorInvalidConfiguration = 9,
  cudaErrorInvalidMemcpyDirection = 21,
  cudaErrorInsufficientDriver = 35,
  cudaErrorInvalidDeviceFunction = 98,
  cudaErrorNoDevice = 100,
  cudaErrorInvalidDevice = 101,
  cudaErrorNoKernelImageForDevice = 209,
  cudaErrorInvalidResourceHandle = 400,
  cudaErrorNotReady = 600,
  cudaErrorIllegalAddress = 700,
  cudaErrorLaunchOutOfResources = 701,
  cudaErrorLaunchFailure = 719,
  cudaErrorUnknown = 999
};
enum cudaMemcpyKind { cudaMemcpyHostToDevice = 1, cudaMemcpyDeviceToHost = 2, cudaMemcpyDeviceToDevice = 3 };
enum cudaFuncAttribute { cudaFuncAttributeMaxDynamicSharedMemorySize = 8 };
enum cudaDeviceAttr {
  cudaDevAttrClockRate = 13,
  cudaDevAttrMultiProcessorCount = 16,
  cudaDevAttrMemoryClockRate = 36,
  cudaDevAttrMaxThreadsPerMultiProcessor = 39
};
constexpr unsigned cudaStreamNonBlocking = 1, cudaEventDefault = 0, cudaEventBlockingSync = 1, cudaEventDisableTiming = 2;

// What is asked of an emulated card.
struct cudaDeviceProp {
  char name[256];
  size_t totalGlobalMem, sharedMemPerBlock, sharedMemPerBlockOptin;
  int major, minor, multiProcessorCount, memoryBusWidth, l2CacheSize, warpSize, maxThreadsPerBlock;
};

// Of this program or library alone, which the kernels that it launches are part of.
extern "C" __attribute__((weak, visibility("hidden"))) const uintptr_t __start___patchable_function_entries[];
extern "C" __attribute__((weak, visibility("hidden"))) const uintptr_t __stop___patchable_function_entries[];

namespace anchorproof {
namespace emulator {

struct Stream;

// One recording of an event: a place in a stream.
struct Mark {
  Stream* stream = nullptr;  // until it is passed
  bool passed = false;
  std::chrono::steady_clock::time_point at;
  AP_WATCH(Knowledge known;)
};
struct Event {
  int device;
  bool timed;
  std::shared_ptr<Mark> mark;  // the last recording
};

// A piece of work: something to run, or an event to record, or one to wait for.
struct Work {
  std::function<void()> run;
  std::shared_ptr<Mark> record, wait;
  const void* pinned = nullptr;  // memory of the host that it will read or write
  AP_WATCH(const char* name = ""; uint32_t number = 0; Knowledge known;)
};
struct Stream {
  int device;
  bool open;  // not destroyed; a destroyed one ends its work
  uint64_t priority;
  std::deque<Work> queue;
  AP_WATCH(uint32_t id = 0, number = 0; Knowledge known;)
};

constexpr size_t SHARED_LIMIT = 48 << 10, SHARED_OPT_IN = 99 << 10;  // 99 KiB are the least of the cards that we build for (sm_89)

// Memory of a card, or pinned: pages of its own, between a megabyte on each side that nobody may touch, and watched bytes between
// these and the piece itself.
struct Allocation {
  char* pages;
  size_t span;  // bytes of pages
  char* data;
  size_t size;
  int device;  // −1: pinned
};

class Machine {
 public:
  using Lock = std::unique_lock<std::mutex>;

  std::mutex mutex;
  std::atomic<int> waiting{0};

  struct Device {
    size_t limit = 0, used = 0, overhead = 0;  // used: by what the program asked for
    cudaError_t lost = cudaSuccess;  // the context is broken, and by what
    std::map<const void*, size_t> sharedLimits;
    std::set<const void*> loaded;  // kernels
    size_t available() const { return limit - std::min(limit, used + overhead); }
  };

  Machine() : random_(number("AP_EMULATOR_SEED", 1)) {
    devices_.resize(std::max<size_t>(1, number("AP_EMULATOR_DEVICES", 1)));
    for (Device& d : devices_) d.limit = number("AP_EMULATOR_MEMORY", static_cast<size_t>(4) << 30);
    overhead_ = number("AP_EMULATOR_OVERHEAD", 0);
    multiprocessors_ = static_cast<int>(number("AP_EMULATOR_MULTIPROCESSORS", 2, 1, 256));
    readFaults();
#if defined(AP_ADDRESS_SANITIZER)
    // A report of the sanitizer says where; this adds which thread of which kernel.
    __sanitizer_set_death_callback([] { describeThread(); });
#endif
  }

  // The machine never ends, so that pinned arrays in static variables may be given back late.
  static Machine& get() {
    static Machine* const machine = new Machine;
    return *machine;
  }
  static int& currentDevice() {
    static thread_local int device = 0;
    return device;
  }
  static cudaError_t& lastError() {
    static thread_local cudaError_t error = cudaSuccess;
    return error;
  }

  Random& random() { return random_; }
  std::vector<Device>& devices() { return devices_; }
  int multiprocessors() const { return multiprocessors_; }
  Device& current() { return devices_[static_cast<size_t>(currentDevice())]; }

  // Faults

  enum Fault { ALLOC, PINNED, CALL, LAUNCH, COPY, FLIP, FAULTS };
  // Why there is no card at all.
  cudaError_t absent() const { return absent_; }
  int driver() const { return driver_; }
  // Counts one; whether this is the one that fails.
  bool strikes(Fault fault) {
    Counter& c = faults_[fault];
    return ++c.count == c.at || (c.onwards && c.count > c.at);
  }
  void readFaults() {
    const char* text = getenv("AP_EMULATOR_FAULT");
    if (!text) text = "";
    if (faultText_ != text) setFaults(text);
  }
  void setFaults(const std::string& text) {
    static const char* const names[FAULTS] = {"alloc:", "pinned:", "call:", "launch:", "copy:", "flip:"};
    faultText_ = text;
    absent_ = cudaSuccess;
    driver_ = 13000;
    for (Counter& c : faults_) c = Counter();
    for (size_t at = 0; at < text.size();) {
      const size_t end = std::min(text.find(',', at), text.size());
      const std::string word = text.substr(at, end - at);
      at = end + 1;
      bool known = word.empty();
      static const struct {
        const char* word;
        cudaError_t error;
        int driver;
      } reasons[] = {{"driver", cudaErrorInsufficientDriver, 0},
                     {"old", cudaErrorInsufficientDriver, 12040},
                     {"none", cudaErrorNoDevice, 13000},
                     {"unknown", cudaErrorUnknown, 13000}};
      for (const auto& reason : reasons) {
        if (word != reason.word) continue;
        known = true;
        absent_ = reason.error;
        driver_ = reason.driver;
      }
      for (int f = 0; f < FAULTS; f++) {
        const size_t length = strlen(names[f]);
        if (word.compare(0, length, names[f]) != 0) continue;
        char* rest = nullptr;
        faults_[f].at = strtoull(word.c_str() + length, &rest, 10);
        faults_[f].onwards = *rest == '+';
        known = faults_[f].at > 0 && (*rest == 0 || (rest[0] == '+' && rest[1] == 0));
      }
      if (!known) misuse("AP_EMULATOR_FAULT: \"%s\" is no fault", word.c_str());
    }
  }

  // One bit, in what is not zero where there is such: most of a large result may be of no use to anybody.
  void flip(unsigned char* data, size_t size) {
    const size_t start = random_.below(size);
    size_t at = start;
    while (data[at] == 0 && (at + 1) % size != start) at = (at + 1) % size;
    data[at] ^= static_cast<unsigned char>(1u << random_.below(8));
  }

  // Memory

  void* allocate(size_t size, int device) {
    const size_t page = pageSize(), span = (size + 2 * EDGE + 255) / page * page + page;
    void* at = mmap(nullptr, span + 2 * GUARD, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED) return nullptr;
    char* pages = static_cast<char*>(at) + GUARD;
    if (mprotect(pages, span, PROT_READ | PROT_WRITE) != 0) return munmap(at, span + 2 * GUARD), nullptr;
    // As far to the end as alignment allows: what runs over by more than the watched bytes faults at once.
    char* data = pages + (span - EDGE - size) / 256 * 256;
    const Allocation a{pages, span, data, size, device};
    random_.garbage(data, size);
#if defined(AP_ADDRESS_SANITIZER)
    __asan_poison_memory_region(pages, static_cast<size_t>(data - pages));
    __asan_poison_memory_region(data + size, static_cast<size_t>(pages + span - data) - size);
#else
    memset(pages, CANARY, static_cast<size_t>(data - pages));
    memset(data + size, CANARY, static_cast<size_t>(pages + span - data) - size);
#endif
    if (device >= 0 && device != openDevice_) mprotect(pages, span, PROT_NONE);
    memory_[reinterpret_cast<uintptr_t>(data)] = a;
    AP_WATCH(Watch::get().add(data, size, device < 0);)
    if (device >= 0) {
      devices_[static_cast<size_t>(device)].used += charged(size);
    } else {
      pinnedBytes_ += size;
    }
    return data;
  }
  // Null if the range begins in none, or ends in another.
  const Allocation* find(const void* at, size_t size, bool* astray = nullptr) const {
    const auto address = reinterpret_cast<uintptr_t>(at);
    auto next = memory_.upper_bound(address);
    if (next == memory_.begin()) return nullptr;
    const Allocation& a = std::prev(next)->second;
    const size_t offset = address - reinterpret_cast<uintptr_t>(a.data);
    if (offset >= a.size) return nullptr;
    if (size > a.size - offset) {
      if (astray) *astray = true;
      return nullptr;
    }
    return &a;
  }
  void release(const Allocation* found) {
    const Allocation a = *found;
    if (a.device >= 0) openMemory(a.device);
    checkEdges(a, nullptr);
    if (freeObserver) freeObserver(a.data, a.size, a.device >= 0);
    memory_.erase(reinterpret_cast<uintptr_t>(a.data));
    AP_WATCH(Watch::get().remove(a.data);)
    if (a.device >= 0) {
      devices_[static_cast<size_t>(a.device)].used -= charged(a.size);
    } else {
      pinnedBytes_ -= a.size;
    }
#if defined(AP_ADDRESS_SANITIZER)
    __asan_unpoison_memory_region(a.pages, a.span);
#endif
    munmap(a.pages - GUARD, a.span + 2 * GUARD);
  }
  // What it costs: the driver hands out large pieces in pages of 2 MiB.
  static size_t charged(size_t size) {
    const size_t unit = size > 1 << 20 ? 2 << 20 : 512;
    return size > SIZE_MAX - unit ? size : (size + unit - 1) / unit * unit;
  }
  // A kernel's code and the local memory of its threads are put on the card when they are needed first, and stay.
  bool load(const void* kernel) {
    Device& d = current();
    if (overhead_ == 0 || d.loaded.count(kernel) > 0) return true;
    if (d.available() < overhead_) return false;
    d.loaded.insert(kernel);
    d.overhead += overhead_;
    return true;
  }
  size_t overhead() const { return overhead_; }
  void setOverhead(size_t bytes) {
    overhead_ = bytes;
    for (Device& d : devices_) {
      d.loaded.clear();
      d.overhead = 0;
    }
  }
  uint64_t pinnedBytes() const { return pinnedBytes_; }
  std::function<void(const void*, size_t, bool)> freeObserver;

  // Streams and work

  Stream* openStream(int device) {
    streams_.push_back(std::make_shared<Stream>());
    Stream* s = streams_.back().get();
    s->device = device;
    s->open = true;
    s->priority = random_.next();
    AP_WATCH(s->id = streamsMade_++;)
    return s;
  }
  size_t openStreams() const {
    size_t n = 0;
    for (const auto& s : streams_) n += s->open;
    return n;
  }
  bool isOpen(const Stream* stream) const {
    for (const auto& s : streams_) {
      if (s.get() == stream) return s->open;
    }
    return false;
  }
  void closeStream(Stream* stream) {
    stream->open = false;
    sweep();
  }
  void enqueue(Lock& lock, Stream* stream, Work work) {
    if (idle()) eagerness_ = random_.below(4);
    AP_WATCH(number(*stream, work);)
    stream->queue.push_back(std::move(work));
    if (eagerness_ == 0 || (eagerness_ == 1 && random_.oneIn(8))) step(lock, random_.below(4));
  }
  // A few pieces of whatever can run.
  void step(Lock& lock, uint64_t pieces) { progress(lock, nullptr, [&] { return idle() || pieces-- == 0; }); }
  // Streams are looked up, and held, because other threads may destroy theirs meanwhile.
  void finish(Lock& lock, const Stream* stream) {
    const auto held = hold(stream);
    AP_WATCH(const Knowledge known = held->known;)
    progress(lock, held.get(), [&] { return held->queue.empty(); });
    AP_WATCH(learn(known_, known);)
  }
  void finish(Lock& lock, const std::shared_ptr<Mark>& mark) {
    if (!mark->passed) {
      const auto held = hold(mark->stream);
      progress(lock, held.get(), [&] { return mark->passed; });
    }
    AP_WATCH(learn(known_, mark->known);)
  }
  void finishDevice(Lock& lock, int device) {
    for (;;) {
      const auto busy = std::find_if(streams_.begin(), streams_.end(), [&](const auto& s) { return s->device == device && !s->queue.empty(); });
      if (busy == streams_.end()) break;
      finish(lock, busy->get());
    }
    AP_WATCH(for (auto& s : streams_) if (s->device == device) learn(known_, s->known);)
  }
  bool pending(const Allocation& pinned) const {
    for (const auto& s : streams_) {
      for (const Work& w : s->queue) {
        const size_t offset = static_cast<size_t>(static_cast<const char*>(w.pinned) - pinned.data);
        if (w.pinned && offset < pinned.size) return true;
      }
    }
    return false;
  }
#if defined(__SANITIZE_THREAD__)
  // What the host has waited for, and what each piece of work may rely on.
  const Knowledge& known() const { return known_; }
  void learned(const Knowledge& known) { learn(known_, known); }
  void number(Stream& stream, Work& work) {
    learn(stream.known, known_);
    if (work.wait) learn(stream.known, work.wait->known);
    if (stream.known.size() <= stream.id) stream.known.resize(stream.id + 1);
    stream.known[stream.id] = work.number = ++stream.number;
    work.known = stream.known;
    if (work.record) work.record->known = stream.known;
  }
#endif
  // The context of a card is gone, with all that it had to do.
  void lose(int device, cudaError_t error) {
    devices_[static_cast<size_t>(device)].lost = error;
    for (auto& s : streams_) {
      if (s->device != device) continue;
      for (Work& w : s->queue) {
        if (w.record) w.record->passed = true;
      }
      s->queue.clear();
      AP_WATCH(learn(known_, s->known);)
    }
  }
  // Whether the card can be asked for something by this thread.
  cudaError_t state() {
    return absent_ != cudaSuccess ? absent_ : current().lost;
  }
  cudaError_t state(const Stream* stream) {
    return isOpen(stream) ? devices_[static_cast<size_t>(stream->device)].lost : cudaErrorInvalidResourceHandle;
  }
  std::set<Event*> events;

  // After a kernel, that nothing beside the pieces that it may write has changed.
  void checkEdges(const char* kernel) const {
    for (const auto& entry : memory_) {
      if (entry.second.device < 0 || entry.second.device == openDevice_) checkEdges(entry.second, kernel);
    }
  }
  // The kernel that the host's thread is in, if any: for reports by others.
  static void describeThread() {
    const Launch* launch = executor().launch();
    if (!launch) return;
    fprintf(stderr, "emulated card: in kernel %s, block %u of %u, thread %u of %u\n", launch->name, blockIdx.x, launch->blocks, threadIdx.x,
            launch->threads);
  }

 private:
  static constexpr size_t EDGE = 256, GUARD = 1 << 20;
  static constexpr unsigned char CANARY = 0x5c;
  struct Counter {
    uint64_t count = 0, at = 0;
    bool onwards = false;
  };
  // In which order work runs until something is done: nothing but what it needs; drawn each time; by priorities; it comes last.
  enum Mode { NEEDED, RANDOM, PRIORITIES, OTHERS_FIRST, MODES };

  static uint64_t number(const char* name, uint64_t otherwise, uint64_t least = 0, uint64_t most = UINT64_MAX) {
    const char* text = getenv(name);
    if (!text || !*text) return otherwise;
    char* rest = nullptr;
    uint64_t value = strtoull(text, &rest, 10);
    for (const char* unit = "KMG"; *unit; unit++) {
      if (*rest == *unit) {
        value <<= 10 * (unit - "KMG" + 1);
        rest++;
        break;
      }
    }
    if (rest == text || *rest) misuse("%s: \"%s\" is no number", name, text);
    if (value < least || value > most) misuse("%s: %s is not from %" PRIu64 " to %" PRIu64, name, text, least, most);
    return value;
  }

#if defined(AP_ADDRESS_SANITIZER)
  void checkEdges(const Allocation&, const char*) const {}  // whoever touches them is caught in the act
#else
  static bool isCanary(const char* at, size_t size) {
    static const std::string canary(4096, static_cast<char>(CANARY));
    for (; size > canary.size(); at += canary.size(), size -= canary.size()) {
      if (memcmp(at, canary.data(), canary.size()) != 0) return false;
    }
    return memcmp(at, canary.data(), size) == 0;
  }
  void checkEdges(const Allocation& a, const char* kernel) const {
    const char *end = a.data + a.size, *last = a.pages + a.span;
    if (isCanary(a.pages, static_cast<size_t>(a.data - a.pages)) && isCanary(end, static_cast<size_t>(last - end))) return;
    misuse("%s%s%swritten beside an allocation of %zu bytes of %s", kernel ? "kernel " : "", kernel ? kernel : "", kernel ? " has run: " : "", a.size,
           a.device < 0 ? "pinned memory" : "the card's memory");
  }
#endif

  // A card's memory is there while its work runs, and not otherwise.
  void openMemory(int device) {
    if (openDevice_ == device) return;
    closeMemory();
    protect(device, PROT_READ | PROT_WRITE);
    openDevice_ = device;
  }
  void closeMemory() {
    if (openDevice_ >= 0) protect(openDevice_, PROT_NONE);
    openDevice_ = -1;
  }
  void protect(int device, int rights) const {
    for (const auto& entry : memory_) {
      const Allocation& a = entry.second;
      if (a.device == device && mprotect(a.pages, a.span, rights) != 0) misuse("mprotect failed");
    }
  }

  std::shared_ptr<Stream> hold(const Stream* stream) const {
    return *std::find_if(streams_.begin(), streams_.end(), [&](const auto& s) { return s.get() == stream; });
  }
  bool idle() const {
    for (const auto& s : streams_) {
      if (!s->queue.empty()) return false;
    }
    return true;
  }
  static bool canRun(const Stream& s) { return !s.queue.empty() && (!s.queue.front().wait || s.queue.front().wait->passed); }

  Stream* choose(Mode mode, Stream* target) {
    if (target && (mode == NEEDED)) {
      while (!canRun(*target)) target = target->queue.front().wait->stream;
      return target;
    }
    Stream* best = nullptr;
    uint64_t seen = 0;
    for (auto& s : streams_) {
      if (!canRun(*s) || (mode == OTHERS_FIRST && s.get() == target)) continue;
      seen++;
      if (!best || (mode == PRIORITIES ? s->priority > best->priority : random_.oneIn(seen))) best = s.get();
    }
    if (!best) best = target;
    if (best && mode == PRIORITIES && random_.oneIn(16)) best->priority = random_.next();
    return best;
  }
  void runHead(Stream& s) {
    Work work = std::move(s.queue.front());
    s.queue.pop_front();
    if (work.run) {
      openMemory(s.device);
      AP_WATCH(Watch::get().beginWork(work.name, s.id, work.number, work.known);)
      work.run();
    }
    if (work.record) {
      work.record->passed = true;
      work.record->at = std::chrono::steady_clock::now();
    }
  }

  // Runs work until `done`, for which `target` must go on.
  template <class Done>
  void progress(Lock& lock, Stream* target, Done done) {
    if (done()) return;
    const FaultReport report;
    const Mode mode = static_cast<Mode>(random_.below(MODES));
    do {
      runHead(*choose(mode, target));
      if (waiting > 0) {  // other threads have something to ask
        lock.unlock();
        std::this_thread::yield();
        lock.lock();
      }
    } while (!done());
    closeMemory();
    sweep();
  }
  void sweep() {
    for (size_t i = streams_.size(); i-- > 0;) {
      if (!streams_[i]->open && streams_[i]->queue.empty()) streams_.erase(streams_.begin() + static_cast<ptrdiff_t>(i));
    }
  }

  // While work runs, an access to what is not there says which thread made it before the process ends as it would have.
  class FaultReport {
   public:
#if defined(AP_ADDRESS_SANITIZER)
    FaultReport() {}
#else
    FaultReport() {
      static char stack[64 << 10];
      stack_t mine = {};
      mine.ss_sp = stack;
      mine.ss_size = sizeof stack;
      sigaltstack(&mine, &stackBefore_);
      if (count()++ > 0) return;
      struct sigaction action = {};
      action.sa_sigaction = &FaultReport::report;
      action.sa_flags = SA_SIGINFO | SA_ONSTACK;
      for (int i = 0; i < 2; i++) sigaction(SIGNALS[i], &action, &before()[i]);
    }
    ~FaultReport() {
      if (--count() == 0) restore();
      sigaltstack(&stackBefore_, nullptr);
    }

   private:
    static constexpr int SIGNALS[2] = {SIGSEGV, SIGBUS};
    stack_t stackBefore_ = {};
    static int& count() {
      static int n = 0;
      return n;
    }
    static struct sigaction* before() {
      static struct sigaction actions[2];
      return actions;
    }
    static void restore() {
      for (int i = 0; i < 2; i++) sigaction(SIGNALS[i], &before()[i], nullptr);
    }
    static void report(int, siginfo_t* info, void*) {
      describeThread();
      fprintf(stderr, "emulated card: touched %p, which is not memory of the card that runs\n", info->si_addr);
      restore();  // and again, for whoever cared before
    }
#endif
  };

  Random random_;
  std::vector<Device> devices_;
  std::map<uintptr_t, Allocation> memory_;
  std::vector<std::shared_ptr<Stream>> streams_;
  uint64_t pinnedBytes_ = 0, eagerness_ = 0, overhead_ = 0;
  int openDevice_ = -1, multiprocessors_ = 2;
  std::string faultText_;
  cudaError_t absent_ = cudaSuccess;
  int driver_ = 13000;
  Counter faults_[FAULTS];
  AP_WATCH(uint32_t streamsMade_ = 0; Knowledge known_;)
};

// The card is one thread's at a time.
struct Turn {
  AP_WATCH(const Unseen unseen;)
  Machine& machine;
  Machine::Lock lock;
  Turn() : machine(Machine::get()), lock(machine.mutex, std::defer_lock) {
    machine.waiting++;
    lock.lock();
    machine.waiting--;
  }
};

inline cudaError_t record(cudaError_t error) {
  if (error != cudaSuccess) Machine::lastError() = error;
  return error;
}

// A call of the program: has the card to itself, unless it cannot be had. Work that ran meanwhile may have broken it.
template <class Body>
cudaError_t call(Body body) {
  Turn turn;
  Machine& m = turn.machine;
  cudaError_t error = m.state();
  if (error == cudaSuccess && m.strikes(Machine::CALL)) error = cudaErrorUnknown;
  if (error == cudaSuccess) error = body(m, turn.lock);
  if (error == cudaSuccess) error = m.state();
  return record(error);
}
// One that concerns a stream.
template <class Body>
cudaError_t callFor(Stream* stream, Body body) {
  return call([&](Machine& m, Machine::Lock& lock) {
    cudaError_t error = m.state(stream);
    if (error != cudaSuccess) return error;
    const auto& device = m.devices()[static_cast<size_t>(stream->device)];
    error = body(m, lock);
    return error == cudaSuccess ? device.lost : error;
  });
}
// One that gives something back, which is possible whatever happened.
template <class Body>
cudaError_t giveBack(Body body) {
  Turn turn;
  Machine& m = turn.machine;
  const cudaError_t error = body(m, turn.lock), state = m.state();
  return record(state != cudaSuccess ? state : error);
}

// The bound that AP_KERNEL gave a kernel. The compiler lists where the no-operations of each begin.
inline uint64_t launchBound(const char* name, const void* kernel) {
#if defined(__clang__)
  return (void)name, (void)kernel, 1024;
#else
#if defined(__x86_64__)
  constexpr uintptr_t BYTES = 1;
#else
  constexpr uintptr_t BYTES = 4;
#endif
  const auto at = reinterpret_cast<uintptr_t>(kernel);
  uintptr_t nearest = 0;
  for (const uintptr_t* entry = __start___patchable_function_entries; entry < __stop___patchable_function_entries; entry++) {
    if (*entry <= at && *entry > nearest) nearest = *entry;
  }
  const uint64_t bound = (at - nearest) / BYTES;
  const char* const begin = reinterpret_cast<const char*>(nearest);  // from here on the same instruction again and again
  if (bound == 0 || bound > 1024 || memcmp(begin, begin + BYTES, at - nearest - BYTES) != 0) {
    misuse("%s was not defined by AP_KERNEL, or for no block that there is", name);
  }
  return bound;
#endif
}

// A kernel with its configuration, called with its arguments: these are taken by value at once, as CUDA does.
template <class... P>
class Launcher {
  static_assert((... && !std::is_reference<P>::value), "a kernel takes its arguments by value");
#if !defined(__SANITIZE_THREAD__)  // AP_ELEMENT
  static_assert((... && std::is_trivially_copyable<P>::value), "a kernel's arguments are copied as bytes");
#endif
  static_assert((sizeof(P) + ... + 0) <= 4096, "a kernel takes no more than 4 KiB of arguments");

 public:
  Launcher(const char* name, void (*kernel)(P...), uint64_t blocks, uint64_t threads, size_t shared, Stream* stream)
      : name_(name), kernel_(kernel), blocks_(blocks), threads_(threads), shared_(shared), stream_(stream) {}
  void operator()(P... arguments) const {
    callFor(stream_, [&](Machine& m, Machine::Lock& lock) {
      const int device = stream_->device;
      if (device != Machine::currentDevice()) return cudaErrorInvalidResourceHandle;
      if (blocks_ == 0 || blocks_ > 0x7fffffff || threads_ == 0 || threads_ > 1024) return cudaErrorInvalidConfiguration;
      if (threads_ > launchBound(name_, reinterpret_cast<const void*>(kernel_))) return cudaErrorLaunchOutOfResources;
      const auto limit = m.current().sharedLimits.find(reinterpret_cast<const void*>(kernel_));
      if (shared_ > (limit == m.current().sharedLimits.end() ? SHARED_LIMIT : limit->second)) return cudaErrorInvalidValue;
      if (!m.load(reinterpret_cast<const void*>(kernel_))) return cudaErrorMemoryAllocation;
      const bool fails = m.strikes(Machine::LAUNCH);
      const Launch launch{name_, static_cast<unsigned>(blocks_), static_cast<unsigned>(threads_), shared_};
      Work work;
      work.run = [&m, fails, device, launch, kernel = kernel_, values = std::tuple<P...>(arguments...)] {
        if (fails) return m.lose(device, cudaErrorLaunchFailure);
        AP_WATCH(Watch::get().arguments(&values, sizeof values);)
        executor().run(launch, m.random(), [&] {
          std::apply(
              [kernel = kernel](const P&... arguments) {
                AP_WATCH(Watch::inKernel(true);)
                kernel(arguments...);
                AP_WATCH(Watch::inKernel(false);)
              },
              values);
        });
        m.checkEdges(launch.name);
      };
      AP_WATCH(work.name = name_;)
      m.enqueue(lock, stream_, std::move(work));
      return cudaSuccess;
    });
  }

 private:
  const char* name_;
  void (*kernel_)(P...);
  uint64_t blocks_, threads_;
  size_t shared_;
  Stream* stream_;
};

#if defined(__SANITIZE_THREAD__)
inline void hostTouches(const void* at, size_t size, bool write, const void* code) {
  const Turn turn;
  Watch::get().host(at, size, write, turn.machine.known(), code);
}
#endif

// For tests

// As if the process began anew: orders and garbage from another seed, no faults, contexts whole, settings of the environment.
// Nothing may be under way; memory and streams stay.
inline void restart(uint64_t seed) {
  Turn turn;
  Machine& m = turn.machine;
  m.random() = Random(seed);
  m.setFaults("");
  for (auto& d : m.devices()) d.lost = cudaSuccess;
  Machine::lastError() = cudaSuccess;
}
// As AP_EMULATOR_FAULT.
inline void setFaults(const char* text) {
  Turn turn;
  Machine& m = turn.machine;
  m.setFaults(text);
}
inline void setDevices(size_t count) {
  Turn turn;
  Machine& m = turn.machine;
  const size_t limit = m.devices()[0].limit;
  m.devices().resize(count);
  for (auto& d : m.devices()) d.limit = d.limit ? d.limit : limit;
}
inline void setMemory(size_t bytes) {
  Turn turn;
  Machine& m = turn.machine;
  for (auto& d : m.devices()) d.limit = bytes;
}
// As AP_EMULATOR_OVERHEAD; no kernel is on a card yet.
inline void setOverhead(size_t bytes) {
  Turn turn;
  turn.machine.setOverhead(bytes);
}
// What was taken and not given back, without what kernels take.
inline uint64_t allocatedBytes(int device = 0) {
  Turn turn;
  Machine& m = turn.machine;
  return m.devices()[static_cast<size_t>(device)].used;
}
inline uint64_t pinnedBytes() {
  Turn turn;
  Machine& m = turn.machine;
  return m.pinnedBytes();
}
inline size_t openStreams() {
  Turn turn;
  Machine& m = turn.machine;
  return m.openStreams();
}
inline size_t openEvents() {
  Turn turn;
  Machine& m = turn.machine;
  return m.events.size();
}
// Sees each piece of memory, with its last contents, when it is given back: (data, bytes, of the card).
inline void onFree(std::function<void(const void*, size_t, bool)> observer) {
  Turn turn;
  Machine& m = turn.machine;
  m.freeObserver = std::move(observer);
}

}  // namespace emulator
}  // namespace anchorproof

using cudaStream_t = anchorproof::emulator::Stream*;
using cudaEvent_t = anchorproof::emulator::Event*;

// CUDA's functions

inline const char* cudaGetErrorName(cudaError_t error) {
  switch (error) {
#define AP_NAME(name) \
  case name:          \
    return #name;
    AP_NAME(cudaSuccess)
    AP_NAME(cudaErrorInvalidValue)
    AP_NAME(cudaErrorMemoryAllocation)
    AP_NAME(cudaErrorInvalidConfiguration)
    AP_NAME(cudaErrorInvalidMemcpyDirection)
    AP_NAME(cudaErrorInsufficientDriver)
    AP_NAME(cudaErrorInvalidDeviceFunction)
    AP_NAME(cudaErrorNoDevice)
    AP_NAME(cudaErrorInvalidDevice)
    AP_NAME(cudaErrorNoKernelImageForDevice)
    AP_NAME(cudaErrorInvalidResourceHandle)
    AP_NAME(cudaErrorNotReady)
    AP_NAME(cudaErrorIllegalAddress)
    AP_NAME(cudaErrorLaunchOutOfResources)
    AP_NAME(cudaErrorLaunchFailure)
    AP_NAME(cudaErrorUnknown)
#undef AP_NAME
  }
  return "unrecognized error code";
}
inline const char* cudaGetErrorString(cudaError_t error) {
  switch (error) {
    case cudaSuccess:
      return "no error";
    case cudaErrorInvalidValue:
      return "invalid argument";
    case cudaErrorMemoryAllocation:
      return "out of memory";
    case cudaErrorInvalidConfiguration:
      return "invalid configuration argument";
    case cudaErrorInvalidMemcpyDirection:
      return "invalid copy direction for memcpy";
    case cudaErrorInsufficientDriver:
      return "CUDA driver version is insufficient for CUDA runtime version";
    case cudaErrorInvalidDeviceFunction:
      return "invalid device function";
    case cudaErrorNoDevice:
      return "no CUDA-capable device is detected";
    case cudaErrorInvalidDevice:
      return "invalid device ordinal";
    case cudaErrorNoKernelImageForDevice:
      return "no kernel image is available for execution on the device";
    case cudaErrorInvalidResourceHandle:
      return "invalid resource handle";
    case cudaErrorNotReady:
      return "device not ready";
    case cudaErrorIllegalAddress:
      return "an illegal memory access was encountered";
    case cudaErrorLaunchOutOfResources:
      return "too many resources requested for launch";
    case cudaErrorLaunchFailure:
      return "unspecified launch failure";
    case cudaErrorUnknown:
      return "unknown error";
  }
  return "unrecognized error code";
}
inline cudaError_t cudaPeekAtLastError() {
  using namespace anchorproof::emulator;
  Turn turn;
  Machine& m = turn.machine;
  return m.state() != cudaSuccess ? m.state() : Machine::lastError();
}
inline cudaError_t cudaGetLastError() {
  const cudaError_t error = cudaPeekAtLastError();
  anchorproof::emulator::Machine::lastError() = cudaSuccess;
  return error;
}

inline cudaError_t cudaGetDeviceCount(int* count) {
  using namespace anchorproof::emulator;
  Turn turn;
  Machine& m = turn.machine;
  m.readFaults();
  *count = 0;
  if (m.absent() != cudaSuccess) return record(m.absent());
  *count = static_cast<int>(m.devices().size());
  return cudaSuccess;
}
inline cudaError_t cudaSetDevice(int device) {
  using namespace anchorproof::emulator;
  Turn turn;
  Machine& m = turn.machine;
  if (m.absent() != cudaSuccess) return record(m.absent());
  if (device < 0 || static_cast<size_t>(device) >= m.devices().size()) return record(cudaErrorInvalidDevice);
  Machine::currentDevice() = device;
  return record(m.current().lost);
}
inline cudaError_t cudaGetDevice(int* device) {
  return anchorproof::emulator::call([&](anchorproof::emulator::Machine& m, auto&) { return *device = m.currentDevice(), cudaSuccess; });
}
inline cudaError_t cudaGetDeviceProperties(cudaDeviceProp* out, int device) {
  return anchorproof::emulator::call([&](anchorproof::emulator::Machine& m, auto&) {
    if (device < 0 || static_cast<size_t>(device) >= m.devices().size()) return cudaErrorInvalidDevice;
    memset(out, 0, sizeof *out);
    snprintf(out->name, sizeof out->name, "emulated card");
    out->totalGlobalMem = m.devices()[static_cast<size_t>(device)].limit;
    out->sharedMemPerBlock = anchorproof::emulator::SHARED_LIMIT;
    out->sharedMemPerBlockOptin = anchorproof::emulator::SHARED_OPT_IN;
    out->major = 8;
    out->minor = 9;
    out->multiProcessorCount = m.multiprocessors();
    out->memoryBusWidth = 64;
    out->l2CacheSize = 1 << 20;
    out->warpSize = 32;
    out->maxThreadsPerBlock = 1024;
    return cudaSuccess;
  });
}
inline cudaError_t cudaDeviceGetAttribute(int* out, cudaDeviceAttr attribute, int device) {
  return anchorproof::emulator::call([&](anchorproof::emulator::Machine& m, auto&) {
    if (device < 0 || static_cast<size_t>(device) >= m.devices().size()) return cudaErrorInvalidDevice;
    switch (attribute) {
      case cudaDevAttrMultiProcessorCount: *out = m.multiprocessors(); break;
      case cudaDevAttrMaxThreadsPerMultiProcessor: *out = 1536; break;
      default: *out = 1000000;  // clocks in kHz
    }
    return cudaSuccess;
  });
}
inline cudaError_t cudaDriverGetVersion(int* version) {
  return *version = anchorproof::emulator::Machine::get().driver(), cudaSuccess;
}
inline cudaError_t cudaRuntimeGetVersion(int* version) { return *version = 13000, cudaSuccess; }
inline cudaError_t cudaMemGetInfo(size_t* available, size_t* total) {
  return anchorproof::emulator::call([&](anchorproof::emulator::Machine& m, auto&) {
    m.readFaults();
    *total = m.current().limit;
    *available = m.current().available();
    return cudaSuccess;
  });
}
template <class Kernel>
cudaError_t cudaFuncSetAttribute(Kernel* kernel, cudaFuncAttribute, int bytes) {
  using namespace anchorproof::emulator;
  return call([&](Machine& m, auto&) {
    if (bytes < 0 || static_cast<size_t>(bytes) > SHARED_OPT_IN) return cudaErrorInvalidValue;
    if (!m.load(reinterpret_cast<const void*>(kernel))) return cudaErrorMemoryAllocation;
    m.current().sharedLimits[reinterpret_cast<const void*>(kernel)] = std::max(static_cast<size_t>(bytes), SHARED_LIMIT);
    return cudaSuccess;
  });
}

template <class T>
cudaError_t cudaMalloc(T** out, size_t size) {
  using namespace anchorproof::emulator;
  return call([&](Machine& m, auto&) {
    *out = nullptr;
    if (size == 0) return cudaSuccess;
    auto& d = m.current();
    if (m.strikes(Machine::ALLOC) || Machine::charged(size) > d.available()) return cudaErrorMemoryAllocation;
    *out = static_cast<T*>(m.allocate(size, Machine::currentDevice()));
    return *out ? cudaSuccess : cudaErrorMemoryAllocation;
  });
}
template <class T>
cudaError_t cudaMallocHost(T** out, size_t size) {
  using namespace anchorproof::emulator;
  return call([&](Machine& m, auto&) {
    *out = nullptr;
    if (size == 0) return cudaSuccess;
    if (!m.strikes(Machine::PINNED)) *out = static_cast<T*>(m.allocate(size, -1));
    return *out ? cudaSuccess : cudaErrorMemoryAllocation;
  });
}
// Waits for all work of the card.
inline cudaError_t cudaFree(void* at) {
  using namespace anchorproof::emulator;
  if (!at) return cudaSuccess;
  return giveBack([&](Machine& m, Machine::Lock& lock) {
    const Allocation* a = m.find(at, 1);
    if (!a || a->data != at || a->device < 0) return cudaErrorInvalidValue;
    m.finishDevice(lock, a->device);
    m.release(m.find(at, 1));
    return cudaSuccess;
  });
}
inline cudaError_t cudaFreeHost(void* at) {
  using namespace anchorproof::emulator;
  if (!at) return cudaSuccess;
  return giveBack([&](Machine& m, Machine::Lock&) {
    const Allocation* a = m.find(at, 1);
    if (!a || a->data != at || a->device >= 0) return cudaErrorInvalidValue;
    if (m.pending(*a)) misuse("cudaFreeHost of %zu bytes that a copy in a stream is still to read or write", a->size);
    m.release(a);
    return cudaSuccess;
  });
}

inline cudaError_t cudaStreamCreateWithFlags(cudaStream_t* out, unsigned flags) {
  using namespace anchorproof::emulator;
  return call([&](Machine& m, auto&) {
    if (flags != cudaStreamNonBlocking) return cudaErrorInvalidValue;
    *out = m.openStream(Machine::currentDevice());
    return cudaSuccess;
  });
}
// Its work goes on to its end.
inline cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  using namespace anchorproof::emulator;
  return giveBack([&](Machine& m, auto&) {
    if (!m.isOpen(stream)) return cudaErrorInvalidResourceHandle;
    m.closeStream(stream);
    return cudaSuccess;
  });
}
inline cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  using namespace anchorproof::emulator;
  return callFor(stream, [&](Machine& m, Machine::Lock& lock) { return m.finish(lock, stream), cudaSuccess; });
}
inline cudaError_t cudaStreamQuery(cudaStream_t stream) {
  using namespace anchorproof::emulator;
  return callFor(stream, [&](Machine& m, Machine::Lock& lock) {
    m.step(lock, m.random().below(4));
    if (!stream->queue.empty()) return cudaErrorNotReady;
    AP_WATCH(m.learned(stream->known);)
    return cudaSuccess;
  });
}
inline cudaError_t cudaDeviceSynchronize() {
  using namespace anchorproof::emulator;
  return call([&](Machine& m, Machine::Lock& lock) { return m.finishDevice(lock, Machine::currentDevice()), cudaSuccess; });
}

inline cudaError_t cudaEventCreateWithFlags(cudaEvent_t* out, unsigned flags) {
  using namespace anchorproof::emulator;
  return call([&](Machine& m, auto&) {
    if ((flags & ~(cudaEventBlockingSync | cudaEventDisableTiming)) != 0) return cudaErrorInvalidValue;
    *out = new Event{Machine::currentDevice(), (flags & cudaEventDisableTiming) == 0, nullptr};
    m.events.insert(*out);
    return cudaSuccess;
  });
}
inline cudaError_t cudaEventDestroy(cudaEvent_t event) {
  using namespace anchorproof::emulator;
  return giveBack([&](Machine& m, auto&) {
    if (m.events.erase(event) == 0) return cudaErrorInvalidResourceHandle;
    delete event;
    return cudaSuccess;
  });
}
inline cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  using namespace anchorproof::emulator;
  return callFor(stream, [&](Machine& m, Machine::Lock& lock) {
    if (m.events.count(event) == 0 || event->device != stream->device) return cudaErrorInvalidResourceHandle;
    event->mark = std::make_shared<Mark>();
    event->mark->stream = stream;
    Work work;
    work.record = event->mark;
    m.enqueue(lock, stream, std::move(work));
    return cudaSuccess;
  });
}
// For the last recording before this call; for nothing if there was none.
inline cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned flags = 0) {
  using namespace anchorproof::emulator;
  return callFor(stream, [&](Machine& m, Machine::Lock& lock) {
    if (m.events.count(event) == 0) return cudaErrorInvalidResourceHandle;
    if (flags != 0) return cudaErrorInvalidValue;
    if (!event->mark) return cudaSuccess;
    Work work;
    work.wait = event->mark;
    m.enqueue(lock, stream, std::move(work));
    return cudaSuccess;
  });
}
inline cudaError_t cudaEventQuery(cudaEvent_t event) {
  using namespace anchorproof::emulator;
  return call([&](Machine& m, Machine::Lock& lock) {
    if (m.events.count(event) == 0) return cudaErrorInvalidResourceHandle;
    const auto mark = event->mark;
    m.step(lock, m.random().below(4));
    if (mark && !mark->passed) return cudaErrorNotReady;
    AP_WATCH(if (mark) m.learned(mark->known);)
    return cudaSuccess;
  });
}
inline cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  using namespace anchorproof::emulator;
  return call([&](Machine& m, Machine::Lock& lock) {
    if (m.events.count(event) == 0) return cudaErrorInvalidResourceHandle;
    const auto mark = event->mark;
    if (mark) m.finish(lock, mark);
    return cudaSuccess;
  });
}
inline cudaError_t cudaEventElapsedTime(float* ms, cudaEvent_t from, cudaEvent_t to) {
  using namespace anchorproof::emulator;
  return call([&](Machine& m, auto&) {
    for (const Event* e : {from, to}) {
      if (m.events.count(const_cast<Event*>(e)) == 0 || !e->timed || !e->mark) return cudaErrorInvalidResourceHandle;
    }
    if (!from->mark->passed || !to->mark->passed) return cudaErrorNotReady;
    *ms = std::chrono::duration<float, std::milli>(to->mark->at - from->mark->at).count();
    return cudaSuccess;
  });
}

inline cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t size, cudaMemcpyKind kind, cudaStream_t stream) {
  using namespace anchorproof::emulator;
  return callFor(stream, [&](Machine& m, Machine::Lock& lock) {
    if (kind != cudaMemcpyHostToDevice && kind != cudaMemcpyDeviceToHost && kind != cudaMemcpyDeviceToDevice) {
      return cudaErrorInvalidMemcpyDirection;
    }
    if (size == 0) return cudaSuccess;
    const int device = stream->device;
    const bool toCard = kind != cudaMemcpyDeviceToHost, fromCard = kind != cudaMemcpyHostToDevice;
    bool astray = false;
    const Allocation *target = m.find(to, size, &astray), *source = m.find(from, size, &astray);
    // A side is of this card; or it is pinned, or (unknown to us) pageable.
    const auto fits = [&](const Allocation* a, bool card) { return card ? a && a->device == device : !a || a->device < 0; };
    if (astray || !fits(target, toCard) || !fits(source, fromCard)) return cudaErrorInvalidValue;
    const bool fails = m.strikes(Machine::COPY), flips = !toCard && m.strikes(Machine::FLIP);
    Work work;
    if (!toCard) work.pinned = target ? to : nullptr;
    if (!fromCard) work.pinned = source ? from : nullptr;
    // What is pageable is read now.
    std::shared_ptr<std::vector<char>> staged;
    if (!fromCard && !source) {
      staged = std::make_shared<std::vector<char>>(static_cast<const char*>(from), static_cast<const char*>(from) + size);
    }
    work.run = [&m, to, from, size, device, fails, flips, staged] {
      if (fails) return m.lose(device, cudaErrorIllegalAddress);
      memmove(to, staged ? staged->data() : from, size);
      AP_WATCH(Watch::get().copy(to, from, size);)
      if (flips) m.flip(static_cast<unsigned char*>(to), size);
    };
    AP_WATCH(const void* const used = work.pinned; work.name = "a copy";)
    m.enqueue(lock, stream, std::move(work));
    AP_WATCH(if (used) Watch::get().use(used, size, !toCard, stream->id, stream->number);)
    if (!toCard && !target) m.finish(lock, stream);
    return cudaSuccess;
  });
}
inline cudaError_t cudaMemsetAsync(void* at, int value, size_t size, cudaStream_t stream) {
  using namespace anchorproof::emulator;
  return callFor(stream, [&](Machine& m, Machine::Lock& lock) {
    if (size == 0) return cudaSuccess;
    const Allocation* a = m.find(at, size);
    if (!a || a->device != stream->device) return cudaErrorInvalidValue;
    Work work;
    AP_WATCH(work.name = "cudaMemsetAsync";)
    work.run = [at, value, size] {
      memset(at, value, size);
      AP_WATCH(Watch::get().bulk(at, size, true);)
    };
    m.enqueue(lock, stream, std::move(work));
    return cudaSuccess;
  });
}
