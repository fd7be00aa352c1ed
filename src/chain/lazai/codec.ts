/**
 * Calls, results, events and errors of LazAI's contracts, encoded and decoded, typed and strict: what decodes is exactly
 * what encodes to the same bytes. Padding that is not zero, offsets of another layout, bytes that follow the end, and text
 * that is not UTF-8 are refused, however the EVM would read them.
 *
 * @module
 */
import { Interface, type ParamType, type Result } from "ethers";
import { AnchorError } from "../../errors.js";
import { assertHex, type Hex } from "../../field/bytes.js";
import {
  LAZAI_TABLES,
  type LazaiContractName,
  type LazaiErrorName,
  type LazaiErrorValues,
  type LazaiEventName,
  type LazaiEventValues,
  type LazaiFunctionName,
  type LazaiInputs,
  type LazaiOutputs,
  lazaiFragments,
} from "./abi.js";

/** One call of one contract. A union: `name` tells what `args` are. */
export type LazaiCall<C extends LazaiContractName> = {
  [N in LazaiFunctionName<C>]: { contract: C; name: N; args: LazaiInputs<C, N> };
}[LazaiFunctionName<C>];

export type LazaiEvent<C extends LazaiContractName> = {
  [N in LazaiEventName<C>]: { contract: C; name: N; args: LazaiEventValues<C, N> };
}[LazaiEventName<C>];

export type LazaiError<C extends LazaiContractName> = {
  [N in LazaiErrorName<C>]: { contract: C; name: N; args: LazaiErrorValues<C, N> };
}[LazaiErrorName<C>];

/** Topics and data of a log. */
export interface LazaiLog {
  topics: readonly Hex[];
  data: Hex;
}

const interfaces = new Map<LazaiContractName, Interface>();

/** The contract's interface, for whoever works with ethers itself. */
export function lazaiInterface(contract: LazaiContractName): Interface {
  let found = interfaces.get(contract);
  if (!found) {
    if (!Object.hasOwn(LAZAI_TABLES, contract)) {
      throw new AnchorError("INPUT_INVALID", `LazAI has no contract ${String(contract)}`);
    }
    found = new Interface(lazaiFragments(contract));
    interfaces.set(contract, found);
  }
  return found;
}

/** Call data. @throws INPUT_INVALID for arguments that are not of the function's types */
export function encodeLazaiCall<C extends LazaiContractName, N extends LazaiFunctionName<C>>(
  contract: C,
  name: N,
  args: LazaiInputs<C, N>,
): Hex {
  const fragment = functionOf(contract, name);
  const values = inOrder(fragment.inputs, args, `${contract}.${name}`);
  return encoding(`${contract}.${name}`, () => lazaiInterface(contract).encodeFunctionData(fragment, values));
}

/** @throws INPUT_INVALID for another contract's selector, and for data that is not the one encoding of its arguments */
export function decodeLazaiCall<C extends LazaiContractName>(contract: C, data: Hex): LazaiCall<C> {
  assertHex(data, "call data");
  const abi = lazaiInterface(contract);
  const fragment = data.length < 10 ? null : abi.getFunction(data.slice(0, 10));
  if (!fragment) refuse(`${contract} has no function ${data.slice(0, 10)}`);
  const args = decoding(`a call of ${contract}.${fragment.name}`, data, () => {
    const values = toObject(fragment.inputs, abi.decodeFunctionData(fragment, data));
    return [values, abi.encodeFunctionData(fragment, inOrder(fragment.inputs, values, fragment.name))];
  });
  return { contract, name: fragment.name, args } as unknown as LazaiCall<C>;
}

/** Return data, as a node that answers `eth_call` gives it. @throws INPUT_INVALID */
export function encodeLazaiResult<C extends LazaiContractName, N extends LazaiFunctionName<C>>(
  contract: C,
  name: N,
  outputs: LazaiOutputs<C, N>,
): Hex {
  const fragment = functionOf(contract, name);
  const values = inOrder(named(fragment.outputs), outputs, `the result of ${contract}.${name}`);
  return encoding(`the result of ${contract}.${name}`, () =>
    lazaiInterface(contract).encodeFunctionResult(fragment, values),
  );
}

/** @throws INPUT_INVALID for data that is not the one encoding of the function's results */
export function decodeLazaiResult<C extends LazaiContractName, N extends LazaiFunctionName<C>>(
  contract: C,
  name: N,
  data: Hex,
): LazaiOutputs<C, N> {
  assertHex(data, "return data");
  const abi = lazaiInterface(contract);
  const fragment = functionOf(contract, name);
  const outputs = named(fragment.outputs);
  return decoding(`the result of ${contract}.${name}`, data, () => {
    const values = toObject(outputs, abi.decodeFunctionResult(fragment, data));
    return [values, abi.encodeFunctionResult(fragment, inOrder(outputs, values, name))];
  }) as LazaiOutputs<C, N>;
}

/** A log as the contract emits it. @throws INPUT_INVALID */
export function encodeLazaiEvent<C extends LazaiContractName, N extends LazaiEventName<C>>(
  contract: C,
  name: N,
  args: LazaiEventValues<C, N>,
): { topics: Hex[]; data: Hex } {
  const abi = lazaiInterface(contract);
  const fragment = abi.getEvent(name);
  if (!fragment || fragment.name !== name) refuse(`${contract} has no event ${name}`);
  const values = inOrder(fragment.inputs, args, `${contract}.${name}`);
  let log: LazaiLog | undefined;
  encoding(`${contract}.${name}`, () => {
    log = abi.encodeEventLog(fragment, values) as unknown as LazaiLog;
    return log.data;
  });
  return { topics: [...log!.topics], data: log!.data };
}

/** @throws INPUT_INVALID for another contract's event, and for a log that is not the one encoding of its arguments */
export function decodeLazaiEvent<C extends LazaiContractName>(contract: C, { topics, data }: LazaiLog): LazaiEvent<C> {
  assertHex(data, "log data");
  for (const topic of topics) assertHex(topic, "topic", 32);
  const abi = lazaiInterface(contract);
  const fragment = topics[0] === undefined ? null : abi.getEvent(topics[0]);
  if (!fragment) refuse(`${contract} has no event ${topics[0] ?? "without a topic"}`);
  const flat = (log: { topics: readonly string[]; data: string }) => [...log.topics, log.data].join(",");
  const args = decoding(`an event ${contract}.${fragment.name}`, flat({ topics, data }), () => {
    const values = toObject(fragment.inputs, abi.decodeEventLog(fragment, data, topics));
    return [values, flat(abi.encodeEventLog(fragment, inOrder(fragment.inputs, values, fragment.name)))];
  });
  return { contract, name: fragment.name, args } as unknown as LazaiEvent<C>;
}

/** @throws INPUT_INVALID for another contract's error, and for data that is not the one encoding of its arguments */
export function decodeLazaiError<C extends LazaiContractName>(contract: C, data: Hex): LazaiError<C> {
  assertHex(data, "revert data");
  const abi = lazaiInterface(contract);
  const fragment = data.length < 10 ? null : abi.getError(data.slice(0, 10));
  // ethers knows Error(string) and Panic(uint256) in every contract.
  if (!fragment || !Object.hasOwn(LAZAI_TABLES[contract].errors, fragment.name)) {
    refuse(`${contract} has no error ${data.slice(0, 10)}`);
  }
  const args = decoding(`an error ${contract}.${fragment.name}`, data, () => {
    const values = toObject(fragment.inputs, abi.decodeErrorResult(fragment, data));
    return [values, abi.encodeErrorResult(fragment, inOrder(fragment.inputs, values, fragment.name))];
  });
  return { contract, name: fragment.name, args } as unknown as LazaiError<C>;
}

/** The four bytes that call a function. */
export function lazaiSelector<C extends LazaiContractName>(contract: C, name: LazaiFunctionName<C>): Hex {
  return functionOf(contract, name).selector as Hex;
}

/** The first topic of an event. */
export function lazaiTopic<C extends LazaiContractName>(contract: C, name: LazaiEventName<C>): Hex {
  const fragment = lazaiInterface(contract).getEvent(name);
  if (!fragment) refuse(`${contract} has no event ${name}`);
  return fragment.topicHash as Hex;
}

function functionOf(contract: LazaiContractName, name: string) {
  const abi = lazaiInterface(contract);
  const known = Object.hasOwn(LAZAI_TABLES[contract].functions, name);
  const fragment = known ? abi.getFunction(name) : null;
  if (!fragment) refuse(`${contract} has no function ${name}`);
  return fragment;
}

/** Results of one value are called `value`: the contracts give them no name. */
function named(params: readonly ParamType[]): readonly { name: string; param: ParamType }[] {
  return params.map((param) => ({ name: param.name || "value", param }));
}

type Params = readonly (ParamType | { name: string; param: ParamType })[];

/** Arguments by name, as ethers wants them: in the order of the types, structs too. */
function inOrder(params: Params, values: unknown, what: string): unknown[] {
  if (typeof values !== "object" || values === null) refuse(`${what} takes an object of its arguments`);
  const given = values as Record<string, unknown>;
  const names = params.map(({ name }) => name);
  for (const key of Object.keys(given)) if (!names.includes(key)) refuse(`${what} has no argument ${key}`);
  return params.map((entry) => {
    if (!Object.hasOwn(given, entry.name)) refuse(`${what} needs an argument ${entry.name}`);
    return toAbi("param" in entry ? entry.param : entry, given[entry.name], `${what}.${entry.name}`);
  });
}

function toAbi(type: ParamType, value: unknown, what: string): unknown {
  if (type.isArray()) {
    if (!Array.isArray(value)) refuse(`${what} must be an array`);
    return value.map((item, i) => toAbi(type.arrayChildren, item, `${what}[${i}]`));
  }
  if (type.isTuple()) return inOrder(type.components, value, what);
  const wanted = type.type === "bool" ? "boolean" : type.type.startsWith("uint") ? "bigint" : "string";
  // ethers would take numbers, numeric text and the truth of anything.
  if (typeof value !== wanted) refuse(`${what} must be a ${wanted}`);
  if (type.type === "address") assertHex(value, what, 20);
  if (type.type.startsWith("bytes")) assertHex(value, what, Number(type.type.slice(5)) || undefined);
  if (type.type === "string" && /\p{Surrogate}/u.test(value as string)) refuse(`${what} must be well-formed text`);
  return value;
}

function toObject(params: Params, result: Result): Record<string, unknown> {
  return Object.fromEntries(
    params.map((entry, i) => [entry.name, fromAbi("param" in entry ? entry.param : entry, result[i])]),
  );
}

function fromAbi(type: ParamType, value: unknown): unknown {
  if (type.isArray()) return [...(value as Result)].map((item) => fromAbi(type.arrayChildren, item));
  if (type.isTuple()) return toObject(type.components, value as Result);
  return type.type === "address" ? (value as string).toLowerCase() : value;
}

function encoding(what: string, encode: () => string): Hex {
  try {
    return encode() as Hex;
  } catch (error) {
    if (error instanceof AnchorError) throw error;
    throw new AnchorError("INPUT_INVALID", `${what} cannot be encoded: a value is out of range`, { cause: error });
  }
}

/** @param decode  gives the values, and what they encode to */
function decoding(what: string, given: string, decode: () => [Record<string, unknown>, string]) {
  let values: Record<string, unknown>;
  let again: string;
  try {
    [values, again] = decode();
  } catch (error) {
    throw new AnchorError("INPUT_INVALID", `${what} does not decode`, { cause: error });
  }
  if (again !== given) refuse(`${what} is not encoded canonically: its values encode to other bytes`);
  return values;
}

function refuse(reason: string): never {
  throw new AnchorError("INPUT_INVALID", reason);
}
