/**
 * A strict reader for the little XML that reference manifests are made of: elements, attributes and text in printable ASCII.
 *
 * Everything that makes two XML parsers see two documents is refused up front: document types and entities, comments, CDATA,
 * processing instructions, character references, carriage returns, line breaks inside attributes, `xml:` attributes,
 * undeclared prefixes, attributes that stand twice. What is left, the signature library's parser reads as this one does.
 * Time is linear in the length; depth and counts are bounded.
 *
 * @module
 */
import { AnchorError } from "../../errors.js";

export interface XmlElement {
  /** Of its namespace; empty for none. */
  uri: string;
  local: string;
  /** By local name, or `{uri}local` where they are in a namespace. */
  attributes: ReadonlyMap<string, string>;
  children: readonly XmlElement[];
  /** All text directly inside. */
  text: string;
  /** Where it stands in the source, from its `<` to behind its last `>`. */
  start: number;
  end: number;
}

/** Real manifests have 20 KiB, 70 elements and four levels. */
const MAX_LENGTH = 512 * 1024;
const MAX_DEPTH = 16;
const MAX_ELEMENTS = 4096;
const MAX_ATTRIBUTES = 128;

const ALLOWED = /^[\t\n\x20-\x7e]*$/;
const DECLARATION = /<\?xml version="1\.0"(?: encoding="(?:UTF-8|utf-8)")?(?: standalone="(?:yes|no)")? ?\?>/y;
const WHITE = /[ \t\n]*/y;
const TEXT = /[^<]*/y;
const NAME = /[A-Za-z_][A-Za-z0-9._-]*(?::[A-Za-z_][A-Za-z0-9._-]*)?/y;
const OPEN = /</y;
const CLOSE = /<\//y;
const TAG_END = /\/?>/y;
const EQUALS = /[ \t\n]*=[ \t\n]*/y;
const VALUE = /"[^"<\t\n]*"|'[^'<\t\n]*'/y;
const REFERENCE = /&[^;&]*;?/g;
const ENTITIES: Readonly<Record<string, string>> = {
  "&amp;": "&",
  "&lt;": "<",
  "&gt;": ">",
  "&quot;": '"',
  "&apos;": "'",
};

/** The root element. @throws COLLATERAL_MALFORMED, with `what` in the message */
export function parseXml(source: string, what: string): XmlElement {
  return new Parser(source, what).document();
}

/** Children of that name in that namespace. */
export function childrenOf(element: XmlElement, uri: string, local: string): XmlElement[] {
  return element.children.filter((child) => child.uri === uri && child.local === local);
}

/** All elements below, in their order. */
export function descendants(element: XmlElement): XmlElement[] {
  const found: XmlElement[] = [];
  for (const child of element.children) found.push(child, ...descendants(child));
  return found;
}

type Namespaces = ReadonlyMap<string, string>;

class Parser {
  readonly #source: string;
  readonly #what: string;
  #at = 0;
  #elements = 0;

  constructor(source: string, what: string) {
    this.#source = source;
    this.#what = what;
    if (source.length > MAX_LENGTH) this.#fail(`has ${source.length} characters; the most is ${MAX_LENGTH}`);
    if (!ALLOWED.test(source)) this.#fail("holds something else than printable ASCII, tabs and line feeds");
  }

  document(): XmlElement {
    this.#match(DECLARATION);
    this.#match(WHITE);
    const root = this.#element(new Map(), 1);
    this.#match(WHITE);
    if (this.#at < this.#source.length) this.#fail("goes on after its root element");
    return root;
  }

  #element(outer: Namespaces, depth: number): XmlElement {
    if (depth > MAX_DEPTH) this.#fail(`is nested more than ${MAX_DEPTH} deep`);
    if (++this.#elements > MAX_ELEMENTS) this.#fail(`has more than ${MAX_ELEMENTS} elements`);
    const start = this.#at;
    this.#expect(OPEN, "an element");
    const name = this.#expect(NAME, "an element's name; document types, comments, CDATA and instructions are not read");
    const raw = this.#attributes();
    const namespaces = this.#declare(outer, raw);
    const element = {
      uri: this.#resolve(namespaces, name, true),
      local: localName(name),
      attributes: this.#expand(namespaces, raw),
      start,
    };
    if (this.#expect(TAG_END, "the end of a tag") === "/>")
      return { ...element, children: [], text: "", end: this.#at };
    const children: XmlElement[] = [];
    let text = "";
    for (;;) {
      text += this.#decode(this.#match(TEXT) ?? "");
      if (this.#match(CLOSE) !== undefined) break;
      children.push(this.#element(namespaces, depth + 1));
    }
    const closing = this.#expect(NAME, "the name of a closing tag");
    if (closing !== name) this.#fail(`closes <${name}> with </${closing}>`);
    this.#match(WHITE);
    if (this.#expect(TAG_END, "the end of a closing tag") !== ">") this.#fail("has a closing tag that ends in />");
    return { ...element, children, text, end: this.#at };
  }

  /** As they are spelt, declarations of namespaces among them. */
  #attributes(): Map<string, string> {
    const attributes = new Map<string, string>();
    for (;;) {
      const before = this.#at;
      this.#match(WHITE);
      const separated = this.#at > before;
      const name = this.#match(NAME);
      if (name === undefined) return attributes;
      if (!separated) this.#fail(`lacks a space before the attribute ${name}`);
      if (attributes.has(name)) this.#fail(`has the attribute ${name} twice`);
      if (attributes.size === MAX_ATTRIBUTES) this.#fail(`has an element of more than ${MAX_ATTRIBUTES} attributes`);
      this.#expect(EQUALS, `"=" behind the attribute ${name}`);
      attributes.set(name, this.#decode(this.#expect(VALUE, `the value of the attribute ${name}`).slice(1, -1)));
    }
  }

  #declare(outer: Namespaces, raw: ReadonlyMap<string, string>): Namespaces {
    const declared = [...raw].filter(([name]) => name === "xmlns" || name.startsWith("xmlns:"));
    if (declared.length === 0) return outer;
    const namespaces = new Map(outer);
    for (const [name, uri] of declared) {
      const prefix = name === "xmlns" ? "" : localName(name);
      if (prefix !== "" && uri === "") this.#fail(`takes the prefix ${prefix} back`);
      if (prefix === "xml" || prefix === "xmlns") this.#fail(`declares the prefix ${prefix}`);
      namespaces.set(prefix, uri);
    }
    return namespaces;
  }

  #expand(namespaces: Namespaces, raw: ReadonlyMap<string, string>): Map<string, string> {
    const attributes = new Map<string, string>();
    for (const [name, value] of raw) {
      if (name === "xmlns" || name.startsWith("xmlns:")) continue;
      const uri = this.#resolve(namespaces, name, false);
      const expanded = uri === "" ? name : `{${uri}}${localName(name)}`;
      if (attributes.has(expanded)) this.#fail(`has the attribute ${name} twice, under two prefixes`);
      attributes.set(expanded, value);
    }
    return attributes;
  }

  /** The default namespace is for elements only. */
  #resolve(namespaces: Namespaces, name: string, isElement: boolean): string {
    const colon = name.indexOf(":");
    if (colon < 0) return isElement ? (namespaces.get("") ?? "") : "";
    const prefix = name.slice(0, colon);
    return namespaces.get(prefix) ?? this.#fail(`uses the prefix ${prefix}, which is not declared`);
  }

  #decode(text: string): string {
    if (!text.includes("&")) return text;
    return text.replace(REFERENCE, (reference) => ENTITIES[reference] ?? this.#fail("refers to a character or entity"));
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#source)?.[0];
    if (found !== undefined) this.#at = pattern.lastIndex;
    return found;
  }

  #expect(pattern: RegExp, what: string): string {
    return this.#match(pattern) ?? this.#fail(`lacks ${what}, at character ${this.#at}`);
  }

  #fail(reason: string): never {
    throw new AnchorError("COLLATERAL_MALFORMED", `${this.#what} ${reason}`);
  }
}

function localName(name: string): string {
  return name.slice(name.indexOf(":") + 1);
}
