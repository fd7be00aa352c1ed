/**
 * What one request expects of the evidence that answers it, beside the policy, which is the same for all requests.
 *
 * @module
 */
import { AnchorError } from "../../errors.js";
import { fromHex, type Hex } from "../../field/bytes.js";
import { documentDigest } from "../../protocol/document.js";
import { type TeeTask, taskPreimage } from "../binding.js";

/** Everything given is checked, whatever the policy says. Bytes are lower-case 0x-hex. */
export interface Expected {
  /** The task that the answer is for, in anchorproof's own order. */
  task?: TeeTask;
  /**
   * Evidence digests of the devices that the CPU's report names beside the task. For a composite they are its own, and those given
   * here have to be the same.
   */
  devices?: readonly Hex[];
  /**
   * The request's nonce, 16 to 64 bytes: the nonce field where evidence has one; else the report data is the nonce and then
   * zeros, or its second half is the nonce.
   */
  nonce?: Hex;
  /** What devices were asked with, where that is another nonce. */
  deviceNonce?: Hex;
  /** All of the bytes that the guest chose: report data, Nitro's user data, a TPM quote's qualifying data. */
  reportData?: Hex;
  /** The first of them. */
  reportDataPrefix?: Hex;
  /** Nitro's. */
  publicKey?: Hex;
  /** Nitro's; or the user data of Azure's paravisor, which is older than the TPM quote. */
  userData?: Hex;
}

const FIELDS = {
  task: true,
  devices: true,
  nonce: true,
  deviceNonce: true,
  reportData: true,
  reportDataPrefix: true,
  publicKey: true,
  userData: true,
} satisfies Record<keyof Expected, true>;

/** Shorter ones are met by chance, or by report data that is all zero. */
export const NONCE_BYTES = { least: 16, most: 64 };

/**
 * Refuses what would silently check nothing: misspelt fields, other spellings of bytes, empty prefixes.
 *
 * @throws INPUT_INVALID
 */
export function checkExpected(expected: Expected): void {
  if (typeof expected !== "object" || expected === null || Array.isArray(expected)) {
    throw new AnchorError("INPUT_INVALID", "what is expected must be an object");
  }
  const unknown = Object.keys(expected).find((name) => !Object.hasOwn(FIELDS, name));
  if (unknown !== undefined) {
    const names = Object.keys(FIELDS).join(", ");
    throw new AnchorError("INPUT_INVALID", `nothing is expected under such a name; the names are ${names}`, {
      details: { name: unknown },
    });
  }
  const { task, devices, nonce, deviceNonce, reportData, reportDataPrefix, publicKey, userData } = expected;
  if (task !== undefined) {
    if (typeof task !== "object" || task === null) throw new AnchorError("INPUT_INVALID", "a task must be an object");
    taskPreimage(task);
  }
  if (devices !== undefined) {
    if (task === undefined) {
      throw new AnchorError("INPUT_INVALID", "devices are expected beside a task: nothing else names them");
    }
    if (!Array.isArray(devices)) throw new AnchorError("INPUT_INVALID", "devices must be a list of evidence digests");
    for (const digest of devices) fromHex(digest, "a device's evidence digest", 32);
  }
  for (const [value, name] of [
    [nonce, "nonce"],
    [deviceNonce, "device nonce"],
  ] as const) {
    sized(value, name, NONCE_BYTES.least, NONCE_BYTES.most);
    if (value !== undefined && /^0x0*$/.test(value)) {
      throw new AnchorError("INPUT_INVALID", `the ${name} is zero, which evidence that answers to none has as well`);
    }
  }
  sized(reportData, "report data", 0, 1024);
  sized(reportDataPrefix, "prefix of the report data", 1, 1024);
  sized(publicKey, "public key", 1, 1024);
  sized(userData, "user data", 0, 1024);
}

/** keccak256 over the canonical form. */
export function expectedDigest(expected: Expected): Hex {
  const { task, devices, ...rest } = expected;
  return documentDigest({
    ...rest,
    ...(devices === undefined ? {} : { devices: [...devices].sort() }),
    ...(task === undefined ? {} : { task: taskPreimage(task) }),
  });
}

function sized(value: Hex | undefined, name: string, least: number, most: number): void {
  if (value === undefined) return;
  const { length } = fromHex(value, name);
  if (length < least || length > most) {
    throw new AnchorError("INPUT_INVALID", `${name} must have ${least} to ${most} bytes, not ${length}`);
  }
}
