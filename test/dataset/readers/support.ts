import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, expect } from "vitest";
import { type DatasetReader, openReader, type ReaderOptions, type SourcedRecord } from "../../../src/dataset/index.js";
import { checkRecord, type DatasetRecord } from "../../../src/dataset/record.js";
import { AnchorError } from "../../../src/errors.js";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "anchorproof-readers-"));
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

/** Writes a file into the test's folder; its path. */
export async function write(name: string, content: string | Uint8Array): Promise<string> {
  const path = join(folder, name);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, content);
  return path;
}

export async function readAll(
  path: string,
  options: ReaderOptions = {},
): Promise<DatasetReader & { all: SourcedRecord[] }> {
  const reader = await openReader(path, options);
  const all: SourcedRecord[] = [];
  for await (const each of reader.records) {
    checkRecord(each.record, reader.columns); // whatever a reader gives can be committed
    all.push(each);
  }
  return { ...reader, all };
}

/** The records of a file with this content. */
export async function recordsOf(
  name: string,
  content: string | Uint8Array,
  options: ReaderOptions = {},
): Promise<DatasetRecord[]> {
  const { all } = await readAll(await write(name, content), options);
  return all.map(({ record }) => record);
}

export const textOf = ({ data }: DatasetRecord) => Buffer.from(data).toString("utf8");

/** The code that reading ends with. Anything but an AnchorError is thrown on. */
export async function outcome(
  name: string,
  content: Uint8Array | string,
  options: ReaderOptions = {},
): Promise<string> {
  try {
    await recordsOf(name, content, options);
    return "read";
  } catch (error) {
    if (!(error instanceof AnchorError)) throw error;
    return error.code;
  }
}

const REFUSALS = ["DATASET_MALFORMED", "FORMAT_UNSUPPORTED", "INPUT_TOO_LARGE"];

/** Cut off after each of its bytes, and with each of its bits flipped, a file is read or refused, and says where. */
export async function survives(name: string, content: Uint8Array, options: ReaderOptions = {}): Promise<Set<string>> {
  const seen = new Set<string>();
  const attempt = async (bytes: Uint8Array) => {
    const got = await outcome(name, bytes, options);
    expect([...REFUSALS, "read"]).toContain(got);
    seen.add(got);
  };
  for (let length = 0; length < content.length; length++) await attempt(content.subarray(0, length));
  for (let bit = 0; bit < 8 * content.length; bit++) {
    const bytes = Uint8Array.from(content);
    bytes[bit >> 3] = bytes[bit >> 3]! ^ (1 << (bit & 7));
    await attempt(bytes);
  }
  return seen;
}

/** Reading fails with this code, and says this. */
export async function refuses(
  name: string,
  content: string | Uint8Array,
  code: string,
  says: RegExp,
  options: ReaderOptions = {},
): Promise<void> {
  const failure = await recordsOf(name, content, options).then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(failure).toMatchObject({ name: "AnchorError", code, message: expect.stringMatching(says) });
}
