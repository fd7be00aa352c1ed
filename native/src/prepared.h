// Prepared keys: what a proving key becomes in memory, with the multiples of its points, kept in a file so that the
// next process reads it instead of computing it.
//
// The file is named by the verifying key and belongs to one form of the lanes. It holds the identity and the SHA-256 of
// the .zkey that it was made from: of the same file it is taken as it is, of another one after that file's SHA-256 was
// compared. It is read, not mapped: a mapping would cost a fault a page, could not lie on huge pages, and dies with
// SIGBUS when the file shrinks. What is read is checked by checksum against accidents; indices and coordinates are
// checked besides, since memory safety hangs on them. The folder must be the user's own: whoever can write there can
// make proofs fail, and learn from which ones do.
#pragma once

#include "provingkey.h"

namespace anchorproof {
namespace ENGINE_NS {

// Multiples take sixteen to twenty times the memory of the points. They make the multiplications of small keys up to
// twice as fast (2^10 rows); at 2^14 rows and 60 MB, `bench prove` showed nothing for them any more, as the points no
// longer lie in the caches. Beyond this many bytes they are left out.
constexpr size_t TABLE_LIMIT = (size_t)16 << 20;

template <class F>
size_t tableBytes(const KeyPoints<F>& k) {
  size_t n = k.points.size();
  return n * sizeof(Affine<F>) * windowsOf(Msm<F>::bestWindow(n, true));
}

template <class F>
void addTable(KeyPoints<F>& k, const Control& control) {
  size_t n = k.points.size();
  unsigned c = Msm<F>::bestWindow(n, true);
  size_t levels = windowsOf(c);
  PageVector<Affine<F>> table(n * levels);
  constexpr size_t PIECE = 1024;
  parallel(control, (n + PIECE - 1) / PIECE, [&](size_t piece, size_t) {
    size_t from = piece * PIECE, count = std::min(PIECE, n - from), padded = (count + LANES - 1) / LANES * LANES;
    std::vector<Affine<F>> current(padded, Affine<F>::infinity());
    std::copy_n(k.points.data() + from, count, current.data());
    BatchScratch<F> scratch;
    for (size_t level = 0; level < levels; level++) {
      std::copy_n(current.data(), count, table.data() + level * n + from);
      if (level + 1 == levels) break;
      throwIfAborted(control);
      for (unsigned i = 0; i < c; i++) doublePoints(current.data(), padded, scratch);
    }
  });
  k.points = std::move(table);
  k.table = {c, (unsigned)levels};
}

inline void addTables(KeyMaterial& key, const Control& control) {
  if (tableBytes(key.a) + tableBytes(key.b1) + tableBytes(key.b2) + tableBytes(key.ch) > TABLE_LIMIT) return;
  addTable(key.a, control);
  addTable(key.b1, control);
  addTable(key.b2, control);
  addTable(key.ch, control);
}

class PreparedFile {
 public:
  PreparedFile(const std::string& folder, const KeyReader& reader) : folder_(folder), reader_(reader) {
    static const char* hex = "0123456789abcdef";
    for (uint8_t byte : reader.name()) {
      path_ += hex[byte >> 4];
      path_ += hex[byte & 15];
    }
    path_ = folder + "/" + path_ + "-" + std::to_string(LANES) + ".prepared";
  }

  // False when there is no file, or none of use: then it is to be made again.
  bool load(KeyMaterial& out, const Control& control) const {
    if (!isOwnFolder()) return false;
    try {
      InputFile file(path_);
      KeyMaterial key = reader_.header();
      Head head;
      file.read(0, &head, sizeof head, Code::Io);
      if (memcmp(head.magic, MAGIC, sizeof head.magic) != 0 || headSum(head) != head.headSum) return false;
      if (head.identity != reader_.identity() && head.digest != reader_.digest(control)) return false;
      uint64_t at = sizeof head;
      size_t index = 0;
      u64 sum = 0;
      bool complete = true;
      eachArray(key, [&](auto& array) {
        using T = std::decay_t<decltype(array[0])>;
        uint64_t count = head.counts[index++];
        if (!complete || count > (file.size() - at) / sizeof(T)) {
          complete = false;
          return;
        }
        array.resize(count);
        sum += readArray(file, at, array.data(), count * sizeof(T), index, control);
        at += count * sizeof(T);
      });
      if (!complete || at != file.size() || sum != head.checksum) return false;
      WindowTable* tables[4] = {&key.a.table, &key.b1.table, &key.b2.table, &key.ch.table};
      for (int i = 0; i < 4; i++) *tables[i] = {head.windows[i], head.levels[i]};
      if (!isSound(key, control)) return false;
      out = std::move(key);
      return true;
    } catch (const Failure& failure) {
      if (failure.code == Code::Aborted) throw;
      return false;
    }
  }

  // Beside, then renamed. A file that cannot be written costs the next process its time, and nothing else.
  void save(KeyMaterial& key, const Control& control) const {
    ::mkdir(folder_.c_str(), 0700);  // if it is not there
    if (!isOwnFolder()) return;
    Head head{};
    memcpy(head.magic, MAGIC, sizeof head.magic);
    head.identity = reader_.identity();
    head.digest = reader_.digest(control);
    const WindowTable* tables[4] = {&key.a.table, &key.b1.table, &key.b2.table, &key.ch.table};
    for (int i = 0; i < 4; i++) {
      head.windows[i] = tables[i]->c;
      head.levels[i] = tables[i]->levels;
    }
    size_t index = 0;
    eachArray(key, [&](auto& array) {
      head.counts[index++] = array.size();
      head.checksum += sumOf(reinterpret_cast<const uint8_t*>(array.data()), array.size() * sizeof(array[0]), index, control);
    });
    head.headSum = headSum(head);

    u64 random;
    osRandom(reinterpret_cast<uint8_t*>(&random), sizeof random);
    std::string beside = path_ + "." + std::to_string(random) + ".tmp";
    int fd = ::open(beside.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) return;
    bool written = writeAll(fd, &head, sizeof head);
    eachArray(key, [&](auto& array) { written = written && writeAll(fd, array.data(), array.size() * sizeof(array[0])); });
    written = ::close(fd) == 0 && written;
    // A file that changed meanwhile is not what was prepared.
    if (!written || !reader_.isUnchanged() || ::rename(beside.c_str(), path_.c_str()) != 0) ::unlink(beside.c_str());
  }

 private:
  static constexpr char MAGIC[8] = {'A', 'P', 'K', 'E', 'Y', '0', '0', '1'};
  static constexpr int ARRAYS = 14;

  struct Head {
    char magic[8];
    InputFile::Identity identity;
    Sha256::Digest digest;
    uint32_t windows[4], levels[4];
    u64 counts[ARRAYS];
    u64 checksum, headSum;
  };

  std::string folder_, path_;
  const KeyReader& reader_;

  bool isOwnFolder() const {
    struct stat info;
    return ::stat(folder_.c_str(), &info) == 0 && S_ISDIR(info.st_mode) && info.st_uid == ::geteuid() &&
           (info.st_mode & S_IWOTH) == 0;
  }

  template <class Visit>
  static void eachArray(KeyMaterial& key, Visit visit) {
    visit(key.a.points);
    visit(key.a.wires);
    visit(key.b1.points);
    visit(key.b1.wires);
    visit(key.b2.points);
    visit(key.b2.wires);
    visit(key.ch.points);
    visit(key.ch.wires);
    for (SparseRows& rows : key.rows) {
      visit(rows.starts);
      visit(rows.entries);
      visit(rows.values);
    }
  }

  // Four chains of products by an odd constant: a difference never disappears by itself. Not cryptographic.
  static u64 sumOf(const uint8_t* data, size_t size, u64 seed) {
    constexpr u64 FACTOR = 0x9e3779b97f4a7c15;
    u64 h[4] = {seed, seed + 1, seed + 2, seed + 3};
    size_t i = 0;
    for (; i + 32 <= size; i += 32) {
      for (int k = 0; k < 4; k++) {
        u64 word;
        memcpy(&word, data + i + 8 * k, 8);
        h[k] = (h[k] ^ word) * FACTOR;
        h[k] ^= h[k] >> 32;
      }
    }
    for (; i < size; i++) h[0] = (h[0] ^ data[i]) * FACTOR;
    u64 out = size;
    for (u64 lane : h) {
      out = (out ^ lane) * FACTOR;
      out ^= out >> 29;
    }
    return out;
  }

  static u64 headSum(Head head) {
    head.headSum = 0;
    return sumOf(reinterpret_cast<const uint8_t*>(&head), sizeof head, 1);
  }

  static constexpr size_t PIECE = (size_t)1 << 20;

  // Of all pieces of an array; a piece's place is part of its sum.
  static u64 sumOf(const uint8_t* data, size_t size, size_t array, const Control& control) {
    std::atomic<u64> sum{0};
    parallel(control, (size + PIECE - 1) / PIECE, [&](size_t piece, size_t) {
      size_t from = piece * PIECE;
      sum += sumOf(data + from, std::min(PIECE, size - from), (u64)array << 40 | piece);
    });
    return sum;
  }

  static u64 readArray(const InputFile& file, uint64_t at, void* out, size_t size, size_t array, const Control& control) {
    std::atomic<u64> sum{0};
    uint8_t* data = static_cast<uint8_t*>(out);
    parallel(control, (size + PIECE - 1) / PIECE, [&](size_t piece, size_t) {
      size_t from = piece * PIECE, take = std::min(PIECE, size - from);
      file.read(at + from, data + from, take, Code::Io);
      sum += sumOf(data + from, take, (u64)array << 40 | piece);
    });
    return sum;
  }

  static bool writeAll(int fd, const void* data, size_t size) {
    const uint8_t* from = static_cast<const uint8_t*>(data);
    while (size > 0) {
      ssize_t put = ::write(fd, from, std::min(size, (size_t)1 << 30));
      if (put < 0 && errno == EINTR) continue;
      if (put <= 0) return false;
      from += put;
      size -= (size_t)put;
    }
    return true;
  }

  template <class F>
  static bool arePointsSound(const KeyPoints<F>& k, size_t behind, const KeyInfo& info, const Control& control) {
    size_t n = k.wires.size() + behind;
    if (k.table.levels == 0 || k.points.size() != n * k.table.levels) return false;
    if (k.table.levels > 1 && (k.table.c < Msm<F>::MIN_WINDOW || k.table.c > Msm<F>::MAX_WINDOW ||
                               k.table.levels != windowsOf(k.table.c) || k.points.size() >= (size_t)1 << 31)) {
      return false;
    }
    for (uint32_t wire : k.wires) {
      if (wire >= info.variables) return false;
    }
    std::atomic<bool> sound{true};
    constexpr size_t SHARE = 1 << 14;
    parallel(control, (k.points.size() + SHARE - 1) / SHARE, [&](size_t share, size_t) {
      bool ok = true;
      for (size_t i = share * SHARE, to = std::min(k.points.size(), i + SHARE); i < to; i++) {
        const Affine<F>& p = k.points[i];
        ok &= p.isInfinity() || (areReduced(p.x) && areReduced(p.y));
      }
      if (!ok) sound = false;
    });
    return sound;
  }

  static bool isSound(const KeyMaterial& key, const Control& control) {
    const KeyInfo& info = key.info;
    if (!arePointsSound(key.a, 0, info, control) || !arePointsSound(key.b1, 0, info, control) ||
        !arePointsSound(key.b2, 0, info, control) || !arePointsSound(key.ch, info.domain, info, control)) {
      return false;
    }
    for (const SparseRows& rows : key.rows) {
      if (rows.starts.size() != (size_t)info.domain + 1 || rows.starts[0] != 0 || rows.values.size() < 2 ||
          rows.starts[info.domain] != rows.entries.size()) {
        return false;
      }
      for (size_t i = 0; i < info.domain; i++) {
        if (rows.starts[i] > rows.starts[i + 1]) return false;
      }
      for (const SparseRows::Entry& entry : rows.entries) {
        if (entry.wire >= info.variables || entry.value >= rows.values.size()) return false;
      }
      for (const Fr& value : rows.values) {
        if (!value.isReduced()) return false;
      }
    }
    return true;
  }
};

}  // namespace ENGINE_NS
}  // namespace anchorproof
