export { assertHex, type Hex } from "../field/bytes.js";
export { type Domain, encodeType, type TypeTable, typedDigest } from "./eip712.js";
export * from "./facades.js";
export * from "./pov.js";
export * from "./quorum.js";
export * from "./settlement.js";
export { accountOf, checkSigner, recoverSigner, signDigest } from "./signature.js";
export * from "./statements.js";
