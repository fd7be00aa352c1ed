export * from "./chunk.js";
export * from "./circuit/index.js";
export * from "./commit.js";
export {
  type ChunkPath,
  type CommitOptions,
  type CommitProgress,
  chunkPath,
  commitDataset,
  treeLevels,
} from "./commit.js";
export * from "./dataset.js";
export * from "./dataset.js";
export * from "./directory.js";
export * from "./directory.js";
export * from "./layout.js";
export * from "./layout.js";
export * from "./pov.js";
export * from "./readers/index.js";
export * from "./record.js";
