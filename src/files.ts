import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";

/**
 * Makes a directory and those above it. Node's own recursive `mkdir` never returns on file systems that answer ENOENT
 * although the parent exists, such as /proc; this one tries each level once.
 */
export async function ensureDirectory(path: string, mode = 0o777): Promise<void> {
  try {
    await mkdir(path, { mode });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EEXIST") return; // a file in the way shows when something is written below it
    if (code !== "ENOENT" || dirname(path) === path) throw error;
    await ensureDirectory(dirname(path), mode);
    await mkdir(path, { mode }).catch((again: NodeJS.ErrnoException) => {
      if (again.code !== "EEXIST") throw again;
    });
  }
}
