// The library: card.h's functions over the kernels. One shared object with one export, made of this unit and the others of this
// folder; build.mjs compiles them side by side. By hand:
//
//   nvcc -std=c++17 -O3 --expt-relaxed-constexpr -gencode arch=compute_90,code=sm_90 -Xcompiler -fPIC,-fvisibility=hidden
//        -Xlinker --version-script=exports.map -shared -cudart static *.cu -o anchorproof-cuda.so
//   g++ -std=c++17 -O2 -fPIC -shared -fvisibility=hidden -Wl,--version-script=exports.map -fno-strict-aliasing
//       -x c++ *.cu -o anchorproof-cuda-emulated.so -pthread
//
// with -DAP_CUDA_BUILD='"..."' for the digest of the sources. exports.map keeps back what the standard library's templates and
// CUDA's runtime would export.
//
// No exception leaves: guarded() makes a status of each.
#include <algorithm>
#include <new>

#include "prover.h"

#ifndef AP_CUDA_BUILD
#define AP_CUDA_BUILD "by hand"
#endif

namespace anchorproof {
namespace cuda {
namespace {

#if defined(__CUDACC__)
constexpr bool EMULATED = false;
#else
constexpr bool EMULATED = true;
#endif

void set(CardStatus* status, int32_t code, bool lost, const char* message) {
  status->code = code;
  status->lost = lost;
  snprintf(status->message, sizeof status->message, "%s", message);
  std::replace(status->message, status->message + strlen(status->message), '\n', ' ');
}

// Every function of the table but closeKey runs in here.
template <class Work>
void guarded(CardStatus* status, Work&& work) {
  CardStatus unread;
  if (!status) status = &unread;
  set(status, CARD_OK, false, "");
  try {
    work();
  } catch (const CardError& error) {
    set(status, error.code, error.lost, error.what());
  } catch (const std::bad_alloc&) {
    set(status, CARD_OUT_OF_MEMORY, false, "the host has no memory left");
  } catch (const std::exception& error) {
    set(status, CARD_FAILED, false, error.what());
  } catch (...) {
    set(status, CARD_FAILED, false, "an exception that nobody knows");
  }
}

void require(bool condition, const char* message) {
  if (!condition) throw CardError(CARD_INPUT_INVALID, message);
}

// multiples: of options that are not given.
CardOptions optionsOr(const CardOptions* options, uint32_t multiples) { return options ? *options : CardOptions{0, multiples, 0, 0}; }

// --- Elements between the caller's form and the kernels' ------------------------------------------------------------

AP_HD Fq toMontgomery(const Fq& a) { return a.toMontgomery(); }
AP_HD Fr toMontgomery(const Fr& a) { return a.toMontgomery(); }
AP_HD Fq2 toMontgomery(const Fq2& a) { return {a.c0.toMontgomery(), a.c1.toMontgomery()}; }
AP_HD Fq fromMontgomery(const Fq& a) { return a.fromMontgomery(); }
AP_HD Fr fromMontgomery(const Fr& a) { return a.fromMontgomery(); }
AP_HD Fq2 fromMontgomery(const Fq2& a) { return {a.c0.fromMontgomery(), a.c1.fromMontgomery()}; }
AP_HD bool isReduced(const Fq& a) { return a.isReduced(); }
AP_HD bool isReduced(const Fr& a) { return a.isReduced(); }
AP_HD bool isReduced(const Fq2& a) { return a.c0.isReduced() && a.c1.isReduced(); }

constexpr unsigned THREADS = 128;

AP_DEVICE uint64_t globalThread() { return static_cast<uint64_t>(blockIdx.x) * blockDim.x + threadIdx.x; }

// A word on the card that kernels set when they meet a value outside the field.
class Flag {
 public:
  explicit Flag(cudaStream_t stream) : word_(1) { check(cudaMemsetAsync(word_.get(), 0, 4, stream), "clearing a flag"); }
  uint32_t* get() const { return word_.get(); }
  void throwIfSet(cudaStream_t stream, const char* message) const {
    uint32_t value = 0;
    download(stream, &value, word_.get(), sizeof value, nullptr);
    require(value == 0, message);
  }

 private:
  DeviceArray<uint32_t> word_;
};

// --- The field by itself --------------------------------------------------------------------------------------------

template <class F>
AP_KERNEL(THREADS, 1)
fieldKernel(int32_t op, const F* as, const F* bs, uint64_t n, F* out, uint32_t* flag) {
  const uint64_t i = globalThread();
  if (i >= n) return;
  F a = as[i], b = bs ? bs[i] : F::zero();
  if (!isReduced(a) || !isReduced(b)) atomicOr(flag, 1u);
  a = toMontgomery(a);
  b = toMontgomery(b);
  F c = a;
  if (op == CARD_MUL) c = a * b;
  if (op == CARD_SQUARE) c = a.sqr();
  if (op == CARD_ADD) c = a + b;
  if (op == CARD_SUB) c = a - b;
  if (op == CARD_NEG) c = -a;
  if (op == CARD_INVERSE) c = a.inverse();
  out[i] = fromMontgomery(c);
}

template <class F>
void runField(int32_t op, const uint8_t* a, const uint8_t* b, uint64_t n, uint8_t* out) {
  if (n == 0) return;
  Stream stream;
  Upload upload(n * sizeof(F));
  DeviceArray<F> as(n), bs(b ? n : 0), cs(n);
  Flag flag(stream);
  upload.copy(stream, as.get(), a, as.bytes(), nullptr);
  if (b) upload.copy(stream, bs.get(), b, bs.bytes(), nullptr);
  const F *left = as.get(), *right = bs.get();
  F* result = cs.get();
  uint32_t* word = flag.get();
  AP_LAUNCH(fieldKernel<F>, blocksFor(n, THREADS), THREADS, 0, stream, op, left, right, n, result, word);
  checkLaunch("field");
  flag.throwIfSet(stream, "an element is outside the field");
  download(stream, out, cs.get(), cs.bytes(), nullptr);
}

void field(int32_t device, int32_t kind, int32_t op, const uint8_t* a, const uint8_t* b, uint64_t n, uint8_t* out, CardStatus* status) {
  guarded(status, [&] {
    const bool two = op == CARD_MUL || op == CARD_ADD || op == CARD_SUB;
    require(op >= CARD_MUL && op <= CARD_INVERSE, "there is no such operation");
    require(n <= uint64_t{1} << 28, "too many elements");
    require(n == 0 || (a && out && (b || !two)), "an operand is missing");
    OnDevice on(device);
    if (kind == CARD_FQ) return runField<Fq>(op, a, two ? b : nullptr, n, out);
    if (kind == CARD_FR) return runField<Fr>(op, a, two ? b : nullptr, n, out);
    require(kind == CARD_FQ2, "there is no such field");
    runField<Fq2>(op, a, two ? b : nullptr, n, out);
  });
}

// --- What there is, and what it can do ------------------------------------------------------------------------------

std::string release(int version) { return "CUDA " + std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10); }

int32_t devices(CardStatus* status) {
  int count = 0;
  guarded(status, [&] {
    // Not by check(): no card can be lost before there is one, and what the driver says where its module is not loaded is Unknown.
    const cudaError_t error = cudaGetDeviceCount(&count);
    if (error != cudaSuccess) {
      cudaGetLastError();
      count = 0;
      int runtime = 0, driver = 0;
      if (static_cast<int>(error) != 35) throw CardError(CARD_UNAVAILABLE, textOf(error, "counting the cards"));
      ignore(cudaRuntimeGetVersion(&runtime));
      ignore(cudaDriverGetVersion(&driver));
      throw CardError(CARD_UNAVAILABLE, driver == 0 ? "there is no NVIDIA driver"
                                                    : "the NVIDIA driver is for " + release(driver) + ", and the library needs one for " +
                                                          release(runtime) + ": a newer driver, or a library built by an older toolkit");
    }
    if (count == 0) throw CardError(CARD_UNAVAILABLE, "no card is visible");
    count = std::min(count, MAX_DEVICES);
  });
  return count;
}

void describe(int32_t device, CardDescription* out, CardStatus* status) {
  guarded(status, [&] {
    require(out != nullptr, "there is nowhere to write to");
    // Without choosing the card, which would give this process a context there: whoever only looks takes no memory.
    int count = 0;
    check(cudaGetDeviceCount(&count), "counting the cards");
    require(device >= 0 && device < std::min(count, MAX_DEVICES), "there is no such card");
    cudaDeviceProp p;
    check(cudaGetDeviceProperties(&p, device), "asking about the card");
    int clock = 0, memoryClock = 0, driver = 0, runtime = 0;
    check(cudaDeviceGetAttribute(&clock, cudaDevAttrClockRate, device), "asking for the clock");
    check(cudaDeviceGetAttribute(&memoryClock, cudaDevAttrMemoryClockRate, device), "asking for the clock");
    check(cudaDriverGetVersion(&driver), "asking for the driver");
    check(cudaRuntimeGetVersion(&runtime), "asking for the runtime");
    *out = {};
    snprintf(out->name, sizeof out->name, "%.127s", p.name);
    out->memoryBytes = p.totalGlobalMem;
    out->major = static_cast<uint32_t>(p.major);
    out->minor = static_cast<uint32_t>(p.minor);
    out->multiprocessors = static_cast<uint32_t>(p.multiProcessorCount);
    out->clockKhz = static_cast<uint32_t>(clock);
    out->memoryClockKhz = static_cast<uint32_t>(memoryClock);
    out->memoryBusBits = static_cast<uint32_t>(p.memoryBusWidth);
    out->cacheBytes = static_cast<uint64_t>(p.l2CacheSize);
    out->driver = driver;
    out->runtime = runtime;
  });
}

// Two chains a thread, independent of each other, in registers; what comes out is written so that nothing is left out.
constexpr unsigned PRODUCTS = EMULATED ? 16 : 2048, PRODUCT_THREADS = 256;
AP_KERNEL(PRODUCT_THREADS, 2)
productKernel(Fq* values) {
  const uint64_t i = globalThread();
  Fq a = values[2 * i], b = values[2 * i + 1];
  const Fq by = a + b;
  for (unsigned k = 0; k < PRODUCTS; k++) {
    a = a * by;
    b = b * by;
  }
  values[2 * i] = a;
  values[2 * i + 1] = b;
}

// Least milliseconds of a few runs.
template <class Work>
float leastTime(cudaStream_t stream, Work&& work) {
  Event from(true), to(true);
  float least = 0;
  for (int run = 0; run < 5; run++) {
    from.record(stream);
    work();
    to.record(stream);
    waitFor(to, nullptr);
    float ms = 0;
    check(cudaEventElapsedTime(&ms, from, to), "reading the clock");
    if (run == 0 || ms < least) least = ms;
  }
  return std::max(least, 1e-6f);
}

uint64_t freeMemory(int32_t device, CardStatus* status) {
  size_t available = 0, total = 0;
  guarded(status, [&] {
    OnDevice on(device);
    check(cudaMemGetInfo(&available, &total), "asking for the card's memory");
  });
  return available;
}

void limits(int32_t device, CardLimits* out, CardStatus* status) {
  guarded(status, [&] {
    require(out != nullptr, "there is nowhere to write to");
    *out = {};
    OnDevice on(device);
    Stream stream;
    size_t available = 0, total = 0;
    check(cudaMemGetInfo(&available, &total), "asking for the card's memory");
    {
      // Far more than the cache holds.
      const size_t size = std::min<size_t>(available / 4, EMULATED ? size_t{1} << 20 : size_t{4} << 30) / 4096 * 4096;
      DeviceArray<uint8_t> from(size), to(size);
      check(cudaMemsetAsync(from.get(), 1, size, stream), "filling the card's memory");
      const float ms = leastTime(stream, [&] {
        check(cudaMemcpyAsync(to.get(), from.get(), size, cudaMemcpyDeviceToDevice, stream), "copying on the card");
      });
      out->copyBytesPerSecond = 2.0 * static_cast<double>(size) / (ms * 1e-3);
    }
    {
      PinnedArray<uint8_t> from(EMULATED ? size_t{1} << 20 : size_t{256} << 20);
      memset(from.get(), 1, from.bytes());
      DeviceArray<uint8_t> to(from.size());
      const Stream stream;  // goes before the memory that it reads
      const float ms = leastTime(stream, [&] {
        check(cudaMemcpyAsync(to.get(), from.get(), from.bytes(), cudaMemcpyHostToDevice, stream), "copying to the card");
      });
      out->uploadBytesPerSecond = static_cast<double>(from.bytes()) / (ms * 1e-3);
    }
    cudaDeviceProp p;
    check(cudaGetDeviceProperties(&p, device), "asking about the card");
    // Several waves, so that the last one's gaps count for little.
    const unsigned blocks = static_cast<unsigned>(p.multiProcessorCount) * (EMULATED ? 1 : 32);
    const uint64_t count = uint64_t{2} * blocks * PRODUCT_THREADS;
    DeviceArray<Fq> values(count);
    check(cudaMemsetAsync(values.get(), 0x17, values.bytes(), stream), "filling the card's memory");
    Fq* data = values.get();
    const float ms = leastTime(stream, [&] {
      AP_LAUNCH(productKernel, blocks, PRODUCT_THREADS, 0, stream, data);
      checkLaunch("products");
    });
    out->multiplicationsPerSecond = static_cast<double>(count) * PRODUCTS / (ms * 1e-3);
  });
}

// --- Proofs ---------------------------------------------------------------------------------------------------------

::CardKey* openKey(int32_t device, const CardKeyView* view, const CardOptions* options, const int32_t* abort, CardKeyFacts* facts,
                   CardStatus* status) {
  ::CardKey* key = nullptr;
  guarded(status, [&] {
    require(view != nullptr, "there is no key");
    const CardOptions chosen = optionsOr(options, 0);
    OnDevice on(device);
    auto made = std::make_unique<::CardKey>(device, *view, chosen, abort);
    if (facts) *facts = made->facts();
    key = made.release();
  });
  return key;
}

void closeKey(::CardKey* key) {
  if (!key) return;
  CardStatus unread;
  guarded(&unread, [&] {
    // On a card that is lost every call fails, but the host's side goes.
    OnDevice on(key->device(), OnDevice::CLOSING);
    delete key;
  });
}

void prove(::CardKey* key, const uint8_t* witness, const CardControl* control, CardProof* out, CardStatus* status) {
  guarded(status, [&] {
    require(key && witness && out, "an argument is missing");
    OnDevice on(key->device());
    key->prove(witness, control ? *control : CardControl{}, *out);
  });
}

// --- Single steps, for tests and tables -----------------------------------------------------------------------------

// Runs `once` with a meter as often as asked; the phases' times are the medians of the runs.
template <class Once>
void repeated(cudaStream_t stream, uint32_t repeat, const CardControl& control, CardPhases* phases, Once&& once) {
  require(repeat <= 1000, "too many runs");
  EventMeter meter;
  // Whatever happens, the card is done with it before it goes.
  struct Drain {
    cudaStream_t stream;
    ~Drain() { settle(cudaStreamSynchronize(stream)); }
  } drain{stream};
  std::vector<CardPhases> runs(std::max(repeat, 1u));
  for (CardPhases& run : runs) {
    meter.reset();
    once(phases ? &meter : nullptr);
    finish(stream, control.abort);
    meter.read(run);
  }
  if (!phases) return;
  *phases = runs[0];
  for (uint32_t i = 0; i < phases->count; i++) {
    std::vector<float> times;
    for (const CardPhases& run : runs) times.push_back(run.at[i].ms);
    std::nth_element(times.begin(), times.begin() + static_cast<ptrdiff_t>(times.size() / 2), times.end());
    phases->at[i].ms = times[times.size() / 2];
  }
}

template <class F, class Sum>
void runMsm(const void* points, const uint8_t* scalars, uint64_t n, const CardOptions& options, uint32_t repeat, const CardControl& control,
            Sum* out, CardPhases* phases) {
  if (phases) phases->count = 0;
  out->sets = out->shift = 0;
  if (n == 0) return;
  const CardPoints view = {points, nullptr, n, n};
  Stream stream;
  const uint32_t processors = multiprocessors();
  // The most multiples that leave room for the rest.
  Choices choices = Choices::of<F>(view, options);
  size_t available = 0, total = 0;
  check(cudaMemGetInfo(&available, &total), "asking for the card's memory");
  const uint64_t limit = options.memoryLimit ? options.memoryLimit : std::numeric_limits<uint64_t>::max();
  choices.chosen = choices.all.size() - 1;
  while (choices.chosen > 0 && (choices.bytes() > limit || choices.bytes() + std::max(workBytes<F>(choices.plan(), processors), constructionBytes<F>(choices.plan())) + n * sizeof(SignedScalar) >
                                                               available - available / 16)) {
    choices.chosen--;
  }
  const ResidentPoints<F> resident(view, choices.plan(), stream, control.abort);
  const MsmPlan& plan = resident.plan();
  SecretArray<SignedScalar> converted(stream, n);
  SecretArray<uint8_t> space(stream, workBytes<F>(plan, processors));
  SecretArray<Point<F>> sums(stream, CARD_MAX_SETS);
  Arena arena(space.get(), space.size());
  const Msm<F> msm(resident, arena);
  Flag flag(stream);
  Upload upload(n * 32);
  uploadScalars(stream, upload, scalars, n, converted.get(), nullptr, flag.get(), control.abort);
  flag.throwIfSet(stream, "a scalar is outside the field");
  repeated(stream, repeat, control, phases, [&](Meter* meter) { msm.enqueue(stream, converted.get(), nullptr, sums.get(), meter); });
  static_assert(sizeof(Point<F>) == sizeof out->sums[0], "points as card.h has them");
  download(stream, out->sums, sums.get(), plan.sums * sizeof(Point<F>), control.abort);
  out->sets = plan.sums;
  out->shift = plan.shift;
}

template <class F, class Sum>
void msm(int32_t device, const void* points, const uint8_t* scalars, uint64_t n, const CardOptions* options, uint32_t repeat,
         const CardControl* control, Sum* out, CardPhases* phases, CardStatus* status) {
  guarded(status, [&] {
    require(out && (n == 0 || (points && scalars)), "an argument is missing");
    require(n <= uint64_t{1} << 28, "too many points");
    // By itself a multiplication is not worth multiples.
    const CardOptions chosen = optionsOr(options, 1);
    OnDevice on(device);
    runMsm<F>(points, scalars, n, chosen, repeat, control ? *control : CardControl{}, out, phases);
  });
}

AP_KERNEL(THREADS, 1)
enterKernel(Fr* values, uint64_t n, uint32_t* flag) {
  const uint64_t i = globalThread();
  if (i >= n) return;
  const Fr value = values[i];
  if (!value.isReduced()) atomicOr(flag, 1u);
  values[i] = value.toMontgomery();
}

AP_KERNEL(THREADS, 1)
leaveKernel(Fr* values, uint64_t n) {
  const uint64_t i = globalThread();
  if (i < n) values[i] = values[i].fromMontgomery();
}

AP_KERNEL(THREADS, 1)
unsignedKernel(const SignedScalar* scalars, Fr* out, uint64_t n) {
  const uint64_t i = globalThread();
  if (i >= n) return;
  const SignedScalar s = scalars[i];
  const Fr value = {{s.w[0], s.w[1], s.w[2], s.w[3], s.w[4], s.w[5], s.w[6], s.w[7] & ~SIGN_BIT}};
  out[i] = s.w[7] & SIGN_BIT ? -value : value;
}

unsigned checkedLog(uint64_t n) {
  require(n > 0 && n <= uint64_t{1} << 28 && (n & (n - 1)) == 0, "the number of values is not a power of two up to 2^28");
  unsigned log = 0;
  while (uint64_t{1} << log < n) log++;
  return log;
}

void enter(cudaStream_t stream, Upload& upload, Fr* to, const uint8_t* from, uint64_t n, const Flag& flag, const int32_t* abort) {
  upload.copy(stream, to, from, n * sizeof(Fr), abort);
  uint32_t* const word = flag.get();
  AP_LAUNCH(enterKernel, blocksFor(n, THREADS), THREADS, 0, stream, to, n, word);
  checkLaunch("entering Montgomery form");
}

void copyOnCard(cudaStream_t stream, Fr* to, const Fr* from, uint64_t n) {
  check(cudaMemcpyAsync(to, from, n * sizeof(Fr), cudaMemcpyDeviceToDevice, stream), "copying on the card");
}

void ntt(int32_t device, uint8_t* data, uint64_t n, int32_t inverse, int32_t coset, uint32_t repeat, const CardControl* given,
         CardPhases* phases, CardStatus* status) {
  guarded(status, [&] {
    require(data != nullptr, "there are no values");
    const unsigned log = checkedLog(n);
    const CardControl control = given ? *given : CardControl{};
    OnDevice on(device);
    Stream stream;
    const CardDomain domain(log, stream);
    SecretArray<Fr> values(stream, n), scratch(stream, n), original(stream, repeat > 1 ? n : 0);
    Flag flag(stream);
    Upload upload(n * sizeof(Fr));
    enter(stream, upload, values.get(), data, n, flag, control.abort);
    flag.throwIfSet(stream, "a value is outside the field");
    if (repeat > 1) copyOnCard(stream, original.get(), values.get(), n);
    bool first = true;
    repeated(stream, repeat, control, phases, [&](Meter* meter) {
      if (!first) copyOnCard(stream, values.get(), original.get(), n);
      first = false;
      domain.transform(stream, values.get(), scratch.get(), inverse != 0, coset != 0, meter);
    });
    Fr* const out = values.get();
    AP_LAUNCH(leaveKernel, blocksFor(n, THREADS), THREADS, 0, stream, out, n);
    checkLaunch("leaving Montgomery form");
    download(stream, data, out, n * sizeof(Fr), nullptr);
  });
}

void quotient(int32_t device, uint8_t* a, const uint8_t* b, uint64_t n, uint32_t repeat, const CardControl* given, CardPhases* phases,
              CardStatus* status) {
  guarded(status, [&] {
    require(a && b, "there are no values");
    const unsigned log = checkedLog(n);
    const CardControl control = given ? *given : CardControl{};
    OnDevice on(device);
    Stream stream;
    const CardDomain domain(log, stream);
    SecretArray<Fr> as(stream, n), bs(stream, n), cs(stream, n), originals(stream, repeat > 1 ? 2 * n : 0);
    SecretArray<SignedScalar> out(stream, n);
    Flag flag(stream);
    Upload upload(n * sizeof(Fr));
    enter(stream, upload, as.get(), a, n, flag, control.abort);
    enter(stream, upload, bs.get(), b, n, flag, control.abort);
    flag.throwIfSet(stream, "a value is outside the field");
    if (repeat > 1) {
      copyOnCard(stream, originals.get(), as.get(), n);
      copyOnCard(stream, originals.get() + n, bs.get(), n);
    }
    bool first = true;
    repeated(stream, repeat, control, phases, [&](Meter* meter) {
      if (!first) {
        copyOnCard(stream, as.get(), originals.get(), n);
        copyOnCard(stream, bs.get(), originals.get() + n, n);
      }
      first = false;
      domain.quotient(stream, as.get(), bs.get(), cs.get(), out.get(), meter);
    });
    const SignedScalar* const from = out.get();
    Fr* const to = as.get();
    AP_LAUNCH(unsignedKernel, blocksFor(n, THREADS), THREADS, 0, stream, from, to, n);
    checkLaunch("leaving signed form");
    download(stream, a, to, n * sizeof(Fr), nullptr);
  });
}

const CardApi API = {
    CARD_VERSION, AP_CUDA_BUILD, EMULATED, devices, describe, freeMemory, limits, openKey, closeKey, prove, msm<Fq, CardSum1>, msm<Fq2, CardSum2>, ntt, quotient, field,
};

}  // namespace
}  // namespace cuda
}  // namespace anchorproof

extern "C" __attribute__((visibility("default"))) const CardApi* anchorproof_cards(void) { return &anchorproof::cuda::API; }
