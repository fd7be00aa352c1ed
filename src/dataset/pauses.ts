/**
 * Long work that can be stopped.
 *
 * @module
 */
import { throwIfAborted } from "../errors.js";

/** Milliseconds of work between two looks at the signal. */
const SLICE_MS = 50;

/**
 * What to call between pieces of work: looks at the signal, and lets others run, now and then. It says whether it did.
 *
 * @throws ABORTED, as what it returns does
 */
export function pauses(signal: AbortSignal | undefined): () => Promise<boolean> {
  throwIfAborted(signal);
  let last = performance.now();
  return async () => {
    if (performance.now() - last < SLICE_MS) return false;
    await new Promise(setImmediate);
    throwIfAborted(signal);
    last = performance.now();
    return true;
  };
}
