#include "cards.h"

#include <dlfcn.h>

#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>

#if defined(__linux__)
#include <elf.h>
#include <link.h>
#endif

#include "zkey.h"

namespace anchorproof {
namespace {

std::string firstLine(const char* text) {
  const std::string line = text ? text : "unknown reason";
  return line.substr(0, line.find('\n'));
}

// A library whose file is cut short would end the process: the loader maps what is not there. What is no ELF file the loader
// refuses itself.
bool isWhole(const InputFile& file) {
#if defined(__linux__)
  ElfW(Ehdr) header;
  if (file.size() < sizeof header) return false;
  file.read(0, &header, sizeof header, Code::Io);
  if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0) return true;
  const auto inside = [&](uint64_t offset, uint64_t size) { return offset <= file.size() && size <= file.size() - offset; };
  if (header.e_phentsize != sizeof(ElfW(Phdr)) || !inside(header.e_phoff, uint64_t{header.e_phnum} * header.e_phentsize)) return false;
  for (unsigned i = 0; i < header.e_phnum; i++) {
    ElfW(Phdr) segment;
    file.read(header.e_phoff + uint64_t{i} * sizeof segment, &segment, sizeof segment, Code::Io);
    if (segment.p_type == PT_LOAD && !inside(segment.p_offset, segment.p_filesz)) return false;
  }
  return inside(header.e_shoff, uint64_t{header.e_shnum} * header.e_shentsize);
#else
  return file.size() > 0;
#endif
}

// The library is not closed again once CUDA may have started threads in it: the process keeps it.
std::shared_ptr<const Cards> load(const std::string& path) {
  void* library = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library) throw NoCards(NoCards::Broken, "the GPU library does not load: " + firstLine(::dlerror()));
  const auto table = reinterpret_cast<decltype(&anchorproof_cards)>(::dlsym(library, "anchorproof_cards"));
  const CardApi* api = table ? table() : nullptr;
  if (!api || api->version != CARD_VERSION) {
    // Closed, so that the build that replaces it is found under the same name.
    ::dlclose(library);
    throw NoCards(NoCards::Broken, table ? path + " was built from another release (npm run build:cuda)"
                                         : path + " is not anchorproof's GPU library (npm run build:cuda)");
  }
  CardStatus status = {};
  const int devices = api->devices(&status);
  if (status.code != CARD_OK && status.code != CARD_UNAVAILABLE) throwCardStatus(status);
  if (devices < 1 || status.code != CARD_OK) {
    status.message[sizeof status.message - 1] = '\0';
    throw NoCards(NoCards::None, *status.message ? firstLine(status.message) : "no CUDA card");
  }
  return std::make_shared<const Cards>(api, devices);
}

}  // namespace

std::shared_ptr<const Cards> Cards::open(const std::string& library) {
  // Never destroyed: threads may outlive the process's static objects.
  static std::mutex* const mutex = new std::mutex;
  static auto* const opened = new std::map<std::string, std::shared_ptr<const Cards>>;
  const std::unique_ptr<char, decltype(&std::free)> real(::realpath(library.c_str(), nullptr), &std::free);
  if (!real) {
    if (errno == ENOENT) throw NoCards(NoCards::Missing, "the GPU library is not built (npm run build:cuda): there is no " + library);
    throw NoCards(NoCards::Broken, "the GPU library does not load: " + library + ": " + std::strerror(errno));
  }
  try {
    if (!isWhole(InputFile(real.get()))) throw Failure(Code::Io, library + " is cut short");
  } catch (const Failure& failure) {
    throw NoCards(NoCards::Broken, std::string("the GPU library does not load: ") + failure.what());
  }
  const std::lock_guard<std::mutex> lock(*mutex);
  // What failed is not kept: the next call may find a library that was built meanwhile.
  const auto found = opened->find(real.get());
  return found != opened->end() ? found->second : opened->emplace(real.get(), load(real.get())).first->second;
}

void Cards::check(int device) const {
  if (device >= 0 && device < devices_) return;
  const std::string there = devices_ == 1 ? "is card 0 only" : "are cards 0 to " + std::to_string(devices_ - 1);
  throw Failure(Code::InputInvalid, "there is no card " + std::to_string(device) + ": there " + there);
}

CardDescription Cards::describe(int device) const {
  check(device);
  CardDescription description = {};
  CardStatus status = {};
  api_->describe(device, &description, &status);
  throwCardStatus(status);
  description.name[sizeof description.name - 1] = '\0';
  return description;
}

CardLimits Cards::limits(int device) const {
  check(device);
  CardLimits limits = {};
  CardStatus status = {};
  api_->limits(device, &limits, &status);
  throwCardStatus(status);
  return limits;
}

void throwCardStatus(const CardStatus& status) {
  if (status.code == CARD_OK) return;
  std::string message(status.message, ::strnlen(status.message, sizeof status.message));
  message = message.empty() ? "the card gave no reason" : firstLine(message.c_str());
  if (status.lost != 0) message += "; the card serves this process no more";
  switch (status.code) {
    case CARD_UNAVAILABLE: throw NoCards(NoCards::None, message);
    case CARD_OUT_OF_MEMORY: throw Failure(Code::OutOfMemory, message);
    case CARD_ABORTED: throw Failure(Code::Aborted, "stopped");
    case CARD_INPUT_INVALID: throw Failure(Code::InputInvalid, message);
    case CARD_WITNESS_INVALID: throw Failure(Code::WitnessInvalid, message);
    default: throw CardFailure(message, status.lost != 0);
  }
}

}  // namespace anchorproof
