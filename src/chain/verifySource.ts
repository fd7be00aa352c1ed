/**
 * Checks that a Solidity file is what the generator writes for a key: it is generated again, and compared byte by byte.
 *
 * @module
 */
import { AnchorError, type ErrorCode } from "../errors.js";
import type { Hex } from "../field/bytes.js";
import { clip } from "../text.js";
import { keyDigest, type VerifyingKey } from "../verifier/groth16.js";
import { lintVerifyingKey } from "../verifier/lint.js";
import { checkedKey, GENERATOR_VERSION, KEY_STATUS, NO_CEREMONY, renderVerifier } from "./generate.js";

/** What a generated file says of itself. Only `keyDigest` follows from the key; the rest is as stated. */
export interface VerifierSource {
  kind: "single" | "batch";
  contractName: string;
  keyDigest: Hex;
  /** As stated at generation: no key shows which circuit it is for. */
  circuitDigest: Hex;
  development: boolean;
  /** As stated at generation, which verified it; `undefined` for a development contract. */
  ceremony: Hex | undefined;
}

const KINDS = { "groth16-verifier": "single", "groth16-batch-verifier": "batch" } as const;

/**
 * Compares a file with what the generator writes for this key, circuit and ceremony. Contract name, circuit and ceremony
 * are taken from the file where they are not expected: the caller decides whether they are the right ones.
 *
 * @param source the file as it is
 * @throws CONTRACT_MISMATCH, with `details.line`, `details.found` and `details.expected` at the first difference;
 *         FORMAT_UNSUPPORTED for a file of another version of the generator; KEY_FORGEABLE, KEY_MALFORMED
 */
export function verifySource(
  source: Uint8Array,
  key: VerifyingKey,
  expected: { circuitDigest?: Hex | undefined; ceremony?: Hex | undefined } = {},
): VerifierSource {
  const vkey = checkedKey(key);
  lintVerifyingKey(vkey);
  const stated = readHeader(new TextDecoder().decode(source));
  const { kind, contractName, development } = stated;
  const circuitDigest = expected.circuitDigest ?? stated.circuitDigest;
  const ceremonyId = development ? undefined : (expected.ceremony ?? stated.ceremony);
  if (development && expected.ceremony !== undefined) {
    throw mismatch("it is a contract for development, which stands for no ceremony", { ceremony: expected.ceremony });
  }
  const text = renderVerifier({ vkey, contractName, batch: kind === "batch", circuitDigest, development, ceremonyId });
  compare(Buffer.from(source), Buffer.from(text));
  return { kind, contractName, keyDigest: keyDigest(vkey), circuitDigest, development, ceremony: ceremonyId };
}

/** Only what is needed to generate the file again; the comparison sees everything else. */
function readHeader(text: string): Omit<VerifierSource, "keyDigest"> {
  const field = (name: string, pattern: string): string[] => {
    const found = new RegExp(`^//   ${name.padEnd(16)}${pattern}$`, "m").exec(text);
    if (!found) throw mismatch(`its header does not say "${name}" as generated verifiers do`, { field: name });
    return found.slice(1);
  };
  const [family, version] = field("generator", `anchorproof/(${Object.keys(KINDS).join("|")})/(\\d{1,9})`);
  if (version !== String(GENERATOR_VERSION)) {
    throw mismatch(
      `it was made by version ${version} of the generator, and this is version ${GENERATOR_VERSION}: use that release`,
      { version },
      "FORMAT_UNSUPPORTED",
    );
  }
  const [circuitDigest] = field("circuit digest", "(0x[0-9a-f]{64})");
  const [status] = field("key", `(${Object.values(KEY_STATUS).join("|")})`);
  const [ceremony] = field("ceremony", `(${NO_CEREMONY}|0x[0-9a-f]{64})`);
  const development = status === KEY_STATUS.development;
  if (development !== (ceremony === NO_CEREMONY)) {
    throw mismatch("a production contract names its ceremony, and a development one names none", { ceremony });
  }
  const [, contractName] = /^contract ([A-Za-z_$][A-Za-z0-9_$]{0,63}) \{$/m.exec(text) ?? [];
  if (contractName === undefined) throw mismatch("it defines no contract", {});
  return {
    kind: KINDS[family as keyof typeof KINDS],
    contractName,
    circuitDigest: circuitDigest as Hex,
    development,
    ceremony: development ? undefined : (ceremony as Hex),
  };
}

function compare(found: Buffer, expected: Buffer): void {
  if (found.equals(expected)) return;
  let at = 0;
  while (at < found.length && found[at] === expected[at]) at++;
  let line = 1;
  for (const byte of expected.subarray(0, at)) if (byte === 0x0a) line++;
  const there = lineAt(found, at);
  const here = lineAt(expected, at);
  throw mismatch(`line ${line} differs: it says ${quote(there)}, and the key gives ${quote(here)}`, {
    line,
    found: there,
    expected: here,
  });
}

/** The line around an offset; `undefined` beyond the end. */
function lineAt(text: Buffer, at: number): string | undefined {
  if (at >= text.length) return undefined;
  const start = at === 0 ? 0 : text.lastIndexOf(0x0a, at - 1) + 1;
  const end = text.indexOf(0x0a, at);
  return text.subarray(start, end < 0 ? undefined : end).toString();
}

function quote(line: string | undefined): string {
  return line === undefined ? "nothing more" : JSON.stringify(clip(line));
}

function mismatch(
  reason: string,
  details: Record<string, unknown>,
  code: ErrorCode = "CONTRACT_MISMATCH",
): AnchorError {
  return new AnchorError(code, `this is not the generator's contract for this key: ${reason}`, { details });
}
