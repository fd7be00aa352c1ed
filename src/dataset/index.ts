export * from "./chunk.js";
export * from "./circuit/index.js";
export * from "./commit.js";
export * from "./dataset.js";
export * from "./layout.js";
export * from "./pov.js";
export * from "./record.js";
