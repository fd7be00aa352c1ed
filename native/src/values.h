// Distinct values with numbers of their own. Circuits use few distinct coefficients, so that an index of four bytes stands
// for 32 bytes in most places.
#pragma once

#include "hash.h"
#include "field.h"

namespace anchorproof {
namespace ENGINE_NS {

class ValueTable {
 public:
  // first: values that get the numbers 0, 1, …
  explicit ValueTable(std::vector<Fr> first) : values_(std::move(first)), table_(1 << 12, 0) {
    // Keyed: whoever makes a key must not choose which values collide. A value that finds no place in a few steps stays
    // without one, which costs memory and no time.
    osRandom(reinterpret_cast<uint8_t*>(&seed_), sizeof seed_);
    for (uint32_t i = 0; i < values_.size(); i++) place(i);
  }

  uint32_t indexOf(const Fr& value) {
    size_t mask = table_.size() - 1, slot = slotOf(value);
    for (int i = 0; i < STEPS && table_[slot] != 0; i++, slot = (slot + 1) & mask) {
      if (values_[table_[slot] - 1] == value) return table_[slot] - 1;
    }
    uint32_t index = (uint32_t)values_.size();
    values_.push_back(value);
    // Open addressing, doubled when half full.
    if (values_.size() * 2 > table_.size()) {
      table_.assign(table_.size() * 2, 0);
      for (uint32_t i = 0; i <= index; i++) place(i);
    } else {
      place(index);
    }
    return index;
  }

  const std::vector<Fr>& all() const { return values_; }

 private:
  static constexpr int STEPS = 32;
  std::vector<Fr> values_;
  std::vector<uint32_t> table_;
  u64 seed_;

  size_t slotOf(const Fr& value) const {
    u64 h = seed_;
    for (u64 word : value.l) {
      u128 product = (u128)(h ^ word) * 0x9e3779b97f4a7c15;
      h = (u64)product ^ (u64)(product >> 64) ^ seed_;
    }
    return (size_t)(h * 0xff51afd7ed558ccd >> 20) & (table_.size() - 1);
  }

  void place(uint32_t index) {
    size_t mask = table_.size() - 1, slot = slotOf(values_[index]);
    for (int i = 0; i < STEPS; i++, slot = (slot + 1) & mask) {
      if (table_[slot] != 0) continue;
      table_[slot] = index + 1;
      return;
    }
  }
};

}  // namespace ENGINE_NS
}  // namespace anchorproof
