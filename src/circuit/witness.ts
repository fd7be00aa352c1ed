/**
 * Runs the WebAssembly witness generators that circom 2 compiles, and writes their result as a `.wtns` file.
 *
 * The generator's interface (circom 2.x, "wasm" backend): signals are set by the 64-bit FNV-1a hash of their name and
 * a flat index, as 32-bit words through shared memory; the last one set runs the circuit; errors come as a number
 * through an import that must throw.
 *
 * @module
 */
import { readFile } from "node:fs/promises";
import { AnchorError, toAnchorError } from "../errors.js";
import { concat, utf8 } from "../field/bytes.js";
import { isScalar, R } from "../field/scalar.js";
import { binFile, littleEndian, uint32 } from "./binfile.js";

/** A circuit's named inputs: scalars, or arrays of them, row by row. */
export type CircuitInputs = { readonly [name: string]: bigint | readonly bigint[] | readonly (readonly bigint[])[] };

/** What circom's generators report, by their error number. */
const GENERATOR_ERRORS = [
  "",
  "it has no such signal",
  "more signals were set than it has",
  "a signal was set twice",
  "a constraint does not hold",
  "it ran out of memory",
  "an input signal array was read outside its bounds",
];

interface Generator {
  init(sanityCheck: number): void;
  getFieldNumLen32(): number;
  getInputSignalSize(high: number, low: number): number;
  getInputSize(): number;
  setInputSignal(high: number, low: number, index: number): void;
  getWitnessSize(): number;
  getWitness(index: number): void;
  writeSharedRWMemory(index: number, word: number): void;
  readSharedRWMemory(index: number): number;
  getMessageChar(): number;
}

const WORDS = 8;

/**
 * Runs a witness generator.
 *
 * That it returns says little about the inputs: what the generator does not check as it goes is checked by nobody
 * until the proof is verified.
 *
 * @param wasm path or bytes of the `.wasm`
 * @returns one scalar a wire, the first of them 1
 * @throws WITNESS_INVALID when a constraint fails, or an input is missing, unknown, of the wrong size or no scalar;
 *   CIRCUIT_MALFORMED when the file is no witness generator
 */
export async function calculateWitness(wasm: string | Uint8Array, inputs: CircuitInputs): Promise<bigint[]> {
  let messages = "";
  const bytes = typeof wasm === "string" ? await readWitnessGenerator(wasm) : wasm;
  let generator: Generator;
  const imports = {
    runtime: {
      exceptionHandler(code: number) {
        const reason = GENERATOR_ERRORS[code] ?? `error ${code}`;
        throw new AnchorError("WITNESS_INVALID", `the circuit refuses these inputs: ${reason}${where(messages)}`);
      },
      printErrorMessage() {
        messages += `${readMessage(generator)}\n`;
      },
      writeBufferMessage() {
        readMessage(generator);
      },
      showSharedRWMemory() {},
    },
  };
  try {
    const { instance } = await WebAssembly.instantiate(bytes, imports);
    generator = instance.exports as unknown as Generator;
    generator.init(1);
    if (generator.getFieldNumLen32() !== WORDS) throw new Error("it is not for BN254");
  } catch (error) {
    throw toAnchorError(error, "CIRCUIT_MALFORMED", "not a circom 2 witness generator");
  }

  try {
    let set = 0;
    for (const [name, value] of Object.entries(inputs)) {
      const values = flatten(value, name);
      const [high, low] = fnv1a(name);
      const size = generator.getInputSignalSize(high, low);
      // circom answers 0 for a name that it does not know.
      if (size <= 0) throw new AnchorError("WITNESS_INVALID", `the circuit has no input "${name}"`);
      if (size !== values.length) {
        throw new AnchorError("WITNESS_INVALID", `input "${name}" takes ${size} values, got ${values.length}`);
      }
      values.forEach((scalar, index) => {
        for (let i = 0; i < WORDS; i++) {
          generator.writeSharedRWMemory(i, Number((scalar >> BigInt(32 * i)) & 0xffffffffn));
        }
        generator.setInputSignal(high, low, index);
        set++;
      });
    }
    const wanted = generator.getInputSize();
    if (set < wanted) throw new AnchorError("WITNESS_INVALID", `${set} of the circuit's ${wanted} inputs were given`);
    return Array.from({ length: generator.getWitnessSize() }, (_, wire) => {
      generator.getWitness(wire);
      let scalar = 0n;
      for (let i = WORDS - 1; i >= 0; i--) {
        scalar = (scalar << 32n) | BigInt(generator.readSharedRWMemory(i) >>> 0);
      }
      return scalar;
    });
  } catch (error) {
    throw toAnchorError(error, "WITNESS_INVALID", "the witness generator failed");
  }
}

/** {@link calculateWitness} as the bytes of a `.wtns` file (iden3's format, version 2). */
export async function calculateWtns(wasm: string | Uint8Array, inputs: CircuitInputs): Promise<Uint8Array> {
  return encodeWtns(await calculateWitness(wasm, inputs));
}

export function encodeWtns(witness: readonly bigint[]): Uint8Array {
  const values = new Uint8Array(32 * witness.length);
  for (const [i, scalar] of witness.entries()) values.set(littleEndian(scalar), 32 * i);
  const header = concat(uint32(32), littleEndian(R), uint32(witness.length));
  return binFile("wtns", 2, [
    [1, header],
    [2, values],
  ]);
}

/** @throws FILE_NOT_FOUND */
export async function readWitnessGenerator(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (error) {
    throw toAnchorError(error, "FILE_NOT_FOUND", `cannot read the witness generator ${path}`);
  }
}

function flatten(value: CircuitInputs[string], name: string): bigint[] {
  const values = Array.isArray(value) ? (value as readonly unknown[]).flat(3) : [value];
  if (!values.every(isScalar)) {
    throw new AnchorError("WITNESS_INVALID", `input "${name}" must be made of bigints in [0, r)`);
  }
  return values;
}

function fnv1a(text: string): [high: number, low: number] {
  let hash = 0xcbf29ce484222325n;
  for (const byte of utf8(text)) hash = ((hash ^ BigInt(byte)) * 0x100000001b3n) & 0xffffffffffffffffn;
  return [Number(hash >> 32n) | 0, Number(hash & 0xffffffffn) | 0];
}

function readMessage(generator: Generator): string {
  let text = "";
  for (let code = generator.getMessageChar(); code !== 0; code = generator.getMessageChar()) {
    text += String.fromCharCode(code);
  }
  return text;
}

/** The innermost template and line of circom's trace. */
function where(messages: string): string {
  const match = /Error in template (\w+?)(?:_\d+)? line: (\d+)/.exec(messages);
  return match ? ` (template ${match[1]}, line ${match[2]})` : "";
}
