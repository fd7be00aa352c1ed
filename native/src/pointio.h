// Points as files hold and hashes take them.
//
// snarkjs' files: coordinates in Montgomery form (R = 2^256), little-endian; infinity is all zeros. snarkjs' hashes:
// integers, big-endian, the second part of an element of Fq² first; infinity is all zeros as well.
#pragma once

#include "curve.h"
#include "threads.h"

namespace anchorproof {
namespace ENGINE_NS {

template <class F>
constexpr size_t POINT_BYTES = 2 * sizeof(F);

inline bool areReduced(const Fq& x) { return x.isReduced(); }
inline bool areReduced(const Fq2& x) { return x.c0.isReduced() && x.c1.isReduced(); }

inline bool allZero(const uint8_t* bytes, size_t size) {
  u64 any = 0, word;
  for (size_t i = 0; i < size; i += 8) {
    memcpy(&word, bytes + i, 8);
    any |= word;
  }
  return any == 0;
}

// From a file; throws the code for a coordinate outside the field or a point off the curve.
template <class F>
Affine<F> filePoint(const uint8_t* bytes, Code code, const char* what) {
  if (allZero(bytes, POINT_BYTES<F>)) return Affine<F>::infinity();
  F x, y;
  memcpy(static_cast<void*>(&x), bytes, sizeof(F));
  memcpy(static_cast<void*>(&y), bytes + sizeof(F), sizeof(F));
  if (!areReduced(x) || !areReduced(y)) throw Failure(code, std::string("a coordinate of ") + what + " is outside the field");
  if (!isOnCurve(x, y)) throw Failure(code, std::string("a point of ") + what + " is not on the curve");
  using V = typename LanesOf<F>::type;
  return {V::toStored(x), V::toStored(y)};
}

template <class F>
void toFile(const Affine<F>& point, uint8_t* bytes) {
  if (point.isInfinity()) {
    memset(bytes, 0, POINT_BYTES<F>);
    return;
  }
  using V = typename LanesOf<F>::type;
  const F x = V::fromStored(point.x), y = V::fromStored(point.y);
  memcpy(bytes, &x, sizeof(F));
  memcpy(bytes + sizeof(F), &y, sizeof(F));
}

inline void bigEndian(const Fq& value, uint8_t* bytes) {
  uint8_t little[32];
  value.write(little);
  for (int i = 0; i < 32; i++) bytes[i] = little[31 - i];
}
inline void bigEndian(const Fq2& value, uint8_t* bytes) {
  bigEndian(value.c1, bytes);
  bigEndian(value.c0, bytes + 32);
}

template <class F>
void toHashInput(const Affine<F>& point, uint8_t* bytes) {
  if (point.isInfinity()) {
    memset(bytes, 0, POINT_BYTES<F>);
    return;
  }
  using V = typename LanesOf<F>::type;
  bigEndian(V::fromStored(point.x), bytes);
  bigEndian(V::fromStored(point.y), bytes + sizeof(F));
}

// How far a long call has come, for whoever watches control.progress: in thousandths.
class Progress {
 public:
  // total: the steps to come, in any unit
  Progress(const Control& control, double total) : target_(control.progress), total_(total > 0 ? total : 1) {}
  void add(double steps) {
    if (!target_) return;
    // The sum of the threads' shares: a lost update of a double would show as a bar that stays behind.
    u64 units = done_.fetch_add((u64)(steps * 16)) + (u64)(steps * 16);
    double share = (double)units / 16 / total_;
    target_->store((int32_t)(1000 * (share < 0.999 ? share : 0.999)), std::memory_order_relaxed);
  }

 private:
  std::atomic<int32_t>* target_;
  double total_;
  std::atomic<u64> done_{0};
};

constexpr size_t IO_PIECE = 8192;  // points

// Points `from` … `from + n` of an array at `offset` of a file.
template <class F>
void readPoints(const InputFile& file, uint64_t offset, size_t n, Affine<F>* out, Code code, const char* what,
                const Control& control) {
  parallel(control, (n + IO_PIECE - 1) / IO_PIECE, [&](size_t piece, size_t) {
    size_t from = piece * IO_PIECE, count = std::min(n, from + IO_PIECE) - from;
    std::vector<uint8_t> buffer(count * POINT_BYTES<F>);
    file.read(offset + (uint64_t)from * POINT_BYTES<F>, buffer.data(), buffer.size(), code);
    for (size_t i = 0; i < count; i++) out[from + i] = filePoint<F>(buffer.data() + i * POINT_BYTES<F>, code, what);
  });
}

template <class F>
void writePoints(OutputFile& file, uint64_t offset, const Affine<F>* points, size_t n, const Control& control) {
  parallel(control, (n + IO_PIECE - 1) / IO_PIECE, [&](size_t piece, size_t) {
    size_t from = piece * IO_PIECE, count = std::min(n, from + IO_PIECE) - from;
    std::vector<uint8_t> buffer(count * POINT_BYTES<F>);
    for (size_t i = 0; i < count; i++) toFile(points[from + i], buffer.data() + i * POINT_BYTES<F>);
    file.write(offset + (uint64_t)from * POINT_BYTES<F>, buffer.data(), buffer.size());
  });
}

}  // namespace ENGINE_NS
}  // namespace anchorproof
