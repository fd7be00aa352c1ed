/**
 * Event logs: what replays, and how much of a log that replays is to be believed.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { concat, type Hex, toHex, utf8 } from "../../../src/field/bytes.js";
import { canonicalJson } from "../../../src/protocol/document.js";
import type { Claims, EventLogClaims } from "../../../src/tee/claims.js";
import { composeConfigId, composeHash } from "../../../src/tee/eventLog/compose.js";
import { parseEventLog, verifyEventLog } from "../../../src/tee/eventLog/verify.js";
import type { EventLog } from "../../../src/tee/evidence.js";
import { parseQuote } from "../../../src/tee/intel/quote.js";
import { filled, littleEndian } from "../../../src/tee/lab/bytes.js";
import {
  bootEvents,
  ccelEvent,
  ccelHeader,
  ccelLog,
  DSTACK_TYPE,
  type DstackEvent,
  dstackLog,
  FIRMWARE,
  type LabLog,
} from "../../../src/tee/lab/eventLog.js";
import { readEvidence } from "../../../src/tee/recognise.js";
import { code, outcomeOf } from "../../support/errors.js";
import { VECTORS, vectorText } from "../vectors.js";

const claims = (measurements: Record<string, Hex>) => ({ family: "tdx", measurements }) as unknown as Claims;

const verified = ({ eventLog, registers }: LabLog, more: Record<string, Hex> = {}): EventLogClaims =>
  verifyEventLog(eventLog, claims({ ...registers, ...more }));

const text = (log: EventLog) => JSON.parse(Buffer.from(log.log).toString()) as Record<string, unknown>[];

/** The same log but for what an editor makes of its JSON. */
function edited(log: LabLog, edit: (events: Record<string, unknown>[]) => unknown): LabLog {
  const events = text(log.eventLog);
  const result = edit(events) ?? events;
  return { ...log, eventLog: { format: "dstack", log: utf8(JSON.stringify(result)) } };
}

describe("dstack's log", () => {
  it("says which app runs, once it replays", () => {
    const hash = filled(0xc0, 32);
    const found = verified(dstackLog());
    expect(found).toMatchObject({
      format: "dstack",
      composeHash: toHex(hash),
      appId: toHex(hash.subarray(0, 20)),
      instanceId: toHex(filled(0x1d, 20)),
      osImageHash: toHex(filled(5, 32)),
      keyProvider: '{"name":"kms","id":"abcd"}',
    });
    expect(Object.keys(found.registers)).toEqual(["rtmr0", "rtmr1", "rtmr2", "rtmr3"]);
    expect(found.events).toHaveLength(FIRMWARE.length + 8);
    expect(() => canonicalJson(found)).not.toThrow();
  });

  it("is read in both versions of its events, and with digests left out", () => {
    const two = dstackLog(bootEvents().map((event) => ({ ...event, version: 2 })));
    const without = edited(dstackLog(), (events) => {
      for (const event of events) if (event["imr"] === 3) event["digest"] = "";
    });
    const absent = edited(dstackLog(), (events) => {
      for (const event of events) if (event["imr"] === 3) delete event["digest"];
    });
    const mixed = dstackLog(bootEvents().map((event, i) => ({ ...event, version: i % 2 ? 1 : 2 })));
    for (const log of [two, without, absent, mixed]) expect(verified(log).composeHash).toBe(toHex(filled(0xc0, 32)));
    // A log of version 2 that does not say so replays to something else.
    const quiet = edited(two, (events) => {
      for (const event of events)
        for (const name of ["version", "digest", "preimage"]) if (event["imr"] === 3) delete event[name];
    });
    expect(() => verified(quiet)).toThrow(code("EVENT_LOG_MISMATCH"));
  });

  it("escapes names in version 2 as canonical JSON does", () => {
    const names = ['a"b\\c\n', "测试-🦀", "\u0000\b\f\t", "</script>", "a:b"];
    const events: DstackEvent[] = names.map((name) => ({ name, payload: utf8(name), version: 2 }));
    expect(
      verified(dstackLog(events))
        .events.slice(FIRMWARE.length)
        .map(({ name }) => name),
    ).toEqual(names);
  });

  it.each([0, 1, 2, 3])("must replay to RTMR%i", (register) => {
    const log = dstackLog();
    const name = `rtmr${register}`;
    expect(() => verified(log, { [name]: toHex(filled(1, 48)) })).toThrow(code("EVENT_LOG_MISMATCH"));
    expect(() => verified(log, { [name]: toHex(filled(1, 48)) })).toThrow(name);
    const { [name]: _, ...others } = log.registers as Record<string, Hex>;
    expect(() => verifyEventLog(log.eventLog, claims(others))).toThrow(code("EVENT_LOG_MISMATCH"));
  });

  it("may not lose, gain, repeat, reorder or change an event", () => {
    const log = dstackLog();
    const count = text(log.eventLog).length;
    for (let i = 0; i < count; i++) {
      const changes: ((events: Record<string, unknown>[]) => unknown)[] = [
        (events) => events.toSpliced(i, 1),
        (events) => [...events, events[i]],
        (events) => events.map((event, j) => (i === j ? { ...event, imr: event["imr"] === 0 ? 1 : 0 } : event)),
      ];
      for (const change of changes) {
        expect(() => verified(edited(log, change))).toThrow(code("EVENT_LOG_MISMATCH"));
      }
    }
    const own = [5, 6, 7].map((i) => FIRMWARE.length + i);
    for (const i of own) {
      const swapped = edited(log, (events) => {
        [events[i], events[i - 1]] = [events[i - 1]!, events[i]!];
      });
      expect(() => verified(swapped)).toThrow(code("EVENT_LOG_MISMATCH"));
    }
  });

  it("does not take an event's digest for that of another name or payload", () => {
    for (const says of [
      { event: "compose-hash2" },
      { event_payload: "c1".repeat(32) },
      { preimage: "00" },
      { digest: "00".repeat(48) },
    ]) {
      const log = dstackLog(bootEvents().map((event) => (event.name === "compose-hash" ? { ...event, says } : event)));
      expect(() => verified(log)).toThrow(code("EVENT_LOG_MISMATCH"));
    }
  });

  it("does not believe text of firmware's events (Bluethroat's sixth finding)", () => {
    const honest = dstackLog();
    const lying = edited(honest, (events) => {
      for (const event of events.slice(0, FIRMWARE.length)) {
        Object.assign(event, { event: "compose-hash", event_payload: "aa".repeat(32) });
      }
    });
    const found = verified(lying);
    // It replays all the same: only digests are measured.
    expect(found.registers).toEqual(verified(honest).registers);
    for (const event of found.events.slice(0, FIRMWARE.length)) {
      expect(event).toEqual({ register: event.register, type: event.type, digest: event.digest, bound: false });
    }
    expect(found.composeHash).toBe(toHex(filled(0xc0, 32)));
  });

  it("does not name events of firmware even where their payload is bound, and types of theirs are not measured", () => {
    const relabelled = edited(dstackLog(), (events) => {
      Object.assign(events[2]!, { event_type: 0x8000_0001, event: "SecureBoot" });
    });
    const event = verified(relabelled).events[2]!;
    expect(event).toMatchObject({ bound: true, payload: "0x00000000" });
    expect("name" in event).toBe(false);
  });

  it("takes the app from RTMR3 only: what a kernel's command line says may look like an event", () => {
    const forged = concat(littleEndian(DSTACK_TYPE, 4), utf8(":compose-hash:"), filled(0xee, 32));
    const firmware = [...FIRMWARE, { register: 2, type: 6, data: forged } as const];
    const log = edited(dstackLog(bootEvents(), firmware), (events) => {
      Object.assign(events[FIRMWARE.length]!, {
        event_type: DSTACK_TYPE,
        event: "compose-hash",
        event_payload: "ee".repeat(32),
      });
    });
    expect(verified(log).composeHash).toBe(toHex(filled(0xc0, 32)));
  });

  it("takes the app from before its start: afterwards the app may add what it likes", () => {
    const late: DstackEvent[] = ["compose-hash", "app-id", "key-provider", "os-image-hash"].map((name) => ({
      name,
      payload: filled(0xee, 20),
    }));
    const honest = verified(dstackLog());
    const { composeHash, appId, keyProvider, osImageHash } = verified(dstackLog([...bootEvents(), ...late]));
    expect({ composeHash, appId, keyProvider, osImageHash }).toEqual({
      composeHash: honest.composeHash,
      appId: honest.appId,
      keyProvider: honest.keyProvider,
      osImageHash: honest.osImageHash,
    });
    const { events } = verified(dstackLog([...bootEvents(), ...late]));
    expect(events.slice(FIRMWARE.length).map(({ boot }) => boot === true)).toEqual([
      ...bootEvents().map(() => true),
      ...late.map(() => false),
    ]);
    expect(events.slice(0, FIRMWARE.length).some(({ boot }) => boot)).toBe(false);
    // An image that measures none leaves none for the app to add.
    const bare = bootEvents().filter(({ name }) => name !== "os-image-hash" && name !== "key-provider");
    const found = verified(dstackLog([...bare, ...late]));
    expect([found.osImageHash, found.keyProvider]).toEqual([undefined, undefined]);
  });

  it("does not let an app repeat the boot under the cover of another type", () => {
    // The app measures a boot of its own. Whoever hands over the log hides the real one: other types, digests as given.
    const log = dstackLog([...bootEvents(), ...bootEvents(filled(0xee, 32))]);
    const cover = edited(log, (events) => {
      for (const event of events.slice(FIRMWARE.length, FIRMWARE.length + 8)) event["event_type"] = 6;
    });
    expect(() => verified(cover)).toThrow(code("EVENT_LOG_MALFORMED"));
    expect(verified(log).composeHash).toBe(toHex(filled(0xc0, 32)));
  });

  it("knows no app without an end of dstack's own events, and ends at boot-mr-done in older ones", () => {
    const ends = (names: string[]) => verified(dstackLog(bootEvents().filter(({ name }) => !names.includes(name))));
    expect(ends(["system-ready"])).toMatchObject({ composeHash: toHex(filled(0xc0, 32)) });
    expect(ends(["system-ready"]).keyProvider).toBeUndefined();
    expect(ends(["system-ready", "boot-mr-done"]).composeHash).toBeUndefined();
    expect(ends(["boot-mr-done"]).keyProvider).toBeDefined();
  });

  it("refuses a name that stands twice before the start", () => {
    for (const name of ["compose-hash", "app-id", "key-provider"]) {
      const events = bootEvents();
      const again = events.find((event) => event.name === name)!;
      const log = dstackLog([...events.slice(0, 2), again, ...events.slice(2)]);
      expect(() => verified(log)).toThrow(code("EVENT_LOG_MALFORMED"));
    }
    // Some do by design: one for each script.
    const scripts = ["init-script-hash", "init-script-hash"].map((name) => ({ name, payload: filled(1, 32) }));
    expect(verified(dstackLog([...scripts, ...bootEvents()])).composeHash).toBeDefined();
  });

  it("refuses what dstack does not measure so", () => {
    const wrong: DstackEvent[] = [
      { name: "compose-hash", payload: filled(1, 31) },
      { name: "app-id", payload: filled(1, 32) },
      { name: "os-image-hash", payload: filled(1, 20) },
      { name: "key-provider", payload: [0xff] },
    ];
    for (const event of wrong) {
      const log = dstackLog(bootEvents().map((each) => (each.name === event.name ? event : each)));
      expect([event.name, outcomeOf(() => verified(log))]).toEqual([event.name, "EVENT_LOG_MALFORMED"]);
    }
    const none = dstackLog(bootEvents().map((each) => (each.name === "instance-id" ? { name: each.name } : each)));
    expect("instanceId" in verified(none)).toBe(false);
  });

  it("does not believe a name with a colon of version 1: the payload could begin at either", () => {
    const honest = dstackLog(bootEvents(concat(Uint8Array.of(0x61, 0x3a), filled(0x62, 30))));
    const split = edited(honest, (events) => {
      const event = events[FIRMWARE.length + 2]!;
      // "compose-hash" with payload "a:bbb…" has the digest of "compose-hash:a" with payload "bbb…".
      Object.assign(event, { event: "compose-hash:a", event_payload: "62".repeat(30) });
    });
    const found = verified(split);
    expect(found.events[FIRMWARE.length + 2]).toMatchObject({ bound: false });
    expect(found.events[FIRMWARE.length + 2]).not.toHaveProperty("name");
    expect("composeHash" in found).toBe(false);
  });

  it("is held against the app that the host names", () => {
    const hash = toHex(filled(0xc0, 32));
    const other = composeConfigId(toHex(filled(0xc1, 32)));
    expect(verified(dstackLog(), { mrConfigId: composeConfigId(hash) }).composeHash).toBe(hash);
    expect(() => verified(dstackLog(), { mrConfigId: other })).toThrow(code("EVENT_LOG_MISMATCH"));
    for (const id of [filled(0, 48), filled(2, 48), filled(1, 48)]) verified(dstackLog(), { mrConfigId: toHex(id) });
  });

  it("speaks of RTMR3 alone when it is stripped, and must speak of that", () => {
    const log = dstackLog();
    const stripped = edited(log, (events) =>
      events.filter(({ imr, event_payload }) => imr === 3 || event_payload === "414350492044415441"),
    );
    expect(text(stripped.eventLog)).toHaveLength(9);
    const found = verified(stripped);
    expect(Object.keys(found.registers)).toEqual(["rtmr3"]);
    expect(found.events.every(({ register }) => register === 3)).toBe(true);
    const silent = edited(log, (events) => events.filter(({ imr }) => imr !== 3));
    expect(() => verified(silent)).toThrow(code("EVENT_LOG_MISMATCH"));
    expect(() => verified(edited(log, () => []))).toThrow(code("EVENT_LOG_MISMATCH"));
    // Nothing measured, and nothing said.
    const zero = toHex(new Uint8Array(48));
    const untouched = verifyEventLog(silent.eventLog, claims({ ...log.registers, rtmr3: zero }));
    expect(untouched.registers["rtmr3"]).toBe(zero);
  });

  it("is of a TD: others have no such registers", () => {
    for (const family of ["sgx", "snp", "nitro"]) {
      const other = { family, measurements: { pcr0: "0x00" } } as unknown as Claims;
      expect(() => verifyEventLog(dstackLog().eventLog, other)).toThrow(code("EVENT_LOG_MISMATCH"));
    }
  });

  it("is refused where it is malformed", () => {
    const one = { imr: 3, event_type: DSTACK_TYPE, event: "x", event_payload: "" };
    const wrong: unknown[] = [
      {},
      null,
      [null],
      [[]],
      ["x"],
      [{ ...one, imr: 4 }],
      [{ ...one, imr: -1 }],
      [{ ...one, imr: 0.5 }],
      [{ ...one, imr: "3" }],
      [{ ...one, event_type: 2 ** 32 }],
      [{ ...one, event_payload: "0" }],
      [{ ...one, event_payload: "zz" }],
      [{ ...one, event_payload: null }],
      [{ imr: 3, event_type: DSTACK_TYPE, event: "x" }],
      [{ ...one, event: 5 }],
      [{ ...one, digest: "00" }],
      [{ ...one, digest: 5 }],
      [{ ...one, version: 3 }],
      [{ ...one, version: "2" }],
      [{ ...one, preimage: "x" }],
      [{ ...one, event_type: 4 }],
      Array.from({ length: 20_000 }, () => one),
    ];
    for (const value of wrong) {
      const log: EventLog = { format: "dstack", log: utf8(JSON.stringify(value)) };
      expect([JSON.stringify(value).slice(0, 80), outcomeOf(() => parseEventLog(log))]).toEqual([
        JSON.stringify(value).slice(0, 80),
        "EVENT_LOG_MALFORMED",
      ]);
    }
    for (const raw of ["", "[", "[".repeat(100_000), '[{"imr":3,"imr":3}]', '[{"event":"\\ud800"}]', "[]x", "\u0000"]) {
      expect(outcomeOf(() => parseEventLog({ format: "dstack", log: utf8(raw) }))).toBe("EVENT_LOG_MALFORMED");
    }
    const unknown = { format: "ima", log: new Uint8Array() } as unknown as EventLog;
    expect(outcomeOf(() => parseEventLog(unknown))).toBe("EVENT_LOG_MALFORMED");
  });
});

describe("the TCG's log", () => {
  it("replays, and binds what its digests are the hashes of", () => {
    const found = verified(ccelLog());
    expect(Object.keys(found.registers)).toEqual(["rtmr0", "rtmr1", "rtmr2", "rtmr3"]);
    expect(found.events.map(({ register, bound }) => [register, bound])).toEqual([
      [0, false],
      [0, false],
      [0, true],
      [1, true],
      [2, true],
    ]);
    // Of a command of GRUB's the command is measured, without the word before it and the zero behind it.
    expect(found.events[4]!.payload).toBe(toHex(utf8("linux /vmlinuz")));
    expect("payload" in found.events[0]!).toBe(false);
  });

  it("binds the value of a boot variable, and the whole of other variables", () => {
    const name = new Uint8Array(Buffer.from("BootOrder", "utf16le"));
    const value = Uint8Array.of(2, 0);
    const data = concat(filled(7, 16), littleEndian(name.length / 2, 8), littleEndian(value.length, 8), name, value);
    const events = [
      { register: 0, type: 0x8000_0002, data, measured: value },
      { register: 0, type: 0x8000_0001, data },
      { register: 0, type: 0x8000_0001, data, measured: value },
      { register: 0, type: 0x8000_0002, data: data.subarray(1), measured: value },
      { register: 0, type: 0x8000_0002, data: filled(0xff, 40), measured: value },
    ] as const;
    const payloads = verified(ccelLog(events)).events.map(({ payload }) => payload);
    expect(payloads).toEqual([toHex(value), toHex(data), undefined, undefined, undefined]);
  });

  it("is read with several algorithms, with no padding and with either kind", () => {
    const algorithms = [
      [0x04, 20],
      [0x0b, 32],
      [0x0c, 48],
    ] as const;
    for (const padding of [[], [0xff], filled(0xff, 4096), filled(0, 4096), [0]]) {
      expect(verified(ccelLog(FIRMWARE, { algorithms, padding })).events).toHaveLength(5);
    }
    // Data that ends in the padding's own bytes.
    for (const filler of [0, 0xff]) {
      for (const padding of [[], filled(filler, 100)]) {
        const log = ccelLog([{ register: 0, type: 4, data: filled(filler, 8) }], { padding });
        expect(verified(log).events).toHaveLength(1);
      }
    }
  });

  it("leaves out what no register takes in: events of no action, and of MRTD", () => {
    const digest = concat(littleEndian(0x0c, 2), filled(0, 48));
    const extra = concat(ccelEvent(1, 3, utf8("StartupLocality"), digest), ccelEvent(0, 4, filled(0, 4), digest));
    const found = verified(ccelLog(FIRMWARE, { extra }));
    expect(found.events).toHaveLength(FIRMWARE.length);
  });

  it("is not believed about an event that it calls one of no action", () => {
    const log = ccelLog();
    const at = Buffer.from(log.eventLog.log).indexOf(Buffer.from([2, 0, 0, 0, 7, 0, 0, 0x80]));
    const bytes = log.eventLog.log.slice();
    bytes.set([3, 0, 0, 0], at + 4);
    expect(() => verified({ ...log, eventLog: { format: "ccel", log: bytes } })).toThrow("rtmr1");
  });

  it("may be silent about RTMR3, which the guest extends later", () => {
    const found = verified(ccelLog(), { rtmr3: toHex(filled(9, 48)) });
    expect(Object.keys(found.registers)).toEqual(["rtmr0", "rtmr1", "rtmr2"]);
    expect(() => verified(ccelLog(), { rtmr1: toHex(filled(9, 48)) })).toThrow(code("EVENT_LOG_MISMATCH"));
  });

  it("is refused where it is malformed", () => {
    const header = (algorithms: [number, number][], signature?: string) =>
      ccelLog(FIRMWARE, { header: ccelHeader(algorithms, signature) });
    const digest = concat(littleEndian(0x0c, 2), filled(0, 48));
    const extra = (bytes: Uint8Array) => ccelLog(FIRMWARE, { extra: bytes });
    const wrong: Record<string, LabLog> = {
      "no header": ccelLog(FIRMWARE, { header: [] }),
      "another signature": header([[0x0c, 48]], "Spec ID Event02\0"),
      "no algorithms": header([]),
      "SHA-1 alone": header([[0x04, 20]]),
      "a wrong length": header([[0x0c, 32]]),
      "an unknown algorithm": header([[0x99, 48]]),
      "an algorithm twice": header([
        [0x0c, 48],
        [0x0c, 48],
      ]),
      "one digest less": header([
        [0x0b, 32],
        [0x0c, 48],
      ]),
      "a digest too many": extra(ccelEvent(1, 4, filled(0, 4), concat(digest, digest), 2)),
      "2^32-1 digests": extra(ccelEvent(1, 4, filled(0, 4), digest, 0xffff_ffff)),
      "no digest": extra(ccelEvent(1, 4, filled(0, 4), new Uint8Array(), 0)),
      "another algorithm": extra(ccelEvent(1, 4, filled(0, 4), concat(littleEndian(0x0b, 2), filled(0, 32)))),
      "register 5": extra(ccelEvent(5, 4, filled(0, 4), digest)),
      "an end before the end": extra(filled(0xff, 4)),
      "4 GiB of data": extra(
        concat(littleEndian(1, 4), littleEndian(4, 4), littleEndian(1, 4), digest, filled(0xff, 4)),
      ),
    };
    for (const [what, log] of Object.entries(wrong)) {
      expect([what, outcomeOf(() => verified(log))]).toEqual([what, "EVENT_LOG_MALFORMED"]);
    }
    const large: EventLog = { format: "ccel", log: new Uint8Array(9 * 1024 * 1024) };
    expect(outcomeOf(() => parseEventLog(large))).toBe("EVENT_LOG_MALFORMED");
  });

  it("is bounded in events", () => {
    const digest = concat(littleEndian(0x0c, 2), filled(0, 48));
    const event = ccelEvent(1, 4, new Uint8Array(), digest);
    const bytes = concat(ccelHeader([[0x0c, 48]]), ...Array.from({ length: 16_385 }, () => event));
    expect(outcomeOf(() => parseEventLog({ format: "ccel", log: bytes }))).toBe("EVENT_LOG_MALFORMED");
  });
});

describe("truncated and flipped", () => {
  const logs = [dstackLog(), ccelLog(FIRMWARE, { padding: [] })];

  it("no part of a log is accepted for the whole", () => {
    for (const lab of logs) {
      const { log, format } = lab.eventLog;
      for (let length = 0; length < log.length; length++) {
        const result = outcomeOf(() => verified({ ...lab, eventLog: { format, log: log.subarray(0, length) } }));
        expect([length, result]).not.toContain("accepted");
      }
    }
  });

  it("a flipped bit never changes what is claimed without being noticed", () => {
    for (const lab of logs) {
      const { log, format } = lab.eventLog;
      const whole = verified(lab);
      for (let bit = 0; bit < 8 * log.length; bit += 5) {
        const bytes = log.slice();
        bytes[bit >> 3]! ^= 1 << (bit & 7);
        const flipped: LabLog = { ...lab, eventLog: { format, log: bytes } };
        if (outcomeOf(() => verified(flipped)) !== "accepted") continue;
        // Text, types and data that no digest takes in: the claims of app and registers stay, and what is bound stays so or is lost.
        const { events, digest: _digest, ...rest } = verified(flipped);
        const { events: before, digest: __digest, ...same } = whole;
        expect(rest).toEqual(same);
        expect(events.map(({ digest }) => digest)).toEqual(before.map(({ digest }) => digest));
        events.forEach((event, i) => {
          if (event.bound) expect([event.name, event.payload]).toEqual([before[i]!.name, before[i]!.payload]);
        });
      }
    }
  });

  it("whatever bytes come, the answer is typed", () => {
    const bytes = fc.uint8Array({ maxLength: 300 });
    fc.assert(
      fc.property(fc.constantFrom("dstack", "ccel"), bytes, fc.boolean(), (format, tail, headed) => {
        const log = headed && format === "ccel" ? concat(ccelHeader([[0x0c, 48]]), tail) : tail;
        outcomeOf(() => parseEventLog({ format, log } as EventLog));
      }),
      { numRuns: 500 },
    );
    fc.assert(
      fc.property(fc.json(), (json) => {
        outcomeOf(() => parseEventLog({ format: "dstack", log: utf8(`[${json}]`) }));
      }),
    );
  });
});

describe("a compose file", () => {
  it("is named by its bytes", () => {
    // echo -n '{}' | sha256sum
    expect(composeHash("{}")).toBe("0x44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a");
    expect(composeHash(utf8("{}"))).toBe(composeHash("{}"));
    expect(composeHash("{ }")).not.toBe(composeHash("{}"));
    expect(composeConfigId(composeHash("{}"))).toBe(`0x01${composeHash("{}").slice(2)}${"00".repeat(15)}`);
    expect(() => composeConfigId("0x00")).toThrow(code("INPUT_INVALID"));
  });
});

describe.skipIf(VECTORS === undefined)("recorded logs", () => {
  const recorded = (file: string) => {
    const { quote, event_log: log } = JSON.parse(vectorText("event-log", file)) as { quote: string; event_log: string };
    const { body } = parseQuote(new Uint8Array(Buffer.from(quote, "hex")));
    if (body.kind === "sgx") throw new Error("not a TD's");
    const { rtmrs, mrConfigId } = body.report;
    const measurements: Record<string, Hex> = { mrConfigId: toHex(mrConfigId) };
    rtmrs.forEach((rtmr, i) => {
      measurements[`rtmr${i}`] = toHex(rtmr);
    });
    return { log: { format: "dstack", log: utf8(log) } as EventLog, measurements };
  };

  it("replay to the quotes that they came with", () => {
    const { log, measurements } = recorded("verifier_fixtures_quote-report.json");
    const found = verifyEventLog(log, claims(measurements));
    expect(found).toMatchObject({
      composeHash: "0x3763bc34552cf3a27ff71ad5f7a90471562a1a2df552dfc1998cba2d60da27e7",
      appId: "0x3763bc34552cf3a27ff71ad5f7a90471562a1a2d",
    });
    expect(found.keyProvider).toContain('"local-sgx"');
    expect(Object.keys(found.registers)).toHaveLength(4);
    // What the app measured after its start is there, and no claim of dstack's.
    expect(found.events.map(({ name }) => name)).toContain("LIUM_MINER_HOTKEY");
  });

  it("replay without the digests of dstack's own events and the payloads of firmware's", () => {
    const { log, measurements } = recorded("verifier_fixtures_tdx-lite-getquote.json");
    const found = verifyEventLog(log, claims(measurements));
    expect(found.composeHash).toBe("0x86b0e55f2fa8e4fb69d890f14f54d5612707646e2573d54e0d2ddaaade77caa9");
    expect(measurements["mrConfigId"]).toBe(composeConfigId(found.composeHash!));
    expect(found.osImageHash).toBe("0x07a2388c7a6a1b6a646d443f1517990a4ec294471d63146cda9d56972765051d");
    // acpi-loader and its like are annotations.
    expect(found.events.some(({ name }) => name?.startsWith("acpi"))).toBe(false);
  });

  it("replay in dstack's own encoding, stripped of firmware's events", () => {
    const { attestation } = JSON.parse(vectorText("event-log", "verifier_fixtures_tdx-lite-attestation.json"));
    const { eventLog } = readEvidence(new Uint8Array(Buffer.from(attestation, "hex")));
    const { log, measurements } = recorded("verifier_fixtures_tdx-lite-getquote.json");
    const stripped = verifyEventLog(eventLog!, claims(measurements));
    expect(Object.keys(stripped.registers)).toEqual(["rtmr3"]);
    const whole = verifyEventLog(log, claims(measurements));
    expect(stripped.composeHash).toBe(whole.composeHash);
    expect(stripped.events).toEqual(whole.events.filter(({ register }) => register === 3));
  });

  it("of one machine do not replay to another's quote", () => {
    const { log } = recorded("verifier_fixtures_quote-report.json");
    const { measurements } = recorded("verifier_fixtures_tdx-lite-getquote.json");
    expect(() => verifyEventLog(log, claims(measurements))).toThrow(code("EVENT_LOG_MISMATCH"));
  });
});
