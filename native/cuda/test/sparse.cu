// Matrix times witness against a loop over the rows.
#include <vector>

#include "../sparse.cu"
#include "check.h"

namespace anchorproof {
namespace cuda {
namespace {

using test::Random;

Fr integer(uint64_t value) { return Fr{{static_cast<uint32_t>(value), 0, 0, 0, 0, 0, 0, 0}}.toMontgomery(); }

Fr random(Random& random) {
  Fr out;
  do {
    random.fill(out.l, 32);
    out.l[7] >>= 2;
  } while (!out.isReduced());
  return out;
}

struct Matrix {
  std::vector<uint32_t> starts{0}, entries;
  std::vector<Fr> values{Fr::one(), -Fr::one()};

  void add(uint32_t wire, uint32_t value) {
    entries.push_back(wire);
    entries.push_back(value);
  }
  void endRow() { starts.push_back(static_cast<uint32_t>(entries.size() / 2)); }
  uint32_t domain() const { return static_cast<uint32_t>(starts.size() - 1); }
  CardRows rows() const { return {starts.data(), entries.data(), entries.size() / 2, values.data(), values.size()}; }
};

std::vector<Fr> expected(const Matrix& m, const std::vector<Fr>& witness) {
  std::vector<Fr> out(m.domain(), Fr::zero());
  for (uint32_t row = 0; row < m.domain(); row++) {
    for (uint32_t i = m.starts[row]; i < m.starts[row + 1]; i++) out[row] = out[row] + m.values[m.entries[2 * i + 1]] * witness[m.entries[2 * i]];
  }
  return out;
}

void download(cudaStream_t stream, void* to, const void* from, size_t size) {
  if (size > 0) CHECK_CUDA(cudaMemcpyAsync(to, from, size, cudaMemcpyDeviceToHost, stream));
  CHECK_CUDA(cudaStreamSynchronize(stream));
}

// Twice, with another witness: nothing of the first may stay.
void check(const Matrix& m, uint32_t variables, Random& source, const char* name) {
  Stream stream;
  const CardMatrix matrix(m.rows(), m.domain(), variables, stream, nullptr);
  DeviceArray<Fr> values(variables), out(m.domain() + 1);
  DeviceArray<uint8_t> space(matrix.workBytes());
  const Fr guard = integer(77);
  for (int run = 0; run < 2; run++) {
    std::vector<Fr> witness(variables), got(m.domain() + 1, guard);
    for (Fr& w : witness) w = source.oneIn(4) ? integer(source.below(2)) : random(source);
    CHECK_CUDA(cudaMemcpyAsync(values.get(), witness.data(), variables * sizeof(Fr), cudaMemcpyHostToDevice, stream));
    CHECK_CUDA(cudaMemcpyAsync(out.get(), got.data(), got.size() * sizeof(Fr), cudaMemcpyHostToDevice, stream));
    Arena work(space.get(), space.size());
    matrix.multiply(stream, values.get(), out.get(), work, nullptr);
    CHECK(work.used() == matrix.workBytes());
    download(stream, got.data(), out.get(), got.size() * sizeof(Fr));
    const std::vector<Fr> want = expected(m, witness);
    for (size_t i = 0; i < want.size(); i++) CHECK(got[i] == want[i], "%s: row %zu of %zu", name, i, want.size());
    CHECK(got.back() == guard, "%s: written behind the rows", name);
  }
}

// Rows of lengths by `length`, entries of kinds by `plain` in ten.
template <class Length>
Matrix made(uint32_t domain, uint32_t variables, uint32_t plain, Random& source, const Length& length) {
  Matrix m;
  for (int i = 0; i < 20; i++) m.values.push_back(i == 0 ? Fr::zero() : i == 1 ? integer(2) : random(source));
  for (uint32_t row = 0; row < domain; row++) {
    for (uint64_t i = length(row); i > 0; i--) {
      const bool isPlain = source.below(10) < plain;
      m.add(static_cast<uint32_t>(source.below(variables)), static_cast<uint32_t>(isPlain ? source.below(2) : 2 + source.below(20)));
    }
    m.endRow();
  }
  return m;
}

void shapes() {
  Random source(1);
  for (uint32_t domain : {1u, 2u, 31u, 32u, 33u, 128u, 1000u}) {
    for (uint32_t plain : {0u, 5u, 10u}) {
      check(made(domain, 50, plain, source, [&](uint32_t) { return source.below(5); }), 50, source, "short rows");
      check(made(domain, 50, plain, source, [&](uint32_t) { return source.oneIn(8) ? source.below(200) : source.below(3); }), 50, source, "mixed rows");
    }
    check(made(domain, 1, 5, source, [](uint32_t) { return 0; }), 1, source, "empty rows");
  }
}

// Every length around the cuts and folds: tasks of 32, sums of 16 · 32, 16 · 16 · 32.
void cuts() {
  Random source(2);
  std::vector<uint64_t> lengths;
  for (uint64_t i = 0; i <= 70; i++) lengths.push_back(i);
  for (uint64_t around : {15 * 32, 16 * 32, 17 * 32, 32 * 32, 16 * 16 * 32, 16 * 17 * 32}) {
    for (uint64_t i = around - 1; i <= around + 1; i++) lengths.push_back(i);
  }
  check(made(static_cast<uint32_t>(lengths.size()), 300, 5, source, [&](uint32_t row) { return lengths[row]; }), 300, source, "all lengths");
}

void longRow() {
  Random source(3);
  check(made(300, 1000, 7, source, [](uint32_t row) { return row == 7 ? 100000 : row < 100 ? row % 3 : 0; }), 1000, source, "one long row");
  check(made(1, 1000, 7, source, [](uint32_t) { return 70000; }), 1000, source, "only a long row");
}

// More entries than one piece of the upload holds.
void pieces() {
  Random source(4);
  check(made(1 << 12, 5000, 8, source, [&](uint32_t row) { return row % 64 == 0 ? 4000 : source.below(40); }), 5000, source, "pieces");
}

template <class Change>
void refused(const char* what, int32_t code, const Change& change) {
  Random source(5);
  Matrix m = made(40, 9, 5, source, [](uint32_t row) { return row % 4 + 1; });
  CardRows rows = m.rows();
  int32_t abort = 0;
  change(m, rows, abort);
  Stream stream;
  try {
    const CardMatrix matrix(rows, 40, 9, stream, &abort);
  } catch (const CardError& error) {
    CHECK(error.code == code, "%s: %s", what, error.what());
    return;
  }
  CHECK(false, "%s was taken", what);
}

void refusals() {
  const int32_t invalid = CARD_INPUT_INVALID;
  refused("a wire outside", invalid, [](Matrix& m, CardRows&, int32_t&) { m.entries[10] = 9; });
  refused("a value outside", invalid, [](Matrix& m, CardRows&, int32_t&) { m.entries.back() = 22; });
  refused("rows out of order", invalid, [](Matrix& m, CardRows&, int32_t&) { m.starts[3] = m.starts[5]; });
  refused("a first row that begins late", invalid, [](Matrix& m, CardRows&, int32_t&) { m.starts[0] = 1; });
  refused("rows beyond the entries", invalid, [](Matrix&, CardRows& rows, int32_t&) { rows.entryCount--; });
  refused("no values", invalid, [](Matrix&, CardRows& rows, int32_t&) { rows.valueCount = 1; });
  refused("a value that is not reduced", invalid, [](Matrix& m, CardRows&, int32_t&) { m.values[5] = Fr::of(Fr::PRIME); });
  refused("an abort", CARD_ABORTED, [](Matrix&, CardRows&, int32_t& abort) { abort = 1; });
}

}  // namespace
}  // namespace cuda
}  // namespace anchorproof

int main(int argc, char** argv) {
  using namespace anchorproof::cuda;
  return anchorproof::test::run(
      argc, argv, {{"shapes", shapes}, {"cuts", cuts}, {"long rows", longRow}, {"pieces", pieces}, {"refusals", refusals}});
}
