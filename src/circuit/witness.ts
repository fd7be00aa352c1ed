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
import { binFile, integer, littleEndian, uint32 } from "./binfile.js";

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
  memory: WebAssembly.Memory;
  getSharedRWMemoryStart(): number;
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

/** A generator that prints for ever must not fill the heap with it. */
const MAX_MESSAGE = 16_384;

/** A generator: its path, its bytes, or compiled. */
export type WitnessGenerator = string | Uint8Array | WebAssembly.Module;

/**
 * Runs a witness generator.
 *
 * That it returns says little about the inputs: what the generator does not check as it goes is checked by nobody
 * until the proof is verified.
 *
 * @returns one scalar a wire, the first of them 1
 * @throws WITNESS_INVALID when a constraint fails, or an input is missing, unknown, of the wrong size or no scalar;
 *   CIRCUIT_MALFORMED when the file is no witness generator; FILE_NOT_FOUND
 */
export async function calculateWitness(wasm: WitnessGenerator, inputs: CircuitInputs): Promise<bigint[]> {
  return generate(wasm, inputs, (generator) =>
    Array.from({ length: generator.getWitnessSize() }, (_, wire) => {
      generator.getWitness(wire);
      let scalar = 0n;
      for (let i = WORDS - 1; i >= 0; i--) {
        scalar = (scalar << 32n) | BigInt(generator.readSharedRWMemory(i) >>> 0);
      }
      return scalar;
    }),
  );
}

/**
 * {@link calculateWitness} as the bytes of a `.wtns` file (iden3's format, version 2), copied straight from the
 * generator's memory: no copy is left behind but the caller's.
 *
 * @throws as {@link calculateWitness}
 */
export async function calculateWtns(wasm: WitnessGenerator, inputs: CircuitInputs): Promise<Uint8Array> {
  return generate(wasm, inputs, (generator) => {
    const wires = generator.getWitnessSize();
    const file = wtnsFile(wires);
    const values = file.subarray(file.length - 32 * wires);
    const start = generator.getSharedRWMemoryStart();
    const shared = new Uint8Array(generator.memory.buffer, start, 4 * WORDS);
    for (let wire = 0; wire < wires; wire++) {
      generator.getWitness(wire);
      values.set(shared, 32 * wire);
    }
    return file;
  });
}

/** Runs the generator, hands it to `read`, and wipes its memory. */
async function generate<T>(
  wasm: WitnessGenerator,
  inputs: CircuitInputs,
  read: (generator: Generator) => T,
): Promise<T> {
  let messages = "";
  const code = typeof wasm === "string" ? await readWitnessGenerator(wasm) : wasm;
  let generator: Generator;
  const imports = {
    runtime: {
      exceptionHandler(code: number) {
        const reason = GENERATOR_ERRORS[code] ?? `error ${code}`;
        throw new AnchorError("WITNESS_INVALID", `the circuit refuses these inputs: ${reason}${where(messages)}`);
      },
      printErrorMessage() {
        messages = `${messages}${readMessage(generator)}\n`.slice(0, MAX_MESSAGE);
      },
      writeBufferMessage() {
        readMessage(generator);
      },
      showSharedRWMemory() {},
    },
  };
  try {
    const module = code instanceof WebAssembly.Module ? code : await WebAssembly.compile(code);
    const instance = await WebAssembly.instantiate(module, imports);
    generator = instance.exports as unknown as Generator;
    generator.init(1);
    if (generator.getFieldNumLen32() !== WORDS) throw new Error("it is not for BN254");
    if (!(generator.memory instanceof WebAssembly.Memory)) throw new Error("it exports no memory");
  } catch (error) {
    throw toAnchorError(error, "CIRCUIT_MALFORMED", "not a circom 2 witness generator");
  }

  try {
    setInputs(generator, inputs);
    return read(generator);
  } catch (error) {
    throw toAnchorError(error, "WITNESS_INVALID", "the witness generator failed");
  } finally {
    new Uint8Array(generator.memory.buffer).fill(0);
  }
}

function setInputs(generator: Generator, inputs: CircuitInputs): void {
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
}

export function encodeWtns(witness: readonly bigint[]): Uint8Array {
  const file = wtnsFile(witness.length);
  const start = file.length - 32 * witness.length;
  for (const [i, scalar] of witness.entries()) file.set(littleEndian(scalar), start + 32 * i);
  return file;
}

/**
 * Values of a `.wtns` file.
 *
 * @throws WITNESS_INVALID when it is damaged, or none
 */
export function decodeWtns(file: Uint8Array): bigint[] {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const malformed = (): never => {
    throw new AnchorError("WITNESS_INVALID", "this is not a .wtns file of BN254, or it is damaged");
  };
  const empty = wtnsFile(0);
  if (file.length < empty.length) malformed();
  // All that is before the values is the same in every such file, but for their number and the section's length.
  const wires = view.getUint32(WTNS_COUNT, true);
  if (file.length !== empty.length + 32 * wires) malformed();
  const head = wtnsFile(wires).subarray(0, empty.length);
  if (head.some((byte, i) => byte !== file[i])) malformed();
  return Array.from({ length: wires }, (_, wire) => {
    const value = integer(file.subarray(empty.length + 32 * wire));
    return isScalar(value) ? value : malformed();
  });
}

/** Where a file's number of values stands: after the container's head, a section's, the field's size and its order. */
const WTNS_COUNT = 12 + 12 + 4 + 32;

/** With zeros for values: they are its last `32 · wires` bytes. */
function wtnsFile(wires: number): Uint8Array {
  return binFile("wtns", 2, [
    [1, concat(uint32(32), littleEndian(R), uint32(wires))],
    [2, new Uint8Array(32 * wires)],
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
    if (text.length < MAX_MESSAGE) text += String.fromCharCode(code);
  }
  return text;
}

/** The innermost template and line of circom's trace. */
function where(messages: string): string {
  const match = /Error in template (\w+?)(?:_\d+)? line: (\d+)/.exec(messages);
  return match ? ` (template ${match[1]}, line ${match[2]})` : "";
}
