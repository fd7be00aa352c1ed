/**
 * The members of JSON objects as they are written: numbers keep their digits, and a key that stands twice is seen.
 *
 * @module
 */

/**
 * Key → text of its value, of a text that `JSON.parse` takes. Undefined for what is no object; a string is the key that
 * stands twice.
 */
export function membersOf(json: string): Map<string, string> | string | undefined {
  const members = new Map<string, string>();
  let at = skipSpace(json, 0);
  if (json[at] !== "{") return undefined;
  at = skipSpace(json, at + 1);
  while (json[at] !== "}") {
    const keyEnd = endOfString(json, at);
    const key = textOf(json.slice(at, keyEnd));
    at = skipSpace(json, skipSpace(json, keyEnd) + 1); // the colon
    const end = endOfValue(json, at);
    if (members.has(key)) return key;
    members.set(key, json.slice(at, end));
    at = skipSpace(json, end);
    if (json[at] === ",") at = skipSpace(json, at + 1);
  }
  return members;
}

/** What a JSON string says. */
export function textOf(raw: string): string {
  return raw.includes("\\") ? JSON.parse(raw) : raw.slice(1, -1);
}

function skipSpace(json: string, from: number): number {
  let at = from;
  for (;;) {
    const code = json.charCodeAt(at);
    if (code !== 32 && code !== 9 && code !== 10 && code !== 13) return at;
    at++;
  }
}

/** After the quote that ends the string which starts at `from`. */
function endOfString(json: string, from: number): number {
  for (let at = json.indexOf('"', from + 1); ; at = json.indexOf('"', at + 1)) {
    let escapes = 0;
    while (json[at - 1 - escapes] === "\\") escapes++;
    if (escapes % 2 === 0) return at + 1;
  }
}

function endOfValue(json: string, from: number): number {
  if (json[from] === '"') return endOfString(json, from);
  let at = from;
  let depth = 0;
  for (;;) {
    const character = json[at]!;
    if (character === '"') {
      at = endOfString(json, at);
      continue;
    }
    if (character === "{" || character === "[") depth++;
    else if (depth === 0 && /[,}\s]/.test(character)) return at;
    else if ((character === "}" || character === "]") && --depth === 0) return at + 1;
    at++;
  }
}
