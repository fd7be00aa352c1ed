// SHA-256 (FIPS 180-4), BLAKE2b-512 (RFC 7693) and randomness of the operating system.
#pragma once

#include "field.h"

namespace anchorproof {
namespace ENGINE_NS {

class Sha256 {
 public:
  using Digest = std::array<uint8_t, 32>;

  Sha256& update(const uint8_t* data, size_t size) {
    length += size;
    while (size > 0) {
      size_t take = size < 64 - filled ? size : 64 - filled;
      memcpy(block + filled, data, take);
      filled += take;
      data += take;
      size -= take;
      if (filled == 64) compress();
    }
    return *this;
  }

  Digest finish() {
    const uint64_t bits = length * 8;
    static constexpr uint8_t padding[64] = {0x80};
    update(padding, 1 + (119 - filled) % 64);
    uint8_t tail[8];
    for (int i = 0; i < 8; i++) tail[i] = (uint8_t)(bits >> (56 - 8 * i));
    update(tail, 8);
    Digest out;
    for (int i = 0; i < 32; i++) out[i] = (uint8_t)(state[i / 4] >> (24 - 8 * (i % 4)));
    return out;
  }

 private:
  uint32_t state[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  uint64_t length = 0;
  size_t filled = 0;
  uint8_t block[64];

  static uint32_t rotate(uint32_t a, int n) { return a >> n | a << (32 - n); }

  void compress() {
    // Fractional parts of the cube roots of the first 64 primes.
    static constexpr uint32_t K[64] = {
        0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
        0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
        0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
        0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
        0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
        0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
        0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
        0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};
    uint32_t w[64];
    for (int i = 0; i < 16; i++) {
      w[i] = (uint32_t)block[4 * i] << 24 | block[4 * i + 1] << 16 | block[4 * i + 2] << 8 | block[4 * i + 3];
    }
    for (int i = 16; i < 64; i++) {
      uint32_t s0 = rotate(w[i - 15], 7) ^ rotate(w[i - 15], 18) ^ w[i - 15] >> 3;
      uint32_t s1 = rotate(w[i - 2], 17) ^ rotate(w[i - 2], 19) ^ w[i - 2] >> 10;
      w[i] = w[i - 16] + s0 + w[i - 7] + s1;
    }
    uint32_t v[8];
    memcpy(v, state, sizeof v);
    for (int i = 0; i < 64; i++) {
      uint32_t s1 = rotate(v[4], 6) ^ rotate(v[4], 11) ^ rotate(v[4], 25);
      uint32_t t1 = v[7] + s1 + ((v[4] & v[5]) ^ (~v[4] & v[6])) + K[i] + w[i];
      uint32_t s0 = rotate(v[0], 2) ^ rotate(v[0], 13) ^ rotate(v[0], 22);
      uint32_t t2 = s0 + ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));
      memmove(v + 1, v, 7 * sizeof v[0]);
      v[4] += t1;
      v[0] = t1 + t2;
    }
    for (int i = 0; i < 8; i++) state[i] += v[i];
    filled = 0;
  }
};

// Without a key; 64 bytes of output.
class Blake2b {
 public:
  using Digest = std::array<uint8_t, 64>;

  Blake2b() {
    for (int i = 0; i < 8; i++) state[i] = IV[i];
    state[0] ^= 0x01010040;
  }

  Blake2b& update(const uint8_t* data, size_t size) {
    while (size > 0) {
      // The last block is kept back: only finish() knows that it is the last.
      if (filled == sizeof block) compress(false);
      size_t take = std::min(size, sizeof block - filled);
      memcpy(block + filled, data, take);
      filled += take;
      data += take;
      size -= take;
    }
    return *this;
  }

  Digest finish() {
    memset(block + filled, 0, sizeof block - filled);
    compress(true);
    Digest out;
    memcpy(out.data(), state, sizeof state);
    return out;
  }

 private:
  static constexpr uint64_t IV[8] = {0x6a09e667f3bcc908, 0xbb67ae8584caa73b, 0x3c6ef372fe94f82b, 0xa54ff53a5f1d36f1,
                                     0x510e527fade682d1, 0x9b05688c2b3e6c1f, 0x1f83d9abfb41bd6b, 0x5be0cd19137e2179};
  uint64_t state[8];
  uint64_t length = 0;  // of all compressed blocks; below 2^64
  size_t filled = 0;
  uint8_t block[128];

  static uint64_t rotate(uint64_t a, int n) { return a >> n | a << (64 - n); }

  void compress(bool last) {
    static constexpr uint8_t SIGMA[10][16] = {
        {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}, {14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
        {11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4}, {7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8},
        {9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13}, {2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9},
        {12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11}, {13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10},
        {6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5}, {10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0}};
    length += filled;
    uint64_t m[16], v[16];
    memcpy(m, block, sizeof m);
    for (int i = 0; i < 8; i++) {
      v[i] = state[i];
      v[i + 8] = IV[i];
    }
    v[12] ^= length;
    if (last) v[14] = ~v[14];
    auto mix = [&](int a, int b, int c, int d, uint64_t x, uint64_t y) __attribute__((always_inline)) {
      v[a] += v[b] + x;
      v[d] = rotate(v[d] ^ v[a], 32);
      v[c] += v[d];
      v[b] = rotate(v[b] ^ v[c], 24);
      v[a] += v[b] + y;
      v[d] = rotate(v[d] ^ v[a], 16);
      v[c] += v[d];
      v[b] = rotate(v[b] ^ v[c], 63);
    };
    for (int round = 0; round < 12; round++) {
      const uint8_t* s = SIGMA[round % 10];
      mix(0, 4, 8, 12, m[s[0]], m[s[1]]);
      mix(1, 5, 9, 13, m[s[2]], m[s[3]]);
      mix(2, 6, 10, 14, m[s[4]], m[s[5]]);
      mix(3, 7, 11, 15, m[s[6]], m[s[7]]);
      mix(0, 5, 10, 15, m[s[8]], m[s[9]]);
      mix(1, 6, 11, 12, m[s[10]], m[s[11]]);
      mix(2, 7, 8, 13, m[s[12]], m[s[13]]);
      mix(3, 4, 9, 14, m[s[14]], m[s[15]]);
    }
    for (int i = 0; i < 8; i++) state[i] ^= v[i] ^ v[i + 8];
    filled = 0;
  }
};

// size is at most 256.
inline void osRandom(uint8_t* out, size_t size) {
  if (getentropy(out, size) != 0) throw Failure(Code::Io, "the operating system gives no randomness");
}

// From 64 random bytes, reduced; the bias is below 2^-256.
inline Fr scalarFromWide(const u64 (&wide)[8]) {
  Fr low{{wide[0], wide[1], wide[2], wide[3]}}, high{{wide[4], wide[5], wide[6], wide[7]}};
  // The products' second factors are below p, which is all that one final subtraction needs.
  return (low * Fr::fromLimbs(Fr::R2)) + (high * Fr::fromLimbs(Fr::R3));
}

// A scalar that nobody can guess.
inline Fr randomScalar() {
  u64 wide[8];
  osRandom(reinterpret_cast<uint8_t*>(wide), sizeof wide);
  const Fr out = scalarFromWide(wide);
  wipe(wide, sizeof wide);
  return out;
}

// Coefficients of random linear combinations: 128 bits each, by ChaCha20 (RFC 8439) under a key of the operating system's.
// They are drawn after the data that they are to test.
class RandomCoefficients {
 public:
  RandomCoefficients() { osRandom(reinterpret_cast<uint8_t*>(key_), sizeof key_); }

  // Coefficients 4·block … 4·block + 3, of two words each.
  void block(uint64_t number, u64 (&out)[8]) const {
    uint32_t s[16] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};
    memcpy(s + 4, key_, sizeof key_);
    s[12] = (uint32_t)number;
    s[13] = (uint32_t)(number >> 32);
    s[14] = s[15] = 0;
    uint32_t x[16];
    memcpy(x, s, sizeof x);
    auto quarter = [&](int a, int b, int c, int d) __attribute__((always_inline)) {
      auto rotate = [](uint32_t v, int n) { return v << n | v >> (32 - n); };
      x[a] += x[b], x[d] = rotate(x[d] ^ x[a], 16);
      x[c] += x[d], x[b] = rotate(x[b] ^ x[c], 12);
      x[a] += x[b], x[d] = rotate(x[d] ^ x[a], 8);
      x[c] += x[d], x[b] = rotate(x[b] ^ x[c], 7);
    };
    for (int i = 0; i < 10; i++) {
      quarter(0, 4, 8, 12), quarter(1, 5, 9, 13), quarter(2, 6, 10, 14), quarter(3, 7, 11, 15);
      quarter(0, 5, 10, 15), quarter(1, 6, 11, 12), quarter(2, 7, 8, 13), quarter(3, 4, 9, 14);
    }
    for (int i = 0; i < 16; i++) x[i] += s[i];
    memcpy(out, x, sizeof x);
  }

  void at(uint64_t index, u64 (&out)[2]) const {
    u64 words[8];
    block(index / 4, words);
    out[0] = words[2 * (index % 4)];
    out[1] = words[2 * (index % 4) + 1];
  }

 private:
  uint32_t key_[8];
};

}  // namespace ENGINE_NS
}  // namespace anchorproof
