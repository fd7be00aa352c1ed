import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { readdir, readFile, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { binFile, littleEndian } from "../../src/circuit/binfile.js";
import { type CompiledCircuit, compileCircuit } from "../../src/circuit/compile.js";
import { setupPortable } from "../../src/circuit/portableSetup.js";
import { checkWitness, circuitDigest, type R1cs, readR1cs } from "../../src/circuit/r1cs.js";
import { type CircuitKey, developmentKey, setupDevelopment } from "../../src/circuit/setup.js";
import type { ArtefactStore } from "../../src/circuit/store.js";
import { calculateWitness, encodeWtns } from "../../src/circuit/witness.js";
import { readZkeyHeader, STAMP_SECTION } from "../../src/circuit/zkey.js";
import { AnchorError } from "../../src/errors.js";
import { utf8 } from "../../src/field/bytes.js";
import { nativeCore } from "../../src/field/native.js";
import { R } from "../../src/field/scalar.js";
import { PACKAGE_ROOT } from "../../src/paths.js";
import {
  keyDigest,
  parseProof,
  parseVerifyingKey,
  type VerifyingKey,
  verifyGroth16,
  verifyingKeyToJson,
} from "../../src/verifier/groth16.js";
import { lintVerifyingKey } from "../../src/verifier/lint.js";
import { sectionsOf } from "./ceremony.js";
import { layoutOf, type Row, r1csFile, r1csSections, type System } from "./files.js";
import { code, entries, TINY, TINY_INPUTS, TINY_OUTPUT, temporaryFolder, temporaryStore } from "./support.js";
import { snarkjs, stopSnarkjs } from "./vendor.js";

const PUBLIC = [TINY_OUTPUT, TINY_INPUTS.a, TINY_INPUTS.unused];

let store: ArtefactStore;
let circuit: CompiledCircuit;
let key: CircuitKey;
let r1cs: R1cs;
let witness: bigint[];

beforeAll(async () => {
  store = await temporaryStore();
  circuit = await compileCircuit(TINY);
  key = await developmentKey(circuit, { store });
  r1cs = readR1cs(await readFile(circuit.r1csPath));
  witness = await calculateWitness(circuit.wasmPath, TINY_INPUTS);
});
afterAll(stopSnarkjs);

const prove = (values: readonly bigint[], zkey: string | Uint8Array = key.zkeyPath) =>
  snarkjs.groth16.prove(zkey, encodeWtns(values), undefined, { singleThread: true });

describe("a development key", () => {
  it("makes proofs with snarkjs, which snarkjs and our verifier accept", async () => {
    for (const inputs of [TINY_INPUTS, { a: 0n, unused: 0n, b: R - 1n, extra: [2n ** 200n, R - 3n] }]) {
      const values = await calculateWitness(circuit.wasmPath, inputs);
      const { proof, publicSignals } = await prove(values);
      expect(publicSignals).toEqual(values.slice(1, 4).map(String));
      expect(await snarkjs.groth16.verify(key.verifyingKeyJson, publicSignals, proof)).toBe(true);
      expect(verifyGroth16(key.verifyingKey, publicSignals.map(BigInt), parseProof(proof))).toBe(true);
    }
  });

  it("binds every public signal, also the one that no row mentions", async () => {
    const { proof } = await prove(witness);
    expect(verifyGroth16(key.verifyingKey, PUBLIC, parseProof(proof))).toBe(true);
    for (let i = 0; i < PUBLIC.length; i++) {
      for (const other of [(PUBLIC[i]! + 1n) % R, 0n, R - PUBLIC[i]!]) {
        const publics = PUBLIC.map((value, j) => (i === j ? other : value));
        expect(verifyGroth16(key.verifyingKey, publics, parseProof(proof))).toBe(false);
        expect(await snarkjs.groth16.verify(key.verifyingKeyJson, publics.map(String), proof)).toBe(false);
      }
    }
    const swapped = [PUBLIC[0]!, PUBLIC[2]!, PUBLIC[1]!];
    expect(verifyGroth16(key.verifyingKey, swapped, parseProof(proof))).toBe(false);
  });

  it("binds every row: a proof from a witness that violates one does not verify", async () => {
    const violated = new Set<number>();
    for (let wire = 1; wire < witness.length; wire++) {
      const wrong = witness.map((value, i) => (i === wire ? (value + 1n) % R : value));
      const row = checkWitness(r1cs, wrong);
      violated.add(row);
      const { proof, publicSignals } = await prove(wrong);
      expect(verifyGroth16(key.verifyingKey, publicSignals.map(BigInt), parseProof(proof))).toBe(row === -1);
    }
    expect([...violated].sort((x, y) => x - y)).toEqual([-1, 0, 1, 2]);
  });

  it("is described by the files beside it, its digest and its circuit", async () => {
    expect(key.development).toBe(true);
    expect(key.circuitDigest).toBe(circuit.circuitDigest);
    expect(key.keyDigest).toBe(keyDigest(key.verifyingKey));
    expect(key.verifyingKeyJson).toEqual(verifyingKeyToJson(key.verifyingKey));
    expect(key.verifyingKey.nPublic).toBe(3);
    expect(() => lintVerifyingKey(key.verifyingKey)).not.toThrow();
  });

  it("has the verifying key that snarkjs exports from its file", async () => {
    const exported = await snarkjs.zKey.exportVerificationKey(key.zkeyPath);
    expect(parseVerifyingKey(JSON.parse(JSON.stringify(exported)))).toEqual(key.verifyingKey);
    const { vk_alphabeta_12: _, ...rest } = exported;
    expect(rest).toEqual(key.verifyingKeyJson);
  });

  it("lays out the sections of snarkjs' format, and a stamp of its own", async () => {
    const [wires, publics, domain] = [9, 3, 8]; // 3 rows and 4 for the public signals and the constant
    const sections = await sectionsOf(key.zkeyPath);
    const header = Buffer.from(sections.get(2)!);
    expect([72, 76, 80].map((at) => header.readUInt32LE(at))).toEqual([wires, publics, domain]);
    const entriesOfAB = r1cs.a.wire.length + r1cs.b.wire.length + publics + 1;
    expect((await layoutOf(key.zkeyPath)).map(({ id, length }) => [id, length])).toEqual([
      [1, 4],
      [2, 84 + 3 * 64 + 3 * 128],
      [4, 4 + 44 * entriesOfAB],
      [3, 64 * (publics + 1)],
      [9, 64 * domain],
      [8, 64 * (wires - publics - 1)],
      [5, 64 * wires],
      [6, 64 * wires],
      [7, 128 * wires],
      [10, 68],
      [STAMP_SECTION, sections.get(STAMP_SECTION)!.length],
    ]);
    expect(sections.get(10)).toEqual(new Uint8Array(68));
    expect(JSON.parse(Buffer.from(sections.get(STAMP_SECTION)!).toString())).toEqual({
      tool: "anchorproof",
      development: true,
      circuitDigest: circuit.circuitDigest,
    });
  });
});

/** What `setupDevelopment` does on this machine, and without the native core. */
const MAKERS: Record<string, (r1csPath: string, zkeyPath: string) => Promise<VerifyingKey>> = {
  here: async (r1csPath, zkeyPath) => (await setupDevelopment(r1csPath, zkeyPath)).verifyingKey,
  portable: async (r1csPath, zkeyPath) => {
    const bytes = await readFile(r1csPath);
    const stamp = { tool: "anchorproof", development: true, circuitDigest: circuitDigest(bytes) };
    await writeFile(zkeyPath, await setupPortable(readR1cs(bytes), utf8(JSON.stringify(stamp))));
    return (await readZkeyHeader(zkeyPath)).verifyingKey;
  },
};

/** Systems at the edges of the format, each with a witness. */
const SYSTEMS: Record<string, System & { witness: bigint[] }> = {
  "one row, nothing public": { wires: 3, rows: [[[[1, 1n]], [[1, 1n]], [[2, 1n]]]], witness: [1n, 9n, 81n] },
  "no private wires": {
    wires: 3,
    publicOutputs: 1,
    publicInputs: 1,
    rows: [[[[2, 1n]], [[2, 1n]], [[1, 1n]]]],
    witness: [1n, 25n, 5n],
  },
  "wires that no row uses": {
    wires: 8,
    publicInputs: 2,
    rows: [[[[4, 1n]], [[4, -1n]], [[6, -1n]]]],
    witness: [1n, 5n, 6n, 7n, 8n, 9n, 64n, 10n],
  },
  "the constant wire in every row": {
    wires: 3,
    publicOutputs: 1,
    rows: Array.from(
      { length: 50 },
      (_, i): Row => [
        [[0, BigInt(i + 1)]],
        [[0, -1n]],
        [
          [0, BigInt(-i - 2)],
          [1, 1n],
        ],
      ],
    ),
    witness: [1n, 1n, 4n],
  },
  "rows without entries, zeros, and a wire twice in a row": {
    wires: 4,
    publicInputs: 1,
    rows: [
      [[], [], []],
      [[[1, 0n]], [[2, 0n]], []],
      [
        [
          [2, 1n],
          [2, 2n],
          [2, -1n],
        ],
        [[0, 1n]],
        [[3, 1n]],
      ],
    ],
    witness: [1n, 3n, 4n, 8n],
  },
  "as many public signals as a verifying key takes": {
    wires: 1026,
    publicOutputs: 1000,
    publicInputs: 24,
    rows: [[[[1024, 1n]], [[1024, 1n]], [[1025, 1n]]]],
    witness: [...Array.from({ length: 1025 }, (_, i) => BigInt(i + 1)), 1025n ** 2n],
  },
};

describe.each(Object.keys(MAKERS))("keys made %s", (maker) => {
  it.each(Object.keys(SYSTEMS))("prove and verify: %s", async (name) => {
    const system = SYSTEMS[name]!;
    const folder = await temporaryFolder();
    const [r1csPath, zkeyPath] = [join(folder, "c.r1cs"), join(folder, "c.zkey")];
    await writeFile(r1csPath, r1csFile(system));
    const verifyingKey = await MAKERS[maker]!(r1csPath, zkeyPath);
    lintVerifyingKey(verifyingKey);
    const { witness, publicOutputs = 0, publicInputs = 0 } = system;
    expect(checkWitness(readR1cs(await readFile(r1csPath)), witness)).toBe(-1);
    const { proof, publicSignals } = await prove(witness, zkeyPath);
    const publics = witness.slice(1, 1 + publicOutputs + publicInputs);
    expect(publicSignals.map(BigInt)).toEqual(publics);
    expect(verifyGroth16(verifyingKey, publics, parseProof(proof))).toBe(true);
    for (const at of new Set([0, publics.length - 1].filter((i) => publics[i] !== undefined))) {
      const wrong = publics.map((value, i) => (i === at ? value + 1n : value));
      expect(verifyGroth16(verifyingKey, wrong, parseProof(proof))).toBe(false);
    }
  });
});

describe("the two ways to make a key", () => {
  it.each(Object.keys(SYSTEMS))("give the same but for the trapdoor: %s", async (name) => {
    const folder = await temporaryFolder();
    const r1csPath = join(folder, "c.r1cs");
    await writeFile(r1csPath, r1csFile(SYSTEMS[name]!));
    const made = [];
    for (const [maker, make] of Object.entries(MAKERS)) {
      const path = join(folder, `${maker}.zkey`);
      await make(r1csPath, path);
      made.push({ layout: await layoutOf(path), sections: await sectionsOf(path) });
    }
    const [native, portable] = made as [(typeof made)[0], (typeof made)[0]];
    expect(native.layout).toEqual(portable.layout);
    for (const id of [1, 4, 10, STAMP_SECTION]) expect(native.sections.get(id)).toEqual(portable.sections.get(id));
    expect(native.sections.get(2)!.subarray(0, 84)).toEqual(portable.sections.get(2)!.subarray(0, 84));
    // Points at infinity are where no row has an entry.
    for (const [id, bytes] of [
      [3, 64],
      [5, 64],
      [6, 64],
      [7, 128],
      [8, 64],
      [9, 64],
    ] as const) {
      const blank = (content: Uint8Array) =>
        Array.from({ length: content.length / bytes }, (_, i) =>
          content.subarray(i * bytes, (i + 1) * bytes).every((byte) => byte === 0),
        );
      expect(blank(native.sections.get(id)!), `section ${id}`).toEqual(blank(portable.sections.get(id)!));
    }
  });
});

describe("setupDevelopment", () => {
  it("draws a new trapdoor each time: keys differ in every element, and do not fit each other's proofs", async () => {
    const path = join(await temporaryFolder(), "other.zkey");
    const other = await setupDevelopment(circuit.r1csPath, path);
    expect(other.circuitDigest).toBe(circuit.circuitDigest);
    const { alpha, beta, delta, ic } = key.verifyingKey;
    expect(other.verifyingKey.alpha).not.toEqual(alpha);
    expect(other.verifyingKey.beta).not.toEqual(beta);
    expect(other.verifyingKey.delta).not.toEqual(delta);
    for (const [i, point] of ic.entries()) expect(other.verifyingKey.ic[i]).not.toEqual(point);
    expect(keyDigest(other.verifyingKey)).not.toBe(key.keyDigest);
    const { proof } = await prove(witness, path);
    expect(verifyGroth16(other.verifyingKey, PUBLIC, parseProof(proof))).toBe(true);
    expect(verifyGroth16(key.verifyingKey, PUBLIC, parseProof(proof))).toBe(false);
    // Nor does any point of the proving keys agree but where both are at infinity.
    const [ours, theirs] = [await sectionsOf(key.zkeyPath), await sectionsOf(path)];
    for (const id of [5, 6, 8, 9]) {
      for (let at = 0; at < ours.get(id)!.length; at += 64) {
        const point = ours.get(id)!.subarray(at, at + 64);
        if (point.some((byte) => byte !== 0)) expect(theirs.get(id)!.subarray(at, at + 64)).not.toEqual(point);
      }
    }
  });

  it("reports progress up to 1, and never back", async () => {
    const seen: number[] = [];
    const path = join(await temporaryFolder(), "c.r1cs");
    await writeFile(path, r1csFile({ wires: 2, rows: Array.from({ length: 2 ** 14 }, (): Row => [[], [], []]) }));
    await setupDevelopment(path, `${path}.zkey`, { onProgress: (done) => seen.push(done), threads: 1 });
    expect(seen).toEqual([...new Set(seen)].sort((x, y) => x - y));
    expect(seen[0]).toBeGreaterThanOrEqual(0);
    expect(seen.at(-1)).toBe(1);
  });

  it("makes a file for its owner's eyes: proving keys hold a model's weights", async () => {
    const folder = await temporaryFolder();
    await setupDevelopment(circuit.r1csPath, join(folder, "key.zkey"));
    const { stdout } = await promisify(execFile)("stat", ["-c", "%a", join(folder, "key.zkey")]);
    expect(stdout.trim()).toBe("600");
  });

  it("writes over nothing, and leaves nothing when it fails", async () => {
    const folder = await temporaryFolder();
    const taken = join(folder, "taken.zkey");
    await writeFile(taken, "mine");
    await expect(setupDevelopment(circuit.r1csPath, taken)).rejects.toThrowError(code("FILE_UNREADABLE"));
    expect(await readFile(taken, "utf8")).toBe("mine");
    await expect(setupDevelopment(circuit.r1csPath, join(folder, "no", "key.zkey"))).rejects.toThrowError(
      code("FILE_UNREADABLE"),
    );
    const bad = join(folder, "bad.r1cs");
    await writeFile(bad, r1csFile({ wires: 2, rows: [[[[7, 1n]], [], []]] }));
    await expect(setupDevelopment(bad, join(folder, "bad.zkey"))).rejects.toThrowError(code("CIRCUIT_MALFORMED"));
    await expect(setupDevelopment(join(folder, "none.r1cs"), join(folder, "n.zkey"))).rejects.toThrowError(
      code("FILE_NOT_FOUND"),
    );
    expect((await readdir(folder)).sort()).toEqual(["bad.r1cs", "taken.zkey"]);
  });

  it("gives a code for arguments of a wrong kind", async () => {
    const path = join(await temporaryFolder(), "key.zkey");
    for (const bad of [undefined, 7, {}, () => 1, Symbol("s")] as never[]) {
      await expect(setupDevelopment(bad, path)).rejects.toThrowError(code("INPUT_INVALID"));
      const refused = setupDevelopment(circuit.r1csPath, bad);
      await expect(refused).rejects.toSatisfy((error) => error instanceof AnchorError);
    }
    if (nativeCore() === undefined) return;
    for (const threads of [0, 257, 1.5, "2", null] as never[]) {
      await expect(setupDevelopment(circuit.r1csPath, path, { threads })).rejects.toThrowError(code("INPUT_INVALID"));
    }
    expect(existsSync(path)).toBe(false);
  });

  it("says before the work that a circuit is too large", async () => {
    const folder = await temporaryFolder();
    const many = join(folder, "many.r1cs");
    await writeFile(many, r1csFile({ wires: 1100, publicInputs: 1025, rows: [] }));
    await expect(setupDevelopment(many, join(folder, "many.zkey"))).rejects.toThrowError(code("INPUT_TOO_LARGE"));
    // 2^27 rows that take their room, but no blocks of the disk.
    const rows = join(folder, "rows.r1cs");
    const sections = r1csSections({ wires: 1, rows: [] });
    new DataView(sections[0]![1].buffer).setUint32(60, 2 ** 27, true);
    const head = binFile("r1cs", 1, [sections[0]!, sections[2]!, [2, new Uint8Array(0)]]);
    new DataView(head.buffer).setBigUint64(head.length - 8, 12n * 2n ** 27n, true);
    await writeFile(rows, head);
    await truncate(rows, head.length + 12 * 2 ** 27);
    await expect(setupDevelopment(rows, join(folder, "rows.zkey"))).rejects.toThrowError(code("INPUT_TOO_LARGE"));
    const header = { ...r1cs, constraints: 2 ** 20 };
    await expect(setupPortable(header, new Uint8Array())).rejects.toThrowError(code("INPUT_TOO_LARGE"));
    expect((await readdir(folder)).sort()).toEqual(["many.r1cs", "rows.r1cs"]);
  });

  it("stops before and in the middle of its work, and leaves no file", async () => {
    const folder = await temporaryFolder();
    const path = join(folder, "c.r1cs");
    await writeFile(path, r1csFile({ wires: 2, rows: Array.from({ length: 2 ** 16 }, (): Row => [[], [], []]) }));
    const zkey = join(folder, "c.zkey");
    await expect(setupDevelopment(path, zkey, { signal: AbortSignal.abort() })).rejects.toThrowError(code("ABORTED"));
    const stop = new AbortController();
    const seen: number[] = [];
    const onProgress = (done: number) => {
      seen.push(done);
      if (done > 0) stop.abort();
    };
    const middle = setupDevelopment(path, zkey, { signal: stop.signal, onProgress, threads: 1 });
    await expect(middle).rejects.toThrowError(code("ABORTED"));
    expect(Math.max(...seen)).toBeLessThan(1);
    const own = new RangeError("own");
    const throws = setupDevelopment(path, zkey, {
      threads: 1,
      onProgress: () => {
        throw own;
      },
    });
    await expect(throws).rejects.toBe(own);
    const portable = new AbortController();
    const stopped = setupPortable(r1cs, new Uint8Array(), {
      signal: portable.signal,
      onProgress: () => portable.abort(),
    });
    await expect(stopped).rejects.toThrowError(code("ABORTED"));
    expect(await readdir(folder)).toEqual(["c.r1cs"]);
  });
});

describe("a hostile constraint system", () => {
  const SYSTEM: System = {
    wires: 5,
    publicOutputs: 1,
    publicInputs: 1,
    rows: [
      [
        [
          [2, 1n],
          [0, 5n],
        ],
        [[3, R - 1n]],
        [[4, 7n]],
      ],
      [
        [[4, 1n]],
        [[4, 1n]],
        [
          [1, 1n],
          [0, -3n],
        ],
      ],
    ],
  };
  let folder: string;
  let count = 0;

  beforeAll(async () => {
    folder = await temporaryFolder();
  });

  /** What the reader of JavaScript says, which must be what the core says. */
  async function outcome(bytes: Uint8Array): Promise<string> {
    const path = join(folder, `${count++}.r1cs`);
    await writeFile(path, bytes);
    const attempt = (run: () => unknown): string => {
      try {
        run();
        return "accepted";
      } catch (error) {
        if (!(error instanceof AnchorError)) throw error;
        return error.code;
      }
    };
    const portable = attempt(() => readR1cs(bytes));
    const native = attempt(() => nativeCore()?.setupDevelopment(path, `${path}.zkey`, new Uint8Array()));
    if (nativeCore()) expect(native).toBe(portable);
    expect(existsSync(`${path}.zkey`)).toBe(nativeCore() !== undefined && native === "accepted");
    return portable;
  }

  const withSection = (id: number, change: (content: Uint8Array, view: DataView) => Uint8Array | undefined) =>
    binFile(
      "r1cs",
      1,
      r1csSections(SYSTEM).map(([own, content]) => {
        if (own !== id) return [own, content];
        return [own, change(content, new DataView(content.buffer)) ?? content];
      }),
    );
  const word = (id: number, at: number, value: number) =>
    withSection(id, (_, view) => {
      view.setUint32(at, value, true);
      return undefined;
    });

  it("cut anywhere, or with bytes at its end, is refused", async () => {
    const bytes = r1csFile(SYSTEM);
    expect(await outcome(bytes)).toBe("accepted");
    for (let length = 0; length < bytes.length; length++) {
      expect(await outcome(bytes.subarray(0, length)), `${length} bytes`).toBe("CIRCUIT_MALFORMED");
    }
    expect(await outcome(Uint8Array.from([...bytes, 0]))).toBe("CIRCUIT_MALFORMED");
  });

  it("with counts that it does not hold is refused before memory is taken for them", async () => {
    for (const value of [0, 1, 3, 4, 6, 1000, 2 ** 28 - 1, 2 ** 28, 2 ** 31, 2 ** 32 - 1]) {
      for (const at of [36, 40, 44, 60]) {
        // Five wires have room for the constant, one public signal and up to three more.
        const fits = (at === 40 || at === 44) && value <= 3;
        const seen = await outcome(word(1, at, value));
        expect(seen, `${value} at ${at}`).toBe(fits ? "accepted" : "CIRCUIT_MALFORMED");
      }
      if (value !== 2) expect(await outcome(word(2, 0, value))).toBe("CIRCUIT_MALFORMED");
    }
    expect(await outcome(word(1, 0, 48))).toBe("CIRCUIT_MALFORMED");
    expect(await outcome(word(1, 4, 1))).toBe("CIRCUIT_MALFORMED");
  });

  it("that names wires it does not have, or numbers outside the field, is refused", async () => {
    for (const wire of [5, 6, 2 ** 31, 2 ** 32 - 1]) expect(await outcome(word(2, 4, wire))).toBe("CIRCUIT_MALFORMED");
    for (const value of [R, R + 1n, 2n ** 256n - 1n]) {
      const bytes = withSection(2, (content) => {
        content.set(littleEndian(value), 8);
        return undefined;
      });
      expect(await outcome(bytes)).toBe("CIRCUIT_MALFORMED");
    }
  });

  it("with sections missing, twice, longer or in another order", async () => {
    const sections = r1csSections(SYSTEM);
    const [header, rows, labels] = sections as [[number, Uint8Array], [number, Uint8Array], [number, Uint8Array]];
    const file = (...parts: [number, Uint8Array][]) => binFile("r1cs", 1, parts);
    expect(await outcome(file(labels, rows, header))).toBe("accepted");
    expect(await outcome(file(header, rows, labels, [6, utf8("unknown")]))).toBe("accepted");
    // Custom templates: no row binds what they compute.
    for (const id of [4, 5]) {
      expect(await outcome(file(header, rows, labels, [id, utf8("custom")]))).toBe("CIRCUIT_MALFORMED");
    }
    for (const [id] of sections) {
      expect(await outcome(file(...sections.filter(([own]) => own !== id)))).toBe("CIRCUIT_MALFORMED");
      const longer = sections.map(([own, content]): [number, Uint8Array] => [
        own,
        own === id ? Uint8Array.from([...content, 0]) : content,
      ]);
      expect(await outcome(file(...longer))).toBe("CIRCUIT_MALFORMED");
      expect(await outcome(file(...sections, sections.find(([own]) => own === id)!))).toBe("CIRCUIT_MALFORMED");
    }
    expect(await outcome(binFile("r1cs", 2, sections))).toBe("CIRCUIT_MALFORMED");
    expect(await outcome(binFile("zkey", 1, sections))).toBe("CIRCUIT_MALFORMED");
    const bytes = r1csFile(SYSTEM);
    for (const at of [16, 16 + 12 + 64]) {
      for (const length of [2n ** 64n - 1n, 2n ** 63n, 2n ** 53n, 10n ** 6n]) {
        const changed = bytes.slice();
        new DataView(changed.buffer).setBigUint64(at, length, true);
        expect(await outcome(changed)).toBe("CIRCUIT_MALFORMED");
      }
    }
  });

  it("with any byte changed is refused, or is another system that both read alike", async () => {
    const bytes = r1csFile(SYSTEM);
    const seen = new Set<string>();
    for (let at = 0; at < bytes.length; at++) {
      const changed = bytes.slice();
      changed[at]! ^= 1 << (at % 8);
      seen.add(await outcome(changed));
    }
    expect([...seen].sort()).toEqual(["CIRCUIT_MALFORMED", "accepted"]);
  });

  it("whose header is said to be larger than memory", async () => {
    const path = join(folder, "header.r1cs");
    const bytes = binFile("r1cs", 1, [[1, new Uint8Array(0)]]);
    new DataView(bytes.buffer).setBigUint64(16, 2n ** 42n, true);
    await writeFile(path, bytes);
    await truncate(path, 24 + 2 ** 42);
    await expect(setupDevelopment(path, `${path}.zkey`)).rejects.toThrowError(code("CIRCUIT_MALFORMED"));
    await truncate(path, 0);
  });
});

describe("developmentKey", () => {
  it("is made once and kept by the circuit's digest", async () => {
    expect(await developmentKey(circuit, { store })).toEqual(key);
    expect(await entries(store, "development-key")).toHaveLength(1);
  });

  it("is made anew, and is another, when its file was damaged", async () => {
    const own = await temporaryStore();
    const first = await developmentKey(circuit, { store: own });
    const bytes = await readFile(first.zkeyPath);
    bytes[bytes.length >> 1]! ^= 1;
    await writeFile(first.zkeyPath, bytes);
    const second = await developmentKey(circuit, { store: own });
    expect(second.keyDigest).not.toBe(first.keyDigest);
    const { proof } = await prove(witness, second.zkeyPath);
    expect(verifyGroth16(second.verifyingKey, PUBLIC, parseProof(proof))).toBe(true);
  });

  it("is made without the native core too", async () => {
    const own = await temporaryStore();
    const module = pathToFileURL(join(PACKAGE_ROOT, "dist", "circuit", "index.js")).href;
    const script = `
      const { ArtefactStore, compileCircuit, developmentKey } = await import(${JSON.stringify(module)});
      const circuit = await compileCircuit(${JSON.stringify(TINY)});
      const key = await developmentKey(circuit, { store: new ArtefactStore(${JSON.stringify(own.root)}) });
      process.stdout.write(key.keyDigest);`;
    const env = { ...process.env, ANCHORPROOF_NATIVE: "off" };
    const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", script], { env });
    // The same entry serves with the core.
    const portable = await developmentKey(circuit, { store: own });
    expect(portable.keyDigest).toBe(stdout);
    const { proof } = await prove(witness, portable.zkeyPath);
    expect(verifyGroth16(portable.verifyingKey, PUBLIC, parseProof(proof))).toBe(true);
    expect(await layoutOf(portable.zkeyPath)).toEqual(await layoutOf(key.zkeyPath));
  });

  it("leaves nothing when it is stopped", async () => {
    const own = await temporaryStore();
    const stop = new AbortController();
    const options = { store: own, signal: stop.signal, onProgress: () => stop.abort() };
    await expect(developmentKey(circuit, options)).rejects.toThrowError(code("ABORTED"));
    expect(await entries(own, "development-key")).toEqual([]);
  });

  it("gives a code for a damaged constraint system", async () => {
    const own = await temporaryStore();
    const copy = await compileCircuit(TINY, { store: own });
    const bytes = await readFile(copy.r1csPath);
    // Still a well-formed system, of other rows: its key must not be kept under this circuit's digest.
    const other = await compileCircuit({ name: "four", source: TINY.source.replace("+ 3;", "+ 4;") });
    await writeFile(copy.r1csPath, await readFile(other.r1csPath));
    await expect(developmentKey(copy, { store: own })).rejects.toThrowError(code("CACHE_DAMAGED"));
    await writeFile(copy.r1csPath, bytes.subarray(0, 100));
    await expect(developmentKey(copy, { store: own })).rejects.toThrowError(code("CIRCUIT_MALFORMED"));
    expect(await entries(own, "development-key")).toEqual([]);
  });
});
