// A card made of the host's memory and one of its threads: what the kernels and their host side use of CUDA, and no more.
//
// First version: streams run at once and in order, threads in their order.
#pragma once

#include <ucontext.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <vector>

struct dim3 {
  unsigned x = 1, y = 1, z = 1;
};

enum cudaError_t {
  cudaSuccess = 0,
  cudaErrorInvalidValue = 1,
  cudaErrorMemoryAllocation = 2,
  cudaErrorInsufficientDriver = 35,
  cudaErrorNoDevice = 100,
  cudaErrorInvalidDevice = 101,
  cudaErrorNotReady = 600,
  cudaErrorIllegalAddress = 700,
  cudaErrorLaunchFailure = 719
};
enum cudaMemcpyKind { cudaMemcpyHostToDevice = 1, cudaMemcpyDeviceToHost = 2, cudaMemcpyDeviceToDevice = 3 };
constexpr unsigned cudaStreamNonBlocking = 1, cudaEventDisableTiming = 2, cudaHostAllocDefault = 0;

namespace anchorproof {
namespace emulator {

struct Stream {};
struct Event {
  std::chrono::steady_clock::time_point at;
};

// One block at a time. A runner is a stack on which threads of the block run one after the other, until one of them waits at a
// barrier: then the next threads get another runner.
class Block {
 public:
  Block(unsigned index, unsigned count, unsigned threads, size_t shared, const std::function<void()>& body)
      : body_(body), index_(index), count_(count), threads_(threads), shared_(shared + 16) {}

  void run();
  void barrier();
  unsigned thread() const { return current_->thread; }
  unsigned index() const { return index_; }
  unsigned count() const { return count_; }
  unsigned threads() const { return threads_; }
  void* shared() { return reinterpret_cast<void*>((reinterpret_cast<uintptr_t>(shared_.data()) + 15) & ~uintptr_t{15}); }

  // Values that the threads of a warp show each other.
  uint64_t exchange(uint64_t value, unsigned from);
  unsigned ballot(bool value);

  static Block*& running() {
    static thread_local Block* block = nullptr;
    return block;
  }

 private:
  static constexpr size_t STACK = 256 * 1024;
  struct Runner {
    ucontext_t context;
    std::vector<char> stack;
    unsigned thread = 0;
    bool waiting = false;
  };
  const std::function<void()>& body_;
  unsigned index_, count_, threads_, next_ = 0;
  std::vector<char> shared_;
  std::vector<uint64_t> values_;
  std::vector<std::unique_ptr<Runner>> runners_;
  Runner* current_ = nullptr;
  ucontext_t main_;

  static void enter() { running()->work(); }
  void work() {
    Runner* self = current_;
    while (next_ < threads_) {
      self->thread = next_++;
      body_();
    }
  }
};

inline void Block::run() {
  running() = this;
  while (next_ < threads_) {
    runners_.push_back(std::make_unique<Runner>());
    Runner& runner = *runners_.back();
    runner.stack.resize(STACK);
    getcontext(&runner.context);
    runner.context.uc_stack.ss_sp = runner.stack.data();
    runner.context.uc_stack.ss_size = STACK;
    runner.context.uc_link = &main_;
    makecontext(&runner.context, &Block::enter, 0);
    current_ = &runner;
    swapcontext(&main_, &runner.context);
  }
  // All have ended or wait. Those that waited go on, one barrier after the other.
  for (bool more = true; more;) {
    more = false;
    for (auto& runner : runners_) {
      if (!runner->waiting) continue;
      more = true;
      runner->waiting = false;
      current_ = runner.get();
      swapcontext(&main_, &runner->context);
    }
  }
  running() = nullptr;
}

inline void Block::barrier() {
  Runner* self = current_;
  self->waiting = true;
  swapcontext(&self->context, &main_);
}

inline uint64_t Block::exchange(uint64_t value, unsigned from) {
  values_.resize(threads_);
  values_[thread()] = value;
  barrier();
  uint64_t out = from < threads_ ? values_[from] : value;
  barrier();
  return out;
}

inline unsigned Block::ballot(bool value) {
  values_.resize(threads_);
  values_[thread()] = value;
  barrier();
  unsigned first = thread() / 32 * 32, out = 0;
  for (unsigned i = 0; i < 32 && first + i < threads_; i++) out |= (unsigned)(values_[first + i] != 0) << i;
  barrier();
  return out;
}

inline void* sharedMemory() { return Block::running()->shared(); }

template <class Body>
void launch(unsigned blocks, unsigned threads, size_t shared, Stream*, Body body) {
  std::function<void()> call = body;
  for (unsigned i = 0; i < blocks; i++) Block(i, blocks, threads, shared, call).run();
}

struct IndexOf {
  unsigned (*read)();
  operator unsigned() const { return read(); }
};

}  // namespace emulator
}  // namespace anchorproof

using cudaStream_t = anchorproof::emulator::Stream*;
using cudaEvent_t = anchorproof::emulator::Event*;

#define threadIdx (dim3{::anchorproof::emulator::Block::running()->thread(), 0, 0})
#define blockIdx (dim3{::anchorproof::emulator::Block::running()->index(), 0, 0})
#define blockDim (dim3{::anchorproof::emulator::Block::running()->threads(), 1, 1})
#define gridDim (dim3{::anchorproof::emulator::Block::running()->count(), 1, 1})

inline void __syncthreads() { anchorproof::emulator::Block::running()->barrier(); }
inline void __syncwarp(unsigned = ~0u) { anchorproof::emulator::Block::running()->barrier(); }
inline unsigned __shfl_sync(unsigned, unsigned value, unsigned lane) {
  auto* block = anchorproof::emulator::Block::running();
  return (unsigned)block->exchange(value, block->thread() / 32 * 32 + (lane & 31));
}
inline unsigned __shfl_up_sync(unsigned, unsigned value, unsigned by) {
  auto* block = anchorproof::emulator::Block::running();
  unsigned lane = block->thread() & 31;
  return (unsigned)block->exchange(value, lane < by ? block->thread() : block->thread() - by);
}
inline unsigned __shfl_down_sync(unsigned, unsigned value, unsigned by) {
  auto* block = anchorproof::emulator::Block::running();
  unsigned lane = block->thread() & 31;
  return (unsigned)block->exchange(value, lane + by > 31 ? block->thread() : block->thread() + by);
}
inline unsigned __ballot_sync(unsigned, bool value) { return anchorproof::emulator::Block::running()->ballot(value); }
inline unsigned __popc(unsigned x) { return (unsigned)__builtin_popcount(x); }
inline int __clz(unsigned x) { return x ? __builtin_clz(x) : 32; }
inline int __ffs(unsigned x) { return __builtin_ffs((int)x); }
inline unsigned __brev(unsigned x) {
  unsigned out = 0;
  for (int i = 0; i < 32; i++) out |= (x >> i & 1) << (31 - i);
  return out;
}
template <class T>
T __ldg(const T* at) {
  return *at;
}
template <class T>
T atomicAdd(T* at, T by) {
  T old = *at;
  *at = old + by;
  return old;
}
template <class T>
T atomicMax(T* at, T by) {
  T old = *at;
  if (by > old) *at = by;
  return old;
}
template <class T>
T atomicMin(T* at, T by) {
  T old = *at;
  if (by < old) *at = by;
  return old;
}
template <class T>
T atomicOr(T* at, T by) {
  T old = *at;
  *at = old | by;
  return old;
}

struct cudaDeviceProp {
  char name[256];
  size_t totalGlobalMem, sharedMemPerBlockOptin;
  int major, minor, multiProcessorCount, memoryBusWidth, l2CacheSize;
};
enum cudaDeviceAttr { cudaDevAttrClockRate = 13, cudaDevAttrMemoryClockRate = 36 };
inline cudaError_t cudaGetDeviceCount(int* count) { return *count = 1, cudaSuccess; }
inline cudaError_t cudaGetDevice(int* device) { return *device = 0, cudaSuccess; }
inline cudaError_t cudaSetDevice(int device) { return device == 0 ? cudaSuccess : cudaErrorInvalidDevice; }
inline cudaError_t cudaGetDeviceProperties(cudaDeviceProp* out, int) {
  memset(out, 0, sizeof *out);
  strcpy(out->name, "emulated card");
  out->totalGlobalMem = (size_t)1 << 32;
  out->sharedMemPerBlockOptin = 99 << 10;
  out->major = 8;
  out->multiProcessorCount = 2;
  return cudaSuccess;
}
inline cudaError_t cudaDeviceGetAttribute(int* out, cudaDeviceAttr, int) { return *out = 1000000, cudaSuccess; }
inline cudaError_t cudaMemGetInfo(size_t* available, size_t* total) {
  return *available = *total = (size_t)1 << 32, cudaSuccess;
}
inline cudaError_t cudaDriverGetVersion(int* v) { return *v = 13000, cudaSuccess; }
inline cudaError_t cudaRuntimeGetVersion(int* v) { return *v = 13000, cudaSuccess; }
template <class T>
cudaError_t cudaMalloc(T** out, size_t size) {
  *out = static_cast<T*>(malloc(size ? size : 1));
  if (!*out) return cudaErrorMemoryAllocation;
  memset(static_cast<void*>(*out), 0xa5, size);
  return cudaSuccess;
}
inline cudaError_t cudaFree(void* p) { return free(p), cudaSuccess; }
template <class T>
cudaError_t cudaMallocHost(T** out, size_t size) {
  return cudaMalloc(out, size);
}
inline cudaError_t cudaFreeHost(void* p) { return free(p), cudaSuccess; }
inline cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t size, cudaMemcpyKind, cudaStream_t = nullptr) {
  return memcpy(to, from, size), cudaSuccess;
}
inline cudaError_t cudaMemsetAsync(void* to, int value, size_t size, cudaStream_t = nullptr) {
  return memset(to, value, size), cudaSuccess;
}
inline cudaError_t cudaStreamCreateWithFlags(cudaStream_t* out, unsigned) {
  return *out = new anchorproof::emulator::Stream, cudaSuccess;
}
inline cudaError_t cudaStreamDestroy(cudaStream_t s) { return delete s, cudaSuccess; }
inline cudaError_t cudaStreamSynchronize(cudaStream_t) { return cudaSuccess; }
inline cudaError_t cudaStreamQuery(cudaStream_t) { return cudaSuccess; }
inline cudaError_t cudaStreamWaitEvent(cudaStream_t, cudaEvent_t, unsigned = 0) { return cudaSuccess; }
inline cudaError_t cudaDeviceSynchronize() { return cudaSuccess; }
inline cudaError_t cudaEventCreateWithFlags(cudaEvent_t* out, unsigned) {
  return *out = new anchorproof::emulator::Event, cudaSuccess;
}
inline cudaError_t cudaEventDestroy(cudaEvent_t e) { return delete e, cudaSuccess; }
inline cudaError_t cudaEventRecord(cudaEvent_t e, cudaStream_t = nullptr) {
  return e->at = std::chrono::steady_clock::now(), cudaSuccess;
}
inline cudaError_t cudaEventQuery(cudaEvent_t) { return cudaSuccess; }
inline cudaError_t cudaEventSynchronize(cudaEvent_t) { return cudaSuccess; }
inline cudaError_t cudaEventElapsedTime(float* ms, cudaEvent_t a, cudaEvent_t b) {
  return *ms = std::chrono::duration<float, std::milli>(b->at - a->at).count(), cudaSuccess;
}
inline cudaError_t cudaGetLastError() { return cudaSuccess; }
inline const char* cudaGetErrorString(cudaError_t) { return "an error of the emulated card"; }
inline const char* cudaGetErrorName(cudaError_t) { return "cudaErrorEmulated"; }
enum cudaFuncAttribute { cudaFuncAttributeMaxDynamicSharedMemorySize = 8 };
template <class Kernel>
cudaError_t cudaFuncSetAttribute(Kernel, cudaFuncAttribute, int) {
  return cudaSuccess;
}
