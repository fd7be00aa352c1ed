import { verifyWith } from "../../../../src/tee/context.js";
import { nitroEnclave } from "../../../../src/tee/lab/nitro.js";
import { verifyNitro } from "../../../../src/tee/nitro/verify.js";
import { equalBytes } from "../../../../src/tee/read/bytes.js";
import type { Roots } from "../../../../src/tee/roots.js";
import { parseCrl } from "../../../../src/tee/x509.js";
import { cases, vector } from "../../vectors.js";
import { type Base, type Bytes, collateral, evidence, type Family } from "../family.js";

function base(
  name: string,
  document: Uint8Array,
  now: number,
  crls: readonly Uint8Array[],
  roots?: Partial<Roots>,
): Base {
  return {
    name,
    exhaustive: true,
    parts: [evidence("document", "cbor", document), ...crls.map((crl, i) => collateral(`list ${i}`, "der", crl))],
    verify([given = new Uint8Array(), ...lists]: readonly Bytes[]) {
      return verifyWith(
        () => given,
        { now, ...(roots ? { roots } : {}) },
        (context) =>
          verifyNitro(
            context,
            { kind: "nitro", document: given },
            { nitro: { crls: lists.filter((each): each is Uint8Array => each !== undefined) } },
          ),
      );
    },
  };
}

export const nitro: Family = {
  name: "nitro",
  bases() {
    const real = cases("nitro")
      .filter(({ id }) => id.startsWith("prod-"))
      .map(({ id, at }) => base(id, vector("nitro", id, "doc.cose"), Date.parse(String(at)) / 1000, []));
    const { document, collateral: around, now, roots } = nitroEnclave({ crls: true });
    // One document has every truncation and bit; the others are as long, and laid out the same.
    return [
      ...real.map((each, i) => ({ ...each, exhaustive: i === 0 })),
      base("laboratory's enclave", document, now, around.nitro!.crls, roots),
    ];
  },
  excuses: [
    {
      reason: "lists of other issuers are about other certificates, and none need come along",
      covers: ({ name, bytes }, changed) =>
        name.startsWith("list") &&
        (changed === undefined || !equalBytes(parseCrl(changed).issuer.der, parseCrl(bytes).issuer.der)),
    },
    {
      reason: "COSE's tag 18 may be left out",
      covers: ({ name, bytes }, changed) =>
        name === "document" &&
        changed !== undefined &&
        Buffer.compare(changed, bytes.subarray(1)) === 0 &&
        bytes[0] === 0xd2,
    },
  ],
};
