export * from "./bundle.js";
export { canonicalJson, documentDigest, parseDocument } from "./canonical.js";
export { domains, type Trust, type TrustedKey, trustFromJson, trustToJson } from "./trust.js";
export {
  type Claim,
  receiptSplit,
  reviewDataset,
  reviewModel,
  type Verdict,
  verdictToJson,
  verifyBundle,
} from "./verdict.js";
