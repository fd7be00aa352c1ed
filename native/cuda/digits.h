// Kernels of DigitSort (msm.h). Compiled once, in msm_g1.cu.
#pragma once

#include "msm.h"
#include "scan.h"

namespace anchorproof {
namespace cuda {

constexpr unsigned DIGIT_THREADS = 256;

struct DigitTask {
  const SignedScalar *scalars, *quotients;
  const uint32_t* wires;
  uint32_t count, wireCount, window, windows, sets;
  // 2^(c−1) at every window but the last: added to |s| it makes plain digits of signed ones, off by 2^(c−1). No bit of the sum is
  // above the 254th, and the last digit, plain, stays within 2^(c−1), for |s| ≤ r/2 and c ≥ 4.
  uint32_t offset[8];
};

// The digits of one scalar, from the lowest.
class Digits {
 public:
  AP_DEVICE Digits(const DigitTask& task, uint32_t point) {
    const SignedScalar s = point < task.wireCount ? task.scalars[task.wires ? task.wires[point] : point]
                                                  : task.quotients[point - task.wireCount];
    sign_ = s.w[7] & SIGN_BIT;
    uint64_t carry = 0;
    AP_UNROLL
    for (int i = 0; i < 8; i++) {
      carry += (uint64_t)(i == 7 ? s.w[i] & ~SIGN_BIT : s.w[i]) + task.offset[i];
      rest_[i] = (uint32_t)carry;
      carry >>= 32;
    }
  }
  // A lane without a point.
  AP_DEVICE explicit Digits(const DigitTask& task) {
    sign_ = 0;
    AP_UNROLL
    for (int i = 0; i < 8; i++) rest_[i] = task.offset[i];
  }

  // |d| and d's sign in the top bit. |d| is 2^(window−1) at most.
  AP_DEVICE uint32_t next(uint32_t window, bool last) {
    const uint32_t half = 1u << (window - 1), plain = rest_[0] & (2 * half - 1);
    AP_UNROLL
    for (int i = 0; i < 7; i++) rest_[i] = (uint32_t)(((uint64_t)rest_[i + 1] << 32 | rest_[i]) >> window);
    rest_[7] >>= window;
    if (last) return plain | sign_;
    return plain < half ? (half - plain) | (sign_ ^ SIGN_BIT) : (plain - half) | sign_;
  }

 private:
  uint32_t rest_[8], sign_;
};

// The entry's rank in its bucket, for lanes that have one. Half of a circuit's wires may be one: their counter would be a queue for
// the whole card. So the lanes that share the warp's likely keys add as one, the rest each for itself.
AP_DEVICE uint32_t rankOf(uint32_t* counts, uint32_t key, bool has, bool likely) {
  const unsigned lane = threadIdx.x % 32;
  uint32_t rank = 0;
  unsigned pending = __ballot_sync(~0u, has), first = __ballot_sync(~0u, has && likely);
  if (first == 0) first = pending;
  AP_UNROLL
  for (int round = 0; round < 2; round++) {
    if (pending == 0) return rank;  // all lanes alike
    const unsigned leader = (unsigned)__ffs((int)first) - 1;
    const uint32_t common = __shfl_sync(~0u, key, leader);
    const bool same = has && key == common;
    const unsigned group = __ballot_sync(~0u, same);
    uint32_t before = 0;
    if (lane == leader) before = atomicAdd(&counts[key], (uint32_t)__popc(group));
    before = __shfl_sync(~0u, before, leader);
    if (same) {
      rank = before + (uint32_t)__popc(group & ((1u << lane) - 1));
      has = false;
    }
    pending &= ~group;
    first = pending;
  }
  if (has) rank = atomicAdd(&counts[key], 1u);
  return rank;
}

// ranks: window after window.
AP_KERNEL(DIGIT_THREADS, 4) countDigits(DigitTask task, uint32_t* counts, uint32_t* ranks) {
  const uint32_t point = blockIdx.x * blockDim.x + threadIdx.x;
  const bool has = point < task.count;
  Digits digits = has ? Digits(task, point) : Digits(task);
  const uint32_t mask = (1u << (task.window - 1)) - 1;
  uint32_t set = 0;
  for (uint32_t w = 0; w < task.windows; w++) {
    const uint32_t digit = digits.next(task.window, w + 1 == task.windows) & ~SIGN_BIT;
    const uint32_t key = (set << (task.window - 1)) | (digit & mask);
    const uint32_t rank = rankOf(counts, key, has && digit != 0, w == 0 && digit == 1);
    if (has && digit != 0) ranks[(uint64_t)w * task.count + point] = rank;
    if (++set == task.sets) set = 0;
  }
}

AP_KERNEL(DIGIT_THREADS, 4) placeEntries(DigitTask task, const uint32_t* starts, const uint32_t* ranks, uint32_t* entries) {
  const uint32_t point = blockIdx.x * blockDim.x + threadIdx.x;
  if (point >= task.count) return;
  Digits digits(task, point);
  const uint32_t mask = (1u << (task.window - 1)) - 1;
  uint32_t set = 0, index = point;
  for (uint32_t w = 0; w < task.windows; w++) {
    const uint32_t digit = digits.next(task.window, w + 1 == task.windows), size = digit & ~SIGN_BIT;
    if (size != 0) {
      const uint32_t key = (set << (task.window - 1)) | (size & mask);
      entries[starts[key] + ranks[(uint64_t)w * task.count + point]] = index | (digit & SIGN_BIT);
    }
    if (++set == task.sets) {
      set = 0;
      index += task.count;
    }
  }
}

DigitSort::DigitSort(const MsmPlan& plan, const uint32_t* wires, uint64_t wireCount, Arena& arena)
    : plan_(plan), wires_(wires), wireCount_(wireCount) {
  counts_ = arena.take<uint32_t>(plan.buckets());
  starts_ = arena.take<uint32_t>(plan.buckets() + 1);
  entries_ = arena.take<uint32_t>(plan.entries());
  scanWork_ = arena.take<uint32_t>(scanBytes(plan.buckets()) / sizeof(uint32_t));
}

void DigitSort::takeScratch(Arena& arena) { ranks_ = arena.take<uint32_t>(plan_.entries()); }

void DigitSort::enqueue(cudaStream_t stream, const SignedScalar* wireScalars, const SignedScalar* quotients, Meter* meter) const {
  DigitTask task{wireScalars, quotients, wires_, (uint32_t)plan_.count, (uint32_t)wireCount_, plan_.window, plan_.windows, plan_.sets, {}};
  for (uint32_t w = 0; w + 1 < plan_.windows; w++) {
    const uint32_t bit = w * plan_.window + plan_.window - 1;
    task.offset[bit / 32] |= 1u << (bit % 32);
  }
  const unsigned blocks = blocksFor(plan_.count, DIGIT_THREADS);
  const uint64_t scalars = plan_.count * (sizeof(SignedScalar) + sizeof(uint32_t)), buckets = plan_.buckets();
  // For an entry a counter is read and written, a rank written; then rank, start and entry.
  auto begin = [&](const char* name, uint64_t fixed) {
    if (meter) meter->begin(stream, name, [fixed](uint64_t entries) { return Work{static_cast<double>(fixed + entries * 12)}; });
  };
  begin("digits", scalars + buckets * 4);
  check(cudaMemsetAsync(counts_, 0, buckets * sizeof(uint32_t), stream), "clearing counters");
  if (blocks > 0) {
    AP_LAUNCH(countDigits, blocks, DIGIT_THREADS, 0, stream, task, counts_, ranks_);
    checkLaunch("countDigits");
  }
  if (meter) meter->end(stream);
  begin("sort", scalars + buckets * 12);
  exclusiveScan(stream, counts_, starts_, buckets, scanWork_);
  if (blocks > 0) {
    AP_LAUNCH(placeEntries, blocks, DIGIT_THREADS, 0, stream, task, (const uint32_t*)starts_, (const uint32_t*)ranks_, entries_);
    checkLaunch("placeEntries");
  }
  if (meter) meter->end(stream);
}

}  // namespace cuda
}  // namespace anchorproof
