/**
 * What the laboratory makes verifies: tests that change one thing of it and see it refused stand on this.
 */
import { describe, expect, it } from "vitest";
import { type Hex, toHex } from "../../../src/field/bytes.js";
import { deviceNonce, type TeeTask } from "../../../src/tee/binding.js";
import type { Claims, NvidiaClaims } from "../../../src/tee/claims.js";
import { type CompositeOptions, verifyComposite } from "../../../src/tee/composite.js";
import type { Verification } from "../../../src/tee/context.js";
import { verifyEventLog } from "../../../src/tee/eventLog/verify.js";
import type { Evidence } from "../../../src/tee/evidence.js";
import { azureGuest } from "../../../src/tee/lab/azure.js";
import type { Lab } from "../../../src/tee/lab/bytes.js";
import { ccaRealm } from "../../../src/tee/lab/cca.js";
import { LAB_NOW } from "../../../src/tee/lab/certificates.js";
import { ccelLog, dstackLog } from "../../../src/tee/lab/eventLog.js";
import { type IntelOptions, intelPlatform } from "../../../src/tee/lab/intel.js";
import { labMachine, type MachineOptions, together } from "../../../src/tee/lab/machine.js";
import { nitroEnclave } from "../../../src/tee/lab/nitro.js";
import { nrasAnswer } from "../../../src/tee/lab/nras.js";
import { nvidiaDevice } from "../../../src/tee/lab/nvidia.js";
import { snpProcessor } from "../../../src/tee/lab/snp.js";
import { verify } from "../../../src/tee/verify.js";

function verified({ now, roots, evidence, collateral }: Lab<Evidence>): Verification {
  return verify(evidence, collateral, { now, roots });
}

/** The claims; a failure speaks for itself. */
function accepted(lab: Lab<Evidence>): Claims {
  const result = verified(lab);
  if (!result.ok) throw new Error(`${result.failure.code}: ${result.failure.message}`);
  expect(result.verifiedAt).toBe(LAB_NOW);
  expect(result.validUntil).toBeGreaterThan(LAB_NOW);
  return result.claims;
}

const outcome = (lab: Lab<Evidence>): string => {
  const result = verified(lab);
  return result.ok ? "ok" : result.failure.code;
};

describe("the laboratory's own", () => {
  it("Intel platforms are accepted, in every version and body", () => {
    const bodies: IntelOptions[] = [
      { body: "sgx" },
      { body: "sgx", version: 4 },
      { body: "sgx", version: 5 },
      {},
      { version: 5 },
      { body: "td-1.5" },
      { body: "td-1.5-ex" },
      { platform: false },
    ];
    for (const options of bodies) {
      const { body = "td-1.0" } = options;
      const family = body === "sgx" ? "sgx" : "tdx";
      expect(accepted(intelPlatform(options))).toMatchObject({ family, body, status: "UpToDate", advisories: [] });
    }
    for (const revoked of ["pck", "intermediate", "tcbSigner"] as const) {
      expect(outcome(intelPlatform({ revoked: [revoked] }))).toBe("CERT_REVOKED");
    }
    const relaunch = intelPlatform({ body: "td-1.5", tdx: { teeTcbSvn: [4, 1, 2], teeTcbSvn2: [6, 1, 4] } });
    expect(accepted(relaunch)).toMatchObject({ status: "RelaunchAdvised" });
  });

  it("SNP processors are accepted", () => {
    for (const signingKey of ["VCEK", "VLEK"] as const) {
      expect(accepted(snpProcessor({ signingKey }))).toMatchObject({ family: "snp", signingKey, revocation: "good" });
    }
    expect(outcome(snpProcessor({ revoked: ["ask"] }))).toBe("CERT_REVOKED");
  });

  it("Nitro enclaves are accepted", () => {
    for (const options of [{}, { indefinite: true }, { crls: true, cose: { tagged: true } }]) {
      expect(accepted(nitroEnclave(options))).toMatchObject({ family: "nitro", debug: false });
    }
    expect(outcome(nitroEnclave({ revoked: [2] }))).toBe("CERT_REVOKED");
  });

  it("GPUs and switches are accepted, with manifests and answers about every certificate", () => {
    for (const device of ["GPU", "NVSwitch"] as const) {
      const claims = accepted(nvidiaDevice({ device })) as NvidiaClaims;
      expect(claims).toMatchObject({ device, fwid: "match", revocation: "good" });
      expect(claims.rims.vbios).toMatchObject({ status: "match", revocation: "good" });
      expect(claims.rims.driver.status).toBe(device === "GPU" ? "match" : "none");
    }
    expect(accepted(nvidiaDevice({ ocspByIssuer: true }))).toMatchObject({ revocation: "good" });
    expect(accepted(nvidiaDevice({ dice: { form: "tcb-info" } }))).toMatchObject({ fwid: "match" });
    expect(outcome(nvidiaDevice({ ocsp: { 2: "revoked" } }))).toBe("CERT_REVOKED");
    expect(outcome(nvidiaDevice({ rimOcsp: { 0: "revoked" } }))).toBe("CERT_REVOKED");
    expect(outcome(nvidiaDevice({ revoked: [1] }))).toBe("CERT_REVOKED");
  });

  it("answers of an attestation service are accepted", () => {
    const devices = { "GPU-0": {}, "GPU-1": { measres: "fail" } };
    const nonce = `0x${"07".repeat(32)}` as const;
    expect(accepted(nrasAnswer({ devices, nonce }))).toMatchObject({ overallResult: true, nonce });
  });

  it("Azure guests are accepted", () => {
    expect(accepted(azureGuest())).toMatchObject({ family: "azure-snp" });
    expect(accepted(azureGuest({ tee: "tdx" }))).toMatchObject({ family: "azure-tdx" });
  });

  it("CCA realms are accepted, in both forms", () => {
    for (const form of ["old", "new"] as const) {
      for (const apart of [false, true]) {
        expect(accepted({ ...ccaRealm({ form, apart }) })).toMatchObject({ family: "cca", debug: false });
      }
    }
  });

  it("event logs replay to the registers of a quote", () => {
    for (const { eventLog, registers } of [dstackLog(), ccelLog()]) {
      expect(verifyEventLog(eventLog, accepted(intelPlatform({ measurements: registers }))).registers).toEqual(
        registers,
      );
    }
  });
});

describe("the laboratory's machines", () => {
  const word = (value: number): Hex => `0x${value.toString(16).padStart(64, "0")}`;
  const task: TeeTask = {
    chainId: 1n,
    contract: `0x${"11".repeat(20)}`,
    taskId: word(1),
    modelDigest: word(2),
    inputCommitment: 3n,
    outputCommitment: 4n,
    enclaveKey: "0x05",
    nonce: word(6),
  };

  function run(options: MachineOptions, asked: Omit<CompositeOptions, "now" | "roots"> = {}) {
    const { composite, collateral, now, roots } = labMachine(options);
    return verifyComposite(composite, collateral, { now, roots, ...asked });
  }

  it("are accepted, bound to a task or not", () => {
    expect(run({})).toMatchObject({ ok: true, boundToTask: false, deviceBinding: "none" });
    const bound = run({ task, devices: [{}, {}, { device: "NVSwitch" }], tokens: [{}] }, { task });
    expect(bound.failure).toBeUndefined();
    expect(bound).toMatchObject({ ok: true, boundToTask: true, deviceBinding: "task" });
    expect(new Set(bound.devices.map((each) => each.ok && each.claims.deviceId)).size).toBe(3);
    expect(bound.eventLog?.composeHash).toBeDefined();
  });

  it("have other CPUs, and no devices", () => {
    const snp = run(
      { task, devices: [], eventLog: false, cpu: ({ reportData }) => snpProcessor({ reportData }) },
      { task },
    );
    expect(snp).toMatchObject({ ok: true, boundToTask: true, deviceBinding: "none" });
  });

  it("are refused for another task, another nonce, one device twice", () => {
    const code = (options: MachineOptions, asked = {}) => run(options, asked).failure?.code;
    expect(code({ task }, { task: { ...task, outputCommitment: 5n } })).toBe("NONCE_MISMATCH");
    expect(code({ task, devices: [] }, { task: { ...task, outputCommitment: 5n } })).toBe("BINDING_MISMATCH");
    expect(code({ task, devices: [{ nonce: [1] }] }, { task })).toBe("NONCE_MISMATCH");
    const { keys } = nvidiaDevice();
    expect(code({ devices: [{ keys }, { keys }] })).toBe("DUPLICATE_DEVICE");
  });

  it("ask their devices with the task's own nonce", () => {
    const { devices } = labMachine({ task });
    expect(toHex(devices[0]!.evidence.report.subarray(4, 36))).toBe(deviceNonce(task));
  });

  it("bring roots and collateral of all parts together", () => {
    const milan = snpProcessor({ rsa: "RSA-2048" });
    const genoa = snpProcessor({ product: "Genoa", rsa: "RSA-2048" });
    const { roots, collateral } = together([milan, genoa, intelPlatform(), intelPlatform()]);
    expect(roots.amd!.Milan).toEqual(milan.roots.amd!.Milan);
    expect(roots.amd!.Genoa).toEqual(genoa.roots.amd!.Genoa);
    expect(roots.intel).toHaveLength(2);
    expect(collateral.intel).toHaveLength(2);
    expect(collateral.amd!.crls).toHaveLength(2);
  });
});
