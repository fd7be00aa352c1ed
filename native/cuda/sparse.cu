#include "elements.h"
#include "sparse.h"

namespace anchorproof {
namespace cuda {

namespace {

using Entry = CardMatrix::Entry;
using Warp = CardMatrix::Warp;
using Fold = CardMatrix::Fold;

constexpr unsigned SUM_THREADS = 128;

AP_DEVICE void put(const Fr& sum, uint32_t target, Fr* out, Fr* partials) {
  if (target & CardMatrix::PARTIAL) {
    partials[target & ~CardMatrix::PARTIAL] = sum;
  } else {
    out[target] = sum;
  }
}

AP_KERNEL(SUM_THREADS, 8)
sumTasks(const Entry* __restrict__ entries, const Warp* __restrict__ warps, const uint32_t* __restrict__ targets,
         const Fr* __restrict__ values, const Fr* __restrict__ witness, Fr* out, Fr* partials, uint32_t tasks) {
  const uint32_t task = blockIdx.x * SUM_THREADS + threadIdx.x;
  if (task >= tasks || targets[task] == CardMatrix::NONE) return;
  const Warp warp = warps[task / 32];
  const Entry* at = entries + uint64_t{warp.start} * 32 + task % 32;
  Fr sum = Fr::zero();
  Entry next = {0, 0};
  if (warp.length > 0) next = *at;
  for (uint32_t i = 1; i <= warp.length; i++) {
    const Entry entry = next;
    if (i < warp.length) next = at[uint64_t{i} * 32];
    Fr term = loadConstant(witness + entry.wire);
    if (entry.value > 1) term *= loadConstant(values + entry.value);
    sum += term.negatedIf(entry.value == 1);
  }
  put(sum, targets[task], out, partials);
}

AP_KERNEL(SUM_THREADS, 8) foldSums(const Fold* __restrict__ folds, uint32_t count, Fr* out, Fr* partials) {
  const uint32_t i = blockIdx.x * SUM_THREADS + threadIdx.x;
  if (i >= count) return;
  const Fold fold = folds[i];
  Fr sum = load(partials + fold.first);
  for (uint32_t k = 1; k < fold.count; k++) sum += load(partials + fold.first + k);
  put(sum, fold.target, out, partials);
}

[[noreturn]] void wrong(const char* message) { throw CardError(CARD_INPUT_INVALID, message); }

void checkRows(const CardRows& rows, uint32_t domain, uint32_t variables, const int32_t* abort) {
  if (domain > CardMatrix::PARTIAL) wrong("a matrix has too many rows");
  if (rows.starts[0] != 0 || rows.starts[domain] != rows.entryCount) wrong("a matrix's rows do not cover its entries");
  if (rows.valueCount < 2) wrong("a matrix has no values");
  for (uint32_t row = 0; row < domain; row++) {
    if (rows.starts[row] > rows.starts[row + 1]) wrong("a matrix's rows are not in order");
  }
  const Fr* values = static_cast<const Fr*>(rows.values);
  for (uint64_t i = 0; i < rows.valueCount; i++) {
    if (!values[i].isReduced()) wrong("a matrix's value is outside the field");
  }
  for (uint64_t i = 0; i < rows.entryCount; i++) {
    if (i % (1 << 20) == 0) throwIfAborted(abort);
    if (rows.entries[2 * i] >= variables || rows.entries[2 * i + 1] >= rows.valueCount) wrong("an entry is outside the matrix");
  }
}

// visit(row, first entry, entries, products, whether the row has others), in order. Rows without entries have a task, too: it
// writes their zero.
template <class Visit>
void forEachTask(const CardRows& rows, uint32_t domain, const int32_t* abort, const Visit& visit) {
  for (uint32_t row = 0; row < domain; row++) {
    if (row % (1 << 16) == 0) throwIfAborted(abort);
    const uint32_t end = rows.starts[row + 1];
    uint32_t at = rows.starts[row];
    const bool several = end - at > CardMatrix::TASK;
    do {
      const uint32_t length = std::min(CardMatrix::TASK, end - at);
      uint32_t products = 0;
      for (uint32_t i = at; i < at + length; i++) products += rows.entries[2 * uint64_t{i} + 1] > 1;
      visit(row, at, length, products, several);
      at += length;
    } while (at < end);
  }
}

template <class T>
DeviceArray<T> uploaded(cudaStream_t stream, Upload& upload, const T* from, size_t n, const int32_t* abort) {
  DeviceArray<T> out(n);
  upload.copy(stream, out.get(), from, n * sizeof(T), abort);
  return out;
}

}  // namespace

CardMatrix::CardMatrix(const CardRows& rows, uint32_t domain, uint32_t variables, cudaStream_t stream, const int32_t* abort)
    : domain_(domain), count_(rows.entryCount) {
  checkRows(rows, domain, variables, abort);

  // A counting sort, the largest tasks first, so that the small ones fill the card at the end. Tasks of one length begin at a
  // warp's first thread.
  constexpr uint32_t KINDS = TASK + 1;
  std::vector<uint64_t> places(KINDS * KINDS, 0);
  auto placeOf = [&](uint32_t length, uint32_t products) -> uint64_t& { return places[(TASK - length) * KINDS + TASK - products]; };
  struct Row {
    uint32_t row, first, count;
  };
  std::vector<Row> folded;
  forEachTask(rows, domain, abort, [&](uint32_t row, uint32_t, uint32_t length, uint32_t products, bool several) {
    placeOf(length, products)++;
    products_ += products;
    if (!several) return;
    if (folded.empty() || folded.back().row != row) folded.push_back({row, static_cast<uint32_t>(partials_), 0});
    folded.back().count++;
    partials_++;
  });
  uint64_t tasks = 0, blocks = 0;
  std::vector<Warp> warps;
  for (uint32_t length = TASK + 1; length-- > 0;) {
    for (uint32_t products = TASK + 1; products-- > 0;) tasks += std::exchange(placeOf(length, products), tasks);
    tasks = (tasks + 31) / 32 * 32;
    for (; warps.size() < tasks / 32; blocks += length) warps.push_back({static_cast<uint32_t>(blocks), length});
  }
  std::vector<uint32_t> starts(tasks), targets(tasks, NONE);
  uint32_t partial = 0;
  forEachTask(rows, domain, abort, [&](uint32_t row, uint32_t first, uint32_t length, uint32_t products, bool several) {
    const uint64_t place = placeOf(length, products)++;
    starts[place] = first;
    targets[place] = several ? PARTIAL | partial++ : row;
  });

  // The folds: each round's results are partial sums behind those of the round before, or rows.
  std::vector<Fold> folds;
  while (!folded.empty()) {
    const uint64_t first = folds.size();
    std::vector<Row> next;
    for (const Row& r : folded) {
      const uint32_t groups = (r.count + FOLD - 1) / FOLD;
      if (groups > 1) next.push_back({r.row, static_cast<uint32_t>(partials_), groups});
      for (uint32_t at = 0; at < r.count; at += FOLD) {
        const uint32_t target = groups > 1 ? PARTIAL | static_cast<uint32_t>(partials_++) : r.row;
        folds.push_back({r.first + at, std::min(FOLD, r.count - at), target});
      }
    }
    rounds_.push_back({first, folds.size() - first});
    folded.swap(next);
  }

  Upload upload;
  values_ = uploaded(stream, upload, static_cast<const Fr*>(rows.values), rows.valueCount, abort);
  warps_ = uploaded(stream, upload, warps.data(), warps.size(), abort);
  targets_ = uploaded(stream, upload, targets.data(), targets.size(), abort);
  folds_ = uploaded(stream, upload, folds.data(), folds.size(), abort);

  // Entries across, in pieces of whole warps. Within a task those without a product come first: threads of a warp part ways once.
  entries_ = DeviceArray<Entry>(blocks * 32);
  constexpr size_t PIECE = Upload::PIECE / sizeof(Entry);
  static_assert(PIECE >= 32 * TASK, "a piece has room for a warp");
  std::vector<Entry> piece;
  uint64_t sent = 0;
  auto send = [&] {
    upload.copy(stream, entries_.get() + sent, piece.data(), piece.size() * sizeof(Entry), abort);
    sent += piece.size();
    piece.clear();
  };
  for (size_t w = 0; w < warps.size(); w++) {
    const uint32_t length = warps[w].length;
    if (piece.size() + 32 * length > PIECE) send();
    const size_t base = piece.size();
    piece.resize(base + 32 * length, Entry{0, 0});
    for (uint32_t lane = 0; lane < 32; lane++) {
      const size_t task = w * 32 + lane;
      if (targets[task] == NONE) continue;
      const uint32_t* from = rows.entries + 2 * uint64_t{starts[task]};
      Entry* to = piece.data() + base + lane;
      for (const bool products : {false, true}) {
        for (uint32_t i = 0; i < length; i++) {
          if ((from[2 * i + 1] > 1) != products) continue;
          *to = {from[2 * i], from[2 * i + 1]};
          to += 32;
        }
      }
    }
  }
  send();
}

void CardMatrix::multiply(cudaStream_t stream, const Fr* witness, Fr* out, Arena& work, Meter* meter) const {
  if (meter) {
    const uint64_t sums = domain_ + 2 * partials_;
    meter->begin(stream, "rows", count_ * (sizeof(Entry) + sizeof(Fr)) + sums * sizeof(Fr) + targets_.bytes(), products_);
  }
  Fr* const partials = work.take<Fr>(partials_);
  const uint32_t tasks = static_cast<uint32_t>(targets_.size());
  if (tasks > 0) {
    AP_LAUNCH(sumTasks, blocksFor(tasks, SUM_THREADS), SUM_THREADS, 0, stream, entries_.get(), warps_.get(), targets_.get(), values_.get(),
              witness, out, partials, tasks);
    checkLaunch("sums of rows");
  }
  for (const Range& round : rounds_) {
    const Fold* const folds = folds_.get() + round.first;
    const uint32_t count = static_cast<uint32_t>(round.count);
    AP_LAUNCH(foldSums, blocksFor(count, SUM_THREADS), SUM_THREADS, 0, stream, folds, count, out, partials);
    checkLaunch("sums of long rows");
  }
  if (meter) meter->end(stream);
}

}  // namespace cuda
}  // namespace anchorproof
