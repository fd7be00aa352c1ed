/**
 * Pages that need nothing else: the frame that all reports share, tables, and the pieces of their plots.
 *
 * A page has no script, no link and nothing that is loaded, and forbids all of that to itself, so that it may hold names
 * from files that others made. Colours follow the reader's light or dark theme.
 *
 * @module
 */
import { clip, counted, printable } from "./text.js";

/** Text in a page, an attribute or an SVG, its control and direction characters written out. */
export function escapeHtml(text: string): string {
  return printable(text).replace(/[&<>"'`]/g, (character) => `&#${character.charCodeAt(0)};`);
}

/** How many colours {@link colour} tells apart. */
const COLOURS = 6;

/** A colour of lines and marks, for both themes; the count goes round. */
export function colour(index: number): string {
  return `var(--c${index % COLOURS})`;
}

const STYLE = `:root{color-scheme:light dark;--ink:#1c2321;--soft:#5b6663;--line:#e3e7e5;--back:#fff;--panel:#f6f8f7;--c0:#0b6e4f;--c1:#c8553d;--c2:#3d5a98;--c3:#a27409;--c4:#7b4b94;--c5:#4a4a4a}
@media (prefers-color-scheme:dark){:root{--ink:#e4e9e7;--soft:#9aa6a2;--line:#333b39;--back:#141817;--panel:#1c2220;--c0:#4cc79b;--c1:#f08a73;--c2:#8aa6ec;--c3:#dcae4a;--c4:#c295dd;--c5:#b9b9b9}}
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:72rem;padding:0 1rem;color:var(--ink);background:var(--back)}
h1{font-size:1.5rem}h2{font-size:1.1rem;margin:2rem 0 .5rem}dl{display:grid;grid-template-columns:max-content 1fr;gap:.1rem 1rem}
dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}caption{text-align:left;color:var(--soft);padding:.2rem 0}
th,td{text-align:right;padding:.2rem .6rem;border-bottom:1px solid var(--line)}td{white-space:nowrap}.text{text-align:left;white-space:normal}
svg{max-width:100%;height:auto}svg text{fill:var(--ink);font:11px system-ui,sans-serif}svg .title{font-size:13px;font-weight:600}
figure{margin:1rem 0}.charts{display:flex;flex-wrap:wrap;gap:1rem}.soft,figcaption{color:var(--soft)}`;

/** A whole page. @param style more rules @param body markup */
export function page(title: string, body: string, style = ""): string {
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'"><title>${escapeHtml(title)}</title>
<style>${STYLE}${style === "" ? "" : `\n${style}`}</style></head><body>
${body}
</body></html>
`;
}

/** Names and their values, one a line. */
export function facts(list: readonly (readonly [name: string, value: string])[]): string {
  return `<dl>${list.map(([name, value]) => `<dt>${escapeHtml(name)}</dt><dd>${escapeHtml(value)}</dd>`).join("")}</dl>`;
}

export interface Column {
  readonly name: string;
  /** Words and not numbers: to the left. */
  readonly text?: boolean;
}

export function table(columns: readonly Column[], rows: readonly (readonly string[])[], caption?: string): string {
  const start = (tag: string, column: Column) => `<${tag}${column.text ? ' class="text"' : ""}`;
  const head = columns.map((column) => `${start("th", column)} scope="col">${escapeHtml(column.name)}</th>`).join("");
  const body = rows.map(
    (cells) =>
      `<tr>${columns.map((column, i) => `${start("td", column)}>${escapeHtml(cells[i] ?? "")}</td>`).join("")}</tr>`,
  );
  const named = caption === undefined ? "" : `<caption>${escapeHtml(caption)}</caption>`;
  return `<div class="scroll"><table>${named}<thead><tr>${head}</tr></thead><tbody>${body.join("")}</tbody></table></div>`;
}

export interface SvgOptions {
  readonly title: string;
  readonly width: number;
  readonly height: number;
  /** What the plot shows, for those who do not see it. */
  readonly label?: string;
  /** Left end of the title. */
  readonly left?: number;
}

/** The frame of a plot: its title, and its parts as markup. */
export function svg({ title, width, height, label, left = 0 }: SvgOptions, parts: readonly string[]): string {
  const head = `<text class="title" x="${left}" y="14">${escapeHtml(title)}</text>`;
  return `<svg viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${escapeHtml(label ?? title)}">${head}${parts.join("")}</svg>`;
}

/** Plots as wide as a page. */
export const PLOT_WIDTH = 1040;

export interface Bar {
  readonly name: string;
  readonly value: number;
  /** What is written behind it. */
  readonly text: string;
  /** Number of its {@link colour}. */
  readonly tone: number;
}

/** A plot of a line of text and a bar for each, from 0 to the largest. */
export function bars(title: string, list: readonly Bar[]): string {
  const [left, right, top, line] = [280, 150, 26, 19];
  const most = list.reduce((largest, { value }) => Math.max(largest, value), 0);
  const parts = list.map(({ name, value, text, tone }, i) => {
    const y = top + i * line;
    const length = Math.max(1, most === 0 ? 0 : (value / most) * (PLOT_WIDTH - left - right));
    const words = `<text x="${left - 8}" y="${y + 13}" text-anchor="end">${escapeHtml(clip(name, 44))}</text>`;
    const bar = `<rect x="${left}" y="${y + 2}" width="${at(length)}" height="${line - 5}" fill="${colour(tone)}"/>`;
    const end = `<text x="${at(left + length + 6)}" y="${y + 13}">${escapeHtml(text)}</text>`;
    return `<g><title>${escapeHtml(`${clip(name)}: ${text}`)}</title>${words}${bar}${end}</g>`;
  });
  const height = top + list.length * line + 6;
  return svg({ title, width: PLOT_WIDTH, height, label: plotLabel(title, list.length) }, parts);
}

/** A plot's label for those who do not see it. */
export function plotLabel(title: string, marks: number): string {
  return `${title}: ${counted(marks, "bar")}; the numbers are in the text and tables beside it`;
}

/** A coordinate as markup has it: a tenth of a pixel is enough, and the same digits everywhere. */
export function at(value: number): string {
  return value.toFixed(1);
}
