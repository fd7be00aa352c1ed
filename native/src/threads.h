// Threads and large memory.
//
// parallel() runs a list of independent tasks on the caller and helper threads. Threads live as long as the call: starting one
// costs some tens of microseconds, against steps of milliseconds, and no state outlives the caller's environment.
#pragma once

#include "field.h"

namespace anchorproof {
namespace ENGINE_NS {

inline void throwIfAborted(const Control& control) {
  if (control.abort && control.abort->load(std::memory_order_relaxed) != 0) throw Failure(Code::Aborted, "stopped");
}

// For large arrays that are read at random: on huge pages where the system has them, since a miss in the page table
// would cost more than the miss in the cache. Elements are left uninitialised.
template <class T>
struct PageAllocator {
  using value_type = T;
  PageAllocator() = default;
  template <class U>
  PageAllocator(const PageAllocator<U>&) {}

  T* allocate(size_t n) {
    constexpr size_t HUGE_PAGE = (size_t)1 << 21;
    if (n > SIZE_MAX / 2 / sizeof(T)) throw std::bad_alloc();
    size_t bytes = n * sizeof(T), alignment = bytes >= HUGE_PAGE ? HUGE_PAGE : 64;
    bytes = (bytes + alignment - 1) / alignment * alignment;
    void* memory = aligned_alloc(alignment, bytes);
    if (!memory) throw std::bad_alloc();
#if defined(MADV_HUGEPAGE)
    if (alignment == HUGE_PAGE) madvise(memory, bytes, MADV_HUGEPAGE);  // a hint: failure costs speed only
#endif
    return static_cast<T*>(memory);
  }
  void deallocate(T* memory, size_t) { free(memory); }
  template <class U>
  void construct(U* at) noexcept {
    ::new (static_cast<void*>(at)) U;
  }
  template <class U, class... Args>
  void construct(U* at, Args&&... args) {
    ::new (static_cast<void*>(at)) U(std::forward<Args>(args)...);
  }
};
template <class T, class U>
bool operator==(const PageAllocator<T>&, const PageAllocator<U>&) {
  return true;
}
template <class T, class U>
bool operator!=(const PageAllocator<T>&, const PageAllocator<U>&) {
  return false;
}
template <class T>
using PageVector = std::vector<T, PageAllocator<T>>;

// For values that depend on the witness: wiped whenever they are given back, also when a vector grows or an exception
// passes.
template <class T>
struct WipingAllocator {
  using value_type = T;
  WipingAllocator() = default;
  template <class U>
  WipingAllocator(const WipingAllocator<U>&) {}

  T* allocate(size_t n) {
    if (n > SIZE_MAX / 2 / sizeof(T)) throw std::bad_alloc();
    void* memory = aligned_alloc(64, (n * sizeof(T) + 63) / 64 * 64);
    if (!memory) throw std::bad_alloc();
    return static_cast<T*>(memory);
  }
  void deallocate(T* memory, size_t n) {
    wipe(memory, n * sizeof(T));
    free(memory);
  }
};
template <class T, class U>
bool operator==(const WipingAllocator<T>&, const WipingAllocator<U>&) {
  return true;
}
template <class T, class U>
bool operator!=(const WipingAllocator<T>&, const WipingAllocator<U>&) {
  return false;
}
template <class T>
using SecretVector = std::vector<T, WipingAllocator<T>>;

// Calls body(task, worker) for task = 0…tasks−1, in that order of start, worker below control.threads. The first
// exception stops the rest and is thrown here.
template <class Body>
void parallel(const Control& control, size_t tasks, const Body& body) {
  size_t threads = control.threads < tasks ? control.threads : tasks;
  std::atomic<size_t> next{0};
  std::exception_ptr error;
  std::mutex mutex;
  auto work = [&](size_t worker) {
    try {
      for (size_t task; (task = next.fetch_add(1)) < tasks;) {
        throwIfAborted(control);
        body(task, worker);
      }
    } catch (...) {
      next.store(tasks);
      std::lock_guard<std::mutex> lock(mutex);
      if (!error) error = std::current_exception();
    }
  };
  std::vector<std::thread> helpers;
  // A machine that gives no more threads, or no memory for them, still finishes, on fewer.
  try {
    helpers.reserve(threads);
    for (size_t i = 1; i < threads; i++) helpers.emplace_back(work, i);
  } catch (...) {
  }
  work(0);
  for (std::thread& helper : helpers) helper.join();
  if (error) std::rethrow_exception(error);
}

}  // namespace ENGINE_NS
}  // namespace anchorproof
