/**
 * Reads Solidity as far as the checks need it: comments and strings apart from code, and where assembly begins and ends.
 *
 * @module
 */

export interface SoliditySource {
  path: string;
  text: string;
  /** The text without comments, and with strings emptied; every character stays at its place. */
  code: string;
  /** Within `code`: the inside of each assembly block. */
  assembly: readonly { start: number; end: number }[];
}

const TOKENS = /\/\/[^\n]*|\/\*[\s\S]*?(?:\*\/|$)|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'/g;
const BLOCK = /\bassembly\b(?:\s*"[^"]*")?(?:\s*\([^)]*\))?\s*\{/g;

export function readSolidity(path: string, text: string): SoliditySource {
  const code = text.replace(TOKENS, (token) =>
    token.startsWith("/") ? blank(token) : token[0] + blank(token.slice(1, -1)) + token[0],
  );
  const assembly = [...code.matchAll(BLOCK)].map((match) => {
    const start = match.index + match[0].length;
    let depth = 1;
    let end = start;
    for (; end < code.length && depth > 0; end++) {
      if (code[end] === "{") depth++;
      else if (code[end] === "}") depth--;
    }
    return { start, end };
  });
  return { path, text, code, assembly };
}

function blank(text: string): string {
  return text.replace(/[^\n]/g, " ");
}

export function lineAt(text: string, offset: number): number {
  return text.slice(0, offset).split("\n").length;
}
