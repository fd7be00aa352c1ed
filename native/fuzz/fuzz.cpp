// Hostile input for the core: proving keys, witnesses, verifying keys, proofs, chains and contents to hash, and a setup's
// constraint systems, powers of tau, bases and keys, that were truncated, bit-flipped, spliced and given wrong lengths. Whatever goes in, a call ends with
// an answer or a Failure, all engines give the same answer to chains and contents, what a setup checks is accepted untouched only, and a call that fails leaves no file; the sanitizers
// see the rest. Run it with `npm run fuzz` (see run.mjs); with clang's -fsanitize=fuzzer and -DLIBFUZZER it is a libFuzzer
// target instead.
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "../src/api.h"

using namespace anchorproof;

namespace {

using Buffer = std::vector<uint8_t>;

struct Corpus {
  Buffer zkey, wtns, verifyingKey, publics, proof;
  // Of a setup of a few rows: the system, powers of tau with and without Lagrange forms, the basis, and the key before and
  // after a contribution.
  Buffer r1cs, ptau, raw, basis, initial, next;
};

Buffer readFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    fprintf(stderr, "fuzz: %s cannot be read\n", path.c_str());
    exit(2);
  }
  return Buffer((std::istreambuf_iterator<char>(file)), {});
}

void writeFile(const std::string& path, const Buffer& bytes) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(reinterpret_cast<const char*>(bytes.data()), (std::streamsize)bytes.size());
}

Bytes view(const Buffer& buffer) { return {buffer.data(), buffer.size()}; }

struct Random {
  uint64_t state;
  uint64_t next() {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state * 0x2545f4914f6cdd1d;
  }
  size_t below(size_t n) { return n == 0 ? 0 : (size_t)(next() % n); }
};

// A container's section without its frame; nothing for a file that is none, or has no such section.
Buffer sectionOf(const Buffer& file, uint32_t wanted) {
  for (size_t at = 12; at + 12 <= file.size();) {
    uint32_t type;
    uint64_t length;
    memcpy(&type, file.data() + at, 4);
    memcpy(&length, file.data() + at + 4, 8);
    at += 12;
    if (length > file.size() - at) return {};
    if (type == wanted) return Buffer(file.begin() + (ptrdiff_t)at, file.begin() + (ptrdiff_t)(at + length));
    at += (size_t)length;
  }
  return {};
}

// Whether sections are the same, as far as `of` each (to their end where that is 0).
bool sameSections(const Buffer& a, const Buffer& b, std::initializer_list<std::pair<uint32_t, size_t>> sections) {
  for (const auto& [type, of] : sections) {
    Buffer x = sectionOf(a, type), y = sectionOf(b, type);
    if (of > 0) {
      x.resize(std::min(x.size(), of));
      y.resize(std::min(y.size(), of));
    }
    if (x != y) return false;
  }
  return true;
}

// Values that lengths and counts break on.
const uint64_t EDGES[] = {0, 1, 2, 0x7f, 0xff, 0x7fffffff, 0x80000000, 0xffffffff, 0x7fffffffffffffff, ~0ull};

void mutate(Buffer& bytes, Random& random) {
  size_t rounds = 1 + random.below(3);
  while (rounds-- > 0) {
    size_t n = bytes.size();
    // Headers matter most: half of all changes go to the first kilobyte.
    size_t at = random.below(random.below(2) == 0 ? std::min<size_t>(n, 1024) : n);
    switch (random.below(8)) {
      case 0:
        bytes.resize(random.below(n + 1));
        break;
      case 1:
        for (size_t i = random.below(64); i-- > 0;) bytes.push_back((uint8_t)random.next());
        break;
      case 2:
        if (n >= at + 8) memcpy(bytes.data() + at, &EDGES[random.below(10)], random.below(2) ? 4 : 8);
        break;
      case 3:
        if (n > 0) {
          size_t from = random.below(n), length = random.below(std::min<size_t>(256, n - std::max(from, at)) + 1);
          memmove(bytes.data() + at, bytes.data() + from, length);
        }
        break;
      case 4:
        if (n > 0) memset(bytes.data() + at, random.below(2) ? 0xff : 0, random.below(std::min<size_t>(64, n - at) + 1));
        break;
      case 5:
        if (n > 0) bytes.erase(bytes.begin() + (ptrdiff_t)at, bytes.begin() + (ptrdiff_t)(at + random.below(std::min<size_t>(64, n - at) + 1)));
        break;
      default:
        if (n > 0) bytes[at] ^= (uint8_t)(1u << random.below(8));
    }
  }
}

template <class Body>
bool survives(Body body) {
  try {
    body();
    return true;
  } catch (const Failure&) {
    return false;
  } catch (const std::bad_alloc&) {
    // A length that the file's size does not bound would show here; none may ask for more than some times the file.
    fprintf(stderr, "fuzz: out of memory\n");
    abort();
  }
}

struct Tally {
  size_t answered = 0, refused = 0;
  void add(bool ok) { (ok ? answered : refused)++; }
};

void expect(bool condition, const char* what) {
  if (condition) return;
  fprintf(stderr, "fuzz: %s\n", what);
  abort();
}

void proveWith(const Engine& engine, const std::string& path, const Buffer& wtns, Tally& tally,
               const std::string& prepared = "") {
  Control control;
  control.threads = 2;
  tally.add(survives([&] {
    auto key = engine.openProvingKey(path, prepared, control);
    key->prove(view(wtns), control, nullptr);
  }));
}

void verifyWith(const Engine& engine, const Buffer& key, const Buffer& publics, const Buffer& proof, bool changed,
                Tally& tally) {
  tally.add(survives([&] {
    auto verifier = engine.openVerifyingKey(view(key));
    bool single = false;
    survives([&] { single = verifier->verify(view(publics), view(proof)); });
    // Every flipped bit of a point or signal makes another statement: none of them may verify.
    expect(!(single && changed), "a changed proof, signal or key verified");
    if (publics.size() == verifier->publics() * 32 && proof.size() == 256) {
      uint8_t verdict = 2;
      survives([&] { verifier->verifyBatch(view(publics), view(proof), 1, 1, &verdict); });
      expect(verdict == 2 || (verdict == 1) == single, "single and batch verification disagree");
    }
  }));
}

// The sizes of the setup's circuit and powers.
constexpr size_t ROWS = 8;

// One call of the setup with one file damaged. Files that are read lie in `scratch` with a letter each.
void setupStep(const Engine& engine, const Corpus& corpus, Random& random, const std::string& scratch, Tally& tally) {
  const std::string out = scratch + ".out", file = scratch + ".damaged";
  auto place = [&](const char* name, const Buffer& bytes) {
    const std::string path = scratch + "." + name;
    if (!std::filesystem::exists(path)) writeFile(path, bytes);
    return path;
  };
  const std::string r1cs = place("r1cs", corpus.r1cs), ptau = place("ptau", corpus.ptau), basis = place("basis", corpus.basis),
                    initial = place("initial", corpus.initial), next = place("next", corpus.next);
  Control control;
  control.threads = 1 + (unsigned)random.below(3);
  Buffer damaged;
  auto damage = [&](const Buffer& bytes) {
    damaged = bytes;
    mutate(damaged, random);
    writeFile(file, damaged);
  };
  // A call that writes: what fails leaves nothing.
  auto writes = [&](auto body) {
    ::unlink(out.c_str());
    bool ok = survives(body);
    tally.add(ok);
    expect(ok == std::filesystem::exists(out), "a call that failed has left a file, or one that did not has left none");
    return ok;
  };
  auto checks = [&](auto body) {
    bool ok = survives(body);
    tally.add(ok);
    return ok;
  };
  uint8_t hash[64];
  const Buffer stamp(2);
  // Of powers of tau, all that a key of this size is made from, or all there is.
  const std::initializer_list<std::pair<uint32_t, size_t>> used = {
      {2, (2 * ROWS - 1) * 64}, {3, ROWS * 128}, {4, ROWS * 64}, {5, ROWS * 64}, {6, 0}};
  const std::initializer_list<std::pair<uint32_t, size_t>> powers = {{2, 0}, {3, 0}, {4, 0}, {5, 0}, {6, 0}};
  const std::initializer_list<std::pair<uint32_t, size_t>> key = {{1, 0}, {2, 0}, {3, 0}, {4, 0}, {5, 0}, {6, 0}, {7, 0}, {8, 0}, {9, 0}};
  switch (random.below(11)) {
    case 0:
      damage(corpus.r1cs);
      writes([&] { engine.setupDevelopment(file, out, view(stamp), control); });
      break;
    case 1:
      damage(corpus.r1cs);
      writes([&] { engine.newPhase2(file, basis, out, {}, hash, control); });
      break;
    case 2:
      damage(corpus.r1cs);
      checks([&] { engine.verifyPhase2(file, ptau, next, {}, control); });
      break;
    case 3:
      damage(corpus.basis);
      writes([&] { engine.newPhase2(r1cs, file, out, {}, hash, control); });
      break;
    case 4: {
      const Buffer& whole = random.below(2) ? corpus.ptau : corpus.raw;
      damage(whole);
      if (checks([&] { engine.checkPtau(file, true, control); })) expect(sameSections(damaged, whole, powers), "damaged powers of tau pass");
      break;
    }
    case 5: {
      const bool prepared = random.below(2) != 0, cut = random.below(2) != 0;
      damage(prepared ? corpus.ptau : corpus.raw);
      const bool ok = writes([&] { engine.makeBasis(file, 3, cut, out, control); });
      // The Lagrange forms that go into a basis are those of the powers, whatever is damaged.
      if (ok && prepared && !cut && sameSections(damaged, corpus.ptau, powers) && sectionOf(damaged, 12).size() > 0) {
        expect(readFile(out) == corpus.basis, "a damaged Lagrange form went into a basis");
      }
      break;
    }
    case 6:
      damage(random.below(2) ? corpus.ptau : corpus.raw);
      if (checks([&] { engine.verifyPhase2(r1cs, file, next, {}, control); })) {
        expect(sameSections(damaged, corpus.raw, used), "a key passes with damaged powers of tau");
      }
      break;
    case 7:
      damage(corpus.next);
      if (checks([&] { engine.verifyPhase2(r1cs, ptau, file, {}, control); })) {
        expect(sameSections(damaged, corpus.next, key), "a damaged key passes");
      }
      break;
    case 8:
      damage(corpus.next);
      if (checks([&] { engine.verifyPhase2Step(initial, file, control); })) {
        expect(sameSections(damaged, corpus.next, key), "a damaged step passes");
      }
      break;
    case 9:
      damage(corpus.initial);
      if (checks([&] { engine.verifyPhase2Step(file, next, control); })) {
        expect(sameSections(damaged, corpus.initial, key), "a step from a damaged key passes");
      }
      break;
    default: {
      damage(corpus.initial);
      const auto secret = engine.drawSecret(view(stamp));
      writes([&] { secret->apply(file, out, view(stamp), control); });
    }
  }
}

// Chains, contents and traces of any shape, right or nearly so: an engine and the portable one agree, also in refusing.
void hashStep(const Engine& engine, Random& random, Tally& tally) {
  const Engine& portable = *engineByName("portable");
  Control control;
  control.threads = 1 + (unsigned)random.below(4);
  auto bytes = [&](size_t n) {
    Buffer out(n);
    const bool scalars = random.below(8) != 0;
    for (size_t i = 0; i < n; i++) out[i] = scalars && i % 32 == 31 ? (uint8_t)random.below(0x30) : (uint8_t)random.next();
    return out;
  };
  auto agree = [&](size_t n, auto call) {
    Buffer own(n), reference(n);
    const bool ok = survives([&] { call(engine, own.data()); });
    expect(ok == survives([&] { call(portable, reference.data()); }), "engines do not refuse the same");
    expect(!ok || own == reference, "engines hash differently");
    tally.add(ok);
  };
  const Buffer capacity = bytes(random.below(16) ? 32 : random.below(64));
  const size_t n = random.below(20);
  switch (random.below(3)) {
    case 0: {
      std::vector<uint32_t> steps(n);
      size_t total = 0;
      for (uint32_t& count : steps) total += count = (uint32_t)random.below(5);
      Buffer starts = bytes(random.below(2) ? 32 : 32 * n), blocks = bytes(total * 480);
      if (random.below(8) == 0) mutate(random.below(2) ? starts : blocks, random);
      if (n > 0 && random.below(8) == 0) steps[random.below(n)] = (uint32_t)EDGES[random.below(10)];
      agree(32 * n, [&](const Engine& of, uint8_t* out) {
        of.poseidonChains(view(capacity), view(starts), view(blocks), steps.data(), n, control, out);
      });
      break;
    }
    case 1: {
      const Buffer start = bytes(32), data = bytes(random.below(3000));
      std::vector<uint64_t> offsets(n + 1);
      Buffer packings;
      for (size_t i = 0; i <= n; i++) offsets[i] = random.below(data.size() + 1) & ~(size_t)7;
      std::sort(offsets.begin(), offsets.end());
      for (size_t i = 0; i < n; i++) {
        const size_t size = random.below(4);
        packings.push_back((uint8_t)(1 << size));
        packings.push_back((uint8_t)random.below(size == 0 ? 2 : 3));
      }
      if (random.below(4) == 0) mutate(packings, random);
      if (random.below(4) == 0) offsets[random.below(n + 1)] = random.below(2) ? EDGES[random.below(10)] : random.below(3000);
      agree(32 * n, [&](const Engine& of, uint8_t* out) {
        of.contentDigests(view(capacity), view(start), view(data), offsets.data(), view(packings), n, control, out);
      });
      break;
    }
    default: {
      Buffer inputs = bytes(n * 512);
      if (random.below(8) == 0) mutate(inputs, random);
      agree(n * POSEIDON_TRACE_BYTES, [&](const Engine& of, uint8_t* out) {
        of.poseidonTraces(view(capacity), view(inputs), n, control, out);
      });
      const Buffer start = bytes(32), blocks = bytes(n % 4 * 480);
      agree(n % 4 * POSEIDON_TRACE_BYTES, [&](const Engine& of, uint8_t* out) {
        of.chainTraces(view(capacity), view(start), view(blocks), n % 4, control, out);
      });
    }
  }
}

void step(const Corpus& corpus, Random& random, const std::string& scratch, Tally& tally) {
  std::vector<std::string> names = engineNames();
  const Engine& engine = *engineByName(names[random.below(names.size())]);
  // Nothing here takes a second; what hangs is killed, and the seed repeats it.
  alarm(60);
  if (random.below(2) == 0) return setupStep(engine, corpus, random, scratch, tally);
  if (random.below(3) == 0) return hashStep(engine, random, tally);
  Corpus c = corpus;
  // Preparing a key takes as long as some fifty of the others.
  size_t kind = random.below(64);
  switch (kind == 0 ? 5 : kind % 5) {
    case 5: {
      // A prepared key that was damaged: it is noticed and made again.
      writeFile(scratch, c.zkey);
      const std::string folder = scratch + ".prepared";
      proveWith(engine, scratch, c.wtns, tally, folder);
      for (const auto& entry : std::filesystem::directory_iterator(folder)) {
        Buffer prepared = readFile(entry.path());
        mutate(prepared, random);
        writeFile(entry.path(), prepared);
      }
      const size_t refused = tally.refused;
      proveWith(engine, scratch, c.wtns, tally, folder);
      expect(tally.refused == refused, "a damaged prepared key was not made again");
      break;
    }
    case 0:
      mutate(c.zkey, random);
      writeFile(scratch, c.zkey);
      proveWith(engine, scratch, c.wtns, tally);
      break;
    case 1:
      mutate(c.wtns, random);
      writeFile(scratch, c.zkey);
      proveWith(engine, scratch, c.wtns, tally);
      break;
    case 2:
      mutate(c.verifyingKey, random);
      verifyWith(engine, c.verifyingKey, c.publics, c.proof, c.verifyingKey != corpus.verifyingKey, tally);
      break;
    case 3:
      mutate(c.publics, random);
      verifyWith(engine, c.verifyingKey, c.publics, c.proof, c.publics != corpus.publics, tally);
      break;
    default:
      mutate(c.proof, random);
      verifyWith(engine, c.verifyingKey, c.publics, c.proof, c.proof != corpus.proof, tally);
  }
}

}  // namespace

#ifdef LIBFUZZER
// The first byte chooses what the rest is: 0 a .zkey, 1 a .wtns (for the key in FUZZ_CORPUS), 2 a verifying key, 3 a .r1cs,
// 4 a .ptau.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  static const std::string folder = getenv("FUZZ_CORPUS") ? getenv("FUZZ_CORPUS") : ".";
  static const Buffer zkey = readFile(folder + "/key.zkey"), wtns = readFile(folder + "/witness.wtns");
  static const std::string scratch = folder + "/scratch-" + std::to_string(getpid()) + ".zkey";
  Buffer input(data + 1, data + size);
  Tally tally;
  const Engine& engine = *engineByName("portable");
  const std::string out = scratch + ".out";
  ::unlink(out.c_str());
  Control control;
  switch (data[0] % 5) {
    case 2:
      survives([&] { engine.openVerifyingKey(view(input)); });
      return 0;
    case 3:
      writeFile(scratch, input);
      survives([&] { engine.setupDevelopment(scratch, out, {}, control); });
      return 0;
    case 4:
      writeFile(scratch, input);
      survives([&] { engine.checkPtau(scratch, true, control); });
      survives([&] { engine.makeBasis(scratch, 3, false, out, control); });
      return 0;
  }
  writeFile(scratch, data[0] % 5 == 0 ? input : zkey);
  proveWith(engine, scratch, data[0] % 5 == 1 ? input : wtns, tally);
  return 0;
}
#else
int main(int argc, char** argv) {
  if (argc != 4) {
    fprintf(stderr, "usage: fuzz FOLDER SECONDS SEED\n");
    return 2;
  }
  std::string folder = argv[1], scratch = folder + "/scratch.zkey";
  Corpus corpus{readFile(folder + "/key.zkey"), readFile(folder + "/witness.wtns"), readFile(folder + "/key.bin"),
                readFile(folder + "/publics.bin"), readFile(folder + "/proof.bin"), readFile(folder + "/setup.r1cs"),
                readFile(folder + "/setup.ptau"), readFile(folder + "/raw.ptau"), {}, {}, {}};
  Random random{strtoull(argv[3], nullptr, 10) * 0x9e3779b97f4a7c15 + 1};
  Tally clean;
  writeFile(scratch, corpus.zkey);
  for (const std::string& name : engineNames()) {
    proveWith(*engineByName(name), scratch, corpus.wtns, clean);
    bool valid = engineByName(name)->openVerifyingKey(view(corpus.verifyingKey))->verify(view(corpus.publics), view(corpus.proof));
    expect(valid, "the untouched proof does not verify");
  }
  expect(clean.refused == 0, "the untouched key and witness are refused");
  // The setup's files, untouched: all engines make the same ones, and accept them.
  for (const char* left : {".r1cs", ".ptau", ".basis", ".initial", ".next", ".out"}) ::unlink((scratch + left).c_str());
  for (const std::string& name : engineNames()) {
    const Engine& engine = *engineByName(name);
    Control control;
    control.threads = 2;
    uint8_t hash[64], one[32] = {5}, generator[64] = {1};
    generator[32] = 2;
    const std::string setup = folder + "/setup", basis = folder + "/setup.basis", initial = folder + "/setup-0.zkey",
                      next = folder + "/setup-1.zkey";
    for (const std::string& path : {basis, initial, next}) ::unlink(path.c_str());
    engine.checkPtau(setup + ".ptau", true, control);
    engine.makeBasis(setup + ".ptau", 3, false, basis, control);
    engine.newPhase2(setup + ".r1cs", basis, initial, {}, hash, control);
    engine.publicSecret({one, 32}, {generator, 64})->apply(initial, next, {hash, 64}, control);
    engine.verifyPhase2(setup + ".r1cs", folder + "/raw.ptau", next, {}, control);
    engine.verifyPhase2Step(initial, next, control);
    const Buffer files[3] = {readFile(basis), readFile(initial), readFile(next)};
    Buffer* kept[3] = {&corpus.basis, &corpus.initial, &corpus.next};
    for (int i = 0; i < 3; i++) {
      expect(kept[i]->empty() || *kept[i] == files[i], "engines make different keys");
      *kept[i] = files[i];
    }
  }
  Tally tally;
  auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(atof(argv[2]));
  size_t steps = 0;
  for (; std::chrono::steady_clock::now() < end; steps++) step(corpus, random, scratch, tally);
  printf("fuzz: %zu hostile inputs, %zu answered, %zu refused, no fault (seed %s)\n", steps, tally.answered,
         tally.refused, argv[3]);
}
#endif
