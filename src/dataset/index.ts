export * from "./readers/index.js";
export * from "./record.js";
