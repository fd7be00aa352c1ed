import { expect } from "vitest";
import { AnchorError } from "../../src/errors.js";

/** Matches an AnchorError with this code: `expect(run).toThrow(code("INPUT_INVALID"))`. */
export const code = (wanted: string) => expect.objectContaining({ name: "AnchorError", code: wanted });

/** The code that a call fails with, or "accepted". Anything but an AnchorError is thrown on. */
export function outcomeOf(run: () => unknown): string {
  try {
    run();
    return "accepted";
  } catch (error) {
    if (!(error instanceof AnchorError)) throw error;
    return error.code;
  }
}
