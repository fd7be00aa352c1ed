import { nrasAnswer } from "../../../../src/tee/lab/nras.js";
import { PINNED_ROOTS } from "../../../../src/tee/roots.js";
import { cases, vectorText } from "../../vectors.js";
import { baseOf } from "../base.js";
import { type Base, type Family, partOf } from "../family.js";

const SET = "collateral.nras.jwks.0";

function bases(): Base[] {
  // Those that say that attestation failed are refused as they are.
  const passed = cases("nras-jwt").filter(({ expect }) => expect === "accept");
  const real = passed.map(({ id, at }, i) => {
    const [[, overall], devices] = JSON.parse(vectorText("nras-jwt", id, "nras_response.json"));
    const jwks = vectorText("nras-jwt", id, "jwks.json");
    const now = Math.floor(Date.parse(String(at)) / 1000);
    const evidence = { kind: "nras", overall, devices } as const;
    return baseOf(id, { now, roots: {}, evidence, collateral: { nras: { jwks: [jwks] } } }, i === 0);
  });
  const own = nrasAnswer({ devices: { "GPU-0": {}, "GPU-1": {} } });
  const all = [...real, baseOf("laboratory's answer", own, real.length === 0)];
  for (const base of all) {
    const [head] = Buffer.from(partOf(base, "evidence.overall")).toString("latin1").split(".");
    kids.set(partOf(base, SET), JSON.parse(Buffer.from(head!, "base64url").toString()).kid);
  }
  return all;
}

const PINNED = Buffer.from(PINNED_ROOTS.nvidiaNras[0]!).toString("base64");

/** By key set, the key that its tokens name. */
const kids = new WeakMap<Uint8Array, string>();

interface Jwk {
  kid: string;
  x5c: string[];
  x: string;
  y: string;
}

/** That key, its certificate, and the one that issued it, which is pinned and need not come along. */
function namedKey(set: Uint8Array, kid: string | undefined): string {
  const { keys } = JSON.parse(new TextDecoder().decode(set)) as { keys: Jwk[] };
  const key = keys.find((each) => each.kid === kid)!;
  return JSON.stringify([key.x, key.y, key.x5c[0], key.x5c[1] ?? PINNED]);
}

export const nras: Family = {
  name: "nras",
  bases,
  excuses: [
    {
      reason:
        "keys that no token names, and of the one that it names what is no key or certificate up to the pinned one, itself included",
      covers: ({ name, bytes }, changed) =>
        name === SET &&
        changed !== undefined &&
        namedKey(bytes, kids.get(bytes)) === namedKey(changed, kids.get(bytes)),
    },
  ],
};
