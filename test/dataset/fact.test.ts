/** Facts of one proof or two, as verifiers meet them. The proofs are simulated. */
import { describe, expect, it } from "vitest";
import {
  type Fact,
  factFromJson,
  factSignals,
  factToJson,
  type ProvenFact,
  verifyFact,
} from "../../src/dataset/fact.js";
import { segmentContext, type TrustedCircuit } from "../../src/dataset/proofSet.js";
import { AnchorError } from "../../src/errors.js";
import { keyDigest } from "../../src/verifier/groth16.js";
import { simulateKey, simulateProof } from "../chain/simulated.js";
import { DOMAIN, TASK } from "./proofSetFixture.js";

const SHA256 = `0x${"5a".repeat(32)}` as const;
const OPENING: Fact = { type: "opening", root: 11n, index: 5, record: 13n, link: { sha256: SHA256, bytes: 40 } };
const GROWTH: Fact = { type: "growth", oldRoot: 3n, newRoot: 11n, oldRecords: 128, newRecords: 130 };

function prove(fact: Fact): { proven: ProvenFact; trust: TrustedCircuit[] } {
  const made = factSignals(fact).map(({ type, signals }) => {
    const key = simulateKey(signals.length + 1, `fact/${type}`);
    const context = segmentContext({ domain: DOMAIN, task: TASK }, type, keyDigest(key.vkey));
    const circuit = { type, name: "dataset-simulated", verifyingKey: key.vkey };
    return { circuit, proof: simulateProof(key, [...signals, context]) };
  });
  const trust = made.map(({ circuit }) => ({ type: circuit.type, keyDigest: keyDigest(circuit.verifyingKey) }));
  return { proven: { fact, domain: DOMAIN, task: TASK, proofs: made }, trust };
}

const opening = prove(OPENING);
const growth = prove(GROWTH);

function outcome(proven: ProvenFact, trust: readonly TrustedCircuit[], expected: object = {}): string {
  try {
    verifyFact(proven, { trust, ...expected });
    return "verified";
  } catch (error) {
    if (!(error instanceof AnchorError)) throw error;
    return `${error.code}: ${error.message}`;
  }
}

describe("a fact about a dataset", () => {
  it("verifies, and is told in words", () => {
    const shown = verifyFact(opening.proven, { trust: opening.trust, root: 11n, domain: DOMAIN, task: TASK });
    expect(shown.root).toBe(11n);
    expect(shown.proven).toEqual([
      `record 5 has the description behind 0x${"0d".padStart(64, "0")}`,
      `its data is 40 bytes with SHA-256 ${SHA256}`,
    ]);
    const grown = verifyFact(growth.proven, { trust: growth.trust, root: 11n });
    expect(grown.proven).toEqual([
      `the first 128 records are those under 0x${"03".padStart(64, "0")}, unchanged and in order`,
      "2 records came after them",
    ]);
  });

  it.each<[string, Partial<ProvenFact>, RegExp]>([
    ["another record", { fact: { ...OPENING, record: 14n } }, /PROOF_INVALID: the proof by dataset-opening/],
    ["another number", { fact: { ...OPENING, index: 6 } }, /PROOF_INVALID/],
    [
      "another SHA-256",
      { fact: { ...OPENING, link: { sha256: `0x${"5b".repeat(32)}`, bytes: 40 } } },
      /PROOF_INVALID: the proof by dataset-sha256/,
    ],
    [
      "another length",
      { fact: { ...OPENING, link: { sha256: SHA256, bytes: 41 } } },
      /PROOF_INVALID: the proof by dataset-sha256/,
    ],
    [
      "one without its SHA-256",
      { fact: { ...OPENING, link: undefined } },
      /PROOF_SET_INVALID: the fact takes 1 proof, not 2/,
    ],
    [
      "one of a missing proof",
      { proofs: opening.proven.proofs.slice(0, 1) },
      /PROOF_SET_INVALID: the fact takes 2 proofs, not 1/,
    ],
    [
      "one whose proofs are swapped",
      { proofs: [...opening.proven.proofs].reverse() },
      /PROOF_SET_INVALID: proof 1 is by dataset-sha256/,
    ],
    ["one for another task", { task: { ...TASK, nonce: 8n } }, /PROOF_INVALID/],
    ["one for another chain", { domain: { ...DOMAIN, chainId: 1n } }, /PROOF_INVALID/],
    ["a number that is none", { fact: { ...OPENING, index: -1 } }, /STATEMENT_INVALID/],
  ])("changed to %s is refused", (_, change, reason) => {
    expect(outcome({ ...opening.proven, ...change }, opening.trust)).toMatch(reason);
  });

  it("of growth is bound to both roots and counts", () => {
    for (const change of [{ oldRoot: 4n }, { newRoot: 12n }, { oldRecords: 127 }, { newRecords: 131 }]) {
      expect(outcome({ ...growth.proven, fact: { ...GROWTH, ...change } }, growth.trust)).toMatch(/PROOF_INVALID/);
    }
    const shrunk = { ...growth.proven, fact: { ...GROWTH, newRecords: 127 } };
    expect(outcome(shrunk, growth.trust)).toMatch(/STATEMENT_INVALID/);
  });

  it("is refused by other keys, and where something else is expected", () => {
    expect(outcome(opening.proven, opening.trust.slice(0, 1))).toMatch(/KEY_UNKNOWN: proofs of dataset-sha256/);
    expect(outcome(opening.proven, opening.trust, { root: 12n })).toMatch(
      /PROOF_SET_INVALID: the proof is about another dataset/,
    );
    expect(outcome(opening.proven, opening.trust, { task: { nonce: 1n } })).toMatch(/PROOF_SET_INVALID/);
    expect(outcome(opening.proven, opening.trust, { domain: { chainId: 1n } })).toMatch(/PROOF_SET_INVALID/);
  });

  it("has one file, with every field and no other", () => {
    for (const { proven } of [opening, growth]) {
      const text = JSON.stringify(factToJson(proven));
      expect(factFromJson(JSON.parse(text))).toEqual(proven);
      type Json = { [name: string]: Json };
      const walk = (value: Json, visit: (parent: Json, name: string) => void) => {
        for (const name of Object.keys(value)) {
          if (!Array.isArray(value)) visit(value, name);
          if (typeof value[name] === "object" && value[name] !== null) walk(value[name], visit);
        }
      };
      let places = 0;
      walk(JSON.parse(text), () => places++);
      for (let place = 0; place < places; place++) {
        for (const change of ["less", "more"]) {
          const document = JSON.parse(text) as Json;
          let at = 0;
          const todo: (() => void)[] = [];
          walk(document, (parent, name) => {
            if (at++ !== place) return;
            todo.push(() => {
              // A link may be missing: that is another fact, whose proofs are too many.
              if (change === "less" && name !== "link") delete parent[name];
              else parent["other"] = "1" as unknown as Json;
            });
          });
          for (const run of todo) run();
          expect(() => factFromJson(document), `${place} ${change}`).toThrow(AnchorError);
        }
      }
      for (const value of [undefined, null, 7, "fact", [], {}]) expect(() => factFromJson(value)).toThrow(AnchorError);
    }
  });
});
