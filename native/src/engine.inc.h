// The Engine of one instruction set. Included once by each engine_*.cpp, which defines ENGINE_NS, FIELD_ADX and
// LANES_IFMA and sets the compiler's target before.

#include "card_key.h"
#include "chains.h"
#include "groth16.h"
#include "poseidon.h"
#include "setup.h"
#include "verify.h"

namespace anchorproof {
namespace ENGINE_NS {

class EngineOfTarget : public Engine {
 public:
  explicit EngineOfTarget(const char* name) : name_(name) {}

  const char* name() const override { return name_; }

  std::unique_ptr<ProvingKey> openProvingKey(const std::string& path, const std::string& prepared,
                                             const Control& control) const override {
    return std::make_unique<Groth16Key>(path, prepared, control);
  }

  std::unique_ptr<ProvingKey> openCardKey(std::shared_ptr<const Cards> cards, const CardSettings& settings,
                                          const std::string& path, const Control& control) const override {
    return std::make_unique<Groth16CardKey>(std::move(cards), settings, path, control);
  }

  std::unique_ptr<VerifyingKey> openVerifyingKey(Bytes key) const override {
    return std::make_unique<Groth16Verifier>(key);
  }

  void poseidon(unsigned arity, Bytes capacities, Bytes inputs, size_t n, unsigned threads,
                uint8_t* out) const override {
    poseidonHash(arity, capacities, inputs, n, threads, out);
  }

  void poseidonChains(Bytes capacity, Bytes starts, Bytes blocks, const uint32_t* steps, size_t n, const Control& control,
                      uint8_t* out) const override {
    ENGINE_NS::poseidonChains(capacity, starts, blocks, steps, n, control, out);
  }

  void contentDigests(Bytes capacity, Bytes start, Bytes data, const uint64_t* offsets, Bytes packings, size_t n,
                      const Control& control, uint8_t* out) const override {
    ENGINE_NS::contentDigests(capacity, start, data, offsets, packings, n, control, out);
  }

  void poseidonTraces(Bytes capacity, Bytes inputs, size_t n, const Control& control, uint8_t* out) const override {
    ENGINE_NS::poseidonTraces(capacity, inputs, n, control, out);
  }

  void chainTraces(Bytes capacity, Bytes start, Bytes blocks, size_t steps, const Control& control,
                   uint8_t* out) const override {
    ENGINE_NS::chainTraces(capacity, start, blocks, steps, control, out);
  }

  void setupDevelopment(const std::string& r1cs, const std::string& zkey, Bytes stamp, const Control& control) const override {
    ENGINE_NS::setupDevelopment(r1cs, zkey, stamp, control);
  }

  void newPtau(unsigned power, bool prepared, const std::string& path, Bytes stamp, const Control& control) const override {
    ENGINE_NS::newPtau(power, prepared, path, stamp, control);
  }

  PtauInfo checkPtau(const std::string& path, bool points, const Control& control) const override {
    const PtauFile ptau(path);
    if (points) ENGINE_NS::checkPtau(ptau, control);
    return {ptau.power, ptau.ceremonyPower, ptau.prepared};
  }

  void makeBasis(const std::string& ptau, unsigned power, bool cut, const std::string& path, const Control& control) const override {
    ENGINE_NS::makeBasis(ptau, power, cut, path, control);
  }

  void newPhase2(const std::string& r1cs, const std::string& basis, const std::string& zkey, Bytes tail, uint8_t* hash,
                 const Control& control) const override {
    ENGINE_NS::newPhase2(r1cs, basis, zkey, tail, *reinterpret_cast<uint8_t(*)[64]>(hash), control);
  }

  std::unique_ptr<DeltaSecret> drawSecret(Bytes entropy) const override { return std::make_unique<Contributor>(entropy); }

  std::unique_ptr<DeltaSecret> publicSecret(Bytes secret, Bytes point) const override {
    return std::make_unique<Contributor>(secret, point);
  }

  void verifyPhase2(const std::string& r1cs, const std::string& ptau, const std::string& zkey, Bytes verifyingKey,
                    const Control& control) const override {
    ENGINE_NS::verifyPhase2(r1cs, ptau, zkey, verifyingKey, control);
  }

  void verifyPhase2Step(const std::string& previous, const std::string& next, const Control& control) const override {
    ENGINE_NS::verifyPhase2Step(previous, next, control);
  }

  void field(bool base, FieldOp op, Bytes a, Bytes b, size_t n, uint8_t* out) const override {
    if (base) {
      fieldOf<BaseModulus>(op, a, b, n, out);
    } else {
      fieldOf<ScalarModulus>(op, a, b, n, out);
    }
  }

  void fieldTimings(double* latencyNs, double* throughputNs) const override {
    constexpr int STEPS = 200000, STREAMS = 4;
    VecFq factor = VecFq::broadcast(VecFq::toStored(Fq::fromInteger(7))), chain = factor, streams[STREAMS];
    for (VecFq& v : streams) v = factor = factor * chain;
    auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < STEPS; i++) chain = chain * factor;
    *latencyNs = since(start) * 1e6 / STEPS;
    start = std::chrono::steady_clock::now();
    for (int i = 0; i < STEPS / STREAMS; i++) {
      for (VecFq& v : streams) v = v * factor;
    }
    *throughputNs = since(start) * 1e6 / STEPS / LANES;
    for (VecFq& v : streams) chain = chain * v;
    volatile bool keep = chain.zeroMask() != 0;
    (void)keep;
  }

  void msm(int group, Bytes points, Bytes scalars, size_t n, const Control& control, uint8_t* out) const override {
    if (group == 1) {
      msmOf<Fq>(points, scalars, n, control, out);
    } else if (group == 2) {
      msmOf<Fq2>(points, scalars, n, control, out);
    } else {
      throw Failure(Code::InputInvalid, "the group is 1 or 2");
    }
  }

  void ntt(uint8_t* data, size_t n, bool inverse, bool coset, const Control& control) const override {
    transform(data, n, inverse, coset, control);
  }

  void cardMsm(const Cards& cards, const CardSettings& settings, int group, Bytes points, Bytes scalars, size_t n,
               unsigned repeat, const Control& control, uint8_t* out, std::vector<CardTime>* phases) const override {
    cards.check(settings.device);
    if (group == 1) {
      cardMsmOf<Fq, CardSum1>(cards.api().msm1, settings, points, scalars, n, repeat, control, out, phases);
    } else if (group == 2) {
      cardMsmOf<Fq2, CardSum2>(cards.api().msm2, settings, points, scalars, n, repeat, control, out, phases);
    } else {
      throw Failure(Code::InputInvalid, "the group is 1 or 2");
    }
  }

  void cardNtt(const Cards& cards, const CardSettings& settings, uint8_t* data, size_t n, bool inverse, bool coset,
               unsigned repeat, const Control& control, std::vector<CardTime>* phases) const override {
    cards.check(settings.device);
    if (n == 0 || (n & (n - 1)) != 0 || n > ((size_t)1 << Domain::MAX_LOG)) {
      throw Failure(Code::InputInvalid, "the size of a transform is a power of two up to 2^28");
    }
    checkValues(data, n, control);
    const CardControl how = cardControl(control);
    SecretVector<CardPhases> times(1);
    CardStatus status = {};
    cards.api().ntt(settings.device, data, n, inverse, coset, repeat, &how, times.data(), &status);
    throwCardStatus(status);
    if (phases) *phases = cardTimes(times[0]);
  }

  void quotient(uint8_t* a, const uint8_t* b, size_t n, const Control& control) const override {
    checkValues(a, n, control);
    checkValues(b, n, control);
    const Domain domain(n, control);
    const Scratch<Fr> left(n), right(n);
    auto enter = [&](const uint8_t* from, Fr* to) {
      memcpy(static_cast<void*>(to), from, n * sizeof(Fr));
      for (size_t i = 0; i < n; i++) to[i] = to[i].toMontgomery();
    };
    enter(a, left.get());
    enter(b, right.get());
    ENGINE_NS::quotient(domain, left.get(), right.get(), control);
    memcpy(a, static_cast<const void*>(left.get()), n * sizeof(Fr));
  }

 private:
  const char* name_;

  static void checkValues(const uint8_t* values, size_t n, const Control& control) {
    constexpr size_t PIECE = 1 << 16;
    parallel(control, (n + PIECE - 1) / PIECE, [&](size_t piece, size_t) {
      for (size_t i = piece * PIECE, to = std::min(n, i + PIECE); i < to; i++) {
        Fr value;
        memcpy(value.l, values + i * sizeof value, sizeof value);
        if (!value.isReduced()) throw Failure(Code::InputInvalid, "a value is not below the field's order");
      }
    });
  }

  // Every operation also runs on the lanes, and both must agree: this is what the field's tests call.
  template <class Modulus>
  static void fieldOf(FieldOp op, Bytes a, Bytes b, size_t n, uint8_t* out) {
    bool binary = op == FieldOp::Mul || op == FieldOp::Add || op == FieldOp::Sub;
    if (a.size != n * 32 || (binary && b.size != n * 32)) throw Failure(Code::InputInvalid, "operands of 32 bytes each");
    for (size_t i = 0; i < n; i++) {
      Fp<Modulus> x, y = Fp<Modulus>::zero(), z;
      if (!Fp<Modulus>::read(a.data + i * 32, x) || (binary && !Fp<Modulus>::read(b.data + i * 32, y))) {
        throw Failure(Code::InputInvalid, "an operand is outside the field");
      }
      using V = Vec<Modulus>;
      V vx = V::broadcast(V::toStored(x)), vy = V::broadcast(V::toStored(y)), vz;
      switch (op) {
        case FieldOp::Mul:
          z = x * y;
          vz = vx * vy;
          break;
        case FieldOp::Square:
          z = x.sqr();
          vz = vx.sqr();
          break;
        case FieldOp::Add:
          z = x + y;
          vz = vx + vy;
          break;
        case FieldOp::Sub:
          z = x - y;
          vz = vx.template minus<1>(vy);
          break;
        case FieldOp::Neg:
          z = -x;
          vz = V::zero().template minus<1>(vx);
          break;
        default:
          z = x.inverse();
          vz = V::broadcast(V::toStored(z));
      }
      Fp<Modulus> lanes[LANES];
      vz.template reduced<2>().store(lanes);
      for (const Fp<Modulus>& lane : lanes) {
        if (V::fromStored(lane) != z) throw Failure(Code::ProveFailed, "the lanes disagree with the scalar arithmetic");
      }
      z.write(out + i * 32);
    }
  }

  // The points of a multiplication, each checked to be on the curve, kept as store(x, y) makes them.
  template <class F, class Store>
  static std::vector<Affine<F>> pointsOf(Bytes points, Bytes scalars, size_t n, const Control& control, Store store) {
    constexpr size_t size = 2 * sizeof(F);
    if (n >= (1u << 30) || points.size != n * size || scalars.size != n * sizeof(Fr)) {
      throw Failure(Code::InputInvalid, "the lengths of points and scalars do not match");
    }
    std::vector<Affine<F>> affine(n);
    constexpr size_t PIECE = 4096;
    parallel(control, (n + PIECE - 1) / PIECE, [&](size_t piece, size_t) {
      for (size_t i = piece * PIECE, to = std::min(n, i + PIECE); i < to; i++) {
        Point<F> point = readPoint<F>(points.data + i * size, Code::InputInvalid, "a point");
        affine[i] = point.isInfinity() ? Affine<F>::infinity() : store(point.x, point.y);
      }
    });
    return affine;
  }

  template <class F>
  static void msmOf(Bytes points, Bytes scalars, size_t n, const Control& control, uint8_t* out) {
    using V = typename LanesOf<F>::type;
    auto store = [](const F& x, const F& y) { return Affine<F>{V::toStored(x), V::toStored(y)}; };
    const std::vector<Affine<F>> affine = pointsOf<F>(points, scalars, n, control, store);
    checkValues(scalars.data, n, control);
    SecretVector<SignedScalar> signedScalars(n);
    for (size_t i = 0; i < n; i++) {
      u64 scalar[4];
      memcpy(scalar, scalars.data + i * sizeof scalar, sizeof scalar);
      signedScalars[i] = toSigned(scalar);
    }
    Msm<F> msm(affine.data(), {{signedScalars.data(), nullptr, n}}, control.threads);
    runAll(control, msm);
    writePoint(msm.result(), out);
  }

  template <class F, class Sum, class Call>
  static void cardMsmOf(Call call, const CardSettings& settings, Bytes points, Bytes scalars, size_t n, unsigned repeat,
                        const Control& control, uint8_t* out, std::vector<CardTime>* phases) {
    auto store = [](const F& x, const F& y) { return Affine<F>{x, y}; };
    const std::vector<Affine<F>> affine = pointsOf<F>(points, scalars, n, control, store);
    checkValues(scalars.data, n, control);
    const CardOptions options = cardOptions(settings);
    const CardControl how = cardControl(control);
    SecretVector<Sum> sum(1);
    SecretVector<CardPhases> times(1);
    CardStatus status = {};
    call(settings.device, affine.data(), scalars.data, n, &options, repeat, &how, sum.data(), times.data(), &status);
    throwCardStatus(status);
    if (phases) *phases = cardTimes(times[0]);
    writePoint(sumOfSets<F>(sum[0]), out);
  }
};

}  // namespace ENGINE_NS
}  // namespace anchorproof
