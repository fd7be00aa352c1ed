/**
 * Four ways to rely on an answer, side by side: what each shows, by what, and what it leaves open. One table for all, so
 * that nobody reads more out of one kind of evidence than it holds.
 *
 * @module
 */

export const ASSURANCE_MODES = ["ZK", "TEE", "TEE+ZK", "OP"] as const;

export type AssuranceMode = (typeof ASSURANCE_MODES)[number];

export interface Assurance {
  mode: AssuranceMode;
  /** Whether the evidence at hand gives it. */
  holds: boolean;
  /** What is shown if it holds; why it does not, otherwise. */
  shows: string;
  /** What shows it. */
  by: string;
  /** What it leaves open even so. */
  open: string;
}

/** What was found of an answer. A reason says why something does not hold. */
export interface AnswerEvidence {
  zk: { holds: boolean; reason?: string };
  tee: {
    holds: boolean;
    reason?: string;
    /** What the policy calls the state that runs. */
    workload?: string;
    /** What has been broken of such hardware, if its keys can be had without touching it. */
    broken?: string;
  };
  /** Both parties signed for the answer. */
  agreed: { holds: boolean; reason?: string };
}

export function assuranceTable({ zk, tee, agreed }: AnswerEvidence): Assurance[] {
  const not = (reason: string | undefined) => `not shown: ${reason ?? "there is no such evidence"}`;
  const both = zk.holds && tee.holds;
  const hardware =
    tee.broken === undefined ? "genuine hardware that keeps others out" : `hardware of a broken kind (${tee.broken})`;
  const program = tee.workload ? `what the policy lists as ${tee.workload}` : "a program with an allowed measurement";
  return [
    {
      mode: "ZK",
      holds: zk.holds,
      shows: zk.holds ? "the output is what the model's circuit gives on the committed input" : not(zk.reason),
      by: "a Groth16 proof",
      open: "where it was computed, and who saw the input there",
    },
    {
      mode: "TEE",
      holds: tee.holds,
      shows: tee.holds ? `${program} ran on ${hardware}, and gave out this very answer` : not(tee.reason),
      by: "a vendor's attestation, bound to this task",
      open: "that the program computes the model: that is for whoever reviewed what the measurement stands for; attacks on hardware",
    },
    {
      mode: "TEE+ZK",
      holds: both,
      shows: both
        ? `both of the same statement: the output is the model's, whatever the hardware is worth, and ${program} ran on ${hardware}`
        : not(zk.holds ? `TEE: ${tee.reason ?? "no attestation"}` : `ZK: ${zk.reason ?? "no proof"}`),
      by: "the proof and the attestation, each bound to this task",
      open: "that the input stays secret: that takes a reviewed program, a way for the input into it, and hardware that nobody breaks",
    },
    {
      mode: "OP",
      holds: agreed.holds,
      shows: agreed.holds
        ? "user and node signed for the answer: it stands unless somebody shows it wrong"
        : not(agreed.reason),
      by: "both parties' signatures over the receipt",
      open: "that anything was computed at all",
    },
  ];
}
