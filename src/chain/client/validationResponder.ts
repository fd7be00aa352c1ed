/**
 * The quorum as a validator of ERC-8004.
 *
 * @module
 */
import type { Hex } from "../../field/bytes.js";
import type { ValidationResponse } from "../../protocol/facades.js";
import type { Certificate, Epoch } from "../../protocol/quorum.js";
import { type Connection, ContractClient, type Sent } from "./caller.js";
import { encodeCertificate } from "./certificate.js";

export class ValidationResponderClient extends ContractClient {
  constructor(connection: Connection) {
    super("ValidationResponder", connection);
  }

  /** Answers a validation request by the quorum's votes over `validationResponseDigest`. */
  async respond(answer: ValidationResponse, certificate: Certificate, epoch: Epoch): Promise<Sent> {
    return this.send("respond", answer, encodeCertificate(epoch, certificate));
  }

  async responseDigest(answer: ValidationResponse): Promise<Hex> {
    return this.read<Hex>("responseDigest", answer);
  }
}
