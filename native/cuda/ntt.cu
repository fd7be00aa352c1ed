#include "elements.h"
#include "ntt.h"

namespace anchorproof {
namespace cuda {

namespace {

constexpr unsigned EACH_LOG = 3, EACH = 1u << EACH_LOG;  // elements a thread
constexpr unsigned THREADS = 1u << (CardDomain::TILE_LOG - EACH_LOG);

// What a launch does. Polynomials lie side by side in the grid, 2^tileBits blocks each.
struct Pass {
  uint32_t log, below, rows, columns, tileBits;
  bool down, up;

  const Fr* in[3];
  Fr* out[3];                 // may be in
  const Fr* factors;          // or null: element i is multiplied by factors[i & factorMask] as it is read
  uint32_t factorMask;

  const Fr* shiftRows;        // between down and up
  const Fr* shiftTiles[3];

  uint32_t reversal;          // 0: written in place; 1: element i at its bit-reversed index; 2: at minus that
  const Fr *times, *minus;    // with h: element i times times[i], less minus[i]
  SignedScalar* h;            // or null
};

// Where a block's tile lies.
struct Tile {
  uint32_t above, base, below, columns;

  AP_HD Tile(const Pass& pass, uint32_t tile) : below(pass.below), columns(pass.columns) {
    const uint32_t groupBits = below > columns ? below - columns : 0;
    above = tile >> groupBits;
    base = above << (pass.rows + below) | (tile & ((1u << groupBits) - 1)) << columns;
  }
  AP_HD uint32_t indexOf(uint32_t element) const {
    return base + ((element >> columns) << below) + (element & ((1u << columns) - 1));
  }
};

template <class T>
AP_HD T choose(T const (&of)[3], uint32_t i) {
  return i == 0 ? of[0] : i == 1 ? of[1] : of[2];
}

AP_DEVICE uint32_t reversed(uint32_t i, uint32_t bits) { return __brev(i) >> 1 >> (31 - bits); }

// The eight elements of a thread differ in bits window … window + 2 of their index in the tile.
AP_HD uint32_t indexInTile(uint32_t thread, uint32_t window, uint32_t t) {
  const uint32_t low = thread & ((1u << window) - 1);
  return (thread - low) << EACH_LOG | t << window | low;
}

// One place in nine stays empty. Eight neighbouring threads, which access shared memory at the same time, have their elements one
// after the other, or 2, 4 or 8 apart in groups; in all cases their places are different modulo eight, so that no banks collide.
AP_HD uint32_t placeOf(uint32_t element) { return element + (element >> 3); }

// From one window to another, by halves, so that two blocks and more find room on a multiprocessor.
AP_DEVICE void exchange(Fr (&x)[EACH], uint4* shared, uint32_t thread, uint32_t from, uint32_t to) {
  AP_UNROLL
  for (unsigned half = 0; half < 8; half += 4) {
    __syncthreads();
    AP_UNROLL
    for (unsigned t = 0; t < EACH; t++) {
      shared[placeOf(indexInTile(thread, from, t))] = {x[t].l[half], x[t].l[half + 1], x[t].l[half + 2], x[t].l[half + 3]};
    }
    __syncthreads();
    AP_UNROLL
    for (unsigned t = 0; t < EACH; t++) {
      const uint4 q = shared[placeOf(indexInTile(thread, to, t))];
      x[t].l[half] = q.x;
      x[t].l[half + 1] = q.y;
      x[t].l[half + 2] = q.z;
      x[t].l[half + 3] = q.w;
    }
  }
}

// The layer at bit BIT of a thread's elements; `block` is the one that bit 2 would belong to.
template <unsigned BIT>
AP_DEVICE void layerDown(Fr (&x)[EACH], const Fr* twiddles, uint32_t block) {
  constexpr unsigned DISTANCE = 1u << BIT, GROUPS = EACH / 2 >> BIT;
  AP_UNROLL
  for (unsigned g = 0; g < GROUPS; g++) {
    const uint32_t b = block * GROUPS + g;
    if (b != 0) {
      const Fr u = loadConstant(twiddles + (b ^ (0x7fffffffu >> __clz(static_cast<int>(b)))));
      AP_UNROLL
      for (unsigned s = 0; s < DISTANCE; s++) x[2 * DISTANCE * g + DISTANCE + s] *= u;
    } else {
      AP_UNROLL
      for (unsigned s = 0; s < DISTANCE; s++) x[2 * DISTANCE * g + DISTANCE + s] = -x[2 * DISTANCE * g + DISTANCE + s];
    }
    AP_UNROLL
    for (unsigned s = 0; s < DISTANCE; s++) {
      Fr &a = x[2 * DISTANCE * g + s], &c = x[2 * DISTANCE * g + DISTANCE + s];
      const Fr difference = a - c;
      c = a + c;
      a = difference;
    }
  }
}

template <unsigned BIT>
AP_DEVICE void layerUp(Fr (&x)[EACH], const Fr* twiddles, uint32_t block) {
  constexpr unsigned DISTANCE = 1u << BIT, GROUPS = EACH / 2 >> BIT;
  AP_UNROLL
  for (unsigned g = 0; g < GROUPS; g++) {
    const uint32_t b = block * GROUPS + g;
    const Fr u = loadConstant(twiddles + b);
    AP_UNROLL
    for (unsigned s = 0; s < DISTANCE; s++) {
      Fr &a = x[2 * DISTANCE * g + s], &c = x[2 * DISTANCE * g + DISTANCE + s];
      const Fr sum = a + c;
      c = b != 0 ? a.minusUnreduced(c) * u : a - c;
      a = sum;
    }
  }
}

// All passes in one kernel: which parts run is the same for the whole launch.
AP_KERNEL(THREADS, 2) runPass(const Pass pass, const Fr* __restrict__ twiddles) {
  AP_SHARED(uint4, shared);
  const uint32_t thread = threadIdx.x, block = blockIdx.x;
  const uint32_t number = block & ((1u << pass.tileBits) - 1), polynomial = block >> pass.tileBits;
  const Tile tile(pass, number);

  // Rounds of up to three layers, from the tile's highest bits on. In a round, the layers are at bits lowest … lowest + 2, but
  // for those that the round before has done or that are none of the pass.
  const int columns = static_cast<int>(pass.columns), top = static_cast<int>(pass.rows) + columns, bits = top > 3 ? top : 3;
  const int rounds = static_cast<int>(pass.rows + 2) / 3;
  auto lowestOf = [=](int round) {
    const int lowest = top - 3 * (round + 1);
    return lowest > columns ? lowest : columns;
  };
  auto windowOf = [=](int round) {
    const int lowest = lowestOf(round);
    return static_cast<uint32_t>(lowest < bits - 3 ? lowest : bits - 3);
  };
  auto layersOf = [&](int round, uint32_t window, auto body) {
    const int from = lowestOf(round) - static_cast<int>(window), to = top - 3 * round - static_cast<int>(window);
    body(tile.above << (bits - 3 - static_cast<int>(window)) | thread >> window, [=](int bit) { return from <= bit && bit < to; });
  };

  Fr x[EACH];
  uint32_t window = pass.down || rounds == 0 ? static_cast<uint32_t>(bits - 3) : windowOf(rounds - 1);
  const Fr* in = choose(pass.in, polynomial);
  AP_UNROLL
  for (unsigned t = 0; t < EACH; t++) {
    const uint32_t i = tile.indexOf(indexInTile(thread, window, t));
    x[t] = Fr::zero();
    if (i >> pass.log != 0) continue;  // domains of less than eight elements
    x[t] = load(in + i);
    if (pass.factors) x[t] *= loadConstant(pass.factors + (i & pass.factorMask));
  }

  auto moveTo = [&](uint32_t next) {
    if (next != window) exchange(x, shared, thread, window, next);
    window = next;
  };
  if (pass.down) {
    for (int round = 0; round < rounds; round++) {
      moveTo(windowOf(round));
      layersOf(round, window, [&](uint32_t first, auto has) {
        if (has(2)) layerDown<2>(x, twiddles, first);
        if (has(1)) layerDown<1>(x, twiddles, first);
        if (has(0)) layerDown<0>(x, twiddles, first);
      });
    }
  }
  if (pass.down && pass.up) {
    const Fr shift = loadConstant(choose(pass.shiftTiles, polynomial) + number);
    AP_UNROLL
    for (unsigned t = 0; t < EACH; t++) {
      const uint32_t element = indexInTile(thread, window, t);
      if (element >> pass.rows == 0) x[t] *= shift * loadConstant(pass.shiftRows + element);
    }
  }
  if (pass.up) {
    for (int round = rounds - 1; round >= 0; round--) {
      moveTo(windowOf(round));
      layersOf(round, window, [&](uint32_t first, auto has) {
        if (has(0)) layerUp<0>(x, twiddles, first);
        if (has(1)) layerUp<1>(x, twiddles, first);
        if (has(2)) layerUp<2>(x, twiddles, first);
      });
    }
  }

  Fr* out = choose(pass.out, polynomial);
  AP_UNROLL
  for (unsigned t = 0; t < EACH; t++) {
    uint32_t i = tile.indexOf(indexInTile(thread, window, t));
    if (i >> pass.log != 0) continue;
    if (pass.h) {
      pass.h[i] = toSigned(x[t] * load(pass.times + i) - load(pass.minus + i));
      continue;
    }
    if (pass.reversal != 0) i = reversed(i, pass.log);
    if (pass.reversal == 2) i = (0 - i) & ((1u << pass.log) - 1);
    out[i] = x[t];
  }
}

// data[i] *= s^i, from tables at bit-reversed indices, the lower 2^rowBits of them in `rows`.
AP_KERNEL(THREADS, 2) scaleByPowers(Fr* data, const Fr* rows, const Fr* tiles, uint32_t log, uint32_t rowBits) {
  const uint32_t i = blockIdx.x * THREADS + threadIdx.x;
  if (i >> log != 0) return;
  const uint32_t p = reversed(i, log);
  data[i] = load(data + i) * (loadConstant(rows + (p & ((1u << rowBits) - 1))) * loadConstant(tiles + (p >> rowBits)));
}

// out[i] = factor times the product of of[s] for each bit s of i.
struct Products {
  Fr factor, of[CardDomain::MAX_LOG];
};
AP_KERNEL(THREADS, 2) fillProducts(Fr* out, uint32_t count, const Products products) {
  const uint32_t i = blockIdx.x * THREADS + threadIdx.x;
  if (i >= count) return;
  Fr product = products.factor;
  for (uint32_t s = 0; i >> s != 0; s++) {
    if (i >> s & 1) product *= products.of[s];
  }
  out[i] = product;
}

Fr integer(uint32_t value) { return Fr{{value, 0, 0, 0, 0, 0, 0, 0}}.toMontgomery(); }

// A generator of the subgroup of order 2^log, snarkjs' choice: from 5, the smallest non-residue. r − 1 = 2^28·odd.
Fr rootOfUnity(unsigned log) {
  const Fr five = integer(5);
  Fr root = Fr::one();
  for (int bit = 253; bit >= static_cast<int>(CardDomain::MAX_LOG); bit--) {
    root = root.sqr();
    if (ScalarModulus::P[bit / 32] >> (bit % 32) & 1) root *= five;
  }
  for (unsigned i = CardDomain::MAX_LOG; i > log; i--) root = root.sqr();
  return root;
}

// At least three layers for every pass of several, so that the elements of a thread are rows.
unsigned contiguousOf(unsigned log, unsigned tileLog) { return log <= tileLog ? log : std::min(tileLog, log - EACH_LOG); }
uint64_t twiddlesOf(unsigned log) { return log < 3 ? 4 : uint64_t{1} << (log - 1); }

// The shift is the generator of the domain of twice the size; the largest domain has none, and snarkjs takes 5² there.
Fr shiftOf(unsigned log) { return log < CardDomain::MAX_LOG ? rootOfUnity(log + 1) : integer(25); }

}  // namespace

CardDomain::CardDomain(unsigned log, cudaStream_t stream, unsigned tileLog) : log_(log) {
  if (log > MAX_LOG) throw CardError(CARD_INPUT_INVALID, "the domain size must be a power of two up to 2^28");
  contiguous_ = contiguousOf(log, tileLog);
  strides_ = stridesOf(log, tileLog, strided_);
  tables_ = DeviceArray<Fr>(bytes(log, tileLog) / sizeof(Fr));

  auto fill = [&](const Fr* at, uint64_t count, const Products& products) {
    AP_LAUNCH(fillProducts, blocksFor(count, THREADS), THREADS, 0, stream, const_cast<Fr*>(at), static_cast<uint32_t>(count), products);
    checkLaunch("filling a table of the domain");
  };
  const unsigned tileBits = log - contiguous_;
  const uint64_t rows = uint64_t{1} << contiguous_, tiles = uint64_t{1} << tileBits;
  Products products;
  products.factor = Fr::one();
  for (Fr& f : products.of) f = Fr::one();
  for (unsigned s = 0; s + 2 <= std::max(3u, log); s++) products.of[s] = rootOfUnity(s + 2);
  fill(twiddles(), twiddlesOf(log), products);

  const Fr shift = shiftOf(log), sizeInverse = integer(1u << log).inverse();
  auto fillPowers = [&](Fr power, const Fr* atRows, std::initializer_list<std::pair<const Fr*, Fr>> atTiles) {
    Products ofRows = products, ofTiles = products;
    for (unsigned s = log; s-- > 0; power = power.sqr()) (s < contiguous_ ? ofRows.of[s] : ofTiles.of[s - contiguous_]) = power;
    fill(atRows, rows, ofRows);
    for (const auto& [at, factor] : atTiles) {
      ofTiles.factor = factor;
      fill(at, tiles, ofTiles);
    }
  };
  fillPowers(shift, shiftRows(),
             {{shiftTiles(), Fr::one()}, {shiftTilesBySize(), sizeInverse}, {shiftTilesCanonical(), sizeInverse.fromMontgomery()}});
  fillPowers(shift.inverse(), unshiftRows(), {{unshiftTilesBySize(), sizeInverse}});
  products.factor = sizeInverse;
  fill(this->sizeInverse(), 1, products);
}

unsigned CardDomain::stridesOf(unsigned log, unsigned tileLog, Strided* out) {
  unsigned above = log - contiguousOf(log, tileLog), below = log;
  const unsigned count = (above + tileLog - 1) / tileLog;
  if (count > 2) throw CardError(CARD_FAILED, "the tiles are too small for the domain");
  for (unsigned i = 0; i < count; i++) {
    const unsigned rows = i + 1 < count ? (above + 1) / 2 : above;
    below -= rows;
    above -= rows;
    out[i] = {below, rows, tileLog - rows};
  }
  return count;
}

uint64_t CardDomain::bytes(unsigned log, unsigned tileLog) {
  const unsigned contiguous = contiguousOf(log, tileLog);
  const uint64_t rows = uint64_t{1} << contiguous, tiles = uint64_t{1} << (log - contiguous);
  return (twiddlesOf(log) + 1 + 2 * rows + 4 * tiles) * sizeof(Fr);
}

const Fr* CardDomain::sizeInverse() const { return twiddles() + twiddlesOf(log_); }
const Fr* CardDomain::shiftRows() const { return sizeInverse() + 1; }
const Fr* CardDomain::unshiftRows() const { return shiftRows() + (uint64_t{1} << contiguous_); }
const Fr* CardDomain::shiftTiles() const { return unshiftRows() + (uint64_t{1} << contiguous_); }
const Fr* CardDomain::shiftTilesBySize() const { return shiftTiles() + (size() >> contiguous_); }
const Fr* CardDomain::shiftTilesCanonical() const { return shiftTilesBySize() + (size() >> contiguous_); }
const Fr* CardDomain::unshiftTilesBySize() const { return shiftTilesCanonical() + (size() >> contiguous_); }

namespace {

struct Job {
  Pass pass;
  unsigned polynomials;

  // In place on one to three arrays.
  Job(std::initializer_list<Fr*> arrays, const CardDomain::Strided& layers) : pass{}, polynomials(static_cast<unsigned>(arrays.size())) {
    unsigned i = 0;
    for (Fr* array : arrays) pass.in[i] = pass.out[i] = array, i++;
    pass.below = layers.below;
    pass.rows = layers.rows;
    pass.columns = layers.columns;
  }

  void run(cudaStream_t stream, unsigned log, const Fr* twiddles) {
    const unsigned bits = std::max(EACH_LOG, pass.rows + pass.columns);
    pass.log = log;
    pass.tileBits = log > bits ? log - bits : 0;
    const size_t shared = ((size_t{1} << bits) + (size_t{1} << (bits - 3))) * sizeof(uint4);
    AP_LAUNCH(runPass, polynomials << pass.tileBits, 1u << (bits - EACH_LOG), shared, stream, pass, twiddles);
    checkLaunch("a pass of a transform");
  }
};

}  // namespace

void CardDomain::quotient(cudaStream_t stream, Fr* a, Fr* b, Fr* c, SignedScalar* out, Meter* meter) const {
  if (meter) {
    // Elements read and written: the product a·b takes two reads, and h three. Without strided passes those two are by themselves.
    const uint64_t elements = strides_ ? 6 * (2 * strides_ + 1) + 3 : 6 + 3 + 4;
    meter->begin(stream, "quotient", (size() * elements + twiddlesOf(log_)) * sizeof(Fr), 6 * multiplications() + 8 * size());
  }
  // Where there are no strided passes, ones without layers read the product and write h.
  const Strided outer = strides_ ? strided_[0] : Strided{log_, 0, std::max(EACH_LOG, log_)};

  Job product({c}, outer);
  product.pass.down = true;
  product.pass.in[0] = a;
  product.pass.factors = b;
  product.pass.factorMask = ~0u;
  product.run(stream, log_, twiddles());
  for (unsigned i = 0; i < strides_; i++) {
    Job down = i == 0 ? Job({a, b}, outer) : Job({a, b, c}, strided_[i]);
    down.pass.down = true;
    down.run(stream, log_, twiddles());
  }

  Job turn({a, b, c}, {0, contiguous_, 0});
  turn.pass.down = turn.pass.up = true;
  turn.pass.shiftRows = shiftRows();
  turn.pass.shiftTiles[0] = shiftTilesBySize();
  turn.pass.shiftTiles[1] = turn.pass.shiftTiles[2] = shiftTilesCanonical();
  turn.run(stream, log_, twiddles());

  for (unsigned i = strides_; i-- > 0;) {
    Job up = i == 0 ? Job({b, c}, outer) : Job({a, b, c}, strided_[i]);
    up.pass.up = true;
    up.run(stream, log_, twiddles());
  }
  Job last({a}, outer);
  last.pass.up = true;
  last.pass.times = b;
  last.pass.minus = c;
  last.pass.h = out;
  last.run(stream, log_, twiddles());
  if (meter) meter->end(stream);
}

void CardDomain::transform(cudaStream_t stream, Fr* data, Fr* scratch, bool inverse, bool coset, Meter* meter) const {
  const uint64_t passes = strides_ + 1 + (coset ? 1 : 0);
  if (meter) {
    meter->begin(stream, "transform", (2 * passes * size() + twiddlesOf(log_)) * sizeof(Fr),
                 multiplications() + (coset ? 2 * size() : inverse ? size() : 0));
  }
  auto scale = [&](const Fr* rows, const Fr* tiles) {
    AP_LAUNCH(scaleByPowers, blocksFor(size(), THREADS), THREADS, 0, stream, data, rows, tiles, log_, contiguous_);
    checkLaunch("powers of the coset's shift");
  };
  if (coset && !inverse) scale(shiftRows(), shiftTiles());
  for (unsigned i = 0; i <= strides_; i++) {
    Job down({i == 0 ? data : scratch}, i < strides_ ? strided_[i] : Strided{0, contiguous_, 0});
    down.pass.down = true;
    down.pass.out[0] = i < strides_ ? scratch : data;
    if (i == 0 && inverse && !coset) down.pass.factors = sizeInverse();
    // Down gives Σ x_j·ω^(−ij) at the bit-reversed i; the forward transform is the same at index −i.
    if (i == strides_) down.pass.reversal = inverse ? 1 : 2;
    down.run(stream, log_, twiddles());
  }
  if (coset && inverse) scale(unshiftRows(), unshiftTilesBySize());
  if (meter) meter->end(stream);
}

}  // namespace cuda
}  // namespace anchorproof
