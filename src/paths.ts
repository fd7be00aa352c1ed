import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The package's root: one above this file's folder, `src` under vitest and tsx, `dist` when installed. */
export const PACKAGE_ROOT = join(dirname(fileURLToPath(import.meta.url)), "..");
