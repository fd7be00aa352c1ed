// x86-64 with BMI2 and ADX (Broadwell, Zen and later): assembly, one lane. The compiler's own target stays the
// baseline; only the assembly needs the instructions.
#if defined(__x86_64__)
#define ENGINE_NS adx
#define FIELD_ADX
#include "engine_std.h"
#include "engine.inc.h"

namespace anchorproof {
const Engine* adxEngine() {
  static const adx::EngineOfTarget engine("adx");
  return &engine;
}
}  // namespace anchorproof
#endif
