// Chains of Poseidon over sixteen inputs, h ← P(capacity; h, 15 elements): many at once, over elements or over the numbers
// of a data set's contents; and what a circuit's witness needs of a permutation.
//
// The steps of a chain follow one another, but chains are independent: every lane works on one of its own, and takes the
// next from a queue, longest first, when that has ended. Once few are left, or where there never were more, each is
// finished by itself with its state spread over the lanes (SinglePoseidon).
#pragma once

#include "poseidon.h"

namespace anchorproof {
namespace ENGINE_NS {

constexpr unsigned CHAIN_ARITY = 16;
constexpr size_t BLOCK_ELEMENTS = 15;
constexpr size_t BLOCK_BYTES = BLOCK_ELEMENTS * 32;

// An integer below r, of 32 bytes.
inline Fr readInteger(const uint8_t* bytes, const char* what) {
  Fr value;
  memcpy(value.l, bytes, 32);
  if (!value.isReduced()) throw Failure(Code::InputInvalid, std::string(what) + " is not below r");
  return value;
}

// Integers in all lanes, in the lanes' Montgomery form, below 2p.
inline VecFr enterAll(const Fr& integer) {
  Fr words[LANES];
  for (Fr& word : words) word = integer;
  const VecFr out = VecFr::load(words) * entering();
  wipe(words, sizeof words);
  return out;
}

// The lanes as integers; a is below 25p.
inline void leave(const VecFr& a, Fr* words) { (a * leaving()).template reduced<2>().store(words); }

// A group of chains in lanes, on one thread. Blocks(chain, step, Fr* out) writes the 15 integers of a step, below r.
template <class Blocks>
class ChainRunner {
 public:
  // Up to this many chains take less time one by one than together.
  static constexpr size_t FEW = LANES == 1 ? 0 : 3;

  // starts: 32 bytes a chain, or in all (startStep 0); out: 32 bytes a chain.
  ChainRunner(const Fr& capacity, const uint8_t* starts, size_t startStep, const Blocks& blocks, uint8_t* out)
      : blocks_(blocks), starts_(starts), startStep_(startStep), out_(out) {
    space_.capacity = enterAll(capacity);
  }

  // Takes chains from order[next…] until there are none. lanes: how many to work on at a time.
  void run(const std::vector<uint32_t>& order, const uint64_t* steps, std::atomic<size_t>& next, size_t lanes,
           const Control& control) {
    Lane lane[LANES];
    if (lanes > FEW) {
      for (;;) {
        size_t active = 0;
        for (size_t i = 0; i < lanes; i++) {
          if (lane[i].left == 0) take(lane[i], i, order, steps, next);
          active += lane[i].left > 0;
        }
        if (active <= FEW) break;
        throwIfAborted(control);
        step(lane, lanes);
      }
    }
    // Those that are left, and where there are few lanes, all.
    for (size_t i = 0; i < lanes; i++) {
      while (lane[i].left > 0 || take(lane[i], i, order, steps, next)) finish(lane[i], i, control);
    }
  }

 private:
  struct Lane {
    size_t chain = 0;
    uint64_t done = 0, left = 0;
  };
  struct Space : Poseidon::Scratch {
    VecFr capacity, h;
    Fr inputs[BLOCK_ELEMENTS][LANES], block[BLOCK_ELEMENTS + 1], words[LANES];
    ~Space() { wipe(this, sizeof *this); }
  };

  const Poseidon& instance_ = Poseidon::forArity(CHAIN_ARITY);
  const Blocks& blocks_;
  const uint8_t* starts_;
  size_t startStep_;
  uint8_t* out_;
  Space space_{};

  static Mask only(size_t lane) { return (Mask)(1u << lane); }

  bool take(Lane& lane, size_t at, const std::vector<uint32_t>& order, const uint64_t* steps, std::atomic<size_t>& next) {
    const size_t place = next.fetch_add(1);
    if (place >= order.size()) return false;
    lane = {order[place], 0, steps[order[place]]};
    const Fr start = readInteger(starts_ + lane.chain * startStep_, "the start of a chain");
    space_.h = select(only(at), space_.h, enterAll(start));
    return true;
  }

  void ended(const Lane& lane, size_t at) {
    leave(space_.h, space_.words);
    memcpy(out_ + lane.chain * 32, space_.words[at].l, 32);
  }

  // One step of all lanes; those without a chain go along with what was there.
  void step(Lane* lane, size_t lanes) {
    for (size_t i = 0; i < lanes; i++) {
      if (lane[i].left == 0) continue;
      blocks_(lane[i].chain, lane[i].done, space_.block);
      for (size_t k = 0; k < BLOCK_ELEMENTS; k++) space_.inputs[k][i] = space_.block[k];
    }
    const VecFr enter = entering();
    space_.state[0] = space_.h;
    for (size_t k = 0; k < BLOCK_ELEMENTS; k++) space_.state[k + 1] = VecFr::load(space_.inputs[k]) * enter;
    space_.state[CHAIN_ARITY] = space_.capacity;
    space_.h = instance_.hash(space_);
    for (size_t i = 0; i < lanes; i++) {
      if (lane[i].left == 0) continue;
      lane[i].done++;
      if (--lane[i].left == 0) ended(lane[i], i);
    }
  }

  // All steps of one chain.
  void finish(Lane& lane, size_t at, const Control& control) {
#ifdef LANES_IFMA
    const SinglePoseidon& single = SinglePoseidon::instance();
    const VecFr enter = entering();
    NoTap none;
    leave(space_.h, space_.words);
    VecFr h = enterAll(space_.words[at]);
    for (; lane.left > 0; lane.left--, lane.done++) {
      throwIfAborted(control);
      blocks_(lane.chain, lane.done, space_.block + 1);
      const VecFr low = VecFr::load(space_.block) * enter, high = VecFr::load(space_.block + 8) * enter;
      h = single.hash({select(only(0), low, h), high, space_.capacity}, none);
    }
    space_.h = select(only(at), space_.h, h);
    ended(lane, at);
#else
    // The only lane.
    for (; lane.left > 0; throwIfAborted(control)) step(&lane, at + 1);
#endif
  }
};

// Runs chains of given numbers of steps. starts: 32 bytes for all, or for each.
template <class Blocks>
void runChains(Bytes capacity, Bytes starts, const std::vector<uint64_t>& steps, const Blocks& blocks,
               const Control& control, uint8_t* out) {
  const size_t n = steps.size();
  if (capacity.size != 32) throw Failure(Code::InputInvalid, "the capacity of chains is not 32 bytes");
  if (starts.size != 32 && (starts.size % 32 != 0 || starts.size / 32 != n)) {
    throw Failure(Code::InputInvalid, "chains take one start, or one a chain");
  }
  if (n > UINT32_MAX) throw Failure(Code::InputInvalid, "too many chains");
  const size_t startStep = starts.size == 32 ? 0 : 32;
  const Fr tag = readInteger(capacity.data, "the capacity of chains");
  // Nothing is taken over unchecked, also where there are no steps.
  if (startStep == 0) readInteger(starts.data, "the start of a chain");
  std::vector<uint32_t> order;
  order.reserve(n);
  for (size_t chain = 0; chain < n; chain++) {
    if (steps[chain] > 0) {
      order.push_back((uint32_t)chain);
    } else {
      readInteger(starts.data + chain * startStep, "the start of a chain");
      memcpy(out + chain * 32, starts.data + chain * startStep, 32);
    }
  }
  if (order.empty()) return;
  std::sort(order.begin(), order.end(),
            [&](uint32_t a, uint32_t b) { return steps[a] != steps[b] ? steps[a] > steps[b] : a < b; });
  const size_t workers = std::min<size_t>(control.threads, order.size());
  const size_t lanes = std::min<size_t>(LANES, (order.size() + workers - 1) / workers);
  std::atomic<size_t> next{0};
  parallel(control, workers, [&](size_t, size_t) {
    ChainRunner<Blocks>(tag, starts.data, startStep, blocks, out).run(order, steps.data(), next, lanes, control);
  });
}

// Engine::poseidonChains (api.h).
inline void poseidonChains(Bytes capacity, Bytes starts, Bytes blocks, const uint32_t* steps, size_t n,
                           const Control& control, uint8_t* out) {
  const uint64_t given = blocks.size / BLOCK_BYTES;
  std::vector<uint64_t> counts(steps, steps + n), from(n);
  uint64_t total = 0;
  for (size_t chain = 0; chain < n; chain++) {
    from[chain] = total;
    total += counts[chain];
    if (total > given) break;
  }
  if (blocks.size % BLOCK_BYTES != 0 || total != given) {
    throw Failure(Code::InputInvalid, "chains take 15 elements of 32 bytes a step");
  }
  const auto read = [&](size_t chain, uint64_t step, Fr* block) {
    const uint8_t* at = blocks.data + (from[chain] + step) * BLOCK_BYTES;
    for (size_t k = 0; k < BLOCK_ELEMENTS; k++) block[k] = readInteger(at + k * 32, "an element of a chain");
  };
  runChains(capacity, starts, counts, read, control, out);
}

// Fills the elements of a step with numbers, first number highest, zeros after the last. base flips the top bit of signed
// numbers and floats; spread is all ones for floats, whose other bits turn round with a sign.
template <class Number>
void packNumbers(const uint8_t* data, size_t bytes, Number base, Number spread, Fr* block) {
  constexpr size_t EACH = 31 / sizeof(Number);
  size_t left = bytes / sizeof(Number);
  for (size_t k = 0; k < BLOCK_ELEMENTS; k++) {
    uint8_t element[32] = {};
    const size_t numbers = std::min(EACH, left);
    for (size_t i = 0; i < numbers; i++, data += sizeof(Number)) {
      Number value;
      memcpy(&value, data, sizeof value);
      const Number sign = (Number)(0 - (Number)(value >> (8 * sizeof value - 1)));
      value = (Number)(value ^ (base | (sign & spread)));
      memcpy(element + sizeof(Number) * (EACH - 1 - i), &value, sizeof value);
    }
    left -= numbers;
    memcpy(block[k].l, element, 32);
  }
}

template <class Number>
void packNumbers(const uint8_t* data, size_t bytes, Packing packing, Fr* block) {
  const Number top = (Number)((Number)1 << (8 * sizeof(Number) - 1));
  packNumbers<Number>(data, bytes, packing == Packing::Unsigned ? (Number)0 : top,
                      packing == Packing::Float ? (Number)~(Number)0 : (Number)0, block);
}

// Engine::contentDigests (api.h).
inline void contentDigests(Bytes capacity, Bytes start, Bytes data, const uint64_t* offsets, Bytes packings, size_t n,
                           const Control& control, uint8_t* out) {
  if (start.size != 32) throw Failure(Code::InputInvalid, "contents have one start");
  if (packings.size % 2 != 0 || packings.size / 2 != n) throw Failure(Code::InputInvalid, "a packing is two bytes a content");
  std::vector<uint64_t> steps(n);
  for (size_t i = 0; i < n; i++) {
    const uint64_t size = packings.data[2 * i], mode = packings.data[2 * i + 1];
    const bool known = (size == 1 || size == 2 || size == 4 || size == 8) && mode <= (uint64_t)Packing::Float;
    if (!known || (size == 1 && mode == (uint64_t)Packing::Float)) {
      throw Failure(Code::InputInvalid, "a packing is unknown");
    }
    if (offsets[i] > offsets[i + 1] || offsets[i + 1] > data.size) {
      throw Failure(Code::InputInvalid, "contents lie outside of the data");
    }
    const uint64_t bytes = offsets[i + 1] - offsets[i], block = size * (31 / size) * BLOCK_ELEMENTS;
    if (bytes % size != 0) throw Failure(Code::InputInvalid, "a content is not whole numbers");
    steps[i] = bytes / block + (bytes % block != 0);
  }
  const auto read = [&](size_t record, uint64_t step, Fr* block) {
    const size_t size = packings.data[2 * record];
    const Packing packing = (Packing)packings.data[2 * record + 1];
    const size_t full = size * (31 / size) * BLOCK_ELEMENTS;
    const uint8_t* at = data.data + offsets[record] + step * full;
    const size_t bytes = std::min<size_t>(full, offsets[record + 1] - offsets[record] - step * full);
    switch (size) {
      case 1: return packNumbers<uint8_t>(at, bytes, packing, block);
      case 2: return packNumbers<uint16_t>(at, bytes, packing, block);
      case 4: return packNumbers<uint32_t>(at, bytes, packing, block);
      default: return packNumbers<uint64_t>(at, bytes, packing, block);
    }
  };
  runChains(capacity, start, steps, read, control, out);
}

// ---- what a witness needs ----

constexpr size_t TRACE_VALUES = POSEIDON_TRACE_BYTES / 32;
constexpr size_t TRACE_HASH = TRACE_VALUES - 1;

// Of rows in lanes.
struct RowsTap {
  uint8_t* out;
  size_t rows;
  Fr words[LANES];

  RowsTap(uint8_t* out_, size_t rows_) : out(out_), rows(rows_) {}
  ~RowsTap() { wipe(words, sizeof words); }
  void put(size_t at, const VecFr& value) {
    leave(value, words);
    for (size_t row = 0; row < rows; row++) memcpy(out + row * POSEIDON_TRACE_BYTES + at * 32, words[row].l, 32);
  }
  void operator()(size_t box, const VecFr& square, const VecFr& fourth, const VecFr& fifth) {
    put(3 * box, square);
    put(3 * box + 1, fourth);
    put(3 * box + 2, fifth);
  }
};

#ifdef LANES_IFMA
// Of one row whose state lies in the lanes. What is in all lanes is kept until there are eight of it.
struct SingleTap {
  uint8_t* out;
  size_t boxes[LANES], pending = 0;
  VecFr kept[3];
  Fr words[LANES];

  explicit SingleTap(uint8_t* out_) : out(out_) {
    for (VecFr& value : kept) value = VecFr::zero();
  }
  ~SingleTap() {
    wipe(kept, sizeof kept);
    wipe(words, sizeof words);
  }
  void eight(size_t box, const VecFr& square, const VecFr& fourth, const VecFr& fifth) {
    const VecFr* values[3] = {&square, &fourth, &fifth};
    for (size_t k = 0; k < 3; k++) {
      leave(*values[k], words);
      for (size_t lane = 0; lane < LANES; lane++) memcpy(out + (3 * (box + lane) + k) * 32, words[lane].l, 32);
    }
  }
  void one(size_t box, const VecFr& square, const VecFr& fourth, const VecFr& fifth) {
    const Mask lane = (Mask)(1u << pending);
    kept[0] = select(lane, kept[0], square);
    kept[1] = select(lane, kept[1], fourth);
    kept[2] = select(lane, kept[2], fifth);
    boxes[pending++] = box;
    if (pending == LANES) flush();
  }
  void flush() {
    for (size_t k = 0; k < 3; k++) {
      leave(kept[k], words);
      for (size_t i = 0; i < pending; i++) memcpy(out + (3 * boxes[i] + k) * 32, words[i].l, 32);
    }
    pending = 0;
  }
};

// The trace of one row: sixteen integers below r, as 32 bytes each.
inline void traceSingle(const VecFr& capacity, const uint8_t* inputs, uint8_t* out) {
  struct Space {
    Fr words[CHAIN_ARITY];
    ~Space() { wipe(words, sizeof words); }
  } space;
  for (size_t i = 0; i < CHAIN_ARITY; i++) space.words[i] = readInteger(inputs + i * 32, "an input of Poseidon");
  const VecFr enter = entering();
  SingleTap tap(out);
  const VecFr hash = SinglePoseidon::instance().hash(
      {VecFr::load(space.words) * enter, VecFr::load(space.words + 8) * enter, capacity}, tap);
  tap.flush();
  leave(hash, tap.words);
  memcpy(out + TRACE_HASH * 32, tap.words[0].l, 32);
}
#endif

// The traces of up to LANES rows.
inline void traceRows(const VecFr& capacity, const uint8_t* inputs, size_t rows, uint8_t* out) {
#ifdef LANES_IFMA
  // As many take less time one by one.
  if (rows <= 3) {
    for (size_t row = 0; row < rows; row++) {
      traceSingle(capacity, inputs + row * CHAIN_ARITY * 32, out + row * POSEIDON_TRACE_BYTES);
    }
    return;
  }
#endif
  struct Space : Poseidon::Scratch {
    Fr words[LANES];
    ~Space() { wipe(this, sizeof *this); }
  } space;
  const VecFr enter = entering();
  for (size_t i = 0; i < CHAIN_ARITY; i++) {
    for (size_t lane = 0; lane < LANES; lane++) {
      // Lanes past the end repeat the last row.
      const size_t row = std::min(lane, rows - 1);
      space.words[lane] = readInteger(inputs + (row * CHAIN_ARITY + i) * 32, "an input of Poseidon");
    }
    space.state[i] = VecFr::load(space.words) * enter;
  }
  space.state[CHAIN_ARITY] = capacity;
  RowsTap tap(out, rows);
  tap.put(TRACE_HASH, Poseidon::forArity(CHAIN_ARITY).hash(space, tap));
}

// Engine::poseidonTraces (api.h).
inline void poseidonTraces(Bytes capacity, Bytes inputs, size_t n, const Control& control, uint8_t* out) {
  constexpr size_t ROW = CHAIN_ARITY * 32;
  if (capacity.size != 32 || inputs.size % ROW != 0 || inputs.size / ROW != n) {
    throw Failure(Code::InputInvalid, "traces take one capacity, and 16 inputs of 32 bytes a row");
  }
  const VecFr tag = enterAll(readInteger(capacity.data, "the capacity"));
  parallel(control, (n + LANES - 1) / LANES, [&](size_t group, size_t) {
    const size_t first = group * LANES;
    traceRows(tag, inputs.data + first * ROW, std::min<size_t>(LANES, n - first), out + first * POSEIDON_TRACE_BYTES);
  });
}

// Engine::chainTraces (api.h).
inline void chainTraces(Bytes capacity, Bytes start, Bytes blocks, size_t steps, const Control& control, uint8_t* out) {
  if (capacity.size != 32 || start.size != 32 || blocks.size % BLOCK_BYTES != 0 || blocks.size / BLOCK_BYTES != steps) {
    throw Failure(Code::InputInvalid, "a chain takes a capacity, a start, and 15 elements of 32 bytes a step");
  }
  const VecFr tag = enterAll(readInteger(capacity.data, "the capacity"));
  struct Space {
    uint8_t row[CHAIN_ARITY * 32];
    ~Space() { wipe(row, sizeof row); }
  } space;
  memcpy(space.row, start.data, 32);
  for (size_t step = 0; step < steps; step++) {
    throwIfAborted(control);
    memcpy(space.row + 32, blocks.data + step * BLOCK_BYTES, BLOCK_BYTES);
    traceRows(tag, space.row, 1, out + step * POSEIDON_TRACE_BYTES);
    memcpy(space.row, out + step * POSEIDON_TRACE_BYTES + TRACE_HASH * 32, 32);
  }
}

}  // namespace ENGINE_NS
}  // namespace anchorproof
