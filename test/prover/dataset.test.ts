import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type CircuitKey, developmentKey } from "../../src/circuit/setup.js";
import { buildProgram } from "../../src/circuit/synthesis/program.js";
import { type ChunkRequest, datasetProgram } from "../../src/dataset/circuit/index.js";
import { absorbRecord, hashNode, hashRoot, STARTS } from "../../src/dataset/layout.js";
import { ProverPool } from "../../src/prover/pool.js";
import { code } from "../support/errors.js";

const SPEC = { kind: "chunk", records: 2, depth: 1 } as const;

function request(): ChunkRequest {
  const descriptions = [1n, 2n].map((n) => Array.from({ length: 14 }, (_, i) => 100n * n + BigInt(i)));
  const blinds = [8n, 9n];
  const chunk = descriptions.reduce((at, each, i) => absorbRecord(at, each, blinds[i]!), STARTS.chunk);
  const group = [Array.from({ length: 16 }, (_, i) => (i === 0 ? chunk : 0n))];
  const totals = { records: 2, blocks: 1, values: 5 };
  const root = hashRoot({ depth: 1, top: hashNode(1, group[0]!), totals, schema: 0n });
  return { root, index: 0n, descriptions, blinds, group, opening: [2n, 1n, 5n, 0n], context: 3n };
}

describe("circuits of datasets in the pool", () => {
  let pool: ProverPool;
  let key: CircuitKey;

  beforeAll(async () => {
    key = await developmentKey(await buildProgram(datasetProgram(SPEC)));
    pool = new ProverPool({ concurrency: 1 });
  }, 60_000);
  afterAll(() => pool.close());

  it("are proven from their parameters", async () => {
    const given = request();
    const { publicSignals } = await pool.prove({ dataset: SPEC }, key, given);
    expect(publicSignals).toEqual([given.root, 0n, 2n, 3n]);
  });

  it("refuse what is no witness, no request, no circuit", async () => {
    const given = request();
    await expect(pool.prove({ dataset: SPEC }, key, { ...given, root: 1n })).rejects.toThrow(code("WITNESS_INVALID"));
    await expect(pool.prove({ dataset: SPEC }, key, { ...given, context: 0n })).rejects.toThrow(code("CONTEXT_ZERO"));
    await expect(pool.prove({ dataset: SPEC }, key, { ...given, blinds: [1n] })).rejects.toThrow(code("INPUT_INVALID"));
    const unknown = { kind: "chunks", depth: 1 } as unknown as typeof SPEC;
    await expect(pool.prove({ dataset: unknown }, key, given)).rejects.toThrow(code("INPUT_INVALID"));
    await expect(pool.prove({ dataset: { ...SPEC, depth: 10_000_000 } }, key, given)).rejects.toThrow(
      code("INPUT_INVALID"),
    );
  });
});
