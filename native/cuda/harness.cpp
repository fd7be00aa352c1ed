// anchorproof-cards: checks a GPU library against the core, and times it. It needs no Node, only the library and this file's
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
// byte for byte. Field operations are the core's; those of Fq², which it does not offer, are this file's, on the same headers.
#define ENGINE_NS harness
#include "../src/engine_std.h"

#include "../src/cards.h"
#include "../src/ptau.h"

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

constexpr char kUsage[] =
    "usage: anchorproof-cards check LIBRARY [--max LOG] [--max-proof LOG] [--only field,msm1,msm2,ntt,quotient,proof] [--quick]\n"
    "       anchorproof-cards bench LIBRARY [--sizes FROM..TO] [--proof LOG] [--runs N] [--json FILE]\n"
    "       both: [--device N] [--seed S] [--threads N] [--work DIR] [--seconds N]";

using Buffer = std::vector<uint8_t>;
using Clock = std::chrono::steady_clock;

struct UsageError : std::runtime_error {
  using std::runtime_error::runtime_error;
};
// A result that is wrong.
struct Mismatch : std::runtime_error {
  using std::runtime_error::runtime_error;
};
// Going on makes no sense: the card is lost, or nothing is right.
struct Stop : std::runtime_error {
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

// ---- arguments ----

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

// ---- points with known logarithms ----

// logs[i] is in Montgomery form: points[i] = logs[i]·G.
template <class F>
struct Points {
  std::vector<Affine<F>> points;
  std::vector<Fr> logs;
  size_t size() const { return points.size(); }
};

constexpr size_t PIECE = 1024;

template <class F>
void forPieces(const Control& control, size_t n, const F& body) {
  parallel(control, (n + PIECE - 1) / PIECE, [&](size_t piece, size_t) { body(piece * PIECE, std::min(n, (piece + 1) * PIECE)); });
}

// step·G, 2·step·G, …
template <class F>
Points<F> multiplesOf(const Fr& step, size_t n) {
  Points<F> out;
  const Fr words = step.fromMontgomery();
  const Point<F> first = generator<F>().times(words.l);
  Point<F> sum = Point<F>::infinity();
  Fr log = Fr::zero();
  for (size_t i = 0; i < n; i++) {
    sum += first;
    log += step;
    out.points.push_back(sum.toAffine());
    out.logs.push_back(log);
  }
  return out;
}

// n points that are all distinct, as in a key: i·α·G + j·β·G, whose coordinates cost ten multiplications each. α and β are random,
// so that no sum meets equal or opposite points.
template <class F>
Points<F> distinctPoints(size_t n, u64 seed, const Control& control) {
  Random random(seed);
  size_t inner = 1;
  while (inner * inner < n) inner *= 2;
  const Points<F> low = multiplesOf<F>(random.integer<Fr>(), inner);
  const Points<F> high = multiplesOf<F>(random.integer<Fr>(), (n + inner - 1) / inner);
  Points<F> out;
  out.points.resize(n);
  out.logs.resize(n);
  forPieces(control, n, [&](size_t from, size_t to) {
    // products[i − from]: of all differences before i. One inversion for a piece.
    std::vector<F> products;
    F product = F::one();
    for (size_t i = from; i < to; i++) {
      products.push_back(product);
      product *= high.points[i / inner].x - low.points[i % inner].x;
    }
    F inverse = product.inverse();
    for (size_t i = to; i-- > from;) {
      const Affine<F>&a = low.points[i % inner], &b = high.points[i / inner];
      const F d = b.x - a.x, lambda = (b.y - a.y) * inverse * products[i - from];
      inverse *= d;
      const F x = lambda.sqr() - a.x - b.x;
      out.points[i] = {x, lambda * (a.x - x) - a.y};
      out.logs[i] = low.logs[i % inner] + high.logs[i / inner];
    }
  });
  return out;
}

enum class PointKind { Distinct, Equal, Opposite, Few, SomeInfinity, AllInfinity };
constexpr const char* kPointKinds[] = {"distinct", "equal", "P and -P", "few", "some infinity", "all infinity"};

// n points of a kind, from distinct ones.
template <class F>
Points<F> pointsOf(PointKind kind, size_t n, const Points<F>& base, Random& random) {
  Points<F> out;
  out.points.reserve(n);
  out.logs.reserve(n);
  for (size_t i = 0; i < n; i++) {
    size_t from = i;
    bool negative = false, infinity = false;
    switch (kind) {
      case PointKind::Distinct:
        break;
      case PointKind::Equal:
        from = 0;
        break;
      case PointKind::Opposite:
        from = i / 2;
        negative = i % 2 == 1;
        break;
      case PointKind::Few:
        from = random.below(std::min<size_t>(16, base.size()));
        negative = random.below(2) == 1;
        break;
      case PointKind::SomeInfinity:
        infinity = random.below(3) == 0;
        break;
      case PointKind::AllInfinity:
        infinity = true;
    }
    Affine<F> point = infinity ? Affine<F>::infinity() : base.points[from];
    if (negative) point.y = -point.y;
    out.points.push_back(point);
    out.logs.push_back(infinity ? Fr::zero() : negative ? -base.logs[from] : base.logs[from]);
  }
  return out;
}

// ---- scalars: integers in an Fr's words ----

enum class ScalarKind { Random, Zero, One, MinusOne, Equal, Alternating, Bits, Single, Small, Edges, Wires };
constexpr const char* kScalarKinds[] = {"random", "zero", "one", "r-1", "equal", "alternating", "bits", "single", "small", "edges", "as wires"};
constexpr size_t kPointKindCount = sizeof kPointKinds / sizeof *kPointKinds, kScalarKindCount = sizeof kScalarKinds / sizeof *kScalarKinds;

Fr integerOf(u64 value) { return Fr{{value, 0, 0, 0}}; }
Fr minus(const Fr& integer) { return -integer; }  // r − a, 0 for 0: the words' form does not matter

// Where digits of signed windows carry, and where scalars change their sign: (r ± 1)/2.
const std::vector<Fr>& edgeScalars() {
  static const std::vector<Fr> edges = [] {
    std::vector<Fr> out;
    auto add = [&](const Fr& value) {
      if (!value.isReduced()) return;
      out.push_back(value);
      out.push_back(minus(value));
    };
    Fr half = minus(integerOf(1));
    for (int i = 0; i < 4; i++) half.l[i] = half.l[i] >> 1 | (i < 3 ? half.l[i + 1] << 63 : 0);
    for (u64 k = 0; k < 3; k++) add(integerOf(k));
    add(half);
    add(half - integerOf(1));
    for (int k = 1; k < 254; k++) {
      Fr power = Fr::zero();
      power.l[k / 64] = (u64)1 << (k % 64);
      add(power);
      add(power - integerOf(1));
    }
    // All digits at half a window, one less, one more, and all bits set.
    for (int window = 4; window <= 20; window++) {
      for (u64 digit : {(u64)1 << (window - 1), ((u64)1 << (window - 1)) - 1, ((u64)1 << (window - 1)) + 1, ((u64)1 << window) - 1}) {
        Fr value = Fr::zero();
        for (int at = 0; at + window <= 253; at += window) {
          for (int bit = 0; bit < window; bit++) value.l[(at + bit) / 64] |= (digit >> bit & 1) << ((at + bit) % 64);
        }
        add(value);
      }
    }
    return out;
  }();
  return edges;
}

std::vector<Fr> scalarsOf(ScalarKind kind, size_t n, u64 seed, const Control& control) {
  std::vector<Fr> out(n);
  const Fr some = integerAt(seed, n);
  const size_t single = n > 0 ? Random(seed).below(n) : 0;
  forPieces(control, n, [&](size_t from, size_t to) {
    for (size_t i = from; i < to; i++) {
      Random random(mixed(seed) + i);
      switch (kind) {
        case ScalarKind::Random:
          out[i] = integerAt(seed, i);
          break;
        case ScalarKind::Zero:
          out[i] = Fr::zero();
          break;
        case ScalarKind::One:
          out[i] = integerOf(1);
          break;
        case ScalarKind::MinusOne:
          out[i] = minus(integerOf(1));
          break;
        case ScalarKind::Equal:
          out[i] = some;
          break;
        case ScalarKind::Alternating:
          out[i] = i % 2 == 0 ? some : minus(some);
          break;
        case ScalarKind::Bits:
          out[i] = integerOf(random.below(2));
          break;
        case ScalarKind::Single:
          out[i] = i == single ? some : Fr::zero();
          break;
        case ScalarKind::Small:
          out[i] = integerOf(random.below(1 << 16));
          if (random.below(2)) out[i] = minus(out[i]);
          break;
        case ScalarKind::Edges:
          out[i] = edgeScalars()[random.below(edgeScalars().size())];
          break;
        case ScalarKind::Wires:  // half bits, an eighth bytes, the rest anything
          const u64 which = random.below(8);
          out[i] = which < 4 ? integerOf(random.below(2)) : which == 4 ? integerOf(random.below(256)) : integerAt(seed, i);
      }
    }
  });
  return out;
}

// Σ sᵢ·kᵢ as an integer: the product of Montgomery form and integer is the integer.
Fr dot(const Fr* scalars, const Fr* logs, size_t n, const Control& control) {
  std::mutex mutex;
  Fr sum = Fr::zero();
  forPieces(control, n, [&](size_t from, size_t to) {
    Fr part = Fr::zero();
    for (size_t i = from; i < to; i++) part += scalars[i] * logs[i];
    std::lock_guard<std::mutex> lock(mutex);
    sum += part;
  });
  return sum;
}

template <class F>
Buffer encoded(const Point<F>& point) {
  Buffer out(2 * sizeof(F));
  writePoint(point, out.data());
  return out;
}

// Points as Engine::msm takes them.
template <class F>
Buffer encodedPoints(const Affine<F>* points, size_t n, const Control& control) {
  constexpr size_t size = 2 * sizeof(F);
  Buffer out(n * size);
  forPieces(control, n, [&](size_t from, size_t to) {
    for (size_t i = from; i < to; i++) {
      if (points[i].isInfinity()) continue;
      points[i].x.write(out.data() + i * size);
      points[i].y.write(out.data() + i * size + sizeof(F));
    }
  });
  return out;
}

// ---- the card ----

class Card {
 public:
  Card(const Arguments& arguments) : cards(Cards::open(arguments.library)), device(arguments.device), api(cards->api()) {
    control.threads = arguments.threads;
    description = cards->describe(device);
  }

  // Throws what a status says.
  void expect(const CardStatus& status) const {
    if (status.code == CARD_OK) return;
    if (status.lost) throw Stop(std::string("the card is lost: ") + status.message);
    throwCardStatus(status);
  }

  void print() const {
    const CardDescription& d = description;
    printf("card %d of %d: %s, compute capability %u.%u, %.1f GiB, %u multiprocessors at %u MHz, L2 %.0f MiB\n", device,
           cards->devices(), d.name, d.major, d.minor, (double)d.memoryBytes / (1 << 30), d.multiprocessors,
           d.clockKhz / 1000, (double)d.cacheBytes / (1 << 20));
    printf("CUDA: driver %d.%d, runtime %d.%d; library %s; core %s, %u threads\n", d.driver / 1000, d.driver % 1000 / 10, d.runtime / 1000,
           d.runtime % 1000 / 10, api.build, engine().name(), control.threads);
    if (cards->emulated()) printf("emulated: times mean nothing\n");
    fflush(stdout);
  }

  uint64_t freeBytes() const {
    CardStatus status = {};
    const uint64_t bytes = api.freeMemory(device, &status);
    expect(status);
    return bytes;
  }

  std::shared_ptr<const Cards> cards;
  int device;
  const CardApi& api;
  CardDescription description;
  Control control;
};

template <class F>
struct SumOf;
template <>
struct SumOf<Fq> {
  using type = CardSum1;
  static constexpr auto call = &CardApi::msm1;
  static constexpr int group = 1;
  static constexpr const char* name = "G1";
};
template <>
struct SumOf<Fq2> {
  using type = CardSum2;
  static constexpr auto call = &CardApi::msm2;
  static constexpr int group = 2;
  static constexpr const char* name = "G2";
};

template <class F>
Point<F> cardMsm(const Card& card, const Affine<F>* points, const Fr* scalars, size_t n, const CardOptions* options, unsigned repeat,
                 CardPhases* phases) {
  auto sum = std::make_unique<typename SumOf<F>::type>();
  memset(static_cast<void*>(sum.get()), 0xa5, sizeof *sum);
  CardStatus status = {};
  const CardControl how = {nullptr, phases != nullptr};
  (card.api.*SumOf<F>::call)(card.device, points, reinterpret_cast<const uint8_t*>(scalars), n, options, repeat, &how, sum.get(), phases,
                             &status);
  card.expect(status);
  if (sum->sets > CARD_MAX_SETS || sum->shift > 254) throw Mismatch("the sum has an impossible number of sets");
  Point<F> out = Point<F>::infinity();
  for (uint32_t set = sum->sets; set-- > 0;) {
    for (uint32_t i = 0; i < sum->shift; i++) out = out.dbl();
    Point<F> part;
    static_assert(sizeof part == sizeof sum->sums[0], "the memory of a sum");
    memcpy(static_cast<void*>(&part), sum->sums[set], sizeof part);
    for (const F* coordinate : {&part.x, &part.y, &part.zz, &part.zzz}) {
      if (!areReduced(*coordinate)) throw Mismatch("a sum's coordinate is not reduced");
    }
    out += part;
  }
  return out;
}

std::vector<CardTime> timesOf(const CardPhases& phases) {
  std::vector<CardTime> out;
  for (uint32_t i = 0; i < std::min(phases.count, CARD_MAX_PHASES); i++) {
    const CardPhase& p = phases.at[i];
    out.push_back({std::string(p.name, strnlen(p.name, sizeof p.name)), p.ms, p.bytes, p.operations});
  }
  return out;
}

// ---- circuits ----

// A circuit of 2^power rows that is made here, and looks like real ones to a prover. Every row has a wire of its own. Of eight rows
//   four are bits, b·(b − 1) = 0, so that half of the witness is zeros and ones;
//   two are squares, x² = y − i, a chain;
//   one is a product of sums of three, with small coefficients;
//   one is a product of a sum of eight with full coefficients, as of a hash's matrix;
// and every 1024th is the sum of up to 300 bits, times powers of two. A and B have 4.3 entries a row. About a quarter of the wires
// are outside of A, more outside of B.
class Circuit {
 public:
  Circuit(unsigned power, const std::string& folder)
      : power_(power), folder_(folder), rows_(((uint32_t)1 << power) - PUBLICS - 1), wires_(1 + PUBLICS + rows_) {}

  static constexpr uint32_t PUBLICS = 1;
  unsigned power() const { return power_; }
  uint32_t wires() const { return wires_; }
  std::string zkey() const { return folder_ + text("/circuit%u.zkey", power_); }

  // Makes the key where it is not there yet. Milliseconds, 0 for none.
  double makeKey(const Control& control) const {
    if (std::filesystem::exists(zkey())) return 0;
    const auto start = Clock::now();
    const std::string r1cs = folder_ + text("/circuit%u.r1cs", power_);
    writeR1cs(r1cs);
    static const char stamp[] = "anchorproof-cards";
    engine().setupDevelopment(r1cs, zkey(), {reinterpret_cast<const uint8_t*>(stamp), sizeof stamp - 1}, control);
    std::filesystem::remove(r1cs);
    return secondsSince(start) * 1e3;
  }

  // A .wtns file. The values are those that fulfil the rows.
  Buffer witness(u64 seed) const {
    std::vector<Fr> w(wires_);
    w[0] = Fr::one();
    w[1] = integerAt(seed, ~(size_t)0).toMontgomery();
    Row row;
    for (uint32_t i = 0; i < rows_; i++) {
      Fr& own = w[FIRST + i];
      rowOf(i, row);
      if (isBit(i)) {
        own = Random(mixed(seed) + i).below(2) ? Fr::one() : Fr::zero();
        continue;
      }
      // C is the wire itself, with factor one, and what is known.
      const Fr product = evaluate(row.matrix[0], w) * evaluate(row.matrix[1], w);
      own = Fr::zero();
      own = product - evaluate(row.matrix[2], w);
    }
    Buffer out;
    put(out, "wtns", 4);
    put32(out, 2);
    put32(out, 2);
    section(out, 1, 40);
    put32(out, 32);
    put(out, Fr::P, 32);
    put32(out, wires_);
    section(out, 2, (u64)wires_ * 32);
    const size_t at = out.size();
    out.resize(at + (size_t)wires_ * 32);
    for (uint32_t i = 0; i < wires_; i++) w[i].write(out.data() + at + (size_t)i * 32);
    return out;
  }

  // Where a wire's value is in such a file.
  static constexpr size_t valueAt(uint32_t wire) { return 12 + 12 + 40 + 12 + (size_t)wire * 32; }

 private:
  static constexpr uint32_t FIRST = 1 + PUBLICS, LONG_ROW = 300;
  struct Entry {
    uint32_t wire;
    Fr value;  // an integer
  };
  struct Row {
    std::vector<Entry> matrix[3];
  };

  unsigned power_;
  std::string folder_;
  uint32_t rows_, wires_;

  static bool isLong(uint32_t i) { return i % 1024 == 1023; }
  static bool isBit(uint32_t i) { return i % 2 == 0; }
  // The wires of the rows before that are no bits; the public signal, where there are too few.
  static uint32_t value(uint32_t i, uint32_t back) {
    const uint32_t distance = (i % 2 == 1 ? 2 : 1) + 2 * back;
    return distance > i ? 1 : FIRST + i - distance;
  }
  static uint32_t bit(uint32_t i, uint32_t back) {
    const uint32_t distance = (i % 2 == 1 ? 1 : 2) + 2 * back;
    return distance > i ? 0 : FIRST + i - distance;
  }

  static void rowOf(uint32_t i, Row& row) {
    auto& [a, b, c] = row.matrix;
    a.clear(), b.clear(), c.clear();
    const uint32_t own = FIRST + i;
    const Fr one = integerOf(1);
    if (isBit(i)) {
      a.push_back({own, one});
      b.push_back({own, one});
      b.push_back({0, minus(one)});
      return;
    }
    c.push_back({own, one});
    if (isLong(i)) {
      // Horner's powers of two; far down they are full integers of 254 bits.
      Fr factor = one;
      for (uint32_t k = 0; k < LONG_ROW; k++, factor = factor + factor) a.push_back({bit(i, k), factor});
      b.push_back({0, one});
    } else if (i % 8 == 1 || i % 8 == 5) {
      a.push_back({value(i, 0), one});
      b.push_back({value(i, 0), one});
      c.push_back({0, minus(integerOf(i))});
    } else if (i % 8 == 3) {
      a.push_back({value(i, 0), integerOf(3)});
      a.push_back({bit(i, 0), one});
      a.push_back({bit(i, 1), minus(one)});
      b.push_back({value(i, 1), one});
      b.push_back({value(i, 2), minus(one)});
      b.push_back({0, integerOf(5)});
    } else {
      // 32 distinct coefficients in all
      for (uint32_t k = 0; k < 8; k++) a.push_back({k % 2 ? bit(i, k) : value(i, k), integerAt(0x5b0c, (i / 8 + k) % 32)});
      b.push_back({value(i, 0), one});
    }
    // No wire twice in a row, as the format asks: small circuits name the public signal again and again.
    for (std::vector<Entry>& entries : row.matrix) merge(entries);
  }

  static void merge(std::vector<Entry>& entries) {
    std::stable_sort(entries.begin(), entries.end(), [](const Entry& x, const Entry& y) { return x.wire < y.wire; });
    size_t kept = 0;
    for (const Entry& entry : entries) {
      if (kept > 0 && entries[kept - 1].wire == entry.wire) {
        entries[kept - 1].value += entry.value;
      } else {
        entries[kept++] = entry;
      }
    }
    entries.resize(kept);
  }

  static Fr evaluate(const std::vector<Entry>& entries, const std::vector<Fr>& w) {
    Fr sum = Fr::zero();
    for (const Entry& entry : entries) sum += entry.value.toMontgomery() * w[entry.wire];
    return sum;
  }

  static void put(Buffer& out, const void* data, size_t size) {
    const size_t at = out.size();
    out.resize(at + size);
    memcpy(out.data() + at, data, size);
  }
  static void put32(Buffer& out, uint32_t value) { put(out, &value, 4); }
  static void section(Buffer& out, uint32_t type, u64 size) {
    put32(out, type);
    put(out, &size, 8);
  }

  // iden3's format, see r1cs.h.
  void writeR1cs(const std::string& path) const {
    Buffer header, content;
    put32(header, 32);
    put(header, Fr::P, 32);
    for (uint32_t word : {wires_, 0u, PUBLICS, 0u}) put32(header, word);  // public outputs, public inputs, private inputs
    const u64 labels = wires_;
    put(header, &labels, 8);
    put32(header, rows_);
    Row row;
    for (uint32_t i = 0; i < rows_; i++) {
      rowOf(i, row);
      for (const std::vector<Entry>& entries : row.matrix) {
        put32(content, (uint32_t)entries.size());
        for (const Entry& entry : entries) {
          put32(content, entry.wire);
          put(content, entry.value.l, 32);
        }
      }
    }
    std::vector<u64> names(wires_);
    for (uint32_t i = 0; i < wires_; i++) names[i] = i;
    OutputFile file(path, "r1cs", 1, 3);
    file.section(1, header.data(), header.size());
    file.section(2, content.data(), content.size());
    file.section(3, names.data(), names.size() * 8);
    file.finish();
  }
};

// The verifying key within a proving key: sections 2 (after its numbers α₁ β₁ β₂ γ₂ δ₁ δ₂) and 3, in Montgomery form.
std::unique_ptr<VerifyingKey> verifyingKeyOf(const std::string& zkey) {
  constexpr size_t numbers = 4 + 32 + 4 + 32 + 3 * 4;
  const InputFile file(zkey);
  auto read = [&](u64 at, void* out, size_t size) { file.read(at, out, size, Code::KeyMalformed); };
  const auto sections = readSections(file.size(), "zkey", 1, Code::KeyMalformed, read);
  const u64 at = sectionOf(sections, 2, Code::KeyMalformed).offset + numbers;
  const Section ic = sectionOf(sections, 3, Code::KeyMalformed);
  Buffer key(64 + 3 * 128 + ic.size);
  read(at, key.data(), 64);
  read(at + 128, key.data() + 64, 256);
  read(at + 448, key.data() + 320, 128);
  read(ic.offset, key.data() + 448, ic.size);
  for (size_t i = 0; i < key.size(); i += 32) {
    Fq value;
    memcpy(value.l, key.data() + i, 32);
    value.write(key.data() + i);
  }
  return engine().openVerifyingKey(view(key));
}

Blinding blindingOf(u64 seed) {
  Blinding out;
  memcpy(out.r, integerAt(seed, 1).l, 32);
  memcpy(out.s, integerAt(seed, 2).l, 32);
  return out;
}

bool verifies(const VerifyingKey& key, const Proof& proof) {
  try {
    return key.verify(view(proof.publics), {proof.bytes, sizeof proof.bytes});
  } catch (const Failure& failure) {
    if (failure.code == Code::ProofMalformed) return false;
    throw;
  }
}

void compare(const Proof& got, const Proof& wanted, const std::string& what) {
  const char* parts[] = {"A", "B", "B", "C"};
  for (int i = 0; i < 4; i++) {
    if (memcmp(got.bytes + i * 64, wanted.bytes + i * 64, 64) != 0) throw Mismatch(what + ": the proof's " + parts[i] + " is not the core's");
  }
  if (got.publics != wanted.publics) throw Mismatch(what + ": the public signals are not the core's");
}

// A folder for keys: the given one, or one that ends with the process.
class Folder {
 public:
  explicit Folder(const std::string& given) : path_(given), given_(!given.empty()) {
    if (given_) {
      std::filesystem::create_directories(path_);
      return;
    }
    std::string pattern = (std::filesystem::temp_directory_path() / "anchorproof-cards-XXXXXX").string();
    if (!mkdtemp(pattern.data())) throw Failure(Code::Io, pattern + " cannot be made: " + strerror(errno));
    path_ = pattern;
  }
  Folder(const Folder&) = delete;
  ~Folder() {
    std::error_code ignored;
    if (!given_) std::filesystem::remove_all(path_, ignored);
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
  bool given_;
};

// ---- check ----

class Checks {
 public:
  Checks(const Arguments& arguments) : arguments_(arguments), card_(arguments), folder_(arguments.work) {}

  int run() {
    card_.print();
    try {
      part("field", [&] { fields(); });
      if (arguments_.only.empty()) group("stops", [&] { stops(); });
      // Small sizes of everything come first, so that little time shows much.
      const unsigned small = std::min(arguments_.max, 10u);
      part("ntt", [&] { transforms(0, small); });
      part("quotient", [&] { quotients(1, small); });
      part("msm1", [&] { sums<Fq>(0, small); });
      part("msm2", [&] { sums<Fq2>(0, small); });
      part("proof", [&] { proofs(2, std::min(arguments_.maxProof, 10u)); });
      if (arguments_.max > small) {
        part("ntt", [&] { transforms(small + 1, arguments_.max); });
        part("quotient", [&] { quotients(small + 1, arguments_.max); });
        part("msm1", [&] { sums<Fq>(small + 1, arguments_.max); });
      }
      if (arguments_.maxProof > 10) part("proof", [&] { proofs(11, arguments_.maxProof); });
      if (arguments_.max > small) part("msm2", [&] { sums<Fq2>(small + 1, arguments_.max); });
    } catch (const Stop& stop) {
      printf("STOPPED %s\n", stop.what());
      failed_++;
    }
    printf("check: %zu checks, %zu failed, %zu left out for time, seed %llu, %.1f s\n", done_, failed_, leftOut_,
           (unsigned long long)arguments_.seed, secondsSince(start_));
    return failed_ > 0 ? 1 : 0;
  }

 private:
  const Arguments& arguments_;
  Card card_;
  Folder folder_;
  Clock::time_point start_ = Clock::now();
  size_t done_ = 0, failed_ = 0, leftOut_ = 0;

  template <class Body>
  void part(const char* name, const Body& body) {
    if (!arguments_.only.empty() && arguments_.only.count(name) == 0) return;
    body();
  }

  bool outOfTime() const { return secondsSince(start_) > arguments_.seconds; }
  // The emulated card, and a card under a tool that slows it down, do less of everything.
  bool isSlow() const { return card_.cards->emulated() || arguments_.quick; }

  // One line for a group of checks.
  template <class Body>
  void group(const std::string& name, const Body& body) {
    if (outOfTime()) {
      leftOut_++;
      printf("left out for time  %s\n", name.c_str());
      return;
    }
    const auto start = Clock::now();
    const size_t done = done_, failed = failed_;
    body();
    printf("%s  %-34s %6zu checks %8.2f s\n", failed_ == failed ? "ok    " : "FAILED", name.c_str(), done_ - done, secondsSince(start));
    fflush(stdout);
  }

  // One check: body throws when it fails.
  template <class Body>
  void check(const std::string& what, const Body& body) {
    done_++;
    std::string reason;
    try {
      body();
      return;
    } catch (const Stop& stop) {
      throw Stop(what + ": " + stop.what());
    } catch (const std::exception& error) {
      reason = error.what();
    }
    const bool lost = reason.find("serves this process no more") != std::string::npos;  // throwCardStatus() says so
    failed_++;
    printf("WRONG   %s: %s  [--seed %llu]\n", what.c_str(), reason.c_str(), (unsigned long long)arguments_.seed);
    fflush(stdout);
    if (lost) throw Stop("the card is lost");
    if (failed_ >= 25) throw Stop("too much is wrong");
  }

  // The call must fail with a code.
  template <class Body>
  void refusal(const std::string& what, Code code, const Body& body) {
    check(what, [&] {
      try {
        body();
      } catch (const Failure& failure) {
        if (failure.code == code) return;
        throw Mismatch(std::string("it fails otherwise: ") + failure.what());
      }
      throw Mismatch("it was accepted");
    });
  }

  u64 seedFor(u64 a, u64 b = 0, u64 c = 0) const { return mixed(mixed(mixed(mixed(arguments_.seed) + a) + b) + c); }

  // -- fields

  template <class Field>
  static std::vector<Field> operands(u64 seed, size_t randoms) {
    std::vector<Field> out;
    auto add = [&](const Field& value) {
      if (value.isReduced()) out.push_back(value);
    };
    const Field one{{1, 0, 0, 0}};
    for (u64 k = 0; k < 4; k++) {
      add(Field{{k, 0, 0, 0}});
      add(-Field{{k, 0, 0, 0}});
    }
    for (const Limbs& power : {Field::R1, Field::R2, Field::R3}) {
      add(Field::fromLimbs(power));
      add(-Field::fromLimbs(power));
    }
    // Carries through all words: ones from bit 0 to k, from 32·k on, and every other word; the limbs of the order themselves.
    for (int k = 1; k < 8; k++) {
      Field low = Field::zero(), high = Field{{Field::P[0], Field::P[1], Field::P[2], Field::P[3]}};
      for (int i = 0; i < 32 * k; i++) low.l[i / 64] |= (u64)1 << (i % 64);
      for (int i = 0; i < 32 * k; i++) high.l[i / 64] &= ~((u64)1 << (i % 64));
      add(low);
      add(low + one);
      add(high);
      add(-high);
    }
    add(Field{{0xffffffff00000000, 0xffffffff00000000, 0xffffffff00000000, 0x2fffffff00000000}});
    add(Field{{0x00000000ffffffff, 0x00000000ffffffff, 0x00000000ffffffff, 0x00000000ffffffff}});
    add(Field{{~(u64)0, ~(u64)0, ~(u64)0, 0x2fffffffffffffff}});
    add(Field{{0, ~(u64)0, 0, 0x2fffffffffffffff}});
    Random random(seed);
    for (size_t i = 0; i < randoms; i++) out.push_back(random.integer<Field>());
    return out;
  }

  static constexpr const char* kOps[] = {"mul", "square", "add", "sub", "neg", "inverse"};
  static bool isBinary(int op) { return op == CARD_MUL || op == CARD_ADD || op == CARD_SUB; }

  Buffer onCard(int field, int op, const Buffer& a, const Buffer& b, size_t size) const {
    Buffer out(a.size(), 0xa5);
    CardStatus status = {};
    card_.api.field(card_.device, field, op, a.data(), isBinary(op) ? b.data() : nullptr, a.size() / size, out.data(), &status);
    card_.expect(status);
    return out;
  }

  static void compareElements(const Buffer& got, const Buffer& wanted, size_t size) {
    if (got == wanted) return;
    size_t wrong = 0, first = got.size();
    for (size_t i = 0; i < got.size(); i += size) {
      if (memcmp(got.data() + i, wanted.data() + i, size) == 0) continue;
      wrong++;
      first = std::min(first, i);
    }
    throw Mismatch(text("%zu of %zu elements differ, the first is %zu", wrong, got.size() / size, first / size));
  }

  // All pairs of edges, and random pairs.
  template <class Field>
  void pairs(u64 seed, size_t randoms, Buffer& a, Buffer& b) const {
    auto put = [](Buffer& out, const Field& value) {
      const uint8_t* bytes = reinterpret_cast<const uint8_t*>(value.l);
      out.insert(out.end(), bytes, bytes + 32);
    };
    const std::vector<Field> edges = operands<Field>(seed, 8);
    for (const Field& x : edges) {
      for (const Field& y : edges) put(a, x), put(b, y);
    }
    Random random(seed + 1);
    for (size_t i = 0; i < randoms; i++) put(a, random.integer<Field>()), put(b, random.integer<Field>());
  }

  template <class Field>
  void field(bool base, const char* name) {
    group(std::string("field ") + name, [&] {
      Buffer a, b;
      pairs<Field>(seedFor(1, base), isSlow() ? 500 : 100000, a, b);
      for (int op = CARD_MUL; op <= CARD_INVERSE; op++) {
        check(std::string(name) + " " + kOps[op], [&] {
          Buffer wanted(a.size());
          const Bytes second = isBinary(op) ? view(b) : Bytes{};
          engine().field(base, static_cast<FieldOp>(op), view(a), second, a.size() / 32, wanted.data());
          compareElements(onCard(base ? CARD_FQ : CARD_FR, op, a, b, 32), wanted, 32);
        });
      }
      check(std::string(name) + " of no elements", [&] { onCard(base ? CARD_FQ : CARD_FR, CARD_MUL, {}, {}, 32); });
    });
  }

  void fields() {
    static_assert((int)FieldOp::Inverse == CARD_INVERSE && (int)FieldOp::Sub == CARD_SUB, "one order of operations");
    field<Fq>(true, "Fq");
    field<Fr>(false, "Fr");
    group("field Fq2", [&] {
      // Parts from the list in all four places: (x, y) and (y, x) against the list shifted by one.
      Buffer flat, other, a, b;
      pairs<Fq>(seedFor(2), isSlow() ? 500 : 100000, flat, other);
      const size_t n = flat.size() / 32;
      for (size_t i = 0; i < n; i++) {
        const size_t k = (i * 7919 + 1) % n;
        a.insert(a.end(), flat.begin() + (ptrdiff_t)(i * 32), flat.begin() + (ptrdiff_t)(i * 32 + 32));
        a.insert(a.end(), other.begin() + (ptrdiff_t)(i * 32), other.begin() + (ptrdiff_t)(i * 32 + 32));
        b.insert(b.end(), other.begin() + (ptrdiff_t)(k * 32), other.begin() + (ptrdiff_t)(k * 32 + 32));
        b.insert(b.end(), flat.begin() + (ptrdiff_t)(i * 32), flat.begin() + (ptrdiff_t)(i * 32 + 32));
      }
      for (int op = CARD_MUL; op <= CARD_INVERSE; op++) {
        check(std::string("Fq2 ") + kOps[op], [&] {
          Buffer wanted(a.size());
          for (size_t i = 0; i < n; i++) {
            Fq2 x, y, z;
            if (!Fq2::read(a.data() + i * 64, x) || !Fq2::read(b.data() + i * 64, y)) throw Stop("operands out of range");
            switch (op) {
              case CARD_MUL:
                z = x * y;
                break;
              case CARD_SQUARE:
                z = x * x;
                break;
              case CARD_ADD:
                z = x + y;
                break;
              case CARD_SUB:
                z = x - y;
                break;
              case CARD_NEG:
                z = -x;
                break;
              default:
                z = x.inverse();
            }
            z.write(wanted.data() + i * 64);
          }
          compareElements(onCard(CARD_FQ2, op, a, b, 64), wanted, 64);
        });
      }
    });
  }

  // -- transforms

  Buffer elements(u64 seed, size_t n) const {
    Buffer out(n * 32);
    forPieces(card_.control, n, [&](size_t from, size_t to) {
      for (size_t i = from; i < to; i++) memcpy(out.data() + i * 32, integerAt(seed, i).l, 32);
    });
    return out;
  }

  void nttOnCard(Buffer& data, bool inverse, bool coset, unsigned repeat) const {
    CardStatus status = {};
    card_.api.ntt(card_.device, data.data(), data.size() / 32, inverse, coset, repeat, nullptr, nullptr, &status);
    card_.expect(status);
  }

  void transforms(unsigned from, unsigned to) {
    for (unsigned log = from; log <= to; log++) {
      group(text("ntt 2^%u", log), [&] {
        const size_t n = (size_t)1 << log;
        const Buffer random = elements(seedFor(3, log), n);
        for (int mode = 0; mode < 4; mode++) {
          const bool inverse = mode & 1, coset = mode & 2;
          const char* name = mode == 0 ? "forward" : mode == 1 ? "inverse" : mode == 2 ? "forward on the coset" : "inverse from the coset";
          auto same = [&](const char* kind, const Buffer& data, unsigned repeat) {
            check(text("ntt 2^%u %s of %s", log, name, kind), [&] {
              Buffer wanted = data, got = data;
              engine().ntt(wanted.data(), n, inverse, coset, card_.control);
              nttOnCard(got, inverse, coset, repeat);
              compareElements(got, wanted, 32);
            });
          };
          same("random values", random, log % 4 == 0 ? 2 : 1);
          if (log > 12) continue;
          // One value tells which twiddle goes where; the greatest ones, whether sums are reduced.
          Buffer single(n * 32), greatest(n * 32);
          single[32 * Random(seedFor(4, log)).below(n)] = 1;
          for (size_t i = 0; i < n; i++) memcpy(greatest.data() + i * 32, minus(integerOf(1)).l, 32);
          same("a single one", single, 1);
          same("values of r-1", greatest, 1);
        }
        check(text("ntt 2^%u there and back", log), [&] {
          Buffer data = random;
          nttOnCard(data, false, true, 1);
          if (log > 0 && data == random) throw Mismatch("it changes nothing");
          nttOnCard(data, true, true, 1);
          compareElements(data, random, 32);
        });
        if (log == 5) {
          Buffer odd(3 * 32), wrong = random;
          refusal("ntt of three values", Code::InputInvalid, [&] { nttOnCard(odd, false, false, 1); });
          memcpy(wrong.data() + 32 * 7, Fr::P, 32);
          refusal("ntt of a value that is r", Code::InputInvalid, [&] {
            engine().cardNtt(*card_.cards, settings(), wrong.data(), n, false, false, 1, card_.control, nullptr);
          });
          check("ntt by the core's call, with its phases", [&] {
            Buffer wanted = random, got = random;
            std::vector<CardTime> phases;
            Control timed = card_.control;
            timed.timed = true;
            engine().ntt(wanted.data(), n, true, true, card_.control);
            engine().cardNtt(*card_.cards, settings(), got.data(), n, true, true, 3, timed, &phases);
            compareElements(got, wanted, 32);
            checkPhases(phases);
          });
        }
      });
    }
  }

  void quotients(unsigned from, unsigned to) {
    for (unsigned log = from; log <= to; log++) {
      group(text("quotient 2^%u", log), [&] {
        check(text("quotient 2^%u", log), [&] {
          const size_t n = (size_t)1 << log;
          const Buffer a = elements(seedFor(5, log), n), b = elements(seedFor(6, log), n);
          Buffer wanted = a, got = a;
          engine().quotient(wanted.data(), b.data(), n, card_.control);
          CardStatus status = {};
          card_.api.quotient(card_.device, got.data(), b.data(), n, log % 3 == 0 ? 2 : 1, nullptr, nullptr, &status);
          card_.expect(status);
          compareElements(got, wanted, 32);
        });
      });
    }
  }

  static void checkPhases(const std::vector<CardTime>& phases) {
    if (phases.empty()) throw Mismatch("no phases are told");
    for (const CardTime& phase : phases) {
      if (phase.name.empty() || !(phase.ms >= 0) || phase.ms > 1e7) throw Mismatch("a phase without name or time");
    }
  }

  CardSettings settings() const {
    CardSettings out;
    out.device = card_.device;
    return out;
  }

  // The library itself looks at the flag: the core's calls would not get that far.
  void stops() {
    const int32_t stop = 1;
    const CardControl control = {&stop, 0};
    const Points<Fq> points1 = distinctPoints<Fq>(33, seedFor(21), card_.control);
    const Points<Fq2> points2 = distinctPoints<Fq2>(33, seedFor(22), card_.control);
    Buffer values = elements(seedFor(23), 64);
    const Buffer others = values;
    CardSum1 sum1;
    auto sum2 = std::make_unique<CardSum2>();
    auto stopped = [&](const char* name, const auto& call) {
      check(std::string(name) + ", stopped beforehand", [&] {
        CardStatus status = {};
        call(&status);
        if (status.code != CARD_ABORTED) throw Mismatch(text("its status is %d", status.code));
      });
    };
    const CardApi& api = card_.api;
    stopped("msm G1", [&](CardStatus* s) { api.msm1(card_.device, points1.points.data(), values.data(), 33, nullptr, 1, &control, &sum1, nullptr, s); });
    stopped("msm G2", [&](CardStatus* s) { api.msm2(card_.device, points2.points.data(), values.data(), 33, nullptr, 1, &control, sum2.get(), nullptr, s); });
    stopped("ntt", [&](CardStatus* s) { api.ntt(card_.device, values.data(), 64, 0, 0, 1, &control, nullptr, s); });
    stopped("quotient", [&](CardStatus* s) { api.quotient(card_.device, values.data(), others.data(), 64, 1, &control, nullptr, s); });
  }

  // -- multiplications

  // Options change from check to check; the sampled windows stay near what the size allows, since buckets of empty windows cost
  // memory and time.
  CardOptions sampled(Random& random, size_t n) const {
    CardOptions out = {};
    unsigned log = 0;
    while (((size_t)2 << log) <= n) log++;
    const unsigned widest = isSlow() ? std::min(20u, log + 3) : 20u;
    out.coordinates = 1 + (uint32_t)random.below(2);
    if (random.below(3) > 0) out.window = 4 + (uint32_t)random.below(std::max(widest, 5u) - 3);
    static constexpr uint32_t counts[] = {0, 1, 1, 2, 3, 5, 64};
    out.multiples = counts[random.below(7)];
    return out;
  }

  template <class F>
  void sums(unsigned fromLog, unsigned toLog) {
    using Of = SumOf<F>;
    const size_t most = ((size_t)1 << toLog) + 1;
    std::optional<Points<F>> base;
    std::vector<size_t> sizes;
    if (fromLog == 0) {
      sizes = {0, 1, 2, 3, 31, 32, 33};
      for (size_t& n : sizes) n = std::min(n, most);
    }
    for (unsigned log = std::max(fromLog, 2u); log <= toLog; log++) {
      const size_t n = (size_t)1 << log;
      // Beyond 2^12 the neighbours at every other size only.
      const bool neighbours = log == toLog || (!isSlow() && (log <= 12 || log % 2 == 0));
      if (neighbours) sizes.insert(sizes.end(), {n - 1, n + 1});
      if (neighbours || !isSlow() || log % 2 == toLog % 2) sizes.push_back(n);
    }
    std::sort(sizes.begin(), sizes.end());
    sizes.erase(std::unique(sizes.begin(), sizes.end()), sizes.end());
    for (size_t n : sizes) {
      group(text("msm %s of %zu", Of::name, n), [&] {
        if (!base) base = distinctPoints<F>(most, seedFor(7, Of::group), card_.control);
        sumsOfSize<F>(n, *base);
      });
    }
  }

  template <class F>
  void sumsOfSize(size_t n, const Points<F>& base) {
    using Of = SumOf<F>;
    Random random(seedFor(8, n, Of::group));
    const bool isPower = (n & (n - 1)) == 0, large = n > (1 << 12), slow = isSlow();
    std::vector<std::pair<PointKind, ScalarKind>> cases;
    auto add = [&](size_t points, size_t scalars) { cases.push_back({(PointKind)points, (ScalarKind)scalars}); };
    // Around powers of two, and where time is dear, only a few.
    if (slow ? n == 33 || n == 32 : isPower || !large) {
      for (size_t kind = 0; kind < kScalarKindCount; kind++) add(0, kind);
      for (size_t kind = 1; kind < kPointKindCount; kind++) add(kind, 0);
    } else {
      add(0, 0);
      add(0, 1 + random.below(kScalarKindCount - 1));
    }
    for (int extra = slow ? 2 : large ? 3 : 8; extra > 0; extra--) add(random.below(kPointKindCount), random.below(kScalarKindCount));
    size_t index = 0;
    for (const auto& [pointKind, scalarKind] : cases) {
      // The first one is the whole matter: as the library chooses, in both coordinates, without multiples and with all.
      if (index == 0) {
        for (uint32_t coordinates : {0u, 1u, 2u}) {
          for (uint32_t multiples : {1u, 0u}) {
            if (coordinates == 0 && multiples == 1) continue;
            CardOptions options = {};
            options.coordinates = coordinates, options.multiples = multiples;
            sum(n, base, pointKind, scalarKind, options, index++);
          }
        }
        continue;
      }
      sum(n, base, pointKind, scalarKind, sampled(random, n), index++);
    }
    if (n <= 1025 && (!slow || n <= 33)) byTheCore(n, base);
  }

  template <class F>
  void sum(size_t n, const Points<F>& base, PointKind pointKind, ScalarKind scalarKind, const CardOptions& options, size_t index) {
    using Of = SumOf<F>;
    const std::string what = text("msm %s of %zu, points %s, scalars %s, multiples %u, window %u, coordinates %u", Of::name, n,
                                  kPointKinds[(int)pointKind], kScalarKinds[(int)scalarKind], options.multiples, options.window, options.coordinates);
    check(what, [&] {
      Random random(seedFor(9, n, index));
      Points<F> made;
      if (pointKind != PointKind::Distinct) made = pointsOf(pointKind, n, base, random);
      const Points<F>& points = pointKind == PointKind::Distinct ? base : made;
      const std::vector<Fr> scalars = scalarsOf(scalarKind, n, seedFor(10, n, index), card_.control);
      const Fr log = dot(scalars.data(), points.logs.data(), n, card_.control);
      const Buffer wanted = encoded(generator<F>().times(log.l));
      if (n <= 64 || (index == 0 && n <= (1 << 16) + 1)) {
        const Buffer list = encodedPoints(points.points.data(), n, card_.control);
        Buffer core(2 * sizeof(F));
        engine().msm(Of::group, view(list), {reinterpret_cast<const uint8_t*>(scalars.data()), n * 32}, n, card_.control, core.data());
        if (core != wanted) throw Stop("the core's sum is not that of the logarithms: the harness or the core is wrong");
      }
      const unsigned repeat = index % 5 == 4 ? 2 : 1;
      if (encoded(cardMsm(card_, points.points.data(), scalars.data(), n, &options, repeat, nullptr)) != wanted) throw Mismatch("another sum");
    });
  }

  // The same by way of the core's call, its phases, and what must be refused.
  template <class F>
  void byTheCore(size_t n, const Points<F>& base) {
    using Of = SumOf<F>;
    constexpr size_t size = 2 * sizeof(F);
    std::vector<Fr> scalars = scalarsOf(ScalarKind::Random, n, seedFor(11, n), card_.control);
    Buffer list = encodedPoints(base.points.data(), n, card_.control), got(size);
    const Bytes scalarBytes{reinterpret_cast<const uint8_t*>(scalars.data()), n * 32};
    check(text("msm %s of %zu by the core's call, with its phases", Of::name, n), [&] {
      const Fr log = dot(scalars.data(), base.logs.data(), n, card_.control);
      std::vector<CardTime> phases;
      Control timed = card_.control;
      timed.timed = true;
      engine().cardMsm(*card_.cards, settings(), Of::group, view(list), scalarBytes, n, 2, timed, got.data(), &phases);
      if (got != encoded(generator<F>().times(log.l))) throw Mismatch("another sum");
      if (n > 0) checkPhases(phases);
    });
    if (n != 33) return;
    auto call = [&](const Control& control) {
      engine().cardMsm(*card_.cards, settings(), Of::group, view(list), scalarBytes, n, 1, control, got.data(), nullptr);
    };
    const Fr kept = scalars[20];
    memcpy(scalars[20].l, Fr::P, 32);
    refusal(text("msm %s with a scalar that is r", Of::name), Code::InputInvalid, [&] { call(card_.control); });
    scalars[20] = kept;
    list[5 * size] ^= 1;
    refusal(text("msm %s with a point off the curve", Of::name), Code::InputInvalid, [&] { call(card_.control); });
    list[5 * size] ^= 1;
    std::atomic<int32_t> stop{1};
    Control stopped = card_.control;
    stopped.abort = &stop;
    refusal(text("msm %s that is stopped", Of::name), Code::Aborted, [&] { call(stopped); });
    CardSettings elsewhere = settings();
    elsewhere.device = card_.cards->devices();
    refusal(text("msm %s on a card that is not there", Of::name), Code::InputInvalid, [&] {
      engine().cardMsm(*card_.cards, elsewhere, Of::group, view(list), scalarBytes, n, 1, card_.control, got.data(), nullptr);
    });
  }

  // -- proofs

  void proofs(unsigned from, unsigned to) {
    for (unsigned log = from; log <= to; log++) {
      group(text("proofs of 2^%u rows", log), [&] { proofsOfSize(log); });
    }
  }

  void proofsOfSize(unsigned log) {
    const Circuit circuit(log, folder_.path());
    circuit.makeKey(card_.control);
    const std::unique_ptr<VerifyingKey> verifier = verifyingKeyOf(circuit.zkey());
    const std::unique_ptr<ProvingKey> core = engine().openProvingKey(circuit.zkey(), "", card_.control);
    const Buffer witness = circuit.witness(seedFor(12, log));
    const Blinding blinding = blindingOf(seedFor(13, log));
    const Proof wanted = core->prove(view(witness), card_.control, &blinding);
    if (!verifies(*verifier, wanted)) throw Stop("the core's own proof does not verify: the harness or the core is wrong");

    std::vector<CardSettings> variants(3, settings());
    variants[1].coordinates = 1, variants[1].multiples = 1;
    variants[2].coordinates = 2;
    if (log <= 10 && !isSlow()) {
      Random random(seedFor(14, log));
      for (int i = 0; i < 2; i++) {
        const CardOptions options = sampled(random, (size_t)1 << log);
        variants.push_back(settings());
        variants.back().coordinates = options.coordinates;
        variants.back().multiples = options.multiples;
        variants.back().window = options.window;
      }
    }
    bool first = true;
    for (const CardSettings& variant : variants) {
      const std::string what = text("proof of 2^%u rows, multiples %u, window %u, coordinates %u", log, variant.multiples, variant.window,
                                    variant.coordinates);
      std::unique_ptr<ProvingKey> key;
      check(what + ", opening the key", [&] {
        key = engine().openCardKey(card_.cards, variant, circuit.zkey(), card_.control);
        const KeyInfo &a = key->info(), &b = core->info();
        if (a.variables != b.variables || a.publics != b.publics || a.domain != b.domain) throw Mismatch("another key");
      });
      if (!key) continue;
      check(what, [&] {
        Control timed = card_.control;
        timed.timed = true;
        const Proof proof = key->prove(view(witness), timed, &blinding);
        compare(proof, wanted, "with fixed blinding");
        checkPhases(proof.cardTimes);
      });
      check(what + ", drawn blinding", [&] {
        const Proof proof = key->prove(view(witness), card_.control, nullptr);
        if (!verifies(*verifier, proof)) throw Mismatch("the proof does not verify");
        if (memcmp(proof.bytes, wanted.bytes, 64) == 0) throw Mismatch("the blinding was not drawn");
      });
      if (first && (log % 4 == 2 || log == arguments_.maxProof)) {
        atOnce(log, circuit, *core, *key);
        refusals(log, circuit, *core, *key, *verifier);
      }
      first = false;
    }
    if (log == std::min(12u, arguments_.maxProof)) closing(log, circuit);
  }

  // Threads that prove at the same time, with witnesses of their own.
  void atOnce(unsigned log, const Circuit& circuit, const ProvingKey& core, const ProvingKey& key) {
    constexpr size_t threads = 4, rounds = 2;
    std::vector<Buffer> witnesses;
    std::vector<Proof> wanted;
    const Blinding blinding = blindingOf(seedFor(15, log));
    for (size_t i = 0; i < threads; i++) {
      witnesses.push_back(circuit.witness(seedFor(16, log, i)));
      wanted.push_back(core.prove(view(witnesses[i]), card_.control, &blinding));
    }
    for (size_t count : {(size_t)2, threads}) {
      check(text("%zu proofs of 2^%u rows at once", count, log), [&] {
        std::vector<std::exception_ptr> errors(count);
        std::vector<std::thread> running;
        for (size_t i = 0; i < count; i++) {
          running.emplace_back([&, i] {
            try {
              Control control = card_.control;
              control.threads = 1;
              control.timed = i % 2 == 1;
              for (size_t round = 0; round < rounds; round++) {
                const size_t which = (i + round) % threads;
                compare(key.prove(view(witnesses[which]), control, &blinding), wanted[which], text("thread %zu", i));
              }
            } catch (...) {
              errors[i] = std::current_exception();
            }
          });
        }
        for (std::thread& thread : running) thread.join();
        for (const std::exception_ptr& error : errors) {
          if (error) std::rethrow_exception(error);
        }
      });
    }
  }

  // What is wrong fails with its code and leaves nothing behind: the next proof is right.
  void refusals(unsigned log, const Circuit& circuit, const ProvingKey& core, const ProvingKey& key, const VerifyingKey& verifier) {
    const Buffer witness = circuit.witness(seedFor(17, log));
    const Blinding blinding = blindingOf(seedFor(18, log));
    const Proof wanted = core.prove(view(witness), card_.control, &blinding);
    auto stillRight = [&](const char* after) {
      check(text("proof of 2^%u rows after %s", log, after), [&] { compare(key.prove(view(witness), card_.control, &blinding), wanted, after); });
    };
    Random random(seedFor(19, log));
    for (uint32_t wire : {1u, 1 + (uint32_t)random.below(circuit.wires() - 1), circuit.wires() - 1}) {
      Buffer wrong = witness;
      memcpy(wrong.data() + Circuit::valueAt(wire), Fr::P, 32);
      refusal(text("proof of 2^%u rows, wire %u is r", log, wire), Code::WitnessInvalid, [&] { key.prove(view(wrong), card_.control, &blinding); });
      memset(wrong.data() + Circuit::valueAt(wire), 0xff, 32);
      refusal(text("proof of 2^%u rows, wire %u is 2^256 - 1", log, wire), Code::WitnessInvalid,
              [&] { key.prove(view(wrong), card_.control, &blinding); });
    }
    stillRight("values out of range");
    Buffer wrong = witness;
    wrong[Circuit::valueAt(0)] = 2;
    refusal(text("proof of 2^%u rows, the first value is not one", log), Code::WitnessInvalid,
            [&] { key.prove(view(wrong), card_.control, &blinding); });
    refusal(text("proof of 2^%u rows, a witness cut short", log), Code::WitnessInvalid,
            [&] { key.prove({witness.data(), witness.size() - 32}, card_.control, &blinding); });

    // A witness that breaks the circuit makes the same wrong proof as the core's.
    check(text("proof of 2^%u rows of a false witness", log), [&] {
      Buffer forged = witness;
      uint8_t* value = forged.data() + Circuit::valueAt(circuit.wires() - 1);
      value[0] ^= 2;
      if (value[31] > 0x20) value[31] = 0x20;
      const Proof proof = key.prove(view(forged), card_.control, &blinding);
      compare(proof, core.prove(view(forged), card_.control, &blinding), "of a false witness");
      if (verifies(verifier, proof)) throw Mismatch("it verifies");
    });

    // Stopped before it begins, and at times within; then it must say so, or have been faster.
    std::atomic<int32_t> stop{1};
    Control control = card_.control;
    control.abort = &stop;
    refusal(text("proof of 2^%u rows, stopped beforehand", log), Code::Aborted, [&] { key.prove(view(witness), control, &blinding); });
    refusal(text("proof of 2^%u rows, stopped when the card begins", log), Code::Aborted, [&] {
      stop.store(0);
      Control late = control;
      late.onPhase = [&](const char* phase) {
        if (strcmp(phase, "card") == 0) stop.store(1);
      };
      key.prove(view(witness), late, &blinding);
    });
    const auto start = Clock::now();
    key.prove(view(witness), card_.control, &blinding);
    const double whole = secondsSince(start);
    for (int eighth = 1; eighth < 8; eighth += 2) {
      check(text("proof of 2^%u rows, stopped after %d/8 of its time", log, eighth), [&] {
        stop.store(0);
        std::thread stopper([&] {
          std::this_thread::sleep_for(std::chrono::duration<double>(whole * eighth / 8));
          stop.store(1);
        });
        std::exception_ptr error;
        try {
          compare(key.prove(view(witness), control, &blinding), wanted, "not stopped in time");
        } catch (const Failure& failure) {
          if (failure.code != Code::Aborted) error = std::current_exception();
        } catch (...) {
          error = std::current_exception();
        }
        stopper.join();
        if (error) std::rethrow_exception(error);
      });
    }
    stillRight("stops");
  }

  // Keys that come and go take their memory with them, stopped and refused ones, too.
  void closing(unsigned log, const Circuit& circuit) {
    refusal(text("opening a key of 2^%u rows, stopped beforehand", log), Code::Aborted, [&] {
      std::atomic<int32_t> stop{1};
      Control control = card_.control;
      control.abort = &stop;
      engine().openCardKey(card_.cards, settings(), circuit.zkey(), control);
    });
    refusal(text("opening a key of 2^%u rows in no memory", log), Code::OutOfMemory, [&] {
      CardSettings small = settings();
      small.memoryLimit = 64;
      engine().openCardKey(card_.cards, small, circuit.zkey(), card_.control);
    });
    check(text("memory after keys of 2^%u rows", log), [&] {
      const Buffer witness = circuit.witness(seedFor(20, log));
      uint64_t before = 0;
      constexpr int rounds = 10;
      for (int round = 0; round <= rounds; round++) {
        if (round == 2) before = card_.freeBytes();  // what the driver keeps is taken by now
        const std::unique_ptr<ProvingKey> key = engine().openCardKey(card_.cards, settings(), circuit.zkey(), card_.control);
        key->prove(view(witness), card_.control, nullptr);
      }
      // The emulated card counts bytes; on a card a few megabytes may be another process's.
      const uint64_t after = card_.freeBytes() + (card_.cards->emulated() ? 0 : 4 << 20);
      if (after < before) throw Mismatch(text("%.1f MiB are gone", (double)(before - after) / (1 << 20)));
    });
  }
};

// ---- bench ----

constexpr CardControl kTimed = {nullptr, 1};

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t n = values.size();
  return n == 0 ? 0 : (values[(n - 1) / 2] + values[n / 2]) / 2;
}
double least(const std::vector<double>& values) { return values.empty() ? 0 : *std::min_element(values.begin(), values.end()); }

std::string quoted(const std::string& value) {
  std::string out = "\"";
  for (char c : value) {
    if (c == '"' || c == '\\') out += '\\';
    out += (unsigned char)c < ' ' ? ' ' : c;
  }
  return out + '"';
}

// One object a row, of numbers and texts in the order they come.
class Json {
 public:
  Json& begin(const char* kind) {
    finish();
    open_ = "{\"kind\": " + quoted(kind);
    return *this;
  }
  Json& add(const char* name, double value) {
    open_ += ", " + quoted(name) + ": " + (std::isfinite(value) ? text("%.9g", value) : "null");
    return *this;
  }
  Json& add(const char* name, const std::string& value) {
    open_ += ", " + quoted(name) + ": " + quoted(value);
    return *this;
  }
  void write(const std::string& path) {
    finish();
    std::ofstream file(path, std::ios::trunc);
    file << "[\n" << all_ << "\n]\n";
    if (!file.flush()) throw Failure(Code::Io, path + " cannot be written");
  }

 private:
  std::string all_, open_;
  void finish() {
    if (open_.empty()) return;
    all_ += (all_.empty() ? " " : ",\n ") + open_ + "}";
    open_.clear();
  }
};

class Bench {
 public:
  Bench(const Arguments& arguments) : arguments_(arguments), card_(arguments), folder_(arguments.work) {}

  // Results are compared as well: a time of a wrong result is none.
  int run() {
    card_.print();
    limits_ = card_.cards->limits(card_.device);
    printf("limits measured: copies on the card %.0f GB/s (read plus written), upload from pinned memory %.1f GB/s, multiplications in Fq %.1f G/s\n",
           limits_.copyBytesPerSecond / 1e9, limits_.uploadBytesPerSecond / 1e9, limits_.multiplicationsPerSecond / 1e9);
    double latency = 0, throughput = 0;
    engine().fieldTimings(&latency, &throughput);
    printf("the core's multiplications: %.1f ns in a chain, %.1f ns in a stream, a thread\n", latency, throughput);
    const CardDescription& d = card_.description;
    json_.begin("card")
        .add("name", std::string(d.name))
        .add("capability", text("%u.%u", d.major, d.minor))
        .add("memoryBytes", (double)d.memoryBytes)
        .add("multiprocessors", d.multiprocessors)
        .add("driver", d.driver)
        .add("runtime", d.runtime)
        .add("build", std::string(card_.api.build))
        .add("emulated", card_.cards->emulated())
        .add("copyBytesPerSecond", limits_.copyBytesPerSecond)
        .add("uploadBytesPerSecond", limits_.uploadBytesPerSecond)
        .add("multiplicationsPerSecond", limits_.multiplicationsPerSecond)
        .add("core", std::string(engine().name()))
        .add("threads", card_.control.threads);

    // What matters most comes first, since time may end.
    std::vector<unsigned> powers;
    for (unsigned log : {16u, 18u, 20u, 22u}) {
      if (log < arguments_.proof) powers.push_back(log);
    }
    if (arguments_.proof > 1) powers.push_back(arguments_.proof);
    for (unsigned log : powers) section(text("proofs of 2^%u rows", log), [&] { proofs(log); });
    section("multiplications in G1", [&] { sums<Fq>(); });
    section("transforms", [&] { transforms(); });
    section("multiplications in G2", [&] { sums<Fq2>(); });
    section("windows in G1", [&] { windows<Fq>(); });
    section("windows in G2", [&] { windows<Fq2>(); });
    if (!arguments_.json.empty()) json_.write(arguments_.json);
    printf("\nbench: %zu wrong or failed, %zu left out for time, %.1f s%s\n", failed_, leftOut_, secondsSince(start_),
           card_.cards->emulated() ? "; emulated: times mean nothing" : "");
    return failed_ > 0 ? 1 : 0;
  }

 private:
  const Arguments& arguments_;
  Card card_;
  Folder folder_;
  CardLimits limits_ = {};
  Json json_;
  Clock::time_point start_ = Clock::now();
  size_t failed_ = 0, leftOut_ = 0;

  u64 seedFor(u64 a, u64 b = 0) const { return mixed(mixed(mixed(arguments_.seed) + a) + b); }

  bool outOfTime(const std::string& what) {
    if (secondsSince(start_) <= arguments_.seconds) return false;
    leftOut_++;
    printf("left out for time: %s\n", what.c_str());
    return true;
  }

  template <class Body>
  void section(const std::string& name, const Body& body) {
    printf("\n");
    if (!outOfTime(name)) row(name, body);
    fflush(stdout);
  }

  // A failure is told, and the next row begins.
  template <class Body>
  void row(const std::string& what, const Body& body) {
    try {
      body();
    } catch (const Stop&) {
      throw;
    } catch (const std::exception& error) {
      failed_++;
      printf("FAILED  %s: %s\n", what.c_str(), error.what());
    }
    fflush(stdout);
  }

  // How far work of so many bytes and multiplications is from the card's limits: the larger fraction, and which it is.
  std::string fraction(double ms, double bytes, double operations, double* out = nullptr) const {
    const double memory = bytes / ms * 1e3 / limits_.copyBytesPerSecond, arithmetic = operations / ms * 1e3 / limits_.multiplicationsPerSecond;
    if (out) *out = std::max(memory, arithmetic);
    return text("%4.0f %% %s", 100 * std::max(memory, arithmetic), memory > arithmetic ? "memory" : "arithmetic");
  }

  void header(const char* title) const {
    printf("%-20s %-32s %10s %9s %9s %8s %8s  %-17s %10s %7s\n", title, "", "ms", "GB", "G mults", "GB/s", "Gmult/s", "of the limit", "core ms",
           "ratio");
  }

  void line(const char* kind, const std::string& what, const std::string& variant, double ms, double bytes, double operations, double coreMs) {
    double share = 0;
    const std::string limit = fraction(ms, bytes, operations, &share);
    printf("%-20s %-32s %10.3f %9.4f %9.4f %8.1f %8.2f  %s", what.c_str(), variant.c_str(), ms, bytes / 1e9, operations / 1e9,
           bytes / ms / 1e6, operations / ms / 1e6, limit.c_str());
    if (coreMs > 0) printf("%*s %10.1f %7.1f", (int)(17 - std::min<size_t>(17, limit.size())), "", coreMs, coreMs / ms);
    printf("\n");
    json_.begin(kind)
        .add("what", what)
        .add("variant", variant)
        .add("ms", ms)
        .add("bytes", bytes)
        .add("operations", operations)
        .add("fraction", share);
    if (coreMs > 0) json_.add("coreMs", coreMs);
  }

  static void total(const std::vector<CardTime>& phases, double& ms, double& bytes, double& operations) {
    ms = bytes = operations = 0;
    for (const CardTime& phase : phases) {
      ms += phase.ms;
      bytes += (double)phase.bytes;
      operations += (double)phase.operations;
    }
    if (!(ms > 0)) throw Mismatch("the library tells no times");
  }

  void phaseLines(const std::vector<CardTime>& phases, const char* kind, const std::string& of) {
    for (const CardTime& phase : phases) {
      if (phase.ms > 0) line(kind, "  " + phase.name, of, phase.ms, (double)phase.bytes, (double)phase.operations, 0);
    }
  }

  // -- multiplications

  template <class F>
  void sums() {
    using Of = SumOf<F>;
    header(text("msm %s", Of::name).c_str());
    const size_t most = (size_t)1 << arguments_.to;
    const Points<F> points = distinctPoints<F>(most, seedFor(30, Of::group), card_.control);
    const Buffer list = encodedPoints(points.points.data(), most, card_.control);
    struct Variant {
      const char* name;
      ScalarKind scalars;
      uint32_t coordinates, multiples;
    };
    // The first is as the library chooses; its phases are told at the largest size.
    const Variant variants[] = {{"random, chosen", ScalarKind::Random, 0, 0},
                                {"random, extended, multiples", ScalarKind::Random, 1, 0},
                                {"random, affine, multiples", ScalarKind::Random, 2, 0},
                                {"random, extended, no multiples", ScalarKind::Random, 1, 1},
                                {"random, affine, no multiples", ScalarKind::Random, 2, 1},
                                {"as wires, chosen", ScalarKind::Wires, 0, 0}};
    std::vector<CardTime> last;
    for (unsigned log = arguments_.from; log <= arguments_.to; log++) {
      const size_t n = (size_t)1 << log;
      const std::string what = text("%s 2^%u", Of::name, log);
      if (outOfTime("msm " + what)) continue;
      std::vector<Fr> random = scalarsOf(ScalarKind::Random, n, seedFor(31, log), card_.control);
      double coreMs = 0;
      row(what + " by the core", [&] {
        Buffer out(2 * sizeof(F));
        std::vector<double> times;
        for (int run = 0; run < (log < 19 ? 3 : 1); run++) {
          const auto start = Clock::now();
          engine().msm(Of::group, {list.data(), n * 2 * sizeof(F)}, {reinterpret_cast<const uint8_t*>(random.data()), n * 32}, n, card_.control,
                       out.data());
          times.push_back(secondsSince(start) * 1e3);
        }
        coreMs = least(times);
      });
      for (const Variant& variant : variants) {
        const bool isRandom = variant.scalars == ScalarKind::Random;
        const std::vector<Fr> others = isRandom ? std::vector<Fr>{} : scalarsOf(variant.scalars, n, seedFor(32, log), card_.control);
        CardOptions options = {};
        options.coordinates = variant.coordinates;
        options.multiples = variant.multiples;
        sum("msm", what, variant.name, points, isRandom ? random : others, options, isRandom ? coreMs : 0,
            variant.coordinates == 0 && isRandom ? &last : nullptr);
      }
    }
    phaseLines(last, "msm phase", text("of %s 2^%u, chosen", Of::name, arguments_.to));
  }

  // What the choice of a window is made from.
  template <class F>
  void windows() {
    using Of = SumOf<F>;
    header(text("windows %s", Of::name).c_str());
    const bool emulated = card_.cards->emulated();
    const unsigned log = std::min(arguments_.to, Of::group == 1 ? 20u : 18u);
    const Points<F> points = distinctPoints<F>((size_t)1 << log, seedFor(30, Of::group), card_.control);
    const std::vector<Fr> random = scalarsOf(ScalarKind::Random, points.size(), seedFor(31, log), card_.control);
    for (uint32_t window = emulated ? 4 : 10; window <= (emulated ? 6u : 20u); window += 2) {
      const std::string what = text("%s 2^%u, %u bits", Of::name, log, window);
      if (outOfTime("windows " + what)) break;
      for (uint32_t multiples : {1u, 4u, 0u}) {
        for (uint32_t coordinates : {1u, 2u}) {
          CardOptions options = {};
          options.window = window, options.coordinates = coordinates, options.multiples = multiples;
          const std::string name = text("%s, %s", coordinates == 1 ? "extended" : "affine",
                                        multiples == 1 ? "no multiples" : multiples == 0 ? "multiples" : "4 multiples");
          sum("window", what, name, points, random, options, 0, nullptr);
        }
      }
    }
  }

  template <class F>
  void sum(const char* kind, const std::string& what, const std::string& variant, const Points<F>& points, const std::vector<Fr>& scalars,
           const CardOptions& options, double coreMs, std::vector<CardTime>* times) {
    row(what + " " + variant, [&] {
      CardPhases phases = {};
      const Point<F> got = cardMsm(card_, points.points.data(), scalars.data(), scalars.size(), &options, arguments_.runs, &phases);
      const Fr expected = dot(scalars.data(), points.logs.data(), scalars.size(), card_.control);
      if (encoded(got) != encoded(generator<F>().times(expected.l))) throw Mismatch("another sum");
      double ms, bytes, operations;
      const std::vector<CardTime> all = timesOf(phases);
      total(all, ms, bytes, operations);
      line(kind, what, variant, ms, bytes, operations, coreMs);
      if (times) *times = all;
    });
  }

  // -- transforms; the core's times hold its tables and encodings

  Buffer elements(u64 seed, size_t n) const {
    Buffer out(n * 32);
    forPieces(card_.control, n, [&](size_t from, size_t to) {
      for (size_t i = from; i < to; i++) memcpy(out.data() + i * 32, integerAt(seed, i).l, 32);
    });
    return out;
  }

  void transforms() {
    header("transforms");
    for (unsigned log = arguments_.from; log <= arguments_.to; log++) {
      const size_t n = (size_t)1 << log;
      if (outOfTime(text("transforms of 2^%u", log))) continue;
      const Buffer a = elements(seedFor(33, log), n), b = elements(seedFor(34, log), n);
      row(text("ntt 2^%u", log), [&] {
        Buffer wanted = a, got = a;
        const auto start = Clock::now();
        engine().ntt(wanted.data(), n, false, false, card_.control);
        const double coreMs = secondsSince(start) * 1e3;
        CardPhases phases = {};
        CardStatus status = {};
        card_.api.ntt(card_.device, got.data(), n, 0, 0, arguments_.runs, &kTimed, &phases, &status);
        card_.expect(status);
        if (got != wanted) throw Mismatch("another transform");
        tell(text("ntt 2^%u", log), "forward", phases, coreMs);
      });
      row(text("quotient 2^%u", log), [&] {
        Buffer wanted = a, got = a;
        const auto start = Clock::now();
        engine().quotient(wanted.data(), b.data(), n, card_.control);
        const double coreMs = secondsSince(start) * 1e3;
        CardPhases phases = {};
        CardStatus status = {};
        card_.api.quotient(card_.device, got.data(), b.data(), n, arguments_.runs, &kTimed, &phases, &status);
        card_.expect(status);
        if (got != wanted) throw Mismatch("another quotient");
        tell(text("quotient 2^%u", log), "", phases, coreMs);
      });
    }
  }

  void tell(const std::string& what, const std::string& variant, const CardPhases& phases, double coreMs) {
    double ms, bytes, operations;
    total(timesOf(phases), ms, bytes, operations);
    line("transform", what, variant, ms, bytes, operations, coreMs);
  }

  // -- proofs, with the key on the card

  void proofs(unsigned log) {
    const Circuit circuit(log, folder_.path());
    const double setupMs = circuit.makeKey(card_.control);
    const std::unique_ptr<VerifyingKey> verifier = verifyingKeyOf(circuit.zkey());
    const Buffer witness = circuit.witness(seedFor(35, log));
    const Blinding blinding = blindingOf(seedFor(36, log));

    // The core at its best: its prepared key, too.
    Proof wanted;
    std::vector<double> coreTimes;
    {
      const std::string prepared = folder_.path() + "/prepared";
      std::filesystem::create_directories(prepared);
      const std::unique_ptr<ProvingKey> core = engine().openProvingKey(circuit.zkey(), prepared, card_.control);
      for (int run = 0; run < 3; run++) {
        const auto start = Clock::now();
        wanted = core->prove(view(witness), card_.control, &blinding);
        coreTimes.push_back(secondsSince(start) * 1e3);
      }
      std::error_code ignored;
      std::filesystem::remove_all(prepared, ignored);
    }
    if (!verifies(*verifier, wanted)) throw Mismatch("the core's own proof does not verify");

    CardSettings settings;
    settings.device = card_.device;
    const uint64_t before = card_.freeBytes();
    const auto loading = Clock::now();
    const std::unique_ptr<ProvingKey> key = engine().openCardKey(card_.cards, settings, circuit.zkey(), card_.control);
    const double loadMs = secondsSince(loading) * 1e3;
    const uint64_t loaded = card_.freeBytes();
    auto prove = [&](const Control& control) {
      Proof proof = key->prove(view(witness), control, &blinding);
      compare(proof, wanted, "with fixed blinding");
      return proof;
    };
    prove(card_.control);  // makes the working space
    const uint64_t working = card_.freeBytes();
    auto taken = [](uint64_t from, uint64_t to) { return from > to ? (double)(from - to) : 0.0; };

    std::vector<double> wall;
    std::vector<std::vector<Phase>> host;
    for (unsigned run = 0; run < arguments_.runs; run++) {
      const auto start = Clock::now();
      const Proof proof = prove(card_.control);
      wall.push_back(secondsSince(start) * 1e3);
      host.push_back(proof.phases);
    }
    // Apart from those: measuring holds streams up.
    Control timed = card_.control;
    timed.timed = true;
    std::vector<std::vector<CardTime>> runs;
    for (unsigned run = 0; run < arguments_.runs; run++) runs.push_back(prove(timed).cardTimes);

    std::vector<CardTime> phases = runs.front();
    double bytes = 0, operations = 0;
    for (size_t i = 0; i < phases.size(); i++) {
      std::vector<double> times;
      for (const auto& run : runs) {
        if (i < run.size()) times.push_back(run[i].ms);
      }
      phases[i].ms = median(times);
      bytes += (double)phases[i].bytes;
      operations += (double)phases[i].operations;
    }
    const double ms = median(wall), coreMs = least(coreTimes);
    double share = 0;
    const std::string limit = fraction(ms, bytes, operations, &share);
    printf("proof of 2^%u rows: median %.2f ms, least %.2f (wall, %u runs); the core's least %.1f ms with a prepared key: %.1f times\n", log, ms,
           least(wall), arguments_.runs, coreMs, coreMs / ms);
    printf("  %.3f GB and %.3f G multiplications: %.0f GB/s, %.2f G/s,%s\n", bytes / 1e9, operations / 1e9, bytes / ms / 1e6, operations / ms / 1e6,
           limit.c_str());
    printf("  on the card: key %.1f MiB by its own count; %.1f MiB taken when it was opened, %.1f by the first proof; opening %.0f ms; key made in %.1f s\n",
           (double)key->info().memoryBytes / (1 << 20), taken(before, loaded) / (1 << 20), taken(loaded, working) / (1 << 20), loadMs,
           setupMs / 1e3);
    printf("  on the host:");
    for (size_t i = 0; i < host.front().size(); i++) {
      std::vector<double> times;
      for (const auto& run : host) times.push_back(run[i].ms);
      printf(" %s %.2f ms", host.front()[i].name.c_str(), median(times));
    }
    printf("\n");
    json_.begin("proof")
        .add("log", log)
        .add("ms", ms)
        .add("leastMs", least(wall))
        .add("coreMs", coreMs)
        .add("bytes", bytes)
        .add("operations", operations)
        .add("fraction", share)
        .add("keyBytes", (double)key->info().memoryBytes)
        .add("openedBytes", taken(before, loaded))
        .add("workingBytes", taken(loaded, working))
        .add("loadMs", loadMs)
        .add("setupMs", setupMs);

    for (size_t flights : {1, 2, 4}) {
      row(text("%zu proofs in flight", flights), [&] {
        const unsigned each = std::max(2u, (arguments_.runs + 1) / 2);
        std::vector<std::exception_ptr> errors(flights);
        std::vector<std::thread> threads;
        std::atomic<size_t> ready{0};
        std::atomic<bool> go{false};
        Control control = card_.control;
        control.threads = std::max(1u, card_.control.threads / (unsigned)flights);
        for (size_t i = 0; i < flights; i++) {
          threads.emplace_back([&, i] {
            try {
              prove(control);  // working spaces are made before the clock starts
            } catch (...) {
              errors[i] = std::current_exception();
            }
            ready++;
            while (!go) std::this_thread::yield();
            try {
              for (unsigned run = 0; run < each && !errors[i]; run++) prove(control);
            } catch (...) {
              errors[i] = std::current_exception();
            }
          });
        }
        while (ready < flights) std::this_thread::yield();
        const auto start = Clock::now();
        go = true;
        for (std::thread& thread : threads) thread.join();
        const double seconds = secondsSince(start);
        for (const std::exception_ptr& error : errors) {
          if (error) std::rethrow_exception(error);
        }
        const double rate = (double)(flights * each) / seconds;
        printf("  %zu in flight: %.2f proofs a second\n", flights, rate);
        json_.begin("flights").add("log", log).add("flights", (double)flights).add("proofsPerSecond", rate);
      });
    }
    // Phases of several streams overlap: their sum may be more than the whole.
    header("  phases on the card");
    phaseLines(phases, "proof phase", text("of 2^%u rows", log));
  }
};

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
