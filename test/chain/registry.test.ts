import { beforeAll, describe, expect, it } from "vitest";
import { type AddVerifierParameters, AnchorClient } from "../../src/chain/client/index.js";
import { deployProtocol, deployVerifier } from "../../src/chain/deploy.js";
import { CIRCUIT_TYPES } from "../../src/protocol/statements.js";
import { keyDigest } from "../../src/verifier/groth16.js";
import { type Chain, CIRCUIT_DIGEST, digestOf, expectRevert, undone, useChain } from "./fixture.js";
import { simulateKey } from "./simulated.js";
import { createWorld, deployKey, MODEL_DIGEST, type World } from "./world.js";

const chain = useChain();
const elsewhere = useChain({ chainId: 1 });
let world: World;

beforeAll(async () => {
  world = await createWorld(chain);
});

/** A deployed verifier that is not registered yet, and a correct entry for it. */
async function fresh(n: number, development = true, on: Chain = chain): Promise<AddVerifierParameters> {
  const key = simulateKey(n, "registry");
  return {
    keyDigest: keyDigest(key.vkey),
    verifier: await deployKey(on, key, `Fresh${n}`, development),
    circuitType: n === 4 ? "datasetChunk" : "inference",
    circuitDigest: CIRCUIT_DIGEST,
    ...(n === 4 ? {} : { modelDigest: MODEL_DIGEST }),
    development,
  };
}

describe("deploying a verifier", () => {
  it("gives one that can be registered, and none that claims a ceremony", async () => {
    const { vkey } = simulateKey(4, "deployed");
    const options = { vkey, contractName: "Deployed", circuitDigest: CIRCUIT_DIGEST, development: true };
    const [signer] = chain.accounts;
    await undone(chain.provider, async () => {
      const verifier = await deployVerifier(signer!, options);
      const { circuitDigest, development } = options;
      const entry = {
        keyDigest: keyDigest(vkey),
        verifier,
        circuitType: "datasetChunk",
        circuitDigest,
        development,
      } as const;
      await world.client.registry.add(entry);
      expect((await world.client.registry.entryOf(entry.keyDigest))?.verifier).toBe(verifier);
    });
    await expect(deployVerifier(signer!, { ...options, development: false })).rejects.toMatchObject({
      code: "KEY_DEVELOPMENT",
    });
  });
});

describe("adding a verifier", () => {
  it("stores what was given, and never replaces it", async () => {
    const entry = await fresh(3);
    expect(await world.client.registry.entryOf(entry.keyDigest)).toBeUndefined();
    await world.client.registry.add(entry);
    expect(await world.client.registry.entryOf(entry.keyDigest)).toEqual({
      verifier: entry.verifier,
      development: true,
      frozen: false,
      statementType: CIRCUIT_TYPES.inference,
      circuitDigest: CIRCUIT_DIGEST,
      modelDigest: MODEL_DIGEST,
    });
    await expectRevert(world.client.registry.add(entry), "KeyAlreadyAdded");
  });

  it("refuses whatever the verifier does not say about itself", async () => {
    const { client } = world;
    const entry = await fresh(4);
    await expectRevert(client.registry.add({ ...entry, keyDigest: digestOf("other") }), "VerifierKeyMismatch");
    await expectRevert(client.registry.add({ ...entry, circuitDigest: digestOf("other") }), "VerifierCircuitMismatch");
    await expectRevert(client.registry.add({ ...entry, development: false }), "VerifierDevelopmentMismatch");
    const inference = { ...entry, circuitType: "inference", modelDigest: MODEL_DIGEST } as const;
    await expectRevert(client.registry.add(inference), "VerifierSignalsMismatch");
    await expectRevert(client.registry.add({ ...entry, verifier: chain.addresses[5]! }), "VerifierWithoutCode");
    // A contract that is no verifier does not answer KEY_DIGEST.
    await expectRevert(client.registry.add({ ...entry, verifier: world.deployment.token }), "none");
    await expectRevert(client.registry.add({ ...entry, modelDigest: MODEL_DIGEST }), "ModelDigestInvalid");
    const { modelDigest: _, ...bare } = await fresh(3);
    await expectRevert(client.registry.add({ ...bare, keyDigest: digestOf("bare") }), "ModelDigestInvalid");
  });

  it("refuses development keys on other chains, and takes production keys there", async () => {
    const deployment = await deployProtocol(elsewhere.accounts[0]!);
    const client = await AnchorClient.connect(deployment, elsewhere.accounts[0]!);
    await expectRevert(client.registry.add(await fresh(4, true, elsewhere)), "DevelopmentKeyRefused");
    const production = await fresh(4, false, elsewhere);
    await client.registry.add(production);
    expect((await client.registry.entryOf(production.keyDigest))?.development).toBe(false);
  });

  it("is the owner's alone; freezing is the guardian's and the owner's", async () => {
    await undone(chain.provider, async () => {
      const entry = await fresh(4);
      const stranger = await world.as(5);
      const guardian = await world.as(8);
      await expectRevert(stranger.registry.add(entry), "OwnableUnauthorizedAccount");
      await expectRevert(guardian.registry.add(entry), "OwnableUnauthorizedAccount");
      await world.client.registry.add(entry);
      await expectRevert(stranger.registry.freeze(entry.keyDigest), "NotGuardian");
      await expectRevert(guardian.registry.freeze(digestOf("unknown")), "KeyUnknown");
      await guardian.registry.freeze(entry.keyDigest);
      expect((await world.client.registry.entryOf(entry.keyDigest))?.frozen).toBe(true);
      // A tombstone: neither thawed, nor added again.
      await expectRevert(world.client.registry.freeze(entry.keyDigest), "KeyFrozen");
      await expectRevert(world.client.registry.add(entry), "KeyAlreadyAdded");
      await world.client.registry.freeze(world.inferenceKey);
      expect((await world.client.registry.entryOf(world.inferenceKey))?.frozen).toBe(true);
    });
  });
});
