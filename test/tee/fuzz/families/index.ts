import type { Family } from "../family.js";
import { intel } from "./intel.js";
import { nitro } from "./nitro.js";
import { snp } from "./snp.js";

/** In the order of the report. */
export const FAMILIES: readonly Family[] = [intel, snp, nitro];
