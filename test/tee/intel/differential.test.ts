/**
 * Beside `@phala/dcap-qvl`, the library that others use: on every recorded quote, on changes of it, and on platforms of the
 * laboratory the verdicts are equal, but for the deviations that are listed here, each with its reason and each seen at least
 * once. A deviation that is not on the list fails.
 */
import qvl from "@phala/dcap-qvl";
import { describe, expect, test } from "vitest";
import { concat } from "../../../src/field/bytes.js";
import type { IntelCollateral } from "../../../src/tee/collateral.js";
import { parseQuote } from "../../../src/tee/intel/quote.js";
import { DAY, LAB_NOW, makeKey } from "../../../src/tee/lab/certificates.js";
import * as der from "../../../src/tee/lab/der.js";
import { type IntelKeys, type IntelOptions, intelPlatform, LEVELS } from "../../../src/tee/lab/intel.js";
import type { Roots } from "../../../src/tee/roots.js";
import { VECTORS } from "../vectors.js";
import { changed, type IntelCase, intelCases, type PhalaCollateral, verifyQuote } from "./support.js";

/** `accepted` with status and advisories, or `refused` with what was said. */
interface Verdict {
  accepted: boolean;
  text: string;
}

interface Deviation {
  reason: string;
  ours: RegExp;
  theirs: RegExp;
}

/** reference/tee.md, §0.1, has the first seven. */
const DEVIATIONS = {
  svns: {
    reason:
      "it compares all 16 TDX SVNs and knows no module identities; Intel compares 2 to 15 from the second generation of the module on",
    ours: /^(UpToDate|OutOfDate) |^TCB_NOT_SUPPORTED$/,
    theirs: /^(UpToDate|OutOfDate|SWHardeningNeeded|ConfigurationNeeded) |No matching TCB level found/,
  },
  sept: {
    reason: "it refuses every TD without SEPT_VE_DISABLE, all of Azure's among them: that is for a policy to say",
    ours: /^[A-Z][A-Za-z]+ /,
    theirs: /SEPT_VE_DISABLE is not enabled|No matching TCB level found/,
  },
  serviceTd: {
    reason: "it refuses every TD with a service TD: the measurement is a claim, and for a policy to compare",
    ours: /^[A-Z][A-Za-z]+ /,
    theirs: /Invalid mr service td/,
  },
  crl: {
    reason: "it takes a list that it cannot read for an empty one, and never looks at signature, issuer and dates",
    ours: /^(CRL_MISSING|CRL_MALFORMED|CRL_SIGNATURE|CRL_ISSUER_MISMATCH|EXPIRED|NOT_YET_VALID|CERT_REVOKED)$/,
    theirs: /^[A-Z][A-Za-z]+ /,
  },
  time: {
    reason: "a time that is no number passes all of its checks",
    ours: /^BAD_TIME$/,
    theirs: /^[A-Z][A-Za-z]+ /,
  },
  form: {
    reason: "SGX in versions 4 and 5 and the extended report of TDX 1.5 are not supported there",
    ours: /^[A-Z][A-Za-z]+ /,
    theirs: /SGX TEE quote must have version 3|Failed to decode quote|Unsupported/,
  },
  unchecked: {
    reason:
      "it does not check vendor, PCE id, names, CA flags, path lengths, key usage, module signer and SEAM attributes",
    ours: /^(QE_VENDOR_ID|TCB_INFO_MISMATCH|TCB_SIGNER_CN|CHAIN_CONSTRAINTS|CHAIN_ISSUER|TDX_MODULE_MISMATCH)$/,
    theirs: /^[A-Z][A-Za-z]+ /,
  },
  order: {
    reason: "it takes levels in the order of the document, which carries no meaning",
    ours: /^[A-Z][A-Za-z]+ /,
    theirs: /^[A-Z][A-Za-z]+ /,
  },
  revoked: {
    reason: "a revoked level is a failure there; here it is a status, which no policy accepts",
    ours: /^Revoked /,
    theirs: /TCB status is invalid: Revoked/,
  },
  relaunch: {
    reason: "it does not know the second TEE_TCB_SVN of TDX 1.5",
    ours: /^RelaunchAdvised/,
    theirs: /^[A-Z][A-Za-z]+ |No matching TCB level found/,
  },
  root: {
    reason: "it wants the root in the chain of a document; here the root is pinned and may be left out",
    ours: /^[A-Z][A-Za-z]+ /,
    theirs: /too short/,
  },
  padding: {
    reason: "it takes any number of bytes behind a quote; here there is a bound",
    ours: /^TRAILING_DATA$/,
    theirs: /^[A-Z][A-Za-z]+ /,
  },
  strict: {
    reason: "it takes documents whose keys stand twice, and quotes with text between their certificates",
    ours: /^(CERT_MALFORMED|COLLATERAL_MALFORMED)$/,
    theirs: /^[A-Z][A-Za-z]+ /,
  },
  lineEnds: {
    reason: "it reads PEM by lines; here one white space is as good as another between the letters of base64",
    ours: /^[A-Z][A-Za-z]+ /,
    theirs: /./,
  },
  authData: {
    reason: "it only takes 32 bytes of the quoting enclave's data",
    ours: /^[A-Z][A-Za-z]+ /,
    theirs: /./,
  },
} satisfies Record<string, Deviation>;

type DeviationName = keyof typeof DEVIATIONS;
const seen = new Set<DeviationName>();

function ours(quote: Uint8Array, entry: IntelCollateral, now: number, roots?: Partial<Roots>): Verdict {
  const verification = verifyQuote(quote, entry, { now, ...(roots ? { roots } : {}) });
  if (!verification.ok) return { accepted: false, text: verification.failure.code };
  const { status, advisories } = verification.claims;
  return { accepted: true, text: `${status} ${advisories.join()}` };
}

function theirs(quote: Uint8Array, collateral: PhalaCollateral, now: number, root?: Uint8Array): Verdict {
  try {
    const verifier = root ? qvl.QuoteVerifier.newWithRootCa(Buffer.from(root)) : qvl.QuoteVerifier.newProd();
    const { status, advisory_ids } = verifier.verify(Buffer.from(quote), collateral as never, now);
    return { accepted: true, text: `${status} ${[...new Set(advisory_ids)].sort().join()}` };
  } catch (error) {
    const { cause, message } = error as Error;
    return { accepted: false, text: cause instanceof Error ? `${message}: ${cause.message}` : message };
  }
}

/** The way back, for what the laboratory makes and what tests change. */
function toPhala(entry: IntelCollateral): PhalaCollateral {
  const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
  const pem = (chain: readonly Uint8Array[]) => chain.map((each) => der.pem(each)).join("");
  return {
    pck_crl_issuer_chain: pem(entry.pckCrlChain),
    root_ca_crl: hex(entry.rootCrl),
    pck_crl: hex(entry.pckCrl),
    tcb_info_issuer_chain: pem(entry.tcbInfo.chain),
    tcb_info: entry.tcbInfo.json,
    tcb_info_signature: hex(entry.tcbInfo.signature),
    qe_identity_issuer_chain: pem(entry.qeIdentity.chain),
    qe_identity: entry.qeIdentity.json,
    qe_identity_signature: hex(entry.qeIdentity.signature),
  };
}

/** Equal, or one of the deviations named. */
function compare(what: string, mine: Verdict, other: Verdict, allowed: readonly DeviationName[]): void {
  if (mine.text === "INTERNAL") throw new Error(`${what}: a defect`);
  if (!mine.accepted && !other.accepted) return;
  if (mine.accepted && other.accepted && mine.text === other.text) return;
  const deviation = allowed.find(
    (name) => DEVIATIONS[name].ours.test(mine.text) && DEVIATIONS[name].theirs.test(other.text),
  );
  if (!deviation) throw new Error(`${what}: here "${mine.text}", there "${other.text}"`);
  seen.add(deviation);
}

/** What a quote itself may differ in, whatever is changed around it. */
function inherent({ quote }: { quote: Uint8Array }): DeviationName[] {
  const { body } = parseQuote(quote);
  if (body.kind === "sgx") return [];
  const { teeTcbSvn, tdAttributes, v15 } = body.report;
  return [
    ...(teeTcbSvn[1]! > 0 ? (["svns"] as const) : []),
    ...((tdAttributes[3]! & 0x10) === 0 ? (["sept"] as const) : []),
    ...(v15?.mrServiceTd.some((byte) => byte !== 0) ? (["serviceTd"] as const) : []),
  ];
}

interface Change {
  what: string;
  quote?: Uint8Array;
  entry?: Partial<IntelCollateral>;
  now?: unknown;
  may?: readonly DeviationName[];
}

const other = { key: makeKey("P-256") };

function* changes({ quote, entry, at, validFrom, validTo }: IntelCase, stranger: IntelCase): Generator<Change> {
  const { signature, attestationKey, qeReport, qeReportSignature, qeAuthData, certification, body } = parseQuote(quote);
  const end = certification.data.byteOffset - quote.byteOffset + certification.data.length;
  for (const [what, part] of Object.entries({ signature, attestationKey, qeReportSignature, qeAuthData })) {
    yield { what, quote: changed(quote, part.byteOffset - quote.byteOffset + 5) };
  }
  for (const [what, at] of [
    ["version", 0],
    ["key type", 2],
    ["TEE", 4],
    ["vendor", 12],
    ["user data", 30],
  ] as const) {
    yield { what, quote: changed(quote, at, 8) };
  }
  yield { what: "report data", quote: changed(quote, body.report.reportData.byteOffset - quote.byteOffset) };
  yield { what: "QE's MRSIGNER", quote: changed(quote, qeReport.mrSigner.byteOffset - quote.byteOffset) };
  for (let length = 0; length < end; length += 1201)
    yield { what: `cut to ${length}`, quote: quote.subarray(0, length) };
  yield { what: "100 bytes behind it", quote: concat(quote, new Uint8Array(100).fill(0xaa)) };
  yield { what: "20,000 bytes behind it", quote: concat(quote, new Uint8Array(20_000)), may: ["padding"] };

  for (const list of ["rootCrl", "pckCrl"] as const) {
    const crl = entry[list];
    const may = ["crl"] as const;
    yield { what: `${list}: garbage`, entry: { [list]: Uint8Array.of(0) }, may };
    yield { what: `${list}: empty`, entry: { [list]: new Uint8Array() }, may };
    yield { what: `${list}: flipped`, entry: { [list]: changed(crl, crl.length - 2) }, may };
    yield { what: `${list}: cut`, entry: { [list]: crl.subarray(0, 100) }, may };
    yield { what: `${list}: a stranger's`, entry: { [list]: stranger.entry[list] }, may };
  }
  yield { what: "lists swapped", entry: { rootCrl: entry.pckCrl, pckCrl: entry.rootCrl }, may: ["crl"] };

  for (const name of ["tcbInfo", "qeIdentity"] as const) {
    const document = entry[name];
    const { json, signature, chain } = document;
    yield { what: `${name}: a blank behind it`, entry: { [name]: { ...document, json: `${json} ` } } };
    yield {
      what: `${name}: a key twice`,
      entry: { [name]: { ...document, json: json.replace("{", '{"version":3,') } },
    };
    yield { what: `${name}: signature`, entry: { [name]: { ...document, signature: changed(signature, 40) } } };
    yield { what: `${name}: a stranger's`, entry: { [name]: stranger.entry[name] } };
    yield {
      what: `${name}: without its root`,
      entry: { [name]: { ...document, chain: chain.slice(0, 1) } },
      may: ["root"],
    };
    yield { what: `${name}: by the CA`, entry: { [name]: { ...document, chain: entry.pckCrlChain } } };
    yield { what: `${name}: without a chain`, entry: { [name]: { ...document, chain: [] } } };
  }

  for (const now of [validFrom - 1, validTo + 1, 0]) yield { what: `at ${now}`, now, may: ["crl"] };
  yield { what: "at its first second", now: validFrom };
  yield { what: "at its last second", now: validTo };
  yield { what: "in milliseconds", now: at * 1000 };
  for (const now of [Number.NaN, undefined]) yield { what: `at ${now}`, now, may: ["time"] };
}

describe.skipIf(VECTORS === undefined)("recorded quotes", () => {
  const all = intelCases();
  test.each(all)("$id", (base) => {
    const { id, quote, entry, phala, at } = base;
    const same = inherent(base);
    compare(id, ours(quote, entry, at), theirs(quote, phala, at), same);
    const stranger = all.find((each) => each.id === (id.startsWith("sgx") ? "tdx-v4-phala" : "sgx-v3-phala"))!;
    for (const change of changes(base, stranger)) {
      const { what, quote: bytes = quote, entry: part = {}, may = [] } = change;
      const now = ("now" in change ? change.now : at) as number;
      const collateral = { ...entry, ...part };
      compare(`${id}, ${what}`, ours(bytes, collateral, now), theirs(bytes, toPhala(collateral), now), [
        ...may,
        ...same,
      ]);
    }
  });

  test("single bits of a quote", () => {
    const base = all.find(({ id }) => id === "tdx-v4-phala")!;
    const { quote, entry, phala, at } = base;
    const text = parseQuote(quote).certification.data.byteOffset - quote.byteOffset;
    for (let index = 0; index < quote.length; index += 74) {
      const bytes = changed(quote, index, 1 << (index % 8));
      compare(
        `bit of byte ${index}`,
        ours(bytes, entry, at),
        theirs(bytes, phala, at),
        index < text ? [] : ["lineEnds", "strict"],
      );
    }
  });
});

describe("platforms of the laboratory", () => {
  const keys: IntelKeys = {
    root: makeKey("P-256"),
    intermediate: makeKey("P-256"),
    pck: makeKey("P-256"),
    tcbSigner: makeKey("P-256"),
    attestation: makeKey("P-256"),
  };
  const none = { ca: false, pathLength: undefined } as unknown as NonNullable<IntelOptions["intermediate"]>;
  const subject = { CN: "Somebody", O: "Intel Corporation", L: "Santa Clara", ST: "CA", C: "US" };
  const { newest, older } = LEVELS;
  const levels = [
    { ...older, status: "OutOfDate" as const },
    { ...newest, status: "UpToDate" as const },
  ];

  test.each([
    ["SGX", { body: "sgx" }, []],
    ["SGX, out of date", { body: "sgx", cpuSvn: older.sgx, pceSvn: 11 }, []],
    ["SGX, version 4", { body: "sgx", version: 4 }, ["form"]],
    ["SGX, version 5", { body: "sgx", version: 5 }, ["form"]],
    ["TD 1.0", {}, []],
    ["TD 1.0, version 5", { version: 5 }, []],
    ["TD 1.5", { body: "td-1.5" }, []],
    ["TD 1.5-Ex", { body: "td-1.5-ex" }, ["form"]],
    ["a service TD", { body: "td-1.5", tdx: { mrServiceTd: [1] } }, ["serviceTd"]],
    ["no SEPT_VE_DISABLE", { tdx: { tdAttributes: [] } }, ["sept"]],
    ["debug", { debug: true }, []],
    ["an old module", { tdx: { teeTcbSvn: [4, 1, 4] } }, ["svns"]],
    ["relaunch", { body: "td-1.5", tdx: { teeTcbSvn: [4, 1, 4], teeTcbSvn2: [6, 1, 4] } }, ["relaunch"]],
    ["a revoked level", { statuses: { platform: "Revoked" } }, ["revoked"]],
    ["a revoked QE", { statuses: { qe: "Revoked" } }, ["revoked"]],
    ["below every level", { cpuSvn: [1] }, []],
    ["levels in another order", { tcbInfo: { levels } }, ["order"]],
    ["another vendor", { header: { qeVendorId: [1] } }, ["unchecked"]],
    ["another PCE", { tcbInfo: { members: { pceId: "0001" } } }, ["unchecked"]],
    ["another FMSPC", { tcbInfo: { members: { fmspc: "000000000000" } } }, []],
    ["another signer's name", { tcbSigner: { subject } }, ["unchecked"]],
    ["another PCK certificate's name", { pck: { subject } }, ["unchecked"]],
    ["an intermediate that is no CA", { intermediate: none }, ["unchecked"]],
    ["a path length that is exceeded", { root: { pathLength: 0 } }, ["unchecked"]],
    ["another use of the key", { intermediate: { keyUsage: ["digitalSignature"] } }, ["unchecked"]],
    ["an issuer of another name", { pck: { issuer: subject } }, ["unchecked", "crl"]],
    ["a module of somebody's", { tdx: { mrSignerSeam: [1] } }, ["unchecked"]],
    ["a module with attributes", { tdx: { seamAttributes: [1] } }, ["unchecked"]],
    ["a revoked PCK certificate", { revoked: ["pck"] }, []],
    ["a revoked intermediate", { revoked: ["intermediate"] }, []],
    ["a revoked signer", { revoked: ["tcbSigner"] }, []],
    ["a list that has expired", { pckCrl: { nextUpdate: LAB_NOW - 1 } }, ["crl"]],
    ["a list of tomorrow", { rootCrl: { thisUpdate: LAB_NOW + DAY } }, ["crl"]],
    ["a list by another key", { rootCrl: { issuerKey: other.key } }, ["crl"]],
    ["QE in debug mode", { qe: { attributes: [0x17] } }, []],
    ["QE of another signer", { qe: { mrSigner: [1] } }, []],
    ["QE's data of another length", { qe: { authenticationData: [1, 2, 3] } }, ["authData"]],
    ["a key twice, signed", { tcbInfo: { text: (json) => json.replace("{", '{"version":3,') } }, ["strict"]],
  ] as [string, IntelOptions, DeviationName[]][])("%s", (what, options, may) => {
    const lab = intelPlatform({ keys, ...options });
    const mine = ours(lab.quote, lab.intel, lab.now, lab.roots);
    const their = theirs(lab.quote, toPhala(lab.intel), lab.now, lab.certificates.root);
    compare(what, mine, their, may);
    // What is named for a platform is seen on it.
    const equal = mine.accepted === their.accepted && (!mine.accepted || mine.text === their.text);
    expect([what, equal, mine, their]).toEqual([what, may.length === 0, mine, their]);
  });
});

test.skipIf(VECTORS === undefined)("every deviation on the list was seen", () => {
  expect(Object.keys(DEVIATIONS).filter((name) => !seen.has(name as DeviationName))).toEqual([]);
});
