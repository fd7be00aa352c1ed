#!/usr/bin/env node
/**
 * `anchorproof` as a process: ends on Ctrl-C, prints a failure in one line.
 *
 * @module
 */
import { toAnchorError } from "../errors.js";
import { printable } from "../text.js";
import { runProgram } from "./program.js";
import { Terminal } from "./terminal.js";

const stop = new AbortController();
const onSignal = () => {
  // The first one asks everything to end; the second one does not ask.
  if (stop.signal.aborted) process.exit(130);
  stop.abort();
};
process.on("SIGINT", onSignal).on("SIGTERM", onSignal);

// Who reads our lines may have had enough of them (`| head`): the work goes on, and its files get written.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
});

try {
  await runProgram(process.argv.slice(2), new Terminal(), stop.signal);
  process.exit(process.exitCode ?? 0);
} catch (error) {
  const { code, message } = toAnchorError(error, "INTERNAL", "anchorproof failed");
  if (process.stdout.isTTY) process.stdout.write("\r\u001b[K");
  process.stderr.write(`error ${code}: ${printable(message.replaceAll("\n", " "))}\n`);
  if (process.env["ANCHORPROOF_DEBUG"]) console.error(error);
  process.exit(code === "ABORTED" ? 130 : 1);
}
