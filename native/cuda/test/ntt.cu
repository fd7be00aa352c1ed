// Transforms and quotient against the CPU core's.
#include <iterator>
#include <vector>

#include "../../src/api.h"
#include "../ntt.cu"
#include "check.h"

namespace anchorproof {
namespace cuda {
namespace {

using test::Random;

const Engine& core() {
  static const Engine* const engine = engineByName("portable");
  CHECK(engine != nullptr);
  return *engine;
}
const Control ALONE{};

void copy(cudaStream_t stream, void* to, const void* from, size_t size, cudaMemcpyKind kind) {
  if (size > 0) CHECK_CUDA(cudaMemcpyAsync(to, from, size, kind, stream));
  CHECK_CUDA(cudaStreamSynchronize(stream));
}

Fr random(Random& random) {
  Fr out;
  do {
    random.fill(out.l, 32);
    out.l[7] >>= 2;
  } while (!out.isReduced());
  return out;
}

uint8_t* bytesOf(std::vector<Fr>& values) { return reinterpret_cast<uint8_t*>(values.data()); }

std::vector<Fr> randoms(size_t n, Random& source) {
  std::vector<Fr> out(n);
  for (Fr& x : out) x = random(source);
  return out;
}

void compare(const std::vector<Fr>& got, const std::vector<Fr>& expected, const char* what, unsigned log) {
  for (size_t i = 0; i < expected.size(); i++) CHECK(got[i] == expected[i], "%s of 2^%u differs at %zu", what, log, i);
}

std::vector<Fr> transformed(const Stream& stream, const CardDomain& domain, const std::vector<Fr>& values, bool inverse, bool coset) {
  const size_t n = values.size();
  // One element more on both sides, which must stay.
  DeviceArray<Fr> data(n + 2), scratch(n + 2);
  std::vector<Fr> guarded(n + 2, integer(77)), after(n + 2);
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
    const std::vector<Fr> values = randoms(domain.size(), source);
    std::vector<Fr> expected = values;
    core().ntt(bytesOf(expected), values.size(), inverse, coset, ALONE);
    const std::vector<Fr> got = transformed(stream, domain, values, inverse, coset);
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
  Fr (*value)(size_t i, size_t n, Random&);
};
const Inputs INPUTS[] = {
    {"random", [](size_t, size_t, Random& r) { return random(r); }},
    {"zero", [](size_t, size_t, Random&) { return Fr::zero(); }},
    {"one-hot, first", [](size_t i, size_t, Random&) { return i == 0 ? Fr::one() : Fr::zero(); }},
    {"one-hot, last", [](size_t i, size_t n, Random&) { return i + 1 == n ? Fr::one() : Fr::zero(); }},
    {"all r − 1 as stored", [](size_t, size_t, Random&) { return -Fr{{1, 0, 0, 0, 0, 0, 0, 0}}; }},
    {"all −1", [](size_t, size_t, Random&) { return -Fr::one(); }},
    {"sparse", [](size_t, size_t, Random& r) { return r.oneIn(4) ? random(r) : Fr::zero(); }},
};

// Signed scalars back to integers below r. They are at most r/2.
Fr ofSigned(const SignedScalar& s) {
  Fr value{{s.w[0], s.w[1], s.w[2], s.w[3], s.w[4], s.w[5], s.w[6], s.w[7] & ~SIGN_BIT}};
  const bool negative = s.w[7] & SIGN_BIT;
  CHECK(value.isReduced() && memcmp(toSigned(value).w, value.l, 32) == 0 && !(negative && value.isZero()));
  return value.negatedIf(negative);
}

// place: which array's memory the result takes, 3 for its own.
std::vector<Fr> quotientOf(const Stream& stream, const CardDomain& domain, const std::vector<Fr>& a, const std::vector<Fr>& b,
                             unsigned place) {
  const size_t n = domain.size();
  std::vector<Fr> guarded(n + 2, integer(77)), after(n + 2);
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
  std::vector<Fr> h(n);
  for (size_t i = 0; i < n; i++) h[i] = ofSigned(out[i]);
  return h;
}

void checkQuotients(unsigned log, unsigned tileLog, size_t inputs) {
  Stream stream;
  const CardDomain domain(log, stream, tileLog);
  Random source(log);
  unsigned place = log;
  for (size_t k = 0; k < inputs; k++) {
    std::vector<Fr> a(domain.size()), b = a;
    for (size_t i = 0; i < a.size(); i++) {
      a[i] = INPUTS[k].value(i, a.size(), source);
      b[i] = INPUTS[k].value(i, a.size(), source);
    }
    const std::vector<Fr> got = quotientOf(stream, domain, a, b, place++ % 4);
    for (Fr& x : a) x = x.fromMontgomery();
    for (Fr& x : b) x = x.fromMontgomery();
    core().quotient(bytesOf(a), bytesOf(b), a.size(), ALONE);
    compare(got, a, INPUTS[k].name, log);
  }
}

void quotients() {
  for (unsigned log = 0; log <= 13; log++) checkQuotients(log, CardDomain::TILE_LOG, std::size(INPUTS));
}
void quotientsBySmallTiles() {
  for (unsigned log = 0; log <= 15; log++) checkQuotients(log, 5, log <= 10 ? std::size(INPUTS) : 1);
}

Fr power(Fr x, uint64_t e) {
  Fr out = Fr::one();
  for (; e; e >>= 1, x = x * x) {
    if (e & 1) out = out * x;
  }
  return out;
}

// The coefficients of the polynomial with these values at start·step^i, by the definition.
std::vector<Fr> interpolated(const std::vector<Fr>& values, const Fr& start, const Fr& step) {
  const size_t n = values.size();
  std::vector<Fr> out(n);
  for (size_t k = 0; k < n; k++) {
    Fr sum = Fr::zero();
    for (size_t i = 0; i < n; i++) sum = sum + values[i] * power(step, i * k).inverse();
    out[k] = sum * integer(static_cast<uint32_t>(n)).inverse() * power(start, k).inverse();
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
    const std::vector<Fr> a = randoms(n, source), b = randoms(n, source);
    std::vector<Fr> c(n), q = quotientOf(stream, domain, a, b, 3);
    for (size_t i = 0; i < n; i++) c[i] = a[i] * b[i];
    const Fr over = (-integer(2)).inverse();  // x^n − 1 on the coset
    for (Fr& x : q) x = x.toMontgomery() * over;
    const Fr root = rootOfUnity(log), shift = rootOfUnity(log + 1);
    CHECK(power(root, n) == Fr::one() && (n == 1 || power(root, n / 2) == -Fr::one()));
    const Fr x = random(source), one = Fr::one();
    auto at = [&](const std::vector<Fr>& values, const Fr& start) {
      const std::vector<Fr> coefficients = interpolated(values, start, root);
      Fr sum = Fr::zero();
      for (size_t i = n; i-- > 0;) sum = sum * x + coefficients[i];
      return sum;
    };
    CHECK(at(a, one) * at(b, one) - at(c, one) == at(q, shift) * (power(x, n) - one), "2^%u", log);
  }
}

// What can be said of sizes that are too large for a test: the constants, and that tiles and their elements cover the domain.
void geometry() {
  for (unsigned log = 1; log < 10; log++) {
    std::vector<Fr> line(size_t{1} << log, Fr::zero());
    line[1] = integer(1).fromMontgomery();
    core().ntt(bytesOf(line), line.size(), false, true, ALONE);
    const Fr shift = shiftOf(log), next = shift * rootOfUnity(log);
    CHECK(line[0] == shift.fromMontgomery() && line[1] == next.fromMontgomery(), "the coset of 2^%u", log);
  }
  CHECK(shiftOf(28) == integer(25));

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
