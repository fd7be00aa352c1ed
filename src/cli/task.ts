import { randomBytes } from "node:crypto";
import type { CircuitRows } from "../circuit/r1cs.js";
import { type CircuitKey, developmentKey, openCircuitKey } from "../circuit/setup.js";
import { AnchorError } from "../errors.js";
import { assertHex, type Hex, toHex } from "../field/bytes.js";
import type { Domain } from "../protocol/eip712.js";
import type { Task } from "../protocol/statements.js";
import { type Context, optional, type Values } from "./command.js";

/** Options that say what a proof is bound to. */
export const TASK_OPTIONS = {
  "chain-id": { type: "string" },
  contract: { type: "string" },
  "task-id": { type: "string" },
  requester: { type: "string" },
  payee: { type: "string" },
  nonce: { type: "string" },
  deadline: { type: "string" },
} as const;

/** @param until how long from now a proof is good for unless told */
export const taskHelp = (until = "an hour") => `
What the proof is bound to (a proof for one task proves nothing for another):
  --chain-id N       [31337]
  --contract 0x…     the gate that will check it [the zero address: nobody's]
  --task-id 0x…      32 bytes [random]
  --requester 0x…    who asked, and receives the token [the zero address]
  --payee 0x…        who did the work [the zero address]
  --nonce N          [random]
  --deadline N       Unix seconds [${until} from now]
`;

export const TASK_HELP = taskHelp();

export const KEY_OPTIONS = { zkey: { type: "string" } } as const;

export const KEY_HELP = `  --zkey FILE    prove with this key, such as a ceremony's [a development key of this machine, made on first use]`;

/** The key to prove with, and how messages call it. */
export async function keyOf(
  circuit: CircuitRows,
  { values, terminal, signal }: Context,
): Promise<{ key: CircuitKey; label: string }> {
  const path = optional(values, "zkey");
  if (path === undefined) {
    const onProgress = (done: number) => terminal.progress("making the key", done);
    const key = await developmentKey(circuit, { signal, onProgress });
    return { key, label: `${key.keyDigest} (development)` };
  }
  const onProgress = (done: number) => terminal.progress("checking the key", done);
  const key = await openCircuitKey(circuit, path, { signal, onProgress });
  return { key, label: `${key.keyDigest} (from ${path})` };
}

export const ZERO_ADDRESS: Hex = `0x${"00".repeat(20)}`;

/** An option of `bytes` bytes in hexadecimal, either case. @throws USAGE */
export function hexOption(values: Values, name: string, bytes: number, fallback: Hex): Hex {
  const value = optional(values, name)?.toLowerCase() ?? fallback;
  try {
    assertHex(value, name, bytes);
    return value;
  } catch {
    throw new AnchorError("USAGE", `--${name} takes 0x and ${bytes} bytes in hexadecimal`);
  }
}

/** Chain and gate. @throws USAGE */
export function readDomain(values: Values): Domain {
  return {
    chainId: numberOption(values, "chain-id", 31337n),
    verifyingContract: hexOption(values, "contract", 20, ZERO_ADDRESS),
  };
}

/** @param seconds how long from now a proof is good for unless told. @throws USAGE */
export function readTask(values: Values, keyDigest: Hex, seconds = 3600): { domain: Domain; task: Task } {
  return {
    domain: readDomain(values),
    task: {
      keyDigest,
      taskId: hexOption(values, "task-id", 32, toHex(randomBytes(32))),
      requester: hexOption(values, "requester", 20, ZERO_ADDRESS),
      payee: hexOption(values, "payee", 20, ZERO_ADDRESS),
      nonce: numberOption(values, "nonce", BigInt(toHex(randomBytes(16)))),
      deadline: numberOption(values, "deadline", BigInt(Math.floor(Date.now() / 1000) + seconds)),
    },
  };
}

/** @throws USAGE */
export function numberOption(values: Values, name: string, fallback: bigint): bigint {
  const value = optional(values, name);
  if (value === undefined) return fallback;
  if (!/^\d{1,77}$/.test(value)) throw new AnchorError("USAGE", `--${name} takes a decimal number`);
  return BigInt(value);
}
