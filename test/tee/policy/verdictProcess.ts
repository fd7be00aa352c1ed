/** Run by `verdict.test.ts` in a process of its own: verdicts over the same inputs, written in one order of keys or the other. */
import { appraise } from "../../../src/tee/policy/appraise.js";
import { policyFromJson } from "../../../src/tee/policy/policy.js";
import { teeVerdictToJson } from "../../../src/tee/verdict.js";
import { authentic, CLAIMS, EVERYTHING, eventLog, json, NONCE, rulesFor } from "./fixtures.js";

const backward = process.argv[2] === "backward";

/** The same value with its keys the other way round, and with `sets`, its lists of text. */
function turned<T>(value: T, sets = false): T {
  if (!backward || typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) {
    const items = value.map((each) => turned(each, sets));
    const isSet = sets && items.every((each) => typeof each === "string");
    return (isSet ? items.reverse() : items) as T;
  }
  const entries = Object.entries(value).map(([key, each]) => [key, turned(each, sets)]);
  return Object.fromEntries(entries.reverse()) as T;
}

const { families, ...rest } = EVERYTHING as { families: Record<string, unknown> };
const everything = policyFromJson(turned({ ...rest, families: { tdx: families["tdx"] } }, true));
const expected = turned({ nonce: NONCE, reportData: CLAIMS.tdx().reportData! });
const verification = turned(authentic(CLAIMS.tdx()));
const verdicts = [
  appraise(verification, everything, expected, { eventLog: turned(eventLog()) }),
  appraise(turned(authentic(CLAIMS.nras())), policyFromJson(turned(json({ nras: rulesFor("nras") }), true))),
  appraise({ ...verification, ok: false, failure: { code: "EXPIRED", message: "it was" } } as never, everything),
];
process.stdout.write(`${verdicts.map(teeVerdictToJson).join("\n")}\n`);
