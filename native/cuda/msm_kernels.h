// Kernels and bodies of msm.h, compiled once a group: msm_g1.cu, msm_g2.cu.
#pragma once

#include "msm.h"

namespace anchorproof {
namespace cuda {

// Threads a block, and how many blocks a multiprocessor must have room for. G1's mixed additions fit in 128 registers and G2's in 255
// without spills; G1's additions of sums, where few threads wait for one another anyway, get 168.
template <class F>
struct Shape;
template <>
struct Shape<Fq> {
  static constexpr unsigned THREADS = 128, BLOCKS = 4, FOLD_BLOCKS = 3;
};
template <>
struct Shape<Fq2> {
  static constexpr unsigned THREADS = 128, BLOCKS = 2, FOLD_BLOCKS = 2;
};

// Calls for operands that lie in memory: *a += *b, *a = 2·*a.
template <class F>
AP_CALL void addTo(Point<F>* a, const Point<F>* b) {
  *a = *a + *b;
}
template <class F>
AP_CALL void doubleIn(Point<F>* a) {
  *a = a->dbl();
}

template <class F>
AP_DEVICE Point<F> shuffledDown(const Point<F>& p, unsigned by) {
  Point<F> out;
  const uint32_t* from = reinterpret_cast<const uint32_t*>(&p);
  uint32_t* to = reinterpret_cast<uint32_t*>(&out);
  AP_UNROLL
  for (unsigned i = 0; i < sizeof(Point<F>) / 4; i++) to[i] = __shfl_down_sync(~0u, from[i], by);
  return out;
}

// ── Slices ──

constexpr uint32_t MIN_SLICE = 8;

// Entries a slice, for a card that runs `capacity` threads at a time. One wave of slices, or two or four where each is long enough that
// the parts' additions don't count: several waves even out what the threads' luck with memory makes uneven.
AP_HD uint32_t sliceLength(uint32_t entries, uint32_t capacity) {
  const uint32_t each = entries / capacity, waves = each >= 128 ? 4 : each >= 64 ? 2 : 1;
  const uint32_t length = (uint32_t)(((uint64_t)entries + (uint64_t)capacity * waves - 1) / ((uint64_t)capacity * waves));
  return length < MIN_SLICE ? MIN_SLICE : length;
}
// The most slices that any number of entries up to this has.
inline uint32_t mostSlices(uint64_t entries, uint32_t capacity) {
  const uint64_t each = entries / capacity, waves = each >= 128 ? 4 : each >= 64 ? 2 : 1;
  return (uint32_t)std::min<uint64_t>(capacity * waves, (entries + MIN_SLICE - 1) / MIN_SLICE);
}

// The bucket with the entry at this place, which there is.
AP_DEVICE uint32_t bucketOf(const uint32_t* starts, uint32_t buckets, uint32_t at) {
  uint32_t low = 0, high = buckets;  // starts[low] <= at < starts[high]
  while (high - low > 1) {
    const uint32_t middle = low + (high - low) / 2;
    if (starts[middle] <= at) {
      low = middle;
    } else {
      high = middle;
    }
  }
  return low;
}

// partials[slice + bucket] = the sum of those of a bucket's points that are in a slice.
template <class F>
AP_KERNEL(Shape<F>::THREADS, Shape<F>::BLOCKS)
sumSlices(const Affine<F>* points, const uint32_t* entries, const uint32_t* starts, uint32_t buckets, uint32_t capacity,
          Point<F>* partials) {
  const uint32_t slice = blockIdx.x * blockDim.x + threadIdx.x, total = starts[buckets];
  const uint32_t length = sliceLength(total, capacity);
  if ((uint64_t)slice * length >= total) return;
  const uint32_t from = slice * length, to = total - from < length ? total : from + length;
  uint32_t bucket = bucketOf(starts, buckets, from), end = starts[bucket + 1], next = entries[from];
  Point<F> sum = Point<F>::infinity();
  for (uint32_t i = from; i < to; i++) {
    const uint32_t entry = next;
    if (i + 1 < to) next = entries[i + 1];
    if (i == end) {
      partials[slice + bucket] = sum;
      sum = Point<F>::infinity();
      end = starts[++bucket + 1];
      if (end == i) {  // empty, and so may be many more
        bucket = bucketOf(starts, buckets, i);
        end = starts[bucket + 1];
      }
    }
    sum = sum.plus(readOnly(points + (entry & ~SIGN_BIT)), entry >> 31);
  }
  partials[slice + bucket] = sum;
}

// ── The fold of a bucket's parts ──
//
// `lanes` threads a bucket, as the plan's numbers suggest; a bucket with many more parts, of which there are few, becomes jobs of
// JOB_PARTS parts for a warp each, their results jobs again.

constexpr uint32_t JOB_PARTS = 256, LIGHT = 16, NO_BUCKET = ~0u;

struct Job {
  uint32_t from, length;
  uint32_t bucket;  // whose sum it is, or NO_BUCKET
};
struct JobLists {
  Job* at[3];
  uint32_t* counters;
};

// All lanes of a warp have the same arguments.
AP_DEVICE void putJobs(const JobLists& lists, uint32_t from, uint32_t parts, uint32_t bucket) {
  const unsigned lane = threadIdx.x % 32;
  AP_UNROLL
  for (int round = 0; round < 3; round++) {
    const uint32_t jobs = (parts + JOB_PARTS - 1) / JOB_PARTS;
    uint32_t base = 0;
    if (lane == 0) base = atomicAdd(&lists.counters[round], jobs);
    base = __shfl_sync(~0u, base, 0);
    for (uint32_t i = lane; i < jobs; i += 32) {
      const uint32_t left = parts - i * JOB_PARTS;
      lists.at[round][base + i] = {from + i * JOB_PARTS, left < JOB_PARTS ? left : JOB_PARTS, jobs == 1 ? bucket : NO_BUCKET};
    }
    if (jobs == 1) return;
    from = base;
    parts = jobs;
  }
}

template <class F>
AP_KERNEL(Shape<F>::THREADS, Shape<F>::FOLD_BLOCKS)
foldParts(const uint32_t* starts, uint32_t buckets, uint32_t capacity, uint32_t lanes, const Point<F>* partials, Point<F>* out,
          JobLists lists) {
  const uint32_t thread = blockIdx.x * blockDim.x + threadIdx.x, bucket = thread / lanes, lane = thread % lanes;
  uint32_t from = 0, parts = 0;
  if (bucket < buckets) {
    const uint32_t length = sliceLength(starts[buckets], capacity), begin = starts[bucket], end = starts[bucket + 1];
    if (begin < end) {
      const uint32_t first = begin / length;
      from = first + bucket;
      parts = (end - 1) / length - first + 1;
    }
  }
  const bool heavy = parts > LIGHT * lanes;
  Point<F> sum = Point<F>::infinity();
  if (!heavy) {
    for (uint32_t i = lane; i < parts; i += lanes) addTo(&sum, &partials[from + i]);
  }
  for (uint32_t by = lanes / 2; by > 0; by /= 2) {
    const Point<F> other = shuffledDown(sum, by);
    if (lane < by) addTo(&sum, &other);
  }
  if (bucket < buckets && lane == 0 && !heavy) out[bucket] = sum;
  for (unsigned pending = __ballot_sync(~0u, heavy && lane == 0); pending != 0; pending &= pending - 1) {
    const unsigned of = (unsigned)__ffs((int)pending) - 1;
    putJobs(lists, __shfl_sync(~0u, from, of), __shfl_sync(~0u, parts, of), __shfl_sync(~0u, bucket, of));
  }
}

template <class F>
AP_KERNEL(Shape<F>::THREADS, Shape<F>::FOLD_BLOCKS)
foldJobs(const Job* jobs, const uint32_t* count, const Point<F>* parts, Point<F>* results, Point<F>* out) {
  const uint32_t warps = blockDim.x / 32, jobCount = *count;
  const unsigned lane = threadIdx.x % 32;
  for (uint32_t index = blockIdx.x * warps + threadIdx.x / 32; index < jobCount; index += gridDim.x * warps) {
    const Job job = jobs[index];
    Point<F> sum = Point<F>::infinity();
    for (uint32_t i = lane; i < job.length; i += 32) addTo(&sum, &parts[job.from + i]);
    for (unsigned by = 16; by > 0; by /= 2) {
      const Point<F> other = shuffledDown(sum, by);
      if (lane < by) addTo(&sum, &other);
    }
    if (lane == 0) *(job.bucket == NO_BUCKET ? &results[index] : &out[job.bucket]) = sum;
  }
}

// ── Merging ──
//
// Wanted of a set's buckets B_v, v < 2^k: T_j = Σ B_v over the v whose bit j is set, for then Σ v·B_v = Σ 2^j·T_j. A group of 2^t
// neighbours, which have all but their lowest t bits in common, has S = Σ B_v and its own T_0 … T_{t−1}. Two such groups side by side
// make one of the next size by t + 1 additions that do not wait for one another:
//
//     S = S_left + S_right    T_j = T_j,left + T_j,right    T_t = S_right
//
// in place: a group has its S in the first of its 2^t places and T_j behind it at j + 1. All groups of k steps need
// Σ (t + 1)·2^(k−t−1) < 2·2^k additions. The S of a set's first group never is a right one's, and so nobody needs it: that place keeps
// what it had, bucket 0, and that is where the digit sort puts digit 2^k.

// Steps from `step` to before `last`; a block has a group of 2^last places.
template <class F>
AP_KERNEL(Shape<F>::THREADS, Shape<F>::FOLD_BLOCKS)
mergeGroups(Point<F>* buckets, uint32_t bits, uint32_t step, uint32_t last) {
  Point<F>* const places = buckets + ((uint64_t)blockIdx.x << last);
  const bool first = (blockIdx.x & ((1u << (bits - last)) - 1)) == 0;
  for (uint32_t t = step; t < last; t++) {
    const uint32_t items = (t + 1) << (last - t - 1);
    for (uint32_t i = threadIdx.x; i < items; i += blockDim.x) {
      const uint32_t pair = i / (t + 1), j = i % (t + 1);
      Point<F>* const left = places + (pair << (t + 1));
      const Point<F>* const right = left + (1u << t);
      if (j == 0 && t >= 2) left[t + 1] = right[0];  // for t < 2 it lies there
      if (j > 0 || pair > 0 || !first) addTo(&left[j], &right[j]);
    }
    __syncthreads();
  }
}

// Place p = window·set + j of the binary number that is the result has T_j of a set. sums[i] = Σ 2^e·T of the `shift` places from shift·i.
template <class F>
AP_KERNEL(Shape<F>::THREADS, Shape<F>::FOLD_BLOCKS)
collectSums(const Point<F>* buckets, uint32_t window, uint32_t sets, uint32_t shift, uint32_t count, Point<F>* sums) {
  const uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= count) return;
  Point<F> sum = Point<F>::infinity();
  for (uint32_t e = shift; e-- > 0;) {
    const uint32_t place = shift * i + e, set = place / window, j = place % window;
    if (e + 1 < shift) doubleIn(&sum);
    if (set < sets) addTo(&sum, &buckets[((uint64_t)set << (window - 1)) + (j + 1 == window ? 0 : j + 1)]);
  }
  sums[i] = sum;
}

template <class F>
ExtendedSums<F>::ExtendedSums(const MsmPlan& plan, uint32_t multiprocessors, Arena& arena)
    : entries_(plan.entries()), buckets_(plan.buckets()) {
  capacity_ = multiprocessors * Shape<F>::THREADS * Shape<F>::BLOCKS;
  slices_ = mostSlices(entries_, capacity_);
  // Threads a bucket: as many as fit beside each other, while each has two parts to begin with.
  const uint64_t parts = slices_ / buckets_ + 1;
  lanes_ = 1;
  while (lanes_ < 32 && lanes_ * 2 * buckets_ <= capacity_ && lanes_ * 4 <= parts) lanes_ *= 2;
  partials_ = arena.take<Point<F>>(entries_ > 0 ? slices_ + buckets_ : 0);
  // Parts beyond a bucket's first are no more than slices. So of buckets with more than LIGHT parts, which alone have jobs, there are
  // at most slices / LIGHT, and with n parts beyond the first they have at most n / JOB_PARTS + 1 jobs each; then the same of those
  // with more than JOB_PARTS parts, and of the squares.
  uint64_t light = LIGHT, share = JOB_PARTS;
  for (Round& round : rounds_) {
    round.most = static_cast<uint32_t>(slices_ / light + slices_ / share);
    round.jobs = arena.take<Job>(round.most);
    round.results = arena.take<Point<F>>(round.most);
    light = share;
    share *= JOB_PARTS;
  }
  if (slices_ >= share / JOB_PARTS) throw CardError(CARD_FAILED, "a card with so many threads is not foreseen");
  counters_ = arena.take<uint32_t>(ROUNDS);
}

template <class F>
Work ExtendedSums<F>::work(uint64_t entries) const {
  const uint64_t length = sliceLength(static_cast<uint32_t>(entries), capacity_), slices = (entries + length - 1) / length;
  const uint64_t lists = std::min(entries, buckets_), first = std::min(entries, slices + lists);
  return {static_cast<double>((slices + lists) * 2 * sizeof(Point<F>) + buckets_ * (sizeof(Point<F>) + 2 * sizeof(uint32_t))),
          static_cast<double>(entries - first) * Cost<F>::MIXED_ADD + static_cast<double>(slices) * Cost<F>::ADD};
}

template <class F>
void ExtendedSums<F>::enqueue(cudaStream_t stream, const Affine<F>* points, const uint32_t* entries, const uint32_t* starts,
                              Point<F>* buckets) const {
  constexpr unsigned THREADS = Shape<F>::THREADS;
  const uint32_t count = static_cast<uint32_t>(buckets_);
  check(cudaMemsetAsync(counters_, 0, ROUNDS * sizeof(uint32_t), stream), "clearing counters");
  if (slices_ > 0) {
    AP_LAUNCH(sumSlices<F>, blocksFor(slices_, THREADS), THREADS, 0, stream, points, entries, starts, count, capacity_, partials_);
    checkLaunch("sumSlices");
  }
  JobLists lists{{rounds_[0].jobs, rounds_[1].jobs, rounds_[2].jobs}, counters_};
  AP_LAUNCH(foldParts<F>, blocksFor(buckets_ * lanes_, THREADS), THREADS, 0, stream, starts, count, capacity_, lanes_,
            (const Point<F>*)partials_, buckets, lists);
  checkLaunch("foldParts");
  const Point<F>* parts = partials_;
  for (unsigned i = 0; i < ROUNDS; i++) {
    const Round round = rounds_[i];
    if (round.most == 0) break;
    // There may be many jobs, and most often there are none.
    const unsigned blocks = std::min(blocksFor(round.most, THREADS / 32), capacity_ / THREADS);
    AP_LAUNCH(foldJobs<F>, blocks, THREADS, 0, stream, (const Job*)round.jobs,
              (const uint32_t*)(counters_ + i), parts, round.results, buckets);
    checkLaunch("foldJobs");
    parts = round.results;
  }
}

// The ranks are read for the last time before the buckets' sums begin, and so lie in the same space.
template <class F>
size_t Msm<F>::takeRanks(DigitSort& sort, Arena& arena) {
  const size_t at = arena.used();
  sort.takeScratch(arena);
  const size_t end = arena.used();
  arena.rewind(at);
  return end;
}

template <class F>
Msm<F>::Msm(const ResidentPoints<F>* points, const MsmPlan& plan, const uint32_t* wires, uint64_t wireCount, uint32_t multiprocessors,
            Arena& arena)
    : points_(points),
      sort_(plan, wires, wireCount, arena),
      ranksEnd_(takeRanks(sort_, arena)),
      buckets_(arena.take<Point<F>>(plan.buckets())),
      sums_(plan, multiprocessors, arena) {
  if (arena.used() < ranksEnd_) arena.take<uint8_t>(ranksEnd_ - arena.used());
}

template <class F>
Msm<F>::Msm(const ResidentPoints<F>& points, Arena& arena)
    : Msm(&points, points.plan(), points.wires(), points.wireCount(), points.multiprocessors(), arena) {}

template <class F>
uint64_t Msm<F>::workBytes(const MsmPlan& plan, uint32_t multiprocessors) {
  Arena arena;
  Msm counted(nullptr, plan, nullptr, 0, multiprocessors, arena);
  return arena.peak();
}

template <class F>
void Msm<F>::enqueue(cudaStream_t stream, const SignedScalar* wireScalars, const SignedScalar* quotients, Point<F>* sums,
                     Meter* meter) const {
  const MsmPlan& plan = points_->plan();
  if (plan.count == 0) {
    check(cudaMemsetAsync(sums, 0, plan.sums * sizeof(Point<F>), stream), "writing an empty sum");  // infinity is all zeros
    return;
  }
  sort_.enqueue(stream, wireScalars, quotients, meter);
  if (meter) {
    meter->begin(stream, "buckets", [this](uint64_t entries) {
      Work work = sums_.work(entries);
      work.bytes += static_cast<double>(entries * (sizeof(Affine<F>) + sizeof(uint32_t)));
      return work;
    });
  }
  sums_.enqueue(stream, points_->points(), sort_.entries(), sort_.starts(), buckets_);
  if (meter) meter->end(stream);

  if (meter) {
    meter->begin(stream, "reduce", [buckets = plan.buckets(), window = plan.window](uint64_t entries) {
      return Work{static_cast<double>(buckets * 6 * sizeof(Point<F>)),
                  static_cast<double>(std::min(buckets * 2, entries * window)) * Cost<F>::ADD};
    });
  }
  constexpr unsigned THREADS = Shape<F>::THREADS;
  const uint32_t bits = plan.window - 1;
  for (uint32_t step = 0, last; step < bits; step = last) {
    // As many steps by one block as its threads can take at once.
    last = step + 1;
    while (last < bits && (step + 1) << (last - step) <= THREADS) last++;
    AP_LAUNCH(mergeGroups<F>, plan.sets << (bits - last), THREADS, 0, stream, buckets_, bits, step, last);
    checkLaunch("mergeGroups");
  }
  AP_LAUNCH(collectSums<F>, blocksFor(plan.sums, THREADS), THREADS, 0, stream, (const Point<F>*)buckets_, plan.window,
            plan.sets, plan.shift, plan.sums, sums);
  checkLaunch("collectSums");
  if (meter) {
    meter->end(stream);
    meter->count(stream, sort_.starts() + plan.buckets());
  }
}

// ── Multiples ──

constexpr unsigned MULTIPLE_THREADS = 128, POINTS_PER_THREAD = 8;

// out[i] = 2^times·points[i]
template <class F>
AP_KERNEL(MULTIPLE_THREADS, Shape<F>::BLOCKS)
doublePoints(const Affine<F>* points, uint32_t n, uint32_t times, Point<F>* out) {
  const uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) return;
  Point<F> p = Point<F>::fromAffine(points[i]);
  // A point of order two, which the curve does not have but a damaged key may, becomes infinity like any sum that vanishes.
  for (uint32_t k = 0; k < times; k++) doubleIn(&p);
  out[i] = p;
}

// out[i] = points[i], affine: a thread multiplies its points' ZZZ, and the block inverts the threads' products together.
template <class F>
AP_KERNEL(MULTIPLE_THREADS, Shape<F>::BLOCKS)
makeAffine(const Point<F>* points, uint32_t n, F* prefixes, Affine<F>* out) {
  AP_SHARED(F, nodes);
  const uint32_t first = blockIdx.x * (MULTIPLE_THREADS * POINTS_PER_THREAD) + threadIdx.x;
  F product = F::one();
  for (uint32_t k = 0; k < POINTS_PER_THREAD; k++) {
    const uint32_t i = first + k * MULTIPLE_THREADS;
    if (i >= n || points[i].isInfinity()) continue;
    prefixes[i] = product;
    product = product * points[i].zzz;
  }
  F inverse = inverseInBlock<MULTIPLE_THREADS>(product, nodes);
  for (uint32_t k = POINTS_PER_THREAD; k-- > 0;) {
    const uint32_t i = first + k * MULTIPLE_THREADS;
    if (i >= n) continue;
    if (points[i].isInfinity()) {
      out[i] = Affine<F>::infinity();
      continue;
    }
    const Point<F> p = points[i];
    const F i3 = inverse * prefixes[i], i1 = i3 * p.zz;
    inverse = inverse * p.zzz;
    out[i] = {p.x * i1.sqr(), p.y * i3};
  }
}

template <class F>
uint64_t ResidentPoints<F>::bytes(const CardPoints& host, const MsmPlan& plan) {
  return host.count * plan.levels * sizeof(Affine<F>) + (host.wires ? host.wireCount * sizeof(uint32_t) : 0);
}

template <class F>
uint64_t ResidentPoints<F>::constructionBytes(const MsmPlan& plan, size_t chunk) {
  return plan.levels > 1 ? std::min<uint64_t>(chunk, plan.count) * (sizeof(Point<F>) + sizeof(F)) : 0;
}

template <class F>
ResidentPoints<F>::ResidentPoints(const CardPoints& host, const MsmPlan& plan, cudaStream_t stream, const int32_t* abort, size_t chunk)
    : plan_(plan), wireCount_(host.wireCount) {
  if (host.count != plan.count || host.wireCount > host.count) throw CardError(CARD_INPUT_INVALID, "points and plan do not match");
  multiprocessors_ = cuda::multiprocessors();

  const size_t work = plan.levels > 1 ? std::min<uint64_t>(chunk, host.count) : 0;
  points_ = DeviceArray<Affine<F>>(host.count * plan.levels);
  wires_ = DeviceArray<uint32_t>(host.wires ? host.wireCount : 0);
  DeviceArray<Point<F>> points(work);
  DeviceArray<F> prefixes(work);
  // Whatever happens, the card is done with all of this before it goes.
  struct Drain {
    cudaStream_t stream;
    ~Drain() { settle(cudaStreamSynchronize(stream)); }
  } drain{stream};
  Upload upload;
  if (wires_.size() > 0) upload.copy(stream, wires_.get(), host.wires, wires_.bytes(), abort);
  upload.copy(stream, points_.get(), host.points, host.count * sizeof(Affine<F>), abort);
  if (plan.levels > 1) {
    Event made;  // by the chunk before: one waits on the stream while another is worked on
    for (uint64_t from = 0; from < host.count; from += work) {
      if (from > 0) waitFor(made, abort);
      makeMultiples(stream, from, std::min<uint64_t>(work, host.count - from), points.get(), prefixes.get());
      made.record(stream);
    }
  }
  finish(stream, abort);
}

template <class F>
void ResidentPoints<F>::makeMultiples(cudaStream_t stream, uint64_t from, uint64_t n, Point<F>* work, F* prefixes) const {
  for (uint32_t level = 1; level < plan_.levels; level++) {
    const Affine<F>* below = points_.get() + (level - 1) * plan_.count + from;
    AP_LAUNCH(doublePoints<F>, blocksFor(n, MULTIPLE_THREADS), MULTIPLE_THREADS, 0, stream, below, (uint32_t)n, plan_.window * plan_.sets,
              work);
    checkLaunch("doublePoints");
    AP_LAUNCH(makeAffine<F>, blocksFor(n, MULTIPLE_THREADS * POINTS_PER_THREAD), MULTIPLE_THREADS, 2 * MULTIPLE_THREADS * sizeof(F), stream,
              (const Point<F>*)work, (uint32_t)n, prefixes, points_.get() + level * plan_.count + from);
    checkLaunch("makeAffine");
  }
}

}  // namespace cuda
}  // namespace anchorproof
