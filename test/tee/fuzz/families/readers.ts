/**
 * What reads files before anything is verified: event logs, wrappings of evidence, vendors' answers and our own formats. That
 * they accept something means little; that they end, and end well, is what is tried.
 *
 * @module
 */
import { isAnchorError, toAnchorError } from "../../../../src/errors.js";
import { utf8 } from "../../../../src/field/bytes.js";
import { canonicalJson } from "../../../../src/protocol/document.js";
import type { Claims, EventLogClaims, MeasuredEvent } from "../../../../src/tee/claims.js";
import { collateralToJson } from "../../../../src/tee/collateral.js";
import { verifyEventLog } from "../../../../src/tee/eventLog/verify.js";
import { evidenceToJson } from "../../../../src/tee/evidenceJson.js";
import { importCollateral } from "../../../../src/tee/import/index.js";
import { ccelLog, dstackLog, type LabLog } from "../../../../src/tee/lab/eventLog.js";
import { intelPlatform } from "../../../../src/tee/lab/intel.js";
import { nitroEnclave } from "../../../../src/tee/lab/nitro.js";
import { nvidiaDevice } from "../../../../src/tee/lab/nvidia.js";
import { snpProcessor } from "../../../../src/tee/lab/snp.js";
import { readMachines } from "../../../../src/tee/recognise.js";
import { VECTORS, vector } from "../../vectors.js";
import type { Answer, Base, Family, Part } from "../family.js";

/** Errors of ours are answers; others are thrown on, and fail. */
function answer(run: () => object): Answer {
  try {
    return { ok: true, claims: run() };
  } catch (error) {
    if (!isAnchorError(error)) throw error;
    const { code, message } = toAnchorError(error, "INTERNAL", "");
    return { ok: false, failure: { code, message } };
  }
}

function fileBase(
  name: string,
  format: Part["format"],
  bytes: Uint8Array,
  read: (bytes: Uint8Array) => object,
  exhaustive = true,
): Base {
  return {
    name,
    exhaustive,
    parts: [{ name: "file", format, bytes, role: "evidence" }],
    verify: ([given]) => answer(() => read(given ?? new Uint8Array())),
  };
}

function logBase(name: string, { eventLog, registers }: LabLog): Base {
  const claims = { family: "tdx", measurements: registers } as unknown as Claims;
  const format = eventLog.format === "dstack" ? "json" : "bytes";
  return fileBase(name, format, eventLog.log, (log) => verifyEventLog({ ...eventLog, log }, claims));
}

/** The same registers and events; of an event that has lost what its digest is of, only register and digest are left. */
function isNoMore(truth: object, claims: object): boolean {
  const [before, after] = [truth, claims] as [EventLogClaims, EventLogClaims];
  const app = ({ digest, events, ...rest }: EventLogClaims) => canonicalJson(rest);
  const place = ({ register, digest }: MeasuredEvent) => `${register} ${digest}`;
  const bound = ({ name, payload }: MeasuredEvent) => canonicalJson({ name, payload });
  return (
    app(before) === app(after) &&
    before.events.length === after.events.length &&
    after.events.every((event, i) => {
      const original = before.events[i]!;
      return place(event) === place(original) && (!event.bound || bound(event) === bound(original));
    })
  );
}

export const eventLog: Family = {
  name: "event-log",
  bases: () => [logBase("laboratory's dstack log", dstackLog()), logBase("laboratory's CCEL", ccelLog())],
  isSame: isNoMore,
  excuses: [
    {
      reason: "how a log is written, and what it says that no register holds, is in no claim",
      covers: () => true,
    },
  ],
};

const NO_MEANING = {
  isSame: () => true,
  excuses: [{ reason: "reading a file is not believing it", covers: () => true }],
};

const FILES: readonly (readonly [format: Part["format"], ...path: string[]])[] = [
  ["json", "azure-vtpm", "az-snp-v1", "evidence.json"],
  ["json", "event-log", "verifier_fixtures_quote-report.json"],
  ["json", "event-log", "verifier_fixtures_tdx-lite-attestation.json"],
  ["json", "nras-jwt", "nanogpt_tee_gemma-3-27b-it_20260610_014905", "nras_response.json"],
  ["bytes", "nitro", "neg-base64-text", "doc.b64"],
];

export const recognise: Family = {
  name: "recognise",
  bases: () => {
    const read = (bytes: Uint8Array) => readMachines(bytes);
    const real = (VECTORS === undefined ? [] : FILES).map(([format, ...path]) =>
      fileBase(path.at(-1)!, format, vector(...path), read, false),
    );
    const own = [snpProcessor(), nitroEnclave(), nvidiaDevice()].map(({ evidence }) =>
      fileBase(`our own file of ${evidence.kind}`, "json", utf8(canonicalJson(evidenceToJson(evidence))), read),
    );
    const quote = fileBase("a quote", "bytes", intelPlatform().quote, read);
    return [quote, ...own.map((each, i) => ({ ...each, exhaustive: i === 0 })), ...real];
  },
  ...NO_MEANING,
};

export const importing: Family = {
  name: "import",
  bases: () => {
    const read = (bytes: Uint8Array) => importCollateral([{ name: "file", bytes }]);
    const bundle = (collateral: Parameters<typeof collateralToJson>[0]) =>
      utf8(JSON.stringify(collateralToJson(collateral)));
    const { collateral } = intelPlatform();
    return [
      fileBase("our own bundle", "json", bundle(collateral), read),
      fileBase("a bundle of manifests", "json", bundle(nvidiaDevice().collateral), read, false),
      fileBase("a revocation list", "der", snpProcessor().collateral.amd!.crls[0]!, read),
      fileBase("a certificate", "der", snpProcessor().certificates.leaf, read),
      ...(VECTORS === undefined
        ? []
        : [
            fileBase(
              "QVL's form of collateral",
              "json",
              vector("intel", "tdx-v4-phala", "collateral.json"),
              read,
              false,
            ),
            fileBase(
              "a key set",
              "json",
              vector("nras-jwt", "nanogpt_tee_gemma-3-27b-it_20260610_014905", "jwks.json"),
              read,
              false,
            ),
          ]),
    ];
  },
  ...NO_MEANING,
};
