/**
 * The GPUs of a pool: which of them serve, and which of them does not take a key.
 *
 * @module
 */

/** Why the CPU proves where a card was to. */
export const FALLBACK_REASONS = ["OUT_OF_MEMORY", "CUDA_UNAVAILABLE", "CUDA_FAILED"] as const;
type FallbackReason = (typeof FALLBACK_REASONS)[number];

interface Card {
  /** As CUDA counts them. */
  index: number;
  name: string;
  memoryBytes: number;
}

/** Why a card does not prove. */
export interface Refused {
  reason: FallbackReason;
  /** One line. */
  message: string;
}

/** Refusals that are remembered; of the oldest it is found out again. */
const MAX_REFUSALS = 1000;

export class Cards {
  /** Proofs that a card makes at the same time. */
  readonly perCard: number;
  readonly #cards: readonly Card[];
  readonly #serving: Map<number, Card>;
  /** By card and key. */
  readonly #refusals = new Map<string, Refused>();
  /** Why there is no card, or one less. */
  #loss: Refused;

  /** @param loss why there is none, or what will be said when there are no more */
  constructor(cards: readonly Card[], perCard: number, loss: Refused) {
    this.#cards = cards;
    this.#serving = new Map(cards.map((card) => [card.index, card]));
    this.perCard = perCard;
    this.#loss = loss;
  }

  /** How many serve. */
  get count(): number {
    return this.#serving.size;
  }

  /**
   * The card that proves next with a key: the one with the fewest proofs, and of two the first, where the key is most likely
   * to be.
   *
   * @param proofs proofs that each card makes now
   * @returns its index, "busy" when there is one but not now, or why the CPU has to
   */
  choose(keyId: string, proofs: ReadonlyMap<number, number>): number | "busy" | Refused {
    let best: number | undefined;
    let refused = this.#loss;
    const load = (index: number) => proofs.get(index) ?? 0;
    for (const index of this.#serving.keys()) {
      const refusal = this.#refusals.get(`${index} ${keyId}`);
      if (refusal) refused = refusal;
      else if (best === undefined || load(index) < load(best)) best = index;
    }
    if (best === undefined) return refused;
    return load(best) < this.perCard ? best : "busy";
  }

  /** The card does not take the key: it has no room for it, or finds fault with it. */
  refuse(index: number, keyId: string, { reason, message }: Refused): void {
    for (const oldest of this.#refusals.keys()) {
      if (this.#refusals.size < MAX_REFUSALS) break;
      this.#refusals.delete(oldest);
    }
    this.#refusals.set(`${index} ${keyId}`, { reason, message: `${this.title(index)}: ${message}` });
  }

  /** The card serves no more. @returns whether it did until now */
  lose(index: number, { reason, message }: Refused): boolean {
    this.#loss = { reason, message: `${this.title(index)}: ${message}` };
    return this.#serving.delete(index);
  }

  /** Why the card that was lost last was lost. */
  get loss(): Refused {
    return this.#loss;
  }

  /** How people are told of a card. */
  title(index: number): string {
    const name = this.#cards.find((card) => card.index === index)?.name;
    return name === undefined ? `card ${index}` : `card ${index} (${name})`;
  }
}
