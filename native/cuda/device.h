// The host's side of a card: errors, memory, streams, clocks. Every CUDA call is checked here or by check().
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "../src/card.h"
#include "platform.h"

namespace anchorproof {
namespace cuda {

constexpr int MAX_DEVICES = 64;

// The only exception within the library, besides std::bad_alloc; backend.cu turns it into a CardStatus.
struct CardError : std::runtime_error {
  CardError(int32_t code_, const std::string& message, bool lost_ = false)
      : std::runtime_error(message), code(code_), lost(lost_) {}
  int32_t code;
  bool lost;
};

// What needs more of the card than anybody could give back.
struct TooLarge : CardError {
  explicit TooLarge(const std::string& message) : CardError(CARD_OUT_OF_MEMORY, message) {}
};

// The device that this thread's calls go to, and which devices this process has lost. After some errors ("sticky" in CUDA's
// manual) a context serves nobody any more, and only a new process gets another.
inline thread_local int currentDevice = 0;
inline std::atomic<bool> lostDevices[MAX_DEVICES];

struct ErrorKind {
  int32_t code;
  bool lost, notBuilt;
};

// By number: a runtime that is linked statically meets drivers that are newer, and older headers lack some of the names.
inline ErrorKind kindOf(cudaError_t error) {
  switch (static_cast<int>(error)) {
    case 2:  // MemoryAllocation
      return {CARD_OUT_OF_MEMORY, false, false};
    case 3:    // InitializationError
    case 34:   // StubLibrary
    case 35:   // InsufficientDriver: also where there is no driver
    case 36:   // CallRequiresNewerDriver
    case 46:   // DevicesUnavailable: at the moment, as in exclusive mode
    case 100:  // NoDevice
    case 101:  // InvalidDevice
    case 802:  // SystemNotReady
    case 803:  // SystemDriverMismatch
    case 804:  // CompatNotSupportedOnDevice
    case 805:  // MpsConnectionFailed
    case 807:  // MpsServerNotReady
    case 808:  // MpsMaxClientsReached
    case 809:  // MpsMaxConnectionsReached
      return {CARD_UNAVAILABLE, false, false};
    case 98:   // InvalidDeviceFunction
    case 209:  // NoKernelImageForDevice
    case 218:  // InvalidPtx
    case 221:  // JitCompilerNotFound
    case 222:  // UnsupportedPtxVersion
    case 223:  // JitCompilationDisabled
      return {CARD_UNAVAILABLE, false, true};
    case 214:  // ECCUncorrectable
    case 220:  // NvlinkUncorrectable
    case 226:  // Contained
    case 700:  // IllegalAddress
    case 702:  // LaunchTimeout
    case 709:  // ContextIsDestroyed
    case 710:  // Assert
    case 714:  // HardwareStackError
    case 715:  // IllegalInstruction
    case 716:  // MisalignedAddress
    case 717:  // InvalidAddressSpace
    case 718:  // InvalidPc
    case 719:  // LaunchFailure
    case 721:  // TensorMemoryLeak
    case 806:  // MpsRpcFailure
    case 810:  // MpsClientTerminated
    case 911:  // ExternalDevice
      return {CARD_FAILED, true, false};
    default:
      return {CARD_FAILED, false, false};
  }
}

inline std::string textOf(cudaError_t error, const char* what) {
  return std::string(what) + ": " + cudaGetErrorString(error) + " (" + cudaGetErrorName(error) + ")";
}

[[noreturn]] inline void fail(cudaError_t error, const char* what) {
  // Errors that are not sticky are kept for the next caller of cudaGetLastError, who would take them for his own.
  cudaGetLastError();
  ErrorKind kind = kindOf(error);
  // Unknown, 999, may be either. A context that is broken answers every question with its error.
  size_t available = 0, total = 0;
  if (static_cast<int>(error) == 999 && cudaMemGetInfo(&available, &total) != cudaSuccess) {
    cudaGetLastError();
    kind.lost = true;
  }
  if (kind.lost) lostDevices[currentDevice].store(true, std::memory_order_relaxed);
  std::string message = textOf(error, what);
  cudaDeviceProp properties;
  if (kind.notBuilt && cudaGetDeviceProperties(&properties, currentDevice) == cudaSuccess) {
    message = "the library was not built for this card (compute capability " + std::to_string(properties.major) + "." +
              std::to_string(properties.minor) + "), or the driver is too old for it: " + cudaGetErrorName(error);
  }
  throw CardError(kind.code, message, kind.lost);
}

inline void check(cudaError_t error, const char* what) {
  if (error != cudaSuccess) fail(error, what);
}

// Where nothing can be done about an error: a lost device, a destructor. That the card is lost is remembered all the same.
inline void ignore(cudaError_t error) {
  if (error == cudaSuccess) return;
  cudaGetLastError();
  if (kindOf(error).lost) lostDevices[currentDevice].store(true, std::memory_order_relaxed);
}

// Of a wait that a destructor needs, before what was waited for is wiped or given back: if it fails, for the whole card. A lost
// card does nothing more, so there is nothing to wait for.
inline void settle(cudaError_t waited) {
  ignore(waited);
  if (waited != cudaSuccess && !kindOf(waited).lost) ignore(cudaDeviceSynchronize());
}

inline std::string mebibytes(uint64_t bytes) { return std::to_string((bytes + (1 << 20) - 1) >> 20) + " MiB"; }

// To be called after every launch.
inline void checkLaunch(const char* kernel) { check(cudaGetLastError(), kernel); }

inline void throwIfAborted(const int32_t* abort) {
  if (abort && __atomic_load_n(abort, __ATOMIC_RELAXED) != 0) throw CardError(CARD_ABORTED, "stopped on request");
}

// Makes a device the calling thread's for a call, and puts back the one before. That one is left alone where this library has
// never worked on it: since CUDA 12 to set a device is to make its context, some hundred MiB of a card that nobody asked for.
class OnDevice {
 public:
  enum Closing { CLOSING };

  explicit OnDevice(int device) {
    if (device < 0 || device >= MAX_DEVICES) throw CardError(CARD_INPUT_INVALID, "there is no such card");
    if (lostDevices[device].load(std::memory_order_relaxed)) {
      throw CardError(CARD_FAILED, "this process has lost the card after an earlier error", true);
    }
    const cudaError_t error = choose(device);
    if (error == cudaSuccess) return;
    try {
      fail(error, "choosing the card");
    } catch (...) {
      leave();
      throw;
    }
  }
  // For what is given back: also on a card that is lost, where every call fails, and never for another card.
  OnDevice(int device, Closing) { ignore(choose(device)); }
  OnDevice(const OnDevice&) = delete;
  ~OnDevice() { leave(); }

 private:
  int previous_ = 0;

  cudaError_t choose(int device) {
    if (cudaGetDevice(&previous_) != cudaSuccess) {
      cudaGetLastError();
      previous_ = currentDevice;
    }
    currentDevice = device;
    const cudaError_t error = cudaSetDevice(device);
    if (error == cudaSuccess) used(device).store(true, std::memory_order_relaxed);
    return error;
  }
  void leave() {
    if (previous_ == currentDevice || previous_ >= MAX_DEVICES || !used(previous_)) return;
    currentDevice = previous_;
    ignore(cudaSetDevice(previous_));
  }
  static std::atomic<bool>& used(int device) {
    static std::atomic<bool> devices[MAX_DEVICES];
    return devices[device];
  }
};

// Of the card that is current.
inline uint32_t multiprocessors() {
  int device = 0, count = 0;
  check(cudaGetDevice(&device), "asking for the card");
  check(cudaDeviceGetAttribute(&count, cudaDevAttrMultiProcessorCount, device), "asking about the card");
  return static_cast<uint32_t>(std::max(1, count));
}

// Memory of the card that is current.
struct CardMemory {
  static constexpr const char* NAME = " of the card's memory";
  static cudaError_t take(void** at, size_t size) { return cudaMalloc(at, size); }
  static cudaError_t giveBack(void* at) { return cudaFree(at); }
};
// Host memory that the card reads and writes by itself.
struct PinnedMemory {
  static constexpr const char* NAME = " of pinned memory";
  static cudaError_t take(void** at, size_t size) { return cudaMallocHost(at, size); }
  static cudaError_t giveBack(void* at) { return cudaFreeHost(at); }
};

// Not initialised.
template <class T, class Memory>
class Array {
 public:
  Array() = default;
  explicit Array(size_t n) : n_(n) {
    if (n > SIZE_MAX / sizeof(T)) throw CardError(CARD_OUT_OF_MEMORY, "an array is larger than any memory");
    void* at = nullptr;
    const cudaError_t error = n > 0 ? Memory::take(&at, n * sizeof(T)) : cudaSuccess;
    if (error != cudaSuccess) fail(error, ("taking " + mebibytes(n * sizeof(T)) + Memory::NAME).c_str());
    data_ = static_cast<T*>(at);
  }
  Array(Array&& other) noexcept : data_(std::exchange(other.data_, nullptr)), n_(std::exchange(other.n_, 0)) {}
  Array& operator=(Array&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(n_, other.n_);
    return *this;
  }
  ~Array() {
    if (data_) ignore(Memory::giveBack(data_));
  }
  T* get() const { return data_; }
  size_t size() const { return n_; }
  size_t bytes() const { return n_ * sizeof(T); }

 private:
  T* data_ = nullptr;
  size_t n_ = 0;
};
template <class T>
using DeviceArray = Array<T, CardMemory>;
template <class T>
using PinnedArray = Array<T, PinnedMemory>;

// One that is overwritten before it is given back, when the stream has done what it was told to do with it.
template <class T>
class SecretArray : public DeviceArray<T> {
 public:
  SecretArray(cudaStream_t stream, size_t n) : DeviceArray<T>(n), stream_(stream) {}
  SecretArray(SecretArray&&) = delete;
  ~SecretArray() {
    if (this->size() == 0) return;
    ignore(cudaMemsetAsync(this->get(), 0, this->bytes(), stream_));
    settle(cudaStreamSynchronize(stream_));
  }

 private:
  cudaStream_t stream_;
};

class Stream {
 public:
  Stream() { check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "making a stream"); }
  Stream(const Stream&) = delete;
  ~Stream() {
    drain();
    ignore(cudaStreamDestroy(stream_));
  }
  // For destructors that free what the stream works on, too.
  void drain() const { settle(cudaStreamSynchronize(stream_)); }
  operator cudaStream_t() const { return stream_; }

 private:
  cudaStream_t stream_ = nullptr;
};

class Event {
 public:
  explicit Event(bool timed = false) {
    check(cudaEventCreateWithFlags(&event_, timed ? 0 : cudaEventDisableTiming), "making an event");
  }
  Event(const Event&) = delete;
  ~Event() { ignore(cudaEventDestroy(event_)); }
  operator cudaEvent_t() const { return event_; }
  void record(cudaStream_t stream) const { check(cudaEventRecord(event_, stream), "recording an event"); }
  // What comes later on the stream waits for what was recorded.
  void holdUp(cudaStream_t stream) const { check(cudaStreamWaitEvent(stream, event_, 0), "waiting for an event"); }

 private:
  cudaEvent_t event_ = nullptr;
};

// Waits for what was recorded, and returns early only by exception. Looks and sleeps: a thread that spins in the driver takes a
// core from the witness of the next proof, and one that sleeps there hears no abort.
inline void waitFor(const Event& event, const int32_t* abort) {
  for (auto pause = std::chrono::microseconds(20);;) {
    const cudaError_t state = cudaEventQuery(event);
    if (state == cudaSuccess) return;
    if (state != cudaErrorNotReady) fail(state, "waiting for the card");
    cudaGetLastError();
    throwIfAborted(abort);
    std::this_thread::sleep_for(pause);
    pause = std::min(pause * 5 / 4, std::chrono::microseconds(150));
  }
}

// Everything on the stream up to here.
inline void finish(cudaStream_t stream, const int32_t* abort = nullptr) {
  Event event;
  event.record(stream);
  waitFor(event, abort);
}

// For secrets of the host: not left out by a compiler that sees no reader.
inline void wipe(void* at, size_t size) {
  memset(at, 0, size);
  __asm__ __volatile__("" : : "r"(at) : "memory");
}

// From the host's ordinary memory to the card through pinned pieces in turn: while the card copies one, the host fills another.
class Upload {
 public:
  static constexpr size_t PIECE = size_t{2} << 20, PIECES = 3;

  explicit Upload(size_t largest = PIECE * PIECES) : piece_(std::min(PIECE, std::max<size_t>(largest, 1))), memory_(piece_ * PIECES) {}
  Upload(const Upload&) = delete;
  ~Upload() {
    for (size_t slot = 0; slot < PIECES; slot++) {
      if (busy_[slot]) settle(unrecorded_[slot] ? cudaDeviceSynchronize() : cudaEventSynchronize(free_[slot]));
      wipe(memory_.get() + slot * piece_, filled_[slot]);
    }
  }

  // Returns when `from` has been read, not when all has arrived.
  void copy(cudaStream_t stream, void* to, const void* from, size_t size, const int32_t* abort) {
    for (size_t at = 0; at < size; at += piece_) {
      const size_t take = std::min(piece_, size - at);
      const size_t slot = next_++ % PIECES;
      uint8_t* buffer = memory_.get() + slot * piece_;
      throwIfAborted(abort);
      if (unrecorded_[slot]) check(cudaDeviceSynchronize(), "waiting for the card");
      else if (busy_[slot]) waitFor(free_[slot], abort);
      filled_[slot] = std::max(filled_[slot], take);
      memcpy(buffer, static_cast<const uint8_t*>(from) + at, take);
      begin(slot);
      check(cudaMemcpyAsync(static_cast<uint8_t*>(to) + at, buffer, take, cudaMemcpyHostToDevice, stream), "copying to the card");
      end(slot, stream);
    }
  }

  // Has the card write zeros over what the pieces held, in the stream's order; `zeros` are on the card. Who waits for the stream
  // knows them wiped, and who does not may go on all the same.
  void wipeBehind(cudaStream_t stream, const void* zeros) {
    for (size_t slot = 0; slot < PIECES; slot++) {
      if (filled_[slot] == 0) continue;
      begin(slot);
      check(cudaMemcpyAsync(memory_.get() + slot * piece_, zeros, filled_[slot], cudaMemcpyDeviceToHost, stream), "wiping");
      end(slot, stream);
      filled_[slot] = 0;
    }
  }

 private:
  void begin(size_t slot) { busy_[slot] = unrecorded_[slot] = true; }
  void end(size_t slot, cudaStream_t stream) {
    free_[slot].record(stream);
    unrecorded_[slot] = false;
  }

  size_t piece_, next_ = 0;
  PinnedArray<uint8_t> memory_;
  Event free_[PIECES];
  bool busy_[PIECES] = {}, unrecorded_[PIECES] = {};  // unrecorded: a copy that failed half-way, for which no event speaks
  size_t filled_[PIECES] = {};
};

// The other way, when all is done: for what is not timed.
inline void download(cudaStream_t stream, void* to, const void* from, size_t size, const int32_t* abort) {
  if (size == 0) return;
  PinnedArray<uint8_t> buffer(std::min(size, size_t{4} << 20));
  struct End {
    cudaStream_t stream;
    PinnedArray<uint8_t>& buffer;
    ~End() {
      settle(cudaStreamSynchronize(stream));
      wipe(buffer.get(), buffer.size());
    }
  } end{stream, buffer};
  for (size_t at = 0; at < size; at += buffer.size()) {
    const size_t take = std::min(buffer.size(), size - at);
    check(cudaMemcpyAsync(buffer.get(), static_cast<const uint8_t*>(from) + at, take, cudaMemcpyDeviceToHost, stream), "copying from the card");
    check(cudaStreamSynchronize(stream), "copying from the card");
    memcpy(static_cast<uint8_t*>(to) + at, buffer.get(), take);
    throwIfAborted(abort);
  }
}

// Working space: pieces of one allocation, on boundaries of 256 bytes. Without memory it only counts.
class Arena {
 public:
  Arena() = default;
  Arena(uint8_t* base, size_t size) : base_(base), size_(size) {}
  template <class T>
  T* take(size_t n) {
    const size_t at = used_;
    used_ += (n * sizeof(T) + 255) / 256 * 256;
    peak_ = std::max(peak_, used_);
    if (base_ && used_ > size_) throw CardError(CARD_FAILED, "the working space was measured too small");
    return base_ ? reinterpret_cast<T*>(base_ + at) : nullptr;
  }
  size_t used() const { return used_; }
  // The most that was taken at once: a space of this size is enough for the same calls again.
  size_t peak() const { return peak_; }
  // Gives back what was taken since used() was `at`: for parts that follow one another on one stream.
  void rewind(size_t at) { used_ = at; }
  void reset() { used_ = 0; }

 private:
  uint8_t* base_ = nullptr;
  size_t size_ = 0, used_ = 0, peak_ = 0;
};

// What there is to do: bytes that must move through the card's memory, and multiplications in Fq and Fr. A product of two different
// factors is one, and everything else what it takes of that, by field.h's table.
struct Work {
  double bytes = 0, operations = 0;
};

// Phases by the card's clock. A phase is everything that its stream does between begin and end. Phases of two streams may
// overlap, and then share the card: their times do not add up to the whole.
class Meter {
 public:
  // By the number of entries, which only the card knows: of scalars, only the digits that are not zero make work.
  using WorkOf = std::function<Work(uint64_t entries)>;

  virtual ~Meter() = default;
  virtual void begin(cudaStream_t stream, const char* name, WorkOf work) = 0;
  virtual void end(cudaStream_t stream) = 0;
  // Where the card has the number of entries of the stream's phases since the last call, when all before on the stream is done.
  virtual void count(cudaStream_t stream, const uint32_t* entries) = 0;

  // Of a phase that is the same whatever the scalars are.
  void begin(cudaStream_t stream, const char* name, uint64_t bytes, uint64_t operations) {
    const Work work{static_cast<double>(bytes), static_cast<double>(operations)};
    begin(stream, name, [work](uint64_t) { return work; });
  }
};

// A meter by timed events, which are kept for the next run. The streams must be done when it goes.
class EventMeter : public Meter {
 public:
  using Meter::begin;
  EventMeter() = default;
  EventMeter(const EventMeter&) = delete;
  ~EventMeter() {
    if (counts_.size() > 0) wipe(counts_.get(), counts_.bytes());
  }
  // What names begin with from here on.
  void prefix(const char* prefix) { prefix_ = prefix; }
  void begin(cudaStream_t stream, const char* name, WorkOf work) override {
    phases_.push_back({prefix_ + name, stream, next(), nullptr, std::move(work), NOT_COUNTED});
    phases_.back().from->record(stream);
  }
  // Of the stream's latest phase.
  void end(cudaStream_t stream) override {
    for (size_t i = phases_.size(); i-- > 0;) {
      Span& phase = phases_[i];
      if (phase.stream != stream || phase.to) continue;
      phase.to = next();
      return phase.to->record(stream);
    }
  }
  void count(cudaStream_t stream, const uint32_t* entries) override {
    if (counts_.size() == 0) counts_ = PinnedArray<uint32_t>(MAX_COUNTS);
    if (counted_ == MAX_COUNTS) throw CardError(CARD_FAILED, "more multiplications than a meter has room for");
    const uint32_t place = counted_++;
    check(cudaMemcpyAsync(counts_.get() + place, entries, sizeof *entries, cudaMemcpyDeviceToHost, stream), "copying a number of entries");
    for (Span& phase : phases_) {
      if (phase.stream == stream && phase.count == NOT_COUNTED) phase.count = place;
    }
  }
  // After the streams are done. Phases of one name are added up; the last place takes what has none.
  void read(CardPhases& out) const {
    out.count = 0;
    for (const Span& span : phases_) {
      float ms = 0;
      if (!span.to) continue;
      check(cudaEventElapsedTime(&ms, *span.from, *span.to), "reading the clock");
      uint32_t i = 0;
      while (i < out.count && span.name.compare(0, sizeof out.at[i].name - 1, out.at[i].name) != 0) i++;
      if (i == CARD_MAX_PHASES) i--;
      CardPhase& phase = out.at[i];
      if (i == out.count) {
        phase = {};
        snprintf(phase.name, sizeof phase.name, "%s", i + 1 == CARD_MAX_PHASES ? "the rest" : span.name.c_str());
        out.count++;
      }
      const Work work = span.work(span.count == NOT_COUNTED ? 0 : counts_.get()[span.count]);
      phase.ms += ms;
      phase.bytes += static_cast<uint64_t>(work.bytes + 0.5);
      phase.operations += static_cast<uint64_t>(work.operations + 0.5);
    }
  }
  // Has the card write zeros over the numbers, as Upload::wipeBehind: how many of a witness's digits are zero is its secret, too.
  void wipeBehind(cudaStream_t stream, const void* zeros) {
    if (counted_ == 0) return;
    check(cudaMemcpyAsync(counts_.get(), zeros, counted_ * sizeof(uint32_t), cudaMemcpyDeviceToHost, stream), "wiping");
  }
  void reset() {
    phases_.clear();
    used_ = counted_ = 0;
  }

 private:
  struct Span {
    std::string name;
    cudaStream_t stream;
    const Event *from, *to;
    WorkOf work;
    uint32_t count;  // a place in counts_
  };
  static constexpr uint32_t MAX_COUNTS = 8, NOT_COUNTED = ~0u;
  std::string prefix_;
  std::vector<Span> phases_;
  std::vector<std::unique_ptr<Event>> events_;
  PinnedArray<uint32_t> counts_;  // made when there is something to count
  size_t used_ = 0;
  uint32_t counted_ = 0;

  const Event* next() {
    if (used_ == events_.size()) events_.push_back(std::make_unique<Event>(true));
    return events_[used_++].get();
  }
};

inline unsigned blocksFor(uint64_t n, unsigned threads) { return static_cast<unsigned>((n + threads - 1) / threads); }

}  // namespace cuda
}  // namespace anchorproof
