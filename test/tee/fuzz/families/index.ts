import type { Family } from "../family.js";
import { azure } from "./azure.js";
import { cca } from "./cca.js";
import { intel } from "./intel.js";
import { nitro } from "./nitro.js";
import { nras } from "./nras.js";
import { nvidia } from "./nvidia.js";
import { eventLog, importing, recognise } from "./readers.js";
import { snp } from "./snp.js";

/** In the order of the report. */
export const FAMILIES: readonly Family[] = [
  intel,
  snp,
  nitro,
  nvidia,
  nras,
  azure,
  cca,
  eventLog,
  recognise,
  importing,
];
