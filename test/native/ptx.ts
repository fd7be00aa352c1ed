/**
 * Runs PTX, the assembly that nvcc makes: one thread, straight through. So what the carry chains in native/cuda/field.h become on
 * a card is tested on machines without one; what ptxas makes of it then is NVIDIA's.
 *
 * Integers only, and the few state spaces that arithmetic uses. An instruction that is not known here is an error.
 *
 * Source: NVIDIA, "Parallel Thread Execution ISA", version 9.0, sections 9.7.1 (integer) and 9.7.2 (extended precision)
 *
 * @module
 */

/** A register is a word (number), two words (bigint) or a predicate (boolean). */
type Value = number | bigint | boolean;
type Registers = Map<string, Value>;

/** Memory of a call: parameters by name, and global memory by address. */
interface Frame {
  registers: Registers;
  parameters: Map<string, DataView>;
  carry: number;
}
/** Where to go on; undefined for the next one, "return" for the end. */
type Step = (frame: Frame) => string | undefined;
interface Routine {
  /** Names of parameters in their order, with their sizes. */
  parameters: { name: string; bytes: number }[];
  result: number;
  steps: Step[];
  labels: Map<string, number>;
}

const MASK64 = (1n << 64n) - 1n;

export class PtxProgram {
  readonly #routines = new Map<string, Routine>();
  /** Global memory begins at an address that no mistake reaches. */
  readonly #base = 0x1000n;
  readonly #global: DataView;
  /** Local memory grows down from the end of the global one; both are found by their addresses alone. */
  #stack: number;

  /** @param text of a .ptx file. @param globalBytes of the memory that kernels may use */
  constructor(text: string, globalBytes = 1 << 16) {
    this.#global = new DataView(new ArrayBuffer(globalBytes));
    this.#stack = globalBytes;
    const lines = text.split("\n").map((line) => line.replace(/\/\/.*$/, "").trimEnd());
    for (let i = 0; i < lines.length; i++) {
      if (!/^\s*(?:\.visible|\.weak|\.entry|\.func)\b/.test(lines[i]!)) continue;
      let head = "";
      while (!/^\s*[{;]\s*$/.test(lines[i]!) && !/;\s*$/.test(lines[i]!)) head += ` ${lines[i++]}`;
      if (lines[i]!.trim() !== "{") continue; // a declaration
      const body: string[] = [];
      while (lines[++i] !== "}") body.push(lines[i]!);
      this.#add(head, body);
    }
  }

  /** The kernels' names. */
  get kernels(): string[] {
    return [...this.#routines.keys()];
  }

  /** Runs one thread of a kernel that takes pointers: to the inputs, and to the result. */
  run(kernel: string, inputs: readonly Uint8Array[], resultBytes: number): Uint8Array {
    const bytes = new Uint8Array(this.#global.buffer);
    const parameters: bigint[] = [];
    let at = 0;
    for (const input of [...inputs, new Uint8Array(resultBytes).fill(0xa5)]) {
      at = (at + 255) & ~255;
      bytes.set(input, at);
      parameters.push(this.#base + BigInt(at));
      at += input.length;
    }
    const routine = this.#routine(kernel);
    const views = new Map<string, DataView>();
    for (const [i, { name, bytes }] of routine.parameters.entries()) {
      const view = new DataView(new ArrayBuffer(bytes));
      view.setBigUint64(0, parameters[i]!, true);
      views.set(name, view);
    }
    this.#execute(routine, views);
    return bytes.slice(at - resultBytes, at);
  }

  #routine(name: string): Routine {
    const routine = this.#routines.get(name);
    if (!routine) throw new Error(`there is no routine ${name}`);
    return routine;
  }

  #execute(routine: Routine, parameters: Map<string, DataView>): void {
    const frame: Frame = { registers: new Map(), parameters, carry: 0 };
    const stack = this.#stack;
    for (let at = 0; at < routine.steps.length; ) {
      const next = routine.steps[at]!(frame);
      if (next === "return") break;
      at = next === undefined ? at + 1 : routine.labels.get(next)!;
    }
    this.#stack = stack;
  }

  #add(head: string, body: readonly string[]): void {
    const match = /\.(?:entry|func)\s*(?:\(([^)]*)\))?\s*([\w$]+)\s*\(([^)]*)\)/.exec(head);
    if (!match) throw new Error(`not a routine: ${head}`);
    const [, result = "", name, list] = match;
    const declared = (text: string) =>
      [...text.matchAll(/\.param\s+(?:\.align\s+\d+\s+)?\.([bus])(\d+)\s+([\w$]+)(?:\[(\d+)\])?/g)].map(
        ([, , bits, name, count]) => ({ name: name!, bytes: (Number(bits) / 8) * Number(count ?? 1) }),
      );
    const routine: Routine = {
      parameters: declared(list!),
      result: declared(result)[0]?.bytes ?? 0,
      steps: [],
      labels: new Map(),
    };
    if (routine.result > 0) routine.parameters.push(declared(result)[0]!);
    const text = body.filter((line) => !/^\s*[{}]\s*$/.test(line)).join(" ");
    for (let statement of text.split(";").map((part) => part.trim())) {
      for (let label = /^([$\w]+):\s*/.exec(statement); label; label = /^([$\w]+):\s*/.exec(statement)) {
        routine.labels.set(label[1]!, routine.steps.length);
        statement = statement.slice(label[0].length);
      }
      if (statement === "" || statement.startsWith(".reg") || statement.startsWith(".pragma")) continue;
      const local = /^\.local\s+\.align\s+\d+\s+\.b8\s+([\w$]+)\[(\d+)\]$/.exec(statement);
      if (local) {
        routine.steps.push((frame) => {
          this.#stack -= (Number(local[2]) + 255) & ~255;
          frame.registers.set(local[1]!, this.#base + BigInt(this.#stack));
          return undefined;
        });
      } else if (statement.startsWith(".param")) {
        // Of a call: made anew whenever the call is reached.
        const [parameter] = declared(statement);
        routine.steps.push(({ parameters }) => {
          parameters.set(parameter!.name, new DataView(new ArrayBuffer(parameter!.bytes)));
          return undefined;
        });
      } else {
        routine.steps.push(this.#instruction(statement));
      }
    }
    this.#routines.set(name!, routine);
  }

  #instruction(statement: string): Step {
    const guard = /^@(!?)(%p\d+)\s+/.exec(statement);
    const rest = guard ? statement.slice(guard[0].length) : statement;
    const [, operation, operands] = /^(\S+)\s*([\s\S]*)$/.exec(rest)!;
    const step = this.#plain(operation!, operands!.trim());
    if (!guard) return step;
    const wanted = guard[1] === "";
    return (frame) => (read(frame, guard[2]!) === wanted ? step(frame) : undefined);
  }

  #plain(operation: string, operands: string): Step {
    const words = operation.split(".");
    if (operation === "ret") return () => "return";
    if (words[0] === "bra") return () => operands;
    if (words[0] === "call") return this.#call(operands);
    const args = split(operands);
    if (words[0] === "ld" || words[0] === "st") return this.#access(words, args);
    const [out = "", a = "", b = "", c = "", d = ""] = args;
    const type = words.at(-1)!;
    const wide = type.endsWith("64");
    const word = (frame: Frame, name: string) => Number(read(frame, name)) >>> 0;
    const long = (frame: Frame, name: string) => BigInt.asUintN(64, BigInt(read(frame, name)));
    const set = (frame: Frame, value: Value) => {
      frame.registers.set(out, typeof value === "number" ? value >>> 0 : value);
      return undefined;
    };
    /** Of 32-bit sums with carry: `words` has "cc" when the carry goes out, `addc` and `madc` take it in. */
    const summed = (frame: Frame, value: number) => {
      if (words.includes("cc")) frame.carry = value > 0xffffffff ? 1 : 0;
      return set(frame, value % 2 ** 32);
    };
    const product = (frame: Frame) => BigInt(word(frame, a)) * BigInt(word(frame, b));
    const signedProduct = (frame: Frame) => BigInt(word(frame, a) | 0) * BigInt(word(frame, b) | 0);
    const half = (value: bigint) => Number(words.includes("hi") ? value >> 32n : value & 0xffffffffn);
    switch (words[0]) {
      case "mov":
        if (out.startsWith("{")) {
          const [low, high] = split(out.slice(1, -1));
          return (frame) => {
            const value = long(frame, a);
            frame.registers.set(low!, Number(value & 0xffffffffn));
            frame.registers.set(high!, Number(value >> 32n));
            return undefined;
          };
        }
        if (a.startsWith("{")) {
          const [low, high] = split(a.slice(1, -1));
          return (frame) => set(frame, (BigInt(word(frame, high!)) << 32n) | BigInt(word(frame, low!)));
        }
        if (type === "pred") return (frame) => set(frame, Number(read(frame, a)) !== 0);
        return (frame) => set(frame, wide ? long(frame, a) : word(frame, a));
      case "cvta":
        return (frame) => set(frame, long(frame, a));
      case "cvt":
        if (words[1] === "u32" || words[1] === "s32")
          return (frame) => set(frame, Number(long(frame, a) & 0xffffffffn));
        if (type === "s32") return (frame) => set(frame, BigInt.asUintN(64, BigInt(word(frame, a) | 0)));
        return (frame) => set(frame, long(frame, a));
      case "add":
      case "addc":
        if (wide) return (frame) => set(frame, (long(frame, a) + long(frame, b)) & MASK64);
        return (frame) => summed(frame, word(frame, a) + word(frame, b) + (words[0] === "addc" ? frame.carry : 0));
      case "sub":
      case "subc":
        if (wide) return (frame) => set(frame, (long(frame, a) - long(frame, b)) & MASK64);
        return (frame) => {
          const value = word(frame, a) - word(frame, b) - (words[0] === "subc" ? frame.carry : 0);
          // The flag holds the borrow.
          if (words.includes("cc")) frame.carry = value < 0 ? 1 : 0;
          return set(frame, value);
        };
      case "mul":
        if (words[1] === "wide") {
          if (type === "s32") return (frame) => set(frame, signedProduct(frame) & MASK64);
          if (type !== "u32") break;
          return (frame) => set(frame, product(frame));
        }
        if (wide) return (frame) => set(frame, (long(frame, a) * long(frame, b)) & MASK64);
        if (words[1] === "hi" && type === "s32") break;
        return (frame) => set(frame, half(product(frame)));
      case "mad":
      case "madc":
        if (words[1] === "wide") {
          if (type === "s32") return (frame) => set(frame, (signedProduct(frame) + long(frame, c)) & MASK64);
          if (type !== "u32") break;
          return (frame) => set(frame, (product(frame) + long(frame, c)) & MASK64);
        }
        if (wide || (words[1] === "hi" && type === "s32")) break;
        return (frame) =>
          summed(frame, half(product(frame)) + word(frame, c) + (words[0] === "madc" ? frame.carry : 0));
      case "and":
      case "or":
      case "xor": {
        const of = {
          and: (x: bigint, y: bigint) => x & y,
          or: (x: bigint, y: bigint) => x | y,
          xor: (x: bigint, y: bigint) => x ^ y,
        };
        if (type === "pred") {
          const bit = (frame: Frame, name: string) => BigInt(read(frame, name) === true);
          return (frame) => set(frame, of[words[0] as "and"](bit(frame, a), bit(frame, b)) === 1n);
        }
        if (wide) return (frame) => set(frame, of[words[0] as "and"](long(frame, a), long(frame, b)));
        return (frame) => set(frame, Number(of[words[0] as "and"](BigInt(word(frame, a)), BigInt(word(frame, b)))));
      }
      case "not":
        if (type === "pred") return (frame) => set(frame, read(frame, a) !== true);
        return (frame) => set(frame, ~word(frame, a));
      case "neg":
        return (frame) => set(frame, -word(frame, a));
      case "shl":
      case "shr": {
        const left = words[0] === "shl";
        if (type === "s64") {
          const of = (frame: Frame) => BigInt.asIntN(64, long(frame, a)) >> BigInt(Math.min(63, word(frame, b)));
          return (frame) => set(frame, BigInt.asUintN(64, of(frame)));
        }
        if (type.startsWith("s")) return (frame) => set(frame, (word(frame, a) | 0) >> Math.min(31, word(frame, b)));
        if (wide) {
          return (frame) => {
            const by = BigInt(word(frame, b));
            return set(frame, left ? (long(frame, a) << by) & MASK64 : long(frame, a) >> by);
          };
        }
        return (frame) => {
          const by = word(frame, b);
          return set(frame, by > 31 ? 0 : left ? word(frame, a) << by : word(frame, a) >>> by);
        };
      }
      case "bfi":
        return (frame) => {
          const mask = ((1n << BigInt(word(frame, d))) - 1n) << BigInt(word(frame, c));
          const value = (long(frame, b) & ~mask) | ((long(frame, a) << BigInt(word(frame, c))) & mask);
          return set(frame, wide ? value : Number(value));
        };
      case "shf":
        return (frame) => {
          const value = (BigInt(word(frame, b)) << 32n) | BigInt(word(frame, a));
          const by = words[2] === "wrap" ? word(frame, c) & 31 : Math.min(32, word(frame, c));
          const shifted = words[1] === "l" ? (value << BigInt(by)) >> 32n : value >> BigInt(by);
          return set(frame, Number(shifted & 0xffffffffn));
        };
      case "setp": {
        const signed = (value: bigint) =>
          type === "s32" ? BigInt.asIntN(32, value) : type === "s64" ? BigInt.asIntN(64, value) : value;
        const value = (frame: Frame, name: string) => signed(wide ? long(frame, name) : BigInt(word(frame, name)));
        const compare: Record<string, (x: bigint, y: bigint) => boolean> = {
          eq: (x, y) => x === y,
          ne: (x, y) => x !== y,
          lt: (x, y) => x < y,
          le: (x, y) => x <= y,
          gt: (x, y) => x > y,
          ge: (x, y) => x >= y,
          lo: (x, y) => x < y,
          hi: (x, y) => x > y,
        };
        const test = compare[words[1]!];
        if (!test || words.length !== 3) break;
        return (frame) => set(frame, test(value(frame, a), value(frame, b)));
      }
      case "selp":
        return (frame) => set(frame, read(frame, read(frame, c) === true ? a : b));
    }
    throw new Error(`unknown instruction: ${operation} ${operands}`);
  }

  /** ld and st of param and global, single and of vectors. */
  #access(words: readonly string[], args: readonly string[]): Step {
    const load = words[0] === "ld";
    const [target, address] = load ? [args[0]!, args[1]!] : [args[1]!, args[0]!];
    const registers = target.startsWith("{") ? split(target.slice(1, -1)) : [target];
    const bytes = Number(/\d+$/.exec(words.at(-1)!)![0]) / 8;
    if (bytes !== 4 && bytes !== 8) throw new Error(`unknown access: ${words.join(".")}`);
    const [, base, offset = "0"] = /^\[([%\w$]+)(?:\+(-?\d+))?\]$/.exec(address)!;
    const place = (frame: Frame): [DataView, number] => {
      if (words[1] === "param") return [frame.parameters.get(base!)!, Number(offset)];
      if (!["global", "local", "u32", "b32", "u64", "b64", "v2", "v4"].includes(words[1]!)) {
        throw new Error(`unknown memory: ${words.join(".")}`);
      }
      const at = BigInt(read(frame, base!)) + BigInt(offset) - this.#base;
      if (at % BigInt(bytes * registers.length) !== 0n) throw new Error(`misaligned: ${words.join(".")} ${address}`);
      return [this.#global, Number(at)];
    };
    return (frame) => {
      const [view, at] = place(frame);
      for (const [i, name] of registers.entries()) {
        const where = at + i * bytes;
        if (load) frame.registers.set(name, bytes === 4 ? view.getUint32(where, true) : view.getBigUint64(where, true));
        else if (bytes === 4) view.setUint32(where, Number(read(frame, name)) >>> 0, true);
        else view.setBigUint64(where, BigInt.asUintN(64, BigInt(read(frame, name))), true);
      }
      return undefined;
    };
  }

  /** call (result), name, (parameters) */
  #call(operands: string): Step {
    const match = /^(?:\(\s*([\w$]+)\s*\)\s*,\s*)?([\w$]+)\s*(?:,\s*\(([^)]*)\))?$/.exec(operands);
    if (!match) throw new Error(`unknown call: ${operands}`);
    const [, result, name, list = ""] = match;
    const names = split(list);
    return (frame) => {
      const routine = this.#routine(name!);
      const parameters = new Map<string, DataView>();
      for (const [i, { name }] of routine.parameters.entries()) {
        const from = i < names.length ? names[i]! : result!;
        parameters.set(name, frame.parameters.get(from)!);
      }
      this.#execute(routine, parameters);
      return undefined;
    };
  }
}

function read({ registers }: Frame, name: string): Value {
  const value = registers.get(name);
  if (value !== undefined) return value;
  if (!/^-?(?:0x[0-9a-fA-F]+|\d+)$/.test(name)) throw new Error(`${name} was read before it was written`);
  return name.startsWith("-") ? -Number(name.slice(1)) : name.length > 9 ? BigInt(name) : Number(name);
}

/** At commas outside of braces. */
function split(operands: string): string[] {
  const parts = operands.match(/\{[^}]*\}|\[[^\]]*\]|\([^)]*\)|[^,\s]+/g) ?? [];
  return parts.map((part) => part.trim());
}
