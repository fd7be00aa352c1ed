/**
 * `contract …`: Solidity verifiers of a key.
 *
 * @module
 */
import { lstat } from "node:fs/promises";
import { join } from "node:path";
import { describeR1cs } from "../circuit/r1cs.js";
import { AnchorError } from "../errors.js";
import { assertHex, type Hex } from "../field/bytes.js";
import { keyDigest, parseVerifyingKey, type VerifyingKey } from "../verifier/groth16.js";
import { BELIEF_HELP, VERIFY_OPTIONS, verifyManifest } from "./ceremony.js";
import { type Command, optional, readBytes, readJson, required, type Values, writeWhole } from "./command.js";
import type { Terminal } from "./terminal.js";

/** Larger than any verifier of the most public signals. */
const MAX_SOURCE = 4 * 1024 * 1024;

const { zkey: _, ...CEREMONY_OPTIONS } = VERIFY_OPTIONS;

const CEREMONY_HELP = `  --manifest FILE      manifest.json of the ceremony
  --r1cs FILE, --ptau FILE   circuit and powers of tau, from where you trust them
${BELIEF_HELP}`;

export const contractGenerateCommand: Command = {
  name: "contract generate",
  summary: "write the Solidity verifier of a key, and one for batches of its proofs",
  help: `
  --vkey FILE    verification_key.json
  --circuit-digest HEX   digest of the circuit, 32 bytes, as \`setup circuit\` prints it; or
  --r1cs FILE    the circuit itself. The contract states its digest; no key shows which circuit it is for
  --batch        also the verifier of many proofs in one call, at about a third of the price of each
  --name NAME    of the contract [Groth16Verifier]; the batch verifier's is NAMEBatch [Groth16BatchVerifier]
  --out DIR      where to write NAME.sol
  --force        replace what is there
A contract for every chain needs the key's ceremony, and everything in it is verified first:
${CEREMONY_HELP}
  --development  lock the contract to chain 31337 all the same, whatever is in doubt: for rehearsals

Without a ceremony's manifest the contract is one for development: it answers on chain 31337 alone, and no registry
elsewhere takes it. Nothing is written for a key that lets anyone forge proofs.
`,
  options: {
    vkey: { type: "string" },
    "circuit-digest": { type: "string" },
    batch: { type: "boolean" },
    name: { type: "string" },
    out: { type: "string" },
    force: { type: "boolean" },
    development: { type: "boolean" },
    manifest: { type: "string" },
    ...CEREMONY_OPTIONS,
  },
  positionals: [],
  async run({ values, terminal, signal }) {
    const out = required(values, "out");
    const vkey = await keyOf(values);
    const shown = await ceremonyOf(values, terminal, signal);
    const circuitDigest = shown?.circuitDigest ?? (await circuitOf(values, vkey, signal));
    if (circuitDigest === undefined) throw new AnchorError("USAGE", "name the circuit: --circuit-digest or --r1cs");
    const development = shown === undefined || values["development"] === true;
    if (shown?.development && !development) {
      throw new AnchorError(
        "KEY_DEVELOPMENT",
        `no contract for every chain: ${shown.doubts[0]} (or say --development)`,
      );
    }
    // These load ethers and solc.
    const { generateVerifier, verifierName } = await import("../chain/generate.js");
    const { artefact, compileContracts } = await import("../chain/compile.js");
    const name = optional(values, "name");
    const contracts = [{ contractName: name, batch: false }];
    if (values["batch"] === true) contracts.push({ contractName: name && `${name}Batch`, batch: true });
    const sources: Record<string, string> = {};
    for (const contract of contracts) {
      sources[`${verifierName(contract)}.sol`] = generateVerifier({
        vkey,
        circuitDigest,
        ...contract,
        ...(development ? { development } : { development, ceremony: shown }),
      });
    }
    const files = Object.keys(sources).map((file) => join(out, file));
    if (values["force"] !== true) for (const file of files) await refuseExisting(file);
    // What does not compile is not written either: a name may be one of Solidity's own words.
    terminal.busy("compiling");
    const artefacts = await compileContracts(sources, { signal });
    for (const [file, text] of Object.entries(sources)) await writeWhole(join(out, file), text);
    terminal.line(`key ${keyDigest(vkey)} (${vkey.nPublic} public signals)`);
    terminal.line(`circuit ${circuitDigest}${values["circuit-digest"] === undefined ? "" : ", as stated"}`);
    if (development) terminal.line("development: the contracts answer on chain 31337 only");
    else terminal.line(`production: ceremony ${shown!.id}`);
    for (const contract of contracts) {
      const file = `${verifierName(contract)}.sol`;
      const { deployedSize } = artefact(artefacts, verifierName(contract));
      const size = `${Buffer.byteLength(sources[file]!)} bytes, ${deployedSize} of 24576 bytes deployed`;
      terminal.line(`written to ${join(out, file)}: ${size}`);
    }
  },
};

export const contractVerifySourceCommand: Command = {
  name: "contract verify-source",
  summary: "check that a Solidity file is what a key's verifier looks like, byte by byte",
  help: `
  FILE           what \`contract generate\` wrote, for one proof or for batches
  --vkey FILE    verification_key.json that it must be the verifier of
  --circuit-digest HEX   the circuit that it must state; or
  --r1cs FILE    the circuit itself
And, for a contract for every chain, the ceremony that it names:
${CEREMONY_HELP}
And, for a contract that is deployed, as a registry names it:
  --rpc URL, --address 0x…   an Ethereum node, and where the contract is: its code must be what the file compiles to

Generates the file again from the key and what its header says, and compares. Exits with 0 if every byte is the same, and
says at which line it differs if not. A circuit and a ceremony that are not given here are as the file states them, which
nothing shows; the output says so.
`,
  options: {
    vkey: { type: "string" },
    "circuit-digest": { type: "string" },
    manifest: { type: "string" },
    rpc: { type: "string" },
    address: { type: "string" },
    ...CEREMONY_OPTIONS,
  },
  positionals: ["FILE"],
  async run({ values, positionals, terminal, signal }) {
    const [file] = positionals;
    if (file === undefined) throw new AnchorError("USAGE", "name the Solidity file");
    const place = placeOf(values);
    const source = await readBytes(file, MAX_SOURCE);
    const vkey = await keyOf(values);
    const shown = await ceremonyOf(values, terminal, signal, true);
    const circuitDigest = shown?.circuitDigest ?? (await circuitOf(values, vkey, signal));
    const id = optional(values, "ceremony");
    const ceremony = shown?.id ?? (id === undefined ? undefined : digestOption(id, "ceremony"));
    const { verifySource } = await import("../chain/verifySource.js");
    const found = verifySource(source, vkey, { circuitDigest, ceremony });
    const kind = found.kind === "batch" ? "a batch verifier" : "a verifier of one proof";
    terminal.line(`ok   ${found.contractName} is ${kind}, as generated for key ${found.keyDigest}`);
    terminal.line(
      `${circuitDigest ? "ok  " : "--  "} circuit ${found.circuitDigest}${circuitDigest ? "" : ": as stated, not shown"}`,
    );
    if (found.ceremony === undefined) terminal.line("     development: answers on chain 31337 only");
    else if (shown === undefined) {
      const how = ceremony === undefined ? "as stated, not verified" : "the one that you named, not verified";
      terminal.line(`--   ceremony ${found.ceremony}: ${how} (see --manifest)`);
    } else {
      terminal.line(`ok   ceremony ${found.ceremony}: verified`);
      for (const doubt of shown.doubts) terminal.line(`  - ${doubt}`);
      if (shown.development) {
        throw new AnchorError("KEY_DEVELOPMENT", `the ceremony makes no production key: ${shown.doubts[0]}`);
      }
    }
    if (place) {
      terminal.busy("compiling");
      await checkDeployed(place, { ...found, source: new TextDecoder().decode(source) }, signal);
      terminal.line(`ok   the code at ${place.address} is what this file compiles to`);
    }
  },
};

/** Where a contract is deployed, if that is asked. */
function placeOf(values: Values): { rpc: string; address: Hex } | undefined {
  const [rpc, address] = [optional(values, "rpc"), optional(values, "address")?.toLowerCase()];
  if (rpc === undefined && address === undefined) return undefined;
  if (rpc === undefined || address === undefined) throw new AnchorError("USAGE", "--rpc and --address go together");
  try {
    assertHex(address, "address", 20);
  } catch {
    throw new AnchorError("USAGE", "--address takes 20 bytes of 0x-hex");
  }
  return { rpc, address };
}

/** @throws CONTRACT_MISMATCH */
async function checkDeployed(
  { rpc, address }: { rpc: string; address: Hex },
  { contractName, source }: { contractName: string; source: string },
  signal: AbortSignal,
): Promise<void> {
  const { connectProvider, readCode } = await import("../chain/provider.js");
  const { artefact, compileContracts } = await import("../chain/compile.js");
  const { isCodeOf } = await import("../chain/code.js");
  const provider = await connectProvider(rpc, { signal });
  try {
    const compiled = artefact(await compileContracts({ [`${contractName}.sol`]: source }, { signal }), contractName);
    const code = await readCode(provider, address);
    if (code === "0x") throw new AnchorError("CONTRACT_MISMATCH", `there is no contract at ${address}`);
    if (!isCodeOf(code, compiled)) {
      throw new AnchorError("CONTRACT_MISMATCH", `the code at ${address} is not what this file compiles to`);
    }
  } finally {
    provider.destroy();
  }
}

async function keyOf(values: Values): Promise<VerifyingKey> {
  return parseVerifyingKey(await readJson(required(values, "vkey")));
}

/**
 * The ceremony that was named, verified, with the key among what must follow from it.
 *
 * @param alone whether --ceremony says something without a manifest
 */
async function ceremonyOf(values: Values, terminal: Terminal, signal: AbortSignal, alone = false) {
  const manifest = optional(values, "manifest");
  if (manifest !== undefined) {
    if (values["circuit-digest"] !== undefined) {
      throw new AnchorError("USAGE", "--circuit-digest does not go with --manifest, which takes --r1cs");
    }
    return (await verifyManifest(manifest, undefined, values, terminal, signal)).verified;
  }
  const needless = [...Object.keys(CEREMONY_OPTIONS), "development"].find(
    (name) => name !== "r1cs" && !(alone && name === "ceremony") && values[name] !== undefined,
  );
  if (needless) throw new AnchorError("USAGE", `--${needless} goes with --manifest`);
  return undefined;
}

/** The circuit that was named; a key with another number of public signals is not for it. */
async function circuitOf(values: Values, vkey: VerifyingKey, signal: AbortSignal): Promise<Hex | undefined> {
  const r1cs = optional(values, "r1cs");
  const digest = optional(values, "circuit-digest");
  if (r1cs !== undefined && digest !== undefined) {
    throw new AnchorError("USAGE", "name the circuit once: --circuit-digest or --r1cs");
  }
  if (r1cs === undefined) return digest === undefined ? undefined : digestOption(digest, "circuit-digest");
  const { circuitDigest, publicInputs, publicOutputs } = await describeR1cs(r1cs, signal);
  const signals = publicInputs + publicOutputs;
  if (signals !== vkey.nPublic) {
    throw new AnchorError(
      "INPUT_INVALID",
      `the circuit has ${signals} public signals, and the key ${vkey.nPublic}: they do not belong together`,
    );
  }
  return circuitDigest;
}

function digestOption(value: string, name: string): Hex {
  try {
    assertHex(value, name, 32);
  } catch {
    throw new AnchorError("USAGE", `--${name} takes 32 bytes of 0x-hex`);
  }
  return value;
}

/** @throws FILE_UNREADABLE for a path that is taken */
async function refuseExisting(path: string): Promise<void> {
  try {
    await lstat(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return;
    throw new AnchorError("FILE_UNREADABLE", `cannot write ${path}`, { cause: error });
  }
  throw new AnchorError("FILE_UNREADABLE", `${path} exists; --force replaces it`);
}
