/**
 * Collateral over the network. Optional, and apart: verification never comes here, and whoever imports `anchorproof/tee`
 * loads none of it.
 *
 * @module
 */
export { fetchAmdChain, fetchAmdCrl, fetchVcek } from "./amd.js";
export { fetchCollateral } from "./collateral.js";
export { type FetchOptions, SERVICES, type Service } from "./http.js";
export { fetchIntelCollateral, type IntelFetchOptions, type IntelPlatform } from "./intel.js";
export { fetchNrasJwks, fetchOcsp, fetchRim, ocspRequest } from "./nvidia.js";
