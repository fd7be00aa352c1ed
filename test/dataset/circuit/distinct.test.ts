import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { singleMutations } from "../../../src/circuit/attack.js";
import { checkDeterminism } from "../../../src/circuit/determinism.js";
import { measureProgram } from "../../../src/circuit/synthesis/program.js";
import {
  type DistinctListRequest,
  type DistinctRecordsRequest,
  distinctListProgram,
  distinctRecordsProgram,
  fingerprint,
  HIGH_END,
  IDENTITY,
  LIST_STEPS,
} from "../../../src/dataset/circuit/distinct.js";
import { distinctChallenges, distinctFamily, planDistinct } from "../../../src/dataset/claims/distinct.js";
import { claimSignal, commitState, type Segment } from "../../../src/dataset/claims.js";
import type { OpenDataset } from "../../../src/dataset/dataset.js";
import { chainFrom, DEPTHS, type Description, STARTS } from "../../../src/dataset/layout.js";
import { toHex } from "../../../src/field/bytes.js";
import { invert, mod, R } from "../../../src/field/scalar.js";
import { fieldElements } from "../../circuits/inference/support.js";
import { Twin } from "./support.js";
import { table, tableOf } from "./tables.js";

const CONTEXT = 5n;
const CHALLENGE = toHex(new Uint8Array(32).fill(3));
const SECRET = new Uint8Array(32).fill(4);
/** Chunks of two records, and fourteen entries of the list a segment. */
const SIZES = { records: 2, steps: 1 };
const CLAIM = { type: "distinct" } as const;

/** Records with these single bytes as data; each has another name. */
const of = (...bytes: number[]): OpenDataset =>
  tableOf(
    bytes.map((byte, i) => [1n, 1n, 1n, 1n, BigInt(100 + i), 0n, BigInt(byte), STARTS.cells, 0n, 0n, 0n, 0n, 0n, 0n]),
    [],
    2,
  );
const sixteen = of(...Array.from({ length: 15 }, (_, i) => i + 7));

async function planned(dataset: OpenDataset, options: Partial<Parameters<typeof planDistinct>[2]> = {}) {
  const segments: Segment[] = [];
  const given = { challenge: CHALLENGE, secret: SECRET, sizes: SIZES, ...options };
  for await (const segment of planDistinct(dataset, CLAIM, given)) segments.push(segment);
  return segments;
}

type Request = DistinctListRequest & DistinctRecordsRequest;

/** A whole request, as the engine of proof sets makes it. */
function requestOf({ claim, before, after, request }: Segment, number: number): Request {
  const signals = { claim, before, after, context: CONTEXT };
  const salts = { beforeSalt: number === 0 ? 0n : 1000n + BigInt(number), afterSalt: 1001n + BigInt(number) };
  return { ...(request() as unknown as Request), ...signals, ...salts };
}

const filled = (values: readonly bigint[], length: number) => Array.from({ length }, (_, i) => values[i] ?? 0n);

function publicInputs({ root, claim, before, after, beforeSalt, afterSalt, context, challenges }: Request) {
  return {
    ...{ root, claim, context, beforeSalt, afterSalt },
    before: commitState(before, beforeSalt),
    after: commitState(after, afterSalt),
    challenge: [challenges.rho, challenges.gamma],
  };
}

function listInputs(request: Request) {
  const [, , listed, list, last, sum] = request.before as [bigint, bigint, bigint, bigint, bigint, bigint];
  const { gaps, lows, blinds } = request;
  const real = filled(new Array<bigint>(gaps.length).fill(1n), 14);
  const slots = { real, gap: filled(gaps, 14), low: filled(lows, 14), blind: [...blinds] };
  return { ...publicInputs(request), ...slots, listed, list, last, sum };
}

function recordInputs(request: Request) {
  const { descriptions, blinds, group, opening, before } = request;
  return {
    ...publicInputs(request),
    description: filled(descriptions.flat(), 28),
    blind: filled(blinds, 2),
    group: group.flat(),
    opening: [...opening],
    count: BigInt(descriptions.length),
    field: [...before],
  };
}

/** The family's view of a finished run. */
const about = (dataset: OpenDataset, last: readonly bigint[]) => {
  const { root, opening, columns } = dataset.commitment;
  return { root, opening, columns, challenge: CHALLENGE, last };
};

describe("the sorted list", () => {
  let twin: Twin<DistinctListRequest>;
  let requests: DistinctListRequest[];

  beforeAll(async () => {
    twin = await Twin.of(distinctListProgram({ steps: 1 }));
    const segments = await planned(sixteen);
    requests = segments.filter(({ spec }) => spec.kind === "sorted").map(requestOf);
  }, 120_000);

  it("has circom's witness for a full segment and for the last one", async () => {
    expect(requests.map(({ gaps }) => gaps.length)).toEqual([14, 1]);
    for (const request of requests) {
      const witness = await twin.witness(request, listInputs(request as Request));
      expect(witness.slice(1, 6)).toEqual([
        sixteen.commitment.root,
        request.claim,
        commitState(request.before, request.beforeSalt),
        commitState(request.after, request.afterSalt),
        CONTEXT,
      ]);
    }
  });

  it("is determined by its inputs, and takes no wire for another", async () => {
    expect((await checkDeterminism(twin.r1cs)).left).toEqual([]);
    const witness = twin.made(requests[1]!);
    expect(await singleMutations(twin.r1cs, witness, { random: fieldElements(1n) })).toEqual([]);
    for (const name of ["root", "claim", "before", "after", "context"]) {
      expect(twin.violated(witness, { [name]: witness[twin.wire(name)]! + 1n }), name).toBeGreaterThan(0);
    }
  });

  /** A segment that lists these integers, spelt as high and low part, with a state that follows. */
  function listing(entries: readonly bigint[], from: DistinctListRequest = requests[0]!): DistinctListRequest {
    const highs = entries.map((entry) => entry >> 128n);
    const { gamma } = from.challenges;
    const [chunks, records, listed, list, last, sum] = from.before as [bigint, bigint, bigint, bigint, bigint, bigint];
    const chained = [...filled(entries.map(mod), 14), ...from.blinds];
    const fractions = entries.map((entry) => invert(mod(gamma - entry)));
    const total = mod(fractions.reduce((a, b) => a + b, sum));
    return {
      ...from,
      gaps: highs.map((high, i) => mod(high - (highs[i - 1] ?? last) - 1n)),
      lows: entries.map((entry) => BigInt.asUintN(128, entry)),
      after: [chunks, records, listed + BigInt(entries.length), chainOf(list, chained), highs.at(-1) ?? last, total],
    };
  }
  const chainOf = (from: bigint, elements: readonly bigint[]) => chainFrom(from, elements);

  it("takes what ascends", () => {
    for (const entries of [[], [1n << 128n], [1n << 128n, 2n << 128n], [(HIGH_END << 128n) - 1n]]) {
      expect(twin.refuses(listing(entries))).toBe(false);
    }
  });

  it("takes no entry twice, none that is less, and no zero", () => {
    const s = 5n << 128n;
    for (const entries of [[s, s], [s, s + 1n], [s, s - 1n], [s, 4n << 128n], [0n], [7n], [(1n << 128n) - 1n]]) {
      expect(twin.refuses(listing(entries)), entries.join()).toBe(true);
    }
  });

  it("takes an entry in one spelling only", () => {
    // The same field element again, r more: its high part is larger, and all rows hold but that of the last high part.
    const s = 1n << 128n;
    const alias = listing([s, s + R]);
    const witness = twin.made(alias);
    expect(witness[twin.wire("value[0]")]).toBe(witness[twin.wire("value[1]")]);
    expect(twin.violated(witness)).toBe(1);
    expect(twin.refuses(listing([s, HIGH_END << 128n]))).toBe(true);
    expect(twin.refuses(listing([s, R - 1n]))).toBe(true);
    // And no spelling with a wider part.
    const wide = listing([2n << 128n]);
    expect(twin.refuses({ ...wide, gaps: [0n], lows: [1n << 128n], after: wide.after.with(4, 1n) })).toBe(true);
  });

  it("has nothing in a slot that is no entry, and no entry after one", () => {
    const witness = twin.made(requests[1]!);
    expect(twin.violated(witness, { "gap[5]": 1n })).toBeGreaterThan(0);
    expect(twin.violated(witness, { "low[5]": 1n })).toBeGreaterThan(0);
    expect(twin.violated(witness, { "real[5]": 1n })).toBeGreaterThan(0);
    expect(twin.violated(witness, { "real[0]": 0n })).toBeGreaterThan(0);
    expect(twin.violated(witness, { "real[0]": 2n })).toBeGreaterThan(0);
  });

  it("goes on from the state before, and never after a record", () => {
    const request = requests[1]!;
    expect(() => twin.made({ ...request, before: request.before.with(0, 1n) })).toThrow(/no entry of the list follows/);
    expect(() => twin.made({ ...request, before: request.before.with(1, 1n) })).toThrow(/no entry of the list follows/);
    for (const field of [2, 3, 4, 5]) {
      expect(twin.refuses({ ...request, before: request.before.with(field, 9n) }), `before ${field}`).toBe(true);
    }
    for (const field of [0, 1, 2, 3, 4, 5]) {
      expect(twin.refuses({ ...request, after: request.after.with(field, 9n) }), `after ${field}`).toBe(true);
    }
    expect(twin.refuses({ ...request, blinds: [9n] })).toBe(true);
    expect(twin.refuses({ ...request, challenges: { ...request.challenges, gamma: 9n } })).toBe(true);
  });

  it("has no fraction at an entry", () => {
    const s = 5n << 128n;
    const challenges = { rho: 1n, gamma: s };
    const request = { ...listing([4n << 128n]), challenges, claim: claimSignal(7n, [1n, s]) };
    expect(twin.refuses({ ...listing([4n << 128n], request) })).toBe(false);
    const at = { ...request, gaps: [4n], lows: [0n] };
    const after = request.before.with(2, 1n).with(3, chainOf(STARTS.list, [...filled([s], 14), ...request.blinds]));
    for (const sum of [0n, 1n, 123n]) {
      expect(twin.refuses({ ...at, after: after.with(4, 5n).with(5, sum) })).toBe(true);
    }
  });

  it("fits 2^17 rows, and not with a step more", () => {
    expect(measureProgram(distinctListProgram({})).rows).toBeLessThanOrEqual(2 ** 17 - 16);
    expect(measureProgram(distinctListProgram({ steps: LIST_STEPS + 1 })).rows).toBeGreaterThan(2 ** 17 - 16);
  });
});

describe("the records", () => {
  let twin: Twin<DistinctRecordsRequest>;
  let requests: DistinctRecordsRequest[];

  beforeAll(async () => {
    twin = await Twin.of(distinctRecordsProgram({ records: 2, depth: 1 }));
    const segments = await planned(of(3, 1, 2));
    requests = segments.map(requestOf).slice(1);
  }, 120_000);

  it("have circom's witness for a full chunk and for the last one", async () => {
    expect(requests.map(({ descriptions }) => descriptions.length)).toEqual([2, 1]);
    for (const request of requests) await twin.witness(request, recordInputs(request as Request));
  });

  it("are determined by their inputs, and no wire is taken for another", async () => {
    expect((await checkDeterminism(twin.r1cs)).left).toEqual([]);
    const witness = twin.made(requests[1]!);
    expect(await singleMutations(twin.r1cs, witness, { random: fieldElements(1n) })).toEqual([]);
    for (const name of ["root", "claim", "before", "after", "context"]) {
      expect(twin.violated(witness, { [name]: witness[twin.wire(name)]! + 1n }), name).toBeGreaterThan(0);
    }
  });

  it("are taken off the sum once, a slot without a record not at all", () => {
    const [full, last] = requests as [DistinctRecordsRequest, DistinctRecordsRequest];
    for (const request of [full, last]) {
      for (const field of [0, 1, 2, 3, 4, 5]) {
        expect(twin.refuses({ ...request, after: request.after.with(field, 9n) }), `after ${field}`).toBe(true);
      }
    }
    const { gamma } = last.challenges;
    const witness = twin.made(last);
    expect(witness[twin.wire("term[1]")]).toBe(0n);
    // As if it were one: less by 1 / gamma.
    const counted = last.after.with(5, mod(last.after[5]! - invert(gamma)));
    expect(twin.refuses({ ...last, after: counted })).toBe(true);
    expect(twin.violated(witness, { "chunk.real[1]": 1n })).toBeGreaterThan(0);
    expect(twin.violated(witness, { count: 2n })).toBeGreaterThan(0);
  });

  it("are those of the next chunk, in order", () => {
    const [full, last] = requests as [DistinctRecordsRequest, DistinctRecordsRequest];
    expect(() => twin.made({ ...full, index: 1n })).toThrow(/next one/);
    const { index, descriptions, blinds } = last;
    const skipped = { ...full, index, descriptions, blinds, before: full.before.with(0, 1n) };
    expect(twin.refuses(skipped)).toBe(true);
    expect(twin.refuses({ ...full, descriptions: full.descriptions.toReversed() })).toBe(true);
    expect(() => twin.made({ ...last, context: 0n })).toThrow(expect.objectContaining({ code: "CONTEXT_ZERO" }));
  });

  it("have no fraction where the challenge is a fingerprint", () => {
    const [full] = requests as [DistinctRecordsRequest];
    const { rho } = full.challenges;
    const gamma = fingerprint(full.descriptions[1]!, rho);
    const request = { ...full, challenges: { rho, gamma }, claim: claimSignal(6n, [rho, gamma]) };
    const first = invert(mod(gamma - fingerprint(full.descriptions[0]!, rho)));
    for (const sum of [full.after[5]!, mod(full.before[5]! - first)]) {
      expect(twin.refuses({ ...request, after: full.after.with(5, sum) })).toBe(true);
    }
  });

  it("fit 2^17 rows at every height", () => {
    for (const depth of DEPTHS) {
      expect(measureProgram(distinctRecordsProgram({ depth })).rows).toBeLessThanOrEqual(2 ** 17 - 16);
    }
  });
});

describe("a plan", () => {
  it("runs over the list and then over all chunks, and ends with a sum of 0", async () => {
    const segments = await planned(sixteen);
    expect(segments.map(({ circuitType }) => circuitType)).toEqual([
      ...new Array<string>(2).fill("datasetSorted"),
      ...new Array<string>(8).fill("datasetDistinct"),
    ]);
    expect(segments[0]!.before).toEqual(distinctFamily.initial(CLAIM));
    expect(segments.slice(1).map(({ before }) => before)).toEqual(segments.slice(0, -1).map(({ after }) => after));
    const last = segments.at(-1)!.after;
    expect(last).toEqual([8n, 15n, 15n, expect.any(BigInt), 0n, 0n]);
    const signals = distinctFamily.signals(CLAIM, about(sixteen, last));
    for (const { circuitType, claim } of segments) expect(claim).toBe(signals[circuitType]);
    expect(distinctFamily.result(CLAIM, last, sixteen.commitment.opening)).toEqual({ records: 15 });
  });

  it("is the same when it is made again, and hides the list", async () => {
    const [first, again, other] = [
      await planned(of(1, 2)),
      await planned(of(1, 2)),
      await planned(of(1, 2), { secret: new Uint8Array(32) }),
    ];
    expect(again.map(({ claim, after }) => [claim, after])).toEqual(first.map(({ claim, after }) => [claim, after]));
    expect(other[0]!.after[3]).not.toBe(first[0]!.after[3]);
    expect(other[0]!.claim).not.toBe(first[0]!.claim);
  });

  it("names two records that are the same, in one chunk or in two", async () => {
    for (const [bytes, records] of [
      [
        [1, 1, 2, 3],
        [0, 1],
      ],
      [
        [1, 2, 2, 3],
        [1, 2],
      ],
      [
        [9, 1, 2, 3, 4, 5, 9],
        [0, 6],
      ],
      [
        [3, 1, 2, 1, 3],
        [1, 3],
      ],
    ] as const) {
      await expect(planned(of(...bytes))).rejects.toMatchObject({ code: "CLAIM_FALSE", details: { records } });
    }
  });

  it("goes by data and cells, not by names and labels", async () => {
    const columns = [{ name: "n", type: "decimal", digits: 0 }] as const;
    const cells = [[1n], [2n], [1n]];
    const of = (rows: bigint[][]): OpenDataset => {
      const own = table(
        rows.map((each, i) => ({ label: `${i}`, cells: each })),
        columns,
        2,
      );
      // All with the same data.
      const same = own.descriptions(0, rows.length).map((each): Description => each.with(6, 7n));
      return tableOf(same, columns, 2);
    };
    expect(await planned(of(cells.slice(0, 2)))).toHaveLength(2);
    await expect(planned(of(cells))).rejects.toThrow("records 0 and 2 are the same");
  });

  it("is made for records that differ in one field, by as little as can be", async () => {
    // Nothing at all, as text and as bytes: a difference of 256 in what was the polynomial's constant.
    const one = [1n, 1n, 1n, 1n, 100n, 0n, 7n, STARTS.cells, 0n, 0n, 0n, 0n, 0n, 0n];
    for (const field of IDENTITY) {
      const records = tableOf([one, one.with(field, one[field]! + 1n)], [], 2);
      expect(await planned(records), `${field}`).toHaveLength(2);
    }
  });

  it("can be stopped", async () => {
    await expect(planned(of(1, 2), { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: "ABORTED" });
  });
});

describe("a verifier of a claim that no two records are the same", () => {
  const { root, opening } = sixteen.commitment;
  const last = [8n, 15n, 15n, 77n, 0n, 0n];

  it("takes only a last state of all records, all entries and no rest", () => {
    expect(distinctFamily.result(CLAIM, last, opening)).toEqual({ records: 15 });
    const wrong = [last.with(1, 14n), last.with(2, 14n), last.with(2, 16n), last.with(4, 1n), last.with(5, 1n)];
    for (const state of [...wrong, last.slice(0, 5), [...last, 0n], []]) {
      expect(() => distinctFamily.result(CLAIM, state, opening)).toThrow(
        expect.objectContaining({ code: "PROOF_SET_INVALID" }),
      );
    }
  });

  it("draws the challenges from the root, the number of records, the set and the list", () => {
    const drawn = [
      distinctChallenges(root, 15, CHALLENGE, 1n),
      distinctChallenges(root + 1n, 15, CHALLENGE, 1n),
      distinctChallenges(root, 14, CHALLENGE, 1n),
      distinctChallenges(root, 15, toHex(new Uint8Array(32)), 1n),
      distinctChallenges(root, 15, CHALLENGE, 2n),
    ];
    expect(new Set(drawn.map(({ gamma }) => gamma)).size).toBe(5);
    expect(new Set(drawn.map(({ rho }) => rho)).size).toBe(4);
    for (const { rho, gamma } of drawn) for (const value of [rho, gamma]) expect(value >> 253n).toBe(0n);
    const signals = distinctFamily.signals(CLAIM, about(sixteen, last));
    expect(distinctFamily.signals(CLAIM, about(sixteen, last.with(3, 78n)))).not.toEqual(signals);
    const { challenge: _, ...without } = about(sixteen, last);
    for (const missing of [without, about(sixteen, [])]) {
      expect(() => distinctFamily.signals(CLAIM, missing)).toThrow(
        expect.objectContaining({ code: "PROOF_SET_INVALID" }),
      );
    }
  });

  it("sees a sum that is not 0 for any list but that of the records", () => {
    const { gamma } = distinctChallenges(root, 15, CHALLENGE, 77n);
    const sumOf = (values: readonly bigint[]) =>
      values.reduce((sum, value) => mod(sum + invert(mod(gamma - value))), 0n);
    const values = fc.uniqueArray(fc.bigInt({ min: 1n, max: R - 1n }), { minLength: 2, maxLength: 8 });
    fc.assert(
      fc.property(values, fc.nat(), fc.nat(), (list, i, j) => {
        const [a, b] = [i % list.length, j % list.length];
        expect(sumOf(list)).toBe(sumOf(list.toReversed()));
        expect(sumOf(list.toSpliced(a, 1))).not.toBe(sumOf(list));
        if (a !== b) expect(sumOf(list.with(a, list[b]!))).not.toBe(sumOf(list));
      }),
      { numRuns: 50 },
    );
  });
});
