/**
 * Tables as RFC 4180 writes them: a row of names, then a record a row, each column a cell.
 *
 * Fields are separated by commas, rows end with CR LF or LF; a field in quotes may hold both, and quotes that are doubled.
 * A byte order mark is passed over. An empty field without quotes is a missing value, one with quotes an empty text. All
 * rows have as many fields as the first.
 *
 * @module
 */
import { utf8 } from "../../field/bytes.js";
import { MAX_CELLS } from "../layout.js";
import { type Cell, type Column, type DatasetRecord, splitRecord } from "../record.js";
import { numberCell, TypeGuess, textProblem } from "./cells.js";
import { type Context, emit, type FormatOptions, tooLong } from "./context.js";
import { lineTooLong, wholeLines } from "./lines.js";
import { BATCH_RECORDS, MAX_LINE_BYTES, type Source, type SourcedRecord } from "./source.js";

type Field = string | null;

/** Most fields of a row: more than any table here can have, few enough to hold. */
const MAX_FIELDS = 4096;

/** Rows, and the line that each starts in. */
interface Rows {
  readonly rows: (readonly Field[])[];
  readonly lines: number[];
}

/** Where in a row the parts of a record stand. */
interface Layout {
  readonly header: readonly string[];
  readonly name: number | undefined;
  readonly label: number | undefined;
  readonly content: number | undefined;
  /** Of the cells' columns, in order. */
  readonly cells: readonly number[];
}

const NOTHING = { dtype: "bytes", shape: [0], data: new Uint8Array() } as const;

export async function* readTable(source: Source, context: Context): AsyncGenerator<SourcedRecord[]> {
  const { fields, options, extra, columns } = context;
  let layout: Layout | undefined;
  for await (const { rows, lines } of readRows(source)) {
    const batch: SourcedRecord[] = [];
    for (const [i, row] of rows.entries()) {
      const line = lines[i]!;
      if (layout === undefined) {
        layout = layoutOf(source, row, options);
        checkHeader(source, layout, columns);
        continue;
      }
      checkWidth(source, layout, row, line);
      const record = recordOf(row, layout, columns, source, line);
      const { name = fields.name, label = fields.label, cells = [], ...content } = record;
      const whole = { name, label, cells: extra.length === 0 ? cells : [...cells, ...extra], ...content };
      if (whole.data.length === 0) batch.push({ record: whole, source: { path: source.path, line } });
      else batch.push(...emit(source, splitRecord(whole), { line }));
    }
    if (batch.length > 0) yield batch;
  }
  if (layout === undefined) throw source.malformed("is empty: the first line of a table has the names of its columns");
}

/** The columns of tables that belong together, from one pass over all of them. */
export class ColumnGuess {
  #header: readonly string[] | undefined;
  #columns: { name: string; guess: TypeGuess }[] = [];

  async add(source: Source, options: FormatOptions): Promise<void> {
    let layout: Layout | undefined;
    for await (const { rows, lines } of readRows(source)) {
      for (const [i, row] of rows.entries()) {
        if (layout === undefined) {
          layout = this.#start(source, row, options);
          continue;
        }
        checkWidth(source, layout, row, lines[i]!);
        for (let column = 0; column < layout.cells.length; column++) {
          const field = row[layout.cells[column]!]!;
          if (field !== null && field !== "") this.#columns[column]!.guess.add(field);
        }
      }
    }
    if (layout === undefined)
      throw source.malformed("is empty: the first line of a table has the names of its columns");
  }

  columns(): Column[] {
    return this.#columns.map(({ name, guess }) => ({ name, ...guess.type() }));
  }

  #start(source: Source, row: readonly Field[], options: FormatOptions): Layout {
    const layout = layoutOf(source, row, options);
    const { header } = layout;
    if (this.#header === undefined) {
      this.#header = header;
      this.#columns = layout.cells.map((at) => ({ name: header[at]!, guess: new TypeGuess() }));
    } else if (JSON.stringify(header) !== JSON.stringify(this.#header)) {
      throw source.malformedLine(1, "has other columns than the tables before it: commit to them apart");
    }
    return layout;
  }
}

function layoutOf(source: Source, row: readonly Field[], options: FormatOptions): Layout {
  const header = row.map((name, i) => {
    if (name === null || name === "") throw source.malformedLine(1, `has no name for column ${i + 1}`);
    if (tooLong(name)) throw source.tooLarge(`the name of column ${i + 1} is ${tooLong(name)}`, { line: 1 });
    return name;
  });
  const twice =
    header.length === new Set(header).size ? undefined : header.find((name, i) => header.indexOf(name) !== i);
  if (twice !== undefined) throw source.malformedLine(1, `names column ${JSON.stringify(twice)} twice`);
  const find = (name: string | undefined): number | undefined => {
    if (name === undefined) return undefined;
    const at = header.indexOf(name);
    if (at < 0) throw source.malformedLine(1, `names no column ${JSON.stringify(name)}`);
    return at;
  };
  const [name, label, content] = [find(options.name), find(options.label), find(options.content)];
  const cells = [...header.keys()].filter((at) => at !== name && at !== label && at !== content);
  if (cells.length > MAX_CELLS) {
    throw source.tooLarge(`${cells.length} columns; a record has at most ${MAX_CELLS} cells`, { line: 1 });
  }
  return { header, name, label, content, cells };
}

function checkHeader(source: Source, { header, cells }: Layout, columns: readonly Column[]): void {
  const has = cells.map((at) => header[at]!);
  if (has.length === columns.length && has.every((name, i) => name === columns[i]!.name)) return;
  const list = (names: readonly string[]) => names.map((name) => JSON.stringify(name)).join(", ");
  throw source.malformedLine(
    1,
    `names the columns ${list(has)}; ${list(columns.map(({ name }) => name))} are expected`,
  );
}

function checkWidth(source: Source, { header }: Layout, row: readonly Field[], line: number): void {
  if (row.length === header.length) return;
  throw source.malformedLine(line, `has ${row.length} fields; the first has ${header.length}`);
}

function recordOf(
  row: readonly Field[],
  layout: Layout,
  columns: readonly Column[],
  source: Source,
  line: number,
): Omit<DatasetRecord, "scale" | "part" | "parts"> {
  const cells = new Array<Cell>(columns.length);
  for (let i = 0; i < columns.length; i++) {
    const field = row[layout.cells[i]!]!;
    const column = columns[i]!;
    if (field === null) cells[i] = null;
    else if (column.type === "text") {
      const problem = textProblem(field);
      if (problem !== undefined)
        throw source.tooLarge(`line ${line}, ${JSON.stringify(column.name)} ${problem}`, { line });
      cells[i] = field;
    } else if (field === "") cells[i] = null;
    else {
      const cell = numberCell(column, field);
      if (typeof cell === "object" && cell !== null) {
        throw source.malformedLine(line, `has a cell ${JSON.stringify(column.name)} that ${cell.wrong}`);
      }
      cells[i] = cell;
    }
  }
  const word = (at: number): string => {
    const text = row[at] ?? "";
    if (tooLong(text)) {
      throw source.tooLarge(`line ${line}, ${JSON.stringify(layout.header[at])} is ${tooLong(text)}`, { line });
    }
    return text;
  };
  const record: { -readonly [key in keyof DatasetRecord]: DatasetRecord[key] } = { ...NOTHING, cells };
  if (layout.name !== undefined) record.name = word(layout.name);
  if (layout.label !== undefined) record.label = word(layout.label);
  if (layout.content !== undefined) {
    record.dtype = "text";
    record.data = utf8(row[layout.content] ?? "");
    record.shape = [record.data.length];
  }
  return record;
}

/** The rows of a table, the names of its columns first. */
async function* readRows(source: Source): AsyncGenerator<Rows> {
  const position = { line: 0 };
  let rest = ""; // of a row whose quotes are open
  const done = { line: 1 };
  for await (const lines of wholeLines(source, position, true)) {
    let piece = lines.toString("utf8");
    if (position.line === 0 && piece.startsWith("\ufeff")) piece = piece.slice(1);
    for (let i = lines.indexOf(10); i >= 0; i = lines.indexOf(10, i + 1)) position.line++;
    rest = yield* parseRows(source, rest + piece, done);
    if (rest.length > MAX_LINE_BYTES) throw lineTooLong(source, done.line);
  }
  if (rest !== "") throw source.malformedLine(done.line, "opens quotes that are not closed");
}

/** Rows of a text; returns what is left, a row that has not ended. `position` is the line of the next row. */
function* parseRows(source: Source, text: string, position: { line: number }): Generator<Rows, string> {
  let batch: Rows = { rows: [], lines: [] };
  let quote = text.indexOf('"');
  let carriage = text.indexOf("\r");
  let at = 0;
  while (at < text.length) {
    const feed = text.indexOf("\n", at);
    let end = feed < 0 ? text.length : feed;
    if (quote >= 0 && quote < at) quote = text.indexOf('"', at);
    if (carriage >= 0 && carriage < at) carriage = text.indexOf("\r", at);
    const { line } = position;
    let row: Field[];
    if (quote < 0 || quote > end) {
      if (carriage >= 0 && carriage < end) {
        if (carriage !== feed - 1) throw source.malformedLine(line, "has a carriage return outside of quotes");
        end = carriage;
      }
      if (end - at > MAX_LINE_BYTES) throw lineTooLong(source, line);
      row = text.slice(at, end).split(",", MAX_FIELDS + 1);
      for (let i = 0; i < row.length; i++) if (row[i] === "") row[i] = null;
      at = feed < 0 ? text.length : feed + 1;
      position.line++;
    } else {
      const quoted = quotedRow(source, text, at, line);
      if (quoted === undefined) {
        if (batch.rows.length > 0) yield batch;
        return text.slice(at);
      }
      row = quoted.row;
      at = quoted.next;
      position.line += quoted.lines;
    }
    if (row.length > MAX_FIELDS) throw source.tooLarge(`line ${line} has more than ${MAX_FIELDS} fields`, { line });
    batch.rows.push(row);
    batch.lines.push(line);
    if (batch.rows.length < BATCH_RECORDS) continue;
    yield batch;
    batch = { rows: [], lines: [] };
  }
  if (batch.rows.length > 0) yield batch;
  return "";
}

/** A row with quotes from `start`; undefined where it goes on after the text. */
function quotedRow(
  source: Source,
  text: string,
  start: number,
  line: number,
): { row: Field[]; next: number; lines: number } | undefined {
  const row: Field[] = [];
  let lines = 1;
  let at = start;
  for (;;) {
    let field: Field;
    if (text[at] === '"') {
      let from = at + 1;
      field = "";
      for (;;) {
        const close = text.indexOf('"', from);
        if (close < 0) return undefined;
        if (text[close + 1] === '"') {
          field += text.slice(from, close + 1);
          from = close + 2;
          continue;
        }
        field += text.slice(from, close);
        at = close + 1;
        break;
      }
      for (let i = field.indexOf("\n"); i >= 0; i = field.indexOf("\n", i + 1)) lines++;
    } else {
      const from = at;
      while (at < text.length && !/[,\n\r"]/.test(text[at]!)) at++;
      if (text[at] === '"') throw source.malformedLine(line + lines - 1, "has quotes inside a field without quotes");
      field = at === from ? null : text.slice(from, at);
    }
    row.push(field);
    if (at - start > MAX_LINE_BYTES) throw lineTooLong(source, line);
    if (row.length > MAX_FIELDS) return { row, next: at, lines };
    const next = text[at];
    if (next === undefined) return { row, next: at, lines };
    if (next === "\n") return { row, next: at + 1, lines };
    if (next === "\r") {
      if (text[at + 1] === "\n") return { row, next: at + 2, lines };
      throw source.malformedLine(line + lines - 1, "has a carriage return outside of quotes");
    }
    if (next !== ",") throw source.malformedLine(line + lines - 1, "goes on after quotes, before the next comma");
    at++;
  }
}
