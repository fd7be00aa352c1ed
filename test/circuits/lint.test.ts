/** The circuit lint (.ci/circuits): every check is shown a circuit that it must refuse. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { checkEntries, checkProgram, type ReviewedProgram } from "../../.ci/circuits/determinism.js";
import { checkCoverage, lint } from "../../.ci/circuits/lint.js";
import { libraryFiles, type Program } from "../../.ci/circuits/programs.js";
import {
  type Allowance,
  checkMessages,
  checkSources,
  MAX_WIDTH,
  type Message,
  type Reviewed,
} from "../../.ci/circuits/review.js";
import { type Counts, compareSnapshots, countProgram } from "../../.ci/circuits/snapshot.js";
import { readCircom } from "../../.ci/circuits/source.js";
import { type Compiled, circomspect, inspect, readInspection } from "../../.ci/circuits/tools.js";
import { compileCircuit } from "../../src/circuit/compile.js";
import { code } from "../support/errors.js";

const REVIEWED = JSON.parse(
  readFileSync(new URL("../../.ci/circuits/reviewed.json", import.meta.url), "utf8"),
) as Reviewed;
const REASON = "A reason in as many words as are asked for.";

/** A decomposition with everything that the lint wants. */
const BITS = `pragma circom 2.2.3;
// A comment is no hint: other <-- in;
template Bits(N) {
    assert(N >= 1 && N <= 253); /* nor is this: other <-- in; */
    signal input in;
    signal output out[N];

    var sum = 0;
    for (var i = 0; i < N; i++) {
        out[i] <-- (in >> i) & 1;
        out[i] * (out[i] - 1) === 0;
        sum += out[i] * (1 << i);
    }
    sum === in;
}
`;

const bitsReview = (): Reviewed => ({
  hints: [
    {
      file: "bits.circom",
      template: "Bits",
      hint: "out[i] <-- (in >> i) & 1",
      bound: ["out[i] * (out[i] - 1) === 0", "sum === in"],
      reason: REASON,
    },
  ],
  asserts: [{ file: "bits.circom", template: "Bits", assert: "assert(N >= 1 && N <= 253)", reason: REASON }],
  widths: [{ file: "bits.circom", template: "Bits", bound: "N <= 253", reason: REASON }],
  allowed: [],
  determinism: [],
});

/** By itself, on the library. */
async function compile(program: Program): Promise<Compiled> {
  const { compiled, problems } = await inspect(libraryFiles(), program);
  expect(problems).toEqual([]);
  return compiled!;
}

const EMPTY: Reviewed = { hints: [], asserts: [], widths: [], allowed: [], determinism: [] };

function check(source: string, reviewed: Reviewed, file = "bits.circom"): string[] {
  return checkSources([readCircom(file, source)], reviewed).map((problem) => problem.code);
}

function replaced(text: string, from: string, to: string): string {
  expect(text).toContain(from);
  return text.replace(from, to);
}

const template = (body: string) => `pragma circom 2.2.3;\ntemplate T(N) {\n${body}\n}\n`;

describe("hints", () => {
  it("are in order where each is listed with constraints that bind it", () => {
    expect(check(BITS, bitsReview())).toEqual([]);
  });

  it("without any constraint are found, listed or not", () => {
    const bare = template("signal input in;\nsignal output out;\nout <-- in * in;");
    expect(check(bare, EMPTY)).toEqual(["HINT_UNCONSTRAINED", "HINT_UNLISTED"]);
    // A constraint on something else is none, nor is a second hint, a comment or an assertion.
    for (const more of ["in * in === 4;", "signal x;\nx <-- out;", "// out === in;", "assert(out == in);"]) {
      expect(check(replaced(bare, "out <-- in * in;", `out <-- in * in;\n${more}`), EMPTY)).toContain(
        "HINT_UNCONSTRAINED",
      );
    }
    const reviewed = bitsReview();
    const unbound = replaced(
      replaced(BITS, "out[i] * (out[i] - 1) === 0;", ""),
      "sum === in;",
      "in * in === 4; // sum === in;",
    );
    expect(check(unbound, reviewed)).toEqual(["HINT_UNCONSTRAINED", "HINT_UNBOUND", "HINT_UNBOUND"]);
  });

  it.each([
    "signal output out;\nsignal x <-- in;\nout <== x * x;",
    "signal output out;\nin --> out;\nout * out === in;",
    "signal output out;\nif (N > 1) { out <-- in; } else out <-- in + 1;\nout * out === in;",
    "signal output out[2];\nfor (var i = 0; i < 2; i++)\n  out[i]\n    <-- in;\nout[0] * out[1] === in;",
    "component c = C();\nc.in <-- in;\nc.out === in;",
  ])("are found however they are written: %j", (body) => {
    const problems = check(template(`signal input in;\n${body}`), EMPTY);
    expect(new Set(problems)).toEqual(new Set(["HINT_UNLISTED"]));
    expect(problems).toHaveLength(body.split(/<--|-->/).length - 1);
  });

  it("are listed one by one: the same statement again is another", () => {
    const twice = replaced(
      BITS,
      "    sum === in;",
      "    for (var i = 0; i < N; i++) out[i] <-- (in >> i) & 1;\n    sum === in;",
    );
    expect(check(twice, bitsReview())).toEqual(["HINT_UNLISTED"]);
  });

  it("need every constraint that was quoted", () => {
    const gone: [string, string][] = [
      ["    sum === in;", ""],
      ["    sum === in;", "    // sum === in;"],
      ["    sum === in;", "    sum === 2 * in;"],
      ["    sum === in;", "    if (N > 4) sum === in;"],
      ["    sum === in;", "    if (N > 4) { in === 1; } else { sum === in; }"],
      ["out[i] * (out[i] - 1) === 0;", "out[i] * (out[i] - 2) === 0;"],
      ["sum += out[i] * (1 << i);", "sum += in;"], // still there, and about something else
    ];
    for (const [from, to] of gone) expect(check(replaced(BITS, from, to), bitsReview()), to).toEqual(["HINT_UNBOUND"]);
  });

  it("need a quoted constraint at all, one of the template, and a reason", () => {
    const with_ = (change: Partial<Reviewed["hints"][0]>) => {
      const reviewed = bitsReview();
      Object.assign(reviewed.hints[0]!, change);
      return check(BITS, reviewed);
    };
    expect(with_({ bound: [] })).toEqual(["HINT_UNBOUND"]);
    expect(with_({ bound: ["out[i] <-- (in >> i) & 1"] })).toEqual(["HINT_UNBOUND"]);
    expect(with_({ bound: ["var sum = 0"] })).toEqual(["HINT_UNBOUND"]);
    expect(with_({ reason: "is fine" })).toEqual(["REASON"]);
    expect(with_({ reason: undefined as unknown as string })).toEqual(["REASON"]);
    expect(with_({ hint: "out[i] <-- in" })).toEqual(["HINT_UNLISTED", "HINT_STALE"]);
    expect(with_({ template: "Other" })).toEqual(["HINT_UNLISTED", "HINT_STALE"]);
    expect(with_({ file: "other.circom" })).toEqual(["HINT_UNLISTED", "HINT_STALE"]);
  });
});

describe("assertions", () => {
  const remainder =
    "signal input a;\nsignal output q;\nsignal output r;\nq <-- a \\ 7;\nr <-- a % 7;\n7 * q + r === a;\n";
  const reviewed: Reviewed = {
    ...EMPTY,
    hints: ["q <-- a \\ 7", "r <-- a % 7"].map((hint) => ({
      file: "t.circom",
      template: "T",
      hint,
      bound: ["7 * q + r === a"],
      reason: REASON,
    })),
  };

  it.each([
    "assert(r < 7);",
    "var x = r + 1;\nassert(x <= 7);",
    "var ok = 0;\nif (r < 7) ok = 1;\nassert(ok);",
    "var ok = 1;\nif (r < 7) { ok = 1; } else { ok = 0; }\nassert(ok == 1);",
    "var ok = 1;\nif (r >= 7) assert(0);",
    "component c = LessThan(8);\nc.in <== r;\nassert(c.out == 1);",
    "for (var i = 0; i < 1; i++) { var y[2] = [r, q]; assert(y[0] < 7); }",
  ])("that do a constraint's work, as for a remainder: %j", (assertion) => {
    expect(check(template(remainder + assertion), reviewed, "t.circom")).toEqual(["ASSERT_ON_SIGNAL"]);
    // Listing it does not help.
    const listed = {
      ...reviewed,
      asserts: [{ file: "t.circom", template: "T", assert: "assert(r < 7)", reason: REASON }],
    };
    expect(check(template(remainder + assertion), listed, "t.circom")).toContain("ASSERT_ON_SIGNAL");
  });

  it("of a function may be about a signal", () => {
    const source = "pragma circom 2.2.3;\nfunction f(x) {\n    assert(x < 7);\n    return x;\n}\n";
    expect(check(source, EMPTY)).toEqual(["ASSERT_ON_SIGNAL"]);
  });

  it("on parameters are listed, with a reason, and no longer than they stand", () => {
    const source = template("signal input a;\nassert(N < 7);\na * a === 4;");
    const asserts = [{ file: "bits.circom", template: "T", assert: "assert(N < 7)", reason: REASON }];
    expect(check(source, { ...EMPTY, asserts })).toEqual([]);
    expect(check(source, EMPTY)).toEqual(["ASSERT_UNLISTED"]);
    expect(check(source, { ...EMPTY, asserts: [{ ...asserts[0]!, reason: "" }] })).toEqual(["REASON"]);
    expect(check(template("signal input a;\na * a === 4;"), { ...EMPTY, asserts })).toEqual(["ASSERT_STALE"]);
  });
});

describe("widths of decompositions", () => {
  const withAssert = (assert: string, bound: string) => {
    const reviewed = bitsReview();
    reviewed.asserts[0]!.assert = assert;
    reviewed.widths[0]!.bound = bound;
    return check(replaced(BITS, "assert(N >= 1 && N <= 253)", assert), reviewed);
  };

  it("are bounded by an assertion on parameters that circom evaluates", () => {
    expect(withAssert("assert(N >= 1 && N + 1 <= 253)", "N + 1 <= 253")).toEqual([]);
    expect(withAssert("assert(N >= 1 && N <= 254)", "N <= 254")).toEqual(["WIDTH_UNBOUNDED"]);
    expect(withAssert("assert(N >= 1)", "N <= 253")).toEqual(["WIDTH_UNBOUNDED"]);
    expect(withAssert("assert(N >= 1 || N <= 253)", "N <= 253")).toEqual(["WIDTH_UNBOUNDED"]);
    expect(withAssert("assert(N >= 1 && 7 <= 253)", "7 <= 253")).toEqual([]);
    expect(withAssert("assert(N >= 1 && K <= 253)", "K <= 253")).toEqual(["WIDTH_UNBOUNDED"]);
    const conditional = replaced(BITS, "assert(", "if (N > 9) assert(");
    expect(check(conditional, bitsReview())).toEqual(["WIDTH_UNBOUNDED"]);
  });

  it("have to be listed where a hint takes bits, and nowhere else", () => {
    expect(check(BITS, { ...bitsReview(), widths: [] })).toEqual(["WIDTH_UNBOUNDED"]);
    const { widths } = bitsReview();
    expect(check(template("signal input a;\na * a === 4;"), { ...EMPTY, widths })).toEqual(["WIDTH_STALE"]);
  });

  it.each([
    ["lib/num2bits.circom", `Num2Bits(${MAX_WIDTH + 1})`],
    ["lib/range_check.circom", `RangeCheck(0, ${MAX_WIDTH + 1})`],
    ["inference/argmax_run.circom", "ArgMaxRun(2, 65)"],
    ["inference/requant_lane.circom", "RequantLane(-9, 9, 41, 0, 7)"],
  ])("one more than %s allows is not compiled: %s", async (file, instance) => {
    expect(REVIEWED.widths.map((entry) => entry.file)).toContain(file);
    const source = `pragma circom 2.2.3;\ninclude "${file}";\ncomponent main = ${instance};\n`;
    await expect(compileCircuit({ name: instance, source })).rejects.toThrowError(code("CIRCUIT_COMPILE"));
  });
});

describe("files", () => {
  it.each([
    ["no pragma", (text: string) => replaced(text, "pragma circom 2.2.3;", ""), "PRAGMA"],
    ["a pragma in a comment", (text: string) => replaced(text, "pragma", "// pragma"), "PRAGMA"],
    ["another version", (text: string) => replaced(text, "2.2.3", "2.0.0"), "PRAGMA"],
    ["custom gates", (text: string) => replaced(text, "2.2.3;", "2.2.3;\npragma custom_templates;"), "PRAGMA"],
    [
      "circomlib",
      (text: string) => replaced(text, "2.2.3;", '2.2.3;\ninclude "circomlib/bitify.circom";'),
      "CIRCOMLIB",
    ],
    ["two templates", (text: string) => `${text}template Other() {\n}\n`, "TEMPLATES"],
  ])("with %s are found", (_, change, problem) => {
    expect(check(change(BITS), bitsReview())).toEqual([problem]);
  });

  it("may speak of circomlib", () => {
    expect(check(replaced(BITS, "// A comment", "// circomlib's Num2Bits. A comment"), bitsReview())).toEqual([]);
  });
});

describe("the library", () => {
  const files = libraryFiles();
  // The benchmark's files are programs with nothing to list.
  const problemsOf = (library: ReadonlyMap<string, string>, reviewed = REVIEWED) =>
    checkSources(
      [...library].map(([path, text]) => readCircom(path, text)),
      reviewed,
    ).map((problem) => problem.code);

  it("is as reviewed", () => {
    expect(problemsOf(files)).toEqual([]);
  });

  it("is not, without any one of its listed entries or of the constraints that they quote", () => {
    for (const { file, hint, bound } of REVIEWED.hints) {
      for (const quoted of bound) {
        const text = files.get(file)!;
        const pattern = new RegExp(quoted.replace(/[.*+?^${}()|[\]\\]/g, "\\$&").replaceAll(" ", "\\s+") + "\\s*;");
        expect(text).toMatch(pattern);
        const without = new Map([...files, [file, text.replace(pattern, ";")]]);
        expect(problemsOf(without), `${file}: ${hint}: ${quoted}`).toContain("HINT_UNBOUND");
      }
    }
    for (const list of ["hints", "asserts", "widths"] as const) {
      const entries = REVIEWED[list] as { file: string }[];
      entries.forEach((entry, i) => {
        // A template may have several widths, and must have one.
        const left = entries.filter((other, j) => (list === "widths" ? other.file !== entry.file : j !== i));
        const problems = problemsOf(files, { ...REVIEWED, [list]: left });
        expect(problems).toEqual([
          { hints: "HINT_UNLISTED", asserts: "ASSERT_UNLISTED", widths: "WIDTH_UNBOUNDED" }[list],
        ]);
      });
    }
  });

  it("has no template that no program inspects", () => {
    const named = [...files].flatMap(([path, text]) =>
      readCircom(path, text).definitions.map(({ name }) => ({ path, name })),
    );
    const all = named.map(({ name }) => ({ file: name, source: `component main {public [a]} = ${name}(1);` }));
    expect(checkCoverage(files, all)).toEqual([]);
    const problems = checkCoverage(
      files,
      all.filter(({ file }) => file !== "Select16"),
    );
    expect(problems).toHaveLength(1);
    expect(problems[0]!.message).toContain("lib/select16.circom: no program has Select16");
  });
});

describe("messages", () => {
  const message: Message = {
    tool: "circomspect",
    code: "CS0005",
    file: "bits.circom",
    template: "Bits",
    where: "out[i] <-- (in >> i) & 1",
    line: 10,
    text: "Using the signal assignment operator `<--` does not constrain the assigned signal.",
  };
  const allowance: Allowance = {
    tool: "circomspect",
    code: "CS0005",
    file: "bits.circom",
    template: "Bits",
    where: { [message.where]: 1 },
    reason: REASON,
  };
  const codes = (messages: Message[], allowed: Allowance[]) =>
    checkMessages(messages, allowed).map((problem) => problem.code);

  it("pass where an entry has them, whatever their line", () => {
    expect(codes([message], [allowance])).toEqual([]);
    expect(codes([{ ...message, line: 99 }], [allowance])).toEqual([]);
  });

  it("are problems without an entry: new ones, and the same once more", () => {
    expect(codes([message], [])).toEqual(["MESSAGE_UNREVIEWED"]);
    expect(codes([message, message], [allowance])).toEqual(["MESSAGE_UNREVIEWED"]);
    expect(codes([message, message], [{ ...allowance, where: { [message.where]: 2 } }])).toEqual([]);
  });

  it.each([
    { tool: "circom" },
    { code: "CS0013" },
    { file: "other.circom" },
    { template: "Other" },
    { where: "out[i] <-- in" },
  ] as Partial<Message>[])("are not covered by the entry of another: %j", (change) => {
    expect(codes([{ ...message, ...change }], [allowance])).toEqual(["MESSAGE_UNREVIEWED", "ALLOWANCE_STALE"]);
  });

  it("that are gone leave a stale entry", () => {
    expect(codes([], [allowance])).toEqual(["ALLOWANCE_STALE"]);
    expect(codes([message], [{ ...allowance, where: { [message.where]: 2 } }])).toEqual(["ALLOWANCE_STALE"]);
    expect(codes([message], [allowance, { ...allowance, where: {} }])).toEqual(["ALLOWANCE_STALE"]);
  });

  it("need entries that are whole, single and say why", () => {
    expect(codes([message], [{ ...allowance, reason: "ok" }])).toEqual(["REASON"]);
    expect(codes([message], [allowance, allowance])).toContain("ALLOWANCE_TWICE");
    for (const count of [0, -1, 1.5, Number.POSITIVE_INFINITY, "1"]) {
      const where = { [message.where]: count as number };
      expect(codes([message], [{ ...allowance, where }]), String(count)).toContain("ALLOWANCE_MALFORMED");
    }
  });
});

describe("circomspect", () => {
  const SQUARE =
    "pragma circom 2.2.3;\ntemplate Square() {\n    signal input in;\n    signal output out;\n    out <== in * in;\n}\n";
  const run = (source: string) =>
    circomspect(new Map([["square.circom", SQUARE], ["t.circom", source]]), ["t.circom"]); // biome-ignore format: a pair

  it("warns of a hint that nothing binds", async () => {
    const { messages, problems } = await run(template("signal input in;\nsignal output out;\nout <-- in * in;"));
    expect(problems).toEqual([]);
    expect(messages.map((m) => [m.code, m.template, m.where, m.line])).toContainEqual([
      "CS0013",
      "T",
      "out <-- in * in",
      5,
    ]);
    const decomposed = await circomspect(new Map([["bits.circom", BITS]]), ["bits.circom"]);
    expect(decomposed.messages.map((m) => [m.code, m.where])).toContainEqual(["CS0005", "out[i] <-- (in >> i) & 1"]);
  });

  it("looks into templates with anonymous components in loops, which it would pass over in silence", async () => {
    const source = `pragma circom 2.2.3;
include "square.circom";
template T(N) {
    signal input in[N];
    signal output out[N];
    for (var i = 0; i < N; i++) {
        out[i] <== Square()(
            in[i] + 1
        );
        Square()(in[i]);
    }
    signal loose <-- in[0] * in[0];
}
`;
    const { messages, problems } = await run(source);
    expect(problems).toEqual([]);
    expect(messages.map((m) => [m.code, m.where, m.line])).toContainEqual([
      "CS0013",
      "signal loose <-- in[0] * in[0]",
      12,
    ]);
    expect(messages.map((m) => [m.code, m.where])).toContainEqual(["CS0004", "in[i] + 1"]);
  });

  it("is found out where it passes over something all the same", async () => {
    // An anonymous component within another, and syntax that it does not know.
    const nested =
      'pragma circom 2.2.3;\ninclude "square.circom";\ntemplate T(N) {\n    signal input in[N];\n    for (var i = 0; i < N; i++) Square()(Square()(in[i]));\n}\n';
    expect((await run(nested)).problems.map((problem) => problem.code)).toEqual(["NOT_ANALYSED"]);
    const bus =
      "pragma circom 2.2.3;\nbus B() {\n    signal x;\n}\ntemplate T() {\n    input B() in;\n    in.x * in.x === 4;\n}\n";
    const { messages, problems } = await run(bus);
    expect(problems.map((problem) => problem.code)).toEqual(["NOT_ANALYSED"]);
    expect(messages.map((m) => m.code)).toEqual(["P1000"]);
  });
});

describe("circom --inspect", () => {
  const loose = `${template("signal input in;\nsignal input idle;\nsignal output out;\nout <-- in * in;")}component main = T(1);\n`;

  it("warns of signals in no constraint, and of hints that could be constraints", async () => {
    const { messages, problems } = await inspect(new Map(), { file: "loose", source: loose });
    expect(problems).toEqual([]);
    expect(messages.map((m) => [m.code, m.file, m.template, m.where, m.line])).toEqual([
      ["T3002", "loose", "T", "out <-- in * in;", 6],
      ["CA01", "loose", "T", expect.stringMatching(/^Local signal \w+ does not appear in any constraint$/), 0],
      ["CA01", "loose", "T", expect.stringMatching(/^Local signal \w+ does not appear in any constraint$/), 0],
      ["CA01", "loose", "T", expect.stringMatching(/^Local signal \w+ does not appear in any constraint$/), 0],
    ]);
  });

  it("is not silent when circom refuses the program", async () => {
    const { problems } = await inspect(new Map(), { file: "bad", source: "nonsense" });
    expect(problems.map((problem) => problem.code)).toEqual(["TOOL_FAILED"]);
  });

  it("is read with the parameters left out of a template's name, and every kind of message taken", () => {
    const library = new Map([["dense.circom", "template Dense(A, B) {\n}\n"]]);
    const output = [
      'warning[CA01]: In template "Dense(32,2,[12,[3]],[-1])": Local signal in[13] does not appear in any constraint',
      "warning: something without a code",
      "Everything went okay",
    ].join("\n");
    expect(readInspection(output, library, "main")).toMatchObject([
      {
        code: "CA01",
        file: "dense.circom",
        template: "Dense",
        where: "Local signal in[13] does not appear in any constraint",
      },
      { code: "warning", file: "main", template: "", where: "something without a code" },
    ]);
  });
});

describe("determinism", () => {
  const program = (body: string, name = "determined") => ({
    name,
    file: name,
    source: `${template(body)}component main = T(1);\n`,
  });
  const quotient = (range: string) =>
    program(
      `signal input a;\nsignal output q;\nsignal r;\nq <-- a \\ 2;\nr <-- a % 2;\n2 * q + r === a;\nr * (r - 1) === 0;\n${range}`,
    );
  const FREE = quotient("");
  const compiled = new Map<string, Promise<Compiled>>();
  const check = async (program: Program, reviewed: readonly ReviewedProgram[]) => {
    const found = compiled.get(program.source) ?? compile(program);
    compiled.set(program.source, found);
    return checkProgram(program, await found, reviewed);
  };
  const codes = async (...args: Parameters<typeof check>) => (await check(...args)).map((problem) => problem.code);

  it("is asked of each program, by its rows", async () => {
    const [problem, ...more] = await check(FREE, []);
    expect(more).toEqual([]);
    expect(problem!.code).toBe("UNDETERMINED");
    expect(problem!.message).toMatch(/^determined: its inputs are not shown to determine q, r \(rows 0, 1\): /);
    expect(await check(quotient("q * (q - 1) === 0;"), [])).toEqual([]);
  });

  it("may be explained, and may require ranges, as long as it has to", async () => {
    const entry = { program: "determined", explained: ["q"], reason: REASON };
    expect(await check(FREE, [entry])).toEqual([]);
    expect(await codes(quotient("q * (q - 1) === 0;"), [entry])).toEqual(["DETERMINISM_STALE"]);
    expect(await codes(FREE, [{ ...entry, explained: ["q", "none"] }])).toEqual(["DETERMINISM_STALE"]);
    expect(await codes(FREE, [{ ...entry, program: "other" }])).toEqual(["UNDETERMINED"]);
    expect(await codes(FREE, [{ ...entry, reason: "is fine" }])).toEqual(["REASON"]);
    const root = {
      name: "root",
      file: "root",
      source:
        'pragma circom 2.2.3;\ninclude "inference/normalise_run.circom";\ncomponent main = NormaliseRun(2, 5, 6, 6, 14, 14);\n',
    };
    const small = { program: "root", requires: { in: ["-16", "15"] as const }, reason: REASON };
    expect(await codes(root, [])).toEqual(["UNDETERMINED"]);
    expect(await codes(root, [small])).toEqual([]);
    const requires = { a: ["0", "9"] as const };
    expect(await codes(FREE, [{ ...entry, requires }])).toEqual(["DETERMINISM_STALE"]);
    expect(checkEntries([FREE], [{ ...entry, program: "other" }]).map((problem) => problem.code)).toEqual([
      "DETERMINISM_STALE",
    ]);
  });
});

describe("the snapshot of constraint counts", () => {
  const program = (body: string) => ({
    name: "counted",
    file: "counted",
    source: `${template(body)}component main {public [a]} = T(1);\n`,
  });
  const BODY =
    "signal input a;\nsignal input b;\nsignal output out;\nsignal p <== a * b;\nsignal s <== a + b + 1;\nout <== p * s;";

  it("counts linear and other rows, and entries of the matrices", async () => {
    const counts = countProgram(await compile(program(BODY)));
    expect(counts).toEqual({
      rows: 3,
      linearRows: 1,
      nonLinearRows: 2,
      wires: 6,
      publicSignals: 2,
      nonzeros: { a: 2, b: 2, c: 6 },
      circuitDigest: expect.stringMatching(/^0x[0-9a-f]{64}$/),
    });
  });

  it("shows each change with its old and new value", async () => {
    const before = countProgram(await compile(program(BODY)));
    const after = countProgram(await compile(program(`${BODY}\np * p === 4;`)));
    expect(compareSnapshots({ counted: before }, { counted: before })).toEqual([]);
    const [problem, ...more] = compareSnapshots({ counted: before }, { counted: after });
    expect(more).toEqual([]);
    expect(problem!.code).toBe("SNAPSHOT_CHANGED");
    expect(problem!.message).toMatch(
      /^counted: rows 3 → 4, nonLinearRows 2 → 3, circuitDigest 0x\w+ → 0x\w+, nonzerosA 2 → 3/,
    );
    // As many rows of as many entries, and yet another circuit.
    const other = countProgram(await compile(program(replaced(BODY, "a + b + 1", "a + b + 2"))));
    expect(compareSnapshots({ counted: before }, { counted: other })[0]!.message).toMatch(
      /^counted: circuitDigest 0x\w+ → 0x\w+$/,
    );
  });

  it("has all programs and no others", () => {
    const counts = {} as Counts;
    expect(compareSnapshots({}, { x: counts }).map((problem) => problem.code)).toEqual(["SNAPSHOT_NEW"]);
    expect(compareSnapshots({ x: counts }, {}).map((problem) => problem.code)).toEqual(["SNAPSHOT_STALE"]);
  });
});

describe("lint", () => {
  it("brings all of it together", async () => {
    const program = { name: "bits", file: "bits.circom", source: `${BITS}component main = Bits(4);\n` };
    const first = await lint(new Map(), [program], bitsReview());
    expect(first.messages).toBe(8);
    expect(new Set(first.problems.map((problem) => problem.code))).toEqual(new Set(["MESSAGE_UNREVIEWED"]));
    expect(first.snapshot).toMatchObject({ bits: { rows: 5, linearRows: 1, publicSignals: 4 } });

    const { messages } = await circomspect(new Map([["bits.circom", program.source]]), ["bits.circom"]);
    const allowed = messages.map(({ tool, code, file, template: name, where }) => ({
      tool,
      code,
      file,
      template: name,
      where: { [where]: 1 },
      reason: REASON,
    }));
    const reviewed = { ...bitsReview(), allowed };
    expect((await lint(new Map(), [program], reviewed)).problems).toEqual([]);

    // One constraint less: the listed hint is found, and so is circom's view of it.
    const forged = {
      ...program,
      source: replaced(replaced(program.source, "sum === in;", ""), "out[i] * (out[i] - 1) === 0;", ""),
    };
    const found = (await lint(new Map(), [forged], reviewed)).problems.map((problem) => problem.code);
    expect(found).toEqual(
      expect.arrayContaining(["HINT_UNCONSTRAINED", "HINT_UNBOUND", "MESSAGE_UNREVIEWED", "ALLOWANCE_STALE"]),
    );
  });
});
