/**
 * Changes to JSON and to what JSON is carried in, as texts that other readers would take for the same.
 *
 * @module
 */
import { mutateBytes } from "./bytes.js";
import type { Random } from "./random.js";

type Node =
  | { type: "object"; entries: [string, Node][] }
  | { type: "array"; items: Node[] }
  | { type: "raw"; text: string };

/** What a value may become: other types, edges, and texts that only some readers accept. */
const VALUES = [
  "null",
  "true",
  "false",
  "0",
  "-0",
  "-1",
  "1e308",
  "1e999",
  "1.5",
  "9007199254740993",
  "18446744073709551616",
  "NaN",
  "Infinity",
  "01",
  "0x10",
  '""',
  '"\\u0000"',
  '"\\ud800"',
  '"9999-99-99T99:99:99Z"',
  '"2030-01-01T00:00:00Z"',
  '"1970-01-01T00:00:00Z"',
  '"UpToDate"',
  "[]",
  "{}",
  "[[[[[[[[]]]]]]]]",
];

const KEYS = ["__proto__", "constructor", "toString", "", "id", "version", "length"];

export function mutateJson(bytes: Uint8Array, random: Random, others: readonly Uint8Array[]): Uint8Array {
  const text = new TextDecoder().decode(bytes);
  const root = read(text);
  if (!root || random.chance(0.15)) return textual(text, bytes, random, others);
  const all = list(root);
  const target = random.pick(all);
  const holders = all.filter(
    (each) => (each.type === "object" && each.entries.length > 0) || (each.type === "array" && each.items.length > 0),
  );
  const holder = random.pick(holders);
  const children: unknown[] = holder?.type === "object" ? holder.entries : holder?.type === "array" ? holder.items : [];
  const i = random.below(children.length);
  switch (random.below(9)) {
    case 0:
      children.splice(i, 0, children[i]);
      break;
    case 1:
      children.splice(i, 1);
      break;
    case 2: {
      const j = random.below(children.length);
      [children[i], children[j]] = [children[j], children[i]];
      break;
    }
    case 3:
    case 4:
      become(target, { type: "raw", text: random.pick(VALUES) });
      break;
    case 5:
      if (holder?.type === "object") holder.entries[i]![0] = random.pick(KEYS);
      break;
    case 6:
      if (holder?.type === "object") {
        // One name, two values.
        holder.entries.push([holder.entries[i]![0], { type: "raw", text: random.pick(VALUES) }]);
      }
      break;
    case 7: {
      const raw = all.filter((each) => each.type === "raw");
      const leaf = random.pick(raw);
      if (leaf?.type === "raw") leaf.text = nearly(leaf.text, random);
      break;
    }
    default: {
      const depth = random.pick([20, 70, 1000, 60_000]);
      become(target, { type: "raw", text: "[".repeat(depth) + "]".repeat(depth) });
    }
  }
  return new TextEncoder().encode(write(root));
}

/** Compact JWS: three parts, each of which is changed on its own. */
export function mutateJws(bytes: Uint8Array, random: Random, others: readonly Uint8Array[]): Uint8Array {
  const text = Buffer.from(bytes).toString("latin1");
  const parts = text.split(".");
  const i = random.below(parts.length);
  const decoded = new Uint8Array(Buffer.from(parts[i] ?? "", "base64url"));
  switch (random.below(6)) {
    case 0:
    case 1:
      parts[i] = Buffer.from(mutateJson(decoded, random, [])).toString("base64url");
      break;
    case 2:
      parts[i] = Buffer.from(mutateBytes(decoded, random, [])).toString("base64url");
      break;
    case 3:
      parts[0] = Buffer.from(
        random.pick(['{"alg":"none"}', '{"alg":"HS256"}', '{"alg":"ES384","crit":["x"],"x":1}']),
      ).toString("base64url");
      break;
    case 4: {
      const other = random.pick(others);
      if (other) parts[i] = Buffer.from(other).toString("latin1").split(".")[i] ?? "";
      break;
    }
    default:
      parts[i] = random.pick(["", `${parts[i]}=`, `${parts[i]} `, `${parts[i]}A`, parts[i]!.replace(/-/g, "+"), "!"]);
  }
  return new TextEncoder().encode(parts.join("."));
}

/** Tags of XML, and its texts. */
export function mutateXml(bytes: Uint8Array, random: Random, others: readonly Uint8Array[]): Uint8Array {
  const text = new TextDecoder().decode(bytes);
  const tags = [...text.matchAll(/<[^>]*>/g)];
  if (tags.length === 0) return mutateBytes(bytes, random, others);
  const tag = random.pick(tags);
  const start = tag.index;
  const end = start + tag[0].length;
  const other = random.pick(tags);
  const cut = (insert: string) => text.slice(0, start) + insert + text.slice(end);
  const changed = () => {
    switch (random.below(9)) {
      case 0:
        return cut("");
      case 1:
        return cut(tag[0] + tag[0]);
      case 2:
        return cut(other[0]);
      case 3:
        return cut(`${tag[0]}<!-- -->`);
      case 4:
        return cut(`${tag[0]}<![CDATA[x]]>`);
      case 5:
        return cut(nearly(tag[0], random));
      case 6:
        return cut(`<!DOCTYPE a [<!ENTITY e "${"e".repeat(random.below(100))}">]>${tag[0]}&e;`);
      case 7: {
        // A whole stretch stands twice, or elsewhere.
        const [from, to] = start < other.index ? [start, other.index] : [other.index, start];
        const stretch = text.slice(from, to);
        return random.chance(0.5) ? text.slice(0, to) + stretch + text.slice(to) : text.slice(0, from) + text.slice(to);
      }
      default:
        return text.slice(0, end) + "<a>".repeat(random.pick([100, 20_000])) + text.slice(end);
    }
  };
  return random.chance(0.2) ? mutateBytes(bytes, random, others) : new TextEncoder().encode(changed());
}

/** White space, byte order marks, comments and the like, which the value does not depend on. */
function textual(text: string, bytes: Uint8Array, random: Random, others: readonly Uint8Array[]): Uint8Array {
  const at = random.below(text.length + 1);
  const insert = random.pick([" ", "\n", "\t", "\u00a0", "\ufeff", "/**/", ",", "\\u0061", "\0"]);
  switch (random.below(5)) {
    case 0:
      return new TextEncoder().encode(text.slice(0, at) + insert + text.slice(at));
    case 1:
      return new TextEncoder().encode(`\ufeff${text}`);
    case 2:
      return new TextEncoder().encode(text + random.pick([" ", "\n", "{}", ",", "\0", text]));
    case 3:
      return new TextEncoder().encode(nearly(text, random));
    default:
      return mutateBytes(bytes, random, others);
  }
}

/** The same but for a character: its case, its digit, an escape for it. */
function nearly(text: string, random: Random): string {
  const at = random.below(text.length);
  const character = text[at] ?? "0";
  const escaped = `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
  const other = random.pick([
    character.toUpperCase(),
    character.toLowerCase(),
    escaped,
    String(random.below(10)),
    "",
    character + character,
  ]);
  return text.slice(0, at) + other + text.slice(at + 1);
}

function read(text: string): Node | undefined {
  try {
    return toNode(JSON.parse(text));
  } catch {
    return undefined;
  }
}

function toNode(value: unknown): Node {
  if (Array.isArray(value)) return { type: "array", items: value.map(toNode) };
  if (typeof value === "object" && value !== null) {
    return { type: "object", entries: Object.entries(value).map(([key, each]) => [key, toNode(each)]) };
  }
  return { type: "raw", text: JSON.stringify(value) };
}

function list(root: Node): Node[] {
  if (root.type === "raw") return [root];
  const inside = root.type === "array" ? root.items : root.entries.map(([, each]) => each);
  return [root, ...inside.flatMap(list)];
}

function become(target: Node, other: Node): void {
  for (const key of Object.keys(target)) delete (target as Record<string, unknown>)[key];
  Object.assign(target, other);
}

function write(node: Node): string {
  if (node.type === "raw") return node.text;
  if (node.type === "array") return `[${node.items.map(write).join(",")}]`;
  return `{${node.entries.map(([key, each]) => `${JSON.stringify(key)}:${write(each)}`).join(",")}}`;
}
