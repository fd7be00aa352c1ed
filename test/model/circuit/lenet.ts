/** A LeNet-5 with average pooling and random weights: its size, not its skill. */
import type { GraphNode, ModelGraph } from "../../../src/model/graph.js";
import { lcg } from "../graphs.js";

interface Image {
  readonly channels: number;
  readonly side: number;
}

export function lenet(seed: number): ModelGraph {
  const below = lcg(seed);
  const nodes: GraphNode[] = [{ op: "input", shape: [1, 28, 28], lo: 0, bits: 7, scaleLog2: 7 }];
  const add = (node: GraphNode) => nodes.push(node) - 1;
  let at = 0;

  /** Patches of a convolution or a pool, then what is linear on them. */
  const windows = ({ channels, side }: Image, size: number, stride: number, pad: number, apart: boolean) => {
    const out = Math.floor((side + 2 * pad - size) / stride) + 1;
    const index: number[] = [];
    const patch = (channel: number, y: number, x: number) => {
      for (let i = 0; i < size; i++) {
        for (let j = 0; j < size; j++) {
          const [row, column] = [y * stride + i - pad, x * stride + j - pad];
          const inside = row >= 0 && row < side && column >= 0 && column < side;
          index.push(inside ? (channel * side + row) * side + column : -1);
        }
      }
    };
    for (let group = 0; group < (apart ? channels : 1); group++) {
      for (let y = 0; y < out; y++) {
        for (let x = 0; x < out; x++) {
          if (apart) patch(group, y, x);
          else for (let channel = 0; channel < channels; channel++) patch(channel, y, x);
        }
      }
    }
    at = add({ op: "arrange", inputs: [at], index: Int32Array.from(index), constants: [0] });
    return out;
  };
  const relu = (shift: number, channels: number) => {
    const shifts = Uint8Array.from({ length: channels }, () => shift + below(2));
    at = add({ op: "requant", inputs: [at], shifts, lo: 0, bits: 7 });
  };
  const linear = (groups: number, positions: number, inner: number, outputs: number, weight: () => number) => {
    const weights = Int16Array.from({ length: groups * outputs * inner }, weight);
    const bias = Int32Array.from({ length: groups * outputs }, () => below(4000) - 2000);
    at = add({ op: "linear", inputs: [at], groups, positions, inner, outputs, weights, bias });
  };
  const signed = () => below(255) - 127;
  const convolution = (image: Image, outputs: number, pad: number): Image => {
    const side = windows(image, 5, 1, pad, false);
    linear(1, side * side, 25 * image.channels, outputs, signed);
    relu(9, outputs);
    return { channels: outputs, side };
  };
  const pool = (image: Image): Image => {
    const side = windows(image, 2, 2, 0, true);
    linear(image.channels, side * side, 4, 1, () => 1);
    relu(2, 1);
    return { channels: image.channels, side };
  };

  const first = pool(convolution({ channels: 1, side: 28 }, 6, 2));
  const second = pool(convolution(first, 16, 0));
  const flat = second.channels * second.side * second.side;
  for (const [inner, outputs] of [
    [flat, 120],
    [120, 84],
    [84, 10],
  ] as const) {
    linear(1, 1, inner, outputs, signed);
    if (outputs > 10) relu(10, outputs);
  }
  add({ op: "argMax", inputs: [at], width: 10 });
  return { nodes };
}
