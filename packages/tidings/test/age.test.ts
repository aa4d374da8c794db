import * as Timestamp from "@tidings/core/Timestamp"
import { afterAll, assert, describe, it } from "@effect/vitest"
import * as age from "../src/internal/cli/age.ts"

const zone = process.env["TZ"]
process.env["TZ"] = "Europe/Berlin"
// The process goes on with other files.
afterAll(() => {
  if (zone === undefined) delete process.env["TZ"]
  else process.env["TZ"] = zone
})

const second = 1_000_000
const minute = 60 * second
const hour = 60 * minute
const day = 24 * hour
const year = 365 * day

describe("a time in the future", () => {
  it.each([
    ["2026-08-22T08:30:00Z", "2026-08-21 10:30:00"],
    ["2026-08-23T05:30:00Z", "2026-08-22 07:30:00"]
  ])("is told with the same time of the last day on which it is over: %s", (at, expected) => {
    const now = Timestamp.parse("2026-08-22T08:00:00Z")!
    assert.match(
      age.inFuture(Timestamp.parse(at)!, now, (time) => `<${time}>`),
      new RegExp(`^in the future \\(in .*\\): .*; for an earlier day give the date: <${expected}>$`)
    )
  })

  it("of another day is told without advice, because a date was given", () => {
    const now = Timestamp.parse("2026-08-22T08:00:00Z")!
    assert.match(
      age.inFuture(Timestamp.parse("2026-08-23T08:00:00Z")!, now, (time) => `<${time}>`),
      /^in the future \(in 24h\): 2026-08-23 10:00:00 \S+$/
    )
  })
})

describe("ages", () => {
  // The cases of HumanDuration in k8s.io/apimachinery.
  it.each([
    [0, "0s"],
    [999_999, "0s"],
    [second, "1s"],
    [70 * second, "70s"],
    [119 * second, "119s"],
    [2 * minute, "2m"],
    [2 * minute + second, "2m1s"],
    [9 * minute + 59 * second, "9m59s"],
    [10 * minute, "10m"],
    [10 * minute + second, "10m"],
    [3 * hour - second, "179m"],
    [3 * hour, "3h"],
    [3 * hour + minute, "3h1m"],
    [7 * hour + 59 * minute, "7h59m"],
    [8 * hour, "8h"],
    [8 * hour + 59 * minute, "8h"],
    [48 * hour - second, "47h"],
    [2 * day, "2d"],
    [2 * day + hour, "2d1h"],
    [8 * day - second, "7d23h"],
    [8 * day, "8d"],
    [2 * year - second, "729d"],
    [2 * year, "2y"],
    [2 * year + day, "2y1d"],
    [8 * year - second, "7y364d"],
    [8 * year, "8y"],
    [8 * year + 364 * day, "8y"]
  ])("%d microseconds are %s", (micros, expected) => {
    assert.strictEqual(age.length(micros), expected)
  })

  it("are zero where the clocks of two machines differ a little", () => {
    const now = 1_000 * hour
    assert.strictEqual(age.ago(now, now), "0s")
    assert.strictEqual(age.ago(now + 1_999_999, now), "0s")
    assert.strictEqual(age.ago(now + 2 * second, now), "in 2s")
    assert.strictEqual(age.ago(now - 90 * minute, now), "90m")
  })

  it("are local times in watches, with the day when it is not today", () => {
    const now = Timestamp.parse("2026-08-22T10:30:00Z")!
    assert.strictEqual(age.clock(Timestamp.parse("2026-08-22T10:29:05Z")!, now), "12:29:05")
    assert.strictEqual(age.clock(Timestamp.parse("2026-08-21T22:00:00Z")!, now), "00:00:00")
    assert.strictEqual(age.clock(Timestamp.parse("2026-08-21T21:59:59Z")!, now), "2026-08-21 23:59:59")
    assert.strictEqual(age.local(now), "2026-08-22 12:30:00 +02:00")
    assert.strictEqual(age.local(Timestamp.parse("2026-01-22T10:30:00Z")!), "2026-01-22 11:30:00 +01:00")
  })
})
