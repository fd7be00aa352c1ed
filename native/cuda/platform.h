// The kernels' language: CUDA C++, or the same sources compiled for the host, where emulator.h stands in for the card.
//
// Kernels are written once. With nvcc the names below are CUDA's; without it every launch runs on the emulator, block by block
// and thread by thread with real barriers, so that what is tested on a machine without a card is the code that runs on one.
// What an emulator cannot show is speed, and memory orderings that no barrier, atomic or event asks for.
//
//   AP_KERNEL(threads, blocks)     begins the definition of a kernel for blocks of at most `threads`, `blocks` of them a multiprocessor
//   AP_SHARED(T, name)             the block's dynamic shared memory as T*
//   AP_LAUNCH(kernel, blocks, threads, sharedBytes, stream, …)     a template's arguments in parentheses: AP_LAUNCH((k<F, 2>), …)
//   AP_UNROLL                      before a loop: unrolled, so that arrays indexed by its counter stay in registers
//   AP_HD, AP_DEVICE, AP_CALL      inline for both sides; inline for the card; a call on the card, for what is large
//   AP_PRODUCT                     inline on the card, a call on the host, whose compilers would take minutes over the kernels
//
//   AP_ELEMENT(T)                  within a struct that functions return and kernels store: for emulator_watch.h, else nothing
//
// Kernels use dynamic shared memory only, __syncthreads, __shfl_*_sync, __ballot_sync and atomicAdd/Max/Or/Min on words, and no
// other thread-to-thread communication.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#if defined(__CUDACC__)

#include <cuda_runtime.h>

#define AP_HD __host__ __device__ __forceinline__
#define AP_DEVICE __device__ __forceinline__
#define AP_CALL inline __host__ __device__ __noinline__
#define AP_PRODUCT AP_HD
#define AP_UNROLL _Pragma("unroll")
#define AP_KERNEL(threads, blocks) static __global__ void __launch_bounds__(threads, blocks)
#define AP_SHARED(T, name)                  \
  extern __shared__ uint4 apSharedMemory[]; \
  T* const name = reinterpret_cast<T*>(apSharedMemory)
#define AP_ELEMENT(T)
#define AP_LAUNCH(kernel, blocks, threads, shared, stream, ...) \
  kernel<<<::anchorproof::cuda::launchSize(blocks), ::anchorproof::cuda::launchSize(threads), (shared), (stream)>>>(__VA_ARGS__)

namespace anchorproof {
namespace cuda {
// A size that a launch cannot have becomes 0, which the launch refuses: never one that was cut off.
inline unsigned launchSize(uint64_t n) { return n <= 0x7fffffff ? static_cast<unsigned>(n) : 0; }
}  // namespace cuda
}  // namespace anchorproof

#else

#include "emulator.h"

#define AP_HD inline
#define AP_DEVICE inline __attribute__((always_inline))
#define AP_CALL inline __attribute__((noinline))
#define AP_PRODUCT AP_CALL
#define AP_UNROLL
// The bound is kept as that many no-operations before the kernel's code, which emulator.h counts: this macro stands before the
// kernel's name and may depend on its template's arguments, so that nothing else could tell which kernel it is about. (sizeof: gcc 12
// takes no named constants there; clang none of a template's, and bounds are not looked at.)
#if defined(__clang__)
#define AP_KERNEL(threads, blocks) static void
#else
#define AP_KERNEL(threads, blocks) \
  __attribute__((patchable_function_entry(sizeof(char[threads]), sizeof(char[threads])))) static void
#endif
#define AP_SHARED(T, name) T* const name = static_cast<T*>(::anchorproof::emulator::sharedMemory())
#if defined(__SANITIZE_THREAD__)
#define AP_ELEMENT(T)                                                 \
  T() = default;                                                      \
  T(const T&) = default;                                              \
  T& operator=(const T& from) {                                       \
    ::anchorproof::emulator::assign(this, &from, sizeof *this);       \
    return *this;                                                     \
  }
#else
#define AP_ELEMENT(T)
#endif
#define AP_LAUNCH(kernel, blocks, threads, shared, stream, ...) \
  ::anchorproof::emulator::Launcher(#kernel, kernel, (blocks), (threads), (shared), (stream))(__VA_ARGS__)

#endif
