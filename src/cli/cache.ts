import { ArtefactStore, defaultStoreRoot, type StoreItem } from "../circuit/store.js";
import { AnchorError } from "../errors.js";
import { type Command, integer, optional, pretty } from "./command.js";
import type { Terminal } from "./terminal.js";

export const cacheListCommand: Command = {
  name: "cache list",
  summary: "what the cache holds: compiled circuits, keys, powers of tau, contracts",
  help: `
  --json             print everything as JSON

Looks at names and sizes only; \`cache verify\` reads every file. Times are UTC, the last use is noted to the hour.
`,
  options: { json: { type: "boolean" } },
  positionals: [],
  async run({ values, terminal, signal }) {
    const store = new ArtefactStore(defaultStoreRoot());
    const items = await store.list({ signal });
    if (values["json"]) return printJson(terminal, store, items);
    if (items.length === 0) return terminal.line(`nothing is kept in ${store.root}`);
    terminal.line(store.root);
    terminal.line();
    const rows = items.map(({ kind, label, name, bytes, created, used, state }) => [
      kind,
      shorten(label || name, label ? 40 : 13),
      size(bytes),
      minute(created),
      minute(used),
      state,
    ]);
    table(terminal, [["kind", "what", "size", "made", "used", "state"], ...rows]);
    terminal.line();
    printProblems(terminal, items);
    terminal.line(`${count(items.length, "item")}, ${size(total(items))}`);
  },
};

export const cacheVerifyCommand: Command = {
  name: "cache verify",
  summary: "read every file of the cache and compare it with its digest",
  help: `
  --remove           remove what is damaged, and what ended processes have left behind
  --json             print what was found as JSON

Damaged entries are never used, and made again when they are needed. Exits with 1 (CACHE_DAMAGED) when there is a damaged
entry and it was not removed.
`,
  options: { remove: { type: "boolean" }, json: { type: "boolean" } },
  positionals: [],
  async run({ values, terminal, signal }) {
    const store = new ArtefactStore(defaultStoreRoot());
    const onProgress = values["json"] ? undefined : (done: number) => terminal.progress("reading", done);
    const items = values["remove"]
      ? await store.prune({ signal, onProgress })
      : await store.verify({ signal, onProgress });
    const intact = items.filter(({ state }) => state === "intact");
    if (values["json"]) printJson(terminal, store, items);
    else {
      printProblems(terminal, items);
      terminal.line(`${count(intact.length, "entry", "entries")} intact, ${size(total(intact))}, in ${store.root}`);
    }
    const damaged = items.filter(({ state, removed }) => state === "damaged" && !removed);
    if (damaged.length > 0) {
      throw new AnchorError(
        "CACHE_DAMAGED",
        `${count(damaged.length, "entry is", "entries are")} damaged; they are not used, and made again when needed (anchorproof cache verify --remove deletes them)`,
        { details: { paths: damaged.map(({ path }) => path) } },
      );
    }
  },
};

export const cachePruneCommand: Command = {
  name: "cache prune",
  summary: "delete from the cache what is damaged or left behind, and what is chosen",
  help: `
  --older DAYS       also entries that nothing has used for so many days
  --all              all entries
  --kind KIND        look at one kind only, such as circuit, development-key or contracts
  --dry-run          say what would be deleted, and leave it
  --json             print every item as JSON; "removed" says what has gone

Without --older or --all only damaged entries go, those of earlier releases, and what ended processes have left behind.
What a process is making stays, and so does every file that is not the cache's own. A program that has opened an entry's
files can read on; one that has yet to open them fails, and works when it is run again.

A development key that was deleted is made anew, and differs: trust files that name the old one no longer fit.
`,
  options: {
    older: { type: "string" },
    all: { type: "boolean" },
    kind: { type: "string" },
    "dry-run": { type: "boolean" },
    json: { type: "boolean" },
  },
  positionals: [],
  async run({ values, terminal, signal }) {
    const older = integer(values, "older", 1, 36_500, 0);
    if (older > 0 && values["all"]) throw new AnchorError("USAGE", "--all takes entries of any age: leave out --older");
    const kind = optional(values, "kind");
    if (kind === "") throw new AnchorError("USAGE", "--kind takes the name of a kind, as cache list shows them");
    const store = new ArtefactStore(defaultStoreRoot());
    const dryRun = values["dry-run"] === true;
    const items = await store.prune({
      signal,
      kind,
      dryRun,
      all: values["all"] === true,
      unusedDays: older || undefined,
      onProgress: values["json"] ? undefined : (done) => terminal.progress("reading", done),
    });
    if (values["json"]) return printJson(terminal, store, items, { dryRun });
    const removed = items.filter((item) => item.removed);
    for (const item of removed) terminal.line(`${dryRun ? "would delete" : "deleted"} ${describe(item)}`);
    printProblems(
      terminal,
      items.filter((item) => !item.removed),
    );
    const verb = dryRun ? "would be deleted" : "deleted";
    const kept = items.length - removed.length;
    terminal.line(
      `${count(removed.length, "item")} ${verb}, ${size(total(removed))}; ${count(kept, "item")} kept, in ${store.root}`,
    );
  },
};

function printJson(terminal: Terminal, store: ArtefactStore, items: readonly StoreItem[], more: object = {}): void {
  terminal.line(pretty({ root: store.root, ...more, items }).trimEnd());
}

/** A line for each that is not intact. */
function printProblems(terminal: Terminal, items: readonly StoreItem[]): void {
  for (const item of items) {
    const { state, removed, problem } = item;
    if (state === "intact") continue;
    const outcome = removed ? ", deleted" : state === "foreign" ? ", left alone" : "";
    terminal.line(`${state}${outcome}: ${describe(item)}${problem === undefined ? "" : `: ${problem}`}`);
  }
}

function describe({ kind, name, label, bytes }: StoreItem): string {
  return `${kind}/${name} (${label ? `${label}, ` : ""}${size(bytes)})`;
}

function table(terminal: Terminal, rows: readonly string[][]): void {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  for (const row of rows) {
    // The third column holds numbers.
    const cells = row.map((cell, i) => (i === 2 ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!)));
    terminal.line(cells.join("  ").trimEnd());
  }
}

function shorten(text: string, length: number): string {
  return text.length > length ? `${text.slice(0, length - 1).trimEnd()}…` : text;
}

function total(items: readonly StoreItem[]): number {
  return items.reduce((sum, { bytes }) => sum + bytes, 0);
}

function size(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  const units = ["kB", "MB", "GB", "TB"];
  let value = bytes / 1000;
  let unit = 0;
  for (; value >= 999.95 && unit < units.length - 1; unit++) value /= 1000;
  return `${value.toFixed(1)} ${units[unit]}`;
}

function minute(date: Date | undefined): string {
  return date === undefined ? "" : date.toISOString().slice(0, 16).replace("T", " ");
}

function count(number: number, one: string, many = `${one}s`): string {
  return `${number} ${number === 1 ? one : many}`;
}
