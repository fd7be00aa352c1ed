/**
 * The soundness kit over a circuit and honest witnesses of it: what is asked of everything that ships.
 */
import { expect } from "vitest";
import { findSecondWitness, singleMutations } from "../../src/circuit/attack.js";
import { checkDeterminism, type DeterminismOptions } from "../../src/circuit/determinism.js";
import { checkWitness, type R1cs, type SparseMatrix } from "../../src/circuit/r1cs.js";
import { fieldElements } from "../circuits/inference/support.js";

/**
 * Everything is determined by the inputs, nothing needs an explanation, no wire can be changed alone, and no search finds
 * a second witness.
 */
export async function expectSound(
  r1cs: R1cs,
  witnesses: readonly (readonly bigint[])[],
  options: Pick<DeterminismOptions, "given"> & { names?: ReadonlyMap<number, string> } = {},
): Promise<void> {
  const { left } = await checkDeterminism(r1cs, options);
  const named = left.map(({ wires, ...group }) => ({
    ...group,
    wires: wires.slice(0, 12).map((wire) => options.names?.get(wire) ?? wire),
  }));
  expect(named).toEqual([]);
  for (const witness of witnesses) {
    const random = fieldElements(1n);
    expect(checkWitness(r1cs, witness)).toBe(-1);
    expect(await singleMutations(r1cs, witness, { random })).toEqual([]);
    expect(await findSecondWitness(r1cs, witness, { random })).toBeUndefined();
  }
}

/**
 * The same circuit without each of its rows: nearly every one leaves a prover a choice, which the pass has to list, and
 * which the search has to find for one of the witnesses, but where a choice exists for other inputs only.
 *
 * @returns rows without which the pass still shows that all is determined, and those of which no choice was found
 */
export async function withoutEachRow(
  r1cs: R1cs,
  witnesses: readonly (readonly bigint[])[],
  options: Pick<DeterminismOptions, "given"> = {},
): Promise<{ redundant: number[]; unfound: number[] }> {
  const [redundant, unfound]: [number[], number[]] = [[], []];
  for (let row = 0; row < r1cs.constraints; row++) {
    const broken = without(r1cs, row);
    const { left, deterministic } = await checkDeterminism(broken, options);
    const undetermined = new Set(left.flatMap(({ wires }) => wires));
    if (deterministic) redundant.push(row);
    let found = false;
    for (const witness of witnesses) {
      const second = await findSecondWitness(broken, witness, { random: fieldElements(2n) });
      if (!second) continue;
      found = true;
      // What is found is a second witness, and never of what the pass shows to be determined.
      expect(checkWitness(broken, second.witness)).toBe(-1);
      for (const wire of second.changed) expect(undetermined.has(wire), `wire ${wire} without row ${row}`).toBe(true);
      break;
    }
    if (!deterministic && !found) unfound.push(row);
  }
  return { redundant, unfound };
}

function without(r1cs: R1cs, row: number): R1cs {
  const cut = ({ start, wire, coefficient }: SparseMatrix): SparseMatrix => {
    const [from, to] = [start[row]!, start[row + 1]!];
    const kept = [...start].filter((_, i) => i !== row + 1).map((at) => (at > from ? at - (to - from) : at));
    return {
      start: Uint32Array.from(kept),
      wire: Uint32Array.from([...wire.subarray(0, from), ...wire.subarray(to)]),
      coefficient: [...coefficient.slice(0, from), ...coefficient.slice(to)],
    };
  };
  return { ...r1cs, constraints: r1cs.constraints - 1, a: cut(r1cs.a), b: cut(r1cs.b), c: cut(r1cs.c) };
}
