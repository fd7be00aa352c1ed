/**
 * Elementary functions with the same bits on every machine.
 *
 * `Math.exp` and its kin are left to the engine by ECMAScript, and engines differ in the last place; tables of a model
 * are made of these functions and end in its digest. Here they come from `+ - * /`, `Math.sqrt`, `Math.floor` and
 * `Math.abs` alone, which IEEE 754 fixes to the bit, by the classical ways: argument reduction in two parts (Cody and
 * Waite), Taylor and atanh series, Dekker's exact products. Errors stay below 2 units in the last place for exp, log, pow,
 * sin, cos and erf, below 4 for the others, below 8 for atan.
 *
 * @module
 */

const LOG2_E = Math.LOG2E;
/** ln 2 in two parts; the upper one has 21 zero bits at its end, so that its products with exponents are exact. */
const LN2_HIGH = 0.6931471803691238;
const LN2_LOW = 1.9082149292705877e-10;
const SQRT_2 = Math.SQRT2;
/** 2 / √π */
const TWO_BY_ROOT_PI = 1.1283791670955126;

/** `POWERS[k] = 2^k`, exact. */
const POWERS = new Float64Array(1024);
POWERS[0] = 1;
for (let k = 1; k < 1024; k++) POWERS[k] = 2 * POWERS[k - 1]!;

/** 1 / n! */
const INVERSE_FACTORIALS: number[] = [1];
for (let n = 1, factorial = 1; n <= 20; n++) INVERSE_FACTORIALS.push(1 / (factorial *= n));

export function exp(x: number): number {
  if (x > 709.782712893384) return Infinity;
  if (x < -745.1332191019412) return 0;
  if (Number.isNaN(x)) return x;
  const k = Math.floor(x * LOG2_E + 0.5);
  const high = x - k * LN2_HIGH;
  const low = k * LN2_LOW;
  const r = high - low;
  // What r lost in its own rounding.
  const lost = high - r - low;
  return scale(1 + (r + (tail(r) + lost)), k);
}

/** `exp(x) - 1`, without the cancellation near 0. */
export function expm1(x: number): number {
  if (Math.abs(x) > 0.35) return exp(x) - 1;
  return x + tail(x);
}

export function log(x: number): number {
  if (!(x > 0)) return x === 0 ? -Infinity : NaN;
  if (x === Infinity) return x;
  const { mantissa, exponent } = split(x);
  // With s = f / (2 + f): log(1 + f) = 2·atanh(s) = f - f²/2 + s·(f²/2 + R), R = Σ 2·s^(2n) / (2n + 1) for n ≥ 1.
  const f = mantissa - 1;
  const s = f / (2 + f);
  const z = s * s;
  let sum = 0;
  for (let n = 12; n >= 1; n--) sum = z * (2 / (2 * n + 1) + sum);
  const half = 0.5 * f * f;
  return exponent * LN2_HIGH - (half - (s * (half + sum) + exponent * LN2_LOW) - f);
}

/** `log(1 + x)`, without losing a small x (Kahan's correction). */
export function log1p(x: number): number {
  const sum = 1 + x;
  if (sum === 1 || sum === Infinity) return x;
  return (log(sum) * x) / (sum - 1);
}

export function tanh(x: number): number {
  const size = Math.abs(x);
  if (size > 22) return x > 0 ? 1 : -1;
  let value: number;
  if (size < 0.55) {
    const t = expm1(2 * size);
    value = t / (t + 2);
  } else {
    value = 1 - 2 / (exp(2 * size) + 1);
  }
  return x < 0 ? -value : value;
}

/** `1 / (1 + exp(-x))` */
export function sigmoid(x: number): number {
  if (x >= 0) return 1 / (1 + exp(-x));
  const e = exp(x);
  return e / (1 + e);
}

export function erf(x: number): number {
  const size = Math.abs(x);
  let value: number;
  if (size < 1) {
    // Σ (-1)^n x^(2n+1) / (n! (2n + 1))
    const z = x * x;
    let sum = 0;
    for (let n = 20; n >= 1; n--)
      sum = z * ((n % 2 === 0 ? INVERSE_FACTORIALS[n]! : -INVERSE_FACTORIALS[n]!) / (2 * n + 1) + sum);
    return TWO_BY_ROOT_PI * (x + x * sum);
  }
  if (size < 2.5) {
    // e^(-x²) Σ 2^n x^(2n+1) / (2n + 1)!!, all terms positive.
    const z = 2 * size * size;
    let term = size;
    let sum = size;
    for (let n = 1; n <= 64; n++) sum += term *= z / (2 * n + 1);
    value = TWO_BY_ROOT_PI * gauss(size) * sum;
  } else if (size < 6) {
    // Laplace's continued fraction of erfc, from its end.
    let fraction = 0;
    for (let n = 60; n >= 1; n--) fraction = n / 2 / (size + fraction);
    value = 1 - (TWO_BY_ROOT_PI / 2) * (gauss(size) / (size + fraction));
  } else {
    value = size >= 6 ? 1 : NaN;
  }
  return x < 0 ? -value : value;
}

/** IEEE 754's `pow`, apart from the sign of a zero result. */
export function pow(x: number, y: number): number {
  if (y === 0) return 1;
  if (Number.isNaN(x) || Number.isNaN(y)) return NaN;
  if (y === 1) return x;
  if (y === 2) return x * x;
  if (y === 0.5 && x > 0) return Math.sqrt(x);
  const whole = Math.floor(y) === y;
  const odd = whole && Math.abs(y) < 2 ** 53 && Math.floor(y / 2) * 2 !== y;
  const size = Math.abs(x);
  if (size === 1 && (x > 0 || whole)) return odd ? x : 1;
  if (size === 0 || size === Infinity) {
    const value = (size === 0) === y > 0 ? 0 : Infinity;
    return odd && x < 0 ? -value : value;
  }
  if (x < 0 && !whole) return NaN;
  if (y === Infinity || y === -Infinity) return size > 1 === y > 0 ? Infinity : 0;

  const [high, low] = preciseLog(size);
  const [product, rest] = exactProduct(y, high);
  const exponent = product + (rest + y * low);
  if (!(Math.abs(exponent) < 800)) return (exponent > 0 ? Infinity : 0) * (odd && x < 0 ? -1 : 1);
  const lost = product - exponent + (rest + y * low);
  const value = exp(exponent);
  const corrected = value === Infinity || value === 0 ? value : value + value * lost;
  return odd && x < 0 ? -corrected : corrected;
}

export function sin(x: number): number {
  const { quadrant, high, low } = reduce(x);
  if (quadrant === 0) return sinKernel(high, low);
  if (quadrant === 1) return cosKernel(high, low);
  return quadrant === 2 ? -sinKernel(high, low) : -cosKernel(high, low);
}

export function cos(x: number): number {
  const { quadrant, high, low } = reduce(x);
  if (quadrant === 0) return cosKernel(high, low);
  if (quadrant === 1) return -sinKernel(high, low);
  return quadrant === 2 ? -cosKernel(high, low) : sinKernel(high, low);
}

export function atan(x: number): number {
  const size = Math.abs(x);
  if (size > 1) return (x > 0 ? 1 : -1) * (Math.PI / 2 - atan(1 / size));
  // atan(x) = 2·atan(x / (1 + √(1 + x²))), thrice: at most tan(π/32).
  let t = x;
  for (let halving = 0; halving < 3; halving++) t = t / (1 + Math.sqrt(1 + t * t));
  const z = t * t;
  let sum = 0;
  for (let n = 9; n >= 1; n--) sum = z * ((n % 2 === 0 ? 1 : -1) / (2 * n + 1) + sum);
  return 8 * (t + t * sum);
}

/** `exp(r) - 1 - r` for |r| ≤ 0.35: the Taylor series from its square on. */
function tail(r: number): number {
  let sum = INVERSE_FACTORIALS[15]!;
  for (let n = 14; n >= 2; n--) sum = INVERSE_FACTORIALS[n]! + r * sum;
  return r * r * sum;
}

/** `x · 2^k` for x near 1, rounded once. */
function scale(x: number, k: number): number {
  if (k >= 0) return k > 1023 ? x * POWERS[1023]! * POWERS[k - 1023]! : x * POWERS[k]!;
  return k < -1022 ? x / POWERS[1000]! / POWERS[-k - 1000]! : x / POWERS[-k]!;
}

/** `x = mantissa · 2^exponent` with the mantissa in [√½, √2]; x is positive and finite. */
function split(x: number): { mantissa: number; exponent: number } {
  let mantissa = x;
  let exponent = 0;
  if (mantissa < 1) {
    // Subnormal numbers need two rounds.
    for (let round = 0; round < 2; round++) {
      for (let step = 512; step >= 1; step /= 2) {
        if (mantissa * POWERS[step]! < 2) {
          mantissa *= POWERS[step]!;
          exponent -= step;
        }
      }
    }
  } else {
    for (let step = 512; step >= 1; step /= 2) {
      if (mantissa >= POWERS[step]!) {
        mantissa /= POWERS[step]!;
        exponent += step;
      }
    }
  }
  return mantissa > SQRT_2 ? { mantissa: mantissa / 2, exponent: exponent + 1 } : { mantissa, exponent };
}

/** `exp(-x²)` with the rounding of x² made good. */
function gauss(x: number): number {
  const [square, rest] = exactProduct(x, x);
  const value = exp(-square);
  return value - value * rest;
}

/** `a · b` as a rounded product and the exact rest (Dekker), for factors below 2^996. */
function exactProduct(a: number, b: number): [number, number] {
  const product = a * b;
  const [aHigh, aLow] = halves(a);
  const [bHigh, bLow] = halves(b);
  return [product, aLow * bLow - (product - aHigh * bHigh - aLow * bHigh - aHigh * bLow)];
}

/** Two parts of at most 26 bits (Veltkamp). */
function halves(x: number): [number, number] {
  const big = 134_217_729 * x;
  const high = big - (big - x);
  return [high, x - high];
}

/** The logarithm to some 64 bits, as a sum of two numbers: what a power needs, since y multiplies its error. */
function preciseLog(x: number): [number, number] {
  const { mantissa, exponent } = split(x);
  const f = mantissa - 1;
  const divisor = 2 + f;
  const divisorLow = 2 - divisor + f;
  const s = f / divisor;
  const [back, backLow] = exactProduct(s, divisor);
  const sLow = (f - back - backLow - s * divisorLow) / divisor;
  const [z, zRest] = exactProduct(s, s);
  const zLow = zRest + 2 * s * sLow;
  let later = 0;
  for (let n = 14; n >= 2; n--) later = z * (1 / (2 * n + 1) + later);
  later *= z;
  // log m = 2s + 2s·(z/3 + later), the product in two parts.
  const third = z / 3;
  const [threeThirds, threeRest] = exactProduct(third, 3);
  const thirdLow = (z - threeThirds - threeRest + zLow) / 3;
  const factor = third + later;
  const factorLow = third - factor + later + thirdLow;
  const [cubic, cubicRest] = exactProduct(2 * s, factor);
  const cubicLow = cubicRest + 2 * s * factorLow + 2 * sLow * factor;
  const parts = [exponent * LN2_HIGH, 2 * s, cubic];
  let high = 0;
  let low = cubicLow + 2 * sLow + exponent * LN2_LOW;
  for (const part of parts) {
    const sum = high + part;
    const back2 = sum - high;
    low += high - (sum - back2) + (part - back2);
    high = sum;
  }
  const total = high + low;
  return [total, high - total + low];
}

/** π/2 in three parts; the first two have 33 bits each. */
const HALF_PI_1 = 1.5707963267341256;
const HALF_PI_2 = 6.077100506303966e-11;
const HALF_PI_3 = 2.0222662487959506e-21;

/** `x = n·π/2 + high + low` with n ≡ quadrant mod 4 and |high| ≤ π/4. */
function reduce(x: number): { quadrant: number; high: number; low: number } {
  if (!(Math.abs(x) < Infinity)) return { quadrant: 0, high: NaN, low: 0 };
  if (Math.abs(x) > 1e6) return reduceHuge(x);
  const n = Math.floor(x / (Math.PI / 2) + 0.5);
  const first = x - n * HALF_PI_1;
  const second = n * HALF_PI_2;
  const r = first - second;
  const rest = n * HALF_PI_3 - (first - r - second);
  const high = r - rest;
  return { quadrant: ((n % 4) + 4) % 4, high, low: r - high - rest };
}

const HUGE_BITS = 1300n;
let hugeHalfPi: bigint | undefined;

/** The same on integers: exact for any double, and slow. */
function reduceHuge(x: number): { quadrant: number; high: number; low: number } {
  // Machin: π/4 = 4·atan(1/5) - atan(1/239).
  const arc = (inverse: bigint) => {
    let sum = 0n;
    for (let n = 0n, power = (1n << (HUGE_BITS + 32n)) / inverse; power !== 0n; n++, power /= inverse * inverse) {
      sum += (n % 2n === 0n ? power : -power) / (2n * n + 1n);
    }
    return sum;
  };
  const halfPi = (hugeHalfPi ??= (2n * (4n * arc(5n) - arc(239n))) >> 32n);
  const whole = Math.floor(x);
  // At most 33 bits lie behind the point of a double above 10^6.
  const exact = (BigInt(whole) << HUGE_BITS) + (BigInt((x - whole) * POWERS[52]!) << (HUGE_BITS - 52n));
  // Division of bigints truncates: rounded to the nearest on either side.
  const n = (2n * exact + (exact < 0n ? -halfPi : halfPi)) / (2n * halfPi);
  const rest = exact - n * halfPi;
  const high = Number(rest >> (HUGE_BITS - 120n)) / POWERS[120]!;
  return { quadrant: Number(((n % 4n) + 4n) % 4n), high, low: 0 };
}

function sinKernel(x: number, low: number): number {
  const z = x * x;
  let sum = 0;
  for (let n = 9; n >= 1; n--)
    sum = z * ((n % 2 === 0 ? INVERSE_FACTORIALS[2 * n + 1]! : -INVERSE_FACTORIALS[2 * n + 1]!) + sum);
  return x + (x * sum + low * (1 - 0.5 * z));
}

function cosKernel(x: number, low: number): number {
  const z = x * x;
  let sum = 0;
  for (let n = 10; n >= 2; n--)
    sum = z * ((n % 2 === 0 ? INVERSE_FACTORIALS[2 * n]! : -INVERSE_FACTORIALS[2 * n]!) + sum);
  const half = 0.5 * z;
  const near = 1 - half;
  return near + (1 - near - half + (z * sum - x * low));
}
