/**
 * The circuits of the real models against circom: `npm run conformance [-- --models mlp,text --inputs 1000]`.
 *
 * For each model, circom compiles the Circom text of the whole network; its constraint system must be the one that is
 * written for users, up to the numbers of wires, and its inputs must determine all of them. Then, for random and
 * adversarial inputs, the witness that circom's own generator computes must be ours, wire by wire, and its public output
 * the executor's. This takes minutes a model, which is why it is no test; the tests do the same on small graphs of every
 * kind.
 */
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { compileCircuit } from "../../src/circuit/compile.js";
import { checkDeterminism } from "../../src/circuit/determinism.js";
import { readR1cs } from "../../src/circuit/r1cs.js";
import { calculateWtns } from "../../src/circuit/witness.js";
import { emitNamedR1cs } from "../../src/model/circuit/emit.js";
import { circuitInputs, circuitText, createWitnessProgram, publicSignals } from "../../src/model/circuit/index.js";
import { readOnnx } from "../../src/model/onnx/index.js";
import { quantise, quantiseInput } from "../../src/model/quantise/index.js";
import { compiledSystem, expectSameSystem, expectSameWitness, witnessOf } from "./circuit/support.js";
import { inputsFor, MODELS, type TestModel } from "./models.js";

const { values } = parseArgs({ options: { models: { type: "string" }, inputs: { type: "string", default: "1000" } } });
const wanted = values.models?.split(",") ?? Object.keys(MODELS);
const count = Number(values.inputs);

for (const name of wanted) {
  const model = (MODELS as Record<string, TestModel>)[name];
  if (model === undefined) throw new Error(`no model ${name}; there are ${Object.keys(MODELS).join(", ")}`);
  await conform(name, model);
}

async function conform(name: string, model: TestModel): Promise<void> {
  const say = (text: string) => console.log(`${name.padEnd(12)} ${text}`);
  const started = performance.now();
  const seconds = () => `${((performance.now() - started) / 1000).toFixed(0)} s`;
  const real = await model.calibration(500);
  const calibration = real?.inputs ?? inputsFor(model, 200, 7);
  const adapted = name === "transformer";
  const float = readOnnx(readFileSync(model.file), { adapter: adapted });
  const { graph, adapter } = await quantise(float, { calibration, output: adapted ? "class" : undefined });
  const { r1cs, names } = emitNamedR1cs(graph);
  const own = { r1cs: readR1cs(r1cs), names };
  const { left } = await checkDeterminism(own.r1cs);
  if (left.length > 0) throw new Error(`${name}: the inputs do not determine ${JSON.stringify(left.slice(0, 3))}`);
  say("its rows determine every wire");
  say(`${own.r1cs.constraints} rows; circom compiles ${circuitText(graph).source.length} characters …`);

  const compiled = await compileCircuit({ name, source: circuitText(graph).source, optimisation: 1 });
  say(`compiled (${seconds()})`);
  const ours = expectSameSystem(await compiledSystem(compiled), own);
  say(`circom's ${compiled.rows} rows are ours, and ours circom's (${seconds()})`);

  const generator = await WebAssembly.compile(readFileSync(compiled.wasmPath));
  const program = createWitnessProgram(graph);
  const place = Int32Array.from(ours);
  for (const [index, input] of inputsFor(model, count, 11).entries()) {
    const request = {
      inferences: [{ input: quantiseInput(graph, input), salt: BigInt(index) }],
      ...(adapter ? { adapter: { weights: adapter, salt: 5n } } : {}),
      context: BigInt(index) + 1n,
    };
    const theirs = await calculateWtns(generator, circuitInputs(graph, request));
    const witness = program(request);
    if (index < 2) {
      expectSameWitness(witnessOf(theirs), witnessOf(witness), ours, own.r1cs);
      const signals = publicSignals(graph, request);
      const said = witnessOf(theirs.subarray(0, 76 + 32 * (1 + signals.length))).slice(1);
      if (String(said) !== String(signals)) throw new Error(`public signals ${said}, expected ${signals}`);
    }
    expectSameWords(theirs, witness, place, index);
  }
  say(`${count} witnesses of circom's generator are ours, wire by wire (${seconds()})`);
}

function expectSameWords(theirs: Uint8Array, own: Uint8Array, place: Int32Array, index: number): void {
  // The values begin at byte 76, which no 64-bit view may.
  const [left, right] = [theirs, own].map((file) => new BigUint64Array(file.slice(76).buffer)) as [
    BigUint64Array,
    BigUint64Array,
  ];
  for (let wire = 0; wire < place.length; wire++) {
    const [from, to] = [4 * wire, 4 * place[wire]!];
    for (let word = 0; word < 4; word++) {
      if (left[from + word] !== right[to + word]) throw new Error(`input ${index}: wire ${place[wire]} differs`);
    }
  }
}
