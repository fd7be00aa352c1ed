import { beforeAll, describe, expect, it } from "vitest";
import { checkWitness } from "../../../src/circuit/r1cs.js";
import { measureProgram } from "../../../src/circuit/synthesis/program.js";
import { type ChunkRequest, chunkProgram } from "../../../src/dataset/circuit/records.js";
import { absorbRecord, type Description, hashNode, hashRoot, STARTS } from "../../../src/dataset/layout.js";
import { Twin } from "./support.js";

const description = (seed: bigint): Description => Array.from({ length: 14 }, (_, i) => seed * 100n + BigInt(i));

/** The last chunk, at `index`, of a dataset whose chunks have three records. */
function request(count: number, index: number): ChunkRequest {
  const descriptions = Array.from({ length: count }, (_, i) => description(BigInt(i + 1)));
  const blinds = descriptions.map((_, i) => 77n + BigInt(i));
  const chunk = descriptions.reduce((at, each, i) => absorbRecord(at, each, blinds[i]!), STARTS.chunk);
  const children = Array.from({ length: 16 }, (_, i) => (i === index ? chunk : i < index ? BigInt(i + 5) : 0n));
  const totals = { records: 3 * index + count, blocks: 9, values: 1000 };
  const schema = 4n;
  const root = hashRoot({ depth: 1, top: hashNode(1, children), totals, schema });
  const opening = [...Object.values(totals).map(BigInt), schema];
  return { root, index: BigInt(index), descriptions, blinds, group: [children], opening, context: 5n };
}

const inputsOf = ({ root, index, descriptions, blinds, group, opening, context }: ChunkRequest) => ({
  root,
  index,
  count: BigInt(descriptions.length),
  context,
  description: [...descriptions, ...Array(3 - descriptions.length).fill(new Array<bigint>(14).fill(0n))].flat(),
  blind: [...blinds, ...new Array<bigint>(3 - blinds.length).fill(0n)],
  group: group.flat(),
  opening: [...opening],
});

describe("a chunk of records", () => {
  let twin: Twin<ChunkRequest>;

  beforeAll(async () => {
    twin = await Twin.of(chunkProgram({ records: 3, depth: 1 }));
  }, 60_000);

  it.each([
    [3, 0],
    [1, 2],
    [2, 15],
  ])("has circom's witness for %i records at %i", async (count, index) => {
    const given = request(count, index);
    const witness = await twin.witness(given, inputsOf(given));
    expect(witness.slice(1, 5)).toEqual([given.root, BigInt(index), BigInt(count), 5n]);
  });

  it("fits 2^17 rows with 128 records at every height", () => {
    for (const depth of [2, 4, 6]) {
      expect(measureProgram(chunkProgram({ depth })).rows).toBeLessThan(2 ** 17 - 16);
    }
  });

  it("does not take a chunk that is neither full nor the last", async () => {
    const given = request(2, 1);
    const witness = await twin.witness(given, inputsOf(given));
    // One record more in the opening: the path no longer gives the root, nor is the count explained.
    witness[twin.wire("opening[0]")] = witness[twin.wire("opening[0]")]! + 1n;
    expect(checkWitness(twin.r1cs, witness)).not.toBe(-1);
  });
});
