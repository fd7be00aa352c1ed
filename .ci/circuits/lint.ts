/**
 * All checks over a library of circuits and the programs made of it.
 *
 * @module
 */
import { checkEntries, checkProgram } from "./determinism.js";
import type { Program } from "./programs.js";
import { checkMessages, checkSources, type Message, type Problem, type Reviewed } from "./review.js";
import { countProgram, type Snapshot } from "./snapshot.js";
import { readCircom } from "./source.js";
import { circomspect, type Files, type Findings, inspect } from "./tools.js";

export interface LintResult {
  problems: Problem[];
  snapshot: Snapshot;
  /** Messages of the tools, reviewed ones included. */
  messages: number;
}

export async function lint(library: Files, programs: readonly Program[], reviewed: Reviewed): Promise<LintResult> {
  // Programs with definitions of their own are sources too; the others are a line over the library.
  const own = programs.filter(({ file, source }) => readCircom(file, source).definitions.length > 0);
  const sources = [...library, ...own.map(({ file, source }) => [file, source] as const)].map(([path, text]) =>
    readCircom(path, text),
  );
  const problems = [
    ...checkSources(sources, reviewed),
    ...checkCoverage(library, programs),
    ...checkEntries(programs, reviewed.determinism),
  ];
  const snapshot: Snapshot = {};
  const jobs: (() => Promise<Findings>)[] = [
    () => circomspect(library, [...library.keys()]),
    ...own.map((program) => () => scan(library, program)),
    ...programs.map((program) => async () => {
      const { compiled, ...findings } = await inspect(library, program);
      // What circom refuses has been reported.
      if (!compiled) return findings;
      snapshot[program.name] = countProgram(compiled);
      return { ...findings, problems: await checkProgram(program, compiled, reviewed.determinism) };
    }),
  ];
  const messages: Message[] = [];
  for (const findings of await twoAtATime(jobs)) {
    messages.push(...findings.messages);
    problems.push(...findings.problems);
  }
  problems.push(...checkMessages(messages, reviewed.allowed));
  const inOrder = programs.flatMap(({ name }) => (snapshot[name] ? [[name, snapshot[name]] as const] : []));
  return { problems, snapshot: Object.fromEntries(inOrder), messages: messages.length };
}

/** Its includes are relative to the library, so it is staged at its root, whatever it is called. */
async function scan(library: Files, { file, source }: Program): Promise<Findings> {
  const { messages, problems } = await circomspect(new Map([...library, ["main.circom", source]]), ["main.circom"]);
  return {
    messages: messages.map((message) => ({ ...message, file })),
    problems: problems.map(({ code, message }) => ({ code, message: message.replaceAll("main.circom", file) })),
  };
}

/** Circom's inspector says nothing of a template that no program uses. */
export function checkCoverage(library: Files, programs: readonly Pick<Program, "file" | "source">[]): Problem[] {
  const mains = programs.map(
    ({ file, source }) => /\bcomponent\s+main\b[^=]*=\s*(\w+)/.exec(readCircom(file, source).code)?.[1],
  );
  return [...library].flatMap(([path, text]) =>
    readCircom(path, text).definitions.flatMap(({ kind, name }) =>
      kind === "function" || mains.includes(name)
        ? []
        : [{ code: "NOT_INSPECTED", message: `${path}: no program has ${name} as its main component` }],
    ),
  );
}

async function twoAtATime<T>(jobs: readonly (() => Promise<T>)[]): Promise<T[]> {
  const results: T[] = [];
  let next = 0;
  const worker = async () => {
    while (next < jobs.length) {
      const index = next++;
      results[index] = await jobs[index]!();
    }
  };
  await Promise.all([worker(), worker()]);
  return results;
}
