/**
 * The files of a folder.
 *
 * @module
 */
import type { Dirent } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { AnchorError, throwIfAborted } from "../../errors.js";
import { tooLong } from "./context.js";
import { type FileEntry, fileEntry, readError } from "./source.js";

/**
 * A file, or all files of a folder and of those in it, in the order of their paths: compared by code unit, with `/`
 * between folders. Links are refused: what they stand for may change with the machine.
 *
 * @throws FILE_NOT_FOUND, FILE_UNREADABLE, INPUT_INVALID, INPUT_TOO_LARGE
 */
export async function listFiles(path: string, signal?: AbortSignal): Promise<{ files: FileEntry[]; folder: boolean }> {
  let folder: boolean;
  try {
    folder = (await stat(path)).isDirectory();
  } catch (error) {
    throw readError(error, path);
  }
  if (!folder) return { files: [await fileEntry(path, path)], folder };
  const paths: string[] = [];
  const visit = async (below: string): Promise<void> => {
    throwIfAborted(signal);
    const at = join(path, below);
    let entries: Dirent[];
    try {
      entries = await readdir(at, { withFileTypes: true });
    } catch (error) {
      throw readError(error, at);
    }
    for (const entry of entries) {
      const name = below === "" ? entry.name : `${below}/${entry.name}`;
      if (tooLong(name)) throw new AnchorError("INPUT_TOO_LARGE", `${join(path, name)}: its path is ${tooLong(name)}`);
      if (entry.isDirectory()) await visit(name);
      else if (entry.isFile()) paths.push(name);
      else {
        throw new AnchorError(
          "INPUT_INVALID",
          `${join(path, name)} is neither a file nor a folder; copy what it stands for`,
        );
      }
    }
  };
  await visit("");
  paths.sort((a, b) => (a < b ? -1 : 1));
  const files: FileEntry[] = [];
  for (const name of paths) {
    throwIfAborted(signal);
    files.push(await fileEntry(join(path, name), name));
  }
  return { files, folder };
}
