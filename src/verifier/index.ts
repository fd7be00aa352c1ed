export * from "./groth16.js";
export { verifyStatement } from "./statement.js";
