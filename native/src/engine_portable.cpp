// Portable C++: 128-bit integers, one lane.
#define ENGINE_NS portable
#include "engine_std.h"
#include "engine.inc.h"

namespace anchorproof {
const Engine* portableEngine() {
  static const portable::EngineOfTarget engine("portable");
  return &engine;
}
}  // namespace anchorproof
