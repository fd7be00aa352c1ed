// `check`: everything that the library does, against the core.
#pragma once

#include "circuit.h"

namespace anchorproof {
namespace ENGINE_NS {
namespace {

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
    printf("check: %zu checks, %zu failed, %zu left out for time, %zu left out for memory, seed %llu, %.1f s\n", done_, failed_, leftOut_,
           noRoom_, (unsigned long long)arguments_.seed, secondsSince(start_));
    return failed_ > 0 ? 1 : 0;
  }

 private:
  const Arguments& arguments_;
  Card card_;
  Folder folder_;
  Clock::time_point start_ = Clock::now();
  size_t done_ = 0, failed_ = 0, leftOut_ = 0, noRoom_ = 0;  // left out: checks, and groups of which none was begun

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
    const size_t done = done_, failed = failed_, leftOut = leftOut_ + noRoom_;
    body();
    const size_t left = leftOut_ + noRoom_ - leftOut;
    printf("%s  %-34s %6zu checks %8.2f s", failed_ != failed ? "FAILED" : left > 0 ? "PART  " : "ok    ", name.c_str(), done_ - done,
           secondsSince(start));
    printf(left > 0 ? ", %zu left out\n" : "\n", left);
    fflush(stdout);
  }

  // One check: body throws when it fails. Each looks at the clock, since a group may take long: who is killed has said nothing.
  template <class Body>
  void check(const std::string& what, const Body& body) {
    if (outOfTime()) {
      leftOut_++;
      return;
    }
    done_++;
    std::string reason;
    bool lost = false;
    try {
      body();
      return;
    } catch (const Stop& stop) {
      throw Stop(what + ": " + stop.what());
    } catch (const NoRoom& error) {
      done_--;
      noRoom_++;
      printf("left out for memory  %s: %s\n", what.c_str(), error.what());
      return;
    } catch (const CardFailure& failure) {
      reason = failure.what();
      lost = failure.lost;
    } catch (const std::exception& error) {
      reason = error.what();
    }
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
        // One value tells which twiddle goes where; the greatest ones, whether sums are reduced.
        Buffer single(n * 32), greatest(n * 32);
        single[32 * Random(seedFor(4, log)).below(n)] = 1;
        for (size_t i = 0; i < n; i++) memcpy(greatest.data() + i * 32, minus(integerOf(1)).l, 32);
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
          // Beyond 2^12 each of them in every other mode, by turns, so that each mode has each at every other size.
          const bool turn = (mode + (mode >> 1) + (int)log) % 2 == 0;
          if (log <= 12 || turn) same("a single one", single, 1);
          if (log <= 12 || !turn) same("values of r-1", greatest, 1);
        }
        check(text("ntt 2^%u of zeros", log), [&] {
          Buffer zeros(n * 32);
          nttOnCard(zeros, log % 2 == 1, log % 4 > 1, 1);
          compareElements(zeros, Buffer(n * 32), 32);
        });
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
        const size_t n = (size_t)1 << log;
        auto same = [&](const char* kind, const Buffer& a, const Buffer& b, const Buffer* known) {
          check(text("quotient 2^%u of %s", log, kind), [&] {
            Buffer wanted = known ? *known : a, got = a;
            if (!known) engine().quotient(wanted.data(), b.data(), n, card_.control);
            CardStatus status = {};
            card_.api.quotient(card_.device, got.data(), b.data(), n, log % 3 == 0 ? 2 : 1, nullptr, nullptr, &status);
            card_.expect(status);
            compareElements(got, wanted, 32);
          });
        };
        const Buffer zeros(n * 32);
        Buffer single(n * 32), greatest(n * 32);
        single[32 * Random(seedFor(24, log)).below(n)] = 1;
        for (size_t i = 0; i < n; i++) memcpy(greatest.data() + i * 32, minus(integerOf(1)).l, 32);
        same("random values", elements(seedFor(5, log), n), elements(seedFor(6, log), n), nullptr);
        same("a single one", single, single, nullptr);
        // Of constants a·b is c, on the coset too.
        same("values of r-1", greatest, greatest, &zeros);
        same("zeros", zeros, zeros, &zeros);
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
      try {
        if (encoded(cardMsm(card_, points.points.data(), scalars.data(), n, &options, repeat, nullptr)) != wanted) throw Mismatch("another sum");
      } catch (const Failure& failure) {
        if (!isTooMuch<F>(card_, n, failure)) throw;
        throw NoRoom(failure.what());
      }
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
    check(text("msm %s of zeros by their phases", Of::name), [&] {
      auto told = [&](ScalarKind kind) {
        const std::vector<Fr> some = scalarsOf(kind, n, seedFor(25), card_.control);
        CardPhases phases = {};
        cardMsm(card_, base.points.data(), some.data(), n, nullptr, 1, &phases);
        CardTime all;
        for (const CardTime& phase : timesOf(phases)) all.bytes += phase.bytes, all.operations += phase.operations;
        return all;
      };
      const CardTime zero = told(ScalarKind::Zero), bits = told(ScalarKind::Bits), random = told(ScalarKind::Random);
      if (zero.operations != 0 || zero.bytes == 0) throw Mismatch("zeros are told to be work");
      if (bits.bytes <= zero.bytes || random.bytes <= bits.bytes) throw Mismatch("bits are told to be work like wide scalars, or zeros");
    });
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
    // What is free is the whole card's, and under a tool (--quick) there are others at work on it.
    if (arguments_.quick && !card_.cards->emulated()) return;
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

}  // namespace
}  // namespace ENGINE_NS
}  // namespace anchorproof
