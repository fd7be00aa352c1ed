/**
 * Changes to DER by its elements, with the lengths around them put right, or one of them wrong.
 *
 * @module
 */
import { concat } from "../../../src/field/bytes.js";
import { EDGES, mutateBytes } from "./bytes.js";
import type { Random } from "./random.js";

interface Element {
  tag: number;
  /** Before the content: the number of unused bits of a BIT STRING that holds DER. */
  prefix: Uint8Array;
  content: Uint8Array;
  children?: Element[];
  /** Written as it is, in place of the length. */
  length?: Uint8Array;
  /** Written behind it. */
  trailer?: Uint8Array;
}

const NONE = new Uint8Array();

export function mutateDer(bytes: Uint8Array, random: Random, others: readonly Uint8Array[]): Uint8Array {
  const root = parse(bytes, 0);
  if (!root) return mutateBytes(bytes, random, others);
  const all = list(root);
  const constructed = all.filter(({ children }) => children && children.length > 0);
  const target = random.pick(all);
  const parent = random.pick(constructed);
  const i = parent ? random.below(parent.children!.length) : 0;
  switch (random.below(12)) {
    case 0:
      if (parent) parent.children!.splice(i, 0, parent.children![i]!);
      break;
    case 1:
      if (parent) parent.children!.splice(i, 1);
      break;
    case 2:
      if (parent) {
        const j = random.below(parent.children!.length);
        [parent.children![i], parent.children![j]] = [parent.children![j]!, parent.children![i]!];
      }
      break;
    case 3:
      target.tag = random.pick([
        0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x0c, 0x13, 0x17, 0x18, 0x30, 0x31, 0xa0, 0x80, 0, 0x1f,
      ]);
      break;
    case 4:
      target.length = wrongLength(target, random);
      break;
    case 5:
      replaceContent(target, NONE);
      break;
    case 6: {
      const edge = random.pick(EDGES).toString(16);
      replaceContent(target, new Uint8Array(Buffer.from(edge.padStart(2 * Math.ceil(edge.length / 2), "0"), "hex")));
      break;
    }
    case 7:
      if (!target.children) replaceContent(target, mutateBytes(target.content, random, others));
      else target.trailer = random.bytes(1 + random.below(4));
      break;
    case 8: {
      // An element of other evidence.
      const other = parse(random.pick(others) ?? NONE, 0);
      if (other && parent) parent.children![i] = random.pick(list(other));
      break;
    }
    case 9: {
      const depth = random.pick([10, 40, 1000, 20_000]);
      replaceContent(target, bomb(depth));
      break;
    }
    case 10:
      target.trailer = random.pick([Uint8Array.of(0), Uint8Array.of(0, 0), Uint8Array.of(5, 0), new Uint8Array(64)]);
      break;
    default:
      if (parent) parent.children!.push({ tag: 0x30, prefix: NONE, content: NONE, children: [...parent.children!] });
  }
  return write(root);
}

function parse(bytes: Uint8Array, depth: number): Element | undefined {
  const elements = sequence(bytes, depth);
  return elements?.length === 1 ? elements[0] : undefined;
}

/** Elements that fill the bytes exactly, or undefined. */
function sequence(bytes: Uint8Array, depth: number): Element[] | undefined {
  if (depth > 24) return undefined;
  const elements: Element[] = [];
  for (let offset = 0; offset < bytes.length; ) {
    const tag = bytes[offset]!;
    let length = bytes[offset + 1];
    if (length === undefined || tag === 0 || (tag & 0x1f) === 0x1f) return undefined;
    let header = 2;
    if (length >= 0x80) {
      const count = length & 0x7f;
      if (count === 0 || count > 4) return undefined;
      length = 0;
      for (let i = 0; i < count; i++) length = length * 256 + (bytes[offset + 2 + i] ?? 0);
      header += count;
    }
    const end = offset + header + length;
    if (end > bytes.length) return undefined;
    const content = bytes.subarray(offset + header, end);
    elements.push(element(tag, content, depth));
    offset = end;
  }
  return elements;
}

function element(tag: number, content: Uint8Array, depth: number): Element {
  const nested = (tag & 0x20) !== 0;
  // Extensions and keys hold DER inside strings.
  const prefix = tag === 0x03 && content[0] === 0 ? content.subarray(0, 1) : NONE;
  const wraps = (tag === 0x04 || tag === 0x03) && content.length > 2;
  const children = nested || wraps ? sequence(content.subarray(prefix.length), depth + 1) : undefined;
  if (!children || (wraps && children.length !== 1)) return { tag, prefix: NONE, content };
  return { tag, prefix, content, children };
}

function list(root: Element): Element[] {
  return [root, ...(root.children ?? []).flatMap(list)];
}

function replaceContent(target: Element, content: Uint8Array): void {
  delete target.children;
  target.prefix = NONE;
  target.content = content;
}

function write({ tag, prefix, content, children, length, trailer = NONE }: Element): Uint8Array {
  const body = children ? concat(prefix, ...children.map(write)) : content;
  return concat(Uint8Array.of(tag), length ?? derLength(body.length), body, trailer);
}

function derLength(length: number): Uint8Array {
  if (length < 0x80) return Uint8Array.of(length);
  const hex = length.toString(16);
  const bytes = Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, "hex");
  return concat(Uint8Array.of(0x80 | bytes.length), bytes);
}

function wrongLength({ content }: Element, random: Random): Uint8Array {
  const { length } = content;
  switch (random.below(7)) {
    case 0:
      return derLength(length + 1);
    case 1:
      return derLength(Math.max(0, length - 1));
    case 2:
      return Uint8Array.of(0x80);
    case 3:
      return Uint8Array.of(0x84, 0xff, 0xff, 0xff, 0xff);
    case 4:
      return Uint8Array.of(0x85, 0, 0, 0, 0, length & 0xff);
    case 5:
      return Uint8Array.of(0xff);
    default:
      // Right, and not minimal.
      return Uint8Array.of(0x84, 0, (length >> 16) & 0xff, (length >> 8) & 0xff, length & 0xff);
  }
}

/** Sequences in sequences, whose lengths all fit. */
function bomb(depth: number): Uint8Array {
  const heads: Uint8Array[] = [];
  let length = 0;
  for (let i = 0; i < depth; i++) {
    const head = concat(Uint8Array.of(0x30), derLength(length));
    heads.push(head);
    length += head.length;
  }
  return concat(...heads.reverse());
}
