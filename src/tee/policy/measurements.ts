/**
 * Measurements against the states that a policy lists.
 *
 * @module
 */
import type { Hex } from "../../field/bytes.js";
import { type Appraisal, isZero, need, some } from "./appraisal.js";
import { type AllowedMeasurements, type Alternative, type MeasuredFamily, REGISTERS } from "./policy.js";

/**
 * Registers that hardware fills with what was loaded first, or with who signed that. All others are only as good as these: who is
 * loaded first can extend them to anything, and the host chooses some of them. At least one of them has to be listed for
 * a TEE claim, and zero in it says nothing.
 */
const ANCHORS: Readonly<Record<MeasuredFamily, readonly string[]>> = {
  sgx: ["mrEnclave", "mrSigner"],
  tdx: ["mrTd"],
  snp: ["measurement", "idKeyDigest", "authorKeyDigest"],
  nitro: ["pcr0", "pcr2", "pcr8"],
  "azure-snp": ["measurement", "idKeyDigest", "authorKeyDigest"],
  "azure-tdx": ["mrTd"],
  cca: ["rim"],
};

/** Devices have none: theirs are compared with NVIDIA's manifests. */
export function isMeasured(family: string): family is MeasuredFamily {
  return Object.hasOwn(REGISTERS, family);
}

interface MeasurementRules {
  measurements?: AllowedMeasurements;
  denyMeasurements?: Record<string, Hex[]>;
}

export function appraiseMeasurements(
  appraisal: Appraisal,
  family: MeasuredFamily,
  measurements: Record<string, Hex>,
  { measurements: allowed, denyMeasurements: denied }: MeasurementRules,
): void {
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
      const isAnchored = (each: Alternative) =>
        ANCHORS[family].some((name) => Object.hasOwn(each.values, name) && !isZero(has(name) ?? "0x"));
      const anchored = matches.find(isAnchored);
      if (anchored) appraisal.measured = true;
      else {
        appraisal.note(
          `the listed state has no value for ${ANCHORS[family].join(", ")}: without that, whoever runs the machine can bring ` +
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
