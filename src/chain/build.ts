/** Run by `npm run build`, after the compiler of TypeScript. */
import { buildProtocolContracts } from "./compile.js";

await buildProtocolContracts();
