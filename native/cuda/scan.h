// Prefix sums of words: sums of tiles, a scan of those by one block, and every tile once more from where it begins.
// 12 bytes an element move; nothing is read back by the host.
#pragma once

#include "device.h"
#include "field.h"

namespace anchorproof {
namespace cuda {

namespace scan {

constexpr unsigned THREADS = 256, WARPS = THREADS / 32, STEPS = 8, TILE = THREADS * STEPS;
constexpr uint64_t MAX_ELEMENTS = uint64_t{1} << 28;

// The warp's lanes up to this one.
AP_DEVICE uint32_t inclusive(uint32_t value) {
  const unsigned lane = threadIdx.x % 32;
  AP_UNROLL
  for (unsigned by = 1; by < 32; by *= 2) {
    const uint32_t below = __shfl_up_sync(~0u, value, by);
    if (lane >= by) value += below;
  }
  return value;
}

// out[tile] = the sum of a tile
AP_KERNEL(THREADS, 4) sumTiles(const uint32_t* in, uint32_t* out, uint32_t n) {
  AP_SHARED(uint32_t, sums);
  const uint32_t from = blockIdx.x * TILE + threadIdx.x;
  uint32_t sum = 0;
  AP_UNROLL
  for (unsigned i = 0; i < STEPS; i++) {
    const uint32_t at = from + i * THREADS;
    if (at < n) sum += in[at];
  }
  sum = inclusive(sum);
  if (threadIdx.x % 32 == 31) sums[threadIdx.x / 32] = sum;
  __syncthreads();
  if (threadIdx.x == 0) {
    uint32_t total = 0;
    for (unsigned i = 0; i < WARPS; i++) total += sums[i];
    out[blockIdx.x] = total;
  }
}

// From a tile's elements, in the block's order of warps, steps and lanes, to the sums of all before each, plus `before`.
// Returns the tile's sum; `sums` are WARPS words that nobody else uses until the next barrier.
AP_DEVICE uint32_t scanTile(const uint32_t* in, uint32_t* out, uint32_t from, uint32_t n, uint32_t before, uint32_t* sums) {
  // A warp has STEPS rows of 32 neighbours.
  const uint32_t first = from + threadIdx.x / 32 * (32 * STEPS) + threadIdx.x % 32;
  uint32_t value[STEPS], upTo[STEPS], running = 0;
  AP_UNROLL
  for (unsigned i = 0; i < STEPS; i++) value[i] = first + 32 * i < n ? in[first + 32 * i] : 0;
  AP_UNROLL
  for (unsigned i = 0; i < STEPS; i++) {
    upTo[i] = running + inclusive(value[i]);
    running = __shfl_sync(~0u, upTo[i], 31);
  }
  if (threadIdx.x % 32 == 0) sums[threadIdx.x / 32] = running;
  __syncthreads();
  uint32_t total = 0;
  AP_UNROLL
  for (unsigned i = 0; i < WARPS; i++) {
    if (i == threadIdx.x / 32) before += total;
    total += sums[i];
  }
  AP_UNROLL
  for (unsigned i = 0; i < STEPS; i++) {
    if (first + 32 * i < n) out[first + 32 * i] = before + upTo[i] - value[i];
  }
  return total;
}

// One block: the tiles' sums in place, and the sum of all to *total.
AP_KERNEL(THREADS, 1) scanSums(uint32_t* sums, uint32_t tiles, uint32_t* total) {
  AP_SHARED(uint32_t, shared);
  uint32_t before = 0;
  for (uint32_t from = 0; from < tiles; from += TILE) {
    before += scanTile(sums, sums, from, tiles, before, shared);
    __syncthreads();
  }
  if (threadIdx.x == 0) *total = before;
}

AP_KERNEL(THREADS, 4) scanTiles(const uint32_t* in, uint32_t* out, uint32_t n, const uint32_t* tiles) {
  AP_SHARED(uint32_t, shared);
  scanTile(in, out, blockIdx.x * TILE, n, tiles[blockIdx.x], shared);
}

}  // namespace scan

// Working space of exclusiveScan, in bytes.
inline size_t scanBytes(uint64_t n) { return std::max<size_t>(blocksFor(n, scan::TILE), 1) * sizeof(uint32_t); }

// out[i] = in[0] + … + in[i − 1] for i ≤ n: out has n + 1 elements. in may be out. Sums must fit 32 bits, n is 2^28 at most.
// work: scanBytes(n), not used any more when the stream has come past.
inline void exclusiveScan(cudaStream_t stream, const uint32_t* in, uint32_t* out, uint64_t n, uint32_t* work) {
  using namespace scan;
  if (n > MAX_ELEMENTS) throw CardError(CARD_INPUT_INVALID, "too many elements for a scan");
  const unsigned tiles = blocksFor(n, TILE);
  const size_t shared = WARPS * sizeof(uint32_t);
  if (tiles > 0) {
    AP_LAUNCH(sumTiles, tiles, THREADS, shared, stream, in, work, (uint32_t)n);
    checkLaunch("sumTiles");
  }
  AP_LAUNCH(scanSums, 1, THREADS, shared, stream, work, (uint32_t)tiles, out + n);
  checkLaunch("scanSums");
  if (tiles > 0) {
    AP_LAUNCH(scanTiles, tiles, THREADS, shared, stream, in, out, (uint32_t)n, (const uint32_t*)work);
    checkLaunch("scanTiles");
  }
}

// The same with space of an arena.
inline void exclusiveScan(cudaStream_t stream, const uint32_t* in, uint32_t* out, uint64_t n, Arena& arena) {
  exclusiveScan(stream, in, out, n, arena.take<uint32_t>(scanBytes(n) / sizeof(uint32_t)));
}

}  // namespace cuda
}  // namespace anchorproof
