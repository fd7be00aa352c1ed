// Every standard header that an engine uses. They come before an engine switches its target instruction set, so that
// templates of the standard library are compiled for the baseline only: the linker merges equal instantiations, and
// must never pick one that an older CPU cannot run.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <system_error>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "api.h"
#include "cards.h"
#include "zkey.h"
