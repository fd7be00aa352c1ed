// The host's side of a card: errors, memory, streams, clocks. Every CUDA call is checked here or by check().
#pragma once

#include <algorithm>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "../src/card.h"
#include "platform.h"

namespace anchorproof {
namespace cuda {

// The only exception within the library; backend.cu turns it into a CardStatus.
struct CardError : std::runtime_error {
  CardError(int32_t code_, const std::string& message, bool lost_ = false)
      : std::runtime_error(message), code(code_), lost(lost_) {}
  int32_t code;
  bool lost;
};

inline void check(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return;
  // Clears what is kept for the next caller, unless the context is broken for good.
  const bool lost = cudaGetLastError() != cudaSuccess && cudaGetLastError() != cudaSuccess;
  const bool memory = error == cudaErrorMemoryAllocation;
  const bool unavailable = error == cudaErrorNoDevice || error == cudaErrorInsufficientDriver || error == cudaErrorInvalidDevice;
  const int32_t code = memory ? CARD_OUT_OF_MEMORY : unavailable ? CARD_UNAVAILABLE : CARD_FAILED;
  throw CardError(code, std::string(what) + ": " + cudaGetErrorString(error) + " (" + cudaGetErrorName(error) + ")", lost);
}

// To be called after every launch.
inline void checkLaunch(const char* kernel) { check(cudaGetLastError(), kernel); }

inline void throwIfAborted(const int32_t* abort) {
  if (abort && __atomic_load_n(abort, __ATOMIC_RELAXED) != 0) throw CardError(CARD_ABORTED, "stopped on request");
}

// Memory of the card that is current, not initialised.
template <class T>
class DeviceArray {
 public:
  DeviceArray() = default;
  explicit DeviceArray(size_t n) : n_(n) {
    if (n > SIZE_MAX / sizeof(T)) throw CardError(CARD_OUT_OF_MEMORY, "an array is larger than any memory");
    if (n > 0) check(cudaMalloc(&data_, n * sizeof(T)), "taking the card's memory");
  }
  DeviceArray(DeviceArray&& other) noexcept : data_(std::exchange(other.data_, nullptr)), n_(std::exchange(other.n_, 0)) {}
  DeviceArray& operator=(DeviceArray&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(n_, other.n_);
    return *this;
  }
  ~DeviceArray() {
    if (data_) cudaFree(data_);
  }
  T* get() const { return data_; }
  size_t size() const { return n_; }
  size_t bytes() const { return n_ * sizeof(T); }

 private:
  T* data_ = nullptr;
  size_t n_ = 0;
};

// Host memory that the card reads and writes by itself.
template <class T>
class PinnedArray {
 public:
  PinnedArray() = default;
  explicit PinnedArray(size_t n) : n_(n) {
    if (n > 0) check(cudaMallocHost(&data_, n * sizeof(T)), "taking pinned memory");
  }
  PinnedArray(PinnedArray&& other) noexcept : data_(std::exchange(other.data_, nullptr)), n_(std::exchange(other.n_, 0)) {}
  PinnedArray& operator=(PinnedArray&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(n_, other.n_);
    return *this;
  }
  ~PinnedArray() {
    if (data_) cudaFreeHost(data_);
  }
  T* get() const { return data_; }
  size_t size() const { return n_; }
  size_t bytes() const { return n_ * sizeof(T); }

 private:
  T* data_ = nullptr;
  size_t n_ = 0;
};

class Stream {
 public:
  Stream() { check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "making a stream"); }
  Stream(const Stream&) = delete;
  ~Stream() { cudaStreamDestroy(stream_); }
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
  ~Event() { cudaEventDestroy(event_); }
  operator cudaEvent_t() const { return event_; }
  void record(cudaStream_t stream) const { check(cudaEventRecord(event_, stream), "recording an event"); }
  // What comes later on the stream waits for what was recorded.
  void holdUp(cudaStream_t stream) const { check(cudaStreamWaitEvent(stream, event_, 0), "waiting for an event"); }

 private:
  cudaEvent_t event_ = nullptr;
};

// Working space: pieces of one allocation, on boundaries of 256 bytes. Without memory it only counts.
class Arena {
 public:
  Arena() = default;
  Arena(uint8_t* base, size_t size) : base_(base), size_(size) {}
  template <class T>
  T* take(size_t n) {
    const size_t at = used_;
    used_ += (n * sizeof(T) + 255) / 256 * 256;
    if (base_ && used_ > size_) throw CardError(CARD_FAILED, "the working space was measured too small");
    return base_ ? reinterpret_cast<T*>(base_ + at) : nullptr;
  }
  size_t used() const { return used_; }
  void reset() { used_ = 0; }

 private:
  uint8_t* base_ = nullptr;
  size_t size_ = 0, used_ = 0;
};

// Phases by the card's clock. A phase is everything that its stream does between begin and end.
class Meter {
 public:
  virtual ~Meter() = default;
  // bytes that must move through the card's memory, multiplications in Fq and Fr
  virtual void begin(cudaStream_t stream, const char* name, uint64_t bytes, uint64_t operations) = 0;
  virtual void end(cudaStream_t stream) = 0;
};

inline unsigned blocksFor(uint64_t n, unsigned threads) { return static_cast<unsigned>((n + threads - 1) / threads); }

}  // namespace cuda
}  // namespace anchorproof
