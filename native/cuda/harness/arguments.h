// The command line.
#pragma once

#include "support.h"

namespace anchorproof {
namespace ENGINE_NS {
namespace {

constexpr char kUsage[] =
    "usage: anchorproof-cards check LIBRARY [--max LOG] [--max-proof LOG] [--only field,msm1,msm2,ntt,quotient,proof] [--quick]\n"
    "       anchorproof-cards bench LIBRARY [--sizes FROM..TO] [--proof LOG] [--runs N] [--json FILE]\n"
    "       both: [--device N] [--seed S] [--threads N] [--work DIR] [--seconds N]";

struct UsageError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct Arguments {
  std::string command, library, work, json;
  std::set<std::string> only;
  unsigned max = 14, maxProof = 0, from = 16, to = 22, proof = 20, runs = 7, threads = 0;
  int device = 0;
  u64 seed = 1;
  double seconds = 1e9;
  bool quick = false;
};

u64 numberOf(const std::string& name, const std::string& value, u64 least, u64 most) {
  const bool digits = !value.empty() && value.size() <= 19 && value.find_first_not_of("0123456789") == std::string::npos;
  const u64 number = digits ? std::stoull(value) : 0;
  if (!digits || number < least || number > most) throw UsageError(name + " takes " + std::to_string(least) + " to " + std::to_string(most));
  return number;
}

unsigned allowedCores() {
#if defined(__linux__)
  cpu_set_t cores;
  if (::sched_getaffinity(0, sizeof cores, &cores) == 0) return (unsigned)CPU_COUNT(&cores);
#endif
  return std::max(1u, std::thread::hardware_concurrency());
}

Arguments parse(const std::vector<std::string>& words) {
  Arguments out;
  std::vector<std::string> plain;
  for (size_t i = 0; i < words.size(); i++) {
    if (words[i].rfind("--", 0) != 0) {
      plain.push_back(words[i]);
      continue;
    }
    const size_t equals = words[i].find('=');
    const std::string name = words[i].substr(0, equals);
    if (name == "--quick" && equals == std::string::npos) {
      out.quick = true;
      continue;
    }
    if (equals == std::string::npos && i + 1 == words.size()) throw UsageError(name + " takes a value");
    const std::string value = equals == std::string::npos ? words[++i] : words[i].substr(equals + 1);
    if (name == "--max") {
      out.max = (unsigned)numberOf(name, value, 1, 26);
    } else if (name == "--max-proof") {
      out.maxProof = (unsigned)numberOf(name, value, 2, 24);
    } else if (name == "--proof") {
      out.proof = (unsigned)numberOf(name, value, 0, 24);
    } else if (name == "--sizes") {
      const size_t dots = value.find("..");
      out.from = (unsigned)numberOf(name, value.substr(0, dots), 1, 26);
      out.to = dots == std::string::npos ? out.from : (unsigned)numberOf(name, value.substr(dots + 2), out.from, 26);
    } else if (name == "--runs") {
      out.runs = (unsigned)numberOf(name, value, 1, 1000);
    } else if (name == "--device") {
      out.device = (int)numberOf(name, value, 0, 1000);
    } else if (name == "--seed") {
      out.seed = numberOf(name, value, 0, ~0ull);
    } else if (name == "--threads") {
      out.threads = (unsigned)numberOf(name, value, 1, 256);
    } else if (name == "--seconds") {
      out.seconds = (double)numberOf(name, value, 1, 1000000);
    } else if (name == "--work") {
      out.work = value;
    } else if (name == "--json") {
      out.json = value;
    } else if (name == "--only") {
      for (size_t at = 0, comma; at <= value.size(); at = comma + 1) {
        comma = std::min(value.find(',', at), value.size());
        const std::string part = value.substr(at, comma - at);
        if (std::set<std::string>{"field", "msm1", "msm2", "ntt", "quotient", "proof"}.count(part) == 0) {
          throw UsageError("--only takes field, msm1, msm2, ntt, quotient and proof");
        }
        out.only.insert(part);
      }
    } else {
      throw UsageError("there is no option " + name);
    }
  }
  if (plain.size() != 2 || (plain[0] != "check" && plain[0] != "bench")) throw UsageError("it takes a command and a library");
  out.command = plain[0];
  out.library = plain[1];
  if (out.threads == 0) out.threads = std::min(allowedCores(), 256u);
  if (out.maxProof == 0) out.maxProof = std::min(std::max(out.max, 2u), 14u);
  return out;
}

}  // namespace
}  // namespace ENGINE_NS
}  // namespace anchorproof
