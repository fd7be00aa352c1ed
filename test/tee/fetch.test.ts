/** The client of vendors' services, against services that are made up here. */
import { describe, expect, it } from "vitest";
import { AnchorError } from "../../src/errors.js";
import { concat, utf8 } from "../../src/field/bytes.js";
import {
  type FetchOptions,
  fetchAmdChain,
  fetchAmdCrl,
  fetchCollateral,
  fetchIntelCollateral,
  fetchNrasJwks,
  fetchOcsp,
  fetchRim,
  fetchVcek,
} from "../../src/tee/fetch/index.js";
import { ocspRequest } from "../../src/tee/fetch/nvidia.js";
import { cachedKey } from "../../src/tee/lab/certificates.js";
import { intelPlatform } from "../../src/tee/lab/intel.js";
import { together } from "../../src/tee/lab/machine.js";
import { nitroEnclave } from "../../src/tee/lab/nitro.js";
import { type NvidiaLab, nvidiaDevices } from "../../src/tee/lab/nvidia.js";
import { makeOcsp } from "../../src/tee/lab/ocsp.js";
import { snpProcessor } from "../../src/tee/lab/snp.js";
import { isAbout, parseOcspResponse } from "../../src/tee/nvidia/ocsp.js";
import { Der, TAG } from "../../src/tee/read/der.js";
import { verify } from "../../src/tee/verify.js";
import { parseCertificate } from "../../src/tee/x509.js";
import { VECTORS, vector, vectorText } from "./vectors.js";

const lab = intelPlatform();
const { intel } = lab;
const gpus = nvidiaDevices([{}, {}]);

const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString("base64");
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
const pem = (list: readonly Uint8Array[]) =>
  list.map((der) => `-----BEGIN CERTIFICATE-----\n${base64(der)}\n-----END CERTIFICATE-----\n`).join("");

interface Request {
  url: URL;
  method: string;
  body: Uint8Array;
}

/** A `fetch` that answers by path, and what it was asked. */
function service(answer: (request: Request) => Response | Promise<Response>): {
  fetch: typeof fetch;
  asked: Request[];
} {
  const asked: Request[] = [];
  const fake = async (input: unknown, init: RequestInit = {}) => {
    expect(init.redirect).toBe("error");
    const body = new Uint8Array((init.body as Buffer | undefined) ?? []);
    const request = { url: new URL(String(input)), method: init.method ?? "GET", body };
    asked.push(request);
    return answer(request);
  };
  return { fetch: fake as typeof fetch, asked };
}

function bytes(body: Uint8Array | string, headers: Record<string, string> = {}): Response {
  return new Response(Buffer.from(body), { headers });
}

const PCS = ({ url }: Request): Response => {
  const chain = (list: readonly Uint8Array[]) => encodeURIComponent(pem(list));
  const document = (name: string, { json, signature }: { json: string; signature: Uint8Array }) =>
    `{"${name}":${json},"signature":"${hex(signature)}"}`;
  if (url.pathname.endsWith("/tcb")) {
    return bytes(document("tcbInfo", intel.tcbInfo), { "TCB-Info-Issuer-Chain": chain(intel.tcbInfo.chain) });
  }
  if (url.pathname.endsWith("/qe/identity")) {
    const header = { "SGX-Enclave-Identity-Issuer-Chain": chain(intel.qeIdentity.chain) };
    return bytes(document("enclaveIdentity", intel.qeIdentity), header);
  }
  if (url.pathname.endsWith("/pckcrl"))
    return bytes(intel.pckCrl, { "SGX-PCK-CRL-Issuer-Chain": chain(intel.pckCrlChain) });
  if (url.pathname.endsWith("IntelSGXRootCA.der")) return bytes(hex(intel.rootCrl));
  return new Response("", { status: 404 });
};

async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof AnchorError) return error.code;
    throw error;
  }
  return "none";
}

async function messageOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => "",
    (error: Error) => error.message,
  );
}

describe("Intel's service", () => {
  it("gives what a quote of that platform needs, and verification accepts it", async () => {
    const { fetch, asked } = service(PCS);
    const collateral = await fetchCollateral(lab.evidence, { fetch });
    expect(verify(lab.evidence, collateral, { now: lab.now, roots: lab.roots })).toMatchObject({ ok: true });
    const fmspc = (JSON.parse(intel.tcbInfo.json) as { fmspc: string }).fmspc.toLowerCase();
    expect(asked.map(({ url }) => url.href).sort()).toEqual([
      `https://api.trustedservices.intel.com/sgx/certification/v4/pckcrl?ca=platform&encoding=der`,
      `https://api.trustedservices.intel.com/tdx/certification/v4/qe/identity?update=standard`,
      `https://api.trustedservices.intel.com/tdx/certification/v4/tcb?fmspc=${fmspc}&update=standard`,
      "https://certificates.trustedservices.intel.com/IntelSGXRootCA.der",
    ]);
    expect(asked.every(({ method }) => method === "GET")).toBe(true);
  });

  it("is asked for SGX, for the other CA, and for the early update", async () => {
    const { fetch, asked } = service(PCS);
    await fetchIntelCollateral({ tee: "sgx", ca: "processor", fmspc: "0x00A067110000" }, { fetch, update: "early" });
    const paths = asked.map(({ url }) => url.pathname + url.search).sort();
    expect(paths).toContain("/sgx/certification/v4/tcb?fmspc=00a067110000&update=early");
    expect(paths).toContain("/sgx/certification/v4/pckcrl?ca=processor&encoding=der");
    const sgx = intelPlatform({ body: "sgx", platform: false });
    const again = service(PCS);
    await fetchCollateral(sgx.evidence, { fetch: again.fetch });
    expect(again.asked.map(({ url }) => url.search)).toContain("?ca=processor&encoding=der");
  });

  it("another service is used where the caller names one, over HTTPS only", async () => {
    const { fetch, asked } = service(PCS);
    const platform = { tee: "tdx", ca: "platform", fmspc: "00a067110000" } as const;
    const services = (intelPcs: string): FetchOptions => ({ fetch, services: { intelPcs: intelPcs as never } });
    await fetchIntelCollateral(platform, services("https://pccs.example:8081/"));
    expect(asked[0]!.url.href).toMatch(/^https:\/\/pccs\.example:8081\/tdx\/certification\/v4\/tcb/);
    for (const wrong of ["http://pccs.example", "file:///etc", "pccs", "https://user:word@pccs.example"]) {
      expect(await codeOf(fetchIntelCollateral(platform, services(wrong))), wrong).toBe("INPUT_INVALID");
    }
  });

  it("refuses what would ask for something else", async () => {
    const { fetch, asked } = service(PCS);
    const wrong = [
      { tee: "tdx", ca: "platform", fmspc: "../../x" },
      { tee: "tdx", ca: "platform", fmspc: "00" },
      { tee: "tdx", ca: "root", fmspc: "00a067110000" },
      { tee: "sev", ca: "platform", fmspc: "00a067110000" },
    ];
    for (const each of wrong)
      expect(await codeOf(fetchIntelCollateral(each as never, { fetch }))).toBe("INPUT_INVALID");
    expect(asked).toEqual([]);
  });

  it("an answer without its chain, or with another document, is no collateral", async () => {
    const platform = { tee: "tdx", ca: "platform", fmspc: "00a067110000" } as const;
    const changed = (change: (request: Request, response: Response) => Response) =>
      codeOf(
        fetchIntelCollateral(
          platform,
          service((request) => change(request, PCS(request))),
        ),
      );
    expect(await changed((_, response) => new Response(response.body))).toBe("COLLATERAL_MALFORMED");
    expect(await changed(() => bytes("<html>"))).toBe("COLLATERAL_MALFORMED");
    const swapped = ({ url }: Request) => new URL(url.href.replace("/tcb?", "/qe/identity?"));
    expect(await changed((request) => PCS({ ...request, url: swapped(request) }))).toBe("COLLATERAL_MALFORMED");
  });
});

describe("one request", () => {
  const ask = (answer: (request: Request) => Response | Promise<Response>, options: FetchOptions = {}) =>
    fetchNrasJwks({ ...service(answer), ...options });

  it("says what the service answers", async () => {
    const message = (status: number, headers = {}) => messageOf(ask(() => new Response("", { status, headers })));
    expect(await message(404)).toBe(
      "nras.attestation.nvidia.com has no key set of NVIDIA's attestation service: it does not know it (404)",
    );
    expect(await message(429, { "retry-after": "20" })).toContain("too many requests (429), again in 20 s");
    expect(await message(503)).toContain("status 503");
    expect(await codeOf(ask(() => new Response("", { status: 500 })))).toBe("COLLATERAL_UNAVAILABLE");
    expect(await codeOf(ask(() => Promise.reject(new TypeError("fetch failed"))))).toBe("COLLATERAL_UNAVAILABLE");
  });

  it("ends at the time limit, on request, and at the size limit", async () => {
    const never = service(() => new Promise<Response>(() => {})).fetch;
    const stopping = ((input: never, init: RequestInit) =>
      Promise.race([
        never(input, init),
        new Promise((_, reject) => init.signal!.addEventListener("abort", () => reject(init.signal!.reason))),
      ])) as typeof fetch;
    expect(await messageOf(fetchNrasJwks({ fetch: stopping, timeout: 20 }))).toContain("did not answer within 0.02 s");
    const stop = new AbortController();
    const running = fetchNrasJwks({ fetch: stopping, signal: stop.signal });
    stop.abort();
    expect(await codeOf(running)).toBe("ABORTED");
    expect(await codeOf(ask(() => bytes("{}"), { signal: AbortSignal.abort() }))).toBe("ABORTED");
    for (const timeout of [Number.NaN, 0, -1, 0.5, 2 ** 31]) {
      expect(await codeOf(ask(() => bytes('{"keys":[]}'), { timeout }))).toBe("INPUT_INVALID");
    }
    let sent = 0;
    const endless = new ReadableStream({
      pull(controller) {
        sent++;
        controller.enqueue(new Uint8Array(1024 * 1024));
      },
    });
    expect(await codeOf(ask(() => new Response(endless)))).toBe("INPUT_TOO_LARGE");
    expect(sent).toBeLessThan(16);
  });

  it("keys come as they were sent", async () => {
    const text = '{ "keys" : [ ] }\n';
    expect(await ask(() => bytes(text))).toBe(text);
    for (const wrong of ["[]", "{}", "", '{"keys":[],"keys":[]}', new Uint8Array([0xff])]) {
      expect(await codeOf(ask(() => bytes(wrong)))).toBe("COLLATERAL_MALFORMED");
    }
  });
});

describe("AMD's service", () => {
  const chip = Uint8Array.from({ length: 64 }, (_, i) => i + 1);
  const tcb = { bootloader: 4, tee: 0, snp: 24, microcode: 219 };

  it("names the chip and the TCB as each product does", async () => {
    const { fetch, asked } = service(() => bytes(Uint8Array.of(0x30)));
    await fetchVcek("Milan", chip, tcb, { fetch });
    await fetchVcek("Turin", chip, { ...tcb, fmc: 1 }, { fetch });
    await fetchAmdCrl("Genoa", { fetch });
    expect(asked.map(({ url }) => url.href)).toEqual([
      `https://kdsintf.amd.com/vcek/v1/Milan/${hex(chip)}?blSPL=04&teeSPL=00&snpSPL=24&ucodeSPL=219`,
      "https://kdsintf.amd.com/vcek/v1/Turin/0102030405060708?fmcSPL=01&blSPL=04&teeSPL=00&snpSPL=24&ucodeSPL=219",
      "https://kdsintf.amd.com/vcek/v1/Genoa/crl",
    ]);
    expect(await codeOf(fetchVcek("Milan", new Uint8Array(64), tcb, { fetch }))).toBe("INPUT_INVALID");
    expect(await codeOf(fetchVcek("Milan", chip.subarray(1), tcb, { fetch }))).toBe("INPUT_INVALID");
    expect(await codeOf(fetchVcek("Milan", chip, { ...tcb, snp: 256 }, { fetch }))).toBe("INPUT_INVALID");
  });

  it("gives chains in PEM", async () => {
    const list = [lab.certificates.pck, lab.certificates.root];
    expect(
      await fetchAmdChain(
        "Milan",
        "vlek",
        service(() => bytes(pem(list))),
      ),
    ).toEqual(list);
    expect(
      await codeOf(
        fetchAmdChain(
          "Milan",
          "vcek",
          service(() => bytes("nothing")),
        ),
      ),
    ).toBe("COLLATERAL_MALFORMED");
  });

  it("is asked for a VCEK only where the report has none and was signed with one", async () => {
    const guest = snpProcessor({ product: "Genoa", rsa: "RSA-2048" });
    const { leaf } = guest.certificates;
    const paths = async (evidence: object) => {
      const { fetch, asked } = service(({ url }) => bytes(url.pathname.endsWith("/crl") ? intel.rootCrl : leaf));
      const collateral = await fetchCollateral(evidence as never, { fetch });
      return {
        paths: asked.map(({ url }) =>
          url.pathname
            .split("/")
            .slice(3, 5)
            .map((part) => part.slice(0, 8))
            .join("/"),
        ),
        collateral,
      };
    };
    const { report } = guest.evidence;
    const bare = await paths({ kind: "snp", report });
    expect(bare.paths).toHaveLength(2);
    expect(bare.paths[0]).toMatch(/^Genoa\/[0-9a-f]{8}$/);
    expect(bare.collateral.amd?.certificates).toEqual([leaf]);
    expect((await paths({ kind: "snp", report, certificates: [leaf] })).paths).toEqual(["Genoa/crl"]);
    const older = snpProcessor({ reportVersion: 2, rsa: "RSA-2048" }).evidence.report;
    expect(
      await codeOf(
        fetchCollateral(
          { kind: "snp", report: older },
          service(() => bytes("")),
        ),
      ),
    ).toBe("COLLATERAL_MISSING");
  });
});

describe("NVIDIA's services", () => {
  const xml = '<SoftwareIdentity xmlns="x"/>';

  it("manifests are unwrapped as they were signed", async () => {
    const { fetch, asked } = service(() => bytes(JSON.stringify({ id: "x", rim: base64(utf8(xml)) })));
    expect(await fetchRim("NV_GPU_DRIVER_GH100_550.90.07", { fetch })).toBe(xml);
    expect(asked[0]!.url.href).toBe("https://rim.attestation.nvidia.com/v1/rim/NV_GPU_DRIVER_GH100_550.90.07");
    for (const id of ["", "../x", "a/b", "a b"]) expect(await codeOf(fetchRim(id, { fetch }))).toBe("INPUT_INVALID");
    expect(
      await codeOf(
        fetchRim(
          "x",
          service(() => bytes('{"rim":"AA=="}')),
        ),
      ),
    ).toBe("COLLATERAL_MALFORMED");
  });

  it("OCSP is asked about one certificate, by name, key and serial number", async () => {
    const [good] = gpus[0]!.collateral.nvidia!.ocsp as [Uint8Array];
    const { fetch, asked } = service(() => bytes(good));
    const ask = (from: typeof fetch) => fetchOcsp(lab.certificates.pck, lab.certificates.intermediate, { fetch: from });
    expect(await ask(fetch)).toEqual(good);
    const [{ method, body, url }] = asked as [Request];
    expect([method, url.href]).toEqual(["POST", "https://ocsp.ndis.nvidia.com/"]);
    const [tbs] = Der.parse(body, "INTERNAL").sequence("a request");
    const [list] = tbs!.sequence("its content");
    const [request] = list!.sequence("the list");
    const [id] = request!.sequence("one request");
    const [algorithm, name, key, serial] = id!.sequence("a certificate");
    expect(algorithm!.sequence("an algorithm")[0]!.oid("a hash")).toBe("2.16.840.1.101.3.4.2.2");
    expect([name!.content.length, key!.content.length]).toEqual([48, 48]);
    expect(hex(serial!.expect(TAG.integer, "a serial").content)).toBe(parseCertificate(lab.certificates.pck).serial);
  });

  it("an answer that is an error, or none, is not kept: it would say nothing and stand in the way", async () => {
    const ask = (answer: Uint8Array) =>
      fetchOcsp(
        lab.certificates.pck,
        lab.certificates.intermediate,
        service(() => bytes(answer)),
      );
    const responder = { subject: { CN: "x" }, key: cachedKey("P-384", "OCSP responder") };
    for (const [status, text] of [
      [3, "try later"],
      [6, "unauthorised"],
    ] as const) {
      const error = makeOcsp({ entries: [], responder, responseStatus: status });
      expect(await codeOf(ask(error))).toBe("COLLATERAL_UNAVAILABLE");
      expect(await messageOf(ask(error))).toContain(
        `ocsp.ndis.nvidia.com: an OCSP answer is no answer but an error: ${text}`,
      );
    }
    expect(await codeOf(ask(utf8("<html>")))).toBe("COLLATERAL_MALFORMED");
  });

  /** Manifests by version, and answers by the certificate that is asked about: all that the devices' collateral has. */
  function nvidia() {
    const chains = gpus.flatMap(({ certificates, rimCertificates }) => [certificates, rimCertificates]);
    const answers = gpus.flatMap(({ collateral }) => collateral.nvidia!.ocsp);
    const find = (body: Uint8Array): Uint8Array | undefined => {
      for (const chain of chains.map((each) => each.map((der) => parseCertificate(der)))) {
        for (let i = 0; i + 1 < chain.length; i++) {
          const [certificate, issuer] = [chain[i]!, chain[i + 1]!];
          if (hex(ocspRequest(certificate, issuer)) !== hex(body)) continue;
          return answers.find((each) =>
            parseOcspResponse(each).singles.some((one) => isAbout(one, certificate, issuer)),
          );
        }
      }
      return undefined;
    };
    return service(({ url, body }) => {
      if (url.host.startsWith("rim")) {
        const { driver, vbios } = gpus[0]!.rims;
        return bytes(JSON.stringify({ rim: base64(utf8((url.pathname.includes("DRIVER") ? driver : vbios)!)) }));
      }
      // As the service answers about a certificate that is not its own.
      return bytes(find(body) ?? Uint8Array.of(0x30, 3, 0x0a, 1, 6));
    });
  }

  it("gives all that a device needs: nothing is unchecked, and nothing asked about what the device itself issued", async () => {
    const { fetch, asked } = nvidia();
    const [{ evidence, now, roots }] = gpus as [NvidiaLab];
    const collateral = await fetchCollateral(evidence, { fetch });
    const verification = verify(evidence, collateral, { now, roots });
    expect(verification).toMatchObject({
      ok: true,
      claims: { revocation: "good", rims: { driver: { revocation: "good" }, vbios: { revocation: "good" } } },
    });
    expect(verification.checks.filter(({ outcome }) => outcome === "unchecked")).toEqual([]);
    expect(asked).toHaveLength(2 + 3 + 3);
  });

  it("what devices of one machine share is asked for once", async () => {
    const { fetch, asked } = nvidia();
    const devices = gpus.map(({ evidence }) => evidence);
    const cpu = nitroEnclave().evidence;
    const collateral = await fetchCollateral({ cpu, devices, tokens: [] }, { fetch });
    const sent = asked.map(({ url, body }) => `${url} ${hex(body)}`);
    expect(new Set(sent).size).toBe(sent.length);
    // The second device adds what was burnt into it, and nothing else.
    expect(sent).toHaveLength(2 + 3 + 3 + 1);
    const [{ now }] = gpus as [NvidiaLab];
    const { roots } = together(gpus);
    for (const { evidence } of gpus) expect(verify(evidence, collateral, { now, roots })).toMatchObject({ ok: true });
  });

  it.skipIf(VECTORS === undefined)(
    "a recorded device names its manifests, and each certificate that NVIDIA issued is asked about",
    async () => {
      const certificates = vectorText("nvidia", "h100-580", "chain.pem").match(
        /-----BEGIN[^-]*-----[^-]*-----END[^-]*-----/g,
      )!;
      const chain = certificates.map(
        (text) => new Uint8Array(Buffer.from(text.replace(/-----[^-]*-----|\s/g, ""), "base64")),
      );
      const report = vector("nvidia", "h100-580", "report.bin");
      const driver = gpus[0]!.rims.driver!;
      const [answer] = gpus[0]!.collateral.nvidia!.ocsp as [Uint8Array];
      const { fetch, asked } = service(({ url }) =>
        bytes(url.pathname.startsWith("/v1/rim") ? JSON.stringify({ rim: base64(utf8(driver)) }) : answer),
      );
      const { nvidia } = await fetchCollateral({ kind: "nvidia", report, certificates: chain }, { fetch });
      const rims = asked
        .filter(({ url }) => url.pathname.startsWith("/v1/rim"))
        .map(({ url }) => url.pathname.split("/").at(-1));
      expect(rims[0]).toBe("NV_GPU_DRIVER_GH100_580.159.03");
      expect(rims[1]).toMatch(/^NV_GPU_VBIOS_/);
      // Three of the device's, and three of each manifest's signer, which are the same ones here and asked about once.
      expect(asked).toHaveLength(2 + 3 + 3);
      expect(nvidia).toMatchObject({ rims: [driver, driver], ocsp: { length: 3 + 3 + 3 } });
    },
  );

  it("a whole machine: once for its tokens, nothing for a Nitro document", async () => {
    const { fetch, asked } = service((request) =>
      request.url.host.startsWith("nras") ? bytes('{"keys":[]}') : PCS(request),
    );
    const token = { kind: "nras", overall: "", devices: {} } as const;
    const composite = { cpu: lab.evidence, devices: [], tokens: [token, token] };
    const collateral = await fetchCollateral(composite, { fetch });
    expect(collateral).toMatchObject({ intel: { length: 1 }, nras: { jwks: ['{"keys":[]}'] } });
    expect(asked).toHaveLength(5);
    expect(await fetchCollateral(nitroEnclave().evidence, { fetch })).toEqual({});
    const { quote } = lab;
    const noChain = concat(quote.subarray(0, 48 + 584), Uint8Array.of(0, 0, 0, 0));
    expect(await codeOf(fetchCollateral({ kind: "intel", quote: noChain }, { fetch }))).toBe("EVIDENCE_MALFORMED");
    expect(asked).toHaveLength(5);
  });
});
