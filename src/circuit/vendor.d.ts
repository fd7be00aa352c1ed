// snarkjs and ffjavascript ship no types. What is used of them, and no more.
declare module "snarkjs" {
  export interface MemoryFile {
    type: "mem";
    data?: Uint8Array;
  }
  export const groth16: {
    prove(
      zkey: string | Uint8Array | MemoryFile,
      wtns: string | Uint8Array | MemoryFile,
      logger?: undefined,
      options?: { singleThread?: boolean },
    ): Promise<{ proof: Record<string, unknown>; publicSignals: string[] }>;
    verify(vkey: unknown, publicSignals: readonly string[], proof: unknown): Promise<boolean>;
  };
}

declare module "ffjavascript" {
  export interface WasmCurve {
    Fr: {
      s: number;
      w: Uint8Array[];
      e(value: bigint): Uint8Array;
      random(): Uint8Array;
      toObject(element: Uint8Array): bigint;
    };
    G1: { g: Uint8Array };
    G2: { g: Uint8Array };
    /** `code` is kept in single-threaded mode only. */
    tm: { code: Uint8Array };
    terminate(): Promise<void>;
  }
  export function buildBn128(singleThread?: boolean): Promise<WasmCurve>;
}

// @types/node 20 leaves WebAssembly to the DOM library, which this project does not load.
declare namespace WebAssembly {
  interface Instance {
    readonly exports: Record<string, unknown>;
  }
  class Memory {
    constructor(descriptor: { initial: number; maximum?: number });
    readonly buffer: ArrayBuffer;
    grow(pages: number): number;
  }
  class Module {
    private readonly compiled: unknown;
  }
  function compile(code: Uint8Array): Promise<Module>;
  function instantiate(
    code: Uint8Array,
    imports: Record<string, Record<string, unknown>>,
  ): Promise<{ instance: Instance }>;
  function instantiate(module: Module, imports: Record<string, Record<string, unknown>>): Promise<Instance>;
}
