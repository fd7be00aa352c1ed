// The emulated card itself: that it keeps what CUDA promises, gives nothing that CUDA does not promise, and finds the mistakes
// that are planted here. A detector counts as one only next to the right program, which passes with the same seeds.
//
// To be run three ways: as it is, under AddressSanitizer, and with every access seen (emulator_watch.h).
#include "../platform.h"

#include "check.h"

#if defined(__CUDACC__)

int main() {
  printf("emulator only\n");
  return 0;
}

#else

#include <sys/wait.h>

#include <thread>

using namespace anchorproof;
using test::Random;

namespace {

constexpr int SEEDS = 40;

// With how many of the seeds a program comes to a wrong result.
int wrongResults(bool (*right)()) {
  int wrong = 0;
  for (int seed = 1; seed <= SEEDS; seed++) {
    emulator::restart(static_cast<uint64_t>(seed));
    wrong += !right();
  }
  emulator::restart(1);
  return wrong;
}
// Runs a program in a process of its own; what it writes to stderr, and whether it ended well.
std::pair<std::string, bool> alone(void (*body)()) {
  int ends[2];
  CHECK(pipe(ends) == 0);
  fflush(stdout);
  const pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    dup2(ends[1], 2);
    close(ends[0]);
    close(ends[1]);
    body();
    _exit(0);
  }
  close(ends[1]);
  std::string said;
  char part[4096];
  for (ssize_t n; (n = read(ends[0], part, sizeof part)) > 0;) said.append(part, static_cast<size_t>(n));
  close(ends[0]);
  int status = 0;
  CHECK(waitpid(child, &status, 0) == child);
  return {said, WIFEXITED(status) && WEXITSTATUS(status) == 0};
}
// One that must end by itself without success, and say why. Under AddressSanitizer, or where every access is seen, that may be
// somebody else who says it in other words.
void dies(const char* what, void (*body)(), const char* says, const char* sanitizerSays = nullptr, const char* watchSays = nullptr) {
#if defined(AP_ADDRESS_SANITIZER)
  if (sanitizerSays) says = sanitizerSays;
#elif defined(__SANITIZE_THREAD__)
  if (watchSays) says = watchSays;
#endif
  (void)sanitizerSays, (void)watchSays;
  const auto end = alone(body);
  CHECK(!end.second, "%s: ended as if nothing was", what);
  CHECK(end.first.find(says) != std::string::npos, "%s: expected \"%s\", got \"%s\"", what, says, end.first.c_str());
}

// A program that is right, and one with a mistake, which shows in at least every tenth order. Where every access is seen it
// shows in each, and is called by one of the names.
template <bool (*right)(), bool (*mistaken)()>
void finds(const char* what, const char* name = nullptr, const char* otherName = nullptr) {
  const int falseAlarms = wrongResults(right);
  CHECK(falseAlarms == 0, "%s: the right program failed with %d of %d seeds", what, falseAlarms, SEEDS);
#if defined(__SANITIZE_THREAD__)
  if (name) {
    static uint64_t seed;
    for (seed = 1; seed <= 4; seed++) {
      const auto end = alone([] {
        emulator::restart(seed);
        mistaken();
      });
      CHECK(!end.second, "%s: not seen with seed %d", what, static_cast<int>(seed));
      CHECK(end.first.find(name) != std::string::npos || (otherName && end.first.find(otherName) != std::string::npos), "%s: %s", what,
            end.first.c_str());
    }
    return;
  }
#endif
  (void)name, (void)otherName;
  const int found = wrongResults(mistaken);
  CHECK(found * 10 >= SEEDS, "%s: found with %d of %d seeds", what, found, SEEDS);
}

cudaStream_t newStream() {
  cudaStream_t s;
  CHECK_CUDA(cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking));
  return s;
}
cudaEvent_t newEvent(unsigned flags = cudaEventDisableTiming) {
  cudaEvent_t e;
  CHECK_CUDA(cudaEventCreateWithFlags(&e, flags));
  return e;
}
template <class T = unsigned>
T* onCard(size_t n) {
  T* p;
  CHECK_CUDA(cudaMalloc(&p, n * sizeof(T)));
  return p;
}
template <class T = unsigned>
T* pinned(size_t n) {
  T* p;
  CHECK_CUDA(cudaMallocHost(&p, n * sizeof(T)));
  return p;
}
void upload(unsigned* to, const std::vector<unsigned>& from, cudaStream_t s) {
  CHECK_CUDA(cudaMemcpyAsync(to, from.data(), from.size() * 4, cudaMemcpyHostToDevice, s));
}
// Waits for the stream.
std::vector<unsigned> download(const unsigned* from, size_t n, cudaStream_t s) {
  std::vector<unsigned> out(n);
  CHECK_CUDA(cudaMemcpyAsync(out.data(), from, n * 4, cudaMemcpyDeviceToHost, s));
  return out;
}
#define LAUNCHED() CHECK_CUDA(cudaGetLastError())

// What a section takes it gives back.
struct NothingLeft {
  uint64_t card = emulator::allocatedBytes(), host = emulator::pinnedBytes();
  size_t streams = emulator::openStreams(), events = emulator::openEvents();
  ~NothingLeft() {
    CHECK(emulator::allocatedBytes() == card && emulator::pinnedBytes() == host);
    CHECK(emulator::openStreams() == streams && emulator::openEvents() == events);
  }
};

// ---- Threads and blocks

AP_KERNEL(1024, 1) countThreads(unsigned* seen, unsigned* sizes) {
  seen[blockIdx.x * blockDim.x + threadIdx.x]++;
  if (threadIdx.x == 0 && blockIdx.x == 0) {
    sizes[0] = gridDim.x;
    sizes[1] = blockDim.x;
  }
}
AP_KERNEL(1024, 1) takeNumbers(unsigned* counter, unsigned* numbers) {
  numbers[blockIdx.x * blockDim.x + threadIdx.x] = atomicAdd(counter, 1);
}

void threads() {
  NothingLeft watch;
  const cudaStream_t s = newStream();
  unsigned *seen = onCard(4096), *sizes = onCard(2);
  for (unsigned blocks : {1u, 2u, 3u}) {
    for (unsigned size : {1u, 2u, 31u, 32u, 33u, 256u, 1000u, 1024u}) {
      CHECK_CUDA(cudaMemsetAsync(seen, 0, 4096 * 4, s));
      AP_LAUNCH(countThreads, blocks, size, 0, s, seen, sizes);
      LAUNCHED();
      const auto counts = download(seen, 4096, s), dims = download(sizes, 2, s);
      for (unsigned i = 0; i < 4096; i++) CHECK(counts[i] == (i < blocks * size), "%u × %u, thread %u", blocks, size, i);
      CHECK(dims[0] == blocks && dims[1] == size);
    }
  }
  // The order is another one with each seed, and the same one with the same seed.
  std::vector<std::vector<unsigned>> orders;
  for (uint64_t seed : {5, 6, 7, 5}) {
    emulator::restart(seed);
    CHECK_CUDA(cudaMemsetAsync(sizes, 0, 4, s));
    AP_LAUNCH(takeNumbers, 4, 64, 0, s, sizes, seen);
    LAUNCHED();
    orders.push_back(download(seen, 256, s));
  }
  CHECK(orders[0] != orders[1] && orders[0] != orders[2] && orders[1] != orders[2] && orders[0] == orders[3]);
  CHECK_CUDA(cudaFree(seen));
  CHECK_CUDA(cudaFree(sizes));
  CHECK_CUDA(cudaStreamDestroy(s));
}

// ---- Barriers

// Each thread shows the block a value and takes its neighbour's, a few times.
template <bool first, bool second>
AP_KERNEL(1024, 1) passRound(unsigned* out, unsigned rounds) {
  AP_SHARED(unsigned, s);
  const unsigned t = threadIdx.x, n = blockDim.x;
  unsigned value = t;
  for (unsigned r = 0; r < rounds; r++) {
    s[t] = value;
    if (first) __syncthreads();
    value = s[(t + 1) % n] + 1;
    if (second) __syncthreads();
  }
  out[blockIdx.x * n + t] = value;
}
template <bool first, bool second>
bool passes() {
  const cudaStream_t s = newStream();
  bool right = true;
  for (unsigned n : {2u, 33u, 128u}) {
    unsigned* out = onCard(2 * n);
    AP_LAUNCH((passRound<first, second>), 2, n, n * 4, s, out, 5);
    LAUNCHED();
    const auto got = download(out, 2 * n, s);
    for (unsigned i = 0; i < 2 * n; i++) right &= got[i] == (i % n + 5) % n + 5;
    CHECK_CUDA(cudaFree(out));
  }
  CHECK_CUDA(cudaStreamDestroy(s));
  return right;
}

// Who has ended is not waited for.
AP_KERNEL(256, 1) endEarly(unsigned* out, unsigned n) {
  AP_SHARED(unsigned, s);
  if (threadIdx.x >= n) return;
  s[threadIdx.x] = threadIdx.x;
  __syncthreads();
  out[threadIdx.x] = s[n - 1 - threadIdx.x];
}

void barriers() {
  NothingLeft watch;
  finds<passes<true, true>, passes<false, true>>("no barrier between writing and reading", "race at byte", "not written by this block");
  finds<passes<true, true>, passes<true, false>>("no barrier between reading and writing", "no barrier between them");
  const cudaStream_t s = newStream();
  unsigned* out = onCard(100);
  AP_LAUNCH(endEarly, 1, 256, 400, s, out, 100);
  LAUNCHED();
  const auto got = download(out, 100, s);
  for (unsigned i = 0; i < 100; i++) CHECK(got[i] == 99 - i);
  CHECK_CUDA(cudaFree(out));
  CHECK_CUDA(cudaStreamDestroy(s));
}

// ---- Warps

AP_KERNEL(1024, 1) shuffles(unsigned* out) {
  const unsigned t = threadIdx.x, lane = t & 31;
  const unsigned mask = blockDim.x - (t & ~31u) >= 32 ? ~0u : (1u << (blockDim.x & 31)) - 1;
  const uint64_t wide = (static_cast<uint64_t>(t) << 40) + 5;
  unsigned* mine = out + t * 6;
  mine[0] = __shfl_sync(mask, t, static_cast<int>(lane ^ 1) & (__popc(mask) - 1));
  mine[1] = __shfl_up_sync(mask, t, 3);
  mine[2] = __shfl_down_sync(mask, t, 1);
  mine[3] = __ballot_sync(mask, t % 3 == 0);
  mine[4] = static_cast<unsigned>(__shfl_sync(mask, wide, 0) >> 40);
  // Two halves apart, one after the other.
  mine[5] = 0;
  if (mask == ~0u) {
    if (lane < 16) {
      mine[5] = __shfl_xor_sync(0xffffu, t, 5);
    } else {
      mine[5] = __shfl_down_sync(0xffff0000u, t, lane < 31 ? 1 : 0);
    }
    __syncwarp();
  }
}
// Prefix sums of a warp through shared memory, with barriers of the warp alone; other warps may be far ahead.
template <bool wait>
AP_KERNEL(256, 1) sumByWarps(unsigned* out) {
  AP_SHARED(unsigned, s);
  const unsigned t = threadIdx.x, lane = t & 31;
  unsigned sum = t;
  for (unsigned by = 1; by < 32; by *= 2) {
    s[t] = sum;
    __syncwarp();
    if (lane >= by) sum += s[t - by];
    if (wait) __syncwarp();
  }
  out[t] = sum;
}
template <bool wait>
bool sums() {
  const cudaStream_t s = newStream();
  unsigned* out = onCard(256);
  AP_LAUNCH(sumByWarps<wait>, 1, 256, 1024, s, out);
  LAUNCHED();
  const auto got = download(out, 256, s);
  bool right = true;
  for (unsigned t = 0, sum = 0; t < 256; t++) {
    sum = t % 32 == 0 ? t : sum + t;
    right &= got[t] == sum;
  }
  CHECK_CUDA(cudaFree(out));
  CHECK_CUDA(cudaStreamDestroy(s));
  return right;
}
// Reads a lane that the mask leaves out.
template <bool within>
AP_KERNEL(32, 1) readsLane(unsigned* out) {
  if (threadIdx.x < 8) out[threadIdx.x] = __shfl_sync(0xffu, 77u, within ? 7 : 8);
}
template <bool within>
bool reads() {
  const cudaStream_t s = newStream();
  unsigned* out = onCard(8);
  AP_LAUNCH(readsLane<within>, 1, 32, 0, s, out);
  LAUNCHED();
  const auto got = download(out, 8, s);
  CHECK_CUDA(cudaFree(out));
  CHECK_CUDA(cudaStreamDestroy(s));
  return got == std::vector<unsigned>(8, 77);
}

void warps() {
  NothingLeft watch;
  const cudaStream_t s = newStream();
  for (unsigned n : {32u, 64u, 1024u, 40u}) {
    for (uint64_t seed = 1; seed <= 4; seed++) {
      emulator::restart(seed);
      unsigned* out = onCard(n * 6);
      AP_LAUNCH(shuffles, 1, n, 0, s, out);
      LAUNCHED();
      const auto got = download(out, n * 6, s);
      for (unsigned t = 0; t < n; t++) {
        const unsigned lane = t & 31, first = t - lane, lanes = std::min(32u, n - first);
        const unsigned* mine = &got[t * 6];
        CHECK(mine[0] == first + ((lane ^ 1) & (lanes - 1)));
        CHECK(mine[1] == (lane < 3 ? t : t - 3));
        if (lane + 1 < lanes || lane == 31) CHECK(mine[2] == (lane == 31 ? t : t + 1));
        unsigned votes = 0;
        for (unsigned i = 0; i < lanes; i++) votes |= ((first + i) % 3 == 0 ? 1u : 0u) << i;
        CHECK(mine[3] == votes);
        CHECK(mine[4] == first);
        if (lanes == 32) CHECK(mine[5] == (lane < 16 ? first + (lane ^ 5) : lane < 31 ? t + 1 : t));
      }
      CHECK_CUDA(cudaFree(out));
    }
  }
  CHECK_CUDA(cudaStreamDestroy(s));
  finds<sums<true>, sums<false>>("no barrier of the warp", "no barrier between them");
  finds<reads<true>, reads<false>>("a lane that the mask leaves out");
}

// ---- Barriers that not all reach

AP_KERNEL(64, 1) halfWaits() {
  if (threadIdx.x < 32) {
    __syncthreads();
  } else {
    __syncthreads();
  }
}
AP_KERNEL(64, 1) waitsForWarp() {
  if (threadIdx.x == 3) {
    __syncthreads();
  } else {
    __syncwarp();
  }
}
AP_KERNEL(64, 1) namesEnded() {
  if (threadIdx.x == 40) return;
  __syncwarp();
}
AP_KERNEL(64, 1) namesNotItself() { __syncwarp(0xfu); }
AP_KERNEL(64, 1) namesNobody() { __ballot_sync(~0u, 1); }
AP_KERNEL(64, 1) twoMasks() { __syncwarp(threadIdx.x == 5 ? 0x7fffffffu : ~0u); }
AP_KERNEL(64, 1) twoOperations() {
  if (threadIdx.x == 5) {
    __ballot_sync(~0u, 1);
  } else {
    __syncwarp();
  }
}
template <void (*kernel)(), unsigned threads = 64>
void runOnce() {
  const cudaStream_t s = newStream();
  AP_LAUNCH(kernel, 2, threads, 0, s);
  cudaStreamSynchronize(s);
}

void divergence() {
  dies("two barriers", runOnce<halfWaits>, "divergent barrier");
  dies("a barrier and one of the warp", runOnce<waitsForWarp>, "nobody can go on");
  dies("a lane that has ended", runOnce<namesEnded>, "thread 40 of 64");
  dies("a lane that names others only", runOnce<namesNotItself>, "does not name the lane itself");
  dies("lanes that the block does not have", runOnce<namesNobody, 40>, "which the block does not have");
  dies("two masks", runOnce<twoMasks>, "nobody can go on");
  dies("two operations", runOnce<twoOperations>, "nobody can go on");
}

// ---- Shared memory

template <bool over>
AP_KERNEL(64, 1) writesShared() {
  AP_SHARED(unsigned char, s);
  s[threadIdx.x + (over ? 1 : 0)] = 7;
}
template <bool clear>
AP_KERNEL(64, 1) sumsShared(unsigned* out) {
  AP_SHARED(unsigned, s);
  if (clear) s[threadIdx.x] = 0;
  __syncthreads();
  atomicAdd(s, 1);
  __syncthreads();
  if (threadIdx.x == 0) out[blockIdx.x] = s[0];
}
template <bool clear>
bool sumsClear() {
  const cudaStream_t s = newStream();
  unsigned* out = onCard(2);
  AP_LAUNCH(sumsShared<clear>, 2, 64, 256, s, out);
  LAUNCHED();
  const auto got = download(out, 2, s);
  CHECK_CUDA(cudaFree(out));
  CHECK_CUDA(cudaStreamDestroy(s));
  return got == std::vector<unsigned>{64, 64};
}
template <bool over>
void writeShared() {
  const cudaStream_t s = newStream();
  AP_LAUNCH(writesShared<over>, 1, 64, 64, s);
  LAUNCHED();
  CHECK_CUDA(cudaStreamSynchronize(s));
  CHECK_CUDA(cudaStreamDestroy(s));
}

void sharedMemory() {
  NothingLeft watch;
  writeShared<false>();
  dies("beside shared memory", writeShared<true>, "kernel writesShared<over>", "use-after-poison");
  finds<sumsClear<true>, sumsClear<false>>("shared memory that nobody wrote", "was not written by this block");
}

// ---- Streams and events

AP_KERNEL(64, 1) append(unsigned* list, unsigned* length, unsigned value) {
  if (threadIdx.x == 0) list[atomicAdd(length, 1)] = value;
}
AP_KERNEL(64, 1) addOne(unsigned* values) { values[threadIdx.x] += 1; }

// Two streams write into one list: each in its order, the whole in many.
void streamOrder() {
  NothingLeft watch;
  std::set<std::vector<unsigned>> seen;
  for (uint64_t seed = 1; seed <= 30; seed++) {
    emulator::restart(seed);
    const cudaStream_t a = newStream(), b = newStream();
    unsigned *list = onCard(16), *length = onCard(1);
    CHECK_CUDA(cudaMemsetAsync(length, 0, 4, a));
    CHECK_CUDA(cudaStreamSynchronize(a));
    for (unsigned i = 0; i < 8; i++) {
      AP_LAUNCH(append, 1, 64, 0, a, list, length, i);
      AP_LAUNCH(append, 1, 64, 0, b, list, length, 100 + i);
    }
    LAUNCHED();
    CHECK_CUDA(cudaDeviceSynchronize());
    const auto got = download(list, 16, a);
    unsigned nextA = 0, nextB = 100;
    for (unsigned v : got) CHECK(v == (v < 100 ? nextA++ : nextB++));
    seen.insert(got);
    CHECK_CUDA(cudaFree(list));
    CHECK_CUDA(cudaFree(length));
    CHECK_CUDA(cudaStreamDestroy(a));
    CHECK_CUDA(cudaStreamDestroy(b));
  }
  CHECK(seen.size() >= 15, "%zu orders", seen.size());
}

// One stream prepares in several steps what another uses.
template <bool wait>
bool handsOver() {
  const cudaStream_t a = newStream(), b = newStream();
  const cudaEvent_t e = newEvent();
  unsigned *values = onCard(64), *copy = onCard(64);
  CHECK_CUDA(cudaMemsetAsync(values, 0, 256, a));
  for (int i = 0; i < 3; i++) AP_LAUNCH(addOne, 1, 64, 0, a, values);
  LAUNCHED();
  CHECK_CUDA(cudaEventRecord(e, a));
  if (wait) CHECK_CUDA(cudaStreamWaitEvent(b, e));
  CHECK_CUDA(cudaMemcpyAsync(copy, values, 256, cudaMemcpyDeviceToDevice, b));
  const auto got = download(copy, 64, b);
  CHECK_CUDA(cudaDeviceSynchronize());
  CHECK_CUDA(cudaFree(values));
  CHECK_CUDA(cudaFree(copy));
  CHECK_CUDA(cudaEventDestroy(e));
  CHECK_CUDA(cudaStreamDestroy(a));
  CHECK_CUDA(cudaStreamDestroy(b));
  return got == std::vector<unsigned>(64, 3);
}
// The other way: what one stream still reads, another writes anew.
template <bool wait>
bool reuses() {
  const cudaStream_t a = newStream(), b = newStream();
  const cudaEvent_t e = newEvent();
  unsigned *values = onCard(64), *copy = onCard(64);
  CHECK_CUDA(cudaMemsetAsync(values, 1, 256, a));
  CHECK_CUDA(cudaStreamSynchronize(a));
  CHECK_CUDA(cudaMemcpyAsync(copy, values, 256, cudaMemcpyDeviceToDevice, a));
  CHECK_CUDA(cudaEventRecord(e, a));
  if (wait) CHECK_CUDA(cudaStreamWaitEvent(b, e));
  CHECK_CUDA(cudaMemsetAsync(values, 0, 256, b));
  CHECK_CUDA(cudaDeviceSynchronize());
  const auto got = download(copy, 64, a);
  CHECK_CUDA(cudaFree(values));
  CHECK_CUDA(cudaFree(copy));
  CHECK_CUDA(cudaEventDestroy(e));
  CHECK_CUDA(cudaStreamDestroy(a));
  CHECK_CUDA(cudaStreamDestroy(b));
  return got == std::vector<unsigned>(64, 0x01010101);
}
// An event means what was recorded before the wait was asked for, and later recordings nothing.
void recordedAgain() {
  NothingLeft watch;
  for (uint64_t seed = 1; seed <= SEEDS; seed++) {
    emulator::restart(seed);
    const cudaStream_t a = newStream(), b = newStream();
    const cudaEvent_t e = newEvent();
    unsigned *list = onCard(4), *length = onCard(1);
    CHECK_CUDA(cudaMemsetAsync(length, 0, 4, a));
    CHECK_CUDA(cudaStreamWaitEvent(b, e));  // never recorded: for nothing
    CHECK_CUDA(cudaEventRecord(e, a));
    CHECK_CUDA(cudaStreamWaitEvent(b, e));
    AP_LAUNCH(append, 1, 64, 0, b, list, length, 1);
    CHECK_CUDA(cudaEventRecord(e, b));
    CHECK_CUDA(cudaStreamWaitEvent(a, e));
    AP_LAUNCH(append, 1, 64, 0, a, list, length, 2);
    LAUNCHED();
    CHECK_CUDA(cudaEventDestroy(e));  // those who wait for it go on waiting
    CHECK(download(list, 2, a) == (std::vector<unsigned>{1, 2}));
    CHECK_CUDA(cudaStreamDestroy(b));
    CHECK_CUDA(cudaStreamDestroy(a));
    CHECK_CUDA(cudaFree(list));
    CHECK_CUDA(cudaFree(length));
  }
}
void queries() {
  NothingLeft watch;
  int notReady = 0;
  for (uint64_t seed = 1; seed <= SEEDS; seed++) {
    emulator::restart(seed);
    const cudaStream_t s = newStream();
    const cudaEvent_t e = newEvent();
    unsigned* values = onCard(64);
    CHECK(cudaEventQuery(e) == cudaSuccess);
    CHECK_CUDA(cudaMemsetAsync(values, 0, 256, s));
    for (int i = 0; i < 4; i++) AP_LAUNCH(addOne, 1, 64, 0, s, values);
    LAUNCHED();
    CHECK_CUDA(cudaEventRecord(e, s));
    AP_LAUNCH(addOne, 1, 64, 0, s, values);
    cudaError_t answer;
    int tries = 0;
    while ((answer = seed % 2 ? cudaEventQuery(e) : cudaStreamQuery(s)) == cudaErrorNotReady) {
      CHECK(cudaGetLastError() == cudaErrorNotReady && cudaGetLastError() == cudaSuccess);
      CHECK(++tries < 1000);
      notReady++;
    }
    CHECK(answer == cudaSuccess);
    CHECK_CUDA(cudaFree(values));
    CHECK_CUDA(cudaStreamDestroy(s));
    CHECK_CUDA(cudaEventDestroy(e));
  }
  CHECK(notReady >= SEEDS / 2);
}
void elapsed() {
  NothingLeft watch;
  const cudaStream_t s = newStream();
  const cudaEvent_t a = newEvent(cudaEventDefault), b = newEvent(cudaEventDefault), untimed = newEvent();
  float ms = -1;
  CHECK(cudaEventElapsedTime(&ms, a, b) == cudaErrorInvalidResourceHandle);
  CHECK_CUDA(cudaEventRecord(a, s));
  CHECK_CUDA(cudaEventRecord(untimed, s));
  unsigned* values = onCard(1 << 20);
  CHECK_CUDA(cudaMemsetAsync(values, 0, 4 << 20, s));
  CHECK_CUDA(cudaEventRecord(b, s));
  CHECK_CUDA(cudaEventSynchronize(b));
  CHECK(cudaEventElapsedTime(&ms, untimed, b) == cudaErrorInvalidResourceHandle);
  CHECK_CUDA(cudaEventElapsedTime(&ms, a, b));
  CHECK(ms > 0 && ms < 10000, "%f", static_cast<double>(ms));
  // Recorded anew, and not reached yet with one of the seeds.
  bool waited = false;
  for (uint64_t seed = 1; seed <= SEEDS; seed++) {
    emulator::restart(seed);
    CHECK_CUDA(cudaEventRecord(b, s));
    const cudaError_t answer = cudaEventElapsedTime(&ms, a, b);
    CHECK(answer == cudaSuccess || answer == cudaErrorNotReady);
    waited |= answer == cudaErrorNotReady;
    CHECK_CUDA(cudaStreamSynchronize(s));
  }
  CHECK(waited);
  CHECK_CUDA(cudaFree(values));
  for (cudaEvent_t e : {a, b, untimed}) CHECK_CUDA(cudaEventDestroy(e));
  CHECK_CUDA(cudaStreamDestroy(s));
}
void streams() {
  NothingLeft watch;
  streamOrder();
  recordedAgain();
  queries();
  elapsed();
  finds<handsOver<true>, handsOver<false>>("no wait before reading", "nothing makes one stream wait", "never written");
  finds<reuses<true>, reuses<false>>("no wait before writing anew", "nothing makes one stream wait");
  // The legacy stream, blocking streams, and streams that are no more.
  unsigned* values = onCard(64);
  cudaStream_t s;
  CHECK(cudaStreamCreateWithFlags(&s, 0) == cudaErrorInvalidValue);
  CHECK(cudaStreamSynchronize(nullptr) == cudaErrorInvalidResourceHandle);
  CHECK(cudaMemsetAsync(values, 0, 4, nullptr) == cudaErrorInvalidResourceHandle);
  CHECK(cudaGetLastError() == cudaErrorInvalidResourceHandle);
  AP_LAUNCH(addOne, 1, 64, 0, nullptr, values);
  CHECK(cudaGetLastError() == cudaErrorInvalidResourceHandle);
  s = newStream();
  CHECK_CUDA(cudaStreamDestroy(s));
  CHECK(cudaStreamDestroy(s) == cudaErrorInvalidResourceHandle);
  CHECK(cudaStreamSynchronize(s) == cudaErrorInvalidResourceHandle);
  CHECK(cudaGetLastError() != cudaSuccess);
  CHECK_CUDA(cudaFree(values));
}

// ---- Copies

// Two halves go to the card through one buffer.
template <bool wait>
bool stages() {
  const cudaStream_t s = newStream();
  const cudaEvent_t e = newEvent();
  unsigned *values = onCard(128), *buffer = pinned(64);
  for (unsigned half = 0; half < 2; half++) {
    if (half == 1 && wait) CHECK_CUDA(cudaEventSynchronize(e));
    for (unsigned i = 0; i < 64; i++) buffer[i] = half * 64 + i;
    CHECK_CUDA(cudaMemcpyAsync(values + half * 64, buffer, 256, cudaMemcpyHostToDevice, s));
    CHECK_CUDA(cudaEventRecord(e, s));
  }
  const auto got = download(values, 128, s);
  bool right = true;
  for (unsigned i = 0; i < 128; i++) right &= got[i] == i;
  CHECK_CUDA(cudaFree(values));
  CHECK_CUDA(cudaFreeHost(buffer));
  CHECK_CUDA(cudaEventDestroy(e));
  CHECK_CUDA(cudaStreamDestroy(s));
  return right;
}
// The host reads what the card brings.
template <bool wait>
bool fetches() {
  const cudaStream_t s = newStream();
  unsigned *values = onCard(64), *buffer = pinned(64);
  CHECK_CUDA(cudaMemsetAsync(values, 0, 256, s));
  AP_LAUNCH(addOne, 1, 64, 0, s, values);
  CHECK_CUDA(cudaMemcpyAsync(buffer, values, 256, cudaMemcpyDeviceToHost, s));
  if (wait) CHECK_CUDA(cudaStreamSynchronize(s));
  bool right = true;
  for (unsigned i = 0; i < 64; i++) right &= buffer[i] == 1;
  CHECK_CUDA(cudaStreamSynchronize(s));
  CHECK_CUDA(cudaFree(values));
  CHECK_CUDA(cudaFreeHost(buffer));
  CHECK_CUDA(cudaStreamDestroy(s));
  return right;
}
// The host clears its buffer first and asks then, or the other way round: a quick card has brought the values before that.
template <bool first>
bool clears() {
  const cudaStream_t s = newStream();
  unsigned *values = onCard(64), *buffer = pinned(64);
  CHECK_CUDA(cudaMemsetAsync(values, 1, 256, s));
  if (first) memset(buffer, 0, 256);
  CHECK_CUDA(cudaMemcpyAsync(buffer, values, 256, cudaMemcpyDeviceToHost, s));
  if (!first) memset(buffer, 0, 256);
  CHECK_CUDA(cudaStreamSynchronize(s));
  const bool right = buffer[5] == 0x01010101;
  CHECK_CUDA(cudaFree(values));
  CHECK_CUDA(cudaFreeHost(buffer));
  CHECK_CUDA(cudaStreamDestroy(s));
  return right;
}
// The host's memory that is not pinned is read at the call, and written before it returns.
bool pageable() {
  const cudaStream_t s = newStream();
  unsigned* values = onCard(64);
  std::vector<unsigned> from(64, 9), to(64);
  upload(values, from, s);
  from.assign(64, 1);
  AP_LAUNCH(addOne, 1, 64, 0, s, values);
  CHECK_CUDA(cudaMemcpyAsync(to.data(), values, 256, cudaMemcpyDeviceToHost, s));
  const bool right = to == std::vector<unsigned>(64, 10);
  CHECK_CUDA(cudaFree(values));
  CHECK_CUDA(cudaStreamDestroy(s));
  return right;
}
// Arguments are those of the launch.
bool byValue() {
  struct Plan {
    unsigned *list, *length, value;
    void launch(cudaStream_t s) const { AP_LAUNCH(append, 1, 64, 0, s, list, length, value); }
  };
  const cudaStream_t s = newStream();
  unsigned *list = onCard(4), *length = onCard(1);
  CHECK_CUDA(cudaMemsetAsync(length, 0, 4, s));
  {
    Plan plan{list, length, 1};
    plan.launch(s);
    plan.value = 2;
    plan.launch(s);
    plan = Plan{nullptr, nullptr, 3};
  }
  LAUNCHED();
  const bool right = download(list, 2, s) == std::vector<unsigned>{1, 2};
  CHECK_CUDA(cudaFree(list));
  CHECK_CUDA(cudaFree(length));
  CHECK_CUDA(cudaStreamDestroy(s));
  return right;
}
void freesTooEarly() {
  for (uint64_t seed = 1; seed < 20; seed++) {
    emulator::restart(seed);
    const cudaStream_t s = newStream();
    unsigned *values = onCard(64), *buffer = pinned(64);
    CHECK_CUDA(cudaMemcpyAsync(values, buffer + 16, 64, cudaMemcpyHostToDevice, s));
    CHECK_CUDA(cudaFreeHost(buffer));
  }
}
void copies() {
  NothingLeft watch;
  finds<stages<true>, stages<false>>("a buffer used again before its copy", "the host writes pinned memory");
  finds<fetches<true>, fetches<false>>("a result read before it was there", "the host reads pinned memory");
  finds<clears<true>, clears<false>>("a buffer cleared after the copy was asked for", "the host writes pinned memory");
  CHECK(wrongResults(pageable) == 0);
  CHECK(wrongResults(byValue) == 0);
  dies("pinned memory given back before its copy", freesTooEarly, "cudaFreeHost of 256 bytes");

  // What is where is checked at the call, and so is how much of it there is.
  const cudaStream_t s = newStream();
  unsigned *values = onCard(64), *other = onCard(64), *buffer = pinned(64);
  unsigned here[64] = {};
  const auto refuses = [&](void* to, const void* from, size_t size, cudaMemcpyKind kind) {
    CHECK(cudaMemcpyAsync(to, from, size, kind, s) == cudaErrorInvalidValue);
    CHECK(cudaGetLastError() == cudaErrorInvalidValue && cudaGetLastError() == cudaSuccess);
  };
  refuses(here, buffer, 4, cudaMemcpyHostToDevice);
  refuses(values, other, 4, cudaMemcpyHostToDevice);
  refuses(values, other, 4, cudaMemcpyDeviceToHost);
  refuses(here, buffer, 4, cudaMemcpyDeviceToHost);
  refuses(values, buffer, 4, cudaMemcpyDeviceToDevice);
  refuses(buffer, values, 4, cudaMemcpyDeviceToDevice);
  refuses(values, buffer, 257, cudaMemcpyHostToDevice);
  refuses(values + 63, here, 5, cudaMemcpyHostToDevice);
  refuses(buffer + 1, values, 256, cudaMemcpyDeviceToHost);
  refuses(values, other + 1, 256, cudaMemcpyDeviceToDevice);
  CHECK(cudaMemsetAsync(values, 0, 257, s) == cudaErrorInvalidValue);
  CHECK(cudaMemsetAsync(buffer, 0, 4, s) == cudaErrorInvalidValue);
  CHECK(cudaMemcpyAsync(values, other, 4, static_cast<cudaMemcpyKind>(0), s) == cudaErrorInvalidMemcpyDirection);
  CHECK_CUDA(cudaMemcpyAsync(values + 64, buffer, 0, cudaMemcpyHostToDevice, s));
  CHECK(cudaGetLastError() != cudaSuccess);
  CHECK_CUDA(cudaFree(values));
  CHECK_CUDA(cudaFree(other));
  CHECK_CUDA(cudaFreeHost(buffer));
  CHECK_CUDA(cudaStreamDestroy(s));
}

// ---- Memory

template <bool clear>
bool countsUp() {
  const cudaStream_t s = newStream();
  unsigned* values = onCard(64);
  if (clear) CHECK_CUDA(cudaMemsetAsync(values, 0, 256, s));
  AP_LAUNCH(addOne, 1, 64, 0, s, values);
  LAUNCHED();
  const bool right = download(values, 64, s) == std::vector<unsigned>(64, 1);
  CHECK_CUDA(cudaFree(values));
  CHECK_CUDA(cudaStreamDestroy(s));
  return right;
}
AP_KERNEL(64, 1) writeAt(unsigned char* at, int64_t where) {
  if (threadIdx.x == 0) at[where] = 1;
}
template <int64_t where>
void writes() {
  const cudaStream_t s = newStream();
  auto* values = onCard<unsigned char>(1001);
  AP_LAUNCH(writeAt, 1, 64, 0, s, values, where);
  LAUNCHED();
  CHECK_CUDA(cudaStreamSynchronize(s));
  CHECK_CUDA(cudaFree(values));
  CHECK_CUDA(cudaStreamDestroy(s));
}
void overrunsPinned() {
  auto* buffer = pinned<unsigned char>(1001);
  buffer[1001] = 0;
  CHECK_CUDA(cudaFreeHost(buffer));
}
void hostReads() {
  unsigned* values = onCard(64);
  const cudaStream_t s = newStream();
  CHECK_CUDA(cudaMemsetAsync(values, 0, 256, s));
  CHECK_CUDA(cudaStreamSynchronize(s));
  fprintf(stderr, "reads");
  fprintf(stderr, "%u was read", *static_cast<volatile unsigned*>(values));
  raise(SIGABRT);
}
void usesFreed() {
  const cudaStream_t s = newStream();
  unsigned* values = onCard(64);
  CHECK_CUDA(cudaFree(values));
  AP_LAUNCH(addOne, 1, 64, 0, s, values);
  cudaStreamSynchronize(s);
}
// What kernels take is missing from what is free, once for each, and is no leak. Who planned with all that was free sees it fail.
void overhead() {
  constexpr size_t TOTAL = 1 << 20, EACH = 100 << 10;
  const auto available = [] {
    size_t free, total;
    CHECK_CUDA(cudaMemGetInfo(&free, &total));
    CHECK(total == TOTAL);
    return free;
  };
  emulator::setMemory(TOTAL);
  emulator::setOverhead(EACH);
  const cudaStream_t s = newStream();
  unsigned* values = onCard(64);
  auto* bytes = reinterpret_cast<unsigned char*>(values);
  CHECK_CUDA(cudaMemsetAsync(values, 0, 256, s));
  CHECK(available() == TOTAL - 512);
  for (int i = 0; i < 2; i++) {
    AP_LAUNCH(addOne, 1, 64, 0, s, values);
    CHECK_CUDA(cudaGetLastError());
    CHECK(available() == TOTAL - 512 - EACH && emulator::allocatedBytes() == 512);
  }
  auto* rest = onCard<char>(available() - EACH + 512);
  AP_LAUNCH(addOne, 1, 64, 0, s, values);
  CHECK_CUDA(cudaGetLastError());
  AP_LAUNCH(writeAt, 1, 64, 0, s, bytes, 3);
  CHECK(cudaGetLastError() == cudaErrorMemoryAllocation && cudaGetLastError() == cudaSuccess);
  CHECK_CUDA(cudaFree(rest));
  AP_LAUNCH(writeAt, 1, 64, 0, s, bytes, 3);
  CHECK_CUDA(cudaGetLastError());
  CHECK(download(values, 1, s)[0] == 0x01000003);
  CHECK_CUDA(cudaFree(values));
  CHECK(available() == TOTAL - 2 * EACH && emulator::allocatedBytes() == 0);
  CHECK_CUDA(cudaStreamDestroy(s));
  emulator::setOverhead(0);
  emulator::setMemory(static_cast<size_t>(4) << 30);
  setenv("AP_EMULATOR_OVERHEAD", "3K", 1);
  CHECK(std::make_unique<emulator::Machine>()->overhead() == 3 << 10);
  unsetenv("AP_EMULATOR_OVERHEAD");
}
void memory() {
  NothingLeft watch;
  finds<countsUp<true>, countsUp<false>>("memory that nobody wrote", "was never written");
  writes<0>();
  writes<1000>();
  dies("beside the end", writes<1001>, "beside an allocation of 1001 bytes", "use-after-poison", "is not the card's memory");
  dies("beside the beginning", writes<-1>, "kernel writeAt", "kernel writeAt");
  dies("far beside the end", writes<9000>, "kernel writeAt, block 0 of 1, thread 0 of 64", "kernel writeAt, block 0 of 1, thread 0 of 64");
  dies("beside pinned memory", overrunsPinned, "1001 bytes of pinned memory", "use-after-poison");
  dies("the host reads the card's memory", hostReads, "reads");
  dies("memory that was given back", usesFreed, "kernel addOne");

  size_t available, total;
  emulator::setMemory(1 << 20);
  CHECK_CUDA(cudaMemGetInfo(&available, &total));
  CHECK(total == 1 << 20 && available == total - emulator::allocatedBytes());
  char *big, *more;
  CHECK_CUDA(cudaMalloc(&big, available - 1000));
  CHECK(cudaMalloc(&more, 1001) == cudaErrorMemoryAllocation && more == nullptr);
  CHECK(cudaGetLastError() == cudaErrorMemoryAllocation && cudaGetLastError() == cudaSuccess);
  CHECK(cudaMalloc(&more, SIZE_MAX - 100) == cudaErrorMemoryAllocation && cudaGetLastError() != cudaSuccess);
  CHECK_CUDA(cudaMalloc(&more, 512));
  CHECK_CUDA(cudaFree(big));
  CHECK(emulator::allocatedBytes() == 512);  // what a leak looks like
  CHECK(cudaFree(more + 1) == cudaErrorInvalidValue && cudaFreeHost(more) == cudaErrorInvalidValue);
  CHECK_CUDA(cudaFree(more));
  CHECK(cudaFree(more) == cudaErrorInvalidValue && cudaGetLastError() == cudaErrorInvalidValue);
  CHECK_CUDA(cudaFree(nullptr));
  CHECK_CUDA(cudaMalloc(&more, 0));
  CHECK(more == nullptr);
  emulator::setMemory(static_cast<size_t>(4) << 30);

  // Small pieces cost 512 bytes or a multiple, large ones 2 MiB; all is back when they are.
  for (const auto& [size, cost] : {std::pair<size_t, size_t>{1, 512}, {513, 1024}, {1 << 20, 1 << 20}, {(1 << 20) + 1, 2 << 20}, {(4 << 20) + 1, 6 << 20}}) {
    size_t before, with, after;
    CHECK_CUDA(cudaMemGetInfo(&before, &total));
    CHECK_CUDA(cudaMalloc(&more, size));
    CHECK_CUDA(cudaMemGetInfo(&with, &total));
    CHECK(before - with == cost && emulator::allocatedBytes() == cost);
    CHECK_CUDA(cudaFree(more));
    CHECK_CUDA(cudaMemGetInfo(&after, &total));
    CHECK(after == before);
  }
  overhead();

  // Giving back waits for the card, and shows what is given back as it was last.
  for (uint64_t seed = 1; seed <= 8; seed++) {
    emulator::restart(seed);
    static std::vector<std::string> given;
    given.clear();
    emulator::onFree([](const void* at, size_t size, bool ofCard) {
      given.push_back((ofCard ? "card " : "host ") + std::string(static_cast<const char*>(at), size));
    });
    const cudaStream_t s = newStream();
    char *a = onCard<char>(3), *b = pinned<char>(2);
    memcpy(b, "yz", 2);
    CHECK_CUDA(cudaMemsetAsync(a, 'x', 3, s));
    CHECK_CUDA(cudaFree(a));
    CHECK_CUDA(cudaFreeHost(b));
    emulator::onFree(nullptr);
    CHECK(given == (std::vector<std::string>{"card xxx", "host yz"}));
    CHECK_CUDA(cudaStreamDestroy(s));
  }
}

// ---- Launches

AP_KERNEL(1024, 1) usesShared(unsigned bytes) {
  AP_SHARED(unsigned char, s);
  for (unsigned i = threadIdx.x; i < bytes; i += blockDim.x) s[i] = 1;
}
AP_KERNEL(1024, 1) usesSharedToo(unsigned bytes) {
  AP_SHARED(unsigned char, s);
  if (bytes > 0) s[bytes - 1] = 2;
}
constexpr unsigned AT_MOST = 128;
AP_KERNEL(AT_MOST, 1) atMost128(unsigned* out) { out[blockIdx.x * blockDim.x + threadIdx.x] = 1; }
template <unsigned bound>
AP_KERNEL(2 * bound, 1) atMostTwice(unsigned* out) {
  if (!out) return;
  out[blockIdx.x * blockDim.x + threadIdx.x] = 1;
}
void plainFunction(unsigned*) {}
void launchesPlainFunction() {
  const cudaStream_t s = newStream();
  AP_LAUNCH(plainFunction, 1, 64, 0, s, nullptr);
  cudaStreamSynchronize(s);
}
// What a kernel is compiled for is all that it can be launched with; what was refused has not run.
void launchBounds() {
  const cudaStream_t s = newStream();
  unsigned* out = onCard(512);
  const auto holds = [&](void (*kernel)(unsigned*), uint64_t bound) {
    for (uint64_t threads : {bound, bound + 1, 2 * bound}) {
      CHECK_CUDA(cudaMemsetAsync(out, 0, 2048, s));
      AP_LAUNCH(kernel, 1, threads, 0, s, out);
      const cudaError_t error = cudaGetLastError();
      CHECK(error == (threads > bound ? cudaErrorLaunchOutOfResources : cudaSuccess) && cudaGetLastError() == cudaSuccess);
      const auto got = download(out, 512, s);
      for (uint64_t i = 0; i < 512; i++) CHECK(got[i] == (threads == bound && i < bound), "%d threads", static_cast<int>(threads));
    }
  };
  holds(atMost128, 128);
  holds(atMostTwice<16>, 32);
  holds(atMostTwice<48>, 96);
  holds(atMostTwice<128>, 256);
  dies("a function that is no kernel", launchesPlainFunction, "plainFunction was not defined by AP_KERNEL");
  CHECK_CUDA(cudaFree(out));
  CHECK_CUDA(cudaStreamDestroy(s));
}
void launches() {
  NothingLeft watch;
#if !defined(__clang__)
  launchBounds();
#endif
  const cudaStream_t s = newStream();
  const auto answer = [&](uint64_t blocks, uint64_t threads, size_t shared) {
    AP_LAUNCH(usesShared, blocks, threads, shared, s, static_cast<unsigned>(shared));
    const cudaError_t error = cudaGetLastError();
    CHECK(cudaGetLastError() == cudaSuccess);
    return error;
  };
  CHECK(answer(1, 1, 0) == cudaSuccess && answer(3, 1024, 0) == cudaSuccess && answer(1, 7, 48 << 10) == cudaSuccess);
  CHECK(answer(0, 1, 0) == cudaErrorInvalidConfiguration && answer(1, 0, 0) == cudaErrorInvalidConfiguration);
  CHECK(answer(1, 1025, 0) == cudaErrorInvalidConfiguration);
  CHECK(answer(uint64_t{1} << 31, 1, 0) == cudaErrorInvalidConfiguration);
  CHECK(answer((uint64_t{1} << 32) + 1, 1, 0) == cudaErrorInvalidConfiguration);
  CHECK(answer(1, (uint64_t{1} << 32) + 1, 0) == cudaErrorInvalidConfiguration);
  CHECK(answer(1, 1, (48 << 10) + 1) == cudaErrorInvalidValue);
  // More is to be asked for, kernel by kernel.
  CHECK(cudaFuncSetAttribute(usesShared, cudaFuncAttributeMaxDynamicSharedMemorySize, (99 << 10) + 1) == cudaErrorInvalidValue);
  CHECK(cudaGetLastError() == cudaErrorInvalidValue);
  CHECK_CUDA(cudaFuncSetAttribute(usesShared, cudaFuncAttributeMaxDynamicSharedMemorySize, 64 << 10));
  CHECK(answer(1, 1, 64 << 10) == cudaSuccess && answer(1, 1, (64 << 10) + 1) == cudaErrorInvalidValue);
  AP_LAUNCH(usesSharedToo, 1, 1, 64 << 10, s, 0);
  CHECK(cudaGetLastError() == cudaErrorInvalidValue);
  CHECK_CUDA(cudaStreamSynchronize(s));
  CHECK_CUDA(cudaStreamDestroy(s));
}

// ---- Faults

void faults() {
  NothingLeft watch;
  const cudaStream_t s = newStream();
  const cudaEvent_t e = newEvent();
  unsigned *values = onCard(64), *buffer = pinned(64), *more;
  CHECK_CUDA(cudaMemsetAsync(values, 0, 256, s));

  emulator::setFaults("alloc:2,pinned:1");
  CHECK_CUDA(cudaMalloc(&more, 4));
  CHECK_CUDA(cudaFree(more));
  CHECK(cudaMalloc(&more, 4) == cudaErrorMemoryAllocation && more == nullptr);
  CHECK(cudaMallocHost(&more, 4) == cudaErrorMemoryAllocation && more == nullptr);
  CHECK(cudaGetLastError() == cudaErrorMemoryAllocation && cudaGetLastError() == cudaSuccess);
  CHECK_CUDA(cudaMalloc(&more, 4));
  CHECK_CUDA(cudaFree(more));
  emulator::setFaults("alloc:1+");
  for (int i = 0; i < 3; i++) CHECK(cudaMalloc(&more, 4) == cudaErrorMemoryAllocation);
  CHECK(cudaGetLastError() != cudaSuccess);

  // A kernel breaks the context, when it runs, for everything and for good.
  for (uint64_t seed = 1; seed <= 8; seed++) {
    emulator::restart(seed);
    emulator::setFaults("launch:3");
    const cudaStream_t other = newStream();
    int fine = 0;
    for (int i = 0; i < 4; i++) {
      AP_LAUNCH(addOne, 1, 64, 0, s, values);
      fine += cudaGetLastError() == cudaSuccess;
    }
    CHECK(fine >= 2);
    cudaMemcpyAsync(values, buffer, 256, cudaMemcpyHostToDevice, s);
    cudaEventRecord(e, s);
    cudaStreamWaitEvent(other, e);
    CHECK(cudaStreamSynchronize(seed % 2 ? s : other) == cudaErrorLaunchFailure);
    for (int i = 0; i < 2; i++) CHECK(cudaGetLastError() == cudaErrorLaunchFailure);
    buffer[0] = 0;  // no copy is under way any more
    size_t available, total;
    cudaDeviceProp properties;
    CHECK(cudaMalloc(&more, 4) == cudaErrorLaunchFailure && cudaMallocHost(&more, 4) == cudaErrorLaunchFailure);
    CHECK(cudaMemGetInfo(&available, &total) == cudaErrorLaunchFailure);
    CHECK(cudaMemcpyAsync(values, buffer, 4, cudaMemcpyHostToDevice, s) == cudaErrorLaunchFailure);
    CHECK(cudaMemsetAsync(values, 0, 4, s) == cudaErrorLaunchFailure);
    CHECK(cudaStreamSynchronize(s) == cudaErrorLaunchFailure && cudaStreamQuery(other) == cudaErrorLaunchFailure);
    CHECK(cudaEventSynchronize(e) == cudaErrorLaunchFailure && cudaEventQuery(e) == cudaErrorLaunchFailure);
    CHECK(cudaDeviceSynchronize() == cudaErrorLaunchFailure && cudaSetDevice(0) == cudaErrorLaunchFailure);
    CHECK(cudaGetDeviceProperties(&properties, 0) == cudaErrorLaunchFailure);
    CHECK(cudaStreamDestroy(other) == cudaErrorLaunchFailure);
  }
  emulator::restart(1);
  emulator::setFaults("copy:2");
  CHECK_CUDA(cudaMemcpyAsync(values, buffer, 256, cudaMemcpyHostToDevice, s));
  CHECK_CUDA(cudaStreamSynchronize(s));
  cudaMemcpyAsync(buffer, values, 256, cudaMemcpyDeviceToHost, s);
  CHECK(cudaStreamSynchronize(s) == cudaErrorIllegalAddress && cudaGetLastError() == cudaErrorIllegalAddress);

  // One bit, once.
  emulator::restart(1);
  emulator::setFaults("flip:2");
  for (int i = 1; i <= 3; i++) {
    CHECK_CUDA(cudaMemsetAsync(values, 0, 256, s));
    CHECK_CUDA(cudaMemcpyAsync(buffer, values, 256, cudaMemcpyDeviceToHost, s));
    CHECK_CUDA(cudaStreamSynchronize(s));
    int bits = 0;
    for (int k = 0; k < 64; k++) bits += __popc(buffer[k]);
    CHECK(bits == (i == 2));
  }

  // Each call of a program fails once: it is told each time.
  int failed = 0;
  for (int n = 1;; n++) {
    emulator::restart(1);
    emulator::setFaults(("call:" + std::to_string(n)).c_str());
    cudaError_t errors[6];
    errors[0] = cudaMalloc(&more, 256);
    errors[1] = cudaMemsetAsync(values, 0, 256, s);
    AP_LAUNCH(addOne, 1, 64, 0, s, values);
    errors[2] = cudaPeekAtLastError();
    errors[3] = cudaEventRecord(e, s);
    errors[4] = cudaMemcpyAsync(buffer, values, 256, cudaMemcpyDeviceToHost, s);
    errors[5] = cudaStreamSynchronize(s);
    cudaGetLastError();
    if (errors[0] == cudaSuccess) CHECK_CUDA(cudaFree(more));
    int here = 0;
    for (cudaError_t error : errors) here += error == cudaErrorUnknown;
    if (here == 0) break;
    failed++;
  }
  CHECK(failed == 6, "%d", failed);

  // No driver, no card. From the environment, which the library in another process is told by.
  int count = -1;
  setenv("AP_EMULATOR_FAULT", "driver", 1);
  CHECK(cudaGetDeviceCount(&count) == cudaErrorInsufficientDriver && count == 0);
  CHECK(cudaMalloc(&more, 4) == cudaErrorInsufficientDriver && cudaSetDevice(0) == cudaErrorInsufficientDriver);
  setenv("AP_EMULATOR_FAULT", "none", 1);
  CHECK(cudaGetDeviceCount(&count) == cudaErrorNoDevice && count == 0);
  setenv("AP_EMULATOR_FAULT", "alloc:1", 1);
  CHECK(cudaGetDeviceCount(&count) == cudaSuccess && count == 1);
  cudaGetLastError();
  CHECK(cudaMalloc(&more, 4) == cudaErrorMemoryAllocation);
  CHECK(cudaGetDeviceCount(&count) == cudaSuccess);
  CHECK_CUDA(cudaMalloc(&more, 4));
  CHECK_CUDA(cudaFree(more));
  unsetenv("AP_EMULATOR_FAULT");
  CHECK(cudaGetDeviceCount(&count) == cudaSuccess);
  dies("a fault that there is not", [] { emulator::setFaults("allocs:1"); }, "is no fault");

  emulator::restart(1);
  CHECK_CUDA(cudaFree(values));
  CHECK_CUDA(cudaFreeHost(buffer));
  CHECK_CUDA(cudaStreamDestroy(s));
  CHECK_CUDA(cudaEventDestroy(e));
}

#if defined(__SANITIZE_THREAD__)
// ---- What shows in no order, and only to who sees every access

AP_KERNEL(64, 1) countsPlainly(unsigned* counter) {
  AP_SHARED(unsigned, s);
  if (threadIdx.x == 0) s[0] = 0;
  __syncthreads();
  s[0] += 1;
  __syncthreads();
  if (threadIdx.x == 0) atomicAdd(counter, s[0]);
}
AP_KERNEL(64, 1) blocksCountPlainly(unsigned* counter) {
  if (threadIdx.x == 0) *counter += 1;
}
AP_KERNEL(64, 1) raiseFlag(unsigned* flag) { *flag = 1; }
AP_KERNEL(64, 1) addsAndReads(unsigned* counter, unsigned* out) {
  atomicAdd(counter, 1);
  out[threadIdx.x] = *counter > 0;
}
template <bool wait>
AP_KERNEL(32, 1) shufflesToOrder(unsigned* out) {
  AP_SHARED(unsigned, s);
  s[threadIdx.x] = threadIdx.x;
  const unsigned sum = __shfl_sync(~0u, threadIdx.x, 3) + __popc(__ballot_sync(~0u, 1));
  if (wait) __syncwarp();
  out[threadIdx.x] = s[31 - threadIdx.x] + sum;
}
template <bool wait>
AP_KERNEL(64, 1) warpsMeet(unsigned* out) {
  AP_SHARED(unsigned, s);
  s[threadIdx.x] = threadIdx.x;
  if (wait) __syncthreads();
  __syncwarp();
  out[threadIdx.x] = s[63 - threadIdx.x];
}
// Pairs of lanes that meet pair by pair: each knows of its own pair, and by the second meeting of the other's.
template <bool second>
AP_KERNEL(32, 1) pairsMeet(unsigned* out) {
  AP_SHARED(unsigned, s);
  const unsigned t = threadIdx.x;
  s[t] = t;
  if (t < 4) {
    __syncwarp(t < 2 ? 0x3u : 0xcu);
    if (second) __syncwarp(t == 0 || t == 3 ? 0x9u : 0x6u);
    out[t] = s[3 - t] + s[2 - (t & 2) + (t & 1)];
  }
}
// All blocks use a word; the last one does so twice, a barrier between, and then changes it. What the others did is not forgotten.
template <bool atomically>
AP_KERNEL(64, 1) usesTwice(unsigned* word, unsigned* out) {
  const unsigned t = threadIdx.x, block = blockIdx.x, rounds = block + 1 == gridDim.x ? 2 : 1;
  for (unsigned round = 0; round < rounds; round++) {
    out[t + block * 16] = atomically ? atomicAdd(word, 1) : *word;
    __syncthreads();
  }
  if (t == 0 && rounds == 2) *word = 7;
}
AP_KERNEL(64, 1) readsPointer(const unsigned* from, unsigned* out) { out[threadIdx.x] = from[threadIdx.x]; }
AP_KERNEL(64, 1) writesBytes(unsigned char* at, unsigned n) {
  if (threadIdx.x < n) at[blockIdx.x * n + threadIdx.x] = 1;
}

template <class Kernel, class... A>
void alone64(Kernel* kernel, unsigned blocks, unsigned threads, A... more) {
  const cudaStream_t s = newStream();
  unsigned *counter = onCard(1), *out = onCard(64);
  CHECK_CUDA(cudaMemsetAsync(counter, 0, 4, s));
  if constexpr (std::is_invocable<Kernel, unsigned*>::value) {
    AP_LAUNCH(kernel, blocks, threads, 256, s, sizeof...(more) ? out : counter);
  } else {
    AP_LAUNCH(kernel, blocks, threads, 256, s, counter, out);
  }
  LAUNCHED();
  CHECK_CUDA(cudaStreamSynchronize(s));
  CHECK_CUDA(cudaFree(counter));
  CHECK_CUDA(cudaFree(out));
  CHECK_CUDA(cudaStreamDestroy(s));
}
void hostPointer() {
  const cudaStream_t s = newStream();
  std::vector<unsigned> here(64);
  unsigned* out = onCard(64);
  AP_LAUNCH(readsPointer, 1, 64, 0, s, here.data(), out);
  cudaStreamSynchronize(s);
}
void pinnedPointer() {
  const cudaStream_t s = newStream();
  unsigned *here = pinned(64), *out = onCard(64);
  AP_LAUNCH(readsPointer, 1, 64, 0, s, here, out);
  cudaStreamSynchronize(s);
}
void readsPart() {
  const cudaStream_t s = newStream();
  unsigned *values = onCard(64), *buffer = pinned(64);
  CHECK_CUDA(cudaMemsetAsync(values, 0, 255, s));
  CHECK_CUDA(cudaMemcpyAsync(buffer, values, 256, cudaMemcpyDeviceToHost, s));
  cudaStreamSynchronize(s);
}
// One stream after another by events, and by the host's waiting.
template <int forgotten>
void relay() {
  const cudaStream_t a = newStream(), b = newStream(), c = newStream();
  const cudaEvent_t e = newEvent();
  unsigned *values = onCard(64), *out = onCard(64);
  CHECK_CUDA(cudaMemsetAsync(values, 0, 256, a));
  CHECK_CUDA(cudaEventRecord(e, a));
  CHECK_CUDA(cudaStreamWaitEvent(b, e));
  AP_LAUNCH(addOne, 1, 64, 0, b, values);
  CHECK_CUDA(cudaEventRecord(e, b));
  if (forgotten != 1) CHECK_CUDA(cudaStreamWaitEvent(c, e));
  AP_LAUNCH(readsPointer, 1, 64, 0, c, values, out);
  if (forgotten != 2) CHECK_CUDA(forgotten == 3 ? cudaStreamSynchronize(b) : cudaStreamSynchronize(c));
  AP_LAUNCH(addOne, 1, 64, 0, a, values);
  LAUNCHED();
  CHECK_CUDA(cudaDeviceSynchronize());
  for (unsigned* p : {values, out}) CHECK_CUDA(cudaFree(p));
  for (cudaStream_t s : {a, b, c}) CHECK_CUDA(cudaStreamDestroy(s));
  CHECK_CUDA(cudaEventDestroy(e));
}
// Several streams read, one of them twice, and it waits for all of the others but one before it writes.
template <unsigned readers, bool wait>
void readersOfStreams() {
  const cudaEvent_t e = newEvent();
  cudaStream_t s[readers];
  unsigned *values = onCard(64), *out[readers];
  for (unsigned i = 0; i < readers; i++) {
    s[i] = newStream();
    out[i] = onCard(64);
  }
  CHECK_CUDA(cudaMemsetAsync(values, 0, 256, s[0]));
  CHECK_CUDA(cudaStreamSynchronize(s[0]));
  for (unsigned i = 0; i < readers; i++) AP_LAUNCH(readsPointer, 1, 64, 0, s[i], values, out[i]);
  const cudaStream_t last = s[readers - 1];
  AP_LAUNCH(readsPointer, 1, 64, 0, last, values, out[readers - 1]);
  for (unsigned i = wait ? 0 : 1; i + 1 < readers; i++) {
    CHECK_CUDA(cudaEventRecord(e, s[i]));
    CHECK_CUDA(cudaStreamWaitEvent(last, e));
  }
  AP_LAUNCH(addOne, 1, 64, 0, last, values);
  LAUNCHED();
  CHECK_CUDA(cudaDeviceSynchronize());
  CHECK_CUDA(cudaFree(values));
  for (unsigned i = 0; i < readers; i++) {
    CHECK_CUDA(cudaFree(out[i]));
    CHECK_CUDA(cudaStreamDestroy(s[i]));
  }
  CHECK_CUDA(cudaEventDestroy(e));
}
// With each seed, not with some.
template <class Body>
void alwaysDies(const char* what, Body, const char* says) {
  static uint64_t seed;
  for (seed = 1; seed <= 6; seed++) {
    dies(what, [] { emulator::restart(seed), Body()(); }, says);
  }
}
template <bool atomically, unsigned blocks>
struct UsesTwice {
  void operator()() const { alone64(usesTwice<atomically>, blocks, 16); }
};
template <unsigned readers>
struct Readers {
  void operator()() const { readersOfStreams<readers, false>(); }
};
void bytesBesideEachOther() {
  const cudaStream_t s = newStream();
  auto* bytes = onCard<unsigned char>(15);
  AP_LAUNCH(writesBytes, 3, 64, 0, s, bytes, 5);
  LAUNCHED();
  CHECK_CUDA(cudaStreamSynchronize(s));
  CHECK_CUDA(cudaFree(bytes));
  CHECK_CUDA(cudaStreamDestroy(s));
}

void everyAccess() {
  NothingLeft watch;
  const char *const noBarrier = "no barrier between them", *const noWait = "nothing makes one stream wait";
  dies("updates that get lost", [] { alone64(countsPlainly, 1, 64); }, noBarrier);
  dies("updates that get lost between blocks", [] { alone64(blocksCountPlainly, 2, 64); }, noBarrier);
  alone64(blocksCountPlainly, 1, 64);
  dies("the same value from two threads", [] { alone64(raiseFlag, 1, 64); }, noBarrier);
  alone64(raiseFlag, 1, 1);
  dies("atomic beside plain", [] { alone64(addsAndReads, 1, 64); }, noBarrier);
  dies("shuffles are no barriers of memory", [] { alone64(shufflesToOrder<false>, 1, 32, 1); }, noBarrier);
  alone64(shufflesToOrder<true>, 1, 32, 1);
  dies("a barrier of the warp for two warps", [] { alone64(warpsMeet<false>, 1, 64, 1); }, "shared memory");
  alone64(warpsMeet<true>, 1, 64, 1);
  dies("pairs that never met", [] { alone64(pairsMeet<false>, 1, 32, 1); }, "shared memory");
  alone64(pairsMeet<true>, 1, 32, 1);
  dies("the host's memory in a kernel", hostPointer, "is not the card's memory");
  dies("pinned memory in a kernel", pinnedPointer, "is not the card's memory");
  dies("a copy of what was written in part", readsPart, "was never written");
  alwaysDies("a reader of another block forgotten", UsesTwice<false, 2>(), noBarrier);
  alwaysDies("a reader of other blocks forgotten", UsesTwice<false, 4>(), noBarrier);
  alwaysDies("atomics of another block forgotten", UsesTwice<true, 2>(), noBarrier);
  alone64(usesTwice<false>, 1, 16);
  alone64(usesTwice<true>, 1, 16);
  alwaysDies("a reader of another stream forgotten", Readers<2>(), noWait);
  alwaysDies("a reader of three streams forgotten", Readers<3>(), noWait);
  for (uint64_t seed = 1; seed <= 8; seed++) {
    emulator::restart(seed);
    readersOfStreams<2, true>();
    readersOfStreams<3, true>();
    readersOfStreams<4, true>();
    relay<0>();
    bytesBesideEachOther();
  }
  dies("an event not waited for", relay<1>, noWait);
  dies("the host did not wait", relay<2>, noWait);
  dies("the host waited for another stream", relay<3>, noWait);
}
#endif

// ---- Several cards, several threads

void crossesCards() {
  emulator::setDevices(2);
  unsigned* values = onCard(64);
  CHECK_CUDA(cudaSetDevice(1));
  const cudaStream_t s = newStream();
  AP_LAUNCH(addOne, 1, 64, 0, s, values);
  LAUNCHED();
  cudaStreamSynchronize(s);
}
// As the environment says when the machine is made.
void multiprocessors() {
  const auto made = [] { return std::make_unique<emulator::Machine>()->multiprocessors(); };
  setenv("AP_EMULATOR_MULTIPROCESSORS", "256", 1);
  CHECK(made() == 256);
  dies("no multiprocessors", [] { setenv("AP_EMULATOR_MULTIPROCESSORS", "0", 1), emulator::Machine(); }, "0 is not from 1 to 256");
  dies("more than there are", [] { setenv("AP_EMULATOR_MULTIPROCESSORS", "257", 1), emulator::Machine(); }, "257 is not from 1 to 256");
  unsetenv("AP_EMULATOR_MULTIPROCESSORS");
  CHECK(made() == 2);
  int attribute = 0;
  cudaDeviceProp properties;
  CHECK_CUDA(cudaDeviceGetAttribute(&attribute, cudaDevAttrMultiProcessorCount, 0));
  CHECK_CUDA(cudaGetDeviceProperties(&properties, 0));
  const int own = emulator::Machine::get().multiprocessors();
  CHECK(attribute == own && properties.multiProcessorCount == own);
}
void cards() {
  NothingLeft watch;
  multiprocessors();
  emulator::setDevices(3);
  int count = 0, device = -1;
  CHECK_CUDA(cudaGetDeviceCount(&count));
  CHECK(count == 3 && cudaSetDevice(3) == cudaErrorInvalidDevice && cudaSetDevice(-1) == cudaErrorInvalidDevice);
  CHECK(cudaGetLastError() == cudaErrorInvalidDevice);
  const cudaStream_t s0 = newStream();
  const cudaEvent_t e0 = newEvent();
  unsigned* v0 = onCard(64);
  CHECK_CUDA(cudaSetDevice(2));
  const cudaStream_t s2 = newStream();
  const cudaEvent_t e2 = newEvent();
  unsigned* v2 = onCard(64);
  CHECK_CUDA(cudaMemsetAsync(v2, 0, 256, s2));
  std::thread([] {
    int own = -1;
    CHECK_CUDA(cudaGetDevice(&own));
    CHECK(own == 0);
    CHECK_CUDA(cudaSetDevice(1));
  }).join();
  CHECK_CUDA(cudaGetDevice(&device));
  CHECK(device == 2 && emulator::allocatedBytes(0) == 512 && emulator::allocatedBytes(1) == 0 && emulator::allocatedBytes(2) == 512);

  // What belongs to one card is no use to another; events can be waited for.
  CHECK(cudaMemsetAsync(v0, 0, 4, s2) == cudaErrorInvalidValue);
  CHECK(cudaMemcpyAsync(v0, v2, 4, cudaMemcpyDeviceToDevice, s2) == cudaErrorInvalidValue);
  CHECK(cudaEventRecord(e0, s2) == cudaErrorInvalidResourceHandle);
  AP_LAUNCH(addOne, 1, 64, 0, s0, v0);  // the current card is another
  CHECK(cudaGetLastError() == cudaErrorInvalidResourceHandle);
  CHECK_CUDA(cudaEventRecord(e2, s2));
  CHECK_CUDA(cudaStreamWaitEvent(s0, e2));
  CHECK_CUDA(cudaStreamSynchronize(s0));
  dies("a kernel with another card's memory", crossesCards, "kernel addOne", "kernel addOne");

  // One is lost, the other goes on.
  emulator::setFaults("launch:1");
  AP_LAUNCH(addOne, 1, 64, 0, s2, v2);
  CHECK(cudaStreamSynchronize(s2) == cudaErrorLaunchFailure && cudaDeviceSynchronize() == cudaErrorLaunchFailure);
  CHECK_CUDA(cudaSetDevice(0));
  CHECK(cudaGetLastError() == cudaErrorLaunchFailure && cudaGetLastError() == cudaSuccess);
  CHECK_CUDA(cudaMemsetAsync(v0, 0, 256, s0));
  AP_LAUNCH(addOne, 1, 64, 0, s0, v0);
  LAUNCHED();
  CHECK(download(v0, 64, s0) == std::vector<unsigned>(64, 1));
  CHECK(cudaStreamSynchronize(s2) == cudaErrorLaunchFailure);
  emulator::restart(1);
  CHECK_CUDA(cudaFree(v0));
  CHECK_CUDA(cudaFree(v2));
  for (cudaStream_t s : {s0, s2}) CHECK_CUDA(cudaStreamDestroy(s));
  for (cudaEvent_t e : {e0, e2}) CHECK_CUDA(cudaEventDestroy(e));
  emulator::setDevices(1);
}

void hostThreads() {
  NothingLeft watch;
  std::vector<std::thread> all;
  for (int i = 0; i < 4; i++) {
    all.emplace_back([] {
      for (int round = 0; round < 10; round++) {
        CHECK((handsOver<true>()));
        CHECK((passes<true, true>()));
        CHECK(stages<true>());
      }
    });
  }
  for (auto& t : all) t.join();
}

}  // namespace

int main(int argc, char** argv) {
  return test::run(argc, argv,
                   {{"threads", threads},
                    {"barriers", barriers},
                    {"warps", warps},
                    {"divergence", divergence},
                    {"shared-memory", sharedMemory},
                    {"streams", streams},
                    {"copies", copies},
                    {"memory", memory},
                    {"launches", launches},
                    {"faults", faults},
#if defined(__SANITIZE_THREAD__)
                    {"every-access", everyAccess},
#endif
                    {"cards", cards},
                    {"host-threads", hostThreads}});
}

#endif
