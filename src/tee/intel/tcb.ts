/**
 * How far a platform is up to date: Intel's own evaluation (its quote verification library, sections 4.1.2.5.1 to 20).
 *
 * Each part is held against the levels that Intel published, highest first; the first level that it reaches is its own. The
 * statuses of platform, TDX module and quoting enclave are then converged into one. A TD of TDX 1.5 is evaluated twice: with the
 * module that it was launched under and with the one that runs now.
 *
 * Deviation, to the strict side: Intel's library does not look at what runs now unless the launch was out of date. Here a
 * module that runs now and is out of date or revoked counts, too.
 *
 * @module
 */
import { AnchorError } from "../../errors.js";
import type { IntelStatus, TcbPart } from "../claims.js";
import {
  type Component,
  type IsvLevel,
  type PlatformLevel,
  type QeIdentity,
  seconds,
  type TcbInfo,
  type TdxModuleIdentity,
} from "./collateral.js";
import type { PckExtension } from "./pck.js";
import { tdxModuleName } from "./quote.js";

export interface Platform {
  pck: Pick<PckExtension, "components" | "pceSvn">;
  qeIsvSvn: number;
  /** TEE_TCB_SVN at launch, and now where the report has both. Absent for SGX. */
  tdx?: { launch: Uint8Array; current?: Uint8Array };
}

export interface TcbResult {
  status: IntelStatus;
  /** Of every level that was matched, sorted. */
  advisories: string[];
  /** The earliest. */
  tcbDate: string;
  parts: TcbPart[];
}

/** @throws TCB_NOT_SUPPORTED where a part is below every level */
export function evaluateTcb(tcbInfo: TcbInfo, qeIdentity: QeIdentity, { pck, qeIsvSvn, tdx }: Platform): TcbResult {
  const qe = isvPart("quoting enclave", qeIdentity.levels, qeIsvSvn, "quoting enclave's ISVSVN");
  if (!tdx) return converged(platformPart("platform", tcbInfo, pck, undefined), [qe]);
  const { launch, current } = tdx;
  if (!current || launch.every((svn, i) => svn === current[i])) {
    return convergeTdx(["platform", "module"], tcbInfo, pck, launch, qe);
  }
  const now = convergeTdx(["platform", "module"], tcbInfo, pck, current, qe);
  const then = convergeTdx(["platform at launch", "module at launch"], tcbInfo, pck, launch, qe);
  const parts = [...now.parts, ...then.parts.filter(({ part }) => part !== qe.part)];
  return summary(relaunched(then.status, now.status), parts);
}

/** The module of this SVN, where it is of a generation that has an identity of its own. */
export function findModuleIdentity(tcbInfo: TcbInfo, teeTcbSvn: Uint8Array): TdxModuleIdentity | undefined {
  if (teeTcbSvn[1] === 0) return undefined;
  const name = tdxModuleName(teeTcbSvn);
  return tcbInfo.tdx?.identities.find(({ id }) => id.toUpperCase() === name);
}

function convergeTdx(
  [platform, module]: readonly [TcbPart["part"], TcbPart["part"]],
  tcbInfo: TcbInfo,
  pck: Platform["pck"],
  teeTcbSvn: Uint8Array,
  qe: TcbPart,
): TcbResult {
  const first = platformPart(platform, tcbInfo, pck, teeTcbSvn);
  // The first generation has no identity: its SVN is component 1 of the platform's levels.
  if (teeTcbSvn[1] === 0) return converged(first, [qe]);
  const name = tdxModuleName(teeTcbSvn);
  const identity = findModuleIdentity(tcbInfo, teeTcbSvn);
  if (!identity) throw notSupported(`the TCB info has no levels for the TDX module ${name}`);
  return converged(first, [isvPart(module, identity.levels, teeTcbSvn[0]!, `SVN of the TDX module ${name}`), qe]);
}

function platformPart(
  part: TcbPart["part"],
  { levels }: TcbInfo,
  pck: Platform["pck"],
  teeTcbSvn: Uint8Array | undefined,
): TcbPart {
  // From the second generation on, indices 0 and 1 are the module's own SVN and generation, which its identity judges.
  const first = teeTcbSvn && teeTcbSvn[1]! > 0 ? 2 : 0;
  const behind = (level: PlatformLevel) => [
    ...componentsBehind("sgx", pck.components, level.sgx, 0),
    ...(pck.pceSvn < level.pceSvn ? [{ component: "PCE SVN", has: pck.pceSvn, needs: level.pceSvn }] : []),
    ...(teeTcbSvn ? componentsBehind("tdx", teeTcbSvn, level.tdx!, first) : []),
  ];
  const level = levels.find((each) => behind(each).length === 0);
  if (!level) throw belowAll(part, "TCB info", behind(levels[levels.length - 1]!));
  const { status, tcbDate, advisories } = level;
  return { part, status, tcbDate, advisories: [...advisories], behind: behind(levels[0]!) };
}

function componentsBehind(
  kind: "sgx" | "tdx",
  has: ArrayLike<number>,
  needs: readonly Component[],
  first: number,
): TcbPart["behind"] {
  return needs.flatMap(({ svn, name }, i) => {
    if (i < first || has[i]! >= svn) return [];
    return [{ component: `${kind} component ${i + 1}${name ? ` (${name})` : ""}`, has: has[i]!, needs: svn }];
  });
}

function isvPart(part: TcbPart["part"], levels: readonly IsvLevel[], isvSvn: number, component: string): TcbPart {
  const behind = (level: IsvLevel) => (isvSvn < level.isvSvn ? [{ component, has: isvSvn, needs: level.isvSvn }] : []);
  const level = levels.find((each) => behind(each).length === 0);
  const document = part === "quoting enclave" ? "QE identity" : "TCB info";
  if (!level) throw belowAll(part, document, behind(levels[levels.length - 1]!));
  const { status, tcbDate, advisories } = level;
  return { part, status, tcbDate, advisories: [...advisories], behind: behind(levels[0]!) };
}

/** The other parts can only make the platform's status worse. */
function converged(platform: TcbPart, others: readonly TcbPart[]): TcbResult {
  const status = others.reduce((converging, part) => worsened(converging, part.status), platform.status);
  return summary(status, [platform, ...others]);
}

function worsened(status: IntelStatus, other: IntelStatus): IntelStatus {
  if (status === "Revoked" || other === "Revoked") return "Revoked";
  if (other !== "OutOfDate" && other !== "OutOfDateConfigurationNeeded") return status;
  const configure = needsConfiguration(status) || needsConfiguration(other);
  return configure ? "OutOfDateConfigurationNeeded" : "OutOfDate";
}

function needsConfiguration(status: IntelStatus): boolean {
  return status.includes("Configuration");
}

/** What was out of date at launch and is not now is mended by launching the TD again. */
function relaunched(launch: IntelStatus, current: IntelStatus): IntelStatus {
  const outOfDate = (status: IntelStatus) => status === "OutOfDate" || status === "OutOfDateConfigurationNeeded";
  if (!outOfDate(launch) || outOfDate(current) || current === "Revoked") return worsened(launch, current);
  const configure = needsConfiguration(launch) || needsConfiguration(current);
  return configure ? "RelaunchAdvisedConfigurationNeeded" : "RelaunchAdvised";
}

function summary(status: IntelStatus, parts: TcbPart[]): TcbResult {
  const advisories = [...new Set(parts.flatMap((part) => part.advisories))].sort();
  const [tcbDate] = parts.map((part) => part.tcbDate).sort((a, b) => seconds(a) - seconds(b)) as [string];
  return { status, advisories, tcbDate, parts };
}

function belowAll(part: string, document: string, behind: TcbPart["behind"]): AnchorError {
  const [first, ...more] = behind;
  const others = more.length > 0 ? `, and ${more.length} more` : "";
  const why = first ? `: ${first.component} is ${first.has}, ${first.needs} is needed${others}` : "";
  return notSupported(`the ${part} is below every level of the ${document}${why}`);
}

function notSupported(message: string): AnchorError {
  return new AnchorError("TCB_NOT_SUPPORTED", message);
}
