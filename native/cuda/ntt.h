// Transforms over Fr on a card, and the prover's quotient: what native/src/ntt.h does, for the same domains and the same coset.
//
// Both directions go through the same tiles. Layer i, from 0, has 2^i blocks, and all butterflies of a block share one twiddle,
// a power of the domain's root whose exponent is the block's number with its bits reversed:
//   down  natural order to bit-reversed:  (x, y) → (x + y/u, x − y/u), layers 0, 1, …: n times the coefficients, from values
//   up    bit-reversed order to natural:  (x, y) → (x + y, (x − y)·u), layers …, 1, 0: the values, from coefficients
// The twiddles of every layer are a prefix of one table, whose entry b has the factor of order 2^(s+2) for each bit s of b. 1/u is
// −u for another block of the same layer: the one whose bits below the highest are the other way round. So one table of n/2
// elements serves both directions, and block 0, whose twiddle is one, needs no product.
//
// A pass takes up to eleven layers through the card's memory once. A block holds a tile of 2^11 elements, eight a thread, in
// registers: three layers, then an exchange in shared memory, then the next three. The bits of an element's index are
//   [layers above | rows: the layers of the pass | below]
// and a tile has all rows of 2^columns neighbouring columns. The last layers down and the first ones up are one pass: between
// them the coefficients are multiplied by n⁻¹ and the powers of the coset's shift.
#pragma once

#include "device.h"
#include "scalar.h"

namespace anchorproof {
namespace cuda {

// The subgroup of size 2^log, with the tables on the card that is current. Immutable; threads may share it once the work that the
// constructor put on its stream is done. About 16 bytes an element of the domain.
class CardDomain {
 public:
  static constexpr unsigned MAX_LOG = 28, TILE_LOG = 11;

  // tileLog: of the largest tile, from 5 to TILE_LOG; less than that for tests, whose small domains then take all their ways.
  CardDomain(unsigned log, cudaStream_t stream, unsigned tileLog = TILE_LOG);

  unsigned log() const { return log_; }
  uint64_t size() const { return uint64_t{1} << log_; }
  uint64_t bytes() const { return tables_.bytes(); }
  static uint64_t bytes(unsigned log, unsigned tileLog = TILE_LOG);

  // From the values of a and b on the domain, in Montgomery form, to those of h = a·b − c on the coset, where c has the values a·b
  // on the domain; natural order. a, b and c are overwritten, and depend on the witness afterwards; out may be the memory of any
  // one of them. Only enqueues; meter may be null.
  void quotient(cudaStream_t stream, Fr* a, Fr* b, Fr* c, SignedScalar* out, Meter* meter) const;

  // As Engine::ntt: in place, natural order in and out; coset: forward evaluates on shift·H, inverse interpolates from it. Any form
  // of element goes, the transform is linear. scratch: size() elements, overwritten. Only enqueues; meter may be null.
  void transform(cudaStream_t stream, Fr* data, Fr* scratch, bool inverse, bool coset, Meter* meter) const;

  // Layers that a pass before the last one does, or after the first one up.
  struct Strided {
    uint32_t below, rows, columns;
  };
  // At most two. Returns how many.
  static unsigned stridesOf(unsigned log, unsigned tileLog, Strided* out);

 private:
  unsigned log_;
  unsigned contiguous_;  // layers of the pass whose tiles are contiguous
  Strided strided_[2];
  unsigned strides_ = 0;
  DeviceArray<Fr> tables_;

  // In tables_. Powers of the shift s at the bit-reversed index p: rows[p mod 2^contiguous]·tiles[p / 2^contiguous].
  const Fr* twiddles() const { return tables_.get(); }
  const Fr* sizeInverse() const;
  const Fr* shiftRows() const;
  const Fr* shiftTiles() const;           // s
  const Fr* shiftTilesBySize() const;     // s/n
  const Fr* shiftTilesCanonical() const;  // s/n, and out of Montgomery form
  const Fr* unshiftRows() const;          // s⁻¹
  const Fr* unshiftTilesBySize() const;   // s⁻¹/n

  uint64_t multiplications() const { return size() / 2 * log_ - size() + 1; }
};

}  // namespace cuda
}  // namespace anchorproof
