/** The command line in this process, for what it refuses: a process for each takes a second. */
import { join } from "node:path";
import { Writable } from "node:stream";
import { PACKAGE_ROOT } from "../../src/paths.js";

type Program = typeof import("../../src/cli/program.js");
type Terminals = typeof import("../../src/cli/terminal.js");

/** @returns what it prints, and the code and message that its process would print and end with */
export async function refusal(args: readonly string[]): Promise<{ out: string; code: unknown; message: unknown }> {
  // What the processes of the other tests run, too.
  const compiled = (name: string) => import(join(PACKAGE_ROOT, "dist", "cli", `${name}.js`));
  const [{ runProgram }, { Terminal }] = (await Promise.all(["program", "terminal"].map(compiled))) as [
    Program,
    Terminals,
  ];
  let out = "";
  const write = (chunk: Buffer, _: unknown, done: () => void) => {
    out += chunk.toString();
    done();
  };
  try {
    await runProgram(args, new Terminal(new Writable({ write })), new AbortController().signal);
  } catch (error) {
    const { code, message } = error as { code?: unknown; message?: unknown };
    return { out, code, message };
  }
  return { out, code: undefined, message: undefined };
}
