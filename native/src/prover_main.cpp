// anchorproof-prover: makes one proof and ends. The command line, the files and their format are those of rapidsnark's
// `prover`, which it can replace.
//
// With --cuda a GPU proves; what it cannot do, the processor does, and a line on stderr says so.
//
// Four differences: a key that lets anyone forge is refused, the proof is verified before anything is written, both files
// appear whole or not at all, and the witness may come from a pipe, so that it need not touch the disk.
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <new>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#if defined(__linux__)
#include <sched.h>
#endif

#include "api.h"
#include "cards.h"
#include "zkey.h"

namespace anchorproof {
namespace {

constexpr char kUsage[] =
    "usage: anchorproof-prover KEY.zkey WITNESS.wtns PROOF.json PUBLIC.json [--threads N] [--prepared DIR] "
    "[--cuda[=LIBRARY]] [--device N]";
constexpr unsigned kMaxThreads = 256, kMaxDevice = 255;
constexpr int kPollMs = 50;
constexpr size_t kScalar = 32, kG1 = 64, kG2 = 128;

struct UsageError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Set by a signal, polled by the engine.
std::atomic<int32_t> stopped{0};
static_assert(std::atomic<int32_t>::is_always_lock_free, "a signal handler sets it");

extern "C" void onSignal(int) { stopped.store(1); }

void handleSignals() {
  struct sigaction action = {};
  // Waits end, since SA_RESTART is missing. A second signal ends the process at once.
  action.sa_handler = onSignal;
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  for (int signal : {SIGINT, SIGTERM}) ::sigaction(signal, &action, nullptr);
  // A reader that went away is an error of write().
  std::signal(SIGPIPE, SIG_IGN);
}

void throwIfStopped() {
  if (stopped.load() != 0) throw Failure(Code::Aborted, "stopped on request");
}

[[noreturn]] void ioFailure(const std::string& path, const char* what) {
  const int error = errno;
  throwIfStopped();
  throw Failure(Code::Io, path + " " + what + ": " + std::strerror(error));
}

// ---- arguments ----

struct Arguments {
  std::string key, witness, proof, publics, prepared, library;
  unsigned threads = 0;
  bool cuda = false;
  int device = 0;
};

// The cores that this process may use, which `taskset` and containers cut down.
unsigned allowedCores() {
#if defined(__linux__)
  cpu_set_t cores;
  if (::sched_getaffinity(0, sizeof cores, &cores) == 0) return static_cast<unsigned>(CPU_COUNT(&cores));
#endif
  return std::max(1u, std::thread::hardware_concurrency());
}

unsigned numberOf(const std::string& option, const std::string& text, unsigned min, unsigned max) {
  const bool digits = !text.empty() && text.size() <= 3 && text.find_first_not_of("0123456789") == std::string::npos;
  const unsigned long value = digits ? std::stoul(text) : 0;
  if (!digits || value < min || value > max) {
    throw UsageError(option + " takes " + std::to_string(min) + " to " + std::to_string(max));
  }
  return static_cast<unsigned>(value);
}

// Where the build puts the GPU library, seen from this program.
std::string builtLibrary() {
  std::error_code error;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", error);
  return (self.parent_path().parent_path() / "cuda" / "anchorproof-cuda.so").string();
}

Arguments parse(const std::vector<std::string>& words) {
  Arguments result;
  std::vector<std::string> files;
  bool options = true;
  for (size_t i = 0; i < words.size(); i++) {
    const std::string& word = words[i];
    if (!options || word.size() < 2 || word[0] != '-') {
      files.push_back(word);
    } else if (word == "--") {
      options = false;
    } else {
      const size_t equals = word.find('=');
      const std::string name = word.substr(0, equals);
      if (name == "--cuda") {
        result.cuda = true;
        if (equals == std::string::npos) continue;
        result.library = word.substr(equals + 1);
        if (result.library.empty()) throw UsageError("--cuda= takes a library");
        continue;
      }
      if (name != "--threads" && name != "--prepared" && name != "--device") throw UsageError("there is no option " + name);
      if (equals == std::string::npos && i + 1 == words.size()) throw UsageError(name + " takes a value");
      const std::string value = equals == std::string::npos ? words[++i] : word.substr(equals + 1);
      if (name == "--threads") {
        result.threads = numberOf(name, value, 1, kMaxThreads);
      } else if (name == "--device") {
        result.device = static_cast<int>(numberOf(name, value, 0, kMaxDevice));
        result.cuda = true;
      } else {
        if (value.empty()) throw UsageError("--prepared takes a folder");
        result.prepared = value;
      }
    }
  }
  if (files.size() != 4) throw UsageError("it takes four files");
  for (const std::string& file : files) {
    if (file.empty()) throw UsageError("the name of a file is empty");
  }
  result.key = files[0];
  result.witness = files[1];
  result.proof = files[2];
  result.publics = files[3];
  if (result.threads == 0) result.threads = std::min(allowedCores(), kMaxThreads);
  return result;
}

// ---- files ----

void wipe(void* data, size_t size) {
  volatile uint8_t* bytes = static_cast<volatile uint8_t*>(data);
  while (size--) *bytes++ = 0;
}

class File {
 public:
  // name: what messages call it.
  File(const std::string& path, int flags, const std::string& name)
      : fd_(::open(path.c_str(), flags | O_CLOEXEC, 0666)), name_(name) {
    if (fd_ < 0) ioFailure(name_, "cannot be opened");
  }
  File(const File&) = delete;
  ~File() {
    if (fd_ >= 0) ::close(fd_);
  }

  uint64_t sizeIfRegular() const {
    struct stat info;
    return ::fstat(fd_, &info) == 0 && S_ISREG(info.st_mode) ? static_cast<uint64_t>(info.st_size) : 0;
  }

  // How many bytes came; none at the end. Of a file opened with O_NONBLOCK: a pipe that nobody writes to is waited for
  // in short steps, so that no signal is missed between a look at the flag and the wait.
  size_t read(uint8_t* to, size_t size) const {
    for (;;) {
      throwIfStopped();
      struct pollfd wanted = {fd_, POLLIN, 0};
      if (::poll(&wanted, 1, kPollMs) <= 0) continue;
      const ssize_t got = ::read(fd_, to, size);
      if (got >= 0) return static_cast<size_t>(got);
      if (errno != EINTR && errno != EAGAIN) ioFailure(name_, "cannot be read");
    }
  }

  void write(const std::string& text) {
    for (size_t done = 0; done < text.size();) {
      throwIfStopped();
      const ssize_t put = ::write(fd_, text.data() + done, text.size() - done);
      if (put > 0) done += static_cast<size_t>(put);
      if (put < 0 && errno != EINTR) ioFailure(name_, "cannot be written");
    }
    // Some file systems tell of a full disk only now.
    if (::close(std::exchange(fd_, -1)) != 0) ioFailure(name_, "cannot be written");
  }

 private:
  int fd_;
  std::string name_;
};

// A witness in memory. Nothing of it is left behind there.
class Witness {
 public:
  // variables: the key's; a pipe that gives more than their values is not read to its end.
  Witness(const File& file, uint64_t variables) {
    const uint64_t limit = variables * kScalar + 4096;
    grow(std::min(limit, std::max<uint64_t>(file.sizeIfRegular(), 65535)) + 1);
    while (const size_t got = file.read(data_.get() + size_, capacity_ - size_)) {
      size_ += got;
      if (size_ > limit) throw Failure(Code::WitnessInvalid, "the witness is longer than the key's");
      if (size_ == capacity_) grow(std::min<uint64_t>(limit + 1, 2 * capacity_));
    }
  }
  Witness(const Witness&) = delete;
  ~Witness() { wipe(data_.get(), size_); }

  Bytes bytes() const { return {data_.get(), size_}; }

 private:
  std::unique_ptr<uint8_t[]> data_;
  size_t capacity_ = 0, size_ = 0;

  void grow(uint64_t capacity) {
    std::unique_ptr<uint8_t[]> wider(new uint8_t[capacity]);
    if (size_ > 0) std::memcpy(wider.get(), data_.get(), size_);
    wipe(data_.get(), size_);
    data_ = std::move(wider);
    capacity_ = capacity;
  }
};

// A file to be written: beside its place first, then renamed into it. Devices and pipes are written as they are.
class Output {
 public:
  explicit Output(const std::string& path) : shown_(path) {
    std::error_code error;
    const std::filesystem::file_status status = std::filesystem::status(path, error);
    if (std::filesystem::is_directory(status)) throw Failure(Code::Io, path + " cannot be written: it is a folder");
    isFile_ = !std::filesystem::exists(status) || std::filesystem::is_regular_file(status);
    // Behind links, as a plain write would be.
    if (isFile_) target_ = std::filesystem::weakly_canonical(std::filesystem::absolute(path), error).string();
    if (error && isFile_) throw Failure(Code::Io, path + " cannot be written: " + error.message());
  }
  Output(const Output&) = delete;
  ~Output() {
    if (!beside_.empty()) ::unlink(beside_.c_str());
  }

  bool isSameFile(const Output& other) const { return isFile_ && target_ == other.target_; }
  bool isSameFile(const std::string& input) const {
    std::error_code error;
    return isFile_ && std::filesystem::equivalent(target_, input, error);
  }

  void prepare(const std::string& text) {
    if (!isFile_) {
      text_ = text;
      return;
    }
    std::random_device random;
    const std::string beside = target_ + "." + std::to_string(random()) + std::to_string(random()) + ".tmp";
    File file(beside, O_WRONLY | O_CREAT | O_EXCL, shown_);
    beside_ = beside;
    file.write(text);
  }

  void commit() {
    if (!isFile_) return File(shown_, O_WRONLY, shown_).write(text_);
    if (::rename(beside_.c_str(), target_.c_str()) != 0) ioFailure(shown_, "cannot be written");
    beside_.clear();
  }

  void undo() {
    if (isFile_) ::unlink(target_.c_str());
  }

 private:
  std::string shown_, target_, beside_, text_;
  bool isFile_ = false;
};

// ---- JSON, as snarkjs writes it ----

// 32 bytes, little-endian
std::string decimal(const uint8_t* bytes) {
  constexpr uint64_t kChunk = 10'000'000'000'000'000'000u;  // 10^19
  uint64_t limbs[4];
  std::memcpy(limbs, bytes, sizeof limbs);
  std::string text;
  for (bool more = true; more;) {
    unsigned __int128 rest = 0;
    more = false;
    for (int i = 3; i >= 0; i--) {
      rest = rest << 64 | limbs[i];
      limbs[i] = static_cast<uint64_t>(rest / kChunk);
      rest %= kChunk;
      more |= limbs[i] != 0;
    }
    uint64_t chunk = static_cast<uint64_t>(rest);
    for (int digit = 0; digit < 19 && (more || chunk > 0); digit++, chunk /= 10) {
      text.push_back(static_cast<char>('0' + chunk % 10));
    }
  }
  if (text.empty()) return "0";
  std::reverse(text.begin(), text.end());
  return text;
}

std::string quoted(const std::string& text) { return '"' + text + '"'; }

// Items that are JSON already, each on a line, indented by one space a level.
std::string list(const std::vector<std::string>& items, int level) {
  if (items.empty()) return "[]";
  std::string text = "[";
  for (const std::string& item : items) {
    if (text.size() > 1) text += ',';
    text += '\n' + std::string(level, ' ') + item;
  }
  return text + '\n' + std::string(level - 1, ' ') + ']';
}

std::string proofJson(const uint8_t (&bytes)[256]) {
  const auto at = [&](int i) { return quoted(decimal(bytes + i * kScalar)); };
  const auto g1 = [&](int i) { return list({at(i), at(i + 1), quoted("1")}, 2); };
  const auto pair = [](const std::string& a, const std::string& b) { return list({a, b}, 3); };
  const std::string b = list({pair(at(2), at(3)), pair(at(4), at(5)), pair(quoted("1"), quoted("0"))}, 2);
  return "{\n \"pi_a\": " + g1(0) + ",\n \"pi_b\": " + b + ",\n \"pi_c\": " + g1(6) +
         ",\n \"protocol\": \"groth16\",\n \"curve\": \"bn128\"\n}";
}

std::string publicsJson(const std::vector<uint8_t>& publics) {
  std::vector<std::string> items;
  for (size_t i = 0; i < publics.size(); i += kScalar) items.push_back(quoted(decimal(publics.data() + i)));
  return list(items, 1);
}

// ---- the verifying key within the proving key ----

// Sections 2 (after its numbers α₁ β₁ β₂ γ₂ δ₁ δ₂) and 3 (IC), whose coordinates are in Montgomery form, x·2^256.
std::vector<uint8_t> readVerifyingKey(const std::string& path, uint32_t publics) {
  constexpr size_t kNumbers = 4 + 32 + 4 + 32 + 3 * 4, kHead = kG1 + 3 * kG2;
  const InputFile file(path);
  const auto read = [&](uint64_t at, void* out, size_t size) { file.read(at, out, size, Code::KeyMalformed); };
  const auto sections = readSections(file.size(), "zkey", 1, Code::KeyMalformed, read);
  const Section header = sectionOf(sections, 2, Code::KeyMalformed);
  const Section inputs = sectionOf(sections, 3, Code::KeyMalformed);
  const uint64_t inputsSize = (uint64_t{publics} + 1) * kG1;
  if (header.size != kNumbers + 3 * kG1 + 3 * kG2 || inputs.size != inputsSize) {
    throw Failure(Code::KeyMalformed, "the .zkey is malformed: its verifying key has the wrong length");
  }
  std::vector<uint8_t> key(kHead + inputsSize);
  const uint64_t points = header.offset + kNumbers;
  read(points, key.data(), kG1);
  read(points + 2 * kG1, key.data() + kG1, 2 * kG2);
  read(points + 3 * kG1 + 2 * kG2, key.data() + kG1 + 2 * kG2, kG2);
  read(inputs.offset, key.data() + kHead, inputsSize);

  // 2^-256 modulo the base field's prime
  static constexpr uint8_t kInverse[kScalar] = {0x37, 0xfa, 0x4a, 0x01, 0x4a, 0x88, 0x84, 0xed, 0xf8, 0xed, 0x78,
                                                0x02, 0x85, 0x22, 0x20, 0xeb, 0xd9, 0x92, 0x44, 0xb7, 0xcf, 0xe9,
                                                0x63, 0xcf, 0x39, 0xc6, 0xe5, 0x59, 0x71, 0x15, 0x67, 0x2e};
  std::vector<uint8_t> factors(key.size());
  for (size_t i = 0; i < factors.size(); i += kScalar) std::memcpy(factors.data() + i, kInverse, kScalar);
  try {
    engine().field(true, FieldOp::Mul, {key.data(), key.size()}, {factors.data(), factors.size()},
                   key.size() / kScalar, key.data());
  } catch (const Failure&) {
    throw Failure(Code::KeyMalformed, "the .zkey is malformed: its verifying key is outside the field");
  }
  return key;
}

// α β γ δ and IC, as above. What phase 2 leaves until somebody contributes, γ = δ, lets anybody forge, and so do the others;
// points with one x are equal up to sign. The whole lint, contributions and all, is `anchorproof key lint`'s.
void lint(const std::vector<uint8_t>& key) {
  const uint8_t *beta = key.data() + kG1, *gamma = beta + kG2, *delta = gamma + kG2;
  const auto alike = [](const uint8_t* a, const uint8_t* b) { return std::memcmp(a, b, kG2 / 2) == 0; };
  if (alike(gamma, delta) || alike(beta, delta) || alike(beta, gamma)) {
    throw Failure(Code::KeyForgeable, "this key lets anyone forge proofs: two of beta, gamma and delta are equal up to sign");
  }
}

// Of a proof that was just made, so a malformed one is as invalid as any.
bool isValid(const VerifyingKey& key, const Proof& proof) {
  try {
    return key.verify({proof.publics.data(), proof.publics.size()}, {proof.bytes, sizeof proof.bytes});
  } catch (const Failure& failure) {
    if (failure.code == Code::ProofMalformed) return false;
    throw;
  }
}

// One line on stderr.
void say(const std::string& message) {
  std::string line = "anchorproof-prover: " + message;
  for (char& c : line) {
    if (static_cast<unsigned char>(c) < ' ') c = '?';  // of a file's name
  }
  std::fprintf(stderr, "%s\n", line.c_str());
}

// What a card cannot do, the processor does instead.
bool servesElsewhere(const Failure& failure) {
  return failure.code == Code::CudaUnavailable || failure.code == Code::CudaFailed || failure.code == Code::ProveFailed ||
         failure.code == Code::OutOfMemory;
}

// The key on the card that is asked for; nothing, and a line that says why, when it cannot be there.
std::unique_ptr<ProvingKey> openCardKey(const Arguments& arguments, const Control& control) {
  const char* wanted = std::getenv("ANCHORPROOF_CUDA");
  std::string library = arguments.library;
  if (library.empty()) library = wanted && *wanted ? wanted : builtLibrary();
  try {
    if (arguments.library.empty() && library == "off") throw NoCards(NoCards::None, "ANCHORPROOF_CUDA is off");
    CardSettings settings;
    settings.device = arguments.device;
    return engine().openCardKey(Cards::open(library), settings, arguments.key, control);
  } catch (const Failure& failure) {
    if (!servesElsewhere(failure)) throw;
    say(std::string(failure.what()) + "; the processor proves");
    return nullptr;
  }
}

// On the card where there is a key on it, and on the processor what a card did not do, or did wrong. The proof may be invalid.
Proof prove(const Arguments& arguments, std::unique_ptr<ProvingKey> cardKey, std::unique_ptr<ProvingKey> key,
            const VerifyingKey& verifyingKey, Bytes witness, const Control& control) {
  if (cardKey) {
    try {
      const Proof proof = cardKey->prove(witness, control, nullptr);
      if (isValid(verifyingKey, proof)) return proof;
      say("the card's proof does not verify; the processor proves");
    } catch (const Failure& failure) {
      if (!servesElsewhere(failure)) throw;
      say(std::string(failure.what()) + "; the processor proves");
    }
    cardKey.reset();
    key = engine().openProvingKey(arguments.key, arguments.prepared, control);
  }
  return key->prove(witness, control, nullptr);
}

void run(const Arguments& arguments) {
  Output proofFile(arguments.proof), publicsFile(arguments.publics);
  if (proofFile.isSameFile(publicsFile)) throw UsageError("PROOF.json and PUBLIC.json are one file");
  for (const std::string& input : {arguments.key, arguments.witness}) {
    if (proofFile.isSameFile(input) || publicsFile.isSameFile(input)) throw UsageError("a result would replace " + input);
  }
  Control control;
  control.threads = arguments.threads;
  control.abort = &stopped;
  const File witnessFile(arguments.witness, O_RDONLY | O_NONBLOCK, arguments.witness);
  std::unique_ptr<ProvingKey> cardKey, key;
  if (arguments.cuda) cardKey = openCardKey(arguments, control);
  if (!cardKey) key = engine().openProvingKey(arguments.key, arguments.prepared, control);
  const KeyInfo info = (cardKey ? cardKey : key)->info();
  const std::vector<uint8_t> bytes = readVerifyingKey(arguments.key, info.publics);
  const std::unique_ptr<VerifyingKey> verifyingKey = engine().openVerifyingKey({bytes.data(), bytes.size()});
  lint(bytes);
  const Witness witness(witnessFile, info.variables);
  const Proof proof = prove(arguments, std::move(cardKey), std::move(key), *verifyingKey, witness.bytes(), control);
  if (!isValid(*verifyingKey, proof)) {
    throw Failure(Code::ProveFailed, "the proof does not verify: the witness breaks the circuit, or the key is damaged");
  }
  proofFile.prepare(proofJson(proof.bytes));
  publicsFile.prepare(publicsJson(proof.publics));
  throwIfStopped();
  proofFile.commit();
  try {
    publicsFile.commit();
  } catch (...) {
    proofFile.undo();
    throw;
  }
}

int fail(int status, const std::string& message) {
  say(message);
  return status;
}

int start(const std::vector<std::string>& words) {
  Arguments arguments;
  try {
    // build.mjs asks for it.
    if (words == std::vector<std::string>{"--build"}) return std::puts(ANCHORPROOF_BUILD) < 0;
    if (words == std::vector<std::string>{"--help"}) return std::puts(kUsage) < 0;
    arguments = parse(words);
    handleSignals();
    run(arguments);
    return 0;
  } catch (const UsageError& error) {
    return fail(2, std::string(error.what()) + " (" + kUsage + ")");
  } catch (const Failure& failure) {
    const std::string& about = failure.code == Code::KeyMalformed     ? arguments.key + ": "
                               : failure.code == Code::WitnessInvalid ? arguments.witness + ": "
                                                                      : "";
    return fail(1, about + failure.what());
  } catch (const std::bad_alloc&) {
    return fail(1, "out of memory");
  } catch (const std::exception& error) {
    return fail(1, error.what());
  }
}

}  // namespace
}  // namespace anchorproof

int main(int count, char** words) { return anchorproof::start({words + 1, words + count}); }
