// The library: card.h's functions over the kernels. One shared object with one export, made of this unit, msm_g1.cu, msm_g2.cu
// and ntt.cu; native/build.mjs compiles them side by side. By hand:
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

#include "device.h"
#include "field.h"

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

int32_t devices(CardStatus* status) {
  int count = 0;
  guarded(status, [&] {
    const cudaError_t error = cudaGetDeviceCount(&count);
    if (error != cudaSuccess) count = 0;
    if (static_cast<int>(error) == 35) {
      int version = 0;
      ignore(cudaGetLastError());
      ignore(cudaRuntimeGetVersion(&version));
      throw CardError(CARD_UNAVAILABLE, "there is no NVIDIA driver, or it is older than CUDA " + std::to_string(version / 1000) + "." +
                                            std::to_string(version % 1000 / 10) + " needs");
    }
    check(error, "counting the cards");
    if (count == 0) throw CardError(CARD_UNAVAILABLE, "no card is visible");
    count = std::min(count, MAX_DEVICES);
  });
  return count;
}

void describe(int32_t device, CardDescription* out, CardStatus* status) {
  guarded(status, [&] {
    require(out != nullptr, "there is nowhere to write to");
    OnDevice on(device);
    cudaDeviceProp p;
    check(cudaGetDeviceProperties(&p, device), "asking about the card");
    size_t available = 0, total = 0;
    check(cudaMemGetInfo(&available, &total), "asking for the card's memory");
    int clock = 0, memoryClock = 0, driver = 0, runtime = 0;
    check(cudaDeviceGetAttribute(&clock, cudaDevAttrClockRate, device), "asking for the clock");
    check(cudaDeviceGetAttribute(&memoryClock, cudaDevAttrMemoryClockRate, device), "asking for the clock");
    check(cudaDriverGetVersion(&driver), "asking for the driver");
    check(cudaRuntimeGetVersion(&runtime), "asking for the runtime");
    *out = {};
    snprintf(out->name, sizeof out->name, "%.127s", p.name);
    out->memoryBytes = total;
    out->freeBytes = available;
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

const CardApi API = {
    CARD_VERSION, AP_CUDA_BUILD, EMULATED, devices, describe, limits, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, field,
};

}  // namespace
}  // namespace cuda
}  // namespace anchorproof

extern "C" __attribute__((visibility("default"))) const CardApi* anchorproof_cards(void) { return &anchorproof::cuda::API; }
