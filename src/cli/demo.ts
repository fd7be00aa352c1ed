import { type Command, integer, optional } from "./command.js";
import { runDemo } from "./demo/story.js";

export const demoCommand: Command = {
  name: "demo",
  summary: "the whole story on real data: dataset, proofs, quorum, chain, model, inference, settlement, tampering",
  help: `
Commits to about 2 MB of real mail, proves a part of it, has four validators vote, mints on a local chain, compiles a
trained spam classifier into a circuit, proves an answer about an unseen mail, settles the fee, and then tries to cheat
at each step. Exits with 0 only if every step and every rejection went as it should.

  --out DIR      where to write the evidence [out/demo]
  --mail N       which held-out mail to ask about [0]

Writes bundle.json (all evidence), trust.json (what a verifier holds to be true), query.json (the question, private to
its author), verdict.json and model/. Check them again, offline:

  anchorproof verify out/demo/bundle.json --trust out/demo/trust.json
`,
  options: { out: { type: "string" }, mail: { type: "string" } },
  positionals: [],
  async run({ values, terminal, signal }) {
    const out = optional(values, "out") ?? "out/demo";
    await runDemo({ out, mail: integer(values, "mail", 0, 100_000, 0), terminal, signal });
  },
};
