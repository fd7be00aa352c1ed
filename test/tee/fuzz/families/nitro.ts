import { nitroEnclave } from "../../../../src/tee/lab/nitro.js";
import { equalBytes } from "../../../../src/tee/read/bytes.js";
import { parseCrl } from "../../../../src/tee/x509.js";
import { cases, vector } from "../../vectors.js";
import { baseOf } from "../base.js";
import { type Base, type Bytes, type Family, flip, type Named, partOf, withChanges } from "../family.js";

const DOCUMENT = "evidence.document";

/** One document has every truncation and bit; the others are as long, and laid out the same. */
function bases(): Base[] {
  const real = cases("nitro")
    .filter(({ id }) => id.startsWith("prod-"))
    .map(({ id, at }, i) => {
      const evidence = { kind: "nitro", document: vector("nitro", id, "doc.cose") } as const;
      return baseOf(id, { now: Date.parse(String(at)) / 1000, roots: {}, evidence, collateral: {} }, i === 0);
    });
  return [...real, baseOf("laboratory's enclave", nitroEnclave({ crls: true }))];
}

function named(all: readonly Base[]): Named[] {
  const [base] = all as [Base];
  const document = partOf(base, DOCUMENT);
  const run = (changed: Bytes) => () => withChanges(base, { [DOCUMENT]: changed });
  return [
    {
      entry: 1,
      what: "another bit of the payload",
      expect: ["COSE_SIGNATURE", "EVIDENCE_MALFORMED"],
      run: run(flip(document, 60, 1)),
    },
    {
      entry: 3,
      what: "something behind the document",
      expect: ["EVIDENCE_MALFORMED", "TRAILING_DATA"],
      run: run(new Uint8Array([...document, 0])),
    },
  ];
}

export const nitro: Family = {
  name: "nitro",
  bases,
  excuses: [
    {
      reason: "lists of other issuers are about other certificates, and none need come along",
      covers: ({ name, bytes }, changed) =>
        name.startsWith("collateral.nitro.crls.") &&
        (changed === undefined || !equalBytes(parseCrl(changed).issuer.der, parseCrl(bytes).issuer.der)),
    },
    {
      reason: "COSE's tag 18 may stand in front, or be left out",
      covers: ({ name, bytes }, changed) =>
        name === DOCUMENT && changed !== undefined && equalBytes(untagged(changed), untagged(bytes)),
    },
  ],
  mutations: {
    section: "nitro",
    named,
    elsewhere: {
      0: "test/tee/nitro/nitro.test.ts",
      2: "test/tee/nitro/nitro.test.ts",
      4: "test/tee/nitro/nitro.test.ts",
    },
  },
};

export function untagged(message: Uint8Array): Uint8Array {
  return message[0] === 0xd2 ? message.subarray(1) : message;
}
