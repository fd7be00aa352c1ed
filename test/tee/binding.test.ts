import { AbiCoder, keccak256, toUtf8Bytes } from "ethers";
import { describe, expect, it } from "vitest";
import { type Hex, wordHex } from "../../src/field/bytes.js";
import { CIRCUIT_TYPES, contextSignal } from "../../src/protocol/statements.js";
import {
  checkTaskBinding,
  deviceNonce,
  devicesDigest,
  type TeeTask,
  taskLeaf,
  taskOfInference,
  taskPreimage,
  taskReportData,
} from "../../src/tee/binding.js";
import type { Claims } from "../../src/tee/claims.js";
import { code } from "../support/errors.js";

const word = (byte: string): Hex => `0x${byte.repeat(32)}`;

const TASK: TeeTask = {
  chainId: 31337n,
  contract: `0x${"c0".repeat(20)}`,
  taskId: word("01"),
  modelDigest: word("02"),
  inputCommitment: 3n,
  outputCommitment: 2n ** 255n,
  enclaveKey: `0x04${"ab".repeat(64)}`,
  nonce: word("05"),
};

const coder = AbiCoder.defaultAbiCoder();
const id = (text: string) => keccak256(toUtf8Bytes(text));

describe("a task's binding", () => {
  it("is what a contract computes with abi.encode", () => {
    const pre = keccak256(
      coder.encode(
        ["bytes32", "uint256", "address", "bytes32", "bytes32", "uint256", "uint256", "bytes32", "bytes32"],
        [
          id("anchorproof/tee-binding/1"),
          TASK.chainId,
          TASK.contract,
          TASK.taskId,
          TASK.modelDigest,
          TASK.inputCommitment,
          TASK.outputCommitment,
          keccak256(TASK.enclaveKey),
          TASK.nonce,
        ],
      ),
    );
    expect(taskPreimage(TASK)).toBe(pre);
    const two = (tag: string, ...words: string[]) =>
      keccak256(coder.encode(["bytes32", ...words.map(() => "bytes32")], [id(tag), ...words]));
    expect(deviceNonce(TASK)).toBe(two("anchorproof/tee-gpu-nonce/1", pre));
    const devices = [word("bb"), word("aa")];
    const digest = two("anchorproof/tee-devices/1", word("aa"), word("bb"));
    expect(devicesDigest(devices)).toBe(digest);
    expect(devicesDigest([...devices].reverse())).toBe(digest);
    const leaf = two("anchorproof/tee-report/1", pre, digest);
    expect(taskLeaf(TASK, devices)).toBe(leaf);
    expect(taskReportData(TASK, devices)).toBe(`${leaf}${TASK.nonce.slice(2)}`);
    expect(taskLeaf(TASK, [])).toBe(two("anchorproof/tee-report/1", pre, word("00")));
  });

  it("depends on every field of the task, and on the devices", () => {
    const others: Partial<TeeTask>[] = [
      { chainId: 1n },
      { contract: `0x${"c1".repeat(20)}` },
      { taskId: word("11") },
      { modelDigest: word("12") },
      { inputCommitment: 4n },
      { outputCommitment: 5n },
      { enclaveKey: "0x" },
      { nonce: word("15") },
    ];
    expect(others.map((other) => Object.keys(other)[0])).toEqual(Object.keys(TASK));
    const seen = new Set([taskLeaf(TASK, []), taskLeaf(TASK, [word("aa")])]);
    for (const other of others) {
      seen.add(taskLeaf({ ...TASK, ...other }, []));
      seen.add(deviceNonce({ ...TASK, ...other }));
    }
    expect(seen.size).toBe(2 + 2 * others.length);
  });

  const claims = (family: string, fields: object) =>
    ({ family, debug: false, measurements: {}, ...fields }) as unknown as Claims;
  const data = taskReportData(TASK, []);
  const leaf = taskLeaf(TASK, []);
  const nitro = { userData: leaf, nonce: TASK.nonce, publicKey: TASK.enclaveKey };

  it.each([
    ["sgx", { reportData: data }],
    ["tdx", { reportData: data }],
    ["snp", { reportData: data }],
    ["cca", { reportData: data }],
    ["nitro", nitro],
    ["azure-snp", { nonce: leaf }],
    ["azure-tdx", { nonce: leaf }],
    ["nvidia", { nonce: deviceNonce(TASK) }],
    ["nras", { nonce: deviceNonce(TASK) }],
  ])("%s: holds for this task and for no other", (family, fields: Record<string, string>) => {
    checkTaskBinding(claims(family, fields), TASK);
    for (const field of Object.keys(fields)) {
      const flipped = fields[field]!.replace(/.$/, (digit) => (digit === "0" ? "1" : "0"));
      expect(() => checkTaskBinding(claims(family, { ...fields, [field]: flipped }), TASK)).toThrow(
        code("BINDING_MISMATCH"),
      );
      const { [field]: _, ...without } = fields;
      expect(() => checkTaskBinding(claims(family, without), TASK)).toThrow(code("BINDING_MISMATCH"));
    }
    expect(() => checkTaskBinding(claims(family, fields), { ...TASK, chainId: 1n })).toThrow(code("BINDING_MISMATCH"));
  });

  it("names the devices: evidence of one device more or less is another report", () => {
    const bound = claims("tdx", { reportData: taskReportData(TASK, [word("aa")]) });
    checkTaskBinding(bound, TASK, [word("aa")]);
    expect(() => checkTaskBinding(bound, TASK)).toThrow(code("BINDING_MISMATCH"));
    expect(() => checkTaskBinding(bound, TASK, [word("aa"), word("aa")])).toThrow(code("BINDING_MISMATCH"));
  });

  it("of a statement that is also proven takes everything from it", () => {
    const task = {
      keyDigest: word("09"),
      taskId: word("01"),
      requester: TASK.contract,
      payee: TASK.contract,
      nonce: 7n,
      deadline: 1n,
    };
    const statement = { task, modelDigest: word("02"), output: 1n, inputCommitment: 3n };
    const domain = { chainId: 31337n, verifyingContract: TASK.contract };
    const context = contextSignal(domain, CIRCUIT_TYPES.inference, task);
    expect(taskOfInference(domain, statement)).toEqual({
      ...TASK,
      taskId: wordHex(context),
      outputCommitment: 1n,
      enclaveKey: "0x",
      nonce: `0x${"00".repeat(31)}07`,
    });
    const payee = { ...statement, task: { ...task, payee: `0x${"ee".repeat(20)}` as const } };
    expect(taskLeaf(taskOfInference(domain, payee), [])).not.toBe(taskLeaf(taskOfInference(domain, statement), []));
  });

  it.each([
    { chainId: -1n },
    { inputCommitment: 2n ** 256n },
    { contract: "0x00" },
    { nonce: "0x00" },
    { enclaveKey: "zz" },
    { taskId: undefined },
    { outputCommitment: 5 },
  ])("refuses %o", (other) => {
    expect(() => taskReportData({ ...TASK, ...other } as unknown as TeeTask, [])).toThrow(code("INPUT_INVALID"));
  });
});
