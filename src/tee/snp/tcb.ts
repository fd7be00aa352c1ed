/**
 * TCB versions of SEV-SNP, and what products have which layout.
 *
 * A TCB version has eight bytes, one a component. Turin starts with its FMC and packs the others; Milan and Genoa have the
 * gap in the middle. Certificates carry each byte as an extension of its own, so that a whole version can be rebuilt
 * from them, reserved bytes included.
 *
 * @module
 */
import type { SnpTcb } from "../claims.js";
import type { AmdProduct } from "../roots.js";

type Component = keyof SnpTcb;

/** Arcs below 1.3.6.1.4.1.3704.1.3: the extension of each byte, first byte first. 4 to 7 are reserved. */
const ARCS: Record<AmdProduct, readonly number[]> = {
  Milan: [1, 2, 4, 5, 6, 7, 3, 8],
  Genoa: [1, 2, 4, 5, 6, 7, 3, 8],
  Turin: [9, 1, 2, 3, 5, 6, 7, 8],
};

const COMPONENTS: Record<number, Component> = { 1: "bootloader", 2: "tee", 3: "snp", 8: "microcode", 9: "fmc" };

/** The arcs of a product's TCB extensions in the order of the bytes, and the component of each that is not reserved. */
export function tcbLayout(product: AmdProduct): { arc: number; component: Component | undefined }[] {
  return ARCS[product].map((arc) => ({ arc, component: COMPONENTS[arc] }));
}

export function decodeTcb(bytes: Uint8Array, product: AmdProduct): SnpTcb {
  const tcb: SnpTcb = { bootloader: 0, tee: 0, snp: 0, microcode: 0 };
  tcbLayout(product).forEach(({ component }, i) => {
    if (component) tcb[component] = bytes[i]!;
  });
  return tcb;
}

/** Where the first is above the second, in plain words; empty if it is nowhere. */
export function above(a: SnpTcb, b: SnpTcb): string[] {
  return (Object.keys(a) as Component[])
    .filter((component) => a[component]! > (b[component] ?? 0))
    .map((component) => `${component} ${a[component]} > ${b[component] ?? 0}`);
}

/** Bergamo and Siena have Genoa's keys. Undefined for a processor of a product that is not supported. */
export function productOfCpuid({ family, model }: { family: number; model: number }): AmdProduct | undefined {
  if (family === 0x19) {
    if (model <= 0x0f) return "Milan";
    if ((model >= 0x10 && model <= 0x1f) || (model >= 0xa0 && model <= 0xaf)) return "Genoa";
  }
  if (family === 0x1a && model <= 0x1f) return "Turin";
  return undefined;
}

/** How many bytes of the chip id a product fills; the rest is zero. */
export function chipIdBytes(product: AmdProduct): number {
  return product === "Turin" ? 8 : 64;
}
