/**
 * One request to a vendor's service: HTTPS, a time limit, a size limit, no redirect to somewhere else, typed errors.
 *
 * What comes back is data to be verified like any file. Even so, addresses are the caller's: none is ever taken out of
 * evidence, since whoever chose the service could serve yesterday's collateral.
 *
 * @module
 */
import { AnchorError, throwIfAborted, toAnchorError } from "../../errors.js";

export interface FetchOptions {
  /** The global one unless given. */
  fetch?: typeof globalThis.fetch;
  /** Milliseconds for one request, answer included: 30 seconds unless given. */
  timeout?: number;
  signal?: AbortSignal;
  /** Instead of the vendors' own addresses, `https:` all of them: a caching service, for instance. */
  services?: Partial<typeof SERVICES>;
}

/** Where vendors publish. */
export const SERVICES = {
  intelPcs: "https://api.trustedservices.intel.com",
  intelRootCrl: "https://certificates.trustedservices.intel.com/IntelSGXRootCA.der",
  amdKds: "https://kdsintf.amd.com",
  nvidiaRim: "https://rim.attestation.nvidia.com",
  nvidiaOcsp: "https://ocsp.ndis.nvidia.com/",
  nvidiaNras: "https://nras.attestation.nvidia.com",
} as const satisfies Record<string, `https://${string}`>;

export type Service = keyof typeof SERVICES;

export interface Answer {
  bytes: Uint8Array;
  header(name: string): string | undefined;
}

const TIMEOUT = 30_000;
/** Timers take no more. */
const MAX_TIMEOUT = 2 ** 31 - 1;
/** The largest are reference manifests and revocation lists, with some hundred kilobytes. */
const MAX_BYTES = 8 * 1024 * 1024;
const CODE = "COLLATERAL_UNAVAILABLE";

/** The address of a service's path. @throws INPUT_INVALID for one that is not `https:` */
export function address(service: Service, path: string, { services }: FetchOptions): URL {
  const base = services?.[service] ?? SERVICES[service];
  let url: URL;
  try {
    url = new URL(path === "" ? base : `${base.replace(/\/+$/, "")}${path}`);
  } catch (cause) {
    throw new AnchorError("INPUT_INVALID", `the address of ${service} is no URL`, { cause });
  }
  if (url.protocol !== "https:" || url.username !== "" || url.password !== "") {
    throw new AnchorError(
      "INPUT_INVALID",
      `the address of ${service} must begin with https:// and hold no credentials`,
    );
  }
  return url;
}

/**
 * @param what for messages: "TCB info of 50806f000000"
 * @throws COLLATERAL_UNAVAILABLE, INPUT_INVALID, INPUT_TOO_LARGE, ABORTED
 */
export async function request(
  url: URL,
  what: string,
  options: FetchOptions,
  post?: { body: Uint8Array; type: string },
): Promise<Answer> {
  const { fetch = globalThis.fetch, timeout = TIMEOUT, signal } = options;
  throwIfAborted(signal);
  if (!Number.isSafeInteger(timeout) || timeout < 1 || timeout > MAX_TIMEOUT) {
    throw new AnchorError(
      "INPUT_INVALID",
      `a time limit must be a whole number of milliseconds from 1 to ${MAX_TIMEOUT}`,
    );
  }
  const limit = AbortSignal.timeout(timeout);
  const stop = signal ? AbortSignal.any([signal, limit]) : limit;
  try {
    const response = await fetch(url, {
      signal: stop,
      redirect: "error",
      ...(post && { method: "POST", body: Buffer.from(post.body), headers: { "content-type": post.type } }),
    });
    if (!response.ok) {
      await response.body?.cancel();
      throw new AnchorError(CODE, `${url.host} has no ${what}: ${reasonOf(response)}`, {
        details: { status: response.status, url: url.href },
      });
    }
    const bytes = await readBody(response, what);
    return { bytes, header: (name) => response.headers.get(name) ?? undefined };
  } catch (error) {
    if (error instanceof AnchorError) throw error;
    throwIfAborted(signal);
    if (limit.aborted) {
      throw new AnchorError(CODE, `${url.host} did not answer within ${timeout / 1000} s: ${what}`, { cause: error });
    }
    throw toAnchorError(error, CODE, `${url.host} cannot be reached for ${what}`);
  }
}

function reasonOf({ status, headers }: Response): string {
  if (status === 404) return "it does not know it (404)";
  const after = headers.get("retry-after");
  if (status === 429)
    return `too many requests (429)${after && /^\d{1,6}$/.test(after) ? `, again in ${after} s` : ""}`;
  return `it answers with status ${status}`;
}

/** Stops at the limit, whatever the service says about the length. */
async function readBody(response: Response, what: string): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  let length = 0;
  if (!response.body) return new Uint8Array();
  const reader = response.body.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return new Uint8Array(Buffer.concat(pieces));
    length += value.length;
    if (length > MAX_BYTES) {
      await reader.cancel();
      throw new AnchorError("INPUT_TOO_LARGE", `the answer for ${what} is larger than ${MAX_BYTES / 1024 / 1024} MB`);
    }
    pieces.push(value);
  }
}
