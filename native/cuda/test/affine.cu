// Sums of buckets by rounds of affine additions: any lengths of lists, every number of rounds, pairs without a slope.
#include <vector>

#include "../msm_g1.cu"
#include "../msm_g2.cu"
#include "check.h"

namespace {

using namespace anchorproof::cuda;
using anchorproof::test::Random;

template <class T>
DeviceArray<T> uploaded(const std::vector<T>& values, cudaStream_t stream) {
  DeviceArray<T> out(values.size());
  if (out.size() > 0) CHECK_CUDA(cudaMemcpyAsync(out.get(), values.data(), out.bytes(), cudaMemcpyHostToDevice, stream));
  CHECK_CUDA(cudaStreamSynchronize(stream));
  return out;
}

template <class F>
Affine<F> basePoint();
template <>
Affine<Fq> basePoint<Fq>() {
  return {Fq::one(), Fq::one().dbl()};
}
template <>
Affine<Fq2> basePoint<Fq2>() {
  // The formulas know no b: any point will do, on a curve of its own.
  return {{Fq::one().dbl(), Fq::one()}, {Fq::one(), -Fq::one().dbl()}};
}

// Multiples 0 … MOST − 1 of a point, by additions in extended coordinates; those of a list are so few that no sum leaves the table.
constexpr int MOST = 400;
template <class F>
const std::vector<Affine<F>>& multiples() {
  static const std::vector<Affine<F>> table = [] {
    std::vector<Affine<F>> out;
    Point<F> sum = Point<F>::infinity();
    for (int i = 0; i < MOST; i++, sum = sum.plus(basePoint<F>())) out.push_back(sum.toAffine());
    return out;
  }();
  return table;
}
template <class F>
bool isMultiple(const Point<F>& p, int k) {
  Affine<F> q = multiples<F>()[k < 0 ? -k : k];
  if (q.isInfinity() || p.isInfinity()) return q.isInfinity() && p.isInfinity();
  if (k < 0) q.y = -q.y;
  return p.x == q.x * p.zz && p.y == q.y * p.zzz && p.zz * p.zz * p.zz == p.zzz * p.zzz;
}

enum Kind { ANY, EQUAL, OPPOSITE, ZEROS, KINDS };

// lengths: of 2^k lists. An entry's point is one of a few, so that equal and opposite ones meet at every level.
template <class F>
void sums(const std::vector<uint32_t>& lengths, uint32_t multiprocessors, unsigned rounds, Random& random) {
  std::vector<Affine<F>> points(multiples<F>().begin(), multiples<F>().begin() + 6);  // the first is infinity
  std::vector<uint32_t> starts, entries;
  std::vector<int> expected;
  for (uint32_t length : lengths) {
    starts.push_back(static_cast<uint32_t>(entries.size()));
    const uint64_t kind = random.below(KINDS);
    int sum = 0;
    for (uint32_t i = 0; i < length; i++) {
      int k = kind == ZEROS ? 0 : kind == ANY ? static_cast<int>(random.below(6)) : 1;
      bool negative = kind == OPPOSITE ? i % 2 == 1 : kind == ANY ? random.oneIn(2) : false;
      // back towards zero, and no further than the table goes
      if (sum + k >= MOST || sum - k <= -MOST) negative = sum > 0;
      if (kind == EQUAL && sum >= 300) k = 0;
      entries.push_back(static_cast<uint32_t>(k) | (negative ? SIGN_BIT : 0));
      sum += negative ? -k : k;
    }
    expected.push_back(sum);
  }
  starts.push_back(static_cast<uint32_t>(entries.size()));
  MsmPlan plan;
  plan.window = 1;
  while (size_t{1} << (plan.window - 1) < lengths.size()) plan.window++;
  plan.windows = plan.levels = plan.sets = 1;
  plan.count = entries.size();
  plan.coordinates = rounds > 0 ? 2 : 1;
  plan.rounds = rounds;
  CHECK(plan.buckets() == lengths.size());
  const Stream stream;
  const DeviceArray<Affine<F>> pointsOnCard = uploaded(points, stream);
  const DeviceArray<uint32_t> entriesOnCard = uploaded(entries, stream), startsOnCard = uploaded(starts, stream);
  DeviceArray<Point<F>> buckets(lengths.size());
  Arena counting;
  AffineSums<F>(plan, multiprocessors, counting);
  DeviceArray<uint8_t> memory(counting.used());
  Arena arena(memory.get(), memory.size());
  const AffineSums<F> sums(plan, multiprocessors, arena);
  for (int repeat = 0; repeat < 2; repeat++) {  // the space as the last run left it
    sums.enqueue(stream, pointsOnCard.get(), entriesOnCard.get(), startsOnCard.get(), buckets.get());
    std::vector<Point<F>> out(lengths.size());
    CHECK_CUDA(cudaMemcpyAsync(out.data(), buckets.get(), buckets.bytes(), cudaMemcpyDeviceToHost, stream));
    CHECK_CUDA(cudaStreamSynchronize(stream));
    for (size_t b = 0; b < out.size(); b++) {
      CHECK(isMultiple(out[b], expected[b]), "list %zu of %u, %u rounds, %d is expected", b, lengths[b], rounds, expected[b]);
    }
  }
}

template <class F>
void lists() {
  Random random(sizeof(F));
  for (unsigned rounds = 0; rounds <= 6; rounds++) {
    std::vector<uint32_t> rising;
    for (uint32_t i = 0; i < 64; i++) rising.push_back(i);
    sums<F>(rising, 1, rounds, random);
    std::vector<uint32_t> falling(rising.rbegin(), rising.rend());
    sums<F>(falling, 80, rounds, random);
    sums<F>({0, 0, 0, 0, 0, 0, 0, 0}, 1, rounds, random);
    sums<F>({0, 0, 0, 1}, 1, rounds, random);
    sums<F>({1}, 1, rounds, random);
    sums<F>({33}, 1, rounds, random);
    sums<F>({0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0}, 1, rounds, random);
    std::vector<uint32_t> few(256);
    for (uint32_t& length : few) length = random.oneIn(3) ? static_cast<uint32_t>(random.below(12)) : 0;
    sums<F>(few, 1, rounds, random);
  }
}

// More pairs than the grid's threads take in one batch; one list with nearly everything, and many lists.
template <class F>
void large() {
  Random random(7);
  constexpr uint32_t threads = pairs::Shape<F>::THREADS * pairs::Shape<F>::BLOCKS, batch = threads * pairs::EACH;
  sums<F>({5, batch * 4 + 77, 0, 3}, 1, 2, random);
  std::vector<uint32_t> lengths(1 << 12);
  for (uint32_t& length : lengths) length = static_cast<uint32_t>(random.below(2 * batch / 2048));
  sums<F>(lengths, 1, 3, random);
}

// A point of order two has a vertical tangent.
void orderTwo() {
  const Stream stream;
  const Affine<Fq> point{Fq::one(), Fq::zero()};
  const std::vector<Affine<Fq>> points(1, point);
  MsmPlan plan;
  plan.window = 2;
  plan.windows = plan.levels = plan.sets = 1;
  plan.count = 5;
  plan.coordinates = plan.rounds = 2;
  const DeviceArray<Affine<Fq>> pointsOnCard = uploaded(points, stream);
  const DeviceArray<uint32_t> entries = uploaded(std::vector<uint32_t>{0, SIGN_BIT, 0, 0, 0}, stream), starts = uploaded(std::vector<uint32_t>{0, 2, 5}, stream);
  DeviceArray<Point<Fq>> buckets(2);
  Arena counting;
  AffineSums<Fq>(plan, 1, counting);
  DeviceArray<uint8_t> memory(counting.used());
  Arena arena(memory.get(), memory.size());
  const AffineSums<Fq> sums(plan, 1, arena);
  sums.enqueue(stream, pointsOnCard.get(), entries.get(), starts.get(), buckets.get());
  Point<Fq> out[2];
  CHECK_CUDA(cudaMemcpyAsync(out, buckets.get(), sizeof out, cudaMemcpyDeviceToHost, stream));
  CHECK_CUDA(cudaStreamSynchronize(stream));
  CHECK(out[0].isInfinity() && out[1].x == point.x * out[1].zz && out[1].y.isZero() && !out[1].isInfinity());
}

// The rounds that a plan gets, and that the numbers for tables are not absurd.
void plans() {
  MsmPlan plan;
  plan.window = 16;
  plan.windows = plan.levels = 16;
  plan.sets = 1;
  plan.count = 1 << 20;
  plan.coordinates = 2;
  CHECK(roundsOf<Fq>(plan, 132) == 4 && roundsOf<Fq2>(plan, 132) == 5);
  Arena affine, extended;
  const AffineSums<Fq> with(plan, 132, affine);
  plan.coordinates = 1;
  const AffineSums<Fq> without(plan, 132, extended);
  const Work withRounds = with.work(plan.entries()), withoutRounds = without.work(plan.entries());
  CHECK(withRounds.operations < withoutRounds.operations && withRounds.bytes > withoutRounds.bytes && affine.used() > extended.used());
  // Not more additions than there are points but one a bucket, and hardly fewer; and where nothing is to do, none.
  const double additions = static_cast<double>(plan.entries() - plan.buckets());
  CHECK(withoutRounds.operations <= additions * Cost<Fq>::MIXED_ADD * 1.03 && withoutRounds.operations >= additions * Cost<Fq>::MIXED_ADD);
  CHECK(withRounds.operations >= additions * Cost<Fq>::AFFINE_ADD && withRounds.operations <= withoutRounds.operations * 0.75);
  CHECK(with.work(0).operations == 0 && without.work(0).operations == 0 && with.work(plan.buckets() / 2).bytes < withRounds.bytes / 8);
  plan.coordinates = 2;
  plan.count = 1000;
  CHECK(roundsOf<Fq>(plan, 132) == 0);
  plan.count = 0;
  Arena none;
  AffineSums<Fq>(plan, 132, none);
  CHECK(roundsOf<Fq>(plan, 132) == 0);
}

}  // namespace

int main(int argc, char** argv) {
  return anchorproof::test::run(argc, argv,
                                {{"lists in G1", lists<Fq>},
                                 {"lists in G2", lists<Fq2>},
                                 {"large in G1", large<Fq>},
                                 {"large in G2", large<Fq2>},
                                 {"order two", orderTwo},
                                 {"plans", plans}});
}
