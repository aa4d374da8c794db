import { assert, describe, it } from "@effect/vitest"
import type { Event } from "@tidings/core/Event"
import * as EventJson from "@tidings/core/EventJson"
import * as Arbitraries from "@tidings/testing/Arbitraries"
import { Arbitrary, Effect, Result } from "effect"
import * as LogLine from "../src/internal/log/line.ts"
import { bytesOf } from "../src/internal/log/bytes.ts"
import { LineDecoder } from "../src/internal/log/lineDecoder.ts"
import { diceOf, eventOf } from "./RandomEvents.ts"
import { first } from "./writes.ts"

const decoded = (text: string): Event | undefined => Result.getOrUndefined(EventJson.decode(text))

/** Reads one line, which has others before and after it. */
const read = (decoder: LineDecoder, line: string): Event | undefined => {
  const buffer = Buffer.from(`ü\n${line}\n{"lastTimestamp":"`)
  return decoder.read(bytesOf(buffer), 3, 3 + Buffer.byteLength(line))
}

const lineOf = (event: Event): string => LogLine.encode(event).slice(0, -1)

/** After the checksum, which is compared before a line is decoded. */
const CHANGED_FROM = 69

describe("decoding a line", () => {
  it.effect.prop(
    "a line is the event that EventJson.decode reads, also when its parts were read before",
    { writes: Arbitrary.array(Arbitraries.write, { minLength: 1, maxLength: 4 }) },
    ({ writes }) =>
      Effect.sync(() => {
        const decoder = new LineDecoder()
        for (const write of [...writes, ...writes]) {
          const line = lineOf(LogLine.eventOf(write))
          assert.deepStrictEqual(read(decoder, line), decoded(line))
        }
      })
  )

  it("a line in which anything was changed is the event that EventJson.decode reads, or none", () => {
    const decoder = new LineDecoder()
    const pieces = [
      '"',
      "\\",
      "{",
      "}",
      ",",
      ":",
      "0",
      "\t",
      "ü",
      '\\"',
      '","',
      "\\u0041",
      '"a":"b",',
      "},",
      ',"data":{'
    ]
    let events = 0
    for (let seed = 1; seed <= 60; seed++) {
      const dice = diceOf(seed)
      const line = lineOf(eventOf(dice, { origin: "0".repeat(32), seq: seed }, seed, 1))
      for (let change = 0; change < 100; change++) {
        const at = dice.integer(CHANGED_FROM, line.length)
        const rest = line.slice(at + dice.integer(0, 2))
        const changed = `${line.slice(0, at)}${dice.chance(0.2) ? "" : dice.pick(pieces)}${rest}`
        const expected = decoded(changed)
        if (expected !== undefined) events += 1
        assert.deepStrictEqual(read(decoder, changed), expected, changed)
      }
    }
    assert.isAbove(events, 300)
  })

  it("a line that is spelled in another way is the event that EventJson.decode reads, and changes nothing for the next", () => {
    const plain = lineOf({
      ...LogLine.eventOf(first(12, { message: "step build: connection refused" })),
      count: 3,
      upTo: 40
    })
    const spellings: ReadonlyArray<readonly [string | RegExp, string]> = [
      ['"count":3', '"count":03'],
      ['"count":3', '"count":0'],
      ['"count":3', '"count":3.0'],
      ['"count":3', '"count": 3'],
      ['"count":3', '"count":3,"upTo":1'],
      ['"count":3', `"count":${"9".repeat(15)}`],
      ['"count":3', `"count":${"9".repeat(17)}`],
      ['"upTo":40', '"upTo":040'],
      ['"upTo":40', '"upTo":4e1'],
      ['"upTo":40', '"upTo":"40"'],
      ['.12","upTo"', '.012","upTo"'],
      ['.12","upTo"', '","upTo"'],
      ['.12","upTo"', ' .12","upTo"'],
      ['"type":"Normal"', '"type":"Normal","firstTimestamp":"2026-01-01T00:00:00.000000Z"'],
      ['"type":"Normal"', '"type":"Normal","type":"Warning"'],
      ['"type":"Normal"', '"type":7'],
      ['"type":"Normal"', String.raw`"type":"\u004eormal"`],
      [/"reason":"[^"]*"/, '"reason":""'],
      ['"message":"step', '"message":"\tstep'],
      ['"message":"step', String.raw`"message":"\x step`],
      ['"message":"step', '"message":"one","message":"step'],
      ['"message":"step', '"message":"\u007fstep'],
      ['"involvedObject":{', '"involvedObject":{"id":7,'],
      ['"involvedObject":{', '"involvedObject":{"kind":"Other",'],
      [/"involvedObject":\{[^}]*\}/, '"involvedObject":{"kind":"Pod"}'],
      [
        /"involvedObject":\{[^}]*\}/,
        '"involvedObject":{"kind":"Pod","name":"web"},"involvedObject":{"kind":"Pod","name":"db"}'
      ],
      [/"source":\{[^}]*\}/, '"source":{}'],
      [/"source":\{[^}]*\}/, '"source":{"host":"h","component":"c"}'],
      [/"source":\{[^}]*\}/, '"source":{"component":"c","host":"h"}'],
      [/"source":\{/, '"related":{"kind":"Pod","name":"db"},"source":{'],
      [/"source":\{/, '"related":7,"source":{'],
      [/"source":\{/, '"eventTime":null,"series":{"count":2},"source":{'],
      ['"metadata":{"name":"', String.raw`"metadata":{"name":"\u0041`],
      ['"metadata":{', '"metadata":{"uid":"u",'],
      ['},"data":{', ',"labels":{"app":"web"}},"data":{'],
      ['},"data":{', ',"uid":"u"},"data":{'],
      ['"data":{', '"data":{"stepCount":1.5,'],
      ['"data":{', '"data":{"duration":"never",'],
      ['"data":{', '"data":{"duration":"1m30s","duration":"2s",'],
      ['"data":{', '"data":{"__proto__":{"a":1},'],
      ['"data":{', '"data":{},"data":{'],
      [/"data":\{.*\},"id"/, '"data":null,"id"'],
      [/"data":\{.*\},"id"/, '"data":{},"extra":{},"id"'],
      [/"data":\{.*\},"id"/, '"data":{"a":1,"id":"b.2","upTo":3},"id"'],
      [',"apiVersion":"v1"', ',"cluster":{"id":"c"},"apiVersion":"v1"'],
      [/^\{"lastTimestamp":"[^"]*"/, '{"lastTimestamp":"2026-02-30T10:00:00.000000Z"'],
      [/^\{"lastTimestamp":"[^"]*"/, '{"lastTimestamp":"2026-02-28T10:00:60.000000Z"'],
      [/^\{"lastTimestamp":"[^"]*"/, '{"lastTimestamp":"2026-02-28T24:00:00.000000Z"'],
      [/^\{"lastTimestamp":"[^"]*"/, '{"lastTimestamp":"2026-02-28 10:00:00.000000Z"'],
      [/^\{"lastTimestamp":"[^"]*"/, '{"lastTimestamp":"2026-02-28T10:00:00.00000aZ"'],
      [/^\{"lastTimestamp":"[^"]*"/, '{"lastTimestamp":"2026-02-28T10:00:00.000000z"'],
      [/^\{"lastTimestamp":"[^"]*"/, '{"lastTimestamp":"9999-12-31T23:59:59.999999Z"'],
      [/"kind":"Event"\}$/, '"kind":"Event"} '],
      [/"kind":"Event"\}$/, '"kind":"Event","upTo":1}']
    ]
    const decoder = new LineDecoder()
    for (const [found, by] of spellings) {
      const line = plain.replace(found, by)
      assert.notStrictEqual(line, plain)
      for (const one of [decoder, new LineDecoder()]) assert.deepStrictEqual(read(one, line), decoded(line), line)
      assert.deepStrictEqual(read(decoder, plain), decoded(plain), line)
    }
  })

  it("data is what EventJson.decode reads, whatever fields it has, also after the data of other lines", () => {
    const line = lineOf(LogLine.eventOf(first(12, { data: { name: "web", stepId: "build" } })))
    const found = /"data":\{[^}]*\}/
    assert.match(line, found)
    const fields = [
      '"name":"web"',
      '"name":"db"',
      '"name":7',
      '"stepId":"build-1"',
      '"stepId":"bu\\u0069ld"',
      '"stepId":"ünïcode"',
      '"ü":"a"',
      '"a\\"b":"c"',
      '"__proto__":"a"',
      '"constructor":"a"',
      '"7":"seven"',
      '"stepCount":"3"',
      '"stepCount":3',
      '"duration":"1m30.5s"',
      '"duration":"soon"',
      '"duration":""',
      '"allowFailure":true',
      '"arguments":{"a":"b"}',
      '"own":["a","b"]',
      '"own":"a, \\"b\\": }"',
      '"own":"a}"',
      '"own":""',
      '"":"empty"',
      '"own": "a"',
      '"own":"a\tb"',
      '"own":null'
    ]
    const dice = diceOf(7)
    const decoder = new LineDecoder()
    let events = 0
    for (let turn = 0; turn < 3_000; turn++) {
      const some = Array.from({ length: dice.integer(0, 4) }, () => dice.pick(fields))
      const text = dice.chance(0.05) ? "," : dice.chance(0.05) ? '"a":"b"' : ""
      const changed = line.replace(found, () => `"data":{${some.join(",")}${text}}`)
      const expected = decoded(changed)
      if (expected !== undefined) events += 1
      for (const one of [decoder, new LineDecoder()]) assert.deepStrictEqual(read(one, changed), expected, changed)
    }
    assert.isAbove(events, 1_000)
  })

  it("names of fields that never repeat change nothing, and are not kept without end", () => {
    const decoder = new LineDecoder()
    for (let turn = 0; turn < 10_000; turn++) {
      const line = lineOf(LogLine.eventOf(first(turn + 1, { data: { [`field-${turn}`]: "a", last: "b" } })))
      const expected = turn % 100 === 0 ? decoded(line) : undefined
      const event = read(decoder, line)
      if (expected !== undefined) assert.deepStrictEqual(event, expected)
    }
  })

  it("a part of a line is no event", () => {
    const decoder = new LineDecoder()
    const line = lineOf(LogLine.eventOf(first(1)))
    for (let end = 0; end < line.length; end++) assert.isUndefined(read(decoder, line.slice(0, end)), `${end}`)
  })

  it("events share what their lines repeat, and cannot change it for one another", () => {
    const decoder = new LineDecoder()
    const [one, other] = [1, 2].map((seq) => read(decoder, lineOf(LogLine.eventOf(first(seq))))!)
    assert.strictEqual(one!.event.involvedObject, other!.event.involvedObject)
    assert.isTrue(Object.isFrozen(one!.event.involvedObject))
    assert.isTrue(Object.isFrozen(one!.event.source))
  })
})
