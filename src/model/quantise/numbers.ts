/**
 * Arithmetic on units: powers of two are exact, and everything else is `+ - * /` in a fixed order.
 *
 * @module
 */

/** Exact, where the language leaves `**` to the engine. */
export function powerOfTwo(exponent: number): number {
  let power = 1;
  for (let i = 0; i < Math.abs(exponent); i++) power *= 2;
  return exponent < 0 ? 1 / power : power;
}

/** The exponent of a power of two; undefined for any other number. */
export function exactLog2(value: number): number | undefined {
  const exponent = floorLog2(value);
  return exponent !== undefined && powerOfTwo(exponent) === value ? exponent : undefined;
}

/** Largest exponent of a power of two that is not above a value; undefined where the value is not positive and finite. */
export function floorLog2(value: number): number | undefined {
  if (!(value > 0) || value === Number.POSITIVE_INFINITY) return undefined;
  let exponent = 0;
  let rest = value;
  while (rest >= 2) {
    rest /= 2;
    exponent++;
  }
  while (rest < 1) {
    rest *= 2;
    exponent--;
  }
  return exponent;
}

/** Smallest exponent of a power of two that is not below a positive value. */
export function ceilLog2(value: number): number {
  const floor = floorLog2(value) ?? 0;
  return powerOfTwo(floor) < value ? floor + 1 : floor;
}

/** To the nearest integer, halves away from zero; never -0. */
export function round(value: number): number {
  const magnitude = Math.floor(Math.abs(value) + 0.5);
  return value < 0 && magnitude > 0 ? -magnitude : magnitude;
}

/**
 * The longest run that cuts a vector into equal parts, on each of which `same` says that neighbours are alike: what is
 * said once a channel.
 */
export function runLength(length: number, same: (left: number, right: number) => boolean): number {
  let run = length;
  for (let i = 1; i < length; i++) if (!same(i - 1, i)) run = gcd(run, i);
  return run;
}

function gcd(a: number, b: number): number {
  let [x, y] = [a, b];
  while (y !== 0) [x, y] = [y, x % y];
  return x;
}

/** Lets timers, progress output and abort signals through. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
