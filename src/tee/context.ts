/**
 * What a verification carries along: the time and the roots that it stands on, what it has checked, what it has used, and
 * for how long the answer holds.
 *
 * Checks throw an `AnchorError`; {@link verifyWith} turns the first one into a typed failure. Nothing else gets out: an
 * error that is none of ours is a defect and becomes `INTERNAL`, which is a failure like every other.
 *
 * @module
 */
import { AnchorError, type ErrorCode, toAnchorError } from "../errors.js";
import { type Hex, keccak, toHex } from "../field/bytes.js";
import { documentDigest } from "../protocol/document.js";
import { oneLine } from "../text.js";
import type { Claims } from "./claims.js";
import { type Roots, withOwnRoots } from "./roots.js";

/** One thing that was looked at. `id` is stable, such as `intel.tcb-info.signature`; texts are for people. */
export interface Check {
  id: string;
  /** What holds if it passed, in plain words. */
  claim: string;
  /** `unchecked`: nothing was there to check it against, and `reason` says what that means. */
  outcome: "pass" | "fail" | "unchecked";
  code?: ErrorCode;
  /** Why it failed or was not checked; for a pass, what was found where that says more than the claim. */
  reason?: string;
}

/** A piece of collateral that the answer rests on. Times are Unix seconds. */
export interface Used {
  /** Such as `intel.tcb-info`, `amd.crl`, `nvidia.rim`. */
  kind: string;
  /** keccak256 of its bytes. */
  digest: Hex;
  /** When it was issued, where it says so: what a policy's minimum issue date is held against. */
  issued?: number;
  validFrom: number;
  validUntil: number;
}

export interface VerifyOptions {
  /**
   * Unix seconds, whole: the time to verify at. For votes and mints the timestamp of a block that the task names, never
   * the machine's clock and never a time out of the evidence.
   */
  now: number;
  /** Instead of the pinned roots, family by family: for a vendor's test PKI or a partition of its own. */
  roots?: Partial<Roots>;
  /**
   * Lets evidence of environments in debug mode pass verification, with `debug` set in the claims: for developers who
   * look at it. Appraisal rejects it all the same.
   */
  allowDebug?: boolean;
}

interface Outcome {
  /** keccak256 of the evidence as it was given. */
  evidenceDigest: Hex;
  /** keccak256 over the canonical list of `collateral`. */
  collateralDigest: Hex;
  checks: Check[];
  collateral: Used[];
  /** The time that was given. */
  verifiedAt: number;
  /** Things worth knowing that make nothing invalid: unknown policy bits, padding. */
  notes: string[];
}

export interface Authentic<C extends Claims = Claims> extends Outcome {
  ok: true;
  claims: C;
  /** Everything used is valid from here … */
  validFrom: number;
  /** … until here, both included: the earliest expiry of anything used. */
  validUntil: number;
}

export interface Refused extends Outcome {
  ok: false;
  failure: { code: ErrorCode; message: string };
}

export type Verification<C extends Claims = Claims> = Authentic<C> | Refused;

/** Far more than the evidence of any machine has; taking a digest of it takes less than a tenth of a second. */
const MAX_EVIDENCE = 1024 * 1024;

/** Unix seconds of the last moment of the year 9999, the largest time that X.509 can write. */
export const END_OF_TIME = 253402300799;

/**
 * Work that the parts of one machine have in common and that is done once for all of them: what depends on bytes alone, and on
 * neither the time nor the roots. Each verification records its own checks all the same, and what failed is done again.
 */
export class Shared {
  /** Links of chains whose signature has been checked already: devices of one machine share most of theirs. */
  readonly proven = new Set<string>();
  readonly #done = new Map<unknown, Map<string, unknown>>();

  /** @param subject bytes by their identity, or text; `what` names the function of them */
  once<T>(subject: unknown, what: string, run: () => T): T {
    let results = this.#done.get(subject);
    if (!results) this.#done.set(subject, (results = new Map()));
    if (results.has(what)) return results.get(what) as T;
    const result = run();
    results.set(what, result);
    return result;
  }
}

export class Context {
  readonly now: number;
  readonly roots: Roots;
  readonly allowDebug: boolean;
  readonly checks: Check[] = [];
  readonly used: Used[] = [];
  readonly notes: string[] = [];
  readonly shared: Shared;
  #validFrom = 0;
  #validUntil = END_OF_TIME;

  /**
   * @throws BAD_TIME for anything but whole Unix seconds before the year 10000: NaN, milliseconds, a Date; INPUT_INVALID for
   *   roots that are none
   */
  constructor(options: VerifyOptions, shared = new Shared()) {
    // Nothing at all is no time.
    const { now, roots, allowDebug }: VerifyOptions = options ?? {};
    if (!Number.isSafeInteger(now) || now < 0 || now > END_OF_TIME) {
      throw new AnchorError(
        "BAD_TIME",
        "the time to verify at must be a whole number of Unix seconds, not milliseconds",
      );
    }
    this.now = now;
    this.shared = shared;
    this.roots = withOwnRoots(roots);
    this.allowDebug = allowDebug === true;
  }

  get validFrom(): number {
    return this.#validFrom;
  }

  get validUntil(): number {
    return this.#validUntil;
  }

  /** Runs one check and records how it went; its error goes on to the caller. */
  check<T>(id: string, claim: string, run: () => T): T {
    const entry: Check = { id, claim: oneLine(claim), outcome: "pass" };
    this.checks.push(entry);
    try {
      return run();
    } catch (error) {
      const { code, message } = toAnchorError(error, "INTERNAL", "the check failed unexpectedly");
      Object.assign(entry, { outcome: "fail", code, reason: oneLine(message) });
      throw error;
    }
  }

  /** Records what could not be checked, and what that means. Never for something that has to be checked. */
  unchecked(id: string, claim: string, reason: string): void {
    this.checks.push({ id, claim: oneLine(claim), outcome: "unchecked", reason: oneLine(reason) });
  }

  note(text: string): void {
    const line = oneLine(text);
    if (!this.notes.includes(line)) this.notes.push(line);
  }

  /**
   * Holds a validity window, both ends included, against the time, and narrows the answer's to it.
   *
   * @throws NOT_YET_VALID, EXPIRED, naming `what`
   */
  valid(what: string, from: number, until: number): void {
    if (this.now < from) throw new AnchorError("NOT_YET_VALID", `${what} is valid from ${time(from)} on`);
    if (this.now > until) throw new AnchorError("EXPIRED", `${what} was valid until ${time(until)}`);
    this.#validFrom = Math.max(this.#validFrom, from);
    this.#validUntil = Math.min(this.#validUntil, until);
  }

  /** Records a piece of collateral, and holds its window against the time. Errors as for {@link valid}. */
  use(kind: string, what: string, bytes: Uint8Array, window: { from: number; until: number; issued?: number }): void {
    const digest = toHex(keccak(bytes));
    if (!this.used.some((each) => each.kind === kind && each.digest === digest)) {
      const { from, until, issued } = window;
      this.used.push({ kind, digest, ...(issued === undefined ? {} : { issued }), validFrom: from, validUntil: until });
    }
    this.valid(what, window.from, window.until);
  }
}

/** A time as people read it. */
export function time(seconds: number): string {
  return new Date(seconds * 1000).toISOString().replace(".000Z", "Z");
}

/** Order does not depend on the order of the collateral given. */
export function collateralDigest(used: readonly Used[]): Hex {
  return documentDigest(sortUsed(used));
}

function sortUsed(used: readonly Used[]): Used[] {
  const key = ({ kind, digest }: Used) => `${kind} ${digest}`;
  return [...used].sort((a, b) => (key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : 0));
}

/** The frame of every family's verification: no input makes it throw. */
export function verifyWith<C extends Claims>(
  evidence: () => Uint8Array,
  options: VerifyOptions,
  run: (context: Context) => C,
  shared?: Shared,
): Verification<C> {
  const verifiedAt = typeof options?.now === "number" && Number.isFinite(options.now) ? options.now : 0;
  let evidenceDigest: Hex = "0x";
  let context: Context | undefined;
  const outcome = () => ({
    evidenceDigest,
    collateralDigest: collateralDigest(context?.used ?? []),
    checks: context?.checks ?? [],
    collateral: sortUsed(context?.used ?? []),
    verifiedAt,
    notes: context?.notes ?? [],
  });
  try {
    const bytes = evidence();
    if (bytes.length > MAX_EVIDENCE) {
      throw new AnchorError("INPUT_TOO_LARGE", `evidence of ${bytes.length} bytes; up to ${MAX_EVIDENCE} are verified`);
    }
    evidenceDigest = toHex(keccak(bytes));
    const running = new Context(options, shared);
    context = running;
    const claims = run(running);
    if (claims.debug && !running.allowDebug) {
      running.check("debug", "the environment is not in debug mode", () => {
        throw new AnchorError(
          "DEBUG_ENABLED",
          "the environment runs in debug mode: its memory can be read from outside",
        );
      });
    }
    const { validFrom, validUntil } = running;
    return { ok: true, claims, validFrom, validUntil, ...outcome() };
  } catch (error) {
    const { code, message } = toAnchorError(error, "INTERNAL", "verification failed unexpectedly");
    return { ok: false, failure: { code, message: oneLine(message) }, ...outcome() };
  }
}

/** @throws AnchorError with the code unless the condition holds */
export function demand(condition: boolean, code: ErrorCode, message: string): asserts condition {
  if (!condition) throw new AnchorError(code, message);
}
