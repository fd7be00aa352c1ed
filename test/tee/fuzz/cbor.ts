/**
 * Changes to CBOR by its items, DER and CBOR inside byte strings included.
 *
 * @module
 */
import { concat } from "../../../src/field/bytes.js";
import { EDGES, mutateBytes } from "./bytes.js";
import { mutateDer } from "./der.js";
import type { Random } from "./random.js";

interface Item {
  major: number;
  argument: bigint;
  /** Of strings. */
  content?: Uint8Array;
  /** Of arrays; keys and values in turn of maps; one of tags, and of byte strings that hold CBOR. */
  items?: Item[];
  /** Written as it is, in place of the head. */
  head?: Uint8Array;
  /** Arrays and maps up to a break. */
  indefinite?: boolean;
  trailer?: Uint8Array;
}

const NONE = new Uint8Array();
const MAX_DEPTH = 20;

export function mutateCbor(bytes: Uint8Array, random: Random, others: readonly Uint8Array[]): Uint8Array {
  const root = parse(bytes, 0);
  if (!root) return mutateBytes(bytes, random, others);
  const all = list(root);
  const containers = all.filter(({ items, major }) => (major === 4 || major === 5) && items!.length > 0);
  const target = random.pick(all);
  const parent = random.pick(containers);
  const step = parent?.major === 5 ? 2 : 1;
  const i = parent ? step * random.below(parent.items!.length / step) : 0;
  switch (random.below(14)) {
    case 0:
      if (parent) parent.items!.splice(i, 0, ...parent.items!.slice(i, i + step));
      break;
    case 1:
      if (parent) parent.items!.splice(i, step);
      break;
    case 2:
      if (parent) {
        const j = random.below(parent.items!.length);
        [parent.items![i], parent.items![j]] = [parent.items![j]!, parent.items![i]!];
      }
      break;
    case 3:
      target.major = random.below(8);
      break;
    case 4:
      target.head = wrongHead(target, random);
      break;
    case 5:
      if (target.items) target.indefinite = !target.indefinite;
      else target.head = Uint8Array.of((target.major << 5) | 31);
      break;
    case 6:
      target.argument = random.pick(EDGES);
      if (target.content) target.head = head(target.major, target.argument);
      break;
    case 7: {
      const { content } = target;
      if (content)
        replace(
          target,
          content[0] === 0x30 ? mutateDer(content, random, others) : mutateBytes(content, random, others),
        );
      break;
    }
    case 8: {
      const other = parse(random.pick(others) ?? NONE, 0);
      if (other && parent) parent.items![i + step - 1] = random.pick(list(other));
      break;
    }
    case 9: {
      // null, true, undefined, an undefined simple value, floats of three sizes, a break.
      const simple = [[0xf6], [0xf5], [0xf7], [0xe0], [0xf8, 0x18], [0xf9, 0x7e, 0], [0xfa, 0, 0, 0, 0], [0xff]];
      if (parent) parent.items![i + step - 1] = raw(Uint8Array.from(random.pick(simple)));
      break;
    }
    case 10: {
      const depth = random.pick([10, 17, 1000, 60_000]);
      const open = random.pick([0x81, 0x9f, 0xa1, 0xc1, 0xd2]);
      if (parent) parent.items![i + step - 1] = raw(new Uint8Array(depth).fill(open));
      break;
    }
    case 11: {
      const tag = random.pick([0, 1, 18, 24, 98, 399, 55799]);
      const inner = { ...target };
      for (const key of ["content", "head", "indefinite", "trailer"] as const) delete target[key];
      Object.assign(target, { major: 6, argument: BigInt(tag), items: [inner] });
      break;
    }
    case 12:
      target.trailer = random.pick([Uint8Array.of(0), Uint8Array.of(0xff), new Uint8Array(32)]);
      break;
    default:
      if (parent) {
        const key = raw(random.pick([Uint8Array.of(0x01), Uint8Array.of(0x61, 0x78), Uint8Array.of(0x40)]));
        parent.items!.push(...(step === 2 ? [key, raw(Uint8Array.of(0))] : [key]));
      }
  }
  return write(root);
}

function parse(bytes: Uint8Array, depth: number): Item | undefined {
  const read = item(bytes, 0, depth);
  return read?.end === bytes.length ? read.item : undefined;
}

function item(bytes: Uint8Array, offset: number, depth: number): { item: Item; end: number } | undefined {
  const first = bytes[offset];
  if (first === undefined || depth > MAX_DEPTH) return undefined;
  const major = first >> 5;
  const information = first & 31;
  if (information > 27 && !(information === 31 && (major === 4 || major === 5))) return undefined;
  const width = information < 24 || information === 31 ? 0 : 2 ** (information - 24);
  if (offset + 1 + width > bytes.length) return undefined;
  let argument = BigInt(information);
  if (width > 0) {
    argument = 0n;
    for (let i = 0; i < width; i++) argument = (argument << 8n) | BigInt(bytes[offset + 1 + i]!);
  }
  let end = offset + 1 + width;
  if (major === 2 || major === 3) {
    if (argument > BigInt(bytes.length - end)) return undefined;
    const content = bytes.subarray(end, end + Number(argument));
    const inner = major === 2 && content.length > 1 ? parse(content, depth + 1) : undefined;
    const holds = inner && (inner.major === 4 || inner.major === 5 || inner.major === 6);
    return {
      item: { major, argument, ...(holds ? { items: [inner] } : { content }) },
      end: end + content.length,
    };
  }
  if (major === 4 || major === 5) {
    const indefinite = information === 31;
    const count = indefinite ? Number.POSITIVE_INFINITY : Number(argument) * (major === 5 ? 2 : 1);
    const items: Item[] = [];
    for (; items.length < count; ) {
      if (indefinite && bytes[end] === 0xff) {
        end++;
        break;
      }
      const next = item(bytes, end, depth + 1);
      if (!next) return undefined;
      items.push(next.item);
      end = next.end;
    }
    return { item: { major, argument, items, indefinite }, end };
  }
  if (major === 6) {
    const inner = item(bytes, end, depth + 1);
    return inner && { item: { major, argument, items: [inner.item] }, end: inner.end };
  }
  return { item: major === 7 ? raw(bytes.subarray(offset, end)) : { major, argument }, end };
}

function raw(bytes: Uint8Array): Item {
  return { major: 7, argument: 0n, head: bytes };
}

function list(root: Item): Item[] {
  return [root, ...(root.items ?? []).flatMap(list)];
}

function replace(target: Item, content: Uint8Array): void {
  delete target.items;
  target.content = content;
}

function write({ major, argument, content, items, head: given, indefinite, trailer = NONE }: Item): Uint8Array {
  const body = items ? concat(...items.map(write)) : (content ?? NONE);
  if (indefinite) return concat(Uint8Array.of((major << 5) | 31), body, Uint8Array.of(0xff), trailer);
  const counts: Record<number, number> = {
    2: body.length,
    3: body.length,
    4: items?.length ?? 0,
    5: (items?.length ?? 0) >> 1,
  };
  const value = counts[major] === undefined ? argument : BigInt(counts[major]);
  return concat(given ?? head(major, value), body, trailer);
}

function head(major: number, argument: bigint, width = widthOf(argument)): Uint8Array {
  if (width === 0) return Uint8Array.of((major << 5) | Number(argument & 0x1fn));
  const bytes = Array.from({ length: width }, (_, i) => Number((argument >> BigInt(8 * (width - 1 - i))) & 0xffn));
  return Uint8Array.of((major << 5) | (24 + Math.log2(width)), ...bytes);
}

function widthOf(argument: bigint): number {
  if (argument < 24n) return 0;
  return argument < 0x100n ? 1 : argument < 0x10000n ? 2 : argument < 0x100000000n ? 4 : 8;
}

/** A length or number that is another one, or written longer than it needs to be. */
function wrongHead({ major, content, items, argument }: Item, random: Random): Uint8Array {
  const length = BigInt(content?.length ?? items?.length ?? Number(argument & 0xffffffffn));
  const value = random.pick([length, length, length + 1n, length > 0n ? length - 1n : 0n, 0xffffffffn, 2n ** 64n - 1n]);
  return head(major, value, Math.max(widthOf(value), random.pick([0, 1, 2, 4, 8])) || 1);
}
