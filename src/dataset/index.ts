<<<<<<< HEAD

export * from "./circuit/index.js";
export * from "./dataset.js";
export * from "./layout.js";

=======
>>>>>>> readers6

export * from "./record.js";
