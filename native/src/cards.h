// Opens the GPU library. Independent of the instruction set; baseline code.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "api.h"
#include "card.h"

namespace anchorproof {

// Why there are no cards: CudaUnavailable.
struct NoCards : Failure {
  enum Kind {
    Missing,  // the library is not built
    Broken,   // it does not load, or is none of this release
    None,     // no driver, one that is too old, or no card
  };
  NoCards(Kind kind_, const std::string& message) : Failure(Code::CudaUnavailable, message), kind(kind_) {}
  Kind kind;
};

// What a card reports: CudaFailed.
struct CardFailure : Failure {
  CardFailure(const std::string& message, bool lost_) : Failure(Code::CudaFailed, message), lost(lost_) {}
  bool lost;  // the card serves this process no more
};

// A loaded library. It stays loaded for the process's life: threads of CUDA's may be in it.
class Cards {
 public:
  // Throws NoCards with one line that says why: no such file, not a library of this release, no driver, no card.
  // One object a file and process.
  static std::shared_ptr<const Cards> open(const std::string& library);

  const CardApi& api() const { return *api_; }
  bool emulated() const { return api_->emulated != 0; }
  int devices() const { return devices_; }
  // Throws InputInvalid for an index that is out of range.
  void check(int device) const;
  // Throw as check() does; CardFailure.
  CardDescription describe(int device) const;
  CardLimits limits(int device) const;

  explicit Cards(const CardApi* api, int devices) : api_(api), devices_(devices) {}

 private:
  const CardApi* api_;
  int devices_;
};

// Throws the Failure of a status that is not CARD_OK: NoCards, CardFailure, or another.
void throwCardStatus(const CardStatus& status);

}  // namespace anchorproof
