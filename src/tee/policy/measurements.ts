/**
 * Measurements against the states that a policy lists.
 *
 * @module
 */
import type { Hex } from "../../field/bytes.js";
import { type Appraisal, isZero, need, some } from "./appraisal.js";
import { type AllowedMeasurements, type Alternative, type MeasuredFamily, REGISTERS } from "./policy.js";

/** One register of each of these lists. */
type Anchors = readonly (readonly string[])[];

const SNP: readonly string[] = ["measurement", "idKeyDigest", "authorKeyDigest"];
/** The vTPM's firmware measures what it boots into PCR 4, and who may sign that into PCR 7. Later ones are the booted one's word. */
const BOOT = ["pcr4", "pcr7"];

/**
 * Registers that hardware fills with what was loaded first, or with who signed that. All others are only as good as these: who is
 * loaded first can extend them to anything, and the host chooses some of them. They have to be listed for a TEE claim, by
 * one of these ways, and zero in one says nothing.
 */
const ANCHORS: Readonly<Record<MeasuredFamily, readonly Anchors[]>> = {
  sgx: [[["mrEnclave", "mrSigner"]]],
  tdx: [[["mrTd"]]],
  snp: [[SNP]],
  // PCR 2 is the application without its kernel, which could be anybody's; PCR 1 is the kernel.
  nitro: [[["pcr0", "pcr8"]], [["pcr1"], ["pcr2"]]],
  // The report is the paravisor's, the guest above it is in the PCRs alone.
  "azure-snp": [[SNP, BOOT]],
  "azure-tdx": [[["mrTd"], BOOT]],
  cca: [[["rim"]]],
};

/** What an event log says is the word of the kernel and system below the app: these have to be known as well. */
const LOGGED: readonly Anchors[] = [[["mrTd"], ["rtmr1"], ["rtmr2"]]];

const anchorsText = (ways: readonly Anchors[]) =>
  ways.map((way) => way.map((names) => names.join(" or ")).join(", and ")).join("; or ");

/** Devices have none: theirs are compared with NVIDIA's manifests. */
export function isMeasured(family: string): family is MeasuredFamily {
  return Object.hasOwn(REGISTERS, family);
}

interface MeasurementRules {
  measurements?: AllowedMeasurements;
  denyMeasurements?: Record<string, Hex[]>;
  /** Whether there are any. */
  eventLog?: unknown;
}

export function appraiseMeasurements(
  appraisal: Appraisal,
  family: MeasuredFamily,
  measurements: Record<string, Hex>,
  { measurements: allowed, denyMeasurements: denied, eventLog }: MeasurementRules,
): void {
  const ways = family === "tdx" && eventLog !== undefined ? LOGGED : ANCHORS[family];
  const has = (register: string) => (Object.hasOwn(measurements, register) ? measurements[register] : undefined);
  if (allowed === "any") {
    appraisal.unchecked(
      "measurements",
      "what runs is one of the listed states",
      "the policy accepts any measurements, so nothing is claimed of what runs",
    );
  } else {
    appraisal.check("measurements", "what runs is one of the listed states", () => {
      need(
        allowed !== undefined,
        `the policy lists no measurements for ${family}: list the accepted ones, or say "any" to accept all and make no TEE claim`,
      );
      const matches = allowed.filter((each) => differing(each, has).length === 0);
      need(matches.length > 0, nearestOf(allowed, has), "MEASUREMENT_MISMATCH");
      const isAnchored = ({ values }: Alternative) =>
        ways.some((way) =>
          way.every((names) => names.some((name) => Object.hasOwn(values, name) && !isZero(has(name) ?? "0x"))),
        );
      const anchored = matches.find(isAnchored);
      if (anchored) {
        appraisal.measured = true;
        if (family === "tdx" && !Object.keys(anchored.values).some((name) => name.startsWith("rtmr"))) {
          appraisal.note(
            "the listed state is the TD's firmware (mrTd) and no runtime register: what that firmware loads is known only as far " +
              "as the firmware itself settles it",
          );
        }
      } else {
        appraisal.note(
          `the listed state has no value for ${anchorsText(ways)}: without that, whoever runs the machine can bring ` +
            "the other registers about with other code, so no TEE claim is made",
        );
      }
      return titleOf(anchored ?? matches[0]!, allowed);
    });
  }
  if (denied) {
    appraisal.check("measurements.deny", "no measurement is on the policy's deny-list", () => {
      for (const [register, values] of Object.entries(denied)) {
        const value = has(register);
        need(value !== undefined, `the evidence has no ${register} to hold against the deny-list`);
        need(!values.includes(value), `${register} is ${value}, which the policy refuses`, "MEASUREMENT_MISMATCH");
      }
      return undefined;
    });
  }
}

type Lookup = (register: string) => Hex | undefined;

function differing({ values }: Alternative, has: Lookup): string[] {
  return Object.entries(values).flatMap(([register, accepted]) => {
    const value = has(register);
    return value !== undefined && accepted.includes(value) ? [] : [register];
  });
}

/** Which registers differ from the alternative that comes nearest. */
function nearestOf(allowed: readonly Alternative[], has: Lookup): string {
  const scored = allowed.map((each) => {
    const differs = differing(each, has);
    return { each, differs, share: differs.length / Object.keys(each.values).length };
  });
  const { each, differs } = scored.reduce((best, next) => (next.share < best.share ? next : best));
  const details = differs.map(
    (register) => `${register} is ${has(register) ?? "absent"}, expected ${some(each.values[register]!)}`,
  );
  return `no listed state fits; nearest is ${titleOf(each, allowed)}: ${details.join("; ")}`;
}

function titleOf(each: Alternative, all: readonly Alternative[]): string {
  return each.name === undefined ? `state ${all.indexOf(each) + 1}` : `"${each.name}"`;
}
