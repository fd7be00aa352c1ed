/**
 * The GPUs of a pool: which of them serve, which does not take a key, and which fails time and again.
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
  /** Whether it takes other keys. */
  ofKey?: boolean;
}

/** What holds until then, by the clock of `performance`. */
type Passing = Refused & { until: number };

/** How long it is remembered that a card has no room for a key, or cannot be used: that may change. */
const REMEMBERED_MS = 60_000;
/** Refusals that are remembered; of the oldest it is found out again. */
const MAX_REFUSALS = 1000;
/** A card that fails so often, with no good proof between, is left alone. */
export const MAX_FAILURES = 3;

export class Cards {
  /** Proofs that a card makes at the same time. */
  readonly perCard: number;
  readonly #cards: readonly Card[];
  readonly #serving: Map<number, Card>;
  /** By card and key. */
  readonly #refusals = new Map<string, Passing>();
  /** Cards that cannot be used for now. */
  readonly #paused = new Map<number, Passing>();
  /** Failures in a row. */
  readonly #failures = new Map<number, number>();
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

  /** How many of them can be used now. */
  get usable(): number {
    return [...this.#serving.keys()].filter((index) => !holding(this.#paused, index)).length;
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
      const refusal = holding(this.#paused, index) ?? holding(this.#refusals, `${index} ${keyId}`);
      if (refusal) refused = refusal;
      else if (best === undefined || load(index) < load(best)) best = index;
    }
    if (best === undefined) return refused;
    return load(best) < this.perCard ? best : "busy";
  }

  /** The card does not take the key: it has no room for it, or finds fault with it. */
  refuse(index: number, keyId: string, refused: Refused): void {
    for (const oldest of this.#refusals.keys()) {
      if (this.#refusals.size < MAX_REFUSALS) break;
      this.#refusals.delete(oldest);
    }
    this.#refusals.set(`${index} ${keyId}`, { ...this.#passing(index, refused), ofKey: true });
  }

  /** Keys were given back: what had no room on the card, or on any, may have some. */
  freed(index?: number): void {
    for (const [place, { reason }] of this.#refusals) {
      if (reason === "OUT_OF_MEMORY" && (index === undefined || place.startsWith(`${index} `)))
        this.#refusals.delete(place);
    }
  }

  /** The card cannot be used for now. */
  pause(index: number, refused: Refused): Refused {
    const pause = this.#passing(index, refused);
    this.#paused.set(index, pause);
    return pause;
  }

  /** The card made a proof that verifies. */
  proved(index: number, keyId: string): void {
    this.#failures.delete(index);
    this.#refusals.delete(`${index} ${keyId}`);
  }

  /** The card failed a proof. @returns whether it did so too often */
  failed(index: number): boolean {
    const failures = (this.#failures.get(index) ?? 0) + 1;
    this.#failures.set(index, failures);
    return failures >= MAX_FAILURES;
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

  #passing(index: number, { reason, message }: Refused): Passing {
    return { reason, message: `${this.title(index)}: ${message}`, until: performance.now() + REMEMBERED_MS };
  }
}

/** The entry, unless its time has passed. */
function holding<K>(entries: Map<K, Passing>, key: K): Passing | undefined {
  const entry = entries.get(key);
  if (!entry || performance.now() < entry.until) return entry;
  entries.delete(key);
  return undefined;
}
