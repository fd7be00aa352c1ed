// Prefix sums and multi-scalar multiplications: every plan's shape, sizes at all borders, scalars and points that spoil careless sums.
//
// Points are known multiples of the generator, so that one multiple of it is the result to expect, whatever the size. For some
// inputs the CPU core is asked, too.
#include <string>
#include <vector>

#include "../../src/api.h"
#include "../msm_g1.cu"
#include "../msm_g2.cu"
#include "check.h"

namespace {

using namespace anchorproof::cuda;
using anchorproof::test::Random;

template <class T>
DeviceArray<T> uploaded(const std::vector<T>& values) {
  const Stream stream;
  DeviceArray<T> out(values.size());
  if (out.size() > 0) CHECK_CUDA(cudaMemcpyAsync(out.get(), values.data(), out.bytes(), cudaMemcpyHostToDevice, stream));
  CHECK_CUDA(cudaStreamSynchronize(stream));
  return out;
}
template <class T>
std::vector<T> downloaded(const T* from, size_t n, cudaStream_t stream) {
  std::vector<T> out(n);
  if (n > 0) CHECK_CUDA(cudaMemcpyAsync(out.data(), from, n * sizeof(T), cudaMemcpyDeviceToHost, stream));
  CHECK_CUDA(cudaStreamSynchronize(stream));
  return out;
}

// ── Prefix sums ──

void scanOf(size_t n, bool inPlace, Random& random) {
  std::vector<uint32_t> in(n + 1), expected(n + 1);
  uint32_t sum = 0;
  for (size_t i = 0; i <= n; i++) {
    in[i] = random.oneIn(3) ? 0 : random.word() % 2000;
    expected[i] = sum;
    sum += in[i];
  }
  Stream stream;
  DeviceArray<uint32_t> from = uploaded(in), to(n + 1);
  DeviceArray<uint8_t> work(scanBytes(n));
  Arena arena(work.get(), (work.size() + 255) / 256 * 256);
  uint32_t* out = inPlace ? from.get() : to.get();
  exclusiveScan(stream, from.get(), out, n, arena);
  CHECK(downloaded(out, n + 1, stream) == expected, "n = %zu, in place %d", n, inPlace);
}

void scans() {
  Random random(1);
  std::vector<size_t> sizes;
  for (size_t n = 0; n <= 70; n++) sizes.push_back(n);
  for (size_t around : {128, 256, 257 * 3, 1024, 2048, 4096, 3 * 2048, 5000}) {
    for (size_t n = around - 1; n <= around + 1; n++) sizes.push_back(n);
  }
  for (size_t n : sizes) scanOf(n, n % 2 == 0, random);
}
void largeScan() {
  Random random(2);
  scanOf((size_t{1} << 20) + 4097, false, random);
  // More tiles than the block that adds them up takes at once: what it does for more than 2^22 elements.
  std::vector<uint32_t> sums(3 * scan::TILE + 77), expected;
  uint32_t total = 0;
  for (uint32_t& sum : sums) {
    sum = random.word() % 100000;
    expected.push_back(total);
    total += sum;
  }
  expected.push_back(total);
  Stream stream;
  DeviceArray<uint32_t> tiles = uploaded(sums), totalOnCard(1);
  AP_LAUNCH(scan::scanSums, 1, scan::THREADS, scan::WARPS * sizeof(uint32_t), stream, tiles.get(), (uint32_t)sums.size(), totalOnCard.get());
  checkLaunch("scanSums");
  std::vector<uint32_t> got = downloaded(tiles.get(), sums.size(), stream);
  got.push_back(downloaded(totalOnCard.get(), 1, stream)[0]);
  CHECK(got == expected);
  bool refused = false;
  try {
    exclusiveScan(nullptr, static_cast<uint32_t*>(nullptr), nullptr, scan::MAX_ELEMENTS + 1, static_cast<uint32_t*>(nullptr));
  } catch (const CardError& error) {
    refused = error.code == CARD_INPUT_INVALID;
  }
  CHECK(refused);
}

// ── Points and scalars ──

Fr integer(uint64_t value) { return {{(uint32_t)value, (uint32_t)(value >> 32), 0, 0, 0, 0, 0, 0}}; }
// Calls, for the compiler's sake.
#define OUT_OF_LINE __attribute__((noinline))
OUT_OF_LINE Fr plus(const Fr& a, const Fr& b) { return a + b; }
OUT_OF_LINE Fr times(const Fr& a, const Fr& b) { return a * b; }
OUT_OF_LINE Fr minus(const Fr& s) { return Fr::zero() - s; }
Fr powerOf(unsigned k) {
  Fr out = Fr::zero();
  out.l[k / 32] = 1u << (k % 32);
  return out;
}
Fr anyScalar(Random& random) {
  for (;;) {
    Fr out;
    random.fill(out.l, sizeof out.l);
    out.l[7] &= 0x3fffffff;
    if (out.isReduced()) return out;
  }
}
// (r − 1) / 2, the largest positive one
Fr half() {
  constexpr Limbs p = Fr::PRIME;
  Fr out;
  for (int i = 0; i < 8; i++) out.l[i] = p.l[i] >> 1 | (i < 7 ? p.l[i + 1] << 31 : 0);
  return out;
}

template <class F>
Point<F> generator();
template <>
Point<Fq> generator<Fq>() {
  return {Fq::one(), Fq::one().dbl(), Fq::one(), Fq::one()};
}
template <>
Point<Fq2> generator<Fq2>() {  // EIP-197, in Montgomery form
  return {{{{0x02bc2026, 0x8e83b5d1, 0x497b0172, 0xdceb1935, 0x97811adf, 0xfbb82647, 0xaf96503b, 0x19573841}},
           {{0xa84c6140, 0xafb4737d, 0x5802d8c4, 0x6043dd5a, 0x52a02f86, 0x09e950fc, 0x3aea7b6b, 0x14fef083}}},
          {{{0x886be9f6, 0x619dfa9d, 0xf59e9b78, 0xfe7fd297, 0x231b7dfe, 0xff9e1a62, 0xae9e4206, 0x28fd7eeb}},
           {{0xc71856ee, 0x64095b56, 0x327d3cbb, 0xdc57f922, 0x33351076, 0x55f935be, 0x93fd6482, 0x0da4a0e6}}},
          Fq2::one(),
          Fq2::one()};
}

template <class F>
OUT_OF_LINE Point<F> plus(const Point<F>& a, const Point<F>& b) {
  return a + b;
}
template <class F>
OUT_OF_LINE Point<F> doubled(const Point<F>& p) {
  return p.dbl();
}
template <class F>
OUT_OF_LINE Affine<F> affine(const Point<F>& p) {
  return p.toAffine();
}

template <class F>
OUT_OF_LINE Point<F> times(const Point<F>& p, const Fr& k) {
  Point<F> out = Point<F>::infinity();
  for (int i = 255; i >= 0; i--) {
    out = doubled(out);
    if (k.l[i / 32] >> (i % 32) & 1) out = plus(out, p);
  }
  return out;
}

template <class F>
OUT_OF_LINE bool same(const Point<F>& a, const Point<F>& b) {
  return plus(a, b.negated()).isInfinity();
}

// A point and what multiple of the generator it is, in Montgomery form.
template <class F>
struct Known {
  Affine<F> point;
  Fr factor;
};
template <class F>
const std::vector<Known<F>>& pool() {
  static const std::vector<Known<F>> points = [] {
    std::vector<Known<F>> out;
    Random random(3);
    const Fr first = anyScalar(random), step = anyScalar(random);
    const Point<F> by = times(generator<F>(), step);
    Point<F> p = times(generator<F>(), first);
    Fr factor = first.toMontgomery();
    for (int i = 0; i < 96; i++) {
      out.push_back({affine(p), factor});
      p = plus(p, by);
      factor = plus(factor, step.toMontgomery());
    }
    return out;
  }();
  return points;
}
template <class F>
Known<F> negated(const Known<F>& p) {
  return {{p.point.x, -p.point.y}, minus(p.factor)};
}
template <class F>
Known<F> nowhere() {
  return {Affine<F>::infinity(), Fr::zero()};
}
// One of 192, so that long inputs have equal and opposite ones.
template <class F>
Known<F> anyPoint(Random& random) {
  const Known<F>& p = pool<F>()[random.below(pool<F>().size())];
  return random.oneIn(2) ? negated(p) : p;
}

template <class F>
struct Input {
  std::vector<Affine<F>> points;
  std::vector<Fr> factors;
  std::vector<uint32_t> wires;  // none: point i has scalar i
  size_t wireCount = 0;
  std::vector<Fr> wireScalars, quotients;  // integers

  size_t count() const { return points.size(); }
  void add(const Known<F>& known) {
    points.push_back(known.point);
    factors.push_back(known.factor);
  }
  const Fr& scalar(size_t i) const {
    return i >= wireCount ? quotients[i - wireCount] : wireScalars[wires.empty() ? i : wires[i]];
  }
  Point<F> expected() const {
    Fr sum = Fr::zero();
    for (size_t i = 0; i < count(); i++) sum = plus(sum, times(factors[i], scalar(i).toMontgomery()));
    return times(generator<F>(), sum.fromMontgomery());
  }
};

// Point i with scalar i.
template <class F>
Input<F> direct(const std::vector<Known<F>>& points, const std::vector<Fr>& scalars) {
  Input<F> out;
  for (const Known<F>& p : points) out.add(p);
  out.wireScalars = scalars;
  out.wireCount = points.size();
  return out;
}

std::vector<SignedScalar> signedOf(const std::vector<Fr>& scalars) {
  std::vector<SignedScalar> out;
  for (const Fr& s : scalars) out.push_back(toSigned(s));
  return out;
}

CardOptions options(uint32_t window = 0, uint32_t multiples = 0) { return {0, multiples, window, 0}; }
constexpr uint64_t PLENTY = uint64_t{1} << 40;

// Names of phases, checked to be begun and ended in turn.
class Names : public Meter {
 public:
  std::string all;
  void begin(cudaStream_t, const char* name, WorkOf work) override {
    CHECK(!open_ && strlen(name) < 12 && work(0).bytes > 0 && work(1).bytes >= work(0).bytes);
    all += std::string(all.empty() ? "" : " ") + name;
    open_ = true;
  }
  void end(cudaStream_t) override {
    CHECK(open_);
    open_ = false;
  }
  void count(cudaStream_t, const uint32_t*) override {
    CHECK(!open_);
    all += " counted";
  }

 private:
  bool open_ = false;
};

template <class F>
Point<F> onCard(const Input<F>& input, const MsmPlan& plan, size_t chunk = ResidentPoints<F>::CHUNK) {
  Stream stream;
  const CardPoints host{input.points.data(), input.wires.empty() ? nullptr : input.wires.data(), input.count(), input.wireCount};
  const ResidentPoints<F> points(host, plan, stream, nullptr, chunk);
  Arena counting;
  const Msm<F> measured(points, counting);
  DeviceArray<uint8_t> memory(counting.used());
  Arena arena(memory.get(), memory.size());
  const Msm<F> msm(points, arena);
  CHECK(arena.used() == counting.used() && counting.used() == counting.peak());
  const DeviceArray<SignedScalar> wireScalars = uploaded(signedOf(input.wireScalars)), quotients = uploaded(signedOf(input.quotients));
  DeviceArray<Point<F>> sums(plan.sums);
  Point<F> out;
  // A space serves proof after proof: every fifth one does so twice.
  static unsigned call = 0;
  const int runs = call++ % 5 == 0 ? 2 : 1;
  for (int run = 0; run < runs; run++) {
    CHECK_CUDA(cudaMemsetAsync(sums.get(), 0x5a, sums.bytes(), stream));
    Names names;
    msm.enqueue(stream, wireScalars.get(), quotients.get(), sums.get(), &names);
    CHECK(names.all == (plan.count ? "digits sort buckets reduce counted" : ""), "%s", names.all.c_str());
    const std::vector<Point<F>> parts = downloaded(sums.get(), plan.sums, stream);
    Point<F> result = Point<F>::infinity();
    for (size_t i = parts.size(); i-- > 0;) {
      for (uint32_t k = 0; k < plan.shift; k++) result = doubled(result);
      result = plus(result, parts[i]);
    }
    if (run > 0) CHECK(same(result, out));
    out = result;
  }
  return out;
}

template <class F>
void checkAgainst(const Input<F>& input, const Point<F>& expected, const MsmPlan& plan, const char* what, size_t chunk = ResidentPoints<F>::CHUNK) {
  CHECK(same(onCard(input, plan, chunk), expected), "G%d, %s: n = %zu, window %u, levels %u, sets %u, chunk %zu", sizeof(F) > sizeof(Fq) ? 2 : 1,
        what, input.count(), plan.window, plan.levels, plan.sets, chunk);
  // Every fourth one by affine additions, too.
  static unsigned turn = 0;
  if (turn++ % 4 != 0) return;
  MsmPlan affine = plan;
  affine.coordinates = 2;
  affine.rounds = 1 + input.count() % 3;
  CHECK(same(onCard(input, affine, chunk), expected), "G%d, %s, affine: n = %zu, window %u, levels %u, sets %u, chunk %zu, rounds %u",
        sizeof(F) > sizeof(Fq) ? 2 : 1, what, input.count(), plan.window, plan.levels, plan.sets, chunk, affine.rounds);
}
// Without multiples and with some and with all of them.
template <class F>
void checkInput(const Input<F>& input, const char* what, uint32_t window = 0) {
  const Point<F> expected = input.expected();
  for (uint32_t multiples : {1, 3, 0}) {
    checkAgainst(input, expected, planMsm<F>(input.count(), options(window, multiples), PLENTY), what);
  }
}

// ── Sections ──

template <class F>
Input<F> randomInput(size_t n, Random& random) {
  std::vector<Known<F>> points;
  std::vector<Fr> scalars;
  for (size_t i = 0; i < n; i++) {
    points.push_back(random.oneIn(16) ? nowhere<F>() : anyPoint<F>(random));
    scalars.push_back(random.oneIn(8) ? integer(random.below(3)) : random.oneIn(8) ? minus(integer(random.below(3))) : anyScalar(random));
  }
  return direct(points, scalars);
}

template <class F>
void sizes() {
  Random random(4);
  for (size_t n = 0; n <= 40; n += n < 3 ? 1 : 17) checkInput(randomInput<F>(n, random), "random", 6);
  for (size_t n : sizeof(F) == sizeof(Fq) ? std::vector<size_t>{255, 256, 257, 1000} : std::vector<size_t>{257, 400}) {
    const Input<F> input = randomInput<F>(n, random);
    checkAgainst(input, input.expected(), planMsm<F>(n, options(0, 1), PLENTY), "random");
  }
}

template <class F>
void shapes() {
  Random random(5);
  Input<F> input = randomInput<F>(37, random);
  const Point<F> expected = input.expected();
  const uint32_t most = sizeof(F) == sizeof(Fq) ? 9 : 5;
  for (uint32_t window = MIN_WINDOW; window <= most; window += window < 5 ? 1 : 2) {
    uint32_t before = 0;
    for (uint32_t multiples = 1; multiples <= windowsOf(window); multiples++) {
      const MsmPlan plan = planMsm<F>(input.count(), options(window, multiples), PLENTY);
      CHECK(plan.window == window && plan.windows == windowsOf(window) && plan.levels <= multiples && plan.levels >= 1);
      CHECK(plan.levels * plan.sets >= plan.windows && (plan.levels - 1) * plan.sets < plan.windows);
      CHECK(plan.sums <= CARD_MAX_SETS && plan.sums * plan.shift >= plan.window * plan.sets);
      // Few of the many shapes with equal sets; all of them would take minutes.
      if (plan.levels == before || (multiples > 2 && multiples % 23 != 0 && multiples != windowsOf(window))) continue;
      before = plan.levels;
      checkAgainst(input, expected, plan, "shape");
    }
  }
}
// Large windows, with few points: most buckets are empty.
void largeWindows() {
  Random random(6);
  const Input<Fq> input = randomInput<Fq>(21, random);
  const Point<Fq> expected = input.expected();
  for (uint32_t window : {11, 13, 16}) checkAgainst(input, expected, planMsm<Fq>(input.count(), options(window, 0), PLENTY), "large");
  const Input<Fq2> input2 = randomInput<Fq2>(21, random);
  checkAgainst(input2, input2.expected(), planMsm<Fq2>(input2.count(), options(12, 0), PLENTY), "large");
}
void largestWindow() {
  Random random(7);
  const Input<Fq> input = randomInput<Fq>(5, random);
  CHECK(same(onCard(input, planMsm<Fq>(input.count(), options(MAX_WINDOW, 0), PLENTY)), input.expected()));
}

template <class F>
void scalars() {
  Random random(8);
  const uint32_t window = 7;
  std::vector<Fr> borders = {integer(0), integer(1), integer(2), integer(63), integer(64), integer(65), integer(127), integer(128), half(), plus(half(), integer(1))};
  for (unsigned k : {7, 14, 31, 32, 64, 127, 224, 252}) {
    borders.push_back(powerOf(k));
    borders.push_back(plus(powerOf(k), minus(integer(1))));
  }
  for (uint32_t c : {4u, window}) {  // digits that are all 2^(c−1), the largest, and all 2^(c−1) + 1, the smallest
    Fr all = Fr::zero();
    for (uint32_t w = 0; w + 1 < windowsOf(c); w++) all = plus(all, powerOf(w * c + c - 1));
    borders.push_back(all);
    for (uint32_t w = 0; w + 1 < windowsOf(c); w++) all = plus(all, powerOf(w * c));
    borders.push_back(all);
  }
  std::vector<Known<F>> points;
  std::vector<Fr> both;
  for (const Fr& s : borders) {
    for (const Fr& value : {s, minus(s)}) {
      if (both.size() % 8 == 0 || both.size() % 8 == 5) {  // by itself, too: one of the two
        const Fr factor = times(pool<F>()[5].factor, value.toMontgomery());
        checkAgainst(direct<F>({pool<F>()[5]}, {value}), times(generator<F>(), factor.fromMontgomery()),
                     planMsm<F>(1, options(both.size() % 8 ? window : 4, 1), PLENTY), "border");
      }
      both.push_back(value);
      points.push_back(anyPoint<F>(random));
    }
  }
  checkInput(direct(points, both), "borders", window);
  // The same scalar for all: one bucket a window has every entry.
  points.clear();
  for (int i = 0; i < (sizeof(F) == sizeof(Fq) ? 300 : 100); i++) points.push_back(anyPoint<F>(random));
  for (const Fr& s : {integer(0), integer(1), minus(integer(1)), half(), anyScalar(random)}) {
    const Input<F> input = direct(points, std::vector<Fr>(points.size(), s));
    checkAgainst(input, input.expected(), planMsm<F>(points.size(), options(window, 1), PLENTY), "equal scalars");
  }
  // Bits, as a circuit's wires have them, and a few others between.
  both.clear();
  for (size_t i = 0; i < points.size(); i++) both.push_back(random.oneIn(10) ? anyScalar(random) : integer(random.below(2)));
  const Input<F> bits = direct(points, both);
  checkAgainst(bits, bits.expected(), planMsm<F>(points.size(), options(window), PLENTY), "bits");
}

// Within a bucket: the same point over and over, points and their negatives, infinity.
template <class F>
void collisions() {
  Random random(9);
  const Known<F> p = pool<F>()[1];
  for (size_t n : {2, 90}) {
    const Fr s = random.oneIn(2) ? anyScalar(random) : integer(1);
    std::vector<Known<F>> equal(n, p), opposite, infinite, mixed;
    std::vector<Fr> plus(n, s), alternating;
    for (size_t i = 0; i < n; i++) {
      opposite.push_back(i % 2 ? negated(p) : p);
      infinite.push_back(nowhere<F>());
      mixed.push_back(i % 3 == 0 ? nowhere<F>() : i % 3 == 1 ? p : negated(p));
      alternating.push_back(i % 2 ? minus(s) : s);
    }
    for (const auto& points : {equal, opposite, infinite, mixed}) {
      for (const auto& values : {plus, alternating}) {
        const Input<F> input = direct(points, values);
        checkAgainst(input, input.expected(), planMsm<F>(n, options(5, n < 10 ? 0 : 1), PLENTY), "collisions");
      }
    }
  }
}

// Scalars by wire, several points to a wire, quotients behind them; pieces of the multiples that do not divide the points.
template <class F>
void sources() {
  Random random(10);
  for (size_t n : {1, 20, sizeof(F) == sizeof(Fq) ? 100 : 55}) {
    for (size_t wireCount : {size_t{0}, n / 3, n}) {
      Input<F> input;
      for (size_t i = 0; i < n; i++) input.add(random.oneIn(9) ? nowhere<F>() : anyPoint<F>(random));
      input.wireCount = wireCount;
      for (size_t i = 0; i < 40; i++) input.wireScalars.push_back(anyScalar(random));
      for (size_t i = wireCount; i < n; i++) input.quotients.push_back(anyScalar(random));
      for (size_t i = 0; i < wireCount; i++) input.wires.push_back(static_cast<uint32_t>(random.below(40)));
      if (input.wires.empty()) input.wires.push_back(0);  // not null: the key has such a list
      const Point<F> expected = input.expected();
      if (wireCount != n) checkAgainst(input, expected, planMsm<F>(n, options(6, 0), PLENTY), "sources", n < 50 ? 64 : n - 36);
      if (wireCount != 0) checkAgainst(input, expected, planMsm<F>(n, options(8, 3), PLENTY), "sources", n < 50 ? 1 : n - 1);
    }
    const Input<F> input = randomInput<F>(n, random);
    checkAgainst(input, input.expected(), planMsm<F>(n, options(6, 7), PLENTY), "sources", 49 * n / 100 + 1);
  }
}

// Sums of sorted entries by themselves, as if the card were large: with all entries in one bucket, three rounds of jobs.
void heavyBucket() {
  constexpr uint32_t N = 560000, BUCKETS = 8;
  MsmPlan plan;
  plan.window = 4;
  plan.windows = plan.levels = plan.sets = 1;
  plan.count = N;
  Random random(11);
  std::vector<Affine<Fq>> points;
  for (const auto& known : pool<Fq>()) points.push_back(known.point);
  std::vector<uint32_t> entries, starts;
  std::vector<Fr> expected(BUCKETS, Fr::zero());
  const uint32_t sizes[BUCKETS] = {3, 0, 0, N - 4003, 0, 3999, 1, 0};
  for (uint32_t b = 0; b < BUCKETS; b++) {
    starts.push_back(static_cast<uint32_t>(entries.size()));
    for (uint32_t i = 0; i < sizes[b]; i++) {
      const uint32_t k = static_cast<uint32_t>(random.below(points.size())), negative = random.word() & SIGN_BIT;
      entries.push_back(k | negative);
      expected[b] = plus(expected[b], negative ? minus(pool<Fq>()[k].factor) : pool<Fq>()[k].factor);
    }
  }
  starts.push_back(N);
  Stream stream;
  const DeviceArray<Affine<Fq>> onCard = uploaded(points);
  const DeviceArray<uint32_t> entriesOnCard = uploaded(entries), startsOnCard = uploaded(starts);
  DeviceArray<Point<Fq>> buckets(BUCKETS);
  Arena counting;
  ExtendedSums<Fq>(plan, 160, counting);
  DeviceArray<uint8_t> memory(counting.used());
  Arena arena(memory.get(), memory.size());
  const ExtendedSums<Fq> sums(plan, 160, arena);
  sums.enqueue(stream, onCard.get(), entriesOnCard.get(), startsOnCard.get(), buckets.get());
  const std::vector<Point<Fq>> out = downloaded(buckets.get(), BUCKETS, stream);
  for (uint32_t b = 0; b < BUCKETS; b++) {
    CHECK(same(out[b], times(generator<Fq>(), expected[b].fromMontgomery())), "bucket %u", b);
  }
}

// What a plan promises, and what it refuses.
template <class F>
int32_t refusal(uint64_t count, const CardOptions& options, uint64_t bytes) {
  try {
    planMsm<F>(count, options, bytes);
  } catch (const CardError& error) {
    return error.code;
  }
  return CARD_OK;
}
void plans() {
  CHECK(refusal<Fq>(1, options(3), PLENTY) == CARD_INPUT_INVALID && refusal<Fq>(1, options(21), PLENTY) == CARD_INPUT_INVALID);
  CHECK(refusal<Fq>(1, CardOptions{0, 0, 0, 3}, PLENTY) == CARD_INPUT_INVALID);
  CHECK(refusal<Fq>(uint64_t{1} << 31, options(), PLENTY) == CARD_OUT_OF_MEMORY);
  CHECK(refusal<Fq>(uint64_t{1} << 27, options(), PLENTY) == CARD_OK);
  CHECK(refusal<Fq>(uint64_t{1} << 27, options(16), PLENTY) == CARD_OUT_OF_MEMORY);  // 2^31 entries
  CHECK(refusal<Fq>(1000, options(), 1000 * 68) == CARD_OK && refusal<Fq>(1000, options(), 1000 * 68 - 1) == CARD_OUT_OF_MEMORY);
  CHECK(refusal<Fq2>(1000, options(), 1000 * 132) == CARD_OK && refusal<Fq2>(1000, options(), 1000 * 132 - 1) == CARD_OUT_OF_MEMORY);
  uint32_t narrow = 0;
  for (uint64_t count : {0, 1, 100, 1 << 10, 1 << 14, 1 << 18, 1 << 20, 1 << 22}) {
    uint32_t before = 0;
    for (uint64_t times : {1, 2, 5, 30}) {
      const uint64_t bytes = count * (64 * times + 4);
      const MsmPlan plan = planMsm<Fq>(count, options(), bytes);
      CHECK(plan.count == count && plan.levels <= std::max<uint64_t>(times, count == 0 ? 64 : 1) && plan.levels >= before);
      CHECK(plan.levels * plan.sets >= plan.windows && plan.sums <= CARD_MAX_SETS && plan.shift >= 1);
      const CardPoints host{nullptr, nullptr, count, count};
      CHECK(ResidentPoints<Fq>::bytes(host, plan) <= bytes);
      before = plan.levels;
    }
    const uint32_t window = planMsm<Fq>(count, options(0, 1), PLENTY).window;
    CHECK(window >= narrow, "windows grow with the points");
    narrow = window;
  }
  CHECK(planMsm<Fq>(uint64_t{1} << 20, options(0, 1), PLENTY).levels == 1 && planMsm<Fq>(uint64_t{1} << 20, options(), PLENTY).sets == 1);
}

// The abort flag, and views that do not fit.
void refusals() {
  Random random(12);
  const Input<Fq> input = randomInput<Fq>(20, random);
  const MsmPlan plan = planMsm<Fq>(20, options(5), PLENTY);
  Stream stream;
  CardPoints host{input.points.data(), nullptr, 20, 20};
  const int32_t stop = 1;
  int32_t code = CARD_OK;
  try {
    ResidentPoints<Fq>(host, plan, stream, &stop);
  } catch (const CardError& error) {
    code = error.code;
  }
  CHECK(code == CARD_ABORTED);
  for (const auto& [count, wireCount] : {std::pair<uint64_t, uint64_t>{19, 19}, {20, 21}}) {
    code = CARD_OK;
    host.count = count;
    host.wireCount = wireCount;
    try {
      ResidentPoints<Fq>(host, plan, stream, nullptr);
    } catch (const CardError& error) {
      code = error.code;
    }
    CHECK(code == CARD_INPUT_INVALID);
  }
}

// The CPU core on the same points and scalars, in its own encoding.
void put(const Fq& value, std::vector<uint8_t>& out) {
  const Fq integer = value.fromMontgomery();
  out.insert(out.end(), reinterpret_cast<const uint8_t*>(integer.l), reinterpret_cast<const uint8_t*>(integer.l) + 32);
}
void put(const Fq2& value, std::vector<uint8_t>& out) {
  put(value.c0, out);
  put(value.c1, out);
}
template <class F>
void put(const Affine<F>& p, std::vector<uint8_t>& out) {
  if (p.isInfinity()) {
    out.insert(out.end(), 2 * sizeof(F), 0);
  } else {
    put(p.x, out);
    put(p.y, out);
  }
}

template <class F>
void core(size_t n) {
  Random random(13);
  Input<F> input;
  const size_t wireCount = n / 2, variables = n / 3 + 1;
  for (size_t i = 0; i < n; i++) input.add(random.oneIn(20) ? nowhere<F>() : anyPoint<F>(random));
  for (size_t i = 0; i < variables; i++) input.wireScalars.push_back(random.oneIn(2) ? integer(random.below(3)) : anyScalar(random));
  for (size_t i = 0; i < wireCount; i++) input.wires.push_back(static_cast<uint32_t>(random.below(variables)));
  for (size_t i = wireCount; i < n; i++) input.quotients.push_back(anyScalar(random));
  input.wireCount = wireCount;

  std::vector<uint8_t> points, scalars, expected(2 * sizeof(F)), got;
  for (size_t i = 0; i < n; i++) {
    put(input.points[i], points);
    const auto* bytes = reinterpret_cast<const uint8_t*>(input.scalar(i).l);
    scalars.insert(scalars.end(), bytes, bytes + 32);
  }
  anchorproof::engine().msm(sizeof(F) > sizeof(Fq) ? 2 : 1, {points.data(), points.size()}, {scalars.data(), scalars.size()}, n, {},
                                     expected.data());
  for (uint32_t multiples : {1, 2}) {
    if (multiples > 1 && n > 1000) break;
    got.clear();
    put(affine(onCard(input, planMsm<F>(n, options(0, multiples), PLENTY))), got);
    CHECK(got == expected, "n = %zu", n);
  }
}
void coreG1() {
  core<Fq>(64);
  core<Fq>(1500);
}
void coreG2() {
  core<Fq2>(64);
  core<Fq2>(500);
}

// ── What is measured ──

// Signed digits that are not zero, of windows of so many bits.
uint64_t digitsOf(const Fr& scalar, uint32_t window) {
  const SignedScalar s = toSigned(scalar);
  uint64_t out = 0, carry = 0;
  for (uint32_t at = 0; at < 254; at += window) {
    uint64_t digit = carry;
    for (uint32_t bit = at; bit < std::min(at + window, 255u); bit++) digit += (uint64_t)(s.w[bit / 32] >> (bit % 32) & 1) << (bit - at);
    carry = digit >= uint64_t{1} << (window - 1) && at + window < 254;
    out += (carry ? digit != uint64_t{1} << window : digit != 0);
  }
  return out;
}

// Tables tell the work that there was, not what wide scalars would have made.
void measured() {
  constexpr size_t n = 300;
  constexpr uint32_t window = 7;
  Random random(17);
  const MsmPlan plan = planMsm<Fq>(n, options(window, 2), PLENTY);
  std::vector<Known<Fq>> points;
  for (size_t i = 0; i < n; i++) points.push_back(anyPoint<Fq>(random));
  Input<Fq> input = direct<Fq>(points, std::vector<Fr>(n, Fr::zero()));
  Stream stream;
  const ResidentPoints<Fq> resident({input.points.data(), nullptr, n, n}, plan, stream, nullptr);
  Arena counting;
  (void)Msm<Fq>(resident, counting);
  DeviceArray<uint8_t> memory(counting.peak()), zeros(64);
  CHECK_CUDA(cudaMemsetAsync(zeros.get(), 0, zeros.bytes(), stream));
  Arena arena(memory.get(), memory.size());
  const Msm<Fq> msm(resident, arena);
  DeviceArray<Point<Fq>> sums(plan.sums);
  EventMeter meter;
  double last = 0;
  for (int kind = 0; kind < 4; kind++) {
    uint64_t entries = 0;
    for (size_t i = 0; i < n; i++) {
      const uint64_t wide = kind == 3 || (kind == 2 && i % 4 == 0);
      input.wireScalars[i] = wide ? anyScalar(random) : kind == 0 ? Fr::zero() : integer(i % 2);
      entries += digitsOf(input.wireScalars[i], window);
    }
    CHECK((entries == 0) == (kind == 0) && entries <= plan.entries() && (kind < 3 || entries > plan.entries() * 9 / 10));
    const DeviceArray<SignedScalar> scalars = uploaded(signedOf(input.wireScalars));
    meter.reset();
    // Two in a row, as in a proof: each has its own number.
    for (int run = 0; run < 2; run++) msm.enqueue(stream, scalars.get(), nullptr, sums.get(), &meter);
    finish(stream);
    CardPhases phases;
    meter.read(phases);
    CHECK(phases.count == 4);
    CHECK(phases.at[0].bytes == 2 * (n * 36 + entries * 12 + plan.buckets() * 4) && phases.at[0].operations == 0, "%llu bytes",
          (unsigned long long)phases.at[0].bytes);
    CHECK(phases.at[1].bytes == 2 * (n * 36 + entries * 12 + plan.buckets() * 12));
    const double products = static_cast<double>(phases.at[2].operations) / 2;
    CHECK(kind == 0 ? products == 0 && phases.at[3].operations == 0 : products > last && products < static_cast<double>(entries) * Cost<Fq>::ADD,
          "%.0f products for %llu entries", products, (unsigned long long)entries);
    last = products;
    meter.wipeBehind(stream, zeros.get());
    finish(stream);
    meter.read(phases);
    CHECK(phases.at[0].bytes == 2 * (n * 36 + plan.buckets() * 4), "the numbers were not wiped");
  }
}

}  // namespace

int main(int argc, char** argv) {
  return anchorproof::test::run(argc, argv,
                                {{"scans", scans},
                                 {"large-scan", largeScan},
                                 {"plans", plans},
                                 {"refusals", refusals},
                                 {"sizes-g1", sizes<Fq>},
                                 {"sizes-g2", sizes<Fq2>},
                                 {"shapes-g1", shapes<Fq>},
                                 {"shapes-g2", shapes<Fq2>},
                                 {"large-windows", largeWindows},
                                 {"largest-window", largestWindow},
                                 {"scalars-g1", scalars<Fq>},
                                 {"scalars-g2", scalars<Fq2>},
                                 {"collisions-g1", collisions<Fq>},
                                 {"collisions-g2", collisions<Fq2>},
                                 {"sources-g1", sources<Fq>},
                                 {"sources-g2", sources<Fq2>},
                                 {"heavy-bucket", heavyBucket},
                                 {"core-g1", coreG1},
                                 {"core-g2", coreG2},
                                 {"measured", measured}});
}
