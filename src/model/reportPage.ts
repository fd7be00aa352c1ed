/**
 * `report.html`: a model report as one page that needs nothing else. The same report gives the same page.
 *
 * @module
 */

import {
  at,
  type Bar,
  type Column,
  colour,
  escapeHtml,
  facts,
  bars as horizontal,
  PLOT_WIDTH,
  page,
  plotLabel,
  svg,
  table,
} from "../html.js";
import { clip, counted, formatBytes, formatCount, formatMs, formatReal, formatShare } from "../text.js";
import { ACCUMULATOR_BITS } from "./bounds.js";
import type { Drift, Range } from "./drift.js";
import type { ModelReport } from "./report.js";

const STYLE = `.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(10rem,1fr));gap:.8rem;margin:1.2rem 0}
.card{background:var(--panel);border-radius:.5rem;padding:.7rem .9rem}.card b{display:block;font-size:1.35rem;font-variant-numeric:tabular-nums}
figcaption{max-width:60rem}summary{cursor:pointer;color:var(--soft)}code{overflow-wrap:anywhere}
@media print{details{display:none}}`;

/** Bars of a plot that has a line of text for each. */
const MAX_BARS = 48;
/** Entries of a list in the quantiser's account that are shown. */
const MAX_ENTRIES = 256;

/** The whole page. */
export function renderReport(report: ModelReport): string {
  const { source, model, circuit, quantisation, stages } = report;
  const operators = Object.entries(source.operators);
  const sections = [
    `<h1>Model ${code(short(model.modelDigest))}</h1>`,
    facts(headFacts(report)),
    `<div class="cards">${cards(report)
      .map(([value, label]) => `<div class="card"><b>${escapeHtml(value)}</b>${escapeHtml(label)}</div>`)
      .join("")}</div>`,
    section("Rows", rowsPlot(report), partsTable(report)),
    section("Accuracy", accuracyTable(report), distancesPlot(report)),
    section("Drift from the float model", driftPlot(report), saturationPlot(report), driftTable(report)),
    section("Proven bounds", boundsPlot(report)),
    section("Nodes", nodesTable(report)),
    section("Quantisation", describe(quantisation)),
    section(
      "Stages",
      table(
        [{ name: "stage", text: true }, { name: "time" }, { name: "peak memory" }],
        stages.map(({ stage, ms, peakBytes }) => [stage, formatMs(ms), formatBytes(peakBytes)]),
      ),
    ),
    section(
      "Source",
      table(
        [{ name: "operator", text: true }, { name: "nodes" }],
        operators.map(([op, count]) => [clip(op), formatCount(count)]),
      ),
      details(
        `all ${source.nodes.length} nodes in order`,
        table(
          [{ name: "#" }, { name: "node", text: true }, { name: "operator", text: true }],
          source.nodes.map(({ name, op }, i) => [String(i), clip(name), clip(op)]),
        ),
      ),
    ),
    `<p class="soft">Circuit ${code(circuit.circuitDigest)}. Everything here follows from model.json, the ONNX file and the samples; verifiers need none of it.</p>`,
  ];
  return page(`anchorproof model ${short(model.modelDigest)}`, sections.join("\n"), STYLE);
}

function headFacts({ source, model, circuit }: ModelReport): [string, string][] {
  const { input, output, adapter } = model;
  return [
    ["model digest", model.modelDigest],
    ["circuit digest", circuit.circuitDigest],
    ["source", `${formatBytes(source.bytes)}, ${counted(source.nodes.length, "node")}, SHA-256 ${source.sha256}`],
    [
      "input",
      `${shapeOf(input.shape)} integers from ${input.lo} to ${input.lo + 2 ** input.bits - 1}; 1 stands for ${
        input.scaleLog2 === 0 ? "1" : `2^${-input.scaleLog2}`
      }`,
    ],
    [
      "output",
      `${shapeOf(output.shape)} in the source, ${counted(model.nodes.at(-1)!.width, "integer")} here; ${
        output.unit === undefined ? "class indices" : `1 stands for ${rangeText(output.unit)}`
      }`,
    ],
    ...(circuit.batch > 1
      ? [["batch", `${formatCount(circuit.batch)} inferences in one proof`] as [string, string]]
      : []),
    ...(adapter
      ? [
          [
            "private adapter",
            `${formatCount(adapter.weights)} weights of ${adapter.bits} bits, alpha ${adapter.alpha}`,
          ] as [string, string],
        ]
      : []),
  ];
}

function cards({ model, circuit, evaluation }: ModelReport): [string, string][] {
  const { floatAccuracy, integerAccuracy, classAgreement, elements, samples, set } = evaluation;
  const { constant, private: own } = model.multiplications;
  const widest = model.nodes.reduce((most, { bits }) => Math.max(most, bits), 0);
  const full = circuit.rows / 2 ** circuit.domainLog2;
  return [
    [formatCount(circuit.rows), `rows, ${Math.round(100 * full)} % of 2^${circuit.domainLog2}`],
    ...(floatAccuracy !== undefined && integerAccuracy !== undefined
      ? [
          [
            formatShare(integerAccuracy),
            `right on ${counted(samples, `${set} sample`)}, float ${formatShare(floatAccuracy)} (${points(integerAccuracy - floatAccuracy)})`,
          ] as [string, string],
        ]
      : []),
    ...(classAgreement === undefined
      ? []
      : [[formatShare(classAgreement), "same class as the float model"] as [string, string]]),
    ...(elements === undefined
      ? []
      : [[formatShare(elements.within8Bits), "of outputs within 1/256 of their range"] as [string, string]]),
    [`${widest} bits`, `widest value, proven; ${ACCUMULATOR_BITS} are allowed`],
    [
      formatCount(constant + own),
      `multiplications, ${formatReal((circuit.batch * (constant + own)) / Math.max(1, circuit.rows))} a row${own > 0 ? `; ${formatCount(own)} of private values` : ""}`,
    ],
  ];
}

function points(difference: number): string {
  const shown = (100 * Math.abs(difference)).toFixed(2);
  return shown === "0.00" ? "±0 points" : `${difference < 0 ? "−" : "+"}${shown} points`;
}

/** The layer that a node is, for people. */
function nodeName({ model }: ModelReport, id: number): string {
  const node = model.nodes[id];
  return node === undefined ? `node ${id}` : `${id} ${node.op}${node.from === undefined ? "" : ` · ${node.from}`}`;
}

function partName(report: ModelReport, { part, node }: { part: string; node?: number }): string {
  return node === undefined ? part : nodeName(report, node);
}

function rowsPlot(report: ModelReport): string {
  const parts = report.model.parts.filter(({ rows }) => rows > 0);
  // Where there are too many, the largest stay, in their order.
  const sizes = parts.map(({ rows }) => rows).sort((a, b) => b - a);
  const least = parts.length > MAX_BARS ? sizes[MAX_BARS - 2]! : 0;
  const shown = parts.filter(({ rows }) => rows >= least).slice(0, parts.length > MAX_BARS ? MAX_BARS - 1 : MAX_BARS);
  const rest = parts.filter((part) => !shown.includes(part));
  const bars = shown.map((part): Bar => {
    const op = part.node === undefined ? undefined : report.model.nodes[part.node]?.op;
    return { name: partName(report, part), value: part.rows, text: formatCount(part.rows), tone: tone(op) };
  });
  if (rest.length > 0) {
    const value = rest.reduce((sum, { rows }) => sum + rows, 0);
    bars.push({ name: `${rest.length} smaller parts`, value, text: formatCount(value), tone: tone(undefined) });
  }
  return figure(
    horizontal("Rows by layer", bars),
    "Rows of the .r1cs at -O1, linear ones included. A linear layer costs one row an output whatever its size; rounding, saturation and tables cost the rest.",
  );
}

function partsTable(report: ModelReport): string {
  const { parts, rows, wires } = report.model;
  const body = parts.map((part) => [
    clip(partName(report, part)),
    formatCount(part.rows),
    formatShare(rows === 0 ? 0 : part.rows / rows),
  ]);
  return details(
    `${formatCount(rows)} rows and ${formatCount(wires)} wires, as a table`,
    table([{ name: "part", text: true }, { name: "rows" }, { name: "share" }], body),
  );
}

function accuracyTable({ evaluation }: ModelReport): string {
  const { samples, set, runtime } = evaluation;
  const { floatAccuracy, integerAccuracy, classAgreement, elements } = evaluation;
  const shares: [string, number | undefined][] = [
    ["float model right", floatAccuracy],
    ["integer model right", integerAccuracy],
    ["both give the same class", classAgreement],
    ["outputs equal to the float's, rounded in units", elements?.equal],
    ["outputs within 1/256 of the float outputs' range", elements?.within8Bits],
    ["mean error, of that range", elements?.meanError],
    ["largest error, of that range", elements?.maxError],
  ];
  return table(
    [{ name: "measure", text: true }, { name: "value" }],
    shares.flatMap(([name, value]) => (value === undefined ? [] : [[name, formatShare(value)]])),
    `On ${counted(samples, "sample")} of the ${set} set${
      set === "calibration" ? ", which also chose the integers' scales" : ""
    }; floats by ${runtime}.`,
  );
}

function distancesPlot({ evaluation: { elements }, model }: ModelReport): string {
  if (elements === undefined) return "";
  const { unit } = model.output;
  const name = ({ from, to }: { from: number; to: number }) =>
    from === to ? String(from) : `${formatCount(from)} to ${formatCount(to)}`;
  const bars = elements.distances.map(
    (each): Bar => ({
      name: `off by ${name(each)}`,
      value: each.count,
      text: `${formatShare(each.count / elements.count)}, ${formatCount(each.count)}`,
      tone: each.from === 0 ? 0 : 1,
    }),
  );
  return figure(
    horizontal("Outputs by their distance from the rounded float", bars),
    unit === undefined || unit.max === 0
      ? "In units of the output."
      : `In units of the output, whose floats span ${formatCount(Math.round(elements.range / unit.max))} of them. Outputs are accumulators: their lowest bits are far below the noise of the layers before.`,
  );
}

function driftPlot(report: ModelReport): string {
  const { nodes, samples } = report.drift;
  if (nodes.length === 0) return "";
  const known = nodes.flatMap(({ snr }) => (snr === null ? [] : [snr]));
  const high = Math.max(10, ...known.map((snr) => 10 * Math.ceil(snr / 10)));
  const low = Math.min(0, ...known.map((snr) => 10 * Math.floor(snr / 10)));
  const step = 10 * Math.ceil((high - low) / 80);
  const ticks: [number, string][] = [];
  for (let value = low; value <= high; value += step) ticks.push([value, `${value} dB`]);
  const plot = vertical({
    title: "Signal to noise by layer",
    low,
    high,
    ticks,
    bars: nodes.map((each) => ({
      label: String(each.node),
      name: `${nodeName(report, each.node)}: ${snrText(each)}`,
      from: 0,
      to: each.snr ?? 0,
      tone: tone(each.op),
    })),
  });
  return figure(
    plot + legend(nodes.map(({ op }) => op)),
    `Each layer against the same layer of the float model, on ${counted(samples, "sample")}. 6 dB are about one bit; a layer whose bar is much shorter than those before it is where precision is lost.`,
  );
}

function snrText({ snr, meanError, maxError }: Drift): string {
  if (snr !== null) return `${snr.toFixed(1)} dB`;
  return meanError === 0 && maxError === 0 ? "exact" : "no signal";
}

function saturationPlot(report: ModelReport): string {
  const saturating = report.drift.nodes.filter(({ saturated }) => (saturated ?? 0) > 0);
  if (saturating.length === 0) return '<p class="soft">No layer saturated on these samples.</p>';
  const bars = [...saturating]
    .sort((a, b) => b.saturated! - a.saturated!)
    .slice(0, MAX_BARS)
    .map(({ node, op, saturated }): Bar => {
      return { name: nodeName(report, node), value: saturated!, text: formatShare(saturated!), tone: tone(op) };
    });
  return figure(
    horizontal("Saturated values by layer", bars),
    "Share of float values beyond the range of the integers. A few rare ones are chosen by calibration, for finer steps of the rest.",
  );
}

function driftTable(report: ModelReport): string {
  const columns: Column[] = [
    { name: "node", text: true },
    { name: "a unit" },
    { name: "mean error" },
    { name: "largest" },
    { name: "in units" },
    { name: "largest" },
    { name: "SNR" },
    { name: "saturated" },
  ];
  const body = report.drift.nodes.map((each) => [
    clip(nodeName(report, each.node)),
    rangeText(each.unit),
    formatReal(each.meanError),
    formatReal(each.maxError),
    formatReal(each.meanUnits),
    formatReal(each.maxUnits),
    snrText(each),
    each.saturated === undefined ? "" : formatShare(each.saturated),
  ]);
  return details("as a table", table(columns, body));
}

function boundsPlot(report: ModelReport): string {
  const { nodes } = report.model;
  // Signed powers of two: what a value takes of an accumulator, on either side.
  const scale = (value: number) => Math.sign(value) * Math.log2(1 + Math.abs(value));
  const ticks: [number, string][] = [-31, -24, -16, -8, 0, 8, 16, 24, 31].map((power) => [
    power,
    power === 0 ? "0" : `${power < 0 ? "−" : ""}2^${Math.abs(power)}`,
  ]);
  const plot = vertical({
    title: "Proven bounds by node",
    low: -31,
    high: 31,
    ticks,
    bars: nodes.map(({ op, min, max, bits }, id) => ({
      label: String(id),
      name: `${nodeName(report, id)}: ${formatCount(min)} to ${formatCount(max)}, ${bits} bits`,
      from: scale(min),
      to: scale(max),
      tone: tone(op),
    })),
  });
  return figure(
    plot + legend(nodes.map(({ op }) => op)),
    "No input, and no private weight, can take a value out of its bar: interval analysis over the real weights. The circuit's bit widths come from here. Scale: powers of two.",
  );
}

function nodesTable(report: ModelReport): string {
  const drift = new Map(report.drift.nodes.map((each) => [each.node, each]));
  const columns: Column[] = [
    { name: "#" },
    { name: "kind", text: true },
    { name: "takes", text: true },
    { name: "values" },
    { name: "min" },
    { name: "max" },
    { name: "bits" },
    { name: "rows" },
    { name: "SNR" },
    { name: "source", text: true },
  ];
  const body = report.model.nodes.map(({ op, inputs, from, width, min, max, bits, rows }, id) => {
    const own = drift.get(id);
    return [
      String(id),
      op,
      inputs.join(", "),
      formatCount(width),
      formatCount(min),
      formatCount(max),
      String(bits),
      formatCount(rows),
      own === undefined ? "" : snrText(own),
      clip(from ?? ""),
    ];
  });
  return table(columns, body);
}

/** Any account of plain data: numbers and words as they are, lists of records as tables. */
function describe(value: object): string {
  const simple: [string, string][] = [];
  const lists: string[] = [];
  for (const [name, entry] of Object.entries(value)) {
    const items = isList(entry) ? Array.from(entry as ArrayLike<unknown>) : undefined;
    if (items?.some(isRecord)) {
      const records = items.filter(isRecord);
      const names = [...new Set(records.flatMap((each) => Object.keys(each)))];
      const columns = names.map((each): Column => {
        return { name: each, text: records.some((record) => typeof record[each] === "string") };
      });
      const body = records.slice(0, MAX_ENTRIES).map((record) => names.map((each) => valueText(record[each])));
      const more = records.length > MAX_ENTRIES ? `, the first ${MAX_ENTRIES} of ${records.length}` : "";
      lists.push(table(columns, body, `${clip(name)}${more}`));
    } else if (isRecord(entry)) lists.push(`<h3>${escapeHtml(clip(name))}</h3>${describe(entry)}`);
    else simple.push([clip(name), valueText(entry)]);
  }
  return `${simple.length > 0 ? facts(simple) : ""}${lists.join("")}`;
}

function isList(value: unknown): boolean {
  return Array.isArray(value) || (ArrayBuffer.isView(value) && !(value instanceof DataView));
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !isList(value);
}

function valueText(value: unknown): string {
  if (value === undefined || value === null) return "";
  if (typeof value === "number") return Number.isInteger(value) ? formatCount(value) : formatReal(value);
  if (typeof value === "object") return clip(JSON.stringify(isList(value) ? Array.from(value as []) : value));
  return clip(String(value));
}

interface Columns {
  readonly title: string;
  readonly low: number;
  readonly high: number;
  readonly ticks: readonly (readonly [value: number, text: string])[];
  readonly bars: readonly {
    readonly label: string;
    readonly name: string;
    readonly from: number;
    readonly to: number;
    readonly tone: number;
  }[];
}

/** Columns side by side, however many there are; their names show under the pointer and in the table. */
function vertical({ title, low, high, ticks, bars }: Columns): string {
  const [height, left, right, top, bottom] = [280, 56, 12, 28, 26];
  const room = (PLOT_WIDTH - left - right) / Math.max(1, bars.length);
  const y = (value: number) => top + ((high - value) / (high - low)) * (height - top - bottom);
  const parts = ticks.map(
    ([value, text]) =>
      `<line x1="${left}" x2="${PLOT_WIDTH - right}" y1="${at(y(value))}" y2="${at(y(value))}" stroke="var(--line)"/><text x="${left - 6}" y="${at(y(value))}" dy=".32em" text-anchor="end">${escapeHtml(text)}</text>`,
  );
  const every = Math.ceil(28 / room);
  const thick = Math.max(0.2, Math.min(36, 0.75 * room));
  bars.forEach(({ label, name, from, to, tone: own }, i) => {
    const middle = left + (i + 0.5) * room;
    const [upper, lower] = [y(Math.max(from, to)), y(Math.min(from, to))];
    parts.push(
      `<g><title>${escapeHtml(clip(name))}</title><rect x="${at(middle - thick / 2)}" y="${at(upper)}" width="${at(thick)}" height="${at(Math.max(1.5, lower - upper))}" fill="${colour(own)}"/></g>`,
    );
    if (i % every === 0) {
      parts.push(`<text x="${at(middle)}" y="${height - 8}" text-anchor="middle">${escapeHtml(label)}</text>`);
    }
  });
  return svg({ title, width: PLOT_WIDTH, height, label: plotLabel(title, bars.length) }, parts);
}

/** Kinds of nodes by colour. */
const TONES: readonly (readonly [name: string, ops: readonly string[]])[] = [
  ["linear", ["linear", "matMul", "mul", "arrange"]],
  ["rounding", ["requant"]],
  ["comparison", ["max", "argMax"]],
  ["table", ["table", "lookup"]],
  ["division", ["share", "normalise"]],
  ["statement", ["input", "adapter"]],
];

function tone(op: string | undefined): number {
  const found = TONES.findIndex(([, ops]) => op !== undefined && ops.includes(op));
  return found === -1 ? TONES.length - 1 : found;
}

function legend(ops: readonly string[]): string {
  const used = new Set(ops.map(tone));
  const items = TONES.flatMap(([name], i) =>
    used.has(i) ? [`<span style="color:${colour(i)}">■</span> ${escapeHtml(name)}`] : [],
  );
  return `<p class="soft">${items.join(" &nbsp; ")}</p>`;
}

function figure(plot: string, caption: string): string {
  return `<figure><div class="scroll">${plot}</div><figcaption>${escapeHtml(caption)}</figcaption></figure>`;
}

function section(title: string, ...parts: readonly string[]): string {
  return `<section><h2>${escapeHtml(title)}</h2>${parts.join("\n")}</section>`;
}

function details(summary: string, body: string): string {
  return `<details><summary>${escapeHtml(summary)}</summary>${body}</details>`;
}

function code(text: string): string {
  return `<code>${escapeHtml(text)}</code>`;
}

function short(digest: string): string {
  return digest.length > 18 ? `${digest.slice(0, 10)}…${digest.slice(-6)}` : digest;
}

function shapeOf(shape: readonly number[]): string {
  return shape.length === 0 ? "1" : shape.join(" × ");
}

function rangeText({ min, max }: Range): string {
  return min === max ? formatReal(min) : `${formatReal(min)} to ${formatReal(max)}`;
}
