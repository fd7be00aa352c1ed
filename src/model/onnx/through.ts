/**
 * Movements of movements as one: an index map that reads through the maps of its inputs.
 *
 * Work is in proportion to the map that is made, whatever the sizes of the inputs.
 *
 * @module
 */

/** Inputs of one `arrange`, and constants of one. */
export const MOST_INPUTS = 64;
export const MOST_CONSTANTS = 65_536;

/** One input of a movement: a node's value, constants, or what another movement gives. */
export type Part =
  | { readonly id: number; readonly length: number }
  | { readonly values: Float64Array }
  | {
      readonly inputs: readonly number[];
      readonly lengths: readonly number[];
      readonly index: Int32Array;
      readonly constants: readonly number[];
    };

/** A movement with no input or constant that it does not use. */
export interface Lean {
  readonly inputs: number[];
  readonly index: Int32Array;
  readonly constants: number[];
}

export function readThrough(parts: readonly Part[], index: Int32Array, constants: readonly number[]): Lean {
  const inputs: number[] = [];
  const offsets = new Map<number, number>();
  let total = 0;
  const offsetOf = (id: number, length: number): number => {
    let offset = offsets.get(id);
    if (offset === undefined) {
      offset = total;
      total += length;
      offsets.set(id, offset);
      inputs.push(id);
    }
    return offset;
  };
  const kept: number[] = [];
  const places = new Map<number, number>();
  const constant = (value: number): number => {
    let place = places.get(value);
    if (place === undefined) {
      place = -1 - kept.length;
      kept.push(value);
      places.set(value, place);
    }
    return place;
  };

  const starts = startsOf(parts.map(lengthOf));
  const inner = parts.map((part) => ("inputs" in part ? startsOf(part.lengths) : []));
  const result = new Int32Array(index.length);
  // Neighbours mostly come from one input: what was found last is tried first.
  let at = 0;
  let deep = 0;
  for (let k = 0; k < index.length; k++) {
    const from = index[k]!;
    if (from < 0) {
      result[k] = constant(constants[-1 - from]!);
      continue;
    }
    at = search(starts, from, at);
    const part = parts[at]!;
    const local = from - starts[at]!;
    if ("id" in part) result[k] = offsetOf(part.id, part.length) + local;
    else if ("values" in part) result[k] = constant(part.values[local]!);
    else {
      const through = part.index[local]!;
      if (through < 0) result[k] = constant(part.constants[-1 - through]!);
      else {
        const bounds = inner[at]!;
        deep = search(bounds, through, deep);
        result[k] = offsetOf(part.inputs[deep]!, part.lengths[deep]!) + through - bounds[deep]!;
      }
    }
  }
  return { inputs, index: result, constants: kept };
}

function lengthOf(part: Part): number {
  return "id" in part ? part.length : "values" in part ? part.values.length : part.index.length;
}

/** Where each part starts, and where the last one ends. */
function startsOf(lengths: readonly number[]): number[] {
  const starts = [0];
  for (const length of lengths) starts.push(starts.at(-1)! + length);
  return starts;
}

/** The part that holds a place. */
function search(starts: readonly number[], place: number, guess: number): number {
  if (guess + 1 < starts.length && place >= starts[guess]! && place < starts[guess + 1]!) return guess;
  let [low, high] = [0, starts.length - 2];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (starts[middle]! <= place) low = middle;
    else high = middle - 1;
  }
  return low;
}
