/**
 * The pool of a command that proves.
 *
 * @module
 */
import { AnchorError } from "../errors.js";
import { type PoolOptions, ProverPool } from "../prover/pool.js";
import { type Command, type Context, optional, type Values } from "./command.js";

const BACKENDS = ["auto", "cuda", "native", "snarkjs"] as const;

export const POOL_OPTIONS = { backend: { type: "string" } } as const satisfies Command["options"];

/** @param width of the column of options */
export const poolHelp = (width: number) => {
  const [head, indent] = ["--backend NAME".padEnd(width), " ".repeat(width)];
  return `  ${head}  what proves: cuda (a GPU), native (the C++ core on the CPU), snarkjs, or auto: the first that is there
  ${indent}  [auto]. The CPU makes what a GPU cannot, and a note says why; no proof leaves that does not verify`;
};

/** @param options what the command decides by itself. @throws USAGE, NATIVE_UNAVAILABLE */
export function openPool({ values, terminal }: Context, options: PoolOptions = {}): ProverPool {
  return new ProverPool({ backend: backendOf(values), onNotice: (notice) => terminal.note(notice), ...options });
}

/** To be called before anything long starts. @throws USAGE */
export function backendOf(values: Values): (typeof BACKENDS)[number] {
  const name = optional(values, "backend") ?? "auto";
  const backend = BACKENDS.find((known) => known === name);
  if (backend === undefined) throw new AnchorError("USAGE", `--backend takes one of ${BACKENDS.join(", ")}`);
  return backend;
}
