/**
 * One step of a setup in a process of its own: `node setupOnce.js STEP REQUEST`, the request as JSON. The benchmark starts
 * it beside snarkjs' command line, and checks what it leaves in files itself.
 *
 * @module
 */
import { contribute, newPhase2Key, verifyPhase2 } from "../circuit/phase2.js";
import { importPtau, ptauBasis } from "../circuit/ptau.js";
import { setupDevelopment } from "../circuit/setup.js";
import { ArtefactStore } from "../circuit/store.js";
import { AnchorError, toAnchorError } from "../errors.js";

/** `store` is a folder: what a step keeps must not be found by the next run of it, unless that is what is measured. */
export interface SetupSteps {
  import: { ptauPath: string; store: string };
  basis: { ptauPath: string; power: number; store: string };
  development: { r1csPath: string; zkeyPath: string };
  key: { r1csPath: string; ptauPath: string; zkeyPath: string; store: string };
  contribute: { from: string; to: string };
  verify: { r1csPath: string; ptauPath: string; zkeyPath: string };
}

/** The core that does it, or JavaScript in its place. */
export type SetupRequest<S extends keyof SetupSteps> = SetupSteps[S] & { threads: number; native: boolean };

type Steps = { [S in keyof SetupSteps]: (request: SetupRequest<S>) => Promise<unknown> };

const steps: Steps = {
  import: ({ ptauPath, store, threads }) => importPtau(ptauPath, { store: new ArtefactStore(store), threads }),
  basis: ({ ptauPath, power, store, threads }) =>
    ptauBasis(ptauPath, power, { store: new ArtefactStore(store), threads }),
  development: ({ r1csPath, zkeyPath, threads }) => setupDevelopment(r1csPath, zkeyPath, { threads }),
  key: ({ store, native, ...request }) => newPhase2Key({ ...request, store: new ArtefactStore(store) }),
  contribute: ({ native, ...request }) => contribute({ ...request, name: "bench" }),
  verify: ({ native, ...request }) => verifyPhase2(request),
};

const [name = "", text = ""] = process.argv.slice(2);
try {
  if (!Object.hasOwn(steps, name)) throw new AnchorError("USAGE", `STEP is one of ${Object.keys(steps).join(", ")}`);
  const request = JSON.parse(text);
  if (!request.native) process.env["ANCHORPROOF_NATIVE"] = "off";
  await steps[name as keyof SetupSteps](request);
} catch (error) {
  const { code, message } = toAnchorError(error, "INTERNAL", `${name} failed`);
  process.stderr.write(`${code}: ${message}\n`);
  process.exitCode = 1;
}
