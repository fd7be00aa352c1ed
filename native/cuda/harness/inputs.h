// Points with known logarithms, and scalars of every kind.
#pragma once

#include "support.h"

namespace anchorproof {
namespace ENGINE_NS {
namespace {

// ---- points with known logarithms ----

// logs[i] is in Montgomery form: points[i] = logs[i]·G.
template <class F>
struct Points {
  std::vector<Affine<F>> points;
  std::vector<Fr> logs;
  size_t size() const { return points.size(); }
};

constexpr size_t PIECE = 1024;

template <class F>
void forPieces(const Control& control, size_t n, const F& body) {
  parallel(control, (n + PIECE - 1) / PIECE, [&](size_t piece, size_t) { body(piece * PIECE, std::min(n, (piece + 1) * PIECE)); });
}

// step·G, 2·step·G, …
template <class F>
Points<F> multiplesOf(const Fr& step, size_t n) {
  Points<F> out;
  const Fr words = step.fromMontgomery();
  const Point<F> first = generator<F>().times(words.l);
  Point<F> sum = Point<F>::infinity();
  Fr log = Fr::zero();
  for (size_t i = 0; i < n; i++) {
    sum += first;
    log += step;
    out.points.push_back(sum.toAffine());
    out.logs.push_back(log);
  }
  return out;
}

// n points that are all distinct, as in a key: i·α·G + j·β·G, whose coordinates cost ten multiplications each. α and β are random,
// so that no sum meets equal or opposite points.
template <class F>
Points<F> distinctPoints(size_t n, u64 seed, const Control& control) {
  Random random(seed);
  size_t inner = 1;
  while (inner * inner < n) inner *= 2;
  const Points<F> low = multiplesOf<F>(random.integer<Fr>(), inner);
  const Points<F> high = multiplesOf<F>(random.integer<Fr>(), (n + inner - 1) / inner);
  Points<F> out;
  out.points.resize(n);
  out.logs.resize(n);
  forPieces(control, n, [&](size_t from, size_t to) {
    // products[i − from]: of all differences before i. One inversion for a piece.
    std::vector<F> products;
    F product = F::one();
    for (size_t i = from; i < to; i++) {
      products.push_back(product);
      product *= high.points[i / inner].x - low.points[i % inner].x;
    }
    F inverse = product.inverse();
    for (size_t i = to; i-- > from;) {
      const Affine<F>&a = low.points[i % inner], &b = high.points[i / inner];
      const F d = b.x - a.x, lambda = (b.y - a.y) * inverse * products[i - from];
      inverse *= d;
      const F x = lambda.sqr() - a.x - b.x;
      out.points[i] = {x, lambda * (a.x - x) - a.y};
      out.logs[i] = low.logs[i % inner] + high.logs[i / inner];
    }
  });
  return out;
}

enum class PointKind { Distinct, Equal, Opposite, Few, SomeInfinity, AllInfinity };
constexpr const char* kPointKinds[] = {"distinct", "equal", "P and -P", "few", "some infinity", "all infinity"};

// n points of a kind, from distinct ones.
template <class F>
Points<F> pointsOf(PointKind kind, size_t n, const Points<F>& base, Random& random) {
  Points<F> out;
  out.points.reserve(n);
  out.logs.reserve(n);
  for (size_t i = 0; i < n; i++) {
    size_t from = i;
    bool negative = false, infinity = false;
    switch (kind) {
      case PointKind::Distinct:
        break;
      case PointKind::Equal:
        from = 0;
        break;
      case PointKind::Opposite:
        from = i / 2;
        negative = i % 2 == 1;
        break;
      case PointKind::Few:
        from = random.below(std::min<size_t>(16, base.size()));
        negative = random.below(2) == 1;
        break;
      case PointKind::SomeInfinity:
        infinity = random.below(3) == 0;
        break;
      case PointKind::AllInfinity:
        infinity = true;
    }
    Affine<F> point = infinity ? Affine<F>::infinity() : base.points[from];
    if (negative) point.y = -point.y;
    out.points.push_back(point);
    out.logs.push_back(infinity ? Fr::zero() : negative ? -base.logs[from] : base.logs[from]);
  }
  return out;
}

// ---- scalars: integers in an Fr's words ----

enum class ScalarKind { Random, Zero, One, MinusOne, Equal, Alternating, Bits, Single, Small, Edges, Wires };
constexpr const char* kScalarKinds[] = {"random", "zero", "one", "r-1", "equal", "alternating", "bits", "single", "small", "edges", "as wires"};
constexpr size_t kPointKindCount = sizeof kPointKinds / sizeof *kPointKinds, kScalarKindCount = sizeof kScalarKinds / sizeof *kScalarKinds;

Fr integerOf(u64 value) { return Fr{{value, 0, 0, 0}}; }
Fr minus(const Fr& integer) { return -integer; }  // r − a, 0 for 0: the words' form does not matter

// Where digits of signed windows carry, and where scalars change their sign: (r ± 1)/2.
const std::vector<Fr>& edgeScalars() {
  static const std::vector<Fr> edges = [] {
    std::vector<Fr> out;
    auto add = [&](const Fr& value) {
      if (!value.isReduced()) return;
      out.push_back(value);
      out.push_back(minus(value));
    };
    Fr half = minus(integerOf(1));
    for (int i = 0; i < 4; i++) half.l[i] = half.l[i] >> 1 | (i < 3 ? half.l[i + 1] << 63 : 0);
    for (u64 k = 0; k < 3; k++) add(integerOf(k));
    add(half);
    add(half - integerOf(1));
    for (int k = 1; k < 254; k++) {
      Fr power = Fr::zero();
      power.l[k / 64] = (u64)1 << (k % 64);
      add(power);
      add(power - integerOf(1));
    }
    // All digits at half a window, one less, one more, and all bits set.
    for (int window = 4; window <= 20; window++) {
      for (u64 digit : {(u64)1 << (window - 1), ((u64)1 << (window - 1)) - 1, ((u64)1 << (window - 1)) + 1, ((u64)1 << window) - 1}) {
        Fr value = Fr::zero();
        for (int at = 0; at + window <= 253; at += window) {
          for (int bit = 0; bit < window; bit++) value.l[(at + bit) / 64] |= (digit >> bit & 1) << ((at + bit) % 64);
        }
        add(value);
      }
    }
    return out;
  }();
  return edges;
}

std::vector<Fr> scalarsOf(ScalarKind kind, size_t n, u64 seed, const Control& control) {
  std::vector<Fr> out(n);
  const Fr some = integerAt(seed, n);
  const size_t single = n > 0 ? Random(seed).below(n) : 0;
  forPieces(control, n, [&](size_t from, size_t to) {
    for (size_t i = from; i < to; i++) {
      Random random(mixed(seed) + i);
      switch (kind) {
        case ScalarKind::Random:
          out[i] = integerAt(seed, i);
          break;
        case ScalarKind::Zero:
          out[i] = Fr::zero();
          break;
        case ScalarKind::One:
          out[i] = integerOf(1);
          break;
        case ScalarKind::MinusOne:
          out[i] = minus(integerOf(1));
          break;
        case ScalarKind::Equal:
          out[i] = some;
          break;
        case ScalarKind::Alternating:
          out[i] = i % 2 == 0 ? some : minus(some);
          break;
        case ScalarKind::Bits:
          out[i] = integerOf(random.below(2));
          break;
        case ScalarKind::Single:
          out[i] = i == single ? some : Fr::zero();
          break;
        case ScalarKind::Small:
          out[i] = integerOf(random.below(1 << 16));
          if (random.below(2)) out[i] = minus(out[i]);
          break;
        case ScalarKind::Edges:
          out[i] = edgeScalars()[random.below(edgeScalars().size())];
          break;
        case ScalarKind::Wires:  // half bits, an eighth bytes, the rest anything
          const u64 which = random.below(8);
          out[i] = which < 4 ? integerOf(random.below(2)) : which == 4 ? integerOf(random.below(256)) : integerAt(seed, i);
      }
    }
  });
  return out;
}

// Σ sᵢ·kᵢ as an integer: the product of Montgomery form and integer is the integer.
Fr dot(const Fr* scalars, const Fr* logs, size_t n, const Control& control) {
  std::mutex mutex;
  Fr sum = Fr::zero();
  forPieces(control, n, [&](size_t from, size_t to) {
    Fr part = Fr::zero();
    for (size_t i = from; i < to; i++) part += scalars[i] * logs[i];
    std::lock_guard<std::mutex> lock(mutex);
    sum += part;
  });
  return sum;
}

template <class F>
Buffer encoded(const Point<F>& point) {
  Buffer out(2 * sizeof(F));
  writePoint(point, out.data());
  return out;
}

// Points as Engine::msm takes them.
template <class F>
Buffer encodedPoints(const Affine<F>* points, size_t n, const Control& control) {
  constexpr size_t size = 2 * sizeof(F);
  Buffer out(n * size);
  forPieces(control, n, [&](size_t from, size_t to) {
    for (size_t i = from; i < to; i++) {
      if (points[i].isInfinity()) continue;
      points[i].x.write(out.data() + i * size);
      points[i].y.write(out.data() + i * size + sizeof(F));
    }
  });
  return out;
}

}  // namespace
}  // namespace ENGINE_NS
}  // namespace anchorproof
