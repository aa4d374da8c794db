import { assert, describe, it } from "@effect/vitest"
import type { Write } from "@tidings/core/Event"
import { Arbitrary, Effect, References, Schema } from "effect"
import { createHash } from "node:crypto"
import { rmSync } from "node:fs"
import * as path from "node:path"
import { FewOrigins } from "../src/internal/log/index/earlierOrigins.ts"
import { SegmentOrigins } from "../src/internal/log/index/segmentOrigins.ts"
import { Step } from "../src/internal/log/index/segmentBuilder.ts"
import { open, segmentsOf } from "./openLog.ts"
import * as TestDirectory from "./TestDirectory.ts"
import { first } from "./writes.ts"

const silent = Effect.provideService(References.MinimumLogLevel, "Error")

/** Origins as there are: of processes, of events of a cluster, of what else writes. */
const originOf = (number: number): string => {
  const digits = createHash("md5").update(String(number)).digest("hex")
  switch (number % 4) {
    case 0:
      return digits
    case 1:
      return digits.replace(/(.{8})(.{4})(.{4})(.{4})(.{12})/, "$1-$2-$3-$4-$5")
    case 2:
      return digits.toUpperCase()
    default:
      return `other-${number}`
  }
}

const whole = (minimum: number, maximum: number) =>
  Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum, maximum })))

describe("the origins of a segment", () => {
  it.effect.prop(
    "have the number, the text, the seqs and the blocks that they were given, however many there are",
    { steps: Arbitrary.array(Arbitrary.all({ origin: whole(0, 300), seq: whole(0, 3) }), { maxLength: 400 }) },
    ({ steps }) =>
      Effect.sync(() => {
        const origins = new SegmentOrigins()
        const plain = new Map<string, { number: number; seqs: Array<number>; blocks: Array<number> }>()
        for (const [block, { origin, seq }] of steps.entries()) {
          const text = originOf(origin)
          let one = plain.get(text)
          assert.strictEqual(origins.numberOf(text), one?.number ?? 0)
          if (one === undefined) {
            one = { number: plain.size + 1, seqs: [], blocks: [] }
            plain.set(text, one)
            origins.add(text, one.number)
            assert.strictEqual(origins.leastOf(one.number), Number.POSITIVE_INFINITY)
          }
          origins.extend(one.number, seq, seq, block)
          one.seqs.push(seq)
          one.blocks.push(block)
        }
        assert.strictEqual(origins.size, plain.size)
        for (const [text, { blocks, number, seqs }] of plain) {
          assert.strictEqual(origins.numberOf(text), number)
          assert.strictEqual(origins.textOf(number), text)
          assert.strictEqual(origins.leastOf(number), Math.min(...seqs))
          assert.strictEqual(origins.greatestOf(number), Math.max(...seqs))
          assert.deepStrictEqual(origins.blocksOf(number), [blocks.at(0)!, blocks.at(-1)!])
        }
        assert.strictEqual(origins.numberOf("none"), 0)
      }),
    { arbitrary: { runs: 60, size: 400 } }
  )

  it.live.each([0, 65_536])(
    "of events that were copied from elsewhere are found again, in blocks, in memory, and in earlier segments (few: %i)",
    (few) =>
      Effect.gen(function* () {
        const directory = path.join(yield* TestDirectory.make, "log")
        const copied = (number: number, upTo: number): Write => ({
          ...first(0, { message: `Event ${number}` }, originOf(number)),
          id: { origin: originOf(number), seq: 0 },
          upTo
        })
        const use = (batch: ReadonlyArray<Write>, size: number) =>
          Effect.scoped(
            Effect.gen(function* () {
              const { backend } = yield* open({ directory, segmentSize: 60_000 })
              const how: Record<string, number> = {}
              for (let from = 0; from < batch.length; from += size) {
                for (const outcome of yield* backend.write(batch.slice(from, from + size))) {
                  const name = outcome._tag === "Settled" ? outcome.how : outcome._tag
                  how[name] = (how[name] ?? 0) + 1
                }
                // What is not in a block yet is asked for too.
                const { totalCount } = yield* backend.query({ limit: 1 })
                assert.isAtLeast(totalCount, Math.min(from + size, batch.length))
              }
              return { how, total: (yield* backend.query({ limit: 0 })).totalCount }
            })
          ).pipe(Effect.provideService(Step, 8_192), Effect.provideService(FewOrigins, few))
        const numbers = Array.from({ length: 600 }, (_, number) => number)
        const all = numbers.map((number) => copied(number, 10))
        assert.deepStrictEqual(yield* use(all, 37), { how: { created: 600 }, total: 600 })
        assert.isAbove(segmentsOf(directory).length, 3)
        assert.deepStrictEqual(yield* use(all.toReversed(), 50), { how: { present: 600 }, total: 600 })
        const later = numbers.map((number) => copied(number, number % 3 === 0 ? 11 : 9))
        assert.deepStrictEqual(yield* use(later, 41), { how: { updated: 200, present: 400 }, total: 600 })
        for (const file of segmentsOf(directory)) {
          rmSync(path.join(directory, file.replace(".ndjson", ".index")), { force: true })
        }
        assert.deepStrictEqual(yield* use(later, 100), { how: { present: 600 }, total: 600 })
      }).pipe(silent)
  )
})
