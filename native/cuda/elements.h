// Elements in the card's memory, 16 bytes at a time. Left to itself, the compiler loads limbs one by one where the arithmetic
// takes them so.
#pragma once

#include "field.h"

namespace anchorproof {
namespace cuda {

AP_DEVICE Fr elementOf(const uint4& low, const uint4& high) { return {{low.x, low.y, low.z, low.w, high.x, high.y, high.z, high.w}}; }

AP_DEVICE Fr load(const Fr* at) {
  const uint4* parts = reinterpret_cast<const uint4*>(at);
  const uint4 low = parts[0], high = parts[1];
  return elementOf(low, high);
}

// What nothing writes while the kernel runs.
AP_DEVICE Fr loadConstant(const Fr* at) {
  const uint4* parts = reinterpret_cast<const uint4*>(at);
  return elementOf(__ldg(parts), __ldg(parts + 1));
}

}  // namespace cuda
}  // namespace anchorproof
