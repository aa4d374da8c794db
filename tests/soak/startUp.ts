import * as FileJournal from "@tidings/backend-fs/FileJournal"
import type { Occurrence } from "@tidings/core/Event"
import { Journal } from "@tidings/core/Journal"
import * as Effect from "effect/Effect"
import { readdirSync } from "node:fs"
import { join } from "node:path"

const SEGMENT = 1_048_576
const BACKLOG = 64
const STARTS = 15

const occurrence = (n: number): Occurrence => ({
  involvedObject: { kind: "Thing", name: `thing-${n}` },
  reason: "Happened",
  type: "Normal",
  action: "Happened",
  message: `it happened for the ${n}th time`,
  data: {},
  source: { component: "soak" },
  reportingController: "soak",
  reportingInstance: "soak-0",
  at: n
})

const median = (values: ReadonlyArray<number>): number => [...values].sort((a, b) => a - b)[values.length >> 1]!

/** A start with a backlog of many segments takes as long as one with a single one. */
export const startUp = async ({
  check,
  directory
}: {
  readonly directory: string
  readonly check: (what: string, holds: boolean) => void
}): Promise<void> => {
  const fill = async (name: string, segments: number) => {
    const folder = join(directory, name)
    const layer = FileJournal.layer({ directory: folder, durability: "process", segmentSize: SEGMENT })
    const filled = Effect.gen(function* () {
      const journal = yield* Journal
      yield* journal.restore("default")
      let n = 0
      const count = () => readdirSync(folder).filter((file) => file.startsWith("entries-")).length
      // The last one is begun, and as large as the others nearly are.
      while (count() < segments) yield* journal.append(Array.from({ length: 500 }, () => occurrence(++n)))
      const perSegment = Math.floor(n / Math.max(1, segments - 1))
      for (let more = 0; more < (segments === 1 ? 2_000 : perSegment - 1_000); more += 500) {
        yield* journal.append(Array.from({ length: 500 }, () => occurrence(++n)))
      }
    })
    await Effect.runPromise(Effect.provide(filled, layer))
    return layer
  }
  const one = await fill("one", 2)
  const many = await fill("many", BACKLOG)
  const start = async (layer: typeof one): Promise<number> => {
    const begun = process.cpuUsage()
    const read = Effect.gen(function* () {
      const journal = yield* Journal
      yield* journal.restore("default")
      return yield* journal.read("default", 0, 100)
    })
    const page = await Effect.runPromise(Effect.provide(read, layer))
    if (page.entries.length !== 100) throw new Error("the backlog is not there")
    const { system, user } = process.cpuUsage(begun)
    return system + user
  }
  const costs = { one: [] as Array<number>, many: [] as Array<number> }
  for (let turn = 0; turn < STARTS; turn++) {
    costs.one.push(await start(one))
    costs.many.push(await start(many))
  }
  const ratio = median(costs.many) / median(costs.one)
  check(
    `a start with ${BACKLOG} segments takes ${ratio.toFixed(2)} times as long as one with 2 (${(median(costs.many) / 1_000).toFixed(1)} ms of CPU)`,
    ratio < 3
  )
}
