import { execFileSync } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { binFile, encodeG1, encodeG2, uint32 } from "../../src/circuit/binfile.js";
import { compileCircuit } from "../../src/circuit/compile.js";
import { type CircuitKey, developmentKey } from "../../src/circuit/setup.js";
import { verifyTranscript } from "../../src/circuit/transcript.js";
import { readZkeyHeader, STAMP_SECTION } from "../../src/circuit/zkey.js";
import { AnchorError } from "../../src/errors.js";
import { utf8 } from "../../src/field/bytes.js";
import { Q } from "../../src/field/scalar.js";
import { parseVerifyingKey } from "../../src/verifier/groth16.js";
import { g1, simulateKey, wrongSubgroupG2 } from "../chain/simulated.js";
import { type SnarkjsCeremony, sectionsOf, snarkjsCeremony, snarkjsPowers } from "./ceremony.js";
import { code, TINY, temporaryFolder, temporaryStore } from "./support.js";
import { snarkjs, stopSnarkjs } from "./vendor.js";

let folder: string;
let ceremony: SnarkjsCeremony;
let development: CircuitKey;
let sections: Map<number, Uint8Array>;

beforeAll(async () => {
  folder = await temporaryFolder();
  const circuit = await compileCircuit(TINY);
  ceremony = await snarkjsCeremony(circuit, await snarkjsPowers(folder, 4), folder);
  development = await developmentKey(circuit, { store: await temporaryStore() });
  sections = await sectionsOf(ceremony.keys.at(-1)!);
});
afterAll(stopSnarkjs);

async function outcome(bytes: Uint8Array): Promise<string> {
  const path = join(folder, "changed.zkey");
  await writeFile(path, bytes);
  try {
    await readZkeyHeader(path);
    return "accepted";
  } catch (error) {
    if (!(error instanceof AnchorError)) throw error;
    return error.code;
  }
}

/** The key with sections changed or, for `undefined`, left out. */
function withSections(changes: [number, Uint8Array | undefined][]): Uint8Array {
  const all = new Map<number, Uint8Array | undefined>([...sections, ...changes]);
  return binFile(
    "zkey",
    1,
    [...all].filter((entry): entry is [number, Uint8Array] => entry[1] !== undefined),
  );
}

const patched = (id: number, at: number, content: Uint8Array): Uint8Array => {
  const section = sections.get(id)!.slice();
  section.set(content, at);
  return withSections([[id, section]]);
};

describe("the header of a proving key", () => {
  it("is what snarkjs made, after every contribution", async () => {
    for (const [i, path] of ceremony.keys.entries()) {
      const header = await readZkeyHeader(path);
      expect([header.wires, header.publics, header.domain]).toEqual([9, 3, 8]);
      const exported = await snarkjs.zKey.exportVerificationKey(path);
      expect(header.verifyingKey).toEqual(parseVerifyingKey(JSON.parse(JSON.stringify(exported))));
      expect(header.transcript.contributions).toHaveLength(i);
      expect((await verifyTranscript(header.transcript)).delta).toEqual(header.delta1);
      expect(header.alpha1).toEqual(header.verifyingKey.alpha);
      expect(header.stamp).toBeUndefined();
    }
  });

  it("is that of a development key, with its stamp", async () => {
    const header = await readZkeyHeader(development.zkeyPath);
    expect(header.verifyingKey).toEqual(development.verifyingKey);
    expect(header.transcript).toEqual({ circuitHash: `0x${"00".repeat(64)}`, contributions: [] });
    expect(header.stamp).toEqual({ development: true, circuitDigest: development.circuitDigest });
  });

  it("is read without the rest of the key: the sizes of large sections are checked, and no more", async () => {
    const blank = new Map([5, 6, 7, 8, 9].map((id) => [id, new Uint8Array(sections.get(id)!.length)]));
    expect(await outcome(withSections([...blank]))).toBe("accepted");
  });
});

describe("a proving key is refused", () => {
  it("truncated at any length, or with bytes at its end", async () => {
    const bytes = withSections([]);
    expect(await outcome(bytes)).toBe("accepted");
    for (let length = 0; length < bytes.length; length += length < 800 ? 1 : 97) {
      expect(await outcome(bytes.subarray(0, length))).toBe("KEY_MALFORMED");
    }
    expect(await outcome(Uint8Array.from([...bytes, 0]))).toBe("KEY_MALFORMED");
  });

  it("with any byte of its frame or header changed", async () => {
    const bytes = withSections([]);
    const header = 12 + 12 + 4 + 12;
    const ic = header + sections.get(2)!.length + 12;
    const end = ic + sections.get(3)!.length;
    const accepted: number[] = [];
    for (let at = 0; at < end; at += 3) {
      const changed = bytes.slice();
      changed[at]! ^= 1;
      const seen = await outcome(changed);
      if (seen === "accepted") accepted.push(at);
      else expect(seen).toBe("KEY_MALFORMED");
    }
    expect(accepted).toEqual([]);
  });

  it("with a section missing, twice, or of another length", async () => {
    for (const id of [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]) {
      const section = sections.get(id)!;
      expect(await outcome(withSections([[id, undefined]]))).toBe("KEY_MALFORMED");
      const longer = Uint8Array.from([...section, 0]);
      const expected = id === 10 ? "CONTRIBUTION_INVALID" : "KEY_MALFORMED";
      expect(await outcome(withSections([[id, longer]]))).toBe(expected);
      expect(await outcome(withSections([[id, section.subarray(1)]]))).toBe(expected);
      expect(await outcome(withSections([[id, new Uint8Array(0)]]))).toBe(expected);
      const twice = binFile("zkey", 1, [...sections, [id, section]]);
      expect(await outcome(twice)).toBe("KEY_MALFORMED");
    }
    expect(await outcome(binFile("zkey", 2, [...sections]))).toBe("KEY_MALFORMED");
    expect(await outcome(binFile("ptau", 1, [...sections]))).toBe("KEY_MALFORMED");
    const many = Array.from({ length: 60 }, (_, i) => [100 + i, new Uint8Array(0)] as const);
    expect(await outcome(binFile("zkey", 1, [...sections, ...many]))).toBe("KEY_MALFORMED");
  });

  it("with counts that the file does not hold, before memory is taken for them", async () => {
    for (const at of [72, 76, 80]) {
      for (const value of [0, 2, 1000, 2 ** 31, 2 ** 32 - 1]) {
        expect(await outcome(patched(2, at, uint32(value)))).toBe("KEY_MALFORMED");
      }
    }
    expect(await outcome(patched(4, 0, uint32(2 ** 32 - 1)))).toBe("KEY_MALFORMED");
    const bytes = withSections([]);
    new DataView(bytes.buffer).setBigUint64(16, 2n ** 64n - 1n, true);
    expect(await outcome(bytes)).toBe("KEY_MALFORMED");
  });

  it("of another system or curve", async () => {
    expect(await outcome(withSections([[1, uint32(2)]]))).toBe("KEY_MALFORMED"); // PLONK
    expect(await outcome(patched(2, 0, uint32(48)))).toBe("KEY_MALFORMED");
    expect(await outcome(patched(2, 4, uint32(1)))).toBe("KEY_MALFORMED");
    expect(await outcome(patched(2, 40, uint32(1)))).toBe("KEY_MALFORMED");
  });

  it("whose points are not sound", async () => {
    const [alpha1, beta1, beta2, gamma2, delta1, delta2] = [84, 148, 212, 340, 468, 532];
    const other = simulateKey(2, "other").vkey;
    const infinity = (length: number) => new Uint8Array(length);
    for (const at of [alpha1, beta1, delta1] as number[]) {
      expect(await outcome(patched(2, at, infinity(64)))).toBe("KEY_MALFORMED");
      expect(await outcome(patched(2, at, encodeG1([5n, 5n])))).toBe("KEY_MALFORMED");
      const aboveQ = Uint8Array.from({ length: 32 }, (_, i) => Number((Q >> BigInt(8 * i)) & 0xffn));
      expect(await outcome(patched(2, at, aboveQ))).toBe("KEY_MALFORMED");
    }
    for (const at of [beta2, gamma2, delta2] as number[]) {
      expect(await outcome(patched(2, at, infinity(128)))).toBe("KEY_MALFORMED");
      expect(await outcome(patched(2, at, encodeG2(wrongSubgroupG2())))).toBe("KEY_MALFORMED");
    }
    expect(await outcome(patched(3, 64, infinity(64)))).toBe("KEY_MALFORMED");
    expect(await outcome(patched(3, 64, encodeG1([5n, 5n])))).toBe("KEY_MALFORMED");
    // Points of their groups, but beta and delta are other ones in G1 than in G2.
    expect(await outcome(patched(2, beta1!, encodeG1(g1(7n))))).toBe("KEY_MALFORMED");
    expect(await outcome(patched(2, delta1!, encodeG1(g1(7n))))).toBe("KEY_MALFORMED");
    expect(await outcome(patched(2, beta2!, encodeG2(other.beta)))).toBe("KEY_MALFORMED");
    expect(await outcome(patched(2, delta2!, encodeG2(other.delta)))).toBe("KEY_MALFORMED");
  });

  it("whose stamp is not one", async () => {
    const stamped = (text: string | Uint8Array) =>
      outcome(withSections([[STAMP_SECTION, typeof text === "string" ? utf8(text) : text]]));
    const digest = `0x${"ab".repeat(32)}`;
    const stamp = { tool: "anchorproof", development: true, circuitDigest: digest };
    expect(await stamped(JSON.stringify(stamp))).toBe("accepted");
    expect(await stamped(JSON.stringify({ ...stamp, circuitDigest: undefined }))).toBe("accepted");
    for (const bad of [
      "",
      "null",
      "7",
      "{",
      JSON.stringify({ ...stamp, tool: "other" }),
      JSON.stringify({ ...stamp, development: "yes" }),
      JSON.stringify({ ...stamp, circuitDigest: "0x12" }),
      JSON.stringify({ ...stamp, circuitDigest: 7 }),
      JSON.stringify({ ...stamp, note: "x".repeat(5000) }),
      Uint8Array.of(0xff),
    ]) {
      expect(await stamped(bad)).toBe("KEY_MALFORMED");
    }
  });

  it("that is no file", async () => {
    await expect(readZkeyHeader(join(folder, "none.zkey"))).rejects.toThrowError(code("FILE_NOT_FOUND"));
    await mkdir(join(folder, "folder.zkey"));
    await expect(readZkeyHeader(join(folder, "folder.zkey"))).rejects.toThrowError(code("FILE_UNREADABLE"));
    const pipe = join(folder, "pipe.zkey");
    execFileSync("mkfifo", [pipe]);
    await expect(readZkeyHeader(pipe)).rejects.toThrowError(code("FILE_UNREADABLE"));
    await expect(readZkeyHeader("/dev/zero")).rejects.toThrowError(code("FILE_UNREADABLE"));
    await expect(readZkeyHeader(join(folder, "a\0b"))).rejects.toThrowError(code("FILE_UNREADABLE"));
    await expect(readZkeyHeader(7 as unknown as string)).rejects.toThrowError(code("INPUT_INVALID"));
  });
});
