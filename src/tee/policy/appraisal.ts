/**
 * What an appraisal carries along: every rule is looked at and recorded, and none keeps the others from it.
 *
 * @module
 */
import { AnchorError, type ErrorCode, toAnchorError } from "../../errors.js";
import { oneLine } from "../../text.js";
import type { Check } from "../context.js";
import type { Listing } from "./policy.js";

/** A window of time, both ends included. */
export interface Window {
  validFrom: number;
  validUntil: number;
}

export class Appraisal {
  readonly checks: Check[] = [];
  readonly notes: string[] = [];
  /** The state that runs was held against reference values, so that something can be claimed of it. */
  measured = false;
  /** The very machine is on a list. */
  located = false;
  /** Unix seconds of the verification. */
  readonly now: number;
  #validFrom: number;
  #validUntil: number;

  constructor(now: number, { validFrom, validUntil }: Window) {
    this.now = now;
    this.#validFrom = validFrom;
    this.#validUntil = validUntil;
  }

  get window(): Window {
    return { validFrom: this.#validFrom, validUntil: this.#validUntil };
  }

  get passed(): boolean {
    return this.checks.every(({ outcome }) => outcome !== "fail");
  }

  /** Runs a rule and records how it went. What it returns is told with a pass. */
  check(id: string, claim: string, run: () => string | undefined): boolean {
    const entry: Check = { id: `policy.${id}`, claim: oneLine(claim), outcome: "pass" };
    this.checks.push(entry);
    try {
      const found = run();
      if (found !== undefined) entry.reason = oneLine(found);
      return true;
    } catch (error) {
      const { code, message } = toAnchorError(error, "INTERNAL", "the rule failed unexpectedly");
      Object.assign(entry, { outcome: "fail", code, reason: oneLine(message) });
      return false;
    }
  }

  /** For rules that the policy explicitly leaves out: why that matters. */
  unchecked(id: string, claim: string, reason: string): void {
    this.checks.push({ id: `policy.${id}`, claim, outcome: "unchecked", reason: oneLine(reason) });
  }

  note(text: string): void {
    const line = oneLine(text);
    if (!this.notes.includes(line)) this.notes.push(line);
  }

  /** The policy itself would refuse this evidence at any time outside. */
  narrow(from: number, until: number): void {
    this.#validFrom = Math.max(this.#validFrom, from);
    this.#validUntil = Math.min(this.#validUntil, until);
  }

  /** Holds a value against lists. Returns whether an allow-list names it. */
  listing<T extends string>(
    id: string,
    what: string,
    rule: Listing<T> | undefined,
    value: T | undefined,
    /** Why there is no value. Without one nothing can be on a list, and nothing is shown not to be on one. */
    absent = "the evidence does not say it",
  ): boolean {
    if (rule === undefined) return false;
    return (
      this.check(id, `the ${what} is one that the policy accepts`, () => {
        need(value !== undefined, `the ${what} cannot be held against the policy's list: ${absent}`);
        need(rule.deny?.includes(value) !== true, `the ${what} ${value} is on the policy's deny-list`);
        need(
          rule.allow === undefined || rule.allow.includes(value),
          `the ${what} is ${value}, which is not among the ${rule.allow?.length} accepted: ${some(rule.allow ?? [])}`,
        );
        return value;
      }) && rule.allow !== undefined
    );
  }

  /** A number must not be below a minimum. */
  atLeast(id: string, what: string, has: number | undefined, needs: number | undefined): void {
    if (needs === undefined) return;
    this.check(id, `the ${what} is ${needs} or higher`, () => {
      need(has !== undefined, `the evidence does not say the ${what}`);
      need(has >= needs, `the ${what} is ${has}, ${needs - has} below the minimum of ${needs}`);
      return String(has);
    });
  }

  /** A condition of one claim. */
  holds(id: string, claim: string, condition: boolean, otherwise: string, code?: ErrorCode): void {
    this.check(id, claim, () => {
      need(condition, otherwise, code);
      return undefined;
    });
  }
}

/** @throws APPRAISAL_FAILED, or the code given, unless the condition holds */
export function need(condition: boolean, reason: string, code: ErrorCode = "APPRAISAL_FAILED"): asserts condition {
  if (!condition) throw new AnchorError(code, reason);
}

/** The first few of a list, for a message. */
export function some(values: readonly (string | number | boolean)[], most = 4): string {
  const shown = values.slice(0, most).join(", ");
  return values.length > most ? `${shown}, … (${values.length} in all)` : shown;
}

/**
 * Compares versions number by number; a missing number counts as zero.
 *
 * @returns below zero if `a` is older, above if it is newer, NaN if either is no version
 */
export function compareVersions(a: string, b: string, radix: 10 | 16 = 10): number {
  const digits = radix === 16 ? /^[0-9a-f]{1,9}(?:\.[0-9a-f]{1,9}){0,15}$/i : /^\d{1,9}(?:\.\d{1,9}){0,15}$/;
  if (!digits.test(a) || !digits.test(b)) return Number.NaN;
  const [left, right] = [a, b].map((each) => each.split(".").map((part) => Number.parseInt(part, radix)));
  for (let i = 0; i < Math.max(left!.length, right!.length); i++) {
    const difference = (left![i] ?? 0) - (right![i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** Whether two masks of equal length, as hex, show that `value & mask == wanted & mask`. */
export function agree(value: string, wanted: string, mask: string): boolean {
  if (value.length !== mask.length || wanted.length !== mask.length) return false;
  return (BigInt(value) & BigInt(mask)) === (BigInt(wanted) & BigInt(mask));
}

export function isZero(value: string): boolean {
  return /^0x0*$/.test(value);
}
