/** Hardware's word in a bundle: accepted for this very answer under the verifier's roots and policy, and for nothing else. */
import { describe, expect, it } from "vitest";
import {
  type Attestation,
  type Bundle,
  bundleFromJson,
  bundleToJson,
  type TeeTrust,
  type Trust,
  trustFromJson,
  trustToJson,
  type Verdict,
  verdictToJson,
  verifyBundle,
} from "../../src/bundle/index.js";
import { AnchorError } from "../../src/errors.js";
import { type Hex, keccak, toHex } from "../../src/field/bytes.js";
import { publicSignals, statementDigest } from "../../src/protocol/statements.js";
import { deviceNonce, taskOfInference, taskReportData } from "../../src/tee/binding.js";
import { mergeCollateral } from "../../src/tee/collateral.js";
import { evidenceBytes } from "../../src/tee/evidence.js";
import { type IntelOptions, intelPlatform } from "../../src/tee/lab/intel.js";
import { nitroEnclave } from "../../src/tee/lab/nitro.js";
import { type NvidiaOptions, nvidiaDevice } from "../../src/tee/lab/nvidia.js";
import { snpProcessor } from "../../src/tee/lab/snp.js";
import { policyFromJson } from "../../src/tee/policy/policy.js";
import { verifyStatement } from "../../src/verifier/statement.js";
import { simulateProof } from "../chain/simulated.js";
import { DOMAINS } from "../support/parties.js";
import { leaves, MODEL_KEY, makeBundle, NOW, signReceipt, TRUST, withLeaf } from "./fixture.js";

const now = Number(NOW);
const honest = makeBundle();
const IMAGE: Hex = `0x${"a1".repeat(48)}`;
const fill = (byte: string, length: number): Hex => `0x${byte.repeat(length)}`;

const policy = (changes: Record<string, unknown> = {}, tdx: Record<string, unknown> = {}) =>
  policyFromJson({
    format: "anchorproof/tee-policy@1",
    name: "a TDX guest with one GPU",
    binding: "task",
    requireDeviceBinding: "task",
    families: { tdx: { measurements: [{ name: "node 1.0", values: { mrTd: IMAGE } }], ...tdx }, nvidia: {} },
    ...changes,
  });

interface Made {
  attestation: Attestation;
  tee: TeeTrust;
}

/** Attests an answer, with keys made on the spot. */
function attest(
  statement = honest.inference.statement,
  {
    cpu,
    gpu,
    domain = DOMAINS.gate,
    enclaveKey = "0x",
  }: { cpu?: IntelOptions; gpu?: NvidiaOptions; domain?: typeof DOMAINS.gate; enclaveKey?: Hex } = {},
): Made {
  const task = taskOfInference(domain, statement, enclaveKey);
  const device = nvidiaDevice({ now, nonce: deviceNonce(task), ...gpu });
  const reportData = taskReportData(task, [toHex(keccak(evidenceBytes(device.evidence)))]);
  const platform = intelPlatform({ now, body: "td-1.5", measurements: { mrTd: IMAGE }, reportData, ...cpu });
  return {
    attestation: {
      machine: { cpu: platform.evidence, devices: [device.evidence], tokens: [] },
      collateral: mergeCollateral(platform.collateral, device.collateral),
      enclaveKey,
    },
    tee: { policy: policy(), roots: { ...platform.roots, ...device.roots } },
  };
}

const made = attest();
const trusting = (tee: TeeTrust, changes: Partial<Trust> = {}): Trust => ({
  ...TRUST,
  tee,
  assurance: "TEE+ZK",
  ...changes,
});
const withAttestation = (attestation: Attestation, bundle: Bundle = honest): Bundle => ({
  ...bundle,
  inference: { ...bundle.inference, attestation },
});
/** `null` for no time at all. */
const judge = (bundle: Bundle, trust: Trust, at: number | null = now): Verdict =>
  verifyBundle(JSON.parse(JSON.stringify(bundleToJson(bundle))), trust, at === null ? {} : { now: at });

const failures = ({ claims, ok }: Verdict) => {
  const failed = claims.filter((claim) => !claim.ok);
  expect(ok).toBe(failed.length === 0);
  return failed.map(({ id, failure }) => `${id} ${failure!.code}`);
};

/** What an attestation is refused with; the mode that needs it does not hold then either. */
function refusal({ attestation, tee }: Made, trust: Partial<Trust> = {}, at: number | null = now): string {
  const verdict = judge(withAttestation(attestation), trusting(tee, trust), at);
  const [first, ...rest] = failures(verdict);
  expect(rest).toEqual(["inference.assurance CLAIM_FAILED"]);
  expect(verdict.assurance.filter(({ holds }) => holds).map(({ mode }) => mode)).toEqual(["ZK", "OP"]);
  expect(first).toMatch(/^inference\.attestation /);
  return first!.replace("inference.attestation ", "");
}

describe("attestation in a bundle", () => {
  it("holds for the answer, beside its proof, in every mode", () => {
    const verdict = judge(withAttestation(made.attestation), trusting(made.tee));
    expect(failures(verdict)).toEqual([]);
    expect(verdict.claims).toHaveLength(16);
    expect(verdict.assurance.every(({ holds }) => holds)).toBe(true);
    expect(verdict.required).toBe("TEE+ZK");
    expect(verdict.tee).toMatchObject({ accepted: true, tee: true, deviceBinding: "task", verifiedAt: now });
    const both = verdict.assurance.find(({ mode }) => mode === "TEE+ZK")!;
    expect(both.shows).toContain('"node 1.0"');
    // Nothing in the evidence shows where the input went.
    expect(both.shows).not.toMatch(/input/);
    expect(both.open).toMatch(/input stays secret/);
    expect(verdict.notProven.join("\n")).toMatch(/^TEE: .*TEE\.fail/m);
  });

  it("survives a round trip, and gives the same bytes again", () => {
    const bundle = withAttestation(made.attestation);
    const json = JSON.parse(JSON.stringify(bundleToJson(bundle)));
    expect(bundleToJson(bundleFromJson(json))).toEqual(json);
    const trust = trusting(made.tee);
    const read = trustFromJson(JSON.parse(JSON.stringify(trustToJson(trust))));
    expect(verdictToJson(verifyBundle(json, read, { now }))).toBe(verdictToJson(judge(bundle, trust)));
  });

  it("is as of a time that the verifier names", () => {
    for (const at of [null, Number.NaN, Number.POSITIVE_INFINITY, -1, 1.5, 1000 * now]) {
      expect(refusal(made, {}, at), String(at)).toBe("BAD_TIME");
    }
    expect(refusal(made, {}, now + 100 * 365 * 86_400)).toBe("EXPIRED");
    expect(refusal(made, {}, now - 20 * 365 * 86_400)).toBe("NOT_YET_VALID");
    const { validFrom, validUntil } = judge(withAttestation(made.attestation), trusting(made.tee)).tee!;
    for (const at of [validFrom!, validUntil!]) {
      expect(failures(judge(withAttestation(made.attestation), trusting(made.tee), at))).toEqual([]);
    }
    expect(refusal(made, {}, validUntil! + 1)).toBe("EXPIRED");
    expect(refusal(made, {}, validFrom! - 1)).toBe("NOT_YET_VALID");
  });

  it("that nobody can judge is refused, not passed over", () => {
    const bundle = withAttestation(made.attestation);
    expect(failures(judge(bundle, TRUST))).toEqual(["inference.attestation UNANCHORED"]);
    expect(failures(judge(bundle, { ...TRUST, assurance: "ZK" }))).toEqual(["inference.attestation UNANCHORED"]);
    expect(failures(judge(bundle, { ...TRUST, assurance: "TEE" }))).toEqual([
      "inference.attestation UNANCHORED",
      "inference.assurance CLAIM_FAILED",
    ]);
    expect(refusal({ ...made, tee: { policy: made.tee.policy } })).toBe("CHAIN_UNTRUSTED");
  });

  it("that the trust file asks for has to be there", () => {
    for (const [assurance, found] of [
      ["ZK", []],
      ["OP", []],
      ["TEE", ["inference.assurance CLAIM_FAILED"]],
      ["TEE+ZK", ["inference.assurance CLAIM_FAILED"]],
    ] as const) {
      expect(failures(judge(honest, trusting(made.tee, { assurance })))).toEqual(found);
    }
  });

  it("does not make up for a proof that fails, nor a proof for it", () => {
    const statement = { ...honest.inference.statement, output: 0n };
    const other = attest(statement);
    const receipt = {
      ...honest.inference.receipt,
      responseHash: statementDigest(DOMAINS.gate, "InferenceStatement", statement),
    };
    const inference = {
      ...honest.inference,
      statement,
      receipt,
      signatures: signReceipt(receipt),
      attestation: other.attestation,
    };
    const verdict = judge({ ...honest, inference }, trusting(other.tee));
    expect(failures(verdict)).toEqual([
      "inference.proof PROOF_INVALID",
      "inference.receipt CLAIM_FAILED",
      "inference.assurance CLAIM_FAILED",
    ]);
    expect(verdict.assurance.filter(({ holds }) => holds).map(({ mode }) => mode)).toEqual(["TEE"]);
  });

  it("of another answer, chain or gate is refused: it cannot be moved from bundle to bundle", () => {
    const { statement } = honest.inference;
    const { task } = statement;
    for (const other of [
      { ...statement, output: 0n },
      { ...statement, inputCommitment: 100n },
      { ...statement, modelDigest: TRUST.keys[0]!.keyDigest },
      { ...statement, task: { ...task, taskId: TRUST.keys[0]!.keyDigest } },
      { ...statement, task: { ...task, nonce: task.nonce + 1n } },
    ]) {
      expect(refusal(attest(other))).toBe("NONCE_MISMATCH");
    }
    const { chainId, verifyingContract } = DOMAINS.gate;
    expect(refusal(attest(statement, { domain: { chainId: chainId + 1n, verifyingContract } }))).toBe("NONCE_MISMATCH");
    expect(refusal(attest(statement, { domain: { chainId, verifyingContract: TRUST.contracts.token } }))).toBe(
      "NONCE_MISMATCH",
    );
  });

  it("between two whole bundles: each holds with its own, and not with the other's", () => {
    const statement = {
      ...honest.inference.statement,
      task: { ...honest.inference.statement.task, taskId: TRUST.keys[1]!.keyDigest },
    };
    const proof = simulateProof(MODEL_KEY, publicSignals(DOMAINS.gate, "InferenceStatement", statement), "second");
    const { evidenceDigest } = verifyStatement(DOMAINS.gate, "InferenceStatement", statement, MODEL_KEY.vkey, proof);
    const responseHash = statementDigest(DOMAINS.gate, "InferenceStatement", statement);
    const receipt = { ...honest.inference.receipt, responseHash, evidenceDigest };
    const second: Bundle = {
      ...honest,
      inference: { statement, proof, receipt, signatures: signReceipt(receipt) },
    };
    const own = attest(statement);
    expect(failures(judge(withAttestation(own.attestation, second), trusting(own.tee)))).toEqual([]);
    expect(failures(judge(withAttestation(made.attestation, second), trusting(made.tee)))).toEqual([
      "inference.attestation NONCE_MISMATCH",
      "inference.assurance CLAIM_FAILED",
    ]);
    expect(refusal(own)).toBe("NONCE_MISMATCH");
  });

  it.each<[string, string, () => Made]>([
    [
      "a report for another answer beside a GPU's for this one",
      "BINDING_MISMATCH",
      () => attest(undefined, { cpu: { reportData: fill("11", 64) } }),
    ],
    ["a TD in debug mode", "DEBUG_ENABLED", () => attest(undefined, { cpu: { debug: true } })],
    [
      "another program",
      "MEASUREMENT_MISMATCH",
      () => attest(undefined, { cpu: { measurements: { mrTd: fill("a2", 48) } } }),
    ],
    ["a revoked platform", "CERT_REVOKED", () => attest(undefined, { cpu: { revoked: ["pck"] } })],
    ["a platform behind", "APPRAISAL_FAILED", () => attest(undefined, { cpu: { pceSvn: 11 } })],
    [
      "a GPU with other firmware",
      "FWID_MISMATCH",
      () => attest(undefined, { gpu: { certificateFwid: fill("ee", 48) } }),
    ],
    ["a GPU asked by somebody else", "NONCE_MISMATCH", () => attest(undefined, { gpu: { nonce: fill("ee", 32) } })],
    [
      "a GPU of which nobody says that it is not revoked",
      "REVOCATION_UNKNOWN",
      () => attest(undefined, { gpu: { ocsp: false } }),
    ],
    [
      "an enclave's key that the report does not name",
      "NONCE_MISMATCH",
      () => ({ ...made, attestation: { ...made.attestation, enclaveKey: fill("02", 33) } }),
    ],
    [
      "without its GPU",
      "BINDING_MISMATCH",
      () => ({ ...made, attestation: { ...made.attestation, machine: { ...made.attestation.machine, devices: [] } } }),
    ],
    [
      "the same GPU twice",
      "DUPLICATE_DEVICE",
      () => {
        const [device] = made.attestation.machine.devices;
        return {
          ...made,
          attestation: { ...made.attestation, machine: { ...made.attestation.machine, devices: [device!, device!] } },
        };
      },
    ],
    [
      "collateral that is another platform's",
      "COLLATERAL_MISSING",
      () => ({ ...made, attestation: { ...made.attestation, collateral: {} } }),
    ],
    [
      "a policy that takes any program",
      "APPRAISAL_FAILED",
      () => ({ ...made, tee: { ...made.tee, policy: policy({}, { measurements: "any" }) } }),
    ],
    [
      "a policy about other hardware",
      "APPRAISAL_FAILED",
      () => ({ ...made, tee: { ...made.tee, policy: policy({ families: { snp: { measurements: "any" } } }) } }),
    ],
  ])("refuses %s: %s", (_, code, make) => {
    expect(refusal(make())).toBe(code);
  });

  it("is bound to the answer whatever the policy asks: a lax one binds nothing less", () => {
    const lax = policy({ binding: "any", requireDeviceBinding: "any" });
    const unbound = attest(undefined, { cpu: { reportData: fill("00", 64) } });
    expect(refusal({ ...unbound, tee: { ...unbound.tee, policy: lax } })).toBe("BINDING_MISMATCH");
    expect(failures(judge(withAttestation(made.attestation), trusting({ ...made.tee, policy: lax })))).toEqual([]);
  });

  it("of a named key holds with that key", () => {
    const keyed = attest(undefined, { enclaveKey: fill("02", 33) });
    expect(failures(judge(withAttestation(keyed.attestation), trusting(keyed.tee)))).toEqual([]);
    expect(refusal({ ...keyed, attestation: { ...keyed.attestation, enclaveKey: "0x" } })).toBe("NONCE_MISMATCH");
  });

  it("of hardware that is broken says so wherever it says anything", () => {
    const task = taskOfInference(DOMAINS.gate, honest.inference.statement);
    const milan = snpProcessor({ now, reportData: taskReportData(task, []) });
    const families = { snp: { measurements: [{ values: { measurement: fill("b1", 48) } }] } };
    const tee = { policy: policy({ families, requireDeviceBinding: "any" }), roots: milan.roots };
    const attestation = {
      machine: { cpu: milan.evidence, devices: [], tokens: [] },
      collateral: milan.collateral,
      enclaveKey: "0x" as const,
    };
    const verdict = judge(withAttestation(attestation), trusting(tee));
    expect(failures(verdict)).toEqual([]);
    for (const { mode, shows } of verdict.assurance.filter((row) => row.mode.startsWith("TEE"))) {
      expect(shows, mode).toMatch(/broken kind .*2605\.12990/);
      expect(shows).not.toMatch(/keeps others out/);
    }
    const strict = {
      ...tee,
      policy: policy({
        families: { snp: { ...families.snp, products: { deny: ["Milan"] } } },
        requireDeviceBinding: "any",
      }),
    };
    expect(refusal({ attestation, tee: strict })).toBe("APPRAISAL_FAILED");
  });

  it("of a Nitro enclave has its own fields", () => {
    const enclaveKey = fill("02", 33);
    const task = taskOfInference(DOMAINS.gate, honest.inference.statement, enclaveKey);
    const leaf = taskReportData(task, []).slice(0, 66) as Hex;
    const of = (publicKey: Hex): Made => {
      const enclave = nitroEnclave({
        now,
        userData: leaf,
        nonce: task.nonce,
        publicKey,
        pcrs: { 0: fill("a1", 48) as Hex, 1: fill("a2", 48), 2: fill("a3", 48) },
      });
      const families = { nitro: { measurements: [{ values: { pcr0: fill("a1", 48) } }] } };
      return {
        attestation: { machine: { cpu: enclave.evidence, devices: [], tokens: [] }, collateral: {}, enclaveKey },
        tee: { policy: policy({ families, requireDeviceBinding: "any" }), roots: enclave.roots },
      };
    };
    const good = of(enclaveKey);
    expect(failures(judge(withAttestation(good.attestation), trusting(good.tee)))).toEqual([]);
    expect(refusal(of(fill("03", 33)))).toBe("BINDING_MISMATCH");
  });
});

describe("attestation as JSON", () => {
  const json = JSON.parse(JSON.stringify(bundleToJson(withAttestation(made.attestation))));
  const trust = trusting(made.tee);
  const at = ["inference", "attestation"];
  const outcome = (document: unknown): string => {
    try {
      return failures(verifyBundle(document, trust, { now })).join();
    } catch (error) {
      if (!(error instanceof AnchorError)) throw error;
      expect(error.code).not.toBe("INTERNAL");
      return error.code;
    }
  };
  const places = leaves(json.inference.attestation).map((path) => [...at, ...path]);

  it("has one spelling, and no leaf of the evidence that can be changed unseen", () => {
    expect(outcome(json)).toBe("");
    for (const path of places) {
      for (const change of [
        () => null,
        (old: string) => `${old}x`,
        (old: string) => (old.startsWith("0x") ? old.toUpperCase() : `${old}=`),
        () => [],
      ]) {
        expect(outcome(withLeaf(json, path, change as never)), path.join(".")).not.toBe("");
      }
    }
  });

  it("has no room for more, and no depth that breaks anything", () => {
    const deep = JSON.parse(`${"[".repeat(100_000)}${"]".repeat(100_000)}`);
    for (const path of [
      at,
      [...at, "machine"],
      [...at, "machine", "cpu"],
      [...at, "collateral"],
      [...at, "machine", "devices", 0],
    ]) {
      expect(outcome(withLeaf(json, path, (old: object) => ({ ...old, hidden: 1 }))), path.join(".")).not.toBe("");
      expect(outcome(withLeaf(json, path, (old: object) => ({ ...old, hidden: deep })))).not.toBe("");
      expect(outcome(withLeaf(json, path, () => deep))).not.toBe("");
    }
    for (const path of places) expect(outcome(withLeaf(json, path, () => deep)), path.join(".")).not.toBe("");
    const many = withLeaf(json, [...at, "machine", "devices"], (old: unknown[]) =>
      Array.from({ length: 257 }, () => old[0]),
    );
    expect(outcome(many)).toBe("EVIDENCE_MALFORMED");
  });

  it("a single piece is not read as a machine: a machine has one spelling", () => {
    const { cpu } = json.inference.attestation.machine;
    const single = withLeaf(json, [...at, "machine"], () => ({ format: "anchorproof/tee-evidence@1", ...cpu }));
    expect(outcome(single)).toBe("BUNDLE_INVALID");
  });

  it("evidence of many megabytes is refused in good time", () => {
    const large = Buffer.alloc(8 * 1024 * 1024, 1).toString("base64");
    const grown = withLeaf(json, [...at, "machine", "cpu", "quote"], () => large);
    expect(outcome(grown)).toMatch(/^inference\.attestation |^EVIDENCE_MALFORMED/);
  });
});

describe("the trust file's words about TEEs", () => {
  const trust = JSON.parse(JSON.stringify(trustToJson(trusting(made.tee))));

  it("are read strictly", () => {
    expect(trustToJson(trustFromJson(trust))).toEqual(trust);
    for (const [path, value] of [
      [["assurance"], "tee"],
      [["assurance"], ""],
      [["assurance"], null],
      [["tee"], null],
      [["tee"], {}],
      [["tee", "policy", "binding"], "none"],
      [["tee", "policy", "families"], {}],
      [["tee", "roots", "intel"], "x"],
      [["tee", "roots", "intel", 0], "AA"],
      [["tee", "roots", "intel", 0], ""],
    ] as const) {
      const changed = withLeaf(trust, path as never, () => value);
      expect(outcomeOfTrust(changed), path.join(".")).toMatch(/^(?:TRUST_INVALID|POLICY_INVALID)$/);
    }
  });

  const outcomeOfTrust = (json: unknown): string => {
    try {
      trustFromJson(json);
      return "accepted";
    } catch (error) {
      if (!(error instanceof AnchorError)) throw error;
      return error.code;
    }
  };
});
