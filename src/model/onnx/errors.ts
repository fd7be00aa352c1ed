/**
 * What the reader says of a bad file. Names come from the file: they are shortened and escaped before they reach a
 * terminal.
 *
 * @module
 */

import type { NodeProto } from "onnx-buf";
import { AnchorError } from "../../errors.js";

export function malformed(message: string): AnchorError {
  return new AnchorError("MODEL_MALFORMED", message);
}

export function unsupported(message: string): AnchorError {
  return new AnchorError("MODEL_OP_UNSUPPORTED", message);
}

export function tooLarge(message: string): AnchorError {
  return new AnchorError("INPUT_TOO_LARGE", message);
}

/** `"name" (Op)` */
export function label(node: NodeProto, index: number): string {
  return `${quote(node.name || node.output.find((name) => name !== "") || `#${index}`)} (${clip(node.opType)})`;
}

export function quote(text: string): string {
  return JSON.stringify(clip(text));
}

export function clip(text: string): string {
  const shown = text.length > 80 ? `${text.slice(0, 80)}…` : text;
  return shown.replace(/[\p{Cc}\p{Cf}\p{Cs}]/gu, "?");
}

export function dims(shape: readonly number[]): string {
  return `[${shape.length > 12 ? [...shape.slice(0, 12), "…"] : shape}]`;
}
