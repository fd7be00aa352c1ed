/** What holds the gas of a change against the last: the numbers themselves are `bench gas --check`'s. */
import { describe, expect, it } from "vitest";
import { aboveBars, BARS, compareGas, type GasRow, ROUTER_LIMIT, snapshotOf } from "../../src/bench/gas.js";
import { gasTable } from "../../src/bench/report.js";

const ROUTER = "4 signals, called by a contract";

/** Each at its bar, to the unit. */
function rows(): GasRow[] {
  return [
    ...BARS.map(({ group, name, limit }): GasRow => {
      const items = group.startsWith("batch") ? Number(name.split(" ")[0]) : undefined;
      return { group, name, gas: limit * (items ?? 1), ...(items && { items }) };
    }),
    { group: "router", name: `${ROUTER}, direct`, gas: 200_000 },
    { group: "router", name: `${ROUTER}, routed`, gas: 200_000 + ROUTER_LIMIT },
  ];
}

it("the bars are those of the issue", () => {
  expect(BARS.map(({ group, name, limit }) => `${group}, ${name}: ${limit}`)).toEqual([
    "verifier, 1 signal: 214000",
    "verifier, 4 signals: 235000",
    "batch, 1 signal, 16 proofs: 63000",
    "certificate, 5 of 7: 65000",
  ]);
  expect(ROUTER_LIMIT).toBe(6000);
});

describe("a bar", () => {
  it("is kept by what is at it", () => expect(aboveBars(rows())).toEqual([]));

  it("is broken by one unit more, and by what was not measured", () => {
    for (let i = 0; i < rows().length; i++) {
      // What the router is compared with may cost more, and not less.
      const change = rows()[i]!.name.endsWith("direct") ? -1 : 1;
      const more = rows().map((row, j) => (i === j ? { ...row, gas: row.gas + change } : row));
      expect(aboveBars(more), rows()[i]!.name).toHaveLength(1);
      expect(aboveBars(rows().filter((_, j) => j !== i)), rows()[i]!.name).toHaveLength(1);
    }
  });
});

describe("a snapshot", () => {
  it("knows every number, and tells each that changed, came or went", () => {
    const before = snapshotOf([...rows(), { group: "deployment", name: "MintGate", gas: 5, code: 7 }]);
    expect(compareGas(before, before)).toEqual([]);
    const after = snapshotOf([
      ...rows().slice(1),
      { group: "deployment", name: "MintGate", gas: 5, code: 8 },
      { group: "gate", name: "mint", gas: 9 },
    ]);
    expect(compareGas(before, after).sort()).toEqual([
      "deployment, MintGate: code 7 → 8",
      "gate, mint: gas none → 9",
      "verifier, 1 signal: gas 214000 → none",
    ]);
  });
});

it("the table has what each costs, and what snarkjs' verifier costs beside it", () => {
  const lines = gasTable([
    { group: "verifier", name: "1 signal", gas: 200_000, snarkjs: 201_000 },
    { group: "batch", name: "16 proofs", gas: 1_000_001, items: 16 },
    { group: "deployment", name: "MintGate", gas: 5, code: 13_960 },
  ]);
  expect(lines.join("\n")).toMatch(/verifier: 1 signal +200,000 +201,000 +1\.005 ×\n/);
  expect(lines.join("\n")).toMatch(/batch: 16 proofs +1,000,001 +62,501\n/);
  expect(lines.join("\n")).toMatch(/deployment: MintGate +5 +13,960 bytes$/);
});
