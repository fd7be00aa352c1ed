import { realpath, stat } from "node:fs/promises";
import { basename, dirname, isAbsolute, join, relative, resolve, sep } from "node:path";
import {
  type Column,
  type CommittedDirectory,
  checkTarget,
  commitmentToJson,
  commitToDirectory,
  DATASET_FILES,
  type DatasetReader,
  exportSeed,
  extendDirectory,
  FORMAT_NAMES,
  type FormatName,
  hashRoot,
  importSeed,
  MAX_TEXT_BYTES,
  openDatasetDirectory,
  openReader,
  type ReaderOptions,
  readCommitment,
  restoreSeed,
  schemaDigest,
  verifyDirectory,
} from "../dataset/index.js";
import { AnchorError } from "../errors.js";
import { wordHex } from "../field/bytes.js";
import { counted, formatBytes, formatCount } from "../text.js";
import {
  type Command,
  type Context,
  optional,
  pretty,
  readBytes,
  required,
  type Values,
  writeWhole,
} from "./command.js";
import { seconds, type Terminal } from "./terminal.js";

const DEFAULT_DIRECTORY = "out/dataset";
/** Least milliseconds between two states of a progress bar. */
const PROGRESS_MS = 100;

const READER_OPTIONS = {
  format: { type: "string" },
  lines: { type: "boolean" },
  whole: { type: "boolean" },
  columns: { type: "string", multiple: true },
  "name-field": { type: "string" },
  "name-column": { type: "string" },
  "label-field": { type: "string" },
  "label-column": { type: "string" },
  "content-field": { type: "string" },
  "content-column": { type: "string" },
  "label-from": { type: "string" },
} as const satisfies Command["options"];

const READER_HELP = `  --format NAME  of all files: ${[...FORMAT_NAMES, "lines"].join(", ")} [auto: by the ends of their names, else bytes]
  --lines        text and bytes: a record a line instead of a record a file
  --whole        .npy: a record a file instead of a record a row
  --columns LIST what becomes cells, which claims can be about: NAME:TYPE, TYPE decimal, decimal2 (two digits after the
                 point), float or text; several separated by commas, or as JSON [{"name": …, "type": …, "digits": …}]
                 [all columns of CSV files, with types found in a first pass; no fields of JSON Lines]
                 CSV files: all columns but those of the next options, in their order; a column in which one cell is no
                 number (such as " 1", "+3", "1,5") is found to be text
  --name-field F, --label-field F, --content-field F   field or column that a record's name, label and content are in
                 (also --name-column …)
  --label-from folder  the label is the first folder in a file's path`;

export const datasetCommitCommand: Command = {
  name: "dataset commit",
  summary: "commit to a file, or to the files of a folder",
  help: `
  PATH           a file, or a folder (its files in order of their paths)
${READER_HELP}
  --out DIR      where to write [${DEFAULT_DIRECTORY}]
  --force        replace DIR when it is a dataset directory; its seed is lost, and with it every later proof
  --no-blind     leave the blinding out: the root then depends on the data alone, and guessable data can be guessed
  --json         print the commitment as JSON

Writes ${DATASET_FILES.commitment} (to publish), the data with everything that proofs need, ${DATASET_FILES.sha256} (what LazAI's DataRegistry
wants: the SHA-256 of the file, or of what sha256sum prints for all; it is not blinded, so publishing it lets anyone test a
guess at the data) and, unless --no-blind, ${DATASET_FILES.seed} (secret: who has it and the data can open the commitment; without it
nothing can be proven any more: see dataset seed backup).
What is interrupted goes on from DIR.part when it is started again in the same way.
`,
  options: {
    ...READER_OPTIONS,
    out: { type: "string" },
    force: { type: "boolean" },
    "no-blind": { type: "boolean" },
    json: { type: "boolean" },
  },
  positionals: ["PATH"],
  async run(context) {
    const { values, positionals, terminal, signal } = context;
    const [path] = positionals;
    if (!path) throw new AnchorError("USAGE", "name the file or folder to commit to");
    const out = optional(values, "out") ?? DEFAULT_DIRECTORY;
    const force = values["force"] === true;
    const options = readerOptions(values);
    await checkOutside(out, path); // before the long work
    await checkTarget(out, force);
    const started = performance.now();
    const reader = await open(path, options, context);
    const made = await commitToDirectory(reader, out, { signal, force, noBlind: values["no-blind"] === true });
    report(terminal, values, made, out, performance.now() - started);
  },
};

export const datasetExtendCommand: Command = {
  name: "dataset extend",
  summary: "append records to a dataset, in a new directory",
  help: `
  DIR            what \`dataset commit\` wrote
  PATH           a file, or a folder, with the records to append
${READER_HELP}
  --out NEW      where to write; DIR stays as it is
  --force        replace NEW when it is a dataset directory
  --json         print the new commitment as JSON

The records of DIR keep their places and blinding values, so that it can be proven that the new root extends the old one.
Columns must be those of DIR.
`,
  options: {
    ...READER_OPTIONS,
    out: { type: "string" },
    force: { type: "boolean" },
    json: { type: "boolean" },
  },
  positionals: ["DIR", "PATH"],
  async run(context) {
    const { values, positionals, terminal, signal } = context;
    const [directory, path] = positionals;
    if (!directory || !path) throw new AnchorError("USAGE", "name the dataset's directory, and the file or folder");
    const out = required(values, "out");
    const force = values["force"] === true;
    const given = readerOptions(values);
    await checkOutside(out, path);
    await checkOutside(out, directory);
    await checkTarget(out, force);
    const { columns } = await readCommitment(directory);
    const started = performance.now();
    let reader = await open(path, given, context);
    const others = schemaDigest(reader.columns) !== schemaDigest(columns);
    if (given.columns === undefined && columns.length > 0 && others) {
      // What a first pass finds in these rows may be narrower, and JSON Lines have columns only when they are told.
      const added = reader.files.some(({ format }) => format === "wav") ? 1 : 0;
      reader = await open(path, { ...given, columns: columns.slice(0, columns.length - added) }, context);
    }
    const made = await extendDirectory(directory, reader, out, { signal, force });
    report(terminal, values, made, out, performance.now() - started);
  },
};

export const datasetInfoCommand: Command = {
  name: "dataset info",
  summary: "show what a dataset directory holds, and check it",
  help: `
  DIR            what \`dataset commit\` wrote [${DEFAULT_DIRECTORY}]
  --check        work out everything again from the data and the seed; names the first record that differs
  --json         print it as JSON
`,
  options: { check: { type: "boolean" }, json: { type: "boolean" } },
  positionals: ["DIR"],
  async run({ values, positionals, terminal, signal }) {
    const directory = positionals[0] ?? DEFAULT_DIRECTORY;
    const checked = values["check"] === true;
    if (checked) {
      const bar = progressBar(terminal);
      await verifyDirectory(directory, {
        signal,
        onProgress: ({ bytes, totalBytes }) => bar("checking", bytes, totalBytes),
      });
    }
    const dataset = await openDatasetDirectory(directory, { withoutSeed: true });
    dataset.close();
    const { commitment, files, previous, seed } = dataset;
    const hasSeed = seed !== undefined;
    if (values["json"]) {
      const extended = previous.map((opening) => wordHex(hashRoot(opening)));
      const { sha256 } = commitment;
      const json = { ...commitmentToJson(commitment), sha256, files, extends: extended, seed: hasSeed, checked };
      return terminal.line(pretty(json).trimEnd());
    }
    print(terminal, commitment);
    printColumns(terminal, commitment);
    for (const opening of previous) {
      terminal.line(`extends  ${wordHex(hashRoot(opening))} (${counted(opening.totals.records, "record")})`);
    }
    const shown = files.slice(0, 10);
    for (const { path, bytes, sha256 } of shown)
      terminal.line(`file     ${sha256.slice(2)}  ${path} (${formatBytes(bytes)})`);
    if (files.length > shown.length) terminal.line(`         and ${counted(files.length - shown.length, "more file")}`);
    if (commitment.blinded && !hasSeed) terminal.line("seed     missing: nothing can be proven without it");
    if (checked) terminal.line("checked  every record is the one that was committed to");
  },
};

export const datasetSeedBackupCommand: Command = {
  name: "dataset seed backup",
  summary: "write a dataset's seed to a file, to be kept somewhere else",
  help: `
  DIR            what \`dataset commit\` wrote [${DEFAULT_DIRECTORY}]
  --out FILE     where to write: one line, with a checksum. Keep it secret
`,
  options: { out: { type: "string" } },
  positionals: ["DIR"],
  async run({ values, positionals, terminal }) {
    const directory = positionals[0] ?? DEFAULT_DIRECTORY;
    const out = required(values, "out");
    const dataset = await openDatasetDirectory(directory);
    dataset.close();
    if (!dataset.seed) throw new AnchorError("INPUT_INVALID", `${directory} is not blinded: it has no seed`);
    const text = `${exportSeed(dataset.seed)}\n`;
    const present = await readBytes(out).catch((error: unknown) => {
      if (error instanceof AnchorError && error.code === "FILE_NOT_FOUND") return undefined;
      throw error;
    });
    // It may be the only copy of another dataset's.
    if (present && Buffer.from(present).toString("utf8") !== text) {
      throw new AnchorError("INPUT_INVALID", `${out} exists and is something else: name another --out`);
    }
    await writeWhole(out, text, 0o600);
    terminal.line(`seed of ${wordHex(dataset.commitment.root)} written to ${out}: keep it secret`);
  },
};

export const datasetSeedRestoreCommand: Command = {
  name: "dataset seed restore",
  summary: "put a dataset's seed back from a backup",
  help: `
  DIR            what \`dataset commit\` wrote [${DEFAULT_DIRECTORY}]
  --from FILE    what \`dataset seed backup\` wrote; a seed that gives another root is refused
`,
  options: { from: { type: "string" } },
  positionals: ["DIR"],
  async run({ values, positionals, terminal }) {
    const directory = positionals[0] ?? DEFAULT_DIRECTORY;
    const bytes = await readBytes(required(values, "from"));
    const text = Buffer.from(bytes.subarray(0, MAX_TEXT_BYTES)).toString("utf8");
    await restoreSeed(directory, importSeed(text));
    terminal.line(`seed written to ${join(directory, DATASET_FILES.seed)}`);
  },
};

function report(terminal: Terminal, values: Values, made: CommittedDirectory, out: string, ms: number): void {
  const { commitment, files, resumed } = made;
  if (values["json"]) {
    // The digest of blinded data is for its owner: what is printed here gets published.
    const sha256 = commitment.blinded ? {} : { sha256: commitment.sha256 };
    const json = { ...commitmentToJson(commitment), ...sha256, directory: out, resumed };
    terminal.line(pretty(json).trimEnd());
    return;
  }
  print(terminal, commitment);
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
  terminal.line(`         ${counted(files.length, "file")}, ${formatBytes(bytes)}; ${seconds(ms)}`);
  printColumns(terminal, commitment);
  if (resumed > 0) terminal.line(`         went on after ${counted(resumed, "record")} of an interrupted commit`);
  const kept = commitment.blinded
    ? ` (keep ${join(out, DATASET_FILES.seed)} secret, and a copy: dataset seed backup)`
    : "";
  terminal.line(`written to ${out}${kept}`);
}

function print(terminal: Terminal, { root, opening, sha256, bytes, blinded }: CommittedDirectory["commitment"]): void {
  const { records, blocks } = opening.totals;
  terminal.line(`root     ${wordHex(root)}`);
  terminal.line(`sha-256  ${sha256}${blinded ? "  (not blinded: publishing it lets anyone test a guess)" : ""}`);
  terminal.line(
    `         ${counted(records, "record")}, ${formatCount(bytes)} bytes of data in ${counted(blocks, "block")}; ` +
      `${blinded ? "blinded" : "not blinded"}`,
  );
}

function printColumns(terminal: Terminal, { columns }: CommittedDirectory["commitment"]): void {
  for (const { name, type, digits } of columns) {
    terminal.line(`column   ${name}: ${type}${digits ? `, ${counted(digits, "digit")} after the point` : ""}`);
  }
}

/** The reader, with a bar for what it reads. */
function open(path: string, options: ReaderOptions, { terminal, signal }: Context): Promise<DatasetReader> {
  const bar = progressBar(terminal);
  const labels = { columns: "looking for columns", records: "committing" };
  return openReader(path, {
    ...options,
    signal,
    onProgress: ({ phase, done, total }) => bar(labels[phase], done, total),
  });
}

/** A bar with the speed since its label is the same. */
function progressBar(terminal: Terminal): (label: string, done: number, total: number) => void {
  let [current, started, shown] = ["", 0, 0];
  return (label, done, total) => {
    const now = performance.now();
    if (label !== current) [current, started, shown] = [label, now, 0];
    if (now - shown < PROGRESS_MS) return;
    shown = now;
    const rate = done / 1e6 / Math.max(0.001, (now - started) / 1000);
    terminal.progress(`${label}, ${rate.toFixed(1)} MB/s`, total === 0 ? 1 : done / total);
  };
}

/** @throws USAGE */
function readerOptions(values: Values): ReaderOptions {
  const format = optional(values, "format") ?? "auto";
  const lines = values["lines"] === true || format === "lines";
  const known = format === "auto" || format === "lines" || FORMAT_NAMES.includes(format as FormatName);
  if (!known) throw new AnchorError("USAGE", `--format takes auto, lines, ${FORMAT_NAMES.join(", ")}`);
  const labelFrom = optional(values, "label-from");
  if (labelFrom !== undefined && labelFrom !== "folder") throw new AnchorError("USAGE", "--label-from takes folder");
  const columns = columnsOf(values["columns"] as string[] | undefined);
  const [name, label, content] = ["name", "label", "content"].map((field) => fieldOf(values, field));
  return {
    format: format === "lines" ? "text" : (format as FormatName | "auto"),
    lines,
    whole: values["whole"] === true,
    name,
    label,
    content,
    labelFrom,
    columns,
  };
}

/** @throws USAGE */
function fieldOf(values: Values, field: string): string | undefined {
  const [first, second] = [optional(values, `${field}-field`), optional(values, `${field}-column`)];
  if (first !== undefined && second !== undefined) {
    throw new AnchorError("USAGE", `--${field}-field and --${field}-column are the same: give one`);
  }
  return first ?? second;
}

/** @throws USAGE */
function columnsOf(lists: readonly string[] | undefined): Column[] | undefined {
  return lists?.flatMap((list) => {
    if (!list.trimStart().startsWith("[")) return list.split(",").map(columnOf);
    try {
      return JSON.parse(list) as Column[]; // checked by the reader
    } catch (error) {
      throw new AnchorError("USAGE", `--columns: ${(error as Error).message}`);
    }
  });
}

/** @throws USAGE */
function columnOf(text: string): Column {
  const [, name, type, digits] = /^(.+):(decimal|float|text)(\d{1,2})?$/s.exec(text) ?? [];
  if (name === undefined || (type !== "decimal" && digits !== undefined)) {
    throw new AnchorError("USAGE", `--columns: "${text}" is not NAME:TYPE with TYPE decimal, decimal2, float or text`);
  }
  if (type === "decimal") return { name, type, digits: Number(digits ?? 0) };
  return { name, type: type as "float" | "text" };
}

/** What is written must not be read the next time. @throws INPUT_INVALID */
async function checkOutside(out: string, source: string): Promise<void> {
  if (!(await stat(source).catch(() => undefined))) return; // the reader says that it is not there
  const inside = relative(await realPath(source), await realPath(out));
  if (inside === ".." || inside.startsWith(`..${sep}`) || isAbsolute(inside)) return;
  throw new AnchorError(
    "INPUT_INVALID",
    `${out} lies in ${source}: what is written would be committed to the next time`,
  );
}

/** With links followed as far as there is something. */
async function realPath(path: string): Promise<string> {
  const whole = resolve(path);
  const real = await realpath(whole).catch(() => undefined);
  return real ?? (dirname(whole) === whole ? whole : join(await realPath(dirname(whole)), basename(whole)));
}
