// Stacks to switch between: each thread of an emulated block that waits has one.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#define AP_ADDRESS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define AP_ADDRESS_SANITIZER 1
#endif
#endif
#if defined(AP_ADDRESS_SANITIZER)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

#if defined(__ELF__) && (defined(__x86_64__) || defined(__aarch64__))
#define AP_SWITCH_BY_HAND 1
#else
#include <ucontext.h>
#endif

#if defined(AP_SWITCH_BY_HAND)
// ap_emulator_switch(void** saved, void* next) keeps the registers that a call keeps on the stack that it leaves, stores that
// stack's pointer, and returns on the other one. (swapcontext also keeps the signal mask: two system calls a switch.)
// Every unit that includes this has the function; the linker keeps one (a COMDAT group), and no library shows it.
#if defined(__x86_64__)
__asm__(R"(
.pushsection .text.ap_emulator_switch,"axG",@progbits,ap_emulator_switch,comdat
.weak ap_emulator_switch
.hidden ap_emulator_switch
.type ap_emulator_switch,@function
ap_emulator_switch:
  endbr64
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size ap_emulator_switch,.-ap_emulator_switch
.popsection
)");
#else
__asm__(R"(
.pushsection .text.ap_emulator_switch,"axG",@progbits,ap_emulator_switch,comdat
.weak ap_emulator_switch
.hidden ap_emulator_switch
.type ap_emulator_switch,@function
ap_emulator_switch:
  hint #34
  stp x29, x30, [sp, #-160]!
  stp x19, x20, [sp, #16]
  stp x21, x22, [sp, #32]
  stp x23, x24, [sp, #48]
  stp x25, x26, [sp, #64]
  stp x27, x28, [sp, #80]
  stp d8, d9, [sp, #96]
  stp d10, d11, [sp, #112]
  stp d12, d13, [sp, #128]
  stp d14, d15, [sp, #144]
  mov x9, sp
  str x9, [x0]
  mov sp, x1
  ldp x19, x20, [sp, #16]
  ldp x21, x22, [sp, #32]
  ldp x23, x24, [sp, #48]
  ldp x25, x26, [sp, #64]
  ldp x27, x28, [sp, #80]
  ldp d8, d9, [sp, #96]
  ldp d10, d11, [sp, #112]
  ldp d12, d13, [sp, #128]
  ldp d14, d15, [sp, #144]
  ldp x29, x30, [sp], #160
  ret
.size ap_emulator_switch,.-ap_emulator_switch
.popsection
)");
#endif
extern "C" __attribute__((visibility("hidden"))) void ap_emulator_switch(void** saved, void* next);
#endif

namespace anchorproof {
namespace emulator {

inline size_t pageSize() {
  static const size_t size = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  return size;
}

// A stack and where it was left. The default one stands for the stack that the host's thread came with.
class Fiber {
 public:
  static constexpr size_t STACK = 256 * 1024;

  Fiber() = default;
  Fiber(const Fiber&) = delete;
  // Runs entry() at the first switch to it, which must not return. Below the stack lies a page that may not be touched.
  explicit Fiber(void (*entry)()) {
    const size_t guard = pageSize();
    void* at = mmap(nullptr, guard + STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED || mprotect(at, guard, PROT_NONE) != 0) {
      perror("emulated card: no memory for a thread's stack");
      abort();
    }
    bottom_ = static_cast<char*>(at) + guard;
#if defined(AP_SWITCH_BY_HAND)
    // What the first switch takes from here: registers, all zero, and the address to return to.
    auto* top = reinterpret_cast<uintptr_t*>(bottom_ + STACK);
#if defined(__x86_64__)
    top[-2] = reinterpret_cast<uintptr_t>(entry);  // the stack is off by 8 from 16 at the entry, as after a call
    stack_ = top - 8;
#else
    top[-19] = reinterpret_cast<uintptr_t>(entry);  // x30
    stack_ = top - 20;
#endif
#else
    getcontext(&context_);
    context_.uc_stack.ss_sp = bottom_;
    context_.uc_stack.ss_size = STACK;
    context_.uc_link = nullptr;
    makecontext(&context_, entry, 0);
#endif
  }
  ~Fiber() {
    if (!bottom_) return;
#if defined(AP_ADDRESS_SANITIZER)
    __asan_unpoison_memory_region(bottom_, STACK);
#endif
    munmap(bottom_ - pageSize(), pageSize() + STACK);
  }

  // Leaves this stack, which is the one in use, for another.
  void switchTo(Fiber& next) {
#if defined(AP_ADDRESS_SANITIZER)
    __sanitizer_start_switch_fiber(&fakeStack_, next.bottom_ ? next.bottom_ : next.hostBottom_, next.bottom_ ? STACK : next.hostSize_);
    // Whoever arrives tells whoever left where its stack is: only so do we hear of the host's.
    left() = this;
#endif
#if defined(AP_SWITCH_BY_HAND)
    ap_emulator_switch(&stack_, next.stack_);
#else
    swapcontext(&context_, &next.context_);
#endif
    arrived();
  }
  const char* bottom() const { return bottom_; }
  // First thing on a new stack.
  void arrived() {
#if defined(AP_ADDRESS_SANITIZER)
    const void* bottom = nullptr;
    size_t size = 0;
    __sanitizer_finish_switch_fiber(fakeStack_, &bottom, &size);
    left()->hostBottom_ = bottom;
    left()->hostSize_ = size;
#endif
  }

 private:
  char* bottom_ = nullptr;
#if defined(AP_SWITCH_BY_HAND)
  void* stack_ = nullptr;
#else
  ucontext_t context_;
#endif
#if defined(AP_ADDRESS_SANITIZER)
  void* fakeStack_ = nullptr;
  const void* hostBottom_ = nullptr;
  size_t hostSize_ = 0;
  static Fiber*& left() {
    static Fiber* fiber = nullptr;
    return fiber;
  }
#endif
};

}  // namespace emulator
}  // namespace anchorproof
