/**
 * The ladder of models: each from its ONNX file to a verified proof, as a user takes it.
 *
 * Witnesses are made in this process, from inputs that take turns; proofs and their verification as in the other ladders,
 * so that no timed proof counts unseen. What is proven is what the executor gives, checked before the first proof.
 *
 * @module
 */
import { rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { developmentKey } from "../circuit/setup.js";
import { AnchorError, isAnchorError, throwIfAborted } from "../errors.js";
import { createWitnessProgram, type InferenceRequest, publicSignals } from "../model/circuit/index.js";
import { importModel } from "../model/import.js";
import { readOnnx } from "../model/onnx/index.js";
import { quantiseInput } from "../model/quantise/index.js";
import { readPublics } from "./circuits.js";
import type { Results, Settings } from "./contest.js";
import { BENCH_MODELS, type BenchModel } from "./models.js";
import { circomlibMlRows } from "./peers.js";
import { type ProvingCase, proveWarm, Referee, verifyContest } from "./proving.js";
import { type InferenceSummary, row } from "./report.js";
import { median } from "./statistics.js";

/** Scales are as good as with all there is; see the models' reports. */
const CALIBRATION_SAMPLES = 256;
/** Without the core, a key of this size takes JavaScript a minute. */
const JAVASCRIPT_SIZE = 14;

export async function inferenceLadder(settings: Settings, results: Results): Promise<void> {
  const summaries: InferenceSummary[] = [];
  const referee = new Referee(settings);
  try {
    for (const model of BENCH_MODELS) {
      if (settings.models !== undefined && !settings.models.includes(model.name)) continue;
      const onnx = await model.onnx().catch((error: unknown) => {
        if (isAnchorError(error, "FILE_NOT_FOUND")) return error.message;
        throw error;
      });
      if (typeof onnx === "string") results.note(`inference: ${model.name} is left out: ${onnx}`);
      else summaries.push(await runModel(model, onnx, referee, settings, results));
    }
  } finally {
    referee.close();
  }
  if (summaries.length > 0) results.inference(summaries);
}

async function runModel(
  model: BenchModel,
  onnx: Uint8Array,
  referee: Referee,
  settings: Settings,
  results: Results,
): Promise<InferenceSummary> {
  const { folder, runs, signal, onStep } = settings;
  const { name } = model;
  onStep(`inputs of ${name}`);
  const { inputs, origin } = await model.samples(CALIBRATION_SAMPLES, signal);
  const started = performance.now();
  const { graph, circuit, report, adapter } = await importModel({
    onnx,
    calibration: { inputs },
    adapter: model.adapter,
    out: join(folder, name),
    signal,
    onProgress: ({ stage, done }) => onStep(`${name}: ${stage}`, done),
  });
  const importMs = performance.now() - started;
  const { rows, wires, domainLog2: size } = report.circuit;
  const peers = circomlibMlRows(readOnnx(onnx));

  // Salts and context are known to all: this proves nothing to anyone.
  const requests = inputs.slice(0, runs).map(
    (input): InferenceRequest => ({
      inferences: [{ input: quantiseInput(graph, input), salt: 1n }],
      ...(adapter && { adapter: { weights: adapter.weights, salt: 2n } }),
      context: 3n,
    }),
  );
  const program = createWitnessProgram(graph);
  let wtns = program(requests[0]!);
  const witness: number[] = [];
  for (let round = 0; round < runs; round++) {
    throwIfAborted(signal);
    onStep(`${name}: witness`, round / runs);
    // The last one is of the first input: it is proved.
    const request = requests[(runs - 1 - round) % requests.length]!;
    const begun = performance.now();
    wtns = program(request);
    witness.push(performance.now() - begun);
    await new Promise((resume) => setImmediate(resume));
  }
  const head = { circuit: name, size, threads: 1 };
  results.rows([row({ bench: "witness", implementation: "anchorproof", ...head, extra: { rows } }, witness)]);
  const summary: InferenceSummary = {
    model: name,
    title: model.title,
    calibration: origin,
    importMs,
    rows,
    wires,
    size,
    witnessMs: median(witness),
    peerRows: peers.rows,
    peerMissing: peers.missing,
    ...(peers.missing.length === 0 && { peerRatio: peers.rows / rows }),
  };
  if (!settings.native && size > JAVASCRIPT_SIZE) {
    results.note(`inference: ${name} is not proved: a key of 2^${size} rows needs the native core`);
    return summary;
  }

  const shown = publicSignals(graph, requests[0]!);
  if (String(readPublics(wtns, shown.length, wires)) !== String(shown)) {
    throw new AnchorError("WITNESS_INVALID", `${name}: the witness does not show what the executor gives`);
  }
  const begun = performance.now();
  const key = await developmentKey(circuit, { signal, onProgress: (done) => onStep(`${name}: key`, done) });
  summary.developmentKeyMs = performance.now() - begun;
  summary.zkeyBytes = (await stat(key.zkeyPath)).size;
  const { importMs: compileMs, developmentKeyMs, witnessMs, zkeyBytes } = summary;
  results.preparation({ circuit: name, size, rows, wires, compileMs, developmentKeyMs, witnessMs, zkeyBytes });

  const wtnsPath = join(folder, `${name}.wtns`);
  await writeFile(wtnsPath, wtns);
  const { zkeyPath, verifyingKeyJson } = key;
  const of: ProvingCase = { kind: name, size, rows, zkeyPath, wtnsPath, publicSignals: shown, verifyingKeyJson };
  const provers = [
    ...(settings.native ? (["native"] as const) : []),
    ...(size <= settings.snarkjsSize || !settings.native ? (["snarkjs"] as const) : []),
  ];
  const proofs = await proveWarm(of, provers, undefined, referee, settings);
  results.rows(proofs.rows);
  for (const { implementation, medianMs } of proofs.rows) {
    if (implementation === "native") summary.proveMs = medianMs;
    else summary.snarkjsProveMs = medianMs;
  }

  const verifiers = settings.native
    ? (["native", "javascript", "snarkjs"] as const)
    : (["javascript", "snarkjs"] as const);
  const checks = await verifyContest(
    verifiers.map((each) => ({ name: each, server: each, batch: false })),
    of,
    [proofs.proven],
    { bench: "verify", circuit: name, size },
    settings,
  );
  results.rows(checks);
  summary.verifyMs = checks[0]!.medianMs;
  await rm(wtnsPath);
  await rm(join(folder, name), { recursive: true });
  return summary;
}
