// The library as the core sees it: opened by dlopen, called through card.h's table, compared with sums that are made one by one.
// On the emulated library also everything that can go wrong: memory that ends at any allocation, calls and kernels that fail,
// proofs that are stopped, and what is left of a witness afterwards.
//
//   backend LIBRARY [section …]
//
// Every section runs in a process of its own, with the emulated card that it asks for.
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <unordered_set>
#include <vector>

#include "../../src/card.h"
#include "../curve.h"
#include "../device.h"
#include "../scalar.h"
#include "check.h"

using namespace anchorproof::cuda;
using anchorproof::test::Random;

namespace {

const char* library;
const CardApi* api;

const CardApi* open() {
  void* handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
  CHECK(handle, "%s", dlerror());
  auto cards = reinterpret_cast<const CardApi* (*)()>(dlsym(handle, "anchorproof_cards"));
  CHECK(cards, "%s has no anchorproof_cards", library);
  return cards();
}

// In a process of its own, so that the library begins anew and may lose its card.
void apart(std::initializer_list<std::pair<const char*, const char*>> settings, const std::function<void()>& body) {
  fflush(stdout);
  const pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    for (const auto& [name, value] : settings) setenv(name, value, 1);
    api = open();
    CardStatus status;
    CHECK(api->devices(&status) > 0, "%s", status.message);
    body();
    fflush(stdout);
    _exit(0);
  }
  int status = 0;
  CHECK(waitpid(child, &status, 0) == child);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) _exit(1);
}

bool isEmulated() { return open()->emulated; }

void fault(const std::string& text) {
  setenv("AP_EMULATOR_FAULT", text.c_str(), 1);
  CardStatus status;
  api->devices(&status);  // reads it
}

#define CHECK_STATUS(status, wanted) \
  CHECK((status).code == (wanted), "code %d, not %d: \"%s\"", (status).code, static_cast<int>(wanted), (status).message)

uint64_t freeBytes() {
  CardStatus status;
  const uint64_t bytes = api->freeMemory(0, &status);
  CHECK_STATUS(status, CARD_OK);
  return bytes;
}

// --- Arithmetic: the headers' own, each operation once, as calls (inlined everywhere it compiles for minutes) --------------

#define CALL __attribute__((noinline))

template <class F>
CALL F product(const F& a, const F& b) {
  return a * b;
}
template <class F>
CALL F sum(const F& a, const F& b) {
  return a + b;
}
template <class F>
CALL F difference(const F& a, const F& b) {
  return a - b;
}
template <class F>
CALL F negative(const F& a) {
  return -a;
}
template <class F>
CALL F square(const F& a) {
  return a.sqr();
}
template <class F>
CALL F entered(const F& a) {
  return a.toMontgomery();
}
Fq2 entered(const Fq2& a) { return {entered(a.c0), entered(a.c1)}; }
CALL Fr left(const Fr& a) { return a.fromMontgomery(); }
template <class F>
CALL Point<F> twice(const Point<F>& a) {
  return a.dbl();
}
template <class F>
CALL Point<F> sum(const Point<F>& a, const Point<F>& b) {
  return a + b;
}
template <class F>
CALL Point<F> sum(const Point<F>& a, const Affine<F>& b) {
  return a.plus(b);
}
template <class F>
CALL Affine<F> affine(const Point<F>& a) {
  return a.toAffine();
}

// --- Values ---------------------------------------------------------------------------------------------------------

template <class F>
F randomElement(Random& random) {
  F out;
  do {
    random.fill(out.l, sizeof out.l);
    out.l[7] &= 0x3fffffff;
  } while (!out.isReduced());
  return out;
}
template <>
Fq2 randomElement<Fq2>(Random& random) {
  return {randomElement<Fq>(random), randomElement<Fq>(random)};
}

Fr small(uint32_t value) { return {{value, 0, 0, 0, 0, 0, 0, 0}}; }
Fr minus(const Fr& a) { return negative(a); }  // of canonical integers, too

// 0, 1, −1, 2, around r/2 where signs turn, 2^253, small ones, and random ones.
Fr scalarLike(uint64_t i, Random& random) {
  Fr half;  // (r − 1)/2
  for (int k = 0; k < 8; k++) half.l[k] = ScalarModulus::P[k] >> 1 | (k < 7 ? ScalarModulus::P[k + 1] << 31 : 0);
  switch (i % 12) {
    case 0: return small(0);
    case 1: return small(1);
    case 2: return minus(small(1));
    case 3: return small(2);
    case 4: return half;
    case 5: return sum(half, small(1));
    case 6: return {{0, 0, 0, 0, 0, 0, 0, 1u << 29}};
    case 7: return small(random.word());
    case 8: return minus(small(random.word() & 0xff));
    default: return randomElement<Fr>(random);
  }
}

template <class F>
Affine<F> generator();
template <>
Affine<Fq> generator<Fq>() {
  const Fq one = Fq::one();
  return {one, sum(one, one)};
}
template <>
Affine<Fq2> generator<Fq2>() {
  const Fq x0 = {{0xd992f6ed, 0x46debd5c, 0xf75edadd, 0x674322d4, 0x5e5c4479, 0x426a0066, 0x121f1e76, 0x1800deef}};
  const Fq x1 = {{0xaef312c2, 0x97e485b7, 0x35a9e712, 0xf1aa4933, 0x31fb5d25, 0x7260bfb7, 0x920d483a, 0x198e9393}};
  const Fq y0 = {{0x66fa7daa, 0x4ce6cc01, 0x0c43d37b, 0xe3d1e769, 0x8dcb408f, 0x4aab7180, 0xdb8c6deb, 0x12c85ea5}};
  const Fq y1 = {{0xd122975b, 0x55acdadc, 0x70b38ef3, 0xbc4b3133, 0x690c3395, 0xec9e99ad, 0x585ff075, 0x090689d0}};
  return {entered(Fq2{x0, x1}), entered(Fq2{y0, y1})};
}

// Multiples of the generator; some lie at infinity, some are equal, some opposite.
template <class F>
std::vector<Affine<F>> somePoints(size_t n, Random& random) {
  std::vector<Affine<F>> out;
  const Affine<F> step = generator<F>();
  Point<F> running = Point<F>::fromAffine(step);
  for (size_t i = 0; i < n; i++) {
    running = sum(twice(running), step);
    Affine<F> point = affine(running);
    if (i > 2 && random.oneIn(8)) point = out[random.below(i)];
    if (!point.isInfinity() && random.oneIn(8)) point.y = negative(point.y);
    out.push_back(random.oneIn(16) ? Affine<F>::infinity() : point);
  }
  return out;
}

template <class F>
Point<F> times(const Affine<F>& point, const Fr& scalar) {
  Point<F> out = Point<F>::infinity();
  for (int bit = 255; bit >= 0; bit--) {
    out = twice(out);
    if (scalar.l[bit / 32] >> (bit % 32) & 1) out = sum(out, point);
  }
  return out;
}

template <class F>
bool equal(const Point<F>& a, const Point<F>& b) {
  if (a.isInfinity() || b.isInfinity()) return a.isInfinity() == b.isInfinity();
  return product(a.x, b.zz) == product(b.x, a.zz) && product(a.y, b.zzz) == product(b.y, a.zzz);
}

// As card.h says how sets are put together.
template <class F, class Sum>
Point<F> total(const Sum& sums) {
  CHECK(sums.sets <= CARD_MAX_SETS);
  Point<F> out = Point<F>::infinity(), one;
  for (uint32_t set = sums.sets; set-- > 0;) {
    for (uint32_t i = 0; i < sums.shift; i++) out = twice(out);
    memcpy(static_cast<void*>(&one), sums.sums[set], sizeof one);
    out = sum(out, one);
  }
  return out;
}

// Of the subgroup of order 2^log: 5^((r − 1)/2^log), as 5 generates the whole group.
Fr rootOfUnity(unsigned log) {
  Fr out = Fr::one(), five = entered(small(5));
  for (int bit = 253; bit >= 28; bit--) {
    out = square(out);
    if (ScalarModulus::P[bit / 32] >> (bit % 32) & 1) out = product(out, five);
  }
  for (unsigned i = log; i < 28; i++) out = square(out);
  return out;
}

// The values on shift·H of the polynomial that has the coefficients; by the book.
std::vector<Fr> evaluated(const std::vector<Fr>& coefficients, const Fr& root, const Fr& shift) {
  std::vector<Fr> out;
  Fr x = shift;
  for (size_t i = 0; i < coefficients.size(); i++, x = product(x, root)) {
    Fr value = Fr::zero();
    for (size_t k = coefficients.size(); k-- > 0;) value = sum(product(value, x), coefficients[k]);
    out.push_back(value);
  }
  return out;
}

unsigned logOf(size_t n) {
  unsigned log = 0;
  while (size_t{1} << log < n) log++;
  return log;
}

// Of values on H; the transform with the inverse root, divided by n.
std::vector<Fr> interpolated(const std::vector<Fr>& values) {
  const size_t n = values.size();
  std::vector<Fr> out = evaluated(values, rootOfUnity(logOf(n)).inverse(), Fr::one());
  const Fr inverse = entered(small(static_cast<uint32_t>(n))).inverse();
  for (Fr& v : out) v = product(v, inverse);
  return out;
}

std::vector<Fr> onCoset(const std::vector<Fr>& values) {
  const unsigned log = logOf(values.size());
  return evaluated(interpolated(values), rootOfUnity(log), rootOfUnity(log + 1));
}

// a·b − c on the coset, where c is a·b on the domain.
std::vector<Fr> quotientOf(const std::vector<Fr>& a, const std::vector<Fr>& b) {
  std::vector<Fr> c;
  for (size_t i = 0; i < a.size(); i++) c.push_back(product(a[i], b[i]));
  const std::vector<Fr> as = onCoset(a), bs = onCoset(b), cs = onCoset(c);
  std::vector<Fr> out;
  for (size_t i = 0; i < a.size(); i++) out.push_back(difference(product(as[i], bs[i]), cs[i]));
  return out;
}

const uint8_t* bytes(const void* values) { return static_cast<const uint8_t*>(values); }
template <class T>
uint8_t* bytes(std::vector<T>& values) {
  return reinterpret_cast<uint8_t*>(values.data());
}

// --- A key, and what its proofs should be ---------------------------------------------------------------------------

struct TestKey {
  uint32_t variables, domain;
  std::vector<Affine<Fq>> a, b1, ch;
  std::vector<Affine<Fq2>> b2;
  std::vector<uint32_t> wires[4];  // of a, b1, ch, b2
  struct Rows {
    std::vector<uint32_t> starts, entries;
    std::vector<Fr> values;
  } rows[2];

  TestKey(uint32_t variables_, uint32_t domain_, uint64_t seed, bool sparse = false) : variables(variables_), domain(domain_) {
    Random random(seed);
    for (auto& list : wires) {
      for (uint32_t wire = 0; wire < variables; wire++) {
        if (!random.oneIn(sparse ? 2 : 6)) list.push_back(wire);
      }
    }
    if (sparse) wires[1].clear();
    a = somePoints<Fq>(wires[0].size(), random);
    b1 = somePoints<Fq>(wires[1].size(), random);
    ch = somePoints<Fq>(wires[2].size() + domain, random);
    b2 = somePoints<Fq2>(wires[3].size(), random);
    for (Rows& r : rows) {
      r.values = {Fr::one(), negative(Fr::one()), randomElement<Fr>(random), randomElement<Fr>(random)};
      r.starts.push_back(0);
      for (uint32_t row = 0; row < domain; row++) {
        // Some rows are empty, one is long.
        const uint64_t count = row == 3 && domain > 4 ? 70 : row * 8 > domain * 7 ? 0 : random.below(4);
        for (uint64_t i = 0; i < count; i++) {
          r.entries.push_back(static_cast<uint32_t>(random.below(variables)));
          r.entries.push_back(static_cast<uint32_t>(random.below(r.values.size())));
        }
        r.starts.push_back(static_cast<uint32_t>(r.entries.size() / 2));
      }
    }
  }

  CardKeyView view() const {
    CardKeyView v = {};
    v.variables = variables;
    v.domain = domain;
    v.a = {a.data(), wires[0].data(), a.size(), wires[0].size()};
    v.b1 = {b1.data(), wires[1].data(), b1.size(), wires[1].size()};
    v.ch = {ch.data(), wires[2].data(), ch.size(), wires[2].size()};
    v.b2 = {b2.data(), wires[3].data(), b2.size(), wires[3].size()};
    for (int i = 0; i < 2; i++) {
      const Rows& r = rows[i];
      v.rows[i] = {r.starts.data(), r.entries.data(), r.entries.size() / 2, r.values.data(), r.values.size()};
    }
    return v;
  }

  std::vector<Fr> witness(uint64_t seed) const {
    Random random(seed);
    std::vector<Fr> out;
    for (uint32_t i = 0; i < variables; i++) out.push_back(i == 0 ? small(1) : scalarLike(i, random));
    return out;
  }

  struct Sums {
    Point<Fq> a, b1, ch;
    Point<Fq2> b2;
  };
  Sums sums(const std::vector<Fr>& w) const {
    std::vector<Fr> products[2];
    for (int i = 0; i < 2; i++) {
      for (uint32_t row = 0; row < domain; row++) {
        Fr value = Fr::zero();
        for (uint32_t k = rows[i].starts[row]; k < rows[i].starts[row + 1]; k++) {
          value = sum(value, product(rows[i].values[rows[i].entries[2 * k + 1]], entered(w[rows[i].entries[2 * k]])));
        }
        products[i].push_back(value);
      }
    }
    const std::vector<Fr> h = quotientOf(products[0], products[1]);
    auto all = [&](const auto& points, const std::vector<uint32_t>& of) {
      using F = std::decay_t<decltype(points[0].x)>;
      Point<F> out = Point<F>::infinity();
      for (size_t i = 0; i < points.size(); i++) out = sum(out, times(points[i], i < of.size() ? w[of[i]] : left(h[i - of.size()])));
      return out;
    };
    return {all(a, wires[0]), all(b1, wires[1]), all(ch, wires[2]), all(b2, wires[3])};
  }
};

struct Opened {
  CardKey* key = nullptr;
  CardKeyFacts facts = {};
  CardStatus status = {};
  Opened(const TestKey& of, const CardOptions& options = {}, const int32_t* abort = nullptr) {
    const CardKeyView view = of.view();
    key = api->openKey(0, &view, &options, abort, &facts, &status);
    CHECK((key != nullptr) == (status.code == CARD_OK), "%s", status.message);
  }
  Opened(const Opened&) = delete;
  ~Opened() { api->closeKey(key); }
};

CardStatus proveInto(CardProof& proof, CardKey* key, const std::vector<Fr>& witness, const int32_t* abort = nullptr, bool timed = false) {
  CardStatus status;
  const CardControl control = {abort, timed};
  api->prove(key, bytes(witness.data()), &control, &proof, &status);
  return status;
}

void checkSums(const CardProof& proof, const TestKey::Sums& wanted, const char* when) {
  CHECK(equal(total<Fq>(proof.a), wanted.a), "a, %s", when);
  CHECK(equal(total<Fq>(proof.b1), wanted.b1), "b1, %s", when);
  CHECK(equal(total<Fq2>(proof.b2), wanted.b2), "b2, %s", when);
  CHECK(equal(total<Fq>(proof.ch), wanted.ch), "ch, %s", when);
}

// Begins two threads that prove with a key, each so many times. The arguments must outlive them.
void proveInTwo(std::vector<std::thread>& threads, CardKey* key, const std::vector<Fr>& witness, const TestKey::Sums& wanted, int times,
                const char* when) {
  for (int t = 0; t < 2; t++) {
    threads.emplace_back([=, &witness, &wanted] {
      auto proof = std::make_unique<CardProof>();
      for (int i = 0; i < times; i++) {
        const CardStatus status = proveInto(*proof, key, witness);
        CHECK_STATUS(status, CARD_OK);
        checkSums(*proof, wanted, when);
      }
    });
  }
}

// --- Sections -------------------------------------------------------------------------------------------------------

void cards() {
  apart({{"AP_EMULATOR_DEVICES", "2"}}, [] {
    CHECK(api->version == CARD_VERSION && api->build && *api->build);
    CardStatus status;
    const int32_t count = api->devices(&status);
    CHECK_STATUS(status, CARD_OK);
    CHECK(count >= 1 && (!api->emulated || count == 2));
    CardDescription card;
    for (int32_t device = 0; device < count; device++) {
      api->describe(device, &card, &status);
      CHECK_STATUS(status, CARD_OK);
      CHECK(card.name[0] && card.memoryBytes >= freeBytes() && freeBytes() > 0 && card.multiprocessors > 0 && card.major > 0);
    }
    for (int32_t device : {-1, count, 63, 64, INT32_MAX}) {
      api->describe(device, &card, &status);
      CHECK(status.code != CARD_OK && !status.lost && status.message[0], "device %d", device);
    }
    CardLimits limits;
    api->limits(0, &limits, &status);
    CHECK_STATUS(status, CARD_OK);
    CHECK(limits.copyBytesPerSecond > 0 && limits.uploadBytesPerSecond > 0 && limits.multiplicationsPerSecond > 0);
    api->describe(0, nullptr, &status);
    CHECK_STATUS(status, CARD_INPUT_INVALID);
    api->describe(0, &card, nullptr);
    CHECK(strchr(status.message, '\n') == nullptr);
  });
}

template <class F>
void fieldOf(int32_t kind) {
  Random random(kind);
  std::vector<F> a, b;
  for (int i = 0; i < 300; i++) {
    a.push_back(randomElement<F>(random));
    b.push_back(randomElement<F>(random));
  }
  a[0] = b[1] = F::zero();
  a[2] = b[2];
  memset(static_cast<void*>(&a[3]), 0, sizeof(F));
  reinterpret_cast<uint32_t*>(&a[3])[0] = 1;
  for (int32_t op = CARD_MUL; op <= CARD_INVERSE; op++) {
    std::vector<F> out(a.size());
    CardStatus status;
    api->field(0, kind, op, bytes(a), bytes(b), a.size(), bytes(out), &status);
    CHECK_STATUS(status, CARD_OK);
    for (size_t i = 0; i < a.size(); i++) {
      const F x = entered(a[i]), y = entered(b[i]);
      const F wanted[] = {product(x, y), square(x), sum(x, y), difference(x, y), negative(x), x.inverse()};
      CHECK(entered(out[i]) == wanted[op], "field %d, operation %d, element %zu", kind, op, i);
    }
  }
  CardStatus status;
  std::vector<F> out(a.size());
  auto last = a;
  reinterpret_cast<uint32_t*>(&last.back())[sizeof(F) / 4 - 1] = ~0u;
  api->field(0, kind, CARD_ADD, bytes(last), bytes(b), a.size(), bytes(out), &status);
  CHECK_STATUS(status, CARD_INPUT_INVALID);
  api->field(0, kind, CARD_ADD, bytes(b), bytes(last), a.size(), bytes(out), &status);
  CHECK_STATUS(status, CARD_INPUT_INVALID);
  api->field(0, kind, CARD_ADD, bytes(a), nullptr, a.size(), bytes(out), &status);
  CHECK_STATUS(status, CARD_INPUT_INVALID);
  api->field(0, kind, 6, bytes(a), bytes(b), a.size(), bytes(out), &status);
  CHECK_STATUS(status, CARD_INPUT_INVALID);
  api->field(0, kind, CARD_NEG, nullptr, nullptr, 0, nullptr, &status);
  CHECK_STATUS(status, CARD_OK);
}

void fields() {
  apart({}, [] {
    fieldOf<Fq>(CARD_FQ);
    fieldOf<Fr>(CARD_FR);
    fieldOf<Fq2>(CARD_FQ2);
    CardStatus status;
    uint8_t element[32] = {};
    api->field(0, 3, CARD_NEG, element, nullptr, 1, element, &status);
    CHECK_STATUS(status, CARD_INPUT_INVALID);
  });
}

template <class F, class Sum, class Call>
void multiplicationsOf(Call call) {
  Random random(sizeof(F));
  for (size_t n : {0, 1, 2, 70}) {
    const std::vector<Affine<F>> points = somePoints<F>(n, random);
    std::vector<Fr> scalars;
    Point<F> wanted = Point<F>::infinity();
    for (size_t i = 0; i < n; i++) {
      scalars.push_back(scalarLike(n == 1 ? 9 : i, random));
      wanted = sum(wanted, times(points[i], scalars[i]));
    }
    const CardOptions choices[] = {{0, 1, 0, 0}, {0, 0, 0, 0}, {0, 2, 7, 1}, {0, 64, 4, 2}};
    for (const CardOptions& options : choices) {
      auto out = std::make_unique<Sum>();
      auto phases = std::make_unique<CardPhases>();
      CardStatus status;
      call(0, points.data(), bytes(scalars), n, &options, n == 2 ? 3 : 1, nullptr, out.get(), phases.get(), &status);
      CHECK_STATUS(status, CARD_OK);
      CHECK(equal(total<F>(*out), wanted), "n = %zu, multiples %u, window %u", n, options.multiples, options.window);
      CHECK((phases->count > 0) == (n > 0) && phases->count <= CARD_MAX_PHASES);
    }
    if (n == 0) continue;
    auto out = std::make_unique<Sum>();
    CardStatus status;
    call(0, points.data(), bytes(scalars), n, nullptr, 0, nullptr, out.get(), nullptr, &status);
    CHECK_STATUS(status, CARD_OK);
    CHECK(equal(total<F>(*out), wanted), "n = %zu, no options", n);
    const int32_t stop = 1;
    const CardControl control = {&stop, 0};
    call(0, points.data(), bytes(scalars), n, nullptr, 1, &control, out.get(), nullptr, &status);
    CHECK_STATUS(status, CARD_ABORTED);
    for (const CardOptions& wrong : {CardOptions{0, 0, 99, 0}, CardOptions{0, 0, 0, 7}}) {
      call(0, points.data(), bytes(scalars), n, &wrong, 1, nullptr, out.get(), nullptr, &status);
      CHECK_STATUS(status, CARD_INPUT_INVALID);
    }
    memcpy(scalars.back().l, ScalarModulus::P, 32);
    call(0, points.data(), bytes(scalars), n, nullptr, 1, nullptr, out.get(), nullptr, &status);
    CHECK_STATUS(status, CARD_INPUT_INVALID);
    call(0, nullptr, bytes(scalars), n, nullptr, 1, nullptr, out.get(), nullptr, &status);
    CHECK_STATUS(status, CARD_INPUT_INVALID);
  }
}

void multiplications() {
  apart({}, [] {
    multiplicationsOf<Fq, CardSum1>(api->msm1);
    multiplicationsOf<Fq2, CardSum2>(api->msm2);
  });
}

void transforms() {
  apart({}, [] {
    Random random(7);
    CardStatus status;
    for (size_t n : {1, 2, 8, 128}) {
      std::vector<Fr> values, elements;
      for (size_t i = 0; i < n; i++) {
        values.push_back(randomElement<Fr>(random));
        elements.push_back(entered(values[i]));
      }
      const unsigned log = logOf(n);
      for (int32_t coset : {0, 1}) {
        for (uint32_t repeat : {1u, 3u}) {
          std::vector<Fr> out = values;
          CardPhases phases;
          api->ntt(0, bytes(out), n, 0, coset, repeat, nullptr, &phases, &status);
          CHECK_STATUS(status, CARD_OK);
          const std::vector<Fr> wanted = evaluated(elements, rootOfUnity(log), coset ? rootOfUnity(log + 1) : Fr::one());
          for (size_t i = 0; i < n; i++) CHECK(entered(out[i]) == wanted[i], "n = %zu, coset %d, element %zu", n, coset, i);
          api->ntt(0, bytes(out), n, 1, coset, repeat, nullptr, nullptr, &status);
          CHECK_STATUS(status, CARD_OK);
          for (size_t i = 0; i < n; i++) CHECK(out[i] == values[i], "back, n = %zu, coset %d, element %zu", n, coset, i);
        }
      }
      if (n == 1) continue;
      std::vector<Fr> b, a = values, bElements;
      for (size_t i = 0; i < n; i++) {
        b.push_back(scalarLike(i, random));
        bElements.push_back(entered(b[i]));
      }
      const std::vector<Fr> wanted = quotientOf(elements, bElements);
      for (uint32_t repeat : {1u, 2u}) {
        a = values;
        api->quotient(0, bytes(a), bytes(b), n, repeat, nullptr, nullptr, &status);
        CHECK_STATUS(status, CARD_OK);
        for (size_t i = 0; i < n; i++) CHECK(entered(a[i]) == wanted[i], "quotient, n = %zu, element %zu", n, i);
      }
      memset(values.back().l, 0xff, 32);
      api->ntt(0, bytes(values), n, 0, 0, 1, nullptr, nullptr, &status);
      CHECK_STATUS(status, CARD_INPUT_INVALID);
      api->quotient(0, bytes(b), bytes(values), n, 1, nullptr, nullptr, &status);
      CHECK_STATUS(status, CARD_INPUT_INVALID);
    }
    std::vector<Fr> three(3, small(1));
    for (uint64_t n : {uint64_t{0}, uint64_t{3}, uint64_t{1} << 29}) {
      api->ntt(0, bytes(three), n, 0, 0, 1, nullptr, nullptr, &status);
      CHECK_STATUS(status, CARD_INPUT_INVALID);
      api->quotient(0, bytes(three), bytes(three), n, 1, nullptr, nullptr, &status);
      CHECK_STATUS(status, CARD_INPUT_INVALID);
    }
    const int32_t stop = 1;
    const CardControl control = {&stop, 0};
    api->ntt(0, bytes(three), 2, 0, 0, 1, &control, nullptr, &status);
    CHECK_STATUS(status, CARD_ABORTED);
  });
}

void proofs() {
  apart({}, [] {
    const CardOptions choices[] = {{}, {0, 1, 0, 1}, {0, 3, 6, 2}, {0, 0, 4, 0}};
    int i = 0;
    for (const CardOptions& options : choices) {
      const TestKey key(i == 2 ? 1 : 45, i == 2 ? 2 : 64, 20 + i, i % 2);
      Opened opened(key, options);
      CHECK_STATUS(opened.status, CARD_OK);
      CHECK(opened.facts.keyBytes > 0 && opened.facts.proofBytes > 0);
      for (int m = 0; m < 4; m++) CHECK(!options.multiples || opened.facts.levels[m] <= options.multiples);
      CardProof proof;
      // Twice in the same working space, then with the clock.
      for (uint64_t seed = 1; seed <= 3; seed++) {
        const std::vector<Fr> witness = key.witness(seed);
        const CardStatus status = proveInto(proof, opened.key, witness, nullptr, seed == 3);
        CHECK_STATUS(status, CARD_OK);
        checkSums(proof, key.sums(witness), std::to_string(i).c_str());
        CHECK((proof.phases.count > 0) == (seed == 3) && proof.phases.count <= CARD_MAX_PHASES);
      }
      for (uint32_t k = 0; k < proof.phases.count; k++) {
        const CardPhase& phase = proof.phases.at[k];
        CHECK(memchr(phase.name, 0, sizeof phase.name) && phase.name[0] && phase.ms >= 0, "phase %u", k);
      }
      i++;
    }
  });
}

void wrongInputs() {
  apart({}, [] {
    const TestKey key(45, 64, 3);
    const CardKeyView good = key.view();
    const uint64_t before = freeBytes();
    auto refused = [&](const char* what, const std::function<void(CardKeyView&)>& change) {
      CardKeyView view = good;
      change(view);
      CardStatus status;
      CHECK(api->openKey(0, &view, nullptr, nullptr, nullptr, &status) == nullptr, "%s", what);
      CHECK(status.code == CARD_INPUT_INVALID, "%s: code %d, %s", what, status.code, status.message);
    };
    std::vector<uint32_t> wires = key.wires[0], starts = key.rows[0].starts, entries = key.rows[1].entries, values = entries;
    wires.back() = 45;
    std::swap(starts[2], starts[40]);
    entries[10] = 45;
    values[11] = 4;
    refused("domain 0", [](CardKeyView& v) { v.domain = 0; });
    refused("domain 48", [](CardKeyView& v) { v.domain = 48; });
    refused("domain 2^29", [](CardKeyView& v) { v.domain = 1u << 29; });
    refused("no wires", [](CardKeyView& v) { v.variables = 0; });
    refused("too many wires", [](CardKeyView& v) { v.variables = 1u << 29; });
    refused("a point of no wire", [&](CardKeyView& v) { v.a.wires = wires.data(); });
    refused("more wires than points", [](CardKeyView& v) { v.b1.wireCount = v.b1.count + 1; });
    refused("points of the quotient in a", [](CardKeyView& v) { v.a.wireCount--; });
    refused("more points than the quotient has values", [](CardKeyView& v) { v.ch.wireCount--; });
    refused("no points", [](CardKeyView& v) { v.b2.points = nullptr; });
    refused("rows out of order", [&](CardKeyView& v) { v.rows[0].starts = starts.data(); });
    refused("more entries", [](CardKeyView& v) { v.rows[0].entryCount++; });
    refused("an entry of no wire", [&](CardKeyView& v) { v.rows[1].entries = entries.data(); });
    refused("an entry of no value", [&](CardKeyView& v) { v.rows[1].entries = values.data(); });
    refused("no rows", [](CardKeyView& v) { v.rows[1].starts = nullptr; });
    CardStatus status;
    CHECK(!api->openKey(0, nullptr, nullptr, nullptr, nullptr, &status));
    CHECK_STATUS(status, CARD_INPUT_INVALID);
    CHECK(!api->openKey(-1, &good, nullptr, nullptr, nullptr, &status));
    CHECK_STATUS(status, CARD_INPUT_INVALID);
    api->closeKey(nullptr);
    if (api->emulated) CHECK(freeBytes() == before, "a key that was refused left something");

    Opened opened(key);
    CardProof proof;
    const std::vector<Fr> witness = key.witness(4);
    const TestKey::Sums wanted = key.sums(witness);
    auto invalid = [&](size_t at, const Fr& value) {
      std::vector<Fr> wrong = witness;
      wrong[at] = value;
      status = proveInto(proof, opened.key, wrong);
      CHECK_STATUS(status, CARD_WITNESS_INVALID);
      // And the next proof is as if it had not been.
      status = proveInto(proof, opened.key, witness);
      CHECK_STATUS(status, CARD_OK);
      checkSums(proof, wanted, "after a wrong witness");
    };
    Fr order, ones;
    memcpy(order.l, ScalarModulus::P, 32);
    memset(ones.l, 0xff, 32);
    invalid(7, order);
    invalid(44, ones);
    invalid(0, small(2));
    api->prove(opened.key, nullptr, nullptr, &proof, &status);
    CHECK_STATUS(status, CARD_INPUT_INVALID);
    api->prove(nullptr, bytes(witness.data()), nullptr, &proof, &status);
    CHECK_STATUS(status, CARD_INPUT_INVALID);
    api->prove(opened.key, bytes(witness.data()), nullptr, nullptr, &status);
    CHECK_STATUS(status, CARD_INPUT_INVALID);
  });
}

void stopped() {
  apart({}, [] {
    const TestKey key(45, 64, 5);
    const std::vector<Fr> witness = key.witness(1);
    const TestKey::Sums wanted = key.sums(witness);
    const int32_t now = 1;
    Opened never(key, {}, &now);
    CHECK_STATUS(never.status, CARD_ABORTED);
    Opened opened(key);
    CHECK_STATUS(opened.status, CARD_OK);
    auto proof = std::make_unique<CardProof>();
    CardStatus status = proveInto(*proof, opened.key, witness, &now);
    CHECK_STATUS(status, CARD_ABORTED);
    // At any moment: the flag goes up a little later each time, until the proof is quicker.
    int stops = 0;
    for (int step = 0, through = 0; through < 1; step++) {
      int32_t flag = 0;
      std::atomic<bool> begun{false};
      std::thread other([&] {
        while (!begun) std::this_thread::yield();
        std::this_thread::sleep_for(std::chrono::microseconds(static_cast<int64_t>(200 * std::pow(2, step))));
        __atomic_store_n(&flag, 1, __ATOMIC_RELAXED);
      });
      begun = true;
      status = proveInto(*proof, opened.key, witness, &flag);
      other.join();
      CHECK(status.code == CARD_OK || status.code == CARD_ABORTED, "%s", status.message);
      if (status.code == CARD_OK) {
        checkSums(*proof, wanted, "nearly stopped");
        through++;
      } else {
        stops++;
        if (step % 2 != 0) continue;
        status = proveInto(*proof, opened.key, witness);
        CHECK_STATUS(status, CARD_OK);
        checkSums(*proof, wanted, "after one that was stopped");
      }
    }
    CHECK(stops > 0, "no proof was stopped");
    // A key is closed while the card still works on what was stopped.
    const uint64_t before = freeBytes();
    {
      Opened brief(key);
      int32_t flag = 0;
      std::thread other([&] {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
        __atomic_store_n(&flag, 1, __ATOMIC_RELAXED);
      });
      status = proveInto(*proof, brief.key, witness, &flag);
      other.join();
    }
    if (api->emulated) CHECK(freeBytes() == before, "the closed key left something");
  });
}

// Several proofs of a key at once, and keys that come and go beside them.
void together() {
  apart({}, [] {
    const TestKey key(45, 64, 6), other(30, 32, 7);
    const std::vector<Fr> witness = key.witness(1);
    const TestKey::Sums wanted = key.sums(witness);
    const uint64_t before = freeBytes();
    {
      Opened opened(key);
      CHECK_STATUS(opened.status, CARD_OK);
      std::vector<std::thread> threads;
      proveInTwo(threads, opened.key, witness, wanted, 2, "beside others");
      threads.emplace_back([&] {
        const std::vector<Fr> w = other.witness(2);
        const TestKey::Sums sums = other.sums(w);
        auto proof = std::make_unique<CardProof>();
        for (int i = 0; i < 2; i++) {
          Opened mine(other);
          CHECK_STATUS(mine.status, CARD_OK);
          const CardStatus status = proveInto(*proof, mine.key, w);
          CHECK_STATUS(status, CARD_OK);
          checkSums(*proof, sums, "of a brief key");
        }
      });
      for (std::thread& thread : threads) thread.join();
    }
    if (api->emulated) CHECK(freeBytes() == before, "keys left something");
  });
  if (!isEmulated()) return;
  // By index.
  apart({{"AP_EMULATOR_DEVICES", "2"}}, [] {
    const TestKey key(20, 16, 8);
    const std::vector<Fr> witness = key.witness(1);
    const TestKey::Sums wanted = key.sums(witness);
    const CardKeyView view = key.view();
    std::vector<std::thread> threads;
    for (int32_t device : {0, 1}) {
      threads.emplace_back([&, device] {
        CardStatus status;
        CardKey* opened = api->openKey(device, &view, nullptr, nullptr, nullptr, &status);
        CHECK_STATUS(status, CARD_OK);
        auto proof = std::make_unique<CardProof>();
        status = proveInto(*proof, opened, witness);
        CHECK_STATUS(status, CARD_OK);
        checkSums(*proof, wanted, "on either card");
        api->closeKey(opened);
      });
    }
    for (std::thread& thread : threads) thread.join();
  });
}

// Of two cards one is lost: that one and no other, whoever meets it first, and also when it shows only where an error is ignored.
void lostCards() {
#if !defined(__CUDACC__)
  using anchorproof::emulator::Machine;
  // device.h by itself, on this program's own emulated cards.
  const auto alone = [](const std::function<void(Machine&)>& body) {
    apart({{"AP_EMULATOR_DEVICES", "2"}}, [&] { body(Machine::get()); });
  };
  const auto isLost = [](int device) { return lostDevices[device].load(); };
  alone([&](Machine& machine) {
    const OnDevice first(0);
    machine.lose(1, cudaErrorLaunchFailure);
    try {
      const OnDevice second(1);
      CHECK(false, "a lost card was chosen");
    } catch (const CardError& error) {
      CHECK(error.lost && error.code == CARD_FAILED, "%s", error.what());
    }
    CHECK(isLost(1) && !isLost(0));
    int device = -1;
    CHECK_CUDA(cudaGetDevice(&device));
    CHECK(device == 0 && currentDevice == 0);
  });
  for (const bool settles : {false, true}) {
    alone([&](Machine& machine) {
      const OnDevice first(0);
      {
        const OnDevice second(1);
        machine.lose(1, cudaErrorIllegalAddress);
        (settles ? settle : [](cudaError_t error) { ignore(error); })(cudaDeviceSynchronize());
      }
      CHECK(isLost(1) && !isLost(0));
    });
  }
  // Back to a card that was lost meanwhile.
  alone([&](Machine& machine) {
    const OnDevice first(0);
    {
      const OnDevice second(1);
      machine.lose(0, cudaErrorLaunchFailure);
    }
    CHECK(isLost(0) && !isLost(1));
  });
  // What is closed on a lost card waits for no other: work that waits there stays.
  alone([&](Machine& machine) {
    const OnDevice first(0);
    const Stream stream, other;
    DeviceArray<uint8_t> memory(64);
    size_t waiting = 0;
    for (int tries = 0; tries < 100 && waiting == 0; tries++) {
      check(cudaMemsetAsync(memory.get(), 1, 64, stream), "filling");
      waiting = static_cast<cudaStream_t>(stream)->queue.size();
    }
    CHECK(waiting > 0, "all was done at once");
    machine.lose(1, cudaErrorLaunchFailure);
    {
      const OnDevice closing(1, OnDevice::CLOSING);
      CHECK(currentDevice == 1 && isLost(1));
      settle(cudaErrorLaunchFailure);
    }
    CHECK(currentDevice == 0 && !isLost(0));
    settle(cudaErrorLaunchFailure);
    CHECK(static_cast<cudaStream_t>(stream)->queue.size() == waiting, "another card was waited for");
  });
#endif
  if (!isEmulated()) return;
  // The same by the library's functions, on a thread whose card is the other.
  apart({{"AP_EMULATOR_DEVICES", "2"}}, [] {
    const TestKey key(20, 16, 8);
    const std::vector<Fr> witness = key.witness(1);
    const TestKey::Sums wanted = key.sums(witness);
    const CardKeyView view = key.view();
    CardStatus status;
    // One on the first card, two on the second, of which one keeps its working space to the end.
    CardKey* opened[3];
    for (int i = 0; i < 3; i++) {
      opened[i] = api->openKey(std::min(i, 1), &view, nullptr, nullptr, nullptr, &status);
      CHECK_STATUS(status, CARD_OK);
    }
    freeBytes();
    fault("launch:3");
    auto proof = std::make_unique<CardProof>();
    status = proveInto(*proof, opened[1], witness);
    CHECK_STATUS(status, CARD_FAILED);
    CHECK(status.lost == 1, "%s", status.message);
    freeBytes();
    api->closeKey(opened[1]);
    api->closeKey(opened[2]);
    api->freeMemory(1, &status);
    CHECK(status.code == CARD_FAILED && status.lost == 1, "%s", status.message);
    status = proveInto(*proof, opened[0], witness);
    CHECK_STATUS(status, CARD_OK);
    checkSums(*proof, wanted, "beside a lost card");
    api->closeKey(opened[0]);
  });
}

// What processes of their own find out.
template <class T>
T& shared() {
  void* memory = mmap(nullptr, sizeof(T), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  CHECK(memory != MAP_FAILED);
  return *new (memory) T();
}

// Cards that are too small for what is asked of them.
void memory() {
  if (!isEmulated()) return;
  const TestKey key(45, 64, 9);
  const CardOptions plain = {0, 1, 0, 0};
  auto& facts = shared<CardKeyFacts>();
  apart({}, [&] {
    Opened without(key, plain), with(key);
    CHECK(with.facts.keyBytes > without.facts.keyBytes, "memory is free, and no multiples were made");
    // A limit between the two is kept, and used.
    const CardOptions limited = {(with.facts.keyBytes + without.facts.keyBytes) / 2, 0, 0, 0};
    Opened some(key, limited);
    CHECK_STATUS(some.status, CARD_OK);
    CHECK(some.facts.keyBytes <= limited.memoryLimit && some.facts.keyBytes > without.facts.keyBytes);
    const CardOptions tiny = {without.facts.keyBytes - 1, 0, 0, 0};
    Opened none(key, tiny);
    CHECK_STATUS(none.status, CARD_OUT_OF_MEMORY);
    CHECK(strstr(none.status.message, "MiB"), "%s", none.status.message);
    facts = without.facts;
  });
  const std::vector<Fr> witness = key.witness(1);
  const TestKey::Sums wanted = key.sums(witness);
  auto onCardOf = [&](uint64_t bytes, const std::function<void()>& body) { apart({{"AP_EMULATOR_MEMORY", std::to_string(bytes).c_str()}}, body); };
  auto& least = shared<uint64_t>();
  // From too little to enough: never anything but a refusal or a key that proves, and one that fits once fits in more.
  for (uint64_t bytes = facts.keyBytes / 2; least == 0; bytes += facts.proofBytes / 2) {
    CHECK(bytes < 4 * (facts.keyBytes + facts.proofBytes), "the key does not fit where it should");
    onCardOf(bytes, [&] {
      Opened opened(key);
      if (opened.status.code != CARD_OK) {
        CHECK_STATUS(opened.status, CARD_OUT_OF_MEMORY);
        CHECK(!opened.status.lost && strstr(opened.status.message, "MiB"), "%s", opened.status.message);
        CHECK(freeBytes() == bytes, "what was tried was not given back");
        return;
      }
      least = bytes;
      // One working space fits: two proofs at once take it in turns.
      std::vector<std::thread> threads;
      proveInTwo(threads, opened.key, witness, wanted, 1, "in turns");
      for (std::thread& thread : threads) thread.join();
    });
  }
  // One that no memory would be enough for: the processor's, not the caller's fault.
  apart({}, [&] {
    CardKeyView view = key.view();
    view.variables = 1u << 28;
    view.b1 = {key.b1.data(), nullptr, view.variables, view.variables};
    CardStatus status;
    CHECK(!api->openKey(0, &view, nullptr, nullptr, nullptr, &status));
    CHECK_STATUS(status, CARD_OUT_OF_MEMORY);
    CHECK(strstr(status.message, "too large for a card"), "%s", status.message);
  });
  auto& used = shared<uint64_t>();
  apart({}, [&] {
    const uint64_t before = freeBytes();
    Opened opened(key, plain);
    used = before - freeBytes();
  });
  // Room for a second working space only in what is left to CUDA, a 64th of so small a card.
  const uint64_t two = used + facts.proofBytes;
  for (const bool reserved : {true, false}) {
    const uint64_t bytes = reserved ? two + two / 128 : two + two / 32;
    onCardOf(bytes, [&] {
      Opened opened(key, plain);
      CHECK_STATUS(opened.status, CARD_OK);
      const uint64_t before = freeBytes();
      std::vector<std::thread> threads;
      proveInTwo(threads, opened.key, witness, wanted, 2, "in little memory");
      for (std::thread& thread : threads) thread.join();
      if (reserved) CHECK(freeBytes() == before, "a second working space was made of what is CUDA's");
      else CHECK(freeBytes() < before, "no second working space was made");
    });
  }
  // A key that is opened with whatever there is does not leave the one before without a working space, though it has taken that.
  const TestKey small(30, 32, 7);
  const std::vector<Fr> smallWitness = small.witness(2);
  const TestKey::Sums smallWanted = small.sums(smallWitness);
  auto& besideEachOther = shared<int>();
  for (uint64_t bytes = used + used / 32; bytes < two + two / 4; bytes += facts.proofBytes / 2) {
    onCardOf(bytes, [&] {
      Opened first(key, plain), second(small);
      CHECK_STATUS(first.status, CARD_OK);
      if (!second.key) CHECK_STATUS(second.status, CARD_OUT_OF_MEMORY);
      besideEachOther += second.key != nullptr;
      auto proof = std::make_unique<CardProof>();
      for (const bool again : {false, true}) {
        CardStatus status = proveInto(*proof, first.key, witness);
        CHECK_STATUS(status, CARD_OK);
        checkSums(*proof, wanted, "of the older key");
        if (!second.key || again) break;
        status = proveInto(*proof, second.key, smallWitness);
        CHECK_STATUS(status, CARD_OK);
        checkSums(*proof, smallWanted, "of the newer key");
      }
    });
  }
  CHECK(besideEachOther > 1, "the keys fitted %d times", besideEachOther);
  // A key that is opened while proofs are under way waits for their memory.
  onCardOf(least + facts.keyBytes + facts.proofBytes / 2, [&] {
    Opened first(key, plain);
    CHECK_STATUS(first.status, CARD_OK);
    std::atomic<bool> ended{false};
    std::atomic<int> proved{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 2; t++) {
      threads.emplace_back([&] {
        auto proof = std::make_unique<CardProof>();
        while (!ended) {
          const CardStatus status = proveInto(*proof, first.key, witness);
          CHECK_STATUS(status, CARD_OK);
          checkSums(*proof, wanted, "beside a key that is opened");
          proved++;
        }
      });
    }
    while (proved == 0) std::this_thread::yield();
    for (int i = 0; i < 2; i++) {
      Opened second(key, plain);
      CHECK_STATUS(second.status, CARD_OK);
      auto proof = std::make_unique<CardProof>();
      const CardStatus status = proveInto(*proof, second.key, witness);
      CHECK_STATUS(status, CARD_OK);
      checkSums(*proof, wanted, "of a key that was opened beside proofs");
    }
    ended = true;
    for (std::thread& thread : threads) thread.join();
  });
  // Room for two keys and one working space. Each takes the other's when it lies idle, and waits for it when it does not.
  onCardOf(least + facts.keyBytes + facts.proofBytes / 2, [&] {
    Opened first(key, plain), second(key, plain);
    CHECK_STATUS(first.status, CARD_OK);
    CHECK_STATUS(second.status, CARD_OK);
    std::vector<std::thread> threads;
    for (CardKey* opened : {first.key, second.key}) {
      threads.emplace_back([&, opened] {
        auto proof = std::make_unique<CardProof>();
        for (int i = 0; i < 3; i++) {
          const CardStatus status = proveInto(*proof, opened, witness);
          CHECK_STATUS(status, CARD_OK);
          checkSums(*proof, wanted, "of two keys");
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
  });
}

// Every allocation and every call fails once, and then for good. What comes back is a status, nothing stays behind, and the
// library goes on, but where the card is lost.
void failures() {
  if (!isEmulated()) return;
  const TestKey key(7, 4, 10);
  const CardOptions options = {0, 2, 6, 0};  // little work, and some multiples
  const std::vector<Fr> witness = key.witness(1);
  const TestKey::Sums wanted = key.sums(witness);
  // Whether it went through.
  auto attempt = [&](CardStatus& status) {
    Opened opened(key, options);
    status = opened.status;
    if (!opened.key) return false;
    auto proof = std::make_unique<CardProof>();
    status = proveInto(*proof, opened.key, witness);
    if (status.code == CARD_OK) checkSums(*proof, wanted, "beside failures");
    return status.code == CARD_OK;
  };
  auto holds = [&](const char* kind, int32_t code) {
    apart({}, [&] {
      CardStatus status;
      CHECK(attempt(status), "%s", status.message);
      const uint64_t before = freeBytes();
      bool through = false;
      for (int n = 1; !through; n++) {
        CHECK(n < 5000, "%s: there is no end", kind);
        fault(kind + std::to_string(n));
        through = attempt(status);
        if (!through) {
          CHECK_STATUS(status, code);
          CHECK(!status.lost && status.message[0], "%s%d: %s", kind, n, status.message);
        }
        fault("");
        CHECK(freeBytes() == before, "%s%d left something on the card", kind, n);
        if (n % 64 == 1) CHECK(attempt(status), "after %s%d: %s", kind, n, status.message);
      }
    });
  };
  holds("alloc:", CARD_OUT_OF_MEMORY);
  holds("pinned:", CARD_OUT_OF_MEMORY);
  // Single calls. Here the attempt may also succeed, where the call was one whose failure does not matter.
  apart({}, [&] {
    CardStatus status;
    CHECK(attempt(status), "%s", status.message);
    int failed = 0, inRow = 0;
    for (int n = 1; inRow < 24; n += 1 + n / 24) {
      fault("call:" + std::to_string(n));
      if (attempt(status)) {
        inRow++;
      } else {
        CHECK(status.code != CARD_OK && status.code != CARD_ABORTED && status.code != CARD_WITNESS_INVALID && status.message[0], "call:%d", n);
        CHECK(!status.lost, "call:%d: %s", n, status.message);
        failed++;
        inRow = 0;
      }
      fault("");
      if (n % 64 == 1) CHECK(attempt(status), "after call:%d: %s", n, status.message);
    }
    CHECK(failed > 40, "only %d calls failed", failed);
  });
  // A kernel or a copy breaks the context: everything afterwards says that the card is lost, and nothing waits for it.
  for (const char* kind : {"launch:", "copy:"}) {
    for (int n = 1, through = 0; !through; n = n * 2 + 1) {
      auto& done = shared<int>();
      apart({}, [&] {
        fault(kind + std::to_string(n));
        CardStatus status;
        if (attempt(status)) {
          done = 1;
          return;
        }
        CHECK_STATUS(status, CARD_FAILED);
        CHECK(status.lost == 1 && status.message[0], "%s%d: %s", kind, n, status.message);
        CHECK(!attempt(status), "%s%d: a lost card proved", kind, n);
        CHECK(status.code == CARD_FAILED && status.lost == 1, "%s%d: %s", kind, n, status.message);
        CardDescription card;
        api->describe(0, &card, &status);
        CHECK(status.code == CARD_FAILED && status.lost == 1, "%s", status.message);
      });
      through = done;
    }
  }
  // No card, no driver, one that is too old or broken.
  for (const char* absent : {"driver", "old", "none", "unknown"}) {
    apart({}, [&] {
      fault(absent);
      CardStatus status;
      CHECK(api->devices(&status) == 0, "%s", absent);
      CHECK_STATUS(status, CARD_UNAVAILABLE);
      CHECK(!status.lost && status.message[0]);
      CHECK(!attempt(status));
      // Whoever doesn't ask first is told of a driver that fails by its own error.
      const int32_t wanted = strcmp(absent, "unknown") == 0 ? CARD_FAILED : CARD_UNAVAILABLE;
      CHECK(status.code == wanted, "%s: code %d, %s", absent, status.code, status.message);
    });
  }
}

// How many pages of the emulated card's memory and of pinned memory hold one of the patterns. The emulator keeps the card's memory
// from being touched while no work runs (/proc/self/mem reads it all the same), and has pages on both sides of every piece, pinned
// ones too, that nobody may touch. Stacks of the emulated threads, which are the card's registers, look alike but for their size.
size_t pagesWith(const std::vector<Fr>& patterns) {
  constexpr unsigned long LARGEST = 8 << 20, STACK = 256 << 10;
  const int memory = ::open("/proc/self/mem", O_RDONLY);
  FILE* maps = fopen("/proc/self/maps", "r");
  CHECK(memory >= 0 && maps);
  struct Range {
    unsigned long from, to;
    bool closed;
  };
  std::vector<Range> ranges;
  char line[512], rights[8];
  while (fgets(line, sizeof line, maps)) {
    Range range;
    unsigned long inode = 0;
    if (sscanf(line, "%lx-%lx %7s %*s %*s %lu", &range.from, &range.to, rights, &inode) != 4) continue;
    range.closed = strncmp(rights, "---p", 4) == 0 && inode == 0;
    if (range.closed || inode == 0) ranges.push_back(range);
  }
  fclose(maps);
  // A quarter of an element is enough to know it by.
  std::unordered_set<uint64_t> words;
  for (const Fr& pattern : patterns) words.insert(pattern.l[0] | static_cast<uint64_t>(pattern.l[1]) << 32);
  size_t found = 0;
  std::vector<uint8_t> content;
  for (size_t r = 1; r + 1 < ranges.size(); r++) {
    const Range &before = ranges[r - 1], &range = ranges[r], &after = ranges[r + 1];
    const unsigned long size = range.to - range.from;
    const bool fenced = before.closed && after.closed && before.to == range.from && range.to == after.from;
    if (size > LARGEST || !(range.closed || (fenced && size != STACK))) continue;
    content.resize(size);
    if (pread(memory, content.data(), size, static_cast<off_t>(range.from)) != static_cast<ssize_t>(size)) continue;
    for (size_t page = 0; page < size; page += 4096) {
      bool hit = false;
      // Elements lie on multiples of 16 bytes.
      for (size_t i = page; i < page + 4096; i += 16) {
        uint64_t word;
        memcpy(&word, &content[i], sizeof word);
        hit |= words.count(word) != 0;
      }
      found += hit;
    }
  }
  close(memory);
  return found;
}

// Nothing of a witness is left on the card or in pinned memory after a proof, by whichever way it ended.
void wiped() {
  if (!isEmulated()) return;
#if defined(__SANITIZE_ADDRESS__)
  return;  // its own maps look like pinned memory, and keep what was freed
#endif
  const TestKey key(45, 64, 11);
  apart({}, [&] {
    Opened opened(key);
    CHECK_STATUS(opened.status, CARD_OK);
    // That there is something to find where it is looked for: the key stays.
    std::vector<Fr> ofKey(1);
    memcpy(ofKey[0].l, &key.b1[5].y, 32);
    if (key.b1[5].isInfinity()) memcpy(ofKey[0].l, &key.b1[6].y, 32);
    CHECK(pagesWith(ofKey) > 0, "the card's memory was not found");

    auto proof = std::make_unique<CardProof>();
    std::vector<Fr> patterns;
    auto one = [&](uint64_t seed, bool invalid, const int32_t* abort) {
      Random random(seed);
      std::vector<Fr> witness(key.variables, small(1));
      patterns.clear();
      for (uint32_t i = 1; i < key.variables; i++) {
        witness[i] = randomElement<Fr>(random);
        // As it came, as an element, and as the absolute value of its negative.
        for (const Fr& form : {witness[i], entered(witness[i]), minus(witness[i])}) patterns.push_back(form);
      }
      if (invalid) memset(witness[40].l, 0xff, 32);
      const CardStatus status = proveInto(*proof, opened.key, witness, abort);
      if (status.code == CARD_OK) {
        // And the sums, which say something about it before they are blinded.
        for (const void* sum : {static_cast<const void*>(proof->a.sums[0]), static_cast<const void*>(proof->ch.sums[0])}) {
          patterns.emplace_back();
          memcpy(patterns.back().l, sum, 32);
        }
      }
      return status;
    };
    CardStatus status = one(1, false, nullptr);
    CHECK_STATUS(status, CARD_OK);
    CHECK(pagesWith(patterns) == 0, "after a proof");
    status = one(2, true, nullptr);
    CHECK_STATUS(status, CARD_WITNESS_INVALID);
    CHECK(pagesWith(patterns) == 0, "after a witness that was none");
    // Stopped on its way: gone by the time that another proof has its turn in the same working space.
    int stops = 0;
    for (int step = 1; step < 6; step += 2) {
      int32_t flag = 0;
      std::thread other([&] {
        std::this_thread::sleep_for(std::chrono::microseconds(500) * step * step);
        __atomic_store_n(&flag, 1, __ATOMIC_RELAXED);
      });
      status = one(100 + step, false, &flag);
      other.join();
      stops += status.code == CARD_ABORTED;
      const std::vector<Fr> first = patterns;
      status = one(200 + step, false, nullptr);
      CHECK_STATUS(status, CARD_OK);
      CHECK(pagesWith(first) == 0, "after a proof that was stopped, and another");
      CHECK(pagesWith(patterns) == 0, "after the other");
    }
    CHECK(stops > 0, "no proof was stopped");
  });
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return printf("backend LIBRARY [section …]\n"), 2;
  library = argv[1];
  return anchorproof::test::run(argc - 1, argv + 1,
                                {{"cards", cards},
                                 {"fields", fields},
                                 {"multiplications", multiplications},
                                 {"transforms", transforms},
                                 {"proofs", proofs},
                                 {"wrong inputs", wrongInputs},
                                 {"stopped", stopped},
                                 {"together", together},
                                 {"lost cards", lostCards},
                                 {"memory", memory},
                                 {"failures", failures},
                                 {"wiped", wiped}});
}
