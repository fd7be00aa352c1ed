/**
 * Text for people: numbers with units, and names from files that others made.
 *
 * @module
 */

/**
 * Text with its control and direction characters written out, but for line feeds. Names and messages come from files
 * that others made: an escape sequence in them could erase a failure from the screen and draw a success over it.
 */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, (character) =>
    character === "\n" ? character : `\\u{${character.codePointAt(0)!.toString(16)}}`,
  );
}

/**
 * A message as it is kept: on one line, without characters that a terminal obeys, and not endless. Names in evidence are
 * whatever its maker wrote: a line feed in one could draw a check of its own below the one that failed.
 */
export function oneLine(text: string, length = 1000): string {
  return clip(printable(text.slice(0, length + 1)).replaceAll("\n", "\\u{a}"), length);
}

export function formatMs(ms: number): string {
  if (ms < 0.001) return `${(ms * 1e6).toFixed(1)} ns`;
  if (ms < 1) return `${(ms * 1e3).toFixed(1)} µs`;
  if (ms < 1000) return `${ms.toFixed(ms < 10 ? 2 : 1)} ms`;
  return `${(ms / 1000).toFixed(2)} s`;
}

export function formatBytes(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  if (bytes < 1024 ** 2) return `${(bytes / 1024).toFixed(1)} KB`;
  if (bytes < 1024 ** 3) return `${(bytes / 1024 ** 2).toFixed(1)} MB`;
  return `${(bytes / 1024 ** 3).toFixed(2)} GB`;
}

/** Text up to a length, with dots where it goes on. */
export function clip(text: string, length = 160): string {
  return text.length > length ? `${text.slice(0, length - 1)}…` : text;
}

/** "1 node", "2 nodes". */
export function counted(count: number, thing: string): string {
  return `${formatCount(count)} ${thing}${count === 1 ? "" : "s"}`;
}

/** A whole number in groups of three digits, the same in every locale. */
export function formatCount(count: number): string {
  return String(count).replace(/\B(?=(?:\d{3})+$)/g, ",");
}

/** Of 1; two decimals, and no rounding to all or nothing of what is neither. */
export function formatShare(share: number): string {
  const shown = (100 * share).toFixed(2);
  if (shown === "100.00" && share < 1) return "> 99.99 %";
  if (shown === "0.00" && share > 0) return "< 0.01 %";
  return `${shown} %`;
}

/** Three significant digits, with an exponent where the number is very large or small. */
export function formatReal(value: number): string {
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1e6 || size < 1e-4) return value.toExponential(2);
  return String(Number(value.toPrecision(3)));
}
