/**
 * The policy's JSON Schema, for editors and for others' tools. It comes from the same shapes that the reader is made of.
 *
 * @module
 */
import { POLICY_SHAPE } from "./policy.js";
import type { JsonSchema } from "./shape.js";

/** Draft 2020-12. */
export const POLICY_SCHEMA: JsonSchema = {
  $schema: "https://json-schema.org/draft/2020-12/schema",
  $id: "urn:anchorproof:tee-policy:1",
  title: "Appraisal policy for TEE evidence",
  ...POLICY_SHAPE.schema,
};
