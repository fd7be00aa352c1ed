/**
 * What commands print. On a terminal, long work shows a bar; elsewhere only whole lines appear.
 *
 * @module
 */
import type { Writable } from "node:stream";
import { printable } from "../text.js";

const BAR_WIDTH = 24;

export class Terminal {
  readonly #out: Writable & { isTTY?: boolean };
  #bar = "";

  constructor(out: Writable & { isTTY?: boolean } = process.stdout) {
    this.#out = out;
  }

  line(text = ""): void {
    this.#clear();
    this.#out.write(`${printable(text)}\n`);
  }

  /** Something to know that is no result: it goes beside them, so that `--json` stays JSON. */
  note(text: string): void {
    this.#clear();
    process.stderr.write(`note: ${printable(text)}\n`);
  }

  /** A bar at `done` of 1, replaced by the next one or by the next line. */
  progress(label: string, done: number): void {
    if (!this.#out.isTTY) return;
    const filled = Math.round(Math.min(1, Math.max(0, done)) * BAR_WIDTH);
    const bar = `${label} [${"#".repeat(filled)}${".".repeat(BAR_WIDTH - filled)}] ${Math.floor(done * 100)} %`;
    if (bar === this.#bar) return;
    this.#clear();
    this.#bar = bar;
    this.#out.write(bar);
  }

  /** Work of unknown length. */
  busy(label: string): void {
    if (!this.#out.isTTY) return;
    this.#clear();
    this.#bar = `${label} …`;
    this.#out.write(this.#bar);
  }

  #clear(): void {
    if (this.#bar === "") return;
    this.#out.write("\r\u001b[K");
    this.#bar = "";
  }
}

export function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(ms < 10_000 ? 1 : 0)} s`;
}
