/** The contract checks (.ci/contracts): every one of them is shown what it must refuse. */
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { checkSizes, compareLayouts, layoutsOf } from "../../.ci/contracts/artefacts.js";
import { applyReviews, checkSettings, checkSource, definitions } from "../../.ci/contracts/gates.js";
import { readSolidity } from "../../.ci/contracts/source.js";
import { CONTRACTS, forgeProblems, solhintProblems } from "../../.ci/contracts/tools.js";
import { COMPILER_SETTINGS, type ContractArtefact, compileContracts } from "../../src/chain/compile.js";

const HEADER = "// SPDX-License-Identifier: Apache-2.0\npragma solidity 0.8.37;\n\n";

function problems(text: string, kind: "contract" | "test" = "contract"): string[] {
  return checkSource(readSolidity("A.sol", text), kind, "0.8.37").map(({ code }) => code);
}

describe("sources", () => {
  const body = (statement: string) =>
    `${HEADER}contract A {\n    function f() external view {\n        ${statement}\n    }\n}\n`;
  const block = (statement: string) => body(`assembly ("memory-safe") { ${statement} }`);

  it.each([
    ["a comment about what is forbidden", body("// tx.origin, selfdestruct, staticcall(2000, …)")],
    ["a string about it", body('emit Said("tx.origin; require(");')],
    ["all gas, passed on", block("let ok := staticcall(gas(), 6, 0, 0x80, 0, 0x40)")],
    ["all gas, over two lines", block("let ok :=\n staticcall(\n gas(),\n 6, 0, 0x80, 0, 0x40)")],
    ["Solidity's own return", body("return;")],
    ["an amount of gas that is computed", body("this.f{gas: floor}();")],
    ["a name that has a forbidden one in it", body("returnData(originOf(x));")],
  ])("takes %s", (_, text) => expect(problems(text)).toEqual([]));

  it.each([
    ["a fixed price in assembly", block("let ok := staticcall(6000, 6, 0, 0x80, 0, 0x40)"), "GAS_FIXED"],
    ["part of the gas in assembly", block("let ok := staticcall(sub(gas(), 2000), 6, 0, 0x80, 0, 0x40)"), "GAS_FIXED"],
    ["a fixed price of a call", body('(bool ok,) = to.call{value: 1, gas: 2300}("");'), "GAS_FIXED"],
    ["tx.origin", body("if (tx.origin != msg.sender) revert No();"), "TX_ORIGIN"],
    ["tx.origin with blanks", body("address a = tx . origin;"), "TX_ORIGIN"],
    ["the opcode", block("let a := origin()"), "TX_ORIGIN"],
    ["selfdestruct", body("selfdestruct(payable(to));"), "SELFDESTRUCT"],
    ["delegatecall", body("to.delegatecall(data);"), "DELEGATECALL"],
    ["a return from assembly", block("mstore(0, 1) return(0, 0x20)"), "ASSEMBLY_RETURN"],
    ["a return from a nested block", block("if x { { return(0, 0) } }"), "ASSEMBLY_RETURN"],
    ["a stop in assembly", block("stop()"), "ASSEMBLY_RETURN"],
    ["a require", body("require(x > 0);"), "REQUIRE"],
    ["a revert with a text", body('revert("no");'), "REQUIRE"],
    ["no licence", "pragma solidity 0.8.37;\n", "LICENCE"],
    ["another licence", HEADER.replace("Apache-2.0", "MIT"), "LICENCE"],
    ["a second licence further down", `${HEADER}// SPDX-License-Identifier: MIT\n`, "LICENCE"],
    ["snarkjs' header", `${HEADER}/*\n    Copyright 2021 0KIMS association.\n*/\n`, "LICENCE"],
    ["a GPL text", `${HEADER}// under the terms of the GNU General Public License\n`, "LICENCE"],
    ["a floating pragma", HEADER.replace("0.8.37", "^0.8.37"), "PRAGMA"],
    ["another compiler", HEADER.replace("0.8.37", "0.8.36"), "PRAGMA"],
    ["no pragma", "// SPDX-License-Identifier: Apache-2.0\n", "PRAGMA"],
    ["two pragmas", `${HEADER}pragma abicoder v1;\n`, "PRAGMA"],
    ["a pragma in a comment only", "// SPDX-License-Identifier: Apache-2.0\n// pragma solidity 0.8.37;\n", "PRAGMA"],
  ])("refuses %s", (_, text, code) => expect(problems(text)).toContain(code));

  it("of tests it asks licence and pragma alone", () => {
    expect(problems(body("selfdestruct(payable(to));"), "test")).toEqual([]);
    expect(problems("contract A {}\n", "test").sort()).toEqual(["LICENCE", "PRAGMA"]);
  });

  it("takes what has been reviewed, at its place alone, and no review of what is gone", () => {
    const source = readSolidity("src/A.sol", block("let ok := staticcall(share, 6, 0, 0x80, 0, 0x40)"));
    const found = checkSource(source, "contract", "0.8.37");
    const line = 'assembly ("memory-safe") { let ok := staticcall(share, 6, 0, 0x80, 0, 0x40) }';
    const review = { path: "src/A.sol", code: "GAS_FIXED", line, reason: "a share of what there is" };
    const codes = (reviews: (typeof review)[]) => applyReviews(found, [source], reviews).map(({ code }) => code);
    expect(codes([])).toEqual(["GAS_FIXED"]);
    expect(codes([review])).toEqual([]);
    expect(codes([{ ...review, path: "src/B.sol" }])).toEqual(["GAS_FIXED", "REVIEW_STALE"]);
    expect(codes([{ ...review, line: line.replace("share", "6000") }])).toEqual(["GAS_FIXED", "REVIEW_STALE"]);
    expect(codes([review, { ...review, code: "TX_ORIGIN" }])).toEqual(["REVIEW_STALE"]);
  });

  it("knows what a source defines", () => {
    const text = `${HEADER}interface I {}\nlibrary L {}\n  abstract contract A {}\n// contract B {}\ncontract C is A {}\nstruct S { uint256 x; }\n`;
    expect(definitions(readSolidity("A.sol", text))).toEqual(["I", "L", "A", "C"]);
  });
});

it("foundry's settings are the package's, and a difference is seen", async () => {
  const toml = await readFile(join(CONTRACTS, "foundry.toml"), "utf8");
  expect(checkSettings(toml, COMPILER_SETTINGS)).toEqual([]);
  for (const [from, to] of [
    ['evm_version = "cancun"', 'evm_version = "prague"'],
    ["optimizer_runs = 1_000_000", "optimizer_runs = 200"],
    ["via_ir = false", "via_ir = true"],
    ["optimizer = true", ""],
    ['bytecode_hash = "none"', 'bytecode_hash = "ipfs"'],
    ["[profile.default]", "[profile.other]"],
  ] as const) {
    expect(toml).toContain(from);
    expect(checkSettings(toml.replace(from, to), COMPILER_SETTINGS).length, from).toBeGreaterThan(0);
  }
});

it("refuses contracts that are too large, and those that need a library linked", () => {
  const sized = (code: number, init: number): ContractArtefact => ({
    abi: [],
    bytecode: `0x${"00".repeat(init)}`,
    runtime: "0x",
    immutables: [],
    deployedSize: code,
    storageLayout: { storage: [], types: null },
  });
  expect(checkSizes({ A: sized(24_576, 40_000) })).toEqual([]);
  expect(checkSizes({ A: sized(24_577, 40_000) })).toMatchObject([{ code: "SIZE" }]);
  expect(checkSizes({ A: sized(24_576, 49_152) })).toMatchObject([{ code: "SIZE" }]);
  const unlinked = { ...sized(1, 1), bytecode: `0x60__$${"0a".repeat(17)}$__` as const };
  expect(checkSizes({ A: unlinked })).toMatchObject([{ code: "UNLINKED" }]);
});

describe("storage layouts", () => {
  const compile = async (state: string) =>
    layoutsOf(await compileContracts({ "A.sol": `${HEADER}contract A {\n${state}\n}\ninterface I {}\n` }));

  it("hold every variable and every struct that is reached, and every difference is told", async () => {
    const before = await compile("struct S { uint64 a; address b; }\nuint256 x; mapping(bytes32 => S[]) y; bool z;");
    expect(before).toEqual({
      A: {
        storage: {
          x: "slot 0, byte 0, 32 long: uint256",
          y: "slot 1, byte 0, 32 long: mapping(bytes32 => struct A.S[])",
          z: "slot 2, byte 0, 1 long: bool",
        },
        structs: {
          "struct A.S": { a: "slot 0, byte 0, 8 long: uint64", b: "slot 0, byte 8, 20 long: address" },
        },
      },
    });
    expect(compareLayouts(before, before)).toEqual([]);
    const inserted = await compile("struct S { uint64 a; address b; }\nbool n; mapping(bytes32 => S[]) y; bool z;");
    expect(compareLayouts(before, inserted).map(({ message }) => message)).toEqual([
      "A.x: slot 0, byte 0, 32 long: uint256 → gone",
      "A.n: not there → slot 0, byte 0, 1 long: bool",
    ]);
    const struct = await compile("struct S { address b; uint64 a; }\nuint256 x; mapping(bytes32 => S[]) y; bool z;");
    expect(compareLayouts(before, struct)).toHaveLength(2);
    expect(compareLayouts(before, {})).toHaveLength(6);
  });
});

describe("the linters", () => {
  let root: string;
  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), "anchorproof-lint-"));
    const write = async (path: string, text: string) => {
      await mkdir(dirname(join(root, path)), { recursive: true });
      await writeFile(join(root, path), text);
    };
    await write(
      "foundry.toml",
      `[profile.default]\nsrc = "src"\nsolc = "${join(CONTRACTS, "solc-shim.mjs")}"\noffline = true\n`,
    );
    const shift = `${HEADER}contract Pays {\n    function Shift_it(uint256 x) external pure returns (uint256) {\n        return 2 << x;\n    }\n}\n`;
    await write("src/Pays.sol", shift);
    await write("src/Untidy.sol", `${HEADER}contract Untidy   {\n    uint256 public x;\n}\n`);
  });
  afterAll(() => rm(root, { recursive: true, force: true }));

  it("forge tells what is written otherwise, and what its linter finds", () => {
    const found = forgeProblems(root);
    expect(found.map(({ code }) => code)).toEqual(["FORMAT", "FORGE_LINT"]);
    expect(found[0]!.message).toContain("Untidy.sol");
    expect(found[1]!.message).toMatch(/incorrect-shift/);
  });

  it("solhint, under the project's rules", () => {
    const found = solhintProblems(["src/Pays.sol"], root).map(({ message }) => message);
    expect(found.join("\n")).toMatch(/Pays\.sol:5: .*\(func-name-mixedcase\)/);
    expect(solhintProblems(["src/Untidy.sol"], root)).toEqual([]);
  });
});
