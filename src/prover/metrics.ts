/**
 * Counters, gauges and histograms in Prometheus' text format.
 *
 * Source: "Exposition formats", version 0.0.4, https://prometheus.io/docs/instrumenting/exposition_formats/
 *
 * @module
 */
import { AnchorError } from "../errors.js";

type Labels = Readonly<Record<string, string>>;
type Sample = readonly [suffix: string, labels: Labels, value: number];

interface Family {
  name: string;
  help: string;
  type: "counter" | "gauge" | "histogram";
  samples(): Iterable<Sample>;
}

export interface Counter {
  /** @param by not negative */
  add(labels?: Labels, by?: number): void;
}

export interface Histogram {
  observe(value: number, labels?: Labels): void;
}

export class Metrics {
  readonly #families: Family[] = [];

  /** @param name ends in `_total` */
  counter(name: string, help: string): Counter {
    const series = new Series(() => ({ value: 0 }));
    this.#add({
      name,
      help,
      type: "counter",
      *samples() {
        for (const [labels, { value }] of series) yield ["", labels, value];
      },
    });
    return {
      add(labels = {}, by = 1) {
        if (!(by >= 0)) throw new AnchorError("INTERNAL", `counter ${name} cannot go down`);
        series.at(labels).value += by;
      },
    };
  }

  /** @param read called when the metrics are asked for */
  gauge(name: string, help: string, read: () => number): void {
    this.#add({ name, help, type: "gauge", samples: () => [["", {}, read()]] });
  }

  /** @param bounds upper bounds of the buckets, ascending, without +Inf */
  histogram(name: string, help: string, bounds: readonly number[]): Histogram {
    const series = new Series(() => ({ buckets: bounds.map(() => 0), sum: 0, count: 0 }));
    this.#add({
      name,
      help,
      type: "histogram",
      *samples() {
        for (const [labels, { buckets, sum, count }] of series) {
          for (const [i, bound] of bounds.entries()) yield ["_bucket", { ...labels, le: number(bound) }, buckets[i]!];
          yield ["_bucket", { ...labels, le: "+Inf" }, count];
          yield ["_sum", labels, sum];
          yield ["_count", labels, count];
        }
      },
    });
    return {
      observe(value, labels = {}) {
        const entry = series.at(labels);
        bounds.forEach((bound, i) => {
          if (value <= bound) entry.buckets[i]!++;
        });
        entry.sum += value;
        entry.count++;
      },
    };
  }

  /** The text, for an answer of type `text/plain; version=0.0.4`. */
  render(): string {
    let text = "";
    for (const { name, help, type, samples } of this.#families) {
      text += `# HELP ${name} ${help.replace(/\\/g, "\\\\").replace(/\n/g, "\\n")}\n# TYPE ${name} ${type}\n`;
      for (const [suffix, labels, value] of samples()) {
        const list = Object.entries(labels).map(([label, content]) => `${label}="${escapeLabel(content)}"`);
        text += `${name}${suffix}${list.length > 0 ? `{${list.join(",")}}` : ""} ${number(value)}\n`;
      }
    }
    return text;
  }

  #add(family: Family): void {
    if (!/^[a-zA-Z_:][a-zA-Z0-9_:]*$/.test(family.name)) {
      throw new AnchorError("INTERNAL", `${family.name} is no name for a metric`);
    }
    this.#families.push(family);
  }
}

/** One value for each set of labels, in the order of first use. */
class Series<T> {
  readonly #make: () => T;
  readonly #entries = new Map<string, [Labels, T]>();

  constructor(make: () => T) {
    this.#make = make;
  }

  at(labels: Labels): T {
    const key = JSON.stringify(Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1)));
    let entry = this.#entries.get(key);
    if (!entry) this.#entries.set(key, (entry = [labels, this.#make()]));
    return entry[1];
  }

  [Symbol.iterator](): IterableIterator<[Labels, T]> {
    return this.#entries.values();
  }
}

function escapeLabel(text: string): string {
  return text.replace(/\\/g, "\\\\").replace(/"/g, '\\"').replace(/\n/g, "\\n");
}

function number(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return "+Inf";
  if (value === Number.NEGATIVE_INFINITY) return "-Inf";
  return String(value);
}
