// Preloaded into every thread of a child process (`node --import`). When the file $KILL_ORDER exists, the first worker
// that comes to the place it names removes it and dies there, in the way that it names: "place how".
import { readFileSync, unlinkSync } from "node:fs";
import { isMainThread } from "node:worker_threads";

/** @returns whether the thread is about to die */
function dieAt(place) {
  let how;
  try {
    const [where, way] = readFileSync(process.env.KILL_ORDER, "utf8").split(" ");
    if (where !== place) return false;
    how = way;
    // Of two threads that read it, one removes it: rmSync would not tell the other that it was gone.
    unlinkSync(process.env.KILL_ORDER);
  } catch {
    return false;
  }
  if (how === "exit") process.exit(7);
  if (how === "throw") {
    setImmediate(() => {
      throw new Error("thrown outside of any job");
    });
  }
  if (how === "heap") for (const hog = []; ; ) hog.push(new Array(100_000).fill({}));
  return true;
}

if (!isMainThread) {
  const { instantiate } = WebAssembly;
  WebAssembly.instantiate = async (...args) => {
    return dieAt("witness") ? new Promise(() => {}) : instantiate(...args);
  };
  const { wait } = Atomics;
  Atomics.wait = (...args) => {
    dieAt("waiting");
    const result = wait(...args);
    dieAt("holding");
    return result;
  };
}
