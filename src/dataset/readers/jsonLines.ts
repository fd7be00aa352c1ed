/**
 * JSON Lines: a JSON value a line. The record is the line as it is written, or a string of the object in it; names,
 * labels and cells are members of the object.
 *
 * @module
 */
import { isAscii } from "node:buffer";
import { utf8 } from "../../field/bytes.js";
import { type Cell, type Column, type DatasetRecord, splitRecord } from "../record.js";
import { numberCell, textProblem } from "./cells.js";
import { type Context, emit, plain, tooLong } from "./context.js";
import { membersOf, textOf } from "./json.js";
import { linesOf, wholeLines } from "./lines.js";
import { BATCH_RECORDS, MAX_JSON_BYTES, type Source, type SourcedRecord } from "./source.js";

const BYTE_ORDER_MARK = Buffer.from([0xef, 0xbb, 0xbf]);

export async function* readJsonLines(source: Source, context: Context): AsyncGenerator<SourcedRecord[]> {
  const { columns, fields, options } = context;
  const { content, name, label } = options;
  const plainLines = content === undefined && name === undefined && label === undefined && columns.length === 0;
  const position = { line: 0 };
  for await (let lines of wholeLines(source, position, true)) {
    if (position.line === 0 && lines.subarray(0, 3).equals(BYTE_ORDER_MARK)) lines = lines.subarray(3);
    const bytes = plain(lines);
    const encoding = isAscii(lines) ? "latin1" : "utf8";
    let batch: SourcedRecord[] = [];
    for (const [start, end] of linesOf(source, lines, position)) {
      const { line } = position;
      if (end - start > MAX_JSON_BYTES) {
        throw source.tooLarge(`line ${line} is longer than ${MAX_JSON_BYTES} bytes; commit to it as text`, { line });
      }
      const text = lines.toString(encoding, start, end);
      try {
        JSON.parse(text);
      } catch (error) {
        throw source.malformedLine(line, `is not JSON: ${(error as Error).message}`);
      }
      let record: DatasetRecord = { ...fields, dtype: "text", shape: [end - start], data: bytes.subarray(start, end) };
      if (!plainLines) record = { ...record, ...partsOf(text, context, source, line) };
      batch.push(...emit(source, splitRecord(record), { line }));
      if (batch.length < BATCH_RECORDS) continue;
      yield batch;
      batch = [];
    }
    if (batch.length > 0) yield batch;
  }
}

/** What the options take out of the object of a line. */
function partsOf(
  text: string,
  { columns, extra, options }: Context,
  source: Source,
  line: number,
): Partial<DatasetRecord> {
  const members = membersOf(text);
  if (members === undefined) throw source.malformedLine(line, "is not a JSON object");
  if (typeof members === "string") throw source.malformedLine(line, `has ${JSON.stringify(members)} twice`);
  const wrong = (field: string, problem: string) =>
    source.malformedLine(line, `has a field ${JSON.stringify(field)} that ${problem}`);
  const string = (field: string, raw: string): string => {
    if (!raw.startsWith('"')) throw wrong(field, "is not a string");
    const value = textOf(raw);
    if (raw.includes("\\u") && /\p{Cs}/u.test(value)) throw wrong(field, "has half a surrogate pair");
    return value;
  };
  /** Of a name or label; numbers and truth values are taken as they are written. */
  const word = (field: string): string => {
    const raw = members.get(field) ?? "null";
    if (raw === "null") return "";
    if (/^[[{]/.test(raw)) throw wrong(field, "is a list or an object");
    const value = raw.startsWith('"') ? string(field, raw) : raw;
    if (tooLong(value)) throw source.tooLarge(`line ${line}, ${JSON.stringify(field)} is ${tooLong(value)}`, { line });
    return value;
  };
  const cellOf = (column: Column): Cell => {
    const raw = members.get(column.name) ?? "null";
    if (raw === "null") return null;
    if (column.type === "text") {
      const value = string(column.name, raw);
      const problem = textProblem(value);
      if (problem !== undefined)
        throw source.tooLarge(`line ${line}, ${JSON.stringify(column.name)} ${problem}`, { line });
      return value;
    }
    const cell = numberCell(column, raw);
    if (typeof cell === "object" && cell !== null) throw wrong(column.name, cell.wrong);
    return cell;
  };
  const parts: { -readonly [key in keyof DatasetRecord]?: DatasetRecord[key] } = {};
  if (options.name !== undefined) parts.name = word(options.name);
  if (options.label !== undefined) parts.label = word(options.label);
  if (options.content !== undefined) {
    const raw = members.get(options.content);
    if (raw === undefined) throw source.malformedLine(line, `has no field ${JSON.stringify(options.content)}`);
    parts.data = utf8(string(options.content, raw));
    parts.shape = [parts.data.length];
  }
  if (columns.length > 0) parts.cells = [...columns.map(cellOf), ...extra];
  return parts;
}
