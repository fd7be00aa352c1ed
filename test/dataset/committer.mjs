// A process that commits to records of its own making, to be killed: OUT COUNT [STOP]. Says "stopped" before the record
// numbered STOP, and waits there for its end.
import { commitToDirectory } from "../../dist/dataset/directory.js";

const [out, count, stop] = process.argv.slice(2);

async function* batches() {
  for (let at = 0; at < Number(count); at += 10) {
    if (stop !== undefined && at >= Number(stop)) {
      process.stdout.write("stopped\n");
      await new Promise((resolve) => setTimeout(resolve, 600_000));
    }
    if (stop === undefined) await new Promise((resolve) => setTimeout(resolve, 1));
    yield Array.from({ length: 10 }, (_, i) => {
      const data = new TextEncoder().encode(`record ${at + i}`);
      return { record: { dtype: "text", shape: [data.length], data }, source: { path: "file" } };
    });
  }
}

const sha256 = `0x${"5a".repeat(32)}`;
const source = {
  columns: [],
  bytes: 1,
  files: [{ path: "file", bytes: 1, format: "text" }],
  batches: { [Symbol.asyncIterator]: batches },
  digests: () => [{ path: "file", bytes: 1, sha256 }],
  sha256: () => sha256,
};
const { resumed } = await commitToDirectory(source, out, { batch: { records: 20, chunks: 1 }, journalMs: 0 });
process.stdout.write(`done ${resumed}\n`);
