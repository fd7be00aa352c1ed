// Which engines this processor has.
#include <cstdlib>

#include "api.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace anchorproof {

const Engine* portableEngine();
#if defined(__x86_64__)
const Engine* adxEngine();
const Engine* ifmaEngine();

namespace {
bool hasAdx() {
  unsigned a, b, c, d;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b >> 8 & 1) && (b >> 19 & 1);  // BMI2, ADX
}

bool hasIfma() {
  // These also ask whether the operating system keeps the registers.
  return hasAdx() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512ifma");
}
}  // namespace
#endif

const Engine* engineByName(const std::string& name) {
  if (name == "portable") return portableEngine();
#if defined(__x86_64__)
  if (name == "adx" && hasAdx()) return adxEngine();
  if (name == "ifma" && hasIfma()) return ifmaEngine();
#endif
  return nullptr;
}

std::vector<std::string> engineNames() {
  std::vector<std::string> names;
  for (const char* name : {"ifma", "adx", "portable"}) {
    if (engineByName(name)) names.push_back(name);
  }
  return names;
}

const Engine& engine() {
  // Chosen once: setting the variable later would mix engines within a process.
  static const Engine* chosen = [] {
    const char* wanted = std::getenv("ANCHORPROOF_NATIVE");
    return wanted && *wanted ? engineByName(wanted) : engineByName(engineNames()[0]);
  }();
  if (!chosen) throw Failure(Code::InputInvalid, "ANCHORPROOF_NATIVE names an engine that this processor does not have");
  return *chosen;
}

}  // namespace anchorproof
