// What the unit programs have in common: checks that end the program, a generator from a seed, and a main that runs sections.
//
//   static void sums() { … CHECK(a == b, "n = %zu", n); … CHECK_CUDA(cudaMalloc(&p, 64)); }
//   int main(int argc, char** argv) { return test::run(argc, argv, {{"sums", sums}, …}); }
//
// One line a section; the first failure is printed and ends the program with 1. Arguments choose sections by their names.
// AP_TEST_SEED changes the random values, AP_EMULATOR_SEED the order in which the emulated card works.
#pragma once

#include <chrono>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <initializer_list>

namespace anchorproof {
namespace test {

inline const char*& currentSection() {
  static const char* name = "";
  return name;
}

inline uint64_t seed() {
  const char* text = getenv("AP_TEST_SEED");
  return text ? strtoull(text, nullptr, 10) : 1;
}

[[noreturn]] __attribute__((format(printf, 4, 0))) inline void failWith(const char* file, int line, const char* what, const char* format,
                                                                        va_list arguments) {
  const char* order = getenv("AP_EMULATOR_SEED");
  printf("FAILED  %s: %s:%d: %s", currentSection(), file, line, what);
  if (format) {
    printf(": ");
    vprintf(format, arguments);
  }
  printf("  [AP_TEST_SEED=%llu%s%s]\n", static_cast<unsigned long long>(seed()), order ? " AP_EMULATOR_SEED=" : "", order ? order : "");
  fflush(stdout);
  _Exit(1);
}
[[noreturn]] __attribute__((format(printf, 4, 5))) inline void fail(const char* file, int line, const char* what, const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  failWith(file, line, what, format, arguments);
}
[[noreturn]] inline void fail(const char* file, int line, const char* what) { fail(file, line, what, "%s", "does not hold"); }

#define CHECK(condition, ...) ((condition) ? (void)0 : ::anchorproof::test::fail(__FILE__, __LINE__, #condition, ##__VA_ARGS__))
#define CHECK_CUDA(call)                                                                                                       \
  do {                                                                                                                         \
    const cudaError_t checkedError_ = (call);                                                                                  \
    if (checkedError_ != cudaSuccess) ::anchorproof::test::fail(__FILE__, __LINE__, #call, "%s", cudaGetErrorName(checkedError_)); \
  } while (0)

// xoshiro256** seeded by splitmix64. `stream` tells generators of one program apart.
class Random {
 public:
  explicit Random(uint64_t stream = 0) {
    uint64_t x = seed() * 0x9e3779b97f4a7c15 + stream;
    for (auto& s : s_) {
      uint64_t z = x += 0x9e3779b97f4a7c15;
      z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
      z = (z ^ z >> 27) * 0x94d049bb133111eb;
      s = z ^ z >> 31;
    }
  }
  uint64_t next() {
    const uint64_t out = rotate(s_[1] * 5, 7) * 9, t = s_[1] << 17;
    s_[2] ^= s_[0];
    s_[3] ^= s_[1];
    s_[1] ^= s_[2];
    s_[0] ^= s_[3];
    s_[2] ^= t;
    s_[3] = rotate(s_[3], 45);
    return out;
  }
  uint32_t word() { return static_cast<uint32_t>(next() >> 32); }
  // 0 … n − 1, n > 0; the bias is below n / 2^64
  uint64_t below(uint64_t n) { return static_cast<uint64_t>((unsigned __int128)next() * n >> 64); }
  bool oneIn(uint64_t n) { return below(n) == 0; }
  void fill(void* to, size_t size) {
    for (auto* at = static_cast<uint8_t*>(to); size > 0;) {
      const uint64_t value = next();
      const size_t part = size < 8 ? size : 8;
      memcpy(at, &value, part);
      at += part;
      size -= part;
    }
  }

 private:
  static uint64_t rotate(uint64_t x, int k) { return x << k | x >> (64 - k); }
  uint64_t s_[4];
};

struct Section {
  const char* name;
  void (*body)();
};

inline int run(int argc, char** argv, std::initializer_list<Section> sections) {
  for (int i = 1; i < argc; i++) {
    bool known = false;
    for (const Section& s : sections) known |= strcmp(s.name, argv[i]) == 0;
    if (!known) return printf("no section is called %s\n", argv[i]), 2;
  }
  for (const Section& s : sections) {
    bool chosen = argc <= 1;
    for (int i = 1; i < argc; i++) chosen |= strcmp(s.name, argv[i]) == 0;
    if (!chosen) continue;
    currentSection() = s.name;
    const auto start = std::chrono::steady_clock::now();
    s.body();
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    printf("ok  %-32s %8.2f s\n", s.name, seconds);
    fflush(stdout);
  }
  return 0;
}

}  // namespace test
}  // namespace anchorproof
