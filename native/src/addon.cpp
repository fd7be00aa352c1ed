// The core as a Node addon.
//
// Functions are synchronous; the pool calls them from its workers. Nothing of JavaScript is kept between calls, so any
// number of environments may load the addon. Every argument is checked here, before an engine sees it. Failures are JS
// errors with a stable `code`, and no C++ exception leaves.
//
// Order within a function: first everything that may run JavaScript (getters of options), last the pointers into
// buffers, which JavaScript could detach.
#include <napi.h>

#include <sys/stat.h>

#include <cerrno>
#include <chrono>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include "api.h"
#include "cards.h"

namespace anchorproof {
namespace {

// What src/field/native.ts expects; raised when a signature here changes.
constexpr double kVersion = 4;

constexpr unsigned kMaxThreads = 256;
constexpr size_t kMaxPath = PATH_MAX;
constexpr size_t kMaxDomain = size_t{1} << 28;
constexpr size_t kScalar = 32, kProof = 256;
constexpr size_t kInputs = 16 * kScalar, kBlock = 15 * kScalar;  // of a permutation; of a step of a chain
constexpr size_t kMaxTraces = size_t{1} << 16;                   // over a gigabyte
constexpr size_t kMaxMemory = size_t{1} << 50;                   // of a card: more than any has
constexpr size_t kMaxWindow = 24, kMaxRepeat = 1000;

static_assert(std::atomic<int32_t>::is_always_lock_free && sizeof(std::atomic<int32_t>) == sizeof(int32_t),
              "the abort flag is a plain element of an Int32Array");

const char* codeName(Code code) {
  switch (code) {
    case Code::InputInvalid: return "INPUT_INVALID";
    case Code::KeyMalformed: return "KEY_MALFORMED";
    case Code::WitnessInvalid: return "WITNESS_INVALID";
    case Code::ProofMalformed: return "PROOF_MALFORMED";
    case Code::ProveFailed: return "PROVE_FAILED";
    case Code::Aborted: return "ABORTED";
    case Code::OutOfMemory: return "OUT_OF_MEMORY";
    case Code::Io: return "IO_FAILED";
    case Code::KeyForgeable: return "KEY_FORGEABLE";
    case Code::CircuitMalformed: return "CIRCUIT_MALFORMED";
    case Code::PtauInvalid: return "PTAU_INVALID";
    case Code::ContributionInvalid: return "CONTRIBUTION_INVALID";
    case Code::CudaUnavailable: return "CUDA_UNAVAILABLE";
    case Code::CudaFailed: return "CUDA_FAILED";
  }
  return "INTERNAL";
}

const char* kindName(NoCards::Kind kind) {
  switch (kind) {
    case NoCards::Missing: return "missing";
    case NoCards::Broken: return "broken";
    case NoCards::None: return "none";
  }
  return "none";
}

[[noreturn]] void invalid(const std::string& message) { throw Failure(Code::InputInvalid, message); }

void wipe(void* data, size_t size) {
  volatile uint8_t* bytes = static_cast<volatile uint8_t*>(data);
  while (size--) *bytes++ = 0;
}

// kind, lost: what the error's properties of these names say, where it has them.
void throwJs(Napi::Env env, const char* code, const char* message, const char* kind = nullptr, bool lost = false) {
  napi_value codeValue, messageValue, kindValue, lostValue, error;
  if (napi_create_string_utf8(env, code, NAPI_AUTO_LENGTH, &codeValue) != napi_ok) return;
  if (napi_create_string_utf8(env, message, NAPI_AUTO_LENGTH, &messageValue) != napi_ok) return;
  if (napi_create_error(env, codeValue, messageValue, &error) != napi_ok) return;
  if (kind) {
    if (napi_create_string_utf8(env, kind, NAPI_AUTO_LENGTH, &kindValue) != napi_ok) return;
    if (napi_set_named_property(env, error, "kind", kindValue) != napi_ok) return;
  }
  if (lost) {
    if (napi_get_boolean(env, true, &lostValue) != napi_ok) return;
    if (napi_set_named_property(env, error, "lost", lostValue) != napi_ok) return;
  }
  // Fails when the environment is being terminated: then there is nobody to tell.
  napi_throw(env, error);
}

// Runs the body of an exported function: what it throws becomes a JS exception.
template <Napi::Value (*Body)(const Napi::CallbackInfo&)>
Napi::Value guarded(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  try {
    return Body(info);
  } catch (const Napi::Error&) {
    throw;  // already JavaScript's; node-addon-api hands it over
  } catch (const NoCards& failure) {
    throwJs(env, codeName(failure.code), failure.what(), kindName(failure.kind));
  } catch (const CardFailure& failure) {
    throwJs(env, codeName(failure.code), failure.what(), nullptr, failure.lost);
  } catch (const Failure& failure) {
    throwJs(env, codeName(failure.code), failure.what());
  } catch (const std::bad_alloc&) {
    throwJs(env, "OUT_OF_MEMORY", "the native core ran out of memory");
  } catch (const std::length_error&) {
    throwJs(env, "OUT_OF_MEMORY", "the native core ran out of memory");
  } catch (const std::exception& error) {
    throwJs(env, "INTERNAL", error.what());
  } catch (...) {
    throwJs(env, "INTERNAL", "unknown failure of the native core");
  }
  return Napi::Value();
}

// ---- arguments ----

std::string text(Napi::Value value, const char* name, size_t max) {
  if (!value.IsString()) invalid(std::string(name) + " must be a string");
  size_t length = 0;
  if (napi_get_value_string_utf8(value.Env(), value, nullptr, 0, &length) != napi_ok || length > max) {
    invalid(std::string(name) + " is too long");
  }
  std::string result = value.As<Napi::String>().Utf8Value();
  if (result.find('\0') != std::string::npos) invalid(std::string(name) + " must not contain a zero byte");
  return result;
}

size_t whole(Napi::Value value, const char* name, size_t min, size_t max) {
  const double number = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : -1;
  if (!(number >= static_cast<double>(min) && number <= static_cast<double>(max)) ||
      static_cast<double>(static_cast<size_t>(number)) != number) {
    invalid(std::string(name) + " must be an integer from " + std::to_string(min) + " to " + std::to_string(max));
  }
  return static_cast<size_t>(number);
}

bool flag(Napi::Value value, const char* name) {
  if (value.IsUndefined()) return false;
  if (!value.IsBoolean()) invalid(std::string(name) + " must be a boolean");
  return value.As<Napi::Boolean>().Value();
}

// A member of the optional object of options. Runs getters.
Napi::Value option(Napi::Value options, const char* name) {
  if (options.IsUndefined()) return options;
  if (!options.IsObject() || options.IsFunction()) invalid("the options must be an object");
  return options.As<Napi::Object>().Get(name);
}

unsigned threadsOf(Napi::Value value) {
  return value.IsUndefined() ? 1 : static_cast<unsigned>(whole(value, "threads", 1, kMaxThreads));
}

const Engine& engineOf(Napi::Value value) {
  if (value.IsUndefined()) return engine();
  const std::string name = text(value, "engine", 32);
  const Engine* found = engineByName(name);
  if (!found) invalid("this processor or build has no engine \"" + name + "\"");
  return *found;
}

// Which library, which card, and how a key is kept on it.
struct CardChoice {
  std::string library;
  CardSettings settings;
};

CardChoice cardChoice(Napi::Value value) {
  if (!value.IsObject() || value.IsFunction() || value.IsTypedArray()) invalid("cuda must be an object with library and device");
  CardChoice choice;
  choice.library = text(option(value, "library"), "library", kMaxPath);
  if (choice.library.empty()) invalid("library must not be empty");
  choice.settings.device = static_cast<int>(whole(option(value, "device"), "device", 0, INT_MAX));
  const auto number = [&](const char* name, size_t max) {
    const Napi::Value given = option(value, name);
    return given.IsUndefined() ? 0 : whole(given, name, 0, max);
  };
  choice.settings.memoryLimit = number("memoryLimit", kMaxMemory);
  choice.settings.multiples = static_cast<unsigned>(number("multiples", 254));
  choice.settings.window = static_cast<unsigned>(number("window", kMaxWindow));
  choice.settings.coordinates = static_cast<unsigned>(number("coordinates", 2));
  return choice;
}

const char* arrayName(napi_typedarray_type type) {
  switch (type) {
    case napi_uint32_array: return "Uint32Array";
    case napi_float64_array: return "Float64Array";
    default: return "Uint8Array";
  }
}

// A typed array's memory for the length of one call, or a copy of it where that memory can change or go away during the
// call: another thread shares it, or a callback may detach it.
class Input {
 public:
  Input(Napi::Value value, const char* name, bool callbacks = false, napi_typedarray_type wanted = napi_uint8_array) {
    const Napi::Env env = value.Env();
    napi_typedarray_type type;
    void* data = nullptr;
    napi_value buffer;
    size_t length = 0, offset = 0;
    if (!value.IsTypedArray() ||
        napi_get_typedarray_info(env, value, &type, &length, &data, &buffer, &offset) != napi_ok || type != wanted) {
      invalid(std::string(name) + " must be a " + arrayName(wanted));
    }
    if (wanted == napi_uint32_array) length *= sizeof(uint32_t);
    if (wanted == napi_float64_array) length *= sizeof(double);
    bool own = false, detached = false;
    if (napi_is_arraybuffer(env, buffer, &own) != napi_ok) own = false;
    if (own && (napi_is_detached_arraybuffer(env, buffer, &detached) != napi_ok || detached)) {
      invalid(std::string(name) + " is detached");
    }
    if (length > 0 && !data) invalid(std::string(name) + " has no memory");
    bytes_ = {static_cast<const uint8_t*>(data), length};
    if (length > 0 && (callbacks || !own)) {
      copy_.assign(bytes_.data, bytes_.data + length);
      bytes_.data = copy_.data();
    }
  }
  Input(const Input&) = delete;
  Input& operator=(const Input&) = delete;
  ~Input() { wipe(copy_.data(), copy_.size()); }

  const Bytes& bytes() const { return bytes_; }
  size_t size() const { return bytes_.size; }

 private:
  Bytes bytes_;
  std::vector<uint8_t> copy_;
};

// The number of items of `size` bytes in a buffer.
size_t items(const Input& input, size_t size, const char* name) {
  if (input.size() % size != 0) invalid(std::string(name) + " must be whole items of " + std::to_string(size) + " bytes");
  return input.size() / size;
}

// Threads, abort flag and phase callback of a long call. Stays where it was made: the engine's callback points here.
class Caller {
 public:
  Caller(Napi::Env env, Napi::Value options) : env_(env) {
    control.threads = threadsOf(option(options, "threads"));
    const Napi::Value onPhase = option(options, "onPhase");
    const Napi::Value flags = option(options, "control");
    if (!onPhase.IsUndefined()) {
      if (!onPhase.IsFunction()) invalid("onPhase must be a function");
      onPhase_ = onPhase.As<Napi::Function>();
      control.onPhase = [this](const char* phase) { report(phase); };
    }
    if (!flags.IsUndefined()) watch(flags);
  }
  Caller(const Caller&) = delete;
  Caller& operator=(const Caller&) = delete;

  bool callbacks() const { return static_cast<bool>(control.onPhase); }

  // Runs the engine. When the callback threw, the call ends with what it threw, whatever the engine made of it.
  template <class Run>
  auto run(Run&& engineCall) -> decltype(engineCall()) {
    if (control.abort && control.abort->load() != 0) throw Failure(Code::Aborted, "stopped on request");
    try {
      return engineCall();
    } catch (...) {
      if (thrown_) throw *thrown_;
      if (terminating_) throw Failure(Code::Aborted, "the environment is ending");
      throw;
    }
  }

  Control control;

 private:
  // Element 0 stops the call; element 1, where there is one, is told how far it is.
  void watch(Napi::Value value) {
    napi_typedarray_type type;
    void* data = nullptr;
    napi_value buffer;
    size_t length = 0, offset = 0;
    bool own = true;
    if (!value.IsTypedArray() ||
        napi_get_typedarray_info(env_, value, &type, &length, &data, &buffer, &offset) != napi_ok ||
        type != napi_int32_array || length == 0 || !data || napi_is_arraybuffer(env_, buffer, &own) != napi_ok || own) {
      // An ArrayBuffer would not do: nobody could set it during the call, and a callback could take it away.
      invalid("control must be an Int32Array over a SharedArrayBuffer");
    }
    control.abort = static_cast<const std::atomic<int32_t>*>(data);
    if (length > 1) control.progress = static_cast<std::atomic<int32_t>*>(data) + 1;
  }

  void report(const char* phase) {
    Napi::HandleScope scope(env_);
    napi_value global, name, result;
    const napi_status status =
        napi_get_global(env_, &global) == napi_ok && napi_create_string_utf8(env_, phase, NAPI_AUTO_LENGTH, &name) == napi_ok
            ? napi_call_function(env_, global, onPhase_, 1, &name, &result)
            : napi_generic_failure;
    if (status == napi_ok) return;
    bool pending = false;
    napi_value error;
    if (napi_is_exception_pending(env_, &pending) == napi_ok && pending &&
        napi_get_and_clear_last_exception(env_, &error) == napi_ok) {
      thrown_.emplace(env_, error);
    } else {
      terminating_ = true;  // a worker that is being stopped
    }
    throw Failure(Code::Aborted, "onPhase failed");
  }

  Napi::Env env_;
  Napi::Function onPhase_;
  std::optional<Napi::Error> thrown_;
  bool terminating_ = false;
};

Napi::Value toUint8Array(Napi::Env env, const uint8_t* data, size_t size) {
  Napi::Uint8Array array = Napi::Uint8Array::New(env, size);
  if (size > 0) std::memcpy(array.Data(), data, size);
  return array;
}

// ---- handles ----

// An opaque object that holds a share of a C++ object. The type tag tells it from every other object, so that no
// foreign pointer is followed.
template <class T>
class Handle {
 public:
  static Napi::Value make(Napi::Env env, std::shared_ptr<const T> held) {
    const Napi::Object object = Napi::Object::New(env);
    object.TypeTag(&kTag);
    auto holder = std::make_unique<Holder>(Holder{std::move(held)});
    napi_value value = object;
    const auto drop = [](napi_env, void* data, void*) { delete static_cast<Holder*>(data); };
    if (napi_wrap(env, value, holder.get(), drop, nullptr, nullptr) != napi_ok) {
      throw std::runtime_error("a handle could not be made");
    }
    holder.release();
    return object;
  }

  // The caller keeps a share for as long as it works: a callback may close the handle meanwhile.
  static std::shared_ptr<const T> get(Napi::Value value) {
    std::shared_ptr<const T> held = holderOf(value).held;
    if (!held) invalid(std::string("this ") + kName + " is closed");
    return held;
  }

  static void close(Napi::Value value) { holderOf(value).held.reset(); }

 private:
  struct Holder {
    std::shared_ptr<const T> held;
  };

  static Holder& holderOf(Napi::Value value) {
    void* data = nullptr;
    bool ours = false;
    if (!value.IsObject() || napi_check_object_type_tag(value.Env(), value, &kTag, &ours) != napi_ok || !ours ||
        napi_unwrap(value.Env(), value, &data) != napi_ok || !data) {
      invalid(std::string("the first argument must be a ") + kName);
    }
    return *static_cast<Holder*>(data);
  }

  static const napi_type_tag kTag;
  static const char* const kName;
};

template <>
const napi_type_tag Handle<ProvingKey>::kTag = {0x9c2f1b6d04e85a71, 0x3ad7c5e8f1602b94};
template <>
const char* const Handle<ProvingKey>::kName = "proving key";
template <>
const napi_type_tag Handle<DeltaSecret>::kTag = {0x1f84c02d97e35ba6, 0x8b60d71e4ac9f352};
template <>
const char* const Handle<DeltaSecret>::kName = "contributor's secret";
template <>
const napi_type_tag Handle<VerifyingKey>::kTag = {0x51e0d93ab87c4f26, 0xe6b4082f9d715ac3};
template <>
const char* const Handle<VerifyingKey>::kName = "verifying key";

// ---- the process's proving keys ----

// One key in memory for all handles of all threads. A file is known by its place and its state on disk, so one that
// was replaced is loaded anew.
class KeyRegistry {
 public:
  // card: where the key is to be kept; then it is not prepared.
  std::shared_ptr<const ProvingKey> open(const Engine& engine, const std::string& path, const std::string& prepared,
                                         const std::optional<CardChoice>& card, const Control& control) {
    const std::shared_ptr<const Cards> cards = card ? Cards::open(card->library) : nullptr;
    // Before the lock is taken: the callback may open a key itself.
    if (control.onPhase) control.onPhase("load");
    Control quiet = control;
    quiet.onPhase = nullptr;
    const Place place = placeOf(cards.get(), card);
    const Identity identity = identify(engine, path, card ? "" : prepared, place);
    const std::shared_ptr<Slot> slot = slotOf(identity);
    // Waits for another thread's load of the same key, and is stopped like the load itself.
    std::unique_lock<std::timed_mutex> lock(slot->loading, std::defer_lock);
    while (!lock.try_lock_for(std::chrono::milliseconds(5))) {
      if (control.abort && control.abort->load() != 0) throw Failure(Code::Aborted, "stopped on request");
    }
    if (std::shared_ptr<const ProvingKey> key = slot->key.lock()) return key;
    const std::string& file = std::get<1>(identity);
    std::shared_ptr<const ProvingKey> key = card ? engine.openCardKey(cards, card->settings, file, quiet)
                                                 : engine.openProvingKey(file, prepared, quiet);
    if (identify(engine, path, card ? "" : prepared, place) != identity) {
      throw Failure(Code::Io, "the proving key's file changed while it was read");
    }
    slot->key = key;
    return key;
  }

  static KeyRegistry& ofProcess() {
    // Never destroyed: threads may outlive the process's static objects.
    static KeyRegistry* const registry = new KeyRegistry;
    return *registry;
  }

 private:
  // On a card: whose library, which one, and how. Otherwise nothing.
  using Place = std::tuple<const Cards*, int, uint64_t, unsigned, unsigned, unsigned>;
  using Identity =
      std::tuple<std::string, std::string, std::string, Place, dev_t, ino_t, off_t, int64_t, int64_t, int64_t, int64_t>;
  struct Slot {
    std::timed_mutex loading;
    std::weak_ptr<const ProvingKey> key;  // guarded by `loading`
  };

  static Place placeOf(const Cards* cards, const std::optional<CardChoice>& card) {
    if (!card) return {};
    const CardSettings& how = card->settings;
    return {cards, how.device, how.memoryLimit, how.multiples, how.window, how.coordinates};
  }

  static Identity identify(const Engine& engine, const std::string& path, const std::string& prepared, const Place& place) {
    const std::unique_ptr<char, decltype(&std::free)> real(::realpath(path.c_str(), nullptr), &std::free);
    struct stat file;
    if (!real || ::stat(real.get(), &file) != 0) {
      throw Failure(Code::Io, "cannot open the proving key: " + std::string(std::strerror(errno)));
    }
    if (!S_ISREG(file.st_mode)) throw Failure(Code::Io, "cannot open the proving key: not a regular file");
#if defined(__APPLE__)
    const struct timespec modified = file.st_mtimespec, changed = file.st_ctimespec;
#else
    const struct timespec modified = file.st_mtim, changed = file.st_ctim;
#endif
    return {engine.name(), real.get(),      prepared,         place,          file.st_dev,    file.st_ino,
            file.st_size,  modified.tv_sec, modified.tv_nsec, changed.tv_sec, changed.tv_nsec};
  }

  std::shared_ptr<Slot> slotOf(const Identity& identity) {
    const std::lock_guard<std::mutex> lock(mutex_);
    // Nobody can hold a slot that only the map knows, so its key may be looked at without its lock.
    for (auto it = slots_.begin(); it != slots_.end();) {
      it = it->second.use_count() == 1 && it->second->key.expired() ? slots_.erase(it) : std::next(it);
    }
    std::shared_ptr<Slot>& slot = slots_[identity];
    if (!slot) slot = std::make_shared<Slot>();
    return slot;
  }

  std::mutex mutex_;
  std::map<Identity, std::shared_ptr<Slot>> slots_;
};

// ---- exported functions; src/field/native.ts describes them ----

Napi::Value info(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Napi::Object result = Napi::Object::New(env);
  Napi::Array engines = Napi::Array::New(env);
  for (const std::string& name : engineNames()) engines[engines.Length()] = Napi::String::New(env, name);
  Napi::Array features = Napi::Array::New(env);
  const auto feature = [&](bool has, const char* name) {
    if (has) features[features.Length()] = Napi::String::New(env, name);
  };
#if defined(__x86_64__)
  unsigned a = 0, b = 0, c = 0, d = 0;
  feature(__builtin_cpu_supports("bmi2"), "bmi2");
  feature(__get_cpuid_count(7, 0, &a, &b, &c, &d) && (b >> 19 & 1), "adx");
  feature(__builtin_cpu_supports("avx2"), "avx2");
  feature(__builtin_cpu_supports("avx512f"), "avx512f");
  feature(__builtin_cpu_supports("avx512dq"), "avx512dq");
  feature(__builtin_cpu_supports("avx512bw"), "avx512bw");
  feature(__builtin_cpu_supports("avx512vl"), "avx512vl");
  feature(__builtin_cpu_supports("avx512ifma"), "avx512ifma");
#endif
  result["engines"] = engines;
  result["cpuFeatures"] = features;
#if defined(__clang__)
  result["compiler"] = Napi::String::New(env, __VERSION__);
#else
  result["compiler"] = Napi::String::New(env, "GCC " __VERSION__);
#endif
  return result;
}

Napi::Value defaultEngine(const Napi::CallbackInfo& info) { return Napi::String::New(info.Env(), engine().name()); }

Napi::Value openProvingKey(const Napi::CallbackInfo& info) {
  const Napi::Value options = info[1];
  const std::string path = text(info[0], "path", kMaxPath);
  if (path.empty()) invalid("path must not be empty");
  const Napi::Value prepared = option(options, "prepared");
  const std::string folder = prepared.IsUndefined() ? "" : text(prepared, "prepared", kMaxPath);
  const Engine& engine = engineOf(option(options, "engine"));
  const Napi::Value cuda = option(options, "cuda");
  std::optional<CardChoice> card;
  if (!cuda.IsUndefined()) card = cardChoice(cuda);
  Caller caller(info.Env(), options);
  const auto open = [&] { return KeyRegistry::ofProcess().open(engine, path, folder, card, caller.control); };
  return Handle<ProvingKey>::make(info.Env(), caller.run(open));
}

Napi::Value provingKeyInfo(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const std::shared_ptr<const ProvingKey> key = Handle<ProvingKey>::get(info[0]);
  const KeyInfo& about = key->info();
  Napi::Object result = Napi::Object::New(env);
  result["variables"] = Napi::Number::New(env, about.variables);
  result["publics"] = Napi::Number::New(env, about.publics);
  result["domain"] = Napi::Number::New(env, about.domain);
  result["coefficients"] = Napi::Number::New(env, static_cast<double>(about.coefficients));
  result["memoryBytes"] = Napi::Number::New(env, static_cast<double>(about.memoryBytes));
  result["prepared"] = Napi::Boolean::New(env, about.prepared);
  result["loadMs"] = Napi::Number::New(env, about.loadMs);
  return result;
}

Napi::Value closeProvingKey(const Napi::CallbackInfo& info) {
  Handle<ProvingKey>::close(info[0]);
  return info.Env().Undefined();
}

Napi::Array toTimes(Napi::Env env, const std::vector<CardTime>& times) {
  Napi::Array result = Napi::Array::New(env, times.size());
  for (size_t i = 0; i < times.size(); i++) {
    Napi::Object time = Napi::Object::New(env);
    time["name"] = Napi::String::New(env, times[i].name);
    time["ms"] = Napi::Number::New(env, times[i].ms);
    time["bytes"] = Napi::Number::New(env, static_cast<double>(times[i].bytes));
    time["operations"] = Napi::Number::New(env, static_cast<double>(times[i].operations));
    result[static_cast<uint32_t>(i)] = time;
  }
  return result;
}

struct SecretBlinding : Blinding {
  ~SecretBlinding() { wipe(static_cast<Blinding*>(this), sizeof(Blinding)); }
};

Napi::Value prove(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const Napi::Value options = info[2];
  const std::shared_ptr<const ProvingKey> key = Handle<ProvingKey>::get(info[0]);
  const Napi::Value blindingBytes = option(options, "blinding");
  const bool timed = flag(option(options, "timed"), "timed");
  Caller caller(env, options);
  caller.control.timed = timed;
  SecretBlinding blinding;
  if (!blindingBytes.IsUndefined()) {
    const Input bytes(blindingBytes, "blinding");
    if (bytes.size() != 2 * kScalar) invalid("blinding must be 64 bytes");
    std::memcpy(blinding.r, bytes.bytes().data, kScalar);
    std::memcpy(blinding.s, bytes.bytes().data + kScalar, kScalar);
  }
  const Input wtns(info[1], "the witness", caller.callbacks());
  const Proof proof = caller.run(
      [&] { return key->prove(wtns.bytes(), caller.control, blindingBytes.IsUndefined() ? nullptr : &blinding); });
  Napi::Array phases = Napi::Array::New(env, proof.phases.size());
  for (size_t i = 0; i < proof.phases.size(); i++) {
    Napi::Object phase = Napi::Object::New(env);
    phase["name"] = Napi::String::New(env, proof.phases[i].name);
    phase["ms"] = Napi::Number::New(env, proof.phases[i].ms);
    phases[static_cast<uint32_t>(i)] = phase;
  }
  Napi::Object result = Napi::Object::New(env);
  result["proof"] = toUint8Array(env, proof.bytes, sizeof(proof.bytes));
  result["publics"] = toUint8Array(env, proof.publics.data(), proof.publics.size());
  result["phases"] = phases;
  if (!proof.cardTimes.empty()) result["cardTimes"] = toTimes(env, proof.cardTimes);
  return result;
}

Napi::Value openVerifyingKey(const Napi::CallbackInfo& info) {
  const Engine& engine = engineOf(option(info[1], "engine"));
  const Input bytes(info[0], "the verifying key");
  return Handle<VerifyingKey>::make(info.Env(), engine.openVerifyingKey(bytes.bytes()));
}

Napi::Value verify(const Napi::CallbackInfo& info) {
  const std::shared_ptr<const VerifyingKey> key = Handle<VerifyingKey>::get(info[0]);
  const Input publics(info[1], "publics"), proof(info[2], "proof");
  if (publics.size() != key->publics() * kScalar) {
    invalid("publics must be " + std::to_string(key->publics()) + " signals of 32 bytes");
  }
  if (proof.size() != kProof) throw Failure(Code::ProofMalformed, "a proof has 256 bytes");
  return Napi::Boolean::New(info.Env(), key->verify(publics.bytes(), proof.bytes()));
}

Napi::Value verifyBatch(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const std::shared_ptr<const VerifyingKey> key = Handle<VerifyingKey>::get(info[0]);
  const size_t n = whole(info[3], "n", 0, UINT32_MAX);
  const unsigned threads = threadsOf(info[4]);
  const Input publics(info[1], "publics"), proofs(info[2], "proofs");
  if (proofs.size() != n * kProof) invalid("proofs must be n times 256 bytes");
  if (publics.size() != n * key->publics() * kScalar) {
    invalid("publics must be n times " + std::to_string(key->publics()) + " signals of 32 bytes");
  }
  Napi::Uint8Array verdicts = Napi::Uint8Array::New(env, n);
  if (n > 0) key->verifyBatch(publics.bytes(), proofs.bytes(), n, threads, verdicts.Data());
  return verdicts;
}

// A file's name among the arguments.
std::string path(Napi::Value value, const char* name) {
  std::string result = text(value, name, kMaxPath);
  if (result.empty()) invalid(std::string(name) + " must not be empty");
  return result;
}

Napi::Value setupDevelopment(const Napi::CallbackInfo& info) {
  const std::string r1cs = path(info[0], "r1cs"), zkey = path(info[1], "zkey");
  const Engine& engine = engineOf(option(info[3], "engine"));
  Caller caller(info.Env(), info[3]);
  const Input stamp(info[2], "stamp", caller.callbacks());
  caller.run([&] { engine.setupDevelopment(r1cs, zkey, stamp.bytes(), caller.control); });
  return info.Env().Undefined();
}

Napi::Value newPtau(const Napi::CallbackInfo& info) {
  const unsigned power = static_cast<unsigned>(whole(info[0], "power", 1, 24));
  const std::string out = path(info[1], "ptau");
  const bool prepared = flag(option(info[3], "prepared"), "prepared");
  const Engine& engine = engineOf(option(info[3], "engine"));
  Caller caller(info.Env(), info[3]);
  const Input stamp(info[2], "stamp", caller.callbacks());
  caller.run([&] { engine.newPtau(power, prepared, out, stamp.bytes(), caller.control); });
  return info.Env().Undefined();
}

Napi::Value checkPtau(const Napi::CallbackInfo& info) {
  const std::string ptau = path(info[0], "ptau");
  const bool points = flag(option(info[1], "points"), "points");
  const Engine& engine = engineOf(option(info[1], "engine"));
  Caller caller(info.Env(), info[1]);
  const PtauInfo about = caller.run([&] { return engine.checkPtau(ptau, points, caller.control); });
  Napi::Object result = Napi::Object::New(info.Env());
  result["power"] = Napi::Number::New(info.Env(), about.power);
  result["ceremonyPower"] = Napi::Number::New(info.Env(), about.ceremonyPower);
  result["prepared"] = Napi::Boolean::New(info.Env(), about.prepared);
  return result;
}

Napi::Value makeBasis(const Napi::CallbackInfo& info) {
  const std::string ptau = path(info[0], "ptau"), out = path(info[2], "basis");
  const unsigned power = static_cast<unsigned>(whole(info[1], "power", 1, 27));
  const bool cut = flag(option(info[3], "cut"), "cut");
  const Engine& engine = engineOf(option(info[3], "engine"));
  Caller caller(info.Env(), info[3]);
  caller.run([&] { engine.makeBasis(ptau, power, cut, out, caller.control); });
  return info.Env().Undefined();
}

Napi::Value newPhase2(const Napi::CallbackInfo& info) {
  const std::string r1cs = path(info[0], "r1cs"), basis = path(info[1], "basis"), zkey = path(info[2], "zkey");
  const Engine& engine = engineOf(option(info[4], "engine"));
  Caller caller(info.Env(), info[4]);
  const Input tail(info[3], "tail", caller.callbacks());
  if (tail.size() != 0 && tail.size() != 64) invalid("tail must have 64 bytes, or none");
  uint8_t hash[64];
  caller.run([&] { engine.newPhase2(r1cs, basis, zkey, tail.bytes(), hash, caller.control); });
  return toUint8Array(info.Env(), hash, sizeof hash);
}

Napi::Value drawSecret(const Napi::CallbackInfo& info) {
  const Engine& engine = engineOf(option(info[1], "engine"));
  const Input entropy(info[0], "entropy");
  return Handle<DeltaSecret>::make(info.Env(), engine.drawSecret(entropy.bytes()));
}

Napi::Value publicSecret(const Napi::CallbackInfo& info) {
  const Engine& engine = engineOf(option(info[2], "engine"));
  const Input secret(info[0], "secret"), point(info[1], "point");
  return Handle<DeltaSecret>::make(info.Env(), engine.publicSecret(secret.bytes(), point.bytes()));
}

Napi::Value secretPublicKey(const Napi::CallbackInfo& info) {
  uint8_t out[128];
  Handle<DeltaSecret>::get(info[0])->publicKey(out);
  return toUint8Array(info.Env(), out, sizeof out);
}

Napi::Value secretMultiply(const Napi::CallbackInfo& info) {
  const std::shared_ptr<const DeltaSecret> secret = Handle<DeltaSecret>::get(info[0]);
  const int group = static_cast<int>(whole(info[1], "group", 1, 2));
  const Input point(info[2], "point");
  uint8_t out[128];
  secret->multiply(group, point.bytes(), out);
  return toUint8Array(info.Env(), out, group == 1 ? 64 : 128);
}

Napi::Value secretApply(const Napi::CallbackInfo& info) {
  const std::shared_ptr<const DeltaSecret> secret = Handle<DeltaSecret>::get(info[0]);
  const std::string from = path(info[1], "from"), to = path(info[2], "to");
  Caller caller(info.Env(), info[4]);
  const Input transcript(info[3], "transcript", caller.callbacks());
  caller.run([&] { secret->apply(from, to, transcript.bytes(), caller.control); });
  return info.Env().Undefined();
}

Napi::Value closeSecret(const Napi::CallbackInfo& info) {
  Handle<DeltaSecret>::close(info[0]);
  return info.Env().Undefined();
}

Napi::Value verifyPhase2(const Napi::CallbackInfo& info) {
  const std::string r1cs = path(info[0], "r1cs"), ptau = path(info[1], "ptau");
  const std::string zkey = info[2].IsUndefined() ? "" : path(info[2], "zkey");
  const Engine& engine = engineOf(option(info[4], "engine"));
  Caller caller(info.Env(), info[4]);
  std::optional<Input> key;
  if (zkey.empty()) {
    key.emplace(info[3], "the verifying key", caller.callbacks());
  } else if (!info[3].IsUndefined()) {
    invalid("name a proving key or give a verifying key, not both");
  }
  caller.run([&] { engine.verifyPhase2(r1cs, ptau, zkey, key ? key->bytes() : Bytes{}, caller.control); });
  return info.Env().Undefined();
}

Napi::Value verifyPhase2Step(const Napi::CallbackInfo& info) {
  const std::string previous = path(info[0], "previous"), next = path(info[1], "next");
  const Engine& engine = engineOf(option(info[2], "engine"));
  Caller caller(info.Env(), info[2]);
  caller.run([&] { engine.verifyPhase2Step(previous, next, caller.control); });
  return info.Env().Undefined();
}

Napi::Value poseidon(const Napi::CallbackInfo& info) {
  const Napi::Value options = info[3];
  const unsigned arity = static_cast<unsigned>(whole(info[0], "arity", 1, 16));
  const Engine& engine = engineOf(option(options, "engine"));
  const unsigned threads = threadsOf(option(options, "threads"));
  const Input capacities(info[1], "capacities"), inputs(info[2], "inputs");
  const size_t n = items(inputs, arity * kScalar, "inputs");
  if (capacities.size() != kScalar && capacities.size() != n * kScalar) {
    invalid("capacities must be one for all or one for each of " + std::to_string(n) + " hashes, of 32 bytes");
  }
  Napi::Uint8Array out = Napi::Uint8Array::New(info.Env(), n * kScalar);
  if (n > 0) engine.poseidon(arity, capacities.bytes(), inputs.bytes(), n, threads, out.Data());
  return out;
}

Napi::Value poseidonChains(const Napi::CallbackInfo& info) {
  const Napi::Value options = info[4];
  const Engine& engine = engineOf(option(options, "engine"));
  Caller caller(info.Env(), options);
  const bool copies = caller.callbacks();
  const Input capacity(info[0], "capacity", copies), starts(info[1], "starts", copies), blocks(info[2], "blocks", copies);
  const Input steps(info[3], "steps", copies, napi_uint32_array);
  const size_t n = steps.size() / sizeof(uint32_t);
  if (capacity.size() != kScalar) invalid("capacity must have 32 bytes");
  if (starts.size() != kScalar && starts.size() != n * kScalar) {
    invalid("starts must be one for all or one for each of " + std::to_string(n) + " chains, of 32 bytes");
  }
  items(blocks, kBlock, "blocks");
  Napi::Uint8Array out = Napi::Uint8Array::New(info.Env(), n * kScalar);
  const uint32_t* counts = reinterpret_cast<const uint32_t*>(steps.bytes().data);
  caller.run([&] {
    engine.poseidonChains(capacity.bytes(), starts.bytes(), blocks.bytes(), counts, n, caller.control, out.Data());
  });
  return out;
}

Napi::Value contentDigests(const Napi::CallbackInfo& info) {
  const Napi::Value options = info[5];
  const Engine& engine = engineOf(option(options, "engine"));
  Caller caller(info.Env(), options);
  const bool copies = caller.callbacks();
  const Input capacity(info[0], "capacity", copies), start(info[1], "start", copies), data(info[2], "data", copies);
  const Input places(info[3], "offsets", copies, napi_float64_array), packings(info[4], "packings", copies);
  const size_t n = items(packings, 2, "packings");
  if (capacity.size() != kScalar || start.size() != kScalar) invalid("capacity and start must have 32 bytes");
  if (places.size() != (n + 1) * sizeof(double)) invalid("offsets must be one more than contents");
  std::vector<uint64_t> offsets(n + 1);
  for (size_t i = 0; i <= n; i++) {
    double place;
    std::memcpy(&place, places.bytes().data + i * sizeof place, sizeof place);
    if (!(place >= 0 && place <= static_cast<double>(data.size())) ||
        static_cast<double>(static_cast<uint64_t>(place)) != place) {
      invalid("offsets must be integers within the data");
    }
    offsets[i] = static_cast<uint64_t>(place);
  }
  Napi::Uint8Array out = Napi::Uint8Array::New(info.Env(), n * kScalar);
  caller.run([&] {
    engine.contentDigests(capacity.bytes(), start.bytes(), data.bytes(), offsets.data(), packings.bytes(), n,
                          caller.control, out.Data());
  });
  return out;
}

Napi::Value poseidonTraces(const Napi::CallbackInfo& info) {
  const Napi::Value options = info[2];
  const Engine& engine = engineOf(option(options, "engine"));
  Caller caller(info.Env(), options);
  const Input capacity(info[0], "capacity", caller.callbacks()), inputs(info[1], "inputs", caller.callbacks());
  const size_t n = items(inputs, kInputs, "inputs");
  if (capacity.size() != kScalar) invalid("capacity must have 32 bytes");
  if (n > kMaxTraces) invalid("at most 2^16 traces at a time");
  Napi::Uint8Array out = Napi::Uint8Array::New(info.Env(), n * POSEIDON_TRACE_BYTES);
  caller.run([&] { engine.poseidonTraces(capacity.bytes(), inputs.bytes(), n, caller.control, out.Data()); });
  return out;
}

Napi::Value chainTraces(const Napi::CallbackInfo& info) {
  const Napi::Value options = info[3];
  const Engine& engine = engineOf(option(options, "engine"));
  Caller caller(info.Env(), options);
  const bool copies = caller.callbacks();
  const Input capacity(info[0], "capacity", copies), start(info[1], "start", copies), blocks(info[2], "blocks", copies);
  const size_t steps = items(blocks, kBlock, "blocks");
  if (capacity.size() != kScalar || start.size() != kScalar) invalid("capacity and start must have 32 bytes");
  if (steps > kMaxTraces) invalid("at most 2^16 traces at a time");
  Napi::Uint8Array out = Napi::Uint8Array::New(info.Env(), steps * POSEIDON_TRACE_BYTES);
  caller.run([&] {
    engine.chainTraces(capacity.bytes(), start.bytes(), blocks.bytes(), steps, caller.control, out.Data());
  });
  return out;
}

Napi::Value fieldOp(const Napi::CallbackInfo& info) {
  static const std::map<std::string, FieldOp> kOps = {{"mul", FieldOp::Mul}, {"square", FieldOp::Square},
                                                      {"add", FieldOp::Add}, {"sub", FieldOp::Sub},
                                                      {"neg", FieldOp::Neg}, {"inverse", FieldOp::Inverse}};
  const Engine& engine = engineOf(info[0]);
  const std::string field = text(info[1], "field", 8);
  if (field != "fq" && field != "fr") invalid("field must be \"fq\" or \"fr\"");
  const auto op = kOps.find(text(info[2], "op", 8));
  if (op == kOps.end()) invalid("op must be mul, square, add, sub, neg or inverse");
  const bool binary = op->second == FieldOp::Mul || op->second == FieldOp::Add || op->second == FieldOp::Sub;
  if (!binary && !info[4].IsUndefined()) invalid("this operation takes one operand");
  const Input a(info[3], "a"), b(binary ? info[4] : info[3], "b");
  const size_t n = items(a, kScalar, "a");
  if (b.size() != a.size()) invalid("a and b must have the same length");
  Napi::Uint8Array out = Napi::Uint8Array::New(info.Env(), n * kScalar);
  if (n > 0) engine.field(field == "fq", op->second, a.bytes(), binary ? b.bytes() : Bytes{}, n, out.Data());
  return out;
}

Napi::Value fieldTimings(const Napi::CallbackInfo& info) {
  double latency = 0, throughput = 0;
  engineOf(info[0]).fieldTimings(&latency, &throughput);
  Napi::Object result = Napi::Object::New(info.Env());
  result["latencyNs"] = Napi::Number::New(info.Env(), latency);
  result["throughputNs"] = Napi::Number::New(info.Env(), throughput);
  return result;
}

Napi::Value msm(const Napi::CallbackInfo& info) {
  const Engine& engine = engineOf(info[0]);
  const int group = static_cast<int>(whole(info[1], "group", 1, 2));
  Caller caller(info.Env(), info[4]);
  const Input points(info[2], "points", caller.callbacks()), scalars(info[3], "scalars", caller.callbacks());
  const size_t n = items(scalars, kScalar, "scalars"), size = group == 1 ? 64 : 128;
  if (items(points, size, "points") != n) invalid("points and scalars must be as many");
  Napi::Uint8Array out = Napi::Uint8Array::New(info.Env(), size);
  caller.run([&] { engine.msm(group, points.bytes(), scalars.bytes(), n, caller.control, out.Data()); });
  return out;
}

size_t transformSize(const Input& data) {
  const size_t n = items(data, kScalar, "data");
  if (n == 0 || (n & (n - 1)) != 0 || n > kMaxDomain) invalid("data must be a power of two of values, up to 2^28");
  return n;
}

Napi::Value ntt(const Napi::CallbackInfo& info) {
  const Napi::Value options = info[2];
  const Engine& engine = engineOf(info[0]);
  const bool inverse = flag(option(options, "inverse"), "inverse");
  const bool coset = flag(option(options, "coset"), "coset");
  Caller caller(info.Env(), options);
  const Input data(info[1], "data");
  const size_t n = transformSize(data);
  Napi::Uint8Array out = Napi::Uint8Array::New(info.Env(), data.size());
  std::memcpy(out.Data(), data.bytes().data, data.size());
  caller.run([&] { engine.ntt(out.Data(), n, inverse, coset, caller.control); });
  return out;
}

Napi::Value cards(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const std::shared_ptr<const Cards> cards = Cards::open(path(info[0], "library"));
  Napi::Array list = Napi::Array::New(env);
  for (int device = 0; device < cards->devices(); device++) {
    CardDescription about = {};
    try {
      about = cards->describe(device);
    } catch (const Failure& failure) {
      // The others serve all the same, and keep their numbers.
      std::snprintf(about.name, sizeof about.name, "%s", failure.what());
    }
    const auto version = [&](int32_t cuda) {
      return Napi::String::New(env, std::to_string(cuda / 1000) + "." + std::to_string(cuda % 1000 / 10));
    };
    Napi::Object card = Napi::Object::New(env);
    card["name"] = Napi::String::New(env, about.name);
    card["memoryBytes"] = Napi::Number::New(env, static_cast<double>(about.memoryBytes));
    card["computeCapability"] = Napi::String::New(env, std::to_string(about.major) + "." + std::to_string(about.minor));
    card["multiprocessors"] = Napi::Number::New(env, about.multiprocessors);
    card["clockKhz"] = Napi::Number::New(env, about.clockKhz);
    card["memoryClockKhz"] = Napi::Number::New(env, about.memoryClockKhz);
    card["memoryBusBits"] = Napi::Number::New(env, about.memoryBusBits);
    card["cacheBytes"] = Napi::Number::New(env, static_cast<double>(about.cacheBytes));
    card["driver"] = version(about.driver);
    card["runtime"] = version(about.runtime);
    list[static_cast<uint32_t>(device)] = card;
  }
  Napi::Object result = Napi::Object::New(env);
  result["emulated"] = Napi::Boolean::New(env, cards->emulated());
  result["build"] = Napi::String::New(env, cards->api().build);
  result["cards"] = list;
  return result;
}

unsigned repeatOf(Napi::Value value) {
  return value.IsUndefined() ? 1 : static_cast<unsigned>(whole(value, "repeat", 1, kMaxRepeat));
}

Napi::Value cardMsm(const Napi::CallbackInfo& info) {
  const Napi::Value options = info[5];
  const Engine& engine = engineOf(info[0]);
  const CardChoice choice = cardChoice(info[1]);
  const int group = static_cast<int>(whole(info[2], "group", 1, 2));
  const unsigned repeat = repeatOf(option(options, "repeat"));
  Caller caller(info.Env(), options);
  caller.control.timed = true;
  const Input points(info[3], "points", caller.callbacks()), scalars(info[4], "scalars", caller.callbacks());
  const size_t n = items(scalars, kScalar, "scalars"), size = group == 1 ? 64 : 128;
  if (items(points, size, "points") != n) invalid("points and scalars must be as many");
  Napi::Uint8Array out = Napi::Uint8Array::New(info.Env(), size);
  std::vector<CardTime> times;
  caller.run([&] {
    const std::shared_ptr<const Cards> cards = Cards::open(choice.library);
    engine.cardMsm(*cards, choice.settings, group, points.bytes(), scalars.bytes(), n, repeat, caller.control, out.Data(), &times);
  });
  Napi::Object result = Napi::Object::New(info.Env());
  result["sum"] = out;
  result["times"] = toTimes(info.Env(), times);
  return result;
}

Napi::Value cardNtt(const Napi::CallbackInfo& info) {
  const Napi::Value options = info[3];
  const Engine& engine = engineOf(info[0]);
  const CardChoice choice = cardChoice(info[1]);
  const bool inverse = flag(option(options, "inverse"), "inverse");
  const bool coset = flag(option(options, "coset"), "coset");
  const unsigned repeat = repeatOf(option(options, "repeat"));
  Caller caller(info.Env(), options);
  caller.control.timed = true;
  const Input data(info[2], "data");
  const size_t n = transformSize(data);
  Napi::Uint8Array out = Napi::Uint8Array::New(info.Env(), data.size());
  std::memcpy(out.Data(), data.bytes().data, data.size());
  std::vector<CardTime> times;
  caller.run([&] {
    const std::shared_ptr<const Cards> cards = Cards::open(choice.library);
    engine.cardNtt(*cards, choice.settings, out.Data(), n, inverse, coset, repeat, caller.control, &times);
  });
  Napi::Object result = Napi::Object::New(info.Env());
  result["values"] = out;
  result["times"] = toTimes(info.Env(), times);
  return result;
}

Napi::Object initialise(Napi::Env env, Napi::Object exports) {
  exports["version"] = Napi::Number::New(env, kVersion);
  exports["build"] = Napi::String::New(env, ANCHORPROOF_BUILD);
  const auto add = [&](const char* name, Napi::Value (*function)(const Napi::CallbackInfo&)) {
    exports[name] = Napi::Function::New(env, function, name);
  };
  add("info", guarded<info>);
  add("defaultEngine", guarded<defaultEngine>);
  add("openProvingKey", guarded<openProvingKey>);
  add("provingKeyInfo", guarded<provingKeyInfo>);
  add("closeProvingKey", guarded<closeProvingKey>);
  add("prove", guarded<prove>);
  add("openVerifyingKey", guarded<openVerifyingKey>);
  add("verify", guarded<verify>);
  add("verifyBatch", guarded<verifyBatch>);
  add("setupDevelopment", guarded<setupDevelopment>);
  add("newPtau", guarded<newPtau>);
  add("checkPtau", guarded<checkPtau>);
  add("makeBasis", guarded<makeBasis>);
  add("newPhase2", guarded<newPhase2>);
  add("drawSecret", guarded<drawSecret>);
  add("publicSecret", guarded<publicSecret>);
  add("secretPublicKey", guarded<secretPublicKey>);
  add("secretMultiply", guarded<secretMultiply>);
  add("secretApply", guarded<secretApply>);
  add("closeSecret", guarded<closeSecret>);
  add("verifyPhase2", guarded<verifyPhase2>);
  add("verifyPhase2Step", guarded<verifyPhase2Step>);
  add("poseidon", guarded<poseidon>);
  add("poseidonChains", guarded<poseidonChains>);
  add("contentDigests", guarded<contentDigests>);
  add("poseidonTraces", guarded<poseidonTraces>);
  add("chainTraces", guarded<chainTraces>);
  add("fieldOp", guarded<fieldOp>);
  add("fieldTimings", guarded<fieldTimings>);
  add("msm", guarded<msm>);
  add("ntt", guarded<ntt>);
  add("cards", guarded<cards>);
  add("cardMsm", guarded<cardMsm>);
  add("cardNtt", guarded<cardNtt>);
  return exports;
}

}  // namespace
}  // namespace anchorproof

static Napi::Object initialiseAddon(Napi::Env env, Napi::Object exports) {
  return anchorproof::initialise(env, exports);
}

NODE_API_MODULE(anchorproof, initialiseAddon)
