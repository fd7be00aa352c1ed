/**
 * Ladders of the parts: field multiplication, multi-scalar multiplication, NTT, Poseidon. Results of all
 * implementations must agree; one that does not ends the benchmark.
 *
 * @module
 */
import { randomBytes } from "node:crypto";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { AnchorError } from "../errors.js";
import { R } from "../field/scalar.js";
import { type Contestant, contest, type Results, type Settings } from "./contest.js";
import { decodeIntegers, encodeIntegers } from "./encoding.js";
import { BenchServer } from "./processes.js";
import { onCard } from "./proving.js";
import { row, withRatios } from "./report.js";
import type { Implementation, Kernel } from "./server.js";

const MSM_SIZES = [14, 16, 18];
const NTT_SIZES = [14, 16, 18, 20];
/** Powers of two of bytes. */
const POSEIDON_SIZES = [16, 20];

export async function fieldLadder(settings: Settings, results: Results): Promise<void> {
  const samples = new Map<string, { throughput: number[]; latency: number[] }>();
  const names: Implementation[] = [...(settings.native ? (["native"] as const) : []), "javascript", "snarkjs"];
  await withServers(names, settings, async (servers) => {
    const contestants = names.map((name, i): Contestant => {
      return {
        name,
        run: async () => {
          const { ms, value } = await servers[i]!.ask("field", {});
          for (const { implementation, latencyNs, throughputNs } of value) {
            const own = samples.get(implementation) ?? { throughput: [], latency: [] };
            samples.set(implementation, own);
            own.throughput.push(throughputNs / 1e6);
            own.latency.push(latencyNs);
          }
          return ms;
        },
      };
    });
    await contest("field", contestants, settings);
  });
  results.rows(
    withRatios(
      [...samples].map(([implementation, { throughput, latency }]) => {
        const extra = { latencyNs: Math.min(...latency) };
        return row(
          { bench: "field", implementation, circuit: "multiplication", size: 0, threads: 1, extra },
          throughput,
        );
      }),
    ),
  );
}

/** Those that multiply and transform. */
function kernelNames({ native, cuda }: Settings): Implementation[] {
  return [...(native ? (["native"] as const) : []), ...(cuda ? (["cuda"] as const) : []), "snarkjs"];
}

export async function msmLadder(settings: Settings, results: Results): Promise<void> {
  const names = kernelNames(settings);
  if (settings.cuda) results.note("msm: cuda by the card's clock, points on the card; the others by the caller's");
  for (const group of [1, 2] as const) {
    for (const size of settings.sizes ?? MSM_SIZES) {
      const n = 2 ** size;
      const points = join(settings.folder, "points.bin");
      const scalars = join(settings.folder, "scalars.bin");
      await withServers(names, settings, async (servers) => {
        settings.onStep(`making 2^${size} points`);
        await servers.at(-1)!.ask("points", { group, n, file: points });
        await writeFile(scalars, randomElements(n));
        const { threads } = settings;
        const ask = (server: BenchServer) => server.ask("msm", { group, points, scalars, threads });
        await compare(
          `msm`,
          `g${group}`,
          size,
          names.map((name, i) => ({ name, ask: () => ask(servers[i]!), threads })),
          settings,
          results,
        );
      });
      await Promise.all([rm(points), rm(scalars)]);
    }
  }
}

export async function nttLadder(settings: Settings, results: Results): Promise<void> {
  const names = kernelNames(settings);
  if (settings.cuda) results.note("ntt: cuda by the card's clock, elements on the card; the others by the caller's");
  for (const size of settings.sizes ?? NTT_SIZES) {
    const file = join(settings.folder, "elements.bin");
    await writeFile(file, randomElements(2 ** size));
    await withServers(names, settings, async (servers) => {
      const { threads } = settings;
      const entrants = names.map((name, i) => ({
        name,
        ask: () => servers[i]!.ask("ntt", { file, threads }),
        threads,
      }));
      await compare("ntt", "forward", size, entrants, settings, results);
    });
    await rm(file);
  }
}

export async function poseidonLadder(settings: Settings, results: Results): Promise<void> {
  const names: Implementation[] = settings.native ? ["native", "javascript"] : ["javascript"];
  for (const size of settings.sizes ?? POSEIDON_SIZES) {
    const file = join(settings.folder, "data.bin");
    await writeFile(file, randomBytes(2 ** size));
    await withServers(names, settings, async (servers) => {
      const { threads } = settings;
      for (const [operation, circuit] of [
        ["poseidon", "tree"],
        ["contents", "chains of contents"],
      ] as const) {
        const entrants = names.map((name, i) => ({
          name: name as string,
          ask: () => servers[i]!.ask(operation, { file, threads: 1 }),
          threads: 1,
        }));
        if (settings.native && threads > 1) {
          const ask = () => servers[0]!.ask(operation, { file, threads });
          entrants.push({ name: `native, ${threads} threads`, ask, threads });
        }
        await compare("poseidon", circuit, size, entrants, settings, results, (ms) => ({
          MBps: 2 ** size / 1e6 / (ms / 1e3),
        }));
      }
    });
    await rm(file);
  }
}

interface Entrant {
  name: string;
  ask: () => Promise<{ ms: number; value: string | Kernel }>;
  threads: number;
}

/** Rounds of entrants that must all give the same. */
async function compare(
  bench: string,
  circuit: string,
  size: number,
  entrants: readonly Entrant[],
  settings: Settings,
  results: Results,
  extraOf?: (medianMs: number) => Record<string, number>,
): Promise<void> {
  let agreed: string | undefined;
  const times = entrants.map((): Kernel["times"] => undefined);
  const contestants = entrants.map(({ name, ask }, i): Contestant => {
    return {
      name,
      run: async () => {
        const { ms, value } = await ask();
        const kernel = typeof value === "string" ? { result: value } : value;
        times[i] = kernel.times;
        agreed ??= kernel.result;
        if (kernel.result !== agreed) {
          throw new AnchorError("INTERNAL", `${bench} ${circuit} 2^${size}: ${name} has another result`);
        }
        return ms;
      },
    };
  });
  const samples = await contest(`${bench} ${circuit} 2^${size}`, contestants, settings, 1);
  const rows = entrants.map(({ name, threads }, i) => {
    const of = row(
      { bench, implementation: name, circuit, size, threads, ...onCard(name, times[i], settings) },
      samples[i]!,
    );
    return extraOf ? { ...of, extra: extraOf(of.medianMs) } : of;
  });
  results.rows(withRatios(rows));
}

async function withServers(
  names: readonly Implementation[],
  { threads, signal, cuda }: Settings,
  use: (servers: BenchServer[]) => Promise<void>,
): Promise<void> {
  const servers = names.map((name) => new BenchServer(name, threads, signal, name === "cuda" ? cuda : undefined));
  try {
    await use(servers);
  } finally {
    for (const server of servers) server.close();
  }
}

function randomElements(n: number): Uint8Array {
  return encodeIntegers(decodeIntegers(randomBytes(32 * n)).map((value) => value % R));
}
