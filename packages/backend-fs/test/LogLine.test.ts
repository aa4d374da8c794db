import { assert, describe, it } from "@effect/vitest"
import type { Event } from "@tidings/core/Event"
import type { EventData, Json } from "@tidings/core/EventData"
import * as EventJson from "@tidings/core/EventJson"
import * as EventQuery from "@tidings/core/EventQuery"
import * as Arbitraries from "@tidings/testing/Arbitraries"
import { Arbitrary, Effect, Result } from "effect"
import { LineEncoder } from "../src/internal/log/lineEncoder.ts"
import * as LogLine from "../src/internal/log/line.ts"
import * as LineMatcher from "../src/internal/log/lineMatcher.ts"
import { crc32 } from "node:zlib"
import { withoutChecksums } from "./openLog.ts"
import { at, first } from "./writes.ts"

interface Read {
  readonly events: Array<Event>
  readonly records: Array<LogLine.LogRecord>
  readonly damaged: number
}

/** Reads a text as the lines of a segment. */
const read = (text: string | Buffer, format: LogLine.Format = "checked"): Read => {
  const buffer = Buffer.from(text)
  const records: Array<LogLine.LogRecord> = []
  let damaged = 0
  let start = 0
  while (start < buffer.length) {
    const found = buffer.indexOf(0x0a, start)
    const end = found === -1 ? buffer.length : found
    damaged += LogLine.readLine(buffer, start, end, 0, Math.min(end + 1, buffer.length), format, (record) =>
      records.push(record)
    )
    start = end + 1
  }
  return { events: records.map(({ event }) => event), records, damaged }
}

const event = (seq: number, body?: Parameters<typeof first>[1]): Event => LogLine.eventOf(first(seq, body))
const line = (seq: number): string => LogLine.encode(event(seq))
/** As the first release wrote it. */
const plainLine = (event: Event): string => withoutChecksums(LogLine.encode(event))
const checksumOf = (line: string): string =>
  crc32(withoutChecksums(line).replace("\n", "")).toString(16).padStart(8, "0")
const readAs = read
const seqs = ({ events }: Read): Array<number> => events.map(({ id }) => id.seq)

describe("writing a line", () => {
  it.effect.prop(
    "the encoder writes the bytes of EventJson.encode, whatever came before",
    { writes: Arbitrary.array(Arbitraries.write, { minLength: 1, maxLength: 4 }), order: Arbitraries.micros },
    ({ order, writes }) =>
      Effect.sync(() => {
        const encoder = new LineEncoder()
        const buffer = Buffer.alloc(262_144)
        for (let turn = 0; turn < 12; turn++) {
          // Every series comes several times in a row and again later, so that kept pieces are used and replaced.
          const write = writes[Math.floor(turn / (1 + (order % 4))) % writes.length]!
          const end = encoder.encodeInto({ ...write, upTo: write.upTo + turn }, buffer, turn)
          const expected = LogLine.encode(LogLine.eventOf({ ...write, upTo: write.upTo + turn }))
          assert.strictEqual(buffer.toString("utf8", turn, end), expected)
          const { checksum, ...object } = JSON.parse(expected) as { readonly checksum: string }
          assert.deepStrictEqual(object, EventJson.toObject(LogLine.eventOf({ ...write, upTo: write.upTo + turn })))
          assert.strictEqual(checksum, checksumOf(expected))
        }
      }),
    { arbitrary: { runs: 150, size: 20 } }
  )

  it("the encoder writes any single field that changed, and those that did not", () => {
    const base = first(1, { source: { component: "example", host: "laptop" } })
    const body = (change: Partial<typeof base.event>): typeof base => ({ ...base, event: { ...base.event, ...change } })
    const object = base.event.involvedObject
    const variants = [
      { ...base, id: { ...base.id, seq: 2 } },
      { ...base, id: { ...base.id, origin: "f".repeat(32) } },
      { ...base, upTo: 9 },
      { ...base, count: 2 },
      { ...base, first: base.first - 1 },
      { ...base, first: base.first + 5_000_000, last: base.last + 5_000_000 },
      body({ type: "Warning" }),
      body({ reason: "Other" }),
      body({ action: "Other" }),
      body({ message: "other" }),
      body({ message: 'with "quotes" and \\' }),
      body({ message: "mit Umläuten" }),
      body({ data: {} }),
      body({ data: { stepId: "other" } }),
      body({ data: { ...base.event.data, error: "more" } }),
      body({ data: { ...base.event.data, stepCount: 0 } }),
      body({ data: { ...base.event.data, arguments: {} } }),
      body({ involvedObject: { ...object, kind: "Other" } }),
      body({ involvedObject: { ...object, name: "other" } }),
      body({ involvedObject: { ...object, name: "long-".repeat(48) } }),
      body({ involvedObject: { ...object, namespace: "other" } }),
      body({ involvedObject: { kind: object.kind, name: object.name } }),
      body({ involvedObject: { ...object, uid: "1" } }),
      body({ involvedObject: { ...object, apiVersion: "v1" } }),
      body({ involvedObject: { ...object, fieldPath: "spec" } }),
      body({ related: object }),
      body({ labels: { app: "shop" } }),
      body({ source: { component: "example" } }),
      body({ source: { component: "other", host: "laptop" } }),
      body({ reportingController: "other" }),
      body({ reportingInstance: "other" })
    ]
    const encoder = new LineEncoder()
    const buffer = Buffer.alloc(65_536)
    for (const variant of variants) {
      for (const write of [base, base, base, base, variant, base, base, variant, variant, variant, variant]) {
        const end = encoder.encodeInto(write, buffer, 0)
        assert.strictEqual(buffer.toString("utf8", 0, end), LogLine.encode(LogLine.eventOf(write)))
      }
    }
  })

  it("the encoder keeps no data that the host may change afterwards", () => {
    const encoder = new LineEncoder()
    const buffer = Buffer.alloc(65_536)
    const data: { stepId: string; arguments: { tries: number } } = { stepId: "build", arguments: { tries: 1 } }
    const write = first(1, { data })
    const flat = { stepId: "build" }
    for (let turn = 1; turn <= 6; turn++) {
      data.arguments.tries = turn
      if (turn > 3) data.stepId = "deploy"
      flat.stepId = turn > 4 ? "deploy" : "build"
      const again = encoder.encodeInto(first(1, { data: flat }), buffer, 0)
      assert.strictEqual(buffer.toString("utf8", 0, again), LogLine.encode(event(1, { data: flat })))
    }
    for (let turn = 1; turn <= 6; turn++) {
      data.arguments.tries = turn
      if (turn > 3) data.stepId = "deploy"
      const end = encoder.encodeInto(write, buffer, 0)
      assert.strictEqual(buffer.toString("utf8", 0, end), LogLine.encode(LogLine.eventOf(write)))
    }
  })

  it("the encoder writes data of any shape as JSON does, whatever fields came before", () => {
    const encoder = new LineEncoder()
    const buffer = Buffer.alloc(65_536)
    const { name, namespace } = first(1).event.involvedObject
    const named = { name: name, ...(namespace === undefined ? undefined : { namespace }) }
    const odd: Record<string, Json> = { ...named, error: "x" }
    Object.defineProperty(odd, "__proto__", { value: "own", enumerable: true })
    class OfAClass {
      readonly error = "x"
    }
    const texts = [
      "",
      "a",
      'a"b',
      "a\\b",
      "a\nb",
      "a\u007fb",
      "a\u0000",
      "é",
      "Ł",
      "\ud800",
      "😀",
      "\u2028",
      "abcdefg\u001b",
      'abcdefgh"',
      "'~ !"
    ]
    const shapes: ReadonlyArray<unknown> = [
      {},
      named,
      { ...named, error: undefined, stepId: "build" },
      { ...named, stepId: "build", error: "x" },
      { ...named, error: "x", stepId: "build" },
      { error: "x", ...named },
      { name: "another", namespace: "another" },
      { ...named, stepCount: 0, allowFailure: true, other: null, another: false },
      {
        ...named,
        a: -0,
        b: -1,
        c: 1.5,
        d: 2 ** 31,
        e: 2 ** 53,
        f: Number.NaN,
        g: Number.POSITIVE_INFINITY,
        h: 1e21,
        i: 5e-324
      },
      { ...named, duration: 1_500_000_000 },
      { ...named, duration: 1_500 },
      { lastTimestamp: "2026-01-01T00:00:00.000000Z" },
      { ...named, lastTimestamp: "2026-01-01T00:00:00.000000Z" },
      { ...named, toolNames: ["a", 'b"'], arguments: { "\u0080": ["\u202e", { lastTimestamp: "x" }] } },
      { 2: "two", 1: "one", ...named },
      { ...named, "": "no name", 'quo"ted': 1, "ü": 2, ["x".repeat(300)]: 3 },
      { ...named, function: () => 1, symbol: Symbol.iterator, date: new Date(0), nested: { toJSON: () => "json" } },
      { toJSON: () => ({ of: "all" }) },
      Object.assign(Object.create(null) as object, named),
      Object.create({ inherited: "x" }),
      Object.fromEntries(Array.from({ length: 100 }, (_, n) => [`field${n}`, n])),
      odd,
      new OfAClass(),
      ["a list"],
      ...texts.flatMap((text) => [
        { ...named, error: text },
        { ...named, [text]: text.repeat(9) }
      ])
    ]
    for (const shape of [...shapes, ...shapes.toReversed()]) {
      for (const message of ["usual", texts[shapes.indexOf(shape) % texts.length]!]) {
        const write = first(1, { data: shape as EventData, message })
        const end = encoder.encodeInto(write, buffer, 0)
        assert.strictEqual(buffer.toString("utf8", 0, end), LogLine.encode(LogLine.eventOf(write)))
      }
    }
    assert.throws(
      () => encoder.encodeInto(first(1, { data: { big: 1n } as unknown as EventData }), buffer, 0),
      /BigInt/
    )
  })

  it("the encoder writes times of one second, of others and of other days", () => {
    const encoder = new LineEncoder()
    const buffer = Buffer.alloc(65_536)
    const start = at(0)
    for (const later of [0, 1, 999_999, 1_000_000, 61_000_000, 3_661_000_001, 86_399_000_000, 86_400_000_000, 0, -1]) {
      for (const earlier of [0, 1, 1_000_000, 60_000_000, 86_400_000_000]) {
        const write = { ...first(1), first: start + later - earlier, last: start + later }
        const end = encoder.encodeInto(write, buffer, 0)
        assert.strictEqual(buffer.toString("utf8", 0, end), LogLine.encode(LogLine.eventOf(write)))
      }
    }
  })

  it("the encoder answers -1 when the buffer has no room", () => {
    const whole = Buffer.byteLength(line(1))
    for (let room = 0; room < whole + 2; room++) {
      const buffer = Buffer.alloc(room)
      const end = new LineEncoder().encodeInto(first(1), buffer, 0)
      assert.strictEqual(end, room < whole ? -1 : whole, String(room))
      if (end !== -1) assert.strictEqual(buffer.toString("utf8", 0, end), line(1))
    }
  })

  it("nothing inside a line looks like the start of one", () => {
    const nested = { lastTimestamp: "2026-01-01T00:00:00.000000Z", deeper: [{ lastTimestamp: "x" }] }
    const written = LogLine.encode(event(1, { data: { arguments: nested }, message: '{"lastTimestamp":"' }))
    assert.strictEqual(written.lastIndexOf(LogLine.BEGINNING), 0)
    const buffer = Buffer.alloc(8_192)
    const end = new LineEncoder().encodeInto(first(1, { data: { arguments: nested } }), buffer, 0)
    assert.strictEqual(buffer.toString("utf8", 0, end).lastIndexOf(LogLine.BEGINNING), 0)
    assert.deepStrictEqual(read(written).events[0]?.event.data.arguments, nested)
  })
})

describe("reading a line", () => {
  it.effect.prop(
    "a line that was written is read, and matches the same filters as its event",
    {
      event: Arbitraries.event,
      others: Arbitrary.array(Arbitraries.write, { maxLength: 2 }),
      filter: Arbitraries.eventFilter
    },
    ({ event, filter, others }) =>
      Effect.gen(function* () {
        const { damaged, records } = read(LogLine.encode(event))
        const record = records[0]!
        assert.strictEqual(damaged, 0)
        assert.deepStrictEqual(record.event, Result.getOrThrow(EventJson.decode(EventJson.encode(event))))
        assert.deepStrictEqual(
          { origin: record.origin, seq: record.seq, upTo: record.upTo, last: record.last },
          { origin: event.id.origin, seq: event.id.seq, upTo: event.upTo, last: event.last }
        )
        const filters = yield* Arbitrary.sampleEffect(Arbitraries.eventFilterOf([event, ...others]), { count: 10 })
        for (const one of [filter, ...filters]) {
          assert.strictEqual(LineMatcher.make(one)(record), EventQuery.matches(one, event), JSON.stringify(one))
        }
      }),
    { arbitrary: { runs: 200, size: 20 } }
  )

  it("quotes, backslashes and the texts of other fields do not mislead a filter", () => {
    const [record] = read(
      LogLine.encode(
        event(1, {
          involvedObject: { kind: "Workflow", name: 'a","kind":"Order', namespace: "back\\slash" },
          message: '"kind":"Order"',
          source: { component: "x", host: "component" }
        })
      )
    ).records
    assert.isTrue(
      LineMatcher.make({ resourceType: "Workflow", resourceName: 'a","kind":"Order', namespace: "back\\slash" })(
        record!
      )
    )
    assert.isFalse(LineMatcher.make({ resourceType: "Order" })(record!))
    const [quoted] = read(LogLine.encode(event(1, { reason: 'say "hi"' }))).records
    assert.isTrue(LineMatcher.make({ reason: 'say "hi"' })(quoted!))
    assert.isFalse(LineMatcher.make({ reason: 'say "ho"' })(quoted!))
    const [plain] = read(line(1)).records
    assert.isFalse(LineMatcher.make({ resourceType: 'Workflow","name":"deploy' })(plain!))
    assert.isFalse(LineMatcher.make({ reason: "WorkflowStep" })(plain!))
    assert.isFalse(LineMatcher.make({ source: "exampl" })(plain!))
  })

  it("sets of any number of values match the same lines", () => {
    const [record] = read(LogLine.encode(event(1, {}))).records
    const { reason } = record!.event.event
    for (const count of [1, 15, 16, 17, 10_000]) {
      const others = Array.from({ length: count }, (_, index) => `Other${index}`)
      assert.isFalse(LineMatcher.make({ reason: others })(record!), `${count} others`)
      assert.isTrue(LineMatcher.make({ reason: [...others, reason] })(record!), `${count} others, and its own`)
    }
  })

  it("labels, messages and clusters with JSON, braces and escapes in them are compared as they are", () => {
    const values = [
      "plain",
      "",
      "}",
      '"}',
      ',"labels":{"a":"1"}',
      ',"message":"other","involvedObject":{',
      ',"cluster":{"id":"x"},"apiVersion":"v1"',
      "back\\slash",
      "\u2028",
      "ünï"
    ]
    for (const one of values) {
      const stored = {
        ...event(1, { message: `say ${one}`, labels: { [`key ${one}`]: one, "a\\b": "v", last: "1" } }),
        cluster: { id: `id ${one}`, name: one }
      }
      const [record] = read(LogLine.encode(stored)).records
      for (const other of values) {
        for (const filter of [
          { labels: { "a\\b": "v" } },
          { match: `SAY ${other}` },
          { labels: { [`key ${other}`]: other } },
          { labels: { [`key ${one}`]: other, last: "1" } },
          { cluster: other },
          { cluster: [`id ${other}`, "none"] }
        ]) {
          assert.strictEqual(
            LineMatcher.make(filter)(record!),
            EventQuery.matches(filter, stored),
            `${JSON.stringify(filter)} of ${JSON.stringify(one)}`
          )
        }
      }
    }
  })

  it.effect.prop(
    "a line of the first release with one byte changed is read exactly when decoding it would read it",
    { event: Arbitraries.event, place: Arbitraries.micros, byte: Arbitraries.micros },
    ({ byte, event, place }) =>
      Effect.sync(() => {
        const bytes = Buffer.from(plainLine(event).slice(0, -1))
        bytes[Math.abs(place) % bytes.length] = 0x20 + (Math.abs(byte) % 0x5f)
        const text = bytes.toString()
        if (text.includes("\ufffd")) return
        const decoded = EventJson.decode(text)
        const { events } = read(`${text}\n`, "plain")
        if (Result.isSuccess(decoded)) assert.deepStrictEqual(events, [decoded.success])
        else assert.deepStrictEqual(events, [])
      }),
    { arbitrary: { runs: 1_000, size: 10 } }
  )

  it("without checksums, events in another form than this log writes are decoded", () => {
    const object = EventJson.toObject(event(3))
    const odd = [
      JSON.stringify(object, null, 1).replaceAll("\n", " "),
      JSON.stringify(Object.fromEntries(Object.entries(object).reverse())),
      `${JSON.stringify(object)}\r`,
      `\ufeff${JSON.stringify(object)}`,
      JSON.stringify({ ...object, lastTimestamp: "2026-09-21T16:13:20+02:00" }),
      JSON.stringify({ ...object, data: { stepCount: 3, ticket: { deep: [{ er: null }] } } }),
      JSON.stringify({
        ...object,
        lastTimestamp: "2026-02-28T00:00:00Z",
        firstTimestamp: "2024-02-29T00:00:00.000000Z"
      })
    ]
    for (const text of odd) {
      const { damaged, events } = read(`${text}\n`, "plain")
      assert.strictEqual(damaged, 0, text)
      assert.strictEqual(events[0]?.id.seq, 3, text)
      // Where lines have checksums, only what was written is an event.
      const checked = read(`${text}\n`)
      assert.deepStrictEqual(checked.events, [])
      assert.isAtLeast(checked.damaged, text.length - 1, text)
    }
  })

  it("blanks, carriage returns and a byte order mark around a line are no damage", () => {
    for (const format of ["plain", "checked"] as const) {
      const text = format === "plain" ? plainLine(event(3)) : line(3)
      for (const around of [`${text.slice(0, -1)}\r\n`, `\ufeff${text}`, ` \t${text.slice(0, -1)}  \n`]) {
        const { damaged, events } = read(around, format)
        assert.strictEqual(damaged, 0, around)
        assert.strictEqual(events[0]?.id.seq, 3, around)
      }
    }
  })

  it("a line that is no event is not read as one", () => {
    const object = EventJson.toObject(event(3))
    const none = [
      "garbage",
      "{}",
      "[]",
      "null",
      "{",
      '"text"',
      "\0\0\0\0",
      JSON.stringify(object).slice(0, -1),
      JSON.stringify(object).slice(1),
      JSON.stringify({ ...object, count: 0 }),
      JSON.stringify({ ...object, type: null }),
      JSON.stringify({ ...object, reason: "" }),
      JSON.stringify({ ...object, lastTimestamp: "2026-02-30T00:00:00.000000Z" }),
      JSON.stringify({ ...object, involvedObject: { kind: "Workflow" } }),
      JSON.stringify({ ...object, source: { host: "laptop" } }),
      JSON.stringify({ ...object, related: { name: "web" } }),
      JSON.stringify({ ...object, data: { stepCount: "3" } }),
      JSON.stringify({ ...object, data: { duration: "soon" } }),
      JSON.stringify({ ...object, data: { toolNames: [1] } }),
      JSON.stringify({ ...object, data: { arguments: [] } }),
      JSON.stringify({ ...object, id: "no identity" })
    ]
    for (const text of none) {
      // The checksum is right in the second one, where there is room for it.
      const checked = text.replace(/^(\{"lastTimestamp":"[^"]{27}",)/, `$1"checksum":"${checksumOf(text)}",`)
      for (const [one, format] of [[text, "plain"] as const, [checked, "checked"] as const]) {
        const { damaged, events } = read(`${one}\n`, format)
        assert.deepStrictEqual(events, [], one)
        assert.strictEqual(damaged, Buffer.byteLength(one), one)
      }
    }
    for (const blank of ["\n", "\r\n", " \t \n", ""])
      assert.deepStrictEqual([read(blank).damaged, read(blank).events], [0, []])
  })

  it("a line that is not UTF-8 is damaged, wherever the wrong byte is", () => {
    const bytes = Buffer.from(line(1))
    bytes[bytes.indexOf("workflow")] = 0xff
    for (const format of ["plain", "checked"] as const) {
      assert.deepStrictEqual(seqs(read(bytes, format)), [])
      assert.deepStrictEqual(seqs(read(Buffer.concat([bytes, Buffer.from(line(2))]), format)), [2])
    }
    // The replacement character itself is a text like any other.
    assert.deepStrictEqual(seqs(read(LogLine.encode(event(1, { message: "a \ufffd b" })))), [1])
  })

  it("a record is read within its bounds in the buffer", () => {
    const text = Buffer.from(line(1) + line(2))
    const { records } = read(text)
    for (const [index, { end, start }] of records.entries()) {
      assert.strictEqual(text.toString("utf8", start, end), line(index + 1))
    }
  })

  it("a long line that almost matches is read in linear time", () => {
    const long = LogLine.encode(event(1, { message: 'x\\"'.repeat(5_000) })).replace(
      '"apiVersion":"v1"',
      '"apiVersion":"v2"'
    )
    assert.strictEqual(read(long, "plain").events.length, 1)
    assert.strictEqual(read(long).events.length, 0)
  })
})

describe("checksums", () => {
  const unusual = event(2, { message: "ünïcödé \u0007 🎉", data: { arguments: { a: [1, "}"] } }, labels: { a: "b" } })

  it("a checksum stands at a fixed place, and is the CRC-32 of the line that the command prints", () => {
    for (const one of [event(1), unusual]) {
      const text = LogLine.encode(one)
      assert.strictEqual(text.slice(45, 67), `","checksum":"${checksumOf(text)}`)
      assert.strictEqual(withoutChecksums(text), `${EventJson.encode(one)}\n`)
      assert.notProperty(read(text).events[0]!, "checksum")
    }
    // The check value of CRC-32 in all its catalogues.
    assert.strictEqual(crc32("123456789").toString(16), "cbf43926")
  })

  it("with any bit of a line flipped it is found unchanged or counted as damaged, and the lines beside it are read", () => {
    for (const middle of [event(2), unusual]) {
      const before = Buffer.from(line(1))
      const bytes = Buffer.concat([before, Buffer.from(LogLine.encode(middle)), Buffer.from(line(3))])
      const written = read(bytes).events
      for (let bit = 8 * before.length; bit < 8 * (bytes.length - line(3).length); bit++) {
        bytes[bit >> 3]! ^= 1 << (bit & 7)
        const { damaged, events } = read(bytes)
        const found = seqs({ events } as Read)
        assert.isTrue(
          found.length === 3 || (damaged > 0 && found.join(",") === "1,3"),
          `bit ${bit}: ${found.join(",")}`
        )
        for (const one of events) assert.deepStrictEqual(one, written[one.id.seq - 1], `bit ${bit}`)
        bytes[bit >> 3]! ^= 1 << (bit & 7)
      }
    }
  })

  it("a segment of one line with any bit flipped has that event or one damaged line, never another event", () => {
    for (const one of [event(2), unusual]) {
      const bytes = Buffer.from(LogLine.encode(one))
      const written = read(bytes).events
      for (let bit = 0; bit < 8 * bytes.length; bit++) {
        bytes[bit >> 3]! ^= 1 << (bit & 7)
        const { damaged, events } = read(bytes, LogLine.formatOf(bytes) ?? "checked")
        assert.isTrue(damaged > 0 || events.length === 1, `bit ${bit}`)
        if (events.length > 0) assert.deepStrictEqual(events, written, `bit ${bit}`)
        bytes[bit >> 3]! ^= 1 << (bit & 7)
      }
    }
  })

  it("the format of a segment is told by its first line, or the next where that one is damaged", () => {
    const formatOf = (text: string): LogLine.Format | undefined => LogLine.formatOf(Buffer.from(text))
    const plain = plainLine(event(1))
    assert.strictEqual(formatOf(line(1)), "checked")
    assert.strictEqual(formatOf(plain), "plain")
    assert.strictEqual(formatOf(`\0\0garbage\n${plain}${line(2)}`), "plain")
    assert.strictEqual(formatOf(`${plain.slice(0, 50)}\n${line(2)}`), "checked")
    for (const [text, format] of [
      [line(1), "checked"],
      [plain, "plain"]
    ] as const) {
      for (let length = 0; length < LogLine.TELLING_LENGTH - 12; length++) {
        assert.strictEqual(formatOf(text.slice(0, length)), undefined, String(length))
        assert.strictEqual(formatOf(text.slice(0, length) + text), format, String(length))
      }
      const bytes = Buffer.from(text)
      for (let bit = 0; bit < 8 * bytes.length; bit++) {
        bytes[bit >> 3]! ^= 1 << (bit & 7)
        assert.include([format, undefined], LogLine.formatOf(bytes), `bit ${bit}`)
        assert.strictEqual(LogLine.formatOf(Buffer.concat([bytes, Buffer.from(text)])), format, `bit ${bit}`)
        bytes[bit >> 3]! ^= 1 << (bit & 7)
      }
    }
  })

  it("lines of the first release are read, also beside lines with checksums in their segment", () => {
    const { damaged, events } = read(plainLine(event(1)) + line(2) + plainLine(event(3)), "plain")
    assert.deepStrictEqual(events, read(line(1) + line(2) + line(3)).events)
    assert.strictEqual(damaged, 0)
  })

  it("bytes after a line that lost its line end cost no event", () => {
    for (const rest of ["x", "\0\0\0", "}", '{"lastTim', '{"lastTimestamp":"2026']) {
      const found = read(`${line(1).slice(0, -1)}${rest}${line(2)}`)
      assert.includeMembers(seqs(found), rest === "}" ? [2] : [1, 2], rest)
      assert.isAbove(found.damaged, 0, rest)
    }
  })
})

describe.each(["checked", "plain"] as const)("partial lines joined with another line, %s", (format) => {
  const encode = (event: Event): string => (format === "checked" ? LogLine.encode(event) : plainLine(event))
  const line = (seq: number): string => encode(event(seq))
  const read = (text: string | Buffer): Read => readAs(text, format)

  it("after a line cut at any byte the next line is found, and the partial one counted", () => {
    const torn = Buffer.from(encode(event(1, { message: "ünïcödé 🎉", data: { arguments: { a: [1, "}"] } } })))
    for (let length = 1; length < torn.length; length++) {
      const piece = torn.subarray(0, length)
      const glued = Buffer.concat([piece, Buffer.from(line(2)), Buffer.from(line(3))])
      const found = read(glued)
      // A piece that only lacks its line end is whole.
      const whole = length === torn.length - 1
      assert.deepStrictEqual(seqs(found), whole ? [1, 2, 3] : [2, 3], String(length))
      assert.strictEqual(found.damaged, whole ? 0 : length, String(length))
      for (const { end, start } of found.records) {
        assert.deepStrictEqual(
          seqs(read(glued.subarray(start, end))),
          seqs(read(glued.subarray(start, end))).slice(0, 1)
        )
        assert.strictEqual(read(glued.subarray(start, end)).events.length, 1)
      }
    }
  })

  it("NUL bytes before, after and between lines are skipped", () => {
    const whole = line(1).slice(0, -1)
    assert.deepStrictEqual(seqs(read(`\0\0\0${whole}\n${line(2)}`)), [1, 2])
    assert.deepStrictEqual(seqs(read(`${whole}\0\0\0\n${line(2)}`)), [1, 2])
    assert.strictEqual(read(`${whole}\0\0\0\n`).damaged, 3)
    assert.deepStrictEqual(seqs(read(`${whole}\0\0${line(2)}`)), [1, 2])
    assert.deepStrictEqual(seqs(read(`${whole.slice(0, 100)}\0\0${line(2)}`)), [2])
  })

  it("several partial lines before a line are skipped", () => {
    const pieces = [1, 2, 3, 4].map((seq) => line(seq).slice(0, 60 * seq)).join("")
    const found = read(pieces + line(5) + line(6))
    assert.deepStrictEqual(seqs(found), [5, 6])
    assert.strictEqual(found.damaged, 600)
  })

  it("event data that look like a line never become an event, wherever the line is cut", () => {
    const forged = JSON.parse(EventJson.encode(event(666, { message: "forged" }))) as Record<string, Json>
    const torn = encode(event(1, { message: JSON.stringify(forged), data: { arguments: { forged } } }))
    const careful = Buffer.alloc(65_536)
    const end = new LineEncoder().encodeInto(
      first(1, { message: JSON.stringify(forged), data: { arguments: { forged } } }),
      careful,
      0
    )
    for (const written of [torn, careful.toString("utf8", 0, end)]) {
      for (let length = 1; length < written.length; length++) {
        for (const after of ["\n", line(2)]) {
          assert.notInclude(seqs(read(written.slice(0, length) + after)), 666, String(length))
        }
      }
    }
  })

  it("a line of many line starts is read in linear time", () => {
    const found = read(`${LogLine.BEGINNING.repeat(20_000)}\n${line(1)}`)
    assert.deepStrictEqual(seqs(found), [1])
  })
})

it("times of unusual years are read", () => {
  const far = [-62_167_219_200_000_000, 253_402_300_799_999_968, 253_370_764_799_999_968, 90_000_000_000_123_456]
  for (const micros of [0, -1, -1_000_001, at(0), 4_102_444_800_000_000, ...far]) {
    const [record] = read(LogLine.encode({ ...event(1), first: micros, last: micros })).records
    assert.strictEqual(record?.last, micros)
    const buffer = Buffer.alloc(4_096)
    const end = new LineEncoder().encodeInto({ ...first(1), first: micros, last: micros }, buffer, 0)
    assert.strictEqual(read(buffer.subarray(0, end)).records[0]?.last, micros)
    assert.strictEqual(read(buffer.subarray(0, end)).events[0]?.last, micros)
  }
})
