import type { Lanes, Synthesis } from "../../../circuit/synthesis/synthesis.js";
import type { LookupNode } from "../../graph.js";
import type { Gadget } from "../gadget.js";

/** Twin of `circuits/inference/lookup.circom`. */
export const lookup: Gadget<LookupNode> = {
  ports: ["in"],
  instance({ node: { rows, width, entries }, inputBounds: [before] }) {
    return {
      file: "inference/lookup.circom",
      template: "Lookup",
      parameters: [
        ["count", before!.min.length],
        ["rows", rows],
        ["width", width],
        ["entries", entries],
        ["min", before!.min],
        ["max", before!.max],
      ],
    };
  },
  synthesise({ s, node, inputBounds: [before], inputs, out }) {
    for (let i = 0; i < before!.min.length; i++) {
      s.enter("lane", i);
      lookupRow(s, node, before!.min[i]!, before!.max[i]!, inputs[0]!, i, out);
      s.leave();
    }
  },
};

/** Twin of `lookup_row.circom`: fills in the lanes of one index. */
function lookupRow(
  s: Synthesis,
  { rows, width, entries }: LookupNode,
  min: number,
  max: number,
  from: Lanes,
  index: number,
  out: Lanes,
): void {
  if (min === max && max < rows) return;
  const last = Math.min(max, rows - 1);
  const first = Math.min(min, last - 1);
  const count = last - first + 1;
  const hot = from.values[index]!;

  const mark = s.bit(first === hot ? 1 : 0, "mark", 0);
  for (let i = 1; i < count; i++) s.bit(first + i === hot ? 1 : 0, "mark", i);
  const marks = s.combination(-1);
  const place = s.combination(-1).lane(-1, from, index);
  for (let i = 0; i < count; i++) {
    marks.add(1, mark + i);
    place.add(first + i + 1, mark + i);
  }
  s.row(undefined, undefined, marks);
  s.row(undefined, undefined, place);

  for (let j = 0; j < width; j++) {
    const lane = index * width + j;
    const entryOf = (i: number) => entries[(first + i) * width + j]!;
    let same = true;
    let terms = 0;
    let single = 0;
    for (let i = 0; i < count; i++) {
      if (entryOf(i) !== entryOf(0)) same = false;
      if (entryOf(i) === 0) continue;
      terms++;
      single = i;
    }
    if (same) continue;
    if (terms === 1 && entryOf(single) === 1) {
      out.wires[lane] = mark + single; // a copy
      continue;
    }
    const wire = s.wire(out.values[lane]!, "out", j);
    const sum = s.combination();
    if (s.writing) for (let i = 0; i < count; i++) if (entryOf(i) !== 0) sum.add(entryOf(i), mark + i);
    s.row(undefined, undefined, sum.add(-1, wire));
    out.wires[lane] = wire;
  }
}
