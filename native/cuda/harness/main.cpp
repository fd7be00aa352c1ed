// anchorproof-cards: checks a GPU library against the core, and times it. It needs no Node, only the library and this
// program, so that one script (run.sh) can do all of it on a machine that has a card and nothing else.
//
//   anchorproof-cards check LIBRARY [--max LOG] [--max-proof LOG] [--only PARTS] [--seed S] [--quick] …
//   anchorproof-cards bench LIBRARY [--sizes 16..22] [--proof 20] [--runs N] [--json FILE] …
//
// It ends with 0 when all is well, 1 when a result is wrong or a call failed that should not, 2 when there is no card, or for
// wrong arguments.
//
// References. Sums Σ sᵢ·Pᵢ are compared with (Σ sᵢ·kᵢ)·G, since the points are made with known logarithms kᵢ: exact, and cheap at
// any size. Up to 2^16 points the core's own multiplication must agree as well. Transforms, quotients and proofs are the core's,
// byte for byte. Field operations are the core's; those of Fq², which it does not offer, are made here, on the same headers.
#include "bench.h"
#include "check.h"

namespace anchorproof {
namespace ENGINE_NS {
namespace {

int fail(int status, const std::string& message) {
  fprintf(stderr, "anchorproof-cards: %s\n", message.c_str());
  return status;
}

int start(const std::vector<std::string>& words) {
  try {
    if (words == std::vector<std::string>{"--help"}) return std::puts(kUsage) < 0;
    const Arguments arguments = parse(words);
    return arguments.command == "check" ? Checks(arguments).run() : Bench(arguments).run();
  } catch (const UsageError& error) {
    return fail(2, std::string(error.what()) + "\n" + kUsage);
  } catch (const Failure& failure) {
    return fail(failure.code == Code::CudaUnavailable || failure.code == Code::InputInvalid ? 2 : 1, failure.what());
  } catch (const std::bad_alloc&) {
    return fail(1, "out of memory");
  } catch (const std::exception& error) {
    return fail(1, error.what());
  }
}

}  // namespace
}  // namespace ENGINE_NS
}  // namespace anchorproof

int main(int count, char** words) { return anchorproof::harness::start({words + 1, words + count}); }
