// What all parts of the harness use: the core's headers under a namespace of its own, errors, text, random values.
#pragma once

#define ENGINE_NS harness
#include "../../src/engine_std.h"

#include "../../src/cards.h"
#include "../../src/ptau.h"

#include <cerrno>
#include <cmath>
#include <condition_variable>
#include <cstdarg>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <optional>
#include <set>

#if defined(__linux__)
#include <sched.h>
#endif

namespace anchorproof {
namespace ENGINE_NS {
namespace {

using Buffer = std::vector<uint8_t>;
using Clock = std::chrono::steady_clock;

// A result that is wrong.
struct Mismatch : std::runtime_error {
  using std::runtime_error::runtime_error;
};
// Going on makes no sense: the card is lost, or nothing is right.
struct Stop : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// This card has not the memory for it, which is nobody's fault.
struct NoRoom : std::runtime_error {
  using std::runtime_error::runtime_error;
};

__attribute__((format(printf, 1, 2))) std::string text(const char* format, ...) {
  char line[512];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  return line;
}

Bytes view(const Buffer& buffer) { return {buffer.data(), buffer.size()}; }
double secondsSince(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// ---- random values, the same for any number of threads ----

u64 mixed(u64 z) {
  z += 0x9e3779b97f4a7c15;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
  z = (z ^ z >> 27) * 0x94d049bb133111eb;
  return z ^ z >> 31;
}

class Random {
 public:
  explicit Random(u64 seed) : state_(mixed(seed)) {}
  u64 next() { return mixed(state_++); }
  u64 below(u64 n) { return (u64)((u128)next() * n >> 64); }  // n > 0

  // Uniform below the field's order.
  template <class Field>
  Field integer() {
    for (;;) {
      Field out{{next(), next(), next(), next() & ~(u64)0 >> 2}};
      if (out.isReduced()) return out;
    }
  }

 private:
  u64 state_;
};

// Element i of a sequence that a seed names.
Fr integerAt(u64 seed, size_t i) { return Random(mixed(seed) + i * 0x2545f4914f6cdd1d).integer<Fr>(); }

}  // namespace
}  // namespace ENGINE_NS
}  // namespace anchorproof
