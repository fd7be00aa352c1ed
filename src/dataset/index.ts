export * from "./circuit.js";
export * from "./commitment.js";
export * from "./record.js";
