/**
 * Step 7 of the story: hardware's word. A quote recorded on a real machine is appraised as of its time; and the node's
 * answer gets attestation that is bound to it, beside its proof.
 *
 * This machine has no TEE. What would be the node's is therefore made by a laboratory: a PKI of its own, which nothing but this
 * demo's trust file believes in. Formats, checks and bindings are those of real hardware.
 *
 * @module
 */
import { type Attestation, domains, type TeeTrust } from "../../bundle/index.js";
import { AnchorError } from "../../errors.js";
import { type Hex, keccak, toHex } from "../../field/bytes.js";
import type { InferenceStatement } from "../../protocol/statements.js";
import {
  appraise,
  deviceNonce,
  type Evidence,
  evidenceBytes,
  mergeCollateral,
  type Policy,
  policyFromJson,
  type TeeVerdict,
  taskOfInference,
  taskReportData,
  verify,
} from "../../tee/index.js";
import type { Lab } from "../../tee/lab/bytes.js";
import { type IntelOptions, intelPlatform } from "../../tee/lab/intel.js";
import { type NvidiaOptions, nvidiaDevice } from "../../tee/lab/nvidia.js";
import { recorded, recordedFolder } from "../../tee/lab/recorded.js";
import { blockTime, type World } from "./world.js";

/** What the node's program measures as: the number that a reviewer of its image would have computed. */
const NODE_IMAGE: Hex = `0x${"a1".repeat(48)}`;

/** The policy of this demo's validators for answers. */
function nodePolicy(): Policy {
  return policyFromJson({
    format: "anchorproof/tee-policy@1",
    name: "demo: a TDX guest with one GPU",
    binding: "task",
    requireDeviceBinding: "task",
    families: {
      tdx: { measurements: [{ name: "inference node 1.0", values: { mrTd: NODE_IMAGE } }] },
      nvidia: {},
    },
  });
}

/** A quote of somebody else's machine: real where recordings are at hand. */
export function appraiseRecorded(): { verdict: TeeVerdict; source: string } {
  const folder = recordedFolder();
  const lab: Lab<Evidence> = folder
    ? recorded(folder, ["intel", "tdx-v4-phala"], "quote.bin", ["collateral.json"], RECORDED_AT)
    : intelPlatform();
  const verification = verify(lab.evidence, lab.collateral, { now: lab.now, roots: lab.roots });
  if (!verification.ok) throw new AnchorError(verification.failure.code, verification.failure.message);
  const policy = policyFromJson({
    format: "anchorproof/tee-policy@1",
    name: "demo: one image, on a platform that is up to date",
    binding: "any",
    families: { tdx: { measurements: [{ values: { mrTd: verification.claims.measurements["mrTd"]! } }] } },
  });
  const source = folder
    ? "a TDX quote recorded on a real machine, against Intel's own root"
    : "a TDX quote of the laboratory's";
  return { verdict: appraise(verification, policy), source };
}

const RECORDED_AT = 1751624191;

export interface AttestedAnswer {
  attestation: Attestation;
  /** For another answer, or otherwise wrong; with what would have to be believed for it to be right. */
  remake(changes: {
    statement?: InferenceStatement;
    cpu?: IntelOptions;
    gpu?: NvidiaOptions;
  }): Omit<AttestedAnswer, "remake"> & { tee: TeeTrust };
}

/** Attests an answer, and makes the trust file believe in the laboratory. */
export async function attestAnswer(world: World, statement: InferenceStatement): Promise<AttestedAnswer> {
  const now = Number(await blockTime(world));
  const remake: AttestedAnswer["remake"] = ({ statement: answer = statement, cpu, gpu }) => {
    const task = taskOfInference(domains(world.trust).gate, answer);
    const device = nvidiaDevice({ now, nonce: deviceNonce(task), ...gpu });
    const reportData = taskReportData(task, [toHex(keccak(evidenceBytes(device.evidence)))]);
    const image = { measurements: { mrTd: NODE_IMAGE }, body: "td-1.5" } as const;
    const platform = intelPlatform({ now, ...image, reportData, ...cpu });
    return {
      attestation: {
        machine: { cpu: platform.evidence, devices: [device.evidence], tokens: [] },
        collateral: mergeCollateral(platform.collateral, device.collateral),
        enclaveKey: "0x",
      },
      tee: { policy: nodePolicy(), roots: { ...platform.roots, ...device.roots } },
    };
  };
  const { attestation, tee } = remake({});
  world.trust.tee = tee;
  world.trust.assurance = "TEE+ZK";
  return { attestation, remake };
}
