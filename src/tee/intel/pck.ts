/**
 * What a PCK certificate says about the platform, in an extension of Intel's (1.2.840.113741.1.13.1).
 *
 * @module
 */
import { AnchorError } from "../../errors.js";
import { demand } from "../context.js";
import { Der } from "../read/der.js";
import { type Certificate, describe } from "../x509.js";

export interface PckExtension {
  ppid: Uint8Array;
  /** SVNs of the 16 components, each 0 to 255. */
  components: readonly number[];
  pceSvn: number;
  cpuSvn: Uint8Array;
  pceId: Uint8Array;
  fmspc: Uint8Array;
  /** 0 standard, 1 scalable, 2 scalable with integrity. */
  sgxType: number;
  /** Of platforms of several packages. */
  instanceId?: Uint8Array;
  configuration?: { dynamicPlatform?: boolean; cachedKeys?: boolean; smtEnabled?: boolean };
}

export const SGX_EXTENSION = "1.2.840.113741.1.13.1";
const CODE = "CERT_MALFORMED";

/** @throws CERT_MALFORMED where it is absent, incomplete or not laid out as specified */
export function readPckExtension(certificate: Certificate): PckExtension {
  const name = describe(certificate);
  const extension = certificate.extensions.get(SGX_EXTENSION);
  demand(extension !== undefined, CODE, `${name} has no SGX extension: it is no PCK certificate`);
  const fields = readPairs(Der.parse(extension.value, CODE), SGX_EXTENSION, "the SGX extension");
  const need = (number: number, what: string) => required(fields, number, what);
  const tcb = readPairs(need(2, "the TCB"), `${SGX_EXTENSION}.2`, "the TCB of the SGX extension");
  const components = Array.from({ length: 16 }, (_, i) => {
    const what = `the SVN of component ${i + 1}`;
    return ranged(required(tcb, i + 1, what).small(what), 255, what);
  });
  const instanceId = fields.get(6);
  const configuration = fields.get(7);
  return {
    ppid: sized(need(1, "the PPID"), 16, "the PPID"),
    components,
    pceSvn: ranged(required(tcb, 17, "the PCE SVN").small("the PCE SVN"), 65535, "the PCE SVN"),
    cpuSvn: sized(required(tcb, 18, "the CPU SVN"), 16, "the CPU SVN"),
    pceId: sized(need(3, "the PCE id"), 2, "the PCE id"),
    fmspc: sized(need(4, "the FMSPC"), 6, "the FMSPC"),
    sgxType: need(5, "the SGX type").small("the SGX type"),
    ...(instanceId ? { instanceId: sized(instanceId, 16, "the platform's instance id") } : {}),
    ...(configuration ? { configuration: readConfiguration(configuration) } : {}),
  };
}

function readConfiguration(element: Der): NonNullable<PckExtension["configuration"]> {
  const flags = readPairs(element, `${SGX_EXTENSION}.7`, "the platform's configuration");
  const flag = (number: number, what: string) => flags.get(number)?.boolean(what);
  const dynamicPlatform = flag(1, "the flag of a dynamic platform");
  const cachedKeys = flag(2, "the flag of cached keys");
  const smtEnabled = flag(3, "the flag of SMT");
  return {
    ...(dynamicPlatform === undefined ? {} : { dynamicPlatform }),
    ...(cachedKeys === undefined ? {} : { cachedKeys }),
    ...(smtEnabled === undefined ? {} : { smtEnabled }),
  };
}

/** A SEQUENCE of pairs of an identifier and a value, by the last arc of the identifier; others are skipped. */
function readPairs(element: Der, prefix: string, what: string): Map<number, Der> {
  const pairs = new Map<number, Der>();
  const seen = new Set<string>();
  for (const pair of element.sequence(what)) {
    const fields = pair.fields(`a field of ${what}`);
    const oid = fields.next("an identifier").oid(`an identifier in ${what}`);
    const value = fields.next("a value");
    fields.end();
    demand(!seen.has(oid), CODE, `the field ${oid} of ${what} stands twice`);
    seen.add(oid);
    const last = oid.startsWith(`${prefix}.`) ? oid.slice(prefix.length + 1) : "";
    if (/^[0-9]{1,2}$/.test(last)) pairs.set(Number(last), value);
  }
  return pairs;
}

function required(fields: ReadonlyMap<number, Der>, number: number, what: string): Der {
  const field = fields.get(number);
  if (!field) throw new AnchorError(CODE, `the SGX extension of the PCK certificate lacks ${what}`);
  return field;
}

function sized(element: Der, length: number, what: string): Uint8Array {
  const bytes = element.octets(what);
  demand(bytes.length === length, CODE, `${what} of a PCK certificate has ${bytes.length} bytes instead of ${length}`);
  return bytes;
}

function ranged(value: number, max: number, what: string): number {
  demand(value <= max, CODE, `${what} in a PCK certificate is ${value}; ${max} is the largest`);
  return value;
}
