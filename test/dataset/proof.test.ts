import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type CompiledCircuit, compileCircuit } from "../../src/circuit/compile.js";
import { type CircuitKey, developmentKey } from "../../src/circuit/setup.js";
import { datasetChunkCircuit } from "../../src/dataset/circuit.js";
import { type CommittedDataset, chunkWitness, commitDataset } from "../../src/dataset/commitment.js";
import { bytesRecord } from "../../src/dataset/record.js";
import { R } from "../../src/field/scalar.js";
import { type ProveResult, ProverPool } from "../../src/prover/pool.js";
import { verifyGroth16 } from "../../src/verifier/groth16.js";

const CONTEXT = 987654321n;

describe("a chunk proof, from records to the verifier", () => {
  let circuit: CompiledCircuit;
  let key: CircuitKey;
  let dataset: CommittedDataset;
  let result: ProveResult;
  const pool = new ProverPool({ concurrency: 1 });

  beforeAll(async () => {
    circuit = await compileCircuit(datasetChunkCircuit(1));
    key = await developmentKey(circuit);
    const records = Array.from({ length: 90 }, (_, i) => bytesRecord(new Uint8Array(100).fill(i), `record ${i}`));
    dataset = await commitDataset(records, { seed: new Uint8Array(32).fill(9) });
    result = await pool.prove(circuit, key, { ...chunkWitness(dataset, 1), context: CONTEXT });
  });
  afterAll(() => pool.close());

  const statement = () => [dataset.commitment.root, 1n, BigInt(dataset.commitment.totals.elements - 240), CONTEXT];
  const verify = (publics: bigint[]) => verifyGroth16(key.verifyingKey, publics, result.proof);

  it("verifies for root, index, count and context as a verifier rebuilds them, in this order", () => {
    expect(dataset.commitment.totals.chunks).toBe(2);
    expect(verify(statement())).toBe(true);
    expect(result.publicSignals).toEqual(statement());
  });

  it("fails for any other root, index, count or context", async () => {
    const other = await commitDataset([bytesRecord(new Uint8Array(7500))]);
    const changes: [number, bigint][] = [
      [0, other.commitment.root],
      [0, (dataset.commitment.root + 1n) % R],
      [1, 0n],
      [1, 2n],
      [1, 17n],
      [2, 240n],
      [2, statement()[2]! - 1n],
      [2, statement()[2]! + 1n],
      [3, CONTEXT + 1n],
      [3, 0n],
    ];
    expect(verify(statement())).toBe(true);
    for (const [at, value] of changes) {
      const publics = statement();
      expect(publics[at]).not.toBe(value);
      publics[at] = value;
      expect(verify(publics)).toBe(false);
    }
  });

  it("is not made for another dataset's root, another index, or context 0", async () => {
    const honest = { ...chunkWitness(dataset, 1), context: CONTEXT };
    for (const change of [{ root: honest.root + 1n }, { index: 0n }, { count: 240n }, { context: 0n }]) {
      await expect(pool.prove(circuit, key, { ...honest, ...change })).rejects.toMatchObject({
        code: "WITNESS_INVALID",
      });
    }
  });
});
