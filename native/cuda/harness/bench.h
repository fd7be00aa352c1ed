// `bench`: times on the card, beside the core, with bytes, multiplications and fractions of the card's limits.
//
// Bytes and multiplications are of the work that there was (card.h), so the fractions are not flattered by digits that were zero. "ms"
// is the kernels alone. What is compared with the core is the whole call, "call ms".
#pragma once

#include "circuit.h"

namespace anchorproof {
namespace ENGINE_NS {
namespace {

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
  // What there is so far, whole at any time.
  void write(const std::string& path) {
    finish();
    const std::string beside = path + ".part";
    std::ofstream file(beside, std::ios::trunc);
    file << "[\n" << all_ << "\n]\n";
    file.close();
    std::error_code error;
    if (file) std::filesystem::rename(beside, path, error);
    if (!file || error) throw Failure(Code::Io, path + " cannot be written");
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

    try {
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
    } catch (const Stop& stop) {
      failed_++;
      printf("STOPPED %s\n", stop.what());
    }
    save();
    printf("\nbench: %zu wrong or failed, %zu left out for time, %zu left out for memory, %.1f s%s\n", failed_, leftOut_, noRoom_,
           secondsSince(start_), card_.cards->emulated() ? "; emulated: times mean nothing" : "");
    return failed_ > 0 ? 1 : 0;
  }

 private:
  const Arguments& arguments_;
  Card card_;
  Folder folder_;
  CardLimits limits_ = {};
  Json json_;
  Clock::time_point start_ = Clock::now();
  size_t failed_ = 0, leftOut_ = 0, noRoom_ = 0;

  u64 seedFor(u64 a, u64 b = 0) const { return mixed(mixed(mixed(arguments_.seed) + a) + b); }

  // After every row: who is killed leaves what was measured.
  void save() {
    if (!arguments_.json.empty()) json_.write(arguments_.json);
  }

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
    } catch (const CardFailure& failure) {
      if (failure.lost) throw Stop(what + ": " + failure.what());
      failed_++;
      printf("FAILED  %s: %s\n", what.c_str(), failure.what());
    } catch (const NoRoom& error) {
      noRoom_++;
      printf("left out for memory: %s: %s\n", what.c_str(), error.what());
    } catch (const std::exception& error) {
      failed_++;
      printf("FAILED  %s: %s\n", what.c_str(), error.what());
    }
    fflush(stdout);
    save();
  }

  // How far work of so many bytes and multiplications is from the card's limits: the larger fraction, and which it is.
  std::string fraction(double ms, double bytes, double operations, double* out = nullptr) const {
    const double memory = bytes / ms * 1e3 / limits_.copyBytesPerSecond, arithmetic = operations / ms * 1e3 / limits_.multiplicationsPerSecond;
    if (out) *out = std::max(memory, arithmetic);
    return text("%4.0f %% %s", 100 * std::max(memory, arithmetic), memory > arithmetic ? "memory" : "arithmetic");
  }

  void header(const char* title) const {
    printf("%-20s %-32s %10s %9s %9s %8s %8s  %-17s %10s %10s %7s\n", title, "", "ms", "GB", "G mults", "GB/s", "Gmult/s", "of the limit",
           "call ms", "core ms", "ratio");
  }

  void line(const char* kind, const std::string& what, const std::string& variant, double ms, double bytes, double operations,
            double callMs = 0, double coreMs = 0) {
    double share = 0;
    const std::string limit = fraction(ms, bytes, operations, &share);
    printf("%-20s %-32s %10.3f %9.4f %9.4f %8.1f %8.2f  %s", what.c_str(), variant.c_str(), ms, bytes / 1e9, operations / 1e9,
           bytes / ms / 1e6, operations / ms / 1e6, limit.c_str());
    if (callMs > 0 && coreMs > 0) {
      printf("%*s %10.1f %10.1f %7.1f", (int)(17 - std::min<size_t>(17, limit.size())), "", callMs, coreMs, coreMs / callMs);
    }
    printf("\n");
    json_.begin(kind)
        .add("what", what)
        .add("variant", variant)
        .add("ms", ms)
        .add("bytes", bytes)
        .add("operations", operations)
        .add("fraction", share);
    if (callMs > 0 && coreMs > 0) json_.add("callMs", callMs).add("coreMs", coreMs);
  }

  // Milliseconds, the least of so many runs.
  template <class Body>
  static double leastOf(unsigned runs, const Body& body) {
    std::vector<double> times;
    for (unsigned run = 0; run < runs; run++) {
      const auto start = Clock::now();
      body();
      times.push_back(secondsSince(start) * 1e3);
    }
    return least(times);
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
      if (phase.ms > 0) line(kind, "  " + phase.name, of, phase.ms, (double)phase.bytes, (double)phase.operations);
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
    printf("call ms and core ms: the same bytes in, the same bytes out. Both decode every point and look whether it is on the curve; the card's\n"
           "call besides takes memory and carries points and scalars over. A key's points are there already, with multiples.\n");
    // The first is as the library chooses; its phases are told at the largest size that there was time for.
    const Variant variants[] = {{"random, chosen", ScalarKind::Random, 0, 0},
                                {"random, extended, multiples", ScalarKind::Random, 1, 0},
                                {"random, affine, multiples", ScalarKind::Random, 2, 0},
                                {"random, extended, no multiples", ScalarKind::Random, 1, 1},
                                {"random, affine, no multiples", ScalarKind::Random, 2, 1},
                                {"as wires, chosen", ScalarKind::Wires, 0, 0}};
    std::vector<CardTime> last;
    unsigned lastLog = 0;
    for (unsigned log = arguments_.from; log <= arguments_.to; log++) {
      const size_t n = (size_t)1 << log;
      const std::string what = text("%s 2^%u", Of::name, log);
      if (outOfTime("msm " + what)) continue;
      std::vector<Fr> random = scalarsOf(ScalarKind::Random, n, seedFor(31, log), card_.control);
      const Bytes pointBytes{list.data(), n * 2 * sizeof(F)}, scalarBytes{reinterpret_cast<const uint8_t*>(random.data()), n * 32};
      const unsigned runs = log < 19 ? 3 : 1;
      Buffer wanted(2 * sizeof(F));
      double coreMs = 0;
      row(what + " by the core", [&] {
        coreMs = leastOf(runs, [&] { engine().msm(Of::group, pointBytes, scalarBytes, n, card_.control, wanted.data()); });
      });
      for (const Variant& variant : variants) {
        if (outOfTime("msm " + what + " " + variant.name)) break;
        const bool isRandom = variant.scalars == ScalarKind::Random;
        const std::vector<Fr> others = isRandom ? std::vector<Fr>{} : scalarsOf(variant.scalars, n, seedFor(32, log), card_.control);
        CardOptions options = {};
        options.coordinates = variant.coordinates;
        options.multiples = variant.multiples;
        // Without multiples: a call by itself is not worth them.
        auto call = [&] {
          CardSettings settings;
          settings.device = card_.device;
          settings.coordinates = variant.coordinates, settings.multiples = 1;
          Buffer got(2 * sizeof(F));
          return leastOf(runs, [&] {
            engine().cardMsm(*card_.cards, settings, Of::group, pointBytes, scalarBytes, n, 1, card_.control, got.data(), nullptr);
            if (got != wanted) throw Mismatch("another sum than the core's");
          });
        };
        const bool isFirst = &variant == variants;
        sum("msm", what, variant.name, points, isRandom ? random : others, options,
            variant.multiples == 1 && coreMs > 0 ? call : std::function<double()>(), coreMs, isFirst ? &last : nullptr);
        if (isFirst) lastLog = log;
      }
    }
    phaseLines(last, "msm phase", text("of %s 2^%u, chosen", Of::name, lastLog));
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
      for (uint32_t multiples : {1u, 4u, 0u}) {
        for (uint32_t coordinates : {1u, 2u}) {
          CardOptions options = {};
          options.window = window, options.coordinates = coordinates, options.multiples = multiples;
          const std::string name = text("%s, %s", coordinates == 1 ? "extended" : "affine",
                                        multiples == 1 ? "no multiples" : multiples == 0 ? "multiples" : "4 multiples");
          if (outOfTime("windows " + what + " " + name)) return;
          sum("window", what, name, points, random, options, {}, 0, nullptr);
        }
      }
    }
  }

  template <class F>
  void sum(const char* kind, const std::string& what, const std::string& variant, const Points<F>& points, const std::vector<Fr>& scalars,
           const CardOptions& options, const std::function<double()>& call, double coreMs, std::vector<CardTime>* times) {
    row(what + " " + variant, [&] {
      CardPhases phases = {};
      Point<F> got;
      double callMs = 0;
      try {
        got = cardMsm(card_, points.points.data(), scalars.data(), scalars.size(), &options, arguments_.runs, &phases);
        if (call) callMs = call();
      } catch (const Failure& failure) {
        if (!isTooMuch<F>(card_, scalars.size(), failure)) throw;
        throw NoRoom(failure.what());
      }
      const Fr expected = dot(scalars.data(), points.logs.data(), scalars.size(), card_.control);
      if (encoded(got) != encoded(generator<F>().times(expected.l))) throw Mismatch("another sum");
      double ms, bytes, operations;
      const std::vector<CardTime> all = timesOf(phases);
      total(all, ms, bytes, operations);
      line(kind, what, variant, ms, bytes, operations, callMs, coreMs);
      if (times) *times = all;
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

  void transforms() {
    header("transforms");
    printf("call ms and core ms: both make their tables, and encode; the card's call besides takes memory and carries values to and fro.\n");
    for (unsigned log = arguments_.from; log <= arguments_.to; log++) {
      const size_t n = (size_t)1 << log;
      if (outOfTime(text("transforms of 2^%u", log))) continue;
      const Buffer a = elements(seedFor(33, log), n), b = elements(seedFor(34, log), n);
      row(text("ntt 2^%u", log), [&] {
        Buffer wanted = a, got = a;
        const double coreMs = leastOf(1, [&] { engine().ntt(wanted.data(), n, false, false, card_.control); });
        CardPhases phases = {};
        CardStatus status = {};
        card_.api.ntt(card_.device, got.data(), n, 0, 0, arguments_.runs, &kTimed, &phases, &status);
        card_.expect(status);
        if (got != wanted) throw Mismatch("another transform");
        const double callMs = leastOf(1, [&] {
          card_.api.ntt(card_.device, got.data(), n, 0, 0, 1, nullptr, nullptr, &status);
          card_.expect(status);
        });
        tell(text("ntt 2^%u", log), "forward", phases, callMs, coreMs);
      });
      row(text("quotient 2^%u", log), [&] {
        Buffer wanted = a, got = a;
        const double coreMs = leastOf(1, [&] { engine().quotient(wanted.data(), b.data(), n, card_.control); });
        CardPhases phases = {};
        CardStatus status = {};
        card_.api.quotient(card_.device, got.data(), b.data(), n, arguments_.runs, &kTimed, &phases, &status);
        card_.expect(status);
        if (got != wanted) throw Mismatch("another quotient");
        const double callMs = leastOf(1, [&] {
          card_.api.quotient(card_.device, got.data(), b.data(), n, 1, nullptr, nullptr, &status);
          card_.expect(status);
        });
        tell(text("quotient 2^%u", log), "", phases, callMs, coreMs);
      });
    }
  }

  void tell(const std::string& what, const std::string& variant, const CardPhases& phases, double callMs, double coreMs) {
    double ms, bytes, operations;
    total(timesOf(phases), ms, bytes, operations);
    line("transform", what, variant, ms, bytes, operations, callMs, coreMs);
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
      if (outOfTime(text("%zu proofs of 2^%u rows in flight", flights, log))) break;
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

}  // namespace
}  // namespace ENGINE_NS
}  // namespace anchorproof
