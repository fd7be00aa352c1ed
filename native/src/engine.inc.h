// The Engine of one instruction set. Included once by each engine_*.cpp, which defines ENGINE_NS, FIELD_ADX and
// LANES_IFMA and sets the compiler's target before.

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

 private:
  const char* name_;

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

  template <class F>
  static void msmOf(Bytes points, Bytes scalars, size_t n, const Control& control, uint8_t* out) {
    constexpr size_t size = 2 * sizeof(F);
    if (n >= (1u << 30) || points.size != n * size || scalars.size != n * 32) {
      throw Failure(Code::InputInvalid, "the lengths of points and scalars do not match");
    }
    std::vector<Affine<F>> affine(n);
    SecretVector<SignedScalar> signedScalars(n);
    constexpr size_t PIECE = 4096;
    parallel(control, (n + PIECE - 1) / PIECE, [&](size_t piece, size_t) {
      for (size_t i = piece * PIECE, to = std::min(n, i + PIECE); i < to; i++) {
        using V = typename LanesOf<F>::type;
        Point<F> point = readPoint<F>(points.data + i * size, Code::InputInvalid, "a point");
        affine[i] = point.isInfinity() ? Affine<F>::infinity() : Affine<F>{V::toStored(point.x), V::toStored(point.y)};
        Fr scalar;
        memcpy(scalar.l, scalars.data + i * 32, 32);
        if (!scalar.isReduced()) throw Failure(Code::InputInvalid, "a scalar is outside the field");
        signedScalars[i] = toSigned(scalar.l);
      }
    });
    Msm<F> msm(affine.data(), {{signedScalars.data(), nullptr, n}}, control.threads);
    runAll(control, msm);
    writePoint(msm.result(), out);
  }
};

}  // namespace ENGINE_NS
}  // namespace anchorproof
