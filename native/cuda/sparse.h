// A sparse matrix on a card, times the witness.
//
// Most rows of a constraint system have a few entries, some have thousands. Rows are cut into tasks of at most 32 entries, one a
// thread; a row of several tasks leaves partial sums, which are folded sixteen at a time. Tasks are sorted by their number of
// entries, and then by how many of these need a product, so that the threads of a warp have the same to do; and the entries of a
// warp's tasks lie across, the first of each task, then the second of each, so that its threads read side by side ("sliced ELL",
// Monakov, Lokhmotov, Avetisyan, HiPEAC 2010).
#pragma once

#include "device.h"
#include "field.h"

namespace anchorproof {
namespace cuda {

class CardMatrix {
 public:
  // Checks the rows. They are not needed afterwards; what comes later on the stream finds the matrix on the card.
  CardMatrix(const CardRows& rows, uint32_t domain, uint32_t variables, cudaStream_t stream, const int32_t* abort);

  uint64_t bytes() const { return entries_.bytes() + warps_.bytes() + targets_.bytes() + values_.bytes() + folds_.bytes(); }
  // What multiply() takes of its working space.
  uint64_t workBytes() const { return (partials_ * sizeof(Fr) + 255) / 256 * 256; }

  // out = matrix · witness, all rows of the domain; Montgomery form. Only enqueues; the working space depends on the witness
  // afterwards. meter may be null.
  void multiply(cudaStream_t stream, const Fr* witness, Fr* out, Arena& work, Meter* meter) const;

  // As CardRows has them.
  struct alignas(8) Entry {
    uint32_t wire, value;
  };
  // The tasks of 32 neighbouring threads: their entries begin at 32·start, and all have `length` of them.
  struct alignas(8) Warp {
    uint32_t start, length;
  };
  // A sum of partial sums.
  struct Fold {
    uint32_t first, count, target;
  };
  // Targets of sums: a row, a partial sum, or none, for the threads that fill a warp up.
  static constexpr uint32_t PARTIAL = 1u << 31, NONE = ~0u;
  static constexpr uint32_t TASK = 32, FOLD = 16;

 private:
  struct Range {
    uint64_t first, count;
  };

  uint32_t domain_;
  uint64_t count_ = 0, products_ = 0, partials_ = 0;
  DeviceArray<Entry> entries_;
  DeviceArray<Warp> warps_;
  DeviceArray<uint32_t> targets_;
  DeviceArray<Fr> values_;
  DeviceArray<Fold> folds_;
  std::vector<Range> rounds_;  // of folds_, one launch each
};

}  // namespace cuda
}  // namespace anchorproof
