/**
 * Runs forge over the contracts, wherever it is installed.
 *
 *     npm run forge:deep                          every property tried a hundred times as often
 *     npm run forge:deep -- --match-path test/Quorum.t.sol
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import { findFoundry } from "../src/chain/foundry.js";
import { CONTRACTS } from "./contracts/tools.js";

const { status, error } = spawnSync(findFoundry("forge"), process.argv.slice(2), { cwd: CONTRACTS, stdio: "inherit" });
if (error) throw error;
process.exit(status ?? 1);
