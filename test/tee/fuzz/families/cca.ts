import { createPublicKey } from "node:crypto";
import { ccaRealm } from "../../../../src/tee/lab/cca.js";
import { equalBytes } from "../../../../src/tee/read/bytes.js";
import { VECTORS, vector, vectorText } from "../../vectors.js";
import { baseOf } from "../base.js";
import type { Base, Family } from "../family.js";

function bases(): Base[] {
  return [
    ...(VECTORS === undefined ? [] : [monitor()]),
    baseOf("laboratory's realm", ccaRealm()),
    baseOf("laboratory's realm, old form", ccaRealm({ form: "old", apart: true })),
  ];
}

/** The token of Arm's own monitor, tf-rmm. */
function monitor(): Base {
  const pem = vectorText("arm-cca", "realm_testvectors_tf-rmm_cca_platform.pub");
  const spki = new Uint8Array(createPublicKey(pem).export({ type: "spki", format: "der" }));
  return baseOf("tf-rmm", {
    now: 1_780_000_000,
    roots: { ccaPlatform: [spki] },
    evidence: { kind: "cca", token: vector("arm-cca", "realm_testvectors_tf-rmm_cca_token.cbor") },
    collateral: {},
  });
}

export const cca: Family = {
  name: "cca",
  bases,
  excuses: [
    {
      reason: "a key may be written in many ways",
      covers: ({ name, bytes }, changed) =>
        name.startsWith("collateral.cca.keys.") && changed !== undefined && equalBytes(spki(changed), spki(bytes)),
    },
  ],
};

function spki(text: Uint8Array): Uint8Array {
  const jwk = JSON.parse(new TextDecoder().decode(text));
  return new Uint8Array(createPublicKey({ key: jwk, format: "jwk" }).export({ type: "spki", format: "der" }));
}
