import { trustFromJson, type Verdict, verdictToJson, verifyBundle } from "../bundle/index.js";
import { AnchorError } from "../errors.js";
import { fromHex } from "../field/bytes.js";
import { commitInput } from "../model/commitment.js";
import { mailBody } from "../model/corpus.js";
import { extractFeatures, FEATURE_RANGE } from "../model/features.js";
import { keyDigest, parseProof, parsePublicSignals, parseVerifyingKey, verifyGroth16 } from "../verifier/groth16.js";
import { lintVerifyingKey } from "../verifier/lint.js";
import {
  type Command,
  instant,
  optional,
  readDocument,
  readJson,
  required,
  type Values,
  writeWhole,
} from "./command.js";
import type { Terminal } from "./terminal.js";

export const verifyCommand: Command = {
  name: "verify",
  summary: "check a bundle against a trust file, or a single Groth16 proof; offline",
  help: `
A bundle, with all evidence of a task:
  BUNDLE.json        the evidence
  --trust FILE       what you hold to be true: keys, models, quorum epochs, chain and contracts. Without it: UNANCHORED
  --at TIME          the time to check attestation at, Unix seconds or ISO 8601; without it, this machine's clock
  --query FILE       a question (mail and salt), to check as well that its features are behind the input commitment
  --json             print the verdict as canonical JSON; equal inputs give equal bytes
  --out FILE         write that JSON to a file

A single proof in snarkjs' formats:
  --proof FILE --public FILE --vkey FILE

Exits with 0 only if everything holds. What \`prove inference\` wrote is for \`verify inference\`.
`,
  options: {
    trust: { type: "string" },
    at: { type: "string" },
    query: { type: "string" },
    json: { type: "boolean" },
    out: { type: "string" },
    proof: { type: "string" },
    public: { type: "string" },
    vkey: { type: "string" },
  },
  positionals: ["BUNDLE.json"],
  async run({ values, positionals, terminal }) {
    const [path] = positionals;
    if (!path) {
      refuseOptions(values, ["trust", "at", "query", "json", "out"], "a bundle");
      return verifySingle(terminal, required(values, "proof"), required(values, "public"), required(values, "vkey"));
    }
    refuseOptions(values, ["proof", "public", "vkey"], "a single proof");
    const bundle = await readDocument(path);
    const trustPath = optional(values, "trust");
    const trust = trustPath === undefined ? undefined : trustFromJson(await readDocument(trustPath));
    const at = optional(values, "at");
    const verdict = verifyBundle(bundle, trust, {
      now: at === undefined ? Math.floor(Date.now() / 1000) : instant(at),
    });
    const query = optional(values, "query");
    if (query !== undefined) checkQuery(verdict, bundle, await readJson(query));

    const text = verdictToJson(verdict);
    const out = optional(values, "out");
    if (out !== undefined) await writeWhole(out, `${text}\n`);
    if (values["json"]) terminal.line(text);
    else {
      printVerdict(terminal, verdict);
      if (verdict.tee && at === undefined)
        terminal.line("attestation was checked by this machine's clock: --at names another time");
    }
    if (!verdict.ok) {
      const failed = verdict.claims.filter(({ ok }) => !ok).map(({ id }) => id);
      throw new AnchorError("CLAIM_FAILED", `${failed.join(", ")} ${failed.length === 1 ? "does" : "do"} not hold`);
    }
  },
};

export function printVerdict(terminal: Terminal, { claims, assurance, required, notProven, ok }: Verdict): void {
  for (const { id, claim, by, failure, ok: holds } of claims) {
    terminal.line(`${holds ? "ok  " : "FAIL"} ${id}: ${claim}`);
    terminal.line(`       by ${by}`);
    if (failure) terminal.line(`       ${failure.code}: ${failure.message}`);
  }
  terminal.line("the answer can be relied on by:");
  for (const { mode, holds, shows, by, open } of assurance) {
    terminal.line(
      `  ${holds ? "yes" : "no "} ${mode.padEnd(6)} ${shows}${mode === required ? " (what the trust file asks for)" : ""}`,
    );
    if (holds) terminal.line(`             by ${by}; left open: ${open}`);
  }
  terminal.line("not proven:");
  for (const gap of notProven) terminal.line(`  - ${gap}`);
  terminal.line(ok ? `all ${claims.length} claims hold` : "NOT VALID");
}

/** An option that does nothing must not look as if it did. */
function refuseOptions(values: Values, names: readonly string[], belongTo: string): void {
  const given = names.find((name) => values[name] !== undefined);
  if (given)
    throw new AnchorError(
      "USAGE",
      `--${given} goes with ${belongTo}; name either a bundle, or --proof, --public and --vkey`,
    );
}

/** Recomputes features and commitment from the question; its author alone can do that, or whoever was given it. */
function checkQuery(verdict: Verdict, bundle: unknown, json: unknown): void {
  const { mail, salt } = (json ?? {}) as { mail?: unknown; salt?: unknown };
  if (typeof mail !== "string" || typeof salt !== "string") {
    throw new AnchorError("INPUT_INVALID", 'a query is {"mail": base64, "salt": 0x-hex}');
  }
  const features = extractFeatures(mailBody(new Uint8Array(Buffer.from(mail, "base64"))));
  const commitment = commitInput(
    FEATURE_RANGE,
    features,
    BigInt(`0x${Buffer.from(fromHex(salt, "salt", 32)).toString("hex")}`),
  );
  const { inference } = bundle as { inference: { statement: { inputCommitment: string } } };
  const ok = commitment.toString() === inference.statement.inputCommitment;
  verdict.claims.push({
    id: "inference.features",
    claim: "the input behind the commitment is the features of the given mail",
    by: "recomputing features and commitment from the mail and its salt",
    ok,
    ...(ok
      ? {}
      : { failure: { code: "CLAIM_FAILED", message: "the mail has other features, or the salt is another" } }),
  });
  verdict.ok &&= ok;
  if (ok) verdict.notProven = verdict.notProven.filter((gap) => !gap.startsWith("inference: that the features"));
}

async function verifySingle(
  terminal: Terminal,
  proofPath: string,
  publicPath: string,
  vkeyPath: string,
): Promise<void> {
  const key = parseVerifyingKey(await readJson(vkeyPath));
  lintVerifyingKey(key);
  const publicSignals = parsePublicSignals(await readJson(publicPath));
  const proof = parseProof(await readJson(proofPath));
  if (!verifyGroth16(key, publicSignals, proof)) {
    throw new AnchorError("PROOF_INVALID", "the proof does not verify for these public signals under this key");
  }
  terminal.line(`ok   the proof verifies under key ${keyDigest(key)}`);
  terminal.line("     public signals are as given: whether they are the ones you expect is for you to check");
}
