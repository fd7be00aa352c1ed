import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll } from "vitest";
import { ArtefactStore } from "../../src/circuit/store.js";

export { code } from "../support/errors.js";

/** Folders under the system's temporary one, removed when the file's tests are over. */
export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "anchorproof-test-"));
  folders.push(folder);
  return folder;
}

const folders: string[] = [];
afterAll(async () => {
  for (const folder of folders) await rm(folder, { recursive: true, force: true });
});

export async function temporaryStore(): Promise<ArtefactStore> {
  return new ArtefactStore(join(await temporaryFolder(), "store"));
}

/** What lies in one kind's folder of a store: its entries, and workshops that were left behind. */
export async function entries(store: ArtefactStore, kind: string): Promise<string[]> {
  return (await readdir(join(store.root, kind)).catch(() => [])).sort();
}

/** Public: output c, then the inputs a and unused, the second of which no row mentions. */
export const TINY = {
  name: "tiny",
  source: `pragma circom 2.2.3;
template Tiny() {
    signal input a;
    signal input unused;
    signal input b;
    signal input extra[2];
    signal output c;
    signal square <== b * b;
    signal mixed <== (square + extra[0]) * (a - 2 * extra[1]);
    c <== a * b + mixed + 3;
}
component main {public [a, unused]} = Tiny();
`,
};

export const TINY_INPUTS = { a: 5n, unused: 77n, b: 11n, extra: [3n, 1n] };
/** 5·11 + (121 + 3)·(5 − 2) + 3. */
export const TINY_OUTPUT = 430n;
