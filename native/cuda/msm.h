// Multi-scalar multiplication Σ sᵢ·Pᵢ on a card, by buckets (Pippenger), for any distribution of the scalars.
//
//   digits    Scalars are cut into windows of c bits with signed digits, as native/src/msm.h does. A point with digit d ≠ 0 in a window
//             is an entry of bucket |d| of the window's set. One atomic addition an entry counts its bucket and tells the entry's rank.
//   sort      A prefix sum over the counts, and every entry goes to its bucket's start plus its rank.
//   buckets   The sorted entries are cut into slices of equal length, whatever the buckets' sizes: a thread adds the points of one
//             slice and puts a sum away wherever a bucket ends. Slice t and bucket b share the place t + b: along both lists the pairs
//             that meet climb like a staircase, so no two have the same sum, and the parts of a bucket lie side by side. A fold adds
//             them up. No bucket, even one that has all entries, keeps a thread longer than others, and the number of slices is
//             what the card runs at a time, or a few times that, for dense and for sparse scalars.
//   reduce    Σ v·B_v, see Merging in msm_kernels.h: 2 additions a bucket, c − 1 steps deep, no chain of additions anywhere.
//
// Multiples: windows w = level·sets + set share the set's buckets when level l holds 2^(c·sets·l)·P. All of it is enqueued without
// waiting: grids are sized for the most that there can be, and kernels read from the card how much there is.
//
// Not constant time: memory access and work depend on the scalars.
#pragma once

#include "curve.h"
#include "device.h"
#include "scalar.h"

namespace anchorproof {
namespace cuda {

constexpr uint32_t MIN_WINDOW = 4, MAX_WINDOW = 20;  // bits

// Windows of so many bits that a signed scalar has.
constexpr uint32_t windowsOf(uint32_t bits) { return (254 + bits - 1) / bits; }

struct MsmPlan {
  uint32_t window = 0, windows = 0;  // bits of a window, windows of a scalar
  uint32_t levels = 0, sets = 0;     // multiples of a point (1: the point alone), sets of buckets
  uint32_t sums = 0, shift = 0;      // what a multiplication leaves: its result is Σ 2^(shift·i)·sums[i], i < sums ≤ CARD_MAX_SETS
  uint32_t coordinates = 1;          // as CardOptions
  uint32_t rounds = 0;               // of affine additions, where coordinates is 2; 0: as the numbers suggest
  uint64_t count = 0;                // points

  uint64_t buckets() const { return static_cast<uint64_t>(sets) << (window - 1); }
  uint64_t entries() const { return count * windows; }  // at most
};

// What additions take, in multiplications in Fq of two different factors, whose 128 wide products are the measure: see the table in
// field.h. An addition has ten products, two squares and a difference of products; a mixed one four products less.
template <class F>
struct Cost {
  static constexpr bool PAIR = sizeof(F) > sizeof(Fq);
  static constexpr double MUL = PAIR ? 3 : 1, SQUARE = PAIR ? 2 : 100.0 / 128, DIFFERENCE = PAIR ? 5 : 1.5;
  static constexpr double ADD = 10 * MUL + 2 * SQUARE + DIFFERENCE, MIXED_ADD = ADD - 4 * MUL;
  static constexpr double AFFINE_ADD = 5 * MUL + SQUARE;  // the share in an inversion left out
};

// What a plan costs for scalars that are all wide, counted as Cost:
//     entries·(mixed addition + SORT) + buckets·2·addition + steps that wait for one another·STEP
// where SORT is what the memory does for an entry, and STEP what a card could do while one addition waits for another: about 5 µs.
// Both are estimates for an H100, to be measured; STEP is by the stall counts of nvcc's code.
template <class F>
double planCost(const MsmPlan& plan) {
  constexpr double SORT = 3, STEP = (1 << 18) * (Cost<F>::ADD / Cost<Fq>::ADD);
  return static_cast<double>(plan.entries()) * (Cost<F>::MIXED_ADD + SORT) + static_cast<double>(plan.buckets()) * 2 * Cost<F>::ADD +
         STEP * (plan.window + 2.0 * plan.shift);
}

// The cheapest plan whose points fit in bytesAllowed; among equals the one with less memory.
template <class F>
MsmPlan planMsm(uint64_t count, const CardOptions& options, uint64_t bytesAllowed) {
  if (options.window != 0 && (options.window < MIN_WINDOW || options.window > MAX_WINDOW)) {
    throw CardError(CARD_INPUT_INVALID, "a window has 4 to 20 bits");
  }
  if (options.coordinates > 2) throw CardError(CARD_INPUT_INVALID, "coordinates are 0, 1 or 2");
  const uint64_t pointBytes = sizeof(Affine<F>), limit = uint64_t{1} << 31;
  // No fault of the caller's: a processor can do it.
  auto tooLarge = [&] { throw TooLarge("too large for a card: " + std::to_string(count) + " points in one multiplication"); };
  if (count >= limit) tooLarge();
  if (count * (pointBytes + sizeof(uint32_t)) > bytesAllowed) {
    throw CardError(CARD_OUT_OF_MEMORY, "the key's points do not fit into the card's memory");
  }
  MsmPlan best;
  double least = 0;
  const uint32_t from = options.window ? options.window : MIN_WINDOW, to = options.window ? options.window : MAX_WINDOW;
  for (uint32_t window = from; window <= to; window++) {
    const uint32_t windows = windowsOf(window), most = options.multiples ? std::min(options.multiples, windows) : windows;
    if (count * windows >= limit) continue;
    for (uint32_t levels = 1; levels <= most; levels++) {
      const uint32_t sets = (windows + levels - 1) / levels;
      if ((windows + sets - 1) / sets != levels) continue;  // fewer levels have no more sets
      if (count * (levels * pointBytes + sizeof(uint32_t)) > bytesAllowed) break;
      MsmPlan plan;
      plan.window = window;
      plan.windows = windows;
      plan.levels = levels;
      plan.sets = sets;
      plan.shift = (window * sets + CARD_MAX_SETS - 1) / CARD_MAX_SETS;
      plan.sums = (window * sets + plan.shift - 1) / plan.shift;
      plan.coordinates = options.coordinates ? options.coordinates : 1;
      plan.count = count;
      const double cost = planCost<F>(plan);
      if (best.window == 0 || cost < least) {
        best = plan;
        least = cost;
      }
    }
  }
  if (best.window == 0) tooLarge();
  return best;
}

// A key's points on the card, with their multiples: level after level, affine.
template <class F>
class ResidentPoints {
 public:
  // Points whose multiples are made together: enough to fill a card.
  static constexpr size_t CHUNK = size_t{1} << 17;

  // The host's arrays are not needed afterwards. chunk: for tests.
  ResidentPoints(const CardPoints& host, const MsmPlan& plan, cudaStream_t stream, const int32_t* abort, size_t chunk = CHUNK);

  // What an object holds, and what its constructor needs besides.
  static uint64_t bytes(const CardPoints& host, const MsmPlan& plan);
  static uint64_t constructionBytes(const MsmPlan& plan, size_t chunk = CHUNK);

  const MsmPlan& plan() const { return plan_; }
  const Affine<F>* points() const { return points_.get(); }
  // Null where point i has scalar i.
  const uint32_t* wires() const { return wires_.get(); }
  uint64_t wireCount() const { return wireCount_; }
  uint32_t multiprocessors() const { return multiprocessors_; }

 private:
  MsmPlan plan_;
  DeviceArray<Affine<F>> points_;
  DeviceArray<uint32_t> wires_;
  uint64_t wireCount_;
  uint32_t multiprocessors_;

  void makeMultiples(cudaStream_t stream, uint64_t from, uint64_t n, Point<F>* work, F* prefixes) const;
};

// The entries of a multiplication by bucket. An entry is an index into the points of all levels, and in the top bit whether to negate.
// Set s of buckets begins at s·2^(c−1). Within it bucket |d| lies at |d| mod 2^(c−1): the largest digit takes place 0.
class DigitSort {
 public:
  DigitSort(const MsmPlan& plan, const uint32_t* wires, uint64_t wireCount, Arena& arena);
  // Space that is free again after enqueue: taken last, and given back by the caller.
  void takeScratch(Arena& arena);

  void enqueue(cudaStream_t stream, const SignedScalar* wireScalars, const SignedScalar* quotients, Meter* meter) const;
  const uint32_t* entries() const { return entries_; }
  const uint32_t* starts() const { return starts_; }  // one more than there are buckets

 private:
  MsmPlan plan_;
  const uint32_t* wires_;
  uint64_t wireCount_;
  uint32_t *counts_, *starts_, *entries_, *scanWork_, *ranks_ = nullptr;
};

struct Job;

// From sorted entries to one sum a bucket, in extended coordinates. Another way of adding has the same two functions.
template <class F>
class ExtendedSums {
 public:
  ExtendedSums(const MsmPlan& plan, uint32_t multiprocessors, Arena& arena);
  void enqueue(cudaStream_t stream, const Affine<F>* points, const uint32_t* entries, const uint32_t* starts, Point<F>* buckets) const;
  // Of so many entries; bytes without the points and entries themselves.
  Work work(uint64_t entries) const;

 private:
  static constexpr unsigned ROUNDS = 3;
  uint64_t entries_, buckets_;
  uint32_t capacity_, slices_, lanes_;
  Point<F>* partials_;
  struct Round {
    Job* jobs;
    Point<F>* results;
    uint32_t most;
  } rounds_[ROUNDS];
  uint32_t* counters_;
};

// The same by rounds of affine additions, and extended ones for the rest: see affine.h. Without a round it is ExtendedSums.
template <class F>
class AffineSums {
 public:
  AffineSums(const MsmPlan& plan, uint32_t multiprocessors, Arena& arena);
  void enqueue(cudaStream_t stream, const Affine<F>* points, const uint32_t* entries, const uint32_t* starts, Point<F>* buckets) const;
  Work work(uint64_t entries) const;

 private:
  uint64_t entries_, buckets_;
  unsigned rounds_;
  ExtendedSums<F> rest_;
  Affine<F>* sums_[2] = {nullptr, nullptr};
  F* prefixes_ = nullptr;
  uint32_t *restStarts_ = nullptr, *restEntries_ = nullptr;
  uint32_t grid_ = 0;

  static MsmPlan restOf(const MsmPlan& plan, unsigned rounds);
};

// One multiplication's working space. The points must outlive it.
//
// Phases, with the bytes and the multiplications in Fq that a meter is told: of n points, b buckets, e entries as the card has counted
// them, l = min(e, b) buckets at most that have any, s slices, affine points of A bytes and sums of P.
//     digits    n·36 + e·12 + b·4                    a scalar and its wire; a counter read and written, a rank written
//     sort      n·36 + e·12 + b·12                   the same again; rank and start read, an entry written; the prefix sum
//     buckets   e·(A + 4) + (s + l)·2·P + b·(P + 8)  points; partial sums written and read, a sum written
//               (e − s − l)·mixed addition + s·addition     the first point of a sum is not added to anything
//     reduce    b·6·P    2·b·addition, or e·window·addition if that is less: sums that nothing went into cost none
template <class F>
class Msm {
 public:
  Msm(const ResidentPoints<F>& points, Arena& arena);
  // What the constructor takes on a card with so many multiprocessors, before there are points.
  static uint64_t workBytes(const MsmPlan& plan, uint32_t multiprocessors);

  // Scalar of point i: i < wireCount ? wireScalars[wires ? wires[i] : i] : quotients[i − wireCount], all on the card.
  // sums: plan.sums points on the card.
  void enqueue(cudaStream_t stream, const SignedScalar* wireScalars, const SignedScalar* quotients, Point<F>* sums, Meter* meter) const;

 private:
  const ResidentPoints<F>* points_;
  DigitSort sort_;
  size_t ranksEnd_;
  Point<F>* buckets_;
  AffineSums<F> sums_;

  Msm(const ResidentPoints<F>* points, const MsmPlan& plan, const uint32_t* wires, uint64_t wireCount, uint32_t multiprocessors, Arena& arena);
  static size_t takeRanks(DigitSort& sort, Arena& arena);
};

extern template class ResidentPoints<Fq>;
extern template class ResidentPoints<Fq2>;
extern template class ExtendedSums<Fq>;
extern template class ExtendedSums<Fq2>;
extern template class AffineSums<Fq>;
extern template class AffineSums<Fq2>;
extern template class Msm<Fq>;
extern template class Msm<Fq2>;

}  // namespace cuda
}  // namespace anchorproof
