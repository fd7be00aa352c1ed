/** Sets of proofs as verifiers meet them. The proofs are simulated: about the set, and not about circuits. */
import { describe, expect, it } from "vitest";
import type { Claim } from "../../src/dataset/claims.js";
import { commitState } from "../../src/dataset/claims.js";
import {
  type ProofSet,
  proofSetFromJson,
  proofSetToJson,
  segmentContext,
  type TrustedCircuit,
  verifyProofSet,
} from "../../src/dataset/proofSet.js";
import { schemaDigest } from "../../src/dataset/record.js";
import { AnchorError } from "../../src/errors.js";
import { R } from "../../src/field/scalar.js";
import { keyDigest } from "../../src/verifier/groth16.js";
import { rerandomise, simulateKey, simulateProof } from "../chain/simulated.js";
import { code } from "../support/errors.js";
import { DOMAIN, keyFor, OPENING, simulateSet, TASK } from "./proofSetFixture.js";

const CLAIM: Claim = { type: "labels", labels: ["ham", "spam"], counts: true };
const state = (chunks: number, records: number, ham: number, spam: number): bigint[] => [
  ...[chunks, records, ham, spam].map(BigInt),
  ...new Array<bigint>(14).fill(0n),
];
const STATES = [state(1, 128, 100, 28), state(2, 256, 200, 56), state(3, 300, 230, 70)];
const plan = (of: Partial<Parameters<typeof simulateSet>[0]> = {}) => ({
  claim: CLAIM,
  steps: STATES.map((after) => ({ type: "datasetLabels" as const, after })),
  ...of,
});
const { set, trust, root } = simulateSet(plan());
const other = simulateSet(plan({ seed: "other salts" })).set;

/** How a set fares: "verified", or the code and message. */
function outcome(changed: ProofSet, keys: readonly TrustedCircuit[] = trust, expected: object = { root }): string {
  try {
    verifyProofSet(changed, { trust: keys, ...expected });
    return "verified";
  } catch (error) {
    if (!(error instanceof AnchorError)) throw error;
    return `${error.code}: ${error.message}`;
  }
}

const withSegments = (segments: ProofSet["segments"]): ProofSet => ({ ...set, segments });
const [first, second, third] = set.segments as [
  ProofSet["segments"][0],
  ProofSet["segments"][0],
  ProofSet["segments"][0],
];

describe("a set of proofs", () => {
  it("verifies, and says what is proven and what is not", () => {
    const verified = verifyProofSet(set, { trust, root, claim: CLAIM, domain: DOMAIN, task: TASK });
    expect(verified).toMatchObject({ root, records: 300, segments: 3, claim: CLAIM, result: { counts: [230, 70] } });
    expect(verified.keys).toEqual([
      { type: "datasetLabels", name: "dataset-simulated-0", keyDigest: trust[0]!.keyDigest, development: undefined },
    ]);
    expect(verified.proven).toEqual([
      'all 300 records: the label is one of "ham", "spam"',
      '"ham": 230 records',
      '"spam": 70 records',
    ]);
    expect(verified.notProven.join()).toContain("the data behind the digests");
  });

  it.each<[string, ProofSet, RegExp]>([
    ["dropped first", withSegments([second, third]), /PROOF_SET_INVALID: the first segment does not start/],
    [
      "dropped in the middle",
      withSegments([first, third]),
      /PROOF_SET_INVALID: segment 2 of 2 does not start where segment 1 ends/,
    ],
    ["dropped last", withSegments([first, second]), /PROOF_SET_INVALID: the last segment does not end in the state/],
    ["repeated", withSegments([first, second, second, third]), /PROOF_SET_INVALID: segment 3 of 4 does not start/],
    ["swapped", withSegments([first, third, second]), /PROOF_SET_INVALID: segment 2 of 3 does not start/],
    [
      "from another set",
      withSegments([first, other.segments[1]!, third]),
      /PROOF_SET_INVALID: segment 2 of 3 does not start/,
    ],
    [
      "from another set, between this one's states",
      withSegments([first, { ...second, proof: other.segments[1]!.proof }, third]),
      /PROOF_INVALID: the proof of segment 2 of 3 does not show its step/,
    ],
    [
      "swapped under the signals of the other's place",
      withSegments([first, { ...second, proof: third.proof }, { ...third, proof: second.proof }]),
      /PROOF_INVALID: the proof of segment 2 of 3/,
    ],
    ["missing altogether", withSegments([]), /PROOF_SET_INVALID: the set has no proof/],
    [
      "of a circuit that is not there",
      withSegments([first, { ...second, circuit: 1 }, third]),
      /PROOF_SET_INVALID: segment 2 is by a circuit/,
    ],
  ])("with a proof %s is refused", (_, changed, reason) => {
    expect(outcome(changed)).toMatch(reason);
  });

  it("names all proofs that do not verify", () => {
    const bad = withSegments([{ ...first, proof: second.proof }, second, { ...third, proof: second.proof }]);
    const thrown = (() => {
      try {
        return verifyProofSet(bad, { trust });
      } catch (error) {
        return error;
      }
    })();
    expect(thrown).toEqual(code("PROOF_INVALID"));
    expect((thrown as AnchorError).details).toEqual({ segments: [1, 3] });
  });

  it.each<[string, Partial<ProofSet>, RegExp]>([
    ["another task", { task: { ...TASK, nonce: 8n } }, /PROOF_INVALID: no proof shows its step/],
    ["another requester", { task: { ...TASK, requester: TASK.payee } }, /PROOF_INVALID: no proof shows/],
    ["another chain", { domain: { ...DOMAIN, chainId: 1n } }, /PROOF_INVALID: no proof shows/],
    ["another contract", { domain: { ...DOMAIN, verifyingContract: TASK.payee } }, /PROOF_INVALID: no proof shows/],
    ["another claim", { claim: { ...CLAIM, labels: ["ham", "eggs"] } }, /PROOF_INVALID: no proof shows/],
    ["labels in another order", { claim: { ...CLAIM, labels: ["spam", "ham"] } }, /PROOF_INVALID: no proof shows/],
    ["counts left out of the claim", { claim: { ...CLAIM, counts: false } }, /PROOF_INVALID: no proof shows/],
    [
      "other totals",
      { opening: { ...OPENING, totals: { ...OPENING.totals, blocks: 901 } } },
      /PROOF_INVALID: no proof shows/,
    ],
    [
      "more records",
      { opening: { ...OPENING, totals: { ...OPENING.totals, records: 301 } } },
      /PROOF_SET_INVALID: the last state is not that of a run over all records/,
    ],
    [
      "another height",
      { opening: { ...OPENING, depth: 4 } },
      /PROOF_SET_INVALID: no dataset of 300 records has a tree of height 4/,
    ],
    ["a height that no tree has", { opening: { ...OPENING, depth: 3 } }, /PROOF_SET_INVALID: no dataset/],
    ["another schema", { opening: { ...OPENING, schema: 5n } }, /PROOF_INVALID: no proof shows/],
    [
      "another count in the last state",
      { last: { ...set.last, fields: state(3, 300, 231, 69) } },
      /PROOF_SET_INVALID: the last segment does not end/,
    ],
    [
      "another salt of the last state",
      { last: { ...set.last, salt: 1n } },
      /PROOF_SET_INVALID: the last segment does not end/,
    ],
    [
      "a last state that is none",
      { last: { ...set.last, fields: [] } },
      /PROOF_SET_INVALID: the last segment does not end/,
    ],
    [
      "columns that the root does not bind",
      { columns: [{ name: "age", type: "float" }] },
      /PROOF_SET_INVALID: the set has columns that its claim is not about/,
    ],
  ])("changed to %s is refused", (_, change, reason) => {
    expect(outcome({ ...set, ...change }, trust, {})).toMatch(reason);
  });

  it("with a last state of one's own choice needs a proof that ends in it", () => {
    const fields = state(3, 300, 300, 0);
    const changed = { ...third, after: commitState(fields, set.last.salt) };
    const forged = { ...withSegments([first, second, changed]), last: { ...set.last, fields } };
    expect(outcome(forged)).toMatch(/PROOF_INVALID: the proof of segment 3 of 3/);
  });

  it("that stops early is refused, whatever is proven so far", () => {
    const { set: short } = simulateSet(plan({ steps: plan().steps.slice(0, 2) }));
    expect(outcome(short)).toMatch(/PROOF_SET_INVALID: the last state is not that of a run over all records/);
  });

  it.each<[string, object, RegExp]>([
    ["root", { root: root + 1n }, /PROOF_SET_INVALID: the set is about another dataset/],
    ["claim", { claim: { ...CLAIM, counts: false } }, /PROOF_SET_INVALID: the set is of another claim/],
    [
      "chain",
      { domain: { chainId: 1n } },
      /PROOF_SET_INVALID: the proofs are for another chain or contract: its chainId is 31337, not 1/,
    ],
    ["task", { task: { nonce: 9n } }, /PROOF_SET_INVALID: the proofs are for another task: its nonce is 7, not 9/],
  ])("is refused where another %s is expected", (_, expected, reason) => {
    expect(outcome(set, trust, expected)).toMatch(reason);
  });

  it("may have its proofs randomised again: they are evidence, not tokens", () => {
    expect(outcome(withSegments([first, { ...second, proof: rerandomise(second.proof) }, third]))).toBe("verified");
  });
});

describe("keys of a set", () => {
  it("must be trusted, for their type", () => {
    expect(outcome(set, [])).toMatch(/KEY_UNKNOWN: proofs of dataset-labels are by another key than you trust: 0x/);
    const forAnother = [{ ...trust[0]!, type: "datasetColumn" as const }];
    expect(outcome(set, forAnother)).toMatch(
      /KEY_UNKNOWN: key 0x\w+ is trusted for dataset-column, not for dataset-labels/,
    );
  });

  it("cannot be swapped: the context has the key's digest", () => {
    const own = simulateKey(5, "mine");
    const swapped = { ...set, circuits: [{ ...set.circuits[0]!, verifyingKey: own.vkey }] };
    expect(outcome(swapped)).toMatch(/KEY_UNKNOWN/);
    const both = [...trust, { type: "datasetLabels" as const, keyDigest: keyDigest(own.vkey) }];
    expect(outcome(swapped, both)).toMatch(/PROOF_INVALID: no proof shows/);
  });

  it("prove nothing for another type of circuit", () => {
    // A proof by a trusted key with the context of another type.
    const key = keyFor("datasetLabels");
    const context = segmentContext(set, "datasetColumn", keyDigest(key.vkey));
    const signals = [root, 0n, second.before, second.after, context];
    const changed = withSegments([first, { ...second, proof: simulateProof(key, signals) }, third]);
    expect(outcome(changed)).toMatch(/PROOF_INVALID: the proof of segment 2/);
  });

  it("are all used, each once, and by circuits that show the claim", () => {
    const circuits = [...set.circuits, set.circuits[0]!];
    expect(outcome({ ...set, circuits })).toMatch(/PROOF_SET_INVALID: a key stands twice/);
    const unused = simulateKey(5, "unused");
    const more = { type: "datasetLabels" as const, name: "dataset-x", verifyingKey: unused.vkey };
    const keys = [...trust, { type: more.type, keyDigest: keyDigest(unused.vkey) }];
    expect(outcome({ ...set, circuits: [...set.circuits, more] }, keys)).toMatch(
      /PROOF_SET_INVALID: circuit 1 has no proof/,
    );
    const foreign = { ...set.circuits[0]!, type: "datasetColumn" as const };
    expect(outcome({ ...set, circuits: [foreign] })).toMatch(
      /PROOF_SET_INVALID: circuit 0, dataset-column, is none that shows/,
    );
    expect(outcome({ ...set, circuits: [], segments: [] })).toMatch(
      /PROOF_SET_INVALID: no proof by a circuit of type dataset-labels/,
    );
  });

  it("that admit forgeries or have other signals are refused", () => {
    const forgeable = simulateKey(5, "bad", {
      delta: keyFor("datasetLabels").trapdoor.gamma,
      gamma: keyFor("datasetLabels").trapdoor.gamma,
    });
    const short = simulateKey(4, "short");
    const by = (verifyingKey: typeof short.vkey) =>
      outcome({ ...set, circuits: [{ ...set.circuits[0]!, verifyingKey }] }, [
        { type: "datasetLabels", keyDigest: keyDigest(verifyingKey) },
      ]);
    expect(by(forgeable.vkey)).toMatch(/KEY_FORGEABLE/);
    expect(by(short.vkey)).toMatch(/KEY_UNKNOWN: key 0x\w+ is of a circuit with 4 public signals, not 5/);
  });
});

describe("a set about a column", () => {
  const columns = [
    { name: "age", type: "decimal", digits: 1 },
    { name: "city", type: "text" },
  ] as const;
  const HALF = 2n ** 63n;
  const cell = (tenths: number) => BigInt(tenths) + HALF + 1n;
  const claim: Claim = {
    type: "column",
    column: 0,
    edges: [cell(-20), cell(500), cell(1301)],
    histogram: true,
    sum: true,
    attained: true,
  };
  const opening = { ...OPENING, totals: { ...OPENING.totals, records: 3 }, schema: schemaDigest(columns) };
  // -2.0, 130.0, and one that is missing.
  const after = [1n, 3n, 3n, 2n, cell(-20) + cell(1300), 1n, 1n, 0n, 1n, 1n, ...new Array<bigint>(14).fill(0n)];
  const made = simulateSet({ claim, opening, columns, steps: [{ type: "datasetColumn", after }] });

  it("tells sums, means and bins in the column's own numbers", () => {
    const { proven } = verifyProofSet(made.set, { trust: made.trust });
    expect(proven).toEqual([
      'all 3 records: 2 have a value in "age", 1 have none',
      'the smallest "age" is -2.0, the largest 130.0',
      '"age" from -2.0 to 49.9: 1',
      '"age" from 50.0 to 130.0: 1',
      'the sum of "age" is 128.0',
      "its mean is 64.0000000",
    ]);
  });

  it("comes with the columns that the root binds", () => {
    const { columns: _, ...without } = made.set;
    expect(outcome(without, made.trust, {})).toMatch(/PROOF_SET_INVALID: the claim comes with the dataset's columns/);
    const renamed = { ...made.set, columns: [{ ...columns[0], name: "weight" }, columns[1]] };
    expect(outcome(renamed, made.trust, {})).toMatch(/PROOF_SET_INVALID: the columns are not those of the dataset/);
    expect(outcome({ ...made.set, columns: [columns[1], columns[0]] }, made.trust, {})).toMatch(/PROOF_SET_INVALID/);
  });

  it("is refused where the claimed minimum is nobody's", () => {
    const missed = after.with(5, 0n);
    const { set: false_, trust: keys } = simulateSet({
      claim,
      opening,
      columns,
      steps: [{ type: "datasetColumn", after: missed }],
    });
    expect(outcome(false_, keys, {})).toMatch(/PROOF_SET_INVALID: no cell is the claimed minimum/);
  });
});

describe("the file of a set", () => {
  type Json = { [name: string]: Json };
  const text = JSON.stringify(proofSetToJson(set));
  const json = () => JSON.parse(text) as Json;
  const at = (document: Json, path: readonly string[]) => path.reduce((value, name) => value[name]!, document);
  const changed = (path: readonly string[], value: unknown): Json => {
    const document = json();
    at(document, path.slice(0, -1))[path.at(-1)!] = value as Json;
    return document;
  };

  /** Paths of all objects, or of all texts; of lists the first entry only. */
  function paths(of: "objects" | "texts"): string[][] {
    const found: string[][] = [];
    const walk = (value: unknown, path: string[]) => {
      if (typeof value === "string" && of === "texts") found.push(path);
      if (typeof value !== "object" || value === null) return;
      if (!Array.isArray(value) && of === "objects") found.push(path);
      for (const [name, entry] of Object.entries(value)) {
        if (!Array.isArray(value) || name === "0") walk(entry, [...path, name]);
      }
    };
    walk(json(), []);
    return found;
  }

  it("reads back as it was written", () => {
    expect(proofSetFromJson(json())).toEqual(set);
    expect(json()["root"]).toMatch(/^0x[0-9a-f]{64}$/);
  });

  it("has every field, and no other", () => {
    const objects = paths("objects");
    expect(objects.length).toBeGreaterThan(8);
    for (const path of objects) {
      expect(() => proofSetFromJson(changed([...path, "more"], "1")), path.join(".")).toThrow(AnchorError);
      for (const name of Object.keys(at(json(), path))) {
        const less = json();
        delete at(less, path)[name];
        expect(() => proofSetFromJson(less), `${path.join(".")}.${name}`).toThrow(AnchorError);
      }
    }
  });

  it("has one spelling of each value", () => {
    const spellings = [(value: string) => `0${value}`, (value: string) => value.toUpperCase(), () => 7];
    for (const path of paths("texts")) {
      // Every label, and every name of a circuit, is a value of its own.
      if (path.includes("labels") || path.at(-1) === "name") continue;
      const value = at(json(), path) as unknown as string;
      for (const spelled of spellings.map((spell) => spell(value))) {
        if (spelled === value) continue;
        expect(() => proofSetFromJson(changed(path, spelled)), `${path.join(".")} = ${spelled}`).toThrow(AnchorError);
      }
    }
  });

  const entries = (count: number, entry: unknown) => new Array(count).fill(entry);
  it.each<[string, string, unknown, string]>([
    ["of another format", "format", "anchorproof/proof-set@2", "FORMAT_UNSUPPORTED"],
    ["with another root", "root", `0x${"00".repeat(32)}`, "PROOF_SET_INVALID"],
    ["with another key's digest", "circuits.0.keyDigest", `0x${"00".repeat(32)}`, "PROOF_SET_INVALID"],
    ["with a proof by no circuit", "segments.0.circuit", "1", "PROOF_SET_INVALID"],
    ["with a proof off the curve", "segments.1.proof.pi_a.0", "1", "PROOF_MALFORMED"],
    ["with an alias of a signal", "segments.1.before", String(second.before + R), "PROOF_SET_INVALID"],
    ["with too many circuits", "circuits", entries(17, json()["circuits"]!["0"]), "PROOF_SET_INVALID"],
    ["with too large a state", "last.fields", entries(65, "0"), "PROOF_SET_INVALID"],
    ["with too many proofs", "segments", entries(65_537, json()["segments"]!["0"]), "PROOF_SET_INVALID"],
    ["with a type of circuit that there is not", "circuits.0.type", "dataset-magic", "PROOF_SET_INVALID"],
    ["with a claim that there is not", "claim", { type: "beautiful" }, "CLAIM_INVALID"],
  ])("%s is refused", (_, path, value, wanted) => {
    expect(() => proofSetFromJson(changed(path.split("."), value))).toThrow(code(wanted));
  });

  it("that is nested until a recursion overflows is refused like any other", () => {
    for (const depth of [4_000, 20_000, 100_000]) {
      const deep = JSON.parse(`${"[".repeat(depth)}${"]".repeat(depth)}`) as unknown;
      for (const path of ["circuits.0.verifyingKey.more", "segments.0.proof.more"]) {
        expect(() => proofSetFromJson(changed(path.split("."), deep)), path).toThrow(code("PROOF_SET_INVALID"));
      }
    }
  });

  it("that is no document at all is refused", () => {
    for (const value of [undefined, null, 1, "set", [], {}, [json()]]) {
      expect(() => proofSetFromJson(value)).toThrow(AnchorError);
    }
  });
});
