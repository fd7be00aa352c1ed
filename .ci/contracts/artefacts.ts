/**
 * What the compiler made of the contracts: sizes under the EVM's limits, and where state lies.
 *
 * @module
 */
import type { ContractArtefact, ContractArtefacts, StorageLayout } from "../../src/chain/compile.js";
import type { Problem } from "./gates.js";

/** EIP-170, of deployed code, and EIP-3860, of creation code. */
const MAX_CODE = 24_576;
const MAX_INIT_CODE = 49_152;
/** Constructor arguments are part of the creation code, and none here come near this. */
const ARGUMENTS = 2_048;

export function checkSizes(artefacts: ContractArtefacts): Problem[] {
  const problems: Problem[] = [];
  for (const [name, { bytecode, deployedSize }] of Object.entries(artefacts)) {
    const init = bytecode.length / 2 - 1 + (deployedSize > 0 ? ARGUMENTS : 0);
    if (deployedSize > MAX_CODE) {
      problems.push({
        code: "SIZE",
        message: `${name}: ${deployedSize} bytes of code, and EIP-170 allows ${MAX_CODE}`,
      });
    }
    if (init > MAX_INIT_CODE) {
      problems.push({
        code: "SIZE",
        message: `${name}: ${init} bytes of creation code; EIP-3860 allows ${MAX_INIT_CODE}`,
      });
    }
    if (/__\$[0-9a-f]{34}\$__/.test(bytecode)) {
      problems.push({ code: "UNLINKED", message: `${name} calls an external library, which nothing deploys` });
    }
  }
  return problems;
}

/** Slots of a contract's state, and of the structs in it: one line a variable, in the order of declaration. */
export interface Layout {
  storage: Record<string, string>;
  structs?: Record<string, Record<string, string>>;
}

export type Layouts = Record<string, Layout>;

/** Of every contract that is deployed, also of those without state. */
export function layoutsOf(artefacts: ContractArtefacts): Layouts {
  const deployed = Object.entries(artefacts).filter(([, { bytecode }]) => bytecode !== "0x");
  return Object.fromEntries(
    deployed.sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, artefact]) => [name, layoutOf(artefact)]),
  );
}

function layoutOf({ storageLayout: { storage, types } }: ContractArtefact): Layout {
  const structs: Record<string, Record<string, string>> = {};
  const follow = (id: string): void => {
    const type = types?.[id];
    if (!type) return;
    for (const inner of [type.key, type.value, type.base]) if (inner !== undefined) follow(inner);
    // A struct may hold a mapping to itself.
    if (!type.members || Object.hasOwn(structs, type.label)) return;
    structs[type.label] = slots(type.members, types);
    for (const { type: inner } of type.members) follow(inner);
  };
  for (const { type } of storage) follow(type);
  return { storage: slots(storage, types), ...(Object.keys(structs).length > 0 && { structs }) };
}

function slots(variables: StorageLayout["storage"], types: StorageLayout["types"]): Record<string, string> {
  return Object.fromEntries(
    variables.map(({ label, slot, offset, type }) => {
      const { label: name, numberOfBytes } = types?.[type] ?? { label: type, numberOfBytes: "?" };
      return [label, `slot ${slot}, byte ${offset}, ${numberOfBytes} long: ${name}`];
    }),
  );
}

/** Differences, each with the old and the new line. */
export function compareLayouts(expected: Layouts, actual: Layouts): Problem[] {
  const problems: Problem[] = [];
  const [before, after] = [flatten(expected), flatten(actual)];
  for (const key of new Set([...before.keys(), ...after.keys()])) {
    const [old, now] = [before.get(key), after.get(key)];
    if (old === now) continue;
    problems.push({ code: "LAYOUT", message: `${key}: ${old ?? "not there"} → ${now ?? "gone"}` });
  }
  return problems;
}

function flatten(layouts: Layouts): Map<string, string> {
  const lines = new Map<string, string>();
  for (const [contract, { storage, structs }] of Object.entries(layouts)) {
    lines.set(contract, "a contract");
    for (const [name, line] of Object.entries(storage)) lines.set(`${contract}.${name}`, line);
    for (const [struct, members] of Object.entries(structs ?? {})) {
      for (const [name, line] of Object.entries(members)) lines.set(`${contract}, ${struct}.${name}`, line);
    }
  }
  return lines;
}
