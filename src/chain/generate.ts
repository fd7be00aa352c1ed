/**
 * Generates Solidity verifiers from verifying keys, by a template of our own (no GPL text ends up in the result).
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { isVerifiedCeremony, type VerifiedCeremony } from "../circuit/ceremonyCheck.js";
import { AnchorError, toAnchorError } from "../errors.js";
import { assertHex, type Hex } from "../field/bytes.js";
import { Q } from "../field/scalar.js";
import { PACKAGE_ROOT } from "../paths.js";
import { keyDigest, parseVerifyingKey, type VerifyingKey, verifyingKeyToJson } from "../verifier/groth16.js";
import { lintVerifyingKey } from "../verifier/lint.js";
import { COMPILER_SETTINGS, solcVersion } from "./compile.js";

/** Raised whenever a template's output changes. Part of every generated file. */
export const GENERATOR_VERSION = 2;

/** EIP-170's limit of 24,576 bytes is reached a little above this many public signals. */
export const MAX_PUBLIC_SIGNALS = 128;

const TEMPLATES = join(PACKAGE_ROOT, "verifier-contracts", "templates");
const ZERO: Hex = `0x${"00".repeat(32)}`;

/** What the header says of the key, and of its ceremony where there is none. */
export const KEY_STATUS = { development: "development: locked to chain 31337", production: "production" } as const;
export const NO_CEREMONY = "none shown";

const IDENTIFIER = /^[A-Za-z_$][A-Za-z0-9_$]{0,63}$/;

export interface GenerateVerifierOptions {
  vkey: VerifyingKey;
  /** Solidity identifier; `Groth16Verifier` unless told, or `Groth16BatchVerifier`. */
  contractName?: string | undefined;
  /** True for a verifier of any number of proofs in one call, `verifyBatch`, in place of the one of one proof. */
  batch?: boolean | undefined;
  /** Digest of the R1CS, 32 bytes. It is stated in the contract, which cannot check it. */
  circuitDigest: Hex;
  /**
   * True unless the key's ceremony has been verified. A development verifier answers on chain 31337 only; the lock is in
   * `verifyProof`, not in the constructor, so that copying deployed code to another chain does not undo it.
   */
  development: boolean;
  /** What `verifyCeremony` gave for this key and circuit; a production contract needs it. */
  ceremony?: VerifiedCeremony | undefined;
}

/** The name of the contract that {@link generateVerifier} writes. */
export function verifierName({ contractName, batch }: Pick<GenerateVerifierOptions, "contractName" | "batch">): string {
  return contractName ?? (batch ? "Groth16BatchVerifier" : "Groth16Verifier");
}

/**
 * Solidity source of a verifier for one key. The same input always gives the same text.
 *
 * @throws KEY_DEVELOPMENT when asked for a production contract without the key's verified ceremony; KEY_MALFORMED for a
 *         key that is not canonical, KEY_FORGEABLE for one that admits forged proofs, INPUT_INVALID for a bad name or digest
 */
export function generateVerifier(options: GenerateVerifierOptions): string {
  // Each read once: what is checked is what is used.
  const { circuitDigest, contractName, batch, development, ceremony } = options;
  const vkey = checkedKey(options.vkey);
  lintVerifyingKey(vkey);
  const own = { vkey, circuitDigest, contractName, batch, development };
  if (development !== false) {
    if (ceremony !== undefined) {
      throw new AnchorError(
        "INPUT_INVALID",
        "a ceremony goes with development: false; it would not change this contract",
      );
    }
    return renderVerifier(own);
  }
  requireCeremony(ceremony, vkey, circuitDigest);
  return renderVerifier({ ...own, ceremonyId: ceremony.id });
}

/**
 * A caller's word is no ceremony, and a contract that says "production" would be believed.
 *
 * @throws KEY_DEVELOPMENT
 * @internal
 */
export function requireCeremony(
  ceremony: unknown,
  vkey: VerifyingKey,
  circuitDigest: Hex,
): asserts ceremony is VerifiedCeremony {
  const refuse = (reason: string): never => {
    throw new AnchorError("KEY_DEVELOPMENT", `${reason}; generate with development: true for chain 31337`);
  };
  if (!isVerifiedCeremony(ceremony)) {
    return refuse("production contracts need the key's ceremony, as verifyCeremony of this process gives it");
  }
  if (ceremony.development) refuse(`the ceremony makes no production key: ${ceremony.doubts.join("; ")}`);
  if (ceremony.keyDigest !== keyDigest(vkey)) refuse(`the ceremony made key ${ceremony.keyDigest}, not this one`);
  if (ceremony.circuitDigest !== circuitDigest) {
    refuse(`the ceremony was held for circuit ${ceremony.circuitDigest}, not for this one`);
  }
}

/**
 * A key object need not come from parseVerifyingKey, and a point off its curve would brick the contract or worse.
 *
 * @throws KEY_MALFORMED
 * @internal
 */
export function checkedKey(vkey: VerifyingKey): VerifyingKey {
  let json: unknown;
  try {
    json = verifyingKeyToJson(vkey);
  } catch (error) {
    throw toAnchorError(error, "KEY_MALFORMED", "the verifying key lacks a point; read it with parseVerifyingKey");
  }
  const parsed = parseVerifyingKey(json);
  // e(·, 0) = 1: with gamma at infinity the public signals would not matter, with delta C would not. This does not rest on
  // the parser, whose curve library counts infinity among the valid points.
  for (const name of ["beta", "gamma", "delta"] as const) {
    if (parsed[name].flat().every((coordinate) => coordinate === 0n)) {
      throw new AnchorError("KEY_MALFORMED", `${name} of the verifying key is the point at infinity`);
    }
  }
  return parsed;
}

/**
 * {@link generateVerifier} without its checks of key and ceremony. Tests use it to show what a refused key would have
 * allowed, and for contracts that are not locked to chain 31337.
 *
 * @internal
 */
export function renderVerifier(
  options: Omit<GenerateVerifierOptions, "ceremony"> & { ceremonyId?: Hex | undefined },
): string {
  const { vkey, batch = false, development, ceremonyId } = options;
  const contract = verifierName(options);
  if (typeof contract !== "string" || !IDENTIFIER.test(contract)) {
    throw new AnchorError("INPUT_INVALID", "contractName must be a Solidity identifier of at most 64 characters", {
      details: { contractName: contract },
    });
  }
  if (typeof batch !== "boolean") throw new AnchorError("INPUT_INVALID", "batch must be true or false");
  if (typeof development !== "boolean") {
    throw new AnchorError("INPUT_INVALID", "development must be true or false: say whether a ceremony was verified");
  }
  if (development && ceremonyId !== undefined) {
    throw new AnchorError("INPUT_INVALID", "a development contract names no ceremony");
  }
  assertHex(options.circuitDigest, "circuitDigest", 32);
  if (ceremonyId !== undefined) {
    assertHex(ceremonyId, "ceremonyId", 32);
    if (ceremonyId === ZERO) throw new AnchorError("INPUT_INVALID", "ceremonyId is zero, which stands for no ceremony");
  }
  const n = vkey.nPublic;
  if (n > MAX_PUBLIC_SIGNALS) {
    throw new AnchorError(
      "INPUT_INVALID",
      `a verifier of ${n} public signals would not fit EIP-170; hash them together`,
      {
        details: { nPublic: n, limit: MAX_PUBLIC_SIGNALS },
      },
    );
  }
  const some = n > 0;
  const common = {
    GENERATOR_VERSION: String(GENERATOR_VERSION),
    KEY_DIGEST: keyDigest(vkey),
    CIRCUIT_DIGEST: options.circuitDigest,
    N_PUBLIC: String(n),
    KEY_STATUS: KEY_STATUS[development ? "development" : "production"],
    CEREMONY_STATUS: ceremonyId ?? NO_CEREMONY,
    CEREMONY: ceremonyId ?? ZERO,
    COMPILER: compilerLine(),
    CONTRACT: contract,
    DEVELOPMENT: String(development),
    KEY_CONSTANTS: keyConstants(vkey),
    SIGNAL_ERROR: some ? "    error PublicSignalNotInField(uint256 index);\n" : "",
  };
  if (batch) {
    return fill(readTemplate("Groth16BatchVerifier.sol.tmpl"), {
      ...common,
      SIGNAL_TERMS: batchSignalTerms(n),
      SIGNAL_SUM: some ? SIGNAL_SUM : "",
      SIGNAL_CHECK: some ? BATCH_SIGNAL_CHECK : "",
    });
  }
  return fill(readTemplate("Groth16Verifier.sol.tmpl"), {
    ...common,
    CALLDATA_SIZE: String(4 + 32 * (8 + n)),
    SIGNALS_DOC: some ? "    /// @param publicSignals in the circuit's order, each below r\n" : "",
    SIGNALS_PARAMETER: some ? `, uint256[${n}] calldata publicSignals` : "",
    SIGNAL_TERMS: signalTerms(n),
    SIGNAL_CHECK: some ? SIGNAL_CHECK : "",
  });
}

/** Compiler, version and settings in one line, as they stand in the header of generated files. */
function compilerLine(): string {
  const { evmVersion, optimizer, viaIR } = COMPILER_SETTINGS;
  return `solc ${solcVersion()}, evmVersion ${evmVersion}, optimizer runs ${optimizer.runs}, viaIR ${viaIR}, no metadata`;
}

function keyConstants(vkey: VerifyingKey): string {
  const lines: string[] = [];
  const constant = (name: string, value: bigint) =>
    lines.push(`    uint256 private constant ${name} = ${word(value)};`);
  const g1 = (name: string, [x, y]: readonly [bigint, bigint]) => {
    constant(`${name}_X`, x);
    constant(`${name}_Y`, y);
  };
  const g2 = (name: string, [x, y]: VerifyingKey["beta"]) => {
    constant(`${name}_X_C1`, x[1]);
    constant(`${name}_X_C0`, x[0]);
    constant(`${name}_Y_C1`, y[1]);
    constant(`${name}_Y_C0`, y[0]);
  };
  g1("_NEG_ALPHA", [vkey.alpha[0], negate(vkey.alpha[1])]);
  g2("_BETA", vkey.beta);
  g2("_NEG_GAMMA", negateG2(vkey.gamma));
  g2("_NEG_DELTA", negateG2(vkey.delta));
  for (const [i, point] of vkey.ic.entries()) g1(`_IC${i}`, point);
  return lines.join("\n");
}

/** One multiplication and one addition a signal, unrolled: a loop would cost more than the code it saves. */
function signalTerms(n: number): string {
  if (n === 0) return "            sound := true\n";
  const lines: string[] = [];
  for (let i = 0; i < n; i++) {
    const source = i === 0 ? "publicSignals" : `add(publicSignals, 0x${(32 * i).toString(16)})`;
    lines.push(
      "",
      i === 0 ? `let signal := calldataload(${source})` : `signal := calldataload(${source})`,
      `mstore(0x1c0, _IC${i + 1}_X)`,
      `mstore(0x1e0, _IC${i + 1}_Y)`,
      "mstore(0x200, signal)",
      "sound := and(",
      "    and(eq(returndatasize(), 0x40), staticcall(gas(), 0x06, 0x180, 0x80, 0x180, 0x40)),",
      ...(i === 0
        ? [
            "    and(and(eq(returndatasize(), 0x40), staticcall(gas(), 0x07, 0x1c0, 0x60, 0x1c0, 0x40)), lt(signal, _R))",
          ]
        : [
            "    and(",
            "        and(eq(returndatasize(), 0x40), staticcall(gas(), 0x07, 0x1c0, 0x60, 0x1c0, 0x40)),",
            "        and(sound, lt(signal, _R))",
            "    )",
          ]),
      ")",
    );
  }
  return `${lines.map((line) => (line === "" ? "" : `            ${line}`)).join("\n")}\n`;
}

/** As {@link signalTerms}, of the sums over all proofs. */
function batchSignalTerms(n: number): string {
  const lines: string[] = [];
  for (let i = 0; i < n; i++) {
    const first = i === 0 ? "signals.offset" : `add(signals.offset, 0x${(32 * i).toString(16)})`;
    lines.push(
      "",
      `${i === 0 ? "let weighted, below" : "weighted, below"} := weigh(${first}, coefficients)`,
      "canonical := and(canonical, below)",
      `mstore(0x180, _IC${i + 1}_X)`,
      `mstore(0x1a0, _IC${i + 1}_Y)`,
      "mstore(0x1c0, weighted)",
      "sound := and(",
      "    and(eq(returndatasize(), 0x40), staticcall(gas(), 0x06, 0x140, 0x80, 0x140, 0x40)),",
      "    and(and(eq(returndatasize(), 0x40), staticcall(gas(), 0x07, 0x180, 0x60, 0x180, 0x40)), sound)",
      ")",
    );
  }
  return lines.map((line) => (line === "" ? "" : `                ${line}`)).join("\n") + (n > 0 ? "\n" : "");
}

const SIGNAL_SUM = `
            // Σ_i r_i · signal[i], of one signal of every proof: the first at \`signal\`, the last before the calldata's end.
            function weigh(signal, coefficient) -> sumOfSignals, allBelow {
                allBelow := 1
                for {} lt(signal, calldatasize()) {} {
                    let value := calldataload(signal)
                    allBelow := and(allBelow, lt(value, _R))
                    sumOfSignals := addmod(sumOfSignals, mulmod(value, mload(coefficient), _R), _R)
                    signal := add(signal, shl(5, N_PUBLIC))
                    coefficient := add(coefficient, 0x20)
                }
            }
`;

const SIGNAL_CHECK = `            for (uint256 i = 0; i < N_PUBLIC; ++i) {
                if (publicSignals[i] >= _R) revert PublicSignalNotInField(i);
            }
`;

/** In a batch these are many, and only a call that fails for one of them pays for finding it. */
const BATCH_SIGNAL_CHECK = `            for (uint256 i = 0; !canonical; ++i) {
                if (signals[i] >= _R) revert PublicSignalNotInField(i);
            }
`;

function negate(y: bigint): bigint {
  return y === 0n ? 0n : Q - y;
}

function negateG2([x, [c0, c1]]: VerifyingKey["beta"]): VerifyingKey["beta"] {
  return [x, [negate(c0), negate(c1)]];
}

function word(value: bigint): string {
  return `0x${value.toString(16).padStart(64, "0")}`;
}

function readTemplate(name: string): string {
  const path = join(TEMPLATES, name);
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw toAnchorError(error, "FILE_NOT_FOUND", `the verifier template is missing: ${path}; reinstall anchorproof`);
  }
}

/** Every placeholder must be known and every value used: a template and a generator that drift apart fail loudly. */
function fill(template: string, values: Record<string, string>): string {
  const unused = new Set(Object.keys(values));
  const text = template.replace(/\{\{([A-Z0-9_]+)\}\}/g, (_, name: string) => {
    if (!Object.hasOwn(values, name)) throw new AnchorError("INTERNAL", `the verifier template asks for {{${name}}}`);
    unused.delete(name);
    return values[name]!;
  });
  if (unused.size > 0)
    throw new AnchorError("INTERNAL", `the verifier template does not use ${[...unused].join(", ")}`);
  return text;
}
