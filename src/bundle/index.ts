export { canonicalJson, documentDigest, parseDocument } from "../protocol/document.js";
export * from "./bundle.js";
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
