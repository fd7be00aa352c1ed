/**
 * The ladder of attestation: evidence with everything that goes with it to claims, from parsing to the last check, in one
 * process. SGX and TDX beside `@phala/dcap-qvl`, which is installed with the project and not with the package; it checks less (see
 * test/tee/intel/differential.test.ts).
 *
 * Evidence is recorded where recordings are at hand, and the laboratory's otherwise.
 *
 * @module
 */
import { AnchorError } from "../errors.js";
import type { IntelCollateral } from "../tee/collateral.js";
import { verifyComposite } from "../tee/composite.js";
import type { Evidence } from "../tee/evidence.js";
import type { Lab } from "../tee/lab/bytes.js";
import { intelPlatform } from "../tee/lab/intel.js";
import { labMachine } from "../tee/lab/machine.js";
import { nitroEnclave } from "../tee/lab/nitro.js";
import { recorded, recordedFolder } from "../tee/lab/recorded.js";
import { snpProcessor } from "../tee/lab/snp.js";
import { verify } from "../tee/verify.js";
import { type Contestant, contest, type Results, type Settings } from "./contest.js";
import { row, withRatios } from "./report.js";

/** Verifications in one sample. */
const REPEATS = 20;
const WARM_UPS = 3;

type Peer = (quote: Uint8Array, collateral: IntelCollateral, now: number, root: Uint8Array | undefined) => void;

export async function teeLadder(settings: Settings, results: Results): Promise<void> {
  const folder = recordedFolder();
  results.note(folder ? `evidence recorded on real machines, from ${folder}` : "evidence of the laboratory's own PKI");
  const peer = await loadPeer();
  if (!peer) results.note("dcap-qvl is not installed: no peer");
  for (const [circuit, lab] of Object.entries(folder ? recordings(folder) : laboratory())) {
    const { evidence, collateral, now, roots } = lab;
    const contestants: Contestant[] = [
      {
        name: "anchorproof",
        run: async () =>
          timed(() => {
            const { ok } = verify(evidence, collateral, { now, roots });
            if (!ok) throw new AnchorError("INTERNAL", `the benchmark's ${circuit} does not verify`);
          }),
      },
    ];
    if (peer && evidence.kind === "intel") {
      const entry = collateral.intel![0]!;
      const ask = () => peer(evidence.quote, entry, now, roots.intel?.[0]);
      const refusal = refusalOf(ask);
      if (refusal === undefined) contestants.push({ name: "dcap-qvl", run: async () => timed(ask) });
      else results.note(`dcap-qvl refuses ${circuit}: ${refusal}`);
    }
    const samples = await contest(`tee ${circuit}`, contestants, settings, WARM_UPS);
    const heads = contestants.map(({ name }) => ({ bench: "tee", implementation: name, circuit, size: 0, threads: 1 }));
    results.rows(withRatios(heads.map((head, i) => row({ ...head, mode: "warm" }, samples[i]!))));
  }
  await wholeMachine(settings, results);
}

const GPUS = 8;
/** A machine takes as long as many pieces do. */
const MACHINE_REPEATS = 2;

/** A TD with eight GPUs, their manifests and the answers about their certificates: the laboratory's, since no recording has all of it. */
async function wholeMachine(settings: Settings, results: Results): Promise<void> {
  const { composite, collateral, now, roots } = labMachine({ devices: Array.from({ length: GPUS }, () => ({})) });
  const circuit = `tdx-${GPUS}-gpus`;
  const run = async () =>
    timed(() => {
      const { ok } = verifyComposite(composite, collateral, { now, roots });
      if (!ok) throw new AnchorError("INTERNAL", `the benchmark's ${circuit} does not verify`);
    }, MACHINE_REPEATS);
  const [samples] = await contest(`tee ${circuit}`, [{ name: "anchorproof", run }], settings, WARM_UPS);
  const head = { bench: "tee", implementation: "anchorproof", circuit, size: 0, threads: 1, mode: "warm" } as const;
  results.rows(withRatios([row(head, samples!)]));
}

/** Some genuine evidence it does not take: see its deviations in the differential test. */
function refusalOf(ask: () => void): string | undefined {
  try {
    ask();
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** Milliseconds of one of many. */
function timed(run: () => void, repeats = REPEATS): number {
  const started = performance.now();
  for (let i = 0; i < repeats; i++) run();
  return (performance.now() - started) / repeats;
}

function recordings(folder: string): Record<string, Lab<Evidence>> {
  const day = (text: string) => Date.parse(text) / 1000;
  const intel = (id: string, now: number) => recorded(folder, ["intel", id], "quote.bin", ["collateral.json"], now);
  const snp = (id: string) =>
    recorded(folder, ["snp", id], "report.bin", ["vek.der", "ask_ark_asvk.pem"], day("2026-06-01"));
  return {
    "tdx-v4": intel("tdx-v4-phala", 1751624191),
    "tdx-v5": intel("tdx-v5-alibaba-90c06f", 1774995607),
    "sgx-v3": intel("sgx-v3-phala", 1751624924),
    "snp-milan": snp("vcek-milan-v3-ms"),
    "snp-turin": snp("vcek-turin-v5-ms"),
    nitro: recorded(folder, ["nitro", "prod-2025-dstack"], "doc.cose", [], day("2025-12-25T16:10:00Z")),
  };
}

function laboratory(): Record<string, Lab<Evidence>> {
  return {
    "tdx-v4": intelPlatform(),
    "tdx-v5": intelPlatform({ body: "td-1.5" }),
    "sgx-v3": intelPlatform({ body: "sgx" }),
    "snp-milan": snpProcessor({ product: "Milan" }),
    "snp-turin": snpProcessor({ product: "Turin" }),
    nitro: nitroEnclave(),
  };
}

interface DcapQvl {
  verify(quote: Uint8Array, collateral: unknown, now: number): unknown;
  QuoteVerifier: { newWithRootCa(root: Buffer): DcapQvl };
}

async function loadPeer(): Promise<Peer | undefined> {
  const name = "@phala/dcap-qvl"; // a constant: its types are for the tests
  const { default: qvl } = await import(name).then(
    (module: { default: DcapQvl }) => module,
    () => ({ default: undefined }),
  );
  if (!qvl) return undefined;
  const prepared = new WeakMap<IntelCollateral, unknown>();
  return (quote, collateral, now, root) => {
    // Its own form of the collateral is not part of what is timed twice: ours is parsed in every run.
    let theirs = prepared.get(collateral);
    if (!theirs) prepared.set(collateral, (theirs = toPhala(collateral)));
    (root ? qvl.QuoteVerifier.newWithRootCa(Buffer.from(root)) : qvl).verify(quote, theirs, now);
  };
}

function toPhala({ tcbInfo, qeIdentity, rootCrl, pckCrl, pckCrlChain }: IntelCollateral): Record<string, unknown> {
  const pem = (chain: readonly Uint8Array[]) =>
    chain
      .map((der) => `-----BEGIN CERTIFICATE-----\n${Buffer.from(der).toString("base64")}\n-----END CERTIFICATE-----\n`)
      .join("");
  return {
    pck_crl_issuer_chain: pem(pckCrlChain),
    root_ca_crl: [...rootCrl],
    pck_crl: [...pckCrl],
    tcb_info_issuer_chain: pem(tcbInfo.chain),
    tcb_info: tcbInfo.json,
    tcb_info_signature: [...tcbInfo.signature],
    qe_identity_issuer_chain: pem(qeIdentity.chain),
    qe_identity: qeIdentity.json,
    qe_identity_signature: [...qeIdentity.signature],
  };
}
