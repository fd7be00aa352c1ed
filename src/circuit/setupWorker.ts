/**
 * Worker: multiplies a generator by many scalars, with a table of its multiples.
 *
 * Windows of 8 bits: 32 tables of 255 points, so a multiplication is at most 32 mixed additions. The additions run in
 * ffjavascript's WebAssembly, on its memory directly.
 *
 * @module
 */
import { parentPort, workerData } from "node:worker_threads";

/**
 * ffjavascript itself cannot be loaded in a worker thread (its `web-worker` dependency takes any thread for one of its
 * own), so the main thread hands over the module's code and the generators.
 */
export interface FixedBaseSetup {
  code: Uint8Array;
  /** Generators in Jacobian coordinates, Montgomery form. */
  generators: { g1: Uint8Array; g2: Uint8Array };
}

export interface FixedBaseRequest {
  group: "g1" | "g2";
  /** 32 bytes a scalar, little-endian. */
  scalars: Uint8Array;
}

const WINDOWS = 32;
const ENTRIES = 255;

type PointOp = (...pointers: number[]) => void;

/** A bump allocator over the module's memory; word 0 of it holds the first free address. */
class Heap {
  readonly memory: WebAssembly.Memory;

  constructor(memory: WebAssembly.Memory) {
    this.memory = memory;
  }

  get top(): number {
    return new Uint32Array(this.memory.buffer, 0, 1)[0]!;
  }

  set top(address: number) {
    new Uint32Array(this.memory.buffer, 0, 1)[0] = address;
  }

  alloc(length: number): number {
    const address = (this.top + 7) & ~7;
    this.top = address + length;
    this.reserve(0);
    return address;
  }

  /** Makes room for what the module allocates by itself, which it does without growing the memory. */
  reserve(length: number): void {
    const missing = this.top + length - this.memory.buffer.byteLength;
    if (missing > 0) this.memory.grow(Math.ceil(missing / 65536));
  }
}

class FixedBase {
  readonly affine: number;
  readonly #heap: Heap;
  readonly #jacobian: number;
  readonly #call: (name: string) => PointOp;
  readonly #table: number;

  constructor(instance: WebAssembly.Instance, heap: Heap, group: "g1" | "g2", generator: Uint8Array) {
    const coordinate = group === "g1" ? 32 : 64;
    this.affine = 2 * coordinate;
    this.#heap = heap;
    this.#jacobian = 3 * coordinate;
    this.#call = (name) => instance.exports[`${group}m_${name}`] as PointOp;
    this.#table = this.#buildTable(generator);
  }

  #buildTable(generator: Uint8Array): number {
    const points = WINDOWS * ENTRIES;
    const jacobian = this.#heap.alloc(points * this.#jacobian);
    const affine = this.#heap.alloc(points * this.affine);
    const base = this.#heap.alloc(this.#jacobian);
    new Uint8Array(this.#heap.memory.buffer).set(generator, base);
    const [add, copy, double] = [this.#call("add"), this.#call("copy"), this.#call("double")];
    for (let window = 0; window < WINDOWS; window++) {
      const first = jacobian + window * ENTRIES * this.#jacobian;
      copy(base, first);
      for (let i = 1; i < ENTRIES; i++) add(first + (i - 1) * this.#jacobian, base, first + i * this.#jacobian);
      for (let i = 0; i < 8; i++) double(base, base);
    }
    this.#toAffine(jacobian, points, affine);
    return affine;
  }

  #toAffine(jacobian: number, count: number, affine: number): void {
    this.#heap.reserve(2 * (count + 1) * this.#jacobian);
    this.#call("batchToAffine")(jacobian, count, affine);
  }

  /** Affine points in Montgomery form, little-endian, all zeros for infinity: the bytes that a zkey holds. */
  multiply(scalars: Uint8Array): Uint8Array {
    const count = scalars.length / 32;
    const jacobian = this.#heap.alloc(Math.max(1, count) * this.#jacobian);
    const affine = this.#heap.alloc(Math.max(1, count) * this.affine);
    const [zero, addMixed] = [this.#call("zero"), this.#call("addMixed")];
    for (let i = 0; i < count; i++) {
      const target = jacobian + i * this.#jacobian;
      zero(target);
      for (let window = 0; window < WINDOWS; window++) {
        const digit = scalars[32 * i + window]!;
        if (digit === 0) continue;
        addMixed(target, this.#table + (window * ENTRIES + digit - 1) * this.affine, target);
      }
    }
    this.#toAffine(jacobian, count, affine);
    return new Uint8Array(this.#heap.memory.buffer).slice(affine, affine + count * this.affine);
  }
}

if (parentPort) {
  const port = parentPort;
  const { code, generators } = workerData as FixedBaseSetup;
  const heap = new Heap(new WebAssembly.Memory({ initial: 32 }));
  const { instance } = await WebAssembly.instantiate(code, { env: { memory: heap.memory } });
  const bases = new Map<string, FixedBase>();
  port.on("message", ({ group, scalars }: FixedBaseRequest) => {
    let base = bases.get(group);
    if (!base) bases.set(group, (base = new FixedBase(instance, heap, group, generators[group])));
    const top = heap.top;
    const points = base.multiply(scalars);
    heap.top = top;
    port.postMessage(points, [points.buffer as ArrayBuffer]);
  });
}
