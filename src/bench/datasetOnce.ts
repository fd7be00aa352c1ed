/**
 * Commits once in a process of its own: `node datasetOnce.js WHO FILE FORMAT OUT`. The time is taken around that alone,
 * and goes to `OUT.json` with what came out.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { createReadStream, readFileSync, writeFileSync } from "node:fs";
import { commitToDirectory } from "../dataset/directory.js";
import { BLOCK_ELEMENTS } from "../dataset/layout.js";
import { openReader } from "../dataset/readers/index.js";
import { AnchorError, toAnchorError } from "../errors.js";
import { packElements, toHex, wordHex } from "../field/bytes.js";

/**
 * - `native`, `javascript`: `dataset commit`, with the core or without
 * - `poseidon-lite`: the hashes of the content alone by that library, everything in memory
 * - `sha256`: what any commitment is slower than
 */
export type CommitterName = "native" | "javascript" | "poseidon-lite" | "sha256";

/** How the file is read. */
export type DatasetShape = "text" | "lines" | "csv";

export interface DatasetRun {
  ms: number;
  /** A root, or a hash. */
  result: string;
  sha256?: string;
}

const runs: Record<CommitterName, (file: string, shape: DatasetShape, out: string) => Promise<Omit<DatasetRun, "ms">>> =
  {
    native: commit,
    javascript(...args) {
      process.env["ANCHORPROOF_NATIVE"] = "off";
      return commit(...args);
    },
    async "poseidon-lite"(file) {
      const { poseidon16 } = await import("poseidon-lite");
      const elements = packElements(readFileSync(file));
      let h = 0n;
      for (let at = 0; at < elements.length; at += BLOCK_ELEMENTS) {
        h = poseidon16([h, ...Array.from({ length: BLOCK_ELEMENTS }, (_, i) => elements[at + i] ?? 0n)]);
      }
      return { result: String(h) };
    },
    async sha256(file) {
      const hash = createHash("sha256");
      for await (const piece of createReadStream(file, { highWaterMark: 2 ** 20 })) hash.update(piece as Buffer);
      return { result: toHex(hash.digest()) };
    },
  };

async function commit(file: string, shape: DatasetShape, out: string) {
  const reader = await openReader(file, { format: shape === "csv" ? "csv" : "text", lines: shape === "lines" });
  const { commitment } = await commitToDirectory(reader, out, { noBlind: true });
  return { result: wordHex(commitment.root), sha256: commitment.sha256 };
}

const [who = "", file, shape = "", out] = process.argv.slice(2);
try {
  if (!Object.hasOwn(runs, who) || !file || !out) throw new AnchorError("USAGE", "WHO FILE FORMAT OUT are needed");
  const started = performance.now();
  const made = await runs[who as CommitterName](file, shape as DatasetShape, out);
  writeFileSync(`${out}.json`, JSON.stringify({ ms: performance.now() - started, ...made }));
} catch (error) {
  const { code, message } = toAnchorError(error, "INTERNAL", `${who} failed`);
  process.stderr.write(`${code}: ${message}\n`);
  process.exitCode = 1;
}
