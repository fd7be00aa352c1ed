// Transforms and quotient against the CPU core's.
#define ENGINE_NS reference
#include "../../src/engine_std.h"
#include "../../src/ntt.h"

#include "../ntt.cu"
#include "check.h"

namespace anchorproof {
namespace cuda {
namespace {

using test::Random;
using Host = reference::Fr;
static_assert(reference::LANES == 1 && sizeof(Host) == sizeof(Fr), "elements cross as they are");

const Control ALONE{};

void copy(cudaStream_t stream, void* to, const void* from, size_t size, cudaMemcpyKind kind) {
  if (size > 0) CHECK_CUDA(cudaMemcpyAsync(to, from, size, kind, stream));
  CHECK_CUDA(cudaStreamSynchronize(stream));
}

Host random(Random& random) {
  Host out;
  do {
    random.fill(out.l, 32);
    out.l[3] >>= 2;
  } while (!out.isReduced());
  return out;
}

std::vector<Host> randoms(size_t n, Random& source) {
  std::vector<Host> out(n);
  for (Host& x : out) x = random(source);
  return out;
}

void compare(const std::vector<Host>& got, const std::vector<Host>& expected, const char* what, unsigned log) {
  for (size_t i = 0; i < expected.size(); i++) CHECK(got[i] == expected[i], "%s of 2^%u differs at %zu", what, log, i);
}

std::vector<Host> transformed(const Stream& stream, const CardDomain& domain, const std::vector<Host>& values, bool inverse, bool coset) {
  const size_t n = values.size();
  // One element more on both sides, which must stay.
  DeviceArray<Fr> data(n + 2), scratch(n + 2);
  std::vector<Host> guarded(n + 2, Host::fromInteger(77)), after(n + 2);
  copy(stream, scratch.get(), guarded.data(), (n + 2) * 32, cudaMemcpyHostToDevice);
  std::copy(values.begin(), values.end(), guarded.begin() + 1);
  copy(stream, data.get(), guarded.data(), (n + 2) * 32, cudaMemcpyHostToDevice);
  domain.transform(stream, data.get() + 1, scratch.get() + 1, inverse, coset, nullptr);
  copy(stream, after.data(), scratch.get(), (n + 2) * 32, cudaMemcpyDeviceToHost);
  CHECK(after[0] == guarded[0] && after[n + 1] == guarded[0], "the scratch of %zu", n);
  copy(stream, after.data(), data.get(), (n + 2) * 32, cudaMemcpyDeviceToHost);
  CHECK(after[0] == guarded[0] && after[n + 1] == guarded[0], "the data of %zu", n);
  return {after.begin() + 1, after.end() - 1};
}

// all: every kind, and back again; or one.
void checkTransforms(unsigned log, unsigned tileLog, bool all) {
  Stream stream;
  const CardDomain domain(log, stream, tileLog);
  Random source(log);
  for (int kind = 0; kind < 4; kind++) {
    const bool inverse = kind & 1, coset = kind & 2;
    if (!all && kind != static_cast<int>(log / 2 % 4)) continue;
    const std::vector<Host> values = randoms(domain.size(), source);
    std::vector<Host> expected = values;
    reference::transform(reinterpret_cast<uint8_t*>(expected.data()), values.size(), inverse, coset, ALONE);
    const std::vector<Host> got = transformed(stream, domain, values, inverse, coset);
    compare(got, expected, inverse ? coset ? "inverse from the coset" : "inverse" : coset ? "on the coset" : "forward", log);
    if (all) compare(transformed(stream, domain, got, !inverse, coset), values, "there and back", log);
  }
}

void transforms() {
  for (unsigned log = 0; log <= 14; log++) checkTransforms(log, CardDomain::TILE_LOG, true);
}
void largeTransforms() {
  for (unsigned log : {16u, 18u}) checkTransforms(log, CardDomain::TILE_LOG, false);
}
// All numbers of passes, and strided ones of every number of rows and columns down to a single column.
void smallTiles() {
  for (unsigned log = 0; log <= 15; log++) checkTransforms(log, 5, log <= 13);
  for (unsigned log = 12; log <= 16; log++) checkTransforms(log, 6, false);
}

struct Inputs {
  const char* name;
  Host (*value)(size_t i, size_t n, Random&);
};
const Inputs INPUTS[] = {
    {"random", [](size_t, size_t, Random& r) { return random(r); }},
    {"zero", [](size_t, size_t, Random&) { return Host::zero(); }},
    {"one-hot, first", [](size_t i, size_t, Random&) { return i == 0 ? Host::one() : Host::zero(); }},
    {"one-hot, last", [](size_t i, size_t n, Random&) { return i + 1 == n ? Host::one() : Host::zero(); }},
    {"all r − 1 as stored", [](size_t, size_t, Random&) { return -Host::fromLimbs({1, 0, 0, 0}); }},
    {"all −1", [](size_t, size_t, Random&) { return -Host::one(); }},
    {"sparse", [](size_t, size_t, Random& r) { return r.oneIn(4) ? random(r) : Host::zero(); }},
};

// Signed scalars back to integers below r.
Host ofSigned(const SignedScalar& s) {
  Host value;
  memcpy(value.l, s.w, 32);
  value.l[3] &= ~uint64_t{0} >> 1;
  CHECK(value.isReduced());
  const bool negative = s.w[7] & SIGN_BIT;
  const Host other = -value;
  uint64_t borrow = 0;
  for (int i = 0; i < 4; i++) reference::sbb(other.l[i], value.l[i], borrow);
  CHECK(value.isZero() ? !negative : borrow == 0, "a scalar above r/2");
  return negative ? other : value;
}

// place: which array's memory the result takes, 3 for its own.
std::vector<Host> quotientOf(const Stream& stream, const CardDomain& domain, const std::vector<Host>& a, const std::vector<Host>& b,
                             unsigned place) {
  const size_t n = domain.size();
  std::vector<Host> guarded(n + 2, Host::fromInteger(77)), after(n + 2);
  DeviceArray<Fr> memory[4] = {DeviceArray<Fr>(n + 2), DeviceArray<Fr>(n + 2), DeviceArray<Fr>(n + 2), DeviceArray<Fr>(n + 2)};
  for (unsigned i = 0; i < 4; i++) {
    if (i < 2) std::copy((i == 0 ? a : b).begin(), (i == 0 ? a : b).end(), guarded.begin() + 1);
    copy(stream, memory[i].get(), guarded.data(), (n + 2) * 32, cudaMemcpyHostToDevice);
  }
  domain.quotient(stream, memory[0].get() + 1, memory[1].get() + 1, memory[2].get() + 1,
                  reinterpret_cast<SignedScalar*>(memory[place].get() + 1), nullptr);
  for (const auto& m : memory) {
    copy(stream, after.data(), m.get(), (n + 2) * 32, cudaMemcpyDeviceToHost);
    CHECK(after[0] == guarded[0] && after[n + 1] == guarded[0], "written outside an array of %zu", n);
  }
  std::vector<SignedScalar> out(n);
  copy(stream, out.data(), memory[place].get() + 1, n * 32, cudaMemcpyDeviceToHost);
  std::vector<Host> h(n);
  for (size_t i = 0; i < n; i++) h[i] = ofSigned(out[i]);
  return h;
}

void checkQuotients(unsigned log, unsigned tileLog, size_t inputs) {
  Stream stream;
  const CardDomain domain(log, stream, tileLog);
  const reference::Domain host(domain.size(), ALONE);
  Random source(log);
  unsigned place = log;
  for (size_t k = 0; k < inputs; k++) {
    std::vector<Host> a(domain.size()), b = a;
    for (size_t i = 0; i < a.size(); i++) {
      a[i] = INPUTS[k].value(i, a.size(), source);
      b[i] = INPUTS[k].value(i, a.size(), source);
    }
    const std::vector<Host> got = quotientOf(stream, domain, a, b, place++ % 4);
    reference::quotient(host, a.data(), b.data(), ALONE);
    compare(got, a, INPUTS[k].name, log);
  }
}

void quotients() {
  for (unsigned log = 0; log <= 13; log++) checkQuotients(log, CardDomain::TILE_LOG, std::size(INPUTS));
}
void quotientsBySmallTiles() {
  for (unsigned log = 0; log <= 15; log++) checkQuotients(log, 5, log <= 10 ? std::size(INPUTS) : 1);
}

Host power(Host x, uint64_t e) {
  Host out = Host::one();
  for (; e; e >>= 1, x = x * x) {
    if (e & 1) out = out * x;
  }
  return out;
}

// The coefficients of the polynomial with these values at start·step^i, by the definition.
std::vector<Host> interpolated(const std::vector<Host>& values, const Host& start, const Host& step) {
  const size_t n = values.size();
  std::vector<Host> out(n);
  for (size_t k = 0; k < n; k++) {
    Host sum = Host::zero();
    for (size_t i = 0; i < n; i++) sum = sum + values[i] * power(step, i * k).inverse();
    out[k] = sum * Host::fromInteger(n).inverse() * power(start, k).inverse();
  }
  return out;
}

// A·B − C = Q·(x^n − 1) for the polynomials that a, b, a·b and the values of h, over −2, stand for: at a point that has nothing to
// do with the domain.
void identity() {
  Stream stream;
  Random source(5);
  for (unsigned log = 0; log <= 6; log++) {
    const CardDomain domain(log, stream);
    const size_t n = domain.size();
    const std::vector<Host> a = randoms(n, source), b = randoms(n, source);
    std::vector<Host> c(n), q = quotientOf(stream, domain, a, b, 3);
    for (size_t i = 0; i < n; i++) c[i] = a[i] * b[i];
    const Host over = (-Host::fromInteger(2)).inverse();  // x^n − 1 on the coset
    for (Host& x : q) x = x.toMontgomery() * over;
    Host root;
    const Fr w = rootOfUnity(log), s = rootOfUnity(log + 1);
    memcpy(root.l, w.l, 32);
    CHECK(power(root, n) == Host::one() && (n == 1 || power(root, n / 2) == -Host::one()));
    Host shift;
    memcpy(shift.l, s.l, 32);
    const Host x = random(source), one = Host::one();
    auto at = [&](const std::vector<Host>& values, const Host& start) {
      const std::vector<Host> coefficients = interpolated(values, start, root);
      return reference::Domain::evaluate(coefficients.data(), n, x);
    };
    CHECK(at(a, one) * at(b, one) - at(c, one) == at(q, shift) * (power(x, n) - one), "2^%u", log);
  }
}

// What can be said of sizes that are too large for a test: the constants, and that tiles and their elements cover the domain.
void geometry() {
  for (unsigned log = 0; log < 10; log++) {
    const reference::Domain host(size_t{1} << log, ALONE);
    const Fr shift = shiftOf(log), root = rootOfUnity(log);
    CHECK(memcmp(shift.l, host.shift().l, 32) == 0 && memcmp(root.l, host.root().l, 32) == 0, "2^%u", log);
  }
  const Host five = Host::fromInteger(25);
  const Fr shift = shiftOf(28);
  CHECK(memcmp(shift.l, five.l, 32) == 0);

  Random source(9);
  for (unsigned log = 12; log <= 28; log++) {
    const unsigned contiguous = contiguousOf(log, CardDomain::TILE_LOG);
    unsigned layers = 0;
    CardDomain::Strided passes[3];
    const unsigned count = CardDomain::stridesOf(log, CardDomain::TILE_LOG, passes);
    passes[count] = {0, contiguous, 0};
    for (unsigned i = 0; i <= count; i++) {
      layers += passes[i].rows;
      CHECK(passes[i].rows >= 3 && passes[i].below == log - layers && passes[i].columns <= passes[i].below, "2^%u", log);
      const unsigned bits = passes[i].rows + passes[i].columns;
      CHECK(bits <= CardDomain::TILE_LOG && log >= bits);
      Pass pass{};
      pass.below = passes[i].below;
      pass.rows = passes[i].rows;
      pass.columns = passes[i].columns;
      // From an index to the tile and element that must have it, and back.
      for (int k = 0; k < 2000; k++) {
        const uint32_t index = k == 0 ? 0 : k == 1 ? (1u << log) - 1 : static_cast<uint32_t>(source.below(uint64_t{1} << log));
        const uint32_t column = index & ((1u << pass.columns) - 1), row = index >> pass.below & ((1u << pass.rows) - 1);
        const uint32_t group = (index & ((1u << pass.below) - 1)) >> pass.columns, above = index >> pass.below >> pass.rows;
        const Tile tile(pass, above << (pass.below - pass.columns) | group);
        CHECK(tile.above == above && tile.indexOf(row << pass.columns | column) == index, "2^%u, pass %u, index %u", log, i, index);
      }
    }
    CHECK(layers == log);
  }
  for (unsigned log = 0; log <= 16; log++) {
    Stream stream;
    CHECK(CardDomain(log, stream).bytes() == CardDomain::bytes(log));
  }
}

// Neighbouring threads in groups of eight must not meet in a bank, in any window.
void places() {
  for (uint32_t window = 0; window <= 8; window++) {
    for (uint32_t t = 0; t < EACH; t++) {
      for (uint32_t thread = 0; thread < THREADS; thread += 8) {
        uint32_t banks = 0;
        for (uint32_t i = 0; i < 8; i++) banks |= 1u << placeOf(indexInTile(thread + i, window, t)) % 8;
        CHECK(banks == 0xff, "window %u, threads from %u", window, thread);
      }
    }
  }
}

}  // namespace
}  // namespace cuda
}  // namespace anchorproof

int main(int argc, char** argv) {
  using namespace anchorproof::cuda;
  return anchorproof::test::run(argc, argv,
                                {{"transforms", transforms},
                                 {"transforms of small tiles", smallTiles},
                                 {"large transforms", largeTransforms},
                                 {"quotients", quotients},
                                 {"quotients of small tiles", quotientsBySmallTiles},
                                 {"identity", identity},
                                 {"geometry", geometry},
                                 {"places", places}});
}
