/**
 * Parts of evidence and collateral, found in the objects themselves: every string of bytes and every text is one, named by its
 * path, such as `evidence.report` or `collateral.amd.crls.0`.
 *
 * @module
 */
import { utf8 } from "../../../src/field/bytes.js";
import type { Collateral } from "../../../src/tee/collateral.js";
import type { VerifyOptions } from "../../../src/tee/context.js";
import type { Evidence } from "../../../src/tee/evidence.js";
import type { Lab } from "../../../src/tee/lab/bytes.js";
import { verify } from "../../../src/tee/verify.js";
import type { Base, Bytes, Part } from "./family.js";

/** What parts are made of, by the ends of their paths. */
const FORMATS: readonly [RegExp, Part["format"]][] = [
  [/\.(certificates|crls|ocsp|chain|pckCrlChain|pckChain)\.\d+$|Crl$/, "der"],
  [/^evidence\.(document|token)$/, "cbor"],
  [/\.json$|\.jwks\.\d+$|\.keys\.\d+$/, "json"],
  [/\.rims\.\d+$/, "xml"],
  [/^evidence\.(overall|devices\..*)$/, "jws"],
];

/** Of evidence, what is no more than a certificate that came along is tried as collateral is: by samples. */
const SAMPLED = /^collateral\.|\.certificates\.\d+$/;

type Leaf = { path: string; bytes: Uint8Array };

export function baseOf(name: string, given: Lab<Evidence>, exhaustive = true): Base {
  const { now, roots } = given;
  const whole = { evidence: given.evidence, collateral: given.collateral };
  const found = leaves(whole, "");
  const options: VerifyOptions = { now, roots };
  return {
    name,
    exhaustive,
    parts: found.map(({ path, bytes }) => ({
      name: path,
      format: FORMATS.find(([pattern]) => pattern.test(path))?.[1] ?? "bytes",
      bytes,
      role: SAMPLED.test(path) ? "collateral" : "evidence",
    })),
    verify(parts: readonly Bytes[]) {
      const changed = new Map(found.map(({ path }, i) => [path, parts[i]]));
      const { evidence, collateral } = rebuild(whole, "", changed) as { evidence: Evidence; collateral: Collateral };
      return verify(evidence, collateral, options);
    },
  };
}

/** `kind` says which family it is, and is for nobody to change. */
function isFixed(path: string): boolean {
  return path === "evidence.kind";
}

function leaves(value: unknown, path: string): Leaf[] {
  if (value instanceof Uint8Array) return [{ path, bytes: value }];
  if (typeof value === "string") return isFixed(path) ? [] : [{ path, bytes: utf8(value) }];
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, each]) => leaves(each, path === "" ? key : `${path}.${key}`));
}

/** The same object with other bytes; what is left out of a list shortens it, and is empty elsewhere. */
function rebuild(value: unknown, path: string, changed: ReadonlyMap<string, Bytes>): unknown {
  if (value instanceof Uint8Array) return changed.get(path) ?? new Uint8Array();
  if (typeof value === "string")
    return isFixed(path) ? value : new TextDecoder("utf-8", { ignoreBOM: true }).decode(changed.get(path));
  if (typeof value !== "object" || value === null) return value;
  const inside = (key: string | number) => (path === "" ? String(key) : `${path}.${key}`);
  if (Array.isArray(value)) {
    const isLeft = (_: unknown, i: number) => !changed.has(inside(i)) || changed.get(inside(i)) !== undefined;
    return value
      .map((each, i) => [each, i] as const)
      .filter(([each, i]) => isLeft(each, i))
      .map(([each, i]) => rebuild(each, inside(i), changed));
  }
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, rebuild(each, inside(key), changed)]));
}
