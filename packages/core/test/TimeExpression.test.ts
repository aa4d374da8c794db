import * as Timestamp from "../src/Timestamp.ts"
import { afterAll, assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as TimeExpression from "../src/TimeExpression.ts"

// A zone with daylight saving time, so that local time and UTC can never be mixed up unnoticed.
const zone = process.env["TZ"]
process.env["TZ"] = "Europe/Berlin"
// The process goes on with other files.
afterAll(() => {
  if (zone === undefined) delete process.env["TZ"]
  else process.env["TZ"] = zone
})

const now = Timestamp.parse("2026-08-22T10:30:00Z")!

const iso = (text: string): string => {
  const parsed = TimeExpression.parse(text, now)
  return Result.isSuccess(parsed) ? Timestamp.format(parsed.success).replace(/\.000000Z$/, "Z") : `! ${parsed.failure}`
}

describe("time grammar", () => {
  it.each([
    ["now", "2026-08-22T10:30:00Z"],
    ["NOW", "2026-08-22T10:30:00Z"],
    // lengths: that long ago
    ["1h30m", "2026-08-22T09:00:00Z"],
    ["90s", "2026-08-22T10:28:30Z"],
    ["1.5h", "2026-08-22T09:00:00Z"],
    ["2d12h", "2026-08-19T22:30:00Z"],
    ["1w", "2026-08-15T10:30:00Z"],
    ["500ms", "2026-08-22T10:29:59.500000Z"],
    ["-1h", "2026-08-22T09:30:00Z"],
    ["2 hours ago", "2026-08-22T08:30:00Z"],
    ["2 Hours Ago", "2026-08-22T08:30:00Z"],
    ["1 hour and 5 min", "2026-08-22T09:25:00Z"],
    ["1 hour, 5 minutes ago", "2026-08-22T09:25:00Z"],
    ["30 mins", "2026-08-22T10:00:00Z"],
    ["3 weeks ago", "2026-08-01T10:30:00Z"],
    ["+5m", "2026-08-22T10:35:00Z"],
    ["in 5 minutes", "2026-08-22T10:35:00Z"],
    // days of the calendar begin at local midnight
    ["today", "2026-08-21T22:00:00Z"],
    ["yesterday", "2026-08-20T22:00:00Z"],
    ["tomorrow", "2026-08-22T22:00:00Z"],
    ["10:30", "2026-08-22T08:30:00Z"],
    ["9:05:07", "2026-08-22T07:05:07Z"],
    // dates: local time unless a zone is named
    ["2026-08-22", "2026-08-21T22:00:00Z"],
    ["2026-01-15", "2026-01-14T23:00:00Z"],
    ["2026-08-22 10:00", "2026-08-22T08:00:00Z"],
    ["2026-08-22T10:00:05", "2026-08-22T08:00:05Z"],
    ["2026-08-22T10:00:00Z", "2026-08-22T10:00:00Z"],
    ["2026-08-22 10:00 UTC", "2026-08-22T10:00:00Z"],
    ["2026-08-22T10:00:00+02:00", "2026-08-22T08:00:00Z"],
    ["2026-08-22T10:00:00-0530", "2026-08-22T15:30:00Z"],
    ["2026-08-22T10:00:00.1234567Z", "2026-08-22T10:00:00.123456Z"],
    ["2024-02-29", "2024-02-28T23:00:00Z"],
    // a year of two digits after its zeros is one of the first century
    ["0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"],
    ["0096-02-29T10:00:00+02:00", "0096-02-29T08:00:00Z"],
    ["0099-12-31T12:00", "0099-12-31T11:06:32Z"],
    // unix
    ["@1755856800", "2025-08-22T10:00:00Z"],
    ["@1755856800.5", "2025-08-22T10:00:00.500000Z"],
    ["1755856800", "2025-08-22T10:00:00Z"],
    ["1755856800123", "2025-08-22T10:00:00.123000Z"]
  ])("reads %j", (text, expected) => {
    assert.strictEqual(iso(text), expected)
  })

  it.each([
    ["5", /no unit: 5m\?/],
    ["-5", /no unit: 5m\?/],
    ["1x", /such as/],
    ["", /such as/],
    ["ago", /such as/],
    ["1h ago later", /such as/],
    ["1M", /a month has no fixed length/],
    ["08/09/2026", /day and month could be swapped/],
    ["8.9.2026", /day and month could be swapped/],
    ["2026-13-01", /no such day/],
    ["2026-02-30", /no such day/],
    ["2025-02-29", /no such day/],
    ["2026-08-22T24:00", /no such day or time/],
    ["2026-08-22T10:60", /no such day or time/],
    ["25:00", /no such time of day/],
    ["2026-08-22Z", /a zone needs a time of day/],
    ["2026-08-22T10:00:00+99:00", /no such zone/],
    ["in 5m ago", /either ahead or ago/],
    ["99999999999999w", /too far away/],
    ["@1755856800000", /too far away, expected a time in the years 0 to 9999/],
    ["@999999999999", /too far away, expected a time in the years 0 to 9999/],
    ["9999-12-31T23:59:59-02:00", /too far away/],
    ["0000-01-01T00:00:00+02:00", /too far away/],
    ["0095-02-29T10:00:00Z", /no such day/],
    ["2026-08-22T10", /such as/],
    ["12345", /no unit/],
    ["1 constructor", /@1755856800$/]
  ])("refuses %j", (text, expected) => {
    assert.match(iso(text), /^! a time such as 1h30m, "2 hours ago"/)
    assert.match(iso(text), expected)
  })

  it("handles the day on which daylight saving time begins or ends", () => {
    // On 29 March 2026 Berlin went from +01:00 to +02:00.
    const afterwards = Timestamp.parse("2026-03-29T12:00:00Z")!
    const today = Result.getOrThrow(TimeExpression.parse("today", afterwards))
    assert.strictEqual(Timestamp.format(today), "2026-03-28T23:00:00.000000Z")
    const tomorrow = Result.getOrThrow(TimeExpression.parse("tomorrow", afterwards))
    assert.strictEqual((tomorrow - today) / 3_600_000_000, 23)
  })
})
