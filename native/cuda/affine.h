// Sums of buckets in affine coordinates, with inversions that many additions share: the alternative to ExtendedSums alone.
//
// An addition in affine coordinates takes a division. Of B additions that do not wait for one another the denominators are
// multiplied up, one inversion is done, and its factors are taken off again (Montgomery's trick): three products more, six in all,
// where a mixed addition in extended coordinates takes ten, and a point is half as large and takes half of the registers. The price is
// memory: a round adds the points of every bucket in pairs and writes the sums, so that each addition reads its points twice and moves
// 5 field elements besides, where a slice of ExtendedSums keeps its sum in registers. Which one wins is for a card to say.
//
//   round     List b of round r has ⌈L_b / 2^r⌉ points. A thread takes up to EACH neighbouring sums and multiplies their
//             denominators up, the block inverts its threads' products together, and the threads walk back.
//   rest      After some rounds, when the lists are short or the pairs too few to keep a card busy, ExtendedSums adds what is left: so
//             a bucket that has most of the entries is no worse than with it alone.
//
// Where the lists lie needs no prefix sums: list b of round r begins at place b + ⌊t / 2^r⌋ with t = start_b − b. The next one leaves
// room for it, since ⌊(t + L_b − 1) / 2^r⌋ + 1 − ⌊t / 2^r⌋ ≥ ⌊(L_b − 1) / 2^r⌋ + 1 = ⌈L_b / 2^r⌉; places left over, at most one a list
// and round, have infinity.
//
// Equal points, opposite ones and infinity are all right: they change a numerator, or leave a pair without a denominator; then it
// takes part with 1.
#pragma once

#include "msm.h"

namespace anchorproof {
namespace cuda {

namespace pairs {

template <class F>
struct Shape;
template <>
struct Shape<Fq> {
  static constexpr unsigned THREADS = 128, BLOCKS = 4;
};
template <>
struct Shape<Fq2> {
  static constexpr unsigned THREADS = 128, BLOCKS = 2;
};

// Sums that a thread has in a batch. An inversion costs as much as some ten additions, once a warp of a block.
constexpr uint32_t MIN_EACH = 8, EACH = 32;
constexpr unsigned MAX_ROUNDS = 12;

// Where the lists of a round begin.
struct Lists {
  const uint32_t* starts;
  uint32_t buckets, round;

  AP_DEVICE uint32_t from(uint32_t bucket) const {
    return bucket + static_cast<uint32_t>(static_cast<int32_t>(starts[bucket] - bucket) >> round);
  }
  AP_DEVICE uint32_t places() const { return from(buckets); }
  AP_DEVICE uint32_t length(uint32_t bucket) const {
    return (starts[bucket + 1] - starts[bucket] + (uint32_t{1} << round) - 1) >> round;
  }
};

// The list that has a place, for places that are asked for in order, up or down.
struct Walk {
  Lists lists;
  uint32_t bucket = 0, from = 0, to = 0;  // the list's places; none at first

  // place < lists.places()
  AP_DEVICE void go(uint32_t place) {
    if (place >= from && place < to) return;
    if (to > from && place == to && bucket + 1 < lists.buckets) {
      bucket++;
      from = to;
      to = lists.from(bucket + 1);
    } else if (to > from && place + 1 == from && bucket > 0) {
      bucket--;
      to = from;
      from = lists.from(bucket);
    }
    if (place >= from && place < to) return;
    uint32_t low = 0, high = lists.buckets;  // from(low) <= place < from(high)
    while (high - low > 1) {
      const uint32_t middle = low + (high - low) / 2;
      if (lists.from(middle) <= place) {
        low = middle;
      } else {
        high = middle;
      }
    }
    bucket = low;
    from = lists.from(low);
    to = lists.from(low + 1);
  }
};

// What a round reads: points that entries name, or the last round's sums.
template <class F>
struct Source {
  const Affine<F>* points;
  const uint32_t* entries;  // or null

  AP_DEVICE uint32_t entry(uint32_t at) const { return entries ? entries[at] : at; }
  AP_DEVICE Affine<F> point(uint32_t at) const {
    const uint32_t e = entry(at);
    Affine<F> p = readOnly(points + (e & ~SIGN_BIT));
    if (!p.isInfinity()) p.y = p.y.negatedIf((e & SIGN_BIT) != 0);
    return p;
  }
  AP_DEVICE F x(uint32_t at) const { return readOnly(&points[entry(at) & ~SIGN_BIT].x); }
  AP_DEVICE F y(uint32_t at) const {
    const uint32_t e = entry(at);
    return readOnly(&points[e & ~SIGN_BIT].y).negatedIf((e & SIGN_BIT) != 0);
  }
};

template <class F>
AP_DEVICE bool marksInfinity(const F& x) {
  return firstPart(x).l[7] == ~0u;
}

// The slope's denominator: x₂ − x₁, 2y for equal points, and 0 where the sum takes none.
template <class F>
AP_DEVICE F denominator(const F& x1, const F& x2, const Source<F>& source, uint32_t at) {
  if (marksInfinity(x1) || marksInfinity(x2)) return F::zero();
  F out = x2 - x1;
  if (out.isZero()) {
    const F y = source.y(at);
    if (y == source.y(at + 1)) out = y.dbl();
  }
  return out;
}

// prefixes: EACH elements a thread of the grid.
template <class F>
AP_KERNEL(Shape<F>::THREADS, Shape<F>::BLOCKS)
addPairs(Source<F> source, const uint32_t* starts, uint32_t buckets, uint32_t round, F* prefixes, Affine<F>* out) {
  AP_SHARED(F, nodes);
  constexpr uint32_t THREADS = Shape<F>::THREADS;
  const Lists before{starts, buckets, round}, after{starts, buckets, round + 1};
  const uint32_t places = after.places(), threads = gridDim.x * THREADS, shared = (places + threads - 1) / threads;
  const uint32_t each = shared < MIN_EACH ? MIN_EACH : shared > EACH ? EACH : shared;
  F* const mine = prefixes + blockIdx.x * THREADS + threadIdx.x;
  Walk walk{after};
  // Sums of a place: 2 points from `at` on, 1 that only moves, or none.
  auto pointsOf = [&](uint32_t place, uint32_t& at) {
    walk.go(place);
    const uint32_t done = 2 * (place - walk.from), length = before.length(walk.bucket);
    at = before.from(walk.bucket) + done;
    return done >= length ? 0 : length - done >= 2 ? 2 : 1;
  };
  for (uint64_t tile = uint64_t{blockIdx.x} * THREADS * each; tile < places; tile += uint64_t{threads} * each) {
    const uint64_t first64 = tile + threadIdx.x * each;
    const uint32_t first = first64 < places ? static_cast<uint32_t>(first64) : places;
    const uint32_t last = places - first < each ? places : first + each;
    F product = F::one();
    for (uint32_t place = first; place < last; place++) {
      uint32_t at;
      if (pointsOf(place, at) < 2) continue;
      const F d = denominator(source.x(at), source.x(at + 1), source, at);
      mine[uint64_t{place - first} * threads] = product;
      product = product * F::selected(d.isZero(), F::one(), d);
    }
    F inverse = inverseInBlock<THREADS>(product, nodes);
    for (uint32_t place = last; place-- > first;) {
      uint32_t at;
      const uint32_t points = pointsOf(place, at);
      if (points == 0) {
        out[place] = Affine<F>::infinity();
        continue;
      }
      const Affine<F> a = source.point(at);
      if (points == 1) {
        out[place] = a;
        continue;
      }
      const Affine<F> b = source.point(at + 1);
      const F d = denominator(a.x, b.x, source, at);
      if (d.isZero()) {
        out[place] = a.isInfinity() ? b : b.isInfinity() ? a : Affine<F>::infinity();
        continue;
      }
      F slope = inverse * mine[uint64_t{place - first} * threads], rise = b.y - a.y;
      inverse = inverse * d;
      if (a.x == b.x) {
        const F xx = a.x.sqr();
        rise = xx.dbl() + xx;
      }
      slope = slope * rise;
      const F x = slope.sqr() - a.x - b.x;
      out[place] = {x, slope * (a.x - x) - a.y};
    }
  }
}

// The lists after the last round, for ExtendedSums: places that are left over belong to the list before them.
AP_KERNEL(256, 4) listRest(const uint32_t* starts, uint32_t buckets, uint32_t round, uint32_t* restStarts, uint32_t* restEntries) {
  const Lists lists{starts, buckets, round};
  const uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i <= buckets) restStarts[i] = lists.from(i);
  if (i < lists.places()) restEntries[i] = i;
}

}  // namespace pairs

// Places after a round, for at most so many entries.
inline uint64_t placesAfter(unsigned round, uint64_t entries, uint64_t buckets) {
  return buckets + static_cast<uint64_t>((static_cast<int64_t>(entries) - static_cast<int64_t>(buckets)) >> round);
}

// Rounds after which the lists have a point or two, as long as there are pairs for all threads to have a batch.
template <class F>
unsigned roundsOf(const MsmPlan& plan, uint32_t multiprocessors) {
  const uint64_t threads = uint64_t{multiprocessors} * pairs::Shape<F>::THREADS * pairs::Shape<F>::BLOCKS;
  unsigned rounds = 0;
  while (rounds < pairs::MAX_ROUNDS && plan.entries() >> rounds > plan.buckets() &&
         plan.entries() >> (rounds + 1) >= threads * pairs::MIN_EACH) {
    rounds++;
  }
  return rounds;
}

template <class F>
MsmPlan AffineSums<F>::restOf(const MsmPlan& plan, unsigned rounds) {
  MsmPlan rest = plan;
  if (rounds > 0) rest.count = (placesAfter(rounds, plan.entries(), plan.buckets()) + plan.windows - 1) / plan.windows;
  return rest;
}

template <class F>
AffineSums<F>::AffineSums(const MsmPlan& plan, uint32_t multiprocessors, Arena& arena)
    : entries_(plan.entries()),
      buckets_(plan.buckets()),
      rounds_(plan.coordinates != 2 ? 0 : plan.rounds ? plan.rounds : roundsOf<F>(plan, multiprocessors)),
      rest_(restOf(plan, rounds_), multiprocessors, arena) {
  using Shape = pairs::Shape<F>;
  if (rounds_ == 0) return;
  // Round r writes to the first array where r is even, and to the second where it is odd.
  // With fewer entries than lists the places grow with the rounds: places left over, up to one a list.
  const uint64_t last = placesAfter(rounds_, entries_, buckets_);
  for (unsigned r = 0; r < 2; r++) sums_[r] = arena.take<Affine<F>>(r < rounds_ ? std::max(placesAfter(r + 1, entries_, buckets_), last) : 0);
  const uint64_t places = placesAfter(1, entries_, buckets_), tile = uint64_t{Shape::THREADS} * pairs::MIN_EACH;
  grid_ = static_cast<uint32_t>(std::min<uint64_t>((places + tile - 1) / tile, uint64_t{multiprocessors} * Shape::BLOCKS));
  prefixes_ = arena.take<F>(uint64_t{grid_} * Shape::THREADS * pairs::EACH);
  restStarts_ = arena.take<uint32_t>(buckets_ + 1);
  restEntries_ = arena.take<uint32_t>(last);
}

// Of a round's pairs: x read and both points, a prefix written and read; and the sums. The points of the first round are counted by the
// caller. Every list of odd length is taken to end in a place that is left over, so that there are not fewer pairs than these.
template <class F>
Work AffineSums<F>::work(uint64_t entries) const {
  if (rounds_ == 0) return rest_.work(entries);
  Work out;
  uint64_t before = entries;
  for (unsigned r = 0; r < rounds_; r++) {
    const uint64_t places = placesAfter(r + 1, entries, buckets_), pairs = before > places ? before - places : 0;
    out.bytes += static_cast<double>(pairs * ((r == 0 ? 2 : 6) + 2) * sizeof(F) + places * sizeof(Affine<F>));
    out.operations += static_cast<double>(pairs) * Cost<F>::AFFINE_ADD;
    before = places;
  }
  const Work rest = rest_.work(before);
  out.bytes += rest.bytes + static_cast<double>(before * (sizeof(Affine<F>) + 2 * sizeof(uint32_t)));
  // With few entries most places are left over, and nothing is added there.
  out.operations += std::min(rest.operations, static_cast<double>(entries) * Cost<F>::ADD);
  return out;
}

template <class F>
void AffineSums<F>::enqueue(cudaStream_t stream, const Affine<F>* points, const uint32_t* entries, const uint32_t* starts,
                            Point<F>* buckets) const {
  constexpr unsigned THREADS = pairs::Shape<F>::THREADS;
  if (rounds_ == 0) return rest_.enqueue(stream, points, entries, starts, buckets);
  const uint32_t count = static_cast<uint32_t>(buckets_);
  pairs::Source<F> source{points, entries};
  for (unsigned r = 0; r < rounds_; r++) {
    AP_LAUNCH(pairs::addPairs<F>, grid_, THREADS, 2 * THREADS * sizeof(F), stream, source, starts, count, r, prefixes_, sums_[r % 2]);
    checkLaunch("addPairs");
    source = {sums_[r % 2], nullptr};
  }
  const uint64_t most = std::max(placesAfter(rounds_, entries_, buckets_), buckets_ + 1);
  AP_LAUNCH(pairs::listRest, blocksFor(most, 256), 256, 0, stream, starts, count, rounds_, restStarts_, restEntries_);
  checkLaunch("listRest");
  rest_.enqueue(stream, source.points, restEntries_, restStarts_, buckets);
}

}  // namespace cuda
}  // namespace anchorproof
