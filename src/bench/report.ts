/**
 * What the benchmark measured, and how it is shown: a table, JSON, and one HTML page that needs nothing else.
 *
 * @module
 */
import type { CardTime } from "../field/native.js";
import { at, type Bar, bars, type Column, colour, escapeHtml, facts, table as htmlTable, page, svg } from "../html.js";
import { formatBytes, formatCount, formatMs } from "../text.js";
import type { GasRow } from "./gas.js";
import { median, percentile } from "./statistics.js";

export interface Row {
  /** The ladder: "prove", "msm", … */
  bench: string;
  /** "cold" is a new process that reads what it needs from disk, "warm" one that has it loaded. */
  mode?: "cold" | "warm";
  implementation: string;
  /** A circuit's kind, or what else is worked on. */
  circuit: string;
  /** Power of two of rows, elements or bytes; for batches, the number of proofs. */
  size: number;
  threads: number;
  medianMs: number;
  p50: number;
  p90: number;
  p99: number;
  minMs: number;
  /** Median over the rounds of this implementation's time against the first one's; above 1 is slower. */
  ratio?: number;
  /** The most memory that the process had. */
  peakBytes?: number;
  /** Milliseconds, in the order of the rounds. */
  samples: number[];
  /** Figures of one ladder only, such as proofsPerSecond. */
  extra?: Record<string, number>;
  /** The GPU that did it. */
  card?: string;
  /** What it did, by its own clock, in one more run than the samples tell of. */
  phases?: CardTime[];
}

export type RowHead = Pick<
  Row,
  "bench" | "implementation" | "circuit" | "size" | "threads" | "mode" | "peakBytes" | "extra" | "card" | "phases"
>;

export function row(head: RowHead, samples: number[]): Row {
  const { bench, mode, implementation, circuit, size, threads, peakBytes, extra, card, phases } = head;
  return {
    bench,
    ...(mode && { mode }),
    implementation,
    circuit,
    size,
    threads,
    medianMs: median(samples),
    p50: median(samples),
    p90: percentile(samples, 0.9),
    p99: percentile(samples, 0.99),
    minMs: Math.min(...samples),
    ...(peakBytes !== undefined && { peakBytes }),
    ...(extra && { extra }),
    ...(card !== undefined && { card }),
    ...(phases && { phases }),
    samples,
  };
}

/** Adds the ratios to rows of the same rounds, the first of which is the measure. */
export function withRatios(rows: Row[]): Row[] {
  const [first] = rows;
  return rows.map((one) => ({
    ...one,
    ratio: median(one.samples.map((ms, round) => ms / first!.samples[round]!)),
  }));
}

/** What was prepared once for a circuit, and what it cost. */
export interface Preparation {
  circuit: string;
  size: number;
  rows: number;
  wires: number;
  /** From the store when it had it, as the key. */
  compileMs: number;
  /** Of the ladders that prove. */
  zkeyBytes?: number;
  developmentKeyMs?: number;
  witnessMs: number;
  /** The native core's load of the key in a new process, and its memory. */
  nativeLoadMs?: number;
  nativeKeyBytes?: number;
  /** Making the prepared key, where the core makes one. */
  preparedMs?: number;
  preparedBytes?: number;
}

/** A model from its file to a verified proof. Times are medians. */
export interface InferenceSummary {
  model: string;
  title: string;
  /** What it was calibrated on. */
  calibration: string;
  /** Reading, quantising, comparing with the float model, writing the circuit. */
  importMs: number;
  rows: number;
  wires: number;
  /** The evaluation domain has 2^size rows. */
  size: number;
  /** What was not measured is absent, and a note says why. */
  zkeyBytes?: number;
  /** Near nothing when the store had it. */
  developmentKeyMs?: number;
  witnessMs: number;
  proveMs?: number;
  snarkjsProveMs?: number;
  verifyMs?: number;
  /** Rows as circomlib-ml's circuits; see peers.ts. */
  peerRows: number;
  /** What it has no template for, and so is not in that number. */
  peerMissing: string[];
  /** That number by our rows, where nothing is missing. */
  peerRatio?: number;
}

export interface Report {
  format: "anchorproof/bench@1";
  date: string;
  commit: string;
  version: string;
  cpu: string;
  cores: number;
  memoryBytes: number;
  node: string;
  /** The engine that served, or why there was none. */
  native: string;
  /** The GPU that took part, or why none did; where one was asked for. */
  cuda?: string;
  threads: number;
  runs: number;
  notes: string[];
  preparations: Preparation[];
  rows: Row[];
  inference?: InferenceSummary[];
  gas?: GasRow[];
}

const MB = 1024 * 1024;

export function title({ bench, mode, circuit, size }: Pick<Row, "bench" | "mode" | "circuit" | "size">): string {
  const shown = bench === "batch" ? `of ${size}` : size > 0 ? `2^${size}` : "";
  return [bench, circuit, shown, mode ?? ""].filter(Boolean).join(" ");
}

const COLUMNS = ["implementation", "median", "min", "p90", "p99", "ratio", "memory", ""] as const;

function cells(one: Row): string[] {
  return [
    one.implementation,
    formatMs(one.medianMs),
    formatMs(one.minMs),
    formatMs(one.p90),
    formatMs(one.p99),
    one.ratio === undefined ? "" : `${one.ratio.toFixed(2)} ×`,
    one.peakBytes === undefined ? "" : `${Math.round(one.peakBytes / MB)} MB`,
    Object.entries(one.extra ?? {})
      .map(([name, value]) => `${name} ${Number.isInteger(value) ? value : Number(value.toPrecision(4))}`)
      .join(", "),
  ];
}

const PHASE_COLUMNS = ["on the card", "time", "moved", "GB/s", "multiplications", "Gmul/s", ""] as const;

/** Phases on a GPU, beside what must move through its memory and be multiplied in them. They may overlap. */
function phaseCells({ name, ms, bytes, operations }: CardTime): string[] {
  const rate = (count: number) => (ms > 0 && count > 0 ? (count / ms / 1e6).toPrecision(3) : "");
  return [
    name,
    formatMs(ms),
    bytes > 0 ? formatBytes(bytes) : "",
    rate(bytes),
    operations > 0 ? formatCount(operations) : "",
    rate(operations),
    "",
  ];
}

/** Lines of a table for rows that were measured together. */
export function table(rows: readonly Row[]): string[] {
  const phases = rows.flatMap((one) =>
    one.phases ? columns([[...PHASE_COLUMNS], ...one.phases.map(phaseCells)]) : [],
  );
  return [title(rows[0]!), ...columns([[...COLUMNS], ...rows.map(cells)]), ...phases];
}

/** Cells below each other, words on both ends and numbers between. */
function columns(body: readonly (readonly string[])[]): string[] {
  const last = body[0]!.length - 1;
  const widths = body[0]!.map((_, column) => Math.max(...body.map((line) => line[column]!.length)));
  const lines = body.map((line) =>
    line.map((cell, column) =>
      column === 0 || column === last ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!),
    ),
  );
  return lines.map((line) => `  ${line.join("  ").trimEnd()}`);
}

export function preparationLine(one: Preparation): string {
  const parts = [
    `${one.rows} rows, ${one.wires} wires`,
    ...(one.zkeyBytes === undefined ? [] : [`key ${(one.zkeyBytes / MB).toFixed(1)} MB`]),
    `compiled in ${formatMs(one.compileMs)}`,
    ...(one.developmentKeyMs === undefined ? [] : [`development key in ${formatMs(one.developmentKeyMs)}`]),
    `witness in ${formatMs(one.witnessMs)}`,
  ];
  if (one.nativeLoadMs !== undefined) {
    parts.push(`native load ${formatMs(one.nativeLoadMs)}, ${Math.round((one.nativeKeyBytes ?? 0) / MB)} MB`);
  }
  if (one.preparedMs !== undefined) {
    parts.push(`prepared in ${formatMs(one.preparedMs)}, ${((one.preparedBytes ?? 0) / MB).toFixed(1)} MB of disk`);
  }
  return `${one.circuit} 2^${one.size}: ${parts.join(", ")}`;
}

const INFERENCE_COLUMNS = [
  "model",
  "rows",
  "domain",
  "key",
  "import",
  "witness",
  "prove",
  "snarkjs",
  "verify",
  "circomlib-ml",
  "ratio",
  "calibrated on",
] as const;

function inferenceCells(one: InferenceSummary): string[] {
  const ms = (value: number | undefined) => (value === undefined ? "" : formatMs(value));
  return [
    one.title,
    formatCount(one.rows),
    `2^${one.size}`,
    one.zkeyBytes === undefined ? "" : formatBytes(one.zkeyBytes),
    formatMs(one.importMs),
    formatMs(one.witnessMs),
    ms(one.proveMs),
    ms(one.snarkjsProveMs),
    ms(one.verifyMs),
    `${one.peerMissing.length > 0 ? "≥ " : ""}${formatCount(one.peerRows)}`,
    one.peerRatio === undefined ? "" : `${one.peerRatio.toFixed(1)} ×`,
    one.calibration,
  ];
}

/** What stands below the table. */
export function peerNote(summaries: readonly InferenceSummary[]): string {
  const without = summaries.filter(({ peerMissing }) => peerMissing.length > 0);
  const missing = without.map(({ title: name, peerMissing }) => `${name} without ${peerMissing.join(", ")}`);
  return `circomlib-ml: rows of its templates for the same layers, weights as signals, no commitment to the input${
    missing.length > 0 ? `; ${missing.join("; ")}` : ""
  }`;
}

/** Lines of a table of all models. */
export function inferenceTable(summaries: readonly InferenceSummary[]): string[] {
  return ["inference", ...columns([[...INFERENCE_COLUMNS], ...summaries.map(inferenceCells)]), peerNote(summaries)];
}

const GAS_COLUMNS = ["gas", "transaction", "each", "snarkjs", "ratio", "code"] as const;

function gasCells({ group, name, gas, items, code, snarkjs }: GasRow): string[] {
  return [
    `${group}: ${name}`,
    formatCount(gas),
    items === undefined ? "" : formatCount(Math.ceil(gas / items)),
    snarkjs === undefined ? "" : formatCount(snarkjs),
    snarkjs === undefined ? "" : `${(snarkjs / gas).toFixed(3)} ×`,
    code === undefined ? "" : `${formatCount(code)} bytes`,
  ];
}

/** Lines of a table of all that was measured on chain; the ratio is above 1 where snarkjs' verifier is dearer. */
export function gasTable(rows: readonly GasRow[]): string[] {
  return columns([[...GAS_COLUMNS], ...rows.map(gasCells)]);
}

/** The whole page. */
export function html(report: Report): string {
  const groups = groupBy(report.rows, title);
  const charts = groupBy(report.rows, ({ bench, mode, circuit }) =>
    title({ bench, circuit, size: 0, ...(mode && { mode }) }),
  );
  const implementations = [...new Set(report.rows.map(({ implementation }) => implementation))];
  const colours = new Map(implementations.map((name, i) => [name, colour(i)]));
  const heads = (names: readonly string[]) =>
    names.map((name, i) => ({ name, text: i === 0 || i === names.length - 1 }));
  const about = facts([
    ["date", report.date],
    ["version", `${report.version}, commit ${report.commit}`],
    ["machine", `${report.cpu}, ${report.cores} cores, ${Math.round(report.memoryBytes / MB / 1024)} GB`],
    ["node", report.node],
    ["native core", report.native],
    ...(report.cuda === undefined ? [] : [["GPU", report.cuda] satisfies [string, string]]),
    ["threads", String(report.threads)],
    ["rounds", String(report.runs)],
  ]);
  return page(
    "anchorproof bench",
    `<h1>anchorproof bench</h1>
${about}
${report.notes.map((note) => `<p>${escapeHtml(note)}</p>`).join("\n")}
<p>Rounds are interleaved and their order rotates. Every timed proof and key was verified. The ratio is the median over the rounds against the first line; above 1 is slower.</p>
${report.inference === undefined ? "" : inferenceSection(report.inference, heads(INFERENCE_COLUMNS))}
${report.gas === undefined ? "" : `<h2>gas</h2>${htmlTable(heads(GAS_COLUMNS), report.gas.map(gasCells))}`}
<div class="charts">${[...charts].map(([name, rows]) => chart(name, rows, colours)).join("\n")}</div>
${[...groups].map(([name, rows]) => `<h2>${escapeHtml(name)}</h2>${htmlTable(heads(COLUMNS), rows.map(cells))}${rows.map(phaseTable).join("")}`).join("\n")}
${report.preparations.length > 0 ? `<h2>preparation</h2><ul>${report.preparations.map((one) => `<li>${escapeHtml(preparationLine(one))}</li>`).join("")}</ul>` : ""}`,
  );
}

function phaseTable({ phases }: Row): string {
  if (!phases) return "";
  const heads = PHASE_COLUMNS.map((name, i) => ({ name, text: i === 0 || i === PHASE_COLUMNS.length - 1 }));
  return htmlTable(heads, phases.map(phaseCells));
}

function inferenceSection(summaries: readonly InferenceSummary[], heads: Column[]): string {
  const list = summaries.flatMap(({ title: name, rows, peerRows, peerMissing }): Bar[] => [
    { name, value: rows, text: `${formatCount(rows)} rows`, tone: 0 },
    {
      name: "circomlib-ml",
      value: peerRows,
      text: `${peerMissing.length > 0 ? "≥ " : ""}${formatCount(peerRows)}`,
      tone: 1,
    },
  ]);
  return `<h2>inference</h2>${htmlTable(heads, summaries.map(inferenceCells))}
<p class="soft">${escapeHtml(peerNote(summaries))}</p>
<figure><div class="scroll">${bars("Rows of each model, beside circomlib-ml's", list)}</div></figure>`;
}

/** Medians by size on a logarithmic scale, every sample as a dot. */
function chart(name: string, rows: readonly Row[], colours: ReadonlyMap<string, string>): string {
  const [width, height, left, right, top, bottom] = [460, 300, 64, 16, 34, 34];
  const sizes = [...new Set(rows.map(({ size }) => size))].sort((a, b) => a - b);
  const values = rows.flatMap(({ samples }) => samples);
  const low = Math.floor(Math.log10(Math.min(...values)));
  const high = Math.max(low + 1, Math.ceil(Math.log10(Math.max(...values))));
  const x = (size: number) =>
    sizes.length === 1
      ? (left + width - right) / 2
      : left + 24 + ((size - sizes[0]!) / (sizes.at(-1)! - sizes[0]!)) * (width - left - right - 48);
  const y = (ms: number) => top + ((high - Math.log10(ms)) / (high - low)) * (height - top - bottom);
  const parts: string[] = [];
  for (let decade = low; decade <= high; decade++) {
    const level = at(y(10 ** decade));
    parts.push(`<line x1="${left}" x2="${width - right}" y1="${level}" y2="${level}" stroke="var(--line)"/>`);
    const label = formatMs(10 ** decade).replace(/\.0+ /, " ");
    parts.push(`<text x="${left - 6}" y="${level}" dy=".32em" text-anchor="end">${escapeHtml(label)}</text>`);
  }
  const label = rows[0]!.bench === "batch" ? String : (size: number) => (size > 0 ? `2^${size}` : "");
  for (const size of sizes) {
    parts.push(`<text x="${at(x(size))}" y="${height - 12}" text-anchor="middle">${label(size)}</text>`);
  }
  let legend = left;
  for (const [implementation, own] of groupBy(rows, (one) => one.implementation)) {
    const ink = colours.get(implementation)!;
    const sorted = [...own].sort((a, b) => a.size - b.size);
    const line = sorted.map(({ size, medianMs }) => `${at(x(size))},${at(y(medianMs))}`);
    parts.push(`<polyline points="${line.join(" ")}" fill="none" stroke="${ink}" stroke-width="2"/>`);
    for (const { size, samples } of sorted) {
      for (const ms of samples.slice(0, 100)) {
        parts.push(`<circle cx="${at(x(size))}" cy="${at(y(ms))}" r="2.5" fill="${ink}" fill-opacity=".55"/>`);
      }
    }
    const words = `<text x="${legend}" y="28" style="fill:${ink};font-weight:600">`;
    parts.push(`${words}${escapeHtml(implementation)}</text>`);
    legend += 14 + 7 * implementation.length;
  }
  return svg({ title: name, width, height, left }, parts);
}

function groupBy<T>(items: readonly T[], key: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) groups.set(key(item), [...(groups.get(key(item)) ?? []), item]);
  return groups;
}
