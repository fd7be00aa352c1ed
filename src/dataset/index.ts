export * from "./circuit/index.js";
export * from "./dataset.js";
export * from "./layout.js";
export * from "./record.js";
