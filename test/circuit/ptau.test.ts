/** Powers of tau against snarkjs, and against people who cheat with them. */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, writeFileSync } from "node:fs";
import { copyFile, mkdir, readFile, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { binFile, encodeG1, encodeG2, uint32 } from "../../src/circuit/binfile.js";
import {
  describePtau,
  importPtau,
  listPtau,
  newDevelopmentPtau,
  PUBLIC_CEREMONY,
  ptauBasis,
  ptauDigest,
} from "../../src/circuit/ptau.js";
import type { ArtefactStore } from "../../src/circuit/store.js";
import { STAMP_SECTION } from "../../src/circuit/zkey.js";
import { concat, toHex, utf8 } from "../../src/field/bytes.js";
import { nativeCore } from "../../src/field/native.js";
import { Q, R } from "../../src/field/scalar.js";
import { PACKAGE_ROOT } from "../../src/paths.js";
import { G1_GENERATOR, G2_GENERATOR } from "../../src/verifier/curve.js";
import { wrongSubgroupG2 } from "../chain/simulated.js";
import { little } from "../native/support.js";
import { outcomeOf } from "../support/errors.js";
import { sectionsOf, snarkjsPowers, timesG1, timesG2 } from "./ceremony.js";
import {
  type Changes,
  changedFile,
  developmentPowers,
  layoutOf,
  patch,
  respelled,
  swapped,
  verdictOf,
} from "./files.js";
import { code, entries, temporaryFolder, temporaryStore } from "./support.js";
import { ffjavascript, snarkjs, stopSnarkjs } from "./vendor.js";

const POWER = 5;
const N = 2 ** POWER;
const blake2bOf = async (path: string) =>
  toHex(
    createHash("blake2b512")
      .update(await readFile(path))
      .digest(),
  );

it("the public ceremony's digests are those of snarkjs' documentation", async () => {
  const text = await readFile(join(PACKAGE_ROOT, "node_modules", "snarkjs", "README.md"), "utf8");
  const rows = [
    ...text.matchAll(
      /^\|\s*(\d+)\s*\|[^|]*\| \[powersOfTau28_hez_final(_\d+)?\.ptau\][^|]*\|\s*([0-9a-f]{128})\s*\|$/gm,
    ),
  ];
  expect(new Map(rows.map(([, power, , digest]) => [Number(power), digest]))).toEqual(PUBLIC_CEREMONY);
  expect([...PUBLIC_CEREMONY.keys()]).toEqual(Array.from({ length: 21 }, (_, i) => i + 8));
});

describe.skipIf(process.env["ANCHORPROOF_NATIVE"] === "off")("powers of tau", () => {
  let folder: string;
  /** For development, prepared and not, of one tau. */
  let prepared: string;
  let raw: string;
  /** Of another tau. */
  let other: string;
  /** snarkjs', with a contribution and a beacon, prepared. */
  let theirs: string;
  /** A store that nobody has had a hand in. */
  let clean: ArtefactStore;
  let count = 0;
  const fresh = () => join(folder, `${count++}.ptau`);

  beforeAll(async () => {
    folder = await temporaryFolder();
    ({ prepared, raw } = await developmentPowers(folder, POWER));
    other = (await developmentPowers(folder, POWER, "other")).raw;
    theirs = await snarkjsPowers(folder, 4);
    clean = await temporaryStore();
  });
  afterAll(stopSnarkjs);

  const changed = (changes: Changes, from = raw) => changedFile("ptau", from, fresh(), changes);
  const check = (path: string) => outcomeOf(() => nativeCore()!.checkPtau(path, { points: true, threads: 2 }));

  describe("for development", () => {
    it("are what snarkjs makes of them, prepared and not", async () => {
      expect(check(raw)).toBe("accepted");
      expect(check(prepared)).toBe("accepted");
      const path = fresh();
      await snarkjs.powersOfTau.preparePhase2(raw, path);
      const [ours, same] = [await sectionsOf(prepared), await sectionsOf(path)];
      for (const id of [2, 3, 4, 5, 6, 12, 13, 14, 15]) {
        expect([id, Buffer.from(ours.get(id)!).equals(same.get(id)!)]).toEqual([id, true]);
      }
      expect((await layoutOf(prepared)).map(({ id }) => id)).toEqual([
        1,
        2,
        3,
        4,
        5,
        6,
        7,
        12,
        13,
        14,
        15,
        STAMP_SECTION,
      ]);
      expect(ours.get(7)).toEqual(new Uint8Array(4));
      // Whatever the format takes: the smallest as well.
      for (const power of [1, 2]) {
        const small = await developmentPowers(folder, power);
        await snarkjs.powersOfTau.preparePhase2(small.raw, path);
        const [a, b] = [await sectionsOf(small.prepared), await sectionsOf(path)];
        for (const id of [12, 13, 14, 15]) expect(Buffer.from(a.get(id)!).equals(b.get(id)!)).toBe(true);
      }
    });

    it("are drawn anew each time, and stamped", async () => {
      const [a, b] = [await sectionsOf(raw), await sectionsOf(other)];
      for (const id of [4, 5, 6]) expect(a.get(id)).not.toEqual(b.get(id));
      expect(a.get(2)!.subarray(64)).not.toEqual(b.get(2)!.subarray(64));
      expect(JSON.parse(Buffer.from(a.get(STAMP_SECTION)!).toString())).toEqual({
        tool: "anchorproof",
        development: true,
      });
      expect(await describePtau(raw)).toEqual({ power: POWER, prepared: false, contributions: 0, development: true });
      expect(await describePtau(prepared)).toMatchObject({ prepared: true });
    });

    it("stop on request, write over nothing, report progress, and take no other power", async () => {
      const path = fresh();
      const stop = new AbortController();
      const onProgress = (done: number) => done > 0 && stop.abort();
      const stopped = newDevelopmentPtau(14, path, { prepared: true, signal: stop.signal, onProgress, threads: 1 });
      await expect(stopped).rejects.toThrow(code("ABORTED"));
      expect(existsSync(path)).toBe(false);
      const seen: number[] = [];
      await newDevelopmentPtau(3, path, { onProgress: (done) => seen.push(done) });
      expect(seen).toEqual([...seen].sort((a, b) => a - b));
      expect(seen.at(-1)).toBe(1);
      await expect(newDevelopmentPtau(3, path)).rejects.toThrow(code("FILE_UNREADABLE"));
      for (const power of [0, 25, -1, 1.5, Number.NaN, "3", null, Symbol("s")] as never[]) {
        await expect(newDevelopmentPtau(power, fresh())).rejects.toThrow(code("INPUT_INVALID"));
      }
    });
  });

  describe("an import", () => {
    it("keeps what snarkjs' truncation keeps, and says what it is", async () => {
      const store = await temporaryStore();
      const whole = await importPtau(theirs, { store });
      expect(whole).toEqual({
        path: whole.path,
        power: 4,
        prepared: false,
        contributions: 2,
        development: false,
        digest: await ptauDigest(theirs, 4),
        blake2b: await blake2bOf(theirs),
      });
      await snarkjs.powersOfTau.truncate(theirs, join(folder, "cut-"));
      for (const power of [1, 2, 3]) {
        const { path, digest } = await importPtau(theirs, { store, power });
        const [ours, cut] = [await sectionsOf(path), await sectionsOf(join(folder, `cut-0${power}.ptau`))];
        expect([...ours.keys()]).toEqual([1, 2, 3, 4, 5, 6, 7]);
        for (const id of ours.keys()) expect(ours.get(id)).toEqual(cut.get(id));
        expect(digest).toBe(await ptauDigest(join(folder, `cut-0${power}.ptau`), power));
        // And so does an import of the cut file, prepared as it is.
        expect(await importPtau(join(folder, `cut-0${power}.ptau`), { store: await temporaryStore() })).toMatchObject({
          power,
          digest,
        });
      }
      expect((await listPtau({ store })).map(({ power }) => power)).toEqual([1, 2, 3, 4]);
      expect((await listPtau({ store })).at(-1)).toEqual(whole);
      expect(await describePtau(whole.path, { store })).toEqual({
        power: 4,
        prepared: false,
        contributions: 2,
        development: false,
      });
    });

    it("takes what snarkjs has not prepared, and what it has gone on with", async () => {
      const next = fresh();
      await snarkjs.powersOfTau.contribute(join(folder, "powers-4-1.ptau"), next, "second", "more");
      for (const path of [join(folder, "powers-4-1.ptau"), next]) {
        expect((await importPtau(path, { store: await temporaryStore() })).development).toBe(false);
      }
    });

    it("is done once, in the store, and reports progress", async () => {
      const store = await temporaryStore();
      const seen: number[] = [];
      const first = await importPtau(prepared, { store, onProgress: (done) => seen.push(done) });
      expect(seen).toEqual([...seen].sort((a, b) => a - b));
      expect(seen.at(-1)).toBe(1);
      expect(await importPtau(raw, { store })).toEqual(first); // the same powers
      expect(await entries(store, "ptau")).toHaveLength(1);
      // Of a prepared file, what keys are made from is kept as well, and is what the cut powers give.
      const basis = await readFile(await ptauBasis(first.path, POWER, { store }));
      expect(await entries(store, "ptau-basis")).toHaveLength(1);
      expect(await readFile(await ptauBasis(raw, POWER, { store: await temporaryStore() }))).toEqual(basis);
      const small = await importPtau(prepared, { store, power: 3 });
      const cut = await readFile(await ptauBasis(small.path, 3, { store }));
      expect(await entries(store, "ptau-basis")).toHaveLength(2);
      expect(await readFile(await ptauBasis(small.path, 3, { store: await temporaryStore() }))).toEqual(cut);
    });

    it("of a file with another digest than the one asked for is refused", async () => {
      const store = await temporaryStore();
      const blake2b = await blakeOf(raw);
      for (const text of [blake2b, `0x${blake2b}`, blake2b.toUpperCase()]) {
        expect((await importPtau(raw, { store, blake2b: text })).blake2b).toBe(`0x${blake2b}`);
      }
      const others = importPtau(other, { store, blake2b });
      await expect(others).rejects.toThrow(code("PTAU_INVALID"));
      for (const bad of ["", "12", `${blake2b}00`, 7, {}, null] as never[]) {
        await expect(importPtau(raw, { store, blake2b: bad })).rejects.toThrow(code("INPUT_INVALID"));
      }
    });

    const blakeOf = async (path: string) => (await blake2bOf(path)).slice(2);

    it("of a power that the file does not have is refused", async () => {
      const store = await temporaryStore();
      for (const power of [0, POWER + 1, 28, 1.5, -1, Number.NaN, "3"] as never[]) {
        await expect(importPtau(raw, { store, power })).rejects.toThrow(code("PTAU_INVALID"));
      }
    });

    it("of what is no file, or no powers", async () => {
      const store = await temporaryStore();
      await expect(importPtau(join(folder, "none.ptau"), { store })).rejects.toThrow(code("FILE_NOT_FOUND"));
      await expect(importPtau(folder, { store })).rejects.toThrow(code("FILE_UNREADABLE"));
      await expect(importPtau("/dev/zero", { store })).rejects.toThrow(code("FILE_UNREADABLE"));
      await expect(importPtau(7 as never, { store })).rejects.toThrow(code("INPUT_INVALID"));
      const text = fresh();
      await writeFile(text, "not powers of tau");
      await expect(importPtau(text, { store })).rejects.toThrow(code("PTAU_INVALID"));
    });

    it("that is stopped, or of a file that changes meanwhile, keeps nothing that is not what it says", async () => {
      const [mine, yours] = [await readFile(raw), await readFile(other)];
      const names = new Map([
        [await ptauDigest(raw, POWER), await blake2bOf(raw)],
        [await ptauDigest(other, POWER), await blake2bOf(other)],
      ]);
      const path = fresh();
      const seen = { stopped: new Set<string>(), exchanged: new Set<string>() };
      for (const way of ["stopped", "exchanged"] as const) {
        // At the first step that it tells of, at the second, and so on.
        for (let step = 1, over = false; !over; step++) {
          await writeFile(path, mine);
          const store = await temporaryStore();
          const stop = new AbortController();
          let steps = 0;
          const onProgress = () => {
            if (++steps !== step) return;
            if (way === "stopped") stop.abort();
            else writeFileSync(path, yours);
          };
          seen[way].add(await verdictOf(importPtau(path, { store, onProgress, signal: stop.signal })));
          over = steps < step;
          for (const { path: kept, digest, blake2b } of await listPtau({ store })) {
            expect(await ptauDigest(kept, POWER)).toBe(digest);
            expect(blake2b).toBe(names.get(digest));
          }
          for (const item of await store.list()) expect([item.type, item.state]).toEqual(["entry", "intact"]);
          // What keys are made from is what it would have been.
          for (const from of [raw, other]) {
            const [here, there] = [
              await ptauBasis(from, POWER, { store }),
              await ptauBasis(from, POWER, { store: clean }),
            ];
            expect((await readFile(here)).equals(await readFile(there))).toBe(true);
          }
        }
      }
      expect([...seen.stopped].sort()).toEqual(["ABORTED", "accepted"]);
      expect([...seen.exchanged].sort()).toEqual(["PTAU_INVALID", "accepted"]);
    });

    it("needs the native core, and says so", async () => {
      const module = pathToFileURL(join(PACKAGE_ROOT, "dist", "circuit", "index.js")).href;
      const script = `
        const { importPtau } = await import(${JSON.stringify(module)});
        await importPtau(${JSON.stringify(raw)}).catch(({ code }) => process.stdout.write(code));`;
      const env = { ...process.env, ANCHORPROOF_NATIVE: "off", ANCHORPROOF_CACHE: await temporaryFolder() };
      const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", script], { env });
      expect(stdout).toBe("NATIVE_UNAVAILABLE");
    });
  });

  describe("what a file says of itself", () => {
    it("makes nothing of the public ceremony's, nor does a record beside it", async () => {
      const store = await temporaryStore();
      for (const path of [raw, prepared, theirs]) {
        expect(await describePtau(path, { store })).not.toHaveProperty("publicCeremony");
        expect(await importPtau(path, { store })).not.toHaveProperty("publicCeremony");
      }
      const { path } = await importPtau(theirs, { store });
      const record = JSON.parse(await readFile(join(dirname(path), "ptau.json"), "utf8"));
      const name = "powersOfTau28_hez_final_04";
      const forged = { ...record, publicCeremony: name };
      // In a folder of one's own, in one that looks like a store's, and copied beside another file.
      for (const place of ["own", join("store", "ptau", "0123456789abcdef0123456789abcdef01234567")]) {
        const directory = join(folder, place);
        await mkdir(directory, { recursive: true });
        await writeFile(join(directory, "ptau.json"), JSON.stringify(forged));
        await copyFile(path, join(directory, "powers.ptau"));
        expect(await describePtau(join(directory, "powers.ptau"), { store })).not.toHaveProperty("publicCeremony");
        await writeFile(join(directory, "ptau.json"), JSON.stringify(record));
        await copyFile(raw, join(directory, "powers.ptau"));
        const described = await describePtau(join(directory, "powers.ptau"), { store });
        expect(described).toMatchObject({ power: POWER, development: true });
      }
      for (const text of ["", "null", "7", "[]", '{"format":"anchorproof/ptau@1"}', '{"format":"other"}']) {
        await writeFile(join(folder, "own", "ptau.json"), text);
        expect(await describePtau(join(folder, "own", "powers.ptau"), { store })).toMatchObject({ power: POWER });
      }
    });

    it("counts where an import was recorded, also through a link, and not once the entry was changed", async () => {
      const store = await temporaryStore();
      const { path } = await importPtau(theirs, { store });
      const link = fresh();
      await symlink(path, link);
      expect(await describePtau(link, { store })).toMatchObject({ power: 4, contributions: 2 });
      const record = JSON.parse(await readFile(join(dirname(path), "ptau.json"), "utf8"));
      await writeFile(join(dirname(path), "ptau.json"), JSON.stringify({ ...record, publicCeremony: "mine" }));
      expect(await describePtau(path, { store })).not.toHaveProperty("publicCeremony");
    });
  });

  describe("a digest", () => {
    it("names powers, whatever else the file holds, at every size", async () => {
      const digests = new Set<string>();
      for (let power = 1; power <= POWER; power++) {
        const digest = await ptauDigest(raw, power);
        expect(await ptauDigest(prepared, power)).toBe(digest);
        expect(await ptauDigest(await changed({ 7: concat(uint32(1), utf8("note")), 77: utf8("x") }), power)).toBe(
          digest,
        );
        expect(await ptauDigest(other, power)).not.toBe(digest);
        digests.add(digest);
      }
      expect(digests.size).toBe(POWER);
      await expect(ptauDigest(raw, 0)).rejects.toThrow(code("PTAU_INVALID"));
      await expect(ptauDigest(raw, POWER + 1)).rejects.toThrow(code("PTAU_INVALID"));
    });

    it("is that of the bytes that it names", async () => {
      const sections = await sectionsOf(raw);
      const hash = createHash("sha256").update("anchorproof/ptau/1").update(uint32(2));
      for (const [id, length] of [
        [2, 7 * 64],
        [3, 4 * 128],
        [4, 4 * 64],
        [5, 4 * 64],
        [6, 128],
      ] as const) {
        hash.update(sections.get(id)!.subarray(0, length));
      }
      expect(await ptauDigest(raw, 2)).toBe(toHex(hash.digest()));
    });

    it("differs for any point that keys of this size are made from, and for no other", async () => {
      const digest = await ptauDigest(raw, 3);
      const point = encodeG1(timesG1(G1_GENERATOR, 77n));
      for (const [id, at, differs] of [
        [2, 14, true],
        [2, 15, false],
        [4, 7, true],
        [4, 8, false],
        [5, 0, true],
      ] as const) {
        const path = await changed({ [id]: patch(64 * at, point) });
        expect((await ptauDigest(path, 3)) !== digest, `section ${id}, point ${at}`).toBe(differs);
      }
    });
  });

  describe("are refused", () => {
    const minus = (point: Uint8Array) => {
      const y = Q - BigInt(`0x${Buffer.from(point.subarray(32)).reverse().toString("hex")}`);
      return concat(point.subarray(0, 32), little(y));
    };
    const negated = (section: Uint8Array) =>
      concat(...Array.from({ length: section.length / 64 }, (_, i) => minus(section.subarray(64 * i, 64 * (i + 1)))));

    it("as forgeable, without a contribution, or with a tau, alpha or beta of 1 or -1", async () => {
      const bare = fresh();
      await snarkjs.powersOfTau.newAccumulator(await ffjavascript.buildBn128(), 3, bare);
      expect(check(bare)).toBe("KEY_FORGEABLE");
      const store = await temporaryStore();
      await expect(importPtau(bare, { store })).rejects.toThrow(code("KEY_FORGEABLE"));
      expect(await entries(store, "ptau")).toEqual([]);

      const tau = (await sectionsOf(raw)).get(2)!.slice(0, 64 * N);
      const [one, minusOne] = [encodeG2(G2_GENERATOR), encodeG2(timesG2(G2_GENERATOR, R - 1n))];
      expect(check(await changed({ 4: tau }))).toBe("KEY_FORGEABLE");
      expect(check(await changed({ 4: negated(tau) }))).toBe("KEY_FORGEABLE");
      expect(check(await changed({ 5: tau, 6: one }))).toBe("KEY_FORGEABLE");
      expect(check(await changed({ 5: negated(tau), 6: minusOne }))).toBe("KEY_FORGEABLE");
      for (const value of [1n, R - 1n]) {
        const power = (i: number) => (i % 2 === 0 ? 1n : value);
        const constant = await changed({
          2: concat(...Array.from({ length: 2 * N - 1 }, (_, i) => encodeG1(timesG1(G1_GENERATOR, power(i))))),
          3: concat(...Array.from({ length: N }, (_, i) => encodeG2(timesG2(G2_GENERATOR, power(i))))),
        });
        expect(check(constant)).toBe("KEY_FORGEABLE");
      }
    });

    it("with any point that is another one, out of place, or none", async () => {
      const g1 = encodeG1(timesG1(G1_GENERATOR, 1234567n));
      const g2 = encodeG2(timesG2(G2_GENERATOR, 1234567n));
      for (const { id, size, points } of [
        { id: 2, size: 64, points: 2 * N - 1 },
        { id: 3, size: 128, points: N },
        { id: 4, size: 64, points: N },
        { id: 5, size: 64, points: N },
        { id: 6, size: 128, points: 1 },
      ]) {
        const off = new Uint8Array(size).fill(5);
        for (const at of new Set([0, 1, points >> 1, points - 2, points - 1].filter((i) => i >= 0 && i < points))) {
          const what = `section ${id}, point ${at}`;
          const put = (bytes: Uint8Array) => changed({ [id]: patch(at * size, bytes) });
          expect(check(await put(size === 64 ? g1 : g2)), `${what}: another`).toBe("PTAU_INVALID");
          expect(check(await put(new Uint8Array(size))), `${what}: infinity`).toBe("PTAU_INVALID");
          expect(check(await put(off)), `${what}: off the curve`).toBe("PTAU_INVALID");
          expect(check(await put(new Uint8Array(size).fill(255))), `${what}: not reduced`).toBe("PTAU_INVALID");
          expect(check(await changed({ [id]: respelled(size, at) })), `${what}: respelled`).toBe("PTAU_INVALID");
          if (at > 0)
            expect(check(await changed({ [id]: swapped(size, at, at - 1) })), `${what}: exchanged`).toMatch(
              /^(PTAU_INVALID|KEY_FORGEABLE)$/,
            );
        }
      }
    });

    it("with a point of G2 that is outside of the group", async () => {
      const wrong = encodeG2(wrongSubgroupG2());
      for (const at of [1, 7, N - 1]) expect(check(await changed({ 3: patch(at * 128, wrong) }))).toBe("PTAU_INVALID");
      expect(check(await changed({ 6: wrong }))).toBe("PTAU_INVALID");
    });

    it("with parts of other powers, or parts that are one and the same", async () => {
      const [own, foreign] = [await sectionsOf(raw), await sectionsOf(other)];
      for (const id of [2, 3, 4, 5, 6]) {
        expect(check(await changed({ [id]: foreign.get(id)! })), `section ${id}`).toBe("PTAU_INVALID");
      }
      expect(check(await changed({ 5: foreign.get(5)!, 6: foreign.get(6)! }))).toBe("PTAU_INVALID");
      expect(check(await changed({ 2: foreign.get(2)!, 3: foreign.get(3)! }))).toBe("PTAU_INVALID");
      expect(check(await changed({ 4: own.get(5)! }))).toBe("PTAU_INVALID"); // alpha = beta
      expect(check(await changed({ 4: own.get(2)!.subarray(64, 64 * (N + 1)) }))).toBe("PTAU_INVALID"); // alpha = tau
    });

    it("cut anywhere, or with sections missing, twice, longer, shorter or empty", async () => {
      const bytes = await readFile(raw);
      const layout = await layoutOf(raw);
      const lengths = layout.flatMap(({ at, length }) => [at, at + 5, at + 12, at + 12 + (length >> 1)]);
      for (const length of [0, 3, 11, ...lengths, bytes.length - 1]) {
        const path = fresh();
        await writeFile(path, bytes.subarray(0, length));
        expect(check(path), `${length} bytes`).toBe("PTAU_INVALID");
        if (length < 200) expect(await verdictOf(describePtau(path))).toBe("PTAU_INVALID");
      }
      const sections = [...(await sectionsOf(raw))];
      const both = async (parts: (readonly [number, Uint8Array])[], version = 1, magic = "ptau") => {
        const path = fresh();
        await writeFile(path, binFile(magic, version, parts));
        const seen = check(path);
        expect(await verdictOf(describePtau(path))).toBe(seen); // JavaScript's reader says the same
        return seen;
      };
      expect(await both(sections)).toBe("accepted");
      for (const [id, content] of sections.filter(([id]) => id < 100)) {
        const replaced = (by: Uint8Array) => sections.map(([own, was]) => [own, own === id ? by : was] as const);
        expect(await both(sections.filter(([own]) => own !== id)), `without ${id}`).toBe("PTAU_INVALID");
        expect(await both([...sections, [id, content]]), `${id} twice`).toBe("PTAU_INVALID");
        if (id === 7) continue; // the records are not checked
        expect(await both(replaced(Uint8Array.from([...content, 0]))), `${id} longer`).toBe("PTAU_INVALID");
        expect(await both(replaced(content.subarray(1))), `${id} shorter`).toBe("PTAU_INVALID");
        expect(await both(replaced(new Uint8Array())), `${id} empty`).toBe("PTAU_INVALID");
      }
      expect(await both(sections, 2)).toBe("PTAU_INVALID");
      expect(await both(sections, 1, "zkey")).toBe("PTAU_INVALID");
      const huge = bytes.subarray();
      new DataView(huge.buffer, huge.byteOffset).setBigUint64(16, 2n ** 64n - 1n, true);
      const path = fresh();
      await writeFile(path, huge);
      expect(check(path)).toBe("PTAU_INVALID");
    });

    it("of another curve, or of a power that they do not have", async () => {
      for (const [at, value] of [
        [0, 48],
        [4, 1],
        ...[0, 1, POWER - 1, POWER + 1, 28, 29, 255, 2 ** 31, 2 ** 32 - 1].map((power) => [36, power] as const),
        ...[0, POWER - 1, 29, 2 ** 32 - 1].map((power) => [40, power] as const),
      ] as const) {
        const path = await changed({ 1: patch(at, uint32(value)) });
        expect(check(path), `${value} at ${at}`).toBe("PTAU_INVALID");
        expect(await verdictOf(describePtau(path)), `${value} at ${at}`).toBe("PTAU_INVALID");
      }
      // A ceremony may have gone on to a larger power.
      expect(check(await changed({ 1: patch(40, uint32(28)) }))).toBe("accepted");
    });

    it("whose Lagrange forms are not theirs, or not all there", async () => {
      const store = await temporaryStore();
      const own = await sectionsOf(prepared);
      for (const id of [12, 13, 14, 15]) {
        const size = id === 13 ? 128 : 64;
        expect(check(await changed({ [id]: undefined }, prepared)), `without ${id}`).toBe("PTAU_INVALID");
        const cut = own.get(id)!.subarray(size);
        expect(check(await changed({ [id]: cut }, prepared)), `${id} shorter`).toBe("PTAU_INVALID");
        // Of the size that is imported; the points of others are not looked at.
        const path = await changed({ [id]: swapped(size, N, N + 1) }, prepared);
        expect(await verdictOf(importPtau(path, { store })), `${id} exchanged`).toBe("PTAU_INVALID");
        expect(await verdictOf(ptauBasis(path, POWER, { store }))).toBe("PTAU_INVALID");
      }
      // The odd points of the double domain are H.
      const h = await changed({ 12: swapped(64, 2 * N, 2 * N + 2) }, prepared);
      expect(await verdictOf(ptauBasis(h, POWER, { store }))).toBe("PTAU_INVALID");
      expect(await entries(store, "ptau-basis")).toEqual([]);
    });

    it("by an import, when their sections are out of order", async () => {
      const sections = await sectionsOf(raw);
      const path = fresh();
      const order = [1, 3, 2, 4, 5, 6, 7];
      await writeFile(
        path,
        binFile(
          "ptau",
          1,
          order.map((id) => [id, sections.get(id)!] as const),
        ),
      );
      await expect(importPtau(path, { store: await temporaryStore() })).rejects.toThrow(code("PTAU_INVALID"));
    });
  });
});
