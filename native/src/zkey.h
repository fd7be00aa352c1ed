// snarkjs' binary containers: .zkey (Groth16 over BN254), .ptau, .r1cs and .wtns. Independent of the instruction set, and compiled for
// the baseline (engine_std.h includes it).
//
// The key is read with pread in bounded pieces, not mapped: a file that shrinks while it is mapped kills the process
// with SIGBUS, and pages that were touched once would count as memory for as long as the key lives.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <map>

#include "api.h"

namespace anchorproof {

class InputFile {
 public:
  explicit InputFile(const std::string& path) {
    fd_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd_ < 0) throw Failure(Code::Io, path + " cannot be opened: " + strerror(errno));
    struct stat info;
    if (::fstat(fd_, &info) != 0 || !S_ISREG(info.st_mode)) {
      ::close(fd_);
      throw Failure(Code::Io, path + " is not a file");
    }
    size_ = (uint64_t)info.st_size;
    identity_ = identityOf(info);
  }
  InputFile(const InputFile&) = delete;
  ~InputFile() { ::close(fd_); }

  uint64_t size() const { return size_; }

  // Another file, or the same one after a write, differs in it.
  using Identity = std::array<uint64_t, 7>;
  const Identity& identity() const { return identity_; }
  bool isUnchanged() const {
    struct stat info;
    return ::fstat(fd_, &info) == 0 && identityOf(info) == identity_;
  }

  // Safe to call from several threads.
  void read(uint64_t offset, void* out, size_t size, Code code) const {
    uint8_t* to = static_cast<uint8_t*>(out);
    while (size > 0) {
      ssize_t got = ::pread(fd_, to, size, (off_t)offset);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) throw Failure(Code::Io, std::string("reading failed: ") + strerror(errno));
      if (got == 0) throw Failure(code, "the file ends too early");
      to += got;
      offset += (uint64_t)got;
      size -= (size_t)got;
    }
  }

 private:
  static Identity identityOf(const struct stat& info) {
#if defined(__APPLE__)
    const struct timespec modified = info.st_mtimespec, changed = info.st_ctimespec;
#else
    const struct timespec modified = info.st_mtim, changed = info.st_ctim;
#endif
    return {(uint64_t)info.st_dev,         (uint64_t)info.st_ino,       (uint64_t)info.st_size,
            (uint64_t)modified.tv_sec,     (uint64_t)modified.tv_nsec,  (uint64_t)changed.tv_sec,
            (uint64_t)changed.tv_nsec};
  }

  int fd_;
  uint64_t size_;
  Identity identity_;
};

struct Section {
  uint64_t offset = 0, size = 0;
};

// An entry of a .zkey's section 4: matrix, row, wire, value.
constexpr size_t COEFFICIENT_BYTES = 4 + 4 + 4 + 32;

// magic, version, then sections of (type, length, content). Every section at most once.
template <class Read>
std::map<uint32_t, Section> readSections(uint64_t size, const char* magic, uint32_t version, Code code, Read read) {
  uint8_t head[12];
  if (size < sizeof head) throw Failure(code, "the file is too short");
  read(0, head, sizeof head);
  uint32_t words[2];
  memcpy(words, head + 4, 8);
  if (memcmp(head, magic, 4) != 0) throw Failure(code, std::string("this is not a .") + magic + " file");
  if (words[0] != version) throw Failure(code, "the file has an unknown version");
  if (words[1] > 64) throw Failure(code, "the file has too many sections");
  std::map<uint32_t, Section> sections;
  uint64_t at = sizeof head;
  for (uint32_t i = 0; i < words[1]; i++) {
    uint8_t entry[12];
    if (size - at < sizeof entry) throw Failure(code, "the file ends within a section's header");
    read(at, entry, sizeof entry);
    uint32_t type;
    uint64_t length;
    memcpy(&type, entry, 4);
    memcpy(&length, entry + 4, 8);
    at += sizeof entry;
    if (length > size - at) throw Failure(code, "the file ends within a section");
    if (!sections.emplace(type, Section{at, length}).second) throw Failure(code, "a section appears twice");
    at += length;
  }
  if (at != size) throw Failure(code, "the file has bytes after its last section");
  return sections;
}

inline Section sectionOf(const std::map<uint32_t, Section>& sections, uint32_t type, Code code) {
  auto found = sections.find(type);
  if (found == sections.end()) throw Failure(code, "section " + std::to_string(type) + " is missing");
  return found->second;
}

// Writes such a container, section after section, whose sizes are known beforehand. The file must not exist yet. What is
// left unfinished is removed.
class OutputFile {
 public:
  OutputFile(const std::string& path, const char* magic, uint32_t version, uint32_t sections) : path_(path) {
    // Proving keys hold a model's weights, so they are for their owner only.
    fd_ = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd_ < 0) throw Failure(Code::Io, path + " cannot be made: " + strerror(errno));
    uint8_t head[12];
    memcpy(head, magic, 4);
    memcpy(head + 4, &version, 4);
    memcpy(head + 8, &sections, 4);
    try {
      write(0, head, sizeof head);
    } catch (...) {
      discard();
      throw;
    }
    end_ = sizeof head;
  }
  OutputFile(const OutputFile&) = delete;
  ~OutputFile() { discard(); }

  // Begins the next section; its content then belongs at the offset that is returned.
  uint64_t section(uint32_t type, uint64_t size) {
    uint8_t head[12];
    memcpy(head, &type, 4);
    memcpy(head + 4, &size, 8);
    write(end_, head, sizeof head);
    uint64_t at = end_ + sizeof head;
    end_ = at + size;
    return at;
  }
  void section(uint32_t type, const void* content, uint64_t size) { write(section(type, size), content, size); }

  // Safe to call from several threads.
  void write(uint64_t offset, const void* data, size_t size) {
    const uint8_t* from = static_cast<const uint8_t*>(data);
    while (size > 0) {
      ssize_t put = ::pwrite(fd_, from, size, (off_t)offset);
      if (put < 0 && errno == EINTR) continue;
      if (put <= 0) throw Failure(Code::Io, "writing " + path_ + " failed: " + strerror(errno));
      from += put;
      offset += (uint64_t)put;
      size -= (size_t)put;
    }
  }

  // The file is whole, and on the disk: what is renamed afterwards must not turn out empty after a crash.
  void finish() {
    if (::fsync(fd_) != 0) throw Failure(Code::Io, "writing " + path_ + " failed: " + strerror(errno));
    finished_ = true;
  }

 private:
  std::string path_;
  int fd_;
  uint64_t end_ = 0;
  bool finished_ = false;

  void discard() {
    ::close(fd_);
    if (!finished_) ::unlink(path_.c_str());
  }
};

}  // namespace anchorproof
