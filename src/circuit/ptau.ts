/**
 * Powers of tau: phase 1 of a setup, shared by all circuits. Files are snarkjs' `.ptau`.
 *
 * What matters of a file is who contributed to it: with τ known, every key made from it can be forged with. Nothing in a
 * file shows that somebody forgot their part. So a file is *of the public ceremony* when its BLAKE2b digest is a
 * published one (the Perpetual Powers of Tau, 54 contributions and a beacon, as snarkjs' documentation lists them), and
 * otherwise for its user to believe in, by its digest, or not at all. The records of contributions within a file are
 * kept, and not checked here: `snarkjs powersoftau verify` does that.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { type FileHandle, open, readFile, realpath, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { AnchorError, isAnchorError, toAnchorError } from "../errors.js";
import { type Hex, toHex, utf8 } from "../field/bytes.js";
import { Q } from "../field/scalar.js";
import { G1_GENERATOR } from "../verifier/curve.js";
import { Container, decodeG1, integer, littleEndian, uint32 } from "./binfile.js";
import { type LongWork, runNative } from "./nativeTask.js";
import { MAX_CIRCUIT_POWER } from "./r1cs.js";
import { type ArtefactStore, defaultStore } from "./store.js";
import { STAMP_SECTION } from "./zkey.js";

const MAX_POWER = 28;
const KIND = "ptau";
const FILE = "powers.ptau";
const RECORD = "ptau.json";
const FORMAT = "anchorproof/ptau@1";
const DIGEST_TAG = "anchorproof/ptau/1";

/** Bytes a point of each section, and how many points one of power p has. */
const SECTIONS = [
  { id: 2, bytes: 64, points: (power: number) => 2 ** (power + 1) - 1 },
  { id: 3, bytes: 128, points: (power: number) => 2 ** power },
  { id: 4, bytes: 64, points: (power: number) => 2 ** power },
  { id: 5, bytes: 64, points: (power: number) => 2 ** power },
  { id: 6, bytes: 128, points: () => 1 },
] as const;

/** BLAKE2b-512 of the public ceremony's files by power, from snarkjs' documentation. */
export const PUBLIC_CEREMONY: ReadonlyMap<number, string> = new Map([
  [
    8,
    "d6a8fb3a04feb600096c3b791f936a578c4e664d262e4aa24beed1b7a9a96aa5eb72864d628db247e9293384b74b36ffb52ca8d148d6e1b8b51e279fdf57b583",
  ],
  [
    9,
    "94f108a80e81b5d932d8e8c9e8fd7f46cf32457e31462deeeef37af1b71c2c1b3c71fb0d9b59c654ec266b042735f50311f9fd1d4cadce47ab234ad163157cb5",
  ],
  [
    10,
    "6cfeb8cda92453099d20120bdd0e8a5c4e7706c2da9a8f09ccc157ed2464d921fd0437fb70db42104769efd7d6f3c1f964bcf448c455eab6f6c7d863e88a5849",
  ],
  [
    11,
    "47c282116b892e5ac92ca238578006e31a47e7c7e70f0baa8b687f0a5203e28ea07bbbec765a98dcd654bad618475d4661bfaec3bd9ad2ed12e7abc251d94d33",
  ],
  [
    12,
    "ded2694169b7b08e898f736d5de95af87c3f1a64594013351b1a796dbee393bd825f88f9468c84505ddd11eb0b1465ac9b43b9064aa8ec97f2b73e04758b8a4a",
  ],
  [
    13,
    "58efc8bf2834d04768a3d7ffcd8e1e23d461561729beaac4e3e7a47829a1c9066d5320241e124a1a8e8aa6c75be0ba66f65bc8239a0542ed38e11276f6fdb4d9",
  ],
  [
    14,
    "eeefbcf7c3803b523c94112023c7ff89558f9b8e0cf5d6cdcba3ade60f168af4a181c9c21774b94fbae6c90411995f7d854d02ebd93fb66043dbb06f17a831c1",
  ],
  [
    15,
    "982372c867d229c236091f767e703253249a9b432c1710b4f326306bfa2428a17b06240359606cfe4d580b10a5a1f63fbed499527069c18ae17060472969ae6e",
  ],
  [
    16,
    "6a6277a2f74e1073601b4f9fed6e1e55226917efb0f0db8a07d98ab01df1ccf43eb0e8c3159432acd4960e2f29fe84a4198501fa54c8dad9e43297453efec125",
  ],
  [
    17,
    "6247a3433948b35fbfae414fa5a9355bfb45f56efa7ab4929e669264a0258976741dfbe3288bfb49828e5df02c2e633df38d2245e30162ae7e3bcca5b8b49345",
  ],
  [
    18,
    "7e6a9c2e5f05179ddfc923f38f917c9e6831d16922a902b0b4758b8e79c2ab8a81bb5f29952e16ee6c5067ed044d7857b5de120a90704c1d3b637fd94b95b13e",
  ],
  [
    19,
    "bca9d8b04242f175189872c42ceaa21e2951e0f0f272a0cc54fc37193ff6648600eaf1c555c70cdedfaf9fb74927de7aa1d33dc1e2a7f1a50619484989da0887",
  ],
  [
    20,
    "89a66eb5590a1c94e3f1ee0e72acf49b1669e050bb5f93c73b066b564dca4e0c7556a52b323178269d64af325d8fdddb33da3a27c34409b821de82aa2bf1a27b",
  ],
  [
    21,
    "9aef0573cef4ded9c4a75f148709056bf989f80dad96876aadeb6f1c6d062391f07a394a9e756d16f7eb233198d5b69407cca44594c763ab4a5b67ae73254678",
  ],
  [
    22,
    "0d64f63dba1a6f11139df765cb690da69d9b2f469a1ddd0de5e4aa628abb28f787f04c6a5fb84a235ec5ea7f41d0548746653ecab0559add658a83502d1cb21b",
  ],
  [
    23,
    "3063a0bd81d68711197c8820a92466d51aeac93e915f5136d74f63c394ee6d88c5e8016231ea6580bec02e25d491f319d92e77f5c7f46a9caa8f3b53c0ea544f",
  ],
  [
    24,
    "fa404d140d5819d39984833ca5ec3632cd4995f81e82db402371a4de7c2eae8687c62bc632a95b0c6aadba3fb02680a94e09174b7233ccd26d78baca2647c733",
  ],
  [
    25,
    "0377d860cdb09a8a31ea1b0b8c04335614c8206357181573bf294c25d5ca7dff72387224fbd868897e6769f7805b3dab02854aec6d69d7492883b5e4e5f35eeb",
  ],
  [
    26,
    "418dee4a74b9592198bd8fd02ad1aea76f9cf3085f206dfd7d594c9e264ae919611b1459a1cc920c2f143417744ba9edd7b8d51e44be9452344a225ff7eead19",
  ],
  [
    27,
    "10ffd99837c512ef99752436a54b9810d1ac8878d368fb4b806267bdd664b4abf276c9cd3c4b9039a1fa4315a0c326c0e8e9e8fe0eb588ffd4f9021bf7eae1a1",
  ],
  [
    28,
    "55c77ce8562366c91e7cda394cf7b7c15a06c12d8c905e8b36ba9cf5e13eb37d1a429c589e8eaba4c591bc4b88a0e2828745a53e170eac300236f5c1a326f41a",
  ],
]);

export interface PtauDescription {
  /** A circuit may have up to 2^power rows. */
  power: number;
  /** Whether it holds Lagrange forms, which make the first key of each size much faster. */
  prepared: boolean;
  /** Records of contributions in the file, which are not checked. */
  contributions: number;
  /** The published file of the public ceremony that it is, or was cut from, by its BLAKE2b digest. */
  publicCeremony?: string;
  /** Made by `setup ptau new`, on one machine. */
  development: boolean;
}

export interface ImportedPtau extends PtauDescription {
  path: string;
  /** {@link ptauDigest} at its own power. */
  digest: Hex;
  /** Of the file it was cut from. */
  blake2b: Hex;
}

export interface ImportOptions extends LongWork {
  store?: ArtefactStore | undefined;
  /** Keep only what circuits of up to 2^power rows need; the file's own power unless told, at most 27. */
  power?: number | undefined;
  /** The BLAKE2b-512 digest that the file must have, 128 hexadecimal digits. */
  blake2b?: string | undefined;
}

/**
 * Checks powers of tau and keeps what is needed of them: structure, every point, all powers of one τ, α and β (by
 * pairings over random linear combinations), and the BLAKE2b digest of the whole file. What keys of this size are made
 * from is kept as well; of a file that is not prepared, making it takes most of the time.
 *
 * @throws PTAU_INVALID, KEY_FORGEABLE for powers without a contribution (τ, α or β is ±1), FILE_NOT_FOUND,
 * FILE_UNREADABLE, NATIVE_UNAVAILABLE, ABORTED
 */
export async function importPtau(path: string, options: ImportOptions = {}): Promise<ImportedPtau> {
  const { signal, onProgress, store = defaultStore() } = options;
  let basisFrom = 1;
  const part = (from: number, to: number) => (done: number) => onProgress?.(basisFrom * (from + (to - from) * done));
  const wanted = options.blake2b === undefined ? undefined : blake2bOf(options.blake2b);
  const header = await readPtauHeader(path);
  const power = options.power ?? Math.min(header.power, MAX_CIRCUIT_POWER);
  if (!Number.isInteger(power) || power < 1 || power > Math.min(header.power, MAX_CIRCUIT_POWER)) {
    throw new AnchorError(
      "PTAU_INVALID",
      `these powers of tau serve circuits of up to 2^${header.power} rows, and at most 2^27`,
    );
  }
  basisFrom = header.prepared ? 0.7 : 0.15;
  const { blake2b, digest } = await digestsOf(path, power, { signal, onProgress: part(0, 0.4) });
  if (wanted !== undefined && wanted !== blake2b) {
    throw new AnchorError("PTAU_INVALID", `${path} has another BLAKE2b digest than the one asked for`, {
      details: { blake2b },
    });
  }
  const publicCeremony = publicName(header.power, blake2b);
  const { contributions, development } = header;
  const record = {
    format: FORMAT,
    digest,
    power,
    contributions,
    development,
    blake2b,
    ...(publicCeremony === undefined ? {} : { publicCeremony }),
  };
  const directory = await store.build(
    KIND,
    nameOf(record),
    async (workshop) => {
      const kept = join(workshop, FILE);
      await truncate(path, power, kept, { signal, onProgress: part(0.4, 0.6) });
      if ((await ptauDigest(kept, power, { signal })) !== digest) {
        throw changed(path);
      }
      await runNative("checkPtau", { path: kept, points: true }, { ...options, onProgress: part(0.6, 1) });
      await writeFile(join(workshop, RECORD), `${JSON.stringify(record, null, 1)}\n`);
    },
    { signal, label: `2^${power}, ${publicCeremony ?? (development ? "development" : "source unknown")}` },
  );
  // Now, from the whole file: what is cut from a prepared one is not prepared.
  const rest = (done: number) => onProgress?.(basisFrom + (1 - basisFrom) * done);
  await ptauBasis(path, power, { ...options, store, cut: true, onProgress: rest });
  onProgress?.(1);
  return { path: join(directory, FILE), prepared: false, ...(await readRecord(directory)) };
}

/** What has been imported, by power. */
export async function listPtau(
  options: { store?: ArtefactStore | undefined; signal?: AbortSignal } = {},
): Promise<ImportedPtau[]> {
  const { store = defaultStore(), signal } = options;
  const entries = (await store.list({ signal })).filter(
    ({ kind, state, type }) => kind === KIND && state === "intact" && type === "entry",
  );
  const found = await Promise.all(
    entries.map(async ({ path }) => ({ path: join(path, FILE), prepared: false, ...(await readRecord(path)) })),
  );
  return found.sort((a, b) => a.power - b.power);
}

/**
 * What is known of a file: of an imported one what its import found, of any other one by its digest, which takes a second
 * a gigabyte.
 *
 * @param options.store where imports are kept
 * @throws PTAU_INVALID, KEY_FORGEABLE for powers without a contribution, FILE_NOT_FOUND, FILE_UNREADABLE, ABORTED
 */
export async function describePtau(
  path: string,
  { signal, onProgress, store = defaultStore() }: LongWork & { store?: ArtefactStore | undefined } = {},
): Promise<PtauDescription> {
  const { power, prepared, contributions, development } = await readPtauHeader(path);
  const known = { power, prepared, contributions, development };
  const imported = await importOf(path, store, signal);
  const publicCeremony = imported
    ? imported.publicCeremony
    : publicName(power, (await digestsOf(path, power, { signal, onProgress })).blake2b);
  return { ...known, ...(publicCeremony === undefined ? {} : { publicCeremony }) };
}

/**
 * Names the powers that keys of circuits with 2^power rows are made from: SHA-256 over a tag, the power, and the points
 * that such keys need, in the file's order and encoding. The same for a file and for what was cut from it.
 *
 * @throws PTAU_INVALID, KEY_FORGEABLE for powers without a contribution, FILE_NOT_FOUND, FILE_UNREADABLE, ABORTED
 */
export async function ptauDigest(path: string, power: number, { signal, onProgress }: LongWork = {}): Promise<Hex> {
  const file = await Container.open(path, "ptau", malformed);
  try {
    const { power: own } = await parseHeader(file);
    if (!Number.isInteger(power) || power < 1 || power > own) {
      throw new AnchorError(
        "PTAU_INVALID",
        `these powers of tau serve circuits of up to 2^${own} rows, not 2^${power}`,
      );
    }
    const total = SECTIONS.reduce((sum, { bytes, points }) => sum + bytes * points(power), 0);
    let done = 0;
    const hash = createHash("sha256").update(DIGEST_TAG).update(uint32(power));
    for (const { id, bytes, points } of SECTIONS) {
      for await (const piece of file.pieces(file.section(id).offset, bytes * points(power), signal)) {
        hash.update(piece);
        onProgress?.((done += piece.length) / total);
      }
    }
    return toHex(hash.digest());
  } finally {
    await file.close();
  }
}

/**
 * Makes powers of tau for development, for circuits of up to 2^power rows: τ, α and β are drawn on this machine, so that
 * whoever runs this could forge proofs for every key made from them. The file is stamped, and has no contribution.
 *
 * @param path must not exist
 * @throws INPUT_INVALID, FILE_UNREADABLE, NATIVE_UNAVAILABLE, ABORTED
 */
export async function newDevelopmentPtau(
  power: number,
  path: string,
  { prepared = false, ...work }: LongWork & { prepared?: boolean } = {},
): Promise<void> {
  const stamp = utf8(JSON.stringify({ tool: "anchorproof", development: true }));
  await runNative("newPtau", { power, path, prepared, stamp }, work);
}

/**
 * What keys of 2^power rows are made from, in a file that the native core reads; made on first use and kept in the
 * store. From a file that is not prepared this takes most of a setup's time.
 *
 * @param cut as from a file that ends at this power, such as an import keeps
 * @throws PTAU_INVALID, KEY_FORGEABLE for powers without a contribution, NATIVE_UNAVAILABLE, ABORTED
 */
export async function ptauBasis(
  path: string,
  power: number,
  {
    store = defaultStore(),
    cut = false,
    ...work
  }: LongWork & { store?: ArtefactStore | undefined; cut?: boolean } = {},
): Promise<string> {
  const { signal } = work;
  const digest = await ptauDigest(path, power, { signal });
  const continues = !cut && (await readPtauHeader(path)).power > power;
  const directory = await store.build(
    "ptau-basis",
    `${FORMAT} basis/1 ${power} ${digest} ${continues ? "continues" : "ends"}`,
    async (workshop) => {
      await runNative("makeBasis", { ptauPath: path, power, cut, path: join(workshop, "basis.bin") }, work);
      // Others will take it for what these powers give.
      if ((await ptauDigest(path, power, { signal })) !== digest) throw changed(path);
    },
    { signal, label: `keys of 2^${power} rows` },
  );
  return join(directory, "basis.bin");
}

/**
 * τ^(n−1) for n = 2^power, and the 64 bytes where τ^(2n−1) would be; `continued` when it is there, and otherwise they are
 * whatever follows in the file.
 */
export async function bytesAfterPowers(
  path: string,
  power: number,
): Promise<{ last: Uint8Array; after: Uint8Array; continued: boolean }> {
  const file = await Container.open(path, "ptau", malformed);
  try {
    const { power: own } = await parseHeader(file);
    const { offset } = file.section(2);
    const at = (index: number) => file.read(offset + 64 * index, 64);
    return { last: await at(2 ** power - 1), after: await at(2 ** (power + 1) - 1), continued: own > power };
  } finally {
    await file.close();
  }
}

interface Header extends PtauDescription {
  ceremonyPower: number;
}

/** @throws PTAU_INVALID, KEY_FORGEABLE for powers that are known to everybody, FILE_NOT_FOUND, FILE_UNREADABLE */
export async function readPtauHeader(path: string): Promise<Header> {
  const file = await Container.open(path, "ptau", malformed);
  try {
    return await parseHeader(file);
  } finally {
    await file.close();
  }
}

async function parseHeader(file: Container): Promise<Header> {
  if (file.section(1).length !== 44) malformed("its header has the wrong length");
  const header = await file.content(1);
  const view = new DataView(header.buffer, header.byteOffset);
  if (view.getUint32(0, true) !== 32 || integer(header.subarray(4, 36)) !== Q) malformed("they are not over BN254");
  const [power, ceremonyPower] = [view.getUint32(36, true), view.getUint32(40, true)];
  if (power < 1 || ceremonyPower < power || ceremonyPower > MAX_POWER) malformed("their power is out of range");
  for (const { id, bytes, points } of SECTIONS) {
    if (file.section(id).length !== bytes * points(power)) malformed(`section ${id} has the wrong length`);
  }
  if (file.section(7).length < 4) malformed("section 7 has the wrong length");
  await refuseKnown(file);
  const records = await file.read(file.section(7).offset, 4);
  return {
    power,
    ceremonyPower,
    prepared: [12, 13, 14, 15].every((id) => file.sections.has(id)),
    contributions: new DataView(records.buffer, records.byteOffset).getUint32(0, true),
    development: file.sections.has(STAMP_SECTION),
  };
}

/**
 * What everybody knows is no secret: with τ = ±1, say, anybody forges. So no use of such powers goes further than this; an
 * import alone checks that the rest of a file goes with these points.
 */
async function refuseKnown(file: Container): Promise<void> {
  for (const at of [file.section(2).offset + 64, file.section(4).offset, file.section(5).offset]) {
    const point = decodeG1(await file.read(at, 64)) ?? malformed("a coordinate is not below q");
    if (point[0] !== G1_GENERATOR[0]) continue; // P and −P have one x
    throw new AnchorError(
      "KEY_FORGEABLE",
      "tau, alpha or beta is 1 or -1: these powers have no contribution, and anybody can forge proofs for a key made from them",
    );
  }
}

/** The first powers of a file as a file of their own, as `snarkjs powersoftau truncate` writes it. */
async function truncate(path: string, power: number, to: string, { signal, onProgress }: LongWork): Promise<void> {
  const file = await Container.open(path, "ptau", malformed);
  let out: FileHandle | undefined;
  try {
    const { ceremonyPower } = await parseHeader(file);
    const stamp = file.sections.has(STAMP_SECTION) ? [STAMP_SECTION] : [];
    const parts = [
      ...SECTIONS.map(({ id, bytes, points }) => ({ id, length: bytes * points(power) })),
      ...[7, ...stamp].map((id) => ({ id, length: file.section(id).length })),
    ];
    const total = parts.reduce((sum, { length }) => sum + length, 0);
    out = await open(to, "wx", 0o644);
    const header = [uint32(32), littleEndian(Q), uint32(power), uint32(ceremonyPower)];
    for (const bytes of [utf8("ptau"), uint32(1), uint32(1 + parts.length), sectionHead(1, 44), ...header])
      await out.appendFile(bytes);
    let done = 0;
    for (const { id, length } of parts) {
      await out.appendFile(sectionHead(id, length));
      for await (const piece of file.pieces(file.section(id).offset, length, signal)) {
        await out.appendFile(piece);
        onProgress?.((done += piece.length) / total);
      }
    }
    await out.sync();
  } catch (error) {
    throw toAnchorError(error, "FILE_UNREADABLE", `cannot write ${to}`);
  } finally {
    await out?.close();
    await file.close();
  }
}

function sectionHead(id: number, length: number): Uint8Array {
  const bytes = new Uint8Array(12);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, id, true);
  view.setBigUint64(4, BigInt(length), true);
  return bytes;
}

/**
 * BLAKE2b-512 of a whole file and {@link ptauDigest} of its powers, of the same bytes: they are read once, so that nobody
 * can have the one taken of the public ceremony's file and the other of their own.
 */
async function digestsOf(
  path: string,
  power: number,
  { signal, onProgress }: LongWork,
): Promise<{ blake2b: Hex; digest: Hex }> {
  const file = await Container.open(path, "ptau", malformed);
  try {
    await parseHeader(file);
    const wanted = SECTIONS.map(({ id, bytes, points }) => {
      const { offset } = file.section(id);
      return { from: offset, to: offset + bytes * points(power) };
    });
    // As snarkjs writes them.
    if (wanted.some(({ from }, i) => i > 0 && from < wanted[i - 1]!.to)) malformed("its sections are out of order");
    const blake2b = createHash("blake2b512");
    const digest = createHash("sha256").update(DIGEST_TAG).update(uint32(power));
    let at = 0;
    for await (const piece of file.pieces(0, file.bytes, signal)) {
      blake2b.update(piece);
      for (const { from, to } of wanted) {
        if (from < at + piece.length && to > at) digest.update(piece.subarray(Math.max(0, from - at), to - at));
      }
      at += piece.length;
      onProgress?.(at / file.bytes);
    }
    return { blake2b: toHex(blake2b.digest()), digest: toHex(digest.digest()) };
  } finally {
    await file.close();
  }
}

function blake2bOf(text: unknown): string {
  const digits = typeof text === "string" ? text.toLowerCase().replace(/^0x/, "") : "";
  if (!/^[0-9a-f]{128}$/.test(digits)) {
    throw new AnchorError("INPUT_INVALID", "a BLAKE2b-512 digest has 128 hexadecimal digits");
  }
  return `0x${digits}`;
}

function publicName(power: number, blake2b: Hex): string | undefined {
  if (PUBLIC_CEREMONY.get(power) !== blake2b.slice(2)) return undefined;
  return power === MAX_POWER ? "powersOfTau28_hez_final" : `powersOfTau28_hez_final_${String(power).padStart(2, "0")}`;
}

/** Where powers are from belongs to them: the same ones from an unknown file are not those of the public ceremony. */
function nameOf({
  digest,
  publicCeremony,
  development,
}: Pick<ImportedPtau, "digest" | "publicCeremony" | "development">): string {
  return `${FORMAT} ${digest} ${publicCeremony ?? "-"} ${development}`;
}

/** The record of the file's import, if an import keeps this file: a record anywhere else may say anything. */
async function importOf(
  path: string,
  store: ArtefactStore,
  signal: AbortSignal | undefined,
): Promise<Awaited<ReturnType<typeof readRecord>> | undefined> {
  const record = await readRecord(dirname(path)).catch(() => undefined);
  const kept = record && (await store.find(KIND, nameOf(record), { signal }));
  if (kept === undefined) return undefined;
  const [own, given] = await Promise.all([join(kept, FILE), path].map((place) => realpath(place)));
  return own === given ? record : undefined;
}

/** The record of an import. The store's own check vouches for it. */
async function readRecord(directory: string): Promise<Omit<ImportedPtau, "path" | "prepared">> {
  try {
    const record = JSON.parse(await readFile(join(directory, RECORD), "utf8"));
    if (record.format !== FORMAT) throw new AnchorError("FORMAT_UNSUPPORTED", "not a record of imported powers of tau");
    const { digest, power, contributions, development, blake2b, publicCeremony } = record;
    return {
      digest,
      power,
      contributions,
      development,
      blake2b,
      ...(publicCeremony === undefined ? {} : { publicCeremony }),
    };
  } catch (error) {
    if (isAnchorError(error)) throw error;
    throw toAnchorError(error, "PTAU_INVALID", `${directory} holds no imported powers of tau`);
  }
}

function changed(path: string): AnchorError {
  return new AnchorError("PTAU_INVALID", `${path} changed while it was read`);
}

function malformed(reason: string): never {
  throw new AnchorError("PTAU_INVALID", `the powers of tau are refused: ${reason}`, { details: { reason } });
}
