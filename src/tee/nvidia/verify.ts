/**
 * An NVIDIA GPU's or switch's report: signed by the device, whose certificates chain to the pinned root; its firmware the one
 * that its certificate was issued to; its measurements those of NVIDIA's reference manifests; its certificates not revoked.
 *
 * A report shows a device in confidential mode, not where it is: it can be relayed from another machine, until devices and
 * CPUs attest each other. The nonce is returned as the device signed it; who asked for it compares.
 *
 * @module
 */
import { AnchorError } from "../../errors.js";
import { type Hex, keccak, toHex } from "../../field/bytes.js";
import type { NvidiaClaims, RimResult } from "../claims.js";
import type { Collateral } from "../collateral.js";
import { type Context, demand } from "../context.js";
import type { NvidiaEvidence } from "../evidence.js";
import { equalBytes } from "../read/bytes.js";
import { type Certificate, describe, verifyChain, verifySignature } from "../x509.js";
import {
  type DeviceState,
  type Dice,
  type Identity,
  readCertificates,
  readDice,
  readIdentity,
  readState,
  unknownFields,
} from "./device.js";
import { checkRevocation, type Revocations, readRevocations } from "./revocation.js";
import { outlineRim, type Rim, type RimOutline, verifyRim } from "./rim.js";
import { parseSpdmReport, type SpdmReport } from "./spdm.js";

/** The leaf signs reports and is made by the device for its firmware; the next one is burnt into the chip. */
export const BURNT_IN = 1;
/** A GPU's golden value of this index says nothing where NVDEC0, which it measures, is switched off. */
const NVDEC0_INDEX = 35;
const MAX_RIMS = 256;

/** @throws AnchorError with any code of the groups evidence, certificates, collateral and NVIDIA */
export function verifyNvidia(context: Context, evidence: NvidiaEvidence, collateral: Collateral): NvidiaClaims {
  const report = context.check("nvidia.report.form", "the report is a whole SPDM request with its answer", () =>
    parseSpdmReport(evidence.report),
  );
  const given = context.check("nvidia.device.certificates", "the device's certificates can be read", () =>
    readCertificates(evidence),
  );
  const chain = verifyChain(context, given, {
    id: "nvidia.device",
    what: "certificate of a GPU or switch",
    roots: context.roots.nvidiaDevice,
    keys: "P-384",
  });
  const { leaf, burntIn, identity } = context.check(
    "nvidia.device.identity",
    "the certificate is a GPU's or switch's",
    () => readDeviceChain(chain),
  );
  context.check("nvidia.report.signature", "the report is signed by the device", () => {
    const algorithm = { kind: "ecdsa", hash: "sha384" } as const;
    demand(
      verifySignature(algorithm, leaf.key, report.signed, report.signature, "ieee-p1363"),
      "SPDM_SIGNATURE",
      `the SPDM report is not signed by ${describe(leaf)}`,
    );
  });
  const state = context.check("nvidia.report.state", "the report says what the device runs", () =>
    readState(report, identity),
  );
  const dice = context.check("nvidia.device.dice", "the certificate says what firmware it was issued to", () =>
    readDice(leaf),
  );
  const fwid = checkFirmware(context, state, dice);

  const revocations = context.check("nvidia.revocations", "collateral about revocation can be read", () =>
    context.shared.once(collateral.nvidia, "revocations", () => readRevocations(collateral.nvidia)),
  );
  const revocation = checkRevocation(context, chain, revocations, {
    id: "nvidia.device",
    what: "the device's certificates",
    roots: context.roots.nvidiaDevice,
    from: BURNT_IN,
  });
  const rims = checkRims(context, report, { ...identity, ...state }, collateral, revocations);

  const flags = dice?.flags ?? [];
  for (const flag of flags)
    if (flag !== "debug") context.note(`the device's certificate says of its firmware: ${flag}`);
  return {
    family: "nvidia",
    debug: flags.includes("debug"),
    measurements: {},
    nonce: toHex(report.nonce),
    device: identity.device,
    chip: identity.chip,
    deviceId: toHex(keccak(burntIn.spki)),
    serial: burntIn.serial,
    ueid: BigInt(`0x${leaf.serial}`).toString(),
    driver: state.driver,
    vbios: state.vbios,
    fwid,
    rims,
    revocation,
    ...(state.mode === undefined ? {} : { mode: state.mode }),
    ...(state.protectedPcie === undefined ? {} : { protectedPcie: state.protectedPcie }),
    ...(state.pdi === undefined ? {} : { pdi: toHex(state.pdi) }),
    ...(state.links === undefined ? {} : { links: state.links.map(toHex) }),
    blocks: Object.fromEntries([...report.blocks].sort(byIndex).map(([index, value]) => [String(index), toHex(value)])),
    opaque: Object.fromEntries(unknownFields(report.opaque).map(([type, value]) => [String(type), toHex(value)])),
  };
}

function readDeviceChain(chain: readonly Certificate[]): {
  leaf: Certificate;
  burntIn: Certificate;
  identity: Identity;
} {
  const [leaf, burntIn] = chain;
  demand(
    leaf !== undefined && burntIn !== undefined && chain.length > BURNT_IN + 1,
    "CHAIN_INCOMPLETE",
    "the chain of a GPU or switch lacks the certificate that is burnt into the device",
  );
  return { leaf, burntIn, identity: readIdentity(leaf, burntIn) };
}

/** @throws FWID_MISMATCH */
function checkFirmware(context: Context, state: DeviceState, dice: Dice | undefined): NvidiaClaims["fwid"] {
  const claim = "the device runs the firmware that its certificate was issued to";
  const { fwid } = state;
  if (fwid === undefined) {
    context.note("the report does not name its firmware, as those of switches and of GPUs with a VBIOS of 2023 do not");
    context.unchecked("nvidia.report.fwid", claim, "the report does not name its firmware");
    return "absent";
  }
  context.check("nvidia.report.fwid", claim, () => {
    demand(dice !== undefined, "FWID_MISMATCH", "the device's certificate does not say what firmware it was issued to");
    demand(
      equalBytes(dice.fwid, fwid),
      "FWID_MISMATCH",
      `the report names firmware ${toHex(fwid)}; its certificate was issued to ${toHex(dice.fwid)}`,
    );
  });
  return "match";
}

/**
 * Compares measurements with those of the manifests among the collateral that are for this kind of device.
 *
 * Where collateral has manifests for a part of this chip, one of them must be of the version that the device reports: a
 * manifest of another version is no reason to leave the check out.
 */
function checkRims(
  context: Context,
  report: SpdmReport,
  device: Device,
  collateral: Collateral,
  revocations: Revocations,
): NvidiaClaims["rims"] {
  const outlines = context.check("nvidia.rims", "the reference manifests can be read", () => {
    const rims = collateral.nvidia?.rims ?? [];
    demand(
      rims.length <= MAX_RIMS,
      "COLLATERAL_MALFORMED",
      `collateral holds ${rims.length} reference manifests; the most is ${MAX_RIMS}`,
    );
    return rims.map((xml) => context.shared.once(xml, "outline", () => outlineRim(xml)));
  });
  // In the order in which they run: firmware, then driver.
  const vbios = checkPart(context, report, device, "vbios", outlines, revocations);
  const driver =
    device.device === "GPU" ? checkPart(context, report, device, "driver", outlines, revocations) : undefined;
  if (driver && vbios) {
    context.check("nvidia.rims.conflict", "no measurement is in both manifests", () => {
      const both = [...driver.rim.golden.keys()].filter((index) => vbios.rim.golden.has(index));
      demand(both.length === 0, "RIM_MISMATCH", `both reference manifests are about measurements ${both.join(", ")}`);
    });
  }
  return {
    driver: driver?.result ?? { status: device.device === "GPU" ? "unchecked" : "none" },
    vbios: vbios?.result ?? { status: "unchecked" },
  };
}

function checkPart(
  context: Context,
  report: SpdmReport,
  device: Device,
  part: RimOutline["part"],
  outlines: readonly RimOutline[],
  revocations: Revocations,
): { rim: Rim; result: RimResult } | undefined {
  const id = `nvidia.${part}-rim`;
  const claim = `the ${part} measures to what NVIDIA's reference manifest says`;
  const outline = context.check(
    `${id}.version`,
    `there is a reference manifest for this ${part}, if there are any`,
    () => choose(context, outlines, device, part),
  );
  if (!outline) {
    const reason = `collateral has no reference manifest of a ${part} for ${device.chip}`;
    context.unchecked(`${id}.measurements`, claim, reason);
    return undefined;
  }
  const rim = verifyRim(context, outline, id);
  // It was chosen by an outline, which nobody had authenticated: what is signed has to say the same.
  demand(
    isFor(rim, device, part) && isOfVersion(rim, device),
    "RIM_MISMATCH",
    `the reference manifest is for ${rim.part} ${rim.version} of ${rim.product}, not for ${part} ${device[part]} of ${device.chip}`,
  );
  const revocation = checkRevocation(context, rim.chain, revocations, {
    id,
    what: `certificates of the ${part}'s reference manifest`,
    roots: context.roots.nvidiaRim,
    from: 0,
  });
  context.check(`${id}.measurements`, claim, () => compare(report, rim, device, part));
  const name = device.rimIds[part];
  const result = {
    status: "match",
    version: rim.version,
    revocation,
    ...(name === undefined ? {} : { id: name }),
  } as const;
  return { rim, result };
}

/** The manifest of this version, if there are manifests for the part: the one in force, and of several the newest. */
function choose(
  { now }: Context,
  outlines: readonly RimOutline[],
  device: Device,
  part: RimOutline["part"],
): RimOutline | undefined {
  const kind = outlines.filter((each) => isFor(each, device, part));
  if (kind.length === 0) return undefined;
  const fitting = kind.filter((each) => isOfVersion(each, device));
  if (fitting.length === 0) {
    const versions = [...new Set(kind.map(({ version }) => version))].sort().join(", ");
    throw new AnchorError(
      "RIM_MISMATCH",
      `the device's ${part} is ${device[part] || "not named"}; reference manifests are for ${versions}`,
    );
  }
  const inForce = fitting.filter((each) => each.validFrom <= now && now <= each.validUntil);
  return (inForce.length > 0 ? inForce : fitting).reduce((best, each) =>
    each.validFrom > best.validFrom || (each.validFrom === best.validFrom && each.xml < best.xml) ? each : best,
  );
}

type Device = Identity & DeviceState;
type Subject = Pick<Rim, "device" | "product" | "part" | "version">;

function isFor(rim: Subject, { device, chip, family }: Device, part: RimOutline["part"]): boolean {
  return rim.device === device && rim.part === part && (rim.product === chip || rim.product === family);
}

/** Hex digits of a VBIOS's version are spelt in either case. */
function isOfVersion(rim: Subject, device: Device): boolean {
  return rim.version.toUpperCase() === device[rim.part].toUpperCase();
}

/** Golden value i is measurement i + 1. @throws MEASUREMENT_MISMATCH */
function compare(report: SpdmReport, { golden }: Rim, { nvdec0 }: Device, part: string): void {
  const differing: string[] = [];
  for (const [index, values] of golden) {
    if (index === NVDEC0_INDEX && nvdec0 === "disabled") continue;
    const block = report.blocks.get(index + 1);
    const measured: Hex | undefined = block && toHex(block);
    if (measured === undefined || !values.includes(measured)) differing.push(String(index));
  }
  demand(
    differing.length === 0,
    "MEASUREMENT_MISMATCH",
    `measurements of the ${part} differ from every reference value: index ${differing.join(", ")}`,
  );
}

function byIndex([a]: readonly [number, unknown], [b]: readonly [number, unknown]): number {
  return a - b;
}
