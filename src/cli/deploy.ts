/**
 * `contract deploy` and `contract status`: a whole deployment on any chain, and what has become of it.
 *
 * @module
 */
import { lstat } from "node:fs/promises";
import { formatEther, formatUnits, type JsonRpcProvider, VoidSigner, Wallet } from "ethers";
import {
  type DeploymentPlan,
  type DeployParameters,
  estimateDeployment,
  type GasEstimate,
  PARAMETERS,
  type PlanOptions,
  planDeployment,
  runDeployment,
  type VerifierFile,
} from "../chain/deploy.js";
import { type DeploymentRecord, readDeploymentRecord, writeDeploymentRecord } from "../chain/deployment.js";
import { connectProvider } from "../chain/provider.js";
import { inspectDeployment } from "../chain/status.js";
import { AnchorError, toAnchorError } from "../errors.js";
import type { Hex } from "../field/bytes.js";
import { formatCount } from "../text.js";
import { parseVerifyingKey } from "../verifier/groth16.js";
import { readSigner, SIGNER_HELP, SIGNER_OPTIONS } from "./account.js";
import { type Command, type Context, optional, pretty, readBytes, readJson, required, type Values } from "./command.js";
import { hexOption, numberOption, ZERO_ADDRESS } from "./task.js";
import type { Terminal } from "./terminal.js";

/** Larger than any verifier of the most public signals. */
const MAX_SOURCE = 4 * 1024 * 1024;
/** Where whoever deploys may own everything: nothing on it is worth anything. */
const LOCAL_CHAIN = 31337n;
/** Elsewhere these are said, and never the deploying account by default, whose secret lies in a file. */
const SAID: readonly (keyof DeployParameters)[] = ["owner", "guardian", "governancePool", "treasury"];

const PARAMETER_HELP = Object.values(PARAMETERS)
  .map(({ option, about, unlessTold, bits, text }) => {
    const name = `--${option} ${text ? "TEXT" : bits === undefined ? "0x…" : "N"}`;
    return `  ${name.padEnd(22)} ${about} [${unlessTold}]`;
  })
  .join("\n");

export const contractDeployCommand: Command = {
  name: "contract deploy",
  summary: "deploy the protocol's contracts, on any chain; or say what that would do and cost",
  help: `
  --rpc URL          an Ethereum node
${SIGNER_HELP}
  --out FILE         where to write what was deployed: addresses, arguments, code hashes, transactions; after every step
  --resume           go on with what FILE says was begun
  --dry-run          say what would be deployed where, from which account and at what cost, and send nothing
  --from 0x…         the account for a dry run, in place of its secret
  --chain-id N       fail unless the node is on this chain
  --verifier SOURCE.sol=VKEY.json   deploy also what \`contract generate\` wrote for this key, also more than once. The source
                     is generated again and compared. Registering it is the owner's word, and not done here
  --json             print the plan of a dry run, or what was deployed, as JSON

${PARAMETER_HELP}

On other chains than 31337, ${SAID.map((name) => `--${PARAMETERS[name].option}`).join(", ")} must be given. Contracts name each other by addresses that follow from the
account's nonce: send nothing else from it meanwhile. After an interruption, run the same command with --resume: what was
sent already is found, and what turned out to be useless is deployed again, and said. Deployed code is compared with the
compiler's. The file is no evidence for others: \`contract status\` compares it with the chain.
`,
  options: {
    rpc: { type: "string" },
    ...SIGNER_OPTIONS,
    out: { type: "string" },
    resume: { type: "boolean" },
    "dry-run": { type: "boolean" },
    from: { type: "string" },
    "chain-id": { type: "string" },
    verifier: { type: "string", multiple: true },
    json: { type: "boolean" },
    ...Object.fromEntries(Object.values(PARAMETERS).map(({ option }) => [option, { type: "string" } as const])),
  },
  positionals: [],
  async run(context) {
    const { values, terminal, signal } = context;
    const dry = values["dry-run"] === true;
    const out = dry ? optional(values, "out") : required(values, "out");
    if (values["from"] !== undefined && !dry) throw new AnchorError("USAGE", "--from goes with --dry-run");
    const options: PlanOptions = { ...parametersOf(values), verifiers: await verifiersOf(values), signal };
    const record = await recordOf(values, out, dry);
    const url = required(values, "rpc");
    const secret = values["from"] === undefined ? await readSigner(values, terminal) : undefined;
    terminal.busy("asking the node");
    const provider = await connectProvider(url, { signal });
    try {
      const { chainId } = await provider.getNetwork();
      const expected = numberOption(values, "chain-id", chainId);
      if (chainId !== expected) {
        throw new AnchorError("INPUT_INVALID", `the node is on chain ${chainId}, and --chain-id says ${expected}`);
      }
      if (chainId !== LOCAL_CHAIN && !record) requireSaid(options, chainId);
      const signer = secret ? new Wallet(secret, provider) : new VoidSigner(fromOf(values), provider);
      terminal.busy("compiling");
      const plan = await planDeployment(signer, { ...options, record });
      const estimates = await estimateDeployment(plan, provider);
      const cost = await costOf(plan, estimates, provider);
      if (dry) {
        if (values["json"]) terminal.line(pretty(planToJson(plan, estimates, cost)).trimEnd());
        else printPlan(terminal, plan, estimates, cost);
        return;
      }
      if (cost.balance < cost.total) {
        throw new AnchorError(
          "CHAIN_REVERTED",
          `nothing was sent: ${plan.deployer} has ${formatEther(cost.balance)} coins, and the deployment takes about ${formatEther(cost.total)}`,
          { details: { call: "deploying", error: "INSUFFICIENT_FUNDS", args: [] } },
        );
      }
      await deploy(context, signer, plan, record, out!);
    } finally {
      provider.destroy();
    }
  },
};

async function deploy(
  { values, terminal, signal }: Context,
  signer: Wallet | VoidSigner,
  plan: DeploymentPlan,
  record: DeploymentRecord | undefined,
  out: string,
): Promise<void> {
  const quiet = values["json"] === true;
  const say = (line: string) => {
    if (!quiet) terminal.line(line);
  };
  say(`chain ${plan.chainId}, from ${plan.deployer}`);
  for (const address of plan.abandoned) say(`--   ${address} is abandoned: what it names has come to be elsewhere`);
  const told = new Set<string>();
  for (const { name, contract, address, deployed } of plan.contracts) {
    if (!deployed) continue;
    told.add(name);
    say(`ok   ${contract.padEnd(22)} ${address}  there already, block ${deployed.block}`);
  }
  const final = await runDeployment(signer, plan, {
    signal,
    record,
    onProgress: ({ contract, done, total }) => terminal.progress(`deploying ${contract}`, done / total),
    save: async (now) => {
      await writeDeploymentRecord(out, now);
      for (const [name, { contract, address, deployed }] of Object.entries(now.contracts)) {
        if (!deployed || told.has(name)) continue;
        told.add(name);
        const gas = deployed.gasUsed === undefined ? "" : `, ${formatCount(Number(deployed.gasUsed))} gas`;
        say(`ok   ${contract.padEnd(22)} ${address}  block ${deployed.block}${gas}`);
      }
    },
  });
  // What an earlier run had sent may have been all.
  await writeDeploymentRecord(out, final);
  if (quiet) return terminal.line(pretty((await readJson(out)) as object).trimEnd());
  say(`written to ${out}`);
}

interface Cost {
  gas: bigint;
  /** Wei a unit of gas. */
  price: bigint;
  total: bigint;
  balance: bigint;
}

async function costOf(
  plan: DeploymentPlan,
  estimates: readonly GasEstimate[],
  provider: JsonRpcProvider,
): Promise<Cost> {
  try {
    const [{ gasPrice, maxFeePerGas }, balance] = await Promise.all([
      provider.getFeeData(),
      provider.getBalance(plan.deployer),
    ]);
    const gas = estimates.reduce((sum, each) => sum + each.gas, 0n);
    const price = gasPrice ?? maxFeePerGas ?? 0n;
    return { gas, price, total: gas * price, balance };
  } catch (error) {
    throw toAnchorError(error, "CHAIN_UNAVAILABLE", "the node does not tell its gas price, or the account's balance");
  }
}

function planToJson(plan: DeploymentPlan, estimates: readonly GasEstimate[], cost: Cost): unknown {
  const gasOf = new Map(estimates.map((each) => [each.name, each]));
  return {
    chainId: plan.chainId,
    deployer: plan.deployer,
    parameters: plan.parameters,
    contracts: plan.contracts.map(({ name, contract, address, nonce, arguments: args, deployed }) => ({
      name,
      contract,
      address,
      nonce,
      arguments: args,
      deployed: deployed !== undefined,
      ...(gasOf.has(name) && { gas: gasOf.get(name)!.gas, rough: gasOf.get(name)!.rough }),
    })),
    abandoned: plan.abandoned,
    gas: cost.gas,
    gasPrice: cost.price,
    cost: cost.total,
    balance: cost.balance,
    enough: cost.balance >= cost.total,
  };
}

function printPlan(terminal: Terminal, plan: DeploymentPlan, estimates: readonly GasEstimate[], cost: Cost): void {
  const gasOf = new Map(estimates.map((each) => [each.name, each]));
  terminal.line(`chain ${plan.chainId}, from ${plan.deployer}`);
  for (const [name, value] of Object.entries(plan.parameters)) {
    terminal.line(`  --${PARAMETERS[name as keyof DeployParameters].option.padEnd(20)} ${value}`);
  }
  for (const address of plan.abandoned) terminal.line(`  abandoned              ${address}`);
  for (const { name, contract, address, deployed } of plan.contracts) {
    const estimate = gasOf.get(name);
    const what = deployed
      ? "there already"
      : `${estimate?.rough ? "at most about " : ""}${formatCount(Number(estimate?.gas))} gas`;
    terminal.line(`  ${contract.padEnd(22)} ${address}  ${what}`);
  }
  const { gas, price, total, balance } = cost;
  terminal.line(`${formatCount(Number(gas))} gas at ${formatUnits(price, "gwei")} gwei: ${formatEther(total)} coins`);
  terminal.line(`the account has ${formatEther(balance)}${balance >= total ? "" : ": NOT ENOUGH"}`);
  if (balance >= total) terminal.line("nothing was sent");
  else
    terminal.line(
      `the deployment would not begin: about ${formatEther(total - balance)} coins are missing; nothing was sent`,
    );
}

/** @throws USAGE for an address or a number that is none */
function parametersOf(values: Values): Partial<DeployParameters> {
  const given = Object.entries(PARAMETERS).filter(([, { option }]) => values[option] !== undefined);
  return Object.fromEntries(
    given.map(([name, { option, bits, text }]) => {
      if (text) return [name, required(values, option)];
      return [name, bits === undefined ? account(values, option) : number(values, option, bits)];
    }),
  );
}

function account(values: Values, option: string): Hex {
  const address = hexOption(values, option, 20, ZERO_ADDRESS);
  if (address === ZERO_ADDRESS) throw new AnchorError("USAGE", `--${option} takes an account, not the zero address`);
  return address;
}

function number(values: Values, option: string, bits: number): bigint {
  const value = numberOption(values, option, 0n);
  if (value >> BigInt(bits) > 0n) throw new AnchorError("USAGE", `--${option} takes a number of at most ${bits} bits`);
  return value;
}

function fromOf(values: Values): Hex {
  if (values["account"] !== undefined || values["keystore"] !== undefined) {
    throw new AnchorError("USAGE", "name one: --from 0x…, --account FILE or --keystore FILE");
  }
  return account(values, "from");
}

function requireSaid(options: PlanOptions, chainId: bigint): void {
  const missing = SAID.filter((name) => options[name] === undefined).map((name) => `--${PARAMETERS[name].option}`);
  if (missing.length > 0) {
    throw new AnchorError("USAGE", `on chain ${chainId} nobody owns anything by default: give ${missing.join(", ")}`);
  }
}

async function recordOf(values: Values, out: string | undefined, dry: boolean): Promise<DeploymentRecord | undefined> {
  if (values["resume"] === true) {
    if (out === undefined) throw new AnchorError("USAGE", "--resume goes on with what --out FILE says");
    return readDeploymentRecord(out);
  }
  if (out === undefined || dry) return undefined;
  try {
    await lstat(out);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw toAnchorError(error, "FILE_UNREADABLE", `cannot write ${out}`);
  }
  throw new AnchorError(
    "FILE_UNREADABLE",
    `${out} exists, and is not replaced: --resume goes on with the deployment in it; for a new one name another file with --out`,
  );
}

async function verifiersOf(values: Values): Promise<VerifierFile[]> {
  const list = (values["verifier"] as string[] | undefined) ?? [];
  return Promise.all(
    list.map(async (given) => {
      const [source, vkey, ...more] = given.split("=");
      if (!source || !vkey || more.length > 0) throw new AnchorError("USAGE", "--verifier takes SOURCE.sol=VKEY.json");
      return { source: await readBytes(source, MAX_SOURCE), vkey: parseVerifyingKey(await readJson(vkey)) };
    }),
  );
}

export const contractStatusCommand: Command = {
  name: "contract status",
  summary: "compare a deployment's file with the chain, and show what its contracts say",
  help: `
  --rpc URL          an Ethereum node
  --deployment FILE  what \`contract deploy\` wrote
  --json             print it as JSON

Compares the code at each address with what was deployed, and with what this release compiles. Shows what each contract
tells of itself: owners, delays, the current split, the validators' epoch. Exits with 0 if no contract is missing and all of
the code is what it was.
`,
  options: { rpc: { type: "string" }, deployment: { type: "string" }, json: { type: "boolean" } },
  positionals: [],
  async run({ values, terminal, signal }) {
    const record = await readDeploymentRecord(required(values, "deployment"));
    terminal.busy("asking the node");
    const provider = await connectProvider(required(values, "rpc"), { signal });
    try {
      const status = await inspectDeployment(provider, record, { signal });
      if (values["json"]) terminal.line(pretty(status).trimEnd());
      else printStatus(terminal, record, status);
      const wrong = status.contracts.filter(({ code }) => code !== "same");
      if (wrong.length > 0 && wrong.every(({ code }) => code === "unfinished")) {
        throw new AnchorError(
          "CONTRACT_MISMATCH",
          `the deployment was not finished: ${wrong.map(({ name }) => name).join(", ")} missing; contract deploy --resume goes on`,
          { details: { missing: wrong.map(({ name }) => name) } },
        );
      }
      if (wrong.length > 0) {
        throw new AnchorError(
          "CONTRACT_MISMATCH",
          `not as deployed: ${wrong.map(({ name, code }) => `${name} (${code})`).join(", ")}`,
        );
      }
    } finally {
      provider.destroy();
    }
  },
};

function printStatus(
  terminal: Terminal,
  record: DeploymentRecord,
  { block, contracts }: Awaited<ReturnType<typeof inspectDeployment>>,
): void {
  terminal.line(
    `chain ${record.chainId}, block ${block}; deployed by ${record.deployer} with anchorproof ${record.version}`,
  );
  for (const { name, contract, address = "at no address yet".padEnd(42), code, thisRelease, values } of contracts) {
    const mark = code === "same" ? "ok  " : "FAIL";
    const release = thisRelease || code !== "same" ? "" : releaseWords(name, address);
    terminal.line(`${mark} ${contract.padEnd(22)} ${address}  ${CODE_WORDS[code]}${release}`);
    for (const [name, value] of Object.entries(values)) terminal.line(`       ${name.padEnd(26)} ${value}`);
  }
}

/** Of code that this release does not compile by itself. */
function releaseWords(name: string, address: string): string {
  const kind = /^(verifier|batchVerifier) 0x/.exec(name)?.[1];
  if (kind === undefined) return ", not what this release compiles";
  const what = kind === "verifier" ? "a key's verifier" : "a key's batch verifier";
  return `; ${what}: contract verify-source FILE --vkey VKEY.json --rpc URL --address ${address} checks it`;
}

const CODE_WORDS = {
  same: "the code that was deployed",
  changed: "OTHER CODE than was deployed",
  missing: "NO CODE at this address",
  unfinished: "NOT DEPLOYED: the deployment was not finished",
} as const;
