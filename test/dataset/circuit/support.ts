/**
 * Programs of datasets against the Circom templates that they are the twins of, and small datasets to prove things about.
 */
import { readR1cs, rowHolds } from "../../../src/circuit/r1cs.js";
import {
  emitNamedProgram,
  measureProgram,
  type Program,
  programWitness,
} from "../../../src/circuit/synthesis/program.js";
import type { CircuitInputs } from "../../../src/circuit/witness.js";
import { isAnchorError } from "../../../src/errors.js";
import { mod } from "../../../src/field/scalar.js";
import { compile, expectSameSystem, expectSameWitness, witnessOf } from "../../model/circuit/support.js";

/** A program beside what circom makes of its template; circom takes about half a second a hash. */
export class Twin<Request> {
  private constructor(
    readonly program: Program<Request>,
    private readonly circom: Awaited<ReturnType<typeof compile>>,
    private readonly own: ReturnType<typeof systemOf>,
    private readonly ours: readonly number[],
  ) {}

  /** @throws unless rows and names are the same */
  static async of<Request>(program: Program<Request>): Promise<Twin<Request>> {
    const { name, source } = program.circom;
    const circom = await compile(name, source);
    const own = systemOf(program);
    return new Twin(program, circom, own, expectSameSystem(circom, own));
  }

  get rows(): number {
    return this.own.r1cs.constraints;
  }

  /** Our witness, which has been compared with that of circom's generator. @param inputs by the template's names */
  async witness(request: Request, inputs: CircuitInputs): Promise<bigint[]> {
    const own = witnessOf(programWitness(this.program, measureProgram(this.program).wires, request));
    expectSameWitness(await this.circom.witness(inputs), own, this.ours, this.own.r1cs);
    return own;
  }

  /** Our witness, of which nothing is asked. */
  made(request: Request): bigint[] {
    return witnessOf(programWitness(this.program, measureProgram(this.program).wires, request));
  }

  /** How many rows a witness violates with these wires changed. */
  violated(witness: readonly bigint[], changes: Readonly<Record<string, bigint>> = {}): number {
    const changed = [...witness];
    for (const [name, value] of Object.entries(changes)) changed[this.wire(name)] = mod(value);
    let rows = 0;
    for (let row = 0; row < this.r1cs.constraints; row++) if (!rowHolds(this.r1cs, changed, row)) rows++;
    return rows;
  }

  /** Whether there is no witness for a request, or none that the rows take. */
  refuses(request: Request): boolean {
    try {
      return this.violated(this.made(request)) > 0;
    } catch (error) {
      if (isAnchorError(error, "WITNESS_INVALID")) return true;
      throw error;
    }
  }

  wire(name: string): number {
    const wire = this.own.names.get(`main.${name}`);
    if (wire === undefined) throw new Error(`no wire ${name}`);
    return wire;
  }

  get r1cs() {
    return this.own.r1cs;
  }

  get names() {
    return this.own.names;
  }
}

export function systemOf<Request>(program: Program<Request>) {
  const { r1cs, names } = emitNamedProgram(program);
  return { r1cs: readR1cs(r1cs), names };
}
