/**
 * What the benchmark measured, and how it is shown: a table, JSON, and one HTML page that needs nothing else.
 *
 * @module
 */
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
}

export type RowHead = Pick<
  Row,
  "bench" | "implementation" | "circuit" | "size" | "threads" | "mode" | "peakBytes" | "extra"
>;

export function row(head: RowHead, samples: number[]): Row {
  const { bench, mode, implementation, circuit, size, threads, peakBytes, extra } = head;
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
  threads: number;
  runs: number;
  notes: string[];
  preparations: Preparation[];
  rows: Row[];
}

const MB = 1024 * 1024;

export function formatMs(ms: number): string {
  if (ms < 0.001) return `${(ms * 1e6).toFixed(1)} ns`;
  if (ms < 1) return `${(ms * 1e3).toFixed(1)} µs`;
  if (ms < 1000) return `${ms.toFixed(ms < 10 ? 2 : 1)} ms`;
  return `${(ms / 1000).toFixed(2)} s`;
}

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

/** Lines of a table for rows that were measured together. */
export function table(rows: readonly Row[]): string[] {
  const body = [[...COLUMNS], ...rows.map(cells)];
  const widths = COLUMNS.map((_, column) => Math.max(...body.map((line) => line[column]!.length)));
  const lines = body.map((line) =>
    line.map((cell, column) =>
      column === 0 || column === COLUMNS.length - 1 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!),
    ),
  );
  return [title(rows[0]!), ...lines.map((line) => `  ${line.join("  ").trimEnd()}`)];
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

const COLOURS = ["#0b6e4f", "#c8553d", "#3d5a98", "#b8860b", "#7b4b94", "#4a4a4a"];
const STYLE = `body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:72rem;padding:0 1rem;color:#1c2321;background:#fff}
h1{font-size:1.5rem}h2{font-size:1.1rem;margin:2rem 0 .5rem}dl{display:grid;grid-template-columns:max-content 1fr;gap:.1rem 1rem}
dt{color:#5b6663}dd{margin:0}table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{text-align:right;padding:.2rem .6rem;border-bottom:1px solid #e3e7e5}th:first-child,td:first-child{text-align:left}
th:last-child,td:last-child{text-align:left;color:#5b6663}svg{max-width:100%;height:auto}.charts{display:flex;flex-wrap:wrap;gap:1rem}`;

/** The whole page. */
export function html(report: Report): string {
  const groups = groupBy(report.rows, title);
  const charts = groupBy(report.rows, ({ bench, mode, circuit }) =>
    title({ bench, circuit, size: 0, ...(mode && { mode }) }),
  );
  const colours = new Map(
    [...new Set(report.rows.map(({ implementation }) => implementation))].map((name, i) => [
      name,
      COLOURS[i % COLOURS.length]!,
    ]),
  );
  const facts: [string, string][] = [
    ["date", report.date],
    ["version", `${report.version}, commit ${report.commit}`],
    ["machine", `${report.cpu}, ${report.cores} cores, ${Math.round(report.memoryBytes / MB / 1024)} GB`],
    ["node", report.node],
    ["native core", report.native],
    ["threads", String(report.threads)],
    ["rounds", String(report.runs)],
  ];
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>anchorproof bench</title>
<style>${STYLE}</style></head><body>
<h1>anchorproof bench</h1>
<dl>${facts.map(([name, value]) => `<dt>${name}</dt><dd>${escapeHtml(value)}</dd>`).join("")}</dl>
${report.notes.map((note) => `<p>${escapeHtml(note)}</p>`).join("\n")}
<p>Rounds are interleaved and their order rotates. Every timed proof and key was verified. The ratio is the median over the rounds against the first line; above 1 is slower.</p>
<div class="charts">${[...charts].map(([name, rows]) => chart(name, rows, colours)).join("\n")}</div>
${[...groups].map(([name, rows]) => `<h2>${escapeHtml(name)}</h2>${htmlTable([...COLUMNS], rows.map(cells))}`).join("\n")}
${report.preparations.length > 0 ? `<h2>preparation</h2><ul>${report.preparations.map((one) => `<li>${escapeHtml(preparationLine(one))}</li>`).join("")}</ul>` : ""}
</body></html>
`;
}

function htmlTable(head: string[], body: string[][]): string {
  const line = (cell: string, of: string[]) =>
    `<tr>${of.map((text) => `<${cell}>${escapeHtml(text)}</${cell}>`).join("")}</tr>`;
  return `<table>${line("th", head)}${body.map((of) => line("td", of)).join("")}</table>`;
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
    const at = y(10 ** decade).toFixed(1);
    parts.push(`<line x1="${left}" x2="${width - right}" y1="${at}" y2="${at}" stroke="#e3e7e5"/>`);
    parts.push(
      `<text x="${left - 6}" y="${at}" dy=".32em" text-anchor="end">${escapeHtml(formatMs(10 ** decade).replace(/\.0+ /, " "))}</text>`,
    );
  }
  const label = rows[0]!.bench === "batch" ? String : (size: number) => (size > 0 ? `2^${size}` : "");
  for (const size of sizes) {
    parts.push(`<text x="${x(size).toFixed(1)}" y="${height - 12}" text-anchor="middle">${label(size)}</text>`);
  }
  let legend = left;
  for (const [implementation, own] of groupBy(rows, (one) => one.implementation)) {
    const colour = colours.get(implementation)!;
    const sorted = [...own].sort((a, b) => a.size - b.size);
    const line = sorted.map(({ size, medianMs }) => `${x(size).toFixed(1)},${y(medianMs).toFixed(1)}`);
    parts.push(`<polyline points="${line.join(" ")}" fill="none" stroke="${colour}" stroke-width="2"/>`);
    for (const { size, samples } of sorted) {
      for (const ms of samples.slice(0, 100)) {
        parts.push(
          `<circle cx="${x(size).toFixed(1)}" cy="${y(ms).toFixed(1)}" r="2.5" fill="${colour}" fill-opacity=".55"/>`,
        );
      }
    }
    parts.push(`<text x="${legend}" y="28" fill="${colour}" font-weight="600">${escapeHtml(implementation)}</text>`);
    legend += 14 + 7 * implementation.length;
  }
  return `<svg viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" font-size="11" font-family="system-ui,sans-serif" role="img" aria-label="${escapeHtml(name)}"><text x="${left}" y="14" font-size="13" font-weight="600">${escapeHtml(name)}</text>${parts.join("")}</svg>`;
}

function groupBy<T>(items: readonly T[], key: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) groups.set(key(item), [...(groups.get(key(item)) ?? []), item]);
  return groups;
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
